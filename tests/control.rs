//! What control does to streams on air: transactions that reach the picture on one frame or not at all, the way back, and
//! changes as they are announced. The frame that a change was answered with is compared with the first one that shows it.

mod support;

use serde_json::{Value, json};
use stream_manager::{
    pipeline::Look,
    state::{Change, What, output::Output},
};
use support::{api::Api, eventually};
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

/// The picture on air, and the first frame that showed it, once it shows this colour at a column.
async fn first_frame(api: &Api, number: u32, rgb: [u8; 3]) -> (u64, image::RgbImage) {
    let mut watch = api.streams.watch("main", Look { width: 320, quality: 95 }).unwrap();
    eventually("the picture shows it", async || {
        let shot = watch.next().await.ok()??;
        let picture = image::load_from_memory(&shot.jpeg).unwrap().to_rgb8();
        is_close(&picture, number, rgb).then_some((shot.frame, picture))
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
    let (frame, picture) = first_frame(&api, 0, [0, 0, 255]).await;
    assert_eq!(frame, applied, "all of it is seen from that frame on");
    assert!((0..9).all(|number| is_close(&picture, number, [0, 0, 255])) && is_close(&picture, 9, [16, 32, 48]));
    // The sound changes while that frame is on, and what begins with it has its time.
    let sample = done["appliedSample"].as_u64().unwrap();
    assert!((applied * 1920..(applied + 1) * 1920).contains(&sample), "{sample}: {done}");
    assert_eq!(done["results"][10]["layer"]["switched"]["atMs"].as_f64(), Some(applied as f64 * 40.0), "{done}");
    assert_eq!(done["results"][16]["source"]["fade"]["startMs"].as_f64().unwrap() * 48.0, sample as f64);
    let document = api.get(MAIN).await.expect(200);
    assert_eq!((&document["name"], &document["preview"]), (&json!("News"), &json!("two")));

    // A take with what it needs, on one frame too.
    let take = json!({ "op": "take", "transition": { "type": "fade", "durationMs": 80 }, "swap": true });
    let green = json!({ "op": "createLayer", "scene": "two", "document": column(1, "#00ff00") });
    let taken = api.post(TRANSACTIONS, json!({ "ops": [green, take] })).await.expect(200);
    assert_eq!(taken["results"][1]["preview"], "main");
    let (frame, picture) = first_frame(&api, 0, [0, 255, 0]).await;
    assert_eq!(json!(frame), taken["results"][1]["endFrame"]);
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
    assert_eq!(first_frame(&api, 0, [0, 0, 255]).await.0, done["appliedFrame"].as_u64().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_taken_back_and_made_again() {
    let api = on_air().await;
    api.post(&format!("{MAIN}/undo"), json!({})).await.problem(409, "wrong_state");
    let output = json!({ "id": "o", "url": "rtmp://127.0.0.1:9/live/secret", "enabled": false });
    api.post(&format!("{MAIN}/outputs"), output).await.expect(201);
    api.patch(&format!("{MAIN}/layers/c0"), json!({ "content": { "color": "#0000ff" } })).await.expect(200);
    first_frame(&api, 0, [0, 0, 255]).await;
    api.delete(&format!("{MAIN}/outputs/o")).await.expect(200);

    let undone = api.post(&format!("{MAIN}/undo"), json!({})).await.expect(200);
    assert_eq!((&undone["revision"], &undone["stream"]["outputs"][0]["id"]), (&json!(5), &json!("o")));
    assert_eq!(key(&api), "secret", "with its key");
    let undone = api.post(&format!("{MAIN}/undo"), json!({})).await.expect(200);
    assert_eq!(first_frame(&api, 0, [255, 0, 0]).await.0, undone["appliedFrame"].as_u64().unwrap());
    api.post(&format!("{MAIN}/redo"), json!({})).await.expect(200);
    first_frame(&api, 0, [0, 0, 255]).await;

    // A run's times mean nothing in the next one, and what is new ends what could be made again.
    api.act("main", "reset").await.expect(200);
    api.post(&format!("{MAIN}/undo"), json!({})).await.expect(200);
    first_frame(&api, 0, [255, 0, 0]).await;
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
    first_frame(&api, 0, [0, 0, 255]).await;
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
    assert_eq!(first_frame(&api, 0, [255, 0, 0]).await.0, restored["appliedFrame"].as_u64().unwrap());
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
    first_frame(&api, 0, [255, 0, 0]).await;
}
