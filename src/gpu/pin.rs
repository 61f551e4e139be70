//! `pin.wgsl`: a group's surface with its corners pinned.
//!
//! Maps are put together here, in 64 bits; the shader divides once for each sample. What of a canvas pixel is covered is
//! told by its distance from the four edges, in canvas pixels.

use std::sync::Arc;

use super::{
    Error,
    device::Gpu,
    items::{self, Items, Place, Placed},
    pipeline::{self, Render, Source},
    textures::Texture,
};
use crate::scene::{
    BlendSpace,
    draw::{DrawItem, Group, Pin as Document},
    geometry::{Affine, Projective, Rect},
};

pub(crate) const SOURCE: Source =
    Source { name: "pin.wgsl", uses_common: true, text: include_str!("../../shaders/pin.wgsl") };
const LABEL: &str = "gpu.items.pin";

mod gpu_data {
    use bytemuck::{Pod, Zeroable};

    use super::Place;

    /// `Pin` of `pin.wgsl`.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, Pod, Zeroable)]
    pub(crate) struct Pin {
        pub(crate) place: Place,
        /// Rows of the map from canvas pixels to pixels of the surface.
        pub(crate) to_surface: [[f32; 4]; 3],
        /// For each edge, the canvas pixels that a point lies inside of it.
        pub(crate) edges: [[f32; 4]; 4],
        /// Left, top, right and bottom centre of the surface's pixels that are seen.
        pub(crate) within: [f32; 4],
        /// Opacity.
        pub(crate) style: [f32; 4],
    }
}

pub(crate) fn layouts() -> Vec<pipeline::Layout> {
    vec![pipeline::layout!("pin.wgsl", gpu_data::Pin as "Pin" { place, to_surface, edges, within, style })]
}

/// An item that was written.
#[derive(Debug, Clone)]
pub(crate) struct Draw {
    offset: u32,
    texture: Arc<Texture>,
}

/// Draws pinned groups.
#[derive(Debug)]
pub(crate) struct Pin {
    layout: wgpu::BindGroupLayout,
    layouts: [wgpu::BindGroupLayout; 2],
    slot: wgpu::BindGroup,
    /// Made when the first one is drawn.
    pipeline: Option<wgpu::RenderPipeline>,
    space: BlendSpace,
}

impl Pin {
    /// `layouts` are those of groups 0 and 2.
    pub(crate) fn new(
        device: &wgpu::Device,
        layouts: [&wgpu::BindGroupLayout; 2],
        items: &Items,
        space: BlendSpace,
    ) -> Self {
        let layout = items::layout::<gpu_data::Pin>(device, LABEL);
        let slot = items.bind::<gpu_data::Pin>(device, LABEL, &layout);
        Self { layout, layouts: layouts.map(Clone::clone), slot, pipeline: None, space }
    }

    /// Follows the items' buffer when it has grown.
    pub(crate) fn rebind(&mut self, device: &wgpu::Device, items: &Items) {
        self.slot = items.bind::<gpu_data::Pin>(device, LABEL, &self.layout);
    }

    /// Writes an item: the surface of `group`, pinned as `pin` says.
    ///
    /// # Errors
    /// [`Error::Create`] when the pipeline cannot be made.
    pub(crate) fn push(
        &mut self,
        gpu: &Gpu,
        items: &mut Items,
        placed: Placed,
        (item, group, pin): (&DrawItem, &Group, &Document),
        texture: Arc<Texture>,
    ) -> Result<Draw, Error> {
        if self.pipeline.is_none() {
            self.pipeline = Some(gpu.scoped("the pipeline of pinned corners", || self.build(&gpu.device))?);
        }
        Ok(Draw { offset: items.push(&encode(placed.place, item, group, pin)), texture })
    }

    fn build(&self, device: &wgpu::Device) -> wgpu::RenderPipeline {
        let [frame, texture] = &self.layouts;
        Render {
            label: LABEL,
            module: &pipeline::module(device, SOURCE),
            layouts: &[Some(frame), Some(&self.layout), Some(texture)],
            fragment: "paint",
            constants: &[],
            blend: Some(wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING),
            space: self.space,
        }
        .build(device)
    }

    pub(crate) fn draw(&self, pass: &mut wgpu::RenderPass<'_>, draw: &Draw) {
        let Some(pipeline) = &self.pipeline else { return };
        pass.set_pipeline(pipeline);
        pass.set_bind_group(1, &self.slot, &[draw.offset]);
        pass.set_bind_group(2, &draw.texture.group, &[]);
        pass.draw(0..4, 0..1);
    }
}

fn encode(place: Place, item: &DrawItem, group: &Group, pin: &Document) -> gpu_data::Pin {
    let [x, y] = [group.size[0] as f32 / group.dest.w, group.size[1] as f32 / group.dest.h];
    let surface_from_layer = Affine { a: x, d: y, e: -group.dest.x * x, f: -group.dest.y * y, ..Affine::IDENTITY };
    let canvas_from_layer = projective(item.place).after(pin.map);
    let to_surface = projective(surface_from_layer).after(canvas_from_layer.inverse());
    let row = |[a, b, c]: [f64; 3]| [a as f32, b as f32, c as f32, 0.0];
    let rect = pin.rect;
    let [left, top, right, bottom] = [rect.x, rect.y, rect.right(), rect.bottom()].map(f64::from);
    let corners = [[left, top], [right, top], [right, bottom], [left, bottom]];
    let corners = corners.map(|corner| canvas_from_layer.apply(corner).unwrap_or(corner));
    gpu_data::Pin {
        place,
        to_surface: to_surface.0.map(row),
        edges: edges(corners).map(row),
        within: within(surface_from_layer.bounds_of(rect)),
        style: [item.opacity, 0.0, 0.0, 0.0],
    }
}

/// The centres of the outermost pixels that lie whole in the rectangle. Beyond them the surface is clear: to mix that in
/// would fade the edges, which are faded by what is covered of a canvas pixel already.
fn within(rect: Rect) -> [f32; 4] {
    // Rounding may take a little off a whole pixel.
    const LEAST: f32 = 1.0 / 64.0;
    let ends = |start: f32, end: f32| {
        let [first, last] = [(start - LEAST).ceil() + 0.5, (end + LEAST).floor() - 0.5];
        if first <= last { [first, last] } else { [((start + end) / 2.0).floor() + 0.5; 2] }
    };
    let ([left, right], [top, bottom]) = (ends(rect.x, rect.right()), ends(rect.y, rect.bottom()));
    [left, top, right, bottom]
}

fn projective(map: Affine) -> Projective {
    let Affine { a, b, c, d, e, f } = map;
    let [a, b, c, d, e, f] = [a, b, c, d, e, f].map(f64::from);
    Projective([[a, c, e], [b, d, f], [0.0, 0.0, 1.0]])
}

/// For each edge of a convex quadrangle, from corner to corner, `nx, ny, d`: a point lies `nx x + ny y + d` inside of it.
fn edges(corners: [[f64; 2]; 4]) -> [[f64; 3]; 4] {
    let area: f64 = (0..4).map(|i| cross(corners[i], corners[(i + 1) % 4])).sum();
    let turn = if area < 0.0 { -1.0 } else { 1.0 };
    [0, 1, 2, 3].map(|i| {
        let (a, b) = (corners[i], corners[(i + 1) % 4]);
        let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
        let length = dx.hypot(dy).max(1e-9) * turn;
        let normal = [-dy / length, dx / length];
        [normal[0], normal[1], -(normal[0] * a[0] + normal[1] * a[1])]
    })
}

fn cross(a: [f64; 2], b: [f64; 2]) -> f64 {
    a[0] * b[1] - a[1] * b[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_ends_at_whole_pixels() {
        assert_eq!(within(Rect::new(0.0, 8.0, 90.0, 60.0)), [0.5, 8.5, 89.5, 67.5]);
        assert_eq!(within(Rect::new(0.25, 8.001, 90.5, 60.25)), [1.5, 8.5, 89.5, 67.5]);
        // No pixel lies whole in a line.
        assert_eq!(within(Rect::new(3.25, 0.0, 0.5, 4.0)), [3.5, 0.5, 3.5, 3.5]);
    }

    #[test]
    fn points_lie_inside_of_edges_whichever_way_they_turn() {
        let clockwise = [[0.0, 0.0], [10.0, 0.0], [10.0, 6.0], [0.0, 6.0]];
        let mirrored = [clockwise[1], clockwise[0], clockwise[3], clockwise[2]];
        let depths = |corners, [x, y]: [f64; 2]| edges(corners).map(|[a, b, c]| a * x + b * y + c);
        assert_eq!(depths(clockwise, [2.0, 1.0]), [1.0, 8.0, 5.0, 2.0]);
        assert_eq!(depths(mirrored, [2.0, 1.0]), [1.0, 2.0, 5.0, 8.0]);
        assert_eq!(depths(clockwise, [2.0, -1.0])[0], -1.0);
    }
}
