//! Keys that change while people publish with them, on nodes that share them, and while their store
//! is away.

use std::io::{Read, Write};
use std::net::TcpStream;

use stream_manager::internals::KeyHash;

use crate::amf::Amf;
use crate::config::{Config, demo};
use crate::node::{Node, run_to_end};
use crate::pairs::ffmpeg_publishes_picture;
use crate::program::Ended;
use crate::redis::{PASSWORD, Redis, made};
use crate::wait::{SOON, beside_others, wait_until};
use crate::wire::{Message, VIDEO, Wire};

/// Starts to publish, which has to be allowed.
pub(crate) fn publisher(node: &Node, name: &str) -> (Wire, u32) {
    let (mut wire, stream) = Wire::stream(node.rtmp_port());
    let [code, _, description] = wire.publish(stream, name);
    assert_eq!(code, "NetStream.Publish.Start", "{description}");
    (wire, stream)
}

/// Code and description of the answer to somebody who publishes.
fn refused(node: &Node, name: &str) -> [String; 2] {
    let (mut wire, stream) = Wire::stream(node.rtmp_port());
    let [code, _, description] = wire.publish(stream, name);
    [code, description]
}

/// The store does not answer, and who publishes with an unknown key is told so.
fn cannot_be_checked(node: &Node, key: &str) {
    let [code, description] = refused(node, key);
    assert_eq!(code, "NetStream.Publish.Denied");
    assert!(description.contains("cannot be checked"), "{description}");
}

/// Waits until a publisher with this key is let in.
fn let_in_at_last(node: &Node, key: &str) {
    wait_until(SOON, "the key is good again", || {
        let (mut wire, stream) = Wire::stream(node.rtmp_port());
        (wire.publish(stream, key)[0] == "NetStream.Publish.Start").then_some(())
    });
}

/// A picture of this mark gets through.
fn goes_on((live, stream): (&mut Wire, u32), viewer: &mut Wire, mark: u8) {
    live.send(VIDEO, stream, u32::from(mark) * 40, &key_picture(mark)).unwrap();
    viewer.find("the live stream", |message| message.is_key() && message.body[5] == mark);
}

/// Code and description of what ends a publisher.
pub(crate) fn ended(wire: &mut Wire) -> [String; 2] {
    let [code, _, description] = wire.status();
    while wire.next().is_some() {}
    [code, description]
}

/// A keyframe with this mark, at a time in milliseconds.
pub(crate) fn key_picture(mark: u8) -> Vec<u8> {
    vec![0x17, 1, 0, 0, 0, mark, 0, 0, 0]
}

fn shared(redis: &Redis) -> Node {
    Node::start(&Config::new().more(&redis.table()))
}

#[test]
fn a_revoked_key_ends_its_publisher_on_every_node_that_shares_the_store() {
    let _turn = beside_others();
    let redis = Redis::start();
    let nodes = [shared(&redis), shared(&redis)];
    let (id, key) = redis.create("--stream live/a --alias studio");
    let mut live = nodes.each_ref().map(|node| publisher(node, &key).0);
    assert!(redis.keys(&format!("revoke {id}")).status.success());
    for wire in &mut live {
        let [code, description] = ended(wire);
        assert_eq!(code, "NetStream.Publish.Denied");
        assert!(description.contains("revoked"), "{description}");
    }
    for node in &nodes {
        let [code, description] = refused(node, &key);
        assert_eq!(code, "NetStream.Publish.Denied", "{description}");
        assert!(description.contains("revoked"), "not from the store: {description}");
        assert!(!node.program().err().contains(&key), "the key is in the log");
    }
    wait_until(SOON, "the refused attempts are counted", || {
        let shown = redis.keys(&format!("show {id} --json"));
        String::from_utf8(shown.out).unwrap().contains("\"failed_attempts\": 2").then_some(())
    });
}

#[test]
fn a_rotated_key_goes_on_for_its_grace_and_its_alias_leads_to_the_new_one() {
    let _turn = beside_others();
    let redis = Redis::start();
    let node = shared(&redis);
    let (id, old) = redis.create("--stream live/a --alias studio");
    let (mut live, _) = publisher(&node, &old);
    let rotated = redis.keys(&format!("rotate {id} --grace 4s --json"));
    let (_, new) = made(&rotated);
    let [code, description] = ended(&mut live);
    assert_eq!(code, "NetStream.Publish.Denied");
    assert!(description.contains("expired"), "{description}");
    publisher(&node, &format!("studio?key={new}"));
}

#[test]
fn a_key_that_ends_ends_its_publisher() {
    let _turn = beside_others();
    let redis = Redis::start();
    let node = shared(&redis);
    let (_, key) = redis.create("--stream live/a --expires 6s");
    let [code, description] = ended(&mut publisher(&node, &key).0);
    assert_eq!(code, "NetStream.Publish.Denied");
    assert!(description.contains("expired"), "{description}");
}

#[test]
fn while_redis_is_stopped_live_streams_go_on_and_new_publishers_are_told_why() {
    let _turn = beside_others();
    let redis = Redis::start();
    let node = shared(&redis);
    let (_, known) = redis.create("--stream live/a");
    let (_, other) = redis.create("--stream live/b");
    let (mut live, stream) = publisher(&node, &known);
    let port = redis.port();
    drop(redis);
    cannot_be_checked(&node, &other);
    let [code, description] = refused(&node, &known);
    assert_eq!(code, "NetStream.Publish.BadName", "the decision was forgotten: {description}");
    let mut viewer = Wire::play(node.rtmp_port(), "a");
    goes_on((&mut live, stream), &mut viewer, 7);

    // It comes back without its keys: whoever publishes has lost the right to.
    let redis = Redis::start_on(port);
    let [code, description] = ended(&mut live);
    assert_eq!(code, "NetStream.Publish.Denied");
    assert!(description.contains("not known"), "{description}");
    let (_, fresh) = redis.create("--stream live/c");
    let_in_at_last(&node, &fresh);
    for text in [node.program().err(), node.program().out_text()] {
        assert!(!text.contains(PASSWORD), "the password of Redis is shown");
        assert!(!text.contains(&known) && !text.contains(&fresh), "a key is shown");
    }
}

#[test]
fn a_redis_that_hangs_holds_nobody_up() {
    let _turn = beside_others();
    let redis = Redis::start();
    let node = shared(&redis);
    let (_, known) = redis.create("--stream live/a");
    let (_, other) = redis.create("--stream live/b");
    let (mut live, stream) = publisher(&node, &known);
    let mut viewer = Wire::play(node.rtmp_port(), "a");
    redis.signal("STOP");
    cannot_be_checked(&node, &other);
    goes_on((&mut live, stream), &mut viewer, 7);
    redis.signal("CONT");
    let_in_at_last(&node, &other);
    goes_on((&mut live, stream), &mut viewer, 8);
}

#[test]
fn a_node_may_let_in_who_names_a_stream_while_the_store_is_away() {
    let _turn = beside_others();
    let redis = Redis::start();
    let table = format!("{}on_store_failure = \"allow\"\n", redis.table());
    let node = Node::start(&Config::new().more(&table));
    drop(redis);
    publisher(&node, "named?key=whatever");
    let [code, _] = refused(&node, "whatever");
    assert_eq!(code, "NetStream.Publish.Denied", "a key without a name has nowhere to go");
}

#[test]
fn an_alias_alone_needs_a_list_of_addresses_or_a_development_key() {
    let _turn = beside_others();
    let redis = Redis::start();
    let node = shared(&redis);
    let (_, key) = redis.create("--stream live/open --alias open");
    redis.create("--stream live/listed --alias listed --allow 127.0.0.0/8");
    redis.create("--stream live/elsewhere --alias elsewhere --allow 192.0.2.1");
    redis.create("--stream live/dev --alias dev --type development");
    let [code, description] = refused(&node, "open");
    assert_eq!(code, "NetStream.Publish.Denied");
    assert!(description.contains("alias"), "{description}");
    publisher(&node, &format!("open?key={key}"));
    publisher(&node, "listed");
    publisher(&node, "dev");
    let [_, description] = refused(&node, "elsewhere");
    assert!(description.contains("address"), "{description}");
}

#[test]
fn behind_a_trusted_proxy_the_peer_is_who_the_proxy_names() {
    let _turn = beside_others();
    let redis = Redis::start();
    let trusting = Config::new().rtmp("trusted_proxies = [\"127.0.0.1\"]").more(&redis.table());
    let (trusting, strict) = (Node::start(&trusting), shared(&redis));
    let (_, key) = redis.create("--stream live/a --allow 192.0.2.0/24");
    let header = |from: &str| format!("PROXY TCP4 {from} 198.51.100.1 50000 1935\r\n");
    let publish = |from: &str| {
        let port = trusting.rtmp_port();
        let wire = Wire::open_behind(port, header(from).as_bytes());
        let (mut wire, stream) = wire.connected(port);
        wire.publish(stream, &key)[0].clone()
    };
    assert_eq!(publish("192.0.2.9"), "NetStream.Publish.Start");
    assert_eq!(publish("203.0.113.9"), "NetStream.Publish.Denied");
    assert_eq!(refused(&trusting, &key)[0], "NetStream.Publish.Denied", "without a proxy");
    let mut socket = TcpStream::connect(("127.0.0.1", strict.rtmp_port())).unwrap();
    socket.write_all(header("192.0.2.9").as_bytes()).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 4"), "somebody's word about an address: {answer:?}");
}

/// Guesses until the node has had enough; gives what it says then.
fn guess_until_stopped(node: &Node) -> String {
    wait_until(SOON, "a guess has to wait", || {
        let [_, description] = refused(node, "a guess");
        description.contains("too many wrong").then_some(description)
    })
}

#[test]
fn who_tries_keys_has_to_wait_and_neither_viewers_nor_the_right_key_have_to() {
    let _turn = beside_others();
    let table = "[keys]\nban_after = 3\nban_seconds = 3600\n";
    let node = Node::start(&demo().more(table));
    let told = guess_until_stopped(&node);
    assert!(told.contains("try again in 3600 s"), "{told}");
    let mut viewer = Wire::play(node.rtmp_port(), "demo");
    viewer.find("a picture", Message::is_picture);
    let [_, description] = refused(&node, &"0123456789abcdef".repeat(4));
    assert!(description.contains("too many wrong"), "the store was asked: {description}");
    publisher(&node, &node.key());
}

#[test]
fn guesses_at_once_are_answered_no_more_than_guesses_one_after_the_other() {
    let _turn = beside_others();
    let table = "[keys]\nban_after = 4\nban_seconds = 3600\n[cores]\nnet = [0, 1]\n";
    let node = Node::start(&Config::new().more(table));
    let asking: Vec<_> = (0..40)
        .map(|n| {
            let (mut wire, stream) = Wire::stream(node.rtmp_port());
            let name = Amf::text(&format!("guess-{n}"));
            let publish = [Amf::text("publish"), Amf::Number(3.0), Amf::Null, name];
            wire.command(stream, &publish);
            wire
        })
        .collect();
    let answers = asking.into_iter().map(|mut wire| {
        let [_, _, description] = wire.status();
        description
    });
    let looked_up = answers.filter(|answer| answer.contains("not known")).count();
    assert_eq!(looked_up, 4, "of 40 that came at once");
}

#[test]
fn who_shows_a_key_that_was_good_once_does_not_guess() {
    let _turn = beside_others();
    let redis = Redis::start();
    let embedded = Node::start(&Config::new());
    let dir = embedded.file("data");
    let on_file = |line: &str| {
        let dir = dir.to_str().unwrap();
        let api = format!("127.0.0.1:{}", embedded.http_port());
        let words = ["keys", "--data-dir", dir, "--api", &api].into_iter();
        run_to_end(&words.chain(line.split_whitespace()).collect::<Vec<_>>())
    };
    let shared = shared(&redis);
    let on_redis = |line: &str| redis.keys(line);
    let commands: [&dyn Fn(&str) -> Ended; 2] = [&on_file, &on_redis];
    for (node, keys) in [&embedded, &shared].into_iter().zip(commands) {
        let (id, deleted) = made(&keys("create --json --stream live/deleted"));
        let (_, brief) = made(&keys("create --json --stream live/brief --expires 1s"));
        assert!(keys(&format!("delete {id}")).status.success());
        for (key, words) in [(deleted, "deleted"), (brief, "expired")] {
            wait_until(SOON, "the key is good no more", || {
                refused(node, &key)[1].contains(words).then_some(())
            });
            for _ in 0..25 {
                let [_, description] = refused(node, &key);
                assert!(description.contains(words), "{description}");
            }
        }
        assert_eq!(refused(node, "a guess")[1], "this stream key is not known here");
    }
}

#[test]
fn a_right_key_does_not_make_up_for_wrong_ones() {
    let _turn = beside_others();
    let node = Node::start(&Config::new().more("[keys]\nban_after = 4\nban_seconds = 3600\n"));
    let key = node.key();
    for n in 0..4 {
        let [_, description] = refused(&node, &format!("guess-{n}"));
        assert!(description.contains("not known"), "{description}");
        let (live, _) = publisher(&node, &key);
        drop(live);
        node.wait_for_streams(0);
    }
    assert!(refused(&node, "another guess")[1].contains("too many wrong"));
}

#[test]
fn who_sends_more_than_the_key_allows_is_ended() {
    let _turn = beside_others();
    let redis = Redis::start();
    let node = shared(&redis);
    let (_, key) = redis.create("--stream live/a --bitrate 100000 --viewers 1");
    let (mut wire, stream) = publisher(&node, &key);
    let mut first = Wire::play(node.rtmp_port(), "a");
    let picture = [&key_picture(1)[..], &[0; 100_000]].concat();
    wire.send(VIDEO, stream, 0, &picture).unwrap();
    first.find("the stream", Message::is_key);
    let mut second = Wire::play(node.rtmp_port(), "a");
    let [code, _, text] = second.status();
    assert!(code.contains("Failed") && text.contains("viewers"), "{code}: {text}");
    let mut time = 0;
    wait_until(SOON, "the publisher is ended", || {
        time += 40;
        wire.send(VIDEO, stream, time, &picture).err()
    });
    node.program().says("higher bitrate");
}

#[test]
fn a_picture_larger_or_faster_than_the_key_allows_is_refused_when_it_is_announced() {
    let _turn = beside_others();
    let redis = Redis::start();
    let node = shared(&redis);
    let ffmpeg = |key: &str| {
        let url = node.url(&format!("live/{key}"));
        ffmpeg_publishes_picture("testsrc=s=320x180:r=30", &url)
    };
    let (_, wide) = redis.create("--stream live/a --max-width 320 --max-height 180 --max-fps 30");
    let _fits = ffmpeg(&wide);
    node.wait_for_streams(1);
    let mut viewer = Wire::play(node.rtmp_port(), "a");
    (0..60).for_each(|_| drop(viewer.find("the picture", |message| message.is_picture())));
    for (limit, words) in [
        ("--max-width 318", "320 pixels wide"),
        ("--max-height 178", "180 pixels high"),
        ("--max-fps 25", "30 frames per second"),
    ] {
        let (_, key) = redis.create(&format!("--stream live/b {limit}"));
        let ended = ffmpeg(&key).ended(SOON);
        assert!(!ended.status.success(), "ffmpeg goes on beyond {limit}");
        node.program().says(words);
    }
    assert!(node.metric("rtmp_limits_total", &["limit=\"picture\""]) > 2.5);
    viewer.find("the stream that fits", |message| message.is_picture());
}

#[test]
fn a_key_that_was_deleted_without_a_word_ends_its_publisher_within_the_cache_time() {
    let _turn = beside_others();
    let redis = Redis::start();
    let node = Node::start(&Config::new().more(&format!("{}cache_seconds = 4\n", redis.table())));
    let (_, key) = redis.create("--stream live/a");
    let (mut live, _) = publisher(&node, &key);
    assert_eq!(redis.say(&["FLUSHALL"]), "+OK");
    let [code, description] = ended(&mut live);
    assert_eq!(code, "NetStream.Publish.Denied");
    assert!(description.contains("not known"), "{description}");
    let [code, _] = refused(&node, &key);
    assert_eq!(code, "NetStream.Publish.Denied", "it came back by what was remembered");
}

#[test]
fn readiness_a_metric_and_the_log_tell_that_new_publishers_cannot_be_checked() {
    let _turn = beside_others();
    let redis = Redis::start();
    let node = shared(&redis);
    let up = |node: &Node| node.metric("key_store_up", &[]) > 0.5;
    wait_until(SOON, "the node is ready", || (node.http("/readyz").0 == 200).then_some(()));
    assert!(up(&node));
    let port = redis.port();
    drop(redis);
    let told = wait_until(SOON, "the node is not ready", || {
        let (code, body) = node.http("/readyz");
        (code == 503).then_some(body)
    });
    assert!(told.contains("stream keys cannot be checked: Redis"), "{told}");
    assert!(!up(&node) && !told.contains(PASSWORD));
    node.program().says("WARN");
    let _redis = Redis::start_on(port);
    wait_until(SOON, "the node is ready again", || (node.http("/readyz").0 == 200).then_some(()));
    assert!(up(&node));
}

#[test]
fn a_redis_that_may_throw_keys_away_is_warned_of_at_the_start() {
    let _turn = beside_others();
    let policy = ["--maxmemory-policy", "allkeys-lru"];
    let redis = Redis::start_with(crate::wait::free_port(), &policy);
    let node = shared(&redis);
    wait_until(SOON, "the node warns", || {
        let log = node.program().err();
        let line = log.lines().find(|line| line.contains("allkeys-lru"))?.to_owned();
        assert!(line.contains("WARN") && line.contains("noeviction"), "{line}");
        Some(())
    });
}

#[test]
fn a_record_that_is_refused_is_told_with_its_field_in_the_log_and_by_the_command() {
    let _turn = beside_others();
    let redis = Redis::start();
    let node = shared(&redis);
    let key = "0123456789abcdefghij-of-others";
    let hash = KeyHash::of(key);
    let put = |json: &str| {
        assert_eq!(redis.say(&["SET", &format!("stream:key:{hash}"), json]), "+OK");
        assert!(redis.say(&["PUBLISH", "stream:key:changes", &hash.to_string()]).starts_with(':'));
    };
    put(r#"{"stream": "show"}"#);
    let [code, description] = refused(&node, key);
    assert_eq!(code, "NetStream.Publish.Denied");
    assert!(description.contains("record of this stream key is damaged"), "{description}");
    let named = |text: &str| text.contains("`stream` has no application");
    node.program().says("`stream` has no application");
    let shown = redis.keys(&format!("show {}", hash.id()));
    assert!(!shown.status.success() && named(&shown.err), "{}", shown.err);
    let listed = redis.keys("list");
    assert!(listed.status.success() && named(&listed.err), "{}", listed.err);
    put(r#"{"stream": "live/show", "takeover": true, "expires_at": 4102444800000, "owner": null}"#);
    wait_until(SOON, "the record is good", || {
        let (mut wire, stream) = Wire::stream(node.rtmp_port());
        (wire.publish(stream, key)[0] == "NetStream.Publish.Start").then_some(())
    });
    let shown = String::from_utf8(redis.keys(&format!("show {}", hash.id())).out).unwrap();
    assert!(shown.contains("2100-01-01") && shown.contains("takes over    yes"), "{shown}");
}
