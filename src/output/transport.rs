//! How an output reaches its server: names to addresses, addresses to a byte stream.
//!
//! A trait, so that the driver's tests bring their own streams and their own failures. Left out: happy eyeballs (RFC
//! 8305): addresses are tried one after the other, each with its share of the time, so that one that swallows packets
//! does not hide the others.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};

use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::{driver::STEP_TIMEOUT, tls::Tls};
use crate::ffi::tcp;

/// After so long without an acknowledgement the kernel gives a connection up: later than the watchdog, which sees more,
/// and for a good-bye that nobody waits for any more.
const USER_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes that the kernel may hold without having sent them. What is more waits in the output's queue, where it can be
/// dropped, and where adaptive bitrate sees it.
const UNSENT_MAX: usize = 64 << 10;

/// Both directions of one connection.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// A view of its socket.
    fn probe(&self) -> Probe;
}

/// Looks at a socket that somebody else sends through. Holds it open.
#[derive(Debug, Default)]
pub(super) struct Probe(Option<OwnedFd>);

impl Probe {
    /// The kernel's smoothed round-trip time, where there is a kernel in between.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        tcp::round_trip(self.0.as_ref()?.as_fd()).ok()
    }
}

/// What the driver needs of the network.
pub(super) trait Transport: Send + 'static {
    /// Both directions of one connection.
    type Stream: Connection;

    /// The addresses of a host.
    fn resolve(&mut self, host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// A connection to one of `addresses`.
    fn open(&mut self, addresses: &[SocketAddr]) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// The same connection, encrypted, with `host` proven to be at its other end.
    fn secure(&mut self, host: &str, stream: Self::Stream) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Connection for Either<TcpStream, Box<TlsStream<TcpStream>>> {
    fn probe(&self) -> Probe {
        let socket = match self {
            Self::Left(plain) => plain,
            Self::Right(secured) => secured.get_ref().0,
        };
        // Without a descriptor to spare there is no round-trip time, and nothing worse.
        Probe(socket.as_fd().try_clone_to_owned().ok())
    }
}

/// TCP without Nagle's delay, for writes are batched already; with TLS upon it where that is asked for.
#[derive(Debug)]
pub(super) struct Tcp {
    pub(super) tls: Tls,
}

impl Transport for Tcp {
    // The TLS state is large, and most outputs have none.
    type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

    async fn resolve(&mut self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(lookup_host((host, port)).await?.collect())
    }

    async fn open(&mut self, addresses: &[SocketAddr]) -> io::Result<Self::Stream> {
        let mut last_error = io::Error::new(io::ErrorKind::AddrNotAvailable, "host has no address");
        let share = STEP_TIMEOUT / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        for address in addresses {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true)?;
                    tcp::set_user_timeout(stream.as_fd(), USER_TIMEOUT)?;
                    tcp::set_unsent_max(stream.as_fd(), UNSENT_MAX)?;
                    return Ok(Either::Left(stream));
                }
                Ok(Err(error)) => last_error = error,
                Err(_) => last_error = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last_error)
    }

    async fn secure(&mut self, host: &str, stream: Self::Stream) -> io::Result<Self::Stream> {
        match stream {
            Either::Left(stream) => Ok(Either::Right(Box::new(self.tls.connect(host, stream).await?))),
            secured @ Either::Right(_) => Ok(secured),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_next_address_is_tried_when_one_refuses() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let bad = {
            let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            closed.local_addr().unwrap()
        };
        let mut tcp = Tcp { tls: Tls::open(&[]).unwrap() };
        let opened = tcp.open(&[bad, good]).await.unwrap();
        assert!(opened.probe().round_trip().is_some_and(|time| !time.is_zero()));
        let Either::Left(stream) = opened else { unreachable!("nothing is encrypted") };
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(stream.nodelay().unwrap());
        assert_eq!(tcp.open(&[bad]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(tcp.open(&[]).await.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }

    /// A label of 64 characters cannot even be asked for, so this needs no network.
    #[tokio::test]
    async fn a_host_that_cannot_exist_is_an_error() {
        assert!(Tcp { tls: Tls::open(&[]).unwrap() }.resolve(&"x".repeat(64), 1935).await.is_err());
    }
}
