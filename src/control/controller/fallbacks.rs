//! Streams with a fallback by the controller: what they want of shards and of the compose core is
//! passed on, and what happens to them is told.

use super::Controller;
use crate::command::ShardCommand;
use crate::control::fallbacks::{Action, Report};

impl Controller {
    /// Several times a second: starts what does not run.
    pub(super) fn look_after_fallbacks(&mut self) {
        let config = self.config_store.in_use();
        let actions = self.fallbacks.tick(&config.channels, &self.registry);
        self.do_for_fallbacks(actions);
    }

    /// What the thread of a stream with a fallback says.
    pub(super) fn hear_fallback(&mut self, report: Report) {
        let actions = self.fallbacks.handle(report, self.channels.compose.bell(), &self.registry);
        self.do_for_fallbacks(actions);
    }

    fn do_for_fallbacks(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Tell(event) => self.publish(event),
                Action::Subscribe(stream, ring) => {
                    self.tell_owner(ShardCommand::Subscription(stream, ring));
                }
                Action::Open(shard, feed) => self.tell(shard, ShardCommand::Channel(feed)),
                Action::Compose(stage) => {
                    // Where that is full, its encoders end, and the fallback is built anew.
                    if let Err(stage) = self.channels.compose.push(*stage) {
                        self.channels.discard(stage);
                    }
                }
            }
        }
    }
}
