//! Where the sound of an MP4 file begins and ends: what its edit list, or iTunes' comment, says of the encoder's delay.
//!
//! AAC gives back more samples than went in: some before the first, to fill the last frame some after the last. MP4 says
//! in the track's edit list how many to leave out; iTunes wrote it into a comment before that was usual. The demuxer
//! that is used reads neither, so this does.
//!
//! ```text
//!  moov ┬ mvhd   time scale of the edit's length
//!       └ trak ┬ edts ─ elst   length, first sample
//!              └ mdia ┬ mdhd   time scale of the first sample
//!                     └ hdlr   "soun"
//! ```
//!
//! Spec: ISO/IEC 14496-12, 8.6.6. An edit list is followed as far as it says one thing: where the first edit with sound
//! begins, and how long it is. Left out: several edits, other speeds, edits that put silence before.

use std::io::{self, Read, Seek, SeekFrom};

/// Longest `moov` that is looked into, in bytes; that of ten hours has a few million.
const MOOV_BYTES_MAX: u64 = 32 << 20;
/// Most boxes that are looked at on one level.
const BOXES_MAX: usize = 256;

/// The part of a track that is to be heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Edit {
    /// First sample of it, and how many ticks a second has.
    pub(super) start: u64,
    pub(super) timescale: u32,
    /// Its length in ticks of another scale, which is coarser as a rule.
    pub(super) length: Option<(u64, u32)>,
}

/// What the first sound track of an MP4 file says, if it is one and says something. Leaves the position anywhere.
pub(super) fn edit(file: &mut (impl Read + Seek)) -> io::Result<Option<Edit>> {
    Ok(moov(file)?.as_deref().and_then(sound_edit))
}

/// What a comment of iTunes says: samples before, and samples of sound.
///
/// ```text
///  00000000 00000840 000001C0 0000000000046E00 ...   zero, delay, padding, length
/// ```
pub(super) fn itunes(comment: &str) -> Option<(u64, u64)> {
    let mut fields = comment.split_ascii_whitespace().map(|field| u64::from_str_radix(field, 16));
    let (Ok(_zero), Ok(delay), Ok(_padding), Ok(length)) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?)
    else {
        return None;
    };
    (length > 0).then_some((delay, length))
}

fn moov(file: &mut (impl Read + Seek)) -> io::Result<Option<Vec<u8>>> {
    let mut at = file.seek(SeekFrom::Start(0))?;
    for _ in 0..BOXES_MAX {
        let mut head = Vec::new();
        file.take(16).read_to_end(&mut head)?;
        let Some((kind, head_len, len)) = head_of(&head) else { return Ok(None) };
        // A file that does not begin like an MP4 is none; its first bytes would lead anywhere.
        if at == 0 && !matches!(&kind, b"ftyp" | b"moov" | b"free" | b"skip" | b"wide") {
            return Ok(None);
        }
        if &kind == b"moov" {
            let Some(len) = len.filter(|&len| len <= MOOV_BYTES_MAX) else { return Ok(None) };
            file.seek(SeekFrom::Start(at + head_len))?;
            let mut body = Vec::new();
            file.take(len - head_len).read_to_end(&mut body)?;
            return Ok(Some(body));
        }
        let Some(next) = len.and_then(|len| at.checked_add(len)) else { return Ok(None) };
        at = file.seek(SeekFrom::Start(next))?;
    }
    Ok(None)
}

/// A box's type, the length of its head, and its whole length if it has one: type, head and length from up to 16 bytes.
fn head_of(bytes: &[u8]) -> Option<([u8; 4], u64, Option<u64>)> {
    let kind = *bytes.get(4..)?.first_chunk()?;
    let (head_len, len) = match be32(bytes)? {
        0 => (8, None),
        1 => (16, Some(be64(bytes.get(8..)?)?)),
        len => (8, Some(u64::from(len))),
    };
    len.is_none_or(|len| len >= head_len).then_some((kind, head_len, len))
}

/// The boxes in a box.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let next = move || {
        let (kind, head_len, len) = head_of(bytes)?;
        let len = len.map_or(bytes.len(), |len| usize::try_from(len).unwrap_or(usize::MAX));
        let body = bytes.get(head_len as usize..len)?;
        bytes = &bytes[len..];
        Some((kind, body))
    };
    std::iter::from_fn(next).take(BOXES_MAX)
}

fn inside<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes).find(|(other, _)| other == kind).map(|(_, body)| body)
}

fn sound_edit(moov: &[u8]) -> Option<Edit> {
    let movie_timescale = timescale(inside(moov, b"mvhd")?)?;
    let is_sound = |trak: &&[u8]| {
        let handler = inside(trak, b"mdia").and_then(|mdia| inside(mdia, b"hdlr"));
        handler.and_then(|hdlr| hdlr.get(8..12)) == Some(b"soun")
    };
    let trak = boxes(moov).filter(|(kind, _)| kind == b"trak").map(|(_, body)| body).find(is_sound)?;
    let timescale = timescale(inside(inside(trak, b"mdia")?, b"mdhd")?)?;
    let (start, length) = first_edit(inside(inside(trak, b"edts")?, b"elst")?)?;
    Some(Edit { start, timescale, length: (length > 0).then_some((length, movie_timescale)) })
}

/// Of `mvhd` and `mdhd`: behind version, flags and two times of 32 or 64 bits.
fn timescale(body: &[u8]) -> Option<u32> {
    let at = if *body.first()? == 1 { 20 } else { 12 };
    be32(body.get(at..)?).filter(|&scale| scale > 0)
}

/// Where the first edit that has sound begins, and its length.
fn first_edit(elst: &[u8]) -> Option<(u64, u64)> {
    let is_wide = *elst.first()? == 1;
    let entries = elst.get(8..)?.chunks_exact(if is_wide { 20 } else { 12 });
    let mut read = entries.take(BOXES_MAX).filter_map(|entry| {
        let (length, start) = match is_wide {
            true => (be64(entry)?, be64(&entry[8..])? as i64),
            false => (be32(entry)?.into(), i64::from(be32(&entry[4..])? as i32)),
        };
        // -1 is an edit without sound.
        Some((u64::try_from(start).ok()?, length))
    });
    read.next()
}

fn be32(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|&bytes| u32::from_be_bytes(bytes))
}

fn be64(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|&bytes| u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn mp4_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// One second of 44.1 kHz behind a delay of 1024 samples; the edit before it is silence.
    fn movie() -> Vec<u8> {
        let mvhd = mp4_box(b"mvhd", &words(&[0, 0, 0, 1000, 1000]));
        let mdhd = mp4_box(b"mdhd", &words(&[0, 0, 0, 44_100, 45_124]));
        let hdlr = mp4_box(b"hdlr", &[&words(&[0, 0]), &b"soun"[..], &[0; 12]].concat());
        let elst = mp4_box(b"elst", &words(&[0, 2, 500, u32::MAX, 0x1_0000, 1000, 1024, 0x1_0000]));
        let video = mp4_box(b"trak", &mp4_box(b"mdia", &mp4_box(b"hdlr", &[&words(&[0, 0]), &b"vide"[..]].concat())));
        let trak = [mp4_box(b"edts", &elst), mp4_box(b"mdia", &[mdhd, hdlr].concat())].concat();
        let moov = mp4_box(b"moov", &[mvhd, video, mp4_box(b"trak", &trak)].concat());
        [mp4_box(b"ftyp", b"M4A "), mp4_box(b"mdat", &[7; 100]), moov].concat()
    }

    #[test]
    fn the_first_edit_with_sound_counts() {
        let expected = Edit { start: 1024, timescale: 44_100, length: Some((1000, 1000)) };
        assert_eq!(edit(&mut Cursor::new(movie())).unwrap(), Some(expected));
    }

    #[test]
    fn what_is_no_mp4_has_no_edits() {
        for bytes in [&b""[..], b"RIFF\x24\0\0\0WAVEfmt ", b"ID3\x04\0\0\0\0\0\0\0\0\0\0\0\0", &[0; 64]] {
            assert_eq!(edit(&mut Cursor::new(bytes)).unwrap(), None);
        }
    }

    #[test]
    fn comments_of_itunes() {
        let comment = " 00000000 00000840 000001C0 0000000000046E00 00000000 00000000";
        assert_eq!(itunes(comment), Some((0x840, 0x46E00)));
        for comment in ["", "0 840", "0 840 1C0 0", "0 840 1C0 sound"] {
            assert_eq!(itunes(comment), None);
        }
    }

    proptest! {
        #[test]
        fn damaged_files_have_edits_or_none(
            keep in 0usize..1000,
            flips in prop::collection::vec((0usize..1000, any::<u8>()), 0..4),
        ) {
            let mut bytes = movie();
            for (at, value) in flips {
                let at = at % bytes.len();
                bytes[at] = value;
            }
            bytes.truncate(keep);
            let _ = edit(&mut Cursor::new(bytes)).unwrap();
        }
    }
}
