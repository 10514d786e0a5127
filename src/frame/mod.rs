//! Pooled memory of the data plane: pictures on their way to an encoder, and packets on their way
//! to sockets. All of it is reserved at start; handles give their slot back when they are dropped.

mod budget;
mod free_list;
mod geometry;
mod packet;
mod pool;
mod region;
mod timed;

pub use budget::{Budget, Share};
pub use geometry::{Geometry, Plane};
pub use packet::{HEADROOM, Packet, PacketBuf, PacketPool, PacketPoolSpec, TAIL};
pub use pool::{Frame, FrozenFrame, PlaneMut, Pool};
pub use region::Error;
pub use timed::{BLOCK_SAMPLES, PictureEvent, SoundBlock};
