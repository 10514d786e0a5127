//! Glass to glass: a player's decoded pictures come in on standard input, and the number of the
//! frame is read from their blocks; when that frame was due its node says in the stream.

use std::cell::RefCell;
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::origins::{self, DayClock, ORIGIN_PEEK, clock_of};
use super::play::READ_BYTES;
use super::player::Player;
use super::report::{Report, Times};
use super::target::{PlayAccess, PlayTarget};
use super::{Failure, up_to};
use crate::media::{FrameRate, Micros, NodeId, OriginStamp, frame_in_picture};
use crate::runtime::{Clock, Worker, machine_number};

/// Measure how old the pictures are that a player shows.
#[derive(clap::Args, Debug)]
pub struct Glass {
    #[command(flatten)]
    target: PlayTarget,
    /// Width of the pictures on standard input: 8 bits of luma for each pixel, and nothing of the
    /// picture but the row of blocks of its frame counter.
    #[arg(long, value_parser = up_to(SIDE_MAX))]
    width: u32,
    /// Their height.
    #[arg(long, value_parser = up_to(SIDE_MAX))]
    height: u32,
    /// Ticks per second of the channel.
    #[arg(long, default_value_t = 30, value_parser = up_to(240))]
    fps: u32,
    /// How long to measure, seconds, from three seconds after the first picture on: before, players
    /// catch up.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
}

/// Longest side of a picture, pixels. Larger ones are refused.
const SIDE_MAX: u32 = 8_192;

/// What comes in the first moments is older than what a player shows later.
const SETTLE: Micros = Micros::from_secs(3);

/// How long whoever reads stamps waits for bytes before it looks whether it is over.
const GLANCE: Duration = Duration::from_millis(200);

/// What the reader of stamps says of the stream.
#[derive(Debug, Default)]
struct Origin {
    /// When frame 0 was due, as the newest stamp has it, microseconds since 1970; 0 before the
    /// first.
    zero_us: AtomicU64,
    /// Who has made it.
    node: AtomicU64,
    is_over: AtomicBool,
}

impl Origin {
    fn note(&self, stamp: &OriginStamp, rate: FrameRate) {
        self.node.store(stamp.node.bits(), Ordering::Relaxed);
        let zero_us = stamp.unix_us.saturating_sub(rate.due(stamp.frame).0);
        self.zero_us.store(zero_us, Ordering::Relaxed);
    }

    /// How old frame `number` is at `unix_us`; `None` before the first stamp, and if it would be
    /// seen before it was made.
    fn age(&self, number: u32, unix_us: u64, rate: FrameRate) -> Option<u64> {
        let zero_us = Some(self.zero_us.load(Ordering::Relaxed)).filter(|zero_us| *zero_us > 0)?;
        unix_us.checked_sub(zero_us + rate.due(number.into()).0)
    }
}

/// What has come in on standard input.
#[derive(Debug, Default)]
struct Seen {
    times: Times,
    /// Number of the newest frame.
    newest: Option<u32>,
    /// Pictures of frames that had been seen.
    again: u64,
    /// Pictures without a number.
    unreadable: u64,
    /// Pictures whose age is not known, because no stamp had come, or the clocks are apart.
    undated: u64,
}

impl Seen {
    /// A picture whose last byte came at `unix_us`.
    fn picture(&mut self, number: Option<u32>, unix_us: u64, origin: &Origin, rate: FrameRate) {
        let Some(number) = number else {
            self.unreadable += 1;
            return;
        };
        if self.newest.is_some_and(|newest| number <= newest) {
            self.again += 1;
            return;
        }
        self.newest = Some(number);
        match origin.age(number, unix_us, rate) {
            Some(age) => self.times.add(age),
            None => self.undated += 1,
        }
    }
}

pub(super) fn run(glass: &Glass) -> Result<String, Failure> {
    let access = glass.target.access()?;
    let rate = FrameRate::new(glass.fps, 1).ok_or("there is no such frame rate")?;
    let origin = Arc::new(Origin::default());
    let theirs = Arc::clone(&origin);
    let reader =
        Worker::spawn("load-glass", Vec::new(), 0, move || read_stamps(&access, &theirs, rate))?;
    let mut bytes = vec![0; glass.width as usize * glass.height as usize];
    let span = SETTLE + Micros::from_secs(glass.seconds);
    let seen = watch(std::io::stdin().lock(), (&mut bytes, glass.width), (&origin, rate), span);
    origin.is_over.store(true, Ordering::Relaxed);
    reader.join().ok_or("the thread that reads stamps failed")??;
    let seen = seen?;
    if seen.times.count() == 0 {
        return Err(format!(
            "no picture could be dated: {} had no number, and of {} the stream has not said when \
             they were made; it needs a frame-counter layer, and `origin_stamp = true`",
            seen.unreadable, seen.undated
        )
        .into());
    }
    Ok(tell(&seen, &origin).text(glass.json))
}

fn tell(seen: &Seen, origin: &Origin) -> Report {
    let mut report = Report::default();
    report.times("glass to glass", &seen.times);
    let counts =
        [("seen again", seen.again), ("unreadable", seen.unreadable), ("undated", seen.undated)];
    for (name, count) in counts {
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        report.number(name, count as f64, "", 0);
    }
    let node = NodeId::from_bits(origin.node.load(Ordering::Relaxed));
    let is_shared = node.shares_clock_with(NodeId::new(machine_number(), 0));
    let (text, value) = clock_of(is_shared, Clock::state());
    report.fact("clock", text, value);
    report
}

/// Reads pictures, each of which fills `bytes`, for so long from the first on, or to their end.
fn watch(
    mut pictures: impl Read,
    (bytes, width): (&mut [u8], u32),
    (origin, rate): (&Origin, FrameRate),
    span: Micros,
) -> Result<Seen, Failure> {
    let (clock, day) = (Clock::start(), DayClock::start());
    let (mut seen, mut began) = (Seen::default(), None);
    loop {
        match pictures.read_exact(bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(seen),
            Err(error) => return Err(error.into()),
        }
        let (now, unix_us) = (clock.now(), day.unix_us());
        let passed = now.since(*began.get_or_insert(now));
        if passed >= span {
            return Ok(seen);
        }
        if passed >= SETTLE {
            seen.picture(frame_in_picture(bytes, width), unix_us, origin, rate);
        }
    }
}

/// Plays the stream for its stamps, until it is over.
fn read_stamps(access: &PlayAccess, origin: &Origin, rate: FrameRate) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = TcpStream::connect(access.address).await?;
        let mut player = Player::looking_at(access, ORIGIN_PEEK)?;
        let block = RefCell::new(vec![0; READ_BYTES]);
        while !origin.is_over.load(Ordering::Relaxed) {
            let step = player.step(&socket, &block, |kind, start| {
                if let Some(stamp) = origins::read(kind, start) {
                    origin.note(&stamp, rate);
                }
            });
            if let Ok(stepped) = timeout(GLANCE, step).await
                && stepped?.is_none()
            {
                return Err("the server closed the connection that stamps are read from".into());
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_frame_is_dated_once_by_the_newest_stamp() {
        let (origin, rate) = (Origin::default(), FrameRate::FPS_30);
        let mut seen = Seen::default();
        seen.picture(Some(5), 10_000_000, &origin, rate);
        let stamp = |unix_us, frame| OriginStamp { unix_us, node: NodeId::new(1, 2), frame };
        origin.note(&stamp(9_000_000, 30), rate);
        seen.picture(Some(33), 9_350_000, &origin, rate);
        seen.picture(Some(33), 9_360_000, &origin, rate);
        seen.picture(None, 9_370_000, &origin, rate);
        // The node's time of day has moved.
        origin.note(&stamp(9_990_000, 60), rate);
        seen.picture(Some(60), 10_490_000, &origin, rate);
        seen.picture(Some(61), 10_000_000, &origin, rate);
        assert_eq!((seen.times.count(), seen.again, seen.unreadable, seen.undated), (2, 1, 1, 2));
        let mut report = Report::default();
        report.times("glass", &seen.times);
        let text = report.text(false);
        assert!(text.contains("p50 0.250") || text.contains("p50 250."), "{text}");
        assert!(text.contains("max 500."), "{text}");
    }

    #[test]
    fn pictures_are_read_to_their_end_and_those_of_the_first_seconds_do_not_count() {
        let (origin, rate) = (Origin::default(), FrameRate::FPS_30);
        let pictures = vec![0; 80 * 2 * 3 + 5];
        let mut bytes = vec![0; 80 * 2];
        let seen = watch(&pictures[..], (&mut bytes, 80), (&origin, rate), SETTLE).unwrap();
        assert_eq!((seen.unreadable, seen.times.count()), (0, 0));
    }
}
