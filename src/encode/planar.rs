//! NV12 to the three planes that software encoders read.
//!
//! Luma is lent as it is. Chroma is split into a buffer that is kept from frame to frame; its pitch is half of NV12's, so
//! the whole plane is one run of pairs and the loop has no rows.

use crate::{
    base::nv12::{Layout, Picture},
    ffi::openh264::Planes,
};

/// The two chroma planes of a picture, one behind the other.
#[derive(Debug)]
pub(super) struct Planar {
    layout: Layout,
    chroma: Box<[u8]>,
}

impl Planar {
    /// Buffers for pictures of `layout`.
    pub(super) fn new(layout: Layout) -> Self {
        Self { layout, chroma: vec![0; layout.len() - layout.luma_len()].into_boxed_slice() }
    }

    /// Lends `picture`, whose layout is the one given to [`Planar::new`], as three planes.
    pub(super) fn planes<'a>(&'a mut self, picture: &'a Picture) -> Planes<'a> {
        let (u, v) = self.chroma.split_at_mut(self.chroma.len() / 2);
        deinterleave(picture.chroma(), u, v);
        Planes { y: picture.luma(), u, v, y_pitch: self.layout.pitch, uv_pitch: self.layout.pitch / 2 }
    }
}

fn deinterleave(pairs: &[u8], first: &mut [u8], second: &mut [u8]) {
    let (pairs, _) = pairs.as_chunks::<2>();
    for ((&pair, first), second) in pairs.iter().zip(first).zip(second) {
        // As the halves of a 16-bit number the compiler splits 16 pairs at once; as two bytes it takes them one by one,
        // four times as slowly (0.03 against 0.13 ms at 1920x1080).
        let pair = u16::from_le_bytes(pair);
        *first = pair as u8;
        *second = (pair >> 8) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::size::Size;

    #[test]
    fn splits_chroma_with_its_padding() {
        let size = Size::new(18, 16).unwrap();
        let mut picture = Picture::black(size);
        for (index, byte) in picture.bytes_mut().iter_mut().enumerate() {
            *byte = index as u8;
        }
        let mut planar = Planar::new(picture.layout());
        let planes = planar.planes(&picture);
        assert_eq!((planes.y_pitch, planes.uv_pitch), (20, 10));
        assert_eq!((planes.y.len(), planes.u.len(), planes.v.len()), (320, 80, 80));
        for index in 0..80 {
            assert_eq!(planes.u[index], (320 + 2 * index) as u8);
            assert_eq!(planes.v[index], (321 + 2 * index) as u8);
        }
    }
}
