//! One pull: keeps a connection to another server, and feeds what that gives into a local stream.
//! It fails and comes back alone; nobody waits for it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_lite::FutureExt;
use glommio::net::TcpStream;
use glommio::timer::Timer;

use super::connection::flags_of;
use super::hub::{Hub, Source};
use super::push::{Backoff, DETOURS_MAX, STABLE};
use super::reader::Reader;
use super::shard::Shard;
use super::socket::tune;
use super::wire::{Received, Socket, all_of_it, flush, receive};
use crate::command::FromShard;
use crate::event::NodeEvent;
use crate::frame::PacketBuf;
use crate::media::{Kind, Micros};
use crate::rtmp::{Client, ClientEvent, ClientSpec, Goal, Query, Url};
use crate::stats::{OutputState, PullStats};
use crate::stream::Message;

/// Time for the TCP connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Without any byte for this long the server, or its publisher, is gone.
const SILENCE: Micros = Micros::from_secs(15);

/// How long the server may take to read our goodbye.
const GOODBYE: Micros = Micros::from_millis(700);

/// How often a name that somebody else feeds is looked at again.
const TAKEN_LOOK: Micros = Micros::from_secs(1);

/// Bytes that a session digests at once.
const FEED_BYTES: usize = 64 << 10;

/// A stream that is fed from another server.
pub struct PullSpec {
    /// Name in events and metrics.
    pub name: Arc<str>,
    /// The local stream, such as `live/copy`.
    pub stream: Arc<str>,
    /// Where from.
    pub url: Url,
    /// How long it goes on after the last reader has gone; `None` means that it is there always.
    pub linger: Option<Micros>,
    /// Figures.
    pub stats: Arc<PullStats>,
}

/// A pull's state that the shard can reach.
pub(super) struct PullTask {
    spec: PullSpec,
    /// When somebody last wanted the stream.
    wanted: Cell<Option<Micros>>,
    resolved: RefCell<Option<Result<SocketAddr, String>>>,
    waker: RefCell<Option<Waker>>,
    line: RefCell<Option<Line>>,
    /// Where the server wants to be connected to next, and with which query.
    detour: RefCell<Option<(Url, Query)>>,
    stopping: Cell<bool>,
    finished: Cell<bool>,
}

/// A connection in use.
struct Line {
    url: Url,
    session: Client,
    reader: Rc<Reader>,
    /// The local stream, once the server has given something for it.
    hub: Option<Rc<Hub>>,
    /// Why it ends, and when at the latest.
    closing: Option<(End, Micros)>,
}

/// Why a connection ended.
enum End {
    /// Nobody wants the stream, or the node stops.
    Left,
    Failed(String),
}

/// Runs a pull to the node's end.
pub(super) async fn run(shard: Rc<Shard>, number: usize, task: Rc<PullTask>) {
    let mut backoff = Backoff::default();
    let mut is_told = false;
    let mut detours = 0;
    while !task.stopping.get() {
        if !task.is_wanted(shard.clock.now()) {
            task.spec.stats.set_state(OutputState::Idle);
            task.until(|| task.stopping.get() || task.is_wanted(shard.clock.now())).await;
            continue;
        }
        if shard.is_taken(&task.spec.stream) {
            if !std::mem::replace(&mut is_told, true) {
                task.failed(&shard, TAKEN.to_owned(), TAKEN_LOOK);
            }
            task.pause(TAKEN_LOOK).await;
            continue;
        }
        is_told = false;
        task.spec.stats.set_state(OutputState::Connecting);
        let began = shard.clock.now();
        let end = task.session(&shard, number).await;
        if shard.clock.now().since(began) >= STABLE {
            detours = 0;
        }
        match end {
            End::Left if !task.stopping.get() => {
                let name = task.spec.name.to_string();
                shard.report_node(NodeEvent::PullLeft { name });
            }
            End::Left => {}
            End::Failed(reason) if task.detour.borrow().is_some() && detours < DETOURS_MAX => {
                detours += 1;
                tracing::debug!("pull {}: {reason}", task.spec.name);
            }
            End::Failed(reason) => {
                task.detour.take();
                detours = 0;
                let lasted = shard.clock.now().since(began);
                let wait = backoff.next(lasted, shard.random::<8>());
                task.failed(&shard, reason, wait);
                task.pause(wait).await;
            }
        }
    }
    task.spec.stats.set_state(OutputState::Stopped);
    task.finished.set(true);
}

impl PullTask {
    pub(super) fn new(spec: PullSpec) -> Rc<Self> {
        Rc::new(Self {
            spec,
            wanted: Cell::default(),
            resolved: RefCell::default(),
            waker: RefCell::default(),
            line: RefCell::default(),
            detour: RefCell::default(),
            stopping: Cell::new(false),
            finished: Cell::new(false),
        })
    }

    /// The local stream.
    pub(super) fn stream(&self) -> &str {
        &self.spec.stream
    }

    /// Somebody reads the stream, or waits for it.
    pub(super) fn want(&self, now: Micros) {
        let idle = !self.is_wanted(now);
        self.wanted.set(Some(now));
        if idle {
            self.wake();
        }
    }

    /// Control's answer to our question for an address.
    pub(super) fn resolved(&self, address: Result<SocketAddr, String>) {
        *self.resolved.borrow_mut() = Some(address);
        self.wake();
    }

    /// Ends the pull: it says goodbye and closes.
    pub(super) fn stop(&self) {
        self.stopping.set(true);
        self.wake();
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished.get()
    }

    fn is_wanted(&self, now: Micros) -> bool {
        match (self.spec.linger, self.wanted.get()) {
            (None, _) => true,
            (Some(linger), Some(wanted)) => now.since(wanted) <= linger,
            (Some(_), None) => false,
        }
    }

    fn failed(&self, shard: &Shard, reason: String, retry_in: Micros) {
        self.spec.stats.failed();
        let name = self.spec.name.to_string();
        shard.report_node(NodeEvent::PullFailed { name, reason, retry_in });
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

    /// One connection from its beginning to its end.
    async fn session(&self, shard: &Rc<Shard>, number: usize) -> End {
        let detour = self.detour.take();
        let (url, query) = detour.unwrap_or_else(|| (self.spec.url.clone(), Query::default()));
        self.resolved.borrow_mut().take();
        let host = url.host().into();
        shard.report(FromShard::ResolvePull { pull: number, host, port: url.port() });
        self.until(|| self.stopping.get() || self.resolved.borrow().is_some()).await;
        let address = match self.resolved.borrow_mut().take() {
            Some(Ok(address)) => address,
            Some(Err(error)) => return End::Failed(error),
            None => return End::Left,
        };
        let connect = async { TcpStream::connect_timeout(address, CONNECT_LIMIT).await.ok() };
        let stopped = async {
            self.until(|| self.stopping.get()).await;
            None
        };
        let Some(mut socket) = connect.or(stopped).await else {
            return End::Failed(format!("no connection to {address}"));
        };
        if let Err(error) = tune(socket.as_raw_fd()) {
            tracing::debug!("socket options of pull {}: {error}", self.spec.name);
        }
        let reader = match shard.reader_to(&url, socket.as_raw_fd()) {
            Ok(reader) => reader,
            Err(reason) => return End::Failed(reason),
        };
        let mut spec = ClientSpec { silence_timeout: SILENCE, ..ClientSpec::new(&url, Goal::Play) };
        if !query.is_empty() {
            spec.query = query;
        }
        *self.line.borrow_mut() = Some(Line {
            url,
            session: Client::new(spec, shard.clock.now(), shard.random()),
            reader: Rc::new(reader),
            hub: None,
            closing: None,
        });
        let end = loop {
            match poll_fn(|cx| self.turn(shard, &mut socket, cx)).await {
                Ok(()) => glommio::yield_if_needed().await,
                Err(end) => break end,
            }
        };
        if let Some(line) = self.line.borrow_mut().take()
            && let Some(hub) = &line.hub
            && matches!(hub.source(), Source::Pull)
        {
            shard.source_left(hub);
            // Whoever asks next gets the stream as it is then, and not the end of what was.
            if matches!(end, End::Left) && !self.is_wanted(shard.clock.now()) {
                shard.end_stream(hub);
            }
        }
        end
    }

    fn turn(
        &self,
        shard: &Rc<Shard>,
        socket: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), End>> {
        let failed = |error: std::io::Error| Poll::Ready(Err(End::Failed(error.to_string())));
        let mut slot = self.line.borrow_mut();
        let Some(line) = slot.as_mut() else { return Poll::Ready(Err(End::Left)) };
        line.reader.set_waker(cx.waker());
        let now = shard.clock.now();
        if line.closing.is_none() && (self.stopping.get() || !self.is_wanted(now)) {
            line.close(End::Left, now);
        }
        line.pass_on();
        let mut ends = Socket { stream: socket, cx };
        let sent = match flush(&line.reader, None, &shard.spec.drop, &mut ends, now) {
            Ok(sent) => sent,
            Err(error) => return failed(error),
        };
        shard.stats.bytes_out(sent);
        if let Some((_, deadline)) = &line.closing
            && (line.reader.is_flushed() || now >= *deadline)
            && let Some((end, _)) = line.closing.take()
        {
            return Poll::Ready(Err(end));
        }
        let reader = Rc::clone(&line.reader);
        let digest = |bytes: &[u8]| {
            shard.stats.bytes_in(bytes.len() as u64);
            self.spec.stats.bytes_in(bytes.len() as u64);
            self.digest(shard, line, bytes)
        };
        receive(
            &reader,
            |input| ends.poll_read(input),
            &mut shard.scratch.borrow_mut(),
            all_of_it,
            digest,
        )
        .map(|heard| {
            let reason = match heard {
                Received::Digested(result) => return result.map_err(End::Failed),
                Received::Closed => "the server closed".to_owned(),
                Received::Broken(error) => error.to_string(),
                Received::Garbled(failure) => failure.to_string(),
            };
            Err(End::Failed(reason))
        })
    }

    fn digest(&self, shard: &Rc<Shard>, line: &mut Line, bytes: &[u8]) -> Result<(), String> {
        let now = shard.clock.now();
        for piece in bytes.chunks(FEED_BYTES) {
            let fed = line.session.feed(piece, now, &shard.packets);
            while let Some(event) = line.session.poll_event() {
                match event {
                    ClientEvent::Started { .. } => {}
                    ClientEvent::Message { kind, time, body } if line.closing.is_none() => {
                        self.message(shard, line, kind, (time, body))?;
                    }
                    ClientEvent::Message { .. } => {}
                    ClientEvent::Authenticate { query } => {
                        return Err(
                            self.turn_off((line.url.clone(), query), "the server asks who we are")
                        );
                    }
                    ClientEvent::Redirect { to } | ClientEvent::Reconnect { to } => {
                        let reason = format!("sent on to {to}");
                        return Err(self.turn_off((*to, Query::default()), &reason));
                    }
                    ClientEvent::Refused { code, description } => {
                        return Err(format!("refused: {code} {description}"));
                    }
                    ClientEvent::Ended { code, description } => {
                        return Err(format!("ended: {code} {description}"));
                    }
                }
            }
            fed.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Connects elsewhere, or otherwise, at once; gives the reason.
    fn turn_off(&self, to: (Url, Query), reason: &str) -> String {
        *self.detour.borrow_mut() = Some(to);
        reason.to_owned()
    }

    /// The first message that is one of the stream's opens the local stream.
    fn message(
        &self,
        shard: &Rc<Shard>,
        line: &mut Line,
        kind: Kind,
        (time, body): (u32, PacketBuf),
    ) -> Result<(), String> {
        let Some(flags) = flags_of(kind, &body) else { return Ok(()) };
        if kind == Kind::Data && is_the_servers_own(&body) {
            return Ok(());
        }
        let hub = match &line.hub {
            Some(hub) => hub,
            None if shard.is_taken(&self.spec.stream) => return Err(TAKEN.to_owned()),
            None => {
                let hub = shard.open(Arc::clone(&self.spec.stream), Source::Pull);
                self.spec.stats.connected();
                let (name, stream) = (self.spec.name.to_string(), self.spec.stream.to_string());
                shard.report_node(NodeEvent::PullConnected { name, stream });
                line.hub.insert(hub)
            }
        };
        let time = hub.repair.borrow_mut().repair(kind, time);
        let message = Message::new(kind, time, flags, body, shard.spec.chunk_size);
        shard.publish(hub, message, shard.clock.now());
        Ok(())
    }

    /// Deadlines.
    pub(super) fn sweep(&self, now: Micros) {
        let mut slot = self.line.borrow_mut();
        let Some(line) = slot.as_mut() else { return };
        if line.closing.is_none()
            && let Err(error) = line.session.tick(now)
        {
            line.close(End::Failed(error.to_string()), now);
        }
        let speaks = !line.session.output().is_empty();
        if speaks || line.closing.is_some() || !self.is_wanted(now) {
            line.reader.wake();
        }
    }
}

impl Line {
    fn close(&mut self, end: End, now: Micros) {
        self.session.finish();
        self.pass_on();
        self.closing = Some((end, now + GOODBYE));
    }

    fn pass_on(&mut self) {
        let output = self.session.output();
        let count = output.len();
        if count > 0 {
            if let Err(error) = self.reader.queue(output) {
                self.closing = Some((End::Failed(error.to_string()), Micros(0)));
            }
            self.session.consume_output(count);
        }
    }
}

/// What a pull says that finds its name in use.
const TAKEN: &str = "somebody publishes under its local name; it waits until the name is free";

/// Whether a data message is for players of that server only, and no part of the stream.
fn is_the_servers_own(body: &[u8]) -> bool {
    // AMF0: a string marker, a length, and the name.
    let name = body.get(3..).unwrap_or_default();
    name.starts_with(b"|") || name.starts_with(b"onStatus")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(linger: Option<Micros>) -> Rc<PullTask> {
        PullTask::new(PullSpec {
            name: Arc::from("origin"),
            stream: Arc::from("live/copy"),
            url: Url::parse("rtmp://127.0.0.1/live/show").unwrap(),
            linger,
            stats: Arc::default(),
        })
    }

    #[test]
    fn a_pull_on_demand_is_wanted_until_some_time_after_its_last_reader() {
        let at = Micros::from_secs;
        let task = task(Some(at(5)));
        assert!(!task.is_wanted(at(1)));
        task.want(at(2));
        assert!(task.is_wanted(at(7)) && !task.is_wanted(at(8)));
        task.want(at(8));
        assert!(task.is_wanted(at(9)));
    }

    #[test]
    fn a_pull_that_is_there_always_waits_for_nobody() {
        assert!(task(None).is_wanted(Micros(0)));
    }

    #[test]
    fn what_a_server_says_to_its_players_stays_with_them() {
        assert!(is_the_servers_own(b"\x02\x00\x11|RtmpSampleAccess"));
        assert!(is_the_servers_own(b"\x02\x00\x08onStatus"));
        assert!(!is_the_servers_own(b"\x02\x00\x0aonMetaData"));
        assert!(!is_the_servers_own(b""));
    }
}
