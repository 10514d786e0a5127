//! The pulls of a node as control knows them: what each was told, whether it is on, and its number
//! on the shard that has it.

use std::sync::Arc;

use crate::command::{Answer, Ask, Document, PullSpec, ShardCommand};
use crate::config::{PullConfig, PullMode, RELAYS_MAX, StreamConfig};
use crate::stats::{LineStats, PullEntry, Registry, url_without_secrets};

/// What there is.
#[derive(Debug, Default)]
pub(crate) struct Pulls {
    known: Vec<Known>,
    /// Streams with a fallback: what is pulled into one of them is its source.
    protected: Vec<StreamConfig>,
    /// Number of the next one.
    next: usize,
}

#[derive(Debug)]
struct Known {
    /// As it is now: enabled while it is on.
    config: PullConfig,
    id: usize,
    stats: Arc<LineStats>,
}

impl Known {
    /// What its shard and the registry are told.
    fn parts(&self, protected: &[StreamConfig]) -> (PullSpec, PullEntry) {
        let Self { config, id, stats } = self;
        let entry = PullEntry {
            name: config.name.clone(),
            stream: config.stream.clone(),
            url: url_without_secrets(&config.url.to_string()),
            mode: config.mode.name(),
            stats: Arc::clone(stats),
        };
        let local = protected.iter().find(|it| it.name == config.stream);
        let spec = PullSpec {
            id: *id,
            name: Arc::from(config.name.as_str()),
            stream: Arc::from(local.map_or(config.stream.as_str(), |it| &it.source)),
            url: config.url.clone(),
            linger: (config.mode == PullMode::OnDemand).then_some(config.linger),
            enabled: config.enabled,
            stats: Arc::clone(stats),
        };
        (spec, entry)
    }
}

impl Pulls {
    /// None yet, in a node with these streams.
    pub(crate) fn of(streams: &[StreamConfig]) -> Self {
        Self { protected: streams.to_vec(), ..Self::default() }
    }

    /// Takes a pull: what its shard and the registry are told.
    pub(crate) fn open(&mut self, config: &PullConfig) -> (PullSpec, PullEntry) {
        let id = self.next;
        self.next += 1;
        let known = Known { config: config.clone(), id, stats: Arc::default() };
        let parts = known.parts(&self.protected);
        self.known.push(known);
        parts
    }

    /// What another shard and the registry are told of a pull that is moved: it goes on as it is
    /// now. Its figures are new ones, which have counted what the old ones had: the shard that it
    /// leaves may still write those. Nothing if it is gone.
    pub(crate) fn again(&mut self, id: usize) -> Option<(PullSpec, PullEntry)> {
        let known = self.known.iter_mut().find(|known| known.id == id)?;
        known.stats = Arc::new(known.stats.continued());
        Some(known.parts(&self.protected))
    }

    /// Whether the pull of this number is on.
    pub(crate) fn is_on(&self, id: usize) -> bool {
        self.known.iter().any(|known| known.id == id && known.config.enabled)
    }

    /// The name of the pull of this number.
    pub(crate) fn name(&self, id: usize) -> String {
        let known = self.known.iter().find(|known| known.id == id);
        known.map(|known| known.config.name.clone()).unwrap_or_default()
    }

    /// What each pull was told and whether it is on, to be kept for the next start.
    #[cfg(test)]
    pub(crate) fn specs(&self) -> impl Iterator<Item = &PullConfig> {
        self.known.iter().map(|known| &known.config)
    }

    /// Whether it is for [`Pulls::ask`].
    pub(crate) const fn answers(ask: &Ask) -> bool {
        matches!(
            ask,
            Ask::AddPull { .. }
                | Ask::RemovePull { .. }
                | Ask::StartPull { .. }
                | Ask::StopPull { .. }
        )
    }

    /// Answers a wish about a pull, and says what the shard that pulls is to do.
    pub(crate) fn ask(&mut self, ask: Ask, registry: &Registry) -> (Answer, Option<ShardCommand>) {
        let done = match ask {
            Ask::AddPull { document: Document(document) } => PullConfig::from_document(&document)
                .map_err(Answer::Invalid)
                .and_then(|config| self.add(&config, registry)),
            Ask::RemovePull { name } => self.find(&name).map(|at| {
                registry.remove_pull(&name);
                let pull = self.known.remove(at).id;
                (Answer::Done, Some(ShardCommand::RemovePull { pull }))
            }),
            Ask::StartPull { name } => self.switch(&name, true),
            Ask::StopPull { name } => self.switch(&name, false),
            other => Err(Answer::Unavailable(format!("{other:?} is not about a pull"))),
        };
        done.unwrap_or_else(|answer| (answer, None))
    }

    fn add(&mut self, config: &PullConfig, registry: &Registry) -> Result<Done, Answer> {
        let (name, stream) = (&config.name, &config.stream);
        let taken = self.known.iter().map(|known| &known.config);
        for other in taken {
            if other.name == *name {
                let text = format!("there is a pull {name} already; choose another name");
                return Err(Answer::Conflict(text));
            }
            if other.stream == *stream {
                let text = format!("pull {} feeds {stream} already; remove it first", other.name);
                return Err(Answer::Conflict(text));
            }
        }
        if self.known.len() >= RELAYS_MAX {
            let text = format!("the node has {RELAYS_MAX} pulls; remove one first");
            return Err(Answer::Conflict(text));
        }
        let (spec, entry) = self.open(config);
        registry.add_pull(&entry);
        Ok((Answer::Named(name.clone()), Some(ShardCommand::AddPull(Box::new(spec)))))
    }

    fn switch(&mut self, name: &str, on: bool) -> Result<Done, Answer> {
        let at = self.find(name)?;
        self.known[at].config.enabled = on;
        let pull = self.known[at].id;
        Ok((Answer::Done, Some(ShardCommand::SwitchPull { pull, on })))
    }

    fn find(&self, name: &str) -> Result<usize, Answer> {
        let found = self.known.iter().position(|known| known.config.name == name);
        found.ok_or_else(|| Answer::NotFound(format!("there is no pull {name}")))
    }
}

/// The answer, and what a shard is to do, if anything.
type Done = (Answer, Option<ShardCommand>);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn add(document: Value) -> Ask {
        Ask::AddPull { document: Document(document) }
    }

    fn pull(name: &str, stream: &str) -> Value {
        json!({"name": name, "stream": stream, "url": "rtmp://h/live/s3cret", "mode": "always"})
    }

    #[test]
    fn a_pull_is_added_stopped_started_and_removed_and_what_it_is_now_is_known() {
        let (mut pulls, registry) = (Pulls::default(), Registry::default());
        let (answer, command) = pulls.ask(add(pull("a", "live/a")), &registry);
        assert!(matches!(&answer, Answer::Named(name) if name == "a"), "{answer:?}");
        let Some(ShardCommand::AddPull(spec)) = command else { panic!("{command:?}") };
        assert_eq!((spec.id, spec.linger, &*spec.stream), (0, None, "live/a"));
        let shown = registry.snapshot().pulls;
        assert_eq!((shown[0].name.as_str(), shown[0].mode), ("a", "always"));
        assert!(!shown[0].url.contains("s3cret"), "{}", shown[0].url);
        let name = || "a".to_owned();
        for (ask, on) in
            [(Ask::StopPull { name: name() }, false), (Ask::StartPull { name: name() }, true)]
        {
            let (answer, command) = pulls.ask(ask, &registry);
            assert!(matches!(answer, Answer::Done));
            let is_told =
                matches!(command, Some(ShardCommand::SwitchPull { pull: 0, on: is }) if is == on);
            assert!(is_told, "{command:?}");
            assert_eq!(pulls.specs().next().unwrap().enabled, on);
        }
        let (_, command) = pulls.ask(Ask::RemovePull { name: name() }, &registry);
        assert!(matches!(command, Some(ShardCommand::RemovePull { pull: 0 })), "{command:?}");
        assert!(pulls.specs().next().is_none() && registry.snapshot().pulls.is_empty());
        assert!(matches!(pulls.ask(add(pull("a", "live/a")), &registry).1,
            Some(ShardCommand::AddPull(spec)) if spec.id == 1));
    }

    #[test]
    fn names_and_streams_are_unique_and_what_is_wrong_is_said_without_a_secret() {
        let (mut pulls, registry) = (Pulls::default(), Registry::default());
        pulls.ask(add(pull("a", "live/a")), &registry);
        for (document, words) in [
            (pull("a", "live/b"), "a pull a already"),
            (pull("b", "live/a"), "pull a feeds live/a already"),
        ] {
            let (answer, command) = pulls.ask(add(document), &registry);
            assert!(
                matches!(&answer, Answer::Conflict(text) if text.contains(words)),
                "{answer:?}"
            );
            assert!(command.is_none());
        }
        let wrong = json!({"name": "c", "stream": "live/c", "url": "http://h/s3cret"});
        let (answer, _) = pulls.ask(add(wrong), &registry);
        assert!(matches!(&answer, Answer::Invalid(faults) if faults.len() == 1), "{answer:?}");
        assert!(!format!("{answer:?}").contains("s3cret"));
        let (answer, _) = pulls.ask(Ask::StopPull { name: "x".to_owned() }, &registry);
        assert!(matches!(&answer, Answer::NotFound(text) if text.contains("pull x")));
    }
}
