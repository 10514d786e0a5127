//! The least that serving viewers can cost: one thread that sends ready bytes to sockets by
//! `sendmsg`, in the sizes and at the times of the load tools' programme. What a server needs
//! beyond this is its own.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::SockRef;

use super::play::READ_BYTES;
use super::programme::{Programme, Unit};
use super::report::Report;
use super::{Failure, cpu, up_to};
use crate::media::{Kind, Micros};
use crate::runtime::{Clock, Worker};

/// A bare loop of sendmsg.
#[derive(clap::Args, Debug)]
pub struct Limit {
    /// How many sockets.
    #[arg(long, default_value_t = 1_000, value_parser = up_to(100_000))]
    count: u32,
    /// How long, seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// What goes out in one call: `off` (each message alone), `frame` (a picture with the sound
    /// before it), or everything of so many milliseconds.
    #[arg(long, default_value = "frame", value_parser = together)]
    merge: Together,
    #[command(flatten)]
    programme: Programme,
    /// CPU of the sending thread.
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// CPU of the reading thread.
    #[arg(long, default_value_t = 1)]
    reader_core: usize,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Together {
    One,
    Frame,
    Millis(u64),
}

fn together(text: &str) -> Result<Together, String> {
    match text {
        "off" => Ok(Together::One),
        "frame" => Ok(Together::Frame),
        _ => match text.parse() {
            Ok(millis @ 1..=1_000) => Ok(Together::Millis(millis)),
            _ => Err("say off, frame, or 1 to 1000 milliseconds".to_owned()),
        },
    }
}

/// What one send took.
#[derive(Default)]
struct Sent {
    calls: u64,
    bytes: u64,
    cpu: f64,
    took: f64,
}

pub(super) fn run(limit: &Limit) -> Result<String, Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let is_over = Arc::new(AtomicBool::new(false));
    let (count, ends) = (limit.count, Arc::clone(&is_over));
    let reader = Worker::spawn("bench-read", vec![limit.reader_core], 0, move || {
        drain(address, count, &ends)
    })?;
    let mut viewers = Vec::new();
    for _ in 0..limit.count {
        let (socket, _) = listener.accept()?;
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        viewers.push(Viewer { socket, owed: 0 });
    }
    let batches = batches(&limit.programme, limit.merge, limit.seconds);
    let sender =
        Worker::spawn("bench-send", vec![limit.core], 0, move || send_all(&batches, &mut viewers))?;
    let sent = sender.join().ok_or("the sending thread failed")??;
    is_over.store(true, Ordering::Relaxed);
    reader.join().ok_or("the reading thread failed")??;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (calls, mbits) = (sent.calls as f64, sent.bytes as f64 * 8e-6);
    let mut report = Report::default();
    report.number("sockets", limit.count.into(), "", 0);
    report.number("calls to sendmsg", calls, "", 0);
    report.number("delivered", mbits, "Mbit", 1);
    report.number("rate", mbits / sent.took, "Mbit/s", 1);
    report.number("CPU", sent.cpu / sent.took * 100.0, "%", 1);
    report.number("CPU per Mbit", sent.cpu / mbits * 1e6, "us", 1);
    Ok(report.text(limit.json))
}

/// What goes out together, and when.
type Batch = (Micros, Vec<usize>);

fn batches(programme: &Programme, merge: Together, seconds: u64) -> Vec<Batch> {
    let end = Micros::from_secs(seconds);
    let mut batches: Vec<Batch> = Vec::new();
    let mut waiting: Vec<Unit> = Vec::new();
    let mut leave = |due, waiting: &mut Vec<Unit>| {
        batches.push((due, waiting.drain(..).map(|unit| unit.bytes).collect()));
    };
    for unit in programme.schedule().take_while(|unit| unit.due < end) {
        if let (Together::Millis(millis), Some(first)) = (merge, waiting.first()) {
            let due = first.due + Micros::from_millis(millis);
            if unit.due > due {
                leave(due, &mut waiting);
            }
        }
        waiting.push(unit);
        if merge == Together::One || merge == Together::Frame && unit.kind == Kind::Video {
            leave(unit.due, &mut waiting);
        }
    }
    batches
}

/// A socket, and the bytes that it did not take when they were due.
struct Viewer {
    socket: TcpStream,
    owed: usize,
}

fn send_all(batches: &[Batch], viewers: &mut [Viewer]) -> io::Result<Sent> {
    let largest = batches.iter().map(|(_, sizes)| sizes.iter().sum()).max().unwrap_or(0);
    let payload = vec![0x5a; largest.max(1)];
    let mut slices = Vec::new();
    let clock = Clock::start();
    let mut sent = Sent::default();
    let before = cpu::thread_seconds();
    for (due, sizes) in batches {
        let now = clock.now();
        if now < *due {
            std::thread::park_timeout((*due - now).into());
        }
        // A server sends from headers and payload that lie in one piece, as ours does, and each
        // message lies in memory of its own.
        slices.clear();
        let mut rest = &payload[..];
        for size in sizes {
            let message;
            (message, rest) = rest.split_at(*size);
            slices.push(IoSlice::new(message));
        }
        let bytes: usize = sizes.iter().sum();
        for viewer in &mut *viewers {
            sent.calls += 1;
            match SockRef::from(&viewer.socket).send_vectored(&slices) {
                Ok(count) => {
                    sent.bytes += count as u64;
                    viewer.owed += bytes - count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => viewer.owed += bytes,
                Err(error) => return Err(error),
            }
            viewer.pay(&payload, &mut sent)?;
        }
    }
    (sent.cpu, sent.took) = (cpu::thread_seconds() - before, clock.now().secs_f64());
    Ok(sent)
}

impl Viewer {
    /// Sends what was not taken earlier, as far as it is taken now.
    fn pay(&mut self, payload: &[u8], sent: &mut Sent) -> io::Result<()> {
        while self.owed > 0 {
            sent.calls += 1;
            let part = &payload[..self.owed.min(payload.len())];
            match SockRef::from(&self.socket).send_vectored(&[IoSlice::new(part)]) {
                Ok(count) => {
                    self.owed -= count;
                    sent.bytes += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Reads from all sockets until it is over.
fn drain(address: std::net::SocketAddr, count: u32, is_over: &AtomicBool) -> io::Result<()> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        let socket = TcpStream::connect(address)?;
        socket.set_nonblocking(true)?;
        sockets.push(socket);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // The viewers of the load tools read in the same way.
    let block = Rc::new(RefCell::new(vec![0; READ_BYTES]));
    runtime.block_on(tokio::task::LocalSet::new().run_until(async {
        for socket in sockets {
            let socket = tokio::net::TcpStream::from_std(socket)?;
            let block = Rc::clone(&block);
            tokio::task::spawn_local(async move {
                while socket.readable().await.is_ok() {
                    if matches!(socket.try_read(&mut block.borrow_mut()), Ok(0)) {
                        break;
                    }
                }
            });
        }
        while !is_over.load(Ordering::Relaxed) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Ok(())
    }))
}
