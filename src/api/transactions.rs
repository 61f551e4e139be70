//! `/api/v1/streams/{id}/transactions`, `.../undo`, `.../redo` and `.../history`: several changes on one frame, and the way
//! back.

#![allow(unused_qualifications, reason = "`utoipa::path` names the types of queries anew")]

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    Answer, App,
    auth::{Caller, Role},
    body::Body,
    by::By,
    path::{Path, Query},
    problem::Problem,
    receipt, schedule, streams,
};
use crate::{
    pipeline::Applied,
    scene::check,
    state::{Done, Error, Item, Op, Receipt, Record, Transaction},
};

/// What may stand behind the `?` of a transaction.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct How {
    dry_run: Option<DryRun>,
    /// How long after it: `2.5s`, `400ms`.
    t: Option<String>,
}

/// What is given instead of doing it.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum DryRun {
    Png,
}

impl How {
    /// How long after the transaction the picture is that is asked for, if one is.
    fn picture(&self) -> Result<Option<Duration>, Problem> {
        let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "bad_query", detail);
        match (self.dry_run, &self.t) {
            (None, Some(_)) => Err(bad("t: only with dryRun".into())),
            (None, None) => Ok(None),
            (Some(DryRun::Png), None) => Ok(Some(Duration::ZERO)),
            (Some(DryRun::Png), Some(t)) => {
                let wrong = || bad(format!("t: expected a time such as 2.5s or 400ms, {AFTER_S_MAX} s at most"));
                seconds(t).map(Some).ok_or_else(wrong)
            }
        }
    }
}

/// A time of that form, within its limits.
fn seconds(text: &str) -> Option<Duration> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s')?, 1.0),
    };
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = number.parse::<f64>().ok().filter(|_| is_plain)? * unit;
    (0.0..=AFTER_S_MAX).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

/// Applies up to 256 changes on one frame, or none of them; or shows what they would give.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/transactions",
    params(
        ("dryRun" = Option<DryRun>, Query, description = "Nothing is done; answers with what it would give."),
        (
            "t" = Option<String>, Query, pattern = "^[0-9]{1,4}(\\.[0-9]{1,3})?(s|ms)$",
            description = "How long after it, `2.5s` or `400ms`, that is; with `dryRun` alone."
        ),
    ),
    request_body = ref("#/components/schemas/Transaction"),
    responses((
        status = 202, description = "Scheduled; `Location` says where.", body = ref("#/components/schemas/Scheduled")
    ), (status = 200, description = "Done, or the picture that it would give.", content(
        (ref("#/components/schemas/TransactionAnswer") = "application/json"), (Vec<u8> = "image/png"),
    )))
)]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    By(by): By,
    Path(id): Path<String>,
    Query(how): Query<How>,
    Body(value): Body,
) -> Answer {
    let after = how.picture()?;
    let transaction = Transaction::read(value, by).map_err(Error::Invalid)?;
    if transaction.ops.iter().any(takes_admin) {
        caller.may_of(Role::Admin, &id)?;
    }
    if let (Some(_), Some(_)) = (after, &transaction.at) {
        let message = "a dry run is made for now: leave it out, and say with `t` how long after".into();
        return Err(Error::Invalid(check::Problem { pointer: "/at".into(), message }.into()).into());
    }
    if let Some(at) = transaction.at.clone() {
        return schedule::schedule(&app, &id, &transaction, at).await;
    }
    if let Some(after) = after {
        return streams::png_answer(app.streams.dry_run(&id, &transaction, after).await?).await;
    }
    Ok(Json(answer(&app.streams.transact(&id, &transaction).await?)?).into_response())
}

/// Where a stream goes, and with which key, is no operator's choice.
fn takes_admin(op: &Op) -> bool {
    matches!(op, Op::CreateOutput(_) | Op::PatchOutput(_) | Op::DeleteOutput(_))
}

/// What a transaction answers: the receipt, and of each op what the request that does the same answers beside it.
fn answer(done: &Receipt<Done>) -> Result<Value, Problem> {
    let mut value = receipt(done);
    value["appliedSample"] = json!(done.item.sample);
    value["results"] = done.item.items.iter().map(|item| result(item, done)).collect::<Result<_, _>>()?;
    Ok(value)
}

fn result(item: &Item, done: &Receipt<Done>) -> Result<Value, Problem> {
    let named = |name: &str, value: Value| Value::Object(Map::from_iter([(name.to_owned(), value)]));
    Ok(match item {
        Item::Layer(layer) => named("layer", super::to_value(layer)?),
        Item::Scene(scene) => named("scene", super::to_value(scene)?),
        Item::Source(strip) => named("source", super::to_value(strip)?),
        Item::Output(output) => named("output", super::to_value(output)?),
        Item::Preview(preview) => named("preview", json!(preview.scene)),
        Item::Take { scene, preview, frames } => {
            let rate = done.item.snapshot.document.show.canvas.fps;
            let end = done.applied.map(|first| first.frame + frames);
            let end = end.map(|frame| Applied { frame, pts_ms: rate.ms_of(frame) });
            json!({
                "scene": scene, "preview": preview,
                "endFrame": end.map(|end| end.frame), "endPtsMs": end.map(|end| end.pts_ms),
            })
        }
        Item::Stream | Item::Gone => json!({}),
    })
}

/// Longest time after a transaction of which a picture is made, in seconds: a day.
const AFTER_S_MAX: f64 = 86_400.0;

/// Takes the last change back.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/undo",
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/StreamAnswer")))
)]
pub(super) async fn undo(State(app): State<App>, By(by): By, Path(id): Path<String>) -> Answer {
    streams::answer(app.streams.undo(&by, &id).await?).map(IntoResponse::into_response)
}

/// Does again what was taken back.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/redo",
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/StreamAnswer")))
)]
pub(super) async fn redo(State(app): State<App>, By(by): By, Path(id): Path<String>) -> Answer {
    streams::answer(app.streams.redo(&by, &id).await?).map(IntoResponse::into_response)
}

/// Lists the last revisions, oldest first.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/history",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/History")))
)]
pub(super) async fn history(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let shown = |record: &Record| {
        json!({
            "revision": record.revision, "actor": record.actor, "atUtcMs": record.at_utc_ms, "ops": *record.ops,
            "appliedFrame": record.applied.map(|applied| applied.frame),
            "ptsMs": record.applied.map(|applied| applied.pts_ms),
        })
    };
    let records = app.streams.history(&id)?;
    Ok(Json(json!({ "history": records.iter().map(shown).collect::<Vec<_>>() })).into_response())
}
