//! The store that needs nothing: one file, written in transactions that a crash does not tear.
//!
//! ```text
//! DATA/state.redb                 the records
//! DATA/state.previous.redb        all of them as they were within the last minute of changes, and at a proper end
//! DATA/state.corrupt-UTC.redb     a file that could not be trusted, for whoever wants to know why
//! ```
//!
//! All checksums are verified when it is opened. A file that is torn, empty or altered is set aside, never written to, and
//! the previous one takes its place; where that is no good either, the store begins empty. The previous file is made of
//! records that were read, under another name, and gets its own when it is complete, so that a bad one never replaces it.
//!
//! The file is the thread's, `store`; callers wait for its answers. After an error of the disk the file is closed and opened
//! again with the next call: a disk that has room again needs no restart.

use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageError, TableDefinition,
    backends::FileBackend,
};
use tokio::sync::oneshot;

use super::{
    Answer, Directory, Error, Found, Key, Kind, Notices, RECORDS_MAX, Record, Store, Write, check_len,
    directory::private,
};
use crate::base::{clock::Clock, id::Id};

const FILE: &str = "state.redb";
const PREVIOUS: &str = "state.previous.redb";
/// A file that is being made.
const UNFINISHED: &str = "state.redb.new";
/// Kind and id to revision and bytes.
const RECORDS: TableDefinition<'_, (&str, &str), (u64, &[u8])> = TableDefinition::new("records");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const LAYOUT: &str = "layout";
/// Of the tables. What the records hold has versions of its own (`migrate`).
const LAYOUT_KNOWN: u64 = 1;
/// Memory for pages; the file of a busy daemon is smaller.
const CACHE_LEN: usize = 8 << 20;
/// Calls that wait for the thread; more are told that the store is not available.
const QUEUE: usize = 64;
/// How long what was written may have no second copy.
const PREVIOUS_AGE_MAX: Duration = Duration::from_secs(60);

/// The store in a file.
#[derive(Debug)]
pub struct Embedded {
    calls: Option<SyncSender<Call>>,
    thread: Option<JoinHandle<()>>,
    name: String,
    /// Why the store is not as it was left.
    warnings: Vec<String>,
}

type Reply<T> = oneshot::Sender<Result<T, Error>>;

#[derive(Debug)]
enum Call {
    Load(Kind, Reply<Vec<Record>>),
    Get(Key, Reply<Found>),
    Put(Write, Reply<u64>),
    Delete(Key, u64, Reply<()>),
    Check(Reply<()>),
}

impl Embedded {
    /// Opens the store of a data directory, or makes one.
    pub fn open(directory: Arc<Directory>, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let (mut owner, warnings) = Owner::open(directory, clock)?;
        let name = owner.directory.file(FILE).display().to_string();
        let (calls, received) = mpsc::sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || owner.run(&received));
        let thread = thread.map_err(Error::unavailable)?;
        Ok(Self { calls: Some(calls), thread: Some(thread), name, warnings })
    }

    /// What whoever runs the daemon should know of the file: empty if it was as it should be.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn ask<T: Send + 'static>(&self, call: impl FnOnce(Reply<T>) -> Call) -> Answer<'_, T> {
        let (reply, answer) = oneshot::channel();
        let sent = self.calls.as_ref().map(|calls| calls.try_send(call(reply)));
        Box::pin(async move {
            match sent {
                Some(Ok(())) => answer.await.unwrap_or_else(|_| Err(Error::unavailable("its thread has ended"))),
                Some(Err(TrySendError::Full(_))) => Err(Error::unavailable("too many calls wait for the disk")),
                _ => Err(Error::unavailable("its thread has ended")),
            }
        })
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // The thread ends when it has done what it was asked.
        self.calls = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

impl Store for Embedded {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn load(&self, kind: Kind) -> Answer<'_, Vec<Record>> {
        self.ask(|reply| Call::Load(kind, reply))
    }

    fn get(&self, key: Key) -> Answer<'_, Found> {
        self.ask(|reply| Call::Get(key, reply))
    }

    fn put(&self, write: Write) -> Answer<'_, u64> {
        self.ask(|reply| Call::Put(write, reply))
    }

    fn delete(&self, key: Key, expected: u64) -> Answer<'_, ()> {
        self.ask(|reply| Call::Delete(key, expected, reply))
    }

    fn check(&self) -> Answer<'_, ()> {
        self.ask(Call::Check)
    }

    fn notices(&self) -> Option<&Notices> {
        None
    }
}

/// The thread's own.
#[derive(Debug)]
struct Owner {
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    /// None after an error of the disk.
    database: Option<Database>,
    /// When the previous file was last made.
    copied_at: Duration,
    /// Whether something was written since.
    is_copy_due: bool,
}

impl Owner {
    fn open(directory: Arc<Directory>, clock: Arc<dyn Clock>) -> Result<(Self, Vec<String>), Error> {
        let mut warnings = Vec::new();
        let database = match open_or_set_aside(&directory, FILE, &*clock, &mut warnings)? {
            Some(database) => database,
            None => second_choice(&directory, &*clock, &mut warnings)?,
        };
        let copied_at = clock.now();
        Ok((Self { directory, clock, database: Some(database), copied_at, is_copy_due: true }, warnings))
    }

    fn run(&mut self, calls: &Receiver<Call>) {
        loop {
            match calls.recv_timeout(PREVIOUS_AGE_MAX) {
                Ok(call) => self.answer(call),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            if self.clock.now().saturating_sub(self.copied_at) >= PREVIOUS_AGE_MAX {
                self.copy();
            }
        }
        self.copy();
    }

    fn answer(&mut self, call: Call) {
        // Who asked may have gone away meanwhile.
        match call {
            Call::Load(kind, reply) => drop(reply.send(self.with(|database| load(database, kind)))),
            Call::Get(key, reply) => drop(reply.send(self.with(|database| get(database, &key)))),
            Call::Put(write, reply) => {
                let written = check_len(&write).and_then(|()| self.with(|database| put(database, &write)));
                self.is_copy_due |= written.is_ok();
                drop(reply.send(written));
            }
            Call::Delete(key, expected, reply) => {
                let deleted = self.with(|database| delete(database, &key, expected));
                self.is_copy_due |= deleted.is_ok();
                drop(reply.send(deleted));
            }
            Call::Check(reply) => drop(reply.send(self.with(|_| Ok(())))),
        }
    }

    /// Does something with the file, which is opened again where it had to be closed.
    fn with<T>(&mut self, work: impl FnOnce(&Database) -> Result<T, Failed>) -> Result<T, Error> {
        let database = match self.database.take() {
            Some(database) => database,
            None => open_checked(&self.directory.file(FILE))
                .map_err(|bad| bad.told())?
                .ok_or_else(|| Error::unavailable("the file is gone"))?,
        };
        match catch_unwind(AssertUnwindSafe(|| work(&database))) {
            Ok(Ok(done)) => {
                self.database = Some(database);
                Ok(done)
            }
            Ok(Err(Failed::Refused(error))) => {
                self.database = Some(database);
                Err(error)
            }
            Ok(Err(Failed::Disk(error))) => Err(Error::unavailable(error)),
            Err(_) => Err(Error::unavailable("the file cannot be trusted any more")),
        }
    }

    /// Makes the previous file of what is there now.
    fn copy(&mut self) {
        if !std::mem::take(&mut self.is_copy_due) {
            return;
        }
        self.copied_at = self.clock.now();
        let directory = self.directory.clone();
        let copied = self.with(|database| {
            let records = Kind::ALL.iter().map(|kind| Ok((*kind, load(database, *kind)?)));
            let records = records.collect::<Result<Vec<_>, Failed>>()?;
            drop(create(&directory, &records)?);
            directory.rename(UNFINISHED, PREVIOUS).map_err(|error| Failed::Refused(Error::unavailable(error)))
        });
        if let Err(error) = copied {
            tracing::warn!(%error, "the second copy of the state was not made; it is tried again");
            self.is_copy_due = true;
        }
    }
}

/// Why the file did not do it.
enum Failed {
    /// It is as good as before.
    Refused(Error),
    /// It is not to be used before it was opened anew.
    Disk(String),
}

impl<E: Into<redb::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Disk(error.into().to_string())
    }
}

fn load(database: &Database, kind: Kind) -> Result<Vec<Record>, Failed> {
    let table = database.begin_read()?.open_table(RECORDS)?;
    let mut records = Vec::new();
    for entry in table.range((kind.name(), "")..)? {
        let (key, value) = entry?;
        let ((name, id), (revision, bytes)) = (key.value(), value.value());
        if name != kind.name() {
            break;
        }
        match Id::new(id) {
            Ok(id) => records.push(Record { id, revision, bytes: Bytes::copy_from_slice(bytes) }),
            Err(error) => tracing::error!(kind = name, %error, "a record is left out"),
        }
    }
    Ok(records)
}

fn get(database: &Database, key: &Key) -> Result<Found, Failed> {
    let table = database.begin_read()?.open_table(RECORDS)?;
    let value = table.get((key.kind.name(), key.id.as_str()))?;
    Ok(value.map_or(Found::Missing, |value| {
        let (revision, bytes) = value.value();
        Found::Present(Record { id: key.id.clone(), revision, bytes: Bytes::copy_from_slice(bytes) })
    }))
}

fn put(database: &Database, write: &Write) -> Result<u64, Failed> {
    let transaction = database.begin_write()?;
    let revision = {
        let mut table = transaction.open_table(RECORDS)?;
        let key = (write.key.kind.name(), write.key.id.as_str());
        let found = table.get(key)?.map(|value| value.value().0);
        if found != write.expected {
            return Err(Failed::Refused(Error::Conflict { found }));
        }
        if found.is_none() && table.len()? >= (RECORDS_MAX * Kind::ALL.len()) as u64 {
            return Err(Failed::Refused(Error::TooMany));
        }
        let revision = found.unwrap_or(0).max(write.above) + 1;
        table.insert(key, (revision, &*write.bytes))?;
        revision
    };
    transaction.commit()?;
    Ok(revision)
}

fn delete(database: &Database, key: &Key, expected: u64) -> Result<(), Failed> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(RECORDS)?;
        let key = (key.kind.name(), key.id.as_str());
        let found = table.get(key)?.map(|value| value.value().0);
        if found.is_some_and(|found| found != expected) {
            return Err(Failed::Refused(Error::Conflict { found }));
        }
        table.remove(key)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Why a file is not used.
#[derive(Debug)]
enum Bad {
    /// What is in it cannot be trusted.
    Corrupt(String),
    /// It may be good.
    Refused(Error),
}

impl Bad {
    fn told(self) -> Error {
        match self {
            Self::Corrupt(reason) => Error::unavailable(reason),
            Self::Refused(error) => error,
        }
    }
}

/// Opens a file and verifies all of it; none where there is none.
fn open_checked(path: &Path) -> Result<Option<Database>, Bad> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(path, &error)),
        // It would be taken for one that is to be made.
        Ok(metadata) if metadata.len() == 0 => return Err(Bad::Corrupt("it is empty".into())),
        Ok(_) => {}
    }
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_LEN).set_check_integrity_on_open(true);
    // A file that was altered may do anything to a library that trusts its own checksums.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = builder.open(path).map_err(|error| classify(path, error))?;
        check_layout(path, &database)?;
        for kind in Kind::ALL {
            let unreadable = |failed| match failed {
                Failed::Disk(reason) => Bad::Corrupt(reason),
                Failed::Refused(error) => Bad::Refused(error),
            };
            load(&database, kind).map_err(unreadable)?;
        }
        Ok(database)
    }));
    opened.unwrap_or_else(|_| Err(Bad::Corrupt("it cannot be read".into()))).map(Some)
}

fn refused(path: &Path, error: &impl std::fmt::Display) -> Bad {
    Bad::Refused(Error::File { path: path.to_owned(), reason: error.to_string() })
}

fn classify(path: &Path, error: DatabaseError) -> Bad {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            Bad::Refused(Error::InUse { path: path.to_owned() })
        }
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
            match error.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Bad::Corrupt(error.to_string()),
                _ => refused(path, &error),
            }
        }
        error => Bad::Corrupt(error.to_string()),
    }
}

fn check_layout(path: &Path, database: &Database) -> Result<(), Bad> {
    let corrupt = |error: redb::Error| Bad::Corrupt(error.to_string());
    let transaction = database.begin_read().map_err(|error| corrupt(error.into()))?;
    let table = transaction.open_table(META).map_err(|error| corrupt(error.into()))?;
    let found = table.get(LAYOUT).map_err(|error| corrupt(error.into()))?.map(|value| value.value());
    match found {
        Some(LAYOUT_KNOWN) => Ok(()),
        Some(found) if found > LAYOUT_KNOWN => {
            Err(Bad::Refused(Error::Newer { what: path.display().to_string(), found, known: LAYOUT_KNOWN }))
        }
        _ => Err(Bad::Corrupt("its layout is not said".into())),
    }
}

/// [`open_checked`]; what cannot be trusted gets another name, and is none then.
fn open_or_set_aside(
    directory: &Directory,
    name: &str,
    clock: &dyn Clock,
    warnings: &mut Vec<String>,
) -> Result<Option<Database>, Error> {
    let path = directory.file(name);
    match open_checked(&path) {
        Ok(database) => Ok(database),
        Err(Bad::Refused(error)) => Err(error),
        Err(Bad::Corrupt(reason)) => {
            let stem = name.trim_end_matches(".redb");
            let aside = format!("{stem}.corrupt-{}.redb", clock.utc_ms());
            let failed = |error: io::Error| Error::File { path: path.clone(), reason: error.to_string() };
            directory.rename(name, &aside).map_err(failed)?;
            warnings.push(format!("{} is corrupt ({reason}); it is kept as {aside}", path.display()));
            Ok(None)
        }
    }
}

/// The previous file in the place of one that is not there; where there is none, an empty one.
fn second_choice(directory: &Directory, clock: &dyn Clock, warnings: &mut Vec<String>) -> Result<Database, Error> {
    let had_one = !warnings.is_empty();
    let previous = open_or_set_aside(directory, PREVIOUS, clock, warnings)?;
    let records = match &previous {
        Some(database) => {
            let read = Kind::ALL.iter().map(|kind| Ok((*kind, load(database, *kind)?)));
            read.collect::<Result<Vec<_>, Failed>>().map_err(|failed| failed.told())?
        }
        None => Vec::new(),
    };
    match (&previous, had_one) {
        (Some(_), _) => warnings.push("the state is that of the second copy: changes since may be missing".into()),
        (None, true) => warnings.push("there is no second copy: the state begins empty".into()),
        (None, false) => {}
    }
    let database = create(directory, &records).map_err(|failed| failed.told())?;
    let failed = |error: io::Error| Error::File { path: directory.file(FILE), reason: error.to_string() };
    directory.rename(UNFINISHED, FILE).map_err(failed)?;
    Ok(database)
}

impl Failed {
    fn told(self) -> Error {
        match self {
            Self::Refused(error) => error,
            Self::Disk(reason) => Error::unavailable(reason),
        }
    }
}

/// A file with these records, under the name of one that is not finished.
fn create(directory: &Directory, records: &[(Kind, Vec<Record>)]) -> Result<Database, Failed> {
    let path = directory.file(UNFINISHED);
    let failed =
        |error: io::Error| Failed::Refused(Error::File { path: directory.file(UNFINISHED), reason: error.to_string() });
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let file = private().create_new(true).open(&path).map_err(failed)?;
    let database = Database::builder().set_cache_size(CACHE_LEN).create_with_backend(FileBackend::new(file)?)?;
    let transaction = database.begin_write()?;
    transaction.open_table(META)?.insert(LAYOUT, LAYOUT_KNOWN)?;
    {
        let mut table = transaction.open_table(RECORDS)?;
        for (kind, records) in records {
            for record in records {
                table.insert((kind.name(), record.id.as_str()), (record.revision, &*record.bytes))?;
            }
        }
    }
    transaction.commit()?;
    Ok(database)
}
