//! Parsers of outside bytes under mutated input: whatever comes in, they answer, hold no more than they may, and end.
//!
//! Inputs are bred from seeds (what real servers said, what our own encoders write) by flips, cuts, repeats, splices
//! and numbers that lie about lengths; the random numbers are the same in each run. `FUZZ_ROUNDS` says how many inputs each
//! target gets; the default takes a few seconds in all. An input that breaks something is written beside the test's
//! other files, and `FUZZ_INPUT=FILE` feeds it again.
//!
//! Left out: coverage as a guide, which needs a nightly compiler.

use std::{
    cell::Cell,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng};
use stream_manager::{
    aac::{self, AudioSpecificConfig},
    audio::{Mix, Mixer, Opener, SILENT_BLOCK},
    base::secret::Secret,
    h264::{AvcConfig, Splicer, annex_b, append_length_prefixed},
    rtmp::{
        Config, Endpoint, FourCc, Phase, Publisher,
        amf0::Decoder,
        auth::{self, Credentials},
        chunk::{Limits, Reader},
        handshake::{Handshake, PACKET_LEN, RANDOM_LEN},
        message::Kind,
    },
};

/// Inputs for each target where `FUZZ_ROUNDS` does not say.
const ROUNDS: usize = 20_000;
/// Longest input, in bytes.
const LEN_MAX: usize = 8 << 10;

/// What servers said, `tests/data/rtmp/README.md`.
fn transcripts() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rtmp");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let recorded = files.filter(|path| path.extension().is_some_and(|extension| extension == "bin"));
    let mut transcripts: Vec<_> = recorded.map(|path| fs::read(path).unwrap()).collect();
    transcripts.sort();
    transcripts
}

/// The servers whose dialogues are among the seeds.
#[test]
fn every_server_is_among_the_seeds() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rtmp");
    let names: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    for server in ["nginx-rtmp", "ffmpeg", "node-media-server"] {
        let is_there = names.iter().any(|name| name.to_str().unwrap().starts_with(server));
        assert!(is_there, "{server}: {names:?}");
    }
    assert!(commands().len() >= 12, "each of them answers at least connect, createStream and publish");
}

/// The commands in the transcripts, as AMF 0.
fn commands() -> Vec<Vec<u8>> {
    let mut commands = Vec::new();
    for transcript in transcripts() {
        let (mut reader, mut unread) = (Reader::new(Limits::default()), &transcript[..]);
        while let Ok(Some(message)) = reader.read(&mut unread) {
            if message.kind == Kind::Command {
                commands.push(message.payload.to_vec());
            }
        }
    }
    commands
}

/// Breeds inputs from seeds and feeds them to `target`.
fn fuzz(name: &str, seeds: &[Vec<u8>], target: impl Fn(&[u8])) {
    if let Some(input) = std::env::var_os("FUZZ_INPUT") {
        return target(&fs::read(input).unwrap());
    }
    let rounds = std::env::var("FUZZ_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("FUZZ_ROUNDS is a number"));
    let mut random = StdRng::seed_from_u64(0x5eed);
    seeds.iter().for_each(|seed| target(seed));
    for round in 0..rounds {
        let input = mutated(seeds, &mut random);
        if catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
            let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}-{round}.bin"));
            fs::write(&path, &input).unwrap();
            panic!(
                "{name} breaks on input {round}; again: FUZZ_INPUT={} cargo test --test fuzz {name}",
                path.display()
            );
        }
    }
}

fn mutated(seeds: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut input = seeds[random.random_range(0..seeds.len())].clone();
    for _ in 0..random.random_range(1..=6) {
        mutate(&mut input, seeds, random);
        input.truncate(LEN_MAX);
    }
    input
}

fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut StdRng) {
    /// Where parsers have their edges.
    const EDGES: [u8; 10] = [0, 1, 2, 3, 0x7F, 0x80, 0x81, 0xC3, 0xFE, 0xFF];
    if input.is_empty() {
        input.push(random.random());
        return;
    }
    let at = random.random_range(0..input.len());
    let until = at + random.random_range(0..=(input.len() - at).min(64));
    match random.random_range(0..9) {
        0 => input[at] ^= 1 << random.random_range(0..8),
        1 => input[at] = random.random(),
        2 => input[at] = EDGES[random.random_range(0..EDGES.len())],
        3 => input.truncate(at),
        4 => drop(input.drain(at..until)),
        5 => {
            let piece = input[at..until].to_vec();
            input.splice(at..at, piece);
        }
        6 => input.insert(at, random.random()),
        7 => {
            let other = &seeds[random.random_range(0..seeds.len())];
            let from = random.random_range(0..=other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        // A length that lies: 2 or 4 bytes, big-endian.
        _ => {
            let number = random.random::<u32>() >> random.random_range(0..32);
            let bytes = number.to_be_bytes();
            let bytes = if random.random() { &bytes[..] } else { &bytes[2..] };
            let end = (at + bytes.len()).min(input.len());
            input[at..end].copy_from_slice(&bytes[..end - at]);
        }
    }
}

#[test]
fn handshake() {
    let mut greeting = vec![3];
    greeting.extend((0..2 * PACKET_LEN).map(|n| n as u8));
    let seeds: Vec<_> = transcripts().into_iter().map(|rest| [&greeting[..], &rest].concat()).collect();
    fuzz("handshake", &seeds, |input| {
        let (mut handshake, _) = Handshake::new(&[7; RANDOM_LEN]);
        for piece in input.chunks(700) {
            let mut unread = piece;
            if handshake.handle_input(&mut unread).is_err() {
                return;
            }
        }
    });
}

#[test]
fn chunk_reader() {
    fuzz("chunk_reader", &transcripts(), |input| {
        let limits = Limits::default();
        let mut reader = Reader::new(limits);
        let mut unread = input;
        while let Ok(Some(message)) = reader.read(&mut unread) {
            assert!(message.payload.len() <= input.len(), "a message has no more bytes than came in");
        }
        assert!(reader.pending_len() <= input.len(), "nothing is held that did not come in");
    });
}

#[test]
fn amf0() {
    fuzz("amf0", &commands(), |input| {
        let mut decoder = Decoder::new(input);
        let mut values = 0;
        while let Ok(Some(_)) = decoder.decode() {
            values += 1;
            assert!(values <= input.len(), "a value has at least one byte");
        }
    });
}

#[test]
fn publisher() {
    let endpoint = Endpoint::with_key_inside("rtmp://host/app/some_key").unwrap();
    let greeting: Vec<u8> = std::iter::once(3).chain((0..2 * PACKET_LEN).map(|_| 0)).collect();
    fuzz("publisher", &transcripts(), |input| {
        // With a codec that the server has a say in, for every other input.
        let four_cc = (input.len() % 2 == 0).then_some(FourCc::Hvc1);
        let mut publisher = Publisher::new(Config::new(&endpoint).with_four_cc(four_cc), [7; RANDOM_LEN]);
        publisher.handle_input(&greeting).unwrap();
        for piece in input.chunks(97) {
            let outcome = publisher.handle_input(piece);
            assert!(outcome.is_ok() || publisher.phase() == Phase::Closed, "an error closes the machine");
        }
        let mut told = 0;
        while let Some(event) = publisher.poll_event() {
            told += 1;
            assert!(!format!("{event:?}").contains("some_key"), "the key is told: {event:?}");
        }
        assert!(told <= 5, "each event comes once");
        // 256 answers of some 40 bytes, and what publishing takes.
        assert!(publisher.output_len() < 32 << 10, "{} bytes wait", publisher.output_len());
        publisher.close();
        while publisher.poll_output().is_some() {}
        assert_eq!(publisher.output_len(), 0);
    });
}

#[test]
fn authentication() {
    let credentials = Credentials::new("alice", Secret::new("wonderland")).unwrap();
    let seeds = [
        "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ",
        "[ authmod=adobe ] : ?reason=needauth&user=alice&salt=yAbUeg==&challenge=KgAAAA==&opaque=KwAAAA==",
        "[ authmod=llnw ] : ?reason=needauth&user=alice&nonce=a1b2c3d4",
    ];
    fuzz("authentication", &seeds.map(|seed| seed.as_bytes().to_vec()), |input| {
        let description = String::from_utf8_lossy(input);
        if let Ok(query) = auth::answer(&description, "live", &credentials, 1) {
            assert!(!query.contains("wonderland"), "the password is told: {query}");
        }
    });
}

/// An SPS and a PPS of FFmpeg's, and slices that belong to them.
#[test]
fn h264() {
    let stream = h264_stream();
    fuzz("h264", &[stream], |input| {
        let _ = AvcConfig::from_annex_b(input);
        let nals: Vec<&[u8]> = annex_b(input).collect();
        let (Some(sps), Some(pps)) = (nals.first(), nals.get(1)) else { return };
        let Ok(mut splicer) = Splicer::new(sps, pps) else { return };
        for nal in &nals[2..] {
            let mut unit = Vec::new();
            append_length_prefixed(&[&[0, 0, 0, 1], *nal].concat(), &mut unit);
            if splicer.coded(Bytes::from(unit)).is_err() {
                return;
            }
            while splicer.repeat().is_some_and(|repeat| repeat.len() > 64) {}
        }
    });
}

fn h264_stream() -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fuzz-seed.h264");
    let ours = "testsrc2=size=64x48:rate=5:duration=2";
    let settings =
        ["-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency", "-x264-params", "slices=2:sei=0"];
    let mut command = std::process::Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", ours]).args(settings).arg(&path);
    assert!(command.status().expect("apt-get install ffmpeg").success());
    let stream = fs::read(path).unwrap();
    // x264 writes its settings in front of the first picture, which are long and nobody reads.
    let nals = annex_b(&stream).filter(|nal| nal[0] & 31 != 6);
    nals.flat_map(|nal| [&[0, 0, 0, 1], nal].concat()).collect()
}

#[test]
fn aac() {
    let seeds = [vec![0x11, 0x90], vec![0xFF, 0xF1, 0x4C, 0x80, 0x02, 0x1F, 0xFC, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]];
    fuzz("aac", &seeds, |input| {
        let _ = AudioSpecificConfig::parse(input);
        if let Ok(raw) = aac::strip_adts(input) {
            assert!(raw.len() < input.len());
        }
    });
}

/// Documents of a mix: one that is taken is written as what it is, and sounds below full scale.
#[test]
fn mix() {
    let tone = r#"{"id": "a", "type": "tone", "frequencyHz": 440, "levelDbfs": -3, "gainDb": 12.5, "pan": -0.5, "delayMs": 20,
        "fade": {"fromDb": -40, "startMs": 10, "durationMs": 300, "easing": "cubic-bezier(0.1, 2, 0.9, -1)"}}"#;
    let music = r#"{"id": "b", "type": "tone", "solo": true, "fade": {"durationMs": 1e3, "easing": "easeOutElastic"},
        "duck": {"under": "a", "thresholdDbfs": -30, "reductionDb": 9, "attackMs": 5, "releaseMs": 50}, "followLayer": "c"}"#;
    let whole = r#""gainDb": 6, "limiter": {"ceilingDbtp": -0.5, "releaseMs": 20}, "silence": {"thresholdDbfs": -50}"#;
    let seeds = [format!(r#"{{"sources": [{tone}, {music}], {whole}}}"#), format!(r#"{{"sources": [{tone}]}}"#)];
    let mixed = Cell::new(0);
    fuzz("mix", &seeds.map(String::into_bytes), |input| {
        let Ok(value) = serde_json::from_slice(input) else { return };
        let Ok(mix) = Mix::read(value) else { return };
        assert_eq!(Mix::read(serde_json::to_value(&mix).unwrap()).unwrap(), mix);
        mixed.set(mixed.get() + 1);
        // Mixing takes longer than reading.
        if mixed.get() > 300 {
            return;
        }
        let opened = mix.opened_since(&Mix::default(), &Opener::default());
        let is_limited = mix.limiter.enabled;
        let (mut mixer, mut block) = (Mixer::new(Arc::new(mix), opened), SILENT_BLOCK);
        mixer.block(480, &mut |_, _| 0.7, &mut block);
        assert!(block.as_flattened().iter().all(|sample| sample.is_finite() && (!is_limited || sample.abs() <= 1.0)));
    });
    let is_replayed = std::env::var_os("FUZZ_INPUT").is_some();
    assert!(mixed.get() > 20 || is_replayed, "hardly any input is a document");
}
