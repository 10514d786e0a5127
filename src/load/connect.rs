//! Connection load: connect, createStream, play, the answer, close, and again.

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::task::LocalSet;

use super::player::Player;
use super::report::{Report, Times};
use super::target::{PlayAccess, PlayTarget};
use super::{Common, Failure, cpu, share, up_to};
use crate::media::Micros;
use crate::runtime::{Clock, Worker};

/// Connect, play and leave.
#[derive(clap::Args, Debug)]
pub struct Connect {
    #[command(flatten)]
    target: PlayTarget,
    /// Connections at a time.
    #[arg(long, default_value_t = 50, value_parser = up_to(10_000))]
    parallel: u32,
    /// How long, seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    #[command(flatten)]
    common: Common,
}

/// A closed connection keeps its port for a minute: on loopback, more addresses mean more ports.
const LOCAL_ADDRESSES: u32 = 32;

/// One connection may take this long.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn run(connect: &Connect) -> Result<String, Failure> {
    let access = connect.target.access()?;
    let places = connect.common.places();
    let cpu_now = || connect.common.pid.map_or(Ok(0.0), cpu::process_seconds);
    let (clock, before) = (Clock::start(), cpu_now()?);
    let mut workers = Vec::new();
    for (index, place) in places.iter().enumerate() {
        let parallel = share(connect.parallel as usize, index, places.len());
        let access = access.clone();
        let span = Micros::from_secs(connect.seconds);
        workers.push(Worker::spawn("load-connect", place.clone(), 0, move || {
            knock(&access, parallel, span)
        })?);
    }
    let mut times = Times::default();
    for worker in workers {
        times.merge(&worker.join().ok_or("a thread failed")??);
    }
    let (took, cpu) = (clock.now().secs_f64(), cpu_now()? - before);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let count = times.count() as f64;
    let mut report = Report::default();
    report.number("connections", count, "", 0);
    report.number("rate", count / took, "per second", 0);
    report.times("connect to play", &times);
    if connect.common.pid.is_some() {
        report.number("server CPU", cpu / took * 100.0, "%", 1);
        report.number("CPU per connection", cpu / count * 1e6, "us", 1);
    }
    Ok(report.text(connect.common.json))
}

fn knock(access: &PlayAccess, parallel: usize, span: Micros) -> Result<Times, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clock = Clock::start();
    let number = Rc::new(Cell::new(0_u32));
    runtime.block_on(LocalSet::new().run_until(async {
        let mut tasks = Vec::new();
        for _ in 0..parallel {
            let (access, number) = (access.clone(), Rc::clone(&number));
            tasks.push(tokio::task::spawn_local(async move {
                let mut times = Times::default();
                let block = RefCell::new(vec![0; 64 << 10]);
                while clock.now() < span {
                    let began = clock.now();
                    number.set(number.get().wrapping_add(1));
                    let once = once(&access, number.get(), &block);
                    tokio::time::timeout(TIMEOUT, once).await??;
                    times.add(clock.now().since(began).0);
                }
                Ok::<_, Failure>(times)
            }));
        }
        let mut times = Times::default();
        for task in tasks {
            times.merge(&task.await??);
        }
        Ok(times)
    }))
}

async fn once(access: &PlayAccess, number: u32, block: &RefCell<Vec<u8>>) -> Result<(), Failure> {
    let address = access.address;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let (SocketAddr::V4(to), true) = (address, address.ip().is_loopback()) {
        let local = u32::from(*to.ip()) + number % LOCAL_ADDRESSES;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::from(local), 0)))?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    let mut player = Player::new(access)?;
    while !player.is_accepted() {
        if player.step(&stream, block, |_, _| {}).await?.is_none() {
            return Err("the server closed the connection before it played".into());
        }
    }
    Ok(())
}
