//! The outputs of all channels as control knows them: their names, and their numbers on the shard
//! that pushes.

use std::sync::Arc;

use crate::command::{
    Answer, Ask, DelayAsk, DelayChange, Document, OutputRules, OutputSpec, ShardCommand,
};
use crate::config::{
    ChannelConfig, MAIN_RENDITION, OUTPUTS_MAX, OutputConfig, PushConfig, RELAYS_MAX,
};
use crate::stats::{OutputEntry, OutputStats, Registry};

/// What there is.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    /// Channels, and the streams of their renditions, the first one first.
    channels: Vec<(String, RenditionStreams)>,
    known: Vec<Known>,
    /// What belongs to no channel, as it is now: enabled while it is on.
    pushes: Vec<PushConfig>,
    /// Number of the next one.
    next: usize,
}

/// Names of a channel's renditions and their streams.
type RenditionStreams = Vec<(String, Arc<str>)>;

/// An output as its shard was told of it, but enabled while it is on.
#[derive(Debug)]
struct Known {
    spec: OutputSpec,
}

impl Known {
    fn is(&self, channel: &str, name: &str) -> bool {
        *self.spec.channel == *channel && *self.spec.name == *name
    }
}

impl Outputs {
    /// Takes a channel with the outputs of its configuration: what its shard and the registry are
    /// told.
    pub(crate) fn channel(&mut self, config: &ChannelConfig) -> Vec<(OutputSpec, OutputEntry)> {
        let streams = config.streams();
        let streams: Vec<_> =
            streams.map(|(name, stream)| (name.to_owned(), Arc::from(stream))).collect();
        self.channels.push((config.name.clone(), streams));
        let open = |output: &OutputConfig| {
            // A configuration that was read has no output of a rendition that is not there.
            let stream = self.stream(&config.name, output).ok()?;
            Some(self.open(&config.name, &stream, output))
        };
        config.outputs.iter().filter_map(open).collect()
    }

    /// A channel is gone, with its outputs: what the shard that pushes is to do.
    pub(crate) fn remove_channel(
        &mut self,
        channel: &str,
        registry: &Registry,
    ) -> Vec<ShardCommand> {
        self.channels.retain(|(name, _)| name != channel);
        let gone = self.known.extract_if(.., |known| *known.spec.channel == *channel);
        let end = |Known { spec }| {
            registry.remove_output(channel, &spec.name);
            ShardCommand::RemoveOutput { output: spec.id }
        };
        gone.map(end).collect()
    }

    /// A channel makes other streams. Outputs that it has go on with what they were told.
    pub(crate) fn set_streams(&mut self, channel: &str, streams: &[(String, Arc<str>)]) {
        for (_, known) in self.channels.iter_mut().filter(|(name, _)| name == channel) {
            *known = streams.to_vec();
        }
    }

    /// Takes a push of the configuration, which belongs to no channel.
    pub(crate) fn push(&mut self, config: &PushConfig) -> (OutputSpec, OutputEntry) {
        let output = OutputConfig {
            enabled: config.enabled,
            rules: config.rules,
            ..OutputConfig::to(&config.name, config.url.clone())
        };
        self.pushes.push(config.clone());
        self.open(NO_CHANNEL, &Arc::from(config.stream.as_str()), &output)
    }

    fn open(
        &mut self,
        channel: &str,
        stream: &Arc<str>,
        output: &OutputConfig,
    ) -> (OutputSpec, OutputEntry) {
        let id = self.next;
        self.next += 1;
        let spec = OutputSpec {
            id,
            channel: Arc::from(channel),
            name: Arc::from(output.name.as_str()),
            stream: Arc::clone(stream),
            url: output.url.clone(),
            enabled: output.enabled,
            rules: output.rules,
            stats: Arc::new(OutputStats::default()),
        };
        let entry = entry(&spec);
        self.known.push(Known { spec: spec.clone() });
        (spec, entry)
    }

    /// What another shard and the registry are told of an output that is moved: it goes on as it
    /// is now. Its figures are new ones, which have counted what the old ones had: the shard that
    /// it leaves may still write those. Nothing if it is gone.
    pub(crate) fn again(&mut self, id: usize) -> Option<(OutputSpec, OutputEntry)> {
        let Known { spec } = self.known.iter_mut().find(|known| known.spec.id == id)?;
        spec.stats = Arc::new(spec.stats.continued());
        Some((spec.clone(), entry(spec)))
    }

    /// Whether the output of this number is on.
    pub(crate) fn is_on(&self, id: usize) -> bool {
        self.known.iter().any(|known| known.spec.id == id && known.spec.enabled)
    }

    /// The channel, if it is no push, and the name of the output of this number.
    pub(crate) fn name(&self, id: usize) -> (Option<String>, String) {
        let known = self.known.iter().find(|known| known.spec.id == id);
        let name = known.map(|known| known.spec.name.to_string()).unwrap_or_default();
        let channel = known.map(|known| known.spec.channel.to_string());
        (channel.filter(|channel| channel != NO_CHANNEL), name)
    }

    /// What each push was told and whether it is on, to be kept for the next start.
    #[cfg(test)]
    pub(crate) fn pushes(&self) -> &[PushConfig] {
        &self.pushes
    }

    /// Answers a wish about a push, and says what the shard is to do.
    fn ask_push(&mut self, ask: Ask, registry: &Registry) -> (Answer, Wanted) {
        let done = match ask {
            Ask::AddPush { document: Document(document) } => PushConfig::from_document(&document)
                .map_err(Answer::Invalid)
                .and_then(|config| self.add_push(&config, registry)),
            Ask::RemovePush { name } => self.find_push(&name).map(|(at, id)| {
                self.pushes.remove(at);
                self.known.retain(|known| known.spec.id != id);
                registry.remove_output(NO_CHANNEL, &name);
                (Answer::Done, Some(ShardCommand::RemoveOutput { output: id }))
            }),
            Ask::StartPush { name } => self.switch_push(&name, true),
            Ask::StopPush { name } => self.switch_push(&name, false),
            other => Err(Answer::Unavailable(format!("{other:?} is not about a push"))),
        };
        done.unwrap_or_else(|answer| (answer, None))
    }

    fn add_push(
        &mut self,
        config: &PushConfig,
        registry: &Registry,
    ) -> Result<(Answer, Wanted), Answer> {
        let name = config.name.clone();
        if self.pushes.iter().any(|other| other.name == name) {
            let text = format!("there is a push {name} already; choose another name");
            return Err(Answer::Conflict(text));
        }
        if self.pushes.len() >= RELAYS_MAX {
            let text = format!("the node has {RELAYS_MAX} pushes; remove one first");
            return Err(Answer::Conflict(text));
        }
        let (spec, entry) = self.push(config);
        registry.add_output(&entry);
        Ok((Answer::Named(name), Some(ShardCommand::AddOutput(Box::new(spec)))))
    }

    fn switch_push(&mut self, name: &str, on: bool) -> Result<(Answer, Wanted), Answer> {
        let (at, output) = self.find_push(name)?;
        self.pushes[at].enabled = on;
        self.set_on(output, on);
        Ok((Answer::Done, Some(ShardCommand::SwitchOutput { output, on })))
    }

    /// Where it is in the list, and its number.
    fn find_push(&self, name: &str) -> Result<(usize, usize), Answer> {
        let at = self.pushes.iter().position(|push| push.name == name);
        let id = self.known.iter().find(|it| it.is(NO_CHANNEL, name)).map(|it| it.spec.id);
        at.zip(id).ok_or_else(|| Answer::NotFound(format!("there is no push {name}")))
    }

    /// Answers a wish about an output or a push, and says what the shard is to do. Of another wish,
    /// nothing.
    pub(crate) fn ask(&mut self, ask: Ask, registry: &Registry) -> Option<(Answer, Wanted)> {
        let (answer, command) = match ask {
            Ask::AddOutput { channel, document: Document(document) } => {
                let added = OutputConfig::from_document(&document)
                    .map_err(Answer::Invalid)
                    .and_then(|output| self.add(&channel, output, registry));
                added.unwrap_or_else(|answer| (answer, None))
            }
            Ask::RemoveOutput { channel, name } => match self.find(&channel, &name) {
                Ok(at) => {
                    let output = self.known.swap_remove(at).spec.id;
                    registry.remove_output(&channel, &name);
                    (Answer::Done, Some(ShardCommand::RemoveOutput { output }))
                }
                Err(answer) => (answer, None),
            },
            Ask::StartOutput { channel, name } => self.switch(&channel, &name, true),
            Ask::StopOutput { channel, name } => self.switch(&channel, &name, false),
            Ask::Delay(DelayAsk { channel, name, change }) => {
                let changed = self.change_delay(channel.as_deref(), &name, change);
                changed.unwrap_or_else(|answer| (answer, None))
            }
            ask @ (Ask::AddPush { .. }
            | Ask::RemovePush { .. }
            | Ask::StartPush { .. }
            | Ask::StopPush { .. }) => self.ask_push(ask, registry),
            _ => return None,
        };
        Some((answer, command))
    }

    fn add(
        &mut self,
        channel: &str,
        output: OutputConfig,
        registry: &Registry,
    ) -> Result<(Answer, Wanted), Answer> {
        let stream = self.stream(channel, &output)?;
        let own: Vec<_> = self.known.iter().filter(|it| *it.spec.channel == *channel).collect();
        if own.iter().any(|known| known.is(channel, &output.name)) {
            let name = &output.name;
            let text = format!("channel {channel} has an output {name} already; choose another");
            return Err(Answer::Conflict(text));
        }
        if own.len() >= OUTPUTS_MAX {
            let text = format!("channel {channel} has {OUTPUTS_MAX} outputs; remove one first");
            return Err(Answer::Conflict(text));
        }
        let (spec, entry) = self.open(channel, &stream, &output);
        registry.add_output(&entry);
        Ok((Answer::Named(output.name), Some(ShardCommand::AddOutput(Box::new(spec)))))
    }

    fn switch(&mut self, channel: &str, name: &str, on: bool) -> (Answer, Wanted) {
        match self.find(channel, name) {
            Ok(at) => {
                let output = self.known[at].spec.id;
                self.set_on(output, on);
                (Answer::Done, Some(ShardCommand::SwitchOutput { output, on }))
            }
            Err(answer) => (answer, None),
        }
    }

    /// Of an output or, without a channel, of a push.
    fn change_delay(
        &mut self,
        channel: Option<&str>,
        name: &str,
        change: DelayChange,
    ) -> Result<(Answer, Wanted), Answer> {
        let output = match channel {
            Some(channel) => self.known[self.find(channel, name)?].spec.id,
            None => self.find_push(name)?.1,
        };
        if let DelayChange::Set(delay) = change {
            for known in self.known.iter_mut().filter(|known| known.spec.id == output) {
                known.spec.rules.delay = delay;
            }
        }
        Ok((Answer::Done, Some(ShardCommand::DelayOutput { output, change })))
    }

    fn set_on(&mut self, output: usize, on: bool) {
        for known in self.known.iter_mut().filter(|known| known.spec.id == output) {
            known.spec.enabled = on;
        }
    }

    /// The stream that an output of the channel sends.
    fn stream(&self, channel: &str, output: &OutputConfig) -> Result<Arc<str>, Answer> {
        let streams = self.streams(channel)?;
        let wanted = output.rendition.as_deref().unwrap_or(MAIN_RENDITION);
        let found = streams.iter().find(|(name, _)| name == wanted);
        found.map(|(_, stream)| Arc::clone(stream)).ok_or_else(|| {
            let known: Vec<_> = streams.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            let text = "`rendition`: the channel has no rendition of this name; it has";
            Answer::Invalid(vec![format!("{text} {}", known.join(", "))])
        })
    }

    fn streams(&self, channel: &str) -> Result<&[(String, Arc<str>)], Answer> {
        let found = self.channels.iter().find(|(name, _)| name == channel);
        let streams = found.map(|(_, streams)| streams.as_slice());
        streams.ok_or_else(|| Answer::NotFound(format!("there is no channel {channel}")))
    }

    fn find(&self, channel: &str, name: &str) -> Result<usize, Answer> {
        self.streams(channel)?;
        self.known.iter().position(|known| known.is(channel, name)).ok_or_else(|| {
            Answer::NotFound(format!("there is no output {name} in channel {channel}"))
        })
    }
}

/// What the registry is told of an output.
fn entry(spec: &OutputSpec) -> OutputEntry {
    let OutputSpec { channel, name, stream, url, stats, .. } = spec;
    OutputEntry::new(channel, name, &url.to_string(), Arc::clone(stats)).of_stream(stream)
}

/// What stands for a channel where a push has none.
const NO_CHANNEL: &str = "";

/// What a shard is to do, if anything.
type Wanted = Option<ShardCommand>;

/// Why the platform that a new output names would refuse what its channel makes; nothing of another
/// request.
pub(crate) fn platform_refusals(channels: &[ChannelConfig], ask: &Ask) -> Vec<String> {
    let Ask::AddOutput { channel, document: Document(document) } = ask else { return Vec::new() };
    let channel = channels.iter().find(|known| known.name == *channel);
    match (channel, OutputConfig::from_document(document)) {
        (Some(channel), Ok(output)) => channel.platform_refusals(&output),
        _ => Vec::new(),
    }
}

/// Why a stream's log, which holds so many milliseconds, is too short for the delay that is asked
/// for; nothing of another request.
pub(crate) fn delay_refusals(log_ms: u32, ask: &Ask) -> Vec<String> {
    let rules = match ask {
        Ask::AddOutput { document: Document(document), .. } => {
            OutputConfig::from_document(document).ok().map(|output| output.rules)
        }
        Ask::AddPush { document: Document(document) } => {
            PushConfig::from_document(document).ok().map(|push| push.rules)
        }
        Ask::Delay(DelayAsk { change: DelayChange::Set(delay), .. }) => {
            Some(OutputRules { delay: *delay, ..OutputRules::default() })
        }
        _ => None,
    };
    rules.and_then(|rules| rules.delay_fault(log_ms)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Size;
    use crate::rtmp::Url;

    fn url() -> Url {
        Url::parse("rtmp://a.example/live/sec-ret").unwrap()
    }

    #[test]
    fn an_output_to_a_platform_is_refused_where_that_would_not_take_its_channel() {
        let mut config = ChannelConfig::plain("demo", "live/demo", Size::HD720);
        let refusals = |config: &ChannelConfig, more: serde_json::Value| {
            let mut document = serde_json::json!({"name": "x", "url": "rtmp://a/live/b"});
            document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let ask = Ask::AddOutput { channel: "demo".to_owned(), document: Document(document) };
            platform_refusals(std::slice::from_ref(config), &ask)
        };
        let twitch = serde_json::json!({"preset": "twitch"});
        assert_eq!(refusals(&config, twitch.clone()), [""; 0]);
        config.keyframe_s = 10;
        config.bitrate_bps = 7_000_000;
        let said = refusals(&config, twitch);
        assert!(said.len() == 2 && said[0].contains("every 2 s"), "{said:?}");
        assert_eq!(refusals(&config, serde_json::json!({})), [""; 0], "nobody asked");
    }

    fn outputs() -> (Outputs, Registry) {
        let mut config = ChannelConfig::plain("demo", "live/demo", Size::HD720);
        config.outputs = vec![OutputConfig { enabled: false, ..OutputConfig::to("cdn", url()) }];
        let mut outputs = Outputs::default();
        let entries = outputs.channel(&config).into_iter().map(|(_, entry)| entry).collect();
        (outputs, Registry::new(Vec::new(), Vec::new(), entries))
    }

    fn add(name: &str) -> Ask {
        let document = serde_json::json!({"name": name, "url": url().expose()});
        Ask::AddOutput { channel: "demo".to_owned(), document: Document(document) }
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
                Some((Answer::Named(_), Some(ShardCommand::AddOutput(spec)))) => ids.push(spec.id),
                other => panic!("{other:?}"),
            }
            assert_eq!(registry.snapshot().outputs.len(), 2);
            let removed = outputs.ask(remove("new"), &registry);
            let Some((Answer::Done, Some(ShardCommand::RemoveOutput { output }))) = removed else {
                panic!("{removed:?}");
            };
            assert_eq!(output, ids[ids.len() - 1]);
        }
        assert_eq!(ids, [1, 2]);
        assert_eq!(registry.snapshot().outputs.len(), 1);
    }

    #[test]
    fn a_channel_that_goes_takes_its_outputs_along() {
        let (mut outputs, registry) = outputs();
        let mut other = ChannelConfig::plain("other", "live/other", Size::HD720);
        other.outputs = vec![OutputConfig::to("cdn", url()), OutputConfig::to("more", url())];
        for (_, entry) in outputs.channel(&other) {
            registry.add_output(&entry);
        }
        let told = outputs.remove_channel("other", &registry);
        let ids = told.iter().map(|told| match told {
            ShardCommand::RemoveOutput { output } => *output,
            other => panic!("{other:?}"),
        });
        let ids: Vec<_> = ids.collect();
        assert_eq!(ids, [1, 2]);
        let left = registry.snapshot().outputs;
        assert_eq!((left.len(), left[0].channel.as_str()), (1, "demo"));
        let gone = Ask::StartOutput { channel: "other".into(), name: "cdn".into() };
        assert!(matches!(outputs.ask(gone, &registry), Some((Answer::NotFound(_), None))));
    }

    #[test]
    fn an_output_that_is_moved_goes_on_as_it_is_and_its_figures_with_it() {
        let (mut outputs, registry) = outputs();
        assert!(!outputs.is_on(0));
        let start = Ask::StartOutput { channel: "demo".into(), name: "cdn".into() };
        outputs.ask(start, &registry);
        assert!(outputs.is_on(0));
        outputs.known[0].spec.stats.line.bytes(7);
        let before = Arc::clone(&outputs.known[0].spec.stats);
        let (spec, entry) = outputs.again(0).unwrap();
        before.line.bytes(1);
        assert!(spec.enabled && spec.stats.read().line.bytes == 7);
        registry.put_output(&entry);
        let shown = registry.snapshot().outputs;
        assert_eq!((shown.len(), shown[0].figures.line.bytes), (1, 7));
        assert_eq!(outputs.name(0), (Some("demo".to_owned()), "cdn".to_owned()));
        assert!(outputs.again(9).is_none());
    }

    #[test]
    fn names_are_unique_and_outputs_are_limited() {
        let (mut outputs, registry) = outputs();
        let taken = outputs.ask(add("cdn"), &registry);
        assert!(matches!(taken, Some((Answer::Conflict(text), None)) if text.contains("cdn")));
        for n in 1..OUTPUTS_MAX {
            let added = outputs.ask(add(&format!("o{n}")), &registry);
            assert!(matches!(added, Some((Answer::Named(_), Some(_)))));
        }
        let more = outputs.ask(add("more"), &registry);
        assert!(matches!(more, Some((Answer::Conflict(text), None)) if text.contains("64")));
        let nameless = outputs.ask(add(" "), &registry);
        assert!(matches!(nameless, Some((Answer::Invalid(_), None))));
    }

    #[test]
    fn an_output_is_added_with_all_that_the_file_can_say_of_it() {
        let (mut outputs, registry) = outputs();
        let document = serde_json::json!({
            "name": "slow", "url": url().expose(), "lag_high_ms": 900, "lag_low_ms": 100,
            "stall_timeout": 3, "enabled": false,
        });
        let ask = |document| Ask::AddOutput { channel: "demo".into(), document };
        let added = outputs.ask(ask(Document(document)), &registry);
        let Some((Answer::Named(_), Some(ShardCommand::AddOutput(spec)))) = added else {
            panic!("{added:?}");
        };
        let drop = spec.rules.drop.unwrap();
        assert_eq!((drop.high_ms, drop.low_ms, spec.enabled), (900, 100, false));
        assert_eq!(spec.rules.stall_timeout, crate::media::Micros::from_secs(3));
        let wrong = serde_json::json!({"name": "b", "url": url().expose(), "lag_hihg_ms": 900});
        let told = outputs.ask(ask(Document(wrong)), &registry);
        let Some((Answer::Invalid(told), None)) = told else { panic!("{told:?}") };
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("did you mean `lag_high_ms`"), "{told:?}");
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
        let on =
            matches!(started, Some((_, Some(ShardCommand::SwitchOutput { output: 0, on: true }))));
        assert!(on);
        assert!(outputs.ask(Ask::Streams, &registry).is_none());
    }

    #[test]
    fn a_push_is_added_stopped_started_and_removed_and_what_it_is_now_is_known() {
        let (mut outputs, registry) = outputs();
        let document = || {
            let url = "rtmp://a.example/live/sec-ret";
            Document(serde_json::json!({"name": "up", "stream": "live/x", "url": url}))
        };
        let added = outputs.ask(Ask::AddPush { document: document() }, &registry);
        let Some((Answer::Named(_), Some(ShardCommand::AddOutput(spec)))) = added else {
            panic!("{added:?}");
        };
        assert_eq!((&*spec.stream, spec.enabled), ("live/x", true));
        let again = outputs.ask(Ask::AddPush { document: document() }, &registry);
        assert!(matches!(again, Some((Answer::Conflict(text), None)) if text.contains("push up")));
        let name = || "up".to_owned();
        for (ask, on) in
            [(Ask::StopPush { name: name() }, false), (Ask::StartPush { name: name() }, true)]
        {
            let switched = outputs.ask(ask, &registry);
            let Some((Answer::Done, Some(ShardCommand::SwitchOutput { on: is, .. }))) = switched
            else {
                panic!("{switched:?}");
            };
            assert_eq!((is, outputs.pushes()[0].enabled), (on, on));
        }
        let removed = outputs.ask(Ask::RemovePush { name: name() }, &registry);
        assert!(matches!(removed, Some((Answer::Done, Some(ShardCommand::RemoveOutput { .. })))));
        assert!(outputs.pushes().is_empty());
        assert_eq!(registry.snapshot().outputs.len(), 1, "the channel's own");
        let none = outputs.ask(Ask::StopPush { name: name() }, &registry);
        assert!(matches!(none, Some((Answer::NotFound(_), None))));
        let wrong = Document(serde_json::json!({"name": "up", "url": "x"}));
        let wrong = outputs.ask(Ask::AddPush { document: wrong }, &registry);
        assert!(matches!(wrong, Some((Answer::Invalid(_), None))));
    }

    #[test]
    fn no_command_shows_the_stream_name() {
        let (mut outputs, registry) = outputs();
        let added = outputs.ask(add("new"), &registry);
        assert!(!format!("{added:?}").contains("sec-ret"));
    }
}
