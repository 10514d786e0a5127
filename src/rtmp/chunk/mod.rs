//! The chunk layer: messages in pieces (RTMP 1.0 section 5.3).

mod header;
mod reader;
mod writer;

pub use header::{EXTENDED_TIME, HeaderBytes, MessageHeader};
pub use reader::{Message, Reader};
pub use writer::{Writer, stream_of};
