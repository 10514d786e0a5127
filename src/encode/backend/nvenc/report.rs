//! Report of what the NVIDIA driver and its GPUs can do, for the inventory of encoders.

use std::fmt::Write as _;

use super::driver::{Device, Driver};
use super::open::{Abilities, session_on};
use super::settings;
use super::status::Stage;
use crate::encode::Error;
use crate::ffi::nvenc::{SM_NVENC_API_MAJOR, SM_NVENC_API_MINOR};

/// What the driver and its GPUs can do, for the child process.
///
/// # Errors
/// Why no GPU makes H.264.
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

fn describe(driver: &'static Driver, device: &Device) -> Result<String, Error> {
    let session = session_on(driver, device)?;
    let is_there = session.makes(&settings::codec_guid());
    let abilities = Abilities::of(&session);
    drop(session);
    if !is_there.map_err(|failure| failure.error(Stage::Opening))? {
        return Err(Error::Unavailable("it does not make H.264".to_owned()));
    }
    let Abilities { width, height, b_frames, can_change_rate } = abilities;
    let rate = if can_change_rate { "changes its bitrate" } else { "keeps its bitrate" };
    Ok(format!(
        "h264 from {}x{} to {}x{}, up to {b_frames} B-pictures in a row, {rate} while it runs",
        width.0, height.0, width.1, height.1
    ))
}
