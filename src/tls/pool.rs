//! Record buffers: memory for sealed records, which a thread's connections use one after the other.

use std::cell::RefCell;

use super::records::{OVERHEAD_BYTES_MAX, PLAIN_BYTES_MAX};

/// Buffers that a thread keeps: more than are in use at once where nothing blocks. What comes
/// beyond is freed.
const BUFFERS_MAX: usize = 32;

/// Least bytes of a buffer that is kept: one record.
const BUFFER_BYTES_MIN: usize = PLAIN_BYTES_MAX + OVERHEAD_BYTES_MAX;

/// Most bytes of a buffer that is kept: 4 MiB are kept in all. A larger one is freed.
const BUFFER_BYTES_MAX: usize = 128 << 10;

thread_local! {
    static BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room for a record: the one that was given back last, which the processor's
/// cache still has.
pub(super) fn take() -> Vec<u8> {
    let kept = BUFFERS.try_with(|kept| kept.borrow_mut().pop()).ok().flatten();
    kept.unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES_MIN))
}

/// Takes a buffer back that is not needed any more.
pub(super) fn give(mut buffer: Vec<u8>) {
    if !(BUFFER_BYTES_MIN..=BUFFER_BYTES_MAX).contains(&buffer.capacity()) {
        return;
    }
    buffer.clear();
    let keep = |kept: &RefCell<Vec<Vec<u8>>>| {
        let mut kept = kept.borrow_mut();
        if kept.len() < BUFFERS_MAX {
            kept.push(buffer);
        }
    };
    // A thread that ends has freed the others, and frees this one.
    BUFFERS.try_with(keep).unwrap_or_default();
}
