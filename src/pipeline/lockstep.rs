//! Lockstep decoder: a file that is decoded as far as each tick needs, on the thread of whoever
//! shows it. What comes out is the same at any speed of the machine.

use super::decode::DecodeOut;
use crate::decode::{DecodeSink, Error, File, Step};
use crate::frame::{AudioBlock, PictureEvent};
use crate::media::{Micros, SAMPLE_RATE};

/// A file with the rings that take what is in it.
#[derive(Debug)]
pub struct LockstepFile {
    file: File,
    ahead: Ahead,
}

/// The rings, and how far what they were given reaches.
#[derive(Debug)]
struct Ahead {
    out: DecodeOut,
    /// When the newest picture is due.
    pictures_to: Micros,
    /// Where the audio ends.
    audio_to: Micros,
}

impl LockstepFile {
    /// A file that has just been opened, for these rings.
    #[must_use]
    pub fn new(file: File, out: DecodeOut) -> Self {
        let until = |is_wanted| if is_wanted { Micros(0) } else { Micros(u64::MAX) };
        let pictures_to = until(out.has_pictures() && file.has_pictures());
        let audio_to = until(!out.audio.is_empty() && file.has_audio());
        Self { file, ahead: Ahead { out, pictures_to, audio_to } }
    }

    /// Decodes until there is a picture that is due later than `at`, and audio beyond it, or no
    /// room for more.
    ///
    /// # Errors
    /// As [`File::step`]; the layer that shows the file is told.
    pub fn decode_to(&mut self, at: Micros) -> Result<(), Error> {
        while self.ahead.is_behind(at) && !self.ahead.out.is_full() {
            match self.file.step(&mut self.ahead) {
                Ok(Step::More) => {}
                Ok(Step::Full | Step::Ready | Step::Ended) => break,
                Err(error) => {
                    self.ahead.picture(PictureEvent::Failed);
                    (self.ahead.pictures_to, self.ahead.audio_to) =
                        (Micros(u64::MAX), Micros(u64::MAX));
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl Ahead {
    fn is_behind(&self, at: Micros) -> bool {
        self.pictures_to <= at || self.audio_to <= at
    }
}

impl DecodeSink for Ahead {
    fn picture(&mut self, picture: PictureEvent) {
        if let PictureEvent::Picture { at, .. } = &picture {
            self.pictures_to = self.pictures_to.max(*at);
        }
        self.out.picture(picture);
    }

    fn audio(&mut self, block: &AudioBlock) {
        let length = Micros(block.samples as u64 * 1_000_000 / u64::from(SAMPLE_RATE));
        self.audio_to = self.audio_to.max(block.at + length);
        self.out.audio(block);
    }
}
