//! By whom a request is made, and on what condition: what its change is noted with.

use axum::{extract::FromRequestParts, http::request::Parts};

use super::{conditions::if_match, problem::Problem};
use crate::state::{self, Actor};

/// Who changes something by this request: the actor among the request's extensions, or nobody in particular; and the
/// revision that `If-Match` asks for.
#[derive(Debug)]
pub(super) struct By(pub(super) state::By);

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let actor = parts.extensions.get::<Actor>().cloned().unwrap_or_else(Actor::anonymous);
        Ok(Self(state::By { actor, if_revision: if_match(&parts.headers)? }))
    }
}
