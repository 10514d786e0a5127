//! The failover stage: a plain thread that passes the messages of a published stream on, and those
//! of a standby while that is broken.

use std::sync::Arc;
use std::time::Duration;

use super::source::RateProbe;
use crate::command::{ChannelSource, ChannelSwitch, Encoded, SubscriptionEvent};
use crate::media::{FailoverState, FrameRate, Kind, Micros, Stamps};
use crate::ring::{Bell, Receiver, Sender};
use crate::runtime::{Clock, StopFlag};
use crate::stream::{Failover, FailoverNews, Message};

/// How long an idle thread sleeps before it looks again, should a ring of the bell be missed.
const IDLE: Duration = Duration::from_millis(500);

/// Audio messages of a standby that may wait for the pictures of their time.
const HOLD_MAX: usize = 32;

/// Messages that may wait for the shard. What comes when it is full is left out, pictures up to the
/// next keyframe.
pub const FAILOVER_QUEUE: usize = 2_048;

/// Standbys that may wait for the thread.
pub const STANDBY_QUEUE: usize = 4;

/// What fills a gap.
pub enum Standby {
    /// A channel, composed and encoded while that is wanted; the compose core looks when its bell
    /// rings.
    Channel(ChannelSource, Arc<Bell>),
    /// Another stream of the node.
    Stream(Receiver<SubscriptionEvent>),
    /// Nothing from now on.
    None,
}

/// Where what goes out is put.
pub struct FailoverOut {
    /// To the shard that owns the stream.
    pub ring: Sender<Encoded>,
    /// Ends the stream.
    pub switch: Arc<ChannelSwitch>,
}

/// Who opens the stream, makes the standby, and hears of both.
pub trait FailoverControl {
    /// A stream begins.
    fn open(&mut self) -> FailoverOut;

    /// What the source is like: its metadata and sequence headers, and how many pictures a second
    /// it has. Said again when that changes.
    fn source(&mut self, headers: &[Message], rate: FrameRate);

    /// Something is to be told.
    fn told(&mut self, news: FailoverNews);

    /// What goes out from now on.
    fn state(&mut self, state: FailoverState);

    /// The encoders of the standby have ended, and nobody has told them to.
    fn standby_lost(&mut self);
}

/// One stream and its standby.
pub struct FailoverStage<C> {
    failover: Failover,
    control: C,
    standby: Standby,
    /// Newest time of a picture of the standby.
    standby_video: Option<u32>,
    /// Whether the standby was told to be composed.
    is_wanted: bool,
    out: Option<FailoverOut>,
    /// Whether a picture was lost on the way to the shard.
    needs_key: bool,
    state: FailoverState,
    rate: RateProbe,
    /// Whether the source has other headers than were told.
    is_changed: bool,
    messages: Vec<Message>,
}

/// Runs until `stop`, or until the subscription of the source is gone. Runs on its own thread.
pub fn failover<C: FailoverControl>(
    mut stage: FailoverStage<C>,
    mut source: Receiver<SubscriptionEvent>,
    mut standbys: Receiver<Standby>,
    (bell, stop): (&Bell, &StopFlag),
    clock: Clock,
) {
    while !stop.is_stopped() {
        #[cfg(test)]
        crate::runtime::fault::point();
        let now = clock.now();
        let mut is_idle = true;
        if let Some(standby) = standbys.pop() {
            stage.set_standby(standby);
            is_idle = false;
        }
        match source.pop() {
            Some(SubscriptionEvent::Message(message, arrived)) => {
                stage.source(&message, arrived, now);
                is_idle = false;
            }
            Some(SubscriptionEvent::Ended { has_goodbye }) => stage.source_left(has_goodbye, now),
            None if source.is_finished() => break,
            None => {}
        }
        is_idle &= !stage.take_standby(now);
        let wait = stage.tick(now);
        if is_idle {
            bell.park(wait, || {
                stop.is_stopped()
                    || !source.is_empty()
                    || source.is_finished()
                    || !standbys.is_empty()
                    || stage.next_of_standby().is_some()
            });
        }
    }
    stage.leave();
}

impl<C: FailoverControl> FailoverStage<C> {
    /// Of a stream that is not there yet, without a standby.
    pub fn new(failover: Failover, control: C) -> Self {
        Self {
            failover,
            control,
            standby: Standby::None,
            standby_video: None,
            is_wanted: false,
            out: None,
            needs_key: false,
            state: FailoverState::Idle,
            rate: RateProbe::default(),
            is_changed: false,
            messages: Vec::new(),
        }
    }

    fn source(&mut self, message: &Message, arrived: Micros, now: Micros) {
        self.is_changed |= message.is_header();
        if message.kind() == Kind::Video && !message.is_header() && message.track() == 0 {
            // The wrap is of no matter here: it lasts a second.
            self.rate.picture(i64::from(message.time()), arrived);
        }
        self.failover.source(message, arrived, &mut self.messages);
        self.publish(arrived);
        if self.is_changed
            && let Some(rate) = self.rate.rate(now)
        {
            self.is_changed = false;
            self.control.source(self.failover.source_headers(), rate);
        }
    }

    fn source_left(&mut self, has_goodbye: bool, now: Micros) {
        self.rate = RateProbe::default();
        self.failover.source_left(has_goodbye, now);
    }

    fn set_standby(&mut self, standby: Standby) {
        if let Standby::Channel(before, _) = &self.standby {
            before.switch.stop();
        }
        self.failover.forget_standby();
        self.standby = standby;
        (self.standby_video, self.is_wanted) = (None, false);
    }

    /// The track of the standby whose message is the next one, if that need not wait for another.
    fn next_of_standby(&self) -> Option<Kind> {
        let source = match &self.standby {
            Standby::Channel(source, _) => source,
            Standby::Stream(ring) => return (!ring.is_empty()).then_some(Kind::Video),
            Standby::None => return None,
        };
        let audio = source.audio.as_ref();
        let is_due = |next: &Encoded| {
            let reached = self.standby_video.is_some_and(|newest| !is_before(newest, next));
            next.message.is_header() || reached
        };
        match (source.video.peek(), audio.and_then(|ring| ring.peek())) {
            (Some(video), Some(next)) if is_before(video.message.time(), next) => Some(Kind::Video),
            (Some(_), None) => Some(Kind::Video),
            (Some(_), Some(_)) => Some(Kind::Audio),
            (None, Some(next)) => {
                let is_long = audio.is_some_and(|ring| ring.len() > HOLD_MAX);
                (is_due(next) || is_long).then_some(Kind::Audio)
            }
            (None, None) => None,
        }
    }

    /// Takes a message of the standby; false if there was none.
    fn take_standby(&mut self, now: Micros) -> bool {
        let next = self.next_of_standby();
        let message = match (&mut self.standby, next) {
            (Standby::Channel(source, _), Some(Kind::Audio)) => {
                source.audio.as_mut().and_then(|ring| ring.pop()).map(|it| it.message)
            }
            (Standby::Channel(source, _), Some(_)) => {
                let message = source.video.pop().map(|it| it.message);
                self.standby_video = message.as_ref().map(Message::time);
                message
            }
            (Standby::Channel(source, _), None) if source.video.is_finished() => {
                self.set_standby(Standby::None);
                self.control.standby_lost();
                None
            }
            (Standby::Stream(ring), Some(_)) => match ring.pop() {
                Some(SubscriptionEvent::Message(message, _)) => Some(message),
                Some(SubscriptionEvent::Ended { .. }) => {
                    self.failover.forget_standby();
                    None
                }
                None => None,
            },
            _ => None,
        };
        let Some(message) = message else { return false };
        self.failover.standby(&message, now, &mut self.messages);
        self.publish(now);
        true
    }

    /// Time has passed; how long nothing needs to be done.
    fn tick(&mut self, now: Micros) -> Duration {
        self.failover.tick(now, &mut self.messages);
        self.publish(now);
        self.want_standby(now);
        for news in self.failover.take_news() {
            if let FailoverNews::Over { has_goodbye } = news {
                self.end(has_goodbye);
            }
            self.control.told(news);
        }
        let state = self.failover.state();
        if std::mem::replace(&mut self.state, state) != state {
            self.control.state(state);
        }
        let due = self.failover.next_due(now).map_or(IDLE, |due| Duration::from(due - now));
        due.min(IDLE)
    }

    /// Has the standby composed, or not, and passes on who wants a keyframe of it.
    fn want_standby(&mut self, now: Micros) {
        let wanted = self.failover.wants_standby(now);
        let Standby::Channel(source, compose) = &self.standby else { return };
        if std::mem::replace(&mut self.is_wanted, wanted) != wanted {
            source.switch.pause(!wanted);
            compose.ring();
        }
        let is_asked = self.out.as_ref().is_some_and(|out| out.switch.take_key_request());
        if is_asked && wanted {
            source.switch.request_key();
        }
    }

    /// Hands what goes out to the shard.
    fn publish(&mut self, due: Micros) {
        if self.messages.is_empty() {
            return;
        }
        let out = self.out.get_or_insert_with(|| self.control.open());
        for message in self.messages.drain(..) {
            let is_picture = message.kind() == Kind::Video && !message.is_header();
            if is_picture && self.needs_key && !message.is_key() {
                continue;
            }
            let is_lost =
                out.ring.push(Encoded { message, due, stamps: Stamps::default() }).is_err();
            if is_picture {
                self.needs_key = is_lost;
            }
        }
    }

    /// The stream is over; the next source begins another one.
    fn end(&mut self, has_goodbye: bool) {
        let Some(out) = self.out.take() else { return };
        match has_goodbye {
            true => out.switch.leave(),
            false => out.switch.stop(),
        }
    }

    /// It is not wanted any more.
    fn leave(&mut self) {
        self.set_standby(Standby::None);
        self.end(true);
    }
}

/// Whether the time is before that of `next`, modulo 2^32.
fn is_before(time: u32, next: &Encoded) -> bool {
    time.wrapping_sub(next.message.time()).cast_signed() < 0
}
