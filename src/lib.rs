//! Stream Manager: a live-streaming node in one Linux process. It composes scenes and audio,
//! encodes them in-process, serves RTMP to viewers, and pushes to other servers.
//!
//! `scene` draws into a `frame` taken from a pool, `audio` mixes, a `ring` carries both to `encode`
//! threads, which turn them into packets; `stream` keeps each stream's recent messages as `rtmp`
//! sends them; `pipeline` runs these steps on the cores that `runtime` pins, and `node` joins
//! everything.
//!
//! Most people run the program. Another program can feed it frames that it draws itself:
//!
//! ```no_run
#![doc = include_str!("../examples/embed.rs")]
//! ```
//!
//! # What a node changes of its process
//!
//! Several nodes may run in one process, each with a port of its own. Dropping one ends it: its
//! threads have ended then, and its ports, files and descriptors are closed. The same holds for a
//! start that fails. Beyond that a node changes of its process only what it is told to by
//! [`ProcessAccess`], and gives it back when it ends; the program allows itself everything.
//!
//! | what | the library | the program |
//! |---|---|---|
//! | soft limits of open files and locked memory | with `raise_limits` | raised to the hard ones |
//! | FFmpeg's log callback and its level | with `ffmpeg_log` | to the program's log |
//! | SIGTERM, SIGINT, SIGHUP | never | the end of the node, and a reload |
//! | files | those that the configuration names | also `./data` |
//! | working directory, environment, panic hook | never | never |

mod audio;
#[doc(hidden)]
pub mod cli;
pub mod command;
pub mod config;
mod control;
mod decode;
mod encode;
pub mod event;
mod ffi;
pub mod flv;
mod frame;
mod host;
#[doc(hidden)]
pub mod internals;
mod keys;
mod limits;
mod load;
pub mod media;
mod node;
mod pipeline;
mod probes;
mod profile;
mod record;
mod ring;
pub mod rtmp;
mod runtime;
mod scene;
mod schedule;
mod shard;
mod stats;
mod stream;
mod tls;
mod trace;
mod web;

pub use control::hooks::{Asked, Hooks, JournalError, Subscriber, Verdict};
pub use node::{
    AddedKey, Encoder, EncoderInput, Invalid, ListenError, LiveNode, Node, Origin, Pipeline,
    ProcessAccess, RtmpServer, StartError, StreamManager, run,
};
