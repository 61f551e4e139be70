//! `raster.wgsl`: retained pixels in a rectangle.
//!
//! A texture that lies pixel on pixel is read texel by texel: exact, and much cheaper in software. One that is shown
//! smaller than it is is read between its mip levels. Both are decided here, for an affine place has one scale.

use std::sync::Arc;

use super::{
    items::{self, Items, Place, Placed},
    pipeline::{self, Render, Source},
    textures::Texture,
};
use crate::scene::{
    BlendSpace,
    draw::DrawItem,
    geometry::{Affine, Rect},
};

pub(crate) const SOURCE: Source =
    Source { name: "raster.wgsl", uses_common: true, text: include_str!("../../shaders/raster.wgsl") };
const LABEL: &str = "gpu.items.raster";
/// How far, in canvas pixels, a texel may lie from its pixel and still count as aligned: bilinear weights have 8 bits.
const ALIGNED: f32 = 1.0 / 128.0;
/// Texels for each canvas pixel up to which no smaller level is needed.
const SHARP: f32 = 1.01;

mod gpu_data {
    use bytemuck::{Pod, Zeroable};

    use super::Place;

    /// `Raster` of `raster.wgsl`.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, Pod, Zeroable)]
    pub(crate) struct Raster {
        pub(crate) place: Place,
        /// Left, top, width, height of the texture's outer edges in layer pixels.
        pub(crate) dest: [f32; 4],
        /// Canvas pixel of the first texel.
        pub(crate) origin: [f32; 2],
        /// Mip level.
        pub(crate) level: f32,
        pub(crate) opacity: f32,
    }
}

pub(crate) fn layouts() -> Vec<pipeline::Layout> {
    vec![
        pipeline::layout!("raster.wgsl", gpu_data::Raster as "Raster" { place, dest, origin, level, opacity }),
        pipeline::layout!("blend.wgsl", gpu_data::Raster as "Raster" { place, dest, origin, level, opacity }),
        pipeline::layout!("matte.wgsl", gpu_data::Raster as "Raster" { place, dest, origin, level, opacity }),
    ]
}

/// How the texture is read, numbered as in the shader.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Sampling {
    /// Texel by texel, the first one at this canvas pixel.
    Exact([f32; 2]),
    /// Bilinear.
    Bilinear,
    /// Between mip levels.
    Levels(f32),
}

impl Sampling {
    fn index(self) -> usize {
        match self {
            Self::Exact(_) => 0,
            Self::Bilinear => 1,
            Self::Levels(_) => 2,
        }
    }

    /// How a texture of `size` texels, laid over `dest` and placed by `place`, is best read.
    pub(crate) fn of(place: Affine, dest: Rect, size: [u32; 2], levels: u32) -> Self {
        let [w, h] = size.map(|side| side as f32);
        let (x, y) = (dest.w / w, dest.h / h);
        // Canvas pixels from one texel to the next, in both directions of the texture.
        let [a, b, c, d] = [place.a * x, place.b * x, place.c * y, place.d * y];
        let [left, top] = place.apply([dest.x, dest.y]);
        let drift = ((a - 1.0).abs() + b.abs()) * w + (c.abs() + (d - 1.0).abs()) * h;
        let off = (left - left.round()).abs().max((top - top.round()).abs());
        if drift + off < ALIGNED {
            return Self::Exact([left.round(), top.round()]);
        }
        // Texels from one canvas pixel to the next: the columns of the inverse.
        let det = (a * d - b * c).abs().max(f32::MIN_POSITIVE);
        let texels = (d.hypot(b) / det).max(c.hypot(a) / det);
        if texels > SHARP && levels > 1 { Self::Levels(texels.log2()) } else { Self::Bilinear }
    }
}

/// An item that was written.
#[derive(Debug, Clone)]
pub(crate) struct Draw {
    offset: u32,
    /// As the shader numbers it.
    pub(crate) sampling: usize,
    pub(crate) is_aligned: bool,
    texture: Arc<Texture>,
}

impl Draw {
    /// Sets groups 1 and 2; `slots` is [`Raster::slots`].
    pub(crate) fn bind(&self, pass: &mut wgpu::RenderPass<'_>, slots: &wgpu::BindGroup) {
        pass.set_bind_group(1, slots, &[self.offset]);
        pass.set_bind_group(2, &self.texture.group, &[]);
    }
}

/// Draws textures.
#[derive(Debug)]
pub(crate) struct Raster {
    layout: wgpu::BindGroupLayout,
    pipelines: Vec<wgpu::RenderPipeline>,
    slot: wgpu::BindGroup,
}

impl Raster {
    /// `texture` is the layout of group 2.
    pub(crate) fn new(
        device: &wgpu::Device,
        frame: &wgpu::BindGroupLayout,
        texture: &wgpu::BindGroupLayout,
        items: &Items,
        space: BlendSpace,
    ) -> Self {
        let layout = items::layout::<gpu_data::Raster>(device, LABEL);
        let module = pipeline::module(device, SOURCE);
        let build = |index: u8| {
            Render {
                label: LABEL,
                module: &module,
                layouts: &[Some(frame), Some(&layout), Some(texture)],
                fragment: "paint",
                constants: &[("sampling", f64::from(index / 2)), ("is_aligned", f64::from(index % 2))],
                blend: Some(wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING),
                space,
            }
            .build(device)
        };
        let pipelines = (0..6).map(build).collect();
        let slot = items.bind::<gpu_data::Raster>(device, LABEL, &layout);
        Self { layout, pipelines, slot }
    }

    /// Follows the items' buffer when it has grown.
    pub(crate) fn rebind(&mut self, device: &wgpu::Device, items: &Items) {
        self.slot = items.bind::<gpu_data::Raster>(device, LABEL, &self.layout);
    }

    /// Writes an item: `texture` laid over `dest`, which `item` takes to the canvas.
    pub(crate) fn push(items: &mut Items, placed: Placed, item: &DrawItem, dest: Rect, texture: Arc<Texture>) -> Draw {
        let Placed { place, is_aligned } = placed;
        let sampling = Sampling::of(item.place, dest, texture.size, texture.levels);
        let origin = if let Sampling::Exact(origin) = sampling { origin } else { [0.0; 2] };
        let level = if let Sampling::Levels(level) = sampling { level } else { 0.0 };
        let dest = [dest.x, dest.y, dest.w, dest.h];
        let opacity = item.opacity * texture.fade;
        let offset = items.push(&gpu_data::Raster { place, dest, origin, level, opacity });
        Draw { offset, sampling: sampling.index(), is_aligned, texture }
    }

    /// The layout of group 1.
    pub(crate) fn layout(&self) -> &wgpu::BindGroupLayout {
        &self.layout
    }

    /// Group 1: the slots.
    pub(crate) fn slots(&self) -> &wgpu::BindGroup {
        &self.slot
    }

    pub(crate) fn draw(&self, pass: &mut wgpu::RenderPass<'_>, draw: &Draw) {
        pass.set_pipeline(&self.pipelines[draw.sampling * 2 + usize::from(draw.is_aligned)]);
        draw.bind(pass, &self.slot);
        pass.draw(0..4, 0..1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampling(scale: f64, degrees: f64, position: [f64; 2], levels: u32) -> Sampling {
        let place = Affine::place(position, [0.0; 2], [scale, scale], degrees);
        Sampling::of(place, Rect::new(0.0, 0.0, 200.0, 100.0), [200, 100], levels)
    }

    #[test]
    fn what_lies_pixel_on_pixel_is_exact() {
        assert_eq!(sampling(1.0, 0.0, [10.0, 20.0], 8), Sampling::Exact([10.0, 20.0]));
        assert_eq!(sampling(1.0, 0.0, [10.5, 20.0], 8), Sampling::Bilinear);
        assert_eq!(sampling(1.0, 90.0, [10.0, 20.0], 8), Sampling::Bilinear);
        assert_eq!(sampling(1.001, 0.0, [10.0, 20.0], 8), Sampling::Bilinear);
        assert_eq!(sampling(2.0, 0.0, [10.0, 20.0], 8), Sampling::Bilinear);
    }

    #[test]
    fn what_is_smaller_is_read_between_levels() {
        let Sampling::Levels(level) = sampling(0.25, 30.0, [0.0; 2], 8) else { panic!("a quarter is minified") };
        assert!((level - 2.0).abs() < 1e-4, "{level}");
        assert_eq!(sampling(0.25, 0.0, [0.0; 2], 1), Sampling::Bilinear, "a text has one level");
    }
}
