//! A program that draws its own pictures and puts them on the air: `cargo run --example embed`,
//! then `ffplay rtmp://127.0.0.1:1935/live/embed`.

use stream_manager::media::{PixelFormat, Size, VideoCodec};
use stream_manager::{Encoder, Pipeline, RtmpServer, StreamManager};

#[expect(clippy::print_stdout, clippy::cast_possible_truncation, reason = "an example")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let size = Size::new(1280, 720).ok_or("both sides must be even")?;
    let pipeline = Pipeline { queue_size: 30, pool_size: 34, format: PixelFormat::I420, size };
    let encoder = Encoder {
        size,
        fps: 30,
        bitrate_bps: 2_500_000,
        codec: VideoCodec::H264,
        preset: "veryfast".to_owned(),
        stream_url: "rtmp://127.0.0.1:1935/live/embed".to_owned(),
    };
    let server =
        RtmpServer { port: 1935, chunk_size: 60_000, gop_cache: true, ping: 30, ping_timeout: 60 };

    let mut manager = StreamManager::new(pipeline, encoder, server)?;
    let mut feed = manager.start()?;
    println!("play rtmp://127.0.0.1:1935/live/embed; end with Ctrl-C");
    let seconds = std::env::args().nth(1).and_then(|s| s.parse::<usize>().ok());
    for n in 0..seconds.map_or(usize::MAX, |s| s * 30) {
        feed.wait_for_tick(); // paced by the encoder's frame rate
        if let Some(mut frame) = feed.take() {
            let [y, u, v] = frame.planes_mut();
            for (row, line) in y.data.chunks_mut(y.stride).enumerate() {
                line.fill(((row + n * 2) % 200 + 16) as u8); // moving bars
            }
            u.data.fill(108);
            v.data.fill(118);
            feed.push(frame);
        }
        for event in manager.events() {
            println!("{event}");
        }
    }
    manager.stop();
    Ok(())
}
