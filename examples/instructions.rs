//! The steps that are taken for every message, alone and many times, for `tools/instructions.sh`:
//! callgrind counts their instructions, which are the same on a busy machine as on a quiet one.
#![expect(clippy::unwrap_used, reason = "a step that fails ends the program")]

use std::hint::black_box;
use std::sync::Arc;

use stream_manager::internals::{
    Bell, Cursor, DropPolicy, Flags, LogLimits, MeshMessage, Message, PacketBuf, PacketPool,
    PacketPoolSpec, Receiver, Sender, Start, StreamLog, channel,
};
use stream_manager::media::{Kind, Micros};
use stream_manager::rtmp::amf0::{Decoder, Value};
use stream_manager::rtmp::chunk::{MessageHeader, Reader, Writer};

/// How often each step is taken.
const ROUNDS: usize = 1_000;

/// A picture of a 2.5 Mb/s stream at 30 fps.
const PICTURE: usize = 10_000;

fn main() {
    let pool = PacketPool::new(PacketPoolSpec::default()).unwrap();
    let body = vec![0x27; PICTURE];
    let header =
        MessageHeader { chunk_stream: 6, time: 40, length: 10_000, type_id: 9, stream_id: 1 };
    let mut wire = Vec::new();
    let mut writer = Writer::default();
    writer.set_chunk_size(4_096);
    writer.write(header, &body, &mut wire);
    let mut reader = Reader::default();
    reader.set_chunk_size(4_096);
    for _ in 0..ROUNDS {
        step_chunk_read(&mut reader, &wire, &pool);
    }
    for _ in 0..ROUNDS {
        let mut packet = pool.take(PICTURE);
        packet.extend(&body);
        step_chunk_write(packet);
    }
    let mut connect = Vec::new();
    for value in [
        Value::from("connect"),
        1.0.into(),
        Value::object([
            ("app", "live".into()),
            ("type", "nonprivate".into()),
            ("flashVer", "FMLE/3.0 (compatible; FMSc/1.0)".into()),
            ("tcUrl", "rtmp://127.0.0.1:1935/live".into()),
        ]),
    ] {
        value.encode(&mut connect);
    }
    for _ in 0..ROUNDS {
        step_amf0_decode(&connect);
    }
    let mut log = StreamLog::new(LogLimits::default(), true);
    let mut cursors: Vec<_> = (0..10).map(|_| Cursor::new(Start::Keyframe)).collect();
    for number in 0..ROUNDS / 10 {
        let flags = if number == 0 { Flags::KEY } else { Flags::default() };
        let time = u32::try_from(number * 33).unwrap();
        let message = Message::new(Kind::Video, time, flags, PacketBuf::copy_of(&body), 60_000);
        log.push(message, Micros::from_millis(time.into()));
        for cursor in &mut cursors {
            step_cursor(cursor, &log);
        }
    }
    let name: Arc<str> = Arc::from("live/studio");
    let (mut to, mut from) = channel(4_096, Bell::new());
    let picture =
        Message::new(Kind::Video, 40, Flags::default(), PacketBuf::copy_of(&body), 60_000);
    for _ in 0..ROUNDS {
        step_hop(&mut to, &mut from, &name, &picture);
    }
}

/// One picture in three chunks, from bytes to a message.
#[inline(never)]
fn step_chunk_read(reader: &mut Reader, wire: &[u8], pool: &PacketPool) {
    let mut input = black_box(wire);
    assert!(reader.read(&mut input, pool).unwrap().is_some());
}

/// One picture gets its chunk header.
#[inline(never)]
fn step_chunk_write(packet: PacketBuf) {
    black_box(Message::new(Kind::Video, 40, Flags::default(), packet, 60_000));
}

/// One `connect` of an encoder.
#[inline(never)]
fn step_amf0_decode(body: &[u8]) {
    let mut values = Decoder::new(black_box(body));
    while let Ok(Some(value)) = values.value() {
        black_box(value);
    }
}

/// What one viewer takes for one message, without the call to the kernel.
#[inline(never)]
fn step_cursor(cursor: &mut Cursor, log: &StreamLog) {
    let mut bytes = 0;
    cursor.settle(log, &DropPolicy::default());
    cursor.gather(log, 1 << 20, &mut |piece| {
        bytes += black_box(piece).len();
        true
    });
    cursor.advance(log, bytes);
}

/// One message from the shard that its stream is fed at to another one, both ends.
#[inline(never)]
fn step_hop(
    to: &mut Sender<MeshMessage>,
    from: &mut Receiver<MeshMessage>,
    name: &Arc<str>,
    message: &Message,
) {
    let hop = MeshMessage::Message(Arc::clone(name), message.clone(), Micros(40_000));
    assert!(to.push(hop).is_ok());
    black_box(from.pop());
}
