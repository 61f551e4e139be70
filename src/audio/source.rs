//! Where sound comes from.
//!
//! A [`Source`] adds to a block whatever it has for the samples asked for. Asking twice for the same number gives the same
//! sound, and numbers may be asked for in any order; a mixer asks for one block after the other, unless it was held up.
//! [`SourceKind`] is a source's own part of its document: `type` and that type's fields, as [`super::Strip`] has them
//! beside those that all sources have.
//!
//! A new type is a struct with serde's `deny_unknown_fields`, a variant here, and its name in [`SourceKind::TYPES`].

use std::{f64::consts::TAU, fmt, ops::RangeInclusive, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    Block, SAMPLE_RATE,
    fader::{self, SILENT_DB},
    file::File,
};
use crate::base::{id::Id, schema};
use crate::media::SoundFiles;
use crate::scene::check::{self, Check, Problem, Problems};

/// Frequencies of a tone, in Hz: what is heard.
const FREQUENCIES_HZ: RangeInclusive<f64> = 20.0..=20_000.0;
/// From one beep to the next, in milliseconds.
const INTERVALS_MS: RangeInclusive<f64> = 100.0..=60_000.0;

/// Something that sounds.
pub trait Source: Send + fmt::Debug {
    /// Adds the samples `first_sample..first_sample + 1024` of this source to `out`. Never waits, never allocates once it
    /// plays.
    fn mix(&mut self, first_sample: u64, out: &mut Block);

    /// Why it is not heard as it should be, if it is not. Asked after each block, so it is at hand.
    fn problem(&self) -> Option<Arc<str>> {
        None
    }

    /// Samples that were not there in time, since it was last asked.
    fn take_missing(&mut self) -> u64 {
        0
    }

    /// Whether it is over: it is silent and stays so. Asked like that, too.
    fn is_over(&self) -> bool {
        false
    }
}

/// What sources need that are not made of numbers alone.
#[derive(Debug, Clone, Default)]
pub struct Opener {
    files: SoundFiles,
    /// Whether mixing waits for what is not decoded yet.
    waits: bool,
}

impl Opener {
    /// For sound on air: a source that is opened is ready within a moment, and never waited for afterwards.
    pub fn live(files: SoundFiles) -> Self {
        Self { files, waits: false }
    }

    /// For rendering without a clock: what is rendered must not depend on how fast files are decoded.
    pub fn offline(files: SoundFiles) -> Self {
        Self { files, waits: true }
    }
}

/// What a source is, by its document.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum SourceKind {
    /// Nothing.
    Silence(Silence),
    /// A sine.
    Tone(Tone),
    /// A beep each second.
    SyncBeep(SyncBeep),
    /// A sound file.
    File(File),
}

impl SourceKind {
    /// The names of all types, as documents write them.
    pub const TYPES: &[&str] = &["silence", "tone", "syncBeep", "file"];

    /// The schemas of all types, each with the fields that all have.
    pub(super) fn push_schemas(schemas: &mut schema::Named, common: &schema::Written) {
        fn push<T: ToSchema>(schemas: &mut schema::Named, common: &schema::Written, type_name: &str) {
            let object = schema::with_common(schema::tagged(type_name, T::schema()), common.clone());
            schema::push_type::<T>(schemas, schema::type_schema_name(type_name, "Source"), object);
        }
        for type_name in Self::TYPES {
            match *type_name {
                "tone" => push::<Tone>(schemas, common, type_name),
                "syncBeep" => push::<SyncBeep>(schemas, common, type_name),
                "file" => push::<File>(schemas, common, type_name),
                _ => push::<Silence>(schemas, common, type_name),
            }
        }
    }

    /// Reads and checks `type` and the fields of that type.
    pub fn read(mut value: Value) -> Result<Self, Problems> {
        let at = |message: String| Problems::from(Problem { pointer: "/type".into(), message });
        let types = || Self::TYPES.join(", ");
        let kind = value.as_object_mut().and_then(|fields| fields.remove("type"));
        let kind = kind.ok_or_else(|| at(format!("missing; expected one of {}", types())))?;
        let kind = match kind.as_str() {
            Some("silence") => check::read(value).map(Self::Silence)?,
            Some("tone") => check::read(value).map(Self::Tone)?,
            Some("syncBeep") => check::read(value).map(Self::SyncBeep)?,
            Some("file") => check::read(value).map(Self::File)?,
            Some(other) => return Err(at(format!("unknown type `{other}`, expected one of {}", types()))),
            None => return Err(at("expected a text".into())),
        };
        let mut check = Check::default();
        kind.check(&mut check);
        check.finish().map(|()| kind)
    }

    fn check(&self, check: &mut Check) {
        match self {
            Self::Silence(_) => {}
            Self::Tone(tone) => tone.check(check),
            Self::SyncBeep(beep) => beep.check(check),
            Self::File(file) => file.check(check),
        }
    }

    /// The same after a run.
    pub(super) fn settled(&self) -> Self {
        match self {
            Self::File(file) => Self::File(File { at_ms: None, ..file.clone() }),
            Self::Silence(_) | Self::Tone(_) | Self::SyncBeep(_) => self.clone(),
        }
    }

    /// The name of its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Silence(_) => "silence",
            Self::Tone(_) => "tone",
            Self::SyncBeep(_) => "syncBeep",
            Self::File(_) => "file",
        }
    }

    /// What sounds like that, for the strip of this id. May take its time.
    pub fn open(&self, id: &Id, opener: &Opener) -> Box<dyn Source> {
        match self {
            Self::Silence(silence) => Box::new(*silence),
            Self::Tone(tone) => Box::new(*tone),
            Self::SyncBeep(beep) => Box::new(*beep),
            Self::File(file) => Box::new(file.open(id, &opener.files, opener.waits)),
        }
    }
}

/// Nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Silence {}

impl Source for Silence {
    fn mix(&mut self, _first_sample: u64, _out: &mut Block) {}
}

/// A sine, the same left and right, that is at phase zero at sample 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Tone {
    /// Whole periods per second.
    #[schema(minimum = 20, maximum = 20000)]
    pub frequency_hz: u32,
    /// Its peak in dB below full scale.
    #[schema(minimum = -100, maximum = 0)]
    pub level_dbfs: f64,
}

impl Tone {
    /// 1 kHz at -18 dBFS: the alignment signal of EBU R 68.
    pub const ALIGNMENT: Self = Self { frequency_hz: 1000, level_dbfs: -18.0 };

    fn check(&self, check: &mut Check) {
        check.range("/frequencyHz", self.frequency_hz.into(), FREQUENCIES_HZ);
        check.range("/levelDbfs", self.level_dbfs, SILENT_DB..=0.0);
    }
}

impl Default for Tone {
    fn default() -> Self {
        Self::ALIGNMENT
    }
}

impl Source for Tone {
    fn mix(&mut self, first_sample: u64, out: &mut Block) {
        let peak = fader::amplitude(self.level_dbfs);
        for (number, pair) in (first_sample..).zip(out) {
            add(pair, sine(number, self.frequency_hz) * peak);
        }
    }
}

/// A sine that is zero at sample 0. Whole periods fit into a second, so the phase is an integer and stays exact however
/// long the stream runs.
fn sine(number: u64, frequency_hz: u32) -> f64 {
    let rate = u64::from(SAMPLE_RATE);
    let phase = number % rate * u64::from(frequency_hz) % rate;
    (phase as f64 / rate as f64 * TAU).sin()
}

/// The same left and right.
fn add(pair: &mut [f32; 2], value: f64) {
    for sample in pair {
        *sample += value as f32;
    }
}

/// A beep that begins at sample 0 and at each interval after it: what the flashes of a picture are held against, to see
/// whether sound and picture arrive together. At 30000/1001 frames a second, 30 of them are an interval of 1001 ms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SyncBeep {
    /// From the start of one to the start of the next.
    #[schema(minimum = 100, maximum = 60000)]
    pub interval_ms: u32,
    /// How long each is.
    pub length_ms: u32,
    /// Whole periods per second.
    #[schema(minimum = 20, maximum = 20000)]
    pub frequency_hz: u32,
    /// Its peak in dB below full scale.
    #[schema(minimum = -100, maximum = 0)]
    pub level_dbfs: f64,
}

impl SyncBeep {
    fn check(&self, check: &mut Check) {
        check.range("/intervalMs", self.interval_ms.into(), INTERVALS_MS);
        check.range("/lengthMs", self.length_ms.into(), 1.0..=self.interval_ms.into());
        check.range("/frequencyHz", self.frequency_hz.into(), FREQUENCIES_HZ);
        check.range("/levelDbfs", self.level_dbfs, SILENT_DB..=0.0);
    }
}

impl Default for SyncBeep {
    /// 40 ms of 1 kHz at each full second: whole periods, and about the length of a frame.
    fn default() -> Self {
        let Tone { frequency_hz, level_dbfs } = Tone::ALIGNMENT;
        Self { interval_ms: 1000, length_ms: 40, frequency_hz, level_dbfs }
    }
}

impl Source for SyncBeep {
    fn mix(&mut self, first_sample: u64, out: &mut Block) {
        let [interval, length] =
            [self.interval_ms, self.length_ms].map(|ms| u64::from(ms) * u64::from(SAMPLE_RATE / 1000));
        let peak = fader::amplitude(self.level_dbfs);
        for (number, pair) in (first_sample..).zip(out) {
            let since = number % interval;
            if since < length {
                add(pair, sine(since, self.frequency_hz) * peak);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::SILENT_BLOCK, *};

    const HALF: f64 = -6.020_599_913_279_624;

    #[test]
    fn a_tone_has_no_seams() {
        let mut block = SILENT_BLOCK;
        // A day and an odd number of samples into the stream: 21 samples are 7/16 of a period of 1 kHz.
        let first = 86_400 * 48_000 + 21;
        Tone { frequency_hz: 1000, level_dbfs: HALF }.mix(first, &mut block);
        for (index, [left, right]) in block.into_iter().enumerate() {
            let expected = 0.5 * ((21 + index) as f64 / 48.0 * TAU).sin() as f32;
            assert!((left - expected).abs() < 1e-5 && left == right, "{index}: {left} instead of {expected}");
        }
    }

    /// Two seconds of 30 frames, 30000/1001 a second, into the stream, in the middle of a block.
    #[test]
    fn beeps_begin_at_each_interval() {
        let mut beep = SyncBeep { interval_ms: 1001, length_ms: 10, frequency_hz: 2000, level_dbfs: HALF };
        let mut block = SILENT_BLOCK;
        beep.mix(2 * 48_048 - 100, &mut block);
        for (index, [left, right]) in block.into_iter().enumerate() {
            let since = index as i64 - 100;
            let heard = if (0..480).contains(&since) { 0.5 * (since as f64 / 24.0 * TAU).sin() as f32 } else { 0.0 };
            assert!((left - heard).abs() < 1e-5 && left == right, "{index}: {left} instead of {heard}");
        }
    }

    #[test]
    fn sources_add_up() {
        let mut block = SILENT_BLOCK;
        let mut tone = Tone { frequency_hz: 480, level_dbfs: 2.0 * HALF };
        tone.mix(0, &mut block);
        Silence {}.mix(0, &mut block);
        tone.mix(0, &mut block);
        assert!((block[25][0] - 0.5).abs() < 1e-6, "a quarter of a period in");
    }

    #[test]
    fn documents_are_read_by_their_type() {
        let tone = json!({ "type": "tone", "frequencyHz": 440, "levelDbfs": -20.0 });
        let kind = SourceKind::read(tone.clone()).unwrap();
        assert_eq!(kind, SourceKind::Tone(Tone { frequency_hz: 440, level_dbfs: -20.0 }));
        assert_eq!(serde_json::to_value(&kind).unwrap(), tone);
        assert_eq!(serde_json::to_value(SourceKind::Silence(Silence {})).unwrap(), json!({ "type": "silence" }));
        let beep = json!({ "type": "syncBeep" });
        for (kind, name) in [(json!({ "type": "silence" }), "silence"), (tone, "tone"), (beep, "syncBeep")] {
            assert_eq!(SourceKind::read(kind).unwrap().type_name(), name);
            assert!(SourceKind::TYPES.contains(&name));
        }
        for (wrong, pointer, word) in [
            (json!({}), "/type", "silence, tone"),
            (json!({ "type": "noise" }), "/type", "`noise`, expected one of silence, tone"),
            (json!({ "type": 1 }), "/type", "text"),
            (json!({ "type": "tone", "frequencyHz": 19 }), "/frequencyHz", "20 to 20000"),
            (json!({ "type": "tone", "levelDbfs": 0.5 }), "/levelDbfs", "-100 to 0"),
            (json!({ "type": "syncBeep", "intervalMs": 99 }), "/intervalMs", "100 to 60000"),
            (json!({ "type": "syncBeep", "intervalMs": 500, "lengthMs": 501 }), "/lengthMs", "1 to 500"),
            (json!({ "type": "syncBeep", "lengthMs": 0 }), "/lengthMs", "1 to 1000"),
            (json!({ "type": "syncBeep", "frequencyHz": 0 }), "/frequencyHz", "20 to 20000"),
            (json!({ "type": "syncBeep", "levelDbfs": 1 }), "/levelDbfs", "-100 to 0"),
        ] {
            let problem = SourceKind::read(wrong).unwrap_err().0.remove(0);
            assert!(problem.pointer == pointer && problem.message.contains(word), "{problem}");
        }
    }
}
