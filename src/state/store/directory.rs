//! The data directory: of this user alone, and of one daemon at a time.
//!
//! Documents have stream keys in them, so nobody else may look into it (mode 0700, files 0600). The lock is the kernel's, on
//! a file that stays: it is gone with the process, however that ends.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use super::Error;
use crate::base::clock::Clock;

/// How long it may still be somebody's who is about to go: a daemon before this one, or a program that it was starting.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(20);

/// Its only owner, until dropped.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes it where it is not there, and takes it. Blocks for a second where somebody else has it.
    pub fn open(path: &Path, clock: &dyn Clock) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::File { path: path.to_owned(), reason: error.to_string() };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let lock = private().create(true).truncate(false).open(path.join("lock")).map_err(failed)?;
        let until = clock.now() + PATIENCE;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { path: path.to_owned(), _lock: lock }),
                Err(TryLockError::WouldBlock) if clock.now() < until => clock.sleep_until(clock.now() + PAUSE),
                Err(TryLockError::WouldBlock) => return Err(Error::InUse { path: path.to_owned() }),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Gives a finished file its name, in place of one that has it; that outlives a loss of power.
    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.file(from), self.file(to))?;
        File::open(&self.path)?.sync_all()
    }
}

/// How a file is opened that nobody else may read.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}
