//! `chart`: lines, areas or bars over categories, with axes.
//!
//! ```text
//!  40 ┤┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄   grid lines at round values
//!     │        ●───●          a value for each category, in each series
//!  20 ┤┄┄┄●─┄┄┄┄┄┄┄┄┄┄┄┄┄┄
//!   0 ┼───────────────────   the base: 0, or the end of the axis that is nearest to it
//!      Mon  Tue  Wed  Thu
//! ```
//!
//! The axis reaches from `min` to `max`; what is left out follows from the values, rounded to the next grid line. Bars
//! and areas stand on 0, so that their axis has it. **Moving to new values**: give the old ones as `previous`, and with
//! `sinceMs` and `durationMs` when the values go from there to their places; without `previous` they grow from the base.
//! The axis moves with them. Stacked series, missing values and several axes are not here.

use std::{ops::Range, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Action, Fill, Kind, Planner, Refused, Style, TEXT_LEN_MAX,
    action::wrong,
    fill,
    label::{Label, Part, filled},
};
use crate::{
    base::colour::Rgba,
    scene::{
        Easing,
        check::Check,
        draw::{self, Outline, POINTS_MAX, Paint, Shape},
        geometry::Rect,
    },
};

/// Most categories: a line of so many points is walked there and back within [`POINTS_MAX`].
const CATEGORIES_MAX: usize = POINTS_MAX / 2;
/// Most series.
const SERIES_MAX: usize = 8;
/// Longest name of a series or a unit, in bytes.
const NAME_LEN_MAX: usize = 64;
/// Width and height without a size, in pixels.
const SIZE: [f32; 2] = [800.0, 450.0];
/// Values; beyond, an axis cannot be written down.
const VALUE_MAX: f64 = 1e12;
/// Farthest time of a change, in milliseconds: some 300 years.
const SINCE_MS_MAX: u64 = 10_000_000_000_000;
/// Most grid lines.
const TICKS_MAX: f64 = 10.0;

/// The document of a chart layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Chart {
    /// How values are drawn.
    pub kind: ChartKind,
    /// 1 to 64 names along the axis; an empty one is not written.
    pub categories: Vec<String>,
    /// 1 to 8, drawn one over, or for bars beside, the other.
    pub series: Vec<Series>,
    /// Bars lie, from left to right.
    #[serde(default)]
    pub horizontal: bool,
    /// Lower end of the axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -1e12, maximum = 1e12)]
    pub min: Option<f64>,
    /// Upper end of the axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -1e12, maximum = 1e12)]
    pub max: Option<f64>,
    /// Whether the values stand at their bars and points.
    #[serde(default)]
    pub value_labels: bool,
    /// Whether the axis of values is written.
    #[serde(default = "default_true")]
    pub axis_labels: bool,
    /// Whether the names of the series stand above.
    #[serde(default)]
    pub legend: bool,
    /// Written after each number, e.g. ` %`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// Decimals of the numbers; as many as the grid needs when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 6)]
    pub decimals: Option<u8>,
    /// Colour of the lines at round values; `"#00000000"` for none.
    #[serde(default = "default_grid")]
    pub grid_color: Rgba,
    /// Colour of the base line.
    #[serde(default = "default_axis")]
    pub axis_color: Rgba,
    /// Width of a line chart's lines, in pixels.
    #[serde(default = "default_line_width")]
    #[schema(minimum = 0.5, maximum = 100)]
    pub line_width: f64,
    /// Radius of the points on lines, in pixels; 0 for none.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 100)]
    pub dot_radius: f64,
    /// The share of a category's room that its bars leave free.
    #[serde(default = "default_bar_gap")]
    #[schema(minimum = 0, maximum = 0.95)]
    pub bar_gap: f64,
    /// Radius of a bar's corners, in pixels.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 10000)]
    pub corner_radius: f64,
    /// How names and numbers look. Its `background`, `padding` and `cornerRadius` are those of the whole chart.
    #[serde(default = "default_style")]
    pub style: Style,
    /// Milliseconds elapsed on the stream when the values set out.
    #[serde(default)]
    pub since_ms: u64,
    /// Milliseconds until they are there; 0 for at once.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 86400000)]
    pub duration_ms: u64,
    /// How they go.
    #[serde(default = "default_easing")]
    pub easing: Easing,
}

/// How a chart draws values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ChartKind {
    /// A line through them.
    Line,
    /// The same, filled down to the base.
    Area,
    /// A bar for each.
    Bar,
}

/// One row of values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Series {
    /// For the legend.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Colour of its line and its bars.
    #[serde(default = "default_color")]
    pub color: Rgba,
    /// What fills bars and areas; the colour, for areas at a quarter of its strength, when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<Fill>,
    /// One for each category.
    #[schema(minimum = -1e12, maximum = 1e12)]
    pub values: Vec<f64>,
    /// What they come from; the base when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -1e12, maximum = 1e12)]
    pub previous: Option<Vec<f64>>,
}

fn default_true() -> bool {
    true
}
fn default_color() -> Rgba {
    Rgba::WHITE
}
fn default_grid() -> Rgba {
    Rgba::new(255, 255, 255, 36)
}
fn default_axis() -> Rgba {
    Rgba::new(255, 255, 255, 128)
}
fn default_line_width() -> f64 {
    4.0
}
fn default_bar_gap() -> f64 {
    0.35
}
fn default_style() -> Style {
    Style { size: 18.0, weight: 500, ..Style::default() }
}
fn default_easing() -> Easing {
    "easeOutCubic".parse().unwrap_or_default()
}

impl Kind for Chart {
    const TYPE: &'static str = "chart";

    fn check(&self, check: &mut Check) {
        check.count("/categories", "categories", self.categories.len(), 1..=CATEGORIES_MAX);
        let bytes = self.categories.iter().map(String::len).sum();
        check.count("/categories", "bytes in all", bytes, 0..=TEXT_LEN_MAX);
        check.count("/series", "series", self.series.len(), 1..=SERIES_MAX);
        for (i, series) in self.series.iter().enumerate() {
            check.part(&format!("/series/{i}"), |check| series.check(check, self.categories.len()));
        }
        let mut end = |pointer, value: Option<f64>| {
            value.iter().for_each(|&value| check.range(pointer, value, -VALUE_MAX..=VALUE_MAX));
        };
        end("/min", self.min);
        end("/max", self.max);
        if let (Some(min), Some(max)) = (self.min, self.max) {
            check.that("/max", min < max, || format!("{max} must be above min, {min}"));
        }
        check.that("/horizontal", !self.horizontal || self.kind == ChartKind::Bar, || "only bars can lie".into());
        check.count("/unit", "bytes", self.unit.len(), 0..=NAME_LEN_MAX);
        check.range("/decimals", f64::from(self.decimals.unwrap_or_default()), 0.0..=6.0);
        check.range("/lineWidth", self.line_width, 0.5..=100.0);
        check.range("/dotRadius", self.dot_radius, 0.0..=100.0);
        check.range("/barGap", self.bar_gap, 0.0..=0.95);
        check.range("/cornerRadius", self.corner_radius, 0.0..=10_000.0);
        check.part("/style", |check| self.style.check(check));
        check.range("/sinceMs", self.since_ms as f64, 0.0..=SINCE_MS_MAX as f64);
        check.range("/durationMs", self.duration_ms as f64, 0.0..=86_400_000.0);
    }

    fn fonts(&self) -> Vec<&str> {
        vec![&self.style.font]
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let size = planner.size_or(SIZE);
        self.style.plan_background(planner, size);
        let gone = self.gone(planner);
        let ticks_wanted = self.ticks_wanted(size);
        let axis = self.axis_at(gone, ticks_wanted);
        let inside = Rect::at_origin(size).inflate(-(self.style.padding as f32));
        let Some(frame) = self.frame(planner, size, inside, &axis) else { return };
        frame.plan_grid(planner);
        match self.kind {
            ChartKind::Bar => frame.plan_bars(planner, gone),
            ChartKind::Line | ChartKind::Area => frame.plan_lines(planner, gone),
        }
        frame.plan_base(planner);
        frame.plan_categories(planner);
        if self.value_labels {
            frame.plan_values(planner, gone);
        }
    }

    /// `set`: other values, to which the old ones go in `durationMs`.
    fn act(&self, action: &Action) -> Result<Self, Refused> {
        if action.name != "set" {
            return Err(Refused::Unknown(&["set"]));
        }
        let Set { values, duration_ms } = action.read()?;
        if values.len() != self.series.len() {
            return Err(wrong("/values", format!("expected {} rows, one for each series", self.series.len())));
        }
        let shown = self.gone_at(action.moment.elapsed);
        let base = self.axis_at(shown, 2.0).base();
        let rows = self.series.iter().zip(values);
        let moved = |(series, values): (&Series, Vec<f64>)| {
            let previous = (0..series.values.len()).map(|i| series.value_at(i, shown, base)).collect();
            Series { values, previous: Some(previous), ..series.clone() }
        };
        let duration_ms = duration_ms.unwrap_or(DURATION_MS);
        Ok(Self { series: rows.map(moved).collect(), since_ms: action.elapsed_ms(), duration_ms, ..self.clone() })
    }
}

/// How long values go to their places by an action that does not say it.
const DURATION_MS: u64 = 800;

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Set {
    values: Vec<Vec<f64>>,
    duration_ms: Option<u64>,
}

impl Series {
    fn check(&self, check: &mut Check, categories: usize) {
        check.count("/name", "bytes", self.name.len(), 0..=NAME_LEN_MAX);
        self.fill.iter().for_each(|fill| check.part("/fill", |check| fill.check(check)));
        let rows = [("/values", Some(&self.values)), ("/previous", self.previous.as_ref())];
        for (pointer, row) in rows.into_iter().filter_map(|(pointer, row)| Some((pointer, row?))) {
            check.count(pointer, "values (one for each category)", row.len(), categories..=categories);
            for (i, &value) in row.iter().enumerate() {
                check.range(&format!("{pointer}/{i}"), value, -VALUE_MAX..=VALUE_MAX);
            }
        }
    }

    /// The value of a category when `gone` of the way to it has been gone, from `base` where there was none.
    fn value_at(&self, category: usize, gone: f64, base: f64) -> f64 {
        let value = self.values[category];
        let previous = self.previous.as_ref().map_or(base, |previous| previous[category]);
        previous + (value - previous) * gone
    }
}

/// The axis of values.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Axis {
    min: f64,
    max: f64,
    /// From one grid line to the next, above 0.
    step: f64,
}

impl Axis {
    /// Where values grow from.
    fn base(&self) -> f64 {
        0.0_f64.clamp(self.min, self.max)
    }

    /// 0 at the lower end to 1 at the upper one; values beyond the ends stay there.
    fn share(&self, value: f64) -> f32 {
        ((value - self.min) / (self.max - self.min)).clamp(0.0, 1.0) as f32
    }

    /// The round values within its ends; a billionth of a step is what their product may be off by.
    fn ticks(&self) -> impl Iterator<Item = f64> {
        let (step, slack) = (self.step, 1e-9);
        let (first, last) = ((self.min / step - slack).ceil(), (self.max / step + slack).floor());
        let count = (last - first).clamp(-1.0, TICKS_MAX * 4.0) as i64 + 1;
        (0..count).map(move |i| (first + i as f64) * step)
    }

    /// Decimals that tell its grid lines apart.
    fn decimals(&self) -> usize {
        (-(self.step.log10() + 1e-9).floor()).clamp(0.0, 6.0) as usize
    }
}

/// 1, 2 or 5 times a power of ten: the smallest that is at least `least`.
fn round_step(least: f64) -> f64 {
    let power = 10.0_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= least * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

impl Chart {
    /// The share of the way to the values that has been gone; says how long that holds.
    fn gone(&self, planner: &mut Planner<'_>) -> f64 {
        let elapsed = planner.moment().elapsed;
        let (since, span) = (Duration::from_millis(self.since_ms), Duration::from_millis(self.duration_ms));
        if !span.is_zero() && elapsed < since + span {
            planner.changes_at(since.max(elapsed));
        }
        self.gone_at(elapsed)
    }

    fn gone_at(&self, elapsed: Duration) -> f64 {
        let (since, span) = (Duration::from_millis(self.since_ms), Duration::from_millis(self.duration_ms));
        if span.is_zero() || elapsed >= since + span {
            return 1.0;
        }
        self.easing.at(elapsed.saturating_sub(since).as_secs_f64() / span.as_secs_f64())
    }

    /// So many grid lines that their numbers have room.
    fn ticks_wanted(&self, size: [f32; 2]) -> f64 {
        let (length, room) =
            if self.horizontal { (size[0], self.style.size * 6.0) } else { (size[1], self.style.size * 3.5) };
        (f64::from(length) / room).floor().clamp(2.0, TICKS_MAX)
    }

    /// The axis when `gone` of the way has been gone from that of the old values to that of the new ones.
    fn axis_at(&self, gone: f64, ticks: f64) -> Axis {
        let new = self.axis_of(self.series.iter().map(|series| &series.values), ticks);
        let has_old = self.series.iter().any(|series| series.previous.is_some());
        if gone >= 1.0 || !has_old {
            return new;
        }
        let old =
            self.axis_of(self.series.iter().map(|series| series.previous.as_ref().unwrap_or(&series.values)), ticks);
        let between = |old: f64, new: f64| old + (new - old) * gone.clamp(0.0, 1.0);
        Axis { min: between(old.min, new.min), max: between(old.max, new.max), step: new.step }
    }

    fn axis_of<'a>(&self, rows: impl Iterator<Item = &'a Vec<f64>>, ticks: f64) -> Axis {
        let stands_on_zero = (self.kind != ChartKind::Line).then_some(0.0);
        let values = rows.flatten().copied().chain(stands_on_zero);
        let (least, most) = values.fold((f64::MAX, f64::MIN), |(least, most), v| (least.min(v), most.max(v)));
        let (mut low, mut high) = (self.min.unwrap_or(least), self.max.unwrap_or(most));
        // All values the same, or beyond the one end that was given: some room is made, so that there is an axis.
        if high <= low && self.max.is_some() {
            low = high - high.abs().max(1.0);
        } else if high <= low {
            high = low + low.abs().max(1.0);
        }
        let step = round_step((high - low) / ticks);
        Axis {
            min: self.min.unwrap_or_else(|| (low / step + 1e-9).floor() * step),
            max: self.max.unwrap_or_else(|| (high / step - 1e-9).ceil() * step),
            step,
        }
    }

    fn number(&self, value: f64, decimals: usize) -> String {
        let text = format!("{value:.*}", self.decimals.map_or(decimals, usize::from));
        // What is rounded to 0 has no sign.
        let is_zero = text.bytes().all(|b| matches!(b, b'-' | b'0' | b'.'));
        let text = if is_zero { text.trim_start_matches('-') } else { &text };
        format!("{text}{}", self.unit)
    }

    /// What lies where; nothing until the labels are measured that its edges depend on.
    fn frame<'a>(
        &'a self,
        planner: &mut Planner<'_>,
        size: [f32; 2],
        inside: Rect,
        axis: &'a Axis,
    ) -> Option<Frame<'a>> {
        let gap = self.style.size as f32 * 0.6;
        let label = |planner: &mut _, tick| self.axis_labels.then(|| self.tick(planner, axis, tick)).flatten();
        let ticks: Vec<(f64, Option<Label>)> = axis.ticks().map(|tick| (tick, label(planner, tick))).collect();
        if self.axis_labels && ticks.iter().all(|(_, label)| label.is_none()) {
            return None;
        }
        let names: Vec<_> = self.categories.iter().map(|name| Label::line(planner, &self.style, name)).collect();
        let top = if self.legend { self.plan_legend(planner, size, inside) + gap } else { 0.0 };
        let numbers = widest(ticks.iter().filter_map(|(_, label)| label.as_ref()));
        let [left, above, right, below] = if self.horizontal {
            self.edges_lying(planner, gap, numbers, widest(names.iter().flatten()))
        } else {
            self.edges_standing(axis, gap, numbers, names.iter().any(Option::is_some))
        };
        let (width, height) = (inside.w - left - right, inside.h - top - above - below);
        let plot = Rect::new(inside.x + left, inside.y + top + above, width, height);
        Some(Frame { chart: self, size, inside, plot, axis, ticks, names, gap })
    }

    fn tick(&self, planner: &mut Planner<'_>, axis: &Axis, tick: f64) -> Option<Label> {
        Label::line(planner, &self.style, &self.number(tick, axis.decimals()))
    }

    /// Height of a line of text.
    fn line(&self) -> f32 {
        (self.style.size * self.style.line_height) as f32
    }

    /// What the labels take at the left, the top, the right and the bottom: numbers beside, names below; and above, or
    /// hanging below the bars, their values.
    fn edges_standing(&self, axis: &Axis, gap: f32, numbers: f32, has_names: bool) -> [f32; 4] {
        let value = if self.value_labels { self.line() * 1.1 + self.dot_radius as f32 } else { 0.0 };
        let above = if self.axis_labels { value.max(self.line() / 2.0) } else { value };
        let hanging = if axis.min < axis.base() { value } else { 0.0 };
        let names = if has_names { self.line() + gap } else { 0.0 };
        [if numbers > 0.0 { numbers + gap } else { 0.0 }, above, 0.0, names + hanging]
    }

    /// The same for lying bars: names beside, numbers below, values at the right.
    fn edges_lying(&self, planner: &mut Planner<'_>, gap: f32, numbers: f32, names: f32) -> [f32; 4] {
        let all = self.series.iter().flat_map(|series| &series.values).filter(|_| self.value_labels);
        let values: Vec<_> = all.filter_map(|&value| self.value_label(planner, value)).collect();
        let right = if values.is_empty() { numbers / 2.0 } else { widest(values.iter()) + gap };
        let below = if numbers > 0.0 { self.line() + gap } else { 0.0 };
        [if names > 0.0 { names + gap } else { 0.0 }, 0.0, right, below]
    }

    /// A value with as few decimals as write it, and at most three.
    fn value_label(&self, planner: &mut Planner<'_>, value: f64) -> Option<Label> {
        let decimals = (0..3).find(|&decimals| format!("{value:.decimals$}").parse() == Ok(value)).unwrap_or(3);
        Label::line(planner, &self.style, &self.number(value, decimals))
    }

    /// Draws the names of the series in a row; their height.
    fn plan_legend(&self, planner: &mut Planner<'_>, size: [f32; 2], inside: Rect) -> f32 {
        let em = self.style.size as f32;
        let line = self.line();
        let mut x = inside.x;
        for series in &self.series {
            let Some(label) = Label::line(planner, &self.style, &series.name) else { continue };
            let mark = Rect::new(x, inside.y + (line - em * 0.6) / 2.0, em * 0.6, em * 0.6);
            draw(planner, size, mark, filled(mark, em * 0.15, draw::Fill::Solid(series.color)));
            label.plan(planner, size, Part::within(inside), [x + em, inside.y]);
            x += label.block[0] + em * 2.4;
        }
        line
    }
}

/// The width of the widest label.
fn widest<'a>(labels: impl Iterator<Item = &'a Label>) -> f32 {
    labels.map(|label| label.block[0]).fold(0.0, f32::max)
}

/// Draws what lies in `rect`, with room for its antialiased edges.
fn draw(planner: &mut Planner<'_>, size: [f32; 2], rect: Rect, paint: Paint) {
    Part::within(rect.inflate(1.0)).draw(planner, size, paint);
}

/// A chart with the places of its parts.
struct Frame<'a> {
    chart: &'a Chart,
    size: [f32; 2],
    inside: Rect,
    /// Where values are.
    plot: Rect,
    axis: &'a Axis,
    ticks: Vec<(f64, Option<Label>)>,
    names: Vec<Option<Label>>,
    /// Between the plot and its labels.
    gap: f32,
}

impl Frame<'_> {
    /// Where a value lies: y, or x of lying bars.
    fn along(&self, value: f64) -> f32 {
        let share = self.axis.share(value);
        if self.chart.horizontal { self.plot.x + share * self.plot.w } else { self.plot.bottom() - share * self.plot.h }
    }

    /// The room of a category: x, or y of lying bars.
    fn room(&self, category: usize) -> Range<f32> {
        let (start, length) =
            if self.chart.horizontal { (self.plot.y, self.plot.h) } else { (self.plot.x, self.plot.w) };
        let count = self.chart.categories.len() as f32;
        start + length * category as f32 / count..start + length * (category + 1) as f32 / count
    }

    /// From one end of the plot to the other, at a value; on whole pixels, where it is crisp.
    fn plan_rule(&self, planner: &mut Planner<'_>, value: f64, colour: Rgba, width: f32) {
        if colour.a == 0 {
            return;
        }
        let at = (self.along(value) - width / 2.0).round();
        let rect = if self.chart.horizontal {
            Rect::new(at, self.plot.y, width, self.plot.h)
        } else {
            Rect::new(self.plot.x, at, self.plot.w, width)
        };
        Part::within(rect).draw(planner, self.size, Paint::Solid(colour));
    }

    fn plan_grid(&self, planner: &mut Planner<'_>) {
        let part = Part::within(Rect::at_origin(self.size));
        for (tick, label) in &self.ticks {
            self.plan_rule(planner, *tick, self.chart.grid_color, 1.0);
            let Some(label) = label else { continue };
            let at = self.along(*tick);
            let origin = if self.chart.horizontal {
                [at - label.block[0] / 2.0, self.plot.bottom() + self.gap]
            } else {
                [self.plot.x - self.gap - label.block[0], at - label.block[1] / 2.0]
            };
            label.plan(planner, self.size, part, origin);
        }
    }

    fn plan_base(&self, planner: &mut Planner<'_>) {
        self.plan_rule(planner, self.axis.base(), self.chart.axis_color, 2.0);
    }

    /// Every name that has room after the one before.
    fn plan_categories(&self, planner: &mut Planner<'_>) {
        let part = Part::within(Rect::at_origin(self.size));
        let mut free = f32::MIN;
        for (i, label) in self.names.iter().enumerate() {
            let Some(label) = label else { continue };
            let room = self.room(i);
            let middle = f32::midpoint(room.start, room.end);
            let (start, length) = if self.chart.horizontal {
                (middle - label.block[1] / 2.0, label.block[1])
            } else {
                (middle - label.block[0] / 2.0, label.block[0] + self.gap)
            };
            if start < free {
                continue;
            }
            free = start + length;
            let origin = if self.chart.horizontal {
                [self.plot.x - self.gap - label.block[0], start]
            } else {
                // Below what hangs from the base.
                [start, self.inside.bottom() - label.block[1]]
            };
            label.plan(planner, self.size, part, origin);
        }
    }

    fn value(&self, series: &Series, category: usize, gone: f64) -> f64 {
        series.value_at(category, gone, self.axis.base())
    }

    /// The box of a bar, from the base to its value.
    fn bar(&self, series: usize, category: usize, value: f64) -> Rect {
        let room = self.room(category);
        let width = room.end - room.start;
        let free = width * self.chart.bar_gap as f32;
        let thickness = (width - free) / self.chart.series.len() as f32;
        let across = room.start + free / 2.0 + thickness * series as f32;
        let (base, end) = (self.along(self.axis.base()), self.along(value));
        let (from, length) = (base.min(end), (base - end).abs());
        if self.chart.horizontal {
            Rect::new(from, across, length, thickness)
        } else {
            Rect::new(across, from, thickness, length)
        }
    }

    fn plan_bars(&self, planner: &mut Planner<'_>, gone: f64) {
        for (s, series) in self.chart.series.iter().enumerate() {
            for category in 0..self.chart.categories.len() {
                let value = self.value(series, category, gone);
                let bar = self.bar(s, category, value);
                let radius = (self.chart.corner_radius as f32).min(bar.w.max(bar.h) / 2.0);
                // Only the far end is round: the near one reaches beyond the base, and is cut there.
                let is_up = value >= self.axis.base();
                let whole = match (self.chart.horizontal, is_up) {
                    (true, true) => Rect::new(bar.x - radius, bar.y, bar.w + radius, bar.h),
                    (true, false) => Rect::new(bar.x, bar.y, bar.w + radius, bar.h),
                    (false, true) => Rect::new(bar.x, bar.y, bar.w, bar.h + radius),
                    (false, false) => Rect::new(bar.x, bar.y - radius, bar.w, bar.h + radius),
                };
                let fill = series.fill.as_ref().map_or(draw::Fill::Solid(series.color), |fill| fill::over(fill, bar));
                Part::within(bar).draw(planner, self.size, filled(whole, radius, fill));
            }
        }
    }

    /// The points of a series, in the middle of each category's room.
    fn points(&self, series: &Series, gone: f64) -> Vec<[f32; 2]> {
        let point = |category| {
            let room = self.room(category);
            [f32::midpoint(room.start, room.end), self.along(self.value(series, category, gone))]
        };
        (0..self.chart.categories.len()).map(point).collect()
    }

    fn plan_lines(&self, planner: &mut Planner<'_>, gone: f64) {
        let width = self.chart.line_width as f32;
        for series in &self.chart.series {
            let points = self.points(series, gone);
            if self.chart.kind == ChartKind::Area {
                self.plan_area(planner, series, &points);
            }
            if points.len() > 1 {
                draw(planner, self.size, around(&points).inflate(width / 2.0), polyline(&points, series.color, width));
            }
            let lone = if points.len() == 1 { width } else { 0.0 };
            let radius = (self.chart.dot_radius as f32).max(lone);
            for &[x, y] in points.iter().filter(|_| radius > 0.0) {
                let rect = Rect::new(x - radius, y - radius, 2.0 * radius, 2.0 * radius);
                draw(planner, self.size, rect, filled(rect, radius, draw::Fill::Solid(series.color)));
            }
        }
    }

    fn plan_area(&self, planner: &mut Planner<'_>, series: &Series, points: &[[f32; 2]]) {
        let base = self.along(self.axis.base());
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
        let corners: Vec<_> = points.iter().copied().chain([[last[0], base], [first[0], base]]).collect();
        let bounds = around(&corners);
        if bounds.is_empty() {
            return;
        }
        let faint = || draw::Fill::Solid(Rgba { a: series.color.a / 4, ..series.color });
        // A gradient is that of the whole plot, so that it stays in place while the values move.
        let fill = series.fill.as_ref().map_or_else(faint, |fill| fill::over(fill, self.plot));
        let shape = Shape { outline: Outline::Polygon { points: corners }, fill: Some(fill), stroke: None };
        draw(planner, self.size, bounds, Paint::Shape(Arc::new(shape)));
    }

    /// The number at the end of each bar, and above each point.
    fn plan_values(&self, planner: &mut Planner<'_>, gone: f64) {
        let part = Part::within(self.inside);
        for (s, series) in self.chart.series.iter().enumerate() {
            let points = self.points_for_labels(s, series, gone);
            for (category, [x, y]) in points.into_iter().enumerate() {
                // The number that is meant stands there from the start: running digits would have to be set for each
                // frame, and nobody can read them.
                let value = series.values[category];
                let Some(label) = self.chart.value_label(planner, value) else { continue };
                let [w, h] = label.block;
                let far = self.gap * 0.4 + self.chart.dot_radius as f32;
                let is_up = self.value(series, category, gone) >= self.axis.base();
                let origin = match (self.chart.horizontal, is_up) {
                    (true, true) => [x + self.gap, y - h / 2.0],
                    (true, false) => [x - self.gap - w, y - h / 2.0],
                    (false, true) => [x - w / 2.0, y - far - h],
                    (false, false) => [x - w / 2.0, y + far],
                };
                if gone < 1.0 {
                    label.plan_moving(planner, self.size, part, origin);
                } else {
                    label.plan(planner, self.size, part, origin);
                }
            }
        }
    }

    fn points_for_labels(&self, index: usize, series: &Series, gone: f64) -> Vec<[f32; 2]> {
        if self.chart.kind != ChartKind::Bar {
            return self.points(series, gone);
        }
        let end = |category| {
            let value = self.value(series, category, gone);
            let (bar, end) = (self.bar(index, category, value), self.along(value));
            if self.chart.horizontal { [end, bar.y + bar.h / 2.0] } else { [bar.x + bar.w / 2.0, end] }
        };
        (0..self.chart.categories.len()).map(end).collect()
    }
}

/// The smallest rectangle around points.
fn around(points: &[[f32; 2]]) -> Rect {
    let min = |i: usize| points.iter().map(|p| p[i]).fold(f32::INFINITY, f32::min);
    let max = |i: usize| points.iter().map(|p| p[i]).fold(f32::NEG_INFINITY, f32::max);
    Rect::new(min(0), min(1), max(0) - min(0), max(1) - min(1))
}

/// A line through 2 to 64 points, with round joins and ends: the stroke of a polygon that goes there and back by the
/// same way, and has no inside. Separate segments would show gaps and, where translucent, overlaps at their joins.
fn polyline(points: &[[f32; 2]], colour: Rgba, width: f32) -> Paint {
    let there = points.iter().copied();
    let back = points.iter().rev().skip(1).copied().take(points.len().saturating_sub(2));
    let mut points: Vec<_> = there.chain(back).collect();
    // Two points there and back are no polygon yet.
    if let [a, b] = points[..] {
        points.push([f32::midpoint(a[0], b[0]), f32::midpoint(a[1], b[1])]);
    }
    let stroke = Some(draw::Stroke { colour, width });
    Paint::Shape(Arc::new(Shape { outline: Outline::Polygon { points }, fill: None, stroke }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::scene::{
        content::testing::{act, problem, shelf, texts},
        draw::DrawItem,
    };

    /// 400 x 248 px; letters are 10 px wide, lines 24 px high, the gap to labels is 12 px.
    fn chart(fields: Value) -> Value {
        let mut document = json!({ "type": "chart", "kind": "bar", "categories": ["A", "B"],
            "series": [{ "color": "#ff0000", "values": [10, 20] }], "barGap": 0.5, "style": { "size": 20 } });
        json_patch::merge(&mut document, &fields);
        document
    }

    fn items(fields: Value, elapsed_ms: u64) -> Vec<DrawItem> {
        shelf(chart(fields), json!({ "width": 400, "height": 248 }), elapsed_ms, 0).1.draw_list.items
    }

    /// The clips of the red bars.
    fn bars(items: &[DrawItem]) -> Vec<Rect> {
        let is_red = |fill: &Option<draw::Fill>| *fill == Some(draw::Fill::Solid(Rgba::new(255, 0, 0, 255)));
        let is_bar = |item: &&DrawItem| matches!(&item.paint, Paint::Shape(shape) if is_red(&shape.fill));
        items.iter().filter(is_bar).map(|item| item.clip).collect()
    }

    fn labels(fields: Value) -> Vec<(String, Rect)> {
        texts(&items(fields, 0))
    }

    fn axis(fields: Value, ticks: f64) -> Axis {
        let mut document = chart(fields);
        document.as_object_mut().unwrap().remove("type");
        let chart: Chart = serde_json::from_value(document).unwrap();
        chart.axis_at(1.0, ticks)
    }

    #[test]
    fn bars_stand_on_the_base() {
        // The plot is 400 - 20 - 12 px wide and 248 - 12 - 24 - 12 = 200 px high, for 0 to 20.
        let bars = bars(&items(json!({}), 0));
        assert_eq!(bars, [Rect::new(78.0, 112.0, 92.0, 100.0), Rect::new(262.0, 12.0, 92.0, 200.0)]);
        let found = labels(json!({}));
        assert_eq!(found[0], ("0".into(), Rect::new(10.0, 200.0, 10.0, 24.0)), "beside the base");
        assert_eq!(found[2].0, "20");
        assert_eq!(found[3], ("A".into(), Rect::new(119.0, 224.0, 10.0, 24.0)), "under its bar");
    }

    #[test]
    fn bars_below_zero_hang() {
        let bars = bars(&items(json!({ "series": [{ "color": "#ff0000", "values": [-10, 10] }] }), 0));
        assert_eq!((bars[0].y, bars[1].bottom()), (112.0, 112.0));
    }

    #[test]
    fn lying_bars_grow_to_the_right() {
        let bars = bars(&items(json!({ "horizontal": true, "axisLabels": false }), 0));
        // Names are 10 px wide; there is one row for each 248 / 2 px.
        assert_eq!(bars[0].x, 22.0);
        assert_eq!((bars[0].y, bars[0].h, bars[1].y), (31.0, 62.0, 155.0));
        assert_eq!(bars[0].w * 2.0, bars[1].w);
    }

    #[test]
    fn the_axis_ends_at_round_values() {
        let values = |values: Value| json!({ "kind": "line", "series": [{ "values": values }] });
        assert_eq!(axis(values(json!([3, 97])), 5.0), Axis { min: 0.0, max: 100.0, step: 20.0 });
        assert_eq!(axis(values(json!([1013, 1021])), 4.0), Axis { min: 1012.0, max: 1022.0, step: 2.0 });
        assert_eq!(axis(values(json!([-0.3, 0.3])), 6.0).ticks().count(), 7);
        assert_eq!(axis(values(json!([7, 7])), 4.0).max, 14.0, "one value has an axis too");
        let fixed = json!({ "min": -5, "max": 25 });
        assert_eq!(axis(fixed, 4.0), Axis { min: -5.0, max: 25.0, step: 10.0 });
        let above: Vec<_> = axis(json!({ "min": -5, "max": 25 }), 4.0).ticks().collect();
        assert_eq!(above, [0.0, 10.0, 20.0]);
        assert_eq!(axis(json!({ "max": -5 }), 4.0).base(), -5.0, "a base that is off the axis is its end");
    }

    #[test]
    fn values_go_from_the_old_to_the_new() {
        let moving = |at| {
            let series = json!([{ "color": "#ff0000", "values": [20, 10], "previous": [10, 20] }]);
            let fields =
                json!({ "series": series, "sinceMs": 1000, "durationMs": 1000, "easing": "linear", "max": 20 });
            bars(&items(fields, at)).iter().map(|bar| bar.h).collect::<Vec<_>>()
        };
        assert_eq!(moving(0), [100.0, 200.0]);
        assert_eq!(moving(1500), [150.0, 150.0]);
        assert_eq!(moving(2000), [200.0, 100.0]);
        let growing = json!({ "durationMs": 1000, "easing": "linear" });
        assert_eq!(bars(&items(growing.clone(), 500)).iter().map(|bar| bar.h).collect::<Vec<_>>(), [50.0, 100.0]);
        let changes = |at| shelf(chart(json!({ "sinceMs": 1000, "durationMs": 1000 })), json!({}), at, 0).1.changes_at;
        assert_eq!(changes(0), Some(Duration::from_secs(1)));
        assert_eq!(changes(1500), Some(Duration::from_millis(1500)));
        assert_eq!(changes(2000), None);
    }

    #[test]
    fn an_action_sets_out_from_what_is_shown() {
        let halfway = chart(json!({ "durationMs": 1000, "easing": "linear" }));
        let done = act(halfway, "set", json!({ "values": [[1, 2]] }), 500, 0).unwrap();
        let series = &done["series"][0];
        assert_eq!((&series["previous"], &series["values"]), (&json!([5.0, 10.0]), &json!([1.0, 2.0])));
        assert_eq!((&done["sinceMs"], &done["durationMs"]), (&json!(500), &json!(800)));
        let refused = |arguments| act(chart(json!({})), "set", arguments, 0, 0).unwrap_err();
        assert_eq!(refused(json!({ "values": [] })), "/values");
        assert_eq!(refused(json!({ "values": [[1]] })), "/series/0/values");
    }

    #[test]
    fn a_line_goes_there_and_back() {
        let points = [[0.0, 0.0], [10.0, 5.0], [20.0, 0.0]];
        let outline = |points: &[[f32; 2]]| match polyline(points, Rgba::WHITE, 2.0) {
            Paint::Shape(shape) => shape.outline.clone(),
            _ => panic!("a shape"),
        };
        assert_eq!(outline(&points), Outline::Polygon { points: vec![points[0], points[1], points[2], points[1]] });
        assert_eq!(outline(&points[..2]), Outline::Polygon { points: vec![points[0], points[1], [5.0, 2.5]] });
        let Outline::Polygon { points } = outline(&[[1.0, 2.0]; CATEGORIES_MAX]) else { panic!("a polygon") };
        assert!(points.len() <= POINTS_MAX);
    }

    #[test]
    fn numbers_are_written_short() {
        let text = |fields| labels(fields).into_iter().map(|(text, _)| text).collect::<Vec<_>>();
        let few = json!({ "kind": "line", "unit": " °C", "valueLabels": true, "axisLabels": false, "categories": ["", ""],
            "series": [{ "values": [-0.5, 12] }] });
        assert_eq!(text(few.clone()), ["-0.5 °C", "12 °C"]);
        let mut none = few;
        none["decimals"] = json!(0);
        assert_eq!(text(none), ["0 °C", "12 °C"], "no minus before nothing");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (fields, pointer) in [
            (json!({ "categories": [] }), "/content/categories"),
            (json!({ "series": [] }), "/content/series"),
            (json!({ "series": [{ "values": [1] }] }), "/content/series/0/values"),
            (json!({ "series": [{ "values": [1, 1e13] }] }), "/content/series/0/values/1"),
            (json!({ "series": [{ "values": [1, 2], "previous": [] }] }), "/content/series/0/previous"),
            (json!({ "min": 5, "max": 5 }), "/content/max"),
            (json!({ "kind": "line", "horizontal": true }), "/content/horizontal"),
            (json!({ "easing": "wobble" }), "/content/easing"),
            (json!({ "kind": "pie" }), "/content/kind"),
        ] {
            assert_eq!(problem(chart(fields)).0, pointer);
        }
    }

    proptest! {
        /// Whatever the values are, the axis has a few round lines, and they are within its ends.
        #[test]
        fn there_is_always_an_axis(values in proptest::collection::vec(-1e12..1e12f64, 1..8), exponent in -12..1i32, ticks in 2..10u8) {
            let scale = 10.0_f64.powi(exponent);
            let values: Vec<f64> = values.iter().map(|value| value * scale).collect();
            let categories = vec![""; values.len()];
            let axis = axis(json!({ "kind": "line", "categories": categories, "series": [{ "values": values }] }), f64::from(ticks));
            prop_assert!(axis.min < axis.max && axis.step > 0.0, "{:?}", axis);
            prop_assert!((2..=12).contains(&axis.ticks().count()), "{:?}", axis);
            prop_assert!(values.iter().all(|&value| (axis.min..=axis.max).contains(&value)), "{:?} {:?}", axis, values);
        }
    }
}
