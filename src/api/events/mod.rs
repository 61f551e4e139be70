//! `GET /api/v1/events`: a WebSocket on which the daemon tells what happens, and takes commands.
//!
//! ```text
//!  client                                                    daemon
//!  {"subscribe": "state"} ─────────────────────────────────►
//!      ◄─ {"type": "subscribed", "topics": ["state"]}
//!      ◄─ {"type": "state", "stream": "main", "revision": 41, "document": {…}}          what GET of the stream shows
//!      ◄─ {"type": "patch", "stream": "main", "fromRevision": 41, "revision": 42, "patch": [{"op": "replace", …}],
//!          "actor": "anonymous", "appliedFrame": 9123, "ptsMs": 304100, "atUtcMs": …, "changes": [{"revision": 42, …}]}
//!      ◄─ {"type": "deleted", "stream": "main"}
//!  {"resync": "main"} ───────────────────────────────────────►     whose `fromRevision` is not the revision that it has
//!      ◄─ {"type": "state", …}
//!  {"subscribe": ["meters", "silence"], "intervalMs": 100, "streams": ["main"]} ─►
//!      ◄─ {"type": "meters", "stream": "main", "peakDbfs": […], …}
//!      ◄─ {"type": "silence", "stream": "main", "isSilent": true}
//!  {"subscribe": "stats", "intervalMs": 1000} ─────────────►       the status of each stream
//!  {"subscribe": "events"} ─────────────────────────────────►       animations, outputs that come and go, bitrates, schedule, locks
//!      ◄─ {"type": "event", "event": "schedule", "stream": "main", "change": "done", "scheduled": {…}, "actor": …}
//!      ◄─ {"type": "event", "event": "lock", "stream": "main", "change": "expired", "lock": {…}, "actor": …}
//!  {"subscribe": "logs", "level": "warn"} ──────────────────►       what is logged from now on
//!  {"subscribe": "audit"} ──────────────────────────────────►       who did what from now on, and what was refused
//!  {"subscribe": "preview", "stream": "main", "width": 640, "quality": 70, "fps": 10} ─►     binary messages, see below
//!  {"unsubscribe": ["meters"]} ─────────────────────────────►
//!  {"id": "c0", "command": "transaction", "stream": "main", "ops": [{"op": "patchLayer", …}], "ifRevision": 42} ─►
//!  {"id": "c1", "command": "take", "stream": "main", "scene": "break"} ─►
//!  {"id": "c2", "command": "lock", "stream": "main", "layer": "bug", "seconds": 60} ─►      `unlock` releases it
//!  {"id": "c3", "command": "cancel", "stream": "main", "scheduled": "7"} ─►                what was to come
//!      ◄─ {"type": "done", "id": "c1", "result": {"revision": 43, …}}                    what REST answers
//!      ◄─ {"type": "error", "id": "c1", "problem": {"status": 409, "code": …}}           the problem document of REST
//! ```
//!
//! Each subscription has its own rate; who subscribes to a topic again replaces what was said of it before. A patch is one
//! of RFC 6902, made once for all clients, at most one for each frame of its stream; one that leads over several revisions
//! names each in `changes`. A client that applies them always has what GET shows. A message that is wrong changes nothing.
//!
//! A picture of a preview is a binary message, numbers with their highest byte first:
//!
//! ```text
//!  0      1 for a picture           2 + n    frame that showed it first, 8 bytes
//!  1      n, length of the id      10 + n    its time in the stream in milliseconds, 8 bytes
//!  2      the stream's id, n bytes 18 + n    width and height, 2 bytes each, and then the JPEG
//! ```
//!
//! Nothing queues: what is told is read when it is sent. So a slow client gets fewer messages, each of a longer time: a
//! patch over more revisions or, where those are forgotten, the full state. One that takes none for 10 s is cut off.
//! Clients are limited in number, their messages in length. A client is told of the streams that its token is for; logs take
//! an operator of all streams, for they are about all, the audit an admin; commands take what REST takes.

mod command;
mod hub;
mod keeper;
mod message;
mod session;
mod topics;

use axum::{
    extract::{
        State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::StatusCode,
    response::Response,
};
use tokio::sync::OwnedSemaphorePermit;

pub(super) use self::hub::Hub;
use self::session::Session;
use super::{
    Answer,
    auth::{Caller, PROTOCOL},
    problem::Problem,
};

/// Most clients at the same time, where the configuration does not say.
pub const CLIENTS_MAX_DEFAULT: usize = 2048;
/// Longest message of a client, in bytes: a transaction of a few hundred operations.
const MESSAGE_LEN_MAX: usize = 256 << 10;
/// What is read at once; the default of the library would take more than all else that a client needs.
const READ_BUFFER_LEN: usize = 8 << 10;

/// Opens a WebSocket: the state, its changes, figures by subscription, commands.
#[utoipa::path(get, path = "/api/v1/events", responses((status = 101, description = "A WebSocket.")))]
pub(super) async fn open(
    State(hub): State<Hub>,
    caller: Caller,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Answer {
    let no_upgrade = |rejection: WebSocketUpgradeRejection| {
        Problem::new(rejection.status(), "not_a_websocket", rejection.body_text())
    };
    let upgrade = upgrade.map_err(no_upgrade)?;
    let seat = hub.seat().ok_or_else(|| {
        let detail = format!("{} clients are the most there may be", hub.app().clients_max);
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "limit_reached", detail)
    })?;
    Ok(upgraded(upgrade, hub, caller, seat))
}

fn upgraded(upgrade: WebSocketUpgrade, hub: Hub, caller: Caller, seat: OwnedSemaphorePermit) -> Response {
    // A browser that names protocols ends the session where the answer names none of them.
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(MESSAGE_LEN_MAX).max_frame_size(MESSAGE_LEN_MAX);
    upgrade.read_buffer_size(READ_BUFFER_LEN).on_upgrade(move |socket| async move {
        let clients = hub.metrics().clients.clone();
        clients.inc();
        Session::new(hub, caller).run(socket).await;
        clients.dec();
        drop(seat);
    })
}
