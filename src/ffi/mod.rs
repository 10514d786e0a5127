//! Safe owners of foreign handles, and the one place that knows which FFmpeg is linked.

/// The module `bound` with what the build script has made of a C header.
#[cfg(any(feature = "nvenc", feature = "x264"))]
macro_rules! bound {
    ($file:literal) => {
        #[allow(
            warnings,
            unsafe_op_in_unsafe_fn,
            clippy::undocumented_unsafe_blocks,
            clippy::missing_safety_doc,
            reason = "generated from a C header"
        )]
        mod bound {
            include!(concat!(env!("OUT_DIR"), $file));
        }
    };
}
#[cfg(any(feature = "nvenc", feature = "x264"))]
use bound;

pub mod av;
mod av1;
mod buffer;
#[cfg(feature = "vaapi")]
mod colour;
#[cfg(feature = "nvenc")]
pub mod cuda;
#[cfg(any(feature = "nvenc", feature = "vaapi"))]
mod library;
mod log;
pub mod muxer;
#[cfg(feature = "nvenc")]
pub mod nvenc;
pub mod picture;
mod seqpacket;
mod space;
pub mod sys;
#[cfg(any(feature = "nvenc", feature = "vaapi"))]
mod uptime;
#[cfg(feature = "vaapi")]
pub mod va;
#[cfg(feature = "x264")]
pub mod x264;

pub use av1::{Still, StillFormat, decode_av1_still};
pub use buffer::Buffer;
#[cfg(feature = "vaapi")]
pub use colour::with_bt709;
#[cfg(any(feature = "nvenc", feature = "vaapi"))]
pub use library::Library;
pub use log::{keep_log_secret, log_subject, set_log_subject};
#[cfg(test)]
pub(crate) use seqpacket::client as seqpacket_client;
pub use seqpacket::{
    Received, Seqpacket, SeqpacketListener, is_sealed_against_shrinking, wait_readable,
};
pub use space::free_bytes;
#[cfg(any(feature = "nvenc", feature = "vaapi"))]
pub use uptime::uptime_seconds;
