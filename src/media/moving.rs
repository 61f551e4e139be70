//! Moving pictures: GIF, APNG and animated WebP into frames.
//!
//! All frames are decoded at once, for each builds on those before it, and are kept together: what they may occupy is
//! asked before each is decoded, so a file that claims a million frames costs no more than one that is refused.
//! Delays are those of the file, but for browsers' rule that up to 10 ms means 100 ms; so is the number of plays: a GIF
//! without a loop extension plays once, one that asks for n repetitions plays n + 1 times. A WebP's background colour
//! is ignored. EXIF orientation is not applied.

use std::{io::Cursor, num::NonZeroU32, sync::Arc, time::Duration};

use image::{
    AnimationDecoder, Delay, Frame, Frames, ImageDecoder, ImageResult, Rgba,
    codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder},
    metadata::LoopCount,
};

use super::picture::{Error, Picture, Pixels, SIDE_MAX, limits};
use crate::scene::playback::Timing;

/// Most frames of a file.
const FRAMES_MAX: usize = 4096;
/// The longest delay that browsers take for a mistake, and what they make of it.
const HASTY: Duration = Duration::from_millis(10);
const CALM: Duration = Duration::from_millis(100);

/// All frames of a moving picture.
#[derive(Debug)]
pub(crate) struct Moving {
    /// In order; at least two.
    pub(crate) frames: Vec<Arc<Pixels>>,
    /// When they change.
    pub(crate) timing: Arc<Timing>,
}

impl Moving {
    /// Bytes of all pixels.
    pub(crate) fn bytes(&self) -> u64 {
        self.frames.iter().map(|frame| frame.bytes().len() as u64).sum()
    }
}

/// What a moving picture may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// Pixels of one frame.
    pub(crate) pixels_max: u64,
    /// Bytes of all frames together.
    pub(crate) bytes_max: u64,
}

/// What a GIF holds; `None` when it has no frame.
pub(crate) fn gif(asset: &str, bytes: &[u8], budget: Budget) -> Result<Option<Picture>, Error> {
    let mut decoder = GifDecoder::new(Cursor::new(bytes)).map_err(|source| Error::broken(asset, source))?;
    decoder.set_limits(limits(budget.pixels_max)).map_err(|source| Error::broken(asset, source))?;
    let plays = match decoder.loop_count() {
        // The decoder cannot tell a missing extension from one that says for ever.
        LoopCount::Infinite => (!is_looped(bytes)).then_some(NonZeroU32::MIN),
        LoopCount::Finite(repetitions) => Some(repetitions.saturating_add(1)),
    };
    collect(asset, decoder.dimensions(), decoder.into_frames(), plays, budget)
}

/// What an APNG holds; `None` when the PNG has no animation.
pub(crate) fn png(asset: &str, bytes: &[u8], budget: Budget) -> Result<Option<Picture>, Error> {
    let broken = |source| Error::broken(asset, source);
    let decoder = PngDecoder::with_limits(Cursor::new(bytes), limits(budget.pixels_max)).map_err(broken)?;
    if !decoder.is_apng().map_err(broken)? {
        return Ok(None);
    }
    let size = decoder.dimensions();
    let decoder = decoder.apng().map_err(broken)?;
    let plays = finite(decoder.loop_count());
    collect(asset, size, decoder.into_frames(), plays, budget)
}

/// What an animated WebP holds; `None` when it has no animation.
pub(crate) fn webp(asset: &str, bytes: &[u8], budget: Budget) -> Result<Option<Picture>, Error> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|source| Error::broken(asset, source))?;
    if !decoder.has_animation() {
        return Ok(None);
    }
    decoder.set_background_color(Rgba([0; 4])).map_err(|source| Error::broken(asset, source))?;
    let plays = finite(decoder.loop_count());
    collect(asset, decoder.dimensions(), decoder.into_frames(), plays, budget)
}

fn finite(plays: LoopCount) -> Option<NonZeroU32> {
    match plays {
        LoopCount::Infinite => None,
        LoopCount::Finite(plays) => Some(plays),
    }
}

/// Whether a GIF has one of the two application extensions that make it repeat.
fn is_looped(bytes: &[u8]) -> bool {
    bytes.windows(11).any(|name| name == b"NETSCAPE2.0" || name == b"ANIMEXTS1.0")
}

fn collect(
    asset: &str,
    (width, height): (u32, u32),
    frames: Frames<'_>,
    plays: Option<NonZeroU32>,
    budget: Budget,
) -> Result<Option<Picture>, Error> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels > budget.pixels_max {
        return Err(Error::TooManyPixels { asset: asset.into(), width, height, pixels_max: budget.pixels_max });
    }
    // What one frame occupies when it is kept, and how many of that size there is room for.
    let by = u64::from(width.max(height).div_ceil(SIDE_MAX).max(1));
    let frame_bytes = (pixels * 4 / (by * by)).max(1);
    let count_max = FRAMES_MAX.min((budget.bytes_max / frame_bytes) as usize);
    let mut decoded = Vec::new();
    let mut delays = Vec::new();
    for frame in frames {
        // A single frame is a still picture, for which there is room as for any other.
        if decoded.len() >= count_max.max(1) {
            return Err(Error::TooManyFrames { asset: asset.into(), width, height, count_max });
        }
        let (pixels, delay) = keep(frame).map_err(|source| Error::broken(asset, source))?;
        decoded.push(pixels);
        delays.push(delay);
    }
    Ok(match decoded.len() {
        0 | 1 => decoded.pop().map(Picture::Still),
        _ => Some(Picture::Moving(Arc::new(Moving { timing: Arc::new(Timing::new(delays, plays)), frames: decoded }))),
    })
}

fn keep(frame: ImageResult<Frame>) -> ImageResult<(Arc<Pixels>, Duration)> {
    let frame = frame?;
    let delay = delay(frame.delay());
    let picture = frame.into_buffer();
    let (width, height) = picture.dimensions();
    Ok((Arc::new(Pixels::new(width, height, picture.into_raw()).fit()), delay))
}

/// The delay to the nanosecond, as browsers read it.
fn delay(delay: Delay) -> Duration {
    let (numerator, denominator) = delay.numer_denom_ms();
    let nanos = u64::from(numerator) * 1_000_000 / u64::from(denominator.max(1));
    let delay = Duration::from_nanos(nanos);
    if delay <= HASTY { CALM } else { delay }
}

#[cfg(test)]
#[path = "../../tests/moving/mod.rs"]
pub(super) mod samples;

#[cfg(test)]
mod tests {
    use image::{RgbaImage, codecs::gif::Repeat};
    use proptest::prelude::*;

    use super::{
        super::picture::{Picture, decode},
        *,
    };
    use crate::scene::playback::Rhythm;

    const BUDGET: Budget = Budget { pixels_max: 10_000, bytes_max: 1 << 20 };
    const COLOURS: [[u8; 4]; 3] = [[200, 0, 0, 255], [0, 200, 0, 255], [0, 0, 200, 255]];

    fn frames(delays: &[u32]) -> Vec<(RgbaImage, u32)> {
        let picture = |i: usize| RgbaImage::from_pixel(4, 2, Rgba(COLOURS[i % 3]));
        delays.iter().enumerate().map(|(i, &ms)| (picture(i), ms)).collect()
    }

    fn all_formats(delays: &[u32]) -> [(&'static str, Vec<u8>); 3] {
        let frames = frames(delays);
        [
            ("a.gif", samples::gif(&frames, Some(Repeat::Infinite))),
            ("a.png", samples::apng(&frames, 0)),
            ("a.webp", samples::webp(&frames, 0)),
        ]
    }

    fn moving(asset: &str, bytes: &[u8]) -> Arc<Moving> {
        match decode(asset, bytes, BUDGET).unwrap() {
            Picture::Moving(moving) => moving,
            Picture::Still(_) => panic!("{asset} does not move"),
        }
    }

    fn delays(timing: &Timing) -> Vec<u128> {
        let ends: Vec<_> = (0..timing.count()).map(|i| timing.end_ns(i) / 1_000_000).collect();
        ends.iter().enumerate().map(|(i, end)| end - if i > 0 { ends[i - 1] } else { 0 }).collect()
    }

    #[test]
    fn frames_and_delays_are_those_of_the_file() {
        for (asset, bytes) in all_formats(&[40, 250, 100]) {
            let moving = moving(asset, &bytes);
            assert_eq!(delays(&moving.timing), [40, 250, 100], "{asset}");
            assert_eq!(moving.timing.plays, None, "{asset}");
            for (frame, colour) in moving.frames.iter().zip(COLOURS) {
                assert_eq!((frame.width(), frame.height()), (4, 2), "{asset}");
                let off = frame.bytes().iter().zip(colour.iter().cycle()).map(|(a, b)| a.abs_diff(*b)).max();
                assert!(off <= Some(8), "{asset}: off by {off:?}; a GIF has a palette");
            }
        }
    }

    #[test]
    fn delays_that_browsers_take_for_mistakes_are_calmed() {
        for (asset, bytes) in all_formats(&[0, 10, 20]) {
            assert_eq!(delays(&moving(asset, &bytes).timing), [100, 100, 20], "{asset}");
        }
    }

    #[test]
    fn plays_are_those_of_the_file() {
        let frames = frames(&[50, 50]);
        let plays = |asset, bytes: Vec<u8>| moving(asset, &bytes).timing.plays.map(NonZeroU32::get);
        assert_eq!(plays("a.gif", samples::gif(&frames, None)), Some(1), "no word on it");
        assert_eq!(plays("a.gif", samples::gif(&frames, Some(Repeat::Finite(2)))), Some(3), "twice more");
        assert_eq!(plays("a.gif", samples::gif(&frames, Some(Repeat::Infinite))), None);
        assert_eq!(plays("a.png", samples::apng(&frames, 2)), Some(2));
        assert_eq!(plays("a.webp", samples::webp(&frames, 2)), Some(2));
    }

    #[test]
    fn one_frame_is_a_still_picture() {
        for (asset, bytes) in all_formats(&[50]) {
            assert!(matches!(decode(asset, &bytes, BUDGET).unwrap(), Picture::Still(_)), "{asset}");
        }
    }

    /// Three frames of 32 bytes do not fit 95, whatever the file claims; nor do frames of too many pixels.
    #[test]
    fn what_does_not_fit_is_refused() {
        for (asset, bytes) in all_formats(&[50, 50, 50]) {
            let decode = |budget| decode(asset, &bytes, budget).map(drop).map_err(|error| error.to_string());
            assert_eq!(decode(Budget { bytes_max: 96, ..BUDGET }), Ok(()));
            let error = decode(Budget { bytes_max: 95, ..BUDGET }).unwrap_err();
            let expected = format!("`{asset}` has more frames of 4x2 pixels than the 2 there is room for");
            assert!(error.starts_with(&expected), "{error}");
            let error = decode(Budget { pixels_max: 7, ..BUDGET }).unwrap_err();
            assert!(error.starts_with(&format!("`{asset}` has 4x2 pixels: 7 in all are allowed")), "{error}");
        }
    }

    proptest! {
        /// Whatever is cut off or turned over in a file, it is a picture or an error, within the budget.
        #[test]
        fn damaged_files_are_pictures_or_errors(
            format in 0usize..3,
            keep in 0usize..1000,
            flips in prop::collection::vec((0usize..1000, any::<u8>()), 0..4),
        ) {
            let (asset, mut bytes) = all_formats(&[40, 50, 60]).into_iter().nth(format).unwrap();
            for (at, value) in flips {
                let at = at % bytes.len();
                bytes[at] = value;
            }
            bytes.truncate(keep.max(1));
            if let Ok(picture) = decode(asset, &bytes, BUDGET) {
                prop_assert!(picture.bytes() <= BUDGET.bytes_max);
            }
        }

        #[test]
        fn noise_behind_any_signature_is_an_error_or_a_picture(
            signature in prop::sample::select(vec![&b"GIF89a"[..], b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBPVP8X", b"\xff\xd8\xff"]),
            noise in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = decode("noise", &[signature, &noise].concat(), BUDGET);
        }
    }
}
