//! What outlives the process: records, by kind and id, each with a revision.
//!
//! The contract of a [`Store`], which `tests/store.rs` holds both of them to:
//! * A record is replaced whole or not at all, and only by whoever knows the revision that it has. A store that may be
//!   shared gives each write a revision above all that the record had before, also where it was deleted in between.
//! * Nothing is written by being read. What was acknowledged is there after a crash.
//! * A record has at most [`RECORD_LEN_MAX`] bytes, a kind at most [`RECORDS_MAX`] records.
//! * A call ends within seconds: a store that is away says so, and whoever called tries again. It is never asked by a thread
//!   of the picture or the sound.
//!
//! [`embedded`] is a file below the data directory, of this daemon alone; [`redis`] may be shared by several. Where records
//! come from and who takes them over is in [`parts`], what is kept of a stream in [`kept`], how older forms are read in
//! `migrate`; [`keeper`] keeps all of it in step.

mod directory;
pub mod embedded;
pub mod keeper;
pub mod kept;
mod migrate;
pub mod parts;
pub mod redis;

use std::{
    collections::BTreeSet,
    fmt,
    path::PathBuf,
    pin::Pin,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use tokio::sync::Notify;

pub use self::{directory::Directory, embedded::Embedded, parts::Parts, redis::Redis};
use crate::base::{digest::Digest, id::Id};

/// Longest record: a document that REST takes is shorter, but may grow by what layers are told on air.
pub const RECORD_LEN_MAX: usize = 16 << 20;
/// Most records of a kind.
pub const RECORDS_MAX: usize = 10_000;
/// Names of records that have changed and that nobody has asked for; with more, all are to be read anew.
const NOTICES_MAX: usize = 256;

/// What a record is about, in the order in which they are written and come back: what is named before who names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What is known of an uploaded file, by its digest.
    Asset,
    /// A stream: its document and its run.
    Stream,
    /// The named snapshots of a stream.
    Saved,
    /// A record that could not be read, put aside so that nothing is written over it.
    SetAside,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Asset, Self::Stream, Self::Saved, Self::SetAside];
    /// Those that are of a stream, whose id their records have.
    pub const OF_STREAMS: [Self; 2] = [Self::Stream, Self::Saved];

    /// Its name in a store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Asset => "asset",
            Self::Stream => "stream",
            Self::Saved => "saved",
            Self::SetAside => "setAside",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Which record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its name among those of its kind.
    pub id: Id,
}

impl Key {
    /// The record of that name.
    pub fn new(kind: Kind, id: Id) -> Self {
        Self { kind, id }
    }

    /// The record of the asset with that digest.
    pub fn of_asset(digest: &Digest) -> Self {
        let id = Id::new(&digest.hex());
        Self::new(Kind::Asset, id.unwrap_or_else(|_| unreachable!("64 digits are an id")))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.id)
    }
}

/// A record as it is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub id: Id,
    /// Rises with each write.
    pub revision: u64,
    /// What it holds; JSON, which stores do not look into.
    pub bytes: Bytes,
}

/// What there is of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It is there.
    Present(Record),
    /// It was deleted, and by that has this revision. A store that is not shared does not remember.
    Deleted {
        /// Above that of the record.
        revision: u64,
    },
    /// Nothing is known of it.
    Missing,
}

/// A record to be written.
#[derive(Debug, Clone)]
pub struct Write {
    /// Which.
    pub key: Key,
    /// The revision that it must have; none: it must not be there.
    pub expected: Option<u64>,
    /// The new revision is above this one, too: for a store that has forgotten what it had.
    pub above: u64,
    /// What it is to hold.
    pub bytes: Bytes,
}

/// Why a store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It may work later.
    #[error("the store is not available: {reason}")]
    Unavailable {
        /// What it said.
        reason: String,
    },
    /// Somebody else has written it.
    #[error("the record has revision {}, which was not expected", found.map_or("none".into(), |found| found.to_string()))]
    Conflict {
        /// What it has; none: it is not there.
        found: Option<u64>,
    },
    /// The record is too long.
    #[error("{key} has {len} bytes: {RECORD_LEN_MAX} at most")]
    TooLarge {
        /// Which.
        key: Key,
        /// Its length.
        len: usize,
    },
    /// There are as many as there may be.
    #[error("{RECORDS_MAX} records of a kind are the most there may be")]
    TooMany,
    /// It was written by a later version of this program.
    #[error(
        "{what} was written by a later version of stream-manager (schema {found}, this one knows {known}): \
         use that version, or another data directory"
    )]
    Newer {
        /// What was.
        what: String,
        /// Its schema.
        found: u64,
        /// The latest that is known.
        known: u64,
    },
    /// Another process has it.
    #[error("{} is in use by another stream-manager: end that one, or give this one another --data-dir", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A file cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The address is none.
    #[error("redis.url: {reason}")]
    Address {
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    fn unavailable(reason: impl fmt::Display) -> Self {
        Self::Unavailable { reason: reason.to_string() }
    }
}

/// What a call of a store gives.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Where records are kept. Calls may be made from anywhere but the threads of picture and sound.
pub trait Store: Send + Sync + fmt::Debug {
    /// What it is, for people: never with a password.
    fn name(&self) -> String;

    /// All records of a kind, by id.
    fn load(&self, kind: Kind) -> Answer<'_, Vec<Record>>;

    /// One record.
    fn get(&self, key: Key) -> Answer<'_, Found>;

    /// Writes one record; its new revision.
    fn put(&self, write: Write) -> Answer<'_, u64>;

    /// Deletes one record, which must have that revision; one that is not there is gone already.
    fn delete(&self, key: Key, expected: u64) -> Answer<'_, ()>;

    /// Whether it answers now.
    fn check(&self) -> Answer<'_, ()>;

    /// What others write; none where there are no others.
    fn notices(&self) -> Option<&Notices>;
}

/// Checks what all stores refuse alike.
fn check_len(write: &Write) -> Result<(), Error> {
    match write.bytes.len() {
        len if len > RECORD_LEN_MAX => Err(Error::TooLarge { key: write.key.clone(), len }),
        _ => Ok(()),
    }
}

/// What has changed since it was last asked, in a store or before it is kept there; each record is named once, however
/// often it changed. Telling never waits.
#[derive(Debug, Default)]
pub struct Notices {
    pending: Mutex<News>,
    wake: Notify,
}

/// What may have changed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[must_use]
pub struct News {
    /// Everything: something may have been missed.
    pub everything: bool,
    /// These records; nothing else, where it is not everything.
    pub keys: BTreeSet<Key>,
}

impl News {
    /// Adds other news to these.
    fn join(&mut self, other: Self) {
        self.everything |= other.everything;
        self.keys.extend(other.keys);
        self.bound();
    }

    /// More than can be held is everything.
    fn bound(&mut self) {
        if self.everything || self.keys.len() > NOTICES_MAX {
            *self = Self { everything: true, keys: BTreeSet::new() };
        }
    }
}

impl Notices {
    fn change(&self, change: impl FnOnce(&mut News)) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut pending);
        pending.bound();
        self.wake.notify_one();
    }

    /// This one has changed.
    pub fn tell(&self, key: Key) {
        self.change(|news| {
            news.keys.insert(key);
        });
    }

    fn tell_everything(&self) {
        self.change(|news| news.everything = true);
    }

    /// What there is now.
    pub fn take(&self) -> News {
        std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for news; for one who asks.
    pub async fn next(&self) -> News {
        loop {
            let news = self.take();
            if news != News::default() {
                return news;
            }
            self.wake.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Key::new(Kind::Stream, Id::new(&format!("s{number}")).unwrap())
    }

    #[tokio::test]
    async fn a_record_that_is_written_often_is_told_once() {
        let notices = Notices::default();
        (0..1000).for_each(|n| notices.tell(key(n % 3)));
        let news = notices.next().await;
        assert_eq!(news, News { everything: false, keys: (0..3).map(key).collect() });
        assert_eq!(notices.take(), News::default());
        notices.tell(key(7));
        assert_eq!(notices.next().await.keys.len(), 1, "what was told is not told again");
    }

    #[tokio::test]
    async fn more_than_can_be_held_is_everything() {
        let notices = Notices::default();
        (0..=NOTICES_MAX).for_each(|n| notices.tell(key(n)));
        notices.tell(key(1));
        let everything = News { everything: true, keys: BTreeSet::new() };
        assert_eq!(notices.next().await, everything);
        let mut news = News::default();
        for n in 0..=NOTICES_MAX {
            news.join(News { everything: false, keys: BTreeSet::from([key(n)]) });
            assert_eq!(news.everything, n == NOTICES_MAX, "{n}");
        }
        assert_eq!(news, everything);
    }
}
