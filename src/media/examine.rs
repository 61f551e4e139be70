//! Whether a file is what its first bytes say, and what is to be known of it before it is used: size, frames, families.
//!
//! Everything is judged by its head first, then decoded once: who uploads a broken file is told, not who puts it on air.
//! As heavy as showing it; for worker threads.

use image::RgbaImage;

use super::{
    library::Library,
    picture::Pixels,
    survey::{Format, Kind, survey},
};

/// Most frames of a moving picture.
const FRAMES_MAX: u32 = 4096;
/// Longest side of a thumbnail, in pixels.
const THUMBNAIL_SIDE: u32 = 320;

/// What a file turned out to be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Examined {
    /// Width and height in pixels; those of an SVG, in its own units.
    pub size: Option<[u32; 2]>,
    /// Frames of a picture; a still one has one.
    pub frames: Option<u32>,
    /// Names of a font's families.
    pub families: Vec<String>,
    /// Entries along an axis of a table.
    pub entries: Option<u32>,
}

impl Library {
    /// What the file `name` is, of which sniffing says that it is `format`; or what is wrong with it.
    ///
    /// Of sound and shaders nothing is said: they belong to other floors.
    pub fn examine(&self, format: Format, name: &str, bytes: Vec<u8>) -> Result<Examined, String> {
        let mut examined = Examined::default();
        match format.kind() {
            Kind::Picture => {
                let survey =
                    survey(format, &bytes).ok_or_else(|| format!("`{name}` has a broken head; save it again"))?;
                if survey.frames > FRAMES_MAX {
                    return Err(format!("`{name}` has {} frames: {FRAMES_MAX} are allowed", survey.frames));
                }
                self.picture_of(name, &bytes)?;
                examined.size = Some([survey.width, survey.height]);
                examined.frames = Some(survey.frames);
            }
            Kind::Vector => {
                let natural = self.vector_of(name, &bytes)?.natural_size();
                examined.size = Some(natural.map(|side| side.round() as u32));
            }
            Kind::Lut => examined.entries = Some(self.lut_of(name, &bytes)?.size()),
            Kind::Font => examined.families = self.families_of(name, bytes)?,
            Kind::Audio | Kind::Shader => {}
        }
        Ok(examined)
    }

    /// A small picture of a picture: at most 320 pixels on a side; `None` for what has none.
    pub fn thumbnail(&self, format: Format, name: &str, bytes: &[u8]) -> Result<Option<RgbaImage>, String> {
        let pixels = match format.kind() {
            Kind::Picture => self.picture_of(name, bytes)?.frame(0).clone(),
            Kind::Vector => self.vector_of(name, bytes)?.into(),
            Kind::Lut | Kind::Font | Kind::Audio | Kind::Shader => return Ok(None),
        };
        Ok(Some(small(&pixels)))
    }
}

fn small(pixels: &Pixels) -> RgbaImage {
    let picture = RgbaImage::from_raw(pixels.width(), pixels.height(), pixels.bytes().to_vec()).unwrap_or_default();
    let longest = pixels.width().max(pixels.height());
    if longest <= THUMBNAIL_SIDE {
        return picture;
    }
    let side = |side: u32| (side * THUMBNAIL_SIDE / longest).max(1);
    image::imageops::thumbnail(&picture, side(pixels.width()), side(pixels.height()))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::ImageFormat;

    use super::*;
    use crate::media::{Config, moving::samples};

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let picture = RgbaImage::from_pixel(width, height, image::Rgba([200, 10, 10, 255]));
        picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
        bytes
    }

    #[test]
    fn what_is_to_be_known_of_each_kind() {
        let library = Library::new(Config::default()).unwrap();
        let examine = |format, bytes: &[u8]| library.examine(format, "a", bytes.to_vec()).unwrap();
        let picture = examine(Format::Png, &png(640, 20));
        assert_eq!((picture.size, picture.frames), (Some([640, 20]), Some(1)));
        let frame = |grey: u8| (RgbaImage::from_pixel(2, 3, image::Rgba([grey, 0, 0, 255])), 50);
        let moving = examine(Format::Gif, &samples::gif(&[frame(1), frame(2)], None));
        assert_eq!((moving.size, moving.frames), (Some([2, 3]), Some(2)));
        let svg = b"<svg xmlns='http://www.w3.org/2000/svg' width='30' height='20'/>";
        assert_eq!(examine(Format::Svg, svg).size, Some([30, 20]));
        let cube = format!("LUT_3D_SIZE 2\n{}", "0 0 1\n".repeat(8));
        assert_eq!(examine(Format::Cube, cube.as_bytes()).entries, Some(2));
        let font = crate::media::builtin::FONTS[9];
        let refused = library.examine(Format::Font, "a", font.to_vec()).unwrap_err();
        assert!(refused.contains("`DejaVu Sans`, as a bundled font is"), "{refused}");
    }

    #[test]
    fn what_is_broken_or_too_large_is_refused_by_name() {
        let library = Library::new(Config { pixels_max: 1000, ..Config::default() }).unwrap();
        let refused = |format, bytes: &[u8]| library.examine(format, "a.png", bytes.to_vec()).unwrap_err();
        assert!(refused(Format::Png, &png(100, 11)).contains("100x11 pixels: 1000 in all are allowed"));
        let whole = png(20, 20);
        assert!(refused(Format::Png, &whole[..whole.len() - 20]).starts_with("`a.png` cannot be decoded"));
        assert!(refused(Format::Png, &whole[..20]).contains("broken head"));
        assert!(refused(Format::Cube, b"LUT_3D_SIZE 2\n1 1 1").contains("has 1 entries where its size asks for 8"));
        assert!(refused(Format::Svg, b"<svg><svg>").contains("is not SVG"));
        // As many frames as there may be and one more: the heads of pictures that are none.
        let mut endless = b"GIF89a\x01\0\x01\0\0\0\0".to_vec();
        (0..=FRAMES_MAX).for_each(|_| endless.extend(b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\0"));
        assert!(refused(Format::Gif, &endless).contains("4097 frames: 4096 are allowed"));
    }

    #[test]
    fn thumbnails_are_small_and_keep_their_shape() {
        let library = Library::new(Config::default()).unwrap();
        let small = library.thumbnail(Format::Png, "a", &png(1000, 250)).unwrap().unwrap();
        assert_eq!((small.dimensions(), small.get_pixel(10, 10).0), ((320, 80), [200, 10, 10, 255]));
        assert_eq!(library.thumbnail(Format::Png, "a", &png(9, 4)).unwrap().unwrap().dimensions(), (9, 4));
        assert_eq!(library.thumbnail(Format::Wav, "a", b"RIFF"), Ok(None));
    }
}
