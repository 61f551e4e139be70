//! `scale.wgsl`: the target made smaller, for renditions of another size; how it lies there is `framing.rs`.
//!
//! Two compute passes, across and down, each over what changed and what that reaches. The sheet between them is kept, so
//! that the second pass finds there what did not change. What was made is then copied into the texture that the conversion
//! reads; of that, what no pixel of the canvas reaches stays black: bars.
//!
//! Software Vulkan takes some 50 ms of processor time for all of 1920 x 1080 to 1280 x 720, for what changes the share of it.

use super::{
    framing::{self, ALONG, Axis, Framing},
    light,
    pipeline::{self, Source},
    upload,
};
use crate::scene::{
    BlendSpace,
    damage::{Damage, PixelRect, RECTS_MAX},
};

pub(crate) const SOURCE: Source =
    Source { name: "scale.wgsl", uses_common: false, text: include_str!("../../shaders/scale.wgsl") };
const LABEL: &str = "gpu.scale";
/// Width and height of a workgroup, and the pixels that an invocation makes along the axis and beside it, as in the shader.
const GROUP: u32 = 8;
const BESIDE: u32 = 2;
/// Bytes from one region to the next: the alignment of dynamic offsets that every device accepts.
const REGION_STRIDE: usize = 256;
/// Bytes of a pixel of the sheet, and of the picture.
const SHEET_BYTES: usize = 8;
const PICTURE_BYTES: usize = 4;

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
        /// Pixels of the source that count for four of what is made.
        pub(crate) taps: u32,
        /// Last pixel of the source.
        pub(crate) last: u32,
        /// Pixels from one row to the next.
        pub(crate) sheet_pitch: u32,
        pub(crate) picture_pitch: u32,
    }
}

pub(crate) fn layouts() -> Vec<pipeline::Layout> {
    vec![pipeline::layout!("scale.wgsl", gpu_data::Region as "Region" {
        origin, end, offset, taps, last, sheet_pitch, picture_pitch
    })]
}

/// Makes one target smaller.
#[derive(Debug)]
pub(crate) struct Scale {
    axes: [Axis; 2],
    across: Pass,
    down: Pass,
    regions: wgpu::Buffer,
    /// What was made.
    made: wgpu::Buffer,
    /// Pixels from one row of it to the next.
    pitch: u32,
    /// The same, as the conversion reads it.
    picture: wgpu::Texture,
    view: wgpu::TextureView,
}

/// One direction.
#[derive(Debug)]
struct Pass {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    /// Columns and rows that a workgroup makes.
    step: [u32; 2],
    /// Pixels of the source that count for a group of what is made.
    taps: u32,
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
        let [width, height] = framing.size().sides();
        let pitch = width.next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT / PICTURE_BYTES as u32);
        let storage = wgpu::BufferUsages::STORAGE;
        let regions = buffer(device, "gpu.scale.regions", 2 * RECTS_MAX * REGION_STRIDE, wgpu::BufferUsages::UNIFORM);
        let sheet_len = axes[0].len as usize * framing.canvas().height() as usize * SHEET_BYTES;
        let sheet = buffer(device, "gpu.scale.sheet", sheet_len, storage);
        let made_len = pitch as usize * height as usize * PICTURE_BYTES;
        let made = buffer(device, "gpu.scale.made", made_len, storage | wgpu::BufferUsages::COPY_SRC);
        let picture = upload::texture(device, "gpu.scale.picture", [width, height], 1);
        let view = light::view(&picture, "gpu.scale.picture", BlendSpace::Srgb);
        let module = pipeline::module(device, SOURCE);
        let pass = |entry, step, axis: &Axis| {
            let (taps, table) = axis.table();
            let table: &[u8] = bytemuck::cast_slice(&table);
            let weights = buffer(device, "gpu.scale.table", table.len(), storage);
            queue.write_buffer(&weights, 0, table);
            let bound = Bound { regions: &regions, weights: &weights, target, sheet: &sheet, made: &made };
            Pass::new(device, &module, (entry, step, taps), &bound)
        };
        let across = pass("across", [GROUP * ALONG, GROUP * BESIDE], &axes[0]);
        let down = pass("down", [GROUP * BESIDE, GROUP * ALONG], &axes[1]);
        Self { axes, across, down, regions, made, pitch, picture, view }
    }

    /// What was made.
    pub(crate) fn picture(&self) -> &wgpu::TextureView {
        &self.view
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
        drop(pass);
        let placed = self.placed(&made);
        placed.rects().iter().for_each(|rect| self.copy(encoder, *rect));
        placed
    }

    /// Records the copy of what was made of a part of the picture.
    fn copy(&self, encoder: &mut wgpu::CommandEncoder, rect: PixelRect) {
        let offset = (u64::from(rect.top) * u64::from(self.pitch) + u64::from(rect.left)) * PICTURE_BYTES as u64;
        let bytes_per_row = Some(self.pitch * PICTURE_BYTES as u32);
        let layout = wgpu::TexelCopyBufferLayout { offset, bytes_per_row, rows_per_image: None };
        let origin = wgpu::Origin3d { x: rect.left, y: rect.top, z: 0 };
        let (width, height) = (rect.right - rect.left, rect.bottom - rect.top);
        encoder.copy_buffer_to_texture(
            wgpu::TexelCopyBufferInfo { buffer: &self.made, layout },
            wgpu::TexelCopyTextureInfo { origin, ..self.picture.as_image_copy() },
            wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        );
    }

    /// All columns that a change of `rect` reaches, in its own rows.
    fn across(&self, rect: PixelRect) -> Option<gpu_data::Region> {
        let columns = self.axes[0].seen(rect.left..rect.right);
        let start = columns.start / ALONG * ALONG;
        (!columns.is_empty()).then(|| self.region(0, [start, rect.top], [columns.end, rect.bottom]))
    }

    fn down(&self, rect: PixelRect) -> gpu_data::Region {
        self.region(1, [rect.left, rect.top / ALONG * ALONG], [rect.right, rect.bottom])
    }

    /// A region of what the pass along an axis makes; along that it begins with a group.
    fn region(&self, axis: usize, origin: [u32; 2], end: [u32; 2]) -> gpu_data::Region {
        let pass = [&self.across, &self.down][axis];
        gpu_data::Region {
            origin,
            end,
            offset: [0, 1].map(|axis| self.axes[axis].origin),
            taps: pass.taps,
            last: self.axes[axis].last,
            sheet_pitch: self.axes[0].len,
            picture_pitch: self.pitch,
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

/// What both passes work with.
#[derive(Debug)]
struct Bound<'a> {
    regions: &'a wgpu::Buffer,
    weights: &'a wgpu::Buffer,
    target: &'a wgpu::TextureView,
    sheet: &'a wgpu::Buffer,
    made: &'a wgpu::Buffer,
}

impl Pass {
    fn new(
        device: &wgpu::Device,
        module: &wgpu::ShaderModule,
        (entry, step, taps): (&str, [u32; 2], u32),
        bound: &Bound<'_>,
    ) -> Self {
        let bindings = bindings(device);
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
                wgpu::BindGroupEntry { binding: 2, resource: wgpu::BindingResource::TextureView(bound.target) },
                wgpu::BindGroupEntry { binding: 3, resource: bound.sheet.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 4, resource: bound.made.as_entire_binding() },
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
        Self { pipeline, group, step, taps }
    }

    /// Makes these regions, which stand in the buffer from `slot` on.
    fn dispatch(&self, pass: &mut wgpu::ComputePass<'_>, regions: impl Iterator<Item = gpu_data::Region>, slot: usize) {
        pass.set_pipeline(&self.pipeline);
        for (i, region) in regions.enumerate() {
            pass.set_bind_group(0, &self.group, &[((slot + i) * REGION_STRIDE) as u32]);
            let groups = [0, 1].map(|axis| (region.end[axis] - region.origin[axis]).div_ceil(self.step[axis]));
            pass.dispatch_workgroups(groups[0], groups[1], 1);
        }
    }
}

fn bindings(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    let storage = |binding, read_only| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only },
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    };
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some(LABEL),
        entries: &[
            pipeline::uniform::<gpu_data::Region>(0, wgpu::ShaderStages::COMPUTE, true),
            storage(1, true),
            pipeline::texture(2, wgpu::ShaderStages::COMPUTE),
            storage(3, false),
            storage(4, false),
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
