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
//!
//! **Secrets** that are kept elsewhere are asked for at the start of each attempt; one that is not there is a failure like
//! any other.
//!
//! With a **backup** address the two are tried in turn: the other after [`FAILURES_MAX`] failures in a row, and at once after
//! a refusal. What works is kept: nobody is taken off a backup that works. A session that was on air for
//! [`HEALTHY_AFTER`] is followed by an attempt at the first address, whichever it was.
//!
//! A server's **reconnect request** (Enhanced RTMP) is followed while the session streams on: the next connection is made
//! ready beside it and begins with an IDR, before which the old one ends, so that nothing is lost. The next attempt after a
//! failure goes to the configured address again.

use std::{io, pin::pin, sync::Arc, time::Duration};

use tokio::{
    select,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Error,
    backoff::Backoff,
    error::Step,
    keyring::{Keyring, Opened},
    session::{End, Session},
    shared::Shared,
    stats::State,
    tls::TlsProblem,
    transport::Transport,
};
use crate::{
    base::secret::Secret,
    flv,
    rtmp::{
        Config, Endpoint, ReconnectRequest, Refusal, RefusalClass, Scheme,
        auth::{self, Credentials},
    },
};

/// How long name resolution, connecting, the handshake and publish may take, each.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// Times a server may ask who we are before it must be content: by name, then by digest.
const AUTH_ROUNDS: usize = 2;
/// On air for so long, a session counts as a success.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
/// How long a server that refused us is left in peace.
const REFUSED_RETRY: Duration = Duration::from_secs(30);
/// Failures in a row at one address before the other is tried.
const FAILURES_MAX: u32 = 3;
/// Reconnect requests that are followed in one attempt, so that servers cannot send us in circles for ever.
const MOVES_MAX: u32 = 8;

/// Where to publish and as whom, as it is configured.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) destinations: Destinations,
    pub(super) credentials: Option<Credentials>,
    /// Opens the secrets in both.
    pub(super) keyring: Option<Arc<dyn Keyring>>,
}

/// One output's reconnecting client.
#[derive(Debug)]
pub(super) struct Driver<T> {
    access: Access,
    /// Those of this attempt, opened.
    credentials: Option<Credentials>,
    transport: T,
    shared: Arc<Shared>,
    stop: CancellationToken,
    backoff: Backoff,
    /// Whether a session is on air, beside which the steps to another are not shown.
    is_on_air: bool,
}

/// What became of a reconnect request.
#[derive(Debug)]
enum Move<S> {
    /// Nothing: the session goes on.
    Stay,
    /// The end was asked for.
    Stopped,
    /// Another session goes on, at this address.
    To(Box<Session<S>>, Endpoint),
}

impl<T: Transport> Driver<T> {
    pub(super) fn new(access: Access, transport: T, shared: Arc<Shared>, stop: CancellationToken) -> Self {
        let backoff = Backoff::default();
        Self { access, credentials: None, transport, shared, stop, backoff, is_on_air: false }
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
        let destination = self.access.destinations.current();
        tracing::info!(output = %self.shared.id, %destination, "output stopped");
    }

    /// One stay on air, from the name of a host to the end; `Ok` if that end was asked for.
    async fn attempt(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        self.shared.begin_attempt(self.access.destinations.is_on_backup());
        let Some(opened) = stop.run_until_cancelled(self.access.open()).await else { return Ok(()) };
        let Opened { destination: mut at, credentials } = opened?;
        self.credentials = credentials;
        let Some(mut session) = self.reach(&at, stop).await? else { return Ok(()) };
        self.go_on_air(&mut session, &at);
        let mut moves = 0;
        loop {
            let End::ReconnectRequested(request) = session.stream(stop).await? else { break };
            moves += 1;
            match self.follow(&mut session, &at, request, moves, stop).await? {
                Move::Stay => {}
                Move::Stopped => break,
                Move::To(next, moved) => {
                    at = moved;
                    // It has two seconds for its good-bye, in which the next one is on air already.
                    tokio::spawn(std::mem::replace(&mut session, next).leave());
                }
            }
        }
        self.shared.seal();
        session.leave().await;
        Ok(())
    }

    fn go_on_air(&mut self, session: &mut Session<T::Stream>, at: &Endpoint) {
        self.is_on_air = true;
        self.shared.begin_session(session.take_probe());
        tracing::info!(output = %self.shared.id, destination = %at, state = "publishing", "output is on air");
        self.shared.enter(State::Publishing);
    }

    /// Makes another session as the server asks, and has `session` stream up to where the other begins.
    async fn follow(
        &mut self,
        session: &mut Session<T::Stream>,
        at: &Endpoint,
        request: ReconnectRequest,
        moves: u32,
        stop: &CancellationToken,
    ) -> Result<Move<T::Stream>, Error> {
        let shared = Arc::clone(&self.shared);
        let moved = request.tc_url.as_ref().map(Secret::expose).map_or(Ok(at.clone()), |url| at.moved_to(url));
        let to = match moved {
            Ok(to) if moves <= MOVES_MAX => to,
            refused => {
                let reason = refused.err().map_or("too many reconnect requests".into(), |error| error.to_string());
                tracing::warn!(output = %shared.id, destination = %at, reason, "reconnect request is not followed");
                return Ok(Move::Stay);
            }
        };
        tracing::info!(output = %shared.id, from = %at, %to, description = request.description, "server asks to reconnect");
        // A server that is about to end may end before the other is reached: then that is all the more wanted.
        let mut lost = None;
        let reached = {
            let mut reaching = pin!(self.reach(&to, stop));
            loop {
                select! {
                    reached = &mut reaching => break reached,
                    ended = session.stream(stop), if lost.is_none() => match ended {
                        Ok(End::Stopped) => return Ok(Move::Stopped),
                        Ok(End::ReconnectRequested(_) | End::AtKey) => {}
                        Err(error) => {
                            tracing::info!(output = %shared.id, class = error.class(), %error, "server did not wait");
                            shared.enter(State::Connecting);
                            lost = Some(error);
                        }
                    },
                }
            }
        };
        let mut next = match (reached, &lost) {
            (Ok(Some(next)), _) => next,
            (Ok(None), _) => return Ok(Move::Stopped),
            (Err(error), None) => {
                tracing::warn!(output = %shared.id, %to, class = error.class(), %error, "reconnect request failed");
                return Ok(Move::Stay);
            }
            (Err(error), Some(_)) => return Err(error),
        };
        if lost.is_none() {
            session.make_way();
            match session.stream(stop).await {
                Ok(End::Stopped) => {
                    next.leave().await;
                    return Ok(Move::Stopped);
                }
                Ok(_) => {}
                Err(error) => lost = Some(error),
            }
        }
        match lost {
            None => shared.continue_session(next.take_probe()),
            Some(_) => self.go_on_air(&mut next, &to),
        }
        tracing::info!(output = %shared.id, destination = %to, "output has moved");
        Ok(Move::To(next, to))
    }

    /// A session that the server is ready for; `None` if the end was asked for. A server that wants a password gets two
    /// more connections.
    async fn reach(
        &mut self,
        destination: &Endpoint,
        stop: &CancellationToken,
    ) -> Result<Option<Box<Session<T::Stream>>>, Error> {
        let mut query = None;
        for _ in 0..AUTH_ROUNDS {
            match self.connection(destination, query.as_deref(), stop).await {
                Err(Error::Refused { refusal, .. }) if refusal.class == RefusalClass::AuthRequired => {
                    query = Some(self.answer(refusal, destination)?);
                }
                ended => return ended,
            }
        }
        self.connection(destination, query.as_deref(), stop).await
    }

    async fn connection(
        &mut self,
        destination: &Endpoint,
        query: Option<&str>,
        stop: &CancellationToken,
    ) -> Result<Option<Box<Session<T::Stream>>>, Error> {
        let Some(stream) = stop.run_until_cancelled(self.dial(destination)).await else { return Ok(None) };
        let stream = stream?;
        let config = Config::new(destination).with_four_cc(flv::four_cc(&self.shared.headers().video));
        let config = match query {
            Some(query) => config.with_query(query),
            None => config,
        };
        let mut session = Box::new(Session::new(stream, config, Arc::clone(&self.shared)));
        self.enter(destination, State::Handshaking);
        if session.greet(stop).await? {
            return Ok(Some(session));
        }
        session.leave().await;
        Ok(None)
    }

    /// What to say to a server that wants a password.
    fn answer(&self, refusal: Refusal, destination: &Endpoint) -> Result<String, Error> {
        let Some(credentials) = &self.credentials else { return Err(Error::refused(refusal)) };
        match auth::answer(&refusal.description, &destination.app, credentials, rand::random()) {
            Ok(query) => Ok(query),
            Err(reason) => Err(Error::refused(Refusal { description: reason.to_string(), ..refusal })),
        }
    }

    async fn dial(&mut self, destination: &Endpoint) -> Result<T::Stream, Error> {
        let timed_out = |step| Error::TimedOut { step, after: STEP_TIMEOUT };
        self.enter(destination, State::Resolving);
        let Endpoint { host, port, .. } = destination;
        let addresses = timeout(STEP_TIMEOUT, self.transport.resolve(host, *port)).await;
        let addresses = addresses.map_err(|_| timed_out(Step::Resolve))?;
        let addresses = addresses.map_err(|source| Error::Resolve { host: host.clone(), source })?;
        self.enter(destination, State::Connecting);
        let stream =
            timeout(STEP_TIMEOUT, self.transport.open(&addresses)).await.map_err(|_| timed_out(Step::Connect))?;
        let stream = stream.map_err(|source| match source.kind() {
            io::ErrorKind::TimedOut => timed_out(Step::Connect),
            _ => Error::Connect { authority: destination.authority(), source },
        })?;
        match destination.scheme {
            Scheme::Rtmp => Ok(stream),
            Scheme::Rtmps => self.secure(destination, stream).await,
        }
    }

    async fn secure(&mut self, destination: &Endpoint, stream: T::Stream) -> Result<T::Stream, Error> {
        let secured = timeout(STEP_TIMEOUT, self.transport.secure(&destination.host, stream)).await;
        let secured = secured.map_err(|_| Error::TimedOut { step: Step::Secure, after: STEP_TIMEOUT })?;
        secured.map_err(|source| Error::Secure {
            authority: destination.authority(),
            problem: TlsProblem::of(&source),
            source,
        })
    }

    /// Notes and tells why the attempt failed; returns when to try again.
    fn handle_failure(&mut self, error: &Error) -> Instant {
        self.is_on_air = false;
        let destination = self.access.destinations.current().clone();
        let (state, wait) = self.plan(error, self.shared.end_attempt() >= HEALTHY_AFTER);
        tracing::warn!(
            output = %self.shared.id, %destination, state = state.as_str(), wait_ms = wait.as_millis() as u64,
            class = error.class(), %error, "output is off air"
        );
        let retry_at = Instant::now() + wait;
        self.shared.note_failure(error, retry_at);
        self.shared.enter(state);
        retry_at
    }

    fn plan(&mut self, error: &Error, was_healthy: bool) -> (State, Duration) {
        if was_healthy {
            self.backoff.reset();
            self.access.destinations.handle_success();
        }
        let wait = self.backoff.next(rand::random());
        match error {
            Error::Refused { refusal, was_on_air: false } if refusal.class != RefusalClass::StaleSession => {
                let is_there_another = self.access.destinations.handle_refusal();
                let state = State::Refused { code: refusal.code.clone() };
                (state, if is_there_another { wait } else { REFUSED_RETRY })
            }
            _ => {
                // The first failure after a success is no reason to leave the first address.
                if !was_healthy {
                    self.access.destinations.handle_failure();
                }
                (State::BackingOff { attempt: self.backoff.failures() }, wait)
            }
        }
    }

    fn enter(&self, destination: &Endpoint, state: State) {
        if self.is_on_air {
            return;
        }
        tracing::debug!(output = %self.shared.id, %destination, state = state.as_str(), "output goes on");
        self.shared.enter(state);
    }
}

impl Access {
    /// Where to go now, with all that is to be told there.
    fn open(&self) -> impl Future<Output = Result<Opened, Error>> + Send + use<> {
        Opened::new(self.keyring.clone(), self.destinations.current().clone(), self.credentials.clone())
    }
}

/// One address, or two that stand in for each other.
#[derive(Debug)]
pub(super) struct Destinations {
    first: Endpoint,
    backup: Option<Endpoint>,
    is_on_backup: bool,
    /// In a row, at the current one.
    failures: u32,
    /// In a row, at either.
    refusals: u32,
}

impl Destinations {
    pub(super) fn new(first: Endpoint, backup: Option<Endpoint>) -> Self {
        Self { first, backup, is_on_backup: false, failures: 0, refusals: 0 }
    }

    fn current(&self) -> &Endpoint {
        self.backup.as_ref().filter(|_| self.is_on_backup).unwrap_or(&self.first)
    }

    fn is_on_backup(&self) -> bool {
        self.is_on_backup
    }

    /// A session stood for long.
    fn handle_success(&mut self) {
        (self.is_on_backup, self.failures, self.refusals) = (false, 0, 0);
    }

    fn handle_failure(&mut self) {
        self.refusals = 0;
        self.failures += 1;
        if self.failures >= FAILURES_MAX {
            self.change();
        }
    }

    /// Says whether there is another address that has not refused us just now.
    fn handle_refusal(&mut self) -> bool {
        self.change();
        self.refusals += 1;
        self.backup.is_some() && self.refusals % 2 == 1
    }

    fn change(&mut self) {
        self.failures = 0;
        self.is_on_backup = self.backup.is_some() && !self.is_on_backup;
    }
}

impl<T> Drop for Driver<T> {
    /// However the task ends, asked to, with its runtime or by a panic: nobody is to think that it is still on air.
    fn drop(&mut self) {
        self.shared.end_attempt();
        self.shared.enter(State::Stopped);
    }
}
