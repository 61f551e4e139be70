//! How a layer follows its document: a value that is changed is approached, from where it is and as fast as it moves.
//!
//! With a `transition` a layer's own place, size, turn, crop and opacity do not jump when they are changed. What is under
//! way is in the document (`approaches`: from where, how fast, since when), so the picture stays a function of the
//! document and the time: whoever changes the document adds it, with [`Layer::following`].
//!
//! A change in the middle of a move neither jumps nor breaks its speed. With a spring that is physics. With any other
//! easing the layer goes on as fast as it was going and is led over to the eased way, which it is on entirely at the end;
//! one at rest is on it from the beginning.
//!
//! ```text
//!  x(t) = (1 - b) (from + velocity t) + b (from + (to - from) easing(s)),   s = t / duration,   b = 3 s^2 - 2 s^3
//! ```
//!
//! `to` is the layer's own value. Animations that are in effect go before it, as they do at rest.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Poser, Property, Quantity,
    presence::Switched,
    timing::{SPAN_MAX_MS, START_MAX_MS, Span, nanos, nanos_of_stamp, stamp_of},
};
use crate::scene::{Layer, check::Check, easing::Easing};

/// How changed values are approached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = LayerTransition)]
pub struct Transition {
    /// How long it takes, in milliseconds; none: as long as the spring does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 86400000)]
    pub duration_ms: Option<f64>,
    /// How it goes; a spring's own velocity is the layer's.
    #[serde(default)]
    pub easing: Easing,
}

/// A value on its way to the layer's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approach {
    /// Which one.
    pub property: Property,
    /// Where it was at the start.
    #[schema(minimum = -65536, maximum = 65536)]
    pub from: f64,
    /// How fast it moved then, each second.
    #[schema(minimum = -1000000000, maximum = 1000000000)]
    pub velocity: f64,
    /// The stream's time elapsed at the start, in milliseconds.
    #[schema(minimum = 0, maximum = 1e12)]
    pub start_ms: f64,
    /// How long it takes, in milliseconds.
    #[schema(minimum = 0, maximum = 86400000)]
    pub duration_ms: f64,
    /// How it goes.
    pub easing: Easing,
}

/// Between the moments at which a velocity is taken.
const INSTANT: Duration = Duration::from_micros(1);
/// Velocities are cut off here, in units a second: far beyond what is seen, and far from overflow.
const VELOCITY_MAX: f64 = 1e9;
/// What is so near is the same, in units of any property.
const NEAR: f64 = 1e-9;
/// What is so slow is at rest, in units a second: roundings are no movement.
const STILL: f64 = 1e-3;

impl Transition {
    pub(in crate::scene) fn check(&self, check: &mut Check) {
        let is_timed = self.duration_ms.is_some() || matches!(self.easing, Easing::Spring(_));
        check.that("/durationMs", is_timed, || "missing: only a spring takes its own time".into());
        check.range("/durationMs", self.duration_ms.unwrap_or_default(), 0.0..=SPAN_MAX_MS as f64);
    }

    fn duration_ms(&self) -> f64 {
        match (self.duration_ms, &self.easing) {
            (Some(duration), _) => duration,
            (None, Easing::Spring(spring)) => (spring.rest_seconds() * 1000.0).min(SPAN_MAX_MS as f64),
            // Not reached: a checked transition has a duration.
            (None, _) => 0.0,
        }
    }
}

impl Approach {
    pub(in crate::scene) fn check(&self, check: &mut Check) {
        check.range("/from", self.from, self.property.range());
        check.range("/velocity", self.velocity, -VELOCITY_MAX..=VELOCITY_MAX);
        check.range("/startMs", self.start_ms, 0.0..=START_MAX_MS as f64);
        check.range("/durationMs", self.duration_ms, 0.0..=SPAN_MAX_MS as f64);
    }

    fn end(&self) -> i128 {
        nanos_of_stamp(self.start_ms + self.duration_ms)
    }

    /// The value at `now` on the way to `to`, and how long it stays; `None` when it has arrived.
    pub(super) fn at(&self, now: i128, to: f64) -> Option<(Quantity, Span)> {
        if now >= self.end() {
            return None;
        }
        let seconds = (now - nanos_of_stamp(self.start_ms)) as f64 / 1e9;
        Some((Quantity::Number(self.value(seconds, to)), Span::at(now)))
    }

    fn value(&self, seconds: f64, to: f64) -> f64 {
        let Self { from, velocity, .. } = *self;
        let coasting = from + velocity * seconds;
        // Before its start it is taken to have come as fast as it went on.
        if seconds <= 0.0 {
            return coasting;
        }
        let duration = self.duration_ms / 1000.0;
        if let Easing::Spring(spring) = &self.easing {
            return to + spring.swing(from - to, velocity, seconds, duration);
        }
        let share = (seconds / duration).min(1.0);
        let eased = from + (to - from) * self.easing.at(share);
        if velocity == 0.0 {
            return eased;
        }
        let led = share * share * (3.0 - 2.0 * share);
        coasting + (eased - coasting) * led
    }
}

impl Layer {
    /// This layer, changed from `before` (none: new) at the time `elapsed` of a running stream (none: it does not run):
    /// switched then, and on its way from where it was shown to where it is now.
    pub fn following(mut self, before: Option<&Self>, elapsed: Option<Duration>) -> Self {
        let given = self.switched.filter(|&given| before.is_none_or(|before| before.switched != Some(given)));
        let is_flipped = before.is_none_or(|before| before.enabled != self.enabled);
        // Who gives another time wants it switched then.
        self.switched = given.or(match (before, elapsed) {
            (Some(before), _) if !is_flipped => before.switched,
            (_, None) => None,
            (Some(before), Some(elapsed)) => Some(Switched::at(elapsed, before)),
            (None, Some(elapsed)) => self.enabled.then(|| Switched::new(elapsed)),
        });
        self.approaches = match (before, elapsed) {
            (Some(before), Some(elapsed)) => self.approaches_from(before, elapsed),
            _ => Vec::new(),
        };
        self
    }

    /// This layer after a run that ended at `elapsed`: whatever was under way has arrived, what is to come stays.
    pub fn settled(mut self, elapsed: Duration) -> Self {
        self.switched = self.switched.filter(|switched| switched.is_to_come(elapsed));
        self.approaches.clear();
        self
    }

    fn approaches_from(&self, before: &Self, elapsed: Duration) -> Vec<Approach> {
        let now = nanos(elapsed);
        let shown = [0, 1, 2].map(|i| Poser::of(before, now - nanos(INSTANT) * i));
        let is_moved_alike = self.animations == before.animations;
        let approach = |&property: &Property| {
            let own = self.own(property)?;
            let running = before.approaches.iter().find(|approach| approach.property == property);
            let running = running.filter(|approach| approach.end() > now);
            if before.own(property) == Some(own) && is_moved_alike {
                return running.cloned();
            }
            let transition = self.transition.as_ref()?;
            let value = |i: usize| shown[i].value(property);
            let (x0, x1, x2) = (value(0)?, value(1)?, value(2)?);
            if (x0 - own).abs() < NEAR && running.is_none() {
                return None;
            }
            // The slope of the parabola through the last three: as fast as it was seen to move.
            let slope = (3.0 * x0 - 4.0 * x1 + x2) / (2.0 * INSTANT.as_secs_f64());
            Some(Approach {
                property,
                from: x0,
                velocity: if slope.abs() < STILL { 0.0 } else { slope.clamp(-VELOCITY_MAX, VELOCITY_MAX) },
                start_ms: stamp_of(elapsed),
                duration_ms: transition.duration_ms(),
                easing: transition.easing.clone(),
            })
        };
        Property::OF_TRANSFORM.iter().chain(&[Property::Opacity]).filter_map(approach).collect()
    }

    /// Its own value, as the document has it.
    pub(super) fn own(&self, property: Property) -> Option<f64> {
        match property {
            Property::Opacity => Some(self.opacity),
            _ => property.get(&self.transform),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn layer(x: f64, transition: &Value) -> Layer {
        let document = json!({ "id": "a", "transform": { "positionX": x }, "transition": transition,
            "content": { "type": "color", "color": "#ffffff" } });
        Layer::read(document).unwrap_or_else(|problems| panic!("{problems}"))
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn x(layer: &Layer, elapsed: Duration) -> f64 {
        Poser::of(layer, nanos(elapsed)).transform.position_x
    }

    #[test]
    fn a_change_is_approached_from_rest_as_the_easing_says() {
        let transition = json!({ "durationMs": 1000, "easing": "easeInQuad" });
        let at_rest = layer(100.0, &transition);
        let moved = layer(300.0, &transition).following(Some(&at_rest), Some(ms(5000)));
        assert_eq!(moved.approaches[0].velocity, 0.0);
        assert_eq!([5000, 5500, 6000, 9000].map(|time| x(&moved, ms(time))), [100.0, 150.0, 300.0, 300.0]);
        let without = layer(300.0, &Value::Null).following(Some(&at_rest), Some(ms(5000)));
        assert_eq!((x(&without, ms(5000)), without.approaches.len()), (300.0, 0), "it jumps");
        assert_eq!(moved.clone().settled(ms(5500)).approaches, []);
        assert_eq!(layer(300.0, &transition).following(Some(&at_rest), None).approaches, [], "nothing runs");
    }

    #[test]
    fn a_change_on_the_way_goes_on_as_fast_and_is_led_over() {
        let transition = json!({ "durationMs": 1000 });
        let first = layer(400.0, &transition).following(Some(&layer(0.0, &transition)), Some(ms(0)));
        // Half of the way, at 400 pixels a second, it is called back.
        let second = layer(0.0, &transition).following(Some(&first), Some(ms(500)));
        let approach = &second.approaches[0];
        assert_eq!(approach.from, 200.0);
        assert!((approach.velocity - 400.0).abs() < 1e-3, "{}", approach.velocity);
        // Half of its time later, half of it coasts (200 + 400 / 2) and half is on its way (200 -> 0, half).
        assert!((x(&second, ms(1000)) - 250.0).abs() < 1e-3);
        assert_eq!(x(&second, ms(1500)), 0.0);
        // A change of something else leaves it alone.
        let mut renamed = second.clone();
        renamed.name = "b".into();
        renamed.approaches.clear();
        assert_eq!(renamed.following(Some(&second), Some(ms(700))).approaches, second.approaches);
        let mut late = second.clone();
        late.name = "c".into();
        assert_eq!(late.following(Some(&second), Some(ms(1500))).approaches, [], "what has arrived is forgotten");
    }

    #[test]
    fn what_an_animation_leaves_behind_is_approached_from() {
        let transition = json!({ "durationMs": 1000 });
        let mut animated = json!({ "id": "a", "transform": { "positionX": 0 }, "transition": transition,
            "content": { "type": "color", "color": "#ffffff" } });
        animated["animations"] = json!([{ "property": "positionX",
            "keyframes": [{ "atMs": 0, "value": 0 }, { "atMs": 1000, "value": 100 }] }]);
        let animated = Layer::read(animated).unwrap();
        let freed = layer(0.0, &transition).following(Some(&animated), Some(ms(500)));
        assert_eq!(x(&freed, ms(500)), 50.0);
        assert!((freed.approaches[0].velocity - 100.0).abs() < 1e-3);
    }

    #[test]
    fn a_spring_takes_its_own_time() {
        let transition = json!({ "easing": "spring(1, 100, 20)" });
        let moved = layer(100.0, &transition).following(Some(&layer(0.0, &transition)), Some(ms(0)));
        // Critically damped with w = 10: 100 (1 - (1 + 10 t) e^(-10 t)), at 0.1 s 26.42.
        assert!((x(&moved, ms(100)) - 26.424).abs() < 0.01, "{}", x(&moved, ms(100)));
        assert!((800.0..2000.0).contains(&moved.approaches[0].duration_ms));
    }

    #[test]
    fn bad_transitions_are_refused_with_their_place() {
        let approach = json!({ "property": "opacity", "from": 0, "velocity": 0, "startMs": 0, "durationMs": 1, "easing": "linear" });
        let with = |change: Value| {
            let mut changed = approach.clone();
            json_patch::merge(&mut changed, &change);
            json!({ "approaches": [changed] })
        };
        for (more, pointer, expected) in [
            (json!({ "transition": {} }), "/transition/durationMs", "only a spring"),
            (json!({ "transition": { "durationMs": -1 } }), "/transition/durationMs", "0 to 86400000"),
            (json!({ "transition": { "spring": 1 } }), "/transition/spring", "`easing`"),
            (with(json!({ "from": 2 })), "/approaches/0/from", "0 to 1"),
            (with(json!({ "velocity": 1e10 })), "/approaches/0/velocity", "-1000000000 to"),
            (with(json!({ "property": "posX" })), "/approaches/0/property", "`positionX`"),
            (json!({ "approaches": vec![approach.clone(); 15] }), "/approaches", "0 to 14"),
        ] {
            let mut document = json!({ "id": "a", "content": { "type": "color", "color": "#ffffff" } });
            json_patch::merge(&mut document, &more);
            let problem = Layer::read(document).unwrap_err().0.remove(0);
            assert_eq!(problem.pointer, pointer, "{problem}");
            assert!(problem.message.contains(expected), "{problem}");
        }
    }

    proptest! {
        /// Retargeted at any time, however often, place and speed go on without a jump, and it arrives in the end.
        #[test]
        fn a_retarget_breaks_neither_place_nor_speed(
            steps in proptest::collection::vec((1..1500_u64, -1000.0..1000.0f64, 0..8_usize, 50..2000_u64), 1..10),
        ) {
            const EASINGS: [&str; 8] = [
                "linear", "ease", "easeInOutBack", "easeOutCirc", "easeOutElastic",
                "spring(1, 170, 26)", "spring(1, 100, 5)", "cubic-bezier(0, 1, 0, 1)",
            ];
            let instant = Duration::from_micros(1);
            let mut now = ms(10);
            let mut before = layer(0.0, &json!({ "durationMs": 1 }));
            for (gap, to, easing, duration) in steps {
                now += ms(gap);
                let transition = json!({ "durationMs": duration, "easing": EASINGS[easing] });
                let after = layer(to, &transition).following(Some(&before), Some(now));
                let jump = x(&after, now) - x(&before, now);
                prop_assert!(jump.abs() < 1e-6, "{} at {:?}: {:?}", jump, now, after.approaches);
                let slope = |at: [f64; 3]| (4.0 * at[1] - 3.0 * at[0] - at[2]) / 2e-6;
                let was = -slope([0, 1, 2].map(|i| x(&before, now - instant * i)));
                let is = slope([0, 1, 2].map(|i| x(&after, now + instant * i)));
                // One at rest starts as its easing does.
                let is_moving = after.approaches.first().is_some_and(|approach| approach.velocity != 0.0);
                let tolerance = 10.0 + was.abs() * 0.01;
                prop_assert!(!is_moving || (was - is).abs() < tolerance, "{} to {}: {:?}", was, is, after.approaches);
                let end = now + ms(duration);
                prop_assert_eq!(x(&after, end), to);
                let near = x(&after, end - instant) - to;
                prop_assert!(near.abs() < 0.1 || EASINGS[easing] == "easeOutElastic", "{} at the end", near);
                before = after;
            }
        }
    }
}
