//! A network that misbehaves on command: a proxy in front of a real server.
//!
//! It runs on a thread of its own, holds 16 KiB in each direction besides what the kernel does, and ends with its value.

use std::{net::Ipv4Addr, thread::JoinHandle, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpSocket, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    runtime,
    sync::watch,
    time::sleep,
};

/// What the network does to the bytes of all its connections, from the next byte on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing: they pass.
    None,
    /// Each piece comes so much later.
    Delay(Duration),
    /// No more than so many bytes a second pass in each direction.
    Throttle(u64),
    /// It takes no more bytes; connections stay open.
    Stall,
    /// It takes all bytes and hands none on.
    Blackhole,
    /// Connections are reset, and new ones, too, as soon as they say something.
    Reset,
}

/// Bytes taken at a time.
const PIECE: usize = 16 << 10;
/// How often a throttled direction takes its share.
const TICK: Duration = Duration::from_millis(10);

/// A running proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    /// `None` ends it.
    fault: watch::Sender<Option<Fault>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// In front of this port of 127.0.0.1.
    pub(crate) fn start(server: u16, fault: Fault) -> Self {
        let (fault, faults) = watch::channel(Some(fault));
        let (ports, port) = std::sync::mpsc::sync_channel(1);
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let thread = std::thread::Builder::new().name("proxy".into()).spawn(move || {
            runtime.block_on(async move {
                let socket = TcpSocket::new_v4().unwrap();
                // A stall is to be felt soon.
                socket.set_recv_buffer_size(PIECE as u32).unwrap();
                socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
                let listener = socket.listen(64).unwrap();
                ports.send(listener.local_addr().unwrap().port()).unwrap();
                let mut ended = faults.clone();
                loop {
                    tokio::select! {
                        accepted = listener.accept() => {
                            let (client, _) = accepted.unwrap();
                            tokio::spawn(connect(client, server, faults.clone()));
                        }
                        _ = ended.wait_for(Option::is_none) => return,
                    }
                }
            });
        });
        Self { port: port.recv().unwrap(), fault, thread: Some(thread.unwrap()) }
    }

    /// Its port of 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on the network does this.
    pub(crate) fn set(&self, fault: Fault) {
        self.fault.send_replace(Some(fault));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.fault.send_replace(None);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()) || std::thread::panicking(), "the proxy's thread panicked");
    }
}

/// The connections are to be reset.
#[derive(Debug)]
struct Resets;

async fn connect(mut client: TcpStream, server: u16, faults: watch::Receiver<Option<Fault>>) {
    // A server that is down is one that hangs up.
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
    let carried =
        tokio::try_join!(carry(from_client, to_server, faults.clone()), carry(from_server, to_client, faults));
    if matches!(carried, Err(Resets)) {
        // Without lingering the kernel sends a reset; fails only where the connection is no more.
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
}

/// Carries bytes in one direction until one side hangs up, which the other is told.
async fn carry(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut faults: watch::Receiver<Option<Fault>>,
) -> Result<(), Resets> {
    let mut piece = vec![0; PIECE];
    loop {
        let fault = *faults.borrow_and_update();
        let room = match fault {
            Some(Fault::Throttle(rate)) => ((rate / 100) as usize).clamp(1, PIECE),
            _ => PIECE,
        };
        let len = tokio::select! {
            changed = faults.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return Err(Resets),
            },
            read = from.read(&mut piece[..room]), if fault != Some(Fault::Stall) => read.unwrap_or(0),
        };
        match fault {
            _ if len == 0 => break,
            Some(Fault::Delay(delay)) => sleep(delay).await,
            Some(Fault::Throttle(_)) => sleep(TICK).await,
            Some(Fault::Blackhole) => continue,
            Some(Fault::Reset) | None => return Err(Resets),
            Some(Fault::None | Fault::Stall) => {}
        }
        if to.write_all(&piece[..len]).await.is_err() {
            break;
        }
    }
    // Fails only where the connection is no more.
    let _ = to.shutdown().await;
    Ok(())
}
