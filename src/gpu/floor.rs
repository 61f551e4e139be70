//! The floor: what the lowest items of a surface look like, kept while those above them move.
//!
//! ```text
//!  items   [ a  b  c  d | e  f ]         the run: a to d are what they were on the frame before
//!  floor   a b c d drawn, in tiles       kept when a rectangle over them is drawn anyway
//!  frame   copy of the floor, e, f       once all tiles of a damaged rectangle are kept
//! ```
//!
//! A ticker over five layers changes on every frame, the five do not, and most of the work would be theirs. The copy is of
//! pixels that were drawn in the same way, so the picture is the same bit for bit.

use super::upload;
use crate::scene::damage::{Damage, PixelRect};

/// Pixels on a side of a tile.
const TILE: u32 = 64;
/// Drawn frames for which a run must have stood still before it is kept: what changes once is cheaper drawn.
const STEADY_FRAMES: u32 = 3;
/// Drawn frames after which a longer run takes the place of the one that is kept, if it stood still for as long.
const REVIEW_FRAMES: u32 = 60;

/// What is kept of a surface.
#[derive(Debug, Default)]
pub(crate) struct Floor {
    /// How many items are on it, from the lowest one.
    run: usize,
    /// Drawn frames since they were others.
    steady: u32,
    /// The shortest run that stood still since the last review, and the drawn frames since.
    shortest: Option<usize>,
    reviewed: u32,
    texture: Option<wgpu::Texture>,
    /// Row by row, whether it shows the run there.
    tiles: Vec<bool>,
}

/// What a frame does with the floor. Every damaged rectangle is in one of the two lists.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) texture: wgpu::Texture,
    /// Items on the floor.
    pub(crate) run: usize,
    /// Where the frame starts from a copy of it.
    pub(crate) restored: Vec<PixelRect>,
    /// Where the run is drawn and then kept.
    pub(crate) kept: Vec<PixelRect>,
}

impl Floor {
    /// Plans a frame of a surface of this size, of which the lowest `still` items look as on the frame before. The damage
    /// grows to whole tiles where the floor is yet to be made. `None`: the floor is of no use now.
    pub(crate) fn plan(
        &mut self,
        device: &wgpu::Device,
        size: [u32; 2],
        still: usize,
        damage: &mut Damage,
    ) -> Option<Plan> {
        self.note(still);
        if self.run == 0 || self.steady < STEADY_FRAMES || damage.is_empty() {
            return None;
        }
        while let Some(&rect) =
            damage.rects().iter().find(|rect| !self.has(size, **rect) && !is_whole_tiles(**rect, size))
        {
            damage.add(whole_tiles(rect, size));
        }
        let (restored, kept): (Vec<_>, Vec<_>) = damage.rects().iter().partition(|rect| self.has(size, **rect));
        kept.iter().for_each(|&rect| self.mark(size, rect));
        let texture = self.texture.get_or_insert_with(|| upload::texture(device, "gpu.floor", size, 1)).clone();
        Some(Plan { texture, run: self.run, restored, kept })
    }

    /// Bytes that it occupies.
    pub(crate) fn bytes(&self) -> u64 {
        self.texture.as_ref().map_or(0, |texture| u64::from(texture.width()) * u64::from(texture.height()) * 4)
    }

    fn note(&mut self, still: usize) {
        if still < self.run || self.run == 0 {
            return self.restart(still);
        }
        self.steady = self.steady.saturating_add(1);
        self.reviewed += 1;
        let shortest = self.shortest.map_or(still, |shortest| shortest.min(still));
        self.shortest = Some(shortest);
        if self.reviewed >= REVIEW_FRAMES {
            if shortest > self.run {
                return self.restart(shortest);
            }
            (self.shortest, self.reviewed) = (None, 0);
        }
    }

    fn restart(&mut self, run: usize) {
        let texture = self.texture.take();
        *self = Self { run, texture, ..Self::default() };
    }

    fn has(&self, size: [u32; 2], rect: PixelRect) -> bool {
        tiles_of(rect, size).all(|tile| self.tiles.get(tile) == Some(&true))
    }

    fn mark(&mut self, size: [u32; 2], rect: PixelRect) {
        self.tiles.resize((columns(size) * size[1].div_ceil(TILE)) as usize, false);
        tiles_of(rect, size).for_each(|tile| self.tiles[tile] = true);
    }
}

fn columns(size: [u32; 2]) -> u32 {
    size[0].div_ceil(TILE)
}

/// The tiles that share a pixel with `rect`.
fn tiles_of(rect: PixelRect, size: [u32; 2]) -> impl Iterator<Item = usize> {
    let rows = rect.top / TILE..rect.bottom.div_ceil(TILE);
    rows.flat_map(move |row| {
        let first = row * columns(size);
        (first + rect.left / TILE..first + rect.right.div_ceil(TILE)).map(|tile| tile as usize)
    })
}

/// The smallest rectangle of whole tiles around `rect`.
fn whole_tiles(rect: PixelRect, [width, height]: [u32; 2]) -> PixelRect {
    PixelRect {
        left: rect.left / TILE * TILE,
        top: rect.top / TILE * TILE,
        right: rect.right.next_multiple_of(TILE).min(width),
        bottom: rect.bottom.next_multiple_of(TILE).min(height),
    }
}

fn is_whole_tiles(rect: PixelRect, size: [u32; 2]) -> bool {
    whole_tiles(rect, size) == rect
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::device::tests::gpu;

    const SIZE: [u32; 2] = [200, 100];

    fn frame(floor: &mut Floor, still: usize, rect: PixelRect) -> Option<Plan> {
        let mut damage = Damage::none();
        damage.add(rect);
        floor.plan(&gpu().device, SIZE, still, &mut damage)
    }

    fn rect(left: u32, top: u32, right: u32, bottom: u32) -> PixelRect {
        PixelRect { left, top, right, bottom }
    }

    #[test]
    fn a_run_that_stands_still_is_kept_and_used() {
        let (mut floor, band) = (Floor::default(), rect(10, 70, 150, 80));
        assert!((0..STEADY_FRAMES).all(|_| frame(&mut floor, 4, band).is_none()), "it must prove itself");
        let first = frame(&mut floor, 4, band).unwrap();
        assert_eq!((first.run, first.restored, first.kept), (4, vec![], vec![rect(0, 64, 192, 100)]));
        let next = frame(&mut floor, 5, rect(5, 71, 145, 80)).unwrap();
        assert_eq!((next.run, next.restored, next.kept), (4, vec![rect(5, 71, 145, 80)], vec![]));
    }

    #[test]
    fn a_change_below_starts_it_anew() {
        let (mut floor, band) = (Floor::default(), rect(0, 0, 64, 64));
        while frame(&mut floor, 4, band).is_none() {}
        assert!(frame(&mut floor, 2, band).is_none());
        let again = (0..10).find_map(|_| frame(&mut floor, 4, band)).unwrap();
        assert_eq!((again.run, again.kept), (2, vec![band]));
        let longer = (0..2 * REVIEW_FRAMES).filter_map(|_| frame(&mut floor, 4, band)).last().unwrap();
        assert_eq!((longer.run, longer.restored), (4, vec![band]), "the longer run proved itself");
    }

    #[test]
    fn nothing_still_is_nothing_kept() {
        let mut floor = Floor::default();
        assert!((0..20).all(|_| frame(&mut floor, 0, rect(0, 0, 9, 9)).is_none()));
        assert_eq!(floor.bytes(), 0);
    }
}
