//! The scenes of a stream over HTTP: made, changed, previewed, and taken on air with the frame that shows it.
//!
//! As in `tests/api.rs` the streams are real ones on the machine's Vulkan, and requests need no socket.

mod support;

use serde_json::{Value, json};
use support::{api::Api, eventually, pictures::pixel};

const MAIN: &str = "/api/v1/streams/main";
const SCENES: &str = "/api/v1/streams/main/scenes";
const TAKE: &str = "/api/v1/streams/main/take";
const PREVIEW: &str = "/api/v1/streams/main/preview";

const RED: [u8; 3] = [255, 0, 0];
const GREEN: [u8; 3] = [0, 255, 0];
const BLUE: [u8; 3] = [0, 0, 255];

/// A scene of one colour.
fn scene(id: &str, color: &str) -> Value {
    json!({ "id": id, "layers": [{ "id": "all", "content": { "type": "color", "color": color } }] })
}

/// A small stream with the scenes `red`, on air, and `green`.
fn stream(auto_start: bool) -> Value {
    json!({
        "id": "main", "canvas": { "width": 320, "height": 180, "fps": "25" }, "encoder": { "bitrateKbps": 500 },
        "scenes": [scene("red", "#ff0000"), scene("green", "#00ff00")], "autoStart": auto_start,
    })
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("{name}: {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn scenes_are_made_read_replaced_patched_and_deleted() {
    let api = Api::with(stream(false)).await;
    let all = api.get(SCENES).await.expect(200);
    assert_eq!((&all["program"], &all["preview"], &all["revision"]), (&json!("red"), &Value::Null, &json!(1)));
    assert_eq!(all["scenes"][1]["id"], "green");

    let made = api.post(SCENES, scene("blue", "#0000ff")).await;
    assert_eq!(made.headers["location"], format!("{SCENES}/blue"));
    let made = made.expect(201);
    assert_eq!((number(&made, "revision"), &made["scene"]["layers"][0]["id"]), (2, &json!("all")));
    api.post(SCENES, scene("blue", "#0000ff")).await.problem(409, "already_exists");

    let blue = format!("{SCENES}/blue");
    let got = api.get(&blue).await.expect(200);
    assert_eq!(api.put(&blue, got.clone()).await.expect(200)["scene"], got, "what was read may be written back");
    assert_eq!(api.patch(&blue, json!({ "name": "Sky" })).await.expect(200)["scene"]["name"], "Sky");
    api.patch(&blue, json!({ "id": "other" })).await.refused("/id", &["does not change"]);
    api.put(&blue, json!({ "layers": [{ "id": "x" }] })).await.refused("/layers/0", &["content"]);
    let missing = json!({ "layers": [{ "id": "x", "content": { "type": "image", "asset": "no-such.png" } }] });
    api.put(&blue, missing).await.refused("/layers/0/content", &["no-such.png"]);
    let font = json!({ "layers": [{ "id": "x", "content": { "type": "text", "text": "a", "font": "Nonesuch" } }] });
    api.put(&blue, font).await.refused("/layers/0/content/font", &["Nonesuch", "Inter"]);

    assert_eq!(number(&api.delete(&blue).await.expect(200), "revision"), 5);
    for answer in [api.get(&blue).await, api.delete(&blue).await, api.patch(&blue, json!({})).await] {
        answer.problem(404, "not_found");
    }
    api.get("/api/v1/streams/nobody/scenes").await.problem(404, "not_found");
    for (owned, word) in [("scenes", ".../scenes"), ("program", ".../take"), ("preview", ".../preview")] {
        api.patch(MAIN, json!({ owned: [] })).await.refused(&format!("/{owned}"), &[word]);
    }
    let shown = api.get(MAIN).await.expect(200);
    assert_eq!((&shown["program"], &shown["scenes"][0]["id"]), (&json!("red"), &json!("red")));
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_of_any_scene_are_changed_and_those_of_the_stream_are_on_air() {
    let api = Api::with(stream(true)).await;
    let patch = json!({ "content": { "color": "#0000ff" } });
    let green = format!("{SCENES}/green/layers");
    api.patch(&format!("{green}/all"), patch.clone()).await.expect(200);
    assert_eq!(api.get(&format!("{green}/all")).await.expect(200)["content"]["color"], "#0000ff");
    assert_eq!(api.get(&format!("{MAIN}/layers/all")).await.expect(200)["content"]["color"], "#ff0000");
    api.shows("main", 5, 5, RED).await;
    let made = api.post(&green, json!({ "id": "top", "content": { "type": "color", "color": "#ffffff" } })).await;
    assert_eq!(made.headers["location"], format!("{green}/top"));
    assert_eq!(api.get(&green).await.expect(200)["layers"].as_array().unwrap().len(), 2);
    assert_eq!(api.get(&format!("{MAIN}/layers")).await.expect(200)["layers"].as_array().unwrap().len(), 1);
    api.delete(&format!("{green}/top")).await.expect(200);
    api.get(&format!("{SCENES}/blue/layers")).await.problem(404, "not_found");

    api.post(TAKE, json!({ "scene": "green" })).await.expect(200);
    api.shows("main", 5, 5, BLUE).await;
    api.patch(&format!("{MAIN}/layers/all"), json!({ "content": { "color": "#00ff00" } })).await.expect(200);
    api.shows("main", 5, 5, GREEN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_is_on_the_picture_when_it_is_answered() {
    let api = Api::with(stream(true)).await;
    api.shows("main", 5, 5, RED).await;
    let taken = api.post(TAKE, json!({ "scene": "green" })).await.expect(200);
    assert_eq!((&taken["scene"], &taken["endFrame"]), (&json!("green"), &taken["appliedFrame"]));
    assert_eq!(number(&taken, "ptsMs"), number(&taken, "appliedFrame") * 40);
    api.shows("main", 5, 5, GREEN).await;
    assert_eq!(api.get(SCENES).await.expect(200)["program"], "green");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_take_says_when_it_ends_and_is_gone_then() {
    let api = Api::with(stream(true)).await;
    let fade = json!({ "type": "fade", "durationMs": 2010, "easing": "easeInOutSine" });
    let taken = api.post(TAKE, json!({ "scene": "green", "transition": fade })).await.expect(200);
    // 2010 ms are over with the 51st frame after the first.
    assert_eq!(number(&taken, "endFrame") - number(&taken, "appliedFrame"), 51);
    assert_eq!(number(&taken, "endPtsMs"), number(&taken, "endFrame") * 40);
    let program = api.get(SCENES).await.expect(200)["program"].clone();
    assert_eq!((&program["from"], &program["to"], &program["transition"]), (&json!("red"), &json!("green"), &fade));
    assert_eq!(number(&program, "startMs"), number(&taken, "appliedFrame") * 40);
    eventually("a mixture", async || {
        let [r, g, _] = pixel(&api.picture("main").await, 5, 5);
        (r > 20 && g > 20).then_some(())
    })
    .await;
    // The way back begins where the picture stands.
    let back = api.post(TAKE, json!({ "scene": "red", "transition": { "type": "fade", "durationMs": 200 } })).await;
    let back = back.expect(200);
    if number(&back, "appliedFrame") < number(&taken, "endFrame") {
        assert_eq!(api.get(MAIN).await.expect(200)["scenes"].as_array().unwrap().len(), 2);
    }
    api.shows("main", 5, 5, RED).await;
    eventually("the take is over", async || (api.get(SCENES).await.expect(200)["program"] == "red").then_some(()))
        .await;
    assert_eq!(api.get(MAIN).await.expect(200)["revision"], 3, "that a take is over is no change");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_a_transition_of_its_own() {
    let api = Api::with(stream(true)).await;
    assert_eq!(api.get(MAIN).await.expect(200)["defaultTransition"], json!({ "type": "cut" }));
    let push = json!({ "type": "push", "durationMs": 400, "easing": "linear", "direction": "up" });
    let patched = api.patch(MAIN, json!({ "defaultTransition": push })).await.expect(200);
    assert_eq!(patched["stream"]["defaultTransition"], push);
    let taken = api.post(TAKE, json!({ "scene": "green" })).await.expect(200);
    assert_eq!(number(&taken, "endFrame") - number(&taken, "appliedFrame"), 10);
    let wrong = json!({ "defaultTransition": { "direction": "in" } });
    api.patch(MAIN, wrong).await.refused("/defaultTransition/direction", &["left"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_take_on_a_stream_that_does_not_run_is_a_cut() {
    let api = Api::with(stream(false)).await;
    let fade = json!({ "type": "fade", "durationMs": 60_000 });
    let taken = api.post(TAKE, json!({ "scene": "green", "transition": fade })).await.expect(200);
    assert_eq!((&taken["appliedFrame"], &taken["endFrame"]), (&Value::Null, &Value::Null));
    assert_eq!(api.get(SCENES).await.expect(200)["program"], "green");

    // What is under way when it is stopped is over, for its next run begins at 0.
    api.act("main", "start").await.expect(200);
    api.post(TAKE, json!({ "scene": "red", "transition": fade })).await.expect(200);
    assert_eq!(api.get(SCENES).await.expect(200)["program"]["to"], "red");
    api.act("main", "stop").await.expect(200);
    assert_eq!(api.get(SCENES).await.expect(200)["program"], "red");
    api.act("main", "start").await.expect(200);
    api.shows("main", 5, 5, RED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_take_on_a_paused_stream_begins_when_it_is_released() {
    let api = Api::with(stream(true)).await;
    api.shows("main", 5, 5, RED).await;
    api.act("main", "pause").await.expect(200);
    let fade = json!({ "type": "fade", "durationMs": 200 });
    let taken = api.post(TAKE, json!({ "scene": "green", "transition": fade })).await.expect(200);
    assert_eq!((&taken["appliedFrame"], &taken["endFrame"]), (&Value::Null, &Value::Null), "not known");
    // Far longer than the fade takes.
    api.until_encoded("main", 10).await;
    assert_eq!(pixel(&api.picture("main").await, 5, 5), RED);
    assert_eq!(api.get(SCENES).await.expect(200)["program"]["to"], "green", "under way, and standing still");
    api.act("main", "resume").await.expect(200);
    api.shows("main", 5, 5, GREEN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_is_seen_before_it_is_taken_and_swapped() {
    let api = Api::with(stream(true)).await;
    assert_eq!(api.get(PREVIEW).await.expect(200), json!({ "scene": null }));
    api.get(&format!("{PREVIEW}.png")).await.problem(409, "wrong_state");
    api.post(TAKE, json!({})).await.refused("/scene", &["no scene is in preview"]);

    assert_eq!(api.put(PREVIEW, json!({ "scene": "green" })).await.expect(200)["scene"], "green");
    let picture = api.get(&format!("{PREVIEW}.png")).await;
    assert_eq!((picture.status, picture.kind()), (200, "image/png"), "{}", picture.text());
    let picture = image::load_from_memory(&picture.body).unwrap().to_rgba8();
    assert_eq!((picture.dimensions(), pixel(&picture, 5, 5)), ((320, 180), GREEN));
    api.shows("main", 5, 5, RED).await;

    let taken = api.post(TAKE, json!({ "swap": true })).await.expect(200);
    assert_eq!((&taken["scene"], &taken["preview"]), (&json!("green"), &json!("red")));
    api.shows("main", 5, 5, GREEN).await;
    assert_eq!(api.get(MAIN).await.expect(200)["preview"], "red");
    let taken = api.post(TAKE, json!({ "transition": { "type": "cut" } })).await.expect(200);
    assert_eq!((&taken["scene"], &taken["preview"]), (&json!("red"), &json!("red")), "stays without `swap`");

    api.put(PREVIEW, json!({ "scene": "blue" })).await.refused("/scene", &["`blue`", "red, green"]);
    assert_eq!(api.put(PREVIEW, json!({ "scene": null })).await.expect(200)["scene"], Value::Null);
    let mut wrong = stream(false);
    wrong["preview"] = json!("blue");
    wrong["id"] = json!("other");
    api.post("/api/v1/streams", wrong).await.refused("/preview", &["`blue`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scene_that_is_seen_is_not_deleted() {
    let api = Api::with(stream(true)).await;
    let detail = |problem: Value| problem["detail"].as_str().unwrap().to_owned();
    let red = format!("{SCENES}/red");
    assert!(detail(api.delete(&red).await.problem(409, "in_use")).contains("on air"));
    let fade = json!({ "type": "fade", "durationMs": 60_000 });
    api.post(TAKE, json!({ "scene": "green", "transition": fade })).await.expect(200);
    assert!(detail(api.delete(&red).await.problem(409, "in_use")).contains("on air"), "still being faded");
    api.post(TAKE, json!({ "scene": "green", "transition": { "type": "cut" } })).await.expect(200);
    let inset = json!({ "id": "inset", "content": { "type": "scene", "scene": "red" } });
    api.post(&format!("{MAIN}/layers"), inset).await.expect(201);
    api.shows("main", 5, 5, RED).await;
    assert!(detail(api.delete(&red).await.problem(409, "in_use")).contains("layer `inset` of scene `green`"));
    let circle = json!({ "id": "inset", "content": { "type": "scene", "scene": "green" } });
    api.post(&format!("{red}/layers"), circle).await.refused("/content", &["within itself"]);
    api.delete(&format!("{MAIN}/layers/inset")).await.expect(200);
    api.put(PREVIEW, json!({ "scene": "red" })).await.expect(200);
    api.delete(&red).await.expect(200);
    assert_eq!(api.get(PREVIEW).await.expect(200)["scene"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_takes_are_refused() {
    let api = Api::with(stream(true)).await;
    let refused = async |take: Value, pointer: &str, word: &str| api.post(TAKE, take).await.refused(pointer, &[word]);
    refused(json!({ "scene": "blue" }), "/scene", "`blue`").await;
    refused(json!({ "scene": "green", "when": 5 }), "/when", "`swap`").await;
    let with = |transition: Value| json!({ "scene": "green", "transition": transition });
    refused(with(json!({ "type": "star" })), "/transition/type", "fadeColor").await;
    refused(with(json!({ "type": "fade", "durationMs": 60_001 })), "/transition/durationMs", "60000").await;
    let stinger = json!({ "type": "stinger", "durationMs": 500, "triggerMs": 200,
        "content": { "type": "image", "asset": "no-such.png" } });
    refused(with(stinger), "/transition/content", "no-such.png").await;
    api.post("/api/v1/streams/nobody/take", json!({})).await.problem(404, "not_found");
    assert_eq!(api.get(MAIN).await.expect(200)["revision"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn scenes_are_limited() {
    let api = Api::with(stream(false)).await;
    for i in 2..64 {
        api.post(SCENES, json!({ "id": format!("s{i}") })).await.expect(201);
    }
    api.post(SCENES, json!({ "id": "s64" })).await.problem(409, "limit_reached");
}
