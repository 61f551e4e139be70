//! What is seen of a running daemon: the JPEGs of what is on air.
//!
//! The streams are real ones on the machine's Vulkan; what is looked at are pixels and counters, not times.

mod support;

use std::{future::poll_fn, pin::Pin};

use axum::body::{Body, HttpBody};
use image::RgbImage;
use serde_json::{Value, json};
use support::{api::Api, eventually};

const MAIN: &str = "/api/v1/streams/main";
const SQUARE: &str = "/api/v1/streams/main/layers/square";

const MADE: &str = "stream_manager_preview_pictures_total{stream=\"main\"}";
const WATCHERS: &str = "stream_manager_preview_watchers{stream=\"main\"}";

/// A small stream that a square of this colour fills, on air as soon as it is created.
fn stream(color: &str) -> Value {
    json!({
        "id": "main", "canvas": { "width": 320, "height": 180, "fps": "25" }, "encoder": { "bitrateKbps": 500 },
        "layers": [{ "id": "square", "content": { "type": "color", "color": color } }],
    })
}

fn jpeg(bytes: &[u8]) -> RgbImage {
    image::load_from_memory_with_format(bytes, image::ImageFormat::Jpeg).unwrap().to_rgb8()
}

/// Whether the middle of the picture has about this colour: JPEG is not exact.
fn shows(picture: &RgbImage, colour: [u8; 3]) -> bool {
    let found = picture.get_pixel(picture.width() / 2, picture.height() / 2).0;
    found.iter().zip(colour).all(|(found, wanted)| found.abs_diff(wanted) <= 8)
}

/// The pictures of a multipart answer, one by one.
struct Parts {
    body: Body,
    bytes: Vec<u8>,
}

impl Parts {
    const BOUNDARY: &str = "--frame\r\n";

    async fn more(&mut self) {
        let frame = poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await;
        let frame = frame.expect("it goes on").unwrap();
        self.bytes.extend_from_slice(&frame.into_data().unwrap());
    }

    /// The next picture, and the frame that showed it first.
    async fn next(&mut self) -> (u64, RgbImage) {
        let head = loop {
            let text = String::from_utf8_lossy(&self.bytes);
            if let Some((head, _)) = text.split_once("\r\n\r\n") {
                break head.to_owned();
            }
            self.more().await;
        };
        assert!(head.starts_with(Self::BOUNDARY) && head.contains("Content-Type: image/jpeg"), "{head}");
        let field = |name: &str| {
            let value = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap();
            value.parse::<usize>().unwrap()
        };
        let (start, len) = (head.len() + 4, field("Content-Length"));
        // The boundary that ends a part comes with it.
        while self.bytes.len() < start + len + 2 + Self::BOUNDARY.len() {
            self.more().await;
        }
        let picture = jpeg(&self.bytes[start..start + len]);
        self.bytes.drain(..start + len + 2);
        (field("X-Frame") as u64, picture)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jpegs_are_made_while_somebody_watches_and_of_what_changes() {
    let api = Api::with(stream("#ff0000")).await;
    api.shows("main", 160, 90, [255, 0, 0]).await;
    api.until_encoded("main", 10).await;
    assert_eq!((api.metric(MADE).await, api.metric(WATCHERS).await), (0.0, 0.0), "nobody watches");

    let answer = api.get(&format!("{MAIN}/program.jpg?width=160&quality=90&t=1")).await;
    assert_eq!((answer.status, answer.kind()), (200, "image/jpeg"), "{}", answer.text());
    let picture = jpeg(&answer.body);
    assert!(picture.dimensions() == (160, 90) && shows(&picture, [255, 0, 0]), "{:?}", picture.get_pixel(80, 45));
    assert_eq!(api.metric(MADE).await, 1.0);

    let (headers, body) = api.open(&format!("{MAIN}/program.mjpeg?width=64&fps=30")).await;
    assert_eq!(headers["content-type"], "multipart/x-mixed-replace; boundary=frame");
    let mut parts = Parts { body, bytes: Vec::new() };
    let (_, picture) = parts.next().await;
    assert!(picture.dimensions() == (64, 36) && shows(&picture, [255, 0, 0]));
    assert_eq!((api.metric(MADE).await, api.metric(WATCHERS).await), (2.0, 1.0));
    api.until_encoded("main", 25).await;
    assert_eq!(api.metric(MADE).await, 2.0, "it stands still");

    let changed = api.patch(SQUARE, json!({ "content": { "color": "#0000ff" } })).await.expect(200);
    let (frame, picture) = parts.next().await;
    assert!(shows(&picture, [0, 0, 255]), "{:?}", picture.get_pixel(32, 18));
    assert!(frame >= changed["appliedFrame"].as_u64().unwrap(), "{frame}: {changed}");

    drop(parts);
    eventually("the watcher has gone", async || (api.metric(WATCHERS).await == 0.0).then_some(())).await;
    let made = api.metric(MADE).await;
    api.patch(SQUARE, json!({ "content": { "color": "#00ff00" } })).await.expect(200);
    api.until_encoded("main", 10).await;
    assert_eq!(api.metric(MADE).await, made, "nobody watches any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_watched_is_refused() {
    let api = Api::with(stream("#ff0000")).await;
    for (query, words) in [
        ("width=15", "width: 15 is out of range: 16 to 3840"),
        ("quality=101", "quality: 101 is out of range: 1 to 100"),
        ("fps=31", "fps: 31 is out of range: 0.2 to 30"),
        ("fps=NaN", "fps: NaN is out of range"),
        ("rate=3", "unknown field `rate`, expected one of `width`, `quality`, `fps`"),
    ] {
        let problem = api.get(&format!("{MAIN}/program.mjpeg?{query}")).await.problem(400, "bad_query");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
    }
    let mut open = Vec::new();
    for quality in 1..=8 {
        open.push(api.open(&format!("{MAIN}/program.mjpeg?quality={quality}")).await);
    }
    api.get(&format!("{MAIN}/program.mjpeg?quality=9")).await.problem(409, "limit_reached");
    api.act("main", "stop").await.expect(200);
    api.get(&format!("{MAIN}/program.jpg")).await.problem(409, "wrong_state");
    api.get("/api/v1/streams/none/program.mjpeg").await.problem(404, "not_found");
    // What was watched has ended, properly.
    for (_, body) in open {
        axum::body::to_bytes(body, usize::MAX).await.unwrap();
    }
}
