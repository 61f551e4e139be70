//! The thread that decodes one file: keeps its feed full, goes where it is sent, ends when it is told to.
//!
//! A panic in a decoder is caught here and is the file's failure.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{
    downmix::Frame,
    error::Error,
    feed::{DELIVERY_MAX, Feed, Task},
    resample::Resampler,
    tape::{Reader, Tape},
};

/// Plays a file into `feed` until that is closed or something fails.
pub(super) fn run(feed: &Feed, asset: &str, reader: Reader, start_ms: f64, is_looped: bool) {
    let played = catch_unwind(AssertUnwindSafe(|| {
        let tape = Tape::open(reader, start_ms, is_looped)?;
        Player::new(feed, asset, tape).play()
    }));
    match played {
        Ok(Ok(())) => {}
        Ok(Err(error)) => feed.fail(&format!("`{asset}` is not played: {error}")),
        Err(_) => feed.fail(&format!("`{asset}` is not played: its decoder failed; convert it, to WAV for instance")),
    }
}

struct Player<'a> {
    feed: &'a Feed,
    asset: &'a str,
    tape: Tape,
    resampler: Resampler,
    /// Number of the next sample.
    next: u64,
    /// How many samples there are, once the end was read.
    end: Option<u64>,
    frames: Vec<Frame>,
    samples: Vec<Frame>,
    has_warned: bool,
}

impl<'a> Player<'a> {
    fn new(feed: &'a Feed, asset: &'a str, tape: Tape) -> Self {
        let resampler = Resampler::new(tape.rate_hz());
        let (frames, samples) = (Vec::new(), Vec::with_capacity(DELIVERY_MAX));
        Self { feed, asset, tape, resampler, next: 0, end: None, frames, samples, has_warned: false }
    }

    fn play(mut self) -> Result<(), Error> {
        loop {
            match self.feed.next_task() {
                Task::Close => return Ok(()),
                Task::GoTo(number) => self.go_to(number)?,
                Task::Go => self.go()?,
            }
            self.warn();
        }
    }

    /// Makes `number` the next sample, unless it is interrupted on the way.
    fn go_to(&mut self, number: u64) -> Result<(), Error> {
        let frame = self.resampler.restart(number);
        (self.next, self.end) = (number, None);
        while !self.tape.approach(frame)? {
            if self.feed.is_interrupted() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Delivers what comes next.
    fn go(&mut self) -> Result<(), Error> {
        self.frames.clear();
        self.samples.clear();
        if self.end.is_none() {
            match self.tape.read(&mut self.frames)? {
                0 => {
                    self.resampler.push_end();
                    self.end = Some(self.resampler.length_of(self.tape.length().unwrap_or(0)));
                }
                _ => self.resampler.push(&self.frames),
            }
        }
        let limit = self.next.saturating_add(DELIVERY_MAX as u64).min(self.end.unwrap_or(u64::MAX));
        self.next = self.resampler.pull(self.next, limit, &mut self.samples);
        let is_over = self.end.is_some_and(|end| self.next >= end);
        self.feed.deliver(&self.samples, self.end.filter(|_| is_over));
        Ok(())
    }

    fn warn(&mut self) {
        if let Some(reason) = self.tape.broken_off().filter(|_| !self.has_warned) {
            self.has_warned = true;
            self.feed.warn(&format!("`{}` is over before its end: {reason}", self.asset));
        }
    }
}
