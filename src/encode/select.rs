//! Backend selection: a table in order of preference, tried from the top.

use super::backend::libav;
#[cfg(feature = "x264")]
use super::backend::x264;
use super::{AudioEncoder, AudioSpec, Error, VideoEncoder, VideoSpec};
use crate::frame::PacketPool;
use crate::media::{AudioCodec, VideoCodec};

/// Name of the encoder that is tried first for `spec`; empty if there is none.
#[must_use]
pub fn first_choice(spec: &VideoSpec) -> &'static str {
    let first = CANDIDATES.iter().find(|candidate| candidate.suits(spec));
    first.map_or("", |candidate| candidate.name)
}

/// Opens a backend for a task.
pub(super) type Open = fn(&VideoSpec, &PacketPool) -> Result<Box<dyn VideoEncoder>, Error>;

/// One backend of the table.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Name in logs.
    pub name: &'static str,
    /// What it can make.
    pub codecs: &'static [VideoCodec],
    /// Whether it is there for the sake of its speeds, and left alone where the speed is fixed.
    pub is_for_speeds: bool,
    /// Opens it.
    pub open: Open,
}

impl Candidate {
    fn suits(&self, spec: &VideoSpec) -> bool {
        let is_wanted = !self.is_for_speeds || spec.fastest_preset.is_some();
        is_wanted && self.codecs.contains(&spec.codec)
    }
}

/// All backends, best first.
const CANDIDATES: &[Candidate] = &[
    #[cfg(feature = "x264")]
    Candidate { name: "x264", codecs: &[VideoCodec::H264], is_for_speeds: true, open: x264::open },
    Candidate {
        name: "libx264",
        codecs: &[VideoCodec::H264],
        is_for_speeds: false,
        open: libav::open_x264,
    },
    Candidate {
        name: "libx265",
        codecs: &[VideoCodec::Hevc],
        is_for_speeds: false,
        open: libav::open_x265,
    },
    Candidate {
        name: "libsvtav1",
        codecs: &[VideoCodec::Av1],
        is_for_speeds: false,
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
    let mut refusals = Vec::new();
    for candidate in candidates.iter().filter(|one| one.suits(spec)) {
        match (candidate.open)(spec, pool) {
            Ok(encoder) => {
                for refusal in &refusals {
                    tracing::warn!("video is encoded by {}, as {refusal}", candidate.name);
                }
                return Ok(encoder);
            }
            Err(Error::Unavailable(why)) => refusals.push(format!("{}: {why}", candidate.name)),
            Err(error) => return Err(error),
        }
    }
    let codec = spec.codec.name();
    let refusals = refusals.join("; ");
    Err(Error::Unavailable(format!("no encoder for {codec} can be opened here: {refusals}")))
}
