//! What the encoders promise, held against their bitstreams: parsed by `h264`, decoded by FFmpeg.

use std::{fs, process::Command, thread};

use proptest::{
    prelude::*,
    test_runner::{Config as Runs, TestRunner},
};

use super::*;
use crate::{
    base::{colour::VideoColour, nv12::Layout, rate::FrameRate},
    ffi::openh264::slices_for,
    h264::{NalKind, Sps, bits::Reader},
    scene::damage::PixelRect,
};

const START_CODE: [u8; 4] = [0, 0, 0, 1];

fn config(width: u32, height: u32, fps: &str, bitrate_kbps: u32) -> Config {
    Config {
        size: Size::new(width, height).unwrap(),
        rate: fps.parse().unwrap(),
        bitrate_kbps,
        rate_control: RateControl::Variable,
        gop_frames: 60,
        colour: VideoColour::BT709_LIMITED,
        threads: 2,
        codec: Codec::H264,
        tuning: Tuning::LowLatency,
        nvenc: Nvenc::default(),
        x264: X264::default(),
    }
}

/// The encoders that are there wherever this was built.
const SOFTWARE: &[&str] = &[
    #[cfg(feature = "x264")]
    "x264",
    "openh264",
];

fn opened(backend: &str, config: &Config) -> Box<dyn Encoder> {
    let Opened { encoder, refusals } = open(backend.parse().unwrap(), config).unwrap();
    assert!(refusals.is_empty() && encoder.backend() == backend, "{backend}: {refusals:?}");
    encoder
}

fn coded(encoder: &mut dyn Encoder, picture: &Picture, frame: u64) -> AccessUnit {
    let unit = encoder
        .encode(picture, Request { frame, is_idr_forced: false, damage: whole(picture) })
        .unwrap()
        .expect("no frame is left out");
    assert_eq!(unit.frame, frame);
    unit
}

/// All of a picture, of which nothing is known.
fn whole(picture: &Picture) -> Damage {
    Damage::whole(picture.layout().size.sides())
}

/// Fills a picture from a function of plane (0 luma, 1 Cb, 2 Cr), column and row.
fn picture(size: Size, mut sample: impl FnMut(usize, usize, usize) -> u8) -> Picture {
    let mut picture = Picture::black(size);
    let Layout { pitch, .. } = picture.layout();
    let luma_len = picture.layout().luma_len();
    let (width, height) = (size.width() as usize, size.height() as usize);
    let (luma, chroma) = picture.bytes_mut().split_at_mut(luma_len);
    for (y, row) in luma.chunks_exact_mut(pitch).enumerate() {
        row[..width].iter_mut().enumerate().for_each(|(x, byte)| *byte = sample(0, x, y));
    }
    for (y, row) in chroma.chunks_exact_mut(pitch).take(height / 2).enumerate() {
        row[..width].iter_mut().enumerate().for_each(|(x, byte)| *byte = sample(1 + x % 2, x / 2, y));
    }
    picture
}

/// A card with slopes, edges and differing chroma planes, whose foreground moves eight pixels a frame.
fn card(size: Size, frame: u64) -> Picture {
    let shift = frame as usize * 8;
    picture(size, |plane, x, y| match plane {
        0 if ((x + shift) / 32).is_multiple_of(4) && (y / 8).is_multiple_of(2) => 220,
        0 => 30 + ((x + 2 * y) / 16 % 128) as u8,
        1 => 90 + (x / 8 % 64) as u8,
        _ => 170 - (y / 8 % 64) as u8,
    })
}

/// Noise around grey, `range` codes wide, new in each frame.
fn noise(size: Size, frame: u64, range: u64) -> Picture {
    let mut state = frame.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    picture(size, |plane, _, _| {
        if plane > 0 {
            return 128;
        }
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (126 - range / 2 + (state >> 24) % range) as u8
    })
}

/// The NAL units of an access unit; panics where the lengths do not add up.
fn nalus(unit: &AccessUnit) -> Vec<&[u8]> {
    let (mut rest, mut nalus) = (&unit.nalus[..], Vec::new());
    while let Some((len, tail)) = rest.split_first_chunk::<4>() {
        let (nalu, tail) = tail.split_at(u32::from_be_bytes(*len) as usize);
        nalus.push(nalu);
        rest = tail;
    }
    assert!(rest.is_empty());
    nalus
}

fn annex_b(encoder: &dyn Encoder, units: &[AccessUnit]) -> Vec<u8> {
    let ParameterSets { sps, pps, .. } = encoder.parameter_sets();
    let slices = units.iter().flat_map(nalus);
    [&sps[..]]
        .into_iter()
        .chain(pps.iter().map(|pps| &pps[..]))
        .chain(slices)
        .flat_map(|nalu| [&START_CODE[..], nalu].concat())
        .collect()
}

fn tool(name: &str, arguments: &[&str]) -> Vec<u8> {
    let output =
        Command::new(name).args(arguments).output().unwrap_or_else(|error| panic!("{name} is needed: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{name}: {said}");
    output.stdout
}

/// What FFmpeg sees in a stream: NV12 pictures without padding.
fn decoded(encoder: &dyn Encoder, units: &[AccessUnit], size: Size) -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("stream.h264");
    fs::write(&file, annex_b(encoder, units)).unwrap();
    let arguments =
        ["-v", "error", "-xerror", "-err_detect", "explode", "-f", "h264", "-i", file.to_str().unwrap(), "-fps_mode"];
    let output = ["passthrough", "-f", "rawvideo", "-pix_fmt", "nv12", "pipe:1"];
    let bytes = tool("ffmpeg", &[&arguments[..], &output[..]].concat());
    let frame_len = (size.width() * size.height() / 2 * 3) as usize;
    assert_eq!(bytes.len() % frame_len, 0, "frames of the right size");
    bytes.chunks_exact(frame_len).map(<[u8]>::to_vec).collect()
}

/// Peak signal to noise ratio of one picture, both planes together, in decibels.
fn psnr(source: &Picture, decoded: &[u8]) -> f64 {
    let width = source.layout().size.width() as usize;
    let rows = source.bytes().chunks_exact(source.layout().pitch).map(|row| &row[..width]);
    let squares = rows.flatten().zip(decoded).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2));
    let error = squares.sum::<u64>() as f64 / decoded.len() as f64;
    10.0 * (255.0 * 255.0 / error.max(1e-9)).log10()
}

#[test]
fn every_size_decodes_to_its_picture() {
    for &backend in SOFTWARE {
        for (width, height, kbps) in [
            (16, 16, 100),
            (18, 16, 100),
            (64, 48, 200),
            (3840, 16, 2_000),
            (360, 640, 2_000),
            (1280, 720, 8_000),
            (1920, 1080, 16_000),
            (3840, 2160, 60_000),
        ] {
            let config = config(width, height, "30", kbps);
            let pictures: Vec<_> = (0..3).map(|frame| card(config.size, frame)).collect();
            let mut encoder = opened(backend, &config);
            let units: Vec<_> =
                (0..).zip(&pictures).map(|(frame, picture)| coded(&mut *encoder, picture, frame)).collect();
            let decoded = decoded(&*encoder, &units, config.size);
            assert_eq!(decoded.len(), pictures.len(), "{width}x{height}");
            for (source, decoded) in pictures.iter().zip(&decoded) {
                let psnr = psnr(source, decoded);
                assert!(psnr > 45.0, "{width}x{height}: {psnr:.1} dB");
            }
            let sps = Sps::parse(&encoder.parameter_sets().sps).unwrap();
            assert_eq!((sps.width, sps.height), (width, height));
        }
    }
}

#[test]
fn parameter_sets_say_what_was_configured() {
    for &backend in SOFTWARE {
        for (fps, size, kbps, level) in [
            ("1", (64, 48), 50, 31),
            ("12.5", (640, 360), 500, 31),
            ("23.976", (1280, 720), 3_000, 31),
            ("24", (1280, 720), 3_000, 31),
            ("25", (1920, 1080), 4_500, 40),
            ("29.97", (1920, 1080), 4_500, 40),
            ("30", (1080, 1920), 24_000, 40),
            ("50", (1920, 1080), 6_000, 42),
            ("59.94", (1920, 1080), 9_000, 42),
            ("60", (3840, 2160), 100_000, 52),
        ] {
            let config = config(size.0, size.1, fps, kbps);
            let encoder = opened(backend, &config);
            let ParameterSets { sps, pps, .. } = encoder.parameter_sets();
            let sps = Sps::parse(sps).unwrap();
            assert_eq!((sps.profile_idc, sps.level_idc), (100, level), "{fps}");
            assert_eq!((sps.width, sps.height, sps.num_ref_frames), (size.0, size.1, 1));
            let vui = sps.vui.unwrap();
            let signal = vui.video_signal.unwrap();
            let colour = signal.colour.unwrap();
            assert_eq!((colour.primaries, colour.transfer, colour.matrix, signal.is_full_range), (1, 1, 1, false));
            assert_eq!(vui.chroma_location, Some([0, 0]));
            assert_eq!(vui.aspect_ratio.unwrap().idc, 1, "square pixels");
            let timing = vui.timing.unwrap();
            assert_eq!(
                (timing.num_units_in_tick, timing.time_scale),
                (config.rate.den(), 2 * config.rate.num()),
                "{fps}"
            );
            assert!(timing.is_fixed_frame_rate);
            assert_eq!(vui.restriction.unwrap().max_num_reorder_frames, 0);
            let mut bits = Reader::new(&pps[0][1..]);
            let (_pps_id, _sps_id) = (bits.ue().unwrap(), bits.ue().unwrap());
            assert!(bits.flag().unwrap(), "entropy_coding_mode_flag: CABAC");
        }
    }
}

#[test]
fn ffprobe_reads_the_same_from_it() {
    for &backend in SOFTWARE {
        let config = config(638, 358, "29.97", 1_000);
        let mut encoder = opened(backend, &config);
        let unit = coded(&mut *encoder, &card(config.size, 0), 0);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("stream.h264");
        fs::write(&file, annex_b(&*encoder, &[unit])).unwrap();
        let entries = "stream=profile,width,height,pix_fmt,level,color_range,color_space,color_transfer,color_primaries,\
                       chroma_location,field_order,r_frame_rate,has_b_frames,sample_aspect_ratio";
        let arguments = ["-v", "error", "-show_entries", entries, "-of", "default=noprint_wrappers=1"];
        let said = tool("ffprobe", &[&arguments[..], &[file.to_str().unwrap()]].concat());
        let said = String::from_utf8(said).unwrap();
        for line in [
            "profile=High",
            "width=638",
            "height=358",
            "has_b_frames=0",
            "sample_aspect_ratio=1:1",
            "pix_fmt=yuv420p",
            "level=31",
            "color_range=tv",
            "color_space=bt709",
            "color_transfer=bt709",
            "color_primaries=bt709",
            "chroma_location=left",
            "r_frame_rate=30000/1001",
        ] {
            assert!(said.lines().any(|said| said == line), "{line} in\n{said}");
        }
    }
}

#[test]
fn keyframes_stand_on_the_grid_and_where_they_are_forced() {
    for &backend in SOFTWARE {
        let config = Config { gop_frames: 5, ..config(64, 48, "30", 200) };
        let mut encoder = opened(backend, &config);
        let mut keys = Vec::new();
        for frame in (7..25).filter(|frame| ![15, 16].contains(frame)) {
            let picture = noise(config.size, frame, 64);
            let request = Request { frame, is_idr_forced: [13, 22].contains(&frame), damage: whole(&picture) };
            let unit = encoder.encode(&picture, request).unwrap().unwrap();
            let kinds: Vec<_> = nalus(&unit).into_iter().map(NalKind::of).collect();
            assert_eq!(kinds, [if unit.is_key { NalKind::Idr } else { NalKind::Slice }], "one slice and nothing else");
            if unit.is_key {
                keys.push(frame);
            }
        }
        assert_eq!(keys, [7, 10, 13, 17, 20, 22], "15 and 16 were never given, so 17 stands in for 15");
    }
}

#[test]
fn a_picture_is_cut_into_a_slice_for_each_thread() {
    for (width, height) in [(16, 16), (18, 16), (128, 96), (144, 96), (480, 64), (482, 64), (640, 360), (1080, 1920)] {
        for threads in [1, 2, 3, 4, 5, THREADS_MAX] {
            let config = Config { threads, ..config(width, height, "30", 500) };
            let unit = coded(&mut *opened("openh264", &config), &card(config.size, 0), 0);
            let slices = slices_for(config.size, threads);
            assert_eq!(nalus(&unit).len(), slices as usize, "{width}x{height}, {threads} threads");
            assert!((1..=threads.min(4) as u32).contains(&slices));
        }
    }
    assert_eq!(slices_for(Size::new(1920, 1080).unwrap(), 2), 2);
    assert_eq!(slices_for(Size::new(640, 360).unwrap(), 8), 4);
}

fn assert_near(rate: usize, target: usize, percent: usize) {
    assert!(rate.abs_diff(target) * 100 <= target * percent, "{rate} instead of {target} kbit/s");
}

/// Film grain all over, which no encoder can predict: the bitrate holds without a frame being left out, and follows live
/// changes in both directions within a second, without a keyframe that was not due.
#[test]
fn bitrate_is_held_on_hard_content_without_losing_a_frame() {
    for &backend in SOFTWARE {
        let config = config(640, 360, "30", 1_000);
        let mut encoder = opened(backend, &config);
        let mut sizes = Vec::new();
        for frame in 0..540 {
            match frame {
                190 => encoder.set_bitrate_kbps(500).unwrap(),
                370 => encoder.set_bitrate_kbps(1_500).unwrap(),
                _ => {}
            }
            let unit = coded(&mut *encoder, &noise(config.size, frame, 48), frame);
            assert_eq!(unit.is_key, frame.is_multiple_of(60), "{backend}, frame {frame}");
            sizes.push(unit.nalus.len());
        }
        // Two seconds each, as keyframes come; those after a change from a second after it on.
        for (from, target) in [(60, 1_000), (120, 1_000), (220, 500), (280, 500), (400, 1_500), (460, 1_500)] {
            let rate = kbps(&sizes[from..from + 60]);
            assert!(rate.abs_diff(target) * 100 <= target * 12, "{backend}, from {from}: {rate} kbit/s of {target}");
        }
    }
}

#[test]
fn a_still_picture_becomes_good_and_cheap() {
    for &backend in SOFTWARE {
        let config = config(640, 360, "30", 1_500);
        let mut encoder = opened(backend, &config);
        let picture = card(config.size, 0);
        let units: Vec<_> = (0..60).map(|frame| coded(&mut *encoder, &picture, frame)).collect();
        let last = units[50..].iter().map(|unit| unit.nalus.len()).max().unwrap();
        assert!(last < 1_000, "{last} bytes for a frame in which nothing moves");
        let decoded = decoded(&*encoder, &units, config.size);
        let psnr = psnr(&picture, &decoded[59]);
        assert!(psnr > 44.0, "{psnr:.1} dB");
    }
}

/// An IDR of half-scale noise at Full HD, the worst that a picture may reasonably be, stays below a megabyte.
#[test]
fn keyframes_of_noise_stay_below_a_megabyte() {
    for &backend in SOFTWARE {
        let config = Config { gop_frames: 4, ..config(1920, 1080, "30", 4_500) };
        let mut encoder = opened(backend, &config);
        for frame in 0..9 {
            let unit = coded(&mut *encoder, &noise(config.size, frame, 128), frame);
            assert_eq!(unit.is_key, frame % 4 == 0);
            assert!(unit.nalus.len() < 1_000_000, "frame {frame} has {} bytes", unit.nalus.len());
        }
    }
}

#[test]
fn streams_side_by_side_do_not_disturb_each_other() {
    let stream = |size: (u32, u32), threads: usize| {
        let config = Config { threads, ..config(size.0, size.1, "30", 800) };
        let mut encoder = opened("openh264", &config);
        (0..30).map(|frame| coded(&mut *encoder, &card(config.size, frame), frame)).collect::<Vec<_>>()
    };
    let alone = [stream((640, 360), 2), stream((320, 240), 4)];
    let together = thread::scope(|scope| {
        let spawn = |size, threads| {
            thread::Builder::new().name("stream".into()).spawn_scoped(scope, move || stream(size, threads)).unwrap()
        };
        let threads = [spawn((640, 360), 2), spawn((320, 240), 4)];
        threads.map(|thread| thread.join().unwrap())
    });
    assert!(alone == together, "the same bytes");
}

#[test]
fn an_encoder_may_move_to_another_thread() {
    for &backend in SOFTWARE {
        let config = config(64, 48, "30", 200);
        let mut encoder = opened(backend, &config);
        coded(&mut *encoder, &card(config.size, 0), 0);
        let mover = thread::Builder::new().name("encode".into());
        let moved = mover.spawn(move || coded(&mut *encoder, &card(config.size, 1), 1)).unwrap();
        assert!(!moved.join().unwrap().is_key);
    }
}

#[test]
fn what_is_out_of_range_is_refused_with_its_limit() {
    for &backend in SOFTWARE {
        let good = config(640, 360, "30", 1_000);
        for (config, message) in [
            (Config { bitrate_kbps: 49, ..good }, "bitrate of 49 kbit/s is out of range: 50 to 100000"),
            (Config { bitrate_kbps: 100_001, ..good }, "bitrate of 100001 kbit/s is out of range: 50 to 100000"),
            (Config { bitrate_kbps: u32::MAX, ..good }, "bitrate of 4294967295 kbit/s is out of range: 50 to 100000"),
            (Config { gop_frames: 0, ..good }, "keyframe interval of 0 frames is out of range: 1 to 600"),
            (Config { gop_frames: 601, ..good }, "keyframe interval of 601 frames is out of range: 1 to 600"),
            (Config { threads: 0, ..good }, "0 encoder threads are out of range: 1 to 64"),
        ] {
            assert_eq!(open(Backend::Auto, &config).unwrap_err().to_string(), message);
        }
        let mut encoder = opened(backend, &good);
        assert_eq!(
            encoder.set_bitrate_kbps(20_000).unwrap_err().to_string(),
            "20000 kbit/s is out of range: 50 to 16800 kbit/s at level 3.1"
        );
        assert!(encoder.set_bitrate_kbps(49).is_err());
        let other = Picture::black(Size::new(638, 360).unwrap());
        assert_eq!(
            encoder
                .encode(&other, Request { frame: 0, is_idr_forced: false, damage: whole(&other) })
                .unwrap_err()
                .to_string(),
            "a picture of 638x360 was given to an encoder of 640x360"
        );
        assert!(coded(&mut *encoder, &card(good.size, 0), 0).is_key, "and the encoder goes on");
    }
}

#[test]
fn backends_by_name() {
    assert_eq!("auto".parse::<Backend>().unwrap(), Backend::Auto);
    for candidate in CANDIDATES {
        let backend: Backend = candidate.name.parse().unwrap();
        assert_eq!(backend, Backend::Named(candidate));
        assert_eq!(serde_json::to_string(&backend).unwrap(), format!("\"{}\"", candidate.name));
        match open(backend, &config(64, 48, "30", 200)) {
            Ok(Opened { encoder, .. }) => assert_eq!(encoder.backend(), candidate.name),
            // What is in the machine is not in every machine.
            Err(error) => assert!(candidate.name == "nvenc", "{error}"),
        }
    }
    let names: String = CANDIDATES.iter().map(|candidate| format!(", {}", candidate.name)).collect();
    assert_eq!(
        "x265".parse::<Backend>().unwrap_err().to_string(),
        format!("`x265` is not an encoder: use auto{names}")
    );
    assert!(names.ends_with("openh264"), "the one that is always there is tried last");
    assert!(serde_json::from_str::<Backend>("\"OpenH264\"").is_err());
}

#[test]
fn a_refusal_names_backend_and_reason() {
    let source = Error::Bitstream { backend: "openh264", what: "no parameter sets".into() };
    let error = OpenError::Refused { wanted: Backend::Auto, refusals: vec![Refusal { backend: "openh264", source }] };
    assert_eq!(
        error.to_string(),
        "no encoder for backend `auto`: encoder openh264 is not available: openh264 wrote no parameter sets"
    );
}

/// Every rate the type allows has a place in the SPS.
#[test]
fn frame_rates_up_to_the_limit_open() {
    for &backend in SOFTWARE {
        for rate in [FrameRate::new(1, 1), FrameRate::new(59_999, 1_001), FrameRate::new(60, 1)] {
            let config = Config { rate: rate.unwrap(), ..config(64, 48, "30", 100) };
            assert!(coded(&mut *opened(backend, &config), &card(config.size, 0), 0).is_key);
        }
    }
}

/// A picture that stands still is made finer, then repeated, and coded anew on the keyframe's place in the grid; what a
/// decoder shows of a repeat is what it showed before.
#[test]
fn a_still_picture_is_refined_then_repeated() {
    for &backend in SOFTWARE {
        let config = Config { gop_frames: 40, ..config(320, 192, "30", 1_000) };
        let mut encoder = opened(backend, &config);
        let (a, b) = (card(config.size, 1), card(config.size, 2));
        let mut units = Vec::new();
        for frame in 0..60 {
            let picture = if frame < 25 { &a } else { &b };
            let damage = if [0, 25].contains(&frame) { whole(picture) } else { Damage::none() };
            let request = Request { frame, is_idr_forced: frame == 50, damage };
            units.push(encoder.encode(picture, request).unwrap().unwrap());
        }
        let origins: Vec<_> = units.iter().map(|unit| unit.origin).collect();
        assert_eq!((origins[0], origins[25]), (Origin::Coded, Origin::Coded));
        assert_eq!(
            (units[40].is_key, units[50].is_key, origins[40], origins[50]),
            (true, true, Origin::Refined, Origin::Refined)
        );
        let repeated = origins.iter().filter(|&&origin| origin == Origin::Repeated).count();
        assert!(repeated >= 30, "{origins:?}");
        let frames = decoded(encoder.as_ref(), &units, config.size);
        assert_eq!(frames.len(), units.len());
        for i in (1..units.len()).filter(|&i| origins[i] == Origin::Repeated) {
            assert!(frames[i] == frames[i - 1], "frame {i}");
        }
        // What is repeated for long has become as fine as it gets at this bitrate.
        assert!(psnr(&a, &frames[24]) > 40.0 && psnr(&b, &frames[59]) > 40.0);
    }
}

/// Presets differ in speed, not in what the stream is: High profile, one reference, a repeat between any two pictures.
#[cfg(feature = "x264")]
#[test]
fn every_preset_of_x264_keeps_the_promises() {
    use X264Preset::*;
    for preset in [Ultrafast, Superfast, Veryfast, Faster, Fast, Medium, Slow, Slower] {
        let config = Config { x264: X264 { preset }, gop_frames: 9, ..config(320, 192, "30", 1_000) };
        let mut encoder = opened("x264", &config);
        let sps = Sps::parse(&encoder.parameter_sets().sps).unwrap();
        assert_eq!((sps.profile_idc, sps.level_idc, sps.num_ref_frames), (100, 31, 1), "{preset:?}");
        assert_eq!(encoder.parameter_sets().pps.len(), 2, "{preset:?}: its pictures can be repeated");
        // Brightness that comes and goes, which weights would predict.
        let lit = |frame: u64| {
            picture(
                config.size,
                |plane, x, y| if plane > 0 { 128 } else { (x / 3 + y / 2) as u8 / 2 + frame as u8 * 4 },
            )
        };
        let pictures: Vec<_> = (0..12).map(lit).collect();
        let units: Vec<_> = (0..).zip(&pictures).map(|(frame, picture)| coded(&mut *encoder, picture, frame)).collect();
        let keys: Vec<_> = units.iter().filter(|unit| unit.is_key).map(|unit| unit.frame).collect();
        assert_eq!(keys, [0, 9], "{preset:?}");
        for (source, decoded) in pictures.iter().zip(decoded(&*encoder, &units, config.size)) {
            let psnr = psnr(source, &decoded);
            assert!(psnr > 38.0, "{preset:?}: {psnr:.1} dB");
        }
    }
}

/// What is told to be unchanged is passed over, what changed is not: whatever rectangles change, no macroblock of the decoded
/// picture keeps what was there before.
#[test]
fn what_changed_arrives_wherever_it_is() {
    const SIZE: (u32, u32) = (162, 90);
    let rect = (0..SIZE.0, 0..SIZE.1, 1..40u32, 1..30u32, 0..4u8);
    let changes = prop::collection::vec(prop::collection::vec(rect, 0..4), 20);
    let mut runner = TestRunner::new(Runs { cases: 6, failure_persistence: None, ..Runs::default() });
    runner
        .run(&changes, |changes| {
            for &backend in SOFTWARE {
                let config = Config { gop_frames: 15, ..config(SIZE.0, SIZE.1, "30", 3_000) };
                let mut encoder = opened(backend, &config);
                let mut shown = card(config.size, 0);
                let (mut pictures, mut units) = (Vec::new(), Vec::new());
                for (frame, changes) in changes.iter().enumerate() {
                    let mut damage = if frame == 0 { whole(&shown) } else { Damage::none() };
                    for &(left, top, width, height, shade) in changes {
                        // Chroma is for two by two pixels.
                        let rect = PixelRect {
                            left: left / 2 * 2,
                            top: top / 2 * 2,
                            right: ((left + width) / 2 * 2).clamp(left / 2 * 2 + 2, SIZE.0),
                            bottom: ((top + height) / 2 * 2).clamp(top / 2 * 2 + 2, SIZE.1),
                        };
                        paint(&mut shown, rect, shade);
                        damage.add(rect);
                    }
                    let request = Request { frame: frame as u64, is_idr_forced: false, damage };
                    units.push(encoder.encode(&shown, request).unwrap().unwrap());
                    pictures.push(shown.clone());
                }
                for (frame, (source, decoded)) in
                    pictures.iter().zip(decoded(&*encoder, &units, config.size)).enumerate()
                {
                    let worst = worst_macroblock(source, &decoded);
                    prop_assert!(worst > 24.0, "{backend}, frame {frame}: {worst:.1} dB");
                }
            }
            Ok(())
        })
        .unwrap();
}

/// One of four flat shades over a rectangle with even sides.
fn paint(picture: &mut Picture, rect: PixelRect, shade: u8) {
    let Layout { pitch, .. } = picture.layout();
    let luma_len = picture.layout().luma_len();
    let [left, top, right, bottom] = [rect.left, rect.top, rect.right, rect.bottom].map(|edge| edge as usize);
    let (luma, chroma) = picture.bytes_mut().split_at_mut(luma_len);
    luma.chunks_exact_mut(pitch).take(bottom).skip(top).for_each(|row| row[left..right].fill(30 + shade * 60));
    chroma
        .chunks_exact_mut(pitch)
        .take(bottom / 2)
        .skip(top / 2)
        .for_each(|row| row[left..right].fill(90 + shade * 20));
}

/// The luma of the macroblock that is furthest from what it should be, in decibels.
fn worst_macroblock(source: &Picture, decoded: &[u8]) -> f64 {
    let (pitch, width) = (source.layout().pitch, source.layout().size.width() as usize);
    let mut errors = std::collections::HashMap::new();
    for (y, (row, decoded)) in source.luma().chunks_exact(pitch).zip(decoded.chunks_exact(width)).enumerate() {
        for (x, (&a, &b)) in row.iter().zip(decoded).enumerate() {
            *errors.entry((x / 16, y / 16)).or_insert(0u64) += u64::from(a.abs_diff(b)).pow(2);
        }
    }
    // Also of those that the picture's edge cuts: an encoder weighs four samples in two hundred and fifty-six as little there.
    let worst = errors.values().map(|&error| error as f64 / 256.0).fold(0.0, f64::max);
    10.0 * (255.0 * 255.0 / worst.max(1e-9)).log10()
}

/// What an encoder is given in a minute, and what becomes of it.
struct Minute {
    /// Bytes of the slices of each access unit, and of all of it.
    slices: Vec<usize>,
    sent: Vec<usize>,
    keys: Vec<u64>,
}

/// A minute at 30 frames a second, of 1 Mbit/s held by filler. `scene` gives a picture and what changed for each frame.
fn minute(backend: &str, mut scene: impl FnMut(u64) -> (Picture, Damage)) -> Minute {
    let config = Config { rate_control: RateControl::Constant, ..config(640, 360, "30", 1_000) };
    let mut encoder = opened(backend, &config);
    let mut minute = Minute { slices: Vec::new(), sent: Vec::new(), keys: Vec::new() };
    for frame in 0..1800 {
        let (picture, damage) = scene(frame);
        let unit = encoder.encode(&picture, Request { frame, is_idr_forced: false, damage }).unwrap().unwrap();
        let coded = nalus(&unit).into_iter().filter(|nal| NalKind::of(nal) != NalKind::Filler);
        minute.slices.push(coded.map(|nal| nal.len() + 4).sum());
        minute.sent.push(unit.nalus.len());
        minute.keys.extend(unit.is_key.then_some(frame));
    }
    minute
}

/// Seconds of the bitrate that a buffer has to hold which is emptied at it: the most that these were ahead.
fn ahead_s(sizes: &[usize]) -> f64 {
    let frame = 1_000_000.0 / 8.0 / 30.0;
    let mut ahead = (0.0f64, 0.0f64);
    for &size in sizes {
        let most = ahead.0 + size as f64;
        ahead = ((most - frame).max(0.0), ahead.1.max(most));
    }
    ahead.1 / 30.0 / frame
}

fn kbps(sizes: &[usize]) -> usize {
    sizes.iter().sum::<usize>() * 8 * 30 / sizes.len() / 1000
}

/// Over a minute the bitrate is not exceeded by more than 5 % by the pictures themselves, and held to 5 % with filler; the
/// buffer of one second is kept, keyframes stand where they should.
#[test]
fn the_bitrate_of_a_minute_is_held_on_hard_and_easy_content() {
    let size = Size::new(640, 360).unwrap();
    let grain: Vec<_> = (0..40).map(|frame| noise(size, frame, 48)).collect();
    let cards: Vec<_> = (0..2).map(|frame| card(size, frame)).collect();
    let hard = |frame: u64| {
        let picture = grain[frame as usize % grain.len()].clone();
        let damage = whole(&picture);
        (picture, damage)
    };
    // Something changes each second.
    let easy = |frame: u64| {
        let picture = cards[frame as usize / 30 % 2].clone();
        let damage = if frame.is_multiple_of(30) { whole(&picture) } else { Damage::none() };
        (picture, damage)
    };
    // Two seconds of the one between four of the other: much follows on what was repeated.
    let bursts = |frame: u64| {
        let is_first = frame.is_multiple_of(180) || frame % 180 == 60;
        let (picture, damage) = if frame % 180 < 60 { hard(frame) } else { (cards[0].clone(), Damage::none()) };
        let damage = if is_first { whole(&picture) } else { damage };
        (picture, damage)
    };
    for &backend in SOFTWARE {
        // OpenH264 has no model of a buffer: what it writes fits into one of two seconds.
        let buffer_s = if backend == "x264" { 1.0 } else { 2.0 };
        let minutes =
            [("hard", minute(backend, hard)), ("easy", minute(backend, easy)), ("bursts", minute(backend, bursts))];
        for (name, minute) in minutes {
            let (alone, sent) = (kbps(&minute.slices), kbps(&minute.sent));
            assert!(alone <= 1_050, "{backend}, {name}: {alone} kbit/s");
            assert_near(sent, 1_000, 5);
            let ahead = ahead_s(&minute.sent);
            assert!(ahead <= buffer_s, "{backend}, {name}: {ahead:.2} s");
            assert_eq!(minute.keys, (0..30).map(|key| key * 60).collect::<Vec<_>>(), "{backend}, {name}");
            assert!(minute.sent.iter().all(|&len| len < 1_000_000), "{backend}, {name}");
        }
    }
}

/// Filler is thrown away by a decoder: it shows what it shows without it, and says nothing. One thread, since x264's rate
/// control of a slice looks at how far the other slices' threads have come.
#[test]
fn filler_changes_no_picture() {
    for &backend in SOFTWARE {
        let config = Config { gop_frames: 20, threads: 1, ..config(320, 192, "30", 1_500) };
        let stream = |rate_control| {
            let mut encoder = opened(backend, &Config { rate_control, ..config });
            let mut units = Vec::new();
            for frame in 0..60u64 {
                let picture = card(config.size, frame / 15);
                let damage = if frame.is_multiple_of(15) { whole(&picture) } else { Damage::none() };
                units.push(encoder.encode(&picture, Request { frame, is_idr_forced: false, damage }).unwrap().unwrap());
            }
            let sizes: Vec<_> = units.iter().map(|unit| unit.nalus.len()).collect();
            (decoded(&*encoder, &units, config.size), kbps(&sizes))
        };
        let (plain, filled) = (stream(RateControl::Variable), stream(RateControl::Constant));
        assert!(plain.0 == filled.0, "{backend}");
        assert!(plain.1 < 1_000, "{backend}: {} kbit/s", plain.1);
        assert_near(filled.1, 1_500, 5);
    }
}
