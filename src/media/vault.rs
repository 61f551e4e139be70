//! Uploaded files, each under the digest of its bytes: written once, never changed.
//!
//! ```text
//!  dir/ab/abcdef…   a file whose SHA-256 begins with ab; mode 0600
//!  dir/upload-…     one that is coming in; what was left by a crash is swept away when the vault is opened
//! ```
//!
//! A file is in its place only when all of it is on the disk, so whoever finds it finds it whole. No name from outside
//! becomes a path: a place is made of 64 checked digits. Links are not followed: what is no regular file is not there.
//! Blocking, for worker threads. What a file is and who needs it is not known here.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::base::digest::{Digest, Hasher};

const UPLOAD_PREFIX: &str = "upload-";

/// A directory of contents.
#[derive(Debug)]
pub struct Vault {
    dir: PathBuf,
    uploads: AtomicU64,
}

/// A content that is in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub digest: Digest,
    /// Its length.
    pub bytes: u64,
}

impl Vault {
    /// Opens the vault in `dir`, which is made if it is missing.
    pub fn open(dir: &Path) -> io::Result<Self> {
        make_dir(dir)?;
        let dir = dir.canonicalize()?;
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(UPLOAD_PREFIX) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { dir, uploads: AtomicU64::new(0) })
    }

    /// Begins to take a file in. It is gone when it is dropped before [`Sealed::keep`].
    pub fn receive(&self) -> io::Result<Upload> {
        let number = self.uploads.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!("{UPLOAD_PREFIX}{}-{number}", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Upload { file, draft: Draft(path), hasher: Hasher::default(), bytes: 0 })
    }

    /// Opens a content.
    pub fn read(&self, digest: &Digest) -> io::Result<File> {
        let path = self.place(digest);
        // Asked before it is opened: opening a pipe would wait for a writer.
        if !path.symlink_metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "it is no regular file"));
        }
        File::open(path)
    }

    /// Takes a content away; whoever has it open keeps it.
    pub fn remove(&self, digest: &Digest) -> io::Result<()> {
        fs::remove_file(self.place(digest))
    }

    /// All that is there.
    pub fn list(&self) -> io::Result<Vec<Stored>> {
        let mut all = Vec::new();
        for shelf in fs::read_dir(&self.dir)? {
            let shelf = shelf?;
            if !shelf.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(shelf.path())? {
                let file = file?;
                let digest = file.file_name().to_str().and_then(Digest::from_hex);
                if let Some(digest) = digest.filter(|digest| self.place(digest) == file.path())
                    && file.file_type()?.is_file()
                {
                    all.push(Stored { digest, bytes: file.metadata()?.len() });
                }
            }
        }
        Ok(all)
    }

    fn place(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.dir.join(&hex[..2]).join(hex)
    }
}

fn make_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// A file that is deleted when dropped.
#[derive(Debug)]
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // Already in its place, or swept away at the next start.
        let _ = fs::remove_file(&self.0);
    }
}

/// A file that is coming in.
#[derive(Debug)]
pub struct Upload {
    file: File,
    draft: Draft,
    hasher: Hasher,
    bytes: u64,
}

impl Upload {
    /// The next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// There are no more: all of them are on the disk when this returns.
    pub fn seal(self) -> io::Result<Sealed> {
        self.file.sync_all()?;
        let Self { draft, hasher, bytes, .. } = self;
        Ok(Sealed { draft, stored: Stored { digest: hasher.finish(), bytes } })
    }
}

/// A file that is whole and not in its place yet.
#[derive(Debug)]
pub struct Sealed {
    draft: Draft,
    stored: Stored,
}

impl Sealed {
    /// What it will be called, and its length.
    pub fn stored(&self) -> Stored {
        self.stored
    }

    /// Its content, from the start.
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.draft.0)
    }

    /// Puts it into its place, where it may be already.
    pub fn keep(self, vault: &Vault) -> io::Result<Stored> {
        let place = vault.place(&self.stored.digest);
        let shelf = place.parent().unwrap_or(&vault.dir);
        make_dir(shelf)?;
        fs::rename(&self.draft.0, &place)?;
        // The names, too, are on the disk then.
        for dir in [shelf, &*vault.dir] {
            File::open(dir)?.sync_all()?;
        }
        Ok(self.stored)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn put(vault: &Vault, bytes: &[u8]) -> Digest {
        let mut upload = vault.receive().unwrap();
        bytes.chunks(3).for_each(|part| upload.write(part).unwrap());
        upload.seal().unwrap().keep(vault).unwrap().digest
    }

    #[test]
    fn a_content_is_kept_once_under_its_digest() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(&dir.path().join("a/b")).unwrap();
        let digest = put(&vault, b"hello world");
        assert_eq!(digest, Digest::of(b"hello world"));
        assert_eq!(put(&vault, b"hello world"), digest);
        assert_eq!(vault.list().unwrap(), [Stored { digest, bytes: 11 }]);
        assert_eq!(io::read_to_string(vault.read(&digest).unwrap()).unwrap(), "hello world");
        let mode = fs::metadata(vault.place(&digest)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        vault.remove(&digest).unwrap();
        assert_eq!(vault.read(&digest).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_not_kept_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(dir.path()).unwrap();
        let mut given_up = vault.receive().unwrap();
        given_up.write(b"half").unwrap();
        drop(given_up);
        drop(vault.receive().unwrap().seal().unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        // A crash leaves it to the next start.
        fs::write(dir.path().join("upload-1-0"), b"half").unwrap();
        fs::write(dir.path().join("notes.txt"), b"not ours").unwrap();
        Vault::open(dir.path()).unwrap();
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["notes.txt"]);
    }

    #[test]
    fn links_and_other_files_are_not_contents() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret");
        fs::write(&secret, b"secret").unwrap();
        let vault = Vault::open(&dir.path().join("vault")).unwrap();
        let digest = Digest::of(b"x");
        fs::create_dir(vault.place(&digest).parent().unwrap()).unwrap();
        symlink(&secret, vault.place(&digest)).unwrap();
        assert_eq!(vault.read(&digest).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(vault.list().unwrap(), []);
        // A content under another's shelf is none, either.
        fs::create_dir(vault.dir.join("zz")).unwrap();
        fs::write(vault.dir.join("zz").join(digest.hex()), b"x").unwrap();
        assert_eq!(vault.list().unwrap(), []);
    }
}
