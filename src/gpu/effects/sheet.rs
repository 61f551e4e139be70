//! Textures that passes write and others read, and a pool of them.
//!
//! A sheet is borrowed while passes are planned and given back before the next ones are, for passes run in order. Chains
//! come in few sizes, so the pool holds few sheets; one that no chain has used for a while is dropped.

use std::sync::Arc;

use super::{Error, Tools};
use crate::gpu::{surface, textures::Texture};

/// What the pool may occupy, in bytes.
const BYTES_MAX: u64 = 256 << 20;
/// Drawn frames after which a sheet that was not used is dropped.
const UNUSED_FRAMES: u64 = 300;

/// A texture that is written by a pass, and as something that is read.
#[derive(Debug)]
pub(crate) struct Sheet {
    pub(crate) view: wgpu::TextureView,
    pub(crate) picture: Arc<Texture>,
}

impl Sheet {
    fn bytes(&self) -> u64 {
        surface::bytes_of(self.picture.size)
    }
}

/// Sheets that nobody uses at the moment.
#[derive(Debug, Default)]
pub(crate) struct Sheets {
    /// With the number of the drawn frame that used it last; used longest ago first.
    free: Vec<(Arc<Sheet>, u64)>,
    frame: u64,
}

impl Sheets {
    /// A sheet of this size, with anything on it.
    pub(super) fn take(&mut self, tools: &Tools<'_>, size: [u32; 2]) -> Result<Arc<Sheet>, Error> {
        if let Some(index) = self.free.iter().position(|(sheet, _)| sheet.picture.size == size) {
            return Ok(self.free.remove(index).0);
        }
        tools.gpu.scoped("a texture for effects", || Arc::new(tools.maker.sheet("gpu.effects.sheet", size)))
    }

    /// Gives a sheet back.
    pub(super) fn give(&mut self, sheet: Arc<Sheet>) {
        self.free.push((sheet, self.frame));
    }

    /// Bytes of all sheets.
    pub(super) fn bytes(&self) -> u64 {
        self.free.iter().map(|(sheet, _)| sheet.bytes()).sum()
    }

    /// Drops what is old or too much; `frame` is the number of the drawn frame that is over.
    pub(super) fn trim(&mut self, frame: u64) {
        self.frame = frame;
        self.free.retain(|&(_, used)| frame - used < UNUSED_FRAMES);
        let mut bytes = self.bytes();
        self.free.retain(|(sheet, _)| {
            let fits = bytes <= BYTES_MAX;
            bytes -= if fits { 0 } else { sheet.bytes() };
            fits
        });
    }
}
