//! Around every encoder where a constant bitrate is wanted: what a picture does not need is filled up.
//!
//! ```text
//! encoder:   I ████████████  P ██   r ▏  r ▏  P ███ ...
//! sent:      I ████████████  P ██   r ▏  r ▏░ P ███░ ...     ░: filler, from where the stream is behind its bitrate
//! ```
//!
//! It counts what the bitrate has allowed for against what was sent, and puts the difference behind the slices of the access
//! unit as one NAL unit of filler data, which decoders throw away (14496-10, 7.3.2.7). A picture that was larger than its
//! share is made up for by the next ones, for up to a second of the bitrate; what is beyond is not owed to anybody. It stands
//! outside of `still.rs`, whose splicer sees slices alone, so repeats hold the bitrate like all else.
//!
//! ISO/IEC 14496-15 wants no filler in files, and who writes them may take it out; on a connection it is what some ingests
//! ask for, which take a stream that goes quiet for a bad line.
//!
//! Left out: a buffer model in the SPS. Its absence lets a decoder assume what it likes, as it does without the filler.

use bytes::BytesMut;

use super::{AccessUnit, Codec, Config, Encoder, Error, ParameterSets, Request};
use crate::{
    base::{nv12::Picture, rate::FrameRate},
    h264::nal::{FILLER_LEN_MIN, put_filler},
};

/// Seconds of the bitrate by which the stream may be ahead of it, or behind.
const SWING_S: f64 = 1.0;

/// An encoder whose stream is filled up to its bitrate.
#[derive(Debug)]
pub(super) struct Constant {
    encoder: Box<dyn Encoder>,
    balance: Balance,
}

impl Constant {
    /// Wraps an encoder of H.264; for the others there is no filler here.
    pub(super) fn around(encoder: Box<dyn Encoder>, config: &Config) -> Box<dyn Encoder> {
        if config.codec != Codec::H264 {
            return encoder;
        }
        Box::new(Self { encoder, balance: Balance::new(config.rate, config.bitrate_kbps) })
    }

    fn filled(&mut self, unit: AccessUnit) -> AccessUnit {
        let due = self.balance.due(unit.frame, unit.nalus.len());
        if due < FILLER_LEN_MIN {
            self.balance.sent(unit.nalus.len());
            return unit;
        }
        let mut nalus = BytesMut::with_capacity(unit.nalus.len() + due);
        nalus.extend_from_slice(&unit.nalus);
        put_filler(due, &mut nalus);
        self.balance.sent(nalus.len());
        AccessUnit { nalus: nalus.freeze(), ..unit }
    }
}

impl Encoder for Constant {
    fn backend(&self) -> &'static str {
        self.encoder.backend()
    }

    fn parameter_sets(&self) -> &ParameterSets {
        self.encoder.parameter_sets()
    }

    fn encode(&mut self, picture: &Picture, request: Request) -> Result<Option<AccessUnit>, Error> {
        Ok(self.encoder.encode(picture, request)?.map(|unit| self.filled(unit)))
    }

    fn flush(&mut self) -> Result<Option<AccessUnit>, Error> {
        Ok(self.encoder.flush()?.map(|unit| self.filled(unit)))
    }

    fn set_bitrate_kbps(&mut self, bitrate_kbps: u32) -> Result<(), Error> {
        self.encoder.set_bitrate_kbps(bitrate_kbps)?;
        self.balance.set_bitrate_kbps(bitrate_kbps);
        Ok(())
    }
}

/// What the bitrate has allowed for less what was sent, in bytes.
#[derive(Debug)]
struct Balance {
    rate: FrameRate,
    bytes_per_s: f64,
    bytes: f64,
    /// The frames that are accounted for end before this one.
    next: Option<u64>,
}

impl Balance {
    fn new(rate: FrameRate, bitrate_kbps: u32) -> Self {
        let mut balance = Self { rate, bytes_per_s: 0.0, bytes: 0.0, next: None };
        balance.set_bitrate_kbps(bitrate_kbps);
        balance
    }

    fn set_bitrate_kbps(&mut self, bitrate_kbps: u32) {
        self.bytes_per_s = f64::from(bitrate_kbps) * 1000.0 / 8.0;
        self.clamp();
    }

    /// How many bytes are to be added to an access unit of `len` bytes, so that the stream is not behind its bitrate. Frames
    /// that were left out count, and those that come in another order than they are shown count once.
    fn due(&mut self, frame: u64, len: usize) -> usize {
        let next = self.next.unwrap_or(frame);
        let frames = (frame + 1).saturating_sub(next);
        self.next = Some(next.max(frame + 1));
        self.bytes += frames as f64 * self.bytes_per_s / self.rate.as_f64();
        self.clamp();
        (self.bytes - len as f64).max(0.0) as usize
    }

    fn sent(&mut self, len: usize) {
        self.bytes -= len as f64;
        self.clamp();
    }

    fn clamp(&mut self) {
        let swing = self.bytes_per_s * SWING_S;
        self.bytes = self.bytes.clamp(-swing, swing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 400 kbit/s at 25 frames: 2000 bytes a frame, and 50 000 a second.
    #[test]
    fn what_is_missing_is_due_and_what_was_ahead_is_made_up_for() {
        let mut balance = Balance::new(FrameRate::new(25, 1).unwrap(), 400);
        let mut add = |frame, len| {
            let due = balance.due(frame, len);
            balance.sent(len + due);
            due
        };
        assert_eq!(add(7, 1_500), 500);
        assert_eq!(add(8, 5_500), 0);
        assert_eq!(add(9, 100), 0);
        assert_eq!(add(10, 100), 300, "3500 ahead, of which two frames have made up 3800");
        assert_eq!(add(13, 100), 5_900, "two frames were left out");
        assert_eq!(add(14, 200_000), 0);
        assert_eq!((15..39).map(|frame| add(frame, 0)).sum::<usize>(), 0, "a second of it is made up for");
        assert_eq!((39..41).map(|frame| add(frame, 0)).sum::<usize>(), 2_000, "and no more");
        assert_eq!(add(1_000, 0), 50_000, "nor is more than a second due");
    }
}
