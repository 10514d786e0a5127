//! Stinger: the video over a change of scenes, while it runs.

use super::kernel::{Kernels, copy};
use crate::frame::{FrozenFrame, PictureEvent};
use crate::media::Micros;
use crate::ring::Receiver;

/// The longest. One whose file is longer ends there.
const DURATION_MAX: Micros = Micros::from_secs(20);

/// How long the last picture is shown if it is the only one.
const LAST_PICTURE: Micros = Micros::from_millis(40);

/// A video that is played once, by the time that has gone since its begin. Its pictures are as wide
/// as the canvas, and as high, or twice as high if they have alpha: below premultiplied colours
/// then stands what covers them, at luma resolution in the plane of luma and at chroma resolution
/// in those of chroma.
#[derive(Debug)]
pub(super) struct Stinger {
    pictures: Receiver<PictureEvent>,
    shown: Option<FrozenFrame>,
    /// When the picture that is shown was due, and how long the one before it was.
    since: Micros,
    lasts: Micros,
    cut: Micros,
    has_cut: bool,
    /// When it is over, once its end is known.
    end: Option<Micros>,
}

impl Stinger {
    /// Pictures that are due from 0 on.
    pub(super) const fn new(pictures: Receiver<PictureEvent>, cut: Micros) -> Self {
        Self {
            pictures,
            shown: None,
            since: Micros(0),
            lasts: LAST_PICTURE,
            cut,
            has_cut: false,
            end: None,
        }
    }

    /// Takes what is due when so much time has gone. False once it is over.
    pub(super) fn advance(&mut self, gone: Micros) -> bool {
        self.has_cut = gone >= self.cut;
        loop {
            match self.pictures.peek() {
                Some(PictureEvent::Picture { at, .. }) if *at > gone => break,
                Some(_) => {}
                None => break,
            }
            match self.pictures.pop() {
                Some(PictureEvent::Picture { frame, at }) => {
                    if self.shown.is_some() {
                        self.lasts = at.since(self.since);
                    }
                    (self.shown, self.since) = (Some(frame), at);
                }
                Some(PictureEvent::Ended) => self.end = Some(self.since + self.lasts),
                Some(PictureEvent::Failed) => self.end = Some(gone),
                None => break,
            }
        }
        let end = self.end.unwrap_or(DURATION_MAX);
        gone < end.max(self.cut)
    }

    /// Whether the new scene is below it.
    pub(super) const fn has_cut(&self) -> bool {
        self.has_cut
    }

    /// Draws row `y` of a plane of so many rows over what is below.
    pub(super) fn draw(
        &self,
        dst: &mut [u8],
        below: &[u8],
        (plane, y, rows): (usize, usize, usize),
        kernels: &Kernels,
    ) {
        let picture = self.shown.as_ref().and_then(|frame| {
            let geometry = frame.geometry().planes().get(plane)?;
            Some((frame.plane(plane), geometry)).filter(|_| geometry.width == dst.len())
        });
        let Some((data, geometry)) = picture else { return copy(dst, below) };
        let row = |y: usize| &data[y * geometry.stride..][..geometry.width];
        if geometry.rows == rows {
            return copy(dst, row(y));
        }
        copy(dst, below);
        if geometry.rows == 2 * rows {
            (kernels.blend)(dst, row(y), row(rows + y));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Geometry, Pool};
    use crate::media::{PixelFormat, Size};
    use crate::ring::{Bell, channel};
    use crate::scene::kernel::Level;

    fn picture(height: u32, value: u8) -> FrozenFrame {
        let size = Size::new(16, height).unwrap();
        let pool = Pool::new(Geometry::new(size, PixelFormat::I420), 1).unwrap();
        let mut frame = pool.take().unwrap();
        for plane in frame.planes_mut() {
            let (above, below) = plane.data.split_at_mut(plane.stride * plane.rows / 2);
            above.fill(value);
            below.fill(128);
        }
        frame.freeze()
    }

    #[test]
    fn it_shows_what_is_due_cuts_at_its_time_and_ends_after_its_last_picture() {
        let (mut sender, receiver) = channel(8, Bell::new());
        let ms = Micros::from_millis;
        for at in [0, 50, 100] {
            let frame = picture(16, 1);
            sender.push(PictureEvent::Picture { frame, at: ms(at) }).unwrap();
        }
        sender.push(PictureEvent::Ended).unwrap();
        let mut stinger = Stinger::new(receiver, ms(60));
        let steps = [0, 59, 60, 100, 149].map(|at| (stinger.advance(ms(at)), stinger.has_cut()));
        assert_eq!(steps, [(true, false), (true, false), (true, true), (true, true), (true, true)]);
        assert!(!stinger.advance(ms(150)));
    }

    #[test]
    fn one_that_fails_still_cuts_at_its_time() {
        let (mut sender, receiver) = channel(8, Bell::new());
        sender.push(PictureEvent::Failed).unwrap();
        let mut stinger = Stinger::new(receiver, Micros(60));
        assert_eq!([0, 59, 60].map(|at| stinger.advance(Micros(at))), [true, true, false]);
    }

    #[test]
    fn alpha_stands_below_the_colours_and_a_picture_without_it_covers_all() {
        let kernels = Kernels::at(Level::best());
        for (height, expected) in [(16, 64), (32, 64 + 100 - 50), (48, 100)] {
            let (mut sender, receiver) = channel(8, Bell::new());
            let at = Micros(0);
            sender.push(PictureEvent::Picture { frame: picture(height, 64), at }).unwrap();
            let mut stinger = Stinger::new(receiver, Micros(60));
            stinger.advance(at);
            let mut row = [0; 16];
            stinger.draw(&mut row, &[100; 16], (0, 3, 16), kernels);
            assert_eq!(row, [expected; 16], "{height}");
        }
    }
}
