//! Names by which streams, layers and outputs are addressed.
//!
//! An id is 1 to 64 characters of `A-Z a-z 0-9 . _ -` and does not start with a dot: safe in a URL path, a file name and
//! a metric label without quoting.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::schema::written;

/// Longest id, in bytes.
pub const LEN_MAX: usize = 64;

/// A validated name; cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(Arc<str>);

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id: use 1 to {LEN_MAX} characters of A-Z a-z 0-9 . _ - that do not start with a dot")]
pub struct InvalidId {
    /// The refused text, shortened to what fits a message.
    pub text: String,
}

written!(Id as "Id" = {
    "type": "string",
    "description": "A name: 1 to 64 characters of `A-Z a-z 0-9 . _ -` that do not start with a dot.",
    "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$",
    "examples": ["main"]
});

impl Id {
    /// Checks `text` and keeps it.
    pub fn new(text: &str) -> Result<Self, InvalidId> {
        let is_safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if (1..=LEN_MAX).contains(&text.len()) && text.bytes().all(is_safe) && !text.starts_with('.') {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId { text: text.chars().take(LEN_MAX).collect() })
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::borrow::Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Id {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::new(&text)
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0.as_ref().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_and_refuses_paths() {
        for good in ["main", "bid-1", "a.b_C", &"x".repeat(64)] {
            assert_eq!(Id::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", ".hidden", "a/b", "a b", "ü", &"x".repeat(65)] {
            assert!(Id::new(bad).is_err(), "{bad:?}");
        }
    }
}
