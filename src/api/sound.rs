//! `/api/v1/streams/{id}/audio`: the sound of a stream, the sources it is mixed of, and what its meters show.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Answer, App, body::Body, by::By, conditions::Revision, path::Path, problem::Problem, receipt};
use crate::{
    audio::{Levels, Reading},
    state::{Edit, Mixed, Receipt},
};

fn answer<T: Serialize>(done: &Receipt<Mixed<T>>) -> Result<Json<Value>, Problem> {
    let mut value = receipt(done);
    value["appliedSample"] = json!(done.item.sample);
    value["source"] = super::to_value(&done.item.item)?;
    Ok(Json(value))
}

/// Shows the sound: its limiter, its bitrate, its sources.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/audio",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/Audio")))
)]
pub(super) async fn get(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let snapshot = app.streams.get(&id)?;
    Ok((Revision(snapshot.revision), Json(super::to_value(&snapshot.document.audio)?)).into_response())
}

/// Changes fields of the sound.
#[utoipa::path(
    patch, path = "/api/v1/streams/{id}/audio",
    request_body = ref("#/components/schemas/AudioPatch"),
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/AudioAnswer")))
)]
pub(super) async fn patch(State(app): State<App>, By(by): By, Path(id): Path<String>, Body(patch): Body) -> Answer {
    let done = app.streams.patch_audio(&by, &id, patch).await?;
    let mut value = receipt(&done);
    value["audio"] = super::to_value(&done.item.document.audio)?;
    Ok(Json(value).into_response())
}

/// Acts on the sound: `resetLoudness`.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/audio/actions/{action}",
    responses((status = 204, description = "Done."))
)]
pub(super) async fn act(State(app): State<App>, Path((id, action)): Path<(String, String)>) -> Answer {
    match action.as_str() {
        "resetLoudness" => app.streams.reset_loudness(&id)?,
        _ => {
            let detail = format!("there is no action `{action}` of the sound: use resetLoudness");
            return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", detail));
        }
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Lists the sources of the sound.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/audio/sources",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/AudioSourceList")))
)]
pub(super) async fn list(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let snapshot = app.streams.get(&id)?;
    let sources = super::to_value(&snapshot.document.audio.mix.sources)?;
    Ok((Revision(snapshot.revision), Json(json!({ "revision": snapshot.revision, "sources": sources })))
        .into_response())
}

/// Adds a source.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/audio/sources",
    request_body = ref("#/components/schemas/AudioSource"),
    responses((status = 201, description = "Made; `Location` says where.", body = ref("#/components/schemas/AudioSourceAnswer")))
)]
pub(super) async fn create(State(app): State<App>, By(by): By, Path(id): Path<String>, Body(value): Body) -> Answer {
    let done = app.streams.create_source(&by, &id, value).await?;
    let location = format!("/api/v1/streams/{id}/audio/sources/{}", done.item.item.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], answer(&done)?).into_response())
}

/// Shows a source.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/audio/sources/{sourceId}",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/AudioSource")))
)]
pub(super) async fn get_source(State(app): State<App>, Path((id, source_id)): Path<(String, String)>) -> Answer {
    let snapshot = app.streams.get(&id)?;
    let not_found = || crate::state::Error::NotFound { what: "source", id: source_id.clone() };
    let source = snapshot.document.audio.mix.source(&source_id).ok_or_else(not_found)?;
    Ok((Revision(snapshot.revision), Json(super::to_value(source)?)).into_response())
}

/// Replaces a source.
#[utoipa::path(
    put, path = "/api/v1/streams/{id}/audio/sources/{sourceId}",
    request_body = ref("#/components/schemas/AudioSourceReplacement"),
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/AudioSourceAnswer")))
)]
pub(super) async fn put_source(
    State(app): State<App>,
    By(by): By,
    Path((id, source_id)): Path<(String, String)>,
    Body(value): Body,
) -> Answer {
    Ok(answer(&app.streams.change_source(&by, &id, &source_id, Edit::Replace(value)).await?)?.into_response())
}

/// Changes fields of a source.
#[utoipa::path(
    patch, path = "/api/v1/streams/{id}/audio/sources/{sourceId}",
    request_body = ref("#/components/schemas/AudioSourcePatch"),
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/AudioSourceAnswer")))
)]
pub(super) async fn patch_source(
    State(app): State<App>,
    By(by): By,
    Path((id, source_id)): Path<(String, String)>,
    Body(patch): Body,
) -> Answer {
    Ok(answer(&app.streams.change_source(&by, &id, &source_id, Edit::Merge(patch)).await?)?.into_response())
}

/// Takes a source away.
#[utoipa::path(
    delete, path = "/api/v1/streams/{id}/audio/sources/{sourceId}",
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/SoundReceipt")))
)]
pub(super) async fn delete_source(
    State(app): State<App>,
    By(by): By,
    Path((id, source_id)): Path<(String, String)>,
) -> Answer {
    let done = app.streams.delete_source(&by, &id, &source_id).await?;
    let mut value = receipt(&done);
    value["appliedSample"] = json!(done.item.sample);
    Ok(Json(value).into_response())
}

/// What the meters show, for the status and for who has subscribed to them; hundredths of a decibel are enough.
pub(super) fn shown(reading: &Reading) -> Value {
    // Nothing is not minus nothing.
    let round = |db: f64| (db * 100.0).round() / 100.0 + 0.0;
    let levels =
        |levels: &Levels| json!({ "peakDbfs": levels.peak_dbfs.map(round), "rmsDbfs": levels.rms_dbfs.map(round) });
    let loudness = &reading.loudness;
    let sources = reading.sources.iter().map(|source| {
        let mut shown = levels(&source.levels);
        shown["id"] = json!(source.id);
        if let Some(problem) = &source.problem {
            shown["problem"] = json!(&**problem);
        }
        if source.is_over {
            shown["isOver"] = json!(true);
        }
        shown
    });
    let mut shown = levels(&reading.levels);
    for (name, value) in [
        ("momentaryLufs", json!(round(loudness.momentary_lufs))),
        ("shortTermLufs", json!(round(loudness.short_term_lufs))),
        ("integratedLufs", json!(round(loudness.integrated_lufs))),
        ("loudnessRangeLu", json!(round(loudness.range_lu))),
        ("truePeakMaxDbtp", json!(round(loudness.true_peak_dbtp))),
        ("truePeakDbtp", json!(reading.true_peak_dbtp.map(round))),
        ("limiterReductionDb", json!(round(reading.limiter_reduction_db))),
        ("isSilent", json!(reading.is_silent)),
        ("sources", sources.collect()),
    ] {
        shown[name] = value;
    }
    shown
}
