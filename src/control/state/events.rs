//! News of the node in the form in which the API shows them.

use super::happened::Event;
use super::model::held;
use crate::control::time::Time;
use crate::event::{Event as Connection, InputEvent, NodeEvent, Operated, Phase, PlaylistEvent};
use crate::media::Micros;

/// What the API shows of `event`; its number is still to be given.
#[must_use]
pub fn describe(event: &NodeEvent, time: &Time) -> Event {
    let (kind, text) = (event.name().to_owned(), event.to_string());
    let (at, level) = (time.now_ms(), event.severity().name().to_owned());
    let plain = Event { at, kind, text, level, ..Event::default() };
    match event {
        NodeEvent::Connection(event) => of_connection(event, plain, time),
        NodeEvent::Started | NodeEvent::Stopped => plain,
        NodeEvent::OutputConnected { channel, name, .. } => of_output(channel, name, plain),
        NodeEvent::OutputFailed { channel, name, reason, .. } => {
            Event { reason: Some(reason.clone()), ..of_output(channel, name, plain) }
        }
        NodeEvent::PullConnected { name, stream } => {
            Event { pull: Some(name.clone()), stream: Some(stream.clone()), ..plain }
        }
        NodeEvent::PullFailed { name, reason, actor, .. } => Event {
            pull: Some(name.clone()),
            reason: Some(reason.clone()),
            actor: some(actor),
            ..plain
        },
        NodeEvent::PullLeft { name } => Event { pull: Some(name.clone()), ..plain },
        NodeEvent::RelayLoop { stream, source } => of_stream(stream, source, plain),
        NodeEvent::RecordStarted { name, file } => {
            Event { record: Some(name.clone()), file: Some(file.clone()), ..plain }
        }
        NodeEvent::RecordFinished { name, file, length, bytes } => Event {
            record: Some(name.clone()),
            file: Some(file.clone()),
            duration_ms: Some(length.millis()),
            bytes: Some(*bytes),
            ..plain
        },
        NodeEvent::RecordStopped { name, reason, .. }
        | NodeEvent::RecordIncomplete { name, reason } => {
            Event { record: Some(name.clone()), reason: Some(reason.clone()), ..plain }
        }
        NodeEvent::EncoderFailed { channel, reason }
        | NodeEvent::EncoderChanged { channel, reason, .. }
        | NodeEvent::EncoderOverloaded { channel, reason }
        | NodeEvent::EncoderRecovered { channel, reason }
        | NodeEvent::BitrateChanged { channel, reason } => of_channel(channel, reason, plain),
        NodeEvent::FramesDropped { channel, frames, reason } => {
            Event { frames: Some(*frames), ..of_channel(channel, reason, plain) }
        }
        NodeEvent::AssetFailed { channel, layer, reason, .. }
        | NodeEvent::InputConnected { channel, layer, what: reason }
        | NodeEvent::InputLost { channel, layer, reason } => {
            Event { reason: Some(reason.clone()), ..of_layer(channel, layer, plain) }
        }
        NodeEvent::AssetRestored { channel, layer }
        | NodeEvent::PlaybackStarted { channel, layer }
        | NodeEvent::PlaybackEnded { channel, layer } => of_layer(channel, layer, plain),
        NodeEvent::StreamWarning { stream, code, .. } => {
            Event { stream: Some(stream.clone()), code: Some((*code).to_owned()), ..plain }
        }
        NodeEvent::ChannelStalled { channel, length } => {
            Event { channel: Some(channel.clone()), duration_ms: Some(length.millis()), ..plain }
        }
        NodeEvent::LoopStalled { length, reason, .. } => of_loop(*length, reason, plain),
        NodeEvent::TraceKept { reason, .. } => Event { reason: Some(reason.clone()), ..plain },
        NodeEvent::CoreLost { channel, reason, .. } => {
            Event { channel: channel.clone(), reason: Some(reason.clone()), ..plain }
        }
        NodeEvent::Input(event) => of_input(event, plain),
        NodeEvent::Fallback(event) => of_stream(&event.stream, &event.reason, plain),
        NodeEvent::Transcode(event) => of_stream(&event.stream, &event.reason, plain),
        NodeEvent::Playlist(event) => of_playlist(event, plain),
        NodeEvent::Operated(operated) => of_operated(operated, plain),
    }
}

fn of_loop(length: Micros, reason: &str, plain: Event) -> Event {
    Event { duration_ms: Some(length.millis()), reason: Some(reason.to_owned()), ..plain }
}

fn of_playlist(event: &PlaylistEvent, plain: Event) -> Event {
    Event {
        index: event.index(),
        file: Some(event.file.clone()),
        reason: event.reason().map(str::to_owned),
        ..of_layer(&event.channel, &event.layer, plain)
    }
}

fn of_operated(operated: &Operated, plain: Event) -> Event {
    Event {
        channel: operated.channel.clone(),
        output: operated.output.clone(),
        pull: operated.pull.clone(),
        record: operated.record.clone(),
        stream: operated.stream.clone(),
        client: operated.client.clone(),
        actor: operated.actor.clone(),
        ..plain
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Of a stream, with what happened to it or by whom.
fn of_stream(stream: &str, reason: &str, plain: Event) -> Event {
    Event { stream: Some(stream.to_owned()), reason: Some(reason.to_owned()), ..plain }
}

fn of_channel(channel: &str, reason: &str, plain: Event) -> Event {
    Event { channel: Some(channel.to_owned()), reason: Some(reason.to_owned()), ..plain }
}

fn of_input(event: &InputEvent, plain: Event) -> Event {
    Event {
        stream: Some(event.stream.clone()),
        code: (!event.code.is_empty()).then(|| event.code.to_owned()),
        ..of_channel(&event.channel, &event.reason, plain)
    }
}

fn of_layer(channel: &str, layer: &str, plain: Event) -> Event {
    Event { channel: Some(channel.to_owned()), layer: Some(layer.to_owned()), ..plain }
}

/// Of a channel's output, or of a push, which has no channel.
fn of_output(channel: &str, name: &str, plain: Event) -> Event {
    Event { channel: some(channel), output: Some(name.to_owned()), ..plain }
}

fn of_connection(event: &Connection, plain: Event, time: &Time) -> Event {
    let over = event.kind.phase == Phase::Done;
    let [key, owner, label] = held(event.holder.as_deref());
    Event {
        asked_for: some(&event.asked_for),
        encoder: some(&event.about.agent),
        key,
        owner,
        label,
        actor: some(&event.actor),
        at: time.unix_ms(event.at),
        client: Some(event.client.to_string()),
        address: event.peer.map(|peer| peer.to_string()),
        state: Some(event.state.name().to_owned()),
        stream: Some(event.path.to_string()),
        duration_ms: over.then(|| event.duration.millis()),
        bytes: over.then_some(event.bytes),
        reason: over.then(|| event.reason.to_string()),
        ..plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ClientId, LifeCycle, Stage};
    use crate::media::Micros;

    #[test]
    fn a_connection_is_told_with_what_it_was_and_why_it_ended() {
        let time = Time::new(1_000, || Micros::from_millis(9_000));
        let mut life = LifeCycle::new(ClientId::from_random([0; 8]), Micros(0), None);
        life.set_peer("192.0.2.7:9".parse().unwrap());
        life.begin(Stage::Play, "live/a", Micros::from_millis(1)).unwrap();
        let begun = life.begun(Stage::Play, Micros::from_millis(2)).unwrap();
        let shown = describe(&NodeEvent::Connection(begun), &time);
        assert_eq!((shown.kind.as_str(), shown.at), ("postPlay", 1_002));
        assert_eq!((shown.duration_ms, shown.reason), (None, None));
        let done = life.done(Stage::Play, Micros::from_millis(52), 7, "left").unwrap();
        let shown = describe(&NodeEvent::Connection(done), &time);
        assert_eq!((shown.duration_ms, shown.bytes), (Some(50), Some(7)));
        assert_eq!(shown.reason.as_deref(), Some("left"));
        assert_eq!(shown.address.as_deref(), Some("192.0.2.7:9"));
        let text = serde_json::to_string(&shown).unwrap();
        assert!(!text.contains("channel") && text.contains("\"stream\":\"live/a\""), "{text}");
    }

    #[test]
    fn what_happens_to_an_output_names_it() {
        let time = Time::new(1_000, || Micros::from_millis(5));
        let failed = |channel: &str| NodeEvent::OutputFailed {
            channel: channel.to_owned(),
            name: "cdn".to_owned(),
            reason: "refused".to_owned(),
            retry_in: Micros::from_secs(1),
        };
        let push = describe(&failed(""), &time);
        assert_eq!((push.output.as_deref(), push.channel), (Some("cdn"), None));
        let shown = describe(&failed("demo"), &time);
        assert_eq!(shown.channel.as_deref(), Some("demo"));
        assert_eq!((shown.kind.as_str(), shown.at), ("output_failed", 1_005));
        assert_eq!(shown.level, "warn");
        assert_eq!(
            (shown.output.as_deref(), shown.reason.as_deref()),
            (Some("cdn"), Some("refused"))
        );
    }
}
