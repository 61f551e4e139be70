//! `/api/v1/streams/{id}/schedule`: transactions that are to be carried out later. They are made where all others are, with
//! `at` (`transactions`).

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde_json::{Map, Value, json};

use super::{Answer, App, by::By, path::Path, problem::Problem};
use crate::state::{At, Due, Scheduled, Transaction};

/// What is shown of a scheduled transaction: when it is due as it looks now, or how it ended.
pub(super) fn shown(entry: &Scheduled, due: Option<Due>, utc_ms: i64) -> Result<Value, Problem> {
    let after_ms = due.map(|due| i64::try_from(due.after.as_millis()).unwrap_or(i64::MAX));
    let mut value = json!({
        "id": entry.id(), "state": "pending", "at": entry.at, "ops": *entry.summaries, "actor": entry.actor,
        "ifRevision": entry.if_revision, "madeAtUtcMs": entry.made_at_utc_ms,
        "dueFrame": due.and_then(|due| due.frame), "dueUtcMs": after_ms.map(|ms| utc_ms.saturating_add(ms)),
    });
    let outcome = entry.outcome.as_ref().map(super::to_value).transpose()?;
    if let (Some(all), Some(Value::Object(outcome))) = (value.as_object_mut(), outcome) {
        all.extend::<Map<_, _>>(outcome);
    }
    Ok(value)
}

/// Schedules a transaction: what it would be refused for now it is refused for.
pub(super) async fn schedule(app: &App, id: &str, transaction: &Transaction, at: At) -> Answer {
    let entry = app.streams.schedule(id, transaction, at).await?;
    let location = format!("/api/v1/streams/{id}/schedule/{}", entry.id());
    let (entry, due) = app.streams.scheduled_as(id, &entry.id())?;
    let body = shown(&entry, due, app.streams.services().clock.utc_ms())?;
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(body)).into_response())
}

/// Lists the newest scheduled transactions that are over, then those to come.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/schedule",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/Schedule")))
)]
pub(super) async fn list(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let utc_ms = app.streams.services().clock.utc_ms();
    let scheduled = app.streams.scheduled(&id)?;
    let scheduled: Vec<Value> =
        scheduled.iter().map(|(entry, due)| shown(entry, *due, utc_ms)).collect::<Result<_, _>>()?;
    Ok(Json(json!({ "scheduled": scheduled })).into_response())
}

/// Shows a scheduled transaction.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/schedule/{scheduledId}",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/Scheduled")))
)]
pub(super) async fn get(State(app): State<App>, Path((id, number)): Path<(String, String)>) -> Answer {
    let (entry, due) = app.streams.scheduled_as(&id, &number)?;
    Ok(Json(shown(&entry, due, app.streams.services().clock.utc_ms())?).into_response())
}

/// Cancels what is still to come: once it is answered it is not carried out.
#[utoipa::path(
    delete, path = "/api/v1/streams/{id}/schedule/{scheduledId}",
    responses((status = 200, description = "Cancelled; as it was.", body = ref("#/components/schemas/Scheduled")))
)]
pub(super) async fn cancel(State(app): State<App>, By(by): By, Path((id, number)): Path<(String, String)>) -> Answer {
    let cancelled = app.streams.cancel(&by, &id, &number).await?;
    let mut value = shown(&cancelled, None, 0)?;
    value["state"] = json!("cancelled");
    Ok(Json(value).into_response())
}
