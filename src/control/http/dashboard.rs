//! The dashboard's files: built from `web/`, kept in the program, and sent with a policy that lets
//! the page load nothing from elsewhere but the preview from this node's data plane.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::RustEmbed;

/// What `web/` was built into.
#[derive(RustEmbed)]
#[folder = "web/dist/"]
struct Files;

/// The file behind `/`.
const INDEX: &str = "index.html";

/// Bytes of a file's hash that its `ETag` shows: enough to tell versions apart.
const ETAG_BYTES: usize = 16;

/// One file, ready to be sent.
struct File {
    bytes: Bytes,
    kind: &'static str,
    etag: String,
}

/// Every file at its path, and the page at `/`. The preview comes from `data_port` of the host
/// that the page was asked from: the port where RTMP and HTTP-FLV listen.
pub(super) fn routes<S>(data_port: u16) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    Files::iter().fold(Router::new(), |router, name| {
        let Some(file) = File::new(&name).map(Arc::new) else { return router };
        let path = if name == INDEX { "/".to_owned() } else { format!("/{name}") };
        router.route(&path, get(async move |head: HeaderMap| file.answer(&head, data_port)))
    })
}

impl File {
    fn new(name: &str) -> Option<Self> {
        let file = Files::get(name)?;
        let hash = file.metadata.sha256_hash();
        let digits: String = hash.iter().take(ETAG_BYTES).map(|b| format!("{b:02x}")).collect();
        let bytes = match file.data {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => bytes.into(),
        };
        Some(Self { bytes, kind: kind_of(name), etag: format!("\"{digits}\"") })
    }

    /// The file, or 304 if the browser has this version of it.
    fn answer(&self, head: &HeaderMap, data_port: u16) -> Response {
        let known = head.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let is_known = known.is_some_and(|tags| has_tag(tags, &self.etag));
        let policy = policy(head, data_port);
        let headers = [
            (header::ETAG, self.etag.as_str()),
            (header::CACHE_CONTROL, "no-cache"),
            (header::CONTENT_TYPE, self.kind),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CONTENT_SECURITY_POLICY, policy.as_str()),
        ];
        if is_known {
            return (StatusCode::NOT_MODIFIED, headers, Body::empty()).into_response();
        }
        (headers, self.bytes.clone()).into_response()
    }
}

/// Whether `If-None-Match` names this version; a proxy may have marked it as weak.
fn has_tag(tags: &str, etag: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

/// Everything from this server; the preview's bytes from the data plane on the same host, played
/// from memory (`blob:`), as are pictures behind the token. Older browsers do not count `ws:` on
/// this server as its own.
fn policy(head: &HeaderMap, data_port: u16) -> String {
    let host = head.get(header::HOST).and_then(host_of);
    let others = host.map_or_else(String::new, |(host, name)| {
        format!(" ws://{host} wss://{host} http://{name}:{data_port} https://{name}:{data_port}")
    });
    format!(
        "default-src 'self'; connect-src 'self'{others}; media-src 'self' blob:; \
         img-src 'self' blob:; \
         object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// A request's host, as it is and without its port; `None` if it is not one, for it becomes part
/// of a header.
fn host_of(value: &HeaderValue) -> Option<(&str, &str)> {
    let host = value.to_str().ok()?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    if host.is_empty() || !host.chars().all(is_part) {
        return None;
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    Some((host, name))
}

fn kind_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    fn header_of(answer: &Response, name: header::HeaderName) -> String {
        answer.headers().get(name).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn the_page_and_what_it_loads_are_in_the_program() {
        let page = File::new(INDEX).unwrap();
        let text = std::str::from_utf8(&page.bytes).unwrap();
        let loaded: Vec<&str> =
            text.split("=\"/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(loaded.len() >= 3, "{text}");
        for name in loaded {
            let file = File::new(name).unwrap_or_else(|| panic!("{name} is not in the program"));
            assert_ne!(file.kind, "application/octet-stream", "{name}");
            assert!(!file.bytes.is_empty(), "{name}");
        }
    }

    #[test]
    fn the_page_holds_no_script_and_no_style_of_its_own() {
        let page = File::new(INDEX).unwrap();
        let text = std::str::from_utf8(&page.bytes).unwrap();
        for part in text.split("<script").skip(1) {
            assert!(part.starts_with(" ") && part.contains("></script>"), "{part}");
        }
        for word in ["<style", "style=\"", "javascript:", "http://", "https://", "//cdn"] {
            assert!(!text.contains(word), "{word}");
        }
    }

    #[test]
    fn a_version_that_the_browser_has_is_not_sent_again() {
        let file = File::new(INDEX).unwrap();
        let first = file.answer(&HeaderMap::new(), 1935);
        let etag = header_of(&first, header::ETAG);
        assert_eq!((first.status(), etag.len()), (StatusCode::OK, 2 * ETAG_BYTES + 2));
        for (tags, code) in [
            (etag.clone(), StatusCode::NOT_MODIFIED),
            (format!("\"x\", W/{etag}"), StatusCode::NOT_MODIFIED),
            ("*".to_owned(), StatusCode::NOT_MODIFIED),
            ("\"x\"".to_owned(), StatusCode::OK),
        ] {
            let mut asked = HeaderMap::new();
            asked.insert(header::IF_NONE_MATCH, tags.parse().unwrap());
            let answer = file.answer(&asked, 1935);
            assert_eq!(answer.status(), code, "{tags}");
            assert_eq!(header_of(&answer, header::ETAG), etag);
        }
    }

    #[test]
    fn the_policy_allows_the_preview_of_the_same_host_and_nothing_else() {
        let sources = |host: &'static str| policy(&head(&[(header::HOST, host)]), 1935);
        let policy = sources("node.example:8080");
        assert!(policy.starts_with("default-src 'self'; connect-src 'self' "), "{policy}");
        assert!(policy.contains(" ws://node.example:8080 "), "{policy}");
        assert!(policy.contains(" http://node.example:1935 "), "{policy}");
        assert!(policy.contains("media-src 'self' blob:; img-src 'self' blob:;"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(sources("[::1]:8080").contains(" http://[::1]:1935 "));
        assert!(sources("[::1]").contains(" http://[::1]:1935 "));
        assert!(sources("10.0.0.7").contains(" http://10.0.0.7:1935 "));
    }

    #[test]
    fn a_host_that_is_none_does_not_get_into_the_policy() {
        for host in ["a; script-src *", "a b", "", "a,b", "'none'"] {
            let policy = policy(&head(&[(header::HOST, host)]), 1935);
            assert!(policy.contains("connect-src 'self'; media-src"), "{policy}");
        }
    }
}
