//! Animations of a text's letters, words or lines, one after the other.
//!
//! ```text
//!  startMs ──► durationMs ┤            part 0
//!     └─ staggerMs ──► durationMs ┤    part 1, ...
//! ```
//!
//! Coming `in`, a part goes from what `from` says to its place; going `out`, from its place to there. Before and after it
//! stays where it begins and ends. Everything is a function of the time elapsed. Several animations of one text add up:
//! one in and one out is usual. While a text is at rest it is drawn whole, at the cost of any other text.

use std::{ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::scene::{
    check::Check,
    draw::TextUnit,
    easing::Easing,
    geometry::{Affine, Rect},
};

/// Latest start, some 31 years; longest way of a part and longest time between parts; all in milliseconds.
const START_MAX_MS: f64 = 1e12;
const DURATION_MS: RangeInclusive<f64> = 1.0..=600_000.0;
const STAGGER_MS: RangeInclusive<f64> = 0.0..=60_000.0;

/// An animation of the parts of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TextAnimation {
    /// What the text is taken apart into.
    #[serde(default)]
    pub unit: TextUnit,
    /// Whether the parts come or go.
    #[serde(default)]
    pub direction: TextMotion,
    /// When the first part begins, on the stream's elapsed time.
    #[serde(default)]
    pub start_ms: u64,
    /// How long each part takes.
    #[serde(default = "default_duration")]
    #[schema(minimum = 1, maximum = 600000)]
    pub duration_ms: u64,
    /// How much later each part begins than the one before.
    #[serde(default = "default_stagger")]
    #[schema(minimum = 0, maximum = 60000)]
    pub stagger_ms: u64,
    /// Which part begins.
    #[serde(default)]
    pub order: TextOrder,
    /// Where parts come from, or go to.
    #[serde(default)]
    pub from: Away,
    /// How each part goes its way.
    #[serde(default = "default_easing")]
    pub easing: Easing,
}

/// Whether parts of a text come or go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum TextMotion {
    /// They come.
    #[default]
    In,
    /// They go.
    Out,
}

/// Which part of a text begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum TextOrder {
    /// The one that is read first.
    #[default]
    Forward,
    /// The one that is read last.
    Backward,
}

/// How a part is that is not at its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Away {
    /// 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    pub opacity: f64,
    /// To the right of its place, in pixels.
    #[schema(minimum = -10000, maximum = 10000)]
    pub offset_x: f64,
    /// Below its place, in pixels.
    #[schema(minimum = -10000, maximum = 10000)]
    pub offset_y: f64,
    /// Factor of its size, about its middle.
    #[schema(minimum = 0, maximum = 64)]
    pub scale: f64,
    /// Degrees clockwise, about its middle.
    #[schema(minimum = -36000, maximum = 36000)]
    pub rotation: f64,
}

impl Default for Away {
    fn default() -> Self {
        Self { opacity: 0.0, offset_x: 0.0, offset_y: 0.0, scale: 1.0, rotation: 0.0 }
    }
}

fn default_duration() -> u64 {
    400
}
fn default_stagger() -> u64 {
    40
}
fn default_easing() -> Easing {
    "easeOutCubic".parse().unwrap_or(Easing::Linear)
}

/// How a part of a text is at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stance {
    pub(super) opacity: f64,
    offset: [f64; 2],
    scale: f64,
    rotation: f64,
}

impl Stance {
    /// At its place.
    const REST: Self = Self { opacity: 1.0, offset: [0.0, 0.0], scale: 1.0, rotation: 0.0 };

    /// From where the part is at rest to where it is.
    pub(super) fn place(self, part: Rect) -> Affine {
        let middle = [f64::from(part.x + part.w / 2.0), f64::from(part.y + part.h / 2.0)];
        let there = [middle[0] + self.offset[0], middle[1] + self.offset[1]];
        Affine::place(there, middle, [self.scale; 2], self.rotation)
    }
}

/// How part `part` of `parts` is after all animations.
pub(super) fn stance(animations: &[TextAnimation], elapsed: Duration, part: usize, parts: usize) -> Stance {
    animations.iter().fold(Stance::REST, |stance, animation| {
        let (from, away) = (&animation.from, animation.away(elapsed, part, parts));
        let part_of = |rest: f64, there: f64| rest + (there - rest) * away;
        Stance {
            opacity: stance.opacity * part_of(1.0, from.opacity).clamp(0.0, 1.0),
            offset: [stance.offset[0] + from.offset_x * away, stance.offset[1] + from.offset_y * away],
            scale: stance.scale * part_of(1.0, from.scale),
            rotation: stance.rotation + from.rotation * away,
        }
    })
}

/// When the picture of a text of `parts` parts changes next; `None`: never again. Before that time all is as it is.
pub(super) fn changes_at(animations: &[TextAnimation], elapsed: Duration, parts: usize) -> Option<Duration> {
    let next = |animation: &TextAnimation| match animation.span(parts) {
        (begin, _) if elapsed < begin => Some(begin),
        (_, end) if elapsed < end => Some(elapsed),
        _ => None,
    };
    animations.iter().filter_map(next).min()
}

/// Whether a text of at most `parts` parts is whole: all that come have come, and none goes yet.
pub(super) fn is_whole(animations: &[TextAnimation], elapsed: Duration, parts: usize) -> bool {
    animations.iter().all(|animation| match (animation.direction, animation.span(parts)) {
        (TextMotion::In, (_, end)) => elapsed >= end,
        (TextMotion::Out, (begin, _)) => elapsed <= begin,
    })
}

impl TextAnimation {
    pub(super) fn check(&self, check: &mut Check) {
        check.range("/startMs", self.start_ms as f64, 0.0..=START_MAX_MS);
        check.range("/durationMs", self.duration_ms as f64, DURATION_MS);
        check.range("/staggerMs", self.stagger_ms as f64, STAGGER_MS);
        check.range("/from/opacity", self.from.opacity, 0.0..=1.0);
        check.range("/from/offsetX", self.from.offset_x, -10_000.0..=10_000.0);
        check.range("/from/offsetY", self.from.offset_y, -10_000.0..=10_000.0);
        check.range("/from/scale", self.from.scale, 0.0..=64.0);
        check.range("/from/rotation", self.from.rotation, -36_000.0..=36_000.0);
    }

    /// From the begin of the first part to the end of the last.
    fn span(&self, parts: usize) -> (Duration, Duration) {
        let begin = Duration::from_millis(self.start_ms);
        let last = self.stagger_ms.saturating_mul(parts.saturating_sub(1) as u64);
        (begin, begin + Duration::from_millis(last.saturating_add(self.duration_ms)))
    }

    /// How far a part is from its place: 0 at it, 1 as `from` says, beyond both where the easing overshoots.
    fn away(&self, elapsed: Duration, part: usize, parts: usize) -> f64 {
        let turn = match self.order {
            TextOrder::Forward => part,
            TextOrder::Backward => parts.saturating_sub(part + 1),
        };
        let begin = Duration::from_millis(self.start_ms.saturating_add(self.stagger_ms.saturating_mul(turn as u64)));
        let way = elapsed.saturating_sub(begin).as_secs_f64() * 1000.0 / self.duration_ms as f64;
        let gone = match way {
            way if way <= 0.0 => 0.0,
            way if way >= 1.0 => 1.0,
            way => self.easing.at(way),
        };
        if self.direction == TextMotion::In { 1.0 - gone } else { gone }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn animation(direction: TextMotion, start_ms: u64) -> TextAnimation {
        let from = Away { opacity: 0.0, offset_x: 0.0, offset_y: 40.0, scale: 3.0, rotation: 90.0 };
        TextAnimation {
            unit: TextUnit::Word,
            direction,
            start_ms,
            duration_ms: 100,
            stagger_ms: 50,
            order: TextOrder::Forward,
            from,
            easing: Easing::Linear,
        }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn parts_come_one_after_the_other_and_go_again() {
        let both = [animation(TextMotion::In, 1000), animation(TextMotion::Out, 3000)];
        let opacity = |at, part| stance(&both, ms(at), part, 3).opacity;
        assert_eq!([opacity(0, 0), opacity(1000, 0), opacity(1050, 0), opacity(1100, 0)], [0.0, 0.0, 0.5, 1.0]);
        assert_eq!([opacity(1050, 1), opacity(1100, 1), opacity(1150, 1)], [0.0, 0.5, 1.0]);
        assert_eq!([opacity(2999, 2), opacity(3125, 2), opacity(3150, 2), opacity(9999, 2)], [1.0, 0.75, 0.5, 0.0]);
        let half = stance(&both, ms(1050), 0, 3);
        assert_eq!((half.offset, half.scale, half.rotation), ([0.0, 20.0], 2.0, 45.0));
        assert_eq!(stance(&both, ms(2000), 1, 3), Stance::REST);
    }

    #[test]
    fn the_last_part_may_be_first() {
        let backward = [TextAnimation { order: TextOrder::Backward, ..animation(TextMotion::In, 0) }];
        let opacities = [0, 1, 2].map(|part| stance(&backward, ms(100), part, 3).opacity);
        assert_eq!(opacities, [0.0, 0.5, 1.0]);
    }

    #[test]
    fn still_times_are_known() {
        let both = [animation(TextMotion::In, 1000), animation(TextMotion::Out, 3000)];
        // Three parts: in from 1000 to 1200, out from 3000 to 3200.
        let next = |at| changes_at(&both, ms(at), 3).map(|time| time.as_millis());
        assert_eq!([next(0), next(1000), next(1199)], [Some(1000), Some(1000), Some(1199)]);
        assert_eq!([next(1200), next(3100), next(3200)], [Some(3000), Some(3100), None]);
        let whole = |at| is_whole(&both, ms(at), 3);
        assert_eq!([whole(0), whole(1199), whole(1200), whole(3000), whole(3001)], [false, false, true, true, false]);
    }

    #[test]
    fn a_part_turns_and_grows_about_its_middle() {
        let half = stance(&[animation(TextMotion::In, 0)], ms(50), 0, 1);
        let part = Rect::new(10.0, 20.0, 30.0, 40.0);
        let middle = half.place(part).apply([25.0, 40.0]);
        assert!((middle[0] - 25.0).abs() < 1e-4 && (middle[1] - 60.0).abs() < 1e-4, "{middle:?}");
        assert_eq!(Stance::REST.place(part), Affine::IDENTITY);
    }
}
