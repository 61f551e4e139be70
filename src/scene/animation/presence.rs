//! How a layer comes and goes: what it does when `enabled` is switched.
//!
//! A layer that is switched on plays `enter`, one that is switched off plays `exit` and is gone only then. When that was
//! is in the document (`switched`), so the picture stays a function of the document and the time: whoever switches
//! stamps it. Without a stamp a layer that is on enters at the stream's start, and one that is off is gone. A stamp in the
//! future switches then.
//!
//! ```text
//!  off            on: switched.atMs     + delayMs          + durationMs
//!   gone          |---- as far gone as `from` ----|--- less and less ---| there
//! ```
//!
//! A layer that is switched while it is on its way goes back the way it came: `switched` then says how far gone it was
//! and along which of the two, so that nothing jumps.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::timing::{SPAN_MAX_MS, START_MAX_MS, Span, nanos, nanos_of_ms, nanos_of_stamp, stamp_of};
use crate::scene::{
    Layer, Transform,
    check::Check,
    easing::Easing,
    geometry::{Affine, Rect},
};

/// The way on or off the canvas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Passage {
    /// What it looks like.
    pub preset: Preset,
    /// How long it takes, in milliseconds.
    #[schema(minimum = 0, maximum = 86400000)]
    pub duration_ms: i64,
    /// How long it waits before, in milliseconds.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 86400000)]
    pub delay_ms: i64,
    /// How it goes.
    #[serde(default)]
    pub easing: Easing,
}

/// What a layer that is gone looks like, and so what it comes from and leaves to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// It is clear.
    Fade,
    /// It lies beyond the left edge of the canvas.
    SlideLeft,
    /// It lies beyond the right edge.
    SlideRight,
    /// It lies above the top edge.
    SlideUp,
    /// It lies below the bottom edge.
    SlideDown,
    /// It is a point at its anchor.
    Zoom,
}

/// When `enabled` became what it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Switched {
    /// The stream's time elapsed, in milliseconds.
    #[schema(minimum = 0, maximum = 1e12)]
    pub at_ms: f64,
    /// How far gone it was then: 0 there, 1 gone. None: all the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -100, maximum = 100)]
    pub from: Option<f64>,
    /// Which of the two it goes back along. None: its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub along: Option<Side>,
}

/// One of the two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Side {
    Enter,
    Exit,
}

/// How much of a layer is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Presence {
    pub(super) state: State,
    /// How long that stays so.
    pub(super) still: Span,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    Gone,
    There,
    /// So far gone, 0 to 1 and beyond, along that side's preset.
    Between {
        side: Side,
        preset: Preset,
        gone: f64,
    },
}

impl Passage {
    pub(in crate::scene) fn check(&self, check: &mut Check) {
        check.range("/durationMs", self.duration_ms as f64, 0.0..=SPAN_MAX_MS as f64);
        check.range("/delayMs", self.delay_ms as f64, 0.0..=SPAN_MAX_MS as f64);
    }
}

impl Switched {
    pub(in crate::scene) fn check(&self, check: &mut Check) {
        check.range("/atMs", self.at_ms, 0.0..=START_MAX_MS as f64);
        // A way that overshoots may be left where it is beyond its ends.
        check.range("/from", self.from.unwrap_or_default(), -100.0..=100.0);
    }
}

impl Presence {
    /// Of `layer` at `now`.
    pub(super) fn of(layer: &Layer, now: i128) -> Self {
        let (before, after, target) =
            if layer.enabled { (State::Gone, State::There, 0.0) } else { (State::There, State::Gone, 1.0) };
        let switched = match layer.switched {
            Some(switched) => switched,
            None if layer.enabled => Switched { at_ms: 0.0, from: None, along: None },
            None => return Self { state: State::Gone, still: Span::EVER },
        };
        let at = nanos_of_stamp(switched.at_ms);
        if now < at {
            return Self { state: before, still: Span { to: at, ..Span::EVER } };
        }
        let Some((own, begin, end)) = layer.passage().filter(|&(_, _, end)| now < end) else {
            return Self { state: after, still: Span { from: now, ..Span::EVER } };
        };
        let side = switched.along.unwrap_or(own);
        // The other side's may have been taken away since.
        let Some((passage, along)) = own.of(layer).map(|passage| (passage, side.of(layer).unwrap_or(passage))) else {
            return Self { state: after, still: Span { from: now, ..Span::EVER } };
        };
        let from = switched.from.unwrap_or(1.0 - target);
        let (gone, still) = if now < begin {
            (from, Span::new(at, begin))
        } else {
            let share = (now - begin) as f64 / (end - begin) as f64;
            (from + (target - from) * passage.easing.at(share), Span::at(now))
        };
        Self { state: State::Between { side, preset: along.preset, gone }, still }
    }
}

impl Side {
    fn of(self, layer: &Layer) -> Option<&Passage> {
        match self {
            Self::Enter => layer.enter.as_ref(),
            Self::Exit => layer.exit.as_ref(),
        }
    }
}

impl Switched {
    /// The stamp of a layer that is new at `elapsed`.
    pub(super) fn new(elapsed: Duration) -> Self {
        Self { at_ms: stamp_of(elapsed), from: None, along: None }
    }

    /// Whether it lies after `elapsed`.
    pub(super) fn is_to_come(self, elapsed: Duration) -> bool {
        nanos_of_stamp(self.at_ms) > nanos(elapsed)
    }

    /// The stamp of a layer that is switched at `elapsed`, when it looked as `before` does.
    pub(super) fn at(elapsed: Duration, before: &Layer) -> Self {
        let (from, along) = match Presence::of(before, nanos(elapsed)).state {
            State::Between { side, gone, .. } => (Some(gone), Some(side)),
            State::Gone | State::There => (None, None),
        };
        Self { at_ms: stamp_of(elapsed), from, along }
    }
}

impl Layer {
    /// Whether it is on, or may still be seen because it was not long ago.
    pub(in crate::scene) fn may_show(&self) -> bool {
        self.enabled || self.switched.is_some()
    }

    /// When the way that it is on, or was on last, begins and ends.
    pub(super) fn passage(&self) -> Option<(Side, i128, i128)> {
        let (side, passage) = if self.enabled { (Side::Enter, &self.enter) } else { (Side::Exit, &self.exit) };
        let at = match self.switched {
            Some(switched) => nanos_of_stamp(switched.at_ms),
            None if self.enabled => 0,
            None => return None,
        };
        let begin = at + nanos_of_ms(passage.as_ref()?.delay_ms);
        Some((side, begin, begin + nanos_of_ms(passage.as_ref()?.duration_ms)))
    }
}

impl State {
    /// Puts a layer where it is while it comes or goes.
    pub(super) fn apply(self, transform: &mut Transform, opacity: &mut f64, canvas: [f64; 2]) {
        let (preset, gone) = match self {
            Self::There => return,
            Self::Gone => {
                *opacity = 0.0;
                return;
            }
            Self::Between { preset, gone, .. } => (preset, gone),
        };
        let [right, bottom] = canvas;
        let bounds = bounds(transform, canvas);
        match preset {
            Preset::Fade => *opacity *= (1.0 - gone).clamp(0.0, 1.0),
            Preset::SlideLeft => transform.position_x -= gone * f64::from(bounds.right()).max(0.0),
            Preset::SlideRight => transform.position_x += gone * (right - f64::from(bounds.x)).max(0.0),
            Preset::SlideUp => transform.position_y -= gone * f64::from(bounds.bottom()).max(0.0),
            Preset::SlideDown => transform.position_y += gone * (bottom - f64::from(bounds.y)).max(0.0),
            Preset::Zoom => {
                transform.scale_x *= 1.0 - gone;
                transform.scale_y *= 1.0 - gone;
            }
        }
    }
}

/// Where the layer's box lies; one whose size is its content's own, which is not known here, is taken for as large as the
/// canvas, so that it is surely beyond the edge when it is gone.
fn bounds(t: &Transform, canvas: [f64; 2]) -> Rect {
    let (Some(width), Some(height)) = (t.width, t.height) else {
        let [w, h] = canvas.map(|side| side as f32);
        return Rect::new(0.0, 0.0, w, h);
    };
    let place = Affine::place(
        [t.position_x, t.position_y],
        [t.anchor_x * width, t.anchor_y * height],
        [t.scale_x, t.scale_y],
        t.rotation,
    );
    place.bounds_of(Rect::at_origin([width as f32, height as f32]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::scene::animation::Pose;

    const CANVAS: [f64; 2] = [640.0, 360.0];

    /// A box of 50 x 20 at 100, 40.
    fn layer(more: Value) -> Layer {
        let mut document = json!({ "id": "a", "content": { "type": "color", "color": "#ffffff" },
            "transform": { "positionX": 100, "positionY": 40, "width": 50, "height": 20 } });
        json_patch::merge(&mut document, &more);
        Layer::read(document).unwrap_or_else(|problems| panic!("{problems}"))
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn pose(layer: &Layer, time: u64) -> Pose {
        Pose::of(layer, ms(time), CANVAS)
    }

    #[test]
    fn a_preset_is_where_a_layer_comes_from() {
        // Half of the way: the layer is half as far as the edge beyond which it is gone.
        for (preset, expected) in [
            ("fade", (100.0, 40.0, 1.0, 0.5)),
            ("slide-left", (25.0, 40.0, 1.0, 1.0)), // 150 from its right side to the left edge
            ("slide-right", (370.0, 40.0, 1.0, 1.0)), // 540 from its left side to the right edge
            ("slide-up", (100.0, 10.0, 1.0, 1.0)),  // 60
            ("slide-down", (100.0, 200.0, 1.0, 1.0)), // 320
            ("zoom", (100.0, 40.0, 0.5, 1.0)),
        ] {
            let passage = json!({ "preset": preset, "durationMs": 1000, "delayMs": 200 });
            let entering = layer(json!({ "enter": passage, "switched": { "atMs": 2000 } }));
            let leaving = layer(json!({ "exit": passage, "enabled": false, "switched": { "atMs": 2000 } }));
            for half in [pose(&entering, 2700), pose(&leaving, 2700)] {
                let Transform { position_x, position_y, scale_x, .. } = half.transform;
                assert_eq!((position_x, position_y, scale_x, half.opacity), expected, "{preset}");
                assert_eq!(half.changes_at, Some(ms(2700)));
            }
            for (gone, change) in [(pose(&entering, 1999), Some(ms(2000))), (pose(&leaving, 3200), None)] {
                assert_eq!((gone.opacity, gone.changes_at), (0.0, change), "{preset}");
            }
            for (there, change) in [(pose(&entering, 3200), None), (pose(&leaving, 1000), Some(ms(2000)))] {
                let transform = &there.transform;
                assert_eq!((transform, there.opacity), (&entering.transform, 1.0), "{preset}");
                assert_eq!(there.changes_at, change, "{preset}");
            }
            assert_eq!(pose(&leaving, 2100).changes_at, Some(ms(2200)), "it waits");
        }
    }

    #[test]
    fn without_a_stamp_a_layer_enters_at_the_start_and_one_that_is_off_is_gone() {
        let passage = json!({ "preset": "fade", "durationMs": 1000 });
        let on = layer(json!({ "enter": passage, "exit": passage }));
        assert_eq!([0, 250, 1000].map(|time| pose(&on, time).opacity), [0.0, 0.25, 1.0]);
        let off = layer(json!({ "enter": passage, "exit": passage, "enabled": false }));
        assert_eq!((pose(&off, 0).opacity, pose(&off, 0).changes_at), (0.0, None));
        // Without a way it is there, or gone, at once.
        let at_once = layer(json!({ "switched": { "atMs": 500 } }));
        assert_eq!([499, 500].map(|time| pose(&at_once, time).opacity), [0.0, 1.0]);
    }

    #[test]
    fn a_layer_that_is_switched_on_its_way_goes_back_the_way_it_came() {
        let enter = json!({ "preset": "slide-left", "durationMs": 1000 });
        let exit = json!({ "preset": "fade", "durationMs": 500 });
        let entering = layer(json!({ "enter": enter, "exit": exit, "switched": { "atMs": 0 } }));
        // After 0.4 s it is 0.6 of 150 pixels away; it leaves along the same way in half a second.
        let mut off = entering.clone();
        off.enabled = false;
        let off = off.following(Some(&entering), Some(ms(400)));
        assert_eq!(off.switched, Some(Switched { at_ms: 400.0, from: Some(0.6), along: Some(Side::Enter) }));
        assert_eq!([400, 650].map(|time| pose(&off, time).transform.position_x), [10.0, -20.0]);
        assert_eq!((pose(&off, 650).opacity, pose(&off, 900).opacity), (1.0, 0.0));
        // And comes back again, from 0.8 of the way.
        let mut on = off.clone();
        on.enabled = true;
        let on = on.following(Some(&off), Some(ms(650)));
        assert_eq!([650, 1650].map(|time| pose(&on, time).transform.position_x), [-20.0, 100.0]);
    }

    #[test]
    fn the_stamp_is_of_the_run() {
        let on = layer(json!({}));
        let mut off = on.clone();
        off.enabled = false;
        let switched = off.clone().following(Some(&on), Some(ms(700)));
        assert_eq!(switched.switched, Some(Switched { at_ms: 700.0, from: None, along: None }));
        let mut renamed = switched.clone();
        (renamed.name, renamed.switched) = ("b".into(), None);
        assert_eq!(renamed.following(Some(&switched), Some(ms(900))).switched, switched.switched, "it stays");
        assert_eq!(off.clone().following(Some(&on), None).switched, None, "nothing runs");
        assert_eq!(switched.clone().settled(ms(700)).switched, None);
        assert_eq!(switched.clone().settled(ms(699)).switched, switched.switched, "what is to come stays");
        assert_eq!(on.clone().following(None, Some(ms(5))).switched, Some(Switched::new(ms(5))), "a new layer enters");
        assert_eq!(off.clone().following(None, Some(ms(5))).switched, None);
        // Who gives a time of his own means it.
        off.switched = Some(Switched::new(ms(9000)));
        assert_eq!(off.clone().following(Some(&on), Some(ms(5))).switched, off.switched);
    }

    #[test]
    fn bad_ways_are_refused_with_their_place() {
        for (more, pointer, expected) in [
            (json!({ "enter": { "preset": "fly", "durationMs": 1 } }), "/enter/preset", "`slide-left`"),
            (json!({ "exit": { "preset": "fade", "durationMs": -1 } }), "/exit/durationMs", "0 to 86400000"),
            (json!({ "enter": { "preset": "fade" } }), "/enter", "`durationMs`"),
            (json!({ "switched": { "atMs": -1 } }), "/switched/atMs", "0 to 1000000000000"),
            (json!({ "switched": { "atMs": 0, "from": 101 } }), "/switched/from", "-100 to 100"),
        ] {
            let mut document = json!({ "id": "a", "content": { "type": "color", "color": "#ffffff" } });
            json_patch::merge(&mut document, &more);
            let problem = Layer::read(document).unwrap_err().0.remove(0);
            assert_eq!(problem.pointer, pointer, "{problem}");
            assert!(problem.message.contains(expected), "{problem}");
        }
    }

    /// What is seen of the layer; none if nothing is.
    fn seen(layer: &Layer, time: u64) -> Option<[f64; 4]> {
        let pose = pose(layer, time);
        let t = &pose.transform;
        let canvas = Rect::at_origin(CANVAS.map(|side| side as f32));
        let is_seen = pose.opacity > 1e-6 && t.scale_x.abs() > 1e-6 && {
            let on_canvas = bounds(t, CANVAS).intersect(canvas);
            on_canvas.w > 1e-3 && on_canvas.h > 1e-3
        };
        is_seen.then_some([t.position_x, t.position_y, t.scale_x, pose.opacity])
    }

    proptest! {
        /// However often and whenever a layer is switched, nothing jumps.
        #[test]
        fn a_switch_never_jumps(
            presets in proptest::array::uniform2(0..6_usize),
            easing in proptest::sample::select(vec!["linear", "easeOutBack", "ease-in-out", "easeInCirc"]),
            gaps in proptest::collection::vec(1..900_u64, 1..8),
        ) {
            const PRESETS: [&str; 6] = ["fade", "slide-left", "slide-right", "slide-up", "slide-down", "zoom"];
            let passage = |preset: usize, duration: u64, delay: u64| {
                json!({ "preset": PRESETS[preset], "durationMs": duration, "delayMs": delay, "easing": easing })
            };
            let mut now = 0;
            let mut before = layer(json!({ "enter": passage(presets[0], 700, 50), "exit": passage(presets[1], 400, 0) }));
            for gap in gaps {
                now += gap;
                let mut after = before.clone();
                after.enabled = !before.enabled;
                let after = after.following(Some(&before), Some(ms(now)));
                match (seen(&before, now), seen(&after, now)) {
                    (Some(was), Some(is)) => {
                        for (was, is) in was.into_iter().zip(is) {
                            prop_assert!((was - is).abs() < 1e-6, "{was} and {is} at {now}: {after:?}");
                        }
                    }
                    (was, is) => prop_assert_eq!(was, is, "at {}: {:?}", now, after),
                }
                before = after;
            }
        }
    }
}
