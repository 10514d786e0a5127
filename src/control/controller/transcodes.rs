//! Transcodes by the controller: what they want of shards is passed on, and what happens to them is
//! told.

use std::sync::Arc;

use super::Controller;
use crate::command::{Answer, ChannelSwitch, ShardCommand};
use crate::config::{ChangedPart, TranscodeConfig};
use crate::control::transcodes::{Deed, Report};

impl Controller {
    /// Several times a second: starts those that are wanted, and ends the others.
    pub(super) fn look_after_transcodes(&mut self) {
        let deeds = self.transcodes.tick(&mut self.placement, &self.registry);
        self.do_for_transcodes(deeds);
    }

    /// What the thread of a transcode says.
    pub(super) fn hear_transcode(&mut self, report: Report) {
        let deeds = self.transcodes.handle(report, &mut self.placement, &self.registry);
        self.do_for_transcodes(deeds);
    }

    /// A shard has opened a stream of none of the channels, or somebody else feeds it.
    pub(super) fn rendition_opened(&mut self, switch: &Arc<ChannelSwitch>, is_open: bool) {
        let deed = self.transcodes.opened(switch, is_open);
        self.do_for_transcodes(deed);
    }

    /// A step of a reload.
    pub(super) fn change_transcode(&mut self, part: ChangedPart<TranscodeConfig>) -> Answer {
        match part {
            ChangedPart::New(config) => self.transcodes.add(&config, &self.registry),
            ChangedPart::Switched(name, on) => self.transcodes.switch(&name, on),
            ChangedPart::Gone(name) => {
                let (answer, deed) =
                    self.transcodes.remove(&name, &mut self.placement, &self.registry);
                self.do_for_transcodes(deed);
                answer
            }
        }
    }

    fn do_for_transcodes(&mut self, deeds: impl IntoIterator<Item = Deed>) {
        for deed in deeds {
            match deed {
                Deed::Tell(event) => self.publish(event),
                Deed::Made(made) => {
                    for shard in 0..self.shards.len() {
                        self.tell(shard, ShardCommand::Made(Arc::clone(&made)));
                    }
                }
                Deed::Subscribe(stream, ring) => {
                    self.tell_owner(ShardCommand::Subscription(stream, ring));
                }
                Deed::Open(shard, feeds) => {
                    for feed in feeds {
                        self.tell(shard, ShardCommand::Channel(Box::new(feed)));
                    }
                }
            }
        }
    }
}
