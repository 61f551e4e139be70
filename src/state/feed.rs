//! The feed of changes: what happened to which stream, by whom, when.
//!
//! Every change of a document, of a run, and of which streams there are is announced once, in the order of the stream's
//! revisions, while the stream is locked; announcing never waits. The feed keeps [`CAPACITY`] changes. Whoever falls
//! further behind is told how many were lost, and reads all streams anew; that loses nothing but what was in between.
//! What is to be written into the store by that is told apart, by name, so that nothing of it can be lost.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::{
    Actor, Snapshot,
    store::{Key, Kind, Notices},
};
use crate::{base::id::Id, pipeline::Applied};

/// Changes that are kept for the slowest follower.
const CAPACITY: usize = 256;

/// Something that happened to a stream.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which stream.
    pub stream: Id,
    /// Its revision after it; a change of the run has that of the document.
    pub revision: u64,
    /// What happened.
    pub what: What,
    /// The stream after it; of one that was deleted, as it was last.
    pub snapshot: Snapshot,
    /// The first frame that shows it; none while the stream is stopped or paused.
    pub applied: Option<Applied>,
    /// What was done to the document.
    pub ops: Arc<[String]>,
    /// By whom.
    pub actor: Actor,
    /// When, in milliseconds since 1970 UTC.
    pub at_utc_ms: i64,
}

/// What happened to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Its document changed, by one revision.
    Document,
    /// It was started, stopped, paused or released, or it failed to start.
    Run,
    /// Its named snapshots are others.
    Saved,
    /// What is scheduled on it, or who has locked which layer.
    Control,
    /// It is new.
    Created,
    /// It is gone.
    Deleted,
}

impl Change {
    /// Which kinds of records of the stream are not what is kept any more.
    fn kinds(&self) -> &'static [Kind] {
        match self.what {
            // What another instance has done is what is kept.
            _ if self.actor == Actor::store() => &[],
            What::Document | What::Run | What::Control | What::Created => &[Kind::Stream],
            What::Saved => &[Kind::Saved],
            What::Deleted => &Kind::OF_STREAMS,
        }
    }
}

/// Where changes are announced.
#[derive(Debug, Clone)]
pub(super) struct Feed {
    changes: broadcast::Sender<Change>,
    unkept: Arc<Notices>,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self { changes: broadcast::Sender::new(CAPACITY), unkept: Arc::default() }
    }

    /// Tells whoever follows; that may be nobody.
    pub(super) fn announce(&self, change: Change) {
        let keys = change.kinds().iter().map(|kind| Key::new(*kind, change.stream.clone()));
        keys.for_each(|key| self.unkept.tell(key));
        let _ = self.changes.send(change);
    }

    /// What is announced from now on.
    pub(super) fn follow(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Which records are to be written.
    pub(super) fn unkept(&self) -> &Arc<Notices> {
        &self.unkept
    }
}
