//! Running nodes: panics are injected and what becomes of them is watched, and two shards share
//! what there is.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, PoisonError, mpsc};
use std::time::Duration;

use super::LiveNode;
use crate::config::Config;
use crate::event::NodeEvent;
use crate::frame::{PacketPool, PacketPoolSpec};
use crate::media::{Kind, Micros};
use crate::rtmp::{Client, ClientEvent, ClientSpec, Goal, Url};
use crate::runtime::{Clock, NICE_ENCODE, Worker, allowed_cpus, fault};
use crate::stats::RunState;
use crate::stream::Flags;

mod latency;

/// Longest wait for what takes a moment.
const SOON: Duration = Duration::from_secs(60);

/// Points of injection are found by the names of threads, which all nodes of a process share.
#[expect(clippy::disallowed_types, reason = "tests take turns")]
static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn config(channel: &str, more: &str) -> Config {
    parse(&text(channel, more).0)
}

fn parse(text: &str) -> Config {
    Config::parse(text, "the test").unwrap()
}

/// The configuration of a node with a channel, which ends with that, and its port.
fn text(channel: &str, more: &str) -> (String, u16) {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let text = format!(
        "{more}[rtmp]\nbind = \"127.0.0.1\"\nport = {port}\n[http]\nenabled = false\n\
         [[channel]]\nname = \"{channel}\"\nstream = \"live/{channel}\"\n\
         [channel.video]\nwidth = 64\nheight = 64\nfps = 30\npreset = \"ultrafast\"\n"
    );
    (text, port)
}

/// Plays a stream until a keyframe has come, and before it what describes the pictures.
fn play(address: SocketAddr, stream: &str) -> TcpStream {
    let url = Url::parse(&format!("rtmp://{address}/{stream}")).unwrap();
    let packets = PacketPool::new(PacketPoolSpec { bytes_max: 16 << 20 }).unwrap();
    let clock = Clock::start();
    let mut client = Client::new(ClientSpec::new(&url, Goal::Play), clock.now(), [7; 32]);
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let (mut has_header, mut bytes) = (false, [0; 4_096]);
    loop {
        socket.write_all(client.output()).unwrap();
        client.consume_output(client.output().len());
        let count = socket.read(&mut bytes).unwrap();
        assert_ne!(count, 0, "it is closed");
        client.feed(&bytes[..count], clock.now(), &packets).unwrap();
        while let Some(event) = client.poll_event() {
            let ClientEvent::Message { kind: Kind::Video, body, .. } = event else { continue };
            let flags = Flags::of(Kind::Video, &body).unwrap();
            has_header |= flags.is_header();
            if flags.is_key() {
                assert!(has_header, "nobody can decode it");
                return socket;
            }
        }
    }
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
fn a_channel_is_built_anew_when_a_rendition_of_it_or_its_scaler_panics() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let low = "[[channel.rendition]]\nname = \"low\"\nwidth = 32\nheight = 32\n";
    let config = parse(&(text("ren", "").0 + low));
    for thread in ["video-low-ren", "scale-32-ren"] {
        with_node(&config, |node, next| {
            fault::arm(thread);
            let core = "an encoder of channel ren".to_owned();
            assert_eq!(lost(next), (core, "it is started again"));
            find(next, began("ren"));
            let registry = node.node().unwrap().registry();
            assert_eq!((registry.cores.losses()[2], registry.cores.missing().len()), (1, 0));
            play(node.node().unwrap().rtmp(), "live/ren_low");
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
fn a_loop_that_takes_too_long_is_told_with_the_function_that_held_it_up() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for (core, time) in
        [("shard-0", Micros::from_millis(30)), ("compose", Micros::from_millis(100))]
    {
        with_node(&config("slow", ""), |node, next| {
            let stalled = |event: &NodeEvent| match event {
                NodeEvent::LoopStalled { core: told, length, reason } => {
                    (told == core && *length >= time).then(|| reason.clone())
                }
                _ => None,
            };
            // Where others have the CPUs, the watchdog may come too late to see it. No more than
            // five are told in a minute.
            let seen = (0..5).find_map(|_| {
                fault::stall(core, time);
                let reason = find(next, stalled);
                let (_, functions) = reason.split_once(", in ")?;
                let mut functions = functions.split(" < ").take(5);
                functions.any(|name| name.ends_with("compute_for")).then_some(())
            });
            assert!(seen.is_some(), "{core}");
            let loops = node.node().unwrap().registry().loops.read();
            let told = loops.iter().find(|entry| entry.name == core).unwrap();
            let figures = told.activity.read();
            assert!(figures.longest >= time, "{figures:?}");
            assert!(figures.stalls.iter().sum::<u64>() >= 1, "{figures:?}");
        });
    }
}

#[test]
fn a_shard_that_panics_goes_on_with_its_channel_and_whoever_comes_back() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for driver in ["epoll", "auto"] {
        let cores = format!("[cores]\nnet = [{}]\ndriver = \"{driver}\"\n", allowed_cpus()[0]);
        let (text, port) = text("sha", &cores);
        // It publishes what it makes at itself, under another name.
        let text = text.replace("[http]", "publish = \"open\"\n[http]")
            + &format!(
                "[[channel.output]]\nname = \"copy\"\n\
                 url = \"rtmp://127.0.0.1:{port}/live/copy\"\n"
            );
        with_node(&parse(&text), |node, next| {
            let connected = |event: &NodeEvent| match event {
                NodeEvent::OutputConnected { .. } => Some(()),
                _ => None,
            };
            let node = node.node().unwrap();
            find(next, connected);
            play(node.rtmp(), "live/copy");
            fault::arm("shard-0");
            assert_eq!(lost(next), ("shard 0".to_owned(), "it is started again"));
            let cores = &node.registry().cores;
            assert_eq!(cores.losses()[1], 1);
            play(node.rtmp(), "live/sha");
            find(next, connected);
            play(node.rtmp(), "live/copy");
            let mut looks = 0;
            while !cores.missing().is_empty() {
                assert!(looks < 60_000, "it is missed for ever");
                std::thread::park_timeout(Duration::from_millis(1));
                looks += 1;
            }
        });
    }
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
    for (thread, core) in [("video-end", "an encoder of channel end"), ("shard-0", "shard 0")] {
        with_node(&config, |node, next| {
            fault::arm(thread);
            assert_eq!(lost(next), (core.to_owned(), "the node ends"));
            futures_lite::future::block_on(node.node().unwrap().core_lost());
            assert_eq!(*node.node().unwrap().registry().cores.missing(), [core]);
        });
    }
}

/// A node with two shards that publishes and plays with itself.
fn two_shards(dir: &std::path::Path) -> Config {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let cpus = &allowed_cpus()[..2];
    let channel = |name: &str| {
        format!(
            "[[channel]]\nname = \"{name}\"\nstream = \"live/{name}\"\n\
             [channel.video]\nwidth = 64\nheight = 64\nfps = 30\npreset = \"ultrafast\"\n"
        )
    };
    let relay = |kind: &str, name: &str, stream: &str, to: &str| {
        let url = format!("rtmp://127.0.0.1:{port}/live/{to}");
        format!("[[{kind}]]\nname = \"{name}\"\nstream = \"live/{stream}\"\nurl = \"{url}\"\n")
    };
    let record = |name: &str| {
        format!("[[record]]\nname = \"{name}\"\nstream = \"live/{name}\"\ndir = {dir:?}\n")
    };
    let text = format!(
        "[cores]\nnet = {cpus:?}\n[http]\nenabled = false\n[rtmp]\nbind = \"127.0.0.1\"\n\
         port = {port}\npublish = \"open\"\n{}{}\
         [[channel.output]]\nname = \"out\"\nurl = \"rtmp://127.0.0.1:{port}/live/out\"\n\
         {}mode = \"always\"\n{}mode = \"always\"\n{}{}{}",
        channel("one"),
        channel("two"),
        relay("pull", "first", "copy1", "one"),
        relay("pull", "second", "copy2", "two"),
        relay("push", "far", "out", "far"),
        record("two"),
        record("copy2"),
    );
    Config::parse(&text, "the test").unwrap()
}

/// Looks again and again until `is_so`.
fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..60_000 {
        if is_so() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    panic!("not within a minute: {what}");
}

#[test]
fn what_is_placed_at_two_shards_works_at_each_and_moves_from_one_that_is_too_busy() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    with_node(&two_shards(dir.path()), |node, next| {
        let registry = node.node().unwrap().registry();
        until("all of it runs", || {
            let now = registry.snapshot();
            now.outputs.len() == 2
                && now.outputs.iter().all(|output| output.figures.line.state == RunState::Live)
                && now.pulls.iter().all(|pull| pull.figures.state == RunState::Live)
                && now.records.iter().all(|record| record.figures.bytes > 0)
        });
        let placed = |shard: usize| registry.placement.shards()[shard].items.clone();
        until("it is shown", || registry.placement.shards().len() == 2);
        let (first, second) = (placed(0), placed(1));
        assert_eq!(
            (&first.channels[..], &first.pulls[..]),
            (&["one".into()][..], &["first".into()][..])
        );
        assert_eq!(second.channels, ["two"]);
        assert_eq!(
            (&second.pulls[..], &second.outputs[..]),
            (&["second".into()][..], &["two/out".into()][..])
        );
        assert_eq!(second.recordings, ["two", "copy2"]);
        assert_eq!(first.pushes, ["far"], "nothing that is placed feeds its stream");

        let busy = Arc::clone(&registry.shards[1]);
        let (over, is_over) = mpsc::channel::<()>();
        let pretend = move || {
            let pause = Duration::from_millis(20);
            while is_over.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout) {
                busy.activity().has_worked(Micros::from_millis(20));
            }
        };
        let pretender = Worker::spawn("busy", Vec::new(), NICE_ENCODE, pretend).unwrap();
        let text = find(next, |event| match event {
            NodeEvent::Operated(done) if done.name == "output_moved" => Some(done.text.clone()),
            _ => None,
        });
        drop(over);
        pretender.join();
        assert!(text.starts_with("output out of channel two moves from shard 1"), "{text}");
        until("it is live again", || {
            let now = registry.snapshot().outputs;
            let moved = now.iter().find(|output| output.name == "out").unwrap();
            moved.figures.line.state == RunState::Live && moved.figures.line.connects > 1
        });
        until("that is shown", || placed(0).outputs == ["two/out"]);
        assert_eq!((registry.placement.moved(), placed(1).outputs.len()), ([1, 0], 0));
    });
}
