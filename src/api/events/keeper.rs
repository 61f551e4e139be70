//! The task that keeps the board: what GET of each stream shows, compared with what it showed before.
//!
//! It follows the feed of changes. Those that come within a frame of the one before are put on the board together when that
//! is over, so that nobody is told more often than the picture can change. A take or a fade ends by itself, without a
//! change: while one is under way, the stream is looked at from time to time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, sleep_until},
};

use super::hub::{Line, Shared};
use crate::{
    api::streams::shown,
    base::id::Id,
    state::{Change, RunState, Snapshot, What},
};

/// How often a stream is looked at on which something ends by itself.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Changes that are named in one patch; of more the newest.
const CHANGES_MAX: usize = 64;

/// What is known of a stream.
struct Known {
    snapshot: Snapshot,
    /// What is not on the board yet.
    changes: Vec<Value>,
    /// When it is to be put there, if there is something to put.
    due: Option<Instant>,
    /// When the next patch may be.
    not_before: Instant,
}

struct Keeper {
    shared: Arc<Shared>,
    known: BTreeMap<Id, Known>,
}

/// Keeps the board until it is aborted.
pub(super) async fn keep(shared: Arc<Shared>) {
    // What changes while all is read is read and told, too: better twice than not at all.
    let mut changes = shared.app.streams.changes();
    let mut keeper = Keeper { shared, known: BTreeMap::new() };
    keeper.read_all();
    loop {
        let due = keeper.known.values().filter_map(|known| known.due).min();
        tokio::select! {
            change = changes.recv() => match change {
                Ok(change) => keeper.note(change),
                Err(RecvError::Lagged(_)) => keeper.read_all(),
                Err(RecvError::Closed) => return,
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        }
        keeper.put_what_is_due();
    }
}

impl Keeper {
    /// All streams as they are, whatever is known of them.
    fn read_all(&mut self) {
        let snapshots = self.shared.app.streams.list();
        self.known.retain(|id, _| {
            let is_there = snapshots.iter().any(|snapshot| snapshot.document.id == *id);
            if !is_there {
                self.shared.remove(id);
            }
            is_there
        });
        snapshots.into_iter().for_each(|snapshot| self.know(snapshot, None));
        self.put_what_is_due();
    }

    fn note(&mut self, change: Change) {
        let Change { stream, revision, what, snapshot, applied, ops, actor, at_utc_ms } = change;
        if what == What::Deleted {
            self.known.remove(&stream);
            self.shared.remove(&stream);
            return;
        }
        // What GET of the stream does not show.
        if matches!(what, What::Saved | What::Control) {
            return;
        }
        // One that was read with all others is announced later.
        if self.known.get(&stream).is_some_and(|known| known.snapshot.revision > revision) {
            return;
        }
        let change = json!({
            "revision": revision, "appliedFrame": applied.map(|applied| applied.frame),
            "ptsMs": applied.map(|applied| applied.pts_ms), "ops": *ops, "actor": actor, "atUtcMs": at_utc_ms,
        });
        self.know(snapshot, Some(change));
    }

    fn know(&mut self, snapshot: Snapshot, change: Option<Value>) {
        let now = Instant::now();
        let id = snapshot.document.id.clone();
        let new = || Known { snapshot: snapshot.clone(), changes: Vec::new(), due: None, not_before: now };
        let known = self.known.entry(id).or_insert_with(new);
        known.snapshot = snapshot.clone();
        known.due = Some(known.not_before);
        known.changes.extend(change);
        let surplus = known.changes.len().saturating_sub(CHANGES_MAX);
        known.changes.drain(..surplus);
    }

    fn put_what_is_due(&mut self) {
        let now = Instant::now();
        for (id, known) in &mut self.known {
            if known.due.is_some_and(|due| due <= now) {
                known.put(id, &self.shared);
                known.not_before = now + known.snapshot.document.show.canvas.fps.time_of(1);
                known.due = known.is_moving().then_some(now + LOOK_INTERVAL);
            }
        }
    }
}

impl Known {
    /// Whether its document changes by itself.
    fn is_moving(&self) -> bool {
        let Snapshot { document, state, .. } = &self.snapshot;
        let runs = matches!(state, RunState::Running | RunState::Paused);
        runs && (document.show.caught_up(Duration::MAX).is_some() || document.audio.mix.caught_up(u64::MAX).is_some())
    }

    fn put(&mut self, id: &Id, shared: &Shared) {
        // Where nothing was announced time alone has passed; where something was meanwhile, that comes with the change.
        if self.changes.is_empty()
            && let Ok(snapshot) = shared.app.streams.get(id.as_str())
            && snapshot.revision == self.snapshot.revision
        {
            self.snapshot = snapshot;
        }
        let changes = std::mem::take(&mut self.changes);
        // A document that was read can be written.
        let Ok(value) = shown(&self.snapshot) else { return };
        let revision = self.snapshot.revision;
        let line = match shared.line(id) {
            None => Some(Line::new(id.clone(), revision, value)),
            Some(line) => line.followed(revision, value, &changes),
        };
        line.into_iter().for_each(|line| shared.put(id, line));
    }
}
