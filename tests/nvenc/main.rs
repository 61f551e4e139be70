//! NVENC without the chip: the encoder on a stand-in for NVIDIA's driver that is as strict as its documentation and codes
//! without loss, so that FFmpeg's decoder proves every pixel that reached it; and what the program does with drivers that
//! refuse, crash, hang or are not there.
//!
//! The stand-in is C against NVIDIA's own header (`driver`, Debian's `libffmpeg-nvenc-dev`). What it cannot prove is that the
//! chip is as the header says.

mod program;
#[path = "../servers/mod.rs"]
mod servers;
mod stand;
#[path = "../support/mod.rs"]
mod support;

use std::{fs, process::Command};

use proptest::prelude::*;
use stand::Stand;
use stream_manager::{
    base::{
        colour::VideoColour,
        nv12::{Layout, Picture},
        size::Size,
    },
    encode::{
        self, AccessUnit, Backend, Codec, Config, Encoder, Nvenc, NvencPreset, Opened, Origin, RateControl, Request,
        Tuning, X264,
        nvenc::{Access, PATIENCE, Probe, set_access},
    },
    h264::Sps,
    scene::damage::Damage,
};

fn config(width: u32, height: u32) -> Config {
    Config {
        size: Size::new(width, height).unwrap(),
        rate: "30".parse().unwrap(),
        bitrate_kbps: 3000,
        rate_control: RateControl::Variable,
        gop_frames: 60,
        colour: VideoColour::BT709_LIMITED,
        threads: 1,
        codec: Codec::H264,
        tuning: Tuning::LowLatency,
        nvenc: Nvenc::default(),
        x264: X264::default(),
    }
}

fn nvenc() -> Backend {
    "nvenc".parse().unwrap()
}

/// What stands in where the chip does not: the next candidate of this build.
fn software() -> &'static str {
    encode::CANDIDATES[1].name
}

fn opened(config: &Config) -> Box<dyn Encoder> {
    let Opened { encoder, refusals } = encode::open(nvenc(), config).unwrap_or_else(|error| panic!("{error}"));
    assert!(encoder.backend() == "nvenc" && refusals.is_empty());
    encoder
}

/// Noise: no two bytes in a row tell the same.
fn noise(size: Size, seed: u64) -> Picture {
    let mut state = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut picture = Picture::black(size);
    for byte in picture.bytes_mut() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = (state >> 32) as u8;
    }
    picture
}

/// A picture without the padding of its rows.
fn packed(picture: &Picture) -> Vec<u8> {
    let Layout { size, pitch } = picture.layout();
    picture.bytes().chunks_exact(pitch).flat_map(|row| &row[..size.width() as usize]).copied().collect()
}

fn request(frame: u64, damage: Damage) -> Request {
    Request { frame, is_idr_forced: false, damage }
}

fn changed(frame: u64, config: &Config) -> Request {
    request(frame, Damage::whole(config.size.sides()))
}

/// What FFmpeg shows of a stream: NV12 without padding; it must have nothing to say against it.
fn decoded(encoder: &dyn Encoder, units: &[AccessUnit], size: Size) -> Vec<Vec<u8>> {
    let sets = encoder.parameter_sets();
    let (is_hevc, mut stream) = (sets.vps.is_some(), Vec::new());
    for nal in sets.vps.iter().chain([&sets.sps]).chain(&sets.pps) {
        stream.extend([0, 0, 0, 1]);
        stream.extend_from_slice(nal);
    }
    for unit in units {
        let mut rest = &unit.nalus[..];
        while let Some((len, tail)) = rest.split_first_chunk::<4>() {
            let (nal, tail) = tail.split_at(u32::from_be_bytes(*len) as usize);
            let is_slice = if is_hevc { nal[0] >> 1 < 32 } else { matches!(nal[0] & 0x1F, 1 | 5) };
            assert!(is_slice, "only slices are left in access units");
            stream.extend([0, 0, 0, 1]);
            stream.extend_from_slice(nal);
            rest = tail;
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("stream.h264");
    fs::write(&file, stream).unwrap();
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-xerror", "-err_detect", "explode", "-f"]);
    ffmpeg.arg(if is_hevc { "hevc" } else { "h264" }).arg("-i").arg(file);
    ffmpeg.args(["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "nv12", "pipe:1"]);
    let output = ffmpeg.output().expect("ffmpeg is needed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    let frame_len = (size.width() * size.height() / 2 * 3) as usize;
    output.stdout.chunks(frame_len).map(<[u8]>::to_vec).collect()
}

/// A stand-in that forgives would prove nothing: each of these is a mistake, and is answered as one.
#[test]
fn the_stand_in_forgives_nothing() {
    let stand = Stand::new("");
    let (found, faults) = stand.finds("misuse.c");
    let found: Vec<_> = found.lines().collect();
    let expected = [
        "list-version 15",
        "no-context 4",
        "open-version 15",
        "open-reserved 8",
        "not-initialised 11",
        "preset-version 15",
        "config-reserved 8",
        "asynchronous 12",
        "initialised-twice 9",
        "context-popped 4",
        "locked-twice 13",
        "encoded-while-locked 9",
        "unlocked-twice 9",
        "foreign-buffer 8",
        "wrong-pitch 8",
        "buffer-in-use 9",
        "wrote-beside 20",
        "locked-before-success 9",
        "destroyed-in-use 9",
        "destroyed-with-buffers 9",
    ];
    assert_eq!(found, expected);
    assert_eq!(faults, expected.len(), "and each is noted");
}

#[test]
fn every_pixel_reaches_the_chip_and_keyframes_are_where_they_should_be() {
    for (width, height) in [(146, 50), (160, 64), (322, 182), (640, 360)] {
        let stand = Stand::new("");
        let config = Config { gop_frames: 5, ..config(width, height) };
        let mut encoder = opened(&config);
        let (mut units, mut pictures) = (Vec::new(), Vec::new());
        for frame in 3..18 {
            if frame == 8 {
                encoder.set_bitrate_kbps(1500).unwrap();
            }
            let picture = noise(config.size, frame);
            let request = Request { is_idr_forced: frame == 12, ..changed(frame, &config) };
            let unit = encoder.encode(&picture, request).unwrap().expect("nothing is held back");
            assert_eq!((unit.frame, unit.lead, unit.origin), (frame, 0, Origin::Coded));
            units.push(unit);
            pictures.push(packed(&picture));
        }
        assert_eq!(encoder.flush().unwrap(), None);
        let keys: Vec<_> = units.iter().filter(|unit| unit.is_key).map(|unit| unit.frame).collect();
        assert_eq!(keys, [3, 5, 10, 12, 15], "on the grid and where it was forced, not where the bitrate changed");
        assert!(decoded(&*encoder, &units, config.size) == pictures, "{width}x{height}: every pixel");
        drop(encoder);
        let changes = stand.calls_of("reconfigure");
        assert_eq!(changes, ["reconfigure reset=0 idr=0 bitrate=1500000 buffer=750000"]);
        stand.is_left_clean();
        let end: Vec<_> = stand.calls().into_iter().skip_while(|call| call != "end of stream").collect();
        assert_eq!(end.last().unwrap(), "cuDevicePrimaryCtxRelease 0", "{end:?}");
        assert_eq!(end[end.len() - 2], "destroy", "after its buffers");
    }
}

/// Decoding and presentation times in frames, as the pipeline makes them.
fn times(unit: &AccessUnit) -> (u64, u64) {
    let shown = unit.frame + Tuning::Quality.delay_frames();
    (shown - unit.lead, shown)
}

#[test]
fn b_frames_are_shown_in_order_and_decoded_in_time() {
    let stand = Stand::new("");
    let config = Config { tuning: Tuning::Quality, gop_frames: 10, ..config(160, 64) };
    let mut encoder = opened(&config);
    let (mut units, mut pictures) = (Vec::new(), Vec::new());
    // 14 and 15 are left out, 18 is forced, and the grid comes at 10 and 20, in the middle of what is held back.
    for frame in (0..25).filter(|frame| ![14, 15].contains(frame)) {
        let picture = noise(config.size, frame);
        let request = Request { is_idr_forced: frame == 18, ..changed(frame, &config) };
        units.extend(encoder.encode(&picture, request).unwrap());
        pictures.push(packed(&picture));
    }
    assert!(units.len() < pictures.len(), "some are held back");
    while let Some(unit) = encoder.flush().unwrap() {
        units.push(unit);
    }
    let kinds = |kind: &str| stand.calls_of("lock").iter().filter(|call| call.ends_with(kind)).count();
    assert!(kinds("type=1") > 8, "there are B frames");
    let keys: Vec<_> = units.iter().filter(|unit| unit.is_key).map(|unit| unit.frame).collect();
    assert_eq!(keys, [0, 10, 18, 20]);
    let times: Vec<_> = units.iter().map(times).collect();
    assert!(times.is_sorted_by(|a, b| a.0 < b.0), "decoding times rise: {times:?}");
    assert!(times.iter().all(|(decoded, shown)| decoded <= shown), "{times:?}");
    assert_eq!(times[0], (0, 1));
    assert!(decoded(&*encoder, &units, config.size) == pictures, "every pixel, in the order of showing");
    let vui = Sps::parse(&encoder.parameter_sets().sps).unwrap().vui.unwrap();
    assert_eq!(vui.restriction.unwrap().max_num_reorder_frames, 1);
    drop(encoder);
    stand.is_left_clean();
}

/// Frames that are asked for: by how much each number is higher than the one before, and whether it has to be a keyframe.
fn any_frames() -> impl Strategy<Value = Vec<(u64, bool)>> {
    prop::collection::vec((prop_oneof![5 => Just(1), 1 => 2u64..9], prop::bool::weighted(0.15)), 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is left out and wherever keyframes are forced: every frame comes out once, in time, and shows its picture.
    #[test]
    fn any_frames_come_out_whole_and_in_time(
        frames in any_frames(), is_quality: bool, b_frames in 0..4, gop_frames in 1u32..12, start in 0u64..50,
    ) {
        let stand = Stand::new(&format!("cap0={b_frames}"));
        let tuning = if is_quality { Tuning::Quality } else { Tuning::LowLatency };
        let config = Config { tuning, gop_frames, ..config(160, 64) };
        let mut encoder = opened(&config);
        let (mut units, mut pictures, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        let mut frame = start;
        for (gap, is_idr_forced) in frames {
            frame += gap;
            let picture = noise(config.size, frame);
            units.extend(encoder.encode(&picture, Request { is_idr_forced, ..changed(frame, &config) }).unwrap());
            pictures.push(packed(&picture));
            numbers.push(frame);
        }
        while let Some(unit) = encoder.flush().unwrap() {
            units.push(unit);
        }
        prop_assert!(decoded(&*encoder, &units, config.size) == pictures);
        let mut shown: Vec<_> = units.iter().map(|unit| unit.frame).collect();
        shown.sort_unstable();
        prop_assert_eq!(shown, numbers);
        let times: Vec<_> = units.iter().map(|unit| (unit.frame + tuning.delay_frames() - unit.lead, unit.frame)).collect();
        prop_assert!(times.is_sorted_by(|a, b| a.0 < b.0), "{:?}", times);
        prop_assert!(times.iter().all(|(decoded, frame)| *decoded <= frame + tuning.delay_frames()), "{:?}", times);
        drop(encoder);
        stand.is_left_clean();
    }
}

/// HEVC: access units and parameter sets that a decoder takes, in both tunings.
#[test]
fn hevc_is_coded_too() {
    for (tuning, width, height) in [(Tuning::LowLatency, 322, 182), (Tuning::Quality, 160, 64)] {
        let stand = Stand::new("");
        let config = Config { codec: Codec::Hevc, tuning, gop_frames: 8, ..config(width, height) };
        let mut encoder = opened(&config);
        encoder.set_bitrate_kbps(40_000).unwrap();
        assert!(encoder.set_bitrate_kbps(100_001).is_err());
        let (mut units, mut pictures) = (Vec::new(), Vec::new());
        for frame in 0..19 {
            let picture = noise(config.size, frame);
            units.extend(encoder.encode(&picture, changed(frame, &config)).unwrap());
            pictures.push(packed(&picture));
        }
        while let Some(unit) = encoder.flush().unwrap() {
            units.push(unit);
        }
        let keys: Vec<_> = units.iter().filter(|unit| unit.is_key).map(|unit| unit.frame).collect();
        assert_eq!(keys, [0, 8, 16]);
        assert!(decoded(&*encoder, &units, config.size) == pictures, "{tuning:?}: every pixel");
        assert_eq!(units.iter().any(|unit| unit.lead > 0), tuning == Tuning::Quality);
        drop(encoder);
        stand.is_left_clean();
    }
}

#[test]
fn pictures_that_do_not_change_never_reach_the_chip() {
    let stand = Stand::new("");
    let config = Config { gop_frames: 20, ..config(160, 64) };
    let mut encoder = opened(&config);
    let picture = noise(config.size, 1);
    let (mut units, mut pictures) = (Vec::new(), Vec::new());
    for frame in 0..30 {
        let request = if frame == 0 { changed(0, &config) } else { request(frame, Damage::none()) };
        units.push(encoder.encode(&picture, request).unwrap().unwrap());
        pictures.push(packed(&picture));
    }
    assert!(decoded(&*encoder, &units, config.size) == pictures);
    let repeated = units.iter().filter(|unit| unit.origin == Origin::Repeated).count();
    assert!(repeated > 20, "{repeated}");
    assert_eq!(stand.calls_of("encode").len(), 30 - repeated);
}

#[test]
fn the_driver_is_told_what_was_configured() {
    let told = |config: &Config, scenario: &str| {
        let stand = Stand::new(scenario);
        drop(opened(config));
        (stand.calls_of("preset").remove(0), stand.calls_of("initialise").remove(0))
    };
    let low = Config { rate: "29.97".parse().unwrap(), bitrate_kbps: 4500, ..config(1920, 1080) };
    let (preset, initialise) = told(&low, "");
    assert_eq!(preset, "preset p5 tuning=2");
    assert_eq!(
        initialise,
        "initialise 1920x1080 rate=30000/1001 tuning=2 bitrate=4500000 buffer=2250000 gop=-1 idr=-1 interval=1 level=40 \
         references=1,1 aq=1/8,0 lookahead=0,0 passes=0 cabac=1 slices=3,1 repeats=0 aud=0 sei=0 filler=0 bref=0"
    );
    let fine = Config { tuning: Tuning::Quality, nvenc: Nvenc { preset: NvencPreset::P6 }, ..low };
    let (preset, initialise) = told(&fine, "");
    assert_eq!(preset, "preset p6 tuning=1");
    assert_eq!(
        initialise,
        "initialise 1920x1080 rate=30000/1001 tuning=1 bitrate=4500000 buffer=4500000 gop=-1 idr=-1 interval=3 level=40 \
         references=0,0 aq=1/8,1 lookahead=0,0 passes=1 cabac=1 slices=3,1 repeats=0 aud=0 sei=0 filler=0 bref=0"
    );
    // No B frames, no choice of the buffer, none of references, no quantiser that follows movement.
    let (_, initialise) = told(&fine, "cap0=0\ncap26=0\ncap47=0\ncap38=0");
    assert!(initialise.contains("buffer=0 ") && initialise.contains("interval=1 "), "{initialise}");
    assert!(initialise.contains("references=0,0 aq=1/8,0 "), "{initialise}");
}

#[test]
fn the_headers_say_what_was_configured() {
    let _stand = Stand::new("");
    let config = Config { rate: "59.94".parse().unwrap(), ..config(640, 362) };
    let sps = Sps::parse(&opened(&config).parameter_sets().sps).unwrap();
    assert_eq!((sps.profile_idc, sps.width, sps.height, sps.num_ref_frames), (100, 640, 362, 1));
    let vui = sps.vui.unwrap();
    let signal = vui.video_signal.unwrap();
    let colour = signal.colour.unwrap();
    assert_eq!((colour.primaries, colour.transfer, colour.matrix, signal.is_full_range), (1, 1, 1, false));
    assert_eq!(vui.chroma_location, Some([0, 0]));
    let timing = vui.timing.unwrap();
    assert_eq!((timing.num_units_in_tick, timing.time_scale), (1001, 120_000));
    assert_eq!(vui.restriction.unwrap().max_num_reorder_frames, 0);
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let good = config(640, 360);
    let av1 = Config { codec: Codec::Av1, ..good };
    let hevc = Config { codec: Codec::Hevc, ..good };
    let high = Config { size: Size::new(640, 48).unwrap(), ..good };
    for (scenario, config, reason) in [
        (
            "open=2",
            good,
            "Stand-in T4 has no video encoder (data-centre GPUs such as A100, H100 and H200 have none): UNSUPPORTED_DEVICE",
        ),
        (
            "name0=NVIDIA H200\nopen=1",
            good,
            "NVIDIA H200 has no video encoder (data-centre GPUs such as A100, H100 and H200 have none): NO_ENCODE_DEVICE",
        ),
        (
            "open=10",
            good,
            "Stand-in T4 gives no further encoder session: the driver's limit is reached, or the GPU's memory is full (OUT_OF_MEMORY)",
        ),
        (
            "open=21",
            good,
            "Stand-in T4 gives no further encoder session: the driver's limit is reached, or the GPU's memory is full (INCOMPATIBLE_CLIENT_KEY)",
        ),
        ("open=99", good, "nvEncOpenEncodeSessionEx: a status without a name (99)"),
        (
            "version=0xB0",
            good,
            "the driver speaks version 11.0 of the encoder's interface, and 11.1 is needed: install a newer one",
        ),
        ("lacksFunction=1", good, "the driver has no nvEncGetLastErrorString"),
        ("cuInit=100", good, "cuInit: no CUDA-capable device is detected (100)"),
        ("cuInit=999", good, "cuInit: an error without a name (999)"),
        ("devices=0", good, "the CUDA driver finds no device"),
        ("codecs=1", good, "Stand-in T4 does not encode H.264"),
        ("", high, "Stand-in T4 encodes 49..=4096 pixels from top to bottom, and 48 are asked for"),
        ("cap16=320", good, "Stand-in T4 encodes 145..=320 pixels from left to right, and 640 are asked for"),
        ("cap1=0", good, "Stand-in T4 does not hold a constant bitrate"),
        ("cap7=0", good, "Stand-in T4 does not code by CABAC"),
        ("initialise=20", good, "nvEncInitializeEncoder: GENERIC (20)"),
        (
            "spsLevel=51",
            good,
            "nvenc wrote an SPS of profile, level, width and height (100, 51, 640, 360) instead of (100, 31, 640, 360)",
        ),
        ("codecs=0", hevc, "Stand-in T4 does not encode HEVC"),
        ("", av1, "nvenc does not code AV1"),
    ] {
        let stand = Stand::new(scenario);
        let error = encode::open(nvenc(), &config).unwrap_err().to_string();
        assert!(error.ends_with(reason), "{scenario}: {error}");
        let Opened { encoder, refusals } =
            encode::open(Backend::Auto, &Config { codec: Codec::H264, ..config }).unwrap();
        if config.codec == Codec::H264 {
            assert_eq!((encoder.backend(), refusals.len()), (software(), 1), "{scenario}: software stands in");
            assert!(!refusals[0].is_absence() && refusals[0].to_string().ends_with(reason));
        }
        drop(encoder);
        stand.is_left_clean();
    }
}

#[test]
fn the_first_device_that_has_an_encoder_is_taken() {
    let stand = Stand::new("devices=2\nname0=NVIDIA A100\nname1=NVIDIA L4\nopen0=2");
    let mut encoder = opened(&config(160, 64));
    encoder.encode(&noise(Size::new(160, 64).unwrap(), 0), changed(0, &config(160, 64))).unwrap();
    drop(encoder);
    assert_eq!(
        stand.calls_of("cuDevicePrimaryCtxRetain"),
        ["cuDevicePrimaryCtxRetain 0", "cuDevicePrimaryCtxRetain 1"]
    );
    stand.is_left_clean();
}

#[test]
fn a_limit_of_sessions_costs_the_next_one_alone() {
    let stand = Stand::new("sessionsMax=2");
    let mut encoders = [opened(&config(160, 64)), opened(&config(160, 64))];
    let error = encode::open(nvenc(), &config(160, 64)).unwrap_err().to_string();
    assert!(error.contains("gives no further encoder session"), "{error}");
    for (frame, encoder) in encoders.iter_mut().enumerate() {
        assert!(
            encoder.encode(&noise(Size::new(160, 64).unwrap(), 0), changed(frame as u64, &config(160, 64))).is_ok()
        );
    }
    let [first, second] = encoders;
    drop(first);
    drop((opened(&config(160, 64)), second));
    stand.is_left_clean();
}

#[test]
fn a_driver_that_fails_is_an_error_and_is_left_clean() {
    let good = config(160, 64);
    for (scenario, tuning, message) in [
        ("failAt=5", Tuning::LowLatency, "nvenc: nvEncEncodePicture: GENERIC (20): told to fail at frame 5"),
        ("failAt=5", Tuning::Quality, "nvenc: nvEncEncodePicture: GENERIC (20): told to fail at frame 5"),
        ("ignoreIdr=1", Tuning::LowLatency, "nvenc wrote no keyframe for frame 4, where one was asked for"),
    ] {
        let stand = Stand::new(scenario);
        let config = Config { tuning, gop_frames: 4, ..good };
        let mut encoder = opened(&config);
        let outcome = (0..10)
            .try_for_each(|frame| encoder.encode(&noise(config.size, frame), changed(frame, &config)).map(|_| ()));
        assert_eq!(outcome.unwrap_err().to_string(), message);
        drop(encoder);
        stand.is_left_clean();
    }
}

#[test]
fn a_driver_with_too_short_rows_is_an_error() {
    let _stand = Stand::new("pitch=100");
    let config = config(160, 64);
    let outcome = opened(&config).encode(&noise(config.size, 0), changed(0, &config));
    let message = "nvenc: the driver gave a buffer with rows of 100 bytes for a picture 160 pixels wide";
    assert_eq!(outcome.unwrap_err().to_string(), message);
}

#[test]
fn a_bitrate_that_cannot_be_had_leaves_the_encoder_as_it_was() {
    let stand = Stand::new("cap20=0");
    let config = config(640, 360);
    let mut encoder = opened(&config);
    let refused = |encoder: &mut dyn Encoder, kbps| encoder.set_bitrate_kbps(kbps).unwrap_err().to_string();
    assert_eq!(refused(&mut *encoder, 20_000), "20000 kbit/s is out of range: 50 to 16800 kbit/s at level 3.1");
    assert_eq!(refused(&mut *encoder, 2_000), "nvenc: Stand-in T4 cannot change its bitrate while it runs");
    let other = Picture::black(Size::new(638, 360).unwrap());
    assert!(encoder.encode(&other, changed(0, &config)).is_err());
    assert!(encoder.encode(&noise(config.size, 0), changed(0, &config)).unwrap().unwrap().is_key);
    assert!(stand.calls_of("reconfigure").is_empty());
}

/// Where there is no library nothing is started to look for it; where there is one, it is tried before it is used.
#[test]
fn the_driver_is_tried_only_where_there_is_one() {
    for is_tried in [false, true] {
        let stand = if is_tried { Stand::new("") } else { Stand::empty() };
        let marker = stand.file("tried");
        let arguments = vec!["-c".into(), format!("touch {}; echo '{{\"refused\":\"no\"}}'", marker.display())];
        let probe = Probe { program: "sh".into(), arguments, patience: PATIENCE };
        set_access(Access { directory: Some(stand.path().into()), probe: Some(probe) });
        let Opened { encoder, refusals } = encode::open(Backend::Auto, &config(160, 64)).unwrap();
        assert_eq!((encoder.backend(), refusals.len()), (software(), 1));
        assert_eq!((marker.exists(), refusals[0].is_absence()), (is_tried, !is_tried), "{}", refusals[0]);
        assert!(stand.calls().is_empty(), "what was refused there is not opened here");
    }
}
