//! Outputs: a connection to a destination outside the node, into which a stream's log is read. An
//! output fails and comes back alone; nobody waits for it.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::client::{Backoff, ClientConnection, Dialer, End, Phase, Redirect, target};
use super::io::{Io, PeerId};
use super::outbound::Outbound;
use super::publication::Publication;
use super::shared::Shared;
use super::stream_id::StreamId;
use super::substitute::is_enhanced;
use crate::command::{DelayChange, OnGap, OutputSpec, ShardReport};
use crate::event::NodeEvent;
use crate::media::Micros;
use crate::rtmp::limits::FEED_BYTES_MAX;
use crate::rtmp::{ClientEvent, Goal};
use crate::stats::RunState;

/// One output.
#[derive(Serialize, Deserialize)]
pub(super) struct Output {
    pub(super) spec: OutputSpec,
    /// Whether it is to push; an operator may change this at any time.
    is_wanted: bool,
    /// Set once: it says goodbye for good.
    is_ending: bool,
    phase: Phase<Publication>,
    backoff: Backoff,
    redirect: Redirect,
    /// When the present connection was begun.
    #[serde(with = "crate::media::instants")]
    began: Micros,
    /// The stream that the present connection is for.
    stream: Option<StreamId>,
}

/// Whether the log of a stream lets go of messages before they are as old as a delay.
fn lacks_delay(shared: &Shared, id: StreamId, delay: Micros) -> bool {
    let Some(stream) = shared.streams.get(id) else { return false };
    let has_let_go = stream.log.first() > stream.log.source_from();
    has_let_go && stream.log.source_age().is_some_and(|age| age < delay)
}

/// Nothing would ever be sent.
const DELAY_TOO_LONG: &str =
    "`delay_s` is more than the node keeps of the stream: raise `log_bytes` in [delivery]";

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "output {}", self.spec.name)
    }
}

impl Dialer for Output {
    fn client(&mut self) -> Option<&mut ClientConnection> {
        match &mut self.phase {
            Phase::Up(publication) => Some(&mut publication.client),
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

impl Output {
    pub(super) fn new(spec: OutputSpec) -> Self {
        Self {
            is_wanted: spec.enabled,
            spec,
            is_ending: false,
            phase: Phase::Idle,
            backoff: Backoff::default(),
            redirect: None,
            began: Micros(0),
            stream: None,
        }
    }

    /// Whether it is to push the stream `name`, or that stands in for the one it is to push.
    pub(super) fn wants(&self, name: &str) -> bool {
        let rendition = match &self.phase {
            Phase::Up(publication) => publication.rendition.as_deref(),
            _ => None,
        };
        let is_its = *self.spec.stream == *name || rendition == Some(name);
        self.is_wanted && !self.is_finished() && is_its
    }

    const fn is_leaving(&self) -> bool {
        self.is_ending || !self.is_wanted
    }

    /// Since when its server's name has been looked up.
    #[cfg(test)]
    pub(super) const fn unresolved_since(&self) -> Option<Micros> {
        if matches!(self.phase, Phase::Resolving(_)) { Some(self.began) } else { None }
    }

    /// The peer of its connection, and whether that is still being made.
    pub(super) fn peer(&self) -> Option<(PeerId, bool)> {
        self.phase.peer(|publication| publication.client.out.id)
    }

    /// The stream that its connection reads.
    pub(super) fn reads(&self) -> Option<StreamId> {
        match &self.phase {
            Phase::Up(publication) => publication.client.out.stream,
            _ => None,
        }
    }

    /// It was read from a snapshot: goes on where it was. What control was asked is asked again.
    /// `false` if it contradicts itself or the log that it reads.
    #[must_use]
    pub(super) fn resume(&mut self, shared: &mut Shared) -> bool {
        let state = self.phase.state(Publication::is_live, self.is_leaving());
        self.spec.stats.line.set_state(state);
        if let Some((host, port)) = self.phase.asked() {
            shared.cx.report(ShardReport::Resolve { output: self.spec.id, host, port });
        }
        let Phase::Up(publication) = &mut self.phase else { return true };
        let stream = publication.client.out.stream.map(|id| shared.streams.get(id));
        stream.is_none_or(|it| it.is_some()) && publication.resume(stream.flatten())
    }

    /// Lets it push, or unpublish, close and wait.
    pub(super) fn switch(&mut self, shared: &mut Shared, on: bool) {
        self.is_wanted = on;
        self.go_on(shared);
    }

    /// Sends everything so much later from now on, or never what waits: then the connection stays,
    /// and is sent nothing until the newest keyframe is as old as the delay says.
    pub(super) fn change_delay(&mut self, shared: &mut Shared, change: DelayChange) {
        if let DelayChange::Set(delay) = change {
            self.spec.rules.delay = delay;
        }
        let Phase::Up(publication) = &mut self.phase else { return };
        let out = &mut publication.client.out;
        match change {
            DelayChange::Set(delay) => out.set_delay(delay),
            DelayChange::Dump => {
                let stream = out.stream.and_then(|id| shared.streams.get(id));
                let left_out = stream.map_or(0, |stream| out.dump(&stream.log));
                tracing::info!("{self}: {left_out} messages that waited are not sent");
                return;
            }
        }
        publication.send_what_is_due(shared);
    }

    /// Ends the output: it unpublishes and closes.
    pub(super) fn end(&mut self, shared: &mut Shared) {
        self.is_ending = true;
        self.go_on(shared);
    }

    /// The node stops. A node that has the stream from here keeps it for a while: it is not told
    /// that the stream is over.
    pub(super) fn end_with_node(&mut self, shared: &mut Shared) {
        if let Phase::Up(publication) = &mut self.phase
            && publication.client.session.is_heeded()
        {
            publication.client.break_off("the node stops".to_owned());
        }
        self.end(shared);
    }

    /// Its stream no longer comes the way that the destination was told.
    pub(super) fn on_rerouted(&mut self, shared: &mut Shared, stream: StreamId) {
        if self.stream == Some(stream)
            && let Phase::Up(publication) = &mut self.phase
            && (!publication.is_started || publication.client.session.is_heeded())
        {
            shared.streams.remove_reader(&shared.cx, &mut publication.client.out);
            publication.client.break_off("the stream comes another way now".to_owned());
        }
        self.go_on(shared);
    }

    /// Its stream is over.
    pub(super) fn on_stream_ended(&mut self, shared: &mut Shared) {
        self.end_publication(shared);
        self.go_on(shared);
    }

    /// Ends the connection because the stream is over. Where its source was lost, a destination is
    /// told nothing that would end its broadcast, but for a node, which has the end from here.
    fn end_publication(&mut self, shared: &mut Shared) {
        let Phase::Up(publication) = &mut self.phase else { return };
        if publication.has_delayed(shared, self.spec.rules.delay) {
            return publication.send_what_is_due(shared); // the end is as late as all else
        }
        let stream = self.stream.and_then(|id| shared.streams.get(id));
        let is_gap = stream.is_some_and(|stream| !stream.has_goodbye);
        let holds = self.spec.rules.on_gap == OnGap::Hold;
        if is_gap && holds && !publication.client.session.is_heeded() {
            shared.streams.remove_reader(&shared.cx, &mut publication.client.out);
            publication.client.break_off("the source of the stream was lost".to_owned());
        } else {
            publication.close(shared, End::Failed("the stream ended".to_owned()));
        }
    }

    /// Goes on as far as it can now.
    pub(super) fn go_on(&mut self, shared: &mut Shared) {
        let now = shared.cx.now;
        let is_leaving = self.is_leaving();
        if self.phase.is_unresolved(self.began, now) {
            return self.over(shared, End::Failed("its name was not looked up in 30 s".to_owned()));
        }
        match &mut self.phase {
            Phase::Paused(until) if now < *until && !is_leaving => {}
            Phase::Paused(_) => self.phase = Phase::Idle,
            Phase::Resolving(_) if is_leaving => self.phase = Phase::Idle,
            Phase::Connecting(..) if is_leaving => return self.over(shared, End::Left),
            Phase::Up(publication) if is_leaving => publication.close(shared, End::Left),
            _ => {}
        }
        if matches!(self.phase, Phase::Idle) {
            self.begin(shared);
        }
        self.follow(shared);
        self.check_end(shared);
    }

    /// Reads what the destination can take of its stream, once it has agreed and that is known.
    fn follow(&mut self, shared: &mut Shared) {
        let (Phase::Up(publication), Some(stream)) = (&mut self.phase, self.stream) else { return };
        let Some(omits_tracks) = publication.follow(shared, &self.spec, stream) else { return };
        self.spec.stats.line.connected();
        let (channel, name) = (self.spec.channel.to_string(), self.spec.name.to_string());
        let rendition = publication.rendition.as_ref().map(ToString::to_string);
        let event = NodeEvent::OutputConnected { channel, name, omits_tracks, rendition };
        shared.cx.report_node(event);
    }

    /// Begins a connection, if there is reason to.
    fn begin(&mut self, shared: &mut Shared) {
        let line = &self.spec.stats.line;
        if self.is_ending || !self.is_wanted {
            line.set_state(RunState::Stopped);
            if self.is_ending {
                self.phase = Phase::Finished;
            }
            return;
        }
        // What is in its grace has no source: it is not offered anew.
        let is_fed = shared.streams.is_taken(&self.spec.stream);
        let name = &self.spec.stream;
        let found = if is_fed { shared.streams.find(&mut shared.cx, name) } else { None };
        let is_due =
            |id: &StreamId| !self.awaits_headers(shared, *id) && !self.awaits_delay(shared, *id);
        let Some(id) = found.filter(is_due) else { return line.set_state(RunState::Idle) };
        self.stream = Some(id);
        self.began = shared.cx.now;
        if lacks_delay(shared, id, self.spec.rules.delay) {
            return self.over(shared, End::Failed(DELAY_TOO_LONG.to_owned()));
        }
        self.spec.stats.line.set_state(RunState::Connecting);
        let (url, mut spec) = target(&mut self.redirect, &self.spec.url, Goal::Publish);
        spec.chunk_size = shared.cx.spec.chunk_size;
        if let Some(stream) = shared.streams.get(id) {
            spec.relaying.path = stream.hops.clone();
        }
        let (host, port) = (url.host().into(), url.port());
        shared.cx.report(ShardReport::Resolve { output: self.spec.id, host, port });
        self.phase = Phase::Resolving(Box::new((url, spec)));
    }

    /// Whether there is nothing yet that is as old as its delay: a destination is not kept waiting
    /// for its first picture.
    fn awaits_delay(&self, shared: &Shared, id: StreamId) -> bool {
        let age = shared.streams.get(id).and_then(|stream| stream.log.source_age());
        let delay = self.spec.rules.delay;
        age.unwrap_or(Micros(0)) < delay && !lacks_delay(shared, id, delay)
    }

    /// Whether its codecs decide what is asked of the destination, and are not known yet.
    fn awaits_headers(&self, shared: &Shared, id: StreamId) -> bool {
        let has_rendition = shared.streams.substitute_of(&self.spec.stream).is_some();
        has_rendition && shared.streams.get(id).is_some_and(|stream| !stream.is_known())
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
        let Some((peer, mut target)) = self.phase.take_connecting() else { return };
        // Some servers say what they take only to who says so of itself; others refuse who says
        // what they do not know, so that it is said where it matters.
        let stream = self.stream.and_then(|id| shared.streams.get(id));
        target.1.enhanced |=
            stream.is_some_and(|it| it.log.has_further_tracks() || is_enhanced(it));
        match ClientConnection::new(&mut shared.cx, peer, *target) {
            Ok(client) => {
                self.phase = Phase::Up(Box::new(Publication::new(client, shared.cx.now)));
                self.check_end(shared);
            }
            Err(reason) => {
                shared.leaving.push(Outbound::new(peer, None));
                self.over(shared, End::Failed(reason));
            }
        }
    }

    /// The destination has sent these bytes.
    pub(super) fn received(&mut self, shared: &mut Shared, bytes: &[u8]) {
        let end = self.digest(shared, bytes).err();
        match end {
            Some(reason) => self.over(shared, End::Failed(reason)),
            None => {
                self.follow(shared);
                self.check_end(shared);
            }
        }
    }

    fn digest(&mut self, shared: &mut Shared, bytes: &[u8]) -> Result<(), String> {
        let Phase::Up(publication) = &mut self.phase else { return Ok(()) };
        for piece in bytes.chunks(FEED_BYTES_MAX) {
            let session = &mut publication.client.session;
            let fed = session.feed(piece, shared.cx.now, &shared.cx.packets);
            fed.map_err(|error| error.to_string())?;
            while let Some(event) = publication.client.session.poll_event() {
                match event {
                    ClientEvent::Started { stream_id } => {
                        publication.client.out.set_policy(self.spec.rules.drop);
                        publication.start(shared, stream_id);
                    }
                    ClientEvent::Reconnect { .. } => {
                        let handled = publication.client.handle(event, &mut self.redirect);
                        if let Err(reason) = handled {
                            publication.close(shared, End::Failed(reason));
                        }
                    }
                    event => publication.client.handle(event, &mut self.redirect)?,
                }
            }
        }
        Ok(())
    }

    /// Looks at deadlines, and asks for a keyframe after a jump.
    pub(super) fn tick(&mut self, shared: &mut Shared, io: &mut dyn Io) {
        if let Phase::Up(publication) = &mut self.phase {
            publication.check_deadlines(shared);
            publication.check_tracks(shared);
            let delay = self.spec.rules.delay;
            if delay > Micros(0) {
                publication.send_what_is_due(shared);
            }
            if publication.client.out.stream.is_some_and(|id| lacks_delay(shared, id, delay)) {
                publication.client.break_off(DELAY_TOO_LONG.to_owned());
            }
            let out = &publication.client.out;
            if let Some(stream) = out.stream.and_then(|stream| shared.streams.get(stream)) {
                self.spec.stats.lag(out.lag(&stream.log));
            }
            let tcp = io.tcp_info(out.id);
            if let Some(tcp) = tcp {
                self.spec.stats.rtt(tcp.rtt);
                self.spec.stats.socket(tcp.bytes_acked, tcp.notsent_bytes);
            }
            let is_over = self.stream.is_none_or(|stream| shared.streams.is_over(stream));
            publication.check_progress(shared, &self.spec, tcp);
            publication.count(shared, &self.spec);
            if is_over && publication.is_started && !publication.client.is_closing() {
                self.end_publication(shared);
            }
        }
        self.go_on(shared);
    }

    /// Ends the connection if it was to end, and has said what it had to.
    pub(super) fn check_end(&mut self, shared: &mut Shared) {
        let Phase::Up(publication) = &mut self.phase else { return };
        publication.client.pass_on();
        if let Some(end) = publication.client.ended(shared.cx.now) {
            self.over(shared, end);
        }
    }

    /// The present connection, or the attempt to make one, is over.
    fn over(&mut self, shared: &mut Shared, end: End) {
        let end = match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Up(mut publication) => {
                publication.count(shared, &self.spec);
                let client = &mut publication.client;
                shared.streams.remove_reader(&shared.cx, &mut client.out);
                let end = client.first_reason(end);
                shared.leaving.push(publication.client.out);
                end
            }
            Phase::Connecting(peer, _) => {
                shared.leaving.push(Outbound::new(peer, None));
                end
            }
            _ => end,
        };
        let stream = self.stream.take();
        match end {
            End::Failed(reason) if !self.is_leaving() => self.failed(shared, stream, &reason),
            _ => self.backoff = Backoff::default(),
        }
        if self.is_leaving() {
            self.begin(shared);
        }
    }

    fn failed(&mut self, shared: &mut Shared, stream: Option<StreamId>, reason: &str) {
        if stream.is_none_or(|stream| shared.streams.is_over(stream)) {
            return;
        }
        let lasted = shared.cx.now.since(self.began);
        let random = shared.cx.random();
        let Some(wait) = self.backoff.after(&mut self.redirect, lasted, random) else {
            return tracing::debug!("{self}: {reason}");
        };
        self.phase = Phase::Paused(shared.cx.now + wait);
        self.spec.stats.line.failed();
        let (channel, name) = (self.spec.channel.to_string(), self.spec.name.to_string());
        let reason = self.spec.url.about(reason);
        shared.cx.report_node(NodeEvent::OutputFailed { channel, name, reason, retry_in: wait });
    }
}
