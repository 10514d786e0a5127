//! Lockstep decoder: a file that is decoded as far as each tick needs, on the thread of whoever
//! shows it. What comes out is the same at any speed of the machine.

use super::decode::DecodeOut;
use crate::decode::{DecodeSink, Error, File, Step};
use crate::frame::{AudioBlock, PictureEvent};
use crate::media::{Micros, SAMPLE_RATE};

/// Opens the file that follows another one, if one does.
pub type Following = Box<dyn FnMut() -> Option<File> + Send>;

/// A file, and those that follow it, with the rings that take what is in them.
pub struct LockstepFile {
    file: File,
    following: Option<Following>,
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
    /// Whether the end of a file is that of the pictures.
    ends: bool,
}

impl LockstepFile {
    /// A file that has just been opened, for these rings.
    #[must_use]
    pub fn new(file: File, out: DecodeOut) -> Self {
        let mut ahead = Ahead { out, pictures_to: Micros(0), audio_to: Micros(0), ends: true };
        ahead.expect(&file, Micros(0));
        Self { file, following: None, ahead }
    }

    /// The same with what opens those that follow it.
    #[must_use]
    pub fn followed_by(mut self, following: Option<Following>) -> Self {
        self.ahead.ends = following.is_none();
        self.following = following;
        self
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
                Ok(Step::Ended) if self.follow(self.file.join()) => {}
                Ok(Step::Full | Step::Ready | Step::Ended) => break,
                Err(_) if self.follow(self.file.handed_until()) => {}
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

    /// Goes on with the file that follows, which is due at this time. Whether there is one that can
    /// be played.
    fn follow(&mut self, at: Micros) -> bool {
        let Some(following) = &mut self.following else { return false };
        while let Some(mut file) = following() {
            file.wait();
            let cued = loop {
                match file.step(&mut self.ahead) {
                    Ok(Step::More | Step::Full) => {}
                    cued => break cued,
                }
            };
            if matches!(cued, Ok(Step::Ready)) {
                file.start_joined(at);
                self.ahead.expect(&file, at);
                self.file = file;
                return true;
            }
        }
        (self.following, self.ahead.ends) = (None, true);
        self.ahead.picture(PictureEvent::Ended);
        false
    }
}

impl std::fmt::Debug for LockstepFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LockstepFile").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Ahead {
    /// What comes of this file begins at this time.
    fn expect(&mut self, file: &File, at: Micros) {
        let until = |is_wanted| if is_wanted { at } else { Micros(u64::MAX) };
        self.pictures_to = until(self.out.has_pictures() && file.has_pictures());
        self.audio_to = until(!self.out.audio.is_empty() && file.has_audio());
    }

    fn is_behind(&self, at: Micros) -> bool {
        self.pictures_to <= at || self.audio_to <= at
    }
}

impl DecodeSink for Ahead {
    fn picture(&mut self, picture: PictureEvent) {
        match &picture {
            PictureEvent::Picture { at, .. } => self.pictures_to = self.pictures_to.max(*at),
            PictureEvent::Ended if !self.ends => return,
            PictureEvent::Ended | PictureEvent::Failed => {}
        }
        self.out.picture(picture);
    }

    fn audio(&mut self, block: &AudioBlock) {
        let length = Micros(block.samples as u64 * 1_000_000 / u64::from(SAMPLE_RATE));
        self.audio_to = self.audio_to.max(block.at + length);
        self.out.audio(block);
    }
}
