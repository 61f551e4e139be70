//! The mixer held against what each part of a document promises, by sines whose levels are known.

use std::{f64::consts::TAU, sync::Mutex};

use ebur128::{EbuR128, Mode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::audio::{Opener, SourceKind, meter::Meters};

const BLOCK: u64 = BLOCK_SAMPLES as u64;

fn mix(sources: Value) -> Mix {
    // No limiter, so that levels are the document's own.
    let document = json!({ "sources": sources, "limiter": { "enabled": false } });
    Mix::read(document).unwrap_or_else(|problems| panic!("{problems}"))
}

fn mixer(mix: Mix) -> Mixer {
    let opened = mix.opened_since(&Mix::default(), &Opener::default());
    Mixer::new(Arc::new(mix), opened)
}

/// The sound from `first` on.
fn play(mixer: &mut Mixer, first: u64, blocks: u64) -> Vec<[f32; CHANNELS]> {
    play_seen(mixer, first, blocks, &mut |_, _| 1.0)
}

fn play_seen(mixer: &mut Mixer, first: u64, blocks: u64, seen: &mut Seen<'_>) -> Vec<[f32; CHANNELS]> {
    let mut sound = Vec::new();
    for number in 0..blocks {
        let mut block = SILENT_BLOCK;
        mixer.block(first + number * BLOCK, seen, &mut block);
        sound.extend(block);
    }
    sound
}

/// The peak of one side of a part of the sound, in dB of full scale.
fn peak_db(sound: &[[f32; CHANNELS]], side: usize) -> f64 {
    fader::decibels(sound.iter().fold(0.0, |peak: f32, pair| peak.max(pair[side].abs())).into())
}

#[track_caller]
fn assert_db(sound: &[[f32; CHANNELS]], side: usize, expected: f64) {
    let found = peak_db(sound, side);
    assert!((found - expected).abs() < 0.05, "{found:.2} dB instead of {expected:.2}");
}

/// The steepest step from sample to sample.
fn steepest(sound: &[[f32; CHANNELS]]) -> f32 {
    sound
        .windows(2)
        .map(|pair| (pair[1][0] - pair[0][0]).abs().max((pair[1][1] - pair[0][1]).abs()))
        .fold(0.0, f32::max)
}

/// A tone of 1 kHz at full scale with these fields.
fn tone(id: &str, more: Value) -> Value {
    let mut source = json!({ "id": id, "type": "tone", "levelDbfs": 0 });
    json_patch::merge(&mut source, &more);
    source
}

#[test]
fn a_source_is_heard_at_its_own_samples() {
    let first = 3 * 48_000 * 3600 + 77;
    let sound = play(&mut mixer(mix(json!([tone("a", json!({ "levelDbfs": -6.0206 }))]))), first, 3);
    for (index, [left, right]) in sound.into_iter().enumerate() {
        let expected = 0.5 * (((first + index as u64) as f64 / 48.0) * TAU).sin();
        assert!((f64::from(left) - expected).abs() < 1e-5 && left == right, "{index}: {left} instead of {expected}");
    }
}

#[test]
fn gains_pans_mutes_and_solos_do_what_they_say() {
    let half = -3.0103;
    for (sources, left, right) in [
        (json!([]), -100.0, -100.0),
        (json!([tone("a", json!({ "gainDb": -20 }))]), -20.0, -20.0),
        (json!([tone("a", json!({ "gainDb": 6 }))]), 6.0, 6.0),
        (json!([tone("a", json!({ "gainDb": -100 }))]), -100.0, -100.0),
        (json!([tone("a", json!({ "pan": -1 }))]), 0.0, -100.0),
        (json!([tone("a", json!({ "pan": 1 }))]), -100.0, 0.0),
        (json!([tone("a", json!({ "pan": 0.5 }))]), half, 0.0),
        (json!([tone("a", json!({ "mute": true })), tone("b", json!({ "gainDb": -10 }))]), -10.0, -10.0),
        (json!([tone("a", json!({})), tone("b", json!({ "gainDb": -10, "solo": true }))]), -10.0, -10.0),
        (json!([tone("a", json!({})), tone("b", json!({}))]), 6.0206, 6.0206),
    ] {
        let sound = play(&mut mixer(mix(sources)), 0, 2);
        assert_db(&sound, 0, left);
        assert_db(&sound, 1, right);
    }
}

#[test]
fn the_gain_of_the_whole_and_its_fade() {
    let mut mix = mix(json!([tone("a", json!({}))]));
    mix.gain_db = -6.0;
    assert_db(&play(&mut mixer(mix.clone()), 0, 2), 0, -6.0);
    mix.fade = serde_json::from_value(json!({ "fromDb": 0, "startMs": 0, "durationMs": 1000 })).unwrap();
    let sound = play(&mut mixer(mix), 0, 60);
    assert_db(&sound[..48], 0, 0.0);
    // Half of the way on the scale of a fader.
    let half = 60.0 * f64::midpoint(1.0, 10f64.powf(-6.0 / 60.0)).log10();
    assert_db(&sound[23_976..24_024], 0, half);
    assert_db(&sound[48_000..], 0, -6.0);
}

#[test]
fn a_fade_is_where_its_time_has_it_from_whatever_block_it_is_looked_at() {
    let fade = json!({ "gainDb": -100, "fade": { "fromDb": 0, "startMs": 100, "durationMs": 2000, "easing": "easeInOutSine" } });
    let whole = play(&mut mixer(mix(json!([tone("a", fade.clone())]))), 0, 110);
    assert_db(&whole[..4700], 0, 0.0);
    assert_db(&whole[2100 * 48..], 0, -100.0);
    for block in [5, 47, 98] {
        let alone = play(&mut mixer(mix(json!([tone("a", fade.clone())]))), block * BLOCK, 1);
        let place = (block * BLOCK) as usize;
        assert_eq!(alone, whole[place..place + BLOCK_SAMPLES], "block {block} asked for first");
    }
}

#[test]
fn changes_hold_from_the_next_sample_that_is_mixed_and_do_not_click() {
    let before = mix(json!([tone("a", json!({ "frequencyHz": 100 }))]));
    // A sine of 100 Hz moves by so much in a sample; a ramp of 480 samples adds little.
    let smooth = steepest(&play(&mut mixer(before.clone()), 0, 4)) + 2.0 / 480.0;
    for change in [
        json!([tone("a", json!({ "frequencyHz": 100, "gainDb": -100 }))]),
        json!([tone("a", json!({ "frequencyHz": 100, "mute": true }))]),
        json!([tone("a", json!({ "frequencyHz": 100, "pan": 1 }))]),
        json!([tone("a", json!({ "frequencyHz": 100, "delayMs": 3 }))]),
        json!([tone("a", json!({ "frequencyHz": 120 }))]),
        json!([
            tone("a", json!({ "frequencyHz": 100, "duck": { "under": "b", "attackMs": 10 } })),
            tone("b", json!({ "frequencyHz": 100, "levelDbfs": -30 }))
        ]),
        json!([tone("b", json!({ "frequencyHz": 100 }))]),
        json!([]),
    ] {
        let mut mixer = mixer(before.clone());
        let unchanged = play(&mut self::mixer(before.clone()), 0, 12);
        let mut sound = play(&mut mixer, 0, 3);
        let after = mix(change.clone());
        let opened = after.opened_since(&before, &Opener::default());
        mixer.change(Arc::new(after.clone()), opened);
        sound.extend(play(&mut mixer, 3 * BLOCK, 9));
        let from = 4 * BLOCK_SAMPLES;
        assert!(sound[..from] == unchanged[..from], "{change}: one block is mixed ahead");
        assert!(sound[from..from + 600] != unchanged[from..from + 600], "{change}: at once from there on");
        let step = steepest(&sound);
        assert!(step <= smooth * 1.1, "{change}: a step of {step}, {smooth} is smooth");
        // What it has become is what it would have been from the start.
        let settled = play(&mut self::mixer(after), 0, 12);
        let end = 8 * BLOCK_SAMPLES..;
        let off = sound[end.clone()].iter().zip(&settled[end]).map(|(a, b)| (a[0] - b[0]).abs()).fold(0.0, f32::max);
        assert!(off < 1e-5, "{change}: {off}");
        let kept = mixer.slots.len();
        assert_eq!(kept, mixer.mix.sources.len(), "{change}: what is gone is forgotten");
    }
}

#[test]
fn what_replaces_a_silent_source_is_there_from_its_first_sample() {
    let before = mix(json!([{ "id": "a", "type": "silence" }]));
    let mut mixer = mixer(before.clone());
    play(&mut mixer, 0, 2);
    let after = mix(json!([tone("a", json!({}))]));
    mixer.change(Arc::new(after.clone()), after.opened_since(&before, &Opener::default()));
    let sound = play(&mut mixer, 2 * BLOCK, 3);
    assert_db(&sound[BLOCK_SAMPLES..BLOCK_SAMPLES + 48], 0, 0.0);
    assert_eq!(mixer.take_retired().len(), 1);
}

#[test]
fn a_delay_is_exact_and_begins_with_silence() {
    let delayed = play(&mut mixer(mix(json!([tone("a", json!({ "delayMs": 30 }))]))), 0, 6);
    let straight = play(&mut mixer(mix(json!([tone("a", json!({}))]))), 0, 6);
    let late = 30 * 48;
    assert!(delayed[..late].iter().all(|pair| *pair == [0.0; 2]));
    assert_eq!(delayed[late..], straight[..straight.len() - late]);
}

#[test]
fn a_source_that_follows_a_layer_is_heard_as_far_as_that_is_seen() {
    let mut mixer =
        mixer(mix(json!([tone("a", json!({ "followLayer": "logo" })), tone("b", json!({ "gainDb": -100 }))])));
    let asked = Mutex::new(Vec::new());
    let mut seen = |layer: &Id, sample: u64| {
        asked.lock().unwrap().push(layer.as_str().to_owned());
        if sample < 5 * BLOCK { 1.0 } else { 0.25 }
    };
    let sound = play_seen(&mut mixer, 0, 8, &mut seen);
    assert!(asked.lock().unwrap().iter().all(|layer| layer == "logo"));
    assert_db(&sound[..4 * BLOCK_SAMPLES], 0, 0.0);
    assert_db(&sound[5 * BLOCK_SAMPLES..], 0, -12.0412);
    let way = &sound[4 * BLOCK_SAMPLES..5 * BLOCK_SAMPLES];
    assert!(peak_db(&way[500..548], 0) < -2.0 && peak_db(&way[500..548], 0) > -6.0, "a short fade leads over");
}

#[test]
fn a_source_makes_room_for_another_and_comes_back() {
    let duck = json!({ "under": "voice", "thresholdDbfs": -30, "reductionDb": 20, "attackMs": 50, "releaseMs": 200 });
    let music = tone("music", json!({ "duck": duck }));
    // The voice speaks from 500 to 1000 ms, far too high to be heard in what is measured here.
    let voice = json!({ "gainDb": -100, "frequencyHz": 500, "pan": 1,
        "fade": { "fromDb": -20, "startMs": 500, "durationMs": 500, "easing": "hold" } });
    let mut sound = Vec::new();
    let mut mixer = mixer(mix(json!([music, tone("voice", json!({ "gainDb": -100, "pan": 1 }))])));
    sound.extend(play(&mut mixer, 0, 24));
    let before = mixer.mix().clone();
    let speaking = mix(json!([music, tone("voice", voice)]));
    mixer.change(Arc::new(speaking.clone()), speaking.opened_since(&before, &Opener::default()));
    sound.extend(play(&mut mixer, 24 * BLOCK, 60));
    let at = |ms: usize| &sound[ms * 48..ms * 48 + 96];
    assert_db(at(400), 0, 0.0);
    assert_db(at(700), 0, -20.0);
    assert_db(at(1100), 0, -20.0);
    assert!(peak_db(at(1300), 0) > -15.0 && peak_db(at(1300), 0) < -5.0);
    assert_db(at(1500), 0, 0.0);
}

/// A sound of its own, which counts how it is asked.
#[derive(Debug)]
struct Broken(f32);

impl Source for Broken {
    fn mix(&mut self, _first_sample: u64, out: &mut Block) {
        out.as_flattened_mut().iter_mut().step_by(2).for_each(|sample| *sample = self.0);
    }
}

#[test]
fn what_is_no_sound_is_silent_and_what_is_far_too_loud_is_limited() {
    for broken in [f32::NAN, f32::INFINITY, 1e30, -1e30] {
        let mut mix = mix(json!([{ "id": "a", "type": "silence", "gainDb": 24 }, tone("b", json!({ "gainDb": -40 }))]));
        mix.limiter = Default::default();
        let id = |id: &str| Id::new(id).unwrap();
        let opened: Vec<Opened> = vec![
            (id("a"), Box::new(Broken(broken))),
            (id("b"), SourceKind::Tone(Default::default()).open(&id("a"), &Opener::default())),
        ];
        let sound = play(&mut Mixer::new(Arc::new(mix), opened), 0, 8);
        assert!(sound.iter().flatten().all(|sample| sample.is_finite() && sample.abs() <= 1.0), "{broken}");
        let is_silenced = broken.is_finite();
        assert_eq!(peak_db(&sound, 1) > -60.0, !is_silenced, "{broken}: what is no number leaves the other one alone");
    }
}

#[test]
fn a_source_that_panics_costs_itself_alone() {
    #[derive(Debug)]
    struct Bomb;
    impl Source for Bomb {
        fn mix(&mut self, first: u64, out: &mut Block) {
            out.fill([0.5; 2]);
            assert!(first < 3 * BLOCK, "as it is meant to");
        }
    }
    let bomb = |id: &str| (Id::new(id).unwrap(), Box::new(Bomb) as Box<dyn Source>);
    let document = json!([{ "id": "a", "type": "silence", "pan": -1 }, tone("b", json!({ "pan": 1 }))]);
    let mut mixer = mixer(mix(document));
    mixer.change(mixer.mix().clone(), vec![bomb("a")]);
    let sound = play(&mut mixer, 0, 8);
    assert_db(&sound[BLOCK_SAMPLES..2 * BLOCK_SAMPLES], 0, -6.0206);
    assert_db(&sound[4 * BLOCK_SAMPLES..], 0, -100.0);
    assert_db(&sound[4 * BLOCK_SAMPLES..], 1, 0.0);
    let problems = |mixer: &Mixer| {
        let mut meters = Meters::default();
        mixer.measure(&mut Gauge::default(), &SILENT_BLOCK).leave(&mut meters);
        meters.last_second().sources.into_iter().map(|source| source.problem.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(problems(&mixer), [true, false]);
    // One that is to take a place and fails at once leaves it silent, too.
    mixer.change(mixer.mix().clone(), vec![bomb("b")]);
    assert_db(&play(&mut mixer, 8 * BLOCK, 4)[2 * BLOCK_SAMPLES..], 1, -100.0);
    assert_eq!(problems(&mixer), [true, true]);
    // What takes the place of one that failed is heard.
    let id = Id::new("a").unwrap();
    mixer.change(
        mixer.mix().clone(),
        vec![(id.clone(), SourceKind::Tone(Default::default()).open(&id, &Opener::default()))],
    );
    assert_db(&play(&mut mixer, 12 * BLOCK, 4)[2 * BLOCK_SAMPLES..], 0, -18.0);
    assert_eq!(problems(&mixer), [false, true]);
}

#[test]
fn the_whole_is_limited_in_time_and_never_above_the_ceiling() {
    let loud = json!({ "sources": (0..8).map(|n| tone(&format!("s{n}"), json!({ "frequencyHz": 300 * n + 700 }))).collect::<Vec<_>>() });
    let loud = Mix::read(loud).unwrap();
    let sound = play(&mut mixer(loud), 48_000, 40);
    let mut meter = EbuR128::new(2, SAMPLE_RATE, Mode::TRUE_PEAK).unwrap();
    meter.add_frames_f32(sound.as_flattened()).unwrap();
    let peak = fader::decibels(meter.true_peak(0).unwrap());
    assert!((-2.0..=-0.9).contains(&peak), "{peak} dBTP");

    // A click comes out at its own sample, whatever the limiter looks ahead.
    #[derive(Debug)]
    struct Click;
    impl Source for Click {
        fn mix(&mut self, first: u64, out: &mut Block) {
            if let Some(pair) = 5000u64.checked_sub(first).and_then(|index| out.get_mut(index as usize)) {
                *pair = [4.0; 2];
            }
        }
    }
    let quiet = Mix::read(json!({ "sources": [{ "id": "a", "type": "silence" }] })).unwrap();
    let opened: Vec<Opened> = vec![(Id::new("a").unwrap(), Box::new(Click))];
    let sound = play(&mut Mixer::new(Arc::new(quiet), opened), 0, 8);
    let heard: Vec<_> = (0..sound.len()).filter(|&n| sound[n] != [0.0; 2]).collect();
    assert_eq!(heard, [5000]);
    assert_db(&sound, 0, -1.0);
}

#[test]
fn the_meters_show_each_source_behind_its_fader() {
    let mut mixer =
        mixer(mix(json!([tone("a", json!({ "gainDb": -10, "pan": -1 })), tone("b", json!({ "mute": true }))])));
    let (mut gauge, mut meters, mut block) = (Gauge::default(), Meters::default(), SILENT_BLOCK);
    for number in 0..10 {
        mixer.block(number * BLOCK, &mut |_, _| 1.0, &mut block);
        mixer.measure(&mut gauge, &block).leave(&mut meters);
    }
    let shown = meters.last_second();
    let [a, b] = &shown.sources[..] else { panic!("{shown:?}") };
    assert_eq!((a.id.as_str(), b.id.as_str()), ("a", "b"));
    let (first, second) = (a.levels, b.levels);
    assert!((first.peak_dbfs[0] + 10.0).abs() < 0.01 && first.peak_dbfs[1] == -100.0, "{first:?}");
    assert!((first.rms_dbfs[0] + 13.01).abs() < 0.1, "{first:?}");
    assert_eq!(second.peak_dbfs, [-100.0; 2]);
    assert!((shown.levels.peak_dbfs[0] + 10.0).abs() < 0.01);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever documents follow each other, what comes out is finite and below full scale.
    #[test]
    fn no_series_of_changes_breaks_the_sound(
        changes in prop::collection::vec(prop::collection::vec((0usize..4, -100f64..24.0, -1f64..1.0, any::<bool>(), 0f64..60.0), 0..4), 1..5),
        jump in 0u64..3,
    ) {
        let mut before = Mix::default();
        let mut mixer = mixer(before.clone());
        let mut first = 0;
        for change in changes {
            let mut sources: Vec<Value> = Vec::new();
            for (id, gain, pan, solo, delay) in change {
                let more = json!({ "gainDb": gain, "pan": pan, "solo": solo, "delayMs": delay, "frequencyHz": 200 + 90 * id });
                let id = format!("s{id}");
                if !sources.iter().any(|source| source["id"] == id) {
                    sources.push(tone(&id, more));
                }
            }
            let after = Mix::read(json!({ "sources": sources })).unwrap();
            mixer.change(Arc::new(after.clone()), after.opened_since(&before, &Opener::default()));
            let sound = play(&mut mixer, first, 3);
            prop_assert!(sound.iter().flatten().all(|sample| sample.is_finite() && sample.abs() < 1.0));
            first += (3 + jump) * BLOCK;
            before = after;
        }
    }
}
