//! RTMP sessions: what a connection says and in which order, for the side that accepted it and the
//! side that made it.

mod auth;
mod client;
mod commands;
mod fault;
mod inbox;
mod link;
mod playback;
mod player_commands;
mod server;
mod status;
mod verdict;

pub use client::{Client, ClientEvent, ClientSpec, Goal};
pub use playback::Playback;
pub use server::{Server, ServerEvent, ServerSpec};
pub use status::{Connect, PlayRefusal, PublishRefusal};

#[cfg(test)]
mod client_tests;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod independent_tests;
#[cfg(test)]
mod peers_tests;
#[cfg(test)]
mod playback_tests;
#[cfg(test)]
mod redirect_tests;
#[cfg(test)]
mod rules_tests;
#[cfg(test)]
mod segmentation_tests;
