//! The output floor: takes a stream's packets from its mux thread and keeps one destination supplied with them: a server,
//! or files ([`recording`]).
//!
//! ```text
//! mux thread                       one tokio task per output
//! ──────────                       ─────────────────────────
//! push ────────► Queue (bounded) ─────► Session ─► Publisher ─► socket ─► server
//! set_headers ─► (under one lock)         ▲  └───◄─ answers ◄──────┘
//!                      │                Driver: resolve, connect, retry, give up never
//! anyone: stats ◄──────┴─ counters ◄──────┘
//! ```
//!
//! The mux thread never waits: a slow or absent server costs packets ([`queue`] says which), never time. One output's
//! trouble stays its own. Every session begins with metadata, both sequence headers and an IDR, at timestamp 0.
//!
//! ```text
//! packet   what comes in                         session    one connection, from greeting to good-bye
//! queue    what waits, and what is dropped       driver     sessions one after the other, for ever
//! stats    what is shown                         backoff    how long to wait between them
//! error    why an attempt ended                  outbox     bytes for one system call
//! keyring  secrets that are kept elsewhere       transport  sockets
//! latency  how long a picture takes to leave     tls        whom to trust
//! recording  files instead of a server
//! ```
//!
//! Left out: changing the bitrate, which is the pipeline's: outputs tell by [`Output::flow`] what they get rid of. Bytes
//! that the kernel has taken count as sent; it takes only 64 KiB more than it can send.

pub mod error;
pub mod keyring;
pub mod latency;
pub mod packet;
pub mod queue;
pub mod recording;
pub mod stats;
pub mod tls;

mod backoff;
mod driver;
mod outbox;
mod session;
mod shared;
mod transport;

#[cfg(test)]
mod tests;

use std::{sync::Arc, thread, time::Duration};

use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument;

use self::{
    driver::{Access, Destinations, Driver},
    recording::Recorder,
    shared::Shared,
    transport::{Tcp, Transport},
};
pub use self::{
    error::Error,
    keyring::{Keyring, Use},
    latency::Latency,
    packet::{Headers, Kind, Packet},
    queue::Limits,
    recording::{Recording, Recordings},
    stats::{Flow, LastError, State, Stats},
    tls::Tls,
};
use crate::{
    base::id::Id,
    rtmp::{Endpoint, auth::Credentials},
};

/// One output as its document describes it, checked.
#[derive(Debug, Clone)]
pub struct Spec {
    id: Id,
    destination: Endpoint,
    backup: Option<Endpoint>,
    credentials: Option<Credentials>,
    keyring: Option<Arc<dyn Keyring>>,
    limits: Limits,
    is_primary: bool,
}

impl Spec {
    /// An output that publishes to `destination`.
    pub fn new(id: Id, destination: Endpoint, limits: Limits) -> Self {
        Self { id, destination, backup: None, credentials: None, keyring: None, limits, is_primary: false }
    }

    /// The same, with an address that stands in for the first.
    pub fn with_backup(self, backup: Endpoint) -> Self {
        Self { backup: Some(backup), ..self }
    }

    /// The same, as one that the bitrate follows where it follows primary outputs alone.
    pub fn primary(self, is_primary: bool) -> Self {
        Self { is_primary, ..self }
    }

    /// The same, for a server that wants user and password.
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..self }
    }

    /// The same, whose keys and password may be references: each attempt asks for what they lead to.
    pub fn with_keyring(self, keyring: Arc<dyn Keyring>) -> Self {
        Self { keyring: Some(keyring), ..self }
    }

    /// The output's id.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// Where it publishes.
    pub fn destination(&self) -> &Endpoint {
        &self.destination
    }

    /// Bounds of its queue.
    pub fn limits(&self) -> Limits {
        self.limits
    }
}

/// What an output does with its packets.
#[derive(Debug, Clone)]
pub enum Target {
    /// Sends them to a server.
    Publish(Spec),
    /// Writes them to files that lie there.
    Record(Recording, Recordings),
}

impl Target {
    /// The output's id.
    pub fn id(&self) -> &Id {
        match self {
            Self::Publish(spec) => &spec.id,
            Self::Record(recording, _) => &recording.id,
        }
    }
}

impl From<Spec> for Target {
    fn from(spec: Spec) -> Self {
        Self::Publish(spec)
    }
}

/// How long the last bytes of a recording may take to be on the disk; a disk that hangs must not hold up the daemon's end.
const RECORDED_WITHIN: Duration = Duration::from_secs(5);

/// What all outputs of the process share; cheap to clone.
#[derive(Debug, Clone)]
pub struct Network {
    /// Runs their tasks.
    pub runtime: Handle,
    /// Whom they trust.
    pub tls: Tls,
}

/// A running output. Dropping it ends it in the background; [`Output::stop`] waits for the end.
#[derive(Debug)]
pub struct Output {
    shared: Arc<Shared>,
    has_network: bool,
    is_primary: bool,
    task: JoinHandle<()>,
    /// Asks the task to end when dropped.
    stop: DropGuard,
}

impl Output {
    /// Starts the task, or the thread; it connects at once, and again whenever it must.
    pub fn spawn(network: &Network, target: impl Into<Target>, headers: Arc<Headers>) -> Self {
        match target.into() {
            Target::Publish(spec) => {
                Self::spawn_over(Tcp { tls: network.tls.clone() }, &network.runtime, spec, headers)
            }
            Target::Record(recording, recordings) => {
                Self::spawn_recorder(&network.runtime, recording, recordings, headers)
            }
        }
    }

    fn spawn_over(transport: impl Transport, handle: &Handle, spec: Spec, headers: Arc<Headers>) -> Self {
        let shared = Arc::new(Shared::new(spec.id, spec.limits, headers));
        let stop = CancellationToken::new();
        let destinations = Destinations::new(spec.destination, spec.backup);
        let access = Access { destinations, credentials: spec.credentials, keyring: spec.keyring };
        let driver = Driver::new(access, transport, Arc::clone(&shared), stop.clone());
        // In the caller's span, which says whose output it is.
        let task = handle.spawn(driver.run().in_current_span());
        Self { shared, has_network: true, is_primary: spec.is_primary, task, stop: stop.drop_guard() }
    }

    /// A thread that writes, and a task that waits for its end.
    fn spawn_recorder(handle: &Handle, recording: Recording, recordings: Recordings, headers: Arc<Headers>) -> Self {
        let id = recording.id.clone();
        let shared = Arc::new(Shared::new(id.clone(), recording.limits, headers));
        let stop = CancellationToken::new();
        let recorder = Recorder::new(recording, recordings, Arc::clone(&shared), stop.clone());
        let (done, ended) = oneshot::channel::<()>();
        let (runtime, stopped, span) = (handle.clone(), stop.clone(), tracing::Span::current());
        let work = move || {
            runtime.block_on(recorder.run().instrument(span));
            drop(done);
        };
        if let Err(error) = thread::Builder::new().name(format!("record-{id}")).spawn(work) {
            // The recorder went with its thread, and left the state behind that says so.
            tracing::error!(output = %id, %error, "no thread to record with");
        }
        let task = handle.spawn(async move {
            stopped.cancelled().await;
            if timeout(RECORDED_WITHIN, ended).await.is_err() {
                tracing::error!(output = %id, "the disk did not take the last of a recording in time");
            }
        });
        Self { shared, has_network: false, is_primary: false, task, stop: stop.drop_guard() }
    }

    /// Gives it a packet. Never waits: where there is no session or no room, the queue's rules say what is lost.
    ///
    /// Packets of both kinds come in the order of their decoding times.
    pub fn push(&self, packet: &Packet) {
        self.push_ready(packet, Instant::now());
    }

    /// The same, for a packet that has been ready since then: its latency begins there.
    pub fn push_ready(&self, packet: &Packet, ready_at: Instant) {
        self.shared.push(packet, ready_at);
    }

    /// The encoder was rebuilt: every packet pushed from now on belongs to `headers`, and its pictures begin at an IDR.
    pub fn set_headers(&self, headers: Arc<Headers>) {
        self.shared.set_headers(headers);
    }

    /// A snapshot of state and counters.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// How well it gets rid of its packets; allocates nothing.
    pub fn flow(&self) -> Flow {
        self.shared.flow()
    }

    /// Whether there is a network between it and its destination, so that the bitrate may have to follow it.
    pub fn has_network(&self) -> bool {
        self.has_network
    }

    /// Whether the bitrate follows it where it follows primary outputs alone.
    pub fn is_primary(&self) -> bool {
        self.is_primary
    }

    /// The state and its changes; one who looks rarely sees the newest only.
    pub fn states(&self) -> watch::Receiver<State> {
        self.shared.states()
    }

    /// Ends it: what waits is sent, the server told, the socket closed, all within 2 s; or the last file is ended and synced,
    /// within 5 s. The end begins at the call, so several outputs can be stopped together; the future is only for waiting.
    pub fn stop(self) -> impl Future<Output = ()> + Send + 'static {
        let Self { shared, task, stop, .. } = self;
        drop(stop);
        async move {
            if let Err(error) = task.await {
                tracing::error!(output = %shared.id, %error, "output's task did not end by itself");
            }
        }
    }
}
