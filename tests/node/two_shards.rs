//! A node with two shards: whoever publishes on one is seen on both, and nothing is handed over for
//! nobody.

use std::path::PathBuf;

use stream_manager::LiveNode;
use stream_manager::command::{Answer, Ask};

use crate::amf::Amf;
use crate::config::{Config, demo};
use crate::keyring::{ended, key_picture};
use crate::node::Node;
use crate::redis::Redis;
use crate::reloading::Api;
use crate::wait::{SOON, beside_others, wait_until};
use crate::wire::{Message, USER_CONTROL, VIDEO, Wire};

/// The first two CPUs that these tests may use.
fn cpus() -> [usize; 2] {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let mut cpus = list.trim().split(',').flat_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        first.parse::<usize>().unwrap()..=last.parse().unwrap()
    });
    [cpus.next().unwrap(), cpus.next().expect("two shards need two CPUs")]
}

fn two_shards(config: Config) -> Node {
    Node::start(&config.more(&format!("[cores]\nnet = {:?}\n", cpus())))
}

/// How many connections each shard has let in.
fn let_in(node: &Node) -> [f64; 2] {
    ["shard=\"0\"", "shard=\"1\""].map(|shard| node.metric("shard_connections_total", &[shard]))
}

/// A connection to this shard with a message stream.
fn at(node: &Node, shard: usize) -> (Wire, u32) {
    connection_at(node.rtmp_port(), shard, || let_in(node))
}

/// The same where `let_in` says how many connections each shard has let in. The kernel chooses the
/// shard, so that it takes a few.
fn connection_at(port: u16, shard: usize, let_in: impl Fn() -> [f64; 2]) -> (Wire, u32) {
    wait_until(SOON, "the kernel chooses this shard", || {
        let before = let_in();
        let connection = Wire::stream(port);
        (let_in()[shard] > before[shard]).then_some(connection)
    })
}

/// A publisher at this shard, which has to be allowed.
fn publisher_at(node: &Node, shard: usize, name: &str) -> (Wire, u32) {
    let (mut wire, stream) = at(node, shard);
    let [code, _, description] = wire.publish(stream, name);
    assert_eq!(code, "NetStream.Publish.Start", "{description}");
    (wire, stream)
}

fn viewer_at(node: &Node, shard: usize, name: &str) -> Wire {
    let (mut wire, id) = at(node, shard);
    wire.command(id, &play(name));
    wire
}

fn play(name: &str) -> [Amf; 4] {
    [Amf::text("play"), Amf::Number(0.0), Amf::Null, Amf::text(name)]
}

/// Sends a header, a keyframe and pictures that need it, of this mark.
fn publish(wire: &mut Wire, stream: u32, mark: u8) {
    wire.send(VIDEO, stream, 0, &[0x17, 0, 0, 0, 0, 1, 0x64, 0, mark]).unwrap();
    wire.send(VIDEO, stream, 1_000, &key_picture(mark)).unwrap();
    for n in 1..=3 {
        let mut picture = key_picture(mark);
        picture[0] = 0x27;
        wire.send(VIDEO, stream, 1_000 + 40 * n, &picture).unwrap();
    }
}

/// Reads up to the last picture of a mark. The first of it is its keyframe, after its header; times
/// never go back, and no end comes in between.
fn sees(viewer: &mut Wire, mark: u8, after: u32) -> u32 {
    let (mut header_seen, mut key_seen, mut newest) = (false, false, after);
    for _ in 0..4 {
        let picture = loop {
            let message = viewer.next().expect("the stream goes on");
            let status = message.status().map(|[code, ..]| code);
            let goes_on = status.is_none_or(|code| code.starts_with("NetStream.Play."));
            let is_eof = message.kind == USER_CONTROL && message.body.starts_with(&[0, 1]);
            assert!(goes_on && !is_eof, "an end in between: {message:?}");
            header_seen |= message.is_video_header() && message.body[8] == mark;
            if message.is_picture() && message.body[5] == mark {
                break message;
            }
        };
        key_seen |= picture.is_key();
        assert!(header_seen && key_seen, "a picture without its header or keyframe");
        assert!(picture.time >= newest, "{} after {newest}", picture.time);
        newest = picture.time;
    }
    newest
}

fn is_end(message: &Message) -> bool {
    message.status().is_some_and(|[code, ..]| code == "NetStream.Play.UnpublishNotify")
}

#[test]
fn viewers_on_both_shards_start_at_the_keyframe_and_hear_of_the_end() {
    let _turn = beside_others();
    for home in [0, 1] {
        let node = two_shards(Config::new().publish_open().rtmp("grace = 1"));
        let early = [0, 1].map(|shard| viewer_at(&node, shard, "show"));
        let (mut wire, stream) = publisher_at(&node, home, "show");
        publish(&mut wire, stream, 1);
        let late = [0, 1].map(|shard| viewer_at(&node, shard, "show"));
        let mut viewers = early.into_iter().chain(late).collect::<Vec<_>>();
        for viewer in &mut viewers {
            sees(viewer, 1, 0);
        }
        drop(wire);
        for viewer in &mut viewers {
            viewer.find("the end of the stream", is_end);
        }
        assert!(node.metric("shard_hops_lost_total", &[]) < 0.5);
    }
}

#[test]
fn a_publisher_that_comes_back_to_the_other_shard_goes_on_for_all_viewers() {
    let _turn = beside_others();
    // Nobody is there to see the end of the grace time: the scenario would fail by it.
    let node = two_shards(Config::new().publish_open().rtmp("grace = 60"));
    let mut viewers = [0, 1].map(|shard| viewer_at(&node, shard, "show"));
    let mut newest = [0; 2];
    for (mark, home) in [(1, 0), (2, 1), (3, 0), (4, 0)] {
        let (mut wire, stream) = wait_until(SOON, "the name is free again", || {
            let (mut wire, stream) = at(&node, home);
            (wire.publish(stream, "show")[0] == "NetStream.Publish.Start").then_some((wire, stream))
        });
        publish(&mut wire, stream, mark);
        for (viewer, newest) in viewers.iter_mut().zip(&mut newest) {
            *newest = sees(viewer, mark, *newest);
        }
    }
}

#[test]
fn a_name_is_taken_on_both_shards_and_a_key_that_takes_over_does_so_from_either() {
    let _turn = beside_others();
    let redis = Redis::start();
    let node = two_shards(Config::new().more(&redis.table()));
    let (_, takes) = redis.create("--stream live/a --takeover");
    let (_, waits) = redis.create("--stream live/a");
    let (mut first, stream) = publisher_at(&node, 0, &takes);
    publish(&mut first, stream, 1);
    let mut viewers = [0, 1].map(|shard| viewer_at(&node, shard, "a"));
    let before = viewers.each_mut().map(|viewer| sees(viewer, 1, 0));

    let (mut refused, id) = at(&node, 1);
    let [code, _, description] = refused.publish(id, &waits);
    assert_eq!(code, "NetStream.Publish.BadName", "{description}");

    let (mut second, stream) = publisher_at(&node, 1, &takes);
    assert_eq!(ended(&mut first)[0], "NetStream.Publish.BadName");
    publish(&mut second, stream, 2);
    for (viewer, before) in viewers.iter_mut().zip(before) {
        sees(viewer, 2, before);
    }
}

#[test]
fn a_silent_publisher_of_one_shard_loses_its_place_to_the_other() {
    let _turn = beside_others();
    let node = two_shards(Config::new());
    let key = node.key();
    let (mut silent, stream) = publisher_at(&node, 0, &key);
    publish(&mut silent, stream, 1);
    let (mut wire, stream) = wait_until(SOON, "the silent one has lost its place", || {
        let (mut wire, stream) = at(&node, 1);
        (wire.publish(stream, &key)[0] == "NetStream.Publish.Start").then_some((wire, stream))
    });
    assert_eq!(ended(&mut silent)[0], "NetStream.Publish.BadName");
    publish(&mut wire, stream, 2);
    let mut viewer = viewer_at(&node, 0, "studio");
    sees(&mut viewer, 2, 0);
}

#[test]
fn a_revoked_key_ends_its_publisher_on_whichever_shard_it_is() {
    let _turn = beside_others();
    let redis = Redis::start();
    let node = two_shards(Config::new().more(&redis.table()));
    let made = ["live/a", "live/b"].map(|stream| redis.create(&format!("--stream {stream}")));
    let mut live = [0, 1].map(|shard| publisher_at(&node, shard, &made[shard].1).0);
    for (wire, (id, _)) in live.iter_mut().zip(&made) {
        assert!(redis.keys(&format!("revoke {id}")).status.success());
        assert_eq!(ended(wire)[0], "NetStream.Publish.Denied");
    }
}

/// Whether a viewer at this shard is let in; one that is not is told of the limit of the key.
fn is_let_in(node: &Node, shard: usize, name: &str) -> Option<Wire> {
    let mut viewer = viewer_at(node, shard, name);
    let [code, _, description] = viewer.status();
    let is_in = code.starts_with("NetStream.Play.") && code != "NetStream.Play.Failed";
    assert!(is_in || description.contains("as many viewers"), "{code}: {description}");
    is_in.then_some(viewer)
}

#[test]
fn the_viewers_that_a_key_allows_are_those_of_all_shards_wherever_its_publisher_is() {
    let _turn = beside_others();
    let redis = Redis::start();
    let node = two_shards(Config::new().more(&redis.table()));
    let (_, key) = redis.create("--stream live/a --viewers 3");
    let (mut wire, stream) = publisher_at(&node, 0, &key);
    publish(&mut wire, stream, 1);
    let mut viewers = [1, 0, 1].map(|shard| is_let_in(&node, shard, "a").expect("one of three"));
    let before = viewers.each_mut().map(|viewer| sees(viewer, 1, 0));
    for shard in [0, 1] {
        assert!(is_let_in(&node, shard, "a").is_none(), "a fourth one at shard {shard}");
    }

    drop(wire);
    let (mut wire, stream) = wait_until(SOON, "the publisher is back, elsewhere", || {
        let (mut wire, stream) = at(&node, 1);
        (wire.publish(stream, &key)[0] == "NetStream.Publish.Start").then_some((wire, stream))
    });
    publish(&mut wire, stream, 2);
    for (viewer, before) in viewers.iter_mut().zip(before) {
        sees(viewer, 2, before);
    }
    for shard in [0, 1] {
        assert!(is_let_in(&node, shard, "a").is_none(), "a fourth one at shard {shard}");
    }
    drop(viewers);
    for shard in [0, 1] {
        wait_until(SOON, "there is room again", || is_let_in(&node, shard, "a"));
    }
}

#[test]
fn a_shard_without_viewers_gets_nothing_and_lets_go_of_what_it_had() {
    let _turn = beside_others();
    let node = two_shards(demo());
    let mut home = viewer_at(&node, 0, "demo");
    home.find("a picture", Message::is_key);
    let hops = || node.metric("shard_hops_total", &["shard=\"0\""]);
    assert!(hops() < 0.5, "messages for nobody");
    let mut away = viewer_at(&node, 1, "demo");
    away.find("a picture", Message::is_key);
    wait_until(SOON, "messages go to the other shard", || (hops() > 20.0).then_some(()));
    drop(away);
    // The channel makes 73 messages a second: none in a second means that the shard has let go.
    wait_until(SOON, "the other shard lets go", || {
        let before = hops();
        (0..30).for_each(|_| drop(home.find("a picture", Message::is_picture)));
        (hops() - before < 0.5).then_some(())
    });
    let mut again = viewer_at(&node, 1, "demo");
    again.find("a picture", Message::is_key);
}

#[test]
fn an_operator_sees_and_ends_peers_of_both_shards() {
    let _turn = beside_others();
    let config = Config::new().publish_open().more(&format!("[cores]\nnet = {:?}\n", cpus()));
    let read = stream_manager::config::Config::parse(config.text(), "the scenario").unwrap();
    let node = LiveNode::start(&read).unwrap();
    let let_in = || {
        let shards = &node.node().unwrap().registry().shards;
        [0, 1].map(|shard| shards[shard].read().accepted as f64)
    };
    let at = |shard| connection_at(config.rtmp, shard, let_in);
    let (mut publisher, stream) = at(0);
    assert_eq!(publisher.publish(stream, "show")[0], "NetStream.Publish.Start");
    publish(&mut publisher, stream, 1);
    let mut viewers = [0, 1].map(|shard| {
        let (mut wire, id) = at(shard);
        wire.command(id, &play("show"));
        sees(&mut wire, 1, 0);
        wire
    });
    let stream = Some("live/show".to_owned());
    let Answer::Clients(clients) = node.ask(Ask::Clients { stream }) else { panic!("no answer") };
    let kick = |client: &str| node.ask(Ask::Kick { client: client.to_owned(), actor: None });
    let watching: Vec<_> = clients.iter().filter(|client| client.state == "player").collect();
    assert_eq!((clients.len(), watching.len()), (3, 2), "{clients:?}");
    for client in watching {
        assert!(matches!(kick(&client.id), Answer::Done), "{client:?}");
    }
    for viewer in &mut viewers {
        viewer.find("the end", is_end);
        while viewer.next().is_some() {}
    }
    let by_name = Ask::KickPublisher { stream: "live/show".to_owned(), actor: None };
    let by_name = node.ask(by_name);
    assert!(matches!(by_name, Answer::Done), "{by_name:?}");
    ended(&mut publisher);
}

#[test]
fn threads_run_on_the_cores_that_the_configuration_gives_them() {
    let _turn = beside_others();
    let [first, second] = cpus();
    let cores = format!("[cores]\nnet = [{second}]\ncontrol = [{first}]\n");
    let node = Node::start(&Config::new().more(&cores));
    let tasks = format!("/proc/{0}/task/{0}/status", node.program().id());
    let cpus_of = |path: &str| {
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        line.unwrap().trim().to_owned()
    };
    assert_eq!(cpus_of(&tasks), first.to_string(), "the control plane's thread");
    let status = shard_thread(&node).join("status");
    assert_eq!(cpus_of(status.to_str().unwrap()), second.to_string(), "the shard's thread");
}

/// The folder where the kernel tells of the shard's thread.
fn shard_thread(node: &Node) -> PathBuf {
    let threads = std::fs::read_dir(format!("/proc/{}/task", node.program().id())).unwrap();
    let shard = threads.map(|entry| entry.unwrap().path()).find(|path| {
        std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.starts_with("shard"))
    });
    shard.unwrap()
}

#[test]
fn a_shard_that_is_told_to_spin_never_sleeps_and_serves() {
    let _turn = beside_others();
    let cores = format!("[cores]\nnet = [{}]\nnet_spin_us = 1000000\n", cpus()[1]);
    let node = Node::start(&Config::new().publish_open().more(&cores));
    let sleeps = || {
        let status = std::fs::read_to_string(shard_thread(&node).join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    let (mut publisher, stream) = publisher_at(&node, 0, "show");
    let mut viewer = viewer_at(&node, 0, "show");
    let before = sleeps();
    for mark in 1..=20 {
        publish(&mut publisher, stream, mark);
        sees(&mut viewer, mark, 0);
    }
    // One that sleeps does so whenever it waits for the next of the twenty.
    let slept = sleeps() - before;
    assert!(slept < 5, "it has slept {slept} times");
}

#[test]
fn a_channel_that_is_replaced_and_ends_is_followed_from_the_other_shard() {
    let _turn = beside_others();
    let cores = format!("[cores]\nnet = {:?}\n", cpus());
    let base = demo().publish_open().more(&cores);
    let node = Node::start(&base);
    let api = Api::of(&node);
    let reload = |config: &Config| {
        config.write(node.file("").as_path());
        api.reload()
    };
    let mut viewer = viewer_at(&node, 1, "demo");
    let before = viewer.find("a picture", Message::is_picture);
    let text = base.text().replacen("bitrate = 600000", "bitrate = 900000", 1);
    let bigger = Config::of(&base, text);
    assert_eq!(reload(&bigger)[0], ["channel demo was replaced"]);
    let header = viewer.find("the new header", Message::is_video_header);
    let after = viewer.find("a picture", Message::is_picture);
    assert!(after.is_key() && after.time >= header.time && header.time >= before.time);

    // Who publishes at the other shard keeps the name; the channel is as it was.
    let (mut publisher, stream) = publisher_at(&node, 1, "taken");
    publish(&mut publisher, stream, 1);
    let moved = Config::of(&base, bigger.text().replacen("live/demo", "live/taken", 1));
    let [done, _, failed] = reload(&moved);
    assert!(done.is_empty() && failed[0].contains("live/taken"), "{done:?} {failed:?}");
    viewer.find("a picture", Message::is_picture);

    let [done, _, failed] = reload(&Config::of(&base, base.text().replace("demo", "other")));
    assert_eq!(done, ["channel demo ended", "channel other began"], "{failed:?}");
    viewer.find("its end", is_end);
}

#[test]
fn channels_are_spread_over_the_shards_and_play_at_each_and_the_api_says_what_is_where() {
    let _turn = beside_others();
    let config = demo().channel("more").layer("test-card", "").publish_open();
    let node = two_shards(config);
    let api = Api::of(&node);
    let shards = wait_until(SOON, "the shards are shown", || {
        let shards = api.json("node")["shards"].clone();
        (shards.as_array()?.len() == 2).then_some(shards)
    });
    for (number, channel) in ["demo", "more"].into_iter().enumerate() {
        let shard = &shards[number];
        assert_eq!((&shard["number"], &shard["cpu"]), (&number.into(), &cpus()[number].into()));
        assert_eq!(shard["channels"], serde_json::json!([channel]));
        assert!(shard["busy"].as_f64().is_some_and(|busy| (0.0..=1.0).contains(&busy)), "{shard}");
        for at in 0..2 {
            viewer_at(&node, at, channel).find("a picture", Message::is_picture);
        }
    }
    let shown = api.json("node");
    let driver = &shown["driver"];
    assert!(["glommio", "epoll"].contains(&driver["kind"].as_str().unwrap()), "{driver}");
    assert!(!driver["reason"].as_str().unwrap().is_empty(), "{driver}");
    assert!(shown["placement"].as_str().unwrap().contains("least load"), "{shown}");
    let busy = |shard| node.metric("shard_busy_ratio", &[shard]);
    assert!(busy("shard=\"0\"") <= 1.0 && busy("shard=\"1\"") <= 1.0);
}
