//! `scoreboard`: two teams with their scores, and the clock and the period between them, on one bar.
//!
//! ```text
//!  ┌─┬───────────────┬───────┬───────────┬───────┬───────────────┬─┐
//!  │▌│ name          │ score │   clock   │ score │          name │▐│   h high; scores h wide, the middle 1.75 h,
//!  │▌│               │       │  period   │       │               │▐│   stripes in the teams' colours h / 8
//!  └─┴───────────────┴───────┴───────────┴───────┴───────────────┴─┘
//! ```
//!
//! All sizes follow from the box's height, and the names share what is left of its width: a name that does not fit
//! gives way to the short name. Without a size the box is 800 x 64. Clock and period are texts; for a clock that runs by
//! itself leave them out and lay a `timer` on the gap. Logos, set scores and animated changes are not here.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Action, Kind, Planner, Refused, Style, text::set};
use crate::{
    base::colour::Rgba,
    scene::{
        check::Check,
        draw::{Align, Fill, Outline, Paint, Raster, Shape},
        geometry::Rect,
    },
};

/// Width and height without a size, in pixels.
const SIZE: [f32; 2] = [800.0, 64.0];
/// Longest text, in bytes.
const TEXT_LEN_MAX: usize = 256;
/// Font sizes in parts of the height: the digits of a score are some 0.4 of it high.
const NAME_SIZE: f32 = 0.4;
const SCORE_SIZE: f32 = 0.55;
const CLOCK_SIZE: f32 = 0.36;
const PERIOD_SIZE: f32 = 0.24;
/// Widths in parts of the height.
const STRIPE: f32 = 0.125;
const MIDDLE: f32 = 1.75;
const MARGIN: f32 = 0.2;

/// The document of a scoreboard layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scoreboard {
    /// On the left.
    pub home: Team,
    /// On the right.
    pub away: Team,
    /// Between the scores, e.g. `45:00`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub clock: String,
    /// Under the clock, e.g. `1st half`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub period: String,
    /// Font family.
    #[serde(default = "default_font")]
    pub font: String,
    /// Colour of all letters.
    #[serde(default = "default_color")]
    pub color: Rgba,
    /// Colour of the bar.
    #[serde(default = "default_background")]
    pub background: Rgba,
    /// Colour behind the scores.
    #[serde(default = "default_score_background")]
    pub score_background: Rgba,
}

/// One side of a scoreboard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Team {
    /// E.g. `Borussia Dortmund`.
    pub name: String,
    /// E.g. `BVB`: shown where the name does not fit.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub short_name: String,
    /// Colour of its stripe.
    #[serde(default = "default_color")]
    pub color: Rgba,
    /// Points; -999 to 9999.
    #[serde(default)]
    #[schema(minimum = -999, maximum = 9999)]
    pub score: i32,
}

fn default_font() -> String {
    Style::default().font
}
fn default_color() -> Rgba {
    Rgba::WHITE
}
fn default_background() -> Rgba {
    Rgba::new(16, 20, 28, 255)
}
fn default_score_background() -> Rgba {
    Rgba::new(38, 46, 60, 255)
}

impl Kind for Scoreboard {
    const TYPE: &'static str = "scoreboard";

    fn check(&self, check: &mut Check) {
        for (side, team) in [("/home", &self.home), ("/away", &self.away)] {
            check.part(side, |check| {
                check.count("/name", "bytes", team.name.len(), 1..=TEXT_LEN_MAX);
                check.count("/shortName", "bytes", team.short_name.len(), 0..=TEXT_LEN_MAX);
                check.range("/score", f64::from(team.score), -999.0..=9999.0);
            });
        }
        check.count("/clock", "bytes", self.clock.len(), 0..=TEXT_LEN_MAX);
        check.count("/period", "bytes", self.period.len(), 0..=TEXT_LEN_MAX);
        check.count("/font", "bytes", self.font.len(), 1..=128);
    }

    fn fonts(&self) -> Vec<&str> {
        vec![&self.font]
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let size = planner.size_or(SIZE);
        let [w, h] = size;
        planner.draw(size, Paint::Solid(self.background));
        let middle = Rect::new((w - MIDDLE * h) / 2.0, 0.0, MIDDLE * h, h);
        let name_width = (middle.x - h - STRIPE * h - 2.0 * MARGIN * h).max(1.0);
        for (team, is_home) in [(&self.home, true), (&self.away, false)] {
            // Everything of the away team lies where the home team's would in a mirror.
            let place = |x: f32, width: f32| Rect::new(if is_home { x } else { w - x - width }, 0.0, width, h);
            fill(planner, size, place(0.0, STRIPE * h), team.color);
            let score = place(middle.x - h, h);
            fill(planner, size, score, self.score_background);
            self.plan_text(planner, size, (&team.score.to_string(), SCORE_SIZE, 700, Align::Center), score);
            let name = self.fitting_name(planner, team, NAME_SIZE * h, name_width);
            let align = if is_home { Align::Left } else { Align::Right };
            self.plan_text(planner, size, (name, NAME_SIZE, 600, align), place((STRIPE + MARGIN) * h, name_width));
        }
        // Alone in the middle, the clock or the period stands in the middle.
        let (upper, lower) = match (self.clock.is_empty(), self.period.is_empty()) {
            (false, false) => (Rect { y: h * 0.1, h: h * 0.45, ..middle }, Rect { y: h * 0.55, h: h * 0.35, ..middle }),
            _ => (middle, middle),
        };
        self.plan_text(planner, size, (&self.clock, CLOCK_SIZE, 600, Align::Center), upper);
        self.plan_text(planner, size, (&self.period, PERIOD_SIZE, 500, Align::Center), lower);
    }

    /// `set`: scores, clock or period; `add`: points to a score.
    fn act(&self, action: &Action) -> Result<Self, Refused> {
        let mut board = self.clone();
        match action.name.as_str() {
            "set" => {
                let Set { home, away, clock, period } = action.read()?;
                board.home.score = home.unwrap_or(board.home.score);
                board.away.score = away.unwrap_or(board.away.score);
                board.clock = clock.unwrap_or(board.clock);
                board.period = period.unwrap_or(board.period);
            }
            "add" => {
                let Add { home, away } = action.read()?;
                board.home.score = board.home.score.saturating_add(home);
                board.away.score = board.away.score.saturating_add(away);
            }
            _ => return Err(Refused::Unknown(&["set", "add"])),
        }
        Ok(board)
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Set {
    home: Option<i32>,
    away: Option<i32>,
    clock: Option<String>,
    period: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Add {
    #[serde(default)]
    home: i32,
    #[serde(default)]
    away: i32,
}

impl Scoreboard {
    fn style(&self, size: f32, weight: u16) -> Style {
        let (font, size) = (self.font.clone(), f64::from(size.clamp(1.0, 1000.0)));
        Style { font, size, weight, color: self.color, ..Style::default() }
    }

    fn fitting_name<'a>(&self, planner: &mut Planner<'_>, team: &'a Team, size: f32, width: f32) -> &'a str {
        if team.short_name.is_empty() {
            return &team.name;
        }
        let raster = self.style(size, 600).raster(planner, team.name.clone(), None, false);
        let block = planner.extent(&Raster::Text(Arc::new(raster)));
        if block.is_some_and(|block| block[0] > width) { &team.short_name } else { &team.name }
    }

    /// Draws a text (its size in parts of the box's height, its weight) in the middle of `place`.
    fn plan_text(&self, planner: &mut Planner<'_>, size: [f32; 2], text: (&str, f32, u16, Align), place: Rect) {
        let (text, part, weight, align) = text;
        if text.is_empty() || place.w < 1.0 {
            return;
        }
        let style = Style { align, ..self.style(part * size[1], weight) };
        let raster = Arc::new(style.raster(planner, text.replace(['\n', '\r'], " "), Some(place.w), false));
        let Some(block) = planner.extent(&Raster::Text(raster.clone())) else { return };
        planner.draw(size, set(raster, block, [place.x, place.y + (place.h - block[1]) / 2.0]));
    }
}

fn fill(planner: &mut Planner<'_>, size: [f32; 2], rect: Rect, colour: Rgba) {
    let outline = Outline::Rectangle { rect, radius: 0.0 };
    planner.draw(size, Paint::Shape(Arc::new(Shape { outline, fill: Some(Fill::Solid(colour)), stroke: None })));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::scene::content::testing::{act, plan, problem, texts};

    fn board(fields: Value) -> Value {
        let mut document = json!({ "type": "scoreboard", "clock": "45:00",
            "home": { "name": "Harbour Town", "shortName": "HAR", "score": 2, "color": "#d03030" },
            "away": { "name": "Rovers", "score": 11 } });
        json_patch::merge(&mut document, &fields);
        document
    }

    fn xs(fields: Value, width: u32) -> Vec<(String, f32, f32)> {
        let items = plan(board(fields), json!({ "width": width, "height": 80 }));
        texts(&items).into_iter().map(|(text, rect)| (text, rect.x.round(), rect.w.round())).collect()
    }

    #[test]
    fn the_sides_mirror_each_other() {
        // 80 px high and 600 wide: the middle is 140 px from 230 on, the scores 80 px beside it, stripes 10 px; between
        // them 140 px, less twice 16, for a name; 12 letters of 16 px are too many.
        let expected = [
            ("2", 150.0, 80.0),
            ("HAR", 26.0, 108.0),
            ("11", 370.0, 80.0),
            ("Rovers", 466.0, 108.0),
            ("45:00", 230.0, 140.0),
        ];
        assert_eq!(xs(json!({}), 600), expected.map(|(text, x, w)| (text.to_string(), x, w)));
        assert_eq!(xs(json!({}), 800)[1].0, "Harbour Town", "208 px are enough");
    }

    #[test]
    fn clock_and_period_share_the_middle() {
        let ys = |fields| {
            let items = plan(board(fields), json!({ "width": 800, "height": 100 }));
            texts(&items).into_iter().skip(4).map(|(text, rect)| (text, rect.y)).collect::<Vec<_>>()
        };
        // 36 px letters have lines of 43.2 px; 24 px ones 28.8.
        assert_eq!(ys(json!({})), [("45:00".to_string(), 28.0)]);
        let both = ys(json!({ "period": "HT" }));
        assert_eq!(both, [("45:00".to_string(), 11.0), ("HT".to_string(), 58.0)]);
    }

    #[test]
    fn points_are_added_and_set() {
        let after = |name, arguments| act(board(json!({})), name, arguments, 0, 0).unwrap();
        let added = after("add", json!({ "home": 3 }));
        assert_eq!((&added["home"]["score"], &added["away"]["score"]), (&json!(5), &json!(11)));
        let set = after("set", json!({ "away": 0, "period": "2nd half" }));
        assert_eq!(
            (&set["away"]["score"], &set["period"], &set["clock"]),
            (&json!(0), &json!("2nd half"), &json!("45:00"))
        );
        assert_eq!(act(board(json!({})), "add", json!({ "away": 9999 }), 0, 0).unwrap_err(), "/away/score");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (fields, pointer) in [
            (json!({ "home": { "score": 10_000 } }), "/content/home/score"),
            (json!({ "away": { "name": "" } }), "/content/away/name"),
            (json!({ "away": { "points": 3 } }), "/content/away/points"),
            (json!({ "clock": "x".repeat(257) }), "/content/clock"),
        ] {
            assert_eq!(problem(board(fields)).0, pointer);
        }
    }
}
