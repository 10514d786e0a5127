//! Latency of a running node: time that is lost at one stage is told of that stage, and of no
//! other.

use super::*;
use crate::stats::{Registry, Stage, StageFigures};

/// Time that is lost.
const LOST: Micros = Micros::from_millis(50);

/// How much of it, or of what else the machine does meanwhile, may be told wrongly.
const OFF: Micros = Micros::from_millis(20);

/// Frames after which one that was due when this began has gone: more than the encoder holds back.
const FRAMES: u64 = 8;

/// Times that it is tried: what else runs on the machine takes time as well.
const TRIES: usize = 20;

/// Somebody who plays a stream until this is dropped.
struct Viewer {
    socket: TcpStream,
    reader: Option<Worker<()>>,
}

impl Viewer {
    fn of(address: SocketAddr, stream: &str) -> Self {
        let socket = play(address, stream);
        let mut read = socket.try_clone().unwrap();
        let run = move || while read.read(&mut [0; 4_096]).is_ok_and(|count| count > 0) {};
        let reader = Some(Worker::spawn("viewer", Vec::new(), 0, run).unwrap());
        Self { socket, reader }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.socket.shutdown(std::net::Shutdown::Both).unwrap_or_default();
        self.reader.take().map(Worker::join);
    }
}

fn stages(registry: &Registry, stream: &str) -> StageFigures {
    registry.read_latency(Micros(0)).streams.get(stream).cloned().unwrap_or_default()
}

/// The parts of the way that a frame was in for longer than it should, since `before`: without the
/// encoder's delay by design.
fn long_parts(registry: &Registry, stream: &str, before: &StageFigures) -> Vec<(Stage, Micros)> {
    let since = stages(registry, stream).since(before);
    let parts = since.each().filter(|(stage, _)| stage.is_part() && *stage != Stage::Lookahead);
    let longest = parts.map(|(stage, figures)| (stage, figures.max()));
    longest.filter(|(_, longest)| *longest > OFF).collect()
}

#[test]
fn time_that_is_lost_at_a_stage_is_told_of_that_stage_and_of_no_other() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let cores = format!("[cores]\nnet = [{}]\n", allowed_cpus()[0]);
    let (text, _port) = text("lat", &cores);
    // Frames are so far apart that what one has lost is no matter to the next.
    let config = parse(&text.replace("fps = 30", "fps = 8"));
    with_node(&config, |node, _| {
        let node = node.node().unwrap();
        let registry = node.registry();
        let _viewer = Viewer::of(node.rtmp(), "live/lat");
        for (stage, thread, place) in [
            (Stage::Tick, "compose", "tick"),
            (Stage::Compose, "compose", "draw"),
            (Stage::Queue, "video-lat", "take"),
            (Stage::Encode, "video-lat", "encode"),
            (Stage::Append, "shard-0", "append"),
            (Stage::Send, "shard-0", "send"),
        ] {
            let mut seen = Vec::new();
            let is_told = (0..TRIES).any(|_| {
                let before = stages(registry, "live/lat");
                let sent = |now: &StageFigures| now.of(Stage::ToLast).count();
                until("the frame before has gone", || {
                    sent(&stages(registry, "live/lat")) > sent(&before)
                });
                let before = stages(registry, "live/lat");
                fault::stall_in(thread, place, LOST);
                // The encoder holds some back.
                until("the frame that loses it has gone", || {
                    let now = stages(registry, "live/lat");
                    sent(&now) >= sent(&before) + FRAMES
                });
                seen = long_parts(registry, "live/lat", &before);
                let near = LOST.0 - 2_000..=(LOST + OFF).0;
                matches!(&seen[..], [(told, took)] if *told == stage && near.contains(&took.0))
            });
            assert!(is_told, "{stage:?}: {seen:?}");
        }
        let worst = registry.worst_frames("live/lat", node.clock().now());
        assert!(worst.len() >= 6 && worst[5].took.0 >= LOST.0 - 2_000, "{worst:?}");
    });
}
