//! The decode stage: plain threads that turn video files and published streams into pictures and
//! audio for the composer and the mixer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::fan_out::FanOut;
use super::waiting::{Decodes, SlowDecoder, Waiting};
use crate::command::SubscriptionEvent;
use crate::decode::{DecodeSink, Error, Live, Step};
use crate::frame::{AudioBlock, PictureEvent};
use crate::media::{Kind, Micros};
use crate::ring::{Bell, Receiver, Sender};
use crate::runtime::Clock;
use crate::stream::Message;

/// Blocks of decoded audio that may wait for the mixer: about 1.3 s.
pub const DECODED_AUDIO_QUEUE: usize = 64;

/// Messages of a published stream that may wait for its decoder: some seconds.
pub const SUBSCRIPTION_QUEUE: usize = 512;

/// How long a decoder sleeps when there is nothing to do or no room.
pub(super) const IDLE: Duration = Duration::from_millis(500);

/// How long a file's decoder waits for room in its queues.
pub(super) const FULL: Duration = Duration::from_millis(5);

/// How often whoever waits to try a file again looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);

/// Waits between the tries of a file that cannot be used: the first, and the longest.
const RETRY_MIN: Micros = Micros::from_secs(5);
const RETRY_MAX: Micros = Micros::from_secs(60);

/// Waits between tries that double up to a minute.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    first: Micros,
    next: Micros,
}

impl Default for Retry {
    fn default() -> Self {
        Self::from(RETRY_MIN)
    }
}

impl Retry {
    /// Waits that begin with this one.
    #[must_use]
    pub const fn from(first: Micros) -> Self {
        Self { first, next: first }
    }

    /// The next wait.
    pub fn wait(&mut self) -> Micros {
        let wait = self.next;
        self.next = Micros(wait.0.saturating_mul(2)).min(RETRY_MAX);
        wait
    }

    /// It is well again: the next trouble is looked after at once.
    pub const fn reset(&mut self) {
        self.next = self.first;
    }
}

/// What becomes of a file that is played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileNews {
    /// It cannot be played; told once until it can.
    Failed {
        /// Why.
        reason: String,
        /// When it is tried again.
        retry_in: Micros,
    },
    /// It is played again.
    Restored,
    /// Its first picture or audio is about to come.
    Started,
    /// It has been played to its end.
    Ended,
}

/// Where a decoder's pictures and audio go. A full ring drops what is new, but for the word that
/// the source has ended or failed: without it, its last picture would stand for ever.
#[derive(Debug)]
pub struct DecodeOut {
    /// To the composers, if layers show the source.
    pictures: FanOut,
    /// To the mixers that play the source.
    pub audio: Vec<Sender<AudioBlock>>,
    /// Set once pictures of a live stream have come in; they come out a little later.
    pub fed: Arc<AtomicBool>,
    /// Whether anything has come since this was last cleared.
    pub handed: bool,
}

impl DecodeOut {
    /// To these rings: of pictures, one for each size of the decoder's spec.
    #[must_use]
    pub fn new(
        pictures: impl IntoIterator<Item = Sender<PictureEvent>>,
        audio: Vec<Sender<AudioBlock>>,
    ) -> Self {
        Self::shared(FanOut::fixed(pictures), audio)
    }

    /// To whoever takes the pictures of `pictures`, which has the sizes of the decoder's spec.
    #[must_use]
    pub fn shared(pictures: FanOut, audio: Vec<Sender<AudioBlock>>) -> Self {
        Self { pictures, audio, fed: Arc::default(), handed: false }
    }

    /// Whether there are sizes of pictures.
    #[must_use]
    pub fn has_pictures(&self) -> bool {
        !self.pictures.is_ended()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_unheard() && self.pictures.is_over()
    }

    /// Whether nobody looks, though somebody may listen.
    pub(super) fn is_unseen(&self) -> bool {
        self.pictures.is_unseen()
    }

    /// Whether nobody listens, though somebody may look.
    pub(super) fn is_unheard(&self) -> bool {
        self.audio.iter().all(Sender::is_closed)
    }

    /// Hands on ends and failures for which rings had no room. Whether none is left.
    pub(super) fn settle(&self) -> bool {
        self.pictures.settle()
    }

    /// Takes back what its readers have not taken yet.
    pub(super) fn revoke(&self) {
        self.pictures.revoke();
        self.audio.iter().for_each(Sender::revoke);
    }

    /// Whether there is no room for another picture and its audio.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.pictures.is_full() || self.audio.iter().any(|ring| ring.len() + 4 > ring.capacity())
    }
}

/// Whoever takes pictures hears that no more will come, however their decoder has ended.
impl Drop for DecodeOut {
    fn drop(&mut self) {
        self.pictures.end();
    }
}

impl DecodeSink for DecodeOut {
    fn picture(&mut self, picture: PictureEvent) {
        self.handed |= matches!(picture, PictureEvent::Picture { .. });
        self.pictures.push(&picture);
    }

    fn further_picture(&mut self, size: usize, picture: PictureEvent) {
        self.pictures.push_at(size + 1, &picture);
    }

    fn audio(&mut self, block: &AudioBlock) {
        self.handed = true;
        for ring in &mut self.audio {
            drop(ring.push(block.clone()));
        }
    }
}

/// A message that waits for its time; headers have none.
type Timed = (Message, Option<i64>);

impl Decodes for Live {
    type Item = Timed;

    fn decode_at(&self, (message, time): &Timed) -> Option<Micros> {
        time.map(|time| self.decode_at(message.kind(), time))
    }

    fn is_key(&self, (message, _): &Timed) -> bool {
        message.is_key()
    }

    fn decode(&mut self, (message, time): Timed, out: &mut dyn DecodeSink) {
        if let Err(error) = self.decode(message.kind(), time, message.body(), out) {
            tracing::debug!("live input: {error}");
        }
    }
}

/// Decodes a published stream until its subscription or its readers are gone.
pub fn live(
    mut decoder: Live,
    mut subscription: Receiver<SubscriptionEvent>,
    bell: &Arc<Bell>,
    mut out: DecodeOut,
    clock: Clock,
) {
    let (mut waiting, mut slow) = (Waiting::default(), SlowDecoder::default());
    // Whether the publisher has left, of which something still waits: the next one waits behind it.
    let mut is_leaving = false;
    loop {
        let is_full = is_leaving || waiting.is_crowded();
        match if is_full { None } else { subscription.pop() } {
            Some(SubscriptionEvent::Message(message, arrived)) => {
                let (kind, body) = (message.kind(), message.body());
                // What is seen elsewhere counts all the same: audio is to be in step with it.
                let time = decoder.arrived(kind, message.time(), body, arrived);
                let is_taken = match kind {
                    Kind::Video => !out.is_unseen(),
                    Kind::Audio => !out.is_unheard(),
                    Kind::Data => false,
                };
                if is_taken && kind == Kind::Video {
                    out.fed.store(true, Ordering::Relaxed);
                }
                if is_taken {
                    waiting.add(kind == Kind::Video, (message, time));
                }
            }
            Some(SubscriptionEvent::Ended { .. }) => is_leaving = true,
            None if subscription.is_finished() || out.is_closed() => return,
            None => {
                let now = clock.now();
                let next = waiting.decode(&mut decoder, now, &mut out);
                slow.note(waiting.take_skipped(), now);
                if is_leaving && waiting.is_empty() {
                    decoder.ended(&mut out);
                    is_leaving = false;
                    continue;
                }
                let idle = if out.settle() { IDLE } else { FULL };
                let wait = next.map_or(idle, |next| Duration::from(next.since(now)).min(idle));
                bell.park(wait, || {
                    !is_full && !subscription.is_empty() || subscription.is_finished()
                });
            }
        }
    }
}

/// Plays a file, over and over, until its readers are gone. It is opened here, on the decoder's own
/// thread, and again after some time whenever it cannot be opened or played; meanwhile its layer is
/// told, and it is silent.
pub fn file<S>(
    mut open: impl FnMut() -> Result<S, Error>,
    bell: &Arc<Bell>,
    mut out: DecodeOut,
    mut retry: Retry,
    mut tell: impl FnMut(FileNews),
) where
    S: FnMut(&mut DecodeOut) -> Result<Step, Error>,
{
    let mut failing = false;
    while !out.is_closed() {
        out.handed = false;
        let played = open().and_then(|step| {
            play(step, bell, &mut out, || {
                retry.reset();
                if std::mem::take(&mut failing) {
                    tell(FileNews::Restored);
                }
            })
        });
        let Err(error) = played else { return };
        let retry_in = retry.wait();
        if !std::mem::replace(&mut failing, true) {
            tell(FileNews::Failed { reason: error.to_string(), retry_in });
        }
        out.picture(PictureEvent::Failed);
        let mut left = Duration::from_micros(retry_in.0);
        while !left.is_zero() && !out.is_closed() {
            out.settle();
            let slice = left.min(LOOK);
            bell.park(slice, || false);
            left -= slice;
        }
    }
}

/// Plays an open file to its end or until its readers are gone; calls `well` once something of it
/// has come. `step` comes to [`Step::Full`] while they have no room.
fn play(
    mut step: impl FnMut(&mut DecodeOut) -> Result<Step, Error>,
    bell: &Arc<Bell>,
    out: &mut DecodeOut,
    well: impl FnOnce(),
) -> Result<(), Error> {
    let mut well = Some(well);
    while !out.is_closed() {
        match step(out)? {
            Step::Ended => return Ok(()),
            Step::More => {}
            Step::Full | Step::Ready => bell.park(FULL, || false),
        }
        if out.handed
            && let Some(well) = well.take()
        {
            well();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::frame::BLOCK_SAMPLES;
    use crate::media::CHANNELS;
    use crate::pipeline::fan_out::PICTURE_QUEUE;
    use crate::ring::channel;

    fn missing() -> Error {
        Error::Empty { path: PathBuf::from("late.mp4") }
    }

    fn block() -> AudioBlock {
        AudioBlock { at: Micros(0), samples: 1, data: [0.0; BLOCK_SAMPLES * CHANNELS] }
    }

    /// Plays a file that is there from the third try on, fails at its second step in the first
    /// round, and whose reader leaves in the second.
    #[test]
    fn a_file_that_comes_late_is_played_and_tried_again_when_it_fails() {
        let (audio, heard) = channel(8, Bell::new());
        let (pictures, mut seen) = channel(PICTURE_QUEUE, Bell::new());
        let out = DecodeOut::new([pictures], vec![audio]);
        let (heard, tries) = (std::cell::RefCell::new(Some(heard)), std::cell::Cell::new(0));
        let open = || {
            tries.set(tries.get() + 1);
            if tries.get() < 3 {
                return Err(missing());
            }
            let (round, heard) = (tries.get(), &heard);
            let mut steps = 0;
            Ok(move |out: &mut DecodeOut| {
                steps += 1;
                match (round, steps) {
                    (_, 1) => out.audio(&block()),
                    (3, _) => return Err(missing()),
                    _ => {
                        drop(heard.take());
                        return Ok(Step::Ended);
                    }
                }
                Ok(Step::More)
            })
        };
        let mut news = Vec::new();
        file(open, &Bell::new(), out, Retry::from(Micros(1)), |told| news.push(told));
        let failed = FileNews::Failed { reason: missing().to_string(), retry_in: Micros(1) };
        let wanted = [failed.clone(), FileNews::Restored, failed, FileNews::Restored];
        assert_eq!(news, wanted, "each trouble is told once");
        assert_eq!(tries.get(), 4);
        let mut told = 0;
        while let Some(PictureEvent::Failed) = seen.pop() {
            told += 1;
        }
        assert_eq!(told, 3, "the layer hears of every failure");
    }

    #[test]
    fn a_file_that_nobody_waits_for_is_given_up() {
        let (pictures, seen) = channel(PICTURE_QUEUE, Bell::new());
        let mut seen = Some(seen);
        let out = DecodeOut::new([pictures], Vec::new());
        let open = || Err::<fn(&mut DecodeOut) -> Result<Step, Error>, _>(missing());
        file(open, &Bell::new(), out, Retry::default(), |_| drop(seen.take()));
        assert!(seen.is_none());
    }

    #[test]
    fn the_end_of_a_source_is_heard_however_full_the_ring_is() {
        let (pictures, mut shown) = channel(2, Bell::new());
        let mut out = DecodeOut::new([pictures], Vec::new());
        for _ in 0..3 {
            out.picture(PictureEvent::Failed);
        }
        out.picture(PictureEvent::Ended);
        assert!(!out.settle(), "the ring is full");
        assert!(matches!(shown.pop(), Some(PictureEvent::Failed)));
        assert!(out.settle());
        assert!(matches!(shown.pop(), Some(PictureEvent::Failed)));
        assert!(matches!(shown.pop(), Some(PictureEvent::Ended)), "the newest word counts");
        assert!(shown.pop().is_none());
    }

    #[test]
    fn waits_double_to_a_minute_and_begin_anew() {
        let mut retry = Retry::default();
        let waits: Vec<_> = (0..6).map(|_| retry.wait().0 / 1_000_000).collect();
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        retry.reset();
        assert_eq!(retry.wait(), RETRY_MIN);
    }
}
