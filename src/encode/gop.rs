//! Where keyframes stand: on the frame numbers divisible by the length of a group.
//!
//! The grid is asked, not stepped: a frame is due to be a keyframe if no keyframe has been coded in its cell yet. So a
//! dropped frame delays the keyframe of a cell and no other, and a forced keyframe counts for its own cell only.

/// The grid of one encoder.
#[derive(Debug)]
pub(super) struct Gop {
    frames: u64,
    /// The cell of the last keyframe that was coded.
    cell: Option<u64>,
}

impl Gop {
    /// A grid with a keyframe every `frames`, at least 1.
    pub(super) fn new(frames: u32) -> Self {
        Self { frames: u64::from(frames.max(1)), cell: None }
    }

    /// Whether `frame` has to be a keyframe.
    pub(super) fn is_due(&self, frame: u64) -> bool {
        self.cell != Some(frame / self.frames)
    }

    /// Takes note that `frame` was coded as a keyframe.
    pub(super) fn handle_keyframe(&mut self, frame: u64) {
        self.cell = Some(frame / self.frames);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyframes(gop: &mut Gop, frames: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let coded = frames.into_iter().filter(|&frame| {
            let is_due = gop.is_due(frame);
            if is_due {
                gop.handle_keyframe(frame);
            }
            is_due
        });
        coded.collect()
    }

    #[test]
    fn stands_on_multiples_whatever_is_missing() {
        assert_eq!(keyframes(&mut Gop::new(4), 0..10), [0, 4, 8]);
        assert_eq!(keyframes(&mut Gop::new(4), 6..13), [6, 8, 12], "the first frame is a keyframe wherever it stands");
        assert_eq!(keyframes(&mut Gop::new(4), [0, 1, 5, 6, 8]), [0, 5, 8], "frame 4 was dropped");
        assert_eq!(keyframes(&mut Gop::new(1), 7..10), [7, 8, 9]);
    }

    #[test]
    fn a_forced_keyframe_does_not_move_the_grid() {
        let mut gop = Gop::new(4);
        assert_eq!(keyframes(&mut gop, 0..2), [0]);
        gop.handle_keyframe(2);
        assert_eq!(keyframes(&mut gop, 3..9), [4, 8]);
    }
}
