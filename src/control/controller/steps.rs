//! Steps of a reload: what the controller does of each.

use super::Controller;
use crate::command::{Answer, Ask};
use crate::config::{
    Config, NamedScene, Step, overlays_to_document, to_document, transition_to_document,
};
use crate::control::config_change;
use crate::control::handle::{Reply, say};

impl Controller {
    /// Does one step of a reload, now or until `reply` is given. Nothing of it is a change to keep.
    pub(super) fn take_step(&mut self, step: Step, wanted: &Config, reply: Reply) {
        let answer = match step {
            Step::Output(channel, part) => self.obey(config_change::of_output(channel, part)),
            Step::Record(part) => self.obey(config_change::of_record(part)),
            Step::Pull(part) => self.obey(config_change::of_pull(part)),
            Step::Push(part) => self.obey(config_change::of_push(part)),
            Step::Transcode(part) => self.change_transcode(*part),
            Step::RemoveChannel(name) => self.remove_channel(&name),
            Step::AddChannel(config) | Step::ReplaceChannel(config) => {
                return self.begin_channel(*config, reply);
            }
            Step::PutScene(channel, NamedScene { name: scene, scene: what }) => {
                let document = to_document(&what);
                let ask = Ask::PutScene { channel, scene, version: None, document };
                return self.ask_scenes(ask, reply);
            }
            Step::PutOverlays(channel, layers) => {
                let document = overlays_to_document(&layers);
                let ask = Ask::PutOverlays { channel, version: None, document };
                return self.ask_scenes(ask, reply);
            }
            Step::ShowScene(channel, scene) => {
                return self.ask_scenes(Ask::Activate { channel, scene, transition: None }, reply);
            }
            Step::PutTransition(channel, transition) => {
                let document = transition_to_document(&transition);
                return self.ask_scenes(Ask::PutTransition { channel, document }, reply);
            }
            Step::PutAudio(channel, sources, bus) => self.mixers.set(&channel, sources, bus),
            Step::PutSchedule(channel, schedule) => {
                let now = self.clock.unix_millis();
                self.schedules.put(&channel, schedule.as_deref(), now);
                Answer::Done
            }
            Step::RemoveScene(channel, scene) => {
                return self.ask_scenes(Ask::RemoveScene { channel, scene }, reply);
            }
            Step::Log(filter) => match &self.reloads.log {
                Some(log) => match log.set(&filter) {
                    Ok(()) => Answer::Done,
                    Err(fault) => Answer::Invalid(vec![fault]),
                },
                None => Answer::Conflict("STREAM_MANAGER_LOG stands above it".to_owned()),
            },
            Step::Rules(tables) => {
                let (hooks, registry) = (&mut self.hooks, &self.registry);
                self.rules.apply(&tables, wanted, hooks, registry)
            }
        };
        say(reply, answer);
    }

    fn ask_scenes(&mut self, ask: Ask, reply: Reply) {
        if let Some((_, reply)) = self.scenes.ask(ask, reply, false) {
            say(reply, Answer::Unavailable("this is no wish about scenes".to_owned()));
        }
    }
}
