//! Kept state and reload: changes made while the node runs survive a restart, are written down, and
//! are read again from a file that has changed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::config::{Config, demo};
use crate::hook_server::{HookServer, Reply};
use crate::node::{Node, run_to_end};
use crate::wait::{SOON, beside_others, free_port, wait_until};
use crate::web::Answer;
use crate::wire::Wire;

/// The API of a node, as its operator uses it.
pub(crate) struct Api {
    port: u16,
    token: String,
}

impl Api {
    pub(crate) fn of(node: &Node) -> Self {
        let token = std::fs::read_to_string(node.file("data/api-token")).unwrap();
        Self { port: node.http_port(), token: token.trim().to_owned() }
    }

    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (length, token) = (body.len(), &self.token);
        let (port, path) = (self.port, format!("/api/v1/{path}"));
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        let mut answer = Answer::to_bytes(port, request.as_bytes());
        let mut text = String::new();
        answer.body.read_to_string(&mut text).unwrap();
        (answer.status, text)
    }

    fn does(&self, method: &str, path: &str, body: &Value) {
        let (status, text) = self.send(method, path, body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {text}");
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.send("GET", path, &Value::Null).1).unwrap()
    }

    /// What a reload has done, what it names for a restart, what has failed.
    pub(crate) fn reload(&self) -> [Vec<String>; 3] {
        let (status, text) = self.send("POST", "reload", &Value::Null);
        assert_eq!(status, 200, "{text}");
        let view: Value = serde_json::from_str(&text).unwrap();
        ["done", "restart", "failed"].map(|key| {
            let list = view[key].as_array().unwrap().iter();
            list.map(|line| line.as_str().unwrap().to_owned()).collect()
        })
    }

    fn outputs(&self) -> Vec<(String, String)> {
        let all = self.json("outputs");
        let text = |of: &Value, key: &str| of[key].as_str().unwrap().to_owned();
        all.as_array().unwrap().iter().map(|it| (text(it, "name"), text(it, "state"))).collect()
    }
}

/// Secrets of destinations that nobody but the operator may see.
const SECRETS: [&str; 2] = ["s3cret-of-the-file", "s3cret-of-the-api"];

fn nowhere(secret: &str) -> String {
    format!("rtmp://127.0.0.1:1/live/{secret}")
}

fn with_output() -> Config {
    demo().output("file", &nowhere(SECRETS[0]))
}

/// Rewrites the node's file.
fn rewrite(node: &Node, config: &Config) -> PathBuf {
    let file = config.write(node.file("").as_path());
    assert!(file.exists());
    file
}

fn change_things(api: &Api) {
    let push = json!({ "name": "up", "stream": "live/demo", "url": nowhere(SECRETS[1]) });
    api.does("POST", "pushes", &push);
    let pull = json!({ "name": "down", "stream": "live/copy", "url": nowhere(SECRETS[1]) });
    api.does("POST", "pulls", &pull);
    api.does("POST", "pulls/down/stop", &Value::Null);
    let dir = std::env::temp_dir().join("never-written");
    let record = json!({ "name": "file", "stream": "live/nobody", "dir": dir });
    api.does("POST", "recordings", &record);
    let add = json!({ "name": "api", "url": nowhere(SECRETS[1]) });
    api.does("POST", "channels/demo/outputs", &add);
    api.does("POST", "channels/demo/outputs/file/stop", &Value::Null);
    let scene = json!({ "background": "#112233" });
    api.does("PUT", "channels/demo/scenes/mine", &scene);
    api.does("POST", "channels/demo/scenes/mine/activate", &json!({}));
    api.does("PUT", "log-level", &json!({ "level": "debug" }));
}

fn assert_changed(api: &Api) {
    wait_until(SOON, "both outputs are known, one of them stopped", || {
        let all = api.outputs();
        let state = |name: &str| all.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
        (state("api").is_some_and(|it| it != "stopped") && state("file") == Some("stopped"))
            .then_some(())
    });
    for (path, name, state) in
        [("pushes", "up", None), ("pulls", "down", Some("stopped")), ("recordings", "file", None)]
    {
        let all = api.json(path);
        let found = all.as_array().unwrap().iter().find(|it| it["name"] == name);
        let found = found.unwrap_or_else(|| panic!("no {name} in {all}"));
        assert!(state.is_none_or(|state| found["state"] == state), "{found}");
    }
    let scenes = api.json("channels/demo/scenes");
    assert_eq!(scenes["active"], "mine", "{scenes}");
    assert_eq!(api.json("channels/demo/scenes/mine")["background"], "#112233");
    assert_eq!(api.json("log-level")["level"], "debug");
}

#[test]
fn what_the_api_changed_survives_being_killed_and_nobody_else_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let _turn = beside_others();
    let config = with_output();
    let node = Node::start(&config);
    change_things(&Api::of(&node));
    let mode = std::fs::metadata(node.file("data/state.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // What was answered is on the disk: the node gets no time to write anything more.
    let node = node.killed_and_started(&config);
    let api = Api::of(&node);
    assert_changed(&api);
    let shown = api.send("GET", "config", &Value::Null).1;
    assert!(
        shown.contains("name = \"mine\"") && shown.contains("level = \"debug\"")
            || shown.contains("log = \"debug\""),
        "{shown}"
    );
    assert!(shown.contains("name = \"api\""), "{shown}");
    let log = node.program().err();
    for secret in SECRETS {
        assert!(!shown.contains(secret) && !log.contains(secret), "{secret} is shown");
    }
    // Back to what the file says: nothing is left to keep.
    api.does("DELETE", "channels/demo/outputs/api", &Value::Null);
    api.does("POST", "channels/demo/outputs/file/start", &Value::Null);
    api.does("POST", "channels/demo/scenes/main/activate", &json!({}));
    api.does("DELETE", "channels/demo/scenes/mine", &Value::Null);
    api.does("PUT", "log-level", &json!({ "level": "info" }));
    for path in ["pushes/up", "pulls/down", "recordings/file"] {
        api.does("DELETE", path, &Value::Null);
    }
    assert!(!node.file("data/state.toml").exists());
}

#[test]
fn with_the_file_only_a_restart_forgets_what_the_api_changed() {
    let _turn = beside_others();
    let config = with_output();
    let text = format!("[node]\nstate = \"file-only\"\n{}", config.text());
    let config = Config::of(&config, text);
    let node = Node::start(&config);
    change_things(&Api::of(&node));
    assert_changed(&Api::of(&node));
    let node = node.restarted(&config);
    let names: Vec<_> = Api::of(&node).outputs().into_iter().map(|it| it.0).collect();
    assert!(!names.contains(&"api".to_owned()), "{names:?}");
    assert_eq!(Api::of(&node).json("channels/demo/scenes")["active"], "main");
}

#[test]
fn what_is_in_use_is_exported_as_a_file_from_which_another_node_starts_the_same() {
    let _turn = beside_others();
    let node = Node::start(&with_output());
    change_things(&Api::of(&node));
    let address = format!("127.0.0.1:{}", node.http_port());
    let data = node.file("data");
    let ended =
        run_to_end(&["config", "export", "--data-dir", data.to_str().unwrap(), "--api", &address]);
    assert!(ended.status.success(), "{}", ended.err);
    let text = String::from_utf8(ended.out).unwrap();
    assert!(SECRETS.iter().all(|secret| text.contains(secret)), "a file has to hold them");
    let file = node.file("exported.toml");
    std::fs::write(&file, &text).unwrap();
    let checked = run_to_end(&["config", "check", file.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", checked.err);
    // A token that may only read gets nothing of it.
    let token = std::fs::read_to_string(node.file("data/api-token-readonly")).unwrap();
    let reader = Api { token: token.trim().to_owned(), ..Api::of(&node) };
    let (status, body) = reader.send("GET", "config/export", &Value::Null);
    assert_eq!(status, 403, "{body}");
    let (rtmp, http) = (free_port(), free_port());
    let text = text
        .replace(&format!("port = {}", node.rtmp_port()), &format!("port = {rtmp}"))
        .replace(&format!("port = {}", node.http_port()), &format!("port = {http}"));
    let second = Node::start(&Config::at([rtmp, http], text));
    assert_changed(&Api::of(&second));
}

#[test]
fn a_changed_file_is_applied_and_what_takes_a_restart_is_named() {
    let _turn = beside_others();
    let base = with_output();
    let node = Node::start(&base);
    let api = Api::of(&node);
    assert_eq!(api.reload(), [const { Vec::<String>::new() }; 3], "nothing has changed");
    let more = format!(
        "[node]\nname = \"another\"\nlog = \"debug\"\n{}",
        base.text().replace(&nowhere(SECRETS[0]), &nowhere("else"))
    );
    let channel = "[[channel]]\nname = \"later\"\n";
    let next = Config::of(&base, more)
        .output("second", &nowhere("x"))
        .push("live/demo", &nowhere("y"), "")
        .pull("live/copy", &nowhere("z"), "")
        .record("live/demo", &format!("dir = {:?}", node.file("recorded")))
        .more(channel);
    rewrite(&node, &next);
    let [done, restart, failed] = api.reload();
    assert_eq!(failed, Vec::<String>::new());
    assert_eq!(restart, ["[node] name"]);
    for line in [
        "channel later began",
        "the log level is debug",
        "added output second of channel demo",
        "added push push_0",
        "added pull pull_0",
        "added recording record_0",
    ] {
        assert!(done.contains(&line.to_owned()), "no {line:?} in {done:?}");
    }
    assert_eq!(api.json("log-level")["level"], "debug");
    wait_until(SOON, "the new output is known", || {
        api.outputs().iter().any(|it| it.0 == "second").then_some(())
    });
    for (path, name) in [("pushes", "push_0"), ("pulls", "pull_0"), ("recordings", "record_0")] {
        let all = api.json(path);
        assert!(all.as_array().unwrap().iter().any(|it| it["name"] == name), "no {name} in {all}");
    }
    assert!(!api.send("GET", "config", &Value::Null).1.contains("another"), "not in use yet");
    // A wrong file changes nothing, and says where it is wrong.
    let wrong = next.text().replace("name = \"second\"", "nam = \"second\"");
    rewrite(&node, &Config::of(&next, wrong));
    let (status, text) = api.send("POST", "reload", &Value::Null);
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("nam") && text.contains("name"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    assert!(api.outputs().iter().any(|it| it.0 == "second"));
    node.program().says("nothing was changed");
}

#[test]
fn the_signal_of_a_hangup_has_the_file_read_again() {
    let _turn = beside_others();
    let base = with_output();
    let node = Node::start(&base);
    let text = base.text().replace("name = \"file\"", "name = \"renamed\"");
    rewrite(&node, &Config::of(&base, text));
    node.signal("HUP");
    let api = Api::of(&node);
    wait_until(SOON, "the output has its new name", || {
        let names: Vec<_> = api.outputs().into_iter().map(|it| it.0).collect();
        (names == ["renamed"]).then_some(())
    });
    node.program().says("the configuration was read again: ");
}

#[test]
fn a_stream_loses_its_series_and_gets_them_back_as_the_file_says() {
    let _turn = beside_others();
    let base = demo();
    let node = Node::start(&base);
    let api = Api::of(&node);
    let live = || node.metric("stream_live", &["stream=\"live/demo\""]);
    let left_out = || node.metric("stream_series_left_out", &[]);
    let have_come = |count: f64| {
        wait_until(SOON, "the series are as many as may be", || {
            ((live() - count).abs() < 0.5 && (left_out() - (1.0 - count)).abs() < 0.5).then_some(())
        });
    };
    have_come(1.0);
    for (text, count) in [("[metrics]\nstreams_max = 0\n", 0.0), ("", 1.0)] {
        rewrite(&node, &Config::of(&base, format!("{}\n{text}", base.text())));
        let [done, restart, failed] = api.reload();
        assert_eq!(done, ["[metrics] changed"]);
        assert_eq!([restart, failed], [const { Vec::<String>::new() }; 2]);
        have_come(count);
    }
}

/// Whether the node shakes hands with one more.
fn is_taken(node: &Node) -> Option<TcpStream> {
    let mut socket = TcpStream::connect(("127.0.0.1", node.rtmp_port())).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let hello = [&[3_u8][..], &[0; 1_536]].concat();
    // One that was closed at once may refuse the bytes, or the reading.
    let answered = socket.write_all(&hello).and_then(|()| socket.read_exact(&mut [0; 1_537]));
    answered.is_ok().then_some(socket)
}

#[test]
fn hooks_keys_and_limits_change_for_who_comes_next() {
    let _turn = beside_others();
    let base = with_output();
    let node = Node::start(&base);
    let api = Api::of(&node);
    let key = node.key();
    let code = || {
        let (mut wire, stream) = Wire::stream(node.rtmp_port());
        wire.publish(stream, &format!("studio?key={key}"))[0].clone()
    };
    assert_eq!(code(), "NetStream.Publish.Start");
    let applies = |more: &str, table: &str| {
        rewrite(&node, &Config::of(&base, format!("{}\n{more}", base.text())));
        let [done, restart, failed] = api.reload();
        assert!(done.iter().any(|line| line.contains(table)), "no {table} in {done:?}");
        assert_eq!([restart, failed], [const { Vec::<String>::new() }; 2]);
    };
    let server = HookServer::start(|_| Reply::Status(403, String::new()));
    applies(&server.table("door", &["prePublish"], ""), "[[hook]]");
    wait_until(SOON, "the hook is asked, and refuses", || {
        (code() == "NetStream.Publish.Denied" && !server.posts().is_empty()).then_some(())
    });
    let asked = server.posts().len();
    applies("", "[[hook]]");
    wait_until(SOON, "nobody is asked any more", || {
        (code() == "NetStream.Publish.Start").then_some(())
    });
    assert!(server.posts().len() <= asked + 1, "a hook that is gone was asked");
    // What the HTTP port tells a page that wants to play.
    let allowed = || {
        let asks = "Origin: http://other.example\nAccess-Control-Request-Method: GET\n";
        let answer = Answer::to(node.http_port(), "OPTIONS", "/live/demo.flv", asks);
        answer.field("access-control-allow-origin").map(str::to_owned)
    };
    assert_eq!(allowed(), None);
    applies("[delivery]\ncors = \"*\"\n", "[delivery]");
    assert_eq!(allowed().as_deref(), Some("*"));
    applies("[keys]\ndevelopment = false\n", "[keys]");
    wait_until(SOON, "the development key opens nothing", || {
        (code() == "NetStream.Publish.Denied").then_some(())
    });
    let held = is_taken(&node).expect("there is no limit");
    applies("[limits]\nconnections_per_ip_max = 1\n[keys]\ndevelopment = false\n", "[limits]");
    wait_until(SOON, "a second one is not taken", || is_taken(&node).is_none().then_some(()));
    drop(held);
    wait_until(SOON, "there is room again", || is_taken(&node));
}
