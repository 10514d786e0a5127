//! Audience: viewers are counted, and other readers of a stream apart from them.

use serde_json::Value;

use crate::api::done;
use crate::config::demo;
use crate::destination::Destination;
use crate::node::Node;
use crate::wait::{SOON, beside_others, wait_until};
use crate::web::Answer;
use crate::wire::{Message, Wire};

#[test]
fn outputs_recordings_inputs_and_previews_are_no_audience() {
    let _turn = beside_others();
    let destination = Destination::start();
    let folder = tempfile::TempDir::new().unwrap();
    let into = format!("dir = \"{}\"\nformat = \"flv\"", folder.path().display());
    let config = demo().output("cdn", &destination.url()).record("live/demo", &into);
    let node = Node::start(&config);
    let mut viewer = Wire::play(node.rtmp_port(), "demo");
    viewer.find("a picture", Message::is_picture);
    let mut preview = Answer::to(node.rtmp_port(), "GET", "/live/demo.flv?preview=1", "");
    preview.flv_header();
    let others = |kind: &str| node.metric("rtmp_other_readers", &[&format!("kind=\"{kind}\"")]);
    wait_until(SOON, "all are counted", || {
        let apart = ["output", "preview", "recording"].map(|kind| format!("{:.0}", others(kind)));
        let viewers = node.metric("rtmp_viewers", &[]);
        (apart == ["1", "1", "1"] && (viewers - 1.0).abs() < 0.1).then_some(())
    });
    let (status, page) = node.http("/stat");
    assert_eq!(status, 200);
    assert!(page.contains("<nclients>1</nclients>") && !page.contains("<nclients>2"), "{page}");
    let (_, status) = node.http("/status.json");
    let status: Value = serde_json::from_str(&status).unwrap();
    assert!(status.to_string().contains("\"viewers\":1"), "{status}");
    let streams = done(&node, "GET /streams", &Value::Null);
    assert_eq!(streams[0]["viewers"], 1, "{streams}");
    let apart = serde_json::json!({ "output": 1, "preview": 1, "input": 0, "recording": 1 });
    assert_eq!(streams[0]["other_readers"], apart, "{streams}");
    let clients = done(&node, "GET /clients?stream=live/demo", &Value::Null).to_string();
    assert_eq!(clients.matches("\"state\":\"player\"").count(), 1, "{clients}");
    assert_eq!(clients.matches("\"state\":\"preview\"").count(), 1, "{clients}");
    drop((viewer, preview));
    wait_until(SOON, "nobody watches", || {
        (node.metric("rtmp_viewers", &[]) < 0.1 && others("preview") < 0.1).then_some(())
    });
    assert!(others("output") > 0.9, "the output goes on");
}
