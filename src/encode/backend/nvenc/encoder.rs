//! NVENC as an encoder of the trait: a session of the driver, on a thread that is watched.

use std::time::Duration;

use super::driver::Driver;
use super::open::open;
use super::service::{Service, slots};
use crate::encode::backend::watched::{Terms, Watched};
use crate::encode::{Error, VideoSpec};
use crate::frame::PacketPool;

/// Longest time to open a session: the first one of a process sets the GPU up, which takes up to a
/// second.
const OPEN_LIMIT: Duration = Duration::from_secs(5);

/// The name in logs, metrics and configurations.
pub(in crate::encode) const NAME: &str = "nvenc";

/// Opens a session on a GPU of `driver`.
///
/// # Errors
/// As [`crate::encode::open_video`].
pub(super) fn open_encoder(
    driver: &'static Driver,
    spec: &VideoSpec,
    pool: &PacketPool,
) -> Result<Watched, Error> {
    let terms = Terms {
        name: NAME,
        open_limit: OPEN_LIMIT,
        remedy: "look for \"Xid\" in the kernel's log",
        packets_max: slots(spec),
        delay_frames: spec.b_frames.into(),
    };
    let (task, packets) = (spec.clone(), pool.clone());
    Watched::open(terms, spec, move || {
        let (session, opened) = open(driver, &task, slots(&task))?;
        Ok((Service::new(session, &task, packets), opened))
    })
}
