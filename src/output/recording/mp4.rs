//! Fragmented MP4: packets wait until their fragment is whole, which is when the next IDR comes, or after two seconds.
//!
//! Until the next packet of its track has come, nobody knows how long a sample lasts; the last one of a file lasts until
//! the next picture of the stream, if there is one, and else as long as a frame.

use bytes::Bytes;

use super::{
    Error,
    clock::{Grid, Steps, scaled},
    container::{Container, Patch},
};
use crate::{
    aac::FRAME_SAMPLES,
    mp4::{self, IndexEntry, Movie, Run, Sample},
    output::packet::{Headers, Kind, Packet},
};

/// How long a fragment gets without an IDR, in seconds: what is lost when the machine fails.
const FRAGMENT_S: u64 = 2;
/// How much it gets, in bytes: what waits in memory.
const FRAGMENT_BYTES_MAX: u64 = 8 << 20;
/// FLV's bytes before the NAL units of a picture, and before an AAC frame.
const VIDEO_HEAD_LEN: usize = 5;
const AUDIO_HEAD_LEN: usize = 2;
/// FLV's number of H.264.
const CODEC_AVC: u8 = 7;

/// An MP4 file in the making.
#[derive(Debug)]
pub(super) struct Mp4 {
    grid: Grid,
    steps: Steps,
    /// Units of pictures and of sound in a second.
    timescales: [u32; 2],
    /// Time 0 of the file, in units of pictures and of sound.
    origins: [u64; 2],
    video: Lane,
    audio: Lane,
    fragments: u32,
    index: Vec<IndexEntry>,
    /// Bytes handed out.
    written: u64,
    /// Where the length of the movie stands.
    length_at: u64,
}

/// What waits of one track.
#[derive(Debug, Default)]
struct Lane {
    /// When the first sample that waits is decoded.
    start: u64,
    /// When the newest one is.
    newest: u64,
    /// No sample is decoded earlier.
    floor: u64,
    samples: Vec<Sample>,
    data: Vec<Bytes>,
    bytes: u64,
}

impl Lane {
    fn push(&mut self, dts: u64, sample: Sample, data: Bytes) {
        let dts = dts.max(self.floor);
        self.last_until(dts);
        if self.samples.is_empty() {
            self.start = dts;
        }
        (self.newest, self.floor) = (dts, dts + 1);
        self.bytes += u64::from(sample.len);
        self.samples.push(sample);
        self.data.push(data);
    }

    /// The newest sample lasts until then.
    fn last_until(&mut self, dts: u64) {
        if let Some(sample) = self.samples.last_mut() {
            sample.duration = u32::try_from(dts.saturating_sub(self.newest)).unwrap_or(u32::MAX).max(1);
        }
    }

    fn run(&self) -> Run<'_> {
        Run { start: self.start, samples: &self.samples }
    }

    /// When the newest sample is over.
    fn end(&self) -> u64 {
        self.samples.last().map_or(self.floor, |sample| self.newest + u64::from(sample.duration))
    }

    fn empty_into(&mut self, out: &mut Vec<Bytes>) {
        self.floor = self.end();
        self.samples.clear();
        self.bytes = 0;
        out.extend(self.data.drain(..).filter(|data| !data.is_empty()));
    }
}

impl Mp4 {
    pub(super) fn open(headers: &Headers, origin_ms: u64, out: &mut Vec<Bytes>) -> Result<Self, Error> {
        if headers.video.first().is_none_or(|first| first & 0x8F != CODEC_AVC) {
            return Err(refused("only H.264 goes into it here; record it as flv".into()));
        }
        let avcc = headers.video.get(VIDEO_HEAD_LEN..).unwrap_or_default();
        let asc = headers.audio.get(AUDIO_HEAD_LEN..).unwrap_or_default();
        let movie = Movie::new(avcc, asc).map_err(|error| refused(error.to_string()))?;
        let (head, length_at) = movie.to_bytes();
        let timescales = [movie.video_timescale(), movie.audio_timescale()];
        let grid = Grid::new(movie.rate(), timescales[0]);
        let origin = grid.units(origin_ms);
        let origins = [origin, scaled(origin, timescales[1].into(), timescales[0].into())];
        let file = Self {
            grid,
            steps: Steps::new(timescales[1], origins[1]),
            timescales,
            origins,
            video: Lane::default(),
            audio: Lane::default(),
            fragments: 0,
            index: Vec::new(),
            written: head.len() as u64,
            length_at: length_at as u64,
        };
        out.push(head.into());
        Ok(file)
    }

    fn push_picture(&mut self, packet: &Packet, is_key: bool, out: &mut Vec<Bytes>) {
        let data = packet.body.media().clone();
        let [decoded, shown] = [packet.dts_ms, packet.pts_ms()].map(|ms| self.grid.units(ms));
        let dts = decoded.saturating_sub(self.origins[0]);
        let sample = Sample {
            duration: self.grid.frame(),
            composition: (shown as i64 - decoded as i64) as i32,
            is_key,
            len: data.len() as u32,
        };
        let is_long = dts >= self.video.start + FRAGMENT_S * u64::from(self.timescales[0]);
        if !self.video.samples.is_empty() && (is_key || is_long || self.waiting() >= FRAGMENT_BYTES_MAX) {
            self.video.last_until(dts);
            self.flush(out);
        }
        self.video.push(dts, sample, data);
    }

    fn push_sound(&mut self, packet: &Packet, out: &mut Vec<Bytes>) {
        let data = packet.body.media().clone();
        let dts = self.steps.sample(packet.dts_ms).saturating_sub(self.origins[1]);
        // Pictures end fragments; where there are none, or none any more, sound does.
        let is_long = dts >= self.audio.start + 2 * FRAGMENT_S * u64::from(self.timescales[1]);
        if !self.audio.samples.is_empty() && (is_long || self.waiting() >= FRAGMENT_BYTES_MAX) {
            self.flush(out);
        }
        let sample = Sample { duration: FRAME_SAMPLES, composition: 0, is_key: true, len: data.len() as u32 };
        self.audio.push(dts, sample, data);
    }

    /// Bytes that wait for their fragment to be whole.
    fn waiting(&self) -> u64 {
        self.video.bytes + self.audio.bytes
    }

    /// Hands out what waits as a fragment.
    fn flush(&mut self, out: &mut Vec<Bytes>) {
        if self.video.samples.is_empty() && self.audio.samples.is_empty() {
            return;
        }
        self.note_in_index();
        self.fragments += 1;
        let head = mp4::fragment(self.fragments, self.video.run(), self.audio.run());
        self.written += head.len() as u64 + self.waiting();
        out.push(head.into());
        self.video.empty_into(out);
        self.audio.empty_into(out);
    }

    /// One entry a second is enough to seek by, and bounds the index.
    fn note_in_index(&mut self) {
        let Some(first) = self.video.samples.first().filter(|first| first.is_key) else { return };
        let time = self.video.start.saturating_add_signed(first.composition.into());
        if self.index.last().is_none_or(|last| time >= last.time + u64::from(self.timescales[0])) {
            self.index.push(IndexEntry { time, moof_at: self.written });
        }
    }
}

fn refused(reason: String) -> Error {
    Error::Format { format: "MP4", reason }
}

impl Container for Mp4 {
    fn push(&mut self, packet: &Packet, out: &mut Vec<Bytes>) -> Result<(), Error> {
        match packet.kind {
            Kind::Video { is_key } => self.push_picture(packet, is_key, out),
            Kind::Audio => self.push_sound(packet, out),
        }
        Ok(())
    }

    fn finish(&mut self, end_ms: Option<u64>, out: &mut Vec<Bytes>) -> Result<Vec<Patch>, Error> {
        if let Some(end_ms) = end_ms {
            self.video.last_until(self.grid.units(end_ms).saturating_sub(self.origins[0]));
        }
        self.flush(out);
        let ends = [&self.video, &self.audio].map(|lane| lane.floor);
        let ends_ms = [0, 1].map(|n| scaled(ends[n], 1000, self.timescales[n].into()));
        let index = mp4::index(&self.index);
        self.written += index.len() as u64;
        out.push(index.into());
        Ok(vec![Patch { at: self.length_at, bytes: ends_ms[0].max(ends_ms[1]).to_be_bytes() }])
    }

    fn bytes(&self) -> u64 {
        self.written + self.waiting()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        base::{colour::VideoColour, rate::FrameRate},
        flv,
        h264::{AvcConfig, sps},
        mp4::walk::{self, Read},
    };

    /// Baseline 16x16 without VUI, by hand in the tests of `sps`.
    const BASELINE: [u8; 6] = [0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x79];
    const RATES: [(u32, u32); 4] = [(30, 1), (60_000, 1001), (24_000, 1001), (25, 2)];

    /// A stream of this rate, from a frame on: of each picture, by how many frames it is shown late, whether it is an IDR,
    /// and whether it is lost with those that need it.
    #[derive(Debug, Clone)]
    struct Story {
        rate: FrameRate,
        from: u64,
        pictures: Vec<(u64, bool, bool)>,
    }

    impl Story {
        fn headers(&self) -> Headers {
            let sps = sps::described(&BASELINE, VideoColour::BT709_LIMITED, self.rate).unwrap();
            let avcc = AvcConfig::new(&sps, &[0x68, 0xCE]).unwrap().to_bytes();
            Headers {
                metadata: Bytes::new(),
                video: flv::video_sequence_header(&avcc),
                audio: flv::audio_sequence_header(&[0x11, 0x90]),
            }
        }

        /// The pictures that are not lost: number, delay, whether it is an IDR.
        fn kept(&self) -> Vec<(u64, u64, bool)> {
            let mut is_losing = false;
            let numbered = (self.from..).zip(&self.pictures);
            let kept = numbered.filter_map(|(number, &(late, is_key, is_lost))| {
                is_losing = number > self.from && is_lost || is_losing && !is_key;
                (!is_losing).then_some((number, late, is_key || number == self.from))
            });
            kept.collect()
        }

        fn origin_ms(&self) -> u64 {
            self.rate.ms_of(self.from)
        }

        /// Pictures and sound by decoding time.
        fn packets(&self) -> Vec<Packet> {
            let pictures = self.kept().into_iter().map(|(number, late, is_key)| {
                let dts_ms = self.rate.ms_of(number);
                let composition_ms = (self.rate.ms_of(number + late) - dts_ms) as i32;
                let data = Bytes::copy_from_slice(&number.to_be_bytes());
                let body = flv::video_access_unit(is_key, composition_ms, data);
                Packet { kind: Kind::Video { is_key }, dts_ms, body }
            });
            let sound = (self.first_sound()..self.sound_end()).map(|number| {
                let body = flv::audio_frame(Bytes::copy_from_slice(&(number as u32).to_be_bytes()));
                Packet { kind: Kind::Audio, dts_ms: scaled(number * 1024, 1000, 48_000), body }
            });
            let mut packets: Vec<_> = pictures.chain(sound).collect();
            packets.sort_by_key(|packet| packet.dts_ms);
            packets
        }

        fn first_sound(&self) -> u64 {
            (self.origin_ms() * 48).div_ceil(1024)
        }

        fn sound_end(&self) -> u64 {
            (self.rate.ms_of(self.from + self.pictures.len() as u64) * 48).div_ceil(1024)
        }

        /// The file, and how long it was after each packet.
        fn write(&self, end_ms: Option<u64>) -> (Vec<u8>, Vec<usize>) {
            let mut out = Vec::new();
            let mut file = Mp4::open(&self.headers(), self.origin_ms(), &mut out).unwrap();
            let mut lengths = Vec::new();
            for packet in self.packets() {
                file.push(&packet, &mut out).unwrap();
                lengths.push(out.iter().map(Bytes::len).sum());
            }
            let patches = file.finish(end_ms, &mut out).unwrap();
            let mut bytes = out.concat();
            assert_eq!(bytes.len() as u64, file.bytes());
            for Patch { at, bytes: patch } in patches {
                bytes[at as usize..][..8].copy_from_slice(&patch);
            }
            (bytes, lengths)
        }
    }

    fn stories() -> impl Strategy<Value = Story> {
        let picture = (0_u64..4, prop::bool::weighted(0.05), prop::bool::weighted(0.01));
        let pictures = prop::collection::vec(picture, 1..300);
        (prop::sample::select(&RATES), 0_u64..100_000_000, pictures).prop_map(|((num, den), from, pictures)| Story {
            rate: FrameRate::new(num, den).unwrap(),
            from,
            pictures,
        })
    }

    fn track(samples: &[Read], is_video: bool) -> Vec<&Read> {
        samples.iter().filter(|sample| sample.is_video == is_video).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Every picture is there once, at its exact time; what was lost before it shifts nothing; sound follows without a
        /// gap, to the millisecond where it belongs.
        #[test]
        fn all_is_there_at_its_time(story in stories()) {
            let (bytes, _) = story.write(None);
            let samples = walk::samples(&bytes).unwrap();
            let units = u64::from(Grid::new(Some(story.rate), timescale(story.rate)).frame());
            let pictures = track(&samples, true);
            prop_assert_eq!(pictures.len(), story.kept().len());
            for (read, (number, late, is_key)) in pictures.iter().zip(story.kept()) {
                let told = (read.dts, read.pts, read.is_key, &read.data[..]);
                let (dts, data) = ((number - story.from) * units, number.to_be_bytes());
                prop_assert_eq!(told, (dts, (dts + late * units) as i64, is_key, &data[..]));
            }
            for pair in pictures.windows(2) {
                let end = pair[0].dts + u64::from(pair[0].duration);
                // Where pictures are missing for so long that sound ends the fragment, there is a hole.
                let is_hole = pair[1].dts - pair[0].dts > 2 * u64::from(timescale(story.rate));
                prop_assert!(end == pair[1].dts || is_hole && end < pair[1].dts);
            }
            let sound = track(&samples, false);
            prop_assert_eq!(sound.len() as u64, story.sound_end() - story.first_sound());
            for (read, number) in sound.iter().zip(story.first_sound()..) {
                prop_assert_eq!(&read.data, &(number as u32).to_be_bytes());
                let exact = number as f64 * 1024.0 - story.rate.time_of(story.from).as_secs_f64() * 48_000.0;
                prop_assert!((read.dts as f64 - exact).abs() <= 48.0, "frame {} is at {} not {}", number, read.dts, exact);
            }
            for pair in sound.windows(2) {
                prop_assert_eq!(pair[0].dts + 1024, pair[1].dts);
            }
        }

        /// What was written when the daemon is killed can be read, and lacks two seconds at most; four if pictures are missing.
        #[test]
        fn a_file_that_ends_anywhere_is_whole_as_far_as_it_goes(story in stories()) {
            let (bytes, lengths) = story.write(None);
            let all = walk::samples(&bytes).unwrap();
            let lacks_ms = if story.kept().len() < story.pictures.len() { 4_100 } else { 2_100 };
            for (packet, &len) in story.packets().iter().zip(&lengths) {
                let so_far = walk::samples(&bytes[..len]).unwrap();
                prop_assert_eq!(&so_far[..], &all[..so_far.len()]);
                let end_ms = |read: &Read| {
                    let hz = if read.is_video { timescale(story.rate) } else { 48_000 };
                    scaled(read.dts + u64::from(read.duration), 1000, hz.into())
                };
                let has_ms = so_far.iter().map(end_ms).max().unwrap_or(0);
                let is_ms = packet.dts_ms - story.origin_ms();
                prop_assert!(is_ms <= has_ms + lacks_ms, "{} of {} ms", has_ms, is_ms);
            }
        }
    }

    fn timescale(rate: FrameRate) -> u32 {
        if rate.num() < 1000 { rate.num() * 1000 } else { rate.num() }
    }

    fn story(pictures: usize) -> Story {
        let is_key = |n| n % 25 == 0;
        let pictures = (0..pictures).map(|n| (0, is_key(n), false)).collect();
        Story { rate: FrameRate::new(25, 1).unwrap(), from: 1000, pictures }
    }

    #[test]
    fn the_last_picture_lasts_until_the_next_file_begins() {
        let last = |end_ms| {
            let (bytes, _) = story(50).write(end_ms);
            track(&walk::samples(&bytes).unwrap(), true).last().unwrap().duration
        };
        assert_eq!(last(None), 1000, "as long as a frame");
        assert_eq!(last(Some(42_080)), 3000, "two pictures were lost");
    }

    #[test]
    fn a_proper_end_leaves_an_index_and_the_length() {
        let (bytes, _) = story(100).write(None);
        let file = walk::file(&bytes).unwrap();
        let mehd = walk::find(&file, "moov/mvex/mehd").unwrap();
        let length_ms = u64::from_be_bytes(mehd.content[4..].try_into().unwrap());
        assert!((4000..4022).contains(&length_ms), "{length_ms}");
        let tfra = walk::find(&file, "mfra/tfra").unwrap();
        assert_eq!(tfra.content[12..16], 4_u32.to_be_bytes(), "an entry for each second");
        let entries: Vec<_> = tfra.content[16..].chunks_exact(19).collect();
        let moofs: Vec<_> = file.iter().filter(|found| found.name == "moof").map(|moof| moof.start as u64).collect();
        for (n, entry) in entries.iter().enumerate() {
            assert_eq!(entry[..8], (n as u64 * 25_000).to_be_bytes());
            assert!(moofs.contains(&u64::from_be_bytes(entry[8..16].try_into().unwrap())));
        }
        assert_eq!(bytes[bytes.len() - 4..], (tfra.content.len() as u32 + 8 + 8 + 16).to_be_bytes());
    }

    #[test]
    fn what_cannot_go_into_it_is_refused() {
        let open = |headers: &Headers| Mp4::open(headers, 0, &mut Vec::new()).unwrap_err();
        let good = story(1).headers();
        let video = flv::enhanced_sequence_start(crate::rtmp::FourCc::Hvc1, &[1]);
        let error = open(&Headers { video, ..good.clone() });
        assert_eq!((error.class(), error.may_mend_itself()), ("format", false));
        assert!(error.to_string().contains("record it as flv"), "{error}");
        assert_eq!(open(&Headers { video: good.video.slice(..9), ..good.clone() }).class(), "format");
        assert_eq!(open(&Headers { audio: Bytes::new(), ..good }).class(), "format");
    }
}
