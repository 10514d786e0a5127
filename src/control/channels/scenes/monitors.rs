//! Monitors of channels: started for the first who asks for a picture.

use std::sync::Arc;

use super::Scenes;
use super::monitor::{MonitorEnd, MonitorStage, Shows};
use crate::command::{Answer, Monitor};
use crate::control::handle::{Reply, say};

impl Scenes {
    /// Answers with what the channel at place `at` shows, or would.
    pub(super) fn monitor_picture(&mut self, at: usize, monitor: Monitor, reply: Reply) {
        let programme = &self.channels[at];
        let shows = match monitor {
            Monitor::Programme => Shows::Programme,
            Monitor::Preview => {
                let preview = programme.preview.as_ref();
                let drawn = preview.and_then(|it| Some((it.ticket, it.drawn()?.clone())));
                let Some((ticket, drawn)) = drawn else {
                    let text = format!("channel {} has no scene in preview", programme.name);
                    return say(reply, Answer::NotFound(text));
                };
                Shows::Preview(ticket, Box::new(drawn))
            }
        };
        if programme.monitor.is_none()
            && let Err(answer) = self.start_monitor(at)
        {
            return say(reply, answer);
        }
        if let Some(monitor) = &self.channels[at].monitor {
            monitor.ask(reply, shows);
        }
    }

    fn start_monitor(&mut self, at: usize) -> Result<(), Answer> {
        let (size, clock) = (self.channels[at].size, self.clock);
        let programme = &mut self.channels[at];
        let channel = programme.name.clone();
        let ends = programme.ends.as_mut();
        let ends = ends.and_then(|ends| Some((ends.tap.take()?, ends.inputs.clone())));
        let Some((tap, inputs)) = ends else {
            let text = format!("channel {channel} shows another program's frames, not scenes");
            return Err(Answer::Invalid(vec![text]));
        };
        let (end, orders) = MonitorEnd::new();
        let loader = Arc::clone(&self.loader);
        let stage = MonitorStage { size, clock, loader, inputs, tap };
        let spawned = self.spawn(at, "monitor", move || stage.run(&orders));
        spawned.map_err(|error| Answer::Unavailable(format!("no thread to draw it: {error}")))?;
        self.channels[at].monitor = Some(end);
        Ok(())
    }
}
