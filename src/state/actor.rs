//! Who changes a stream, and on what condition.

use std::{fmt, sync::Arc};

use serde::Serialize;

use super::Error;

/// Who changes something: the name of a token's holder, or of the part of the daemon that acts by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Actor {
    name: Arc<str>,
}

impl Actor {
    /// Somebody of that name.
    pub fn new(name: &str) -> Self {
        Self { name: name.into() }
    }

    /// Whoever asks a daemon that asks for no token.
    pub fn anonymous() -> Self {
        Self::new("anonymous")
    }

    /// The daemon itself, as it starts.
    pub fn daemon() -> Self {
        Self::new("daemon")
    }

    /// Another instance, whose changes came by the store.
    pub fn store() -> Self {
        Self::new("store")
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// By whom a change is made, and what must hold for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// Who.
    pub actor: Actor,
    /// The revision that the stream must have; none: any.
    pub if_revision: Option<u64>,
}

impl By {
    /// Refuses another revision than the one that the stream must have.
    pub(super) fn expect(&self, actual: u64) -> Result<(), Error> {
        match self.if_revision {
            Some(expected) if expected != actual => Err(Error::Conflict { expected, actual }),
            _ => Ok(()),
        }
    }
}

impl From<Actor> for By {
    fn from(actor: Actor) -> Self {
        Self { actor, if_revision: None }
    }
}
