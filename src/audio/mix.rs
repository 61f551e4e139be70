//! The document of a mix: its sources, each with its place on the mixer, and what is done to the whole.
//!
//! ```text
//!  source ─► delay ─► gain, fade, mute, solo ─► pan ─► ducking ─┐
//!  source ─► ...                                                ├─► gain, fade ─► limiter ─► meters, encoder
//! ```
//!
//! Read strictly. A change of a gain with a `fade` beside it takes its time; any other change is led over to in a few
//! milliseconds, so that nothing clicks. What is on its way is in the document ([`Fade`]), stamped by whoever changes a
//! mix on air, so the sound stays a function of the document and the time.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{PartialSchema, ToSchema};

use super::{
    fader::{self, Fade, GAINS_DB, SILENT_DB},
    mixer::Opened,
    source::{Opener, SourceKind},
};
use crate::{
    base::{
        id::Id,
        schema::{self, Named},
    },
    scene::check::{self, Check, Problem, Problems},
};

/// Most sources of a mix.
pub const SOURCES_MAX: usize = 16;
/// How late a source may be, in milliseconds.
const DELAYS_MS: RangeInclusive<f64> = 0.0..=5000.0;

/// Everything that is heard, and how.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mix {
    /// In the order of the document; ids are unique.
    pub sources: Vec<Strip>,
    /// The gain of the whole, in dB.
    pub gain_db: f64,
    /// How that gain is being approached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fade: Option<Fade>,
    /// What keeps peaks below full scale.
    pub limiter: Limiter,
    /// When silence is said to be.
    pub silence: Silence,
}

/// One source on the mixer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Strip {
    /// Unique in its mix.
    pub id: Id,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: SourceKind,
    /// In dB; the lowest is silence.
    pub gain_db: f64,
    /// How that gain is being approached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fade: Option<Fade>,
    /// -1 left to 1 right: a balance. What it leans away from gets quieter, to nothing; nothing gets louder, and nothing
    /// goes over to the other side, for sources are stereo.
    pub pan: f64,
    /// Not heard.
    pub mute: bool,
    /// Of the sources, only those with this are heard.
    pub solo: bool,
    /// How much later it is heard, in milliseconds.
    pub delay_ms: f64,
    /// The layer with which it is heard, as far as that is seen; with one that was taken away it is silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_layer: Option<Id>,
    /// What it makes room for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duck: Option<Duck>,
}

/// Getting quieter while another source is heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Duck {
    /// The other source.
    pub under: Id,
    /// The level of the other source, behind its fader, from which on it counts as heard.
    #[serde(default = "default_threshold_dbfs")]
    #[schema(minimum = -90, maximum = 0)]
    pub threshold_dbfs: f64,
    /// By how much to get quieter.
    #[serde(default = "default_reduction_db")]
    #[schema(minimum = 0, maximum = 60)]
    pub reduction_db: f64,
    /// How long the way down takes, in milliseconds.
    #[serde(default = "default_attack_ms")]
    #[schema(minimum = 1, maximum = 5000)]
    pub attack_ms: f64,
    /// How long the way back takes, in milliseconds.
    #[serde(default = "default_release_ms")]
    #[schema(minimum = 1, maximum = 30000)]
    pub release_ms: f64,
}

fn default_threshold_dbfs() -> f64 {
    -40.0
}
fn default_reduction_db() -> f64 {
    12.0
}
fn default_attack_ms() -> f64 {
    100.0
}
fn default_release_ms() -> f64 {
    800.0
}

/// What keeps peaks below full scale, those between samples included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limiter {
    /// Whether it works. It takes its time anyway, so that switching it moves nothing.
    pub enabled: bool,
    /// The highest true peak that it lets through, in dB of full scale.
    #[schema(minimum = -20, maximum = 0)]
    pub ceiling_dbtp: f64,
    /// How long it takes to let go, in milliseconds.
    #[schema(minimum = 10, maximum = 5000)]
    pub release_ms: f64,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { enabled: true, ceiling_dbtp: -1.0, release_ms: 100.0 }
    }
}

/// When silence is said to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = SilenceDetection)]
pub struct Silence {
    /// Peaks below this are silent.
    #[schema(minimum = -100, maximum = 0)]
    pub threshold_dbfs: f64,
    /// Silence is what has been silent for so long, in milliseconds.
    #[schema(minimum = 100, maximum = 3600000)]
    pub duration_ms: f64,
}

impl Default for Silence {
    fn default() -> Self {
        Self { threshold_dbfs: -60.0, duration_ms: 5000.0 }
    }
}

/// A mix as it is written, without what encodes it.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = Mix)]
struct MixDocument {
    // Read apart, each by its type.
    #[schema(value_type = Vec<Strip>)]
    sources: Vec<Value>,
    #[schema(minimum = -100, maximum = 24)]
    gain_db: f64,
    fade: Option<Fade>,
    limiter: Limiter,
    silence: Silence,
}

schema::written_as!(Mix as "Mix" = MixDocument);

impl Mix {
    /// Reads and checks a mix's document.
    pub fn read(value: Value) -> Result<Self, Problems> {
        let MixDocument { sources, gain_db, fade, limiter, silence } = check::read(value)?;
        if sources.len() > SOURCES_MAX {
            let message = format!("{} sources are too many: {SOURCES_MAX} at most", sources.len());
            return Err(Problem { pointer: "/sources".into(), message }.into());
        }
        let read = |(i, value)| Strip::read(value).map_err(|problems| problems.under(&format!("/sources/{i}")));
        let sources = sources.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
        let mix = Self { sources, gain_db, fade, limiter, silence };
        mix.check().map(|()| mix)
    }

    /// What no source says alone.
    pub fn check(&self) -> Result<(), Problems> {
        let mut check = Check::default();
        check.range("/gainDb", self.gain_db, GAINS_DB);
        check.part("/fade", |check| self.fade.iter().for_each(|fade| fade.check(check)));
        check.range("/limiter/ceilingDbtp", self.limiter.ceiling_dbtp, -20.0..=0.0);
        check.range("/limiter/releaseMs", self.limiter.release_ms, 10.0..=5000.0);
        check.range("/silence/thresholdDbfs", self.silence.threshold_dbfs, SILENT_DB..=0.0);
        check.range("/silence/durationMs", self.silence.duration_ms, 100.0..=3_600_000.0);
        for (i, strip) in self.sources.iter().enumerate() {
            let is_new = !self.sources[..i].iter().any(|other| other.id == strip.id);
            check
                .that(&format!("/sources/{i}/id"), is_new, || format!("`{}` is another source's id already", strip.id));
            if let Some(Duck { under, .. }) = &strip.duck {
                let pointer = format!("/sources/{i}/duck/under");
                check.that(&pointer, *under != strip.id, || "a source cannot make room for itself".into());
                check.that(&pointer, self.source(under.as_str()).is_some(), || {
                    format!("there is no source `{under}`, expected one of {}", self.others(&strip.id))
                });
            }
        }
        check.finish()
    }

    fn others(&self, id: &Id) -> String {
        let others: Vec<_> = self.sources.iter().map(|strip| strip.id.as_str()).filter(|&o| o != id.as_str()).collect();
        others.join(", ")
    }

    /// The source of that id.
    pub fn source(&self, id: &str) -> Option<&Strip> {
        self.sources.iter().find(|strip| strip.id.as_str() == id)
    }

    /// Opens what is new in it, or sounds otherwise, since it was `before`.
    pub fn opened_since(&self, before: &Self, opener: &Opener) -> Vec<Opened> {
        let is_same = |strip: &Strip| before.source(strip.id.as_str()).is_some_and(|was| was.kind == strip.kind);
        let new = self.sources.iter().filter(|strip| !is_same(strip));
        new.map(|strip| (strip.id.clone(), strip.kind.open(&strip.id, opener))).collect()
    }

    /// Whether a source is heard, as far as mute and solo decide it.
    pub(super) fn lets_through(&self, strip: &Strip) -> bool {
        !strip.mute && (strip.solo || !self.sources.iter().any(|other| other.solo))
    }

    /// This mix as it goes on air at `sample`, in place of `before`: fades that are new begin, and those that are over
    /// are gone. A file without a word on when it starts starts now.
    #[must_use]
    pub fn following(mut self, before: &Self, sample: u64) -> Self {
        let fader = Fader { gain_db: before.gain_db, fade: before.fade.as_ref() };
        self.fade = fader.led_to(self.gain_db, self.fade.take(), sample);
        for strip in &mut self.sources {
            let fader = match before.source(strip.id.as_str()) {
                Some(was) => Fader { gain_db: was.gain_db, fade: was.fade.as_ref() },
                None => Fader { gain_db: SILENT_DB, fade: None },
            };
            strip.fade = fader.led_to(strip.gain_db, strip.fade.take(), sample);
            if let SourceKind::File(file) = &mut strip.kind {
                // What is heard at `sample` is asked for by an earlier number if the source is delayed.
                file.at_ms.get_or_insert((fader::ms_of(sample) - strip.delay_ms).max(0.0));
            }
        }
        self
    }

    /// This mix at `sample`, without the fades that are over by then; `None` if there are none.
    pub fn caught_up(&self, sample: u64) -> Option<Self> {
        let is_over = |fade: &Option<Fade>| fade.as_ref().is_some_and(|fade| fade.is_over(sample));
        if !is_over(&self.fade) && !self.sources.iter().any(|strip| is_over(&strip.fade)) {
            return None;
        }
        let left = |fade: &Option<Fade>| fade.clone().filter(|fade| !fade.is_over(sample));
        let caught_up = |strip: &Strip| Strip { fade: left(&strip.fade), ..strip.clone() };
        let sources = self.sources.iter().map(caught_up).collect();
        Some(Self { sources, fade: left(&self.fade), ..self.clone() })
    }

    /// This mix, of an earlier time, as it comes back in place of `before`: fades that were under way are over, and files that
    /// are heard now go on.
    #[must_use]
    pub fn returning(&self, before: &Self) -> Self {
        let mut mix = self.settled();
        for strip in &mut mix.sources {
            let now = before.source(strip.id.as_str()).filter(|now| now.kind.settled() == strip.kind);
            strip.kind = now.map_or_else(|| strip.kind.clone(), |now| now.kind.clone());
        }
        mix
    }

    /// This mix after a run: every fade has arrived, and files start with the next one. The times of one run's clock mean
    /// nothing on another's.
    #[must_use]
    pub fn settled(&self) -> Self {
        let settled = |strip: &Strip| Strip { fade: None, kind: strip.kind.settled(), ..strip.clone() };
        Self { sources: self.sources.iter().map(settled).collect(), fade: None, ..self.clone() }
    }
}

/// A fader as a document has it.
struct Fader<'a> {
    gain_db: f64,
    fade: Option<&'a Fade>,
}

impl Fader<'_> {
    /// What becomes of it, on air at `sample`, when the document gives it `gain_db` and `fade`. A fade that the document
    /// had before goes on unless its gain was changed; one without a start starts now, from where the fader is.
    fn led_to(&self, gain_db: f64, fade: Option<Fade>, sample: u64) -> Option<Fade> {
        let fade = fade.filter(|fade| Some(fade) != self.fade || gain_db == self.gain_db)?;
        let now = fader::decibels(fader::factor_at(self.gain_db, self.fade, sample));
        let start_ms = fade.start_ms.unwrap_or_else(|| fader::ms_of(sample));
        let from_db = fade.from_db.unwrap_or_else(|| now.min(*GAINS_DB.end()));
        let fade = Fade { from_db: Some(from_db), start_ms: Some(start_ms), ..fade };
        (!fade.is_over(sample)).then_some(fade)
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StripDocument {
    id: Id,
    #[serde(default)]
    name: String,
    #[serde(default)]
    #[schema(minimum = -100, maximum = 24)]
    gain_db: f64,
    fade: Option<Fade>,
    #[serde(default)]
    #[schema(minimum = -1, maximum = 1)]
    pan: f64,
    #[serde(default)]
    mute: bool,
    #[serde(default)]
    solo: bool,
    #[serde(default)]
    #[schema(minimum = 0, maximum = 5000)]
    delay_ms: f64,
    follow_layer: Option<Id>,
    duck: Option<Duck>,
}

impl PartialSchema for Strip {
    fn schema() -> schema::Written {
        let types = SourceKind::TYPES;
        let types = types.iter().map(|type_name| (schema::type_schema_name(type_name, "Source"), *type_name));
        schema::one_of("A source of sound, and its place on the mixer.", &types.collect::<Vec<_>>())
    }
}

impl ToSchema for Strip {
    fn name() -> std::borrow::Cow<'static, str> {
        "AudioSource".into()
    }
    fn schemas(schemas: &mut Named) {
        SourceKind::push_schemas(schemas, &StripDocument::schema());
        StripDocument::schemas(schemas);
    }
}

/// The fields that all sources have; the others are those of the type.
const COMMON: &[&str] = &["id", "name", "gainDb", "fade", "pan", "mute", "solo", "delayMs", "followLayer", "duck"];

impl Strip {
    /// Reads and checks the document of a source.
    pub fn read(value: Value) -> Result<Self, Problems> {
        let Value::Object(fields) = value else {
            return Err(Problem { pointer: String::new(), message: "expected an object".into() }.into());
        };
        let (common, own): (Map<_, _>, Map<_, _>) =
            fields.into_iter().partition(|(name, _)| COMMON.contains(&name.as_str()));
        let own = SourceKind::read(Value::Object(own)).map_err(with_common);
        let document = check::read::<StripDocument>(Value::Object(common));
        let (kind, document) = match (own, document) {
            (Ok(kind), Ok(document)) => (kind, document),
            (own, document) => {
                let problems = [own.err(), document.err()].into_iter().flatten().flat_map(|problems| problems.0);
                return Err(Problems(problems.collect()));
            }
        };
        let StripDocument { id, name, gain_db, fade, pan, mute, solo, delay_ms, follow_layer, duck } = document;
        let strip = Self { id, name, kind, gain_db, fade, pan, mute, solo, delay_ms, follow_layer, duck };
        let mut check = Check::default();
        strip.check(&mut check);
        check.finish().map(|()| strip)
    }

    fn check(&self, check: &mut Check) {
        check.count("/name", "bytes", self.name.len(), 0..=256);
        check.range("/gainDb", self.gain_db, GAINS_DB);
        check.part("/fade", |check| self.fade.iter().for_each(|fade| fade.check(check)));
        check.range("/pan", self.pan, -1.0..=1.0);
        check.range("/delayMs", self.delay_ms, DELAYS_MS);
        if let Some(duck) = &self.duck {
            check.range("/duck/thresholdDbfs", duck.threshold_dbfs, -90.0..=0.0);
            check.range("/duck/reductionDb", duck.reduction_db, 0.0..=60.0);
            check.range("/duck/attackMs", duck.attack_ms, 1.0..=5000.0);
            check.range("/duck/releaseMs", duck.release_ms, 1.0..=30_000.0);
        }
    }
}

/// A field that no type has may be one of all sources', misspelt: those are named too.
fn with_common(mut problems: Problems) -> Problems {
    for problem in problems.0.iter_mut().filter(|problem| problem.message.starts_with("unknown field")) {
        problem.message.push_str(&format!(", or of every source's: {}", COMMON.join(", ")));
    }
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mix(sources: Value) -> Result<Mix, Problems> {
        Mix::read(json!({ "sources": sources }))
    }

    #[test]
    fn what_is_written_reads_as_itself() {
        let whole = json!({
            "sources": [
                { "id": "voice", "name": "Voice", "type": "tone", "frequencyHz": 440, "levelDbfs": -20.0, "gainDb": -3.5,
                  "pan": -0.5, "mute": true, "solo": true, "delayMs": 40.0, "followLayer": "logo",
                  "fade": { "fromDb": -100.0, "startMs": 12.5, "durationMs": 500.0, "easing": "easeInOutSine" } },
                { "id": "music", "type": "silence", "gainDb": 0.0, "pan": 0.0, "mute": false, "solo": false, "delayMs": 0.0,
                  "duck": { "under": "voice", "thresholdDbfs": -35.0, "reductionDb": 9.0, "attackMs": 50.0,
                            "releaseMs": 500.0 } },
            ],
            "gainDb": -1.0,
            "limiter": { "enabled": false, "ceilingDbtp": -2.0, "releaseMs": 50.0 },
            "silence": { "thresholdDbfs": -50.0, "durationMs": 2000.0 },
        });
        let read = Mix::read(whole.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), whole);
        let fields = serde_json::to_value(&read.sources[0]).unwrap();
        let is_known = |name: &&String| COMMON.contains(&name.as_str()) || name.as_str() == "duck";
        let others: Vec<_> = fields.as_object().unwrap().keys().filter(|name| !is_known(name)).collect();
        assert_eq!(others, ["frequencyHz", "levelDbfs", "type"], "all other fields are in COMMON");
    }

    #[test]
    fn an_empty_document_is_silence() {
        let mix = Mix::read(json!({})).unwrap();
        assert_eq!(mix, Mix::default());
        assert_eq!((mix.sources.len(), mix.gain_db, mix.limiter.ceiling_dbtp), (0, 0.0, -1.0));
    }

    #[test]
    fn every_problem_has_its_place_and_names_what_is_allowed() {
        let tone = |id: &str| json!({ "id": id, "type": "tone" });
        let with = |field: &str, value: Value| {
            let mut source = tone("a");
            source[field] = value;
            json!([source, tone("b")])
        };
        for (sources, pointer, word) in [
            (with("gainDb", json!(24.5)), "/sources/0/gainDb", "-100 to 24"),
            (with("gainDB", json!(0)), "/sources/0/gainDB", "frequencyHz` or `levelDbfs`, or of every source's: id"),
            (with("pan", json!(-1.1)), "/sources/0/pan", "-1 to 1"),
            (with("delayMs", json!(5001)), "/sources/0/delayMs", "0 to 5000"),
            (with("type", json!("noise")), "/sources/0/type", "silence, tone"),
            (with("id", json!("b")), "/sources/1/id", "`b`"),
            (with("id", json!("a b")), "/sources/0/id", "A-Z"),
            (with("fade", json!({})), "/sources/0/fade", "durationMs"),
            (with("fade", json!({ "durationMs": 1e7 })), "/sources/0/fade/durationMs", "0 to 600000"),
            (with("fade", json!({ "durationMs": 1, "easing": "fast" })), "/sources/0/fade/easing", "ease(In|Out"),
            (with("duck", json!({ "under": "c" })), "/sources/0/duck/under", "no source `c`, expected one of b"),
            (with("duck", json!({ "under": "a" })), "/sources/0/duck/under", "itself"),
            (with("duck", json!({ "under": "b", "ratio": 4 })), "/sources/0/duck/ratio", "thresholdDbfs"),
            (with("duck", json!({ "under": "b", "attackMs": 0 })), "/sources/0/duck/attackMs", "1 to 5000"),
            (json!([1]), "/sources/0", "object"),
            (Value::Array(vec![tone("a"); 17]), "/sources", "17 sources are too many: 16 at most"),
        ] {
            let problems = mix(sources).unwrap_err();
            assert!(
                problems.0.iter().any(|p| p.pointer == pointer && p.message.contains(word)),
                "{pointer}: {problems}"
            );
        }
        let both = mix(json!([{ "type": "tone", "frequencyHz": 1 }])).unwrap_err();
        assert_eq!(both.0.len(), 2, "every field is looked at: {both}");
        let limiter =
            Mix::read(json!({ "limiter": { "ceilingDbtp": 1 }, "silence": { "durationMs": 1 } })).unwrap_err();
        let pointers: Vec<_> = limiter.0.iter().map(|problem| problem.pointer.as_str()).collect();
        assert_eq!(pointers, ["/limiter/ceilingDbtp", "/silence/durationMs"]);
    }

    /// What it does not say is when it goes on air; that is kept while it is on air, and forgotten with the run.
    #[test]
    fn a_file_starts_when_it_goes_on_air() {
        let at = |mix: &Mix, index: usize| match &mix.sources[index].kind {
            SourceKind::File(file) => file.at_ms,
            other => panic!("{other:?}"),
        };
        let written = json!([
            { "id": "jingle", "type": "file", "asset": "jingle.wav" },
            { "id": "late", "type": "file", "asset": "jingle.wav", "delayMs": 500 },
            { "id": "planned", "type": "file", "asset": "jingle.wav", "atMs": 60_000 },
        ]);
        let on_air = mix(written).unwrap().following(&Mix::default(), 480_000);
        assert_eq!([0, 1, 2].map(|index| at(&on_air, index)), [Some(10_000.0), Some(9500.0), Some(60_000.0)]);
        let read_again = Mix::read(serde_json::to_value(&on_air).unwrap()).unwrap();
        assert!(read_again.following(&on_air, 960_000).opened_since(&on_air, &Opener::default()).is_empty());
        assert_eq!([0, 2].map(|index| at(&on_air.settled(), index)), [None, None]);
    }

    #[test]
    fn a_fade_starts_when_and_where_the_fader_is() {
        let source = |gain: f64, fade: Value| mix(json!([{ "id": "a", "type": "tone", "gainDb": gain, "fade": fade }]));
        let before = source(0.0, json!(null)).unwrap();
        let down = source(-100.0, json!({ "durationMs": 2000 })).unwrap().following(&before, 48_000);
        let fade = down.sources[0].fade.clone().unwrap();
        assert_eq!((fade.from_db, fade.start_ms), (Some(0.0), Some(1000.0)));

        // Half way down it is led up again, from there.
        let up = source(-6.0, json!({ "durationMs": 1000 })).unwrap().following(&down, 96_000);
        let fade = up.sources[0].fade.clone().unwrap();
        assert!((fade.from_db.unwrap() + 18.061_799_7).abs() < 1e-6 && fade.start_ms == Some(2000.0), "{fade:?}");

        let mut other = up.clone();
        other.sources[0].pan = 0.5;
        assert_eq!(other.following(&up, 97_000).sources[0].fade, up.sources[0].fade, "goes on when others change");
        let mut grabbed = up.clone();
        grabbed.sources[0].gain_db = -3.0;
        assert_eq!(grabbed.following(&up, 97_000).sources[0].fade, None, "the fader is where it is put");
        assert_eq!(up.caught_up(143_999), None);
        assert_eq!(up.caught_up(144_000).unwrap().sources[0].fade, None);

        let new = source(0.0, json!({ "durationMs": 500 })).unwrap().following(&Mix::default(), 480);
        assert_eq!(new.sources[0].fade.clone().unwrap().from_db, Some(-100.0), "a new source comes from silence");
    }

    #[test]
    fn solo_silences_the_others_and_mute_goes_before_it() {
        let heard = |sources: Value| {
            let mix = mix(sources).unwrap();
            mix.sources.iter().map(|strip| mix.lets_through(strip)).collect::<Vec<_>>()
        };
        let source = |id: &str, mute: bool, solo: bool| json!({ "id": id, "type": "tone", "mute": mute, "solo": solo });
        assert_eq!(heard(json!([source("a", false, false), source("b", true, false)])), [true, false]);
        assert_eq!(heard(json!([source("a", false, false), source("b", false, true)])), [false, true]);
        assert_eq!(heard(json!([source("a", false, false), source("b", true, true)])), [false, false]);
    }
}
