//! Event model of the API and the WebSocket.

use serde::Serialize;
use utoipa::ToSchema;

/// Something that happened. Which of the optional fields are there depends on the kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Event {
    /// Its number. The WebSocket's messages are numbered together with the events.
    pub seq: u64,
    /// When, milliseconds since 1970.
    pub at: u64,
    /// `preConnect` to `donePlay`, `output_connected`, `output_failed`, `pull_connected`,
    /// `pull_failed`, `pull_left`, `relay_loop`, `record_started`, `record_finished`,
    /// `record_stopped`, `record_incomplete`, `encoder_failed`, `encoder_changed`,
    /// `encoder_overloaded`, `encoder_recovered`, `bitrate_changed`, `frames_dropped`,
    /// `asset_failed`, `asset_restored`, `playback_started`, `playback_ended`,
    /// `playlist_item_started`, `playlist_item_skipped`, `input_connected`, `input_lost`,
    /// `channel_stalled`, `channel_started`, `channel_stopped`,
    /// `core_lost`, `stream_warning`, `started`, `stopped`; and what was done through the API:
    /// `scene_changed`, `key_created`, `key_revoked` and so on.
    pub kind: String,
    /// One line for people.
    pub text: String,
    /// How much it matters: `debug`, `info`, `warn` or `error`, as in the log.
    pub level: String,
    /// Client id of the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// `pending`, `publisher` or `player`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The stream, or the application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// The stream that a publisher asked for, where its key gives it another one. Not told where it
    /// could be a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_for: Option<String>,
    /// Name and version of the connection's program, as it gives them (`flashVer`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// Id of the key that it publishes with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whose key that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The key's note for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Who did it: `token:NAME`, `cli:NAME` by the command line, `anybody` where no token is asked
    /// for, or who refused or ended a connection, such as `hook:NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// How long it lasted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Bytes in both directions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Why it ended or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Its layer or audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// The output, or the push where there is no `channel`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The pull.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull: Option<String>,
    /// The recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Its file, or that of the playlist's item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Place of the playlist's item, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// How many frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<u64>,
    /// Of a `stream_warning`: `no_keyframe`, `keyframe_interval`, `silence`, `timestamps`,
    /// `codec` or `sequence_header`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl Event {
    /// Whether it is about a connection that plays, or has not said yet what it wants.
    #[must_use]
    pub fn is_of_viewers(&self) -> bool {
        let is_publishers = self.state.as_deref() == Some("publisher");
        self.kind.ends_with("Play") || self.kind.ends_with("Connect") && !is_publishers
    }
}
