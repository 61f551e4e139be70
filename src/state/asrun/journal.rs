//! The as-run log on disk: a line of JSON for each thing that came on air or went off, appended as it happens.
//!
//! ```text
//!  as-run.jsonl     the newest lines
//!  as-run.1.jsonl   those before, up to as-run.4.jsonl
//! ```
//!
//! A file that has grown to [`FILE_BYTES_MAX`] becomes the first of the older ones and the oldest goes. A process that is
//! killed loses nothing that was written; the line that it was writing is passed over, like any that makes no sense.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::stretch::Line;

/// Length at which a file is full.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// Older files.
const OLDER: u32 = 4;
/// Longest line that is read.
const LINE_BYTES_MAX: u64 = 8 << 10;

/// A directory with the log.
#[derive(Debug)]
pub(super) struct Journal {
    dir: PathBuf,
    file: File,
    bytes: u64,
    full_at: u64,
}

impl Journal {
    /// Opens the log in `dir`, which is made if it is missing; with it, what it says, the oldest first.
    pub(super) fn open(dir: &Path) -> io::Result<(Self, Vec<Line>)> {
        Self::open_with(dir, FILE_BYTES_MAX)
    }

    fn open_with(dir: &Path, full_at: u64) -> io::Result<(Self, Vec<Line>)> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let mut lines = Vec::new();
        for number in (0..=OLDER).rev() {
            match File::open(path(dir, number)) {
                Ok(file) => read(file, &mut lines)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let mut file = append(dir)?;
        let mut bytes = file.metadata()?.len();
        // A line that was broken off must not swallow the next one.
        if bytes > 0 {
            bytes += 1;
            file.write_all(b"\n")?;
        }
        Ok((Self { dir: dir.into(), file, bytes, full_at }, lines))
    }

    /// Adds lines.
    pub(super) fn write(&mut self, lines: &[Line]) -> io::Result<()> {
        if self.bytes >= self.full_at {
            self.turn_over()?;
        }
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        self.file.write_all(&text)?;
        self.bytes += text.len() as u64;
        Ok(())
    }

    fn turn_over(&mut self) -> io::Result<()> {
        for number in (0..OLDER).rev() {
            match fs::rename(path(&self.dir, number), path(&self.dir, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.file = append(&self.dir)?;
        self.bytes = 0;
        Ok(())
    }
}

fn append(dir: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path(dir, 0))
}

fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(if number == 0 { "as-run.jsonl".into() } else { format!("as-run.{number}.jsonl") })
}

fn read(file: File, lines: &mut Vec<Line>) -> io::Result<()> {
    let mut file = BufReader::new(file);
    loop {
        let mut text = Vec::new();
        if file.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut text)? == 0 {
            return Ok(());
        }
        lines.extend(serde_json::from_slice::<Line>(&text));
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::stretch::{Event, Item, Kind, Mark},
        *,
    };
    use crate::base::id::Id;

    fn line(utc_ms: i64) -> Line {
        let id = Id::new("main").unwrap();
        let item =
            Item { stream: id.clone(), kind: Kind::Stream, id, scene: None, type_name: None, name: String::new() };
        let at = Mark { utc_ms, frame: Some(7), pts_ms: None, actor: "ann".into() };
        Line { event: Event::On, item, at }
    }

    #[test]
    fn what_was_written_is_read_whatever_else_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, lines) = Journal::open(&dir.path().join("log")).unwrap();
        assert_eq!(lines, []);
        journal.write(&[line(1), line(2)]).unwrap();
        drop(journal);
        let mut file = append(&dir.path().join("log")).unwrap();
        file.write_all(format!("no json\n{}\n{{\"event\":\"on\",\"str", "x".repeat(20_000)).as_bytes()).unwrap();
        let (mut journal, lines) = Journal::open(&dir.path().join("log")).unwrap();
        assert_eq!(lines, [line(1), line(2)]);
        journal.write(&[line(3)]).unwrap();
        let (_, lines) = Journal::open(&dir.path().join("log")).unwrap();
        assert_eq!(lines, [line(1), line(2), line(3)], "the broken line has not swallowed it");
    }

    #[test]
    fn it_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open_with(dir.path(), 1000).unwrap();
        (0..200).for_each(|ms| journal.write(&[line(ms)]).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 5);
        let (_, lines) = Journal::open_with(dir.path(), 1000).unwrap();
        assert!(lines.len() < 60 && lines.last() == Some(&line(199)), "{}", lines.len());
        assert!(lines.windows(2).all(|pair| pair[0].at.utc_ms + 1 == pair[1].at.utc_ms));
    }
}
