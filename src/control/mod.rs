//! The control plane: what people and their tools see of a node, and where its keys are kept. Off
//! the hot path, on the housekeeping core.

pub mod asset_folder;
pub mod auth;
pub(crate) mod balance;
pub mod banner;
pub(crate) mod bitrates;
pub(crate) mod channel_warnings;
pub(crate) mod channels;
pub mod clip_folder;
pub(crate) mod config_change;
pub(crate) mod config_store;
pub(crate) mod controller;
pub mod durable;
pub(crate) mod event_queue;
pub(crate) mod fallbacks;
pub(crate) mod handle;
pub(crate) mod hooks;
pub mod http;
mod http_client;
pub(crate) mod input_rules;
mod kept_documents;
pub(crate) mod key_service;
pub mod keystore;
pub mod log;
pub mod metrics;
pub(crate) mod outputs;
pub(crate) mod packet_memory;
pub(crate) mod placement;
pub(crate) mod pulls;
pub(crate) mod recordings;
pub(crate) mod reload;
pub(crate) mod schedules;
pub(crate) mod settings;
pub(crate) mod shard_query;
pub mod state;
pub mod status;
pub(crate) mod stream_facts;
pub mod stream_snapshots;
pub(crate) mod supervisor;
pub(crate) mod threads;
pub mod time;
pub mod traces;
pub(crate) mod transcodes;
pub(crate) mod watchdog;

pub use handle::{ControlHandle, Request, control_channel};
