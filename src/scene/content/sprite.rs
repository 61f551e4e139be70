//! `sprite`: one picture cut into a grid, whose cells are the frames of one or several animations.
//!
//! Each cell is a texture of its own, so that at any scale nothing of its neighbours shows at its edges.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Action, Fit, Kind, Planner, Refused,
    film::{self, Film, NAME_LEN_MAX},
    sequence::default_fps,
};
use crate::scene::{
    Playback,
    check::{Check, escape},
    draw::{Paint, Raster},
    playback::{Even, Loop, RATES},
};

/// Most columns and most rows.
const SIDE_CELLS_MAX: u32 = 256;
/// Most named animations.
const ANIMATIONS_MAX: usize = 64;

/// The document of a sprite layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sprite {
    /// The sheet: a picture of at most 4096 pixels on a side.
    pub asset: String,
    /// Cells side by side; pixels that are left over at the right belong to none.
    #[schema(minimum = 1, maximum = 256)]
    pub columns: u32,
    /// Cells one below the other.
    #[schema(minimum = 1, maximum = 256)]
    pub rows: u32,
    /// Cells in use, row by row; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Cells a second, 0.1 to 240.
    #[serde(default = "default_fps")]
    #[schema(minimum = 0.1, maximum = 240)]
    pub fps: f64,
    /// Parts of the sheet by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub animations: BTreeMap<String, SpriteAnimation>,
    /// The part that plays; none: all cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub animation: Option<String>,
    /// How a cell fills the box.
    #[serde(default)]
    pub fit: Fit,
    /// How it plays.
    #[serde(default, skip_serializing_if = "film::is_plain")]
    pub playback: Playback,
}

/// A run of cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpriteAnimation {
    /// Number of the first cell, from 0.
    pub from: u32,
    /// Number of the last cell; one before the first plays backwards.
    pub to: u32,
    /// Cells a second; none: the sprite's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
    /// How often; none: as the playback says.
    #[serde(default, rename = "loop", skip_serializing_if = "Option::is_none")]
    pub plays: Option<Loop>,
}

impl Kind for Sprite {
    const TYPE: &'static str = "sprite";

    fn check(&self, check: &mut Check) {
        check.count("/asset", "bytes", self.asset.len(), 1..=NAME_LEN_MAX);
        check.range("/columns", self.columns.into(), 1.0..=SIDE_CELLS_MAX.into());
        check.range("/rows", self.rows.into(), 1.0..=SIDE_CELLS_MAX.into());
        let cells = self.columns.saturating_mul(self.rows).max(1);
        check.range("/count", self.count().into(), 1.0..=cells.into());
        check.range("/fps", self.fps, RATES);
        check.count("/animations", "animations", self.animations.len(), 0..=ANIMATIONS_MAX);
        for (name, animation) in &self.animations {
            let pointer = format!("/animations/{}", escape(name));
            check.count(&pointer, "bytes of a name", name.len(), 1..=64);
            check.part(&pointer, |check| animation.check(self.count(), check));
        }
        let is_known = self.animation.as_ref().is_none_or(|name| self.animations.contains_key(name));
        check.that("/animation", is_known, || {
            let names: Vec<_> = self.animations.keys().map(String::as_str).collect();
            format!("no such animation, expected one of: {}", names.join(", "))
        });
        check.part("/playback", |check| self.playback.check(check));
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        film::plan(self, planner);
    }

    /// `restart`: it plays from its first frame.
    fn act(&self, action: &Action) -> Result<Self, Refused> {
        Ok(Self { playback: film::restart(action, &self.playback)?, ..self.clone() })
    }
}

impl SpriteAnimation {
    fn check(&self, count: u32, check: &mut Check) {
        let last = f64::from(count.saturating_sub(1));
        check.range("/from", self.from.into(), 0.0..=last);
        check.range("/to", self.to.into(), 0.0..=last);
        if let Some(fps) = self.fps {
            check.range("/fps", fps, RATES);
        }
        if let Some(plays) = self.plays {
            plays.check("/loop", check);
        }
    }
}

impl Film for Sprite {
    fn natural(&self, planner: &mut Planner<'_>) -> Option<[f32; 2]> {
        planner.extent(&self.cell(0))
    }

    fn paint(&self, planner: &mut Planner<'_>, natural: [f32; 2], size: [f32; 2], since: Duration) -> Option<Paint> {
        let whole = SpriteAnimation { from: 0, to: self.count() - 1, fps: None, plays: None };
        let run = self.animation.as_ref().and_then(|name| self.animations.get(name)).unwrap_or(&whole);
        let rhythm = Even::new(run.from.abs_diff(run.to) + 1, run.fps.unwrap_or(self.fps), None);
        let plays = run.plays.unwrap_or(self.playback.plays);
        let step = film::frame(planner, &Playback { plays, ..self.playback.clone() }, &rhythm, since)?;
        let index = if run.from <= run.to { run.from + step } else { run.from - step };
        Some(Paint::Raster { raster: self.cell(index), dest: self.fit.place(natural, size) })
    }

    fn ask(&self, planner: &Planner<'_>) {
        planner.prefetch(&self.cell(0));
    }
}

impl Sprite {
    fn count(&self) -> u32 {
        self.count.unwrap_or(self.columns.saturating_mul(self.rows))
    }

    fn cell(&self, index: u32) -> Raster {
        Raster::Cell { asset: self.asset.as_str().into(), grid: [self.columns, self.rows], index }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scene::content::testing::{problem, shelf};

    fn cell_at(document: serde_json::Value, ms: u64) -> (Option<u32>, Option<u64>) {
        let evaluation = shelf(document, json!({}), ms, 0).1;
        let cell = evaluation.draw_list.items.first().map(|item| match &item.paint {
            Paint::Raster { raster: Raster::Cell { index, .. }, .. } => *index,
            _ => panic!("a cell"),
        });
        (cell, evaluation.changes_at.map(|at| at.as_millis() as u64))
    }

    #[test]
    fn cells_follow_from_the_time() {
        let sheet = json!({ "type": "sprite", "asset": "s.png", "columns": 4, "rows": 2, "count": 6, "fps": 10 });
        assert_eq!(cell_at(sheet.clone(), 0), (Some(0), Some(100)));
        assert_eq!(cell_at(sheet.clone(), 599), (Some(5), Some(600)));
        assert_eq!(cell_at(sheet, 600), (Some(0), Some(700)));
    }

    #[test]
    fn a_named_run_has_its_own_pace_and_may_go_backwards() {
        let sheet = |animation| {
            json!({
                "type": "sprite", "asset": "s.png", "columns": 4, "rows": 2, "fps": 10, "animation": animation,
                "animations": { "wave": { "from": 2, "to": 4, "fps": 2, "loop": "once" }, "back": { "from": 7, "to": 5 } },
            })
        };
        assert_eq!(cell_at(sheet("wave"), 600), (Some(3), Some(1000)));
        assert_eq!(cell_at(sheet("wave"), 9000), (Some(4), None));
        assert_eq!(cell_at(sheet("back"), 100), (Some(6), Some(200)));
    }

    #[test]
    fn limits_are_named() {
        let sheet = json!({ "type": "sprite", "asset": "s.png", "columns": 2, "rows": 2, "count": 5 });
        assert_eq!(problem(sheet), ("/content/count".into(), "5 is out of range: 1 to 4".into()));
        let sheet = json!({ "type": "sprite", "asset": "s.png", "columns": 2, "rows": 2, "animation": "b",
            "animations": { "a": { "from": 0, "to": 1 } } });
        assert_eq!(problem(sheet), ("/content/animation".into(), "no such animation, expected one of: a".into()));
        let sheet = json!({ "type": "sprite", "asset": "s.png", "columns": 2, "rows": 2,
            "animations": { "a/b": { "from": 0, "to": 4 } } });
        assert_eq!(problem(sheet), ("/content/animations/a~1b/to".into(), "4 is out of range: 0 to 3".into()));
    }
}
