//! `/api/v1/streams/{id}/layers/{layerId}/lock`: who alone may change a layer for now, on air or of any scene.

use axum::{Json, extract::State, response::IntoResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer, App,
    auth::{Caller, Role},
    body::Body,
    by::By,
    parts::LayerPath,
    path::Path,
};
use crate::{
    scene::check,
    state::{Error, Lock},
};

/// What is shown of a lock.
pub(super) fn shown(lock: &Lock) -> Value {
    json!({ "scene": lock.scene, "layer": lock.layer, "owner": lock.owner, "expiresUtcMs": lock.expires_utc_ms })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    seconds: Option<f64>,
}

/// Shows the lock of a layer.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/layers/{layerId}/lock",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/Lock")))
)]
pub(super) async fn get(State(app): State<App>, Path(path): Path<LayerPath>) -> Answer {
    Ok(Json(shown(&app.streams.lock_of(path.of(), &path.layer_id)?)).into_response())
}

/// Locks a layer for so many seconds, or renews the lock that the caller has.
#[utoipa::path(
    put, path = "/api/v1/streams/{id}/layers/{layerId}/lock",
    request_body = ref("#/components/schemas/LockRequest"),
    responses((status = 200, description = "Locked.", body = ref("#/components/schemas/Lock")))
)]
pub(super) async fn put(State(app): State<App>, By(by): By, Path(path): Path<LayerPath>, Body(value): Body) -> Answer {
    let Wanted { seconds } = check::read(value).map_err(Error::Invalid)?;
    Ok(Json(shown(&app.streams.lock_layer(&by, path.of(), &path.layer_id, seconds).await?)).into_response())
}

/// Releases the lock of a layer; that of somebody else an admin alone.
#[utoipa::path(
    delete, path = "/api/v1/streams/{id}/layers/{layerId}/lock",
    responses((status = 200, description = "Released; as it was.", body = ref("#/components/schemas/Lock")))
)]
pub(super) async fn delete(State(app): State<App>, caller: Caller, By(by): By, Path(path): Path<LayerPath>) -> Answer {
    let may_break = caller.may_of(Role::Admin, path.of().stream).is_ok();
    Ok(Json(shown(&app.streams.unlock_layer(&by, path.of(), &path.layer_id, may_break).await?)).into_response())
}
