//! What a file is, by its first bytes, and how large it would be in memory, before anything is decoded.
//!
//! ```text
//!  bytes ──► sniff: which format ──► survey: width, height, frames ──► limits
//! ```
//!
//! Names and content types say nothing: an HTML page called `logo.png` is unknown here. Frames of GIF (89a), APNG and WebP
//! are counted by walking the container, which is as long as the file and no longer. Sound is told by its first bytes
//! only; the audio floor knows more.

use std::io::Cursor;

use image::{ImageFormat, ImageReader};

/// How much of a file's beginning [`sniff`] wants.
pub const HEAD_BYTES: usize = 4096;

/// A format that assets may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// PNG or APNG.
    Png,
    /// JPEG.
    Jpeg,
    /// GIF.
    Gif,
    /// WebP.
    WebP,
    /// SVG.
    Svg,
    /// A table of colours.
    Cube,
    /// TrueType, OpenType or a collection of them.
    Font,
    /// RIFF WAVE.
    Wav,
    /// FLAC.
    Flac,
    /// MPEG audio, layer III.
    Mp3,
    /// AAC in ADTS.
    Adts,
    /// AAC in MP4.
    M4a,
    /// Ogg.
    Ogg,
    /// A shader.
    Wgsl,
}

/// What an asset is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AssetKind)]
pub enum Kind {
    /// Pixels, still or moving.
    Picture,
    /// SVG.
    Vector,
    /// A table of colours.
    Lut,
    /// A font.
    Font,
    /// Sound.
    Audio,
    /// WGSL.
    Shader,
}

impl Format {
    /// What it is used as.
    pub fn kind(self) -> Kind {
        match self {
            Self::Png | Self::Jpeg | Self::Gif | Self::WebP => Kind::Picture,
            Self::Svg => Kind::Vector,
            Self::Cube => Kind::Lut,
            Self::Font => Kind::Font,
            Self::Wav | Self::Flac | Self::Mp3 | Self::Adts | Self::M4a | Self::Ogg => Kind::Audio,
            Self::Wgsl => Kind::Shader,
        }
    }

    /// Its media type (IANA's, where there is one).
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::WebP => "image/webp",
            Self::Svg => "image/svg+xml",
            Self::Cube | Self::Wgsl => "text/plain; charset=utf-8",
            Self::Font => "font/sfnt",
            Self::Wav => "audio/wav",
            Self::Flac => "audio/flac",
            Self::Mp3 => "audio/mpeg",
            Self::Adts => "audio/aac",
            Self::M4a => "audio/mp4",
            Self::Ogg => "audio/ogg",
        }
    }
}

/// The format of a file that begins with `head`; `None` for what assets may not be.
pub fn sniff(head: &[u8]) -> Option<Format> {
    let is_at = |at: usize, mark: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(mark));
    let marks: [(usize, &[u8], Format); 13] = [
        (0, b"\x89PNG\r\n\x1a\n", Format::Png),
        (0, b"\xff\xd8\xff", Format::Jpeg),
        (0, b"GIF87a", Format::Gif),
        (0, b"GIF89a", Format::Gif),
        (0, b"\0\x01\0\0", Format::Font),
        (0, b"true", Format::Font),
        (0, b"OTTO", Format::Font),
        (0, b"ttcf", Format::Font),
        (0, b"fLaC", Format::Flac),
        (0, b"OggS", Format::Ogg),
        (0, b"ID3", Format::Mp3),
        (4, b"ftypM4A", Format::M4a),
        (4, b"ftypM4B", Format::M4a),
    ];
    if let Some((_, _, format)) = marks.into_iter().find(|(at, mark, _)| is_at(*at, mark)) {
        return Some(format);
    }
    if is_at(0, b"RIFF") {
        return match head.get(8..12) {
            Some(b"WEBP") => Some(Format::WebP),
            Some(b"WAVE") => Some(Format::Wav),
            _ => None,
        };
    }
    // Other writers of MP4 name other brands; whether there is sound in it is for the audio floor.
    if is_at(4, b"ftyp") {
        return Some(Format::M4a);
    }
    mpeg_audio(head).or_else(|| text(head))
}

/// The first header of a file of nothing but MPEG audio frames: eleven bits of one, then what kind of frame.
fn mpeg_audio(head: &[u8]) -> Option<Format> {
    let &[0xff, second, third, ..] = head else { return None };
    let (layer, bitrate, rate) = (second >> 1 & 3, third >> 4, third >> 2 & 3);
    match (second >> 4, layer) {
        (0xf, 0) => Some(Format::Adts),
        (0xe | 0xf, 1) if bitrate != 15 && bitrate != 0 && rate != 3 => Some(Format::Mp3),
        _ => None,
    }
}

fn text(head: &[u8]) -> Option<Format> {
    // The head may end within a letter.
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&head[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with('<') {
        let is_svg = text.contains("<svg") && !text.to_ascii_lowercase().contains("<html");
        return is_svg.then_some(Format::Svg);
    }
    if text.lines().any(|line| line.trim_start().starts_with("LUT_3D_SIZE")) {
        return Some(Format::Cube);
    }
    text.contains("fn shade").then_some(Format::Wgsl)
}

/// How much there is to a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Survey {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Frames, at least one.
    pub frames: u32,
}

/// What the headers of a picture say; `None` if they are broken.
pub fn survey(format: Format, bytes: &[u8]) -> Option<Survey> {
    let (known, frames) = match format {
        Format::Png => (ImageFormat::Png, png_frames(bytes)),
        Format::Jpeg => (ImageFormat::Jpeg, 1),
        Format::Gif => (ImageFormat::Gif, gif_frames(bytes)),
        Format::WebP => (ImageFormat::WebP, webp_frames(bytes)),
        _ => return None,
    };
    let (width, height) = ImageReader::with_format(Cursor::new(bytes), known).into_dimensions().ok()?;
    Some(Survey { width, height, frames: frames.max(1) })
}

/// The count in an `acTL` chunk, which stands before the first picture.
fn png_frames(bytes: &[u8]) -> u32 {
    let mut at = 8;
    while let Some([a, b, c, d, kind @ ..]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        match kind {
            b"acTL" => return bytes[at + 8..].first_chunk().map_or(1, |count| u32::from_be_bytes(*count)),
            b"IDAT" | b"IEND" => return 1,
            // Length, kind and checksum are beside the body.
            _ => at = at.saturating_add(12).saturating_add(u32::from_be_bytes([*a, *b, *c, *d]) as usize),
        }
    }
    1
}

/// As many as there are `ANMF` chunks.
fn webp_frames(bytes: &[u8]) -> u32 {
    let (mut at, mut frames) = (12, 0);
    while let Some([kind @ .., a, b, c, d]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        frames += u32::from(kind == b"ANMF");
        // Chunks are padded to even lengths.
        let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        at = at.saturating_add(8).saturating_add(length.saturating_add(length & 1));
    }
    frames
}

/// As many as there are image descriptors.
fn gif_frames(bytes: &[u8]) -> u32 {
    let table = |packed: u8| if packed & 0x80 == 0 { 0 } else { 3 << ((packed & 7) + 1) };
    let Some(&packed) = bytes.get(10) else { return 0 };
    let (mut at, mut frames) = (13 + table(packed), 0);
    loop {
        match bytes.get(at) {
            Some(0x2c) => {
                let Some(&packed) = bytes.get(at + 9) else { return frames };
                frames += 1;
                // Ten bytes of descriptor, its table, the code size, the data.
                at = past_blocks(bytes, at + 11 + table(packed));
            }
            Some(0x21) => at = past_blocks(bytes, at + 2),
            _ => return frames,
        }
    }
}

/// Behind the empty block that ends a row of blocks.
fn past_blocks(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&length) = bytes.get(at) {
        at += 1 + usize::from(length);
        if length == 0 {
            break;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use image::RgbaImage;
    use proptest::prelude::*;

    use super::*;
    use crate::media::moving::samples;

    fn encoded(format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        RgbaImage::new(7, 5).write_to(&mut Cursor::new(&mut bytes), format).unwrap();
        bytes
    }

    #[test]
    fn a_format_is_told_by_its_content() {
        assert_eq!(sniff(&encoded(ImageFormat::Png)), Some(Format::Png));
        assert_eq!(sniff(&encoded(ImageFormat::Gif)), Some(Format::Gif));
        assert_eq!(sniff(&encoded(ImageFormat::WebP)), Some(Format::WebP));
        let cases: [(&[u8], Option<Format>); 17] = [
            (b"\xff\xd8\xff\xe0\0\x10JFIF", Some(Format::Jpeg)),
            (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", Some(Format::Svg)),
            (b"\xef\xbb\xbf  <svg/>", Some(Format::Svg)),
            (b"TITLE \"a\"\nLUT_3D_SIZE 2\n", Some(Format::Cube)),
            (b"fn shade(in: ShadeInput) -> vec4f {}", Some(Format::Wgsl)),
            (b"RIFF\0\0\0\0WAVEfmt ", Some(Format::Wav)),
            (b"RIFF\0\0\0\0AVI LIST", None),
            (b"ID3\x04\0", Some(Format::Mp3)),
            (b"\xff\xfb\x90\x64", Some(Format::Mp3)),
            (b"\xff\xf1\x50\x80", Some(Format::Adts)),
            (b"\0\0\0\x20ftypM4A ", Some(Format::M4a)),
            (b"<!DOCTYPE html><html><svg></svg></html>", None),
            (b"<script>alert(1)</script>", None),
            (b"#!/bin/sh\n", None),
            (b"\x7fELF", None),
            (b"%PDF-1.7", None),
            (b"", None),
        ];
        for (bytes, format) in cases {
            assert_eq!(sniff(bytes), format, "{}", String::from_utf8_lossy(bytes));
        }
        for font in crate::media::builtin::FONTS {
            assert_eq!(sniff(&font[..HEAD_BYTES]), Some(Format::Font));
        }
    }

    #[test]
    fn frames_are_counted_and_nothing_is_decoded() {
        let frame = |grey: u8| (RgbaImage::from_pixel(2, 3, image::Rgba([grey, grey, grey, 255])), 50);
        let frames = [frame(1), frame(2), frame(3)];
        let expected = Some(Survey { width: 2, height: 3, frames: 3 });
        assert_eq!(survey(Format::Png, &samples::apng(&frames, 0)), expected);
        assert_eq!(survey(Format::Gif, &samples::gif(&frames, None)), expected);
        assert_eq!(survey(Format::WebP, &samples::webp(&frames, 0)), expected);
        for (format, known) in
            [(Format::Png, ImageFormat::Png), (Format::Gif, ImageFormat::Gif), (Format::WebP, ImageFormat::WebP)]
        {
            assert_eq!(survey(format, &encoded(known)), Some(Survey { width: 7, height: 5, frames: 1 }));
        }
        assert_eq!(survey(Format::Png, b"\x89PNG\r\n\x1a\n"), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_it_ends(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), which in 0usize..4) {
            let heads: [&[u8]; 4] = [b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff"];
            bytes.splice(0..0, heads[which].iter().copied());
            let format = sniff(&bytes).unwrap();
            survey(format, &bytes);
        }
    }
}
