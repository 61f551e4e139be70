//! What a client has subscribed to, and what there is to tell it of that at this moment.
//!
//! Every subscription has a pace of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    body::Bytes,
    extract::ws::{Message, Utf8Bytes},
};
use serde_json::{Value, json};

use super::{
    hub::{Hub, Next, Told},
    message::{Of, Topic},
};
use crate::{
    api::{App, locks, pace::Pace, schedule, sound::shown},
    base::id::Id,
    output::State,
    pipeline::{Look, NoShot, Shot, Unseen, Watch},
    state::{Bitrates, Notice, Told as Tidings},
    telemetry::{log::Level, recent::RECENT},
};

/// The kind of a binary message that is a picture.
const PICTURE: u8 = 1;

/// Documents, as they change.
#[derive(Debug)]
pub(super) struct States {
    pub(super) of: Of,
    /// None: as soon as there is something new.
    pub(super) pace: Option<Pace>,
    told: BTreeMap<Id, Told>,
    /// Those that are sent again as a whole.
    again: BTreeSet<Id>,
}

impl States {
    pub(super) fn new(of: Of, pace: Option<Pace>) -> Self {
        Self { of, pace, told: BTreeMap::new(), again: BTreeSet::new() }
    }

    /// A client has found a gap, or fears one.
    pub(super) fn resync(&mut self, ids: Vec<Id>) {
        self.again.extend(ids);
    }

    pub(super) fn news(&mut self, hub: &Hub) -> Vec<Utf8Bytes> {
        let board = hub.board();
        let mut news = Vec::new();
        self.told.retain(|id, _| {
            let is_there = board.contains_key(id);
            if !is_there {
                news.push(json!({ "type": "deleted", "stream": id }).to_string().into());
            }
            is_there
        });
        let resyncs = &hub.metrics().resyncs;
        for (id, line) in board.iter().filter(|(id, _)| self.of.has(id)) {
            let told = self.told.insert(id.clone(), line.told());
            match told.filter(|_| !self.again.contains(id)).map(|told| line.after(told)) {
                Some(Next::Nothing) => {}
                Some(Next::Patch(text)) => news.push(text),
                Some(Next::Full(_)) | None => {
                    if told.is_some() {
                        resyncs.inc();
                    }
                    news.push(line.full());
                }
            }
        }
        self.again.clear();
        news
    }
}

/// Something that is told from time to time.
#[derive(Debug)]
pub(super) struct Timed {
    pub(super) pace: Pace,
    of: Of,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Stats,
    /// How many blocks of each stream were told.
    Meters(BTreeMap<Id, u64>),
    /// What was told of each stream.
    Silence(BTreeMap<Id, bool>),
    /// What is known of each stream's run, and how much was told of its schedule and locks.
    Events(BTreeMap<Id, Scene>, BTreeMap<Id, u64>),
    Logs {
        level: Level,
        seen: u64,
    },
    /// How many entries were told.
    Audit(u64),
}

/// What is known of a stream to whom its events are told.
#[derive(Debug)]
struct Scene {
    animations: u64,
    outputs: BTreeMap<Id, State>,
    /// How often the bitrate of each rendition had changed.
    bitrates: BTreeMap<Id, u64>,
}

impl Timed {
    /// A subscription to a topic that is told from time to time; none to those that are not.
    pub(super) fn new(app: &App, topic: Topic, of: Of, pace: Pace, level: Level) -> Option<Self> {
        let source = match topic {
            Topic::Stats => Source::Stats,
            Topic::Meters => Source::Meters(BTreeMap::new()),
            Topic::Silence => Source::Silence(BTreeMap::new()),
            Topic::Events => Source::Events(BTreeMap::new(), told_so_far(app)),
            Topic::Logs => Source::Logs { level, seen: RECENT.count() },
            Topic::Audit => Source::Audit(app.access.audit_count()),
            Topic::State | Topic::Preview => return None,
        };
        Some(Self { pace, of, source })
    }

    pub(super) fn topic(&self) -> Topic {
        match self.source {
            Source::Stats => Topic::Stats,
            Source::Meters(_) => Topic::Meters,
            Source::Silence(_) => Topic::Silence,
            Source::Events(..) => Topic::Events,
            Source::Logs { .. } => Topic::Logs,
            Source::Audit(_) => Topic::Audit,
        }
    }

    /// What there is to tell now.
    pub(super) fn news(&mut self, hub: &Hub) -> Vec<Utf8Bytes> {
        let streams = &hub.app().streams;
        match &mut self.source {
            Source::Logs { level, seen } => return logs(*level, seen).into_iter().collect(),
            Source::Audit(seen) => return audit(hub.app(), seen).into_iter().collect(),
            _ => {}
        }
        let ids: Vec<_> = streams.ids().into_iter().filter(|id| self.of.has(id)).collect();
        match &mut self.source {
            // One that was deleted meanwhile has no status.
            Source::Stats => ids.iter().filter_map(|id| hub.status(id).ok()).collect(),
            Source::Meters(seen) => of_each(&ids, seen, |id, seen| meters(hub.app(), id, seen)),
            Source::Silence(told) => of_each(&ids, told, |id, told| silence(hub.app(), id, told)),
            Source::Events(seen, told) => {
                let mut news = of_each(&ids, seen, |id, seen| events(hub.app(), id, seen));
                news.extend(of_each(&ids, told, |id, told| notices(hub.app(), id, told)));
                news
            }
            Source::Logs { .. } | Source::Audit(_) => Vec::new(),
        }
    }
}

/// What there is to tell of each stream, from what is known of it to what is known then. What is known of others is
/// forgotten.
fn of_each<T>(
    ids: &[Id],
    known: &mut BTreeMap<Id, T>,
    mut news: impl FnMut(&Id, Option<T>) -> Option<(T, Vec<Value>)>,
) -> Vec<Utf8Bytes> {
    let mut all = Vec::new();
    let mut before = std::mem::take(known);
    for id in ids {
        if let Some((now, news)) = news(id, before.remove(id)) {
            known.insert(id.clone(), now);
            all.extend(news.iter().map(|value| value.to_string().into()));
        }
    }
    all
}

fn meters(app: &App, id: &Id, seen: Option<u64>) -> Option<(u64, Vec<Value>)> {
    // At first the newest block alone is shown.
    let (reading, now) = app.streams.meters(id, seen.unwrap_or(u64::MAX))?;
    if now == 0 || seen == Some(now) {
        return Some((now, Vec::new()));
    }
    let mut meters = shown(&reading);
    meters["type"] = json!(Topic::Meters);
    meters["stream"] = json!(id);
    Some((now, vec![meters]))
}

fn silence(app: &App, id: &Id, told: Option<bool>) -> Option<(bool, Vec<Value>)> {
    let (reading, _) = app.streams.meters(id, u64::MAX).filter(|(_, blocks)| *blocks > 0)?;
    let is_silent = reading.is_silent;
    let news =
        (told != Some(is_silent)).then(|| json!({ "type": Topic::Silence, "stream": id, "isSilent": is_silent }));
    Some((is_silent, news.into_iter().collect()))
}

/// What happened on a stream since one looked last; at first one looks alone.
fn events(app: &App, id: &Id, seen: Option<Scene>) -> Option<(Scene, Vec<Value>)> {
    let count = seen.as_ref().map_or(u64::MAX, |seen| seen.animations);
    let now = app.streams.happenings(id, count)?;
    let mut happened: Vec<_> = now.animations.iter().map(|animation| ("animation", json!(animation))).collect();
    if let Some(seen) = &seen {
        happened.extend(output_events(&seen.outputs, &now.outputs));
        happened.extend(bitrate_events(&seen.bitrates, &now.bitrates));
    }
    let told = |(kind, mut event): (&str, Value)| {
        event["type"] = json!("event");
        event["event"] = json!(kind);
        event["stream"] = json!(id);
        event
    };
    let scene = Scene {
        animations: now.animations_count,
        outputs: now.outputs.into_iter().collect(),
        bitrates: now.bitrates.into_iter().map(|Bitrates { rendition, count, .. }| (rendition, count)).collect(),
    };
    Some((scene, happened.into_iter().map(told).collect()))
}

/// Outputs that are where they were not, those that have gone among them.
fn output_events(seen: &BTreeMap<Id, State>, now: &[(Id, State)]) -> Vec<(&'static str, Value)> {
    let event = |output: &Id, state: Option<&State>| {
        let was = seen.get(output);
        let mut event = state.map_or_else(|| json!({ "state": null }), |state| json!(state));
        event["output"] = json!(output);
        event["was"] = json!(was)["state"].take();
        (was != state).then_some(("output", event))
    };
    let there = now.iter().filter_map(|(output, state)| event(output, Some(state)));
    let gone = seen.keys().filter(|output| !now.iter().any(|(there, _)| there == *output));
    there.chain(gone.filter_map(|output| event(output, None))).collect()
}

/// Changes of bitrates beyond those that were counted. A stream that was started anew has begun to count anew.
fn bitrate_events(seen: &BTreeMap<Id, u64>, now: &[Bitrates]) -> Vec<(&'static str, Value)> {
    let of_rendition = |Bitrates { rendition, changes, count }: &Bitrates| {
        let seen = seen.get(rendition).filter(|seen| *seen <= count).unwrap_or(&0);
        let forgotten_or_told = changes.len().saturating_sub((count - seen) as usize);
        let event = |change| {
            let mut event = json!(change);
            event["rendition"] = json!(rendition);
            ("bitrate", event)
        };
        changes[forgotten_or_told..].iter().map(event).collect::<Vec<_>>()
    };
    now.iter().flat_map(of_rendition).collect()
}

/// How much there was to tell of each stream's schedule and locks before somebody listened.
fn told_so_far(app: &App) -> BTreeMap<Id, u64> {
    let count = |id: Id| app.streams.notices(&id, u64::MAX).map(|(_, count)| (id, count));
    app.streams.ids().into_iter().filter_map(count).collect()
}

/// What became of what is scheduled or locked since one looked last; of a stream that is new, all.
fn notices(app: &App, id: &Id, seen: Option<u64>) -> Option<(u64, Vec<Value>)> {
    let (notices, now) = app.streams.notices(id, seen.unwrap_or(0))?;
    let told = |Notice { told, actor, at_utc_ms }: &Notice| {
        let (kind, change, name, what) = match told {
            // An entry that was read can be written.
            Tidings::Schedule(change, entry) => ("schedule", change, "scheduled", schedule::shown(entry, None, 0).ok()),
            Tidings::Lock(change, lock) => ("lock", change, "lock", Some(locks::shown(lock))),
        };
        json!({
            "type": "event", "event": kind, "stream": id, "change": change, "actor": actor, "atUtcMs": at_utc_ms, name: what,
        })
    };
    Some((now, notices.iter().map(told).collect()))
}

fn logs(level: Level, seen: &mut u64) -> Option<Utf8Bytes> {
    let since = RECENT.since(*seen, level);
    *seen = since.count;
    if since.records.is_empty() {
        return None;
    }
    let records: Vec<&str> = since.records.iter().map(|record| &**record).collect();
    Some(format!(r#"{{"type":"logs","missed":{},"records":[{}]}}"#, since.missed, records.join(",")).into())
}

fn audit(app: &App, seen: &mut u64) -> Option<Utf8Bytes> {
    let (entries, count) = app.access.audit_since(*seen);
    let new = count.saturating_sub(std::mem::replace(seen, count));
    let missed = new.saturating_sub(entries.len() as u64);
    let is_news = !entries.is_empty();
    is_news.then(|| json!({ "type": Topic::Audit, "missed": missed, "entries": entries }).to_string().into())
}

/// A stream that is watched.
#[derive(Debug)]
pub(super) struct View {
    pub(super) stream: Id,
    pub(super) pace: Pace,
    look: Look,
    /// None while it does not run.
    watch: Option<Watch>,
}

impl View {
    pub(super) fn new(stream: Id, look: Look, pace: Pace) -> Self {
        Self { stream, pace, look, watch: None }
    }

    /// The newest picture, if it was not told yet. A stream that does not run now may do so later.
    pub(super) async fn news(&mut self, app: &App) -> Option<Message> {
        if self.watch.is_none() {
            self.watch = app.streams.watch(self.stream.as_str(), self.look).ok();
        }
        match self.watch.as_mut()?.next().await {
            Ok(shot) => shot.map(|shot| Message::Binary(picture(&self.stream, &shot))),
            Err(NoShot::Unseen(Unseen::Yet)) => None,
            Err(_) => {
                self.watch = None;
                None
            }
        }
    }
}

/// The binary message of a picture, as the protocol has it.
fn picture(stream: &Id, shot: &Arc<Shot>) -> Bytes {
    let id = stream.as_str().as_bytes();
    let mut message = Vec::with_capacity(22 + id.len() + shot.jpeg.len());
    message.extend([PICTURE, id.len() as u8]);
    message.extend(id);
    message.extend(shot.frame.to_be_bytes());
    message.extend(shot.pts_ms.to_be_bytes());
    shot.size.sides().iter().for_each(|side| message.extend((*side as u16).to_be_bytes()));
    message.extend(&*shot.jpeg);
    message.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::size::Size,
        pipeline::{BitrateChange, BitrateReason},
    };

    #[test]
    fn each_change_of_a_bitrate_is_told_once() {
        let rendition = Id::new("main").unwrap();
        let change =
            |to_kbps| BitrateChange { at_ms: 0, from_kbps: 0, to_kbps, reason: BitrateReason::Recovery, output: None };
        let now = |changes: &[u32], count| {
            let changes = changes.iter().copied().map(change).collect();
            [Bitrates { rendition: rendition.clone(), changes, count }]
        };
        let told = |seen: u64, now: &[Bitrates]| -> Vec<u64> {
            let events = bitrate_events(&BTreeMap::from([(rendition.clone(), seen)]), now);
            events.iter().map(|(_, event)| event["toKbps"].as_u64().unwrap()).collect()
        };
        assert_eq!(told(2, &now(&[100, 200, 300], 3)), [300]);
        assert_eq!(told(3, &now(&[100, 200, 300], 3)), [0; 0]);
        assert_eq!(told(3, &now(&[800, 900], 9)), [800, 900], "what lies between is forgotten");
        assert_eq!(told(9, &now(&[100], 1)), [100], "the stream was started anew");
    }

    #[test]
    fn a_picture_has_its_header() {
        let (jpeg, size) = (Bytes::from_static(b"JPEG"), Size::new(640, 360).unwrap());
        let shot = Arc::new(Shot { frame: 0x0102, pts_ms: 8600, size, jpeg });
        let message = picture(&Id::new("main").unwrap(), &shot);
        let expected = [
            &b"\x01\x04main"[..],
            &[0, 0, 0, 0, 0, 0, 1, 2],
            &[0, 0, 0, 0, 0, 0, 0x21, 0x98],
            &[2, 128, 1, 104],
            b"JPEG",
        ];
        assert_eq!(message, expected.concat());
    }
}
