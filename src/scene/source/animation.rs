//! Animation source: the pictures of an animated file, each shown for its time.

use image::metadata::LoopCount;
use image::{AnimationDecoder, RgbaImage};

use crate::media::Rect;
use crate::scene::asset::Asset;
use crate::scene::canvas::Canvas;
use crate::scene::damage::Damage;
use crate::scene::tick::Tick;

/// Most pictures of an animation. A file with more is refused.
pub(super) const PICTURES_MAX: usize = 1_800;

/// Most memory that the pictures of an animation may take, as they are in the file and as they are
/// drawn. A file that takes more is refused.
pub(super) const BYTES_MAX: usize = 256 << 20;

/// How long a picture is shown that asks for less than [`LEAST_MS`]: what browsers do.
const SHORT_MS: u64 = 100;
const LEAST_MS: u64 = 20;

/// Pictures that follow each other.
#[derive(Clone, Debug)]
pub(in crate::scene) struct Animation {
    pictures: Vec<Asset>,
    /// When each ends, milliseconds from the beginning.
    ends: Vec<u64>,
    /// How often all of it is shown; `None` is for ever.
    times: Option<u64>,
    at: usize,
}

/// The pictures of a file.
pub(super) struct Frames {
    pub(super) pictures: Vec<RgbaImage>,
    ends: Vec<u64>,
    times: Option<u64>,
}

impl Frames {
    pub(super) fn read<'a>(decoder: impl AnimationDecoder<'a>) -> Result<Self, String> {
        let times = match decoder.loop_count() {
            LoopCount::Infinite => None,
            LoopCount::Finite(times) => Some(u64::from(times.get())),
        };
        let (mut pictures, mut ends, mut end, mut bytes) = (Vec::new(), Vec::new(), 0, 0);
        for frame in decoder.into_frames() {
            let frame = frame.map_err(|error| error.to_string())?;
            let (ms, parts) = frame.delay().numer_denom_ms();
            let ms = u64::from(ms / parts.max(1));
            end += if ms < LEAST_MS { SHORT_MS } else { ms };
            let picture = frame.into_buffer();
            bytes += picture.len();
            if pictures.len() == PICTURES_MAX || bytes > BYTES_MAX {
                return Err(format!(
                    "an animation has at most {PICTURES_MAX} pictures and {} MiB; make it a video",
                    BYTES_MAX >> 20
                ));
            }
            pictures.push(picture);
            ends.push(end);
        }
        if pictures.is_empty() {
            return Err("it has no picture".to_owned());
        }
        Ok(Self { pictures, ends, times })
    }

    /// The same with its pictures as they are drawn.
    pub(super) fn animation(self, pictures: Vec<Asset>) -> Animation {
        Animation { pictures, ends: self.ends, times: self.times, at: 0 }
    }
}

impl Animation {
    pub(super) fn update(&mut self, tick: &Tick, damage: &mut Damage) {
        let new = self.picture_at(tick.programme.millis());
        if new != self.at {
            damage.add(self.rect());
            self.at = new;
            damage.add(self.rect());
        }
    }

    /// Which picture is shown so long after the beginning.
    fn picture_at(&self, ms: u64) -> usize {
        let length = self.ends.last().copied().unwrap_or(1).max(1);
        if self.times.is_some_and(|times| ms / length >= times) {
            return self.ends.len() - 1;
        }
        let ms = ms % length;
        self.ends.partition_point(|end| *end <= ms)
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, clip: Rect, opacity: u8) {
        canvas.asset(&self.pictures[self.at], (0, 0), clip, opacity);
    }

    pub(super) fn rect(&self) -> Rect {
        self.pictures[self.at].rect()
    }

    /// All pictures that it keeps.
    pub(super) fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.pictures.iter()
    }

    pub(super) fn opaque(&self) -> Rect {
        self.pictures[self.at].opaque_rect()
    }
}

#[cfg(test)]
mod tests {
    use image::codecs::gif::{GifDecoder, GifEncoder, Repeat};
    use image::{Delay, Frame, Rgba};

    use super::*;
    use crate::media::Micros;

    const CANVAS: Rect = Rect { x: 0, y: 0, w: 64, h: 64 };

    fn gif(delays: &[u32], repeat: Repeat) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = GifEncoder::new(&mut bytes);
        encoder.set_repeat(repeat).unwrap();
        for (n, delay) in delays.iter().enumerate() {
            let grey = u8::try_from(n * 60).unwrap();
            let image = RgbaImage::from_pixel(8, 8, Rgba([grey, grey, grey, 255]));
            let frame = Frame::from_parts(image, 0, 0, Delay::from_numer_denom_ms(*delay, 1));
            encoder.encode_frame(frame).unwrap();
        }
        drop(encoder);
        bytes
    }

    fn animation(gif: &[u8]) -> Animation {
        let frames = Frames::read(GifDecoder::new(std::io::Cursor::new(gif)).unwrap()).unwrap();
        let pictures =
            frames.pictures.iter().map(|image| Asset::new(image, (0, 0), CANVAS)).collect();
        frames.animation(pictures)
    }

    #[test]
    fn each_picture_is_shown_for_its_time_and_they_begin_again() {
        let animation = animation(&gif(&[100, 40, 0], Repeat::Infinite));
        let shown = |ms| animation.picture_at(ms);
        assert_eq!([0, 99, 100, 139, 140, 239].map(shown), [0, 0, 1, 1, 2, 2]);
        assert_eq!([240, 340, 24_000_140].map(shown), [0, 1, 2]);
    }

    #[test]
    fn a_limited_animation_stays_at_its_last_picture() {
        let animation = animation(&gif(&[100, 100], Repeat::Finite(1)));
        let times = animation.times.unwrap();
        assert_eq!(animation.picture_at(200 * times - 1), 1);
        assert_eq!(animation.picture_at(200 * times + 50), 1);
    }

    #[test]
    fn only_a_change_of_the_picture_damages() {
        let mut animation = animation(&gif(&[100, 100], Repeat::Infinite));
        let tick = |ms: u64| Tick { programme: Micros(ms * 1_000), ..Tick::default() };
        let mut damage = Damage::none(CANVAS);
        animation.update(&tick(50), &mut damage);
        assert!(damage.is_empty());
        animation.update(&tick(150), &mut damage);
        assert_eq!(damage.rects(), [Rect { x: 0, y: 0, w: 8, h: 8 }]);
    }
}
