//! Where to publish: an RTMP address taken apart, its stream key taken into custody.
//!
//! ```text
//! rtmp://host:1935/app/instance/key?token=1      with_key_inside:  app `app/instance`, key `key?token=1`
//! rtmps://host/app/instance/  and the key apart  with_key_apart:   app `app/instance`
//! ```
//!
//! With the key apart everything after the host is the app, as OBS splits it. With the key inside, the last segment and
//! the query are the key, as FFmpeg does for an app with an instance. Nothing is decoded or normalised: servers compare
//! bytes, and keys contain `%`, `+` and `=`.
//!
//! The text is cut by hand because the `url` crate, made for browsers, encodes and normalises. There is no RFC for the
//! scheme; Adobe's RTMP 1.0 section 7.2.1.1 names the properties `app` and `tcUrl`. Left out:
//! `user:password@`, since addresses are shown and passwords are not, and a query before the last segment
//! (`rtmp://host/app?x/key`), for which the key can be given apart.

use std::{fmt, net::Ipv6Addr};

use crate::base::secret::Secret;

/// What is under RTMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain TCP.
    Rtmp,
    /// TLS from the first byte.
    Rtmps,
}

impl Scheme {
    /// Name before `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp",
            Self::Rtmps => "rtmps",
        }
    }

    /// Port where the address names none.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Rtmp => 1935,
            Self::Rtmps => 443,
        }
    }
}

/// An address to publish to.
///
/// `Display` and `Debug` are for logs: scheme, host, port and app, without the key and without a query of the app.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// Name or address to connect to, and the name of the certificate; an IPv6 address without its brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// `app` of `connect`; may contain slashes and a query.
    pub app: String,
    /// `tcUrl` of `connect`; never contains the key.
    pub tc_url: String,
    /// What `publish` names; contains the address's query where the key was inside.
    pub stream_key: Secret,
}

/// Why a text is not an address to publish to. The text itself is in none of these, since it may contain a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Neither `rtmp://` nor `rtmps://`.
    #[error("address does not start with rtmp:// or rtmps://")]
    Scheme,
    /// A user name stands before the host.
    #[error("address has a user name or password: give them apart, as `username` and `password`")]
    UserInfo,
    /// No host, or one that is neither a name nor an address.
    #[error("address has no valid host; an IPv6 address needs brackets")]
    Host,
    /// Port that is not 1 to 65535.
    #[error("address has an invalid port: use 1 to 65535")]
    Port,
    /// Nothing between host and key.
    #[error("address has no application: use rtmp://host/app/key, or rtmp://host/app and the key apart")]
    NoApp,
    /// Nothing after the app, or an empty key.
    #[error("stream key is missing: use rtmp://host/app/key, or give the key apart")]
    NoKey,
    /// A server on TLS sends us to one without.
    #[error("address leads from rtmps:// to rtmp://")]
    Downgrade,
    /// Space or control character, as when a line break was copied along.
    #[error("{part} has a space or control character at byte {offset}")]
    Character {
        /// `address` or `stream key`.
        part: &'static str,
        /// Where, in bytes.
        offset: usize,
    },
    /// Longer than the text fields of the protocol.
    #[error("{part} has {len} bytes, {LEN_MAX} are allowed")]
    TooLong {
        /// `address` or `stream key`.
        part: &'static str,
        /// Its length in bytes.
        len: usize,
    },
}

impl Error {
    /// Whether it is a key given apart that is wrong, not the address.
    pub fn is_about_key(&self) -> bool {
        matches!(self, Self::Character { part, .. } | Self::TooLong { part, .. } if *part == STREAM_KEY)
    }
}

const STREAM_KEY: &str = "stream key";
/// Longest address and longest key, in bytes; keys with signed tokens have a few hundred.
pub const LEN_MAX: usize = 4096;

impl Endpoint {
    /// Takes apart an address whose last segment and query are the stream key.
    pub fn with_key_inside(address: &str) -> Result<Self, Error> {
        let parts = Parts::split(address)?;
        let (path, query_at) = match parts.path.find('?') {
            Some(at) => (&parts.path[..at], at),
            None => (parts.path, parts.path.len()),
        };
        let Some(slash) = path.rfind('/') else {
            return Err(if path.is_empty() { Error::NoApp } else { Error::NoKey });
        };
        if slash + 1 == query_at {
            return Err(Error::NoKey);
        }
        parts.endpoint(&path[..slash], &parts.path[slash + 1..])
    }

    /// Takes apart an address that comes with its key apart: everything after the host is the app.
    ///
    /// One slash at the end of the address is dropped, as OBS does.
    pub fn with_key_apart(address: &str, stream_key: &Secret) -> Result<Self, Error> {
        let parts = Parts::split(address)?;
        let app = parts.path.strip_suffix('/').unwrap_or(parts.path);
        let key = stream_key.expose();
        check_text(STREAM_KEY, key)?;
        parts.endpoint(app, key)
    }

    /// The same address with another key.
    pub fn with_key(&self, stream_key: &Secret) -> Result<Self, Error> {
        check_text(STREAM_KEY, stream_key.expose())?;
        match stream_key.expose().is_empty() {
            true => Err(Error::NoKey),
            false => Ok(Self { stream_key: stream_key.clone(), ..self.clone() }),
        }
    }

    /// Where a server sends us that names `reference`: a whole address, `//host/app`, `/app`, or what takes the place of the
    /// app's last part (RFC 3986 section 5.2). The key is the same; TLS is never left.
    pub fn moved_to(&self, reference: &str) -> Result<Self, Error> {
        let scheme = self.scheme.as_str();
        let authority = self.authority();
        let address = if reference.contains("://") {
            reference.to_owned()
        } else if reference.starts_with("//") {
            format!("{scheme}:{reference}")
        } else if reference.starts_with('/') {
            format!("{scheme}://{authority}{reference}")
        } else {
            let path = without_query(&self.app);
            let parent = path.rfind('/').map_or("", |slash| &path[..=slash]);
            format!("{scheme}://{authority}/{parent}{reference}")
        };
        let moved = Self::with_key_apart(&address, &self.stream_key)?;
        if self.scheme == Scheme::Rtmps && moved.scheme == Scheme::Rtmp { Err(Error::Downgrade) } else { Ok(moved) }
    }

    /// Host and port as one text, with brackets around an IPv6 address.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.scheme.as_str(), self.authority(), without_query(&self.app))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `text` up to its query, which may be a token.
pub(crate) fn without_query(text: &str) -> &str {
    text.split_once('?').map_or(text, |(path, _)| path)
}

/// An address cut at its fixed places.
#[derive(Debug)]
struct Parts<'a> {
    scheme: Scheme,
    host: &'a str,
    port: u16,
    /// After the slash that ends the host, query included.
    path: &'a str,
}

impl<'a> Parts<'a> {
    fn split(address: &'a str) -> Result<Self, Error> {
        check_text("address", address)?;
        let (scheme, rest) = address.split_once("://").ok_or(Error::Scheme)?;
        let scheme =
            [Scheme::Rtmp, Scheme::Rtmps].into_iter().find(|known| scheme.eq_ignore_ascii_case(known.as_str()));
        let scheme = scheme.ok_or(Error::Scheme)?;
        let authority_len = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_len);
        if authority.contains('@') {
            return Err(Error::UserInfo);
        }
        let (host, port) = split_authority(authority)?;
        let port = port.map_or(Ok(scheme.default_port()), parse_port)?;
        Ok(Self { scheme, host, port, path: path.strip_prefix('/').unwrap_or(path) })
    }

    fn endpoint(&self, app: &str, key: &str) -> Result<Endpoint, Error> {
        if without_query(app).is_empty() {
            return Err(Error::NoApp);
        }
        if key.is_empty() {
            return Err(Error::NoKey);
        }
        let &Self { scheme, host, port, .. } = self;
        let mut tc_url = format!("{}://", scheme.as_str());
        tc_url += &if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        if port != scheme.default_port() {
            tc_url += &format!(":{port}");
        }
        tc_url += &format!("/{app}");
        Ok(Endpoint { scheme, host: host.to_owned(), port, app: app.to_owned(), tc_url, stream_key: Secret::new(key) })
    }
}

/// Host without brackets, and the text of the port.
fn split_authority(authority: &str) -> Result<(&str, Option<&str>), Error> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']').ok_or(Error::Host)?;
            host.parse::<Ipv6Addr>().map_err(|_| Error::Host)?;
            (host, rest)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if host.is_empty() || !(authority.starts_with('[') || host.bytes().all(is_name)) {
        return Err(Error::Host);
    }
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Ok((host, None)),
        None => Err(Error::Host),
        Some(port) => Ok((host, Some(port))),
    }
}

fn parse_port(text: &str) -> Result<u16, Error> {
    // The standard parser takes a leading `+`.
    let is_number = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|&port: &u16| is_number && port > 0).ok_or(Error::Port)
}

fn check_text(part: &'static str, text: &str) -> Result<(), Error> {
    if text.len() > LEN_MAX {
        return Err(Error::TooLong { part, len: text.len() });
    }
    match text.find(|c: char| c.is_whitespace() || c.is_control()) {
        Some(offset) => Err(Error::Character { part, offset }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn inside(address: &str) -> Endpoint {
        Endpoint::with_key_inside(address).unwrap()
    }

    fn apart(address: &str) -> Endpoint {
        Endpoint::with_key_apart(address, &Secret::new("k?a=b/c")).unwrap()
    }

    #[test]
    fn key_inside() {
        for (address, port, app, tc_url, key) in [
            ("rtmp://a.example/live/k", 1935, "live", "rtmp://a.example/live", "k"),
            ("RTMPS://a.example/live/k", 443, "live", "rtmps://a.example/live", "k"),
            ("rtmp://a.example:1935/live/k", 1935, "live", "rtmp://a.example/live", "k"),
            ("rtmps://a.example:1935/live/k", 1935, "live", "rtmps://a.example:1935/live", "k"),
            ("rtmp://h/app/inst/k?x=1/2", 1935, "app/inst", "rtmp://h/app/inst", "k?x=1/2"),
            ("rtmp://h/a%20b/k%2F+=", 1935, "a%20b", "rtmp://h/a%20b", "k%2F+="),
            ("rtmp://[::1]:80/live/k", 80, "live", "rtmp://[::1]:80/live", "k"),
            ("rtmp://h//app/k", 1935, "/app", "rtmp://h//app", "k"),
        ] {
            let endpoint = inside(address);
            assert_eq!(
                (endpoint.port, endpoint.app.as_str(), endpoint.tc_url.as_str()),
                (port, app, tc_url),
                "{address}"
            );
            assert_eq!(endpoint.stream_key.expose(), key, "{address}");
        }
    }

    #[test]
    fn key_apart() {
        for (address, app, tc_url) in [
            ("rtmp://h/live", "live", "rtmp://h/live"),
            ("rtmp://h/live/", "live", "rtmp://h/live"),
            ("rtmp://h/live//", "live/", "rtmp://h/live/"),
            ("rtmp://h/live/inst?vhost=v", "live/inst?vhost=v", "rtmp://h/live/inst?vhost=v"),
        ] {
            let endpoint = apart(address);
            assert_eq!((endpoint.app.as_str(), endpoint.tc_url.as_str()), (app, tc_url), "{address}");
            assert_eq!(endpoint.stream_key.expose(), "k?a=b/c");
        }
    }

    #[test]
    fn another_key_is_checked_like_the_first() {
        let with = |key: &str| apart("rtmp://h/live").with_key(&Secret::new(key));
        assert_eq!(with("other").unwrap().stream_key.expose(), "other");
        assert_eq!(with("other").unwrap().tc_url, "rtmp://h/live");
        assert_eq!(with(""), Err(Error::NoKey));
        assert_eq!(with("a b"), Err(Error::Character { part: "stream key", offset: 1 }));
    }

    #[test]
    fn ipv6_has_brackets_only_in_texts() {
        let endpoint = inside("rtmp://[2001:db8::1]/live/k");
        assert_eq!(endpoint.host, "2001:db8::1");
        assert_eq!(endpoint.authority(), "[2001:db8::1]:1935");
        assert_eq!(endpoint.to_string(), "rtmp://[2001:db8::1]:1935/live");
    }

    #[test]
    fn refusals() {
        for (address, error) in [
            ("", Error::Scheme),
            ("http://h/live/k", Error::Scheme),
            ("rtmp:/h/live/k", Error::Scheme),
            ("rtmp://u:p@h/live/k", Error::UserInfo),
            ("rtmp:///live/k", Error::Host),
            ("rtmp://::1/live/k", Error::Host),
            ("rtmp://[::1/live/k", Error::Host),
            ("rtmp://[::g]/live/k", Error::Host),
            ("rtmp://[::1]x/live/k", Error::Host),
            ("rtmp://h%41/live/k", Error::Host),
            ("rtmp://h:0/live/k", Error::Port),
            ("rtmp://h:/live/k", Error::Port),
            ("rtmp://h:+80/live/k", Error::Port),
            ("rtmp://h:65536/live/k", Error::Port),
            ("rtmp://h", Error::NoApp),
            ("rtmp://h/", Error::NoApp),
            ("rtmp://h//k", Error::NoApp),
            ("rtmp://h/?k", Error::NoApp),
            ("rtmp://h/live", Error::NoKey),
            ("rtmp://h/live/", Error::NoKey),
            ("rtmp://h/live/?k", Error::NoKey),
            ("rtmp://h/live/k\n", Error::Character { part: "address", offset: 15 }),
        ] {
            assert_eq!(Endpoint::with_key_inside(address), Err(error), "{address}");
        }
        let refused = |address, key| Endpoint::with_key_apart(address, &Secret::new(key)).unwrap_err();
        assert_eq!(refused("rtmp://h/live", ""), Error::NoKey);
        assert_eq!(refused("rtmp://h/?v=1", "k"), Error::NoApp);
        assert_eq!(refused("rtmp://h/live", "k "), Error::Character { part: "stream key", offset: 1 });
        let long = "x".repeat(LEN_MAX + 1);
        assert_eq!(refused("rtmp://h/live", &long), Error::TooLong { part: "stream key", len: LEN_MAX + 1 });
    }

    #[test]
    fn a_server_sends_us_elsewhere() {
        let at = apart("rtmp://h:1936/live/inst?token=1");
        for (reference, address) in [
            ("rtmp://other/app", "rtmp://other/app"),
            ("rtmps://other:444/app/", "rtmps://other:444/app"),
            ("//other/app", "rtmp://other/app"),
            ("/app?x=1", "rtmp://h:1936/app?x=1"),
            ("inst2", "rtmp://h:1936/live/inst2"),
        ] {
            let moved = at.moved_to(reference).unwrap();
            assert_eq!((moved.tc_url.as_str(), &moved.stream_key), (address, &at.stream_key), "{reference}");
        }
        assert_eq!(apart("rtmp://[::1]/live").moved_to("app").unwrap().tc_url, "rtmp://[::1]/app");
        let secure = apart("rtmps://h/live");
        assert_eq!(secure.moved_to("//other/app").unwrap().tc_url, "rtmps://other/app");
        for (reference, error) in [
            ("rtmp://other/app", Error::Downgrade),
            ("http://other/app", Error::Scheme),
            ("file:///etc/passwd", Error::Scheme),
            ("rtmps://u:p@other/app", Error::UserInfo),
            ("rtmps://other", Error::NoApp),
            ("", Error::NoApp),
            ("//other:0/app", Error::Port),
            ("/a\r\nb", Error::Character { part: "address", offset: 15 }),
        ] {
            assert_eq!(secure.moved_to(reference), Err(error), "{reference}");
        }
        let long = format!("/{}", "x".repeat(LEN_MAX));
        assert!(matches!(secure.moved_to(&long), Err(Error::TooLong { .. })));
    }

    #[test]
    fn a_user_name_inside_a_key_is_no_user_name() {
        assert_eq!(inside("rtmp://h/live/a@b:c").stream_key.expose(), "a@b:c");
    }

    proptest! {
        /// No text panics, and neither an answer's log form nor an error contains the key.
        #[test]
        fn the_key_is_never_printed(app in "[a-z/?:@\\[\\]]{0,12}", key in "K[A-Z0-9]{3,12}") {
            let address = format!("rtmp://host/{app}/{key}?{key}");
            for result in [
                Endpoint::with_key_inside(&address),
                Endpoint::with_key_inside(&address[7..]),
                Endpoint::with_key_apart(&format!("rtmp://{app}"), &Secret::new(key.as_str())),
            ] {
                match &result {
                    Ok(endpoint) => {
                        prop_assert!(!endpoint.tc_url.contains(&key));
                        prop_assert!(!endpoint.to_string().contains(&key));
                    }
                    Err(error) => prop_assert!(!error.to_string().contains(&key)),
                }
                let logged = format!("{result:?}");
                prop_assert!(!logged.contains(&key));
            }
        }

        #[test]
        fn garbage_is_an_answer(text in "\\PC{0,40}") {
            let _ = Endpoint::with_key_inside(&text);
            let _ = Endpoint::with_key_inside(&format!("rtmp://{text}"));
            let _ = apart("rtmp://h/live").moved_to(&text);
        }
    }
}
