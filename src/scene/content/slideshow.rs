//! `slideshow`: pictures that follow each other for ever, by cut, fade or slide, if wanted with a slow zoom.
//!
//! A picture that cannot be shown leaves its place empty; the show goes on. A moving picture starts when it comes in.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Action, Fit, Image, KenBurns, Kind, Planner, Refused, SlideTransition,
    film::{Film, NAME_LEN_MAX},
    slides::{self, DWELLS_MS, SLIDES_MAX, Slides},
};
use crate::base::schema::written_as;
use crate::scene::{Playback, check::Check, geometry::Rect, playback::SINCE_MS_MAX};

/// The document of a slideshow layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slideshow {
    /// 1 to 256 pictures in their order.
    pub items: Vec<SlideshowItem>,
    /// How long each shows, coming in included, in milliseconds.
    #[serde(default = "default_dwell_ms")]
    #[schema(minimum = 100, maximum = 86400000)]
    pub dwell_ms: u64,
    /// How one gives way to the next.
    #[serde(default)]
    pub transition: SlideTransition,
    /// How the pictures fill the box.
    #[serde(default = "default_fit")]
    pub fit: Fit,
    /// A slow zoom; none: the pictures stand still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ken_burns: Option<KenBurns>,
    /// Milliseconds elapsed on the stream at which it starts. The actions `next`, `previous` and `goTo` write it.
    #[serde(default)]
    pub since_ms: i64,
}

/// One picture: `"asset"`, or `{ "asset", "dwellMs" }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct SlideshowItem {
    /// As an `image` has it.
    pub asset: String,
    /// How long it shows; none: as the slideshow says.
    pub dwell_ms: Option<u64>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "an asset, or { asset, dwellMs }")]
enum Written {
    Asset(String),
    Timed(Timed),
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = TimedSlideshowItem)]
struct Timed {
    asset: String,
    dwell_ms: u64,
}

written_as!(SlideshowItem as "SlideshowItem" = Written);

impl From<Written> for SlideshowItem {
    fn from(written: Written) -> Self {
        match written {
            Written::Asset(asset) => Self { asset, dwell_ms: None },
            Written::Timed(Timed { asset, dwell_ms }) => Self { asset, dwell_ms: Some(dwell_ms) },
        }
    }
}

impl From<SlideshowItem> for Written {
    fn from(SlideshowItem { asset, dwell_ms }: SlideshowItem) -> Self {
        match dwell_ms {
            None => Self::Asset(asset),
            Some(dwell_ms) => Self::Timed(Timed { asset, dwell_ms }),
        }
    }
}

pub(super) fn default_dwell_ms() -> u64 {
    5000
}
pub(super) fn default_fit() -> Fit {
    Fit::Cover
}

impl Kind for Slideshow {
    const TYPE: &'static str = "slideshow";

    fn check(&self, check: &mut Check) {
        check.count("/items", "pictures", self.items.len(), 1..=SLIDES_MAX);
        for (i, item) in self.items.iter().enumerate() {
            check.count(&format!("/items/{i}/asset"), "bytes", item.asset.len(), 1..=NAME_LEN_MAX);
            check.range(&format!("/items/{i}/dwellMs"), self.dwell_of(item) as f64, DWELLS_MS);
        }
        check.range("/dwellMs", self.dwell_ms as f64, DWELLS_MS);
        let shortest = self.items.iter().map(|item| self.dwell_of(item)).min().unwrap_or_default();
        check.part("/transition", |check| self.transition.check(shortest, check));
        if let Some(ken_burns) = &self.ken_burns {
            check.part("/kenBurns", |check| ken_burns.check(check));
        }
        check.range("/sinceMs", self.since_ms as f64, -SINCE_MS_MAX..=SINCE_MS_MAX);
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let size = planner.size_or_canvas();
        let slides =
            Slides { transition: &self.transition, ken_burns: self.ken_burns.as_ref(), since_ms: self.since_ms };
        let dwells = self.dwells();
        let shown = slides.shown(planner, &dwells, self.fit.is_covering());
        for slide in &shown {
            slides.plan_picture(planner, size, Rect::at_origin(size), slide, &self.picture(slide.index));
        }
        if let Some(slide) = shown.last() {
            self.picture(slide.index + 1).ask(planner);
        }
    }

    /// `next`, `previous`, `goTo`: another picture comes in now.
    fn act(&self, action: &Action) -> Result<Self, Refused> {
        let since_ms = slides::act(action, &self.dwells(), self.since_ms)?;
        Ok(Self { since_ms, ..self.clone() })
    }
}

impl Slideshow {
    fn dwells(&self) -> Vec<u64> {
        self.items.iter().map(|item| self.dwell_of(item)).collect()
    }

    fn dwell_of(&self, item: &SlideshowItem) -> u64 {
        item.dwell_ms.unwrap_or(self.dwell_ms)
    }

    /// The picture of a slide; after the last comes the first.
    fn picture(&self, index: usize) -> Image {
        let asset = self.items[index % self.items.len()].asset.clone();
        Image { asset, fit: self.fit, playback: Playback::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use crate::scene::{
        Content, Moment,
        content::{
            Action, Refused,
            testing::{problem, shelf},
        },
        draw::{Paint, Raster},
        geometry::Rect,
    };

    fn show(fields: Value) -> Value {
        let mut document = json!({ "type": "slideshow", "items": ["a", "b", { "asset": "c", "dwellMs": 2000 }],
            "dwellMs": 1000, "transition": { "durationMs": 400, "easing": "linear" } });
        json_patch::merge(&mut document, &fields);
        document
    }

    /// The pictures at a time, each with its opacity and place, and when that changes.
    fn at(fields: Value, ms: u64) -> (Vec<(String, f32, Rect)>, Option<u64>) {
        let evaluation = shelf(show(fields), json!({ "width": 80, "height": 40 }), ms, 0).1;
        let pictures = evaluation.draw_list.items.iter().map(|item| match &item.paint {
            Paint::Raster { raster: Raster::Image(name), dest } => (name.as_ref().into(), item.opacity, *dest),
            other => panic!("{other:?} is no picture"),
        });
        (pictures.collect(), evaluation.changes_at.map(|at| at.as_millis() as u64))
    }

    fn names(fields: Value, ms: u64) -> Vec<(String, f32)> {
        at(fields, ms).0.into_iter().map(|(name, opacity, _)| (name, opacity)).collect()
    }

    #[test]
    fn slides_follow_each_other_for_ever() {
        let one = |name: &str| vec![(name.to_owned(), 1.0)];
        for lap in [0, 4000, 4_000_000_000] {
            assert_eq!(names(json!({}), lap + 999), one("a"));
            assert_eq!(names(json!({}), lap + 1999), one("b"));
            assert_eq!(names(json!({}), lap + 3999), one("c"));
        }
        assert_eq!(names(json!({}), 0), one("a"), "the first comes in at once");
        assert_eq!(names(json!({ "sinceMs": 10_000 }), 9000), one("a"));
        assert_eq!(names(json!({ "sinceMs": 10_000 }), 11_500), one("b"));
    }

    #[test]
    fn one_fades_in_on_the_other() {
        let pair = |a: &str, x: f32, b: &str, y: f32| vec![(a.to_owned(), x), (b.to_owned(), y)];
        assert_eq!(names(json!({}), 1100), pair("a", 1.0, "b", 0.25));
        assert_eq!(names(json!({ "fit": "contain" }), 1100), pair("a", 1.0, "b", 0.5), "it comes in first");
        assert_eq!(names(json!({ "fit": "contain" }), 1300), pair("a", 0.5, "b", 1.0), "then the other goes");
        assert_eq!(names(json!({}), 4200), pair("c", 1.0, "a", 0.5), "and so does the first of the next lap");
    }

    #[test]
    fn one_pushes_the_other_out() {
        let slide = json!({ "transition": { "type": "slide", "direction": "up" } });
        let places: Vec<_> = at(slide, 1100).0.into_iter().map(|(name, _, dest)| (name, dest.y)).collect();
        assert_eq!(places, [("a".to_owned(), -10.0), ("b".to_owned(), 30.0)]);
    }

    #[test]
    fn changes_are_announced() {
        assert_eq!(at(json!({}), 0).1, Some(1000));
        assert_eq!(at(json!({}), 1100).1, Some(1100), "on every frame");
        assert_eq!(at(json!({}), 1400).1, Some(2000));
        assert_eq!(at(json!({ "transition": { "type": "cut" } }), 1100).1, Some(2000));
        assert_eq!(at(json!({ "items": ["a"] }), 1100).1, None);
        assert_eq!(at(json!({ "items": ["a"], "kenBurns": {} }), 1100).1, Some(1100));
    }

    #[test]
    fn the_next_picture_is_asked_for() {
        let (shelf, _) = shelf(show(json!({})), json!({}), 2500, 0);
        assert_eq!(shelf.pictures(), ["c", "a"]);
    }

    /// The picture covers its box at any time of the move.
    #[test]
    fn a_moving_camera_never_shows_an_edge() {
        for ms in (0..8000).step_by(130) {
            for (_, _, dest) in at(json!({ "kenBurns": { "zoom": 1.5 } }), ms).0 {
                assert!(dest.x <= 0.001 && dest.y <= 0.001, "{dest:?} at {ms}");
                assert!(dest.right() >= 79.999 && dest.bottom() >= 39.999, "{dest:?} at {ms}");
            }
        }
        let width = |ms| at(json!({ "kenBurns": { "zoom": 1.5 } }), ms).0[0].2.w;
        assert!(width(0) < width(500) && width(500) < width(999));
    }

    #[test]
    fn actions_bring_another_picture_in_now() {
        let act = |name: &str, arguments, elapsed_ms| {
            let moment = Moment { elapsed: Duration::from_millis(elapsed_ms), utc_ms: 0 };
            let action = Action { name: name.into(), arguments, moment };
            Content::read(show(json!({}))).unwrap().act(&action)
        };
        let then = |content: Content, ms| {
            let names = names(json!({ "sinceMs": serde_json::to_value(&content).unwrap()["sinceMs"] }), ms);
            names.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" over ")
        };
        // At 500 ms the first shows; what is asked for then comes in at once, over what showed before it in the series.
        let next = act("next", json!({}), 500).unwrap();
        let shown = [500, 700, 999, 1700].map(|ms| then(next.clone(), ms));
        assert_eq!(shown, ["a", "a over b", "b", "b over c"]);
        assert_eq!(then(act("previous", json!({}), 500).unwrap(), 2499), "c");
        assert_eq!(then(act("goTo", json!({ "index": 2 }), 7000).unwrap(), 7100), "b over c");
        assert!(matches!(act("goTo", json!({ "index": 3 }), 0), Err(Refused::Invalid(_))));
        assert_eq!(act("jump", json!({}), 0), Err(Refused::Unknown(&["next", "previous", "goTo"])));
    }

    #[test]
    fn limits_are_named() {
        assert_eq!(problem(show(json!({ "items": [] }))).1, "0 pictures is out of range: 1 to 256");
        assert_eq!(
            problem(show(json!({ "transition": { "durationMs": 1001 } }))),
            ("/content/transition/durationMs".into(), "1001 is out of range: 0 to 1000".into())
        );
        assert_eq!(problem(show(json!({ "items": [{ "asset": "a", "dwellMs": 5 }] }))).0, "/content/items/0/dwellMs");
    }
}
