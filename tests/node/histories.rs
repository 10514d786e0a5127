//! Connections of all kinds of luck, many at once, against a node whose hooks allow, refuse, hang
//! and fail: whatever becomes of a stage that has begun, it is done exactly once.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use crate::amf::Amf;
use crate::api::{ask, done};
use crate::config::Config;
use crate::hook_server::{HookServer, Post, Reply, fine};
use crate::hooks::journal;
use crate::node::Node;
use crate::wait::{SOON, beside_others, wait_until};
use crate::web::Answer;
use crate::wire::{VIDEO, Wire};

/// Connections that try their luck, each on a thread of its own.
const PEERS: u64 = 48;

/// Things that each of them does.
const STEPS: usize = 6;

/// Numbers that look random, and are the same for the same seed (splitmix64).
struct Luck(u64);

impl Luck {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % count
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

/// What hooks say, by the name of the stream or the application.
fn reply(post: &Post) -> Reply {
    match post.text("stream") {
        name if name.contains("refused") => Reply::Status(403, String::new()),
        name if name.contains("hanging") => Reply::Hang,
        name if name.contains("failing") => Reply::Status(500, String::new()),
        _ if post.text("app") == "closed" => Reply::Status(200, "1".to_owned()),
        _ => fine(),
    }
}

fn names(peer: u64) -> [String; 5] {
    ["own", "refused", "hanging", "failing", "shared"].map(|name| match name {
        "shared" => name.to_owned(),
        name => format!("{name}-{peer}"),
    })
}

/// One connection: it asks, changes its mind, and ends in one of several ways. Errors are part of
/// the game: whoever was refused is hung up on.
fn live(port: u16, peer: u64, seed: u64) -> Option<()> {
    let mut luck = Luck(seed.wrapping_mul(1_000).wrapping_add(peer));
    if luck.below(8) == 0 {
        let name = luck.one_of(&["demo", "refused-web", "hanging-web", "nobody-web"]).to_owned();
        drop(Answer::to(port, "GET", &format!("/live/{name}.flv"), "Connection: close\n"));
        return Some(());
    }
    let mut wire = Wire::open(port);
    let app = if luck.below(8) == 0 { "closed" } else { "live" };
    let url = format!("rtmp://127.0.0.1:{port}/{app}");
    let about = Amf::object(&[("app", app), ("tcUrl", &url), ("flashVer", "LNX")]);
    let say = |wire: &mut Wire, stream: u32, name: &str, rest: &[Amf]| {
        let head = [Amf::text(name), Amf::Number(1.0)];
        let mut body = Vec::new();
        head.iter().chain(rest).for_each(|value| value.write(&mut body));
        wire.send(20, stream, 0, &body).ok()
    };
    say(&mut wire, 0, "connect", &[about])?;
    let names = names(peer);
    let names: Vec<_> = names.iter().map(String::as_str).chain(["demo"]).collect();
    for _ in 0..STEPS {
        let name = Amf::text(luck.one_of(&names));
        let step = luck.below(10);
        match step {
            0..=2 => say(&mut wire, 1, "publish", &[Amf::Null, name, Amf::text("live")])?,
            3..=5 => say(&mut wire, 1, "play", &[Amf::Null, name])?,
            6 => say(&mut wire, 0, "deleteStream", &[Amf::Null, Amf::Number(1.0)])?,
            7 => say(&mut wire, 0, "close", &[])?,
            8 => wire.send(VIDEO, 1, 0, &[0x17, 1, 0, 0, 0, 7, 0, 0, 0]).ok()?,
            _ => say(&mut wire, 0, "FCUnpublish", &[Amf::Null, name])?,
        }
        let waits = step <= 5 && luck.below(4) > 0;
        while waits && wire.next()?.status().is_none() {}
    }
    match luck.below(4) {
        0 => reset(wire.socket()),
        1 => drop(wire.socket().shutdown(Shutdown::Write)),
        2 => drop(wire.send(99, 0, 0, &[0xff; 300])),
        _ => {}
    }
    Some(())
}

/// Ends a connection by a reset instead of a goodbye.
fn reset(socket: &TcpStream) {
    let socket = socket2::SockRef::from(socket);
    socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
}

/// Connections that stay until they are kicked: publishing, playing, and waiting for this or that.
fn sit(port: u16) -> Vec<Wire> {
    let mut all = Vec::new();
    for number in 0..3 {
        let (mut wire, stream) = Wire::stream(port);
        wire.publish(stream, &format!("sitting-{number}"));
        all.push(wire);
        for name in ["demo", "nobody", "hanging-sitting"] {
            all.push(Wire::play(port, name));
        }
        all.push(Wire::stream(port).0);
    }
    all
}

/// Ends, by the API, all connections that there are.
fn kick_all(node: &Node) {
    let clients = done(node, "GET /clients", &Value::Null);
    for client in clients.as_array().unwrap() {
        let kick = format!("DELETE /clients/{}", client["id"].as_str().unwrap());
        let (status, _) = ask(node, &kick, &Value::Null);
        assert!([204, 200, 404].contains(&status), "{status}");
    }
}

/// Fails unless the events of each connection are in order and each stage is done exactly once.
fn assert_lives(lines: &[Value]) {
    let mut open: HashMap<(String, String), String> = HashMap::new();
    let mut connected: HashMap<String, u32> = HashMap::new();
    // What an operator has done to a connection is no stage of its life.
    let of_lives =
        |line: &&Value| line["client_id"].is_string() && line["event"] != "client_kicked";
    for line in lines.iter().filter(of_lives) {
        let client = line["client_id"].as_str().unwrap().to_owned();
        let event = line["event"].as_str().unwrap();
        let cut = event.find(|c: char| c.is_ascii_uppercase()).unwrap();
        let (phase, stage) = event.split_at(cut);
        let last = open.remove(&(client.clone(), stage.to_owned()));
        let fits = match phase {
            "pre" => last.is_none(),
            "post" => last.as_deref() == Some("pre"),
            "done" => last.is_some(),
            _ => false,
        };
        assert!(fits, "{event} of {client} after {last:?}");
        if phase == "done" {
            assert_ne!(line["reason"], "", "{line}");
            assert_eq!(
                line["connection_type"] == "pending",
                last.as_deref() == Some("pre") || stage == "Connect",
                "{line}"
            );
        } else {
            open.insert((client.clone(), stage.to_owned()), phase.to_owned());
        }
        if stage == "Connect" {
            *connected.entry(client).or_default() += u32::from(phase == "pre");
        }
    }
    assert!(open.is_empty(), "not done: {open:?}");
    assert!(connected.values().all(|times| *times == 1), "connected twice: {connected:?}");
}

#[test]
fn whatever_becomes_of_a_connection_each_stage_is_done_once() {
    let _turn = beside_others();
    let server = HookServer::start(reply);
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("journal");
    let asked = ["preConnect", "prePublish", "prePlay"];
    let hook = server.table("luck", &asked, "timeout_ms = 300\non_failure = \"open\"");
    let more = format!("[journal]\npath = {path:?}\n{hook}");
    let open = crate::config::demo().more(&more);
    let text = open.text().replace("publish = \"key\"", "publish = \"open\"");
    let node = Node::start(&Config::of(&open, text));
    let port = node.rtmp_port();
    let seed = u64::from(std::process::id());
    println!("the seed is {seed}");
    for round in 0..3 {
        let peers: Vec<_> =
            (0..PEERS).map(|peer| thread::spawn(move || live(port, peer, seed + round))).collect();
        if round == 1 {
            let mut sitting = sit(port);
            kick_all(&node);
            sitting.iter_mut().for_each(|wire| while wire.next().is_some() {});
        }
        for peer in peers {
            peer.join().unwrap();
        }
    }
    // Who still waits for a hook has its time.
    wait_until(SOON, "all have gone", || {
        (node.metric("rtmp_connections", &[]) < 0.5).then_some(())
    });
    node.signal("TERM");
    let ended = node.ended(SOON);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
    assert!(!ended.err.contains("panic"), "{}", ended.err);
    let lines = journal(&path);
    assert_lives(&lines);
    for event in ["donePublish", "donePlay", "postPublish", "postPlay", "doneConnect"] {
        let count = lines.iter().filter(|line| line["event"] == event).count();
        assert!(count > 5, "{count} of {event}: the histories say little");
    }
}
