//! The head of the file: what its tracks are.
//!
//! Spec: ISO/IEC 14496-12 sections 4.3 (`ftyp`), 8.2 to 8.8 (`moov`), 12.1 (`colr`, `pasp`); 14496-1 section 7.2.6 for the
//! descriptors in `esds`. Widths of a track header are in pixels as shown, those of the sample entry as coded.

use bytes::BufMut;

use super::{FLAGS_DEPENDENT, FLAGS_SYNC, Track, boxes};
use crate::{
    aac::{self, AudioSpecificConfig},
    base::rate::FrameRate,
    h264::{self, Sps, vui::VideoSignal},
};

/// Units of the movie header's time in a second.
const MOVIE_TIMESCALE: u32 = 1000;
/// Pictures' units of time in a second where the SPS tells no rate: divisible by most.
const TIMESCALE_UNTOLD: u32 = 90_000;
/// Fewest units of time in a second: what is off the frames' grid is placed by them.
const TIMESCALE_MIN: u32 = 1000;
/// The identity, as 16.16 and, in the last column, 2.30 fixed point.
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
/// `und`, five bits a letter.
const LANGUAGE_UNDETERMINED: u16 = 0x55C4;
/// 72 dots an inch, 16.16, as every file says.
const RESOLUTION: u32 = 72 << 16;

/// Why there is no head for these descriptions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The record of H.264 cannot be read.
    #[error("video description: {0}")]
    Video(#[from] h264::Error),
    /// The description of AAC cannot be read.
    #[error("audio description: {0}")]
    Audio(#[from] aac::Error),
    /// A description is longer than its place.
    #[error("description of {len} bytes is longer than the {DESCRIPTION_LEN_MAX} allowed")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
}

/// Longest description, in bytes: real ones have some dozens.
const DESCRIPTION_LEN_MAX: usize = 0xFFFF;
/// Longest AudioSpecificConfig: descriptors around it keep lengths of one byte.
const ASC_LEN_MAX: usize = 64;

/// What a file begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movie {
    avcc: Vec<u8>,
    sps: Sps,
    asc: Vec<u8>,
    audio: AudioSpecificConfig,
    rate: Option<FrameRate>,
}

impl Movie {
    /// A movie of an AVCDecoderConfigurationRecord and an AudioSpecificConfig.
    pub fn new(avcc: &[u8], asc: &[u8]) -> Result<Self, Error> {
        for (len, len_max) in [(avcc.len(), DESCRIPTION_LEN_MAX), (asc.len(), ASC_LEN_MAX)] {
            if len > len_max {
                return Err(Error::TooLong { len });
            }
        }
        let sps = h264::sps_of_record(avcc)?;
        let rate = rate(&sps);
        Ok(Self { avcc: avcc.to_vec(), sps, asc: asc.to_vec(), audio: AudioSpecificConfig::parse(asc)?, rate })
    }

    /// The pictures' rate, where the SPS tells it.
    pub fn rate(&self) -> Option<FrameRate> {
        self.rate
    }

    /// The pictures' units of time in a second: a whole number of them is a frame, if the rate is known.
    pub fn video_timescale(&self) -> u32 {
        match self.rate {
            None => TIMESCALE_UNTOLD,
            Some(rate) if rate.num() < TIMESCALE_MIN => rate.num() * TIMESCALE_MIN,
            Some(rate) => rate.num(),
        }
    }

    /// The sound's units of time in a second: a sample is one.
    pub fn audio_timescale(&self) -> u32 {
        self.audio.sample_rate_hz()
    }

    /// `ftyp` and `moov`, and where in them the eight bytes of the movie's length stand, in ms: 0 until it is known.
    pub fn to_bytes(&self) -> (Vec<u8>, usize) {
        let mut out = Vec::with_capacity(1200 + self.avcc.len());
        let mut length_at = 0;
        boxes::put(&mut out, b"ftyp", |out| out.put_slice(b"iso6\0\0\0\0iso6mp41"));
        boxes::put(&mut out, b"moov", |out| {
            put_movie_header(out);
            self.put_track(out, Track::Video);
            self.put_track(out, Track::Audio);
            boxes::put(out, b"mvex", |out| {
                boxes::put_full(out, b"mehd", 1, 0, |out| {
                    length_at = out.len();
                    out.put_u64(0);
                });
                put_defaults(out, Track::Video, 0, FLAGS_DEPENDENT);
                put_defaults(out, Track::Audio, aac::FRAME_SAMPLES, FLAGS_SYNC);
            });
        });
        (out, length_at)
    }

    fn put_track(&self, out: &mut Vec<u8>, track: Track) {
        boxes::put(out, b"trak", |out| {
            self.put_track_header(out, track);
            boxes::put(out, b"mdia", |out| {
                self.put_media_header(out, track);
                put_handler(out, track);
                boxes::put(out, b"minf", |out| {
                    match track {
                        Track::Video => boxes::put_full(out, b"vmhd", 0, 1, |out| out.put_bytes(0, 8)),
                        Track::Audio => boxes::put_full(out, b"smhd", 0, 0, |out| out.put_bytes(0, 4)),
                    }
                    put_data_reference(out);
                    boxes::put(out, b"stbl", |out| {
                        boxes::put_full(out, b"stsd", 0, 0, |out| {
                            out.put_u32(1);
                            match track {
                                Track::Video => self.put_avc1(out),
                                Track::Audio => self.put_mp4a(out),
                            }
                        });
                        put_empty_tables(out);
                    });
                });
            });
        });
    }

    fn put_track_header(&self, out: &mut Vec<u8>, track: Track) {
        const ENABLED_IN_MOVIE: u32 = 0b11;
        boxes::put_full(out, b"tkhd", 0, ENABLED_IN_MOVIE, |out| {
            out.put_u64(0); // made and changed at a time that is not told
            out.put_u32(track as u32);
            out.put_bytes(0, 4 + 4 + 8 + 4); // reserved, length, reserved, layer and group
            out.put_u16(if track == Track::Audio { 0x100 } else { 0 });
            out.put_u16(0);
            MATRIX.iter().for_each(|&number| out.put_u32(number));
            let (width, height) = if track == Track::Video { self.shown_size() } else { (0, 0) };
            out.put_u32(width << 16);
            out.put_u32(height << 16);
        });
    }

    /// Pixels as shown: those that are not square are widened.
    fn shown_size(&self) -> (u32, u32) {
        let Sps { width, height, .. } = self.sps;
        let [x, y] = self.sample_ratio().unwrap_or([1, 1]).map(u64::from);
        let widened = (u64::from(width) * x + y / 2) / y;
        (u32::from(u16::try_from(widened).unwrap_or(u16::MAX)), height)
    }

    fn sample_ratio(&self) -> Option<[u16; 2]> {
        self.sps.vui.as_ref()?.aspect_ratio?.ratio()
    }

    fn put_media_header(&self, out: &mut Vec<u8>, track: Track) {
        boxes::put_full(out, b"mdhd", 0, 0, |out| {
            out.put_u64(0);
            out.put_u32(match track {
                Track::Video => self.video_timescale(),
                Track::Audio => self.audio_timescale(),
            });
            out.put_u32(0);
            out.put_u16(LANGUAGE_UNDETERMINED);
            out.put_u16(0);
        });
    }

    fn put_avc1(&self, out: &mut Vec<u8>) {
        boxes::put(out, b"avc1", |out| {
            put_sample_entry(out);
            out.put_bytes(0, 16);
            out.put_u16(self.sps.width as u16);
            out.put_u16(self.sps.height as u16);
            out.put_u32(RESOLUTION);
            out.put_u32(RESOLUTION);
            out.put_u32(0);
            out.put_u16(1); // a frame a sample
            out.put_bytes(0, 32); // no name of the encoder
            out.put_u16(24); // colour without alpha
            out.put_i16(-1);
            boxes::put(out, b"avcC", |out| out.put_slice(&self.avcc));
            if let Some(signal) = self.sps.vui.as_ref().and_then(|vui| vui.video_signal) {
                put_colour(out, signal);
            }
            if let Some([x, y]) = self.sample_ratio() {
                boxes::put(out, b"pasp", |out| {
                    out.put_u32(x.into());
                    out.put_u32(y.into());
                });
            }
        });
    }

    fn put_mp4a(&self, out: &mut Vec<u8>) {
        boxes::put(out, b"mp4a", |out| {
            put_sample_entry(out);
            out.put_bytes(0, 8);
            out.put_u16(self.audio.channels().into());
            out.put_u16(16);
            out.put_u32(0);
            // 16.16 cannot say more; the description does.
            let hz = u16::try_from(self.audio.sample_rate_hz()).unwrap_or(0);
            out.put_u32(u32::from(hz) << 16);
            boxes::put_full(out, b"esds", 0, 0, |out| self.put_elementary_stream(out));
        });
    }

    /// Descriptors within descriptors, each a tag and a length.
    fn put_elementary_stream(&self, out: &mut Vec<u8>) {
        const STREAM: u8 = 3;
        const DECODER: u8 = 4;
        const SPECIFIC: u8 = 5;
        const SYNC: u8 = 6;
        const AAC: u8 = 0x40;
        /// Audio, not upstream, and a bit that is always set.
        const AUDIO_STREAM: u8 = 5 << 2 | 1;
        let asc_len = self.asc.len() as u8;
        let decoder_len = 13 + 2 + asc_len;
        out.put_slice(&[STREAM, 3 + 2 + decoder_len + 3, 0, Track::Audio as u8, 0]);
        out.put_slice(&[DECODER, decoder_len, AAC, AUDIO_STREAM]);
        out.put_bytes(0, 3 + 4 + 4); // buffer size and rates are not told
        out.put_slice(&[SPECIFIC, asc_len]);
        out.put_slice(&self.asc);
        out.put_slice(&[SYNC, 1, 2]);
    }
}

/// What the timing of an SPS comes to, if that is a rate.
fn rate(sps: &Sps) -> Option<FrameRate> {
    let timing = sps.vui.as_ref()?.timing?;
    FrameRate::new(timing.time_scale, timing.num_units_in_tick.checked_mul(2)?).ok()
}

fn put_movie_header(out: &mut Vec<u8>) {
    boxes::put_full(out, b"mvhd", 0, 0, |out| {
        out.put_u64(0);
        out.put_u32(MOVIE_TIMESCALE);
        out.put_u32(0);
        out.put_u32(0x1_0000); // at normal speed
        out.put_u16(0x100); // at full volume
        out.put_bytes(0, 10);
        MATRIX.iter().for_each(|&number| out.put_u32(number));
        out.put_bytes(0, 24);
        out.put_u32(Track::Audio as u32 + 1); // the next free id
    });
}

fn put_handler(out: &mut Vec<u8>, track: Track) {
    let (kind, name) = match track {
        Track::Video => (b"vide", b"picture\0".as_slice()),
        Track::Audio => (b"soun", b"sound\0".as_slice()),
    };
    boxes::put_full(out, b"hdlr", 0, 0, |out| {
        out.put_u32(0);
        out.put_slice(kind);
        out.put_bytes(0, 12);
        out.put_slice(name);
    });
}

/// The samples are in this file.
fn put_data_reference(out: &mut Vec<u8>) {
    const IN_THIS_FILE: u32 = 1;
    boxes::put(out, b"dinf", |out| {
        boxes::put_full(out, b"dref", 0, 0, |out| {
            out.put_u32(1);
            boxes::put_full(out, b"url ", 0, IN_THIS_FILE, |_| {});
        });
    });
}

/// The tables of a file without fragments, all empty.
fn put_empty_tables(out: &mut Vec<u8>) {
    boxes::put_full(out, b"stts", 0, 0, |out| out.put_u32(0));
    boxes::put_full(out, b"stsc", 0, 0, |out| out.put_u32(0));
    boxes::put_full(out, b"stsz", 0, 0, |out| out.put_u64(0));
    boxes::put_full(out, b"stco", 0, 0, |out| out.put_u32(0));
}

fn put_sample_entry(out: &mut Vec<u8>) {
    out.put_bytes(0, 6);
    out.put_u16(1); // the first data reference
}

fn put_colour(out: &mut Vec<u8>, signal: VideoSignal) {
    let Some(colour) = signal.colour else { return };
    boxes::put(out, b"colr", |out| {
        out.put_slice(b"nclx");
        out.put_u16(colour.primaries.into());
        out.put_u16(colour.transfer.into());
        out.put_u16(colour.matrix.into());
        out.put_u8(u8::from(signal.is_full_range) << 7);
    });
}

/// What holds for samples of which a fragment does not say it.
fn put_defaults(out: &mut Vec<u8>, track: Track, duration: u32, flags: u32) {
    boxes::put_full(out, b"trex", 0, 0, |out| {
        out.put_u32(track as u32);
        out.put_u32(1); // the first description
        out.put_u32(duration);
        out.put_u32(0);
        out.put_u32(flags);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::colour::VideoColour,
        h264::{AvcConfig, sps},
        mp4::walk,
    };

    /// Baseline 16x16 without VUI, by hand in the tests of `sps`.
    const BASELINE: [u8; 6] = [0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x79];

    fn movie(sps: &[u8]) -> Movie {
        let avcc = AvcConfig::new(sps, &[0x68, 0xCE]).unwrap().to_bytes();
        Movie::new(&avcc, &[0x11, 0x90]).unwrap()
    }

    fn described(rate: FrameRate) -> Movie {
        movie(&sps::described(&BASELINE, VideoColour::BT709_LIMITED, rate).unwrap())
    }

    #[test]
    fn a_frame_is_a_whole_number_of_units() {
        for (num, den, timescale) in [(30, 1, 30_000), (30_000, 1001, 30_000), (25, 2, 25_000), (60_000, 1001, 60_000)]
        {
            let rate = FrameRate::new(num, den).unwrap();
            let movie = described(rate);
            assert_eq!((movie.rate(), movie.video_timescale()), (Some(rate), timescale));
            assert_eq!(movie.video_timescale() * den % num, 0, "{num}/{den}");
        }
        let untold = movie(&BASELINE);
        assert_eq!((untold.rate(), untold.video_timescale(), untold.audio_timescale()), (None, 90_000, 48_000));
    }

    #[test]
    fn the_head_is_two_boxes_and_its_length_can_be_mended() {
        let movie = described(FrameRate::new(25, 1).unwrap());
        let (bytes, length_at) = movie.to_bytes();
        let file = walk::file(&bytes).unwrap();
        assert_eq!(file.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["ftyp", "moov"]);
        let mehd = walk::find(&file, "moov/mvex/mehd").unwrap();
        assert_eq!((mehd.start + 12, mehd.content.len()), (length_at, 12));
        for path in ["avc1/avcC", "avc1/colr"] {
            assert!(walk::find(&file, &format!("moov/trak/mdia/minf/stbl/stsd/{path}")).is_some(), "{path}");
        }
    }

    #[test]
    fn colour_by_hand() {
        let (bytes, _) = described(FrameRate::new(25, 1).unwrap()).to_bytes();
        let colr = b"\0\0\0\x13colrnclx\0\x01\0\x01\0\x01\0";
        assert!(bytes.windows(colr.len()).any(|window| window == colr));
    }

    #[test]
    fn elementary_stream_by_hand() {
        let mut esds = Vec::new();
        movie(&BASELINE).put_elementary_stream(&mut esds);
        let by_hand = b"\x03\x19\0\x02\0\x04\x11\x40\x15\0\0\0\0\0\0\0\0\0\0\0\x05\x02\x11\x90\x06\x01\x02";
        assert_eq!(esds, by_hand);
    }

    #[test]
    fn refusals() {
        let avcc = AvcConfig::new(&BASELINE, &[0x68, 0xCE]).unwrap().to_bytes();
        assert!(matches!(Movie::new(&avcc[..10], &[0x11, 0x90]), Err(Error::Video(_))));
        assert!(matches!(Movie::new(&avcc, &[0x11]), Err(Error::Audio(_))));
        assert_eq!(Movie::new(&avcc, &[0x11; 65]), Err(Error::TooLong { len: 65 }));
    }
}
