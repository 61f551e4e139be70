//! What animations tell: that they start, begin another round, end.
//!
//! A pure function of a layer and a stretch of time, so whoever draws frames asks for what happened since the frame
//! before. Animations that have a name tell, timelines as a whole; so do the ways on and off the canvas, as `enter` and
//! `exit`. What lies in the past when a layer is put on air is not told.

use std::time::Duration;

use serde::Serialize;

use super::{
    Animation,
    presence::Side,
    timing::{duration, nanos},
};
use crate::{
    base::id::Id,
    scene::{Content, Layer},
};

/// Most rounds of an animation that are told of a stretch of time: the last ones.
const ROUNDS_MAX: i128 = 4;

/// Something that an animation tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When it was, in the stream's time elapsed.
    #[serde(rename = "atMs", serialize_with = "as_ms")]
    pub at: Duration,
    /// Whose it is.
    pub layer: Id,
    /// The animation's name, `enter` or `exit`.
    pub animation: String,
    /// What happened.
    pub kind: EventKind,
}

/// What can happen to an animation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum EventKind {
    /// Its first round begins.
    Start,
    /// Another one begins.
    Repeat,
    /// The last one ends.
    End,
}

fn as_ms<S: serde::Serializer>(at: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(at.as_millis()).unwrap_or(u64::MAX))
}

/// What `layer` and those within it tell of the time after `after` (none: before the stream's start) up to `until`,
/// inclusively, in order of time.
pub fn events_between(layer: &Layer, after: Option<Duration>, until: Duration) -> Vec<Event> {
    let mut events = Vec::new();
    Stretch { after: after.map_or(-1, nanos), until: nanos(until), late: 0 }.collect(layer, &mut events);
    events.sort_by_key(|event| event.at);
    events
}

/// A stretch of the time of layers that runs `late` after the stream's.
#[derive(Clone, Copy)]
struct Stretch {
    after: i128,
    until: i128,
    late: i128,
}

impl Stretch {
    fn collect(self, layer: &Layer, events: &mut Vec<Event>) {
        let mut tell = |at: i128, name: &str, kind: EventKind| {
            if at > self.after && at <= self.until {
                let at = duration(at + self.late);
                events.push(Event { at, layer: layer.id.clone(), animation: name.into(), kind });
            }
        };
        if let Some((side, begin, end)) = layer.passage() {
            let name = match side {
                Side::Enter => "enter",
                Side::Exit => "exit",
            };
            tell(begin, name, EventKind::Start);
            tell(end, name, EventKind::End);
        }
        for animation in layer.animations.iter().filter(|animation| layer.enabled && !animation.name.is_empty()) {
            animation.events(self.after, self.until, &mut |at, kind| tell(at, &animation.name, kind));
        }
        let stagger = match &layer.content {
            Content::Group(group) => nanos(group.stagger()),
            _ => 0,
        };
        let mut later = self;
        for child in layer.content.children() {
            later.collect(child, events);
            later = Self { after: later.after - stagger, until: later.until - stagger, late: later.late + stagger };
        }
    }
}

impl Animation {
    fn events(&self, after: i128, until: i128, tell: &mut dyn FnMut(i128, EventKind)) {
        let period = self.motion.period();
        let (begin, end) = (self.timing.begin(), self.timing.end(period));
        tell(begin, EventKind::Start);
        if self.tells_rounds && period > 0 {
            // The rounds that begin in the stretch, from the second on and before the end.
            let last = (until.min(end.map_or(until, |end| end - 1)) - begin).div_euclid(period);
            let first = ((after - begin).div_euclid(period) + 1).max(1).max(last - ROUNDS_MAX + 1);
            (first..=last).for_each(|round| tell(begin + round * period, EventKind::Repeat));
        }
        if let Some(end) = end {
            tell(end, EventKind::End);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn layer() -> Layer {
        let way = json!([{ "atMs": 0, "value": 0 }, { "atMs": 100, "value": 1 }]);
        let child = json!({ "id": "child", "content": { "type": "color", "color": "#ffffff" },
            "exit": { "preset": "fade", "durationMs": 70 }, "enabled": false, "switched": { "atMs": 200 } });
        let document = json!({ "id": "a", "content": { "type": "group", "layers": [child] },
            "enter": { "preset": "fade", "durationMs": 150, "delayMs": 30 },
            "animations": [
                { "property": "opacity", "keyframes": way },
                { "property": "opacity", "name": "pulse", "startMs": 50, "repeat": 3, "tellsRounds": true, "keyframes": way },
                { "property": "scaleX", "name": "blink", "startMs": 60, "repeat": "infinite", "keyframes": way },
            ] });
        Layer::read(document).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn told(after: Option<u64>, until: u64) -> Vec<(u64, String, EventKind)> {
        let events = events_between(&layer(), after.map(ms), ms(until));
        events.into_iter().map(|event| (event.at.as_millis() as u64, event.animation, event.kind)).collect()
    }

    #[test]
    fn starts_rounds_and_ends_are_told_in_order() {
        let all = told(None, 10_000);
        let expected = [
            (30, "enter", EventKind::Start),
            (50, "pulse", EventKind::Start),
            (60, "blink", EventKind::Start),
            (150, "pulse", EventKind::Repeat),
            (180, "enter", EventKind::End),
            (200, "exit", EventKind::Start),
            (250, "pulse", EventKind::Repeat),
            (270, "exit", EventKind::End),
            (350, "pulse", EventKind::End),
        ];
        assert_eq!(all, expected.map(|(at, name, kind)| (at, name.to_owned(), kind)));
        assert_eq!(told(Some(50), 150), all[2..4], "after, and up to");
        let event = &events_between(&layer(), Some(ms(199)), ms(200))[0];
        let written = json!({ "atMs": 200, "layer": "child", "animation": "exit", "kind": "start" });
        assert_eq!(serde_json::to_value(event).unwrap(), written);
    }

    #[test]
    fn children_of_a_staggered_group_tell_later() {
        let child = |id: &str| {
            json!({ "id": id, "content": { "type": "color", "color": "#ffffff" },
                "enter": { "preset": "fade", "durationMs": 50 } })
        };
        let group = json!({ "type": "group", "staggerMs": 30, "layers": [child("a"), child("b"), child("c")] });
        let layer = Layer::read(json!({ "id": "rows", "content": group })).unwrap();
        let told = |after: Option<u64>, until: u64| -> Vec<(u64, String)> {
            let events = events_between(&layer, after.map(ms), ms(until));
            events.into_iter().map(|event| (event.at.as_millis() as u64, event.layer.to_string())).collect()
        };
        let expected = [(0, "a"), (30, "b"), (50, "a"), (60, "c"), (80, "b"), (110, "c")];
        assert_eq!(told(None, 1000), expected.map(|(at, layer)| (at, layer.to_owned())));
        assert_eq!(told(Some(30), 60), [(50, "a".to_owned()), (60, "c".to_owned())]);
    }

    #[test]
    fn of_many_rounds_in_one_stretch_the_last_are_told() {
        let document = json!({ "id": "a", "content": { "type": "color", "color": "#ffffff" },
            "animations": [{ "property": "opacity", "name": "p", "tellsRounds": true, "repeat": "infinite",
                "keyframes": [{ "atMs": 0, "value": 0 }, { "atMs": 1, "value": 1 }] }] });
        let layer = Layer::read(document).unwrap();
        let day = Duration::from_secs(86_400);
        let times: Vec<_> = events_between(&layer, Some(ms(5)), day).iter().map(|event| day - event.at).collect();
        // Unnamed ways tell too, but this layer has none: only the last four rounds.
        assert_eq!(times, [3, 2, 1, 0].map(ms));
        let nameless = json!({ "id": "a", "content": { "type": "color", "color": "#ffffff" },
            "animations": [{ "property": "opacity", "tellsRounds": true, "keyframes": [{ "atMs": 0, "value": 0 }] }] });
        assert_eq!(Layer::read(nameless).unwrap_err().0[0].pointer, "/animations/0/tellsRounds");
    }

    proptest! {
        /// However time is cut into frames, everything is told once.
        #[test]
        fn frames_tell_what_all_of_the_time_tells(mut cuts in proptest::collection::vec(0..400_u64, 0..30)) {
            cuts.sort_unstable();
            let mut after = None;
            let mut pieces = Vec::new();
            for until in cuts.into_iter().chain([1000]) {
                pieces.extend(told(after, until));
                after = Some(until);
            }
            prop_assert_eq!(pieces, told(None, 1000));
        }
    }
}
