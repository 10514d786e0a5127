//! Core of a shard: takes what its driver and other threads bring, lets the peer that it concerns
//! handle it, and passes on what that means for others.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::ops::Bound;
use std::sync::Arc;

use super::admission::Admitted;
use super::batch::ReaderGroup;
use super::channel::ChannelInputs;
use super::connection::{Connection, broken};
use super::context::Context;
use super::io::{Action, Closed, Core, Io, PeerId};
use super::keys::Keys;
use super::output::Output;
use super::peers::{Peer, Peers, client_of};
use super::pull::Pull;
use super::query::Query;
use super::shared::Shared;
use super::spec::{ShardParts, ShardSettings, ShardSpec};
use super::streams::{RecordSubscription, Streams, Subscription};
use crate::command::ShardCommand;
use crate::media::{Micros, Stamp, caught};
use crate::ring::Receiver;
use crate::tls::Acceptor;

/// Bytes of an encrypted read that are opened at once.
pub(super) const PLAIN_BYTES: usize = 128 << 10;

/// How often deadlines are looked at that are near.
pub(super) const LOOK_EVERY: Micros = Micros::from_millis(150);

/// How much sooner than that they are looked at when the shard is awake anyway, as it is for each
/// message of a stream: a wake-up costs several times as much as a look.
pub(super) const LOOK_EARLY: Micros = Micros::from_millis(50);

/// How often connections are looked at that have no deadline near.
const LOOK_EVERY_QUIET: Micros = Micros::from_secs(1);

/// A shard that looks so much too late was not run. It hears its peers before it judges them.
const OVERSLEPT_MIN: Micros = Micros::from_secs(2);

/// How long a stopping shard waits for its peers to take what it still has for them.
const STOP_LIMIT: Micros = Micros::from_millis(1_800);

/// A shard without sockets: see [`Core`].
pub struct ShardCore {
    pub(super) shared: Shared,
    pub(super) peers: Peers,
    pub(super) outputs: BTreeMap<usize, Output>,
    pub(super) pulls: BTreeMap<usize, Pull>,
    pub(super) channels: ChannelInputs,
    pub(super) queries: VecDeque<Query>,
    pub(super) group: ReaderGroup,
    commands: Receiver<ShardCommand>,
    settings: Receiver<ShardSettings>,
    acceptor: Option<Acceptor>,
    /// Where encrypted bytes are opened; one buffer serves all, because each is digested at once.
    pub(super) plain: Box<[u8]>,
    pub(super) next_look: Micros,
    /// When the shard ends at the latest, once the node stops.
    pub(super) stopping: Option<Micros>,
    /// At which point of injection from now on it panics.
    #[cfg(test)]
    pub(super) fails_in: Option<u32>,
}

impl ShardCore {
    /// A shard without peers, which begins at `now`.
    #[must_use]
    pub fn new(parts: ShardParts, now: Micros) -> Self {
        let decoders =
            parts.subscriptions.into_iter().map(|(name, ring)| (name, Subscription::Decoder(ring)));
        let recordings = parts.records.into_iter().map(|feed| {
            (Arc::clone(&feed.stream), Subscription::Recording(RecordSubscription::new(feed)))
        });
        let subscriptions = decoders.chain(recordings).collect();
        let keys = Keys::new(parts.spec.keys.cache);
        let cx = Context {
            now,
            stamp: Stamp::NONE,
            spec: Arc::new(parts.spec),
            stats: parts.stats,
            limits: parts.limits,
            packets: parts.packets,
            trust: parts.trust,
            reports: parts.reports,
            actions: VecDeque::new(),
            ready: VecDeque::new(),
            notices: VecDeque::new(),
            seed: parts.seed,
        };
        let mut core = Self {
            shared: Shared {
                cx,
                streams: Streams::new(parts.mesh, parts.pulled, subscriptions),
                keys,
                waiting_players: Vec::new(),
                waiting_publishers: Vec::new(),
                leaving: Vec::new(),
            },
            peers: Peers::default(),
            outputs: BTreeMap::new(),
            group: ReaderGroup::default(),
            pulls: BTreeMap::new(),
            channels: ChannelInputs::default(),
            queries: VecDeque::new(),
            commands: parts.commands,
            settings: parts.settings,
            acceptor: parts.acceptor,
            plain: vec![0; PLAIN_BYTES].into_boxed_slice(),
            next_look: now,
            stopping: None,
            #[cfg(test)]
            fails_in: None,
        };
        core.channels.begin(&mut core.shared, parts.feeds);
        for spec in parts.outputs {
            core.outputs.insert(spec.id, Output::new(spec));
        }
        for spec in parts.pulls {
            core.pulls.insert(spec.id, Pull::new(spec));
        }
        core.handle_notices();
        core
    }

    /// Lets a connection handle something. A panic ends this connection alone. `None` if it is
    /// gone.
    pub(super) fn with<R>(
        &mut self,
        id: PeerId,
        handle: impl FnOnce(&mut Connection, &mut Shared) -> R,
    ) -> Option<R> {
        let mut connection = self.peers.take(id)?;
        let shared = &mut self.shared;
        let handled = caught(|| {
            let result = handle(&mut connection, shared);
            connection.go_on(shared);
            result
        });
        match handled {
            Ok(result) => {
                self.put_back(id, connection);
                Some(result)
            }
            Err(text) => {
                self.end_after_panic(connection, &text);
                None
            }
        }
    }

    fn put_back(&mut self, id: PeerId, mut connection: Box<Connection>) {
        connection.pass_on();
        if connection.has_to_send() && !connection.out.is_queued {
            connection.out.is_queued = true;
            self.shared.cx.ready.push_back(id);
        }
        let pause = if connection.is_restless() { LOOK_EVERY } else { LOOK_EVERY_QUIET };
        let due = self.shared.cx.now + pause;
        self.peers.put(id, connection, due);
    }

    /// Ends a connection for this reason, or for the one that came first.
    pub(super) fn end_connection(&mut self, mut connection: Box<Connection>, reason: &str) {
        let shared = &mut self.shared;
        if let Err(text) = caught(|| connection.end(shared, reason)) {
            return self.end_after_panic(connection, &text);
        }
        self.peers.set_closing(connection.out.id);
        self.shared.leaving.push(connection.out);
    }

    pub(super) fn end_after_panic(&mut self, mut connection: Box<Connection>, text: &str) {
        let id = connection.out.id;
        self.shared.cx.stats.error_panic();
        tracing::error!("connection {id} failed, and only that one: {text}");
        let shared = &mut self.shared;
        if caught(|| connection.end(shared, "internal error")).is_err() {
            // Its state is such that not even this can be done; what it began ends all the same.
            connection.end_stages(shared, "internal error");
        }
        self.shared.streams.forget_reader(id);
        self.peers.set_closing(id);
        self.shared.leaving.push(connection.out);
    }

    /// Takes the bytes of a connection; `None` is the peer's end.
    fn connection_received(&mut self, id: PeerId, bytes: &[u8]) {
        let mut plain = std::mem::take(&mut self.plain);
        let heard = self.with(id, |connection, shared| match &connection.out.link {
            None => connection.received(shared, bytes),
            Some(_) => received_sealed(connection, shared, bytes, &mut plain),
        });
        self.plain = plain;
        if let Some(Err(reason)) = heard
            && let Some(connection) = self.peers.take(id)
        {
            self.end_connection(connection, &reason);
        }
    }

    fn is_look_due(&self, now: Micros) -> bool {
        now + LOOK_EARLY >= self.next_look
    }

    /// Looks at the deadlines of everything.
    fn look(&mut self, io: &mut dyn Io) {
        self.take_settings();
        let now = self.shared.cx.now;
        let mut place = 0;
        while let Some(id) = self.peers.next_due(&mut place, now, LOOK_EVERY_QUIET) {
            self.with(id, |connection, shared| connection.tick(shared, io));
        }
        self.each_output(|output, shared| output.tick(shared, &mut *io));
        self.each_pull(|pull, shared| pull.tick(shared, &mut *io));
        #[cfg(test)]
        self.fault_point();
        self.want_pulled();
        self.want_transcoded();
        self.look_at_twins();
        self.count_blocked();
        let Self { shared, outputs, .. } = self;
        let Shared { cx, streams, keys, .. } = shared;
        streams.tend(cx);
        streams.let_go_unused(now, |name| outputs.values().any(|output| output.wants(name)));
        streams.end_past_grace(cx);
        streams.resync();
        streams.count(cx, self.peers.connections());
        if keys.take_recheck_due() {
            self.key_changed(None);
        }
    }

    fn each_output(&mut self, mut act: impl FnMut(&mut Output, &mut Shared)) {
        let mut last = None;
        while let Some(number) = next_key(&self.outputs, last) {
            last = Some(number);
            self.with_output(number, &mut act);
        }
    }

    fn each_pull(&mut self, mut act: impl FnMut(&mut Pull, &mut Shared)) {
        let mut last = None;
        while let Some(number) = next_key(&self.pulls, last) {
            last = Some(number);
            self.with_pull(number, &mut act);
        }
    }

    fn take_settings(&mut self) {
        let mut newest = None;
        while let Some(settings) = self.settings.pop() {
            newest = Some(settings);
        }
        let Some(ShardSettings { spec, trust }) = newest else { return };
        self.shared.keys.cache.set_spec(spec.keys.cache);
        let cx = &mut self.shared.cx;
        cx.trust = trust;
        let ShardSpec { number, node, publish, .. } = *cx.spec;
        let origin = Arc::clone(&cx.spec.origin);
        cx.spec = Arc::new(ShardSpec { number, node, publish, origin, ..spec });
    }
}

/// The first key after `last`: what is in the map may come and go between two calls.
fn next_key<T>(map: &BTreeMap<usize, T>, last: Option<usize>) -> Option<usize> {
    let after = last.map_or(Bound::Unbounded, Bound::Excluded);
    map.range((after, Bound::Unbounded)).next().map(|(key, _)| *key)
}

/// Opens what a peer that speaks TLS has sent.
fn received_sealed(
    connection: &mut Connection,
    shared: &mut Shared,
    bytes: &[u8],
    plain: &mut [u8],
) -> Result<(), String> {
    // A proxy speaks before TLS begins.
    let Some(sealed) = connection.after_proxy_header(shared, bytes)? else { return Ok(()) };
    let mut sealed = &*sealed;
    loop {
        let Some(link) = &mut connection.out.link else { return Ok(()) };
        match link.open(&mut sealed, plain) {
            Ok(0) if link.peer_closed() => return Err("the peer closed".to_owned()),
            Ok(0) => return Ok(()),
            Ok(count) => connection.received(shared, &plain[..count])?,
            Err(failure) => {
                shared.cx.stats.error_protocol();
                return Err(failure.to_string());
            }
        }
    }
}

impl Core for ShardCore {
    fn at(&mut self, stamp: Stamp) {
        self.shared.cx.stamp = stamp;
    }

    fn accepted(&mut self, now: Micros, from: SocketAddr, secure: bool) -> Option<PeerId> {
        self.shared.cx.now = now;
        if self.stopping.is_some() {
            return None;
        }
        // A socket on `::` gives IPv4 peers as `::ffff:192.0.2.1`.
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let admitted = match Admitted::new(&self.shared.cx, from.ip()) {
            Ok(admitted) => admitted,
            Err(limit) => {
                self.shared.cx.stats.connection_refused(limit);
                return None;
            }
        };
        let link = match self.acceptor.as_ref().filter(|_| secure).map(Acceptor::link) {
            None => None,
            Some(Ok(link)) => Some(Box::new(link)),
            Some(Err(failure)) => {
                tracing::error!("a connection cannot be secured: {failure}");
                return None;
            }
        };
        self.shared.cx.stats.connection_accepted();
        let shared = &mut self.shared;
        Some(self.peers.insert_with(now + LOOK_EVERY_QUIET, |id| {
            Peer::Connection(Box::new(Connection::new(shared, id, link, (from, admitted))))
        }))
    }

    fn connected(&mut self, now: Micros, peer: PeerId) {
        self.shared.cx.now = now;
        match self.peers.table.get(peer) {
            Some(Peer::Output(number)) => {
                self.with_output(*number, Output::connected);
            }
            Some(Peer::Pull(number)) => {
                self.with_pull(*number, Pull::connected);
            }
            _ => {}
        }
        // A TLS client speaks first.
        self.shared.cx.ready.push_back(peer);
        self.handle_notices();
    }

    fn received(&mut self, now: Micros, peer: PeerId, bytes: &[u8]) {
        self.shared.cx.now = now;
        match self.peers.table.get(peer) {
            Some(Peer::Connection(_)) => self.connection_received(peer, bytes),
            Some(Peer::Output(_) | Peer::Pull(_)) => self.client_received(peer, bytes),
            _ => {}
        }
        self.handle_notices();
    }

    fn writable(&mut self, now: Micros, peer: PeerId) {
        self.shared.cx.now = now;
        let Self { shared, peers, outputs, pulls, .. } = self;
        let out = match peers.table.get_mut(peer) {
            Some(Peer::Connection(connection)) => &mut connection.out,
            other => match client_of(other.as_deref(), outputs, pulls) {
                Some(client) => &mut client.out,
                None => return,
            },
        };
        if out.is_blocked() {
            out.unblock();
            out.step_out(&mut peers.send_states[peer.index()]);
            if !std::mem::replace(&mut out.is_queued, true) {
                shared.cx.ready.push_back(peer);
            }
        }
    }

    fn closed(&mut self, now: Micros, peer: PeerId, why: Closed) {
        self.shared.cx.now = now;
        if let Some(connection) = self.peers.take(peer) {
            let reason = match why {
                Closed::End => "the peer closed".to_owned(),
                Closed::Error(error) => broken(&self.shared.cx, &error),
            };
            self.end_connection(connection, &reason);
        } else {
            self.client_lost(peer, why);
        }
        self.handle_notices();
    }

    fn panicked(&mut self, now: Micros, peer: PeerId, text: &str) {
        self.shared.cx.now = now;
        if self.plain.is_empty() {
            // It was lost with the call: what others have sent could not be opened any more.
            self.plain = vec![0; PLAIN_BYTES].into_boxed_slice();
        }
        match self.peers.take(peer) {
            Some(connection) => self.end_after_panic(connection, text),
            None => self.client_failed(peer, "internal error".to_owned()),
        }
        self.handle_notices();
    }

    fn rebuild(&mut self, now: Micros) {
        self.begin_anew(now);
    }

    fn has_mail(&self) -> bool {
        !self.commands.is_empty()
            || self.shared.streams.mesh.has_mail()
            || self.channels.have_mail()
    }

    fn read_rings(&mut self, now: Micros) {
        self.shared.cx.now = now;
        #[cfg(test)]
        self.fault_point();
        self.channels.drain(&mut self.shared);
        self.handle_notices();
        self.read_mesh();
        while let Some(command) = self.commands.pop() {
            self.obey(command);
            #[cfg(test)]
            self.fault_point();
            self.handle_notices();
        }
    }

    fn tick(&mut self, now: Micros, io: &mut dyn Io) {
        self.shared.cx.now = now;
        self.shared.streams.release_held(now);
        #[cfg(test)]
        self.fault_point();
        self.step_query();
        if self.is_look_due(now) {
            let late = now.since(self.next_look);
            self.next_look = now + LOOK_EVERY;
            if late < OVERSLEPT_MIN {
                self.look(io);
            }
        }
        self.handle_notices();
    }

    fn next_tick(&self) -> Micros {
        if !self.queries.is_empty() {
            return Micros(0);
        }
        let held = self.shared.streams.held_until();
        held.map_or(self.next_look, |held| held.min(self.next_look))
    }

    fn is_tick_due(&self, now: Micros) -> bool {
        now >= self.next_tick() || self.is_look_due(now)
    }

    fn transmit(&mut self, now: Micros, io: &mut impl Io, budget: usize) -> bool {
        self.shared.cx.now = now;
        self.send(io, budget)
    }

    fn next_action(&mut self) -> Option<Action> {
        self.shared.cx.actions.pop_front()
    }

    fn stop(&mut self, now: Micros) {
        self.shared.cx.now = now;
        self.stopping = Some(now + STOP_LIMIT);
        self.channels.finish(&mut self.shared);
        self.each_output(Output::end_with_node);
        self.each_pull(Pull::stop);
        for id in self.peers.table.keys() {
            self.with(id, Connection::stop);
        }
        self.handle_notices();
    }

    fn is_finished(&self, now: Micros) -> bool {
        let is_done =
            self.peers.table.len() == 0 && self.outputs.is_empty() && self.pulls.is_empty();
        self.stopping.is_some_and(|deadline| is_done || now >= deadline)
    }
}
