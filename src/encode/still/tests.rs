//! Whatever is asked of an encoder and whatever becomes of it, the stream decodes to the encoder's own pictures, each as
//! often as it was to be shown; by FFmpeg, which must have nothing to say.

use std::{
    cell::Cell,
    fs,
    process::Command,
    sync::{Arc, Mutex},
};

use proptest::prelude::*;

use super::*;
use crate::{
    base::{colour::VideoColour, nv12::Layout, size::Size},
    encode::{CANDIDATES, Candidate, Codec, Nvenc, RateControl, Tuning, X264},
};

/// Before each access unit, so that a decoder takes the stream apart as an output's packets are.
const DELIMITER: [u8; 6] = [0, 0, 0, 1, 0x09, 0xF0];
const GOP_FRAMES: u64 = 20;

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// Another picture, and then the same for so many frames more.
    Picture { repeated: u64 },
    /// A picture that has to be an IDR, the last one or another.
    Forced { is_new: bool },
    /// The encoder leaves a frame out; the last picture was wanted once more, or another.
    LeftOut { is_new: bool },
    /// The machine stood still for so many frames.
    Gap { frames: u64 },
    /// Another bitrate, in kbit/s.
    Bitrate(u32),
    /// The encoder fails and is opened anew.
    Reopened,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..12u64).prop_map(|repeated| Step::Picture { repeated }),
        2 => any::<bool>().prop_map(|is_new| Step::Forced { is_new }),
        2 => any::<bool>().prop_map(|is_new| Step::LeftOut { is_new }),
        1 => (1..50u64).prop_map(|frames| Step::Gap { frames }),
        1 => (500..4000u32).prop_map(Step::Bitrate),
        1 => Just(Step::Reopened),
    ]
}

/// What the encoder behind made, and what it is to leave out.
#[derive(Debug, Default)]
struct Watch {
    made: Vec<AccessUnit>,
    is_leaving_out: bool,
}

/// An encoder that leaves frames out as one does that holds its bitrate, and of which all is seen.
#[derive(Debug)]
struct Watched(Box<dyn Encoder>, Arc<Mutex<Watch>>);

impl Encoder for Watched {
    fn backend(&self) -> &'static str {
        self.0.backend()
    }

    fn parameter_sets(&self) -> &ParameterSets {
        self.0.parameter_sets()
    }

    fn encode(&mut self, picture: &Picture, request: Request) -> Result<Option<AccessUnit>, Error> {
        let mut watch = self.1.lock().unwrap();
        if watch.is_leaving_out {
            return Ok(None);
        }
        let unit = self.0.encode(picture, request)?;
        watch.made.extend(unit.clone());
        Ok(unit)
    }

    fn flush(&mut self) -> Result<Option<AccessUnit>, Error> {
        self.0.flush()
    }

    fn set_bitrate_kbps(&mut self, bitrate_kbps: u32) -> Result<(), Error> {
        self.0.set_bitrate_kbps(bitrate_kbps)
    }
}

fn config() -> Config {
    Config {
        size: Size::new(96, 64).unwrap(),
        rate: "25".parse().unwrap(),
        bitrate_kbps: 2000,
        rate_control: RateControl::Variable,
        gop_frames: GOP_FRAMES as u32,
        colour: VideoColour::BT709_LIMITED,
        threads: 2,
        codec: Codec::H264,
        tuning: Tuning::LowLatency,
        nvenc: Nvenc::default(),
        x264: X264::default(),
    }
}

/// A picture that no other number has.
fn picture(number: u64) -> Picture {
    let mut picture = Picture::black(config().size);
    let Layout { pitch, .. } = picture.layout();
    for (at, byte) in picture.bytes_mut().iter_mut().enumerate() {
        let (x, y) = (at % pitch, at / pitch);
        *byte = 40 + ((x as u64 / 8 + y as u64 / 4 + number * 5) % 20) as u8 * 8;
    }
    picture
}

/// A stream with the parameter sets of each encoder before its access units.
#[derive(Debug, Default)]
struct Stream(Vec<u8>);

impl Stream {
    fn nal(&mut self, nal: &[u8]) {
        self.0.extend([0, 0, 0, 1]);
        self.0.extend(nal);
    }

    /// An access unit; the first of an encoder has its parameter sets.
    fn unit(&mut self, sets: Option<&ParameterSets>, mut nalus: &[u8]) {
        self.0.extend(DELIMITER);
        let sets = sets.into_iter().flat_map(|sets| [&sets.sps].into_iter().chain(&sets.pps));
        sets.for_each(|nal| self.nal(nal));
        while let Some((len, rest)) = nalus.split_first_chunk::<4>() {
            let (nal, rest) = rest.split_at(u32::from_be_bytes(*len) as usize);
            self.nal(nal);
            nalus = rest;
        }
    }

    /// The checksum of each picture that is shown.
    fn decoded(&self) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stream.h264");
        fs::write(&path, &self.0).unwrap();
        let output = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "warning", "-f", "h264", "-i"])
            .arg(path)
            .args(["-fps_mode", "passthrough", "-f", "framemd5", "-"])
            .output()
            .expect("ffmpeg is needed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "ffmpeg: {said}");
        let listing = String::from_utf8(output.stdout).unwrap();
        let frames = listing.lines().filter(|line| !line.starts_with('#'));
        frames.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect()
    }
}

/// A stream's encoder thread, step by step.
struct Run {
    candidate: &'static Candidate,
    encoder: Box<dyn Encoder>,
    watch: Arc<Mutex<Watch>>,
    frame: u64,
    /// Number of the picture on air.
    picture: u64,
    /// Number of the picture that this encoder sent last.
    sent: Option<u64>,
    spliced: Stream,
    /// The same without repeats, as the encoders made it.
    plain: Stream,
    origins: Vec<Origin>,
}

impl Run {
    fn new(candidate: &'static Candidate) -> Self {
        let watch = Arc::default();
        let encoder = Self::open(candidate, &watch);
        Self {
            candidate,
            encoder,
            watch,
            frame: 0,
            picture: 0,
            sent: None,
            spliced: Stream::default(),
            plain: Stream::default(),
            origins: Vec::new(),
        }
    }

    fn open(candidate: &Candidate, watch: &Arc<Mutex<Watch>>) -> Box<dyn Encoder> {
        let encoder = (candidate.open)(&config()).unwrap();
        Still::around(Box::new(Watched(encoder, watch.clone())), &config())
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Picture { repeated } => {
                self.ask(true, false);
                (0..repeated).for_each(|_| self.ask(false, false));
            }
            Step::Forced { is_new } => self.ask(is_new, true),
            Step::LeftOut { is_new } => {
                self.watch.lock().unwrap().is_leaving_out = true;
                self.ask(is_new, false);
                self.watch.lock().unwrap().is_leaving_out = false;
            }
            Step::Gap { frames } => self.frame += frames,
            Step::Bitrate(kbps) => self.encoder.set_bitrate_kbps(kbps).unwrap(),
            Step::Reopened => {
                self.encoder = Self::open(self.candidate, &self.watch);
                self.sent = None;
            }
        }
    }

    fn ask(&mut self, is_new: bool, is_idr_forced: bool) {
        self.picture += u64::from(is_new);
        let damage = if is_new { Damage::whole(config().size.sides()) } else { Damage::none() };
        let request = Request { frame: self.frame, is_idr_forced, damage };
        let unit = self.encoder.encode(&picture(self.picture), request).unwrap();
        let made = std::mem::take(&mut self.watch.lock().unwrap().made);
        let sets = self.sent.is_none().then(|| self.encoder.parameter_sets());
        made.iter().for_each(|unit| self.plain.unit(sets, &unit.nalus));
        if let Some(unit) = unit {
            assert_eq!(unit.frame, self.frame);
            assert_eq!(made.is_empty(), unit.origin == Origin::Repeated);
            assert!(unit.is_key || (self.sent.is_some() && !is_idr_forced), "nothing before an IDR");
            self.spliced.unit(sets, &unit.nalus);
            assert!(unit.origin != Origin::Repeated || self.sent == Some(self.picture), "the picture asked for");
            self.sent = Some(self.picture);
            self.origins.push(unit.origin);
        }
        self.frame += 1;
    }

    /// What is to be shown, by what the encoders' own streams show.
    fn expected(&self) -> Vec<String> {
        let mut plain = self.plain.decoded().into_iter();
        let mut shown: Vec<String> = Vec::new();
        for &origin in &self.origins {
            let picture = if origin == Origin::Repeated { shown.last().cloned() } else { plain.next() };
            shown.push(picture.expect("a picture for each access unit"));
        }
        assert_eq!(plain.next(), None, "what the encoders made was sent");
        shown
    }
}

#[test]
fn the_stream_shows_the_encoders_pictures_whatever_happens() {
    // Those that are on every machine.
    for candidate in CANDIDATES.iter().filter(|candidate| candidate.name != "nvenc") {
        let repeated = Cell::new(0);
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            cases: 12,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        runner
            .run(&prop::collection::vec(any_step(), 1..25), |steps| {
                let mut run = Run::new(candidate);
                run.ask(true, false);
                steps.iter().for_each(|step| run.take(step));
                let count = run.origins.iter().filter(|&&origin| origin == Origin::Repeated).count();
                repeated.set(repeated.get() + count);
                prop_assert_eq!(run.spliced.decoded(), run.expected());
                Ok(())
            })
            .unwrap();
        assert!(repeated.get() > 100, "{}: {repeated:?} are too few to show anything", candidate.name);
    }
}
