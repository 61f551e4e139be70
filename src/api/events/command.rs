//! Commands: what REST does, asked for over the WebSocket, and answered with the same documents.
//!
//! Each goes through the handler that REST has for it, so that there is one way to change a stream. `ifRevision` is what
//! `If-Match` is there.

use axum::{
    body::{Body as HttpBody, to_bytes},
    extract::State,
    http::{Method, StatusCode},
    response::Response,
};
use serde_json::{Map, Value};

use super::message::Command;
use crate::{
    api::{
        Answer, App,
        auth::{Caller, policy},
        body::Body,
        by::By,
        locks,
        parts::LayerPath,
        path::{Path, Query},
        problem::Problem,
        scenes, schedule, streams, transactions,
    },
    scene::check,
    state,
};

/// Longest answer, in bytes; a stream's document is shorter.
const ANSWER_LEN_MAX: usize = 64 << 20;

/// What there is, for who asks for something else.
const COMMANDS: [&str; 12] =
    ["transaction", "cancel", "lock", "unlock", "take", "undo", "redo", "start", "stop", "pause", "resume", "reset"];

/// The route of REST that does the same.
fn route_of(name: &str) -> (Method, &'static str) {
    match name {
        "transaction" => (Method::POST, "/api/v1/streams/{id}/transactions"),
        "cancel" => (Method::DELETE, "/api/v1/streams/{id}/schedule/{scheduledId}"),
        "lock" => (Method::PUT, "/api/v1/streams/{id}/layers/{layerId}/lock"),
        "unlock" => (Method::DELETE, "/api/v1/streams/{id}/layers/{layerId}/lock"),
        "take" => (Method::POST, "/api/v1/streams/{id}/take"),
        "undo" => (Method::POST, "/api/v1/streams/{id}/undo"),
        "redo" => (Method::POST, "/api/v1/streams/{id}/redo"),
        _ => (Method::POST, "/api/v1/streams/{id}/{action}"),
    }
}

/// Does it; gives what REST answers.
pub(super) async fn run(app: App, caller: Caller, command: Command) -> Result<Value, Problem> {
    let (access, stream, name) = (app.access.clone(), command.stream.clone(), command.name.clone());
    access.count_command(&caller)?;
    let done = run_uncounted(app, &caller, command).await;
    access.note_command(&caller, &stream, &name, done.as_ref().map_or_else(Problem::status, |_| StatusCode::OK));
    done
}

async fn run_uncounted(app: App, caller: &Caller, command: Command) -> Result<Value, Problem> {
    let Command { name, stream, mut arguments } = command;
    caller.may_of(policy::role_of_command(route_of(&name)), &stream)?;
    let actor = caller.actor().clone();
    let by = By(state::By { actor, if_revision: if_revision(&mut arguments)? });
    let answer: Answer = match name.as_str() {
        "start" | "stop" | "pause" | "resume" | "reset" => {
            expect_none(&name, &arguments)?;
            streams::act(State(app), by, Path((stream, name))).await
        }
        "undo" | "redo" => {
            expect_none(&name, &arguments)?;
            match name.as_str() {
                "undo" => transactions::undo(State(app), by, Path(stream)).await,
                _ => transactions::redo(State(app), by, Path(stream)).await,
            }
        }
        "transaction" => {
            let how = Query(transactions::How::default());
            transactions::create(State(app), caller.clone(), by, Path(stream), how, Body(arguments.into())).await
        }
        "cancel" => {
            let number = text_of(&name, "scheduled", &mut arguments)?;
            expect_none(&name, &arguments)?;
            schedule::cancel(State(app), by, Path((stream, number))).await
        }
        "lock" | "unlock" => {
            let path = layer_of(&name, stream, &mut arguments)?;
            if name == "lock" {
                return body_of(locks::put(State(app), by, Path(path), Body(arguments.into())).await?).await;
            }
            expect_none(&name, &arguments)?;
            locks::delete(State(app), caller.clone(), by, Path(path)).await
        }
        "take" => scenes::take(State(app), by, Path(stream), Body(arguments.into())).await,
        _ => {
            let detail = format!("there is no command `{name}`: use {}", COMMANDS.join(", "));
            Err(Problem::new(StatusCode::NOT_FOUND, "not_found", detail))
        }
    };
    body_of(answer?).await
}

/// The revision that the stream must have, where the command says so.
fn if_revision(arguments: &mut Map<String, Value>) -> Result<Option<u64>, Problem> {
    let read = |value| check::read(value).map_err(|problems| Problem::of_message(problems.under("/ifRevision")));
    arguments.remove("ifRevision").map(read).transpose()
}

/// The layer that is meant, of a scene or of the one on air.
fn layer_of(name: &str, id: String, arguments: &mut Map<String, Value>) -> Result<LayerPath, Problem> {
    let layer_id = text_of(name, "layer", arguments)?;
    let scene = arguments.contains_key("scene").then(|| text_of(name, "scene", arguments));
    Ok(LayerPath { id, scene_id: scene.transpose()?, layer_id })
}

fn text_of(name: &str, field: &str, arguments: &mut Map<String, Value>) -> Result<String, Problem> {
    match arguments.remove(field) {
        Some(Value::String(text)) => Ok(text),
        _ => {
            let message = format!("expected a text: {name} takes it");
            Err(Problem::of_message(check::Problem { pointer: format!("/{field}"), message }.into()))
        }
    }
}

fn expect_none(name: &str, arguments: &Map<String, Value>) -> Result<(), Problem> {
    match arguments.keys().next() {
        None => Ok(()),
        Some(field) => {
            let detail = format!("unknown field `{field}`: {name} takes no more");
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_document", detail))
        }
    }
}

async fn body_of(response: Response<HttpBody>) -> Result<Value, Problem> {
    let internal = |error: String| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error);
    let bytes = to_bytes(response.into_body(), ANSWER_LEN_MAX).await.map_err(|error| internal(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| internal(error.to_string()))
}
