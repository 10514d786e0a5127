//! Supervision by the controller: threads that panicked are told, and what they worked for
//! is built anew.

use tokio::sync::oneshot;

use super::Controller;
use crate::command::ShardCommand;
use crate::control::supervisor::Remedy;
use crate::control::threads::ThreadRole;
use crate::event::NodeEvent;
use crate::stats::CoreRole;

impl Controller {
    /// Several times a second: looks after all threads.
    pub(super) fn supervise(&mut self) {
        for (role, reason) in self.supervisor.losses() {
            let remedy = self.supervisor.remedy(&role, self.clock.now());
            self.publish(NodeEvent::CoreLost {
                core: role.to_string(),
                channel: role.channel().map(str::to_owned),
                reason,
                remedy: remedy.text(),
            });
            if remedy == Remedy::Restart {
                self.restart(&role);
            }
        }
        self.supervisor.restore_shards(self.clock.now());
        self.build_waiting();
    }

    fn restart(&mut self, lost: &ThreadRole) {
        match lost.role {
            CoreRole::Compose => {
                if self.channels.restart_compose() {
                    let is_it = |role: &ThreadRole| role.role == CoreRole::Compose;
                    self.supervisor.restored(is_it);
                    for known in &self.channels.known {
                        self.supervisor.want_channel(&known.name);
                    }
                }
            }
            CoreRole::Recording => {
                if let Some(feed) = self.recordings.restart(&lost.of) {
                    self.tell_owner(ShardCommand::Record(feed));
                    self.supervisor.restored(|role| role == lost);
                }
            }
            CoreRole::Encoder if self.channels.knows(&lost.of) => {
                self.supervisor.want_channel(&lost.of);
            }
            // A transcode goes on without it, and begins anew with all of them.
            CoreRole::Encoder => self.supervisor.restored(|role| role == lost),
            CoreRole::Shard => self.supervisor.restart_shard(lost, self.clock.now()),
            CoreRole::Decoder | CoreRole::Loader => {}
        }
    }

    /// Builds the next channel anew that has lost a part of it; one at a time.
    fn build_waiting(&mut self) {
        while self.channels.may_begin() {
            let Some(name) = self.supervisor.next_channel() else { return };
            let config = self.config_store.in_use();
            let wanted = config.channels.iter().find(|channel| channel.name == name);
            // It may have been removed meanwhile.
            if let Some(wanted) = wanted.filter(|_| self.channels.knows(&name)) {
                let (reply, _) = oneshot::channel();
                let wanted = wanted.clone();
                self.begin_channel(wanted, reply);
            }
        }
    }

    /// The channel of this name runs again, or is gone: no part of it is missed.
    pub(super) fn channel_settled(&mut self, name: &str) {
        self.supervisor.restored(|role| role.channel() == Some(name));
    }
}
