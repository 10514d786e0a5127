//! Scene changes of a running channel: they come in from control over a ring and are taken between
//! two ticks; what they retire goes back, to be dropped where that may take time.

use super::native::{NativeBranch, NativeChanges};
use crate::media::Micros;
use crate::ring::{Receiver, Sender};
use crate::scene::{Change, Composer, RETIRED_MAX, Retired, Tick};

/// Changes that may wait for the composer. Control sends one and waits for its report, so the
/// second place is never needed.
pub const CHANGES_MAX: usize = 2;

/// Reports that may wait for control. While there is no room for all that a change can lead to, the
/// composer leaves the next change in its ring.
pub const SCENE_REPORTS_MAX: usize = 16;

/// How far ahead a change may be sent for a time. Further ones are refused: others wait behind it.
pub const AHEAD_MAX: Micros = Micros::from_secs(10);

/// The same for a frame by its number.
pub const FRAMES_AHEAD_MAX: u64 = 600;

/// Reports that one change can lead to at once.
const REPORTS_EACH: usize = RETIRED_MAX + 1;

/// Another scene for a channel.
#[derive(Debug)]
pub struct SceneChange {
    /// Stands in the report.
    pub ticket: u64,
    /// The scene, and how it comes.
    pub change: Change,
    /// The same at the sizes of native renditions.
    pub natives: NativeChanges,
    /// From which frame on it is seen.
    pub at: StartAt,
}

/// The first frame of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// The next one.
    Now,
    /// The one of this number on the channel's grid, or the next if it has gone.
    Frame(u64),
    /// The first at this time or later, milliseconds since 1970-01-01 UTC.
    UnixMs(u64),
}

impl StartAt {
    /// Whether the frame of `tick` is the one; `None` if that is too far ahead to wait for.
    fn is_due(self, tick: &Tick) -> Option<bool> {
        let (at, now, ahead_max) = match self {
            Self::Now => return Some(true),
            Self::Frame(frame) => (frame, tick.n, FRAMES_AHEAD_MAX),
            Self::UnixMs(ms) => (ms, tick.unix_ms, AHEAD_MAX.millis()),
        };
        (at <= now.saturating_add(ahead_max)).then_some(at <= now)
    }
}

/// What the composer says about its scenes.
#[derive(Debug)]
pub enum SceneReport {
    /// The first frame with the change has gone to the encoder.
    Shown {
        /// Of the change.
        ticket: u64,
        /// The frame's number on the channel's grid.
        tick: u64,
    },
    /// The change was not taken: its first frame is further ahead than [`AHEAD_MAX`] or
    /// [`FRAMES_AHEAD_MAX`].
    TooFar {
        /// Of the change.
        ticket: u64,
        /// The frame at which it was looked at.
        tick: u64,
        /// What native renditions were to show, to be dropped.
        #[expect(dead_code, reason = "kept to be dropped")]
        natives: NativeChanges,
    },
    /// To be dropped.
    Retired(Retired),
}

/// The composer's ends of the rings from and to control.
pub struct SceneLine {
    changes: Receiver<SceneChange>,
    reports: Sender<SceneReport>,
    /// The change that is in the composer and not yet in a frame.
    unseen: Option<u64>,
}

impl SceneLine {
    /// A line over these rings.
    #[must_use]
    pub const fn new(changes: Receiver<SceneChange>, reports: Sender<SceneReport>) -> Self {
        Self { changes, reports, unseen: None }
    }

    /// Before the frame of `tick` is drawn: takes the next change, if there is one for it, for all
    /// sizes.
    pub(super) fn before(
        &mut self,
        composer: &mut Composer,
        natives: &mut [NativeBranch],
        tick: &Tick,
    ) {
        let Some(SceneChange { at, .. }) = self.changes.peek() else { return };
        let room = self.reports.capacity() - self.reports.len();
        // A transition that ends by itself may need a place as well.
        let is_changing = natives.iter().any(NativeBranch::is_changing);
        if room <= REPORTS_EACH || self.unseen.is_some() || is_changing {
            return;
        }
        let is_due = at.is_due(tick);
        if is_due == Some(false) {
            return;
        }
        let Some(SceneChange { ticket, change, natives: changes, .. }) = self.changes.pop() else {
            return;
        };
        if is_due.is_some() {
            composer.change(change);
            natives.iter_mut().zip(changes).for_each(|(native, change)| native.change(change));
            self.unseen = Some(ticket);
            return;
        }
        let told = SceneReport::TooFar { ticket, tick: tick.n, natives: changes };
        for report in [told, SceneReport::Retired(change.into_retired())] {
            if self.reports.push(report).is_err() {
                debug_assert!(false, "there is room for what a change leads to");
            }
        }
    }

    /// After a tick: says what is seen, and sends back what no longer is. `seen` says whether the
    /// frame has gone to the encoder.
    pub(super) fn after(&mut self, composer: &mut Composer, tick: u64, seen: bool) {
        while let Some(retired) = composer.take_retired() {
            if self.reports.push(SceneReport::Retired(retired)).is_err() {
                debug_assert!(false, "there is room for what a change retires");
            }
        }
        if seen
            && let Some(ticket) = self.unseen.take()
            && self.reports.push(SceneReport::Shown { ticket, tick }).is_err()
        {
            debug_assert!(false, "there is room for the report of a change");
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
    use crate::scene::{
        Color, Layer, PreparedScene, PreparedTransition, ResolvedScene, Scene, Source, Transition,
    };

    fn size() -> Size {
        Size::new(64, 32).unwrap()
    }

    fn grey(value: u8) -> Scene {
        let color = Color { r: value, g: value, b: value, a: 255 };
        let layer = Layer::new("all", Source::Color(color));
        Scene { background: color, layers: vec![layer], transition: None }
    }

    fn change(ticket: u64, value: u8, ms: u64) -> SceneChange {
        let scene =
            PreparedScene::new(&ResolvedScene::alone(&grey(value), size()).unwrap()).unwrap();
        let fade = Transition::fade(Micros::from_millis(ms));
        let fade = PreparedTransition::new(&fade, size(), None).unwrap();
        let change = Change::new(scene, fade);
        SceneChange { ticket, change, natives: NativeChanges::default(), at: StartAt::Now }
    }

    struct Bench {
        composer: Composer,
        pool: Pool,
        line: SceneLine,
        changes: Sender<SceneChange>,
        reports: Receiver<SceneReport>,
        n: u64,
        /// At the next tick.
        unix_ms: u64,
    }

    fn bench(reports: usize) -> Bench {
        let composer = Composer::new(&grey(0), size(), Level::Scalar).unwrap();
        let pool = Pool::new(Geometry::new(size(), PixelFormat::I420), 3).unwrap();
        let (changes, receiver) = channel(CHANGES_MAX, Bell::new());
        let (sender, reports) = channel(reports, Bell::new());
        let line = SceneLine::new(receiver, sender);
        Bench { composer, pool, line, changes, reports, n: 0, unix_ms: 0 }
    }

    impl Bench {
        /// Draws a tick every 20 ms; the luma of its corner.
        fn tick(&mut self, seen: bool) -> u8 {
            let at = Micros::from_millis(self.n * 20);
            let tick = Tick { n: self.n, at, programme: at, unix_ms: self.unix_ms };
            self.unix_ms += 20;
            self.line.before(&mut self.composer, &mut [], &tick);
            let composed = self.composer.compose(&tick, &self.pool);
            self.line.after(&mut self.composer, self.n, seen);
            self.n += 1;
            match composed {
                crate::scene::Composed::Fresh(frame) | crate::scene::Composed::Same(frame) => {
                    frame.plane(0)[0]
                }
                crate::scene::Composed::NoFrame => 0,
            }
        }

        fn reports(&mut self) -> Vec<Option<(u64, u64)>> {
            std::iter::from_fn(|| self.reports.pop())
                .map(|report| match report {
                    SceneReport::Shown { ticket, tick } => Some((ticket, tick)),
                    SceneReport::TooFar { ticket, tick, .. } => Some((ticket + 1_000, tick)),
                    SceneReport::Retired(_) => None,
                })
                .collect()
        }
    }

    #[test]
    fn a_change_shows_at_the_next_tick_and_its_report_names_the_frame() {
        let mut bench = bench(SCENE_REPORTS_MAX);
        assert_eq!(bench.tick(true), 16);
        bench.changes.push(change(7, 255, 0)).unwrap();
        assert_eq!(bench.tick(true), 235);
        assert_eq!(bench.reports(), [None, Some((7, 1))]);
        assert_eq!(bench.tick(true), 235);
        assert!(bench.reports().is_empty());
    }

    #[test]
    fn a_change_whose_frame_was_lost_is_reported_with_the_next_one() {
        let mut bench = bench(SCENE_REPORTS_MAX);
        bench.tick(true);
        bench.changes.push(change(7, 255, 0)).unwrap();
        bench.tick(false);
        bench.changes.push(change(8, 100, 0)).unwrap();
        assert_eq!(bench.tick(true), 235, "one change after the other");
        assert_eq!(bench.reports(), [None, Some((7, 2))]);
        bench.tick(true);
        assert_eq!(bench.reports(), [None, Some((8, 3))]);
    }

    #[test]
    fn a_fade_is_reported_at_its_first_frame_and_retires_at_its_end() {
        let mut bench = bench(SCENE_REPORTS_MAX);
        bench.tick(true);
        bench.changes.push(change(1, 255, 100)).unwrap();
        let lumas: Vec<_> = (0..6).map(|_| bench.tick(true)).collect();
        assert_eq!((lumas[0], lumas[5]), (16, 235));
        assert!(lumas.is_sorted(), "{lumas:?}");
        assert_eq!(bench.reports(), [Some((1, 1)), None]);
    }

    #[test]
    fn control_that_does_not_read_its_reports_gets_no_further_changes() {
        let mut bench = bench(REPORTS_EACH + 1);
        for ticket in 0..2 {
            bench.changes.push(change(ticket, 255, 0)).unwrap();
            bench.tick(true);
        }
        assert_eq!(bench.reports(), [None, Some((0, 0))]);
        bench.tick(true);
        assert_eq!(bench.reports(), [None, Some((1, 2))]);
    }

    #[test]
    fn a_change_for_a_frame_or_a_time_is_seen_from_there_on() {
        let mut bench = bench(SCENE_REPORTS_MAX);
        bench.tick(true);
        let at = |at, ticket, value| SceneChange { at, ..change(ticket, value, 0) };
        bench.changes.push(at(StartAt::Frame(3), 1, 255)).unwrap();
        let lumas: Vec<_> = (0..4).map(|_| bench.tick(true)).collect();
        assert_eq!(lumas, [16, 16, 235, 235]);
        bench.changes.push(at(StartAt::Frame(2), 2, 0)).unwrap();
        assert_eq!(bench.tick(true), 16, "a frame that has gone is the next one");
        bench.unix_ms = 5_000;
        bench.changes.push(at(StartAt::UnixMs(5_030), 3, 255)).unwrap();
        let lumas: Vec<_> = (0..3).map(|_| bench.tick(true)).collect();
        assert_eq!(lumas, [16, 16, 235]);
        let told: Vec<_> = bench.reports().into_iter().flatten().collect();
        assert_eq!(told, [(1, 3), (2, 5), (3, 8)]);
    }

    #[test]
    fn a_change_too_far_ahead_is_refused_and_keeps_no_other_waiting() {
        let mut bench = bench(SCENE_REPORTS_MAX);
        bench.tick(true);
        bench.unix_ms = 5_000;
        let (frame, time) = (StartAt::Frame(602), StartAt::UnixMs(15_021));
        for (ticket, at) in [(1, frame), (2, time)] {
            bench.changes.push(SceneChange { at, ..change(ticket, 255, 0) }).unwrap();
            assert_eq!(bench.tick(true), 16);
        }
        assert_eq!(bench.reports(), [Some((1_001, 1)), None, Some((1_002, 2)), None]);
        bench.changes.push(change(3, 255, 0)).unwrap();
        assert_eq!(bench.tick(true), 235);
    }
}
