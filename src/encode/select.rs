//! Backend selection: a table in order of preference, tried from the top.

use super::backend::libav;
#[cfg(feature = "vaapi")]
use super::backend::libav::vaapi;
#[cfg(feature = "nvenc")]
use super::backend::nvenc;
#[cfg(feature = "x264")]
use super::backend::x264;
use super::{AudioEncoder, AudioSpec, Error, VideoEncoder, VideoSpec};
use crate::frame::PacketPool;
use crate::media::{AudioCodec, VideoCodec};

/// Name of the encoder that is tried first for `spec`, without asking any hardware; empty if there
/// is none.
#[must_use]
pub fn first_choice(spec: &VideoSpec) -> &'static str {
    let is_likely = |candidate: &&Candidate| candidate.check.is_none() || spec.encoder.is_some();
    let first = CANDIDATES.iter().filter(is_likely).find(|candidate| candidate.suits(spec));
    first.map_or("", |candidate| candidate.name)
}

/// Names of all encoders that this build has, best first.
pub fn encoder_names() -> impl Iterator<Item = &'static str> {
    CANDIDATES.iter().map(|candidate| candidate.name)
}

/// The same of those that make this codec.
pub fn encoder_names_of(codec: VideoCodec) -> impl Iterator<Item = &'static str> {
    CANDIDATES
        .iter()
        .filter(move |candidate| candidate.codecs.contains(&codec))
        .map(|candidate| candidate.name)
}

/// All of them.
pub(super) const fn all() -> &'static [Candidate] {
    CANDIDATES
}

/// Those that `spec` may be encoded by, best first.
pub(super) fn candidates(spec: &VideoSpec) -> Vec<Candidate> {
    CANDIDATES.iter().filter(|candidate| candidate.suits(spec)).copied().collect()
}

/// Opens a backend for a task.
pub(super) type Open = fn(&VideoSpec, &PacketPool) -> Result<Box<dyn VideoEncoder>, Error>;

/// Says what a backend's hardware is, or why it does not work.
pub(super) type Check = fn() -> Result<String, String>;

/// One backend of the table.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Name in logs.
    pub name: &'static str,
    /// What it can make.
    pub codecs: &'static [VideoCodec],
    /// Whether it is there for the sake of its speeds, and left alone where the speed is fixed.
    pub is_for_speeds: bool,
    /// Whether its hardware works, and what it is: asked where it may crash or hang. `None` for
    /// software.
    pub check: Option<Check>,
    /// Opens it.
    pub open: Open,
}

impl Candidate {
    fn suits(&self, spec: &VideoSpec) -> bool {
        let is_wanted = match spec.encoder {
            Some(name) => name == self.name,
            None => !self.is_for_speeds || spec.fastest_preset.is_some(),
        };
        is_wanted && self.codecs.contains(&spec.codec)
    }
}

/// All backends, best first.
const CANDIDATES: &[Candidate] = &[
    #[cfg(feature = "nvenc")]
    Candidate {
        name: nvenc::NAME,
        codecs: nvenc::CODECS,
        is_for_speeds: false,
        check: Some(nvenc::check),
        open: nvenc::open,
    },
    #[cfg(feature = "vaapi")]
    Candidate {
        name: vaapi::NAME,
        codecs: &[VideoCodec::H264, VideoCodec::Hevc],
        is_for_speeds: false,
        check: Some(vaapi::check),
        open: vaapi::open,
    },
    #[cfg(feature = "x264")]
    Candidate {
        name: "x264",
        codecs: &[VideoCodec::H264],
        is_for_speeds: true,
        check: None,
        open: x264::open,
    },
    Candidate {
        name: "libx264",
        codecs: &[VideoCodec::H264],
        is_for_speeds: false,
        check: None,
        open: libav::open_x264,
    },
    Candidate {
        name: "libx265",
        codecs: &[VideoCodec::Hevc],
        is_for_speeds: false,
        check: None,
        open: libav::open_x265,
    },
    Candidate {
        name: "libsvtav1",
        codecs: &[VideoCodec::Av1],
        is_for_speeds: false,
        check: None,
        open: libav::open_svt_av1,
    },
];

/// Opens the best backend there is for `spec`. Call it on the thread that will encode.
///
/// # Errors
/// [`Error::Config`] if the task itself is wrong; [`Error::Unavailable`] with each backend's reason
/// if none opens.
pub fn open_video(spec: &VideoSpec, pool: &PacketPool) -> Result<Box<dyn VideoEncoder>, Error> {
    select(CANDIDATES, spec, pool)
}

/// Opens the audio encoder for `spec`. Call it on the thread that will encode.
///
/// # Errors
/// [`Error::Config`] or [`Error::Unavailable`], with what to do.
pub fn open_audio(spec: &AudioSpec, pool: &PacketPool) -> Result<Box<dyn AudioEncoder>, Error> {
    match spec.codec {
        AudioCodec::Aac => libav::open_aac(spec, pool),
        AudioCodec::Opus => libav::open_opus(spec, pool),
    }
}

/// Tries `candidates` in order. Apart from [`open_video`] so that the order can be tested without
/// the hardware.
///
/// # Errors
/// As for [`open_video`].
pub fn select(
    candidates: &[Candidate],
    spec: &VideoSpec,
    pool: &PacketPool,
) -> Result<Box<dyn VideoEncoder>, Error> {
    select_at(candidates, spec, pool).map(|(_, encoder)| encoder)
}

/// The same, with the place of the one that was opened.
///
/// # Errors
/// As for [`open_video`].
pub(super) fn select_at(
    candidates: &[Candidate],
    spec: &VideoSpec,
    pool: &PacketPool,
) -> Result<(usize, Box<dyn VideoEncoder>), Error> {
    let mut refusals = Vec::new();
    for (at, candidate) in candidates.iter().enumerate().filter(|(_, one)| one.suits(spec)) {
        let name = candidate.name;
        match (candidate.open)(spec, pool) {
            Ok(encoder) => {
                tell(&refusals, name);
                return Ok((at, encoder));
            }
            // Nobody has asked for this hardware: what it does not take, another encoder may.
            Err(Error::Config(why)) if candidate.check.is_some() && spec.encoder.is_none() => {
                refusals.push((candidate, format!("{name}: {why}")));
            }
            Err(Error::Unavailable(why)) => refusals.push((candidate, format!("{name}: {why}"))),
            Err(error) => return Err(error),
        }
    }
    let codec = spec.codec.name();
    let refusals: Vec<_> = refusals.into_iter().map(|(_, text)| text).collect();
    let refusals = refusals.join("; ");
    Err(Error::Unavailable(format!("no encoder for {codec} can be opened here: {refusals}")))
}

/// Hardware that is not there is no trouble, but good to know.
fn tell(refusals: &[(&Candidate, String)], name: &str) {
    for (candidate, refusal) in refusals {
        if candidate.check.is_some() {
            tracing::info!("video is encoded by {name}, as {refusal}");
        } else {
            tracing::warn!("video is encoded by {name}, as {refusal}");
        }
    }
}
