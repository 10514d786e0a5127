//! Live input: pictures that arrive while the programme runs, and the slate that stands there when
//! none do.

use crate::frame::{FrozenFrame, PictureEvent};
use crate::media::{Micros, PixelFormat, Rect};
use crate::ring::Receiver;
use crate::scene::asset::Asset;
use crate::scene::canvas::{Canvas, Placed};
use crate::scene::damage::{Damage, around};
use crate::scene::kernel::mul255;
use crate::scene::layout;
use crate::scene::model::AtEnd;
use crate::scene::tick::Tick;

/// How long the last picture takes to fade to the slate.
const FADE_OUT: Micros = Micros::from_millis(500);

/// How long the first picture takes to come.
const FADE_IN: Micros = Micros::from_millis(200);

/// A box that shows the newest due picture of a ring, and fades to its slate when the source ends.
///
/// The ring is the queue: pictures stay in it until they are due, so its capacity is the limit. One
/// more picture, the one shown, is held here.
#[derive(Debug)]
pub(in crate::scene) struct Input {
    place: Rect,
    canvas: Rect,
    slate: Option<Asset>,
    /// What stands there while the source fails and nothing of it is seen.
    placeholder: Option<Box<Asset>>,
    /// One picture may be all that comes for a long time.
    is_still: bool,
    /// What stands there once the source is over.
    at_end: AtEnd,
    state: InputState,
    /// Where the picture lands on the canvas, and which part of it.
    dest: Rect,
    crop: Rect,
}

/// What a source gave so far. It can move to another scene's input.
#[derive(Debug, Default)]
pub(in crate::scene) struct InputState {
    pictures: Option<Receiver<PictureEvent>>,
    shown: Option<FrozenFrame>,
    fade: Fade,
    /// How much of the picture is to be seen: 255 all, 0 none.
    weight: u8,
    /// The source cannot be played now.
    failed: bool,
}

/// A change of weight over time.
#[derive(Clone, Copy, Debug, Default)]
struct Fade {
    from: u8,
    to: u8,
    start: Micros,
    length: Micros,
}

impl Input {
    pub(super) fn new(place: Rect, canvas: Rect, slate: Option<Asset>) -> Self {
        let (dest, crop) = (Rect::default(), Rect::default());
        let state = InputState::default();
        let (place, placeholder) = (place.even(), None);
        let (is_still, at_end) = (false, AtEnd::Hide);
        Self { place, canvas, slate, placeholder, is_still, at_end, state, dest, crop }
    }

    /// For a file: nothing stands there before the first picture; `placeholder` does while the file
    /// cannot be played.
    pub(super) fn of_file(
        place: Rect,
        canvas: Rect,
        (placeholder, at_end): (Asset, AtEnd),
    ) -> Self {
        Self { placeholder: Some(Box::new(placeholder)), at_end, ..Self::new(place, canvas, None) }
    }

    /// For another program: it may draw once, and `slate` stands there while it is not connected.
    pub(super) fn of_program(place: Rect, canvas: Rect, slate: Option<Asset>) -> Self {
        Self { is_still: true, ..Self::new(place, canvas, slate) }
    }

    /// One for the same place that has received nothing.
    pub(super) fn as_loaded(&self) -> Self {
        let Self { place, canvas, is_still, at_end, .. } = *self;
        let (slate, placeholder) = (self.slate.clone(), self.placeholder.clone());
        Self { placeholder, is_still, at_end, ..Self::new(place, canvas, slate) }
    }

    /// Takes its pictures from `pictures` from now on; what is shown stays until the first.
    pub(in crate::scene) fn attach(&mut self, pictures: Receiver<PictureEvent>) {
        self.state.pictures = Some(pictures);
    }

    /// Exchanges what was received with another input. The caller redraws the canvas.
    pub(in crate::scene) fn exchange(&mut self, state: &mut InputState) {
        std::mem::swap(&mut self.state, state);
        self.settle();
    }

    /// Before it is shown: takes what is due, and shows it at full weight from the first. Whether
    /// there is something now and for later, too, if more is to come.
    pub(in crate::scene) fn preroll(&mut self, now: Micros) -> bool {
        self.receive(now);
        if self.state.shown.is_some() && self.state.fade.to == 255 {
            self.state.fade = Fade { from: 255, to: 255, ..Fade::default() };
            self.state.weight = 255;
            self.settle();
        }
        let shows = self.state.shown.is_some();
        let is_still = self.is_still;
        self.state.pictures.as_ref().is_none_or(|ring| shows && (is_still || !ring.is_empty()))
    }

    /// Shows what `other` does, which takes the pictures of both.
    pub(in crate::scene) fn mirror(&mut self, other: &Self, damage: &mut Damage) {
        damage.add(self.bounds());
        self.state.shown = other.state.shown.as_ref().map(FrozenFrame::share);
        (self.state.fade, self.state.failed) = (other.state.fade, other.state.failed);
        self.state.weight = other.state.weight;
        self.settle();
        damage.add(self.bounds());
    }

    pub(super) fn update(&mut self, tick: &Tick, damage: &mut Damage) {
        let before = self.substitute().map(Asset::rect);
        let is_new = self.receive(tick.at);
        let weight = self.state.fade.weight(tick.at);
        if weight == 0 && self.state.fade.to == 0 {
            self.state.shown = None;
        }
        if weight != self.state.weight {
            // While the weight moves, all that the picture or the slate covers changes.
            damage.add(self.bounds());
            self.state.weight = weight;
            self.settle();
            damage.add(self.bounds());
        } else if is_new {
            damage.add(self.dest);
            self.settle();
            damage.add(self.dest);
        }
        let after = self.substitute().map(Asset::rect);
        if before != after {
            damage.add(before.or(after).unwrap_or_default());
        }
    }

    /// What stands in place of a picture now: the slate, or the placeholder of a file that fails.
    fn substitute(&self) -> Option<&Asset> {
        let fails = self.state.failed && self.state.weight == 0;
        self.slate.as_ref().or_else(|| self.placeholder.as_deref().filter(|_| fails))
    }

    /// Takes everything that is due out of the ring. Whether there is a new picture.
    fn receive(&mut self, now: Micros) -> bool {
        let Some(pictures) = &mut self.state.pictures else { return false };
        let (mut is_new, mut is_over) = (false, false);
        pictures.drop_revoked();
        loop {
            match pictures.peek() {
                Some(PictureEvent::Picture { at, .. }) if *at > now => break,
                Some(_) => {}
                None => break,
            }
            match pictures.pop() {
                Some(PictureEvent::Picture { frame, .. }) => {
                    if frame.geometry().format() != PixelFormat::I420 {
                        debug_assert!(false, "a picture is not in the canvas' format");
                        continue;
                    }
                    self.state.shown = Some(frame);
                    (is_new, is_over) = (true, false);
                    self.state.failed = false;
                }
                Some(PictureEvent::Ended) => is_over |= self.at_end == AtEnd::Hide,
                Some(PictureEvent::Failed) => {
                    is_over = true;
                    self.state.failed = true;
                }
                None => break,
            }
        }
        if pictures.is_finished() {
            self.state.pictures = None;
            is_over = true;
        }
        if is_over {
            self.state.fade.turn(0, now, FADE_OUT);
        } else if is_new {
            self.state.fade.turn(255, now, FADE_IN);
        }
        is_new
    }

    /// Works out where the picture lies.
    fn settle(&mut self) {
        let Some(frame) = &self.state.shown else {
            (self.dest, self.crop) = (Rect::default(), Rect::default());
            return;
        };
        let (dest, crop) = layout::centre(self.place, frame.geometry().shown());
        self.dest = dest.intersect(self.canvas);
        let (x, y) = (crop.x + self.dest.x - dest.x, crop.y + self.dest.y - dest.y);
        self.crop = Rect { x, y, w: self.dest.w, h: self.dest.h };
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, clip: Rect, opacity: u8) {
        let picture = self.picture();
        match (picture, self.substitute(), self.state.weight) {
            (Some(picture), _, 255) => canvas.picture(picture, clip, opacity),
            (Some(picture), Some(slate), 1..) if picture.has_alpha() => {
                canvas.asset(slate, (0, 0), clip, mul255(255 - self.state.weight, opacity));
                canvas.picture(picture, clip, mul255(self.state.weight, opacity));
            }
            (Some(picture), Some(slate), 1..) => {
                canvas.between(picture, slate, clip, (self.state.weight, opacity));
                let fading = mul255(255 - self.state.weight, opacity);
                for rect in around(clip, self.dest) {
                    canvas.asset(slate, (0, 0), rect, fading);
                }
            }
            (Some(picture), None, 1..) => {
                canvas.picture(picture, clip, mul255(self.state.weight, opacity));
            }
            (_, Some(slate), _) => canvas.asset(slate, (0, 0), clip, opacity),
            (_, None, _) => {}
        }
    }

    pub(super) fn bounds(&self) -> Rect {
        let under = self.substitute().map_or_else(Rect::default, Asset::rect);
        if self.state.weight == 255 { self.dest } else { under.union(self.dest) }
    }

    /// All pictures that it keeps.
    pub(super) fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.slate.iter().chain(self.placeholder.as_deref())
    }

    pub(super) fn opaque(&self) -> Rect {
        let has_alpha = self.picture().is_some_and(|picture| picture.has_alpha());
        match (&self.slate, self.state.weight, &self.state.shown) {
            (_, 1.., Some(_)) if has_alpha => Rect::default(),
            (_, 255, Some(_)) => self.dest,
            (Some(_), 1.., Some(_)) => self.dest,
            (Some(slate), ..) => slate.opaque_rect(),
            (None, ..) => Rect::default(),
        }
    }

    pub(super) fn whole_picture(&self) -> Option<Placed<'_>> {
        self.picture().filter(|picture| self.state.weight == 255 && !picture.has_alpha())
    }

    fn picture(&self) -> Option<Placed<'_>> {
        let frame = self.state.shown.as_ref()?;
        Some(Placed { frame, dest: self.dest, crop: self.crop })
    }
}

impl Fade {
    /// Turns towards `to`, from wherever it is now. A part of the way takes a part of `length`.
    fn turn(&mut self, to: u8, now: Micros, length: Micros) {
        if self.to == to {
            return;
        }
        let from = self.weight(now);
        let way = u64::from(from.abs_diff(to));
        *self = Self { from, to, start: now, length: Micros(length.0 * way / 255) };
    }

    fn weight(&self, now: Micros) -> u8 {
        let gone = now.since(self.start).0;
        if gone >= self.length.0 {
            return self.to;
        }
        let (from, to) = (u64::from(self.from), u64::from(self.to));
        let left = self.length.0 - gone;
        u8::try_from((from * left + to * gone) / self.length.0).unwrap_or(self.to)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::frame::{Geometry, Pool};
    use crate::media::Size;
    use crate::ring::{Bell, Sender, channel};

    const CANVAS: Rect = Rect { x: 0, y: 0, w: 128, h: 64 };
    const PLACE: Rect = Rect { x: 32, y: 16, w: 64, h: 32 };

    struct Bench {
        pool: Pool,
        sender: Sender<PictureEvent>,
        input: Input,
    }

    fn bench(slots: u32) -> Bench {
        let size = Size::new(64, 32).unwrap();
        let pool = Pool::new(Geometry::new(size, PixelFormat::I420), slots).unwrap();
        let (sender, receiver) = channel(8, Arc::clone(&Bell::new()));
        let planes = [vec![16; 64 * 32], vec![128; 32 * 16], vec![128; 32 * 16]];
        let mut input = Input::new(PLACE, CANVAS, Some(Asset::opaque(PLACE, planes)));
        input.attach(receiver);
        Bench { pool, sender, input }
    }

    impl Bench {
        fn send(&mut self, ms: u64) {
            let frame = self.pool.take().unwrap().freeze();
            let at = Micros::from_millis(ms);
            self.sender.push(PictureEvent::Picture { frame, at }).unwrap();
        }

        /// Whether anything changed, and the picture's weight.
        fn tick(&mut self, ms: u64) -> (bool, u8) {
            let mut damage = Damage::none(CANVAS);
            let tick = Tick { at: Micros::from_millis(ms), ..Tick::default() };
            self.input.update(&tick, &mut damage);
            (!damage.is_empty(), self.input.state.weight)
        }
    }

    #[test]
    fn the_newest_due_picture_is_shown_and_older_ones_are_released() {
        let mut bench = bench(4);
        for ms in [0, 20, 40, 900] {
            bench.send(ms);
        }
        assert_eq!(bench.pool.in_use(), 4);
        bench.tick(45);
        assert_eq!(bench.pool.in_use(), 2);
        assert_eq!(bench.tick(245), (true, 255));
        assert_eq!(bench.tick(260), (false, 255));
        assert_eq!(bench.tick(900), (true, 255));
        assert_eq!(bench.pool.in_use(), 1);
    }

    #[test]
    fn the_first_picture_comes_in_200_ms_and_the_last_goes_in_500() {
        let mut bench = bench(2);
        assert_eq!(bench.tick(0), (false, 0));
        bench.send(1_000);
        assert_eq!(bench.tick(1_000).1, 0);
        assert_eq!(bench.tick(1_100).1, 127);
        assert_eq!(bench.tick(1_200).1, 255);
        bench.sender.push(PictureEvent::Ended).unwrap();
        assert_eq!(bench.tick(2_000).1, 255);
        assert_eq!(bench.tick(2_250).1, 127);
        assert_eq!(bench.pool.in_use(), 1);
        assert_eq!(bench.tick(2_500), (true, 0));
        assert_eq!((bench.pool.in_use(), bench.tick(2_600)), (0, (false, 0)));
    }

    #[test]
    fn pictures_that_come_back_while_it_fades_turn_it_round() {
        let mut bench = bench(4);
        bench.send(0);
        bench.tick(0);
        bench.tick(200);
        bench.sender.push(PictureEvent::Ended).unwrap();
        bench.tick(1_000);
        assert_eq!(bench.tick(1_250).1, 127);
        bench.send(1_250);
        assert_eq!(bench.tick(1_250).1, 127);
        assert!(bench.tick(1_300).1 > 127);
        assert_eq!(bench.tick(1_352).1, 255);
    }

    #[test]
    fn the_last_picture_of_a_file_stays_or_goes_and_what_is_taken_back_is_not_seen() {
        let label = || Asset::opaque(PLACE, [vec![0; 64 * 32], vec![0; 32 * 16], vec![0; 32 * 16]]);
        for (at_end, weight) in [(AtEnd::Hold, 255), (AtEnd::Hide, 0)] {
            let mut bench = bench(4);
            let input = Input::of_file(PLACE, CANVAS, (label(), at_end));
            let old = std::mem::replace(&mut bench.input, input);
            std::mem::swap(&mut bench.input.state, &mut { old }.state);
            bench.send(0);
            bench.tick(0);
            bench.tick(200);
            bench.sender.push(PictureEvent::Ended).unwrap();
            bench.tick(300);
            assert_eq!(bench.tick(2_000).1, weight, "{at_end:?}");
            bench.send(3_000);
            bench.sender.revoke();
            bench.tick(3_500);
            assert_eq!(bench.pool.in_use(), usize::from(weight > 0), "{at_end:?}");
            bench.send(4_000);
            bench.tick(4_000);
            assert_eq!(bench.tick(4_300).1, 255, "it is played again");
        }
    }

    #[test]
    fn a_file_that_fails_is_stood_for_until_its_next_picture() {
        let mut bench = bench(2);
        let label = Asset::new(
            &image::RgbaImage::from_pixel(64, 32, image::Rgba([9, 9, 9, 128])),
            (PLACE.x, PLACE.y),
            CANVAS,
        );
        let old = std::mem::replace(
            &mut bench.input,
            Input::of_file(PLACE, CANVAS, (label, AtEnd::Hide)),
        );
        std::mem::swap(&mut bench.input.state, &mut { old }.state);
        let shows = |bench: &Bench| bench.input.bounds();
        bench.tick(0);
        assert!(shows(&bench).is_empty(), "a file that is well has no placeholder");
        bench.sender.push(PictureEvent::Failed).unwrap();
        assert_eq!((bench.tick(20), shows(&bench)), ((true, 0), PLACE));
        assert_eq!(bench.tick(40), (false, 0));
        assert!(bench.input.opaque().is_empty(), "what is below it can be seen");
        bench.send(60);
        assert!(bench.tick(60).0, "the placeholder leaves");
        assert_eq!(bench.tick(260), (true, 255));
        bench.sender.push(PictureEvent::Failed).unwrap();
        bench.tick(300);
        assert_eq!((bench.tick(800), shows(&bench)), ((true, 0), PLACE));
    }

    #[test]
    fn what_is_below_can_be_seen_through_alpha_and_one_picture_is_enough() {
        let mut bench = bench(1);
        let pool = Pool::new(Geometry::with_alpha(Size::new(64, 32).unwrap()).unwrap(), 1).unwrap();
        let mut frame = pool.take().unwrap();
        for plane in frame.planes_mut() {
            let (colors, alpha) = plane.data.split_at_mut(plane.stride * plane.rows / 2);
            colors.fill(64);
            alpha.fill(128);
        }
        let frame = frame.freeze();
        let mut input = Input::of_program(PLACE, CANVAS, None);
        std::mem::swap(&mut input.state, &mut bench.input.state);
        bench.sender.push(PictureEvent::Picture { frame, at: Micros(0) }).unwrap();
        assert!(input.preroll(Micros(0)), "nothing more need come");
        assert_eq!((input.bounds(), input.opaque()), (PLACE, Rect::default()));
        assert!(input.whole_picture().is_none());
        let canvas = Pool::new(Geometry::new(Size::new(128, 64).unwrap(), PixelFormat::I420), 1);
        let mut canvas = canvas.unwrap().take().unwrap();
        canvas.planes_mut().into_iter().for_each(|plane| plane.data.fill(100));
        let mut scratch = [0; 128];
        let kernels = crate::scene::kernel::Kernels::at(crate::scene::kernel::Level::Scalar);
        for (opacity, wanted) in [(255, 64 + 50), (0, 64 + 50)] {
            let mut drawn = Canvas::on_frame(&mut canvas, kernels, &mut scratch);
            input.draw(&mut drawn, CANVAS, opacity);
            for (plane, x, y) in [(0, 33, 17), (0, 95, 47), (1, 16, 8), (2, 47, 23)] {
                let stride = canvas.geometry().planes()[plane].stride;
                assert_eq!(canvas.plane(plane)[y * stride + x], wanted, "{plane} {x} {y}");
            }
        }
        assert_eq!(canvas.plane(0)[0], 100, "nothing beside it");
    }

    #[test]
    fn a_source_that_vanishes_has_ended() {
        let mut bench = bench(1);
        bench.send(0);
        bench.tick(0);
        bench.tick(200);
        let (closed, _) = channel(1, Bell::new());
        drop(std::mem::replace(&mut bench.sender, closed));
        bench.tick(300);
        assert_eq!((bench.tick(800).1, bench.pool.in_use()), (0, 0));
    }

    #[test]
    fn the_picture_in_a_box_beyond_the_canvas_is_cut_on_the_right_side() {
        let mut bench = bench(1);
        bench.input.place = Rect { x: -20, y: 50, ..PLACE };
        bench.send(0);
        bench.tick(0);
        assert_eq!(bench.input.dest, Rect { x: 0, y: 50, w: 44, h: 14 });
        assert_eq!(bench.input.crop, Rect { x: 20, y: 0, w: 44, h: 14 });
    }
}
