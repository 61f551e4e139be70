//! `sequence`: numbered picture files, one for each frame.
//!
//! Each file is decoded shortly before it shows and dropped when there is no room, so a sequence may be far larger than
//! memory. A frame that is late lets the one before it stand.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Action, Fit, Kind, Planner, Refused,
    film::{self, Film, NAME_LEN_MAX},
};
use crate::scene::{
    Playback,
    check::Check,
    draw::{Paint, Raster},
    playback::{Even, RATES},
};

/// Most files: 10 minutes at 60 frames a second.
const FILES_MAX: u32 = 36_000;
/// Most digits of a number.
const DIGITS_MAX: usize = 9;
/// How far ahead files are asked for, in time and in number.
const AHEAD: Duration = Duration::from_millis(400);
const AHEAD_MAX: usize = 16;

/// The document of a layer of numbered files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sequence {
    /// A name below the assets directory with the number's place in it: `%d`, or `%04d` for four digits at least.
    pub asset: String,
    /// Number of the first file.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 999999999)]
    pub first: u32,
    /// Number of the last file.
    pub last: u32,
    /// Files a second, 0.1 to 240.
    #[serde(default = "default_fps")]
    #[schema(minimum = 0.1, maximum = 240)]
    pub fps: f64,
    /// How the pictures fill the box; all are taken to be as large as the first.
    #[serde(default)]
    pub fit: Fit,
    /// How they play.
    #[serde(default, skip_serializing_if = "film::is_plain")]
    pub playback: Playback,
}

pub(super) fn default_fps() -> f64 {
    25.0
}

impl Kind for Sequence {
    const TYPE: &'static str = "sequence";

    fn check(&self, check: &mut Check) {
        check.count("/asset", "bytes", self.asset.len(), 1..=NAME_LEN_MAX);
        check.that("/asset", Pattern::of(&self.asset).is_some(), || {
            format!("expected the number's place once: %d, or %01d to %0{DIGITS_MAX}d, and no other %")
        });
        check.range("/first", self.first.into(), 0.0..=999_999_999.0);
        let last = self.first.saturating_add(FILES_MAX - 1).min(999_999_999);
        check.range("/last", self.last.into(), self.first.into()..=last.into());
        check.range("/fps", self.fps, RATES);
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

impl Film for Sequence {
    fn natural(&self, planner: &mut Planner<'_>) -> Option<[f32; 2]> {
        planner.extent(&self.file(0))
    }

    fn paint(&self, planner: &mut Planner<'_>, natural: [f32; 2], size: [f32; 2], since: Duration) -> Option<Paint> {
        let rhythm = Even::new(self.last.saturating_sub(self.first).saturating_add(1), self.fps, None);
        let index = film::frame(planner, &self.playback, &rhythm, since)?;
        self.ask_ahead(planner, &rhythm, since);
        let (now, before) = (self.file(index), self.file(index.saturating_sub(1)));
        let raster = planner.ready_or(&now, &before)?.clone();
        Some(Paint::Raster { raster, dest: self.fit.place(natural, size) })
    }

    fn ask(&self, planner: &Planner<'_>) {
        planner.prefetch(&self.file(0));
    }
}

impl Sequence {
    fn file(&self, index: u32) -> Raster {
        let number = self.first.saturating_add(index);
        let name = Pattern::of(&self.asset).map_or_else(|| self.asset.clone(), |pattern| pattern.name(number));
        Raster::Image(name.into())
    }

    fn ask_ahead(&self, planner: &Planner<'_>, rhythm: &Even, since: Duration) {
        let now = planner.moment().elapsed;
        let mut time = now;
        for _ in 0..AHEAD_MAX {
            let shown = self.playback.at(rhythm, since, time);
            let Some(until) = shown.and_then(|shown| shown.until).filter(|until| *until < now + AHEAD) else { return };
            let Some(next) = self.playback.at(rhythm, since, until) else { return };
            planner.prefetch(&self.file(next.index));
            time = until;
        }
    }
}

/// A name with a place for a number.
#[derive(Debug, PartialEq)]
struct Pattern<'a> {
    before: &'a str,
    digits: usize,
    after: &'a str,
}

impl<'a> Pattern<'a> {
    fn of(name: &'a str) -> Option<Self> {
        let (before, rest) = name.split_once('%')?;
        let (width, after) = rest.split_once('d')?;
        let digits = match width.strip_prefix('0') {
            None if width.is_empty() => 1,
            Some(digits) if digits.len() == 1 => {
                digits.parse().ok().filter(|digits| (1..=DIGITS_MAX).contains(digits))?
            }
            _ => return None,
        };
        (!after.contains('%')).then_some(Self { before, digits, after })
    }

    fn name(&self, number: u32) -> String {
        format!("{}{number:0digits$}{}", self.before, self.after, digits = self.digits)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scene::{
        Moment,
        content::testing::{problem, shelf},
    };

    #[test]
    fn names_have_one_number() {
        let name = |pattern, number| Pattern::of(pattern).map(|pattern| pattern.name(number));
        assert_eq!(name("a/%04d.png", 7).as_deref(), Some("a/0007.png"));
        assert_eq!(name("%d.png", 12).as_deref(), Some("12.png"));
        assert_eq!(name("a%02dd.png", 123).as_deref(), Some("a123d.png"));
        for bad in ["a.png", "%4d", "%s", "%d%d", "%00d", "%010d", "%", "100%"] {
            assert_eq!(Pattern::of(bad), None, "{bad}");
        }
    }

    #[test]
    fn limits_are_named() {
        let (pointer, message) = problem(json!({ "type": "sequence", "asset": "a.png", "last": 3 }));
        assert_eq!(pointer, "/content/asset");
        assert!(message.starts_with("expected the number's place once"), "{message}");
        let (pointer, message) = problem(json!({ "type": "sequence", "asset": "%d", "first": 5, "last": 3 }));
        assert_eq!((&*pointer, &*message), ("/content/last", "3 is out of range: 5 to 36004"));
    }

    #[test]
    fn it_restarts_when_it_is_asked_to() {
        let moment = Moment { elapsed: Duration::from_millis(1234), utc_ms: 0 };
        let sequence: Sequence = serde_json::from_value(json!({ "asset": "%d", "last": 3 })).unwrap();
        let act = |name: &str| sequence.act(&Action { name: name.into(), arguments: json!({}), moment });
        assert_eq!(act("restart").unwrap().playback.start_ms, 1234);
        assert_eq!(act("stop"), Err(Refused::Unknown(&["restart"])));
    }

    /// Five files a second: the third shows from 400 ms on, and those of the next 400 ms are asked for.
    #[test]
    fn the_file_follows_from_the_time() {
        let document = json!({ "type": "sequence", "asset": "s/%02d.png", "first": 10, "last": 14, "fps": 5 });
        let (shelf, evaluation) = shelf(document, json!({}), 450, 0);
        let Paint::Raster { raster, .. } = &evaluation.draw_list.items[0].paint else { panic!("a raster") };
        assert_eq!(*raster, Raster::Image("s/12.png".into()));
        assert_eq!(evaluation.changes_at, Some(Duration::from_millis(600)));
        assert_eq!(shelf.pictures(), ["s/10.png", "s/13.png", "s/14.png", "s/12.png"]);
    }
}
