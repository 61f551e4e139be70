//! Making a show ready before it goes on air: its pictures decoded, its texts shaped.
//!
//! A change waits here, off the render thread, so that on air it shows whole on one frame and nothing blinks.

use std::time::Duration;

use crate::{
    media::Library,
    scene::{Evaluation, Layer, Moment, Show, evaluate},
};

/// The families that `layer` names and the library does not have, as one sentence; on air the default family stands in.
pub fn missing_fonts(layer: &Layer, library: &Library) -> Option<String> {
    let missing: Vec<_> = layer.content.fonts().into_iter().filter(|family| !library.has_family(family)).collect();
    (!missing.is_empty()).then(|| {
        format!("unknown font family `{}`, expected one of {}", missing.join("`, `"), library.families().join(", "))
    })
}

/// Waits, at most `timeout`, until the media that `show` shows at `moment` is there or has failed, and plans it.
///
/// Blocks the caller; not for the render thread nor for the network's.
pub fn prepare(show: &Show, moment: Moment, library: &Library, timeout: Duration) -> Evaluation {
    library.prepare_show(show, moment, timeout);
    evaluate(show, moment, library)
}
