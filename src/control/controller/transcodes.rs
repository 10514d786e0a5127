//! Transcodes by the controller: what they want of shards is passed on, and what happens to them is
//! told.

use std::sync::Arc;

use super::Controller;
use crate::command::{Answer, ChannelSwitch, ShardCommand};
use crate::config::{ChangedPart, TranscodeConfig};
use crate::control::transcodes::{Action, Report};

impl Controller {
    /// Several times a second: starts those that are wanted, and ends the others.
    pub(super) fn look_after_transcodes(&mut self) {
        let actions = self.transcodes.tick(&mut self.placement, &self.registry);
        self.do_for_transcodes(actions);
    }

    /// What the thread of a transcode says.
    pub(super) fn hear_transcode(&mut self, report: Report) {
        let actions = self.transcodes.handle(report, &mut self.placement, &self.registry);
        self.do_for_transcodes(actions);
    }

    /// A shard has opened a stream of none of the channels, or somebody else feeds it.
    pub(super) fn rendition_opened(&mut self, switch: &Arc<ChannelSwitch>, is_open: bool) {
        let action = self.transcodes.opened(switch, is_open);
        self.do_for_transcodes(action);
    }

    /// A step of a reload.
    pub(super) fn change_transcode(&mut self, part: ChangedPart<TranscodeConfig>) -> Answer {
        match part {
            ChangedPart::New(config) => self.transcodes.add(&config, &self.registry),
            ChangedPart::Switched(name, on) => self.transcodes.switch(&name, on),
            ChangedPart::Gone(name) => {
                let (answer, action) =
                    self.transcodes.remove(&name, &mut self.placement, &self.registry);
                self.do_for_transcodes(action);
                answer
            }
        }
    }

    fn do_for_transcodes(&mut self, actions: impl IntoIterator<Item = Action>) {
        for action in actions {
            match action {
                Action::Tell(event) => self.publish(event),
                Action::Transcoded(streams) => {
                    for shard in 0..self.shards.len() {
                        self.tell(shard, ShardCommand::Transcoded(Arc::clone(&streams)));
                    }
                }
                Action::Subscribe(stream, ring) => {
                    self.tell_owner(ShardCommand::Subscription(stream, ring));
                }
                Action::Open(shard, feeds) => {
                    for feed in feeds {
                        self.tell(shard, ShardCommand::Channel(Box::new(feed)));
                    }
                }
            }
        }
    }
}
