//! The document of a stream: what `POST /api/v1/streams` takes and a show file contains.
//!
//! Read strictly, like everything in `scene`. Outputs have secrets that are not written (`output`), so they are not read
//! back from what is written; a merge patch keeps them.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};

use super::{
    output::{self, Output},
    rendition::{self, Rendition},
};
use crate::base::schema::{self, Named, Written, written_as};
use crate::{
    audio::{self, Mix},
    base::{id::Id, rate::FrameRate, size::Size},
    encode::{self, Backend, Codec, Nvenc, Tuning},
    gpu::Fit,
    pipeline::{self, EncoderSettings, SoundSettings},
    scene::{
        Canvas, Layer, LayerErrors, OnAir, Scene, Show, ShowDocument,
        check::{self, Check, Problem, Problems},
        transition::Transition,
    },
};

/// Keyframe intervals, in milliseconds; ingests want two seconds and refuse more than four.
const KEYFRAME_INTERVALS_MS: std::ops::RangeInclusive<f64> = 250.0..=10_000.0;

/// A stream as its document describes it, checked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Unique in the daemon.
    pub id: Id,
    /// For people.
    pub name: String,
    /// Canvas, what broken layers show, and the scenes; written as fields of the document.
    #[serde(flatten, serialize_with = "write_show")]
    pub show: Arc<Show>,
    /// The scene that is looked at before it goes on air.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<Id>,
    /// How a scene goes on air when a take does not say.
    pub default_transition: Transition,
    /// How the picture is encoded.
    pub encoder: Encoder,
    /// Other pictures of the canvas.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub renditions: Vec<Rendition>,
    /// How the sound is made.
    pub audio: Audio,
    /// Whether it starts with the daemon, or as soon as it is created.
    pub auto_start: bool,
    /// Where it goes.
    pub outputs: Vec<Output>,
}

/// How the picture is encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Encoder {
    /// Which codec.
    pub codec: Codec,
    /// Which encoder: `auto` takes the first that works.
    pub backend: Backend,
    /// Kilobits per second, constant.
    #[schema(minimum = 50, maximum = 100000)]
    pub bitrate_kbps: u32,
    /// Milliseconds from keyframe to keyframe.
    #[schema(minimum = 250, maximum = 10000)]
    pub keyframe_interval_ms: u32,
    /// What the encoder is tuned for.
    pub tuning: Tuning,
    /// What NVENC alone is told.
    pub nvenc: Nvenc,
    /// Whether what a picture does not need is saved (`vbr`) or filled up (`cbr`).
    pub rate_control: encode::RateControl,
    /// What x264 alone is told.
    pub x264: encode::X264,
    /// Whether less is made while outputs are behind, and how much less.
    pub adaptive_bitrate: pipeline::Rule,
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            codec: Codec::H264,
            backend: Backend::Auto,
            bitrate_kbps: 4500,
            keyframe_interval_ms: 2000,
            tuning: Tuning::LowLatency,
            nvenc: Nvenc::default(),
            rate_control: encode::RateControl::default(),
            x264: encode::X264::default(),
            adaptive_bitrate: pipeline::Rule::default(),
        }
    }
}

impl Encoder {
    /// From keyframe to keyframe.
    pub fn keyframe_interval(&self) -> Duration {
        Duration::from_millis(u64::from(self.keyframe_interval_ms))
    }

    /// What a picture of this size and rate is encoded with.
    fn settings(&self, size: Size, rate: FrameRate) -> EncoderSettings {
        let interval = self.keyframe_interval();
        let mut settings = EncoderSettings::new(self.backend, size, rate, self.bitrate_kbps, interval);
        settings.config.codec = self.codec;
        settings.config.tuning = self.tuning;
        settings.config.nvenc = self.nvenc;
        settings.config.rate_control = self.rate_control;
        settings.config.x264 = self.x264;
        settings.rule = self.adaptive_bitrate;
        settings
    }

    /// Whether a running encoder can go from one to the other: its bitrate and what that follows may differ.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        let Self { bitrate_kbps, adaptive_bitrate, .. } = *other;
        Self { bitrate_kbps, adaptive_bitrate, ..self.clone() } == *other
    }

    pub(super) fn check(&self, check: &mut Check) {
        let bitrates = f64::from(encode::BITRATE_KBPS_MIN)..=f64::from(encode::BITRATE_KBPS_MAX);
        check.range("/bitrateKbps", f64::from(self.bitrate_kbps), bitrates.clone());
        check.range("/adaptiveBitrate/minKbps", f64::from(self.adaptive_bitrate.min_kbps), bitrates);
        check.range("/keyframeIntervalMs", f64::from(self.keyframe_interval_ms), KEYFRAME_INTERVALS_MS);
    }
}

/// How the sound is made.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Audio {
    /// What is heard, written as fields of the document. There is always an audio track, if only a silent one: big
    /// ingests refuse streams without one.
    #[serde(flatten, serialize_with = "write_mix")]
    pub mix: Arc<Mix>,
    /// Kilobits per second of AAC-LC.
    pub bitrate_kbps: u32,
}

impl Default for Audio {
    fn default() -> Self {
        Self { mix: Arc::default(), bitrate_kbps: 128 }
    }
}

impl Audio {
    /// Reads and checks it: the fields of the mix, and those of its encoding.
    pub fn read(mut value: Value) -> Result<Self, Problems> {
        let bitrate_kbps = value.as_object_mut().and_then(|fields| fields.remove("bitrateKbps"));
        let bitrate_kbps = bitrate_kbps.map(|value| check::read(value).map_err(|found| found.under("/bitrateKbps")));
        let mut audio = Self { mix: Arc::new(Mix::read(value)?), ..Self::default() };
        audio.bitrate_kbps = bitrate_kbps.transpose()?.unwrap_or(audio.bitrate_kbps);
        let mut check = Check::default();
        let bitrates = f64::from(audio::BITRATE_KBPS_MIN)..=f64::from(audio::BITRATE_KBPS_MAX);
        check.range("/bitrateKbps", f64::from(audio.bitrate_kbps), bitrates);
        check.finish().map(|()| audio)
    }

    /// Sources must follow layers that are there.
    pub fn check_layers(&self, show: &Show) -> Result<(), Problems> {
        let mut check = Check::default();
        for (i, source) in self.mix.sources.iter().enumerate() {
            if let Some(layer) = &source.follow_layer {
                check.that(&format!("/sources/{i}/followLayer"), show.has_layer(layer.as_str()), || {
                    format!("there is no layer `{layer}` in any scene")
                });
            }
        }
        check.finish()
    }
}

pub(super) fn default_true() -> bool {
    true
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Stream)]
struct Raw {
    id: Id,
    #[serde(default)]
    name: String,
    #[serde(default)]
    canvas: Canvas,
    #[serde(default)]
    encoder: Encoder,
    #[serde(default)]
    #[schema(value_type = Vec<Rendition>)]
    renditions: Vec<Value>,
    #[schema(value_type = Option<Audio>)]
    audio: Option<Value>,
    #[serde(default = "default_true")]
    auto_start: bool,
    #[serde(default)]
    layer_errors: LayerErrors,
    #[schema(value_type = Option<Vec<Layer>>)]
    layers: Option<Vec<Value>>,
    #[schema(value_type = Option<Vec<Scene>>)]
    scenes: Option<Vec<Value>>,
    #[schema(value_type = Option<OnAir>)]
    program: Option<Value>,
    preview: Option<Id>,
    #[schema(value_type = Option<Transition>)]
    default_transition: Option<Value>,
    #[serde(default)]
    #[schema(value_type = Vec<Output>)]
    outputs: Vec<Value>,
}

written_as!(Document as "Stream" = Raw);

impl PartialSchema for Audio {
    fn schema() -> Written {
        let mut mix = schema::object(Mix::schema());
        mix.properties.insert(
            "bitrateKbps".into(),
            schema::of(serde_json::json!({
                "description": "Kilobits per second of AAC-LC.",
                "type": "integer",
                "minimum": audio::BITRATE_KBPS_MIN,
                "maximum": audio::BITRATE_KBPS_MAX
            })),
        );
        Written::T(mix.into())
    }
}

impl ToSchema for Audio {
    fn schemas(schemas: &mut Named) {
        Mix::schemas(schemas);
    }
}

/// What a patch of a stream does not change, and where that is done.
const ELSEWHERE: &[(&str, &str)] = &[
    ("layers", "layers are changed one by one, at .../layers"),
    ("scenes", "scenes are changed one by one, at .../scenes"),
    ("outputs", "outputs are changed one by one, at .../outputs"),
    ("program", "a scene goes on air by .../take"),
    ("preview", "the scene in preview is put at .../preview"),
];

impl Document {
    /// Reads and checks a stream's document.
    pub fn read(value: Value) -> Result<Self, Problems> {
        let document = Self::read_parts(value)?;
        document.audio.check_layers(&document.show).map_err(|problems| problems.under("/audio"))?;
        Ok(document)
    }

    /// Reads and checks it, but for layers that sources follow: those may have been taken away since.
    fn read_parts(value: Value) -> Result<Self, Problems> {
        let raw: Raw = check::read(value)?;
        let Raw { canvas, layer_errors, layers, scenes, program, .. } = raw;
        let show = ShowDocument { canvas, layer_errors, layers, scenes, program }.check()?;
        let default_transition = raw.default_transition.map(Transition::read).transpose();
        let default_transition = default_transition.map_err(|problems| problems.under("/defaultTransition"))?;
        let default_transition = default_transition.unwrap_or_default();
        let mut check = Check::default();
        check.part("/encoder", |check| raw.encoder.check(check));
        let audio = check.read("/audio", raw.audio.map_or_else(|| Ok(Audio::default()), Audio::read));
        check.finish()?;
        let renditions = rendition::read(raw.renditions, &show.canvas, &raw.encoder);
        let document = Self {
            id: raw.id,
            name: raw.name,
            show: Arc::new(show),
            preview: raw.preview,
            default_transition,
            encoder: raw.encoder,
            renditions: renditions.map_err(|problems| problems.under("/renditions"))?,
            audio: audio.unwrap_or_default(),
            auto_start: raw.auto_start,
            outputs: output::read_all(raw.outputs).map_err(|problems| problems.under("/outputs"))?,
        };
        let mut check = Check::default();
        check.count("/name", "bytes", document.name.len(), 0..=256);
        if let Some(scene) = &document.preview {
            let is_there = document.show.scene(scene.as_str()).is_some();
            check.that("/preview", is_there, || format!("there is no scene `{scene}`"));
        }
        for (i, output) in document.outputs.iter().enumerate() {
            check.part(&format!("/outputs/{i}"), |check| document.check_output(output, check));
        }
        check.finish().map(|()| document)
    }

    /// The document with this merge patch applied; keys of outputs it does not name stay.
    pub fn patched(&self, patch: &Value) -> Result<Self, Problems> {
        for (owned, place) in ELSEWHERE {
            if patch.get(owned).is_some() {
                return Err(Problem { pointer: format!("/{owned}"), message: (*place).into() }.into());
            }
        }
        let as_value = |error: serde_json::Error| Problem { pointer: String::new(), message: error.to_string() };
        let mut value = serde_json::to_value(self).map_err(as_value)?;
        if patch.pointer("/audio/sources").is_some() {
            let message = "sources are changed one by one, at .../audio/sources".into();
            return Err(Problem { pointer: "/audio/sources".into(), message }.into());
        }
        // A fade that is given is a new one: nothing of one under way goes into it.
        if let (Some(_), Some(audio)) = (patch.pointer("/audio/fade"), value["audio"].as_object_mut()) {
            audio.remove("fade");
        }
        json_patch::merge(&mut value, patch);
        // Outputs are not read back from their written form, which has no keys.
        if let Some(fields) = value.as_object_mut() {
            fields.insert("outputs".into(), Value::Array(Vec::new()));
        }
        let mut document = Self::read_parts(value)?;
        document.outputs = self.outputs.clone();
        let mut check = Check::default();
        for output in &document.outputs {
            check.that("/renditions", document.has_rendition(output.rendition()), || {
                let (rendition, output) = (output.rendition(), output.id());
                format!("rendition `{rendition}` is in use by output `{output}`: take that away first")
            });
        }
        check.finish().map(|()| document)
    }

    /// This document after a run that ended at `elapsed`: what was under way is over, the next run begins its time anew.
    pub(super) fn settled(&self, elapsed: Duration) -> Self {
        let mut settled = self.clone();
        settled.show = Arc::new(self.show.settled(elapsed));
        settled.audio.mix = Arc::new(self.audio.mix.settled());
        settled
    }

    /// Whether there is such a rendition, the main one among them.
    pub fn has_rendition(&self, id: &Id) -> bool {
        id.as_str() == rendition::MAIN || self.renditions.iter().any(|rendition| rendition.id == *id)
    }

    /// An output must be of a rendition that there is.
    pub(super) fn check_output(&self, output: &Output, check: &mut Check) {
        check.that("/rendition", self.has_rendition(output.rendition()), || {
            let others: String = self.renditions.iter().map(|rendition| format!(", {}", rendition.id)).collect();
            format!("there is no rendition `{}`: use {}{others}", output.rendition(), rendition::MAIN)
        });
    }

    /// How each rendition is encoded, the main one first.
    pub fn encoders(&self) -> impl Iterator<Item = (Id, &Encoder)> {
        let others = self.renditions.iter().map(|rendition| (rendition.id.clone(), &rendition.encoder));
        std::iter::once((rendition::main_id(), &self.encoder)).chain(others)
    }

    /// What the pipeline is started with.
    pub fn pipeline_config(&self) -> pipeline::Config {
        pipeline::Config {
            id: self.id.clone(),
            show: self.show.clone(),
            renditions: self.pictures(),
            sound: SoundSettings { mix: self.audio.mix.clone(), bitrate_kbps: self.audio.bitrate_kbps },
        }
    }

    /// What the pipeline makes of the canvas, the main rendition first.
    fn pictures(&self) -> Vec<pipeline::Rendition> {
        let Canvas { size, fps, .. } = self.show.canvas;
        let encoder = self.encoder.settings(size, fps);
        let main = pipeline::Rendition { id: rendition::main_id(), fit: Fit::default(), every: 1, encoder };
        let others = self.renditions.iter().map(|rendition| pipeline::Rendition {
            id: rendition.id.clone(),
            fit: rendition.fit,
            every: rendition.every,
            encoder: rendition.encoder.settings(rendition.size, rendition.rate),
        });
        std::iter::once(main).chain(others).collect()
    }
}

fn write_show<S: Serializer>(show: &Arc<Show>, serializer: S) -> Result<S::Ok, S::Error> {
    show.serialize(serializer)
}

fn write_mix<S: Serializer>(mix: &Arc<Mix>, serializer: S) -> Result<S::Ok, S::Error> {
    mix.serialize(serializer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Document, Problems> {
        Document::read(value)
    }

    fn problem(value: Value) -> (String, String) {
        let problem = read(value).unwrap_err().0.remove(0);
        (problem.pointer, problem.message)
    }

    #[test]
    fn an_id_is_enough() {
        let document = read(json!({ "id": "main" })).unwrap();
        assert_eq!(document.show.canvas.size.width(), 1920);
        assert_eq!(document.encoder, Encoder::default());
        assert!(document.auto_start && document.outputs.is_empty());
    }

    #[test]
    fn the_written_document_reads_as_itself_but_for_keys() {
        let document = read(json!({ "id": "main", "canvas": { "width": 640, "height": 360, "fps": "29.97" },
            "layers": [{ "id": "a", "content": { "type": "color", "color": "#ffffff" } }] }))
        .unwrap();
        assert_eq!(read(serde_json::to_value(&document).unwrap()).unwrap(), document);
    }

    #[test]
    fn every_problem_has_its_place() {
        assert_eq!(problem(json!({ "id": "m", "canvas": { "width": 641, "height": 360 } })).0, "/canvas");
        assert_eq!(problem(json!({ "id": "m", "canvas": { "fps": "999" } })).0, "/canvas/fps");
        assert_eq!(problem(json!({ "id": "m", "encoder": { "bitrateKbps": 1 } })).0, "/encoder/bitrateKbps");
        assert_eq!(problem(json!({ "id": "m", "encoder": { "backend": "magic" } })).0, "/encoder/backend");
        let (pointer, message) = problem(json!({ "id": "m", "encoder": { "nvenc": { "preset": "p8" } } }));
        assert_eq!(pointer, "/encoder/nvenc/preset");
        assert!(message.contains("`p1`") && message.contains("`p7`"), "{message}");
        assert_eq!(problem(json!({ "id": "m", "audio": { "bitrateKbps": 1 } })).0, "/audio/bitrateKbps");
        assert_eq!(problem(json!({ "id": "m", "audio": { "bitrateKbps": "a" } })).0, "/audio/bitrateKbps");
        assert_eq!(problem(json!({ "id": "m", "audio": { "source": "tone" } })).0, "/audio/source");
        let source = json!({ "id": "a", "type": "tone", "followLayer": "logo" });
        let (pointer, message) = problem(json!({ "id": "m", "audio": { "sources": [source] } }));
        assert_eq!((&*pointer, &*message), ("/audio/sources/0/followLayer", "there is no layer `logo` in any scene"));
        let (pointer, message) = problem(json!({ "id": "m", "encoder": { "rateControl": "crf" } }));
        assert_eq!(pointer, "/encoder/rateControl");
        assert!(message.contains("`vbr`") && message.contains("`cbr`"), "{message}");
        let (pointer, message) = problem(json!({ "id": "m", "encoder": { "x264": { "preset": "placebo" } } }));
        assert_eq!(pointer, "/encoder/x264/preset");
        assert!(message.contains("`superfast`") && message.contains("`slower`"), "{message}");
        assert_eq!(problem(json!({ "id": "m", "layers": [{ "id": "a" }] })).0, "/layers/0");
        assert_eq!(
            problem(json!({ "id": "m", "outputs": [{ "id": "a", "url": "http://x/y/z" }] })).0,
            "/outputs/0/url"
        );
        assert_eq!(problem(json!({ "id": "m", "nmae": "x" })).0, "/nmae");
        assert_eq!(problem(json!({ "id": "m", "renditions": [{ "id": "x", "fps": "7" }] })).0, "/renditions/0/fps");
    }

    #[test]
    fn an_output_is_of_a_rendition_that_there_is() {
        let output = |rendition: &str| json!({ "id": "o", "url": "rtmp://host/app/key", "rendition": rendition });
        let with = |rendition: &str| json!({ "id": "m", "renditions": [{ "id": "mobile", "width": 640, "height": 360 }], "outputs": [output(rendition)] });
        let document = read(with("mobile")).unwrap();
        assert_eq!(document.outputs[0].rendition().as_str(), "mobile");
        assert_eq!(read(with("main")).unwrap().outputs[0].rendition().as_str(), "main");
        let (pointer, message) = problem(with("tablet"));
        assert_eq!(
            (pointer.as_str(), &message[..]),
            ("/outputs/0/rendition", "there is no rendition `tablet`: use main, mobile")
        );
        let gone = document.patched(&json!({ "renditions": [] })).unwrap_err();
        assert_eq!(gone.0[0].pointer, "/renditions");
        assert!(gone.to_string().contains("in use by output `o`"), "{gone}");
        assert!(document.patched(&json!({ "renditions": [{ "id": "mobile", "fps": "10" }] })).is_ok());
        // What a rendition does not name follows the stream's encoder.
        let faster = document.patched(&json!({ "encoder": { "keyframeIntervalMs": 1000 } })).unwrap();
        assert_eq!(faster.renditions[0].encoder.keyframe_interval_ms, 1000);
        assert_eq!(
            read(with("main")).unwrap().outputs[0].patched(&json!({ "rendition": "x" })).unwrap().rendition().as_str(),
            "x"
        );
    }

    #[test]
    fn a_patch_gives_a_new_fade_and_survives_a_layer_that_is_gone() {
        let mut document = read(json!({ "id": "main", "audio": { "gainDb": -20,
            "fade": { "fromDb": 0, "startMs": 1000, "durationMs": 5000 } } }))
        .unwrap();
        let patched = document.patched(&json!({ "audio": { "gainDb": 0, "fade": { "durationMs": 100 } } })).unwrap();
        let fade = patched.audio.mix.fade.clone().unwrap();
        assert_eq!((fade.from_db, fade.start_ms, fade.duration_ms), (None, None, 100.0));
        assert_eq!(document.patched(&json!({ "name": "News" })).unwrap().audio, document.audio);

        let mut source = audio::Strip::read(json!({ "id": "a", "type": "tone" })).unwrap();
        source.follow_layer = Some(Id::new("gone").unwrap());
        Arc::make_mut(&mut document.audio.mix).sources.push(source);
        assert_eq!(document.patched(&json!({ "name": "News" })).unwrap().audio, document.audio);
        let refused = document.patched(&json!({ "audio": { "sources": [] } })).unwrap_err();
        assert_eq!(refused.0[0].pointer, "/audio/sources");
    }

    #[test]
    fn a_patch_of_the_stream_leaves_layers_and_outputs_alone() {
        let document = read(json!({ "id": "main", "outputs": [{ "id": "o", "url": "rtmp://host/app/one" }] })).unwrap();
        let patched = document.patched(&json!({ "name": "News", "encoder": { "bitrateKbps": 3000 } })).unwrap();
        assert_eq!((patched.name.as_str(), patched.encoder.bitrate_kbps), ("News", 3000));
        let Output::Rtmp(rtmp) = &patched.outputs[0] else { panic!("{patched:?}") };
        assert_eq!(rtmp.key.expose(), "one");
        assert_eq!(document.patched(&json!({ "layers": [] })).unwrap_err().0[0].pointer, "/layers");
        for no_object in [json!([1]), json!("x"), json!(null)] {
            assert!(document.patched(&no_object).is_err(), "{no_object}");
        }
    }
}
