//! Idle connection load: peers that connect, answer pings, and neither publish nor play.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::player::Player;
use super::report::Report;
use super::target::{IdleTarget, PlayAccess};
use super::{Common, Failure, cpu, share, up_to};
use crate::runtime::{Clock, Worker};

/// Connect and stay.
#[derive(clap::Args, Debug)]
pub struct Idle {
    #[command(flatten)]
    target: IdleTarget,
    /// How many connections.
    #[arg(long, default_value_t = 1_000, value_parser = up_to(1_000_000))]
    count: u32,
    /// How long to measure, seconds, once all are connected.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    #[command(flatten)]
    common: Common,
}

/// A server has this long to let one in.
const START_LIMIT: Duration = Duration::from_secs(10);

/// The server's last work for those who came is not counted.
const SETTLE: Duration = Duration::from_secs(2);

/// Bytes read at once.
const READ_BYTES: usize = 32 << 10;

/// What one thread measured.
#[derive(Default)]
struct Measured {
    gone: usize,
    took: f64,
    server_cpu: f64,
    server_kib: f64,
}

pub(super) fn run(idle: &Idle) -> Result<String, Failure> {
    let access = idle.target.access()?;
    let places = idle.common.places();
    let mut workers = Vec::new();
    for (index, place) in places.iter().enumerate() {
        let count = share(idle.count as usize, index, places.len());
        let (access, seconds, pid) = (access.clone(), idle.seconds, idle.common.pid);
        workers.push(Worker::spawn("load-idle", place.clone(), 0, move || {
            stay(&access, count, Duration::from_secs(seconds), pid)
        })?);
    }
    let (mut all, mut gone) = (Measured::default(), 0);
    for worker in workers {
        let one = worker.join().ok_or("a thread failed")??;
        gone += one.gone;
        all = one;
    }
    let mut report = Report::default();
    report.number("connections", idle.count.into(), "", 0);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    report.number("ended early", gone as f64, "", 0);
    if idle.common.pid.is_some() {
        report.number("server CPU", all.server_cpu / all.took * 100.0, "%", 3);
        let each = all.server_kib / f64::from(idle.count);
        report.number("memory per connection", each, "KiB", 2);
    }
    Ok(report.text(idle.common.json))
}

fn stay(
    access: &PlayAccess,
    count: usize,
    span: Duration,
    pid: Option<u32>,
) -> Result<Measured, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let cpu_now = || pid.map_or(Ok(0.0), cpu::process_seconds);
    let memory = || pid.map_or(Ok(0.0), cpu::resident_kib);
    let clock = Clock::start();
    let block = Rc::new(RefCell::new(vec![0; READ_BYTES]));
    let gone = Rc::new(Cell::new(0));
    runtime.block_on(LocalSet::new().run_until(async {
        let memory_before = memory()?;
        for _ in 0..count {
            let socket = TcpStream::connect(access.address).await?;
            socket.set_nodelay(true)?;
            let mut player = Player::new(access)?;
            while !player.is_accepted() {
                let step = player.step(&socket, &block, |_, _| {});
                timeout(START_LIMIT, step).await??.ok_or("the server closes a connection")?;
            }
            let (block, gone) = (Rc::clone(&block), Rc::clone(&gone));
            tokio::task::spawn_local(async move {
                while let Ok(Some(_)) = player.step(&socket, &block, |_, _| {}).await {}
                gone.set(gone.get() + 1);
            });
        }
        tokio::time::sleep(SETTLE).await;
        let (began, before) = (clock.now(), cpu_now()?);
        tokio::time::sleep(span).await;
        let took = clock.now().since(began).secs_f64();
        Ok(Measured {
            gone: gone.get(),
            took,
            server_cpu: cpu_now()? - before,
            server_kib: memory()? - memory_before,
        })
    }))
}
