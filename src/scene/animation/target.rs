//! What can be animated: the layer's place and opacity by name, and any number or colour of its document by its place
//! there.
//!
//! A place is a JSON pointer without the first slash, as `content/size` or `content/fill/stops/1/color`, into the document
//! as it is written back. It is resolved when the layer is read: what stands there must be a number or a colour, the
//! keyframes must be of that type and within its range, and the layer must be right with them.
//!
//! On air the layer's document is written, the values are put in and it is read again: all that a content checks is
//! checked, and nothing need be known of the types. That costs some tens of microseconds a frame while such an animation
//! is in effect; the fourteen properties that have names cost nothing of the kind. A content is only read again when
//! something in it moves, and that of a group never: its layers have animations of their own.

use std::{cell::OnceCell, ops::RangeInclusive};

use serde::{Deserialize, Serialize, de::IntoDeserializer};
use serde_json::Value;
use utoipa::ToSchema;

use super::keyframes::{Keyframes, Quantity};
use crate::{
    base::colour::Rgba,
    scene::{
        COORDINATE_MAX, Content, Layer, SIDE_MAX, Transform,
        check::{Check, Problem, Problems, Range},
        content::Color,
    },
};

/// Longest text of a place in a document, in bytes.
const PLACE_LEN_MAX: usize = 256;
/// Most places that a refusal names.
const NAMED_MAX: usize = 32;
/// Fields of a layer that are not animated in its document.
const OWN_FIELDS: [&str; 6] = ["id", "name", "zIndex", "enabled", "opacity", "transform"];

/// What can be animated by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "each is documented in `Transform` and `Layer`")]
pub enum Property {
    PositionX,
    PositionY,
    Width,
    Height,
    ScaleX,
    ScaleY,
    Rotation,
    AnchorX,
    AnchorY,
    CropLeft,
    CropTop,
    CropRight,
    CropBottom,
    Opacity,
}

impl Property {
    /// Those of a [`Transform`].
    pub const OF_TRANSFORM: &[Self] = &[
        Self::PositionX,
        Self::PositionY,
        Self::Width,
        Self::Height,
        Self::ScaleX,
        Self::ScaleY,
        Self::Rotation,
        Self::AnchorX,
        Self::AnchorY,
        Self::CropLeft,
        Self::CropTop,
        Self::CropRight,
        Self::CropBottom,
    ];

    /// What it may be, still or animated: pixels, factors, degrees, shares.
    pub fn range(self) -> RangeInclusive<f64> {
        match self {
            Self::PositionX | Self::PositionY => -COORDINATE_MAX..=COORDINATE_MAX,
            Self::Width | Self::Height => 1.0..=SIDE_MAX,
            Self::ScaleX | Self::ScaleY => -64.0..=64.0,
            Self::Rotation => -1e6..=1e6,
            Self::AnchorX | Self::AnchorY => -10.0..=10.0,
            Self::CropLeft | Self::CropTop | Self::CropRight | Self::CropBottom => 0.0..=SIDE_MAX,
            Self::Opacity => 0.0..=1.0,
        }
    }

    /// Where it stands: in the document of its transform, or of its layer.
    pub fn pointer(self) -> &'static str {
        match self {
            Self::PositionX => "/positionX",
            Self::PositionY => "/positionY",
            Self::Width => "/width",
            Self::Height => "/height",
            Self::ScaleX => "/scaleX",
            Self::ScaleY => "/scaleY",
            Self::Rotation => "/rotation",
            Self::AnchorX => "/anchorX",
            Self::AnchorY => "/anchorY",
            Self::CropLeft => "/cropLeft",
            Self::CropTop => "/cropTop",
            Self::CropRight => "/cropRight",
            Self::CropBottom => "/cropBottom",
            Self::Opacity => "/opacity",
        }
    }

    /// Its value in a transform; `None` for an open side and for the opacity.
    pub fn get(self, transform: &Transform) -> Option<f64> {
        Some(match self {
            Self::PositionX => transform.position_x,
            Self::PositionY => transform.position_y,
            Self::Width => return transform.width,
            Self::Height => return transform.height,
            Self::ScaleX => transform.scale_x,
            Self::ScaleY => transform.scale_y,
            Self::Rotation => transform.rotation,
            Self::AnchorX => transform.anchor_x,
            Self::AnchorY => transform.anchor_y,
            Self::CropLeft => transform.crop_left,
            Self::CropTop => transform.crop_top,
            Self::CropRight => transform.crop_right,
            Self::CropBottom => transform.crop_bottom,
            Self::Opacity => return None,
        })
    }

    /// The place where its value is kept; that of the opacity is given.
    pub(super) fn set(self, transform: &mut Transform, opacity: &mut f64, value: f64) {
        match self {
            Self::PositionX => transform.position_x = value,
            Self::PositionY => transform.position_y = value,
            Self::Width => transform.width = Some(value),
            Self::Height => transform.height = Some(value),
            Self::ScaleX => transform.scale_x = value,
            Self::ScaleY => transform.scale_y = value,
            Self::Rotation => transform.rotation = value,
            Self::AnchorX => transform.anchor_x = value,
            Self::AnchorY => transform.anchor_y = value,
            Self::CropLeft => transform.crop_left = value,
            Self::CropTop => transform.crop_top = value,
            Self::CropRight => transform.crop_right = value,
            Self::CropBottom => transform.crop_bottom = value,
            Self::Opacity => *opacity = value,
        }
    }
}

/// What an animation of one value changes.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// One of the layer's own.
    Property(Property),
    /// A place in its document.
    Part(Part),
}

/// A number or a colour in a layer's document.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pointer: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Number { range: RangeInclusive<f64>, is_whole: bool },
    Colour,
}

/// The layer against which the places that its animations name are read.
#[derive(Debug)]
pub(in crate::scene) struct Ground<'a> {
    layer: &'a Layer,
    known: OnceCell<(Value, Vec<Range>)>,
}

impl<'a> Ground<'a> {
    pub(in crate::scene) fn new(layer: &'a Layer) -> Self {
        Self { layer, known: OnceCell::new() }
    }

    /// The layer's document, and the ranges of its numbers; made when the first place is read.
    fn known(&self) -> &(Value, Vec<Range>) {
        self.known.get_or_init(|| {
            let mut check = Check::noting_ranges();
            self.layer.check(&mut check);
            // A layer that was read is written without an error; if not, nothing in it is animated.
            let mut document = document_of(self.layer, self.layer.content.clone()).unwrap_or_default();
            // Layers within it are animated themselves. Read again for each other's sake they would cost without bound.
            if matches!(self.layer.content, Content::Group(_))
                && let Some(fields) = document.as_object_mut()
            {
                fields.remove("content");
            }
            (document, check.into_ranges())
        })
    }

    fn range(&self, pointer: &str) -> Option<RangeInclusive<f64>> {
        let ranges = self.known().1.iter().filter(|(known, _)| known == pointer).map(|(_, range)| range);
        ranges.cloned().reduce(|a, b| a.start().max(*b.start())..=a.end().min(*b.end()))
    }
}

/// The document of `layer` without what moves in it, and with `content` in place of its own.
fn document_of(layer: &Layer, content: Content) -> Result<Value, Problems> {
    let still = Layer {
        content,
        animations: Vec::new(),
        enter: None,
        exit: None,
        switched: None,
        transition: None,
        approaches: Vec::new(),
        ..layer.clone()
    };
    serde_json::to_value(still).map_err(|error| Problem { pointer: String::new(), message: error.to_string() }.into())
}

/// A content that costs nothing to write and read.
fn stand_in() -> Content {
    Content::Color(Color { color: Rgba::CLEAR })
}

/// What of a value can be animated.
fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::Number(number) => number.as_f64().map(Quantity::Number),
        Value::String(text) => text.parse().ok().map(Quantity::Colour),
        _ => None,
    }
}

impl Target {
    /// Reads what an animation names; its keyframes say how far a number without a range of its own goes.
    pub(super) fn read(text: &str, keyframes: &Keyframes, ground: &Ground<'_>) -> Result<Self, Problems> {
        let name = text.strip_prefix("transform/").unwrap_or(text);
        let deserializer: serde::de::value::StrDeserializer<'_, serde::de::value::Error> = name.into_deserializer();
        match Property::deserialize(deserializer) {
            Ok(property) => Ok(Self::Property(property)),
            Err(_) if text.contains('/') => Part::read(text, keyframes, ground).map(Self::Part),
            Err(error) => Err(problem(format!("{error}, or a place in the layer's document, e.g. content/color"))),
        }
    }

    /// As documents write it.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Property(property) => property.pointer()[1..].to_owned(),
            Self::Part(part) => part.pointer[1..].to_owned(),
        }
    }

    /// Notes a value that is of another type or out of range.
    pub(super) fn check(&self, check: &mut Check, value: Quantity) {
        match (self, value) {
            (Self::Property(property), Quantity::Number(number)) => check.range("/value", number, property.range()),
            (Self::Part(Part { kind: Kind::Number { range, .. }, .. }), Quantity::Number(number)) => {
                check.range("/value", number, range.clone());
            }
            (Self::Part(Part { kind: Kind::Colour, .. }), Quantity::Colour(_)) => {}
            _ => {
                let expected = match self {
                    Self::Part(Part { kind: Kind::Colour, .. }) => Quantity::Colour(Rgba::CLEAR).kind(),
                    _ => Quantity::Number(0.0).kind(),
                };
                check.that("/value", false, || format!("{} is {expected}, not {}", self.written(), value.kind()));
            }
        }
    }

    /// Notes when the layer is not right with the keyframes' values: what its checks say of several fields together.
    pub(super) fn check_within(&self, check: &mut Check, keyframes: &Keyframes, ground: &Ground<'_>) {
        let Self::Part(part) = self else { return };
        let numbers = || keyframes.0.iter().filter_map(|keyframe| number(keyframe.value));
        let extremes = [numbers().reduce(f64::min), numbers().reduce(f64::max)].map(|v| v.map(Quantity::Number));
        let first = keyframes.0.first().map(|keyframe| keyframe.value);
        let colour = first.filter(|first| matches!(first, Quantity::Colour(_)));
        for value in extremes.into_iter().flatten().chain(colour) {
            if let Err(problems) = changed(ground.layer, &[(part, value)]) {
                check.that("/keyframes", false, || format!("the layer is not right with them: {problems}"));
                return;
            }
        }
    }
}

fn number(value: Quantity) -> Option<f64> {
    match value {
        Quantity::Number(number) => Some(number),
        Quantity::Colour(_) => None,
    }
}

fn problem(message: String) -> Problems {
    Problem { pointer: "/property".into(), message }.into()
}

impl Part {
    fn read(text: &str, keyframes: &Keyframes, ground: &Ground<'_>) -> Result<Self, Problems> {
        if text.len() > PLACE_LEN_MAX {
            return Err(problem(format!("a place is at most {PLACE_LEN_MAX} bytes long")));
        }
        let pointer = format!("/{text}");
        let document = &ground.known().0;
        let is_own = text.split('/').next().is_some_and(|field| OWN_FIELDS.contains(&field));
        let found = document.pointer(&pointer).filter(|_| !is_own);
        let kind = match found.and_then(|value| quantity(value).map(|quantity| (value, quantity))) {
            Some((_, Quantity::Colour(_))) => Kind::Colour,
            Some((value, Quantity::Number(_))) => {
                // A number whose range is not known goes no further than its keyframes, which are tried.
                let range = ground.range(&pointer).unwrap_or_else(|| {
                    let numbers = || keyframes.0.iter().filter_map(|keyframe| number(keyframe.value));
                    numbers().reduce(f64::min).unwrap_or(0.0)..=numbers().reduce(f64::max).unwrap_or(0.0)
                });
                Kind::Number { range, is_whole: !value.is_f64() }
            }
            None => {
                let allowed = match places(document) {
                    places if places.is_empty() => "one of the layer's own properties".into(),
                    places => format!("one of `{}`", places.join("`, `")),
                };
                return Err(problem(format!("`{text}` is no number and no colour in this layer, expected {allowed}")));
            }
        };
        Ok(Self { pointer, kind })
    }

    /// Whether both stand at one place.
    pub(super) fn is_at(&self, other: &Self) -> bool {
        self.pointer == other.pointer
    }

    /// A value as the document has it: within its range, and whole where it must be.
    fn written(&self, value: Quantity) -> Value {
        match (&self.kind, value) {
            (Kind::Number { range, is_whole }, Quantity::Number(number)) => {
                let number = number.clamp(*range.start(), *range.end());
                if *is_whole { Value::from(number.round() as i64) } else { Value::from(number) }
            }
            (_, Quantity::Colour(colour)) => Value::from(colour.to_string()),
            (Kind::Colour, Quantity::Number(_)) => Value::Null,
        }
    }
}

/// The places in a layer's document that can be animated, the first [`NAMED_MAX`].
fn places(document: &Value) -> Vec<String> {
    fn collect(value: &Value, place: &str, places: &mut Vec<String>) {
        if places.len() == NAMED_MAX {
            return;
        }
        let below = |key: &str| if place.is_empty() { key.to_owned() } else { format!("{place}/{key}") };
        match value {
            Value::Object(fields) => fields
                .iter()
                .filter(|(key, _)| !place.is_empty() || !OWN_FIELDS.contains(&key.as_str()))
                .for_each(|(key, value)| collect(value, &below(&crate::scene::check::escape(key)), places)),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, value)| collect(value, &below(&i.to_string()), places));
            }
            _ if quantity(value).is_some() => places.push(place.to_owned()),
            _ => {}
        }
    }
    let mut places = Vec::new();
    collect(document, "", &mut places);
    places
}

/// The layer with these values in its document, without what moves in it.
pub(super) fn changed(layer: &Layer, changes: &[(&Part, Quantity)]) -> Result<Layer, Problems> {
    let is_content_changed = changes.iter().any(|(part, _)| part.pointer.starts_with("/content/"));
    let content = if is_content_changed { layer.content.clone() } else { stand_in() };
    let mut document = document_of(layer, content)?;
    for (part, value) in changes {
        let Some(slot) = document.pointer_mut(&part.pointer) else {
            let message = format!("`{}` is animated, but is not there", &part.pointer[1..]);
            return Err(Problem { pointer: part.pointer.clone(), message }.into());
        };
        *slot = part.written(*value);
    }
    let mut changed = Layer::read(document)?;
    if !is_content_changed {
        changed.content = layer.content.clone();
    }
    Ok(changed)
}
