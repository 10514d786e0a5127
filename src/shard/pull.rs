//! Pulls: a connection to another server, whose stream is fed into a local one. A pull fails and
//! comes back alone; nobody waits for it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::client::{Backoff, ClientConnection, Dialer, End, Phase, Redirect, target};
use super::io::{Io, PeerId};
use super::outbound::Outbound;
use super::pull_gate::{PullGate, Pulled, is_the_servers_own};
use super::relay_loop::LOOP;
use super::shared::Shared;
use super::stream_id::StreamId;
use super::streams::{Source, hop_of};
use crate::command::{PullSpec, ShardReport};
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

/// One pull.
#[derive(Serialize, Deserialize)]
pub(super) struct Pull {
    pub(super) spec: PullSpec,
    /// When somebody last wanted the stream.
    #[serde(with = "crate::media::instants")]
    wanted: Option<Micros>,
    /// Where the stream would go from here, of those that want it.
    goes_to: Hops,
    phase: Phase<ClientConnection>,
    backoff: Backoff,
    redirect: Redirect,
    /// When the present connection was begun.
    #[serde(with = "crate::media::instants")]
    began: Micros,
    /// The local stream, once the server has given something for it.
    pub(super) stream: Option<StreamId>,
    /// What came before that.
    gate: PullGate,
    /// What the stream was when its last source left, and when that was.
    #[serde(with = "crate::media::instants")]
    past: Option<(Micros, Prints)>,
    /// The server has said that the stream is over, and means it.
    is_over: bool,
    /// Who has ended it, as events name them.
    kicked: Option<Arc<str>>,
    /// What an operator wants of it; this may change at any time.
    order: Order,
    /// Whether it was told that its name is in use.
    is_taken_told: bool,
}

/// What a pull is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Order {
    /// Pull when its stream is wanted.
    Pull,
    /// Stay away.
    Wait,
    /// Say goodbye for good.
    End,
}

impl fmt::Display for Pull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pull {}", self.spec.name)
    }
}

impl Dialer for Pull {
    fn client(&mut self) -> Option<&mut ClientConnection> {
        match &mut self.phase {
            Phase::Up(client) => Some(client),
            _ => None,
        }
    }

    fn lost(&mut self, shared: &mut Shared, reason: String) {
        self.over(shared, End::Failed(reason));
    }

    fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Finished)
    }
}

impl Pull {
    pub(super) fn new(spec: PullSpec) -> Self {
        Self {
            order: if spec.enabled { Order::Pull } else { Order::Wait },
            spec,
            wanted: None,
            goes_to: Hops::default(),
            phase: Phase::Idle,
            backoff: Backoff::default(),
            redirect: None,
            began: Micros(0),
            stream: None,
            gate: PullGate::default(),
            past: None,
            is_over: false,
            kicked: None,
            is_taken_told: false,
        }
    }

    /// The local stream.
    pub(super) fn stream(&self) -> &str {
        &self.spec.stream
    }

    /// Since when its server's name has been looked up.
    #[cfg(test)]
    pub(super) const fn unresolved_since(&self) -> Option<Micros> {
        if matches!(self.phase, Phase::Resolving(_)) { Some(self.began) } else { None }
    }

    /// The peer of its connection, and whether that is still being made.
    pub(super) fn peer(&self) -> Option<(PeerId, bool)> {
        self.phase.peer(|client| client.out.id)
    }

    /// It was read from a snapshot: goes on where it was. What control was asked is asked again.
    /// `false` if it contradicts itself.
    #[must_use]
    pub(super) fn resume(&mut self, shared: &mut Shared) -> bool {
        let is_live = self.stream.is_some();
        self.spec.stats.set_state(self.phase.state(|_| is_live, self.is_leaving()));
        if let Some((host, port)) = self.phase.asked() {
            shared.cx.report(ShardReport::ResolvePull { pull: self.spec.id, host, port });
        }
        self.client().is_none_or(|client| client.out.stream.is_none() && client.resume(None))
    }

    /// Somebody reads the stream, or waits for it, or would relay it to `goes_to`.
    pub(super) fn want(&mut self, shared: &mut Shared, goes_to: &Hops) {
        let was_idle = !self.is_wanted(shared.cx.now);
        if was_idle {
            self.goes_to = Hops::default();
        }
        self.goes_to.add_all(goes_to);
        self.wanted = Some(shared.cx.now);
        if was_idle {
            self.go_on(shared);
        }
    }

    /// Lets it pull, or say goodbye, close and wait.
    pub(super) fn switch(&mut self, shared: &mut Shared, on: bool) {
        if self.order != Order::End {
            self.order = if on { Order::Pull } else { Order::Wait };
        }
        self.go_on(shared);
    }

    /// Ends the pull: it says goodbye and closes.
    pub(super) fn stop(&mut self, shared: &mut Shared) {
        self.order = Order::End;
        self.go_on(shared);
    }

    fn is_wanted(&self, now: Micros) -> bool {
        if self.is_leaving() {
            return false;
        }
        match (self.spec.linger, self.wanted) {
            (None, _) => true,
            (Some(linger), Some(wanted)) => now.since(wanted) <= linger,
            (Some(_), None) => false,
        }
    }

    fn is_leaving(&self) -> bool {
        self.order != Order::Pull
    }

    /// Goes on as far as it can now.
    fn go_on(&mut self, shared: &mut Shared) {
        let now = shared.cx.now;
        let (is_leaving, is_wanted) = (self.is_leaving(), self.is_wanted(now));
        if self.phase.is_unresolved(self.began, now) {
            return self.over(shared, End::Failed("its name was not looked up in 30 s".to_owned()));
        }
        match &mut self.phase {
            Phase::Paused(until) if now < *until && !is_leaving => {}
            Phase::Paused(_) => self.phase = Phase::Idle,
            Phase::Resolving(_) if is_leaving => self.phase = Phase::Idle,
            Phase::Connecting(..) if is_leaving => return self.over(shared, End::Left),
            Phase::Up(client) if !is_wanted => client.close(End::Left, now),
            _ => {}
        }
        if matches!(self.phase, Phase::Idle) {
            self.begin(shared);
        }
        self.check_end(shared);
    }

    /// Begins a connection, if there is reason to.
    fn begin(&mut self, shared: &mut Shared) {
        let now = shared.cx.now;
        if self.order == Order::End {
            self.spec.stats.set_state(RunState::Stopped);
            self.phase = Phase::Finished;
            return;
        }
        if !self.is_wanted(now) {
            let state = if self.is_leaving() { RunState::Stopped } else { RunState::Idle };
            return self.spec.stats.set_state(state);
        }
        if shared.streams.is_taken(&self.spec.stream) {
            if !std::mem::replace(&mut self.is_taken_told, true) {
                self.failed(shared, TAKEN, NOBODY, TAKEN_LOOK);
            }
            self.phase = Phase::Paused(now + TAKEN_LOOK);
            return;
        }
        self.is_taken_told = false;
        self.spec.stats.set_state(RunState::Connecting);
        self.began = now;
        let (url, mut spec) = target(&mut self.redirect, &self.spec.url, Goal::Play);
        spec.silence_timeout = SILENCE;
        let hop = hop_of(&shared.cx, &self.spec.stream);
        spec.relaying.goes_to = Hops::default().with(hop).unwrap_or_default();
        spec.relaying.goes_to.add_all(&self.goes_to);
        let (host, port) = (url.host().into(), url.port());
        shared.cx.report(ShardReport::ResolvePull { pull: self.spec.id, host, port });
        self.phase = Phase::Resolving(Box::new((url, spec)));
    }

    /// Control's answer to the question for an address.
    pub(super) fn resolved(
        &mut self,
        shared: &mut Shared,
        address: Result<SocketAddr, String>,
    ) -> Option<SocketAddr> {
        if !matches!(self.phase, Phase::Resolving(_)) {
            return None;
        }
        address.map_err(|reason| self.over(shared, End::Failed(reason))).ok()
    }

    /// The TCP connection is being made.
    pub(super) fn connecting(&mut self, peer: PeerId) {
        self.phase.connecting(peer);
    }

    /// The TCP connection stands.
    pub(super) fn connected(&mut self, shared: &mut Shared) {
        let Some((peer, target)) = self.phase.take_connecting() else { return };
        self.gate = PullGate::default();
        self.is_over = false;
        match ClientConnection::new(&mut shared.cx, peer, *target) {
            Ok(client) => {
                self.phase = Phase::Up(Box::new(client));
                self.check_end(shared);
            }
            Err(reason) => {
                shared.leaving.push(Outbound::new(peer, None));
                self.over(shared, End::Failed(reason));
            }
        }
    }

    /// The server has sent these bytes.
    pub(super) fn received(&mut self, shared: &mut Shared, bytes: &[u8]) {
        shared.cx.stats.bytes_in(bytes.len() as u64);
        self.spec.stats.bytes(bytes.len() as u64);
        let end = self.digest(shared, bytes).err();
        match end {
            Some(reason) => self.over(shared, End::Failed(reason)),
            None => self.check_end(shared),
        }
    }

    fn digest(&mut self, shared: &mut Shared, bytes: &[u8]) -> Result<(), String> {
        for piece in bytes.chunks(FEED_BYTES_MAX) {
            let Phase::Up(client) = &mut self.phase else { return Ok(()) };
            let fed = client.session.feed(piece, shared.cx.now, &shared.cx.packets);
            while let Phase::Up(client) = &mut self.phase
                && let Some(event) = client.session.poll_event()
            {
                match event {
                    ClientEvent::Message { kind, time, body } if !client.is_closing() => {
                        if let Some(flags) = Flags::of(kind, &body)
                            && !(kind == Kind::Data && is_the_servers_own(&body))
                        {
                            self.take(shared, Pulled { kind, time, flags, body })?;
                        }
                    }
                    ClientEvent::Ended { code, description } => {
                        self.is_over = client.session.is_heeded() && code == UNPUBLISHED;
                        let ended = ClientEvent::Ended { code, description };
                        client.handle(ended, &mut self.redirect)?;
                    }
                    event => client.handle(event, &mut self.redirect)?,
                }
            }
            fed.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Takes a message of the stream: the first that brings something opens the local stream.
    fn take(&mut self, shared: &mut Shared, message: Pulled) -> Result<(), String> {
        let now = shared.cx.now;
        if let Some(stream) = self.stream {
            return self.ingest(shared, stream, message);
        }
        let past = self.past.as_ref().filter(|(left, _)| now.since(*left) < PAST_MAX);
        let Some(held) = self.gate.take(message, past.map(|(_, was)| was), now) else {
            return Ok(());
        };
        if shared.streams.is_taken(&self.spec.stream) {
            return Err(TAKEN.to_owned());
        }
        let path = self.client().and_then(|client| client.session.path().cloned());
        let path = path.unwrap_or_default();
        if path.with(hop_of(&shared.cx, &self.spec.stream)).is_none() {
            self.report_loop(shared);
            return Err(LOOP.to_owned());
        }
        let (name, source) = (Arc::clone(&self.spec.stream), Source::Pull(self.spec.id));
        let stream = shared.streams.open(&mut shared.cx, name, source, &path);
        self.stream = Some(stream);
        self.spec.stats.connected();
        let (name, local) = (self.spec.name.to_string(), self.spec.stream.to_string());
        shared.cx.report_node(NodeEvent::PullConnected { name, stream: local });
        held.into_iter().try_for_each(|message| self.ingest(shared, stream, message))
    }

    fn ingest(&self, shared: &mut Shared, stream: StreamId, message: Pulled) -> Result<(), String> {
        let Pulled { kind, time, flags, body } = message;
        if !shared.streams.ingest(&mut shared.cx, stream, flags, (kind, time, body)) {
            self.report_loop(shared);
            return Err(LOOP.to_owned());
        }
        Ok(())
    }

    fn report_loop(&self, shared: &mut Shared) {
        let (stream, source) = (self.spec.stream.to_string(), self.to_string());
        shared.cx.report_node(NodeEvent::RelayLoop { stream, source });
    }

    /// The source of its stream has left, which was this.
    pub(super) fn stream_left(&mut self, was: &Prints, now: Micros) {
        self.past = Some((now, was.clone()));
    }

    /// A publisher takes its name; false if it does not feed the stream.
    pub(super) fn make_way(&mut self, shared: &mut Shared) -> bool {
        self.leave_stream(shared, GIVEN_WAY)
    }

    /// The operator ends it; false if it does not feed the stream. It comes back some time later.
    pub(super) fn kick(&mut self, shared: &mut Shared, actor: &Arc<str>) -> bool {
        let is_ended = self.leave_stream(shared, KICKED);
        if is_ended {
            self.kicked = Some(Arc::clone(actor));
        }
        is_ended
    }

    fn leave_stream(&mut self, shared: &mut Shared, reason: &str) -> bool {
        let Some(stream) = self.stream.take() else { return false };
        let feeds = self.feeds(shared, stream);
        if feeds {
            shared.streams.say_goodbye(stream);
            shared.streams.source_left(&mut shared.cx, stream);
        }
        if let Phase::Up(client) = &mut self.phase {
            client.close(End::Failed(reason.to_owned()), shared.cx.now);
            client.pass_on();
        }
        feeds
    }

    fn feeds(&self, shared: &Shared, stream: StreamId) -> bool {
        let stream = shared.streams.get(stream);
        stream.is_some_and(|stream| matches!(stream.source, Source::Pull(id) if id == self.spec.id))
    }

    /// Looks at deadlines.
    pub(super) fn tick(&mut self, shared: &mut Shared, io: &mut dyn Io) {
        if let Phase::Up(client) = &mut self.phase {
            let late = client.session.tick(shared.cx.now).err();
            // What has come is not always read yet when a busy node looks.
            let mut is_so =
                |error: &Error| *error != Error::Silent || !io.has_unread(client.out.id);
            if let Some(error) = late.filter(|error| is_so(error)) {
                client.close(End::Failed(error.to_string()), shared.cx.now);
            }
        }
        self.go_on(shared);
    }

    /// Ends the connection if it was to end, and has said what it had to.
    pub(super) fn check_end(&mut self, shared: &mut Shared) {
        let Phase::Up(client) = &mut self.phase else { return };
        client.pass_on();
        if let Some(end) = client.ended(shared.cx.now) {
            self.over(shared, end);
        }
    }

    /// The present connection, or the attempt to make one, is over.
    fn over(&mut self, shared: &mut Shared, end: End) {
        let end = match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Up(client) => {
                let end = client.first_reason(end);
                shared.leaving.push(client.out);
                end
            }
            Phase::Connecting(peer, _) => {
                shared.leaving.push(Outbound::new(peer, None));
                end
            }
            _ => end,
        };
        if let Some(stream) = self.stream.take()
            && self.feeds(shared, stream)
        {
            if end == End::Left || self.is_over {
                shared.streams.say_goodbye(stream);
            }
            shared.streams.source_left(&mut shared.cx, stream);
            // Whoever asks next gets the stream as it is then, and not the end of what was. A node
            // like this one has waited for its publisher already.
            let is_unwanted = end == End::Left && !self.is_wanted(shared.cx.now);
            if is_unwanted || self.is_over {
                shared.streams.end(&mut shared.cx, stream);
            }
        }
        match end {
            End::Left => {
                self.backoff = Backoff::default();
                if !self.is_leaving() {
                    let name = self.spec.name.to_string();
                    shared.cx.report_node(NodeEvent::PullLeft { name });
                }
            }
            End::Failed(reason) => self.pause_after(shared, &reason),
        }
        if self.is_leaving() {
            self.phase = Phase::Idle;
            self.begin(shared);
        }
    }

    fn pause_after(&mut self, shared: &mut Shared, reason: &str) {
        let lasted = shared.cx.now.since(self.began);
        let random = shared.cx.random();
        let usual = self.backoff.after(&mut self.redirect, lasted, random);
        let kicked = self.kicked.take();
        let wait = if kicked.is_some() { Some(KICKED_PAUSE) } else { usual };
        let Some(wait) = wait else { return tracing::debug!("{self}: {reason}") };
        self.failed(shared, reason, kicked.as_deref().unwrap_or(NOBODY), wait);
        self.phase = Phase::Paused(shared.cx.now + wait);
    }

    fn failed(&self, shared: &mut Shared, reason: &str, actor: &str, retry_in: Micros) {
        self.spec.stats.failed();
        let (name, actor) = (self.spec.name.to_string(), actor.to_owned());
        let reason = self.spec.url.about(reason);
        shared.cx.report_node(NodeEvent::PullFailed { name, reason, actor, retry_in });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtmp::Url;

    fn pull(linger: Option<Micros>) -> Pull {
        Pull::new(PullSpec {
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
        let mut pull = pull(Some(at(5)));
        assert!(!pull.is_wanted(at(1)));
        pull.wanted = Some(at(2));
        assert!(pull.is_wanted(at(7)) && !pull.is_wanted(at(8)));
        pull.wanted = Some(at(8));
        assert!(pull.is_wanted(at(9)));
    }

    #[test]
    fn a_pull_that_was_stopped_is_not_wanted_before_it_is_started() {
        let mut pull = pull(None);
        pull.order = Order::Wait;
        assert!(!pull.is_wanted(Micros(0)));
        pull.order = Order::Pull;
        assert!(pull.is_wanted(Micros(0)));
    }

    #[test]
    fn a_pull_that_is_there_always_waits_for_nobody() {
        assert!(pull(None).is_wanted(Micros(0)));
    }
}
