//! One stream's picture: draws a frame, converts it, brings it back.
//!
//! ```text
//!  render(n)      render(n+1)     render(n+2)        never waits; refuses when three frames are in flight
//!     └── collect() = n    └── collect() = n+1      waits as long as it is told, oldest first
//! ```
//!
//! Used by one thread. The target keeps the last picture: [`Compositor::capture`] reads it at any time.

use std::{sync::Arc, time::Duration};

use image::RgbaImage;
use serde::Serialize;

use super::{
    CacheStats, Error,
    device::Gpu,
    items::{Frame, Items, Place},
    light,
    nv12::Nv12,
    pipeline,
    raster::{Raster, Sampling},
    readback::{RING, Readback},
    shape::{self, Shape},
    solid::Solid,
    textures::{Found, Texture, Textures},
    upload,
};
use crate::{
    base::{
        colour::{Rgba, VideoColour},
        nv12::{Layout, Picture},
        size::Size,
    },
    media::Library,
    scene::{
        BlendSpace, DrawList, LayerError,
        draw::{DrawItem, Fill, Outline, Paint, Shape as ShapeDocument},
        geometry::Rect,
    },
};

/// How long [`Compositor::capture`] waits.
const CAPTURE_WAIT: Duration = Duration::from_secs(5);
/// Rows of a texture copied to a buffer start at multiples of this many bytes.
const ROW_ALIGN: u32 = wgpu::COPY_BYTES_PER_ROW_ALIGNMENT;

/// What a compositor has done and holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Frames drawn since the start.
    pub frames_total: u64,
    /// Items drawn in the last frame.
    pub items: usize,
    /// Items of the last frame that could not be seen and were not drawn.
    pub culled: usize,
    /// Pictures on their way back.
    pub in_flight: usize,
    /// Its textures.
    pub cache: CacheStats,
}

/// Draws the frames of one stream. See the module's description.
pub struct Compositor {
    gpu: Arc<Gpu>,
    library: Arc<Library>,
    size: Size,
    target: Target,
    painter: Painter,
    nv12: Nv12,
    readback: Readback,
    problems: Vec<LayerError>,
    is_pending: bool,
    stats: Stats,
}

impl std::fmt::Debug for Compositor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compositor").field("size", &self.size).field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// The picture that is drawn into, and its views.
struct Target {
    texture: wgpu::Texture,
    encoded: wgpu::TextureView,
    linear: wgpu::TextureView,
}

impl Target {
    fn new(device: &wgpu::Device, size: Size) -> Self {
        let texture = upload::texture(device, "gpu.target", [size.width(), size.height()], 1);
        let view = |space| {
            texture.create_view(&wgpu::TextureViewDescriptor {
                label: Some("gpu.target"),
                format: Some(light::seen_in(space)),
                ..Default::default()
            })
        };
        let (encoded, linear) = (view(BlendSpace::Srgb), view(BlendSpace::Linear));
        Self { texture, encoded, linear }
    }

    fn seen_in(&self, space: BlendSpace) -> &wgpu::TextureView {
        match space {
            BlendSpace::Srgb => &self.encoded,
            BlendSpace::Linear => &self.linear,
        }
    }
}

impl Compositor {
    /// A compositor for pictures of `size`; textures and pipelines are made now.
    pub fn new(gpu: Arc<Gpu>, library: Arc<Library>, size: Size, colour: VideoColour) -> Result<Self, Error> {
        gpu.check()?;
        let make = || {
            let target = Target::new(&gpu.device, size);
            let painter = Painter::new(&gpu, &library, size, BlendSpace::default());
            let layout = Layout::of(size);
            let nv12 = Nv12::new(&gpu.device, &gpu.queue, &target.encoded, layout, colour);
            let readback = Readback::new(&gpu.device, layout.len(), RING);
            (target, painter, nv12, readback)
        };
        let (target, painter, nv12, readback) = gpu.scoped("a compositor", make)?;
        let (problems, is_pending, stats) = (Vec::new(), false, Stats::default());
        Ok(Self { gpu, library, size, target, painter, nv12, readback, problems, is_pending, stats })
    }

    /// Size of the pictures.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Draws `list` as frame number `frame` and sends it on its way back. Does not wait for the GPU.
    ///
    /// A layer that cannot be drawn is left out and noted in [`Compositor::problems`]; the others are drawn.
    ///
    /// # Errors
    /// [`Error::RingFull`] when three frames are in flight, [`Error::Lost`], [`Error::SizeMismatch`].
    pub fn render(&mut self, frame: u64, list: &DrawList) -> Result<(), Error> {
        self.gpu.check()?;
        if list.size != self.size {
            return Err(mismatch("the draw list", self.size, list.size));
        }
        if self.readback.is_full() {
            return Err(Error::RingFull);
        }
        if self.painter.space != list.blend_space {
            let make = || Painter::new(&self.gpu, &self.library, self.size, list.blend_space);
            self.painter = self.gpu.scoped("the pipelines", make)?;
        }
        let draws = self.plan(list);
        let submission = self.record(list, &draws, frame);
        self.painter.textures.end_frame();
        submission
    }

    /// Layers of the last frame that could not be drawn, and why.
    pub fn problems(&self) -> &[LayerError] {
        &self.problems
    }

    /// Whether something of the last frame was missing because its pixels are still being made: draw again soon.
    pub fn is_pending(&self) -> bool {
        self.is_pending
    }

    /// Pictures on their way back, at most three.
    pub fn in_flight(&self) -> usize {
        self.readback.in_flight()
    }

    /// Waits, at most `wait`, for the oldest picture in flight and copies it `into` a picture of the same size.
    /// The number of its frame, or `None` when it is not there yet.
    ///
    /// # Errors
    /// [`Error::Lost`]; [`Error::SizeMismatch`]; [`Error::Readback`] when this one picture is lost.
    pub fn collect(&mut self, wait: Duration, into: &mut Picture) -> Result<Option<u64>, Error> {
        if into.layout() != Layout::of(self.size) {
            return Err(mismatch("the picture", self.size, into.layout().size));
        }
        self.readback.collect(&self.gpu, wait, |bytes| into.bytes_mut().copy_from_slice(bytes))
    }

    /// To be called once a frame time when nothing is rendered: frees what the GPU is done with and ages the textures.
    pub fn maintain(&mut self) -> Result<(), Error> {
        self.gpu.check()?;
        self.painter.textures.end_frame();
        // What was dropped is freed only by a poll, and staging memory only after a submission.
        let submission = self.gpu.queue.submit([]);
        self.gpu.wait(&submission, Duration::ZERO).map(|_| ())
    }

    /// The picture as it stands, encoded sRGB. Waits for the GPU; for stills, not for every frame.
    ///
    /// # Errors
    /// [`Error::Lost`]; [`Error::Create`] when there is no memory for it; [`Error::Timeout`]; [`Error::Readback`].
    pub fn capture(&mut self) -> Result<RgbaImage, Error> {
        let (width, height) = (self.size.width(), self.size.height());
        let pitch = (width * 4).next_multiple_of(ROW_ALIGN);
        let device = &self.gpu.device;
        let len = pitch as usize * height as usize;
        let mut once = self.gpu.scoped("a buffer for a still", || Readback::new(device, len, 1))?;
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("gpu.capture") });
        let scheduled = once.record(&mut encoder, |encoder, buffer| {
            let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(pitch), rows_per_image: None };
            let target = &self.target.texture;
            let buffer = wgpu::TexelCopyBufferInfo { buffer, layout };
            encoder.copy_texture_to_buffer(target.as_image_copy(), buffer, target.size());
        })?;
        once.submitted(0, scheduled, self.gpu.queue.submit([encoder.finish()]));
        let mut picture = RgbaImage::new(width, height);
        let collected = once.collect(&self.gpu, CAPTURE_WAIT, |mapped| {
            let rows = picture.chunks_exact_mut(width as usize * 4).zip(mapped.chunks_exact(pitch as usize));
            rows.for_each(|(row, padded)| row.copy_from_slice(&padded[..row.len()]));
        })?;
        collected.map(|_| picture).ok_or(Error::Timeout { after_ms: CAPTURE_WAIT.as_millis() as u64 })
    }

    /// What it has done and holds.
    pub fn stats(&self) -> Stats {
        Stats { in_flight: self.in_flight(), cache: self.painter.textures.stats(), ..self.stats }
    }

    /// Turns items into slots of the items' buffer and a list of draws.
    fn plan(&mut self, list: &DrawList) -> Vec<Draw> {
        self.problems.clear();
        self.is_pending = false;
        self.painter.begin_frame();
        let mut draws = Vec::with_capacity(list.items.len());
        for item in &list.items {
            match self.painter.plan(item, list) {
                Planned::Draw(draw) => draws.push(draw),
                Planned::Unseen => {}
                Planned::Pending => self.is_pending = true,
                Planned::Failed(message) => self.problems.push(LayerError { layer: item.layer.clone(), message }),
            }
        }
        self.stats.items = draws.len();
        self.stats.culled = list.items.len() - draws.len();
        draws
    }

    fn record(&mut self, list: &DrawList, draws: &[Draw], frame: u64) -> Result<(), Error> {
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("gpu.frame") };
        let mut encoder = self.gpu.device.create_command_encoder(&descriptor);
        let target = self.target.seen_in(list.blend_space);
        let clear = light::clear(list.background, list.blend_space);
        self.painter.paint(&self.gpu, &mut upload::begin(&mut encoder, "gpu.items", target, clear), draws);
        self.nv12.record(&mut encoder);
        let scheduled = self.readback.record(&mut encoder, |encoder, buffer| {
            encoder.copy_buffer_to_buffer(self.nv12.buffer(), 0, buffer, 0, buffer.size());
        })?;
        let submission = self.gpu.queue.submit([encoder.finish()]);
        self.readback.submitted(frame, scheduled, submission);
        self.stats.frames_total += 1;
        Ok(())
    }
}

fn mismatch(what: &'static str, expected: Size, got: Size) -> Error {
    let text = |size: Size| format!("{}x{}", size.width(), size.height());
    Error::SizeMismatch { what, expected: text(expected), got: text(got) }
}

/// One draw call.
#[derive(Debug)]
enum Draw {
    Solid { offset: u32 },
    Shape { offset: u32, variant: shape::Variant },
    Raster { offset: u32, sampling: Sampling, texture: Arc<Texture> },
}

/// What becomes of an item.
enum Planned {
    Draw(Draw),
    /// Off the canvas, clipped away or transparent.
    Unseen,
    /// Its pixels are not there yet.
    Pending,
    Failed(Arc<str>),
}

/// Everything that belongs to one blend space: pipelines and textures.
struct Painter {
    space: BlendSpace,
    canvas: Rect,
    frame: wgpu::BindGroup,
    items: Items,
    solid: Solid,
    shape: Shape,
    raster: Raster,
    textures: Textures,
}

impl Painter {
    fn new(gpu: &Arc<Gpu>, library: &Arc<Library>, size: Size, space: BlendSpace) -> Self {
        let device = &gpu.device;
        let (layout, frame) = frame_group(gpu, size);
        let items = Items::new(device);
        let textures = Textures::new(gpu.clone(), library.clone(), space);
        Self {
            space,
            canvas: Rect::new(0.0, 0.0, size.width() as f32, size.height() as f32),
            solid: Solid::new(device, &layout, &items, space),
            shape: Shape::new(device, &layout, &items, space),
            raster: Raster::new(device, &layout, textures.layout(), &items, space),
            frame,
            items,
            textures,
        }
    }

    fn begin_frame(&mut self) {
        self.items.clear();
        self.textures.begin_frame();
    }

    fn plan(&mut self, item: &DrawItem, list: &DrawList) -> Planned {
        debug_assert_eq!(list.blend_space, self.space);
        match &item.paint {
            Paint::Solid(colour) => self.plan_solid(item, item.clip, *colour),
            Paint::Shape(shape) => match plain_box(shape) {
                Some((rect, colour)) => self.plan_solid(item, item.clip.intersect(rect), colour),
                None => self.plan_shape(item, shape),
            },
            Paint::Raster { raster, dest } => self.plan_raster(item, raster, *dest),
        }
    }

    fn plan_solid(&mut self, item: &DrawItem, clip: Rect, colour: Rgba) -> Planned {
        let Some(place) = Place::of(item, clip, self.canvas).filter(|_| colour.a > 0) else { return Planned::Unseen };
        let offset = Solid::push(&mut self.items, place, colour, item.opacity, self.space);
        Planned::Draw(Draw::Solid { offset })
    }

    fn plan_shape(&mut self, item: &DrawItem, shape: &ShapeDocument) -> Planned {
        let Some(place) = Place::of(item, item.clip, self.canvas) else { return Planned::Unseen };
        let (offset, variant) = Shape::push(&mut self.items, place, shape, item.opacity, self.space);
        Planned::Draw(Draw::Shape { offset, variant })
    }

    fn plan_raster(&mut self, item: &DrawItem, raster: &crate::scene::draw::Raster, dest: Rect) -> Planned {
        let Some(place) = Place::of(item, item.clip.intersect(dest), self.canvas) else { return Planned::Unseen };
        let texture = match self.textures.find(raster) {
            Found::Ready(texture) => texture,
            Found::Pending => return Planned::Pending,
            Found::Failed(message) => return Planned::Failed(message),
        };
        let sampling = Sampling::of(item.place, dest, texture.size, texture.levels);
        let offset = Raster::push(&mut self.items, place, dest, sampling, item.opacity * texture.fade);
        Planned::Draw(Draw::Raster { offset, sampling, texture })
    }

    fn paint(&mut self, gpu: &Gpu, pass: &mut wgpu::RenderPass<'_>, draws: &[Draw]) {
        if self.items.write(&gpu.device, &gpu.queue) {
            self.solid.rebind(&gpu.device, &self.items);
            self.shape.rebind(&gpu.device, &self.items);
            self.raster.rebind(&gpu.device, &self.items);
        }
        pass.set_bind_group(0, &self.frame, &[]);
        for draw in draws {
            match draw {
                Draw::Solid { offset } => self.solid.draw(pass, *offset),
                Draw::Shape { offset, variant } => self.shape.draw(pass, *offset, *variant),
                Draw::Raster { offset, sampling, texture } => {
                    self.raster.draw(pass, *offset, *sampling, &texture.group)
                }
            }
        }
    }
}

/// A sharp-cornered box in one colour needs no shape: its edges are those of a clip.
fn plain_box(shape: &ShapeDocument) -> Option<(Rect, Rgba)> {
    match (&shape.outline, &shape.fill, &shape.stroke) {
        (Outline::Rectangle { rect, radius }, Some(Fill::Solid(colour)), None) if *radius <= 0.0 => {
            Some((*rect, *colour))
        }
        _ => None,
    }
}

/// Group 0: the canvas and the samplers.
fn frame_group(gpu: &Gpu, size: Size) -> (wgpu::BindGroupLayout, wgpu::BindGroup) {
    let device = &gpu.device;
    let label = Some("gpu.frame");
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label,
        entries: &[
            pipeline::uniform::<Frame>(0, wgpu::ShaderStages::VERTEX_FRAGMENT, false),
            pipeline::sampler(1),
            pipeline::sampler(2),
        ],
    });
    let canvas = device.create_buffer(&wgpu::BufferDescriptor {
        label,
        size: size_of::<Frame>() as u64,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    gpu.queue.write_buffer(&canvas, 0, bytemuck::bytes_of(&Frame::of(size)));
    let sampler = |mipmap_filter| {
        device.create_sampler(&wgpu::SamplerDescriptor {
            label,
            mag_filter: wgpu::FilterMode::Linear,
            min_filter: wgpu::FilterMode::Linear,
            mipmap_filter,
            ..Default::default()
        })
    };
    let samplers = [sampler(wgpu::MipmapFilterMode::Nearest), sampler(wgpu::MipmapFilterMode::Linear)];
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label,
        layout: &layout,
        entries: &[
            wgpu::BindGroupEntry { binding: 0, resource: canvas.as_entire_binding() },
            wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::Sampler(&samplers[0]) },
            wgpu::BindGroupEntry { binding: 2, resource: wgpu::BindingResource::Sampler(&samplers[1]) },
        ],
    });
    (layout, group)
}
