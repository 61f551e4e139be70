//! Outputs against real servers: what nginx-rtmp (plain and behind TLS), node-media-server and FFmpeg have received is
//! compared packet by packet with what was sent, by ffprobe.
//!
//! The stream is made by FFmpeg, not by us, with B-frames, so that composition times are put to the test too. It has been
//! running for an hour and its first IDR is missed: a session starts at the next one, and at 0. The rest of it is shorter
//! than a queue is long, so it is sent as fast as the server takes it.

mod servers;
mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    slice,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use serde_json::Value;
use servers::{
    FfmpegListener, Nginx, NodeMediaServer,
    certificates::Authority,
    clip::Clip,
    ffmpeg, ffprobe_json,
    refuser::{At, Refuser},
};
use stream_manager::{
    base::{id::Id, secret::Secret},
    output::{Headers, Kind, Limits, Network, Output, Packet, Spec, State, tls::Tls},
    rtmp::Endpoint,
};
use support::eventually;
use tokio::{io::AsyncWriteExt, runtime::Handle, time::timeout};

const KEY: &str = "some_key";
/// The stream's age at the first packet, in ms.
const AGE_MS: u64 = 3_600_000;

/// Three seconds of picture and sound with an IDR each second.
fn make_clip(path: &Path) {
    let picture = "testsrc2=size=320x240:rate=30,format=yuv420p";
    let sound = "sine=frequency=440:sample_rate=48000";
    let mut arguments = vec!["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-t", "3"];
    arguments.extend(["-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "30", "-c:a", "aac", "-ac", "2"]);
    arguments.extend(["-metadata", "title=what the metadata says"]);
    arguments.push(path.to_str().unwrap());
    ffmpeg(&arguments);
}

/// A network that trusts the machine's roots and these.
fn network(extra_ca: &[PathBuf]) -> Network {
    Network { runtime: Handle::current(), tls: Tls::open(extra_ca).unwrap() }
}

fn spawn(headers: Headers, address: &str, network: &Network) -> Output {
    let destination = Endpoint::with_key_apart(address, &Secret::new(KEY)).unwrap();
    Output::spawn(network, spec(destination), Arc::new(headers))
}

/// An output that all of a clip can be given to at once, its B-frames, too.
fn spec(destination: Endpoint) -> Spec {
    let limits = Limits { disposable_ms_max: u64::MAX, ..Limits::default() };
    Spec::new(Id::new("test").unwrap(), destination, limits)
}

/// Starts to publish and waits until the server takes media.
async fn start(headers: Headers, address: &str) -> Output {
    let output = spawn(headers, address, &network(&[]));
    reach(&output, |state| *state == State::Publishing).await;
    output
}

async fn reach(output: &Output, is_it: impl FnMut(&State) -> bool) {
    let patience = Duration::from_secs(30);
    let reached = timeout(patience, output.states().wait_for(is_it)).await.map(|state| state.is_ok());
    assert_eq!(reached, Ok(true), "{:?}", output.stats());
}

/// Publishes all but the first IDR, and says good-bye.
async fn finish(output: Output, packets: &[Packet]) {
    assert_eq!(packets[0].kind, Kind::Video { is_key: true });
    packets[1..].iter().for_each(|packet| output.push(packet));
    assert_eq!(output.stats().output_skipped_frames, 0);
    output.stop().await;
}

fn packets(path: &Path) -> Vec<Value> {
    match ffprobe_json(path, &["-show_packets"])["packets"].take() {
        // Some servers record metadata as a track of its own.
        Value::Array(packets) => packets.into_iter().filter(is_media).collect(),
        other => panic!("ffprobe shows no packets: {other}"),
    }
}

fn is_media(described: &Value) -> bool {
    matches!(described["codec_type"].as_str(), Some("audio" | "video"))
}

/// Packets in a file that is still written to, and may have no header yet.
fn packets_so_far(path: &Path) -> usize {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "quiet", "-of", "csv", "-show_entries", "packet=codec_type"]).arg(path);
    let listed = String::from_utf8(command.output().unwrap().stdout).unwrap();
    listed.lines().filter(|line| line.ends_with("audio") || line.ends_with("video")).count()
}

/// Packets in a file that is still written to, and whose times FFmpeg may not take.
fn packets_in(file: &Path) -> usize {
    let written = fs::read(file).unwrap();
    if written.len() > 13 { Clip::of(written.into(), 0).packets.len() } else { 0 }
}

/// Where the second IDR is.
fn second_key(packets: &[Value]) -> usize {
    let is_key = |packet: &Value| packet["codec_type"] == "video" && packet["flags"] == "K_";
    let keys = packets.iter().enumerate().filter(|(_, packet)| is_key(packet));
    keys.map(|(index, _)| index).nth(1).unwrap()
}

/// Type, times from the first packet on, flags and size of each packet.
fn describe(packets: &[Value]) -> Vec<String> {
    let start_ms = packets[0]["dts"].as_i64().unwrap();
    let from_start = |packet: &Value, name: &str| packet[name].as_i64().unwrap() - start_ms;
    let describe = |packet: &Value| {
        let (pts, dts) = (from_start(packet, "pts"), from_start(packet, "dts"));
        format!("{} {pts} {dts} {} {}", packet["codec_type"], packet["flags"], packet["size"])
    };
    packets.iter().map(describe).collect()
}

/// Of each track, what a decoder must know.
fn tracks(path: &Path) -> Vec<String> {
    let probe = ffprobe_json(path, &["-show_streams", "-show_data_hash", "md5"]);
    let describe = |track: &Value| {
        let names = ["codec_name", "profile", "level", "width", "height", "sample_rate", "channels", "extradata_hash"];
        names.map(|name| format!("{name}={} ", track[name])).concat()
    };
    let media = probe["streams"].as_array().unwrap().iter().filter(|track| is_media(track));
    let mut tracks: Vec<_> = media.map(describe).collect();
    tracks.sort();
    tracks
}

/// The server has the same tracks, and all packets from the second IDR on.
fn assert_received(received: &Path, sent: &Path) {
    assert_eq!(tracks(received), tracks(sent));
    let (received, sent) = (packets(received), packets(sent));
    let (received, sent) = (describe(&received), describe(&sent[second_key(&sent)..]));
    let first_difference = received.iter().zip(&sent).position(|(received, sent)| received != sent);
    let shown = first_difference.map(|n| (n, &received[n], &sent[n]));
    assert_eq!((received.len(), shown), (sent.len(), None), "(packets, first that differs)");
    assert!(sent.len() > 60 + 90, "two seconds have 60 pictures and some 94 pieces of sound");
}

#[tokio::test]
async fn nginx_rtmp_receives_what_was_sent() {
    let directory = tempfile::tempdir().unwrap();
    let sent = directory.path().join("clip.flv");
    make_clip(&sent);
    let (clip, nginx) = (Clip::read(&sent, AGE_MS), Nginx::start());
    finish(start(clip.headers, &nginx.address()).await, &clip.packets).await;
    assert_received(&nginx.recording(KEY), &sent);
}

#[tokio::test]
async fn ffmpeg_receives_what_was_sent() {
    let directory = tempfile::tempdir().unwrap();
    let sent = directory.path().join("clip.flv");
    make_clip(&sent);
    let (clip, mut listener) = (Clip::read(&sent, AGE_MS), FfmpegListener::start(KEY));
    finish(start(clip.headers, &listener.address()).await, &clip.packets).await;
    let received = listener.finish();
    assert_received(&received, &sent);
    // nginx-rtmp records no metadata; FFmpeg hands on the texts in it.
    let format = ffprobe_json(&received, &["-show_format"]);
    assert_eq!(format["format"]["tags"]["title"], "what the metadata says", "{format}");
}

#[tokio::test]
async fn a_server_that_is_restarted_gets_a_stream_that_begins_anew() {
    let directory = tempfile::tempdir().unwrap();
    let sent = directory.path().join("clip.flv");
    make_clip(&sent);
    let (clip, mut nginx) = (Clip::read(&sent, AGE_MS), Nginx::start());
    let output = start(clip.headers, &nginx.address()).await;
    clip.packets.iter().for_each(|packet| output.push(packet));
    nginx.kill();
    reach(&output, |state| matches!(state, State::BackingOff { .. })).await;
    nginx.restart();
    reach(&output, |state| *state == State::Publishing).await;
    assert_eq!(output.stats().reconnects, 1);
    finish(output, &clip.packets).await;
    assert_received(&nginx.recording(KEY), &sent);
}

/// Publishes an IDR and, as if the network had stood still since, what begins with the second one at `at_ms` of the session.
async fn publish_late(output: Output, packets: &[Packet], at_ms: u64) {
    let is_key = |packet: &&Packet| packet.kind == Kind::Video { is_key: true };
    let [first, second] = [0, 1].map(|n| packets.iter().filter(is_key).nth(n).unwrap());
    output.push(first);
    eventually("the first picture is sent", async || (output.stats().output_total_frames == 1).then_some(())).await;
    for packet in packets.iter().skip_while(|packet| !std::ptr::eq(*packet, second)) {
        let dts_ms = first.dts_ms + at_ms + (packet.dts_ms - second.dts_ms);
        output.push(&Packet { dts_ms, ..packet.clone() });
    }
    assert_eq!(output.stats().output_skipped_frames, 0);
    output.stop().await;
}

/// The server has the first IDR, and `at_ms` later all packets from the second on, at their distances.
fn assert_received_late(received: &Path, sent: &Path, at_ms: i64) {
    let (received, sent) = (packets(received), packets(sent));
    let dts_ms = |n: usize| received[n]["dts"].as_i64().unwrap();
    assert_eq!(dts_ms(1) - dts_ms(0), at_ms);
    assert_eq!(describe(&received[1..]), describe(&sent[second_key(&sent)..]));
}

/// Where the 24 bits of a timestamp end, after 4 h 39 min: in the middle of what is sent, and just before it, so that its first
/// picture, of several chunks, has an extended timestamp in each of them.
const HOURS_MS: [u64; 2] = [0xFF_FFFF - 1000, 0xFF_FFFF];
/// A second before the 32 bits of a timestamp end, after 49 days.
const WEEKS_MS: u64 = (1 << 32) - 1000;

#[tokio::test]
async fn nginx_rtmp_receives_what_is_sent_after_hours() {
    let directory = tempfile::tempdir().unwrap();
    let sent = directory.path().join("clip.flv");
    make_clip(&sent);
    for at_ms in HOURS_MS {
        let (clip, nginx) = (Clip::read(&sent, AGE_MS), Nginx::start());
        publish_late(start(clip.headers, &nginx.address()).await, &clip.packets, at_ms).await;
        assert_received_late(&nginx.recording(KEY), &sent, at_ms as i64);
    }
}

#[tokio::test]
async fn ffmpeg_receives_what_is_sent_after_hours() {
    let directory = tempfile::tempdir().unwrap();
    let sent = directory.path().join("clip.flv");
    make_clip(&sent);
    for at_ms in HOURS_MS {
        let (clip, mut listener) = (Clip::read(&sent, AGE_MS), FfmpegListener::start(KEY));
        publish_late(start(clip.headers, &listener.address()).await, &clip.packets, at_ms).await;
        assert_received_late(&listener.finish(), &sent, at_ms as i64);
    }
}

/// What the file says of each packet after the first IDR: its time in 32 bits, and its body.
fn late_tags(file: &Path) -> Vec<(u64, Bytes)> {
    let body = |packet: &Packet| [packet.body.head(), packet.body.media()].concat().into();
    Clip::read(file, 0).packets[1..].iter().map(|packet| (packet.dts_ms, body(packet))).collect()
}

/// All of a clip from its second IDR on, which is at `at_ms` of the session.
fn expected_late(sent: &Path, at_ms: u64) -> Vec<(u64, Bytes)> {
    let tags = late_tags(sent);
    let first = second_key(&packets(sent)) - 1;
    tags[first..].iter().map(|(dts_ms, body)| (at_ms + dts_ms - tags[first].0, body.clone())).collect()
}

/// No packet is lost where the timestamp begins anew, and the times after that are exact. The times before it are the
/// server's own limit: nginx-rtmp takes what is 2^31 ms (24.8 days) after the start of a recording for something before it,
/// and writes 0. FFmpeg, as a server, ends there altogether: its FLV has no such times.
#[tokio::test]
async fn nginx_rtmp_receives_what_is_sent_after_weeks() {
    let directory = tempfile::tempdir().unwrap();
    let sent = directory.path().join("clip.flv");
    make_clip(&sent);
    let (clip, nginx) = (Clip::read(&sent, AGE_MS), Nginx::start());
    publish_late(start(clip.headers, &nginx.address()).await, &clip.packets, WEEKS_MS).await;
    let wrapped: Vec<_> = expected_late(&sent, WEEKS_MS)
        .into_iter()
        .map(|(session_ms, body)| (session_ms.saturating_sub(1 << 32), body))
        .collect();
    assert!(wrapped.iter().filter(|(at_ms, _)| *at_ms > 0).count() > 60);
    assert_eq!(late_tags(&nginx.recording(KEY)), wrapped);
}

#[tokio::test]
async fn node_media_server_receives_what_is_sent_after_hours() {
    let directory = tempfile::tempdir().unwrap();
    let sent = directory.path().join("clip.flv");
    make_clip(&sent);
    let (authority, _) = authority(directory.path());
    let server = NodeMediaServer::start(&authority.issue("localhost"));
    for at_ms in HOURS_MS {
        let key = format!("late-{at_ms}");
        let clip = Clip::read(&sent, AGE_MS);
        let destination = Endpoint::with_key_apart(&server.address(), &Secret::new(&key)).unwrap();
        let output = Output::spawn(&network(&[]), spec(destination), Arc::new(clip.headers));
        reach(&output, |state| *state == State::Publishing).await;
        publish_late(output, &clip.packets, at_ms).await;
        let expected = expected_late(&sent, at_ms);
        let is_whole = async || server.recording(&key).filter(|file| packets_in(file) > expected.len());
        let received = eventually("the recording is whole", is_whole).await;
        assert_eq!(late_tags(&received), expected);
    }
}

/// Whatever a server says no with, and at whatever step: what is shown, and when it is asked again. That it is asked again,
/// `src/output/tests.rs` has in virtual time.
#[tokio::test]
async fn every_refusal_is_shown_as_what_it_is() {
    use At::{Connect, CreateStream, Publish};
    let directory = tempfile::tempdir().unwrap();
    let sent = directory.path().join("clip.flv");
    make_clip(&sent);
    let needs_auth = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ]";
    for (at, code, description, class) in [
        (Connect, "NetConnection.Connect.InvalidApp", "no such application", "refused_invalid_app"),
        (Connect, "NetConnection.Connect.Rejected", "no", "refused_denied"),
        (Connect, "NetConnection.Connect.Rejected", needs_auth, "refused_auth_required"),
        (Connect, "NetConnection.Connect.Failed", "no", "refused_other"),
        (Connect, "", "", "refused_other"),
        (CreateStream, "NetConnection.Call.Failed", "no", "refused_other"),
        (Publish, "NetStream.Publish.BadName", "already publishing", "refused_stale_session"),
        (Publish, "NetStream.Publish.Denied", "no", "refused_denied"),
        (Publish, "NetStream.Publish.Rejected", "no", "refused_denied"),
        (Publish, "NetStream.Failed", "no", "refused_other"),
        (Publish, "Vendor.Quota", "no", "refused_other"),
    ] {
        let refuser = Refuser::start_at(at, code, description);
        let output = spawn(Clip::read(&sent, AGE_MS).headers, &refuser.address(), &network(&[]));
        reach(&output, |state| matches!(state, State::BackingOff { .. } | State::Refused { .. })).await;
        let stats = output.stats();
        let error = stats.last_error.unwrap();
        assert_eq!(error.class, class, "{code}: {error:?}");
        assert!(error.message.contains(description) && !error.message.contains(KEY), "{error:?}");
        let retry_in_ms = stats.retry_in_ms.unwrap();
        // A name in use may be our own ghost, which a server forgets soon; nobody else is to be asked often.
        let is_as_expected = match stats.state {
            State::BackingOff { attempt: 1 } => class == "refused_stale_session" && retry_in_ms <= 500,
            State::Refused { code: shown } => shown == code && (25_000..=30_000).contains(&retry_in_ms),
            _ => false,
        };
        assert!(is_as_expected, "{code}: {retry_in_ms} ms");
        output.stop().await;
    }
}

/// A private authority, and the file by which a configuration trusts it.
fn authority(directory: &Path) -> (Authority, PathBuf) {
    let authority = Authority::new("a private authority");
    let path = directory.join("authority.pem");
    fs::write(&path, &authority.certificate).unwrap();
    (authority, path)
}

#[tokio::test]
async fn a_server_behind_tls_receives_what_was_sent() {
    let directory = tempfile::tempdir().unwrap();
    let sent = directory.path().join("clip.flv");
    make_clip(&sent);
    let (authority, path) = authority(directory.path());
    let (clip, nginx) = (Clip::read(&sent, AGE_MS), Nginx::start_with_tls(&authority.issue("localhost")));
    let address = format!("rtmps://localhost:{}/live", nginx.port());
    let output = spawn(clip.headers, &address, &network(&[path]));
    reach(&output, |state| *state == State::Publishing).await;
    finish(output, &clip.packets).await;
    assert_received(&nginx.recording(KEY), &sent);
}

#[tokio::test]
async fn node_media_server_receives_what_was_sent() {
    let directory = tempfile::tempdir().unwrap();
    let sent = directory.path().join("clip.flv");
    make_clip(&sent);
    let (authority, path) = authority(directory.path());
    let server = NodeMediaServer::start(&authority.issue("localhost"));
    for (key, address) in [("plain", server.address()), ("secure", server.tls_address())] {
        let clip = Clip::read(&sent, AGE_MS);
        let destination = Endpoint::with_key_apart(&address, &Secret::new(key)).unwrap();
        let output = Output::spawn(&network(slice::from_ref(&path)), spec(destination), Arc::new(clip.headers));
        reach(&output, |state| *state == State::Publishing).await;
        finish(output, &clip.packets).await;
        let expected = packets(&sent).len() - second_key(&packets(&sent));
        let is_whole = async || server.recording(key).filter(|file| packets_so_far(file) >= expected);
        assert_received(&eventually("the recording is whole", is_whole).await, &sent);
    }
}

/// Whoever cannot prove who it is gets no stream key, and the error says what to do.
#[tokio::test]
async fn a_server_that_is_not_who_it_should_be_gets_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let sent = directory.path().join("clip.flv");
    make_clip(&sent);
    let (ours, path) = authority(directory.path());
    let trusting = network(&[path]);
    for (nginx, class, fix) in [
        (Nginx::start_with_tls(&ours.issue("elsewhere.example")), "tls_wrong_name", "the name that stands in"),
        (Nginx::start_with_tls(&ours.issue_until("localhost", 2025)), "tls_expired", "renew"),
        (
            Nginx::start_with_tls(&Authority::new("somebody else").issue("localhost")),
            "tls_unknown_issuer",
            "tls.extra_ca",
        ),
    ] {
        let address = format!("rtmps://localhost:{}/live", nginx.port());
        let output = spawn(Clip::read(&sent, AGE_MS).headers, &address, &trusting);
        reach(&output, |state| matches!(state, State::BackingOff { .. })).await;
        let error = output.stats().last_error.unwrap();
        assert_eq!(error.class, class, "{error:?}");
        assert!(error.message.contains(fix) && !error.message.contains(KEY), "{error:?}");
        output.stop().await;
        assert!(!nginx.recording(KEY).exists(), "{class}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let sent = directory.path().join("clip.flv");
    make_clip(&sent);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("rtmps://localhost:{}/live", listener.local_addr().unwrap().port());
    let output = spawn(Clip::read(&sent, AGE_MS).headers, &address, &network(&[]));
    let (mut server, _) = listener.accept().await.unwrap();
    server.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    reach(&output, |state| matches!(state, State::BackingOff { .. })).await;
    let error = output.stats().last_error.unwrap();
    assert!(error.class == "tls_handshake" && error.message.contains("speaks TLS"), "{error:?}");
    output.stop().await;
}
