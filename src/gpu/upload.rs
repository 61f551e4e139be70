//! `upload.wgsl`: decoded pictures into textures that are premultiplied in the blend space, with mip levels.
//!
//! ```text
//!  Pixels, opaque ─────────────────────── write ──► level 0 ──► level 1 ──► ... ──► 1 x 1
//!  Pixels, translucent ── write ──► straight ── premultiply ──┘        halve
//! ```
//!
//! Happens once for a picture; an opaque picture is the same straight and premultiplied.

use super::{
    light,
    pipeline::{self, Render, Source},
};
use crate::{media::Pixels, scene::BlendSpace};

pub(crate) const SOURCE: Source =
    Source { name: "upload.wgsl", uses_common: false, text: include_str!("../../shaders/upload.wgsl") };
const LABEL: &str = "gpu.upload";

/// Makes textures of pictures.
#[derive(Debug)]
pub(crate) struct Upload {
    layout: wgpu::BindGroupLayout,
    premultiply: wgpu::RenderPipeline,
    halve: wgpu::RenderPipeline,
    bilinear: wgpu::Sampler,
    format: wgpu::TextureFormat,
}

impl Upload {
    pub(crate) fn new(device: &wgpu::Device, space: BlendSpace) -> Self {
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(LABEL),
            entries: &[pipeline::texture(0, wgpu::ShaderStages::FRAGMENT), pipeline::sampler(1)],
        });
        let module = pipeline::module(device, SOURCE);
        let build = |fragment| {
            let layouts = &[Some(&layout)];
            Render { label: LABEL, module: &module, layouts, fragment, constants: &[], blend: None, space }
                .build(device)
        };
        let (premultiply, halve) = (build("premultiply"), build("halve"));
        let bilinear = device.create_sampler(&wgpu::SamplerDescriptor {
            label: Some(LABEL),
            mag_filter: wgpu::FilterMode::Linear,
            min_filter: wgpu::FilterMode::Linear,
            ..Default::default()
        });
        Self { layout, premultiply, halve, bilinear, format: light::seen_in(space) }
    }

    /// A texture of the whole picture with all its levels.
    pub(crate) fn picture(&self, device: &wgpu::Device, queue: &wgpu::Queue, pixels: &Pixels) -> wgpu::Texture {
        let size = [pixels.width(), pixels.height()];
        let texture = texture(device, "gpu.picture", size, levels(size));
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some(LABEL) });
        if pixels.is_opaque() {
            write(queue, &texture, pixels);
        } else {
            let straight = self::texture(device, "gpu.upload.straight", size, 1);
            write(queue, &straight, pixels);
            self.pass(device, &mut encoder, &self.premultiply, &self.view(&straight, 0), &self.view(&texture, 0));
        }
        for level in 1..texture.mip_level_count() {
            let (above, this) = (self.view(&texture, level - 1), self.view(&texture, level));
            self.pass(device, &mut encoder, &self.halve, &above, &this);
        }
        queue.submit([encoder.finish()]);
        texture
    }

    fn view(&self, texture: &wgpu::Texture, level: u32) -> wgpu::TextureView {
        texture.create_view(&wgpu::TextureViewDescriptor {
            label: Some(LABEL),
            format: Some(self.format),
            base_mip_level: level,
            mip_level_count: Some(1),
            ..Default::default()
        })
    }

    fn pass(
        &self,
        device: &wgpu::Device,
        encoder: &mut wgpu::CommandEncoder,
        pipeline: &wgpu::RenderPipeline,
        source: &wgpu::TextureView,
        target: &wgpu::TextureView,
    ) {
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(LABEL),
            layout: &self.layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::TextureView(source) },
                wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::Sampler(&self.bilinear) },
            ],
        });
        let mut pass = begin(encoder, LABEL, target, wgpu::LoadOp::Clear(wgpu::Color::TRANSPARENT));
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.draw(0..4, 0..1);
    }
}

/// A render pass that starts from one colour.
pub(crate) fn begin<'a>(
    encoder: &'a mut wgpu::CommandEncoder,
    label: &str,
    target: &wgpu::TextureView,
    load: wgpu::LoadOp<wgpu::Color>,
) -> wgpu::RenderPass<'a> {
    encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
        label: Some(label),
        color_attachments: &[Some(wgpu::RenderPassColorAttachment {
            view: target,
            depth_slice: None,
            resolve_target: None,
            ops: wgpu::Operations { load, store: wgpu::StoreOp::Store },
        })],
        ..Default::default()
    })
}

/// A texture that can be written, drawn into, sampled and copied.
pub(crate) fn texture(device: &wgpu::Device, label: &str, [width, height]: [u32; 2], levels: u32) -> wgpu::Texture {
    device.create_texture(&wgpu::TextureDescriptor {
        label: Some(label),
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: levels,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: light::STORED,
        usage: wgpu::TextureUsages::TEXTURE_BINDING
            | wgpu::TextureUsages::RENDER_ATTACHMENT
            | wgpu::TextureUsages::COPY_DST
            | wgpu::TextureUsages::COPY_SRC,
        view_formats: light::VIEWS,
    })
}

/// How many times a picture can be halved until one pixel is left.
fn levels([width, height]: [u32; 2]) -> u32 {
    width.max(height).ilog2() + 1
}

pub(crate) fn write(queue: &wgpu::Queue, texture: &wgpu::Texture, pixels: &Pixels) {
    let layout = wgpu::TexelCopyBufferLayout {
        offset: 0,
        bytes_per_row: Some(pixels.width() * 4),
        rows_per_image: Some(pixels.height()),
    };
    queue.write_texture(texture.as_image_copy(), pixels.bytes(), layout, texture.size());
}
