//! Files as FFmpeg makes them, played as a stream would: every format, to the sample.

use std::{fs, path::Path, process::Command};

use proptest::prelude::*;

use super::{tape::Tape, *};
use crate::{
    audio::SILENT_BLOCK,
    media::{self, Library},
};

/// The test sound: two seconds at `rate_hz`, a tone on the left and another on the right, and a click of one sample at
/// each half second, so that a place can be told to the sample.
fn original(rate_hz: u32, seconds: f64) -> Vec<Frame> {
    use std::f64::consts::TAU;
    let frames = (f64::from(rate_hz) * seconds).round() as usize;
    let tone = |n: usize, hz: f64| (n as f64 * hz / f64::from(rate_hz) * TAU).sin() * 0.25;
    (0..frames).map(|n| [tone(n, 440.0) as f32, tone(n, 1234.0) as f32]).collect()
}

/// A WAV file of 32-bit floating point.
fn wav(rate_hz: u32, frames: &[Frame]) -> Vec<u8> {
    let data: Vec<u8> = frames.iter().flatten().flat_map(|sample| sample.to_le_bytes()).collect();
    wav_with(3, 2, rate_hz, 32, data.len() as u32, &data)
}

/// One whose head says what it is told to say.
fn wav_with(format: u16, channels: u16, rate_hz: u32, bits: u16, data_len: u32, data: &[u8]) -> Vec<u8> {
    let block = u32::from(channels) * u32::from(bits) / 8;
    let mut bytes = Vec::new();
    bytes.extend(b"RIFF");
    bytes.extend(data_len.saturating_add(36).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16u32.to_le_bytes());
    bytes.extend(format.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate_hz.to_le_bytes());
    bytes.extend(rate_hz.wrapping_mul(block).to_le_bytes());
    bytes.extend((block as u16).to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend(data_len.to_le_bytes());
    bytes.extend(data);
    bytes
}

fn ffmpeg(args: &[&str]) {
    let output = Command::new("ffmpeg").args(["-v", "error", "-y"]).args(args).output().expect("ffmpeg is needed");
    assert!(output.status.success(), "ffmpeg {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

struct Folder {
    dir: tempfile::TempDir,
    library: Arc<Library>,
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = media::Config { assets_dir: Some(dir.path().into()), workers: 1, ..media::Config::default() };
        Self { library: Library::new(config).unwrap(), dir }
    }

    fn with(name: &str, bytes: &[u8]) -> Self {
        let folder = Self::new();
        folder.put(name, bytes);
        folder
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// `from` converted by FFmpeg into `to`.
    fn convert(&self, from: &str, args: &[&str], to: &str) {
        let (from, to) = (self.path(from), self.path(to));
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        ffmpeg(&[&["-i", &text(&from)], args, &[&text(&to)]].concat());
    }

    fn open(&self, file: &File) -> FileSource {
        file.open(&Id::new("test").unwrap(), &self.library.sound_files(), true)
    }
}

fn file(asset: &str) -> File {
    File { asset: asset.into(), is_looped: false, start_ms: 0.0, at_ms: Some(0.0) }
}

fn looped(asset: &str) -> File {
    File { is_looped: true, ..file(asset) }
}

/// Samples `first..first + count` of a source; `first` and `count` are whole blocks.
fn heard(source: &mut FileSource, first: u64, count: usize) -> Vec<Frame> {
    let mut sound = Vec::new();
    for block in 0..count.div_ceil(BLOCK_SAMPLES) {
        let mut out = SILENT_BLOCK;
        source.mix(first + (block * BLOCK_SAMPLES) as u64, &mut out);
        sound.extend(out);
    }
    sound.truncate(count);
    sound
}

fn failure(source: &FileSource) -> Option<String> {
    source.feed.troubles().0.map(|reason| reason.to_string())
}

/// How far `ideal` stands above what `sound` has else, in decibels.
fn snr_db(ideal: &[Frame], sound: &[Frame]) -> f64 {
    let square = |sample: f32| f64::from(sample).powi(2);
    let signal: f64 = ideal.iter().flatten().map(|&sample| square(sample)).sum();
    let off = ideal.iter().zip(sound).flat_map(|(a, b)| [square(a[0] - b[0]), square(a[1] - b[1])]);
    10.0 * (signal / off.sum::<f64>().max(1e-30)).log10()
}

#[test]
fn a_wav_is_heard_bit_for_bit() {
    let sound = original(48_000, 0.5);
    let folder = Folder::with("a.wav", &wav(48_000, &sound));
    let mut source = folder.open(&file("a.wav"));
    let out = heard(&mut source, 0, 30_000);
    assert!(out[..24_000] == sound);
    assert_eq!(out[24_000..], [[0.0; 2]; 6000], "behind its end there is silence");
    assert!(source.feed.is_over() && failure(&source).is_none() && source.take_missing() == 0);
}

/// What each format keeps, and where: no format is off by a sample.
#[test]
fn every_format_is_heard_in_its_place() {
    let sound = original(48_000, 1.5);
    let folder = Folder::with("a.wav", &wav(48_000, &sound));
    for (name, args, snr_min_db) in [
        ("u8.wav", &["-c:a", "pcm_u8"][..], 36.0),
        ("s16.wav", &["-c:a", "pcm_s16le"], 85.0),
        ("s24.wav", &["-c:a", "pcm_s24le"], 125.0),
        ("s32.wav", &["-c:a", "pcm_s32le"], 140.0),
        ("f64.wav", &["-c:a", "pcm_f64le"], 200.0),
        ("s16.flac", &["-c:a", "flac"], 85.0),
        ("s24.flac", &["-c:a", "flac", "-sample_fmt", "s32"], 125.0),
        ("a.mp3", &["-c:a", "libmp3lame", "-b:a", "256k"], 40.0),
        ("a.m4a", &["-c:a", "aac", "-b:a", "256k"], 25.0),
        ("a.ogg", &["-c:a", "libvorbis", "-b:a", "256k"], 30.0),
    ] {
        folder.convert("a.wav", args, name);
        let mut source = folder.open(&file(name));
        let out = heard(&mut source, 0, 80_000);
        assert_eq!(failure(&source), None, "{name}");
        let snr = snr_db(&sound, &out);
        assert!(snr > snr_min_db, "{name}: {snr:.1} dB");
        // Lossless and gapless ones end where the original does.
        let ends = out.iter().rposition(|frame| frame[0].abs().max(frame[1].abs()) > 1e-4).unwrap();
        assert!(ends < 72_000, "{name}: ends at {ends}");
    }
}

/// ADTS says nothing of the encoder's delay: the sound is whole, and late by what the encoder put before it.
/// A cover of three megabytes before the sound, as shops put it there.
#[test]
fn an_mp3_is_heard_behind_its_cover() {
    let sound = original(48_000, 0.5);
    let folder = Folder::with("a.wav", &wav(48_000, &sound));
    folder.convert("a.wav", &["-c:a", "libmp3lame", "-id3v2_version", "0"], "a.mp3");
    let plain = fs::read(folder.path("a.mp3")).unwrap();
    let mut tag = b"ID3\x03\0\0\x01\x40\0\0".to_vec();
    tag.resize(10 + (0xc0 << 14), 0xff);
    folder.put("b.mp3", &[tag, plain].concat());
    let [a, b] = ["a.mp3", "b.mp3"].map(|name| heard(&mut folder.open(&file(name)), 0, 24_000));
    assert!(a == b && a.iter().any(|frame| frame[0].abs() > 0.1));
}

#[test]
fn what_a_file_is_can_be_asked_before_it_is_played() {
    let folder = Folder::with("a.wav", &wav(44_100, &original(44_100, 0.1)));
    folder.put("b.wav", b"RIFF\x04\0\0\0WAVE");
    let examined = |name| examine(fs::File::open(folder.path(name)).unwrap());
    assert_eq!(examined("a.wav"), Ok(Examined { sample_rate_hz: 44_100, channels: 2 }));
    assert!(examined("b.wav").unwrap_err().contains("no sound"), "{:?}", examined("b.wav"));
}

#[test]
fn adts_is_heard_as_it_is() {
    let sound = original(48_000, 1.0);
    let folder = Folder::with("a.wav", &wav(48_000, &sound));
    folder.convert("a.wav", &["-c:a", "aac", "-b:a", "256k"], "a.aac");
    let out = heard(&mut folder.open(&file("a.aac")), 0, 51_200);
    let snr = snr_db(&sound[..47_000], &out[1024..]);
    assert!(snr > 25.0, "{snr:.1} dB");
}

#[test]
fn other_rates_and_layouts_become_48_khz_stereo() {
    let folder = Folder::with("a.wav", &wav(44_100, &original(44_100, 1.0)));
    let out = heard(&mut folder.open(&file("a.wav")), 0, 60_000);
    let ideal = original(48_000, 1.0);
    // At either end the sound is cut off, which no filter of limited band leaves as it is.
    let snr = snr_db(&ideal[1000..47_000], &out[1000..]);
    assert!(snr > 90.0, "{snr:.1} dB");
    assert_eq!(out[48_000 + 300..], [[0.0; 2]; 60_000 - 48_300]);

    folder.convert("a.wav", &["-ac", "1", "-ar", "22050"], "mono.flac");
    let out = heard(&mut folder.open(&file("mono.flac")), 0, 48_000);
    assert!(out.iter().all(|[left, right]| left == right) && out.iter().any(|frame| frame[0].abs() > 0.1));

    // The centre alone, of six.
    folder.convert("a.wav", &["-af", "pan=5.1|FC=FL", "-ar", "48000", "-c:a", "pcm_f32le"], "centre.wav");
    let out = heard(&mut folder.open(&file("centre.wav")), 0, 47_000);
    let expected: Vec<Frame> = ideal.iter().map(|frame| [frame[0] * std::f32::consts::FRAC_1_SQRT_2; 2]).collect();
    let snr = snr_db(&expected[1000..46_000], &out[1000..]);
    assert!(snr > 60.0, "{snr:.1} dB");
}

/// Round and round, to the sample, short or long, and joined anywhere as if it had been heard from the start.
#[test]
fn loops_have_no_seam_and_are_joined_in_phase() {
    // Not a whole number of blocks, nor of milliseconds, nor of packets.
    let sound: Vec<Frame> = original(48_000, 0.5)[..17_777].to_vec();
    let folder = Folder::with("a.wav", &wav(48_000, &sound));
    folder.convert("a.wav", &["-c:a", "flac", "-sample_fmt", "s32"], "a.flac");
    folder.convert("a.wav", &["-c:a", "libmp3lame", "-b:a", "256k"], "a.mp3");
    folder.convert("a.wav", &["-c:a", "aac", "-b:a", "256k"], "a.m4a");
    folder.convert("a.wav", &["-c:a", "libvorbis", "-b:a", "256k"], "a.ogg");
    for name in ["a.wav", "a.flac", "a.mp3", "a.m4a", "a.ogg"] {
        let mut source = folder.open(&looped(name));
        let rounds = heard(&mut source, 0, 5 * 17_777);
        for (round, again) in rounds.chunks(17_777).enumerate() {
            assert!(again == &rounds[..17_777], "{name}: round {round} is another");
        }
        let late = 123 * BLOCK_SAMPLES as u64;
        let joined = heard(&mut folder.open(&looped(name)), late, 4096);
        let expected: Vec<_> = (late..late + 4096).map(|n| rounds[(n % 17_777) as usize]).collect();
        assert!(joined == expected, "{name}: joined out of phase");
        assert!(heard(&mut source, 0, 2048) == rounds[..2048], "{name}: and back");
    }
}

/// A loop that is resampled goes on in phase, too: 44.1 kHz is 17 777 frames around to the fraction of a sample.
#[test]
fn resampled_loops_have_no_seam() {
    // Whole periods, so that round after round is one endless tone.
    let hz = 44_100.0 / 441.0;
    let frames: Vec<Frame> =
        (0..4410).map(|n| [(f64::from(n) * hz / 44_100.0 * std::f64::consts::TAU).sin() as f32 * 0.5; 2]).collect();
    let folder = Folder::with("a.wav", &wav(44_100, &frames));
    let out = heard(&mut folder.open(&looped("a.wav")), 0, 48_000);
    let ideal: Vec<Frame> =
        (0..48_000).map(|n| [(f64::from(n) * hz / 48_000.0 * std::f64::consts::TAU).sin() as f32 * 0.5; 2]).collect();
    let snr = snr_db(&ideal[1000..], &out[1000..]);
    assert!(snr > 90.0, "{snr:.1} dB");
    let joined = heard(&mut folder.open(&looped("a.wav")), 20 * 1024, 2048);
    assert!(joined == out[20 * 1024..][..2048]);
}

#[test]
fn it_starts_where_and_when_it_is_told_to() {
    let sound = original(48_000, 1.0);
    let folder = Folder::with("a.wav", &wav(48_000, &sound));
    folder.convert("a.wav", &["-c:a", "libvorbis", "-b:a", "256k"], "a.ogg");
    let placed = |asset: &str| File { start_ms: 250.0, at_ms: Some(10.0), ..file(asset) };
    let out = heard(&mut folder.open(&placed("a.wav")), 0, 40_960);
    assert_eq!(out[..480], [[0.0; 2]; 480]);
    assert!(out[480..36_480] == sound[12_000..]);
    assert_eq!(out[36_480..], [[0.0; 2]; 40_960 - 36_480]);
    // The same place in what has to be decoded up to there.
    let whole = heard(&mut folder.open(&file("a.ogg")), 0, 48_128);
    let out = heard(&mut folder.open(&placed("a.ogg")), 0, 20_480);
    assert!(out[480..] == whole[12_000..][..20_000]);
    // A loop returns to where it started.
    let out = heard(&mut folder.open(&File { is_looped: true, ..placed("a.wav") }), 0, 40_960);
    assert!(out[36_480..40_000] == sound[12_000..15_520]);
}

/// Two seconds and more, so that not all of it is in the feed; 31, so that it is not kept either.
#[test]
fn long_files_are_streamed_and_gone_to() {
    let noise = |n: u32| (n.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32 - 0.5;
    let sound: Vec<Frame> = (0..31 * 8000).map(|n| [noise(n), noise(n + 7)]).collect();
    let folder = Folder::with("a.wav", &wav(8000, &sound));
    folder.convert("a.wav", &["-c:a", "libmp3lame", "-b:a", "64k"], "a.mp3");
    for name in ["a.wav", "a.mp3"] {
        let length = 31 * 48_000;
        let mut source = folder.open(&looped(name));
        let from_start = heard(&mut source, 0, 8 * 48_128);
        for late in [3 * 48_128, 7 * 48_128 + 1024] {
            let joined = heard(&mut folder.open(&looped(name)), late, 2048);
            assert!(joined == from_start[late as usize..][..2048], "{name}");
        }
        // Two rounds later, to the block before the seam and over it.
        let late = (2 * length / 1024 - 1) * 1024;
        let over_seam = heard(&mut source, late, 4096);
        let joined = heard(&mut folder.open(&looped(name)), late, 4096);
        assert!(over_seam == joined, "{name}: over the seam");
        let behind = heard(&mut folder.open(&file(name)), 3 * length / 1024 * 1024, 1024);
        assert_eq!(behind, SILENT_BLOCK, "{name}: long over");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let folder = Folder::new();
    let silence = vec![0; 4000];
    folder.put("text.wav", b"not a sound at all, but long enough to be looked into");
    folder.put("empty.wav", b"");
    folder.put("fast.wav", &wav_with(1, 2, 10_000_000, 16, 4000, &silence));
    folder.put("still.wav", &wav_with(1, 2, 0, 16, 4000, &silence));
    folder.put("slow.wav", &wav_with(1, 2, 7999, 16, 4000, &silence));
    folder.put("many.wav", &wav_with(1, 255, 48_000, 16, 5100, &vec![0; 5100]));
    folder.put("nine.wav", &wav_with(1, 9, 48_000, 16, 1800, &vec![0; 1800]));
    folder.put("nothing.wav", &wav_with(1, 2, 48_000, 16, 0, &[]));
    folder.put("short.wav", &wav_with(1, 2, 48_000, 16, 4000, &silence));
    let said = |file: File| {
        let mut source = folder.open(&file);
        assert!(heard(&mut source, 0, 2048).iter().all(|frame| *frame == [0.0; 2]), "{}", file.asset);
        failure(&source).unwrap_or_else(|| panic!("{} is played", file.asset))
    };
    let no_sound = "it is no sound that is understood (";
    for (asset, expected) in [
        ("text.wav", no_sound),
        ("empty.wav", no_sound),
        ("fast.wav", "its sampling rate of 10000000 Hz is out of range: 8000 to 384000"),
        ("still.wav", ""),
        ("slow.wav", "its sampling rate of 7999 Hz is out of range: 8000 to 384000"),
        ("many.wav", ""),
        ("nine.wav", "its 9 channels are out of range: 1 to 8"),
        ("nothing.wav", "there is no sound in it"),
    ] {
        let said = said(file(asset));
        assert!(said.starts_with(&format!("`{asset}` is not played: {expected}")), "{said}");
    }
    let behind = File { start_ms: 5000.0, ..file("short.wav") };
    assert_eq!(said(behind), "`short.wav` is not played: it is over before 5000 ms, where it is to start");
    assert!(said(file("none.wav")).starts_with("`none.wav` is not in the assets directory"));
    assert!(said(file("../none.wav")).contains("is not a name below the assets directory"));
}

/// A file that lies about its length is heard as far as it goes, and goes round there.
#[test]
fn a_file_that_ends_early_is_heard_up_to_there() {
    let sound = original(48_000, 0.5);
    let data: Vec<u8> = sound.iter().flatten().flat_map(|sample| sample.to_le_bytes()).collect();
    let folder = Folder::with("liar.wav", &wav_with(3, 2, 48_000, 32, 100_000_000, &data));
    let out = heard(&mut folder.open(&file("liar.wav")), 0, 30_000);
    assert!(out[..24_000] == sound);
    assert_eq!(out[24_000..], [[0.0; 2]; 6000]);
    let late = 1000 * BLOCK_SAMPLES as u64;
    let out = heard(&mut folder.open(&looped("liar.wav")), late, 1024);
    let expected: Vec<_> = (late..late + 1024).map(|n| sound[(n % 24_000) as usize]).collect();
    assert!(out == expected, "joined behind what the head calls the middle");

    let folder = Folder::with("a.wav", &wav(48_000, &original(48_000, 3.0)));
    for (name, args) in [("a.mp3", &["-c:a", "libmp3lame"][..]), ("a.ogg", &["-c:a", "libvorbis"]), ("a.flac", &[])] {
        folder.convert("a.wav", args, name);
        let bytes = fs::read(folder.path(name)).unwrap();
        folder.put(name, &bytes[..bytes.len() * 2 / 3]);
        let mut source = folder.open(&file(name));
        let out = heard(&mut source, 0, 24_000);
        assert_eq!(failure(&source), None, "{name}");
        assert!(out.iter().take(8000).any(|frame| frame[0].abs() > 0.1), "{name}");
    }
}

/// Whatever floating point says.
#[test]
fn samples_that_are_not_numbers_are_silent() {
    let sound = [[f32::NAN, f32::INFINITY], [1e30, -1e30], [0.5, -0.5]].repeat(500);
    let folder = Folder::with("a.wav", &wav(44_100, &sound));
    let out = heard(&mut folder.open(&file("a.wav")), 0, 2048);
    assert!(out.as_flattened().iter().all(|sample| sample.is_finite() && sample.abs() < 40.0));
}

/// A deleted file goes on; one that is overwritten costs its own sound at most.
#[test]
fn a_file_may_go_while_it_is_played() {
    let sound = original(8000, 40.0);
    let folder = Folder::with("a.wav", &wav(8000, &sound));
    let mut source = folder.open(&looped("a.wav"));
    let whole = heard(&mut folder.open(&looped("a.wav")), 0, 20_480);
    heard(&mut source, 0, 1024);
    fs::remove_file(folder.path("a.wav")).unwrap();
    assert!(heard(&mut source, 0, 20_480) == whole);

    let folder = Folder::with("b.wav", &wav(8000, &sound));
    let mut source = folder.open(&looped("b.wav"));
    heard(&mut source, 0, 1024);
    fs::write(folder.path("b.wav"), [0x55; 5000]).unwrap();
    heard(&mut source, 60 * 48_000 / 1024 * 1024, 4096);
    assert!(failure(&source).is_some_and(|reason| reason.starts_with("`b.wav` is not played: ")));
}

/// A decoder that does not keep up costs a soft hole, and what comes then is in its place.
#[test]
fn what_is_late_goes_and_comes_softly() {
    let mut source = FileSource::start(&Id::new("late").unwrap(), Some(0), false, |_| {});
    source.feed.next_task();
    let deliver = |source: &FileSource, count: usize| source.feed.deliver(&vec![[0.5, -0.5]; count], None);
    deliver(&source, 1024 + 500);
    assert_eq!(heard(&mut source, 0, 1024), [[0.5, -0.5]; 1024]);
    let out = heard(&mut source, 1024, 1024);
    let steps = |out: &[Frame]| out.windows(2).map(|pair| (pair[1][0] - pair[0][0]).abs()).fold(0.0, f32::max);
    assert_eq!(out[499], [0.5, -0.5]);
    assert!(steps(&out) < 0.003 && out[500 + FADE_SAMPLES] == [0.0; 2], "it goes");
    assert_eq!(heard(&mut source, 2048, 1024), SILENT_BLOCK);
    assert_eq!(source.take_missing(), 524 + 1024);
    deliver(&source, 524 + 1024 + 1024);
    let out = heard(&mut source, 3072, 1024);
    assert!(out[0] == [0.0; 2] && steps(&out) < 0.003 && out[FADE_SAMPLES] == [0.5, -0.5], "it comes");
}

#[test]
fn documents() {
    let file: File = serde_json::from_str(r#"{"asset":"a.wav","loop":true,"startMs":5,"atMs":10}"#).unwrap();
    assert_eq!(file, File { asset: "a.wav".into(), is_looped: true, start_ms: 5.0, at_ms: Some(10.0) });
    assert!(serde_json::from_str::<File>(r#"{"asset":"a.wav","looop":true}"#).is_err());
    let problems = |file: File| {
        let mut check = Check::default();
        file.check(&mut check);
        check.finish().unwrap_err().to_string()
    };
    assert!(problems(File { start_ms: -1.0, ..file.clone() }).contains("/startMs"));
    assert!(problems(File { at_ms: Some(f64::NAN), ..file.clone() }).contains("/atMs"));
    assert!(problems(File { asset: String::new(), ..file }).contains("/asset"));
}

/// Small files of each kind, made once.
fn samples() -> &'static [Vec<u8>] {
    static SAMPLES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    SAMPLES.get_or_init(|| {
        let folder = Folder::with("a.wav", &wav(8000, &original(8000, 0.3)));
        let formats = [
            ("b.wav", "pcm_s16le"),
            ("a.flac", "flac"),
            ("a.mp3", "libmp3lame"),
            ("a.m4a", "aac"),
            ("a.aac", "aac"),
            ("a.ogg", "libvorbis"),
        ];
        let encoded = formats.map(|(name, codec)| {
            folder.convert("a.wav", &["-c:a", codec, "-metadata", "title=sound"], name);
            fs::read(folder.path(name)).unwrap()
        });
        encoded.into()
    })
}

/// Plays what the bytes hold, as a thread would, up to a few seconds; whether the decoder panicked.
fn play(bytes: Vec<u8>) -> bool {
    let bytes: Arc<[u8]> = bytes.into();
    let reader: Reader = Box::new(move || Ok(Box::new(std::io::Cursor::new(bytes.clone()))));
    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut tape = Tape::open(reader, 1.0, true)?;
        for _ in 0..1000 {
            if tape.approach(3000)? {
                break;
            }
        }
        let mut out = Vec::new();
        for _ in 0..20 {
            tape.read(&mut out)?;
            out.clear();
        }
        Ok::<_, Error>(())
    }));
    played.is_err()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is turned over in a file or cut off, it is a sound or an error, and if a decoder panics nothing else does.
    #[test]
    fn damaged_files_are_sounds_or_errors(
        kind in 0usize..6,
        keep in 0.0f64..1.2,
        flips in prop::collection::vec((0.0f64..1.0, any::<u8>()), 0..6),
        is_head in any::<bool>(),
    ) {
        let mut bytes = samples()[kind].clone();
        for (at, value) in flips {
            let len = if is_head { bytes.len().min(200) } else { bytes.len() };
            bytes[(at * len as f64) as usize] = value;
        }
        bytes.truncate((keep * bytes.len() as f64) as usize);
        play(bytes);
    }

    #[test]
    fn noise_behind_any_signature_is_an_error(
        signature in prop::sample::select(vec![&b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0"[..], b"fLaC\0\0\0\x22", b"OggS\0\x02",
            b"\0\0\0\x18ftypM4A ", b"ID3\x04\0\0\x7f\x7f\x7f\x7f", b"\xff\xfb\x90\x64", b"\xff\xf1\x4c\x80"]),
        noise in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        play([signature, &noise].concat());
    }
}
