//! The steps that are taken for every message or picture, many times: `instructions STEP ROUNDS`, for
//! `tools/instructions.sh`. callgrind counts their instructions, which are the same on a busy machine
//! as on a quiet one.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a step that fails ends the program")]

#[path = "../tests/support/shard.rs"]
mod shard;

use std::hint::black_box;
use std::sync::Arc;

use stream_manager::internals::{
    Bell, Cursor, Damage, DriverKind, DropPolicy, Flags, Geometry, Level, LogLimits, MeshMessage,
    Message, PacketBuf, PacketPool, PacketPoolSpec, Pool, Scaler, Start, StreamLog, channel,
};
use stream_manager::media::{Kind, Micros, PixelFormat, Size, Stamps};
use stream_manager::rtmp::amf0::{Decoder, Value};
use stream_manager::rtmp::chunk::{MessageHeader, Reader, Writer};

/// A picture of a 2.5 Mb/s stream at 30 fps, where its length makes the work.
const PICTURE: usize = 10_000;

/// Body of a message elsewhere: short, so that copying it does not hide the rest.
const BODY: usize = 300;

/// Players of a stream, where they matter.
const PLAYERS: usize = 10;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [step, rounds] = &*arguments else { panic!("usage: instructions STEP ROUNDS") };
    let rounds = rounds.parse().unwrap();
    match &**step {
        "chunk_read" => chunk_read(rounds),
        "chunk_write" => chunk_write(rounds),
        "amf0_decode" => amf0_decode(rounds),
        "cursor" => cursor(rounds),
        "hop" => hop(rounds),
        "core" => core(rounds),
        "driver" => driver(rounds),
        "scale" => scale(rounds),
        _ => panic!("no such step: {step}"),
    }
}

/// A small picture, all of which has changed, is scaled to two thirds.
fn scale(rounds: usize) {
    let sizes = [(192, 108), (128, 72)].map(|(w, h)| Size::new(w, h).unwrap());
    let [canvases, scaled] =
        sizes.map(|size| Pool::new(Geometry::new(size, PixelFormat::I420), 2).unwrap());
    let frame = canvases.take().unwrap().freeze();
    // valgrind has no wider registers.
    let mut scaler = Scaler::new(sizes[0], sizes[1], Level::Avx2);
    for _ in 0..rounds {
        scaler.change(&Damage::whole(sizes[0]));
        black_box(scaler.scale(&frame, &scaled)).unwrap();
    }
}

/// One picture in three chunks, from bytes to a message.
fn chunk_read(rounds: usize) {
    let pool = PacketPool::new(PacketPoolSpec::default()).unwrap();
    let header =
        MessageHeader { chunk_stream: 6, time: 40, length: 10_000, type_id: 9, stream_id: 1 };
    let mut wire = Vec::new();
    let mut writer = Writer::default();
    writer.set_chunk_size(4_096);
    writer.write(header, &[0x27; PICTURE], &mut wire);
    let mut reader = Reader::default();
    reader.set_chunk_size(4_096);
    for _ in 0..rounds {
        let mut input = black_box(&*wire);
        assert!(reader.read(&mut input, &pool).unwrap().is_some());
    }
}

/// One picture gets its chunk header.
fn chunk_write(rounds: usize) {
    let pool = PacketPool::new(PacketPoolSpec::default()).unwrap();
    for _ in 0..rounds {
        let mut packet = pool.take(BODY);
        packet.extend(&[0x27; BODY]);
        black_box(Message::new(Kind::Video, 40, Flags::default(), packet, 60_000));
    }
}

/// One `connect` of an encoder.
fn amf0_decode(rounds: usize) {
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
    for _ in 0..rounds {
        let mut values = Decoder::new(black_box(&connect));
        while let Ok(Some(value)) = values.value() {
            black_box(value);
        }
    }
}

/// What ten viewers take for one message, without the calls to the kernel.
fn cursor(rounds: usize) {
    let mut log = StreamLog::new(LogLimits::default(), true);
    let mut cursors: Vec<_> = (0..PLAYERS).map(|_| Cursor::new(Start::Keyframe)).collect();
    for number in 0..rounds {
        let flags = if number == 0 { Flags::KEY } else { Flags::default() };
        let time = u32::try_from(number * 33).unwrap();
        let body = PacketBuf::copy_of(&[0x27; BODY]);
        log.push(
            Message::new(Kind::Video, time, flags, body, 60_000),
            Micros::from_millis(time.into()),
        );
        for cursor in &mut cursors {
            let mut bytes = 0;
            cursor.settle(&log, &DropPolicy::default());
            cursor.gather(&log, 1 << 20, &mut |piece| {
                bytes += black_box(piece).len();
                true
            });
            cursor.advance(&log, bytes);
        }
    }
}

/// One message from the shard that its stream is fed at to another one, both ends.
fn hop(rounds: usize) {
    let name: Arc<str> = Arc::from("live/studio");
    let (mut to, mut from) = channel(4_096, Bell::new());
    let body = PacketBuf::copy_of(&[0x27; BODY]);
    let picture = Message::new(Kind::Video, 40, Flags::default(), body, 60_000);
    let at = (Micros(40_000), Stamps::default());
    for _ in 0..rounds {
        let hop = MeshMessage::Message(Arc::clone(&name), picture.clone(), at, 1);
        assert!(to.push(hop).is_ok());
        black_box(from.pop());
    }
}

/// One picture from a publisher's bytes to those of ten players, through a shard's core.
fn core(rounds: usize) {
    let mut relay = shard::Relay::new(PLAYERS);
    for round in 0..rounds {
        let wire = relay.picture(BODY);
        relay.step(&wire);
        if round % 5 == 0 {
            relay.tick();
        }
    }
}

/// The same through a driver and the kernel, with what the publisher and the players do themselves.
fn driver(rounds: usize) {
    let mut served = shard::Served::new(DriverKind::Epoll, PLAYERS, || {});
    for _ in 0..rounds {
        let wire = served.picture(BODY);
        served.step(&wire);
    }
}
