//! A picture as a JPEG, smaller if wanted: for those who look on, never for air.
//!
//! ```text
//!  NV12, BT.709 limited ─► [average of what lies under each pixel] ─► YCbCr as JFIF has it ─► baseline JPEG, 4:2:0
//! ```
//!
//! Chroma goes from 4:2:0 to 4:2:0: no RGB is made on the way. JFIF wants BT.601's matrix in full range, which is a linear
//! function of what we have, and its chroma is a function of chroma alone. That JFIF sites chroma in the middle of four
//! pixels and we at their left edge is left as it is: a quarter of a pixel of a preview. Pure, and slow enough to be kept
//! off the threads that carry the stream.
//!
//! Specs: ITU-T T.81 (JPEG), T.871 (JFIF). Left out: progressive scans, enlarging.

use jpeg_encoder::{Encoder, EncodingError, ImageBuffer, JpegColorType, SamplingFactor};

use crate::base::{
    colour::VideoColour,
    nv12::Picture,
    size::{SIDE_MIN, Size},
};

/// The matrix and the range of JFIF.
const JFIF: VideoColour = VideoColour {
    primaries: 1,
    transfer: 13,
    matrix: 5,
    is_full_range: true,
    chroma_location: 1,
    kr: 0.299,
    kb: 0.114,
};
/// Bits after the point of the matrix.
const SHIFT: u32 = 16;

/// The size in which a picture of `size` is shown `width` pixels wide: in its own shape, with even sides, never enlarged.
pub fn shown_size(size: Size, width: u32) -> Size {
    if width >= size.width() {
        return size;
    }
    let width = (width & !1).max(SIDE_MIN);
    let height = (u64::from(width) * u64::from(size.height())).div_ceil(u64::from(size.width()));
    let height = (height as u32).next_multiple_of(2).clamp(SIDE_MIN, size.height());
    // Both sides lie between the shortest there is and those of a size that is good.
    Size::new(width, height).unwrap_or(size)
}

/// The JPEG of `picture` in this size, which is not larger; `quality` from 1 to 100.
pub fn jpeg(picture: &Picture, colour: VideoColour, size: Size, quality: u8) -> Result<Vec<u8>, EncodingError> {
    let layout = picture.layout();
    let mut file = Vec::with_capacity(size.width() as usize * size.height() as usize / 8);
    let mut encoder = Encoder::new(&mut file, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    let matrix = Matrix::new(colour);
    if size == layout.size {
        let planes = Planes { size, pitch: layout.pitch, luma: picture.luma(), chroma: picture.chroma(), matrix };
        encoder.encode_image(planes)?;
    } else {
        let halves = |size: Size| size.sides().map(|side| side as usize / 2);
        let whole = |size: Size| size.sides().map(|side| side as usize);
        let luma = shrunk::<1>(picture.luma(), layout.pitch, whole(layout.size), whole(size));
        let chroma = shrunk::<2>(picture.chroma(), layout.pitch, halves(layout.size), halves(size));
        let pitch = size.width() as usize;
        encoder.encode_image(Planes { size, pitch, luma: &luma, chroma: &chroma, matrix })?;
    }
    Ok(file)
}

/// From one YCbCr to JFIF's, in fixed point: what luma takes of luma and both chromas, what each chroma takes of both.
#[derive(Debug, Clone, Copy)]
struct Matrix {
    luma: [i32; 3],
    luma_offset: i32,
    chroma: [[i32; 2]; 2],
}

impl Matrix {
    fn new(colour: VideoColour) -> Self {
        let (to, from) = (JFIF.rows(), rgb_of(colour));
        // Row `i` of one matrix times column `j` of the other.
        let entry = |i: usize, j: usize| (0..3).map(|k| to[i][k] * from[k][j]).sum::<f64>();
        let fixed = |value: f64| (value * f64::from(1 << SHIFT)).round() as i32;
        let black = colour.rows()[0][3];
        Self {
            luma: [0, 1, 2].map(|j| fixed(entry(0, j))),
            luma_offset: fixed(-entry(0, 0) * black),
            chroma: [1, 2].map(|i| [1, 2].map(|j| fixed(entry(i, j)))),
        }
    }

    /// Luma, of a pixel with these chromas, which count from their middle.
    fn luma(&self, y: u8, [cb, cr]: [i32; 2]) -> u8 {
        let [of_y, of_cb, of_cr] = self.luma;
        rounded(of_y * i32::from(y) + of_cb * cb + of_cr * cr + self.luma_offset)
    }

    fn chroma(&self, [cb, cr]: [i32; 2]) -> [u8; 2] {
        self.chroma.map(|[of_cb, of_cr]| rounded(of_cb * cb + of_cr * cr + (128 << SHIFT)))
    }
}

fn rounded(fixed: i32) -> u8 {
    ((fixed + (1 << (SHIFT - 1))) >> SHIFT).clamp(0, 255) as u8
}

/// Rows red, green, blue of the matrix that takes code values, without their offsets, to RGB in 0..=1: the inverse of
/// [`VideoColour::rows`].
fn rgb_of(colour: VideoColour) -> [[f64; 3]; 3] {
    let (kr, kb) = (colour.kr, colour.kb);
    let kg = 1.0 - kr - kb;
    let (y, c) = if colour.is_full_range { (1.0 / 255.0, 1.0 / 255.0) } else { (1.0 / 219.0, 1.0 / 224.0) };
    let (cb, cr) = (2.0 * (1.0 - kb) * c, 2.0 * (1.0 - kr) * c);
    [[y, 0.0, cr], [y, -cb * kb / kg, -cr * kr / kg], [y, cb, 0.0]]
}

/// Two planes as the JPEG encoder asks for them: row by row, chroma for each pixel, of which it takes each second.
struct Planes<'a> {
    size: Size,
    pitch: usize,
    luma: &'a [u8],
    chroma: &'a [u8],
    matrix: Matrix,
}

impl ImageBuffer for Planes<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.size.width() as u16
    }

    fn height(&self) -> u16 {
        self.size.height() as u16
    }

    fn fill_buffers(&self, y: u16, [luma, blue, red, _]: &mut [Vec<u8>; 4]) {
        let (width, y) = (self.size.width() as usize, usize::from(y));
        let (lumas, _) = self.luma[y * self.pitch..][..width].as_chunks::<2>();
        let (chromas, _) = self.chroma[y / 2 * self.pitch..][..width].as_chunks::<2>();
        for (lumas, chroma) in lumas.iter().zip(chromas) {
            let chroma = chroma.map(|value| i32::from(value) - 128);
            let [cb, cr] = self.matrix.chroma(chroma);
            luma.extend(lumas.map(|value| self.matrix.luma(value, chroma)));
            blue.extend([cb, cb]);
            red.extend([cr, cr]);
        }
    }
}

/// A plane of `C` values a pixel made smaller: each pixel is the average of what lies under it, parts of pixels as parts.
fn shrunk<const C: usize>(plane: &[u8], pitch: usize, from: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    let across = spans(from[0], to[0]);
    let mut row = vec![0.0f32; to[0] * C];
    let mut shrunk = Vec::with_capacity(to[0] * to[1] * C);
    for down in spans(from[1], to[1]) {
        row.fill(0.0);
        for (y, share) in down.pixels() {
            let source = &plane[y * pitch..][..from[0] * C];
            for (pixel, span) in row.as_chunks_mut::<C>().0.iter_mut().zip(&across) {
                for (x, part) in span.pixels() {
                    let values = &source[x * C..][..C];
                    pixel.iter_mut().zip(values).for_each(|(sum, &value)| *sum += f32::from(value) * part * share);
                }
            }
        }
        shrunk.extend(row.iter().map(|sum| sum.round() as u8));
    }
    shrunk
}

/// The pixels under one of a smaller picture: the first and the last in parts, those between them whole.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: usize,
    last: usize,
    whole: f32,
    of_first: f32,
    of_last: f32,
}

impl Span {
    /// Each with its share; the shares make one.
    fn pixels(self) -> impl Iterator<Item = (usize, f32)> {
        (self.first..=self.last).map(move |at| {
            let share = if at == self.first {
                self.of_first
            } else if at == self.last {
                self.of_last
            } else {
                self.whole
            };
            (at, share)
        })
    }
}

/// What lies under each of `to` pixels along a side that has `from`.
fn spans(from: usize, to: usize) -> Vec<Span> {
    let under = |at: usize| {
        // In parts of a pixel: a source pixel has `to` of them, one of the smaller picture `from`.
        let (begin, end) = (at * from, (at + 1) * from);
        let (first, last) = (begin / to, (end - 1) / to);
        let share = |parts: usize| parts as f32 / from as f32;
        let of_first = share(((first + 1) * to).min(end) - begin);
        Span { first, last, whole: share(to), of_first, of_last: share(end - (last * to).max(begin)) }
    };
    (0..to).map(under).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: u32, height: u32) -> Size {
        Size::new(width, height).unwrap()
    }

    /// A picture whose left half is one colour and whose right half is another, as code values.
    fn halves(size: Size, [left, right]: [[u8; 3]; 2]) -> Picture {
        let mut picture = Picture::black(size);
        let layout = picture.layout();
        let (luma, chroma) = picture.bytes_mut().split_at_mut(layout.luma_len());
        let half = size.width() as usize / 2;
        for row in luma.chunks_mut(layout.pitch) {
            (0..size.width() as usize).for_each(|x| row[x] = if x < half { left[0] } else { right[0] });
        }
        for row in chroma.chunks_mut(layout.pitch) {
            for x in 0..half {
                let [_, cb, cr] = if 2 * x < half { left } else { right };
                [row[2 * x], row[2 * x + 1]] = [cb, cr];
            }
        }
        picture
    }

    /// BT.709's code values of red and green come out as red and green.
    #[test]
    fn colours_are_those_of_the_picture() {
        let picture = halves(size(64, 32), [[63, 102, 240], [173, 42, 26]]);
        for shown in [size(64, 32), size(32, 16)] {
            let file = jpeg(&picture, VideoColour::BT709_LIMITED, shown, 95).unwrap();
            let image = image::load_from_memory_with_format(&file, image::ImageFormat::Jpeg).unwrap().to_rgb8();
            assert_eq!(image.dimensions(), (shown.width(), shown.height()));
            let at = |x: u32| image.get_pixel(x, shown.height() / 2).0.map(i32::from);
            for (found, expected) in [(at(4), [255, 0, 0]), (at(shown.width() - 5), [0, 255, 0])] {
                let far = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).max().unwrap();
                assert!(far <= 6, "{found:?} is not {expected:?}");
            }
        }
    }

    #[test]
    fn black_and_white_are_black_and_white() {
        let matrix = Matrix::new(VideoColour::BT709_LIMITED);
        assert_eq!([16, 235].map(|y| matrix.luma(y, [0, 0])), [0, 255]);
        assert_eq!(matrix.chroma([0, 0]), [128, 128]);
        // Red is 76.2, 85.0 and 255.5 of JFIF; BT.709's codes for it are rounded, which makes 0.4 more.
        let red = [102 - 128, 240 - 128];
        assert_eq!((matrix.luma(63, red), matrix.chroma(red)), (77, [85, 255]));
        let same = Matrix::new(JFIF);
        assert_eq!((same.luma(77, [-30, 20]), same.chroma([-30, 20])), (77, [98, 148]));
    }

    #[test]
    fn a_smaller_pixel_is_the_average_of_what_lies_under_it() {
        // Three to two: each takes one pixel and half of the middle one.
        assert_eq!(shrunk::<1>(&[0, 90, 30, 0, 90, 30], 3, [3, 2], [2, 1]), [30, 50]);
        assert_eq!(shrunk::<2>(&[10, 100, 20, 200], 4, [2, 1], [1, 1]), [15, 150]);
        for (from, to) in [(1920, 640), (1920, 17), (1080, 719), (7, 7), (16, 1)] {
            for span in spans(from, to) {
                let sum: f32 = span.pixels().map(|(_, share)| share).sum();
                assert!((sum - 1.0).abs() < 1e-4, "{from} to {to}: {span:?}");
            }
        }
    }

    #[test]
    fn a_picture_is_shown_in_its_own_shape_and_never_enlarged() {
        let shown = |[width, height]: [u32; 2], wanted| shown_size(size(width, height), wanted).sides();
        assert_eq!(shown([1920, 1080], 640), [640, 360]);
        assert_eq!(shown([1920, 1080], 641), [640, 360]);
        assert_eq!(shown([1920, 1080], 5000), [1920, 1080]);
        assert_eq!(shown([1080, 1920], 270), [270, 480]);
        assert_eq!(shown([3840, 16], 16), [16, 16], "no side is shorter than the shortest");
        assert_eq!(shown([16, 16], 16), [16, 16]);
    }
}
