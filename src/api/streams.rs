//! `/api/v1/streams/{id}`: the stream's document, its run, its status and its picture.

#![allow(unused_qualifications, reason = "`utoipa::path` names the types of queries anew")]

use std::io::Cursor;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use image::{
    RgbaImage,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::IntoParams;

use super::{
    Answer, App,
    auth::Caller,
    body::Body,
    by::By,
    conditions::Revision,
    locks,
    overlay::Overlay,
    path::{Path, Query},
    problem::Problem,
    receipt,
};
use crate::{
    base::id::Id,
    output::Stats,
    pipeline::Report,
    scene::LayerError,
    state::{Document, Live, Receipt, Snapshot},
};

/// Lists the streams that the caller may see.
#[utoipa::path(
    get, path = "/api/v1/streams",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/StreamList")))
)]
pub(super) async fn list(State(app): State<App>, caller: Caller) -> Answer {
    let mut streams = app.streams.list();
    streams.retain(|stream| caller.sees(stream.document.id.as_str()));
    let streams: Vec<Value> = streams.iter().map(shown).collect::<Result<_, _>>()?;
    Ok(Json(json!({ "streams": streams })).into_response())
}

/// Makes a stream, and starts it unless `autoStart` is false.
#[utoipa::path(
    post, path = "/api/v1/streams",
    request_body = ref("#/components/schemas/Stream"),
    responses((status = 201, description = "Made; `Location` says where.", body = ref("#/components/schemas/StreamAnswer")))
)]
pub(super) async fn create(State(app): State<App>, By(by): By, Body(value): Body) -> Answer {
    let document = Document::read(value).map_err(crate::state::Error::Invalid)?;
    app.streams.check_secrets(&document)?;
    let location = format!("/api/v1/streams/{}", document.id);
    let created = app.streams.create(&by, document).await?;
    let body = answer(created)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], body).into_response())
}

/// Shows the document of a stream.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/StreamShown")))
)]
pub(super) async fn get(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let snapshot = app.streams.get(&id)?;
    Ok((Revision(snapshot.revision), Json(shown(&snapshot)?)).into_response())
}

/// Changes fields of a stream.
#[utoipa::path(
    patch, path = "/api/v1/streams/{id}",
    request_body = ref("#/components/schemas/StreamPatch"),
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/StreamAnswer")))
)]
pub(super) async fn patch(State(app): State<App>, By(by): By, Path(id): Path<String>, Body(patch): Body) -> Answer {
    Ok(answer(app.streams.patch(&by, &id, &patch).await?)?.into_response())
}

/// Stops a stream and deletes it.
#[utoipa::path(delete, path = "/api/v1/streams/{id}", responses((status = 204, description = "Done.")))]
pub(super) async fn delete(State(app): State<App>, By(by): By, Path(id): Path<String>) -> Answer {
    app.streams.delete(&by, &id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Starts, stops, pauses, resumes a stream, or starts it anew.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/{action}",
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/StreamAnswer")))
)]
pub(super) async fn act(State(app): State<App>, By(by): By, Path((id, action)): Path<(String, String)>) -> Answer {
    let done = match action.as_str() {
        "start" => app.streams.start(&by, &id).await,
        "stop" => app.streams.stop(&by, &id).await,
        "pause" => app.streams.set_paused(&by, &id, true).await,
        "resume" => app.streams.set_paused(&by, &id, false).await,
        "reset" => app.streams.reset(&by, &id).await,
        _ => {
            let detail = format!("there is no action `{action}`: use start, stop, pause, resume or reset");
            return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", detail));
        }
    }?;
    Ok(answer(done)?.into_response())
}

/// Shows how a stream fares.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/status",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/Status")))
)]
pub(super) async fn status(State(app): State<App>, Path(id): Path<String>) -> Answer {
    Ok(Json(status_of(&app, &id)?).into_response())
}

/// What a stream shows of itself.
pub(super) fn status_of(app: &App, id: &str) -> Result<Value, Problem> {
    let snapshot = app.streams.get(id)?;
    let mut status = match app.streams.live(id)? {
        Some(live) => live_status(&live),
        None => json!({ "uptimeMs": 0, "activeFps": 0.0, "outputs": [], "layerErrors": [], "layerWarnings": [] }),
    };
    let gpu = app.streams.services().devices.report();
    status["state"] = json!(snapshot.state);
    status["revision"] = json!(snapshot.revision);
    let store = app.streams.store_health().standing();
    status["store"] = json!({ "name": store.store, "pendingRecords": store.pending, "problem": store.problem,
        "warnings": store.warnings });
    status["locks"] = app.streams.locks(id)?.iter().map(locks::shown).collect();
    status["scheduled"] = json!(app.streams.schedule_tally(id)?.pending);
    status["gpu"] = json!({ "adapter": gpu.name, "driver": gpu.driver, "software": gpu.is_software });
    Ok(status)
}

/// Names follow OBS's statistics, so that dashboards port over. What there is of each rendition is said of the main one.
fn live_status(live: &Live) -> Value {
    let metrics = &live.metrics;
    let renders = metrics.render_seconds.get_sample_count();
    let render_ms = metrics.render_seconds.get_sample_sum() * 1000.0 / renders.max(1) as f64;
    let skipped: u64 = live.outputs().map(|(_, output)| output.output_skipped_frames).sum();
    let told = |said: &[LayerError]| -> Vec<Value> {
        said.iter().map(|error| json!({ "layer": error.layer, "message": &*error.message })).collect()
    };
    let mut status = json!({
        "uptimeMs": live.uptime.as_millis() as u64,
        "renderTotalFrames": metrics.frames_rendered.get(),
        "renderUnchangedFrames": metrics.frames_unchanged.get(),
        "averageFrameRenderMs": (render_ms * 100.0).round() / 100.0,
        "outputSkippedFrames": skipped,
        "audio": super::sound::shown(&live.sound),
        "renditions": live.renditions.iter().map(rendition_status).collect::<Vec<_>>(),
        "outputs": live.outputs().map(|(rendition, output)| output_status(rendition, output)).collect::<Vec<_>>(),
        "layerErrors": told(&live.layer_errors),
        "layerWarnings": told(&live.layer_warnings),
        "animationEvents": live.animation_events,
    });
    if let (Some(all), Some(main)) = (status.as_object_mut(), live.renditions.first()) {
        all.extend(encoding(main));
    }
    status
}

fn rendition_status(report: &Report) -> Value {
    let mut status = encoding(report);
    status.insert("id".into(), json!(report.id));
    status.insert("width".into(), json!(report.size.width()));
    status.insert("height".into(), json!(report.size.height()));
    status.insert("fps".into(), json!(report.rate));
    Value::Object(status)
}

/// What a rendition's encoder does.
fn encoding(Report { backend, metrics, target_kbps, bitrate_changes, .. }: &Report) -> Map<String, Value> {
    let fields = [
        ("activeFps", json!((metrics.active_fps.get() * 100.0).round() / 100.0)),
        ("avSkewMs", json!(metrics.av_skew_ms.get())),
        ("renderRepeatedFrames", json!(metrics.frames_repeated.get())),
        ("encodedFrames", json!(metrics.frames_encoded.get())),
        ("encodeRefinedFrames", json!(metrics.frames_refined.get())),
        ("encodeStillFrames", json!(metrics.frames_still.get())),
        ("encodeDroppedFrames", json!(metrics.frames_dropped.get())),
        ("encoder", {
            let bitrate_kbps = metrics.bitrate_bps.get() / 1000;
            json!({ "backend": backend, "bitrateKbps": bitrate_kbps, "targetKbps": target_kbps })
        }),
        ("bitrateChanges", json!(bitrate_changes)),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn output_status(rendition: &Id, output: &Stats) -> Value {
    let mut status = json!(output);
    status["rendition"] = json!(rendition);
    status
}

/// What may stand behind the `?` of a still.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    overlay: Option<Overlay>,
    /// Anything: another address, so that a browser does not show the still that it has.
    #[serde(default, rename = "t")]
    _t: Option<String>,
}

/// Gives the picture on air as a PNG.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/program.png",
    params(Wanted),
    responses((status = 200, description = "What there is.", content_type = "image/png", body = Vec<u8>))
)]
pub(super) async fn program_png(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let mut still = app.streams.capture(&id).await?;
    if let Some(overlay) = wanted.overlay {
        overlay.draw(&mut still);
    }
    png_answer(still.picture).await
}

/// A picture of the moment.
pub(super) async fn png_answer(image: RgbaImage) -> Answer {
    let internal = |detail: String| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail);
    let png = tokio::task::spawn_blocking(move || png_of(&image)).await.map_err(|error| internal(error.to_string()))?;
    let png = png.map_err(|error| internal(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, "no-store")], png).into_response())
}

fn png_of(image: &RgbaImage) -> image::ImageResult<Vec<u8>> {
    let mut png = Cursor::new(Vec::new());
    image.write_with_encoder(PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Sub))?;
    Ok(png.into_inner())
}

/// What GET of a stream answers.
pub(super) fn shown(snapshot: &Snapshot) -> Result<Value, Problem> {
    let mut value = super::to_value(&*snapshot.document)?;
    value["state"] = json!(snapshot.state);
    value["revision"] = json!(snapshot.revision);
    Ok(value)
}

pub(super) fn answer(done: Receipt<Snapshot>) -> Result<Response, Problem> {
    let mut value = receipt(&done);
    value["state"] = json!(done.item.state);
    value["stream"] = super::to_value(&*done.item.document)?;
    Ok(Json(value).into_response())
}
