//! `/api/v1/streams/{id}/transactions`, `.../undo`, `.../redo` and `.../history`: several changes on one frame, and the way
//! back.

use axum::{Json, extract::State, response::IntoResponse};
use serde_json::{Map, Value, json};

use super::{
    Answer, App,
    auth::{Caller, Role},
    body::Body,
    by::By,
    path::Path,
    problem::Problem,
    receipt, streams,
};
use crate::{
    pipeline::Applied,
    state::{Done, Error, Item, Op, Receipt, Record, Transaction},
};

/// Applies up to 256 changes on one frame, or none of them.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/transactions",
    request_body = ref("#/components/schemas/Transaction"),
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/TransactionAnswer")))
)]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    By(by): By,
    Path(id): Path<String>,
    Body(value): Body,
) -> Answer {
    let transaction = Transaction::read(value, by).map_err(Error::Invalid)?;
    let takes_admin = |op: &Op| matches!(op, Op::CreateOutput(_) | Op::PatchOutput(_) | Op::DeleteOutput(_));
    if transaction.ops.iter().any(takes_admin) {
        caller.may_of(Role::Admin, &id)?;
    }
    Ok(Json(answer(&app.streams.transact(&id, &transaction).await?)?).into_response())
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
