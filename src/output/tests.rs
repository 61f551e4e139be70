//! Whole outputs against scripted servers: in-memory streams in virtual time, so nothing here sleeps or depends on load.
//!
//! A [`Peer`] is the server's end of one connection and plays its script step by step; a [`Net`] decides which attempts
//! get a connection at all. The last tests use real sockets on loopback.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::TcpListener,
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{session::GOODBYE_MAX, *};
use crate::{
    base::secret::Secret,
    rtmp::{
        amf0::Value,
        auth::Credentials,
        chunk::{Limits as ChunkLimits, Reader, Writer},
        handshake::PACKET_LEN,
        message::{Command, Kind as Type, Message},
    },
};

const KEY: &str = "live_secret_key?token=hidden";
/// Bytes that the pretended network holds in each direction.
const WIRE_LEN: usize = 16 << 10;
const STREAM_ID: u32 = 1;
/// How long a test waits for something before it fails; in virtual time that takes no time.
const PATIENCE: Duration = Duration::from_secs(600);

// The pretended network.

/// What becomes of the attempts to connect: each takes the next answer, and waits if there is none.
#[derive(Debug)]
struct Net {
    answers: mpsc::Sender<io::Result<DuplexStream>>,
    /// Hosts whose addresses were asked for.
    asked: Arc<Mutex<Vec<String>>>,
}

/// The driver's side of it.
#[derive(Debug)]
struct Wire {
    answers: mpsc::Receiver<io::Result<DuplexStream>>,
    asked: Arc<Mutex<Vec<String>>>,
    resolver: Resolver,
}

#[derive(Debug, Clone, Copy)]
enum Resolver {
    Works,
    Fails,
    Hangs,
}

impl transport::Connection for DuplexStream {
    fn probe(&self) -> transport::Probe {
        transport::Probe::default()
    }
}

impl Transport for Wire {
    type Stream = DuplexStream;

    async fn resolve(&mut self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        match self.resolver {
            Resolver::Works => Ok(vec![SocketAddr::from(([192, 0, 2, 1], port))]),
            Resolver::Fails => Err(io::Error::other("no such host")),
            Resolver::Hangs => std::future::pending().await,
        }
    }

    async fn open(&mut self, _addresses: &[SocketAddr]) -> io::Result<DuplexStream> {
        match self.answers.recv().await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    async fn secure(&mut self, _host: &str, stream: DuplexStream) -> io::Result<DuplexStream> {
        Ok(stream)
    }
}

impl Net {
    fn new(resolver: Resolver) -> (Self, Wire) {
        let (sender, receiver) = mpsc::channel(8);
        let asked = Arc::<Mutex<_>>::default();
        (Self { answers: sender, asked: Arc::clone(&asked) }, Wire { answers: receiver, asked, resolver })
    }

    /// The hosts that were asked for since the last call.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// Lets the next attempt connect.
    async fn connect(&self) -> Peer {
        let (client, server) = duplex(WIRE_LEN);
        self.answers.send(Ok(client)).await.unwrap();
        Peer::new(server)
    }

    /// Lets the next attempt connect, and go on air.
    async fn accept(&self) -> Peer {
        let mut peer = self.connect().await;
        peer.accept().await;
        settle().await; // until the client has read that it is on air
        peer
    }
}

/// A server's end of a connection.
#[derive(Debug)]
struct Peer {
    stream: DuplexStream,
    reader: Reader,
    writer: Writer,
    input: Vec<u8>,
}

impl Peer {
    fn new(stream: DuplexStream) -> Self {
        let limits = ChunkLimits { message_len_max: 16 << 20, ..ChunkLimits::default() };
        Self { stream, reader: Reader::new(limits), writer: Writer::new(), input: Vec::new() }
    }

    async fn greet(&mut self) {
        let mut c0_c1 = vec![0; 1 + PACKET_LEN];
        self.stream.read_exact(&mut c0_c1).await.unwrap();
        self.stream.write_all(&[&c0_c1[..], &c0_c1[1..]].concat()).await.unwrap();
        self.stream.read_exact(&mut vec![0; PACKET_LEN]).await.unwrap();
    }

    async fn accept(&mut self) {
        self.greet().await;
        self.answer("connect", "_result", &[Value::Null, Value::Null]).await;
        self.answer("createStream", "_result", &[Value::Null, f64::from(STREAM_ID).into()]).await;
        self.expect("publish").await;
        self.status("status", "NetStream.Publish.Start", "").await;
    }

    /// The next message; `None` when the client has hung up.
    async fn next(&mut self) -> Option<Message> {
        loop {
            let mut unread = &self.input[..];
            let message = self.reader.read(&mut unread).unwrap();
            let used = self.input.len() - unread.len();
            self.input.drain(..used);
            if message.is_some() {
                return message;
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.input)).await;
            if read.expect("the client says nothing").unwrap() == 0 {
                return None;
            }
        }
    }

    /// Skips to the command of that name; returns its transaction and arguments.
    async fn expect(&mut self, name: &str) -> (f64, Vec<Value>) {
        loop {
            let message = self.next().await.unwrap_or_else(|| panic!("no {name} before the end"));
            if message.kind == Type::Command {
                let command = Command::decode(&message).unwrap().unwrap();
                if command.name == name {
                    return (command.transaction, command.arguments.decode_all().unwrap());
                }
            }
        }
    }

    async fn answer(&mut self, command: &str, answer: &str, values: &[Value]) {
        let (transaction, _) = self.expect(command).await;
        let values: Vec<Value> =
            [answer.into(), transaction.into()].into_iter().chain(values.iter().cloned()).collect();
        self.say(&Message::command(&values)).await;
    }

    /// Goes on up to this command, and answers it with a refusal.
    async fn refuse(&mut self, command: &str, code: &str, description: &str) {
        self.greet().await;
        for (name, result) in [("connect", Value::Null), ("createStream", 1.0.into())] {
            if name == command {
                let info = info("error", code, description);
                return self.answer(name, "_error", &[Value::Null, info]).await;
            }
            self.answer(name, "_result", &[Value::Null, result]).await;
        }
        self.expect("publish").await;
        self.status("error", code, description).await;
    }

    async fn status(&mut self, level: &str, code: &str, description: &str) {
        self.say(&Message::command(&["onStatus".into(), 0.0.into(), Value::Null, info(level, code, description)]))
            .await;
    }

    async fn say(&mut self, message: &Message) {
        let mut pieces = VecDeque::new();
        self.writer.write(message, &mut pieces).unwrap();
        let bytes: Vec<u8> = pieces.iter().flatten().copied().collect();
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// The next audio, video or metadata: `(kind, timestamp, body)`, the body shortened to what tells it apart.
    async fn media(&mut self) -> (char, u32, Bytes) {
        loop {
            let message = self.next().await.expect("client is still there");
            let kind = match message.kind {
                Type::Video => 'v',
                Type::Audio => 'a',
                Type::Data => 'd',
                _ => continue,
            };
            return (kind, message.timestamp_ms, message.payload.slice(..message.payload.len().min(9)));
        }
    }

    async fn expect_headers(&mut self, at_ms: u32, headers: &Headers) {
        assert_eq!(self.media().await, ('d', 0, headers.metadata.clone()));
        assert_eq!(self.media().await, ('v', at_ms, headers.video.clone()));
        assert_eq!(self.media().await, ('a', at_ms, headers.audio.clone()));
    }

    async fn expect_packet(&mut self, kind: char, at_ms: u32, packet: &Packet) {
        assert_eq!(self.media().await, (kind, at_ms, packet.body.media().slice(..9)));
    }
}

fn info(level: &str, code: &str, description: &str) -> Value {
    let properties = [("level", level), ("code", code), ("description", description)];
    Value::Object(properties.map(|(name, text)| (name.to_owned(), text.into())).to_vec())
}

// The stream.

fn packet(kind: Kind, dts_ms: u64, len: usize) -> Packet {
    let letter = match kind {
        Kind::Video { is_key: true } => b'K',
        Kind::Video { is_key: false } => b'v',
        Kind::Audio => b'a',
    };
    let mut body = vec![letter; len];
    body[1..9].copy_from_slice(&dts_ms.to_be_bytes());
    Packet { kind, dts_ms, body: Bytes::from(body).into() }
}

fn key(dts_ms: u64) -> Packet {
    packet(Kind::Video { is_key: true }, dts_ms, 3000)
}

fn inter(dts_ms: u64) -> Packet {
    packet(Kind::Video { is_key: false }, dts_ms, 1000)
}

fn sound(dts_ms: u64) -> Packet {
    packet(Kind::Audio, dts_ms, 200)
}

/// `seconds` of a stream from `from_s` on: 25 pictures a second, an IDR each second, 50 pieces of sound.
fn seconds(from_s: u64, seconds: u64) -> impl Iterator<Item = Packet> {
    (from_s * 50..(from_s + seconds) * 50).flat_map(|n| {
        let dts_ms = n * 20;
        let picture = if n % 50 == 0 { key(dts_ms) } else { inter(dts_ms) };
        n.is_multiple_of(2).then_some(picture).into_iter().chain([sound(dts_ms)])
    })
}

fn headers(name: &str) -> Arc<Headers> {
    let body = |part: &str| Bytes::from(format!("{name}-{part}"));
    Arc::new(Headers { metadata: body("meta"), video: body("avc"), audio: body("aac") })
}

fn endpoint() -> Endpoint {
    Endpoint::with_key_apart("rtmp://server.example/live", &Secret::new(KEY)).unwrap()
}

fn spec(destination: Endpoint) -> Spec {
    Spec::new(Id::new("twitch").unwrap(), destination, Limits::default())
}

fn output(resolver: Resolver) -> (Net, Output) {
    let (net, wire) = Net::new(resolver);
    (net, Output::spawn_over(wire, &Handle::current(), spec(endpoint()), headers("h")))
}

impl Output {
    /// Waits for a state.
    async fn reach(&self, is_it: impl FnMut(&State) -> bool) -> State {
        let mut states = self.states();
        let reached = timeout(PATIENCE, states.wait_for(is_it)).await;
        reached.unwrap_or_else(|_| panic!("stuck: {:?}", self.stats())).unwrap().clone()
    }

    async fn reach_backing_off(&self) -> Stats {
        self.reach(|state| matches!(state, State::BackingOff { .. })).await;
        self.stats()
    }

    fn push_all(&self, packets: impl Iterator<Item = Packet>) {
        packets.for_each(|packet| self.push(&packet));
    }
}

fn class(stats: &Stats) -> &'static str {
    stats.last_error.as_ref().map_or("none", |error| error.class)
}

/// Waits until the other tasks have nothing left to do: virtual time moves only then.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

// A session.

#[tokio::test(start_paused = true)]
async fn a_session_begins_with_headers_and_an_idr_at_zero() {
    let (net, output) = output(Resolver::Works);
    output.push(&key(900)); // before the session: gone
    let mut peer = net.accept().await;
    peer.expect_headers(0, &headers("h")).await;
    let (first, early, late) = (key(1000), sound(990), sound(1021));
    for packet in [&inter(960), &sound(980), &first, &early, &late, &inter(1040)] {
        output.push(packet);
    }
    peer.expect_packet('v', 0, &first).await;
    peer.expect_packet('a', 0, &early).await;
    peer.expect_packet('a', 21, &late).await;
    peer.expect_packet('v', 40, &inter(1040)).await;
    let stats = output.stats();
    assert_eq!(stats.state, State::Publishing);
    assert_eq!((stats.output_total_frames, stats.output_skipped_frames, stats.output_duration_ms), (2, 0, 40));
    assert_eq!((stats.attempts, stats.reconnects, stats.queue_bytes, class(&stats)), (1, 0, 0, "none"));
    let bodies = 3000 + 200 + 200 + 1000 + 2 * 1536;
    assert!((bodies..bodies + 1000).contains(&stats.output_bytes), "{stats:?}");
}

/// Where the 24 bits of a timestamp end, and where its 32 bits do: media goes on at its distances, in many chunks, and so does
/// what follows metadata, whose timestamp is 0 again.
#[tokio::test(start_paused = true)]
async fn timestamps_go_over_their_24_and_their_32_bits() {
    for edge_ms in [0xFF_FFFF_u64, 1 << 32] {
        let (net, output) = output(Resolver::Works);
        let mut peer = net.accept().await;
        peer.expect_headers(0, &headers("h")).await;
        output.push(&key(1000));
        peer.expect_packet('v', 0, &key(1000)).await;
        for session_ms in edge_ms - 100..edge_ms + 100 {
            let at_ms = session_ms as u32;
            let picture = packet(Kind::Video { is_key: session_ms % 40 == 0 }, 1000 + session_ms, 9000);
            output.push(&picture);
            peer.expect_packet('v', at_ms, &picture).await;
            output.push(&sound(1000 + session_ms));
            peer.expect_packet('a', at_ms, &sound(1000 + session_ms)).await;
            if session_ms % 40 == 39 {
                output.set_headers(headers("new"));
                let next = packet(Kind::Video { is_key: true }, 1001 + session_ms, 9000);
                output.push(&next);
                // With the first packet that needs them.
                peer.expect_headers((session_ms + 1) as u32, &headers("new")).await;
                peer.expect_packet('v', (session_ms + 1) as u32, &next).await;
            }
        }
        let stats = output.stats();
        assert_eq!((stats.reconnects, stats.output_skipped_frames), (0, 0), "{stats:?}");
        assert_eq!(stats.output_duration_ms, edge_ms + 99);
    }
}

/// From when it was ready, not from when it was pushed, to when the network has taken all of it; sound is not counted.
#[tokio::test(start_paused = true)]
async fn a_pictures_latency_ends_with_its_last_byte() {
    let (net, output) = output(Resolver::Works);
    let mut peer = net.accept().await;
    peer.expect_headers(0, &headers("h")).await;
    let observed = || {
        let latency = output.stats().latency;
        (latency.count(), latency.sum().as_millis())
    };
    let ready_at = Instant::now();
    tokio::time::advance(Duration::from_millis(5)).await;
    output.push_ready(&key(1000), ready_at);
    output.push(&sound(1010));
    peer.expect_packet('v', 0, &key(1000)).await;
    peer.expect_packet('a', 10, &sound(1010)).await;
    assert_eq!(observed(), (1, 5));

    let large = packet(Kind::Video { is_key: false }, 1040, WIRE_LEN + 4000);
    output.push(&large);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(observed(), (1, 5), "the network holds most of it, but not all");
    peer.expect_packet('v', 40, &large).await;
    settle().await;
    assert_eq!(observed(), (2, 305));

    output.push(&packet(Kind::Video { is_key: false }, 1080, 2 * WIRE_LEN));
    settle().await;
    drop(peer);
    output.reach_backing_off().await;
    assert_eq!(observed(), (2, 305), "what is lost on its way has no latency");
}

#[tokio::test(start_paused = true)]
async fn a_rebuilt_encoder_sends_new_headers_in_place_and_resumes_at_an_idr() {
    let (net, output) = output(Resolver::Works);
    let mut peer = net.accept().await;
    peer.expect_headers(0, &headers("h")).await;
    output.push(&key(1000));
    output.push(&inter(1040));
    output.set_headers(headers("new"));
    for packet in [inter(1080), sound(1100), key(1120)] {
        output.push(&packet);
    }
    peer.expect_packet('v', 0, &key(1000)).await;
    peer.expect_packet('v', 40, &inter(1040)).await;
    peer.expect_headers(100, &headers("new")).await;
    peer.expect_packet('a', 100, &sound(1100)).await;
    peer.expect_packet('v', 120, &key(1120)).await;
    drop(peer);
    net.accept().await.expect_headers(0, &headers("new")).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_up_is_connected_again_and_begins_anew() {
    let (net, output) = output(Resolver::Works);
    let mut peer = net.accept().await;
    peer.expect_headers(0, &headers("h")).await;
    output.push(&key(1000));
    output.push(&sound(1500));
    peer.expect_packet('v', 0, &key(1000)).await;
    drop(peer);
    let stats = output.reach_backing_off().await;
    assert_eq!((stats.state, stats.retry_in_ms.is_some()), (State::BackingOff { attempt: 1 }, true));

    output.push_all(seconds(2, 1)); // during the outage: gone
    let mut peer = net.accept().await;
    peer.expect_headers(0, &headers("h")).await;
    output.push(&inter(3040));
    output.push(&key(4000));
    peer.expect_packet('v', 0, &key(4000)).await;
    let stats = output.stats();
    assert_eq!((stats.attempts, stats.reconnects, stats.output_skipped_frames), (2, 1, 0));
    assert_eq!(stats.output_duration_ms, 500, "the first session's");
    assert!(["closed", "lost"].contains(&class(&stats)), "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn a_minute_on_air_makes_the_next_failure_the_first() {
    let (net, output) = output(Resolver::Works);
    for (on_air_s, attempt) in [(1, 1), (59, 2), (60, 1), (1, 2)] {
        let peer = net.accept().await;
        output.reach(|state| *state == State::Publishing).await;
        tokio::time::advance(Duration::from_secs(on_air_s)).await;
        drop(peer);
        assert_eq!(output.reach_backing_off().await.state, State::BackingOff { attempt }, "{on_air_s} s");
        output.reach(|state| *state == State::Connecting).await;
    }
}

// Servers that do not want us.

#[tokio::test(start_paused = true)]
async fn refusals_are_shown_and_asked_again_slowly() {
    for (command, code, class_expected) in [
        ("connect", "NetConnection.Connect.InvalidApp", "refused_invalid_app"),
        ("connect", "NetConnection.Connect.Rejected", "refused_denied"),
        ("connect", "NetConnection.Connect.Failed", "refused_other"),
        ("connect", "", "refused_other"),
        ("createStream", "NetConnection.Call.Failed", "refused_other"),
        ("publish", "NetStream.Publish.Denied", "refused_denied"),
        ("publish", "NetStream.Publish.Rejected", "refused_denied"),
        ("publish", "NetStream.Failed", "refused_other"),
        ("publish", "Vendor.Quota", "refused_other"),
    ] {
        let (net, output) = output(Resolver::Works);
        let mut peer = net.connect().await;
        peer.refuse(command, code, &format!("no stream {KEY} here")).await;
        let refused_at = Instant::now();
        output.reach(|state| *state == State::Refused { code: code.into() }).await;
        let stats = output.stats();
        assert_eq!((class(&stats), stats.retry_in_ms), (class_expected, Some(30_000)), "{code}");
        let shown = format!("{stats:?} {}", serde_json::to_string(&stats).unwrap());
        assert!(shown.contains("no stream [redacted] here"), "{shown}");
        assert!(!shown.contains("secret") && !shown.contains("hidden"), "{shown}");
        output.reach(|state| *state == State::Connecting).await;
        assert_eq!(refused_at.elapsed().as_secs(), 30, "{code}");
    }
}

const NEEDS_A_NAME: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
const NEEDS_A_DIGEST: &str = "[ authmod=adobe ] : ?reason=needauth&user=alice&salt=yAbUeg==&challenge=KgAAAA==";

/// An output with user and password, and the network it is on.
fn output_of_alice() -> (Net, Output) {
    let (net, wire) = Net::new(Resolver::Works);
    let spec = spec(endpoint()).with_credentials(Credentials::new("alice", Secret::new("wonderland")).unwrap());
    (net, Output::spawn_over(wire, &Handle::current(), spec, headers("h")))
}

/// Takes a connection up to `connect` and refuses it with these words; returns the app that was asked for.
async fn refuse(net: &Net, description: &str) -> String {
    let mut peer = net.connect().await;
    peer.greet().await;
    let (transaction, arguments) = peer.expect("connect").await;
    let info = info("error", "NetConnection.Connect.Rejected", description);
    peer.say(&Message::command(&["_error".into(), transaction.into(), Value::Null, info])).await;
    let app = arguments[0].get("app").and_then(Value::as_str).unwrap().to_owned();
    while peer.next().await.is_some() {}
    app
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_a_password_gets_a_digest_of_it() {
    let (net, output) = output_of_alice();
    assert_eq!(refuse(&net, NEEDS_A_NAME).await, "live");
    assert_eq!(refuse(&net, NEEDS_A_DIGEST).await, "live?authmod=adobe&user=alice");
    net.accept().await;
    let stats = output.stats();
    assert_eq!((stats.state.clone(), stats.attempts, class(&stats)), (State::Publishing, 1, "none"), "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_never_content_is_a_refusal() {
    let (net, output) = output_of_alice();
    assert_eq!(refuse(&net, NEEDS_A_NAME).await, "live");
    assert_eq!(refuse(&net, NEEDS_A_DIGEST).await, "live?authmod=adobe&user=alice");
    let app = refuse(&net, NEEDS_A_DIGEST).await;
    assert!(app.contains("&response=") && !app.contains("wonderland"), "{app}");
    output.reach(|state| matches!(state, State::Refused { .. })).await;
    assert_eq!(class(&output.stats()), "refused_auth_required");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_and_a_missing_one_are_refusals() {
    let (net, output) = output_of_alice();
    refuse(&net, "[ authmod=adobe ] : ?reason=authfailed").await;
    output.reach(|state| matches!(state, State::Refused { .. })).await;
    let message = output.stats().last_error.unwrap().message;
    assert!(message.ends_with("server does not accept user and password: authfailed"), "{message}");

    let (net, output) = self::output(Resolver::Works);
    refuse(&net, NEEDS_A_NAME).await;
    output.reach(|state| matches!(state, State::Refused { .. })).await;
    assert_eq!(class(&output.stats()), "refused_auth_required");
}

#[tokio::test(start_paused = true)]
async fn a_name_in_use_is_our_own_ghost_and_tried_again_soon() {
    let (net, output) = output(Resolver::Works);
    net.connect().await.refuse("publish", "NetStream.Publish.BadName", "Already publishing").await;
    let stats = output.reach_backing_off().await;
    assert_eq!(class(&stats), "refused_stale_session");
    assert!(stats.retry_in_ms.unwrap() <= 500, "{stats:?}");
}

/// The server has not noticed yet that the session before is gone.
#[tokio::test(start_paused = true)]
async fn after_a_drop_the_ghost_of_the_dropped_session_is_waited_for() {
    let (net, output) = output(Resolver::Works);
    drop(net.accept().await);
    output.reach(|state| *state == State::BackingOff { attempt: 1 }).await;
    for attempt in 2..=5 {
        net.connect().await.refuse("publish", "NetStream.Publish.BadName", "Already publishing").await;
        output.reach(|state| *state == State::BackingOff { attempt }).await;
        let stats = output.stats();
        assert_eq!(class(&stats), "refused_stale_session");
        assert!(stats.retry_in_ms.unwrap() <= 500 << (attempt - 1), "{stats:?}");
    }
    let _peer = net.accept().await;
    let stats = output.stats();
    assert_eq!((stats.state, stats.attempts, stats.reconnects), (State::Publishing, 6, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_on_air_is_heard_over_the_reset_that_follows_and_tried_again_soon() {
    let (net, output) = output(Resolver::Works);
    let mut peer = net.accept().await;
    peer.status("error", "NetStream.Publish.Denied", "too much bandwidth").await;
    drop(peer);
    output.push_all(seconds(1, 1));
    let stats = output.reach_backing_off().await;
    assert_eq!(class(&stats), "refused_denied");
    assert_eq!(
        stats.last_error.unwrap().message,
        "server refused (denied): NetStream.Publish.Denied too much bandwidth"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_in_the_same_breath_as_the_start_is_heard() {
    let (net, output) = output(Resolver::Works);
    let mut peer = net.connect().await;
    peer.accept().await;
    peer.status("error", "NetStream.Publish.Denied", "no").await; // before the client has read the start
    assert_eq!(class(&output.reach_backing_off().await), "refused_denied");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_speak_rtmp_is_a_protocol_error() {
    let (net, output) = output(Resolver::Works);
    let mut peer = net.connect().await;
    peer.stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    assert_eq!(class(&output.reach_backing_off().await), "protocol");
}

// Servers that are not there, or do not answer.

#[tokio::test(start_paused = true)]
async fn every_step_has_a_time_out() {
    async fn time_out(output: &Output, class_expected: &str) {
        let start = Instant::now();
        assert_eq!(class(&output.reach_backing_off().await), class_expected);
        assert_eq!(start.elapsed().as_secs(), 10, "{class_expected}");
    }
    let (_net, unresolved) = output(Resolver::Hangs);
    time_out(&unresolved, "resolve_timeout").await;
    let (_net, unconnected) = output(Resolver::Works);
    time_out(&unconnected, "connect_timeout").await;
    let (net, mute) = output(Resolver::Works);
    let _peer = net.connect().await;
    time_out(&mute, "handshake_timeout").await;
    let (net, greeted) = output(Resolver::Works);
    let mut peer = net.connect().await;
    peer.greet().await;
    peer.expect("connect").await;
    time_out(&greeted, "publish_timeout").await;
}

#[tokio::test(start_paused = true)]
async fn it_never_gives_up_and_never_waits_longer_than_half_a_minute() {
    let (_net, output) = output(Resolver::Fails);
    let start = Instant::now();
    output.reach(|state| *state == State::BackingOff { attempt: 20 }).await;
    assert!(start.elapsed() < Duration::from_secs(20 * 30), "{:?}", start.elapsed());
    let stats = output.stats();
    assert_eq!((stats.attempts, class(&stats)), (20, "resolve"));
    assert_eq!(stats.last_error.unwrap().message, "host server.example cannot be resolved: no such host");
}

// Servers that send us elsewhere, and servers that stand in.

/// Asks a client to connect anew.
async fn ask_to_reconnect(peer: &mut Peer, tc_url: Option<&str>) {
    let properties =
        [("level", "status"), ("code", "NetConnection.Connect.ReconnectRequest"), ("description", "maintenance")];
    let properties = properties.into_iter().chain(tc_url.map(|tc_url| ("tcUrl", tc_url)));
    let info = Value::Object(properties.map(|(name, text)| (name.to_owned(), text.into())).collect());
    peer.say(&Message::command(&["onStatus".into(), 0.0.into(), Value::Null, info])).await;
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_it_is_left_at_an_idr_and_nothing_is_lost() {
    let (net, output) = output(Resolver::Works);
    let mut old = net.accept().await;
    old.expect_headers(0, &headers("h")).await;
    output.push_all([key(1000), inter(1040)].into_iter());
    ask_to_reconnect(&mut old, Some("rtmp://other.example/app")).await;
    assert_eq!(net.asked(), ["server.example", "other.example"]);
    output.push(&inter(1080)); // while the other is not there yet
    let mut new = net.accept().await;
    output.push_all([inter(1120), sound(1130), key(1160), inter(1200)].into_iter());
    old.expect_packet('v', 0, &key(1000)).await;
    for (n, packet) in [inter(1040), inter(1080), inter(1120)].iter().enumerate() {
        old.expect_packet('v', 40 * (n as u32 + 1), packet).await;
    }
    old.expect_packet('a', 130, &sound(1130)).await;
    old.expect("deleteStream").await;
    new.expect_headers(0, &headers("h")).await;
    new.expect_packet('v', 0, &key(1160)).await;
    new.expect_packet('v', 40, &inter(1200)).await;
    let stats = output.stats();
    assert_eq!((stats.state, stats.attempts, stats.reconnects), (State::Publishing, 1, 0));
    assert_eq!((stats.output_total_frames, stats.output_duration_ms, stats.output_skipped_frames), (6, 170, 0));
    drop(new);
    output.reach_backing_off().await;
    net.accept().await;
    assert_eq!(net.asked(), ["server.example"], "after a failure the configured address holds again");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_and_does_not_wait_is_followed_too() {
    let (net, output) = output(Resolver::Works);
    let mut old = net.accept().await;
    ask_to_reconnect(&mut old, None).await;
    drop(old);
    settle().await;
    assert_eq!((output.stats().state, output.stats().attempts), (State::Connecting, 1));
    let mut new = net.accept().await;
    assert_eq!(net.asked(), ["server.example", "server.example"]);
    output.push_all([inter(960), key(1000)].into_iter());
    new.expect_headers(0, &headers("h")).await;
    new.expect_packet('v', 0, &key(1000)).await;
    assert_eq!((output.stats().state, output.stats().attempts), (State::Publishing, 1));
}

#[tokio::test(start_paused = true)]
async fn a_request_to_go_where_nobody_is_or_nobody_should_is_not_followed() {
    let (net, output) = output(Resolver::Works);
    let mut peer = net.accept().await;
    for tc_url in ["http://other.example/app", "rtmp://other.example", "rtmp://user:word@other.example/app"] {
        ask_to_reconnect(&mut peer, Some(tc_url)).await;
    }
    output.push(&key(1000));
    peer.expect_headers(0, &headers("h")).await;
    peer.expect_packet('v', 0, &key(1000)).await;
    assert_eq!(net.asked(), ["server.example"]);

    let (net, output) = self::output(Resolver::Works);
    let mut peer = net.accept().await;
    ask_to_reconnect(&mut peer, Some("/other")).await;
    net.answers.send(Err(io::ErrorKind::ConnectionRefused.into())).await.unwrap();
    settle().await;
    output.push(&key(1000));
    peer.expect_headers(0, &headers("h")).await;
    peer.expect_packet('v', 0, &key(1000)).await;
    assert_eq!((output.stats().state, output.stats().attempts), (State::Publishing, 1));
}

#[tokio::test(start_paused = true)]
async fn servers_cannot_send_us_in_circles_for_ever() {
    let (net, output) = output(Resolver::Works);
    let mut peer = net.accept().await;
    for n in 0..8 {
        ask_to_reconnect(&mut peer, None).await;
        let next = net.accept().await;
        output.push(&key(1000 * n));
        settle().await;
        peer = next;
    }
    net.asked();
    ask_to_reconnect(&mut peer, None).await;
    assert_eq!((net.asked().len(), output.stats().state), (0, State::Publishing));
}

#[tokio::test(start_paused = true)]
async fn a_backup_stands_in_after_three_failures_and_is_left_after_a_success() {
    let backup = Endpoint::with_key_apart("rtmp://backup.example/live", &Secret::new("other_key")).unwrap();
    let (net, wire) = Net::new(Resolver::Works);
    let output = Output::spawn_over(wire, &Handle::current(), spec(endpoint()).with_backup(backup), headers("h"));
    for attempt in 1..=3 {
        net.answers.send(Err(io::ErrorKind::ConnectionRefused.into())).await.unwrap();
        output.reach(|state| *state == State::BackingOff { attempt }).await;
    }
    assert_eq!((net.asked(), output.stats().is_on_backup), (vec!["server.example".into(); 3], false));
    let mut peer = net.connect().await;
    peer.greet().await;
    peer.answer("connect", "_result", &[Value::Null, Value::Null]).await;
    peer.answer("createStream", "_result", &[Value::Null, f64::from(STREAM_ID).into()]).await;
    assert_eq!(peer.expect("publish").await.1[1], "other_key".into());
    peer.status("status", "NetStream.Publish.Start", "").await;
    output.reach(|state| *state == State::Publishing).await;
    assert_eq!((net.asked(), output.stats().is_on_backup), (vec!["backup.example".into()], true));
    tokio::time::advance(Duration::from_secs(60)).await;
    drop(peer);
    output.reach_backing_off().await;
    net.accept().await;
    assert_eq!((net.asked(), output.stats().is_on_backup), (vec!["server.example".into()], false));
    assert_eq!(output.stats().failures, [("connect", 3), ("closed", 1)].into_iter().collect());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_sends_to_the_backup_at_once_and_two_are_waited_for() {
    let backup = Endpoint::with_key_apart("rtmp://backup.example/live", &Secret::new("other_key")).unwrap();
    let (net, wire) = Net::new(Resolver::Works);
    let output = Output::spawn_over(wire, &Handle::current(), spec(endpoint()).with_backup(backup), headers("h"));
    for (host, waits_30_s) in [("server.example", false), ("backup.example", true), ("server.example", false)] {
        refuse(&net, "go away").await;
        output.reach(|state| matches!(state, State::Refused { .. })).await;
        assert_eq!((net.asked(), output.stats().retry_in_ms == Some(30_000)), (vec![host.into()], waits_30_s));
    }
}

#[tokio::test(start_paused = true)]
async fn a_codec_by_four_cc_does_not_go_to_a_server_that_takes_others() {
    let hevc = Arc::new(Headers {
        video: crate::flv::enhanced_sequence_start(crate::rtmp::FourCc::Hvc1, &[1]),
        ..(*headers("h")).clone()
    });
    let (net, wire) = Net::new(Resolver::Works);
    let output = Output::spawn_over(wire, &Handle::current(), spec(endpoint()), hevc);
    let mut peer = net.connect().await;
    peer.greet().await;
    let others = Value::Object(vec![("fourCcList".into(), Value::StrictArray(vec!["av01".into()]))]);
    peer.answer("connect", "_result", &[others, Value::Null]).await;
    output.reach(|state| *state == State::Refused { code: "CodecNotTaken".into() }).await;
    assert_eq!(class(&output.stats()), "refused_codec");

    let mut peer = net.connect().await;
    peer.greet().await;
    let takes = Value::Object(vec![("hvc1".into(), 4.0.into())]);
    let properties = Value::Object(vec![("videoFourCcInfoMap".into(), takes)]);
    peer.answer("connect", "_result", &[properties, Value::Null]).await;
    peer.answer("createStream", "_result", &[Value::Null, f64::from(STREAM_ID).into()]).await;
    peer.expect("publish").await;
    peer.status("status", "NetStream.Publish.Start", "").await;
    output.reach(|state| *state == State::Publishing).await;
    let end = tokio::spawn(output.stop());
    assert_eq!(peer.media().await.0, 'd');
    assert_eq!(peer.media().await, ('v', 0, Bytes::from_static(b"\x90hvc1\x01")));
    assert_eq!(peer.media().await.0, 'a');
    assert_eq!(peer.media().await, ('v', 0, Bytes::from_static(b"\x92hvc1")));
    peer.expect("deleteStream").await;
    drop(peer);
    end.await.unwrap();
}

// Secrets that are kept elsewhere.

/// Has a key and a password for whatever is asked, from the second time on.
#[derive(Debug, Default)]
struct Locker(Mutex<Vec<(Use, String)>>);

impl Keyring for Locker {
    fn open(&self, what: Use, written: &Secret) -> Result<Secret, String> {
        let mut asked = self.0.lock().unwrap();
        asked.push((what, written.expose().to_owned()));
        match asked.len() {
            1 => Err("file:twitch: there is no such file".into()),
            n => Ok(Secret::new(format!("opened_{n}"))),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn secrets_are_opened_for_each_attempt_and_waited_for() {
    let (net, wire) = Net::new(Resolver::Works);
    let locker = Arc::new(Locker::default());
    let destination = Endpoint::with_key_apart("rtmp://server.example/live", &Secret::new("file:twitch")).unwrap();
    let credentials = Credentials::new("alice", Secret::new("file:password")).unwrap();
    let spec = spec(destination).with_credentials(credentials).with_keyring(locker.clone());
    let output = Output::spawn_over(wire, &Handle::current(), spec, headers("h"));
    let stats = output.reach_backing_off().await;
    assert_eq!((class(&stats), stats.attempts), ("secret", 1));
    assert_eq!(stats.last_error.unwrap().message, "file:twitch: there is no such file");
    assert_eq!(net.asked(), [""; 0], "no server was asked");
    for key in ["opened_2", "opened_4"] {
        let mut peer = net.connect().await;
        peer.greet().await;
        peer.answer("connect", "_result", &[Value::Null, Value::Null]).await;
        peer.answer("createStream", "_result", &[Value::Null, 1.0.into()]).await;
        assert_eq!(peer.expect("publish").await.1[1], key.into());
        drop(peer);
        output.reach_backing_off().await;
    }
    let (key, password) = ((Use::Key, "file:twitch".into()), (Use::Password, "file:password".into()));
    let asked = locker.0.lock().unwrap().clone();
    assert_eq!(asked[..5], [key.clone(), key.clone(), password.clone(), key, password]);
}

// Servers that are too slow.

#[tokio::test(start_paused = true)]
async fn a_standstill_is_shown_before_it_ends_the_session_and_may_pass() {
    let (net, output) = output(Resolver::Works);
    let mut peer = net.accept().await;
    output.push_all(seconds(0, 4));
    settle().await;
    let start = Instant::now();
    output.reach(|state| *state == State::Stalled).await;
    assert_eq!(start.elapsed().as_secs(), 1, "2 s, and the millisecond it took to settle");
    let stats = output.stats();
    assert!(stats.output_congestion > 0.3 && !stats.output_reconnecting, "{stats:?}");
    peer.expect_headers(0, &headers("h")).await;
    peer.expect_packet('v', 0, &key(0)).await;
    settle().await;
    assert_eq!(output.stats().state, State::Publishing);
    output.reach(|state| *state == State::Stalled).await;
    output.reach_backing_off().await;
    assert!(output.stats().output_reconnecting);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_reading_costs_pictures_then_the_session_but_never_memory() {
    let (net, output) = output(Resolver::Works);
    let mut peer = net.accept().await;
    peer.expect_headers(0, &headers("h")).await;
    let bytes_max = Limits::default().bytes_max;
    for n in 0..200 {
        output.push_all(seconds(n, 1));
        tokio::task::yield_now().await;
        let stats = output.stats();
        assert!(stats.queue_bytes <= bytes_max && stats.queue_ms <= 10_000, "{stats:?}");
    }
    let stats = output.stats();
    assert!(stats.output_skipped_frames > 4500, "of 5000, 5 s are kept: {stats:?}");
    let start = Instant::now();
    let stats = output.reach_backing_off().await;
    assert_eq!((class(&stats), start.elapsed().as_secs(), stats.queue_bytes), ("stalled", 10, 0));
}

#[tokio::test(start_paused = true)]
async fn talking_is_no_progress() {
    let (net, output) = output(Resolver::Works);
    let mut peer = net.accept().await;
    output.push_all(seconds(0, 4));
    settle().await;
    let start = Instant::now();
    let talk = async {
        loop {
            peer.say(&Message::control(Type::UserControl, vec![0, 6, 0, 0, 0, 0])).await;
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
    };
    tokio::select! {
        stats = output.reach_backing_off() => assert_eq!(class(&stats), "stalled"),
        () = talk => {}
    }
    assert_eq!(start.elapsed().as_secs(), 9, "and the millisecond it took to settle");
}

#[tokio::test(start_paused = true)]
async fn after_a_stall_sound_goes_on_whole_and_pictures_from_an_idr() {
    let (net, output) = output(Resolver::Works);
    let mut peer = net.accept().await;
    peer.expect_headers(0, &headers("h")).await;
    output.push_all(seconds(0, 3));
    settle().await; // two of them are in the network's hands
    output.push_all(seconds(3, 8));
    let stats = output.stats();
    assert!((75..125).contains(&stats.output_skipped_frames), "{stats:?}");
    let (mut next_sound_ms, mut newest_picture_ms, mut gaps) = (0, None, 0);
    while next_sound_ms < 11_000 {
        let (kind, at_ms, body) = peer.media().await;
        let (letter, dts_ms) = (body[0], (&body[1..]).get_u64());
        assert_eq!(u64::from(at_ms), dts_ms);
        if kind == 'a' {
            assert_eq!(dts_ms, next_sound_ms);
            next_sound_ms += 20;
        } else {
            let is_gap = newest_picture_ms.is_some_and(|newest_ms| dts_ms != newest_ms + 40);
            assert!(!is_gap || letter == b'K', "a gap before {dts_ms} ms ends at an IDR");
            gaps += u32::from(is_gap);
            newest_picture_ms = Some(dts_ms);
        }
    }
    assert_eq!((gaps, newest_picture_ms), (1, Some(10_960)));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_while_it_takes_nothing_is_heard() {
    let (net, output) = output(Resolver::Works);
    let mut peer = net.accept().await;
    output.push_all(seconds(0, 4));
    settle().await;
    // More than the pretended network holds: this ends only if the output reads while its own writing is stuck.
    for ping_ms in 0..100_u32 {
        let request = [&[0, 6][..], &ping_ms.to_be_bytes()].concat();
        peer.say(&Message::control(Type::UserControl, request)).await;
        let chatter = Value::from("x".repeat(300).as_str());
        peer.say(&Message::command(&["onFCPublish".into(), 0.0.into(), Value::Null, chatter])).await;
    }
    let mut pongs = 0;
    while pongs < 100 {
        pongs += u32::from(peer.next().await.unwrap().kind == Type::UserControl);
    }
    assert_eq!(output.stats().state, State::Publishing);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_floods_us_with_questions_is_left() {
    let (net, output) = output(Resolver::Works);
    let mut peer = net.accept().await;
    output.push_all(seconds(0, 4));
    settle().await;
    for _ in 0..300 {
        peer.say(&Message::control(Type::UserControl, vec![0, 6, 0, 0, 0, 0])).await;
    }
    assert_eq!(class(&output.reach_backing_off().await), "protocol");
}

// Ends.

#[tokio::test(start_paused = true)]
async fn stop_sends_what_waits_and_the_good_bye() {
    let (net, output) = output(Resolver::Works);
    let mut peer = net.accept().await;
    output.push_all(seconds(0, 4));
    let mut states = output.states();
    let stopped = tokio::spawn(output.stop());
    let mut sent = 0;
    let good_bye = loop {
        let message = peer.next().await.unwrap();
        match message.kind {
            Type::Audio | Type::Video => sent += 1,
            Type::Command => break message,
            _ => {}
        }
    };
    assert_eq!(sent, 2 + 4 * 75, "headers and all packets");
    let good_bye = Command::decode(&good_bye).unwrap().unwrap();
    assert_eq!(good_bye.name, "FCUnpublish");
    assert_eq!(good_bye.arguments.decode_all().unwrap(), [Value::Null, KEY.into()]);
    assert_eq!(peer.expect("deleteStream").await.1, [Value::Null, f64::from(STREAM_ID).into()]);
    assert!(peer.next().await.is_none(), "the client hangs up");
    drop(peer);
    stopped.await.unwrap();
    assert_eq!(*states.borrow_and_update(), State::Stopped);
}

#[tokio::test(start_paused = true)]
async fn stop_does_not_wait_for_a_server_that_does_not_listen() {
    let (net, output) = output(Resolver::Works);
    let _peer = net.accept().await;
    output.push_all(seconds(0, 4));
    settle().await;
    let start = Instant::now();
    output.stop().await;
    assert_eq!(start.elapsed().as_secs(), GOODBYE_MAX.as_secs());
}

#[tokio::test(start_paused = true)]
async fn stop_interrupts_every_state() {
    async fn stop(output: Output, is_there: impl FnMut(&State) -> bool) {
        output.reach(is_there).await;
        let start = Instant::now();
        output.stop().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
    let (_net, resolving) = output(Resolver::Hangs);
    stop(resolving, |state| *state == State::Resolving).await;
    let (_net, connecting) = output(Resolver::Works);
    stop(connecting, |state| *state == State::Connecting).await;
    let (net, handshaking) = output(Resolver::Works);
    let _peer = net.connect().await;
    stop(handshaking, |state| *state == State::Handshaking).await;
    let (_net, backing_off) = output(Resolver::Fails);
    stop(backing_off, |state| matches!(state, State::BackingOff { .. })).await;
}

#[tokio::test(start_paused = true)]
async fn an_output_that_is_dropped_says_good_bye_and_ends() {
    let (net, output) = output(Resolver::Works);
    let mut peer = net.accept().await;
    let mut states = output.states();
    drop(output);
    peer.expect("deleteStream").await;
    drop(peer);
    states.wait_for(|state| *state == State::Stopped).await.unwrap();
    assert!(states.changed().await.is_err(), "the task and all it held are gone");
}

// What is shown, and what is refused at the door.

/// Collects what is logged.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_has_each_transition_once_and_never_the_key() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    let _guard = tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());
    // tracing remembers for each call site whether anybody listens, and a test on another thread may have asked just
    // before this one listened: the first round makes all call sites known, the second counts.
    for _ in 0..2 {
        tracing::callsite::rebuild_interest_cache();
        log.0.lock().unwrap().clear();
        let (net, output) = output(Resolver::Works);
        let mut peer = net.accept().await;
        peer.status("error", "NetStream.Publish.Denied", &format!("{KEY} is blocked")).await;
        output.reach_backing_off().await;
        output.stop().await;
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for transition in ["INFO.*output is on air", "WARN.*output is off air", "INFO.*output stopped"] {
        let (level, text) = transition.split_once(".*").unwrap();
        assert_eq!(log.lines().filter(|line| line.contains(level) && line.contains(text)).count(), 1, "{text}: {log}");
    }
    assert!(log.contains("[redacted] is blocked"), "{log}");
    assert!(!log.contains("secret") && !log.contains("hidden"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn stats_as_json() {
    let (_net, output) = output(Resolver::Fails);
    output.reach_backing_off().await;
    let mut json = serde_json::to_value(output.stats()).unwrap();
    json["retryInMs"] = 0.into(); // any time up to half a second
    assert_eq!(
        json,
        serde_json::json!({
            "id": "twitch", "state": "backingOff", "attempt": 1, "retryInMs": 0,
            "outputBytes": 0, "outputTotalFrames": 0, "outputSkippedFrames": 0, "outputSkippedAudioFrames": 0,
            "outputDuration": 0, "bitrateKbps": 0, "queueMs": 0, "queueBytes": 0, "attempts": 1, "reconnects": 0,
            "outputCongestion": 0.0, "outputReconnecting": true, "onBackup": false, "failures": { "resolve": 1 },
            "roundTripMs": null,
            "lastError": { "class": "resolve", "message": "host server.example cannot be resolved: no such host" },
            "secondsSinceProgress": null,
        })
    );
}

// Real sockets.

fn network() -> Network {
    Network { runtime: Handle::current(), tls: Tls::open(&[]).unwrap() }
}

fn loopback(port: u16) -> Endpoint {
    Endpoint::with_key_apart(&format!("rtmp://127.0.0.1:{port}/live"), &Secret::new(KEY)).unwrap()
}

#[tokio::test]
async fn nothing_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let output = Output::spawn(&network(), spec(loopback(port)), headers("h"));
    let stats = output.reach_backing_off().await;
    assert_eq!(class(&stats), "connect");
    let message = stats.last_error.unwrap().message;
    assert!(message.starts_with(&format!("cannot connect to 127.0.0.1:{port}: ")), "{message}");
    output.stop().await;
}

#[tokio::test]
async fn a_host_that_cannot_be_resolved() {
    let destination = Endpoint { host: "x".repeat(64), ..endpoint() };
    let output = Output::spawn(&network(), spec(destination), headers("h"));
    assert_eq!(class(&output.reach_backing_off().await), "resolve");
    output.stop().await;
}
