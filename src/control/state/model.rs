//! State model of the API and the WebSocket. Times end in `_at` (milliseconds since 1970) or `_ms`,
//! rates in `_bps`. Nothing here can hold a secret.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::composition::Composition;
use super::fallbacks::Fallback;
use super::figures::Latency;
use super::input_rules::InputRule;
use super::relays::{Output, Pull, Push};
use super::rendition::Rendition;
use super::speed::Speed;
use super::transcodes::Transcode;
use crate::command::{PublisherView, StreamView};
use crate::control::auth::Access;
use crate::control::keystore::KeyView;
use crate::control::time::Time;
use crate::event::KeyHolder;
use crate::keys::Takeover;
use crate::stats::RunState;

/// The whole node at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Snapshot {
    /// When, milliseconds since 1970.
    pub at: u64,
    /// The node itself.
    pub node: Node,
    /// Channels by name.
    pub channels: BTreeMap<String, Channel>,
    /// Outputs by `channel/name`.
    pub outputs: BTreeMap<String, Output>,
    /// Pulls by name.
    pub pulls: BTreeMap<String, Pull>,
    /// Pushes that belong to no channel, by name.
    pub pushes: BTreeMap<String, Push>,
    /// Recordings by name.
    pub recordings: BTreeMap<String, Recording>,
    /// Transcodes by name.
    pub transcodes: BTreeMap<String, Transcode>,
    /// Streams with a fallback, by their public names.
    pub fallbacks: BTreeMap<String, Fallback>,
    /// Streams by name.
    pub streams: BTreeMap<String, Stream>,
    /// Keys by id.
    pub keys: BTreeMap<String, Key>,
    /// What drawing takes, by channels: for those who ask, not for those who follow.
    #[serde(skip)]
    pub compositions: BTreeMap<String, Composition>,
    /// Inputs that rules of channels watch; the same.
    #[serde(skip)]
    pub input_rules: Vec<InputRule>,
}

/// The node itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Version of the program.
    pub version: String,
    /// When it started, milliseconds since 1970.
    pub started_at: u64,
    /// For how long it has run, milliseconds.
    pub uptime_ms: u64,
    /// TCP port of RTMP and HTTP-FLV.
    pub rtmp_port: u16,
    /// What a stream's name and `.flv` are put behind to play it over HTTP.
    pub flv_url_base: String,
    /// Which CPU does what.
    pub cores: Cores,
    /// What runs the shards, and why it is that.
    pub driver: Driver,
    /// The rule by which channels, outputs, pushes, pulls and recordings are placed at the shards,
    /// for people.
    pub placement: String,
    /// The shards by their numbers, and what each has.
    pub shards: Vec<Shard>,
    /// Connections now.
    pub connections: u64,
    /// Connections that play now: the audience.
    pub viewers: u64,
    /// Who else reads streams: `output`, `preview`, `input`, `recording`.
    pub other_readers: BTreeMap<String, u64>,
    /// Bits per second from peers.
    pub in_bps: f64,
    /// Bits per second to peers.
    pub out_bps: f64,
    /// Connections that failed, by what went wrong.
    pub errors: BTreeMap<String, u64>,
    /// What lagging readers lost, by reason.
    pub drops: BTreeMap<String, u64>,
    /// Whether the token that asks may change anything.
    pub can_write: bool,
    /// Its role: `admin`, `operator` (all but stream keys and the node itself) or `read-only`.
    pub role: String,
}

impl Node {
    /// Says what whoever is told of it may do.
    pub fn set_access(&mut self, access: Access) {
        self.can_write = access >= Access::Operate;
        access.role().clone_into(&mut self.role);
    }
}

/// CPU numbers by role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cores {
    /// The control plane.
    pub control: Vec<usize>,
    /// One shard on each.
    pub net: Vec<usize>,
    /// The composers.
    pub compose: usize,
    /// Encoders and decoders.
    pub encode: Vec<usize>,
}

/// What runs the shards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Driver {
    /// `glommio` or `epoll`.
    pub kind: String,
    /// Why it is that one, for people.
    pub reason: String,
}

/// A shard, and what is placed at it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Shard {
    /// Its number.
    pub number: usize,
    /// The CPU that it runs on.
    pub cpu: usize,
    /// The part of its time that it worked and did not wait, 0 to 1, in about the last second.
    pub busy: f64,
    /// Channels whose streams it owns.
    pub channels: Vec<String>,
    /// Outputs of channels, as `channel/name`.
    pub outputs: Vec<String>,
    /// Pushes.
    pub pushes: Vec<String>,
    /// Pulls.
    pub pulls: Vec<String>,
    /// Recordings that run.
    pub recordings: Vec<String>,
}

/// A channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// The stream it makes.
    pub stream: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames per second that are wanted.
    pub fps_target: f64,
    /// Frames per second, mean of the last seconds.
    pub fps: f64,
    /// Bits per second of video and audio, mean of the last seconds.
    pub bitrate_bps: f64,
    /// Bits per second of video alone, mean of the last seconds: what `target_bps` is about.
    pub video_bps: f64,
    /// Video bits per second that the encoder is to make now: fewer than `configured_bps` while
    /// outputs, which alone read the stream, are congested.
    pub target_bps: u64,
    /// Video bits per second of the configuration.
    pub configured_bps: u64,
    /// Video codec.
    pub codec: String,
    /// The video encoder that encodes now.
    pub encoder: String,
    /// Its preset: the best one that `speed` may come to.
    pub preset: String,
    /// How fast it encodes now.
    pub speed: Speed,
    /// Frames encoded since start.
    pub frames: u64,
    /// Frames nobody got to see, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Frames nobody got to see in each of the last 24 hours of the clock (UTC), oldest first; the
    /// last one is the hour that goes on.
    pub dropped_by_hour: Vec<u64>,
    /// Frames that wait for the encoder.
    pub queue: u64,
    /// From when a frame was due to when it could be sent, in the last second; nothing if there
    /// was none.
    pub latency_ms: Option<Latency>,
    /// The scene on the air.
    pub scene: String,
    /// All scenes.
    pub scenes: Vec<String>,
    /// Names of its outputs.
    pub outputs: Vec<String>,
    /// Its further renditions: the fields above are about the first one, `main`.
    pub renditions: Vec<Rendition>,
}

/// A recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Recording {
    /// Its name.
    pub name: String,
    /// The stream that it records.
    pub stream: String,
    /// The folder of its files.
    pub dir: String,
    /// `flv` or `mp4`.
    pub format: String,
    /// What it does.
    pub state: RunState,
    /// Why it could not go on, until it is live again, or what its file lacks.
    pub error: Option<String>,
    /// The file that is being written.
    pub file: Option<String>,
    /// Files begun.
    pub files: u64,
    /// Bytes in files.
    pub bytes: u64,
    /// Messages left out because the disk was too slow.
    pub dropped: u64,
}

/// A stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Stream {
    /// Public name, `app/name`.
    pub name: String,
    /// `channel`, `transcode`, `fallback` (of a stream with one), `publisher`, `pull`, or `nobody`
    /// while its viewers wait for one.
    pub source: String,
    /// Who publishes it, if it is a connection.
    pub publisher: Option<Publisher>,
    /// When its source came, milliseconds since 1970.
    pub since_at: u64,
    /// Its audience.
    pub viewers: u64,
    /// Who else reads it: `output`, `preview`, `input`, `recording`.
    pub other_readers: BTreeMap<String, u64>,
    /// Bytes of its messages since then.
    pub bytes_in: u64,
    /// Bytes sent to its readers since then.
    pub bytes_out: u64,
    /// Bits per second of its messages.
    pub bitrate_bps: f64,
    /// Time from keyframe to keyframe by its timestamps; nothing before the second one.
    pub keyframe_interval_ms: Option<u64>,
    /// How far pictures are ahead of the audio that comes with them, by their timestamps; nothing
    /// while there is only one of them.
    pub av_offset_ms: Option<f64>,
    /// Its pictures, if it has any.
    pub video: Option<StreamVideo>,
    /// Its audio, if it has any.
    pub audio: Option<StreamAudio>,
    /// Where it is played over HTTP.
    pub flv_url: String,
}

/// A connection that publishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Publisher {
    /// Its client id.
    pub id: String,
    /// Where it comes from.
    pub address: String,
    /// Name and version of its program, as it gives them (`flashVer`); empty if it did not say.
    pub encoder: String,
    /// Id of the key it publishes with; nothing if anybody may publish.
    pub key: Option<String>,
    /// Whose key it is.
    pub owner: Option<String>,
    /// The key's note for people.
    pub label: Option<String>,
}

impl From<&PublisherView> for Publisher {
    fn from(view: &PublisherView) -> Self {
        let [key, owner, label] = held(view.holder.as_deref());
        Self {
            id: view.id.clone(),
            address: view.address.to_string(),
            encoder: view.agent.clone(),
            key,
            owner,
            label,
        }
    }
}

/// Id, owner and label of a key, as far as there are any.
#[must_use]
pub fn held(holder: Option<&KeyHolder>) -> [Option<String>; 3] {
    let Some(KeyHolder { key, owner, label }) = holder else { return [None, None, None] };
    [key.as_str(), owner, label].map(|text| (!text.is_empty()).then(|| text.to_owned()))
}

/// What is known about a stream's pictures. What is not announced is 0.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct StreamVideo {
    /// `H264`, `HEVC`, `AV1`, `VP9`.
    pub codec: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames per second.
    pub fps: f64,
}

/// What is known about a stream's audio. What is not announced is 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StreamAudio {
    /// `AAC`, `Opus`, `MP3`, `FLAC`, `AC-3`.
    pub codec: String,
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u32,
}

/// A stream key, without the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Key {
    /// First 16 hexadecimal digits of its hash.
    pub id: String,
    /// `regular`, `alias` or `development`.
    #[serde(rename = "type")]
    pub key_type: String,
    /// Public name it publishes under.
    pub stream: String,
    /// Whose it is.
    pub owner: String,
    /// A note for people.
    pub label: String,
    /// When it was made, milliseconds since 1970.
    pub created_at: u64,
    /// From when on it is no good, milliseconds since 1970; nothing for never.
    pub expires_at: Option<u64>,
    /// Addresses and networks it may be used from; empty for anywhere.
    pub allowed_ips: Vec<String>,
    /// Whether it was taken back.
    pub revoked: bool,
    /// When somebody published with it last.
    pub last_used_at: Option<u64>,
    /// Times it was shown and refused.
    pub failed_attempts: u64,
    /// Most bits per second of a publisher; nothing for any.
    pub bitrate_bps: Option<u64>,
    /// Most viewers of its stream; nothing for any.
    pub viewers: Option<u32>,
    /// Most pixels from left to right that its stream may announce; nothing for any.
    pub max_width: Option<u32>,
    /// Most pixels from top to bottom that its stream may announce; nothing for any.
    pub max_height: Option<u32>,
    /// Most frames per second that its stream may announce; nothing for any.
    pub max_fps: Option<u32>,
    /// Whether a second publisher takes the first one's place.
    pub takeover: bool,
    /// Names that stand for it.
    pub aliases: Vec<String>,
    /// Who publishes with it on this node now; nothing if that is not known.
    pub live: Option<Vec<KeyUse>>,
}

/// Somebody who publishes with a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct KeyUse {
    /// Its client id.
    pub client: String,
    /// Where it comes from.
    pub address: String,
    /// What it publishes.
    pub stream: String,
    /// Name and version of its program, as it gives them; empty if it did not say.
    pub encoder: String,
    /// When it began to publish, milliseconds since 1970.
    pub since_at: u64,
}

/// Who publishes, by the ids of their keys.
#[must_use]
pub fn key_uses(streams: &[StreamView], time: &Time) -> BTreeMap<String, Vec<KeyUse>> {
    let mut uses: BTreeMap<String, Vec<KeyUse>> = BTreeMap::new();
    for stream in streams {
        let Some(publisher) = &stream.publisher else { continue };
        let Some(holder) = &publisher.holder else { continue };
        uses.entry(holder.key.clone()).or_default().push(KeyUse {
            client: publisher.id.clone(),
            address: publisher.address.to_string(),
            stream: stream.name.clone(),
            encoder: publisher.agent.clone(),
            since_at: time.unix_ms(stream.since),
        });
    }
    uses
}

impl From<&KeyView> for Key {
    fn from(view: &KeyView) -> Self {
        let info = &view.info;
        let millis = |seconds: u64| seconds.saturating_mul(1_000);
        Self {
            id: view.id(),
            key_type: info.key_type.name().to_owned(),
            stream: info.stream.clone(),
            owner: info.owner.clone(),
            label: info.label.clone(),
            created_at: millis(info.created_at),
            expires_at: info.expires_at.map(millis),
            allowed_ips: info.allowed_ips.iter().map(ToString::to_string).collect(),
            revoked: info.revoked,
            last_used_at: info.last_used_at.map(millis),
            failed_attempts: info.failed_attempts,
            bitrate_bps: info.limits.bitrate_bps,
            viewers: info.limits.viewers,
            max_width: info.limits.max_width,
            max_height: info.limits.max_height,
            max_fps: info.limits.max_fps,
            takeover: info.takeover == Takeover::Take,
            aliases: view.aliases.iter().map(|alias| alias.expose().to_owned()).collect(),
            live: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::keystore::show;
    use crate::keys::{Alias, KeyHash, KeyInfo, KeyType};

    #[test]
    fn a_key_is_shown_the_same_way_everywhere() {
        let mut info = KeyInfo::new(KeyType::Regular, "live/a", 1_700_000_000);
        info.allowed_ips = vec!["192.0.2.0/24".parse().unwrap()];
        info.limits.viewers = Some(7);
        let aliases = vec![Alias::new("studio").unwrap()];
        let view = KeyView { hash: KeyHash::of(""), info, aliases };
        assert_eq!(serde_json::to_value(Key::from(&view)).unwrap(), show::to_json(&view));
    }
}
