//! A still of what is on air, and where that changed lately.

use std::{collections::VecDeque, time::Duration};

use image::RgbaImage;

use crate::scene::damage::PixelRect;

/// How long a change is remembered.
const REMEMBERED: Duration = Duration::from_secs(1);

/// The picture on air, and where it changed in the last second.
#[derive(Debug)]
pub struct Still {
    /// The picture, encoded sRGB.
    pub picture: RgbaImage,
    /// Each drawn frame that differed from the one before it, oldest first.
    pub changes: Vec<Change>,
}

/// Where a drawn frame differed from the one before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// How long ago it was shown: 0 now, 1 as long ago as is remembered.
    pub age: f32,
    /// Outside of these it was the same.
    pub rects: Vec<PixelRect>,
}

/// The changes of the last second.
#[derive(Debug, Default)]
pub(super) struct Changes(VecDeque<(Duration, Vec<PixelRect>)>);

impl Changes {
    /// Notes what was drawn anew for a frame of that time, and forgets what is too old.
    pub(super) fn note(&mut self, time: Duration, rects: &[PixelRect]) {
        while self.0.front().is_some_and(|(old, _)| time.saturating_sub(*old) > REMEMBERED) {
            self.0.pop_front();
        }
        if !rects.is_empty() {
            self.0.push_back((time, rects.to_vec()));
        }
    }

    /// What is remembered at `time`.
    pub(super) fn at(&self, time: Duration) -> Vec<Change> {
        let change = |(drawn, rects): &(Duration, Vec<PixelRect>)| {
            let age = time.saturating_sub(*drawn).as_secs_f32() / REMEMBERED.as_secs_f32();
            (age <= 1.0).then(|| Change { age, rects: rects.clone() })
        };
        self.0.iter().filter_map(change).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_remembered_for_a_second() {
        let rect = PixelRect { left: 1, top: 2, right: 3, bottom: 4 };
        let mut changes = Changes::default();
        for ms in [0, 500, 1400, 1500] {
            changes.note(Duration::from_millis(ms), if ms == 1400 { &[] } else { std::slice::from_ref(&rect) });
        }
        let ages = |ms| changes.at(Duration::from_millis(ms)).iter().map(|change| change.age).collect::<Vec<_>>();
        assert_eq!(ages(1500), [1.0, 0.0]);
        assert_eq!(ages(2000), [0.5]);
        assert_eq!(changes.0.len(), 2, "what is older is forgotten");
        assert_eq!(changes.at(Duration::from_millis(1500))[0].rects, [rect]);
    }
}
