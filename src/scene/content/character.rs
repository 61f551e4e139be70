//! `character`: a figure that is in one of several states, idle or talking for instance, each with a picture of its own.
//!
//! A state is a value of the document with the time at which it was entered, so where its animation stands is a function
//! of time: a restart goes on in phase. The action `enter` writes both, and the state that was left, which may fade into
//! the new one. Breathing and blinking go on whatever the state is.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Action, Image, Kind, Planner, Refused, Sequence, Sprite, Svg, film::Film, slides::cross_fade};
use crate::scene::{
    check::{Check, escape},
    draw::Paint,
    geometry::Rect,
    playback::SINCE_MS_MAX,
};

/// Most states.
const STATES_MAX: usize = 32;
/// Longest name of a state, in bytes.
const NAME_LEN_MAX: usize = 64;
/// Longest fade from one state to the next, in milliseconds.
const FADE_MS_MAX: f64 = 10_000.0;
/// How much higher breathing may make it, as a share of its height.
const AMOUNT_MAX: f32 = 0.25;

/// The document of a character layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Character {
    /// What it looks like in each state.
    pub states: BTreeMap<String, Figure>,
    /// The state it is in.
    #[serde(default = "default_state")]
    pub state: String,
    /// Milliseconds elapsed on the stream at which it entered the state: its animation began then.
    #[serde(default)]
    pub since_ms: u64,
    /// The state it came from, for the time in which that fades.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousState>,
    /// How long one state fades into the next, in milliseconds: 0 to 10000.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 10000)]
    pub fade_ms: u64,
    /// A slow rise and fall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breathing: Option<Breathing>,
    /// A picture laid over it now and then, its eyes closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blink: Option<Blink>,
}

/// A state that was left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PreviousState {
    /// Its name.
    pub state: String,
    /// When it was entered, in milliseconds elapsed on the stream.
    pub since_ms: u64,
}

/// A picture of a character: one of these types of content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
#[expect(missing_docs, reason = "each is documented where it is defined")]
pub enum Figure {
    Image(Image),
    Sequence(Sequence),
    Sprite(Sprite),
    Svg(Svg),
}

/// A slow rise and fall, the feet standing still.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Breathing {
    /// From one breath to the next, in milliseconds.
    #[schema(minimum = 200, maximum = 600000)]
    pub period_ms: u64,
    /// How much higher it is when it has breathed in: 0 to 0.25.
    #[schema(minimum = 0, maximum = 0.25)]
    pub amount: f64,
}

impl Default for Breathing {
    fn default() -> Self {
        Self { period_ms: 4000, amount: 0.012 }
    }
}

/// A picture that shows now and then, at moments that look random and are the same in every run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Blink {
    /// What shows, laid over the character's box.
    pub figure: Figure,
    /// It shows once in each span of so many milliseconds.
    #[serde(default = "default_every_ms")]
    pub every_ms: u64,
    /// For how long, in milliseconds.
    #[serde(default = "default_blink_ms")]
    pub duration_ms: u64,
}

fn default_state() -> String {
    "idle".into()
}
fn default_every_ms() -> u64 {
    4000
}
fn default_blink_ms() -> u64 {
    140
}

impl Kind for Character {
    const TYPE: &'static str = "character";

    fn check(&self, check: &mut Check) {
        check.count("/states", "states", self.states.len(), 1..=STATES_MAX);
        for (name, figure) in &self.states {
            let pointer = format!("/states/{}", escape(name));
            check.count(&pointer, "bytes of a name", name.len(), 1..=NAME_LEN_MAX);
            check.part(&pointer, |check| figure.check(check));
        }
        self.check_state(check, "/state", &self.state);
        check.range("/sinceMs", self.since_ms as f64, 0.0..=SINCE_MS_MAX);
        if let Some(previous) = &self.previous {
            self.check_state(check, "/previous/state", &previous.state);
            check.range("/previous/sinceMs", previous.since_ms as f64, 0.0..=SINCE_MS_MAX);
        }
        check.range("/fadeMs", self.fade_ms as f64, 0.0..=FADE_MS_MAX);
        if let Some(breathing) = &self.breathing {
            check.range("/breathing/periodMs", breathing.period_ms as f64, 200.0..=600_000.0);
            check.range("/breathing/amount", breathing.amount, 0.0..=AMOUNT_MAX.into());
        }
        if let Some(blink) = &self.blink {
            check.part("/blink/figure", |check| blink.figure.check(check));
            check.range("/blink/everyMs", blink.every_ms as f64, 100.0..=600_000.0);
            check.range("/blink/durationMs", blink.duration_ms as f64, 10.0..=blink.every_ms as f64);
        }
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let Some(figure) = self.states.get(&self.state).map(Figure::film) else { return };
        let Some(natural) = figure.natural(planner) else { return };
        let size = planner.size_or(natural);
        let [beneath, above] = self.opacities(planner);
        if let Some(previous) = self.previous.as_ref().filter(|_| beneath > 0.0)
            && let Some(left) = self.states.get(&previous.state).map(Figure::film)
        {
            self.plan_figure(planner, size, left, previous.since_ms, beneath);
        }
        self.plan_figure(planner, size, figure, self.since_ms, above);
        if let Some(blink) = &self.blink {
            self.plan_blink(planner, size, blink);
        }
    }

    /// `enter`: another state, from its beginning.
    fn act(&self, action: &Action) -> Result<Self, Refused> {
        if action.name != "enter" {
            return Err(Refused::Unknown(&["enter"]));
        }
        let Enter { state, fade_ms } = action.read()?;
        let previous = Some(PreviousState { state: self.state.clone(), since_ms: self.since_ms });
        let fade_ms = fade_ms.unwrap_or(self.fade_ms);
        Ok(Self { state, since_ms: action.elapsed_ms(), previous, fade_ms, ..self.clone() })
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Enter {
    state: String,
    fade_ms: Option<u64>,
}

impl Figure {
    fn check(&self, check: &mut Check) {
        match self {
            Self::Image(image) => image.check(check),
            Self::Sequence(sequence) => sequence.check(check),
            Self::Sprite(sprite) => sprite.check(check),
            Self::Svg(svg) => svg.check(check),
        }
    }

    fn film(&self) -> &dyn Film {
        match self {
            Self::Image(image) => image,
            Self::Sequence(sequence) => sequence,
            Self::Sprite(sprite) => sprite,
            Self::Svg(svg) => svg,
        }
    }
}

impl Character {
    fn check_state(&self, check: &mut Check, pointer: &str, state: &str) {
        check.that(pointer, self.states.contains_key(state), || {
            let names: Vec<_> = self.states.keys().map(String::as_str).collect();
            format!("no such state, expected one of: {}", names.join(", "))
        });
    }

    /// Of the state that was left, and of the one it is in.
    fn opacities(&self, planner: &mut Planner<'_>) -> [f32; 2] {
        let (since, fade) = (Duration::from_millis(self.since_ms), Duration::from_millis(self.fade_ms));
        let within = planner.moment().elapsed.saturating_sub(since);
        if self.previous.is_none() || within >= fade {
            return [0.0, 1.0];
        }
        planner.changes_in(Duration::ZERO);
        cross_fade(within.as_secs_f32() / fade.as_secs_f32())
    }

    fn plan_figure(&self, planner: &mut Planner<'_>, size: [f32; 2], film: &dyn Film, since_ms: u64, opacity: f32) {
        let Some(natural) = film.natural(planner) else { return };
        let since = Duration::from_millis(since_ms);
        let Some(Paint::Raster { raster, dest }) = film.paint(planner, natural, size, since) else { return };
        let dest = self.breathing.as_ref().map_or(dest, |breathing| breathing.place(planner, dest));
        planner.draw_faded(size, size[1] * AMOUNT_MAX, opacity, Paint::Raster { raster, dest });
    }

    fn plan_blink(&self, planner: &mut Planner<'_>, size: [f32; 2], blink: &Blink) {
        let film = blink.figure.film();
        let (is_shut, until) = blink.at(planner.moment().elapsed);
        planner.changes_at(until);
        if is_shut {
            self.plan_figure(planner, size, film, 0, 1.0);
        } else {
            film.ask(planner);
        }
    }
}

impl Breathing {
    /// Where a picture over `dest` is at the moment: it grows from its lower edge.
    fn place(&self, planner: &mut Planner<'_>, dest: Rect) -> Rect {
        planner.changes_in(Duration::ZERO);
        let period = u128::from(self.period_ms) * 1_000_000;
        let turn = (planner.moment().elapsed.as_nanos() % period) as f64 / period as f64;
        let lift = self.amount * (1.0 - (turn * std::f64::consts::TAU).cos()) / 2.0;
        let h = dest.h * (1.0 + lift as f32);
        Rect::new(dest.x, dest.bottom() - h, dest.w, h)
    }
}

impl Blink {
    /// Whether it shows, and when that changes.
    fn at(&self, elapsed: Duration) -> (bool, Duration) {
        let every = u128::from(self.every_ms) * 1_000_000;
        let time = elapsed.as_nanos();
        let span = time / every;
        let start = self.start_in(span);
        let end = start + u128::from(self.duration_ms) * 1_000_000;
        let (is_shut, until) = match time {
            _ if time < start => (false, start),
            _ if time < end => (true, end),
            _ => (false, self.start_in(span + 1)),
        };
        (is_shut, Duration::from_nanos(u64::try_from(until).unwrap_or(u64::MAX)))
    }

    /// When it starts to show in a span, in nanoseconds: anywhere as long as it is over before the next.
    fn start_in(&self, span: u128) -> u128 {
        let room_ms = u128::from(self.every_ms - self.duration_ms.min(self.every_ms));
        let place = u128::from(scatter(span as u64)) * room_ms / u128::from(u64::MAX);
        (span * u128::from(self.every_ms) + place) * 1_000_000
    }
}

/// SplitMix64: near numbers become far ones.
fn scatter(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::scene::{
        Content, Evaluation, Moment,
        content::testing::{problem, shelf},
        draw::Raster,
    };

    fn character(fields: Value) -> Value {
        let sheet = json!({ "type": "sprite", "asset": "talk.png", "columns": 4, "rows": 1, "fps": 10 });
        let mut document = json!({ "type": "character", "states": { "idle": { "type": "image", "asset": "idle.png" },
            "talking": sheet } });
        json_patch::merge(&mut document, &fields);
        document
    }

    fn at(fields: Value, ms: u64) -> Evaluation {
        shelf(character(fields), json!({ "width": 80, "height": 40 }), ms, 0).1
    }

    fn rasters(evaluation: &Evaluation) -> Vec<Raster> {
        let raster = |item: &crate::scene::draw::DrawItem| match &item.paint {
            Paint::Raster { raster, .. } => raster.clone(),
            _ => panic!("a raster"),
        };
        evaluation.draw_list.items.iter().map(raster).collect()
    }

    #[test]
    fn a_state_plays_from_the_time_at_which_it_was_entered() {
        let idle = at(json!({}), 1234);
        assert_eq!((rasters(&idle), idle.changes_at), (vec![Raster::Image("idle.png".into())], None));
        let talking = at(json!({ "state": "talking", "sinceMs": 1000 }), 1234);
        assert_eq!(rasters(&talking), [Raster::Cell { asset: "talk.png".into(), grid: [4, 1], index: 2 }]);
        assert_eq!(talking.changes_at, Some(Duration::from_millis(1300)));
    }

    #[test]
    fn a_state_that_is_entered_begins_and_the_last_one_fades() {
        let moment = Moment { elapsed: Duration::from_millis(5000), utc_ms: 0 };
        let act = |name: &str, arguments| {
            Content::read(character(json!({}))).unwrap().act(&Action { name: name.into(), arguments, moment })
        };
        let entered = act("enter", json!({ "state": "talking", "fadeMs": 400 })).unwrap();
        let document = serde_json::to_value(&entered).unwrap();
        let at = |ms| {
            let items = shelf(document.clone(), json!({ "width": 80, "height": 40 }), ms, 0).1.draw_list.items;
            items.into_iter().map(|item| item.opacity).collect::<Vec<_>>()
        };
        assert_eq!((at(5000), at(5100), at(5300), at(5400)), (vec![1.0], vec![1.0, 0.5], vec![0.5, 1.0], vec![1.0]));
        assert_eq!(act("leave", json!({})), Err(Refused::Unknown(&["enter"])));
        let Err(Refused::Invalid(problems)) = act("enter", json!({ "state": "gone" })) else { panic!("no such state") };
        assert_eq!(problems.0[0].pointer, "/state");
    }

    #[test]
    fn breathing_lifts_the_head_and_leaves_the_feet() {
        let dest =
            |ms| match &at(json!({ "breathing": { "periodMs": 1000, "amount": 0.1 } }), ms).draw_list.items[0].paint {
                Paint::Raster { dest, .. } => *dest,
                _ => panic!("a raster"),
            };
        assert_eq!((dest(0).y, dest(0).bottom()), (0.0, 40.0));
        assert_eq!((dest(500).y, dest(500).bottom()), (-4.0, 40.0));
        assert_eq!(dest(250), dest(1250));
    }

    #[test]
    fn it_blinks_once_in_each_span_and_says_when() {
        let blink = Blink {
            figure: Figure::Image(serde_json::from_value(json!({ "asset": "shut.png" })).unwrap()),
            every_ms: 1000,
            duration_ms: 100,
        };
        let mut time = Duration::ZERO;
        let mut starts = Vec::new();
        while time < Duration::from_secs(50) {
            let (is_shut, until) = blink.at(time);
            assert!(until > time);
            assert_eq!(blink.at(until - Duration::from_nanos(1)).0, is_shut);
            if is_shut {
                assert_eq!(until - time, Duration::from_millis(100));
                starts.push(time.as_millis());
            }
            time = until;
        }
        assert_eq!(starts.len(), 50);
        let spread: std::collections::BTreeSet<_> = starts.iter().map(|start| start % 1000 / 100).collect();
        assert!(spread.len() >= 7, "{spread:?}");
    }

    #[test]
    fn closed_eyes_lie_over_the_figure() {
        let blink = json!({ "blink": { "figure": { "type": "image", "asset": "shut.png" }, "everyMs": 100, "durationMs": 100 } });
        let expected = ["idle.png", "shut.png"].map(|name| Raster::Image(name.into()));
        assert_eq!(rasters(&at(blink, 50)), expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(
            problem(character(json!({ "state": "gone" }))),
            ("/content/state".into(), "no such state, expected one of: idle, talking".into())
        );
        let (pointer, message) = problem(character(json!({ "states": { "talking": { "fps": 0 } } })));
        assert_eq!((&*pointer, &*message), ("/content/states/talking/fps", "0 is out of range: 0.1 to 240"));
        let (_, message) = problem(character(json!({ "states": { "idle": { "type": "clock" } } })));
        assert!(message.contains("unknown variant `clock`"), "{message}");
        let (_, message) = problem(character(json!({ "states": { "idle": { "colour": 1 } } })));
        assert!(message.contains("unknown field `colour`"), "{message}");
    }
}
