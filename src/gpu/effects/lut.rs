//! `lut.wgsl`: colours by a table, which is a texture with three axes: red, green, blue.

use super::{Program, Second};
use crate::{
    gpu::{
        device::Gpu,
        pipeline::{self, Source},
        textures::{Texture, bind},
    },
    media::Lut,
};

pub(super) const PROGRAM: Program = Program::new::<gpu_data::Lut>(
    "gpu.effects.lut",
    Source {
        name: "lut.wgsl",
        uses_common: false,
        text: concat!(include_str!("../../../shaders/effects.wgsl"), include_str!("../../../shaders/lut.wgsl")),
    },
    Second::Table,
);

mod gpu_data {
    use bytemuck::{Pod, Zeroable};

    /// `Lut` of `lut.wgsl`.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, Pod, Zeroable)]
    pub(crate) struct Lut {
        /// Input at the table's first entries.
        pub(crate) domain_min: [f32; 4],
        /// One over the way to its last ones.
        pub(crate) domain_rate: [f32; 4],
        /// How much of the table's colour.
        pub(crate) amount: [f32; 4],
    }
}

pub(super) fn layouts() -> Vec<pipeline::Layout> {
    vec![pipeline::layout!("lut.wgsl", gpu_data::Lut as "Lut" { domain_min, domain_rate, amount })]
}

/// What belongs to a table beside its entries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Table {
    domain_min: [f32; 4],
    domain_rate: [f32; 4],
}

/// The texture of a table and the bytes it occupies. Its entries are whole floats, which the shader mixes itself.
pub(crate) fn table(gpu: &Gpu, layout: &wgpu::BindGroupLayout, lut: &Lut) -> (Texture, u64) {
    let side = lut.size();
    let texture = gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: Some(PROGRAM.label),
        size: wgpu::Extent3d { width: side, height: side, depth_or_array_layers: side },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D3,
        format: wgpu::TextureFormat::Rgba32Float,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    });
    let bytes: &[u8] = bytemuck::cast_slice(lut.entries());
    let rows = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(side * 16), rows_per_image: Some(side) };
    gpu.queue.write_texture(texture.as_image_copy(), bytes, rows, texture.size());
    let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
    let group = bind(&gpu.device, layout, &view);
    let [min, max] = lut.domain();
    let [r, g, b] = [0, 1, 2].map(|i| 1.0 / (max[i] - min[i]));
    let table = Table { domain_min: [min[0], min[1], min[2], 0.0], domain_rate: [r, g, b, 0.0] };
    let texture = Texture { group, size: [side; 2], levels: 1, fade: 1.0, is_opaque: true, table: Some(table) };
    (texture, bytes.len() as u64)
}

pub(super) fn slot(table: Table, amount: f32) -> gpu_data::Lut {
    let Table { domain_min, domain_rate } = table;
    gpu_data::Lut { domain_min, domain_rate, amount: [amount, 0.0, 0.0, 0.0] }
}

/// The layout of a group with a table.
pub(crate) fn table_layout(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some(PROGRAM.label),
        entries: &[wgpu::BindGroupLayoutEntry {
            binding: 0,
            visibility: wgpu::ShaderStages::FRAGMENT,
            ty: wgpu::BindingType::Texture {
                sample_type: wgpu::TextureSampleType::Float { filterable: false },
                view_dimension: wgpu::TextureViewDimension::D3,
                multisampled: false,
            },
            count: None,
        }],
    })
}
