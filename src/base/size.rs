//! The size of a canvas.
//!
//! NV12 halves the chroma in both directions and H.264 crops in steps of two, so both sides are even. The bounds are
//! those of H.264 level 5.2 as the encoders have it: 3840 x 2160, lying or standing.

use serde::{Deserialize, Serialize};

/// Shortest side, in pixels: one macroblock.
pub const SIDE_MIN: u32 = 16;
/// Longest side, in pixels.
pub const LONG_SIDE_MAX: u32 = 3840;
/// Longest shorter side, in pixels.
pub const SHORT_SIDE_MAX: u32 = 2160;

/// Width and height in pixels, both even and within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Size {
    width: u32,
    height: u32,
}

/// Why a size is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSize {
    /// A side is odd.
    #[error("{width}x{height} has an odd side: NV12 and H.264 need even ones, e.g. {}x{}", width & !1, height & !1)]
    Odd {
        /// Refused width in pixels.
        width: u32,
        /// Refused height in pixels.
        height: u32,
    },
    /// A side is too short or too long.
    #[error(
        "{width}x{height} is out of range: {SIDE_MIN}x{SIDE_MIN} to {LONG_SIDE_MAX}x{SHORT_SIDE_MAX} (or standing)"
    )]
    OutOfRange {
        /// Refused width in pixels.
        width: u32,
        /// Refused height in pixels.
        height: u32,
    },
}

impl Size {
    /// Checks both sides.
    pub fn new(width: u32, height: u32) -> Result<Self, InvalidSize> {
        let (short, long) = (width.min(height), width.max(height));
        if short < SIDE_MIN || long > LONG_SIDE_MAX || short > SHORT_SIDE_MAX {
            return Err(InvalidSize::OutOfRange { width, height });
        }
        if !width.is_multiple_of(2) || !height.is_multiple_of(2) {
            return Err(InvalidSize::Odd { width, height });
        }
        Ok(Self { width, height })
    }

    /// Pixels from left to right.
    pub fn width(self) -> u32 {
        self.width
    }

    /// Pixels from top to bottom.
    pub fn height(self) -> u32 {
        self.height
    }

    /// Width and height.
    pub fn sides(self) -> [u32; 2] {
        [self.width, self.height]
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Raw {
            width: u32,
            height: u32,
        }
        let raw = Raw::deserialize(deserializer)?;
        Self::new(raw.width, raw.height).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_and_parity() {
        for (w, h) in [(16, 16), (1920, 1080), (1080, 1920), (3840, 2160), (2160, 3840), (3840, 16)] {
            assert!(Size::new(w, h).is_ok(), "{w}x{h}");
        }
        for (w, h) in [(0, 0), (14, 16), (3842, 2160), (2162, 2162), (u32::MAX, 2)] {
            assert_eq!(Size::new(w, h), Err(InvalidSize::OutOfRange { width: w, height: h }));
        }
        assert_eq!(
            Size::new(1921, 1081).unwrap_err().to_string(),
            "1921x1081 has an odd side: NV12 and H.264 need even ones, e.g. 1920x1080"
        );
    }
}
