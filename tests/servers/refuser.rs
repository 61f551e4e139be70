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

/// A running server that refuses.
#[derive(Debug)]
pub(crate) struct Refuser {
    port: u16,
    is_ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Refuser {
    /// Refuses `publish` with this code.
    pub(crate) fn start(code: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_ending = Arc::new(AtomicBool::new(false));
        let (code, ends) = (code.to_owned(), is_ending.clone());
        let thread = std::thread::Builder::new().name("refuser".into()).spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::Acquire) {
                    return;
                }
                // A client that hangs up in the middle is none of the test's business.
                let _ = refuse(stream.unwrap(), &code);
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

fn refuse(mut stream: TcpStream, code: &str) -> std::io::Result<()> {
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
            if let Some(answer) = answers(&message, code) {
                let mut pieces = VecDeque::new();
                writer.write(&answer, &mut pieces).unwrap();
                stream.write_all(&pieces.iter().flatten().copied().collect::<Vec<u8>>())?;
            }
        }
    }
}

fn answers(message: &Message, code: &str) -> Option<Message> {
    if message.kind != Kind::Command {
        return None;
    }
    let command = Command::decode(message).unwrap()?;
    let result = |value: Value| Message::command(&["_result".into(), command.transaction.into(), Value::Null, value]);
    match command.name.as_str() {
        "connect" => Some(result(Value::Null)),
        "createStream" => Some(result(1.0.into())),
        "publish" => {
            let texts = [("level", "error"), ("code", code), ("description", "not today")];
            let info = Value::Object(texts.map(|(name, text)| (name.to_owned(), text.into())).to_vec());
            Some(Message::command(&["onStatus".into(), 0.0.into(), Value::Null, info]))
        }
        _ => None,
    }
}
