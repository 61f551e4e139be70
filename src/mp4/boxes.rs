//! Boxes: a length, a name, a content. Spec: ISO/IEC 14496-12 section 4.2. Left out: 64-bit lengths and `uuid`.

use bytes::BufMut;

/// Bytes in front of a box's content.
pub(super) const HEADER_LEN: usize = 8;

/// Appends a box whose content is what `content` appends.
pub(super) fn put(out: &mut Vec<u8>, name: &[u8; 4], content: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.put_u32(0);
    out.put_slice(name);
    content(out);
    let len = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

/// Appends a box with version and flags in front of its content.
pub(super) fn put_full(out: &mut Vec<u8>, name: &[u8; 4], version: u8, flags: u32, content: impl FnOnce(&mut Vec<u8>)) {
    put(out, name, |out| {
        out.put_u32(u32::from(version) << 24 | flags);
        content(out);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_by_hand() {
        let mut out = vec![0xFF];
        put(&mut out, b"moof", |out| put_full(out, b"mfhd", 1, 0x20, |out| out.put_u32(7)));
        let by_hand = b"\xFF\0\0\0\x18moof\0\0\0\x10mfhd\x01\0\0\x20\0\0\0\x07";
        assert_eq!(out, by_hand);
    }
}
