//! The decode stage: plain threads that turn video files and published streams into pictures and
//! sound for the composer and the mixer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::command::TapEvent;
use crate::decode::{DecodeSink, File, Live, Step};
use crate::frame::{PictureEvent, SoundBlock};
use crate::media::Kind;
use crate::ring::{Bell, Receiver, Sender};

/// Pictures that may wait for the composer.
pub const PICTURE_QUEUE: usize = 16;

/// Blocks of decoded sound that may wait for the mixer: about 1.3 s.
pub const DECODED_SOUND_QUEUE: usize = 64;

/// Messages of a published stream that may wait for its decoder: some seconds.
pub const TAP_QUEUE: usize = 512;

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

/// Decodes a published stream until its tap or its readers are gone.
pub fn live(mut decoder: Live, mut tap: Receiver<TapEvent>, bell: &Arc<Bell>, mut out: DecodeOut) {
    loop {
        let unseen = out.is_unseen();
        match tap.pop() {
            Some(TapEvent::Message(message, _)) if message.kind() == Kind::Video && unseen => {}
            Some(TapEvent::Message(message, arrived)) => {
                if message.kind() == Kind::Video {
                    out.fed.store(true, Ordering::Relaxed);
                }
                let result = decoder.message(
                    message.kind(),
                    message.time(),
                    message.body(),
                    arrived,
                    &mut out,
                );
                if let Err(error) = result {
                    tracing::debug!("live input: {error}");
                }
            }
            Some(TapEvent::Ended) => decoder.ended(&mut out),
            None if tap.is_finished() || out.is_closed() => return,
            None => bell.park(IDLE, || !tap.is_empty() || tap.is_finished()),
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
