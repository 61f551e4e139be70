//! What is asked of the daemon as a whole: its health, its metrics, the description of its API.

use axum::{
    Extension, Json,
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    Answer, App,
    auth::Caller,
    listing::{Page, Paging, link, number},
    openapi,
    path::Query,
    problem::Problem,
};
use crate::state::RunState;

/// Answers as long as the process does.
#[utoipa::path(get, path = "/healthz", responses((status = 200, description = "It runs.", body = ref("#/components/schemas/Health"))))]
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Says whether the GPU works and every stream that should run does.
///
/// It is degraded while the state is not kept: streams go on. Before the start is over nothing listens.
///
/// The reasons are told to who may know which streams there are.
#[utoipa::path(
    get, path = "/readyz",
    responses(
        (status = 200, description = "It is ready, or degraded: what is on air goes on, but is not kept.", body = ref("#/components/schemas/Readiness")),
        (status = 503, description = "It is not, and why.", body = ref("#/components/schemas/Readiness"))
    )
)]
pub(super) async fn readyz(State(app): State<App>, caller: Option<Extension<Caller>>) -> Response {
    let mut reasons = Vec::new();
    if !app.streams.services().devices.is_healthy() {
        reasons.push("the GPU is lost".to_owned());
    }
    let failed = app.streams.list().into_iter().filter(|snapshot| snapshot.state == RunState::Failed);
    reasons.extend(failed.map(|snapshot| format!("stream {} did not start", snapshot.document.id)));
    let problem = app.streams.store_health().standing().problem;
    let (status, word) = match (reasons.is_empty(), &problem) {
        (true, None) => (StatusCode::OK, "ready"),
        // What is on air needs no store: nobody is to be taken out of service for it.
        (true, Some(_)) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "notReady"),
    };
    reasons.extend(problem);
    if caller.is_none() {
        reasons.iter_mut().for_each(|reason| *reason = "send a token to see it".into());
    }
    (status, Json(json!({ "status": word, "reasons": reasons }))).into_response()
}

/// Gives the metrics for Prometheus.
#[utoipa::path(
    get, path = "/metrics",
    responses((status = 200, description = "Prometheus's text format.", content_type = "text/plain", body = String))
)]
pub(super) async fn metrics(State(app): State<App>) -> Answer {
    let internal =
        |error: prometheus::Error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string());
    let text = app.metrics.text().map_err(internal)?;
    Ok(([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response())
}

/// Gives this description.
#[utoipa::path(get, path = "/api/v1/openapi.json", responses((status = 200, description = "OpenAPI 3.1.", body = Object)))]
pub(super) async fn openapi() -> Json<&'static Value> {
    Json(openapi::document())
}

/// Lists who did what: the last entries, oldest first.
#[utoipa::path(
    get, path = "/api/v1/audit",
    params(Paging),
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/Audit")))
)]
pub(super) async fn audit(State(app): State<App>, uri: Uri, Query(paging): Query<Paging>) -> Answer {
    let Page { items, next } = paging.page(app.access.noted(), |entry| number(entry.number()))?;
    let body = Json(json!({ "entries": items, "next": next }));
    Ok((link(&uri, next.as_deref()), body).into_response())
}
