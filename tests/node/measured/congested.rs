//! An output whose line takes less than its channel makes: the bitrate follows it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::api::events_of;
use crate::config::{BITRATE, Config};
use crate::destination::Destination;
use crate::node::Node;
use crate::wait::{SOON, alone, wait_until};
use crate::wire::{Message, Wire};

/// Video bits per second of the channel.
const WHOLE: f64 = 2_000_000.0;

/// Bits per second of lines that take everything, and two thirds of it.
const WIDE: u64 = 10_000_000;
const NARROW: u64 = 1_400_000;

/// Two pictures that are further apart than this have a hole between them.
const HOLE_MS: u32 = 200;

/// A TCP line of a rate that can be changed.
struct Line {
    port: u16,
    bps: Arc<AtomicU64>,
}

impl Line {
    /// To a TCP port of this machine.
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        // As on a network: the segments of this machine's own are larger than the line's window.
        socket2::SockRef::from(&listener).set_tcp_mss(1_460).unwrap();
        let (here, bps) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU64::new(WIDE)));
        let rate = Arc::clone(&bps);
        // It ends with the process.
        thread::spawn(move || {
            for near in listener.incoming() {
                let (near, far) = (near.unwrap(), TcpStream::connect(("127.0.0.1", port)).unwrap());
                let (back, rate) =
                    ((far.try_clone().unwrap(), near.try_clone().unwrap()), Arc::clone(&rate));
                thread::spawn(move || std::io::copy(&mut &back.0, &mut &back.1));
                thread::spawn(move || carry(near, far, &rate));
            }
        });
        Self { port: here, bps }
    }

    fn set(&self, bps: u64) {
        self.bps.store(bps, Ordering::Relaxed);
    }
}

/// Carries what comes at the line's rate: each piece takes its time on it.
fn carry(mut near: TcpStream, mut far: TcpStream, bps: &AtomicU64) {
    // What waits is to wait at the sender.
    socket2::SockRef::from(&near).set_recv_buffer_size(8 << 10).unwrap();
    let mut piece = [0; 1_460];
    let mut free_at = Instant::now();
    while let Ok(bytes @ 1..) = near.read(&mut piece) {
        let bits = bytes as f64 * 8.0 / bps.load(Ordering::Relaxed) as f64;
        free_at = free_at.max(Instant::now()) + Duration::from_secs_f64(bits);
        thread::sleep(free_at.saturating_duration_since(Instant::now()));
        if far.write_all(&piece[..bytes]).is_err() {
            return;
        }
    }
}

/// Times of the pictures, milliseconds.
fn pictures(destination: &Destination) -> Vec<u32> {
    destination.messages().iter().filter(|it| it.is_picture()).map(|it| it.time).collect()
}

#[test]
fn a_congested_output_gets_fewer_bits_and_not_fewer_pictures() {
    let _turn = alone();
    let destination = Destination::start();
    let line = Line::to(destination.port());
    let config = Config::new().channel("demo").layer("test-card", "").audio("tone", "hz = 440");
    let config = config.output("cdn", &format!("rtmp://127.0.0.1:{}/app/name", line.port));
    let (old, new) = (format!("bitrate = {BITRATE}\n"), format!("bitrate = {WHOLE:.0}\n"));
    let text = config.text().replacen(&old, &new, 1);
    let node = Node::start(&Config::of(&config, text));
    let target = || node.metric("encoder_target_bitrate", &[]);
    let seconds = |count: u32| {
        let from = pictures(&destination).last().copied().unwrap_or(0);
        wait_until(SOON * 2, "it has gone on", || {
            pictures(&destination).last().filter(|last| **last >= from + count * 1_000).copied()
        });
    };
    seconds(5);
    assert!((target() - WHOLE).abs() < 1.0, "as long as the line takes it");

    line.set(NARROW);
    wait_until(SOON, "the bitrate follows", || (target() < WHOLE * 0.9).then_some(()));
    seconds(5);
    let settled = pictures(&destination).last().copied().unwrap();
    seconds(15);
    // It rises a little above what the line takes now and then, to see what it takes.
    assert!((0.4..1.4).contains(&(target() / NARROW as f64)), "{} on a line of {NARROW}", target());

    line.set(WIDE);
    wait_until(SOON * 2, "the whole bitrate is back", || (target() >= WHOLE).then_some(()));
    let times = pictures(&destination);
    let holes: Vec<_> = times.windows(2).filter(|pair| pair[1] > pair[0] + HOLE_MS).collect();
    // What becomes narrow at once may cost pictures until it is measured, and none after that.
    assert!(holes.len() <= 2 && holes.iter().all(|hole| hole[1] < settled), "{holes:?} ms");
    wait_until(SOON, "both changes are told", || {
        (events_of(&node, "bitrate_changed").len() == 2).then_some(())
    });

    line.set(NARROW);
    wait_until(SOON, "the bitrate follows", || (target() < WHOLE * 0.9).then_some(()));
    let mut viewer = Wire::play(node.rtmp_port(), "demo");
    viewer.find("a picture", Message::is_picture);
    wait_until(SOON, "a viewer has the whole bitrate", || (target() >= WHOLE).then_some(()));
}
