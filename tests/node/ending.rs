//! Ends of streams, as the programs see them that play them.

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::amf::Amf;
use crate::config::{Config, demo};
use crate::node::Node;
use crate::program::{Ended, Program};
use crate::publisher::{AAC_HEADER, Publisher};
use crate::wait::{SOON, beside_others, wait_until};
use crate::web::Answer;
use crate::wire::{AUDIO, DATA, USER_CONTROL, Wire};

/// A block of silence in AAC.
const SILENCE: [u8; 8] = [0xaf, 1, 0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c];

/// A message of the protocol that may come at any time: so many bytes have been received.
const ACKNOWLEDGEMENT: [u8; 16] = [2, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 0, 1];

/// Milliseconds of a block, nearly.
const BLOCK_MS: u32 = 21;

/// Debian's own Python, for which its packages are; another one may come first in the path.
const PYTHON: &str = "/usr/bin/python3";

/// Counts the packets of a stream with `PyAV`, and says what it takes its length to be.
const PYAV: &str = "import av, sys\n\
    with av.open(sys.argv[1]) as stream:\n    \
    print('length', stream.duration, flush=True)\n    \
    print('packets', sum(1 for _ in stream.demux()))";

/// Somebody who publishes a file's audio, and says how long the file is.
struct Reader {
    publisher: Publisher,
    time: u32,
}

impl Reader {
    fn publishes(node: &Node, name: &str) -> Self {
        let mut publisher = Publisher::start(node, name);
        let mut body = Vec::new();
        let members = ["duration", "filesize", "audiocodecid"].map(str::to_owned);
        let members = members.into_iter().zip([3_600.0, 1e9, 10.0].map(Amf::Number)).collect();
        for value in [Amf::text("@setDataFrame"), Amf::text("onMetaData"), Amf::Object(members)] {
            value.write(&mut body);
        }
        publisher.send(DATA, 0, &body);
        publisher.send(AUDIO, 0, AAC_HEADER);
        Self { publisher, time: 0 }
    }

    /// Goes on until something is there.
    fn until(&mut self, what: &str, mut done: impl FnMut() -> bool) {
        wait_until(SOON, what, || {
            self.time += BLOCK_MS;
            self.publisher.send(AUDIO, self.time, &SILENCE);
            done().then_some(())
        });
    }
}

#[test]
fn players_take_the_end_of_a_stream_for_its_end_and_know_no_length() {
    let _turn = beside_others();
    let node = Node::start(&Config::new().publish_open().rtmp("grace = 0"));
    let mut publisher = Reader::publishes(&node, "show");
    let [rtmp, http] =
        [node.url("live/show"), format!("http://127.0.0.1:{}/live/show.flv", node.rtmp_port())];
    let files = ["rtmp.flv", "http.flv", "dump.flv"].map(|name| node.file(name));
    let [to_rtmp, to_http, dumped] = files.each_ref().map(|file| file.to_str().unwrap());
    let ffmpeg = |url: &str, file: &str| {
        Program::start(
            "ffmpeg",
            "-v error",
            &["-i", url, "-c", "copy", "-flush_packets", "1", file],
        )
    };
    let mpv = "--no-config --vo=null --ao=null --msg-level=all=warn,statusline=status";
    let shown = "--term-status-msg=length ${duration:None} ";
    let players = [
        ("ffmpeg by RTMP", ffmpeg(&rtmp, to_rtmp)),
        ("ffmpeg by HTTP", ffmpeg(&http, to_http)),
        ("rtmpdump", Program::start("rtmpdump", "-q --live", &["-r", &rtmp, "-o", dumped])),
        ("PyAV", Program::start(PYTHON, "", &["-c", PYAV, &http])),
    ];
    let mpv = Program::start("mpv", mpv, &[shown, &http]);
    publisher.until("everybody plays", || {
        let count = players.len() + 1;
        let play = node.metric("rtmp_viewers", &[]) > count as f64 - 0.5;
        let told = players[3].1.out_text().contains("length") && mpv.err().contains("length");
        let written = files[..2].iter().all(|file| file.metadata().is_ok_and(|it| it.len() > 0));
        play && told && written
    });
    let more = publisher.time + 2_000;
    while publisher.time < more {
        publisher.until("some more is sent", || true);
    }
    drop(publisher);
    for (name, player) in players {
        let Ended { status, out, err } = player.ended(SOON);
        let out = String::from_utf8(out).unwrap();
        assert!(status.success() && err.trim().is_empty(), "{name}: {status}\n{err}");
        assert!(out.is_empty() || out.contains("length None"), "{name}: {out}");
    }
    assert!(files[2].metadata().unwrap().len() > 0, "rtmpdump has written nothing");
    let Ended { status, err, .. } = mpv.ended(SOON);
    // mpv takes what it holds in memory for the length, where it knows none.
    let hour = err.contains("01:00:00");
    assert!(status.success() && !hour && !err.contains("rror"), "mpv: {status}\n{err}");
}

#[test]
fn a_node_that_stops_ends_what_is_played_properly() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let port = node.rtmp_port();
    let url = format!("http://127.0.0.1:{port}/live/demo.flv");
    let player = Program::start(PYTHON, "", &["-c", PYAV, &url]);
    let mut wire = Wire::play(port, "demo");
    wire.find("a picture", |message| message.is_picture());
    let mut file = Answer::to(port, "GET", "/live/demo.flv", "");
    assert!(file.flv_header() == 5 && file.tag().is_some());
    wait_until(SOON, "PyAV plays", || player.out_text().contains("length").then_some(()));
    // What a player still says while the node goes must not take the goodbye back.
    let over = AtomicBool::new(false);
    let mut player_says = wire.socket().try_clone().unwrap();
    let (last, end) = thread::scope(|scope| {
        scope.spawn(|| {
            let many = ACKNOWLEDGEMENT.repeat(64);
            while !over.load(Ordering::Relaxed) {
                if player_says.write_all(&many).is_err() {
                    break;
                }
            }
        });
        node.signal("TERM");
        let mut last = Vec::new();
        loop {
            match wire.next_or_end() {
                Ok(message) => last = vec![message.kind, *message.body.get(1).unwrap_or(&0)],
                Err(end) => {
                    over.store(true, Ordering::Relaxed);
                    return (last, end);
                }
            }
        }
    });
    assert_eq!(last, [USER_CONTROL, 1], "StreamEOF is the last word");
    assert_eq!(end, ErrorKind::UnexpectedEof, "the connection is closed, not reset");
    assert!(std::iter::from_fn(|| file.tag()).count() > 0 && file.body.is_over());
    let Ended { status, err, .. } = player.ended(SOON);
    assert!(status.success() && err.is_empty(), "PyAV: {status}\n{err}");
    assert_eq!(node.ended(SOON).status.code(), Some(0));
}

#[test]
fn a_socket_that_ends_is_not_reset_while_its_peer_speaks() {
    let _turn = beside_others();
    let node = Node::start(&Config::new().publish_open().rtmp("grace = 0"));
    let mut publisher = Reader::publishes(&node, "show");
    let mut wire = Wire::play(node.rtmp_port(), "show");
    let mut heard = None;
    publisher.until("it plays", || {
        heard = wire.next().filter(|message| message.kind == AUDIO);
        heard.is_some()
    });
    drop(publisher);
    wire.find("the end", |message| message.kind == USER_CONTROL && message.body[..2] == [0, 1]);
    // Its side of the connection is open for a moment longer.
    for _ in 0..3 {
        wire.send(USER_CONTROL, 0, 0, &[0, 3, 0, 0, 0, 1, 0, 0, 0, 100]).unwrap();
    }
    let mut rest = Vec::new();
    let end = std::io::Read::read_to_end(&mut wire.socket(), &mut rest);
    assert!(matches!(end, Ok(0)), "{end:?}");
}
