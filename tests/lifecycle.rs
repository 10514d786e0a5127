//! Nodes inside one process: what they take they give back, when they stop and when they cannot
//! start. Each test runs in a process of its own, so that it can count what that has.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failing step fails its test, and nodes live in real time"
)]

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use stream_manager::config::Config;
use stream_manager::media::{PixelFormat, Size, VideoCodec};
use stream_manager::{
    Encoder, Hooks, LiveNode, Pipeline, ProcessAccess, RtmpServer, StartError, StreamManager,
};
use tempfile::TempDir;

/// Set in the process that a test runs in.
const CHILD: &str = "LIFECYCLE_TEST";

/// Longest wait for what takes a moment.
const SOON: Duration = Duration::from_secs(30);

/// Nodes after which the allocator keeps what it will: threads' rings of a megabyte come and go, and
/// what it holds of them does not grow from here on.
const NODES_WARM: usize = 40;

/// Bytes of memory that may stay after many cycles: allocators and libraries keep some.
const MEMORY_SLACK: u64 = 24 << 20;

/// Runs a test of this name in a process of its own.
fn alone(name: &str, test: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return test();
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name, "--nocapture", "--include-ignored", "--test-threads=1"]);
    let ended = child.env(CHILD, "1").status().unwrap();
    assert!(ended.success(), "{name} failed in its process: {ended}");
}

/// What the process has: names of its threads, what its descriptors are, its soft limits.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    threads: Vec<String>,
    descriptors: Vec<String>,
    limits: String,
    caught_signals: Option<String>,
}

fn held() -> Held {
    let list = |folder: &str, read: fn(&Path) -> Option<String>| {
        let entries = std::fs::read_dir(folder).unwrap().flatten();
        let mut found: Vec<_> = entries.filter_map(|entry| read(&entry.path())).collect();
        found.sort();
        found
    };
    let name = |path: &Path| Some(std::fs::read_to_string(path.join("comm")).ok()?.trim().into());
    // The list itself is read through a descriptor that is gone by now.
    let kind = |path: &Path| {
        let target = std::fs::read_link(path).ok()?.display().to_string();
        let kind = target.split(':').next()?.to_owned();
        (!kind.starts_with("/proc/")).then_some(kind)
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let caught = status.lines().find(|line| line.starts_with("SigCgt:")).map(str::to_owned);
    Held {
        threads: list("/proc/self/task", name),
        descriptors: list("/proc/self/fd", kind),
        limits: std::fs::read_to_string("/proc/self/limits").unwrap(),
        caught_signals: caught,
    }
}

/// Waits until the process has what it had `before`: a thread that has been joined may still be on
/// its way out of the kernel's list.
fn wait_for(before: &Held, what: &str) {
    let began = Instant::now();
    while held() != *before {
        assert!(began.elapsed() < SOON, "{what}: {before:#?}\nis now {:#?}", held());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() << 10
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// A node that only serves.
fn server(port: u16) -> String {
    format!("[rtmp]\nbind = \"127.0.0.1\"\nport = {port}\n[http]\nenabled = false\n")
}

/// A node with a thread of each kind: encoders, a decoder, a recording, the journal.
fn everything(port: u16, dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "{}[journal]\npath = \"{dir}/journal\"\n\
         [[record]]\nname = \"r\"\nstream = \"live/a\"\ndir = \"{dir}\"\nformat = \"flv\"\n\
         [[pull]]\nname = \"p\"\nstream = \"live/p\"\nurl = \"rtmp://127.0.0.1:1/live/p\"\n\
         [[hook]]\nname = \"h\"\nurl = \"http://127.0.0.1:1/\"\nevents = [\"started\"]\n\
         [[channel]]\nname = \"a\"\nstream = \"live/a\"\n\
         [channel.video]\nwidth = 64\nheight = 64\nfps = 30\npreset = \"ultrafast\"\n\
         [[channel.layer]]\nname = \"in\"\ntype = \"live\"\nstream = \"live/b\"\n\
         x = 0\ny = 0\nwidth = 64\nheight = 64\n",
        server(port)
    )
}

fn config(text: &str) -> Config {
    Config::parse(text, "the test").unwrap()
}

/// A program that draws its own frames.
fn manager(port: u16) -> StreamManager {
    let size = Size::new(64, 64).unwrap();
    let encoder = Encoder {
        size,
        fps: 30,
        bitrate_bps: 100_000,
        codec: VideoCodec::H264,
        preset: "ultrafast".to_owned(),
        stream_url: format!("rtmp://127.0.0.1:{port}/live/embed"),
    };
    let server =
        RtmpServer { port, chunk_size: 60_000, gop_cache: true, ping: 30, ping_timeout: 60 };
    let pipeline = Pipeline { queue_size: 4, pool_size: 8, format: PixelFormat::I420, size };
    StreamManager::new(pipeline, encoder, server).unwrap()
}

#[test]
fn a_hundred_nodes_one_after_the_other_leave_nothing() {
    alone("a_hundred_nodes_one_after_the_other_leave_nothing", || {
        let (dir, port) = (TempDir::new().unwrap(), free_port());
        let cycle = |text: &str| {
            let mut node = LiveNode::start(&config(text)).unwrap();
            assert!(!is_free(port), "it does not listen");
            node.stop();
            drop(node);
            assert!(is_free(port), "the port stays bound");
        };
        // What libraries make once is there after the first.
        cycle(&everything(port, dir.path()));
        let (before, mut bytes) = (held(), 0);
        for number in 0..100 {
            if number == NODES_WARM {
                bytes = resident_bytes();
            }
            let text = match number % 10 {
                0 | 5 => everything(port, dir.path()),
                _ => server(port),
            };
            // One after the other on the driver that fits the machine, and on plain threads.
            match number % 2 {
                0 => cycle(&text),
                _ => cycle(&text.replace("[http]", "[cores]\ndriver = \"epoll\"\n[http]")),
            }
        }
        wait_for(&before, "after 100 nodes");
        let more = resident_bytes().saturating_sub(bytes);
        assert!(more < MEMORY_SLACK, "{more} bytes more than before");
    });
}

#[test]
fn a_node_that_is_dropped_ends_as_one_that_is_stopped() {
    alone("a_node_that_is_dropped_ends_as_one_that_is_stopped", || {
        let (dir, port) = (TempDir::new().unwrap(), free_port());
        drop(LiveNode::start(&config(&everything(port, dir.path()))).unwrap());
        let before = held();
        drop(LiveNode::start(&config(&everything(port, dir.path()))).unwrap());
        assert!(is_free(port));
        wait_for(&before, "after a drop");
    });
}

#[test]
fn several_nodes_live_in_one_process_and_write_nothing_that_nobody_asked_for() {
    alone("several_nodes_live_in_one_process_and_write_nothing_that_nobody_asked_for", || {
        let dir = TempDir::new().unwrap();
        std::env::set_current_dir(dir.path()).unwrap();
        let ports = [free_port(), free_port(), free_port()];
        let mut first = manager(ports[0]);
        let mut second = manager(ports[1]);
        let feeds = (first.start().unwrap(), second.start().unwrap());
        let mut third = LiveNode::start(&config(&server(ports[2]))).unwrap();
        assert!(ports.iter().all(|port| !is_free(*port)));
        let key = first.add_stream_key("a-stream-key-of-the-first-one").unwrap();
        assert!(key.stream.starts_with("live/"));
        first.stop();
        assert!(is_free(ports[0]) && !is_free(ports[1]) && !is_free(ports[2]));
        second.stop();
        third.stop();
        drop(feeds);
        assert!(ports.iter().all(|port| is_free(*port)));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert_eq!(std::env::current_dir().unwrap(), dir.path().canonicalize().unwrap());
    });
}

#[test]
fn two_managers_that_share_a_data_directory_are_told_so_and_the_first_goes_on() {
    alone("two_managers_that_share_a_data_directory_are_told_so_and_the_first_goes_on", || {
        let (dir, ports) = (TempDir::new().unwrap(), [free_port(), free_port()]);
        let (mut first, mut second) = (manager(ports[0]), manager(ports[1]));
        first.set_data_dir(dir.path());
        second.set_data_dir(dir.path());
        let _feed = first.start().unwrap();
        assert!(matches!(second.start(), Err(StartError::Store(_))));
        assert!(!is_free(ports[0]) && is_free(ports[1]));
        first.stop();
        drop(second.start().unwrap());
    });
}

#[test]
fn a_start_that_fails_leaves_nothing_running_and_no_port_bound() {
    alone("a_start_that_fails_leaves_nothing_running_and_no_port_bound", || {
        let (dir, port) = (TempDir::new().unwrap(), free_port());
        let all = everything(port, dir.path());
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let bad = file("bad.pem", &own.cert.pem());
        let key = file("key.pem", &own.signing_key.serialize_pem());
        let certificate = format!("[tls]\ncertificate = \"{bad}\"\nkey = \"{key}\"\n");
        let rtmps = format!("{certificate}rtmps_port = {}\n", free_port());
        let journal = format!("{}/journal", dir.path().display());
        let mut no_encoder = config(&all);
        no_encoder.channels[0].preset = "hasty".to_owned();
        let starts = [
            (
                "a certificate that is none any more",
                config(&all.replace("[[record]]", &format!("{rtmps}[[record]]"))),
            ),
            (
                "a journal that cannot be written",
                config(&all.replace(&journal, "/proc/nowhere/journal")),
            ),
            ("an encoder that cannot open", no_encoder),
            (
                "a CPU that is not there",
                config(&all.replace("[[record]]", "[cores]\ncompose = [1000]\n[[record]]")),
            ),
            (
                "a data directory that cannot be made",
                config(&format!("[node]\ndata_dir = \"{bad}/data\"\n{all}")),
            ),
        ];
        // It was a certificate when the configuration was read.
        file("bad.pem", "this is no certificate");
        let fails = |config: &Config, what: &str| {
            let started = LiveNode::start(config).map(drop);
            assert!(started.is_err(), "{what}: it started");
            assert!(is_free(port), "{what}: the port stays bound");
        };
        // Each once, for what libraries make once.
        starts.iter().for_each(|(what, config)| fails(config, what));
        let before = held();
        for (what, config) in &starts {
            for _ in 0..5 {
                fails(config, what);
            }
            wait_for(&before, what);
        }
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let before = held();
        for _ in 0..5 {
            assert!(matches!(LiveNode::start(&config(&all)), Err(StartError::Listen(_))));
        }
        wait_for(&before, "a port that is taken");
        drop(taken);
        drop(LiveNode::start(&config(&all)).unwrap());
    });
}

#[test]
fn limits_are_raised_only_for_who_asks_and_given_back() {
    alone("limits_are_raised_only_for_who_asks_and_given_back", || {
        // A soft limit below the hard one, as a login gives it.
        let lower = Command::new("prlimit")
            .args([&format!("--pid={}", std::process::id()), "--nofile=1000:"])
            .status();
        assert!(lower.unwrap().success());
        let limits = || {
            let text = std::fs::read_to_string("/proc/self/limits").unwrap();
            text.lines().find(|line| line.starts_with("Max open files")).unwrap().to_owned()
        };
        let before = limits();
        let port = free_port();
        let mut node = LiveNode::start(&config(&server(port))).unwrap();
        assert_eq!(limits(), before, "nobody asked for it");
        node.stop();
        let process = ProcessAccess { raise_limits: true, ffmpeg_log: true };
        let start = || LiveNode::start_in(&config(&server(free_port())), Hooks::new(), process);
        let (first, second) = (start().unwrap(), start().unwrap());
        assert_ne!(limits(), before);
        drop(first);
        assert_ne!(limits(), before, "the second still needs it");
        drop(second);
        assert_eq!(limits(), before);
    });
}
