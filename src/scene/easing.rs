//! Easings: how a value goes from one keyframe to the next.
//!
//! An [`Easing`] is read from one text and written back in one canonical form; [`Easing::at`] takes the share of the
//! time that has passed (0 to 1) to the share of the way that has been gone, which may overshoot. Whatever is accepted
//! gives finite numbers. Names are read in any case:
//!
//! | Family | Written |
//! |---|---|
//! | Penner, as easings.net draws it, and CasparCG's `OutIn` | `easeOutCubic`, `easeInOutBack:OVERSHOOT`, `easeOutElastic:PERIOD:AMPLITUDE` |
//! | CSS Easing Functions 1 and 2 | `ease-in-out`, `steps(4, jump-none)`, `cubic-bezier(x1, y1, x2, y2)`, `linear(0, 0.8 50%, 1)` |
//! | GSAP, as templates have it | `power2.out`, `back.inOut(1.7)`, `elastic.out(AMPLITUDE, PERIOD)`, `none` |
//! | ours | `hold`, `spring(MASS, STIFFNESS, DAMPING, VELOCITY)` |
//!
//! CasparCG's 42 names are all there, its misspelt `easeoutintback` too. `easeInExpo` leaves 0 and `easeOutExpo` reaches
//! 1 with a jump of 1/1024, as on easings.net. Not here: custom curves as SVG paths, and GSAP's `rough` and `slow`.

use std::{f64::consts::PI, fmt, ops::RangeInclusive, str::FromStr};

use crate::base::schema::written;
use serde::{Deserialize, Serialize};

/// Longest text of an easing, in bytes: room for [`POINTS_MAX`] points with every digit written out.
const LEN_MAX: usize = 16_384;
/// Most points of a `linear()`.
pub const POINTS_MAX: usize = 256;
/// Most steps of a `steps()`.
pub const STEPS_MAX: u32 = 10_000;
/// What any other number may be: far beyond any use, and far from overflow.
const NUMBERS: RangeInclusive<f64> = -1e6..=1e6;
/// Periods and amplitudes of elastic curves, in times and ways of the whole move.
const ELASTIC: RangeInclusive<f64> = 0.001..=1000.0;
/// Penner's overshoot, which goes beyond by a tenth.
const OVERSHOOT: f64 = 1.701_58;
/// By how much an in-out curve overshoots more, in Penner's formula.
const OVERSHOOT_IN_OUT: f64 = 1.525;
/// How much earlier than its edge a step is taken, in steps: 29 % of 100 steps are 28.999999999999996.
const STEP_SLACK: f64 = 1e-9;

/// How a value goes from one keyframe to the next.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Easing {
    /// At constant speed.
    #[default]
    Linear,
    /// Stays, and jumps at the end.
    Hold,
    /// One of Penner's curves and the side on which it is steep.
    Penner(Side, Curve),
    /// CSS `cubic-bezier()`.
    Bezier(Bezier),
    /// CSS `steps()`.
    Steps(Steps),
    /// CSS `linear()`.
    Points(Points),
    /// A mass on a spring, let go.
    Spring(Spring),
}

/// Which part of the move a Penner curve shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Penner's")]
pub enum Side {
    In,
    Out,
    InOut,
    OutIn,
}

/// A Penner curve.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "the names are Penner's")]
pub enum Curve {
    Sine,
    Quad,
    Cubic,
    Quart,
    Quint,
    Expo,
    Circ,
    /// 1.70158 goes beyond by a tenth; within +-1e6.
    Back {
        overshoot: f64,
    },
    /// The period as a share of the time, the amplitude as a share of the way, at least 1.
    Elastic {
        period: f64,
        amplitude: f64,
    },
    Bounce,
}

/// A cubic curve from (0, 0) to (1, 1); its x never goes back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bezier {
    x: [f64; 2],
    y: [f64; 2],
}

/// So many equal steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    count: u32,
    jump: Jump,
}

/// Where `steps()` jumps beside between its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Jump {
    Start,
    End,
    None,
    Both,
}

/// Points joined by straight lines; never empty, percentages never fall.
#[derive(Debug, Clone, PartialEq)]
pub struct Points(Box<[Point]>);

/// A point of `linear()`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    /// Share of the time, in percent, so that what was written is written back.
    percent: f64,
    /// Share of the way.
    output: f64,
}

/// A damped spring. Its motion until it has settled to a thousandth is laid over the time between the two keyframes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spring {
    mass: f64,
    stiffness: f64,
    damping: f64,
    velocity: f64,
    motion: Motion,
}

/// Why a text is not an easing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEasing {
    /// No easing has this name.
    #[error(
        "`{text}` is not an easing: use linear, hold, ease(In|Out|InOut|OutIn)(Sine|Quad|Cubic|Quart|Quint|Expo|Circ|\
         Back|Elastic|Bounce), ease, ease-in, ease-out, ease-in-out, step-start, step-end, steps(), cubic-bezier(), \
         linear(), spring(), or (power1..power4|sine|expo|circ|back|elastic|bounce).(in|out|inOut)"
    )]
    Unknown {
        /// The refused text, shortened.
        text: String,
    },
    /// The name is known, but what it is given is not right.
    #[error("`{text}` is not an easing: use {expected}")]
    Arguments {
        /// The refused text, shortened.
        text: String,
        /// What is allowed.
        expected: &'static str,
    },
}

written!(Easing as "Easing" = {
    "description": "How a value goes from one keyframe to the next: Penner's and CSS's names, `hold`, CSS's functions, `spring()`.",
    "type": "string",
    "examples": ["linear", "easeOutCubic", "cubic-bezier(0.25, 0.1, 0.25, 1)", "spring(1, 100, 10, 0)"]
});

impl Easing {
    /// The share of the way gone after the share `t` of the time; both 0 to 1, the result may overshoot and is finite.
    /// A `t` outside is taken as the nearer end.
    pub fn at(&self, t: f64) -> f64 {
        let t = if t.is_nan() { 0.0 } else { t.clamp(0.0, 1.0) };
        match self {
            Self::Linear => t,
            Self::Hold => t.floor(),
            Self::Penner(side, curve) => side.at(t, |t| curve.ease_in(*side, t)),
            Self::Bezier(bezier) => bezier.at(t),
            Self::Steps(steps) => steps.at(t),
            Self::Points(points) => points.at(t),
            Self::Spring(spring) => spring.at(t),
        }
    }

    /// The span around `t`, as shares of the time, in which [`Easing::at`] is surely the same; `None` while it moves, or
    /// so near to a step that it cannot be told.
    pub fn still_around(&self, t: f64) -> Option<RangeInclusive<f64>> {
        let span = match self {
            Self::Hold => 0.0..=1.0 - STEP_SLACK,
            Self::Steps(steps) => steps.still_around(t),
            _ => return None,
        };
        span.contains(&t).then_some(span)
    }
}

impl Side {
    /// Makes the whole curve from its `In` half.
    fn at(self, t: f64, ease_in: impl Fn(f64) -> f64) -> f64 {
        // The formulas miss their ends by a rounding.
        let ease_in = |t: f64| match t {
            ..=0.0 => 0.0,
            1.0.. => 1.0,
            _ => ease_in(t),
        };
        let ease_out = |t: f64| 1.0 - ease_in(1.0 - t);
        let is_first_half = t < 0.5;
        match self {
            Self::In => ease_in(t),
            Self::Out => ease_out(t),
            Self::InOut if is_first_half => ease_in(2.0 * t) / 2.0,
            Self::InOut => 0.5 + ease_out(2.0 * t - 1.0) / 2.0,
            Self::OutIn if is_first_half => ease_out(2.0 * t) / 2.0,
            Self::OutIn => 0.5 + ease_in(2.0 * t - 1.0) / 2.0,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::In => "In",
            Self::Out => "Out",
            Self::InOut => "InOut",
            Self::OutIn => "OutIn",
        }
    }
}

impl Curve {
    /// Penner's `easeIn` between its ends; `side` is the one of the whole curve.
    fn ease_in(self, side: Side, t: f64) -> f64 {
        match self {
            Self::Sine => 1.0 - (t * PI / 2.0).cos(),
            Self::Quad => t * t,
            Self::Cubic => t.powi(3),
            Self::Quart => t.powi(4),
            Self::Quint => t.powi(5),
            Self::Expo => (10.0 * t - 10.0).exp2(),
            Self::Circ => 1.0 - (1.0 - t * t).sqrt(),
            Self::Back { overshoot } => {
                let s = if side == Side::InOut { overshoot * OVERSHOOT_IN_OUT } else { overshoot };
                t * t * ((s + 1.0) * t - s)
            }
            Self::Elastic { period, amplitude } => {
                let turn = 2.0 * PI / period;
                let shift = (1.0 / amplitude).asin();
                -amplitude * (10.0 * t - 10.0).exp2() * ((1.0 - t) * turn - shift).sin()
            }
            Self::Bounce => 1.0 - bounce_out(1.0 - t),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sine => "Sine",
            Self::Quad => "Quad",
            Self::Cubic => "Cubic",
            Self::Quart => "Quart",
            Self::Quint => "Quint",
            Self::Expo => "Expo",
            Self::Circ => "Circ",
            Self::Back { .. } => "Back",
            Self::Elastic { .. } => "Elastic",
            Self::Bounce => "Bounce",
        }
    }

    /// The curve of that name, in lower case, as it is without parameters.
    fn named(name: &str, side: Side) -> Option<Self> {
        Some(match name {
            "sine" => Self::Sine,
            "quad" => Self::Quad,
            "cubic" => Self::Cubic,
            "quart" => Self::Quart,
            "quint" => Self::Quint,
            "expo" => Self::Expo,
            "circ" => Self::Circ,
            "back" => Self::Back { overshoot: OVERSHOOT },
            "elastic" => Self::Elastic { period: default_period(side), amplitude: 1.0 },
            "bounce" => Self::Bounce,
            _ => return None,
        })
    }
}

/// Penner's period of an elastic curve: longer where both ends swing.
fn default_period(side: Side) -> f64 {
    if side == Side::InOut { 0.45 } else { 0.3 }
}

/// Penner's four parabolas, each a jump a quarter as high as the one before.
fn bounce_out(t: f64) -> f64 {
    let hop = |middle: f64, floor: f64| 7.5625 * (t - middle / 2.75).powi(2) + floor;
    match t * 2.75 {
        ..1.0 => hop(0.0, 0.0),
        ..2.0 => hop(1.5, 0.75),
        ..2.5 => hop(2.25, 0.9375),
        _ => hop(2.625, 0.984_375),
    }
}

impl Bezier {
    const KEYWORDS: &[(&str, Self)] = &[
        ("ease", Self { x: [0.25, 0.25], y: [0.1, 1.0] }),
        ("ease-in", Self { x: [0.42, 1.0], y: [0.0, 1.0] }),
        ("ease-out", Self { x: [0.0, 0.58], y: [0.0, 1.0] }),
        ("ease-in-out", Self { x: [0.42, 0.58], y: [0.0, 1.0] }),
    ];

    /// The curve with these control points; `None` unless both x are in 0 to 1 and both y within +-1e6.
    pub fn new(x: [f64; 2], y: [f64; 2]) -> Option<Self> {
        let is_good = x.iter().all(|x| (0.0..=1.0).contains(x)) && y.iter().all(|y| NUMBERS.contains(y));
        is_good.then_some(Self { x, y })
    }

    fn at(self, t: f64) -> f64 {
        if t <= 0.0 || t >= 1.0 { t } else { cubic(self.y, self.parameter(t)) }
    }

    /// The curve's parameter where its x is `x`: Newton's steps as long as they stay between the bounds that bisection
    /// keeps, for the slope may vanish.
    fn parameter(self, x: f64) -> f64 {
        let (mut low, mut high, mut s) = (0.0, 1.0, x);
        // Bisection alone would need 53 steps to the last bit.
        for _ in 0..64 {
            let error = cubic(self.x, s) - x;
            if error.abs() < 1e-15 {
                break;
            }
            if error > 0.0 {
                high = s
            } else {
                low = s
            }
            let next = s - error / cubic_slope(self.x, s);
            s = if next > low && next < high { next } else { (low + high) / 2.0 };
        }
        s
    }
}

/// One coordinate of a cubic curve from 0 to 1 with the control values `p`.
fn cubic(p: [f64; 2], s: f64) -> f64 {
    let r = 1.0 - s;
    3.0 * r * r * s * p[0] + 3.0 * r * s * s * p[1] + s * s * s
}

fn cubic_slope(p: [f64; 2], s: f64) -> f64 {
    let r = 1.0 - s;
    3.0 * r * r * p[0] + 6.0 * r * s * (p[1] - p[0]) + 3.0 * s * s * (1.0 - p[1])
}

impl Steps {
    const KEYWORDS: &[(&str, Self)] =
        &[("step-start", Self { count: 1, jump: Jump::Start }), ("step-end", Self { count: 1, jump: Jump::End })];

    fn new(count: u32, jump: Jump) -> Option<Self> {
        let least = if jump == Jump::None { 2 } else { 1 };
        (least..=STEPS_MAX).contains(&count).then_some(Self { count, jump })
    }

    /// How many of the equal spans are over.
    fn done(self, t: f64) -> f64 {
        (t * f64::from(self.count) + STEP_SLACK).floor()
    }

    fn at(self, t: f64) -> f64 {
        let count = f64::from(self.count);
        let (first, jumps) = match self.jump {
            Jump::Start => (1.0, count),
            Jump::End => (0.0, count),
            Jump::None => (0.0, count - 1.0),
            Jump::Both => (1.0, count + 1.0),
        };
        (self.done(t) + first).min(jumps) / jumps
    }

    fn still_around(self, t: f64) -> RangeInclusive<f64> {
        let (done, count) = (self.done(t), f64::from(self.count));
        done / count..=(done + 1.0 - 2.0 * STEP_SLACK) / count
    }
}

impl Points {
    /// CSS Easing 2 section 2.2.1: what is left out is spread evenly, what falls is raised. `None` unless there are 1 to
    /// [`POINTS_MAX`] points, all within +-1e6.
    fn new(written: Vec<(Option<f64>, f64)>) -> Option<Self> {
        let is_good = |&(percent, output): &(Option<f64>, f64)| {
            NUMBERS.contains(&output) && percent.is_none_or(|percent| NUMBERS.contains(&percent))
        };
        let count = written.len();
        if !(1..=POINTS_MAX).contains(&count) || !written.iter().all(is_good) {
            return None;
        }
        let mut percents: Vec<Option<f64>> = written.iter().map(|&(percent, _)| percent).collect();
        percents[0].get_or_insert(0.0);
        percents[count - 1].get_or_insert(100.0);
        let percents = spread(&percents);
        let point = |(percent, (_, output)): (f64, (_, f64))| Point { percent, output };
        Some(Self(percents.into_iter().zip(written).map(point).collect()))
    }

    fn at(&self, t: f64) -> f64 {
        let (points, percent) = (&self.0, t * 100.0);
        if points.len() == 1 {
            return points[0].output;
        }
        // At a point its own value; at several of one time the last one's.
        let passed = points.partition_point(|point| point.percent <= percent);
        if passed > 0 && points[passed - 1].percent == percent {
            return points[passed - 1].output;
        }
        // Beyond the ends the first and the last line go on.
        let next = passed.clamp(1, points.len() - 1);
        let (a, b) = (points[next - 1], points[next]);
        if a.percent == b.percent {
            return if passed == 0 { a.output } else { b.output };
        }
        let value = a.output + (b.output - a.output) * ((percent - a.percent) / (b.percent - a.percent));
        // Two points a rounding apart make a line so steep that it may leave all bounds.
        value.clamp(-1e12, 1e12)
    }
}

/// Fills each gap with equal distances and raises what is below its predecessor; the ends are given.
fn spread(percents: &[Option<f64>]) -> Vec<f64> {
    let mut filled: Vec<f64> = Vec::with_capacity(percents.len());
    for &percent in percents {
        let Some(percent) = percent else { continue };
        let last = filled.last().copied();
        let percent = last.map_or(percent, |last| percent.max(last));
        if let Some(last) = last {
            // What was skipped since the last given one.
            let gap = percents[filled.len()..].iter().take_while(|percent| percent.is_none()).count();
            let share = |i: usize| last + (percent - last) * (i as f64 / (gap + 1) as f64);
            filled.extend((1..=gap).map(share));
        }
        filled.push(percent);
    }
    filled
}

/// How far the spring is from its rest, in whole ways, after the time `s` counted in `1 / natural frequency`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Motion {
    /// Damping ratio: below 1 it swings, above it creeps.
    zeta: f64,
    /// Speed towards the rest at the start, in ways for each unit of `s`.
    speed: f64,
    /// When the distance stays below a thousandth.
    settled: f64,
}

impl Motion {
    /// So near to critical damping the two other formulas divide by almost nothing.
    const CRITICAL: f64 = 1e-9;

    fn new(zeta: f64, speed: f64) -> Self {
        Self { zeta, speed, settled: Self::settled(zeta, (zeta - speed).abs(), 1000.0) }
    }

    /// When the distance stays below one part in `parts`, of a motion that is at most
    /// e^(-decay s) (1 + push min(s, 1 / split)).
    fn settled(zeta: f64, push: f64, parts: f64) -> f64 {
        let split = (zeta * zeta - 1.0).abs().sqrt();
        // The slower of the two modes; written so that a large damping does not cancel out.
        let decay = if zeta > 1.0 { 1.0 / (zeta + split) } else { zeta };
        // This converges because the logarithm is at least 6.9.
        let mut settled = parts.ln() / decay;
        for _ in 0..32 {
            settled = (parts * (1.0 + push * settled.min(1.0 / split))).ln() / decay;
        }
        settled
    }

    fn distance(self, s: f64) -> f64 {
        let Self { zeta, speed, .. } = self;
        let square = zeta * zeta - 1.0;
        let split = square.abs().sqrt();
        if square.abs() < Self::CRITICAL {
            (-zeta * s).exp() * (1.0 + (zeta - speed) * s)
        } else if square < 0.0 {
            let (sin, cos) = (split * s).sin_cos();
            (-zeta * s).exp() * (cos + (zeta - speed) / split * sin)
        } else {
            let fast = zeta + split;
            let slow = 1.0 / fast;
            ((fast - speed) * (-slow * s).exp() + (speed - slow) * (-fast * s).exp()) / (fast - slow)
        }
    }
}

impl Spring {
    /// What mass, stiffness and damping may be.
    const POSITIVE: RangeInclusive<f64> = 0.001..=1e6;

    /// A spring by its mass, its stiffness (force for each way), its damping (force for each way a second) and the
    /// velocity towards the end at which it starts (ways a second). `None` unless the first three are in 0.001 to 1e6
    /// and the velocity within +-1e6.
    pub fn new(mass: f64, stiffness: f64, damping: f64, velocity: f64) -> Option<Self> {
        let is_good =
            [mass, stiffness, damping].iter().all(|v| Self::POSITIVE.contains(v)) && NUMBERS.contains(&velocity);
        let zeta = damping / (2.0 * (stiffness * mass).sqrt());
        let speed = velocity / (stiffness / mass).sqrt();
        is_good.then(|| Self { mass, stiffness, damping, velocity, motion: Motion::new(zeta, speed) })
    }

    /// When what is left of any swing cannot be seen, counted as [`Motion`] does: a ten-thousandth of the way.
    fn rest(self) -> f64 {
        Motion::settled(self.motion.zeta, self.motion.zeta + 1.0, 1e4)
    }

    /// How long it takes to come to rest, in seconds, whatever the way.
    pub fn rest_seconds(self) -> f64 {
        self.rest() / (self.stiffness / self.mass).sqrt()
    }

    /// How far from its rest the mass is after `seconds`, if it started `distance` away with this velocity (a second, and
    /// away from the rest where the distance is) and comes to rest within `duration` seconds. Its own velocity is not used.
    pub fn swing(self, distance: f64, velocity: f64, seconds: f64, duration: f64) -> f64 {
        if seconds >= duration {
            return 0.0;
        }
        let rest = self.rest();
        let pace = rest / duration;
        let let_go = Motion { speed: 0.0, ..self.motion };
        let pushed = Motion { speed: 1.0, ..self.motion };
        let at = |s: f64| {
            let released = let_go.distance(s);
            distance * released + velocity / pace * (released - pushed.distance(s))
        };
        // What is left at the end is worked off on the way, without a push at the start.
        at(seconds * pace) - at(rest) * (seconds / duration).powi(2)
    }

    fn at(self, t: f64) -> f64 {
        if t <= 0.0 || t >= 1.0 {
            return t;
        }
        // What is left at the end is worked off on the way, so that there is no jump.
        let left = self.motion.distance(self.motion.settled);
        1.0 - self.motion.distance(t * self.motion.settled) + t * left
    }
}

const EXPECT_OVERSHOOT: &str = "ease(In|Out|InOut|OutIn)Back:OVERSHOOT or back.(in|out|inOut)(OVERSHOOT) within +-1e6";
const EXPECT_ELASTIC: &str = "ease(In|Out|InOut|OutIn)Elastic:PERIOD:AMPLITUDE or elastic.(in|out|inOut)(AMPLITUDE, \
                              PERIOD), both 0.001 to 1000";
const EXPECT_NONE: &str = "it without parameters: only Back and Elastic have some";
const EXPECT_STEPS: &str = "steps(COUNT, jump-start|jump-end|jump-none|jump-both|start|end), COUNT 1 to 10000, for \
                            jump-none at least 2";
const EXPECT_BEZIER: &str = "cubic-bezier(x1, y1, x2, y2), both x 0 to 1, both y within +-1e6";
const EXPECT_LINEAR: &str = "linear(OUTPUT [PERCENT% [PERCENT%]], ...) with 1 to 256 points, numbers within +-1e6";
const EXPECT_SPRING: &str =
    "spring(MASS, STIFFNESS, DAMPING[, VELOCITY]), the first three 0.001 to 1e6, VELOCITY within +-1e6";

/// Why reading failed; the text is put to it at the end.
enum Refused {
    Unknown,
    Arguments(&'static str),
}

impl FromStr for Easing {
    type Err = InvalidEasing;

    fn from_str(text: &str) -> Result<Self, InvalidEasing> {
        let shown = || text.chars().take(64).collect();
        if text.len() > LEN_MAX {
            return Err(InvalidEasing::Arguments { text: shown(), expected: "at most 16384 bytes" });
        }
        parse(&text.trim().to_ascii_lowercase()).map_err(|refused| match refused {
            Refused::Unknown => InvalidEasing::Unknown { text: shown() },
            Refused::Arguments(expected) => InvalidEasing::Arguments { text: shown(), expected },
        })
    }
}

fn parse(text: &str) -> Result<Easing, Refused> {
    if let Some((name, arguments)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        return parse_call(name, arguments);
    }
    let mut parts = text.split(':');
    let name = parts.next().unwrap_or_default();
    let parameters: Vec<&str> = parts.collect();
    if let Some((side, curve)) = penner_name(name) {
        // CasparCG's order is period, amplitude.
        return shaped(side, curve, &parameters);
    }
    let easing = keyword(name).ok_or(Refused::Unknown)?;
    if parameters.is_empty() { Ok(easing) } else { Err(Refused::Arguments(EXPECT_NONE)) }
}

fn keyword(name: &str) -> Option<Easing> {
    let bezier = || find(Bezier::KEYWORDS, name).map(Easing::Bezier);
    let steps = || find(Steps::KEYWORDS, name).map(Easing::Steps);
    let gsap = || gsap_name(name).map(|(side, curve)| Easing::Penner(side, curve));
    match name {
        "linear" | "easenone" | "none" => Some(Easing::Linear),
        "hold" => Some(Easing::Hold),
        _ => bezier().or_else(steps).or_else(gsap),
    }
}

fn find<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(known, _)| *known == name).map(|&(_, value)| value)
}

fn parse_call(name: &str, arguments: &str) -> Result<Easing, Refused> {
    let arguments: Vec<&str> = arguments.split(',').map(str::trim).collect();
    let (easing, expected) = match name {
        "steps" => (parse_steps(&arguments).map(Easing::Steps), EXPECT_STEPS),
        "cubic-bezier" => (parse_bezier(&arguments).map(Easing::Bezier), EXPECT_BEZIER),
        "linear" => (parse_points(&arguments).map(Easing::Points), EXPECT_LINEAR),
        "spring" => (parse_spring(&arguments).map(Easing::Spring), EXPECT_SPRING),
        _ => return parse_gsap_call(name, &arguments),
    };
    easing.ok_or(Refused::Arguments(expected))
}

/// `easeoutcubic` and the like, in lower case.
fn penner_name(name: &str) -> Option<(Side, Curve)> {
    // CasparCG's own spelling, which its clients send.
    let name = if name == "easeoutintback" { "easeoutinback" } else { name };
    let rest = name.strip_prefix("ease")?;
    // The longer names first: `in` begins `inout`.
    let sides = [("inout", Side::InOut), ("outin", Side::OutIn), ("in", Side::In), ("out", Side::Out)];
    sides.into_iter().find_map(|(prefix, side)| Some((side, Curve::named(rest.strip_prefix(prefix)?, side)?)))
}

/// `power2.inout` and the like, in lower case; without a side it is `out`, as in GSAP.
fn gsap_name(name: &str) -> Option<(Side, Curve)> {
    let (curve, side) = name.split_once('.').unwrap_or((name, "out"));
    let side = find(&[("in", Side::In), ("out", Side::Out), ("inout", Side::InOut)], side)?;
    let curve = match curve {
        "power1" => Curve::Quad,
        "power2" => Curve::Cubic,
        "power3" => Curve::Quart,
        "power4" => Curve::Quint,
        "sine" | "expo" | "circ" | "back" | "elastic" | "bounce" => Curve::named(curve, side)?,
        _ => return None,
    };
    Some((side, gsap_overshoot(side, curve)))
}

/// GSAP does not overshoot more at the two ends of an in-out curve; Penner does.
fn gsap_overshoot(side: Side, curve: Curve) -> Curve {
    match curve {
        Curve::Back { overshoot } if side == Side::InOut => Curve::Back { overshoot: overshoot / OVERSHOOT_IN_OUT },
        _ => curve,
    }
}

fn parse_gsap_call(name: &str, arguments: &[&str]) -> Result<Easing, Refused> {
    let (side, curve) = gsap_name(name).ok_or(Refused::Unknown)?;
    let Curve::Elastic { .. } = curve else {
        return match shaped(side, curve, arguments)? {
            Easing::Penner(side, curve) => Ok(Easing::Penner(side, gsap_overshoot(side, curve))),
            easing => Ok(easing),
        };
    };
    let refused = || Refused::Arguments(EXPECT_ELASTIC);
    let numbers = numbers(arguments).filter(|n| n.len() <= 2 && n.iter().all(|v| ELASTIC.contains(v)));
    let numbers = numbers.ok_or_else(refused)?;
    let amplitude = numbers.first().copied().unwrap_or(1.0);
    let period = numbers.get(1).copied().unwrap_or_else(|| default_period(side));
    // An amplitude below 1 cannot be; GSAP slows the swing instead.
    let period = period / amplitude.min(1.0);
    if !ELASTIC.contains(&period) {
        return Err(refused());
    }
    Ok(Easing::Penner(side, Curve::Elastic { period, amplitude: amplitude.max(1.0) }))
}

/// The curve with its own parameters, in CasparCG's order, instead of the usual ones.
fn shaped(side: Side, curve: Curve, parameters: &[&str]) -> Result<Easing, Refused> {
    let (most, expected, allowed) = match curve {
        Curve::Back { .. } => (1, EXPECT_OVERSHOOT, NUMBERS),
        Curve::Elastic { .. } => (2, EXPECT_ELASTIC, ELASTIC),
        _ => (0, EXPECT_NONE, NUMBERS),
    };
    let numbers = numbers(parameters).filter(|n| n.len() <= most && n.iter().all(|v| allowed.contains(v)));
    let numbers = numbers.ok_or(Refused::Arguments(expected))?;
    let curve = match (curve, &numbers[..]) {
        (Curve::Back { .. }, &[overshoot]) => Curve::Back { overshoot },
        (Curve::Elastic { amplitude, .. }, &[period]) => Curve::Elastic { period, amplitude },
        // Penner: an elastic curve swings at least as far as it goes.
        (Curve::Elastic { .. }, &[period, amplitude]) => Curve::Elastic { period, amplitude: amplitude.max(1.0) },
        _ => curve,
    };
    Ok(Easing::Penner(side, curve))
}

/// A finite number; Rust would read `inf` and `nan` too.
fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

fn numbers(texts: &[&str]) -> Option<Vec<f64>> {
    texts.iter().map(|text| number(text)).collect()
}

fn parse_steps(arguments: &[&str]) -> Option<Steps> {
    let (count, jump) = match *arguments {
        [count] => (count, "end"),
        [count, jump] => (count, jump),
        _ => return None,
    };
    let jump = match jump {
        "start" | "jump-start" => Jump::Start,
        "end" | "jump-end" => Jump::End,
        "jump-none" => Jump::None,
        "jump-both" => Jump::Both,
        _ => return None,
    };
    Steps::new(count.parse().ok()?, jump)
}

fn parse_bezier(arguments: &[&str]) -> Option<Bezier> {
    let [x1, y1, x2, y2] = numbers(arguments)?[..] else { return None };
    Bezier::new([x1, x2], [y1, y2])
}

fn parse_points(arguments: &[&str]) -> Option<Points> {
    let mut points = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let (output, percents) = parse_point(argument)?;
        match percents[..] {
            [] => points.push((None, output)),
            // Two percentages are two points: a flat piece between them.
            _ => points.extend(percents.iter().map(|&percent| (Some(percent), output))),
        }
    }
    Points::new(points)
}

/// An output and up to two percentages, the output first or last.
fn parse_point(text: &str) -> Option<(f64, Vec<f64>)> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (output, percents) = match words[..] {
        [ref percents @ .., output] if !output.ends_with('%') => (output, percents),
        [output, ref percents @ ..] => (output, percents),
        [] => return None,
    };
    let percents: Option<Vec<f64>> = percents.iter().map(|word| number(word.strip_suffix('%')?)).collect();
    Some((number(output)?, percents.filter(|percents| percents.len() <= 2)?))
}

fn parse_spring(arguments: &[&str]) -> Option<Spring> {
    match numbers(arguments)?[..] {
        [mass, stiffness, damping] => Spring::new(mass, stiffness, damping, 0.0),
        [mass, stiffness, damping, velocity] => Spring::new(mass, stiffness, damping, velocity),
        _ => None,
    }
}

impl TryFrom<String> for Easing {
    type Error = InvalidEasing;

    fn try_from(text: String) -> Result<Self, InvalidEasing> {
        text.parse()
    }
}

/// A number in few letters that reads as the same one.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = self.0 == 0.0 || (1e-5..1e7).contains(&self.0.abs());
        if is_plain { write!(f, "{}", self.0) } else { write!(f, "{:e}", self.0) }
    }
}

impl fmt::Display for Easing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linear => f.write_str("linear"),
            Self::Hold => f.write_str("hold"),
            Self::Penner(side, curve) => write_penner(f, *side, *curve),
            Self::Bezier(bezier) => bezier.fmt(f),
            Self::Steps(steps) => steps.fmt(f),
            Self::Points(points) => points.fmt(f),
            Self::Spring(spring) => spring.fmt(f),
        }
    }
}

fn write_penner(f: &mut fmt::Formatter<'_>, side: Side, curve: Curve) -> fmt::Result {
    write!(f, "ease{}{}", side.name(), curve.name())?;
    match curve {
        Curve::Back { overshoot } if overshoot != OVERSHOOT => write!(f, ":{}", Number(overshoot)),
        Curve::Elastic { period, amplitude } if amplitude != 1.0 => {
            write!(f, ":{}:{}", Number(period), Number(amplitude))
        }
        Curve::Elastic { period, .. } if period != default_period(side) => write!(f, ":{}", Number(period)),
        _ => Ok(()),
    }
}

impl fmt::Display for Bezier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = Self::KEYWORDS.iter().find(|(_, known)| known == self) {
            return f.write_str(name);
        }
        let [x1, x2] = self.x.map(Number);
        let [y1, y2] = self.y.map(Number);
        write!(f, "cubic-bezier({x1}, {y1}, {x2}, {y2})")
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = Self::KEYWORDS.iter().find(|(_, known)| known == self) {
            return f.write_str(name);
        }
        let jump = match self.jump {
            Jump::Start => "start",
            Jump::End => "end",
            Jump::None => "none",
            Jump::Both => "both",
        };
        write!(f, "steps({}, jump-{jump})", self.count)
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("linear(")?;
        for (i, point) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{} {}%", Number(point.output), Number(point.percent))?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Spring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mass, stiffness, damping, velocity, .. } = *self;
        write!(f, "spring({}, {}, {}", Number(mass), Number(stiffness), Number(damping))?;
        if velocity != 0.0 {
            write!(f, ", {}", Number(velocity))?;
        }
        f.write_str(")")
    }
}

impl From<Easing> for String {
    fn from(easing: Easing) -> Self {
        easing.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn easing(text: &str) -> Easing {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    fn assert_values(text: &str, expected: &[(f64, f64)]) {
        let easing = easing(text);
        for &(t, value) in expected {
            let found = easing.at(t);
            assert!((found - value).abs() < 1e-6, "{text} at {t}: {found} instead of {value}");
        }
    }

    /// CasparCG's list, its misspelling included.
    const CASPARCG: &str = "linear easenone easeinquad easeoutquad easeinoutquad easeoutinquad easeincubic \
        easeoutcubic easeinoutcubic easeoutincubic easeinquart easeoutquart easeinoutquart easeoutinquart easeinquint \
        easeoutquint easeinoutquint easeoutinquint easeinsine easeoutsine easeinoutsine easeoutinsine easeinexpo \
        easeoutexpo easeinoutexpo easeoutinexpo easeincirc easeoutcirc easeinoutcirc easeoutincirc easeinelastic \
        easeoutelastic easeinoutelastic easeoutinelastic easeinback easeoutback easeinoutback easeoutintback \
        easeoutbounce easeinbounce easeinoutbounce easeoutinbounce";

    const PENNER: [&str; 10] = ["Sine", "Quad", "Cubic", "Quart", "Quint", "Expo", "Circ", "Back", "Elastic", "Bounce"];

    #[test]
    fn casparcgs_42_names_are_there_in_any_case() {
        let names: Vec<&str> = CASPARCG.split_whitespace().collect();
        assert_eq!(names.len(), 42);
        let distinct: std::collections::BTreeSet<_> = names.iter().map(|name| easing(name).to_string()).collect();
        assert_eq!(distinct.len(), 41, "only linear and easeNone are the same");
        for name in names {
            let easing = easing(name);
            assert_eq!(name.to_ascii_uppercase().parse(), Ok(easing.clone()));
            assert_eq!((easing.at(0.0), easing.at(1.0)), (0.0, 1.0), "{name}");
            assert!((easing.at(0.5) - 0.5).abs() < 1e-12 || !name.contains("inout"), "{name} is in the middle then");
        }
        assert_eq!(easing("easeoutinback"), easing("easeoutintback"));
        assert_eq!(easing("easeoutintback").to_string(), "easeOutInBack");
    }

    #[test]
    fn penners_curves_go_through_the_points_of_their_formulas() {
        assert_values("easeInSine", &[(0.5, 0.292_893_219), (2.0 / 3.0, 0.5)]); // 1 - cos 45, 1 - cos 60
        assert_values("easeInQuad", &[(0.5, 0.25), (0.1, 0.01)]);
        assert_values("easeOutCubic", &[(0.5, 0.875), (0.1, 0.271)]);
        assert_values("easeInOutQuart", &[(0.25, 0.031_25), (0.75, 0.968_75)]);
        assert_values("easeOutInQuint", &[(0.25, 0.484_375), (0.75, 0.515_625)]);
        assert_values("easeInExpo", &[(0.5, 0.031_25), (0.9, 0.5)]); // 2^-5, 2^-1
        assert_values("easeInCirc", &[(0.6, 0.2), (0.8, 0.4)]); // 3-4-5 triangles
        assert_values("easeInBack", &[(0.5, -0.087_697_5)]); // 0.25 (2.70158 / 2 - 1.70158)
        assert_values("easeOutBack", &[(0.5, 1.087_697_5)]);
        assert_values("easeInOutBack", &[(0.25, -0.099_681_844)]); // s = 2.5949095
        assert_values("easeInBack:0", &[(0.5, 0.125)]);
        assert_values("easeOutElastic", &[(0.15, 1.353_553_391), (0.225, 1.0), (0.3, 0.875)]); // 1 + 2^-1.5, 1, 1 - 2^-3
        assert_values("easeOutElastic:0.5:1", &[(0.25, 1.176_776_695)]); // 1 + 2^-2.5
        // asin(1/2) = 30 degrees: 1 + 2 x 2^-1 sin(120 - 30)
        assert_values("easeOutElastic:0.3:2", &[(0.1, 2.0)]);
        assert_values("easeOutBounce", &[(1.0 / 2.75, 1.0), (1.5 / 2.75, 0.75), (2.25 / 2.75, 0.9375)]);
    }

    #[test]
    fn out_is_in_turned_about_and_the_halves_are_put_together() {
        for curve in PENNER {
            let [ease_in, ease_out, in_out, out_in] =
                ["In", "Out", "InOut", "OutIn"].map(|side| easing(&format!("ease{side}{curve}")));
            for i in 0..=200 {
                let t = f64::from(i) / 200.0;
                let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{curve} at {t}: {a} and {b}");
                near(ease_out.at(t), 1.0 - ease_in.at(1.0 - t));
                near(in_out.at(t), 1.0 - in_out.at(1.0 - t));
                near(out_in.at(t / 2.0), if t < 1.0 { ease_out.at(t) / 2.0 } else { 0.5 });
                if curve != "Back" && curve != "Elastic" {
                    near(in_out.at(t / 2.0), ease_in.at(t) / 2.0);
                }
            }
        }
    }

    #[test]
    fn curves_do_not_jump() {
        let smooth =
            ["ease", "cubic-bezier(0.5, -3, 0.5, 4)", "spring(1, 100, 10)", "spring(1, 100, 20)", "spring(1, 1, 9)"];
        let names = CASPARCG.split_whitespace().filter(|name| !name.contains("circ")).chain(smooth);
        for name in names {
            let easing = easing(name);
            let values: Vec<f64> = (0..=100_000).map(|i| easing.at(f64::from(i) / 100_000.0)).collect();
            let jump = values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max);
            // The exponential ones are a thousandth off at their steep end, as on easings.net.
            assert!(jump < 1.1e-3, "{name}: {jump}");
        }
    }

    #[test]
    fn css_curves() {
        assert_values("ease", &[(0.25, 0.408_511_2), (0.5, 0.802_403_4), (0.75, 0.960_459_3)]);
        assert_values("ease-in", &[(0.5, 0.315_356_8)]);
        assert_values("ease-out", &[(0.5, 0.684_643_2)]);
        assert_values("ease-in-out", &[(0.25, 0.129_161_9), (0.5, 0.5)]);
        assert_values("cubic-bezier(0.5, -2, 0.5, 3)", &[(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)]);
        assert!(easing("cubic-bezier(0.5, -2, 0.5, 3)").at(0.2) < -0.2, "y is not bounded");
        assert_values("cubic-bezier(0, 0, 1, 1)", &[(0.3, 0.3)]);
        // x = s^3 at one end: the slope that Newton divides by vanishes.
        assert_values("cubic-bezier(0, 1, 0, 1)", &[(0.001, 1.0 - 0.9_f64.powi(3)), (0.125, 0.875)]);
    }

    #[test]
    fn steps_jump_where_css_says() {
        assert_values("steps(4)", &[(0.0, 0.0), (0.24, 0.0), (0.25, 0.25), (0.99, 0.75), (1.0, 1.0)]);
        assert_values("steps(4, start)", &[(0.0, 0.25), (0.25, 0.5), (0.99, 1.0), (1.0, 1.0)]);
        assert_values("steps(3, jump-none)", &[(0.0, 0.0), (0.34, 0.5), (0.67, 1.0), (1.0, 1.0)]);
        assert_values("steps(3, jump-both)", &[(0.0, 0.25), (0.34, 0.5), (0.67, 0.75), (1.0, 1.0)]);
        assert_values("steps(100)", &[(0.29, 0.29)]); // 0.29 x 100 is 28.999999999999996
        assert_values("step-start", &[(0.0, 1.0)]);
        assert_values("step-end", &[(0.99, 0.0), (1.0, 1.0)]);
        assert_values("hold", &[(0.99, 0.0), (1.0, 1.0)]);
        assert_eq!(easing("hold").at(0.999_999_999), 0.0);
    }

    #[test]
    fn linear_with_points_follows_css() {
        assert_values("linear(0, 1)", &[(0.3, 0.3)]);
        assert_values("linear(0, 0.25, 1)", &[(0.25, 0.125), (0.5, 0.25), (0.75, 0.625)]);
        assert_values("linear(0, 0.5 25% 75%, 1)", &[(0.125, 0.25), (0.4, 0.5), (0.75, 0.5), (0.875, 0.75)]);
        assert_values("linear(0, 1 50%, 0 50%, 1)", &[(0.25, 0.5), (0.5, 0.0), (0.75, 0.5)]); // a jump
        assert_values("linear(0, 25% 1, 0.5)", &[(0.25, 1.0), (0.625, 0.75)]);
        assert_values("linear(0, 1 60%, 0.5 20%, 1)", &[(0.6, 0.5)]); // what falls is raised
        assert_values("linear(0 20%, 1 80%)", &[(0.0, -1.0 / 3.0), (0.5, 0.5), (1.0, 4.0 / 3.0)]); // goes on
        assert_values("linear(0.5)", &[(0.0, 0.5), (1.0, 0.5)]);
        assert_eq!(easing("linear(0, 1, 0.5)").to_string(), "linear(0 0%, 1 50%, 0.5 100%)");
    }

    #[test]
    fn gsaps_names_are_read() {
        for (gsap, name) in [
            ("none", "linear"),
            ("power1.in", "easeInQuad"),
            ("power2.out", "easeOutCubic"),
            ("power2", "easeOutCubic"),
            ("power3.inOut", "easeInOutQuart"),
            ("power4.out", "easeOutQuint"),
            ("sine.inOut", "easeInOutSine"),
            ("back.out(2.5)", "easeOutBack:2.5"),
            ("elastic.out(1, 0.3)", "easeOutElastic"),
            ("elastic.out(2, 0.4)", "easeOutElastic:0.4:2"),
            ("elastic.in(0.5, 0.3)", "easeInElastic:0.6"),
            ("elastic.inOut", "easeInOutElastic"),
            ("bounce", "easeOutBounce"),
            ("steps(12)", "steps(12, jump-end)"),
        ] {
            assert_eq!(easing(gsap).to_string(), name, "{gsap}");
        }
        // GSAP has no 1.525: half of 0.25 (2.7 / 2 - 1.7).
        assert_values("back.inOut(1.7)", &[(0.25, -0.043_75)]);
    }

    #[test]
    fn springs_swing_or_creep_as_physics_says() {
        let peak = |text: &str| (0..=10_000).map(|i| easing(text).at(f64::from(i) / 1e4)).fold(0.0, f64::max);
        // Damping ratio 0.5: the first swing goes beyond by e^(-pi 0.5 / sqrt 0.75) = 0.16303.
        assert!((peak("spring(1, 100, 10)") - 1.163_03).abs() < 1e-3, "{}", peak("spring(1, 100, 10)"));
        assert!(peak("spring(1, 100, 20)") <= 1.0, "critically damped");
        assert!(peak("spring(1, 100, 200)") <= 1.0, "overdamped");
        assert!(peak("spring(1, 100, 20, 100)") > 1.5, "pushed");
        // Just below, at and above critical damping the formulas agree.
        let [below, at, above] =
            ["19.999999", "20", "20.000001"].map(|damping| easing(&format!("spring(1, 100, {damping})")).at(0.3));
        assert!((below - at).abs() < 1e-3 && (above - at).abs() < 1e-3, "{below} {at} {above}");
    }

    #[test]
    fn a_swing_starts_as_it_is_told_and_comes_to_rest() {
        for text in ["spring(1, 100, 10)", "spring(1, 100, 20)", "spring(2, 300, 200)"] {
            let Easing::Spring(spring) = easing(text) else { panic!("{text}") };
            let swing = |seconds: f64| spring.swing(-300.0, 2000.0, seconds, 0.8);
            let instant = 1e-7;
            assert_eq!(swing(0.0), -300.0);
            let velocity = (swing(instant) - swing(0.0)) / instant;
            assert!((velocity - 2000.0).abs() < 1.0, "{text}: {velocity}");
            assert!(swing(0.8 - instant).abs() < 1e-2, "{text}: {}", swing(0.8 - instant));
            assert_eq!(swing(0.8), 0.0);
        }
        // Critically damped, y = (d + (v + w d) t) e^(-w t), with w = 10: at 0.1 s (1 + (3 + 10) 0.1) / e.
        let Easing::Spring(spring) = easing("spring(1, 100, 20)") else { panic!() };
        let found = spring.swing(1.0, 3.0, 0.1, spring.rest_seconds());
        assert!((found - 2.3 / 1_f64.exp()).abs() < 1e-4, "{found}");
    }

    #[test]
    fn what_is_no_easing_is_refused_with_what_is_allowed() {
        for (text, expected) in [
            ("easeOutCubik", "linear, hold, ease(In|Out|InOut|OutIn)(Sine|"),
            ("", "linear, hold"),
            ("easeInCubic:1", "only Back and Elastic"),
            ("linear:1", "only Back and Elastic"),
            ("power2.out(3)", "only Back and Elastic"),
            ("easeInBack:1:2", "OVERSHOOT"),
            ("easeInBack:inf", "OVERSHOOT"),
            ("easeOutElastic:0", "0.001 to 1000"),
            ("elastic.out(0.001, 1000)", "0.001 to 1000"),
            ("steps(0)", "1 to 10000"),
            ("steps(1, jump-none)", "at least 2"),
            ("steps(99999)", "1 to 10000"),
            ("cubic-bezier(1.1, 0, 0, 0)", "both x 0 to 1"),
            ("cubic-bezier(0, 1e7, 0, 0)", "both y within"),
            ("cubic-bezier(0, nan, 0, 0)", "both y within"),
            ("linear()", "1 to 256 points"),
            ("linear(0 1% 2% 3%)", "1 to 256 points"),
            ("linear(1% 0 2%)", "1 to 256 points"),
            ("spring(0, 1, 1)", "0.001 to 1e6"),
            ("spring(1, 1)", "0.001 to 1e6"),
            ("wiggle(1)", "linear, hold"),
            ("steps(2))", "COUNT"),
        ] {
            let message = text.parse::<Easing>().unwrap_err().to_string();
            assert!(message.starts_with(&format!("`{text}`")) && message.contains(expected), "{text}: {message}");
        }
        let long = "x".repeat(LEN_MAX + 1).parse::<Easing>().unwrap_err().to_string();
        assert!(long.len() < 200, "{long}");
    }

    #[test]
    fn the_longest_easing_written_is_read_again() {
        let point = "-0.12345678901234567 -0.12345678901234567%";
        let text = format!("linear({})", vec![point; POINTS_MAX].join(","));
        assert_eq!(easing(&text), easing(&easing(&text).to_string()));
    }

    fn any_easing() -> impl Strategy<Value = String> {
        let number = || prop_oneof![-2.0..2.0, -1e6..1e6, Just(0.0), Just(1e6), Just(-1e6), Just(0.001), 0.0..1e-6];
        let x = || prop_oneof![0.0..=1.0, Just(0.0), Just(1.0)];
        let positive = || prop_oneof![0.001..10.0, Just(0.001), Just(1e6), 0.001..1e6];
        let elastic = || prop_oneof![0.001..2.0, Just(0.001), Just(1000.0)];
        let side = || prop_oneof![Just("In"), Just("Out"), Just("InOut"), Just("OutIn")];
        let percent = || prop_oneof![Just(String::new()), number().prop_map(|p| format!("{p}%"))];
        let point = (number(), percent(), percent()).prop_map(|(output, p, q)| format!("{output} {p} {q}"));
        let jump = prop_oneof![Just("start"), Just("jump-end"), Just("jump-none"), Just("jump-both")];
        prop_oneof![
            (side(), 0..10_usize).prop_map(|(side, i)| format!("ease{side}{}", PENNER[i])),
            (side(), number()).prop_map(|(side, s)| format!("ease{side}Back:{s}")),
            (side(), elastic(), elastic()).prop_map(|(side, p, a)| format!("ease{side}Elastic:{p}:{a}")),
            (x(), number(), x(), number()).prop_map(|(x1, y1, x2, y2)| format!("cubic-bezier({x1},{y1},{x2},{y2})")),
            (2..=STEPS_MAX, jump).prop_map(|(count, jump)| format!("steps({count}, {jump})")),
            proptest::collection::vec(point, 1..9).prop_map(|points| format!("linear({})", points.join(","))),
            (positive(), positive(), positive(), number())
                .prop_map(|(m, k, c, v)| format!("spring({m}, {k}, {c}, {v})")),
            number().prop_map(|s| format!("back.inOut({s})")),
        ]
    }

    proptest! {
        /// Whatever is accepted is finite everywhere, writes back as itself, and stays where it says so.
        #[test]
        fn accepted_easings_are_finite(text in any_easing(), shares in proptest::collection::vec(0.0..=1.0, 20)) {
            let easing: Easing = text.parse().map_err(|error: InvalidEasing| TestCaseError::fail(error.to_string()))?;
            let written = easing.to_string();
            prop_assert_eq!(written.parse(), Ok(easing.clone()), "{}", written);
            for &t in shares.iter().chain(&[0.0, 1e-300, 0.5, 1.0 - f64::EPSILON, 1.0, f64::NAN, -1.0, 2.0]) {
                prop_assert!(easing.at(t).is_finite(), "{} at {}", text, t);
                if let Some(span) = easing.still_around(t) {
                    for other in shares.iter().filter(|&other| span.contains(other)) {
                        prop_assert_eq!(easing.at(t), easing.at(*other), "{} at {} and {}", text, t, other);
                    }
                }
            }
        }

        /// A text is read or refused, never a panic.
        #[test]
        fn any_text_is_answered(text in "[a-z.:,()%0-9 -]{0,40}") {
            if let Ok(easing) = text.parse::<Easing>() {
                prop_assert!(easing.at(0.3).is_finite());
            }
        }
    }
}
