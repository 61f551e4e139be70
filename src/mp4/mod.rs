//! Fragmented MP4: a file that can be read while it grows, and up to its last whole fragment after any end.
//!
//! ```text
//! ftyp moov │ moof mdat │ moof mdat │ ...  │ mfra          mfra only at a proper end
//!           │                       │      │
//!           │  moof: mfhd, traf of the pictures, traf of the sound        traf: tfhd tfdt trun
//!           │  mdat: the pictures, then the sound
//!           moov: mvhd, trak avc1, trak mp4a, mvex: mehd trex trex
//! ```
//!
//! One H.264 track and one AAC track, of which [`Movie`] is the head and [`fragment`] the rest. A fragment says when it
//! begins (`tfdt`), so a gap or a lost fragment shifts nothing after it. What a fragment holds is not copied: [`fragment`]
//! makes the bytes in front of it. Composition offsets are signed, so that pictures may be decoded in another order than
//! they are shown. Both descriptions, of H.264 and of AAC, go in as they are, and are read only for size, shape, colour
//! and rates.
//!
//! Spec: ISO/IEC 14496-12 (boxes; 8.8 for fragments), 14496-15 section 5 (`avc1`), 14496-14 (`esds`). Left out: reading,
//! other codecs, edit lists, encryption, a segment index.

mod boxes;
mod fragment;
mod movie;

#[cfg(test)]
pub(crate) mod walk;

pub use self::{
    fragment::{IndexEntry, Run, Sample, fragment, index},
    movie::{Error, Movie},
};

/// The tracks, by their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Track {
    Video = 1,
    Audio = 2,
}

/// Samples are sync samples on their own (`sample_depends_on` is 2).
const FLAGS_SYNC: u32 = 0x0200_0000;
/// Samples need others (`sample_depends_on` is 1) and are not sync samples.
const FLAGS_DEPENDENT: u32 = 0x0101_0000;
