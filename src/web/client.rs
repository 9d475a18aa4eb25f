//! Where a request comes from, through proxies that are trusted and past those that lie.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use actix_web::{
    dev::RequestHead,
    http::header::{self, HeaderMap},
};

use crate::config::{Network, Server};

/// Longer chains of proxies are told by nobody honest.
const HOPS_MAX: usize = 16;
const AGENT_CHARS_MAX: usize = 80;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    pub address: IpAddr,
    /// Through TLS: ours, or that of a trusted proxy.
    pub is_secure: bool,
    /// Something stands in between, so that even the address of this machine proves nothing.
    is_forwarded: bool,
}

impl Client {
    pub fn of(head: &RequestHead, server: &Server) -> Self {
        let peer = head.peer_addr.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
        find(peer, &head.headers, &server.trusted_proxies, server.has_tls())
    }

    /// A program on this machine.
    pub fn is_near(&self) -> bool {
        self.address.is_loopback() && !self.is_forwarded
    }
}

/// The network of an address: who holds one of IPv6 has 2^64 of them, and changes.
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

/// Enough to tell the hall from the street, too little to tell a person: `192.0.2.x`, `2001:db8:1::`.
pub fn shortened(address: IpAddr) -> String {
    match address {
        _ if address.is_loopback() => address.to_string(),
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.x")
        }
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 80)).to_string(),
    }
}

/// What it says it is; printable, and not long.
pub fn agent(headers: &HeaderMap) -> String {
    let told = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    told.chars().filter(|it| !it.is_control()).take(AGENT_CHARS_MAX).collect()
}

fn find(peer: IpAddr, headers: &HeaderMap, trusted: &[Network], has_tls: bool) -> Client {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.holds(address));
    let forwarded: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .map(str::trim)
        .collect();
    let is_forwarded = !forwarded.is_empty() || headers.contains_key("forwarded");
    if !is_trusted(peer) {
        return Client { address: peer, is_secure: has_tls, is_forwarded };
    }
    // From the nearest on: each was written down by the one before, until one is not ours, who may write what it likes.
    let mut address = peer;
    for told in forwarded.iter().rev().take(HOPS_MAX) {
        let Some(next) = parse(told) else { break };
        address = next;
        if !is_trusted(next) {
            break;
        }
    }
    let scheme = headers.get_all("x-forwarded-proto").last().and_then(|value| value.to_str().ok());
    let last = scheme.and_then(|text| text.rsplit(',').next()).map(str::trim);
    Client { address, is_secure: has_tls || last == Some("https"), is_forwarded }
}

/// `1.2.3.4`, `1.2.3.4:567`, `::1`, `[::1]:567`.
fn parse(text: &str) -> Option<IpAddr> {
    let plain = text.parse().ok();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    plain.or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn addresses_are_told_as_networks() {
        let check = |text: &str, told: &str, limited: &str| {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!((shortened(address).as_str(), network(address).to_string().as_str()), (told, limited), "{text}");
        };
        check("192.0.2.7", "192.0.2.x", "192.0.2.7");
        check("127.0.0.1", "127.0.0.1", "127.0.0.1");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1::", "2001:db8:1:2::");
        check("::1", "::1", "::");
    }

    #[test]
    fn agents_are_cut_and_cleaned() {
        let mut headers = HeaderMap::new();
        assert_eq!(agent(&headers), "");
        headers.insert(header::USER_AGENT, HeaderValue::try_from("x".repeat(200)).unwrap());
        assert_eq!(agent(&headers).len(), AGENT_CHARS_MAX);
    }

    #[test]
    fn proxies_are_believed_as_far_as_they_are_trusted() {
        let check =
            |peer: &str, lines: &[(&'static str, &'static str)], address: &str, is_secure: bool, is_near: bool| {
                let mut headers = HeaderMap::new();
                for (name, value) in lines {
                    headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
                }
                let trusted = ["127.0.0.1".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
                let found = find(peer.parse().unwrap(), &headers, &trusted, false);
                let expected = (address.parse().unwrap(), is_secure, is_near);
                assert_eq!((found.address, found.is_secure, found.is_near()), expected, "{peer} {lines:?}");
            };
        let (from, proto) = ("x-forwarded-for", "x-forwarded-proto");
        check("192.0.2.1", &[], "192.0.2.1", false, false);
        check("127.0.0.1", &[], "127.0.0.1", false, true);
        check("::1", &[], "::1", false, true);
        // A stranger says what it likes.
        check("192.0.2.1", &[(from, "127.0.0.1"), (proto, "https")], "192.0.2.1", false, false);
        // So does a proxy on this machine that nobody said to trust.
        check("::1", &[(from, "192.0.2.9")], "::1", false, false);
        check("127.0.0.1", &[(from, "192.0.2.9"), (proto, "https")], "192.0.2.9", true, false);
        // The client's own lie stands before what the proxy wrote.
        check("127.0.0.1", &[(from, "127.0.0.1, 192.0.2.9")], "192.0.2.9", false, false);
        check("127.0.0.1", &[(from, "127.0.0.1"), (from, "192.0.2.9")], "192.0.2.9", false, false);
        check("127.0.0.1", &[(from, "192.0.2.9, 10.1.2.3")], "192.0.2.9", false, false);
        check("127.0.0.1", &[(from, "192.0.2.9, nonsense, 10.1.2.3")], "10.1.2.3", false, false);
        check("127.0.0.1", &[(from, "127.0.0.1")], "127.0.0.1", false, false);
        check("127.0.0.1", &[("forwarded", "for=127.0.0.1")], "127.0.0.1", false, false);
        check("127.0.0.1", &[(from, "[2001:db8::1]:443"), (proto, "http, https")], "2001:db8::1", true, false);
        check("127.0.0.1", &[(from, "192.0.2.9"), (proto, "https, http")], "192.0.2.9", false, false);
    }
}
