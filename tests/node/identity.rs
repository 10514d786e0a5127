//! Identity: the holder of a publisher's key, the actor of an event, and keys that are edited, kept
//! and moved.

use std::path::Path;

use serde_json::{Value, json};

use crate::api::{ask_with, done, events_of, token_in};
use crate::config::Config;
use crate::hook_server::{HookServer, Reply, fine};
use crate::keyring::{ended, key_picture, publisher};
use crate::node::{Node, run_to_end};
use crate::redis::{Redis, made};
use crate::wait::{SOON, beside_others, free_port, wait_until};
use crate::wire::{VIDEO, Wire};

/// The newest event of this kind.
fn event(node: &Node, kind: &str) -> Value {
    wait_until(SOON, kind, || events_of(node, kind).pop())
}

/// Runs `stream-manager keys` on the data directory of a node, or beside it.
fn keys(dir: &Path, config: &Config, line: &str) -> String {
    let file = config.write(dir);
    let (file, data) = (file.to_str().unwrap(), dir.join("data"));
    let place = ["keys", "--config", file, "--data-dir", data.to_str().unwrap()];
    let words: Vec<_> = place.into_iter().chain(line.split_whitespace()).collect();
    let ended = run_to_end(&words);
    assert!(ended.status.success(), "keys {line}: {}", ended.err);
    String::from_utf8(ended.out).unwrap()
}

#[test]
fn a_publisher_is_known_by_its_key_and_encoder_and_goes_on_by_the_rules_of_an_edit() {
    let _turn = beside_others();
    let config = Config::new();
    let node = Node::start(&config);
    let wish = json!({"stream": "live/show", "owner": "Ada", "label": "Camera 1"});
    let made = done(&node, "POST /keys", &wish);
    let (id, secret) = (made["key"]["id"].clone(), made["secret"].as_str().unwrap().to_owned());
    let (mut live, stream) = publisher(&node, &secret);

    let streams = done(&node, "GET /streams", &Value::Null);
    let clients = done(&node, "GET /clients", &Value::Null);
    let client = &clients[0];
    for who in [&streams[0]["publisher"], client, &event(&node, "postPublish")] {
        assert_eq!(who["key"], id, "{who}");
        assert_eq!((&who["owner"], &who["label"]), (&json!("Ada"), &json!("Camera 1")), "{who}");
        assert_eq!(who["encoder"], "LNX 9,0,124,2", "{who}");
    }
    let everything = format!("{streams}{clients}{}", done(&node, "GET /events", &Value::Null));
    assert!(!everything.contains(&secret), "the key is shown");

    let list = keys(node.file("").as_path(), &config, "list");
    let row = list.lines().find(|row| row.contains("Camera 1")).expect("the key's row");
    assert!(row.contains(client["address"].as_str().unwrap()), "who is live: {list}");

    keys(node.file("").as_path(), &config, &format!("edit {} --viewers 1", id.as_str().unwrap()));
    let edited = event(&node, "key_changed");
    assert_eq!(edited["actor"], "cli:admin", "{edited}");
    let all = done(&node, "GET /keys", &Value::Null);
    let of_it = |all: &Value| all.as_array().unwrap().iter().find(|it| it["id"] == id).cloned();
    assert_eq!(of_it(&all).unwrap()["viewers"], 1);
    assert!(keys(node.file("").as_path(), &config, "list").contains("1 viewers"));
    live.send(VIDEO, stream, 40, &key_picture(1)).unwrap();
    let mut first = Wire::play(node.rtmp_port(), "show");
    first.find("a picture", crate::wire::Message::is_key);
    let mut second = Wire::play(node.rtmp_port(), "show");
    assert_eq!(second.status()[1], "error", "one viewer is all that it may have");

    let path = format!("PATCH /keys/{}", id.as_str().unwrap());
    let (status, problem) =
        ask_with(&node, &token_in(&node, "data/api-token-readonly"), &path, &json!({"label": "x"}));
    assert_eq!(status, 403, "{problem}");
    done(&node, &path, &json!({"viewers": null, "label": "Camera 2", "expires_in_s": 1}));
    assert_eq!(event(&node, "key_changed")["actor"], "token:admin");
    let [code, description] = ended(&mut live);
    assert_eq!(code, "NetStream.Publish.Denied");
    assert!(description.contains("expired"), "{description}");
    assert_eq!(event(&node, "donePublish")["label"], "Camera 2");
}

#[test]
fn tokens_have_names_and_roles_and_events_say_who_did_it() {
    let _turn = beside_others();
    let hook = HookServer::start(|post| match post.text("stream_path") {
        "live/closed" => Reply::Status(200, "1".to_owned()),
        _ => fine(),
    });
    let dir = tempfile::TempDir::new().unwrap();
    let tokens = dir.path().display();
    let token = format!(
        "[[http.token]]
name = \"bot\"
role = \"operator\"
file = \"{tokens}/bot\"
{}",
        hook.table("auth", &["prePublish"], "")
    );
    let config = Config::new().publish_open().more(&token);
    let node = Node::start(&config);
    let bot = dir.path().join("bot");
    let bot = token_in(&node, bot.to_str().unwrap());
    let (_live, _) = publisher(&node, "show");
    let (status, problem) = ask_with(&node, &bot, "PUT /log-level", &json!({"level": "info"}));
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));
    let (status, _) = ask_with(&node, &bot, "DELETE /streams/live/show/publisher", &Value::Null);
    assert_eq!(status, 204);
    assert_eq!(event(&node, "publisher_kicked")["actor"], "token:bot");
    for kind in ["donePublish", "doneConnect"] {
        assert_eq!(event(&node, kind)["actor"], "token:bot", "{kind}");
    }
    let ended = "ended by the operator (token:bot)";
    let log = node.program().says(ended);
    assert!(log.lines().any(|it| it.contains("donePublish") && it.contains(ended)), "{log}");

    let (_live, _) = publisher(&node, "show");
    let _viewer = Wire::play(node.rtmp_port(), "show");
    let viewer = wait_until(SOON, "the viewer is listed", || {
        let clients = done(&node, "GET /clients?stream=live/show", &Value::Null);
        clients.as_array().unwrap().iter().find(|it| it["state"] == "player").cloned()
    });
    let kick = format!("DELETE /clients/{}", viewer["id"].as_str().unwrap());
    assert_eq!(ask_with(&node, &bot, &kick, &Value::Null).0, 204);
    let over = event(&node, "donePlay");
    assert_eq!((&over["client"], &over["actor"]), (&viewer["id"], &json!("token:bot")));

    let (mut closed, stream) = Wire::stream(node.rtmp_port());
    assert_eq!(closed.publish(stream, "closed")[0], "NetStream.Publish.Denied");
    let refused = wait_until(SOON, "the refusal is told", || {
        let told = event(&node, "donePublish");
        (told["stream"] == "live/closed").then_some(told)
    });
    assert_eq!(refused["actor"], "hook:auth", "{refused}");
}

#[test]
fn the_name_that_was_asked_for_is_told_unless_it_could_be_a_key() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let wish = json!({"stream": "live/show", "label": "Camera 1"});
    let made = done(&node, "POST /keys", &wish);
    let key = made["secret"].as_str().unwrap();
    let short = "seventeen-chars-k";
    done(&node, "POST /keys/import", &json!({"stream": "live/other", "key": short}));
    // From now on it is known as a key here.
    drop(publisher(&node, short));
    let like_a_key = "studio-0123456789-abcdef";
    let newest = |at: usize| {
        wait_until(SOON, "the publication is told", || {
            let events = done(&node, "GET /events", &Value::Null);
            let of_key = |it: &&Value| it["kind"] == "postPublish" && it["stream"] == "live/show";
            events.as_array().unwrap().iter().filter(of_key).nth(at).cloned()
        })
    };
    for (at, (name, shown)) in [
        (format!("cam?key={key}"), Some("live/cam")),
        (format!("cam/{key}"), Some("live/cam")),
        (format!("show?key={key}"), None),
        (key.to_owned(), None),
        (format!("{key}?key={key}"), None),
        (format!("{like_a_key}?key={key}"), None),
        (format!("{like_a_key}/{key}"), None),
        (format!("{short}?key={key}"), None),
        (format!("{short}/{key}"), None),
    ]
    .into_iter()
    .enumerate()
    {
        let (live, _) = publisher(&node, &name);
        let told = newest(at);
        assert_eq!(told["asked_for"].as_str(), shown, "{name}: {told}");
        drop(live);
        wait_until(SOON, "the name is free", || {
            (node.metric("rtmp_active_streams", &[]) < 0.5).then_some(())
        });
    }
    let log = node.program().says("live/show (asked for live/cam) from ");
    let everything = format!("{log}{}", done(&node, "GET /events", &Value::Null));
    for hidden in [key, short, like_a_key] {
        assert!(!everything.contains(hidden), "{hidden} is shown: {everything}");
    }
}

#[test]
fn a_store_is_exported_and_moves_from_its_file_to_redis() {
    let _turn = beside_others();
    let config = Config::new();
    let node = Node::start(&config);
    let dir = node.file("");
    let (id, secret) = made(&run_to_end(&[
        "keys",
        "--config",
        config.write(&dir).to_str().unwrap(),
        "--data-dir",
        dir.join("data").to_str().unwrap(),
        "create",
        "--json",
        "--stream",
        "live/show",
        "--owner",
        "Ada",
        "--alias",
        "studio",
    ]));
    // While the node has the store open, by its API.
    let file = node.file("keys.jsonl");
    let said = keys(&dir, &config, &format!("export {}", file.display()));
    assert!(said.contains("2 keys"), "{said}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("studio") && !text.contains(&secret) && !text.contains(&node.key()));

    let redis = Redis::start_on(free_port());
    let taken_in = redis.keys(&format!("import --from {}", file.display()));
    let said = String::from_utf8(taken_in.out).unwrap();
    assert!(said.contains("2 keys were added"), "{said}{}", taken_in.err);
    let shown = String::from_utf8(redis.keys("show studio").out).unwrap();
    assert!(shown.contains(&id) && shown.contains("Ada"), "{shown}");
    let other = Node::start(&Config::new().more(&redis.table()));
    drop(publisher(&other, &secret));

    // And back, once the first node has forgotten it.
    keys(&dir, &config, &format!("delete {id}"));
    let said = keys(&dir, &config, &format!("import --from {}", file.display()));
    assert!(said.contains("1 keys were added") && said.contains("1 were there"), "{said}");
    drop(publisher(&node, &secret));
    let restored = event(&node, "keys_restored");
    assert_eq!(restored["actor"], "cli:admin", "{restored}");
}
