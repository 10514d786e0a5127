//! Uploads: files that come over the API for scenes to show.

use serde_json::{Value, json};

use crate::api::{ask, done, events_of, token};
use crate::config::Config;
use crate::node::Node;
use crate::program::Program;
use crate::wait::{SOON, beside_others};
use crate::watcher::{Watcher, is_near};
use crate::web::Answer;

/// ffmpeg's colours in BT.709 of limited range.
const RED: [u8; 3] = [63, 102, 240];
const BLUE: [u8; 3] = [32, 240, 118];

/// Noise, of which a few files fill the folder.
const NOISE: &str = "nullsrc=s=40x40,format=rgb24,noise=alls=100";

/// A picture as ffmpeg makes it.
fn png(node: &Node, source: &str) -> Vec<u8> {
    made(node, "made.png", source)
}

/// The same as a file of this name.
fn made(node: &Node, name: &str, source: &str) -> Vec<u8> {
    let file = node.file(name);
    let last = ["-f", "lavfi", "-i", source, "-frames:v", "1", "-y", file.to_str().unwrap()];
    Program::start("ffmpeg", "-v error", &last).succeeds(SOON);
    std::fs::read(file).unwrap()
}

fn put(node: &Node, name: &str, body: &[u8]) -> (u16, Value) {
    put_with(node, &token(node), name, body)
}

fn put_with(node: &Node, token: &str, name: &str, body: &[u8]) -> (u16, Value) {
    let (port, length) = (node.http_port(), body.len());
    let head = format!(
        "PUT /api/v1/assets/{name} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
    );
    let answer = Answer::to_bytes(port, &[head.as_bytes(), body].concat());
    (answer.status, serde_json::from_str(&answer.text()).unwrap_or_default())
}

/// Status and detail of a refusal.
fn refused((status, answer): (u16, Value)) -> (u16, String) {
    (status, answer["detail"].as_str().unwrap_or_default().to_owned())
}

fn names(node: &Node) -> Vec<String> {
    let list = done(node, "GET /assets", &Value::Null);
    let assets = list["assets"].as_array().unwrap();
    assets.iter().map(|asset| asset["name"].as_str().unwrap().to_owned()).collect()
}

fn config() -> Config {
    let more = "[channel.audio]\nenabled = false\n[assets]\nfile_bytes_max = 8192\n\
                total_bytes_max = 8192\n";
    Config::new().channel("demo").more(more)
}

#[test]
fn an_uploaded_picture_is_shown_replaced_and_deleted_once_no_scene_shows_it() {
    let _turn = beside_others();
    let node = Node::start(&config());
    assert!(names(&node).is_empty());
    assert_eq!(put(&node, "logo.png", &png(&node, "color=red:s=64x36")).0, 204);
    let list = done(&node, "GET /assets", &Value::Null);
    let path = list["assets"][0]["path"].as_str().unwrap();
    let layer = json!({ "name": "logo", "type": "image", "path": path, "fit": "fill" });
    done(&node, "PUT /channels/demo/scenes/main", &json!({ "layer": [layer] }));
    let mut viewer = Watcher::of(&node.url("live/demo"));
    viewer.wait_until_at("it is seen", (160, 90), |seen| is_near(seen, RED, 14));

    assert_eq!(put(&node, "logo.png", &png(&node, "color=blue:s=64x36")).0, 204);
    viewer.wait_until_at("the new one is seen", (160, 90), |seen| is_near(seen, BLUE, 14));
    let (status, told) = refused(ask(&node, "DELETE /assets/logo.png", &Value::Null));
    assert!(status == 409 && told.contains("scene main of channel demo"), "{status} {told}");
    assert_eq!(names(&node), ["logo.png"]);

    done(&node, "PUT /channels/demo/scenes/main", &json!({ "layer": [] }));
    done(&node, "DELETE /assets/logo.png", &Value::Null);
    assert_eq!(refused(ask(&node, "DELETE /assets/logo.png", &Value::Null)).0, 404);
    assert!(names(&node).is_empty());
    let counts = ["asset_uploaded", "asset_removed"].map(|kind| events_of(&node, kind).len());
    assert_eq!(counts, [2, 1]);
}

#[test]
fn what_is_no_asset_is_refused_and_leaves_what_is_there() {
    let _turn = beside_others();
    let node = Node::start(&config());
    let whole = png(&node, "color=red:s=64x36");
    assert_eq!(put(&node, "a.png", &whole).0, 204);
    for name in ["..%2Fapi-token", "..%2Fa.png", "%2e%2e%2fa.png", ".a.png", "a%2Fb.png", "a.sh"] {
        assert_eq!(put(&node, name, &whole).0, 400, "{name}");
        let read = format!("GET /assets/{name}");
        assert_eq!(ask(&node, &read, &Value::Null).0, 400, "{name}");
    }
    let avif = made(&node, "made.avif", "color=red:s=64x36");
    assert_eq!(put(&node, "d.avif", &avif).0, 204);
    assert_eq!(put(&node, "e.avif", &avif[..avif.len() / 2]).0, 400);
    let mut bomb = whole.clone();
    bomb[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    for (name, bytes) in [("a.png", &whole[..whole.len() / 2]), ("a.png", &bomb), ("b.jpg", &whole)]
    {
        let (status, told) = refused(put(&node, name, bytes));
        assert!(status == 400 && told.contains("cannot be used"), "{name}: {status} {told}");
    }
    let (status, told) = refused(put(&node, "large.png", &[0; 8_193]));
    assert!(status == 413 && told.contains("8192"), "{status} {told}");
    let noise = png(&node, NOISE);
    let count = 8_192 / noise.len();
    assert!((1..8).contains(&count), "{}", noise.len());
    for n in 0..count {
        assert!(put(&node, &format!("noise-{n}.png"), &noise).0 != 400);
    }
    let (status, told) = refused(put(&node, "last.png", &noise));
    assert!(status == 507 && told.contains("total_bytes_max"), "{status} {told}");
    let reader = std::fs::read_to_string(node.file("data/api-token-readonly")).unwrap();
    assert_eq!(put_with(&node, reader.trim(), "c.png", &whole).0, 403);
    assert!(!names(&node).iter().any(|name| name == "c.png"));

    let (port, token) = (node.http_port(), token(&node));
    let more = format!("Authorization: Bearer {token}\n");
    for path in ["a.png", "a.png/thumbnail", "d.avif/thumbnail"] {
        let answer = Answer::to(port, "GET", &format!("/api/v1/assets/{path}"), &more);
        assert_eq!((answer.status, answer.field("content-type")), (200, Some("image/png")));
    }
    let kept = std::fs::read(node.file("data/assets/a.png")).unwrap();
    assert!(kept == whole, "what was there is as it was");
}
