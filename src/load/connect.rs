//! Connection load: connect, createStream, play, the answer, close, and again.

use std::cell::Cell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::LocalSet;

use super::report::{Report, Times};
use super::walker::{COMMAND, Walker};
use super::{Common, Failure, Target, cpu, request, share, up_to};
use crate::media::Micros;
use crate::runtime::{Clock, Worker};

/// Connect, play and leave.
#[derive(clap::Args, Debug)]
pub struct Connect {
    #[command(flatten)]
    target: Target,
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

/// The status that says that a player is in.
const STARTED: &[u8] = b"NetStream.Play.Start";

/// One connection may take this long.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(connect: &Connect) -> Result<String, Failure> {
    let (address, url) = connect.target.parse()?;
    let places = connect.common.places();
    let cpu_now = || connect.common.pid.map_or(Ok(0.0), cpu::process_seconds);
    let (clock, before) = (Clock::start(), cpu_now()?);
    let mut workers = Vec::new();
    for (index, place) in places.iter().enumerate() {
        let parallel = share(connect.parallel as usize, index, places.len());
        let request = request::play(url.app(), url.name().expose());
        let span = Micros::from_secs(connect.seconds);
        workers.push(Worker::spawn("load-connect", place.clone(), 0, move || {
            knock(address, &request, parallel, span)
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

fn knock(
    address: SocketAddr,
    request: &[u8],
    parallel: usize,
    span: Micros,
) -> Result<Times, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let request: Rc<[u8]> = request.into();
    let clock = Clock::start();
    let number = Rc::new(Cell::new(0_u32));
    runtime.block_on(LocalSet::new().run_until(async {
        let mut tasks = Vec::new();
        for _ in 0..parallel {
            let (request, number) = (Rc::clone(&request), Rc::clone(&number));
            tasks.push(tokio::task::spawn_local(async move {
                let mut times = Times::default();
                let mut block = vec![0; 64 << 10];
                while clock.now() < span {
                    let began = clock.now();
                    number.set(number.get().wrapping_add(1));
                    let once = once(address, number.get(), &request, &mut block);
                    tokio::time::timeout(PATIENCE, once).await.map_err(io::Error::other)??;
                    times.add(clock.now().since(began).0);
                }
                io::Result::Ok(times)
            }));
        }
        let mut times = Times::default();
        for task in tasks {
            times.merge(&task.await??);
        }
        Ok(times)
    }))
}

async fn once(
    address: SocketAddr,
    number: u32,
    request: &[u8],
    block: &mut [u8],
) -> io::Result<()> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let (SocketAddr::V4(to), true) = (address, address.ip().is_loopback()) {
        let local = u32::from(*to.ip()) + number % LOCAL_ADDRESSES;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::from(local), 0)))?;
    }
    let mut stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(request).await?;
    let mut walker = Walker::default();
    let mut is_in = false;
    while !is_in {
        let count = stream.read(block).await?;
        if count == 0 {
            return Err(io::Error::other("the server closed the connection before it played"));
        }
        walker.take(&block[..count], |kind, start| {
            is_in |= kind == COMMAND && start.windows(STARTED.len()).any(|part| part == STARTED);
        });
    }
    Ok(())
}
