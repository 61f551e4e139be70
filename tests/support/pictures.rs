//! Picture files, good and broken.

use std::io::Cursor;

use image::{ImageFormat, RgbaImage};

/// A PNG of one colour.
pub(crate) fn png(width: u32, height: u32, colour: [u8; 4]) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    RgbaImage::from_pixel(width, height, image::Rgba(colour)).write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

/// A PNG whose header claims a size and which has next to no pixels: a decompression bomb.
pub(crate) fn png_that_claims(width: u32, height: u32) -> Vec<u8> {
    let mut header = Vec::from(*b"IHDR");
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 6, 0, 0, 0]); // 8-bit RGBA, deflate, adaptive filters, not interlaced
    let mut file = Vec::from(*b"\x89PNG\r\n\x1a\n");
    // A deflate stream of one stored, empty block.
    let pixels = [b"IDAT".as_slice(), &[0x78, 0x01, 0x01, 0x00, 0x00, 0xff, 0xff, 0x00, 0x00, 0x00, 0x01]].concat();
    for chunk in [header, pixels, b"IEND".to_vec()] {
        file.extend((chunk.len() as u32 - 4).to_be_bytes());
        file.extend(&chunk);
        file.extend(crc32(&chunk).to_be_bytes());
    }
    file
}

/// CRC-32 as PNG has it (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    let with_bit = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), with_bit))
}

/// Red, green and blue of a pixel.
pub(crate) fn pixel(picture: &RgbaImage, x: u32, y: u32) -> [u8; 3] {
    let [r, g, b, _] = picture.get_pixel(x, y).0;
    [r, g, b]
}
