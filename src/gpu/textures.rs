//! The textures of all rasters in use, made when they are first drawn and kept.
//!
//! Bounded in bytes, least recently used first; what the last frame drew is never dropped, what no frame drew for a
//! while always is. A texture that cannot be made is remembered as such and tried again later, so that a broken layer
//! does not cost a try on every frame.

use std::sync::Arc;

use serde::Serialize;

use super::{
    Error,
    device::Gpu,
    effects::{self, Table},
    light, pipeline,
    text::Text,
    upload::Upload,
};
use crate::{
    media::{Ink, Library, ShapedText, cache::Cache},
    scene::{
        BlendSpace,
        draw::{Raster, TextRaster},
    },
};

/// What all textures may occupy, in bytes.
const BYTES_MAX: u64 = 512 << 20;
/// Frames after which an unused texture is dropped at the earliest: ten seconds at 60 fps.
const UNUSED_FRAMES: u64 = 600;
/// Frames after which a texture that could not be made is tried again.
const RETRY_FRAMES: u64 = 300;

/// How full the textures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheStats {
    /// Textures that are kept.
    pub textures: usize,
    /// Bytes they occupy.
    pub bytes: u64,
    /// Textures made since the start.
    pub made_total: u64,
    /// Textures that could not be made since the start.
    pub failed_total: u64,
    /// Bytes of the surfaces that groups are drawn on.
    pub surface_bytes: u64,
}

/// A raster on the GPU.
#[derive(Debug)]
pub(crate) struct Texture {
    /// Group 2 of the raster pipeline.
    pub(crate) group: wgpu::BindGroup,
    /// Width and height in texels.
    pub(crate) size: [u32; 2],
    /// Mip levels.
    pub(crate) levels: u32,
    /// Opacity that belongs to the texture: the alpha of a text's colour.
    pub(crate) fade: f32,
    /// Whether nothing shows through it.
    pub(crate) is_opaque: bool,
    /// What belongs to a table of colours; the group is that of one.
    pub(crate) table: Option<Table>,
}

/// What there is of a raster.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    Ready(Arc<Texture>),
    /// The library does not have its pixels yet.
    Pending,
    Failed(Arc<str>),
}

#[derive(Debug)]
enum Slot {
    Ready { texture: Arc<Texture>, revision: Option<u64> },
    Failed { message: Arc<str>, frame: u64 },
}

/// All textures of one compositor.
pub(crate) struct Textures {
    gpu: Arc<Gpu>,
    library: Arc<Library>,
    cache: Cache<Raster, Slot>,
    layout: wgpu::BindGroupLayout,
    table_layout: wgpu::BindGroupLayout,
    upload: Upload,
    text: Text,
    space: BlendSpace,
    stats: CacheStats,
    frame: u64,
    /// Start of the last drawn frame in the order of uses.
    drawn: u64,
    /// Two points in the order of uses, [`UNUSED_FRAMES`] apart; what was not used since the first is old.
    ages: [u64; 2],
}

impl Textures {
    /// `layout` is that of group 2.
    pub(crate) fn new(gpu: Arc<Gpu>, library: Arc<Library>, space: BlendSpace) -> Self {
        let layout = gpu.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("gpu.texture"),
            entries: &[pipeline::texture(0, wgpu::ShaderStages::FRAGMENT)],
        });
        let table_layout = effects::table_layout(&gpu.device);
        let upload = Upload::new(&gpu.device, space);
        let text = Text::new(gpu.clone(), &library, space);
        let cache = Cache::new(BYTES_MAX);
        let stats = CacheStats::default();
        Self { gpu, library, cache, layout, table_layout, upload, text, space, stats, frame: 0, drawn: 0, ages: [0; 2] }
    }

    pub(crate) fn layout(&self) -> &wgpu::BindGroupLayout {
        &self.layout
    }

    /// The layout of a group with a table of colours.
    pub(crate) fn table_layout(&self) -> &wgpu::BindGroupLayout {
        &self.table_layout
    }

    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats { textures: self.cache.len(), bytes: self.cache.cost(), ..self.stats }
    }

    /// A frame begins: what is used from now on is in it.
    pub(crate) fn begin_frame(&mut self) {
        self.drawn = self.cache.mark();
    }

    /// A frame is over, whether anything was drawn or not. Drops what is old or too much.
    pub(crate) fn end_frame(&mut self) {
        self.cache.trim(self.drawn);
        self.frame += 1;
        if self.frame.is_multiple_of(UNUSED_FRAMES) {
            self.ages = [self.ages[1], self.cache.mark()];
            // A picture that stands still is not drawn again, yet on air.
            self.cache.drop_before(self.ages[0].min(self.drawn));
        }
    }

    /// The texture of `raster`, made if it must be, and whether it was made now: its pixels may be other ones than before.
    pub(crate) fn find(&mut self, raster: &Raster) -> (Found, bool) {
        let made = self.stats.made_total;
        let found = self.find_or_make(raster);
        (found, self.stats.made_total > made)
    }

    fn find_or_make(&mut self, raster: &Raster) -> Found {
        let revision = self.revision(raster);
        let old = match self.cache.get(raster) {
            Some(Slot::Ready { texture, revision: made_of }) if revision.is_none() || *made_of == revision => {
                return Found::Ready(texture.clone());
            }
            Some(Slot::Failed { message, frame }) if self.frame < *frame + RETRY_FRAMES => {
                return Found::Failed(message.clone());
            }
            Some(Slot::Ready { texture, .. }) => Some(texture.clone()),
            Some(Slot::Failed { .. }) | None => None,
        };
        match self.make(raster) {
            Some(made) => self.keep(raster, revision, made),
            // A replaced picture is shown until the new one is there.
            None => old.map_or(Found::Pending, Found::Ready),
        }
    }

    /// Only files change under their name; a text's key is all that its pixels depend on.
    fn revision(&self, raster: &Raster) -> Option<u64> {
        (!matches!(raster, Raster::Text(_))).then(|| self.library.revision(raster)).flatten()
    }

    fn keep(&mut self, raster: &Raster, revision: Option<u64>, made: Result<(Texture, u64), Error>) -> Found {
        match made {
            Ok((texture, bytes)) => {
                self.stats.made_total += 1;
                let texture = Arc::new(texture);
                self.cache.insert(raster.clone(), Slot::Ready { texture: texture.clone(), revision }, bytes);
                Found::Ready(texture)
            }
            Err(error) => {
                self.stats.failed_total += 1;
                let message: Arc<str> = error.to_string().into();
                let slot = Slot::Failed { message: message.clone(), frame: self.frame };
                self.cache.insert(raster.clone(), slot, 0);
                Found::Failed(message)
            }
        }
    }

    /// A texture and the bytes it occupies; `None` while the library is still at work.
    fn make(&mut self, raster: &Raster) -> Option<Result<(Texture, u64), Error>> {
        let gpu = self.gpu.clone();
        Some(match raster {
            Raster::Image(_) | Raster::Frame { .. } | Raster::Cell { .. } | Raster::Vector(_) => {
                let pixels = self.library.pixels(raster)?;
                let made =
                    gpu.scoped("the texture of a picture", || self.upload.picture(&gpu.device, &gpu.queue, &pixels));
                made.map(|texture| self.wrap(&texture, 1.0, pixels.is_opaque()))
            }
            Raster::Lut(name) => {
                let lut = self.library.lut(name)?;
                gpu.scoped("the texture of a table", || effects::table(&gpu, &self.table_layout, &lut))
            }
            Raster::Text(text) => self.write(&gpu, text, &*self.library.text(text)?),
        })
    }

    fn write(&mut self, gpu: &Gpu, raster: &TextRaster, shaped: &ShapedText) -> Result<(Texture, u64), Error> {
        const WHAT: &str = "the texture of a text";
        let (texture, fade) = match shaped.ink() {
            Ink::Lines(lines) => {
                self.text.follow(&self.library);
                let texture = gpu.scoped(WHAT, || self.text.draw(raster, lines, shaped.block())).flatten()?;
                (texture, f32::from(raster.colour.a) / 255.0)
            }
            Ink::Pixels(pixels) => (gpu.scoped(WHAT, || self.upload.picture(&gpu.device, &gpu.queue, pixels))?, 1.0),
        };
        Ok(self.wrap(&texture, fade, false))
    }

    fn wrap(&self, texture: &wgpu::Texture, fade: f32, is_opaque: bool) -> (Texture, u64) {
        let group = bind(&self.gpu.device, &self.layout, &light::view(texture, "gpu.texture", self.space));
        let (size, levels) = ([texture.width(), texture.height()], texture.mip_level_count());
        let base = u64::from(size[0]) * u64::from(size[1]) * 4;
        // All smaller levels together are a third of the largest.
        let bytes = if levels > 1 { base + base / 3 } else { base };
        (Texture { group, size, levels, fade, is_opaque, table: None }, bytes)
    }
}

/// Group 2 with one texture.
pub(crate) fn bind(device: &wgpu::Device, layout: &wgpu::BindGroupLayout, view: &wgpu::TextureView) -> wgpu::BindGroup {
    device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("gpu.texture"),
        layout,
        entries: &[wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::TextureView(view) }],
    })
}
