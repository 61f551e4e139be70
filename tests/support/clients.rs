//! Clients of the WebSocket: one that waits for what it is told, or many that are swept by one thread.
//!
//! They keep the documents of streams as the protocol has it, the full state and then patches, and fail where there is a
//! gap.

use std::{
    collections::{BTreeMap, VecDeque},
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use tokio_tungstenite::tungstenite::{
    self, Message, Utf8Bytes, WebSocket, client::IntoClientRequest, handshake::client::Response, http::Request,
    stream::MaybeTlsStream,
};

/// After what time of silence a test is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to a daemon's WebSocket; its calls wait.
pub(crate) struct Socket(WebSocket<MaybeTlsStream<TcpStream>>);

/// What a client asks for first.
pub(crate) fn request(address: SocketAddr) -> Request<()> {
    format!("ws://{address}/api/v1/events").into_client_request().unwrap()
}

impl Socket {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::open(request(address)).unwrap()
    }

    pub(crate) fn open(request: Request<()>) -> Result<Self, tungstenite::Error> {
        let (socket, _response): (_, Response) = tungstenite::connect(request)?;
        let socket = Self(socket);
        socket.tcp().set_read_timeout(Some(PATIENCE)).unwrap();
        Ok(socket)
    }

    pub(crate) fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).unwrap();
    }

    pub(crate) fn send(&mut self, message: Message) {
        self.0.send(message).unwrap();
    }

    pub(crate) fn read(&mut self) -> Result<Message, tungstenite::Error> {
        self.0.read()
    }

    /// The next thing told that `is_it`.
    pub(crate) fn told(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            if let Message::Text(text) = self.0.read().unwrap() {
                let value: Value = serde_json::from_str(&text).unwrap();
                if is_it(&value) {
                    return value;
                }
            }
        }
    }

    /// The next message that is not a text: a picture.
    pub(crate) fn picture(&mut self) -> Vec<u8> {
        loop {
            if let Message::Binary(bytes) = self.0.read().unwrap() {
                return bytes.to_vec();
            }
        }
    }

    /// Says something and gives the answer to it, past the news in between.
    pub(crate) fn ask(&mut self, message: &Value) -> Value {
        self.say(message);
        let answers = ["subscribed", "unsubscribed", "error", "done"];
        self.told(|value| answers.iter().any(|answer| value["type"] == *answer))
    }

    fn tcp(&self) -> &TcpStream {
        match self.0.get_ref() {
            MaybeTlsStream::Plain(stream) => stream,
            _ => panic!("no TLS here"),
        }
    }
}

/// What a client knows of a stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Known {
    pub(crate) revision: u64,
    pub(crate) document: Value,
}

/// Documents as a client keeps them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Documents(pub(crate) BTreeMap<String, Known>);

impl Documents {
    /// Follows what was told.
    pub(crate) fn follow(&mut self, message: &Value) {
        let id = message["stream"].as_str().unwrap_or_default().to_owned();
        let revision = message["revision"].as_u64();
        match message["type"].as_str() {
            Some("state") => {
                let known = Known { revision: revision.unwrap(), document: message["document"].clone() };
                self.0.insert(id, known);
            }
            Some("patch") => {
                let known = self.0.get_mut(&id).expect("a patch comes after the state");
                assert_eq!(message["fromRevision"], known.revision, "there is a gap");
                let patch: json_patch::Patch = serde_json::from_value(message["patch"].clone()).unwrap();
                json_patch::patch(&mut known.document, &patch).unwrap();
                known.revision = revision.unwrap();
            }
            Some("deleted") => drop(self.0.remove(&id)),
            _ => {}
        }
    }
}

/// Many clients that follow all documents.
///
/// Those who know the same are told the same, so what a message leads to is reckoned once for all whom it finds there.
pub(crate) struct Crowd {
    followers: Vec<Follower>,
    steps: Steps,
}

pub(crate) struct Follower {
    socket: Socket,
    pub(crate) documents: Arc<Documents>,
    /// Messages that it was told, and how many bytes.
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Crowd {
    /// Connects so many clients, which subscribe to state.
    pub(crate) fn gather(address: SocketAddr, count: usize) -> Self {
        let follower = |_| {
            let mut socket = Socket::connect(address);
            socket.say(&serde_json::json!({ "subscribe": "state" }));
            socket.tcp().set_nonblocking(true).unwrap();
            Follower { socket, documents: Arc::default(), messages: 0, bytes: 0 }
        };
        Self { followers: (0..count).map(follower).collect(), steps: Steps::default() }
    }

    /// Takes what each was told meanwhile, without waiting for more.
    pub(crate) fn sweep(&mut self) {
        let Self { followers, steps } = self;
        followers.iter_mut().for_each(|follower| follower.sweep(steps));
    }

    pub(crate) fn followers(&self) -> &[Follower] {
        &self.followers
    }
}

/// Where messages led lately: from what, by which, to what.
#[derive(Default)]
struct Steps(VecDeque<(Arc<Documents>, Utf8Bytes, Arc<Documents>)>);

impl Steps {
    /// Further ones are reckoned anew.
    const LEN_MAX: usize = 64;

    fn follow(&mut self, from: &Arc<Documents>, message: Utf8Bytes) -> Arc<Documents> {
        let known = self.0.iter().find(|(known, text, _)| Arc::ptr_eq(known, from) && *text == message);
        if let Some((_, _, to)) = known {
            return to.clone();
        }
        let mut to = Documents::clone(from);
        to.follow(&serde_json::from_str(&message).unwrap());
        // Those who came here by other ways go on together.
        let same = self.0.iter().find_map(|(_, _, there)| (**there == to).then(|| there.clone()));
        let to = same.unwrap_or_else(|| Arc::new(to));
        self.0.truncate(Self::LEN_MAX - 1);
        self.0.push_front((from.clone(), message, to.clone()));
        to
    }
}

impl Follower {
    fn sweep(&mut self, steps: &mut Steps) {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    self.messages += 1;
                    self.bytes += text.len() as u64;
                    self.documents = steps.follow(&self.documents, text);
                }
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("a client was cut off: {error}"),
            }
        }
    }
}
