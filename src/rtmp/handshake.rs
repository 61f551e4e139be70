//! The greeting before the first chunk, from the client's side.
//!
//! ```text
//! client                                  server
//!   C0 03 ──────────────────────────────►          version
//!   C1 time(4) zero(4) random(1528) ────►
//!          ◄────────────────────────────── S0 03   S1 time(4) ?(4) random(1528)
//!   C2 = S1 ────────────────────────────►
//!          ◄────────────────────────────── S2      C1 again; read and not compared
//! ```
//!
//! The four zero bytes of C1 tell a server that the digest handshake of Flash Player 9 is not wanted; no ingest asks
//! for it. C1's time is 0, as FFmpeg has it: nobody reads it, and this module has no clock. S2 is not compared with C1
//! since several servers answer something else and OBS only logs it.
//!
//! Spec: RTMP 1.0 section 5.2. Left out: the server's side, digests, RTMPE.

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes of C1, C2, S1 and S2.
pub const PACKET_LEN: usize = 1536;
/// Random bytes in C1.
pub const RANDOM_LEN: usize = PACKET_LEN - 8;
/// The protocol version of C0 and S0.
pub const VERSION: u8 = 3;

/// Why the greeting failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The server does not speak RTMP 3; `H` (0x48) is an HTTP server, 0x15 and 0x16 are TLS.
    #[error("server's first byte is {version:#04x} instead of 0x03: not an RTMP server, or one behind TLS")]
    Version {
        /// The byte received as S0.
        version: u8,
    },
}

/// Where the greeting stands.
#[derive(Debug)]
enum State {
    /// C0 and C1 are sent.
    AwaitS0,
    /// S0 is read; the bytes of S1 that are here.
    AwaitS1(BytesMut),
    /// C2 is sent; bytes of S2 to come.
    AwaitS2 {
        left: usize,
    },
    Done,
}

/// What a piece of input led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// All input is used and more is needed.
    NeedMore,
    /// S1 is here: send this (C2), then go on with the rest of the input.
    Send(Bytes),
    /// The greeting is over; what is left of the input is chunks.
    Done,
}

/// The client's half of the greeting.
#[derive(Debug)]
pub struct Handshake {
    state: State,
}

impl Handshake {
    /// Starts the greeting; the bytes are C0 and C1, to be sent at once.
    pub fn new(c1_random: &[u8; RANDOM_LEN]) -> (Self, Bytes) {
        let mut greeting = BytesMut::with_capacity(1 + PACKET_LEN);
        greeting.put_u8(VERSION);
        greeting.put_bytes(0, 8);
        greeting.put_slice(c1_random);
        (Self { state: State::AwaitS0 }, greeting.freeze())
    }

    /// Uses bytes from the front of `input`.
    ///
    /// To be called until it returns [`Progress::NeedMore`] or [`Progress::Done`]. After an error it still waits for a
    /// valid S0.
    pub fn handle_input(&mut self, input: &mut &[u8]) -> Result<Progress, Error> {
        loop {
            match &mut self.state {
                State::AwaitS0 => {
                    let Some((&version, rest)) = input.split_first() else { return Ok(Progress::NeedMore) };
                    if version != VERSION {
                        return Err(Error::Version { version });
                    }
                    *input = rest;
                    self.state = State::AwaitS1(BytesMut::with_capacity(PACKET_LEN));
                }
                State::AwaitS1(s1) => {
                    s1.put_slice(take(input, PACKET_LEN - s1.len()));
                    if s1.len() < PACKET_LEN {
                        return Ok(Progress::NeedMore);
                    }
                    let c2 = s1.split().freeze();
                    self.state = State::AwaitS2 { left: PACKET_LEN };
                    return Ok(Progress::Send(c2));
                }
                State::AwaitS2 { left } => {
                    *left -= take(input, *left).len();
                    if *left > 0 {
                        return Ok(Progress::NeedMore);
                    }
                    self.state = State::Done;
                }
                State::Done => return Ok(Progress::Done),
            }
        }
    }
}

/// Cuts at most `len_max` bytes off the front of `input`.
fn take<'a>(input: &mut &'a [u8], len_max: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(len_max.min(input.len()));
    *input = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_greeting() -> Vec<u8> {
        let s1 = (0..PACKET_LEN).map(|i| i as u8);
        std::iter::once(VERSION).chain(s1).chain(std::iter::repeat_n(7, PACKET_LEN)).collect()
    }

    #[test]
    fn c0_and_c1_by_the_spec() {
        let (_, greeting) = Handshake::new(&[0xAB; RANDOM_LEN]);
        assert_eq!(greeting.len(), 1537);
        assert_eq!(greeting[..10], [3, 0, 0, 0, 0, 0, 0, 0, 0, 0xAB]);
        assert_eq!(greeting[1536], 0xAB);
    }

    /// Whatever the pieces, C2 is S1 and the bytes after S2 are left alone.
    #[test]
    fn any_pieces() {
        let mut bytes = server_greeting();
        bytes.extend([0x02, 0x00]);
        for piece_len in [1, 2, 3, 1535, 1536, 1537, 1538, 3073, 4000] {
            let (mut handshake, _) = Handshake::new(&[0; RANDOM_LEN]);
            let (mut sent, mut left): (Vec<u8>, Vec<u8>) = Default::default();
            for mut piece in bytes.chunks(piece_len) {
                loop {
                    match handshake.handle_input(&mut piece).unwrap() {
                        Progress::Send(c2) => sent.extend(c2),
                        Progress::NeedMore => break,
                        Progress::Done => {
                            left.extend(piece);
                            break;
                        }
                    }
                }
            }
            assert_eq!(sent, bytes[1..1537], "C2 for pieces of {piece_len}");
            assert_eq!(left, [0x02, 0x00], "rest for pieces of {piece_len}");
        }
    }

    #[test]
    fn an_http_server_is_told_apart() {
        let (mut handshake, _) = Handshake::new(&[0; RANDOM_LEN]);
        let answer = handshake.handle_input(&mut &b"HTTP/1.1 400"[..]);
        assert_eq!(answer, Err(Error::Version { version: b'H' }));
    }
}
