//! The HTTP interface: REST under `/api/v1`, health, metrics, and a page for a first look.
//!
//! JSON in camelCase; errors are problem documents (RFC 9457) with a stable code; mutations answer with the revision
//! and, while the stream runs, the first frame that shows them. A WebSocket tells what happens and takes commands (`events`).
//! `routes` is the table of all routes; `openapi` describes them, `auth` says who may use them.

mod as_run;
mod assets;
pub mod auth;
mod body;
mod by;
mod conditions;
mod docs;
mod events;
mod idempotency;
mod listing;
mod locks;
pub mod openapi;
mod ops;
mod overlay;
mod pace;
mod page;
mod parts;
mod path;
mod preview;
mod problem;
pub mod routes;
mod scenes;
mod schedule;
mod snapshots;
mod sound;
mod streams;
mod transactions;

pub use self::events::CLIENTS_MAX_DEFAULT;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{Method, StatusCode, Uri},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use serde_json::{Value, json};

use self::{auth::Access, problem::Problem};
use crate::{
    state::{Receipt, Streams, asrun::AsRun, assets::Assets},
    telemetry::metrics::Metrics,
};

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct App {
    /// The daemon's streams.
    pub streams: Arc<Streams>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// What was uploaded.
    pub assets: Arc<Assets>,
    /// What was on air.
    pub as_run: Arc<AsRun>,
    /// Most clients of the WebSocket at the same time.
    pub clients_max: usize,
    /// Who may do what.
    pub access: Arc<Access>,
}

type Answer = Result<Response, Problem>;

/// All routes.
pub fn router(app: App) -> Router {
    let answers = idempotency::Answers::new(app.streams.services().clock.clone());
    routes::router()
        .route_layer(middleware::from_fn(conditions::tag))
        .merge(page::routes())
        .route("/docs", get(docs::page))
        .route("/docs/", get(docs::page))
        .route("/docs/{*file}", get(docs::file))
        .fallback(|uri: Uri| async move {
            Problem::new(StatusCode::NOT_FOUND, "not_found", format!("there is nothing at {}", uri.path()))
        })
        .method_not_allowed_fallback(|method: Method, uri: Uri| async move {
            let detail = format!("{method} is not possible at {}", uri.path());
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
        })
        .layer(middleware::from_fn_with_state(answers, idempotency::once))
        .layer(DefaultBodyLimit::max(body::LEN_MAX))
        .layer(middleware::from_fn_with_state(app.access.clone(), auth::guard))
        // Outside of the guard, which knows no rule for a question.
        .layer(middleware::from_fn(options))
        .with_state(routes::Shared::new(app))
}

/// Answers OPTIONS well; what is possible stands in `Allow`, which the router adds.
async fn options(request: Request, next: Next) -> Response {
    let is_question = request.method() == Method::OPTIONS;
    let response = next.run(request).await;
    if is_question && response.status() == StatusCode::METHOD_NOT_ALLOWED {
        return StatusCode::NO_CONTENT.into_response();
    }
    response
}

/// Revision, and the first frame that shows a change.
fn receipt<T>(done: &Receipt<T>) -> Value {
    json!({
        "revision": done.revision,
        "appliedFrame": done.applied.map(|applied| applied.frame),
        "ptsMs": done.applied.map(|applied| applied.pts_ms),
        "actor": done.actor,
        "atUtcMs": done.at_utc_ms,
    })
}

fn to_value(value: &(impl Serialize + ?Sized)) -> Result<Value, Problem> {
    let internal =
        |error: serde_json::Error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string());
    serde_json::to_value(value).map_err(internal)
}
