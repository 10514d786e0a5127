//! VAAPI as an encoder of the trait: an instance of libavcodec's encoder, and a second one while
//! the bitrate changes.
//!
//! libavcodec keeps the bitrate that an encoder was opened with. For another one, another encoder
//! is opened beside it, on a thread of its own, because that takes longer than a picture; it takes
//! over with its first picture, which is a keyframe.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread::Builder;
use std::time::Duration;

use super::device::Device;
use super::instance::{Instance, check, loses_pictures};
use super::node::Node;
use super::rate::{choose, trial};
use super::task::{RateControl, Task};
use crate::encode::backend::options::bitrate;
use crate::encode::backend::watched::{Emit, Opened, Session, Terms, Watched};
use crate::encode::{Error, VideoSpec};
use crate::ffi::va::Libva;
use crate::frame::{FrozenFrame, PacketPool};
use crate::media::VideoCodec;

/// The name in logs, metrics and configurations.
pub(in crate::encode) const NAME: &str = "vaapi";

/// Longest time to open an encoder: the driver is loaded, and encodes some pictures several times.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// Packets that one picture may bring out: the last of an instance, and the first of the next.
const PACKETS_MAX: usize = 2;

/// Where the level is in an `AVCDecoderConfigurationRecord` and an `HEVCDecoderConfigurationRecord`
/// (ISO/IEC 14496-15).
const AVC_LEVEL_AT: usize = 3;
const HEVC_LEVEL_AT: usize = 12;

/// Opens an encoder on the first of the nodes that does the task.
///
/// # Errors
/// As [`crate::encode::open_video`].
pub(super) fn open_encoder(
    libva: &'static Libva,
    nodes: Vec<Node>,
    spec: &VideoSpec,
    pool: &PacketPool,
) -> Result<Watched, Error> {
    check(spec)?;
    let terms = Terms {
        name: NAME,
        open_limit: OPEN_LIMIT,
        remedy: "look for the GPU's driver in the kernel's log",
        packets_max: PACKETS_MAX,
        delay_frames: 0,
    };
    let (task, packets) = (spec.clone(), pool.clone());
    Watched::open(terms, spec, move || open_first(libva, &nodes, &task, &packets))
}

fn open_first(
    libva: &'static Libva,
    nodes: &[Node],
    spec: &VideoSpec,
    pool: &PacketPool,
) -> Result<(Service, Opened), Error> {
    let mut refusals = Vec::new();
    for node in nodes {
        let device = Device::open(libva, node).map_err(Error::Unavailable);
        match device.and_then(|device| open_on(device, node, spec, pool)) {
            Err(Error::Config(text)) => return Err(Error::Config(text)),
            Err(error) => refusals.push(format!("{}: {error}", node.label())),
            opened => return opened,
        }
    }
    Err(Error::Unavailable(refusals.join("; ")))
}

fn open_on(
    device: Device,
    node: &Node,
    spec: &VideoSpec,
    pool: &PacketPool,
) -> Result<(Service, Opened), Error> {
    if let Some(name) = &spec.device
        && !is_called(&device, node, name)
    {
        return Err(Error::Unavailable(format!("it is not \"{name}\" but {}", device.vendor())));
    }
    let rate = choose(&device, spec, pool)?;
    if !rate.keeps_rate() && spec.encoder.is_none() {
        let text = "its driver keeps no bitrate, as none of its rate controls works; it is used \
                    where `encoder = \"vaapi\"` says so";
        return Err(Error::Unavailable(text.to_owned()));
    }
    let (instance, header) = open_instance(&device, &Task { spec, rate, level: None, pool })?;
    let fixed_rate = if !rate.keeps_rate() {
        Some("this GPU keeps no bitrate: it encodes with a constant quantiser")
    } else if loses_pictures() {
        Some("FFmpeg 7.1 loses GPU memory with each encoder that ends; use another version")
    } else {
        None
    };
    let opened = Opened { header: header.clone(), fixed_rate };
    let (spec, pool) = (spec.clone(), pool.clone());
    Ok((Service { instance, next: None, device, spec, rate, header, pool }, opened))
}

/// Whether `name` means this device: its path, its place on the bus, the kernel's driver, or a part
/// of what the VA driver calls itself.
fn is_called(device: &Device, node: &Node, name: &str) -> bool {
    let vendor = device.vendor().to_lowercase();
    node.path.as_os_str() == name || node.is_called(name) || vendor.contains(&name.to_lowercase())
}

/// An instance and its configuration record. Where the driver writes parameter sets by itself, the
/// record is that of another instance with the same settings, after its first picture.
fn open_instance(device: &Device, task: &Task<'_>) -> Result<(Instance, Vec<u8>), Error> {
    let instance = Instance::open(device, task)?;
    let header = match instance.header() {
        Some(header) => Some(header.to_vec()),
        None => trial(device, task, 1)?.header,
    };
    let none = || Error::Unavailable("the driver gave no parameter sets".to_owned());
    Ok((instance, header.ok_or_else(none)?))
}

/// The instance that encodes, and the one that will.
struct Service {
    instance: Instance,
    next: Option<Receiver<Result<Instance, Error>>>,
    device: Device,
    spec: VideoSpec,
    rate: RateControl,
    header: Vec<u8>,
    pool: PacketPool,
}

impl Session for Service {
    fn picture(
        &mut self,
        frame: FrozenFrame,
        pts: i64,
        force_key: bool,
        emit: Emit<'_>,
    ) -> Result<(), Error> {
        self.switch(emit)?;
        self.instance.encode(&frame, pts, force_key, emit)
    }

    fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<(), Error> {
        bitrate("VAAPI", bitrate_bps)?;
        self.spec.bitrate_bps = bitrate_bps;
        let device = self.device.share().map_err(Error::Device)?;
        let (spec, rate, pool) = (self.spec.clone(), self.rate, self.pool.clone());
        let header = self.header.clone();
        let (tell, told) = sync_channel(1);
        // If the answer comes too late, what was opened ends there.
        let open = move || {
            let task = Task { spec: &spec, rate, level: None, pool: &pool };
            drop(tell.send(open_like(&header, &device, &task)));
        };
        Builder::new()
            .name("vaapi-open".to_owned())
            .spawn(open)
            .map_err(|error| Error::Config(format!("no thread for another encoder: {error}")))?;
        self.next = Some(told);
        Ok(())
    }

    fn flush(&mut self, emit: Emit<'_>) -> Result<(), Error> {
        self.instance.flush(emit)
    }
}

impl Service {
    /// Goes on with the next instance, if it is open.
    fn switch(&mut self, emit: Emit<'_>) -> Result<(), Error> {
        let Some(next) = &self.next else { return Ok(()) };
        let opened = match next.try_recv() {
            Err(TryRecvError::Empty) => return Ok(()),
            Err(TryRecvError::Disconnected) => {
                Err(Error::Unavailable("the thread that opened it has ended".to_owned()))
            }
            Ok(opened) => opened,
        };
        self.next = None;
        match opened {
            Ok(instance) => {
                self.instance.flush(emit)?;
                self.instance = instance;
            }
            Err(error) => {
                let bps = self.spec.bitrate_bps;
                tracing::warn!("the bitrate stays as it is instead of {bps}: {error}");
            }
        }
        Ok(())
    }
}

/// An instance whose packets go with `header`.
fn open_like(header: &[u8], device: &Device, task: &Task<'_>) -> Result<Instance, Error> {
    let at = if task.spec.codec == VideoCodec::Hevc { HEVC_LEVEL_AT } else { AVC_LEVEL_AT };
    let task = Task { level: header.get(at).copied(), ..*task };
    let (instance, other) = open_instance(device, &task)?;
    if other != header {
        let text = "the driver would change the parameter sets as well";
        return Err(Error::Unavailable(text.to_owned()));
    }
    Ok(instance)
}
