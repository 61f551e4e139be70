//! Commands: what REST does, asked for over the WebSocket, and answered with the same documents.
//!
//! Each goes through the handler that REST has for it, so that there is one way to change a stream. `ifRevision` is what
//! `If-Match` is there.

use axum::{
    body::{Body as HttpBody, to_bytes},
    extract::State,
    http::StatusCode,
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
        path::{Path, Query},
        problem::Problem,
        scenes, streams, transactions,
    },
    scene::check,
    state,
};

/// Longest answer, in bytes; a stream's document is shorter.
const ANSWER_LEN_MAX: usize = 64 << 20;

/// What there is, for who asks for something else.
const COMMANDS: [&str; 9] = ["transaction", "take", "undo", "redo", "start", "stop", "pause", "resume", "reset"];

/// The route of REST that does the same.
fn route_of(name: &str) -> &'static str {
    match name {
        "transaction" => "/api/v1/streams/{id}/transactions",
        "take" => "/api/v1/streams/{id}/take",
        "undo" => "/api/v1/streams/{id}/undo",
        "redo" => "/api/v1/streams/{id}/redo",
        _ => "/api/v1/streams/{id}/{action}",
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

fn expect_none(name: &str, arguments: &Map<String, Value>) -> Result<(), Problem> {
    match arguments.keys().next() {
        None => Ok(()),
        Some(field) => {
            let detail = format!("unknown field `{field}`: {name} takes none but `stream`");
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_document", detail))
        }
    }
}

async fn body_of(response: Response<HttpBody>) -> Result<Value, Problem> {
    let internal = |error: String| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error);
    let bytes = to_bytes(response.into_body(), ANSWER_LEN_MAX).await.map_err(|error| internal(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| internal(error.to_string()))
}
