//! What each route takes, as the table of routes has it.
//!
//! The guard lets nothing through that is not in the table. `tests/access.rs` holds it against the router, and tries every
//! route with every role.

use axum::http::Method;

use super::caller::Role;
use crate::api::routes::{PAGES, ROUTES};

/// What a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it tells nothing of any stream.
    Open,
    /// A role, for any stream; it shows what the caller's streams have alone.
    Any(Role),
    /// A role, for all streams.
    All(Role),
    /// A role, for the stream `{id}`.
    Stream(Role),
}

/// What a route takes, its path as the router has it; none where the table does not have it.
pub fn need(method: &Method, path: &str) -> Option<Need> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    if method == Method::GET && PAGES.contains(&path) {
        return Some(Need::Open);
    }
    let method = method.as_str();
    let route = ROUTES.iter().find(|route| route.path == path && route.method.eq_ignore_ascii_case(method));
    route.map(|route| route.need)
}

/// What it takes to do over the WebSocket what this method does at this route, as the router has it, of a stream.
pub(in crate::api) fn role_of_command((method, route): (Method, &str)) -> Role {
    match need(&method, route) {
        Some(Need::Stream(role)) => role,
        // What is not in the table is nobody's but an admin's.
        Some(Need::Open | Need::Any(_) | Need::All(_)) | None => Role::Admin,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Need::{Open, Stream},
        *,
    };

    #[test]
    fn what_is_not_in_the_table_has_no_rule() {
        assert_eq!(need(&Method::GET, "/api/v1/streams/{id}"), Some(Stream(Role::Viewer)));
        assert_eq!(need(&Method::HEAD, "/api/v1/streams/{id}"), Some(Stream(Role::Viewer)));
        assert_eq!(need(&Method::GET, "/"), Some(Open));
        assert_eq!(need(&Method::POST, "/"), None);
        assert_eq!(need(&Method::PUT, "/api/v1/streams/{id}"), None);
        assert_eq!(need(&Method::GET, "/api/v1/streams/{id}/"), None);
        assert_eq!(need(&Method::GET, "/api/v1/streams/main"), None, "patterns are compared, not paths");
        assert_eq!(need(&Method::TRACE, "/"), None);
    }
}
