//! Clients of the WebSocket: one that waits for what it is told, or many that are swept by one thread.
//!
//! They keep the documents of streams as the protocol has it, the full state and then patches, and fail where there is a
//! gap.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;
use tokio_tungstenite::tungstenite::{
    self, Message, WebSocket, client::IntoClientRequest, handshake::client::Response, http::Request,
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
#[derive(Debug, Default)]
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
pub(crate) struct Crowd(Vec<Follower>);

pub(crate) struct Follower {
    socket: Socket,
    pub(crate) documents: Documents,
    /// Messages of state and patches that it was told, and how many bytes.
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
            Follower { socket, documents: Documents::default(), messages: 0, bytes: 0 }
        };
        Self((0..count).map(follower).collect())
    }

    /// Takes what each was told meanwhile, without waiting for more.
    pub(crate) fn sweep(&mut self) {
        self.0.iter_mut().for_each(Follower::sweep);
    }

    pub(crate) fn followers(&self) -> &[Follower] {
        &self.0
    }
}

impl Follower {
    fn sweep(&mut self) {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    self.messages += 1;
                    self.bytes += text.len() as u64;
                    self.documents.follow(&serde_json::from_str(&text).unwrap());
                }
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("a client was cut off: {error}"),
            }
        }
    }
}
