//! What a client says: read strictly, each value in its range.

use std::{collections::BTreeSet, ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    api::{auth::Scope, preview::Viewing},
    base::id::Id,
    pipeline::Look,
    scene::check::{self, Check, Problem, Problems},
    telemetry::log::Level,
};

/// Longest id of a request, in bytes.
const ID_LEN_MAX: usize = 128;

/// What can be listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Topic {
    /// Documents and their changes.
    State,
    /// The status of streams.
    Stats,
    /// What the meters show.
    Meters,
    /// That sound becomes silent, or is heard again.
    Silence,
    /// What animations and outputs do.
    Events,
    /// What is logged.
    Logs,
    /// Who did what, and what was refused.
    Audit,
    /// Pictures.
    Preview,
}

impl Topic {
    /// How often it may be told, in milliseconds; the meters remember 1.4 s.
    fn intervals_ms(self) -> RangeInclusive<f64> {
        match self {
            Self::Meters | Self::Silence => 40.0..=1000.0,
            Self::State | Self::Stats | Self::Events | Self::Logs | Self::Audit | Self::Preview => 40.0..=60_000.0,
        }
    }

    /// How often it is told to who does not say: state as it comes, which is no more than once a frame.
    fn default_interval_ms(self) -> Option<f64> {
        match self {
            Self::State | Self::Preview => None,
            Self::Meters | Self::Silence | Self::Events => Some(100.0),
            Self::Logs | Self::Audit => Some(250.0),
            Self::Stats => Some(1000.0),
        }
    }

    /// From one time to the next, where `asked` is what the client asks for.
    pub(super) fn period(self, asked: Option<f64>) -> Option<Duration> {
        asked.or(self.default_interval_ms()).map(|ms| Duration::from_secs_f64(ms / 1000.0))
    }
}

/// Of which streams; of all, those to come among them, where none is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Of(Option<BTreeSet<Id>>);

impl Of {
    pub(super) fn has(&self, id: &Id) -> bool {
        self.0.as_ref().is_none_or(|ids| ids.contains(id))
    }

    /// Those of them that are in the scope.
    pub(super) fn within(self, scope: &Scope) -> Self {
        match (self.0, scope) {
            (of, Scope::All) => Self(of),
            (None, Scope::Only(ids)) => Self(Some(ids.clone())),
            (Some(of), Scope::Only(ids)) => Self(Some(of.intersection(ids).cloned().collect())),
        }
    }
}

/// A message of a client.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    /// To tell the answer by.
    pub(super) id: Option<String>,
    pub(super) what: What,
}

/// What it is about.
#[derive(Debug, PartialEq)]
pub(super) enum What {
    Subscribe(Subscription),
    View(View),
    Unsubscribe(Vec<Topic>),
    Resync(Vec<Id>),
    Command(Command),
}

/// Topics to be told.
#[derive(Debug, PartialEq)]
pub(super) struct Subscription {
    pub(super) topics: Vec<Topic>,
    pub(super) of: Of,
    pub(super) interval_ms: Option<f64>,
    /// The least level of what is logged.
    pub(super) level: Level,
}

/// A stream to be watched.
#[derive(Debug, PartialEq)]
pub(super) struct View {
    pub(super) stream: Id,
    pub(super) look: Look,
    pub(super) fps: f64,
}

/// Something to be done.
#[derive(Debug, PartialEq)]
pub(super) struct Command {
    pub(super) name: String,
    pub(super) stream: String,
    /// All further fields.
    pub(super) arguments: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SubscribeDocument {
    streams: Option<BTreeSet<Id>>,
    interval_ms: Option<f64>,
    level: Option<Level>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ViewDocument {
    stream: Id,
    width: Option<u32>,
    quality: Option<u32>,
    fps: Option<f64>,
}

/// A refused message, with the id that it had, so that whoever sent it knows which one it was.
#[derive(Debug, PartialEq)]
pub(super) struct Refused {
    pub(super) id: Option<String>,
    pub(super) problems: Problems,
}

fn problem(pointer: &str, message: impl Into<String>) -> Problems {
    Problem { pointer: pointer.into(), message: message.into() }.into()
}

impl Said {
    pub(super) fn read(text: &str) -> Result<Self, Refused> {
        let without_id = |problems| Refused { id: None, problems };
        let value = serde_json::from_str(text).map_err(|error| without_id(problem("", error.to_string())))?;
        let Value::Object(mut fields) = value else {
            return Err(without_id(problem("", "expected an object")));
        };
        let id = take_id(&mut fields).map_err(without_id)?;
        match What::read(fields) {
            Ok(what) => Ok(Self { id, what }),
            Err(problems) => Err(Refused { id, problems }),
        }
    }
}

fn take_id(fields: &mut Map<String, Value>) -> Result<Option<String>, Problems> {
    match fields.remove("id") {
        None => Ok(None),
        Some(Value::String(id)) if id.len() <= ID_LEN_MAX => Ok(Some(id)),
        Some(_) => Err(problem("/id", format!("expected a text of {ID_LEN_MAX} bytes at most"))),
    }
}

impl What {
    fn read(mut fields: Map<String, Value>) -> Result<Self, Problems> {
        const KINDS: [&str; 4] = ["subscribe", "unsubscribe", "resync", "command"];
        let kinds: Vec<_> = KINDS.into_iter().filter(|kind| fields.contains_key(*kind)).collect();
        let [kind] = kinds[..] else {
            return Err(problem("", format!("expected one of {}", KINDS.join(", "))));
        };
        let value = fields.remove(kind).unwrap_or_default();
        match kind {
            "subscribe" => Self::read_subscription(value, fields),
            "unsubscribe" => {
                expect_no_more(&fields)?;
                Ok(Self::Unsubscribe(one_or_many("/unsubscribe", value)?))
            }
            "resync" => {
                expect_no_more(&fields)?;
                Ok(Self::Resync(one_or_many("/resync", value)?))
            }
            _ => Command::read(value, fields).map(Self::Command),
        }
    }

    fn read_subscription(topics: Value, fields: Map<String, Value>) -> Result<Self, Problems> {
        let topics: Vec<Topic> = one_or_many("/subscribe", topics)?;
        if topics == [Topic::Preview] {
            return View::read(fields).map(Self::View);
        }
        let SubscribeDocument { streams, interval_ms, level } = check::read(Value::Object(fields))?;
        let mut check = Check::default();
        check.that("/subscribe", !topics.contains(&Topic::Preview), || "preview is subscribed to by itself".into());
        check.that("/level", level.is_none() || topics.contains(&Topic::Logs), || "only logs have a level".into());
        if let Some(interval_ms) = interval_ms {
            topics.iter().for_each(|topic| check.range("/intervalMs", interval_ms, topic.intervals_ms()));
        }
        check.finish()?;
        let level = level.unwrap_or(Level::Info);
        Ok(Self::Subscribe(Subscription { topics, of: Of(streams), interval_ms, level }))
    }
}

impl View {
    fn read(fields: Map<String, Value>) -> Result<Self, Problems> {
        let ViewDocument { stream, width, quality, fps } = check::read(Value::Object(fields))?;
        let (look, fps) = Viewing::new(width, quality, fps).check()?;
        Ok(Self { stream, look, fps })
    }
}

impl Command {
    fn read(name: Value, mut arguments: Map<String, Value>) -> Result<Self, Problems> {
        let text = |value: Option<Value>, pointer: &str| match value {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(problem(pointer, "expected a text")),
            None => Err(problem(pointer, "missing: which stream is meant")),
        };
        let stream = text(arguments.remove("stream"), "/stream")?;
        Ok(Self { name: text(Some(name), "/command")?, stream, arguments })
    }
}

fn expect_no_more(fields: &Map<String, Value>) -> Result<(), Problems> {
    match fields.keys().next() {
        None => Ok(()),
        Some(name) => Err(problem(&format!("/{}", check::escape(name)), format!("unknown field `{name}`"))),
    }
}

/// One value or a list of them; a wrong one is named with those that are allowed, and its place.
fn one_or_many<T: DeserializeOwned>(pointer: &str, value: Value) -> Result<Vec<T>, Problems> {
    let read = |place: &str, value| check::read(value).map_err(|problems| problems.under(place));
    match value {
        Value::Array(many) => {
            let many = many.into_iter().enumerate();
            many.map(|(index, value)| read(&format!("{pointer}/{index}"), value)).collect()
        }
        one => read(pointer, one).map(|one| vec![one]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(text: &str) -> What {
        Said::read(text).unwrap().what
    }

    #[test]
    fn topics_have_their_own_rates() {
        let What::Subscribe(subscription) = what(r#"{"subscribe": "stats", "streams": ["main"]}"#) else { panic!() };
        assert_eq!(subscription.topics, [Topic::Stats]);
        let has = |id: &str| subscription.of.has(&Id::new(id).unwrap());
        assert!(has("main") && !has("other"));
        assert_eq!(Topic::Stats.period(None), Some(Duration::from_secs(1)));
        assert_eq!(Topic::Stats.period(Some(40.0)), Some(Duration::from_millis(40)));
        assert_eq!(Topic::State.period(None), None);
        let What::View(view) = what(r#"{"subscribe": "preview", "stream": "main", "width": 640, "fps": 5}"#) else {
            panic!()
        };
        assert_eq!((view.look, view.fps), (Look { width: 640, quality: 70 }, 5.0));
        assert_eq!(what(r#"{"unsubscribe": ["logs"]}"#), What::Unsubscribe(vec![Topic::Logs]));
    }

    #[test]
    fn a_command_keeps_its_arguments_and_its_id() {
        let said =
            Said::read(r#"{"id": "c1", "command": "take", "stream": "main", "scene": "break", "swap": true}"#).unwrap();
        assert_eq!(said.id.as_deref(), Some("c1"));
        let What::Command(Command { name, stream, arguments }) = said.what else { panic!() };
        assert_eq!((name.as_str(), stream.as_str()), ("take", "main"));
        assert_eq!(Value::Object(arguments), serde_json::json!({ "scene": "break", "swap": true }));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, pointer, words) in [
            ("meters", "", "expected"),
            ("[]", "", "expected an object"),
            ("{}", "", "expected one of subscribe, unsubscribe, resync, command"),
            (r#"{"subscribe": "state", "command": "start"}"#, "", "expected one of"),
            (r#"{"subscribe": ["metres"]}"#, "/subscribe/0", "`metres`"),
            (r#"{"subscribe": "metres"}"#, "/subscribe", "`preview`"),
            (r#"{"subscribe": ["meters", "preview"]}"#, "/subscribe", "by itself"),
            (r#"{"subscribe": "meters", "intervalMs": 39}"#, "/intervalMs", "40 to 1000"),
            (r#"{"subscribe": "stats", "intervalMs": 60001}"#, "/intervalMs", "40 to 60000"),
            (r#"{"subscribe": "stats", "level": "warn"}"#, "/level", "only logs"),
            (r#"{"subscribe": "logs", "level": "loud"}"#, "/level", "`warn`"),
            (r#"{"subscribe": "preview"}"#, "", "missing field `stream`"),
            (r#"{"subscribe": "preview", "stream": "main", "quality": 0}"#, "/quality", "1 to 100"),
            (r#"{"resync": "main", "why": 1}"#, "/why", "unknown field"),
            (r#"{"command": "start"}"#, "/stream", "missing"),
            (r#"{"command": 1, "stream": "main"}"#, "/command", "expected a text"),
            (r#"{"id": 1, "command": "start", "stream": "main"}"#, "/id", "128 bytes"),
        ] {
            let problem = Said::read(text).unwrap_err().problems.0.remove(0);
            assert!(problem.pointer == pointer && problem.message.contains(words), "{text}: {problem:?}");
        }
        let refused = Said::read(r#"{"id": "a", "subscribe": 1}"#).unwrap_err();
        assert_eq!(refused.id.as_deref(), Some("a"), "whose it was is known");
    }
}
