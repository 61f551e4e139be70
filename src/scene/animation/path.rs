//! Motion paths: a line in SVG's path syntax along which a layer's anchor goes at constant speed.
//!
//! All of SVG's commands, absolute and relative (M L H V C S Q T A Z), in canvas pixels; numbers without exponents. A
//! place on it is a share of its length, so that the easing alone says how fast it goes; where the pen is lifted in
//! between, the anchor jumps. Arcs are followed to a tenth of a pixel.

use std::{fmt, ops::RangeInclusive, sync::Arc};

use kurbo::{BezPath, ParamCurve, ParamCurveArclen, ParamCurveDeriv, PathSeg, Point, Vec2};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::base::schema::written;
use crate::scene::COORDINATE_MAX;

/// Longest text of a path, in bytes.
pub const PATH_LEN_MAX: usize = 16_384;
/// Most lines and curves of a path.
const LEGS_MAX: usize = 4096;
/// How exact lengths are, in pixels.
const ACCURACY: f64 = 1e-3;
/// Shares of the way.
pub(super) const SHARES: RangeInclusive<f64> = 0.0..=1.0;

/// A path, measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MotionPath {
    text: String,
    legs: Arc<[Leg]>,
}

/// A line or a curve of a path.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Leg {
    segment: PathSeg,
    /// Length of the path up to its beginning and to its end.
    from: f64,
    to: f64,
}

/// Why a text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a path: {reason}; use SVG's commands M L H V C S Q T A Z, e.g. M 100 200 C 200 100 400 100 500 200")]
pub struct InvalidPath {
    reason: String,
}

written!(MotionPath as "MotionPath" = {
    "description": "A path as SVG writes it.",
    "type": "string",
    "examples": ["M 100 200 C 200 100 400 100 500 200"]
});

impl MotionPath {
    /// Where the anchor is after the share `share` of the way, and in which direction it goes, in degrees clockwise from
    /// the right.
    pub(super) fn at(&self, share: f64) -> ([f64; 2], f64) {
        let length = self.legs.last().map_or(0.0, |leg| leg.to);
        let gone = share.clamp(*SHARES.start(), *SHARES.end()) * length;
        let last = self.legs.len().saturating_sub(1);
        let leg = self.legs[self.legs.partition_point(|leg| leg.to <= gone).min(last)];
        let t = leg.segment.inv_arclen((gone - leg.from).clamp(0.0, leg.to - leg.from), ACCURACY);
        let Point { x, y } = leg.segment.eval(t);
        ([x, y], direction(leg.segment, t).atan2().to_degrees())
    }
}

/// The tangent; where a curve stands still at a point, that of the way around it.
fn direction(segment: PathSeg, t: f64) -> Vec2 {
    let tangent = match segment {
        PathSeg::Line(line) => line.p1 - line.p0,
        PathSeg::Quad(quad) => quad.deriv().eval(t).to_vec2(),
        PathSeg::Cubic(cubic) => cubic.deriv().eval(t).to_vec2(),
    };
    if tangent.hypot() > 1e-6 {
        return tangent;
    }
    segment.eval((t + 1e-3).min(1.0)) - segment.eval((t - 1e-3).max(0.0))
}

impl std::str::FromStr for MotionPath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        let refused = |reason: &str| InvalidPath { reason: reason.into() };
        if text.len() > PATH_LEN_MAX {
            return Err(refused("longer than 16384 bytes"));
        }
        check_syntax(text).map_err(refused)?;
        let path = BezPath::from_svg(text).map_err(|error| refused(&error.to_string()))?;
        let is_near = |point: Point| [point.x, point.y].iter().all(|v| v.abs() <= COORDINATE_MAX);
        let is_within = |segment: PathSeg| {
            segment.to_cubic().is_finite() && {
                let cubic = segment.to_cubic();
                [cubic.p0, cubic.p1, cubic.p2, cubic.p3].into_iter().all(is_near)
            }
        };
        let mut legs = Vec::new();
        let mut length = 0.0;
        for segment in path.segments() {
            if legs.len() == LEGS_MAX {
                return Err(refused("more than 4096 lines and curves"));
            }
            if !is_within(segment) {
                return Err(refused("a point is out of range: -65536 to 65536"));
            }
            let from = length;
            length += segment.arclen(ACCURACY);
            legs.push(Leg { segment, from, to: length });
        }
        if length > 0.0 { Ok(Self { text: text.into(), legs: legs.into() }) } else { Err(refused("it has no length")) }
    }
}

/// What the parser would pass over or choke on: it is made for trusted paths. Without exponents and with few digits, no
/// radius is so large that an arc becomes millions of curves.
fn check_syntax(text: &str) -> Result<(), &'static str> {
    let is_number = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
    let is_known =
        |c: char| is_number(c) || c == ',' || c.is_ascii_whitespace() || "MLHVCSQTAZ".contains(c.to_ascii_uppercase());
    if !text.chars().all(is_known) {
        return Err("it has a character that no path has");
    }
    if text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 20)
        || text
            .split(|c: char| !is_number(c))
            .any(|number| number.trim_start_matches('-').split('.').next().is_some_and(|whole| whole.len() > 6))
    {
        return Err("a number has too many digits");
    }
    let solid: Vec<char> = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let is_comma_between = |pair: &[char]| {
        (pair[1] != ',' || pair[0].is_ascii_digit() || pair[0] == '.') && (pair[0] != ',' || is_number(pair[1]))
    };
    if !solid.windows(2).all(is_comma_between) || solid.last() == Some(&',') {
        return Err("a comma is not between two numbers");
    }
    Ok(())
}

impl TryFrom<String> for MotionPath {
    type Error = InvalidPath;
    fn try_from(text: String) -> Result<Self, InvalidPath> {
        text.parse()
    }
}

impl From<MotionPath> for String {
    fn from(path: MotionPath) -> Self {
        path.text
    }
}

/// How a layer is turned along its path: by the path's direction and so many degrees, beside its own rotation.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Orient {
    Auto,
    Degrees(f64),
}

impl Orient {
    pub(super) fn degrees(self) -> f64 {
        match self {
            Self::Auto => 0.0,
            Self::Degrees(degrees) => degrees,
        }
    }
}

written!(Orient as "Orient" = {
    "description": "Along the way, or so many degrees.",
    "oneOf": [{ "type": "string", "enum": ["auto"] }, { "type": "number" }]
});

impl Serialize for Orient {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Degrees(degrees) => serializer.serialize_f64(*degrees),
        }
    }
}

impl<'de> Deserialize<'de> for Orient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Orient;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"auto\" or a number of degrees")
            }
            fn visit_f64<E: de::Error>(self, degrees: f64) -> Result<Orient, E> {
                Ok(Orient::Degrees(degrees))
            }
            fn visit_i64<E: de::Error>(self, degrees: i64) -> Result<Orient, E> {
                Ok(Orient::Degrees(degrees as f64))
            }
            fn visit_u64<E: de::Error>(self, degrees: u64) -> Result<Orient, E> {
                Ok(Orient::Degrees(degrees as f64))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Orient, E> {
                match text {
                    "auto" => Ok(Orient::Auto),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> MotionPath {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn assert_at(text: &str, share: f64, expected: [f64; 2], degrees: f64) {
        let (found, direction) = path(text).at(share);
        let off = (found[0] - expected[0]).hypot(found[1] - expected[1]);
        // Arcs are curves that are a tenth of a pixel off at most.
        assert!(off < 0.1, "{text} at {share}: {found:?} instead of {expected:?}");
        assert!((direction - degrees).abs() < 0.5, "{text} at {share}: {direction} instead of {degrees}");
    }

    #[test]
    fn shares_are_of_the_length() {
        // 300 to the right, 100 down: three quarters of the way is the corner.
        let corner = "M 100 50 L 400 50 V 150";
        assert_at(corner, 0.0, [100.0, 50.0], 0.0);
        assert_at(corner, 0.25, [200.0, 50.0], 0.0);
        assert_at(corner, 0.75, [400.0, 50.0], 90.0);
        assert_at(corner, 1.0, [400.0, 150.0], 90.0);
        assert_at(corner, 7.0, [400.0, 150.0], 90.0);
        // The parameter of this curve is far from its length: it is a straight line of 100, slow at its ends.
        assert_at("M0,0 C0,0 100,0 100,0", 0.1, [10.0, 0.0], 0.0);
        assert_at("M0,0 C0,0 100,0 100,0", 0.0, [0.0, 0.0], 0.0);
    }

    #[test]
    fn arcs_curves_and_relative_commands_follow_svg() {
        // A half circle of radius 100 over the top, clockwise.
        let half = "M 0 100 A 100 100 0 0 1 200 100";
        let root = 100.0 * 0.5_f64.sqrt();
        assert_at(half, 0.25, [100.0 - root, 100.0 - root], -45.0);
        assert_at(half, 0.5, [100.0, 0.0], 0.0);
        assert_at(half, 0.75, [100.0 + root, 100.0 - root], 45.0);
        assert_at("m10-10 l20 0 0 20 z", 1.0, [10.0, -10.0], -135.0);
        assert_at("M0 0 q 50 100 100 0 t 100 0", 0.5, [100.0, 0.0], -63.43);
        // The pen is lifted: half of the length is the end of the first line.
        assert_at("M0 0 h100 M500 500 h100", 0.75, [550.0, 500.0], 0.0);
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for (text, reason) in [
            ("", "no length"),
            ("M 10 10", "no length"),
            ("L 10 10", "moveto"),
            ("M 0 0 L 10", "EOF"),
            ("M 0 0 B 1 1", "character"),
            ("M 0 0 L 1e300 0", "character"),
            ("M 0 0 L +5 0", "character"),
            ("M 0 0,, L 5 0", "comma"),
            ("M 0 0 L 5 0,", "comma"),
            ("M 0 0 L 10000000 0", "digits"),
            ("M 0 0 L 100000 0", "out of range"),
            ("M 0 0 A 999999 999999 0 1 1 1 1", "out of range"),
            (&format!("M 0 0{}", " l 1 1 -1 -1".repeat(2049)), "longer"),
            (&format!("M 0 0{}", "h1h-1".repeat(2049)), "4096"),
        ] {
            let error = text.parse::<MotionPath>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    proptest! {
        /// A text is read or refused, never a panic; what is read is finite everywhere and stays where it says.
        #[test]
        fn any_text_is_answered(text in "M[MLHVCSQTAZmlhvcsqtaz0-9., -]{0,60}", share in 0.0..=1.0) {
            if let Ok(path) = text.parse::<MotionPath>() {
                let ([x, y], degrees) = path.at(share);
                prop_assert!(x.abs() <= COORDINATE_MAX && y.abs() <= COORDINATE_MAX && degrees.is_finite());
            }
        }

        /// Equal shares of time are equal ways: the anchor goes at constant speed.
        #[test]
        fn speed_is_constant(c in proptest::collection::vec(-500.0..500.0f64, 6)) {
            let text = format!("M 0 0 C {:.1} {:.1} {:.1} {:.1} {:.1} {:.1}", c[0], c[1], c[2], c[3], c[4], c[5]);
            let path = path(&text);
            let length = path.legs[0].to;
            let points: Vec<[f64; 2]> = (0..=200).map(|i| path.at(f64::from(i) / 200.0).0).collect();
            for pair in points.windows(2) {
                // A chord is never longer than its arc.
                let way = (pair[1][0] - pair[0][0]).hypot(pair[1][1] - pair[0][1]);
                prop_assert!(way <= length / 200.0 + 0.01, "{way} of {length}: {text}");
            }
        }
    }
}
