//! One output: keeps a connection to a destination outside the node, and reads a stream's log into
//! it. It fails and comes back alone; nobody waits for it.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use glommio::net::TcpStream;
use glommio::timer::Timer;

use super::dial::{Backoff, Dial, End, Line, drive, hear};
use super::hub::{Hub, Source};
use super::shard::{BLOCKED_MAX, Shard};
use super::socket::tcp_figures;
use super::stall::{Progress, Seen};
use super::wire::Socket;
use crate::command::{FromShard, OutputSpec};
use crate::event::NodeEvent;
use crate::media::{Kind, Micros};
use crate::rtmp::flv::{Facts, Format};
use crate::rtmp::limits::FEED_BYTES_MAX;
use crate::rtmp::{ClientEvent, Goal};
use crate::stats::{RunState, ViewerDrop};
use crate::stream::{Cursor, Drops, Framing, Start, StreamLog};

/// Time from the TCP connection to the destination's consent.
const START_LIMIT: Micros = Micros::from_secs(10);

/// For how long a publisher's messages have come when its tracks are taken for known.
const TRACKS_KNOWN: Micros = Micros::from_secs(1);

/// How often a stream that is not there yet is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// An output's state that the shard can reach.
pub(super) struct OutputTask {
    spec: OutputSpec,
    dial: Dial,
    publication: RefCell<Option<Publication>>,
    /// Whether it is to push; an operator may change this at any time.
    wanted: Cell<bool>,
    /// Set once: it says goodbye for good.
    ending: Cell<bool>,
    finished: Cell<bool>,
}

/// The kinds of one source that have been in a stream, with the codecs that its headers name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tracks {
    source: u64,
    kinds: [Option<Option<Format>>; 2],
}

impl Tracks {
    fn of(log: &StreamLog) -> Self {
        let kinds = [Kind::Audio, Kind::Video].map(|kind| {
            let header = log.header_of(kind).and_then(|header| Facts::of(kind, header.body()));
            log.carries(kind).then(|| header.and_then(|facts| facts.format))
        });
        Self { source: log.source_from(), kinds }
    }

    /// Whether one of these tracks is another one there, or missing.
    fn has_others_than(&self, next: &Self) -> bool {
        self.kinds.iter().zip(next.kinds).any(|(known, next)| known.is_some() && *known != next)
    }
}

/// A connection in use.
struct Publication {
    line: Line,
    /// The stream, once the destination takes it.
    hub: Option<Rc<Hub>>,
    since: Micros,
    started: bool,
    drops: Drops,
    /// What the destination knows of the stream's tracks.
    told: Tracks,
    progress: Progress,
    /// Bytes that are in the figures already.
    counted: u64,
}

/// Runs an output until it is removed, or the node ends.
pub(super) async fn run(shard: Rc<Shard>, number: usize, task: Rc<OutputTask>) {
    let mut backoff = Backoff::default();
    while !task.ending.get() {
        if !task.wanted.get() {
            task.spec.stats.line.set_state(RunState::Stopped);
            task.dial.until(|| task.wanted.get() || task.ending.get()).await;
            continue;
        }
        // What is in its grace has no source: it is not offered anew.
        let is_fed = shard.is_taken(&task.spec.stream);
        let Some(hub) = is_fed.then(|| shard.find(&task.spec.stream)).flatten() else {
            task.spec.stats.line.set_state(RunState::Idle);
            Timer::new(LOOK).await;
            continue;
        };
        task.spec.stats.line.set_state(RunState::Connecting);
        let began = shard.clock.now();
        let reason = match task.session(&shard, number, &hub).await {
            End::Failed(reason) if !task.is_leaving() => reason,
            _ => {
                backoff = Backoff::default();
                continue;
            }
        };
        if shard.is_over(&hub) {
            continue;
        }
        let lasted = shard.clock.now().since(began);
        let Some(wait) = backoff.after(&task.dial, lasted, shard.random()) else {
            tracing::debug!("output {}: {reason}", task.spec.name);
            continue;
        };
        task.spec.stats.line.failed();
        let (channel, name) = (task.spec.channel.to_string(), task.spec.name.to_string());
        let reason = task.spec.url.about(&reason);
        shard.report_node(NodeEvent::OutputFailed { channel, name, reason, retry_in: wait });
        task.dial.pause(wait, || task.is_leaving()).await;
    }
    task.spec.stats.line.set_state(RunState::Stopped);
    task.finished.set(true);
}

impl OutputTask {
    pub(super) fn new(spec: OutputSpec) -> Rc<Self> {
        let wanted = Cell::new(spec.enabled);
        Rc::new(Self {
            spec,
            dial: Dial::default(),
            publication: RefCell::default(),
            wanted,
            ending: Cell::new(false),
            finished: Cell::new(false),
        })
    }

    /// Whether it is to push the stream `name`.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.wanted.get() && !self.finished.get() && *self.spec.stream == *name
    }

    /// Control's answer to our question for an address.
    pub(super) fn resolved(&self, address: Result<SocketAddr, String>) {
        self.dial.resolved(address);
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

    /// The node stops. A node that has the stream from here keeps it for a while: it is not told
    /// that the stream is over.
    pub(super) fn end_with_node(&self) {
        if let Some(publication) = &mut *self.publication.borrow_mut()
            && publication.line.session.is_heeded()
        {
            publication.line.break_off("the node stops".to_owned());
        }
        self.end();
    }

    /// The stream no longer comes the way that the destination was told.
    pub(super) fn comes_another_way(&self, hub: &Hub) {
        let mut slot = self.publication.borrow_mut();
        let Some(publication) = slot.as_mut().filter(|_| *self.spec.stream == *hub.name) else {
            return;
        };
        if !publication.started || publication.line.session.is_heeded() {
            publication.leave(hub);
            publication.line.break_off("the stream comes another way now".to_owned());
            publication.line.reader.wake();
        }
    }

    /// The source of a stream is about to be forgotten: what the destination knows of it is not.
    pub(super) fn end_source(&self) {
        let Ok(mut slot) = self.publication.try_borrow_mut() else { return };
        let Some(Publication { hub: Some(hub), told, .. }) = &mut *slot else { return };
        let tracks = Tracks::of(&hub.log.borrow());
        if tracks.source == told.source {
            *told = tracks;
        }
    }

    fn is_leaving(&self) -> bool {
        self.ending.get() || !self.wanted.get()
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished.get()
    }

    fn wake(&self) {
        self.dial.wake();
        if let Some(publication) = &*self.publication.borrow() {
            publication.line.reader.wake();
        }
    }

    /// One connection from its beginning to its end.
    async fn session(&self, shard: &Rc<Shard>, number: usize, hub: &Rc<Hub>) -> End {
        let (url, mut spec) = self.dial.next(&self.spec.url, Goal::Publish);
        spec.chunk_size = shard.spec().chunk_size;
        spec.relaying.path = hub.hops();
        let (host, port) = (url.host().into(), url.port());
        shard.report(FromShard::Resolve { output: number, host, port });
        let connected = self.dial.connect(shard, url, spec, || self.is_leaving()).await;
        let (mut socket, line) = match connected {
            Ok(connected) => connected,
            Err(end) => return end,
        };
        let now = shard.clock.now();
        *self.publication.borrow_mut() = Some(Publication {
            line,
            hub: None,
            since: now,
            started: false,
            drops: Drops::default(),
            told: Tracks::default(),
            progress: Progress::new(now),
            counted: 0,
        });
        let end = drive(|cx| self.turn(shard, hub, &mut socket, cx)).await;
        let Some(publication) = self.publication.take() else { return end };
        if let Some(hub) = &publication.hub {
            hub.remove_reader(&publication.line.reader);
        }
        publication.line.finish(end)
    }

    fn turn(
        &self,
        shard: &Rc<Shard>,
        hub: &Rc<Hub>,
        socket: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), End>> {
        let mut slot = self.publication.borrow_mut();
        let Some(publication) = slot.as_mut() else { return Poll::Ready(Err(End::Left)) };
        let reader = Rc::clone(&publication.line.reader);
        reader.set_waker(cx.waker());
        if let Some(error) = reader.take_failure() {
            return Poll::Ready(Err(End::Failed(error.to_string())));
        }
        let now = shard.clock.now();
        if self.is_leaving() {
            publication.close(End::Left, now);
        }
        let log = publication.hub.as_ref().map(|hub| hub.log.borrow());
        let mut ends = Socket { stream: socket, cx };
        let sent = publication.line.send(shard, log.as_deref(), &mut ends, now)?;
        drop(log);
        if let Some(hub) = &publication.hub {
            hub.figures.add_out(sent);
        }
        publication.line.ended(now)?;
        hear(shard, &reader, &mut ends, "the destination", |bytes| {
            self.digest(shard, hub, publication, bytes)
        })
    }

    fn digest(
        &self,
        shard: &Rc<Shard>,
        hub: &Rc<Hub>,
        publication: &mut Publication,
        bytes: &[u8],
    ) -> Result<(), String> {
        let now = shard.clock.now();
        for piece in bytes.chunks(FEED_BYTES_MAX) {
            let session = &mut publication.line.session;
            session.feed(piece, now, &shard.packets).map_err(|error| error.to_string())?;
            while let Some(event) = publication.line.session.poll_event() {
                self.on_event(shard, hub, publication, event)?;
            }
        }
        Ok(())
    }

    fn on_event(
        &self,
        shard: &Shard,
        hub: &Rc<Hub>,
        publication: &mut Publication,
        event: ClientEvent,
    ) -> Result<(), String> {
        let now = shard.clock.now();
        match event {
            ClientEvent::Started { stream_id } => {
                publication.line.reader.set_policy(self.spec.rules.drop);
                publication.begin(hub, stream_id, now);
                self.spec.stats.line.connected();
                let (channel, name) = (self.spec.channel.to_string(), self.spec.name.to_string());
                shard.report_node(NodeEvent::OutputConnected { channel, name });
                Ok(())
            }
            ClientEvent::Reconnect { .. } => {
                if let Err(reason) = self.dial.heed(&publication.line, event) {
                    publication.close(End::Failed(reason), now);
                }
                Ok(())
            }
            event => self.dial.heed(&publication.line, event),
        }
    }

    /// Deadlines, and a keyframe after a jump.
    pub(super) fn sweep(&self, shard: &Shard, now: Micros) {
        let mut slot = self.publication.borrow_mut();
        let Some(publication) = slot.as_mut() else { return };
        publication.check_deadlines(now);
        publication.check_tracks(now);
        if let Some(hub) = &publication.hub {
            self.spec.stats.lag(publication.line.reader.lag(&hub.log.borrow()));
        }
        self.check_progress(shard, publication, now);
        self.count(publication);
        if publication.line.has_to_speak() {
            publication.line.reader.wake();
        }
    }

    /// Ends a connection that has stalled, and one whose stream is over.
    fn check_progress(&self, shard: &Shard, publication: &mut Publication, now: Micros) {
        let Publication { line, progress, .. } = publication;
        let tcp = tcp_figures(line.reader.fd());
        if let Some(tcp) = tcp {
            self.spec.stats.rtt(tcp.rtt);
        }
        if line.is_closing() || !publication.started {
            return;
        }
        let (acknowledged, sent) = (line.session.acknowledged(), line.reader.bytes());
        let seen = Seen { tcp, acknowledged, sent };
        if publication.hub.as_ref().is_some_and(|hub| shard.is_over(hub)) {
            publication.close(End::Failed("the stream ended".to_owned()), now);
        } else if let Some(reason) = progress.look(now, self.spec.rules.stall_timeout, seen) {
            self.spec.stats.stalled();
            line.break_off(reason);
        }
    }

    /// What went out, and what was left out.
    fn count(&self, publication: &mut Publication) {
        let reader = &publication.line.reader;
        let bytes = reader.bytes();
        self.spec.stats.line.bytes(bytes - publication.counted);
        publication.counted = bytes;
        let (before, drops) = (publication.drops, reader.drops());
        if drops.gaps == before.gaps {
            return;
        }
        for (reason, count) in [
            (ViewerDrop::Jumped, drops.jumped - before.jumped),
            (ViewerDrop::Skipped, drops.skipped - before.skipped),
            (ViewerDrop::Overrun, drops.overrun - before.overrun),
        ] {
            self.spec.stats.dropped(reason, count);
        }
        publication.drops = drops;
        self.spec.stats.jumped();
        if let Some(hub) = &publication.hub {
            request_key(hub);
        }
    }
}

impl Publication {
    /// The destination takes the stream: reads its log from the next keyframe on.
    fn begin(&mut self, hub: &Rc<Hub>, stream_id: u32, now: Micros) {
        self.started = true;
        self.progress = Progress::new(now);
        self.line.pass_on();
        let cursor = Cursor::new(Start::Keyframe).framed(Framing::Chunks(stream_id));
        self.line.reader.set_cursor(Some(cursor));
        hub.add_reader(Rc::clone(&self.line.reader));
        self.told = Tracks::of(&hub.log.borrow());
        self.hub = Some(Rc::clone(hub));
        request_key(hub);
    }

    fn check_deadlines(&mut self, now: Micros) {
        if let Err(error) = self.line.session.tick(now) {
            self.close(End::Failed(error.to_string()), now);
        }
        if !self.started && now.since(self.since) >= START_LIMIT {
            self.close(End::Failed("the destination did not answer in 10 s".to_owned()), now);
        }
        if self.line.reader.blocked_for(now) >= BLOCKED_MAX {
            self.line.break_off("the destination took nothing for 10 s".to_owned());
        }
    }

    /// Sends nothing more of the stream.
    fn leave(&mut self, hub: &Hub) {
        self.hub = None;
        hub.remove_reader(&self.line.reader);
    }

    /// A destination shows who comes late what described the tracks of the publisher before. Where
    /// the next one sends others, the publication begins anew.
    fn check_tracks(&mut self, now: Micros) {
        let Some(hub) = &self.hub else { return };
        let (tracks, age) = {
            let log = hub.log.borrow();
            (Tracks::of(&log), log.source_age())
        };
        if self.told.source == tracks.source || age.is_none_or(|age| age < TRACKS_KNOWN) {
            return;
        }
        let before = std::mem::replace(&mut self.told, tracks);
        if before.has_others_than(&tracks) {
            self.close(End::Left, now);
        }
    }

    fn close(&mut self, end: End, now: Micros) {
        self.line.close(end, now);
        if let Some(hub) = self.hub.take() {
            hub.remove_reader(&self.line.reader);
            self.line.reader.finish_message(&hub.log.borrow());
        }
    }
}

fn request_key(hub: &Hub) {
    if let Source::Channel(switch) = hub.source() {
        switch.request_key();
    }
}
