//! `/api/v1/streams/{id}/scenes`, `.../take` and `.../preview`.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde_json::json;

use super::{Answer, App, body::Body, by::By, conditions::Revision, path::Path, receipt, streams::png_answer};
use crate::{
    scene::Scene,
    state::{Edit, Error, Preview, Receipt},
};

/// Lists the scenes, what is on air and what is in preview.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/scenes",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/SceneList")))
)]
pub(super) async fn list(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let snapshot = app.streams.get(&id)?;
    let document = &snapshot.document;
    let scenes: Vec<&Scene> = document.show.scenes().iter().map(|scene| &**scene).collect();
    let mut value = json!({ "revision": snapshot.revision, "preview": document.preview });
    value["scenes"] = super::to_value(&scenes)?;
    value["program"] = super::to_value(document.show.program())?;
    Ok((Revision(snapshot.revision), Json(value)).into_response())
}

/// Adds a scene.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/scenes",
    request_body = ref("#/components/schemas/Scene"),
    responses((status = 201, description = "Made; `Location` says where.", body = ref("#/components/schemas/SceneAnswer")))
)]
pub(super) async fn create(State(app): State<App>, By(by): By, Path(id): Path<String>, Body(value): Body) -> Answer {
    let done = app.streams.create_scene(&by, &id, value).await?;
    let location = format!("/api/v1/streams/{id}/scenes/{}", done.item.id);
    let answer = answer(&done)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], answer).into_response())
}

/// Shows a scene.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/scenes/{sceneId}",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/Scene")))
)]
pub(super) async fn get(State(app): State<App>, Path((id, scene_id)): Path<(String, String)>) -> Answer {
    let snapshot = app.streams.get(&id)?;
    let not_found = || Error::NotFound { what: "scene", id: scene_id.clone() };
    let scene = snapshot.document.show.scene(&scene_id).ok_or_else(not_found)?;
    Ok((Revision(snapshot.revision), Json(super::to_value(&**scene)?)).into_response())
}

/// Replaces a scene.
#[utoipa::path(
    put, path = "/api/v1/streams/{id}/scenes/{sceneId}",
    request_body = ref("#/components/schemas/SceneReplacement"),
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/SceneAnswer")))
)]
pub(super) async fn put(
    State(app): State<App>,
    By(by): By,
    Path((id, scene_id)): Path<(String, String)>,
    Body(value): Body,
) -> Answer {
    answer(&app.streams.change_scene(&by, &id, &scene_id, Edit::Replace(value)).await?)
}

/// Changes fields of a scene.
#[utoipa::path(
    patch, path = "/api/v1/streams/{id}/scenes/{sceneId}",
    request_body = ref("#/components/schemas/ScenePatch"),
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/SceneAnswer")))
)]
pub(super) async fn patch(
    State(app): State<App>,
    By(by): By,
    Path((id, scene_id)): Path<(String, String)>,
    Body(patch): Body,
) -> Answer {
    answer(&app.streams.change_scene(&by, &id, &scene_id, Edit::Merge(patch)).await?)
}

/// Takes a scene away.
#[utoipa::path(
    delete, path = "/api/v1/streams/{id}/scenes/{sceneId}",
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/Receipt")))
)]
pub(super) async fn delete(State(app): State<App>, By(by): By, Path((id, scene_id)): Path<(String, String)>) -> Answer {
    Ok(Json(receipt(&app.streams.delete_scene(&by, &id, &scene_id).await?)).into_response())
}

/// Puts a scene on air by a transition; says the first frame that shows it alone.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/take",
    request_body = ref("#/components/schemas/TakeRequest"),
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/TakeAnswer")))
)]
pub(super) async fn take(State(app): State<App>, By(by): By, Path(id): Path<String>, Body(value): Body) -> Answer {
    let done = app.streams.take(&by, &id, value).await?;
    let mut value = receipt(&done);
    value["endFrame"] = json!(done.item.end.map(|end| end.frame));
    value["endPtsMs"] = json!(done.item.end.map(|end| end.pts_ms));
    value["scene"] = json!(done.item.scene);
    value["preview"] = json!(done.item.preview);
    Ok(Json(value).into_response())
}

/// Shows what is in preview.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/preview",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/Preview")))
)]
pub(super) async fn get_preview(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let snapshot = app.streams.get(&id)?;
    let scene = snapshot.document.preview.clone();
    Ok((Revision(snapshot.revision), Json(super::to_value(&Preview { scene })?)).into_response())
}

/// Puts a scene into preview.
#[utoipa::path(
    put, path = "/api/v1/streams/{id}/preview",
    request_body = ref("#/components/schemas/Preview"),
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/PreviewAnswer")))
)]
pub(super) async fn put_preview(
    State(app): State<App>,
    By(by): By,
    Path(id): Path<String>,
    Body(value): Body,
) -> Answer {
    let done = app.streams.set_preview(&by, &id, value).await?;
    let mut value = receipt(&done);
    value["scene"] = json!(done.item.scene);
    Ok(Json(value).into_response())
}

/// Gives the picture in preview as a PNG.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/preview.png",
    responses((status = 200, description = "What there is.", content_type = "image/png", body = Vec<u8>))
)]
pub(super) async fn preview_png(State(app): State<App>, Path(id): Path<String>) -> Answer {
    png_answer(app.streams.preview_picture(&id).await?).await
}

fn answer(done: &Receipt<Scene>) -> Answer {
    let mut value = receipt(done);
    value["scene"] = super::to_value(&done.item)?;
    Ok(Json(value).into_response())
}
