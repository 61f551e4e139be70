//! What was on air from when to when, and by whom: pure, from the changes of one stream.
//!
//! ```text
//!  change ──► what is on air after it ──► Off for each thing that is not any more, On for each that was not before
//! ```
//!
//! On air are a stream that runs, the scene that it shows (while a take is under way, the one it leads to), that scene's
//! layers that are enabled, and the sources of sound that are not muted. Layers inside groups go with them; what a layer says
//! is not followed, only what it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    base::id::Id,
    state::{RunState, Snapshot, feed},
};

/// A thing that can be on air.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Of which stream.
    pub stream: Id,
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub id: Id,
    /// A layer's scene.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scene: Option<Id>,
    /// The type of a layer's content, or of a source.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// What a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A stream that runs.
    Stream,
    /// The scene that it shows.
    Scene,
    /// A layer of that scene.
    Layer,
    /// A source of sound.
    Source,
}

/// When and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// Milliseconds since 1970 UTC.
    pub utc_ms: i64,
    /// The frame of the stream's run; none where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<u64>,
    /// Its presentation time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pts_ms: Option<u64>,
    /// By whom.
    pub actor: String,
}

impl Mark {
    /// Of a change.
    pub(super) fn of(change: &feed::Change) -> Self {
        Self {
            utc_ms: change.at_utc_ms,
            frame: change.applied.map(|applied| applied.frame),
            pts_ms: change.applied.map(|applied| applied.pts_ms),
            actor: change.actor.name().into(),
        }
    }
}

/// Something came on air or went off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) event: Event,
    #[serde(flatten)]
    pub(super) item: Item,
    #[serde(flatten)]
    pub(super) at: Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Event {
    On,
    Off,
}

/// A time on air.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// What it was.
    #[serde(flatten)]
    pub item: Item,
    /// When it came.
    pub from: Mark,
    /// When it went; none: it is still there.
    pub until: Option<Mark>,
}

/// What is on air now.
#[derive(Debug, Default)]
pub(super) struct Board(BTreeMap<Item, Mark>);

impl Board {
    /// A stream is so from `at` on; what came and went.
    pub(super) fn follow(&self, stream: &Id, snapshot: Option<&Snapshot>, at: &Mark) -> Vec<Line> {
        let now = snapshot.map(on_air).unwrap_or_default();
        let gone = self.0.keys().filter(|item| item.stream == *stream && !now.contains(item));
        let came = now.iter().filter(|item| !self.0.contains_key(item));
        let line = |event| move |item: &Item| Line { event, item: item.clone(), at: at.clone() };
        gone.map(line(Event::Off)).chain(came.map(line(Event::On))).collect()
    }

    /// The streams of which something is on air.
    pub(super) fn streams(&self) -> Vec<Id> {
        let mut streams: Vec<_> = self.0.keys().map(|item| item.stream.clone()).collect();
        streams.dedup();
        streams
    }

    /// Takes note; the time on air that is over with it.
    pub(super) fn note(&mut self, line: Line) -> Option<Stretch> {
        match line.event {
            Event::On => {
                self.0.entry(line.item).or_insert(line.at);
                None
            }
            Event::Off => {
                let from = self.0.remove(&line.item)?;
                Some(Stretch { item: line.item, from, until: Some(line.at) })
            }
        }
    }

    /// What is on air, as far as it has come.
    pub(super) fn open(&self) -> impl Iterator<Item = Stretch> {
        self.0.iter().map(|(item, from)| Stretch { item: item.clone(), from: from.clone(), until: None })
    }
}

fn on_air(snapshot: &Snapshot) -> Vec<Item> {
    let document = &snapshot.document;
    if !matches!(snapshot.state, RunState::Running | RunState::Paused) {
        return Vec::new();
    }
    let stream = &document.id;
    let of = |kind, id: &Id| Item {
        stream: stream.clone(),
        kind,
        id: id.clone(),
        scene: None,
        type_name: None,
        name: String::new(),
    };
    let scene = document.show.on_air();
    let layers = scene.layers.iter().filter(|layer| layer.enabled).map(|layer| Item {
        scene: Some(scene.id.clone()),
        type_name: Some(layer.content.type_name().into()),
        name: layer.name.clone(),
        ..of(Kind::Layer, &layer.id)
    });
    let sources = document.audio.mix.sources.iter().filter(|source| !source.mute).map(|source| Item {
        type_name: Some(source.kind.type_name().into()),
        name: source.name.clone(),
        ..of(Kind::Source, &source.id)
    });
    let whole = Item { name: document.name.clone(), ..of(Kind::Stream, stream) };
    [whole, of(Kind::Scene, &scene.id)].into_iter().chain(layers).chain(sources).collect()
}
