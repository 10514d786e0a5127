//! Static probes (USDT) of provider `stream_manager`, at the borders of stages and where something
//! is dropped: what `bpftrace` and `gdb` attach to while the node runs.
//!
//! A probe to which nothing is attached is one `nop` with its arguments in registers. Those whose
//! arguments cost something look first whether anybody is attached. `docs/profiling.md` lists them
//! all for those who attach; a test compares it with the program.

mod drops;
mod stages;

pub use drops::{
    audio_dropped, frame_late, frames_dropped, hop_lost, message_dropped, reader_jumped,
    reader_overrun, reader_skipping, recording_dropped, socket_full,
};
pub use stages::{
    frame_appended, frame_composed, frame_done, frame_encoded, frame_encoding, frame_received,
    frame_scaled, frame_sent, frame_served, frame_started, frame_taken, frames_waiting, loop_turn,
    message_read, packet_encoded, viewers_full, viewers_sent,
};
