//! What a running daemon shows and tells: the JPEGs of what is on air, and all that its WebSocket tells and takes.
//!
//! The streams are real ones on the machine's Vulkan; what is looked at are pixels, documents and counters, not times.

mod servers;
mod support;

use std::{
    future::{pending, poll_fn},
    pin::Pin,
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    http::{Request, header},
};
use futures_util::{SinkExt, StreamExt};
use image::RgbImage;
use serde_json::{Value, json};
use servers::{Nginx, ffprobe_json};
use stream_manager::{
    api::auth::{Config, Role, TokenConfig, make_token},
    ffi::files,
    telemetry::log,
};
use support::{
    api::Api,
    chromium::Window,
    clients::{Crowd, Documents, Known, Socket, request},
    eventually,
    pictures::pixel,
    until,
};
use tokio::time::{Instant, interval, timeout};
use tokio_tungstenite::tungstenite::{self, Message};

const STREAMS: &str = "/api/v1/streams";
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

/// What GET of a stream answers, as a client would have it.
async fn shown(api: &Api, stream: &str) -> Known {
    let document = api.get(&format!("{STREAMS}/{stream}")).await.expect(200);
    Known { revision: document["revision"].as_u64().unwrap(), document }
}

/// Follows until the client knows what GET shows.
async fn until_known(api: &Api, socket: &mut Socket, documents: &mut Documents, stream: &str) -> Value {
    let wanted = shown(api, stream).await;
    loop {
        let message = socket.told(|value| value["type"] == "state" || value["type"] == "patch");
        documents.follow(&message);
        if documents.0.get(stream) == Some(&wanted) {
            return message;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_told_whole_and_then_by_patches() {
    let api = Api::with(stream("#ff0000")).await;
    let address = api.serve().await;
    let (mut socket, mut documents) = (Socket::connect(address), Documents::default());
    let answer = socket.ask(&json!({ "id": "s", "subscribe": "state" }));
    assert_eq!(
        (&answer["type"], &answer["id"], &answer["topics"]),
        (&json!("subscribed"), &json!("s"), &json!(["state"]))
    );
    // No patch may come before the state.
    until_known(&api, &mut socket, &mut documents, "main").await;

    let changed = api.patch(SQUARE, json!({ "name": "Square", "content": { "color": "#0000ff" } })).await.expect(200);
    let message = until_known(&api, &mut socket, &mut documents, "main").await;
    for fact in ["revision", "appliedFrame", "ptsMs", "atUtcMs", "actor"] {
        assert_eq!((fact, &message[fact], &message["changes"][0][fact]), (fact, &changed[fact], &changed[fact]));
    }
    assert_eq!((&message["type"], &message["actor"]), (&json!("patch"), &json!("anonymous")));
    assert!(
        message["patch"]
            .as_array()
            .unwrap()
            .contains(&json!({ "op": "replace", "path": "/layers/0/content/color", "value": "#0000ff" })),
        "{message}"
    );

    // What a run does to the document is told, too: the end of a take comes by itself.
    let scene = json!({ "id": "break", "layers": [] });
    api.post(&format!("{MAIN}/scenes"), scene).await.expect(201);
    let take = json!({ "scene": "break", "transition": { "type": "fade", "durationMs": 200 } });
    api.post(&format!("{MAIN}/take"), take).await.expect(200);
    loop {
        documents.follow(&socket.told(|value| value["type"] == "patch"));
        let program = &documents.0["main"].document["program"];
        if *program == "break" || program["scene"] == "break" && program.get("transition").is_none() {
            break;
        }
    }
    assert_eq!(documents.0["main"], shown(&api, "main").await);
    api.act("main", "pause").await.expect(200);
    until_known(&api, &mut socket, &mut documents, "main").await;
    assert_eq!(documents.0["main"].document["state"], "paused");
    api.act("main", "stop").await.expect(200);
    until_known(&api, &mut socket, &mut documents, "main").await;

    // Who fears a gap is told all of it again.
    let resyncs = api.metric("stream_manager_events_resyncs_total").await;
    socket.say(&json!({ "resync": "main" }));
    let message = until_known(&api, &mut socket, &mut documents, "main").await;
    assert_eq!(message["type"], "state");
    assert_eq!(api.metric("stream_manager_events_resyncs_total").await, resyncs + 1.0);

    let mut other = stream("#00ff00");
    (other["id"], other["autoStart"]) = (json!("other"), json!(false));
    api.post(STREAMS, other).await.expect(201);
    until_known(&api, &mut socket, &mut documents, "other").await;
    api.delete(&format!("{STREAMS}/other")).await.expect(204);
    assert_eq!(socket.told(|value| value["type"] == "deleted")["stream"], "other");

    // Who asks for one stream hears of no other.
    socket.ask(&json!({ "subscribe": "state", "streams": ["third"], "intervalMs": 50 }));
    api.patch(MAIN, json!({ "name": "unheard" })).await.expect(200);
    let mut third = stream("#00ff00");
    (third["id"], third["autoStart"]) = (json!("third"), json!(false));
    api.post(STREAMS, third).await.expect(201);
    let message = socket.told(|value| value.get("stream").is_some());
    assert_eq!((&message["type"], &message["stream"]), (&json!("state"), &json!("third")));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_do_what_rest_does_and_are_answered_by_their_ids() {
    let api = Api::with(stream("#ff0000")).await;
    let mut socket = Socket::connect(api.serve().await);
    let command = |name: &str, id: &str| json!({ "id": id, "command": name, "stream": "main" });
    for (name, state) in [("pause", "paused"), ("resume", "running"), ("stop", "stopped"), ("start", "running")] {
        let done = socket.ask(&command(name, name));
        assert_eq!(
            (&done["type"], &done["id"], &done["result"]["state"]),
            (&json!("done"), &json!(name), &json!(state))
        );
        assert_eq!(shown(&api, "main").await.document["state"], state);
    }
    api.post(&format!("{MAIN}/scenes"), json!({ "id": "break", "layers": [] })).await.expect(201);
    let mut take = command("take", "t");
    (take["scene"], take["transition"]) = (json!("break"), json!({ "type": "cut" }));
    let done = socket.ask(&take);
    assert!(done["result"]["appliedFrame"].is_u64() && done["result"]["scene"] == "break", "{done}");

    // All of a transaction or nothing.
    let rename = |name: &str| json!({ "op": "patchStream", "patch": { "name": name } });
    let mut transaction = command("transaction", "x");
    transaction["ops"] = json!([rename("a"), rename("b")]);
    let done = socket.ask(&transaction);
    assert_eq!((&done["id"], done["result"]["results"].as_array().map(Vec::len)), (&json!("x"), Some(2)), "{done}");
    assert_eq!(shown(&api, "main").await.document["name"], "b");
    transaction["ops"] = json!([rename("c"), { "op": "explode" }]);
    assert_eq!(socket.ask(&transaction)["problem"]["code"], "invalid_document");
    assert_eq!(socket.ask(&command("undo", "u"))["result"]["stream"]["name"], "");

    // Several at once are done in their order.
    ["stop", "start", "pause"].iter().for_each(|name| socket.say(&command(name, name)));
    for name in ["stop", "start", "pause"] {
        assert_eq!(socket.told(|value| value["type"] == "done")["id"], name);
    }

    take["ifRevision"] = json!(1);
    assert_eq!(socket.ask(&take)["problem"]["code"], "revision_conflict");
    take["ifRevision"] = json!("new");
    assert_eq!(socket.ask(&take)["problem"]["errors"][0]["pointer"], "/ifRevision");
    take.as_object_mut().unwrap().remove("ifRevision");
    take["scene"] = json!("none");
    let refused = socket.ask(&take);
    let rest = api.post(&format!("{MAIN}/take"), json!({ "scene": "none" })).await.problem(422, "invalid_document");
    assert_eq!((&refused["type"], &refused["id"], &refused["problem"]), (&json!("error"), &json!("t"), &rest));
    let refused = socket.ask(&json!({ "id": "x", "command": "explode", "stream": "main" }));
    assert_eq!((&refused["id"], &refused["problem"]["code"]), (&json!("x"), &json!("not_found")));
    let refused = socket.ask(&json!({ "command": "start", "stream": "main", "now": true }));
    assert!(refused["problem"]["detail"].as_str().unwrap().contains("`now`"), "{refused}");
    let refused = socket.ask(&json!({ "command": "start", "stream": "none" }));
    assert_eq!(refused["problem"], api.act("none", "start").await.problem(404, "not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn meters_are_told_over_a_websocket() {
    let api = Api::with(stream("#ff0000")).await;
    api.patch(&format!("{MAIN}/audio"), json!({ "silence": { "durationMs": 100 } })).await.expect(200);
    let mut socket = Socket::connect(api.serve().await);
    let answer = socket.ask(&json!({ "subscribe": ["meters", "silence"], "intervalMs": 50 }));
    assert_eq!((&answer["topics"], &answer["intervalMs"]), (&json!(["meters", "silence"]), &json!(50.0)));
    let silent = socket.told(|value| value["isSilent"] == true && value["type"] == "silence");
    assert_eq!(silent, json!({ "type": "silence", "stream": "main", "isSilent": true }));

    let tone = json!({ "id": "voice", "type": "tone", "pan": -1 });
    api.post(&format!("{MAIN}/audio/sources"), tone).await.expect(201);
    let is_heard = |value: &Value| value["peakDbfs"][0].as_f64().is_some_and(|db| (db + 18.0).abs() < 0.05);
    let meters = socket.told(|value| value["type"] == "meters" && is_heard(value));
    assert_eq!((&meters["stream"], &meters["sources"][0]["id"]), (&json!("main"), &json!("voice")));
    assert_eq!(meters["peakDbfs"][1], -100.0, "nothing is on the right");
    assert!(meters["momentaryLufs"].is_f64() && meters["truePeakDbtp"][0].is_f64(), "{meters}");
    socket.told(|value| value["type"] == "silence" && value["isSilent"] == false);

    // What is wrong changes nothing.
    let error = socket.ask(&json!({ "id": 7, "subscribe": ["metres"] }));
    assert_eq!(
        (&error["problem"]["code"], &error["problem"]["errors"][0]["pointer"]),
        (&json!("invalid_message"), &json!("/id"))
    );
    socket.send(Message::binary(vec![1]));
    assert_eq!(socket.told(|value| value["type"] == "error")["problem"]["code"], "not_text");
    socket.told(|value| value["type"] == "meters");

    // Nothing is told any more once nothing is listened to: what was under way comes before the answer.
    socket.ask(&json!({ "unsubscribe": ["meters", "silence"] }));
    socket.send(Message::Ping(b"still there".as_slice().into()));
    assert_eq!(socket.read().unwrap(), Message::Pong(b"still there".as_slice().into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn status_events_and_logs_are_told_by_subscription() {
    // Of the process; this is the only one of these tests that wants it.
    log::init(&log::Config { format: log::Format::Json, level: "info".into() }).unwrap();
    let api = Api::with(stream("#ff0000")).await;
    let mut socket = Socket::connect(api.serve().await);
    socket.ask(&json!({ "subscribe": "stats", "intervalMs": 40 }));
    let stats = socket.told(|value| value["type"] == "stats");
    assert_eq!((&stats["stream"], &stats["status"]["state"]), (&json!("main"), &json!("running")));
    assert!(stats["status"]["activeFps"].is_f64(), "{stats}");
    socket.ask(&json!({ "unsubscribe": "stats" }));

    socket.ask(&json!({ "subscribe": "events", "intervalMs": 40 }));
    socket.ask(&json!({ "subscribe": "logs", "level": "warn", "intervalMs": 40 }));
    // Nobody listens there.
    let output = json!({ "id": "out", "url": "rtmp://127.0.0.1:1/live", "key": "live_secret" });
    api.post(&format!("{MAIN}/outputs"), output).await.expect(201);
    let blink = json!([{ "property": "opacity", "name": "blink", "keyframes": [{ "atMs": 0, "value": 0 }, { "atMs": 100, "value": 1 }] }]);
    api.patch(SQUARE, json!({ "animations": blink })).await.expect(200);
    api.patch(MAIN, json!({ "encoder": { "bitrateKbps": 400 } })).await.expect(200);
    let (mut seen, mut logged) = (Vec::new(), None);
    while seen.len() < 3 || logged.is_none() {
        let news = socket.told(|value| value["type"] == "event" || value["type"] == "logs");
        assert!(!news.to_string().contains("live_secret"), "{news}");
        if news["event"] == "output" && news["state"] == "backingOff"
            || news["animation"] == "blink" && news["kind"] == "end"
            || news["event"] == "bitrate" && news["reason"] == "configured"
        {
            seen.push(news["event"].clone());
        }
        let is_it = |record: &&Value| record["spans"]["output"]["id"] == "out" || record["fields"]["output"] == "out";
        logged = logged.or_else(|| news["records"].as_array()?.iter().find(is_it).cloned());
    }
    assert_eq!(logged.unwrap()["level"], "warn");
    seen.sort_by_key(Value::to_string);
    assert_eq!(seen, ["animation", "bitrate", "output"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_told_as_binary_messages() {
    let api = Api::with(stream("#ff0000")).await;
    let mut socket = Socket::connect(api.serve().await);
    let view = json!({ "subscribe": "preview", "stream": "main", "width": 64, "quality": 80, "fps": 30 });
    socket.ask(&view);
    let read = |message: &[u8]| {
        assert_eq!(message[..6], *b"\x01\x04main");
        let number = |at: usize, len: usize| message[at..at + len].iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        let (frame, pts_ms, picture) = (number(6, 8), number(14, 8), jpeg(&message[26..]));
        assert_eq!((number(22, 2), number(24, 2)), (64, 36));
        assert_eq!((picture.dimensions(), pts_ms), ((64, 36), frame * 40));
        (frame, picture)
    };
    assert!(shows(&read(&socket.picture()).1, [255, 0, 0]));
    let changed = api.patch(SQUARE, json!({ "content": { "color": "#0000ff" } })).await.expect(200);
    let (frame, picture) = read(&socket.picture());
    assert!(shows(&picture, [0, 0, 255]) && frame >= changed["appliedFrame"].as_u64().unwrap());

    // The view outlives the run.
    api.act("main", "stop").await.expect(200);
    api.patch(SQUARE, json!({ "content": { "color": "#00ff00" } })).await.expect(200);
    api.act("main", "start").await.expect(200);
    loop {
        if shows(&read(&socket.picture()).1, [0, 255, 0]) {
            break;
        }
    }
    socket.ask(&json!({ "unsubscribe": "preview" }));
    eventually("nobody watches", async || (api.metric(WATCHERS).await == 0.0).then_some(())).await;
    let refused = socket.ask(&json!({ "subscribe": "preview", "stream": "none" }));
    assert_eq!(refused["problem"]["code"], "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_websocket_is_bounded_and_for_its_own_pages() {
    let api = Api::for_clients(5);
    let address = api.serve().await;
    api.get("/api/v1/events").await.problem(400, "not_a_websocket");
    let from = |origin: &str| {
        let mut request = request(address);
        request.headers_mut().insert("origin", origin.parse().unwrap());
        request
    };
    assert!(Socket::open(from(&format!("http://{address}"))).is_ok());
    let Err(tungstenite::Error::Http(refused)) = Socket::open(from("http://evil.example")) else {
        panic!("a foreign page is let in")
    };
    assert_eq!(refused.status(), 403);

    let mut long = Socket::connect(address);
    long.send(Message::text(" ".repeat(300_000)));
    // It may be cut off before it has read that it is.
    while let Ok(message) = long.read() {
        assert!(message.is_close() || message.is_ping(), "{message:?}");
    }

    let clients = "stream_manager_events_clients";
    eventually("all have gone", async || (api.metric(clients).await == 0.0).then_some(())).await;
    let sockets: Vec<_> = (0..5).map(|_| Socket::connect(address)).collect();
    let Err(tungstenite::Error::Http(refused)) = Socket::open(request(address)) else { panic!("one more is let in") };
    let problem: Value = serde_json::from_slice(refused.body().as_ref().unwrap()).unwrap();
    assert_eq!((refused.status().as_u16(), &problem["code"]), (503, &json!("limit_reached")));
    // Whoever goes makes room.
    drop(sockets);
    eventually("there is room again", async || Socket::open(request(address)).ok()).await;
}

/// A thousand clients while a hundred transactions a second are applied: each ends with what GET shows, by the patches alone,
/// and the server that the stream is published to gets every picture of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_have_the_same_document_and_cost_no_picture() {
    const CLIENTS: usize = 1000;
    const TRANSACTIONS: u32 = 300;
    files::raise_open_max().unwrap();
    let (api, nginx) = (Api::with(stream("#ff0000")).await, Nginx::start());
    let output = json!({ "id": "out", "url": nginx.address(), "key": "crowd" });
    api.post(&format!("{MAIN}/outputs"), output).await.expect(201);
    let address = api.serve().await;
    let (is_over, over) = mpsc::sync_channel::<()>(0);
    let crowd = tokio::task::spawn_blocking(move || {
        let mut crowd = Crowd::gather(address, CLIENTS);
        while over.recv_timeout(Duration::from_millis(2)) == Err(RecvTimeoutError::Timeout) {
            crowd.sweep();
        }
        crowd
    });
    let clients = "stream_manager_events_clients";
    eventually("all are there", async || (api.metric(clients).await == CLIENTS as f64).then_some(())).await;
    let has_sent = |status: &Value| status["outputs"][0]["outputDuration"].as_u64() > Some(0);
    let before = api.until("main", "it is published", has_sent).await;
    let mut pace = interval(Duration::from_millis(10));
    for number in 0..TRANSACTIONS {
        pace.tick().await;
        let ops = json!([
            { "op": "patchLayer", "id": "square", "patch": { "name": number.to_string() } },
            { "op": "patchLayer", "id": "square", "patch": { "content": { "color": format!("#{:02x}0000", number % 256) } } },
        ]);
        api.post(&format!("{MAIN}/transactions"), json!({ "ops": ops })).await.expect(200);
    }
    drop(is_over);
    let mut crowd = crowd.await.unwrap();
    let wanted = shown(&api, "main").await;
    let have_all = || {
        crowd.sweep();
        let knows = |documents: &Documents| documents.0.get("main") == Some(&wanted);
        crowd.followers().iter().all(|follower| knows(&follower.documents)).then_some(())
    };
    tokio::task::block_in_place(|| until(have_all)).expect("all know the document");
    // At most one message a frame: fewer than there were changes, for they came faster.
    let told = crowd.followers().iter().map(|follower| follower.messages);
    assert!(told.clone().max() < Some(u64::from(TRANSACTIONS)), "{:?}", told.max());
    assert_eq!(api.metric("stream_manager_events_dropped_clients_total").await, 0.0);

    let after = api.status("main").await;
    for count in ["encodeDroppedFrames", "outputSkippedFrames"] {
        assert_eq!(after[count], before[count], "{count}");
    }
    api.act("main", "stop").await.expect(200);
    let received = ffprobe_json(&nginx.recording("crowd"), &["-select_streams", "v", "-show_entries", "packet=pts"]);
    let times_ms: Vec<_> =
        received["packets"].as_array().unwrap().iter().map(|packet| packet["pts"].as_u64().unwrap()).collect();
    let every: Vec<_> = (0..times_ms.len() as u64).map(|frame| frame * 40).collect();
    assert_eq!(times_ms, every, "a picture is missing or not at its time");
    assert!(times_ms.len() > 50, "{}", times_ms.len());
}

/// A client that takes nothing for a while, in virtual time: what it missed comes as one message, for nothing was kept for
/// it alone; and when it takes nothing for 10 s it is cut off.
#[tokio::test(start_paused = true)]
async fn a_slow_client_is_told_less_and_one_that_stands_still_is_cut_off() {
    const PIPE_LEN: usize = 16 << 10;
    let api = Api::new();
    let mut stream = stream("#ff0000");
    stream["autoStart"] = json!(false);
    api.post(STREAMS, stream).await.expect(201);
    let url = "ws://localhost/api/v1/events";
    let (mut socket, _) = tokio_tungstenite::client_async(url, api.connect(PIPE_LEN)).await.unwrap();
    socket.send(Message::text(r#"{"subscribe": "state"}"#)).await.unwrap();
    let (mut documents, mut count) = (Documents::default(), 0);
    // A change each 50 ms, of some kilobytes, and none like another: more than a frame apart, so none joins another.
    let mut change = async || {
        count += 1;
        let name = format!("{count:03}").repeat(60);
        api.patch(SQUARE, json!({ "name": name, "content": { "color": format!("#{count:06x}") } })).await.expect(200);
        // Nothing else has anything to do before: virtual time passes.
        timeout(Duration::from_millis(50), pending::<()>()).await.unwrap_err();
    };
    for _ in 0..150 {
        change().await;
    }
    let wanted = shown(&api, "main").await;
    let mut messages = 0;
    while documents.0.get("main") != Some(&wanted) {
        if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
            let told: Value = serde_json::from_str(&text).unwrap();
            messages += u32::from(told["type"] == "patch" || told["type"] == "state");
            documents.follow(&told);
        }
    }
    assert!((2..100).contains(&messages), "{messages}: what lay in the pipe, and then all that was missed at once");
    let metric = async |name: &str| api.metric(&format!("stream_manager_events_{name}")).await;
    assert_eq!((metric("clients").await, metric("dropped_clients_total").await), (1.0, 0.0));

    // It stands still from the moment on at which the pipe is full.
    let start = Instant::now();
    while metric("dropped_clients_total").await == 0.0 {
        assert_eq!(metric("clients").await, 1.0);
        change().await;
        assert!(start.elapsed() < Duration::from_secs(30), "it is still there");
    }
    assert!(start.elapsed() >= Duration::from_secs(10), "{:?}", start.elapsed());
    eventually("it has gone", async || (metric("clients").await == 0.0).then_some(())).await;
    let mut rest = 0;
    while let Some(Ok(message)) = socket.next().await {
        rest += message.len();
    }
    assert!(rest <= PIPE_LEN, "{rest} bytes lay between the two");
}

/// The page at `/`, in a browser: a layer is switched off and on, and the picture follows.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_the_picture_and_switches_layers() {
    let mut stream = stream("#ff0000");
    stream["outputs"] =
        json!([{ "id": "nowhere", "url": "rtmp://127.0.0.1:1/live", "key": "live_secret", "enabled": false }]);
    let api = Api::with(stream).await;
    let address = api.serve().await;
    for path in ["/", "/app.js", "/style.css", "/icon.svg"] {
        let answer = api.get(path).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(
            answer.status == 200 && policy.contains("default-src 'self'") && !policy.contains("unsafe"),
            "{policy}"
        );
    }
    let mut window = tokio::task::block_in_place(|| Window::open(&format!("http://{address}/"), [1280, 900]));
    let shows = |rgb: &str| {
        format!(
            "(() => {{ const {{ width, height }} = picture; \
             const [r, g, b] = picture.getContext('2d').getImageData(width / 2, height / 2, 1, 1).data; \
             return width === 320 && [[r, g, b], {rgb}].reduce((a, b) => a.every((v, i) => Math.abs(v - b[i]) < 9)); }})()"
        )
    };
    tokio::task::block_in_place(|| {
        window.until("document.querySelector('#layers .switch')");
        window.until(&shows("[255, 0, 0]"));
        assert_eq!(window.run("document.querySelector('#tally').textContent"), "On air");
        window.run("document.querySelector('#layers .switch').click()");
        window.until(&shows("[0, 0, 0]"));
    });
    let off = shown(&api, "main").await.document;
    assert_eq!(off["layers"][0]["enabled"], false);
    // The page is told of what others do.
    api.patch(SQUARE, json!({ "enabled": true, "name": "Square", "content": { "color": "#0000ff" } }))
        .await
        .expect(200);
    tokio::task::block_in_place(|| {
        window.until(&shows("[0, 0, 255]"));
        window.until("document.querySelector('#layers .switch').checked");
        assert_eq!(window.run("document.querySelector('#layers b').textContent"), "Square");
        window.until("document.querySelector('#outputs small').textContent.startsWith('off')");
        window.run("document.querySelector('#outputs .switch').click()");
        window.until("document.querySelector('#outputs small').textContent.startsWith('backing off')");
        let screen = window.screenshot();
        assert_eq!(pixel(&screen, 5, 5), [0x0c, 0x0e, 0x13], "the page's own style");
        assert_eq!(window.run("violations"), json!([]), "the page keeps to its policy");
        window.run("[...document.querySelectorAll('#transport button')].find((b) => b.textContent === 'Stop').click()");
        window.until("document.querySelector('#nothing').textContent === 'Nothing is on air'");
    });
    assert_eq!(shown(&api, "main").await.document["state"], "stopped");
}

/// The page of a daemon that asks for a token: it asks for it in turn, again after a wrong one, and tells it in no address.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_asks_for_a_token_and_keeps_it_out_of_addresses() {
    let (token, hash) = make_token();
    let desk = TokenConfig {
        name: "desk".into(),
        role: Role::Admin,
        streams: vec!["*".into()],
        hash: Some(hash),
        secret: None,
    };
    let api = Api::guarded(&Config { tokens: vec![desk], ..Config::default() });
    let request = Request::post(STREAMS).header(header::CONTENT_TYPE, "application/json");
    let request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
    api.answer(request.body(Body::from(stream("#ff0000").to_string())).unwrap()).await.expect(201);
    let (wrong, _) = make_token();
    let address = api.serve().await;
    let page = format!("http://{address}/");
    let said = tokio::task::block_in_place(|| {
        let mut window = Window::open(&page, [1280, 900]);
        for token in [&wrong, &token] {
            window.until("document.querySelector('#login')?.open && document.activeElement.id === 'token'");
            assert_eq!(window.run("document.querySelector('main').hidden"), true, "nothing is shown before");
            window.type_text(token.expose());
            window.run("document.querySelector('#login button').click()");
        }
        window.until("document.querySelector('#layers .switch')");
        assert_eq!(window.run("document.querySelector('#login').open"), false);
        window.run("document.querySelector('#layers .switch').click()");
        window.until("document.querySelector('#layers .off')");
        assert_eq!(window.run("violations"), json!([]), "the page keeps to its policy");
        window.run(
            "JSON.stringify([location.href, document.cookie, {...localStorage}, document.documentElement.outerHTML])",
        )
    });
    let asked = api.asked();
    assert!(asked.contains(&"GET /api/v1/events".to_owned()), "{asked:?}");
    for token in [wrong.expose(), token.expose()] {
        assert!(!said.to_string().contains(token), "it is kept in this tab alone: {said}");
        assert!(!asked.iter().any(|asked| asked.contains(token)), "{asked:?}");
    }
    let audit = Request::get("/api/v1/audit").header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
    let audit = api.answer(audit.body(Body::empty()).unwrap()).await.expect(200);
    let is_switch = |entry: &Value| entry["path"] == SQUARE && entry["actor"] == "desk" && entry["status"] == 200;
    assert!(audit["entries"].as_array().unwrap().iter().any(is_switch), "{audit}");
}
