//! Channels of a node: their stages are built and joined here, at its start and while it runs.

pub(crate) mod assets;
mod bound_text;
pub(crate) mod build;
pub(crate) mod compose;
pub(crate) mod context;
mod data_poller;
pub(crate) mod encoders;
pub(crate) mod error;
pub(crate) mod frame_sockets;
mod input_pool;
pub(crate) mod list;
pub(crate) mod mixers;
pub(crate) mod natives;
mod network_inputs;
pub(crate) mod offline;
pub(crate) mod players;
mod playlist_files;
mod playlists;
pub(crate) mod renditions;
pub(crate) mod scene_loader;
pub(crate) mod scenes;
pub(crate) mod screenshot;
mod secret_file;
pub(crate) mod sources;
pub(crate) mod stinger;
