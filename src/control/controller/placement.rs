//! Placement by the controller: commands go to the shard that has what they are about, and what a
//! busy shard has too much of is moved to another.

use super::Controller;
use crate::command::{Answer, Ask, ShardCommand};
use crate::control::placement::Item;
use crate::control::pulls::Pulls;
use crate::control::recordings::Recordings;
use crate::event::{NodeEvent, Operated};
use crate::media::Micros;
use crate::stats::{PlacedItems, ShardLoad};

/// Time between the end of an output or a pull on one shard and its begin on another: goodbyes are
/// said meanwhile, and a destination does not find its key in use.
const MOVE_GAP: Micros = Micros::from_secs(1);

impl Controller {
    /// Does what somebody wants of outputs, pushes, pulls and recordings.
    pub(super) fn obey(&mut self, ask: Ask) -> Answer {
        if Pulls::answers(&ask) {
            return self.ask_pulls(ask);
        }
        let (answer, command) = match Recordings::answers(&ask) {
            true => self.ask_recordings(ask),
            false => match self.outputs.ask(ask, &self.registry) {
                Some(done) => done,
                None => {
                    let text = "this node does not know how".to_owned();
                    (Answer::Unavailable(text), None)
                }
            },
        };
        if let Some(command) = command {
            self.tell_owner(command);
        }
        answer
    }

    /// Tells the shard that has what the command is about, or is to have it.
    pub(super) fn tell_owner(&mut self, command: ShardCommand) {
        let shard = self.placement.route(&command);
        self.tell(shard, command);
    }

    /// Tells all shards what is pulled, and where.
    fn tell_pulled(&mut self) {
        for shard in 0..self.shards.len() {
            self.tell(shard, ShardCommand::Pulled(self.placement.pulled()));
        }
    }

    fn ask_pulls(&mut self, ask: Ask) -> Answer {
        let (answer, command) = self.pulls.ask(ask, &self.registry);
        if let Some(command) = command {
            let shard = self.placement.route(&command);
            // First who may have to ask for it.
            self.tell_pulled();
            self.tell(shard, command);
        }
        answer
    }

    fn ask_recordings(&mut self, ask: Ask) -> (Answer, Option<ShardCommand>) {
        let ended = match &ask {
            Ask::RemoveRecording { name } | Ask::StopRecording { name } => Some(name.clone()),
            _ => None,
        };
        let (answer, command) = self.recordings.ask(ask, &self.registry);
        if let (Some(name), Answer::Done) = (ended, &answer) {
            self.placement.remove_recording(&name);
        }
        (answer, command)
    }

    /// Several times a second: measures the shards, shows what each has, and moves something away
    /// from one that has too much to do.
    pub(super) fn balance_shards(&mut self) {
        let now = self.clock.now();
        if let Some((item, due)) = self.moving.take() {
            match now >= due {
                true => self.finish_move(&item),
                false => self.moving = Some((item, due)),
            }
        }
        let worked = self.registry.shards.iter().map(|shard| shard.activity().worked()).collect();
        if !self.balance.look(worked, now) {
            return;
        }
        let items = self.placement.items().into_iter();
        let busy = self.balance.busy().iter().copied();
        let load = |(items, busy): (PlacedItems, f64)| ShardLoad { busy, items };
        self.registry.placement.set(items.zip(busy).map(load).collect());
        if let Some((from, to)) = self.balance.due(now).filter(|_| self.moving.is_none()) {
            self.begin_move(from, to, now);
        }
    }

    /// Ends something on one shard that is to begin on another a moment later.
    fn begin_move(&mut self, from: usize, to: usize, now: Micros) {
        let (outputs, pulls) = (&self.outputs, &self.pulls);
        let is_on = |item: &Item| match item {
            Item::Output(id) => outputs.is_on(*id),
            Item::Pull(id) => pulls.is_on(*id),
            Item::Channel(_) | Item::Recording(_) => false,
        };
        let Some(item) = self.placement.movable(from, now, is_on) else { return };
        let command = match item {
            Item::Output(output) => ShardCommand::RemoveOutput { output },
            Item::Pull(pull) => ShardCommand::RemovePull { pull },
            Item::Channel(_) | Item::Recording(_) => return,
        };
        self.tell(from, command);
        let busy = [from, to].map(|shard| self.balance.busy()[shard] * 100.0);
        self.placement.relocate(&item, to, now);
        self.balance.moved(now);
        self.tell_move(&item, &format!(
            "from shard {from}, which is {:.0} % busy, to shard {to}, which is {:.0} % busy: it \
             connects anew",
            busy[0], busy[1],
        ));
        self.moving = Some((item, now + MOVE_GAP));
    }

    /// Begins on its new shard what is still wanted.
    fn finish_move(&mut self, item: &Item) {
        match item {
            Item::Output(id) => {
                if let Some((spec, entry)) = self.outputs.again(*id) {
                    self.registry.put_output(&entry);
                    self.tell_owner(ShardCommand::AddOutput(Box::new(spec)));
                }
            }
            Item::Pull(id) => {
                if let Some((spec, entry)) = self.pulls.again(*id) {
                    self.registry.put_pull(&entry);
                    self.tell_pulled();
                    self.tell_owner(ShardCommand::AddPull(Box::new(spec)));
                }
            }
            Item::Channel(_) | Item::Recording(_) => {}
        }
    }

    fn tell_move(&mut self, item: &Item, way: &str) {
        let moved = match item {
            Item::Output(id) => {
                self.registry.placement.output_moved();
                let (channel, output) = self.outputs.name(*id);
                let text = match &channel {
                    Some(channel) => format!("output {output} of channel {channel} moves {way}"),
                    None => format!("push {output} moves {way}"),
                };
                let (name, output) = ("output_moved", Some(output));
                Operated { name, text, channel, output, ..Operated::default() }
            }
            Item::Pull(id) => {
                self.registry.placement.pull_moved();
                let pull = self.pulls.name(*id);
                let text = format!("pull {pull} moves {way}");
                Operated { name: "pull_moved", text, pull: Some(pull), ..Operated::default() }
            }
            Item::Channel(_) | Item::Recording(_) => return,
        };
        self.publish(NodeEvent::Operated(Box::new(moved)));
    }
}
