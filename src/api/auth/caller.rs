//! Who asks, and what they may do.

use std::{collections::BTreeSet, net::IpAddr};

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};
use serde::{Deserialize, Serialize};

use crate::{api::problem::Problem, base::id::Id, state::Actor};

/// What somebody may do; each role may what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Changes what is shown and heard, starts and stops.
    Operator,
    /// Says where it goes, makes streams and deletes them.
    Admin,
}

impl Role {
    /// The role as configuration and answers write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// Which streams somebody may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) enum Scope {
    /// All, those to come among them.
    All,
    /// These.
    Only(BTreeSet<Id>),
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) struct Caller {
    pub(super) actor: Actor,
    pub(super) role: Role,
    pub(super) scope: Scope,
    /// Where from; none without a connection.
    pub(super) address: Option<IpAddr>,
    /// Which token it is; none where none is asked for.
    pub(super) token: Option<usize>,
}

impl Caller {
    /// Whoever asks a daemon that asks for no token.
    pub(super) fn anonymous(address: Option<IpAddr>) -> Self {
        Self { actor: Actor::anonymous(), role: Role::Admin, scope: Scope::All, address, token: None }
    }

    pub(in crate::api) fn actor(&self) -> &Actor {
        &self.actor
    }

    pub(in crate::api) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(in crate::api) fn sees(&self, stream: &str) -> bool {
        match &self.scope {
            Scope::All => true,
            Scope::Only(ids) => ids.iter().any(|id| id.as_str() == stream),
        }
    }

    /// Refused where the stream is none of theirs, as if it were not there: which streams there are is not told to who
    /// may not see them.
    pub(in crate::api) fn may_of(&self, role: Role, stream: &str) -> Result<(), Problem> {
        if !self.sees(stream) {
            let detail = format!("there is no stream `{stream}`");
            return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", detail));
        }
        self.may(role)
    }

    /// Refused where it takes a higher role.
    pub(in crate::api) fn may(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        let (name, has, needs) = (self.actor.name(), self.role.name(), role.name());
        Err(forbidden(format!("token `{name}` has the role {has}; this takes {needs}")))
    }

    /// Refused where it takes a higher role, or one for all streams.
    pub(in crate::api) fn may_of_all(&self, role: Role) -> Result<(), Problem> {
        self.may(role)?;
        match self.scope {
            Scope::All => Ok(()),
            Scope::Only(_) => {
                let name = self.actor.name();
                Err(forbidden(format!("token `{name}` is for some streams alone; this is about all of them")))
            }
        }
    }
}

fn forbidden(detail: String) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "forbidden", detail)
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        // The guard stands before every handler; without it nobody is let in.
        caller.ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "nobody has said who asks"))
    }
}
