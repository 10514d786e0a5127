//! Hooks and subscribers of a program that embeds the node.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stream_manager::config::OnHookFailure;
use stream_manager::event::{NodeEvent, Stage};
use stream_manager::{Hooks, LiveNode, Verdict};
use tempfile::TempDir;

use crate::config::Config;
use crate::wait::{SOON, beside_others, wait_until};
use crate::wire::Wire;

/// A node inside this program that anybody may publish to.
struct Embedded {
    node: LiveNode,
    port: u16,
    _dir: TempDir,
}

impl Embedded {
    fn start(hooks: Hooks) -> Self {
        let dir = TempDir::new().unwrap();
        let config = Config::new();
        let text = config.text().replace("publish = \"key\"", "publish = \"open\"");
        let text = format!("[node]\ndata_dir = {:?}\n{text}", dir.path());
        let read = stream_manager::config::Config::parse(&text, "embedded.toml").unwrap();
        let node = LiveNode::start_with(&read, hooks).unwrap();
        Self { node, port: config.rtmp, _dir: dir }
    }

    /// Code and description of the answer to somebody who publishes.
    fn publish(&self, name: &str) -> [String; 2] {
        let (mut wire, stream) = Wire::stream(self.port);
        let [code, _, description] = wire.publish(stream, name);
        [code, description]
    }
}

const START: &str = "NetStream.Publish.Start";
const DENIED: &str = "NetStream.Publish.Denied";

#[test]
fn a_program_is_asked_before_and_hears_what_happens() {
    let _turn = beside_others();
    let hooks = Hooks::new().params(["token", "key"]).before(Stage::Publish, |asked| async move {
        assert!(asked.event.peer.is_some());
        let params: Vec<_> = asked.params.expose().collect();
        match params[..] {
            [("token", "good")] => Verdict::Allow,
            _ => Verdict::Refuse(format!("{} needs a ticket", asked.event.path)),
        }
    });
    let mut embedded = Embedded::start(hooks);
    let mut events = embedded.node.subscribe().unwrap();
    let denied = embedded.publish("show?token=bad&key=s3cret");
    assert_eq!(denied, [DENIED, "live/show needs a ticket"]);
    assert_eq!(embedded.publish("show?token=good&key=s3cret")[0], START);
    let mut heard = Vec::new();
    wait_until(SOON, "both have gone", || {
        heard.extend(events.wait().map(|event| event.name().to_owned()));
        (heard.iter().filter(|name| *name == "doneConnect").count() == 2).then_some(())
    });
    embedded.node.stop();
    heard.extend(std::iter::from_fn(|| events.wait()).map(|event| event.name().to_owned()));
    heard.retain(|name| !name.ends_with("Connect") && name != "started");
    let wanted =
        ["prePublish", "donePublish", "prePublish", "postPublish", "donePublish", "stopped"];
    assert_eq!((heard, events.missed()), (wanted.map(str::to_owned).to_vec(), 0));
    assert!(embedded.node.subscribe().is_none());
}

#[test]
fn a_hook_of_a_program_that_panics_or_hangs_has_not_answered() {
    let _turn = beside_others();
    let hooks = || Hooks::new().deadline(Duration::from_millis(100));
    let panics =
        || hooks().before(Stage::Publish, |_| async { panic!("a mistake of the program") });
    let hangs = || hooks().before(Stage::Publish, |_| pending());
    for hooks in [panics(), hangs()] {
        let embedded = Embedded::start(hooks);
        assert_eq!(embedded.publish("show")[0], DENIED);
        assert_eq!(embedded.publish("show")[0], DENIED, "the node did not survive");
    }
    for hooks in [panics(), hangs()] {
        let embedded = Embedded::start(hooks.when_silent(OnHookFailure::Open));
        assert_eq!(embedded.publish("show")[0], START);
    }
}

#[test]
fn all_hooks_have_to_agree_and_others_are_not_asked() {
    let _turn = beside_others();
    let asked = Arc::new(AtomicBool::new(false));
    let to_play = Arc::clone(&asked);
    let hooks = Hooks::new()
        .before(Stage::Publish, |_| async { Verdict::Allow })
        .before(Stage::Publish, |asked| async move {
            match &*asked.event.path {
                "live/good" => Verdict::Allow,
                _ => Verdict::Refuse("no".to_owned()),
            }
        })
        .before(Stage::Play, move |_| {
            to_play.store(true, Ordering::Relaxed);
            async { Verdict::Allow }
        });
    let embedded = Embedded::start(hooks);
    assert_eq!(embedded.publish("good")[0], START);
    assert_eq!(embedded.publish("bad"), [DENIED, "no"]);
    assert!(!asked.load(Ordering::Relaxed), "asked about playing");
    let refused = wait_until(SOON, "the refusal is told", || {
        embedded.node.events().find_map(|event| match event {
            NodeEvent::Connection(event) if &*event.reason == "no" => Some(event),
            _ => None,
        })
    });
    assert_eq!(&*refused.path, "live/bad");
}
