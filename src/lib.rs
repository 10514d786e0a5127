//! Stream Manager: a live-streaming node in one Linux process. It composes scenes and sound,
//! encodes them in-process, serves RTMP to viewers, and pushes to other servers.
//!
//! `scene` draws into a `frame` taken from a pool, `sound` mixes, a `ring` carries both to `encode`
//! threads, which turn them into packets; `stream` keeps each stream's recent messages as `rtmp`
//! sends them; `pipeline` runs these steps on the cores that `runtime` pins, and `manager` joins
//! everything.
//!
//! Most people run the program. Another program can feed it frames that it draws itself:
//!
//! ```no_run
#![doc = include_str!("../examples/embed.rs")]
//! ```

pub mod cli;
pub mod command;
pub mod config;
pub mod control;
pub mod decode;
pub mod encode;
pub mod event;
pub mod ffi;
pub mod flv;
pub mod frame;
pub mod keys;
pub mod limits;
pub mod load;
mod manager;
pub mod media;
pub mod pipeline;
pub mod record;
pub mod ring;
pub mod rtmp;
pub mod runtime;
pub mod scene;
pub mod shard;
pub mod sound;
pub mod stats;
pub mod stream;
pub mod tls;
pub mod web;

pub use manager::{
    AddedKey, Asked, Encoder, Feed, Hooks, Invalid, JournalError, ListenError, LiveNode, Node,
    Origin, Pipeline, RtmpServer, StartError, StreamManager, Subscriber, Verdict, config_export,
    keys_bench, keys_command, run,
};
