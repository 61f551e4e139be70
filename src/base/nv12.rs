//! The picture that leaves the GPU and enters an encoder: 8-bit 4:2:0, two planes.
//!
//! ```text
//! pitch bytes a row ──────────────►
//! Y Y Y Y ... (height rows)
//! Cb Cr Cb Cr ... (height / 2 rows)     one pair for each 2 x 2 pixels, sited left
//! ```

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
}
