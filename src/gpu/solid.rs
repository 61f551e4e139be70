//! `solid.wgsl`: one colour in a rectangle. The cheapest of the item pipelines; most panels and boxes take it.

use super::{
    items::{self, Items, Place, Placed},
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

/// An item that was written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw {
    offset: u32,
    pipeline: usize,
}

/// Which pipelines there are: for edges that run through pixels, for edges between them, and in place of what is there.
const PIPELINES: [(f64, Option<wgpu::BlendState>); 3] = [
    (0.0, Some(wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING)),
    (1.0, Some(wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING)),
    (1.0, None),
];
const REPLACE: usize = 2;

/// Draws one colour.
#[derive(Debug)]
pub(crate) struct Solid {
    layout: wgpu::BindGroupLayout,
    pipelines: [wgpu::RenderPipeline; 3],
    slot: wgpu::BindGroup,
}

impl Solid {
    pub(crate) fn new(device: &wgpu::Device, frame: &wgpu::BindGroupLayout, items: &Items, space: BlendSpace) -> Self {
        let layout = items::layout::<gpu_data::Solid>(device, LABEL);
        let module = pipeline::module(device, SOURCE);
        let pipelines = PIPELINES.map(|(is_aligned, blend)| {
            Render {
                label: LABEL,
                module: &module,
                layouts: &[Some(frame), Some(&layout)],
                fragment: "paint",
                constants: &[("is_aligned", is_aligned)],
                blend,
                space,
            }
            .build(device)
        });
        let slot = items.bind::<gpu_data::Solid>(device, LABEL, &layout);
        Self { layout, pipelines, slot }
    }

    /// Follows the items' buffer when it has grown.
    pub(crate) fn rebind(&mut self, device: &wgpu::Device, items: &Items) {
        self.slot = items.bind::<gpu_data::Solid>(device, LABEL, &self.layout);
    }

    /// Writes an item.
    pub(crate) fn push(items: &mut Items, placed: Placed, colour: Rgba, opacity: f32, space: BlendSpace) -> Draw {
        let Placed { place, is_aligned } = placed;
        let colour = light::premultiplied(colour, opacity, space);
        Draw { offset: items.push(&gpu_data::Solid { place, colour }), pipeline: usize::from(is_aligned) }
    }

    /// Writes an item that takes the place of what is there. Its edges must lie between pixels.
    pub(crate) fn push_in_place(items: &mut Items, placed: Placed, colour: Rgba, space: BlendSpace) -> Draw {
        Draw { pipeline: REPLACE, ..Self::push(items, placed, colour, 1.0, space) }
    }

    pub(crate) fn draw(&self, pass: &mut wgpu::RenderPass<'_>, draw: &Draw) {
        pass.set_pipeline(&self.pipelines[draw.pipeline]);
        pass.set_bind_group(1, &self.slot, &[draw.offset]);
        pass.draw(0..4, 0..1);
    }
}
