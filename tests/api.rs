//! The HTTP interface against running streams: what each request does, to the picture too, and how each wrong one is
//! refused.
//!
//! Requests go to the daemon's router without a socket; the streams behind it are real ones on the machine's Vulkan.
//! Pixels are asked of `program.png`, which is the composited picture before any encoder.

mod support;

use std::{collections::BTreeMap, fs, net::TcpListener, os::unix::fs::symlink};

use serde_json::{Value, json};
use stream_manager::scene::Content;
use support::{
    api::{Answer, Api, assets, secrets},
    eventually,
    pictures::{pixel, png, png_that_claims},
};

const STREAMS: &str = "/api/v1/streams";
const MAIN: &str = "/api/v1/streams/main";
const LAYERS: &str = "/api/v1/streams/main/layers";
const OUTPUTS: &str = "/api/v1/streams/main/outputs";

const BACKGROUND: [u8; 3] = [0x10, 0x20, 0x30];
const RED: [u8; 3] = [255, 0, 0];
const GREEN: [u8; 3] = [0, 255, 0];

/// Pixels of a small stream's canvas.
const PIXELS: f64 = 320.0 * 180.0;

/// A small stream with these layers, on air as soon as it is created.
fn stream(layers: &Value) -> Value {
    json!({
        "id": "main", "canvas": { "width": 320, "height": 180, "fps": "25", "background": "#102030" },
        "encoder": { "bitrateKbps": 500 }, "layers": layers,
    })
}

/// The same, not on air.
fn silent_stream(layers: &Value) -> Value {
    let mut stream = stream(layers);
    stream["autoStart"] = json!(false);
    stream
}

/// A box of one colour that covers 10..50 in both directions.
fn square(id: &str, color: &str) -> Value {
    let transform = json!({ "positionX": 10, "positionY": 10, "width": 40, "height": 40 });
    json!({ "id": id, "transform": transform, "content": { "type": "color", "color": color } })
}

fn image(id: &str, asset: &str) -> Value {
    json!({ "id": id, "content": { "type": "image", "asset": asset } })
}

fn frames(status: &Value, what: &str) -> u64 {
    status[what].as_u64().unwrap_or_else(|| panic!("{what}: {status}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_listed_made_changed_and_deleted() {
    let api = Api::new();
    assert_eq!(api.get(STREAMS).await.expect(200), json!({ "streams": [] }));

    let created = api.post(STREAMS, silent_stream(&json!([square("a", "#ff0000")]))).await;
    assert_eq!(created.headers["location"], MAIN);
    let body = created.expect(201);
    assert_eq!(
        (&body["state"], &body["revision"], &body["appliedFrame"]),
        (&json!("stopped"), &json!(1), &Value::Null)
    );
    assert_eq!(body["stream"]["encoder"]["keyframeIntervalMs"], 2000, "defaults are written out");
    api.post(STREAMS, silent_stream(&json!([]))).await.problem(409, "already_exists");

    let shown = api.get(MAIN).await.expect(200);
    assert_eq!(api.get(STREAMS).await.expect(200)["streams"], json!([shown]));
    assert_eq!(shown["layers"][0]["id"], "a");

    let patch = json!({ "name": "News", "canvas": { "width": 640, "height": 360 }, "encoder": { "bitrateKbps": 800 } });
    let patched = api.patch(MAIN, patch).await.expect(200);
    assert_eq!(patched["revision"], 2);
    assert_eq!(
        patched["stream"]["canvas"],
        json!({ "width": 640, "height": 360, "fps": "25", "blendSpace": "srgb", "background": "#102030" })
    );
    assert_eq!(patched["stream"]["name"], "News");
    api.patch(MAIN, json!({ "id": "other" })).await.refused("/id", &["does not change"]);
    api.patch(MAIN, json!({ "layers": [] })).await.refused("/layers", &["one by one"]);
    api.patch(MAIN, json!({ "canvas": { "width": 641 } })).await.refused("/canvas", &["641x360", "odd", "640x360"]);
    assert_eq!(api.get(MAIN).await.expect(200)["revision"], 2, "what is refused changes nothing");

    api.delete(MAIN).await.expect(204);
    for answer in [api.get(MAIN).await, api.delete(MAIN).await, api.patch(MAIN, json!({})).await] {
        answer.problem(404, "not_found");
    }
    assert_eq!(api.get(STREAMS).await.expect(200), json!({ "streams": [] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_starts_pauses_resumes_resets_and_stops() {
    let api = Api::with(silent_stream(&json!([]))).await;
    for (action, state) in [
        ("stop", "stopped"),
        ("start", "running"),
        ("start", "running"),
        ("resume", "running"),
        ("pause", "paused"),
        ("pause", "paused"),
        ("start", "paused"),
        ("resume", "running"),
        ("reset", "running"),
        ("pause", "paused"),
        ("reset", "running"),
        ("stop", "stopped"),
        ("stop", "stopped"),
        ("reset", "running"),
        ("stop", "stopped"),
    ] {
        let done = api.act("main", action).await.expect(200);
        assert_eq!(done["state"], state, "after {action}");
        assert_eq!(done["appliedFrame"].is_u64(), state != "stopped", "after {action}: {done}");
        assert_eq!(done["revision"], 1, "{action} changes no document");
        assert_eq!(api.status("main").await["state"], state);
        assert_eq!(api.get(MAIN).await.expect(200)["state"], state);
    }
    for answer in [
        api.act("main", "pause").await,
        api.act("main", "resume").await,
        api.get("/api/v1/streams/main/program.png").await,
    ] {
        let problem = answer.problem(409, "wrong_state");
        assert_eq!(problem["detail"], "stream `main` is stopped: start it first");
    }
    let problem = api.act("main", "dance").await.problem(404, "not_found");
    assert_eq!(problem["detail"], "there is no action `dance`: use start, stop, pause, resume or reset");
    for action in ["start", "stop", "pause", "resume", "reset"] {
        api.act("nobody", action).await.problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_stream_keeps_its_canvas_and_takes_a_new_bitrate() {
    let api = Api::with(stream(&json!([]))).await;
    for patch in [
        json!({ "canvas": { "width": 640 } }),
        json!({ "canvas": { "fps": "30" } }),
        json!({ "encoder": { "keyframeIntervalMs": 1000 } }),
        json!({ "audio": { "bitrateKbps": 96 } }),
    ] {
        let problem = api.patch(MAIN, patch).await.problem(409, "wrong_state");
        assert!(problem["detail"].as_str().unwrap().contains("stop it to change"), "{problem}");
    }
    api.until_encoded("main", 1).await;
    let patch = json!({ "canvas": { "background": "#00ff00" }, "encoder": { "bitrateKbps": 700 } });
    let patched = api.patch(MAIN, patch).await.expect(200);
    assert_eq!((&patched["revision"], &patched["stream"]["encoder"]["bitrateKbps"]), (&json!(2), &json!(700)));
    api.shows("main", 100, 100, GREEN).await;
    api.until_encoded("main", 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_has_what_dashboards_show() {
    let api = Api::with(stream(&json!([square("a", "#ff0000")]))).await;
    let is_flowing = |status: &Value| status["encoder"]["bitrateKbps"].as_u64().is_some_and(|kbps| kbps > 0);
    let status = api.until("main", "a bitrate is measured", is_flowing).await;
    for field in [
        "uptimeMs",
        "renderTotalFrames",
        "renderUnchangedFrames",
        "renderRepeatedFrames",
        "encodedFrames",
        "encodeDroppedFrames",
        "outputSkippedFrames",
        "revision",
    ] {
        assert!(status[field].is_u64(), "{field}: {status}");
    }
    for field in ["activeFps", "averageFrameRenderMs"] {
        assert!(status[field].is_f64(), "{field}: {status}");
    }
    assert!(status["avSkewMs"].is_i64(), "{status}");
    assert_eq!(
        (&status["state"], &status["outputs"], &status["layerErrors"]),
        (&json!("running"), &json!([]), &json!([]))
    );
    assert_eq!(status["encoder"]["backend"], "openh264");
    assert!(status["gpu"]["adapter"].as_str().is_some_and(|name| !name.is_empty()), "{status}");
    assert!(status["gpu"]["software"].is_boolean(), "{status}");
    // Nothing on it moves: it was drawn once, perhaps a few times more while the GPU was still warming up.
    let (drawn, unchanged) = (frames(&status, "renderTotalFrames"), frames(&status, "renderUnchangedFrames"));
    assert!((1..=5).contains(&drawn) && unchanged > drawn, "{status}");
    api.get("/api/v1/streams/nobody/status").await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_leaves_and_follows_as_it_is_told() {
    let mut leaving = square("a", "#ff0000");
    leaving["exit"] = json!({ "preset": "slide-right", "durationMs": 600_000, "easing": "hold" });
    let mut following = square("b", "#00ff00");
    following["transform"]["positionX"] = json!(100);
    following["transition"] = json!({ "durationMs": 600_000, "easing": "hold" });
    let api = Api::with(stream(&json!([leaving, following]))).await;
    api.shows("main", 30, 30, RED).await;

    // It is off, and still seen: it is on its way out since the frame that showed that first.
    let off = api.patch(&format!("{LAYERS}/a"), json!({ "enabled": false })).await.expect(200);
    let at_ms = off["layer"]["switched"]["atMs"].as_f64().unwrap();
    assert_eq!(at_ms, off["appliedFrame"].as_f64().unwrap() * 40.0, "frames of 25 a second, none of them paused");
    let moved = api.patch(&format!("{LAYERS}/b"), json!({ "transform": { "positionX": 200 } })).await.expect(200);
    let approach = &moved["layer"]["approaches"][0];
    assert_eq!((&approach["property"], &approach["from"]), (&json!("positionX"), &json!(100.0)));
    let frame = moved["appliedFrame"].as_u64().unwrap();
    api.until_encoded("main", frame + 3).await;
    api.shows("main", 30, 30, RED).await;
    api.shows("main", 120, 30, GREEN).await;
    api.shows("main", 220, 30, BACKGROUND).await;

    // Without the ways there is nothing to wait for.
    api.patch(&format!("{LAYERS}/a"), json!({ "exit": null })).await.expect(200);
    api.shows("main", 30, 30, BACKGROUND).await;
    let change = json!({ "transition": null, "transform": { "positionX": 150 } });
    let at_once = api.patch(&format!("{LAYERS}/b"), change).await.expect(200);
    assert_eq!(at_once["layer"].get("approaches"), None);
    api.shows("main", 170, 30, GREEN).await;
    api.shows("main", 120, 30, BACKGROUND).await;

    // What was under way ends with the run.
    api.act("main", "stop").await.expect(200);
    let layer = api.get(&format!("{LAYERS}/a")).await.expect(200);
    assert_eq!((layer.get("switched"), &layer["enabled"]), (None, &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn animations_with_a_name_tell_when_they_start_and_end() {
    let mut blinking = square("a", "#ff0000");
    blinking["enter"] = json!({ "preset": "fade", "durationMs": 80 });
    blinking["animations"] = json!([{ "name": "blink", "property": "opacity", "startMs": 40, "repeat": 2,
        "tellsRounds": true, "keyframes": [{ "atMs": 0, "value": 1 }, { "atMs": 100, "value": 0.5 }] }]);
    let api = Api::with(stream(&json!([blinking]))).await;
    let has_told = |status: &Value| status["animationEvents"].as_array().is_some_and(|events| events.len() >= 5);
    let status = api.until("main", "both have ended", has_told).await;
    let event = |at: u64, animation: &str, kind: &str| json!({ "atMs": at, "layer": "a", "animation": animation, "kind": kind });
    let expected = json!([
        event(0, "enter", "start"),
        event(40, "blink", "start"),
        event(80, "enter", "end"),
        event(140, "blink", "repeat"),
        event(240, "blink", "end"),
    ]);
    assert_eq!(status["animationEvents"], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_are_made_read_replaced_patched_and_deleted() {
    let api = Api::with(silent_stream(&json!([]))).await;
    let created = api.post(LAYERS, square("a", "#ff0000")).await;
    assert_eq!(created.headers["location"], "/api/v1/streams/main/layers/a");
    let created = created.expect(201);
    assert_eq!((&created["revision"], &created["layer"]["zIndex"]), (&json!(2), &json!(0)));

    let mut high = square("b", "#00ff00");
    high["zIndex"] = json!(41);
    api.post(LAYERS, high).await.expect(201);
    let top = api.post(LAYERS, square("c", "#0000ff")).await.expect(201);
    assert_eq!(top["layer"]["zIndex"], 42, "a new layer comes on top");
    api.post(LAYERS, square("a", "#ff0000")).await.problem(409, "already_exists");

    let a = "/api/v1/streams/main/layers/a";
    let read = api.get(a).await.expect(200);
    let put = api.put(a, read.clone()).await.expect(200);
    assert_eq!(put["layer"], read, "what GET returned may be PUT back");
    let anonymous = json!({ "content": { "type": "color", "color": "#ffffff" } });
    let put = api.put(a, anonymous).await.expect(200);
    assert_eq!((&put["layer"]["id"], put["layer"]["transform"].get("width")), (&json!("a"), None), "PUT replaces");

    let patched = api.patch(a, json!({ "opacity": 0.5, "transform": { "width": 7 } })).await.expect(200);
    assert_eq!(patched["layer"]["opacity"], 0.5);
    let patched = api.patch(a, json!({ "name": "A", "transform": { "height": 9 } })).await.expect(200);
    let transform = &patched["layer"]["transform"];
    assert_eq!((&transform["width"], &transform["height"]), (&json!(7.0), &json!(9.0)), "PATCH merges");
    let cleared = api.patch(a, json!({ "opacity": null, "transform": { "width": null } })).await.expect(200);
    assert_eq!((&cleared["layer"]["opacity"], cleared["layer"]["transform"].get("width")), (&json!(1.0), None));
    assert_eq!(cleared["layer"]["name"], "A");
    let turned = api.patch(a, json!({ "content": { "type": "text", "color": null, "text": "A" } })).await.expect(200);
    assert_eq!(turned["layer"]["content"]["type"], "text", "the type may change");

    let list = api.get(LAYERS).await.expect(200);
    let ids: Vec<_> = list["layers"].as_array().unwrap().iter().map(|layer| layer["id"].as_str().unwrap()).collect();
    assert_eq!((ids, &list["revision"]), (vec!["a", "b", "c"], &turned["revision"]));

    for answer in [api.put(a, square("z", "#ffffff")).await, api.patch(a, json!({ "id": "z" })).await] {
        answer.refused("/id", &["does not change"]);
    }
    let gone = api.delete(a).await.expect(200);
    assert_eq!(gone["revision"].as_u64(), turned["revision"].as_u64().map(|revision| revision + 1));
    for answer in [
        api.get(a).await,
        api.put(a, square("a", "#ffffff")).await,
        api.patch(a, json!({})).await,
        api.delete(a).await,
        api.get("/api/v1/streams/nobody/layers").await,
        api.get("/api/v1/streams/nobody/layers/a").await,
        api.post("/api/v1/streams/nobody/layers", square("a", "#ffffff")).await,
        api.delete("/api/v1/streams/nobody/layers/a").await,
    ] {
        answer.problem(404, "not_found");
    }
    assert_eq!(api.get(LAYERS).await.expect(200)["revision"], gone["revision"], "what is refused is no revision");
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_act_at_the_time_at_which_it_shows() {
    let timer = json!({ "id": "timer", "content": { "type": "timer", "mode": "countup" } });
    let chat = json!({ "id": "chat", "content": { "type": "chat" } });
    let bar = json!({ "id": "bar", "transform": { "width": 320, "height": 180 },
        "content": { "type": "progress", "value": 0, "track": "#ff0000", "fill": "#00ff00" } });
    let api = Api::with(stream(&json!([timer, chat, bar, square("a", "#ff0000")]))).await;
    api.until_encoded("main", 10).await;
    let act = async |layer: &str, name: &str, arguments: Value| {
        api.post(&format!("{LAYERS}/{layer}/actions/{name}"), arguments).await
    };

    let written = act("chat", "message", json!({ "author": "Ada", "text": "Hello" })).await.expect(200);
    let message = &written["layer"]["content"]["messages"][0];
    let (at_ms, shown_ms) = (message["atMs"].as_u64().unwrap(), written["ptsMs"].as_u64().unwrap());
    assert!(at_ms >= 400 && at_ms.abs_diff(shown_ms) <= 80, "{message} at {shown_ms}: a frame is 40 ms");
    assert_eq!(written["revision"], 2);

    // A body is not needed where there are no arguments.
    let started = api.send("POST", &format!("{LAYERS}/timer/actions/start"), "", "").await.expect(200);
    assert_eq!(started["layer"]["content"]["isRunning"], true);
    assert!(started["layer"]["content"]["utc"].is_u64(), "{started}");

    act("bar", "set", json!({ "value": 1 })).await.expect(200);
    api.shows("main", 200, 100, GREEN).await;

    let problem = act("chat", "shout", json!({})).await.problem(404, "not_found");
    let detail = "there is no action `shout` of a layer of type chat: use message, delete, ban, clear, highlight";
    assert_eq!(problem["detail"], detail);
    let problem = act("a", "set", json!({})).await.problem(404, "not_found");
    assert_eq!(problem["detail"], "there is no action `set` of a layer of type color: it has none");
    act("nobody", "set", json!({})).await.problem(404, "not_found");
    act("bar", "set", json!({ "value": 2 })).await.refused("/value", &["0 to 1"]);
    act("bar", "set", json!({})).await.refused("", &["value"]);
    act("chat", "message", json!({ "author": "", "text": "x" })).await.refused("/author", &["1 to 128"]);
    api.send("POST", &format!("{LAYERS}/bar/actions/set"), "text/plain", "{}").await.problem(415, "not_json");
    assert_eq!(api.get(LAYERS).await.expect(200)["revision"], 4, "what is refused is no revision");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_documents_are_refused_where_they_are_wrong() {
    let api = Api::with(silent_stream(&json!([square("a", "#ff0000")]))).await;
    let with = |pointer: &str, value: Value| {
        let mut layer = json!({ "id": "new", "transform": {}, "content": { "type": "color", "color": "#ffffff" } });
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        layer.pointer_mut(parent).unwrap()[key] = value;
        layer
    };
    let content = |content: Value| json!({ "id": "new", "content": content });
    let text = |key: &str, value: Value| content(json!({ "type": "text", "text": "A", key: value }));
    let types = Content::TYPES.join(", ");
    let shape = |key: &str, value: Value| content(json!({ "type": "shape", "shape": "rectangle", key: value }));
    for (layer, pointer, words) in [
        (with("/opacty", json!(1)), "/opacty", &["unknown field", "opacity", "zIndex"][..]),
        (with("/transform/x", json!(1)), "/transform/x", &["unknown field", "positionX", "rotation"]),
        (with("/content/colour", json!("#ffffff")), "/content/colour", &["unknown field", "color"]),
        (shape("fil", json!("#ffffff")), "/content/fil", &["unknown field", "fill", "stroke"]),
        (with("/content/type", json!("vidoe")), "/content/type", &["vidoe", &types]),
        (with("/content", json!({})), "/content/type", &["missing", &types]),
        (with("/content", json!("text")), "/content", &["object"]),
        (json!({ "id": "new" }), "", &["content"]),
        (json!({ "content": { "type": "color", "color": "#ffffff" } }), "", &["id"]),
        (json!([]), "", &[]),
        (json!(null), "", &[]),
        (with("/id", json!("a b")), "/id", &["a b", "A-Z a-z 0-9"]),
        (with("/id", json!("../a")), "/id", &["../a"]),
        (with("/opacity", json!(1.5)), "/opacity", &["1.5", "0 to 1"]),
        (with("/opacity", json!("1")), "/opacity", &["f64"]),
        (with("/zIndex", json!(3_000_000_000u32)), "/zIndex", &["3000000000"]),
        (with("/name", json!("x".repeat(257))), "/name", &["257 bytes", "0 to 256"]),
        (with("/transform/positionX", json!(1e300)), "/transform/positionX", &["-65536 to 65536"]),
        (with("/transform/width", json!(0)), "/transform/width", &["0 is out of range: 1 to 16384"]),
        (with("/transform/scaleX", json!(65)), "/transform/scaleX", &["65 is out of range: -64 to 64"]),
        (with("/transform/cropLeft", json!(-1)), "/transform/cropLeft", &["-1 is out of range: 0 to 16384"]),
        (with("/content/color", json!("red")), "/content/color", &["`red`", "#rrggbb"]),
        (text("size", json!(0)), "/content/size", &["0 is out of range: 1 to 1000"]),
        (text("weight", json!(1000)), "/content/weight", &["1000 is out of range: 100 to 900"]),
        (text("text", json!("x".repeat(10_001))), "/content/text", &["10001 bytes", "0 to 10000"]),
        (text("align", json!("middle")), "/content/align", &["middle", "left", "center", "right"]),
        (shape("shape", json!("star")), "/content/shape", &["star", "rectangle", "ellipse", "polygon", "line"]),
        (shape("shape", json!("polygon")), "/content/points", &["0 points is out of range: 3 to"]),
        (shape("stroke", json!({ "color": "#ffffff", "width": 0 })), "/content/stroke/width", &["0.1 to 1000"]),
        (content(json!({ "type": "image", "asset": "" })), "/content/asset", &["0 bytes", "1 to 256"]),
    ] {
        api.post(LAYERS, layer.clone()).await.refused(pointer, words);
        let mut whole = silent_stream(&json!([square("a", "#ff0000"), layer]));
        whole["id"] = json!("other");
        api.post(STREAMS, whole).await.refused(&format!("/layers/1{pointer}"), words);
    }
    for (patch, pointer, words) in [
        (json!({ "opacity": 2 }), "/opacity", &["0 to 1"][..]),
        (json!({ "content": { "size": 2 } }), "/content/size", &["unknown field"]),
        (json!({ "content": null }), "", &["content"]),
        (json!(7), "", &[]),
    ] {
        api.patch("/api/v1/streams/main/layers/a", patch).await.refused(pointer, words);
    }
    for (field, value, pointer, words) in [
        ("nmae", json!("x"), "/nmae", &["unknown field", "name", "canvas"][..]),
        ("id", json!(""), "/id", &[]),
        ("canvas", json!({ "width": 14, "height": 16 }), "/canvas", &["14x16", "16x16 to 3840x2160"]),
        ("canvas", json!({ "width": 3842, "height": 2160 }), "/canvas", &["3842x2160", "3840x2160"]),
        ("canvas", json!({ "fps": "61" }), "/canvas/fps", &["61", "29.97"]),
        ("canvas", json!({ "blendSpace": "lab" }), "/canvas/blendSpace", &["lab", "srgb", "linear"]),
        ("encoder", json!({ "codec": "vp9" }), "/encoder/codec", &["vp9", "h264", "hevc", "av1"]),
        ("encoder", json!({ "tuning": "fast" }), "/encoder/tuning", &["fast", "lowLatency", "quality"]),
        ("encoder", json!({ "bitrateKbps": 1 }), "/encoder/bitrateKbps", &["out of range"]),
        ("encoder", json!({ "bitrateKbps": -1 }), "/encoder/bitrateKbps", &["-1"]),
        ("encoder", json!({ "keyframeIntervalMs": 1 }), "/encoder/keyframeIntervalMs", &["250 to 10000"]),
        ("audio", json!({ "source": "tone" }), "/audio/source", &["unknown field", "sources"]),
        (
            "audio",
            json!({ "sources": [{ "id": "a", "type": "noise" }] }),
            "/audio/sources/0/type",
            &["noise", "silence, tone"],
        ),
        (
            "audio",
            json!({ "sources": [{ "id": "a", "type": "tone", "followLayer": "b" }] }),
            "/audio/sources/0/followLayer",
            &["no layer `b`"],
        ),
        ("audio", json!({ "bitrateKbps": 1 }), "/audio/bitrateKbps", &["out of range"]),
        ("layers", json!([square("a", "#ff0000"), square("a", "#ff0000")]), "/layers/1/id", &["`a`"]),
        (
            "outputs",
            json!([{ "id": "a", "url": "rtmp://h/a/k" }, { "id": "a", "url": "rtmp://h/a/k" }]),
            "/outputs/1/id",
            &["`a`"],
        ),
    ] {
        let mut document = silent_stream(&json!([]));
        document["id"] = json!("other");
        document[field] = value;
        api.post(STREAMS, document).await.refused(pointer, words);
    }
    assert_eq!(api.get(LAYERS).await.expect(200)["revision"], 1, "nothing of all that changed anything");
    assert_eq!(api.get(STREAMS).await.expect(200)["streams"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_of_a_document_is_named_at_once() {
    let api = Api::with(silent_stream(&json!([]))).await;
    let layer = json!({ "id": "a", "opacity": 2, "transform": { "scaleX": 99, "cropTop": -1 },
        "content": { "type": "text", "text": "A", "size": 0 } });
    let problem = api.post(LAYERS, layer).await.problem(422, "invalid_document");
    let pointers: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
    assert_eq!(pointers, ["/opacity", "/transform/scaleX", "/transform/cropTop", "/content/size"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_json_are_refused_before_they_are_read() {
    let api = Api::with(silent_stream(&json!([square("a", "#ff0000")]))).await;
    api.post(OUTPUTS, json!({ "id": "o", "url": "rtmp://host/app", "key": "k" })).await.expect(201);
    let json = "application/json";
    let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let opacity = |number: &str| format!(r#"{{"id":"b","opacity":{number},"content":{{"type":"text","text":"A"}}}}"#);
    let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(4 << 20));
    for (kind, body, status, code) in [
        (json, b"".to_vec(), 400, "malformed_json"),
        (json, b"{".to_vec(), 400, "malformed_json"),
        (json, b"{\"id\": \"b\",}".to_vec(), 400, "malformed_json"),
        (json, b"{} {}".to_vec(), 400, "malformed_json"),
        (json, b"{\"id\": \"\xff\xfe\"}".to_vec(), 400, "malformed_json"),
        (json, b"{\"id\": \"\\ud800\"}".to_vec(), 400, "malformed_json"),
        (json, opacity("NaN").into_bytes(), 400, "malformed_json"),
        (json, opacity("1e999").into_bytes(), 400, "malformed_json"),
        (json, opacity("-1e308").into_bytes(), 422, "invalid_document"),
        (json, deep(10_000).into_bytes(), 400, "malformed_json"),
        (json, deep(100).into_bytes(), 422, "invalid_document"),
        (json, long.into_bytes(), 413, "too_large"),
        ("", b"{}".to_vec(), 415, "not_json"),
        ("text/plain", b"{}".to_vec(), 415, "not_json"),
        ("application/x-www-form-urlencoded", b"a=b".to_vec(), 415, "not_json"),
    ] {
        let start = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        for (method, path) in [
            ("POST", STREAMS),
            ("POST", LAYERS),
            ("POST", OUTPUTS),
            ("PATCH", MAIN),
            ("PUT", "/api/v1/streams/main/layers/a"),
            ("PATCH", "/api/v1/streams/main/layers/a"),
            ("PATCH", "/api/v1/streams/main/outputs/o"),
        ] {
            let answer = api.send(method, path, kind, body.clone()).await;
            assert_eq!(answer.status, status, "{start}: {}", answer.text());
            answer.problem(status, code);
        }
    }
    let layer = opacity("1").into_bytes();
    api.send("POST", LAYERS, "Application/JSON; charset=utf-8", layer).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_a_problem_document_too() {
    let api = Api::with(silent_stream(&json!([]))).await;
    for path in
        ["/nothing", "/api", "/api/v1", "/api/v2/streams", "/api/v1/streams/main/layers/a/b", "/api/v1/streams/"]
    {
        api.get(path).await.problem(404, "not_found");
    }
    for (method, path) in [
        ("DELETE", STREAMS),
        ("PUT", MAIN),
        ("POST", MAIN),
        ("PATCH", LAYERS),
        ("POST", "/api/v1/streams/main/layers/a"),
        ("POST", "/api/v1/streams/main/status"),
        ("POST", "/api/v1/streams/main/program.png"),
        ("GET", "/api/v1/streams/main/start"),
        ("POST", "/healthz"),
        ("POST", "/metrics"),
    ] {
        let answer = api.send(method, path, "application/json", "{}").await;
        let problem = answer.problem(405, "method_not_allowed");
        assert_eq!(problem["detail"], format!("{method} is not possible at {path}"));
        assert!(answer.headers.contains_key("allow"), "{}", answer.text());
    }
    for path in ["/api/v1/streams/%FF", "/api/v1/streams/%ff/layers", "/api/v1/streams/main/layers/%C0"] {
        api.get(path).await.problem(400, "bad_path");
    }
    for query in ["overlay=everything", "overlay", "zoom=2"] {
        api.get(&format!("{MAIN}/program.png?{query}")).await.problem(400, "bad_query");
    }
    for path in ["/api/v1/streams/..%2Fmain", "/api/v1/streams/%00", "/api/v1/streams/main%20"] {
        api.get(path).await.problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_a_limit_to_streams_layers_and_outputs() {
    let api = Api::new();
    for number in 0..16 {
        api.post(STREAMS, json!({ "id": format!("s{number}"), "autoStart": false })).await.expect(201);
    }
    let problem = api.post(STREAMS, json!({ "id": "more", "autoStart": false })).await.problem(409, "limit_reached");
    assert_eq!(problem["detail"], "16 streams are the most there may be");

    let layer =
        |number: usize| json!({ "id": format!("l{number}"), "content": { "type": "color", "color": "#ffffff" } });
    let full: Vec<_> = (0..256).map(layer).collect();
    api.delete("/api/v1/streams/s0").await.expect(204);
    api.post(STREAMS, json!({ "id": "s0", "autoStart": false, "layers": full })).await.expect(201);
    api.post("/api/v1/streams/s0/layers", layer(256)).await.problem(409, "limit_reached");
    let too_many: Vec<_> = (0..257).map(layer).collect();
    api.delete("/api/v1/streams/s1").await.expect(204);
    let document = json!({ "id": "s1", "autoStart": false, "layers": too_many });
    api.post(STREAMS, document).await.refused("/layers", &["257", "256"]);

    for number in 0..64 {
        let output = json!({ "id": format!("o{number}"), "url": "rtmp://host/app", "key": "k" });
        api.post("/api/v1/streams/s2/outputs", output).await.expect(201);
    }
    let output = json!({ "id": "more", "url": "rtmp://host/app", "key": "k" });
    api.post("/api/v1/streams/s2/outputs", output).await.problem(409, "limit_reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_on_the_picture_when_it_is_answered() {
    let api = Api::with(stream(&json!([square("box", "#ff0000")]))).await;
    api.until_encoded("main", 3).await;
    api.shows("main", 30, 30, RED).await;
    api.shows("main", 60, 30, BACKGROUND).await;
    let path = "/api/v1/streams/main/layers/box";
    let mut last = (1, 0);
    for (color, rgb) in [("#00ff00", GREEN), ("#0102fe", [1, 2, 254]), ("#ffffff", [255; 3]), ("#ff0000", RED)] {
        let drawn = frames(&api.status("main").await, "renderTotalFrames");
        let receipt = api.patch(path, json!({ "content": { "color": color } })).await.expect(200);
        let (revision, frame) = (frames(&receipt, "revision"), frames(&receipt, "appliedFrame"));
        assert_eq!(revision, last.0 + 1, "one revision for one change");
        assert!(frame > last.1, "frame {frame} after {}", last.1);
        assert_eq!(frames(&receipt, "ptsMs"), frame * 40, "25 frames per second");
        assert_eq!(receipt["layer"]["content"]["color"], color);
        api.shows("main", 30, 30, rgb).await; // the next picture shows it
        api.shows("main", 60, 30, BACKGROUND).await;
        assert!(frames(&api.status("main").await, "renderTotalFrames") > drawn);
        last = (revision, frame);
    }
    // The promised frame is one that comes, not one of a far future.
    api.until("main", "the promised frame is encoded", |status| {
        frames(status, "encodedFrames") + frames(status, "encodeDroppedFrames") > last.1
    })
    .await;
    let hidden = api.patch(path, json!({ "enabled": false })).await.expect(200);
    assert!(hidden["appliedFrame"].is_u64());
    api.shows("main", 30, 30, BACKGROUND).await;
    api.patch(path, json!({ "enabled": true, "opacity": 0 })).await.expect(200);
    api.shows("main", 30, 30, BACKGROUND).await;
    api.delete(path).await.expect(200);
    api.shows("main", 30, 30, BACKGROUND).await;
}

/// The box is outlined on the still that asks for it, and on no other.
#[tokio::test(flavor = "multi_thread")]
async fn what_changed_lately_is_outlined_for_those_who_ask() {
    let api = Api::with(stream(&json!([square("box", "#ff0000")]))).await;
    api.shows("main", 30, 30, RED).await;
    let patch = json!({ "content": { "color": "#00ff00" } });
    api.patch("/api/v1/streams/main/layers/box", patch).await.expect(200);
    api.shows("main", 30, 30, GREEN).await;
    let answer = api.get("/api/v1/streams/main/program.png?overlay=damage&t=1").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let still = image::load_from_memory(&answer.body).unwrap().to_rgba8();
    let is_outlined = |x: u32| {
        let [r, g, b] = pixel(&still, x, 30);
        r / 2 > g && b > g
    };
    // The first frame was whole, and is an outline of the canvas; the box is damaged with a pixel around it.
    assert!([0, 9, 50, 319].into_iter().all(is_outlined), "{:?}", [0, 9, 50, 319].map(|x| pixel(&still, x, 30)));
    assert!(![5, 30, 60].into_iter().any(is_outlined), "{:?}", [5, 30, 60].map(|x| pixel(&still, x, 30)));
    assert_eq!(pixel(&api.picture("main").await, 9, 30), BACKGROUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn higher_layers_cover_lower_ones() {
    let api = Api::with(stream(&json!([]))).await;
    api.post(LAYERS, square("red", "#ff0000")).await.expect(201);
    api.post(LAYERS, square("green", "#00ff00")).await.expect(201);
    api.shows("main", 30, 30, GREEN).await; // the later one
    api.patch("/api/v1/streams/main/layers/red", json!({ "zIndex": 5 })).await.expect(200);
    api.shows("main", 30, 30, RED).await; // the higher one
    api.delete("/api/v1/streams/main/layers/red").await.expect(200);
    api.shows("main", 30, 30, GREEN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_scene_is_its_background() {
    let api = Api::with(stream(&json!([]))).await;
    let picture = api.picture("main").await;
    assert_eq!(picture.dimensions(), (320, 180));
    assert!(picture.pixels().all(|pixel| pixel.0 == [0x10, 0x20, 0x30, 255]));
    api.until_encoded("main", 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_stream_holds_its_picture_and_stays_on_air() {
    let api = Api::with(stream(&json!([square("box", "#ff0000")]))).await;
    api.shows("main", 30, 30, RED).await;
    api.act("main", "pause").await.expect(200);
    let patch = json!({ "content": { "color": "#00ff00" } });
    api.patch("/api/v1/streams/main/layers/box", patch).await.expect(200);
    api.post(LAYERS, json!({ "id": "all", "zIndex": -1, "content": { "type": "color", "color": "#ffffff" } }))
        .await
        .expect(201);
    api.until_encoded("main", 10).await;
    let held = api.picture("main").await;
    assert_eq!(pixel(&held, 30, 30), RED);
    assert_eq!(pixel(&held, 60, 30), BACKGROUND);
    api.act("main", "resume").await.expect(200);
    api.shows("main", 30, 30, GREEN).await;
    api.shows("main", 60, 30, [255; 3]).await;
    api.until_encoded("main", 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_begins_to_count_anew() {
    let api = Api::with(stream(&json!([square("box", "#ff0000")]))).await;
    for number in 0..20u8 {
        let patch = json!({ "content": { "color": format!("#ff00{number:02x}") } });
        api.patch("/api/v1/streams/main/layers/box", patch).await.expect(200);
        api.shows("main", 30, 30, [255, 0, number]).await;
    }
    let before = api.status("main").await;
    assert!(frames(&before, "renderTotalFrames") >= 20, "{before}");
    let reset = api.act("main", "reset").await.expect(200);
    assert_eq!((&reset["state"], &reset["revision"]), (&json!("running"), &json!(21)));
    api.shows("main", 30, 30, [255, 0, 19]).await; // the document stays
    let after = api.status("main").await;
    // The new picture stands still, so it is drawn once, or a few times while the GPU is warming up.
    assert!((1..=5).contains(&frames(&after, "renderTotalFrames")), "{after}");
    let scraped = metrics(&api).await.value("stream_manager_frames_rendered_total", "main");
    assert!(scraped.is_some_and(|drawn| (1.0..=5.0).contains(&drawn)), "{scraped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_pictures_are_refused_and_the_stream_goes_on() {
    let directory = assets().join("broken");
    let _ = fs::remove_dir_all(&directory); // of an earlier run
    fs::create_dir_all(&directory).unwrap();
    let good = png(8, 8, [0, 255, 0, 255]);
    fs::write(directory.join("good.png"), &good).unwrap();
    fs::write(directory.join("truncated.png"), &good[..good.len() / 2]).unwrap();
    fs::write(directory.join("header.png"), &good[..20]).unwrap();
    fs::write(directory.join("text.png"), "this is no picture\n").unwrap();
    fs::write(directory.join("empty.png"), "").unwrap();
    fs::write(directory.join("bomb.png"), png_that_claims(60_000, 60_000)).unwrap();
    fs::write(directory.join("largest.png"), png_that_claims(u32::MAX >> 1, u32::MAX >> 1)).unwrap();
    fs::write(directory.join("hollow.png"), png_that_claims(64, 64)).unwrap();
    fs::create_dir(directory.join("folder.png")).unwrap();
    let secret = assets().parent().unwrap().join("secret.png");
    fs::write(&secret, &good).unwrap();
    symlink(&secret, directory.join("link.png")).unwrap();

    let api = Api::with(stream(&json!([square("box", "#ff0000")]))).await;
    api.until_encoded("main", 3).await;
    for (asset, words) in [
        ("broken/truncated.png", &["broken/truncated.png", "cannot be decoded"][..]),
        ("broken/header.png", &["broken/header.png"]),
        ("broken/text.png", &["broken/text.png", "not a PNG, JPEG, WebP or GIF"]),
        ("broken/empty.png", &["broken/empty.png", "not a PNG, JPEG, WebP or GIF"]),
        ("broken/bomb.png", &["broken/bomb.png", "60000x60000"]),
        ("broken/largest.png", &["broken/largest.png"]),
        ("broken/hollow.png", &["broken/hollow.png", "cannot be decoded"]),
        ("broken/folder.png", &["broken/folder.png", "not a regular file"]),
        ("broken/missing.png", &["broken/missing.png", "not in the assets directory"]),
        ("../secret.png", &["../secret.png", "not a name below the assets directory"]),
        ("broken/../../secret.png", &["not a name below the assets directory"]),
        ("/etc/passwd", &["/etc/passwd", "not a name below the assets directory"]),
        ("broken/link.png", &["broken/link.png", "not a name below the assets directory"]),
        ("broken/good.png\0.txt", &["not a name below the assets directory"]),
        ("builtin:none", &["builtin:none", "show/logo.png"]),
    ] {
        api.post(LAYERS, image("new", asset)).await.refused("/content", words);
        let put = json!({ "content": { "type": "image", "asset": asset } });
        api.put("/api/v1/streams/main/layers/box", put).await.refused("/content", words);
    }
    api.until_encoded("main", 5).await;
    assert_eq!(api.get(LAYERS).await.expect(200)["revision"], 1, "nothing of all that changed anything");
    api.shows("main", 30, 30, RED).await;
    api.post(LAYERS, image("new", "broken/good.png")).await.expect(201);
    api.shows("main", 4, 4, GREEN).await; // a good one is still taken
    api.shows("main", 30, 30, RED).await;
    assert!(api.status("main").await["layerErrors"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_layer_of_a_show_is_left_out_and_named() {
    fs::write(assets().join("show-broken.png"), "no picture").unwrap();
    let layers = json!([square("box", "#ff0000"), image("torn", "show-broken.png"), image("lost", "show-missing.png")]);
    let api = Api::with(stream(&layers)).await;
    let is_named = |status: &Value| status["layerErrors"].as_array().is_some_and(|errors| errors.len() == 2);
    let status = api.until("main", "both layers are named", is_named).await;
    let of = |layer: &str| {
        let errors = status["layerErrors"].as_array().unwrap();
        errors.iter().find(|error| error["layer"] == layer).unwrap()["message"].as_str().unwrap().to_owned()
    };
    assert!(of("torn").contains("not a PNG, JPEG, WebP or GIF"), "{status}");
    assert!(of("lost").contains("not in the assets directory"), "{status}");
    assert_eq!(metrics(&api).await.value("stream_manager_layer_errors", "main"), Some(2.0));
    api.shows("main", 30, 30, RED).await;
    api.shows("main", 60, 30, BACKGROUND).await; // viewers do not see what went wrong
    // A change of another layer is not refused for what was broken before.
    let patch = json!({ "content": { "color": "#00ff00" } });
    api.patch("/api/v1/streams/main/layers/box", patch).await.expect(200);
    api.shows("main", 30, 30, GREEN).await;
    api.until_encoded("main", 3).await;
    for layer in ["torn", "lost"] {
        api.delete(&format!("/api/v1/streams/main/layers/{layer}")).await.expect(200);
    }
    api.until("main", "nothing is broken any more", |status| status["layerErrors"] == json!([])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_font_that_is_not_there_is_refused_with_those_that_are() {
    let text = json!({ "id": "title", "content": { "type": "text", "text": "On air", "font": "inter" } });
    let api = Api::with(stream(&json!([text]))).await;
    let families = &["Comic Sans MS", "DejaVu Sans", "Inter", "JetBrains Mono", "Playfair Display", "Twemoji Mozilla"];
    let other = json!({ "id": "other", "content": { "type": "text", "text": "A", "font": "Comic Sans MS" } });
    api.post(LAYERS, other).await.refused("/content/font", families);
    let title = "/api/v1/streams/main/layers/title";
    api.patch(title, json!({ "content": { "font": "Comic Sans MS" } })).await.refused("/content/font", families);
    assert_eq!(api.get(LAYERS).await.expect(200)["revision"], 1);
    api.patch(title, json!({ "content": { "font": "Playfair Display" } })).await.expect(200);
    let is_written = async || {
        let picture = api.picture("main").await;
        picture.pixels().any(|pixel| pixel.0[..3] != BACKGROUND).then_some(())
    };
    eventually("the text is on the picture", is_written).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_are_made_read_patched_and_deleted_and_their_keys_stay_inside() {
    const KEY: &str = "live_5ecret";
    let api = Api::with(silent_stream(&json!([]))).await;
    let created = api.post(OUTPUTS, json!({ "id": "a", "url": "rtmp://host/app", "key": KEY })).await;
    assert_eq!(created.headers["location"], "/api/v1/streams/main/outputs/a");
    let output = json!({ "type": "rtmp", "id": "a", "url": "rtmp://host/app", "rendition": "main", "primary": false, "enabled": true });
    assert_eq!(created.expect(201)["output"], output);
    let inside = json!({ "id": "b", "url": format!("rtmp://host:1936/app/inst/{KEY}?sign=1"), "enabled": false });
    let created = api.post(OUTPUTS, inside.clone()).await.expect(201);
    let second = json!({ "type": "rtmp", "id": "b", "url": "rtmp://host:1936/app/inst", "rendition": "main", "primary": false, "enabled": false });
    assert_eq!(created["output"], second);
    api.post(OUTPUTS, inside).await.problem(409, "already_exists");

    let a = "/api/v1/streams/main/outputs/a";
    assert_eq!(api.get(a).await.expect(200), output);
    assert_eq!(api.get(OUTPUTS).await.expect(200)["outputs"].as_array().unwrap().len(), 2);
    assert_eq!(api.patch(a, output.clone()).await.expect(200)["output"], output, "what GET returned may be sent back");
    let moved = api.patch(a, json!({ "url": "rtmp://other/app", "key": format!("{KEY}2") })).await.expect(200);
    assert_eq!(moved["output"]["url"], "rtmp://other/app");
    for (action, enabled) in [("stop", false), ("stop", false), ("start", true), ("start", true)] {
        let done = api.post(&format!("{a}/{action}"), json!(null)).await.expect(200);
        assert_eq!(done["output"]["enabled"], enabled);
    }
    api.post(&format!("{a}/dance"), json!(null)).await.problem(404, "not_found");

    let with_key = |scheme: &str| json!({ "id": "c", "url": format!("{scheme}://host/app/{KEY}") });
    for (output, pointer, words) in [
        (with_key("http"), "/url", &["does not start with rtmp://"][..]),
        (with_key("file"), "/url", &["does not start with rtmp://"]),
        (json!({ "id": "c", "url": format!("rtmp:///app/{KEY}") }), "/url", &["host"]),
        (json!({ "id": "c", "url": format!("rtmp://host:0/app/{KEY}") }), "/url", &["port"]),
        (json!({ "id": "c", "url": format!("rtmp://user:{KEY}@host/app/x") }), "/url", &["user name or password"]),
        (json!({ "id": "c", "url": "rtmp://host/app" }), "/url", &["key is missing"]),
        (json!({ "id": "c", "url": "rtmp://host/app", "key": format!("{KEY}\n") }), "/key", &["control character"]),
        (
            json!({ "id": "c", "url": "rtmp://host/app", "key": "file:no-such-file" }),
            "/key",
            &["no such file", "mount it"],
        ),
        (json!({ "id": "c", "url": "rtmp://host/app", "key": "file:../assets/x" }), "/key", &["without `..`"]),
        (
            json!({ "id": "c", "url": "rtmp://host/app", "key": "file:/etc/hostname" }),
            "/key",
            &["leads out of secrets_dir"],
        ),
        (
            json!({ "id": "c", "url": "rtmp://host/app", "key": KEY, "backupUrl": "rtmp://b/app", "backupKey": "file:none" }),
            "/backupKey",
            &["no such file"],
        ),
        (
            json!({ "id": "c", "url": "rtmp://host/app", "key": KEY, "backupKey": KEY }),
            "/backupKey",
            &["without backupUrl"],
        ),
        (
            json!({ "id": "c", "url": "rtmp://host/app", "key": KEY, "backupUrl": format!("ftp://b/app/{KEY}") }),
            "/backupUrl",
            &["rtmp://"],
        ),
        (json!({ "id": "c", "url": "rtmp://host/app", "key": "env:HOME" }), "/key", &["ends with KEY"]),
        (json!({ "id": "c", "url": "rtmp://host/app", "key": "env:NO_SUCH_KEY" }), "/key", &["not set"]),
        (json!({ "id": "c", "url": "rtmp://host/app", "kye": KEY }), "/kye", &["unknown field", "key"]),
        (json!({ "id": "c", "url": "rtmps://h/app", "key": KEY, "password": KEY }), "/password", &["without username"]),
        (json!({ "id": "c", "url": "rtmp://h/app", "key": KEY, "username": "a" }), "/username", &["without password"]),
        (
            json!({ "id": "c", "url": "rtmp://h/app", "key": KEY, "username": "a&b", "password": KEY }),
            "/username",
            &["without spaces"],
        ),
        (
            json!({ "id": "c", "url": "rtmp://h/app", "key": KEY, "username": "a", "password": "env:A_KEY" }),
            "/password",
            &["ends with PASSWORD"],
        ),
        (json!({ "id": "c", "url": "rtmp://host/app", "key": [KEY] }), "/key", &[]),
    ] {
        api.post(OUTPUTS, output).await.refused(pointer, words);
    }
    api.patch(a, json!({ "id": "z" })).await.refused("/id", &["does not change"]);
    let ambiguous = json!({ "url": format!("rtmp://host/app/{KEY}") });
    api.patch(a, ambiguous).await.refused("/url", &["could end with a stream key", "give `key`"]);
    let with_user = json!({ "username": "alice", "password": KEY });
    let shown = api.patch(a, with_user).await.expect(200)["output"].clone();
    assert_eq!((&shown["username"], &shown["password"]), (&json!("alice"), &Value::Null), "{shown}");
    fs::write(secrets().join("twitch"), format!("{KEY}\n")).unwrap();
    let with_backup =
        json!({ "key": "file:twitch", "backupUrl": format!("rtmp://backup/app/{KEY}"), "password": "file:twitch" });
    let shown = api.patch(a, with_backup).await.expect(200)["output"].clone();
    assert_eq!((&shown["backupUrl"], &shown["backupKey"]), (&json!("rtmp://backup/app"), &Value::Null), "{shown}");
    assert_eq!(api.patch(a, shown.clone()).await.expect(200)["output"], shown, "what GET returned may be sent back");
    let with_reference =
        json!({ "id": "other", "outputs": [{ "id": "a", "url": "rtmp://host/app", "key": "file:gone" }] });
    api.post("/api/v1/streams", with_reference).await.refused("/outputs/0/key", &["no such file"]);

    assert_eq!(api.get(MAIN).await.expect(200)["outputs"].as_array().unwrap().len(), 2);
    api.delete(a).await.expect(200);
    for answer in [api.get(a).await, api.delete(a).await, api.patch(a, json!({})).await] {
        answer.problem(404, "not_found");
    }
    metrics(&api).await;
    api.status("main").await;
    assert_silent(&api, KEY);
}

/// Addresses that lead nowhere: the part that is wrong is named, the text is not repeated, and what is on air goes on.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_addresses_are_refused_by_their_part_and_disturb_nothing() {
    const KEY: &str = "live_5ecret";
    let api = Api::with(stream(&json!([]))).await;
    let endless = KEY.repeat(10_000 / KEY.len() + 1);
    for (url, key, pointer, words) in [
        ("rtmp://host".into(), Some(KEY), "/url", "no application"),
        ("rtmp://host/".into(), Some(KEY), "/url", "no application"),
        (format!("rtmp://host/{KEY}"), None, "/url", "stream key is missing"),
        ("rtmp://host/app/".into(), None, "/url", "stream key is missing"),
        ("rtmp://host/app".into(), Some(""), "/url", "stream key is missing"),
        (format!("http://host/app/{KEY}"), None, "/url", "does not start with rtmp:// or rtmps://"),
        (format!("srt://host/app/{KEY}"), None, "/url", "does not start with rtmp:// or rtmps://"),
        (format!("//host/app/{KEY}"), None, "/url", "does not start with rtmp:// or rtmps://"),
        (format!("rtmp://host:0/app/{KEY}"), None, "/url", "invalid port: use 1 to 65535"),
        (format!("rtmp://host:65536/app/{KEY}"), None, "/url", "invalid port: use 1 to 65535"),
        (format!("rtmp://host:-1/app/{KEY}"), None, "/url", "invalid port: use 1 to 65535"),
        (format!("rtmp://host:rtmp/app/{KEY}"), None, "/url", "invalid port: use 1 to 65535"),
        (format!("rtmp:///app/{KEY}"), None, "/url", "no valid host"),
        (format!("rtmp://a b/app/{KEY}"), None, "/url", "space or control character at byte 8"),
        ("rtmp://host/app".into(), Some(endless.as_str()), "/key", "stream key has 10010 bytes, 4096 are allowed"),
        (format!("rtmp://host/app/{endless}"), None, "/url", "bytes, 4096 are allowed"),
    ] {
        let output = json!({ "id": "wrong", "url": url, "key": key });
        api.post(OUTPUTS, output).await.refused(pointer, &[words]);
    }
    // That a host has no address is not known before it is asked for.
    api.post(OUTPUTS, json!({ "id": "lost", "url": "rtmp://no-such-host.invalid/app", "key": KEY })).await.expect(201);
    let is_lost = |status: &Value| status["outputs"][0]["lastError"]["class"] == "resolve";
    let status = api.until("main", "the host is not found", is_lost).await;
    let message = status["outputs"][0]["lastError"]["message"].as_str().unwrap();
    assert!(message.starts_with("host no-such-host.invalid cannot be resolved: "), "{message}");
    api.until_encoded("main", 10).await;
    assert_eq!(api.status("main").await["state"], "running");
    assert_silent(&api, KEY);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_output_is_tried_again_and_the_stream_goes_on() {
    const KEY: &str = "live_5ecret";
    // Bound and let go: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let api = Api::with(stream(&json!([]))).await;
    let url = format!("rtmp://127.0.0.1:{port}/live");
    api.post(OUTPUTS, json!({ "id": "nowhere", "url": url, "key": KEY })).await.expect(201);
    let is_waiting = |status: &Value| status["outputs"][0]["state"] == "backingOff";
    let status = api.until("main", "the output backs off", is_waiting).await;
    let output = &status["outputs"][0];
    assert_eq!((&output["id"], &output["lastError"]["class"]), (&json!("nowhere"), &json!("connect")), "{output}");
    assert!(output["lastError"]["message"].as_str().unwrap().contains(&port.to_string()), "{output}");
    assert!(frames(output, "attempt") >= 1 && output["retryInMs"].is_u64(), "{output}");
    api.until_encoded("main", 10).await;
    api.until("main", "it is tried again", |status| frames(&status["outputs"][0], "attempts") >= 2).await;

    let scraped = metrics(&api).await;
    assert_eq!(scraped.value("stream_manager_output_publishing", "nowhere"), Some(0.0));
    assert!(scraped.value("stream_manager_output_connect_attempts_total", "nowhere").is_some_and(|n| n >= 2.0));
    let path = "/api/v1/streams/main/outputs/nowhere";
    api.post(&format!("{path}/stop"), json!(null)).await.expect(200);
    api.until("main", "a stopped output is off", |status| status["outputs"] == json!([])).await;
    api.post(&format!("{path}/start"), json!(null)).await.expect(200);
    api.until("main", "it is tried from the start", is_waiting).await;
    api.delete(path).await.expect(200);
    api.until("main", "a deleted output is off", |status| status["outputs"] == json!([])).await;
    assert_eq!(metrics(&api).await.value("stream_manager_output_publishing", "nowhere"), None);
    assert_silent(&api, KEY);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_streams_do_not_touch_each_other() {
    let api = Api::with(stream(&json!([square("box", "#ff0000")]))).await;
    let mut other = stream(&json!([square("box", "#00ff00")]));
    other["id"] = json!("other");
    other["canvas"]["width"] = json!(160);
    api.post(STREAMS, other).await.expect(201);
    api.shows("main", 30, 30, RED).await;
    api.shows("other", 30, 30, GREEN).await;
    assert_eq!(api.picture("other").await.dimensions(), (160, 180));
    api.act("main", "stop").await.expect(200);
    api.until_encoded("other", 5).await;
    api.delete(MAIN).await.expect(204);
    api.until_encoded("other", 5).await;
    api.shows("other", 30, 30, GREEN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_the_same_time_come_one_after_the_other() {
    let api = Api::with(stream(&json!([square("a", "#ff0000"), square("b", "#ff0000")]))).await;
    let patch = |layer: &str, x: u32| {
        let (path, patch) = (format!("{LAYERS}/{layer}"), json!({ "transform": { "positionX": x } }));
        let api = &api;
        async move { api.patch(&path, patch).await.expect(200)["revision"].as_u64().unwrap() }
    };
    let revisions = tokio::join!(patch("a", 1), patch("b", 2), patch("a", 3), patch("b", 4));
    let mut revisions = [revisions.0, revisions.1, revisions.2, revisions.3];
    revisions.sort_unstable();
    assert_eq!(revisions, [2, 3, 4, 5], "each has a revision of its own");
    let layers = api.get(LAYERS).await.expect(200);
    assert!(layers["layers"][0]["transform"]["positionX"] != layers["layers"][1]["transform"]["positionX"]);

    let (deleted, started, created) =
        tokio::join!(api.delete(MAIN), api.act("main", "start"), api.post(LAYERS, square("c", "#ffffff")),);
    deleted.expect(204);
    for late in [started, created] {
        late.problem(404, "not_found");
    }
    assert!(!api.get("/metrics").await.text().contains("main"), "nothing runs unseen");
}

#[tokio::test(flavor = "multi_thread")]
async fn renditions_run_side_by_side_and_outputs_go_from_one_to_another() {
    let mobile = |kbps: u32| json!([{ "id": "mobile", "width": 160, "height": 90, "fps": "12.5", "encoder": { "bitrateKbps": kbps } }]);
    let mut document = stream(&json!([square("box", "#ff0000")]));
    document["renditions"] = mobile(200);
    let api = Api::with(document).await;
    let encoded = |status: &Value, index: usize| status["renditions"][index]["encodedFrames"].as_u64();
    let status = api.until("main", "both encode", |status| encoded(status, 1).is_some_and(|count| count >= 20)).await;
    for (index, id, width, height, fps) in [(0, "main", 320, 180, "25"), (1, "mobile", 160, 90, "25/2")] {
        let rendition = &status["renditions"][index];
        let shown = ["id", "width", "height", "fps"].map(|field| rendition[field].clone());
        assert_eq!(json!(shown), json!([id, width, height, fps]));
        assert_eq!(rendition["encoder"]["backend"], status["encoder"]["backend"], "{rendition}");
    }
    let [fast, slow] = [0, 1].map(|index| encoded(&status, index).unwrap());
    assert!((slow * 2 - 4..=slow * 2 + 4).contains(&fast), "{fast} and {slow}");
    for rendition in ["main", "mobile"] {
        let frames = metrics(&api).await.value("stream_manager_frames_encoded_total", rendition);
        assert!(frames.is_some_and(|frames| frames >= 20.0), "{rendition}: {frames:?}");
    }

    let output =
        |rendition: &str| json!({ "id": "o", "url": "rtmp://127.0.0.1:1/live", "key": "k", "rendition": rendition });
    api.post(OUTPUTS, output("tablet")).await.refused("/rendition", &["tablet", "use main, mobile"]);
    api.post(OUTPUTS, output("mobile")).await.expect(201);
    let of = |rendition: &'static str| {
        move |status: &Value| {
            status["outputs"].as_array().unwrap().len() == 1 && status["outputs"][0]["rendition"] == rendition
        }
    };
    api.until("main", "the output is that of the rendition", of("mobile")).await;
    api.patch(MAIN, json!({ "renditions": [] })).await.refused("/renditions", &["in use by output `o`"]);
    api.patch(&format!("{OUTPUTS}/o"), json!({ "rendition": "main" })).await.expect(200);
    api.until("main", "the output has moved", of("main")).await;

    // The bitrate alone changes while it runs.
    api.patch(MAIN, json!({ "renditions": mobile(300) })).await.expect(200);
    let problem = api.patch(MAIN, json!({ "renditions": [] })).await.problem(409, "wrong_state");
    assert!(problem["detail"].as_str().unwrap().contains("renditions"), "{problem}");
    let document = api.get(MAIN).await.expect(200);
    assert_eq!(document["renditions"][0]["encoder"], json!({ "bitrateKbps": 300 }));
    api.act("main", "stop").await.expect(200);
    api.patch(MAIN, json!({ "renditions": [] })).await.expect(200);
    assert!(!api.get("/metrics").await.text().contains("mobile"), "what is gone is not counted");
    api.delete(MAIN).await.expect(204);
    assert!(!api.get("/metrics").await.text().contains("main"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_stream_leaves_no_metrics() {
    let api = Api::with(stream(&json!([]))).await;
    api.until_encoded("main", 1).await;
    assert!(metrics(&api).await.value("stream_manager_frames_encoded_total", "main").is_some());
    api.delete(MAIN).await.expect(204);
    let text = api.get("/metrics").await;
    assert!(!text.text().contains("main"), "{}", text.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_readiness_are_said() {
    let api = Api::with(stream(&json!([]))).await;
    assert_eq!(api.get("/healthz").await.expect(200), json!({ "status": "ok" }));
    assert_eq!(api.get("/readyz").await.expect(200), json!({ "status": "ready", "reasons": [] }));
    let page = api.get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.kind().starts_with("text/html"), "{}", page.kind());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_are_well_formed_and_count() {
    let output = json!({ "id": "nowhere", "url": "rtmp://127.0.0.1:1/live", "key": "k" });
    let mut document = stream(&json!([square("box", "#ff0000")]));
    document["outputs"] = json!([output]);
    let api = Api::with(document).await;
    api.until_encoded("main", 30).await;
    let scraped = metrics(&api).await;
    for (name, min) in [
        ("stream_manager_frames_rendered_total", 1.0),
        ("stream_manager_frames_unchanged_total", 1.0),
        ("stream_manager_frames_repeated_total", 0.0),
        ("stream_manager_frames_dropped_total", 0.0),
        ("stream_manager_frames_encoded_total", 30.0),
        ("stream_manager_audio_frames_encoded_total", 1.0),
        ("stream_manager_encoded_bytes_total", 1000.0),
        ("stream_manager_items_drawn_total", 1.0),
        ("stream_manager_items_skipped_total", 0.0),
        // The first frame is drawn whole.
        ("stream_manager_damaged_pixels_total", PIXELS),
        ("stream_manager_textures", 0.0),
        ("stream_manager_texture_bytes", 0.0),
        ("stream_manager_gpu_rebuilds_total", 0.0),
        ("stream_manager_encoder_restarts_total", 0.0),
        ("stream_manager_layer_errors", 0.0),
        ("stream_manager_encoded_bitrate_bps", 0.0),
        ("stream_manager_active_fps", 0.0),
        ("stream_manager_av_skew_ms", -10_000.0),
        ("stream_manager_render_duration_seconds_count", 1.0),
        ("stream_manager_encode_duration_seconds_count", 30.0),
    ] {
        let value = scraped.value(name, "main");
        assert!(value.is_some_and(|value| value >= min), "{name} is {value:?}, at least {min} expected");
    }
    // A picture and its NV12 form at least; the two atlases with which every compositor starts.
    for (name, min) in
        [("media_cache_bytes", 0.0), ("gpu_memory_bytes", PIXELS * 5.5), ("glyph_atlas_bytes", 100_000.0)]
    {
        let value = scraped.0.get(&(format!("stream_manager_{name}"), String::new()));
        assert!(value.is_some_and(|value| *value >= min), "{name} is {value:?}, at least {min} expected");
    }
    for what in
        ["bytes_total", "frames_total", "skipped_frames_total", "reconnects_total", "bitrate_bps", "queue_bytes"]
    {
        let name = format!("stream_manager_output_{what}");
        assert!(scraped.value(&name, "nowhere").is_some(), "{name}");
    }
    assert_eq!(scraped.value("stream_manager_build_info", env!("CARGO_PKG_VERSION")), Some(1.0));
}

/// No answer so far had this key in it.
#[track_caller]
fn assert_silent(api: &Api, key: &str) {
    let said = api.said();
    let lines: Vec<_> = said.lines().filter(|line| line.contains(key)).collect();
    assert!(lines.is_empty(), "a key was answered: {lines:#?}");
}

/// What was scraped: each sample's value by its name and its labels.
#[derive(Debug)]
struct Scraped(BTreeMap<(String, String), f64>);

impl Scraped {
    /// The sample of this name one of whose labels has this value.
    fn value(&self, name: &str, label: &str) -> Option<f64> {
        let quoted = format!("=\"{label}\"");
        let mut samples = self.0.iter();
        samples.find(|((found, labels), _)| found == name && labels.contains(&quoted)).map(|(_, value)| *value)
    }
}

/// Scrapes `/metrics` and checks what Prometheus checks: a help text, a type and a good name for every family.
async fn metrics(api: &Api) -> Scraped {
    let answer = api.get("/metrics").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.kind().starts_with("text/plain"), "{}", answer.kind());
    parse(&answer)
}

fn parse(answer: &Answer) -> Scraped {
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let (mut helps, mut kinds, mut samples) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            assert!(help.ends_with('.'), "a sentence: {line}");
            assert!(helps.insert(name.to_owned(), help.to_owned()).is_none(), "twice: {line}");
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert!(samples.insert((name.to_owned(), labels.to_owned()), value).is_none(), "twice: {line}");
        }
    }
    assert_eq!(helps.keys().collect::<Vec<_>>(), kinds.keys().collect::<Vec<_>>());
    for (name, kind) in &kinds {
        let inner = name.strip_prefix("stream_manager_").unwrap_or_default();
        let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(!inner.is_empty() && inner.chars().all(is_good), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
    }
    for (name, _) in samples.keys() {
        let family = |suffix: &str| {
            name.strip_suffix(suffix).is_some_and(|family| kinds.get(family).is_some_and(|kind| kind == "histogram"))
        };
        assert!(
            kinds.contains_key(name) || ["_bucket", "_sum", "_count"].into_iter().any(family),
            "{name} has no TYPE"
        );
    }
    Scraped(samples)
}

const SOURCES: &str = "/api/v1/streams/main/audio/sources";

/// A tone of 1 kHz with these fields.
fn tone(id: &str, more: Value) -> Value {
    let mut source = json!({ "id": id, "type": "tone" });
    source.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    source
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_of_sound_are_made_changed_and_deleted_on_air() {
    let api = Api::with(stream(&json!([square("a", "#ff0000")]))).await;
    let shown = api.get(&format!("{MAIN}/audio")).await.expect(200);
    assert_eq!((&shown["sources"], &shown["bitrateKbps"]), (&json!([]), &json!(128)));
    assert_eq!(
        shown["limiter"],
        json!({ "enabled": true, "ceilingDbtp": -1.0, "releaseMs": 100.0 }),
        "defaults are written"
    );

    let made = api.post(SOURCES, tone("voice", json!({ "name": "Voice", "levelDbfs": -20 }))).await;
    assert_eq!(made.headers["location"], format!("{SOURCES}/voice"));
    let made = made.expect(201);
    let (sample, ms) = (made["appliedSample"].as_u64().unwrap(), made["ptsMs"].as_u64().unwrap());
    assert_eq!((&made["revision"], sample % 1024, ms), (&json!(2), 0, (sample * 1000 + 24_000) / 48_000));
    assert_eq!(made["appliedFrame"].as_u64().unwrap(), (sample * 25).div_ceil(48_000), "the first frame from then on");
    assert_eq!(made["source"]["gainDb"], 0.0);
    api.post(SOURCES, tone("voice", json!({}))).await.problem(409, "already_exists");

    let is_heard =
        |status: &Value| status["audio"]["sources"][0]["rmsDbfs"][0].as_f64().is_some_and(|db| (db + 23.0).abs() < 0.1);
    let status = api.until("main", "the source is heard", is_heard).await;
    assert_eq!(status["audio"]["sources"][0]["id"], "voice");
    api.until("main", "it is as loud as it should be", |status| {
        status["audio"]["momentaryLufs"].as_f64().is_some_and(|lufs| (lufs + 20.0).abs() < 0.2)
    })
    .await;

    let duck = json!({ "under": "voice", "reductionDb": 20 });
    let music = api
        .post(SOURCES, tone("music", json!({ "frequencyHz": 300, "followLayer": "a", "duck": duck })))
        .await
        .expect(201);
    assert_eq!(music["source"]["duck"]["thresholdDbfs"], -40.0);
    api.until("main", "it makes room", |status| {
        status["audio"]["sources"][1]["rmsDbfs"][0].as_f64().is_some_and(|db| (db + 41.0).abs() < 0.1)
    })
    .await;
    api.patch(&format!("{LAYERS}/a"), json!({ "enabled": false })).await.expect(200);
    api.until("main", "it goes with its layer", |status| {
        status["audio"]["sources"][1]["peakDbfs"] == json!([-100.0, -100.0])
    })
    .await;

    let down = json!({ "gainDb": -100, "fade": { "durationMs": 200, "easing": "easeInOutSine" } });
    let faded = api.patch(&format!("{SOURCES}/voice"), down).await.expect(200);
    let fade = &faded["source"]["fade"];
    assert_eq!((&fade["fromDb"], &fade["durationMs"]), (&json!(0.0), &json!(200.0)));
    assert_eq!(fade["startMs"].as_f64().unwrap(), faded["appliedSample"].as_f64().unwrap() / 48.0);
    api.until("main", "it is faded out", |status| status["audio"]["sources"][0]["peakDbfs"] == json!([-100.0, -100.0]))
        .await;
    let after = api.get(&format!("{SOURCES}/voice")).await.expect(200);
    assert_eq!((&after["gainDb"], after.get("fade")), (&json!(-100.0), None), "a fade that is over is gone");
    let put = api.put(&format!("{SOURCES}/voice"), after.clone()).await.expect(200);
    assert_eq!(put["source"], after, "what was read may be written back");

    let master = api
        .patch(&format!("{MAIN}/audio"), json!({ "gainDb": -6, "silence": { "durationMs": 200 } }))
        .await
        .expect(200);
    assert_eq!(
        (&master["audio"]["gainDb"], &master["audio"]["silence"]["thresholdDbfs"]),
        (&json!(-6.0), &json!(-60.0))
    );
    assert!(master["ptsMs"].is_u64(), "{master}");
    api.until("main", "it is silent", |status| status["audio"]["isSilent"] == true).await;
    let metrics = api.get("/metrics").await;
    let metrics = metrics.text();
    for line in [
        "audio_silent{stream=\"main\"} 1",
        "audio_silences_total{stream=\"main\"} 1",
        "audio_momentary_lufs{stream=\"main\"}",
    ] {
        assert!(metrics.contains(&format!("stream_manager_{line}")), "{line}");
    }
    api.send("POST", &format!("{MAIN}/audio/actions/resetLoudness"), "", "").await.expect(204);
    api.until("main", "loudness starts anew", |status| status["audio"]["integratedLufs"] == -100.0).await;

    let problem = api.delete(&format!("{SOURCES}/voice")).await.problem(409, "in_use");
    assert!(problem["detail"].as_str().unwrap().contains("`music` ducks under it"), "{problem}");
    let gone = api.delete(&format!("{SOURCES}/music")).await.expect(200);
    assert!(gone["appliedSample"].is_u64(), "{gone}");
    let listed = api.get(SOURCES).await.expect(200);
    assert_eq!((&listed["revision"], listed["sources"].as_array().unwrap().len()), (&gone["revision"], 1));
    api.until("main", "it is not mixed any more", |status| status["audio"]["sources"].as_array().unwrap().len() == 1)
        .await;

    // What is in the document is heard again by who starts anew.
    api.act("main", "stop").await.expect(200);
    let stopped = api.patch(&format!("{SOURCES}/voice"), json!({ "gainDb": 0 })).await.expect(200);
    assert_eq!((&stopped["appliedSample"], stopped["source"].get("fade")), (&Value::Null, None));
    api.act("main", "start").await.expect(200);
    api.until("main", "it is heard again", is_heard).await;
}

/// A file starts when it goes on air and says when it is over; one that is no sound says so, and is heard once it is one.
#[tokio::test(flavor = "multi_thread")]
async fn sound_files_are_played_on_air() {
    // A fifth of a second, and two of them, of a square wave at -12 dB: mono, 16 bits, 48 kHz.
    let wav = |blocks: u32| {
        let data: Vec<u8> =
            (0..blocks * 9600).flat_map(|n| (if n / 48 % 2 == 0 { 8231i16 } else { -8231 }).to_le_bytes()).collect();
        let len = data.len() as u32;
        let format = [
            &16u32.to_le_bytes()[..],
            &[1, 0, 1, 0],
            &48_000u32.to_le_bytes(),
            &96_000u32.to_le_bytes(),
            &[2, 0, 16, 0],
        ];
        [b"RIFF", &(len + 36).to_le_bytes()[..], b"WAVEfmt ", &format.concat(), b"data", &len.to_le_bytes(), &data]
            .concat()
    };
    fs::write(assets().join("jingle.wav"), wav(1)).unwrap();
    fs::write(assets().join("broken.wav"), "no sound").unwrap();
    let api = Api::with(stream(&json!([]))).await;
    let file = |id: &str, asset: &str| json!({ "id": id, "type": "file", "asset": asset });

    let made = api.post(SOURCES, file("jingle", "jingle.wav")).await.expect(201);
    assert_eq!(made["source"]["atMs"].as_f64().unwrap(), made["appliedSample"].as_f64().unwrap() / 48.0);
    api.until("main", "it is over", |status| status["audio"]["sources"][0]["isOver"] == true).await;
    let again = json!({ "atMs": null, "loop": true });
    let again = api.patch(&format!("{SOURCES}/jingle"), again).await.expect(200);
    assert!(again["source"]["atMs"].as_f64() > made["source"]["atMs"].as_f64(), "{again}");
    api.until("main", "it is heard round and round", |status| {
        let source = &status["audio"]["sources"][0];
        source["rmsDbfs"][1].as_f64().is_some_and(|db| (db + 12.0).abs() < 0.1) && source.get("isOver").is_none()
    })
    .await;

    for (id, asset, said) in [
        ("broken", "broken.wav", "`broken.wav` is not played: it is no sound that is understood"),
        ("missing", "none.wav", "`none.wav` is not in the assets directory"),
        ("outside", "../secret.png", "is not a name below the assets directory"),
    ] {
        api.post(SOURCES, file(id, asset)).await.expect(201);
        api.until("main", "it says what is wrong", |status| {
            let sources = status["audio"]["sources"].as_array().unwrap();
            sources
                .iter()
                .any(|source| source["id"] == id && source["problem"].as_str().is_some_and(|p| p.contains(said)))
        })
        .await;
    }
    // What is corrected is played once its document changes.
    fs::write(assets().join("broken.wav"), wav(2)).unwrap();
    api.patch(&format!("{SOURCES}/broken"), json!({ "atMs": null })).await.expect(200);
    api.until("main", "it is played", |status| {
        status["audio"]["sources"][1]["isOver"] == true && status["audio"]["sources"][1].get("problem").is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_sound_is_refused_where_it_is_wrong() {
    let api = Api::with(silent_stream(&json!([square("a", "#ff0000")]))).await;
    let stopped = api.post(SOURCES, tone("one", json!({}))).await.expect(201);
    assert_eq!((&stopped["appliedSample"], &stopped["ptsMs"]), (&Value::Null, &Value::Null));
    for (source, pointer, words) in [
        (tone("new", json!({ "type": "noise" })), "/type", &["`noise`", "silence, tone"][..]),
        (json!({ "id": "new" }), "/type", &["missing", "silence, tone"]),
        (tone("new", json!({ "gain": 1 })), "/gain", &["unknown field", "frequencyHz", "gainDb"]),
        (tone("new", json!({ "gainDb": 25 })), "/gainDb", &["25 is out of range: -100 to 24"]),
        (tone("new", json!({ "gainDb": "loud" })), "/gainDb", &["f64"]),
        (tone("new", json!({ "pan": 2 })), "/pan", &["-1 to 1"]),
        (tone("new", json!({ "delayMs": -1 })), "/delayMs", &["0 to 5000"]),
        (tone("new", json!({ "frequencyHz": 10 })), "/frequencyHz", &["20 to 20000"]),
        (tone("new", json!({ "followLayer": "b" })), "/followLayer", &["no layer `b`"]),
        (tone("new", json!({ "duck": { "under": "two" } })), "/duck/under", &["no source `two`", "one of one"]),
        (tone("new", json!({ "duck": { "under": "one", "reductionDb": 61 } })), "/duck/reductionDb", &["0 to 60"]),
        (tone("new", json!({ "fade": { "durationMs": 1, "easing": "soon" } })), "/fade/easing", &["`soon`", "linear"]),
        (tone("a/b", json!({})), "/id", &["A-Z a-z 0-9"]),
        (json!([]), "", &["object"]),
    ] {
        api.post(SOURCES, source).await.refused(pointer, words);
    }
    for (patch, pointer, words) in [
        (json!({ "id": "two" }), "/id", &["does not change"][..]),
        (json!({ "gainDb": 30 }), "/gainDb", &["-100 to 24"]),
        (json!({ "duck": { "under": "one" } }), "/duck/under", &["itself"]),
        (json!({ "fade": {} }), "/fade", &["durationMs"]),
    ] {
        api.patch(&format!("{SOURCES}/one"), patch).await.refused(pointer, words);
    }
    for (patch, pointer, words) in [
        (json!({ "limiter": { "ceilingDbtp": 1 } }), "/limiter/ceilingDbtp", &["-20 to 0"][..]),
        (json!({ "silence": { "durationMs": 1 } }), "/silence/durationMs", &["100 to 3600000"]),
        (json!({ "bitrateKbps": 1 }), "/bitrateKbps", &["64 to 320"]),
        (json!({ "sources": [] }), "/sources", &["one by one"]),
        (json!({ "volume": 1 }), "/volume", &["unknown field", "gainDb"]),
        (json!([]), "", &["object"]),
    ] {
        api.patch(&format!("{MAIN}/audio"), patch).await.refused(pointer, words);
    }
    for answer in [
        api.get(&format!("{SOURCES}/two")).await,
        api.put(&format!("{SOURCES}/two"), tone("two", json!({}))).await,
        api.patch(&format!("{SOURCES}/two"), json!({})).await,
        api.delete(&format!("{SOURCES}/two")).await,
        api.post("/api/v1/streams/nobody/audio/sources", tone("a", json!({}))).await,
    ] {
        answer.problem(404, "not_found");
    }
    let problem = api.send("POST", &format!("{MAIN}/audio/actions/shout"), "", "").await.problem(404, "not_found");
    assert!(problem["detail"].as_str().unwrap().contains("use resetLoudness"), "{problem}");
    api.send("POST", &format!("{MAIN}/audio/actions/resetLoudness"), "", "").await.problem(409, "wrong_state");

    for number in 1..16 {
        api.post(SOURCES, tone(&format!("s{number}"), json!({}))).await.expect(201);
    }
    let problem = api.post(SOURCES, tone("more", json!({}))).await.problem(409, "limit_reached");
    assert_eq!(problem["detail"], "16 sources are the most there may be");
    let shown = api.get(MAIN).await.expect(200);
    assert_eq!(shown["audio"]["sources"].as_array().unwrap().len(), 16, "nothing of what was refused is there");
}

/// What was on air, from when to when, by whom: as lines of JSON and as a table.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_on_air_is_known_afterwards() {
    let api = Api::with(stream(&json!([square("a", "#ff0000")]))).await;
    let named = json!({ "id": "b", "name": "=cmd, \"b\"", "content": { "type": "color", "color": "#00ff00" } });
    api.post(LAYERS, named).await.expect(201);
    api.patch(&format!("{LAYERS}/a"), json!({ "content": { "color": "#0000ff" } })).await.expect(200);
    api.patch(&format!("{LAYERS}/a"), json!({ "enabled": false })).await.expect(200);
    let asked = async |query: &str| {
        let answer = api.get(&format!("{MAIN}/as-run?{query}")).await;
        (answer.status, answer.kind().to_owned(), String::from_utf8(answer.body.to_vec()).unwrap())
    };
    // The log follows; it does not hold up who changes.
    let lines = eventually("the layer is off in the log", async || {
        let (_, kind, text) = asked("").await;
        assert_eq!(kind, "application/jsonl");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.iter().any(|line| line["id"] == "a" && line["until"].is_object()).then_some(lines)
    })
    .await;
    let shown: Vec<_> =
        lines.iter().map(|line| (line["kind"].as_str().unwrap(), line["id"].as_str().unwrap())).collect();
    assert_eq!(shown, [("stream", "main"), ("scene", "main"), ("layer", "a"), ("layer", "b")]);
    let a = &lines[2];
    assert_eq!((&a["type"], &a["scene"], &a["until"]["actor"]), (&json!("color"), &json!("main"), &json!("anonymous")));
    assert!(a["until"]["frame"].as_u64() >= a["from"]["frame"].as_u64() && a["durationMs"].as_i64() >= Some(0), "{a}");
    assert_eq!(lines[3]["until"], Value::Null);

    let (_, kind, table) = asked("format=csv").await;
    assert!(kind.starts_with("text/csv"));
    let rows: Vec<_> = table.trim_end().split("\r\n").collect();
    assert!(rows[0].starts_with("stream,kind,id,") && rows.len() == 5, "{table}");
    assert!(rows[4].contains("\"'=cmd, \"\"b\"\"\""), "no formula: {}", rows[4]);
    assert_eq!(asked("to=1970-01-01T00:00:00Z").await.2, "");
    let first = api.get(&format!("{MAIN}/as-run?limit=3&from=0")).await;
    let next = first.headers["link"].to_str().unwrap();
    let rest = api.get(next[1..].split('>').next().unwrap()).await;
    assert_eq!([&first.body[..], &rest.body[..]].concat(), asked("").await.2.as_bytes(), "in two pages");
    assert!(next.contains("?limit=3&from=0&cursor=") && !rest.headers.contains_key("link"), "{next}");
    api.get(&format!("{MAIN}/as-run?from=yesterday")).await.problem(400, "bad_query");
    api.get(&format!("{MAIN}/as-run?format=xml")).await.problem(400, "bad_query");
    api.get("/api/v1/streams/none/as-run").await.problem(404, "not_found");

    api.act("main", "stop").await.expect(200);
    eventually("all is off", async || (!asked("").await.2.contains("\"until\":null")).then_some(())).await;
}
