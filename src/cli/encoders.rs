//! `stream-manager encoders`: the encoders of this machine.

use std::fmt::Write as _;
use std::thread::available_parallelism;

use clap::Args;

use crate::config::ChannelConfig;
use crate::encode::inventory;
use crate::ffi::av::LogRedirect;
use crate::frame::{PacketPool, PacketPoolSpec};
use crate::media::Size;
use crate::runtime::Clock;

/// What to measure with.
#[derive(Args, Clone, Copy, Debug)]
pub struct EncodersArgs {
    /// Size of the pictures.
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "1920x1080", value_parser = size)]
    pub size: Size,
    /// Pictures that each encoder is given.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub frames: u32,
}

/// An even size within a channel's limits.
fn size(text: &str) -> Result<Size, String> {
    let sides = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    let is_even = |(width, height): &(u32, u32)| width % 2 == 0 && height % 2 == 0;
    let size = sides.filter(is_even).and_then(|(width, height)| Size::new(width, height));
    let (least, most) = (Size::SIDE_MIN, Size::SIDE_MAX);
    size.ok_or_else(|| format!("two even numbers from {least} to {most}, such as 1280x720"))
}

/// What `encoders` prints: every encoder, best first, measured with the settings of a channel that
/// says nothing.
///
/// # Errors
/// If there is no memory for packets.
pub fn encoders(args: &EncodersArgs) -> Result<String, String> {
    let cores = available_parallelism().map_or(1, usize::from);
    let channel = ChannelConfig::plain("encoders", "live/encoders", args.size);
    let spec = channel.video_spec(cores);
    let packets = PacketPool::new(PacketPoolSpec::default());
    let packets = packets.map_err(|error| format!("no memory for packets: {error}"))?;
    let clock = Clock::start();
    // What FFmpeg says of its encoders while they are measured is of no use here.
    let _log = LogRedirect::begin();
    let (size, preset) = (args.size, &spec.preset);
    let mut text = format!(
        "{}x{}, preset {preset}, {} pictures each; best first\n",
        size.width(),
        size.height(),
        args.frames
    );
    for entry in inventory(&spec, &packets, args.frames, || clock.now()) {
        let codecs = entry.codecs.join(", ");
        let outcome = match &entry.outcome {
            Ok(speed) => speed.to_string(),
            Err(reason) => format!("not there: {reason}"),
        };
        // Writing to a text does not fail.
        let _written = writeln!(text, "{:<8} {codecs}: {outcome}", entry.name);
        for line in entry.hardware.lines() {
            let _written = writeln!(text, "         {line}");
        }
    }
    Ok(text)
}
