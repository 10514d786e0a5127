//! Webhooks that are told what happens, or asked first; and the journal.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use socket2::{Domain, Socket, Type};
use stream_manager::event::NodeEvent;
use tempfile::TempDir;

use crate::amf::Amf;
use crate::config::{Config, demo};
use crate::hook_server::{HookServer, Post, Reply, fine, table};
use crate::node::{Node, STUDIO};
use crate::pairs::ffmpeg_publishes;
use crate::program::Program;
use crate::wait::{SOON, beside_others, wait_until};
use crate::web::Answer;
use crate::wire::{Message, VIDEO, Wire};

const SECRET: &str = "s3cret-of-the-hook";

/// The events of connections; those of the node are written with underscores.
fn of_connections() -> Vec<&'static str> {
    NodeEvent::NAMES.into_iter().filter(|name| name.contains(char::is_uppercase)).collect()
}

fn refuses(event: &'static str, body: &'static str) -> impl Fn(&Post) -> Reply {
    move |post| match post.event() == event {
        true => Reply::Status(200, body.to_owned()),
        false => fine(),
    }
}

/// Code and description of the first status that a player is told.
fn play_status(wire: &mut Wire) -> [String; 2] {
    let [code, _, description] = wire.status();
    [code, description]
}

fn publish_status(node: &Node, name: &str) -> [String; 2] {
    let (mut wire, stream) = Wire::stream(node.rtmp_port());
    let [code, _, description] = wire.publish(stream, name);
    [code, description]
}

/// The lines of a journal, each a JSON object.
pub(crate) fn journal(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The signature that the headers of a request must have.
fn signature(post: &Post) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(post.fields["x-timestamp"].as_bytes());
    mac.update(b".");
    mac.update(&post.body);
    let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256={hex}")
}

/// Checks what all events of a connection have in common, which `first` began.
fn assert_whole(post: &Post, first: &Post, port: u16) {
    assert_eq!(post.fields["x-signature-256"], signature(post), "{}", post.event());
    assert_eq!(post.fields["content-type"], "application/json");
    assert_eq!((&post.fields["x-event"], post.path.as_str()), (&post.event().to_owned(), "/all"));
    for (field, value) in [
        ("ip", "127.0.0.1"),
        ("addr", "127.0.0.1"),
        ("vhost", "__defaultVhost__"),
        ("app", "live"),
        ("server_id", "stream-manager"),
        ("flashver", "LNX 9,0,124,2"),
        ("protocol", "rtmp"),
    ] {
        assert_eq!(post.text(field), value, "{field} of {}", post.event());
    }
    let url = format!("rtmp://127.0.0.1:{port}/live");
    assert_eq!((post.text("tcUrl"), post.text("tcurl")), (url.as_str(), url.as_str()));
    assert_eq!(post.text("client_id"), first.text("client_id"));
    assert!(post.json["timestamp_ms"].as_u64() > Some(1_700_000_000_000));
}

#[test]
fn events_come_signed_in_their_order_with_the_fields_that_others_know_and_without_the_key() {
    let _turn = beside_others();
    let server = HookServer::start(|_| fine());
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("journal");
    let more = format!("secret = \"{SECRET}\"\nparams = [\"token\"]");
    let hook = server.table("all", &of_connections(), &more);
    let more = format!("[journal]\npath = {path:?}\n{hook}");
    let node = Node::start(&Config::new().more(&more));
    let key = node.key();
    let (mut wire, stream) = Wire::stream(node.rtmp_port());
    let name = format!("studio?key={key}&token=t%201&other=x");
    assert_eq!(wire.publish(stream, &name)[0], "NetStream.Publish.Start");
    wire.send(VIDEO, stream, 0, &[0x17, 1, 0, 0, 0, 7, 0, 0, 0]).unwrap();
    server.wait_for("postPublish");
    // Somebody takes the key for a name.
    let mut player = Wire::play(node.rtmp_port(), &key);
    assert_eq!(play_status(&mut player)[0], "NetStream.Play.StreamNotFound");
    drop(player);
    let hidden = server.wait_for("donePlay");
    assert_eq!(hidden.text("stream_path"), "live/***");
    drop(wire);
    wait_until(SOON, "both have gone", || {
        let gone = server.events().into_iter().filter(|event| event == "doneConnect").count();
        (gone == 2).then_some(())
    });

    let mut posts = server.posts();
    posts.retain(|post| post.json["client_id"] != hidden.json["client_id"]);
    let asked = |event: &str| posts.iter().find(|post| post.event() == event).unwrap();
    let names: Vec<_> = posts.iter().map(Post::event).collect();
    let order = ["preConnect", "prePublish"].map(|e| names.iter().position(|name| *name == e));
    assert!(order[0] < order[1], "{names:?}");
    let told: Vec<_> = names.into_iter().filter(|name| !name.starts_with("pre")).collect();
    assert_eq!(told, ["postConnect", "postPublish", "donePublish", "doneConnect"]);
    posts.iter().for_each(|post| assert_whole(post, &posts[0], node.rtmp_port()));
    let pre = asked("prePublish");
    let words = ["action", "call", "stream", "name", "stream_path", "param", "connection_type"];
    let wanted = ["on_publish", "publish", "studio", "studio", STUDIO, "?token=t%201", "pending"];
    assert_eq!(words.map(|word| pre.text(word)), wanted);
    let done = asked("donePublish");
    let wanted = ["on_unpublish", "publish_done", "studio", "studio", STUDIO, "", "publisher"];
    assert_eq!(words.map(|word| done.text(word)), wanted);
    assert!(done.json["bytes"].as_u64() > Some(3_000) && done.json["duration_ms"].is_u64());
    assert_eq!(done.text("reason"), "the peer closed");

    let lines = wait_until(SOON, "the journal is written", || {
        let lines = journal(&path);
        let gone = lines.iter().filter(|line| line["event"] == "doneConnect").count();
        (gone == 2).then_some(lines)
    });
    assert_eq!(lines[0]["event"], "started");
    let own = lines.iter().filter(|line| line["client_id"] == posts[0].json["client_id"]);
    let own: Vec<_> = own.filter_map(|line| line["event"].as_str()).collect();
    let wanted = ["preConnect", "postConnect", "prePublish", "postPublish", "donePublish"];
    assert_eq!(own, [&wanted[..], &["doneConnect"]].concat());
    let seen = [
        format!("{posts:?}"),
        server.posts().iter().map(|post| String::from_utf8_lossy(&post.body)).collect(),
        fs::read_to_string(&path).unwrap(),
        node.program().err(),
        node.http("/metrics").1,
    ];
    for text in &seen {
        assert!(!text.contains(&key), "the key is told: {text}");
        assert!(!text.contains(SECRET), "the secret is told: {text}");
    }
    for text in &seen[2..] {
        assert!(!text.contains("t%201") && !text.contains("t 1"), "a token is told: {text}");
    }
}

#[test]
fn ffmpeg_shows_why_a_hook_refuses_to_let_it_publish() {
    let _turn = beside_others();
    let reply = |post: &Post| match post.text("stream") {
        "studio" => Reply::Status(403, r#"{"reason": "the studio is closed"}"#.to_owned()),
        _ => fine(),
    };
    let server = HookServer::start(reply);
    let node = Node::start(&Config::new().more(&server.table("auth", &["prePublish"], "")));
    let refused = ffmpeg_publishes(&node.publish_url()).ended(SOON);
    assert!(!refused.status.success(), "ffmpeg took the refusal for a success");
    assert!(refused.err.contains("the studio is closed"), "{}", refused.err);
    let [code, description] = publish_status(&node, &format!("studio?key={}", node.key()));
    assert_eq!(
        (code.as_str(), description.as_str()),
        ("NetStream.Publish.Denied", "the studio is closed")
    );
    assert!(node.metric("rtmp_publish_attempts_total", &["status=\"denied\""]) > 1.5);
    assert!(node.metric("hook_decisions_total", &["hook=\"auth\"", "decision=\"refused\""]) > 1.5);
    let wrong = publish_status(&node, "wrong-key");
    assert_eq!(wrong[0], "NetStream.Publish.Denied");
    assert_eq!(server.posts().len(), 2, "asked about a key that is not known");
}

#[test]
fn ffmpeg_shows_why_a_hook_refuses_to_let_it_play() {
    let _turn = beside_others();
    let server = HookServer::start(|post| match post.text("param") {
        "?token=good" => fine(),
        _ => Reply::Status(200, r#"{"code": 7, "msg": "buy a ticket"}"#.to_owned()),
    });
    let hook = server.table("tickets", &["prePlay"], "params = [\"token\"]");
    let node = Node::start(&demo().more(&hook));
    let url = node.url("live/demo");
    let last = ["-i", &url, "-t", "1", "-f", "null", "-"];
    let refused = Program::start("ffmpeg", "-v error", &last).ended(SOON);
    assert!(!refused.status.success(), "ffmpeg took the refusal for a success");
    assert!(refused.err.contains("buy a ticket"), "{}", refused.err);
    let mut wire = Wire::play(node.rtmp_port(), "demo?token=bad");
    let [code, description] = play_status(&mut wire);
    assert_eq!((code.as_str(), description.as_str()), ("NetStream.Play.Failed", "buy a ticket"));
    let mut wire = Wire::play(node.rtmp_port(), "demo?token=good");
    wire.find("a picture", Message::is_picture);

    let by_http =
        |query: &str| Answer::to(node.rtmp_port(), "GET", &format!("/live/demo.flv{query}"), "");
    let refused = by_http("?token=bad");
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("buy a ticket"));
    let mut played = by_http("?token=good");
    assert_eq!(played.status, 200);
    played.flv_header();
    assert!(played.tag().is_some());
    let posts = server.posts();
    assert!(posts.iter().any(|post| post.text("protocol") == "http-flv"));
    assert!(!node.program().err().contains("good"), "a viewer's token is in the log");
}

#[test]
fn a_hook_may_refuse_a_connection() {
    let _turn = beside_others();
    let server = HookServer::start(refuses("preConnect", "1"));
    let node = Node::start(&demo().more(&server.table("door", &["preConnect"], "")));
    let mut wire = Wire::open(node.rtmp_port());
    let about = Amf::object(&[("app", "live"), ("tcUrl", "rtmp://127.0.0.1/live")]);
    wire.command(0, &[Amf::text("connect"), Amf::Number(1.0), about]);
    let refused = wire.find("the answer", |message| message.command() == "_error");
    let info = &refused.values()[3];
    assert_eq!(info.field("code").as_text(), "NetConnection.Connect.Rejected");
    assert!(info.field("description").as_text().contains("policy"), "{info:?}");
    while wire.next().is_some() {}
    let by_http = Answer::to(node.rtmp_port(), "GET", "/live/demo.flv", "");
    assert_eq!(by_http.status, 403);
}

#[test]
fn a_hook_says_no_in_its_own_words_and_is_followed_on_its_own_host() {
    let _turn = beside_others();
    let server = HookServer::start(|post| match (post.path.as_str(), post.text("stream")) {
        ("/auth", _) => Reply::Redirect(308, "/moved".to_owned()),
        ("/away", _) => Reply::Redirect(308, "http://localhost:1/".to_owned()),
        (_, "allow") => Reply::Status(200, r#"{"allow": false}"#.to_owned()),
        (_, "result") => Reply::Status(200, r#"{"result": false}"#.to_owned()),
        (_, "false") => Reply::Status(200, "false".to_owned()),
        _ => Reply::Status(200, r#"{"allow": true}"#.to_owned()),
    });
    let open = |name| {
        let more = format!("secret = \"{SECRET}\"");
        let hook = server.table(name, &["prePublish"], &more);
        Node::start(&Config::new().publish_open().more(&hook))
    };
    let node = open("auth");
    for name in ["allow", "result", "false"] {
        assert_eq!(publish_status(&node, name)[0], "NetStream.Publish.Denied", "{name}");
    }
    assert_eq!(publish_status(&node, "fine")[0], "NetStream.Publish.Start");
    let moved: Vec<_> = server.posts().into_iter().filter(|post| post.path == "/moved").collect();
    assert_eq!(moved.len(), 4, "each was sent on");
    for post in &moved {
        assert_eq!(post.fields["x-signature-256"], signature(post));
    }
    // What we send is for nobody else.
    assert_eq!(publish_status(&open("away"), "fine")[0], "NetStream.Publish.Denied");
}

#[test]
fn a_hook_that_is_dead_or_hangs_refuses_or_lets_go_on_as_it_is_configured() {
    let _turn = beside_others();
    let hanging = HookServer::start(|_| Reply::Hang);
    let failing = HookServer::start(|_| Reply::Status(502, String::new()));
    // It has a port that no other program can get, and does not listen there.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let nobody = socket.local_addr().unwrap().as_socket().unwrap();
    let dead = |more: &str| table("dead", &format!("http://{nobody}/"), &["prePublish"], more);
    let failing = |more: &str| failing.table("failing", &["prePublish"], more);
    let hanging = |more: &str| hanging.table("hanging", &["prePublish"], more);
    let tables: [&dyn Fn(&str) -> String; 3] = [&dead, &failing, &hanging];
    for hook in tables {
        for (policy, code) in
            [("closed", "NetStream.Publish.Denied"), ("open", "NetStream.Publish.Start")]
        {
            let more = format!("timeout_ms = 200\non_failure = \"{policy}\"");
            let node = Node::start(&Config::new().more(&hook(&more)));
            let name = format!("studio?key={}", node.key());
            let [got, description] = publish_status(&node, &name);
            assert_eq!(got, code, "{}: {description}", hook(&more));
            assert!(node.metric("hook_decisions_total", &["decision=\"failed\""]) > 0.5);
            node.program().says("hook ");
        }
    }
}

#[test]
fn who_vanishes_or_changes_its_mind_while_a_hook_decides_is_done_with_once() {
    let _turn = beside_others();
    let server = HookServer::start(|post| match post.text("stream") {
        "slow" => Reply::Hang,
        _ => fine(),
    });
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("journal");
    let hook = server.table("slow", &["prePlay"], "timeout_ms = 1500\non_failure = \"open\"");
    let more = format!("[journal]\npath = {path:?}\n{hook}");
    let node = Node::start(&demo().more(&more));
    drop(Wire::play(node.rtmp_port(), "slow"));
    let (mut wire, stream) = Wire::stream(node.rtmp_port());
    let play = |name: &str| [Amf::text("play"), Amf::Number(0.0), Amf::Null, Amf::text(name)];
    wire.command(stream, &play("slow"));
    wait_until(SOON, "the hook is asked", || (server.posts().len() == 2).then_some(()));
    let leave = [Amf::text("deleteStream"), Amf::Number(0.0), Amf::Null, Amf::Number(1.0)];
    wire.command(0, &leave);
    let done = |event: &str| journal(&path).iter().filter(|line| line["event"] == event).count();
    wait_until(SOON, "both have left", || (done("donePlay") == 2).then_some(()));
    wire.command(stream, &play("demo"));
    assert_eq!(play_status(&mut wire)[0], "NetStream.Play.Reset");
    wire.find("a picture", Message::is_picture);
    // The answer to the first question comes now, and is none any more.
    wait_until(SOON, "the hook has been given up", || {
        (node.metric("hook_decisions_total", &["decision=\"failed\""]) > 1.5).then_some(())
    });
    wire.find("the next picture", Message::is_picture);
    drop(wire);
    let lines = wait_until(SOON, "both are done", || {
        let lines = journal(&path);
        let done = lines.iter().filter(|line| line["event"] == "doneConnect").count();
        (done == 2).then_some(lines)
    });
    let count = |event: &str| lines.iter().filter(|line| line["event"] == event).count();
    assert_eq!([count("prePlay"), count("postPlay"), count("donePlay")], [3, 1, 3]);
}

#[test]
fn an_encoder_that_does_not_wait_for_a_slow_hook_loses_no_picture() {
    let _turn = beside_others();
    let server = HookServer::start(|_| Reply::Hang);
    let hook = server.table("slow", &["prePublish"], "timeout_ms = 1000\non_failure = \"open\"");
    let node = Node::start(&Config::new().more(&hook));
    let mut viewer = Wire::play(node.rtmp_port(), "studio");
    let (mut wire, stream) = Wire::stream(node.rtmp_port());
    let name = format!("studio?key={}", node.key());
    wire.say(stream, "publish", 3.0, &[Amf::text(&name), Amf::text("live")]);
    wire.send(VIDEO, stream, 0, &[0x17, 0, 0, 0, 0, 1, 0x64, 0, 9]).unwrap();
    // More than the node keeps for somebody who has no leave yet: the rest waits in the socket.
    for number in 0..250_u8 {
        let head = [if number == 0 { 0x17 } else { 0x27 }, 1, 0, 0, 0, number];
        let body = [&head[..], &[0; 2_000]].concat();
        wire.send(VIDEO, stream, number.into(), &body).unwrap();
    }
    assert_eq!(wire.status()[0], "NetStream.Publish.Start");
    viewer.find("the header", Message::is_video_header);
    for number in 0..250_u8 {
        assert_eq!(viewer.find("a picture", Message::is_picture).body[5], number);
    }
    assert!(node.metric("hook_decisions_total", &["decision=\"failed\""]) > 0.5);
}

#[test]
fn an_event_that_is_not_taken_is_sent_again_and_the_order_stays() {
    let _turn = beside_others();
    let tries = AtomicU32::new(0);
    let server = HookServer::start(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::Status(503, String::new()),
        1 => Reply::Status(429, String::new()),
        _ => fine(),
    });
    let hook = server.table("told", &["postConnect", "doneConnect"], "");
    let node = Node::start(&Config::new().more(&hook));
    drop(Wire::stream(node.rtmp_port()));
    server.wait_for("doneConnect");
    let events = server.events();
    assert_eq!(events, ["postConnect", "postConnect", "postConnect", "doneConnect"]);
    let ids: Vec<_> = server.posts().iter().map(|post| post.text("event_id").to_owned()).collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "{ids:?}");
    wait_until(SOON, "it is counted", || {
        (node.metric("hook_events_total", &["result=\"sent\""]) > 1.5).then_some(())
    });
    assert!((node.metric("hook_retries_total", &[]) - 2.0).abs() < 0.1);
    node.program().says("hook told answers again");
}

#[test]
fn a_hook_that_is_too_slow_loses_events_which_are_counted_and_nobody_waits() {
    let _turn = beside_others();
    let server = HookServer::start(|_| Reply::Hang);
    // What viewers do takes at most half of a queue.
    let more = "queue = 4\ntimeout_ms = 30000";
    let hook = server.table("slow", &["postConnect", "doneConnect"], more);
    let node = Node::start(&demo().more(&hook));
    for _ in 0..5 {
        let mut wire = Wire::play(node.rtmp_port(), "demo");
        wire.find("a picture", Message::is_picture);
    }
    wait_until(SOON, "events are dropped", || {
        (node.metric("hook_events_total", &["result=\"dropped\""]) > 6.5).then_some(())
    });
    assert!(node.metric("hook_queue_size", &[]) > 1.5);
    let told = node.program().says("some are dropped");
    assert_eq!(told.matches("some are dropped").count(), 1, "{told}");
}

#[test]
fn a_hook_is_reached_by_tls_only_if_its_certificate_is_trusted() {
    let _turn = beside_others();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let dir = TempDir::new().unwrap();
    let trusted = dir.path().join("cert.pem");
    fs::write(&trusted, made.cert.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let server = HookServer::start_secure(Arc::new(tls), |_| fine());
    for (more, code) in [
        (format!("ca_file = {trusted:?}"), "NetStream.Publish.Start"),
        (String::new(), "NetStream.Publish.Denied"),
    ] {
        let hook = server.table("secure", &["prePublish"], &more);
        let node = Node::start(&Config::new().more(&hook));
        let [got, description] = publish_status(&node, &format!("studio?key={}", node.key()));
        assert_eq!(got, code, "{description}");
    }
    assert_eq!(server.posts().len(), 1);
}

#[test]
fn the_last_events_arrive_before_the_node_has_ended() {
    let _turn = beside_others();
    let server = HookServer::start(|_| fine());
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("journal");
    let hook = server.table("told", &["donePlay", "stopped"], "");
    let more = format!("[journal]\npath = {path:?}\n{hook}");
    let node = Node::start(&demo().more(&more));
    let mut wire = Wire::play(node.rtmp_port(), "demo");
    wire.find("a picture", Message::is_picture);
    node.signal("TERM");
    assert_eq!(node.ended(SOON).status.code(), Some(0));
    assert_eq!(server.events(), ["donePlay", "stopped"]);
    let last: Vec<_> = journal(&path).iter().rev().take(3).map(|l| l["event"].clone()).collect();
    assert_eq!(last, ["stopped", "doneConnect", "donePlay"]);
}

#[test]
fn a_journal_is_put_aside_when_it_is_full() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("journal");
    let more = format!("[journal]\npath = {path:?}\nmax_bytes = 4096\nkeep = 2\n");
    let node = Node::start(&Config::new().more(&more));
    let aside = |number: u32| dir.path().join(format!("journal.{number}"));
    wait_until(SOON, "two files are put aside", || {
        drop(Wire::stream(node.rtmp_port()));
        aside(2).exists().then_some(())
    });
    for _ in 0..40 {
        drop(Wire::stream(node.rtmp_port()));
    }
    node.signal("TERM");
    node.ended(SOON);
    let files = [aside(2), aside(1), path];
    for file in &files {
        assert!(fs::metadata(file).unwrap().len() <= 4_096);
    }
    assert!(!aside(3).exists());
    let events: Vec<_> = files.iter().flat_map(|file| journal(file)).collect();
    assert_eq!(events.last().unwrap()["event"], "stopped");
    assert!(events.len() > 12);
}

#[test]
fn a_full_disk_ends_no_stream_and_is_told_once() {
    let _turn = beside_others();
    let more = "[journal]\npath = \"/dev/full\"\n";
    let node = Node::start(&demo().more(more));
    for _ in 0..3 {
        let mut wire = Wire::play(node.rtmp_port(), "demo");
        wire.find("a picture", Message::is_picture);
    }
    wait_until(SOON, "lost lines are counted", || {
        (node.metric("journal_lines_total", &["result=\"lost\""]) > 9.5).then_some(())
    });
    let told = node.program().says("the journal cannot be written");
    assert_eq!(told.matches("the journal cannot be written").count(), 1, "{told}");
}

#[test]
fn what_is_done_over_the_api_is_told_to_hooks_and_in_the_journal() {
    let _turn = beside_others();
    let server = HookServer::start(|_| fine());
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("journal");
    let told = ["scene_replaced", "scene_changed", "key_created", "log_level_changed"];
    let more = format!("[journal]\npath = {path:?}\n{}", server.table("told", &told, ""));
    let node = Node::start(&demo().more(&more));
    let token = fs::read_to_string(node.file("data/api-token")).unwrap();
    let ask = |method: &str, path: &str, body: &str| {
        let (token, length) = (token.trim(), body.len());
        let request = format!(
            "{method} /api/v1/{path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
             Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let answer = Answer::to_bytes(node.http_port(), request.as_bytes());
        assert!((200..300).contains(&answer.status), "{method} {path}: {}", answer.text());
        answer.text()
    };
    let scene = ask("GET", "channels/demo/scenes/main", "");
    ask("PUT", "channels/demo/scenes/other", &scene);
    ask("POST", "channels/demo/scenes/other/activate", "{\"fade_ms\": 200}");
    let made = ask("POST", "keys", "{\"stream\": \"live/a\"}");
    ask("PUT", "log-level", "{\"level\": \"warn\"}");

    server.wait_for("log_level_changed");
    let posts = server.posts();
    assert_eq!(posts.iter().map(Post::event).collect::<Vec<_>>(), told);
    assert_eq!(posts[1].text("channel"), "demo");
    assert_eq!(posts[1].text("text"), "channel demo shows scene other after a fade of 200 ms");
    assert_eq!(posts[2].text("stream_path"), "live/a");
    assert_eq!(posts[3].text("text"), "the log level is warn now");
    let lines = wait_until(SOON, "the journal is written", || {
        let lines = journal(&path);
        lines.iter().any(|line| line["event"] == told[3]).then_some(lines)
    });
    let own: Vec<_> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    let own: Vec<_> = own.into_iter().filter(|event| told.contains(event)).collect();
    assert_eq!(own, told);
    let made: Value = serde_json::from_str(&made).unwrap();
    let secret = made["secret"].as_str().unwrap();
    assert!(!fs::read_to_string(&path).unwrap().contains(secret));
}
