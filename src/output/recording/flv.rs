//! FLV: each packet is a tag. At the end, length and size are put into the metadata, where players look for them.

use bytes::Bytes;

use super::{
    Error,
    container::{Container, Patch},
};
use crate::{
    flv::{self, BodyTooLong, TagKind},
    output::packet::{Headers, Kind, Packet},
};

/// An FLV file in the making.
#[derive(Debug)]
pub(super) struct Flv {
    origin_ms: u64,
    /// Bytes handed out.
    bytes: u64,
    /// Time of the newest tag.
    newest_ms: u64,
    /// Where length and size stand, if the metadata has them.
    length_at: Option<u64>,
    size_at: Option<u64>,
}

impl Flv {
    pub(super) fn open(headers: &Headers, origin_ms: u64, out: &mut Vec<Bytes>) -> Result<Self, Error> {
        let header = Bytes::copy_from_slice(&flv::file_header());
        let metadata = flv::metadata_for_file(&headers.metadata);
        let metadata_at = (header.len() + flv::TAG_HEAD_LEN) as u64;
        let at = |name| flv::number_in_metadata(&metadata, name).map(|at| metadata_at + at as u64);
        let (length_at, size_at) = (at("duration"), at("fileSize"));
        let mut file = Self { origin_ms, bytes: header.len() as u64, newest_ms: 0, length_at, size_at };
        out.push(header);
        file.tag(TagKind::ScriptData, 0, [metadata], out)?;
        file.tag(TagKind::Video, 0, [headers.video.clone()], out)?;
        file.tag(TagKind::Audio, 0, [headers.audio.clone()], out)?;
        Ok(file)
    }

    fn tag<const N: usize>(
        &mut self,
        kind: TagKind,
        ms: u64,
        body: [Bytes; N],
        out: &mut Vec<Bytes>,
    ) -> Result<(), Error> {
        let body_len = body.iter().map(Bytes::len).sum();
        let tag = flv::file_tag(kind, ms as u32, body_len).map_err(too_long)?;
        out.push(Bytes::copy_from_slice(&tag.head));
        out.extend(body.into_iter().filter(|part| !part.is_empty()));
        out.push(Bytes::copy_from_slice(&tag.back_pointer));
        self.bytes += (tag.head.len() + body_len + tag.back_pointer.len()) as u64;
        Ok(())
    }
}

fn too_long(error: BodyTooLong) -> Error {
    Error::Format { format: "FLV", reason: error.to_string() }
}

impl Container for Flv {
    fn push(&mut self, packet: &Packet, out: &mut Vec<Bytes>) -> Result<(), Error> {
        let kind = match packet.kind {
            Kind::Video { .. } => TagKind::Video,
            Kind::Audio => TagKind::Audio,
        };
        let ms = packet.dts_ms.saturating_sub(self.origin_ms);
        self.newest_ms = self.newest_ms.max(ms);
        let head = Bytes::copy_from_slice(packet.body.head());
        self.tag(kind, ms, [head, packet.body.media().clone()], out)
    }

    fn finish(&mut self, end_ms: Option<u64>, _out: &mut Vec<Bytes>) -> Result<Vec<Patch>, Error> {
        let length_ms = end_ms.map_or(self.newest_ms, |end_ms| end_ms.saturating_sub(self.origin_ms));
        let numbers = [(self.length_at, length_ms as f64 / 1000.0), (self.size_at, self.bytes as f64)];
        Ok(numbers
            .into_iter()
            .filter_map(|(at, number)| Some(Patch { at: at?, bytes: number.to_be_bytes() }))
            .collect())
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_by_hand() {
        let metadata = b"\x02\0\x0AonMetaData\x08\0\0\0\x02\0\x08duration\0\0\0\0\0\0\0\0\0\0\x08fileSize\0\0\0\0\0\0\0\0\0\0\0\x09";
        let headers = Headers {
            metadata: [b"\x02\0\x0D@setDataFrame".as_slice(), metadata].concat().into(),
            video: Bytes::from_static(b"VIDEO"),
            audio: Bytes::from_static(b"AUDIO"),
        };
        let mut out = Vec::new();
        let mut file = Flv::open(&headers, 5000, &mut out).unwrap();
        let key = flv::video_access_unit(true, 3, Bytes::from_static(b"key"));
        file.push(&Packet { kind: Kind::Video { is_key: true }, dts_ms: 5000, body: key }, &mut out).unwrap();
        let sound = flv::audio_frame(Bytes::from_static(b"s"));
        file.push(&Packet { kind: Kind::Audio, dts_ms: 5258, body: sound }, &mut out).unwrap();
        let by_hand = [
            b"FLV\x01\x05\0\0\0\x09\0\0\0\0\x12\0\0\x3B\0\0\0\0\0\0\0".as_slice(),
            metadata,
            b"\0\0\0\x46\x09\0\0\x05\0\0\0\0\0\0\0VIDEO\0\0\0\x10\x08\0\0\x05\0\0\0\0\0\0\0AUDIO\0\0\0\x10",
            b"\x09\0\0\x08\0\0\0\0\0\0\0\x17\x01\0\0\x03key\0\0\0\x13",
            b"\x08\0\0\x03\0\x01\x02\0\0\0\0\xAF\x01s\0\0\0\x0E",
        ];
        assert_eq!(out.concat(), by_hand.concat());
        assert_eq!(file.bytes(), out.concat().len() as u64);

        let mended = |end_ms| file_mended(&mut file, end_ms);
        let len = out.concat().len() as f64;
        let [unended, ended] = [None, Some(5300)].map(mended);
        assert_eq!(unended, [(13 + 11 + 29, 0.258), (13 + 11 + 48, len)]);
        assert_eq!(ended, [(13 + 11 + 29, 0.3), (13 + 11 + 48, len)]);
    }

    fn file_mended(file: &mut Flv, end_ms: Option<u64>) -> Vec<(u64, f64)> {
        let patches = file.finish(end_ms, &mut Vec::new()).unwrap();
        patches.iter().map(|patch| (patch.at, f64::from_be_bytes(patch.bytes))).collect()
    }

    #[test]
    fn a_packet_that_no_tag_can_hold_is_refused() {
        let headers = Headers { metadata: Bytes::new(), video: Bytes::new(), audio: Bytes::new() };
        let mut out = Vec::new();
        let mut file = Flv::open(&headers, 0, &mut out).unwrap();
        let body = flv::video_access_unit(true, 0, vec![0; flv::BODY_LEN_MAX].into());
        let packet = Packet { kind: Kind::Video { is_key: true }, dts_ms: 0, body };
        let error = file.push(&packet, &mut out).unwrap_err();
        assert_eq!((error.class(), error.may_mend_itself()), ("format", false));
        assert!(file.finish(None, &mut out).unwrap().is_empty(), "no numbers to mend");
    }
}
