//! A text that must not be seen: stream keys and passwords.
//!
//! `Debug` and `Display` print `[redacted]`, there is no `Serialize`: a secret cannot reach a log, an answer or a metric
//! unless someone writes `expose`, which is easy to search for.

use std::fmt;

use crate::base::schema::written;
use serde::Deserialize;

/// A redacted text.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

written!(Secret as "Secret" = {
    "description": "A text that is written and never read back; `env:NAME` or `file:PATH` for where it is kept.",
    "type": "string",
    "writeOnly": true
});

impl Secret {
    /// Takes the text into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that puts it on the wire.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_prints_itself() {
        let key = Secret::new("live_123");
        assert_eq!(format!("{key} {key:?}"), "[redacted] [redacted]");
        assert_eq!(key.expose(), "live_123");
    }
}
