//! Safe owners of foreign handles, and the one place that knows which FFmpeg is linked.

pub mod av;
mod buffer;
#[cfg(feature = "nvenc")]
pub mod cuda;
#[cfg(feature = "nvenc")]
mod library;
mod log;
#[cfg(feature = "nvenc")]
pub mod nvenc;
pub mod picture;
mod space;
pub mod sys;
#[cfg(feature = "nvenc")]
mod uptime;
#[cfg(feature = "x264")]
pub mod x264;

pub use buffer::Buffer;
#[cfg(feature = "nvenc")]
pub use library::Library;
pub use log::set_log_subject;
pub use space::free_bytes;
#[cfg(feature = "nvenc")]
pub use uptime::uptime_seconds;
