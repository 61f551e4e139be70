//! Who may do what: the guard that stands before every route.
//!
//! ```text
//!  request ─► a token in the URL? a page of another origin? ─► too many of this address? ─► whose token is it?
//!          ─► may they (policy)? ─► too many of this token? ─► handler ─► audit ─► headers ─► answer
//! ```
//!
//! Without tokens the daemon listens on loopback alone, and everybody there is `anonymous`, an admin. With tokens each request
//! carries one: `Authorization: Bearer TOKEN`, or, of a browser's WebSocket, which can send no such header, in
//! `Sec-WebSocket-Protocol: stream-manager, bearer.TOKEN`. Never in a URL, since those are logged and remembered.
//!
//! Hashes are reckoned on threads for blocking work, two at a time, and only for tokens that are not known yet. What is not
//! done here: TLS. The addresses behind a proxy all count as the proxy's, unless `trusted_proxies` names it.

mod audit;
mod caller;
mod headers;
mod limits;
mod origin;
pub mod policy;
mod proxies;
mod throttle;
mod token;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, MatchedPath, RawPathParams, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use prometheus::{IntCounterVec, Opts, Registry};
use serde::{Deserialize, Serialize};
use tokio::{sync::Semaphore, task::spawn_blocking};

pub(super) use self::caller::{Caller, Scope};
use self::{
    audit::{Audit, Entry, Whose},
    limits::Limits,
    origin::Origins,
    policy::Need,
    proxies::Proxies,
    throttle::Throttle,
    token::Token,
};
pub use self::{
    caller::Role,
    limits::Config as LimitsConfig,
    token::{Config as TokenConfig, make as make_token},
};
use super::problem::Problem;
use crate::base::{clock::Clock, secret::Secret};

/// The protocol of the WebSocket, which is named in the answer.
pub(super) const PROTOCOL: &str = "stream-manager";
/// Hashes that are reckoned at the same time, and requests that wait for that; more are refused.
const RECKONING_MAX: usize = 2;
const WAITING_MAX: usize = 64;

/// Access as it is configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whose requests are answered; none: everybody's on this machine.
    pub tokens: Vec<TokenConfig>,
    /// Pages of which other origins may ask.
    pub allowed_origins: Vec<String>,
    /// Proxies, as addresses or networks, that are believed when they say whom they ask for.
    pub trusted_proxies: Vec<String>,
    /// How many requests.
    pub limits: LimitsConfig,
}

/// Why the daemon does not start with this configuration.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// Anybody could reach it.
    #[error(
        "listen = {listen} can be reached from other machines, and there is no token: run `stream-manager token --name NAME \
         --role admin` and put what it prints into the configuration, or listen on 127.0.0.1"
    )]
    Unprotected {
        /// Where it was to listen.
        listen: SocketAddr,
    },
    /// A token is wrong.
    #[error("auth.tokens: `{name}`: {why}")]
    Token {
        /// Its name.
        name: String,
        /// Why, and what to do.
        why: String,
    },
    /// Two tokens have a name.
    #[error("auth.tokens: `{name}` is there twice; changes are noted with the name, so use another")]
    Twice {
        /// The name.
        name: String,
    },
    /// There are too many.
    #[error("auth.tokens: {} are the most there may be", token::TOKENS_MAX)]
    TooMany,
    /// An origin is wrong.
    #[error("auth.allowed_origins: `{origin}` is no origin: use scheme and host alone, as in https://studio.example")]
    Origin {
        /// What was given.
        origin: String,
    },
    /// A proxy is wrong.
    #[error("auth.trusted_proxies: `{proxy}` is no address or network: use 10.0.0.7, 10.0.0.0/8 or fd00::/8")]
    Proxy {
        /// What was given.
        proxy: String,
    },
    /// The metric is there already.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Who may do what.
#[derive(Debug)]
pub struct Access {
    tokens: Vec<Arc<Token>>,
    origins: Origins,
    proxies: Proxies,
    throttle: Throttle,
    limits: Limits,
    audit: Audit,
    waiting: Semaphore,
    reckoning: Semaphore,
    refused: IntCounterVec,
}

/// A request that goes no further.
#[derive(Debug)]
struct Refused {
    problem: Problem,
    /// After how long it may be tried again.
    wait: Option<Duration>,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self { problem, wait: None }
    }
}

impl Refused {
    fn too_many(what: &str, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let detail = format!("too many {what}: try again in {seconds} s");
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail);
        Self { problem, wait: Some(Duration::from_secs(seconds)) }
    }

    fn unknown(detail: &str) -> Self {
        Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).into()
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let is_unknown = self.problem.status() == StatusCode::UNAUTHORIZED;
        let mut response = self.problem.into_response();
        let headers = response.headers_mut();
        if is_unknown {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"stream-manager\""));
        }
        if let Some(wait) = self.wait {
            headers.insert(header::RETRY_AFTER, wait.as_secs().into());
        }
        response
    }
}

impl Access {
    /// What the configuration says, for a daemon that listens at `listen`.
    pub fn open(
        config: &Config,
        listen: SocketAddr,
        clock: Arc<dyn Clock>,
        registry: &Registry,
    ) -> Result<Self, Invalid> {
        if config.tokens.is_empty() && !listen.ip().to_canonical().is_loopback() {
            return Err(Invalid::Unprotected { listen });
        }
        if config.tokens.len() > token::TOKENS_MAX {
            return Err(Invalid::TooMany);
        }
        for (i, token) in config.tokens.iter().enumerate() {
            if config.tokens[..i].iter().any(|before| before.name == token.name) {
                return Err(Invalid::Twice { name: token.name.clone() });
            }
        }
        let tokens: Vec<_> =
            config.tokens.iter().map(|token| Token::read(token).map(Arc::new)).collect::<Result<_, _>>()?;
        let opts = Opts::new("stream_manager_http_refused_total", "Requests refused before a handler, by the code.");
        let refused = IntCounterVec::new(opts, &["code"])?;
        registry.register(Box::new(refused.clone()))?;
        Ok(Self {
            origins: Origins::new(&config.allowed_origins, tokens.is_empty())?,
            proxies: Proxies::new(&config.trusted_proxies)?,
            throttle: Throttle::new(clock.clone()),
            limits: Limits::new(&config.limits, clock.clone()),
            audit: Audit::new(clock),
            waiting: Semaphore::new(WAITING_MAX),
            reckoning: Semaphore::new(RECKONING_MAX),
            refused,
            tokens,
        })
    }

    /// Notes what was done, or not, over the WebSocket.
    pub(super) fn note_command(&self, caller: &Caller, stream: &str, name: &str, status: StatusCode) {
        let path = format!("/api/v1/streams/{stream}/{name}");
        let whose = Whose { caller: Some(caller), address: caller.address };
        self.audit.note(whose, &Method::POST, &path, status);
    }

    /// How many entries the audit has had.
    pub(super) fn audit_count(&self) -> u64 {
        self.audit.count()
    }

    /// What is kept of those after the first `seen`, oldest first, and how many there have been by now.
    pub(super) fn audit_since(&self, seen: u64) -> (Vec<Entry>, u64) {
        self.audit.since(seen)
    }

    /// Refuses a command of who gives too many; the WebSocket's own requests are not seen by the guard.
    pub(super) fn count_command(&self, caller: &Caller) -> Result<(), Problem> {
        let wait = caller.token.and_then(|token| self.limits.wait_of_token(token));
        wait.map_or(Ok(()), |wait| Err(Refused::too_many("commands", wait).problem))
    }

    /// What was done and what was refused, oldest first.
    pub(super) fn noted(&self) -> Vec<Entry> {
        self.audit.entries()
    }

    /// Everything that is tried of a request before it may go on; gives who asks, if that is known.
    async fn admit(
        &self,
        parts: &mut Parts,
        address: Option<IpAddr>,
    ) -> Result<Option<Caller>, (Option<Caller>, Refused)> {
        let nobody = |refused| (None, refused);
        refuse_tokens_in(parts.uri.query().unwrap_or_default()).map_err(|problem| nobody(problem.into()))?;
        let from = origin::From { method: &parts.method, uri: &parts.uri, headers: &parts.headers };
        self.origins.check(from).map_err(|problem| nobody(problem.into()))?;
        if let Some(wait) = self.limits.wait_of_address(address) {
            return Err(nobody(Refused::too_many("requests from this address", wait)));
        }
        // What no route leads to is answered by the router: there is nothing to be kept from anybody.
        let Some(path) = parts.extensions.get::<MatchedPath>().cloned() else { return Ok(None) };
        let Some(need) = policy::need(&parts.method, path.as_str()) else {
            return Err(nobody(not_in_table(parts).into()));
        };
        let caller = self.caller(&parts.headers, address).await.map_err(nobody)?;
        let Some(caller) = caller else {
            let detail = "send a token: `Authorization: Bearer TOKEN`";
            return if need == Need::Open { Ok(None) } else { Err(nobody(Refused::unknown(detail))) };
        };
        if let Some(wait) = caller.token.and_then(|token| self.limits.wait_of_token(token)) {
            return Err((Some(caller), Refused::too_many("requests with this token", wait)));
        }
        let allowed = match need {
            Need::Open => Ok(()),
            Need::Any(role) => caller.may(role),
            Need::All(role) => caller.may_of_all(role),
            Need::Stream(role) => match stream_of(parts).await {
                Ok(stream) => caller.may_of(role, &stream),
                Err(problem) => Err(problem),
            },
        };
        match allowed {
            Ok(()) => Ok(Some(caller)),
            Err(problem) => Err((Some(caller), problem.into())),
        }
    }

    /// Whose token a request has; none where it has none.
    async fn caller(&self, headers: &HeaderMap, address: Option<IpAddr>) -> Result<Option<Caller>, Refused> {
        if self.tokens.is_empty() {
            return Ok(Some(Caller::anonymous(address)));
        }
        let Some(text) = bearer(headers) else { return Ok(None) };
        let text = text.filter(|text| token::LEN.contains(&text.expose().len()));
        let index = match text {
            Some(text) => self.token(text, address).await?,
            None => None,
        };
        let Some(index) = index else {
            self.throttle.failed(address);
            return Err(Refused::unknown("this token is none of those that are configured"));
        };
        let token = &self.tokens[index];
        let actor = crate::state::Actor::new(&token.name);
        Ok(Some(Caller { actor, role: token.role, scope: token.scope.clone(), address, token: Some(index) }))
    }

    /// Which token this is. One that is known is let in at once; others wait for their turn.
    async fn token(&self, text: Secret, address: Option<IpAddr>) -> Result<Option<usize>, Refused> {
        let digest = token::digest(text.expose());
        let known = || self.tokens.iter().position(|token| token.is_known_as(&digest));
        if let Some(index) = known() {
            return Ok(Some(index));
        }
        let throttled = || match self.throttle.wait(address) {
            Some(wait) => Err(Refused::too_many("wrong tokens from this address", wait)),
            None => Ok(()),
        };
        throttled()?;
        let busy = || Refused::too_many("new tokens at the same time", Duration::from_secs(1));
        let _waiting = self.waiting.try_acquire().map_err(|_| busy())?;
        let _reckoning = self.reckoning.acquire().await.map_err(|_| busy())?;
        // While this one waited, another may have made the token known, or used up the address's patience.
        if let Some(index) = known() {
            return Ok(Some(index));
        }
        throttled()?;
        let tokens = self.tokens.clone();
        let reckon = move || tokens.iter().position(|token| token.is_unknown() && token.verify(&text));
        let found = spawn_blocking(reckon)
            .await
            .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string()))?;
        if found.is_some() {
            self.throttle.succeeded(address);
        }
        Ok(found)
    }
}

/// The guard before every route.
pub(super) async fn guard(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let address = peer.map(|peer| access.proxies.client(peer, &parts.headers));
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let allowed_origin = access.origins.allowed_origin(&parts.headers);
    let (caller, mut response) = if let Some(response) = preflight(&parts, allowed_origin.is_some()) {
        (None, response)
    } else {
        match access.admit(&mut parts, address).await {
            Ok(caller) => {
                if let Some(caller) = &caller {
                    parts.extensions.insert(caller.clone());
                    parts.extensions.insert(caller.actor.clone());
                }
                (caller, next.run(Request::from_parts(parts, body)).await)
            }
            Err((caller, refused)) => {
                access.refused.with_label_values(&[refused.problem.code()]).inc();
                (caller, refused.into_response())
            }
        }
    };
    let status = response.status();
    let is_refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    if is_refused || (caller.is_some() && !method.is_safe() && status != StatusCode::TOO_MANY_REQUESTS) {
        access.audit.note(Whose { caller: caller.as_ref(), address }, &method, &path, status);
    }
    headers::add(&path, response.headers_mut());
    if let Some(origin) = allowed_origin {
        share_with(origin, response.headers_mut());
    }
    response
}

/// The stream that a path names, as the handlers read it.
async fn stream_of(parts: &mut Parts) -> Result<String, Problem> {
    let params = RawPathParams::from_request_parts(parts, &()).await;
    let params = params.map_err(|rejection| Problem::new(rejection.status(), "bad_path", rejection.body_text()))?;
    // By its place: the first variable part of these paths is the stream.
    let stream = params.iter().next().map(|(_, value)| value.to_owned());
    stream.ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the route names no stream"))
}

fn not_in_table(parts: &Parts) -> Problem {
    let detail = format!("{} is not possible at {}", parts.method, parts.uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

/// URLs are logged and remembered.
fn refuse_tokens_in(query: &str) -> Result<(), Problem> {
    let names = url::form_urlencoded::parse(query.as_bytes());
    let is_token = |name: &str| ["token", "access_token", "bearer", "authorization"].contains(&name);
    match names.into_iter().any(|(name, _)| is_token(&name.to_ascii_lowercase())) {
        false => Ok(()),
        true => {
            let detail = "a token in a URL is seen by others: send `Authorization: Bearer TOKEN`, or, with a browser's \
                          WebSocket, the protocols `stream-manager` and `bearer.TOKEN`; and make a new token";
            Err(Problem::new(StatusCode::BAD_REQUEST, "token_in_url", detail))
        }
    }
}

/// The token of a request: none where it has none, nothing in it where it is no token that could be.
fn bearer(headers: &HeaderMap) -> Option<Option<Secret>> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, token) = value.to_str().unwrap_or_default().split_once(' ').unwrap_or_default();
        return Some(scheme.eq_ignore_ascii_case("bearer").then(|| Secret::new(token.trim())));
    }
    let protocols = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter().filter_map(|value| value.to_str().ok());
    let mut protocols = protocols.flat_map(|value| value.split(','));
    protocols.find_map(|protocol| protocol.trim().strip_prefix("bearer.").map(|token| Some(Secret::new(token))))
}

/// The answer to a browser that asks whether a page of another origin may ask.
fn preflight(parts: &Parts, is_allowed: bool) -> Option<Response> {
    let asks = parts.method == Method::OPTIONS && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    (asks && is_allowed).then(|| {
        let headers = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, PATCH, DELETE"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, if-match, idempotency-key"),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ];
        (StatusCode::NO_CONTENT, headers).into_response()
    })
}

/// Lets pages of that origin read the answer.
fn share_with(origin: HeaderValue, headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("etag, location, retry-after"));
    let resource_policy = header::HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(resource_policy, HeaderValue::from_static("cross-origin"));
}
