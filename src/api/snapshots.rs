//! `/api/v1/streams/{id}/snapshots` and `.../diff`: documents kept under a name, and what differs between kept documents.

#![allow(unused_qualifications, reason = "`utoipa::path` names the types of queries anew")]

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer, App,
    body::Body,
    by::By,
    path::{Path, Query},
    problem::Problem,
    streams,
};
use crate::{
    base::id::Id,
    scene::check,
    state::{Error, Saved},
};

fn shown(saved: &Saved) -> Value {
    json!({ "name": saved.name, "revision": saved.revision, "actor": saved.actor, "atUtcMs": saved.at_utc_ms })
}

/// Lists the named snapshots.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/snapshots",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/SnapshotList")))
)]
pub(super) async fn list(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let saved: Vec<_> = app.streams.saved(&id)?.iter().map(shown).collect();
    Ok(Json(json!({ "snapshots": saved })).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: Id,
}

/// Keeps the document as it is under a name.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/snapshots",
    request_body = ref("#/components/schemas/NewSnapshot"),
    responses((status = 201, description = "Made; `Location` says where.", body = ref("#/components/schemas/Snapshot")))
)]
pub(super) async fn create(State(app): State<App>, By(by): By, Path(id): Path<String>, Body(value): Body) -> Answer {
    let New { name } = check::read(value).map_err(Error::Invalid)?;
    let saved = app.streams.save(&by, &id, name).await?;
    let location = format!("/api/v1/streams/{id}/snapshots/{}", saved.name);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(shown(&saved))).into_response())
}

/// Shows a snapshot with its document, without its secrets.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/snapshots/{name}",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/SnapshotShown")))
)]
pub(super) async fn get(State(app): State<App>, Path((id, name)): Path<(String, String)>) -> Answer {
    let saved = app.streams.saved_as(&id, &name)?;
    let mut value = shown(&saved);
    value["stream"] = super::to_value(&*saved.document)?;
    Ok(Json(value).into_response())
}

/// Forgets a snapshot.
#[utoipa::path(
    delete, path = "/api/v1/streams/{id}/snapshots/{name}",
    responses((status = 204, description = "Done."))
)]
pub(super) async fn delete(State(app): State<App>, By(by): By, Path((id, name)): Path<(String, String)>) -> Answer {
    app.streams.forget_saved(&by, &id, &name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Puts the document of a snapshot on air.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/snapshots/{name}/restore",
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/StreamAnswer")))
)]
pub(super) async fn restore(State(app): State<App>, By(by): By, Path((id, name)): Path<(String, String)>) -> Answer {
    streams::answer(app.streams.restore_saved(&by, &id, &name).await?).map(IntoResponse::into_response)
}

/// What is compared: revisions, or names of snapshots.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Between {
    from: String,
    to: Option<String>,
}

/// Compares two revisions or snapshots, as a JSON patch (RFC 6902).
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/diff",
    params(("from" = String, Query, description = "A revision, or the name of a snapshot."),("to" = Option<String>, Query)),
    responses((status = 200, description = "What there is.", content_type = "application/json-patch+json", body = String))
)]
pub(super) async fn diff(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(Between { from, to }): Query<Between>,
) -> Answer {
    let app = app.streams.clone();
    let work = move || app.diff(&id, &from, to.as_deref());
    let internal =
        |error: tokio::task::JoinError| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string());
    let patch = tokio::task::spawn_blocking(work).await.map_err(internal)??;
    Ok(([(header::CONTENT_TYPE, "application/json-patch+json")], patch.to_string()).into_response())
}
