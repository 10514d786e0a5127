//! Channels of the controller: how they come and go while the node runs.

use std::sync::Arc;

use super::Controller;
use crate::command::{Answer, ChannelSwitch, ShardCommand};
use crate::config::ChannelConfig;
use crate::control::channels::list::{Job, Known, Opening, Outcome};
use crate::control::handle::{Reply, say};
use crate::event::{NodeEvent, Operated};

impl Controller {
    /// Has a channel built, in the place of that of its name if there is one.
    pub(super) fn begin_channel(&mut self, config: ChannelConfig, reply: Reply) {
        let (name, stream, now) = (&config.name, &config.stream, self.clock.now());
        let shard = self.placement.choose_for_channel(name, stream, now);
        self.channels.begin(config, shard, reply);
    }

    /// A channel was built, or could not be.
    pub(super) fn channel_built(&mut self, outcome: Outcome) {
        match outcome {
            Ok(built) => {
                if let Some((shard, feeds)) = self.channels.open(*built) {
                    for feed in feeds {
                        self.tell(shard, ShardCommand::Channel(Box::new(feed)));
                    }
                }
            }
            Err(error) => self.channels.fail(Answer::Unavailable(error.to_string())),
        }
    }

    /// Its shard has opened a stream of a channel, unless somebody else feeds it.
    pub(super) fn channel_opened(&mut self, switch: &Arc<ChannelSwitch>, is_open: bool) {
        let opening = self.channels.job.as_mut().and_then(|job| job.opening.as_mut());
        let is_it =
            |it: &&mut Opening| it.known.switches.iter().any(|own| Arc::ptr_eq(own, switch));
        let Some(opening) = opening.filter(is_it) else {
            // A rendition of a transcode, or a channel that took too long.
            return self.rendition_opened(switch, is_open);
        };
        if !is_open {
            let of_switch = opening.known.switches.iter().zip(&opening.known.streams);
            let of_switch = of_switch.filter(|(own, _)| Arc::ptr_eq(own, switch));
            let streams: Vec<_> = of_switch.map(|(_, (_, stream))| &**stream).collect();
            let text = format!(
                "somebody else feeds the stream {}; end that first, or give the channel another \
                 `stream`",
                streams.join(" or ")
            );
            return self.channels.fail(Answer::Conflict(text));
        }
        opening.to_open = opening.to_open.saturating_sub(1);
        if opening.to_open > 0 {
            return;
        }
        let Some(Job { config, shard, reply, opening: Some(opening) }) = self.channels.job.take()
        else {
            return;
        };
        let Opening { stage, known, entry, subscriptions, scenes, mixer, faults, .. } = opening;
        if let Err(stage) = self.channels.compose.push(stage) {
            known.switch.stop();
            self.channels.discard(stage);
            let text = "the compose core takes no channels: the node is stopping".to_owned();
            return say(reply, Answer::Unavailable(text));
        }
        self.placement.put_channel(&known.name, &known.streams, shard, self.clock.now());
        match self.channels.remove(&known.name) {
            Some(old) => {
                old.switch.stop();
                if !Arc::ptr_eq(&old.stats, &known.stats) {
                    self.warnings.forget(&known.name);
                }
                self.outputs.set_streams(&known.name, &known.streams);
                self.tell_channel("channel_stopped", &old, "ended: another takes its place");
            }
            None => {
                for (spec, entry) in self.outputs.channel(&config) {
                    self.registry.add_output(&entry);
                    self.tell_owner(ShardCommand::AddOutput(Box::new(spec)));
                }
            }
        }
        self.registry.put_channel(&entry);
        self.scenes.put(&config, scenes, &faults);
        self.mixers.put(&known.name, mixer);
        self.schedules.put(&known.name, config.schedule.as_ref(), self.clock.unix_millis());
        for (stream, subscription) in subscriptions {
            self.tell_owner(ShardCommand::Subscription(stream, subscription));
        }
        self.channel_settled(&known.name);
        self.tell_channel("channel_started", &known, "began");
        self.channels.known.push(known);
        say(reply, Answer::Done);
    }

    /// Ends a channel with its outputs. Its encoders hand over what they hold, and then its stream
    /// ends.
    pub(super) fn remove_channel(&mut self, name: &str) -> Answer {
        let Some(known) = self.channels.remove(name) else {
            return Answer::NotFound(format!("there is no channel {name}"));
        };
        known.switch.stop();
        for command in self.outputs.remove_channel(name, &self.registry) {
            self.tell_owner(command);
        }
        self.placement.remove_channel(name, self.clock.now());
        self.scenes.remove(name);
        self.mixers.remove(name);
        self.schedules.remove(name);
        self.registry.remove_channel(name);
        self.warnings.forget(name);
        self.channel_settled(name);
        self.tell_channel("channel_stopped", &known, "ended");
        Answer::Done
    }

    fn tell_channel(&mut self, name: &'static str, known: &Known, what: &str) {
        let operated = Operated {
            name,
            text: format!("channel {} {what}", known.name),
            channel: Some(known.name.clone()),
            stream: Some(known.stream.to_string()),
            actor: self.reloads.actor.clone(),
            ..Operated::default()
        };
        self.publish(NodeEvent::Operated(Box::new(operated)));
    }
}
