//! The per-frame data of all items: one uniform buffer, one write a frame.
//!
//! ```text
//!  offset 0        256        512                    2560
//!  ├ solid ────────┼ raster ──┼ shape ───────────────┼ ...     each slot starts at a multiple of ALIGN
//! ```
//!
//! A uniform with a dynamic offset, rather than a storage buffer with an index: its members are the same for all pixels
//! of a draw, which every driver, lavapipe above all, turns into scalar loads.

use bytemuck::Pod;

use super::pipeline;
use crate::scene::{
    draw::DrawItem,
    geometry::{Affine, Rect},
};

pub(crate) use gpu_data::{Frame, Place};

/// Start of slots: the alignment of dynamic offsets that every device accepts.
const ALIGN: usize = 256;
/// How far an edge may lie from the border between two pixels, in pixels, and still be on it: less than one code value.
const ALIGNED: f32 = 1.0 / 512.0;
/// Bytes at the start; a full scene of plain layers fits.
const CAPACITY: usize = 64 << 10;

mod gpu_data {
    use bytemuck::{Pod, Zeroable};

    /// `Frame` of `common.wgsl`.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, Pod, Zeroable)]
    pub(crate) struct Frame {
        /// Width and height in pixels of what is drawn on.
        pub(crate) canvas: [f32; 2],
        pub(crate) padding: [f32; 2],
    }

    /// `Place` of `common.wgsl`: where an item lies and what of it is seen.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, Pod, Zeroable)]
    pub(crate) struct Place {
        /// The letters a, b, c, d of the map from layer to canvas pixels.
        pub(crate) to_canvas: [f32; 4],
        /// The same of the way back.
        pub(crate) to_layer: [f32; 4],
        /// The letters e, f of both.
        pub(crate) origins: [f32; 4],
        /// Left, top, right, bottom in layer pixels.
        pub(crate) clip: [f32; 4],
        /// Canvas pixels from one x line of the layer to the next, and from one y line to the next.
        pub(crate) rate: [f32; 2],
        pub(crate) padding: [f32; 2],
    }
}

pub(crate) fn layouts() -> Vec<pipeline::Layout> {
    vec![
        pipeline::layout!("common.wgsl", Frame as "Frame" { canvas, padding }),
        pipeline::layout!("common.wgsl", Place as "Place" { to_canvas, to_layer, origins, clip, rate, padding }),
    ]
}

impl Frame {
    pub(crate) fn of(size: [u32; 2]) -> Self {
        Self { canvas: size.map(|side| side as f32), padding: [0.0; 2] }
    }
}

impl Placed {
    /// The place of an item of which `clip` is seen; `None` when it cannot be seen at all.
    pub(crate) fn of(item: &DrawItem, clip: Rect, canvas: Rect) -> Option<Self> {
        let bounds = item.place.bounds_of(clip);
        if clip.is_empty() || item.opacity <= 0.0 || bounds.intersect(canvas).is_empty() {
            return None;
        }
        Self::at(item.place, clip)
    }

    /// Over all of a canvas.
    pub(crate) fn over(place: Affine, canvas: Rect) -> Option<Self> {
        Self::at(place, place.inverse()?.bounds_of(canvas))
    }

    fn at(place: Affine, clip: Rect) -> Option<Self> {
        let (back, bounds) = (place.inverse()?, place.bounds_of(clip));
        let is_upright = (place.b == 0.0 && place.c == 0.0) || (place.a == 0.0 && place.d == 0.0);
        let edges = [bounds.x, bounds.y, bounds.right(), bounds.bottom()];
        let is_aligned = is_upright && edges.iter().all(|edge| (edge - edge.round()).abs() < ALIGNED);
        let place = Place {
            to_canvas: [place.a, place.b, place.c, place.d],
            to_layer: [back.a, back.b, back.c, back.d],
            origins: [place.e, place.f, back.e, back.f],
            clip: [clip.x, clip.y, clip.right(), clip.bottom()],
            rate: [1.0 / back.a.hypot(back.c), 1.0 / back.b.hypot(back.d)],
            padding: [0.0; 2],
        };
        Some(Self { place, is_aligned })
    }
}

/// An item's place, and whether its clip's edges lie between pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) place: Place,
    pub(crate) is_aligned: bool,
}

/// The slots of one frame, collected on the CPU and written at once.
#[derive(Debug)]
pub(crate) struct Items {
    bytes: Vec<u8>,
    buffer: wgpu::Buffer,
}

impl Items {
    pub(crate) fn new(device: &wgpu::Device) -> Self {
        Self { bytes: Vec::with_capacity(CAPACITY), buffer: buffer(device, CAPACITY) }
    }

    /// Forgets the last frame's.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Adds an item and returns its offset.
    pub(crate) fn push<T: Pod>(&mut self, item: &T) -> u32 {
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(bytemuck::bytes_of(item));
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
        offset as u32
    }

    /// Hands all slots to the GPU. True when the buffer had to grow, so that bind groups must be made anew.
    pub(crate) fn write(&mut self, device: &wgpu::Device, queue: &wgpu::Queue) -> bool {
        let is_larger = self.bytes.len() as u64 > self.buffer.size();
        if is_larger {
            self.buffer = buffer(device, self.bytes.len().next_power_of_two());
        }
        if !self.bytes.is_empty() {
            queue.write_buffer(&self.buffer, 0, &self.bytes);
        }
        is_larger
    }

    /// Group 1 for items of type `T`: one slot, chosen by dynamic offset.
    pub(crate) fn bind<T>(
        &self,
        device: &wgpu::Device,
        label: &str,
        layout: &wgpu::BindGroupLayout,
    ) -> wgpu::BindGroup {
        let slot = wgpu::BufferBinding {
            buffer: &self.buffer,
            offset: 0,
            size: std::num::NonZeroU64::new(size_of::<T>() as u64),
        };
        device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(label),
            layout,
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(slot) }],
        })
    }
}

/// The layout of group 1 for items of type `T`.
pub(crate) fn layout<T>(device: &wgpu::Device, label: &str) -> wgpu::BindGroupLayout {
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some(label),
        entries: &[pipeline::uniform::<T>(0, wgpu::ShaderStages::VERTEX_FRAGMENT, true)],
    })
}

fn buffer(device: &wgpu::Device, len: usize) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("gpu.items"),
        size: len as u64,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}
