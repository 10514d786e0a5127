//! Secrets are told once to whom they belong, and are nowhere else: not in the log, the metrics,
//! the API, the WebSocket, an event, an error or the journal, whatever is done with them.

use std::fs;

use serde_json::Value;

use crate::config::{Config, demo};
use crate::hook_server::{HookServer, fine};
use crate::node::Node;
use crate::pairs::ffmpeg_publishes;
use crate::recording::Recording;
use crate::wait::{SOON, beside_others, free_port, wait_until};
use crate::web::Answer;
use crate::wire::Wire;

/// A key of the operator's own, a stream key of a platform, its login, and the hooks' secret.
const IMPORTED: &str = "imported-0123456789-secret-key";
const DESTINATION: &str = "destination-secret-key-4711";
const LOGIN: &str = "login-secret-0815";
const HOOK: &str = "hook-secret-2342";
/// Keys that are not good.
const WRONG: &str = "wrong-secret-key-that-somebody-tried";

const EVENTS: [&str; 3] = ["prePublish", "postPublish", "donePublish"];

/// Everything that was seen of a node.
struct Seen {
    node: Node,
    token: String,
    texts: Vec<(String, String)>,
}

impl Seen {
    fn note(&mut self, place: &str, text: String) {
        self.texts.push((place.to_owned(), text));
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> Value {
        let head = format!(
            "Authorization: Bearer {}\nConnection: close\nContent-Length: {}\n",
            self.token,
            body.len()
        );
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\n{}\r\n{body}",
            head.replace('\n', "\r\n")
        );
        let answer = Answer::to_bytes(self.node.http_port(), request.as_bytes());
        let text = format!("{}\n{}", answer.head.clone(), answer.text());
        let body = text.split_once("\n{").map(|(_, body)| format!("{{{body}")).unwrap_or_default();
        let value = serde_json::from_str(&body).unwrap_or(Value::Null);
        // The one answer that holds a key is the one that makes it.
        if value["secret"].is_null() {
            self.note(&format!("{method} {path}"), text);
        }
        value
    }

    fn refused(&mut self, name: &str) {
        let (mut wire, stream) = Wire::stream(self.node.rtmp_port());
        let status = wire.publish(stream, name);
        assert_ne!(status[0], "NetStream.Publish.Start");
        self.note("a refusal", status.join(" "));
    }

    /// Makes and takes in keys and outputs, well and badly; gives the key that was made.
    fn change(&mut self, destination: &str) -> String {
        let made =
            self.ask("POST", "/api/v1/keys", "{\"stream\": \"live/made\", \"alias\": \"desk\"}");
        let made = made["secret"].as_str().unwrap().to_owned();
        let import = format!("{{\"stream\": \"live/own\", \"key\": \"{IMPORTED}\"}}");
        self.ask("POST", "/api/v1/keys/import", &import);
        self.ask("POST", "/api/v1/keys/import", &import);
        let body = format!("{{\"key\": [\"{IMPORTED}\"], \"stream\": \"{IMPORTED}\"");
        self.ask("POST", "/api/v1/keys/import", &body);
        let body = format!("{{\"name\": \"second\", \"url\": \"{destination}\"}}");
        self.ask("POST", "/api/v1/channels/demo/outputs", &body);
        let body = format!("{{\"name\": \"third\", \"url\": \"rtmp://h/{DESTINATION}\"}}");
        self.ask("POST", "/api/v1/channels/demo/outputs", &body);
        made
    }

    /// Publishes and plays with each key, and tries it where somebody publishes already.
    fn publish(&mut self, keys: [&str; 3]) {
        for (number, key) in keys.into_iter().enumerate() {
            let publisher = match number {
                0 => ffmpeg_publishes(&self.node.url(&format!("live/made?key={key}"))),
                1 => ffmpeg_publishes(&self.node.url(&format!("live/{key}"))),
                _ => ffmpeg_publishes(&self.node.url(&format!("live/studio?key={key}"))),
            };
            self.node.wait_for_streams(2);
            let name = ["live/made", "live/own", "live/studio"][number];
            Recording::of(&self.node.url(name), 1, self.node.file(&format!("{number}.flv")));
            self.refused(key);
            self.refused(&format!("other?key={key}"));
            // Keys in the place of a name, beside and before a good key.
            for name in [key, WRONG] {
                self.refused(&format!("{name}?key={key}"));
                self.refused(&format!("{name}/{key}"));
            }
            drop(publisher);
            wait_until(SOON, "the publisher is gone", || {
                (self.node.metric("rtmp_active_streams", &[]) < 2.0).then_some(())
            });
        }
    }

    /// Fails in several ways, then looks at everything that is shown.
    fn fail_and_look(&mut self) {
        self.refused(WRONG);
        self.refused(&format!("studio?key={WRONG}"));
        drop(Wire::stream(self.node.rtmp_port()));
        wait_until(SOON, "the destination is missed", || {
            (self.node.metric("output_failures_total", &["output=\"cdn\""]) >= 1.0).then_some(())
        });
        let wrong = format!("Authorization: Bearer {WRONG}\nConnection: close\n");
        let answer = Answer::to(self.node.http_port(), "GET", "/api/v1/keys", &wrong);
        self.note("a wrong token", answer.text());

        for path in [
            "/metrics",
            "/status.json",
            "/stat",
            "/api/streams",
            "/api/server",
            "/api/v1/state",
            "/api/v1/keys",
            "/api/v1/outputs",
            "/api/v1/streams",
            "/api/v1/clients",
            "/api/v1/events",
            "/api/v1/config",
            "/api/v1/node",
            "/api/v1/channels",
            "/api/v1/openapi.json",
        ] {
            self.ask("GET", path, "");
        }
    }
}

#[test]
fn no_secret_is_seen_anywhere_whatever_is_done() {
    let _turn = beside_others();
    let hooks = HookServer::start(|_| fine());
    let journal = tempfile::tempdir().unwrap();
    let lines = journal.path().join("events.jsonl");
    let away = free_port();
    let destination = format!("rtmp://{LOGIN}:{LOGIN}@127.0.0.1:{away}/live/{DESTINATION}");
    let config: Config = demo()
        .output("cdn", &destination)
        .more(&hooks.table("seen", &EVENTS, &format!("secret = \"{HOOK}\"")))
        .more(&format!("[journal]\npath = {lines:?}\n"));
    let node = Node::start(&config);
    let token = fs::read_to_string(node.file("data/api-token")).unwrap().trim().to_owned();
    let development = node.key();
    let mut seen = Seen { node, token: token.clone(), texts: Vec::new() };

    let follow = format!(
        "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\
         Sec-WebSocket-Protocol: stream-manager, bearer.{token}\n"
    );
    let mut follower = Answer::to(seen.node.http_port(), "GET", "/ws", &follow);
    assert_eq!(follower.status, 101);

    let made = seen.change(&destination);
    seen.publish([&made, IMPORTED, &development]);
    seen.fail_and_look();
    let mut told = String::new();
    while !told.contains("output_failed") || !told.contains("donePublish") {
        let (_, payload) = follower.frame().expect("the follower is told");
        told.push_str(&String::from_utf8_lossy(&payload));
    }
    seen.note("the WebSocket", told);
    let posts: Vec<_> = hooks.posts().iter().map(|post| post.json.to_string()).collect();
    let posts = posts.join("\n");
    assert!(posts.contains("prePublish"), "{posts}");
    seen.note("the hooks", posts);

    let Seen { node, mut texts, .. } = seen;
    node.signal("TERM");
    let ended = node.ended(SOON);
    // The banner shows the development key to who starts the node.
    texts.push((
        "the terminal".to_owned(),
        String::from_utf8_lossy(&ended.out).replace(&development, ""),
    ));
    texts.push(("the log".to_owned(), ended.err));
    texts.push(("the journal".to_owned(), fs::read_to_string(&lines).unwrap()));
    assert!(texts.iter().any(|(place, text)| place == "the log" && text.contains("live/made")));
    let secrets =
        [&made, IMPORTED, &development, DESTINATION, LOGIN, HOOK, &token, WRONG].map(String::from);
    for (place, text) in &texts {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{secret} is in {place}: {text}");
        }
    }
}
