//! Between the thread that decodes a file and the one that mixes: two seconds of samples, by number.
//!
//! ```text
//!  sound-ID ── deliver ──►[ first ... first + 2 s ]── take ──► audio thread
//!            ◄── wanted: another place ────────────────┘
//! ```
//!
//! One lock, held for copying. The mixer never waits, unless the rendering is offline, where it must: what is rendered
//! may not depend on how fast the machine decodes. What is not there in time is missing, and is counted.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{super::SAMPLE_RATE, downmix::Frame};

/// Samples ahead, at most: two seconds.
const CAPACITY: usize = 2 * SAMPLE_RATE as usize;
/// Samples that a delivery may have: what a chunk at 8 kHz becomes, and some.
pub(super) const DELIVERY_MAX: usize = 32 * 1024;
/// How far ahead of what is there somebody may ask before the decoder is sent there: less than that it catches up.
const PATIENCE: u64 = 5 * SAMPLE_RATE as u64;
/// How long an offline rendering waits for a decoder.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What a decoding thread is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// End.
    Close,
    /// Go on from this sample.
    GoTo(u64),
    /// Deliver what comes next.
    Go,
}

/// What became of the samples asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// How many are there, from the first one on.
    pub(super) count: usize,
    /// Whether the others are late; if not, there are no others.
    pub(super) is_late: bool,
}

/// What both threads share.
#[derive(Debug)]
pub(super) struct Feed {
    state: Mutex<State>,
    /// Notified when there is something to do, and when something was done.
    to_do: Condvar,
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    samples: VecDeque<Frame>,
    /// Number of the first of them, or of the next one that is delivered.
    first: u64,
    /// What the mixer wants next; what lies before it is not kept.
    asked: u64,
    /// Where to go, if the decoder has not taken it yet.
    wanted: Option<u64>,
    /// Samples of the whole, once all are delivered.
    end: Option<u64>,
    failure: Option<Arc<str>>,
    warning: Option<Arc<str>>,
    is_closed: bool,
}

impl State {
    /// Makes `number` the next one.
    fn move_to(&mut self, number: u64) {
        self.asked = number;
        let there = self.first + self.samples.len() as u64;
        let is_behind_end = self.end.is_some() && number >= there;
        if number < self.first || number > there + PATIENCE && !is_behind_end {
            self.samples.clear();
            self.first = number;
            self.wanted = Some(number);
        }
        self.forget_past();
    }

    fn forget_past(&mut self) {
        let past = (self.asked - self.first).min(self.samples.len() as u64);
        self.samples.drain(..past as usize);
        self.first += past;
    }

    /// How many of `count` samples that are wanted next are there.
    fn ready(&self, count: usize) -> usize {
        let is_there = self.wanted.is_none() && self.first == self.asked;
        if is_there { self.samples.len().min(count) } else { 0 }
    }

    /// Whether samples that are not there will come.
    fn has_more(&self) -> bool {
        self.failure.is_none() && (self.wanted.is_some() || self.end.is_none())
    }
}

impl Feed {
    /// A feed of which the samples from `first` on are wanted.
    pub(super) fn new(first: u64) -> Self {
        let samples = VecDeque::with_capacity(CAPACITY);
        let state = State { samples, first, asked: first, wanted: Some(first), ..State::default() };
        Self { state: Mutex::new(state), to_do: Condvar::new(), done: Condvar::new() }
    }

    /// Fills `out` with the samples from `number` on, as far as they are there; waits for them if `waits`.
    pub(super) fn take(&self, number: u64, out: &mut [Frame], waits: bool) -> Taken {
        let mut state = self.lock();
        state.move_to(number);
        if waits {
            self.to_do.notify_one();
            state = self.wait(state, WAIT_MAX, |state| state.has_more() && state.ready(out.len()) < out.len());
            if state.has_more() && state.ready(out.len()) < out.len() {
                state.failure = Some(format!("it was not decoded within {} s", WAIT_MAX.as_secs()).into());
            }
        }
        let count = state.ready(out.len());
        for (out, sample) in out.iter_mut().zip(state.samples.drain(..count)) {
            *out = sample;
        }
        state.first += count as u64;
        state.asked = state.first.max(state.asked);
        let is_late = count < out.len() && state.has_more();
        drop(state);
        self.to_do.notify_one();
        Taken { count, is_late }
    }

    /// Waits, at most `timeout`, until the first samples are there, or it is known that none will be.
    pub(super) fn wait_until_ready(&self, timeout: Duration) {
        drop(self.wait(self.lock(), timeout, |state| state.has_more() && state.ready(1) == 0));
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        timeout: Duration,
        mut while_true: impl FnMut(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let waited = self.done.wait_timeout_while(state, timeout, |state| while_true(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits for something to do.
    pub(super) fn next_task(&self) -> Task {
        let has_nothing_to_do = |state: &mut State| {
            let is_full = state.samples.len() + DELIVERY_MAX > CAPACITY || state.end.is_some();
            !state.is_closed && state.wanted.is_none() && is_full
        };
        let state = self.to_do.wait_while(self.lock(), has_nothing_to_do);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.is_closed {
            return Task::Close;
        }
        match state.wanted.take() {
            Some(number) => {
                state.end = None;
                Task::GoTo(number)
            }
            None => Task::Go,
        }
    }

    /// Whether what is being done is wanted no more.
    pub(super) fn is_interrupted(&self) -> bool {
        let state = self.lock();
        state.is_closed || state.wanted.is_some()
    }

    /// Adds what follows the last delivery. `end` is the number of the sample that no longer is, once that is known.
    pub(super) fn deliver(&self, samples: &[Frame], end: Option<u64>) {
        debug_assert!(samples.len() <= DELIVERY_MAX);
        let mut state = self.lock();
        if state.wanted.is_some() {
            return;
        }
        state.samples.extend(samples);
        state.end = end;
        state.forget_past();
        drop(state);
        self.done.notify_all();
    }

    /// Says why there is no more.
    pub(super) fn fail(&self, reason: &str) {
        self.lock().failure = Some(reason.into());
        self.done.notify_all();
    }

    /// Says what is not as it should be.
    pub(super) fn warn(&self, warning: &str) {
        self.lock().warning = Some(warning.into());
    }

    /// Ends the thread that decodes.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.to_do.notify_one();
    }

    /// What is wrong with it: why there is no more, and what is not as it should be.
    pub(super) fn troubles(&self) -> (Option<Arc<str>>, Option<Arc<str>>) {
        let state = self.lock();
        (state.failure.clone(), state.warning.clone())
    }

    /// Whether all of it was taken.
    pub(super) fn is_over(&self) -> bool {
        let state = self.lock();
        state.wanted.is_none() && state.end.is_some_and(|end| state.asked >= end)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(numbers: std::ops::Range<u64>) -> Vec<Frame> {
        numbers.map(|number| [number as f32; 2]).collect()
    }

    fn take(feed: &Feed, number: u64, count: usize) -> (Vec<Frame>, bool) {
        let mut out = vec![[0.0; 2]; count];
        let taken = feed.take(number, &mut out, false);
        out.truncate(taken.count);
        (out, taken.is_late)
    }

    #[test]
    fn what_is_there_is_taken_by_number() {
        let feed = Feed::new(100);
        assert_eq!(feed.next_task(), Task::GoTo(100));
        assert_eq!(take(&feed, 100, 10), (vec![], true), "nothing is there yet");
        assert_eq!(feed.next_task(), Task::Go);
        feed.deliver(&samples(100..150), None);
        assert_eq!(take(&feed, 110, 20), (samples(110..130), false));
        assert_eq!(take(&feed, 130, 30), (samples(130..150), true), "the rest is late");
    }

    /// Somebody who is ahead of the decoder gets what is delivered for his time, not what was late.
    #[test]
    fn what_is_late_is_passed_over() {
        let feed = Feed::new(0);
        feed.next_task();
        assert_eq!(take(&feed, 1000, 10), (vec![], true));
        assert_eq!(feed.next_task(), Task::Go, "near enough to catch up");
        feed.deliver(&samples(0..900), None);
        feed.deliver(&samples(900..1100), None);
        assert_eq!(take(&feed, 1000, 10), (samples(1000..1010), false));
    }

    #[test]
    fn another_place_is_gone_to() {
        let feed = Feed::new(0);
        feed.next_task();
        feed.deliver(&samples(0..1000), None);
        for place in [10_000_000, 500] {
            assert_eq!(take(&feed, place, 10), (vec![], true));
            assert!(feed.is_interrupted());
            feed.deliver(&samples(0..10), None);
            assert_eq!(feed.next_task(), Task::GoTo(place), "what was under way is of no use");
            assert!(!feed.is_interrupted());
            feed.deliver(&samples(place..place + 1000), None);
            assert_eq!(take(&feed, place, 10), (samples(place..place + 10), false));
        }
    }

    #[test]
    fn behind_the_end_nothing_is_missing() {
        let feed = Feed::new(0);
        feed.next_task();
        feed.deliver(&samples(0..15), Some(15));
        assert_eq!(take(&feed, 0, 10), (samples(0..10), false));
        assert!(!feed.is_over());
        assert_eq!(take(&feed, 10, 10), (samples(10..15), false));
        assert!(feed.is_over());
        assert_eq!(take(&feed, 99_000_000, 10), (vec![], false), "and nothing is gone to");
        assert_eq!(take(&feed, 3, 1), (vec![], true), "but back");
        assert_eq!(feed.next_task(), Task::GoTo(3));
    }

    #[test]
    fn it_holds_two_seconds() {
        let feed = Arc::new(Feed::new(0));
        feed.next_task();
        let mut next = 0;
        while next + DELIVERY_MAX as u64 <= CAPACITY as u64 {
            assert_eq!(feed.next_task(), Task::Go);
            feed.deliver(&samples(next..next + DELIVERY_MAX as u64), None);
            next += DELIVERY_MAX as u64;
        }
        let capacity = feed.lock().samples.capacity();
        let waiting = {
            let feed = feed.clone();
            std::thread::Builder::new().spawn(move || feed.next_task()).unwrap()
        };
        take(&feed, DELIVERY_MAX as u64, 1);
        assert_eq!(waiting.join().unwrap(), Task::Go, "room again");
        feed.deliver(&samples(next..next + DELIVERY_MAX as u64), None);
        assert_eq!(feed.lock().samples.capacity(), capacity, "nothing is allocated");
        feed.close();
        assert_eq!(feed.next_task(), Task::Close);
    }

    #[test]
    fn a_failure_ends_the_waiting() {
        let feed = Feed::new(0);
        feed.next_task();
        feed.fail("it is broken");
        let mut out = [[0.0; 2]; 10];
        assert_eq!(feed.take(0, &mut out, true), Taken { count: 0, is_late: false });
        assert_eq!(feed.troubles().0.as_deref(), Some("it is broken"));
    }
}
