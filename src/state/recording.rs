//! The document of a recording: an output that goes into files of the daemon's own directory.
//!
//! A document says what the files are called, never where they lie: no path of a client's choosing leaves that directory.

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use super::{document::default_true, rendition};
use crate::{
    base::id::Id,
    output::recording::{self, Format, Split, Template},
    scene::check::{self, Check, Problem, Problems},
};

/// Lengths of a file, in milliseconds. A day is well below what FLV can count, and what an MP4's index may take.
const SPLIT_DURATIONS_MS: std::ops::RangeInclusive<f64> = 1_000.0..=86_400_000.0;
/// Sizes of a file, in MB.
const SPLIT_SIZES_MB: std::ops::RangeInclusive<f64> = 1.0..=1_000_000.0;
/// What is to stay free of the disk, in MB.
const MIN_FREE_MB: std::ops::RangeInclusive<f64> = 0.0..=10_000_000.0;
const MB: u64 = 1_000_000;

/// A recording.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recording {
    /// Unique in its stream.
    pub id: Id,
    /// What kind of files they are.
    pub container: Format,
    /// What they are called, without the extension.
    #[serde(serialize_with = "write_template")]
    pub file_name: Template,
    /// Milliseconds after which the next keyframe begins another file.
    pub split_duration_ms: u64,
    /// The same for megabytes; none: a file of any size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_size_mb: Option<u64>,
    /// Megabytes of the disk that stay free.
    pub min_free_mb: u64,
    /// Which rendition it gets.
    pub rendition: Id,
    /// Whether it records while the stream runs.
    pub enabled: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Raw {
    id: Id,
    #[serde(default)]
    container: Format,
    file_name: Option<String>,
    #[serde(default = "an_hour")]
    #[schema(minimum = 1000, maximum = 86400000)]
    split_duration_ms: u64,
    #[schema(minimum = 1, maximum = 1000000)]
    split_size_mb: Option<u64>,
    #[serde(default = "a_gigabyte")]
    #[schema(minimum = 0, maximum = 10000000)]
    min_free_mb: u64,
    #[serde(default = "rendition::main_id")]
    rendition: Id,
    #[serde(default = "default_true")]
    enabled: bool,
}

fn an_hour() -> u64 {
    3_600_000
}

fn a_gigabyte() -> u64 {
    1000
}

impl Recording {
    /// Reads and checks it.
    pub(super) fn read(value: Value) -> Result<Self, Problems> {
        let raw: Raw = check::read(value)?;
        let file_name = raw.file_name.map_or_else(|| Ok(Template::default()), |name| name.parse());
        let file_name = file_name.map_err(|error: recording::InvalidTemplate| {
            Problems::from(Problem { pointer: "/fileName".into(), message: error.to_string() })
        });
        let mut check = Check::default();
        let file_name = check.read("", file_name);
        check.range("/splitDurationMs", raw.split_duration_ms as f64, SPLIT_DURATIONS_MS);
        if let Some(mb) = raw.split_size_mb {
            check.range("/splitSizeMb", mb as f64, SPLIT_SIZES_MB);
        }
        check.range("/minFreeMb", raw.min_free_mb as f64, MIN_FREE_MB);
        check.finish()?;
        Ok(Self {
            id: raw.id,
            container: raw.container,
            file_name: file_name.unwrap_or_default(),
            split_duration_ms: raw.split_duration_ms,
            split_size_mb: raw.split_size_mb,
            min_free_mb: raw.min_free_mb,
            rendition: raw.rendition,
            enabled: raw.enabled,
        })
    }

    /// What the output floor needs.
    pub(super) fn spec(&self, stream: &Id) -> recording::Recording {
        recording::Recording {
            id: self.id.clone(),
            stream: stream.clone(),
            template: self.file_name.clone(),
            format: self.container,
            split: Split {
                every: Duration::from_millis(self.split_duration_ms),
                bytes: self.split_size_mb.map(|mb| mb * MB),
            },
            free_bytes_min: self.min_free_mb * MB,
            limits: recording::LIMITS,
        }
    }
}

fn write_template<S: Serializer>(template: &Template, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(template)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;
    use crate::{
        base::clock::SystemClock,
        output::{Recordings, Target},
        state::{
            output::{InvalidOutput, Output},
            secrets::Secrets,
        },
    };

    fn read(value: Value) -> Result<Output, Problems> {
        Output::read(value)
    }

    #[test]
    fn an_id_and_a_type_are_enough() {
        let output = read(json!({ "id": "rec", "type": "recording" })).unwrap();
        let all = json!({ "type": "recording", "id": "rec", "container": "mp4", "fileName": "{stream}-{utc}-{part}",
            "splitDurationMs": 3_600_000, "minFreeMb": 1000, "rendition": "main", "enabled": true });
        assert_eq!(serde_json::to_value(&output).unwrap(), all);
        assert_eq!(read(all.clone()).unwrap(), output);
        let patched = output.patched(&json!({ "container": "flv", "splitSizeMb": 5, "minFreeMb": null })).unwrap();
        let Output::Recording(recording) = &patched else { panic!("{patched:?}") };
        assert_eq!((recording.container, recording.split_size_mb), (Format::Flv, Some(5)));
        assert_eq!(output.patched(&all).unwrap(), output, "what was read may be written back");
    }

    #[test]
    fn every_problem_has_its_place_and_a_fix() {
        for (fields, pointer, fix) in [
            (json!({ "container": "mkv" }), "/container", "mp4"),
            (json!({ "fileName": "../a" }), "/fileName", "no dot at the start"),
            (json!({ "fileName": "/etc/passwd" }), "/fileName", "A-Z a-z 0-9"),
            (json!({ "fileName": "a.mp4" }), "/fileName", "leave out `.mp4`"),
            (json!({ "splitDurationMs": 999 }), "/splitDurationMs", "1000 to 86400000"),
            (json!({ "splitSizeMb": 0 }), "/splitSizeMb", "1 to 1000000"),
            (json!({ "minFreeMb": u64::MAX }), "/minFreeMb", "0 to 10000000"),
            (json!({ "path": "/tmp" }), "/path", "fileName"),
            (json!({ "key": "secret" }), "/key", "fileName"),
        ] {
            let mut document = json!({ "id": "rec", "type": "recording" });
            json_patch::merge(&mut document, &fields);
            let problem = read(document).unwrap_err().0.remove(0);
            assert!(problem.message.contains(fix), "{fields}: {}", problem.message);
            assert_eq!(problem.pointer, pointer, "{fields}: {}", problem.message);
        }
    }

    #[test]
    fn a_daemon_without_a_place_for_it_refuses() {
        let output = read(json!({ "id": "rec", "type": "recording", "splitSizeMb": 3 })).unwrap();
        let (stream, secrets) = (Id::new("main").unwrap(), Secrets::default());
        let refused = output.target(&stream, &secrets, None).unwrap_err();
        assert_eq!(refused, InvalidOutput::NoRecordings);
        assert!(refused.to_string().contains("recordings_dir"), "{refused}");
        let recordings =
            Recordings { directory: PathBuf::from("/rec"), clock: std::sync::Arc::new(SystemClock::new()) };
        let Ok(Target::Record(recording, _)) = output.target(&stream, &secrets, Some(&recordings)) else {
            panic!("{output:?}")
        };
        assert_eq!((recording.split.bytes, recording.free_bytes_min), (Some(3_000_000), 1_000_000_000));
    }
}
