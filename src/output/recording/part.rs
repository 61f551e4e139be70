//! One file on the disk: made anew, appended to, synced, ended.
//!
//! A file is made by a call that fails if there is anything of that name, a symbolic link included (`O_EXCL`), so nothing
//! is overwritten and no link is followed. A write that fails half-way is taken back, so what is left can be read.

use std::{
    fs::File,
    io::{self, IoSlice, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

use bytes::Bytes;

use super::{Error, container::Patch};

/// Names that are tried when one is taken: `name`, `name-2`, `name-3`, ...
const NAMES_MAX: u32 = 99;
/// Pieces for one system call.
const PIECES_MAX: usize = 256;

/// A file that is written.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    name: String,
    /// Bytes that are in it as a whole.
    len: u64,
    is_broken: bool,
}

impl Part {
    /// A file that was not there before.
    pub(super) fn create(directory: &Path, stem: &str, extension: &str) -> Result<Self, Error> {
        for number in 1..=NAMES_MAX {
            let name = if number == 1 { format!("{stem}.{extension}") } else { format!("{stem}-{number}.{extension}") };
            match File::create_new(directory.join(&name)) {
                Ok(file) => {
                    // The name too should survive a failure of the machine; not every file system can be asked for that.
                    let _ = File::open(directory).and_then(|directory| directory.sync_all());
                    return Ok(Self { file, name, len: 0, is_broken: false });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(Error::Disk { file: name, source }),
            }
        }
        Err(Error::NameTaken { file: format!("{stem}.{extension}") })
    }

    /// Its name in the directory.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Appends all pieces; returns how many bytes those were.
    pub(super) fn append(&mut self, pieces: &[Bytes]) -> Result<u64, Error> {
        let bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
        for pieces in pieces.chunks(PIECES_MAX) {
            if let Err(source) = write_all(&self.file, pieces) {
                self.is_broken = true;
                // What was there before it is whole; if even this fails, a reader stops at the half piece.
                let _ = self.file.set_len(self.len);
                return Err(self.failed(source));
            }
        }
        self.len += bytes;
        Ok(bytes)
    }

    /// Waits until the disk has it all, and looks whether the file is still there.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(|source| self.failed(source))?;
        match self.file.metadata() {
            Ok(metadata) if metadata.nlink() == 0 => Err(Error::Deleted { file: self.name.clone() }),
            Ok(_) => Ok(()),
            Err(source) => Err(self.failed(source)),
        }
    }

    /// Appends the rest, mends what stands before it, and syncs. After a write that failed it is synced as it is.
    pub(super) fn finish(&mut self, pieces: &[Bytes], patches: &[Patch]) -> Result<u64, Error> {
        if self.is_broken {
            return self.sync().map(|()| 0);
        }
        let bytes = self.append(pieces)?;
        for patch in patches {
            self.file.write_all_at(&patch.bytes, patch.at).map_err(|source| self.failed(source))?;
        }
        self.sync().map(|()| bytes)
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Disk { file: self.name.clone(), source }
    }
}

fn write_all(mut file: &File, pieces: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut rest = &mut slices[..];
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(len) => IoSlice::advance_slices(&mut rest, len),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Bytes free for the daemon on the directory's disk.
pub(super) fn free_bytes(directory: &Path) -> Result<u64, Error> {
    let asked = rustix::fs::statvfs(directory);
    let asked = asked.map_err(|error| Error::Disk { file: "recordings_dir".into(), source: error.into() })?;
    Ok(asked.f_bavail.saturating_mul(asked.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn pieces(texts: &[&'static str]) -> Vec<Bytes> {
        texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect()
    }

    #[test]
    fn nothing_is_overwritten_and_no_link_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("a.flv"), "old").unwrap();
        fs::write(path("elsewhere"), "old").unwrap();
        symlink(path("elsewhere"), path("a-2.flv")).unwrap();
        symlink(path("nowhere"), path("a-3.flv")).unwrap();
        let mut part = Part::create(directory.path(), "a", "flv").unwrap();
        assert_eq!(part.name(), "a-4.flv");
        assert_eq!(part.append(&pieces(&["new", "", "er"])).unwrap(), 5);
        assert_eq!(fs::read(path("a-4.flv")).unwrap(), b"newer");
        assert_eq!(
            (fs::read(path("a.flv")).unwrap(), fs::read(path("elsewhere")).unwrap()),
            (b"old".into(), b"old".into())
        );
        assert!(!path("nowhere").exists());
        for number in 5..=NAMES_MAX {
            fs::write(path(&format!("a-{number}.flv")), "").unwrap();
        }
        assert_eq!(Part::create(directory.path(), "a", "flv").unwrap_err().class(), "file_name_taken");
        let gone = Part::create(&path("gone"), "a", "flv").unwrap_err();
        assert_eq!(gone.class(), "disk_missing", "{gone}");
        assert_eq!(free_bytes(&path("gone")).unwrap_err().class(), "disk_missing");
    }

    #[test]
    fn many_pieces_are_written_in_order_and_mended() {
        let directory = tempfile::tempdir().unwrap();
        let mut part = Part::create(directory.path(), "a", "flv").unwrap();
        let many: Vec<_> = (0..3000_u32).map(|n| Bytes::copy_from_slice(&n.to_be_bytes())).collect();
        part.append(&many).unwrap();
        part.finish(&pieces(&["end"]), &[Patch { at: 4, bytes: *b"mended: " }]).unwrap();
        let written = fs::read(directory.path().join("a.flv")).unwrap();
        let mut expected = many.concat();
        expected[4..12].copy_from_slice(b"mended: ");
        expected.extend(b"end");
        assert!(written == expected);
        assert_eq!(part.len(), expected.len() as u64);
    }

    #[test]
    fn a_file_that_is_deleted_is_missed() {
        let directory = tempfile::tempdir().unwrap();
        let part = Part::create(directory.path(), "a", "flv").unwrap();
        part.sync().unwrap();
        fs::remove_file(directory.path().join("a.flv")).unwrap();
        assert_eq!(part.sync().unwrap_err().class(), "file_deleted");
    }
}
