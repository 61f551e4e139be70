//! Colour as people write it, and the one description of the video signal's colour.
//!
//! [`Rgba`] is a straight (not premultiplied) sRGB colour. [`VideoColour`] carries matrix, range, siting, transfer and
//! primaries to the NV12 shader, the SPS's VUI and the stream's metadata, so that the three cannot disagree.
//! Specs: CSS Color 4 section 5.2 (hex notation), ITU-T H.273 (code points), ITU-R BT.709.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::schema::written;

/// A straight sRGB colour with alpha, 8 bits each; `#rrggbb` or `#rrggbbaa` in documents.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rgba {
    /// Red, 0 to 255, sRGB encoded.
    pub r: u8,
    /// Green, 0 to 255, sRGB encoded.
    pub g: u8,
    /// Blue, 0 to 255, sRGB encoded.
    pub b: u8,
    /// Coverage, 0 (clear) to 255 (opaque).
    pub a: u8,
}

/// Why a text is not a colour.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a colour: use #rrggbb or #rrggbbaa, e.g. #ffffff or #000000b3")]
pub struct InvalidColour {
    /// The refused text.
    pub text: String,
}

written!(Rgba as "Color" = {
    "type": "string",
    "description": "A straight sRGB colour, `#rrggbb` or `#rrggbbaa`.",
    "pattern": "^#([0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})$",
    "examples": ["#ff8800"]
});

impl Rgba {
    /// Opaque black.
    pub const BLACK: Self = Self::new(0, 0, 0, 255);
    /// Opaque white.
    pub const WHITE: Self = Self::new(255, 255, 255, 255);
    /// Nothing.
    pub const CLEAR: Self = Self::new(0, 0, 0, 0);

    /// A colour from its four parts.
    pub const fn new(r: u8, g: u8, b: u8, a: u8) -> Self {
        Self { r, g, b, a }
    }

    /// Straight red, green, blue, alpha in 0..=1, still sRGB encoded.
    pub fn to_f32(self) -> [f32; 4] {
        [self.r, self.g, self.b, self.a].map(|v| f32::from(v) / 255.0)
    }
}

impl FromStr for Rgba {
    type Err = InvalidColour;

    fn from_str(text: &str) -> Result<Self, InvalidColour> {
        let refused = || InvalidColour { text: text.chars().take(32).collect() };
        let hex =
            text.strip_prefix('#').filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit())).ok_or_else(refused)?;
        let value = u32::from_str_radix(hex, 16).map_err(|_| refused())?;
        let rgba = match hex.len() {
            6 => value << 8 | 0xff,
            8 => value,
            _ => return Err(refused()),
        };
        let [r, g, b, a] = rgba.to_be_bytes();
        Ok(Self::new(r, g, b, a))
    }
}

impl fmt::Display for Rgba {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.r, self.g, self.b)?;
        if self.a == 255 { Ok(()) } else { write!(f, "{:02x}", self.a) }
    }
}

impl fmt::Debug for Rgba {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Rgba {
    type Error = InvalidColour;
    fn try_from(text: String) -> Result<Self, InvalidColour> {
        text.parse()
    }
}

impl From<Rgba> for String {
    fn from(colour: Rgba) -> Self {
        colour.to_string()
    }
}

/// How RGB became YCbCr, as H.273 numbers it, with the sample range and the place of the chroma samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VideoColour {
    /// H.273 `ColourPrimaries`.
    pub primaries: u8,
    /// H.273 `TransferCharacteristics`.
    pub transfer: u8,
    /// H.273 `MatrixCoefficients`.
    pub matrix: u8,
    /// Whether luma uses 0 to 255; false is 16 to 235 with chroma 16 to 240.
    pub is_full_range: bool,
    /// H.264 `chroma_sample_loc_type`; 0 is left, vertically between the rows.
    pub chroma_location: u8,
    /// Weight of red in luma.
    pub kr: f64,
    /// Weight of blue in luma.
    pub kb: f64,
}

impl VideoColour {
    /// BT.709, limited range, chroma sited left: what every ingest and player expects of HD.
    pub const BT709_LIMITED: Self =
        Self { primaries: 1, transfer: 1, matrix: 1, is_full_range: false, chroma_location: 0, kr: 0.2126, kb: 0.0722 };

    /// Rows Y, Cb, Cr of the matrix that takes encoded RGB in 0..=1 to 8-bit code values; the last column is the offset.
    pub fn rows(self) -> [[f64; 4]; 3] {
        let kg = 1.0 - self.kr - self.kb;
        let (y_scale, c_scale, y_offset) = if self.is_full_range { (255.0, 255.0, 0.0) } else { (219.0, 224.0, 16.0) };
        let cb = c_scale / (2.0 * (1.0 - self.kb));
        let cr = c_scale / (2.0 * (1.0 - self.kr));
        [
            [y_scale * self.kr, y_scale * kg, y_scale * self.kb, y_offset],
            [-cb * self.kr, -cb * kg, cb * (1.0 - self.kb), 128.0],
            [cr * (1.0 - self.kr), -cr * kg, -cr * self.kb, 128.0],
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_in_lower_case() {
        for (text, shown) in [("#D03030", "#d03030"), ("#000000b3", "#000000b3"), ("#ffffffff", "#ffffff")] {
            assert_eq!(text.parse::<Rgba>().unwrap().to_string(), shown);
        }
        for bad in ["", "#", "fff", "#fff", "#12345", "#gggggg", "#123456789", "red", "#+12345"] {
            assert!(bad.parse::<Rgba>().is_err(), "{bad}");
        }
    }

    /// BT.709 table 3: white is 235/128/128, black 16/128/128, and pure red 63/102/240.
    #[test]
    fn bt709_by_hand() {
        let rows = VideoColour::BT709_LIMITED.rows();
        let code = |rgb: [f64; 3]| rows.map(|r| (r[0] * rgb[0] + r[1] * rgb[1] + r[2] * rgb[2] + r[3]).round() as i32);
        assert_eq!(code([1.0, 1.0, 1.0]), [235, 128, 128]);
        assert_eq!(code([0.0, 0.0, 0.0]), [16, 128, 128]);
        assert_eq!(code([1.0, 0.0, 0.0]), [63, 102, 240]);
        assert_eq!(code([0.0, 1.0, 0.0]), [173, 42, 26]);
        assert_eq!(code([0.0, 0.0, 1.0]), [32, 240, 118]);
    }
}
