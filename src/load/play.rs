//! Viewers by the thousand: they play a stream, look at the stamps and throw everything away.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::LocalSet;

use super::demux::{AUDIO, VIDEO};
use super::origins::{self, DayClock, LastFrame, ORIGIN_PEEK, Origins};
use super::player::Player;
use super::programme::PEEK;
use super::report::{Report, Times};
use super::target::{PlayAccess, PlayTarget};
use super::{Common, Failure, cpu, programme, share, up_to};
use crate::media::{Kind, Micros};
use crate::runtime::{Clock, Worker};

/// Play one stream many times.
#[derive(clap::Args, Debug)]
pub struct Play {
    #[command(flatten)]
    target: PlayTarget,
    /// How many viewers.
    #[arg(long, default_value_t = 200, value_parser = up_to(1_000_000))]
    count: u32,
    /// How long to measure, seconds, once all are watching.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Viewers of one connection attempt at a time per core.
    #[arg(long, default_value_t = 32, hide = true)]
    parallel: usize,
    /// Read the origin stamps in the stream, and say how long frames took from the node that made
    /// them to the viewers: encoder to viewer. That node has `origin_stamp = true`.
    #[arg(long)]
    e2e: bool,
    #[command(flatten)]
    common: Common,
}

/// Bytes read at once.
pub(super) const READ_BYTES: usize = 256 << 10;

/// Time for all viewers to have their first picture.
const START_TIMEOUT: Micros = Micros::from_secs(60);

/// The first moments hold what a cache sends at once.
const SETTLE: Duration = Duration::from_secs(3);

/// How often the threads look at each other.
const GLANCE: Duration = Duration::from_millis(20);

/// A viewer with at least this share of all messages is served at full rate.
const FULL: f64 = 0.98;

/// What the threads share.
#[derive(Debug, Default)]
struct Progress {
    /// Viewers that have had a picture.
    watching: AtomicUsize,
    /// Viewers that have ended, and why the first of them did.
    gone: AtomicUsize,
    failure: OnceLock<String>,
    /// When measuring begins and ends, microseconds of the time of day; 0 until that is known.
    from: AtomicU64,
    until: AtomicU64,
}

pub(super) fn run(play: &Play) -> Result<String, Failure> {
    let access = play.target.access()?;
    let clock = Clock::start();
    let count = play.count as usize;
    let memory = || play.common.pid.map_or(Ok(0.0), cpu::resident_kib);
    let memory_before = memory()?;
    let progress = Arc::new(Progress::default());
    let places = play.common.places();
    let mut workers = Vec::new();
    for (index, place) in places.iter().enumerate() {
        let viewers = share(count, index, places.len());
        let (access, progress) = (access.clone(), Arc::clone(&progress));
        let (parallel, e2e) = (play.parallel, play.e2e);
        workers.push(Worker::spawn("load-play", place.clone(), 0, move || {
            play_all((access, viewers), parallel, e2e, progress)
        })?);
    }
    let deadline = clock.now() + START_TIMEOUT;
    while progress.watching.load(Ordering::Relaxed) < count {
        let all_gone = progress.gone.load(Ordering::Relaxed) == count;
        if all_gone || clock.now() > deadline || workers.iter().any(Worker::is_finished) {
            return Err(progress.failure_of(count, workers));
        }
        std::thread::park_timeout(GLANCE);
    }
    std::thread::park_timeout(SETTLE);
    let from = clock.unix_micros();
    progress.until.store(from + play.seconds * 1_000_000, Ordering::Relaxed);
    progress.from.store(from, Ordering::Relaxed);
    let cpu_now = || play.common.pid.map_or(Ok(0.0), cpu::process_seconds);
    let (began, before) = (clock.now(), cpu_now()?);
    while clock.unix_micros() < progress.until.load(Ordering::Relaxed) {
        std::thread::park_timeout(GLANCE);
    }
    let (took, cpu) = (clock.now().since(began).secs_f64(), cpu_now()? - before);
    let memory = memory()? - memory_before;
    let mut all = Vec::new();
    for worker in workers {
        all.push(worker.join().ok_or("a thread failed")??);
    }
    Ok(tell(play, &all, took, cpu, memory)?.text(play.common.json))
}

fn tell(play: &Play, all: &[Crowd], took: f64, cpu: f64, memory: f64) -> Result<Report, Failure> {
    let mut latency = Times::default();
    all.iter().for_each(|crowd| latency.merge(&crowd.latency));
    let viewers: Vec<_> = all.iter().flat_map(|crowd| &crowd.viewers).collect();
    let longest = viewers.iter().map(|viewer| viewer.span).max().unwrap_or(0);
    let full = viewers.iter().filter(|viewer| viewer.is_full(longest));
    let gone = viewers.iter().filter(|viewer| viewer.is_gone).count();
    let mut rates: Vec<_> =
        viewers.iter().map(|viewer| f64::from(viewer.pictures) / took).collect();
    rates.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (full, gone, mbits) = (
        full.count() as f64,
        gone as f64,
        viewers.iter().map(|viewer| viewer.bytes).sum::<u64>() as f64 * 8e-6,
    );
    let mut report = Report::default();
    report.number("viewers", play.count.into(), "", 0);
    report.number("at full rate", full, "", 0);
    report.number("ended early", gone, "", 0);
    report.number("pictures/s least", rates.first().copied().unwrap_or(0.0), "", 2);
    report.number("pictures/s median", rates.get(rates.len() / 2).copied().unwrap_or(0.0), "", 2);
    report.number("delivered", mbits, "Mbit", 1);
    report.number("rate", mbits / took, "Mbit/s", 1);
    if play.e2e {
        let mut origins = Origins::default();
        all.iter().for_each(|crowd| origins.merge(&crowd.origins));
        origins.tell(&mut report)?;
    } else {
        report.times("latency", &latency);
    }
    let load: f64 = all.iter().map(|crowd| crowd.cpu).sum();
    report.number("load CPU", load / took * 100.0, "%", 1);
    report.number("load CPU per Mbit", load / mbits * 1e6, "us", 1);
    if play.common.pid.is_some() {
        report.number("server CPU", cpu / took * 100.0, "%", 1);
        report.number("CPU per Mbit", cpu / mbits * 1e6, "us", 1);
        report.number("memory per viewer", memory / f64::from(play.count), "KiB", 2);
    }
    Ok(report)
}

/// What the viewers of one thread got.
struct Crowd {
    viewers: Vec<Tally>,
    latency: Times,
    origins: Origins,
    cpu: f64,
}

/// What one viewer got while it was measured.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    bytes: u64,
    messages: u32,
    pictures: u32,
    first: Option<u32>,
    /// Messages from the first to the last, those that did not come included.
    span: u32,
    is_gone: bool,
}

impl Tally {
    /// Whether it lost next to nothing from its first message to its last, which is as long as the
    /// others' but for what came together at both ends.
    fn is_full(&self, longest: u32) -> bool {
        let (got, span) = (f64::from(self.messages), f64::from(self.span));
        span > 0.0 && got >= FULL * span && span >= 0.9 * f64::from(longest)
    }
}

impl Progress {
    /// Why not all of `count` viewers get pictures.
    fn failure_of(&self, count: usize, workers: Vec<Worker<Result<Crowd, Failure>>>) -> Failure {
        for worker in workers.into_iter().filter(Worker::is_finished) {
            match worker.join() {
                Some(Ok(_)) => {}
                Some(Err(failure)) => return failure,
                None => return "a thread failed".into(),
            }
        }
        let got = self.watching.load(Ordering::Relaxed);
        let first = self.failure.get().map_or_else(String::new, |failure| format!(": {failure}"));
        format!("only {got} of {count} viewers get pictures{first}").into()
    }
}

/// What the viewers of one thread share.
struct Thread {
    clock: Clock,
    access: PlayAccess,
    progress: Arc<Progress>,
    measures: Cell<bool>,
    latency: RefCell<Times>,
    /// Whether origin stamps are looked for, and what they have said.
    e2e: bool,
    origins: RefCell<Origins>,
    day: DayClock,
    block: RefCell<Vec<u8>>,
}

fn play_all(
    (access, count): (PlayAccess, usize),
    parallel: usize,
    e2e: bool,
    progress: Arc<Progress>,
) -> Result<Crowd, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = Rc::new(Thread {
        clock: Clock::start(),
        access,
        progress,
        measures: Cell::new(false),
        latency: RefCell::default(),
        e2e,
        origins: RefCell::default(),
        day: DayClock::start(),
        block: RefCell::new(vec![0; READ_BYTES]),
    });
    let progress = &thread.progress;
    runtime.block_on(LocalSet::new().run_until(async {
        let mut viewers = Vec::new();
        for number in 0..count {
            let tally = Rc::new(Cell::new(Tally::default()));
            let socket = TcpStream::connect(thread.access.address).await?;
            socket.set_nodelay(true)?;
            tokio::task::spawn_local(watch(socket, Rc::clone(&thread), Rc::clone(&tally)));
            viewers.push(tally);
            if number % parallel == parallel - 1 {
                tokio::task::yield_now().await;
            }
        }
        while progress.from.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(GLANCE).await;
        }
        let cpu = cpu::thread_seconds();
        thread.measures.set(true);
        while thread.clock.unix_micros() < progress.until.load(Ordering::Relaxed) {
            tokio::time::sleep(GLANCE).await;
        }
        thread.measures.set(false);
        Ok(Crowd {
            viewers: viewers.iter().map(|tally| tally.get()).collect(),
            latency: thread.latency.borrow().clone(),
            origins: thread.origins.borrow().clone(),
            cpu: cpu::thread_seconds() - cpu,
        })
    }))
}

/// Whatever ends a viewer, the report says that it has ended.
async fn watch(socket: TcpStream, thread: Rc<Thread>, tally: Rc<Cell<Tally>>) {
    let failure = match drain(&socket, &thread, &tally).await {
        Ok(()) => "the server closed the connection".to_owned(),
        Err(failure) => failure.to_string(),
    };
    tally.set(Tally { is_gone: true, ..tally.get() });
    thread.progress.failure.get_or_init(|| failure);
    thread.progress.gone.fetch_add(1, Ordering::Relaxed);
}

async fn drain(socket: &TcpStream, thread: &Thread, tally: &Cell<Tally>) -> Result<(), Failure> {
    let peek = if thread.e2e { ORIGIN_PEEK } else { PEEK };
    let mut player = Player::looking_at(&thread.access, peek)?;
    let mut is_watching = false;
    let mut last: LastFrame = None;
    loop {
        let had = is_watching;
        // The time of all messages that one read brings.
        let mut now = 0;
        let mut new = tally.get();
        let message = |kind: u8, start: &[u8]| {
            is_watching |= kind == VIDEO;
            if thread.measures.get() && matches!(kind, AUDIO | VIDEO) {
                if now == 0 {
                    now = thread.clock.unix_micros();
                }
                new.count(thread, now, kind, start);
            }
            if thread.e2e
                && thread.measures.get()
                && let Some(stamp) = origins::read(kind, start)
            {
                thread.origins.borrow_mut().add(&stamp, thread.day.unix_us(), &mut last);
            }
        };
        let Some(count) = player.step(socket, &thread.block, message).await? else {
            return Ok(());
        };
        new.bytes += if thread.measures.get() { count as u64 } else { 0 };
        tally.set(new);
        if is_watching && !had {
            thread.progress.watching.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Tally {
    /// Counts a message that came at `now`.
    fn count(&mut self, thread: &Thread, now: u64, kind: u8, start: &[u8]) {
        self.messages += 1;
        self.pictures += u32::from(kind == VIDEO);
        let kind = if kind == VIDEO { Kind::Video } else { Kind::Audio };
        if let Some((number, stamp)) = programme::read(kind, start) {
            thread.latency.borrow_mut().add(now.saturating_sub(stamp));
            let first = *self.first.get_or_insert(number);
            self.span = number.wrapping_sub(first).wrapping_add(1);
        } else {
            self.span = self.span.max(self.messages);
        }
    }
}
