//! The outputs of all channels as control knows them: their names, and their numbers on the shard
//! that pushes.

use std::sync::Arc;

use crate::command::{Answer, Ask, OutputSpec, ToShard};
use crate::config::{ChannelConfig, OUTPUTS_MAX, OutputConfig, PushConfig, checked_name};
use crate::stats::{OutputEntry, OutputStats, Registry};

/// What there is.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    channels: Vec<(String, Arc<str>)>,
    known: Vec<Known>,
    /// Number of the next one.
    next: usize,
}

#[derive(Debug)]
struct Known {
    channel: String,
    name: String,
    id: usize,
}

impl Outputs {
    /// Takes a channel with the outputs of its configuration: what its shard and the registry are
    /// told.
    pub(super) fn channel(&mut self, config: &ChannelConfig) -> Vec<(OutputSpec, OutputEntry)> {
        let stream: Arc<str> = Arc::from(config.stream.as_str());
        self.channels.push((config.name.clone(), Arc::clone(&stream)));
        config.outputs.iter().map(|output| self.open(&config.name, &stream, output)).collect()
    }

    /// Takes a push of the configuration, which belongs to no channel.
    pub(super) fn push(&mut self, config: &PushConfig) -> (OutputSpec, OutputEntry) {
        let output = OutputConfig {
            enabled: true,
            rules: config.rules,
            ..OutputConfig::to(&config.name, config.url.clone())
        };
        self.open("", &Arc::from(config.stream.as_str()), &output)
    }

    fn open(
        &mut self,
        channel: &str,
        stream: &Arc<str>,
        output: &OutputConfig,
    ) -> (OutputSpec, OutputEntry) {
        let id = self.next;
        self.next += 1;
        let (channel, name) = (channel.to_owned(), output.name.clone());
        let stats = Arc::new(OutputStats::default());
        let shown = output.url.to_string();
        let entry = OutputEntry::new(&channel, &name, &shown, Arc::clone(&stats));
        let spec = OutputSpec {
            id,
            name: Arc::from(name.as_str()),
            stream: Arc::clone(stream),
            url: output.url.clone(),
            enabled: output.enabled,
            rules: output.rules,
            stats,
        };
        self.known.push(Known { channel, name, id });
        (spec, entry)
    }

    /// Answers a wish about an output, and says what the shard is to do. Of another wish, nothing.
    pub(super) fn ask(&mut self, ask: Ask, registry: &Registry) -> Option<(Answer, Wanted)> {
        let (answer, command) = match ask {
            Ask::AddOutput { channel, name, url } => {
                match self.add(&channel, &OutputConfig::to(&name, url), registry) {
                    Ok(spec) => (Answer::Done, Some(ToShard::AddOutput(Box::new(spec)))),
                    Err(answer) => (answer, None),
                }
            }
            Ask::RemoveOutput { channel, name } => match self.find(&channel, &name) {
                Ok(at) => {
                    let output = self.known.swap_remove(at).id;
                    registry.remove_output(&channel, &name);
                    (Answer::Done, Some(ToShard::RemoveOutput { output }))
                }
                Err(answer) => (answer, None),
            },
            Ask::StartOutput { channel, name } => self.switch(&channel, &name, true),
            Ask::StopOutput { channel, name } => self.switch(&channel, &name, false),
            _ => return None,
        };
        Some((answer, command))
    }

    fn add(
        &mut self,
        channel: &str,
        output: &OutputConfig,
        registry: &Registry,
    ) -> Result<OutputSpec, Answer> {
        checked_name(&output.name).map_err(|fault| Answer::Invalid(vec![fault]))?;
        let stream = self.stream(channel)?;
        let own: Vec<_> = self.known.iter().filter(|known| known.channel == channel).collect();
        if own.iter().any(|known| known.name == output.name) {
            let name = &output.name;
            let text = format!("channel {channel} has an output {name} already; choose another");
            return Err(Answer::Conflict(text));
        }
        if own.len() >= OUTPUTS_MAX {
            let text = format!("channel {channel} has {OUTPUTS_MAX} outputs; remove one first");
            return Err(Answer::Conflict(text));
        }
        let (spec, entry) = self.open(channel, &stream, output);
        registry.add_output(&entry);
        Ok(spec)
    }

    fn switch(&self, channel: &str, name: &str, on: bool) -> (Answer, Wanted) {
        match self.find(channel, name) {
            Ok(at) => {
                let output = self.known[at].id;
                (Answer::Done, Some(ToShard::SwitchOutput { output, on }))
            }
            Err(answer) => (answer, None),
        }
    }

    fn stream(&self, channel: &str) -> Result<Arc<str>, Answer> {
        let found = self.channels.iter().find(|(name, _)| name == channel);
        let stream = found.map(|(_, stream)| Arc::clone(stream));
        stream.ok_or_else(|| Answer::NotFound(format!("there is no channel {channel}")))
    }

    fn find(&self, channel: &str, name: &str) -> Result<usize, Answer> {
        self.stream(channel)?;
        let is_meant = |known: &Known| known.channel == channel && known.name == name;
        self.known.iter().position(is_meant).ok_or_else(|| {
            Answer::NotFound(format!("there is no output {name} in channel {channel}"))
        })
    }
}

/// What a shard is to do, if anything.
type Wanted = Option<ToShard>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Size;
    use crate::rtmp::Url;

    fn url() -> Url {
        Url::parse("rtmp://a.example/live/sec-ret").unwrap()
    }

    fn outputs() -> (Outputs, Registry) {
        let mut config = ChannelConfig::plain("demo", "live/demo", Size::HD720);
        config.outputs = vec![OutputConfig { enabled: false, ..OutputConfig::to("cdn", url()) }];
        let mut outputs = Outputs::default();
        let entries = outputs.channel(&config).into_iter().map(|(_, entry)| entry).collect();
        (outputs, Registry::new(Vec::new(), Vec::new(), entries))
    }

    fn add(name: &str) -> Ask {
        Ask::AddOutput { channel: "demo".into(), name: name.into(), url: url() }
    }

    fn remove(name: &str) -> Ask {
        Ask::RemoveOutput { channel: "demo".into(), name: name.into() }
    }

    #[test]
    fn an_output_that_comes_again_under_its_name_has_another_number() {
        let (mut outputs, registry) = outputs();
        let mut ids = Vec::new();
        for _ in 0..2 {
            match outputs.ask(add("new"), &registry) {
                Some((Answer::Done, Some(ToShard::AddOutput(spec)))) => ids.push(spec.id),
                other => panic!("{other:?}"),
            }
            assert_eq!(registry.snapshot().outputs.len(), 2);
            let removed = outputs.ask(remove("new"), &registry);
            let Some((Answer::Done, Some(ToShard::RemoveOutput { output }))) = removed else {
                panic!("{removed:?}");
            };
            assert_eq!(output, ids[ids.len() - 1]);
        }
        assert_eq!(ids, [1, 2]);
        assert_eq!(registry.snapshot().outputs.len(), 1);
    }

    #[test]
    fn names_are_unique_and_outputs_are_limited() {
        let (mut outputs, registry) = outputs();
        let taken = outputs.ask(add("cdn"), &registry);
        assert!(matches!(taken, Some((Answer::Conflict(text), None)) if text.contains("cdn")));
        for n in 1..OUTPUTS_MAX {
            let added = outputs.ask(add(&format!("o{n}")), &registry);
            assert!(matches!(added, Some((Answer::Done, Some(_)))));
        }
        let more = outputs.ask(add("more"), &registry);
        assert!(matches!(more, Some((Answer::Conflict(text), None)) if text.contains("64")));
        let nameless = outputs.ask(add(" "), &registry);
        assert!(matches!(nameless, Some((Answer::Invalid(_), None))));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let (mut outputs, registry) = outputs();
        let start = |channel: &str, name: &str| Ask::StartOutput {
            channel: channel.to_owned(),
            name: name.to_owned(),
        };
        for (ask, named) in [(start("demo", "x"), "output x"), (start("y", "cdn"), "channel y")] {
            let answer = outputs.ask(ask, &registry);
            assert!(matches!(answer, Some((Answer::NotFound(text), None)) if text.contains(named)));
        }
        let started = outputs.ask(start("demo", "cdn"), &registry);
        let on = matches!(started, Some((_, Some(ToShard::SwitchOutput { output: 0, on: true }))));
        assert!(on);
        assert!(outputs.ask(Ask::Streams, &registry).is_none());
    }

    #[test]
    fn no_command_shows_the_stream_name() {
        let (mut outputs, registry) = outputs();
        let added = outputs.ask(add("new"), &registry);
        assert!(!format!("{added:?}").contains("sec-ret"));
    }
}
