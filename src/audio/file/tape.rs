//! A file as it is played: frame 0 is where it starts, and behind its end it ends or starts again.
//!
//! Played round and round, a file of *n* frames is *n* frames long to the frame: its last one is followed by its first.
//! How long it is shows only when it was decoded to its end, whatever its head says; so to get to a place beyond that
//! for the first time, it is decoded up to there. In WAV and FLAC any place before the end is gone to at once. A short
//! file is kept decoded, so that a loop of it costs nothing.
//!
//! Files are read anew for each round from one handle, so one that is deleted or replaced goes on being heard until its
//! source is opened again.

use std::{fmt, io};

use super::{decode::Decoder, demux::Media, downmix::Frame, error::Error};

/// Longest sound that is kept decoded, in seconds; 23 MiB at 96 kHz.
const KEPT_SECONDS_MAX: u64 = 30;
/// Frames that are read from it at once, at most.
const CHUNK_FRAMES: usize = 4096;

/// Gives the bytes of the file from its first one on.
pub(super) type Reader = Box<dyn Fn() -> io::Result<Media> + Send>;

/// A file with a place from which it is read.
pub(super) struct Tape {
    reader: Reader,
    decoder: Decoder,
    is_looped: bool,
    start_ms: f64,
    /// The frame, of this round, that is read next.
    position: u64,
    /// Frames of the file that are to be left out before it.
    to_skip: u64,
    /// Decoded and not read yet: from `pending_at` on.
    pending: Vec<Frame>,
    pending_at: usize,
    /// Whether the decoder has come to the end.
    is_at_end: bool,
    /// All that was decoded from frame 0 on, as long as it is not too much and nothing is missing.
    kept: Option<Vec<Frame>>,
    /// Once it is known; `kept`, if there, is then whole.
    length: Option<u64>,
    may_jump: bool,
    broken_off: Option<String>,
}

impl Tape {
    /// Opens the file; frame 0 is `start_ms` into it.
    pub(super) fn open(reader: Reader, start_ms: f64, is_looped: bool) -> Result<Self, Error> {
        let decoder = Decoder::open(reader()?)?;
        let may_jump = decoder.can_jump();
        let mut tape = Self {
            reader,
            decoder,
            is_looped,
            start_ms,
            position: 0,
            to_skip: 0,
            pending: Vec::new(),
            pending_at: 0,
            is_at_end: false,
            kept: Some(Vec::new()),
            length: None,
            may_jump,
            broken_off: None,
        };
        tape.to_skip = tape.skipped();
        tape.jump_in()?;
        Ok(tape)
    }

    /// The file's own sampling rate.
    pub(super) fn rate_hz(&self) -> u32 {
        self.decoder.rate_hz()
    }

    /// Its length in frames, once that is known.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Why the file was over before its end, if it was.
    pub(super) fn broken_off(&self) -> Option<&str> {
        self.broken_off.as_deref()
    }

    /// Goes some of the way to `frame`, a packet at a time where it has to be decoded up to there; true when `frame` is
    /// read next, or the end, if it lies behind that.
    pub(super) fn approach(&mut self, frame: u64) -> Result<bool, Error> {
        if self.length == Some(0) {
            let start_ms = self.start_ms;
            return Err(if start_ms > 0.0 { Error::StartsBehindItsEnd { start_ms } } else { Error::Empty });
        }
        let frame = match self.length {
            Some(length) if self.is_looped => frame % length,
            Some(length) => frame.min(length),
            None => frame,
        };
        if self.is_whole() {
            self.position = frame;
            return Ok(true);
        }
        if frame < self.position {
            self.rewind()?;
        }
        let ready = (self.pending.len() - self.pending_at) as u64;
        if self.may_jump && frame - self.position > ready {
            return self.jump(frame);
        }
        let step = (frame - self.position).min(ready);
        self.pending_at += step as usize;
        self.position += step;
        // At least one frame is decoded, so that what is wrong with a file is known before it is played.
        let is_there = self.position == frame && (self.pending_at < self.pending.len() || self.length.is_some());
        if !is_there {
            self.fill()?;
        }
        Ok(is_there)
    }

    /// Adds the next frames to `out`, a few thousand at most; none at the end.
    pub(super) fn read(&mut self, out: &mut Vec<Frame>) -> Result<usize, Error> {
        loop {
            let left = self.length.map_or(u64::MAX, |length| length.saturating_sub(self.position));
            if left == 0 {
                if !self.is_looped || self.length == Some(0) {
                    return Ok(0);
                }
                self.next_round()?;
                continue;
            }
            let ready = match &self.kept {
                Some(kept) if self.length.is_some() => &kept[self.position as usize..],
                _ => &self.pending[self.pending_at..],
            };
            let count = ready.len().min(CHUNK_FRAMES).min(usize::try_from(left).unwrap_or(usize::MAX));
            if count == 0 {
                self.fill()?;
                continue;
            }
            out.extend_from_slice(&ready[..count]);
            if !self.is_whole() {
                self.pending_at += count;
            }
            self.position += count as u64;
            return Ok(count);
        }
    }

    /// Whether all of it is kept decoded.
    fn is_whole(&self) -> bool {
        self.kept.is_some() && self.length.is_some()
    }

    /// Frames of the file before frame 0.
    fn skipped(&self) -> u64 {
        (self.start_ms * f64::from(self.rate_hz()) / 1000.0).round() as u64
    }

    fn next_round(&mut self) -> Result<(), Error> {
        if self.is_whole() {
            self.position = 0;
            return Ok(());
        }
        self.rewind()
    }

    /// Reads from frame 0 on.
    fn rewind(&mut self) -> Result<(), Error> {
        self.reopen()?;
        self.leave_for(0);
        self.to_skip = self.skipped();
        self.kept = self.length.is_none().then(Vec::new);
        self.jump_in()
    }

    fn reopen(&mut self) -> Result<(), Error> {
        let rate_hz = self.rate_hz();
        self.decoder = Decoder::open((self.reader)()?)?;
        if self.rate_hz() == rate_hz { Ok(()) } else { Err(Error::Rewritten) }
    }

    fn leave_for(&mut self, position: u64) {
        self.pending.clear();
        self.pending_at = 0;
        self.is_at_end = false;
        self.position = position;
        self.to_skip = 0;
    }

    /// Goes to frame 0 at once, if that is possible.
    fn jump_in(&mut self) -> Result<(), Error> {
        if self.to_skip == 0 || !self.may_jump {
            return Ok(());
        }
        if self.decoder.jump(self.to_skip) {
            self.to_skip = 0;
            return Ok(());
        }
        self.may_jump = false;
        self.reopen()
    }

    /// Goes to a frame at once; false if it has to be gone to step by step.
    fn jump(&mut self, frame: u64) -> Result<bool, Error> {
        let had_length = self.length.is_some();
        if self.decoder.jump(self.skipped().saturating_add(frame)) {
            self.leave_for(frame);
            // What lies between was not decoded.
            self.kept = None;
            while self.pending.is_empty() && !self.is_at_end {
                self.fill()?;
            }
            if had_length || !self.pending.is_empty() {
                return Ok(true);
            }
            // Nothing is there: the file is shorter than it says. How long it is shows by decoding it.
            self.length = None;
        }
        self.may_jump = false;
        self.rewind()?;
        Ok(false)
    }

    /// Decodes the next packet, or finds the end.
    fn fill(&mut self) -> Result<(), Error> {
        if self.is_at_end {
            // It was longer in its first round.
            return Err(Error::Rewritten);
        }
        self.pending.drain(..self.pending_at);
        self.pending_at = 0;
        let first = self.pending.len();
        if !self.decoder.next(&mut self.pending)? {
            self.is_at_end = true;
            self.broken_off = self.decoder.broken_off().map(str::to_owned);
            self.length.get_or_insert(self.position + self.pending.len() as u64);
            return Ok(());
        }
        let skipped = self.to_skip.min((self.pending.len() - first) as u64);
        self.pending.drain(first..first + skipped as usize);
        self.to_skip -= skipped;
        self.keep(first);
        Ok(())
    }

    /// Keeps what was decoded last, the frames from `first` on.
    fn keep(&mut self, first: usize) {
        let room = KEPT_SECONDS_MAX * u64::from(self.rate_hz());
        if self.length.is_none() {
            let has_room = |kept: &Vec<Frame>| (kept.len() + self.pending.len() - first) as u64 <= room;
            self.kept = self.kept.take().filter(has_room);
            self.kept.iter_mut().for_each(|kept| kept.extend_from_slice(&self.pending[first..]));
        }
    }
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape").field("position", &self.position).field("length", &self.length).finish_non_exhaustive()
    }
}
