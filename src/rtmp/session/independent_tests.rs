//! Our sessions, chunks and values against an independent implementation of the protocol.

use std::collections::HashMap;

use proptest::prelude::*;
use rml_rtmp::chunk_io::{ChunkDeserializer, ChunkSerializer};
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use rml_rtmp::messages::MessagePayload;
use rml_rtmp::rml_amf0::{self, Amf0Value};
use rml_rtmp::sessions::{
    ClientSession, ClientSessionConfig, ClientSessionEvent, ClientSessionResult,
    PublishRequestType, ServerSession, ServerSessionConfig, ServerSessionEvent,
    ServerSessionResult,
};
use rml_rtmp::time::RtmpTimestamp;

use crate::frame::PacketPool;
use crate::media::Kind;
use crate::rtmp::amf0::{Decoder, Value};
use crate::rtmp::chunk::{MessageHeader, Reader, Writer, stream_of};
use crate::rtmp::{Client, ClientEvent, ClientSpec, Goal, Server, ServerEvent, ServerSpec, Url};

use super::harness::{T0, pool};

/// Type, time, stream id, body.
type Plain = (u8, u32, u32, Vec<u8>);

fn messages() -> impl Strategy<Value = Vec<Plain>> {
    let types = prop_oneof![Just(8_u8), Just(9), Just(18), Just(20)];
    let times =
        prop_oneof![0_u32..10_000, 0xff_fff0_u32..0x100_0010, Just(u32::MAX), any::<u32>(),];
    let bodies = (any::<u8>(), 1_usize..700).prop_map(|(byte, length)| {
        (0..length).map(|n| byte.wrapping_add(n.to_le_bytes()[0])).collect()
    });
    proptest::collection::vec((types, times, 0_u32..5, bodies), 1..8)
}

/// What another reader makes of what our writer emits.
fn read_back(messages: &[Plain], size: u32) -> Vec<Plain> {
    let mut writer = Writer::default();
    writer.set_chunk_size(size);
    let mut bytes = Vec::new();
    for (type_id, time, stream_id, body) in messages {
        let header = MessageHeader {
            chunk_stream: stream_of(*type_id),
            time: *time,
            length: 0,
            type_id: *type_id,
            stream_id: *stream_id,
        };
        writer.write(header, body, &mut bytes);
    }
    let mut reader = ChunkDeserializer::new();
    reader.set_max_chunk_size(usize::try_from(size).unwrap()).unwrap();
    let mut input = &bytes[..];
    let mut got = Vec::new();
    while let Some(message) = reader.get_next_message(std::mem::take(&mut input)).unwrap() {
        let MessagePayload { timestamp, type_id, message_stream_id, data } = message;
        got.push((type_id, timestamp.value, message_stream_id, data.to_vec()));
    }
    got
}

proptest! {
    #[test]
    fn what_our_writer_emits_another_reader_reads_back(
        messages in messages(), size in 700_u32..70_000,
    ) {
        prop_assert_eq!(read_back(&messages, size), messages);
    }

    #[test]
    fn small_chunks_of_our_writer_are_read_back_too(messages in messages(), size in 1_u32..300) {
        prop_assert_eq!(read_back(&messages, size), messages);
    }

    #[test]
    fn what_another_writer_emits_our_reader_reads_back(
        messages in messages(), size in 1_u32..70_000, plain: bool,
    ) {
        let mut writer = ChunkSerializer::new();
        let announced = writer.set_max_chunk_size(size, RtmpTimestamp::new(0)).unwrap();
        let mut bytes = announced.bytes;
        for (type_id, time, stream_id, body) in &messages {
            let payload = MessagePayload {
                timestamp: RtmpTimestamp::new(*time),
                type_id: *type_id,
                message_stream_id: *stream_id,
                data: body.clone().into(),
            };
            // Its headers are compressed unless it is told otherwise, and then whole in every
            // chunk, which is not allowed within a message.
            let plain = plain && body.len() <= usize::try_from(size).unwrap();
            bytes.extend(writer.serialize(&payload, plain, false).unwrap().bytes);
        }
        let (mut reader, pool) = (Reader::default(), pool());
        let mut input = &bytes[..];
        let mut got = Vec::new();
        while let Some(message) = reader.read(&mut input, &pool).unwrap() {
            if message.type_id == 1 {
                reader.set_chunk_size(u32::from_be_bytes(*message.body.first_chunk().unwrap()));
                continue;
            }
            got.push((message.type_id, message.time, message.stream_id, message.body.to_vec()));
        }
        prop_assert_eq!(got, messages);
    }

    #[test]
    fn values_are_read_back_by_both(value in values()) {
        let mut ours = Vec::new();
        value.encode(&mut ours);
        let theirs = rml_amf0::deserialize(&mut &ours[..]).unwrap();
        prop_assert_eq!(&theirs, &[foreign(&value)]);
        let bytes = rml_amf0::serialize(&theirs).unwrap();
        let back = Decoder::new(&bytes).value().unwrap().unwrap();
        prop_assert_eq!(foreign(&back), foreign(&value));
    }
}

/// Values that both implementations know, with names that differ.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (-1e9..1e9).prop_map(Value::Number),
        any::<bool>().prop_map(Value::Boolean),
        ".{0,20}".prop_map(Value::String),
        Just(Value::Null),
        Just(Value::Undefined),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        let members = proptest::collection::btree_map("[a-z]{1,8}", inner.clone(), 0..5);
        let members = members.prop_map(|map| map.into_iter().collect::<Vec<_>>());
        prop_oneof![
            members.clone().prop_map(Value::Object),
            members.prop_map(Value::EcmaArray),
            proptest::collection::vec(inner, 0..5).prop_map(Value::StrictArray),
        ]
    })
}

fn foreign(value: &Value) -> Amf0Value {
    match value {
        Value::Number(number) => Amf0Value::Number(*number),
        Value::Boolean(flag) => Amf0Value::Boolean(*flag),
        Value::String(text) => Amf0Value::Utf8String(text.clone()),
        Value::Object(members) | Value::EcmaArray(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), foreign(value)));
            Amf0Value::Object(members.collect::<HashMap<_, _>>())
        }
        Value::StrictArray(values) => Amf0Value::StrictArray(values.iter().map(foreign).collect()),
        Value::Null => Amf0Value::Null,
        Value::Undefined | Value::Date { .. } => Amf0Value::Undefined,
    }
}

/// Shakes hands, both ways; gives what the other side's session is to read first.
fn handshake(peer: PeerType, mut exchange: impl FnMut(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut handshake = Handshake::new(peer);
    let mut up = handshake.generate_outbound_p0_and_p1().unwrap();
    loop {
        let down = exchange(&up);
        match handshake.process_bytes(&down).unwrap() {
            HandshakeProcessResult::InProgress { response_bytes } => up = response_bytes,
            HandshakeProcessResult::Completed { response_bytes, remaining_bytes } => {
                let mut rest = remaining_bytes;
                rest.extend(exchange(&response_bytes));
                return rest;
            }
        }
    }
}

/// Our server, which accepts everything.
struct OurServer {
    server: Server,
    pool: PacketPool,
    events: Vec<String>,
}

impl OurServer {
    fn new() -> Self {
        let server = Server::new(ServerSpec::default(), T0, [3; 32]);
        Self { server, pool: pool(), events: Vec::new() }
    }

    fn exchange(&mut self, input: &[u8]) -> Vec<u8> {
        self.server.feed(input, T0, &self.pool).unwrap();
        while let Some(event) = self.server.poll_event() {
            match event {
                ServerEvent::Connect(_) => self.server.accept_connect(),
                ServerEvent::Publish { app, name, .. } => {
                    self.events.push(format!("publish {app}/{}", name.expose()));
                    assert!(self.server.accept_publish());
                }
                ServerEvent::Play { app, name, .. } => {
                    self.events.push(format!("play {app}/{}", name.expose()));
                    assert!(self.server.accept_play());
                }
                ServerEvent::Message { kind, time, body } => {
                    self.events.push(format!("{kind:?} {time} {}", body.len()));
                }
                ServerEvent::PublishEnd => self.events.push("publish end".to_owned()),
                ServerEvent::PlayEnd => self.events.push("play end".to_owned()),
                ServerEvent::Refused(why) => panic!("{why}"),
                ServerEvent::Playback | ServerEvent::Seek | ServerEvent::PeerClosed => {}
            }
        }
        self.take()
    }

    fn take(&mut self) -> Vec<u8> {
        let output = self.server.output().to_vec();
        self.server.consume_output(output.len());
        output
    }
}

/// Their client joined with our server.
struct TheirClient {
    session: ClientSession,
    server: OurServer,
    events: Vec<ClientSessionEvent>,
}

impl TheirClient {
    fn connected() -> Self {
        let mut server = OurServer::new();
        let rest = handshake(PeerType::Client, |bytes| server.exchange(bytes));
        let (session, first) = ClientSession::new(ClientSessionConfig::new()).unwrap();
        let mut joined = Self { session, server, events: Vec::new() };
        joined.settle(first);
        joined.receive(&rest);
        let request = joined.session.request_connection("live".to_owned()).unwrap();
        joined.settle(vec![request]);
        assert!(joined.events.contains(&ClientSessionEvent::ConnectionRequestAccepted));
        joined
    }

    fn receive(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            let results = self.session.handle_input(bytes).unwrap();
            self.settle(results);
        }
    }

    fn settle(&mut self, results: Vec<ClientSessionResult>) {
        for result in results {
            match result {
                ClientSessionResult::OutboundResponse(packet) => {
                    let answer = self.server.exchange(&packet.bytes);
                    self.receive(&answer);
                }
                ClientSessionResult::RaisedEvent(event) => self.events.push(event),
                ClientSessionResult::UnhandleableMessageReceived(_) => {}
            }
        }
    }
}

#[test]
fn an_independent_client_publishes_to_our_server() {
    let mut peer = TheirClient::connected();
    let request = peer.session.request_publishing("key".to_owned(), PublishRequestType::Live);
    let request = request.unwrap();
    peer.settle(vec![request]);
    assert!(peer.events.contains(&ClientSessionEvent::PublishRequestAccepted));
    for time in [0, 40, 0xff_fffe, 0x100_0000] {
        let body = vec![0x27; 10_000];
        let time = RtmpTimestamp::new(time);
        let sent = peer.session.publish_video_data(body.into(), time, false).unwrap();
        peer.settle(vec![sent]);
        let sent = peer.session.publish_audio_data(vec![0xaf, 1, 2].into(), time, false).unwrap();
        peer.settle(vec![sent]);
    }
    let goodbye = peer.session.stop_publishing().unwrap();
    peer.settle(goodbye);
    let media = [0, 40, 0xff_fffe, 0x100_0000_u32]
        .map(|time| [format!("Video {time} 10000"), format!("Audio {time} 3")]);
    let want =
        [vec!["publish live/key".to_owned()], media.concat(), vec!["publish end".to_owned()]];
    assert_eq!(peer.server.events, want.concat());
}

#[test]
fn an_independent_client_plays_from_our_server() {
    let mut peer = TheirClient::connected();
    let request = peer.session.request_playback("show".to_owned()).unwrap();
    peer.settle(vec![request]);
    assert!(peer.events.contains(&ClientSessionEvent::PlaybackRequestAccepted));
    peer.events.clear();
    let bodies = [vec![0x17; 50_000], vec![0x27; 3]];
    for (time, body) in [7, 0x100_0001].into_iter().zip(&bodies) {
        peer.server.server.write_message(Kind::Video, time, body).unwrap();
        peer.server.server.write_message(Kind::Audio, time, &body[..2]).unwrap();
        let output = peer.server.take();
        peer.receive(&output);
    }
    let got: Vec<_> = peer
        .events
        .iter()
        .filter_map(|event| match event {
            ClientSessionEvent::VideoDataReceived { timestamp, data } => {
                Some(format!("video {} {}", timestamp.value, data.len()))
            }
            ClientSessionEvent::AudioDataReceived { timestamp, data } => {
                Some(format!("audio {} {}", timestamp.value, data.len()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(got, ["video 7 50000", "audio 7 2", "video 16777217 3", "audio 16777217 2"]);
}

/// Our client joined with their server, which accepts everything.
struct TheirServer {
    session: ServerSession,
    client: Client,
    pool: PacketPool,
    theirs: Vec<ServerSessionEvent>,
    ours: Vec<String>,
    /// The stream that is played.
    playing: Option<u32>,
}

impl TheirServer {
    fn started(goal: Goal) -> Self {
        let url = Url::parse("rtmp://host/live/key").unwrap();
        let spec = ClientSpec { digest: true, ..ClientSpec::new(&url, goal) };
        let (mut client, pool) = (Client::new(spec, T0, [9; 32]), pool());
        let rest = handshake(PeerType::Server, |bytes| {
            client.feed(bytes, T0, &pool).unwrap();
            let output = client.output().to_vec();
            client.consume_output(output.len());
            output
        });
        let (session, first) = ServerSession::new(ServerSessionConfig::new()).unwrap();
        let (theirs, ours) = (Vec::new(), Vec::new());
        let mut joined = Self { session, client, pool, theirs, ours, playing: None };
        joined.settle(first);
        let results = joined.session.handle_input(&rest).unwrap();
        joined.settle(results);
        assert_eq!(joined.ours[0], "started 1");
        joined
    }

    /// What our client says goes to them, until it has nothing to say.
    fn run(&mut self) {
        while !self.client.output().is_empty() {
            let output = self.client.output().to_vec();
            self.client.consume_output(output.len());
            let results = self.session.handle_input(&output).unwrap();
            self.settle(results);
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.client.feed(bytes, T0, &self.pool).unwrap();
        while let Some(event) = self.client.poll_event() {
            self.ours.push(match event {
                ClientEvent::Started { stream_id } => format!("started {stream_id}"),
                ClientEvent::Message { kind, time, body } => {
                    format!("{kind:?} {time} {}", body.len())
                }
                other => format!("{other:?}"),
            });
        }
        self.run();
    }

    fn settle(&mut self, results: Vec<ServerSessionResult>) {
        for result in results {
            match result {
                ServerSessionResult::OutboundResponse(packet) => self.receive(&packet.bytes),
                ServerSessionResult::RaisedEvent(event) => {
                    let request = match &event {
                        ServerSessionEvent::ConnectionRequested { request_id, .. }
                        | ServerSessionEvent::ReleaseStreamRequested { request_id, .. }
                        | ServerSessionEvent::PublishStreamRequested { request_id, .. } => {
                            Some(*request_id)
                        }
                        ServerSessionEvent::PlayStreamRequested {
                            request_id, stream_id, ..
                        } => {
                            self.playing = Some(*stream_id);
                            Some(*request_id)
                        }
                        _ => None,
                    };
                    self.theirs.push(event);
                    if let Some(request) = request {
                        let results = self.session.accept_request(request).unwrap();
                        self.settle(results);
                    }
                }
                ServerSessionResult::UnhandleableMessageReceived(_) => {}
            }
        }
    }
}

#[test]
fn our_client_publishes_to_an_independent_server() {
    let mut peer = TheirServer::started(Goal::Publish);
    peer.theirs.clear();
    let mut metadata = Vec::new();
    Value::from("@setDataFrame").encode(&mut metadata);
    Value::from("onMetaData").encode(&mut metadata);
    Value::EcmaArray(vec![("width".to_owned(), 1_280.0.into())]).encode(&mut metadata);
    for (kind, time, body) in [
        (Kind::Data, 0, &metadata[..]),
        (Kind::Video, 5, &[0x17; 20_000]),
        (Kind::Audio, 0x100_0000, &[0xaf, 1]),
        (Kind::Video, 0x100_0001, &[0x27; 20_000]),
    ] {
        peer.client.write_message(kind, time, body).unwrap();
        peer.run();
    }
    peer.client.finish();
    peer.run();
    let got: Vec<_> = peer
        .theirs
        .iter()
        .filter_map(|event| match event {
            ServerSessionEvent::StreamMetadataChanged { metadata, stream_key, .. } => {
                Some(format!("metadata {stream_key} {:?}", metadata.video_width))
            }
            ServerSessionEvent::VideoDataReceived { data, timestamp, .. } => {
                Some(format!("video {} {}", timestamp.value, data.len()))
            }
            ServerSessionEvent::AudioDataReceived { data, timestamp, .. } => {
                Some(format!("audio {} {}", timestamp.value, data.len()))
            }
            ServerSessionEvent::PublishStreamFinished { stream_key, .. } => {
                Some(format!("finished {stream_key}"))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        got,
        [
            "metadata key Some(1280)",
            "video 5 20000",
            "audio 16777216 2",
            "video 16777217 20000",
            "finished key",
        ]
    );
}

#[test]
fn our_client_plays_from_an_independent_server() {
    let mut peer = TheirServer::started(Goal::Play);
    let stream = peer.playing.unwrap();
    peer.ours.clear();
    for time in [3, 43, 0x100_0000] {
        let time = RtmpTimestamp::new(time);
        let body = vec![0x27; 9_000];
        let sent = peer.session.send_video_data(stream, body.into(), time, false).unwrap();
        peer.receive(&sent.bytes);
        let sent = peer.session.send_audio_data(stream, vec![0xaf, 1].into(), time, false).unwrap();
        peer.receive(&sent.bytes);
    }
    let want = [3, 43, 0x100_0000_u32]
        .map(|time| [format!("Video {time} 9000"), format!("Audio {time} 2")]);
    assert_eq!(peer.ours, want.concat());
}
