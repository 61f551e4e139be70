//! What a still may have drawn over it, for those who look at it: never on air.

use image::{Rgba, RgbaImage};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{pipeline::Still, scene::damage::PixelRect};

/// Width of an outline, in pixels.
const LINE: u32 = 2;
/// Seen on most pictures.
const COLOUR: [u8; 3] = [255, 0, 200];

/// What is drawn over a still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum Overlay {
    /// An outline around each rectangle that was drawn anew in the last second, the older the fainter.
    Damage,
}

impl Overlay {
    /// Draws it.
    pub(super) fn draw(self, still: &mut Still) {
        for change in &still.changes {
            let share = 1.0 - 0.8 * change.age.clamp(0.0, 1.0);
            change.rects.iter().for_each(|&rect| outline(&mut still.picture, rect, share));
        }
    }
}

/// A line just within the edges of `rect`, which lies in the picture.
fn outline(picture: &mut RgbaImage, rect: PixelRect, share: f32) {
    let is_line = |v: u32, from: u32, to: u32| v < from + LINE || v + LINE >= to;
    for y in rect.top..rect.bottom {
        for x in rect.left..rect.right {
            if is_line(x, rect.left, rect.right) || is_line(y, rect.top, rect.bottom) {
                mix(picture.get_pixel_mut(x, y), share);
            }
        }
    }
}

fn mix(pixel: &mut Rgba<u8>, share: f32) {
    for (value, colour) in pixel.0.iter_mut().zip(COLOUR) {
        *value = (f32::from(*value) * (1.0 - share) + f32::from(colour) * share).round() as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Change;

    #[test]
    fn outlines_lie_within_the_rectangle_and_fade() {
        let rect = PixelRect { left: 4, top: 2, right: 14, bottom: 12 };
        let drawn = |age| {
            let picture = RgbaImage::from_pixel(20, 16, Rgba([0, 0, 0, 255]));
            let mut still = Still { picture, changes: vec![Change { age, rects: vec![rect] }] };
            Overlay::Damage.draw(&mut still);
            still.picture
        };
        let row = |picture: &RgbaImage, y| (0..20).map(|x| picture.get_pixel(x, y)[0]).collect::<Vec<_>>();
        let new = drawn(0.0);
        assert_eq!(row(&new, 7)[2..8], [0, 0, 255, 255, 0, 0]);
        assert_eq!(row(&new, 7)[10..16], [0, 0, 255, 255, 0, 0]);
        assert_eq!(row(&new, 3)[3..15], [0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0]);
        assert_eq!((row(&new, 1), row(&new, 12)), (vec![0; 20], vec![0; 20]));
        assert_eq!(row(&drawn(1.0), 7)[4], 51, "a fifth is left");
    }
}
