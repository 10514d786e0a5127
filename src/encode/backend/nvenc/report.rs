//! Report of what the NVIDIA driver and its GPUs can do, for the inventory of encoders.

use std::fmt::Write as _;

use super::codecs;
use super::driver::{Device, Driver};
use super::open::{Abilities, session_on};
use super::session::Session;
use super::status::Stage;
use crate::encode::Error;
use crate::ffi::nvenc::{GUID, SM_NVENC_API_MAJOR, SM_NVENC_API_MINOR};
use crate::media::VideoCodec;

/// What the driver and its GPUs can do, for the child process.
///
/// # Errors
/// Why no GPU encodes.
pub(in crate::encode) fn report() -> Result<String, String> {
    let driver = Driver::of_machine()?;
    let (major, minor) = driver.newest;
    let (cuda, of_cuda) = (driver.cuda_version / 1_000, driver.cuda_version % 1_000 / 10);
    let mut lines = format!(
        "driver: NVENC up to {major}.{minor} (used as {SM_NVENC_API_MAJOR}.{SM_NVENC_API_MINOR}), \
         CUDA up to {cuda}.{of_cuda}"
    );
    let mut can = false;
    for device in &driver.devices {
        let told = match describe(driver, device) {
            Ok(text) => {
                can = true;
                text
            }
            Err(error) => error.to_string(),
        };
        // Writing to a text does not fail.
        let _written = write!(lines, "\n{} ({}): {told}", device.name, device.bus_id);
    }
    if can { Ok(lines) } else { Err(lines.replace('\n', "; ")) }
}

/// What a GPU makes of each codec, a line each.
fn describe(driver: &'static Driver, device: &Device) -> Result<String, Error> {
    let session = session_on(driver, device)?;
    let mut lines = Vec::new();
    for codec in [VideoCodec::H264, VideoCodec::Hevc, VideoCodec::Av1] {
        let told = codecs::guid(codec).and_then(|guid| describe_codec(&session, guid));
        lines.push((told.is_ok(), codec.name(), told));
    }
    drop(session);
    let can = lines.iter().any(|(is_made, ..)| *is_made);
    let told = lines.into_iter().map(|(_, codec, told)| match told {
        Ok(text) => format!("{codec} {text}"),
        Err(error) => format!("no {codec}: {error}"),
    });
    let text = told.collect::<Vec<_>>().join("; ");
    if can { Ok(text) } else { Err(Error::Unavailable(text)) }
}

fn describe_codec(session: &Session, codec: GUID) -> Result<String, Error> {
    if !session.makes(&codec).map_err(|failure| failure.error(Stage::Opening))? {
        return Err(Error::Unavailable("this GPU does not make it".to_owned()));
    }
    let Abilities { width, height, b_frames, can_change_rate } = Abilities::of(session, codec);
    let rate = if can_change_rate { "changes its bitrate" } else { "keeps its bitrate" };
    Ok(format!(
        "from {}x{} to {}x{}, up to {b_frames} B-pictures in a row, {rate} while it runs",
        width.0, height.0, width.1, height.1
    ))
}
