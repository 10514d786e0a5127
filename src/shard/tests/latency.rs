//! Latency that a shard measures: each message from its first byte to the last viewer.

use super::*;
use crate::media::{FrameId, OriginStamp, Point, Stamp, VideoCodec};
use crate::rtmp::origin_message;
use crate::stats::{LogFigures, Stage, StageFigures, parts_of};

impl Bench {
    fn stage(&self, stage: Stage) -> LogFigures {
        let mut all = StageFigures::default();
        for entry in self.stats.latencies().read() {
            entry.latency.read_into(&mut all);
        }
        all.of(stage).clone()
    }

    /// Lets time pass and nothing else.
    fn wait(&mut self, ms: u64) {
        self.now = self.now + Micros::from_millis(ms);
    }
}

#[test]
fn a_published_message_is_stamped_from_its_first_byte_and_a_channels_picture_from_when_it_was_due()
{
    let mut bench = Bench::new();
    let (peer, mut client) = bench.join("192.0.2.1", Goal::Publish);
    let _player = bench.join("192.0.2.2", Goal::Play);
    client.write_message(Kind::Video, 0, HEADER).unwrap();
    bench.say(peer, &mut client);
    client.write_message(Kind::Video, 0, KEY).unwrap();
    let bytes = client.output().to_vec();
    client.consume_output(bytes.len());
    let (first, rest) = bytes.split_at(15);
    bench.core.received(bench.now, peer, first);
    bench.wait(40);
    bench.core.at(Stamp::of(bench.now + Micros(500)));
    bench.core.received(bench.now, peer, rest);
    bench.wait(9);
    bench.settle();
    assert_eq!((bench.stage(Stage::Read).count(), bench.stage(Stage::Send).count()), (1, 1));
    assert_eq!(bench.stage(Stage::Read).max(), Micros(40_500));
    assert_eq!(bench.stage(Stage::Append).max(), Micros(0));
    assert_eq!(bench.stage(Stage::ToLog).max(), Micros(40_500));
    assert_eq!(bench.stage(Stage::Send).max(), Micros(8_500));
    assert_eq!(bench.stage(Stage::ToLast).max(), Micros(49_000));
    let entries = bench.stats.latencies().read();
    assert_eq!(&*entries[0].stream, "live/show");
    let worst = entries[0].latency.worst(bench.now);
    let parts: Vec<_> = parts_of(&worst[0].stamps).collect();
    assert_eq!(parts[..2], [(Stage::Read, 40_500), (Stage::Append, 0)]);

    let mut bench = Bench::new();
    let (mut pictures, _switch) = bench.add_channel();
    let mut stamps = Stamps::due(FrameId::new(5, 6), Stamp::of(bench.now));
    for (ms, point) in [(20, Point::Started), (20, Point::Queued), (30, Point::Encoded)] {
        stamps.set(point, Stamp::of(bench.now + Micros::from_millis(ms)));
    }
    bench.wait(37);
    pictures.push(Encoded { stamps, ..picture(0, bench.now) }).unwrap();
    bench.read_rings();
    assert_eq!(bench.stage(Stage::Append).max(), Micros::from_millis(7));
    assert_eq!(bench.stage(Stage::ToLog).max(), Micros::from_millis(37));
    assert_eq!(bench.stage(Stage::Send).count(), 0, "nobody plays it");
}

#[test]
fn a_viewer_whose_socket_is_full_counts_again_and_again_while_it_waits() {
    let mut bench = Bench::new();
    let mut publisher = bench.join("192.0.2.1", Goal::Publish);
    let (slow, _client) = bench.join("192.0.2.2", Goal::Play);
    let _other = bench.join("192.0.2.3", Goal::Play);
    bench.sockets.2.insert(slow, 0);
    bench.publish(&mut publisher, HEADER);
    bench.publish(&mut publisher, KEY);
    assert_eq!(bench.stage(Stage::Blocked).count(), 0);
    bench.pass(Micros::from_secs(3));
    let blocked = bench.stage(Stage::Blocked);
    assert!(blocked.count() >= 10, "{blocked:?}");
    let longest = blocked.max();
    assert!((2_800..=3_000).contains(&longest.millis()), "{longest:?}");
    assert!(blocked.quantile(0.5).unwrap().millis().abs_diff(1_500) < 300, "{blocked:?}");
    let sent = bench.stage(Stage::ToLast);
    assert!(sent.max() < Micros::from_millis(100), "the other one got it at once: {sent:?}");
}

#[test]
fn a_message_for_another_shard_is_stamped_there_and_streams_are_listed_while_they_are_there() {
    let bells = [Bell::new(), Bell::new()];
    let meshes = Mesh::full(&bells).into_iter().enumerate();
    let mut shards: Vec<_> = meshes.map(|(number, mesh)| Bench::of_mesh(number, mesh)).collect();
    let mut publisher = shards[0].join("192.0.2.1", Goal::Publish);
    exchange(&mut shards);
    let _player = shards[1].join("192.0.2.2", Goal::Play);
    exchange(&mut shards);
    shards[0].publish(&mut publisher, HEADER);
    shards[0].publish(&mut publisher, KEY);
    shards.iter_mut().for_each(|shard| shard.wait(6));
    exchange(&mut shards);
    assert_eq!(shards[0].stage(Stage::Hop).count(), 0);
    assert_eq!(shards[1].stage(Stage::Append).count(), 0, "it counts where the stream is owned");
    let hop = shards[1].stage(Stage::Hop);
    assert_eq!((hop.count(), hop.max()), (1, Micros::from_millis(6)));
    assert_eq!(shards[1].stage(Stage::Send).count(), 1);
    let listed = |shard: &Bench| shard.stats.latencies().read().len() - 1;
    assert_eq!([listed(&shards[0]), listed(&shards[1])], [1, 1]);
    let now = shards[0].now;
    shards[0].core.closed(now, publisher.0, Closed::End);
    shards[0].pass(Micros::from_secs(10));
    assert_eq!(listed(&shards[0]), 0);

    let mut bench = Bench::new();
    let _publisher = bench.join("192.0.2.1", Goal::Publish);
    bench.take_over(|_| {});
    bench.pass(Micros::from_secs(2));
    assert_eq!(listed(&bench), 1, "it is listed in the core that goes on");
}

#[test]
fn a_viewer_that_is_answered_before_all_have_their_turn_is_the_first_that_has_a_message() {
    let mut bench = Bench::new();
    let (publishing, mut client) = bench.join("192.0.2.1", Goal::Publish);
    let (playing, _player) = bench.join("192.0.2.2", Goal::Play);
    client.write_message(Kind::Video, 0, KEY).unwrap();
    let bytes = client.output().to_vec();
    bench.core.received(bench.now, publishing, &bytes);
    // Chunk stream 2, at time 0, six bytes of type 4 on stream 0: the peer is to answer a ping.
    let ping = [&[2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6][..], &[1, 2, 3, 4]].concat();
    bench.core.received(bench.now, playing, &ping);
    bench.wait(3);
    bench.settle();
    assert_eq!((bench.stage(Stage::Send).count(), bench.stage(Stage::ToLast).count()), (1, 1));
}

/// A unit of H.264 with one message of user data.
fn sei(uuid: [u8; 16], message: &[u8]) -> Vec<u8> {
    let size = u8::try_from(uuid.len() + message.len()).unwrap();
    let unit = [&[6, 5, size][..], &uuid, message, &[0x80]].concat();
    [&u32::try_from(unit.len()).unwrap().to_be_bytes()[..], &unit].concat()
}

#[test]
fn what_a_source_says_of_its_frames_is_read_from_keyframes_and_data_of_its_first_track() {
    let mut bench = Bench::new();
    let (peer, mut client) = bench.join("192.0.2.1", Goal::Publish);
    client.write_message(Kind::Video, 0, HEADER).unwrap();
    bench.say(peer, &mut client);
    // OBS: composed 90 ms ago, asked for 80 ms ago, encoded 50 ms ago.
    let now_us = DAY_US + bench.now.0;
    let mut times = vec![2];
    for (event, ago_ms) in [(1, 90), (2, 80), (3, 50)] {
        times.extend([2, event]);
        times.extend((now_us / 1_000 - ago_ms).to_be_bytes());
    }
    let obs: [u8; 16] = *b"\x0a\xec\xff\xe7\x52\x72\x4e\x2f\xa6\x2f\xd1\x9c\xd6\x1a\x93\xb5";
    let node = NodeId::new(1, 9);
    let stamp = |frame: u64| OriginStamp { unix_us: now_us - 70_000, node, frame };
    let key = |stamp: OriginStamp| {
        let units = [&sei(obs, &times)[..], &stamp.unit(VideoCodec::H264)].concat();
        [&b"\x17\x01\0\0\0"[..], &units, b"\0\0\0\x02\x65\x88"].concat()
    };
    client.write_message(Kind::Data, 0, &origin_message(&stamp(7))).unwrap();
    client.write_message(Kind::Video, 0, &key(stamp(7))).unwrap();
    // No keyframe, and one of another track.
    client.write_message(Kind::Video, 40, b"\x27\x01\0\0\0\0\0\0\x02\x41\x88").unwrap();
    let track = [&b"\x96\x01avc1\x02\0\0\0"[..], &stamp(8).unit(VideoCodec::H264)].concat();
    client.write_message(Kind::Video, 40, &track).unwrap();
    bench.say(peer, &mut client);
    let max = |stage| (bench.stage(stage).count(), bench.stage(stage).max().millis());
    assert_eq!(max(Stage::Origin), (1, 70), "once, by whichever comes first");
    assert_eq!(max(Stage::PublisherCapture), (1, 10));
    assert_eq!(max(Stage::PublisherEncode), (1, 30));
    assert_eq!(max(Stage::PublisherUplink), (1, 50));
    let entries = bench.stats.latencies().read();
    let origin = entries[0].latency.origin().unwrap();
    assert_eq!((origin.stamp, origin.took_us, origin.ahead), (stamp(7), 70_000, 0));
}
