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

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;
    use crate::{
        base::{
            colour::VideoColour,
            nv12::{Layout, Picture},
            size::Size,
        },
        gpu::{Fit, device::tests::gpu, nv12::Nv12, readback::Readback, upload},
        media::Pixels,
    };

    const CANVAS: [u32; 2] = [90, 60];

    /// Grey values with fine and coarse detail, and sharp edges.
    fn grey(x: u32, y: u32) -> u8 {
        match (x / 30, y / 30) {
            (0, _) => (x * 8 + y) as u8,
            (1, 0) => ((x ^ y) & 1) as u8 * 255,
            (1, _) => (x * x + y * 37) as u8,
            _ => ((x / 7 + y / 5) % 2) as u8 * 200,
        }
    }

    /// Luma of the canvas made smaller by the GPU.
    fn scaled(framing: Framing) -> Picture {
        let gpu = gpu();
        let (device, queue) = (&gpu.device, &gpu.queue);
        let texture = upload::texture(device, "test", CANVAS, 1);
        let places = (0..CANVAS[1]).flat_map(|y| (0..CANVAS[0]).map(move |x| (x, y)));
        let bytes: Vec<u8> = places.flat_map(|(x, y)| [grey(x, y), grey(x, y), grey(x, y), 255]).collect();
        upload::write(queue, &texture, &Pixels::new(CANVAS[0], CANVAS[1], bytes));
        let target = texture.create_view(&wgpu::TextureViewDescriptor::default());
        let scale = Scale::new(device, queue, &target, framing);
        let layout = Layout::of(framing.size());
        let nv12 = Nv12::new(device, queue, scale.picture(), layout, VideoColour::BT709_LIMITED);
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        scale.record(queue, &mut encoder, &Damage::whole(CANVAS));
        nv12.record(queue, &mut encoder, &Damage::whole(framing.size().sides()));
        let mut readback = Readback::new(device, layout.len(), 1);
        let copied = readback.record(&mut encoder, |encoder, _, to| {
            encoder.copy_buffer_to_buffer(nv12.buffer(), 0, to, 0, to.size());
        });
        readback.submitted(0, copied.unwrap(), queue.submit([encoder.finish()]));
        let mut picture = Picture::black(framing.size());
        let wait = std::time::Duration::from_secs(20);
        readback.collect(&gpu, wait, |_, bytes| picture.bytes_mut().copy_from_slice(bytes)).unwrap();
        picture
    }

    /// The same by the formula, in one step over both directions: x and y of the picture's pixel in the canvas, and how many
    /// pixels of the canvas there are to one of the picture.
    fn expected(x: f64, y: f64, step: [f64; 2]) -> f64 {
        let sinc = |v: f64| if v.abs() < 1e-9 { 1.0 } else { (PI * v).sin() / (PI * v) };
        let weight = |v: f64| if v.abs() < 3.0 { sinc(v) * sinc(v / 3.0) } else { 0.0 };
        let near = |centre: f64, step: f64| (centre - 3.0 * step - 2.0) as i32..(centre + 3.0 * step + 2.0) as i32;
        let (mut sum, mut weights) = (0.0, 0.0);
        for j in near(y, step[1]) {
            for i in near(x, step[0]) {
                let weight = weight((f64::from(i) + 0.5 - x) / step[0]) * weight((f64::from(j) + 0.5 - y) / step[1]);
                let at = |v: i32, side: u32| v.clamp(0, side as i32 - 1) as u32;
                sum += weight * f64::from(grey(at(i, CANVAS[0]), at(j, CANVAS[1])));
                weights += weight;
            }
        }
        (sum / weights).clamp(0.0, 255.0)
    }

    #[test]
    fn pixels_are_what_the_formula_says() {
        let canvas = Size::new(CANVAS[0], CANVAS[1]).unwrap();
        // Size, fit; where the canvas begins in the picture; the first pixel's left upper corner in the canvas; the step.
        for (size, fit, origin, start, step) in [
            ([60, 40], Fit::Contain, [0, 0], [0.0, 0.0], [1.5, 1.5]),
            ([30, 20], Fit::Contain, [0, 0], [0.0, 0.0], [3.0, 3.0]),
            ([90, 24], Fit::Fill, [0, 0], [0.0, 0.0], [1.0, 2.5]),
            ([60, 60], Fit::Contain, [0, 10], [0.0, 0.0], [1.5, 1.5]),
            ([40, 40], Fit::Cover, [0, 0], [15.0, 0.0], [1.5, 1.5]),
        ] {
            let picture = scaled(Framing::of(canvas, Size::new(size[0], size[1]).unwrap(), fit));
            let pitch = picture.layout().pitch;
            for (y, x) in (0..size[1]).flat_map(|y| (0..size[0]).map(move |x| (y, x))) {
                let place = |axis: usize, v: u32| start[axis] + (f64::from(v - origin[axis]) + 0.5) * step[axis];
                let is_bar = y < origin[1] || y >= size[1] - origin[1];
                let value = if is_bar { 0.0 } else { expected(place(0, x), place(1, y), step) };
                let (luma, found) = (16.0 + 219.0 / 255.0 * value, picture.luma()[y as usize * pitch + x as usize]);
                // Rounded once as a pixel and once as luma.
                assert!((luma - f64::from(found)).abs() <= 1.0, "{size:?} {fit:?}: {found} for {luma} at {x}, {y}");
            }
        }
    }
}
