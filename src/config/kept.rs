//! Kept state: changes made while the node ran, which stand above its file and survive a restart.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::audio_bus;
use super::audio_document::LIVE_KEYS;
use super::load::parse_as;
use super::output::OutputConfig;
use super::relay::{PullConfig, PushConfig, RecordConfig};
use super::scene::NamedScene;
use super::{Config, NodeConfig, write};
use crate::audio::{BusSpec, InputSpec};
use crate::scene::{Layer, Transition};

/// Changes that are kept at most. Further ones hold until the node ends.
pub const KEPT_MAX: usize = 10_000;

/// What stands at the begin of the file.
const HEADING: &str = "# What was changed through the API, above the configuration file. The node \
                       writes this file;\n# remove it while the node is stopped to forget the \
                       changes. It may hold secrets.\n\n";

/// One part of a node that can be changed while it runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What is logged.
    Log,
    /// An output: channel and name.
    Output(String, String),
    /// A push.
    Push(String),
    /// A pull.
    Pull(String),
    /// A recording.
    Record(String),
    /// A scene: channel and name.
    Scene(String, String),
    /// The overlays of a channel.
    Overlays(String),
    /// How other scenes of a channel come on the air.
    Transition(String),
    /// Which scene of a channel is on the air.
    OnAir(String),
    /// The settings of an audio source: channel and name.
    AudioSource(String, String),
    /// The bus of a channel's audio.
    AudioBus(String),
}

/// What a part has become. Debug shows no secret.
#[derive(Clone, Debug, PartialEq)]
pub enum Becomes {
    /// This filter.
    Log(String),
    /// This output of a channel.
    Output(String, OutputConfig),
    /// This push.
    Push(PushConfig),
    /// This pull.
    Pull(PullConfig),
    /// This recording.
    Record(RecordConfig),
    /// This scene of a channel.
    Scene(String, NamedScene),
    /// This stack of overlays of a channel.
    Overlays(String, Vec<Layer>),
    /// This transition of a channel.
    Transition(String, Transition),
    /// On the air: channel and scene.
    OnAir(String, String),
    /// An audio source of a channel with these settings.
    AudioSource(String, Box<InputSpec>),
    /// This bus of a channel.
    AudioBus(String, BusSpec),
    /// There is no such thing any more.
    Gone(Part),
}

impl Becomes {
    /// The part that it is about.
    pub(crate) fn part(&self) -> Part {
        match self {
            Self::Log(_) => Part::Log,
            Self::Output(channel, of) => Part::Output(channel.clone(), of.name.clone()),
            Self::Push(of) => Part::Push(of.name.clone()),
            Self::Pull(of) => Part::Pull(of.name.clone()),
            Self::Record(of) => Part::Record(of.name.clone()),
            Self::Scene(channel, of) => Part::Scene(channel.clone(), of.name.clone()),
            Self::Overlays(channel, _) => Part::Overlays(channel.clone()),
            Self::Transition(channel, _) => Part::Transition(channel.clone()),
            Self::OnAir(channel, _) => Part::OnAir(channel.clone()),
            Self::AudioSource(channel, of) => Part::AudioSource(channel.clone(), of.name.clone()),
            Self::AudioBus(channel, _) => Part::AudioBus(channel.clone()),
            Self::Gone(part) => part.clone(),
        }
    }

    fn table(&self) -> Option<Table> {
        let one = |key: &str, value: &str| {
            Table::from_iter([(key.to_owned(), Value::String(value.to_owned()))])
        };
        Some(match self {
            Self::Log(filter) => one("level", filter),
            Self::Output(_, of) => write::output(of),
            Self::Push(of) => write::push(of),
            Self::Pull(of) => write::pull(of),
            Self::Record(of) => write::record(of),
            Self::Scene(_, of) => write::scene(of),
            Self::Overlays(_, layers) => write::overlays(layers),
            Self::Transition(_, of) => write::transition(of),
            Self::OnAir(_, scene) => one("scene", scene),
            Self::AudioSource(_, of) => {
                let mut table = write::audio(of);
                table.retain(|key, _| LIVE_KEYS.contains(&key));
                table
            }
            Self::AudioBus(_, of) => audio_bus::write(*of),
            Self::Gone(_) => return None,
        })
    }
}

/// All changes: to each part the table that describes it, or nothing if it is gone.
#[derive(Clone, Default, PartialEq)]
pub struct Kept(BTreeMap<Part, Option<Table>>);

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Kept").field(&self.0.keys()).finish()
    }
}

impl Kept {
    /// Reads what [`Kept::text`] gave.
    ///
    /// # Errors
    /// With what is wrong, if it is something else.
    pub fn read(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            // Its longer text shows the line, which may hold a secret.
            error.message().to_owned()
        })?;
        let mut kept = Self::default();
        for change in table.get("change").and_then(Value::as_array).into_iter().flatten() {
            let (part, becomes) =
                change.as_table().and_then(read_change).ok_or("one of its changes is no change")?;
            kept.0.insert(part, becomes);
        }
        Ok(kept)
    }

    /// All of it as a text. Holds secrets.
    #[must_use]
    pub fn text(&self) -> String {
        let changes = self.0.iter().map(|(part, becomes)| write_change(part, becomes.as_ref()));
        let changes = Value::Array(changes.map(Value::Table).collect());
        let table = Table::from_iter([("change".to_owned(), changes)]);
        format!("{HEADING}{table}")
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was changed, for people.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        self.0.keys().map(Part::words).collect()
    }

    /// Takes a change of a node whose file says `file`. One that only leads back to that is
    /// forgotten. False if there are too many.
    pub fn set(&mut self, becomes: &Becomes, file: &Config) -> bool {
        let part = becomes.part();
        if self.0.len() >= KEPT_MAX && !self.0.contains_key(&part) {
            return false;
        }
        self.0.insert(part.clone(), becomes.table());
        let mut without = self.clone();
        without.0.remove(&part);
        if without.clone().over(file).0.is_same(&self.clone().over(file).0) {
            *self = without;
        }
        true
    }

    /// The configuration with the changes in it, and what became of those that do not fit any
    /// more: changes of a channel that is gone are forgotten, others wait until they fit.
    #[must_use]
    pub fn over(&mut self, file: &Config) -> (Config, Vec<String>) {
        let mut told = Vec::new();
        self.0.retain(|part, _| match part.channel() {
            Some(name) if !file.channels.iter().any(|channel| channel.name == *name) => {
                told.push(format!("channel {name} is gone: what was changed of it is forgotten"));
                false
            }
            _ => true,
        });
        told.dedup();
        let Ok(table) = file.written.expose().parse::<Table>() else { return (file.clone(), told) };
        if self.0.is_empty() || table.is_empty() {
            return (file.clone(), told);
        }
        let mut all = table.clone();
        self.0.iter().for_each(|(part, becomes)| apply(&mut all, part, becomes.as_ref(), file));
        if let Ok(config) = merged(&all, file) {
            return (config, told);
        }
        // One by one, to leave out as few as possible.
        let (mut all, mut config) = (table, file.clone());
        for (part, becomes) in &self.0 {
            let mut next = all.clone();
            apply(&mut next, part, becomes.as_ref(), file);
            match merged(&next, file) {
                Ok(good) => (all, config) = (next, good),
                Err(fault) => told.push(format!("{}: {fault}", part.words())),
            }
        }
        (config, told)
    }
}

impl Part {
    fn channel(&self) -> Option<&String> {
        match self {
            Self::Output(channel, _)
            | Self::Scene(channel, _)
            | Self::Overlays(channel)
            | Self::Transition(channel)
            | Self::OnAir(channel)
            | Self::AudioSource(channel, _)
            | Self::AudioBus(channel) => Some(channel),
            Self::Log | Self::Push(_) | Self::Pull(_) | Self::Record(_) => None,
        }
    }

    /// Kind, channel and name, as the file has them.
    fn names(&self) -> (&'static str, &str, &str) {
        match self {
            Self::Log => ("log", "", ""),
            Self::Output(channel, name) => ("output", channel, name),
            Self::Push(name) => ("push", "", name),
            Self::Pull(name) => ("pull", "", name),
            Self::Record(name) => ("record", "", name),
            Self::Scene(channel, name) => ("scene", channel, name),
            Self::Overlays(channel) => ("overlays", channel, ""),
            Self::Transition(channel) => ("transition", channel, ""),
            Self::OnAir(channel) => ("on-air", channel, ""),
            Self::AudioSource(channel, name) => ("audio-source", channel, name),
            Self::AudioBus(channel) => ("audio-bus", channel, ""),
        }
    }

    fn of_names(kind: &str, channel: &str, name: &str) -> Option<Self> {
        let (channel, name) = (channel.to_owned(), name.to_owned());
        Some(match kind {
            "log" => Self::Log,
            "output" => Self::Output(channel, name),
            "push" => Self::Push(name),
            "pull" => Self::Pull(name),
            "record" => Self::Record(name),
            "scene" => Self::Scene(channel, name),
            "overlays" => Self::Overlays(channel),
            "transition" => Self::Transition(channel),
            "on-air" => Self::OnAir(channel),
            "audio-source" => Self::AudioSource(channel, name),
            "audio-bus" => Self::AudioBus(channel),
            _ => return None,
        })
    }

    /// For people.
    fn words(&self) -> String {
        match self {
            Self::Log => "the log level".to_owned(),
            Self::OnAir(channel) => format!("the scene on the air in channel {channel}"),
            Self::Overlays(channel) => format!("the overlays of channel {channel}"),
            Self::Transition(channel) => format!("the transition of channel {channel}"),
            Self::AudioSource(channel, name) => format!("audio source {name} of channel {channel}"),
            Self::AudioBus(channel) => format!("the audio bus of channel {channel}"),
            other => match other.names() {
                (kind, "", name) => format!("{kind} {name}"),
                (kind, channel, name) => format!("{kind} {name} of channel {channel}"),
            },
        }
    }
}

fn write_change(part: &Part, becomes: Option<&Table>) -> Table {
    let (kind, channel, name) = part.names();
    let mut table = Table::new();
    for (key, value) in [("kind", kind), ("channel", channel), ("name", name)] {
        if !value.is_empty() {
            table.insert(key.to_owned(), value.into());
        }
    }
    if let Some(becomes) = becomes {
        table.insert("becomes".to_owned(), Value::Table(becomes.clone()));
    }
    table
}

fn read_change(table: &Table) -> Option<(Part, Option<Table>)> {
    let text = |key: &str| table.get(key).and_then(Value::as_str);
    let part = Part::of_names(
        text("kind")?,
        text("channel").unwrap_or_default(),
        text("name").unwrap_or_default(),
    )?;
    Some((part, table.get("becomes").and_then(Value::as_table).cloned()))
}

/// The node that a text describes, for what can be changed; all else is as the file has it.
fn merged(table: &Table, file: &Config) -> Result<Config, String> {
    let text = table.to_string();
    let read = parse_as(&text, "what was changed", true).map_err(|errors| {
        let first = errors.faults.first();
        first.map_or_else(String::new, |fault| fault.text.clone())
    })?;
    Ok(Config {
        node: NodeConfig { log: read.node.log, ..file.node.clone() },
        channels: read.channels,
        pulls: read.pulls,
        pushes: read.pushes,
        records: read.records,
        written: read.written,
        ..file.clone()
    })
}

fn apply(table: &mut Table, part: &Part, becomes: Option<&Table>, file: &Config) {
    let word = |key: &str| becomes.and_then(|it| it.get(key)).cloned();
    match part {
        Part::Log => {
            let node = table.entry("node").or_insert_with(|| Value::Table(Table::new()));
            if let (Some(node), Some(level)) = (node.as_table_mut(), word("level")) {
                node.insert("log".to_owned(), level);
            }
        }
        Part::Push(name) => replace(table, "push", name, becomes),
        Part::Pull(name) => replace(table, "pull", name, becomes),
        Part::Record(name) => replace(table, "record", name, becomes),
        Part::Output(channel, name) => {
            if let Some(channel) = channel_in(table, channel) {
                replace(channel, "output", name, becomes);
            }
        }
        Part::Scene(channel, name) => {
            if let Some(channel) = channel_with_scenes(table, channel, file) {
                replace(channel, "scene", name, becomes);
                // The scene on the air goes with what is put there instead.
                let active = channel.get("active").and_then(Value::as_str);
                if becomes.is_none() && active == Some(name.as_str()) {
                    channel.remove("active");
                }
            }
        }
        Part::Overlays(channel) => {
            let channel = channel_in(table, channel);
            if let (Some(channel), Some(layers)) = (channel, word("overlay")) {
                channel.insert("overlay".to_owned(), layers);
            }
        }
        Part::Transition(channel) => {
            if let (Some(channel), Some(it)) = (channel_in(table, channel), becomes) {
                channel.insert("transition".to_owned(), Value::Table(it.clone()));
            }
        }
        Part::AudioSource(channel, name) => {
            let source = audio_source_in(table, (channel, name), file);
            if let (Some(source), Some(it)) = (source, becomes) {
                source.retain(|key, _| !LIVE_KEYS.contains(&key));
                source.extend(it.clone());
            }
        }
        Part::AudioBus(channel) => {
            let channel = channel_in(table, channel);
            let bus = channel.map(|it| it.entry("audio").or_insert_with(|| Table::new().into()));
            if let (Some(bus), Some(it)) = (bus.and_then(Value::as_table_mut), becomes) {
                bus.retain(|key, _| !audio_bus::KEYS.contains(&key));
                bus.extend(it.clone());
            }
        }
        Part::OnAir(channel) => {
            let channel = channel_in(table, channel);
            if let (Some(channel), Some(scene)) = (channel, word("scene")) {
                channel.insert("active".to_owned(), scene);
            }
        }
    }
}

/// Puts a table in the place of the one with its name, or at the end; or takes that one away.
fn replace(table: &mut Table, key: &str, name: &str, becomes: Option<&Table>) {
    let list = table.entry(key).or_insert_with(|| Value::Array(Vec::new()));
    let Some(list) = list.as_array_mut() else { return };
    let is_it = |one: &Value| one.get("name").and_then(Value::as_str) == Some(name);
    let place = list.iter().position(is_it);
    match (place, becomes) {
        (Some(place), Some(table)) => list[place] = Value::Table(table.clone()),
        (Some(place), None) => drop(list.remove(place)),
        (None, Some(table)) => list.push(Value::Table(table.clone())),
        (None, None) => {}
    }
}

fn channel_in<'a>(table: &'a mut Table, name: &str) -> Option<&'a mut Table> {
    let channels = table.get_mut("channel")?.as_array_mut()?;
    let mut channels = channels.iter_mut().filter_map(Value::as_table_mut);
    channels.find(|channel| channel.get("name").and_then(Value::as_str) == Some(name))
}

/// An audio source of a channel, whose sources are written out if they are the built-in ones.
fn audio_source_in<'a>(
    table: &'a mut Table,
    (channel, name): (&str, &str),
    file: &Config,
) -> Option<&'a mut Table> {
    let of = file.channels.iter().find(|it| it.name == *channel)?;
    let channel = channel_in(table, channel)?;
    let written = || of.audio_sources.iter().map(|it| Value::Table(write::audio(it))).collect();
    let sources = channel.entry("audio_source").or_insert_with(|| Value::Array(written()));
    let mut sources = sources.as_array_mut()?.iter_mut().filter_map(Value::as_table_mut);
    sources.find(|source| source.get("name").and_then(Value::as_str) == Some(name))
}

/// The channel, with all its scenes as `[[channel.scene]]`, however the file has them.
fn channel_with_scenes<'a>(
    table: &'a mut Table,
    name: &str,
    file: &Config,
) -> Option<&'a mut Table> {
    let of = file.channels.iter().find(|channel| channel.name == name)?;
    let channel = channel_in(table, name)?;
    let has_main = channel.contains_key("layer") || channel.contains_key("background");
    if !has_main && channel.get("scene").is_some_and(Value::is_array) {
        return Some(channel);
    }
    channel.remove("layer");
    channel.remove("background");
    let tables = |list: Vec<Table>| Value::Array(list.into_iter().map(Value::Table).collect());
    channel.insert("scene".to_owned(), tables(of.scenes.iter().map(write::scene).collect()));
    // The built-in scenes come with audio_sources, which the same scenes written out do not.
    channel.insert(
        "audio_source".to_owned(),
        tables(of.audio_sources.iter().map(write::audio).collect()),
    );
    Some(channel)
}

#[cfg(test)]
mod tests;
