//! Control requests: questions and orders that the control plane's front (API, dashboard, command
//! line) sends to the running node, and the answers. The manager's desk answers; plain values, no
//! runtime.

mod schedule;

use std::fmt;

use super::config::{ConfigText, ReloadView};
use super::playback::{PlaybackCommand, PlaybackView};
use super::rules::DelayAsk;
use super::shard::RecentMessages;
use super::view::{ClientView, StreamView};
use crate::event::NodeEvent;
use crate::media::Micros;

pub use self::schedule::{ScheduleCommand, ScheduleView, ScheduledView};

/// Clients that one answer lists at most.
pub const CLIENTS_MAX: usize = 1_000;

/// A question or a wish.
#[derive(Clone, Debug)]
pub enum Ask {
    /// All streams of the node: [`Answer::Streams`].
    Streams,
    /// Connections, of one stream or of all, at most [`CLIENTS_MAX`]: [`Answer::Clients`].
    Clients {
        /// Public name of the stream.
        stream: Option<String>,
    },
    /// End a connection by its client id.
    Kick {
        /// The 8 characters.
        client: String,
        /// Who wants it, for the events that follow.
        actor: Option<String>,
    },
    /// End whoever publishes a stream.
    KickPublisher {
        /// Public name of the stream.
        stream: String,
        /// Who wants it, for the events that follow.
        actor: Option<String>,
    },
    /// Messages that a stream's log holds, in wire form: [`Answer::Recent`].
    Recent {
        /// Public name of the stream.
        stream: String,
        /// Those that arrived in so long a time,
        span: Micros,
        /// which ended so long before the newest one.
        before: Micros,
    },
    /// A channel's scenes: [`Answer::Scenes`].
    Scenes {
        /// The channel.
        channel: String,
    },
    /// One scene as a document: [`Answer::Scene`].
    Scene {
        /// The channel.
        channel: String,
        /// The scene.
        scene: String,
    },
    /// One picture of a scene, with the overlays, which need not be on the air:
    /// [`Answer::Screenshot`].
    Screenshot {
        /// The channel.
        channel: String,
        /// The scene.
        scene: String,
        /// Pixels; as many as are usual, if nothing is said.
        width: Option<u32>,
    },
    /// Replace a scene, or add one. If it is on the air, the change shows at one frame.
    PutScene {
        /// The channel.
        channel: String,
        /// The scene.
        scene: String,
        /// Refuse with [`Answer::Conflict`] unless this is its present version.
        version: Option<u64>,
        /// The form that [`SceneView::document`] has.
        document: serde_json::Value,
    },
    /// A channel's overlays as a document: [`Answer::Overlays`].
    Overlays {
        /// The channel.
        channel: String,
    },
    /// Replace a channel's overlays; the change shows at one frame.
    PutOverlays {
        /// The channel.
        channel: String,
        /// Refuse with [`Answer::Conflict`] unless this is their present version.
        version: Option<u64>,
        /// The form that [`OverlaysView::document`] has.
        document: serde_json::Value,
    },
    /// Change keys of one layer; the change shows at one frame: [`Answer::Shown`].
    PatchLayer {
        /// The channel.
        channel: String,
        /// The scene of the layer; `None` for the overlays.
        scene: Option<String>,
        /// The layer, such as `panel/title` for one in a group.
        layer: String,
        /// Refuse with [`Answer::Conflict`] unless this is the present version of the scene or of
        /// the overlays.
        version: Option<u64>,
        /// A JSON merge patch (RFC 7396) of the layer's document.
        patch: serde_json::Map<String, serde_json::Value>,
    },
    /// The video files that a channel shows and plays now: [`Answer::Playback`].
    Playback {
        /// The channel.
        channel: String,
    },
    /// Have one of them do something.
    ControlPlayback {
        /// The channel.
        channel: String,
        /// Its layer, such as `panel/clip` for one in a group, or its audio source.
        layer: String,
        /// What it is to do.
        command: PlaybackCommand,
    },
    /// The settings of a channel's audio: [`Answer::Audio`].
    Audio {
        /// The channel.
        channel: String,
    },
    /// Change settings of a channel's audio while it plays.
    PatchAudio {
        /// The channel.
        channel: String,
        /// The audio source; `None` for the bus.
        source: Option<String>,
        /// A JSON merge patch (RFC 7396) of its document.
        patch: serde_json::Map<String, serde_json::Value>,
        /// How long a change of the source's gain takes, milliseconds.
        fade_ms: u32,
    },
    /// Take the values that texts of scenes are bound to by this name.
    PutData {
        /// The name.
        name: String,
        /// The values; `None` forgets them.
        document: Option<serde_json::Value>,
    },
    /// The values that were taken: [`Answer::Data`].
    Data {
        /// One of them; `None` for all, by their names.
        name: Option<String>,
    },
    /// Change how other scenes of a channel come on the air, unless they or whoever asks say.
    PutTransition {
        /// The channel.
        channel: String,
        /// The keys of `transition` in the configuration.
        document: serde_json::Value,
    },
    /// Change scenes, layers, overlays and what is on the air at one frame, all or nothing:
    /// [`Answer::Shown`].
    Transaction {
        /// The channel.
        channel: String,
        /// The keys that `docs/api.md` names.
        document: serde_json::Value,
    },
    /// Forget a scene that is not on the air.
    RemoveScene {
        /// The channel.
        channel: String,
        /// The scene.
        scene: String,
    },
    /// The log's filter has been changed to this.
    LogChanged(String),
    /// Wait until what was changed so far is on the disk, if it is to be kept: [`Answer::Done`].
    Kept,
    /// The configuration in use as TOML: [`Answer::Config`].
    Config {
        /// With its secrets, for another start, instead of `***`.
        secrets: bool,
    },
    /// Read the configuration again and apply what differs: [`Answer::Reloaded`].
    Reload {
        /// Who wants it, for the event.
        actor: Option<String>,
    },
    /// Tell hooks, the journal and the program what was done: [`Answer::Done`].
    Tell(NodeEvent),
    /// Put a scene on the air.
    Activate {
        /// The channel.
        channel: String,
        /// The scene.
        scene: String,
        /// How: the keys of `transition` in the configuration. Without it, as the scene says, or
        /// the channel.
        transition: Option<serde_json::Value>,
    },
    /// What is in preview: [`Answer::Preview`].
    Preview {
        /// The channel.
        channel: String,
    },
    /// Prepare a scene, so that it can be taken at once; [`Answer::Done`] before it is ready.
    PutPreview {
        /// The channel.
        channel: String,
        /// The scene; `None` for none.
        scene: Option<String>,
    },
    /// Put the scene in preview on the air: [`Answer::Taken`].
    Take {
        /// The channel.
        channel: String,
        /// As of [`Ask::Activate`].
        transition: Option<serde_json::Value>,
        /// Whether the scene that was on the air is in preview then.
        swap: bool,
    },
    /// How a channel's schedule stands, once what is asked of it is done: [`Answer::Schedule`].
    Schedule {
        /// The channel.
        channel: String,
        /// What is asked of it.
        command: ScheduleCommand,
        /// Who wants it, for the events that follow.
        actor: Option<String>,
    },
    /// What a channel shows, or would, as a small moving picture: [`Answer::Picture`].
    MonitorPicture {
        /// The channel.
        channel: String,
        /// Which of the two.
        monitor: Monitor,
    },
    /// Push a channel's stream to one more destination: [`Answer::Named`].
    AddOutput {
        /// The channel.
        channel: String,
        /// The keys of `[[channel.output]]` in the configuration. Holds a secret.
        document: Document,
    },
    /// End an output and forget it.
    RemoveOutput {
        /// The channel.
        channel: String,
        /// The output.
        name: String,
    },
    /// Begin to push to an output that was stopped.
    StartOutput {
        /// The channel.
        channel: String,
        /// The output.
        name: String,
    },
    /// Say goodbye to an output's destination and stay away from it.
    StopOutput {
        /// The channel.
        channel: String,
        /// The output.
        name: String,
    },
    /// Change the delay of an output or a push.
    Delay(DelayAsk),
    /// Pull one more stream from another server: [`Answer::Named`].
    AddPull {
        /// The keys of `[[pull]]` in the configuration. Holds a secret.
        document: Document,
    },
    /// Say goodbye to a pull's server, and forget the pull.
    RemovePull {
        /// The pull.
        name: String,
    },
    /// Let a pull begin again.
    StartPull {
        /// The pull.
        name: String,
    },
    /// Say goodbye to a pull's server and stay away from it.
    StopPull {
        /// The pull.
        name: String,
    },
    /// Push one more stream: [`Answer::Named`].
    AddPush {
        /// The keys of `[[push]]` in the configuration. Holds a secret.
        document: Document,
    },
    /// Say goodbye to a push's destination, and forget the push.
    RemovePush {
        /// The push.
        name: String,
    },
    /// Let a push begin again.
    StartPush {
        /// The push.
        name: String,
    },
    /// Say goodbye to a push's destination and stay away from it.
    StopPush {
        /// The push.
        name: String,
    },
    /// Record one more stream: [`Answer::Named`].
    AddRecording {
        /// The keys of `[[record]]` in the configuration.
        document: serde_json::Value,
    },
    /// Complete a recording's file, and forget the recording. Its files stay.
    RemoveRecording {
        /// The recording.
        name: String,
    },
    /// Begin to record again.
    StartRecording {
        /// The recording.
        name: String,
    },
    /// Complete a recording's file, and begin no other one.
    StopRecording {
        /// The recording.
        name: String,
    },
}

/// What is looked at of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Monitor {
    /// What is on the air.
    Programme,
    /// The scene that is prepared to be taken.
    Preview,
}

/// A JSON document that may hold a secret: Debug shows nothing of it.
#[derive(Clone)]
pub struct Document(pub serde_json::Value);

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The answer to an [`Ask`].
#[derive(Clone, Debug)]
pub enum Answer {
    /// It was done.
    Done,
    /// It was done to what has this name.
    Named(String),
    /// All streams, by name.
    Streams(Vec<StreamView>),
    /// Connections.
    Clients(Vec<ClientView>),
    /// Messages of a stream's log.
    Recent(Box<RecentMessages>),
    /// A channel's scenes.
    Scenes(ScenesView),
    /// One scene.
    Scene(SceneView),
    /// A picture of a scene, as a PNG file.
    Screenshot(Vec<u8>),
    /// Values that texts of scenes are bound to.
    Data(serde_json::Value),
    /// What is in preview.
    Preview(Option<PreviewView>),
    /// A scene has been taken.
    Taken(TakenView),
    /// A picture as a JPEG file.
    Picture(Vec<u8>),
    /// A channel's overlays.
    Overlays(OverlaysView),
    /// A channel's audio.
    Audio(MixView),
    /// The video files of a channel, by layer.
    Playback(Vec<PlaybackView>),
    /// It has been done.
    Shown {
        /// The number of the first frame that shows it; `None` if none of it is on the air.
        frame: Option<u64>,
    },
    /// A channel's schedule.
    Schedule(Box<ScheduleView>),
    /// The configuration in use.
    Config(ConfigText),
    /// What a reload has changed.
    Reloaded(ReloadView),
    /// There is no such thing; says which.
    NotFound(String),
    /// It has changed meanwhile, or the name is taken; says how to go on.
    Conflict(String),
    /// It cannot be: one text per fault, each with the place and the fix.
    Invalid(Vec<String>),
    /// The node stops, or a shard does not answer.
    Unavailable(String),
}

/// The settings of a channel's audio: the keys of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct MixView {
    /// Its sources, in their order; addresses without secrets.
    pub sources: Vec<serde_json::Value>,
    /// Its bus.
    pub bus: serde_json::Value,
}

/// A channel's scenes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenesView {
    /// The one on the air.
    pub active: String,
    /// All, in the order of the configuration.
    pub names: Vec<String>,
    /// How another one comes on the air: the keys of `transition` in the configuration.
    pub transition: serde_json::Value,
}

/// A scene in preview.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviewView {
    /// Its name.
    pub scene: String,
    /// Whether it can be taken at once.
    pub state: PreviewState,
    /// Why it cannot be shown as it is.
    pub reason: Option<String>,
}

/// How far a scene in preview is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreviewState {
    /// Its files are read, or its inputs have no picture yet.
    Loading,
    /// A take is seen at the next frame.
    Ready,
    /// Something of it cannot be shown; a take shows it with a placeholder.
    Failed,
}

/// A scene that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenView {
    /// Its name.
    pub scene: String,
    /// The number of the frame that was on the air when somebody asked for it.
    pub asked_frame: u64,
    /// The number of the first frame that shows it; `None` if it was on the air.
    pub frame: Option<u64>,
    /// The scene that is in preview now.
    pub preview: Option<String>,
}

/// A channel's overlays.
#[derive(Clone, Debug, PartialEq)]
pub struct OverlaysView {
    /// Grows with each change.
    pub version: u64,
    /// `{"overlay": [{"name": …, "type": …, …}]}`: the keys of `[[channel.overlay]]` in the
    /// configuration.
    pub document: serde_json::Value,
}

/// One scene.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneView {
    /// Its name.
    pub name: String,
    /// Grows with each change.
    pub version: u64,
    /// `{"background": "#000000", "layer": [{"name": …, "type": …, …}]}`: the keys of
    /// `[[channel.layer]]` in the configuration.
    pub document: serde_json::Value,
}
