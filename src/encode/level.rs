//! The level of a stream: what a decoder must be able to do (ITU-T H.264 table A-1).
//!
//! The smallest level that fits is taken, but none below 3.1: decoders have handled that one for fifteen years, and it
//! leaves small pictures room to raise their bitrate live. Limits that one reference frame and our sizes cannot reach
//! (picture buffer, motion vectors) are left out.

use super::{BITRATE_KBPS_MIN, Error};
use crate::base::{rate::FrameRate, size::Size};

/// Kilobits per second for each unit of `MaxBR`. High profile has 1.25 (1.5 with NAL overhead); OpenH264 raises the level
/// beyond 1.2 of its own accord, and a level that the SPS does not carry would be of no use.
const BITRATE_FACTOR_PERCENT: u32 = 120;

/// One row of table A-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    /// `level_idc`: ten times the level's name.
    pub(super) idc: u8,
    /// Macroblocks per second.
    mbps_max: u32,
    /// Macroblocks of a picture.
    fs_max: u32,
    /// `MaxBR`.
    br_max: u32,
}

const LEVELS: [Level; 8] = [
    Level { idc: 31, mbps_max: 108_000, fs_max: 3_600, br_max: 14_000 },
    Level { idc: 32, mbps_max: 216_000, fs_max: 5_120, br_max: 20_000 },
    Level { idc: 40, mbps_max: 245_760, fs_max: 8_192, br_max: 20_000 },
    Level { idc: 41, mbps_max: 245_760, fs_max: 8_192, br_max: 50_000 },
    Level { idc: 42, mbps_max: 522_240, fs_max: 8_704, br_max: 50_000 },
    Level { idc: 50, mbps_max: 589_824, fs_max: 22_080, br_max: 135_000 },
    Level { idc: 51, mbps_max: 983_040, fs_max: 36_864, br_max: 240_000 },
    Level { idc: 52, mbps_max: 2_073_600, fs_max: 36_864, br_max: 240_000 },
];

impl Level {
    /// The smallest level for this picture, rate and bitrate.
    ///
    /// Level 5.2 has room for every [`Size`] at every [`FrameRate`] and every allowed bitrate.
    pub(super) fn of(size: Size, rate: FrameRate, bitrate_kbps: u32) -> Self {
        let fits = |level: &&Self| level.fits(size, rate) && bitrate_kbps <= level.bitrate_kbps_max();
        *LEVELS.iter().find(fits).unwrap_or(&LEVELS[LEVELS.len() - 1])
    }

    /// Highest bitrate of a stream of this level, in kilobits per second.
    pub(super) fn bitrate_kbps_max(self) -> u32 {
        self.br_max / 100 * BITRATE_FACTOR_PERCENT
    }

    /// Whether a stream of this level may have this bitrate.
    pub(super) fn check(self, bitrate_kbps: u32) -> Result<(), Error> {
        let bitrate_kbps_max = self.bitrate_kbps_max();
        if (BITRATE_KBPS_MIN..=bitrate_kbps_max).contains(&bitrate_kbps) {
            return Ok(());
        }
        Err(Error::Bitrate { bitrate_kbps, bitrate_kbps_max, level_idc: self.idc })
    }

    fn fits(self, size: Size, rate: FrameRate) -> bool {
        let (columns, rows) = (size.width().div_ceil(16), size.height().div_ceil(16));
        let per_second = u64::from(columns * rows) * u64::from(rate.num());
        columns * rows <= self.fs_max
            && columns.max(rows).pow(2) <= 8 * self.fs_max
            && per_second <= u64::from(self.mbps_max) * u64::from(rate.den())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_as_people_know_them() {
        for (width, height, fps, kbps, idc) in [
            (16, 16, "1", 50, 31),
            (1280, 720, "30", 3_000, 31),
            (1280, 720, "60", 4_500, 32),
            (1920, 1080, "30", 4_500, 40),
            (1080, 1920, "29.97", 4_500, 40),
            (1920, 1080, "30", 40_000, 41),
            (1920, 1080, "60", 6_000, 42),
            (3840, 16, "30", 1_000, 40),
            (3840, 2160, "30", 20_000, 51),
            (3840, 2160, "60", 100_000, 52),
        ] {
            let level = Level::of(Size::new(width, height).unwrap(), fps.parse().unwrap(), kbps);
            assert_eq!(level.idc, idc, "{width}x{height} {fps} {kbps}");
            assert!(kbps <= level.bitrate_kbps_max());
        }
    }
}
