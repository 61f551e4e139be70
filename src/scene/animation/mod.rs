//! Animations of a layer: what moves over the stream's elapsed time.
//!
//! An animation is keyframes of one property (`target`: any number or colour of the layer), keyframes along a motion
//! path, or a *timeline*: animations that share a timing, each `staggerMs` later than the one before. `timing` says
//! when it runs; within a timeline, times are those of the timeline's round.
//!
//! Everything is a function of the time elapsed: any frame can be asked for in any order, and a stream that starts again
//! is in phase.
//!
//! The words are those of the Web Animations model: `delayMs` may be negative (it starts as if already running), before
//! the begin and after the end `fill` decides, `direction` which way each round runs. A curve that overshoots is cut off
//! at the property's own range. Of several animations of a property the last in the list that is in effect wins.
//!
//! Beside the animations, `presence` says how a layer comes and goes, and `approach` how it follows its document.

mod approach;
mod events;
mod keyframes;
mod path;
mod presence;
mod target;
mod timing;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

pub(in crate::scene) use self::target::Ground;
pub use self::{
    approach::{Approach, Transition},
    events::{Event, EventKind, events_between},
    keyframes::{KEYFRAMES_MAX, Keyframe, Keyframes, Quantity},
    path::{InvalidPath, MotionPath, Orient, PATH_LEN_MAX},
    presence::{Passage, Preset, Side, Switched},
    target::{Part, Property, Target},
    timing::{Direction, Fill, Repeat, Timing},
};
use self::{
    presence::{Presence, State},
    timing::{SPAN_MAX_MS, Span, duration, nanos, nanos_of_ms},
};
use super::{
    Layer, Transform,
    check::{self, Check, Problem, Problems},
};
use crate::base::schema::written_as;

/// Most animations of a layer, those within timelines included.
pub const ANIMATIONS_MAX: usize = 64;
/// How deep timelines lie within timelines.
const DEPTH_MAX: usize = 4;

/// Something that moves, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Animation {
    /// For people, and for those who listen: what has a name tells when it starts and ends.
    pub name: String,
    /// Whether it tells of each round, too.
    pub tells_rounds: bool,
    /// What moves.
    pub motion: Motion,
    /// When it runs.
    pub timing: Timing,
}

/// What an animation moves.
#[derive(Debug, Clone, PartialEq)]
pub enum Motion {
    /// One number or colour.
    Value {
        /// Which one.
        target: Target,
        /// In its unit and range.
        keyframes: Keyframes,
    },
    /// The anchor, along a line.
    Along {
        /// The line.
        path: MotionPath,
        /// Whether the layer turns with it.
        orient: Option<Orient>,
        /// Shares of the way, 0 to 1.
        keyframes: Keyframes,
    },
    /// What its animations move.
    Timeline {
        /// On the timeline's own time.
        animations: Vec<Animation>,
        /// How much later each is than the one before, in milliseconds.
        stagger_ms: i64,
    },
}

/// An animation as documents have it.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Animation)]
struct AnimationDocument {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    tells_rounds: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    property: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<MotionPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    orient: Option<Orient>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyframes: Option<Keyframes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Animation>>, no_recursion)]
    animations: Option<Vec<Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stagger_ms: Option<i64>,
    #[serde(default)]
    start_ms: i64,
    #[serde(default)]
    delay_ms: i64,
    #[serde(default)]
    repeat: Repeat,
    #[serde(default)]
    direction: Direction,
    #[serde(default)]
    fill: Fill,
}

written_as!(Animation as "Animation" = AnimationDocument);

impl Serialize for Animation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Timing { start_ms, delay_ms, repeat, direction, fill } = self.timing;
        let mut document = AnimationDocument {
            name: self.name.clone(),
            tells_rounds: self.tells_rounds,
            property: None,
            path: None,
            orient: None,
            keyframes: None,
            animations: None,
            stagger_ms: None,
            start_ms,
            delay_ms,
            repeat,
            direction,
            fill,
        };
        match self.motion.clone() {
            Motion::Value { target, keyframes } => {
                (document.property, document.keyframes) = (Some(target.written()), Some(keyframes));
            }
            Motion::Along { path, orient, keyframes } => {
                (document.path, document.orient, document.keyframes) = (Some(path), orient, Some(keyframes));
            }
            Motion::Timeline { animations, stagger_ms } => {
                let written = animations.iter().map(serde_json::to_value).collect::<Result<_, _>>();
                document.animations = Some(written.map_err(serde::ser::Error::custom)?);
                document.stagger_ms = Some(stagger_ms);
            }
        }
        document.serialize(serializer)
    }
}

/// Reads and checks the animations of a layer; pointers start at the list.
pub(super) fn read(values: Vec<Value>, ground: &Ground<'_>) -> Result<Vec<Animation>, Problems> {
    let animations = read_list(values, ground, 0)?;
    let mut check = Check::default();
    let count = animations.iter().map(Animation::count).sum();
    check.count("", "animations", count, 0..=ANIMATIONS_MAX);
    check.finish().map(|()| animations)
}

fn read_list(values: Vec<Value>, ground: &Ground<'_>, depth: usize) -> Result<Vec<Animation>, Problems> {
    let mut check = Check::default();
    check.count("", "animations", values.len(), 0..=ANIMATIONS_MAX);
    check.finish()?;
    let read = |(i, value)| Animation::read(value, ground, depth).map_err(|problems| problems.under(&format!("/{i}")));
    values.into_iter().enumerate().map(read).collect()
}

impl Animation {
    fn read(value: Value, ground: &Ground<'_>, depth: usize) -> Result<Self, Problems> {
        let document: AnimationDocument = check::read(value)?;
        let AnimationDocument { tells_rounds, start_ms, delay_ms, repeat, direction, fill, .. } = document;
        let timing = Timing { start_ms, delay_ms, repeat, direction, fill };
        let name = document.name.clone();
        let animation = Self { name, tells_rounds, motion: Motion::read(document, ground, depth)?, timing };
        let mut check = Check::default();
        check.count("/name", "bytes", animation.name.len(), 0..=64);
        let is_heard = !tells_rounds || !animation.name.is_empty();
        check.that("/tellsRounds", is_heard, || "only what has a name tells of itself".into());
        animation.timing.check(&mut check);
        animation.motion.check(&mut check, ground);
        let is_endless_within = depth > 0 && timing.end(animation.motion.period()).is_none();
        check.that("/repeat", !is_endless_within, || "within a timeline only the timeline itself is endless".into());
        check.finish().map(|()| animation)
    }

    /// How many there are in it, itself included.
    fn count(&self) -> usize {
        match &self.motion {
            Motion::Timeline { animations, .. } => 1 + animations.iter().map(Self::count).sum::<usize>(),
            Motion::Value { .. } | Motion::Along { .. } => 1,
        }
    }

    /// Tells `say` of each slot, from the last to the first, what it is at `time`, if the animation is in effect, and how
    /// long it surely stays so.
    fn tell<'a>(&'a self, time: i128, say: &mut dyn FnMut(Slot<'a>, Option<Quantity>, Span)) {
        let spot = self.timing.spot(time, self.motion.period());
        let rest = spot.around(Span::EVER);
        match &self.motion {
            Motion::Value { target, keyframes } => {
                let slot = target.slot();
                match spot.place {
                    Some(place) => say(slot, Some(keyframes.value(place)), spot.around(keyframes.still(place))),
                    None => say(slot, None, rest),
                }
            }
            Motion::Along { path, orient, keyframes } => {
                let place = spot.place.map(|place| {
                    let share = match keyframes.value(place) {
                        Quantity::Number(share) => share,
                        Quantity::Colour(_) => 0.0,
                    };
                    (path.at(share), spot.around(keyframes.still(place)))
                });
                let mut tell = |slot, value: &dyn Fn(([f64; 2], f64)) -> f64| match place {
                    Some((at, still)) => say(slot, Some(Quantity::Number(value(at))), still),
                    None => say(slot, None, rest),
                };
                tell(Slot::Property(Property::PositionX), &|([x, _], _)| x);
                tell(Slot::Property(Property::PositionY), &|([_, y], _)| y);
                if let Some(orient) = orient {
                    tell(Slot::Turn, &|(_, direction)| direction + orient.degrees());
                }
            }
            Motion::Timeline { animations, stagger_ms } => {
                for (i, animation) in animations.iter().enumerate().rev() {
                    let later = stagger(*stagger_ms, i);
                    match spot.place {
                        Some(place) => animation.tell(place - later, &mut |slot, value, still| {
                            say(slot, value, spot.around(still.moved(later)));
                        }),
                        None => animation.tell(0, &mut |slot, _, _| say(slot, None, rest)),
                    }
                }
            }
        }
    }
}

fn stagger(stagger_ms: i64, index: usize) -> i128 {
    nanos_of_ms(stagger_ms) * index as i128
}

impl Motion {
    fn read(document: AnimationDocument, ground: &Ground<'_>, depth: usize) -> Result<Self, Problems> {
        let AnimationDocument { property, path, orient, keyframes, animations, stagger_ms, .. } = document;
        let problem =
            |pointer: &str, message: &str| Problems::from(Problem { pointer: pointer.into(), message: message.into() });
        let no_keyframes = || problem("/keyframes", "missing; expected 1 to 256 of { atMs, value, easing }");
        match (property, path, animations) {
            (_, None, None) if orient.is_some() => Err(problem("/orient", "only along a path")),
            (_, _, None) if stagger_ms.is_some() => {
                Err(problem("/staggerMs", "only of a timeline, which has `animations`"))
            }
            (Some(text), None, None) => {
                let keyframes = keyframes.ok_or_else(no_keyframes)?;
                Ok(Self::Value { target: Target::read(&text, &keyframes, ground)?, keyframes })
            }
            (None, Some(path), None) => {
                Ok(Self::Along { path, orient, keyframes: keyframes.ok_or_else(no_keyframes)? })
            }
            (None, None, Some(_)) if keyframes.is_some() => {
                Err(problem("/keyframes", "a timeline has none itself: its `animations` have"))
            }
            (None, None, Some(_)) if depth == DEPTH_MAX => Err(problem("/animations", "timelines lie at most 4 deep")),
            (None, None, Some(values)) => {
                let animations = read_list(values, ground, depth + 1).map_err(|found| found.under("/animations"))?;
                Ok(Self::Timeline { animations, stagger_ms: stagger_ms.unwrap_or_default() })
            }
            _ => Err(problem("", "expected one of `property`, `path` and `animations`")),
        }
    }

    fn check(&self, check: &mut Check, ground: &Ground<'_>) {
        match self {
            Self::Value { target, keyframes } => {
                keyframes.check(check, |check, value| target.check(check, value));
                if check.is_good() {
                    target.check_within(check, keyframes, ground);
                }
            }
            Self::Along { keyframes, orient, .. } => {
                keyframes.check(check, |check, value| match value {
                    Quantity::Number(share) => check.range("/value", share, path::SHARES),
                    Quantity::Colour(_) => check.that("/value", false, || "a share of the way is a number".into()),
                });
                let degrees = orient.map_or(0.0, Orient::degrees);
                check.range("/orient", degrees, -360.0..=360.0);
            }
            Self::Timeline { animations, stagger_ms } => {
                check.count("/animations", "animations", animations.len(), 1..=ANIMATIONS_MAX);
                check.range("/staggerMs", *stagger_ms as f64, 0.0..=SPAN_MAX_MS as f64);
            }
        }
    }

    /// Length of a round: to the last keyframe, or to the end of the last animation.
    fn period(&self) -> i128 {
        match self {
            Self::Value { keyframes, .. } | Self::Along { keyframes, .. } => keyframes.period(),
            Self::Timeline { animations, stagger_ms } => {
                let ends = animations.iter().enumerate().filter_map(|(i, animation)| {
                    Some(animation.timing.end(animation.motion.period())? + stagger(*stagger_ms, i))
                });
                ends.max().unwrap_or(0).max(0)
            }
        }
    }
}

/// One thing that an animation says something about.
#[derive(Debug, Clone, Copy)]
enum Slot<'a> {
    Property(Property),
    /// Degrees beside the rotation.
    Turn,
    Part(&'a Part),
}

impl Target {
    fn slot(&self) -> Slot<'_> {
        match self {
            Self::Property(property) => Slot::Property(*property),
            Self::Part(part) => Slot::Part(part),
        }
    }
}

/// What the animations make of a layer at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Pose {
    /// Place, size, turn and crop.
    pub transform: Transform,
    /// 0 to 1.
    pub opacity: f64,
    /// The layer with what moves in its document, if anything does and it shows; or what is wrong with that.
    pub layer: Option<Result<Box<Layer>, Problems>>,
    /// Until which time elapsed, exclusively, the animations leave the layer's picture as it is; `None`: for ever.
    pub changes_at: Option<Duration>,
}

impl Pose {
    /// The pose of `layer` at `elapsed`, on a canvas of these sides.
    pub fn of(layer: &Layer, elapsed: Duration, canvas: [f64; 2]) -> Self {
        let now = nanos(elapsed);
        let presence = Presence::of(layer, now);
        let mut poser = Poser::of(layer, now);
        if presence.state == State::Gone {
            // Nothing else brings it back.
            poser.fades = Span::EVER;
        }
        poser.fades = poser.fades.within(presence.still);
        presence.state.apply(&mut poser.transform, &mut poser.opacity, canvas);
        poser.finish(layer)
    }
}

/// How much of a layer there is at `elapsed`, 0 to 1: its opacity, and how far it has come, whichever way it comes.
pub(in crate::scene) fn visibility(layer: &Layer, elapsed: Duration) -> f64 {
    let now = nanos(elapsed);
    let there = match Presence::of(layer, now).state {
        State::Gone => 0.0,
        State::There => 1.0,
        State::Between { gone, .. } => (1.0 - gone).clamp(0.0, 1.0),
    };
    if there == 0.0 { 0.0 } else { there * Poser::of(layer, now).opacity }
}

/// Hears what the animations say and makes a pose of it.
#[derive(Debug)]
struct Poser<'a> {
    transform: Transform,
    opacity: f64,
    turn: f64,
    /// The properties that are decided; the turn is the bit above them.
    settled: u32,
    parts: Vec<(&'a Part, Quantity)>,
    /// How long all stays as it is, but for the opacity.
    moves: Span,
    fades: Span,
}

impl<'a> Poser<'a> {
    /// A layer as it moves, whether or not it is there.
    fn of(layer: &'a Layer, now: i128) -> Self {
        let mut poser = Self {
            transform: layer.transform.clone(),
            opacity: layer.opacity,
            turn: 0.0,
            settled: 0,
            parts: Vec::new(),
            moves: Span::EVER,
            fades: Span::EVER,
        };
        // From the last, which wins, to the first; then what the layer's own values are on their way to.
        for animation in layer.animations.iter().rev() {
            animation.tell(now, &mut |slot, value, still| poser.hear(slot, value, still));
        }
        for approach in &layer.approaches {
            let value = layer.own(approach.property).and_then(|own| approach.at(now, own));
            if let Some((value, still)) = value {
                poser.hear(Slot::Property(approach.property), Some(value), still);
            }
        }
        poser
    }

    fn value(&self, property: Property) -> Option<f64> {
        match property {
            Property::Opacity => Some(self.opacity),
            _ => property.get(&self.transform),
        }
    }

    /// What lies under one in effect is neither seen nor does it change anything.
    fn hear(&mut self, slot: Slot<'a>, value: Option<Quantity>, still: Span) {
        let bit = match slot {
            Slot::Property(property) => 1 << property as u32,
            Slot::Turn => 1 << (Property::Opacity as u32 + 1),
            Slot::Part(part) if self.parts.iter().any(|(settled, _)| settled.is_at(part)) => return,
            Slot::Part(_) => 0,
        };
        if self.settled & bit != 0 {
            return;
        }
        let span = if matches!(slot, Slot::Property(Property::Opacity)) { &mut self.fades } else { &mut self.moves };
        *span = span.within(still);
        let Some(value) = value else { return };
        self.settled |= bit;
        match (slot, value) {
            (Slot::Property(property), Quantity::Number(number)) => {
                let range = property.range();
                property.set(&mut self.transform, &mut self.opacity, number.clamp(*range.start(), *range.end()));
            }
            (Slot::Turn, Quantity::Number(degrees)) => self.turn = degrees,
            (Slot::Part(part), value) => self.parts.push((part, value)),
            // Not reached: colours are values of parts alone.
            (Slot::Property(_) | Slot::Turn, Quantity::Colour(_)) => {}
        }
    }

    fn finish(mut self, layer: &Layer) -> Pose {
        self.transform.rotation += self.turn;
        // What is invisible may move unseen.
        let is_shown = self.opacity > 0.0;
        let still = if is_shown { self.fades.within(self.moves) } else { self.fades };
        let is_changed = is_shown && !self.parts.is_empty();
        Pose {
            layer: is_changed.then(|| target::changed(layer, &self.parts).map(Box::new)),
            transform: self.transform,
            opacity: self.opacity,
            changes_at: (still.to != i128::MAX).then(|| duration(still.to)),
        }
    }
}

#[cfg(test)]
mod tests;
