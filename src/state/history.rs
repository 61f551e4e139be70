//! What was done to a stream: its last revisions, for undo and redo, for comparing, and to be looked up.
//!
//! Documents are shared, so a revision costs what it changed. Undo is a change like any other, with a revision of its own:
//! it leads back to the document before the last change that was not undone. Outputs come back with their keys. Nothing here
//! is written anywhere; documents that compare are written ones, without secrets.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{
    Actor, By, Document, Error, Receipt, Snapshot, Streams,
    draft::towards,
    transaction::{Done, Work},
};
use crate::pipeline::Applied;

/// Revisions that are kept of each stream.
pub const REVISIONS_MAX: usize = 64;

/// Whether a change is new, or goes back, or forth again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Do,
    Undo,
    Redo,
}

/// One revision, and how it came to be.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its number.
    pub revision: u64,
    /// Who made it.
    pub actor: Actor,
    /// When, in milliseconds since 1970 UTC.
    pub at_utc_ms: i64,
    /// What was done.
    pub ops: Arc<[String]>,
    /// The first frame that showed it.
    pub applied: Option<Applied>,
    /// The document.
    pub document: Arc<Document>,
}

impl Record {
    pub(super) fn of<T>(receipt: &Receipt<T>, ops: Arc<[String]>, document: &Arc<Document>) -> Self {
        let Receipt { revision, applied, actor, at_utc_ms, .. } = receipt;
        let (actor, document) = (actor.clone(), document.clone());
        Self { revision: *revision, actor, at_utc_ms: *at_utc_ms, ops, applied: *applied, document }
    }
}

/// The last revisions of a stream.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Oldest first, the current one last.
    records: VecDeque<Record>,
    /// Where undo leads, the last one first.
    past: VecDeque<Arc<Document>>,
    /// Where redo leads, the last one first.
    future: Vec<Arc<Document>>,
}

impl History {
    /// A history that begins with this revision.
    pub(super) fn new(first: Record) -> Self {
        Self { records: VecDeque::from([first]), ..Self::default() }
    }

    /// Notes a change of the document that was `before`.
    pub(super) fn note(&mut self, step: Step, before: Arc<Document>, record: Record) {
        push(&mut self.records, record);
        match step {
            Step::Do => {
                self.future.clear();
                push(&mut self.past, before);
            }
            Step::Undo => {
                self.past.pop_back();
                self.future.push(before);
            }
            Step::Redo => {
                self.future.pop();
                push(&mut self.past, before);
            }
        }
    }

    /// Where a step would lead.
    fn target(&self, step: Step) -> Option<Arc<Document>> {
        match step {
            Step::Do => None,
            Step::Undo => self.past.back().cloned(),
            Step::Redo => self.future.last().cloned(),
        }
    }

    /// The document of a revision, if it is kept.
    pub(super) fn document(&self, revision: u64) -> Option<&Arc<Document>> {
        let record = self.records.iter().find(|record| record.revision == revision);
        record.map(|record| &record.document)
    }

    /// A run ended at `elapsed`: its times mean nothing to what comes back in another one.
    pub(super) fn settle(&mut self, elapsed: Duration) {
        let records = self.records.iter_mut().map(|record| &mut record.document);
        for document in records.chain(&mut self.past).chain(&mut self.future) {
            *document = Arc::new(document.settled(elapsed));
        }
    }
}

fn push<T>(kept: &mut VecDeque<T>, new: T) {
    if kept.len() == REVISIONS_MAX {
        kept.pop_front();
    }
    kept.push_back(new);
}

impl Streams {
    /// Takes the last change back that was not taken back yet.
    pub async fn undo(&self, by: &By, id: &str) -> Result<Receipt<Snapshot>, Error> {
        self.step(by, id, Step::Undo, "undo", "there is nothing to undo").await
    }

    /// Makes the change again that was taken back last.
    pub async fn redo(&self, by: &By, id: &str) -> Result<Receipt<Snapshot>, Error> {
        self.step(by, id, Step::Redo, "redo", "there is nothing to redo").await
    }

    async fn step(
        &self,
        by: &By,
        id: &str,
        step: Step,
        name: &str,
        nothing: &'static str,
    ) -> Result<Receipt<Snapshot>, Error> {
        let (entry, _writing) = self.write(by, id).await?;
        let target = entry.lock().history.target(step).ok_or(Error::NothingTo(nothing))?;
        let make = |before: &Document, time| towards(before, &target, time).map_err(|error| (0, error));
        let work = Work { by, make: &make, step, ops: [name.to_owned()].into(), scheduled: None };
        let done = self.carry_out(&entry, work).await.map_err(|(_, error)| error)?;
        Ok(done.map(|Done { snapshot, .. }| snapshot))
    }

    /// The last revisions of a stream, oldest first.
    pub fn history(&self, id: &str) -> Result<Vec<Record>, Error> {
        Ok(self.entry(id)?.lock().history.records.iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(name: &str) -> Arc<Document> {
        Arc::new(Document::read(json!({ "id": "main", "name": name })).unwrap())
    }

    fn record(revision: u64, name: &str) -> Record {
        let (actor, ops) = (Actor::anonymous(), Arc::default());
        Record { revision, actor, at_utc_ms: 0, ops, applied: None, document: document(name) }
    }

    fn name(document: Option<Arc<Document>>) -> Option<String> {
        document.map(|document| document.name.clone())
    }

    #[test]
    fn undo_leads_back_and_redo_forth_until_something_new_is_done() {
        let mut history = History::new(record(1, "a"));
        history.note(Step::Do, document("a"), record(2, "b"));
        history.note(Step::Do, document("b"), record(3, "c"));
        assert_eq!(name(history.target(Step::Undo)).as_deref(), Some("b"));
        history.note(Step::Undo, document("c"), record(4, "b"));
        history.note(Step::Undo, document("b"), record(5, "a"));
        assert_eq!(name(history.target(Step::Undo)), None);
        assert_eq!(name(history.target(Step::Redo)).as_deref(), Some("b"));
        history.note(Step::Redo, document("a"), record(6, "b"));
        assert_eq!(name(history.target(Step::Redo)).as_deref(), Some("c"));
        history.note(Step::Do, document("b"), record(7, "d"));
        assert_eq!(name(history.target(Step::Redo)), None);
        assert_eq!(name(history.target(Step::Undo)).as_deref(), Some("b"));
        assert_eq!(history.document(4).unwrap().name, "b");
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut history = History::new(record(1, "1"));
        for revision in 2..=100 {
            history.note(Step::Do, document(""), record(revision, ""));
        }
        assert_eq!((history.records.len(), history.past.len()), (REVISIONS_MAX, REVISIONS_MAX));
        assert!(history.document(36).is_none() && history.document(37).is_some());
    }
}
