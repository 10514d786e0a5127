//! Streams and connections as the API shows them.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::event::KeyHolder;
use crate::media::Micros;
use crate::stats::OtherReader;

/// One stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamView {
    /// Public name, such as `live/demo`.
    pub name: String,
    /// `channel`, `publisher`, `pull`, or `nobody` within the grace time.
    pub source: &'static str,
    /// Who publishes it, if it is a connection.
    pub publisher: Option<PublisherView>,
    /// When the source came, on the node's clock.
    pub since: Micros,
    /// Its audience on all shards.
    pub viewers: u64,
    /// Who else reads it, in the order of [`OtherReader::ALL`].
    pub other_readers: [u64; OtherReader::ALL.len()],
    /// Bytes of its messages since then.
    pub bytes_in: u64,
    /// Bytes sent to its viewers since then.
    pub bytes_out: u64,
    /// Bits per second of its messages over the last second or so.
    pub bitrate_bps: f64,
    /// Bits per second to its readers over the last second or so.
    pub out_bps: f64,
    /// Time from keyframe to keyframe by its timestamps; `None` before the second one.
    pub keyframe_interval: Option<Micros>,
    /// How many milliseconds its pictures are ahead of the audio that comes with them; `None` while
    /// there is only one of them.
    pub av_offset_ms: Option<f64>,
    /// Video codec as `FourCC` or name, if it has video.
    pub video: Option<VideoView>,
    /// Audio, if it has any.
    pub audio: Option<AudioView>,
    /// What its audio and its video messages amount to.
    pub tracks: [TrackPart; 2],
}

/// A connection that publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublisherView {
    /// Its client id.
    pub id: String,
    /// Where it comes from.
    pub address: SocketAddr,
    /// Name and version of its program, as it gives them; empty if it did not say.
    pub agent: String,
    /// With whose key; `None` if anybody may publish.
    pub holder: Option<Arc<KeyHolder>>,
}

/// What is known about a stream's pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoView {
    /// `H264`, `HEVC`, `AV1`, `VP9`.
    pub codec: String,
    /// Pixels; 0 if not announced.
    pub width: u32,
    /// Pixels; 0 if not announced.
    pub height: u32,
    /// Frames per second; 0 if not announced.
    pub fps: f64,
    /// `AVCProfileIndication`, `profile_compatibility` and `AVCLevelIndication` of H.264
    /// (ISO/IEC 14496-15 section 5.3.3.1).
    pub avc: Option<[u8; 3]>,
}

/// What is known about a stream's audio.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioView {
    /// `AAC`, `Opus`, `MP3`, `FLAC`, `AC-3`.
    pub codec: String,
    /// Samples per second; 0 if not announced.
    pub sample_rate: u32,
    /// 0 if not announced.
    pub channels: u32,
    /// Audio object type of AAC (ISO/IEC 14496-3 table 1.17): 2 is AAC-LC.
    pub aac_object_type: Option<u8>,
}

/// One connection.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientView {
    /// Its 8 characters.
    pub id: String,
    /// Where it comes from.
    pub address: SocketAddr,
    /// `pending`, `publisher`, `player`, or `preview` for a player in the dashboard.
    pub state: &'static str,
    /// `rtmp`, `rtmps`, `http-flv`, `ws-flv` or `http-snapshot`.
    pub protocol: &'static str,
    /// Public name of its stream; empty while pending.
    pub stream: String,
    /// When it connected, on the node's clock.
    pub since: Micros,
    /// Bytes it sent.
    pub bytes_in: u64,
    /// Bytes it was sent.
    pub bytes_out: u64,
    /// Messages left out for it.
    pub dropped: u64,
    /// Name and version of its program, as it gives them; empty if it did not say.
    pub agent: String,
    /// With whose key it publishes; `None` for others, and if anybody may publish.
    pub holder: Option<Arc<KeyHolder>>,
}

/// What one kind of a stream's messages amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TrackPart {
    /// Bits per second, as measured last.
    pub bitrate_bps: f64,
    /// Timestamp of the newest message, milliseconds modulo 2^32; `None` before the first.
    pub newest_ms: Option<u32>,
}
