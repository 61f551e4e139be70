//! Older forms of what is kept of a stream, brought to the present one, step by step.
//!
//! | schema | form |
//! |---|---|
//! | 1 | `running` and `beganAtUtcMs` beside the document; pauses were not kept |
//! | 2 | `run`, with the course of the stream's time |
//!
//! Every version reads all that came before it. What was read is written in the present form when the stream changes.

use serde_json::{Value, json};

use super::{Error, kept::Unreadable};

/// The form that is written.
pub(super) const SCHEMA: u64 = 2;

/// A record of any known form in the present one.
pub(super) fn migrated(mut value: Value) -> Result<Value, Unreadable> {
    let found = value.get("schema").and_then(Value::as_u64);
    match found {
        Some(found @ 1..=SCHEMA) => {
            if found == 1 {
                from_1(&mut value);
            }
            Ok(value)
        }
        Some(found) if found > SCHEMA => {
            Err(Unreadable::Newer(Error::Newer { what: "a stream's record".into(), found, known: SCHEMA }))
        }
        _ => Err(Unreadable::Damaged("it does not say its schema".into())),
    }
}

fn from_1(value: &mut Value) {
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
