//! The picture that leaves the GPU and enters an encoder: 8-bit 4:2:0, two planes.
//!
//! ```text
//! pitch bytes a row ──────────────►
//! Y Y Y Y ... (height rows)
//! Cb Cr Cb Cr ... (height / 2 rows)     one pair for each 2 x 2 pixels, sited left
//! ```

use std::ops::Range;

use crate::base::size::Size;

/// Rows are padded to this many bytes: a compute shader writes four pixels at once as one `u32`.
pub const PITCH_ALIGN: u32 = 4;

/// Where the bytes of a picture of some size lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Size of the picture.
    pub size: Size,
    /// Bytes from one row to the next, in both planes.
    pub pitch: usize,
}

impl Layout {
    /// The layout every producer and consumer of the project uses for `size`.
    pub fn of(size: Size) -> Self {
        Self { size, pitch: size.width().next_multiple_of(PITCH_ALIGN) as usize }
    }

    /// Bytes of the luma plane.
    pub fn luma_len(self) -> usize {
        self.pitch * self.size.height() as usize
    }

    /// Bytes of both planes.
    pub fn len(self) -> usize {
        self.luma_len() / 2 * 3
    }

    /// Never: the smallest picture has 16 x 16 pixels.
    pub fn is_empty(self) -> bool {
        false
    }
}

/// Some rows of a picture, two by two: two rows of luma and the row of chroma between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    layout: Layout,
    pairs: Box<[bool]>,
}

impl Rows {
    /// None of them.
    pub fn none(layout: Layout) -> Self {
        Self { layout, pairs: vec![false; layout.size.height() as usize / 2].into() }
    }

    /// All of them.
    pub fn all(layout: Layout) -> Self {
        Self { layout, pairs: vec![true; layout.size.height() as usize / 2].into() }
    }

    /// Adds the pairs that these rows of luma belong to; those that the picture has not do not count.
    pub fn add(&mut self, rows: Range<u32>) {
        let end = rows.end.div_ceil(2).min(self.pairs.len() as u32);
        let start = (rows.start / 2).min(end);
        self.pairs[start as usize..end as usize].fill(true);
    }

    /// Takes all away.
    pub fn clear(&mut self) {
        self.pairs.fill(false);
    }

    /// Where their bytes lie, in both planes.
    pub fn spans(&self) -> impl Iterator<Item = Range<usize>> {
        let Layout { pitch, .. } = self.layout;
        let chroma = self.layout.luma_len();
        self.runs().flat_map(move |Range { start, end }| {
            [start * 2 * pitch..end * 2 * pitch, chroma + start * pitch..chroma + end * pitch]
        })
    }

    /// Neighbouring pairs.
    fn runs(&self) -> impl Iterator<Item = Range<usize>> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let start = next + self.pairs[next..].iter().position(|&is_in| is_in)?;
            let len = self.pairs[start..].iter().position(|&is_in| !is_in);
            next = len.map_or(self.pairs.len(), |len| start + len);
            Some(start..next)
        })
    }
}

/// One NV12 picture in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    layout: Layout,
    bytes: Box<[u8]>,
}

impl Picture {
    /// A black picture (Y 16, Cb Cr 128).
    pub fn black(size: Size) -> Self {
        let layout = Layout::of(size);
        let mut bytes = vec![128; layout.len()].into_boxed_slice();
        bytes[..layout.luma_len()].fill(16);
        Self { layout, bytes }
    }

    /// Where its bytes lie.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The luma plane.
    pub fn luma(&self) -> &[u8] {
        &self.bytes[..self.layout.luma_len()]
    }

    /// The interleaved chroma plane.
    pub fn chroma(&self) -> &[u8] {
        &self.bytes[self.layout.luma_len()..]
    }

    /// Both planes, to be overwritten.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Both planes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_of_an_unaligned_width() {
        let picture = Picture::black(Size::new(18, 16).unwrap());
        assert_eq!(picture.layout().pitch, 20);
        assert_eq!((picture.luma().len(), picture.chroma().len()), (320, 160));
        assert!(picture.luma().iter().all(|&y| y == 16) && picture.chroma().iter().all(|&c| c == 128));
    }

    #[test]
    fn rows_are_spans_of_both_planes() {
        // Eight pairs; a row has 20 bytes, chroma begins at 320.
        let layout = Layout::of(Size::new(18, 16).unwrap());
        let spans = |rows: &Rows| rows.spans().map(|span| [span.start, span.end]).collect::<Vec<_>>();
        let nothing: [[usize; 2]; 0] = [];
        let mut rows = Rows::none(layout);
        assert_eq!(spans(&rows), nothing);
        rows.add(3..4);
        rows.add(12..99);
        assert_eq!(spans(&rows), [[40, 80], [340, 360], [240, 320], [440, 480]]);
        rows.add(4..12);
        assert_eq!(spans(&rows), [[40, 320], [340, 480]], "neighbours are one");
        rows.add(7..7);
        rows.add(100..200);
        assert_eq!(spans(&rows), [[40, 320], [340, 480]]);
        rows.clear();
        assert_eq!(spans(&rows), nothing);
        assert_eq!(spans(&Rows::all(layout)), [[0, 320], [320, 480]]);
    }
}
