//! Faults of a program that sends frames, each with what to do about it.

use std::fmt;
use std::io;

use super::limits::{
    FRAME_BYTES, HELLO_BYTES, MAGIC, PIXELS_MAX, RECTANGLE_BYTES, RECTANGLES_MAX, SLOTS_MAX,
    VERSION,
};
use crate::media::Size;

/// Why a program that sends frames is let go.
#[derive(Debug)]
pub enum FrameError {
    /// A message of no known type.
    Type(u32),
    /// A message of the wrong length: its type, and bytes.
    Length(&'static str, usize),
    /// A hello without the magic number, or of another version: the field, and its value.
    Hello(&'static str, u32),
    /// A width and height that pictures do not have.
    Size(u32, u32),
    /// A number of slots out of range.
    Slots(u32),
    /// A second hello.
    Again,
    /// A frame before the hello.
    Early,
    /// A hello without its memory, or with more than one descriptor.
    Descriptors(usize),
    /// Memory that can be made smaller, or is no memory.
    Unsealed,
    /// Memory that is smaller than its slots: its bytes, and those that are needed.
    Small(u64, u64),
    /// A frame in a slot that there is not.
    Slot(u32),
    /// More rectangles than a frame may have.
    Rectangles(u32),
    /// A rectangle that is empty or not inside the picture.
    Rectangle(u32),
    /// The memory cannot be read, or there is none for a picture.
    Memory(io::Error),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(kind) => write!(f, "type {kind}: send a hello (1), then frames (2)"),
            Self::Length(kind, bytes) => write!(
                f,
                "a {kind} of {bytes} bytes: a hello has {HELLO_BYTES}, a frame {FRAME_BYTES} and \
                 {RECTANGLE_BYTES} for each rectangle"
            ),
            Self::Hello(field, value) => write!(
                f,
                "`{field}` of the hello is {value:#x}: `magic` is {MAGIC:#x}, `version` is \
                 {VERSION}, `format` 1 to 4, `reserved` 0"
            ),
            Self::Size(width, height) => write!(
                f,
                "`width` and `height` of the hello are {width} and {height}: both are even, {} to \
                 {}, and together at most {PIXELS_MAX} pixels",
                Size::SIDE_MIN,
                Size::SIDE_MAX
            ),
            Self::Slots(slots) => {
                write!(f, "`slots` of the hello is {slots}: share 1 to {SLOTS_MAX}")
            }
            Self::Again => f.write_str("a second hello: connect anew for another size or format"),
            Self::Early => f.write_str("a frame before the hello: send that first"),
            Self::Descriptors(count) => {
                write!(f, "{count} descriptors: a hello brings one, of a memfd, a frame none")
            }
            Self::Unsealed => {
                f.write_str("the memory of the hello is no memfd with F_SEAL_SHRINK: seal it first")
            }
            Self::Small(bytes, needed) => {
                write!(f, "the memory has {bytes} bytes: its slots need {needed}")
            }
            Self::Slot(slot) => write!(f, "`slot` of a frame is {slot}: the hello said fewer"),
            Self::Rectangles(count) => write!(
                f,
                "`rectangles` of a frame is {count}: send at most {RECTANGLES_MAX}, or 0 for all"
            ),
            Self::Rectangle(index) => {
                write!(f, "rectangle {index} of a frame is empty or not inside the picture")
            }
            Self::Memory(error) => write!(f, "the memory cannot be read: {error}"),
        }
    }
}

impl std::error::Error for FrameError {}
