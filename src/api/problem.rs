//! Errors as RFC 9457 problem documents, each with a stable code.
//!
//! This is the one table from errors to codes and HTTP statuses.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{pipeline::CaptureError, scene::check, state};

/// A problem document.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// What is wrong with the document, each with its JSON pointer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<check::Problem>,
}

fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    /// A problem of that kind.
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { kind: "about:blank", title, status, code, detail: detail.into(), errors: Vec::new() }
    }

    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong with a message over the WebSocket.
    pub(super) fn of_message(problems: check::Problems) -> Self {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_message", problems.to_string());
        Self { errors: problems.0, ..problem }
    }
}

impl Problem {
    /// What is wrong with an op of a transaction, with the pointer of the op.
    fn in_op(index: usize, error: state::Error) -> Self {
        let pointer = format!("/ops/{index}");
        let mut problem = Self::from(error);
        if problem.errors.is_empty() {
            problem.errors.push(check::Problem { pointer, message: problem.detail.clone() });
        } else {
            problem.errors = check::Problems(problem.errors).under(&pointer).0;
        }
        problem.detail = format!("op {index}: {}", problem.detail);
        problem
    }
}

impl From<state::Error> for Problem {
    fn from(error: state::Error) -> Self {
        use state::Error;
        if let Error::InOp { index, source } = error {
            return Self::in_op(index, *source);
        }
        let detail = error.to_string();
        let (status, code) = match &error {
            Error::NotFound { .. } | Error::NoAction { .. } => (StatusCode::NOT_FOUND, "not_found"),
            Error::Exists { .. } => (StatusCode::CONFLICT, "already_exists"),
            Error::TooMany { .. } => (StatusCode::CONFLICT, "limit_reached"),
            Error::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_document"),
            Error::State { .. } | Error::NoPreview | Error::NothingTo(_) | Error::Over { .. } => {
                (StatusCode::CONFLICT, "wrong_state")
            }
            Error::Conflict { .. } => (StatusCode::PRECONDITION_FAILED, "revision_conflict"),
            Error::InUse { .. } => (StatusCode::CONFLICT, "in_use"),
            Error::Locked(_) => (StatusCode::LOCKED, "locked"),
            Error::Start { .. } => (StatusCode::SERVICE_UNAVAILABLE, "start_failed"),
            Error::Capture(CaptureError::Busy) => (StatusCode::TOO_MANY_REQUESTS, "busy"),
            Error::Capture(CaptureError::Failed(_)) => (StatusCode::SERVICE_UNAVAILABLE, "no_picture"),
            Error::InOp { .. } | Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        if status.is_server_error() {
            tracing::error!(code, detail, "request failed");
        }
        let mut problem = Self::new(status, code, detail);
        if let Error::Invalid(problems) = error {
            problem.errors = problems.0;
        }
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
        (self.status, content_type, Json(self)).into_response()
    }
}
