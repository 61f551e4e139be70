//! The space in which colours are mixed, and the ways into and out of it.
//!
//! Every texture and the target are `Rgba8Unorm`. In `srgb` they are seen as such: encoded values are mixed. In
//! `linear` they are seen as `Rgba8UnormSrgb`: the hardware decodes what is read and encodes what is written, so
//! shaders and blending work on linear light and 8 bits are enough to store it. Either way a texture holds colours that
//! are premultiplied in the blend space, and the target, opaque, holds encoded values that the NV12 pass reads as they
//! are.

use wgpu::TextureFormat;

use crate::{base::colour::Rgba, scene::BlendSpace};

/// How all pictures are stored.
pub(crate) const STORED: TextureFormat = TextureFormat::Rgba8Unorm;
/// The views a texture may have.
pub(crate) const VIEWS: &[TextureFormat] = &[TextureFormat::Rgba8Unorm, TextureFormat::Rgba8UnormSrgb];

/// How pictures are seen while colours are mixed in `space`.
pub(crate) fn seen_in(space: BlendSpace) -> TextureFormat {
    match space {
        BlendSpace::Srgb => TextureFormat::Rgba8Unorm,
        BlendSpace::Linear => TextureFormat::Rgba8UnormSrgb,
    }
}

/// A colour of the document, faded by `opacity` and premultiplied in `space`.
pub(crate) fn premultiplied(colour: Rgba, opacity: f32, space: BlendSpace) -> [f32; 4] {
    let [r, g, b, a] = straight(colour, space);
    let a = a * opacity;
    [r * a, g * a, b * a, a]
}

/// What to clear a surface to: a background, which is opaque, or nothing.
pub(crate) fn clear(background: Option<Rgba>, space: BlendSpace) -> wgpu::Color {
    let Some(colour) = background else { return wgpu::Color::TRANSPARENT };
    let [r, g, b, _] = straight(colour, space).map(f64::from);
    wgpu::Color { r, g, b, a: 1.0 }
}

/// A texture as it is seen while colours are mixed in `space`.
pub(crate) fn view(texture: &wgpu::Texture, label: &str, space: BlendSpace) -> wgpu::TextureView {
    texture.create_view(&wgpu::TextureViewDescriptor {
        label: Some(label),
        format: Some(seen_in(space)),
        ..Default::default()
    })
}

fn straight(colour: Rgba, space: BlendSpace) -> [f32; 4] {
    let [r, g, b, a] = colour.to_f32();
    match space {
        BlendSpace::Srgb => [r, g, b, a],
        BlendSpace::Linear => [decode(r), decode(g), decode(b), a],
    }
}

/// IEC 61966-2-1: from an encoded value to light, both 0 to 1.
fn decode(encoded: f32) -> f32 {
    if encoded <= 0.04045 { encoded / 12.92 } else { ((encoded + 0.055) / 1.055).powf(2.4) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_premultiplied_in_their_space() {
        let half = Rgba::new(255, 128, 0, 128);
        let a = 128.0 / 255.0 * 0.5;
        assert_eq!(premultiplied(half, 0.5, BlendSpace::Srgb), [a, 128.0 / 255.0 * a, 0.0, a]);
        let linear = premultiplied(half, 0.5, BlendSpace::Linear);
        assert!((linear[1] - 0.215_86 * a).abs() < 1e-5, "128 is 21.586 % of the light: {linear:?}");
    }
}
