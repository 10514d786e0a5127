//! The least that serving viewers can cost: one thread that sends ready bytes to sockets by
//! `sendmsg`, in the sizes and at the times of the load tools' programme, as FLV tags that say when
//! they were due. What a server needs beyond this is its own.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::SockRef;

use super::demux::{AUDIO, FlvDemuxer, NotFlv, VIDEO};
use super::play::READ_BYTES;
use super::programme::{self, Programme, Unit};
use super::report::{Report, Times};
use super::{Failure, cpu, up_to};
use crate::media::{Kind, Micros};
use crate::rtmp::flv::TagHeader;
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
    /// What goes out in one call: `off` (each message alone), `frame` (a picture with the audio
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
        viewers.push(Viewer { socket, owed: Vec::new() });
    }
    let batches = batches(&limit.programme, limit.merge, limit.seconds);
    let sender =
        Worker::spawn("bench-send", vec![limit.core], 0, move || send_all(&batches, &mut viewers))?;
    let sent = sender.join().ok_or("the sending thread failed")??;
    is_over.store(true, Ordering::Relaxed);
    let latency = reader.join().ok_or("the reading thread failed")??;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (calls, mbits) = (sent.calls as f64, sent.bytes as f64 * 8e-6);
    let mut report = Report::default();
    report.number("sockets", limit.count.into(), "", 0);
    report.number("calls to sendmsg", calls, "", 0);
    report.number("delivered", mbits, "Mbit", 1);
    report.number("rate", mbits / sent.took, "Mbit/s", 1);
    report.number("CPU", sent.cpu / sent.took * 100.0, "%", 1);
    report.number("CPU per Mbit", sent.cpu / mbits * 1e6, "us", 1);
    report.times("latency", &latency);
    Ok(report.text(limit.json))
}

/// What goes out together, and when.
type Batch = (Micros, Vec<Unit>);

fn batches(programme: &Programme, merge: Together, seconds: u64) -> Vec<Batch> {
    let end = Micros::from_secs(seconds);
    let mut batches: Vec<Batch> = Vec::new();
    let mut waiting: Vec<Unit> = Vec::new();
    let mut leave = |due, waiting: &mut Vec<Unit>| {
        batches.push((due, std::mem::take(waiting)));
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
    owed: Vec<u8>,
}

/// How the bytes of every socket begin, so that they can be read as FLV.
const FILE_HEADER: &[u8; 13] = b"FLV\x01\x05\0\0\0\x09\0\0\0\0";

/// Writes `unit` as a tag of exactly its size, due at `due_us` microseconds of the time of day.
fn write_tag(tag: &mut Vec<u8>, unit: &Unit, number: u32, due_us: u64) {
    let bytes = unit.bytes.saturating_sub(TagHeader::BYTES + TagHeader::SIZE_BYTES);
    let mut body = Vec::new();
    programme::write(&mut body, &Unit { bytes, ..*unit }, number, due_us);
    let len = u32::try_from(body.len()).unwrap_or(0);
    let [_, len @ ..] = len.to_be_bytes();
    tag.push(if unit.kind == Kind::Video { VIDEO } else { AUDIO });
    tag.extend(len);
    tag.extend([0; 7]);
    tag.append(&mut body);
    tag.extend([0; TagHeader::SIZE_BYTES]);
}

fn send_all(batches: &[Batch], viewers: &mut [Viewer]) -> io::Result<Sent> {
    let clock = Clock::start();
    let to_unix = clock.unix_micros() - clock.now().0;
    for viewer in &mut *viewers {
        viewer.send(&[IoSlice::new(FILE_HEADER)], &mut Sent::default())?;
    }
    let mut sent = Sent::default();
    let (mut payload, mut sizes, mut number) = (Vec::new(), Vec::new(), 0);
    let before = cpu::thread_seconds();
    for (due, units) in batches {
        let now = clock.now();
        if now < *due {
            std::thread::park_timeout((*due - now).into());
        }
        payload.clear();
        sizes.clear();
        for unit in units {
            let from = payload.len();
            write_tag(&mut payload, unit, number, to_unix + unit.due.0);
            sizes.push(payload.len() - from);
            number += 1;
        }
        // A server sends from headers and payload that lie in one piece, as ours does, and each
        // message lies in memory of its own.
        let (mut slices, mut rest) = (Vec::new(), &payload[..]);
        for size in &sizes {
            let message;
            (message, rest) = rest.split_at(*size);
            slices.push(IoSlice::new(message));
        }
        for viewer in &mut *viewers {
            viewer.send(&slices, &mut sent)?;
        }
    }
    (sent.cpu, sent.took) = (cpu::thread_seconds() - before, clock.now().secs_f64());
    Ok(sent)
}

impl Viewer {
    /// Sends what was not taken earlier and then `slices`, as far as they are taken now; what is
    /// not is kept for the next time, which real servers do without a copy. It is rare.
    fn send(&mut self, slices: &[IoSlice<'_>], sent: &mut Sent) -> io::Result<()> {
        if !self.owed.is_empty() {
            let taken = self.try_send(&[IoSlice::new(&self.owed)], sent)?;
            self.owed.drain(..taken);
        }
        let mut taken = 0;
        if self.owed.is_empty() {
            taken = self.try_send(slices, sent)?;
        }
        for slice in slices {
            let skipped = taken.min(slice.len());
            taken -= skipped;
            self.owed.extend_from_slice(&slice[skipped..]);
        }
        Ok(())
    }

    fn try_send(&self, slices: &[IoSlice<'_>], sent: &mut Sent) -> io::Result<usize> {
        sent.calls += 1;
        match SockRef::from(&self.socket).send_vectored(slices) {
            Ok(count) => {
                sent.bytes += count as u64;
                Ok(count)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error),
        }
    }
}

/// Reads from all sockets until it is over; says how long after they were due messages came.
fn drain(
    address: std::net::SocketAddr,
    count: u32,
    is_over: &AtomicBool,
) -> Result<Times, Failure> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        let socket = TcpStream::connect(address)?;
        socket.set_nonblocking(true)?;
        sockets.push(socket);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // The viewers of the load tools read in the same way.
    let block = Rc::new(RefCell::new(vec![0; READ_BYTES]));
    let (clock, latency) = (Clock::start(), Rc::new(RefCell::new(Times::default())));
    runtime.block_on(tokio::task::LocalSet::new().run_until(async {
        for socket in sockets {
            let socket = tokio::net::TcpStream::from_std(socket)?;
            let (block, latency) = (Rc::clone(&block), Rc::clone(&latency));
            tokio::task::spawn_local(async move {
                let mut demuxer = FlvDemuxer::default();
                while socket.readable().await.is_ok() {
                    let mut block = block.borrow_mut();
                    let Ok(count) = socket.try_read(&mut block) else { continue };
                    let mut latency = latency.borrow_mut();
                    let taken = measure(&mut demuxer, &block[..count], clock, &mut latency);
                    if count == 0 || taken.is_err() {
                        break;
                    }
                }
            });
        }
        while !is_over.load(Ordering::Relaxed) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Ok(latency.borrow().clone())
    }))
}

/// Notes the latency of the stamped messages that end in these bytes.
fn measure(
    demuxer: &mut FlvDemuxer,
    bytes: &[u8],
    clock: Clock,
    latency: &mut Times,
) -> Result<(), NotFlv> {
    let now = clock.unix_micros();
    demuxer.take(bytes, |kind, start| {
        let kind = if kind == VIDEO { Kind::Video } else { Kind::Audio };
        if let Some((_, stamp)) = programme::read(kind, start) {
            latency.add(now.saturating_sub(stamp));
        }
    })
}
