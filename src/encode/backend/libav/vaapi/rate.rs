//! Rate control of a device, chosen by what it makes of some pictures: drivers claim more than they
//! do.

use std::path::PathBuf;
use std::sync::PoisonError;

use super::device::Device;
use super::instance::Instance;
use super::task::{RateControl, Task};
use crate::encode::backend::pattern::draw;
use crate::encode::{Error, VideoPacket, VideoSpec};
use crate::frame::{Geometry, PacketPool, Pool};
use crate::media::VideoCodec;

/// Pictures of a measurement.
const PICTURES: u32 = 30;

/// Parts of the bitrate that a measurement may come to. So few pictures begin with a keyframe, and
/// may fill the buffer of one second as well.
const LEAST_PERCENT: u64 = 50;
const MOST_PERCENT: u64 = 160;

/// What is tried, best first. Of constant quantisers, the finest that stays below the bitrate.
const TRIALS: [RateControl; 7] = [
    RateControl::Cbr,
    RateControl::Vbr,
    RateControl::Cqp(22),
    RateControl::Cqp(28),
    RateControl::Cqp(34),
    RateControl::Cqp(40),
    RateControl::Cqp(46),
];

/// Devices that have been measured in this process, by path and codec. Another bitrate does not
/// change what kind of control works.
#[expect(clippy::disallowed_types, reason = "held while encoders are opened, and not else")]
static MEASURED: std::sync::Mutex<Vec<(PathBuf, VideoCodec, RateControl)>> =
    std::sync::Mutex::new(Vec::new());

/// The best control that a device has for a task: what was measured before, or is measured now.
///
/// # Errors
/// [`Error::Unavailable`] with what each gave.
pub(super) fn choose(
    device: &Device,
    spec: &VideoSpec,
    pool: &PacketPool,
) -> Result<RateControl, Error> {
    if device.power(spec.codec).is_none() {
        let text = format!("its driver encodes no {}", spec.codec.name());
        return Err(Error::Unavailable(text));
    }
    if let Some(rate) = remembered(device, spec.codec) {
        return Ok(rate);
    }
    let mut refusals: Vec<String> = Vec::new();
    for rate in TRIALS {
        match measure(device, &Task { spec, rate, level: None, pool }) {
            Ok(()) => {
                if rate.keeps_rate() {
                    remember(device, spec.codec, rate);
                } else {
                    tracing::warn!(
                        "{}: no bitrate is kept, as {}",
                        device.node().display(),
                        refusals.join("; ")
                    );
                }
                return Ok(rate);
            }
            Err(error) => {
                let text = error.to_string();
                if refusals.last() != Some(&text) {
                    refusals.push(text);
                }
            }
        }
    }
    let (codec, size, why) = (spec.codec.name(), spec.size, refusals.join("; "));
    Err(Error::Unavailable(format!("it encodes no {codec} of {size}: {why}")))
}

#[expect(clippy::significant_drop_tightening, reason = "the lock is held for a look")]
fn remembered(device: &Device, codec: VideoCodec) -> Option<RateControl> {
    let measured = MEASURED.lock().unwrap_or_else(PoisonError::into_inner);
    let known = measured.iter().find(|(node, of, _)| node == device.node() && *of == codec);
    known.map(|(_, _, rate)| *rate)
}

fn remember(device: &Device, codec: VideoCodec, rate: RateControl) {
    let mut measured = MEASURED.lock().unwrap_or_else(PoisonError::into_inner);
    measured.push((device.node().to_owned(), codec, rate));
}

/// Encodes some pictures.
///
/// # Errors
/// [`Error::Unavailable`] if they come to another rate than asked for, or cannot be encoded.
fn measure(device: &Device, task: &Task<'_>) -> Result<(), Error> {
    let spec = task.spec;
    let trial = trial(device, task, PICTURES)?;
    let (num, den) = (u64::from(spec.rate.num()), u64::from(spec.rate.den()));
    let bps = trial.bits * num / den / u64::from(PICTURES);
    let wanted = u64::from(spec.bitrate_bps);
    let percent = bps * 100 / wanted.max(1);
    let is_kept = if task.rate.keeps_rate() {
        (LEAST_PERCENT..=MOST_PERCENT).contains(&percent)
    } else {
        percent <= 100
    };
    if is_kept {
        return Ok(());
    }
    let name = task.rate.name();
    Err(Error::Unavailable(format!("{name} makes {bps} bits per second of {wanted}")))
}

/// What came of a trial.
pub(super) struct Trial {
    bits: u64,
    /// The configuration record.
    pub(super) header: Option<Vec<u8>>,
}

/// Encodes pictures in which something moves.
///
/// # Errors
/// [`Error::Unavailable`] if they cannot be encoded.
pub(super) fn trial(device: &Device, task: &Task<'_>, pictures: u32) -> Result<Trial, Error> {
    let memory = || Error::Unavailable("no memory for pictures".to_owned());
    let geometry = Geometry::new(task.spec.size, task.spec.format);
    let frames = Pool::new(geometry, 1).map_err(|_| memory())?;
    let mut instance = Instance::open(device, task)?;
    let mut bits = 0;
    let count = &mut |packet: VideoPacket| bits += packet.body.len() as u64 * 8;
    for number in 0..pictures {
        let mut frame = frames.take().ok_or_else(memory)?;
        draw(&mut frame, number as usize);
        instance
            .encode(&frame.freeze(), number.into(), false, count)
            .map_err(|error| Error::Unavailable(error.to_string()))?;
    }
    instance.flush(count).map_err(|error| Error::Unavailable(error.to_string()))?;
    Ok(Trial { bits, header: instance.header().map(<[u8]>::to_vec) })
}
