//! The publisher against a scripted server that is built on the same chunk reader and writer.

use proptest::prelude::*;

use super::*;
use crate::rtmp::{handshake::PACKET_LEN, message::Kind};

const RANDOM: [u8; RANDOM_LEN] = [0xAB; RANDOM_LEN];

fn publisher() -> Publisher {
    let endpoint = Endpoint::with_key_inside("rtmp://h/live/secret?token=1").unwrap();
    Publisher::new(Config::new(&endpoint), RANDOM)
}

fn output(publisher: &mut Publisher) -> Vec<u8> {
    std::iter::from_fn(|| publisher.poll_output()).flatten().collect()
}

fn events(publisher: &mut Publisher) -> Vec<Event> {
    std::iter::from_fn(|| publisher.poll_event()).collect()
}

/// What the server says, as bytes.
#[derive(Debug)]
struct Server {
    writer: Writer,
    reader: Reader,
}

impl Server {
    fn new() -> Self {
        Self { writer: Writer::new(), reader: Reader::new(Limits::default()) }
    }

    /// A server that has greeted and a publisher in [`Phase::Connecting`] whose output is taken.
    fn greeted() -> (Self, Publisher) {
        let mut publisher = publisher();
        publisher.handle_input(&Self::greeting()).unwrap();
        let mut server = Self::new();
        server.read(&output(&mut publisher)[1 + 2 * PACKET_LEN..]);
        (server, publisher)
    }

    /// As [`Self::greeted`], in [`Phase::Publishing`] and with no event left.
    fn on_air() -> (Self, Publisher) {
        let (mut server, mut publisher) = Self::greeted();
        for answer in [connect_result(), create_stream_result(), status("status", "NetStream.Publish.Start", "")] {
            publisher.handle_input(&server.write(&answer)).unwrap();
        }
        assert_eq!(publisher.phase(), Phase::Publishing);
        server.read(&output(&mut publisher));
        events(&mut publisher);
        (server, publisher)
    }

    fn greeting() -> Vec<u8> {
        let s1 = (0..PACKET_LEN).map(|i| i as u8);
        std::iter::once(3).chain(s1).chain(std::iter::repeat_n(0, PACKET_LEN)).collect()
    }

    fn write(&mut self, message: &Message) -> Vec<u8> {
        let mut out = VecDeque::new();
        self.writer.write(message, &mut out).unwrap();
        out.into_iter().flatten().collect()
    }

    fn read(&mut self, mut bytes: &[u8]) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(message) = self.reader.read(&mut bytes).unwrap() {
            messages.push(message);
        }
        messages
    }
}

fn object(properties: &[(&str, &str)]) -> Value {
    Value::Object(properties.iter().map(|&(name, text)| (name.to_owned(), text.into())).collect())
}

fn connect_result() -> Message {
    let info = object(&[("level", "status"), ("code", "NetConnection.Connect.Success")]);
    Message::command(&["_result".into(), 1.0.into(), object(&[("fmsVer", "FMS/3,0,1,123")]), info])
}

fn create_stream_result() -> Message {
    Message::command(&["_result".into(), 4.0.into(), Value::Null, 7.0.into()])
}

fn error(transaction: f64, code: &str, description: &str) -> Message {
    let info = object(&[("level", "error"), ("code", code), ("description", description)]);
    Message::command(&["_error".into(), transaction.into(), Value::Null, info])
}

fn status(level: &str, code: &str, description: &str) -> Message {
    let info = object(&[("level", level), ("code", code), ("description", description)]);
    Message { stream_id: 7, ..Message::command(&["onStatus".into(), 0.0.into(), Value::Null, info]) }
}

/// All that a talkative server says up to the first frame on air.
fn talk() -> Vec<Message> {
    vec![
        Message::control_u32(Kind::WindowAckSize, 2_500_000),
        Message::control(Kind::SetPeerBandwidth, vec![0, 0x26, 0x25, 0xA0, 2]),
        Message::control(Kind::UserControl, vec![0, 0, 0, 0, 0, 0]),
        connect_result(),
        Message::command(&["onBWDone".into(), 0.0.into(), Value::Null, 8192.0.into()]),
        error(2.0, "NetConnection.Call.Failed", "releaseStream is unknown"),
        Message::command(&["_result".into(), 3.0.into(), Value::Null, Value::Undefined]),
        Message::command(&["onFCPublish".into(), 0.0.into(), Value::Null]),
        create_stream_result(),
        Message { payload: Bytes::from_static(&[0xFF, 0xFF]), kind: Kind::Data, ..connect_result() },
        status("status", "NetStream.Publish.Start", "secret is now published"),
        Message::control(Kind::UserControl, vec![0, 6, 1, 2, 3, 4]),
    ]
}

fn talk_bytes() -> Vec<u8> {
    let mut server = Server::new();
    let mut bytes = Server::greeting();
    let mut out = VecDeque::new();
    server.writer.set_chunk_size(60_000, &mut out);
    bytes.extend(out.into_iter().flatten());
    talk().iter().for_each(|message| bytes.extend(server.write(message)));
    bytes
}

/// Name, transaction and further values of a command.
fn command(message: &Message) -> (String, f64, Vec<Value>) {
    let command = Command::decode(message).unwrap().unwrap();
    (command.name, command.transaction, command.arguments.decode_all().unwrap())
}

/// Set Chunk Size 4096 and `connect`, byte by byte as OBS sends them, with `capsEx` after all that OBS says.
#[test]
fn first_bytes_by_hand() {
    let mut publisher = publisher();
    assert_eq!(output(&mut publisher)[..12], [3, 0, 0, 0, 0, 0, 0, 0, 0, 0xAB, 0xAB, 0xAB]);
    let greeting = Server::greeting();
    publisher.handle_input(&greeting).unwrap();
    let bytes = output(&mut publisher);
    let (c2, chunks) = bytes.split_at(PACKET_LEN);
    assert_eq!(c2, &greeting[1..=PACKET_LEN]);
    let by_hand = [
        &b"\x02\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00\x00\x00\x10\x00"[..],
        b"\x03\x00\x00\x00\x00\x00\xA2\x14\x00\x00\x00\x00",
        b"\x02\x00\x07connect\x00\x3F\xF0\x00\x00\x00\x00\x00\x00\x03",
        b"\x00\x03app\x02\x00\x04live",
        b"\x00\x04type\x02\x00\x0Anonprivate",
        b"\x00\x08flashVer\x02\x00\x1FFMLE/3.0 (compatible; FMSc/1.0)",
        b"\x00\x06swfUrl\x02\x00\x0Drtmp://h/live",
        b"\x00\x05tcUrl\x02\x00\x0Drtmp://h/live",
        b"\x00\x06capsEx\x00\x3F\xF0\x00\x00\x00\x00\x00\x00",
        b"\x00\x00\x09",
    ];
    assert_eq!(chunks, by_hand.concat());
}

/// A publisher of HEVC that has said `connect`, and what it said.
fn hevc_publisher() -> (Server, Publisher, Value) {
    let endpoint = Endpoint::with_key_inside("rtmp://h/live/secret").unwrap();
    let mut publisher = Publisher::new(Config::new(&endpoint).with_four_cc(Some(FourCc::Hvc1)), RANDOM);
    publisher.handle_input(&Server::greeting()).unwrap();
    let mut server = Server::new();
    let said = server.read(&output(&mut publisher)[1 + 2 * PACKET_LEN..]);
    events(&mut publisher);
    let (_, _, arguments) = command(said.last().unwrap());
    (server, publisher, arguments[0].clone())
}

#[test]
fn a_codec_by_four_cc_is_announced_and_must_be_taken() {
    let can = |flags: f64, name: &str| Value::Object(vec![(name.into(), flags.into())]);
    let (_, _, said) = hevc_publisher();
    assert_eq!(said.get("fourCcList"), Some(&Value::StrictArray(vec!["hvc1".into()])));
    assert_eq!(said.get("videoFourCcInfoMap"), Some(&can(2.0, "hvc1")));
    assert_eq!(said.get("capsEx"), Some(&1.0.into()));
    for (property, value, is_taken) in [
        ("videoFourCcInfoMap", can(1.0, "hvc1"), true),
        ("videoFourCcInfoMap", can(4.0, "*"), true),
        ("videoFourCcInfoMap", can(7.0, "hvc1"), true),
        ("videoFourCcInfoMap", can(2.0, "hvc1"), false),
        ("videoFourCcInfoMap", can(f64::NAN, "hvc1"), false),
        ("videoFourCcInfoMap", can(1.0, "av01"), false),
        ("videoFourCcInfoMap", "hvc1".into(), false),
        ("fourCcList", Value::StrictArray(vec!["av01".into(), "hvc1".into()]), true),
        ("fourCcList", Value::StrictArray(vec!["*".into()]), true),
        ("fourCcList", Value::StrictArray(vec![1.0.into()]), false),
        ("capsEx", 1.0.into(), false),
    ] {
        let (mut server, mut publisher, _) = hevc_publisher();
        let properties = Value::Object(vec![(property.into(), value.clone())]);
        let answer = Message::command(&["_result".into(), 1.0.into(), properties, Value::Null]);
        publisher.handle_input(&server.write(&answer)).unwrap();
        let phase = if is_taken { Phase::CreatingStream } else { Phase::Closed };
        assert_eq!(publisher.phase(), phase, "{property} {value:?}");
        let events = events(&mut publisher);
        let is_refused = matches!(&events[..], [Event::Refused(Refusal { class: RefusalClass::Codec, .. })]);
        assert_eq!(is_refused, !is_taken, "{events:?}");
    }
    // One that says nothing, as most do that take it, may take it.
    let (mut server, mut publisher, _) = hevc_publisher();
    publisher.handle_input(&server.write(&connect_result())).unwrap();
    assert_eq!(publisher.phase(), Phase::CreatingStream);
    let events = events(&mut publisher);
    assert!(events.contains(&Event::CodecUnanswered(FourCc::Hvc1)), "{events:?}");
}

#[test]
fn a_reconnect_request_is_told_once_and_media_goes_on() {
    let request = |tc_url: &str| {
        let code = "NetConnection.Connect.ReconnectRequest";
        let info = [("level", "status"), ("code", code), ("description", "moving secret"), ("tcUrl", tc_url)];
        Message::command(&["onStatus".into(), 0.0.into(), Value::Null, object(&info)])
    };
    let (mut server, mut publisher) = Server::on_air();
    for tc_url in ["rtmp://other/app?token=2", "rtmp://third/app"] {
        publisher.handle_input(&server.write(&request(tc_url))).unwrap();
    }
    let tc_url = Some(Secret::new("rtmp://other/app?token=2"));
    let told = ReconnectRequest { tc_url, description: "moving [redacted]".into() };
    let events = events(&mut publisher);
    assert!(!format!("{events:?}").contains("token"), "{events:?}");
    assert_eq!(events, [Event::ReconnectRequested(told)]);
    assert_eq!(publisher.send_video(0, &[], Bytes::from_static(&[1])), Ok(()));

    let (mut server, mut publisher) = Server::greeted();
    publisher.handle_input(&server.write(&request("rtmp://other/app"))).unwrap();
    assert_eq!(publisher.phase(), Phase::Connecting, "before there is anything to go on with, it means nothing");
}

#[test]
fn dialogue_in_the_order_of_obs() {
    let (mut server, mut publisher) = Server::greeted();
    assert_eq!(events(&mut publisher), [Event::HandshakeDone]);
    let key = || Value::from("secret?token=1");

    publisher.handle_input(&server.write(&connect_result())).unwrap();
    assert_eq!((publisher.phase(), events(&mut publisher)), (Phase::CreatingStream, vec![Event::Connected]));
    let bytes = output(&mut publisher);
    assert_eq!(bytes[0], 0x43, "fmt 1 on chunk stream 3");
    let sent = server.read(&bytes);
    assert_eq!(
        sent.iter().map(command).collect::<Vec<_>>(),
        [
            ("releaseStream".into(), 2.0, vec![Value::Null, key()]),
            ("FCPublish".into(), 3.0, vec![Value::Null, key()]),
            ("createStream".into(), 4.0, vec![Value::Null]),
        ]
    );
    assert!(sent.iter().all(|message| (message.csid, message.stream_id) == (3, 0)));

    publisher.handle_input(&server.write(&create_stream_result())).unwrap();
    assert_eq!((publisher.phase(), events(&mut publisher)), (Phase::AwaitingPublish, vec![]));
    let bytes = output(&mut publisher);
    assert_eq!(bytes[0], 0x04, "fmt 0 on chunk stream 4");
    let sent = server.read(&bytes);
    assert_eq!(command(&sent[0]), ("publish".into(), 5.0, vec![Value::Null, key(), "live".into()]));
    assert_eq!((sent.len(), sent[0].csid, sent[0].stream_id), (1, 4, 7));

    publisher.handle_input(&server.write(&status("status", "NetStream.Publish.Start", ""))).unwrap();
    assert_eq!((publisher.phase(), events(&mut publisher)), (Phase::Publishing, vec![Event::Publishing]));

    publisher.send_metadata(Bytes::from_static(&[1])).unwrap();
    publisher.send_audio(10, &[], Bytes::from_static(&[2])).unwrap();
    publisher.send_video(33, &[], Bytes::from_static(&[3])).unwrap();
    let sent = server.read(&output(&mut publisher));
    let media: Vec<_> = sent.iter().map(|m| (m.csid, m.stream_id, m.kind, m.timestamp_ms, m.payload[0])).collect();
    assert_eq!(media, [(4, 7, Kind::Data, 0, 1), (4, 7, Kind::Audio, 10, 2), (4, 7, Kind::Video, 33, 3)]);

    publisher.close();
    let sent = server.read(&output(&mut publisher));
    assert_eq!(
        sent.iter().map(command).collect::<Vec<_>>(),
        [
            ("FCUnpublish".into(), 6.0, vec![Value::Null, key()]),
            ("deleteStream".into(), 7.0, vec![Value::Null, 7.0.into()]),
        ]
    );
    assert_eq!(publisher.phase(), Phase::Closed);
    publisher.close();
    assert!(publisher.poll_output().is_none(), "good-bye is said once");
}

#[test]
fn result_of_publish_is_as_good_as_its_status() {
    let (mut server, mut publisher) = Server::greeted();
    let publish_result = Message::command(&["_result".into(), 5.0.into(), Value::Null]);
    for answer in [connect_result(), create_stream_result(), publish_result] {
        publisher.handle_input(&server.write(&answer)).unwrap();
    }
    assert_eq!(publisher.phase(), Phase::Publishing);
}

/// Wherever the server's bytes are cut in two, and byte by byte, the answers and the news are the same.
#[test]
fn pieces_do_not_matter() {
    let bytes = talk_bytes();
    let run = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut publisher = publisher();
        pieces.for_each(|piece| publisher.handle_input(piece).unwrap());
        let output = output(&mut publisher);
        assert_eq!(publisher.output_len(), 0);
        (output, events(&mut publisher), publisher.phase())
    };
    let whole = run(&mut std::iter::once(&bytes[..]));
    assert_eq!(whole.1, [Event::HandshakeDone, Event::Connected, Event::Publishing]);
    assert_eq!(whole.2, Phase::Publishing);
    for at in 0..=bytes.len() {
        assert!(run(&mut [&bytes[..at], &bytes[at..]].into_iter()) == whole, "cut at byte {at}");
    }
    assert!(run(&mut bytes.chunks(1)) == whole, "byte by byte");
}

macro_rules! transcript {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/rtmp/", $name)).as_slice()
    };
}

/// Recorded from servers of other people; `tests/data/rtmp/README.md` says how.
#[test]
fn real_servers() {
    let busy = Refusal {
        code: "NetStream.Publish.BadName".into(),
        description: "Already publishing".into(),
        class: RefusalClass::StaleSession,
    };
    for (transcript, outcome, phase) in [
        (transcript!("nginx-rtmp-1.2.2-start.bin"), Event::Publishing, Phase::Publishing),
        (transcript!("nginx-rtmp-1.2.2-busy.bin"), Event::Refused(busy), Phase::Closed),
        (transcript!("ffmpeg-5.1-start.bin"), Event::Publishing, Phase::Publishing),
        (transcript!("node-media-server-4.4.3-start.bin"), Event::Publishing, Phase::Publishing),
    ] {
        for at in 0..=transcript.len() {
            let (_, mut publisher) = Server::greeted();
            publisher.handle_input(&transcript[..at]).unwrap();
            publisher.handle_input(&transcript[at..]).unwrap();
            assert_eq!(publisher.phase(), phase);
            assert_eq!(events(&mut publisher), [Event::HandshakeDone, Event::Connected, outcome.clone()]);
        }
    }
}

#[test]
fn pings_and_bandwidth_checks_are_answered() {
    let (mut server, mut publisher) = Server::on_air();
    let ping = server.write(&Message::control(Kind::UserControl, vec![0, 6, 1, 2, 3, 4]));
    publisher.handle_input(&ping).unwrap();
    let bandwidth = server.write(&Message::command(&["onBWDone".into(), 0.0.into(), Value::Null]));
    publisher.handle_input(&bandwidth).unwrap();
    let sent = server.read(&output(&mut publisher));
    assert_eq!(sent[0], Message::control(Kind::UserControl, vec![0, 7, 1, 2, 3, 4]));
    assert_eq!(command(&sent[1]).0, "_checkbw");
    assert_eq!(sent.len(), 2);
}

/// After more than a tenth of the window, with the count of all bytes since S0.
#[test]
fn bytes_received_are_acknowledged() {
    let (mut server, mut publisher) = Server::greeted();
    let mut received = 1 + 2 * PACKET_LEN;
    let mut feed = |publisher: &mut Publisher, bytes: Vec<u8>| {
        received += bytes.len();
        publisher.handle_input(&bytes).unwrap();
        received as u32
    };
    // 40,000 bytes: a tenth is 4000, and 3073 + 16 bytes are not more than that.
    feed(&mut publisher, server.write(&Message::control_u32(Kind::WindowAckSize, 40_000)));
    assert!(publisher.poll_output().is_none());
    let ignored = Message { kind: Kind::Data, payload: Bytes::from(vec![0; 1000]), ..connect_result() };
    let count = feed(&mut publisher, server.write(&ignored));
    let sent = server.read(&output(&mut publisher));
    assert_eq!(sent, [Message::control_u32(Kind::Acknowledgement, count)]);
    for _ in 0..3 {
        feed(&mut publisher, server.write(&ignored));
        assert!(publisher.poll_output().is_none());
    }
    let count = feed(&mut publisher, server.write(&ignored));
    let sent = server.read(&output(&mut publisher));
    assert_eq!(sent, [Message::control_u32(Kind::Acknowledgement, count)]);
}

#[test]
fn the_count_of_bytes_wraps() {
    let mut acknowledger = Acknowledger { window: 1000, received: u32::MAX - 50, acknowledged: u32::MAX - 50 };
    assert_eq!(acknowledger.poll(), None);
    acknowledger.received = acknowledger.received.wrapping_add(101);
    assert_eq!(acknowledger.poll(), Some(49 + 1));
    assert_eq!(acknowledger.poll(), None);
}

#[test]
fn refusals_of_each_class() {
    use RefusalClass::{AuthRequired, Denied, InvalidApp, Other, StaleSession};
    let adobe = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
    let rejected = "NetConnection.Connect.Rejected";
    for (answers, class) in [
        (vec![error(1.0, rejected, adobe)], AuthRequired),
        (vec![error(1.0, rejected, "no")], Denied),
        (vec![error(1.0, "NetConnection.Connect.InvalidApp", "no")], InvalidApp),
        (vec![status("error", "NetConnection.Connect.InvalidApp", "no")], InvalidApp),
        (vec![error(1.0, "", "")], Other),
        (vec![connect_result(), error(4.0, "NetConnection.Call.Failed", "no")], Other),
        (
            vec![connect_result(), create_stream_result(), status("error", "NetStream.Publish.BadName", "")],
            StaleSession,
        ),
        (vec![connect_result(), create_stream_result(), status("error", "NetStream.Publish.Denied", "")], Denied),
        (vec![connect_result(), create_stream_result(), status("error", "NetStream.Publish.Rejected", "")], Denied),
        (vec![connect_result(), create_stream_result(), status("status", "NetStream.Failed", "")], Other),
        (vec![connect_result(), create_stream_result(), status("error", "Vendor.Quota", "")], Other),
        (vec![connect_result(), create_stream_result(), error(5.0, "NetStream.Publish.BadName", "")], StaleSession),
    ] {
        let (mut server, mut publisher) = Server::greeted();
        for answer in &answers {
            publisher.handle_input(&server.write(answer)).unwrap();
        }
        let Some(Event::Refused(refusal)) = events(&mut publisher).pop() else { panic!("{answers:?}") };
        assert_eq!((refusal.class, publisher.phase()), (class, Phase::Closed), "{answers:?}");
    }
}

#[test]
fn a_refusal_without_information_object() {
    let (mut server, mut publisher) = Server::greeted();
    let bare = Message::command(&["_error".into(), 1.0.into()]);
    publisher.handle_input(&server.write(&bare)).unwrap();
    let refusal = Refusal { code: String::new(), description: String::new(), class: RefusalClass::Other };
    assert_eq!(events(&mut publisher).pop(), Some(Event::Refused(refusal)));
}

#[test]
fn the_key_is_masked_in_a_refusal() {
    let (mut server, mut publisher) = Server::on_air();
    let long = "é".repeat(REFUSAL_TEXT_LEN_MAX);
    let description = format!("secret?token=1 is taken, secret too; {long}");
    publisher.handle_input(&server.write(&status("error", "NetStream.Publish.BadName", &description))).unwrap();
    let Some(Event::Refused(refusal)) = publisher.poll_event() else { panic!("no refusal") };
    assert!(refusal.description.starts_with("[redacted] is taken, [redacted] too; é"), "{refusal}");
    assert!(refusal.description.len() <= REFUSAL_TEXT_LEN_MAX);
    assert!(!format!("{publisher:?}").contains("secret"));
}

#[test]
fn on_air_only_fatal_codes_end_the_session() {
    let (mut server, mut publisher) = Server::on_air();
    for harmless in [status("error", "Vendor.Warning", ""), error(4.0, "x", ""), status("status", "NetStream.Data", "")]
    {
        publisher.handle_input(&server.write(&harmless)).unwrap();
        assert_eq!((publisher.phase(), publisher.poll_event()), (Phase::Publishing, None));
    }
    publisher.handle_input(&server.write(&status("error", "NetStream.Publish.Denied", ""))).unwrap();
    assert_eq!(publisher.phase(), Phase::Closed);
}

#[test]
fn close_by_the_server() {
    let (mut server, mut publisher) = Server::on_air();
    publisher.handle_input(&server.write(&Message::command(&["close".into(), 0.0.into(), Value::Null]))).unwrap();
    assert_eq!((publisher.phase(), publisher.poll_event()), (Phase::Closed, Some(Event::Closed)));
    publisher.handle_input(&[0xFF; 100]).unwrap();
    assert!(publisher.poll_output().is_none(), "a closed machine ignores input");
}

#[test]
fn media_is_refused_off_air() {
    let (_, mut publisher) = Server::greeted();
    let before = publisher.output_len();
    let result = publisher.send_video(0, &[], Bytes::from_static(&[1]));
    assert_eq!(result, Err(Error::NotPublishing { phase: Phase::Connecting }));
    assert_eq!(publisher.output_len(), before);
    publisher.close();
    assert!(publisher.poll_output().is_none(), "there is no stream to say good-bye for");
}

#[test]
fn output_is_counted_and_shared() {
    let (_, mut publisher) = Server::on_air();
    let body = Bytes::from(vec![7; 10_000]);
    publisher.send_video(0, &[0x27, 1, 0, 0, 0], body.clone()).unwrap();
    // Header, three chunks and two continuation headers; fmt 1 follows `publish` at time 0.
    assert_eq!(publisher.output_len(), 8 + 5 + 10_000 + 2);
    publisher.poll_output();
    assert_eq!(publisher.output_len(), 10_000 + 2);
    assert_eq!(publisher.poll_output().map(|piece| piece.as_ptr()), Some(body.as_ptr()));
    let too_long = publisher.send_video(1, &[], Bytes::from(vec![0; 0x100_0000]));
    assert_eq!(too_long, Err(Error::PayloadTooLong(PayloadTooLong { len: 0x100_0000 })));
    assert_eq!(publisher.phase(), Phase::Publishing);
}

#[test]
fn a_flood_of_pings_ends_the_session() {
    let (mut server, mut publisher) = Server::on_air();
    let ping = Message::control(Kind::UserControl, vec![0, 6, 1, 2, 3, 4]);
    for _ in 0..10 * ANSWERS_MAX {
        publisher.handle_input(&server.write(&ping)).unwrap();
        output(&mut publisher);
    }
    let flood: Vec<u8> = (0..=ANSWERS_MAX).flat_map(|_| server.write(&ping)).collect();
    assert_eq!(publisher.handle_input(&flood), Err(Error::Flood));
    assert_eq!(publisher.phase(), Phase::Closed);
}

#[test]
fn answers_that_cannot_be_read() {
    let (mut server, mut publisher) = Server::greeted();
    let odd = Message { payload: Bytes::from_static(&[0x02, 0, 9]), ..connect_result() };
    let error = publisher.handle_input(&server.write(&odd)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "server's unnamed command cannot be read: AMF 0 value at byte 3 needs 9 bytes, 0 are left"
    );
    assert_eq!(publisher.phase(), Phase::Closed);

    for id in [Value::Null, Value::Number(-1.0), Value::Number(f64::NAN), Value::Number(1e12)] {
        let (mut server, mut publisher) = Server::greeted();
        publisher.handle_input(&server.write(&connect_result())).unwrap();
        let answer = Message::command(&["_result".into(), 4.0.into(), Value::Null, id]);
        assert_eq!(publisher.handle_input(&server.write(&answer)), Err(Error::NoStreamId));
    }
}

#[test]
fn an_http_server() {
    let mut publisher = publisher();
    assert!(matches!(publisher.handle_input(b"HTTP/1.1 400 Bad Request"), Err(Error::Handshake(_))));
    assert_eq!((publisher.phase(), publisher.handle_input(b"more")), (Phase::Closed, Ok(())));
}

/// Chunks of any kind with any bytes in them: what a server that lost its mind would say.
fn any_talk() -> impl Strategy<Value = Vec<Message>> {
    let garbage = (0u8..30, prop::collection::vec(prop_oneof![0u8..12, any::<u8>()], 0..60))
        .prop_map(|(kind, payload)| Message { kind: kind.into(), ..Message::control(Kind::Data, payload) });
    let sense = prop::sample::select(talk());
    prop::collection::vec(prop_oneof![garbage, sense], 0..40)
}

proptest! {
    #[test]
    fn garbage_is_an_answer(bytes in prop::collection::vec(prop_oneof![0u8..8, any::<u8>()], 0..2000)) {
        let (_, mut publisher) = Server::greeted();
        let is_ok = publisher.handle_input(&bytes).is_ok();
        prop_assert!(is_ok || publisher.phase() == Phase::Closed);
        prop_assert!(publisher.reader.pending_len() <= bytes.len());
    }

    /// Sense and nonsense in any order: no panic, no more than one of each event, and the output stays readable.
    #[test]
    fn nonsense_is_an_answer(messages in any_talk(), piece_len in 1usize..300) {
        let (mut server, mut publisher) = Server::greeted();
        let bytes: Vec<u8> = messages.iter().flat_map(|message| server.write(message)).collect();
        for piece in bytes.chunks(piece_len) {
            if publisher.handle_input(piece).is_err() {
                prop_assert_eq!(publisher.phase(), Phase::Closed);
            }
        }
        prop_assert!(events(&mut publisher).len() <= 5);
        let sent = server.read(&output(&mut publisher));
        prop_assert!(sent.len() <= 5 + ANSWERS_MAX);
    }
}
