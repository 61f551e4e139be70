//! The task of one output: attempt after attempt, until it is stopped.
//!
//! ```text
//! resolve 10 s ─► connect 10 s ─► (TLS 10 s) ─► Session (handshake 10 s, publish 10 s, then on air) ─► failure
//!    ▲                                                                                     │
//!    └── wait: full jitter of 0.5 s, 1 s, ... 30 s; or 30 s when refused ◄─────────────────┘
//! ```
//!
//! It never gives up: a server that is down for a night must find us in the morning. A session that was on air for
//! [`HEALTHY_AFTER`] makes the next failure count as the first. Refusals before going on air are answered slowly, with
//! one exception: `BadName` says that somebody publishes under our key, which after a lost connection is our own ghost,
//! gone as soon as the server notices. A refusal on air ends a session that was welcome, so it counts as any failure; if
//! the server means it, the next attempt will hear it at once.

use std::{io, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Error, backoff::Backoff, error::Step, session::Session, shared::Shared, stats::State, tls::TlsProblem,
    transport::Transport,
};
use crate::rtmp::{
    Config, Endpoint, Refusal, RefusalClass, Scheme,
    auth::{self, Credentials},
};

/// How long name resolution, connecting, the handshake and publish may take, each.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// Times a server may ask who we are before it must be content: by name, then by digest.
const AUTH_ROUNDS: usize = 2;
/// On air for so long, a session counts as a success.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
/// How long a server that refused us is left in peace.
const REFUSED_RETRY: Duration = Duration::from_secs(30);

/// One output's reconnecting client.
#[derive(Debug)]
pub(super) struct Driver<T> {
    destination: Endpoint,
    credentials: Option<Credentials>,
    transport: T,
    shared: Arc<Shared>,
    stop: CancellationToken,
    backoff: Backoff,
}

impl<T: Transport> Driver<T> {
    pub(super) fn new(
        destination: Endpoint,
        credentials: Option<Credentials>,
        transport: T,
        shared: Arc<Shared>,
        stop: CancellationToken,
    ) -> Self {
        Self { destination, credentials, transport, shared, stop, backoff: Backoff::default() }
    }

    /// Publishes until it is stopped.
    pub(super) async fn run(mut self) {
        let stop = self.stop.clone();
        while let Err(error) = self.attempt(&stop).await {
            let retry_at = self.handle_failure(&error);
            if stop.run_until_cancelled(sleep_until(retry_at)).await.is_none() {
                break;
            }
        }
        tracing::info!(output = %self.shared.id, destination = %self.destination, "output stopped");
    }

    /// One connection, from the name of its host to its end; `Ok` if that end was asked for. A server that wants a
    /// password gets two more.
    async fn attempt(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        self.shared.begin_attempt();
        let mut query = None;
        for _ in 0..AUTH_ROUNDS {
            match self.connection(query.as_deref(), stop).await {
                Err(Error::Refused { refusal, .. }) if refusal.class == RefusalClass::AuthRequired => {
                    query = Some(self.answer(refusal)?);
                }
                ended => return ended,
            }
        }
        self.connection(query.as_deref(), stop).await
    }

    async fn connection(&mut self, query: Option<&str>, stop: &CancellationToken) -> Result<(), Error> {
        let Some(stream) = stop.run_until_cancelled(self.dial()).await else { return Ok(()) };
        let config = Config::new(&self.destination);
        let config = match query {
            Some(query) => config.with_query(query),
            None => config,
        };
        let session = Session::new(stream?, config, &self.shared);
        self.enter(State::Handshaking);
        session.run(stop).await
    }

    /// What to say to a server that wants a password.
    fn answer(&self, refusal: Refusal) -> Result<String, Error> {
        let Some(credentials) = &self.credentials else { return Err(Error::refused(refusal)) };
        match auth::answer(&refusal.description, &self.destination.app, credentials, rand::random()) {
            Ok(query) => Ok(query),
            Err(reason) => Err(Error::refused(Refusal { description: reason.to_string(), ..refusal })),
        }
    }

    async fn dial(&mut self) -> Result<T::Stream, Error> {
        let timed_out = |step| Error::TimedOut { step, after: STEP_TIMEOUT };
        self.enter(State::Resolving);
        let Endpoint { host, port, .. } = &self.destination;
        let addresses = timeout(STEP_TIMEOUT, self.transport.resolve(host, *port)).await;
        let addresses = addresses.map_err(|_| timed_out(Step::Resolve))?;
        let addresses = addresses.map_err(|source| Error::Resolve { host: host.clone(), source })?;
        self.enter(State::Connecting);
        let stream =
            timeout(STEP_TIMEOUT, self.transport.open(&addresses)).await.map_err(|_| timed_out(Step::Connect))?;
        let stream = stream.map_err(|source| match source.kind() {
            io::ErrorKind::TimedOut => timed_out(Step::Connect),
            _ => Error::Connect { authority: self.destination.authority(), source },
        })?;
        match self.destination.scheme {
            Scheme::Rtmp => Ok(stream),
            Scheme::Rtmps => self.secure(stream).await,
        }
    }

    async fn secure(&mut self, stream: T::Stream) -> Result<T::Stream, Error> {
        let secured = timeout(STEP_TIMEOUT, self.transport.secure(&self.destination.host, stream)).await;
        let secured = secured.map_err(|_| Error::TimedOut { step: Step::Secure, after: STEP_TIMEOUT })?;
        secured.map_err(|source| Error::Secure {
            authority: self.destination.authority(),
            problem: TlsProblem::of(&source),
            source,
        })
    }

    /// Notes and tells why the attempt failed; returns when to try again.
    fn handle_failure(&mut self, error: &Error) -> Instant {
        if self.shared.end_attempt() >= HEALTHY_AFTER {
            self.backoff.reset();
        }
        let (state, wait) = self.plan(error);
        tracing::warn!(
            output = %self.shared.id, destination = %self.destination, ?state, wait_ms = wait.as_millis() as u64,
            class = error.class(), %error, "output is off air"
        );
        let retry_at = Instant::now() + wait;
        self.shared.note_failure(error, retry_at);
        self.shared.enter(state);
        retry_at
    }

    fn plan(&mut self, error: &Error) -> (State, Duration) {
        let wait = self.backoff.next(rand::random());
        match error {
            Error::Refused { refusal, was_on_air: false } if refusal.class != RefusalClass::StaleSession => {
                (State::Refused { code: refusal.code.clone() }, REFUSED_RETRY)
            }
            _ => (State::BackingOff { attempt: self.backoff.failures() }, wait),
        }
    }

    fn enter(&self, state: State) {
        tracing::debug!(output = %self.shared.id, destination = %self.destination, ?state, "output goes on");
        self.shared.enter(state);
    }
}

impl<T> Drop for Driver<T> {
    /// However the task ends, asked to, with its runtime or by a panic: nobody is to think that it is still on air.
    fn drop(&mut self) {
        self.shared.end_attempt();
        self.shared.enter(State::Stopped);
    }
}
