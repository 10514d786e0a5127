//! Host: what of the machine makes a node slower or later. It is read from `/proc` and `/sys`,
//! measured where that takes no rights, and never changed.

mod cpus;
mod findings;
mod kernel_tree;
mod measure;
mod memory;
mod network;
mod page_walk;
mod report;

pub use findings::findings;
pub use kernel_tree::KernelTree;
pub use measure::{Measured, measure};
