//! What Linux knows of a TCP connection and can be told about it, where the standard library does not ask.
//!
//! Spec: tcp(7). Left out: every option that the standard library or tokio has.

use std::{
    ffi::c_int,
    io, mem,
    os::fd::{AsRawFd, BorrowedFd},
    time::Duration,
};

/// How long data may stay unacknowledged before the kernel gives the connection up.
pub fn set_user_timeout(socket: BorrowedFd<'_>, after: Duration) -> io::Result<()> {
    set(socket, libc::TCP_USER_TIMEOUT, c_int::try_from(after.as_millis()).unwrap_or(c_int::MAX))
}

/// How many bytes that are not yet sent the kernel takes before the socket counts as full. What is more waits with us.
pub fn set_unsent_max(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    set(socket, libc::TCP_NOTSENT_LOWAT, c_int::try_from(bytes).unwrap_or(c_int::MAX))
}

/// The smoothed round-trip time.
pub fn round_trip(socket: BorrowedFd<'_>) -> io::Result<Duration> {
    // SAFETY: `tcp_info` is made of integers alone, for which zeros are valid.
    let mut info: libc::tcp_info = unsafe { mem::zeroed() };
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: `info` is writable for the `len` bytes that are told, and the descriptor is open while it is borrowed; a kernel
    // that knows fewer fields writes fewer bytes and leaves zeros.
    let status = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &raw mut len)
    };
    checked(status)?;
    Ok(Duration::from_micros(info.tcpi_rtt.into()))
}

fn set(socket: BorrowedFd<'_>, option: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: both options take one `int`, `value` is one and outlives the call, and the descriptor is open while it is
    // borrowed.
    let status = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    checked(status)
}

fn checked(status: c_int) -> io::Result<()> {
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream, UdpSocket},
        os::fd::AsFd,
    };

    use super::*;

    fn get(socket: BorrowedFd<'_>, option: c_int) -> c_int {
        let mut value: c_int = -1;
        let mut len = size_of_val(&value) as libc::socklen_t;
        let level = libc::IPPROTO_TCP;
        // SAFETY: both options give one `int`, and `value` is writable for its length.
        let status =
            unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, (&raw mut value).cast(), &raw mut len) };
        assert_eq!(status, 0);
        value
    }

    #[test]
    fn options_are_set_and_the_round_trip_is_measured() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        set_user_timeout(client.as_fd(), Duration::from_secs(15)).unwrap();
        set_unsent_max(client.as_fd(), 65_536).unwrap();
        assert_eq!(get(client.as_fd(), libc::TCP_USER_TIMEOUT), 15_000);
        assert_eq!(get(client.as_fd(), libc::TCP_NOTSENT_LOWAT), 65_536);
        client.write_all(b"?").unwrap();
        server.read_exact(&mut [0]).unwrap();
        let round_trip = round_trip(client.as_fd()).unwrap();
        assert!(!round_trip.is_zero() && round_trip < Duration::from_secs(10), "{round_trip:?}");
    }

    #[test]
    fn what_is_not_tcp_is_an_error() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(round_trip(socket.as_fd()).is_err());
        assert!(set_unsent_max(socket.as_fd(), 1).is_err());
    }
}
