//! A file's container: the packets of its sound, one after the other, and what it says of where they begin and end.

use std::io::{self, Seek, SeekFrom};

use symphonia::{
    core::{
        codecs::{
            CodecParameters,
            audio::{AudioDecoder, AudioDecoderOptions},
        },
        common::Limit,
        errors::Error as SymphoniaError,
        formats::{
            FormatId, FormatOptions, FormatReader, SeekMode, SeekTo, TrackType,
            probe::Hint,
            well_known::{FORMAT_ID_FLAC, FORMAT_ID_ISOMP4, FORMAT_ID_WAVE},
        },
        io::{MediaSource, MediaSourceStream},
        meta::{MetadataOptions, RawValue},
        packet::Packet,
        units::{TimeBase, Timestamp},
    },
    default::{get_codecs, get_probe},
};

use super::{
    baggage,
    decode::check_rate,
    downmix::Downmix,
    edits::{self, Edit},
    error::Error,
};

/// Longest comment of a file that is read, in bytes; iTunes' on the encoder's delay has 120.
const TAG_BYTES_MAX: usize = 4096;
/// Longest packet that is believed, in frames; FLAC's blocks have up to 65 535.
const PACKET_FRAMES_MAX: u64 = 1 << 17;

/// Where a file's bytes are read.
pub(super) type Media = Box<dyn MediaSource>;

/// An open container.
pub(super) struct Demuxer {
    format: Box<dyn FormatReader>,
    track: u32,
    time_base: Option<TimeBase>,
    /// What an MP4 file's edit list says, and what iTunes' comment.
    edit: Option<Edit>,
    itunes: Option<(u64, u64)>,
    /// Why it is over before its end.
    broken_off: Option<String>,
}

impl Demuxer {
    /// Reads what the file is; gives the decoder for its sound, too.
    pub(super) fn open(media: Media) -> Result<(Self, Box<dyn AudioDecoder>), Error> {
        let mut media = baggage::leave(media)?;
        let edit = edits::edit(&mut media)?;
        media.seek(SeekFrom::Start(0))?;
        let mut format = probe(media)?;
        let track = format.default_track(TrackType::Audio);
        let track = track.ok_or_else(|| Error::no_sound("no track with sound"))?;
        let Some(CodecParameters::Audio(parameters)) = &track.codec_params else {
            return Err(Error::no_sound("no track with sound"));
        };
        // What the container says is checked before a decoder makes room for it.
        parameters.sample_rate.map_or(Ok(()), check_rate)?;
        parameters.channels.as_ref().map_or(Ok(()), |channels| Downmix::new(channels).map(drop))?;
        let decoder = get_codecs().make_audio_decoder(parameters, &AudioDecoderOptions::default());
        let decoder = decoder.map_err(|error| Error::no_sound(&error.to_string()))?;
        let (track, time_base) = (track.id, track.time_base);
        let itunes = itunes_edit(&mut *format);
        Ok((Self { format, track, time_base, edit, itunes, broken_off: None }, decoder))
    }

    /// Why it was over before its end, if it was.
    pub(super) fn broken_off(&self) -> Option<&str> {
        self.broken_off.as_deref()
    }

    /// The next packet; none at the end, wherever that is.
    pub(super) fn packet(&mut self) -> Result<Option<Packet>, Error> {
        loop {
            match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track => return Ok(Some(packet)),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(SymphoniaError::ResetRequired) => return Err(Error::Changed),
                Err(SymphoniaError::IoError(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
                    return Err(error.into());
                }
                Err(error) => {
                    self.broken_off = Some(error.to_string());
                    return Ok(None);
                }
            }
        }
    }

    /// Whether any frame can be gone to exactly: where packets do not need those before them.
    pub(super) fn can_jump(&self) -> bool {
        matches!(self.kind(), FORMAT_ID_WAVE | FORMAT_ID_FLAC)
    }

    /// Goes to the packet with `frame`; how many frames of it lie before that. None: it is not there, and what is read
    /// next is uncertain.
    pub(super) fn jump(&mut self, frame: u64) -> Option<u64> {
        let ts = Timestamp::new(i64::try_from(frame).ok()?);
        let at = self.format.seek(SeekMode::Accurate, SeekTo::Timestamp { ts, track_id: self.track }).ok()?;
        frame.checked_sub(u64::try_from(at.actual_ts.get()).ok()?)
    }

    /// How many frames to leave out at the start, and how many to play, when decoded at `rate_hz`.
    pub(super) fn edit(&self, rate_hz: u32) -> (u64, u64) {
        let scaled = |ticks: u64, timescale: u32| {
            let frames = u128::from(ticks) * u128::from(rate_hz) / u128::from(timescale.max(1));
            u64::try_from(frames).unwrap_or(u64::MAX)
        };
        match (self.kind() == FORMAT_ID_ISOMP4, self.itunes, self.edit) {
            (true, Some(of_itunes), _) => of_itunes,
            (true, None, Some(edit)) => {
                // The scale of the length is coarse; where the last packet ends is known better from the packet.
                let length = edit.length.map(|(length, scale)| scaled(length.saturating_add(1), scale));
                (scaled(edit.start, edit.timescale), length.unwrap_or(u64::MAX))
            }
            _ => (0, u64::MAX),
        }
    }

    /// How many frames of a packet are to be heard, as the container has it.
    pub(super) fn frames_of(&self, packet: &Packet, rate_hz: u32) -> Option<u64> {
        let base = self.time_base?;
        let per_second = u128::from(base.numer.get()) * u128::from(rate_hz);
        let frames = u128::from(packet.dur.get()) * per_second / u128::from(base.denom.get());
        Some(u64::try_from(frames).unwrap_or(u64::MAX).min(PACKET_FRAMES_MAX))
    }

    /// To how many frames a decoded packet is to be cut. The last one of an MP4 file is as long as its table says; for
    /// the other containers decoders do that by themselves.
    pub(super) fn cut_of(&self, packet: &Packet, rate_hz: u32) -> Option<usize> {
        let frames = self.frames_of(packet, rate_hz).filter(|_| self.kind() == FORMAT_ID_ISOMP4)?;
        (frames > 0).then_some(frames as usize)
    }

    fn kind(&self) -> FormatId {
        self.format.format_info().format
    }
}

fn probe(media: Media) -> Result<Box<dyn FormatReader>, Error> {
    let stream = MediaSourceStream::new(media, Default::default());
    let metadata = MetadataOptions::default()
        .limit_tag_bytes(Limit::Maximum(TAG_BYTES_MAX))
        // Pictures are for players.
        .limit_visual_bytes(Limit::Maximum(0));
    let format = get_probe().probe(&Hint::new(), stream, FormatOptions::default(), metadata);
    format.map_err(|error| Error::no_sound(&error.to_string()))
}

/// What iTunes wrote on the encoder's delay, if it did.
fn itunes_edit(format: &mut dyn FormatReader) -> Option<(u64, u64)> {
    let mut metadata = format.metadata();
    let tags = metadata.skip_to_latest()?.media.tags.iter();
    let comment = tags.map(|tag| &tag.raw).find(|tag| tag.key.ends_with("iTunSMPB"))?;
    match &comment.value {
        RawValue::String(text) => edits::itunes(text),
        _ => None,
    }
}
