//! One client of the WebSocket.
//!
//! The session waits for what comes first: a message of the client, something new on the hub's board, the time of a
//! subscription, the end of a command. What it sends then is made at that moment, so nothing piles up while a message is
//! on its way. Commands are done one after the other, in the order in which they came.

use std::{collections::VecDeque, pin::Pin, time::Duration};

use axum::{
    extract::ws::{Message, Utf8Bytes, WebSocket},
    http::StatusCode,
};
use serde_json::{Value, json};
use tokio::time::{Instant, interval, sleep_until, timeout};

use super::{
    command,
    hub::Hub,
    message::{self, Command, Refused, Said, Subscription, Topic, What},
    topics::{States, Timed, View},
};
use crate::{
    api::{
        auth::{Caller, Role},
        pace::Pace,
        problem::Problem,
    },
    base::id::Id,
    state::Error,
    telemetry::metrics::Events,
};

/// How long a message may take to leave.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// From ping to ping; a client that has said nothing since the last one, not even pong, is gone.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Commands that wait for the one before them; more are refused.
const COMMANDS_MAX: usize = 32;
/// Streams that a client watches at the same time.
const VIEWS_MAX: usize = 8;

type Running = Pin<Box<dyn Future<Output = Value> + Send>>;

/// One client.
pub(super) struct Session {
    hub: Hub,
    caller: Caller,
    states: Option<States>,
    timed: Vec<Timed>,
    views: Vec<View>,
    /// What is under way, and what comes after it.
    running: Option<Running>,
    waiting: VecDeque<(Option<String>, Command)>,
}

/// What to do next.
enum Step {
    Say(Vec<Message>),
    End,
}

impl Session {
    pub(super) fn new(hub: Hub, caller: Caller) -> Self {
        Self {
            hub,
            caller,
            states: None,
            timed: Vec::new(),
            views: Vec::new(),
            running: None,
            waiting: VecDeque::new(),
        }
    }

    pub(super) async fn run(mut self, mut socket: WebSocket) {
        let mut pings = interval(PING_INTERVAL);
        let mut news = self.hub.news();
        let mut is_alive = true;
        loop {
            let due = self.due();
            let wants_news = self.states.as_ref().is_some_and(|states| states.pace.is_none());
            let step = tokio::select! {
                message = socket.recv() => {
                    is_alive = true;
                    match message {
                        Some(Ok(message)) => self.hear(message),
                        Some(Err(_)) | None => Step::End,
                    }
                }
                done = ended(&mut self.running) => {
                    self.running = None;
                    self.next_command();
                    Step::Say(vec![text(&done)])
                }
                _ = news.changed(), if wants_news => Step::Say(self.told_states()),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Step::Say(self.news().await),
                _ = pings.tick() => match std::mem::replace(&mut is_alive, false) {
                    true => Step::Say(vec![Message::Ping(Default::default())]),
                    false => Step::End,
                },
            };
            let Step::Say(messages) = step else { return };
            for message in messages {
                if !send(self.hub.metrics(), &mut socket, message).await {
                    return;
                }
            }
        }
    }

    /// When there is something to be told, if there is.
    fn due(&self) -> Option<Instant> {
        let states = self.states.as_ref().and_then(|states| states.pace.as_ref());
        let paces = self.timed.iter().map(|timed| &timed.pace).chain(self.views.iter().map(|view| &view.pace));
        paces.chain(states).map(Pace::due).min()
    }

    /// What there is to tell now, of all whose time has come.
    async fn news(&mut self) -> Vec<Message> {
        let mut news = Vec::new();
        if self.states.as_mut().and_then(|states| states.pace.as_mut()).is_some_and(Pace::is_due) {
            news.extend(self.told_states());
        }
        for timed in &mut self.timed {
            if timed.pace.is_due() {
                news.extend(timed.news(&self.hub).into_iter().map(Message::Text));
            }
        }
        for view in &mut self.views {
            if view.pace.is_due() {
                news.extend(view.news(self.hub.app()).await);
            }
        }
        news
    }

    fn told_states(&mut self) -> Vec<Message> {
        let news = self.states.as_mut().map(|states| states.news(&self.hub));
        news.into_iter().flatten().map(Message::Text).collect()
    }

    fn hear(&mut self, message: Message) -> Step {
        let said = match message {
            Message::Text(text) => Said::read(text.as_str()),
            Message::Binary(_) => {
                let problem = Problem::new(StatusCode::BAD_REQUEST, "not_text", "send JSON as text");
                return Step::Say(vec![text(&failed(None, &problem))]);
            }
            Message::Close(_) => return Step::End,
            // Pings are answered below us.
            Message::Ping(_) | Message::Pong(_) => return Step::Say(Vec::new()),
        };
        Step::Say(match said {
            Ok(Said { id, what }) => self.follow(id, what),
            Err(Refused { id, problems }) => vec![text(&failed(id.as_deref(), &Problem::of_message(problems)))],
        })
    }

    /// Does what the client says, and says so.
    fn follow(&mut self, id: Option<String>, what: What) -> Vec<Message> {
        let answer = match what {
            What::Subscribe(subscription) => match self.may_follow(&subscription.topics) {
                Err(problem) => failed(id.as_deref(), &problem),
                Ok(()) => {
                    let answer = vec![text(&subscribed(id.as_deref(), &subscription))];
                    return answer.into_iter().chain(self.subscribe(subscription)).collect();
                }
            },
            What::View(view) => self.view(id.as_deref(), view),
            What::Unsubscribe(topics) => {
                topics.iter().for_each(|topic| self.forget(*topic));
                json!({ "type": "unsubscribed", "id": id, "topics": topics })
            }
            What::Resync(ids) => return self.resync(id.as_deref(), ids),
            What::Command(command) if self.waiting.len() == COMMANDS_MAX => {
                let detail = format!("{COMMANDS_MAX} commands wait already; `{}` was not done", command.name);
                failed(id.as_deref(), &Problem::new(StatusCode::TOO_MANY_REQUESTS, "busy", detail))
            }
            What::Command(command) => {
                self.waiting.push_back((id, command));
                self.next_command();
                return Vec::new();
            }
        };
        vec![text(&answer)]
    }

    /// What is logged and who did what is about all streams, and names addresses and destinations.
    fn may_follow(&self, topics: &[Topic]) -> Result<(), Problem> {
        topics.iter().try_for_each(|topic| match topic {
            Topic::Logs => self.caller.may_of_all(Role::Operator),
            // As over REST.
            Topic::Audit => self.caller.may_of_all(Role::Admin),
            _ => Ok(()),
        })
    }

    /// What was said of these topics before holds no longer. State is told at once.
    fn subscribe(&mut self, Subscription { topics, of, interval_ms, level }: Subscription) -> Vec<Message> {
        let of = of.within(self.caller.scope());
        let clock = self.hub.app().streams.services().clock.clone();
        let mut told = Vec::new();
        for topic in topics {
            self.forget(topic);
            let pace = topic.period(interval_ms).map(|period| Pace::new(&*clock, period));
            match (topic, pace) {
                (Topic::State, pace) => {
                    self.states = Some(States::new(of.clone(), pace));
                    told = self.told_states();
                }
                (topic, Some(pace)) => {
                    self.timed.extend(Timed::new(self.hub.app(), topic, of.clone(), pace, level));
                }
                (_, None) => {}
            }
        }
        told
    }

    fn forget(&mut self, topic: Topic) {
        match topic {
            Topic::State => self.states = None,
            Topic::Preview => self.views.clear(),
            topic => self.timed.retain(|timed| timed.topic() != topic),
        }
    }

    /// Another view of the same stream takes the place of the one there is.
    fn view(&mut self, id: Option<&str>, view: message::View) -> Value {
        let message::View { stream, look, fps } = view;
        let may = self.caller.may_of(Role::Viewer, stream.as_str());
        if let Err(problem) = may.and_then(|()| Ok(self.hub.app().streams.get(stream.as_str())?)) {
            return failed(id, &problem);
        }
        self.views.retain(|view| view.stream != stream);
        if self.views.len() == VIEWS_MAX {
            return failed(id, &Error::TooMany { what: "preview of one client", limit: VIEWS_MAX }.into());
        }
        let clock = self.hub.app().streams.services().clock.clone();
        let answer = json!({ "type": "subscribed", "id": id, "topics": [Topic::Preview], "stream": stream });
        self.views.push(View::new(stream, look, Pace::new(&*clock, Duration::from_secs_f64(1.0 / fps))));
        answer
    }

    fn resync(&mut self, id: Option<&str>, ids: Vec<Id>) -> Vec<Message> {
        let Some(states) = &mut self.states else {
            let detail = "state is not subscribed to: nothing can be resynced";
            let problem = Problem::new(StatusCode::CONFLICT, "wrong_state", detail);
            return vec![text(&failed(id, &problem))];
        };
        states.resync(ids);
        self.told_states()
    }

    /// Begins the next command, if none is under way.
    fn next_command(&mut self) {
        if self.running.is_some() {
            return;
        }
        let Some((id, command)) = self.waiting.pop_front() else { return };
        let (app, caller) = (self.hub.app().clone(), self.caller.clone());
        self.running = Some(Box::pin(async move {
            match command::run(app, caller, command).await {
                Ok(result) => json!({ "type": "done", "id": id, "result": result }),
                Err(problem) => failed(id.as_deref(), &problem),
            }
        }));
    }
}

/// Whether a message has left in time.
async fn send(metrics: &Events, socket: &mut WebSocket, message: Message) -> bool {
    metrics.messages.inc();
    match timeout(SEND_TIMEOUT, socket.send(message)).await {
        Ok(sent) => sent.is_ok(),
        Err(_) => {
            metrics.dropped.inc();
            false
        }
    }
}

/// The end of what is under way; never where nothing is.
async fn ended(running: &mut Option<Running>) -> Value {
    match running {
        Some(running) => running.await,
        None => std::future::pending().await,
    }
}

fn subscribed(id: Option<&str>, subscription: &Subscription) -> Value {
    let Subscription { topics, interval_ms, .. } = subscription;
    json!({ "type": "subscribed", "id": id, "topics": topics, "intervalMs": interval_ms })
}

fn failed(id: Option<&str>, problem: &Problem) -> Value {
    json!({ "type": "error", "id": id, "problem": problem })
}

fn text(value: &Value) -> Message {
    Message::Text(Utf8Bytes::from(value.to_string()))
}
