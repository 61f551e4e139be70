//! `/api/v1/streams/{id}/layers` and `.../outputs`: the parts of a stream, one by one.

use axum::{
    Json,
    extract::{OriginalUri, State},
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Answer, App,
    body::{Arguments, Body},
    by::By,
    conditions::Revision,
    path::Path,
    problem::Problem,
    receipt,
};
use crate::state::{Edit, LayersOf, Receipt};

/// What stands in the path of layers, of a scene or, without one, of the scene on air.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LayersPath {
    id: String,
    scene_id: Option<String>,
}

impl LayersPath {
    fn of(&self) -> LayersOf<'_> {
        LayersOf { stream: &self.id, scene: self.scene_id.as_deref() }
    }
}

/// What stands in the path of one of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LayerPath {
    pub(super) id: String,
    pub(super) scene_id: Option<String>,
    pub(super) layer_id: String,
}

impl LayerPath {
    pub(super) fn of(&self) -> LayersOf<'_> {
        LayersOf { stream: &self.id, scene: self.scene_id.as_deref() }
    }
}

fn answer<T: Serialize>(name: &str, done: &Receipt<T>) -> Result<Json<Value>, Problem> {
    let mut value = receipt(done);
    value[name] = super::to_value(&done.item)?;
    Ok(Json(value))
}

/// Lists the layers, lowest first.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/layers",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/LayerList")))
)]
pub(super) async fn list_layers(State(app): State<App>, Path(path): Path<LayersPath>) -> Answer {
    let snapshot = app.streams.get(&path.id)?;
    let layers = super::to_value(&path.of().scene_in(&snapshot.document.show)?.layers)?;
    Ok((Revision(snapshot.revision), Json(json!({ "revision": snapshot.revision, "layers": layers }))).into_response())
}

/// Adds a layer.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/layers",
    request_body = ref("#/components/schemas/Layer"),
    responses((status = 201, description = "Made; `Location` says where.", body = ref("#/components/schemas/LayerAnswer")))
)]
pub(super) async fn create_layer(
    State(app): State<App>,
    By(by): By,
    Path(path): Path<LayersPath>,
    OriginalUri(uri): OriginalUri,
    Body(value): Body,
) -> Answer {
    let done = app.streams.create_layer(&by, path.of(), value).await?;
    let location = format!("{}/{}", uri.path(), done.item.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], answer("layer", &done)?).into_response())
}

/// Shows a layer.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/layers/{layerId}",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/Layer")))
)]
pub(super) async fn get_layer(State(app): State<App>, Path(path): Path<LayerPath>) -> Answer {
    let snapshot = app.streams.get(&path.id)?;
    let not_found = || crate::state::Error::NotFound { what: "layer", id: path.layer_id.clone() };
    let layer = path.of().scene_in(&snapshot.document.show)?.layer(&path.layer_id).ok_or_else(not_found)?;
    Ok((Revision(snapshot.revision), Json(super::to_value(layer)?)).into_response())
}

/// Replaces a layer.
#[utoipa::path(
    put, path = "/api/v1/streams/{id}/layers/{layerId}",
    request_body = ref("#/components/schemas/LayerReplacement"),
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/LayerAnswer")))
)]
pub(super) async fn put_layer(
    State(app): State<App>,
    By(by): By,
    Path(path): Path<LayerPath>,
    Body(value): Body,
) -> Answer {
    let done = app.streams.change_layer(&by, path.of(), &path.layer_id, Edit::Replace(value)).await?;
    Ok(answer("layer", &done)?.into_response())
}

/// Changes fields of a layer.
#[utoipa::path(
    patch, path = "/api/v1/streams/{id}/layers/{layerId}",
    request_body = ref("#/components/schemas/LayerPatch"),
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/LayerAnswer")))
)]
pub(super) async fn patch_layer(
    State(app): State<App>,
    By(by): By,
    Path(path): Path<LayerPath>,
    Body(patch): Body,
) -> Answer {
    let done = app.streams.change_layer(&by, path.of(), &path.layer_id, Edit::Merge(patch)).await?;
    Ok(answer("layer", &done)?.into_response())
}

/// Takes a layer away.
#[utoipa::path(
    delete, path = "/api/v1/streams/{id}/layers/{layerId}",
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/Receipt")))
)]
pub(super) async fn delete_layer(State(app): State<App>, By(by): By, Path(path): Path<LayerPath>) -> Answer {
    Ok(Json(receipt(&app.streams.delete_layer(&by, path.of(), &path.layer_id).await?)).into_response())
}

/// What stands in the path of an action.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ActionPath {
    id: String,
    scene_id: Option<String>,
    layer_id: String,
    action: String,
}

/// Acts on a layer: which actions there are is the affair of its type of content.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/layers/{layerId}/actions/{action}",
    request_body(content = Option<serde_json::Map<String, Value>>),
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/LayerAnswer")))
)]
pub(super) async fn act_on_layer(
    State(app): State<App>,
    By(by): By,
    Path(path): Path<ActionPath>,
    Arguments(arguments): Arguments,
) -> Answer {
    let of = LayersOf { stream: &path.id, scene: path.scene_id.as_deref() };
    let done = app.streams.act_on_layer(&by, of, &path.layer_id, &path.action, arguments).await?;
    Ok(answer("layer", &done)?.into_response())
}

/// Lists the outputs, each with its document, and with what it shows of itself while the stream runs.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/outputs",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/OutputList")))
)]
pub(super) async fn list_outputs(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let snapshot = app.streams.get(&id)?;
    let outputs = super::to_value(&snapshot.document.outputs)?;
    Ok((Revision(snapshot.revision), Json(json!({ "revision": snapshot.revision, "outputs": outputs })))
        .into_response())
}

/// Adds an output.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/outputs",
    request_body = ref("#/components/schemas/Output"),
    responses((status = 201, description = "Made; `Location` says where.", body = ref("#/components/schemas/OutputAnswer")))
)]
pub(super) async fn create_output(
    State(app): State<App>,
    By(by): By,
    Path(id): Path<String>,
    Body(value): Body,
) -> Answer {
    let done = app.streams.create_output(&by, &id, value).await?;
    let location = format!("/api/v1/streams/{id}/outputs/{}", done.item.id());
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], answer("output", &done)?).into_response())
}

/// Shows an output, and how it fares.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/outputs/{outputId}",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/Output")))
)]
pub(super) async fn get_output(State(app): State<App>, Path((id, output_id)): Path<(String, String)>) -> Answer {
    let snapshot = app.streams.get(&id)?;
    let not_found = || crate::state::Error::NotFound { what: "output", id: output_id.clone() };
    let output = snapshot.document.outputs.iter().find(|output| output.id().as_str() == output_id);
    Ok((Revision(snapshot.revision), Json(super::to_value(output.ok_or_else(not_found)?)?)).into_response())
}

/// Changes fields of an output.
#[utoipa::path(
    patch, path = "/api/v1/streams/{id}/outputs/{outputId}",
    request_body = ref("#/components/schemas/OutputPatch"),
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/OutputAnswer")))
)]
pub(super) async fn patch_output(
    State(app): State<App>,
    By(by): By,
    Path((id, output_id)): Path<(String, String)>,
    Body(patch): Body,
) -> Answer {
    let done = app.streams.patch_output(&by, &id, &output_id, patch).await?;
    Ok(answer("output", &done)?.into_response())
}

/// Ends an output and takes it away.
#[utoipa::path(
    delete, path = "/api/v1/streams/{id}/outputs/{outputId}",
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/Receipt")))
)]
pub(super) async fn delete_output(
    State(app): State<App>,
    By(by): By,
    Path((id, output_id)): Path<(String, String)>,
) -> Answer {
    Ok(Json(receipt(&app.streams.delete_output(&by, &id, &output_id).await?)).into_response())
}

/// Starts or stops an output: the same as setting `enabled`.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/outputs/{outputId}/{action}",
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/OutputAnswer")))
)]
pub(super) async fn act_on_output(
    State(app): State<App>,
    By(by): By,
    Path((id, output_id, action)): Path<(String, String, String)>,
) -> Answer {
    let enabled = match action.as_str() {
        "start" => true,
        "stop" => false,
        _ => {
            let detail = format!("there is no action `{action}`: use start or stop");
            return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", detail));
        }
    };
    let done = app.streams.patch_output(&by, &id, &output_id, json!({ "enabled": enabled })).await?;
    Ok(answer("output", &done)?.into_response())
}
