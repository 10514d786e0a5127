//! News of the node: what a program that embeds it, the log and the WebSocket hear.

use std::fmt;

use super::fallback::FallbackEvent;
use super::fault_text::{Failed, Late, Lost, Stalled};
use super::input::InputEvent;
use super::life::Event;
use super::operated::Operated;
use super::playlist::PlaylistEvent;
use super::printable::Printable;
use super::severity::Severity;
use super::transcode::TranscodeEvent;
use crate::media::Micros;

/// Something happened to the node or a part of it. `Display` is one line for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeEvent {
    /// To a connection.
    Connection(Event),
    /// All parts run.
    Started,
    /// All parts have ended.
    Stopped,
    /// The destination of an output or a push takes its stream.
    OutputConnected {
        /// The output's channel; empty for a push, which has none.
        channel: String,
        /// The output or the push.
        name: String,
        /// Whether it is sent the first track alone of a stream of several.
        omits_tracks: bool,
        /// The rendition that it is sent in the place of its stream, whose codecs the destination
        /// does not announce.
        rendition: Option<String>,
    },
    /// An output or a push has lost its destination, or did not reach it.
    OutputFailed {
        /// The output's channel; empty for a push, which has none.
        channel: String,
        /// The output or the push.
        name: String,
        /// Why, without any key.
        reason: String,
        /// When it tries again.
        retry_in: Micros,
    },
    /// A server gives the stream that is pulled from it.
    PullConnected {
        /// The pull.
        name: String,
        /// The local stream.
        stream: String,
    },
    /// A pull has lost its server, did not reach it, or finds its name taken.
    PullFailed {
        /// The pull.
        name: String,
        /// Why, without any key.
        reason: String,
        /// Who has ended it, such as `token:admin`; empty if nobody did.
        actor: String,
        /// When it tries again.
        retry_in: Micros,
    },
    /// Nobody reads what was pulled on demand: its server has been left.
    PullLeft {
        /// The pull.
        name: String,
    },
    /// A stream that fed itself by a ring of relays was cut.
    RelayLoop {
        /// The stream.
        stream: String,
        /// The pull or the publisher by which it came back.
        source: String,
    },
    /// A recording has begun a file.
    RecordStarted {
        /// The recording.
        name: String,
        /// The file, in the recording's folder.
        file: String,
    },
    /// A file of a recording is complete.
    RecordFinished {
        /// The recording.
        name: String,
        /// The file, in the recording's folder.
        file: String,
        /// Time in it.
        length: Micros,
        /// Its size.
        bytes: u64,
    },
    /// A recording cannot go on; its stream can.
    RecordStopped {
        /// The recording.
        name: String,
        /// Why.
        reason: String,
        /// When it tries the disk again; `None` if the format has no place for what is published,
        /// and it goes on as soon as something else is.
        retry_in: Option<Micros>,
    },
    /// A recording goes on without a part of its stream.
    RecordIncomplete {
        /// The recording.
        name: String,
        /// What is missing, and why.
        reason: String,
    },
    /// A channel's encoder failed.
    EncoderFailed {
        /// The channel.
        channel: String,
        /// Why.
        reason: String,
    },
    /// A channel goes on with another encoder, from the next picture on.
    EncoderChanged {
        /// The channel.
        channel: String,
        /// Name of the encoder until then.
        from: String,
        /// Name of the encoder since then.
        to: String,
        /// What the one until then failed with, or that a better one works again.
        reason: String,
    },
    /// A channel's encoder has too little time: it is at its fastest speed, or leaves pictures out.
    EncoderOverloaded {
        /// The channel.
        channel: String,
        /// What it does about it.
        reason: String,
    },
    /// A channel's encoder has left its fastest speed, or encodes more pictures again.
    EncoderRecovered {
        /// The channel.
        channel: String,
        /// What it does now.
        reason: String,
    },
    /// The outputs of a channel are congested, and its bitrate follows them; or it is back.
    BitrateChanged {
        /// The channel.
        channel: String,
        /// What it is now, and of how much.
        reason: String,
    },
    /// A channel dropped frames since the last such event.
    FramesDropped {
        /// The channel.
        channel: String,
        /// How many.
        frames: u64,
        /// Why: the words of the metric `encoder_dropped_frames`, and what they mean.
        reason: String,
    },
    /// A file or font that a channel shows or plays cannot be used. Told once until it can.
    AssetFailed {
        /// The channel.
        channel: String,
        /// Its layer or audio source.
        layer: String,
        /// Why.
        reason: String,
        /// When it is tried again.
        retry_in: Micros,
    },
    /// What could not be used is shown or played again.
    AssetRestored {
        /// The channel.
        channel: String,
        /// Its layer or audio source.
        layer: String,
    },
    /// A layer or an audio source begins to play a file. Rounds of a looped one are not told.
    PlaybackStarted {
        /// The channel.
        channel: String,
        /// Its layer or audio source.
        layer: String,
    },
    /// It has been played to its end.
    PlaybackEnded {
        /// The channel.
        channel: String,
        /// Its layer or audio source.
        layer: String,
    },
    /// A playlist goes on to an item, or leaves one out.
    Playlist(Box<PlaylistEvent>),
    /// A layer's input has come: another program is connected.
    InputConnected {
        /// The channel.
        channel: String,
        /// Its layer.
        layer: String,
        /// What comes: size and format.
        what: String,
    },
    /// A layer's input has left or was let go, or cannot come. Its layer shows its slate.
    InputLost {
        /// The channel.
        channel: String,
        /// Its layer.
        layer: String,
        /// Why.
        reason: String,
    },
    /// A stream cannot be played well.
    StreamWarning {
        /// Public name of the stream.
        stream: String,
        /// What is wrong, in a word: see [`NodeEvent::STREAM_CODES`].
        code: &'static str,
        /// What is wrong and what to do about it, to stand behind the stream's name.
        text: String,
    },
    /// The machine did not run a channel: its programme leaves that time out.
    ChannelStalled {
        /// The channel.
        channel: String,
        /// How long.
        length: Micros,
    },
    /// A loop of the node took too long for one turn: what it serves was late.
    LoopStalled {
        /// Its thread, such as `shard-0`.
        core: String,
        /// How long.
        length: Micros,
        /// What it was doing, and whether it ran or waited.
        reason: String,
    },
    /// A trace of the last seconds was kept, because something was late.
    TraceKept {
        /// The name of its file.
        file: String,
        /// What was late.
        reason: String,
    },
    /// A thread of the node has panicked.
    CoreLost {
        /// What it did, such as `the compose core` or `shard 1`.
        core: String,
        /// The channel whose encoder or decoder it was.
        channel: Option<String>,
        /// The text of the panic.
        reason: String,
        /// What is done about it.
        remedy: &'static str,
    },
    /// Something happened to a transcode.
    Transcode(Box<TranscodeEvent>),
    /// Something happened to a stream with a fallback.
    Fallback(Box<FallbackEvent>),
    /// Something happened to an input that a rule watches.
    Input(Box<InputEvent>),
    /// Somebody has done something over the API.
    Operated(Box<Operated>),
}

impl NodeEvent {
    /// How much it matters.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::Connection(event) => event.severity(),
            Self::Transcode(event) => event.severity(),
            Self::Fallback(event) => event.severity(),
            Self::Input(event) => event.severity(),
            Self::Playlist(event) => event.severity(),
            Self::EncoderFailed { .. } | Self::CoreLost { .. } => Severity::Error,
            Self::Operated(it) if it.name == "schedule_take_failed" => Severity::Warn,
            Self::OutputFailed { .. }
            | Self::PullFailed { .. }
            | Self::RecordStopped { .. }
            | Self::EncoderChanged { .. }
            | Self::EncoderOverloaded { .. }
            | Self::FramesDropped { .. }
            | Self::RecordIncomplete { .. }
            | Self::RelayLoop { .. }
            | Self::ChannelStalled { .. }
            | Self::LoopStalled { .. }
            | Self::AssetFailed { .. }
            | Self::InputLost { .. }
            | Self::StreamWarning { .. } => Severity::Warn,
            Self::Started
            | Self::Stopped
            | Self::OutputConnected { .. }
            | Self::PullConnected { .. }
            | Self::PullLeft { .. }
            | Self::RecordStarted { .. }
            | Self::RecordFinished { .. }
            | Self::AssetRestored { .. }
            | Self::PlaybackStarted { .. }
            | Self::PlaybackEnded { .. }
            | Self::InputConnected { .. }
            | Self::EncoderRecovered { .. }
            | Self::BitrateChanged { .. }
            | Self::TraceKept { .. }
            | Self::Operated(_) => Severity::Info,
        }
    }

    /// Whether it is about a viewer's connection, of which there may be very many.
    #[must_use]
    pub fn is_of_viewers(&self) -> bool {
        matches!(self, Self::Connection(event) if event.is_of_viewers())
    }

    /// The word that stands for it in the API, webhooks and the journal.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Connection(event) => event.kind.name(),
            Self::Transcode(event) => event.event_name(),
            Self::Fallback(event) => event.event_name(),
            Self::Input(event) => event.event_name(),
            Self::Playlist(event) => event.event_name(),
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::OutputConnected { .. } => "output_connected",
            Self::OutputFailed { .. } => "output_failed",
            Self::PullConnected { .. } => "pull_connected",
            Self::PullFailed { .. } => "pull_failed",
            Self::PullLeft { .. } => "pull_left",
            Self::RelayLoop { .. } => "relay_loop",
            Self::RecordStarted { .. } => "record_started",
            Self::RecordFinished { .. } => "record_finished",
            Self::RecordStopped { .. } => "record_stopped",
            Self::RecordIncomplete { .. } => "record_incomplete",
            Self::EncoderFailed { .. } => "encoder_failed",
            Self::EncoderChanged { .. } => "encoder_changed",
            Self::EncoderOverloaded { .. } => "encoder_overloaded",
            Self::EncoderRecovered { .. } => "encoder_recovered",
            Self::BitrateChanged { .. } => "bitrate_changed",
            Self::FramesDropped { .. } => "frames_dropped",
            Self::AssetFailed { .. } => "asset_failed",
            Self::AssetRestored { .. } => "asset_restored",
            Self::PlaybackStarted { .. } => "playback_started",
            Self::PlaybackEnded { .. } => "playback_ended",
            Self::InputConnected { .. } => "input_connected",
            Self::InputLost { .. } => "input_lost",
            Self::StreamWarning { .. } => "stream_warning",
            Self::ChannelStalled { .. } => "channel_stalled",
            Self::LoopStalled { .. } => "loop_stalled",
            Self::TraceKept { .. } => "trace_kept",
            Self::CoreLost { .. } => "core_lost",
            Self::Operated(operated) => operated.name,
        }
    }
}

impl NodeEvent {
    /// What there is to say of an encoder; nothing of anything else.
    fn fmt_of_encoder(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (channel, what, reason) = match self {
            Self::EncoderFailed { channel, reason } => (channel, "failed", reason),
            Self::EncoderOverloaded { channel, reason } => (channel, "has too little time", reason),
            Self::EncoderRecovered { channel, reason } => (channel, "has time again", reason),
            Self::EncoderChanged { channel, from, to, reason } => {
                let reason = Printable(reason);
                return write!(
                    f,
                    "channel {channel} is encoded by {to} instead of {from}: {reason}"
                );
            }
            Self::BitrateChanged { channel, reason } => {
                return write!(f, "the bitrate of channel {channel} follows its outputs: {reason}");
            }
            _ => return Ok(()),
        };
        write!(f, "the encoder of channel {channel} {what}: {}", Printable(reason))
    }
}

impl fmt::Display for NodeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(event) => event.fmt(f),
            Self::Transcode(event) => event.fmt(f),
            Self::Fallback(event) => event.fmt(f),
            Self::Input(event) => event.fmt(f),
            Self::Playlist(event) => event.fmt(f),
            Self::Started => f.write_str("the node has started"),
            Self::Stopped => f.write_str("the node has stopped"),
            Self::OutputConnected { channel, name, omits_tracks, rendition } => {
                write!(f, "{} is live", Sink { channel, name })?;
                if let Some(rendition) = rendition {
                    write!(f, ", with {rendition}{CODECS_MISSING}")?;
                }
                f.write_str(if *omits_tracks { TRACKS_OMITTED } else { "" })
            }
            Self::OutputFailed { channel, name, reason, retry_in } => {
                write!(f, "{} {}", Sink { channel, name }, Failed(Some(*retry_in), reason))
            }
            Self::PullConnected { name, stream } => {
                write!(f, "pull {name} is live and feeds {stream}")
            }
            Self::PullFailed { name, reason, actor, retry_in } => {
                write!(f, "pull {name} {}", Failed(Some(*retry_in), reason))?;
                match actor.as_str() {
                    "" => Ok(()),
                    actor => write!(f, " ({})", Printable(actor)),
                }
            }
            Self::PullLeft { name } => write!(f, "pull {name} is idle: nobody reads its stream"),
            Self::RelayLoop { stream, source } => {
                write!(f, "stream {stream} fed itself by a ring of relays: {source} was cut")
            }
            Self::RecordStarted { name, file } => {
                write!(f, "recording {name} is live and writes {file}")
            }
            Self::RecordFinished { name, file, length, bytes } => {
                let seconds = length.secs_f64();
                write!(f, "recording {name} completed {file}: {seconds:.1} s, {bytes} bytes")
            }
            Self::RecordStopped { name, reason, retry_in } => {
                write!(f, "recording {name} {}", Failed(*retry_in, reason))
            }
            Self::RecordIncomplete { name, reason } => {
                write!(f, "recording {name} is incomplete: {}", Printable(reason))
            }
            Self::EncoderFailed { .. }
            | Self::EncoderChanged { .. }
            | Self::EncoderOverloaded { .. }
            | Self::EncoderRecovered { .. }
            | Self::BitrateChanged { .. } => self.fmt_of_encoder(f),
            Self::FramesDropped { channel, frames, reason } => {
                write!(f, "channel {channel} dropped {frames} frames: {}", Printable(reason))
            }
            Self::AssetFailed { .. }
            | Self::AssetRestored { .. }
            | Self::PlaybackStarted { .. }
            | Self::PlaybackEnded { .. }
            | Self::InputConnected { .. }
            | Self::InputLost { .. } => self.fmt_of_layer(f),
            Self::StreamWarning { stream, text, .. } => {
                write!(f, "stream {}: {}", Printable(stream), Printable(text))
            }
            Self::ChannelStalled { channel, length } => Stalled(channel, *length).fmt(f),
            Self::LoopStalled { core, length, reason } => Late(core, *length, reason).fmt(f),
            Self::TraceKept { file, reason } => {
                write!(f, "{}: the trace {file} of the last seconds was kept", Printable(reason))
            }
            Self::CoreLost { core, reason, remedy, .. } => Lost(core, reason, remedy).fmt(f),
            Self::Operated(operated) => Printable(&operated.text).fmt(f),
        }
    }
}

/// What is said of a destination that has not announced a stream's codecs in its answer to
/// `connect`.
const CODECS_MISSING: &str = ": the destination does not announce that it takes the codecs of the \
     stream; `codecs = \"all\"` sends that all the same";

/// The same of one that has not announced multitrack.
const TRACKS_OMITTED: &str = ", with the first track alone: the destination does not announce that \
     it takes several; `tracks = \"all\"` sends them all the same";

/// An output or a push, as a line names it.
struct Sink<'a> {
    channel: &'a str,
    name: &'a str,
}

impl fmt::Display for Sink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.channel {
            "" => write!(f, "push {}", self.name),
            channel => write!(f, "output {} of channel {channel}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ClientId, KeyHolder, LifeCycle, Stage};

    #[test]
    fn trouble_is_a_warning_and_what_viewers_do_is_chatter() {
        let peer = "192.0.2.7:9".parse().unwrap();
        let mut life = LifeCycle::new(ClientId::from_random([0; 8]), Micros(0), Some(peer));
        let mut told = Vec::new();
        let mut tell = |event: Option<Event>| {
            let event = NodeEvent::Connection(event.unwrap());
            told.push((event.name(), event.severity(), event.is_of_viewers()));
            event.to_string()
        };
        tell(life.begin(Stage::Connect, "live", Micros(1)));
        tell(life.begin(Stage::Play, "live/a", Micros(1)));
        tell(life.done(Stage::Play, Micros(2), 0, "it left"));
        tell(life.begin(Stage::Publish, "live", Micros(3)));
        let refused = tell(life.done(Stage::Publish, Micros(3), 0, "no such key"));
        assert!(refused.contains("live from 192.0.2.7:9"), "{refused}");
        tell(life.begin(Stage::Publish, "live/b", Micros(4)));
        life.set_holder(KeyHolder { key: "0123456789abcdef".to_owned(), ..KeyHolder::default() });
        let began = tell(life.begun(Stage::Publish, Micros(4)));
        assert!(began.contains("live/b from 192.0.2.7:9 with key 0123456789abcdef"), "{began}");
        tell(life.done(Stage::Publish, Micros(5), 0, "it left"));
        let expected = [
            ("preConnect", Severity::Debug, true),
            ("prePlay", Severity::Debug, true),
            ("donePlay", Severity::Debug, true),
            ("prePublish", Severity::Info, false),
            ("donePublish", Severity::Warn, false),
            ("prePublish", Severity::Info, false),
            ("postPublish", Severity::Info, false),
            ("donePublish", Severity::Info, false),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn each_event_is_one_line() {
        let failed = |channel: &str| NodeEvent::OutputFailed {
            channel: channel.to_owned(),
            name: "cdn".to_owned(),
            reason: "refused:\nNetStream.Publish.Denied".to_owned(),
            retry_in: Micros::from_millis(1_500),
        };
        let end = "cdn failed and tries again in 1.5 s: refused:NetStream.Publish.Denied";
        assert_eq!(failed("").to_string(), format!("push {end}"));
        let end = end.replace("cdn", "cdn of channel demo");
        assert_eq!(failed("demo").to_string(), format!("output {end}"));
    }
}
