//! `GET /api/v1/events`: a WebSocket on which the daemon tells what happens.
//!
//! ```text
//!  client                                                    daemon
//!  {"subscribe": ["meters", "silence"], "intervalMs": 100} ─►
//!                                                          ◄─ {"type": "subscribed", "topics": [...], "intervalMs": 100}
//!                                                          ◄─ {"type": "meters", "stream": "main", "peakDbfs": [...], ...}
//!                                                          ◄─ {"type": "silence", "stream": "main", "isSilent": true}
//! ```
//!
//! A client may subscribe anew at any time; what it says last counts. A message that is wrong is answered with `type`
//! `error`, a code, and what is allowed, and changes nothing. `meters` come each `intervalMs` and show the highest of all
//! blocks since the last one; `silence` comes when it begins or ends, and once at first.
//!
//! Nothing queues: what is told is read when it is sent, so a slow client gets fewer messages, each of a longer time, and
//! one that takes none for 10 s is cut off. Sessions are limited in number, their messages in length; a browser is let in
//! from the daemon's own pages alone. Not here yet: documents and their changes, commands.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc, time::Duration};

use axum::{
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Interval, MissedTickBehavior, interval, timeout},
};

use super::{Answer, App, problem::Problem, sound::shown};
use crate::{
    base::id::Id,
    scene::check::{self, Check, Problems},
};

/// Most sessions at the same time.
const SESSIONS_MAX: usize = 64;
/// Longest message of a client, in bytes.
const MESSAGE_LEN_MAX: usize = 4096;
/// How often it may be told, in milliseconds; the meters remember 1.4 s.
const INTERVALS_MS: RangeInclusive<f64> = 40.0..=1000.0;
const INTERVAL_DEFAULT_MS: f64 = 100.0;
/// How long a message may take to leave.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// From ping to ping; a client that has said nothing since the last one, not even pong, is gone.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// What sessions share.
#[derive(Debug, Clone)]
pub(super) struct Hub {
    app: App,
    sessions: Arc<Semaphore>,
}

impl Hub {
    pub(super) fn new(app: App) -> Self {
        Self { app, sessions: Arc::new(Semaphore::new(SESSIONS_MAX)) }
    }
}

/// `GET /api/v1/events`
pub(super) async fn open(
    State(hub): State<Hub>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Answer {
    if !is_same_origin(&headers) {
        let detail = "a page of another origin may not listen here";
        return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", detail));
    }
    let no_upgrade = |rejection: WebSocketUpgradeRejection| {
        Problem::new(rejection.status(), "not_a_websocket", rejection.body_text())
    };
    let upgrade = upgrade.map_err(no_upgrade)?;
    let permit = hub.sessions.try_acquire_owned().map_err(|_| {
        let detail = format!("{SESSIONS_MAX} sessions are the most there may be");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "limit_reached", detail)
    })?;
    Ok(upgraded(upgrade, hub.app, permit))
}

fn upgraded(upgrade: WebSocketUpgrade, app: App, permit: OwnedSemaphorePermit) -> Response {
    let upgrade = upgrade.max_message_size(MESSAGE_LEN_MAX).max_frame_size(MESSAGE_LEN_MAX);
    upgrade.on_upgrade(move |socket| async move {
        Session::new(app).run(socket).await;
        drop(permit);
    })
}

/// Browsers say where a page comes from, and it is here if its address is the one that was asked; others say nothing.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
}

/// What can be listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Topic {
    Meters,
    Silence,
}

/// What a client says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Subscription {
    subscribe: Vec<Topic>,
    #[serde(default = "default_interval_ms")]
    interval_ms: f64,
}

fn default_interval_ms() -> f64 {
    INTERVAL_DEFAULT_MS
}

impl Subscription {
    fn read(text: &str) -> Result<Self, Problems> {
        let malformed =
            |error: serde_json::Error| check::Problem { pointer: String::new(), message: error.to_string() };
        let value: Value = serde_json::from_str(text).map_err(malformed)?;
        let subscription: Self = check::read(value)?;
        let mut check = Check::default();
        check.range("/intervalMs", subscription.interval_ms, INTERVALS_MS);
        check.finish().map(|()| subscription)
    }
}

/// One client.
#[derive(Debug)]
struct Session {
    app: App,
    topics: Vec<Topic>,
    ticks: Interval,
    /// How many blocks of each stream it has been told of.
    seen: BTreeMap<Id, u64>,
    /// What it has been told of each stream's silence.
    silent: BTreeMap<Id, bool>,
}

/// What to do next.
enum Step {
    Say(Vec<Message>),
    End,
}

impl Session {
    fn new(app: App) -> Self {
        let ticks = ticks(INTERVAL_DEFAULT_MS);
        Self { app, topics: Vec::new(), ticks, seen: BTreeMap::new(), silent: BTreeMap::new() }
    }

    async fn run(mut self, mut socket: WebSocket) {
        let mut pings = interval(PING_INTERVAL);
        let mut is_alive = true;
        loop {
            let step = tokio::select! {
                message = socket.recv() => {
                    is_alive = true;
                    match message {
                        Some(Ok(message)) => self.hear(message),
                        Some(Err(_)) | None => Step::End,
                    }
                }
                _ = self.ticks.tick(), if !self.topics.is_empty() => Step::Say(self.news()),
                _ = pings.tick() => match std::mem::replace(&mut is_alive, false) {
                    true => Step::Say(vec![Message::Ping(Default::default())]),
                    false => Step::End,
                },
            };
            let Step::Say(messages) = step else { return };
            for message in messages {
                if !matches!(timeout(SEND_TIMEOUT, socket.send(message)).await, Ok(Ok(()))) {
                    return;
                }
            }
        }
    }

    fn hear(&mut self, message: Message) -> Step {
        let answer = match message {
            Message::Text(text) => match Subscription::read(text.as_str()) {
                Ok(subscription) => self.subscribe(subscription),
                Err(problems) => error("invalid_message", &problems.to_string(), &problems),
            },
            Message::Binary(_) => error("not_text", "send JSON as text", &Problems(Vec::new())),
            Message::Close(_) => return Step::End,
            // Pings are answered below us.
            Message::Ping(_) | Message::Pong(_) => return Step::Say(Vec::new()),
        };
        Step::Say(vec![text(&answer)])
    }

    fn subscribe(&mut self, subscription: Subscription) -> Value {
        let Subscription { subscribe, interval_ms } = subscription;
        self.topics = subscribe;
        self.ticks = ticks(interval_ms);
        self.seen.clear();
        self.silent.clear();
        json!({ "type": "subscribed", "topics": self.topics, "intervalMs": interval_ms })
    }

    /// What there is to tell now.
    fn news(&mut self) -> Vec<Message> {
        let ids = self.app.streams.ids();
        self.seen.retain(|id, _| ids.contains(id));
        self.silent.retain(|id, _| ids.contains(id));
        ids.iter().flat_map(|id| self.news_of(id)).map(|value| text(&value)).collect()
    }

    fn news_of(&mut self, id: &Id) -> Vec<Value> {
        let seen = self.seen.get(id).copied();
        // At first the newest block alone is shown.
        let Some((reading, now)) = self.app.streams.meters(id, seen.unwrap_or(u64::MAX)) else { return Vec::new() };
        if now == 0 || seen == Some(now) {
            return Vec::new();
        }
        self.seen.insert(id.clone(), now);
        let mut news = Vec::new();
        if self.topics.contains(&Topic::Meters) {
            let mut meters = shown(&reading);
            meters["type"] = json!(Topic::Meters);
            meters["stream"] = json!(id);
            news.push(meters);
        }
        let was_silent = self.silent.insert(id.clone(), reading.is_silent);
        if self.topics.contains(&Topic::Silence) && was_silent != Some(reading.is_silent) {
            news.push(json!({ "type": Topic::Silence, "stream": id, "isSilent": reading.is_silent }));
        }
        news
    }
}

fn ticks(interval_ms: f64) -> Interval {
    let mut ticks = interval(Duration::from_secs_f64(interval_ms / 1000.0));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

fn error(code: &str, detail: &str, problems: &Problems) -> Value {
    json!({ "type": "error", "code": code, "detail": detail, "errors": problems })
}

fn text(value: &Value) -> Message {
    Message::Text(value.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_origin_is_not_let_in() {
        let is_let_in = |origin: Option<&str>, host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            origin.map(|origin| headers.insert(header::ORIGIN, origin.parse().unwrap()));
            is_same_origin(&headers)
        };
        assert!(is_let_in(None, "127.0.0.1:8080"), "who is no browser");
        assert!(is_let_in(Some("http://127.0.0.1:8080"), "127.0.0.1:8080"));
        assert!(is_let_in(Some("https://Studio.example"), "studio.example"));
        for origin in ["http://evil.example", "http://127.0.0.1:8081", "null", "http://127.0.0.1:8080.evil.example", ""]
        {
            assert!(!is_let_in(Some(origin), "127.0.0.1:8080"), "{origin}");
        }
    }
}
