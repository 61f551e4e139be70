//! FLV: the bodies RTMP carries, and the tags around them in a file.
//!
//! ```text
//! video  [frame type 4 | codec 7] [packet type] [composition time 24] AVCC record, or (u32 length, NAL unit)*
//!         17 key, 27 inter         0 header, 1 NAL units
//!        [1 | frame type 3 | packet type 4] [FourCC] [composition time 24] hvcC, av1C, or what is to be decoded
//!         90 key, A0 inter             0 start, 1 frames (time: HEVC alone), 2 end, 3 frames without time
//! audio  [AF] [packet type] AudioSpecificConfig, or one raw AAC frame
//!              0 header, 1 raw
//! file   "FLV" 01 flags 00000009 | 00000000 | tag | back pointer | tag | back pointer ...
//! tag    [kind 8] [body length 24] [time 24] [time, bits 24 to 31] [stream id 24 = 0] body
//! ```
//!
//! An RTMP message's payload and a file tag's body are the same thing. The few bytes that FLV puts in front of what an
//! encoder made stand apart from it ([`Body`]), so that the encoder's buffer is what all outputs share, without a copy.
//! H.264 and AAC go in their original form, which every ingest takes; HEVC and AV1 by FourCC.
//!
//! Specs: Adobe, *FLV and F4V File Format 10.1*, annex E; Veovera, *Enhanced RTMP v2*, "Enhanced Video". Left out: reading,
//! sound in other codecs, several tracks.

use std::fmt;

use bytes::Bytes;

use crate::rtmp::{
    FourCc,
    amf0::{self, Value},
};

/// Longest body that the 24-bit length of a tag, and of an RTMP message, can say, in bytes.
pub const BODY_LEN_MAX: usize = 0xFF_FFFF;
/// Bytes before the NAL units of a video body: the most that stand before any medium.
pub const HEAD_LEN_MAX: usize = 8;

const FRAME_KEY: u8 = 1 << 4;
const FRAME_INTER: u8 = 2 << 4;
const CODEC_AVC: u8 = 7;
/// AAC, 44.1 kHz, 16 bits, stereo: the nibble is fixed by annex E.4.2.1, the truth is in the AudioSpecificConfig.
const AUDIO_AAC: u8 = 0xAF;
const PACKET_SEQUENCE_HEADER: u8 = 0;
const PACKET_MEDIA: u8 = 1;

/// Types of NAL units (H.264 table 7-1).
const NAL_SLICE: u8 = 1;
const NAL_SEI: u8 = 6;
const NAL_AUD: u8 = 9;

/// Bytes before the NAL units of H.264.
const VIDEO_HEAD_LEN: usize = 5;
/// Set in the first byte where the other bits mean what Enhanced RTMP says.
const ENHANCED: u8 = 0x80;
const ENHANCED_SEQUENCE_START: u8 = 0;
const ENHANCED_CODED_FRAMES: u8 = 1;
const ENHANCED_SEQUENCE_END: u8 = 2;
const ENHANCED_CODED_FRAMES_X: u8 = 3;
/// Bytes up to the end of the FourCC.
const ENHANCED_HEAD_LEN: usize = 5;

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
            &[_, PACKET_MEDIA, a, b, c] | &[_, _, _, _, _, a, b, c] => i32::from_be_bytes([a, b, c, 0]) >> 8,
            _ => 0,
        }
    }

    /// Whether nothing refers to this picture, so that it can be left out: its slices have `nal_ref_idc` 0 (H.264 7.4.1; the
    /// first tells for all). What is not understood is needed.
    pub fn is_disposable(&self) -> bool {
        let (head, mut nals) = match self.head() {
            [] => self.media.split_at_checked(VIDEO_HEAD_LEN).unwrap_or_default(),
            head => (head, &self.media[..]),
        };
        if head.get(..2) != Some(&[CODEC_AVC | FRAME_INTER, PACKET_MEDIA]) {
            return false;
        }
        while let Some((len, rest)) = nals.split_first_chunk() {
            let Some((nal, next)) = rest.split_at_checked(u32::from_be_bytes(*len) as usize) else { return false };
            match nal.first().map(|header| (header >> 5 & 3, header & 0x1F)) {
                Some((ref_idc, NAL_SLICE)) => return ref_idc == 0,
                Some((_, NAL_SEI | NAL_AUD)) => nals = next,
                _ => return false,
            }
        }
        false
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
    let [a, b, c] = composition_bytes(composition_ms);
    [CODEC_AVC | frame_type, packet_type, a, b, c]
}

fn composition_bytes(composition_ms: i32) -> [u8; 3] {
    let [_, a, b, c] = composition_ms.clamp(*COMPOSITION_MS.start(), *COMPOSITION_MS.end()).to_be_bytes();
    [a, b, c]
}

/// Video body that describes what follows: `record` is an HEVCDecoderConfigurationRecord or an
/// AV1CodecConfigurationRecord.
pub fn enhanced_sequence_start(four_cc: FourCc, record: &[u8]) -> Bytes {
    [&enhanced_head(FRAME_KEY | ENHANCED_SEQUENCE_START, four_cc)[..], record].concat().into()
}

/// Video body of one access unit: length-prefixed NAL units, or an AV1 temporal unit. AV1 reorders within itself, so its
/// body has no `composition_ms`; HEVC's has one only where it is not 0.
pub fn enhanced_access_unit(four_cc: FourCc, is_key: bool, composition_ms: i32, coded: Bytes) -> Body {
    let frame = if is_key { FRAME_KEY } else { FRAME_INTER };
    match (four_cc, composition_ms) {
        (FourCc::Av01, _) => Body::new(enhanced_head(frame | ENHANCED_CODED_FRAMES, four_cc), coded),
        (FourCc::Hvc1, 0) => Body::new(enhanced_head(frame | ENHANCED_CODED_FRAMES_X, four_cc), coded),
        (FourCc::Hvc1, _) => {
            let [first, a, b, c, d] = enhanced_head(frame | ENHANCED_CODED_FRAMES, four_cc);
            let [x, y, z] = composition_bytes(composition_ms);
            Body::new([first, a, b, c, d, x, y, z], coded)
        }
    }
}

/// Video body after which nothing more of the sequence comes.
pub fn enhanced_sequence_end(four_cc: FourCc) -> Bytes {
    Bytes::copy_from_slice(&enhanced_head(FRAME_KEY | ENHANCED_SEQUENCE_END, four_cc))
}

/// The codec of a video body where it goes by FourCC.
pub fn four_cc(body: &[u8]) -> Option<FourCc> {
    let (head, _) = body.split_first_chunk::<ENHANCED_HEAD_LEN>()?;
    let is_it = |four_cc: &FourCc| head[0] & ENHANCED != 0 && head[1..] == four_cc.to_bytes();
    FourCc::ALL.into_iter().find(is_it)
}

fn enhanced_head(frame_and_packet: u8, four_cc: FourCc) -> [u8; ENHANCED_HEAD_LEN] {
    let [a, b, c, d] = four_cc.to_bytes();
    [ENHANCED | frame_and_packet, a, b, c, d]
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
    /// The codec of the pictures where it goes by FourCC; H.264 where there is none.
    pub four_cc: Option<FourCc>,
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
    let Metadata { width, height, fps, four_cc, video_kbps, audio_kbps, sample_rate_hz, channels, encoder } = metadata;
    let has_channels = |count: u32| Value::Boolean(*channels == count);
    [
        ("duration", 0.0.into()),
        ("fileSize", 0.0.into()),
        ("width", (*width).into()),
        ("height", (*height).into()),
        ("videocodecid", four_cc.map_or(u32::from(CODEC_AVC), |codec| u32::from_be_bytes(codec.to_bytes())).into()),
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

/// `@setDataFrame` as AMF 0 writes a string.
const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0D@setDataFrame";

/// The metadata as a file has it, from that for a server.
pub fn metadata_for_file(body: &Bytes) -> Bytes {
    if body.starts_with(SET_DATA_FRAME) { body.slice(SET_DATA_FRAME.len()..) } else { body.clone() }
}

/// Where in metadata the eight bytes of a number stand, by which it can be mended in a file.
pub fn number_in_metadata(body: &[u8], name: &str) -> Option<usize> {
    const NUMBER: u8 = 0;
    let name_len = u16::try_from(name.len()).ok()?;
    let entry = [&name_len.to_be_bytes(), name.as_bytes(), &[NUMBER]].concat();
    let at = body.windows(entry.len()).position(|window| window == entry)? + entry.len();
    (at + 8 <= body.len()).then_some(at)
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
    fn enhanced_bodies_by_hand() {
        use FourCc::{Av01, Hvc1};
        let head = |four_cc, is_key, composition_ms| {
            let body = enhanced_access_unit(four_cc, is_key, composition_ms, Bytes::from_static(&[7]));
            let kept_ms = if four_cc == Hvc1 { composition_ms } else { 0 };
            assert_eq!((&body.media()[..], body.composition_ms()), (&[7][..], kept_ms));
            body.head().to_vec()
        };
        assert_eq!(enhanced_sequence_start(Hvc1, &[1, 2])[..], *b"\x90hvc1\x01\x02");
        assert_eq!(enhanced_sequence_start(Av01, &[0x81])[..], *b"\x90av01\x81");
        assert_eq!(head(Hvc1, true, 0), *b"\x93hvc1");
        assert_eq!(head(Hvc1, false, 0), *b"\xA3hvc1");
        assert_eq!(head(Hvc1, false, -1), *b"\xA1hvc1\xFF\xFF\xFF");
        assert_eq!(head(Av01, true, 0), *b"\x91av01");
        assert_eq!(head(Av01, false, 40), *b"\xA1av01");
        assert_eq!(enhanced_sequence_end(Hvc1)[..], *b"\x92hvc1");
        for codec in FourCc::ALL {
            assert_eq!(four_cc(&enhanced_sequence_start(codec, &[])), Some(codec));
            assert_eq!(codec.as_str().as_bytes(), codec.to_bytes());
        }
        for other in [&b"\x17hvc1"[..], b"\x90hvc", b"\x90vp09", &video_sequence_header(&[1])] {
            assert_eq!(four_cc(other), None);
        }
    }

    #[test]
    fn pictures_that_nothing_refers_to() {
        let body = |is_key, nals: &[&[u8]]| {
            let prefixed = |nal: &&[u8]| [&(nal.len() as u32).to_be_bytes(), *nal].concat();
            video_access_unit(is_key, 0, nals.iter().flat_map(prefixed).collect::<Vec<_>>().into())
        };
        let whole = |body: &Body| Body::from(Bytes::from([body.head(), body.media()].concat()));
        for disposable in [body(false, &[&[0x01, 0x9A]]), body(false, &[&[0x09, 0x30], &[0x06, 5], &[0x01], &[0x01]])] {
            assert!(disposable.is_disposable() && whole(&disposable).is_disposable(), "{disposable:?}");
        }
        for needed in [
            body(false, &[&[0x61, 0x9A]]),
            body(false, &[&[0x06, 5], &[0x41], &[0x01]]),
            body(true, &[&[0x01]]),
            body(false, &[&[0x06, 5]]),
            body(false, &[&[0x07]]),
            body(false, &[&[]]),
            video_access_unit(false, 0, Bytes::from_static(&[0, 0, 0, 9, 0x01])),
            enhanced_access_unit(FourCc::Hvc1, false, 0, Bytes::from_static(&[0, 0, 0, 1, 0x01])),
            video_sequence_header(&[0; 9]).into(),
            Bytes::from_static(&[0x27, 1]).into(),
            Bytes::new().into(),
        ] {
            assert!(!needed.is_disposable() && !whole(&needed).is_disposable(), "{needed:?}");
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
            four_cc: None,
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
        for (four_cc, number) in [(FourCc::Hvc1, 1_752_589_105.0), (FourCc::Av01, 1_635_135_537.0)] {
            let body = on_metadata_body(&Metadata { four_cc: Some(four_cc), ..metadata() }, true);
            let values = amf0::Decoder::new(&body).decode_all().unwrap();
            assert_eq!(values[2].get("videocodecid"), Some(&Value::Number(number)), "the letters as a number");
        }
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
    fn a_file_has_metadata_of_its_own_and_numbers_in_it_are_found() {
        let body = metadata_for_file(&on_metadata_body(&metadata(), true));
        assert_eq!(body, on_metadata_body(&metadata(), false));
        assert_eq!(metadata_for_file(&body), body);
        let at = number_in_metadata(&body, "framerate").unwrap();
        assert_eq!(body[at..at + 8], 30_f64.to_be_bytes());
        assert_eq!(number_in_metadata(&body, "duration"), Some(13 + 5 + 2 + 8 + 1));
        assert_eq!(number_in_metadata(&body, "rate"), None, "a part of a name is no name");
        assert_eq!(number_in_metadata(&body, "stereo"), None, "no number");
        assert_eq!(number_in_metadata(&body[..at + 7], "framerate"), None);
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
