//! What outlives the process: both stores by one contract, files that are torn, and daemons that are killed on air, lose their
//! Redis, or share one.
//!
//! Redis is a real server of its own for each test. Frames are compared: a picture that stood still is the very same after
//! `kill -9`, and one that moves is where the stream's own time says.

mod servers;
mod support;

use std::{
    collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path, process::Command, sync::Arc, time::Duration,
};

use image::RgbaImage;
use serde_json::{Value, json};
use servers::{
    Nginx,
    certificates::Authority,
    ffprobe_json,
    proxy::{Fault, Proxy},
    redis::{Redis as RedisServer, Sentinel},
};
use stream_manager::{
    base::{
        clock::{Clock, ManualClock, SystemClock},
        id::Id,
        secret::Secret,
    },
    state::store::{Directory, Embedded, Error, Found, Key, Kind, RECORD_LEN_MAX, Redis, Store, Write, redis},
};
use support::{daemon::Daemon, eventually, program, until};
use tempfile::TempDir;

const MAIN: &str = "/api/v1/streams/main";
const ASSETS: &str = "/api/v1/assets";

fn key(id: &str) -> Key {
    Key::new(Kind::Stream, Id::new(id).unwrap())
}

fn write(id: &str, expected: Option<u64>, bytes: &'static str) -> Write {
    Write { key: key(id), expected, above: 0, bytes: bytes.into() }
}

/// What every store promises.
async fn keeps_the_contract(store: &dyn Store) {
    store.check().await.unwrap();
    assert_eq!(store.load(Kind::Stream).await.unwrap(), []);
    assert_eq!(store.get(key("a")).await.unwrap(), Found::Missing);

    // Made once, changed by who knows the revision.
    let first = store.put(write("a", None, "one")).await.unwrap();
    assert_eq!(store.put(write("a", None, "other")).await, Err(Error::Conflict { found: Some(first) }));
    assert_eq!(store.put(write("a", Some(first + 7), "other")).await, Err(Error::Conflict { found: Some(first) }));
    let second = store.put(write("a", Some(first), "two")).await.unwrap();
    assert!(second > first);
    assert_eq!(store.put(write("b", Some(1), "b")).await, Err(Error::Conflict { found: None }));
    let Found::Present(record) = store.get(key("a")).await.unwrap() else { panic!("it is there") };
    assert_eq!((record.revision, &*record.bytes), (second, &b"two"[..]));

    // Above what a store has forgotten.
    let write_above = Write { above: 99, ..write("b", None, "b") };
    assert_eq!(store.put(write_above).await.unwrap(), 100);
    let ids = |records: Vec<stream_manager::state::store::Record>| -> Vec<String> {
        records.iter().map(|record| record.id.to_string()).collect()
    };
    assert_eq!(ids(store.load(Kind::Stream).await.unwrap()), ["a", "b"]);
    assert_eq!(ids(store.load(Kind::SetAside).await.unwrap()), [""; 0], "kinds are apart");

    // Any bytes, of any length up to the limit.
    let odd: Vec<u8> = (0..=255).collect();
    let odd = Write { bytes: odd.into(), ..write("odd", None, "") };
    store.put(odd.clone()).await.unwrap();
    assert!(matches!(store.get(key("odd")).await.unwrap(), Found::Present(record) if record.bytes == odd.bytes));
    let longest = Write { bytes: vec![7; RECORD_LEN_MAX].into(), ..write("long", None, "") };
    store.put(longest.clone()).await.unwrap();
    assert!(matches!(store.get(key("long")).await.unwrap(), Found::Present(record) if record.bytes == longest.bytes));
    let too_long = Write { bytes: vec![7; RECORD_LEN_MAX + 1].into(), ..write("more", None, "") };
    assert!(matches!(store.put(too_long).await, Err(Error::TooLarge { len, .. }) if len == RECORD_LEN_MAX + 1));

    // Deleted by who knows it; made anew above what it had, where the store is shared.
    assert_eq!(store.delete(key("a"), first).await, Err(Error::Conflict { found: Some(second) }));
    store.delete(key("a"), second).await.unwrap();
    store.delete(key("a"), second).await.unwrap();
    match store.get(key("a")).await.unwrap() {
        Found::Deleted { revision } => assert!(revision > second && store.notices().is_some()),
        found => assert_eq!((found, store.notices().is_none()), (Found::Missing, true)),
    }
    let anew = store.put(write("a", None, "anew")).await.unwrap();
    assert!(store.notices().is_none() || anew > second);

    // Of many that write at once, one wins each time.
    let mut won = 0;
    for round in 0..10 {
        let Found::Present(record) = store.get(key("b")).await.unwrap() else { panic!("it is there") };
        let attempts = (0..4).map(|_| store.put(write("b", Some(record.revision), "b"))).collect::<Vec<_>>();
        for attempt in attempts {
            won += usize::from(attempt.await.is_ok());
        }
        assert_eq!(won, round + 1);
    }
}

fn embedded(directory: &Path) -> Result<Embedded, Error> {
    let clock = Arc::new(SystemClock::new());
    Embedded::open(Arc::new(Directory::open(directory, &*clock)?), clock)
}

fn redis_at(url: &str, authorities: Option<Vec<u8>>) -> Redis {
    Redis::new(&redis::Config { url: Secret::new(url), prefix: "test".into(), authorities }).unwrap()
}

#[tokio::test]
async fn a_file_keeps_the_contract_and_what_it_was_given() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/data");
    let store = embedded(&path).unwrap();
    assert_eq!(store.warnings(), [""; 0]);
    keeps_the_contract(&store).await;
    let before = store.load(Kind::Stream).await.unwrap();
    drop(store);
    let store = embedded(&path).unwrap();
    assert_eq!(store.load(Kind::Stream).await.unwrap(), before);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for file in ["state.redb", "state.previous.redb", "lock"] {
        assert_eq!(mode(&path.join(file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn redis_keeps_the_contract_by_every_way_to_it() {
    let authority = Authority::new("store");
    let server = RedisServer::start_with_tls(&authority.issue("localhost"));
    let sentinel = Sentinel::start(&server);
    let trusted = Some(authority.certificate.clone().into_bytes());
    for (url, authorities) in
        [(server.url(), None), (server.tls_url(), trusted), (server.socket_url(), None), (sentinel.url(), None)]
    {
        keeps_the_contract(&redis_at(&url, authorities)).await;
        server.ask(&["FLUSHALL"]);
    }
    // Nobody whom we trust has signed it.
    assert!(matches!(redis_at(&server.tls_url(), None).check().await, Err(Error::Unavailable { .. })));
}

#[tokio::test]
async fn the_server_that_sentinels_have_chosen_in_place_of_one_that_died_is_found() {
    let mut master = RedisServer::start();
    let replica = RedisServer::start_replica(&master);
    let sentinel = Sentinel::start(&master);
    sentinel.until_it_knows_a_replica();
    let store = redis_at(&sentinel.url(), None);
    let revision = store.put(write("a", None, "one")).await.unwrap();
    let kept = || replica.ask(&["HGET", "test:stream:records", "a"]);
    until(|| (kept() == "one").then_some(())).expect("the replica follows");
    let notices = store.notices().unwrap();
    let _ = notices.take();
    master.kill();
    let written = async || store.put(write("a", Some(revision), "two")).await.ok();
    assert!(eventually("written to the other one", written).await > revision);
    assert_eq!(kept(), "two");
    assert!(notices.next().await.everything, "something may have been missed");
}

#[tokio::test]
async fn who_shares_a_redis_is_told_what_others_write() {
    let server = RedisServer::start();
    let (one, other) = (redis_at(&server.url(), None), redis_at(&server.url(), None));
    other.check().await.unwrap();
    let notices = other.notices().unwrap();
    assert!(notices.next().await.everything, "what was before the connection is not known");
    let revision = one.put(write("a", None, "one")).await.unwrap();
    assert_eq!(notices.next().await.keys.into_iter().collect::<Vec<_>>(), [key("a")]);
    one.delete(key("a"), revision).await.unwrap();
    assert_eq!(notices.next().await.keys.into_iter().collect::<Vec<_>>(), [key("a")]);
}

#[tokio::test]
async fn a_file_that_cannot_be_trusted_is_set_aside_and_the_second_copy_takes_its_place() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 5] = [
        ("empty", |bytes| bytes.clear()),
        ("cut", |bytes| bytes.truncate(bytes.len() / 2)),
        ("cut within its head", |bytes| bytes.truncate(100)),
        ("another file", |bytes| bytes.fill(b'x')),
        ("altered", |bytes| bytes[64..].iter_mut().for_each(|byte| *byte ^= 0x55)),
    ];
    for (what, damage) in damages {
        let directory = tempfile::tempdir().unwrap();
        let store = embedded(directory.path()).unwrap();
        store.put(write("a", None, "kept")).await.unwrap();
        drop(store);
        let file = directory.path().join("state.redb");
        let mut bytes = fs::read(&file).unwrap();
        damage(&mut bytes);
        fs::write(&file, &bytes).unwrap();

        let store = embedded(directory.path()).unwrap();
        let warnings = store.warnings().join("\n");
        assert!(warnings.contains("is corrupt") && warnings.contains("second copy"), "{what}: {warnings}");
        let records = store.load(Kind::Stream).await.unwrap();
        assert_eq!(&*records[0].bytes, b"kept", "{what}");
        let aside = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
        let aside: Vec<_> = aside.filter(|path| path.to_string_lossy().contains("state.corrupt-")).collect();
        assert_eq!(aside.len(), 1, "{what}");
        assert_eq!(fs::read(&aside[0]).unwrap(), bytes, "{what}: as it was found");
        store.put(write("b", None, "goes on")).await.unwrap();
    }
}

/// Wherever bytes are flipped, what is read is what was written, or nothing; and it is never a panic.
#[tokio::test]
async fn flipped_bytes_give_no_wrong_record() {
    let directory = tempfile::tempdir().unwrap();
    let store = embedded(directory.path()).unwrap();
    store.put(write("a", None, "the first")).await.unwrap();
    let filler = Write { bytes: vec![b'f'; 20_000].into(), ..write("b", None, "") };
    store.put(filler).await.unwrap();
    drop(store);
    let good = fs::read(directory.path().join("state.redb")).unwrap();
    let used: Vec<_> = (0..good.len()).filter(|&at| good[at] != 0).collect();
    for at in used.iter().step_by(used.len() / 40) {
        let other = tempfile::tempdir().unwrap();
        let mut bytes = good.clone();
        bytes[*at] ^= 0xff;
        fs::write(other.path().join("state.redb"), &bytes).unwrap();
        let store = embedded(other.path()).unwrap();
        for record in store.load(Kind::Stream).await.unwrap() {
            match record.id.as_str() {
                "a" => assert_eq!(&*record.bytes, b"the first", "byte {at}"),
                "b" => assert!(record.bytes.iter().all(|byte| *byte == b'f'), "byte {at}"),
                id => panic!("byte {at}: {id}"),
            }
        }
    }
}

#[tokio::test]
async fn the_second_copy_is_made_while_it_runs_and_not_of_a_bad_file() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::default());
    let store = Embedded::open(Arc::new(Directory::open(directory.path(), &*clock).unwrap()), clock.clone()).unwrap();
    let previous = directory.path().join("state.previous.redb");
    store.put(write("a", None, "one")).await.unwrap();
    assert!(!previous.exists());
    clock.advance(Duration::from_secs(61));
    store.check().await.unwrap();
    // Answered in order, after the copy.
    store.check().await.unwrap();
    assert!(previous.exists());
    let before = fs::read(&previous).unwrap();
    // Both are bad: it begins empty, and both are kept.
    drop(store);
    fs::write(&previous, &before[..before.len() / 3]).unwrap();
    fs::write(directory.path().join("state.redb"), b"").unwrap();
    let store = embedded(directory.path()).unwrap();
    assert!(store.warnings().join("\n").contains("begins empty"));
    assert_eq!(store.load(Kind::Stream).await.unwrap(), []);
    let aside = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(aside.filter(|name| name.to_string_lossy().contains("corrupt-")).count(), 2);
}

#[test]
fn a_directory_has_one_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let clock = SystemClock::new();
    let first = Directory::open(directory.path(), &clock).unwrap();
    let error = Directory::open(directory.path(), &clock).unwrap_err();
    assert_eq!(error, Error::InUse { path: directory.path().into() });
    assert!(error.to_string().contains("--data-dir"));
    drop(first);
    Directory::open(directory.path(), &clock).unwrap();
}

/// A box that moves by 30 pixels a second, beside all that has a time of its own.
fn show(outputs: &Value) -> Value {
    let at = |y: u32| json!({ "positionX": 10, "positionY": y, "width": 600, "height": 50 });
    json!({
        "id": "main", "canvas": { "width": 640, "height": 360, "fps": "30", "background": "#000000" },
        "encoder": { "bitrateKbps": 800 }, "outputs": outputs,
        "layers": [
            { "id": "box", "transform": { "positionX": 0, "positionY": 0, "width": 4, "height": 20 },
              "content": { "type": "color", "color": "#ff0000" },
              "animations": [{ "property": "positionX", "keyframes": [
                  { "atMs": 0, "value": 0 }, { "atMs": 20000, "value": 600 }], "repeat": "infinite" }] },
            { "id": "clock", "transform": at(30), "content": { "type": "clock", "format": "HH:mm", "size": 30 } },
            { "id": "timer", "transform": at(90),
              "content": { "type": "timer", "mode": "stopwatch", "format": "HH:mm", "size": 30 } },
            { "id": "news", "transform": at(150), "content": { "type": "ticker", "size": 30, "speed": 90, "items": ["News"] } },
            { "id": "chat", "transform": { "positionX": 10, "positionY": 210, "width": 600, "height": 140 },
              "content": { "type": "chat" } },
        ],
    })
}

/// A daemon whose state lies here.
fn serve(data: &TempDir, show: &Value, more: &[&str]) -> Daemon {
    let arguments = [&["--data-dir", data.path().to_str().unwrap()], more].concat();
    Daemon::serve_with(Some(show), &arguments)
}

fn picture(daemon: &Daemon) -> RgbaImage {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("picture.png");
    daemon.save_picture(&file);
    image::open(file).unwrap().into_rgba8()
}

/// What was written so far.
fn writes(daemon: &Daemon) -> f64 {
    metric(daemon, "store_writes_total")
}

/// Waits until more is kept than was `before`, and nothing is left to be.
fn until_kept(daemon: &Daemon, before: f64) {
    let is_kept = || {
        let store = &daemon.get(&format!("{MAIN}/status"))["store"];
        store["pendingRecords"] == 0 && store["problem"].is_null() && writes(daemon) > before
    };
    daemon.until("the state is kept", is_kept);
}

fn metric(daemon: &Daemon, name: &str) -> f64 {
    let text = daemon.metrics();
    let line = text.lines().find(|line| line.starts_with(&format!("stream_manager_{name} ")));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("no {name}"))
}

/// Uploads a picture that no other has, under this name; its address.
fn upload(daemon: &Daemon, name: &str, shade: u8) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("picture.png");
    RgbaImage::from_pixel(3, 2, image::Rgba([shade, 0, 0, 255])).save(&file).unwrap();
    let uploaded = daemon.upload(&format!("{ASSETS}?name={name}&tags=news,bug"), &file);
    format!("{ASSETS}/{}", uploaded["asset"]["id"].as_str().unwrap_or_else(|| panic!("{uploaded}")))
}

/// Between which moments, in milliseconds since 1970 UTC, the stream began, by what it says of its uptime.
fn began(daemon: &Daemon) -> (i64, i64) {
    let clock = SystemClock::new();
    let asked = clock.utc_ms_at(clock.now());
    let uptime = daemon.get(&format!("{MAIN}/status"))["uptimeMs"].as_i64().unwrap();
    (asked - uptime, clock.utc_ms_at(clock.now()) - uptime)
}

#[test]
fn a_daemon_that_is_killed_on_air_goes_on_with_the_same_picture_where_it_would_be() {
    let (nginx, data) = (Nginx::start(), tempfile::tempdir().unwrap());
    let show = show(&json!([{ "id": "out", "url": nginx.address(), "key": "secret_key" }]));
    let daemon = serve(&data, &show, &[]);
    daemon.post(&format!("{MAIN}/layers/timer/actions/start"), &json!({}));
    let message = json!({ "author": "Ann", "text": "still here?" });
    daemon.post(&format!("{MAIN}/layers/chat/actions/message"), &message);
    daemon.until_sent("out", 1000);
    until_kept(&daemon, 0.0);
    let (before, layers) = (began(&daemon), daemon.get(&format!("{MAIN}/layers")));
    let revision = daemon.get(MAIN)["revision"].clone();
    let written = writes(&daemon);
    let frame = daemon.patch(&format!("{MAIN}/layers/news"), &json!({ "name": "Ticker" }))["appliedFrame"].clone();
    until_kept(&daemon, written);
    daemon.kill();

    // The stored show wins over the one that is given.
    let other = json!({ "id": "main", "canvas": { "width": 320, "height": 180 } });
    let daemon = serve(&data, &other, &[]);
    let after = began(&daemon);
    // The same beginning, but for what a clock of milliseconds and one frame round away.
    assert!(before.0 <= after.1 + 60 && after.0 <= before.1 + 60, "it began at {before:?}, now at {after:?}");
    assert_eq!(daemon.get(MAIN)["revision"].as_u64(), revision.as_u64().map(|revision| revision + 1));
    let again = daemon.patch(&format!("{MAIN}/layers/news"), &json!({ "name": null }));
    assert!(again["appliedFrame"].as_u64() > frame.as_u64(), "frames are counted on");
    assert_eq!(daemon.get(&format!("{MAIN}/layers"))["layers"], layers["layers"], "timer, chat and all");
    // The box is where the stream's time says.
    let uptime = || daemon.get(&format!("{MAIN}/status"))["uptimeMs"].as_u64().unwrap();
    let (from, seen, to) = (uptime(), picture(&daemon), uptime());
    let x = (0..640).find(|&x| seen.get_pixel(x, 10).0[0] > 200).unwrap();
    let frames = (from / 34).saturating_sub(4)..=to / 33 + 2;
    assert!(frames.clone().any(|frame| (frame % 600).abs_diff(u64::from(x)) <= 1), "at {x} between {from} and {to} ms");
    // Publishing again, with the key that no answer shows.
    daemon.until_sent("out", 1000);
    daemon.end();
    let recording = ffprobe_json(&nginx.recording("secret_key"), &["-show_entries", "stream=codec_name,width"]);
    assert_eq!(recording["streams"][0]["width"], 640);
}

/// When frame 0 of the kept stream was due.
async fn kept_beginning(data: &Path) -> i64 {
    let record = embedded(data).unwrap().get(key("main")).await.unwrap();
    let Found::Present(record) = record else { panic!("it is kept") };
    let kept: Value = serde_json::from_slice(&record.bytes).unwrap();
    kept["run"]["course"]["beganAtUtcMs"].as_i64().unwrap()
}

/// A directory with what a daemon that is killed now would leave.
fn copied(data: &TempDir) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    fs::copy(data.path().join("state.redb"), copy.path().join("state.redb")).unwrap();
    copy
}

/// Two daemons with one past: one runs on, the other is killed on air and started again. Pictures of one frame are
/// known by the place of the box, which has another one in each of 100 frames.
#[tokio::test]
async fn every_frame_after_a_kill_is_the_one_that_an_undisturbed_run_shows() {
    let mut show = show(&json!([]));
    show["canvas"]["fps"] = "5".into();
    show["layers"][2]["content"]["format"] = "mm:ss.S".into();
    show["layers"][4]["content"]["fadeAfterMs"] = 1000.into();
    show["layers"][4]["content"]["fadeMs"] = 60_000.into();
    let data = tempfile::tempdir().unwrap();
    let undisturbed = serve(&data, &show, &[]);
    until_kept(&undisturbed, 0.0);
    // Tenths of a second turn between frames, so that a clock that is read in milliseconds rounds none away.
    let timer = json!({ "isRunning": true, "utc": kept_beginning(copied(&data).path()).await - 50 });
    undisturbed.patch(&format!("{MAIN}/layers/timer"), &json!({ "content": timer }));
    until_kept(&undisturbed, 1.0);
    let written = writes(&undisturbed);
    let message = json!({ "author": "Ann", "text": "still here?" });
    undisturbed.post(&format!("{MAIN}/layers/chat/actions/message"), &message);
    until_kept(&undisturbed, written);

    let data = copied(&data);
    serve(&data, &show, &[]).kill();
    let restarted = serve(&data, &show, &[]);
    let place = |picture: &RgbaImage| (0..640).find(|&x| picture.get_pixel(x, 10).0[0] > 200);
    let mut places = BTreeSet::new();
    while places.len() < 8 {
        let same = until(|| {
            // At the same time: each comes with the next frame.
            let (a, b) = std::thread::scope(|scope| {
                let a = scope.spawn(|| picture(&undisturbed));
                (picture(&restarted), a.join().unwrap())
            });
            (place(&a) == place(&b) && !places.contains(&place(&a))).then_some((a, b))
        });
        let (a, b) = same.expect("they show the same frame at the same time");
        let differ = a.pixels().zip(b.pixels()).filter(|(a, b)| a != b).count();
        assert_eq!(differ, 0, "pixels of the frame whose box is at {:?}", place(&a));
        assert!((10..200).any(|x| a.get_pixel(x, 115).0[0] > 200), "the timer is seen");
        places.insert(place(&a));
    }
    undisturbed.end();
    restarted.end();
}

#[test]
fn snapshots_and_what_is_known_of_uploads_outlive_the_daemon_in_both_stores() {
    let nginx = Nginx::start();
    for server in [None, Some(RedisServer::start())] {
        let data = tempfile::tempdir().unwrap();
        let url = server.as_ref().map(RedisServer::url);
        let arguments: Vec<_> = url.iter().flat_map(|url| ["--redis", url]).collect();
        let stream_key = if server.is_some() { "redis" } else { "file" };
        let show = show(&json!([{ "id": "out", "url": nginx.address(), "key": stream_key }]));
        let daemon = serve(&data, &show, &arguments);
        let logo = upload(&daemon, "Logo", 1);
        daemon.delete(&upload(&daemon, "Gone", 2));
        daemon.patch(&logo, &json!({ "tags": ["sport"] }));
        let snapshots = format!("{MAIN}/snapshots");
        daemon.post(&snapshots, &json!({ "name": "before" }));
        daemon.post(&snapshots, &json!({ "name": "gone" }));
        daemon.delete(&format!("{snapshots}/gone"));
        daemon.delete(&format!("{MAIN}/outputs/out"));
        until_kept(&daemon, 0.0);
        let written = writes(&daemon);
        daemon.patch(&format!("{MAIN}/layers/news"), &json!({ "name": "later" }));
        until_kept(&daemon, written);
        let shown = |daemon: &Daemon| [ASSETS, &snapshots, &format!("{snapshots}/before")].map(|path| daemon.get(path));
        let before = shown(&daemon);
        assert_eq!(before[0]["assets"][0]["tags"], json!(["sport"]), "{}", before[0]);
        daemon.kill();

        let daemon = serve(&data, &show, &arguments);
        assert_eq!(shown(&daemon), before, "{arguments:?}");
        assert_eq!(daemon.get(&logo)["name"], "Logo");
        daemon.post(&format!("{snapshots}/before/restore"), &json!({}));
        assert_eq!(daemon.get(&format!("{MAIN}/layers/news"))["name"], Value::Null);
        // With the key that no answer shows.
        daemon.until_sent("out", 500);
        daemon.end();
        assert!(nginx.recording(stream_key).exists());
    }
}

#[tokio::test]
async fn records_that_cannot_be_read_are_set_aside_each_by_itself() {
    let data = tempfile::tempdir().unwrap();
    let daemon = serve(&data, &show(&json!([])), &[]);
    let logo = upload(&daemon, "Logo", 3);
    daemon.post(&format!("{MAIN}/snapshots"), &json!({ "name": "before" }));
    daemon.end();
    let store = embedded(data.path()).unwrap();
    for kind in [Kind::Asset, Kind::Saved] {
        let record = store.load(kind).await.unwrap().remove(0);
        let damaged = Write {
            key: Key::new(kind, record.id),
            expected: Some(record.revision),
            above: 0,
            bytes: "{\"schema\":1,\"value\":7}".into(),
        };
        store.put(damaged).await.unwrap();
    }
    drop(store);
    let daemon = serve(&data, &show(&json!([])), &[]);
    assert_eq!(daemon.get(MAIN)["state"], "running");
    assert_eq!(daemon.get(&format!("{MAIN}/snapshots"))["snapshots"], json!([]));
    let warnings = daemon.get(&format!("{MAIN}/status"))["store"]["warnings"].clone();
    let tell = |of: &str| warnings.as_array().unwrap().iter().any(|warning| warning.as_str().unwrap().starts_with(of));
    assert!(tell("asset ") && tell("saved main: the record is damaged"), "{warnings}");
    assert_eq!(daemon.get(&logo)["name"], "", "its file says what it is, but not its name");
    daemon.end();
    let aside = embedded(data.path()).unwrap().load(Kind::SetAside).await.unwrap();
    let ids: Vec<_> = aside.iter().map(|record| record.id.as_str().split('-').nth(1).unwrap()).collect();
    assert_eq!(ids, ["asset", "saved"]);
}

#[test]
fn a_paused_picture_is_the_very_same_after_a_kill_and_goes_on_from_there() {
    let data = tempfile::tempdir().unwrap();
    let daemon = serve(&data, &show(&json!([])), &[]);
    daemon.post(&format!("{MAIN}/layers/timer/actions/start"), &json!({}));
    daemon.until("it moves", || picture(&daemon).get_pixel(0, 10).0[0] == 0);
    until_kept(&daemon, 0.0);
    let written = writes(&daemon);
    daemon.post(&format!("{MAIN}/pause"), &json!({}));
    let before = picture(&daemon);
    until_kept(&daemon, written);
    daemon.kill();
    for round in 0..2 {
        let daemon = serve(&data, &show(&json!([])), &[]);
        assert_eq!(daemon.get(&format!("{MAIN}/status"))["state"], "paused");
        daemon.until("all is drawn", || picture(&daemon) == before);
        assert_eq!(picture(&daemon), before, "round {round}: clock, timer, ticker and all");
        match round {
            0 => daemon.kill(),
            _ => {
                daemon.post(&format!("{MAIN}/resume"), &json!({}));
                daemon.until("it moves again", || picture(&daemon) != before);
                daemon.end();
            }
        }
    }
}

#[test]
fn what_is_scheduled_and_locked_outlives_a_kill_and_what_was_due_meanwhile_is_not_played_late() {
    let data = tempfile::tempdir().unwrap();
    let daemon = serve(&data, &show(&json!([])), &[]);
    let schedule = format!("{MAIN}/schedule");
    let make = |daemon: &Daemon, name: &str, at: Value| {
        let op = json!({ "op": "patchLayer", "id": "news", "patch": { "name": name } });
        daemon.post(&format!("{MAIN}/transactions"), &json!({ "ops": [op], "at": at }))
    };
    let clock = SystemClock::new();
    until_kept(&daemon, 0.0);
    let lock = daemon.put(&format!("{MAIN}/layers/chat/lock"), &json!({ "seconds": 3600 }));
    let day = daemon.patch(MAIN, &json!({ "name": "x" }))["appliedFrame"].as_u64().unwrap() + 24 * 3600 * 30;
    let written = writes(&daemon);
    let far = make(&daemon, "far", json!({ "frame": day }));
    let soon_ms = clock.utc_ms() + 1500;
    make(&daemon, "soon", json!({ "utc": soon_ms }));
    until_kept(&daemon, written);
    daemon.kill();
    assert!(clock.utc_ms() < soon_ms, "it was killed before that");
    until(|| (clock.utc_ms() > soon_ms).then_some(())).unwrap();

    let daemon = serve(&data, &show(&json!([])), &[]);
    assert_eq!(daemon.get(&format!("{MAIN}/status"))["locks"], json!([lock]));
    let scheduled = daemon.get(&schedule)["scheduled"].clone();
    let (missed, pending) = (&scheduled[0], &scheduled[1]);
    assert_eq!((&missed["state"], &missed["ops"]), (&json!("missed"), &json!(["patchLayer news"])), "{scheduled}");
    assert!(missed["reason"].as_str().unwrap().contains("down"), "{missed}");
    for same in ["id", "at", "ops", "actor", "madeAtUtcMs", "dueFrame"] {
        assert_eq!(pending[same], far[same], "{same}");
    }
    assert_eq!(daemon.get(&format!("{MAIN}/layers/news"))["name"], Value::Null, "it was not played late");
    // Its frames go on, and so does what waits for them.
    let next = daemon.patch(MAIN, &json!({ "name": "y" }))["appliedFrame"].as_u64().unwrap();
    let made = make(&daemon, "now", json!({ "frame": next + 90 }));
    assert_eq!(made["id"], "3", "no number is given twice");
    let entry = || daemon.get(&format!("{schedule}/3"));
    daemon.until("it is done", || entry()["state"] == "done");
    let done = entry();
    let late = done["lateFrames"].as_u64().unwrap();
    assert_eq!(done["appliedFrame"], next + 90 + late, "never early, and late only where the machine is too busy");
    assert_eq!(daemon.get(&format!("{MAIN}/layers/news"))["name"], "now");
    daemon.end();
}

#[test]
fn a_proper_end_is_no_stop_and_a_stop_is_kept() {
    let data = tempfile::tempdir().unwrap();
    let daemon = serve(&data, &show(&json!([])), &[]);
    let before = began(&daemon);
    // Written as it ends, without a pause for it.
    daemon.patch(&format!("{MAIN}/layers/news"), &json!({ "name": "last words" }));
    assert!(daemon.end().contains("the state is kept"));
    let daemon = serve(&data, &show(&json!([])), &[]);
    assert_eq!(daemon.get(&format!("{MAIN}/layers/news"))["name"], "last words");
    let after = began(&daemon);
    assert!(before.0 <= after.1 + 60 && after.0 <= before.1 + 60, "it began at {before:?}, now at {after:?}");
    daemon.post(&format!("{MAIN}/stop"), &json!({}));
    daemon.post("/api/v1/streams", &json!({ "id": "second", "autoStart": false }));
    daemon.end();
    let daemon = serve(&data, &show(&json!([])), &[]);
    assert_eq!(daemon.get(&format!("{MAIN}/status"))["state"], "stopped");
    assert_eq!(daemon.get("/api/v1/streams/second/status")["state"], "stopped");
    daemon.delete("/api/v1/streams/second");
    daemon.end();
    let daemon = serve(&data, &show(&json!([])), &["--fresh"]);
    assert_eq!(daemon.get(&format!("{MAIN}/status"))["state"], "running");
    assert_eq!(daemon.get(&format!("{MAIN}/layers/news"))["name"], Value::Null);
    assert!(daemon.log().contains("set aside"));
    daemon.end();
}

#[tokio::test]
async fn older_records_go_on_air_and_later_ones_refuse_to_start() {
    let data = tempfile::tempdir().unwrap();
    let old = include_str!("../src/state/store/testdata/stream-v1.json");
    let put = async |bytes: String, expected: Option<u64>| {
        let store = embedded(data.path()).unwrap();
        store.put(Write { bytes: bytes.into(), ..write("main", expected, "") }).await.unwrap()
    };
    let revision = put(old.to_owned(), None).await;
    let daemon = serve(&data, &show(&json!([])), &[]);
    let status = daemon.get(&format!("{MAIN}/status"));
    assert_eq!((&status["state"], &status["revision"]), (&json!("running"), &json!(7)));
    assert_eq!(daemon.get(MAIN)["name"], "Auction");
    daemon.kill();
    let store = embedded(data.path()).unwrap();
    let Found::Present(record) = store.get(key("main")).await.unwrap() else { panic!("it is there") };
    drop(store);
    assert!(record.revision >= revision);
    put(old.replace("\"schema\": 1", "\"schema\": 1000"), Some(record.revision)).await;
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", data.path().to_str().unwrap()];
    program::run(directory.path(), &arguments).says(1, &["later version", "1000"]);
    // What cannot be read at all is set aside, and the show goes on air.
    let store = embedded(data.path()).unwrap();
    let Found::Present(record) = store.get(key("main")).await.unwrap() else { panic!("it is there") };
    drop(store);
    put("{".into(), Some(record.revision)).await;
    let daemon = serve(&data, &show(&json!([])), &[]);
    assert_eq!(daemon.get(&format!("{MAIN}/status"))["state"], "running");
    until_kept(&daemon, 0.0);
    daemon.end();
    let aside = embedded(data.path()).unwrap().load(Kind::SetAside).await.unwrap();
    assert_eq!(aside.iter().map(|record| &*record.bytes).collect::<Vec<_>>(), [b"{"]);
}

/// What cannot go on is not begun anew: its times are those of the run that was cut off.
#[tokio::test]
async fn a_stream_that_cannot_go_on_does_so_when_it_is_mended() {
    let data = tempfile::tempdir().unwrap();
    let daemon = serve(&data, &show(&json!([])), &[]);
    daemon.patch(&format!("{MAIN}/layers/news"), &json!({ "name": "kept" }));
    let before = began(&daemon);
    daemon.end();
    // As on a machine whose encoder is gone: this one has none for it anywhere.
    let store = embedded(data.path()).unwrap();
    let record = store.load(Kind::Stream).await.unwrap().remove(0);
    let mut kept: Value = serde_json::from_slice(&record.bytes).unwrap();
    kept["document"]["encoder"]["backend"] = "openh264".into();
    kept["document"]["encoder"]["codec"] = "hevc".into();
    let bytes = kept.to_string().into();
    store.put(Write { key: key("main"), expected: Some(record.revision), above: 0, bytes }).await.unwrap();
    drop(store);
    for _ in 0..2 {
        let daemon = serve(&data, &show(&json!([])), &[]);
        assert_eq!(daemon.get(&format!("{MAIN}/status"))["state"], "failed");
        daemon.end();
    }
    let daemon = serve(&data, &show(&json!([])), &[]);
    daemon.patch(MAIN, &json!({ "encoder": { "codec": "h264" } }));
    daemon.post(&format!("{MAIN}/start"), &json!({}));
    let after = began(&daemon);
    assert!(before.0 <= after.1 + 60 && after.0 <= before.1 + 60, "it began at {before:?}, now at {after:?}");
    // A stop ends that run; the next one is another.
    daemon.post(&format!("{MAIN}/stop"), &json!({}));
    daemon.post(&format!("{MAIN}/start"), &json!({}));
    assert!(began(&daemon).0 > before.1);
    daemon.end();
}

/// Changes come without a pause, so that the end comes at some moment of writing.
#[test]
fn a_kill_while_it_writes_leaves_a_whole_file_with_one_of_the_states() {
    let data = tempfile::tempdir().unwrap();
    // Name and revision of the ones that may be kept.
    let mut states = vec![(Value::Null, 1)];
    for round in 0..6 {
        let daemon = serve(&data, &show(&json!([])), &[]);
        let (name, revision) = (
            daemon.get(&format!("{MAIN}/layers/news"))["name"].clone(),
            daemon.get(MAIN)["revision"].as_u64().unwrap(),
        );
        assert!(states.contains(&(name.clone(), revision)), "{name} as revision {revision} of {states:?}");
        assert_eq!(daemon.get(&format!("{MAIN}/status"))["store"]["warnings"], json!([]));
        until_kept(&daemon, -1.0);
        states = vec![(name, revision)];
        for n in 0..10 + round * 3 {
            let name = json!(format!("{round} {n}"));
            let done = daemon.patch(&format!("{MAIN}/layers/news"), &json!({ "name": name }));
            states.push((name, done["revision"].as_u64().unwrap()));
        }
        daemon.kill();
    }
}

#[tokio::test]
async fn a_daemon_whose_file_is_corrupt_goes_on_from_the_second_copy_and_says_so() {
    let data = tempfile::tempdir().unwrap();
    let daemon = serve(&data, &show(&json!([])), &[]);
    daemon.patch(&format!("{MAIN}/layers/news"), &json!({ "name": "kept" }));
    daemon.end();
    let [file, previous] = ["state.redb", "state.previous.redb"].map(|name| data.path().join(name));
    fs::write(&file, "not a database").unwrap();
    for round in 0..2 {
        let daemon = serve(&data, &show(&json!([])), &[]);
        assert_eq!(daemon.get(&format!("{MAIN}/layers/news"))["name"], "kept");
        assert_eq!(daemon.get(&format!("{MAIN}/status"))["state"], "running");
        let warnings = daemon.get(&format!("{MAIN}/status"))["store"]["warnings"].to_string();
        assert_eq!((warnings.contains("is corrupt"), warnings == "[]"), (round == 0, round > 0), "{warnings}");
        let log = daemon.log();
        assert_eq!((log.contains("is corrupt"), log.contains("second copy")), (round == 0, round == 0), "{log}");
        daemon.kill();
        // The good one is as good as it was.
        let other = tempfile::tempdir().unwrap();
        fs::copy(&previous, other.path().join("state.redb")).unwrap();
        let store = embedded(other.path()).unwrap();
        assert_eq!(store.warnings(), [""; 0]);
        let Found::Present(record) = store.get(key("main")).await.unwrap() else { panic!("it is there") };
        assert!(String::from_utf8_lossy(&record.bytes).contains("\"kept\""));
    }
    let aside = fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().path());
    let aside: Vec<_> = aside.filter(|path| path.to_string_lossy().contains("corrupt-")).collect();
    assert_eq!(aside.iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>(), [b"not a database"]);
}

#[test]
fn a_second_daemon_on_one_directory_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let daemon = serve(&data, &show(&json!([])), &[]);
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", data.path().to_str().unwrap()];
    program::run(directory.path(), &arguments).says(1, &["in use by another stream-manager", "--data-dir"]);
    daemon.end();
}

/// Scenes with long texts.
fn add_two_megabytes(daemon: &Daemon) {
    let layer = |n: usize| {
        json!({ "id": format!("long{n}"), "enabled": false,
            "content": { "type": "ticker", "size": 30, "items": ["w".repeat(9000)] } })
    };
    for scene in 0..20 {
        let layers: Vec<_> = (0..12).map(layer).collect();
        let scene = json!({ "id": format!("more{scene}"), "layers": layers });
        daemon.post(&format!("{MAIN}/scenes"), &scene);
    }
}

/// They are one record, which is written whole.
#[test]
fn snapshots_are_bounded_in_bytes() {
    let data = tempfile::tempdir().unwrap();
    let daemon = serve(&data, &show(&json!([])), &[]);
    add_two_megabytes(&daemon);
    let save = |name: &str| daemon.try_post(&format!("{MAIN}/snapshots"), &json!({ "name": name }));
    let refused =
        ["a", "b", "c", "d", "e"].map(save).into_iter().find(|answer| answer.contains("8388608 bytes at most"));
    assert!(refused.is_some_and(|answer| answer.contains("delete one")));
    until_kept(&daemon, 0.0);
    let saved = daemon.get(&format!("{MAIN}/snapshots"));
    assert!((1..5).contains(&saved["snapshots"].as_array().unwrap().len()), "{saved}");
    daemon.kill();
    let daemon = serve(&data, &show(&json!([])), &[]);
    assert_eq!(daemon.get(&format!("{MAIN}/snapshots")), saved);
    daemon.end();
}

/// The kernel lets no file grow beyond a limit, as a full disk does, until the limit is raised.
#[test]
fn a_full_disk_costs_nothing_on_air_and_is_made_up_for_when_there_is_room() {
    let data = tempfile::tempdir().unwrap();
    let daemon = serve(&data, &show(&json!([])), &[]);
    until_kept(&daemon, 0.0);
    let limit = |to: &str| {
        let pid = daemon.pid().to_string();
        let set = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={to}:unlimited")]).status().unwrap();
        assert!(set.success());
    };
    // No more than it has now.
    limit(&fs::metadata(data.path().join("state.redb")).unwrap().len().to_string());
    add_two_megabytes(&daemon);
    daemon.until("the disk is full", || !daemon.get(&format!("{MAIN}/status"))["store"]["problem"].is_null());
    assert_eq!(daemon.get("/readyz")["status"], "degraded");
    let written = writes(&daemon);
    limit("unlimited");
    until_kept(&daemon, written);
    assert_eq!(daemon.get("/readyz"), json!({ "status": "ready", "reasons": [] }));
    let scenes = daemon.get(&format!("{MAIN}/scenes"));
    daemon.kill();
    let daemon = serve(&data, &show(&json!([])), &[]);
    assert_eq!(daemon.get(&format!("{MAIN}/scenes")), scenes);
    daemon.end();
}

/// What a Redis holds of the stream.
fn kept(server: &RedisServer) -> Option<Value> {
    serde_json::from_str(&server.ask(&["HGET", "stream-manager:stream:records", "main"])).ok()
}

fn until_redis(server: &RedisServer, what: &str, is_so: impl Fn(&Value) -> bool) {
    assert!(until(|| kept(server).filter(&is_so)).is_some(), "never: {what}: {:?}", kept(server));
}

#[test]
fn a_redis_that_is_slow_stopped_flushed_or_read_only_costs_no_frame() {
    let (nginx, mut server, data) = (Nginx::start(), RedisServer::start(), tempfile::tempdir().unwrap());
    let proxy = Proxy::start(server.port(), Fault::None);
    let show = show(&json!([{ "id": "out", "url": nginx.address(), "key": "key" }]));
    let daemon = serve(&data, &show, &["--redis", &format!("redis://127.0.0.1:{}", proxy.port())]);
    daemon.until_sent("out", 500);
    let rename = |name: &str| daemon.patch(&format!("{MAIN}/layers/news"), &json!({ "name": name }));
    let has = |name: &'static str| move |kept: &Value| kept["document"].to_string().contains(name);
    let problem = || daemon.get(&format!("{MAIN}/status"))["store"]["problem"].clone();
    rename("first");
    until_redis(&server, "written", has("first"));
    assert!(kept(&server).unwrap().to_string().contains("\"key\":\"key\""), "with its secrets");

    proxy.set(Fault::Delay(Duration::from_millis(300)));
    rename("slow");
    until_redis(&server, "written though it is slow", has("slow"));
    proxy.set(Fault::Blackhole);
    let written = writes(&daemon);
    (0..10).for_each(|n| drop(rename(&format!("no answer {n}"))));
    rename("no answer");
    daemon.until("it is noticed", || !problem().is_null());
    assert_eq!(daemon.get("/readyz")["status"], "degraded");
    proxy.set(Fault::None);
    until_redis(&server, "written when it answers", |kept| has("no answer")(kept) && !has("no answer 9")(kept));
    daemon.until("it is in step", || problem().is_null());
    assert!(writes(&daemon) <= written + 2.0, "what came together is written together");

    server.ask(&["CONFIG", "SET", "min-replicas-to-write", "3"]);
    rename("refused");
    daemon.until("it is noticed", || !problem().is_null());
    server.ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    until_redis(&server, "written when it may be", has("refused"));

    server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    rename("replica");
    daemon.until("it is noticed", || !problem().is_null());
    server.ask(&["REPLICAOF", "NO", "ONE"]);
    until_redis(&server, "written to a master again", has("replica"));

    server.kill();
    rename("stopped");
    daemon.until("it is noticed", || !problem().is_null());
    server.restart();
    until_redis(&server, "all of it is written into an empty one", has("stopped"));

    daemon.post(&format!("{MAIN}/snapshots"), &json!({ "name": "before" }));
    let has_saved = || server.ask(&["HGET", "stream-manager:saved:records", "main"]).contains("\"before\"");
    daemon.until("it is written", has_saved);
    server.ask(&["FLUSHALL"]);
    until_redis(&server, "what was flushed is written again, with nothing to do", has("stopped"));
    daemon.until("that, too", has_saved);
    daemon.until("it is in step", || problem().is_null());
    assert_eq!(
        daemon.get(&format!("{MAIN}/layers/news"))["name"],
        "stopped",
        "nothing came back from a store that lost it"
    );

    let sent = daemon.output("out")["outputDuration"].as_u64().unwrap();
    daemon.until_sent("out", sent + 500);
    let status = daemon.get(&format!("{MAIN}/status"));
    let until = daemon.output("out")["outputDuration"].as_i64().unwrap();
    assert_eq!((&status["outputSkippedFrames"], &status["outputs"][0]["reconnects"]), (&json!(0), &json!(0)));
    let dropped = daemon.get(&format!("{MAIN}/status"))["encodeDroppedFrames"].as_u64().unwrap();
    daemon.end();
    let recording = nginx.recording("key");
    let packets = ffprobe_json(&recording, &["-select_streams", "v", "-show_entries", "packet=dts"]);
    let dts: Vec<_> = packets["packets"].as_array().unwrap().iter().map(|p| p["dts"].as_i64().unwrap()).collect();
    let mut missing = 0;
    for pair in dts.windows(2) {
        let frames = (0..).find(|frames| frames * 100 / 3 >= pair[1] - pair[0] - 1).unwrap();
        assert!((frames * 100 / 3).abs_diff(pair[1] - pair[0]) <= 1, "off the grid: {pair:?}");
        missing += if pair[1] < until { frames as u64 - 1 } else { 0 };
    }
    // A machine that is too busy to encode leaves frames out, and says so; nothing else may.
    assert!(missing <= dropped && dropped <= dts.len() as u64 / 20, "{missing} are missing, {dropped} were left out");
    assert!(dts.len() > 100);
}

#[test]
fn without_its_redis_a_daemon_starts_and_takes_over_what_it_had_when_it_comes() {
    let (mut server, data) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let url = server.url();
    let daemon = serve(&data, &show(&json!([])), &["--redis", &url]);
    daemon.patch(&format!("{MAIN}/layers/news"), &json!({ "name": "kept" }));
    daemon.end();
    let before = kept(&server).unwrap();
    let dump = server.ask(&["--no-raw", "HGET", "stream-manager:stream:revisions", "main"]);
    assert!(!dump.is_empty());
    let (records, revisions) = (
        server.ask(&["HGET", "stream-manager:stream:records", "main"]),
        server.ask(&["HGET", "stream-manager:stream:revisions", "main"]),
    );
    server.kill();
    let daemon = serve(&data, &show(&json!([])), &["--redis", &url]);
    assert_eq!(daemon.get(&format!("{MAIN}/layers/news"))["name"], Value::Null);
    assert_eq!(daemon.get("/readyz")["status"], "degraded");
    server.restart();
    // Within one transaction, as a server that comes back with its file has it.
    let both = format!(
        "redis.call('HSET', 'stream-manager:stream:records', 'main', ARGV[1]) \
         redis.call('HSET', 'stream-manager:stream:revisions', 'main', {revisions} + 1000)"
    );
    server.ask(&["EVAL", &both, "0", &records]);
    daemon.until("what was kept is on air", || daemon.get(&format!("{MAIN}/layers/news"))["name"] == "kept");
    assert_eq!(before["document"]["layers"], kept(&server).unwrap()["document"]["layers"]);
    daemon.end();
}

#[test]
fn two_daemons_on_one_redis_follow_each_other_and_come_to_rest() {
    let (server, data) = (RedisServer::start(), [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()]);
    let url = server.url();
    let one = serve(&data[0], &show(&json!([])), &["--redis", &url]);
    until_kept(&one, 0.0);
    let other = serve(&data[1], &json!({ "id": "main" }), &["--redis", &url]);
    assert_eq!(other.get(&format!("{MAIN}/layers")), one.get(&format!("{MAIN}/layers")));
    let name = |daemon: &Daemon| daemon.get(&format!("{MAIN}/layers/news"))["name"].clone();
    let rename = |daemon: &Daemon, name: &str| {
        daemon.patch(&format!("{MAIN}/layers/news"), &json!({ "name": name }));
    };
    for n in 0..3 {
        rename(&one, &format!("one {n}"));
        other.until("it follows", || name(&other) == format!("one {n}"));
        rename(&other, &format!("other {n}"));
        one.until("it follows back", || name(&one) == format!("other {n}"));
    }
    // On the same frames of the same time.
    let (a, b) = (began(&one), began(&other));
    assert!(a.0 <= b.1 + 60 && b.0 <= a.1 + 60, "{a:?} {b:?}");
    // Runs, too, and what is new and what is gone.
    other.post(&format!("{MAIN}/pause"), &json!({}));
    one.until("it is paused", || one.get(&format!("{MAIN}/status"))["state"] == "paused");
    one.post(&format!("{MAIN}/resume"), &json!({}));
    other.until("it is released", || other.get(&format!("{MAIN}/status"))["state"] == "running");
    one.post("/api/v1/streams", &json!({ "id": "second", "autoStart": false }));
    let streams = |daemon: &Daemon| daemon.get("/api/v1/streams")["streams"].as_array().unwrap().len();
    other.until("it has the new one", || streams(&other) == 2);
    other.delete("/api/v1/streams/second");
    one.until("it is gone here, too", || streams(&one) == 1);
    // Snapshots, and what is known of uploads.
    let snapshots = format!("{MAIN}/snapshots");
    let count = |daemon: &Daemon, path: &str, what: &str| daemon.get(path)[what].as_array().unwrap().len();
    one.post(&snapshots, &json!({ "name": "before" }));
    other.until("it has the snapshot", || count(&other, &snapshots, "snapshots") == 1);
    other.delete(&format!("{snapshots}/before"));
    one.until("it is gone here, too", || count(&one, &snapshots, "snapshots") == 0);
    let logo = upload(&one, "Logo", 4);
    other.until("it knows of the file", || count(&other, ASSETS, "assets") == 1);
    other.patch(&logo, &json!({ "name": "Bug" }));
    one.until("it follows", || one.get(&logo)["name"] == "Bug");
    one.delete(&logo);
    other.until("it is gone there, too", || count(&other, ASSETS, "assets") == 0);
    // Locks, and what is scheduled: done on both, and once in what they have.
    let (lock, status) = (format!("{MAIN}/layers/chat/lock"), format!("{MAIN}/status"));
    let made = one.put(&lock, &json!({ "seconds": 600 }));
    other.until("it has the lock", || other.get(&status)["locks"] == json!([made]));
    other.delete(&lock);
    one.until("it is released here, too", || one.get(&status)["locks"] == json!([]));
    let arguments = json!({ "author": "Ann", "text": "Hello" });
    let op = json!({ "op": "actOnLayer", "id": "chat", "action": "message", "arguments": arguments });
    let at = json!({ "utc": SystemClock::new().utc_ms() + 3000 });
    one.post(&format!("{MAIN}/transactions"), &json!({ "ops": [op], "at": at }));
    let schedule = format!("{MAIN}/schedule");
    other.until("it knows what is to come", || count(&other, &schedule, "scheduled") == 1);
    let messages = |daemon: &Daemon| daemon.get(&format!("{MAIN}/layers/chat"))["content"]["messages"].clone();
    for daemon in [&one, &other] {
        daemon.until("it is done", || daemon.get(&schedule)["scheduled"][0]["state"] == "done");
    }
    one.until("they have the same", || messages(&one) == messages(&other));
    assert_eq!(messages(&one).as_array().map(Vec::len), Some(1));
    // Both at once: one wins, and both show it.
    rename(&one, "mine");
    rename(&other, "no, mine");
    one.until("they agree", || name(&one) == name(&other) && until_quiet(&server));
    assert_eq!(name(&one), name(&other));
    one.end();
    other.end();
}

/// Whether nobody writes for some time: each look is a round of the store.
fn until_quiet(server: &RedisServer) -> bool {
    let revision = || server.ask(&["HGET", "stream-manager:stream:revisions", "main"]);
    let before = revision();
    (0..20).all(|_| revision() == before)
}

#[tokio::test]
async fn a_store_that_is_not_there_says_so_soon() {
    let store = redis_at("redis://127.0.0.1:1", None);
    assert!(matches!(store.check().await, Err(Error::Unavailable { .. })));
    assert!(matches!(store.put(write("a", None, "a")).await, Err(Error::Unavailable { .. })));
    eventually("an error each time", async || store.load(Kind::Stream).await.is_err().then_some(())).await;
}
