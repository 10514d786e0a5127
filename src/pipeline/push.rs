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
use super::reader::Reader;
use super::shard::{BLOCKED_MAX, Shard};
use super::socket::{tcp_figures, tune};
use super::stall::{Progress, Seen};
use super::wire::{Received, Socket, all_of_it, flush, receive};
use crate::command::{FromShard, OutputSpec};
use crate::event::NodeEvent;
use crate::media::Micros;
use crate::rtmp::{Client, ClientEvent, ClientSpec, Goal, Query, Url};
use crate::stats::{OutputState, ViewerDrop};
use crate::stream::{Cursor, Drops, Framing, Start};

/// Wait before the first try after a connection was lost.
const BACKOFF_MIN: Micros = Micros::from_millis(500);

/// Longest wait between two tries.
const BACKOFF_MAX: Micros = Micros::from_secs(15);

/// A connection that lasted this long makes the next wait short again.
pub(super) const STABLE: Micros = Micros::from_secs(10);

/// Times in a row that a destination may send us elsewhere, or ask who we are, without our waiting
/// in between: a redirection, and a login in two steps.
pub(super) const DETOURS_MAX: u32 = 3;

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
    /// Whether it is to push; an operator may change this at any time.
    wanted: Cell<bool>,
    /// Whether its last connection was ended by us.
    left: Cell<bool>,
    /// Set once: it says goodbye for good.
    ending: Cell<bool>,
    /// Where the destination wants to be connected to next, and with which query.
    detour: RefCell<Option<(Url, Query)>>,
    finished: Cell<bool>,
}

/// A connection in use.
struct Line {
    url: Url,
    session: Client,
    reader: Rc<Reader>,
    hub: Option<Rc<Hub>>,
    since: Micros,
    started: bool,
    drops: Drops,
    progress: Progress,
    /// Bytes that are in the figures already.
    counted: u64,
    /// Why it ends, and when at the latest.
    closing: Option<(String, Micros)>,
}

/// Runs an output until it is removed, or the node ends.
pub(super) async fn run(shard: Rc<Shard>, number: usize, task: Rc<OutputTask>) {
    let mut backoff = Backoff::default();
    let mut detours = 0;
    while !task.ending.get() {
        if !task.wanted.get() {
            task.spec.stats.set_state(OutputState::Stopped);
            task.until(|| task.wanted.get() || task.ending.get()).await;
            task.spec.stats.set_state(OutputState::Idle);
            continue;
        }
        let Some(hub) = shard.find(&task.spec.stream) else {
            Timer::new(LOOK).await;
            continue;
        };
        task.spec.stats.set_state(OutputState::Connecting);
        let began = shard.clock.now();
        let reason = task.session(&shard, number, Rc::clone(&hub)).await;
        if task.left.take() || task.is_leaving() {
            backoff = Backoff::default();
            continue;
        }
        if shard.is_over(&hub) {
            task.spec.stats.set_state(OutputState::Idle);
            continue;
        }
        let lasted = shard.clock.now().since(began);
        if lasted >= STABLE {
            detours = 0;
        }
        if task.detour.borrow().is_some() && detours < DETOURS_MAX {
            detours += 1;
            tracing::debug!("output {}: {reason}", task.spec.name);
            continue;
        }
        task.detour.take();
        detours = 0;
        let wait = backoff.next(lasted, shard.random::<8>());
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
pub(super) struct Backoff(Micros);

impl Default for Backoff {
    fn default() -> Self {
        Self(BACKOFF_MIN)
    }
}

impl Backoff {
    /// `lasted` is how long the last connection did; `random` spreads nodes that failed together.
    pub(super) fn next(&mut self, lasted: Micros, random: [u8; 8]) -> Micros {
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
        let wanted = Cell::new(spec.enabled);
        Rc::new(Self {
            spec,
            resolved: RefCell::default(),
            waker: RefCell::default(),
            line: RefCell::default(),
            wanted,
            left: Cell::new(false),
            ending: Cell::new(false),
            detour: RefCell::default(),
            finished: Cell::new(false),
        })
    }

    /// Whether it is to push the stream `name`.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.wanted.get() && !self.finished.get() && *self.spec.stream == *name
    }

    /// Control's answer to our question for an address.
    pub(super) fn resolved(&self, address: Result<SocketAddr, String>) {
        *self.resolved.borrow_mut() = Some(address);
        self.wake();
    }

    /// Lets it push, or unpublish, close and wait.
    pub(super) fn switch(&self, on: bool) {
        self.wanted.set(on);
        self.wake();
    }

    /// Ends the output: it unpublishes and closes.
    pub(super) fn end(&self) {
        self.ending.set(true);
        self.wake();
    }

    fn is_leaving(&self) -> bool {
        self.ending.get() || !self.wanted.get()
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

    /// Waits, but not beyond the time it is to push.
    async fn pause(&self, wait: Micros) {
        let timer = async {
            Timer::new(wait.into()).await;
        };
        timer.or(self.until(|| self.is_leaving())).await;
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
        let detour = self.detour.take();
        let (url, query) = detour.unwrap_or_else(|| (self.spec.url.clone(), Query::default()));
        self.resolved.borrow_mut().take();
        let host = url.host().into();
        shard.report(FromShard::Resolve { output: number, host, port: url.port() });
        self.until(|| self.is_leaving() || self.resolved.borrow().is_some()).await;
        let address = match self.resolved.borrow_mut().take() {
            Some(Ok(address)) => address,
            Some(Err(error)) => return error,
            None => return "stopped".to_owned(),
        };
        let connect = async { TcpStream::connect_timeout(address, CONNECT_LIMIT).await.ok() };
        let stopped = async {
            self.until(|| self.is_leaving()).await;
            None
        };
        let Some(mut socket) = connect.or(stopped).await else {
            return format!("no connection to {address}");
        };
        if let Err(error) = tune(socket.as_raw_fd()) {
            tracing::debug!("socket options of output {}: {error}", self.spec.name);
        }
        let reader = match shard.reader_to(&url, socket.as_raw_fd()) {
            Ok(reader) => reader,
            Err(reason) => return reason,
        };
        let chunk_size = shard.spec.chunk_size;
        let mut spec = ClientSpec { chunk_size, ..ClientSpec::new(&url, Goal::Publish) };
        if !query.is_empty() {
            spec.query = query;
        }
        let now = shard.clock.now();
        *self.line.borrow_mut() = Some(Line {
            url,
            session: Client::new(spec, now, shard.random()),
            reader: Rc::new(reader),
            hub: None,
            since: now,
            started: false,
            drops: Drops::default(),
            progress: Progress::new(now),
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
        if self.is_leaving() && line.closing.is_none() {
            self.left.set(true);
            line.close("stopped", now);
        }
        line.pass_on();
        let log = line.hub.as_ref().map(|hub| hub.log.borrow());
        let mut ends = Socket { stream: socket, cx };
        match flush(&line.reader, log.as_deref(), &shard.spec.drop, &mut ends, now) {
            Ok(sent) => {
                if let Some(hub) = &line.hub {
                    hub.figures.add_out(sent);
                }
            }
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
        receive(
            &reader,
            |input| ends.poll_read(input),
            &mut shard.scratch.borrow_mut(),
            all_of_it,
            digest,
        )
        .map(|heard| match heard {
            Received::Digested(result) => result,
            Received::Closed => Err("the destination closed".to_owned()),
            Received::Broken(error) => Err(error.to_string()),
            Received::Garbled(failure) => Err(failure.to_string()),
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
                    let cursor = Cursor::new(Start::Keyframe);
                    let cursor = cursor.framed(Framing::Chunks(stream_id));
                    line.reader.set_cursor(Some(cursor));
                    line.reader.set_policy(self.spec.rules.drop);
                    line.progress = Progress::new(now);
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
                ClientEvent::Authenticate { query } => {
                    *self.detour.borrow_mut() = Some((line.url.clone(), query));
                    return Err("the destination asks who we are".to_owned());
                }
                ClientEvent::Redirect { to } => {
                    let reason = format!("redirected to {to}");
                    *self.detour.borrow_mut() = Some((*to, Query::default()));
                    return Err(reason);
                }
                ClientEvent::Reconnect { to } => {
                    *self.detour.borrow_mut() = Some((*to, Query::default()));
                    line.close("the destination asks to be connected to anew", now);
                }
                ClientEvent::Message { .. } => {}
            }
        }
        Ok(())
    }

    /// Deadlines, and a keyframe after a jump.
    pub(super) fn sweep(&self, shard: &Shard, now: Micros) {
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
        self.check_progress(shard, line, now);
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
            self.spec.stats.jumped();
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

impl OutputTask {
    /// Ends a connection that has stalled, and one whose stream is over.
    fn check_progress(&self, shard: &Shard, line: &mut Line, now: Micros) {
        let tcp = tcp_figures(line.reader.fd());
        if let Some(tcp) = tcp {
            self.spec.stats.rtt(tcp.rtt);
        }
        if line.closing.is_some() || !line.started {
            return;
        }
        if line.hub.as_ref().is_some_and(|hub| shard.is_over(hub)) {
            return line.close("the stream ended", now);
        }
        let (acknowledged, sent) = (line.session.acknowledged(), line.reader.bytes());
        let seen = Seen { tcp, acknowledged, sent };
        if let Some(reason) = line.progress.look(now, self.spec.rules.stall_timeout, seen) {
            self.spec.stats.stalled();
            // It takes nothing, so there is nobody to say goodbye to.
            line.closing = Some((reason, now));
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
