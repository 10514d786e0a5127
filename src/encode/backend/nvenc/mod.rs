//! NVENC, called directly: H.264, HEVC and AV1 on NVIDIA's GPUs.
//!
//! The driver's libraries are opened at run time. A session lives on a thread of its own, which
//! alone calls the driver; a call that does not return costs that thread and no other. A picture is
//! written once, into the driver's input buffer, and its packet once, from the driver's output
//! buffer into the pool. Bitrates change without a keyframe. Codecs are chosen by GUID; AV1 is
//! there where the installed header has it.

mod budget;
mod codecs;
mod driver;
mod encoder;
mod open;
mod report;
mod service;
mod session;
mod settings;
mod status;

#[cfg(test)]
mod tests;

use super::check::{Check, has_checker};
use crate::encode::{Error, VideoEncoder, VideoSpec};
use crate::frame::PacketPool;
use driver::Driver;

pub(in crate::encode) use codecs::CODECS;
pub(in crate::encode) use encoder::NAME;
pub(in crate::encode) use report::report;

static CHECK: Check = Check::of(NAME);

/// Whether a GPU here encodes, and what.
pub(in crate::encode) fn check() -> Result<String, String> {
    CHECK.now()
}

/// Opens NVENC, where a child process has done so before or the task names it.
pub(in crate::encode) fn open(
    spec: &VideoSpec,
    pool: &PacketPool,
) -> Result<Box<dyn VideoEncoder>, Error> {
    if has_checker() || spec.encoder != Some(NAME) {
        CHECK.verdict().map_err(Error::Unavailable)?;
    }
    let driver = Driver::of_machine().map_err(Error::Unavailable)?;
    Ok(Box::new(encoder::open_encoder(driver, spec, pool)?))
}
