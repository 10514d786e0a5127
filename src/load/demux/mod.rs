//! Demuxers of what servers send to players: RTMP chunks, and FLV by HTTP or in a `WebSocket`. They
//! look at the first bytes of each message and skip the rest: as little work per byte as can be,
//! because thousands of viewers share a core.

mod chunks;
mod flv;
mod frames;
mod http;

pub(super) use chunks::ChunkDemuxer;
pub(super) use flv::{FlvDemuxer, NotFlv};
pub(super) use frames::FrameReader;
pub(super) use http::HttpDemuxer;

/// Message type ids (RTMP 1.0 sections 5.4 and 7.1); FLV tags have the same.
pub(super) const SET_CHUNK_SIZE: u8 = 1;
pub(super) const USER_CONTROL: u8 = 4;
pub(super) const AUDIO: u8 = 8;
pub(super) const VIDEO: u8 = 9;
pub(super) const DATA: u8 = 18;
pub(super) const COMMAND: u8 = 20;
