//! What records hold: JSON, with the version of its form. Older forms are read, see `migrate`; of a later one nothing is.
//!
//! Of a stream that is its document with all secrets, its revision, and where its run stands ([`Kept`]); all other kinds
//! have one value, which is the affair of who made it.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Error, Kind,
    migrate::{migrated, schema},
};
use crate::{
    pipeline::Course,
    scene::check,
    state::{
        Document, RunState,
        control::{self, Control},
    },
};

/// A stream as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The document's revision.
    pub revision: u64,
    /// The document.
    pub document: Arc<Document>,
    /// Whether it is on air.
    pub run: Run,
    /// What is scheduled and locked.
    pub(in crate::state) control: Control,
}

/// Whether a stream is on air, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase", deny_unknown_fields)]
pub enum Run {
    /// It is not.
    Stopped,
    /// It should be; where it could not be started, there is no course.
    Running {
        /// Since when, and where it stands.
        course: Option<Course>,
    },
}

impl Run {
    /// That of a stream in this state.
    pub fn of(state: RunState, course: Option<Course>) -> Self {
        match state {
            RunState::Stopped => Self::Stopped,
            RunState::Running | RunState::Paused | RunState::Failed => Self::Running { course },
        }
    }
}

/// Why a record is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It was written by a later version.
    #[error(transparent)]
    Newer(Error),
    /// It is not what it should be.
    #[error("the record is damaged: {0}")]
    Damaged(String),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    schema: u64,
    revision: u64,
    run: Run,
    document: Value,
    #[serde(default)]
    control: control::Written,
}

/// A record of another kind than a stream's.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed<T> {
    schema: u64,
    value: T,
}

/// A record of this kind that holds `value`.
pub(super) fn sealed(kind: Kind, value: impl Serialize) -> Bytes {
    // What is made of strings and finite numbers is always written.
    serde_json::to_vec(&Sealed { schema: schema(kind), value }).unwrap_or_default().into()
}

/// What a record of this kind holds.
pub(super) fn opened<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<T, Unreadable> {
    read(kind, bytes).map(|Sealed { value, .. }| value)
}

fn read<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<T, Unreadable> {
    let damaged = |reason: String| Unreadable::Damaged(reason);
    let value = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    check::read(migrated(kind, value)?).map_err(|error| damaged(error.to_string()))
}

impl Kept {
    /// As it is written. Stream keys are in it: for stores alone.
    pub fn to_bytes(&self) -> Bytes {
        let written = Written {
            schema: schema(Kind::Stream),
            revision: self.revision,
            run: self.run,
            document: self.document.with_secrets(),
            control: self.control.written(),
        };
        // Values of strings and finite numbers are always written.
        serde_json::to_vec(&written).unwrap_or_default().into()
    }

    /// Reads what any version up to this one has written.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let damaged = |reason: String| Unreadable::Damaged(reason);
        let Written { revision, run, document, control, .. } = read(Kind::Stream, bytes)?;
        let document = Document::read(document).map_err(|problems| damaged(format!("its document: {problems}")))?;
        let control = Control::read(control).map_err(|problems| damaged(format!("beside its document: {problems}")))?;
        Ok(Self { revision, document: Arc::new(document), run, control })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{pipeline::Pauses, state::output::Output};

    fn kept() -> Kept {
        let document = json!({ "id": "main", "layers": [{ "id": "a", "content": { "type": "color", "color": "#ffffff" } }],
            "outputs": [{ "id": "o", "url": "rtmp://host/app", "key": "live_secret",
                "backupUrl": "rtmp://other/app", "backupKey": "env:OTHER_KEY",
                "username": "me", "password": "hidden" },
                { "id": "file", "type": "recording" }] });
        let pauses = Pauses { stood_frames: 7, since_frame: Some(90) };
        let course = Some(Course { began_at_utc_ms: 1_700_000_000_123, pauses });
        let document = Arc::new(Document::read(document).unwrap());
        let control = json!({ "locks": [{ "scene": "main", "layer": "a", "owner": "anna", "expiresUtcMs": 5 }] });
        let control = Control::read(serde_json::from_value(control).unwrap()).unwrap();
        Kept { revision: 42, document, run: Run::Running { course }, control }
    }

    #[test]
    fn all_of_it_comes_back_with_its_secrets() {
        let kept = kept();
        let read = Kept::read(&kept.to_bytes()).unwrap();
        assert_eq!(read, kept);
        let Output::Rtmp(output) = &read.document.outputs[0] else { panic!("it is a server") };
        assert_eq!(
            (output.key.expose(), output.backup_key.as_ref().unwrap().expose()),
            ("live_secret", "env:OTHER_KEY")
        );
        assert_eq!(output.password.as_ref().unwrap().expose(), "hidden");
        let stopped = Kept { run: Run::Stopped, ..kept };
        assert_eq!(Kept::read(&stopped.to_bytes()).unwrap(), stopped);
    }

    #[test]
    fn what_version_1_wrote_is_read() {
        let kept = Kept::read(include_bytes!("testdata/stream-v1.json")).unwrap();
        assert_eq!((kept.revision, kept.document.id.as_str()), (7, "main"));
        let course = Course { began_at_utc_ms: 1_764_058_000_000, pauses: Pauses::default() };
        assert_eq!(kept.run, Run::Running { course: Some(course) });
        assert!(matches!(&kept.document.outputs[0], Output::Rtmp(output) if output.key.expose() == "live_secret"));
    }

    #[test]
    fn what_a_later_version_wrote_is_not_guessed_at() {
        let mut value: Value = serde_json::from_slice(&kept().to_bytes()).unwrap();
        value["schema"] = (schema(Kind::Stream) + 1).into();
        value["more"] = "unknown here".into();
        let error = Kept::read(value.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, Unreadable::Newer(_)));
        assert!(error.to_string().contains("later version"), "{error}");
    }

    #[test]
    fn other_kinds_say_their_schema_too() {
        let bytes = sealed(Kind::Saved, ["a"]);
        assert_eq!(opened::<Vec<String>>(Kind::Saved, &bytes).unwrap(), ["a"]);
        for (bytes, is_newer) in [
            (r#"{ "schema": 2, "value": {}, "more": 1 }"#, true),
            (r#"{ "schema": 0, "value": ["a"] }"#, false),
            (r#"{ "value": ["a"] }"#, false),
            (r#"{ "schema": 1, "value": ["a"], "more": 1 }"#, false),
            (r#"{ "schema": 1, "value": 7 }"#, false),
            ("[]", false),
            ("", false),
        ] {
            let error = opened::<Vec<String>>(Kind::Saved, bytes.as_bytes()).unwrap_err();
            assert_eq!(matches!(error, Unreadable::Newer(_)), is_newer, "{bytes}: {error}");
        }
    }

    #[test]
    fn damage_is_an_error_and_shows_no_key() {
        let whole = kept().to_bytes();
        for len in 0..whole.len() {
            assert!(Kept::read(&whole[..len]).is_err(), "cut at {len}");
        }
        for at in 0..whole.len() {
            let mut altered = whole.to_vec();
            altered[at] ^= 1;
            // Some are records, too, of another name or number. None is a panic.
            let _ = Kept::read(&altered);
        }
        let text = String::from_utf8(whole.to_vec()).unwrap();
        for (from, to) in [("\"revision\":42", "\"revision\":-1"), ("#ffffff", "paint"), ("\"run\"", "\"ran\"")] {
            let damaged = text.replace(from, to);
            assert_ne!(damaged, text, "{from}");
            let error = Kept::read(damaged.as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("live_secret") && !error.contains("hidden"), "{error}");
        }
    }
}
