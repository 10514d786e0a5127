//! Snapshots of streams: their newest keyframes as small JPEGs, decoded when somebody asks.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::iter::once;
use std::sync::Arc;

use image::codecs::jpeg::JpegEncoder;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};

use super::channels::screenshot::scaled_to;
use super::handle::ControlHandle;
use crate::command::{
    Answer, Ask, RecentMessages, SNAPSHOT_BYTES_MAX, ShardCommand, SnapshotFault, SnapshotRequest,
    SnapshotWidth, StreamSnapshot,
};
use crate::decode::{Live, LiveSpec};
use crate::frame::FrozenFrame;
use crate::media::{Kind, Micros};
use crate::runtime::Clock;
use crate::scene::snapshot;
use crate::stream::Message;

/// Keyframes that are decoded at once. Each may take the memory of a few pictures of the largest
/// size that is decoded.
const AT_ONCE_MAX: usize = 2;

/// Requests that wait for those. Further ones are told to come again.
const WAITING_MAX: usize = 32;

/// Snapshots that are kept: those asked for last. With [`SNAPSHOT_BYTES_MAX`] that is under 4 MiB.
const KEPT_MAX: usize = 64;

/// How long a snapshot is given out before the stream is asked for a newer keyframe.
const FRESH: Micros = Micros::from_secs(1);

/// Qualities of the JPEG, of 100: the first that is small enough is taken.
const QUALITIES: [u8; 4] = [80, 60, 40, 20];

type Made = Result<StreamSnapshot, SnapshotFault>;

/// The snapshots of all streams.
#[derive(Debug)]
pub struct StreamSnapshots {
    handle: ControlHandle,
    clock: Clock,
    places: Semaphore,
    turns: Arc<Semaphore>,
    /// By stream and width, with when it was looked for.
    kept: Mutex<HashMap<(String, SnapshotWidth), (Micros, Made)>>,
}

impl StreamSnapshots {
    /// Of the streams of the node behind `handle`.
    #[must_use]
    pub fn new(handle: ControlHandle, clock: Clock) -> Self {
        Self {
            handle,
            clock,
            places: Semaphore::new(WAITING_MAX),
            turns: Arc::new(Semaphore::new(AT_ONCE_MAX)),
            kept: Mutex::default(),
        }
    }

    /// The newest keyframe of a stream, so wide at most.
    pub(crate) async fn of(&self, stream: &str, width: SnapshotWidth) -> Made {
        let key = (stream.to_owned(), width);
        if let Some(made) = self.fresh(&key).await {
            return made;
        }
        let busy = || SnapshotFault::Busy("other snapshots are being made; try again".to_owned());
        let _place = self.places.try_acquire().map_err(|_| busy())?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| busy())?;
        // Another may have been waiting for the same.
        if let Some(made) = self.fresh(&key).await {
            return made;
        }
        let made = self.make(&key, turn).await;
        let mut kept = self.kept.lock().await;
        kept.insert(key, (self.clock.now(), made.clone()));
        if kept.len() > KEPT_MAX {
            let oldest = kept.iter().min_by_key(|(_, (at, _))| *at);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                kept.remove(&oldest);
            }
        }
        made
    }

    /// Answers a shard over `answers`, once the snapshot has been made.
    pub(crate) fn answer(
        self: &Arc<Self>,
        (shard, request): (usize, SnapshotRequest),
        answers: &mpsc::Sender<(usize, ShardCommand)>,
    ) {
        let (this, answers) = (Arc::clone(self), answers.clone());
        tokio::spawn(async move {
            let SnapshotRequest { ticket, stream, width } = request;
            let snapshot = this.of(&stream, width).await;
            // The controller is gone only when the node stops.
            drop(answers.send((shard, ShardCommand::Snapshot { ticket, snapshot })).await);
        });
    }

    async fn fresh(&self, key: &(String, SnapshotWidth)) -> Option<Made> {
        let kept = self.kept.lock().await;
        let (at, made) = kept.get(key)?;
        (self.clock.now().since(*at) < FRESH).then(|| made.clone())
    }

    /// Looks for a newer keyframe than the one that is kept.
    async fn make(&self, key: &(String, SnapshotWidth), turn: OwnedSemaphorePermit) -> Made {
        let (stream, width) = key.clone();
        let now = Micros(0);
        let ask = Ask::Recent { stream, span: now, before: now };
        let recent = match self.handle.ask(ask).await {
            Answer::Recent(recent) => recent,
            Answer::NotFound(text) => return Err(SnapshotFault::Missing(text)),
            _ => {
                let text = "the node does not answer; try again".to_owned();
                return Err(SnapshotFault::Busy(text));
            }
        };
        let Some(keyframe) = recent.messages.first().filter(|it| it.kind() == Kind::Video) else {
            let text = "no keyframe has come that is still there; try again after the next one";
            return Err(SnapshotFault::Missing(text.to_owned()));
        };
        let etag = etag(keyframe, width);
        if let Some((_, Ok(known))) = self.kept.lock().await.get(key)
            && *known.etag == *etag
        {
            return Ok(known.clone());
        }
        let jpeg = tokio::task::spawn_blocking(move || {
            let jpeg = decode(&recent, width).and_then(|frame| encode(&frame));
            drop(turn);
            jpeg
        });
        // What makes a decoder panic is as bad a keyframe as one that it refuses.
        let jpeg = jpeg.await.unwrap_or_else(|_| Err("its decoder failed".to_owned()));
        let text =
            |why| SnapshotFault::Missing(format!("its newest keyframe is no picture: {why}"));
        Ok(StreamSnapshot { etag: etag.into(), jpeg: jpeg.map_err(text)?.into() })
    }
}

/// The same for the same keyframe, whenever it is asked for.
fn etag(keyframe: &Message, width: SnapshotWidth) -> String {
    let mut hasher = DefaultHasher::new();
    keyframe.body().hash(&mut hasher);
    format!("\"{:016x}-{}\"", hasher.finish(), width.pixels())
}

/// The picture of the first of these messages, a keyframe.
fn decode(recent: &RecentMessages, width: SnapshotWidth) -> Result<FrozenFrame, String> {
    let mut live = Live::new(LiveSpec::new(Box::new(move |size| {
        scaled_to(size, width.pixels().min(size.width())).unwrap_or(size)
    })));
    let headers = recent.headers.iter().filter(|it| it.kind() == Kind::Video);
    let messages = headers.chain(once(&recent.messages[0]));
    let decoded = live.keyframe(messages.map(|it| (it.kind(), it.time(), it.body())));
    decoded
        .map_err(|error| error.to_string())?
        .ok_or_else(|| "it is damaged, or larger than 4096x2304".to_owned())
}

fn encode(frame: &FrozenFrame) -> Result<Vec<u8>, String> {
    let picture = snapshot(frame);
    for quality in QUALITIES {
        let mut jpeg = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut jpeg, quality);
        picture.write_with_encoder(encoder).map_err(|error| error.to_string())?;
        if jpeg.len() <= SNAPSHOT_BYTES_MAX {
            return Ok(jpeg);
        }
    }
    Err("it has more detail than a snapshot of this `width` holds; ask for a smaller one".into())
}
