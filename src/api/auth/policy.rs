//! What each route takes: the one table of who may do what.
//!
//! The guard lets nothing through that is not in this table, so a new route is refused until it has a line here.
//! `tests/access.rs` holds the table against the router, and tries every line with every role.

use axum::http::Method;

use super::caller::Role;

/// What a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it tells nothing of any stream.
    Open,
    /// A role; it shows what the caller's streams have alone.
    Some(Role),
    /// A role, for all streams.
    All(Role),
    /// A role, for the stream `{id}`.
    Stream(Role),
}

/// A route.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Which method; HEAD goes as GET.
    pub method: &'static str,
    /// The path as the router has it; the names in braces do not matter.
    pub path: &'static str,
    /// What it takes.
    pub need: Need,
}

use Need::{All, Open, Some as Any, Stream};
use Role::{Admin, Operator, Viewer};

const fn rule(method: &'static str, path: &'static str, need: Need) -> Rule {
    Rule { method, path, need }
}

/// Every route.
pub const RULES: &[Rule] = &[
    rule("GET", "/", Open),
    rule("GET", "/app.js", Open),
    rule("GET", "/style.css", Open),
    rule("GET", "/icon.svg", Open),
    rule("GET", "/inter-regular.ttf", Open),
    rule("GET", "/inter-semibold.ttf", Open),
    rule("GET", "/docs", Open),
    rule("GET", "/docs/{*file}", Open),
    rule("GET", "/api/v1/openapi.json", Open),
    rule("GET", "/healthz", Open),
    // Load balancers have no token; the reasons are for who has one.
    rule("GET", "/readyz", Open),
    rule("GET", "/metrics", All(Viewer)),
    rule("GET", "/api/v1/events", Any(Viewer)),
    rule("GET", "/api/v1/audit", All(Admin)),
    rule("GET", "/api/v1/streams", Any(Viewer)),
    rule("POST", "/api/v1/streams", All(Admin)),
    rule("GET", "/api/v1/streams/{id}", Stream(Viewer)),
    rule("PATCH", "/api/v1/streams/{id}", Stream(Operator)),
    rule("DELETE", "/api/v1/streams/{id}", Stream(Admin)),
    rule("POST", "/api/v1/streams/{id}/{action}", Stream(Operator)),
    rule("GET", "/api/v1/streams/{id}/status", Stream(Viewer)),
    rule("GET", "/api/v1/streams/{id}/program.png", Stream(Viewer)),
    rule("GET", "/api/v1/streams/{id}/program.jpg", Stream(Viewer)),
    rule("GET", "/api/v1/streams/{id}/program.mjpeg", Stream(Viewer)),
    rule("GET", "/api/v1/streams/{id}/layers", Stream(Viewer)),
    rule("POST", "/api/v1/streams/{id}/layers", Stream(Operator)),
    rule("GET", "/api/v1/streams/{id}/layers/{layer}", Stream(Viewer)),
    rule("PUT", "/api/v1/streams/{id}/layers/{layer}", Stream(Operator)),
    rule("PATCH", "/api/v1/streams/{id}/layers/{layer}", Stream(Operator)),
    rule("DELETE", "/api/v1/streams/{id}/layers/{layer}", Stream(Operator)),
    rule("POST", "/api/v1/streams/{id}/layers/{layer}/actions/{action}", Stream(Operator)),
    rule("GET", "/api/v1/streams/{id}/scenes", Stream(Viewer)),
    rule("POST", "/api/v1/streams/{id}/scenes", Stream(Operator)),
    rule("GET", "/api/v1/streams/{id}/scenes/{scene}", Stream(Viewer)),
    rule("PUT", "/api/v1/streams/{id}/scenes/{scene}", Stream(Operator)),
    rule("PATCH", "/api/v1/streams/{id}/scenes/{scene}", Stream(Operator)),
    rule("DELETE", "/api/v1/streams/{id}/scenes/{scene}", Stream(Operator)),
    rule("GET", "/api/v1/streams/{id}/scenes/{scene}/layers", Stream(Viewer)),
    rule("POST", "/api/v1/streams/{id}/scenes/{scene}/layers", Stream(Operator)),
    rule("GET", "/api/v1/streams/{id}/scenes/{scene}/layers/{layer}", Stream(Viewer)),
    rule("PUT", "/api/v1/streams/{id}/scenes/{scene}/layers/{layer}", Stream(Operator)),
    rule("PATCH", "/api/v1/streams/{id}/scenes/{scene}/layers/{layer}", Stream(Operator)),
    rule("DELETE", "/api/v1/streams/{id}/scenes/{scene}/layers/{layer}", Stream(Operator)),
    rule("POST", "/api/v1/streams/{id}/scenes/{scene}/layers/{layer}/actions/{action}", Stream(Operator)),
    rule("POST", "/api/v1/streams/{id}/take", Stream(Operator)),
    rule("GET", "/api/v1/streams/{id}/preview", Stream(Viewer)),
    rule("PUT", "/api/v1/streams/{id}/preview", Stream(Operator)),
    rule("GET", "/api/v1/streams/{id}/preview.png", Stream(Viewer)),
    rule("GET", "/api/v1/streams/{id}/audio", Stream(Viewer)),
    rule("PATCH", "/api/v1/streams/{id}/audio", Stream(Operator)),
    rule("POST", "/api/v1/streams/{id}/audio/actions/{action}", Stream(Operator)),
    rule("GET", "/api/v1/streams/{id}/audio/sources", Stream(Viewer)),
    rule("POST", "/api/v1/streams/{id}/audio/sources", Stream(Operator)),
    rule("GET", "/api/v1/streams/{id}/audio/sources/{source}", Stream(Viewer)),
    rule("PUT", "/api/v1/streams/{id}/audio/sources/{source}", Stream(Operator)),
    rule("PATCH", "/api/v1/streams/{id}/audio/sources/{source}", Stream(Operator)),
    rule("DELETE", "/api/v1/streams/{id}/audio/sources/{source}", Stream(Operator)),
    // Where a stream goes, and with which key, is no operator's choice.
    rule("GET", "/api/v1/streams/{id}/outputs", Stream(Viewer)),
    rule("POST", "/api/v1/streams/{id}/outputs", Stream(Admin)),
    rule("GET", "/api/v1/streams/{id}/outputs/{output}", Stream(Viewer)),
    rule("PATCH", "/api/v1/streams/{id}/outputs/{output}", Stream(Admin)),
    rule("DELETE", "/api/v1/streams/{id}/outputs/{output}", Stream(Admin)),
    rule("POST", "/api/v1/streams/{id}/outputs/{output}/{action}", Stream(Operator)),
    // Transactions ask for more where an op does; a step back may lead over a change of outputs.
    rule("POST", "/api/v1/streams/{id}/transactions", Stream(Operator)),
    rule("POST", "/api/v1/streams/{id}/undo", Stream(Admin)),
    rule("POST", "/api/v1/streams/{id}/redo", Stream(Admin)),
    rule("GET", "/api/v1/streams/{id}/history", Stream(Viewer)),
    rule("GET", "/api/v1/streams/{id}/diff", Stream(Viewer)),
    rule("GET", "/api/v1/streams/{id}/as-run", Stream(Viewer)),
    rule("GET", "/api/v1/streams/{id}/snapshots", Stream(Viewer)),
    rule("POST", "/api/v1/streams/{id}/snapshots", Stream(Operator)),
    rule("GET", "/api/v1/streams/{id}/snapshots/{name}", Stream(Viewer)),
    rule("DELETE", "/api/v1/streams/{id}/snapshots/{name}", Stream(Admin)),
    rule("POST", "/api/v1/streams/{id}/snapshots/{name}/restore", Stream(Admin)),
    // Assets are shared by all streams.
    rule("GET", "/api/v1/assets", Any(Viewer)),
    rule("POST", "/api/v1/assets", Any(Operator)),
    rule("POST", "/api/v1/assets/collect", All(Admin)),
    rule("GET", "/api/v1/assets/{asset}", Any(Viewer)),
    rule("PUT", "/api/v1/assets/{asset}", Any(Operator)),
    rule("PATCH", "/api/v1/assets/{asset}", Any(Operator)),
    rule("DELETE", "/api/v1/assets/{asset}", All(Admin)),
    rule("GET", "/api/v1/assets/{asset}/content", Any(Viewer)),
    rule("GET", "/api/v1/assets/{asset}/thumbnail", Any(Viewer)),
];

/// What a route takes; none where the table does not have it.
pub(super) fn need(method: &Method, path: &str) -> Option<Need> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    RULES.iter().find(|rule| rule.method == method && is_same(rule.path, path)).map(|rule| rule.need)
}

/// What it takes to do over the WebSocket what `POST` does at this route, as the router has it, of a stream.
pub(in crate::api) fn role_of_command(route: &str) -> Role {
    match need(&Method::POST, route) {
        Some(Stream(role)) => role,
        // What is not in the table is nobody's but an admin's.
        Some(Open | Any(_) | All(_)) | None => Admin,
    }
}

/// Whether two patterns are the same but for the names of what is variable.
pub fn is_same(a: &str, b: &str) -> bool {
    let is_variable = |part: &str| part.starts_with('{');
    let (a, b) = (a.split('/'), b.split('/'));
    a.clone().count() == b.clone().count() && a.zip(b).all(|(a, b)| a == b || (is_variable(a) && is_variable(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_the_table_has_no_rule() {
        assert_eq!(need(&Method::GET, "/api/v1/streams/{stream_id}"), Some(Stream(Viewer)));
        assert_eq!(need(&Method::HEAD, "/api/v1/streams/{id}"), Some(Stream(Viewer)));
        assert_eq!(need(&Method::PUT, "/api/v1/streams/{id}"), None);
        assert_eq!(need(&Method::GET, "/api/v1/streams/{id}/"), None);
        assert_eq!(need(&Method::GET, "/api/v1/streams/main"), None, "patterns are compared, not paths");
        assert_eq!(need(&Method::TRACE, "/"), None);
    }

    #[test]
    fn no_route_has_two_rules() {
        for (i, a) in RULES.iter().enumerate() {
            let again = RULES[i + 1..].iter().any(|b| a.method == b.method && is_same(a.path, b.path));
            assert!(!again, "{} {}", a.method, a.path);
        }
    }
}
