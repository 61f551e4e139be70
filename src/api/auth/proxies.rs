//! Whose address a request has that came over a proxy.
//!
//! Every proxy appends the address that it was asked from to `X-Forwarded-For`, so of what stands there only the end can
//! be believed, and only from a proxy that is trusted: read from the right, the first address that is no such proxy's is
//! the client's. Without configured proxies the header is not looked at: anybody can send one. Left out: `Forwarded`
//! (RFC 7239), which few proxies write, and the PROXY protocol.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use super::Invalid;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Proxies that are believed.
#[derive(Debug)]
pub(super) struct Proxies {
    trusted: Vec<IpNet>,
}

impl Proxies {
    /// Addresses and networks: `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`.
    pub(super) fn new(trusted: &[String]) -> Result<Self, Invalid> {
        let read = |text: &String| {
            let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| Invalid::Proxy { proxy: text.clone() })
        };
        Ok(Self { trusted: trusted.iter().map(read).collect::<Result<_, _>>()? })
    }

    /// The client's address, as far as it can be believed; `peer` is who holds the connection.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
        let hops = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b','));
        for hop in hops {
            if !self.trusts(client) {
                break;
            }
            // What is no address was not written by a proxy that can be believed.
            let Some(before) = address(hop) else { break };
            client = before.to_canonical();
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }
}

/// Some proxies give the port, too.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(hop).ok()?.trim();
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(trusted: &[&str], peer: &str, lines: &[&str]) -> String {
        let proxies = Proxies::new(&trusted.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_who_is_trusted_is_believed() {
        let stated = ["203.0.113.5"];
        assert_eq!(client(&[], "10.0.0.7", &stated), "10.0.0.7");
        assert_eq!(client(&["10.0.0.8"], "10.0.0.7", &stated), "10.0.0.7");
        assert_eq!(client(&["10.0.0.7"], "10.0.0.7", &stated), "203.0.113.5");
        assert_eq!(client(&["10.0.0.0/8"], "::ffff:10.0.0.7", &stated), "203.0.113.5");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.7", &[]), "10.0.0.7");
    }

    /// What a client writes itself stands on the left of what the proxies append.
    #[test]
    fn it_is_read_from_the_right_up_to_the_first_stranger() {
        let client = |lines: &[&str]| client(&["10.0.0.0/8", "fd00::/8"], "10.0.0.7", lines);
        assert_eq!(client(&["198.51.100.1, 203.0.113.5, 10.0.0.9"]), "203.0.113.5");
        assert_eq!(client(&["198.51.100.1", "203.0.113.5,10.0.0.9"]), "203.0.113.5");
        assert_eq!(client(&["198.51.100.1, [2001:db8::1]:4711, fd00::2"]), "2001:db8::1");
        assert_eq!(client(&["203.0.113.5:4711"]), "203.0.113.5");
        assert_eq!(client(&["10.0.0.1, 10.0.0.2"]), "10.0.0.1");
        for nonsense in ["unknown", "", "203.0.113.5, 10.0.0.300", "\u{fc}"] {
            let seen = client(&[&format!("{nonsense}, 10.0.0.9")]);
            assert_eq!(seen, "10.0.0.9", "{nonsense}");
        }
    }

    #[test]
    fn what_is_no_network_is_named() {
        for wrong in ["", "proxy.example", "10.0.0.0/33", "10.0.0.1:80"] {
            let error = Proxies::new(&[wrong.to_owned()]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("auth.trusted_proxies: `{wrong}`")), "{error}");
        }
    }
}
