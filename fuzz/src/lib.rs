//! Fuzzed rooms, compiled from the program's own sources, and what the targets share.

#![allow(dead_code, unused_imports, missing_docs, reason = "only a part of each room is used")]

#[path = "../../src/decode/mod.rs"]
pub mod decode;
#[path = "../../src/ffi/mod.rs"]
pub mod ffi;
#[path = "../../src/flv/mod.rs"]
pub mod flv;
#[path = "../../src/frame/mod.rs"]
pub mod frame;
#[path = "../../src/media/mod.rs"]
pub mod media;
#[path = "../../src/probes/mod.rs"]
pub mod probes;
#[path = "../../src/ring/mod.rs"]
pub mod ring;
#[path = "../../src/rtmp/mod.rs"]
pub mod rtmp;
#[path = "../../src/stream/mod.rs"]
pub mod stream;
#[path = "../../src/tls/mod.rs"]
pub mod tls;
#[path = "../../src/web/mod.rs"]
pub mod web;

pub mod http_port;
pub mod keys;
pub mod peers;
pub mod scene;
mod script;
mod tags;

pub use script::{Record, Script};
pub use tags::{Tag, Tags};

use frame::{PacketPool, PacketPoolSpec};
use rtmp::chunk::{MessageHeader, Writer, stream_of};

/// Most output that a session may keep for a peer that never reads, bytes: the limit on answers and
/// one answer more.
pub const OUTPUT_MAX: usize = rtmp::limits::ANSWERS_BYTES_MAX + (64 << 10);

thread_local! {
    static POOL: PacketPool = pool();
}

fn pool() -> PacketPool {
    let spec = PacketPoolSpec::default();
    PacketPool::new(spec).expect("a few megabytes")
}

/// A packet pool that is made once.
pub fn with_pool<T>(use_it: impl FnOnce(&PacketPool) -> T) -> T {
    POOL.with(use_it)
}

/// C0, C1 and C2, or S0, S1 and S2, of a simple handshake.
pub fn hello() -> Vec<u8> {
    let mut bytes = vec![0; 1 + 2 * 1_536];
    bytes[0] = 3;
    bytes
}

/// A message in chunks of the size both sides begin with.
pub fn message(type_id: u8, stream_id: u32, time: u32, body: &[u8]) -> Vec<u8> {
    let header =
        MessageHeader { chunk_stream: stream_of(type_id), time, length: 0, type_id, stream_id };
    let mut out = Vec::new();
    Writer::default().write(header, body, &mut out);
    out
}

/// Most bytes of [`expanded`]: beyond every limit that they are to reach.
const EXPANDED_BYTES_MAX: usize = 72 << 10;

/// The bytes as a peer may send them: each 0xff stands for 4096 times the letter a, so that limits
/// of kilobytes are within a fuzzer's reach.
pub fn expanded(bytes: &[u8]) -> Vec<u8> {
    const RUN: [u8; 4_096] = [b'a'; 4_096];
    let pieces = bytes.iter().map(|byte| match byte {
        0xff => &RUN[..],
        byte => std::slice::from_ref(byte),
    });
    pieces.flatten().copied().take(EXPANDED_BYTES_MAX).collect()
}
