//! Mixture of two scenes' pictures during a transition, plane by plane and row by row.

use std::path::Path;

use super::color::bytes;
use super::direction::Direction;
use super::error::Error;
use super::kernel::{Kernels, copy, fill};
use super::source::read_image;
use super::stinger::Stinger;
use super::transition::{Progress, Transition, TransitionKind};
use super::wipe_mask::WipeMask;
use crate::frame::{Frame, PictureEvent, PlaneMut};
use crate::media::Size;
use crate::ring::Receiver;

/// How two pictures become one. It may hold much memory: made away from the compose core.
#[derive(Debug)]
pub(super) enum Mixing {
    Fade,
    /// By way of a colour.
    FadeColor([u8; 3]),
    /// The new one moves over the old one.
    Slide(Direction),
    /// Both move.
    Push(Direction),
    Wipe(WipeMask),
    Stinger(Stinger),
}

/// The frames that are mixed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    pub(super) from: &'a Frame,
    pub(super) to: &'a Frame,
}

/// A row of what is mixed, or part of one.
struct Row<'a> {
    from: &'a [u8],
    to: &'a [u8],
}

impl Mixing {
    /// For a transition of scenes of this size; `None` if it is a cut. A stinger takes its pictures
    /// from `stinger`.
    ///
    /// # Errors
    /// [`Error::Transition`] if a file of it cannot be used.
    pub(super) fn new(
        transition: &Transition,
        size: Size,
        stinger: Option<Receiver<PictureEvent>>,
    ) -> Result<Option<Self>, Error> {
        Ok(Some(match &transition.kind {
            TransitionKind::Stinger { cut, .. } => match stinger {
                Some(pictures) => Self::Stinger(Stinger::new(pictures, *cut)),
                None => return Ok(None),
            },
            _ if transition.duration.0 == 0 => return Ok(None),
            TransitionKind::Cut => return Ok(None),
            TransitionKind::Fade => Self::Fade,
            TransitionKind::FadeColor(color) => Self::FadeColor(bytes(*color)),
            TransitionKind::Slide(direction) => Self::Slide(*direction),
            TransitionKind::Push(direction) => Self::Push(*direction),
            TransitionKind::Wipe { shape, softness } => {
                let read = |path: &Path| {
                    let fault = |cause| Error::Transition { path: path.to_owned(), cause };
                    read_image(path).map_err(fault)
                };
                let sides = (size.width(), size.height());
                Self::Wipe(WipeMask::new(shape, *softness, sides, read)?)
            }
        }))
    }

    /// Draws what is seen when the transition has come so far. All frames are of one geometry;
    /// `scratch` is as long as a row of luma.
    pub(super) fn draw(
        &self,
        frame: &mut Frame,
        pair: Pair<'_>,
        progress: Progress,
        (kernels, scratch): (&Kernels, &mut [u8]),
    ) {
        for (index, mut plane) in frame.planes_mut().into_iter().enumerate() {
            let PlaneMut { stride, width, rows, .. } = plane;
            let row = |y: usize| {
                let span = y * stride..y * stride + width;
                Row { from: &pair.from.plane(index)[span.clone()], to: &pair.to.plane(index)[span] }
            };
            match self {
                Self::Slide(direction) | Self::Push(direction) if direction.is_upright() => {
                    let moved = self.moved(*direction, rows, progress, index);
                    for y in 0..rows {
                        let (is_new, from) = moved.source(y);
                        let source = row(from);
                        copy(row_of(&mut plane, y), if is_new { source.to } else { source.from });
                    }
                }
                Self::Slide(direction) | Self::Push(direction) => {
                    let moved = self.moved(*direction, width, progress, index);
                    (0..rows).for_each(|y| moved.draw(row_of(&mut plane, y), &row(y)));
                }
                Self::FadeColor(value) => {
                    let color = &mut scratch[..width];
                    fill(color, value.get(index).copied().unwrap_or_default());
                    let twice = progress.of(510);
                    let near = u8::try_from(twice.min(510 - twice)).unwrap_or(255);
                    for y in 0..rows {
                        let Row { from, to } = row(y);
                        let shown = if twice < 255 { from } else { to };
                        (kernels.fade)(row_of(&mut plane, y), color, shown, near);
                    }
                }
                Self::Fade => {
                    let weight = progress.weight();
                    for y in 0..rows {
                        let Row { from, to } = row(y);
                        (kernels.fade)(row_of(&mut plane, y), to, from, weight);
                    }
                }
                Self::Wipe(mask) => {
                    let edge = mask.edge(progress);
                    for y in 0..rows {
                        let Row { from, to } = row(y);
                        (kernels.wipe)(row_of(&mut plane, y), to, from, mask.row(index, y), &edge);
                    }
                }
                Self::Stinger(stinger) => {
                    for y in 0..rows {
                        let Row { from, to } = row(y);
                        let below = if stinger.has_cut() { to } else { from };
                        stinger.draw(row_of(&mut plane, y), below, (index, y, rows), kernels);
                    }
                }
            }
        }
    }

    /// Where the new picture is on an axis of so many samples of a plane.
    fn moved(
        &self,
        direction: Direction,
        samples: usize,
        progress: Progress,
        plane: usize,
    ) -> Moved {
        // Luma moves by two samples, so that chroma goes with it.
        let pairs = if plane == 0 { samples / 2 } else { samples };
        let come = progress.of(u32::try_from(pairs).unwrap_or(0)) as usize;
        let come = if plane == 0 { 2 * come } else { come };
        let from_end = matches!(direction, Direction::Left | Direction::Up);
        Moved { samples, come, from_end, is_push: matches!(self, Self::Push(_)) }
    }
}

/// Two pictures side by side on one axis.
struct Moved {
    samples: usize,
    /// Samples of the new picture that are seen.
    come: usize,
    /// It comes in at the end of the axis.
    from_end: bool,
    /// The old picture moves as well.
    is_push: bool,
}

impl Moved {
    /// Whether a sample is of the new picture, and which one of its picture it is.
    const fn source(&self, at: usize) -> (bool, usize) {
        let left = self.samples - self.come;
        match (self.from_end, self.is_push) {
            (true, _) if at >= left => (true, at - left),
            (false, _) if at < self.come => (true, at + left),
            (true, true) => (false, at + self.come),
            (false, true) => (false, at - self.come),
            (_, false) => (false, at),
        }
    }

    fn draw(&self, dst: &mut [u8], row: &Row<'_>) {
        let edge = if self.from_end { self.samples - self.come } else { self.come };
        let (first, second) = dst.split_at_mut(edge);
        for (part, at) in [(first, 0), (second, edge)] {
            if !part.is_empty() {
                let (is_new, from) = self.source(at);
                copy(part, &(if is_new { row.to } else { row.from })[from..]);
            }
        }
    }
}

fn row_of<'p>(plane: &'p mut PlaneMut<'_>, y: usize) -> &'p mut [u8] {
    &mut plane.data[y * plane.stride..][..plane.width]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Micros;
    use crate::scene::transition::WipeShape;

    #[test]
    fn a_wipe_by_a_picture_that_is_not_there_names_it() {
        let shape = WipeShape::Luma("/nowhere/ink.png".into());
        let kind = TransitionKind::Wipe { shape, softness: 0.0 };
        let wipe = Transition { kind, ..Transition::fade(Micros::from_millis(100)) };
        let missing = Mixing::new(&wipe, Size::HD720, None).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/ink.png"), "{missing}");
    }
}
