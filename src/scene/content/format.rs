//! Format strings of clocks and timers: `HH:mm:ss`, with text between them and in `[square brackets]`.
//!
//! At each place the longest token that fits is taken; what is no token stands for itself. Letters that would be read
//! as tokens are written in brackets, which have no escape. Which tokens there are is the affair of each content. Names
//! of days and months in other languages than English are not here.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Longest format, in bytes.
const LEN_MAX: usize = 128;

/// The tokens of a kind of format.
pub trait Tokens: Copy + 'static {
    /// Each as it is written.
    const TABLE: &'static [(&'static str, Self)];
}

/// A read format string; in documents a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Format<T> {
    text: String,
    parts: Vec<Part<T>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part<T> {
    Literal(String),
    Token(T),
}

/// Why a format is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFormat {
    /// Empty or too long.
    #[error("{len} bytes are out of range: 1 to {LEN_MAX}")]
    Length {
        /// Length in bytes.
        len: usize,
    },
    /// A bracket that is never closed.
    #[error("`[` at byte {at} is not closed by `]`")]
    OpenBracket {
        /// Place in bytes.
        at: usize,
    },
}

impl<T: Tokens> Format<T> {
    /// Reads a format string.
    pub fn new(text: &str) -> Result<Self, InvalidFormat> {
        if !(1..=LEN_MAX).contains(&text.len()) {
            return Err(InvalidFormat::Length { len: text.len() });
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let len = if first == '[' {
                let end = rest.find(']').ok_or(InvalidFormat::OpenBracket { at: text.len() - rest.len() })?;
                push_literal(&mut parts, &rest[1..end]);
                end + 1
            } else if let Some((name, token)) = longest_token(rest) {
                parts.push(Part::Token(token));
                name.len()
            } else {
                push_literal(&mut parts, &rest[..first.len_utf8()]);
                first.len_utf8()
            };
            rest = &rest[len..];
        }
        Ok(Self { text: text.into(), parts })
    }

    /// Its tokens in order.
    pub fn tokens(&self) -> impl Iterator<Item = T> {
        self.parts.iter().filter_map(|part| match part {
            Part::Token(token) => Some(*token),
            Part::Literal(_) => None,
        })
    }

    /// The text in which `write` writes each token.
    pub fn fill(&self, mut write: impl FnMut(&mut String, T)) -> String {
        let mut text = String::with_capacity(self.text.len() + 8);
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Token(token) => write(&mut text, *token),
            }
        }
        text
    }
}

fn longest_token<T: Tokens>(text: &str) -> Option<(&'static str, T)> {
    T::TABLE.iter().filter(|(name, _)| text.starts_with(name)).max_by_key(|(name, _)| name.len()).copied()
}

fn push_literal<T>(parts: &mut Vec<Part<T>>, text: &str) {
    match parts.last_mut() {
        Some(Part::Literal(literal)) => literal.push_str(text),
        _ => parts.push(Part::Literal(text.into())),
    }
}

impl<T> Serialize for Format<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, T: Tokens> Deserialize<'de> for Format<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Digits(usize);

    impl Tokens for Digits {
        const TABLE: &'static [(&'static str, Self)] = &[("s", Self(1)), ("ss", Self(2)), ("SSS", Self(3))];
    }

    fn filled(format: &str) -> String {
        Format::<Digits>::new(format).unwrap().fill(|text, Digits(n)| text.push_str(&"7".repeat(n)))
    }

    #[test]
    fn the_longest_token_is_taken_and_the_rest_stands_for_itself() {
        assert_eq!(filled("ss"), "77");
        assert_eq!(filled("sss"), "777", "two and one");
        assert_eq!(filled("s:ss.SSS"), "7:77.777");
        assert_eq!(filled("S SS"), "S SS");
        assert_eq!(filled("[s in] s ü[ü]"), "s in 7 üü");
        assert_eq!(filled("[]]"), "]");
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(Format::<Digits>::new("üs [x"), Err(InvalidFormat::OpenBracket { at: 4 }));
        assert_eq!(Format::<Digits>::new(""), Err(InvalidFormat::Length { len: 0 }));
        assert!(Format::<Digits>::new(&"s".repeat(129)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = Format::<Digits>::new(&text).map(|format| format.fill(|_, _| ()));
        }
    }
}
