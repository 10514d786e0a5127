//! Join latency load: from the TCP connection to the first keyframe.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::demux::VIDEO;
use super::player::Player;
use super::report::{Report, Times};
use super::target::{PlayAccess, PlayTarget};
use super::{Common, Failure, share, up_to};
use crate::runtime::{Clock, Worker};

/// Join a stream again and again.
#[derive(clap::Args, Debug)]
pub struct Join {
    #[command(flatten)]
    target: PlayTarget,
    /// How many joins.
    #[arg(long, default_value_t = 500, value_parser = up_to(1_000_000))]
    count: u32,
    /// Wait between two joins, milliseconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pause_ms: u64,
    #[command(flatten)]
    common: Common,
}

/// A server has this long to send a keyframe.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn run(join: &Join) -> Result<String, Failure> {
    let access = join.target.access()?;
    let places = join.common.places();
    let mut workers = Vec::new();
    for (index, place) in places.iter().enumerate() {
        let count = share(join.count as usize, index, places.len());
        let access = access.clone();
        let pause = Duration::from_millis(join.pause_ms);
        workers.push(Worker::spawn("load-join", place.clone(), 0, move || {
            join_all(&access, count, pause)
        })?);
    }
    let mut times = Times::default();
    for worker in workers {
        times.merge(&worker.join().ok_or("a thread failed")??);
    }
    let mut report = Report::default();
    report.number("joins", join.count.into(), "", 0);
    report.times("connect to keyframe", &times);
    Ok(report.text(join.common.json))
}

fn join_all(access: &PlayAccess, count: usize, pause: Duration) -> Result<Times, Failure> {
    let clock = Clock::start();
    let mut block = vec![0; 256 << 10];
    let mut times = Times::default();
    for _ in 0..count {
        let began = clock.now();
        let mut socket = TcpStream::connect(access.address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        let mut player = Player::new(access)?;
        let mut has_key = false;
        while !has_key {
            socket.write_all(player.output())?;
            player.consume_output(player.output().len());
            let kept = player.restore(&mut block);
            let count = socket.read(&mut block[kept..])?;
            if count == 0 {
                return Err("the server closed the connection before a keyframe came".into());
            }
            player.receive(&mut block[..kept + count], |kind, start| {
                has_key |= kind == VIDEO && is_key(start);
            })?;
        }
        times.add(clock.now().since(began).0);
        drop(socket);
        std::thread::park_timeout(pause);
    }
    Ok(times)
}

/// A keyframe with pictures in it: not a sequence header.
fn is_key(start: &[u8]) -> bool {
    crate::rtmp::flv::Video::parse(start)
        .is_some_and(|video| video.is_keyframe() && !video.is_sequence_header())
}
