//! `shadow.wgsl`: a picture's outline in one colour, moved and blurred, under the picture.

use super::{Program, Second};
use crate::{
    base::colour::Rgba,
    gpu::{
        light,
        pipeline::{self, Source},
    },
    scene::BlendSpace,
};

pub(super) const PROGRAM: Program = Program::new::<gpu_data::Shadow>(
    "gpu.effects.shadow",
    Source {
        name: "shadow.wgsl",
        uses_common: false,
        text: concat!(include_str!("../../../shaders/effects.wgsl"), include_str!("../../../shaders/shadow.wgsl")),
    },
    Second::Picture,
);

mod gpu_data {
    use bytemuck::{Pod, Zeroable};

    /// `Shadow` of `shadow.wgsl`.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, Pod, Zeroable)]
    pub(crate) struct Shadow {
        /// Premultiplied in the blend space.
        pub(crate) colour: [f32; 4],
        /// How far it is moved, in pixels.
        pub(crate) offset: [f32; 2],
        /// Texels of the blurred picture for each pixel.
        pub(crate) rate: f32,
        /// By what the blurred outline is multiplied.
        pub(crate) strength: f32,
    }
}

pub(super) fn layouts() -> Vec<pipeline::Layout> {
    vec![pipeline::layout!("shadow.wgsl", gpu_data::Shadow as "Shadow" { colour, offset, rate, strength })]
}

pub(super) fn slot(
    colour: Rgba,
    offset: [f32; 2],
    rate: f32,
    strength: f32,
    space: BlendSpace,
) -> impl bytemuck::Pod + use<> {
    gpu_data::Shadow { colour: light::premultiplied(colour, 1.0, space), offset, rate, strength }
}
