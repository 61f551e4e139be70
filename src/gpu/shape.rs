//! `shape.wgsl`: analytic outlines with fill, gradient and stroke.
//!
//! Lavapipe runs both sides of a branch, so what is known when a pipeline is built is not one: there is a pipeline for
//! each combination of outline, gradient, stroke and alignment that a scene has used, built when it is first met.

use std::collections::HashMap;

use super::{
    Error,
    device::Gpu,
    items::{self, Items, Place, Placed},
    light, matte,
    pipeline::{self, Render, Source},
};
use crate::{
    base::colour::Rgba,
    scene::{
        BlendSpace,
        draw::{Fill, Outline, POINTS_MAX, STOPS_MAX, Shape as Document, Stop},
        geometry::Rect,
    },
};

pub(crate) const SOURCE: Source =
    Source { name: "shape.wgsl", uses_common: true, text: include_str!("../../shaders/shape.wgsl") };
const LABEL: &str = "gpu.items.shape";
/// The number of the outline that is the clip itself.
const CLIP: u8 = 4;
/// The number of a rectangle with corners of four radii.
const CORNERED: u8 = 5;
/// One over the distance of two stops that lie on each other.
const STEEP: f32 = 1e9;

mod gpu_data {
    use bytemuck::{Pod, Zeroable};

    use super::{POINTS_MAX, Place, STOPS_MAX};

    /// `Stop` of `shape.wgsl`.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, Pod, Zeroable)]
    pub(crate) struct Stop {
        /// Premultiplied in the blend space.
        pub(crate) colour: [f32; 4],
        /// Offset, one over the way to the next (0 for the last), padding.
        pub(crate) place: [f32; 4],
    }

    /// `Shape` of `shape.wgsl`.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, Pod, Zeroable)]
    pub(crate) struct Shape {
        pub(crate) place: Place,
        /// Left, top, right, bottom; or centre, radii; or from, to.
        pub(crate) edges: [f32; 4],
        /// Corner radius, half stroke width, opacity, padding.
        pub(crate) style: [f32; 4],
        /// Premultiplied in the blend space.
        pub(crate) stroke: [f32; 4],
        /// Start and step of a linear gradient, or centre and one over the radii of a radial one.
        pub(crate) gradient: [f32; 4],
        /// Stops, points, padding.
        pub(crate) counts: [u32; 4],
        pub(crate) stops: [Stop; STOPS_MAX],
        /// Two points in each; the first one has the radii of a rectangle's corners.
        pub(crate) points: [[f32; 4]; POINTS_MAX / 2],
    }
}

pub(crate) fn layouts() -> Vec<pipeline::Layout> {
    vec![
        pipeline::layout!("shape.wgsl", gpu_data::Stop as "Stop" { colour, place }),
        pipeline::layout!("shape.wgsl", gpu_data::Shape as "Shape" {
            place, edges, style, stroke, gradient, counts, stops, points
        }),
    ]
}

/// What of an item is known when the pipeline that draws it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Variant {
    outline: u8,
    gradient: u8,
    /// The gradient has at most so many stops.
    stops_max: u8,
    has_stroke: bool,
    is_aligned: bool,
    /// Whether it takes away what lies outside of it, rather than painting.
    cuts: bool,
}

impl Variant {
    fn constants(self) -> [(&'static str, f64); 5] {
        [
            ("outline", f64::from(self.outline)),
            ("gradient", f64::from(self.gradient)),
            ("stops_max", f64::from(self.stops_max)),
            ("has_stroke", f64::from(u8::from(self.has_stroke))),
            ("is_aligned", f64::from(u8::from(self.is_aligned))),
        ]
    }
}

/// An item that was written.
#[derive(Debug, Clone)]
pub(crate) struct Draw {
    offset: u32,
    pipeline: wgpu::RenderPipeline,
}

/// Draws outlines.
#[derive(Debug)]
pub(crate) struct Shape {
    frame: wgpu::BindGroupLayout,
    layout: wgpu::BindGroupLayout,
    module: wgpu::ShaderModule,
    pipelines: HashMap<Variant, wgpu::RenderPipeline>,
    slot: wgpu::BindGroup,
    space: BlendSpace,
}

impl Shape {
    pub(crate) fn new(device: &wgpu::Device, frame: &wgpu::BindGroupLayout, items: &Items, space: BlendSpace) -> Self {
        let layout = items::layout::<gpu_data::Shape>(device, LABEL);
        let module = pipeline::module(device, SOURCE);
        let slot = items.bind::<gpu_data::Shape>(device, LABEL, &layout);
        Self { frame: frame.clone(), layout, module, pipelines: HashMap::new(), slot, space }
    }

    /// Follows the items' buffer when it has grown.
    pub(crate) fn rebind(&mut self, device: &wgpu::Device, items: &Items) {
        self.slot = items.bind::<gpu_data::Shape>(device, LABEL, &self.layout);
    }

    /// Writes an item.
    pub(crate) fn push(
        &mut self,
        gpu: &Gpu,
        items: &mut Items,
        placed: Placed,
        shape: &Document,
        opacity: f32,
    ) -> Result<Draw, Error> {
        let (data, variant) = encode(placed, shape, opacity, self.space);
        let pipeline = self.pipeline(gpu, variant)?;
        Ok(Draw { offset: items.push(&data), pipeline })
    }

    /// Writes an item that takes away what lies outside of the outline.
    pub(crate) fn push_cut(
        &mut self,
        gpu: &Gpu,
        items: &mut Items,
        placed: Placed,
        outline: &Outline,
    ) -> Result<Draw, Error> {
        let shape = Document { outline: outline.clone(), fill: Some(Fill::Solid(Rgba::WHITE)), stroke: None };
        let (data, variant) = encode(placed, &shape, 1.0, self.space);
        // A sharp box is not its clip, for what lies outside of it counts.
        let outline = if variant.outline == CLIP { 0 } else { variant.outline };
        let pipeline = self.pipeline(gpu, Variant { outline, cuts: true, ..variant })?;
        Ok(Draw { offset: items.push(&data), pipeline })
    }

    fn pipeline(&mut self, gpu: &Gpu, variant: Variant) -> Result<wgpu::RenderPipeline, Error> {
        if let Some(pipeline) = self.pipelines.get(&variant) {
            return Ok(pipeline.clone());
        }
        let pipeline = gpu.scoped("the pipeline of a shape", || self.build(&gpu.device, variant))?;
        self.pipelines.insert(variant, pipeline.clone());
        Ok(pipeline)
    }

    fn build(&self, device: &wgpu::Device, variant: Variant) -> wgpu::RenderPipeline {
        Render {
            label: LABEL,
            module: &self.module,
            layouts: &[Some(&self.frame), Some(&self.layout)],
            fragment: "paint",
            constants: &variant.constants(),
            blend: Some(if variant.cuts { matte::KEEP } else { wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING }),
            space: self.space,
        }
        .build(device)
    }

    pub(crate) fn draw(&self, pass: &mut wgpu::RenderPass<'_>, draw: &Draw) {
        pass.set_pipeline(&draw.pipeline);
        pass.set_bind_group(1, &self.slot, &[draw.offset]);
        pass.draw(0..4, 0..1);
    }
}

fn encode(
    Placed { place, is_aligned }: Placed,
    shape: &Document,
    opacity: f32,
    space: BlendSpace,
) -> (gpu_data::Shape, Variant) {
    let mut data = gpu_data::Shape { place, ..bytemuck::Zeroable::zeroed() };
    let (outline, radius) = encode_outline(&mut data, &shape.outline);
    let half_width = shape.stroke.map_or(0.0, |stroke| stroke.width / 2.0);
    data.style = [radius, half_width, opacity, 0.0];
    data.stroke = shape.stroke.map_or([0.0; 4], |stroke| light::premultiplied(stroke.colour, 1.0, space));
    if let Some(fill) = &shape.fill {
        encode_fill(&mut data, fill, space);
    }
    let outline = if sharp_box(shape).is_some() { CLIP } else { outline };
    let gradient = match shape.fill {
        None | Some(Fill::Solid(_)) => 0,
        Some(Fill::Linear { .. }) => 1,
        Some(Fill::Radial { .. }) => 2,
    };
    let stops_max = [1, 2, 4].into_iter().find(|&max| data.counts[0] <= max).unwrap_or(STOPS_MAX as u32) as u8;
    (data, Variant { outline, gradient, stops_max, has_stroke: shape.stroke.is_some(), is_aligned, cuts: false })
}

/// The edges of a box without round corners and stroke: cutting the clip to it draws it, with exact edges.
pub(crate) fn sharp_box(shape: &Document) -> Option<Rect> {
    match &shape.outline {
        Outline::Rectangle { rect, radius } if *radius <= 0.0 && shape.stroke.is_none() => Some(*rect),
        _ => None,
    }
}

/// Number of the outline, and its corner radius.
fn encode_outline(data: &mut gpu_data::Shape, outline: &Outline) -> (u8, f32) {
    match outline {
        Outline::Rectangle { rect, radius } => {
            data.edges = [rect.x, rect.y, rect.right(), rect.bottom()];
            (0, radius.min(rect.w / 2.0).min(rect.h / 2.0))
        }
        Outline::Cornered { rect, radii } => {
            data.edges = [rect.x, rect.y, rect.right(), rect.bottom()];
            data.points[0] = *radii;
            (CORNERED, 0.0)
        }
        Outline::Ellipse { rect } => {
            let (rx, ry) = (rect.w / 2.0, rect.h / 2.0);
            data.edges = [rect.x + rx, rect.y + ry, rx, ry];
            (1, 0.0)
        }
        Outline::Polygon { points } => {
            let count = points.len().min(POINTS_MAX);
            let flat: &mut [f32] = bytemuck::cast_slice_mut(&mut data.points);
            flat[..count * 2].copy_from_slice(bytemuck::cast_slice(&points[..count]));
            data.counts[1] = count as u32;
            (2, 0.0)
        }
        Outline::Line { from, to } => {
            data.edges = [from[0], from[1], to[0], to[1]];
            (3, 0.0)
        }
    }
}

fn encode_fill(data: &mut gpu_data::Shape, fill: &Fill, space: BlendSpace) {
    match fill {
        Fill::Solid(colour) => encode_stops(data, &[Stop { offset: 0.0, colour: *colour }], space),
        Fill::Linear { from, to, stops } => {
            let way = [to[0] - from[0], to[1] - from[1]];
            let square = (way[0] * way[0] + way[1] * way[1]).max(f32::MIN_POSITIVE);
            data.gradient = [from[0], from[1], way[0] / square, way[1] / square];
            encode_stops(data, stops, space);
        }
        Fill::Radial { centre, radii, stops } => {
            data.gradient = [centre[0], centre[1], 1.0 / radii[0], 1.0 / radii[1]];
            encode_stops(data, stops, space);
        }
    }
}

fn encode_stops(data: &mut gpu_data::Shape, stops: &[Stop], space: BlendSpace) {
    let stops = &stops[..stops.len().min(STOPS_MAX)];
    data.counts[0] = stops.len() as u32;
    for (i, (slot, stop)) in data.stops.iter_mut().zip(stops).enumerate() {
        let steepness = stops.get(i + 1).map_or(0.0, |next| (next.offset - stop.offset).recip().min(STEEP));
        slot.colour = light::premultiplied(stop.colour, 1.0, space);
        slot.place = [stop.offset, steepness, 0.0, 0.0];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::draw::Stroke;

    fn encoded(outline: Outline, fill: Option<Fill>) -> (gpu_data::Shape, Variant) {
        let stroke = Some(Stroke { colour: Rgba::WHITE, width: 3.0 });
        let placed = Placed { place: bytemuck::Zeroable::zeroed(), is_aligned: true };
        encode(placed, &Document { outline, fill, stroke }, 0.5, BlendSpace::Srgb)
    }

    #[test]
    fn points_lie_two_by_two() {
        let points = vec![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
        let (data, variant) = encoded(Outline::Polygon { points }, None);
        assert_eq!(data.points[..2], [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 0.0, 0.0]]);
        assert_eq!(
            (data.counts, variant),
            (
                [0, 3, 0, 0],
                Variant { outline: 2, gradient: 0, stops_max: 1, has_stroke: true, is_aligned: true, cuts: false }
            )
        );
        let (data, _) = encoded(Outline::Polygon { points: vec![[7.0, 7.0]; POINTS_MAX + 5] }, None);
        assert_eq!((data.counts[1] as usize, data.points[POINTS_MAX / 2 - 1]), (POINTS_MAX, [7.0; 4]));
    }

    #[test]
    fn stops_know_the_way_to_the_next() {
        let stop = |offset| Stop { offset, colour: Rgba::new(255, 0, 0, 255) };
        let stops = vec![stop(0.0), stop(0.25), stop(0.25), stop(1.0)];
        let rect = Rect::new(0.0, 0.0, 8.0, 4.0);
        let fill = Fill::Linear { from: [0.0, 2.0], to: [8.0, 2.0], stops };
        let (data, variant) = encoded(Outline::Rectangle { rect, radius: 9.0 }, Some(fill));
        assert_eq!(data.gradient, [0.0, 2.0, 0.125, 0.0]);
        assert_eq!(data.stops[..4].iter().map(|s| s.place[1]).collect::<Vec<_>>(), [4.0, STEEP, 1.0 / 0.75, 0.0]);
        assert_eq!(data.style, [2.0, 1.5, 0.5, 0.0], "a radius is at most half the shorter side");
        assert_eq!((variant.gradient, variant.stops_max), (1, 4));
    }
}
