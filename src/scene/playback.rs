//! Which frame of a moving picture shows at a time: pure arithmetic, exact to the nanosecond.
//!
//! ```text
//!  elapsed   ──(- since - startMs)──(x speed)──►  local time  ──►  lap, and time within it  ──►  frame
//!  elapsed   ◄──────────── the earliest at which the frame changes ◄── end of the frame in local time
//! ```
//!
//! Both ways are integers, so the announced change is the first moment at which another frame shows, never one too
//! early or too late, however long the stream runs.

use std::{num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::check::Check;
use crate::base::schema::written;

/// Slowest and fastest playback.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.01..=100.0;
/// Fewest and most frames a second of what is made of single frames.
pub(crate) const RATES: std::ops::RangeInclusive<f64> = 0.1..=240.0;
/// Most plays that a document asks for.
const PLAYS_MAX: u32 = 1_000_000;
/// Farthest moment that a document names, in milliseconds: some 300 years.
pub(crate) const SINCE_MS_MAX: f64 = 1e13;
/// Parts of one in which factors are counted.
const MICRO: u128 = 1_000_000;
const NANOS: u128 = 1_000_000_000;

/// The delays of a file's frames, and how often it plays by its own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    ends_ns: Vec<u64>,
    /// `None`: for ever.
    pub plays: Option<NonZeroU32>,
}

impl Timing {
    /// Frames that show for `delays`, each above zero; at least one.
    pub fn new(delays: impl IntoIterator<Item = Duration>, plays: Option<NonZeroU32>) -> Self {
        let mut end = 0u64;
        let mut end_after = |delay: Duration| {
            end = end.saturating_add((delay.as_nanos() as u64).max(1));
            end
        };
        let ends_ns: Vec<_> = delays.into_iter().map(&mut end_after).collect();
        debug_assert!(!ends_ns.is_empty(), "a moving picture has frames");
        Self { ends_ns, plays }
    }
}

/// When frames end, in nanoseconds since the first began. Ends rise strictly.
pub trait Rhythm {
    /// Number of frames, at least 1.
    fn count(&self) -> u32;
    /// When frame `index` ends.
    fn end_ns(&self, index: u32) -> u128;
    /// How often the frames play by their own account; `None`: for ever.
    fn plays(&self) -> Option<NonZeroU32>;
}

impl Rhythm for Timing {
    fn count(&self) -> u32 {
        self.ends_ns.len() as u32
    }
    fn end_ns(&self, index: u32) -> u128 {
        self.ends_ns[index as usize].into()
    }
    fn plays(&self) -> Option<NonZeroU32> {
        self.plays
    }
}

/// Frames that all show equally long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Even {
    count: NonZeroU32,
    frames_micro: u128,
    plays: Option<NonZeroU32>,
}

impl Even {
    /// `count` frames (0 counts as 1), `fps` of them a second, which is within `RATES`.
    pub fn new(count: u32, fps: f64, plays: Option<NonZeroU32>) -> Self {
        Self { count: NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN), frames_micro: micro(fps), plays }
    }
}

impl Rhythm for Even {
    fn count(&self) -> u32 {
        self.count.get()
    }
    fn end_ns(&self, index: u32) -> u128 {
        (u128::from(index + 1) * NANOS * MICRO).div_ceil(self.frames_micro)
    }
    fn plays(&self) -> Option<NonZeroU32> {
        self.plays
    }
}

/// A factor above zero in millionths.
fn micro(factor: f64) -> u128 {
    ((factor * MICRO as f64).round() as u128).max(1)
}

/// How a moving picture plays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Playback {
    /// How often.
    #[serde(rename = "loop")]
    pub plays: Loop,
    /// 0.01 to 100 times as fast.
    #[schema(minimum = 0.01, maximum = 100)]
    pub speed: f64,
    /// Milliseconds elapsed on the stream (for a state of a character: since it was entered) at which it begins; before,
    /// its first frame stands.
    pub start_ms: u64,
    /// Whether the last frame stays when it is over; otherwise nothing does.
    pub hold_last: bool,
}

impl Default for Playback {
    fn default() -> Self {
        Self { plays: Loop::File, speed: 1.0, start_ms: 0, hold_last: true }
    }
}

/// How often a moving picture plays: `"file"`, `"infinite"`, `"once"` or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "WrittenLoop", into = "WrittenLoop")]
pub enum Loop {
    /// As its file says; for ever where no file says anything.
    #[default]
    File,
    /// For ever.
    Infinite,
    /// This many times.
    Times(u32),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "file, infinite, once or a number")]
enum WrittenLoop {
    Name(LoopName),
    Times(u32),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum LoopName {
    File,
    Infinite,
    Once,
}

written!(Loop as "Loop" = {
    "description": "How often a moving picture plays: as its file says, for ever, once, or so many times.",
    "oneOf": [
        { "type": "string", "enum": ["file", "infinite", "once"] },
        { "type": "integer", "minimum": 1, "maximum": PLAYS_MAX }
    ]
});

impl From<WrittenLoop> for Loop {
    fn from(written: WrittenLoop) -> Self {
        match written {
            WrittenLoop::Name(LoopName::File) => Self::File,
            WrittenLoop::Name(LoopName::Infinite) => Self::Infinite,
            WrittenLoop::Name(LoopName::Once) => Self::Times(1),
            WrittenLoop::Times(times) => Self::Times(times),
        }
    }
}

impl From<Loop> for WrittenLoop {
    fn from(plays: Loop) -> Self {
        match plays {
            Loop::File => Self::Name(LoopName::File),
            Loop::Infinite => Self::Name(LoopName::Infinite),
            Loop::Times(1) => Self::Name(LoopName::Once),
            Loop::Times(times) => Self::Times(times),
        }
    }
}

impl Loop {
    pub(super) fn check(self, pointer: &str, check: &mut Check) {
        if let Self::Times(times) = self {
            check.range(pointer, times.into(), 1.0..=PLAYS_MAX.into());
        }
    }

    /// How often frames play that play `own` times by their own account.
    fn over(self, own: Option<NonZeroU32>) -> Option<NonZeroU32> {
        match self {
            Self::File => own,
            Self::Infinite => None,
            Self::Times(times) => NonZeroU32::new(times),
        }
    }
}

/// A frame that shows, and what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Its number, from 0.
    pub index: u32,
    /// Until which time elapsed, exclusively; `None`: for ever.
    pub until: Option<Duration>,
}

impl Playback {
    /// Notes every value that is out of range.
    pub fn check(&self, check: &mut Check) {
        self.plays.check("/loop", check);
        check.range("/speed", self.speed, SPEEDS);
        check.range("/startMs", self.start_ms as f64, 0.0..=SINCE_MS_MAX);
    }

    /// The frame that shows at `elapsed` when time runs from `since`; `None` when all is over and nothing stays.
    pub fn at(&self, rhythm: &dyn Rhythm, since: Duration, elapsed: Duration) -> Option<Shown> {
        let speed = micro(self.speed);
        let start = since.saturating_add(Duration::from_millis(self.start_ms));
        let local = elapsed.saturating_sub(start).as_nanos() * speed / MICRO;
        let last = rhythm.count() - 1;
        let lap_ns = rhythm.end_ns(last);
        let (lap, within) = (local / lap_ns, local % lap_ns);
        let plays = self.plays.over(rhythm.plays()).map(|plays| u128::from(plays.get()));
        if plays.is_some_and(|plays| lap >= plays) {
            return self.hold_last.then_some(Shown { index: last, until: None });
        }
        let index = frame_at(rhythm, within);
        let is_final = |index| index == last && plays.is_some_and(|plays| lap + 1 == plays);
        // One frame over and over does not change, nor does the last one that stays.
        let stands = if is_final(index) { self.hold_last } else { last == 0 && (plays.is_none() || self.hold_last) };
        let until = (!stands).then(|| {
            let end = if last == 0 {
                plays.map_or(lap_ns, |plays| plays * lap_ns)
            } else {
                lap * lap_ns + rhythm.end_ns(index)
            };
            start.saturating_add(duration((end * MICRO).div_ceil(speed)))
        });
        Some(Shown { index, until })
    }
}

/// The frame at a time below the end of the last one.
fn frame_at(rhythm: &dyn Rhythm, within_ns: u128) -> u32 {
    let (mut low, mut high) = (0, rhythm.count() - 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if rhythm.end_ns(middle) <= within_ns { low = middle + 1 } else { high = middle }
    }
    low
}

fn duration(nanos: u128) -> Duration {
    Duration::new(u64::try_from(nanos / NANOS).unwrap_or(u64::MAX), (nanos % NANOS) as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn timing(delays: &[u64], plays: u32) -> Timing {
        Timing::new(delays.iter().map(|&delay| ms(delay)), NonZeroU32::new(plays))
    }

    fn shown(playback: &Playback, timing: &Timing, at: u64) -> Option<(u32, Option<u64>)> {
        let shown = playback.at(timing, Duration::ZERO, ms(at))?;
        Some((shown.index, shown.until.map(|until| until.as_millis() as u64)))
    }

    #[test]
    fn frames_follow_their_delays() {
        let (playback, timing) = (Playback::default(), timing(&[100, 50, 250], 0));
        for (at, expected) in [(0, (0, 100)), (99, (0, 100)), (100, (1, 150)), (150, (2, 400)), (400, (0, 500))] {
            assert_eq!(shown(&playback, &timing, at), Some((expected.0, Some(expected.1))), "at {at}");
        }
    }

    #[test]
    fn the_file_says_how_often_unless_the_document_does() {
        let timing = timing(&[100, 100], 2);
        let plays = |plays| Playback { plays, ..Playback::default() };
        assert_eq!(shown(&plays(Loop::File), &timing, 299), Some((0, Some(300))));
        assert_eq!(shown(&plays(Loop::File), &timing, 300), Some((1, None)), "the last frame stays");
        assert_eq!(shown(&plays(Loop::Times(1)), &timing, 5000), Some((1, None)));
        assert_eq!(shown(&plays(Loop::Infinite), &timing, 5000), Some((0, Some(5100))));
        let gone = Playback { hold_last: false, ..plays(Loop::Times(1)) };
        assert_eq!(shown(&gone, &timing, 150), Some((1, Some(200))), "it says when it goes");
        assert_eq!(shown(&gone, &timing, 200), None);
    }

    #[test]
    fn the_first_frame_stands_before_the_start() {
        let playback = Playback { start_ms: 1000, speed: 2.0, ..Playback::default() };
        let timing = timing(&[100, 100], 0);
        assert_eq!(shown(&playback, &timing, 0), Some((0, Some(1050))));
        assert_eq!(shown(&playback, &timing, 1050), Some((1, Some(1100))));
        let since = playback.at(&timing, ms(500), ms(1550)).unwrap();
        assert_eq!((since.index, since.until), (1, Some(ms(1600))));
    }

    #[test]
    fn one_frame_never_changes_unless_it_goes() {
        let timing = timing(&[100], 3);
        assert_eq!(shown(&Playback::default(), &timing, 50), Some((0, None)));
        let gone = Playback { hold_last: false, ..Playback::default() };
        assert_eq!(shown(&gone, &timing, 50), Some((0, Some(300))));
        assert_eq!(shown(&gone, &timing, 300), None);
    }

    #[test]
    fn documents_say_loop_in_words_or_numbers() {
        for (text, plays) in [
            ("\"file\"", Loop::File),
            ("\"infinite\"", Loop::Infinite),
            ("\"once\"", Loop::Times(1)),
            ("7", Loop::Times(7)),
        ] {
            assert_eq!(serde_json::from_str::<Loop>(text).unwrap(), plays);
            assert_eq!(serde_json::to_string(&plays).unwrap(), text);
        }
        assert!(serde_json::from_str::<Loop>("\"often\"").unwrap_err().to_string().contains("file, infinite, once"));
    }

    /// The frame at `at` nanoseconds, by walking from the start.
    fn walk(delays: &[u64], plays: Option<u32>, hold: bool, at: u64) -> Option<u32> {
        let mut end = 0;
        for _ in 0..plays.unwrap_or(u32::MAX) {
            for (i, delay) in delays.iter().enumerate() {
                end += delay;
                if at < end {
                    return Some(i as u32);
                }
            }
        }
        hold.then_some(delays.len() as u32 - 1)
    }

    proptest! {
        /// The frame is the one that adding up delays finds, and it changes exactly when it says so.
        #[test]
        fn as_by_brute_force(
            delays in prop::collection::vec(1u64..40, 1..8),
            plays in 0u32..4,
            hold_last: bool,
            at in 0u64..600,
        ) {
            let timing = Timing::new(delays.iter().map(|&ns| Duration::from_nanos(ns)), NonZeroU32::new(plays));
            let playback = Playback { hold_last, ..Playback::default() };
            let look = |at: u64| playback.at(&timing, Duration::ZERO, Duration::from_nanos(at));
            let expected = |at| walk(&delays, (plays > 0).then_some(plays), hold_last, at);
            let shown = look(at);
            prop_assert_eq!(shown.map(|shown| shown.index), expected(at));
            let until = shown.and_then(|shown| shown.until).map(|until| until.as_nanos() as u64);
            let change = (at + 1..at + 400).find(|&later| expected(later) != expected(at));
            prop_assert_eq!(until, change);
        }

        /// At any speed and rate, the frame before the announced moment is the same and the one at it is the next.
        #[test]
        fn changes_are_exact_at_any_speed(
            count in 2u32..50,
            fps in 0.1f64..240.0,
            speed in 0.01f64..100.0,
            start_ms in 0u64..100_000,
            elapsed_ns in 0u64..100_000_000_000_000,
        ) {
            let playback = Playback { speed, start_ms, ..Playback::default() };
            let rhythm = Even::new(count, fps, None);
            let look = |at: Duration| playback.at(&rhythm, Duration::ZERO, at).unwrap();
            let shown = look(Duration::from_nanos(elapsed_ns));
            let until = shown.until.unwrap();
            prop_assert!(until > Duration::from_nanos(elapsed_ns));
            prop_assert_eq!(look(until - Duration::from_nanos(1)), shown);
            prop_assert_ne!(look(until).index, shown.index);
        }
    }
}
