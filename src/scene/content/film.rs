//! What contents that show pictures share: a picture that may move, and what shows of it at a time.

use std::{sync::Arc, time::Duration};

use super::{Action, Planner, Refused, action::Nothing};
use crate::scene::{
    Playback,
    draw::{Paint, Raster, VectorRaster, VectorSource},
    geometry::Rect,
    playback::Rhythm,
};

/// Longest asset name, in bytes.
pub(super) const NAME_LEN_MAX: usize = 256;
/// Longest side of a texture.
const TEXTURE_SIDE_MAX: f32 = 4096.0;

/// A picture that may move.
pub(super) trait Film {
    /// Its own size; `None` (noted) when it is not there.
    fn natural(&self, planner: &mut Planner<'_>) -> Option<[f32; 2]>;

    /// What shows of it in a box of `size` when its time runs from `since`; `None` when nothing does. Says when that
    /// changes.
    fn paint(&self, planner: &mut Planner<'_>, natural: [f32; 2], size: [f32; 2], since: Duration) -> Option<Paint>;

    /// Asks for it, because it will show soon.
    fn ask(&self, planner: &Planner<'_>);
}

/// Draws a film that fills its layer.
pub(super) fn plan(film: &dyn Film, planner: &mut Planner<'_>) {
    let Some(natural) = film.natural(planner) else { return };
    let size = planner.size_or(natural);
    if let Some(paint) = film.paint(planner, natural, size, Duration::ZERO) {
        planner.draw(size, paint);
    }
}

/// Whether a document need not say how its picture plays.
pub(super) fn is_plain(playback: &Playback) -> bool {
    *playback == Playback::default()
}

/// The action `restart`: it plays from its first frame, now.
pub(super) fn restart(action: &Action, playback: &Playback) -> Result<Playback, Refused> {
    if action.name != "restart" {
        return Err(Refused::Unknown(&["restart"]));
    }
    let Nothing {} = action.read()?;
    Ok(Playback { start_ms: action.elapsed_ms(), ..playback.clone() })
}

/// The frame that shows, with a note of when it changes.
pub(super) fn frame(
    planner: &mut Planner<'_>,
    playback: &Playback,
    rhythm: &dyn Rhythm,
    since: Duration,
) -> Option<u32> {
    let shown = playback.at(rhythm, since, planner.moment().elapsed)?;
    if let Some(until) = shown.until {
        planner.changes_at(until);
    }
    Some(shown.index)
}

/// The own size of a vector picture; `None` (noted) when it is not there.
pub(super) fn vector_size(planner: &mut Planner<'_>, source: VectorSource) -> Option<[f32; 2]> {
    planner.extent(&sized(source, None))
}

/// Asks for a vector picture, of which at first the stand-in will show.
pub(super) fn ask_vector(planner: &Planner<'_>, source: VectorSource) {
    planner.prefetch(&sized(source, None));
}

/// A vector picture over `dest`, drawn for the pixels it covers. Scales go in steps of 1/16, so that a slow zoom does
/// not draw it anew on every frame; until a size is there, the small one that told its own size stands in.
pub(super) fn vector(planner: &mut Planner<'_>, source: VectorSource, dest: Rect) -> Option<Paint> {
    let scale = ((planner.scale() * 16.0).round() / 16.0).clamp(1.0 / 16.0, 16.0);
    let pixels = [dest.w, dest.h].map(|side| (side * scale).round().clamp(1.0, TEXTURE_SIDE_MAX));
    let stand_in = sized(source.clone(), None);
    let wanted = sized(source, Some(pixels.map(|side| side as u32)));
    let raster = planner.ready_or(&wanted, &stand_in)?;
    if *raster == stand_in {
        return Some(Paint::Raster { raster: stand_in, dest });
    }
    // Whole texture pixels on whole canvas pixels, where the layer allows it.
    let [x, y] = [dest.x, dest.y].map(|v| (v * scale).round() / scale);
    let fits = pixels[0] < TEXTURE_SIDE_MAX && pixels[1] < TEXTURE_SIDE_MAX;
    let dest = if fits { Rect::new(x, y, pixels[0] / scale, pixels[1] / scale) } else { dest };
    Some(Paint::Raster { raster: wanted, dest })
}

fn sized(source: VectorSource, size: Option<[u32; 2]>) -> Raster {
    Raster::Vector(Arc::new(VectorRaster { source, size }))
}
