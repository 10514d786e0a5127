//! Messages of a test's client.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::limits::{MAGIC, VERSION};
use super::message::{FRAME, HELLO};
use crate::ffi::seqpacket_client::memory;

/// Bytes of a message of these numbers.
pub(crate) fn message(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
}

/// A hello of pictures of this size and format in so many slots.
pub(crate) fn hello(size: [u32; 2], format: u32, slots: u32) -> Vec<u8> {
    message(&[HELLO, MAGIC, VERSION, size[0], size[1], format, slots, 0])
}

/// A frame to be shown at once, with these rectangles.
pub(crate) fn frame(slot: u32, rectangles: &[[u32; 4]]) -> Vec<u8> {
    let count = u32::try_from(rectangles.len()).unwrap();
    let head = [FRAME, slot, 0, 0, count, 0];
    message(&head.into_iter().chain(rectangles.as_flattened().iter().copied()).collect::<Vec<_>>())
}

/// Sealed memory of so many bytes.
pub(crate) fn sealed(bytes: u64) -> File {
    memory(bytes, libc::F_SEAL_SHRINK)
}

/// Writes the same four bytes over and over.
pub(crate) fn paint(memory: &File, from: u64, pixel: [u8; 4], pixels: usize) {
    memory.write_all_at(&pixel.repeat(pixels), from).unwrap();
}
