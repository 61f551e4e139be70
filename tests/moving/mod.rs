//! Moving pictures made in code, for the unit tests of decoders and for golden scenes alike: frames with delays in
//! milliseconds, in the three formats.
//!
//! GIF is written by the `image` crate, APNG by `png`; nobody writes animated WebP in Rust, so its container (RIFF,
//! `VP8X`, `ANIM`, one `ANMF` for each frame) is put around lossless stills here.

use std::io::Cursor;

use image::{
    Delay, Frame, ImageFormat, RgbaImage,
    codecs::gif::{GifEncoder, Repeat},
};

/// A GIF that repeats as `repeat` says, or has no word on it.
pub(crate) fn gif(frames: &[(RgbaImage, u32)], repeat: Option<Repeat>) -> Vec<u8> {
    let mut bytes = Vec::new();
    {
        let mut encoder = GifEncoder::new(&mut bytes);
        if let Some(repeat) = repeat {
            encoder.set_repeat(repeat).unwrap();
        }
        for (picture, ms) in frames {
            let delay = Delay::from_numer_denom_ms(*ms, 1);
            encoder.encode_frame(Frame::from_parts(picture.clone(), 0, 0, delay)).unwrap();
        }
    }
    bytes
}

/// An APNG that plays `plays` times; 0: for ever.
pub(crate) fn apng(frames: &[(RgbaImage, u32)], plays: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (width, height) = frames[0].0.dimensions();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_animated(frames.len() as u32, plays).unwrap();
    let mut writer = encoder.write_header().unwrap();
    for (picture, ms) in frames {
        writer.set_frame_delay(*ms as u16, 1000).unwrap();
        writer.write_image_data(picture).unwrap();
    }
    writer.finish().unwrap();
    bytes
}

/// An animated WebP that plays `plays` times; 0: for ever. Its background is opaque red, which must not show.
pub(crate) fn webp(frames: &[(RgbaImage, u32)], plays: u16) -> Vec<u8> {
    let (width, height) = frames[0].0.dimensions();
    let mut body = b"WEBP".to_vec();
    let header = [&[0b0001_0010, 0, 0, 0], &u24(width - 1)[..], &u24(height - 1)].concat();
    chunk(&mut body, b"VP8X", &header);
    chunk(&mut body, b"ANIM", &[&[0, 0, 255, 255], &plays.to_le_bytes()[..]].concat());
    for (picture, ms) in frames {
        let mut still = Vec::new();
        picture.write_to(&mut Cursor::new(&mut still), ImageFormat::WebP).unwrap();
        // Bit 1: the frame replaces what was there. Behind the still's own RIFF header its one chunk follows.
        let head = [&[0; 6], &u24(width - 1)[..], &u24(height - 1), &u24(*ms), &[0b10]].concat();
        chunk(&mut body, b"ANMF", &[&head, &still[12..]].concat());
    }
    let mut bytes = Vec::new();
    chunk(&mut bytes, b"RIFF", &body);
    bytes
}

fn u24(value: u32) -> [u8; 3] {
    let [a, b, c, _] = value.to_le_bytes();
    [a, b, c]
}

fn chunk(out: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    out.extend_from_slice(data);
    out.resize(out.len() + data.len() % 2, 0);
}
