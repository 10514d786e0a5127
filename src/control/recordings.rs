//! The recordings of a node as control knows them: what each was told, and the thread that writes
//! its files while it runs.

use std::io;
use std::sync::Arc;

use crate::command::{Answer, Ask, RecordSink, ShardCommand};
use crate::config::{RECORDS_MAX, RecordConfig};
use crate::control::channels::context::ChannelContext;
use crate::control::event_queue::EventQueue;
use crate::control::threads::{Thread, ThreadPlace, ThreadRole, Threads};
use crate::ffi::set_log_subject;
use crate::pipeline::{self, RECORD_QUEUE, RecordShare};
use crate::record::{Folder, RecordSpec, Recorder};
use crate::ring::{Bell, channel};
use crate::runtime::{Clock, StopFlag};
use crate::stats::{CoreRole, RecordEntry, RecordStats, Registry};

/// What there is.
pub(crate) struct Recordings {
    clock: Clock,
    cpus: Vec<usize>,
    /// To the controller.
    events: EventQueue,
    /// Those that write. The node ends them after its shards, so that nothing is lost.
    writers: Threads,
    known: Vec<Known>,
}

struct Known {
    config: RecordConfig,
    stats: Arc<RecordStats>,
    writer: Option<Arc<Thread>>,
}

impl Recordings {
    pub(crate) fn new(context: &ChannelContext, writers: &Threads) -> Self {
        Self {
            clock: context.clock,
            cpus: context.encode_cpus.clone(),
            events: Arc::clone(&context.events),
            writers: writers.clone(),
            known: Vec::new(),
        }
    }

    /// What each recording was told and whether it runs.
    #[cfg(test)]
    fn specs(&self) -> impl Iterator<Item = RecordConfig> {
        let now = |known: &Known| RecordConfig { enabled: known.is_on(), ..known.config.clone() };
        self.known.iter().map(now)
    }

    /// Takes a recording, and starts it if it is enabled: what the registry and, then, its shard
    /// are told.
    ///
    /// # Errors
    /// If the system has no thread for it.
    pub(crate) fn open(
        &mut self,
        config: RecordConfig,
    ) -> io::Result<(RecordEntry, Option<RecordSink>)> {
        let stats = Arc::new(RecordStats::default());
        let entry = RecordEntry {
            name: config.name.clone(),
            stream: config.stream.clone(),
            dir: config.dir.display().to_string(),
            format: config.format.extension(),
            stats: Arc::clone(&stats),
        };
        let enabled = config.enabled;
        let mut known = Known { config, stats, writer: None };
        let feed = if enabled { Some(self.start(&mut known)?) } else { None };
        self.known.push(known);
        Ok((entry, feed))
    }

    /// Whether it is for [`Recordings::ask`].
    pub(crate) const fn answers(ask: &Ask) -> bool {
        matches!(
            ask,
            Ask::AddRecording { .. }
                | Ask::RemoveRecording { .. }
                | Ask::StartRecording { .. }
                | Ask::StopRecording { .. }
        )
    }

    /// Answers a wish about a recording, and says what the shard is to do.
    pub(crate) fn ask(&mut self, ask: Ask, registry: &Registry) -> (Answer, Option<ShardCommand>) {
        let done = match ask {
            Ask::AddRecording { document } => RecordConfig::from_document(&document)
                .map_err(Answer::Invalid)
                .and_then(|config| self.add(config, registry)),
            Ask::RemoveRecording { name } => self.find(&name).map(|at| {
                if let Some(writer) = self.known.remove(at).writer {
                    writer.stop();
                }
                registry.remove_record(&name);
                (Answer::Done, None)
            }),
            Ask::StartRecording { name } => self.find(&name).and_then(|at| self.start_again(at)),
            Ask::StopRecording { name } => self.find(&name).map(|at| {
                if let Some(writer) = &self.known[at].writer {
                    writer.stop();
                }
                (Answer::Done, None)
            }),
            other => Err(Answer::Unavailable(format!("{other:?} is not about a recording"))),
        };
        done.unwrap_or_else(|answer| (answer, None))
    }

    fn add(&mut self, config: RecordConfig, registry: &Registry) -> Result<Done, Answer> {
        let name = config.name.clone();
        if self.find(&name).is_ok() {
            let text = format!("there is a recording {name} already; choose another name");
            return Err(Answer::Conflict(text));
        }
        if self.known.len() >= RECORDS_MAX {
            let text = format!("the node has {RECORDS_MAX} recordings; remove one first");
            return Err(Answer::Conflict(text));
        }
        let (entry, feed) = self.open(config).map_err(|error| no_thread(&error))?;
        registry.add_record(&entry);
        Ok((Answer::Named(name), feed.map(ShardCommand::Record)))
    }

    fn start_again(&mut self, at: usize) -> Result<Done, Answer> {
        if self.known[at].is_on() {
            return Ok((Answer::Done, None));
        }
        if self.known[at].writer.as_ref().is_some_and(|writer| !writer.is_over()) {
            let text = "it is still completing its file; try again in a moment";
            return Err(Answer::Conflict(text.to_owned()));
        }
        let mut known = self.known.remove(at);
        let started = self.start(&mut known);
        self.known.insert(at, known);
        let feed = started.map_err(|error| no_thread(&error))?;
        Ok((Answer::Done, Some(ShardCommand::Record(feed))))
    }

    /// Starts a recording again whose thread has panicked: what the shard is told. Nothing
    /// if it is not to run.
    pub(crate) fn restart(&mut self, name: &str) -> Option<RecordSink> {
        let at = self.find(name).ok().filter(|at| self.known[*at].is_on())?;
        let mut known = self.known.remove(at);
        let started = self.start(&mut known);
        self.known.insert(at, known);
        started.inspect_err(|error| tracing::error!("recording {name}: no thread: {error}")).ok()
    }

    /// Starts the thread that writes; what the shard is told.
    fn start(&self, known: &mut Known) -> io::Result<RecordSink> {
        let bell = Bell::new();
        let (ring, messages) = channel(RECORD_QUEUE, Arc::clone(&bell));
        let stop = StopFlag::new(Arc::clone(&bell));
        let stats = Arc::clone(&known.stats);
        stats.settle();
        let config = &known.config;
        let spec = RecordSpec {
            name: config.name.clone(),
            format: config.format,
            split_s: config.split_s,
            split_bytes: u64::from(config.split_mb) << 20,
            free_bytes_min: u64::from(config.min_free_mb) << 20,
        };
        let recorder = Recorder::new(spec, Folder::new(&config.dir));
        let share = RecordShare {
            messages,
            bell,
            stopping: Arc::clone(stop.flag()),
            stats: Arc::clone(&stats),
            clock: self.clock,
        };
        let events = Arc::clone(&self.events);
        let subject = format!("recording {}", config.name);
        let run = move || {
            set_log_subject(&subject);
            pipeline::record(recorder, share, |event| drop(events.force_push(event)));
        };
        let role = ThreadRole { role: CoreRole::Recording, of: config.name.clone() };
        known.writer = Some(self.writers.spawn(
            role,
            ThreadPlace::below("record", &self.cpus),
            Some(stop),
            run,
        )?);
        let (name, stream) = (Arc::from(config.name.as_str()), Arc::from(config.stream.as_str()));
        Ok(RecordSink { name, stream, ring, stats })
    }

    fn find(&self, name: &str) -> Result<usize, Answer> {
        let found = self.known.iter().position(|known| known.config.name == name);
        found.ok_or_else(|| Answer::NotFound(format!("there is no recording {name}")))
    }
}

impl Known {
    /// Whether it has been started, and not stopped since.
    fn is_on(&self) -> bool {
        self.writer.as_ref().is_some_and(|writer| !writer.is_stopped())
    }
}

/// The answer, and what a shard is to do, if anything.
type Done = (Answer, Option<ShardCommand>);

fn no_thread(error: &io::Error) -> Answer {
    Answer::Unavailable(format!("the system has no thread for it: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Micros;
    use crossbeam::queue::ArrayQueue;
    use serde_json::{Value, json};

    fn recordings() -> (Recordings, Registry) {
        let recordings = Recordings {
            clock: Clock::start(),
            cpus: Vec::new(),
            events: Arc::new(ArrayQueue::new(8)),
            writers: Threads::default(),
            known: Vec::new(),
        };
        (recordings, Registry::default())
    }

    fn document(name: &str) -> Value {
        json!({"name": name, "stream": "live/a", "dir": "/proc/nowhere", "format": "mp4"})
    }

    fn add(name: &str) -> Ask {
        Ask::AddRecording { document: document(name) }
    }

    fn names(registry: &Registry) -> Vec<String> {
        registry.snapshot().records.into_iter().map(|record| record.name).collect()
    }

    #[test]
    fn a_recording_is_added_stopped_started_and_removed() {
        let (mut recordings, registry) = recordings();
        let (answer, command) = recordings.ask(add("show"), &registry);
        assert!(matches!(answer, Answer::Named(name) if name == "show"));
        let Some(ShardCommand::Record(feed)) = command else { panic!("{command:?}") };
        assert_eq!((&*feed.stream, names(&registry)), ("live/a", vec!["show".to_owned()]));
        let on =
            |recordings: &Recordings| recordings.specs().map(|it| it.enabled).collect::<Vec<_>>();
        assert_eq!(on(&recordings), [true]);

        let stop = || Ask::StopRecording { name: "show".to_owned() };
        let start = || Ask::StartRecording { name: "show".to_owned() };
        assert!(matches!(recordings.ask(stop(), &registry), (Answer::Done, None)));
        assert_eq!(on(&recordings), [false]);
        let writer = recordings.known[0].writer.clone().unwrap();
        while !writer.is_over() {
            let (answer, command) = recordings.ask(start(), &registry);
            match (answer, command) {
                (Answer::Conflict(text), None) => assert!(text.contains("try again"), "{text}"),
                (Answer::Done, Some(_)) => break,
                other => panic!("{other:?}"),
            }
            std::thread::yield_now();
        }
        assert!(feed.ring.is_closed(), "the shard lets go of it");
        recordings.ask(start(), &registry);
        assert_eq!(on(&recordings), [true]);
        assert!(matches!(recordings.ask(start(), &registry), (Answer::Done, None)), "it runs");

        let remove = Ask::RemoveRecording { name: "show".to_owned() };
        assert!(matches!(recordings.ask(remove.clone(), &registry), (Answer::Done, None)));
        assert!(names(&registry).is_empty() && on(&recordings).is_empty());
        assert!(matches!(recordings.ask(remove, &registry), (Answer::NotFound(_), None)));
        assert!(recordings.writers.finish(recordings.clock, Micros::from_secs(60)));
    }

    #[test]
    fn one_that_is_not_enabled_waits_to_be_started() {
        let (mut recordings, registry) = recordings();
        let mut document = document("show");
        document["enabled"] = json!(false);
        let (answer, command) = recordings.ask(Ask::AddRecording { document }, &registry);
        assert!(matches!((answer, command), (Answer::Named(_), None)));
        assert_eq!(names(&registry), ["show"]);
        let start = Ask::StartRecording { name: "show".to_owned() };
        assert!(matches!(recordings.ask(start, &registry), (Answer::Done, Some(_))));
    }

    #[test]
    fn what_is_wrong_is_told_as_of_the_file() {
        let (mut recordings, registry) = recordings();
        let mut told =
            |document: Value| match recordings.ask(Ask::AddRecording { document }, &registry) {
                (Answer::Invalid(faults), None) => faults.join("; "),
                other => panic!("{other:?}"),
            };
        assert!(told(json!({"name": "a", "dir": "d"})).contains("needs `stream`"));
        let mut wrong = document("a");
        wrong["format"] = json!("mkv");
        assert!(told(wrong).contains("\"flv\", \"mp4\""));
        let mut unknown = document("a");
        unknown["splits"] = json!(3);
        assert!(told(unknown).contains("split_s"), "the key that is meant is named");
        assert!(told(json!(3)).contains("an object"));
        assert!(names(&registry).is_empty());
    }

    #[test]
    fn names_are_unique_and_recordings_are_limited() {
        let (mut recordings, registry) = recordings();
        for number in 0..RECORDS_MAX {
            let mut document = document(&format!("r{number}"));
            document["enabled"] = json!(false);
            recordings.ask(Ask::AddRecording { document }, &registry);
        }
        for (name, part) in [("r3", "recording r3 already"), ("more", "64 recordings")] {
            let (answer, command) = recordings.ask(add(name), &registry);
            assert!(matches!(answer, Answer::Conflict(text) if text.contains(part)));
            assert!(command.is_none());
        }
    }
}
