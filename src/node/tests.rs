//! Loss of threads in a running node: panics are injected, and what becomes of them is watched.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{PoisonError, mpsc};
use std::time::Duration;

use super::LiveNode;
use crate::config::Config;
use crate::event::NodeEvent;
use crate::runtime::{NICE_ENCODE, Worker, fault};

/// Longest wait for what takes a moment.
const SOON: Duration = Duration::from_secs(60);

/// Points of injection are found by the names of threads, which all nodes of a process share.
#[expect(clippy::disallowed_types, reason = "tests take turns")]
static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn config(channel: &str, more: &str) -> Config {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let text = format!(
        "{more}[rtmp]\nbind = \"127.0.0.1\"\nport = {port}\n[http]\nenabled = false\n\
         [[channel]]\nname = \"{channel}\"\nstream = \"live/{channel}\"\n\
         [channel.video]\nwidth = 64\nheight = 64\nfps = 30\npreset = \"ultrafast\"\n"
    );
    Config::parse(&text, "the test").unwrap()
}

/// Runs `test` with the node's events as they come; the node ends after it.
fn with_node(config: &Config, test: impl FnOnce(&LiveNode, &mut dyn FnMut() -> NodeEvent)) {
    let node = LiveNode::start(config).unwrap();
    let (tell, told) = mpsc::sync_channel(1_024);
    let mut events = node.subscribe().unwrap();
    let listen = move || {
        while let Some(event) = events.wait() {
            if tell.send(event).is_err() {
                return;
            }
        }
    };
    let listener = Worker::spawn("listener", Vec::new(), NICE_ENCODE, listen).unwrap();
    test(&node, &mut || told.recv_timeout(SOON).unwrap());
    drop((told, node));
    listener.join();
}

fn find<T>(next: &mut dyn FnMut() -> NodeEvent, is_it: impl Fn(&NodeEvent) -> Option<T>) -> T {
    loop {
        if let Some(found) = is_it(&next()) {
            return found;
        }
    }
}

/// The name and the remedy of the next core that is lost.
fn lost(next: &mut dyn FnMut() -> NodeEvent) -> (String, &'static str) {
    find(next, |event| match event {
        NodeEvent::CoreLost { core, reason, remedy, .. } => {
            assert_eq!(reason, "injected");
            Some((core.clone(), *remedy))
        }
        _ => None,
    })
}

fn began(channel: &str) -> impl Fn(&NodeEvent) -> Option<()> + '_ {
    move |event| match event {
        NodeEvent::Operated(done) if done.name == "channel_started" => {
            (done.channel.as_deref() == Some(channel)).then_some(())
        }
        _ => None,
    }
}

#[test]
fn the_channel_of_an_encoder_that_panics_ends_says_so_and_is_built_anew() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for kind in ["video", "audio"] {
        with_node(&config("enc", ""), |node, next| {
            fault::arm(&format!("{kind}-enc"));
            // The encoder's thread tells the one, the supervisor the other, in either order.
            let (mut failed, mut lost) = (None, None);
            while failed.is_none() || lost.is_none() {
                match next() {
                    NodeEvent::EncoderFailed { channel, reason } => {
                        failed = Some((channel, reason));
                    }
                    NodeEvent::CoreLost { core, reason, remedy, .. } => {
                        lost = Some((core, reason, remedy));
                    }
                    _ => {}
                }
            }
            assert_eq!(failed, Some(("enc".to_owned(), "injected".to_owned())));
            let core = "an encoder of channel enc".to_owned();
            assert_eq!(lost, Some((core, "injected".to_owned(), "it is started again")));
            find(next, began("enc"));
            let cores = &node.node().unwrap().registry().cores;
            assert_eq!((cores.losses()[2], cores.missing().len()), (1, 0));
        });
    }
}

#[test]
fn a_compose_core_that_panics_is_started_again_with_all_channels() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    with_node(&config("com", ""), |node, next| {
        fault::arm("compose");
        let wanted = ("the compose core".to_owned(), "it is started again");
        assert_eq!(lost(next), wanted);
        find(next, began("com"));
        let registry = node.node().unwrap().registry();
        assert_eq!((registry.cores.losses()[0], registry.cores.missing().len()), (1, 0));
        let made = || registry.snapshot().channels[0].figures.frames;
        let before = made();
        let mut looks = 0;
        while made() == before {
            assert!(looks < 60_000, "nothing is made");
            std::thread::park_timeout(Duration::from_millis(1));
            looks += 1;
        }
    });
}

#[test]
fn a_recording_whose_thread_panics_goes_on_with_another() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let more = format!(
        "[[record]]\nname = \"r\"\nstream = \"live/rec\"\nformat = \"flv\"\ndir = {:?}\n",
        dir.path()
    );
    with_node(&config("rec", &more), |_, next| {
        let started = |event: &NodeEvent| match event {
            NodeEvent::RecordStarted { name, .. } => Some(name.clone()),
            _ => None,
        };
        assert_eq!(find(next, started), "r");
        fault::arm("record");
        let wanted = ("the writer of recording r".to_owned(), "it is started again");
        assert_eq!(lost(next), wanted);
        assert_eq!(find(next, started), "r");
    });
}

#[test]
fn a_node_that_is_to_end_with_its_cores_tells_whoever_runs_it() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let config = config("end", "[node]\non_core_loss = \"exit\"\n");
    with_node(&config, |node, next| {
        fault::arm("video-end");
        assert_eq!(lost(next), ("an encoder of channel end".to_owned(), "the node ends"));
        futures_lite::future::block_on(node.node().unwrap().core_lost());
        let missing = node.node().unwrap().registry().cores.missing();
        assert_eq!(*missing, ["an encoder of channel end"]);
    });
}
