//! A file's sound, frame after frame: left and right at the file's own rate, without what its encoder added.
//!
//! Symphonia reads WAV, FLAC, MP3, AAC (ADTS and M4A) and Ogg Vorbis. Here is what it leaves to its users: limits, edit
//! lists (see `edits`), a downmix, and what is done about damage. A packet that cannot be decoded is as long silent, so
//! that what follows keeps its place; [`DAMAGED_MAX`] of them in a row are an error. A file that ends in the middle is
//! heard up to there, and so is one whose container breaks off.
//!
//! Little here is trusted: rates, channels and lengths are bounded, samples that are not numbers are silent. The library
//! may panic; whoever calls this catches it. What it allocates is bounded by what it has read, so what it would read at
//! once is weighed before (see `baggage`). Left out: HE-AAC's upper band (its core is played), other codecs, chapters.

use std::{fmt, ops::RangeInclusive};

use symphonia::core::{audio::AudioSpec, codecs::audio::AudioDecoder, errors::Error as SymphoniaError, packet::Packet};

use super::{
    demux::{Demuxer, Media},
    downmix::{Downmix, Frame},
    error::Error,
};

/// Sampling rates that are played.
pub(super) const RATES_HZ: RangeInclusive<u32> = 8_000..=384_000;
/// Longest sound, in hours.
pub(super) const HOURS_MAX: u64 = 24;
/// Packets that may be damaged one after the other.
pub(super) const DAMAGED_MAX: u32 = 64;
/// Loudest sample, 24 dB above full scale: no sound is, but files of floating point may say so.
const SAMPLE_MAX: f32 = 16.0;

/// A file that is being decoded.
pub(super) struct Decoder {
    demuxer: Demuxer,
    decoder: Box<dyn AudioDecoder>,
    spec: AudioSpec,
    downmix: Downmix,
    /// Frames to leave out before the next one, and how many may follow.
    skip: u64,
    left: u64,
    /// Frames given out, against a file that never ends.
    given: u64,
    /// The packet that `planes` holds already: the first one, decoded to know what the file is.
    first: Option<Packet>,
    planes: Vec<Vec<f32>>,
    /// Damaged packets since the last one that was not.
    damaged: u32,
}

impl Decoder {
    /// Reads what the file is, and decodes what is needed to know it.
    pub(super) fn open(media: Media) -> Result<Self, Error> {
        let (mut demuxer, mut decoder) = Demuxer::open(media)?;
        let mut planes = Vec::new();
        let (packet, spec) = learn(&mut demuxer, &mut *decoder, &mut planes)?;
        check_rate(spec.rate())?;
        let downmix = Downmix::new(spec.channels())?;
        let (skip, left) = demuxer.edit(spec.rate());
        Ok(Self { demuxer, decoder, spec, downmix, skip, left, given: 0, first: Some(packet), planes, damaged: 0 })
    }

    /// The file's own sampling rate.
    pub(super) fn rate_hz(&self) -> u32 {
        self.spec.rate()
    }

    /// The file's own channels.
    pub(super) fn channels(&self) -> usize {
        self.spec.channels().count()
    }

    /// Why it was over before its end, if it was.
    pub(super) fn broken_off(&self) -> Option<&str> {
        self.demuxer.broken_off()
    }

    /// Adds the frames of the next packet, if it has any that are to be heard, to `out`; false at the end.
    pub(super) fn next(&mut self, out: &mut Vec<Frame>) -> Result<bool, Error> {
        if self.left == 0 {
            return Ok(false);
        }
        let packet = match self.first.take() {
            Some(packet) => packet,
            None => match self.demuxer.packet()? {
                Some(packet) => {
                    self.decode(&packet)?;
                    packet
                }
                None => return Ok(false),
            },
        };
        if let Some(frames) = self.demuxer.cut_of(&packet, self.rate_hz()) {
            self.planes.iter_mut().for_each(|plane| plane.truncate(frames));
        }
        let first = out.len();
        self.downmix.append(&self.planes, out);
        for sample in out[first..].as_flattened_mut() {
            *sample = if sample.is_finite() { sample.clamp(-SAMPLE_MAX, SAMPLE_MAX) } else { 0.0 };
        }
        self.cut(first, out);
        if self.given > HOURS_MAX * 3600 * u64::from(self.rate_hz()) {
            return Err(Error::TooLong);
        }
        Ok(true)
    }

    /// Whether [`Self::jump`] is of use.
    pub(super) fn can_jump(&self) -> bool {
        self.demuxer.can_jump()
    }

    /// Goes to `frame`. After false this decoder is of no use any more.
    pub(super) fn jump(&mut self, frame: u64) -> bool {
        let Some(skip) = self.demuxer.jump(frame) else { return false };
        self.decoder.reset();
        self.first = None;
        self.skip = skip;
        true
    }

    /// Decodes a packet into `planes`.
    fn decode(&mut self, packet: &Packet) -> Result<(), Error> {
        match self.decoder.decode(packet) {
            Ok(decoded) if *decoded.spec() != self.spec => Err(Error::Changed),
            Ok(decoded) => {
                self.damaged = 0;
                decoded.copy_to_vecs_planar(&mut self.planes);
                Ok(())
            }
            Err(error @ (SymphoniaError::DecodeError(_) | SymphoniaError::IoError(_))) => {
                self.damaged += 1;
                if self.damaged == DAMAGED_MAX {
                    return Err(Error::Damaged { reason: error.to_string() });
                }
                let frames = self.demuxer.frames_of(packet, self.rate_hz()).unwrap_or(0) as usize;
                self.planes.iter_mut().for_each(|plane| {
                    plane.clear();
                    plane.resize(frames, 0.0);
                });
                Ok(())
            }
            Err(SymphoniaError::ResetRequired) => Err(Error::Changed),
            Err(error) => Err(Error::Damaged { reason: error.to_string() }),
        }
    }

    /// Leaves out of the frames from `first` on what is to be skipped, and what lies behind the end.
    fn cut(&mut self, first: usize, out: &mut Vec<Frame>) {
        let count = (out.len() - first) as u64;
        let skipped = self.skip.min(count);
        out.drain(first..first + skipped as usize);
        self.skip -= skipped;
        let kept = (count - skipped).min(self.left);
        out.truncate(first + kept as usize);
        self.left -= kept;
        self.given += count;
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// Decodes up to the first packet that tells what the file is, into `planes`.
fn learn(
    demuxer: &mut Demuxer,
    decoder: &mut dyn AudioDecoder,
    planes: &mut Vec<Vec<f32>>,
) -> Result<(Packet, AudioSpec), Error> {
    let mut reason = String::new();
    for _ in 0..DAMAGED_MAX {
        let Some(packet) = demuxer.packet()? else { return Err(Error::Empty) };
        match decoder.decode(&packet) {
            Ok(decoded) if decoded.is_empty() => {}
            Ok(decoded) => {
                decoded.copy_to_vecs_planar(planes);
                let spec = decoded.spec().clone();
                return Ok((packet, spec));
            }
            Err(SymphoniaError::DecodeError(said)) => reason = said.into(),
            Err(error) => return Err(Error::no_sound(&error.to_string())),
        }
    }
    Err(Error::Damaged { reason })
}

/// Refuses a sampling rate that is not played.
pub(super) fn check_rate(rate_hz: u32) -> Result<(), Error> {
    if RATES_HZ.contains(&rate_hz) { Ok(()) } else { Err(Error::Rate { rate_hz }) }
}
