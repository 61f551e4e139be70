//! Actions of a layer: a name and arguments that become a change of its document at a moment.
//!
//! Whoever asks for "pause" or for a message need not know the document, nor the time: the content writes both into its
//! fields, so that the picture stays a function of scene and time. An action is pure; it may be done twice, to see what
//! it would show and then, with a later moment, for good.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

use crate::scene::{
    Moment,
    check::{self, Problem, Problems},
};

/// What a layer is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// Its name, e.g. `pause`.
    pub name: String,
    /// An object; `null` for none.
    pub arguments: Value,
    /// When it holds.
    pub moment: Moment,
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The content has no such action, but these.
    Unknown(&'static [&'static str]),
    /// The arguments are wrong, or what would come of them.
    Invalid(Problems),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Invalid(problem.into())
    }
}

impl From<Problems> for Refused {
    fn from(problems: Problems) -> Self {
        Self::Invalid(problems)
    }
}

impl Action {
    /// Its arguments, read strictly.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        let arguments =
            if self.arguments.is_null() { Value::Object(serde_json::Map::new()) } else { self.arguments.clone() };
        Ok(check::read(arguments)?)
    }

    /// Milliseconds elapsed on the stream when it holds, rounded up: what is due then is not due earlier.
    pub fn elapsed_ms(&self) -> u64 {
        let elapsed = self.moment.elapsed;
        let ms = (elapsed + Duration::from_nanos(999_999)).as_millis();
        u64::try_from(ms).unwrap_or(u64::MAX)
    }
}

/// A problem with an argument.
pub(super) fn wrong(pointer: &str, message: impl Into<String>) -> Refused {
    Problem { pointer: pointer.into(), message: message.into() }.into()
}

/// An action that takes no arguments.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scene::Content;

    fn act(content: &Value, name: &str, arguments: Value) -> Result<Value, Refused> {
        let action = Action { name: name.into(), arguments, moment: Moment::START };
        let done = Content::read(content.clone()).unwrap().act(&action)?;
        Ok(serde_json::to_value(&done).unwrap())
    }

    #[test]
    fn what_is_refused_says_what_there_is() {
        let bar = json!({ "type": "progress", "value": 0.2 });
        assert_eq!(act(&bar, "dance", json!({})), Err(Refused::Unknown(&["set"])));
        assert_eq!(act(&json!({ "type": "color", "color": "#ffffff" }), "set", json!({})), Err(Refused::Unknown(&[])));
        let pointer = |arguments| match act(&bar, "set", arguments) {
            Err(Refused::Invalid(problems)) => problems.0[0].pointer.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(pointer(json!({ "valeu": 1 })), "/valeu");
        assert_eq!(pointer(json!({ "value": 2 })), "/value");
        assert_eq!(pointer(json!([1])), "");
    }

    #[test]
    fn the_rest_of_the_document_stays() {
        let bar = json!({ "type": "progress", "value": 0.2, "cornerRadius": 5.0 });
        let done = act(&bar, "set", json!({ "value": 0.5 })).unwrap();
        assert_eq!((&done["value"], &done["cornerRadius"]), (&json!(0.5), &json!(5.0)));
    }

    #[test]
    fn a_time_between_two_milliseconds_is_the_later_one() {
        let at = |nanos| {
            let moment = Moment { elapsed: Duration::from_nanos(nanos), utc_ms: 0 };
            Action { name: String::new(), arguments: Value::Null, moment }.elapsed_ms()
        };
        assert_eq!([0, 1, 1_000_000, 33_366_667].map(at), [0, 1, 1, 34]);
    }
}
