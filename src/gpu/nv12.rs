//! `nv12.wgsl`: the target into an NV12 picture, by a compute pass that writes packed words.
//!
//! A storage buffer rather than an NV12 texture: those are an optional feature that software Vulkan lacks, and the
//! buffer's rows need no padding to 256 bytes.

use super::pipeline::{self, Source};
use crate::base::{colour::VideoColour, nv12::Layout};

pub(crate) const SOURCE: Source =
    Source { name: "nv12.wgsl", uses_common: false, text: include_str!("../../shaders/nv12.wgsl") };
const LABEL: &str = "gpu.nv12";
/// Width and height of a workgroup, as in the shader; an invocation makes 4 x 2 pixels.
const GROUP: u32 = 8;

mod gpu_data {
    use bytemuck::{Pod, Zeroable};

    /// `Params` of `nv12.wgsl`.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, Pod, Zeroable)]
    pub(crate) struct Params {
        /// Rows Y, Cb, Cr of the matrix, with the offset last.
        pub(crate) luma: [f32; 4],
        pub(crate) blue: [f32; 4],
        pub(crate) red: [f32; 4],
        /// Width and height in pixels.
        pub(crate) size: [u32; 2],
        /// Words from one row to the next.
        pub(crate) pitch: u32,
        /// Words of the luma plane.
        pub(crate) luma_len: u32,
    }
}

pub(crate) fn layouts() -> Vec<pipeline::Layout> {
    vec![pipeline::layout!("nv12.wgsl", gpu_data::Params as "Params" { luma, blue, red, size, pitch, luma_len })]
}

/// Converts one target into one buffer.
#[derive(Debug)]
pub(crate) struct Nv12 {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    buffer: wgpu::Buffer,
    groups: [u32; 2],
}

impl Nv12 {
    /// `picture` is a view of encoded values.
    pub(crate) fn new(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        picture: &wgpu::TextureView,
        layout: Layout,
        colour: VideoColour,
    ) -> Self {
        let params = buffer(device, "gpu.nv12.params", size_of::<gpu_data::Params>(), wgpu::BufferUsages::UNIFORM);
        queue.write_buffer(&params, 0, bytemuck::bytes_of(&encode(layout, colour)));
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
        let buffer = buffer(device, "gpu.nv12.picture", layout.len(), usage);
        let bindings = bindings(device);
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(LABEL),
            layout: &bindings,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: params.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::TextureView(picture) },
                wgpu::BindGroupEntry { binding: 2, resource: buffer.as_entire_binding() },
            ],
        });
        let columns = (layout.pitch as u32 / 4).div_ceil(GROUP);
        let rows = (layout.size.height() / 2).div_ceil(GROUP);
        Self { pipeline: compute(device, &bindings), group, buffer, groups: [columns, rows] }
    }

    /// Records the conversion.
    pub(crate) fn record(&self, encoder: &mut wgpu::CommandEncoder) {
        let mut pass =
            encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some(LABEL), ..Default::default() });
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(self.groups[0], self.groups[1], 1);
    }

    /// Both planes, laid out as [`Layout`] says.
    pub(crate) fn buffer(&self) -> &wgpu::Buffer {
        &self.buffer
    }
}

fn encode(layout: Layout, colour: VideoColour) -> gpu_data::Params {
    let [luma, blue, red] = colour.rows().map(|row| row.map(|v| v as f32));
    let size = [layout.size.width(), layout.size.height()];
    let words = |bytes: usize| (bytes / 4) as u32;
    gpu_data::Params { luma, blue, red, size, pitch: words(layout.pitch), luma_len: words(layout.luma_len()) }
}

fn buffer(device: &wgpu::Device, label: &str, len: usize, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: len as u64,
        usage: usage | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

fn bindings(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    let words = wgpu::BindGroupLayoutEntry {
        binding: 2,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only: false },
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    };
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some(LABEL),
        entries: &[
            pipeline::uniform::<gpu_data::Params>(0, wgpu::ShaderStages::COMPUTE, false),
            pipeline::texture(1, wgpu::ShaderStages::COMPUTE),
            words,
        ],
    })
}

fn compute(device: &wgpu::Device, bindings: &wgpu::BindGroupLayout) -> wgpu::ComputePipeline {
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(LABEL),
        bind_group_layouts: &[Some(bindings)],
        immediate_size: 0,
    });
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(LABEL),
        layout: Some(&layout),
        module: &pipeline::module(device, SOURCE),
        entry_point: Some("convert"),
        compilation_options: Default::default(),
        cache: None,
    })
}
