//! libx264's interface, as the installed header declares it.

pub use bound::*;

#[allow(
    warnings,
    unsafe_op_in_unsafe_fn,
    clippy::undocumented_unsafe_blocks,
    clippy::missing_safety_doc,
    reason = "generated from a C header"
)]
mod bound {
    include!(concat!(env!("OUT_DIR"), "/x264.rs"));
}
