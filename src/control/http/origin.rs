//! Request origin: the client's address behind trusted proxies, and the Host and Origin checks
//! against web pages from elsewhere.

use std::net::{IpAddr, SocketAddr};

use hyper::{HeaderMap, header};

use crate::keys::AddressRange;
use crate::web::Cors;

/// Header fields by which proxies say for whom they ask.
const FORWARDED: [&str; 3] = ["x-forwarded-for", "forwarded", "x-real-ip"];

/// Who asks: the peer, or whom a trusted proxy names in `X-Forwarded-For`. The list grows at its
/// end, so that only what trusted proxies have added there counts.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[AddressRange]) -> IpAddr {
    let is_trusted = |ip: IpAddr| trusted.iter().any(|range| range.contains(ip));
    let mut client = peer;
    let lines = headers.get_all(FORWARDED[0]).iter().filter_map(|line| line.to_str().ok());
    let names: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    for name in names.into_iter().rev() {
        if !is_trusted(client) {
            break;
        }
        let Some(ip) = address(name) else { break };
        client = ip;
    }
    client.to_canonical()
}

/// With or without a port, as proxies write it.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    bare.parse().or_else(|_| with_port()).ok()
}

/// Whether a proxy passed the request on for somebody.
pub(super) fn is_forwarded(headers: &HeaderMap) -> bool {
    FORWARDED.iter().any(|name| headers.contains_key(*name))
}

/// Whether a request without a token may be answered: it names this machine as a host that no web
/// page can lend its own name to, and no page from elsewhere makes it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(headers: &HeaderMap, cors: &Cors) -> Result<(), &'static str> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text(header::HOST).unwrap_or_default();
    if !is_of_this_machine(host_name(host)) {
        return Err("this host name may be somebody else's: use an address, localhost or a token");
    }
    match text(header::ORIGIN) {
        Some(origin) => {
            let is_ours =
                origin.split_once("://").is_some_and(|(_, of)| of.eq_ignore_ascii_case(host));
            if !is_ours && cors.allowed(origin, host).is_none() {
                return Err("a web page from elsewhere asks: it needs a token");
            }
        }
        None => {
            let site = headers.get("sec-fetch-site").map(|value| value.as_bytes());
            if site == Some(b"cross-site") {
                return Err("a web page from elsewhere asks: it needs a token");
            }
        }
    }
    Ok(())
}

fn host_name(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// Addresses, and names that nobody can have on the Internet and let point here: those without a
/// dot, and those below `localhost`. Who sends no host is no browser.
fn is_of_this_machine(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    !name.contains('.') || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_what_trusted_proxies_have_added_names_the_client() {
        let trusted = ["127.0.0.1".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        let of = |peer: &str, lists: &[&str]| {
            let fields: Vec<_> = lists.iter().map(|list| ("x-forwarded-for", *list)).collect();
            client(peer.parse().unwrap(), &headers(&fields), &trusted).to_string()
        };
        assert_eq!(of("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(of("127.0.0.1", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(of("127.0.0.1", &["203.0.113.9, 192.0.2.1, 10.1.2.3"]), "192.0.2.1");
        assert_eq!(of("127.0.0.1", &["203.0.113.9", "192.0.2.1:4711"]), "192.0.2.1");
        assert_eq!(of("127.0.0.1", &["[2001:db8::1]:80"]), "2001:db8::1");
        assert_eq!(of("127.0.0.1", &["192.0.2.1, unknown"]), "127.0.0.1");
        assert_eq!(of("198.51.100.1", &["192.0.2.1"]), "198.51.100.1", "somebody's word");
        assert!(is_forwarded(&headers(&[("x-real-ip", "192.0.2.1")])));
    }

    #[test]
    fn pages_of_other_hosts_and_names_that_others_may_have_are_kept_out() {
        let may =
            |fields: &[(&'static str, &str)], cors: &Cors| check(&headers(fields), cors).is_ok();
        for host in ["127.0.0.1:8080", "[::1]:8080", "localhost:8080", "node", "a.localhost", ""] {
            assert!(may(&[("host", host)], &Cors::Nobody), "{host}");
        }
        for host in ["rebound.example", "127.0.0.1.rebound.example:8080", "127.0.0.1.example."] {
            assert!(!may(&[("host", host)], &Cors::Nobody), "{host}");
        }
        let here = ("host", "127.0.0.1:8080");
        assert!(may(&[here, ("origin", "http://127.0.0.1:8080")], &Cors::Nobody));
        for origin in ["https://evil.example", "null", "http://127.0.0.1:9090", "http://127.0.0.1"]
        {
            assert!(!may(&[here, ("origin", origin)], &Cors::Nobody), "{origin}");
        }
        assert!(!may(&[here, ("sec-fetch-site", "cross-site")], &Cors::Nobody));
        assert!(may(&[here, ("sec-fetch-site", "same-origin")], &Cors::Nobody));
        let page = Cors::One("https://a.example".to_owned());
        assert!(may(&[here, ("origin", "https://a.example")], &page));
    }
}
