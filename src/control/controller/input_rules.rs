//! Input rules by the controller: what they want of shards and of scenes is passed on, and what
//! happens to inputs is told.

use super::Controller;
use crate::command::{Answer, ShardCommand};
use crate::control::handle::say;
use crate::control::input_rules::{Action, Report};

impl Controller {
    /// Several times a second: the rules of the channels hold.
    pub(super) fn look_after_input_rules(&mut self) {
        let (config, scenes) = (self.config_store.in_use(), &self.scenes);
        let on_air = |channel: &str| scenes.on_air(channel);
        let actions = self.input_rules.tick(&config.channels, on_air, &self.registry);
        actions.into_iter().for_each(|action| self.do_for_input_rule(action));
    }

    /// What the thread of a rule says.
    pub(super) fn hear_input_rule(&mut self, report: Report) {
        if let Some(action) = self.input_rules.handle(report, &self.registry) {
            self.do_for_input_rule(action);
        }
    }

    fn do_for_input_rule(&mut self, action: Action) {
        match action {
            Action::Tell(event) => self.publish(event),
            Action::Subscribe(stream, ring) => {
                self.tell_owner(ShardCommand::Subscription(stream, ring));
            }
            // It is no change to keep: the scene comes back.
            Action::Scenes(ask, reply) => {
                if let Some((_, reply)) = self.scenes.ask(ask, reply, false) {
                    say(reply, Answer::Unavailable("try again".to_owned()));
                }
            }
        }
    }
}
