//! The task that keeps the board: what GET of each stream shows, compared with what it showed before.
//!
//! Changes that come within a frame of the one before are put on the board together when that is over, so that nobody is
//! told more often than the picture can change. A take or a fade ends without a revision, and is seen as it ends.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::hub::{Line, Shared};
use crate::{
    api::streams::shown,
    base::id::Id,
    state::{Document, RunState, Snapshot},
};

/// How often it is looked after what has changed.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// What was seen of a stream.
struct Seen {
    document: Arc<Document>,
    revision: u64,
    state: RunState,
    /// When its next patch may be told.
    not_before: Instant,
}

impl Seen {
    fn is(&self, snapshot: &Snapshot) -> bool {
        (self.revision, self.state) == (snapshot.revision, snapshot.state)
            && Arc::ptr_eq(&self.document, &snapshot.document)
    }
}

/// Keeps the board until it is aborted.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut seen: BTreeMap<Id, Seen> = BTreeMap::new();
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = Instant::now();
        let snapshots = shared.app.streams.list();
        seen.retain(|id, _| {
            let is_there = snapshots.iter().any(|snapshot| snapshot.document.id == *id);
            if !is_there {
                shared.remove(id);
            }
            is_there
        });
        for snapshot in snapshots {
            let id = snapshot.document.id.clone();
            let known = seen.get(&id);
            if known.is_some_and(|seen| seen.is(&snapshot) || now < seen.not_before) {
                continue;
            }
            put(&shared, &id, &snapshot);
            let not_before = now + snapshot.document.show.canvas.fps.time_of(1);
            let Snapshot { document, revision, state } = snapshot;
            seen.insert(id, Seen { document, revision, state, not_before });
        }
    }
}

fn put(shared: &Shared, id: &Id, snapshot: &Snapshot) {
    let Ok(value) = shown(snapshot) else { return };
    let line = match shared.line(id) {
        None => Some(Line::new(id.clone(), snapshot.revision, value)),
        Some(line) => line.followed(snapshot.revision, value, &[json!({ "revision": snapshot.revision })]),
    };
    line.into_iter().for_each(|line| shared.put(id, line));
}
