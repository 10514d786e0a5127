//! Configuration diff: the steps from one configuration to another while the node runs, and the
//! changes that take a restart.

mod words;

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::channel::ChannelConfig;
use super::input_rule::InputRuleConfig;
use super::output::OutputConfig;
use super::relay::{PullConfig, PushConfig, RecordConfig};
use super::scene::NamedScene;
use super::schedule::ScheduleConfig;
use super::transcode::TranscodeConfig;
use super::{Config, HttpConfig, KeysConfig, NodeConfig, RtmpConfig, TlsConfig};
use crate::audio::{BusSpec, InputSpec};
use crate::scene::{Layer, Transition};

/// The way from one configuration to another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// What can be done now, in this order.
    pub steps: Vec<Step>,
    /// Tables and keys whose change takes a restart, as they are written.
    pub restart: Vec<String>,
}

/// One step. `Display` says what it does, without any secret.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// End a channel with its outputs.
    RemoveChannel(String),
    /// Begin a channel with its outputs.
    AddChannel(Box<ChannelConfig>),
    /// Begin a channel in the place of that of its name, whose outputs go on until further steps
    /// change them.
    ReplaceChannel(Box<ChannelConfig>),
    /// An output of a channel.
    Output(String, Part<OutputConfig>),
    /// A push.
    Push(Part<PushConfig>),
    /// A pull.
    Pull(Part<PullConfig>),
    /// A recording.
    Record(Part<RecordConfig>),
    /// A transcode.
    Transcode(Box<Part<TranscodeConfig>>),
    /// Replace a scene of a channel, or add it.
    PutScene(String, NamedScene),
    /// Put a scene of a channel on the air.
    ShowScene(String, String),
    /// Replace the overlays of a channel.
    PutOverlays(String, Vec<Layer>),
    /// Change how other scenes of a channel come on the air.
    PutTransition(String, Transition),
    /// Change the settings of a channel's audio sources and of its bus.
    PutAudio(String, Vec<InputSpec>, BusSpec),
    /// Plan what a channel shows like this, or not at all.
    PutSchedule(String, Option<Box<ScheduleConfig>>),
    /// Forget a scene of a channel.
    RemoveScene(String, String),
    /// Log this.
    Log(String),
    /// What the node's own tables say, of these tables: limits, keys, delivery, hooks, TLS,
    /// metrics.
    Rules(Vec<&'static str>),
}

/// What becomes of a part that has a name.
#[derive(Clone, Debug, PartialEq)]
pub enum Part<T> {
    /// It ends.
    Gone(String),
    /// It begins.
    New(T),
    /// It is turned on or off.
    Switched(String, bool),
}

/// A table of which there are several, told apart by their names.
trait Named: Clone + PartialEq {
    fn name(&self) -> &str;
    fn is_on(&self) -> bool;
    fn switched(&self, on: bool) -> Self;
}

macro_rules! named {
    ($($table:ty),*) => {$(
        impl Named for $table {
            fn name(&self) -> &str {
                &self.name
            }
            fn is_on(&self) -> bool {
                self.enabled
            }
            fn switched(&self, on: bool) -> Self {
                Self { enabled: on, ..self.clone() }
            }
        }
    )*};
}

named!(OutputConfig, PushConfig, PullConfig, RecordConfig, TranscodeConfig);

impl Difference {
    /// From what is in use to what is wanted.
    #[must_use]
    pub fn between(old: &Config, new: &Config) -> Self {
        let mut steps = Vec::new();
        let rules = changed_rules(old, new);
        if !rules.is_empty() {
            steps.push(Step::Rules(rules));
        }
        if old.node.log != new.node.log {
            steps.push(Step::Log(new.node.log.clone()));
        }
        steps.extend(parts(&old.records, &new.records).map(Step::Record));
        steps.extend(parts(&old.pulls, &new.pulls).map(Step::Pull));
        steps.extend(parts(&old.pushes, &new.pushes).map(Step::Push));
        let transcodes = parts(&old.transcodes, &new.transcodes);
        let transcodes: Vec<_> = transcodes.map(|part| Step::Transcode(Box::new(part))).collect();
        channels(&old.channels, &new.channels, &mut steps);
        // The streams of channels that end may be theirs.
        steps.extend(transcodes);
        Self { steps, restart: fixed(old, new) }
    }

    /// What is in use once the steps from `old` to `new` have been taken, but for those that have
    /// `failed`: what takes a restart is as it was.
    #[must_use]
    pub fn settled(old: &Config, new: &Config, failed: &[&Step]) -> Config {
        let mut text = table_of(new);
        let before = table_of(old);
        for (name, keys) in FIXED_KEYS {
            hold(&mut text, &before, name, |key| keys.contains(&key));
        }
        hold(&mut text, &before, "keys", |key| !LIVE_KEYS.contains(&key));
        for name in FIXED_TABLES {
            hold(&mut text, &before, name, |_| true);
        }
        match before.get("stream") {
            Some(streams) => drop(text.insert("stream".to_owned(), streams.clone())),
            None => drop(text.remove("stream")),
        }
        let mut now = Config {
            node: NodeConfig {
                name: old.node.name.clone(),
                data_dir: old.node.data_dir.clone(),
                log_format: old.node.log_format,
                on_core_loss: old.node.on_core_loss,
                ..new.node.clone()
            },
            rtmp: live_rtmp(&old.rtmp, &new.rtmp),
            keys: live_keys(&old.keys, &new.keys),
            http: old.http.clone(),
            obs_websocket: old.obs_websocket.clone(),
            tls: live_tls(&old.tls, &new.tls),
            cores: old.cores.clone(),
            journal: old.journal.clone(),
            clips: old.clips.clone(),
            streams: old.streams.clone(),
            ..new.clone()
        };
        for (list, name) in failed.iter().filter_map(|step| step.part()) {
            match list {
                "channel" => revert(&mut now.channels, &old.channels, |it| it.name == name),
                "push" => revert(&mut now.pushes, &old.pushes, |it| it.name == name),
                "transcode" => {
                    revert(&mut now.transcodes, &old.transcodes, |it| it.name == name);
                }
                "pull" => revert(&mut now.pulls, &old.pulls, |it| it.name == name),
                _ => revert(&mut now.records, &old.records, |it| it.name == name),
            }
            let is_it = |one: &Value| one.get("name").and_then(Value::as_str) == Some(name);
            let tables = |of: &Table| of.get(list).and_then(Value::as_array).cloned();
            let mut kept = tables(&text).unwrap_or_default();
            revert(&mut kept, &tables(&before).unwrap_or_default(), is_it);
            text.insert(list.to_owned(), Value::Array(kept));
        }
        now.written = text.to_string().as_str().into();
        now
    }
}

/// Keys whose change takes a restart; the others of their tables are live.
const FIXED_KEYS: [(&str, &[&str]); 3] = [
    ("node", &["name", "data_dir", "log_format", "on_core_loss"]),
    ("rtmp", &["bind", "port", "publish", "chunk_size"]),
    ("tls", &["rtmps_port", "https"]),
];

/// Keys of `[keys]` that are live; the others take a restart.
const LIVE_KEYS: [&str; 6] = [
    "development",
    "on_store_failure",
    "cache_seconds",
    "cache_denied_seconds",
    "ban_after",
    "ban_seconds",
];

/// Tables whose change takes a restart.
const FIXED_TABLES: [&str; 6] = ["http", "obs_websocket", "cores", "journal", "assets", "clips"];

fn table_of(config: &Config) -> Table {
    config.written.expose().parse().unwrap_or_default()
}

/// Gives a table's keys that are meant the values that they had before.
fn hold(text: &mut Table, before: &Table, name: &str, is_meant: impl Fn(&str) -> bool) {
    let table = |of: &Table| of.get(name).and_then(Value::as_table).cloned().unwrap_or_default();
    let (mut now, was) = (table(text), table(before));
    now.retain(|key, _| !is_meant(key));
    now.extend(was.into_iter().filter(|(key, _)| is_meant(key)));
    match now.is_empty() {
        true => drop(text.remove(name)),
        false => drop(text.insert(name.to_owned(), Value::Table(now))),
    }
}

/// Lets one entry of a list be as it was, or not there.
fn revert<T: Clone>(now: &mut Vec<T>, was: &[T], is_it: impl Fn(&T) -> bool) {
    let before = was.iter().find(|one| is_it(one)).cloned();
    match (now.iter().position(&is_it), before) {
        (Some(place), Some(before)) => now[place] = before,
        (Some(place), None) => drop(now.remove(place)),
        (None, Some(before)) => now.push(before),
        (None, None) => {}
    }
}

impl Step {
    /// Whether it is not to be taken once `failed` could not be: it is about a channel that is as
    /// it was.
    #[must_use]
    pub fn depends_on(&self, failed: &Self) -> bool {
        matches!(failed, Self::ReplaceChannel(_)) && self.part() == failed.part()
    }

    /// The table that it is about: its list in the file, and its name.
    fn part(&self) -> Option<(&'static str, &str)> {
        Some(match self {
            Self::RemoveChannel(name)
            | Self::Output(name, _)
            | Self::PutScene(name, _)
            | Self::PutOverlays(name, _)
            | Self::PutTransition(name, _)
            | Self::PutAudio(name, ..)
            | Self::ShowScene(name, _)
            | Self::PutSchedule(name, _)
            | Self::RemoveScene(name, _) => ("channel", name),
            Self::AddChannel(channel) | Self::ReplaceChannel(channel) => ("channel", &channel.name),
            Self::Push(part) => ("push", part.name()),
            Self::Pull(part) => ("pull", part.name()),
            Self::Record(part) => ("record", part.name()),
            Self::Transcode(part) => ("transcode", name_of(part)),
            Self::Log(_) | Self::Rules(_) => return None,
        })
    }
}

impl Part<PushConfig> {
    fn name(&self) -> &str {
        name_of(self)
    }
}

impl Part<PullConfig> {
    fn name(&self) -> &str {
        name_of(self)
    }
}

impl Part<RecordConfig> {
    fn name(&self) -> &str {
        name_of(self)
    }
}

fn name_of<T: Named>(part: &Part<T>) -> &str {
    match part {
        Part::Gone(name) | Part::Switched(name, _) => name,
        Part::New(part) => part.name(),
    }
}

/// What ends comes first, so that its name and place are free for what begins.
fn parts<T: Named>(old: &[T], new: &[T]) -> impl Iterator<Item = Part<T>> {
    let find = |list: &[T], name: &str| list.iter().find(|one| one.name() == name).cloned();
    let stays = |was: &T, is: &T| was.switched(true) == is.switched(true);
    let (mut gone, mut begun) = (Vec::new(), Vec::new());
    for was in old {
        match find(new, was.name()) {
            Some(is) if stays(was, &is) => {
                if was.is_on() != is.is_on() {
                    begun.push(Part::Switched(is.name().to_owned(), is.is_on()));
                }
            }
            _ => gone.push(Part::Gone(was.name().to_owned())),
        }
    }
    for is in new {
        if find(old, is.name()).is_none_or(|was| !stays(&was, is)) {
            begun.push(Part::New(is.clone()));
        }
    }
    gone.into_iter().chain(begun)
}

fn channels(old: &[ChannelConfig], new: &[ChannelConfig], steps: &mut Vec<Step>) {
    // What encodes a channel is made for it: another one takes its place.
    let plain = |of: &InputSpec| InputSpec::new(&of.name, of.source.clone());
    let frame = |of: &ChannelConfig| ChannelConfig {
        scenes: Vec::new(),
        active: 0,
        transition: Transition::CUT,
        overlays: Vec::new(),
        outputs: Vec::new(),
        audio_sources: of.audio_sources.iter().map(plain).collect(),
        audio_bus: BusSpec::default(),
        // Rules are looked up as they are in use.
        input_rules: Vec::new(),
        schedule: None,
        ..of.clone()
    };
    let find = |is: &ChannelConfig| old.iter().find(|was| was.name == is.name);
    // One that is to make what another makes now begins when both have ended.
    let is_others = |is: &ChannelConfig| {
        let makes = |of: &ChannelConfig| {
            of.streams().any(|(_, stream)| is.streams().any(|(_, own)| own == stream))
        };
        old.iter().any(|other| other.name != is.name && makes(other))
    };
    for was in old {
        let is = new.iter().find(|is| is.name == was.name);
        if is.is_none_or(is_others) {
            steps.push(Step::RemoveChannel(was.name.clone()));
        }
    }
    for is in new {
        let Some(was) = find(is).filter(|_| !is_others(is)) else {
            steps.push(Step::AddChannel(Box::new(is.clone())));
            continue;
        };
        match frame(was) == frame(is) {
            true => scenes(was, is, steps),
            false => steps.push(Step::ReplaceChannel(Box::new(is.clone()))),
        }
        // An output sends the stream that its rendition had when it began.
        let sends_as_before = |output: &&OutputConfig| {
            let rendition = output.rendition.as_deref();
            was.stream_of(rendition) == is.stream_of(rendition)
        };
        let (kept, gone): (Vec<_>, Vec<_>) = was.outputs.iter().partition(sends_as_before);
        let kept: Vec<_> = kept.into_iter().cloned().collect();
        let gone = gone.into_iter().map(|output| Part::Gone(output.name.clone()));
        let outputs = gone.chain(parts(&kept, &is.outputs));
        steps.extend(outputs.map(|part| Step::Output(is.name.clone(), part)));
    }
}

fn scenes(was: &ChannelConfig, is: &ChannelConfig, steps: &mut Vec<Step>) {
    let name = |of: &ChannelConfig| of.scenes.get(of.active).map(|scene| scene.name.clone());
    // Those inside others come before them, and go after them.
    let mut put: Vec<_> = is.scenes.iter().filter(|scene| !was.scenes.contains(scene)).collect();
    put.sort_by_key(|scene| depth(scene, &is.scenes));
    steps.extend(put.into_iter().map(|scene| Step::PutScene(is.name.clone(), scene.clone())));
    if was.overlays != is.overlays {
        steps.push(Step::PutOverlays(is.name.clone(), is.overlays.clone()));
    }
    if was.transition != is.transition {
        steps.push(Step::PutTransition(is.name.clone(), is.transition.clone()));
    }
    if (&was.audio_sources, was.audio_bus) != (&is.audio_sources, is.audio_bus) {
        let (sources, bus) = (is.audio_sources.clone(), is.audio_bus);
        steps.push(Step::PutAudio(is.name.clone(), sources, bus));
    }
    if let Some(shown) = name(is).filter(|shown| name(was).as_ref() != Some(shown)) {
        steps.push(Step::ShowScene(is.name.clone(), shown));
    }
    if was.schedule != is.schedule {
        let schedule = is.schedule.clone().map(Box::new);
        steps.push(Step::PutSchedule(is.name.clone(), schedule));
    }
    let stays = |scene: &NamedScene| is.scenes.iter().any(|other| other.name == scene.name);
    let mut gone: Vec<_> = was.scenes.iter().filter(|scene| !stays(scene)).collect();
    gone.sort_by_key(|scene| std::cmp::Reverse(depth(scene, &was.scenes)));
    let gone = gone.into_iter().map(|scene| scene.name.clone());
    steps.extend(gone.map(|scene| Step::RemoveScene(is.name.clone(), scene)));
}

/// How many of the channel's scenes lie in each other in this one; they are in no circle.
fn depth(scene: &NamedScene, all: &[NamedScene]) -> usize {
    let find = |name: &str| all.iter().find(|it| it.name == name).map(|it| &it.scene);
    all.iter().filter(|other| scene.scene.shows(&other.name, &find)).count()
}

/// The tables whose change holds for the whole node and can be applied to it as it runs.
fn changed_rules(old: &Config, new: &Config) -> Vec<&'static str> {
    let tables = [
        ("[rtmp]", live_rtmp(&old.rtmp, &new.rtmp) != old.rtmp),
        ("[rtmp] trusted_proxies", old.trusted_proxies != new.trusted_proxies),
        ("[keys]", live_keys(&old.keys, &new.keys) != old.keys),
        ("[limits]", old.limits != new.limits),
        ("[delivery]", old.delivery != new.delivery),
        ("[channel.video] latency", !old.low_latency_streams().eq(new.low_latency_streams())),
        ("[[channel.input_rule]]", input_rules(old, new) != input_rules(new, old)),
        ("[[hook]]", old.hooks != new.hooks),
        ("[metrics]", old.metrics != new.metrics),
        ("[tls]", live_tls(&old.tls, &new.tls) != old.tls),
        ("[node] state", old.node.state != new.node.state),
    ];
    changed(&tables).collect()
}

/// The rules about inputs of the channels that another configuration has as well.
fn input_rules<'a>(of: &'a Config, other: &Config) -> BTreeMap<&'a str, &'a [InputRuleConfig]> {
    let stays = |it: &&ChannelConfig| other.channels.iter().any(|kept| kept.name == it.name);
    of.channels.iter().filter(stays).map(|it| (&*it.name, &*it.input_rules)).collect()
}

/// What takes a restart: sockets, threads, stores and names that are made once.
fn fixed(old: &Config, new: &Config) -> Vec<String> {
    let (r, s) = (&old.rtmp, &new.rtmp);
    let (h, i) = (&old.http, &new.http);
    let node = |of: &NodeConfig| (of.name.clone(), of.data_dir().to_owned());
    let http = |of: &HttpConfig| HttpConfig { enabled: false, port: 0, ..of.clone() };
    let keys = live_keys(&old.keys, &new.keys) != new.keys;
    let tls = live_tls(&old.tls, &new.tls) != new.tls;
    let tables = [
        ("[node] name", node(&old.node).0 != node(&new.node).0),
        ("[node] data_dir", node(&old.node).1 != node(&new.node).1),
        ("[node] log_format", old.node.log_format != new.node.log_format),
        ("[node] on_core_loss", old.node.on_core_loss != new.node.on_core_loss),
        ("[rtmp] bind", r.bind != s.bind),
        ("[rtmp] port", r.port != s.port),
        ("[rtmp] publish", r.publish != s.publish),
        ("[rtmp] chunk_size", r.chunk_size != s.chunk_size),
        ("[keys] store and its address", keys),
        ("[http] enabled", h.enabled != i.enabled),
        ("[http] port", h.port != i.port),
        ("[http] bind, auth, cors, token", http(h) != http(i)),
        ("[obs_websocket]", old.obs_websocket != new.obs_websocket),
        ("[tls] rtmps_port, https, or a first or last certificate", tls),
        ("[cores]", old.cores != new.cores),
        ("[journal]", old.journal != new.journal),
        ("[assets]", old.assets != new.assets),
        ("[clips]", old.clips != new.clips),
        ("[[stream]]", old.streams != new.streams),
    ];
    changed(&tables).map(str::to_owned).collect()
}

fn changed<'a>(tables: &'a [(&'static str, bool)]) -> impl Iterator<Item = &'static str> + use<'a> {
    tables.iter().filter(|(_, differs)| *differs).map(|(table, _)| *table)
}

/// `old` with everything of `new` that can be applied while the node runs.
fn live_rtmp(old: &RtmpConfig, new: &RtmpConfig) -> RtmpConfig {
    let (bind, port, publish, knowing) = (old.bind, old.port, old.publish, old.knowing);
    // Messages are made in chunks of it, for viewers who were told it when they came.
    RtmpConfig { bind, port, publish, knowing, chunk_size: old.chunk_size, ..*new }
}

/// The same of `[keys]`: all but where the keys are.
fn live_keys(old: &KeysConfig, new: &KeysConfig) -> KeysConfig {
    KeysConfig {
        development: new.development,
        on_store_failure: new.on_store_failure,
        cache: new.cache,
        cache_denied: new.cache_denied,
        ban_after: new.ban_after,
        ban: new.ban,
        ..old.clone()
    }
}

/// The same of `[tls]`: other files, but not whether there is TLS.
fn live_tls(old: &TlsConfig, new: &TlsConfig) -> TlsConfig {
    let certificate = match (&old.certificate, &new.certificate) {
        (Some(_), Some(files)) => Some(files.clone()),
        _ => old.certificate.clone(),
    };
    TlsConfig { certificate, ca_file: new.ca_file.clone(), ..old.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "[node]\nname = \"n\"\n[rtmp]\nport = 1940\n[keys]\nban_after = 3\n\
        [[channel]]\nname = \"a\"\n[[channel.scene]]\nname = \"one\"\n\
        [[channel.scene]]\nname = \"two\"\n\
        [[channel.output]]\nname = \"x\"\nurl = \"rtmp://h/app/s3cret\"\n\
        [[push]]\nname = \"p\"\nstream = \"live/x\"\nurl = \"rtmp://h/app/s3cret\"\n";

    fn steps(old: &str, new: &str) -> (Vec<String>, Vec<String>) {
        let read = |text: &str| Config::parse(text, "a text").unwrap();
        let difference = Difference::between(&read(old), &read(new));
        let shown = format!("{difference:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        (difference.steps.iter().map(Step::to_string).collect(), difference.restart)
    }

    /// From the base to a text that has `to` in the place of `from`.
    fn changed(from: &str, to: &str) -> (Vec<String>, Vec<String>) {
        assert!(BASE.contains(from), "{from}");
        steps(BASE, &BASE.replacen(from, to, 1))
    }

    #[test]
    fn another_rundown_in_the_same_file_is_one_step_and_leaves_the_channel_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("day.toml");
        let text = BASE.replacen(
            "[[channel.output]]",
            &format!("[channel.schedule]\nfile = {file:?}\n[[channel.output]]"),
            1,
        );
        let read = |at: &str| {
            let item = format!("[[item]]\nname = \"a\"\nscene = \"two\"\nat = \"{at}\"\n");
            std::fs::write(&file, item).unwrap();
            Config::parse(&text, "a text").unwrap()
        };
        let [was, is] = ["10:00", "11:00"].map(read);
        let told = |old: &Config, new: &Config| {
            let steps = Difference::between(old, new).steps;
            steps.iter().map(Step::to_string).collect::<Vec<_>>()
        };
        assert_eq!(told(&was, &is), ["schedule of channel a changed"]);
        assert_eq!(told(&is, &is), [""; 0]);
        let none = Config::parse(BASE, "a text").unwrap();
        assert_eq!(told(&is, &none), ["schedule of channel a ended"]);
    }

    #[test]
    fn what_is_only_written_otherwise_is_no_difference() {
        let same = changed("port = 1940\n", "port    =  1_940 # the port\n");
        assert_eq!(same, (Vec::new(), Vec::new()));
        assert_eq!(changed("[rtmp]", "[limits]\n[rtmp]"), (Vec::new(), Vec::new()));
    }

    #[test]
    fn outputs_pushes_and_the_like_come_go_and_switch_by_their_names() {
        let more = "[[channel.output]]\nname = \"y\"\nurl = \"rtmp://h/app/s3cret\"\n[[push]]";
        assert_eq!(changed("[[push]]", more).0, ["added output y of channel a"]);
        let off = "app/s3cret\"\nenabled = false\n[[push]]";
        assert_eq!(changed("app/s3cret\"\n[[push]]", off).0, ["stopped output x of channel a"]);
        let elsewhere = changed("app/s3cret\"\n[[push]]", "app/s3cret2\"\n[[push]]").0;
        assert_eq!(elsewhere, ["removed output x of channel a", "added output x of channel a"]);
        assert_eq!(changed("name = \"p\"", "name = \"q\"").0, ["removed push p", "added push q"]);
        let pull = "[[pull]]\nname=\"i\"\nstream=\"live/i\"\nurl=\"rtmp://h/app/s3cret\"\n[[push]]";
        assert_eq!(changed("[[push]]", pull).0, ["added pull i"]);
        let record = "[[record]]\nname=\"r\"\nstream=\"live/i\"\ndir=\"./r\"\n[[push]]";
        assert_eq!(changed("[[push]]", record).0, ["added recording r"]);
    }

    #[test]
    fn a_new_scene_is_there_before_it_is_shown_and_an_old_one_goes_last() {
        assert_eq!(
            changed("name = \"two\"", "name = \"three\"").0,
            ["scene three of channel a was replaced", "scene two of channel a was removed",]
        );
        assert_eq!(
            changed("name = \"one\"", "name = \"three\"").0,
            [
                "scene three of channel a was replaced",
                "channel a shows scene three",
                "scene one of channel a was removed",
            ]
        );
        let shown = changed("name = \"a\"\n", "name = \"a\"\nactive = \"two\"\n").0;
        assert_eq!(shown, ["channel a shows scene two"]);
        let fade = "name = \"a\"\ntransition = { type = \"fade\" }\n";
        let other = changed("name = \"a\"\n", fade).0;
        assert_eq!(other, ["transition of channel a replaced"]);
        let other = changed("name = \"two\"", "name = \"two\"\nbackground = \"#112233\"").0;
        assert_eq!(other, ["scene two of channel a was replaced"]);
    }

    #[test]
    fn channels_come_and_go_and_one_that_is_encoded_otherwise_takes_the_others_place() {
        let more = "[[channel]]\nname = \"b\"\n[[push]]";
        assert_eq!(changed("[[push]]", more).0, ["channel b began"]);
        assert_eq!(steps(&BASE.replacen("[[push]]", more, 1), BASE).0, ["channel b ended"]);
        let video = "name = \"a\"\nvideo = { width = 640, height = 360 }\n";
        assert_eq!(changed("name = \"a\"\n", video).0, ["channel a was replaced"]);
        let all = format!("{video}stream = \"live/z\"\n");
        assert_eq!(
            changed("name = \"a\"\n", &all).0,
            [
                "channel a was replaced",
                "removed output x of channel a",
                "added output x of channel a"
            ]
        );
        let more = "name = \"a\"\nrendition = [{ name = \"low\", height = 360 }]\n";
        assert_eq!(changed("name = \"a\"\n", more).0, ["channel a was replaced"]);
        let named = BASE.replacen("name = \"a\"", "name = \"b\"\nstream = \"live/a\"", 1);
        assert_eq!(steps(BASE, &named).0, ["channel a ended", "channel b began"]);
    }

    #[test]
    fn settings_of_audio_are_changed_and_another_source_replaces_the_channel() {
        let source = |more: &str| {
            let head = "[[channel.audio_source]]\nname = \"s\"\n";
            format!("{head}{more}\n[[push]]")
        };
        let base = BASE.replacen("[[push]]", &source("type = \"bed\""), 1);
        let to = |more: &str| {
            let text = BASE.replacen("[[push]]", &source(more), 1);
            steps(&base, &text).0
        };
        assert_eq!(to("type = \"bed\"\ngain_db = -3"), ["audio of channel a changed"]);
        assert_eq!(to("type = \"beep\""), ["channel a was replaced"]);
        let bus =
            base.replacen("name = \"a\"\n", "name = \"a\"\naudio = { normalize_lufs = -23 }\n", 1);
        assert_eq!(steps(&base, &bus).0, ["audio of channel a changed"]);
    }

    #[test]
    fn channels_that_exchange_their_streams_end_before_either_begins() {
        let two = |a: &str, b: &str| {
            format!(
                "[[channel]]\nname = \"a\"\nstream = \"{a}\"\n\
                 [[channel]]\nname = \"b\"\nstream = \"{b}\"\n"
            )
        };
        let all = ["channel a ended", "channel b ended", "channel a began", "channel b began"];
        assert_eq!(steps(&two("live/1", "live/2"), &two("live/2", "live/1")).0, all);
        let moved = ["channel b ended", "channel a was replaced", "channel b began"];
        assert_eq!(steps(&two("live/1", "live/2"), &two("live/3", "live/1")).0, moved);
    }

    #[test]
    fn what_is_wanted_of_a_channel_that_could_not_be_replaced_is_not_tried() {
        let read = |text: &str| Config::parse(text, "a text").unwrap();
        let text = BASE
            .replacen("name = \"a\"\n", "name = \"a\"\nvideo = { bitrate = 900000 }\n", 1)
            .replacen("name = \"x\"", "name = \"y\"", 1);
        let steps = Difference::between(&read(BASE), &read(&text)).steps;
        let shown: Vec<_> = steps.iter().map(Step::to_string).collect();
        let replaced = shown.iter().position(|step| step == "channel a was replaced").unwrap();
        let depends = |step: &&Step| step.depends_on(&steps[replaced]);
        let held: Vec<_> = steps.iter().filter(depends).map(Step::to_string).collect();
        assert_eq!(held[1..], ["removed output x of channel a", "added output y of channel a"]);
        assert!(steps.iter().all(|step| !step.depends_on(&Step::RemoveChannel("a".to_owned()))));
    }

    #[test]
    fn what_holds_for_the_whole_node_is_applied_and_what_cannot_be_is_named() {
        for (from, to, rules) in [
            ("port = 1940", "port = 1940\nping = 7", "[rtmp] changed"),
            ("ban_after = 3", "ban_after = 4", "[keys] changed"),
            ("ban_after = 3", "ban_after = 3\ndevelopment = false", "[keys] changed"),
            ("[keys]", "[limits]\negress_max_bps = 9\n[keys]", "[limits] changed"),
            ("[keys]", "[delivery]\nlog_seconds = 9\n[keys]", "[delivery] changed"),
            (
                "[keys]",
                "[[hook]]\nname=\"h\"\nurl=\"http://h/\"\nevents=[\"started\"]\n[keys]",
                "[[hook]] changed",
            ),
            (
                "[[channel.scene]]",
                "[[channel.input_rule]]\nstream = \"live/x\"\nscene = \"two\"\n[[channel.scene]]",
                "[[channel.input_rule]] changed",
            ),
            ("[keys]", "[metrics]\nstreams_max = 7\n[keys]", "[metrics] changed"),
            ("name = \"n\"", "name = \"n\"\nstate = \"file-only\"", "[node] state changed"),
        ] {
            assert_eq!(changed(from, to), (vec![rules.to_owned()], Vec::new()), "{to}");
        }
        for (from, to, named) in [
            ("name = \"n\"", "name = \"m\"", "[node] name"),
            ("name = \"n\"", "name = \"n\"\ndata_dir = \"x\"", "[node] data_dir"),
            ("port = 1940", "port = 1941", "[rtmp] port"),
            ("port = 1940", "port = 1940\nbind = \"127.0.0.1\"", "[rtmp] bind"),
            ("port = 1940", "port = 1940\nchunk_size = 4096", "[rtmp] chunk_size"),
            (
                "ban_after = 3",
                "ban_after = 3\nstore = \"redis\"\nredis_url = \"redis://h\"",
                "[keys] store and its address",
            ),
            ("[keys]", "[http]\nport = 8\n[keys]", "[http] port"),
            ("[keys]", "[http]\nenabled = false\n[keys]", "[http] enabled"),
            ("[keys]", "[http]\ncors = \"*\"\n[keys]", "[http] bind, auth, cors, token"),
            ("[keys]", "[obs_websocket]\nport = 4456\n[keys]", "[obs_websocket]"),
            ("[keys]", "[cores]\ncontrol = [0]\n[keys]", "[cores]"),
            ("[keys]", "[journal]\nkeep = 1\n[keys]", "[journal]"),
            ("[keys]", "[assets]\nfiles_max = 1\n[keys]", "[assets]"),
            ("[keys]", "[clips]\nfiles_max = 1\n[keys]", "[clips]"),
        ] {
            assert_eq!(changed(from, to), (Vec::new(), vec![named.to_owned()]), "{to}");
        }
    }

    #[test]
    fn shards_are_told_of_low_latency_before_the_channel_is_made_anew() {
        let (steps, restart) = changed("name = \"a\"", "name = \"a\"\nvideo.latency = \"low\"");
        assert_eq!(steps[..2], ["[channel.video] latency changed", "channel a was replaced"]);
        assert_eq!(restart, [""; 0]);
    }

    #[test]
    fn what_takes_a_restart_or_has_failed_is_as_it_was_and_is_named_again() {
        let read = |text: &str| Config::parse(text, "a text").unwrap();
        let old = read(BASE);
        let text = BASE
            .replacen("port = 1940", "port = 1941\nping = 7", 1)
            .replacen("ban_after = 3", "ban_after = 4\nsentinel_master = \"m\"", 1)
            .replacen("name = \"n\"", "name = \"m\"", 1)
            .replacen("[[push]]", "[[channel]]\nname = \"b\"\n[[push]]", 1)
            .replacen("name = \"p\"", "name = \"q\"", 1)
            + "[cores]\ncontrol = [0]\n";
        let new = read(&text);
        let difference = Difference::between(&old, &new);
        let failed = difference.steps.iter().filter(|step| match step {
            Step::AddChannel(_) => true,
            Step::Push(part) => name_of(part) == "p",
            _ => false,
        });
        let now = Difference::settled(&old, &new, &failed.collect::<Vec<_>>());
        assert_eq!((now.rtmp.port, now.rtmp.ping), (1_940, crate::media::Micros::from_secs(7)));
        assert_eq!((now.keys.ban_after, now.keys.sentinel_master.as_str()), (4, "mymaster"));
        assert_eq!((now.node.name.as_str(), &now.cores), ("n", &old.cores));
        assert_eq!(now.channels, old.channels);
        let pushes: Vec<_> = now.pushes.iter().map(|push| push.name.as_str()).collect();
        assert_eq!(pushes, ["q", "p"]);
        assert!(read(now.written.expose()).is_same(&now), "what is written says the same");
        let again = Difference::between(&now, &new);
        assert_eq!(again.restart, difference.restart);
        assert_eq!(
            again.steps.iter().map(Step::to_string).collect::<Vec<_>>(),
            ["removed push p", "channel b began"]
        );
    }

    #[test]
    fn one_reload_may_do_both() {
        let (steps, restart) = changed("port = 1940", "port = 1941\nping = 7");
        assert_eq!(
            (steps, restart),
            (vec!["[rtmp] changed".to_owned()], vec!["[rtmp] port".to_owned()])
        );
    }
}
