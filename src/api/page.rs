//! The page at `/`: status, picture, layers and outputs of a running daemon, for a first look.
//!
//! All of it is in the binary, in files of its own, so that the policy below allows no script and no style but those:
//! nothing inline, nothing from elsewhere. It follows the daemon over the WebSocket and changes it over REST, like any
//! other client.

use axum::{Router, http::header, response::IntoResponse, routing::get};

use crate::media::builtin;

/// What the page may load and talk to: what comes from here. Nobody may put it into a frame.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";
/// Another version of the daemon has another page, and the same fonts.
const FRESH: &str = "no-cache";
const KEPT: &str = "max-age=604800";

/// A file of the page.
#[derive(Debug, Clone, Copy)]
struct File {
    path: &'static str,
    kind: &'static str,
    caching: &'static str,
    bytes: &'static [u8],
}

const fn file(path: &'static str, kind: &'static str, text: &'static str) -> File {
    File { path, kind, caching: FRESH, bytes: text.as_bytes() }
}

const fn font(path: &'static str, bytes: &'static [u8]) -> File {
    File { path, kind: "font/ttf", caching: KEPT, bytes }
}

const FILES: [File; 6] = [
    file("/", "text/html; charset=utf-8", include_str!("../../assets/web/index.html")),
    file("/app.js", "text/javascript; charset=utf-8", include_str!("../../assets/web/app.js")),
    file("/style.css", "text/css; charset=utf-8", include_str!("../../assets/web/style.css")),
    file("/icon.svg", "image/svg+xml", include_str!("../../assets/web/icon.svg")),
    font("/inter-regular.ttf", builtin::INTER[0]),
    font("/inter-semibold.ttf", builtin::INTER[1]),
];

/// The routes of the page.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let serve = |routes: Router<S>, file: File| routes.route(file.path, get(move || async move { answer(file) }));
    FILES.into_iter().fold(Router::new(), serve)
}

fn answer(File { kind, caching, bytes, .. }: File) -> impl IntoResponse {
    // The others are every answer's.
    let headers =
        [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, caching)];
    (headers, bytes)
}
