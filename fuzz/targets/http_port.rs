//! The HTTP port up to the token: whatever a client says is answered alike however it comes, heads
//! beyond the limit get 431, and no words of a client let it pass for somebody or somewhere else.

#![no_main]

use hyper::header::{HOST, ORIGIN};
use hyper::http::uri::Authority;
use hyper::{HeaderMap, Request};
use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;
use std::sync::OnceLock;
use stream_manager_fuzz::expanded;
use stream_manager_fuzz::http_port::{HEAD_BYTES_MAX, check, client, serve, trusting};
use stream_manager_fuzz::keys::AddressRange;
use stream_manager_fuzz::web::Cors;

fn trusted() -> &'static [AddressRange] {
    static TRUSTED: OnceLock<Vec<AddressRange>> = OnceLock::new();
    TRUSTED.get_or_init(|| trusting().1)
}

/// The host of a header as hyper reads it.
fn host(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(HOST)?.to_str().ok()?;
    Some(text.parse::<Authority>().ok()?.host().to_ascii_lowercase())
}

/// Whether somebody on the Internet may own this host's name.
fn may_be_owned(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches([']', '.']);
    host.contains('.') && !host.ends_with(".localhost") && host.parse::<IpAddr>().is_err()
}

fn answer<B>(request: &Request<B>) -> String {
    let headers = request.headers();
    let ((peer, _), stranger) = (trusting(), IpAddr::from([203, 0, 113, 1]));
    assert_eq!(client(stranger, headers, trusted()), stranger, "nobody trusts its word");
    let named = client(peer.ip(), headers, trusted());
    assert_eq!(named, named.to_canonical());
    if named != peer.ip() {
        assert!(headers.contains_key("x-forwarded-for"));
    }
    let checked = check(headers, &Cors::Nobody);
    if let (Ok(()), Some(host)) = (checked, host(headers)) {
        assert!(!may_be_owned(&host), "{host} may be somebody else's");
    }
    if let (Ok(()), Some(origin)) = (checked, headers.get(ORIGIN)) {
        let origin = origin.to_str().expect("a text");
        let host = headers.get(HOST).map_or("", |host| host.to_str().expect("a text"));
        assert!(origin.to_ascii_lowercase().ends_with(&host.to_ascii_lowercase()));
    }
    format!("{named} {checked:?}")
}

/// The text that the first request is answered with; nothing if it is refused, as that says
/// whatever is seen first, or nothing at all. Whether the connection goes on, and what comes later,
/// depends on how much of a body has come.
fn first(answers: &[u8]) -> Option<String> {
    assert!(answers.is_empty() || answers.starts_with(b"HTTP/1."));
    let (status, rest) = answers.split_at_checked(b"HTTP/1.1 200".len())?;
    let text = String::from_utf8_lossy(rest);
    let text = text.split_once("\r\n\r\n")?.1.split("HTTP/1.").next()?;
    status.ends_with(b"200").then(|| text.to_owned())
}

fuzz_target!(|data: &[u8]| {
    let [step, data @ ..] = data else { return };
    let bytes = expanded(data);
    let whole = serve(&bytes, usize::MAX, answer);
    let pieces = serve(&bytes, usize::from(*step).max(1), answer);
    assert_eq!(first(&whole), first(&pieces));
    let has_end = bytes.windows(2).any(|pair| pair == b"\n\n" || pair == b"\n\r");
    if bytes.len() > 2 * HEAD_BYTES_MAX && !has_end {
        assert!(first(&whole).is_none(), "a head that is too large");
    }
});
