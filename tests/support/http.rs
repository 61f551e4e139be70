//! One connection of HTTP/1.1 that stays open, for requests whose time or number counts.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use serde_json::Value;

/// A connection to a daemon; its calls wait for the answer.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    /// Connects to an address as the daemon tells it, `http://127.0.0.1:PORT`.
    pub(crate) fn open(base: &str) -> Self {
        let host = base.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&host).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream), host }
    }

    /// Sends a document and gives the one that is answered, which must be a success.
    pub(crate) fn send(&mut self, method: &str, path: &str, document: &Value) -> Value {
        let body = document.to_string();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n", self.host);
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let status = self.line();
        let mut body_len = 0;
        loop {
            match self.line().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    body_len = value.trim().parse().unwrap()
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; body_len];
        self.stream.read_exact(&mut body).unwrap();
        assert!(status.starts_with("HTTP/1.1 2"), "{method} {path}: {status} {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}
