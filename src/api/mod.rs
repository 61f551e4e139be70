//! The HTTP interface: REST under `/api/v1`, health, metrics, and a page for a first look.
//!
//! JSON in camelCase; errors are problem documents (RFC 9457) with a stable code; mutations answer with the revision
//! and, while the stream runs, the first frame that shows them. A WebSocket tells what happens and takes commands (`events`).
//! OpenAPI is not here yet.

mod as_run;
mod assets;
pub mod auth;
mod body;
mod by;
mod events;
mod overlay;
mod pace;
mod page;
mod parts;
mod path;
mod preview;
mod problem;
mod scenes;
mod snapshots;
mod sound;
mod streams;
mod transactions;

pub use self::events::CLIENTS_MAX_DEFAULT;

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{Method, StatusCode, Uri, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Serialize;
use serde_json::{Value, json};

use self::{
    auth::{Access, Caller},
    problem::Problem,
};
use crate::{
    state::{Receipt, RunState, Streams, asrun::AsRun, assets::Assets},
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
    let layers = Router::new()
        .route("/layers", get(parts::list_layers).post(parts::create_layer))
        .route(
            "/layers/{layer_id}",
            get(parts::get_layer).put(parts::put_layer).patch(parts::patch_layer).delete(parts::delete_layer),
        )
        .route("/layers/{layer_id}/actions/{action}", post(parts::act_on_layer));
    let stream = Router::new()
        .route("/", get(streams::get).patch(streams::patch).delete(streams::delete))
        .route("/status", get(streams::status))
        .route("/program.png", get(streams::program_png))
        .route("/as-run", get(as_run::get))
        .route("/program.jpg", get(preview::program_jpg))
        .route("/program.mjpeg", get(preview::program_mjpeg))
        .route("/scenes", get(scenes::list).post(scenes::create))
        .route("/scenes/{scene_id}", get(scenes::get).put(scenes::put).patch(scenes::patch).delete(scenes::delete))
        .nest("/scenes/{scene_id}", layers.clone())
        .route("/take", post(scenes::take))
        .route("/preview", get(scenes::get_preview).put(scenes::put_preview))
        .route("/preview.png", get(scenes::preview_png))
        .merge(layers)
        .route("/audio", get(sound::get).patch(sound::patch))
        .route("/audio/actions/{action}", post(sound::act))
        .route("/audio/sources", get(sound::list).post(sound::create))
        .route(
            "/audio/sources/{source_id}",
            get(sound::get_source).put(sound::put_source).patch(sound::patch_source).delete(sound::delete_source),
        )
        .route("/transactions", post(transactions::create))
        .route("/undo", post(transactions::undo))
        .route("/redo", post(transactions::redo))
        .route("/history", get(transactions::history))
        .route("/diff", get(snapshots::diff))
        .route("/snapshots", get(snapshots::list).post(snapshots::create))
        .route("/snapshots/{name}", get(snapshots::get).delete(snapshots::delete))
        .route("/snapshots/{name}/restore", post(snapshots::restore))
        .route("/outputs", get(parts::list_outputs).post(parts::create_output))
        .route("/outputs/{output_id}", get(parts::get_output).patch(parts::patch_output).delete(parts::delete_output))
        .route("/outputs/{output_id}/{action}", post(parts::act_on_output))
        .route("/{action}", post(streams::act));
    // Their bodies have limits of their own.
    let uploads = Router::new()
        .route("/api/v1/assets", get(assets::list).post(assets::create))
        .route(
            "/api/v1/assets/{asset_id}",
            get(assets::get).put(assets::put).patch(assets::patch).delete(assets::delete),
        )
        .layer(DefaultBodyLimit::disable());
    Router::new()
        .merge(page::routes())
        .route("/healthz", get(|| async { Json(json!({ "status": "ok" })) }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/v1/streams", get(streams::list).post(streams::create))
        .nest("/api/v1/streams/{id}", stream)
        .route("/api/v1/assets/collect", post(assets::collect))
        .route("/api/v1/assets/{asset_id}/content", get(assets::content))
        .route("/api/v1/assets/{asset_id}/thumbnail", get(assets::thumbnail))
        .route("/api/v1/audit", get(auth::audit))
        .route("/api/v1/events", get(events::open).with_state(events::Hub::new(app.clone())))
        .fallback(|uri: Uri| async move {
            Problem::new(StatusCode::NOT_FOUND, "not_found", format!("there is nothing at {}", uri.path()))
        })
        .method_not_allowed_fallback(|method: Method, uri: Uri| async move {
            let detail = format!("{method} is not possible at {}", uri.path());
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
        })
        .layer(DefaultBodyLimit::max(body::LEN_MAX))
        .merge(uploads)
        .layer(middleware::from_fn_with_state(app.access.clone(), auth::guard))
        .with_state(app)
}

/// Ready: the GPU works, and every stream that should run does. Before the start is over nothing listens.
///
/// The reasons are told to who may know which streams there are.
async fn readyz(State(app): State<App>, caller: Option<Extension<Caller>>) -> Response {
    let mut reasons = Vec::new();
    if !app.streams.services().devices.is_healthy() {
        reasons.push("the GPU is lost".to_owned());
    }
    let failed = app.streams.list().into_iter().filter(|snapshot| snapshot.state == RunState::Failed);
    reasons.extend(failed.map(|snapshot| format!("stream {} did not start", snapshot.document.id)));
    if caller.is_none() {
        reasons.iter_mut().for_each(|reason| *reason = "send a token to see it".into());
    }
    let (status, word) =
        if reasons.is_empty() { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "notReady") };
    (status, Json(json!({ "status": word, "reasons": reasons }))).into_response()
}

async fn metrics(State(app): State<App>) -> Answer {
    let internal =
        |error: prometheus::Error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string());
    let text = app.metrics.text().map_err(internal)?;
    Ok(([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response())
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
