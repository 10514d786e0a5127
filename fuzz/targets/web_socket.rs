//! WebSocket frames of a client: what is answered is what a second reader, which has all bytes at
//! once, makes of RFC 6455.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use stream_manager_fuzz::expanded;
use stream_manager_fuzz::media::{Micros, Pings};
use stream_manager_fuzz::web::{Cors, Event, Session};

const HEAD: &[u8] = b"GET /live/x.flv HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Longest payload that a client may send, bytes.
const FRAME_BYTES_MAX: u64 = 64 << 10;

/// What is answered to all these frames, and whether that is the end.
fn model(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let close = |mut out: Vec<u8>, code: u16| {
        out.extend([0x88, 2]);
        out.extend(code.to_be_bytes());
        (out, true)
    };
    while let [first, second, after @ ..] = rest {
        let (opcode, short) = (first & 0xf, second & 0x7f);
        let is_control = opcode >= 8;
        let is_known = matches!(opcode, 0..=2 | 8..=10);
        let is_broken = is_control && (short > 125 || first & 0x80 == 0);
        if first & 0x70 != 0 || second & 0x80 == 0 || !is_known || is_broken {
            return close(out, 1_002);
        }
        let extra = [0, 2, 8][usize::from(short.saturating_sub(125))];
        let Some((header, after)) = after.split_at_checked(extra + 4) else { break };
        let (long, mask) = header.split_at(extra);
        let number = long.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let length = if extra == 0 { short.into() } else { number };
        if length > FRAME_BYTES_MAX {
            return close(out, 1_009);
        }
        let Some((payload, after)) = after.split_at_checked(length as usize) else { break };
        let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key);
        let payload: Vec<u8> = payload.collect();
        match (opcode, &payload[..]) {
            (8, []) => return close(out, 1_000),
            (8, [high, low, ..]) => {
                let code = u16::from_be_bytes([*high, *low]);
                let is_good = matches!(code, 1_000..=1_003 | 1_007..=1_011 | 3_000..=4_999);
                return close(out, if is_good { code } else { 1_002 });
            }
            (8, [_]) => return close(out, 1_002),
            (9, payload) => {
                out.extend([0x8a, payload.len() as u8]);
                out.extend(payload);
            }
            _ => {}
        }
        rest = after;
    }
    (out, false)
}

fuzz_target!(|data: &[u8]| {
    let [early, step, data @ ..] = data else { return };
    let bytes = expanded(data);
    let pings = Pings { every: Micros::from_secs(30), timeout: Micros::from_secs(60) };
    let mut session = Session::new(Arc::new(Cors::default()), Micros(0), pings);
    // Whoever speaks before its request is granted is understood, and not answered.
    let (early, late) = bytes.split_at(bytes.len().min(usize::from(*early) / 128 * 64));
    session.feed(&[HEAD, early].concat());
    assert!(matches!(session.poll_event(), Some(Event::Play { .. })));
    let (unsaid, is_over) = model(early);
    assert_eq!(session.poll_event().is_some(), is_over);
    assert_eq!(session.accept_play(), !is_over);
    let head = session.output().len();
    assert!(is_over || session.output().starts_with(b"HTTP/1.1 101 "));
    session.consume_output(head);

    let (mut said, mut over) = (Vec::new(), is_over);
    for piece in late.chunks(usize::from(*step).max(1)) {
        session.feed(piece);
        assert!(session.output().len() <= piece.len() + 256, "more is answered than was asked");
        said.extend_from_slice(session.output());
        session.consume_output(usize::MAX);
        over |= session.poll_event().is_some();
    }
    let (all, will_be_over) = model(&bytes);
    let expected = if is_over { &[][..] } else { all.get(unsaid.len()..).unwrap_or_default() };
    assert_eq!((&said[..], over), (expected, will_be_over));
    assert_eq!(session.is_web_socket(), !over);
});
