//! `solid.wgsl`: one colour in a rectangle. The cheapest of the item pipelines; most panels and boxes take it.

use super::{
    items::{self, Items, Place},
    light,
    pipeline::{self, Render, Source},
};
use crate::{base::colour::Rgba, scene::BlendSpace};

pub(crate) const SOURCE: Source =
    Source { name: "solid.wgsl", uses_common: true, text: include_str!("../../shaders/solid.wgsl") };
const LABEL: &str = "gpu.items.solid";

mod gpu_data {
    use bytemuck::{Pod, Zeroable};

    use super::Place;

    /// `Solid` of `solid.wgsl`.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, Pod, Zeroable)]
    pub(crate) struct Solid {
        pub(crate) place: Place,
        /// Premultiplied in the blend space.
        pub(crate) colour: [f32; 4],
    }
}

pub(crate) fn layouts() -> Vec<pipeline::Layout> {
    vec![pipeline::layout!("solid.wgsl", gpu_data::Solid as "Solid" { place, colour })]
}

/// Draws one colour.
#[derive(Debug)]
pub(crate) struct Solid {
    layout: wgpu::BindGroupLayout,
    pipeline: wgpu::RenderPipeline,
    slot: wgpu::BindGroup,
}

impl Solid {
    pub(crate) fn new(device: &wgpu::Device, frame: &wgpu::BindGroupLayout, items: &Items, space: BlendSpace) -> Self {
        let layout = items::layout::<gpu_data::Solid>(device, LABEL);
        let pipeline = Render {
            label: LABEL,
            module: &pipeline::module(device, SOURCE),
            layouts: &[Some(frame), Some(&layout)],
            fragment: "paint",
            constants: &[],
            blend: Some(wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING),
            space,
        }
        .build(device);
        let slot = items.bind::<gpu_data::Solid>(device, LABEL, &layout);
        Self { layout, pipeline, slot }
    }

    /// Follows the items' buffer when it has grown.
    pub(crate) fn rebind(&mut self, device: &wgpu::Device, items: &Items) {
        self.slot = items.bind::<gpu_data::Solid>(device, LABEL, &self.layout);
    }

    /// Writes an item and returns its offset.
    pub(crate) fn push(items: &mut Items, place: Place, colour: Rgba, opacity: f32, space: BlendSpace) -> u32 {
        items.push(&gpu_data::Solid { place, colour: light::premultiplied(colour, opacity, space) })
    }

    pub(crate) fn draw(&self, pass: &mut wgpu::RenderPass<'_>, offset: u32) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(1, &self.slot, &[offset]);
        pass.draw(0..4, 0..1);
    }
}
