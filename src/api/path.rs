//! The variable parts of a path, refused with a problem document where they are no text.

use axum::{
    extract::{self, FromRequestParts},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// What stands for `{...}` in a route.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let extract::Path(value) = extract::Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::new(rejection.status(), "bad_path", rejection.body_text()))?;
        Ok(Self(value))
    }
}
