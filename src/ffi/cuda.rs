//! Calls of the CUDA driver, as `ffi/cuda.h` declares them.

pub use bound::*;

#[allow(
    warnings,
    unsafe_op_in_unsafe_fn,
    clippy::undocumented_unsafe_blocks,
    clippy::missing_safety_doc,
    reason = "generated from a C header"
)]
mod bound {
    include!(concat!(env!("OUT_DIR"), "/cuda.rs"));
}
