//! What the clients of the WebSocket share: each stream's state with its last patches, made once for all of them.
//!
//! ```text
//!  Streams::changes() ─► keeper: the newest snapshot of each stream, at most once a frame ─► diff ─► board ─► sessions
//! ```
//!
//! The **keeper** is one task. It compares what GET of a stream showed with what it shows now and puts the patch on the
//! **board**: for each stream its state and the last 64 patches, as bytes. A session remembers how far it has told its
//! client, and is told by the board what comes next: the next patch; several as one; or the full state, where the board
//! has forgotten what lies between or the state is shorter. So it costs the same to be slow as to be quick, and what is
//! kept does not grow with the number of clients.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use axum::extract::ws::Utf8Bytes;
use serde_json::{Value, json};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::AbortHandle,
    time::Instant,
};

use crate::{
    api::{App, problem::Problem, streams},
    base::id::Id,
    telemetry::metrics::Events,
};

/// Patches of a stream that are kept for who is slow.
const PATCHES_MAX: usize = 64;
/// For how long a status serves all who ask: they ask at the same moments.
const STATUS_AGE_MAX: Duration = Duration::from_millis(20);

/// What sessions share.
#[derive(Debug, Clone)]
pub(in crate::api) struct Hub(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    shared: Arc<Shared>,
    seats: Arc<Semaphore>,
    keeper: AbortHandle,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) app: App,
    board: RwLock<BTreeMap<Id, Arc<Line>>>,
    /// Says that there is something new on the board.
    news: watch::Sender<()>,
    statuses: Mutex<BTreeMap<Id, (Instant, Utf8Bytes)>>,
}

impl Hub {
    /// A hub of a daemon; needs its runtime.
    pub(in crate::api) fn new(app: App) -> Self {
        let runtime = app.streams.services().network.runtime.clone();
        let shared = Arc::new(Shared {
            app,
            board: RwLock::default(),
            news: watch::Sender::new(()),
            statuses: Mutex::default(),
        });
        let seats = Arc::new(Semaphore::new(shared.app.clients_max.min(Semaphore::MAX_PERMITS)));
        let keeper = runtime.spawn(super::keeper::keep(shared.clone())).abort_handle();
        Self(Arc::new(Kept { shared, seats, keeper }))
    }

    /// Room for one more client.
    pub(super) fn seat(&self) -> Option<OwnedSemaphorePermit> {
        self.0.seats.clone().try_acquire_owned().ok()
    }

    pub(super) fn app(&self) -> &App {
        &self.0.shared.app
    }

    pub(super) fn metrics(&self) -> &Events {
        &self.0.shared.app.metrics.events
    }

    /// Wakes who waits when there is something new on the board.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.0.shared.news.subscribe()
    }

    /// The board, for a moment.
    pub(super) fn board(&self) -> RwLockReadGuard<'_, BTreeMap<Id, Arc<Line>>> {
        self.0.shared.board.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The status of a stream as a message, made once for all who want it at this moment.
    pub(super) fn status(&self, id: &Id) -> Result<Utf8Bytes, Problem> {
        let mut statuses = self.0.shared.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        statuses.retain(|_, (made_at, _)| now.duration_since(*made_at) < STATUS_AGE_MAX);
        if let Some((_, status)) = statuses.get(id) {
            return Ok(status.clone());
        }
        let status = streams::status_of(self.app(), id.as_str())?;
        let status: Utf8Bytes = json!({ "type": "stats", "stream": id, "status": status }).to_string().into();
        statuses.insert(id.clone(), (now, status.clone()));
        Ok(status)
    }
}

impl Shared {
    /// Puts a stream's new state on the board.
    pub(super) fn put(&self, id: &Id, line: Line) {
        self.board.write().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), Arc::new(line));
        self.news.send_replace(());
    }

    pub(super) fn remove(&self, id: &Id) {
        self.board.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.news.send_replace(());
    }

    pub(super) fn line(&self, id: &Id) -> Option<Arc<Line>> {
        self.board.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }
}

/// A stream's state, and how it came to it.
#[derive(Debug)]
pub(super) struct Line {
    stream: Id,
    revision: u64,
    /// What GET shows.
    value: Value,
    /// How many patches there have been since the stream is known.
    count: u64,
    patches: VecDeque<Arc<Patch>>,
    full: OnceLock<Utf8Bytes>,
}

/// How one state follows from another.
#[derive(Debug)]
struct Patch {
    from_revision: u64,
    revision: u64,
    /// The operations, as the inside of a JSON array.
    operations: String,
    /// The changes that it is made of, too.
    changes: String,
    /// The last of them.
    last: Value,
    message: Utf8Bytes,
}

/// Where a client stands: how many patches of a stream it knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told(u64);

/// What a client is told next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It has all there is.
    Nothing,
    /// What leads on from what it has.
    Patch(Utf8Bytes),
    /// All of it.
    Full(Utf8Bytes),
}

impl Line {
    /// A stream that was not known.
    pub(super) fn new(stream: Id, revision: u64, value: Value) -> Self {
        Self { stream, revision, value, count: 0, patches: VecDeque::new(), full: OnceLock::new() }
    }

    /// The line when the stream shows `value`, by these changes, each with its revision and who made it; `None` if it
    /// shows that already.
    pub(super) fn followed(&self, revision: u64, value: Value, changes: &[Value]) -> Option<Self> {
        let json_patch::Patch(operations) = json_patch::diff(&self.value, &value);
        if operations.is_empty() {
            return None;
        }
        let join = |parts: Vec<String>| parts.join(",");
        let patch = Patch::new(
            &self.stream,
            [self.revision, revision],
            join(operations.iter().map(|operation| json!(operation).to_string()).collect()),
            join(changes.iter().map(Value::to_string).collect()),
            changes.last().cloned().unwrap_or_default(),
        );
        let mut patches = self.patches.clone();
        if patches.len() == PATCHES_MAX {
            patches.pop_front();
        }
        patches.push_back(Arc::new(patch));
        let (stream, count) = (self.stream.clone(), self.count + 1);
        Some(Self { stream, revision, value, count, patches, full: OnceLock::new() })
    }

    /// Where a client stands that was told all of it.
    pub(super) fn told(&self) -> Told {
        Told(self.count)
    }

    pub(super) fn full(&self) -> Utf8Bytes {
        let full = || {
            let Self { stream, revision, value, .. } = self;
            json!({ "type": "state", "stream": stream, "revision": revision, "document": value }).to_string().into()
        };
        self.full.get_or_init(full).clone()
    }

    /// What a client is told that stands there.
    pub(super) fn after(&self, Told(told): Told) -> Next {
        let new = self.count.saturating_sub(told) as usize;
        match self.patches.len().checked_sub(new) {
            _ if new == 0 => Next::Nothing,
            None => Next::Full(self.full()),
            Some(known) => {
                let patches: Vec<_> = self.patches.range(known..).collect();
                if let [patch] = patches[..] {
                    return Next::Patch(patch.message.clone());
                }
                let len: usize = patches.iter().map(|patch| patch.operations.len() + patch.changes.len()).sum();
                if len > self.full().len() { Next::Full(self.full()) } else { Next::Patch(self.merged(&patches)) }
            }
        }
    }

    fn merged(&self, patches: &[&Arc<Patch>]) -> Utf8Bytes {
        let (first, last) = (patches[0], patches[patches.len() - 1]);
        let join = |part: fn(&Patch) -> &str| {
            let parts: Vec<_> = patches.iter().map(|patch| part(patch)).filter(|part| !part.is_empty()).collect();
            parts.join(",")
        };
        let revisions = [first.from_revision, last.revision];
        let (operations, changes) = (join(|patch| &patch.operations), join(|patch| &patch.changes));
        Patch::new(&self.stream, revisions, operations, changes, last.last.clone()).message
    }
}

impl Patch {
    /// `operations` and `changes` are JSON already, without their brackets.
    fn new(stream: &Id, [from_revision, revision]: [u64; 2], operations: String, changes: String, last: Value) -> Self {
        let [actor, frame, pts_ms, at] = ["actor", "appliedFrame", "ptsMs", "atUtcMs"].map(|name| &last[name]);
        let message = format!(
            r#"{{"type":"patch","stream":"{stream}","fromRevision":{from_revision},"revision":{revision},"patch":[{operations}],"actor":{actor},"appliedFrame":{frame},"ptsMs":{pts_ms},"atUtcMs":{at},"changes":[{changes}]}}"#
        );
        Self { from_revision, revision, operations, changes, last, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(revision: u64) -> Value {
        json!({ "id": "main", "revision": revision, "layers": [{ "text": format!("score {revision}") }], "name": "n".repeat(2000) })
    }

    fn changes(revision: u64) -> Vec<Value> {
        vec![json!({ "revision": revision, "actor": "anna", "appliedFrame": revision * 10, "ptsMs": revision * 333 })]
    }

    fn line() -> Line {
        Line::new(Id::new("main").unwrap(), 1, value(1))
    }

    fn follow(line: &Line, revision: u64) -> Line {
        line.followed(revision, value(revision), &changes(revision)).unwrap()
    }

    /// A client, as the protocol has it.
    #[derive(Default)]
    struct Client {
        told: Option<Told>,
        revision: u64,
        document: Value,
    }

    impl Client {
        fn hear(&mut self, line: &Line) -> Value {
            let next = self.told.map_or_else(|| Next::Full(line.full()), |told| line.after(told));
            self.told = Some(line.told());
            let (Next::Patch(text) | Next::Full(text)) = next else { return Value::Null };
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["type"] == "state" {
                self.document = message["document"].clone();
            } else {
                assert_eq!(message["fromRevision"], self.revision, "there is a gap");
                let patch: json_patch::Patch = serde_json::from_value(message["patch"].clone()).unwrap();
                json_patch::patch(&mut self.document, &patch).unwrap();
            }
            self.revision = message["revision"].as_u64().unwrap();
            message
        }
    }

    #[test]
    fn whoever_is_quick_or_slow_or_gone_for_long_has_the_same_state() {
        let mut line = line();
        let mut clients = [1, 2, 5, 100].map(|patience| (patience, Client::default()));
        for (_, client) in &mut clients {
            assert_eq!(client.hear(&line)["type"], "state");
        }
        for revision in 2..=301 {
            line = follow(&line, revision);
            assert!(line.patches.len() <= PATCHES_MAX);
            for (patience, client) in clients.iter_mut().filter(|(patience, _)| revision % patience == 1 % patience) {
                let message = client.hear(&line);
                assert_eq!((client.revision, &client.document), (revision, &value(revision)));
                let expected = if *patience > 5 { "state" } else { "patch" };
                assert_eq!(message["type"], expected, "{patience}");
                assert_eq!(client.hear(&line), Value::Null, "that was all");
            }
        }
    }

    #[test]
    fn a_patch_says_who_did_what_and_when_it_shows() {
        let first = line();
        let second = follow(&first, 2);
        let Next::Patch(text) = second.after(first.told()) else { panic!() };
        let message: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(message["patch"][0], json!({ "op": "replace", "path": "/layers/0/text", "value": "score 2" }));
        let facts = json!([message["actor"], message["appliedFrame"], message["ptsMs"], message["fromRevision"]]);
        assert_eq!(facts, json!(["anna", 20, 666, 1]));
        let Next::Patch(again) = second.after(first.told()) else { panic!() };
        assert_eq!(again.as_str().as_ptr(), text.as_str().as_ptr(), "the same bytes for all");

        let third = follow(&second, 3);
        let Next::Patch(text) = third.after(first.told()) else { panic!() };
        let message: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&message["fromRevision"], &message["revision"]), (&json!(1), &json!(3)));
        assert_eq!(message["changes"], json!([changes(2)[0], changes(3)[0]]));
        assert_eq!(message["appliedFrame"], 30);
        assert!(third.followed(4, value(3), &[]).is_none(), "nothing is different");
    }

    #[test]
    fn what_is_longer_than_the_state_is_the_state() {
        let with = |text: String| json!({ "text": text });
        let mut line = Line::new(Id::new("main").unwrap(), 1, with(String::new()));
        let told = line.told();
        for revision in 2..5 {
            line = line.followed(revision, with(revision.to_string().repeat(300)), &[]).unwrap();
        }
        assert_eq!(line.after(told), Next::Full(line.full()));
    }
}
