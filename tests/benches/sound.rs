//! What sound costs: processor time of the mixer and of the meters for a minute of it. Run by `make bench`.
//!
//! The audio thread does the same, block after block, without waiting for their time. Figures are printed, not judged:
//! machines differ.

mod cpu;

use std::{io::Write, sync::Arc};

use serde_json::{Value, json};
use stream_manager::audio::{BLOCK_SAMPLES, Gauge, Meters, Mix, Mixer, Opener, SAMPLE_RATE, SILENT_BLOCK};

/// Minutes of sound in each line.
const MINUTES: u64 = 10;

fn main() {
    say("sound                             ms/minute  of a core");
    for (name, mix, is_measured) in [
        ("nothing, measured", json!({}), true),
        ("1 tone", mix(1, -20.0), false),
        ("8 tones, not limited", mix(8, -20.0), false),
        ("8 tones, limited", mix(8, 0.0), false),
        ("8 tones, limited, measured", mix(8, 0.0), true),
    ] {
        let ms = cpu_ms(|| play(mix, is_measured)) / MINUTES as f64;
        say(&format!("{name:<32}  {ms:>9.1}  {:>7.2} %", ms / 600.0));
    }
}

fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("standard output");
}

/// So many tones, of which all but the first make room for it.
fn mix(count: usize, gain_db: f64) -> Value {
    let source = |n: usize| {
        let duck = (n > 0).then(|| json!({ "under": "tone-0" }));
        json!({ "id": format!("tone-{n}"), "type": "tone", "frequencyHz": 300 + 210 * n, "pan": 0.1, "duck": duck })
    };
    json!({ "gainDb": gain_db, "sources": (0..count).map(source).collect::<Vec<_>>() })
}

fn play(mix: Value, is_measured: bool) {
    let mix = Mix::read(mix).unwrap_or_else(|problems| panic!("{problems}"));
    let opened = mix.opened_since(&Mix::default(), &Opener::default());
    let mut mixer = Mixer::new(Arc::new(mix), opened);
    let (mut gauge, mut meters, mut block) = (Gauge::default(), Meters::default(), SILENT_BLOCK);
    let blocks = MINUTES * 60 * u64::from(SAMPLE_RATE) / BLOCK_SAMPLES as u64;
    for number in 0..blocks {
        mixer.block(number * BLOCK_SAMPLES as u64, &mut |_, _| 1.0, &mut block);
        if is_measured {
            mixer.measure(&mut gauge, &block).leave(&mut meters);
        }
    }
}

/// Processor time that this process takes for `work`.
fn cpu_ms(work: impl FnOnce()) -> f64 {
    let taken = || cpu::taken_ms("self")[0];
    let before = taken();
    work();
    taken() - before
}
