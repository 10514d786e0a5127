//! Scenarios that measure times, rates or memory, or count every picture. `make test` runs them when
//! nothing else runs.

mod afternoon;
mod channels;
mod congested;
mod crowd;
mod edits;
mod fallback;
mod governed;
mod in_step;
mod keyframe;
mod live;
mod overloaded;
mod rates;
mod smaller;
mod stalled;
mod traced;
