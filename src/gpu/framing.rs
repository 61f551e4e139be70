//! How a canvas lies in a picture of another size: what of it is shown, where, and which of its pixels each pixel of the
//! picture is made of. Pure numbers; what is done with them on the GPU is `scale.rs`.
//!
//! The kernel is Lanczos with three lobes, as wide as the picture is smaller: nothing aliases and text stays crisp. Weights
//! are for encoded values. Light would be the physicist's choice, but transcoders, players, browsers and FFmpeg's `scale`
//! all filter encoded values, and a rendition should look like what each of them makes of the larger picture: with light,
//! pale text on a dark ground would come out bolder than that.

use std::{f64::consts::PI, ops::Range};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{base::size::Size, scene::damage::PixelRect};

/// Pixels that are made together, since each reads most of what the others read.
pub(crate) const ALONG: u32 = 4;
/// Lobes of the kernel to either side.
const LOBES: f64 = 3.0;

/// How a canvas fills a picture of another shape, centred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RenditionFit)]
pub enum Fit {
    /// All of it, in proportion, with black bars beside it.
    #[default]
    Contain,
    /// In proportion and without bars; what stands out is cut.
    Cover,
    /// Stretched.
    Fill,
}

/// A picture of a canvas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    canvas: Size,
    size: Size,
    fit: Fit,
}

impl Framing {
    /// The canvas as it is.
    pub fn whole(canvas: Size) -> Self {
        Self { canvas, size: canvas, fit: Fit::Fill }
    }

    /// A picture of this size, no larger than the canvas in either direction.
    pub fn of(canvas: Size, size: Size, fit: Fit) -> Self {
        let [across, down] = canvas.sides().map(u64::from);
        // In its own shape it lies the same way however it is fitted.
        let is_alike = across * u64::from(size.height()) == down * u64::from(size.width());
        Self { canvas, size, fit: if is_alike { Fit::Fill } else { fit } }
    }

    /// The picture's size.
    pub fn size(self) -> Size {
        self.size
    }

    /// The canvas it is of.
    pub fn canvas(self) -> Size {
        self.canvas
    }

    /// Whether it is the canvas, pixel by pixel.
    pub(crate) fn is_whole(self) -> bool {
        self.canvas == self.size
    }

    /// How it lies across and down.
    pub(crate) fn axes(self) -> [Axis; 2] {
        let (canvas, picture) = (self.canvas.sides().map(f64::from), self.size.sides().map(f64::from));
        let ratios = [0, 1].map(|axis| picture[axis] / canvas[axis]);
        let scales = match self.fit {
            Fit::Fill => ratios,
            Fit::Contain => [ratios[0].min(ratios[1]); 2],
            Fit::Cover => [ratios[0].max(ratios[1]); 2],
        };
        [0, 1].map(|axis| Axis::new(self.canvas.sides()[axis], self.size.sides()[axis], scales[axis]))
    }
}

/// One direction: pixels of the canvas into pixels of the picture.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    /// The first pixel of the picture that shows something, and how many do.
    pub(crate) origin: u32,
    pub(crate) len: u32,
    /// Weights for each of them.
    taps: u32,
    /// The canvas's last pixel.
    pub(crate) last: u32,
    /// For each, the first pixel of the canvas that counts; it may lie before the first there is.
    first: Vec<i32>,
    /// For each, its weights; what is left of them is 0.
    weights: Vec<f32>,
}

impl Axis {
    /// A side of `canvas` pixels, `scale` as large, in the middle of one of `picture`.
    fn new(canvas: u32, picture: u32, scale: f64) -> Self {
        // Bars are even, so that no sample of chroma lies half in one.
        let len = (f64::from(canvas) * scale / 2.0).round().max(1.0) as u32 * 2;
        let len = len.min(picture);
        let origin = (picture - len) / 2 / 2 * 2;
        // What is cut is cut on both sides alike.
        let shown = (f64::from(len) / scale).min(f64::from(canvas));
        let (start, step) = ((f64::from(canvas) - shown) / 2.0, shown / f64::from(len));
        let reach = LOBES * step.max(1.0);
        let taps = (2.0 * reach).ceil() as u32 + 1;
        let (mut first, mut weights) = (Vec::new(), Vec::new());
        for pixel in 0..len {
            let centre = start + (f64::from(pixel) + 0.5) * step;
            let from = (centre - reach - 0.5).ceil();
            let raw: Vec<f64> =
                (0..taps).map(|tap| lanczos((from + f64::from(tap) + 0.5 - centre) / step.max(1.0))).collect();
            let sum: f64 = raw.iter().sum();
            first.push(from as i32);
            weights.extend(raw.iter().map(|weight| (weight / sum) as f32));
        }
        Self { origin, len, taps, last: canvas - 1, first, weights }
    }

    /// The pixels that a change of these pixels of the canvas changes, counted from the first that shows something.
    pub(crate) fn seen(&self, changed: Range<u32>) -> Range<u32> {
        let within = |at: i32| at.clamp(0, self.last as i32) as u32;
        let start = self.first.partition_point(|&first| within(first + self.taps as i32 - 1) < changed.start);
        let end = self.first.partition_point(|&first| within(first) < changed.end);
        start as u32..(end as u32).max(start as u32)
    }

    /// As the shader reads it, how many pixels of the canvas count for [`ALONG`] of the picture; for each group of those the
    /// first one, and then for each that counts the weights that it has for each of the group.
    pub(crate) fn table(&self) -> (u32, Vec<[f32; ALONG as usize]>) {
        let groups = || self.first.chunks(ALONG as usize).zip(self.weights.chunks((ALONG * self.taps) as usize));
        let reach = |group: &[i32]| group[group.len() - 1] - group[0] + self.taps as i32;
        let taps = groups().map(|(group, _)| reach(group)).max().unwrap_or(0);
        let weight = |first: &[i32], weights: &[f32], tap: i32, pixel: usize| {
            let own =
                usize::try_from(tap - (first.get(pixel)? - first[0])).ok().filter(|&own| own < self.taps as usize)?;
            Some(weights[pixel * self.taps as usize + own])
        };
        let entry = |(first, weights): (&[i32], &[f32])| {
            let head = std::iter::once([first[0] as f32; ALONG as usize]);
            let of = |tap| std::array::from_fn(|pixel| weight(first, weights, tap, pixel).unwrap_or(0.0));
            head.chain((0..taps).map(of)).collect::<Vec<_>>()
        };
        (taps as u32, groups().flat_map(entry).collect())
    }
}

/// The pixels of the picture that a change of `rect` of the canvas changes, counted from the first that shows something.
pub(crate) fn seen([across, down]: &[Axis; 2], rect: PixelRect) -> Option<PixelRect> {
    let (columns, rows) = (across.seen(rect.left..rect.right), down.seen(rect.top..rect.bottom));
    let seen = PixelRect { left: columns.start, top: rows.start, right: columns.end, bottom: rows.end };
    (!columns.is_empty() && !rows.is_empty()).then_some(seen)
}

fn lanczos(x: f64) -> f64 {
    if x.abs() >= LOBES {
        return 0.0;
    }
    if x.abs() < 1e-9 {
        return 1.0;
    }
    let angle = PI * x;
    LOBES * angle.sin() * (angle / LOBES).sin() / (angle * angle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: u32, height: u32) -> Size {
        Size::new(width, height).unwrap()
    }

    fn places(canvas: Size, picture: Size, fit: Fit) -> [(u32, u32); 2] {
        Framing::of(canvas, picture, fit).axes().map(|axis| (axis.origin, axis.len))
    }

    #[test]
    fn pictures_of_another_shape_have_bars_or_are_cut_or_stretched() {
        let wide = size(1920, 1080);
        assert_eq!(places(wide, size(1280, 720), Fit::Contain), [(0, 1280), (0, 720)]);
        assert_eq!(places(wide, size(640, 480), Fit::Contain), [(0, 640), (60, 360)]);
        assert_eq!(places(wide, size(640, 480), Fit::Fill), [(0, 640), (0, 480)]);
        assert_eq!(places(wide, size(640, 480), Fit::Cover), [(0, 640), (0, 480)]);
        assert_eq!(places(size(1080, 1920), size(640, 360), Fit::Contain), [(218, 202), (0, 360)]);
        assert_eq!(places(size(3840, 16), size(16, 16), Fit::Contain), [(0, 16), (6, 2)]);
    }

    /// Of 1920 columns 640 x 480 shows the 1440 in the middle: 2.25 to a pixel.
    #[test]
    fn what_is_cut_is_cut_on_both_sides() {
        let [across, down] = Framing::of(size(1920, 1080), size(640, 480), Fit::Cover).axes();
        let centre = |axis: &Axis, pixel: usize| {
            let weights = &axis.weights[pixel * axis.taps as usize..][..axis.taps as usize];
            let place =
                |(tap, &weight): (usize, &f32)| (axis.first[pixel] as f64 + tap as f64 + 0.5) * f64::from(weight);
            weights.iter().enumerate().map(place).sum::<f64>()
        };
        for (axis, pixel, expected) in [
            (&across, 0, 240.0 + 1.125),
            (&across, 639, 1680.0 - 1.125),
            (&down, 0, 1.125),
            (&down, 479, 1080.0 - 1.125),
        ] {
            assert!((centre(axis, pixel) - expected).abs() < 0.01, "{} for {expected}", centre(axis, pixel));
        }
    }

    #[test]
    fn weights_are_one_in_all_and_a_pixel_is_itself_at_its_own_size() {
        for (canvas, picture) in [(1920, 1280), (1920, 640), (1920, 1918), (3840, 16), (16, 16)] {
            let axis = Axis::new(canvas, picture, f64::from(picture) / f64::from(canvas));
            for weights in axis.weights.chunks_exact(axis.taps as usize) {
                assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{canvas} to {picture}");
            }
        }
        let same = Axis::new(64, 64, 1.0);
        for (pixel, weights) in same.weights.chunks_exact(same.taps as usize).enumerate() {
            let own = weights.iter().position(|weight| (weight - 1.0).abs() < 1e-6).unwrap();
            assert_eq!(same.first[pixel] + own as i32, pixel as i32);
            assert!(weights.iter().filter(|weight| weight.abs() > 1e-6).count() == 1);
        }
    }

    /// A pixel of the picture is told changed exactly if a pixel that it is made of did.
    #[test]
    fn what_a_change_reaches_is_known_exactly() {
        for axis in [Axis::new(90, 60, 2.0 / 3.0), Axis::new(90, 30, 1.0 / 3.0), Axis::new(90, 40, 0.6)] {
            for start in 0..90 {
                for end in [start + 1, start + 7] {
                    let end = end.min(90);
                    let reads = |pixel: u32| {
                        let first = axis.first[pixel as usize];
                        let places = (first..first + axis.taps as i32).map(|at| at.clamp(0, 89) as u32);
                        places.clone().any(|at| (start..end).contains(&at))
                    };
                    let expected: Vec<_> = (0..axis.len).filter(|&pixel| reads(pixel)).collect();
                    assert_eq!(axis.seen(start..end).collect::<Vec<_>>(), expected, "{start}..{end}");
                }
            }
        }
    }
}
