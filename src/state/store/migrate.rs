//! Older forms of records, brought to the present one, step by step.
//!
//! | kind | schema | form |
//! |---|---|---|
//! | stream | 1 | `running` and `beganAtUtcMs` beside the document; pauses were not kept |
//! | | 2 | `run`, with the course of the stream's time |
//! | | 3 | `control`: what is scheduled and locked |
//! | all others | 1 | `value` |
//!
//! Every version reads all that came before it. What was read is written in the present form when the stream changes.

use serde_json::{Value, json};

use super::{Error, Kind, kept::Unreadable};

/// The form in which records of a kind are written.
pub(super) fn schema(kind: Kind) -> u64 {
    match kind {
        Kind::Stream => 3,
        Kind::Asset | Kind::Saved | Kind::SetAside => 1,
    }
}

/// A record of any known form in the present one.
pub(super) fn migrated(kind: Kind, mut value: Value) -> Result<Value, Unreadable> {
    let (found, known) = (value.get("schema").and_then(Value::as_u64), schema(kind));
    match found {
        Some(found) if found > known => {
            let what = format!("a record of the kind `{}`", kind.name());
            Err(Unreadable::Newer(Error::Newer { what, found, known }))
        }
        Some(1) if kind == Kind::Stream => {
            stream_from_1(&mut value);
            Ok(value)
        }
        Some(1..) => Ok(value),
        _ => Err(Unreadable::Damaged("it does not say its schema".into())),
    }
}

fn stream_from_1(value: &mut Value) {
    let Some(fields) = value.as_object_mut() else { return };
    let is_running = fields.remove("running").is_some_and(|running| running == true);
    let began_at = fields.remove("beganAtUtcMs");
    let run = match is_running {
        true => {
            let course = began_at.map(|began_at| json!({ "beganAtUtcMs": began_at, "pauses": { "stoodFrames": 0 } }));
            json!({ "state": "running", "course": course })
        }
        false => json!({ "state": "stopped" }),
    };
    fields.insert("run".into(), run);
    fields.insert("schema".into(), 2.into());
}
