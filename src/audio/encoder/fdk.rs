//! AAC-LC by Fraunhofer's library, in builds with the feature `fdk-aac`; its licence is its own.

use bytes::Bytes;
use fdk_aac::enc::{AudioObjectType, BitRate, ChannelMode, Encoder, EncoderParams, Transport};

use super::{BLOCK_SAMPLES, Block, CHANNELS, Candidate, Error, Library, SAMPLE_RATE, audible};
use crate::aac::AudioSpecificConfig;

/// The entry of the table of candidates.
pub(super) const CANDIDATE: Candidate = Candidate { name: "fdk-aac", licence: "Fraunhofer FDK AAC licence", open };

/// Longest frame that a decoder must take, in bytes: 6144 bits a channel (ISO/IEC 14496-3, 4.5.3.3).
const FRAME_LEN_MAX: usize = 6144 * CHANNELS / 8;

#[derive(Debug)]
struct Fdk {
    library: Encoder,
    bitrate_bps: u32,
    lag_samples: u64,
    /// The block as the library reads it.
    samples: Box<[i16; BLOCK_SAMPLES * CHANNELS]>,
    frame: Box<[u8; FRAME_LEN_MAX]>,
}

fn open(bitrate_bps: u32) -> Result<Box<dyn Library>, Error> {
    let (library, lag_samples) = open_library(bitrate_bps)?;
    let (samples, frame) = (Box::new([0; BLOCK_SAMPLES * CHANNELS]), Box::new([0; FRAME_LEN_MAX]));
    Ok(Box::new(Fdk { library, bitrate_bps, lag_samples, samples, frame }))
}

fn open_library(bitrate_bps: u32) -> Result<(Encoder, u64), Error> {
    let library = Encoder::new(EncoderParams {
        bit_rate: BitRate::Cbr(bitrate_bps),
        sample_rate: SAMPLE_RATE,
        transport: Transport::Raw,
        channels: ChannelMode::Stereo,
        audio_object_type: AudioObjectType::Mpeg4LowComplexity,
    })
    .map_err(Error::library)?;
    let info = library.info().map_err(Error::library)?;
    Ok((library, info.nDelay.into()))
}

impl Library for Fdk {
    fn config(&self) -> Result<AudioSpecificConfig, Error> {
        let info = self.library.info().map_err(Error::library)?;
        let len = (info.confSize as usize).min(info.confBuf.len());
        AudioSpecificConfig::parse(&info.confBuf[..len]).map_err(Error::library)
    }

    fn lag_samples(&self) -> u64 {
        self.lag_samples
    }

    fn reset(&mut self) -> Result<(), Error> {
        (self.library, self.lag_samples) = open_library(self.bitrate_bps)?;
        Ok(())
    }

    fn encode(&mut self, block: &Block) -> Result<Option<Bytes>, Error> {
        for (to, &sample) in self.samples.iter_mut().zip(block.as_flattened()) {
            *to = (audible(sample) * f32::from(i16::MAX)).round() as i16;
        }
        let done = self.library.encode(&self.samples[..], &mut self.frame[..]).map_err(Error::library)?;
        if done.input_consumed != self.samples.len() {
            return Err(Error::library(format!("took {} samples of a block", done.input_consumed)));
        }
        Ok((done.output_size > 0).then(|| Bytes::copy_from_slice(&self.frame[..done.output_size])))
    }
}
