//! Player requests in one go: RTMP's handshake, connect, createStream and play, with every answer
//! taken for a yes; or a request of HTTP.

use hyper::Uri;

use super::demux::COMMAND;
use crate::rtmp::Url;

/// Any sixteen bytes, in Base64 (RFC 6455, section 4.1).
pub(super) const NONCE: &str = "c3RyZWFtLW1hbmFnZXIubA==";

/// Handshake, `connect`, `createStream` and `play`.
pub(super) fn play(url: &Url) -> Vec<u8> {
    let mut request = connect(url);
    let mut create = Vec::new();
    text(&mut create, "createStream");
    number(&mut create, 2.0);
    create.push(5);
    command(&mut request, 0, &create);

    let mut play = Vec::new();
    text(&mut play, "play");
    number(&mut play, 0.0);
    play.push(5);
    text(&mut play, url.name().expose());
    command(&mut request, 1, &play);
    request
}

/// Handshake and `connect`.
pub(super) fn connect(url: &Url) -> Vec<u8> {
    let mut request = vec![0; 1 + 2 * 1536];
    request[0] = 3;
    let mut connect = Vec::new();
    text(&mut connect, "connect");
    number(&mut connect, 1.0);
    connect.push(3);
    let (mut app, mut tc_url) = (url.app().to_owned(), url.tc_url());
    if !url.app_query().expose().is_empty() {
        for part in [&mut app, &mut tc_url] {
            part.push('?');
            part.push_str(url.app_query().expose());
        }
    }
    for (key, value) in [("app", app), ("tcUrl", tc_url)] {
        key_of(&mut connect, key);
        text(&mut connect, &value);
    }
    connect.extend([0, 0, 9]);
    command(&mut request, 0, &connect);
    request
}

/// Asks for FLV by HTTP, or in a `WebSocket`.
pub(super) fn flv(uri: &Uri, is_socket: bool) -> Vec<u8> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let more = if is_socket {
        format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: {NONCE}\r\n"
        )
    } else {
        "Accept: */*\r\n".to_owned()
    };
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n").into_bytes()
}

/// The answer to a server's ping (RTMP 1.0 section 7.1.7), which carries these bytes.
pub(super) fn pong(time: [u8; 4]) -> Vec<u8> {
    const HEADER: [u8; 14] = [2, 0, 0, 0, 0, 0, 6, super::demux::USER_CONTROL, 0, 0, 0, 0, 0, 7];
    [&HEADER[..], &time].concat()
}

/// Chunks of the initial size, 128 bytes.
fn command(request: &mut Vec<u8>, stream: u32, body: &[u8]) {
    request.extend([3, 0, 0, 0]);
    request.extend(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes()[1..]);
    request.push(COMMAND);
    request.extend(stream.to_le_bytes());
    for (number, part) in body.chunks(128).enumerate() {
        if number > 0 {
            request.push(0xc3);
        }
        request.extend(part);
    }
}

fn text(body: &mut Vec<u8>, text: &str) {
    body.push(2);
    key_of(body, text);
}

fn key_of(body: &mut Vec<u8>, text: &str) {
    body.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    body.extend(text.as_bytes());
}

fn number(body: &mut Vec<u8>, number: f64) {
    body.push(0);
    body.extend(number.to_be_bytes());
}
