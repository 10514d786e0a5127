//! View of a program's pictures for one layer: the newest of them at each size that it is drawn at.

use super::client::FrameClient;
use crate::decode::alpha::Alpha;
use crate::decode::convert::Converter;
use crate::decode::{DecodeSink, Error, Scale};
use crate::frame::PictureEvent;
use crate::media::{Micros, Orientation, PixelFormat};

/// Pictures that may wait for their reader: those of a program come when they are to be seen.
const FRAMES_QUEUE: u32 = 4;

/// How a layer shows a program's pictures.
pub struct FrameViewSpec {
    /// Size of its pictures on the canvas.
    pub scale: Scale,
    /// Further sizes that they are made at, each for a reader of its own.
    pub further: Vec<Scale>,
    /// How its pictures are turned and mirrored.
    pub orientation: Orientation,
}

/// The newest picture of a program, made for the readers of a layer.
#[derive(Debug)]
pub struct FrameView {
    converters: Vec<Converter>,
    /// Which of them have not made the newest picture yet, a bit each.
    owed: u32,
    at: Micros,
}

impl FrameView {
    /// A view without a picture.
    #[must_use]
    pub fn new(spec: FrameViewSpec) -> Self {
        let converters = std::iter::once(spec.scale).chain(spec.further).map(|scale| {
            Converter::new(scale, PixelFormat::I420, Box::new(|_| FRAMES_QUEUE))
                .keeping(Some(Alpha::Premultiplied))
                .oriented(spec.orientation)
        });
        Self { converters: converters.collect(), owed: 0, at: Micros(0) }
    }

    /// Whether the newest picture has not been made at all sizes yet.
    #[must_use]
    pub const fn is_owed(&self) -> bool {
        self.owed != 0
    }

    /// Forgets a picture that is still owed: its program has left.
    pub const fn forget(&mut self) {
        self.owed = 0;
    }

    /// There is another picture, to be shown `at` this time.
    pub const fn renew(&mut self, at: Micros) {
        self.owed = (1 << self.converters.len()) - 1;
        self.at = at;
    }

    /// Hands on the newest picture of `client` where that has not been done. What has no free frame
    /// is still owed, and is then the picture that is newest.
    ///
    /// # Errors
    /// If there is no memory for pictures of that size.
    pub fn show(&mut self, client: &FrameClient, out: &mut dyn DecodeSink) -> Result<(), Error> {
        let Some(picture) = client.picture() else { return Ok(()) };
        for (index, converter) in self.converters.iter_mut().enumerate() {
            let bit = 1 << index;
            if self.owed & bit == 0 {
                continue;
            }
            let Some(frame) = converter.convert_picture(picture)? else {
                continue;
            };
            self.owed &= !bit;
            let event = PictureEvent::Picture { frame, at: self.at };
            match index.checked_sub(1) {
                None => out.picture(event),
                Some(further) => out.further_picture(further, event),
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for FrameViewSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FrameViewSpec({} sizes)", 1 + self.further.len())
    }
}
