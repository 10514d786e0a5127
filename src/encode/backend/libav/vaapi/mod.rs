//! VAAPI by libavcodec: H.264 and H.265 on the GPUs of Intel and AMD.
//!
//! libva is opened at run time. A picture is written once, by the encoder's thread, into a surface
//! that the driver maps; libavcodec's encoder writes its packet into the pool. What a driver says
//! of its rate control is not believed: it is measured. Bitrates change by a second encoder that
//! takes over at its first keyframe.

mod device;
mod encoder;
mod instance;
mod node;
mod rate;
mod report;
mod surface;
mod task;

#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use crate::encode::backend::check::{Check, has_checker};
use crate::encode::{Error, VideoEncoder, VideoSpec};
use crate::ffi::va::Libva;
use crate::frame::PacketPool;

pub(in crate::encode) use encoder::NAME;

static CHECK: Check = Check::of(NAME);

/// Whether a GPU here encodes by VAAPI, and what of it.
pub(in crate::encode) fn check() -> Result<String, String> {
    CHECK.now()
}

/// What the GPUs here can do, for the child process.
///
/// # Errors
/// Why none encodes.
pub(in crate::encode) fn report() -> Result<String, String> {
    let nodes = node::nodes(None)?;
    report::report_of(libva()?, &nodes)
}

/// Opens VAAPI, where a child process has done so before or the task names it.
pub(in crate::encode) fn open(
    spec: &VideoSpec,
    pool: &PacketPool,
) -> Result<Box<dyn VideoEncoder>, Error> {
    let nodes = node::nodes(spec.device.as_deref()).map_err(Error::Unavailable)?;
    if has_checker() || spec.encoder != Some(NAME) {
        CHECK.verdict().map_err(Error::Unavailable)?;
    }
    let libva = libva().map_err(Error::Unavailable)?;
    Ok(Box::new(encoder::open_encoder(libva, nodes, spec, pool)?))
}

/// libva, opened by the first who asks.
fn libva() -> Result<&'static Libva, String> {
    static LIBVA: OnceLock<Libva> = OnceLock::new();
    if let Some(libva) = LIBVA.get() {
        return Ok(libva);
    }
    let libva = Libva::open(None)?;
    Ok(LIBVA.get_or_init(|| libva))
}
