//! Viewers by the thousand: they play a stream, look at the stamps and throw everything away.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::LocalSet;

use super::report::{Report, Times};
use super::walker::{AUDIO, VIDEO, Walker};
use super::{Common, Failure, Target, cpu, programme, request, share, up_to};
use crate::media::{Kind, Micros};
use crate::runtime::{Clock, Worker};

/// Play one stream many times.
#[derive(clap::Args, Debug)]
pub struct Play {
    #[command(flatten)]
    target: Target,
    /// How many viewers.
    #[arg(long, default_value_t = 200, value_parser = up_to(1_000_000))]
    count: u32,
    /// How long to measure, seconds, once all are watching.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Viewers of one connection attempt at a time per core.
    #[arg(long, default_value_t = 32, hide = true)]
    parallel: usize,
    #[command(flatten)]
    common: Common,
}

/// Bytes read at once.
pub(super) const READ_BYTES: usize = 256 << 10;

/// Time for all viewers to have their first picture.
const PATIENCE: Micros = Micros::from_secs(60);

/// The first moments hold what a cache sends at once.
const SETTLE: Duration = Duration::from_secs(3);

/// How often the threads look at each other.
const GLANCE: Duration = Duration::from_millis(20);

/// A viewer with at least this share of all messages is served at full rate.
const FULL: f64 = 0.98;

/// What the threads share.
#[derive(Debug, Default)]
struct Stage {
    /// Viewers that have had a picture.
    watching: AtomicUsize,
    /// When measuring begins and ends, microseconds of the time of day; 0 until that is known.
    from: AtomicU64,
    until: AtomicU64,
}

pub(super) fn run(play: &Play) -> Result<String, Failure> {
    let (address, url) = play.target.parse()?;
    let clock = Clock::start();
    let count = play.count as usize;
    let memory = || play.common.pid.map_or(Ok(0.0), cpu::resident_kib);
    let memory_before = memory()?;
    let stage = Arc::new(Stage::default());
    let request: Arc<[u8]> = request::play(url.app(), url.name().expose()).into();
    let places = play.common.places();
    let mut workers = Vec::new();
    for (index, place) in places.iter().enumerate() {
        let viewers = share(count, index, places.len());
        let (stage, request, parallel) = (Arc::clone(&stage), Arc::clone(&request), play.parallel);
        workers.push(Worker::spawn("load-play", place.clone(), 0, move || {
            crowd(address, viewers, parallel, &request, &stage)
        })?);
    }
    let deadline = clock.now() + PATIENCE;
    while stage.watching.load(Ordering::Relaxed) < count {
        if clock.now() > deadline || workers.iter().any(Worker::is_finished) {
            let got = stage.watching.load(Ordering::Relaxed);
            for worker in workers.into_iter().filter(Worker::is_finished) {
                worker.join().ok_or("a thread failed")??;
            }
            return Err(format!("only {got} of {count} viewers get pictures").into());
        }
        std::thread::park_timeout(GLANCE);
    }
    std::thread::park_timeout(SETTLE);
    let from = clock.unix_micros();
    stage.until.store(from + play.seconds * 1_000_000, Ordering::Relaxed);
    stage.from.store(from, Ordering::Relaxed);
    let cpu_now = || play.common.pid.map_or(Ok(0.0), cpu::process_seconds);
    let (began, before) = (clock.now(), cpu_now()?);
    while clock.unix_micros() < stage.until.load(Ordering::Relaxed) {
        std::thread::park_timeout(GLANCE);
    }
    let (took, cpu) = (clock.now().since(began).secs_f64(), cpu_now()? - before);
    let memory = memory()? - memory_before;
    let mut all = Vec::new();
    for worker in workers {
        all.push(worker.join().ok_or("a thread failed")??);
    }
    Ok(tell(play, &all, took, cpu, memory).text(play.common.json))
}

fn tell(play: &Play, all: &[Crowd], took: f64, cpu: f64, memory: f64) -> Report {
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
    report.times("latency", &latency);
    let load: f64 = all.iter().map(|crowd| crowd.cpu).sum();
    report.number("load CPU", load / took * 100.0, "%", 1);
    if play.common.pid.is_some() {
        report.number("server CPU", cpu / took * 100.0, "%", 1);
        report.number("CPU per Mbit", cpu / mbits * 1e6, "us", 1);
        report.number("memory per viewer", memory / f64::from(play.count), "KiB", 2);
    }
    report
}

/// What the viewers of one thread got.
struct Crowd {
    viewers: Vec<Tally>,
    latency: Times,
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

/// What the viewers of one thread share.
struct Thread {
    clock: Clock,
    request: Arc<[u8]>,
    stage: Arc<Stage>,
    measures: Cell<bool>,
    latency: RefCell<Times>,
    block: RefCell<Vec<u8>>,
}

fn crowd(
    address: SocketAddr,
    count: usize,
    parallel: usize,
    request: &Arc<[u8]>,
    stage: &Arc<Stage>,
) -> Result<Crowd, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = Rc::new(Thread {
        clock: Clock::start(),
        request: Arc::clone(request),
        stage: Arc::clone(stage),
        measures: Cell::new(false),
        latency: RefCell::default(),
        block: RefCell::new(vec![0; READ_BYTES]),
    });
    runtime.block_on(LocalSet::new().run_until(async {
        let mut viewers = Vec::new();
        for number in 0..count {
            let tally = Rc::new(Cell::new(Tally::default()));
            let socket = TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            tokio::task::spawn_local(watch(socket, Rc::clone(&thread), Rc::clone(&tally)));
            viewers.push(tally);
            if number % parallel == parallel - 1 {
                tokio::task::yield_now().await;
            }
        }
        while stage.from.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(GLANCE).await;
        }
        let cpu = cpu::thread_seconds();
        thread.measures.set(true);
        while thread.clock.unix_micros() < stage.until.load(Ordering::Relaxed) {
            tokio::time::sleep(GLANCE).await;
        }
        thread.measures.set(false);
        Ok(Crowd {
            viewers: viewers.iter().map(|tally| tally.get()).collect(),
            latency: thread.latency.borrow().clone(),
            cpu: cpu::thread_seconds() - cpu,
        })
    }))
}

async fn watch(socket: TcpStream, thread: Rc<Thread>, tally: Rc<Cell<Tally>>) {
    // Whatever ends a viewer, the report says that it has ended.
    drop(drain(&socket, &thread, &tally).await);
    tally.set(Tally { is_gone: true, ..tally.get() });
}

async fn drain(socket: &TcpStream, thread: &Thread, tally: &Cell<Tally>) -> io::Result<()> {
    let mut sent = 0;
    while sent < thread.request.len() {
        socket.writable().await?;
        sent += or_later(socket.try_write(&thread.request[sent..]))?.unwrap_or(0);
    }
    let mut walker = Walker::default();
    let mut is_watching = false;
    loop {
        socket.readable().await?;
        let mut block = thread.block.borrow_mut();
        match or_later(socket.try_read(&mut block))? {
            Some(0) => return Ok(()),
            Some(count) => {
                let had = is_watching;
                take(thread, tally, &mut walker, &block[..count], &mut is_watching);
                if is_watching && !had {
                    thread.stage.watching.fetch_add(1, Ordering::Relaxed);
                }
            }
            None => {}
        }
    }
}

fn take(
    thread: &Thread,
    tally: &Cell<Tally>,
    walker: &mut Walker,
    bytes: &[u8],
    is_watching: &mut bool,
) {
    let measures = thread.measures.get();
    let now = if measures { thread.clock.unix_micros() } else { 0 };
    let mut new = tally.get();
    new.bytes += if measures { bytes.len() as u64 } else { 0 };
    walker.take(bytes, |kind, start| {
        *is_watching |= kind == VIDEO;
        if !measures || !matches!(kind, AUDIO | VIDEO) {
            return;
        }
        new.messages += 1;
        new.pictures += u32::from(kind == VIDEO);
        let kind = if kind == VIDEO { Kind::Video } else { Kind::Audio };
        if let Some((number, stamp)) = programme::read(kind, start) {
            thread.latency.borrow_mut().add(now.saturating_sub(stamp));
            let first = *new.first.get_or_insert(number);
            new.span = number.wrapping_sub(first).wrapping_add(1);
        } else {
            new.span = new.span.max(new.messages);
        }
    });
    tally.set(new);
}

fn or_later(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        result => result.map(Some),
    }
}
