//! One stream's picture: draws a frame, converts it, brings it back.
//!
//! ```text
//!  render(n)      render(n+1)     render(n+2)        never waits; refuses when three frames are in flight
//!     └── collect() = n    └── collect() = n+1      waits as long as it is told, oldest first
//! ```
//!
//! Used by one thread. The target keeps the last picture: [`Compositor::capture`] reads it at any time, and a frame draws
//! and converts only where its list differs from the last one's. That gives the same picture as drawing everything, bit
//! for bit; a test holds it to that.
//!
//! ```text
//!  find      textures of all rasters; what is missing is noted
//!  damage    scene::damage between the lists, and where something was missing or has new pixels
//!  plan      the items that the damage touches, each with its bounds and what it hides
//!  record    for each damaged rectangle: scissor, background, items from the topmost one that hides the rest; NV12
//! ```

use std::{sync::Arc, time::Duration};

use image::RgbaImage;
use serde::Serialize;

use super::{
    CacheStats, Error,
    device::Gpu,
    items::{Frame, Items, Placed},
    light,
    nv12::Nv12,
    pipeline,
    raster::{self, Raster},
    readback::{RING, Readback},
    shape::{self, Shape},
    solid::{self, Solid},
    textures::{Found, Texture, Textures},
    upload,
};
use crate::{
    base::{
        colour::{Rgba, VideoColour},
        id::Id,
        nv12::{Layout, Picture},
        size::Size,
    },
    media::Library,
    scene::{
        BlendSpace, DrawList, LayerError,
        damage::{self, Damage, PixelRect},
        draw::{DrawItem, Fill, Paint, Shape as ShapeDocument},
        geometry::{Affine, Rect},
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
    /// Next drawn since the start.
    pub frames_total: u64,
    /// Items drawn in the last frame.
    pub items: usize,
    /// Items of the last frame that were not drawn: not seen, or outside the damage.
    pub culled: usize,
    /// Canvas pixels drawn anew since the start.
    pub damaged_pixels_total: u64,
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
    shown: Option<Shown>,
    stats: Stats,
}

/// What the target shows.
struct Shown {
    list: DrawList,
    /// Where something of it could not be drawn.
    missing: Vec<PixelRect>,
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
    /// A compositor for pictures of `size`. What every scene needs is made now; the pipelines of shapes and the
    /// textures of rasters are when they are first drawn.
    ///
    /// # Errors
    /// [`Error::Lost`]; [`Error::Create`] when the GPU has no memory for it.
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
        Ok(Self { gpu, library, size, target, painter, nv12, readback, problems, is_pending, shown: None, stats })
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
            self.shown = None;
        }
        let mut next = match self.shown.take() {
            Some(shown) => Next { damage: shown.damage(list), list },
            None => Next { damage: Damage::whole(self.size), list },
        };
        self.painter.begin_frame();
        let found = self.find(&mut next);
        let (draws, missing) = self.plan(&next, found);
        let submission = self.record(&next, &draws, frame);
        self.painter.textures.end_frame();
        submission?;
        self.shown = Some(Shown { list: list.clone(), missing });
        Ok(())
    }

    /// Draws the next frame whole, whatever the last one was.
    pub fn forget(&mut self) {
        self.shown = None;
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

    /// The textures of all rasters, made if they must be; those with new pixels add to the damage.
    fn find(&mut self, next: &mut Next<'_>) -> Vec<Option<Found>> {
        let mut found = Vec::with_capacity(next.list.items.len());
        for item in &next.list.items {
            let Paint::Raster { raster, .. } = &item.paint else {
                found.push(None);
                continue;
            };
            let (texture, is_new) = self.painter.textures.find(raster);
            if is_new && let Some(bounds) = damage::bounds(item, self.size) {
                next.damage.add(bounds);
            }
            found.push(Some(texture));
        }
        found
    }

    /// Turns the items that the damage touches into slots of the items' buffer and a list of draws; says where something
    /// is missing.
    fn plan(&mut self, next: &Next<'_>, found: Vec<Option<Found>>) -> (Vec<Drawn>, Vec<PixelRect>) {
        self.problems.clear();
        self.is_pending = false;
        let mut draws = Vec::with_capacity(next.list.items.len());
        let mut missing = Vec::new();
        for (item, found) in next.list.items.iter().zip(found) {
            let Some(bounds) = damage::bounds(item, self.size) else { continue };
            let is_missing = matches!(found, Some(Found::Pending | Found::Failed(_)));
            if !is_missing && !next.damage.rects().iter().any(|rect| rect.touches(bounds)) {
                continue;
            }
            match self.painter.plan(item, found) {
                Planned::Draw(draw, cover) => draws.push(Drawn { draw, bounds, cover }),
                Planned::Unseen => {}
                Planned::Pending => {
                    self.is_pending = true;
                    missing.push(bounds);
                }
                Planned::Failed(message) => {
                    self.problems.push(LayerError { layer: item.layer.clone(), message });
                    missing.push(bounds);
                }
            }
        }
        self.stats.items = draws.len();
        self.stats.culled = next.list.items.len() - draws.len();
        (draws, missing)
    }

    fn record(&mut self, next: &Next<'_>, draws: &[Drawn], frame: u64) -> Result<(), Error> {
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("gpu.frame") };
        let mut encoder = self.gpu.device.create_command_encoder(&descriptor);
        if !next.damage.is_empty() {
            let target = self.target.seen_in(next.list.blend_space);
            self.painter.paint(&mut encoder, target, next, draws);
            self.nv12.record(&self.gpu.queue, &mut encoder, &next.damage);
        }
        let scheduled = self.readback.record(&mut encoder, |encoder, buffer| {
            encoder.copy_buffer_to_buffer(self.nv12.buffer(), 0, buffer, 0, buffer.size());
        })?;
        let submission = self.gpu.queue.submit([encoder.finish()]);
        self.readback.submitted(frame, scheduled, submission);
        self.stats.frames_total += 1;
        self.stats.damaged_pixels_total += next.damage.area();
        Ok(())
    }
}

/// The frame to draw: its list, and where that differs from what is shown.
struct Next<'a> {
    list: &'a DrawList,
    damage: Damage,
}

impl Shown {
    /// Where the picture of `next` differs, as far as lists can say.
    fn damage(self, next: &DrawList) -> Damage {
        let mut damage = Damage::between(&self.list, next);
        self.missing.into_iter().for_each(|rect| damage.add(rect));
        damage
    }
}

fn mismatch(what: &'static str, expected: Size, got: Size) -> Error {
    let text = |size: Size| format!("{}x{}", size.width(), size.height());
    Error::SizeMismatch { what, expected: text(expected), got: text(got) }
}

/// One draw call, where it draws, and where it leaves nothing of what is below.
#[derive(Debug)]
struct Drawn {
    draw: Draw,
    bounds: PixelRect,
    cover: Option<PixelRect>,
}

/// The pipeline of a draw call and its slot.
#[derive(Debug)]
enum Draw {
    Solid(solid::Draw),
    Shape(shape::Draw),
    Raster(raster::Draw),
}

/// What becomes of an item.
enum Planned {
    /// With the pixels that it covers wholly.
    Draw(Draw, Option<PixelRect>),
    /// Off the canvas, clipped away or transparent.
    Unseen,
    /// Its pixels are not there yet.
    Pending,
    Failed(Arc<str>),
}

/// Everything that belongs to one blend space: pipelines and textures.
struct Painter {
    gpu: Arc<Gpu>,
    space: BlendSpace,
    size: Size,
    canvas: Rect,
    /// Stands for a layer where there is none.
    background: Id,
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
            gpu: gpu.clone(),
            space,
            size,
            background: Id::new("background").unwrap_or_else(|_| unreachable!("letters make an id")),
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

    fn plan(&mut self, item: &DrawItem, found: Option<Found>) -> Planned {
        match &item.paint {
            Paint::Solid(colour) => self.plan_solid(item, item.clip, *colour),
            Paint::Shape(shape) => self.plan_shape(item, shape),
            Paint::Raster { dest, .. } => match found {
                Some(Found::Ready(texture)) => self.plan_raster(item, texture, *dest),
                Some(Found::Failed(message)) => Planned::Failed(message),
                Some(Found::Pending) | None => Planned::Pending,
            },
        }
    }

    fn plan_solid(&mut self, item: &DrawItem, clip: Rect, colour: Rgba) -> Planned {
        let Some(placed) = Placed::of(item, clip, self.canvas).filter(|_| colour.a > 0) else { return Planned::Unseen };
        let cover = self.cover(item, clip, placed, colour.a == 255);
        Planned::Draw(Draw::Solid(Solid::push(&mut self.items, placed, colour, item.opacity, self.space)), cover)
    }

    fn plan_shape(&mut self, item: &DrawItem, shape: &ShapeDocument) -> Planned {
        let sharp_box = shape::sharp_box(shape);
        let clip = sharp_box.map_or(item.clip, |rect| item.clip.intersect(rect));
        if let (Some(_), Some(Fill::Solid(colour))) = (sharp_box, &shape.fill) {
            return self.plan_solid(item, clip, *colour);
        }
        let Some(placed) = Placed::of(item, clip, self.canvas) else { return Planned::Unseen };
        match self.shape.push(&self.gpu, &mut self.items, placed, shape, item.opacity) {
            Ok(draw) => Planned::Draw(Draw::Shape(draw), None),
            Err(error) => Planned::Failed(error.to_string().into()),
        }
    }

    fn plan_raster(&mut self, item: &DrawItem, texture: Arc<Texture>, dest: Rect) -> Planned {
        let clip = item.clip.intersect(dest);
        let Some(placed) = Placed::of(item, clip, self.canvas) else { return Planned::Unseen };
        let cover = self.cover(item, clip, placed, texture.is_opaque);
        Planned::Draw(Draw::Raster(Raster::push(&mut self.items, placed, item, dest, texture)), cover)
    }

    /// The pixels of which an item leaves nothing below it.
    fn cover(&self, item: &DrawItem, clip: Rect, placed: Placed, is_opaque: bool) -> Option<PixelRect> {
        let is_cover = is_opaque && placed.is_aligned && item.opacity >= 1.0;
        let bounds = is_cover.then(|| item.place.bounds_of(clip))?;
        // Aligned edges lie on pixel borders but for rounding, which `around` must not take for another pixel.
        let [left, top, right, bottom] = [bounds.x, bounds.y, bounds.right(), bounds.bottom()].map(f32::round);
        PixelRect::around(Rect::new(left, top, right - left, bottom - top), self.size)
    }

    /// The whole canvas in the background's colour.
    fn plan_background(&mut self, background: Rgba) -> Option<solid::Draw> {
        let item = DrawItem {
            layer: self.background.clone(),
            place: Affine::IDENTITY,
            clip: self.canvas,
            opacity: 1.0,
            paint: Paint::Solid(background),
        };
        let opaque = Rgba { a: 255, ..background };
        let placed = Placed::of(&item, item.clip, self.canvas)?;
        Some(Solid::push(&mut self.items, placed, opaque, 1.0, self.space))
    }

    fn paint(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        target: &wgpu::TextureView,
        next: &Next<'_>,
        draws: &[Drawn],
    ) {
        let is_whole = next.damage.rects() == [PixelRect::whole(self.size)];
        let clear = light::clear(next.list.background, self.space);
        let load = if is_whole { wgpu::LoadOp::Clear(clear) } else { wgpu::LoadOp::Load };
        let background = if is_whole { None } else { self.plan_background(next.list.background) };
        let device = &self.gpu.device;
        if self.items.write(device, &self.gpu.queue) {
            self.solid.rebind(device, &self.items);
            self.shape.rebind(device, &self.items);
            self.raster.rebind(device, &self.items);
        }
        let mut pass = upload::begin(encoder, "gpu.items", target, load);
        pass.set_bind_group(0, &self.frame, &[]);
        for &rect in next.damage.rects() {
            pass.set_scissor_rect(rect.left, rect.top, rect.right - rect.left, rect.bottom - rect.top);
            self.paint_rect(&mut pass, rect, background.as_ref(), draws);
        }
    }

    /// Draws what is seen in `rect`: from the topmost item that hides everything below it.
    fn paint_rect(
        &self,
        pass: &mut wgpu::RenderPass<'_>,
        rect: PixelRect,
        background: Option<&solid::Draw>,
        draws: &[Drawn],
    ) {
        let hider = draws.iter().rposition(|drawn| drawn.cover.is_some_and(|cover| cover.contains(rect)));
        if let (None, Some(background)) = (hider, background) {
            self.solid.draw(pass, background);
        }
        for drawn in draws[hider.unwrap_or(0)..].iter().filter(|drawn| drawn.bounds.touches(rect)) {
            match &drawn.draw {
                Draw::Solid(draw) => self.solid.draw(pass, draw),
                Draw::Shape(draw) => self.shape.draw(pass, draw),
                Draw::Raster(draw) => self.raster.draw(pass, draw),
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::id::Id,
        gpu::device::tests::gpu,
        media::Config,
        scene::{
            draw::{Outline, Raster as RasterKey, Stop, Stroke, TextRaster},
            geometry::Affine,
        },
    };

    const WAIT: Duration = Duration::from_secs(20);

    struct Studio {
        compositor: Compositor,
        library: Arc<Library>,
        picture: Picture,
        frame: u64,
    }

    fn studio() -> Studio {
        let size = Size::new(32, 16).unwrap();
        let library = Library::new(Config::default()).unwrap();
        let compositor = Compositor::new(gpu(), library.clone(), size, VideoColour::BT709_LIMITED).unwrap();
        Studio { compositor, library, picture: Picture::black(size), frame: 0 }
    }

    impl Studio {
        /// Draws items on black and returns the picture.
        fn draw(&mut self, blend_space: BlendSpace, items: Vec<DrawItem>) -> RgbaImage {
            let list = DrawList { size: self.compositor.size(), blend_space, background: Rgba::BLACK, items };
            self.frame += 1;
            self.compositor.render(self.frame, &list).unwrap();
            assert_eq!(self.compositor.collect(WAIT, &mut self.picture), Ok(Some(self.frame)));
            self.compositor.capture().unwrap()
        }

        fn srgb(&mut self, items: Vec<DrawItem>) -> RgbaImage {
            self.draw(BlendSpace::Srgb, items)
        }
    }

    fn item(position: [f64; 2], clip: Rect, paint: Paint) -> DrawItem {
        let place = Affine::place(position, [0.0; 2], [1.0, 1.0], 0.0);
        DrawItem { layer: Id::new("layer").unwrap(), place, clip, opacity: 1.0, paint }
    }

    fn solid(position: [f64; 2], size: [f32; 2], colour: Rgba) -> DrawItem {
        item(position, Rect::at_origin(size), Paint::Solid(colour))
    }

    fn shape(size: [f32; 2], shape: ShapeDocument) -> DrawItem {
        item([0.0; 2], Rect::at_origin(size), Paint::Shape(Arc::new(shape)))
    }

    fn reds(picture: &RgbaImage, y: u32) -> Vec<u8> {
        (0..picture.width()).map(|x| picture.get_pixel(x, y)[0]).collect()
    }

    fn text(colour: Rgba) -> Arc<TextRaster> {
        let blocks = TextRaster::plain("\u{2588}\u{2588}".into(), 10.0);
        Arc::new(TextRaster { font: "DejaVu Sans".into(), colour, wrap: false, ..blocks })
    }

    #[test]
    fn edges_between_pixels_are_exact_and_others_are_covered_in_part() {
        let mut studio = studio();
        let aligned = studio.srgb(vec![solid([4.0, 2.0], [3.0, 8.0], Rgba::WHITE)]);
        assert_eq!(reds(&aligned, 5)[..9], [0, 0, 0, 0, 255, 255, 255, 0, 0]);
        assert_eq!((aligned.get_pixel(5, 1)[0], aligned.get_pixel(5, 2)[0], aligned.get_pixel(5, 10)[0]), (0, 255, 0));
        // From 4.25 to 6.5: three quarters, one, one half.
        let between = studio.srgb(vec![solid([4.25, 2.0], [2.25, 8.0], Rgba::WHITE)]);
        assert_eq!(reds(&between, 5)[3..8], [0, 191, 255, 128, 0]);
        // Thinner than a pixel: a quarter of it.
        let thin = studio.srgb(vec![solid([4.5, 2.0], [0.25, 8.0], Rgba::WHITE)]);
        assert_eq!(reds(&thin, 5)[3..6], [0, 64, 0]);
    }

    #[test]
    fn translucent_colours_mix_in_the_blend_space() {
        let mut studio = studio();
        let half = || vec![solid([0.0; 2], [32.0, 16.0], Rgba::new(255, 255, 255, 128))];
        let mixed = |picture: RgbaImage| picture.get_pixel(9, 9).0;
        assert_eq!(mixed(studio.srgb(half())), [128, 128, 128, 255]);
        // Half the light is 188 encoded.
        let linear = mixed(studio.draw(BlendSpace::Linear, half()));
        assert!(linear[0].abs_diff(188) <= 1 && linear[3] == 255, "{linear:?}");
        assert_eq!(mixed(studio.srgb(half())), [128, 128, 128, 255], "and back again");
    }

    #[test]
    fn gradients_interpolate_premultiplied_colours() {
        let stops =
            [(0.0, Rgba::new(255, 0, 0, 255)), (1.0, Rgba::CLEAR)].map(|(offset, colour)| Stop { offset, colour });
        let fill = Some(Fill::Linear { from: [0.0, 0.0], to: [32.0, 0.0], stops: stops.to_vec() });
        let outline = Outline::Rectangle { rect: Rect::new(0.0, 0.0, 32.0, 16.0), radius: 0.0 };
        let picture = studio().srgb(vec![shape([32.0, 16.0], ShapeDocument { outline, fill, stroke: None })]);
        // At a pixel's centre t = (x + 0.5) / 32; straight interpolation would square the falloff.
        for x in [0, 7, 16, 31] {
            let expected = 255.0 * (1.0 - (f64::from(x) + 0.5) / 32.0);
            assert!((f64::from(picture.get_pixel(x, 8)[0]) - expected).abs() <= 1.0, "at {x}");
        }
    }

    #[test]
    fn a_stroke_is_centred_on_its_outline() {
        let stroke = Some(Stroke { colour: Rgba::WHITE, width: 2.0 });
        let line = Outline::Line { from: [2.0, 8.0], to: [30.0, 8.0] };
        let picture = studio().srgb(vec![shape([32.0, 16.0], ShapeDocument { outline: line, fill: None, stroke })]);
        assert_eq!((0..16).map(|y| picture.get_pixel(10, y)[0]).collect::<Vec<_>>()[5..11], [0, 0, 255, 255, 0, 0]);
        assert_eq!(reds(&picture, 8)[..4], [0, 0, 255, 255], "a butt end at 2");

        let rect = Rect::new(4.0, 3.0, 20.0, 10.0);
        let outline = Outline::Rectangle { rect, radius: 0.0 };
        let fill = Some(Fill::Solid(Rgba::new(100, 0, 0, 255)));
        let picture = studio().srgb(vec![shape([32.0, 16.0], ShapeDocument { outline, fill, stroke })]);
        assert_eq!(reds(&picture, 8)[2..7], [0, 255, 255, 100, 100]);
        assert_eq!(picture.get_pixel(3, 2)[0], 255, "its corners are sharp");
    }

    #[test]
    fn translucent_text_fades_as_a_whole() {
        let mut studio = studio();
        let mut block_at_half = |alpha| {
            let raster = RasterKey::Text(text(Rgba::new(255, 255, 255, alpha)));
            assert!(studio.library.prepare(std::slice::from_ref(&raster), WAIT).is_complete());
            let RasterKey::Text(text) = &raster else { unreachable!() };
            let block = studio.library.text(text).unwrap().block();
            let [w, h] = text.texture_size(block).map(|side| side as f32);
            let dest = Rect::new(-text.overhang(), -text.overhang(), w, h);
            let clip = Rect::new(0.0, 0.0, 32.0, 16.0);
            studio.srgb(vec![item([0.0; 2], clip, Paint::Raster { raster, dest })])
        };
        let (full, half) = (block_at_half(255), block_at_half(128));
        assert_eq!(full.get_pixel(6, 6)[0], 255, "a full block is solid, also where two touch");
        for (full, half) in full.pixels().zip(half.pixels()) {
            let expected = f64::from(full[0]) * 128.0 / 255.0;
            assert!((f64::from(half[0]) - expected).abs() <= 1.0, "{full:?} {half:?}");
        }
    }

    #[test]
    fn the_ring_holds_three_and_gives_them_back_in_order() {
        let Studio { mut compositor, mut picture, .. } = studio();
        let list = |colour| DrawList {
            size: compositor.size(),
            blend_space: BlendSpace::Srgb,
            background: colour,
            items: Vec::new(),
        };
        let (white, black) = (list(Rgba::WHITE), list(Rgba::BLACK));
        for frame in 10..13 {
            let list = if frame % 2 == 0 { &white } else { &black };
            compositor.render(frame, list).unwrap();
        }
        assert_eq!((compositor.in_flight(), compositor.render(13, &white)), (3, Err(Error::RingFull)));
        for (frame, luma) in [(10, 235), (11, 16), (12, 235)] {
            assert_eq!(compositor.collect(WAIT, &mut picture), Ok(Some(frame)));
            assert_eq!(picture.luma()[0], luma);
        }
        assert_eq!(compositor.collect(WAIT, &mut picture), Ok(None), "nothing is in flight");
        assert_eq!(compositor.render(13, &white), Ok(()));
        assert_eq!(compositor.maintain(), Ok(()));
    }

    #[test]
    fn wrong_sizes_are_refused() {
        let Studio { mut compositor, .. } = studio();
        let size = Size::new(64, 64).unwrap();
        let list = DrawList { size, blend_space: BlendSpace::Srgb, background: Rgba::BLACK, items: Vec::new() };
        let error = compositor.render(0, &list).unwrap_err().to_string();
        assert_eq!(error, "the draw list has 64x64 pixels where the compositor has 32x16");
        assert!(matches!(compositor.collect(WAIT, &mut Picture::black(size)), Err(Error::SizeMismatch { .. })));
    }

    #[test]
    fn what_cannot_be_seen_is_not_drawn() {
        let mut studio = studio();
        let mut faded = solid([0.0; 2], [4.0, 4.0], Rgba::WHITE);
        faded.opacity = 0.0;
        let away = solid([40.0, 0.0], [4.0, 4.0], Rgba::WHITE);
        let clear = solid([0.0; 2], [4.0, 4.0], Rgba::CLEAR);
        studio.srgb(vec![faded, away, clear, solid([0.0; 2], [1.0, 1.0], Rgba::WHITE)]);
        let stats = studio.compositor.stats();
        assert_eq!((stats.items, stats.culled), (1, 3));
    }

    /// A picture that is not decoded yet is left out, said to be pending, and there a little later.
    #[test]
    fn what_is_not_there_yet_is_pending() {
        let mut studio = studio();
        let raster = RasterKey::Image("builtin:show/logo.png".into());
        let logo = || {
            let dest = Rect::new(0.0, 0.0, 32.0, 16.0);
            vec![item([0.0; 2], dest, Paint::Raster { raster: raster.clone(), dest })]
        };
        studio.srgb(logo());
        studio.library.prepare(std::slice::from_ref(&raster), WAIT);
        studio.srgb(logo());
        assert!(!studio.compositor.is_pending());
        let made = studio.compositor.stats().cache.made_total;
        studio.srgb(logo());
        assert_eq!(studio.compositor.stats().cache.made_total, made, "made once, kept afterwards");
    }

    /// Each is opened on one thread and used on another.
    #[test]
    fn they_can_be_handed_to_threads() {
        fn is_send<T: Send>() {}
        fn is_sync<T: Send + Sync>() {}
        is_send::<Compositor>();
        is_sync::<Arc<Gpu>>();
        is_sync::<Arc<Library>>();
    }

    /// A device that goes away is an error of every call, and never a panic.
    #[test]
    fn a_lost_device_is_an_error() {
        let gpu = Gpu::open(&crate::gpu::Options::default()).unwrap();
        let library = Library::new(Config::default()).unwrap();
        let size = Size::new(32, 16).unwrap();
        let mut compositor = Compositor::new(gpu.clone(), library.clone(), size, VideoColour::BT709_LIMITED).unwrap();
        let mut picture = Picture::black(size);
        let items = vec![solid([0.0; 2], [4.0, 4.0], Rgba::WHITE)];
        let list = DrawList { size, blend_space: BlendSpace::Srgb, background: Rgba::BLACK, items };
        compositor.render(0, &list).unwrap();
        gpu.device.destroy();
        // The driver may tell on the next call or on the one after it.
        let _ = (compositor.render(1, &list), compositor.collect(WAIT, &mut picture), compositor.maintain());
        assert!(gpu.is_lost());
        assert_eq!(compositor.render(2, &list), Err(Error::Lost));
        assert_eq!(compositor.collect(WAIT, &mut picture), Err(Error::Lost));
        assert_eq!(compositor.maintain(), Err(Error::Lost));
        assert!(compositor.capture().is_err());
        assert!(Compositor::new(gpu, library, size, VideoColour::BT709_LIMITED).is_err());
    }

    /// More items than the buffer starts with room for: it grows, and what was bound to it follows.
    #[test]
    fn many_items_fit() {
        let mut studio = studio();
        let column = |i: u32| solid([f64::from(i % 32), 0.0], [1.0, 16.0], Rgba::new((i % 32) as u8 * 8, 0, 0, 255));
        let picture = studio.srgb((0..1000).map(column).collect());
        assert_eq!(reds(&picture, 3), (0..32).map(|x| x * 8).collect::<Vec<u8>>());
    }
}
