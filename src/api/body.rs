//! The JSON body of a request, bounded, and refused with a problem document.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use serde_json::Value;

use super::problem::Problem;

/// Longest body, in bytes: a scene of 256 layers with long texts.
pub(super) const LEN_MAX: usize = 4 << 20;

/// A request's JSON body.
#[derive(Debug)]
pub(super) struct Body(pub(super) Value);

/// The arguments of an action: a JSON body, or none at all.
#[derive(Debug)]
pub(super) struct Arguments(pub(super) Value);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(not_json());
        }
        parsed(&bytes(request, state).await?).map(Self)
    }
}

impl<S: Send + Sync> FromRequest<S> for Arguments {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let bytes = bytes(request, state).await?;
        match (bytes.is_empty(), is_json) {
            (true, _) => Ok(Self(Value::Null)),
            (false, true) => parsed(&bytes).map(Self),
            (false, false) => Err(not_json()),
        }
    }
}

async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        status => Problem::new(status, "bad_body", rejection.body_text()),
    })
}

pub(super) fn too_large() -> Problem {
    let detail = format!("the body is longer than {LEN_MAX} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
}

fn parsed(bytes: &[u8]) -> Result<Value, Problem> {
    let value = serde_json::from_slice(bytes);
    value.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "malformed_json", error.to_string()))
}

fn not_json() -> Problem {
    let detail = "send application/json or application/merge-patch+json";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", detail)
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.eq_ignore_ascii_case("application/merge-patch+json")
}
