//! Named snapshots: documents of a stream that are kept under a name until they are deleted, to come back to, and the
//! difference between any two documents that are kept. They outlive the process, as one record of each stream.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Actor, By, Current, Document, Error, Receipt, Snapshot, Streams, What,
    draft::towards,
    fixed,
    history::Step,
    not_found,
    transaction::{Done, Work},
};
use crate::{base::id::Id, scene::check::Problems};

/// Most named snapshots of a stream.
pub const SAVED_MAX: usize = 64;
/// Most bytes of all of them as they are written, which is done anew whenever one comes or goes.
const WRITTEN_LEN_MAX: usize = 8 << 20;

/// A document under a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    /// The name.
    pub name: Id,
    /// The revision that the document had.
    pub revision: u64,
    /// The document, with its secrets, without what was under way.
    pub document: Arc<Document>,
    /// Who saved it.
    pub actor: Actor,
    /// When, in milliseconds since 1970 UTC.
    pub at_utc_ms: i64,
}

/// The named snapshots of a stream.
pub(super) type Shelf = BTreeMap<Id, Saved>;

/// A snapshot as it is written. Stream keys are in it: for stores alone.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Written {
    name: Id,
    revision: u64,
    actor: String,
    at_utc_ms: i64,
    document: Value,
}

impl Saved {
    fn written(&self) -> Written {
        let Self { name, revision, document, actor, at_utc_ms } = self;
        Written {
            name: name.clone(),
            revision: *revision,
            actor: actor.name().to_owned(),
            at_utc_ms: *at_utc_ms,
            document: document.with_secrets(),
        }
    }

    fn read(written: Written) -> Result<Self, Problems> {
        let Written { name, revision, actor, at_utc_ms, document } = written;
        let document = Arc::new(Document::read(document)?);
        Ok(Self { name, revision, document, actor: Actor::new(&actor), at_utc_ms })
    }
}

impl Streams {
    /// All named snapshots of a stream, by name.
    pub fn saved(&self, id: &str) -> Result<Vec<Saved>, Error> {
        Ok(self.entry(id)?.lock().saved.values().cloned().collect())
    }

    /// The snapshot of that name.
    pub fn saved_as(&self, id: &str, name: &str) -> Result<Saved, Error> {
        self.entry(id)?.lock().saved.get(name).cloned().ok_or_else(|| not_found("snapshot", name))
    }

    /// Keeps the document as it is now under a name that is not taken.
    pub async fn save(&self, by: &By, id: &str, name: Id) -> Result<Saved, Error> {
        if name.as_str().bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(fixed("/name", "digits alone are a revision: use a letter"));
        }
        let (entry, _writing) = self.write(by, id).await?;
        // Nobody else changes them meanwhile.
        let before = entry.lock().saved.clone();
        let mut len = written_len(before.values());
        let mut current = entry.lock();
        if current.saved.contains_key(&name) {
            return Err(Error::Exists { what: "snapshot", id: name });
        }
        if current.saved.len() == SAVED_MAX {
            return Err(Error::TooMany { what: "snapshot", limit: SAVED_MAX });
        }
        let elapsed = self.moment(&current).elapsed;
        let saved = Saved {
            name: name.clone(),
            revision: current.revision,
            document: Arc::new(current.document().settled(elapsed)),
            actor: by.actor.clone(),
            at_utc_ms: current.clock.utc_ms(),
        };
        len += written_len([&saved]);
        if len > WRITTEN_LEN_MAX {
            return Err(fixed(
                "",
                &format!(
                    "the snapshots would have {len} bytes, {WRITTEN_LEN_MAX} bytes at most: delete one that is not needed"
                ),
            ));
        }
        current.saved.insert(name, saved.clone());
        current.announce(by, What::Saved, None);
        Ok(saved)
    }

    /// Forgets the snapshot of that name.
    pub async fn forget_saved(&self, by: &By, id: &str, name: &str) -> Result<(), Error> {
        let (entry, _writing) = self.write(by, id).await?;
        let mut current = entry.lock();
        current.saved.remove(name).ok_or_else(|| not_found("snapshot", name))?;
        current.announce(by, What::Saved, None);
        Ok(())
    }

    /// Makes the snapshot of that name the stream's document again, by a change like any other.
    pub async fn restore_saved(&self, by: &By, id: &str, name: &str) -> Result<Receipt<Snapshot>, Error> {
        let (entry, _writing) = self.write(by, id).await?;
        let target = entry.lock().saved.get(name).ok_or_else(|| not_found("snapshot", name))?.document.clone();
        let make = |before: &Document, time| towards(before, &target, time).map_err(|error| (0, error));
        let work = Work { by, make: &make, step: Step::Do, ops: [format!("restore {name}")].into(), scheduled: None };
        let done = self.carry_out(&entry, work).await.map_err(|(_, error)| error)?;
        Ok(done.map(|Done { snapshot, .. }| snapshot))
    }

    /// All named snapshots of a stream as they are to be kept; none where there is nothing to be kept.
    pub(super) fn saved_as_written(&self, id: &str) -> Option<Vec<Written>> {
        let shelf = self.entry(id).ok()?.lock().saved.clone();
        (!shelf.is_empty()).then(|| shelf.values().map(Saved::written).collect())
    }

    /// Makes these the named snapshots of a stream.
    pub(super) async fn adopt_saved(&self, by: &By, id: &str, written: Vec<Written>) -> Result<(), Error> {
        let read = |(index, written)| Saved::read(written).map_err(|error| error.under(&format!("/{index}/document")));
        let shelf = written.into_iter().take(SAVED_MAX).enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        let (entry, _writing) = self.write(by, id).await?;
        let mut current = entry.lock();
        current.saved = shelf.into_iter().map(|saved| (saved.name.clone(), saved)).collect();
        current.announce(by, What::Saved, None);
        Ok(())
    }

    /// What makes one kept document into another, as a JSON patch (RFC 6902) of what is written of them. Each is a revision
    /// or the name of a snapshot; without the second one, the document as it is.
    pub fn diff(&self, id: &str, from: &str, to: Option<&str>) -> Result<Value, Error> {
        let (from, to) = {
            let entry = self.entry(id)?;
            let current = entry.lock();
            let to = to.map_or_else(|| Ok(current.document()), |to| kept(&current, to))?;
            (kept(&current, from)?, to)
        };
        let internal = |error: serde_json::Error| Error::Internal(error.to_string());
        let written = |document: &Document| serde_json::to_value(document).map_err(internal);
        serde_json::to_value(json_patch::diff(&written(&from)?, &written(&to)?)).map_err(internal)
    }
}

fn written_len<'a>(saved: impl IntoIterator<Item = &'a Saved>) -> usize {
    // What is made of strings and finite numbers is always written.
    saved.into_iter().map(|saved| serde_json::to_vec(&saved.written()).unwrap_or_default().len()).sum()
}

fn kept(current: &Current, reference: &str) -> Result<Arc<Document>, Error> {
    match reference.parse() {
        Ok(revision) => current.history.document(revision).cloned().ok_or_else(|| not_found("revision", reference)),
        Err(_) => {
            let saved = current.saved.get(reference);
            saved.map(|saved| saved.document.clone()).ok_or_else(|| not_found("snapshot", reference))
        }
    }
}
