//! What a file carries beside its sound: tags and pictures, passed over or weighed before the library reads them.
//!
//! ```text
//!  ID3v2 … fLaC …            the tag is left out: nothing in it is wanted, and the library's search for the sound
//!                            would not come past a large cover
//!  fLaC + metadata blocks ┐
//!  RIFF WAVE + chunks     ├  are held in memory by the library while it opens the file, so they may have
//!  moov, udta, meta       ┘  [`BYTES_MAX`] bytes in all
//! ```
//!
//! Specs: ID3v2.4.0 section 3.1, RFC 9639 section 8, RIFF 1.0, ISO/IEC 14496-12. Whatever makes no sense is left for the
//! library to refuse.

use std::io::{self, Read, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

use super::{demux::Media, error::Error};

/// Most bytes beside the sound: a table of 24 hours of AAC has 16 MiB, a cover of the highest quality 10.
pub(super) const BYTES_MAX: u64 = 48 << 20;
/// Tags one behind the other, and parts of a file, that are looked at.
const TAGS_MAX: usize = 4;
const PARTS_MAX: usize = 4096;

/// The file without tags before its sound; an error if it carries too much.
pub(super) fn leave(mut media: Media) -> Result<Media, Error> {
    let start = past_tags(&mut media)?;
    let mut media = Behind { media, start };
    media.seek(SeekFrom::Start(0))?;
    let carried = carried(&mut media)?;
    if carried > BYTES_MAX {
        return Err(Error::Baggage { bytes: carried });
    }
    media.seek(SeekFrom::Start(0))?;
    Ok(if start == 0 { media.media } else { Box::new(media) })
}

fn past_tags(media: &mut Media) -> io::Result<u64> {
    let mut start = 0;
    for _ in 0..TAGS_MAX {
        media.seek(SeekFrom::Start(start))?;
        let head = head::<10>(media)?;
        let Some([b'I', b'D', b'3', _, _, flags, size @ ..]) = head else { break };
        if size.iter().any(|byte| byte & 0x80 != 0) {
            break;
        }
        let length = size.iter().fold(0, |length, byte| length << 7 | u64::from(*byte));
        let footer = if flags & 0x10 == 0 { 0 } else { 10 };
        start += 10 + length + footer;
    }
    Ok(start)
}

/// The first bytes from here on; `None` where there are not as many.
fn head<const N: usize>(from: &mut impl Read) -> io::Result<Option<[u8; N]>> {
    let mut bytes = Vec::with_capacity(N);
    from.take(N as u64).read_to_end(&mut bytes)?;
    Ok(bytes.first_chunk().copied())
}

/// Bytes beside the sound.
fn carried(file: &mut (impl Read + Seek)) -> io::Result<u64> {
    match head::<12>(file)? {
        Some([b'f', b'L', b'a', b'C', ..]) => weigh(file, 4, |head: [u8; 4]| {
            let length = u64::from(u32::from_be_bytes([0, head[1], head[2], head[3]]));
            // The highest bit is that of the last block.
            Some(Part { next: 4 + length, carried: length, is_last: head[0] & 0x80 != 0 })
        }),
        Some([b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E']) => weigh(file, 12, |head: [u8; 8]| {
            let length = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
            let is_sound = &head[..4] == b"data";
            let carried = if is_sound { 0 } else { length };
            Some(Part { next: 8 + length + (length & 1), carried, is_last: is_sound })
        }),
        Some([_, _, _, _, b'f', b't', b'y', b'p', ..]) => weigh(file, 0, |head: [u8; 16]| {
            let [a, b, c, d, kind @ ..] = *head.first_chunk::<8>()?;
            let length = match u32::from_be_bytes([a, b, c, d]) {
                // To the end of the file, wherever that is.
                0 => u64::MAX,
                1 => u64::from_be_bytes(*head.last_chunk()?),
                length => u64::from(length),
            };
            let is_carried = matches!(&kind, b"moov" | b"udta" | b"meta");
            (length >= 8).then_some(Part { next: length, carried: if is_carried { length } else { 0 }, is_last: false })
        }),
        _ => Ok(0),
    }
}

/// A part of a file, by its head.
struct Part {
    /// From its start to the next one's.
    next: u64,
    carried: u64,
    is_last: bool,
}

/// The sum of what the parts from `at` on carry.
fn weigh<const N: usize>(
    file: &mut (impl Read + Seek),
    mut at: u64,
    read: impl Fn([u8; N]) -> Option<Part>,
) -> io::Result<u64> {
    let mut sum = 0u64;
    for _ in 0..PARTS_MAX {
        file.seek(SeekFrom::Start(at))?;
        let Some(part) = head(file)?.and_then(&read) else { break };
        sum = sum.saturating_add(part.carried);
        at = at.saturating_add(part.next);
        if part.is_last || sum > BYTES_MAX || i64::try_from(at).is_err() {
            break;
        }
    }
    Ok(sum)
}

/// A file from `start` on, as though it began there.
struct Behind {
    media: Media,
    start: u64,
}

impl Read for Behind {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.media.read(bytes)
    }
}

impl Seek for Behind {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let before = || io::Error::new(io::ErrorKind::InvalidInput, "before the start");
        let to = match to {
            SeekFrom::Start(at) => SeekFrom::Start(at.checked_add(self.start).ok_or_else(before)?),
            other => other,
        };
        self.media.seek(to)?.checked_sub(self.start).ok_or_else(before)
    }
}

impl MediaSource for Behind {
    fn is_seekable(&self) -> bool {
        self.media.is_seekable()
    }

    fn byte_len(&self) -> Option<u64> {
        self.media.byte_len().map(|length| length.saturating_sub(self.start))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn left(bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
        let mut media = leave(Box::new(Cursor::new(bytes)))?;
        let mut rest = Vec::new();
        media.read_to_end(&mut rest)?;
        assert_eq!(media.byte_len(), Some(rest.len() as u64));
        assert_eq!(media.seek(SeekFrom::End(-1))?, rest.len() as u64 - 1);
        assert_eq!(media.seek(SeekFrom::Start(1))?, 1);
        assert_eq!(head::<1>(&mut media)?, Some([rest[1]]));
        Ok(rest)
    }

    fn id3(length: usize, has_footer: bool) -> Vec<u8> {
        let size = [21, 14, 7, 0].map(|shift| (length >> shift & 0x7f) as u8);
        let mut tag = [&b"ID3\x04\0"[..], &[u8::from(has_footer) << 4], &size].concat();
        tag.resize(10 + length + if has_footer { 10 } else { 0 }, 0xff);
        tag
    }

    #[test]
    fn tags_are_passed_over_however_large_they_are() {
        let sound = b"\xff\xfb\x90\x64 frames";
        assert_eq!(left(sound.to_vec()).unwrap(), sound);
        assert_eq!(left([id3(3 << 20, false), sound.to_vec()].concat()).unwrap(), sound);
        assert_eq!(left([id3(5, true), id3(200, false), sound.to_vec()].concat()).unwrap(), sound);
        let no_tag = b"ID3\x04\0\0\xff\xff\xff\xff frames";
        assert_eq!(left(no_tag.to_vec()).unwrap(), no_tag);
    }

    #[test]
    fn what_is_held_in_memory_is_weighed_and_not_read() {
        let claims = |bytes: Vec<u8>| match left(bytes) {
            Err(Error::Baggage { bytes }) => Some(bytes),
            other => other.map(|_| None).unwrap(),
        };
        // Four pictures of 15 MiB each, of which there is not a byte; the blocks are walked by their heads.
        let block = |kind: u8, length: u32| [&[kind][..], &length.to_be_bytes()[1..]].concat();
        let mut flac = b"fLaC".to_vec();
        (0..4).for_each(|_| {
            flac.extend(block(6, 15 << 20));
            flac.resize(flac.len() + (15 << 20), 0);
        });
        flac.extend(block(0x81, 9));
        flac.extend([0; 9]);
        assert_eq!(claims(flac.clone()), Some(60 << 20));
        flac[4] |= 0x80;
        assert_eq!(claims(flac), None, "the first block is the last");

        let chunk = |kind: &[u8], length: u32| [kind, &length.to_le_bytes()].concat();
        let wav = |kind: &[u8], length| [b"RIFF\0\0\0\0WAVE".to_vec(), chunk(kind, length)].concat();
        assert_eq!(claims(wav(b"LIST", 1 << 30)), Some(1 << 30));
        assert_eq!(claims(wav(b"data", 1 << 30)), None);

        let mp4 = |kind: &[u8; 4], length: u32| {
            let head = [&20u32.to_be_bytes()[..], b"ftypM4A \0\0\0\0M4A ", &length.to_be_bytes(), kind].concat();
            [head, vec![0; 8]].concat()
        };
        assert_eq!(claims(mp4(b"moov", 100 << 20)), Some(100 << 20));
        assert_eq!(claims(mp4(b"mdat", 100 << 20)), None);
        assert_eq!(claims(mp4(b"moov", 0)), Some(u64::MAX));
        assert_eq!(claims(mp4(b"moov", 3)), None, "left to the library");
    }
}
