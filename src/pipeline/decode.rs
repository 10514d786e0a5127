//! The decode stage: plain threads that turn video files and published streams into pictures and
//! sound for the composer and the mixer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::command::TapEvent;
use crate::decode::{DecodeSink, File, Live, Step};
use crate::frame::{PictureEvent, SoundBlock};
use crate::media::{Kind, Micros};
use crate::ring::{Bell, Receiver, Sender};
use crate::runtime::Clock;
use crate::stream::Message;

/// Pictures that may wait for the composer.
pub const PICTURE_QUEUE: usize = 16;

/// Blocks of decoded sound that may wait for the mixer: about 1.3 s.
pub const DECODED_SOUND_QUEUE: usize = 64;

/// Messages of a published stream that may wait for its decoder: some seconds.
pub const TAP_QUEUE: usize = 512;

/// Messages of one kind that may wait for the other kind: more than ten seconds. Beyond that the
/// oldest is decoded at once.
const WAITING_MAX: usize = 1_024;

/// How long a decoder sleeps when there is nothing to do or no room.
const IDLE: Duration = Duration::from_millis(500);

/// How long a file's decoder waits for room in its queues.
const FULL: Duration = Duration::from_millis(5);

/// Where a decoder's pictures and sound go. A full ring drops what is new.
#[derive(Debug, Default)]
pub struct DecodeOut {
    /// To the composer, if a layer shows the source.
    pub pictures: Option<Sender<PictureEvent>>,
    /// To the mixers that play the source.
    pub sounds: Vec<Sender<SoundBlock>>,
    /// Set once pictures of a live stream have come in; they come out a little later.
    pub fed: Arc<AtomicBool>,
}

impl DecodeOut {
    fn is_closed(&self) -> bool {
        self.pictures.as_ref().is_none_or(Sender::is_closed)
            && self.sounds.iter().all(Sender::is_closed)
    }

    /// Whether nobody looks, though somebody may listen.
    fn is_unseen(&self) -> bool {
        self.pictures.as_ref().is_none_or(Sender::is_closed)
    }

    /// Whether nobody listens, though somebody may look.
    fn is_unheard(&self) -> bool {
        self.sounds.iter().all(Sender::is_closed)
    }

    fn is_full(&self) -> bool {
        let full =
            |ring: &Sender<PictureEvent>| !ring.is_closed() && ring.len() + 2 > ring.capacity();
        self.pictures.as_ref().is_some_and(full)
            || self.sounds.iter().any(|ring| ring.len() + 4 > ring.capacity())
    }
}

impl DecodeSink for DecodeOut {
    fn picture(&mut self, picture: PictureEvent) {
        if let Some(ring) = self.pictures.as_mut().filter(|ring| !ring.is_closed()) {
            drop(ring.push(picture));
        }
    }

    fn sound(&mut self, block: &SoundBlock) {
        for ring in &mut self.sounds {
            drop(ring.push(block.clone()));
        }
    }
}

/// Messages that have come and are not to be decoded yet: pictures, and sound.
#[derive(Debug, Default)]
struct Waiting([VecDeque<(Message, Option<i64>)>; 2]);

impl Waiting {
    fn add(&mut self, message: Message, time: Option<i64>) {
        self.0[usize::from(message.kind() == Kind::Audio)].push_back((message, time));
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(VecDeque::is_empty)
    }

    /// Decodes what is due at `now`; says when there will be more to do.
    fn decode(&mut self, decoder: &mut Live, now: Micros, out: &mut DecodeOut) -> Option<Micros> {
        let mut next = None;
        for queue in &mut self.0 {
            while let Some((message, time)) = queue.front() {
                let at = time.map_or(now, |time| decoder.decode_at(message.kind(), time));
                if at > now && queue.len() <= WAITING_MAX {
                    next = Some(next.map_or(at, |next: Micros| next.min(at)));
                    break;
                }
                if let Err(error) = decoder.decode(message.kind(), *time, message.body(), out) {
                    tracing::debug!("live input: {error}");
                }
                queue.pop_front();
            }
        }
        next
    }
}

/// Decodes a published stream until its tap or its readers are gone.
pub fn live(
    mut decoder: Live,
    mut tap: Receiver<TapEvent>,
    bell: &Arc<Bell>,
    mut out: DecodeOut,
    clock: Clock,
) {
    let mut waiting = Waiting::default();
    // Whether the publisher has left, of which something still waits: the next one waits behind it.
    let mut is_leaving = false;
    loop {
        let now = clock.now();
        let next = waiting.decode(&mut decoder, now, &mut out);
        if is_leaving && waiting.is_empty() {
            decoder.ended(&mut out);
            is_leaving = false;
        }
        match if is_leaving { None } else { tap.pop() } {
            Some(TapEvent::Message(message, arrived)) => {
                let (kind, body) = (message.kind(), message.body());
                // What is seen elsewhere counts all the same: sound is to be in step with it.
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
                    waiting.add(message, time);
                }
            }
            Some(TapEvent::Ended) => is_leaving = true,
            None if tap.is_finished() || out.is_closed() => return,
            None => {
                let wait = next.map_or(IDLE, |next| Duration::from(next - now).min(IDLE));
                bell.park(wait, || !is_leaving && !tap.is_empty() || tap.is_finished());
            }
        }
    }
}

/// Decodes a file, over and over, until its readers are gone.
pub fn file(mut decoder: File, bell: &Arc<Bell>, mut out: DecodeOut) {
    while !out.is_closed() {
        if out.is_full() {
            bell.park(FULL, || false);
            continue;
        }
        match decoder.step(&mut out) {
            Ok(Step::Ended) => return,
            Ok(Step::More) => {}
            Ok(Step::Full) => bell.park(FULL, || false),
            Err(error) => {
                tracing::warn!("video file: {error}");
                return;
            }
        }
    }
}
