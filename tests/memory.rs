//! A day of text changes does not grow the process: every cache on the way from a document to its picture is bounded.
//!
//! Alone in its program, so that the memory it measures is its own.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use stream_manager::{
    base::{colour::VideoColour, nv12::Picture},
    gpu::{Compositor, Gpu, Options},
    media::{Config, Library},
    scene::{Canvas, LayerErrors, Moment, Show, evaluate, read_layers},
};

const WAIT: Duration = Duration::from_secs(30);
/// More than one a second for a day.
const CHANGES: u32 = 100_000;
/// Texts that change in one frame, so that the test need not wait for as many frames.
const TEXTS: u32 = 10;
/// Changes after which all caches are full: the longest-lived one keeps what is known of some 50,000 texts in 16 MiB.
const FULL_AFTER: u32 = 65_000;
/// What the process may grow from then on, in bytes. One leaked texture of each change would be 150 MiB, one leaked text
/// 10 MiB; an allocator's own ups and downs are below 1 MiB.
const GROWTH_MAX: u64 = 4 << 20;

/// Bytes of memory in use by the process.
fn resident_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn text(layer: u32, number: u32) -> Value {
    json!({ "id": format!("text-{layer}"), "content": { "type": "text", "text": number.to_string(), "size": 10 } })
}

#[test]
fn memory_is_flat_over_a_hundred_thousand_text_changes() {
    let canvas: Canvas = serde_json::from_value(json!({ "width": 64, "height": 16 })).unwrap();
    let gpu = Gpu::open(&Options::default()).unwrap_or_else(|error| panic!("{error}"));
    let library = Library::new(Config { cache_bytes_max: 4 << 20, ..Config::default() }).unwrap();
    let colour = VideoColour::BT709_LIMITED;
    let mut compositor = Compositor::new(gpu, library.clone(), canvas.size, colour).unwrap();
    let mut picture = Picture::black(canvas.size);
    let mut full = 0;
    for frame in 0..CHANGES / TEXTS {
        let layers = read_layers((0..TEXTS).map(|i| text(i, frame * TEXTS + i)).collect()).unwrap();
        let show = Show::of_layers(canvas.clone(), LayerErrors::Hide, layers);
        assert!(library.prepare_show(&show, Moment::START, WAIT).is_complete());
        let list = evaluate(&show, Moment::START, &*library).draw_list;
        assert_eq!(list.items.len(), TEXTS as usize);
        compositor.render(u64::from(frame), &list).unwrap();
        assert!(!compositor.is_pending());
        assert_eq!(compositor.collect(WAIT, &mut picture).unwrap(), Some(u64::from(frame)));
        if frame == FULL_AFTER / TEXTS {
            full = resident_bytes();
        }
    }
    let grown = resident_bytes().saturating_sub(full);
    assert!(grown <= GROWTH_MAX, "{grown} bytes more than the {full} after {FULL_AFTER} changes");
}
