//! When an animation runs: from the time around it to the place on its own time.
//!
//! ```text
//!  startMs     + delayMs = begin                         end = begin + repeat x period
//!     |--- delay ---|--- period ---|--- period ---| ... |
//!      fill backwards     0 ... period              fill forwards
//! ```
//!
//! Times are whole nanoseconds, so a loop does not drift in years.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use utoipa::ToSchema;

use crate::base::schema::written;
use crate::scene::check::Check;

/// Most rounds that are counted; beyond there is `infinite`.
const REPEAT_MAX: u32 = 1_000_000;
/// A day: the longest round and delay, in milliseconds.
pub(super) const SPAN_MAX_MS: i64 = 86_400_000;
/// Some 31 years: the latest start, in milliseconds.
pub(super) const START_MAX_MS: i64 = 1_000_000_000_000;
const NS_PER_MS: i128 = 1_000_000;

/// When an animation begins, how often it runs and which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// The time at which the delay begins, in milliseconds: of the stream's time elapsed, or of the timeline around.
    pub start_ms: i64,
    /// From the start to the first round, in milliseconds; negative: that much of it is over already.
    pub delay_ms: i64,
    /// How many rounds.
    pub repeat: Repeat,
    /// Which way they run.
    pub direction: Direction,
    /// Whether it is in effect before and after them.
    pub fill: Fill,
}

/// A number of rounds, 1 to a million, or `"infinite"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Repeat {
    Times(u32),
    Infinite,
}

/// Which way the rounds run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = AnimationDirection)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AnimationFill)]
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

written!(Repeat as "Repeat" = {
    "description": "How many rounds.",
    "oneOf": [{ "type": "integer", "minimum": 1, "maximum": REPEAT_MAX }, { "type": "string", "enum": ["infinite"] }]
});

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

/// A stretch of time, the end exclusive; an empty one stands for what moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: i128,
    pub(super) to: i128,
}

impl Span {
    pub(super) const EVER: Self = Self { from: i128::MIN, to: i128::MAX };

    pub(super) fn new(from: i128, to: i128) -> Self {
        Self { from, to }
    }

    /// The one moment, of no length.
    pub(super) fn at(time: i128) -> Self {
        Self::new(time, time)
    }

    pub(super) fn moved(self, by: i128) -> Self {
        Self::new(self.from.saturating_add(by), self.to.saturating_add(by))
    }

    /// Seen backwards from `end`: a place p comes at `end` - p.
    fn mirrored(self, end: i128) -> Self {
        if self.from == self.to {
            return Self::at(end - self.from);
        }
        let mirror = |place: i128| end.saturating_sub(place).saturating_add(1);
        Self::new(mirror(self.to), mirror(self.from))
    }

    pub(super) fn within(self, other: Self) -> Self {
        Self::new(self.from.max(other.from), self.to.min(other.to))
    }
}

/// Where a time falls in an animation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    /// On the animation's own time; `None` where it is not in effect.
    pub(super) place: Option<i128>,
    way: Way,
}

/// How the place goes with the time around.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// It stays for this long.
    Rest(Span),
    /// It runs with it during the round, which begins at `begin`.
    Forth { begin: i128, round: Span },
    /// It runs against it and is 0 at `end`.
    Back { end: i128, round: Span },
}

impl Spot {
    /// The stretch of the time around during which the place stays within `still`, which holds the place.
    pub(super) fn around(&self, still: Span) -> Span {
        match self.way {
            Way::Rest(span) => span,
            Way::Forth { begin, round } => still.moved(begin).within(round),
            Way::Back { end, round } => still.mirrored(end).within(round),
        }
    }
}

impl Timing {
    pub(super) fn check(&self, check: &mut Check) {
        check.range("/startMs", self.start_ms as f64, 0.0..=START_MAX_MS as f64);
        check.range("/delayMs", self.delay_ms as f64, -SPAN_MAX_MS as f64..=SPAN_MAX_MS as f64);
    }

    /// When the first round begins.
    pub(super) fn begin(&self) -> i128 {
        nanos_of_ms(self.start_ms) + nanos_of_ms(self.delay_ms)
    }

    /// When the last round of that length ends; `None`: never. As in CSS, rounds without length are over at once, however
    /// many.
    pub(super) fn end(&self, period: i128) -> Option<i128> {
        match self.repeat {
            Repeat::Times(times) => Some(self.begin() + i128::from(times) * period),
            Repeat::Infinite => (period == 0).then(|| self.begin()),
        }
    }

    /// Where `time` falls, if a round is `period` long.
    pub(super) fn spot(&self, time: i128, period: i128) -> Spot {
        let (is_before_filled, is_after_filled) = match self.fill {
            Fill::None => (false, false),
            Fill::Forwards => (false, true),
            Fill::Backwards => (true, false),
            Fill::Both => (true, true),
        };
        let begin = self.begin();
        if time < begin {
            let place = is_before_filled.then(|| self.place(0, 0, period));
            return Spot { place, way: Way::Rest(Span { to: begin, ..Span::EVER }) };
        }
        if let Some(end) = self.end(period).filter(|&end| time >= end) {
            let place = is_after_filled.then(|| self.place(self.last_round(), period, period));
            return Spot { place, way: Way::Rest(Span { from: end, ..Span::EVER }) };
        }
        let round = (time - begin) / period;
        let begin = begin + round * period;
        let end = begin + period;
        let span = Span::new(begin, end);
        let way = match self.is_backwards(round) {
            true => Way::Back { end, round: span },
            false => Way::Forth { begin, round: span },
        };
        Spot { place: Some(self.place(round, time - begin, period)), way }
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

    fn place(&self, round: i128, passed: i128, period: i128) -> i128 {
        if self.is_backwards(round) { period - passed } else { passed }
    }
}

pub(super) fn nanos_of_ms(ms: i64) -> i128 {
    i128::from(ms) * NS_PER_MS
}

/// The nanoseconds of a stamp: milliseconds with a fraction, exact for a hundred days.
pub(super) fn nanos_of_stamp(ms: f64) -> i128 {
    (ms * NS_PER_MS as f64).round() as i128
}

pub(super) fn stamp_of(elapsed: Duration) -> f64 {
    elapsed.as_nanos() as f64 / NS_PER_MS as f64
}

/// A duration has at most 94 bits of nanoseconds.
pub(super) fn nanos(duration: Duration) -> i128 {
    duration.as_nanos() as i128
}

pub(super) fn duration(nanos: i128) -> Duration {
    let nanos = nanos.max(0) as u128;
    let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
    Duration::new(seconds, (nanos % 1_000_000_000) as u32)
}
