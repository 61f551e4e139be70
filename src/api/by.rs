//! By whom a request is made: what its change is noted with.

use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};

use crate::state::{self, Actor};

/// Who changes something by this request: the actor among the request's extensions, or nobody in particular.
#[derive(Debug)]
pub(super) struct By(pub(super) state::By);

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let actor = parts.extensions.get::<Actor>().cloned().unwrap_or_else(Actor::anonymous);
        Ok(Self(actor.into()))
    }
}
