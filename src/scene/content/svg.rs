//! `svg`: a vector picture whose document stands in the layer itself, drawn for the size at which it is shown.
//!
//! Texts in it are set with the program's fonts. Embedded pictures, scripts and animations are not supported, and a
//! document that asks for too much work is refused; the layer then shows its error.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Fit, Kind, Planner,
    film::{self, Film},
};
use crate::scene::{
    check::Check,
    draw::{Paint, VectorSource},
};

/// Longest document, in bytes; a longer one is an asset of an `image`.
const SOURCE_LEN_MAX: usize = 64 << 10;

/// The document of a vector layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Svg {
    /// `<svg xmlns="http://www.w3.org/2000/svg" …>…</svg>`, 1 byte to 64 KiB.
    pub source: String,
    /// How the picture fills the box.
    #[serde(default)]
    pub fit: Fit,
}

impl Kind for Svg {
    const TYPE: &'static str = "svg";

    fn check(&self, check: &mut Check) {
        check.count("/source", "bytes", self.source.len(), 1..=SOURCE_LEN_MAX);
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        film::plan(self, planner);
    }
}

impl Film for Svg {
    fn natural(&self, planner: &mut Planner<'_>) -> Option<[f32; 2]> {
        film::vector_size(planner, self.vector())
    }

    fn paint(&self, planner: &mut Planner<'_>, natural: [f32; 2], size: [f32; 2], _: Duration) -> Option<Paint> {
        film::vector(planner, self.vector(), self.fit.place(natural, size))
    }

    fn ask(&self, planner: &Planner<'_>) {
        film::ask_vector(planner, self.vector());
    }
}

impl Svg {
    fn vector(&self) -> VectorSource {
        VectorSource::Inline(self.source.as_str().into())
    }
}
