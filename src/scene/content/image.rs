//! `image`: a picture, fitted into the layer's box as CSS `object-fit` does. A moving one plays; an SVG, told by the
//! ending of its name, is drawn for the size at which it is shown.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Action, Kind, Planner, Refused,
    film::{self, Film, NAME_LEN_MAX},
};
use crate::scene::{
    Playback,
    check::Check,
    draw::{Paint, Raster, VectorSource},
    geometry::Rect,
};

/// The document of a picture layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Image {
    /// `builtin:NAME` for a picture that comes with the program, or a name below the assets directory.
    pub asset: String,
    /// How the picture fills the box.
    #[serde(default)]
    pub fit: Fit,
    /// How it plays, if it is a moving one.
    #[serde(default, skip_serializing_if = "film::is_plain")]
    pub playback: Playback,
}

/// CSS `object-fit`, centred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Its own size.
    None,
    /// Stretched to the box.
    Fill,
    /// As large as fits wholly, in proportion.
    #[default]
    Contain,
    /// As small as covers the box, in proportion; what stands out is cut.
    Cover,
    /// `contain`, but never larger than its own size.
    ScaleDown,
}

impl Fit {
    /// Whether pictures leave nothing of the box free.
    pub(super) fn is_covering(self) -> bool {
        matches!(self, Self::Fill | Self::Cover)
    }

    /// Where a picture of size `natural` lies in a box of size `area`; both in pixels, above 0.
    pub fn place(self, natural: [f32; 2], area: [f32; 2]) -> Rect {
        let ratios = [area[0] / natural[0], area[1] / natural[1]];
        let scale = match self {
            Self::Fill => return Rect::at_origin(area),
            Self::None => 1.0,
            Self::Contain => ratios[0].min(ratios[1]),
            Self::Cover => ratios[0].max(ratios[1]),
            Self::ScaleDown => ratios[0].min(ratios[1]).min(1.0),
        };
        let size = natural.map(|side| side * scale);
        // An unscaled picture is moved by whole pixels, so that it is not blurred by being centred.
        let centred = |i: usize| (area[i] - size[i]) / 2.0;
        let [x, y] = if scale == 1.0 { [centred(0).round(), centred(1).round()] } else { [centred(0), centred(1)] };
        Rect::new(x, y, size[0], size[1])
    }
}

impl Kind for Image {
    const TYPE: &'static str = "image";

    fn check(&self, check: &mut Check) {
        check.count("/asset", "bytes", self.asset.len(), 1..=NAME_LEN_MAX);
        check.part("/playback", |check| self.playback.check(check));
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        film::plan(self, planner);
    }

    /// `restart`: it plays from its first frame.
    fn act(&self, action: &Action) -> Result<Self, Refused> {
        Ok(Self { playback: film::restart(action, &self.playback)?, ..self.clone() })
    }
}

impl Film for Image {
    fn natural(&self, planner: &mut Planner<'_>) -> Option<[f32; 2]> {
        match self.vector() {
            Some(source) => film::vector_size(planner, source),
            None => planner.extent(&Raster::Image(self.asset.as_str().into())),
        }
    }

    fn paint(&self, planner: &mut Planner<'_>, natural: [f32; 2], size: [f32; 2], since: Duration) -> Option<Paint> {
        let dest = self.fit.place(natural, size);
        if let Some(source) = self.vector() {
            return film::vector(planner, source, dest);
        }
        let asset: Arc<str> = self.asset.as_str().into();
        let raster = match planner.timing(&asset) {
            Some(timing) => Raster::Frame { index: film::frame(planner, &self.playback, &*timing, since)?, asset },
            None => Raster::Image(asset),
        };
        Some(Paint::Raster { raster, dest })
    }

    fn ask(&self, planner: &Planner<'_>) {
        match self.vector() {
            Some(source) => film::ask_vector(planner, source),
            None => planner.prefetch(&Raster::Image(self.asset.as_str().into())),
        }
    }
}

impl Image {
    fn vector(&self) -> Option<VectorSource> {
        let is_svg = self.asset.len() > 4 && self.asset.to_ascii_lowercase().ends_with(".svg");
        is_svg.then(|| VectorSource::Asset(self.asset.as_str().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_as_css_does() {
        let place = |fit: Fit| fit.place([200.0, 100.0], [100.0, 100.0]);
        assert_eq!(place(Fit::Fill), Rect::new(0.0, 0.0, 100.0, 100.0));
        assert_eq!(place(Fit::Contain), Rect::new(0.0, 25.0, 100.0, 50.0));
        assert_eq!(place(Fit::Cover), Rect::new(-50.0, 0.0, 200.0, 100.0));
        assert_eq!(place(Fit::None), Rect::new(-50.0, 0.0, 200.0, 100.0));
        assert_eq!(place(Fit::ScaleDown), Rect::new(0.0, 25.0, 100.0, 50.0));
        assert_eq!(Fit::ScaleDown.place([50.0, 20.0], [100.0, 100.0]), Rect::new(25.0, 40.0, 50.0, 20.0));
        assert_eq!(Fit::None.place([51.0, 21.0], [100.0, 100.0]), Rect::new(25.0, 40.0, 51.0, 21.0));
    }
}
