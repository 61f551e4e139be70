//! Slides that follow each other for ever: which show at a time, and how far one has given way to the next.
//!
//! ```text
//!  slot 0            slot 1            slot 2                     lap: all slots; the laps follow each other
//!  ├──────────────┼──╥──────────────┼──╥──────────────┤──╥──
//!  a              b comes in         c comes in         a comes in
//! ```
//!
//! A transition takes the first part of the slot of the slide that comes in. The first slide of all comes in without
//! one. Everything is a function of the time elapsed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Action, Planner, Refused,
    action::{Nothing, wrong},
    film::Film,
};
use crate::scene::{
    check::Check,
    draw::Paint,
    easing::Easing,
    geometry::{Affine, Rect},
};

/// How long a slide shows, in milliseconds: one frame at 10 fps to a day.
pub(super) const DWELLS_MS: std::ops::RangeInclusive<f64> = 100.0..=86_400_000.0;
/// Most slides.
pub(super) const SLIDES_MAX: usize = 256;
/// Points of the box to which a picture grows, as shares of its sides: slide after slide another one.
const FOCUS: [[f32; 2]; 4] = [[0.35, 0.35], [0.65, 0.6], [0.65, 0.35], [0.35, 0.6]];

/// How a slide gives way to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = SlideshowTransition)]
pub struct SlideTransition {
    /// In which way.
    #[serde(rename = "type")]
    pub kind: SlideTransitionKind,
    /// How long it takes, in milliseconds; at most as long as a slide shows.
    pub duration_ms: u64,
    /// How it runs.
    pub easing: Easing,
    /// Where the slides go, if they move.
    pub direction: SlideDirection,
}

/// The ways in which a slide gives way to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum SlideTransitionKind {
    /// At once.
    Cut,
    /// One through the other.
    Fade,
    /// The next pushes the last out.
    Slide,
}

/// Where slides go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the four directions")]
pub enum SlideDirection {
    #[default]
    Left,
    Right,
    Up,
    Down,
}

impl Default for SlideTransition {
    fn default() -> Self {
        let easing = Easing::try_from("easeInOutSine".to_owned());
        Self {
            kind: SlideTransitionKind::Fade,
            duration_ms: 800,
            easing: easing.unwrap_or_default(),
            direction: SlideDirection::default(),
        }
    }
}

/// A slow move of the camera over each picture, so that none stands still.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KenBurns {
    /// How much larger the picture is at one end of the move than at the other: 1 to 2.
    #[schema(minimum = 1, maximum = 2)]
    pub zoom: f64,
}

impl Default for KenBurns {
    fn default() -> Self {
        Self { zoom: 1.12 }
    }
}

impl SlideTransition {
    /// `dwell_ms` is the shortest time that a slide shows.
    pub(super) fn check(&self, dwell_ms: u64, check: &mut Check) {
        check.range("/durationMs", self.duration_ms as f64, 0.0..=dwell_ms as f64);
    }

    fn duration_ns(&self) -> u128 {
        if self.kind == SlideTransitionKind::Cut { 0 } else { ns(self.duration_ms) }
    }
}

impl KenBurns {
    pub(super) fn check(&self, check: &mut Check) {
        check.range("/zoom", self.zoom, 1.0..=2.0);
    }

    /// The picture over `dest` at `share` of its move.
    fn place(&self, dest: Rect, area: [f32; 2], index: usize, share: f32) -> Rect {
        // Every other picture is left instead of approached.
        let share = if index.is_multiple_of(2) { share } else { 1.0 - share };
        let scale = 1.0 + (self.zoom as f32 - 1.0) * share;
        let [x, y] = FOCUS[index % FOCUS.len()];
        let focus = [area[0] * x, area[1] * y];
        let about = |v: f32, focus: f32| focus + (v - focus) * scale;
        Rect::new(about(dest.x, focus[0]), about(dest.y, focus[1]), dest.w * scale, dest.h * scale)
    }
}

/// A series of slides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slides<'a> {
    pub(super) transition: &'a SlideTransition,
    pub(super) ken_burns: Option<&'a KenBurns>,
    /// Milliseconds elapsed on the stream at which the first one came in; below 0, because an action went ahead.
    pub(super) since_ms: i64,
}

/// A slide that shows, from the lowest up.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slide {
    pub(super) index: usize,
    /// When it came in.
    since: Duration,
    /// Opacity of its picture.
    opacity: f32,
    /// Opacity of what is written about it.
    pub(super) text_opacity: f32,
    /// Where it is, in widths and heights of its area.
    shift: [f32; 2],
    /// How much of its time is over, coming in and going out included.
    share: f32,
}

/// Where a time lies among slots.
struct Slot {
    index: usize,
    begin_ns: u128,
    end_ns: u128,
    is_first_of_all: bool,
}

impl Slides<'_> {
    /// The slides that show when each stays for its `dwells_ms`, with a note of when that changes. `is_covering` says
    /// that pictures fill their area, so that one fades in on the other without fading that out.
    pub(super) fn shown(&self, planner: &mut Planner<'_>, dwells_ms: &[u64], is_covering: bool) -> Vec<Slide> {
        let since_ns = i128::from(self.since_ms) * 1_000_000;
        let local_ns = (planner.moment().elapsed.as_nanos() as i128 - since_ns).max(0) as u128;
        let Some(slot) = slot_at(dwells_ms, local_ns) else { return Vec::new() };
        let time_of = |ns: u128| duration(ns as i128 + since_ns);
        if self.ken_burns.is_some() {
            planner.changes_in(Duration::ZERO);
        } else if dwells_ms.len() > 1 {
            planner.changes_at(time_of(slot.end_ns));
        }
        let length_ns = |index: usize| (ns(dwells_ms[index]) + self.transition.duration_ns()) as f32;
        let slide = |index: usize, begin_ns: u128| Slide {
            index,
            since: time_of(begin_ns),
            opacity: 1.0,
            text_opacity: 1.0,
            shift: [0.0; 2],
            share: (local_ns - begin_ns) as f32 / length_ns(index),
        };
        let current = slide(slot.index, slot.begin_ns);
        let within_ns = local_ns - slot.begin_ns;
        if slot.is_first_of_all || dwells_ms.len() == 1 || within_ns >= self.transition.duration_ns() {
            return vec![current];
        }
        planner.changes_in(Duration::ZERO);
        let last = (slot.index + dwells_ms.len() - 1) % dwells_ms.len();
        let leaving = slide(last, slot.begin_ns - ns(dwells_ms[last]));
        let share = self.transition.easing.at(within_ns as f64 / self.transition.duration_ns() as f64) as f32;
        self.cross(leaving, current, share, is_covering)
    }

    fn cross(&self, leaving: Slide, coming: Slide, share: f32, is_covering: bool) -> Vec<Slide> {
        let opacity = share.clamp(0.0, 1.0);
        let leaving = Slide { text_opacity: 1.0 - opacity, ..leaving };
        let coming = Slide { text_opacity: opacity, ..coming };
        if self.transition.kind == SlideTransitionKind::Fade {
            let [beneath, above] = if is_covering { [1.0, opacity] } else { cross_fade(opacity) };
            return vec![Slide { opacity: beneath, ..leaving }, Slide { opacity: above, ..coming }];
        }
        let [x, y]: [f32; 2] = match self.transition.direction {
            SlideDirection::Left => [-1.0, 0.0],
            SlideDirection::Right => [1.0, 0.0],
            SlideDirection::Up => [0.0, -1.0],
            SlideDirection::Down => [0.0, 1.0],
        };
        let rest = share - 1.0;
        vec![Slide { shift: [x * share, y * share], ..leaving }, Slide { shift: [x * rest, y * rest], ..coming }]
    }

    /// Draws the picture of a slide into `area` of a layer of `size`.
    pub(super) fn plan_picture(
        &self,
        planner: &mut Planner<'_>,
        size: [f32; 2],
        area: Rect,
        slide: &Slide,
        film: &dyn Film,
    ) {
        let extent = [area.w, area.h];
        let Some(natural) = film.natural(planner) else { return };
        let Some(Paint::Raster { raster, dest }) = film.paint(planner, natural, extent, slide.since) else { return };
        let dest = self.ken_burns.map_or(dest, |move_| move_.place(dest, extent, slide.index, slide.share));
        let [x, y] = [area.x + slide.shift[0] * area.w, area.y + slide.shift[1] * area.h];
        let dest = Rect::new(x + dest.x, y + dest.y, dest.w, dest.h);
        let clip = Rect::new(x, y, area.w, area.h).intersect(area);
        planner.draw_placed(size, Affine::IDENTITY, clip, slide.opacity, Paint::Raster { raster, dest });
    }
}

/// Opacities of a picture and of one that comes in above it and does not wholly cover it: first that one comes in, then
/// this one goes, so that where both are nothing shows through.
pub(super) fn cross_fade(share: f32) -> [f32; 2] {
    [(2.0 - 2.0 * share).clamp(0.0, 1.0), (2.0 * share).clamp(0.0, 1.0)]
}

/// What a series is asked to do: `next`, `previous`, `goTo` with an index.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GoTo {
    index: usize,
}

/// The names of the actions of a series.
pub(super) const ACTIONS: &[&str] = &["next", "previous", "goTo"];

/// The time at which the first slide must have come in, so that the action is done now.
pub(super) fn act(action: &Action, dwells_ms: &[u64], since_ms: i64) -> Result<i64, Refused> {
    let now_ms = i64::try_from(action.elapsed_ms()).unwrap_or(i64::MAX);
    let local_ns = i128::from(now_ms.saturating_sub(since_ms).max(0)) * 1_000_000;
    let current = slot_at(dwells_ms, local_ns as u128).map_or(0, |slot| slot.index);
    let index = match action.name.as_str() {
        "next" => action.read().map(|Nothing {}| (current + 1) % dwells_ms.len())?,
        "previous" => action.read().map(|Nothing {}| (current + dwells_ms.len() - 1) % dwells_ms.len())?,
        "goTo" => action.read::<GoTo>()?.index,
        _ => return Err(Refused::Unknown(ACTIONS)),
    };
    if index >= dwells_ms.len() {
        return Err(wrong("/index", format!("{index} is out of range: 0 to {}", dwells_ms.len() - 1)));
    }
    Ok(begin_at(now_ms, dwells_ms, index))
}

/// The time at which the first slide must have come in, so that slide `index` comes in at `now_ms`; a lap earlier, so
/// that it has one to come in over.
pub(super) fn begin_at(now_ms: i64, dwells_ms: &[u64], index: usize) -> i64 {
    let before: u64 = dwells_ms[..index].iter().sum();
    let lap: u64 = dwells_ms.iter().sum();
    now_ms.saturating_sub_unsigned(before).saturating_sub_unsigned(lap)
}

/// The slot in which a time lies; `None` without slides.
fn slot_at(dwells_ms: &[u64], local_ns: u128) -> Option<Slot> {
    let lap_ns = dwells_ms.iter().map(|&dwell| ns(dwell)).sum::<u128>();
    let lap = local_ns.checked_div(lap_ns)?;
    let mut end_ns = lap * lap_ns;
    dwells_ms.iter().enumerate().find_map(|(index, &dwell)| {
        let begin_ns = end_ns;
        end_ns += ns(dwell);
        (local_ns < end_ns).then_some(Slot { index, begin_ns, end_ns, is_first_of_all: lap == 0 && index == 0 })
    })
}

fn ns(ms: u64) -> u128 {
    u128::from(ms) * 1_000_000
}

/// A time elapsed; what lies before the stream's start is the start.
fn duration(ns: i128) -> Duration {
    Duration::from_nanos(u64::try_from(ns.max(0)).unwrap_or(u64::MAX))
}
