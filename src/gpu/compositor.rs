//! One stream's picture: draws a frame, converts it, brings it back.
//!
//! ```text
//!  render(n)      render(n+1)     render(n+2)        never waits; refuses when three frames are in flight
//!     └── collect() = n    └── collect() = n+1      waits as long as it is told, oldest first
//! ```
//!
//! What comes back are pictures of the canvas in one size or in several, its renditions; see `delivery.rs`.
//!
//! Used by one thread. The target keeps the last picture: [`Compositor::capture`] reads it at any time, and a frame draws
//! and converts only where its list differs from the last one's. That gives the same picture as drawing everything, bit
//! for bit; a test holds it to that. How it is drawn is `painter.rs`.

use std::{sync::Arc, time::Duration};

use image::RgbaImage;
use serde::Serialize;

use super::{
    CacheStats, Error,
    delivery::{Delivered, Delivery},
    device::Gpu,
    framing::Framing,
    light,
    painter::Painter,
    readback::Readback,
    surface::Surface,
};
use crate::{
    base::{colour::VideoColour, nv12::Picture, size::Size},
    media::Library,
    scene::{BlendSpace, DrawList, LayerError, damage::Damage},
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
    colour: VideoColour,
    target: Surface,
    painter: Painter,
    delivery: Delivery,
    /// Of the last frame.
    damage: Damage,
    /// Of the picture collected last.
    collected_damage: Damage,
    stats: Stats,
}

impl std::fmt::Debug for Compositor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compositor").field("size", &self.size).field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Compositor {
    /// A compositor for a canvas of `size` and pictures of all of it. What every scene needs is made now; the pipelines of
    /// shapes and the textures of rasters are when they are first drawn.
    ///
    /// # Errors
    /// [`Error::Lost`]; [`Error::Create`] when the GPU has no memory for it.
    pub fn new(gpu: Arc<Gpu>, library: Arc<Library>, size: Size, colour: VideoColour) -> Result<Self, Error> {
        Self::with_renditions(gpu, library, size, colour, &[Framing::whole(size)])
    }

    /// The same, with pictures of these renditions of the canvas, 1 to [`RENDITIONS_MAX`](super::RENDITIONS_MAX).
    ///
    /// # Errors
    /// As of [`Self::new`].
    pub fn with_renditions(
        gpu: Arc<Gpu>,
        library: Arc<Library>,
        size: Size,
        colour: VideoColour,
        renditions: &[Framing],
    ) -> Result<Self, Error> {
        gpu.check()?;
        let make = || {
            let (painter, target, encoded) = easel(&gpu, &library, size, BlendSpace::default());
            (painter, target, Delivery::new(&gpu, &encoded, renditions, colour))
        };
        let (painter, target, delivery) = gpu.scoped("a compositor", make)?;
        let (damage, collected_damage, stats) = (Damage::none(), Damage::none(), Stats::default());
        Ok(Self { gpu, library, size, colour, target, painter, delivery, damage, collected_damage, stats })
    }

    /// Size of the canvas.
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
        self.render_for(frame, list, |_| true).map(|_| ())
    }

    /// [`Self::render`] for some of the renditions, by their index. Whether a picture of any is on its way.
    ///
    /// # Errors
    /// As of [`Self::render`].
    pub fn render_for(
        &mut self,
        frame: u64,
        list: &DrawList,
        is_wanted: impl Fn(usize) -> bool,
    ) -> Result<bool, Error> {
        self.gpu.check()?;
        if list.size != self.size {
            return Err(mismatch("the draw list", self.size, list.size));
        }
        if self.delivery.is_full() {
            return Err(Error::RingFull);
        }
        self.use_space(list.blend_space)?;
        self.painter.begin_frame();
        self.damage = self.painter.prepare(&mut self.target, &list.items, Some(list.background));
        self.delivery.note(&self.damage);
        self.stats.frames_total += 1;
        self.stats.damaged_pixels_total += self.damage.area();
        let mut encoder = self.encoder();
        self.painter.record(&mut encoder);
        let submission = self.submit(frame, encoder, is_wanted);
        self.painter.end_frame(&mut self.target);
        submission
    }

    /// For a frame that is the one before it once more: sends the pictures of those renditions on their way that are wanted
    /// and do not have it yet, because they were not wanted then. Whether there is any. Does what [`Self::maintain`] does.
    ///
    /// # Errors
    /// [`Error::Lost`]
    pub fn refresh(&mut self, frame: u64, is_wanted: impl Fn(usize) -> bool) -> Result<bool, Error> {
        // With no buffer free it is done on a later frame.
        if self.delivery.is_full() || !self.delivery.is_behind(&is_wanted) {
            return self.maintain().map(|()| false);
        }
        self.gpu.check()?;
        let encoder = self.encoder();
        let submission = self.submit(frame, encoder, is_wanted);
        self.painter.end_frame(&mut self.target);
        submission
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("gpu.frame") })
    }

    /// Submits what is recorded and the way back of what is wanted.
    fn submit(
        &mut self,
        frame: u64,
        mut encoder: wgpu::CommandEncoder,
        is_wanted: impl Fn(usize) -> bool,
    ) -> Result<bool, Error> {
        let underway = self.delivery.record(&self.gpu.queue, &mut encoder, is_wanted);
        // What was planned was not drawn.
        let underway = underway.inspect_err(|_| self.forget())?;
        let submission = self.gpu.queue.submit([encoder.finish()]);
        let is_underway = underway.is_some();
        if let Some(underway) = underway {
            self.delivery.submitted(frame, underway, submission);
        }
        Ok(is_underway)
    }

    /// Waits, at most `wait` for each, until the users' shaders in `list` are made or have failed. Blocks: for stills and
    /// for rendering without a clock; on air they are made while the layer is pending.
    pub fn prepare(&mut self, list: &DrawList, wait: Duration) -> Result<(), Error> {
        self.gpu.check()?;
        self.use_space(list.blend_space)?;
        self.painter.wait(&list.items, wait);
        self.gpu.check()
    }

    /// Draws the next frame whole, whatever the last one was.
    pub fn forget(&mut self) {
        self.target.forget();
    }

    /// Where the last frame differed from the one before it.
    pub fn damage(&self) -> &Damage {
        &self.damage
    }

    /// Layers of the last frame that could not be drawn, and why.
    pub fn problems(&self) -> &[LayerError] {
        &self.painter.report().problems
    }

    /// Whether something of the last frame was missing because its pixels are still being made: draw again soon.
    pub fn is_pending(&self) -> bool {
        self.painter.report().is_pending
    }
    /// Pictures on their way back, at most three.
    pub fn in_flight(&self) -> usize {
        self.delivery.in_flight()
    }

    /// Waits, at most `wait`, for the oldest frame in flight and copies the picture of the first rendition `into` one of the
    /// same size. The number of its frame, or `None` when it is not there yet.
    ///
    /// # Errors
    /// [`Error::Lost`]; [`Error::SizeMismatch`]; [`Error::Readback`] when this one picture is lost.
    pub fn collect(&mut self, wait: Duration, into: &mut Picture) -> Result<Option<u64>, Error> {
        let size = self.delivery.layout(0).size;
        if into.layout().size != size {
            return Err(mismatch("the picture", size, into.layout().size));
        }
        let mut damage = None;
        let frame = self.collect_each(wait, |delivered| {
            if let Some((bytes, changed)) = delivered.picture.filter(|_| delivered.rendition == 0) {
                into.bytes_mut().copy_from_slice(bytes);
                damage = Some(changed);
            }
        })?;
        self.collected_damage = damage.unwrap_or(self.collected_damage);
        Ok(frame)
    }

    /// Waits, at most `wait`, for the oldest frame in flight and hands out what came of it, for one rendition after the
    /// other. Its number, or `None` when it is not there yet.
    ///
    /// # Errors
    /// [`Error::Lost`]; [`Error::Readback`] when the pictures of this one frame are lost.
    pub fn collect_each(&mut self, wait: Duration, read: impl FnMut(Delivered<'_>)) -> Result<Option<u64>, Error> {
        self.delivery.collect(&self.gpu, wait, read)
    }

    /// In which of its pixels the picture collected last may differ from the one collected before it. All others are the
    /// same, byte for byte.
    pub fn collected_damage(&self) -> Damage {
        self.collected_damage
    }

    /// To be called once a frame time when nothing is rendered: frees what the GPU is done with and ages the textures.
    pub fn maintain(&mut self) -> Result<(), Error> {
        self.gpu.check()?;
        self.painter.end_frame(&mut self.target);
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
        let scheduled = once.record(&mut encoder, |encoder, _, buffer| {
            let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(pitch), rows_per_image: None };
            let target = &self.target.texture;
            let buffer = wgpu::TexelCopyBufferInfo { buffer, layout };
            encoder.copy_texture_to_buffer(target.as_image_copy(), buffer, target.size());
        })?;
        once.submitted(0, scheduled, self.gpu.queue.submit([encoder.finish()]));
        let mut picture = RgbaImage::new(width, height);
        let collected = once.collect(&self.gpu, CAPTURE_WAIT, |_, mapped| {
            let rows = picture.chunks_exact_mut(width as usize * 4).zip(mapped.chunks_exact(pitch as usize));
            rows.for_each(|(row, padded)| row.copy_from_slice(&padded[..row.len()]));
        })?;
        collected.map(|_| picture).ok_or(Error::Timeout { after_ms: CAPTURE_WAIT.as_millis() as u64 })
    }

    /// What it has done and holds.
    pub fn stats(&self) -> Stats {
        let report = self.painter.report();
        let (items, culled, cache) = (report.items, report.culled, self.painter.cache());
        Stats { items, culled, in_flight: self.in_flight(), cache, ..self.stats }
    }

    fn use_space(&mut self, space: BlendSpace) -> Result<(), Error> {
        if self.painter.space() != space {
            let (gpu, delivery) = (&self.gpu, &mut self.delivery);
            let make = || {
                let (painter, target, encoded) = easel(gpu, &self.library, self.size, space);
                delivery.take_from(gpu, &encoded, self.colour);
                (painter, target)
            };
            (self.painter, self.target) = gpu.scoped("the pipelines", make)?;
        }
        Ok(())
    }
}

/// What draws in one blend space, what is drawn on, and that as its encoded values, whatever space they were mixed in.
fn easel(
    gpu: &Arc<Gpu>,
    library: &Arc<Library>,
    size: Size,
    space: BlendSpace,
) -> (Painter, Surface, wgpu::TextureView) {
    let painter = Painter::new(gpu, library, space);
    let target = painter.target(size.sides());
    let encoded = light::view(&target.texture, "gpu.target", BlendSpace::Srgb);
    (painter, target, encoded)
}

fn mismatch(what: &'static str, expected: Size, got: Size) -> Error {
    let text = |size: Size| format!("{}x{}", size.width(), size.height());
    Error::SizeMismatch { what, expected: text(expected), got: text(got) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{colour::Rgba, id::Id},
        gpu::device::tests::gpu,
        media::Config,
        scene::{
            draw::{
                DrawItem, Fill, Outline, Paint, Raster as RasterKey, Shape as ShapeDocument, Stop, Stroke, TextRaster,
            },
            geometry::{Affine, Rect},
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
