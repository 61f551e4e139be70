//! Keyframes: values at times, and what lies between them.
//!
//! A keyframe at the same time as the one before is a jump; before the first keyframe its value holds. Numbers go
//! straight from one to the next, whole ones are rounded by whoever takes them. Colours go as CSS has it (Color 4,
//! section 12): premultiplied, in encoded sRGB, so that a colour that fades in is not darkened by what was clear.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

use super::timing::{SPAN_MAX_MS, Span, nanos_of_ms};
use crate::base::schema::written;
use crate::{
    base::colour::Rgba,
    scene::{check::Check, easing::Easing},
};

/// Most keyframes of an animation.
pub const KEYFRAMES_MAX: usize = 256;

/// What is animated: a number or a colour.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Quantity {
    Number(f64),
    Colour(Rgba),
}

impl Quantity {
    /// Its type, in words.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Number(_) => "a number",
            Self::Colour(_) => "a colour",
        }
    }

    /// The share `share` of the way to `other`, which is of the same type; shares beyond 0 to 1 go beyond.
    fn towards(self, other: Self, share: f64) -> Self {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => Self::Number(a + (b - a) * share),
            (Self::Colour(a), Self::Colour(b)) => Self::Colour(mixed(a, b, share)),
            // Not reached: the keyframes of a checked animation are of one type.
            _ => self,
        }
    }
}

fn mixed(a: Rgba, b: Rgba, share: f64) -> Rgba {
    let (a, b) = (premultiplied(a), premultiplied(b));
    let mix = |i: usize| a[i] + (b[i] - a[i]) * share;
    let alpha = mix(3).clamp(0.0, 1.0);
    let code = |value: f64| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    let channel = |i: usize| if alpha > 0.0 { code(mix(i) / alpha) } else { 0 };
    Rgba::new(channel(0), channel(1), channel(2), code(alpha))
}

fn premultiplied(colour: Rgba) -> [f64; 4] {
    let [r, g, b, a] = [colour.r, colour.g, colour.b, colour.a].map(|code| f64::from(code) / 255.0);
    [r * a, g * a, b * a, a]
}

written!(Quantity as "Quantity" = {
    "description": "A number or a colour.",
    "oneOf": [{ "type": "number" }, { "$ref": "#/components/schemas/Color" }]
});

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Colour(colour) => colour.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Quantity;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number or a colour (#rrggbb or #rrggbbaa)")
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Quantity, E> {
                Ok(Quantity::Number(number))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Quantity, E> {
                Ok(Quantity::Number(number as f64))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Quantity, E> {
                Ok(Quantity::Number(number as f64))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
                text.parse().map(Quantity::Colour).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A value at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Keyframe {
    /// Since the round's beginning, in milliseconds.
    pub at_ms: i64,
    /// In the unit and the range of what is animated.
    pub value: Quantity,
    /// The way to the next keyframe.
    #[serde(default)]
    pub easing: Easing,
}

impl Keyframe {
    /// Since the round's beginning, in nanoseconds.
    fn at(&self) -> i128 {
        nanos_of_ms(self.at_ms)
    }

    /// The share of the way to `next` at `place`, which lies between the two.
    fn share(&self, next: &Self, place: i128) -> f64 {
        (place - self.at()) as f64 / (next.at() - self.at()) as f64
    }
}

/// 1 to [`KEYFRAMES_MAX`], in order of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Keyframes(pub Vec<Keyframe>);

impl Keyframes {
    /// Notes what is wrong with their number and their times; of values see to `value`.
    pub(super) fn check(&self, check: &mut Check, value: impl Fn(&mut Check, Quantity)) {
        check.count("/keyframes", "keyframes", self.0.len(), 1..=KEYFRAMES_MAX);
        let mut before = i64::MIN;
        for (i, keyframe) in self.0.iter().enumerate() {
            check.part(&format!("/keyframes/{i}"), |check| {
                check.range("/atMs", keyframe.at_ms as f64, 0.0..=SPAN_MAX_MS as f64);
                value(check, keyframe.value);
                check.that("/atMs", keyframe.at_ms >= before, || {
                    format!("{} is before the last keyframe's {before}: keyframes are in order of time", keyframe.at_ms)
                });
            });
            before = keyframe.at_ms.max(before);
        }
    }

    /// Length of a round in nanoseconds.
    pub(super) fn period(&self) -> i128 {
        self.0.last().map_or(0, Keyframe::at)
    }

    /// The keyframe at or before a place, and the one after it.
    fn around(&self, place: i128) -> (Option<&Keyframe>, Option<&Keyframe>) {
        let next = self.0.partition_point(|keyframe| keyframe.at() <= place);
        (next.checked_sub(1).map(|last| &self.0[last]), self.0.get(next))
    }

    pub(super) fn value(&self, place: i128) -> Quantity {
        match self.around(place) {
            (Some(a), Some(b)) if a.value == b.value => a.value,
            (Some(a), Some(b)) => a.value.towards(b.value, a.easing.at(a.share(b, place))),
            (Some(only), None) | (None, Some(only)) => only.value,
            // Not reached: a checked animation has a keyframe.
            (None, None) => Quantity::Number(0.0),
        }
    }

    /// The stretch around a place in which the value surely is the same; an empty one while it moves.
    pub(super) fn still(&self, place: i128) -> Span {
        let (a, b) = match self.around(place) {
            (Some(a), Some(b)) => (a, b),
            (Some(last), None) => return Span { from: last.at(), ..Span::EVER },
            (None, first) => return Span { to: first.map_or(i128::MAX, Keyframe::at), ..Span::EVER },
        };
        if a.value == b.value || a.easing == Easing::Hold {
            return Span::new(a.at(), b.at());
        }
        let Some(span) = a.easing.still_around(a.share(b, place)) else { return Span::at(place) };
        let length = (b.at() - a.at()) as f64;
        // Rounded inwards by more than the shares are off.
        let (from, to) = ((span.start() * length).ceil() as i128 + 1, (span.end() * length).floor() as i128 - 1);
        let still = Span::new(a.at() + from, a.at() + to);
        if (still.from..still.to).contains(&place) { still } else { Span::at(place) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(a: &str, b: &str, share: f64) -> String {
        mixed(a.parse().unwrap(), b.parse().unwrap(), share).to_string()
    }

    #[test]
    fn colours_are_mixed_as_css_does() {
        assert_eq!(mix("#ff0000", "#0000ff", 0.5), "#800080");
        assert_eq!(mix("#102030", "#304050", 0.25), "#182838");
        // Premultiplied: what fades in from clear black is red all the way, not dark red.
        assert_eq!(mix("#00000000", "#ff0000ff", 0.5), "#ff000080");
        // (255 x 0.2 + 0 x 0.8) / 2 = 25.5 of red at an alpha of 127.5: a fifth of it is red, four fifths are blue.
        assert_eq!(mix("#ff000033", "#0000ffcc", 0.5), "#3300cc80");
        // Beyond the ends, channels are cut off.
        assert_eq!(mix("#808080", "#ff8000", 2.0), "#ff8000");
        assert_eq!(mix("#ff000080", "#0000ff80", -1.0), "#ff000080");
        assert_eq!(mix("#ff0000ff", "#00ff0000", 1.5), "#00000000");
    }
}
