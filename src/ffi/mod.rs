//! Safe owners of foreign handles, and the one place that knows which FFmpeg is linked.

pub mod av;
mod buffer;
#[cfg(feature = "nvenc")]
pub mod cuda;
mod log;
#[cfg(feature = "nvenc")]
pub mod nvenc;
pub mod picture;
mod space;
pub mod sys;
#[cfg(feature = "x264")]
pub mod x264;

pub use buffer::Buffer;
pub use log::set_log_subject;
pub use space::free_bytes;
