//! Profiler of the process's own threads: samples of their stacks, without privileges and without
//! another program. A thread copies its own stack when a signal asks it to; everything else is done
//! by whoever asked.

mod names;
mod pprof;
mod profiler;
mod stack;
mod timers;

pub(crate) use names::Symbols;
pub(crate) use profiler::{ProfileError, Profiling};
pub(crate) use stack::StackSamples;
