//! AAC-LC by `syom`: pure Rust, in every build.

use bytes::Bytes;

use super::{BLOCK_SAMPLES, Block, CHANNELS, Candidate, Error, Library, SAMPLE_RATE, audible};
use crate::aac::AudioSpecificConfig;

/// The entry of the table of candidates.
pub(super) const CANDIDATE: Candidate = Candidate { name: "syom", licence: "MIT", open };

struct Syom {
    library: syom::Encoder,
    /// The block in planes, as the library reads it; samples are made fit for it here.
    planes: [[f32; BLOCK_SAMPLES]; CHANNELS],
}

fn open(bitrate_bps: u32) -> Result<Box<dyn Library>, Error> {
    let mut options = syom::EncodeOptions::raw();
    options.bitrate_bps = bitrate_bps;
    options.lookahead = true;
    // Bits for what nobody hears are missing elsewhere: of bands and stretches of castanets at 128 kbit/s 12 instead of 37 %
    // have an error that is heard (`make bench`, aac). Its other options gain less than they cost.
    options.ath = true;
    let library = syom::Encoder::new(SAMPLE_RATE, CHANNELS, &options).map_err(Error::library)?;
    Ok(Box::new(Syom { library, planes: [[0.0; BLOCK_SAMPLES]; CHANNELS] }))
}

impl Library for Syom {
    fn config(&self) -> Result<AudioSpecificConfig, Error> {
        AudioSpecificConfig::parse(self.library.asc()).map_err(Error::library)
    }

    fn lag_samples(&self) -> u64 {
        BLOCK_SAMPLES as u64
    }

    fn reset(&mut self) -> Result<(), Error> {
        self.library.reset().map_err(Error::library)
    }

    fn encode(&mut self, block: &Block) -> Result<Option<Bytes>, Error> {
        let [left, right] = &mut self.planes;
        for ((&[l, r], left), right) in block.iter().zip(left).zip(right) {
            *left = audible(l);
            *right = audible(r);
        }
        let mut data = None;
        let [left, right] = &self.planes;
        let fed = self.library.feed(&[left, right], |frame| {
            data = Some(Bytes::copy_from_slice(frame.payload));
            Ok(())
        });
        fed.map_err(Error::library)?;
        Ok(data)
    }
}

impl std::fmt::Debug for Syom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Syom")
    }
}
