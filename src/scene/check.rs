//! What is wrong with a document, and where: a JSON pointer (RFC 6901) and a sentence that names the limit.

use std::{fmt, ops::RangeInclusive};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::strict::Strict;

/// One thing wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}: {message}", if pointer.is_empty() { "document" } else { pointer })]
pub struct Problem {
    /// Where, as an RFC 6901 pointer; empty for the document as a whole.
    pub pointer: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

/// Everything wrong with a document; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl Problems {
    /// The same problems, seen from a document in which this one hangs at `prefix`.
    pub fn under(mut self, prefix: &str) -> Self {
        for problem in &mut self.0 {
            problem.pointer.insert_str(0, prefix);
        }
        self
    }
}

impl Problems {
    /// The same problems, seen from the part that hangs at `prefix`; those of other parts stay as they are.
    pub fn within(mut self, prefix: &str) -> Self {
        for problem in &mut self.0 {
            if let Some(rest) = problem.pointer.strip_prefix(prefix).filter(|rest| rest.starts_with('/')) {
                problem.pointer = rest.to_owned();
            }
        }
        self
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

/// Reads a value as `T`; the pointer of an error leads to the field it is about.
pub fn read<T: DeserializeOwned>(value: Value) -> Result<T, Problems> {
    serde_path_to_error::deserialize(Strict(value)).map_err(|error| {
        let pointer = pointer_of(error.path());
        Problem { pointer, message: error.into_inner().to_string() }.into()
    })
}

/// Takes `type` out of the document of one of several types; what is left are that type's fields.
pub(super) fn tagged(mut value: Value, types: &[&str]) -> Result<(String, Value), Problems> {
    let at = |pointer: &str, message: String| Problems::from(Problem { pointer: pointer.into(), message });
    let fields = value.as_object_mut().ok_or_else(|| at("", "expected an object with `type`".into()))?;
    let missing = || at("/type", format!("missing; expected one of {}", types.join(", ")));
    match fields.remove("type").ok_or_else(missing)? {
        Value::String(type_name) => Ok((type_name, value)),
        _ => Err(at("/type", "expected a text".into())),
    }
}

/// What is wrong with a `type` that is none of `types`.
pub(super) fn unknown_type(type_name: &str, types: &[&str]) -> Problems {
    let message = format!("unknown type `{type_name}`, expected one of {}", types.join(", "));
    Problem { pointer: "/type".into(), message }.into()
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", escape(key))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// A key as a pointer's token: `~` is `~0`, `/` is `~1`.
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Collects the problems of a document while its values are checked one after the other.
#[derive(Debug, Default)]
pub struct Check {
    problems: Vec<Problem>,
    /// The ranges that were asked for, if they are wanted.
    ranges: Option<Vec<Range>>,
}

/// What a number of a document may be, by its pointer.
pub(super) type Range = (String, RangeInclusive<f64>);

impl Check {
    /// One that notes the range of each number too: what they may be, and not only whether they are.
    pub(super) fn noting_ranges() -> Self {
        Self { ranges: Some(Vec::new()), ..Self::default() }
    }

    /// The ranges noted.
    pub(super) fn into_ranges(self) -> Vec<Range> {
        self.ranges.unwrap_or_default()
    }

    /// Notes a problem unless `is_good`.
    pub fn that(&mut self, pointer: &str, is_good: bool, message: impl FnOnce() -> String) {
        if !is_good {
            self.problems.push(Problem { pointer: pointer.into(), message: message() });
        }
    }

    /// A number must be finite and in range.
    pub fn range(&mut self, pointer: &str, value: f64, allowed: RangeInclusive<f64>) {
        self.that(pointer, allowed.contains(&value), || {
            format!("{value} is out of range: {} to {}", allowed.start(), allowed.end())
        });
        if let Some(ranges) = &mut self.ranges {
            ranges.push((pointer.into(), allowed));
        }
    }

    /// A length or a number of things must be in range.
    pub fn count(&mut self, pointer: &str, what: &str, value: usize, allowed: RangeInclusive<usize>) {
        self.that(pointer, allowed.contains(&value), || {
            format!("{value} {what} is out of range: {} to {}", allowed.start(), allowed.end())
        });
    }

    /// Takes the problems of a part that hangs at `prefix`, or what was read.
    pub fn read<T>(&mut self, prefix: &str, read: Result<T, Problems>) -> Option<T> {
        read.map_err(|problems| self.problems.extend(problems.under(prefix).0)).ok()
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// Adds the problems of a part that hangs at `prefix`.
    pub fn part(&mut self, prefix: &str, check: impl FnOnce(&mut Check)) {
        let mut part = Check { ranges: self.ranges.as_ref().map(|_| Vec::new()), ..Check::default() };
        check(&mut part);
        self.problems.extend(Problems(part.problems).under(prefix).0);
        if let (Some(all), Some(ranges)) = (&mut self.ranges, part.ranges) {
            all.extend(ranges.into_iter().map(|(pointer, range)| (format!("{prefix}{pointer}"), range)));
        }
    }

    /// The verdict.
    pub fn finish(self) -> Result<(), Problems> {
        if self.problems.is_empty() { Ok(()) } else { Err(Problems(self.problems)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_not_numbers_are_out_of_range() {
        for bad in [f64::NAN, f64::INFINITY, -0.1, 1.1] {
            let mut check = Check::default();
            check.part("/layers/0", |check| check.range("/opacity", bad, 0.0..=1.0));
            let problems = check.finish().unwrap_err();
            assert_eq!(problems.0[0].pointer, "/layers/0/opacity");
            assert_eq!(problems.0[0].message, format!("{bad} is out of range: 0 to 1"));
        }
    }

    #[test]
    fn ranges_are_noted_with_their_place_when_they_are_wanted() {
        let check = |mut check: Check| {
            check.part("/content", |check| check.part("/fill", |check| check.range("/angle", 2.0, 0.0..=1.0)));
            check.into_ranges()
        };
        assert_eq!(check(Check::noting_ranges()), [("/content/fill/angle".to_owned(), 0.0..=1.0)]);
        assert_eq!(check(Check::default()), []);
    }

    #[test]
    fn pointers_escape_their_tokens() {
        assert_eq!(escape("a/b~c"), "a~1b~0c");
    }
}
