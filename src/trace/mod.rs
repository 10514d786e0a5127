//! Trace of the node: a ring of records on each thread, always on, and their form for Perfetto.

mod perfetto;
mod recorder;
mod summary;
mod timeline;

pub use perfetto::{TraceNames, write_perfetto};
pub use recorder::{
    CORE_RECORDS, RecordKind, WORKER_RECORDS, begin_recording, gather, record_count, record_stage,
    record_turn,
};
pub use summary::summarize;
