//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a change that is sent again is not made again.
//!
//! ```text
//!  key new                          ─► the change is made, its answer kept
//!  key known, same request          ─► the same answer, with `Idempotency-Replayed: true`
//!  key known, still being answered  ─► 409 idempotency_conflict
//!  key known, other body or other
//!  `If-Match`                       ─► 422 idempotency_conflict
//! ```
//!
//! Keys are those of one caller, one method and one address. Answers are kept for an hour, at most so many and so many
//! bytes; the oldest goes first. A failure of the daemon (5xx), or a client that went away before its answer, is forgotten:
//! it may be tried again. Uploads are named by their digest, and are idempotent by themselves.

use std::{
    collections::{HashMap, VecDeque},
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::IF_MATCH},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

use super::{body, problem::Problem};
use crate::{base::clock::Clock, state::Actor};

/// Lengths of keys, in bytes: what is shorter is used twice by chance.
const KEY_LENS: RangeInclusive<usize> = 8..=64;
/// Most answers that are kept, and most bytes of their bodies.
const ANSWERS_MAX: usize = 1024;
const BYTES_MAX: usize = 16 << 20;
/// How long an answer is kept.
const AGE_MAX: Duration = Duration::from_secs(3600);
/// Longest answer that is kept, in bytes.
const ANSWER_LEN_MAX: usize = 8 << 20;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

type Name = [u8; 32];

/// The answers that are kept.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    clock: Arc<dyn Clock>,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    by_name: HashMap<Name, Entry>,
    /// From the oldest to the newest.
    order: VecDeque<(Name, Duration)>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    body: Name,
    since: Duration,
    /// None while it is being made.
    answer: Option<Answer>,
}

#[derive(Debug, Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// What a key leads to.
#[derive(Debug)]
enum Found {
    New,
    Known(Answer),
    Busy,
    Other,
    Full,
}

impl Answers {
    /// None yet.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, kept: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, name: Name, body: Name) -> Found {
        let now = self.clock.now();
        let mut kept = self.lock();
        kept.forget_old(now);
        match kept.by_name.get(&name) {
            Some(entry) if entry.body != body => return Found::Other,
            Some(Entry { answer: None, .. }) => return Found::Busy,
            Some(Entry { answer: Some(answer), .. }) => return Found::Known(answer.clone()),
            None => {}
        }
        if !kept.make_room() {
            return Found::Full;
        }
        kept.by_name.insert(name, Entry { body, since: now, answer: None });
        kept.order.push_back((name, now));
        Found::New
    }
}

impl Kept {
    fn forget_old(&mut self, now: Duration) {
        while self.order.front().is_some_and(|(_, since)| now.saturating_sub(*since) > AGE_MAX) {
            self.forget_oldest();
        }
    }

    /// Makes room for one more; false if all that there is is being answered.
    fn make_room(&mut self) -> bool {
        let mut rest = self.order.len();
        while (self.order.len() >= ANSWERS_MAX || self.bytes > BYTES_MAX) && rest > 0 {
            self.forget_oldest();
            rest -= 1;
        }
        self.order.len() < ANSWERS_MAX
    }

    /// One that is being answered stays, as the newest.
    fn forget_oldest(&mut self) {
        let Some((name, since)) = self.order.pop_front() else { return };
        match self.by_name.get(&name) {
            Some(entry) if entry.since != since => {}
            Some(Entry { answer: None, .. }) => self.order.push_back((name, since)),
            Some(_) => self.forget(&name),
            None => {}
        }
    }

    fn forget(&mut self, name: &Name) {
        let entry = self.by_name.remove(name);
        self.bytes -= entry.and_then(|entry| entry.answer).map_or(0, |answer| answer.body.len());
    }
}

/// A change that is being made; forgotten if it comes to no answer.
struct Pending {
    answers: Answers,
    name: Name,
    is_kept: bool,
}

impl Pending {
    fn keep(mut self, answer: Answer) {
        let mut kept = self.answers.lock();
        kept.bytes += answer.body.len();
        if let Some(entry) = kept.by_name.get_mut(&self.name) {
            entry.answer = Some(answer);
            self.is_kept = true;
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.is_kept {
            let mut kept = self.answers.lock();
            kept.forget(&self.name);
            kept.order.retain(|(name, _)| *name != self.name);
        }
    }
}

/// Answers a change that has a key once.
pub(super) async fn once(State(answers): State<Answers>, request: Request, next: Next) -> Response {
    match answered(answers, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn answered(answers: Answers, request: Request, next: Next) -> Result<Response, Problem> {
    let is_change = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH | Method::DELETE);
    let is_upload = request.uri().path().starts_with("/api/v1/assets") && *request.method() != Method::DELETE;
    let Some(key) = key_of(request.headers())?.filter(|_| is_change && !is_upload) else {
        return Ok(next.run(request).await);
    };
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, body::LEN_MAX).await.map_err(|_| body::too_large())?;
    let actor = parts.extensions.get::<Actor>().cloned().unwrap_or_else(Actor::anonymous);
    let name = digest(&[actor.name(), parts.method.as_str(), &parts.uri.to_string(), &key].map(str::as_bytes));
    let conflict = |status, detail: &str| Problem::new(status, "idempotency_conflict", detail);
    // Another condition makes it another change.
    let condition = parts.headers.get(IF_MATCH).map(HeaderValue::as_bytes);
    let body = digest(&[&[u8::from(condition.is_some())], condition.unwrap_or_default(), &bytes]);
    match answers.begin(name, body) {
        Found::Known(Answer { status, headers, body }) => {
            let mut response = (status, body).into_response();
            *response.headers_mut() = headers;
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            Ok(response)
        }
        Found::Busy => Err(conflict(StatusCode::CONFLICT, "the first request with this key is still being answered")),
        Found::Other => {
            let detail = "this key was used for another body: take a new key for a new change";
            Err(conflict(StatusCode::UNPROCESSABLE_ENTITY, detail))
        }
        Found::Full => {
            let detail = "too many changes with keys are under way: try again in a moment";
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "busy", detail))
        }
        Found::New => {
            let pending = Pending { answers, name, is_kept: false };
            kept(pending, next.run(Request::from_parts(parts, Body::from(bytes))).await).await
        }
    }
}

async fn kept(pending: Pending, response: Response) -> Result<Response, Problem> {
    if response.status().is_server_error() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let too_long = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the answer is too long to be kept");
    let body = to_bytes(body, ANSWER_LEN_MAX).await.map_err(too_long)?;
    pending.keep(Answer { status: parts.status, headers: parts.headers.clone(), body: body.clone() });
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(KEY) else { return Ok(None) };
    // The draft has it as a quoted text; most clients send it bare.
    let key = value.to_str().unwrap_or_default().trim();
    let key = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_good = KEY_LENS.contains(&key.len()) && key.bytes().all(is_plain);
    let is_good = is_good && headers.get_all(KEY).iter().count() == 1;
    let (min, max) = (KEY_LENS.start(), KEY_LENS.end());
    let detail = format!("Idempotency-Key takes one key of {min} to {max} characters of A-Z a-z 0-9 _ -, e.g. a UUID");
    if is_good { Ok(Some(key.to_owned())) } else { Err(Problem::new(StatusCode::BAD_REQUEST, "bad_header", detail)) }
}

/// A digest of parts, each with its length, so that none runs into the next.
fn digest(parts: &[&[u8]]) -> Name {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;

    fn answers() -> (Arc<ManualClock>, Answers) {
        let clock = Arc::new(ManualClock::default());
        (clock.clone(), Answers::new(clock))
    }

    fn name(number: usize) -> Name {
        digest(&[&number.to_le_bytes()])
    }

    fn answer(answers: &Answers, name: Name, len: usize) {
        assert!(matches!(answers.begin(name, [0; 32]), Found::New));
        let pending = Pending { answers: answers.clone(), name, is_kept: false };
        pending.keep(Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: vec![0; len].into() });
    }

    #[test]
    fn a_key_leads_to_its_answer_for_an_hour() {
        let (clock, answers) = answers();
        assert!(matches!(answers.begin(name(1), [0; 32]), Found::New));
        assert!(matches!(answers.begin(name(1), [0; 32]), Found::Busy));
        assert!(matches!(answers.begin(name(1), [1; 32]), Found::Other));
        drop(Pending { answers: answers.clone(), name: name(1), is_kept: false });
        answer(&answers, name(1), 3);
        assert!(matches!(answers.begin(name(1), [0; 32]), Found::Known(answer) if answer.body.len() == 3));
        assert!(matches!(answers.begin(name(1), [1; 32]), Found::Other));
        clock.advance(AGE_MAX + Duration::from_millis(1));
        assert!(matches!(answers.begin(name(1), [1; 32]), Found::New));
    }

    #[test]
    fn the_oldest_answers_make_room() {
        let (_, answers) = answers();
        (0..ANSWERS_MAX).for_each(|number| answer(&answers, name(number), 1));
        answer(&answers, name(ANSWERS_MAX), 1);
        assert!(matches!(answers.begin(name(1), [0; 32]), Found::Known(_)));
        assert!(matches!(answers.begin(name(0), [0; 32]), Found::New));
        assert_eq!(answers.lock().order.len(), ANSWERS_MAX);
        for number in 0..4 {
            answer(&answers, name(10_000 + number), BYTES_MAX / 2);
        }
        assert!(answers.lock().bytes <= BYTES_MAX + BYTES_MAX / 2);
    }

    #[test]
    fn what_is_being_answered_is_not_forgotten_for_room() {
        let (_, answers) = answers();
        for number in 0..ANSWERS_MAX {
            assert!(matches!(answers.begin(name(number), [0; 32]), Found::New));
        }
        assert!(matches!(answers.begin(name(ANSWERS_MAX), [0; 32]), Found::Full));
        assert!(matches!(answers.begin(name(0), [0; 32]), Found::Busy));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
    }
}
