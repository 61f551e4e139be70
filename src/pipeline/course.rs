//! The course of a stream's time: since when it runs, and how long its picture stood still. With it a stream that was cut
//! off goes on, in another process, as though it had run on: frame *n* is the frame *n* that it would have been.
//!
//! ```text
//! frames   0 1 2 3 4 5 6 7 8 9 ...        frame 0 was due at `began_at_utc_ms`
//! shown    0 1 2 2 2 2 3 4 5 6            paused from frame 3 to frame 6: three frames stood
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{base::rate::FrameRate, scene::Moment};

/// Longest time that a stream is taken to have run: some thirty years. Beyond, somebody's clock is wrong.
const ELAPSED_MAX: Duration = Duration::from_secs(1_000_000_000);

/// Since when a stream runs, by the world's clock, and where its picture stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Course {
    /// When frame 0 was due, in milliseconds since 1970 UTC.
    pub began_at_utc_ms: i64,
    /// Where its picture stands.
    pub pauses: Pauses,
}

/// How long the picture stood still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pauses {
    /// Frames that stood in pauses that are over.
    pub stood_frames: u64,
    /// The first frame of the pause that is not over.
    pub since_frame: Option<u64>,
}

impl Course {
    /// How long it has run at `utc_ms`; a clock that was set back does not count below zero.
    pub fn elapsed_at(&self, utc_ms: i64) -> Duration {
        let ms = u64::try_from(utc_ms.saturating_sub(self.began_at_utc_ms)).unwrap_or_default();
        Duration::from_millis(ms).min(ELAPSED_MAX)
    }
}

impl Course {
    /// The moment that would be seen at `utc_ms`.
    pub fn moment_at(&self, utc_ms: i64, rate: FrameRate) -> Moment {
        let frame = rate.frame_at(self.elapsed_at(utc_ms));
        self.pauses.until(frame).moment(frame, rate, utc_ms)
    }
}

impl Pauses {
    /// The same, as it can be at frame `next`, which has not begun.
    pub(super) fn until(self, next: u64) -> Self {
        let since_frame = self.since_frame.map(|since| since.min(next));
        Self { stood_frames: self.stood_frames.min(since_frame.unwrap_or(next)), since_frame }
    }

    /// The moment that is seen when it is `frame`, which is due at `utc_ms`.
    pub(super) fn moment(&self, frame: u64, rate: FrameRate, utc_ms: i64) -> Moment {
        let stood_ms = rate.ms_of(frame) - rate.ms_of(self.stands_on(frame));
        let utc_ms = utc_ms.saturating_sub(i64::try_from(stood_ms).unwrap_or(i64::MAX));
        Moment { elapsed: rate.time_of(self.scene_frame(frame)), utc_ms }
    }

    /// The frame that shows when it is `frame`, without those that stood.
    pub(super) fn scene_frame(&self, frame: u64) -> u64 {
        self.stands_on(frame).saturating_sub(self.stood_frames)
    }

    /// The frame whose moment is seen when it is `frame`.
    pub(super) fn stands_on(&self, frame: u64) -> u64 {
        self.since_frame.map_or(frame, |since| since.saturating_sub(1))
    }

    /// The first scene frame that shows what is changed when `next` is the next frame.
    pub(super) fn next_scene_frame(&self, next: u64) -> u64 {
        self.since_frame.unwrap_or(next).saturating_sub(self.stood_frames)
    }

    /// All frames that have stood before `next`.
    pub(super) fn stood_before(&self, next: u64) -> u64 {
        self.stood_frames + self.since_frame.map_or(0, |since| next.saturating_sub(since))
    }

    /// Freezes or releases the picture from frame `next` on.
    pub(super) fn set_paused(&mut self, is_paused: bool, next: u64) {
        match (is_paused, self.since_frame) {
            (true, None) => self.since_frame = Some(next),
            (false, Some(_)) => *self = Self { stood_frames: self.stood_before(next), since_frame: None },
            _ => {}
        }
    }
}

/// The first frame that is divisible by each of `every`, from `elapsed` on: renditions of a lower rate have it, too.
pub(super) fn first_frame(elapsed: Duration, rate: FrameRate, every: impl Iterator<Item = u64> + Clone) -> u64 {
    let first = rate.first_frame_at(elapsed);
    let is_of_all = |frame: &u64| every.clone().all(|every| frame.is_multiple_of(every.max(1)));
    // Rates are whole parts of the canvas's, so it comes within a few frames.
    (first..first.saturating_add(10_000)).find(is_of_all).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_runs_on_while_nothing_does() {
        let course = Course { began_at_utc_ms: 1_000_000, pauses: Pauses::default() };
        assert_eq!(course.elapsed_at(1_002_500), Duration::from_millis(2500));
        assert_eq!(course.elapsed_at(999_000), Duration::ZERO, "the clock was set back");
        assert_eq!(course.elapsed_at(i64::MAX), ELAPSED_MAX);
        assert_eq!(Course { began_at_utc_ms: i64::MIN, ..course }.elapsed_at(i64::MAX), ELAPSED_MAX);
    }

    #[test]
    fn a_pause_stands_on_the_frame_before_it_however_long() {
        let mut pauses = Pauses::default();
        assert_eq!(pauses.scene_frame(2), 2);
        pauses.set_paused(true, 3);
        pauses.set_paused(true, 4);
        for frame in [3, 5, 9_000_000] {
            assert_eq!((pauses.scene_frame(frame), pauses.next_scene_frame(frame)), (2, 3));
        }
        pauses.set_paused(false, 6);
        assert_eq!(pauses, Pauses { stood_frames: 3, since_frame: None });
        assert_eq!((pauses.scene_frame(6), pauses.next_scene_frame(6), pauses.stood_before(9)), (3, 3, 3));
    }

    #[test]
    fn what_stood_still_shows_the_moment_at_which_it_stopped() {
        let rate = FrameRate::new(25, 1).unwrap();
        let moment = |pauses: Pauses, frame| pauses.moment(frame, rate, 1_000_000 + 40 * frame as i64);
        let at = |frame: u64, utc_ms| Moment { elapsed: rate.time_of(frame), utc_ms };
        assert_eq!(moment(Pauses::default(), 10), at(10, 1_000_400));
        let pauses = Pauses { stood_frames: 2, since_frame: Some(6) };
        assert_eq!(moment(pauses, 10), at(3, 1_000_200), "that of frame 5, of which two stood");
        let course = Course { began_at_utc_ms: 1_000_000, pauses };
        assert_eq!(course.moment_at(1_000_410, rate).elapsed, rate.time_of(3));
    }

    #[test]
    fn what_cannot_be_is_made_what_can() {
        let wild = Pauses { stood_frames: u64::MAX, since_frame: Some(u64::MAX) };
        let tame = wild.until(100);
        assert_eq!(tame, Pauses { stood_frames: 100, since_frame: Some(100) });
        assert_eq!(tame.next_scene_frame(100), 0);
        assert_eq!(Pauses { stood_frames: 7, since_frame: None }.until(5).scene_frame(5), 0);
    }

    #[test]
    fn all_renditions_begin_with_the_same_picture() {
        let rate = FrameRate::new(30, 1).unwrap();
        let first = |ms, every: &[u64]| first_frame(Duration::from_millis(ms), rate, every.iter().copied());
        assert_eq!(first(0, &[1, 2]), 0);
        assert_eq!(first(1000, &[1]), 30);
        assert_eq!(first(1001, &[1]), 31);
        assert_eq!(first(1001, &[1, 2, 3]), 36);
    }
}
