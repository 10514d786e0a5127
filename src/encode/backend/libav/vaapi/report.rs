//! Report of what the GPUs with VA drivers can do, for the inventory of encoders.

use std::fmt::Write as _;

use super::device::{Device, Power};
use super::node::Node;
use super::rate::choose;
use crate::encode::{Error, VideoSpec};
use crate::ffi::va::Libva;
use crate::frame::{PacketPool, PacketPoolSpec};
use crate::media::{FrameRate, PixelFormat, Size, VideoCodec};

/// Size and bitrate of the pictures that a device is checked with.
const SIZE: (u32, u32) = (640, 368);
const BITRATE_BPS: u32 = 1_000_000;

/// What each device can do, a line each.
///
/// # Errors
/// Why none encodes.
pub(super) fn report_of(libva: &'static Libva, nodes: &[Node]) -> Result<String, String> {
    let pool = PacketPool::new(PacketPoolSpec::default()).map_err(|error| error.to_string())?;
    let (mut lines, mut can) = (String::new(), false);
    for node in nodes {
        let described = Device::open(libva, node).and_then(|device| describe(&device, &pool));
        can |= described.is_ok();
        let (Ok(text) | Err(text)) = described;
        let separator = if lines.is_empty() { "" } else { "\n" };
        // Writing to a text does not fail.
        let _written = write!(lines, "{separator}{}: {text}", node.label());
    }
    if can { Ok(lines) } else { Err(lines.replace('\n', "; ")) }
}

fn describe(device: &Device, pool: &PacketPool) -> Result<String, String> {
    let mut text = device.vendor().to_owned();
    let mut can = false;
    for codec in [VideoCodec::H264, VideoCodec::Hevc] {
        let Some(power) = device.power(codec) else { continue };
        let chosen = task(codec).and_then(|spec| choose(device, &spec, pool));
        can |= chosen.is_ok();
        let kind = if power == Power::Low { " (low power)" } else { "" };
        let told = match chosen {
            Ok(rate) => format!("{}{kind}", rate.name()),
            Err(error) => error.to_string(),
        };
        // Writing to a text does not fail.
        let _written = write!(text, ", {}: {told}", codec.name());
    }
    if can {
        Ok(text)
    } else if text == device.vendor() {
        Err(format!("{text} encodes neither h264 nor hevc"))
    } else {
        Err(text)
    }
}

/// What a device is checked with.
fn task(codec: VideoCodec) -> Result<VideoSpec, Error> {
    let size = Size::new(SIZE.0, SIZE.1).ok_or_else(|| Error::Config("no such size".to_owned()))?;
    Ok(VideoSpec {
        codec,
        encoder: Some(super::NAME),
        device: None,
        size,
        rate: FrameRate::FPS_30,
        format: PixelFormat::Nv12,
        bitrate_bps: BITRATE_BPS,
        preset: "medium".to_owned(),
        fastest_preset: None,
        tune: String::new(),
        profile: String::new(),
        gop_frames: 60,
        b_frames: 0,
        threads: 1,
        keep: crate::encode::Keep::default(),
    })
}
