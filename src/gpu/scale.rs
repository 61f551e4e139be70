//! `scale.wgsl`: the target made smaller, for renditions of another size; how it lies there is `framing.rs`.
//!
//! Two compute passes, across and down, each over what changed and what that reaches. The sheet between them is kept, so
//! that the second pass finds there what did not change. What no pixel of the canvas reaches stays black: bars.

use super::{
    framing::{self, Axis, Framing},
    pipeline::{self, Source},
};
use crate::scene::damage::{Damage, PixelRect, RECTS_MAX};

pub(crate) const SOURCE: Source =
    Source { name: "scale.wgsl", uses_common: false, text: include_str!("../../shaders/scale.wgsl") };
const LABEL: &str = "gpu.scale";
/// Width and height of a workgroup, as in the shader.
const GROUP: u32 = 8;
/// Bytes from one region to the next: the alignment of dynamic offsets that every device accepts.
const REGION_STRIDE: usize = 256;
/// The format in which the first pass hands on its sums.
const SHEET: wgpu::TextureFormat = wgpu::TextureFormat::Rgba16Float;
const PICTURE: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

mod gpu_data {
    use bytemuck::{Pod, Zeroable};

    /// `Region` of `scale.wgsl`.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, Pod, Zeroable)]
    pub(crate) struct Region {
        /// First column and row, and those behind the last one.
        pub(crate) origin: [u32; 2],
        pub(crate) end: [u32; 2],
        /// Where the first column and row of all stand in the texture.
        pub(crate) offset: [u32; 2],
        /// Weights in an entry of the table.
        pub(crate) taps: u32,
        /// Last pixel of the source.
        pub(crate) last: u32,
    }
}

pub(crate) fn layouts() -> Vec<pipeline::Layout> {
    vec![pipeline::layout!("scale.wgsl", gpu_data::Region as "Region" { origin, end, offset, taps, last })]
}

/// Makes one target smaller.
#[derive(Debug)]
pub(crate) struct Scale {
    axes: [Axis; 2],
    across: Pass,
    down: Pass,
    regions: wgpu::Buffer,
    /// What was made, as the conversion reads it.
    picture: wgpu::TextureView,
}

/// One direction.
#[derive(Debug)]
struct Pass {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
}

impl Scale {
    /// `target` is a view of encoded values.
    pub(crate) fn new(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        target: &wgpu::TextureView,
        framing: Framing,
    ) -> Self {
        let axes = framing.axes();
        let regions = buffer(device, "gpu.scale.regions", 2 * RECTS_MAX * REGION_STRIDE, wgpu::BufferUsages::UNIFORM);
        let sheet = texture(device, "gpu.scale.sheet", SHEET, [axes[0].len, framing.canvas().height()]);
        let picture = texture(device, "gpu.scale.picture", PICTURE, framing.size().sides());
        let module = pipeline::module(device, SOURCE);
        let pass = |entry, axis: &Axis, source, (binding, format), written| {
            let table = axis.table();
            let table: &[u8] = bytemuck::cast_slice(&table);
            let weights = buffer(device, "gpu.scale.table", table.len(), wgpu::BufferUsages::STORAGE);
            queue.write_buffer(&weights, 0, table);
            Pass::new(device, &module, entry, &Bound { regions: &regions, weights, source, binding, format, written })
        };
        let across = pass("across", &axes[0], target, (3, SHEET), &sheet);
        let down = pass("down", &axes[1], &sheet, (4, PICTURE), &picture);
        Self { axes, across, down, regions, picture }
    }

    /// What was made.
    pub(crate) fn picture(&self) -> &wgpu::TextureView {
        &self.picture
    }

    /// Records the scaling of what the damage of the canvas reaches; where the picture is written anew by it.
    pub(crate) fn record(&self, queue: &wgpu::Queue, encoder: &mut wgpu::CommandEncoder, damage: &Damage) -> Damage {
        let mut made = Damage::none();
        for rect in damage.rects() {
            framing::seen(&self.axes, *rect).into_iter().for_each(|seen| made.add(seen));
        }
        if made.is_empty() {
            return made;
        }
        let across = || damage.rects().iter().filter_map(|rect| self.across(*rect));
        let down = || made.rects().iter().map(|rect| self.down(*rect));
        let mut bytes = [0; 2 * RECTS_MAX * REGION_STRIDE];
        for (slot, region) in bytes.chunks_exact_mut(REGION_STRIDE).zip(across().chain(down())) {
            slot[..size_of::<gpu_data::Region>()].copy_from_slice(bytemuck::bytes_of(&region));
        }
        let written = (across().count() + made.rects().len()) * REGION_STRIDE;
        queue.write_buffer(&self.regions, 0, &bytes[..written]);
        let mut pass =
            encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some(LABEL), ..Default::default() });
        self.across.dispatch(&mut pass, across(), 0);
        self.down.dispatch(&mut pass, down(), across().count());
        self.placed(&made)
    }

    /// All columns that a change of `rect` reaches, in its own rows.
    fn across(&self, rect: PixelRect) -> Option<gpu_data::Region> {
        let [axis, _] = &self.axes;
        let columns = axis.seen(rect.left..rect.right);
        (!columns.is_empty()).then_some(gpu_data::Region {
            origin: [columns.start, rect.top],
            end: [columns.end, rect.bottom],
            offset: [0, 0],
            taps: axis.taps,
            last: axis.last,
        })
    }

    fn down(&self, rect: PixelRect) -> gpu_data::Region {
        let [across, axis] = &self.axes;
        gpu_data::Region {
            origin: [rect.left, rect.top],
            end: [rect.right, rect.bottom],
            offset: [across.origin, axis.origin],
            taps: axis.taps,
            last: axis.last,
        }
    }

    /// Counted from the picture's first column and row.
    fn placed(&self, made: &Damage) -> Damage {
        let [x, y] = [0, 1].map(|axis| self.axes[axis].origin);
        let mut placed = Damage::none();
        for PixelRect { left, top, right, bottom } in made.rects() {
            placed.add(PixelRect { left: left + x, top: top + y, right: right + x, bottom: bottom + y });
        }
        placed
    }
}

/// What a pass works with.
#[derive(Debug)]
struct Bound<'a> {
    regions: &'a wgpu::Buffer,
    weights: wgpu::Buffer,
    source: &'a wgpu::TextureView,
    binding: u32,
    format: wgpu::TextureFormat,
    written: &'a wgpu::TextureView,
}

impl Pass {
    fn new(device: &wgpu::Device, module: &wgpu::ShaderModule, entry: &str, bound: &Bound<'_>) -> Self {
        let bindings = bindings(device, bound);
        let region = wgpu::BufferBinding {
            buffer: bound.regions,
            offset: 0,
            size: std::num::NonZeroU64::new(size_of::<gpu_data::Region>() as u64),
        };
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(LABEL),
            layout: &bindings,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(region) },
                wgpu::BindGroupEntry { binding: 1, resource: bound.weights.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 2, resource: wgpu::BindingResource::TextureView(bound.source) },
                wgpu::BindGroupEntry {
                    binding: bound.binding,
                    resource: wgpu::BindingResource::TextureView(bound.written),
                },
            ],
        });
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(LABEL),
            bind_group_layouts: &[Some(&bindings)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(LABEL),
            layout: Some(&layout),
            module,
            entry_point: Some(entry),
            compilation_options: Default::default(),
            cache: None,
        });
        Self { pipeline, group }
    }

    /// Makes these regions, which stand in the buffer from `slot` on.
    fn dispatch(&self, pass: &mut wgpu::ComputePass<'_>, regions: impl Iterator<Item = gpu_data::Region>, slot: usize) {
        pass.set_pipeline(&self.pipeline);
        for (i, region) in regions.enumerate() {
            pass.set_bind_group(0, &self.group, &[((slot + i) * REGION_STRIDE) as u32]);
            let groups = [0, 1].map(|axis| (region.end[axis] - region.origin[axis]).div_ceil(GROUP));
            pass.dispatch_workgroups(groups[0], groups[1], 1);
        }
    }
}

fn bindings(device: &wgpu::Device, bound: &Bound<'_>) -> wgpu::BindGroupLayout {
    let entry =
        |binding, ty| wgpu::BindGroupLayoutEntry { binding, visibility: wgpu::ShaderStages::COMPUTE, ty, count: None };
    let table = wgpu::BindingType::Buffer {
        ty: wgpu::BufferBindingType::Storage { read_only: true },
        has_dynamic_offset: false,
        min_binding_size: None,
    };
    let written = wgpu::BindingType::StorageTexture {
        access: wgpu::StorageTextureAccess::WriteOnly,
        format: bound.format,
        view_dimension: wgpu::TextureViewDimension::D2,
    };
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some(LABEL),
        entries: &[
            pipeline::uniform::<gpu_data::Region>(0, wgpu::ShaderStages::COMPUTE, true),
            entry(1, table),
            pipeline::texture(2, wgpu::ShaderStages::COMPUTE),
            entry(bound.binding, written),
        ],
    })
}

fn buffer(device: &wgpu::Device, label: &str, len: usize, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: len as u64,
        usage: usage | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

/// A texture that passes write and read; black until then.
fn texture(
    device: &wgpu::Device,
    label: &str,
    format: wgpu::TextureFormat,
    [width, height]: [u32; 2],
) -> wgpu::TextureView {
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: Some(label),
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::STORAGE_BINDING,
        view_formats: &[],
    });
    texture.create_view(&wgpu::TextureViewDescriptor::default())
}
