//! A fragment: a piece of both tracks, from a picture on; and the index of them at the end of the file.
//!
//! Spec: ISO/IEC 14496-12 sections 8.8.4 to 8.8.12. All offsets are counted from the `moof` (`default-base-is-moof`), so a
//! fragment means the same wherever it lies.

use bytes::BufMut;

use super::{FLAGS_DEPENDENT, FLAGS_SYNC, Track, boxes};

/// One access unit or one AAC frame. Times are in units of its track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Until the next one is decoded.
    pub duration: u32,
    /// When it is shown, less when it is decoded.
    pub composition: i32,
    /// Whether decoding may start here.
    pub is_key: bool,
    /// Its bytes.
    pub len: u32,
}

/// A track's share of a fragment; it may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run<'a> {
    /// When the first sample is decoded.
    pub start: u64,
    /// The samples.
    pub samples: &'a [Sample],
}

impl Run<'_> {
    fn bytes(&self) -> u32 {
        self.samples.iter().map(|sample| sample.len).sum()
    }
}

/// The bytes of a fragment before its samples, which follow in order: all pictures, then all sound. Their bytes must be
/// less than 4 GiB together.
pub fn fragment(sequence: u32, video: Run<'_>, audio: Run<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + 16 * video.samples.len() + 8 * audio.samples.len());
    let mut offsets_at = Vec::with_capacity(2);
    boxes::put(&mut out, b"moof", |out| {
        boxes::put_full(out, b"mfhd", 0, 0, |out| out.put_u32(sequence));
        for (track, run, data_at) in [(Track::Video, video, 0), (Track::Audio, audio, video.bytes())] {
            if !run.samples.is_empty() {
                offsets_at.push((put_track(out, track, run), data_at));
            }
        }
    });
    let data_from = (out.len() + boxes::HEADER_LEN) as u32;
    for (at, data_at) in offsets_at {
        out[at..at + 4].copy_from_slice(&(data_from + data_at).to_be_bytes());
    }
    out.put_u32(boxes::HEADER_LEN as u32 + video.bytes() + audio.bytes());
    out.put_slice(b"mdat");
    out
}

/// Returns where the offset of the data is to be filled in.
fn put_track(out: &mut Vec<u8>, track: Track, run: Run<'_>) -> usize {
    const BASE_IS_MOOF: u32 = 0x2_0000;
    let mut offset_at = 0;
    boxes::put(out, b"traf", |out| {
        boxes::put_full(out, b"tfhd", 0, BASE_IS_MOOF, |out| out.put_u32(track as u32));
        boxes::put_full(out, b"tfdt", 1, 0, |out| out.put_u64(run.start));
        offset_at = put_run(out, track, run);
    });
    offset_at
}

fn put_run(out: &mut Vec<u8>, track: Track, run: Run<'_>) -> usize {
    const DATA_OFFSET: u32 = 0x1;
    const DURATIONS: u32 = 0x100;
    const SIZES: u32 = 0x200;
    const FLAGS: u32 = 0x400;
    const COMPOSITIONS: u32 = 0x800;
    let of_pictures = if track == Track::Video { FLAGS | COMPOSITIONS } else { 0 };
    let mut offset_at = 0;
    // Version 1 has signed composition offsets.
    boxes::put_full(out, b"trun", 1, DATA_OFFSET | DURATIONS | SIZES | of_pictures, |out| {
        out.put_u32(run.samples.len() as u32);
        offset_at = out.len();
        out.put_u32(0);
        for sample in run.samples {
            out.put_u32(sample.duration);
            out.put_u32(sample.len);
            if track == Track::Video {
                out.put_u32(if sample.is_key { FLAGS_SYNC } else { FLAGS_DEPENDENT });
                out.put_i32(sample.composition);
            }
        }
    });
    offset_at
}

/// Where a fragment is that begins with a keyframe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexEntry {
    /// When that is shown, in units of the pictures' track.
    pub time: u64,
    /// Bytes before the fragment.
    pub moof_at: u64,
}

/// The index, for the end of the file: a player that knows it need not look at every fragment to seek.
pub fn index(entries: &[IndexEntry]) -> Vec<u8> {
    const FIRST: u8 = 1;
    let mut out = Vec::with_capacity(64 + 19 * entries.len());
    boxes::put(&mut out, b"mfra", |out| {
        boxes::put_full(out, b"tfra", 1, 0, |out| {
            out.put_u32(Track::Video as u32);
            out.put_u32(0); // numbers of one byte
            out.put_u32(entries.len() as u32);
            for entry in entries {
                out.put_u64(entry.time);
                out.put_u64(entry.moof_at);
                out.put_bytes(FIRST, 3); // track, run and sample within the fragment
            }
        });
        // The whole index's length, by which it is found from the end.
        let mfro_len = boxes::HEADER_LEN + 8;
        let len = (out.len() + mfro_len) as u32;
        boxes::put_full(out, b"mfro", 0, 0, |out| out.put_u32(len));
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_by_hand() {
        let video = [
            Sample { duration: 1000, composition: 2000, is_key: true, len: 5 },
            Sample { duration: 1001, composition: -1, is_key: false, len: 7 },
        ];
        let audio = [Sample { duration: 1024, composition: 0, is_key: true, len: 3 }];
        let video = Run { start: 0x1_0000_0000, samples: &video };
        let bytes = fragment(9, video, Run { start: 21, samples: &audio });
        let by_hand = [
            b"\0\0\0\xC0moof\0\0\0\x10mfhd\0\0\0\0\0\0\0\x09".as_slice(),
            b"\0\0\0\x60traf\0\0\0\x10tfhd\0\x02\0\0\0\0\0\x01\0\0\0\x14tfdt\x01\0\0\0\0\0\0\x01\0\0\0\0",
            b"\0\0\0\x34trun\x01\0\x0F\x01\0\0\0\x02\0\0\0\xC8",
            b"\0\0\x03\xE8\0\0\0\x05\x02\0\0\0\0\0\x07\xD0\0\0\x03\xE9\0\0\0\x07\x01\x01\0\0\xFF\xFF\xFF\xFF",
            b"\0\0\0\x48traf\0\0\0\x10tfhd\0\x02\0\0\0\0\0\x02\0\0\0\x14tfdt\x01\0\0\0\0\0\0\0\0\0\0\x15",
            b"\0\0\0\x1Ctrun\x01\0\x03\x01\0\0\0\x01\0\0\0\xD4\0\0\x04\0\0\0\0\x03",
            b"\0\0\0\x17mdat",
        ];
        assert_eq!(bytes, by_hand.concat());
    }

    #[test]
    fn a_track_without_samples_is_left_out() {
        let none = Run { start: 0, samples: &[] };
        let audio = [Sample { duration: 1024, composition: 0, is_key: true, len: 3 }];
        let bytes = fragment(1, none, Run { start: 0, samples: &audio });
        assert_eq!(bytes.windows(4).filter(|window| window == b"traf").count(), 1);
        assert_eq!(bytes[bytes.len() - 8..], *b"\0\0\0\x0Bmdat");
    }

    #[test]
    fn an_index_by_hand() {
        let bytes = index(&[IndexEntry { time: 2, moof_at: 0x1_0000_0003 }]);
        let by_hand = [
            b"\0\0\0\x43mfra\0\0\0\x2Btfra\x01\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01".as_slice(),
            b"\0\0\0\0\0\0\0\x02\0\0\0\x01\0\0\0\x03\x01\x01\x01\0\0\0\x10mfro\0\0\0\0\0\0\0\x43",
        ];
        assert_eq!(bytes, by_hand.concat());
    }
}
