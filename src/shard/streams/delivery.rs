//! Delivery of a stream's messages: when each was in the log and with viewers, and how long that
//! took.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::media::{FrameId, Kind, Micros, OriginStamp, Point, PublisherMetrics, Stamp, Stamps};
use crate::probes;
use crate::shard::context::Context;
use crate::stats::{OpenLatency, Stage};
use crate::stream::Message;
use crate::trace::{RecordKind, record_count, record_stage};

/// Messages that may wait for their viewers with their stamps. Of more, the oldest go without:
/// there is no time to send to anybody then.
const PENDING_MAX: usize = 64;

/// The messages of a stream that are on their way from the log to viewers.
#[derive(Debug, Default)]
pub(in crate::shard) struct Delivery {
    /// The figures, once the stream is listed.
    latency: Option<OpenLatency>,
    pending: VecDeque<Stamps>,
    /// How many of these are being sent, and when the first viewer had them.
    sending: usize,
    first: Stamp,
    /// When a viewer was sent some of it before all were.
    ahead: Stamp,
}

impl Delivery {
    /// The stream of this name is listed from now on.
    pub(super) fn open(&mut self, cx: &Context, name: &Arc<str>) {
        if self.latency.is_none() {
            self.latency = Some(cx.stats.latencies().open(name));
            self.pending.reserve(PENDING_MAX);
        }
    }

    /// The stamps of a message that a publisher has sent, whose first byte came at `began`.
    pub(super) fn published(&self, number: u64, began: Micros, now: Stamp) -> Stamps {
        let Some(latency) = self.latency.as_ref().filter(|_| began.0 > 0) else {
            return Stamps::default();
        };
        let frame = FrameId::new(latency.source(), number);
        let mut stamps = Stamps::due(frame, Stamp::of(began));
        stamps.set(Point::Encoded, now);
        stamps
    }

    /// A frame with this origin stamp, or with these metrics of its publisher, has come.
    pub(super) fn came_from(
        &self,
        stamp: Option<&OriginStamp>,
        metrics: Option<&PublisherMetrics>,
        cx: &Context,
    ) {
        let now = cx.stamp().since(Stamp::NONE);
        let Some((latency, unix_us)) = self.latency.as_ref().zip(cx.spec.origin.unix_us(now))
        else {
            return;
        };
        if let Some(stamp) = stamp {
            latency.came_from(stamp, now, unix_us);
        }
        if let Some(metrics) = metrics {
            latency.published_with(metrics, now, unix_us);
        }
    }

    /// A message is in the log: pictures count, or audio where there are none. Whether anybody here
    /// reads it, who is to be sent it.
    pub(super) fn appended(&mut self, message: &Message, stamps: &Stamps, is_read: bool) {
        let Some(latency) = self.latency.as_ref().filter(|_| stamps.is_some()) else { return };
        if message.is_header() || message.kind() == Kind::Data {
            return;
        }
        let observe = |stage, from, to| {
            if let Some(took) = stamps.between(from, to) {
                latency.observe(stage, took);
                record_stage(stage, stamps.frame, stamps.at(to), took);
            }
        };
        let is_here = !stamps.at(Point::Received).is_some();
        if is_here {
            if stamps.is_published() {
                observe(Stage::Read, Point::Due, Point::Encoded);
            }
            observe(Stage::Append, Point::Encoded, Point::Appended);
            if let Some(took) = stamps.between(Point::Due, Point::Appended) {
                latency.observe(Stage::ToLog, took);
            }
        }
        observe(Stage::Hop, Point::Appended, Point::Received);
        let in_log = if is_here { Point::Appended } else { Point::Received };
        if !is_read {
            return self.ended(stamps, in_log);
        }
        if self.pending.len() == PENDING_MAX {
            self.pending.pop_front();
            self.sending = self.sending.saturating_sub(1);
        }
        self.pending.push_back(*stamps);
    }

    /// Viewers are sent what is in the log now.
    pub(in crate::shard) fn begin(&mut self) {
        (self.sending, self.first) = (self.pending.len(), std::mem::take(&mut self.ahead));
    }

    /// The socket of a viewer that was due anyhow has taken something, before all have their turn.
    pub(in crate::shard) fn sent_ahead(&mut self, now: Stamp) {
        if !self.pending.is_empty() && !self.ahead.is_some() {
            self.ahead = now;
        }
    }

    /// The socket of a viewer has taken something of it.
    pub(in crate::shard) fn sent(&mut self, now: Stamp) {
        if !self.first.is_some() {
            self.first = now;
        }
    }

    /// All viewers have had their turn; so many there are, and the sockets of so many are full.
    pub(in crate::shard) fn end(&mut self, now: Stamp, viewers: usize, blocked: u64) {
        let Some(latency) = &self.latency else { return };
        let source = latency.source();
        record_count(RecordKind::Viewers, source, now, viewers as u64);
        record_count(RecordKind::Blocked, source, now, blocked);
        for _ in 0..std::mem::take(&mut self.sending) {
            let Some(mut stamps) = self.pending.pop_front() else { return };
            // Of those that nobody had room for, the blocked are counted.
            if self.first.is_some() {
                let in_log = stamps.at(Point::Appended).max(stamps.at(Point::Received));
                stamps.set(Point::Sent, self.first.max(in_log));
                stamps.set(Point::Served, now);
                self.served(&stamps);
            }
        }
        if self.pending.is_empty() {
            self.ahead = Stamp::NONE;
        }
    }

    fn served(&self, stamps: &Stamps) {
        let Some(latency) = &self.latency else { return };
        let is_here = !stamps.at(Point::Received).is_some();
        let in_log = if is_here { Point::Appended } else { Point::Received };
        for (stage, from, to) in [
            (Stage::Send, in_log, Point::Sent),
            (Stage::FanOut, Point::Sent, Point::Served),
            (Stage::ToFirst, Point::Due, Point::Sent),
            (Stage::ToLast, Point::Due, Point::Served),
        ] {
            let Some(took) = stamps.between(from, to) else { continue };
            latency.observe(stage, took);
            if stage.is_part() {
                record_stage(stage, stamps.frame, stamps.at(to), took);
            }
        }
        self.ended(stamps, Point::Served);
    }

    /// A message has passed the last of its points.
    fn ended(&self, stamps: &Stamps, last: Point) {
        probes::frame_done(stamps, last);
        if let (Some(latency), Some(took)) = (&self.latency, stamps.between(Point::Due, last)) {
            // The encoder's delay by design is no reason for a frame to be among the worst.
            let design = stamps.between(Point::Taken, Point::Encoding).unwrap_or_default();
            let now = stamps.at(last).since(Stamp::NONE);
            latency.passed(stamps, now, took - design);
        }
    }

    /// What a viewer whose socket is full is sent next has waited for so long.
    pub(in crate::shard) fn blocked(&self, waited: Micros) {
        if let Some(latency) = &self.latency {
            latency.observe(Stage::Blocked, waited);
        }
    }
}
