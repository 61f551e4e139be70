//! Shaped texts of one colour into textures, by glyphon; those with more to them the workers painted.
//!
//! A text is drawn once, onto clear ground in the blend space, and kept as a texture; from then on it is a picture like
//! any other and its glyphs are not needed again. It is drawn opaque: what is translucent in its colour fades the whole
//! texture, so that letters which touch do not show through each other.
//!
//! Glyphs are rasterised here, on the render thread, with a font system that shares no lock with the shaping workers;
//! font ids agree because all font systems start from clones of one database, to which faces are only added.

use std::sync::Arc;

use glyphon::{
    Buffer, Cache, Color, ColorMode, FontSystem, PrepareError, Resolution, SwashCache, TextArea, TextAtlas, TextBounds,
    TextRenderer, Viewport,
};

use super::{Error, device::Gpu, light, upload};
use crate::{
    media::Library,
    scene::{BlendSpace, draw::TextRaster},
};

const LABEL: &str = "gpu.text";

/// Draws texts into textures of their own.
pub(crate) struct Text {
    gpu: Arc<Gpu>,
    system: FontSystem,
    /// Which set of fonts `system` has.
    generation: u64,
    swash: SwashCache,
    cache: Cache,
    viewport: Viewport,
    glyphs: Glyphs,
    space: BlendSpace,
}

/// The glyphs that were rasterised, and what draws them.
struct Glyphs {
    atlas: TextAtlas,
    renderer: TextRenderer,
}

impl Glyphs {
    fn new(gpu: &Gpu, cache: &Cache, space: BlendSpace) -> Self {
        // Each mode is made for its view: `Web` mixes encoded values, `Accurate` light.
        let mode = match space {
            BlendSpace::Srgb => ColorMode::Web,
            BlendSpace::Linear => ColorMode::Accurate,
        };
        let mut atlas = TextAtlas::with_color_mode(&gpu.device, &gpu.queue, cache, light::seen_in(space), mode);
        let renderer = TextRenderer::new(&mut atlas, &gpu.device, wgpu::MultisampleState::default(), None);
        Self { atlas, renderer }
    }
}

impl Text {
    pub(crate) fn new(gpu: Arc<Gpu>, library: &Library, space: BlendSpace) -> Self {
        let cache = Cache::new(&gpu.device);
        let viewport = Viewport::new(&gpu.device, &cache);
        let glyphs = Glyphs::new(&gpu, &cache, space);
        let (system, generation) = library.font_system();
        Self { gpu, system, generation, swash: SwashCache::new(), cache, viewport, glyphs, space }
    }

    /// Takes the fonts that were uploaded since; what is in the atlas stays good, as ids do.
    pub(crate) fn follow(&mut self, library: &Library) {
        if library.fonts_generation() != self.generation {
            (self.system, self.generation) = library.font_system();
        }
    }

    /// A texture of `raster.texture_size` with the text in it.
    pub(crate) fn draw(
        &mut self,
        raster: &TextRaster,
        lines: &Buffer,
        block: [f32; 2],
    ) -> Result<wgpu::Texture, Error> {
        let [width, height] = raster.texture_size(block);
        self.viewport.update(&self.gpu.queue, Resolution { width, height });
        if self.prepare(raster, lines).is_err() {
            // Full of other texts' glyphs: a new atlas has room, unless this text alone is too much.
            self.glyphs = Glyphs::new(&self.gpu, &self.cache, self.space);
            self.prepare(raster, lines).map_err(|PrepareError::AtlasFull| Error::Create {
                what: "the glyphs of a text".into(),
                reason: "they do not fit into the glyph atlas; set it smaller or shorter".into(),
            })?;
        }
        self.record([width, height])
    }

    fn prepare(&mut self, raster: &TextRaster, lines: &Buffer) -> Result<(), PrepareError> {
        let offset = raster.overhang() * raster.scale;
        let colour = raster.colour;
        let area = TextArea {
            buffer: lines,
            left: offset,
            top: offset,
            scale: 1.0,
            bounds: TextBounds::default(),
            default_color: Color::rgb(colour.r, colour.g, colour.b),
            custom_glyphs: &[],
        };
        let Glyphs { atlas, renderer } = &mut self.glyphs;
        let (device, queue) = (&self.gpu.device, &self.gpu.queue);
        let prepared =
            renderer.prepare(device, queue, &mut self.system, atlas, &self.viewport, [area], &mut self.swash);
        // Without it no glyph would ever make room for another.
        atlas.trim();
        prepared
    }

    fn record(&self, size: [u32; 2]) -> Result<wgpu::Texture, Error> {
        let device = &self.gpu.device;
        let texture = upload::texture(device, LABEL, size, 1);
        let view = texture.create_view(&wgpu::TextureViewDescriptor {
            label: Some(LABEL),
            format: Some(light::seen_in(self.space)),
            ..Default::default()
        });
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some(LABEL) });
        let mut pass = upload::begin(&mut encoder, LABEL, &view, wgpu::LoadOp::Clear(wgpu::Color::TRANSPARENT));
        let rendered = self.glyphs.renderer.render(&self.glyphs.atlas, &self.viewport, &mut pass);
        rendered.map_err(|error| Error::Create { what: "a text".into(), reason: error.to_string() })?;
        drop(pass);
        // At once: the next text writes its glyphs into the same vertex buffer.
        self.gpu.queue.submit([encoder.finish()]);
        Ok(texture)
    }
}
