//! The control plane: what people and their tools see of a node, and where its keys are kept. Off
//! the hot path, on the housekeeping core.

pub mod auth;
pub mod banner;
mod door;
pub mod durable;
pub mod http;
pub mod keystore;
pub mod log;
pub mod metrics;
pub mod state;
pub mod status;
pub mod time;

pub use door::{ASK_LIMIT, Door, QUESTIONS_MAX, Question, door};
