//! Names of files, from a template: `{stream}-{utc}-{part}` becomes `main-20260101T120000Z-001.mp4`.
//!
//! A template consists of the signs that an [`Id`] has, and of placeholders, so no name has a separator, none is hidden
//! and none leads out of the directory.

use std::{fmt, str::FromStr};

use crate::base::id::Id;

/// Longest template, and longest name that one may become, in bytes: with an extension, every file system takes it.
pub const NAME_LEN_MAX: usize = 240;
/// The placeholders, and how long what stands in their places may be.
const PLACEHOLDERS: &[(&str, usize)] = &[("stream", 64), ("output", 64), ("utc", 16), ("part", 20)];
/// The template where a document has none.
const DEFAULT: &str = "{stream}-{utc}-{part}";

/// A template, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);

/// Why a template is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// Empty, or of names that may be longer than a file system takes.
    #[error("a name has 1 to {NAME_LEN_MAX} bytes, of which {{stream}} and {{output}} may take 64 each")]
    Length,
    /// A sign that no name has.
    #[error("`{sign}` is no sign of a name: use A-Z a-z 0-9 . _ - and {}, and no dot at the start", known())]
    Sign {
        /// The sign.
        sign: char,
    },
    /// A placeholder that there is not.
    #[error("there is no `{{{name}}}`: use {}", known())]
    Placeholder {
        /// Its name, shortened to what fits a message.
        name: String,
    },
    /// An extension, which the format gives.
    #[error("leave out `.{extension}`: the format of the recording adds it")]
    Extension {
        /// The extension.
        extension: &'static str,
    },
}

fn known() -> String {
    PLACEHOLDERS.iter().map(|(name, _)| format!("{{{name}}}")).collect::<Vec<_>>().join(" ")
}

/// What stands in the places of a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    pub(super) stream: &'a Id,
    pub(super) output: &'a Id,
    /// When the file is begun, in ms since 1970.
    pub(super) utc_ms: i64,
    /// Which file of the recording it is, from 1.
    pub(super) part: u64,
}

impl Template {
    /// The name, without extension.
    pub(super) fn name(&self, places: Places<'_>) -> String {
        let utc = jiff::Timestamp::from_millisecond(places.utc_ms).unwrap_or_default();
        self.0
            .replace("{stream}", places.stream.as_str())
            .replace("{output}", places.output.as_str())
            .replace("{utc}", &utc.strftime("%Y%m%dT%H%M%SZ").to_string())
            .replace("{part}", &format!("{:03}", places.part))
    }
}

impl Default for Template {
    fn default() -> Self {
        Self(DEFAULT.into())
    }
}

impl FromStr for Template {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        if !(1..=NAME_LEN_MAX).contains(&text.len()) {
            return Err(InvalidTemplate::Length);
        }
        if text.starts_with('.') {
            return Err(InvalidTemplate::Sign { sign: '.' });
        }
        for extension in ["mp4", "flv"] {
            if text.to_ascii_lowercase().ends_with(&format!(".{extension}")) {
                return Err(InvalidTemplate::Extension { extension });
            }
        }
        if longest(text)? > NAME_LEN_MAX {
            return Err(InvalidTemplate::Length);
        }
        Ok(Self(text.into()))
    }
}

/// How long a name of the template may be.
fn longest(text: &str) -> Result<usize, InvalidTemplate> {
    let (mut rest, mut len) = (text, 0);
    while let Some(sign) = rest.chars().next() {
        if let Some((name, after)) = rest.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
            let known = PLACEHOLDERS.iter().find(|(known, _)| *known == name);
            let unknown = || InvalidTemplate::Placeholder { name: name.chars().take(16).collect() };
            len += known.ok_or_else(unknown)?.1;
            rest = after;
        } else if sign.is_ascii_alphanumeric() || matches!(sign, '.' | '_' | '-') {
            len += 1;
            rest = &rest[1..];
        } else {
            return Err(InvalidTemplate::Sign { sign });
        }
    }
    Ok(len)
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(template: &str, part: u64) -> String {
        let (stream, output) = (Id::new("main").unwrap(), Id::new("rec").unwrap());
        let places = Places { stream: &stream, output: &output, utc_ms: 1_767_268_800_999, part };
        template.parse::<Template>().unwrap().name(places)
    }

    #[test]
    fn places_are_filled() {
        assert_eq!(name(DEFAULT, 1), "main-20260101T120000Z-001");
        assert_eq!(name("{part}_{output}.{part}", 1234), "1234_rec.1234");
        assert_eq!(name("news", 1), "news");
    }

    #[test]
    fn no_name_leads_out_of_the_directory() {
        let refused = |text: &str| text.parse::<Template>().unwrap_err();
        for (text, sign) in [("a/b", '/'), ("../a", '.'), ("..", '.'), (".a", '.'), ("a\\b", '\\'), ("a\0b", '\0')] {
            assert_eq!(refused(text), InvalidTemplate::Sign { sign }, "{text:?}");
        }
        for (text, sign) in [("a b", ' '), ("ü", 'ü'), ("{stream", '{'), ("a}", '}'), ("%2e%2e", '%')] {
            assert_eq!(refused(text), InvalidTemplate::Sign { sign }, "{text:?}");
        }
        for text in ["{}", "{key}", "{{stream}}", "{stream/../..}"] {
            assert!(matches!(refused(text), InvalidTemplate::Placeholder { .. }), "{text:?}");
        }
        assert_eq!(refused("a.MP4"), InvalidTemplate::Extension { extension: "mp4" });
        assert_eq!(refused(""), InvalidTemplate::Length);
        assert_eq!(refused(&"x".repeat(241)), InvalidTemplate::Length);
        assert_eq!(refused(&"{stream}".repeat(4)), InvalidTemplate::Length);
        assert!(refused("a b").to_string().contains("{stream} {output} {utc} {part}"));
    }

    #[test]
    fn the_longest_name_is_one_that_file_systems_take() {
        let id = Id::new(&"x".repeat(64)).unwrap();
        let template: Template = "{stream}".repeat(3).parse().unwrap();
        let longest = template.name(Places { stream: &id, output: &id, utc_ms: 0, part: 1 });
        assert_eq!(longest.len(), 192);
    }
}
