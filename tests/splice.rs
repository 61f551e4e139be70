//! Repeats between coded pictures, as FFmpeg's decoder and Chromium's see them: every repeat is its predecessor bit for
//! bit, every coded picture is what it was without them, and the decoder has nothing to say.
//!
//! The streams are libx264's, made by FFmpeg: from one to eight slices, IDR pictures anywhere, CABAC and CAVLC, with and
//! without weights. What x264 does not write (a `frame_num` of more than 4 bits, slices that tell their place in the order of
//! showing) is put into its slices here. Chromium is shown one of our own encoder's, too.

mod servers;
mod support;

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use bytes::{Bytes, BytesMut};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};
use stream_manager::h264::{
    AvcConfig, NalKind, Splicer, Sps, annex_b,
    bits::{Reader, Writer},
    nal::{escape, unescape},
    put_length_prefixed,
};

use servers::clip::Clip;
use support::{chromium, program};

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Runs FFmpeg on `input`; it must succeed in silence.
fn ffmpeg(arguments: &str, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error"])
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("ffmpeg is needed: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A decoder that gives up closes its end.
    let feeder = std::thread::Builder::new().spawn(move || stdin.write_all(&input)).unwrap();
    let output = child.wait_with_output().unwrap();
    let _ = feeder.join().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "ffmpeg {arguments}: {said}");
    output.stdout
}

/// The checksum of each frame that the decoder shows.
fn decoded(stream: &[u8]) -> Vec<String> {
    decoded_as("h264", stream)
}

/// The same of a stream in a container.
fn decoded_as(format: &str, file: &[u8]) -> Vec<String> {
    let listing = ffmpeg(&format!("-f {format} -i - -map 0:v -fps_mode passthrough -f framehash -hash sha256 -"), file);
    let lines = String::from_utf8(listing).unwrap();
    let frames = lines.lines().filter(|line| !line.starts_with('#'));
    frames.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect()
}

/// A stream as an encoder gives it: its headers, and the slices of each access unit behind their lengths.
struct Source {
    sps: Vec<u8>,
    pps: Vec<u8>,
    units: Vec<Bytes>,
}

/// `keyint` sets the bits of `frame_num`; more of FFmpeg's arguments may follow a space. The delimiters between access units are x264's.
fn source(x264: &str, frames: u32) -> Source {
    let stream = ffmpeg(
        &format!(
            "-f lavfi -i testsrc2=size=160x96:rate=30,format=yuv420p -frames:v {frames} -c:v libx264 -preset superfast \
             -tune zerolatency -x264-params aud=1:scenecut=0:{x264} -f h264 -"
        ),
        &[],
    );
    let mut source = Source { sps: Vec::new(), pps: Vec::new(), units: Vec::new() };
    let mut unit = BytesMut::new();
    for nal in annex_b(&stream) {
        match NalKind::of(nal) {
            NalKind::Sps => source.sps = nal.to_vec(),
            NalKind::Pps => source.pps = nal.to_vec(),
            NalKind::Slice | NalKind::Idr => put_length_prefixed(nal, &mut unit),
            NalKind::AccessUnitDelimiter if !unit.is_empty() => source.units.push(unit.split().freeze()),
            _ => {}
        }
    }
    source.units.push(unit.freeze());
    assert_eq!(source.units.len(), frames as usize);
    source
}

fn append(stream: &mut Vec<u8>, nal: &[u8]) {
    stream.extend(START_CODE);
    stream.extend(nal);
}

/// The slices of an access unit.
fn nals(mut unit: &[u8]) -> Vec<&[u8]> {
    let mut nals = Vec::new();
    while let Some((len, rest)) = unit.split_first_chunk::<4>() {
        let (nal, rest) = rest.split_at(u32::from_be_bytes(*len) as usize);
        nals.push(nal);
        unit = rest;
    }
    nals
}

/// A NAL unit whose payload starts with what `edit` makes of its start; the rest follows bit by bit.
fn edited(nal: &[u8], edit: impl FnOnce(&mut Reader<'_>, &mut Writer)) -> Vec<u8> {
    let rbsp = unescape(&nal[1..]);
    // The stop bit is written anew.
    let end = rbsp.len() * 8 - 1 - rbsp.last().unwrap().trailing_zeros() as usize;
    let (mut from, mut to) = (Reader::new(&rbsp), Writer::new());
    edit(&mut from, &mut to);
    let rest = end - from.position();
    to.copy(&mut from, rest).unwrap();
    let mut out = nal[..1].to_vec();
    out.extend(escape(&to.finish()));
    out
}

/// A stream with repeats in it, as outputs get it.
struct Spliced {
    sps: Vec<u8>,
    pps: [Vec<u8>; 2],
    units: Vec<Bytes>,
}

impl Spliced {
    fn annex_b(&self) -> Vec<u8> {
        let mut stream = Vec::new();
        let sets = [&self.sps, &self.pps[0], &self.pps[1]].map(Vec::as_slice);
        let slices = self.units.iter().flat_map(|unit| nals(unit));
        sets.into_iter().chain(slices).for_each(|nal| append(&mut stream, nal));
        stream
    }

    fn for_page(&self) -> Value {
        let config = AvcConfig::new(&self.sps, &self.pps[0]).unwrap().and_pps(&self.pps[1]).unwrap().to_bytes();
        for_page(&config, self.units.iter().map(|unit| &unit[..]))
    }
}

/// For the page: what a decoder must know, and the access units, all in hexadecimal digits.
fn for_page<'a>(config: &[u8], units: impl Iterator<Item = &'a [u8]>) -> Value {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let units = units.map(|unit| {
        let is_key = NalKind::of(&unit[4..]) == NalKind::Idr;
        json!({ "type": if is_key { "key" } else { "delta" }, "data": hex(unit) })
    });
    json!({
        "codec": format!("avc1.{}", hex(&config[1..4])),
        "description": hex(config),
        "units": units.collect::<Vec<_>>(),
    })
}

/// What FFmpeg shows of a picture that moves a second of three, from our renderer and our encoder; and the same for the
/// page.
fn our_own() -> (Vec<String>, Value) {
    let show = json!({
        "id": "main", "canvas": { "width": 160, "height": 96, "fps": "25", "background": "#204060" },
        "encoder": { "bitrateKbps": 800 },
        "layers": [{
            "id": "box", "transform": { "positionY": 20, "width": 40, "height": 40 },
            "animations": [{ "property": "positionX", "repeat": "infinite", "keyframes": [
                { "atMs": 0, "value": 0 }, { "atMs": 1000, "value": 120 }, { "atMs": 3000, "value": 120 }] }],
            "content": { "type": "shape", "shape": "ellipse", "fill": "#ffb000" },
        }],
    });
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("show.flv");
    fs::write(directory.path().join("show.json"), show.to_string()).unwrap();
    let arguments = ["render", "show.json", "--duration", "7s", "-o", "show.flv"];
    program::finish(&mut program::command(directory.path(), &arguments)).expect(0);
    const HEAD: usize = 5;
    let clip = Clip::read(&path, 0);
    let units: Vec<_> = clip.packets.iter().filter(|packet| packet.kind.is_video()).collect();
    let repeats = units.iter().filter(|unit| unit.body.len() <= 24 + HEAD).count();
    assert!((50..150).contains(&repeats), "{repeats} repeats of {}", units.len());
    let units = units.iter().map(|unit| &unit.body.media()[..]);
    (decoded_as("flv", &fs::read(path).unwrap()), for_page(&clip.headers.video[HEAD..], units))
}

impl Source {
    /// The stream with `repeats[i]` repeats after access unit `i`; none where the list ends.
    fn spliced(&self, repeats: &[u32]) -> Spliced {
        let mut splicer = Splicer::new(&self.sps, &self.pps).unwrap();
        let mut units = Vec::new();
        for (i, unit) in self.units.iter().enumerate() {
            units.push(splicer.coded(unit.clone()).unwrap().nalus);
            for _ in 0..repeats.get(i).copied().unwrap_or(0) {
                let repeat = splicer.repeat().unwrap();
                assert!(repeat.len() <= 24, "{} bytes", repeat.len());
                units.push(repeat);
            }
        }
        Spliced { sps: self.sps.clone(), pps: [self.pps.clone(), splicer.repeat_pps().to_vec()], units }
    }

    /// The same stream with a `frame_num` of so many bits, and with order of type 0 in place of type 2 if so many bits are
    /// given for it: each slice then tells its picture's place. Only without CABAC, whose data is aligned.
    fn recoded(&self, frame_num_bits: usize, order_bits: Option<usize>) -> Self {
        let old_bits = usize::from(self.frame_num_bits());
        let sps = edited(&self.sps, |from, to| {
            to.copy(from, 24).unwrap();
            to.ue(from.ue().unwrap());
            assert_eq!(from.ue().unwrap() as usize + 4, old_bits);
            to.ue(frame_num_bits as u32 - 4);
            assert_eq!(from.ue().unwrap(), 2, "pic_order_cnt_type");
            to.ue(if order_bits.is_some() { 0 } else { 2 });
            order_bits.iter().for_each(|&bits| to.ue(bits as u32 - 4));
        });
        let mut since_idr = 0;
        let units = self.units.iter().map(|unit| {
            let mut out = BytesMut::new();
            since_idr = if NalKind::of(&unit[4..]) == NalKind::Idr { 0 } else { since_idr + 1 };
            for nal in nals(unit) {
                let slice = edited(nal, |from, to| {
                    (0..3).for_each(|_| to.ue(from.ue().unwrap()));
                    assert_eq!(
                        from.bits(old_bits).unwrap(),
                        since_idr % (1 << old_bits),
                        "every picture is referred to"
                    );
                    to.bits(since_idr % (1 << frame_num_bits), frame_num_bits);
                    if NalKind::of(nal) == NalKind::Idr {
                        to.ue(from.ue().unwrap());
                    }
                    order_bits.iter().for_each(|&bits| to.bits(2 * since_idr % (1 << bits), bits));
                });
                put_length_prefixed(&slice, &mut out);
            }
            out.freeze()
        });
        Self { sps, pps: self.pps.clone(), units: units.collect() }
    }

    fn frame_num_bits(&self) -> u8 {
        Sps::parse(&self.sps).unwrap().log2_max_frame_num
    }
}

const FRAMES: u32 = 12;

/// Streams of every kind that can be spliced, each with its name.
fn sources() -> Vec<(String, Source)> {
    let simple = "slices=2:cabac=0:8x8dct=0:weightp=0:keyint=7";
    let x264 = |options: &str| (options.to_owned(), source(options, FRAMES));
    let recoded =
        |bits, order| (format!("{simple}, {bits} bits, {order:?}"), source(simple, FRAMES).recoded(bits, order));
    vec![
        x264("keyint=8:slices=1"),
        x264("keyint=30:slices=4"),
        x264("keyint=60:slices=8"),
        x264("keyint=5:slices=2:cabac=0"),
        x264("keyint=1000:slices=3:weightp=2"),
        // IDR pictures off any grid, two of them one after the other.
        x264("keyint=1000:slices=2 -forced-idr 1 -force_key_frames expr:eq(n,3)+eq(n,4)+eq(n,9)"),
        recoded(7, None),
        recoded(16, None),
        recoded(4, Some(5)),
        recoded(11, Some(16)),
    ]
}

/// How often each picture is repeated: groups short and long, of which 70 pass the end of a `frame_num` of 4 bits several
/// times.
fn any_repeats() -> impl Strategy<Value = Vec<u32>> {
    let count = prop_oneof![3 => Just(0u32), 3 => 1..4u32, 1 => 10..70u32];
    prop::collection::vec(count, FRAMES as usize)
}

/// What is to be shown: each picture of the unspliced stream, and itself again for each of its repeats.
fn expected(plain: &[String], repeats: &[u32]) -> Vec<String> {
    let pictures = plain.iter().zip(repeats);
    pictures.flat_map(|(picture, &n)| std::iter::repeat_n(picture.clone(), n as usize + 1)).collect()
}

#[test]
fn repeats_are_their_predecessors_and_coded_pictures_are_untouched() {
    for (name, source) in sources() {
        let plain = decoded(&source.spliced(&[]).annex_b());
        assert_eq!(plain.len(), FRAMES as usize, "{name}");
        let mut runner = TestRunner::new(Config { cases: 4, failure_persistence: None, ..Config::default() });
        runner
            .run(&any_repeats(), |repeats| {
                let shown = decoded(&source.spliced(&repeats).annex_b());
                prop_assert_eq!(shown, expected(&plain, &repeats), "{}: {:?}", name, repeats);
                Ok(())
            })
            .unwrap();
    }
}

/// The page decodes each stream by WebCodecs, as a player does that has its access units and its sequence header from us,
/// and answers with the checksums of its pictures, or with what went wrong.
const DECODER: &str = r#"<!doctype html><script>
const bytes = hex => Uint8Array.from(hex.match(/../g) ?? [], byte => parseInt(byte, 16));
async function checksum(frame) {
    if (frame.format !== "I420") throw new Error(`pictures of format ${frame.format}`);
    const planes = new Uint8Array(frame.allocationSize());
    await frame.copyTo(planes);
    frame.close();
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", planes));
    return Array.from(digest, byte => byte.toString(16).padStart(2, "0")).join("");
}
async function decode({ codec, description, units }) {
    const shown = [];
    await new Promise((resolve, reject) => {
        const decoder = new VideoDecoder({ output: frame => shown.push(checksum(frame)), error: reject });
        decoder.configure({ codec, description: bytes(description), optimizeForLatency: true });
        units.forEach(({ type, data }, n) =>
            decoder.decode(new EncodedVideoChunk({ type, data: bytes(data), timestamp: n * 40000 })));
        decoder.flush().then(resolve, reject);
    });
    return Promise.all(shown);
}
(async () => {
    const answers = [];
    for (const stream of await (await fetch("/question")).json())
        answers.push(await decode(stream).catch(error => String(error)));
    await fetch("/answer", { method: "POST", body: JSON.stringify(answers) });
})();
</script>"#;

#[test]
fn chromium_shows_what_ffmpeg_shows() {
    let mut runner = TestRunner::deterministic();
    let mut cases = Vec::new();
    for (name, source) in sources() {
        let plain = decoded(&source.spliced(&[]).annex_b());
        for _ in 0..3 {
            let repeats = any_repeats().new_tree(&mut runner).unwrap().current();
            let spliced = source.spliced(&repeats).for_page();
            cases.push((format!("{name}: {repeats:?}"), expected(&plain, &repeats), spliced));
        }
    }
    let (expected, stream) = our_own();
    cases.push(("our own".into(), expected, stream));
    let question: Value = cases.iter().map(|(_, _, stream)| stream.clone()).collect();
    let answer = chromium::ask(DECODER, &question);
    let answers: Vec<Value> = serde_json::from_str(&answer).unwrap();
    assert_eq!(answers.len(), cases.len());
    for ((name, expected, _), shown) in cases.iter().zip(answers) {
        let shown: Vec<String> = serde_json::from_value(shown.clone()).unwrap_or_else(|_| panic!("{name}: {shown}"));
        let wrong = (0..expected.len()).find(|&n| shown.get(n) != Some(&expected[n]));
        assert_eq!((shown.len(), wrong), (expected.len(), None), "{name}: pictures, and the first that is another");
    }
}

#[test]
fn pictures_stay_in_the_encoders_buffer() {
    let source = source("keyint=30:slices=2", 4);
    let unit = |n: usize| Bytes::from(source.units[n].to_vec());
    let mut splicer = Splicer::new(&source.sps, &source.pps).unwrap();
    assert!(splicer.repeat().is_none(), "there is nothing to repeat yet");
    for held in [unit(0), unit(1)] {
        assert_eq!(splicer.coded(held.clone()).unwrap().nalus.as_ptr(), held.as_ptr(), "not moved");
    }
    splicer.repeat().unwrap();
    let given = unit(2);
    let place = given.as_ptr();
    let moved = splicer.coded(given).unwrap().nalus;
    assert_eq!(moved.as_ptr(), place);
    assert_ne!(moved, source.units[2]);
    let held = unit(3);
    assert_ne!(splicer.coded(held.clone()).unwrap().nalus.as_ptr(), held.as_ptr());
    assert_eq!(held, source.units[3], "what others hold is left alone");
}

#[test]
fn streams_that_do_not_qualify_are_refused_with_the_reason() {
    let several = source("keyint=30:ref=3", 2);
    let error = Splicer::new(&several.sps, &several.pps).unwrap_err().to_string();
    assert_eq!(error, "its max_num_ref_frames is 3 where 1 is needed");
    let one = source("keyint=30", 2);
    assert!(Splicer::new(&one.pps, &one.pps).is_err() && Splicer::new(&one.sps, &one.sps).is_err());
    let mut splicer = Splicer::new(&one.sps, &one.pps).unwrap();
    for broken in [&[0, 0, 0, 9, 0x41][..], &[0, 0], &[0, 0, 0, 1, 0x68], &[0, 0, 0, 0]] {
        assert!(splicer.coded(Bytes::copy_from_slice(broken)).is_err(), "{broken:?}");
    }
}
