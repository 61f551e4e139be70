//! What control does to streams on air: changes as they are announced.

mod support;

use serde_json::{Value, json};
use stream_manager::state::{Change, What};
use support::api::Api;
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
