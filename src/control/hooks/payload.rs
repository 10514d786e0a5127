//! An event as webhooks and the journal tell it: our own words, beside those that programs written
//! for SRS and nginx-rtmp look for.

use std::sync::Arc;

use serde::Serialize;

use crate::command::Params;
use crate::control::time::Time;
use crate::event::{
    ConnectionState, Event, InputEvent, KeyHolder, NodeEvent, Operated, Phase, Stage,
};
use crate::media::Micros;

/// What SRS calls the virtual host of those that name none; this node has no other.
const VHOST: &str = "__defaultVhost__";

/// Tells the events of one node.
#[derive(Clone, Debug)]
pub(super) struct EventWriter {
    server: Arc<str>,
    time: Time,
    number: u64,
}

#[derive(Debug, Default, Serialize)]
struct Payload<'a> {
    event: &'a str,
    event_id: String,
    timestamp_ms: u64,
    server_id: &'a str,
    #[serde(flatten)]
    client: Option<Client<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    #[serde(flatten)]
    part: Part<'a>,
}

/// What is told of a connection.
#[derive(Debug, Serialize)]
struct Client<'a> {
    client_id: &'a str,
    connection_type: &'static str,
    stream_path: &'a str,
    protocol: &'static str,
    // As SRS has it.
    action: &'static str,
    ip: String,
    vhost: &'static str,
    app: &'a str,
    stream: &'a str,
    param: String,
    #[serde(rename = "tcUrl")]
    tc_url: &'a str,
    // As nginx-rtmp has it.
    call: &'static str,
    name: &'a str,
    addr: String,
    tcurl: &'a str,
    flashver: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked_for: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
}

/// What is told of other parts of the node.
#[derive(Debug, Default, Serialize)]
struct Part<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frames: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_in_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    core: Option<&'a str>,
    /// Whom an operator has ended.
    #[serde(rename = "client_id", skip_serializing_if = "Option::is_none")]
    ended: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

impl EventWriter {
    pub(super) fn new(server: &str, time: Time) -> Self {
        Self { server: Arc::from(server), time, number: 0 }
    }

    /// A number for one event: told to several, or several times, it stays the same event.
    pub(super) fn next_id(&mut self) -> String {
        self.number += 1;
        format!("{:x}-{}", self.time.started_at(), self.number)
    }

    /// The JSON of `event`, without a line break. `params` may be secret, and are told only to
    /// whom the configuration says.
    pub(super) fn tell(&self, event: &NodeEvent, id: &str, params: &str) -> Vec<u8> {
        let mut payload = Payload {
            event: event.name(),
            event_id: id.to_owned(),
            timestamp_ms: self.time.now_ms(),
            server_id: &self.server,
            ..Payload::default()
        };
        match event {
            NodeEvent::Connection(event) => {
                payload.timestamp_ms = self.time.unix_ms(event.at);
                payload.client = Some(client(event, params));
                if event.kind.phase == Phase::Done {
                    payload.duration_ms = Some(event.duration.millis());
                    payload.bytes = Some(event.bytes);
                    payload.reason = Some(&event.reason);
                    payload.actor = given(&event.actor);
                }
            }
            other => tell_part(&mut payload, other),
        }
        // Strings and numbers always become JSON.
        serde_json::to_vec(&payload).unwrap_or_default()
    }
}

/// The values of `params` as SRS writes them: `?a=b&c=d`, or nothing.
pub(super) fn query(params: &Params, names: &[String]) -> String {
    let mut text = String::new();
    for (name, value) in params.expose().filter(|(name, _)| names.iter().any(|n| n == name)) {
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        text.push_str(&encoded(value));
    }
    text
}

fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

fn client<'a>(event: &'a Event, params: &str) -> Client<'a> {
    let (app, stream) = event.path.split_once('/').unwrap_or((&event.path, ""));
    let ip = event.peer.map_or_else(String::new, |peer| peer.ip().to_canonical().to_string());
    let [action, call] = words(event);
    let held = |part: fn(&KeyHolder) -> &str| {
        event.holder.as_deref().map(part).filter(|text| !text.is_empty())
    };
    Client {
        client_id: event.client.as_str(),
        connection_type: event.state.name(),
        stream_path: &event.path,
        protocol: event.about.protocol,
        action,
        ip: ip.clone(),
        vhost: VHOST,
        app,
        stream,
        param: params.to_owned(),
        tc_url: &event.about.tc_url,
        call,
        name: stream,
        addr: ip,
        tcurl: &event.about.tc_url,
        flashver: &event.about.agent,
        asked_for: given(&event.asked_for),
        key_id: held(|holder| &holder.key),
        owner: held(|holder| &holder.owner),
        label: held(|holder| &holder.label),
    }
}

/// What SRS calls it in `action`, and nginx-rtmp in `call`. What they do not know is called as here
/// everywhere: whoever tells streams that end from `on_unpublish` must not hear it of one that has
/// never begun.
const fn words(event: &Event) -> [&'static str; 2] {
    let began = !matches!(event.state, ConnectionState::Pending);
    match (event.kind.phase, event.kind.stage) {
        (Phase::Pre, Stage::Connect) => ["on_connect", "connect"],
        (Phase::Pre, Stage::Publish) => ["on_publish", "publish"],
        (Phase::Pre, Stage::Play) => ["on_play", "play"],
        (Phase::Done, Stage::Connect) => ["on_close", "disconnect"],
        (Phase::Done, Stage::Publish) if began => ["on_unpublish", "publish_done"],
        (Phase::Done, Stage::Play) if began => ["on_stop", "play_done"],
        _ => [event.kind.name(), event.kind.name()],
    }
}

fn given(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn tell_operated<'a>(payload: &mut Payload<'a>, operated: &'a Operated) {
    let part = &mut payload.part;
    part.text = Some(&operated.text);
    payload.actor = operated.actor.as_deref();
    (part.channel, part.output) = (operated.channel.as_deref(), operated.output.as_deref());
    part.pull = operated.pull.as_deref();
    part.record = operated.record.as_deref();
    (part.stream_path, part.ended) = (operated.stream.as_deref(), operated.client.as_deref());
}

fn tell_stream<'a>(payload: &mut Payload<'a>, stream: &'a str, reason: &'a str) {
    (payload.part.stream_path, payload.reason) = (Some(stream), Some(reason));
}

/// What there is to say of a recording.
fn tell_record<'a>(payload: &mut Payload<'a>, event: &'a NodeEvent) {
    let part = &mut payload.part;
    let millis = |time: &Micros| Some(time.millis());
    match event {
        NodeEvent::RecordStarted { name, file } => {
            (part.record, part.file) = (Some(name.as_str()), Some(file.as_str()));
        }
        NodeEvent::RecordFinished { name, file, length, bytes } => {
            (part.record, part.file) = (Some(name.as_str()), Some(file.as_str()));
            (payload.duration_ms, payload.bytes) = (millis(length), Some(*bytes));
        }
        NodeEvent::RecordStopped { name, reason, retry_in } => {
            part.record = Some(name.as_str());
            part.retry_in_ms = retry_in.as_ref().and_then(millis);
            payload.reason = Some(reason);
        }
        NodeEvent::RecordIncomplete { name, reason } => {
            (part.record, payload.reason) = (Some(name.as_str()), Some(reason.as_str()));
        }
        _ => {}
    }
}

fn tell_input<'a>(payload: &mut Payload<'a>, event: &'a InputEvent) {
    tell_stream(payload, &event.stream, &event.reason);
    (payload.part.channel, payload.part.code) = (Some(&*event.channel), given(event.code));
}

fn tell_layer<'a>(
    payload: &mut Payload<'a>,
    (channel, layer): (&'a str, &'a str),
    reason: Option<&'a str>,
) {
    (payload.part.channel, payload.part.layer) = (Some(channel), Some(layer));
    payload.reason = reason;
}

/// What is told of a loop that took too long.
/// What is told of a loop that stalled, or a trace that was kept therefore.
fn tell_late<'a>(payload: &mut Payload<'a>, event: &'a NodeEvent) {
    match event {
        NodeEvent::LoopStalled { core, length, reason } => {
            (payload.part.core, payload.reason) = (given(core), given(reason));
            payload.duration_ms = Some(length.millis());
        }
        NodeEvent::TraceKept { file, reason } => {
            (payload.part.file, payload.reason) = (given(file), given(reason));
        }
        _ => {}
    }
}

/// What is told of a channel's encoder.
fn tell_encoder<'a>(payload: &mut Payload<'a>, event: &'a NodeEvent) {
    let (channel, reason) = match event {
        NodeEvent::EncoderFailed { channel, reason }
        | NodeEvent::EncoderChanged { channel, reason, .. }
        | NodeEvent::EncoderOverloaded { channel, reason }
        | NodeEvent::EncoderRecovered { channel, reason }
        | NodeEvent::BitrateChanged { channel, reason } => (channel, reason),
        NodeEvent::FramesDropped { channel, frames, reason } => {
            payload.part.frames = Some(*frames);
            (channel, reason)
        }
        _ => return,
    };
    (payload.part.channel, payload.reason) = (Some(channel.as_str()), Some(reason.as_str()));
}

fn tell_part<'a>(payload: &mut Payload<'a>, event: &'a NodeEvent) {
    let part = &mut payload.part;
    let millis = |time: &Micros| Some(time.millis());
    match event {
        NodeEvent::Connection(_) | NodeEvent::Started | NodeEvent::Stopped => {}
        NodeEvent::OutputConnected { channel, name, .. } => {
            (part.channel, part.output) = (given(channel), Some(name.as_str()));
        }
        NodeEvent::OutputFailed { channel, name, reason, retry_in } => {
            (part.channel, part.output) = (given(channel), Some(name.as_str()));
            part.retry_in_ms = millis(retry_in);
            payload.reason = Some(reason);
        }
        NodeEvent::PullConnected { name, stream } => {
            (part.pull, part.stream_path) = (Some(name.as_str()), Some(stream.as_str()));
        }
        NodeEvent::PullFailed { name, reason, actor, retry_in } => {
            (part.pull, part.retry_in_ms) = (Some(name.as_str()), millis(retry_in));
            (payload.reason, payload.actor) = (Some(reason.as_str()), given(actor));
        }
        NodeEvent::Input(event) => tell_input(payload, event),
        NodeEvent::Fallback(event) => tell_stream(payload, &event.stream, &event.reason),
        NodeEvent::Transcode(event) => tell_stream(payload, &event.stream, &event.reason),
        NodeEvent::PullLeft { name } => part.pull = Some(name.as_str()),
        NodeEvent::RelayLoop { stream, source } => tell_stream(payload, stream, source),
        NodeEvent::RecordStarted { .. }
        | NodeEvent::RecordFinished { .. }
        | NodeEvent::RecordStopped { .. }
        | NodeEvent::RecordIncomplete { .. } => tell_record(payload, event),
        NodeEvent::EncoderFailed { .. }
        | NodeEvent::EncoderChanged { .. }
        | NodeEvent::EncoderOverloaded { .. }
        | NodeEvent::EncoderRecovered { .. }
        | NodeEvent::BitrateChanged { .. }
        | NodeEvent::FramesDropped { .. } => tell_encoder(payload, event),
        NodeEvent::AssetFailed { .. }
        | NodeEvent::AssetRestored { .. }
        | NodeEvent::PlaybackStarted { .. }
        | NodeEvent::PlaybackEnded { .. }
        | NodeEvent::InputConnected { .. }
        | NodeEvent::InputLost { .. } => tell_of_layer(payload, event),
        NodeEvent::Playlist(event) => {
            tell_layer(payload, (&event.channel, &event.layer), event.reason());
            (payload.part.index, payload.part.file) = (event.index(), Some(&*event.file));
        }
        NodeEvent::StreamWarning { stream, code, text } => {
            part.stream_path = Some(stream.as_str());
            (part.code, part.text) = (Some(*code), Some(text.as_str()));
        }
        NodeEvent::ChannelStalled { channel, length } => {
            (part.channel, payload.duration_ms) = (Some(channel.as_str()), millis(length));
        }
        NodeEvent::LoopStalled { .. } | NodeEvent::TraceKept { .. } => tell_late(payload, event),
        NodeEvent::CoreLost { core, channel, reason, .. } => {
            (part.core, part.channel) = (Some(core.as_str()), channel.as_deref());
            payload.reason = Some(reason);
        }
        NodeEvent::Operated(operated) => tell_operated(payload, operated),
    }
}

/// What is told of a layer's event.
fn tell_of_layer<'a>(payload: &mut Payload<'a>, event: &'a NodeEvent) {
    match event {
        NodeEvent::AssetFailed { channel, layer, reason, retry_in } => {
            tell_layer(payload, (channel, layer), Some(reason));
            payload.part.retry_in_ms = Some(retry_in.millis());
        }
        NodeEvent::AssetRestored { channel, layer }
        | NodeEvent::PlaybackStarted { channel, layer }
        | NodeEvent::PlaybackEnded { channel, layer } => {
            tell_layer(payload, (channel, layer), None);
        }
        NodeEvent::InputConnected { channel, layer, what: reason }
        | NodeEvent::InputLost { channel, layer, reason } => {
            tell_layer(payload, (channel, layer), Some(reason));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{About, ClientId, LifeCycle};
    use serde_json::{Value, json};

    fn life() -> LifeCycle {
        let peer = "192.0.2.7:9".parse().unwrap();
        let mut life = LifeCycle::new(ClientId::from_random([0; 8]), Micros(0), Some(peer));
        life.set_about(About {
            protocol: "rtmp",
            tc_url: "rtmp://h/live".to_owned(),
            agent: "LNX".to_owned(),
        });
        life
    }

    fn told(event: Event, params: &str) -> Value {
        let writer = EventWriter::new("node", Time::new(1_000, || Micros::from_millis(9_000)));
        serde_json::from_slice(&writer.tell(&NodeEvent::Connection(event), "1-1", params)).unwrap()
    }

    #[test]
    fn a_publisher_is_told_in_the_words_of_three_programs() {
        let event = life().begin(Stage::Publish, "live/show", Micros::from_millis(5)).unwrap();
        let wanted = json!({
            "event": "prePublish", "event_id": "1-1", "timestamp_ms": 1_005, "server_id": "node",
            "client_id": "AAAAAAAA", "connection_type": "pending", "stream_path": "live/show",
            "protocol": "rtmp",
            "action": "on_publish", "ip": "192.0.2.7", "vhost": "__defaultVhost__", "app": "live",
            "stream": "show", "param": "?token=t", "tcUrl": "rtmp://h/live",
            "call": "publish", "name": "show", "addr": "192.0.2.7", "tcurl": "rtmp://h/live",
            "flashver": "LNX",
        });
        assert_eq!(told(event, "?token=t"), wanted);
    }

    #[test]
    fn the_end_of_what_never_began_is_not_told_as_the_end_of_a_stream() {
        let mut life = life();
        let now = Micros::from_millis(5);
        life.begin(Stage::Publish, "live/show", now);
        let refused = told(life.done(Stage::Publish, now, 7, "no").unwrap(), "");
        assert_eq!(
            (&refused["action"], &refused["call"]),
            (&json!("donePublish"), &json!("donePublish"))
        );
        life.begin(Stage::Publish, "live/show", now);
        life.begun(Stage::Publish, now);
        let later = Micros::from_millis(105);
        let ended = told(life.done(Stage::Publish, later, 7, "ended").unwrap(), "");
        assert_eq!(
            (&ended["action"], &ended["call"]),
            (&json!("on_unpublish"), &json!("publish_done"))
        );
        assert_eq!((&ended["duration_ms"], &ended["bytes"]), (&json!(100), &json!(7)));
        assert_eq!(
            (&ended["reason"], &ended["connection_type"]),
            (&json!("ended"), &json!("publisher"))
        );
    }

    #[test]
    fn what_happens_to_an_output_names_it() {
        let writer = EventWriter::new("node", Time::new(1_000, || Micros::from_millis(9)));
        let failed = NodeEvent::OutputFailed {
            channel: "demo".to_owned(),
            name: "cdn".to_owned(),
            reason: "refused".to_owned(),
            retry_in: Micros::from_secs(1),
        };
        let told: Value = serde_json::from_slice(&writer.tell(&failed, "1-2", "")).unwrap();
        let wanted = json!({
            "event": "output_failed", "event_id": "1-2", "timestamp_ms": 1_009,
            "server_id": "node", "channel": "demo", "output": "cdn", "reason": "refused",
            "retry_in_ms": 1_000,
        });
        assert_eq!(told, wanted);
    }

    #[test]
    fn only_the_parameters_of_a_hook_are_told_to_it() {
        let names = [Arc::from("token"), Arc::from("other")];
        let params = Params::of(&names, |name| Some(format!("{name} &=1")));
        assert_eq!(query(&params, &["token".to_owned()]), "?token=token%20%26%3D1");
        assert_eq!(query(&params, &[]), "");
    }

    #[test]
    fn ids_differ() {
        let mut writer = EventWriter::new("node", Time::new(255, || Micros(0)));
        assert_eq!([writer.next_id(), writer.next_id()], ["ff-1", "ff-2"]);
    }
}
