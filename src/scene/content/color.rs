//! `color`: the layer's box in one colour; without a size, the whole canvas.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Kind, Planner};
use crate::{
    base::colour::Rgba,
    scene::{check::Check, draw::Paint},
};

/// The document of a colour layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Color {
    /// Straight sRGB colour.
    pub color: Rgba,
}

impl Kind for Color {
    const TYPE: &'static str = "color";

    fn check(&self, _: &mut Check) {}

    fn plan(&self, planner: &mut Planner<'_>) {
        let size = planner.size_or_canvas();
        planner.draw(size, Paint::Solid(self.color));
    }
}
