//! Messages between the node and a program that sends frames: numbers of the machine's own byte
//! order at fixed places. `docs/frames.md` and `ffi/stream_manager_frames.h` have the layouts.

use super::error::FrameError;
use super::limits::{
    FRAME_BYTES, FRAMES_PER_SECOND_MAX, HELLO_BYTES, MAGIC, PIXELS_MAX, RECTANGLE_BYTES,
    RECTANGLES, RECTANGLES_MAX, SLOTS_MAX, VERSION,
};
use crate::media::Size;

/// Types of messages.
pub(super) const HELLO: u32 = 1;
pub(super) const FRAME: u32 = 2;
const WELCOME: u32 = 0x81;
const FREE: u32 = 0x82;
const REFUSED: u32 = 0x83;

/// Bytes of a message that says why a client is refused, and where its text begins.
const REFUSED_BYTES: usize = 256;
const REFUSED_TEXT: usize = 8;

/// Format of a client's pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFormat {
    /// Blue, green, red, alpha, a byte each; colours are not multiplied by alpha.
    Bgra,
    /// The same with colours that are.
    BgraPremultiplied,
    /// Three planes in BT.709 of limited range.
    I420,
    /// Two planes in BT.709 of limited range.
    Nv12,
}

impl FrameFormat {
    const fn of(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Bgra),
            2 => Some(Self::BgraPremultiplied),
            3 => Some(Self::I420),
            4 => Some(Self::Nv12),
            _ => None,
        }
    }
}

/// What a client says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Size of its pictures.
    pub size: Size,
    /// Their format.
    pub format: FrameFormat,
    /// How many of them its memory holds.
    pub slots: u32,
}

impl std::fmt::Display for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let format = match self.format {
            FrameFormat::Bgra => "BGRA",
            FrameFormat::BgraPremultiplied => "premultiplied BGRA",
            FrameFormat::I420 => "I420",
            FrameFormat::Nv12 => "NV12",
        };
        write!(f, "frames of {} in {format}", self.size)
    }
}

/// Rows of a picture: the first, and the one after the last.
pub(super) type Rows = (u32, u32);

/// A frame of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameMessage {
    pub(super) slot: u32,
    /// When it is to be shown, microseconds of `CLOCK_MONOTONIC`; 0 is at once.
    pub(super) time_us: u64,
    rows: [Rows; RECTANGLES],
    count: usize,
}

impl FrameMessage {
    /// The rows that have changed, from the top down, none of them twice; `None` if all have.
    pub(super) fn rows(&self) -> Option<&[Rows]> {
        self.rows.get(..self.count).filter(|rows| !rows.is_empty())
    }
}

/// A message of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    Hello(Hello),
    /// A frame, to be read by [`frame`].
    Frame(&'a [u8]),
}

/// Reads a message.
pub(super) fn read(bytes: &[u8]) -> Result<Message<'_>, FrameError> {
    match number(bytes, 0) {
        Some(HELLO) => hello(bytes).map(Message::Hello),
        Some(FRAME) => Ok(Message::Frame(bytes)),
        Some(kind) => Err(FrameError::Type(kind)),
        None => Err(FrameError::Length("message", bytes.len())),
    }
}

fn hello(bytes: &[u8]) -> Result<Hello, FrameError> {
    if bytes.len() != HELLO_BYTES {
        return Err(FrameError::Length("hello", bytes.len()));
    }
    let [magic, version, width, height, format, slots, reserved] =
        [4, 8, 12, 16, 20, 24, 28].map(|at| number(bytes, at).unwrap_or(0));
    for (field, value, wanted) in
        [("magic", magic, MAGIC), ("version", version, VERSION), ("reserved", reserved, 0)]
    {
        if value != wanted {
            return Err(FrameError::Hello(field, value));
        }
    }
    let size = Size::new(width, height)
        .filter(|size| size.width() * size.height() <= PIXELS_MAX)
        .ok_or(FrameError::Size(width, height))?;
    let format = FrameFormat::of(format).ok_or(FrameError::Hello("format", format))?;
    if !(1..=SLOTS_MAX).contains(&slots) {
        return Err(FrameError::Slots(slots));
    }
    Ok(Hello { size, format, slots })
}

/// Reads a frame of a client that has said this.
pub(super) fn frame(bytes: &[u8], hello: &Hello) -> Result<FrameMessage, FrameError> {
    let wrong = || FrameError::Length("frame", bytes.len());
    let (head, mut rest) = bytes.split_at_checked(FRAME_BYTES).ok_or_else(wrong)?;
    let [slot, count, reserved] = [4, 16, 20].map(|at| number(head, at).unwrap_or(0));
    let time_us = head[8..16].try_into().map_or(0, u64::from_ne_bytes);
    if slot >= hello.slots {
        return Err(FrameError::Slot(slot));
    }
    if count > RECTANGLES_MAX {
        return Err(FrameError::Rectangles(count));
    }
    if rest.len() != count as usize * RECTANGLE_BYTES || reserved != 0 {
        return Err(wrong());
    }
    let mut rows = [(0, 0); RECTANGLES];
    for (index, place) in (0..count).zip(&mut rows) {
        let (rectangle, further) = rest.split_at(RECTANGLE_BYTES);
        *place = rows_of(rectangle, hello.size).ok_or(FrameError::Rectangle(index))?;
        rest = further;
    }
    let count = merge(&mut rows[..count as usize]);
    Ok(FrameMessage { slot, time_us, rows, count })
}

/// The rows of a rectangle that is inside a picture of this size, and not empty.
fn rows_of(rectangle: &[u8], size: Size) -> Option<Rows> {
    let [x, y, width, height] = [0, 4, 8, 12].map(|at| number(rectangle, at).unwrap_or(0));
    let inside = |from: u32, length: u32, side: u32| {
        let end = from.checked_add(length)?;
        (length > 0 && end <= side).then_some(end)
    };
    inside(x, width, size.width())?;
    Some((y, inside(y, height, size.height())?))
}

/// Puts rows in their order and makes one of those that touch; how many are left.
fn merge(rows: &mut [Rows]) -> usize {
    rows.sort_unstable();
    let mut kept = 0_usize;
    for index in 0..rows.len() {
        let (from, to) = rows[index];
        match kept.checked_sub(1).map(|last| &mut rows[last]) {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => {
                rows[kept] = (from, to);
                kept += 1;
            }
        }
    }
    kept
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

/// A message of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// The hello was good.
    Welcome,
    /// A slot may be written again.
    Free(u32),
    /// The connection ends; why, of which 247 bytes are sent.
    Refused(&'a str),
}

impl Reply<'_> {
    /// The message, and how many bytes of it are to be sent.
    #[must_use]
    pub fn bytes(&self) -> ([u8; REFUSED_BYTES], usize) {
        let mut bytes = [0; REFUSED_BYTES];
        let mut put = |at: usize, value: u32| {
            bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        };
        let length = match self {
            Self::Welcome => {
                let numbers = [WELCOME, VERSION, FRAMES_PER_SECOND_MAX, 0];
                numbers.into_iter().enumerate().for_each(|(index, value)| put(4 * index, value));
                16
            }
            Self::Free(slot) => {
                put(0, FREE);
                put(4, *slot);
                8
            }
            Self::Refused(text) => {
                put(0, REFUSED);
                // A zero ends the text.
                let end = text.floor_char_boundary(REFUSED_BYTES - REFUSED_TEXT - 1);
                let text = &text.as_bytes()[..end];
                put(4, u32::try_from(text.len()).unwrap_or(0));
                bytes[REFUSED_TEXT..][..text.len()].copy_from_slice(text);
                REFUSED_BYTES
            }
        };
        (bytes, length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_touch_become_one_in_their_order() {
        let mut rows = [(10, 20), (0, 4), (20, 22), (12, 14), (30, 31)];
        let count = merge(&mut rows);
        assert_eq!(rows[..count], [(0, 4), (10, 22), (30, 31)]);
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_and_ends_with_a_zero() {
        let long = "x".repeat(1_000);
        let (bytes, length) = Reply::Refused(&long).bytes();
        assert_eq!((length, number(&bytes, 4)), (256, Some(247)));
        assert_eq!((bytes[254], bytes[255]), (b'x', 0));
    }
}
