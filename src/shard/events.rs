//! Notices of a shard's parts, messages of other shards, and commands and queries of control, as
//! the core handles them.

use std::sync::Arc;

use super::connection::Connection;
use super::core::ShardCore;
use super::notice::Notice;
use super::output::Output;
use super::peers::Peer;
use super::pull::Pull;
use super::query::Query;
use super::stream_id::StreamId;
use super::streams::{MeshMessage, RecordSubscription, Source, Stream, Subscription};
use crate::command::{CLIENTS_MAX, STREAMS_MAX, Scope, ShardCommand, ShardReport, StreamPart};
use crate::keys::{Decision, KeyHash};
use crate::rtmp::{Hops, PublishRefusal};

/// Connections that a query looks at before the data plane has its turn.
const QUERY_STEP: usize = 64;

impl ShardCore {
    /// Handles notices until there are none.
    pub(super) fn handle_notices(&mut self) {
        while let Some(notice) = self.shared.cx.notices.pop_front() {
            #[cfg(test)]
            self.fault_point();
            match notice {
                Notice::Available(name) => self.on_available(&name),
                Notice::Ended(stream) => self.on_ended(stream),
                Notice::Rerouted(stream) => self.on_rerouted(stream),
                Notice::SourceLeft(name, was) => {
                    let now = self.shared.cx.now;
                    let pulls = self.pulls.values_mut().filter(|pull| *pull.stream() == *name);
                    pulls.for_each(|pull| pull.stream_left(&was, now));
                }
                Notice::Wanted(name, goes_to) => self.want(&name, &goes_to),
                Notice::NameWanted { name, takes } => self.on_name_wanted(&name, takes),
                Notice::Name(name, is_free) => {
                    for id in self.shared.waiting_publishers.clone() {
                        self.with(id, |connection, shared| {
                            if connection.waits_for_name(&name) {
                                connection.on_name(shared, is_free);
                            }
                        });
                    }
                }
                Notice::EndPull(number) => {
                    self.with_pull(number, Pull::make_way);
                }
                Notice::EndPublisher(id, refusal, text) => {
                    self.with(id, |it, shared| it.end_publisher(shared, refusal, text));
                }
            }
        }
    }

    /// A stream of this name can be read.
    fn on_available(&mut self, name: &str) {
        for id in self.shared.waiting_players.clone() {
            self.with(id, |connection, shared| {
                if connection.awaits_stream(name) {
                    connection.on_available(shared);
                }
            });
        }
        let wanting = self.outputs.iter().filter(|(_, output)| output.wants(name));
        for number in wanting.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.with_output(number, Output::go_on);
        }
    }

    /// A stream is over: its readers are told.
    fn on_ended(&mut self, stream: StreamId) {
        let readers = self.shared.streams.get(stream).map(|stream| stream.readers.clone());
        for id in readers.unwrap_or_default() {
            if let Some(Peer::Output(number)) = self.peers.table.get(id) {
                self.with_output(*number, Output::on_stream_ended);
            } else {
                self.with(id, |it, shared| it.end_for(shared, "the stream ended"));
            }
        }
    }

    /// A stream comes another way than relays were told: they are left, and come back.
    fn on_rerouted(&mut self, stream: StreamId) {
        for number in self.outputs.keys().copied().collect::<Vec<_>>() {
            self.with_output(number, |output, shared| output.on_rerouted(shared, stream));
        }
        let relays = self.shared.streams.get(stream).map(|stream| stream.relays.clone());
        for id in relays.unwrap_or_default() {
            self.with(id, Connection::on_rerouted);
        }
    }

    /// Somebody reads this stream or waits for it, or would relay it to `goes_to`: tells the pull
    /// that can bring it, or that of what it is made of.
    pub(super) fn want(&mut self, name: &Arc<str>, goes_to: &Hops) {
        let now = self.shared.cx.now;
        let transcoded = Arc::clone(&self.shared.streams.transcoded);
        let of = transcoded.iter().find(|of| of.streams.contains(name));
        let name = of.map_or(name, |of| {
            of.demand.note(now);
            &of.source
        });
        match self.shared.streams.pulled_at(name) {
            Some(shard) if shard != self.shared.cx.spec.number => {
                let want = MeshMessage::Want(Arc::clone(name), goes_to.clone());
                self.shared.streams.mesh.send(shard, want);
            }
            _ => self.want_here(name, goes_to),
        }
    }

    /// The same of a pull that this shard has. What another shard wants goes no further: it may
    /// not know yet where the pull is now, and says so again.
    fn want_here(&mut self, name: &str, goes_to: &Hops) {
        let pulls = self.pulls.iter().filter(|(_, pull)| *pull.stream() == *name);
        for number in pulls.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.with_pull(number, |pull, shared| pull.want(shared, goes_to));
        }
    }

    /// Tells pulls who wants their streams.
    pub(super) fn want_pulled(&mut self) {
        let pulled = Arc::clone(&self.shared.streams.pulled);
        for name in pulled.iter().map(|pulled| &pulled.name) {
            let stream = self.shared.streams.named(name);
            let relays = stream.map(|stream| stream.relays.clone()).unwrap_or_default();
            if stream.is_some_and(|stream| !stream.readers.is_empty()) {
                self.want(name, &Hops::default());
            }
            for id in relays.into_iter().chain(self.shared.waiting_players.clone()) {
                self.with(id, |connection, shared| {
                    if connection.wanted_stream(shared).as_ref() == Some(name) {
                        connection.want(shared, name);
                    }
                });
            }
        }
    }

    /// A connection has a good key for a name that is in use.
    fn on_name_wanted(&mut self, name: &Arc<str>, takes: bool) {
        let is_fed_here = self.shared.streams.named(name).is_some_and(Stream::is_fed_here);
        if is_fed_here {
            if !self.make_way(name, takes) {
                self.shared.cx.notify(Notice::Name(Arc::clone(name), false));
            }
        } else if !self.shared.streams.ask_owner_to_make_way(name, takes) {
            self.shared.cx.notify(Notice::Name(Arc::clone(name), true));
        }
    }

    /// Ends the source of `name` if it is a publisher that is silent, or if whoever comes `takes`
    /// its name; false if it stays. A pull always makes way.
    fn make_way(&mut self, name: &str, takes: bool) -> bool {
        match self.shared.streams.named(name).map(|stream| stream.source.clone()) {
            Some(Source::Publisher(id)) => {
                let made = self.with(id, |connection, shared| {
                    let goes = takes || connection.is_silent(shared.cx.now);
                    if goes {
                        let text = "somebody else publishes under this name now";
                        connection.end_publisher(shared, PublishRefusal::BadName, text);
                    }
                    goes
                });
                made == Some(true)
            }
            Some(Source::Pull(number)) => self.with_pull(number, Pull::make_way) == Some(true),
            _ => false,
        }
    }

    /// Takes what other shards have said.
    pub(super) fn read_mesh(&mut self) {
        while let Some((from, message)) = self.shared.streams.mesh.receive() {
            self.on_mesh(from, message);
            #[cfg(test)]
            self.fault_point();
            self.handle_notices();
        }
    }

    fn on_mesh(&mut self, from: usize, message: MeshMessage) {
        let cx = &mut self.shared.cx;
        let streams = &mut self.shared.streams;
        match message {
            MeshMessage::Up(stream) => streams.up_elsewhere(cx, from, stream),
            MeshMessage::Left(name, newest, was) => {
                streams.left_elsewhere(cx, &name, from, (newest, was));
            }
            MeshMessage::Goodbye(name) => streams.goodbye_elsewhere(&name, from),
            MeshMessage::Down(name) => streams.down_elsewhere(cx, &name, from),
            MeshMessage::Subscribe(name, have, number) => {
                streams.subscribe(cx, &name, from, (have, number));
            }
            MeshMessage::Unsubscribe(name) => streams.unsubscribe(&name, from),
            MeshMessage::MakeWay(name, takes) => {
                let is_fed = streams.named(&name).is_some_and(Stream::is_fed_here);
                // If it makes way, all shards hear that its publisher has left.
                if !is_fed || !self.make_way(&name, takes) {
                    self.shared.streams.answer_make_way(&name, from);
                }
            }
            MeshMessage::Stays(name) => cx.notify(Notice::Name(name, false)),
            MeshMessage::Want(name, goes_to) => self.want_here(&name, &goes_to),
            MeshMessage::KeyWanted(name) => {
                if let Some(id) = streams.local(&name) {
                    streams.want_key_at(cx.now, id);
                }
            }
            MeshMessage::Message(name, message, at, number) => {
                if let Some(id) = streams.takes(&name, (from, number))
                    && streams.mesh.is_heard_by(from)
                {
                    streams.publish(cx, id, message, at);
                }
            }
            MeshMessage::Resync { owned, read, rebuilds, heard } => {
                streams.on_resync(cx, from, (owned, &read), (rebuilds, heard));
            }
        }
    }

    /// Does what control wants.
    pub(super) fn obey(&mut self, command: ShardCommand) {
        match command {
            ShardCommand::KeyAnswer { hash, decision } => self.on_key_answer(hash, &decision),
            ShardCommand::KeyChanged { hash } => self.key_changed(hash.as_ref()),
            ShardCommand::KeyVerdict { hash, decision } => self.on_key_verdict(&hash, &decision),
            ShardCommand::HookAnswer { ticket, refusal } => {
                let id = super::io::PeerId::from_raw(ticket.connection);
                self.with(id, |it, shared| it.on_hook(shared, ticket.question, &refusal));
            }
            ShardCommand::Snapshot { ticket, snapshot } => {
                let id = super::io::PeerId::from_raw(ticket.connection);
                self.with(id, |it, shared| it.on_snapshot(shared, ticket.question, snapshot));
            }
            ShardCommand::Channel(feed) => self.channels.add(&mut self.shared, *feed),
            ShardCommand::AddPull(spec) => {
                let number = spec.id;
                self.pulls.insert(number, Pull::new(*spec));
            }
            ShardCommand::SwitchPull { pull, on } => {
                self.with_pull(pull, |pull, shared| pull.switch(shared, on));
            }
            ShardCommand::RemovePull { pull } => {
                self.with_pull(pull, Pull::stop);
            }
            ShardCommand::Pulled(streams) => self.shared.streams.pulled = streams,
            ShardCommand::Transcoded(streams) => self.shared.streams.transcoded = streams,
            ShardCommand::PullResolved { pull: number, address } => {
                let address = self.with_pull(number, |pull, shared| pull.resolved(shared, address));
                if let Some(address) = address.flatten() {
                    let id = self.connect(Peer::Pull(number), address);
                    self.with_pull(number, |pull, _| pull.connecting(id));
                }
            }
            ShardCommand::Resolved { output: number, address } => {
                let address = self.with_output(number, |it, shared| it.resolved(shared, address));
                if let Some(address) = address.flatten() {
                    let id = self.connect(Peer::Output(number), address);
                    self.with_output(number, |output, _| output.connecting(id));
                }
            }
            ShardCommand::Query(order) => {
                let query = Query::new(order, self.peers.table.keys());
                self.queries.push_back(query);
            }
            ShardCommand::Subscription(name, ring) => {
                self.subscribe(name, Subscription::Decoder(ring));
            }
            ShardCommand::Record(feed) => {
                let name = Arc::clone(&feed.stream);
                self.subscribe(name, Subscription::Recording(RecordSubscription::new(feed)));
            }
            ShardCommand::AddOutput(spec) => {
                let number = spec.id;
                self.outputs.insert(number, Output::new(*spec));
                self.with_output(number, Output::go_on);
            }
            ShardCommand::DelayOutput { output, change } => {
                self.with_output(output, |output, shared| output.change_delay(shared, change));
            }
            ShardCommand::SwitchOutput { output, on } => {
                self.with_output(output, |output, shared| output.switch(shared, on));
            }
            ShardCommand::RemoveOutput { output } => {
                self.with_output(output, Output::end);
            }
        }
    }

    fn subscribe(&mut self, name: Arc<str>, subscription: Subscription) {
        self.shared.streams.add_subscription(&mut self.shared.cx, name, subscription);
    }

    /// Control's answer about a key: for all who wait for it, and for those who come soon.
    fn on_key_answer(&mut self, hash: KeyHash, decision: &Decision) {
        for id in self.shared.keys.answered(&self.shared.cx, hash, decision) {
            self.with(id, |connection, shared| connection.on_decision(shared, &hash, decision));
        }
    }

    /// A key has changed, or any may have (`None`): whoever publishes with it is asked about.
    pub(super) fn key_changed(&mut self, hash: Option<&KeyHash>) {
        let keys = self.peers.table.iter().filter_map(|(_, peer)| match peer {
            Peer::Connection(connection) => connection.key(),
            _ => None,
        });
        let mut live: Vec<_> = keys.collect();
        live.sort_unstable_by_key(|key| *key.as_bytes());
        live.dedup();
        self.shared.keys.changed(&mut self.shared.cx, hash, live);
    }

    /// What the store says about a key that somebody may publish with.
    fn on_key_verdict(&mut self, hash: &KeyHash, decision: &Decision) {
        self.shared.keys.on_verdict(hash, decision);
        let holders = self.peers.table.iter().filter_map(|(id, peer)| match peer {
            Peer::Connection(connection) if connection.key() == Some(*hash) => Some(id),
            _ => None,
        });
        for id in holders.collect::<Vec<_>>() {
            self.with(id, |connection, shared| connection.on_verdict(shared, decision));
        }
    }

    /// Goes on with the oldest query.
    pub(super) fn step_query(&mut self) {
        let Some(mut query) = self.queries.pop_front() else { return };
        if query.step_recent(&self.shared.streams) {
            return self.queries.push_front(query);
        }
        for _ in 0..QUERY_STEP {
            let Some(id) = query.peers.pop() else { break };
            self.with(id, |connection, shared| match &query.scope {
                Scope::Streams => query.publishers.extend(connection.publishes(shared)),
                Scope::Clients(stream) if query.answer.clients.len() < CLIENTS_MAX => {
                    let view = connection.view(shared);
                    if stream.as_ref().is_none_or(|stream| **stream == view.stream) {
                        query.answer.clients.push(view);
                    }
                }
                Scope::Clients(_) | Scope::Recent { .. } => {}
                Scope::Kick { client, actor } => {
                    if connection.id() == *client {
                        connection.kick(shared, actor);
                        query.answer.kicked += 1;
                    }
                }
                Scope::KickPublisher { stream, actor } => {
                    if connection.publishes_as(shared, stream) {
                        connection.kick(shared, actor);
                        query.answer.kicked += 1;
                    }
                }
            });
        }
        if query.peers.is_empty() {
            return self.answer_query(query);
        }
        self.queries.push_front(query);
    }

    fn answer_query(&mut self, mut query: Query) {
        match &query.scope {
            Scope::Streams => {
                for id in self.shared.streams.ids().into_iter().take(STREAMS_MAX) {
                    let Some(stream) = self.shared.streams.get(id) else { continue };
                    let publisher = query.publishers.remove(&stream.name);
                    query.answer.streams.push(StreamPart { publisher, ..stream.part() });
                }
            }
            Scope::KickPublisher { stream, actor } => {
                let pulls = self.pulls.iter().filter(|(_, pull)| *pull.stream() == **stream);
                for number in pulls.map(|(number, _)| *number).collect::<Vec<_>>() {
                    let kicked = self.with_pull(number, |pull, shared| pull.kick(shared, actor));
                    query.answer.kicked += usize::from(kicked == Some(true));
                }
            }
            Scope::Clients(_) | Scope::Kick { .. } | Scope::Recent { .. } => {}
        }
        self.shared.cx.report(ShardReport::Answer(Box::new(query.answer)));
    }
}
