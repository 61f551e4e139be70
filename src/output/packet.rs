//! What the stream's mux thread gives to every output: packets, and the headers they need.
//!
//! Bodies are those of FLV tags, which RTMP messages and recordings share. An output holds a reference to what the encoder
//! made, never a copy. Spec: *Adobe Flash Video File Format 10.1*, annexes E.4.2 and E.4.3. Left out: how the
//! bodies are made, which is `flv`'s business.

use bytes::Bytes;

use crate::flv::Body;

/// What a [`Packet`] carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One access unit.
    Video {
        /// Whether decoding may start here (IDR).
        is_key: bool,
    },
    /// One AAC frame.
    Audio,
}

impl Kind {
    /// Whether it is a picture.
    pub fn is_video(self) -> bool {
        matches!(self, Self::Video { .. })
    }
}

/// One encoded picture or piece of sound on its way to the outputs; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Picture or sound.
    pub kind: Kind,
    /// Decoding time in ms since the stream started; never less than that of the packet before.
    pub dts_ms: u64,
    /// Body of the FLV tag.
    pub body: Body,
}

impl Packet {
    /// When it is shown or heard, in ms since the stream started.
    pub fn pts_ms(&self) -> u64 {
        self.dts_ms.saturating_add_signed(self.body.composition_ms().into())
    }

    /// Whether it is a picture that no other needs.
    pub fn is_disposable(&self) -> bool {
        self.kind == Kind::Video { is_key: false } && self.body.is_disposable()
    }
}

/// What a decoder must know before the first packet, sent at the start of every session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// `@setDataFrame`, `onMetaData` and its array, as AMF 0.
    pub metadata: Bytes,
    /// Body of the FLV tag with the AVC decoder configuration.
    pub video: Bytes,
    /// Body of the FLV tag with the AAC audio specific configuration.
    pub audio: Bytes,
}
