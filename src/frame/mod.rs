//! Pooled memory of the data plane: pictures on their way to an encoder, and packets on their way
//! to sockets. Pictures are reserved at start, packets ahead of what is in use; handles give their
//! slot back when they are dropped.

mod budget;
mod geometry;
mod packet;
mod packet_pool;
mod pool;
mod region;
pub mod saved;
mod slab;
mod timed;

pub use budget::{Budget, Share};
pub use geometry::Geometry;
pub use packet::{HEADROOM, Packet, PacketBuf, TAIL};
pub use packet_pool::{PacketPool, PacketPoolSpec};
pub use pool::{Frame, FrozenFrame, PlaneMut, Pool};
pub use region::Error;
pub use timed::{AudioBlock, BLOCK_SAMPLES, PictureEvent};
