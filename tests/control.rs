//! What control does to streams on air: transactions that reach the picture on one frame or not at all, the way back, and
//! changes as they are announced. The frame that a change was answered with is compared with the first one that shows it.

mod support;

use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::{Value, json};
use stream_manager::{
    api::auth::{Config, Role, TokenConfig, make_token},
    pipeline::Look,
    state::{Change, What, output::Output},
};
use support::{
    api::{Answer, Api},
    clients::{Socket, request},
    eventually,
};
use tokio::sync::broadcast::Receiver;

const MAIN: &str = "/api/v1/streams/main";

/// A small stream that does not run yet.
fn stream() -> Value {
    json!({
        "id": "main", "autoStart": false, "encoder": { "bitrateKbps": 500 },
        "canvas": { "width": 320, "height": 180, "fps": "25", "background": "#102030" },
    })
}

fn next(changes: &mut Receiver<Change>) -> Change {
    changes.try_recv().expect("it is announced before it is answered")
}

/// The stream key of the first output of `main`.
fn key(api: &Api) -> String {
    match &api.streams.get("main").unwrap().document.outputs[0] {
        Output::Rtmp(rtmp) => rtmp.key.expose().to_owned(),
        recording => panic!("{recording:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_announced_once_and_in_order() {
    let api = Api::new();
    let mut changes = api.streams.changes();
    api.post("/api/v1/streams", stream()).await.expect(201);
    let created = next(&mut changes);
    assert_eq!((created.what, created.revision, created.stream.as_str()), (What::Created, 1, "main"));
    assert_eq!(created.actor.name(), "anonymous");

    let renamed = api.patch(MAIN, json!({ "name": "News" })).await.expect(200);
    let change = next(&mut changes);
    assert_eq!((change.what, change.revision, change.applied), (What::Document, 2, None));
    assert_eq!((&renamed["actor"], &renamed["atUtcMs"]), (&json!("anonymous"), &json!(change.at_utc_ms)));
    assert_eq!(change.snapshot.document.name, "News");

    for (action, state) in [("start", "running"), ("pause", "paused"), ("resume", "running")] {
        let done = api.act("main", action).await.expect(200);
        let change = next(&mut changes);
        assert_eq!((change.what, change.revision), (What::Run, 2), "{action}");
        assert_eq!(change.snapshot.state.to_string(), state);
        assert_eq!(done["appliedFrame"], json!(change.applied.unwrap().frame), "{action}");
        api.act("main", action).await.expect(200);
        assert!(changes.try_recv().is_err(), "{action} once more changes nothing");
    }
    let layer = json!({ "id": "a", "content": { "type": "color", "color": "#ff0000" } });
    let made = api.post(&format!("{MAIN}/layers"), layer.clone()).await.expect(201);
    let change = next(&mut changes);
    assert_eq!(change.applied.map(|applied| applied.frame), made["appliedFrame"].as_u64());
    api.post(&format!("{MAIN}/layers"), layer).await.problem(409, "already_exists");

    api.act("main", "stop").await.expect(200);
    assert_eq!(next(&mut changes).what, What::Run, "what was refused was not announced");
    api.act("main", "stop").await.expect(200);
    api.delete(MAIN).await.expect(204);
    let gone = next(&mut changes);
    assert_eq!((gone.what, gone.revision), (What::Deleted, 3));
    assert!(changes.try_recv().is_err());
}

const TRANSACTIONS: &str = "/api/v1/streams/main/transactions";

/// A box of one colour in the column of that number.
fn column(number: u32, color: &str) -> Value {
    let transform = json!({ "positionX": number * 32, "positionY": 0, "width": 32, "height": 180 });
    json!({ "id": format!("c{number}"), "transform": transform, "content": { "type": "color", "color": color } })
}

/// A stream on air that shows ten red columns.
async fn on_air() -> Api {
    let mut stream = stream();
    stream["layers"] = (0..10).map(|number| column(number, "#ff0000")).collect();
    stream["autoStart"] = json!(true);
    let api = Api::with(stream).await;
    api.shows("main", 16, 90, [255, 0, 0]).await;
    api
}

/// The picture on air once it shows this colour at a column.
async fn shown(api: &Api, number: u32, rgb: [u8; 3]) -> image::RgbImage {
    pictures_until(api, |_, picture| is_close(picture, number, rgb)).await
}

/// The picture on air that shows this colour at a column from this frame on: of all pictures that are seen until then, those
/// of earlier frames do not show it, and those of that frame or a later one do. A busy machine leaves frames out.
async fn shown_from(api: &Api, frame: &Value, number: u32, rgb: [u8; 3]) -> image::RgbImage {
    let first = frame.as_u64().unwrap();
    let is_it = |frame, picture: &image::RgbImage| {
        let is_shown = is_close(picture, number, rgb);
        assert_eq!(is_shown, frame >= first, "frame {frame}, expected from {first} on");
        is_shown
    };
    pictures_until(api, is_it).await
}

/// The first picture that `is_it`, with the frame that showed it first.
async fn pictures_until(api: &Api, is_it: impl Fn(u64, &image::RgbImage) -> bool) -> image::RgbImage {
    let mut watch = api.streams.watch("main", Look { width: 320, quality: 95 }).unwrap();
    eventually("the picture shows it", async || {
        let shot = watch.next().await.ok()??;
        let picture = image::load_from_memory(&shot.jpeg).unwrap().to_rgb8();
        is_it(shot.frame, &picture).then_some(picture)
    })
    .await
}

fn is_close(picture: &image::RgbImage, number: u32, rgb: [u8; 3]) -> bool {
    picture.get_pixel(number * 32 + 16, 90).0.iter().zip(rgb).all(|(is, want)| is.abs_diff(want) < 24)
}

#[tokio::test(flavor = "multi_thread")]
async fn ops_of_all_kinds_reach_the_picture_on_one_frame() {
    let api = on_air().await;
    let mut ops: Vec<Value> = (0..10)
        .map(|n| json!({ "op": "patchLayer", "id": format!("c{n}"), "patch": { "content": { "color": "#0000ff" } } }))
        .collect();
    let tone = json!({ "id": "tone", "type": "tone", "gainDb": -20, "fade": { "durationMs": 200 } });
    let timer = json!({ "id": "timer", "opacity": 0, "content": { "type": "timer", "mode": "countup", "value": 0 } });
    ops.extend([
        json!({ "op": "createLayer", "document": timer }),
        json!({ "op": "actOnLayer", "id": "timer", "action": "start" }),
        json!({ "op": "deleteLayer", "id": "c9" }),
        json!({ "op": "createScene", "document": { "id": "two", "layers": [column(0, "#00ff00")] } }),
        json!({ "op": "patchScene", "id": "two", "patch": { "name": "Second" } }),
        json!({ "op": "setPreview", "scene": "two" }),
        json!({ "op": "createSource", "document": tone }),
        json!({ "op": "patchAudio", "patch": { "gainDb": -3 } }),
        json!({ "op": "createOutput", "document":
            { "id": "spare", "url": "rtmp://127.0.0.1:9/live/secret", "enabled": false } }),
        json!({ "op": "patchStream", "patch": { "name": "News", "encoder": { "bitrateKbps": 700 } } }),
    ]);
    let done = api.post(TRANSACTIONS, json!({ "ops": ops, "ifRevision": 1 })).await.expect(200);
    assert_eq!((&done["revision"], done["results"].as_array().unwrap().len()), (&json!(2), 20));
    let applied = done["appliedFrame"].as_u64().unwrap();
    let picture = shown_from(&api, &done["appliedFrame"], 0, [0, 0, 255]).await;
    assert!((0..9).all(|number| is_close(&picture, number, [0, 0, 255])) && is_close(&picture, 9, [16, 32, 48]));
    // The sound changes while that frame is on, and what begins with it has its time.
    let sample = done["appliedSample"].as_u64().unwrap();
    assert!((applied * 1920..(applied + 1) * 1920).contains(&sample), "{sample}: {done}");
    assert_eq!(done["results"][10]["layer"]["switched"]["atMs"].as_f64(), Some(applied as f64 * 40.0), "{done}");
    assert_eq!(
        done["results"][16]["source"]["fade"]["startMs"].as_f64().map(|ms| (ms * 48.0).round()),
        Some(sample as f64)
    );
    let document = api.get(MAIN).await.expect(200);
    assert_eq!((&document["name"], &document["preview"]), (&json!("News"), &json!("two")));

    // A take with what it needs, on one frame too.
    let take = json!({ "op": "take", "transition": { "type": "fade", "durationMs": 80 }, "swap": true });
    let green = json!({ "op": "createLayer", "scene": "two", "document": column(1, "#00ff00") });
    let taken = api.post(TRANSACTIONS, json!({ "ops": [green, take] })).await.expect(200);
    assert_eq!(taken["results"][1]["preview"], "main");
    let picture = shown_from(&api, &taken["results"][1]["endFrame"], 0, [0, 255, 0]).await;
    assert!(is_close(&picture, 1, [0, 255, 0]));
    assert!(!api.said().contains("secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_op_anywhere_changes_nothing() {
    let api = on_air().await;
    let output = json!({ "id": "o", "url": "rtmp://127.0.0.1:9/live/secret" });
    let good = [
        json!({ "op": "patchLayer", "id": "c0", "patch": { "content": { "color": "#0000ff" } } }),
        json!({ "op": "createSource", "document": { "id": "tone", "type": "tone" } }),
        json!({ "op": "createOutput", "document": output }),
        json!({ "op": "patchStream", "patch": { "encoder": { "bitrateKbps": 900 } } }),
    ];
    let image = json!({ "id": "gone", "content": { "type": "image", "asset": "no-such-picture.png" } });
    let before = api.get(MAIN).await.expect(200);
    let mut changes = api.streams.changes();
    for (wrong, status, code, pointer) in [
        (json!({ "op": "deleteLayer", "id": "nobody" }), 404, "not_found", ""),
        (
            json!({ "op": "patchLayer", "id": "c1", "patch": { "opacity": 7 } }),
            422,
            "invalid_document",
            "/patch/opacity",
        ),
        (json!({ "op": "createLayer", "document": image }), 422, "invalid_document", "/document/content"),
        (
            json!({ "op": "patchStream", "patch": { "canvas": { "width": 640, "height": 360 } } }),
            409,
            "wrong_state",
            "",
        ),
        (json!({ "op": "take", "scene": "nowhere" }), 422, "invalid_document", "/scene"),
        (json!({ "op": "fly" }), 422, "invalid_document", "/op"),
        (json!({ "op": "take", "speed": 3 }), 422, "invalid_document", "/speed"),
    ] {
        for at in [0, 2, 4] {
            let mut ops = good.to_vec();
            ops.insert(at, wrong.clone());
            let problem = api.post(TRANSACTIONS, json!({ "ops": ops })).await.problem(status, code);
            assert_eq!(problem["errors"][0]["pointer"], format!("/ops/{at}{pointer}"), "{problem}");
        }
    }
    api.post(TRANSACTIONS, json!({ "ops": good, "ifRevision": 7 })).await.problem(412, "revision_conflict");
    for (body, pointer) in [
        (json!({ "ops": [] }), "/ops"),
        (json!({ "ops": vec![good[0].clone(); 257] }), "/ops"),
        (json!({ "ops": good, "when": "now" }), "/when"),
    ] {
        assert_eq!(
            api.post(TRANSACTIONS, body).await.problem(422, "invalid_document")["errors"][0]["pointer"],
            pointer
        );
    }
    assert_eq!(api.get(MAIN).await.expect(200), before);
    let status = api.status("main").await;
    assert_eq!((&status["outputs"], &status["audio"]["sources"]), (&json!([]), &json!([])));
    assert!(changes.try_recv().is_err());
    let done = api.post(TRANSACTIONS, json!({ "ops": good })).await.expect(200);
    shown_from(&api, &done["appliedFrame"], 0, [0, 0, 255]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_taken_back_and_made_again() {
    let api = on_air().await;
    api.post(&format!("{MAIN}/undo"), json!({})).await.problem(409, "wrong_state");
    let output = json!({ "id": "o", "url": "rtmp://127.0.0.1:9/live/secret", "enabled": false });
    api.post(&format!("{MAIN}/outputs"), output).await.expect(201);
    api.patch(&format!("{MAIN}/layers/c0"), json!({ "content": { "color": "#0000ff" } })).await.expect(200);
    shown(&api, 0, [0, 0, 255]).await;
    api.delete(&format!("{MAIN}/outputs/o")).await.expect(200);

    let undone = api.post(&format!("{MAIN}/undo"), json!({})).await.expect(200);
    assert_eq!((&undone["revision"], &undone["stream"]["outputs"][0]["id"]), (&json!(5), &json!("o")));
    assert_eq!(key(&api), "secret", "with its key");
    let undone = api.post(&format!("{MAIN}/undo"), json!({})).await.expect(200);
    shown_from(&api, &undone["appliedFrame"], 0, [255, 0, 0]).await;
    api.post(&format!("{MAIN}/redo"), json!({})).await.expect(200);
    shown(&api, 0, [0, 0, 255]).await;

    // A run's times mean nothing in the next one, and what is new ends what could be made again.
    api.act("main", "reset").await.expect(200);
    api.post(&format!("{MAIN}/undo"), json!({})).await.expect(200);
    shown(&api, 0, [255, 0, 0]).await;
    api.patch(MAIN, json!({ "name": "News" })).await.expect(200);
    api.post(&format!("{MAIN}/redo"), json!({})).await.problem(409, "wrong_state");

    let history = api.get(&format!("{MAIN}/history")).await.expect(200);
    let ops: Vec<_> = history["history"].as_array().unwrap().iter().map(|record| record["ops"][0].clone()).collect();
    let expected =
        ["create", "createOutput o", "patchLayer c0", "deleteOutput o", "undo", "undo", "redo", "undo", "patchStream"];
    assert_eq!(json!(ops), json!(expected));
    assert_eq!(history["history"][2]["actor"], "anonymous");
    assert!(history["history"][2]["appliedFrame"].is_u64() && history["history"][0]["appliedFrame"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_kept_under_a_name_compared_and_restored() {
    let api = on_air().await;
    let output = json!({ "id": "o", "url": "rtmp://127.0.0.1:9/live/secret", "enabled": false });
    api.post(&format!("{MAIN}/outputs"), output).await.expect(201);
    let snapshots = format!("{MAIN}/snapshots");
    let made = api.post(&snapshots, json!({ "name": "red" })).await;
    assert_eq!(made.headers["location"], format!("{snapshots}/red"));
    assert_eq!(made.expect(201)["revision"], 2);
    api.post(&snapshots, json!({ "name": "red" })).await.problem(409, "already_exists");
    api.post(&snapshots, json!({ "name": "12" })).await.refused("/name", &["revision"]);
    api.post(&snapshots, json!({ "name": "x", "now": true })).await.refused("/now", &["unknown field"]);

    let patch = json!({ "content": { "color": "#0000ff" } });
    api.patch(&format!("{MAIN}/layers/c0"), patch).await.expect(200);
    shown(&api, 0, [0, 0, 255]).await;
    api.delete(&format!("{MAIN}/outputs/o")).await.expect(200);
    let place = "/layers/0/content/color";
    let expected = json!([{ "op": "replace", "path": place, "value": "#0000ff" }]);
    assert_eq!(api.get(&format!("{MAIN}/diff?from=2&to=3")).await.expect(200), expected);
    let all = api.get(&format!("{MAIN}/diff?from=red")).await.expect(200);
    assert!(all.as_array().unwrap().contains(&json!({ "op": "remove", "path": "/outputs/0" })), "{all}");
    for (query, code) in [("from=99", 404), ("from=2&to=gone", 404), ("to=2", 400), ("from=2&until=3", 400)] {
        assert_eq!(api.get(&format!("{MAIN}/diff?{query}")).await.status, code, "{query}");
    }

    let restored = api.post(&format!("{snapshots}/red/restore"), json!({})).await.expect(200);
    shown_from(&api, &restored["appliedFrame"], 0, [255, 0, 0]).await;
    assert_eq!(key(&api), "secret");
    assert_eq!(api.get(&format!("{MAIN}/diff?from=red")).await.expect(200), json!([]));
    let listed = api.get(&snapshots).await.expect(200);
    assert_eq!((listed["snapshots"].as_array().unwrap().len(), &listed["snapshots"][0]["name"]), (1, &json!("red")));
    assert_eq!(api.get(&format!("{snapshots}/red")).await.expect(200)["stream"]["outputs"][0]["id"], "o");
    api.delete(&format!("{snapshots}/red")).await.expect(204);
    api.post(&format!("{snapshots}/red/restore"), json!({})).await.problem(404, "not_found");
    assert!(!api.said().contains("secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_what_would_be_and_touches_nothing() {
    let api = on_air().await;
    let before = api.get(MAIN).await.expect(200);
    let mut changes = api.streams.changes();
    let blue = json!({ "op": "patchLayer", "id": "c0", "patch": { "content": { "color": "#0000ff" } } });
    let scene = json!({ "op": "createScene", "document": { "id": "two", "layers": [column(1, "#00ff00")] } });
    let take = json!({ "op": "take", "scene": "two", "transition": { "type": "fade", "durationMs": 1000 } });
    let ops = json!({ "ops": [blue, scene, take] });
    for (t, column_0, column_1) in [
        ("", [0, 0, 255], [255, 0, 0]),
        ("&t=2.5s", [16, 32, 48], [0, 255, 0]),
        ("&t=1200ms", [16, 32, 48], [0, 255, 0]),
    ] {
        let answer = api.post(&format!("{TRANSACTIONS}?dryRun=png{t}"), ops.clone()).await;
        assert_eq!((answer.status, answer.kind()), (200, "image/png"), "{}", answer.text());
        let picture = image::load_from_memory(&answer.body).unwrap().to_rgb8();
        assert!(is_close(&picture, 0, column_0) && is_close(&picture, 1, column_1), "{t}");
    }
    for query in
        ["dryRun=gif", "t=1s", "dryRun=png&t=1", "dryRun=png&t=-1s", "dryRun=png&t=infs", "dryRun=png&t=9e9s", "x=1"]
    {
        api.post(&format!("{TRANSACTIONS}?{query}"), ops.clone()).await.problem(400, "bad_query");
    }
    let wrong = json!({ "ops": [{ "op": "deleteLayer", "id": "nobody" }] });
    api.post(&format!("{TRANSACTIONS}?dryRun=png"), wrong).await.problem(404, "not_found");
    let stale = json!({ "ops": ops["ops"], "ifRevision": 9 });
    api.post(&format!("{TRANSACTIONS}?dryRun=png"), stale).await.problem(412, "revision_conflict");
    assert_eq!(api.get(MAIN).await.expect(200), before);
    assert!(changes.try_recv().is_err());
    shown(&api, 0, [255, 0, 0]).await;
}

const SCHEDULE: &str = "/api/v1/streams/main/schedule";

/// An op that gives the column of that number this colour.
fn paint(number: u32, color: &str) -> Value {
    json!({ "op": "patchLayer", "id": format!("c{number}"), "patch": { "content": { "color": color } } })
}

/// The next frame, by a change that shows nothing.
async fn next_frame(api: &Api) -> u64 {
    let renamed = api.patch(MAIN, json!({ "name": format!("{}", api.said().len()) })).await.expect(200);
    renamed["appliedFrame"].as_u64().unwrap()
}

/// The frame for which a transaction was due that was carried out: as many before the one that shows it as it was late. It is
/// never early, and only on a machine that is too busy late.
fn due_frame(entry: &Value) -> u64 {
    assert_eq!(entry["state"], "done", "{entry}");
    let due = entry["appliedFrame"].as_u64().unwrap() - entry["lateFrames"].as_u64().unwrap();
    assert!(entry["at"]["frame"].as_u64().is_none_or(|frame| frame == due), "{entry}");
    due
}

/// The scheduled transaction of that id, once it is over.
async fn over(api: &Api, id: &str) -> Value {
    eventually("it is over", async || {
        let entry = api.get(&format!("{SCHEDULE}/{id}")).await.expect(200);
        (entry["state"] != "pending").then_some(entry)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_scheduled_is_seen_from_its_very_frame_on() {
    let api = on_air().await;
    let due = next_frame(&api).await + 75;
    let ops = json!([paint(0, "#0000ff"), paint(9, "#0000ff"),
        { "op": "createSource", "document": { "id": "tone", "type": "tone", "gainDb": -20 } }]);
    let made = api.post(TRANSACTIONS, json!({ "ops": ops, "at": { "frame": due } })).await;
    assert_eq!(made.headers["location"], format!("{SCHEDULE}/1"));
    let made = made.expect(202);
    assert_eq!((&made["id"], &made["state"], &made["dueFrame"]), (&json!("1"), &json!("pending"), &json!(due)));
    assert_eq!(made["ops"], json!(["patchLayer c0", "patchLayer c9", "createSource tone"]));
    assert_eq!(api.get(SCHEDULE).await.expect(200)["scheduled"][0]["state"], "pending");
    assert_eq!(api.status("main").await["scheduled"], 1);
    let before = api.get(MAIN).await.expect(200);
    assert_eq!(before["layers"][0]["content"]["color"], "#ff0000", "it is not done yet");

    let mut changes = api.streams.changes();
    let done = over(&api, "1").await;
    assert_eq!(due_frame(&done), due);
    let picture = shown_from(&api, &done["appliedFrame"], 0, [0, 0, 255]).await;
    assert!(is_close(&picture, 9, [0, 0, 255]) && is_close(&picture, 5, [255, 0, 0]));
    assert_eq!(
        (&done["revision"], &done["actor"]),
        (&json!(before["revision"].as_u64().unwrap() + 1), &json!("anonymous"))
    );
    let change =
        eventually("it is announced", async || changes.try_recv().ok().filter(|change| change.what == What::Document))
            .await;
    let applied = change.applied.unwrap();
    assert_eq!((json!(applied.frame), json!(applied.pts_ms)), (done["appliedFrame"].clone(), done["ptsMs"].clone()));
    assert_eq!(applied.pts_ms, applied.frame * 40);
    let source = api.get(&format!("{MAIN}/audio/sources/tone")).await.expect(200);
    assert_eq!(source["id"], "tone");
    let history = api.get(&format!("{MAIN}/history")).await.expect(200);
    assert_eq!(history["history"].as_array().unwrap().last().unwrap()["appliedFrame"], done["appliedFrame"]);
    let ended = "stream_manager_schedule_ended_total{outcome=\"done\",stream=\"main\"}";
    assert_eq!(api.metric(ended).await, 1.0);

    // At a moment of the world's time, in the order in which they come and not in which they were made.
    let utc_ms = api.streams.services().clock.utc_ms();
    let at = |ms: i64| json!({ "utc": utc_ms + ms });
    api.post(TRANSACTIONS, json!({ "ops": [paint(0, "#ffffff")], "at": at(1500) })).await.expect(202);
    api.post(TRANSACTIONS, json!({ "ops": [paint(0, "#00ff00")], "at": at(1000) })).await.expect(202);
    let (late, early) = (over(&api, "2").await, over(&api, "3").await);
    let between = due_frame(&late) - due_frame(&early);
    assert!((12..=13).contains(&between), "half a second: {early} {late}");
    shown_from(&api, &late["appliedFrame"], 0, [255, 255, 255]).await;

    // On its very frame, unless the machine is too busy each time.
    for attempt in 0.. {
        let at = json!({ "frame": next_frame(&api).await + 30 });
        let made = api.post(TRANSACTIONS, json!({ "ops": [paint(1, "#0000ff")], "at": at })).await.expect(202);
        let done = over(&api, made["id"].as_str().unwrap()).await;
        if done["appliedFrame"] == at["frame"] {
            break;
        }
        assert!(attempt < 20, "it is late each time: {done}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_frame_has_what_was_scheduled_for_it() {
    let api = on_air().await;
    // One for each of many frames in a row: a column at a time becomes green, then blue, then white.
    let colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]];
    let written = ["#ff0000", "#00ff00", "#0000ff", "#ffffff"];
    let due = next_frame(&api).await + 75;
    for k in 0..30 {
        let body = json!({ "ops": [paint(k as u32 % 10, written[1 + k / 10])], "at": { "frame": due + k as u64 } });
        api.post(TRANSACTIONS, body).await.expect(202);
    }
    let seen = std::cell::RefCell::new(Vec::new());
    pictures_until(&api, |frame, picture| {
        let columns: Vec<_> = (0..10).map(|n| colours.iter().position(|rgb| is_close(picture, n, *rgb))).collect();
        let is_last = columns.iter().all(|colour| *colour == Some(3));
        seen.borrow_mut().push((frame, columns));
        is_last
    })
    .await;
    let scheduled = api.get(SCHEDULE).await.expect(200)["scheduled"].clone();
    let applied: Vec<_> = scheduled.as_array().unwrap().iter().map(|entry| entry["appliedFrame"].as_u64()).collect();
    assert!(applied.len() == 30 && applied.is_sorted(), "{applied:?}");
    let expected = |frame: u64| -> Vec<_> {
        let done = applied.iter().filter(|applied| applied.is_some_and(|applied| applied <= frame)).count();
        (0..10).map(|n| Some((0..3).filter(|round| round * 10 + n < done).count())).collect()
    };
    for (frame, columns) in seen.into_inner() {
        assert_eq!(columns, expected(frame), "frame {frame}, the first was for {due}");
    }
    let dues: Vec<_> = scheduled.as_array().unwrap().iter().map(due_frame).collect();
    assert_eq!(dues, (due..due + 30).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_transition_is_a_moment() {
    let api = on_air().await;
    let at_end = |ops: Value| json!({ "ops": ops, "at": "transitionEnd" });
    api.post(TRANSACTIONS, at_end(json!([paint(0, "#0000ff")]))).await.refused("/at", &["no transition"]);
    let scene = |id: &str, color: &str| json!({ "id": id, "layers": [column(0, color)] });
    api.post(&format!("{MAIN}/scenes"), scene("two", "#00ff00")).await.expect(201);
    let fade = json!({ "scene": "two", "transition": { "type": "fade", "durationMs": 1500 } });
    let taken = api.post(&format!("{MAIN}/take"), fade).await.expect(200);
    // The second one comes with the first; where that was late, with the next frame.
    let made = api.post(TRANSACTIONS, at_end(json!([paint(0, "#0000ff")]))).await.expect(202);
    assert_eq!(made["dueFrame"], taken["endFrame"]);
    api.post(TRANSACTIONS, at_end(json!([{ "op": "createLayer", "document": column(1, "#0000ff") }])))
        .await
        .expect(202);
    let (first, second) = (over(&api, "1").await, over(&api, "2").await);
    assert_eq!(json!(due_frame(&first)), taken["endFrame"]);
    assert!(second["appliedFrame"].as_u64() >= first["appliedFrame"].as_u64(), "{first} {second}");
    let picture = shown_from(&api, &second["appliedFrame"], 1, [0, 0, 255]).await;
    assert!(is_close(&picture, 0, [0, 0, 255]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_scheduled_is_refused_and_what_is_can_be_cancelled() {
    let api = on_air().await;
    let frame = next_frame(&api).await;
    let with = |at: Value| json!({ "ops": [paint(0, "#0000ff")], "at": at });
    let before = api.get(MAIN).await.expect(200);
    for (at, pointer, words) in [
        (json!({ "frame": 0 }), "/at/frame", "has begun"),
        (json!({ "utc": "2001-02-03T04:05:06Z" }), "/at/utc", "ago"),
        (json!({ "utc": "2099-01-01T00:00:00Z" }), "/at/utc", "366 days"),
        (json!({ "frame": 1u64 << 60 }), "/at/frame", "366 days"),
        (json!({ "utc": "tomorrow" }), "/at", "RFC 3339"),
        (json!({ "frame": -1 }), "/at", "invalid value"),
        (json!({ "later": 1 }), "/at", "transitionEnd"),
        (json!("now"), "/at", "transitionEnd"),
    ] {
        api.post(TRANSACTIONS, with(at)).await.refused(pointer, &[words]);
    }
    let at = json!({ "frame": frame + 3000 });
    let wrong = json!({ "ops": [paint(0, "#0000ff"), { "op": "deleteLayer", "id": "nobody" }], "at": at });
    let problem = api.post(TRANSACTIONS, wrong).await.problem(404, "not_found");
    assert_eq!(problem["errors"][0]["pointer"], "/ops/1", "what is wrong now is wrong");
    api.post(&format!("{TRANSACTIONS}?dryRun=png"), with(at.clone())).await.refused("/at", &["dry run"]);
    let mut stale = with(at.clone());
    stale["ifRevision"] = json!(1);
    api.post(TRANSACTIONS, stale).await.problem(412, "revision_conflict");
    assert_eq!(api.get(SCHEDULE).await.expect(200), json!({ "scheduled": [] }));

    // Cancelled a second before it would come.
    api.post(TRANSACTIONS, with(json!({ "frame": next_frame(&api).await + 40 }))).await.expect(202);
    let cancelled = api.delete(&format!("{SCHEDULE}/1")).await.expect(200);
    assert_eq!((&cancelled["state"], &cancelled["id"]), (&json!("cancelled"), &json!("1")));
    api.delete(&format!("{SCHEDULE}/1")).await.problem(404, "not_found");
    api.get(&format!("{SCHEDULE}/01")).await.problem(404, "not_found");
    let (frame, limit) = (next_frame(&api).await, stream_manager::state::SCHEDULED_MAX);
    for i in 0..limit as u64 {
        api.post(TRANSACTIONS, with(json!({ "frame": frame + 3000 + i }))).await.expect(202);
    }
    api.post(TRANSACTIONS, with(at)).await.problem(409, "limit_reached");
    assert_eq!(api.metric("stream_manager_schedule_pending{stream=\"main\"}").await, limit as f64);
    eventually("its frame has passed", async || (next_frame(&api).await > frame + 45).then_some(())).await;
    shown(&api, 0, [255, 0, 0]).await;
    assert_eq!(api.get(MAIN).await.expect(200)["layers"], before["layers"]);

    // Frames end with their run, and nobody can wait for one that is not there.
    api.act("main", "stop").await.expect(200);
    let missed = over(&api, "2").await;
    assert!(missed["state"] == "missed" && missed["reason"].as_str().unwrap().contains("stopped"), "{missed}");
    api.delete(&format!("{SCHEDULE}/65")).await.problem(409, "wrong_state");
    api.post(TRANSACTIONS, with(json!({ "frame": 5 }))).await.problem(409, "wrong_state");
    let utc_ms = api.streams.services().clock.utc_ms() + 200;
    let made = api.post(TRANSACTIONS, with(json!({ "utc": utc_ms }))).await.expect(202);
    let done = over(&api, made["id"].as_str().unwrap()).await;
    assert_eq!((&done["state"], &done["appliedFrame"]), (&json!("done"), &Value::Null), "{done}");
    assert_eq!(api.get(MAIN).await.expect(200)["layers"][0]["content"]["color"], "#0000ff");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_when_it_is_due_is_told_and_touches_nothing() {
    let api = on_air().await;
    let address = api.serve().await;
    // One that asks and one that listens: what is told meanwhile is not lost among answers.
    let (mut asking, mut socket) = (Socket::connect(address), Socket::connect(address));
    socket.ask(&json!({ "subscribe": "events", "intervalMs": 40 }));
    let due = next_frame(&api).await + 50;
    let command = json!({ "id": "a", "command": "transaction", "stream": "main", "at": { "frame": due },
        "ops": [paint(0, "#0000ff"), paint(1, "#0000ff")] });
    assert_eq!(asking.ask(&command)["result"]["state"], "pending");
    let told = |socket: &mut Socket, change: &str| {
        socket.told(|value| value["event"] == "schedule" && value["change"] == change)
    };
    assert_eq!(told(&mut socket, "scheduled")["scheduled"]["id"], "1");
    api.delete(&format!("{MAIN}/layers/c1")).await.expect(200);
    let before = api.get(MAIN).await.expect(200);
    let failed = told(&mut socket, "failed");
    assert_eq!((&failed["stream"], &failed["actor"]), (&json!("main"), &json!("anonymous")));
    let reason = failed["scheduled"]["reason"].as_str().unwrap();
    assert!(reason.contains("op 1") && reason.contains("c1"), "{reason}");
    let mut entry = over(&api, "1").await;
    assert_eq!((&entry["state"], entry["reason"].as_str()), (&json!("failed"), Some(reason)));
    entry["id"] = failed["scheduled"]["id"].clone();
    assert_eq!(entry, failed["scheduled"]);
    eventually("its frame has passed", async || (next_frame(&api).await > due).then_some(())).await;
    let after = api.get(MAIN).await.expect(200);
    assert_eq!(after["layers"], before["layers"], "not even the op that was good");
    shown(&api, 0, [255, 0, 0]).await;

    // Who wants it only while nobody else has changed anything is not done either.
    let revision = after["revision"].as_u64().unwrap();
    let due = after_ms(&api, 800);
    let only = json!({ "ops": [paint(0, "#0000ff")], "at": due, "ifRevision": revision });
    let only = api.post(TRANSACTIONS, only).await.expect(202);
    api.patch(MAIN, json!({ "name": "somebody else" })).await.expect(200);
    let failed = over(&api, only["id"].as_str().unwrap()).await;
    assert!(failed["state"] == "failed" && failed["reason"].as_str().unwrap().contains("revision"), "{failed}");

    let later = json!({ "ops": [paint(0, "#0000ff")], "at": after_ms(&api, 60_000) });
    let later = api.post(TRANSACTIONS, later).await.expect(202);
    let cancel = json!({ "id": "b", "command": "cancel", "stream": "main", "scheduled": later["id"] });
    assert_eq!(asking.ask(&cancel)["result"]["state"], "cancelled");
    assert_eq!(told(&mut socket, "cancelled")["scheduled"]["id"], later["id"]);
    assert_eq!(asking.ask(&cancel)["problem"]["code"], "not_found");
}

/// A moment that is so far ahead.
fn after_ms(api: &Api, ms: i64) -> Value {
    json!({ "utc": api.streams.services().clock.utc_ms() + ms })
}

/// A daemon with a token for each of two operators and an admin.
struct Shared {
    api: Api,
    tokens: Vec<(&'static str, String)>,
}

impl Shared {
    async fn new() -> Self {
        let mut config = Config::default();
        let mut tokens = Vec::new();
        for (name, role) in [("anna", Role::Operator), ("ben", Role::Operator), ("chief", Role::Admin)] {
            let (token, hash) = make_token();
            tokens.push((name, token.expose().to_owned()));
            let streams = vec!["*".to_owned()];
            config.tokens.push(TokenConfig { name: name.into(), role, streams, hash: Some(hash), secret: None });
        }
        let shared = Self { api: Api::guarded(&config), tokens };
        let mut stream = stream();
        stream["layers"] = json!([column(0, "#ff0000"), column(1, "#ff0000")]);
        shared.ask("chief", "POST", "/api/v1/streams", stream).await.expect(201);
        shared
    }

    fn token(&self, name: &str) -> &str {
        self.tokens.iter().find(|(known, _)| *known == name).map(|(_, token)| token).unwrap()
    }

    async fn ask(&self, name: &str, method: &str, path: &str, body: Value) -> Answer {
        let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        let request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token(name)));
        self.api.answer(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn locks(&self) -> Value {
        self.ask("anna", "GET", &format!("{MAIN}/status"), Value::Null).await.expect(200)["locks"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_layer_is_its_owners_alone() {
    let shared = Shared::new().await;
    let ask = async |name: &str, method: &str, path: &str, body: Value| {
        shared.ask(name, method, &format!("{MAIN}{path}"), body).await
    };
    ask("ben", "POST", "/snapshots", json!({ "name": "early" })).await.expect(201);
    ask("anna", "PATCH", "/layers/c0", json!({ "opacity": 0.9 })).await.expect(200);
    ask("anna", "GET", "/layers/c0/lock", Value::Null).await.problem(404, "not_found");
    ask("anna", "PUT", "/layers/nobody/lock", json!({})).await.problem(404, "not_found");
    ask("anna", "PUT", "/layers/c0/lock", json!({ "seconds": 3601 })).await.refused("/seconds", &["1 to 3600"]);
    ask("anna", "PUT", "/layers/c0/lock", json!({ "minutes": 1 })).await.refused("/minutes", &["seconds"]);
    let lock = ask("anna", "PUT", "/layers/c0/lock", json!({ "seconds": 600 })).await.expect(200);
    assert_eq!((&lock["owner"], &lock["scene"], &lock["layer"]), (&json!("anna"), &json!("main"), &json!("c0")));
    assert_eq!(shared.locks().await, json!([lock]));
    assert_eq!(ask("ben", "GET", "/scenes/main/layers/c0/lock", Value::Null).await.expect(200), lock);
    let before = ask("ben", "GET", "", Value::Null).await.expect(200);

    // What takes an admin now takes one later, too, and no key is ever told.
    let output = json!({ "id": "o", "url": "rtmp://127.0.0.1:9/live", "key": "hidden_key", "enabled": false });
    let at = after_ms(&shared.api, 600_000);
    let later = json!({ "ops": [{ "op": "createOutput", "document": output }], "at": at });
    ask("anna", "POST", "/transactions", later.clone()).await.problem(403, "forbidden");
    let later = ask("chief", "POST", "/transactions", later).await.expect(202);
    assert_eq!(later["ops"], json!(["createOutput o"]));
    let path = format!("/schedule/{}", later["id"].as_str().unwrap());
    ask("anna", "GET", &path, Value::Null).await.expect(200);
    ask("anna", "DELETE", &path, Value::Null).await.expect(200);
    assert!(!shared.api.said().contains("hidden_key"));

    // However somebody else would change it: an admin, too, has to break it first.
    let red = column(0, "#00ff00");
    let is_locked = |answer: Answer| {
        let problem = answer.problem(423, "locked");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("anna") && detail.contains("until 20"), "{detail}");
        problem
    };
    for name in ["ben", "chief"] {
        is_locked(ask(name, "PUT", "/layers/c0/lock", json!({})).await);
        is_locked(ask(name, "PATCH", "/layers/c0", json!({ "opacity": 0.5 })).await);
        is_locked(ask(name, "PUT", "/layers/c0", red.clone()).await);
        is_locked(ask(name, "DELETE", "/layers/c0", Value::Null).await);
        is_locked(ask(name, "PATCH", "/scenes/main", json!({ "layers": [column(1, "#ff0000")] })).await);
        is_locked(ask(name, "PUT", "/scenes/main", json!({ "layers": [red] })).await);
        for query in ["", "?dryRun=png"] {
            let ops = json!({ "ops": [paint(1, "#0000ff"), paint(0, "#0000ff")] });
            let problem = is_locked(ask(name, "POST", &format!("/transactions{query}"), ops).await);
            assert_eq!(problem["errors"][0]["pointer"], "/ops/1");
        }
    }
    is_locked(ask("chief", "POST", "/undo", Value::Null).await);
    is_locked(ask("chief", "POST", "/snapshots/early/restore", Value::Null).await);
    is_locked(ask("ben", "DELETE", "/layers/c0/lock", Value::Null).await);
    assert_eq!(ask("ben", "GET", "", Value::Null).await.expect(200), before);

    // What is beside it is free, and can be taken back.
    ask("ben", "PATCH", "/layers/c1", json!({ "opacity": 0.5 })).await.expect(200);
    ask("chief", "POST", "/undo", Value::Null).await.expect(200);
    ask("ben", "POST", "/scenes", json!({ "id": "two", "layers": [column(0, "#0000ff")] })).await.expect(201);
    ask("ben", "POST", "/take", json!({ "scene": "two" })).await.expect(200);
    ask("ben", "PATCH", "/layers/c0", json!({ "opacity": 0.5 })).await.expect(200);
    is_locked(ask("ben", "PATCH", "/scenes/main/layers/c0", json!({ "opacity": 0.5 })).await);
    ask("ben", "POST", "/take", json!({ "scene": "main" })).await.expect(200);

    // Its owner goes on, and renews it; an admin breaks it.
    ask("anna", "PATCH", "/layers/c0", json!({ "opacity": 0.7 })).await.expect(200);
    let renewed = ask("anna", "PUT", "/layers/c0/lock", json!({ "seconds": 3600 })).await.expect(200);
    assert!(renewed["expiresUtcMs"].as_i64() > lock["expiresUtcMs"].as_i64());
    assert_eq!(ask("chief", "DELETE", "/layers/c0/lock", Value::Null).await.expect(200), renewed);
    assert_eq!(shared.locks().await, json!([]));
    ask("ben", "PATCH", "/layers/c0", json!({ "opacity": 0.5 })).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_are_told_and_end_by_themselves() {
    let shared = Shared::new().await;
    let address = shared.api.serve().await;
    let connect = |name: &str| {
        let mut request = request(address);
        let protocol = format!("stream-manager, bearer.{}", shared.token(name));
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        Socket::open(request).unwrap()
    };
    let (mut anna, mut ben) = (connect("anna"), connect("ben"));
    ben.ask(&json!({ "subscribe": "events", "intervalMs": 40 }));
    let of_c0 = |name: &str| json!({ "id": name, "command": name, "stream": "main", "layer": "c0" });
    let told =
        |socket: &mut Socket, change: &str| socket.told(|value| value["event"] == "lock" && value["change"] == change);
    let mut lock = of_c0("lock");
    lock["seconds"] = json!(600);
    assert_eq!(anna.ask(&lock)["result"]["owner"], "anna");
    assert_eq!(told(&mut ben, "locked")["lock"]["layer"], "c0");
    assert_eq!(ben.ask(&of_c0("unlock"))["problem"]["code"], "locked");
    let wrong = ben.ask(&json!({ "command": "lock", "stream": "main" }));
    assert_eq!(wrong["problem"]["errors"][0]["pointer"], "/layer");
    assert_eq!(anna.ask(&of_c0("unlock"))["result"]["layer"], "c0");
    assert_eq!(told(&mut ben, "released")["actor"], "anna");

    // What somebody has scheduled stops at a lock that holds when it is due, and not before.
    let ops = json!([paint(0, "#0000ff")]);
    lock["seconds"] = json!(2);
    anna.ask(&lock);
    assert_eq!(told(&mut ben, "locked")["lock"]["owner"], "anna");
    let at = |ms| after_ms(&shared.api, ms);
    for at in [at(700), at(3500)] {
        let body = json!({ "ops": ops, "at": at });
        shared.ask("ben", "POST", TRANSACTIONS, body).await.expect(202);
    }
    let failed = ben.told(|value| value["event"] == "schedule" && value["change"] == "failed");
    assert!(failed["scheduled"]["reason"].as_str().unwrap().contains("locked by anna"), "{failed}");
    assert_eq!(told(&mut ben, "expired")["lock"]["owner"], "anna");
    assert_eq!(shared.locks().await, json!([]));
    let done = ben.told(|value| value["event"] == "schedule" && value["change"] == "done");
    assert_eq!(done["actor"], "ben", "whoever has scheduled it does it");
}
