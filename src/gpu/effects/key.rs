//! `key.wgsl`: alpha by colour.

use super::{Program, Second};
use crate::{
    base::colour::Rgba,
    gpu::pipeline::{self, Source},
    scene::draw::Key,
};

pub(super) const PROGRAM: Program = Program::new::<gpu_data::Key>(
    "gpu.effects.key",
    Source {
        name: "key.wgsl",
        uses_common: false,
        text: concat!(include_str!("../../../shaders/effects.wgsl"), include_str!("../../../shaders/key.wgsl")),
    },
    Second::Nothing,
);

mod gpu_data {
    use bytemuck::{Pod, Zeroable};

    /// `Key` of `key.wgsl`.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, Pod, Zeroable)]
    pub(crate) struct Key {
        /// Straight and encoded.
        pub(crate) colour: [f32; 4],
        /// Similarity, smoothness, spill; or lowest and highest luma, smoothness, 1 for inverted.
        pub(crate) limits: [f32; 4],
    }
}

pub(super) fn layouts() -> Vec<pipeline::Layout> {
    vec![pipeline::layout!("key.wgsl", gpu_data::Key as "Key" { colour, limits })]
}

/// The entry point of a key, and its slot.
pub(super) fn slot(key: Key) -> (&'static str, gpu_data::Key) {
    let slot = |colour: Rgba, limits| gpu_data::Key { colour: colour.to_f32(), limits };
    match key {
        Key::Chroma { colour, similarity, smoothness, spill } => {
            ("key_chroma", slot(colour, [similarity, smoothness, spill, 0.0]))
        }
        Key::Colour { colour, similarity, smoothness } => {
            ("key_colour", slot(colour, [similarity, smoothness, 0.0, 0.0]))
        }
        Key::Luma { min, max, smoothness, is_inverted } => {
            ("key_luma", slot(Rgba::CLEAR, [min, max, smoothness, f32::from(u8::from(is_inverted))]))
        }
    }
}
