//! One output: keeps a connection to a destination outside the node, and reads a stream's log into
//! it. It fails and comes back alone; nobody waits for it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_lite::FutureExt;
use glommio::net::TcpStream;
use glommio::timer::Timer;

use super::hub::{Hub, Source};
use super::parts::OutputSpec;
use super::reader::Reader;
use super::shard::{BLOCKED_MAX, Shard};
use super::socket::tune;
use super::wire::{Heard, Socket, flush, receive};
use crate::command::FromShard;
use crate::event::NodeEvent;
use crate::media::Micros;
use crate::rtmp::{Client, ClientEvent, ClientSpec, Goal};
use crate::stats::{OutputState, ViewerDrop};
use crate::stream::{Cursor, Drops, Start};

/// Wait before the first try after a connection was lost.
const BACKOFF_MIN: Micros = Micros::from_millis(500);

/// Longest wait between two tries.
const BACKOFF_MAX: Micros = Micros::from_secs(15);

/// A connection that lasted this long makes the next wait short again.
const STABLE: Micros = Micros::from_secs(10);

/// Time for the TCP connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Time from there to the destination's consent.
const START_LIMIT: Micros = Micros::from_secs(10);

/// How long the destination may take to read our goodbye.
const GOODBYE: Micros = Micros::from_millis(700);

/// How often a stream that is not there yet is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// An output's state that the shard can reach.
pub(super) struct OutputTask {
    spec: OutputSpec,
    resolved: RefCell<Option<Result<SocketAddr, String>>>,
    waker: RefCell<Option<Waker>>,
    line: RefCell<Option<Line>>,
    stopping: Cell<bool>,
    finished: Cell<bool>,
}

/// A connection in use.
struct Line {
    session: Client,
    reader: Rc<Reader>,
    hub: Option<Rc<Hub>>,
    since: Micros,
    started: bool,
    drops: Drops,
    /// Bytes that are in the figures already.
    counted: u64,
    /// Why it ends, and when at the latest.
    closing: Option<(String, Micros)>,
}

/// Runs an output to the node's end.
pub(super) async fn run(shard: Rc<Shard>, number: usize, task: Rc<OutputTask>) {
    let mut backoff = Backoff::default();
    while !task.stopping.get() {
        let Some(hub) = shard.find(&task.spec.stream) else {
            Timer::new(LOOK).await;
            continue;
        };
        task.spec.stats.set_state(OutputState::Connecting);
        let began = shard.clock.now();
        let reason = task.session(&shard, number, hub).await;
        if task.stopping.get() {
            break;
        }
        let wait = backoff.next(shard.clock.now().since(began), shard.random::<8>());
        task.spec.stats.failed();
        task.spec.stats.set_state(OutputState::Waiting);
        let name = task.spec.name.to_string();
        shard.report_node(NodeEvent::OutputFailed { name, reason, retry_in: wait });
        task.pause(wait).await;
    }
    task.spec.stats.set_state(OutputState::Stopped);
    task.finished.set(true);
}

/// How long to wait before the next try: doubling, with jitter, and short again after a connection
/// that lasted.
#[derive(Debug)]
struct Backoff(Micros);

impl Default for Backoff {
    fn default() -> Self {
        Self(BACKOFF_MIN)
    }
}

impl Backoff {
    /// `lasted` is how long the last connection did; `random` spreads nodes that failed together.
    fn next(&mut self, lasted: Micros, random: [u8; 8]) -> Micros {
        if lasted >= STABLE {
            self.0 = BACKOFF_MIN;
        }
        let base = self.0;
        self.0 = Micros((base.0 * 2).min(BACKOFF_MAX.0));
        // From three quarters of the step to the whole of it.
        let jitter = base.0 / 4 * u64::from(u16::from_le_bytes([random[0], random[1]])) / 65_536;
        Micros((base.0 - jitter).max(BACKOFF_MIN.0))
    }
}

impl OutputTask {
    pub(super) fn new(spec: OutputSpec) -> Rc<Self> {
        Rc::new(Self {
            spec,
            resolved: RefCell::default(),
            waker: RefCell::default(),
            line: RefCell::default(),
            stopping: Cell::new(false),
            finished: Cell::new(false),
        })
    }

    /// Control's answer to our question for an address.
    pub(super) fn resolved(&self, address: Result<SocketAddr, String>) {
        *self.resolved.borrow_mut() = Some(address);
        self.wake();
    }

    /// Ends the output: it unpublishes and closes.
    pub(super) fn stop(&self) {
        self.stopping.set(true);
        self.wake();
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished.get()
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
        if let Some(line) = &*self.line.borrow() {
            line.reader.wake();
        }
    }

    /// Waits, but not beyond the node's end.
    async fn pause(&self, wait: Micros) {
        let timer = async {
            Timer::new(wait.into()).await;
        };
        timer.or(self.until(|| self.stopping.get())).await;
    }

    async fn until(&self, mut done: impl FnMut() -> bool) {
        poll_fn(|cx| {
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            if done() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// One connection from its beginning to its end; gives the reason of the end.
    async fn session(&self, shard: &Rc<Shard>, number: usize, hub: Rc<Hub>) -> String {
        let url = &self.spec.url;
        self.resolved.borrow_mut().take();
        let host = url.host().into();
        shard.report(FromShard::Resolve { output: number, host, port: url.port() });
        self.until(|| self.stopping.get() || self.resolved.borrow().is_some()).await;
        let address = match self.resolved.borrow_mut().take() {
            Some(Ok(address)) => address,
            Some(Err(error)) => return error,
            None => return "stopped".to_owned(),
        };
        let connect = async { TcpStream::connect_timeout(address, CONNECT_LIMIT).await.ok() };
        let stopped = async {
            self.until(|| self.stopping.get()).await;
            None
        };
        let Some(mut socket) = connect.or(stopped).await else {
            return format!("no connection to {address}");
        };
        if let Err(error) = tune(socket.as_raw_fd()) {
            tracing::debug!("socket options of output {}: {error}", self.spec.name);
        }
        let reader = match self.spec.tls.as_ref().map(|tls| tls.link(url.host())) {
            None => Reader::new(socket.as_raw_fd()),
            Some(Ok(link)) => Reader::sealed(socket.as_raw_fd(), link),
            Some(Err(failure)) => return failure.to_string(),
        };
        let chunk_size = shard.spec.chunk_size;
        let spec = ClientSpec { chunk_size, ..ClientSpec::new(url, Goal::Publish) };
        let now = shard.clock.now();
        *self.line.borrow_mut() = Some(Line {
            session: Client::new(spec, now, shard.random()),
            reader: Rc::new(reader),
            hub: None,
            since: now,
            started: false,
            drops: Drops::default(),
            counted: 0,
            closing: None,
        });
        let reason = loop {
            match poll_fn(|cx| self.turn(shard, &hub, &mut socket, cx)).await {
                Ok(()) => glommio::yield_if_needed().await,
                Err(reason) => break reason,
            }
        };
        if let Some(line) = self.line.borrow_mut().take() {
            line.reader.farewell();
            if let Some(hub) = &line.hub {
                hub.remove_reader(&line.reader);
            }
        }
        reason
    }

    fn turn(
        &self,
        shard: &Rc<Shard>,
        hub: &Rc<Hub>,
        socket: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), String>> {
        let mut slot = self.line.borrow_mut();
        let Some(line) = slot.as_mut() else { return Poll::Ready(Err("closed".to_owned())) };
        line.reader.set_waker(cx.waker());
        if let Some(error) = line.reader.take_failure() {
            return Poll::Ready(Err(error.to_string()));
        }
        let now = shard.clock.now();
        if self.stopping.get() && line.closing.is_none() {
            line.close("stopped", now);
        }
        line.pass_on();
        let log = line.hub.as_ref().map(|hub| hub.log.borrow());
        let mut ends = Socket { stream: socket, cx };
        match flush(&line.reader, log.as_deref(), &shard.spec.drop, &mut ends, now) {
            Ok(_) => {}
            Err(error) => return Poll::Ready(Err(error.to_string())),
        }
        drop(log);
        if let Some((reason, deadline)) = &line.closing
            && (line.reader.is_flushed() || now >= *deadline)
        {
            return Poll::Ready(Err(reason.clone()));
        }
        let reader = Rc::clone(&line.reader);
        let digest = |bytes: &[u8]| self.digest(shard, hub, line, bytes);
        receive(&reader, &mut ends, &mut shard.scratch.borrow_mut(), digest).map(|heard| {
            match heard {
                Heard::Digested(result) => result,
                Heard::Closed => Err("the destination closed".to_owned()),
                Heard::Broken(error) => Err(error.to_string()),
                Heard::Garbled(failure) => Err(failure.to_string()),
            }
        })
    }

    fn digest(
        &self,
        shard: &Rc<Shard>,
        hub: &Rc<Hub>,
        line: &mut Line,
        bytes: &[u8],
    ) -> Result<(), String> {
        let now = shard.clock.now();
        line.session.feed(bytes, now, &shard.packets).map_err(|error| error.to_string())?;
        while let Some(event) = line.session.poll_event() {
            match event {
                ClientEvent::Started { stream_id } => {
                    line.started = true;
                    line.since = now;
                    line.pass_on();
                    let cursor = Cursor::new(Start::Keyframe).for_stream_id(stream_id);
                    line.reader.set_cursor(Some(cursor));
                    hub.add_reader(Rc::clone(&line.reader));
                    line.hub = Some(Rc::clone(hub));
                    request_key(hub);
                    self.spec.stats.connected();
                    self.spec.stats.set_state(OutputState::Live);
                    let name = self.spec.name.to_string();
                    shard.report_node(NodeEvent::OutputConnected { name });
                }
                ClientEvent::Refused { code, description } => {
                    return Err(format!("refused: {code} {description}"));
                }
                ClientEvent::Ended { code, description } => {
                    return Err(format!("ended: {code} {description}"));
                }
                ClientEvent::Message { .. } => {}
            }
        }
        Ok(())
    }

    /// Deadlines, and a keyframe after a jump.
    pub(super) fn sweep(&self, _shard: &Shard, now: Micros) {
        let mut slot = self.line.borrow_mut();
        let Some(line) = slot.as_mut() else { return };
        if let Err(error) = line.session.tick(now) {
            line.close(&error.to_string(), now);
        }
        if !line.started && now.since(line.since) >= START_LIMIT {
            line.close("the destination did not answer in 10 s", now);
        }
        if line.reader.blocked_for(now) >= BLOCKED_MAX {
            line.closing = Some(("the destination took nothing for 10 s".to_owned(), now));
        }
        if let Some(hub) = &line.hub {
            self.spec.stats.lag(line.reader.lag(&hub.log.borrow()));
        }
        let bytes = line.reader.bytes();
        self.spec.stats.bytes_out(bytes - line.counted);
        line.counted = bytes;
        let drops = line.reader.drops();
        if drops.gaps > line.drops.gaps {
            for (reason, count) in [
                (ViewerDrop::Jumped, drops.jumped - line.drops.jumped),
                (ViewerDrop::Skipped, drops.skipped - line.drops.skipped),
                (ViewerDrop::Overrun, drops.overrun - line.drops.overrun),
            ] {
                self.spec.stats.dropped(reason, count);
            }
            line.drops = drops;
            if let Some(hub) = &line.hub {
                request_key(hub);
            }
        }
        let speaks = !line.session.output().is_empty();
        if speaks || line.closing.is_some() {
            line.reader.wake();
        }
    }
}

impl Line {
    fn close(&mut self, reason: &str, now: Micros) {
        self.session.finish();
        self.pass_on();
        if let Some(hub) = self.hub.take() {
            hub.remove_reader(&self.reader);
            self.reader.finish_message(&hub.log.borrow());
        }
        self.closing = Some((reason.to_owned(), now + GOODBYE));
    }

    fn pass_on(&mut self) {
        let output = self.session.output();
        let count = output.len();
        if count > 0 {
            if let Err(error) = self.reader.queue(output) {
                self.closing = Some((error.to_string(), Micros(0)));
            }
            self.session.consume_output(count);
        }
    }
}

fn request_key(hub: &Hub) {
    if let Source::Channel(switch) = hub.source() {
        switch.request_key();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_are_short_again_after_a_stable_connection() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..7).map(|_| backoff.next(Micros(0), [0; 8]).millis()).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
        assert_eq!(backoff.next(STABLE, [0; 8]), BACKOFF_MIN);
    }

    #[test]
    fn jitter_takes_at_most_a_quarter_and_never_goes_below_the_shortest() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(Micros(0), [0xff; 8]), BACKOFF_MIN);
        let wait = backoff.next(Micros(0), [0xff; 8]);
        assert!(wait > Micros::from_millis(749) && wait < Micros::from_millis(1_000), "{wait:?}");
    }
}
