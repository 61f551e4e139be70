//! Pictures: PNG, JPEG, WebP and GIF into pixels; moving ones by [`moving`](super::moving).
//!
//! The format is told by the content, not by the name. Size is judged by the header, before anything is decoded, so a
//! small file that claims to be huge costs nothing. EXIF orientation is applied. Colour profiles are not: pictures are
//! taken to be sRGB.

use std::{io::Cursor, sync::Arc};

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::moving::{self, Budget, Moving};

/// Longest side of [`Pixels`]: what every GPU takes as a texture. Larger pictures are scaled down when they are
/// decoded.
pub(crate) const SIDE_MAX: u32 = 4096;

/// A decoded picture: straight (not premultiplied) sRGB, four bytes a pixel, rows from top to bottom without padding.
///
/// Straight, because in which space colours are premultiplied is the canvas's choice.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    width: u32,
    height: u32,
    natural: [f32; 2],
    is_opaque: bool,
    bytes: Vec<u8>,
}

/// Why a file is not a picture.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("`{asset}` is not a PNG, JPEG, WebP or GIF picture")]
    Format { asset: String },
    #[error("`{asset}` has {width}x{height} pixels: {pixels_max} in all are allowed; save it smaller")]
    TooManyPixels { asset: String, width: u32, height: u32, pixels_max: u64 },
    #[error(
        "`{asset}` has more frames of {width}x{height} pixels than the {count_max} there is room for: save it smaller or \
         shorter, or show its frames as a sequence"
    )]
    TooManyFrames { asset: String, width: u32, height: u32, count_max: usize },
    #[error("`{asset}` cannot be decoded: {source}; save it again")]
    Broken { asset: String, source: ImageError },
    #[error(
        "`{asset}` has {width}x{height} pixels: a sheet is at most {SIDE_MAX} on a side and has a pixel for each of \
         {columns} columns and {rows} rows"
    )]
    Grid { asset: String, width: f32, height: f32, columns: u32, rows: u32 },
}

impl Error {
    pub(super) fn broken(asset: &str, source: ImageError) -> Self {
        Self::Broken { asset: asset.into(), source }
    }
}

/// What a picture file holds.
#[derive(Debug, Clone)]
pub(crate) enum Picture {
    Still(Arc<Pixels>),
    Moving(Arc<Moving>),
}

impl Picture {
    /// Frame `index`; of a still picture, and for want of it, the first one.
    pub(crate) fn frame(&self, index: u32) -> &Arc<Pixels> {
        match self {
            Self::Still(pixels) => pixels,
            Self::Moving(moving) => moving.frames.get(index as usize).unwrap_or(&moving.frames[0]),
        }
    }

    /// Bytes of all pixels.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Still(pixels) => pixels.bytes().len() as u64,
            Self::Moving(moving) => moving.bytes(),
        }
    }
}

impl Pixels {
    /// Takes `width * height` straight RGBA pixels.
    ///
    /// # Panics
    /// When `bytes` has another length than `width * height * 4`.
    pub fn new(width: u32, height: u32, bytes: Vec<u8>) -> Self {
        assert_eq!(bytes.len() as u64, u64::from(width) * u64::from(height) * 4, "{width}x{height} pixels");
        let is_opaque = bytes.chunks_exact(4).all(|pixel| pixel[3] == 255);
        Self { width, height, natural: [width as f32, height as f32], is_opaque, bytes }
    }

    /// Pixels in a row: at most 4096.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows: at most 4096.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The picture's own width and height; larger than those of the pixels when it was scaled down.
    pub fn natural_size(&self) -> [f32; 2] {
        self.natural
    }

    /// Whether no pixel is translucent.
    pub fn is_opaque(&self) -> bool {
        self.is_opaque
    }

    /// Red, green, blue, alpha, ...
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same pixels for a picture of another size of its own.
    pub(super) fn with_natural_size(self, natural: [f32; 2]) -> Self {
        Self { natural, ..self }
    }

    /// Scaled down until it fits a texture.
    pub(super) fn fit(self) -> Self {
        let by = self.width.max(self.height).div_ceil(SIDE_MAX);
        if by > 1 { self.shrink(by) } else { self }
    }

    /// The cell `index` of a grid over the picture, which [`cell_size`] accepted.
    pub(crate) fn cell(&self, grid: [u32; 2], index: u32) -> Self {
        let (width, height) = (self.width / grid[0], self.height / grid[1]);
        let (x, y) = (index % grid[0] * width, index / grid[0] % grid[1] * height);
        let start = |row: u32| ((y + row) as usize * self.width as usize + x as usize) * 4;
        let rows = (0..height).flat_map(|row| &self.bytes[start(row)..start(row) + width as usize * 4]);
        Self::new(width, height, rows.copied().collect())
    }

    /// Every `by` x `by` pixels averaged into one; colours weigh by their alpha, so nothing bleeds out of clear pixels.
    fn shrink(self, by: u32) -> Self {
        let (width, height) = (self.width.div_ceil(by), self.height.div_ceil(by));
        let bytes = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .flat_map(|(x, y)| {
                self.average(x * by..((x + 1) * by).min(self.width), y * by..((y + 1) * by).min(self.height))
            })
            .collect();
        Self { natural: self.natural, ..Self::new(width, height, bytes) }
    }

    fn average(&self, columns: std::ops::Range<u32>, rows: std::ops::Range<u32>) -> [u8; 4] {
        let count = u64::from(columns.end - columns.start) * u64::from(rows.end - rows.start);
        let mut sums = [0u64; 3];
        let mut alpha = 0u64;
        for y in rows {
            let row = y as usize * self.width as usize;
            for pixel in
                self.bytes[(row + columns.start as usize) * 4..(row + columns.end as usize) * 4].chunks_exact(4)
            {
                alpha += u64::from(pixel[3]);
                sums.iter_mut().zip(pixel).for_each(|(sum, &v)| *sum += u64::from(v) * u64::from(pixel[3]));
            }
        }
        let rounded = |sum: u64, by: u64| ((sum + by / 2) / by.max(1)) as u8;
        let [r, g, b] = sums.map(|sum| rounded(sum, alpha));
        [r, g, b, rounded(alpha, count)]
    }
}

/// Width and height of the cells of a grid over a picture of this natural size: what is left over at the right and at
/// the bottom belongs to none.
pub(crate) fn cell_size(asset: &str, natural: [f32; 2], grid: [u32; 2]) -> Result<[f32; 2], Error> {
    let [width, height] = natural;
    let cell = [(width / grid[0] as f32).floor(), (height / grid[1] as f32).floor()];
    if width.max(height) > SIDE_MAX as f32 || cell[0] < 1.0 || cell[1] < 1.0 {
        return Err(Error::Grid { asset: asset.into(), width, height, columns: grid[0], rows: grid[1] });
    }
    Ok(cell)
}

/// Decodes the bytes of `asset`.
pub(crate) fn decode(asset: &str, bytes: &[u8], budget: Budget) -> Result<Picture, Error> {
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|source| Error::broken(asset, ImageError::IoError(source)))?;
    let moving = match reader.format() {
        Some(ImageFormat::Gif) => moving::gif(asset, bytes, budget)?,
        Some(ImageFormat::Png) => moving::png(asset, bytes, budget)?,
        Some(ImageFormat::WebP) => moving::webp(asset, bytes, budget)?,
        Some(ImageFormat::Jpeg) => None,
        _ => return Err(Error::Format { asset: asset.into() }),
    };
    match moving {
        Some(picture) => Ok(picture),
        None => still(asset, reader, budget.pixels_max).map(|pixels| Picture::Still(Arc::new(pixels))),
    }
}

fn still(asset: &str, mut reader: ImageReader<Cursor<&[u8]>>, pixels_max: u64) -> Result<Pixels, Error> {
    let broken = |source| Error::broken(asset, source);
    reader.limits(limits(pixels_max));
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > pixels_max {
        return Err(Error::TooManyPixels { asset: asset.into(), width, height, pixels_max });
    }
    let orientation = decoder.orientation().map_err(broken)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
    picture.apply_orientation(orientation);
    let picture = picture.into_rgba8();
    let (width, height) = picture.dimensions();
    Ok(Pixels::new(width, height, picture.into_raw()).fit())
}

/// Memory for a decoder: 16 bits a channel and as much again for its own working state.
pub(super) fn limits(pixels_max: u64) -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(pixels_max.saturating_mul(16).saturating_add(1 << 20));
    limits
}

#[cfg(test)]
mod tests {
    use image::{RgbaImage, codecs::jpeg::JpegEncoder};

    use super::*;

    const BUDGET: Budget = Budget { pixels_max: 10_000, bytes_max: 1 << 20 };

    fn decode(asset: &str, bytes: &[u8], pixels_max: u64) -> Result<Arc<Pixels>, Error> {
        let picture = super::decode(asset, bytes, Budget { pixels_max, ..BUDGET })?;
        Ok(picture.frame(0).clone())
    }

    fn encoded(picture: &RgbaImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        picture.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
        bytes
    }

    #[test]
    fn formats_are_told_by_their_content() {
        let picture = RgbaImage::from_fn(5, 3, |x, y| image::Rgba([x as u8 * 40, y as u8 * 80, 7, 255]));
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif] {
            let pixels = decode("a.jpg", &encoded(&picture, format), 1000).unwrap();
            assert_eq!((pixels.width(), pixels.height(), pixels.is_opaque()), (5, 3, true));
            assert_eq!(pixels.bytes(), picture.as_raw().as_slice());
        }
        for bytes in [&b"BM"[..], b"", b"<svg/>"] {
            assert_eq!(
                decode("a.png", bytes, 1000).unwrap_err().to_string(),
                "`a.png` is not a PNG, JPEG, WebP or GIF picture"
            );
        }
    }

    /// A PNG whose header claims 60000 x 60000 pixels and whose data is missing: it is refused for its size.
    #[test]
    fn a_bomb_is_refused_by_its_header() {
        let mut bytes = encoded(&RgbaImage::new(1, 1), ImageFormat::Png);
        bytes[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
        let crc = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(
            decode("bomb.png", &bytes, 1 << 24).unwrap_err().to_string(),
            "`bomb.png` has 60000x60000 pixels: 16777216 in all are allowed; save it smaller"
        );
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let step = |crc: u32, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
        !bytes.iter().fold(!0u32, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
    }

    #[test]
    fn a_truncated_file_names_itself() {
        let bytes = encoded(&RgbaImage::from_pixel(64, 64, image::Rgba([1, 2, 3, 4])), ImageFormat::Png);
        let error = decode("cut.png", &bytes[..bytes.len() / 2], 10_000).unwrap_err();
        assert!(error.to_string().starts_with("`cut.png` cannot be decoded: "), "{error}");
    }

    /// A 2 x 1 JPEG marked as turned: EXIF orientation 6 asks for a quarter turn clockwise.
    #[test]
    fn exif_orientation_turns_the_picture() {
        let picture = image::RgbImage::from_fn(16, 8, |x, _| image::Rgb([if x < 8 { 250 } else { 5 }; 3]));
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, 100).encode_image(&picture).unwrap();
        let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        jpeg.splice(2..2, exif.iter().copied());
        let pixels = decode("turned.jpg", &jpeg, 1000).unwrap();
        assert_eq!((pixels.width(), pixels.height()), (8, 16));
        assert!(pixels.bytes()[0] > 200 && pixels.bytes()[4 * 8 * 15] < 50, "the left half is now the upper one");
    }

    #[test]
    fn shrinking_weighs_by_alpha() {
        let pixels = Pixels::new(4, 1, vec![255, 0, 0, 255, 0, 255, 0, 0, 10, 20, 30, 255, 30, 40, 50, 255]);
        let small = pixels.shrink(2);
        assert_eq!(small.bytes(), [255, 0, 0, 128, 20, 30, 40, 255]);
        assert_eq!((small.natural_size(), small.width(), small.height()), ([4.0, 1.0], 2, 1));
    }
}
