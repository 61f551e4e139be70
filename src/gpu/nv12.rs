//! `nv12.wgsl`: the target into an NV12 picture, by a compute pass that writes packed words.
//!
//! A storage buffer rather than an NV12 texture: those are an optional feature that software Vulkan lacks, and the
//! buffer's rows need no padding to 256 bytes.

use super::pipeline::{self, Source};
use crate::{
    base::{colour::VideoColour, nv12::Layout},
    scene::damage::{Damage, PixelRect, RECTS_MAX},
};

pub(crate) const SOURCE: Source =
    Source { name: "nv12.wgsl", uses_common: false, text: include_str!("../../shaders/nv12.wgsl") };
const LABEL: &str = "gpu.nv12";
/// Width and height of a workgroup, as in the shader; an invocation makes 4 x 2 pixels.
const GROUP: u32 = 8;
/// Bytes from one region to the next: the alignment of dynamic offsets that every device accepts.
const REGION_STRIDE: usize = 256;

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

    /// `Region` of `nv12.wgsl`: which blocks of 4 x 2 pixels are converted.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, Pod, Zeroable)]
    pub(crate) struct Region {
        /// Column and row of the first block.
        pub(crate) origin: [u32; 2],
        /// Column and row behind the last one.
        pub(crate) end: [u32; 2],
    }
}

pub(crate) fn layouts() -> Vec<pipeline::Layout> {
    vec![
        pipeline::layout!("nv12.wgsl", gpu_data::Params as "Params" { luma, blue, red, size, pitch, luma_len }),
        pipeline::layout!("nv12.wgsl", gpu_data::Region as "Region" { origin, end }),
    ]
}

/// Converts one target into one buffer.
#[derive(Debug)]
pub(crate) struct Nv12 {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    buffer: wgpu::Buffer,
    regions: wgpu::Buffer,
    blocks: [u32; 2],
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
        let uniform = wgpu::BufferUsages::UNIFORM;
        let regions = buffer(device, "gpu.nv12.regions", RECTS_MAX * REGION_STRIDE, uniform);
        let region = wgpu::BufferBinding {
            buffer: &regions,
            offset: 0,
            size: std::num::NonZeroU64::new(size_of::<gpu_data::Region>() as u64),
        };
        let buffer = buffer(device, "gpu.nv12.picture", layout.len(), usage);
        let bindings = bindings(device);
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(LABEL),
            layout: &bindings,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: params.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::TextureView(picture) },
                wgpu::BindGroupEntry { binding: 2, resource: buffer.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 3, resource: wgpu::BindingResource::Buffer(region) },
            ],
        });
        let blocks = [layout.pitch as u32 / 4, layout.size.height() / 2];
        Self { pipeline: compute(device, &bindings), group, buffer, regions, blocks }
    }

    /// Records the conversion of what the damage touches; where the picture is written anew by it. Not a byte of the
    /// others changes.
    pub(crate) fn record(&self, queue: &wgpu::Queue, encoder: &mut wgpu::CommandEncoder, damage: &Damage) -> Damage {
        if damage.is_empty() {
            return Damage::none();
        }
        let regions = || damage.rects().iter().map(|rect| region(*rect, self.blocks));
        let mut bytes = [0; RECTS_MAX * REGION_STRIDE];
        for (slot, region) in bytes.chunks_exact_mut(REGION_STRIDE).zip(regions()) {
            slot[..size_of::<gpu_data::Region>()].copy_from_slice(bytemuck::bytes_of(&region));
        }
        queue.write_buffer(&self.regions, 0, &bytes[..damage.rects().len() * REGION_STRIDE]);
        let mut pass =
            encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some(LABEL), ..Default::default() });
        pass.set_pipeline(&self.pipeline);
        for (i, region) in regions().enumerate() {
            pass.set_bind_group(0, &self.group, &[(i * REGION_STRIDE) as u32]);
            let groups = [0, 1].map(|axis| (region.end[axis] - region.origin[axis]).div_ceil(GROUP));
            pass.dispatch_workgroups(groups[0], groups[1], 1);
        }
        let mut written = Damage::none();
        regions().for_each(|region| written.add(pixels(&region)));
        written
    }

    /// Both planes, laid out as [`Layout`] says.
    pub(crate) fn buffer(&self) -> &wgpu::Buffer {
        &self.buffer
    }
}

/// The blocks with samples that depend on a pixel of `rect`: a chroma sample looks one pixel to either side.
fn region(rect: PixelRect, blocks: [u32; 2]) -> gpu_data::Region {
    let right = (rect.right + 1).div_ceil(4).min(blocks[0]);
    let bottom = rect.bottom.div_ceil(2).min(blocks[1]);
    gpu_data::Region { origin: [rect.left.saturating_sub(1) / 4, rect.top / 2], end: [right, bottom] }
}

/// The pixels of these blocks, of which the last may lie in the padding of the rows.
fn pixels(region: &gpu_data::Region) -> PixelRect {
    let ([left, top], [right, bottom]) = (region.origin, region.end);
    PixelRect { left: left * 4, top: top * 2, right: right * 4, bottom: bottom * 2 }
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
            pipeline::uniform::<gpu_data::Region>(3, wgpu::ShaderStages::COMPUTE, true),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        base::{nv12::Picture, size::Size},
        gpu::{device::tests::gpu, readback::Readback, upload},
    };

    const RED: [u8; 4] = [255, 0, 0, 255];
    const BLUE: [u8; 4] = [0, 0, 255, 255];

    /// Converts a picture given pixel by pixel.
    fn converted(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 4]) -> Picture {
        let gpu = gpu();
        let (device, queue) = (&gpu.device, &gpu.queue);
        let size = Size::new(width, height).unwrap();
        let texture = upload::texture(device, "test", [width, height], 1);
        let bytes: Vec<u8> =
            (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y)).collect();
        upload::write(queue, &texture, &crate::media::Pixels::new(width, height, bytes));
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        let nv12 = Nv12::new(device, queue, &view, Layout::of(size), VideoColour::BT709_LIMITED);

        let mut readback = Readback::new(device, Layout::of(size).len(), 1);
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        nv12.record(&gpu.queue, &mut encoder, &Damage::whole(size.sides()));
        let scheduled = readback
            .record(&mut encoder, |encoder, _, to| encoder.copy_buffer_to_buffer(nv12.buffer(), 0, to, 0, to.size()))
            .unwrap();
        readback.submitted(7, scheduled, queue.submit([encoder.finish()]));
        let mut picture = Picture::black(size);
        let collected =
            readback.collect(&gpu, Duration::from_secs(20), |_, bytes| picture.bytes_mut().copy_from_slice(bytes));
        assert_eq!(collected, Ok(Some(7)));
        picture
    }

    fn chroma(picture: &Picture, x: usize, y: usize) -> [u8; 2] {
        let at = y / 2 * picture.layout().pitch + x;
        [picture.chroma()[at], picture.chroma()[at + 1]]
    }

    /// ITU-R BT.709 with limited range, computed by hand and rounded: 75 % bars, primaries, and a few greys.
    #[test]
    fn flat_colours() {
        for (rgb, [y, cb, cr]) in [
            ([0, 0, 0], [16, 128, 128]),
            ([255, 255, 255], [235, 128, 128]),
            ([255, 0, 0], [63, 102, 240]),
            ([0, 255, 0], [173, 42, 26]),
            ([0, 0, 255], [32, 240, 118]),
            ([191, 191, 191], [180, 128, 128]),
            ([191, 191, 0], [168, 44, 136]),
            ([0, 191, 191], [145, 147, 44]),
            ([191, 0, 191], [63, 193, 204]),
            ([128, 128, 128], [126, 128, 128]),
        ] {
            let picture = converted(16, 16, |_, _| [rgb[0], rgb[1], rgb[2], 255]);
            assert!(picture.luma().iter().all(|v| v.abs_diff(y) <= 1), "{rgb:?}: {} for {y}", picture.luma()[0]);
            let is_close = |pair: &[u8]| pair[0].abs_diff(cb) <= 1 && pair[1].abs_diff(cr) <= 1;
            assert!(picture.chroma().chunks_exact(2).all(is_close), "{rgb:?}: {:?}", &picture.chroma()[..2]);
        }
    }

    /// Red is Cb 102.336 Cr 240, blue Cb 240 Cr 117.730. With the first blue column even, the sample on it weighs
    /// 1 red 3 blue: Cb 205.58, Cr 148.30; with it odd, the sample before it weighs 3 red 1 blue: Cb 136.75, Cr 209.43.
    /// Chroma sited in the middle would give 240 118 and 171 179 instead.
    #[test]
    fn chroma_is_sited_left() {
        let even = converted(32, 16, |x, _| if x < 8 { RED } else { BLUE });
        assert_eq!([6, 8, 10].map(|x| chroma(&even, x, 4)), [[102, 240], [206, 148], [240, 118]]);
        let odd = converted(32, 16, |x, _| if x < 9 { RED } else { BLUE });
        assert_eq!([6, 8, 10].map(|x| chroma(&odd, x, 4)), [[102, 240], [137, 209], [240, 118]]);
        assert_eq!([even.luma()[7], even.luma()[8]], [63, 32], "luma is not filtered");
    }

    /// Between two rows a sample is their mean: Cb 171.17, Cr 178.87.
    #[test]
    fn chroma_lies_between_the_rows() {
        let picture = converted(16, 16, |_, y| if y % 2 == 0 { RED } else { BLUE });
        assert!(picture.chroma().chunks_exact(2).all(|pair| pair == [171, 179]), "{:?}", &picture.chroma()[..2]);
    }

    /// 18 pixels are five words of four: the last two bytes of a row repeat the last pixel.
    #[test]
    fn a_width_between_words_is_padded_with_its_edge() {
        let picture = converted(18, 16, |x, _| if x == 17 { [255; 4] } else { [0, 0, 0, 255] });
        for row in picture.luma().chunks_exact(20) {
            assert_eq!(row[..17], [16; 17]);
            assert_eq!(row[17..], [235; 3]);
        }
        assert_eq!(picture.luma().len() / 20, 16);
        assert!(picture.chroma().iter().all(|&c| c == 128));
    }

    /// The first column has no left neighbour: its own value counts again.
    #[test]
    fn edges_repeat() {
        let picture = converted(16, 16, |x, _| if x == 0 { RED } else { BLUE });
        // 3 red 1 blue.
        assert_eq!(chroma(&picture, 0, 0), [137, 209]);
    }
}
