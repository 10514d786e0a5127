//! The shape of `/status.json`, apart from the figures it is made from: it is an interface.

use std::collections::BTreeMap;

use serde::Serialize;

use super::shared::NodeInfo;
use crate::control::banner::rtmp_url;
use crate::control::state::{Latency, named};
use crate::stats::{ChannelSnapshot, DropReason, ErrorKind, OutputSnapshot, Snapshot, ViewerDrop};

/// The node as `/status.json` shows it. Times end in `_s` or `_ms`, rates in `_bps`.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    node: Node,
    missing: Vec<String>,
    traffic: Traffic,
    channels: Vec<Channel>,
    outputs: Vec<Output>,
}

#[derive(Debug, Serialize)]
struct Node {
    name: String,
    version: String,
    rtmp: String,
    ready: bool,
    uptime_s: f64,
}

#[derive(Debug, Serialize)]
struct Traffic {
    connections: u64,
    streams: u64,
    viewers: u64,
    in_bps: f64,
    out_bps: f64,
    in_bytes: u64,
    out_bytes: u64,
    viewer_drops: BTreeMap<String, u64>,
    errors: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct Channel {
    name: String,
    stream: String,
    play_url: String,
    fps: f64,
    bitrate_bps: f64,
    queue: u64,
    frames: u64,
    keyframes: u64,
    audio_frames: u64,
    dropped: u64,
    dropped_by: BTreeMap<String, u64>,
    /// Since the start, as is the next.
    encode_ms: Option<Latency>,
    latency_ms: Option<Latency>,
}

#[derive(Debug, Serialize)]
struct Output {
    channel: String,
    name: String,
    destination: String,
    state: &'static str,
    connects: u64,
    failures: u64,
    bytes: u64,
    lag_s: f64,
    jumps: u64,
}

impl Status {
    /// What is told of `snapshot`.
    pub(super) fn new(info: &NodeInfo, snapshot: &Snapshot, missing: Vec<String>) -> Self {
        let figures = &snapshot.node;
        let rtmp = rtmp_url(info.rtmp);
        Self {
            traffic: Traffic {
                connections: figures.connections,
                streams: figures.streams,
                viewers: figures.viewers,
                in_bps: snapshot.in_bps,
                out_bps: snapshot.out_bps,
                in_bytes: figures.bytes_in,
                out_bytes: figures.bytes_out,
                viewer_drops: named(ViewerDrop::ALL.map(ViewerDrop::label), figures.drops),
                errors: named(ErrorKind::ALL.map(ErrorKind::label), figures.errors),
            },
            channels: snapshot.channels.iter().map(|c| Channel::new(&rtmp, c)).collect(),
            outputs: snapshot.outputs.iter().map(Output::new).collect(),
            node: Node {
                name: info.name.clone(),
                version: info.version.clone(),
                ready: missing.is_empty(),
                uptime_s: snapshot.uptime_s,
                rtmp,
            },
            missing,
        }
    }
}

impl Channel {
    fn new(rtmp: &str, channel: &ChannelSnapshot) -> Self {
        let ChannelSnapshot { name, stream, figures, .. } = channel;
        Self {
            name: name.clone(),
            stream: stream.clone(),
            play_url: format!("{rtmp}/{stream}"),
            fps: figures.fps,
            bitrate_bps: figures.bitrate_bps,
            queue: figures.queue,
            frames: figures.frames,
            keyframes: figures.keyframes,
            audio_frames: figures.audio_frames,
            dropped: figures.dropped_total(),
            dropped_by: named(DropReason::ALL.map(DropReason::label), figures.dropped),
            encode_ms: Latency::of(&figures.encode),
            latency_ms: Latency::of(&figures.latency),
        }
    }
}

impl Output {
    fn new(output: &OutputSnapshot) -> Self {
        let figures = &output.figures;
        let line = &figures.line;
        Self {
            channel: output.channel.clone(),
            name: output.name.clone(),
            destination: output.destination.clone(),
            state: line.state.label(),
            connects: line.connects,
            failures: line.failures,
            bytes: line.bytes,
            lag_s: figures.lag_s,
            jumps: figures.jumps,
        }
    }
}
