//! Animations of a layer: keyframes of one property over the stream's elapsed time.
//!
//! ```text
//!  startMs     + delayMs = begin                         end = begin + repeat x period
//!     |--- delay ---|--- period ---|--- period ---| ... |
//!      fill backwards     0 ... the last atMs             fill forwards
//! ```
//!
//! Everything is a function of the time elapsed: any frame can be asked for in any order, and a stream that starts again
//! is in phase. Times are whole nanoseconds inside, so a loop does not drift in years.
//!
//! The words are those of the Web Animations model: `delayMs` may be negative (it starts as if already running), before
//! the begin and after the end `fill` decides, `direction` which way each round runs. A keyframe at the same time as the
//! one before is a jump; before the first keyframe its value holds. A curve that overshoots is cut off at the property's
//! own range. Of several animations of a property the last in the list that is in effect wins.
//!
//! Not here: colours and the numbers of contents, motion paths, parts of a round, events.

use std::{ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{COORDINATE_MAX, Layer, SIDE_MAX, Transform, check::Check, easing::Easing};

/// Most animations of a layer.
pub const ANIMATIONS_MAX: usize = 64;
/// Most keyframes of an animation.
pub const KEYFRAMES_MAX: usize = 256;
/// Most rounds that are counted; beyond there is `infinite`.
const REPEAT_MAX: u32 = 1_000_000;
/// A day: the longest round and delay, in milliseconds.
const SPAN_MAX_MS: i64 = 86_400_000;
/// Some 31 years: the latest start, in milliseconds.
const START_MAX_MS: i64 = 1_000_000_000_000;
const NS_PER_MS: i128 = 1_000_000;

/// What can be animated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// What the animations make of a layer at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Pose {
    /// Place, size, turn and crop.
    pub transform: Transform,
    /// 0 to 1.
    pub opacity: f64,
    /// Until which time elapsed, exclusively, the animations leave the layer's picture as it is; `None`: for ever.
    pub changes_at: Option<Duration>,
}

impl Pose {
    /// The pose of `layer` at `elapsed`.
    pub fn of(layer: &Layer, elapsed: Duration) -> Self {
        let mut pose = Self { transform: layer.transform.clone(), opacity: layer.opacity, changes_at: None };
        let mut opacity_changes_at = None;
        let mut settled = 0_u32;
        // From the last, which wins, to the first: what lies under one in effect is neither seen nor does it change
        // anything.
        for animation in layer.animations.iter().rev() {
            let bit = 1 << animation.property as u32;
            if settled & bit != 0 {
                continue;
            }
            let is_opacity = animation.property == Property::Opacity;
            let earliest = if is_opacity { &mut opacity_changes_at } else { &mut pose.changes_at };
            *earliest = sooner(*earliest, animation.next_change(elapsed));
            if let Some(value) = animation.value_at(elapsed) {
                settled |= bit;
                pose.set(animation.property, value);
            }
        }
        // What is invisible may move unseen.
        let moves_at = pose.changes_at.filter(|_| pose.opacity > 0.0);
        pose.changes_at = sooner(opacity_changes_at, moves_at);
        pose
    }

    fn set(&mut self, property: Property, value: f64) {
        let transform = &mut self.transform;
        match property {
            Property::PositionX => transform.position_x = value,
            Property::PositionY => transform.position_y = value,
            Property::Width => transform.width = Some(value),
            Property::Height => transform.height = Some(value),
            Property::ScaleX => transform.scale_x = value,
            Property::ScaleY => transform.scale_y = value,
            Property::Rotation => transform.rotation = value,
            Property::AnchorX => transform.anchor_x = value,
            Property::AnchorY => transform.anchor_y = value,
            Property::CropLeft => transform.crop_left = value,
            Property::CropTop => transform.crop_top = value,
            Property::CropRight => transform.crop_right = value,
            Property::CropBottom => transform.crop_bottom = value,
            Property::Opacity => self.opacity = value,
        }
    }
}

/// The earlier of two times, where `None` is never.
fn sooner(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    a.into_iter().chain(b).min()
}

/// Keyframes of one property.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Animation {
    /// What moves.
    pub property: Property,
    /// 1 to [`KEYFRAMES_MAX`], in order of time.
    pub keyframes: Vec<Keyframe>,
    /// The stream's time elapsed at which the delay begins, in milliseconds.
    #[serde(default)]
    pub start_ms: i64,
    /// From the start to the first round, in milliseconds; negative: that much of it is over already.
    #[serde(default)]
    pub delay_ms: i64,
    /// How many rounds.
    #[serde(default)]
    pub repeat: Repeat,
    /// Which way they run.
    #[serde(default)]
    pub direction: Direction,
    /// Whether it is in effect before and after them.
    #[serde(default)]
    pub fill: Fill,
}

/// A value at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Keyframe {
    /// Since the round's beginning, in milliseconds.
    pub at_ms: i64,
    /// In the property's unit and range.
    pub value: f64,
    /// The way to the next keyframe.
    #[serde(default)]
    pub easing: Easing,
}

/// A number of rounds, 1 to a million, or `"infinite"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Repeat {
    Times(u32),
    Infinite,
}

/// Which way the rounds run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From the first keyframe to the last.
    #[default]
    Normal,
    /// From the last to the first, easings mirrored in time.
    Reverse,
    /// There and back, in turn.
    Alternate,
    /// Back and there, in turn.
    AlternateReverse,
}

/// Where an animation is in effect beside its rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fill {
    /// Nowhere: the layer's own value shows.
    None,
    /// After the last round, with its last value.
    Forwards,
    /// Before the first round, with its first value.
    Backwards,
    /// Before and after.
    #[default]
    Both,
}

impl Default for Repeat {
    fn default() -> Self {
        Self::Times(1)
    }
}

impl Serialize for Repeat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Times(times) => serializer.serialize_u32(*times),
            Self::Infinite => serializer.serialize_str("infinite"),
        }
    }
}

impl<'de> Deserialize<'de> for Repeat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Times(u32),
            Other(serde_json::Value),
        }
        match Written::deserialize(deserializer)? {
            Written::Times(times @ 1..=REPEAT_MAX) => Ok(Self::Times(times)),
            Written::Other(word) if word == "infinite" => Ok(Self::Infinite),
            Written::Times(_) | Written::Other(_) => {
                Err(D::Error::custom(format!("expected a whole number, 1 to {REPEAT_MAX}, or \"infinite\"")))
            }
        }
    }
}

/// Where in an animation a time falls.
enum Phase {
    /// Its first round begins then.
    Before {
        begin: i128,
    },
    /// So far into a round.
    Running {
        round: i128,
        passed: i128,
    },
    After,
}

impl Animation {
    /// Notes every value that is out of range; pointers start at the animation.
    pub(super) fn check(&self, check: &mut Check) {
        check.count("/keyframes", "keyframes", self.keyframes.len(), 1..=KEYFRAMES_MAX);
        check.range("/startMs", self.start_ms as f64, 0.0..=START_MAX_MS as f64);
        check.range("/delayMs", self.delay_ms as f64, -SPAN_MAX_MS as f64..=SPAN_MAX_MS as f64);
        let mut before = i64::MIN;
        for (i, keyframe) in self.keyframes.iter().enumerate() {
            check.part(&format!("/keyframes/{i}"), |check| {
                check.range("/atMs", keyframe.at_ms as f64, 0.0..=SPAN_MAX_MS as f64);
                check.range("/value", keyframe.value, self.property.range());
                check.that("/atMs", keyframe.at_ms >= before, || {
                    format!("{} is before the last keyframe's {before}: keyframes are in order of time", keyframe.at_ms)
                });
            });
            before = keyframe.at_ms.max(before);
        }
    }

    /// The value at `elapsed`, within the property's range; `None` where the animation is not in effect.
    pub fn value_at(&self, elapsed: Duration) -> Option<f64> {
        let (is_before_filled, is_after_filled) = match self.fill {
            Fill::None => (false, false),
            Fill::Forwards => (false, true),
            Fill::Backwards => (true, false),
            Fill::Both => (true, true),
        };
        let place = match self.phase(elapsed) {
            Phase::Before { .. } => is_before_filled.then(|| self.place(0, 0)),
            Phase::Running { round, passed } => Some(self.place(round, passed)),
            Phase::After => is_after_filled.then(|| self.place(self.last_round(), self.period())),
        };
        place.map(|place| self.value(place))
    }

    /// Until which time, exclusively, [`Animation::value_at`] surely stays as it is at `elapsed`: `elapsed` itself while
    /// it moves, `None` for ever.
    pub fn next_change(&self, elapsed: Duration) -> Option<Duration> {
        let change = match self.phase(elapsed) {
            Phase::Before { begin } => begin,
            Phase::Running { round, passed } => nanos(elapsed) + self.still_for(round, passed),
            Phase::After => return None,
        };
        Some(duration(change))
    }

    fn phase(&self, elapsed: Duration) -> Phase {
        let begin = (i128::from(self.start_ms) + i128::from(self.delay_ms)) * NS_PER_MS;
        let (passed, period) = (nanos(elapsed) - begin, self.period());
        let is_over = |times: u32| passed >= i128::from(times) * period;
        if passed < 0 {
            return Phase::Before { begin };
        }
        match self.repeat {
            Repeat::Times(times) if is_over(times) => Phase::After,
            // As in CSS, rounds without length are over at once, however many.
            Repeat::Infinite if period == 0 => Phase::After,
            _ => Phase::Running { round: passed / period, passed: passed % period },
        }
    }

    /// Length of a round in nanoseconds.
    fn period(&self) -> i128 {
        self.keyframes.last().map_or(0, Keyframe::at)
    }

    fn last_round(&self) -> i128 {
        match self.repeat {
            Repeat::Times(times) => i128::from(times) - 1,
            Repeat::Infinite => 0,
        }
    }

    fn is_backwards(&self, round: i128) -> bool {
        match self.direction {
            Direction::Normal => false,
            Direction::Reverse => true,
            Direction::Alternate => round % 2 == 1,
            Direction::AlternateReverse => round % 2 == 0,
        }
    }

    /// The place on the keyframes' own time after `passed` nanoseconds of a round.
    fn place(&self, round: i128, passed: i128) -> i128 {
        if self.is_backwards(round) { self.period() - passed } else { passed }
    }

    /// How many keyframes lie at or before a place: the last of them and the one after it hold the value.
    fn passed_at(&self, place: i128) -> usize {
        self.keyframes.partition_point(|keyframe| keyframe.at() <= place)
    }

    fn value(&self, place: i128) -> f64 {
        let next = self.passed_at(place);
        let range = self.property.range();
        let value = match (next.checked_sub(1).map(|last| &self.keyframes[last]), self.keyframes.get(next)) {
            (Some(a), Some(b)) if a.value == b.value => a.value,
            (Some(a), Some(b)) => a.value + (b.value - a.value) * a.easing.at(a.share(b, place)),
            (Some(only), None) | (None, Some(only)) => only.value,
            // Not reached: a checked animation has a keyframe.
            (None, None) => 0.0,
        };
        value.clamp(*range.start(), *range.end())
    }

    /// For how many nanoseconds from here on the value surely stays, at most to the round's end.
    fn still_for(&self, round: i128, passed: i128) -> i128 {
        let place = self.place(round, passed);
        let Some((from, to)) = self.still_around(place) else { return 0 };
        // Backwards, the place `from` itself still has the value.
        let still = if self.is_backwards(round) { place - from + 1 } else { to - place };
        still.clamp(0, self.period() - passed)
    }

    /// The places, the second one exclusive, between which the value surely is that at `place`.
    fn still_around(&self, place: i128) -> Option<(i128, i128)> {
        let next = self.passed_at(place);
        let Some(b) = self.keyframes.get(next) else { return Some((self.period(), i128::MAX)) };
        let Some(a) = next.checked_sub(1).map(|last| &self.keyframes[last]) else { return Some((0, b.at())) };
        if a.value == b.value || a.easing == Easing::Hold {
            return Some((a.at(), b.at()));
        }
        let span = a.easing.still_around(a.share(b, place))?;
        let length = (b.at() - a.at()) as f64;
        // Rounded inwards by more than the shares are off.
        let (from, to) = ((span.start() * length).ceil() as i128 + 1, (span.end() * length).floor() as i128 - 1);
        let (from, to) = (a.at() + from, a.at() + to);
        (from..to).contains(&place).then_some((from, to))
    }
}

impl Keyframe {
    /// Since the round's beginning, in nanoseconds.
    fn at(&self) -> i128 {
        i128::from(self.at_ms) * NS_PER_MS
    }

    /// The share of the way to `next` at `place`, which lies between the two.
    fn share(&self, next: &Self, place: i128) -> f64 {
        (place - self.at()) as f64 / (next.at() - self.at()) as f64
    }
}

/// A duration has at most 94 bits of nanoseconds.
fn nanos(duration: Duration) -> i128 {
    duration.as_nanos() as i128
}

fn duration(nanos: i128) -> Duration {
    let nanos = nanos.max(0) as u128;
    let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
    Duration::new(seconds, (nanos % 1_000_000_000) as u32)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::scene::check;

    fn animation(document: Value) -> Animation {
        let animation: Animation = check::read(document).unwrap();
        let mut check = Check::default();
        animation.check(&mut check);
        check.finish().unwrap();
        animation
    }

    /// From 100 to 200 within a second, and whatever `more` says.
    fn way(more: Value) -> Animation {
        let keyframes = json!([{ "atMs": 0, "value": 100 }, { "atMs": 1000, "value": 200 }]);
        let mut document = json!({ "property": "positionX", "keyframes": keyframes });
        json_patch::merge(&mut document, &more);
        animation(document)
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn values<const N: usize>(animation: &Animation, times: [u64; N]) -> [Option<f64>; N] {
        times.map(|time| animation.value_at(ms(time)))
    }

    #[test]
    fn the_way_is_gone_from_keyframe_to_keyframe() {
        assert_eq!(values(&way(json!({})), [0, 250, 999, 1000, 5000]), [100.0, 125.0, 199.9, 200.0, 200.0].map(Some));
        let eased = animation(json!({ "property": "rotation", "keyframes": [
            { "atMs": 500, "value": 10, "easing": "easeInQuad" }, { "atMs": 1500, "value": 20, "easing": "hold" },
            { "atMs": 2000, "value": 30 }, { "atMs": 2000, "value": 0, "easing": "ease" } ] }));
        let expected = [10.0, 10.0, 12.5, 20.0, 20.0, 0.0].map(Some);
        assert_eq!(values(&eased, [0, 500, 1000, 1500, 1999, 2000]), expected, "the first holds, and the end jumps");
    }

    #[test]
    fn a_delay_may_lie_in_the_past() {
        let late = way(json!({ "startMs": 2000, "delayMs": 500 }));
        assert_eq!(values(&late, [0, 2500, 2750, 3500]), [100.0, 100.0, 125.0, 200.0].map(Some));
        let early = way(json!({ "delayMs": -250, "repeat": "infinite" }));
        assert_eq!(values(&early, [0, 500, 750]), [125.0, 175.0, 100.0].map(Some));
    }

    #[test]
    fn fill_says_what_shows_before_and_after() {
        for (fill, before, after) in [
            ("none", None, None),
            ("backwards", Some(100.0), None),
            ("forwards", None, Some(200.0)),
            ("both", Some(100.0), Some(200.0)),
        ] {
            let way = way(json!({ "fill": fill, "startMs": 100 }));
            assert_eq!(values(&way, [99, 100, 1099, 1100]), [before, Some(100.0), Some(199.9), after], "{fill}");
        }
    }

    #[test]
    fn rounds_run_as_the_direction_says() {
        let times = [0, 250, 1000, 1250, 2000, 2250, 3000];
        for (direction, expected) in [
            ("normal", [100.0, 125.0, 100.0, 125.0, 100.0, 125.0, 200.0]),
            ("reverse", [200.0, 175.0, 200.0, 175.0, 200.0, 175.0, 100.0]),
            ("alternate", [100.0, 125.0, 200.0, 175.0, 100.0, 125.0, 200.0]),
            ("alternate-reverse", [200.0, 175.0, 100.0, 125.0, 200.0, 175.0, 100.0]),
        ] {
            let way = way(json!({ "direction": direction, "repeat": 3 }));
            assert_eq!(values(&way, times), expected.map(Some), "{direction}");
        }
    }

    #[test]
    fn an_endless_round_is_in_phase_after_years() {
        let endless = way(json!({ "repeat": "infinite", "direction": "alternate" }));
        let years = Duration::from_secs(20 * 365 * 86_400);
        for time in [0, 250, 1250] {
            assert_eq!(endless.value_at(years + ms(time)), endless.value_at(ms(time)));
        }
        assert!(endless.value_at(Duration::MAX).is_some_and(f64::is_finite));
        assert_eq!(endless.next_change(Duration::MAX), Some(Duration::MAX));
    }

    #[test]
    fn a_round_without_length_is_over_at_once() {
        for repeat in [json!(3), json!("infinite")] {
            let jump = animation(json!({ "property": "scaleX", "repeat": repeat, "startMs": 500, "fill": "forwards",
                "keyframes": [{ "atMs": 0, "value": 2 }] }));
            assert_eq!(values(&jump, [499, 500, 9000]), [None, Some(2.0), Some(2.0)]);
            assert_eq!(jump.next_change(ms(0)), Some(ms(500)));
            assert_eq!(jump.next_change(ms(500)), None);
        }
    }

    #[test]
    fn what_overshoots_is_cut_at_the_propertys_range() {
        let pop = animation(json!({ "property": "opacity", "keyframes": [
            { "atMs": 0, "value": 0, "easing": "cubic-bezier(0, 1000000, 0, 1000000)" }, { "atMs": 1000, "value": 1 }] }));
        assert_eq!(values(&pop, [0, 500, 1000]), [0.0, 1.0, 1.0].map(Some));
    }

    #[test]
    fn it_says_when_it_changes_next() {
        let changes = |animation: &Animation, times: [u64; 4]| times.map(|time| animation.next_change(ms(time)));
        let moving = way(json!({ "startMs": 100 }));
        assert_eq!(changes(&moving, [0, 100, 500, 1100]), [Some(ms(100)), Some(ms(100)), Some(ms(500)), None]);

        let held = animation(json!({ "property": "positionX", "repeat": 2, "keyframes": [
            { "atMs": 0, "value": 1, "easing": "hold" }, { "atMs": 1000, "value": 2 }, { "atMs": 1500, "value": 2 }] }));
        assert_eq!(changes(&held, [0, 1200, 1500, 3000]), [Some(ms(1000)), Some(ms(1500)), Some(ms(2500)), None]);

        // A step may be announced a little early, never late.
        let stepped = way(json!({ "keyframes": [
            { "atMs": 0, "value": 100, "easing": "steps(4)" }, { "atMs": 1000, "value": 200 }] }));
        let next = stepped.next_change(ms(300)).unwrap();
        assert!(next <= ms(500) && next > ms(499), "{next:?}");

        // Backwards, the second keyframe's value is there for one instant only.
        let back = animation(json!({ "property": "positionX", "direction": "reverse", "keyframes": [
            { "atMs": 0, "value": 1, "easing": "hold" }, { "atMs": 1000, "value": 2 }] }));
        let instant = Duration::from_nanos(1);
        assert_eq!(back.next_change(ms(0)), Some(instant));
        assert_eq!((back.value_at(ms(0)), back.value_at(instant)), (Some(2.0), Some(1.0)));
        assert_eq!(back.next_change(instant), Some(ms(1000)));
    }

    #[test]
    fn properties_stand_where_their_names_say() {
        for &property in Property::OF_TRANSFORM.iter().chain(&[Property::Opacity]) {
            let name = serde_json::to_value(property).unwrap();
            assert_eq!(property.pointer().strip_prefix('/'), name.as_str());
            // What is set is what is got.
            let layer = json!({ "id": "a", "content": { "type": "color", "color": "#ffffff" } });
            let mut layer = Layer::read(layer).unwrap();
            layer.animations = vec![animation(json!({ "property": name, "keyframes": [{ "atMs": 0, "value": 1 }] }))];
            layer.animations[0].keyframes[0].value = *property.range().end();
            let pose = Pose::of(&layer, Duration::ZERO);
            let value = property.get(&pose.transform).unwrap_or(pose.opacity);
            assert_eq!(value, *property.range().end(), "{name}");
        }
    }
}
