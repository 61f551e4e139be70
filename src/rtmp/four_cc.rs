//! Codecs that Enhanced RTMP knows by four letters, where old RTMP had numbers.
//!
//! Spec: Veovera, *Enhanced RTMP v2*, "Defining Additional Video Codecs". Left out: VP8 and VP9, which no encoder here makes,
//! H.264, which goes by its number of old, and sound.

/// A codec of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FourCc {
    /// HEVC with its parameter sets apart, as in MP4.
    Hvc1,
    /// AV1.
    Av01,
}

impl FourCc {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Hvc1, Self::Av01];

    /// The four letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hvc1 => "hvc1",
            Self::Av01 => "av01",
        }
    }

    /// The four letters as bytes.
    pub fn to_bytes(self) -> [u8; 4] {
        match self {
            Self::Hvc1 => *b"hvc1",
            Self::Av01 => *b"av01",
        }
    }
}
