//! The documents of a stream's renditions: smaller, slower or thriftier pictures beside the canvas's own.
//!
//! `encoder` is a merge patch of the stream's: what it does not name is the stream's, also after that was changed. It is
//! kept as it was given, so that what is read may be written back.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::document::Encoder;
use crate::base::schema::written_as;
use crate::{
    base::{id::Id, rate::FrameRate, size::Size},
    gpu::{self, Fit},
    scene::{
        Canvas,
        check::{self, Check, Problem, Problems},
    },
};

/// The id of the rendition that is the canvas itself.
pub const MAIN: &str = "main";
/// Most renditions beside it.
pub const RENDITIONS_MAX: usize = 4;
const _: () = assert!(RENDITIONS_MAX < gpu::RENDITIONS_MAX);

/// A rendition beside the main one, checked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rendition {
    /// Unique in its stream, and not [`MAIN`].
    pub id: Id,
    /// The picture's size; none: the canvas's.
    #[serde(flatten)]
    given_size: Option<Size>,
    /// Frames per second; none: the canvas's.
    #[serde(skip_serializing_if = "Option::is_none")]
    fps: Option<FrameRate>,
    /// How the canvas lies in a picture of another shape.
    pub fit: Fit,
    /// The merge patch of the stream's encoder.
    #[serde(rename = "encoder")]
    given_encoder: Map<String, Value>,
    /// Its picture's size.
    #[serde(skip)]
    pub size: Size,
    /// Its frames per second.
    #[serde(skip)]
    pub rate: FrameRate,
    /// Frames of the canvas for one of its own.
    #[serde(skip)]
    pub every: u64,
    /// How it is encoded.
    #[serde(skip)]
    pub encoder: Encoder,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Rendition)]
struct Raw {
    id: Id,
    width: Option<u32>,
    height: Option<u32>,
    fps: Option<FrameRate>,
    #[serde(default)]
    fit: Fit,
    #[serde(default)]
    #[schema(value_type = Encoder)]
    encoder: Map<String, Value>,
}

written_as!(Rendition as "Rendition" = Raw);

/// The id of the rendition that is the canvas itself.
pub fn main_id() -> Id {
    Id::new(MAIN).unwrap_or_else(|_| unreachable!("four letters are an id"))
}

/// Reads and checks the renditions of a stream with this canvas and encoder.
pub(super) fn read(values: Vec<Value>, canvas: &Canvas, main: &Encoder) -> Result<Vec<Rendition>, Problems> {
    if values.len() > RENDITIONS_MAX {
        let message = format!("{} renditions are too many: {RENDITIONS_MAX} at most", values.len());
        return Err(problem("", message));
    }
    let mut renditions: Vec<Rendition> = Vec::with_capacity(values.len());
    for (i, value) in values.into_iter().enumerate() {
        let rendition = Rendition::read(value, canvas, main).map_err(|problems| problems.under(&format!("/{i}")))?;
        if rendition.id.as_str() == MAIN {
            let message = format!("`{MAIN}` is the canvas's own picture: choose another id");
            return Err(problem(&format!("/{i}/id"), message));
        }
        if renditions.iter().any(|other| other.id == rendition.id) {
            let message = format!("`{}` is another rendition's id already", rendition.id);
            return Err(problem(&format!("/{i}/id"), message));
        }
        renditions.push(rendition);
    }
    Ok(renditions)
}

fn problem(pointer: &str, message: String) -> Problems {
    Problem { pointer: pointer.into(), message }.into()
}

impl Rendition {
    fn read(value: Value, canvas: &Canvas, main: &Encoder) -> Result<Self, Problems> {
        let Raw { id, width, height, fps, fit, encoder: given_encoder } = check::read(value)?;
        let given_size = given_size(width, height, canvas.size)?;
        let encoder = merged(main, &given_encoder).map_err(|problems| problems.under("/encoder"))?;
        let rate = fps.unwrap_or(canvas.fps);
        let every = canvas.fps.frames_per(rate).ok_or_else(|| problem("/fps", no_divisor(canvas.fps, rate)))?;
        check_keyframes(canvas.fps, every, &encoder, main)?;
        let size = given_size.unwrap_or(canvas.size);
        Ok(Self { id, given_size, fps, fit, given_encoder, size, rate, every, encoder })
    }

    /// Whether a running one can go from one to the other.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        (&self.id, self.size, self.rate, self.fit) == (&other.id, other.size, other.rate, other.fit)
            && self.encoder.is_alike(&other.encoder)
    }
}

/// A size of both sides or of none, no larger than the canvas.
fn given_size(width: Option<u32>, height: Option<u32>, canvas: Size) -> Result<Option<Size>, Problems> {
    let (width, height) = match (width, height) {
        (None, None) => return Ok(None),
        (Some(width), Some(height)) => (width, height),
        (Some(_), None) => return Err(problem("/height", "missing: give width and height, or neither".into())),
        (None, Some(_)) => return Err(problem("/width", "missing: give width and height, or neither".into())),
    };
    let size = Size::new(width, height).map_err(|error| problem("", error.to_string()))?;
    let mut check = Check::default();
    for (pointer, side, most) in [("/width", width, canvas.width()), ("/height", height, canvas.height())] {
        check.that(pointer, side <= most, || {
            format!("{side} is more than the canvas has: {most} at most, for pictures are not made larger")
        });
    }
    check.finish().map(|()| Some(size))
}

fn merged(main: &Encoder, given: &Map<String, Value>) -> Result<Encoder, Problems> {
    let mut value = serde_json::to_value(main).map_err(|error| problem("", error.to_string()))?;
    lay_over(&mut value, &Value::Object(given.clone()));
    let encoder: Encoder = check::read(value)?;
    let mut check = Check::default();
    encoder.check(&mut check);
    check.finish().map(|()| encoder)
}

/// A merge patch, but that nothing is taken away: each field of an encoder has a value.
fn lay_over(value: &mut Value, given: &Value) {
    match (value, given) {
        (Value::Object(fields), Value::Object(given)) => {
            given.iter().for_each(|(name, given)| lay_over(fields.entry(name.clone()).or_insert(Value::Null), given));
        }
        (value, given) => *value = given.clone(),
    }
}

fn no_divisor(canvas: FrameRate, rate: FrameRate) -> String {
    let some: Vec<_> = canvas.divisors().take(6).map(|rate| rate.to_string()).collect();
    format!("{rate} is not a whole part of the canvas's {canvas}: use {}, ...", some.join(", "))
}

/// All renditions have their keyframes at the same times, so that a player can go from one to another.
fn check_keyframes(canvas: FrameRate, every: u64, encoder: &Encoder, main: &Encoder) -> Result<(), Problems> {
    let frames = canvas.frames_in(main.keyframe_interval());
    let mut check = Check::default();
    check.that("/encoder/keyframeIntervalMs", encoder.keyframe_interval_ms == main.keyframe_interval_ms, || {
        format!("all renditions have their keyframes at the same times: use the stream's {}", main.keyframe_interval_ms)
    });
    check.that("/fps", frames.is_multiple_of(every), || {
        format!("keyframes come every {frames} frames of the canvas, which is no multiple of {every}: change keyframeIntervalMs")
    });
    check.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_all(values: Value) -> Result<Vec<Rendition>, Problems> {
        let Value::Array(values) = values else { panic!("{values}") };
        let canvas: Canvas = serde_json::from_value(json!({ "width": 1920, "height": 1080, "fps": "30" })).unwrap();
        read(values, &canvas, &Encoder::default())
    }

    fn refused(value: Value) -> (String, String) {
        let problem = read_all(json!([value])).unwrap_err().0.remove(0);
        (problem.pointer, problem.message)
    }

    #[test]
    fn what_is_not_named_is_the_streams() {
        let renditions = read_all(json!([
            { "id": "mobile", "width": 1280, "height": 720, "fps": "15", "encoder": { "bitrateKbps": 1500 } },
            { "id": "thrifty", "encoder": { "bitrateKbps": 800 } },
            { "id": "same" },
        ]))
        .unwrap();
        let [mobile, thrifty, same] = &renditions[..] else { panic!("{renditions:?}") };
        assert_eq!((mobile.size.sides(), mobile.rate.to_string(), mobile.every), ([1280, 720], "15".into(), 2));
        assert_eq!(mobile.encoder, Encoder { bitrate_kbps: 1500, ..Encoder::default() });
        assert_eq!((thrifty.size.sides(), thrifty.every, thrifty.encoder.bitrate_kbps), ([1920, 1080], 1, 800));
        assert_eq!(same.encoder, Encoder::default());
        let mut within = json!({ "a": 1, "b": { "c": 2, "d": 3 } });
        lay_over(&mut within, &json!({ "b": { "c": 4 }, "e": null }));
        assert_eq!(within, json!({ "a": 1, "b": { "c": 4, "d": 3 }, "e": null }));
        let written = serde_json::to_value(&renditions).unwrap();
        assert_eq!(written[1], json!({ "id": "thrifty", "fit": "contain", "encoder": { "bitrateKbps": 800 } }));
        assert_eq!(written[0]["width"], 1280);
        assert_eq!(read_all(written).unwrap(), renditions);
    }

    #[test]
    fn every_problem_has_its_place_and_its_limit() {
        for (value, pointer, words) in [
            (json!({ "id": "main" }), "/0/id", "canvas's own"),
            (json!({ "id": "a b" }), "/0/id", "not an id"),
            (json!({ "id": "m", "width": 641, "height": 360 }), "/0", "640x360"),
            (json!({ "id": "m", "width": 8, "height": 8 }), "/0", "16x16"),
            (json!({ "id": "m", "width": 640 }), "/0/height", "or neither"),
            (json!({ "id": "m", "height": 640 }), "/0/width", "or neither"),
            (json!({ "id": "m", "width": 2560, "height": 720 }), "/0/width", "1920 at most"),
            (json!({ "id": "m", "width": 1280, "height": 1440 }), "/0/height", "1080 at most"),
            (json!({ "id": "m", "fps": "25" }), "/0/fps", "use 30, 15, 10, 15/2, 6, 5"),
            (json!({ "id": "m", "fps": "60" }), "/0/fps", "use 30"),
            (json!({ "id": "m", "fps": "29.97" }), "/0/fps", "use 30"),
            (json!({ "id": "m", "fps": "30/7" }), "/0/fps", "every 60 frames"),
            (json!({ "id": "m", "fit": "squeeze" }), "/0/fit", "contain"),
            (json!({ "id": "m", "encoder": { "bitrateKbps": 1 } }), "/0/encoder/bitrateKbps", "50 to"),
            (json!({ "id": "m", "encoder": { "bitrateKbps": null } }), "/0/encoder/bitrateKbps", "null"),
            (json!({ "id": "m", "encoder": { "bitrate": 900 } }), "/0/encoder/bitrate", "unknown field"),
            (json!({ "id": "m", "encoder": { "keyframeIntervalMs": 1000 } }), "/0/encoder/keyframeIntervalMs", "2000"),
            (json!({ "id": "m", "bitrateKbps": 900 }), "/0/bitrateKbps", "unknown field"),
        ] {
            let (found, message) = refused(value.clone());
            assert_eq!(found, pointer, "{value}: {message}");
            assert!(message.contains(words), "{value}: {message}");
        }
        let twice = read_all(json!([{ "id": "m" }, { "id": "m" }])).unwrap_err();
        assert_eq!(twice.0[0].pointer, "/1/id");
        let many: Vec<_> = (0..5).map(|i| json!({ "id": format!("r{i}") })).collect();
        assert!(read_all(json!(many)).unwrap_err().to_string().contains("4 at most"));
    }
}
