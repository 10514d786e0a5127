//! Link from the thread of a stream with a fallback to control.

use std::sync::Arc;

use tokio::sync::mpsc::Sender;

use crate::command::{ChannelSource, ChannelSwitch};
use crate::control::channels::build::Built;
use crate::control::channels::error::ChannelError;
use crate::media::{FailoverState, FrameRate, Micros};
use crate::pipeline::{FAILOVER_QUEUE, FailoverControl, FailoverOut};
use crate::ring::{Bell, channel};
use crate::runtime::Clock;
use crate::stream::{FailoverNews, Message};

/// What is told of a stream with a fallback.
pub(crate) enum FallbackReport {
    /// Its shard is to open it.
    Open(Box<ChannelSource>),
    /// What its source is like.
    Source(Vec<Message>, FrameRate),
    /// Something happened.
    Change(FailoverNews),
    /// What goes out.
    State(FailoverState),
    /// The encoders of its fallback have ended.
    StandbyLost,
    /// Its fallback was built, or could not be.
    Built(Result<Box<Built>, ChannelError>),
}

/// What is told, and the number of the thread that it is of.
pub(crate) type Report = (u64, FallbackReport);

/// The thread's end.
pub(super) struct Link {
    pub(super) stream: Arc<str>,
    /// Number of the thread.
    pub(super) number: u64,
    /// Of the shard that owns the stream.
    pub(super) home: Arc<Bell>,
    pub(super) clock: Clock,
    pub(super) tell: Sender<Report>,
}

impl Link {
    fn tell(&self, report: FallbackReport) {
        // Control is gone only when the node stops.
        drop(self.tell.blocking_send((self.number, report)));
    }
}

impl FailoverControl for Link {
    fn open(&mut self) -> FailoverOut {
        let (ring, video) = channel(FAILOVER_QUEUE, Arc::clone(&self.home));
        let switch = Arc::new(ChannelSwitch::of_failover());
        let source = ChannelSource {
            stream: Arc::clone(&self.stream),
            video,
            tracks: Vec::new(),
            audio: None,
            start: self.clock.now().max(Micros(0)),
            switch: Arc::clone(&switch),
            stats: Arc::default(),
        };
        self.tell(FallbackReport::Open(Box::new(source)));
        FailoverOut { ring, switch }
    }

    fn source(&mut self, headers: &[Message], rate: FrameRate) {
        self.tell(FallbackReport::Source(headers.to_vec(), rate));
    }

    fn told(&mut self, news: FailoverNews) {
        self.tell(FallbackReport::Change(news));
    }

    fn state(&mut self, state: FailoverState) {
        self.tell(FallbackReport::State(state));
    }

    fn standby_lost(&mut self) {
        self.tell(FallbackReport::StandbyLost);
    }
}
