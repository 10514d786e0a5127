//! End-to-end scenarios: the real program against ffmpeg, GStreamer, rtmpdump, OBS, VLC, nginx-rtmp
//! and a hand-written RTMP peer. What they need is installed by `make deps`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a failing step fails its scenario, and scenarios happen in real time"
)]

mod amf;
mod api;
mod composition;
mod config;
mod destination;
mod hook_server;
mod machine;
mod modern;
mod nginx;
mod node;
mod profile;
mod program;
mod publisher;
mod recording;
mod redis;
mod reloading;
mod wait;
mod watcher;
mod web;
mod wire;

mod assets;
mod audience;
mod bad_input;
mod clips;
mod comparing;
mod delay;
mod doors;
mod embedding;
mod end_to_end;
mod ending;
mod enhanced;
mod fallbacks;
mod flv;
mod frames;
mod gaps;
mod gpu;
mod histories;
mod hooks;
mod hostile;
mod identity;
mod input_rules;
mod joining;
mod key_command;
mod keyring;
mod keys;
mod latency;
mod limits;
mod live_input;
mod load;
mod loops;
mod measured;
mod mistakes;
mod mixing;
mod monitoring;
mod multitrack;
mod network_input;
mod obs;
mod obs_websocket;
mod overlays;
mod pairs;
mod picture;
mod playback;
mod playlists;
mod preview;
mod profiling;
mod pushing;
mod recorder;
mod relay_control;
mod relaying;
mod render;
mod renditions;
mod sandbox;
mod scaling;
mod schedule;
mod secrets;
mod show;
mod silence;
mod snapshots;
mod statistics;
mod stopping;
mod takeover;
mod terminal;
mod tls;
mod trace;
mod tracks;
mod transactions;
mod transcode;
mod transitions;
mod two_shards;
mod unprivileged;
mod uploading;
mod vaapi;
mod video_files;
mod vlc;
mod warnings;
