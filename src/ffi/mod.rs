//! Safe owners of foreign handles, and the one place that knows which FFmpeg is linked.

pub mod av;
mod buffer;
pub mod picture;
mod space;
pub mod sys;

pub use buffer::Buffer;
pub use space::free_bytes;
