//! One pull: keeps a connection to another server, and feeds what that gives into a local stream.
//! It fails and comes back alone; nobody waits for it.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use glommio::net::TcpStream;

use super::dial::{Backoff, Dial, End, Line, drive, hear};
use super::gate::{Gate, Given};
use super::hub::{Hub, Source};
use super::loops::LOOP;
use super::shard::Shard;
use super::wire::Socket;
use crate::command::{FromShard, PullSpec};
use crate::event::NodeEvent;
use crate::media::{Kind, Micros};
use crate::rtmp::limits::FEED_BYTES_MAX;
use crate::rtmp::{ClientEvent, Error, Goal, Hops};
use crate::stats::RunState;
use crate::stream::{Flags, Prints};

/// Without any byte for this long the server, or its publisher, is gone.
const SILENCE: Micros = Micros::from_secs(15);

/// How often a name that somebody else feeds is looked at again.
const TAKEN_LOOK: Micros = Micros::from_secs(1);

/// How long it is remembered what a stream was whose source has left.
const PAST_MAX: Micros = Micros::from_secs(30);

/// How long a pull stays away that the operator has ended.
const KICKED_PAUSE: Micros = Micros::from_secs(15);

/// A pull's state that the shard can reach.
pub(super) struct PullTask {
    spec: PullSpec,
    /// When somebody last wanted the stream.
    wanted: Cell<Option<Micros>>,
    /// Where the stream would go from here, of those that want it.
    goes_to: RefCell<Hops>,
    dial: Dial,
    line: RefCell<Option<Line>>,
    /// The local stream, once the server has given something for it.
    hub: RefCell<Option<Rc<Hub>>>,
    /// What came before that.
    gate: RefCell<Gate>,
    /// What the stream was when its last source left, and when that was.
    past: RefCell<Option<(Micros, Prints)>>,
    /// The server has said that the stream is over, and means it.
    is_over: Cell<bool>,
    /// Who has ended it, as events name them.
    kicked: RefCell<Option<Arc<str>>>,
    /// Whether it is to pull; an operator may change this at any time.
    enabled: Cell<bool>,
    /// Set once: it says goodbye for good.
    stopping: Cell<bool>,
    finished: Cell<bool>,
}

/// Runs a pull until it is removed, or the node ends.
pub(super) async fn run(shard: Rc<Shard>, number: usize, task: Rc<PullTask>) {
    let mut backoff = Backoff::default();
    let mut is_told = false;
    while !task.stopping.get() {
        if !task.is_wanted(shard.clock.now()) {
            let state = if task.enabled.get() { RunState::Idle } else { RunState::Stopped };
            task.spec.stats.set_state(state);
            let is_enabled = task.enabled.get();
            let is_other = || task.enabled.get() != is_enabled || task.stopping.get();
            task.dial.until(|| is_other() || task.is_wanted(shard.clock.now())).await;
            continue;
        }
        if shard.is_taken(&task.spec.stream) {
            if !std::mem::replace(&mut is_told, true) {
                task.failed(&shard, TAKEN, NOBODY, TAKEN_LOOK);
            }
            task.pause(TAKEN_LOOK).await;
            continue;
        }
        is_told = false;
        task.spec.stats.set_state(RunState::Connecting);
        let began = shard.clock.now();
        let end = task.session(&shard, number).await;
        match end {
            End::Left if task.stopping.get() || !task.enabled.get() => {
                backoff = Backoff::default();
            }
            End::Left => {
                backoff = Backoff::default();
                let name = task.spec.name.to_string();
                shard.report_node(NodeEvent::PullLeft { name });
            }
            End::Failed(reason) => {
                let lasted = shard.clock.now().since(began);
                let usual = backoff.after(&task.dial, lasted, shard.random());
                let kicked = task.kicked.take();
                let wait = if kicked.is_some() { Some(KICKED_PAUSE) } else { usual };
                if let Some(wait) = wait {
                    task.failed(&shard, &reason, kicked.as_deref().unwrap_or(NOBODY), wait);
                    task.pause(wait).await;
                } else {
                    tracing::debug!("pull {}: {reason}", task.spec.name);
                }
            }
        }
    }
    task.spec.stats.set_state(RunState::Stopped);
    task.finished.set(true);
}

impl PullTask {
    pub(super) fn new(spec: PullSpec) -> Rc<Self> {
        let enabled = Cell::new(spec.enabled);
        Rc::new(Self {
            spec,
            enabled,
            wanted: Cell::default(),
            goes_to: RefCell::default(),
            dial: Dial::default(),
            line: RefCell::default(),
            hub: RefCell::default(),
            gate: RefCell::default(),
            past: RefCell::default(),
            is_over: Cell::new(false),
            kicked: RefCell::default(),
            stopping: Cell::new(false),
            finished: Cell::new(false),
        })
    }

    /// The local stream.
    pub(super) fn stream(&self) -> &str {
        &self.spec.stream
    }

    /// Somebody reads the stream, or waits for it, or would relay it to `goes_to`.
    pub(super) fn want(&self, now: Micros, goes_to: &Hops) {
        let idle = !self.is_wanted(now);
        if idle {
            self.goes_to.take();
        }
        self.goes_to.borrow_mut().add_all(goes_to);
        self.wanted.set(Some(now));
        if idle {
            self.wake();
        }
    }

    /// Control's answer to our question for an address.
    pub(super) fn resolved(&self, address: Result<SocketAddr, String>) {
        self.dial.resolved(address);
    }

    /// Lets it pull, or say goodbye, close and wait.
    pub(super) fn switch(&self, on: bool) {
        self.enabled.set(on);
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
        if !self.enabled.get() {
            return false;
        }
        match (self.spec.linger, self.wanted.get()) {
            (None, _) => true,
            (Some(linger), Some(wanted)) => now.since(wanted) <= linger,
            (Some(_), None) => false,
        }
    }

    fn failed(&self, shard: &Shard, reason: &str, actor: &str, retry_in: Micros) {
        self.spec.stats.failed();
        let (name, actor) = (self.spec.name.to_string(), actor.to_owned());
        let reason = self.spec.url.about(reason);
        shard.report_node(NodeEvent::PullFailed { name, reason, actor, retry_in });
    }

    fn wake(&self) {
        self.dial.wake();
        if let Some(line) = &*self.line.borrow() {
            line.reader.wake();
        }
    }

    /// Waits, but not beyond the node's end.
    async fn pause(&self, wait: Micros) {
        self.dial.pause(wait, || self.stopping.get() || !self.enabled.get()).await;
    }

    /// One connection from its beginning to its end.
    async fn session(&self, shard: &Rc<Shard>, number: usize) -> End {
        let (url, mut spec) = self.dial.next(&self.spec.url, Goal::Play);
        spec.silence_timeout = SILENCE;
        spec.relaying.goes_to =
            Hops::default().with(shard.hop_of(&self.spec.stream)).unwrap_or_default();
        spec.relaying.goes_to.add_all(&self.goes_to.borrow());
        let (host, port) = (url.host().into(), url.port());
        shard.report(FromShard::ResolvePull { pull: number, host, port });
        let is_leaving = || self.stopping.get() || !self.enabled.get();
        let connected = self.dial.connect(shard, url, spec, is_leaving).await;
        let (mut socket, line) = match connected {
            Ok(connected) => connected,
            Err(end) => return end,
        };
        *self.line.borrow_mut() = Some(line);
        self.gate.take();
        self.is_over.set(false);
        let end = drive(|cx| self.turn(shard, &mut socket, cx)).await;
        let end = self.line.take().map_or(End::Left, |line| line.finish(end));
        if let Some(hub) = self.hub.take()
            && matches!(hub.source(), Source::Pull)
        {
            shard.source_left(&hub);
            // Whoever asks next gets the stream as it is then, and not the end of what was. A node
            // like this one has waited for its publisher already.
            let is_unwanted = end == End::Left && !self.is_wanted(shard.clock.now());
            if is_unwanted || self.is_over.get() {
                shard.end_stream(&hub);
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
        let mut slot = self.line.borrow_mut();
        let Some(line) = slot.as_mut() else { return Poll::Ready(Err(End::Left)) };
        line.reader.set_waker(cx.waker());
        let now = shard.clock.now();
        if self.stopping.get() || !self.is_wanted(now) {
            line.close(End::Left, now);
        }
        let mut ends = Socket { stream: socket, cx };
        shard.stats.bytes_out(line.send(shard, None, &mut ends, now)?);
        line.ended(now)?;
        let reader = Rc::clone(&line.reader);
        hear(shard, &reader, &mut ends, "the server", |bytes| {
            shard.stats.bytes_in(bytes.len() as u64);
            self.spec.stats.bytes(bytes.len() as u64);
            self.digest(shard, line, bytes)
        })
    }

    fn digest(&self, shard: &Rc<Shard>, line: &mut Line, bytes: &[u8]) -> Result<(), String> {
        let now = shard.clock.now();
        for piece in bytes.chunks(FEED_BYTES_MAX) {
            let fed = line.session.feed(piece, now, &shard.packets);
            while let Some(event) = line.session.poll_event() {
                match event {
                    ClientEvent::Message { kind, time, body } if !line.is_closing() => {
                        if let Some(flags) = Flags::of(kind, &body)
                            && !(kind == Kind::Data && is_the_servers_own(&body))
                        {
                            self.take(shard, line, Given { kind, time, flags, body })?;
                        }
                    }
                    ClientEvent::Ended { code, description } => {
                        self.is_over.set(line.session.is_heeded() && code == UNPUBLISHED);
                        self.dial.heed(line, ClientEvent::Ended { code, description })?;
                    }
                    event => self.dial.heed(line, event)?,
                }
            }
            fed.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Takes a message of the stream: the first that brings something opens the local stream.
    fn take(&self, shard: &Rc<Shard>, line: &Line, given: Given) -> Result<(), String> {
        let now = shard.clock.now();
        if let Some(hub) = &*self.hub.borrow() {
            return self.pass_on(shard, hub, given);
        }
        let opened = {
            let past = self.past.borrow();
            let past = past.as_ref().filter(|(left, _)| now.since(*left) < PAST_MAX);
            self.gate.borrow_mut().take(given, past.map(|(_, was)| was), now)
        };
        let Some(held) = opened else { return Ok(()) };
        if shard.is_taken(&self.spec.stream) {
            return Err(TAKEN.to_owned());
        }
        let path = line.session.path().cloned().unwrap_or_default();
        if path.with(shard.hop_of(&self.spec.stream)).is_none() {
            self.report_loop(shard);
            return Err(LOOP.to_owned());
        }
        let hub = shard.open_by(Arc::clone(&self.spec.stream), Source::Pull, &path);
        self.hub.replace(Some(Rc::clone(&hub)));
        self.spec.stats.connected();
        let (name, stream) = (self.spec.name.to_string(), self.spec.stream.to_string());
        shard.report_node(NodeEvent::PullConnected { name, stream });
        held.into_iter().try_for_each(|given| self.pass_on(shard, &hub, given))
    }

    fn pass_on(&self, shard: &Rc<Shard>, hub: &Rc<Hub>, given: Given) -> Result<(), String> {
        let Given { kind, time, flags, body } = given;
        if !shard.take_in(hub, flags, (kind, time, body)) {
            self.report_loop(shard);
            return Err(LOOP.to_owned());
        }
        Ok(())
    }

    fn report_loop(&self, shard: &Shard) {
        shard.report_loop(&self.spec.stream, format!("pull {}", self.spec.name));
    }

    /// The source of its stream has left, which was this.
    pub(super) fn stream_left(&self, was: &Prints, now: Micros) {
        *self.past.borrow_mut() = Some((now, was.clone()));
    }

    /// A publisher takes its place; false if it does not feed the stream.
    pub(super) fn make_way(&self, shard: &Shard) -> bool {
        self.leave_stream(shard, GIVEN_WAY)
    }

    /// The operator ends it; false if it does not feed the stream. It comes back some time later.
    pub(super) fn kick(&self, shard: &Shard, actor: &Arc<str>) -> bool {
        let is_ended = self.leave_stream(shard, KICKED);
        if is_ended {
            *self.kicked.borrow_mut() = Some(Arc::clone(actor));
        }
        is_ended
    }

    fn leave_stream(&self, shard: &Shard, reason: &str) -> bool {
        let Some(hub) = self.hub.take() else { return false };
        let feeds = matches!(hub.source(), Source::Pull);
        if feeds {
            shard.source_left(&hub);
        }
        if let Some(line) = &mut *self.line.borrow_mut() {
            line.close(End::Failed(reason.to_owned()), shard.clock.now());
            line.reader.wake();
        }
        feeds
    }

    /// Deadlines.
    pub(super) fn sweep(&self, now: Micros) {
        let mut slot = self.line.borrow_mut();
        let Some(line) = slot.as_mut() else { return };
        let late = line.session.tick(now).err();
        // What has come is not always read yet when a busy node looks.
        let is_so = |error: &Error| *error != Error::Silent || !line.reader.has_unread();
        if let Some(error) = late.filter(is_so) {
            line.close(End::Failed(error.to_string()), now);
        }
        if line.has_to_speak() || !self.is_wanted(now) {
            line.reader.wake();
        }
    }
}

/// How a server says that a stream is over.
const UNPUBLISHED: &str = "NetStream.Play.UnpublishNotify";

/// What a pull says that has lost its name to a publisher.
const GIVEN_WAY: &str = "somebody publishes under its local name now; it waits until that ends";

/// What a pull says that the operator has ended.
const KICKED: &str = "ended by the operator";

/// Who has done what happens by itself.
const NOBODY: &str = "";

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
    use crate::rtmp::Url;

    fn task(linger: Option<Micros>) -> Rc<PullTask> {
        PullTask::new(PullSpec {
            id: 0,
            enabled: true,
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
        task.want(at(2), &Hops::default());
        assert!(task.is_wanted(at(7)) && !task.is_wanted(at(8)));
        task.want(at(8), &Hops::default());
        assert!(task.is_wanted(at(9)));
    }

    #[test]
    fn a_pull_that_was_stopped_is_not_wanted_before_it_is_started() {
        let task = task(None);
        task.switch(false);
        assert!(!task.is_wanted(Micros(0)));
        task.switch(true);
        assert!(task.is_wanted(Micros(0)));
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
