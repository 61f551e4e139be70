//! `image`: a still picture, fitted into the layer's box as CSS `object-fit` does.

use serde::{Deserialize, Serialize};

use super::{Kind, Planner};
use crate::scene::{
    check::Check,
    draw::{Paint, Raster},
    geometry::Rect,
};

/// Longest asset name, in bytes.
const NAME_LEN_MAX: usize = 256;

/// The document of a picture layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Image {
    /// `builtin:NAME` for a picture that comes with the program, or a name below the assets directory.
    pub asset: String,
    /// How the picture fills the box.
    #[serde(default)]
    pub fit: Fit,
}

/// CSS `object-fit`, centred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let raster = Raster::Image(self.asset.as_str().into());
        let Some(natural) = planner.extent(&raster) else { return };
        let size = planner.size_or(natural);
        let dest = self.fit.place(natural, size);
        planner.draw(size, Paint::Raster { raster, dest });
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
