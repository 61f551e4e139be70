//! Repeats between coded pictures, as FFmpeg's decoder sees them: every repeat is its predecessor bit for bit, every coded
//! picture is what it was without them, and the decoder has nothing to say.
//!
//! The streams are libx264's, made by FFmpeg: from one to eight slices, IDR pictures anywhere, CABAC and CAVLC, with and
//! without weights. What x264 does not write (a `frame_num` of more than 4 bits, slices that tell their place in the order of
//! showing) is put into its slices here.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use bytes::{Bytes, BytesMut};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use stream_manager::h264::{
    NalKind, Splicer, Sps, annex_b,
    bits::{Reader, Writer},
    nal::{escape, unescape},
    put_length_prefixed,
};

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
    let listing = ffmpeg("-f h264 -i - -fps_mode passthrough -f framemd5 -", stream);
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

/// `keyint` sets the bits of `frame_num`; the delimiters between access units are x264's.
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

impl Source {
    /// The stream with `repeats[i]` repeats after access unit `i`; none where the list ends.
    fn spliced(&self, repeats: &[u32]) -> Vec<u8> {
        let mut splicer = Splicer::new(&self.sps, &self.pps).unwrap();
        let mut stream = Vec::new();
        for nal in [&self.sps[..], &self.pps, splicer.repeat_pps()] {
            append(&mut stream, nal);
        }
        for (i, unit) in self.units.iter().enumerate() {
            nals(&splicer.coded(unit).unwrap().nalus).into_iter().for_each(|nal| append(&mut stream, nal));
            for _ in 0..repeats.get(i).copied().unwrap_or(0) {
                let repeat = splicer.repeat().unwrap();
                assert!(repeat.len() <= 24, "{} bytes", repeat.len());
                nals(&repeat).into_iter().for_each(|nal| append(&mut stream, nal));
            }
        }
        stream
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
#[test]
fn repeats_are_their_predecessors_and_coded_pictures_are_untouched() {
    let simple = "slices=2:cabac=0:8x8dct=0:weightp=0:keyint=7";
    let x264 = |options: &str| (options.to_owned(), source(options, FRAMES));
    let recoded =
        |bits, order| (format!("{simple}, {bits} bits, {order:?}"), source(simple, FRAMES).recoded(bits, order));
    for (x264, source) in [
        x264("keyint=8:slices=1"),
        x264("keyint=30:slices=4"),
        x264("keyint=60:slices=8"),
        x264("keyint=5:slices=2:cabac=0"),
        x264("keyint=1000:slices=3:weightp=2"),
        recoded(7, None),
        recoded(16, None),
        recoded(4, Some(5)),
        recoded(11, Some(16)),
    ] {
        let plain = decoded(&source.spliced(&[]));
        assert_eq!(plain.len(), FRAMES as usize, "{x264}");
        // Groups of repeats short and long: 70 pass the end of a `frame_num` of 4 bits several times.
        let count = prop_oneof![3 => Just(0u32), 3 => 1..4u32, 1 => 10..70u32];
        let mut runner = TestRunner::new(Config { cases: 4, failure_persistence: None, ..Config::default() });
        runner
            .run(&prop::collection::vec(count, FRAMES as usize), |repeats| {
                let expected = plain.iter().zip(&repeats);
                let expected: Vec<_> =
                    expected.flat_map(|(frame, &n)| std::iter::repeat_n(frame.clone(), n as usize + 1)).collect();
                prop_assert_eq!(decoded(&source.spliced(&repeats)), expected, "{}: {:?}", x264, repeats);
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn what_was_not_moved_is_handed_on_without_a_copy() {
    let source = source("keyint=30:slices=2", 4);
    let mut splicer = Splicer::new(&source.sps, &source.pps).unwrap();
    assert!(splicer.repeat().is_none(), "there is nothing to repeat yet");
    for unit in &source.units[..2] {
        assert_eq!(splicer.coded(unit).unwrap().nalus.as_ptr(), unit.as_ptr());
    }
    splicer.repeat().unwrap();
    assert_ne!(splicer.coded(&source.units[2]).unwrap().nalus.as_ptr(), source.units[2].as_ptr());
    assert_eq!(splicer.coded(&source.units[0]).unwrap().nalus.as_ptr(), source.units[0].as_ptr(), "an IDR picture");
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
        assert!(splicer.coded(&Bytes::copy_from_slice(broken)).is_err(), "{broken:?}");
    }
}
