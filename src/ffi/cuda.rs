//! Calls of the CUDA driver, as `ffi/cuda.h` declares them.

pub use bound::*;

super::bound!("/cuda.rs");
