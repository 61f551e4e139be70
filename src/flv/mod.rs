//! FLV: the bodies RTMP carries, and the tags around them in a file.
//!
//! ```text
//! video  [frame type 4 | codec 7] [packet type] [composition time 24] AVCC record, or (u32 length, NAL unit)*
//!         17 key, 27 inter         0 header, 1 NAL units
//! audio  [AF] [packet type] AudioSpecificConfig, or one raw AAC frame
//!              0 header, 1 raw
//! file   "FLV" 01 flags 00000009 | 00000000 | tag | back pointer | tag | back pointer ...
//! tag    [kind 8] [body length 24] [time 24] [time, bits 24 to 31] [stream id 24 = 0] body
//! ```
//!
//! An RTMP message's payload and a file tag's body are the same thing. The few bytes that FLV puts in front of what an
//! encoder made stand apart from it ([`Body`]), so that the encoder's buffer is what all outputs share, without a copy.
//! The two contents supported are H.264 and AAC in their original (not "enhanced") form, which every ingest takes.
//!
//! Spec: Adobe, *FLV and F4V File Format 10.1*, annex E. Left out: reading, other codecs, enhanced RTMP.

use std::fmt;

use bytes::Bytes;

use crate::rtmp::amf0::{self, Value};

/// Longest body that the 24-bit length of a tag, and of an RTMP message, can say, in bytes.
pub const BODY_LEN_MAX: usize = 0xFF_FFFF;
/// Bytes before the NAL units of a video body: the most that stand before any medium.
pub const HEAD_LEN_MAX: usize = 5;

const FRAME_KEY: u8 = 1 << 4;
const FRAME_INTER: u8 = 2 << 4;
const CODEC_AVC: u8 = 7;
/// AAC, 44.1 kHz, 16 bits, stereo: the nibble is fixed by annex E.4.2.1, the truth is in the AudioSpecificConfig.
const AUDIO_AAC: u8 = 0xAF;
const PACKET_SEQUENCE_HEADER: u8 = 0;
const PACKET_MEDIA: u8 = 1;

/// Range of the signed 24-bit composition time.
const COMPOSITION_MS: std::ops::RangeInclusive<i32> = -0x80_0000..=0x7F_FFFF;

/// A body in two parts that follow one another: FLV's own bytes, and what they are put before. A clone shares the latter.
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    head: [u8; HEAD_LEN_MAX],
    head_len: u8,
    media: Bytes,
}

impl Body {
    fn new<const N: usize>(head: [u8; N], media: Bytes) -> Self {
        const { assert!(N <= HEAD_LEN_MAX) };
        let mut padded = [0; HEAD_LEN_MAX];
        padded[..N].copy_from_slice(&head);
        Self { head: padded, head_len: N as u8, media }
    }

    /// FLV's own bytes.
    pub fn head(&self) -> &[u8] {
        &self.head[..usize::from(self.head_len)]
    }

    /// What follows them: NAL units behind their lengths, or an AAC frame.
    pub fn media(&self) -> &Bytes {
        &self.media
    }

    /// By how many milliseconds it is shown later than it is decoded; 0 for sound.
    pub fn composition_ms(&self) -> i32 {
        match self.head() {
            &[_, PACKET_MEDIA, a, b, c] => i32::from_be_bytes([a, b, c, 0]) >> 8,
            _ => 0,
        }
    }

    /// Bytes of both parts.
    pub fn len(&self) -> usize {
        self.head().len() + self.media.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Bytes> for Body {
    /// A body that was put together elsewhere.
    fn from(whole: Bytes) -> Self {
        Self::new([], whole)
    }
}

impl fmt::Debug for Body {
    /// Without the media, which may be megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("head", &self.head()).field("media_len", &self.media.len()).finish()
    }
}

/// Video body that describes what follows: `avcc` is an AVCDecoderConfigurationRecord.
pub fn video_sequence_header(avcc: &[u8]) -> Bytes {
    [&video_head(true, PACKET_SEQUENCE_HEADER, 0)[..], avcc].concat().into()
}

/// Video body of one access unit, whose NAL units have their four length bytes.
///
/// `composition_ms` is presentation minus decoding time, each rounded to milliseconds before the difference is taken.
pub fn video_access_unit(is_key: bool, composition_ms: i32, avcc_nalus: Bytes) -> Body {
    Body::new(video_head(is_key, PACKET_MEDIA, composition_ms), avcc_nalus)
}

fn video_head(is_key: bool, packet_type: u8, composition_ms: i32) -> [u8; 5] {
    let frame_type = if is_key { FRAME_KEY } else { FRAME_INTER };
    let [_, a, b, c] = composition_ms.clamp(*COMPOSITION_MS.start(), *COMPOSITION_MS.end()).to_be_bytes();
    [CODEC_AVC | frame_type, packet_type, a, b, c]
}

/// Audio body that describes what follows: `asc` is an AudioSpecificConfig.
pub fn audio_sequence_header(asc: &[u8]) -> Bytes {
    [&[AUDIO_AAC, PACKET_SEQUENCE_HEADER][..], asc].concat().into()
}

/// Audio body of one AAC frame without ADTS header.
pub fn audio_frame(raw: Bytes) -> Body {
    Body::new([AUDIO_AAC, PACKET_MEDIA], raw)
}

/// What `onMetaData` tells about a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// Frames per second.
    pub fps: f64,
    /// Video bit rate, 1000 bits a second.
    pub video_kbps: u32,
    /// Audio bit rate, 1000 bits a second.
    pub audio_kbps: u32,
    /// Audio samples per second.
    pub sample_rate_hz: u32,
    /// Audio channels.
    pub channels: u32,
    /// Name and version of what made the stream.
    pub encoder: String,
}

/// The script data body: with `@setDataFrame` for a server, which then hands it to every viewer; without for a file.
///
/// Names and order are OBS's, the unused ones included: some ingests look for more than they need.
pub fn on_metadata_body(metadata: &Metadata, with_set_data_frame: bool) -> Bytes {
    let set_data_frame = with_set_data_frame.then(|| Value::from("@setDataFrame"));
    let on_metadata = [Value::from("onMetaData"), Value::EcmaArray(properties(metadata))];
    amf0::encode_all(set_data_frame.iter().chain(&on_metadata)).into()
}

fn properties(metadata: &Metadata) -> amf0::Properties {
    let Metadata { width, height, fps, video_kbps, audio_kbps, sample_rate_hz, channels, encoder } = metadata;
    let has_channels = |count: u32| Value::Boolean(*channels == count);
    [
        ("duration", 0.0.into()),
        ("fileSize", 0.0.into()),
        ("width", (*width).into()),
        ("height", (*height).into()),
        ("videocodecid", u32::from(CODEC_AVC).into()),
        ("videodatarate", (*video_kbps).into()),
        ("framerate", (*fps).into()),
        ("audiocodecid", u32::from(AUDIO_AAC >> 4).into()),
        ("audiodatarate", (*audio_kbps).into()),
        ("audiosamplerate", (*sample_rate_hz).into()),
        ("audiosamplesize", 16.0.into()),
        ("audiochannels", (*channels).into()),
        ("stereo", has_channels(2)),
        ("2.1", has_channels(3)),
        ("3.1", has_channels(4)),
        ("4.0", has_channels(4)),
        ("4.1", has_channels(5)),
        ("5.1", has_channels(6)),
        ("7.1", has_channels(8)),
        ("encoder", encoder.as_str().into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// What a tag of a file contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagKind {
    /// Sound.
    Audio = 8,
    /// Picture.
    Video = 9,
    /// Metadata, without `@setDataFrame`.
    ScriptData = 18,
}

/// Bytes of the head of a file tag.
pub const TAG_HEAD_LEN: usize = 11;

/// A file that says it has sound and picture, up to its first tag.
pub fn file_header() -> [u8; 13] {
    [b'F', b'L', b'V', 1, 0b101, 0, 0, 0, 9, 0, 0, 0, 0]
}

/// What stands before and after a body in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileTag {
    /// Before the body.
    pub head: [u8; TAG_HEAD_LEN],
    /// After the body: length of head and body, by which a reader finds its way back.
    pub back_pointer: [u8; 4],
}

/// A body is longer than a tag can say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("FLV tag body of {len} bytes is longer than the {BODY_LEN_MAX} allowed")]
pub struct BodyTooLong {
    /// Bytes of the refused body.
    pub len: usize,
}

/// The head and the back pointer of a tag with a body of so many bytes.
///
/// The file's time is signed, so it wraps to 0 after 2^31 ms (24.8 days); recordings are split long before.
pub fn file_tag(kind: TagKind, timestamp_ms: u32, body_len: usize) -> Result<FileTag, BodyTooLong> {
    if body_len > BODY_LEN_MAX {
        return Err(BodyTooLong { len: body_len });
    }
    let body_len = body_len as u32;
    let [_, len @ ..] = body_len.to_be_bytes();
    let [high, time @ ..] = (timestamp_ms & 0x7FFF_FFFF).to_be_bytes();
    let mut head = [0; TAG_HEAD_LEN];
    head[0] = kind as u8;
    head[1..4].copy_from_slice(&len);
    head[4..7].copy_from_slice(&time);
    head[7] = high;
    Ok(FileTag { head, back_pointer: (body_len + TAG_HEAD_LEN as u32).to_be_bytes() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn video_bodies_by_hand() {
        assert_eq!(video_sequence_header(&[1, 0x64])[..], [0x17, 0, 0, 0, 0, 1, 0x64]);
        let nalus = Bytes::from_static(&[0, 0, 0, 1, 0x65]);
        let key = video_access_unit(true, 0, nalus.clone());
        assert_eq!((key.head(), key.media(), key.len()), (&[0x17, 1, 0, 0, 0][..], &nalus, 10));
        assert_eq!(key.media().as_ptr(), nalus.as_ptr(), "shared, not copied");
        let head = |composition_ms| video_access_unit(false, composition_ms, Bytes::new()).head().to_vec();
        assert_eq!(head(67), [0x27, 1, 0, 0, 67]);
        assert_eq!(head(-1), [0x27, 1, 0xFF, 0xFF, 0xFF]);
        assert_eq!(head(i32::MAX), [0x27, 1, 0x7F, 0xFF, 0xFF]);
        assert_eq!(head(i32::MIN), [0x27, 1, 0x80, 0, 0]);
        for composition_ms in [0, 67, -1, *COMPOSITION_MS.start(), *COMPOSITION_MS.end()] {
            assert_eq!(video_access_unit(true, composition_ms, Bytes::new()).composition_ms(), composition_ms);
        }
    }

    #[test]
    fn audio_bodies_by_hand() {
        assert_eq!(audio_sequence_header(&[0x11, 0x90])[..], [0xAF, 0, 0x11, 0x90]);
        let frame = audio_frame(Bytes::from_static(&[0x21]));
        assert_eq!((frame.head(), &frame.media()[..]), (&[0xAF, 1][..], &[0x21][..]));
        assert_eq!(frame.composition_ms(), 0);
    }

    #[test]
    fn a_body_from_elsewhere_is_in_one_part() {
        let body = Body::from(Bytes::from_static(&[0xAF, 1, 2]));
        assert_eq!((body.head().len(), body.len(), body.is_empty()), (0, 3, false));
        assert!(Body::from(Bytes::new()).is_empty());
    }

    fn metadata() -> Metadata {
        Metadata {
            width: 1920,
            height: 1080,
            fps: 30.0,
            video_kbps: 4500,
            audio_kbps: 128,
            sample_rate_hz: 48_000,
            channels: 2,
            encoder: "stream-manager".into(),
        }
    }

    #[test]
    fn metadata_as_obs_orders_it() {
        let body = on_metadata_body(&metadata(), true);
        let values = amf0::Decoder::new(&body).decode_all().unwrap();
        let [Value::String(set), Value::String(on), Value::EcmaArray(properties)] = &values[..] else {
            panic!("{values:?}")
        };
        assert_eq!((set.as_str(), on.as_str()), ("@setDataFrame", "onMetaData"));
        let names: Vec<_> = properties.iter().map(|(name, _)| name.as_str()).collect();
        let order = "duration fileSize width height videocodecid videodatarate framerate audiocodecid audiodatarate \
                     audiosamplerate audiosamplesize audiochannels stereo 2.1 3.1 4.0 4.1 5.1 7.1 encoder";
        assert_eq!(names.join(" "), order);
        assert_eq!(values[2].get("videocodecid"), Some(&Value::Number(7.0)));
        assert_eq!(values[2].get("audiocodecid"), Some(&Value::Number(10.0)));
        assert_eq!(values[2].get("stereo"), Some(&Value::Boolean(true)));
        assert_eq!(values[2].get("5.1"), Some(&Value::Boolean(false)));
    }

    #[test]
    fn metadata_bytes_by_hand() {
        let for_server = on_metadata_body(&metadata(), true);
        let for_file = on_metadata_body(&metadata(), false);
        assert_eq!(for_server[..16], *b"\x02\x00\x0D@setDataFrame");
        assert_eq!(for_server[16..], for_file);
        assert_eq!(for_file[..27], b"\x02\x00\x0AonMetaData\x08\x00\x00\x00\x14\x00\x08duratio"[..]);
        assert_eq!(for_file[for_file.len() - 3..], [0, 0, 9]);
    }

    #[test]
    fn tags_by_hand() {
        assert_eq!(file_header(), *b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00");
        let tag = file_tag(TagKind::Video, 0x0102_0304, 0x10).unwrap();
        assert_eq!(tag.head, [9, 0, 0, 0x10, 2, 3, 4, 1, 0, 0, 0]);
        assert_eq!(tag.back_pointer, [0, 0, 0, 0x1B]);
        assert_eq!(file_tag(TagKind::ScriptData, u32::MAX, 0).unwrap().head[4..8], [0xFF, 0xFF, 0xFF, 0x7F]);
        let too_long = BODY_LEN_MAX + 1;
        assert_eq!(file_tag(TagKind::Audio, 0, too_long), Err(BodyTooLong { len: too_long }));
        assert!(file_tag(TagKind::Audio, 0, BODY_LEN_MAX).is_ok());
    }
}
