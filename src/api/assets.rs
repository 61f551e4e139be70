//! `/api/v1/assets`: uploaded files.
//!
//! ```text
//!  POST /assets                 multipart/form-data: `file`, and before it `name`, `tags`; or the bytes alone: ?name=&tags=
//!  PUT  /assets/{assetId}       the bytes alone, of which the digest is known: again and again the same
//!  GET  /assets?kind=&tag=&q=   …/{assetId}   …/{assetId}/content   …/{assetId}/thumbnail
//!  PATCH, DELETE /assets/{assetId}[?force=true]        POST /assets/collect  {"olderThanMs": …, "dryRun": true}
//! ```
//!
//! Bodies are never held in memory. Content types of requests are not believed, those of answers are ours; a content is
//! answered so that no browser takes it for a page: as an attachment, not to be sniffed, without scripts.

#![allow(unused_qualifications, reason = "`utoipa::path` names the types of queries anew")]

use std::{fmt::Display, io, str::FromStr, time::Duration};

use axum::{
    Json,
    body::Body as RawBody,
    extract::{FromRequest, Multipart, Request, State, multipart::Field},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::IntoResponse,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncSeekExt},
    time::timeout,
};
use tokio_util::io::ReaderStream;
use utoipa::{IntoParams, ToSchema};

use super::{
    Answer, App,
    body::{Arguments, Body},
    listing::{Page, Paging, link},
    path::{Path, Query},
    problem::Problem,
    to_value,
};
use crate::{
    base::digest::Digest,
    media::Kind,
    scene::check::{self, Check},
    state::assets::{Asset, Error, Filter, Incoming, Label, Received},
};

/// How long the next bytes of a body may take.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest field of a form beside the file, in bytes.
const FIELD_LEN_MAX: usize = 4096;
/// Most fields of a form.
const FIELDS_MAX: usize = 16;
/// What a content is read in.
const READ_BYTES: usize = 64 << 10;
/// Years that an asset may be collected after.
const AGES_MS: std::ops::RangeInclusive<f64> = 0.0..=3.2e11;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        let (status, code) = match error {
            Error::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Error::TooLong(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Error::Full { .. } => (StatusCode::INSUFFICIENT_STORAGE, "quota_exceeded"),
            Error::Busy(_) => (StatusCode::TOO_MANY_REQUESTS, "busy"),
            Error::OtherContent { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "other_content"),
            Error::UnknownFormat => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unknown_format"),
            Error::Refused(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_asset"),
            Error::InUse { .. } => (StatusCode::CONFLICT, "in_use"),
            Error::Invalid(problems) => return crate::state::Error::Invalid(problems).into(),
            Error::Io(_) | Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        if status.is_server_error() {
            tracing::error!(code, detail, "request failed");
        }
        Self::new(status, code, detail)
    }
}

/// What may stand behind the `?` of the list: a filter and a page, which serde does not read in one from two types.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    kind: Option<Kind>,
    tag: Option<String>,
    q: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Lists the uploaded files.
#[utoipa::path(
    get, path = "/api/v1/assets",
    params(Filter, Paging),
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/AssetList")))
)]
pub(super) async fn list(State(app): State<App>, uri: Uri, Query(wanted): Query<Wanted>) -> Answer {
    let Wanted { kind, tag, q, limit, cursor } = wanted;
    let all = app.assets.list(&Filter { kind, tag, q });
    let Page { items, next } = Paging { limit, cursor }.page(all, |asset| asset.id.to_string())?;
    let assets = items.iter().map(|asset| shown(asset)).collect::<Result<Vec<_>, _>>()?;
    let body = Json(json!({ "assets": assets, "amount": app.assets.amount(), "next": next }));
    Ok((link(&uri, next.as_deref()), body).into_response())
}

/// Shows what is known of a file, and where it is used.
#[utoipa::path(
    get, path = "/api/v1/assets/{assetId}",
    responses((status = 200, description = "What there is.", body = ref("#/components/schemas/AssetShown")))
)]
pub(super) async fn get(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let asset = app.assets.get(&id)?;
    let mut value = shown(&asset)?;
    value["usedAt"] = to_value(&app.assets.places(&asset, &app.streams))?;
    Ok(Json(value).into_response())
}

/// Changes the name and the tags of a file.
#[utoipa::path(
    patch, path = "/api/v1/assets/{assetId}",
    request_body = ref("#/components/schemas/AssetPatch"),
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/AssetAnswer")))
)]
pub(super) async fn patch(State(app): State<App>, Path(id): Path<String>, Body(patch): Body) -> Answer {
    Ok(Json(json!({ "asset": shown(&*app.assets.patch(&id, patch)?)? })).into_response())
}

/// What may stand behind the `?` of a deletion.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Insistence {
    #[serde(default)]
    force: bool,
}

/// Deletes a file, also one that is in use if that is insisted on.
#[utoipa::path(
    delete, path = "/api/v1/assets/{assetId}",
    params(Insistence),
    responses((status = 204, description = "Done."))
)]
pub(super) async fn delete(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(Insistence { force }): Query<Insistence>,
) -> Answer {
    app.assets.delete(&id, force, &app.streams)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Debug, serde::Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Collection {
    #[schema(minimum = 0, maximum = 320000000000.0)]
    older_than_ms: f64,
    dry_run: bool,
}

impl Default for Collection {
    fn default() -> Self {
        Self { older_than_ms: 86_400_000.0, dry_run: false }
    }
}

/// Deletes files that no document uses.
#[utoipa::path(
    post, path = "/api/v1/assets/collect",
    request_body(content = Option<Collection>),
    responses((status = 200, description = "Done.", body = ref("#/components/schemas/CollectAnswer")))
)]
pub(super) async fn collect(State(app): State<App>, Arguments(arguments): Arguments) -> Answer {
    let wanted: Collection = match arguments {
        Value::Null => Collection::default(),
        arguments => check::read(arguments).map_err(Error::Invalid)?,
    };
    let mut check = Check::default();
    check.range("/olderThanMs", wanted.older_than_ms, AGES_MS);
    check.finish().map_err(Error::Invalid)?;
    let age = Duration::from_secs_f64(wanted.older_than_ms / 1000.0);
    let collected = app.assets.collect(age, now_utc_ms(&app), wanted.dry_run, &app.streams)?;
    let bytes: u64 = collected.iter().map(|asset| asset.bytes).sum();
    let ids: Vec<_> = collected.iter().map(|asset| asset.id).collect();
    Ok(Json(json!({ "collected": ids, "bytes": bytes, "dryRun": wanted.dry_run })).into_response())
}

fn now_utc_ms(app: &App) -> i64 {
    app.streams.services().clock.utc_ms()
}

/// What may stand behind the `?` of bytes that come alone.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    #[serde(default)]
    name: String,
    /// With commas between them.
    #[serde(default)]
    tags: String,
}

impl Named {
    fn label(&self) -> Result<Label, Error> {
        let tags = self.tags.split(',').map(str::trim).filter(|tag| !tag.is_empty());
        Ok(Label::new(&self.name, tags.map(str::to_owned))?)
    }
}

/// Uploads a file.
#[utoipa::path(
    post, path = "/api/v1/assets",
    request_body(content((Vec<u8> = "application/octet-stream"), (ref("#/components/schemas/Upload") = "multipart/form-data"))),
    params(Named),
    responses((status = 201, description = "Made; `Location` says where.", body = ref("#/components/schemas/UploadAnswer")))
)]
pub(super) async fn create(State(app): State<App>, Query(named): Query<Named>, request: Request) -> Answer {
    let received = if is_form(request.headers()) {
        from_form(&app, request).await?
    } else {
        from_body(&app, named.label()?, None, request).await?
    };
    answer(&received)
}

/// Uploads the file of this digest.
#[utoipa::path(
    put, path = "/api/v1/assets/{assetId}",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    params(Named),
    responses((status = 201, description = "Made; `Location` says where.", body = ref("#/components/schemas/UploadAnswer")))
)]
pub(super) async fn put(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(named): Query<Named>,
    request: Request,
) -> Answer {
    let wanted = Digest::from_str(&id);
    let wanted = wanted.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "bad_path", error.to_string()))?;
    answer(&from_body(&app, named.label()?, Some(wanted), request).await?)
}

fn answer(received: &Received) -> Answer {
    let location = format!("/api/v1/assets/{}", received.asset.id);
    let body = Json(json!({ "asset": shown(&received.asset)?, "isNew": received.is_new }));
    let status = if received.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, [(header::LOCATION, location)], body).into_response())
}

async fn from_body(app: &App, label: Label, wanted: Option<Digest>, request: Request) -> Result<Received, Problem> {
    let incoming = app.assets.receive(length_of(request.headers()))?;
    let incoming = filled(incoming, request.into_body().into_data_stream()).await?;
    Ok(incoming.finish(wanted, label, now_utc_ms(app)).await?)
}

async fn filled<E: Display>(
    mut incoming: Incoming,
    mut pieces: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<Incoming, Problem> {
    while let Some(piece) = next(&mut pieces).await? {
        incoming = incoming.write(&piece).await?;
    }
    Ok(incoming)
}

/// The next bytes of a body, if they come in time.
async fn next<E: Display>(
    pieces: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
) -> Result<Option<Bytes>, Problem> {
    let piece = timeout(PIECE_TIMEOUT, pieces.next()).await.map_err(|_| too_slow())?;
    piece.transpose().map_err(|error| broken_off(&error.to_string()))
}

/// Takes the first file of a form; what is said of it stands before it.
async fn from_form(app: &App, request: Request) -> Result<Received, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "bad_form", detail);
    let mut form = Multipart::from_request(request, app).await.map_err(|rejection| bad(rejection.body_text()))?;
    let mut named = Named::default();
    for _ in 0..FIELDS_MAX {
        let field = timeout(PIECE_TIMEOUT, form.next_field()).await.map_err(|_| too_slow())?;
        let Some(field) = field.map_err(|error| bad(error.body_text()))? else { break };
        match field.name() {
            Some("name") => named.name = text_of(field).await?,
            Some("tags") => named.tags = text_of(field).await?,
            Some("file") => {
                if named.name.is_empty() {
                    named.name = base_name(field.file_name().unwrap_or_default());
                }
                return from_field(app, named.label()?, field).await;
            }
            other => {
                let name = other.unwrap_or_default();
                return Err(bad(format!("there is no field `{name}`: use name and tags, and behind them file")));
            }
        }
    }
    Err(bad("there is no field `file` in the form".into()))
}

async fn from_field(app: &App, label: Label, field: Field<'_>) -> Result<Received, Problem> {
    let incoming = filled(app.assets.receive(None)?, field).await?;
    Ok(incoming.finish(None, label, now_utc_ms(app)).await?)
}

async fn text_of(mut field: Field<'_>) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(piece) = next(&mut field).await? {
        if bytes.len() + piece.len() > FIELD_LEN_MAX {
            let detail = format!("a field of the form is longer than {FIELD_LEN_MAX} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail));
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes)
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "bad_form", "a field of the form is not UTF-8"))
}

/// What is behind the last slash of either kind: some clients send the way to the file, too.
fn base_name(name: &str) -> String {
    name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
}

fn too_slow() -> Problem {
    let detail = format!("no bytes came for {} s", PIECE_TIMEOUT.as_secs());
    Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", detail)
}

fn broken_off(reason: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_body", format!("the upload broke off: {reason}"))
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data")
}

fn length_of(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Gives the bytes of a file, or the range of them that is asked for.
#[utoipa::path(
    get, path = "/api/v1/assets/{assetId}/content",
    responses((status = 200, description = "What there is.", content_type = "*/*", body = Vec<u8>))
)]
pub(super) async fn content(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let asset = app.assets.get(&id)?;
    let etag = format!("\"{}\"", asset.id.hex());
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok()).and_then(|range| {
        // One range; what is not understood is not there, as RFC 9110 has it.
        range_of(range, asset.bytes)
    });
    let (status, first, length) = match range {
        Some(Some((first, last))) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Some(None) => {
            let unsatisfied = [(header::CONTENT_RANGE, format!("bytes */{}", asset.bytes))];
            let detail = format!("the content has {} bytes", asset.bytes);
            let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "bad_range", detail);
            return Ok((unsatisfied, problem).into_response());
        }
        None => (StatusCode::OK, 0, asset.bytes),
    };
    let mut file = tokio::fs::File::from_std(app.assets.open_content(&asset)?);
    file.seek(io::SeekFrom::Start(first)).await.map_err(Error::Io)?;
    let pieces = ReaderStream::with_capacity(file.take(length), READ_BYTES);
    let mut response = (status, RawBody::from_stream(pieces)).into_response();
    let head = response.headers_mut();
    let texts = [
        (header::CONTENT_LENGTH, length.to_string()),
        (header::ETAG, etag),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", asset.id.hex())),
    ];
    for (name, value) in texts {
        head.insert(name, HeaderValue::try_from(value).map_err(|error| Error::Internal(error.to_string()))?);
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let value = format!("bytes {first}-{}/{}", first + length - 1, asset.bytes);
        head.insert(header::CONTENT_RANGE, HeaderValue::try_from(value).map_err(|e| Error::Internal(e.to_string()))?);
    }
    let fixed = [
        (header::CONTENT_TYPE, asset.format.media_type()),
        (header::ACCEPT_RANGES, "bytes"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        // What a digest names does not change.
        (header::CACHE_CONTROL, "private, max-age=31536000, immutable"),
    ];
    fixed.into_iter().for_each(|(name, value)| drop(head.insert(name, HeaderValue::from_static(value))));
    Ok(response)
}

/// First and last byte of a range of `bytes`; the inner none where there are no such bytes.
#[expect(clippy::option_option, reason = "not asked for, asked for in vain, asked for")]
fn range_of(text: &str, bytes: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let end = bytes.checked_sub(1);
    let range = match (first.trim(), last.trim()) {
        ("", last) => {
            let length: u64 = last.parse().ok()?;
            end.filter(|_| length > 0).map(|end| (bytes.saturating_sub(length), end))
        }
        (first, "") => {
            let first = first.parse().ok()?;
            end.map(|end| (first, end))
        }
        (first, last) => {
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            if last < first {
                return None;
            }
            end.map(|end| (first, last.min(end)))
        }
    };
    Some(range.filter(|(first, _)| *first < bytes))
}

/// Gives a small picture of a file.
#[utoipa::path(
    get, path = "/api/v1/assets/{assetId}/thumbnail",
    responses((status = 200, description = "What there is.", content_type = "image/png", body = Vec<u8>))
)]
pub(super) async fn thumbnail(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let asset = app.assets.get(&id)?;
    let kind = asset.kind;
    let png = app.assets.thumbnail(asset).await?;
    let no_looks = || {
        let detail = format!("an asset of kind {kind:?} has no looks: pictures and SVGs have");
        Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
    };
    let headers =
        [(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, "private, max-age=31536000, immutable")];
    Ok((headers, png.ok_or_else(no_looks)?).into_response())
}

fn shown(asset: &Asset) -> Result<Value, Problem> {
    let mut value = to_value(asset)?;
    value["mediaType"] = json!(asset.format.media_type());
    Ok(value)
}
