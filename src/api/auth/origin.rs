//! Which pages in which browsers may reach the daemon.
//!
//! A browser sends what any page asks it to. So what changes something, and the WebSocket, are refused to pages of another
//! origin (`Origin`, `Sec-Fetch-Site`), also on loopback; who is no browser sends neither. Where no token is asked for, a
//! page might come by a name of its own that leads to 127.0.0.1 (DNS rebinding), and then be of the same origin: so the
//! host must be a name of this machine. Origins that are configured are let in, and told so (CORS).

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use url::{Host, Url};

use super::Invalid;
use crate::api::problem::Problem;

#[derive(Debug)]
pub(super) struct Origins {
    allowed: Vec<Url>,
    /// Whether only names of this machine lead here.
    is_local: bool,
}

/// What a request says of where it comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct From<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
}

impl From<'_> {
    fn text(&self, name: header::HeaderName) -> Option<&str> {
        // What is no text is none of those that are allowed.
        self.headers.get(name).map(|value| value.to_str().unwrap_or("?"))
    }

    /// The authority that was asked for; HTTP/1.0 has none.
    fn host(&self) -> Option<&str> {
        self.text(header::HOST).or(self.uri.authority().map(|authority| authority.as_str()))
    }

    fn changes_or_listens(&self) -> bool {
        !(self.method.is_safe()) || self.headers.contains_key(header::UPGRADE)
    }
}

impl Origins {
    pub(super) fn new(allowed: &[String], is_local: bool) -> Result<Self, Invalid> {
        let read = |text: &String| {
            let wrong = || Invalid::Origin { origin: text.clone() };
            let url = Url::parse(text).map_err(|_| wrong())?;
            let is_origin = url.origin().is_tuple() && url.origin().ascii_serialization() == text.to_ascii_lowercase();
            is_origin.then_some(url).ok_or_else(wrong)
        };
        Ok(Self { allowed: allowed.iter().map(read).collect::<Result<_, _>>()?, is_local })
    }

    /// Refuses what a page may not do.
    pub(super) fn check(&self, from: From<'_>) -> Result<(), Problem> {
        let refused = |code, detail: String| Err(Problem::new(StatusCode::FORBIDDEN, code, detail));
        if let Some(host) = from.host().filter(|host| self.is_local && !self.is_here(host)) {
            let fix = "ask for localhost, configure a token, or name its origin in auth.allowed_origins";
            return refused("foreign_host", format!("without a token this daemon is not `{}`: {fix}", shortened(host)));
        }
        if !from.changes_or_listens() || self.is_own(from) || self.allowed_origin(from.headers).is_some() {
            return Ok(());
        }
        refused("foreign_origin", "a page of another origin may not do this; auth.allowed_origins names those".into())
    }

    /// Whether no browser asks, or one that shows a page of ours.
    fn is_own(&self, from: From<'_>) -> bool {
        match (from.text(header::ORIGIN), from.text(header::HeaderName::from_static("sec-fetch-site"))) {
            (Some(origin), _) => {
                let authority = origin.split_once("://").map(|(_, authority)| authority);
                authority.zip(from.host()).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
            }
            // `none`: the person typed it.
            (None, Some(site)) => matches!(site, "same-origin" | "none"),
            (None, None) => true,
        }
    }

    fn is_here(&self, host: &str) -> bool {
        let Ok(url) = Url::parse(&format!("http://{host}")) else { return false };
        let is_loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        is_loopback || self.allowed.iter().any(|allowed| allowed.host() == url.host())
    }

    /// The request's origin, where it is one of those that are configured.
    pub(super) fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let text = origin.to_str().ok()?;
        let is_it = |allowed: &Url| allowed.origin().ascii_serialization() == text;
        self.allowed.iter().any(is_it).then(|| origin.clone())
    }
}

fn shortened(host: &str) -> String {
    host.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origins: &Origins, method: Method, headers: &[(&str, &str)]) -> Result<(), &'static str> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(header::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        let from = From { method: &method, uri: &Uri::from_static("/api/v1/streams"), headers: &map };
        origins.check(from).map_err(|problem| problem.code())
    }

    #[test]
    fn pages_of_others_change_nothing() {
        let origins = Origins::new(&["https://studio.example".into()], false).unwrap();
        let host = ("host", "127.0.0.1:8080");
        let with = |method, more: &[(&str, &str)]| check(&origins, method, &[&[host], more].concat());
        assert_eq!(with(Method::POST, &[]), Ok(()), "who is no browser");
        assert_eq!(with(Method::POST, &[("origin", "http://127.0.0.1:8080")]), Ok(()));
        assert_eq!(with(Method::DELETE, &[("origin", "https://studio.example")]), Ok(()));
        assert_eq!(with(Method::POST, &[("sec-fetch-site", "same-origin")]), Ok(()));
        for origin in [
            "http://evil.example",
            "http://127.0.0.1:8081",
            "http://studio.example",
            "null",
            "http://127.0.0.1:8080.evil.example",
            "",
        ] {
            assert_eq!(with(Method::POST, &[("origin", origin)]), Err("foreign_origin"), "{origin}");
            let socket = [("origin", origin), ("upgrade", "websocket")];
            assert_eq!(with(Method::GET, &socket), Err("foreign_origin"), "{origin}");
            assert_eq!(with(Method::GET, &[("origin", origin)]), Ok(()), "the browser keeps the answer from the page");
        }
        for site in ["cross-site", "same-site"] {
            assert_eq!(with(Method::PUT, &[("sec-fetch-site", site)]), Err("foreign_origin"), "{site}");
        }
        let both = [("origin", "http://evil.example"), ("sec-fetch-site", "same-origin")];
        assert_eq!(with(Method::PATCH, &both), Err("foreign_origin"), "the origin counts");
    }

    #[test]
    fn without_a_token_only_names_of_this_machine_lead_here() {
        let origins = Origins::new(&["https://studio.example".into()], true).unwrap();
        for host in
            ["localhost:8080", "127.0.0.1", "127.8.8.8:1", "[::1]:8080", "LOCALHOST", "a.localhost", "studio.example"]
        {
            assert_eq!(check(&origins, Method::GET, &[("host", host)]), Ok(()), "{host}");
        }
        assert_eq!(check(&origins, Method::GET, &[]), Ok(()), "HTTP/1.0");
        for host in ["evil.example:8080", "127.0.0.1.evil.example", "192.0.2.1", "localhost.evil", "[::2]", "a b", ""] {
            assert_eq!(check(&origins, Method::GET, &[("host", host)]), Err("foreign_host"), "{host}");
        }
        let open = Origins::new(&[], false).unwrap();
        assert_eq!(check(&open, Method::GET, &[("host", "evil.example")]), Ok(()), "a token keeps pages out");
    }

    #[test]
    fn an_origin_is_scheme_and_host_alone() {
        for bad in ["*", "studio.example", "https://studio.example/", "https://studio.example/x", "null", "file:///x"] {
            assert!(Origins::new(&[bad.into()], true).is_err(), "{bad}");
        }
    }
}
