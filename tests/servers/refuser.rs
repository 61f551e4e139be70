//! A server that greets whoever comes and refuses them with a code of the test's choice.

use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use stream_manager::rtmp::{
    amf0::Value,
    chunk::{Limits, Reader, Writer},
    handshake::PACKET_LEN,
    message::{Command, Kind, Message},
};

/// The command that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// By `_error`.
    Connect,
    /// By `_error`.
    CreateStream,
    /// By `onStatus`.
    Publish,
}

/// What is said to whom.
#[derive(Debug, Clone)]
struct Words {
    at: At,
    code: String,
    description: String,
}

/// A running server that refuses.
#[derive(Debug)]
pub(crate) struct Refuser {
    port: u16,
    is_ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Refuser {
    /// Refuses `publish` with this code, and repeats the stream key, as many servers do.
    pub(crate) fn start(code: &str) -> Self {
        Self::start_at(At::Publish, code, "not today")
    }

    /// Refuses a command with this code and this explanation, after which the stream key is repeated if it is known.
    pub(crate) fn start_at(at: At, code: &str, description: &str) -> Self {
        let words = Words { at, code: code.into(), description: description.into() };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_ending = Arc::new(AtomicBool::new(false));
        let ends = is_ending.clone();
        let thread = std::thread::Builder::new().name("refuser".into()).spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::Acquire) {
                    return;
                }
                // A client that hangs up in the middle is none of the test's business.
                let _ = refuse(stream.unwrap(), &words);
            }
        });
        Self { port, is_ending, thread: Some(thread.unwrap()) }
    }

    /// Address of an application.
    pub(crate) fn address(&self) -> String {
        format!("rtmp://127.0.0.1:{}/live", self.port)
    }
}

impl Drop for Refuser {
    fn drop(&mut self) {
        self.is_ending.store(true, Ordering::Release);
        // Wakes it up.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn refuse(mut stream: TcpStream, words: &Words) -> std::io::Result<()> {
    let mut greeting = vec![0; 1 + PACKET_LEN];
    stream.read_exact(&mut greeting)?;
    stream.write_all(&[&greeting[..], &greeting[1..]].concat())?;
    stream.read_exact(&mut vec![0; PACKET_LEN])?;
    let (mut reader, mut writer) = (Reader::new(Limits::default()), Writer::new());
    let mut piece = [0; 4096];
    loop {
        let len = stream.read(&mut piece)?;
        if len == 0 {
            return Ok(());
        }
        let mut unread = &piece[..len];
        while let Some(message) = reader.read(&mut unread).unwrap() {
            if let Some(answer) = answers(&message, words) {
                let mut pieces = VecDeque::new();
                writer.write(&answer, &mut pieces).unwrap();
                stream.write_all(&pieces.iter().flatten().copied().collect::<Vec<u8>>())?;
            }
        }
    }
}

fn answers(message: &Message, words: &Words) -> Option<Message> {
    if message.kind != Kind::Command {
        return None;
    }
    let command = Command::decode(message).unwrap()?;
    let result = |value: Value| Message::command(&["_result".into(), command.transaction.into(), Value::Null, value]);
    let refusal = |answer: &str, transaction: f64, description: &str| {
        let texts = [("level", "error"), ("code", &words.code), ("description", description)];
        let info = Value::Object(texts.map(|(name, text)| (name.to_owned(), text.into())).to_vec());
        Message::command(&[answer.into(), transaction.into(), Value::Null, info])
    };
    let error = || refusal("_error", command.transaction, &words.description);
    match (command.name.as_str(), words.at) {
        ("connect", At::Connect) | ("createStream", At::CreateStream) => Some(error()),
        ("connect", _) => Some(result(Value::Null)),
        ("createStream", _) => Some(result(1.0.into())),
        ("publish", _) => {
            let arguments = command.arguments.decode_all().unwrap();
            let key = arguments.get(1).and_then(Value::as_str).unwrap_or_default();
            Some(refusal("onStatus", 0.0, &format!("{}: {key}", words.description)))
        }
        _ => None,
    }
}
