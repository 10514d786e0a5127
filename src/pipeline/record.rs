//! The record stage: the shard hands a stream's messages to a thread that writes files. Neither
//! waits for the other: a writer that is behind loses messages up to a keyframe, and they are
//! counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::command::RecordEvent;
use crate::event::NodeEvent;
use crate::media::Micros;
use crate::record::{Disk, Input, Moment, Recorder};
use crate::ring::{Bell, Receiver};
use crate::runtime::Clock;
use crate::stats::{RecordStats, RunState};
use crate::stream::Message;

/// Messages that may wait for the disk: about ten seconds.
pub const RECORD_QUEUE: usize = 1_024;

/// How often it is told that the disk is too slow.
const LOSS_EVERY: Micros = Micros::from_secs(10);

/// How long the writer sleeps when there is nothing to write, at most.
const IDLE: Duration = Duration::from_millis(100);

/// What a writer's thread is given beside its recorder.
pub struct RecordShare {
    /// From the shard.
    pub messages: Receiver<RecordEvent>,
    /// Rung when there is something.
    pub bell: Arc<Bell>,
    /// Set, and the bell rung, once no message will come any more.
    pub stopping: Arc<AtomicBool>,
    /// Figures.
    pub stats: Arc<RecordStats>,
    /// The node's clock.
    pub clock: Clock,
}

/// Writes until the node stops or the shard is gone. `tell` hears what happens.
pub fn record<D: Disk>(
    mut recorder: Recorder<D>,
    mut share: RecordShare,
    mut tell: impl FnMut(NodeEvent),
) {
    let mut loss = Loss { told: share.stats.dropped_messages(), at: None };
    loop {
        #[cfg(test)]
        crate::runtime::fault::point();
        let moment = Moment { now: share.clock.now(), unix_s: share.clock.unix_secs() };
        let stops = share.stopping.load(Ordering::Acquire) || share.messages.is_finished();
        let event = share.messages.pop();
        let idle = event.is_none();
        match event {
            Some(RecordEvent::Message(message)) => {
                share.stats.taken(message.body().len());
                recorder.message(&input(&message), moment);
            }
            Some(RecordEvent::Ended) => recorder.ended(moment),
            None if stops => recorder.finish(),
            None => {}
        }
        recorder.tick(moment);
        loss.tell(&mut recorder, &share.stats, moment.now);
        account(&mut recorder, &share.stats, &mut tell);
        if idle && stops {
            return share.stats.set_state(RunState::Stopped);
        }
        if idle {
            let (messages, stopping) = (&share.messages, &share.stopping);
            share.bell.park(IDLE, || {
                !messages.is_empty() || messages.is_finished() || stopping.load(Ordering::Acquire)
            });
        }
    }
}

/// What was lost because the disk is too slow.
struct Loss {
    /// Messages that have been told.
    told: u64,
    /// When they were.
    at: Option<Micros>,
}

impl Loss {
    fn tell<D: Disk>(&mut self, recorder: &mut Recorder<D>, stats: &RecordStats, now: Micros) {
        let lost = stats.dropped_messages() - self.told;
        if lost == 0 || self.at.is_some_and(|at| now.since(at) < LOSS_EVERY) {
            return;
        }
        (self.told, self.at) = (self.told + lost, Some(now));
        recorder.lost(lost);
    }
}

/// A message as a recording takes it.
#[must_use]
pub fn input(message: &Message) -> Input<'_> {
    Input {
        kind: message.kind(),
        time: message.time(),
        is_key: message.is_key() && message.track() == 0,
        header: (message.is_header() && !message.is_config()).then_some(message.track()),
        body: message.body(),
    }
}

fn account<D: Disk>(
    recorder: &mut Recorder<D>,
    stats: &RecordStats,
    tell: &mut impl FnMut(NodeEvent),
) {
    stats.wrote(recorder.take_bytes());
    stats.set_state(match () {
        () if recorder.has_failed() => RunState::Failed,
        () if recorder.is_writing() => RunState::Live,
        () => RunState::Idle,
    });
    for news in recorder.take_news() {
        match &news {
            NodeEvent::RecordStarted { .. } => stats.file_begun(),
            NodeEvent::RecordStopped { .. } => stats.stopped(),
            _ => {}
        }
        tell(news);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PacketBuf;
    use crate::media::Kind;
    use crate::record::{Folder, Format, RecordSpec};
    use crate::ring::channel;
    use crate::stream::Flags;

    #[test]
    fn what_a_slow_disk_has_cost_is_told_with_its_folder() {
        let (mut ring, messages) = channel(4, Bell::new());
        let key = PacketBuf::copy_of(&[0x12, 0]);
        let key = Message::new(Kind::Video, 0, Flags::KEY, key, 1_000);
        ring.push(RecordEvent::Message(key)).unwrap();
        let stats = Arc::new(RecordStats::default());
        stats.handed_over(2);
        stats.dropped(5);
        let dir = tempfile::tempdir().unwrap();
        let spec = RecordSpec {
            name: "show".to_owned(),
            format: Format::Flv,
            split_s: 0,
            split_bytes: 0,
            free_bytes_min: 0,
        };
        let share = RecordShare {
            messages,
            bell: Bell::new(),
            stopping: Arc::new(AtomicBool::new(true)),
            stats: Arc::clone(&stats),
            clock: Clock::start(),
        };
        let mut told = Vec::new();
        // What was lost before it began is nothing that its files lack.
        let recorder = || Recorder::new(spec.clone(), Folder::new(dir.path()));
        let mut loss = Loss { told: 0, at: None };
        let mut behind = recorder();
        loss.tell(&mut behind, &stats, Micros::from_secs(1));
        loss.tell(&mut behind, &stats, Micros::from_secs(2));
        let news: Vec<_> = behind.take_news().iter().map(ToString::to_string).collect();
        let [line] = &news[..] else { panic!("{news:?}") };
        assert!(
            line.contains("5 messages") && line.contains(dir.path().to_str().unwrap()),
            "{line}"
        );

        record(recorder(), share, |news| told.push(news.name()));
        assert_eq!(told, ["record_started", "record_finished"]);
        assert_eq!(stats.read().state, RunState::Stopped);
        assert!(ring.is_closed(), "the shard sees that it has ended");
    }
}
