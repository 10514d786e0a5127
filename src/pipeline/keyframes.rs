//! Keyframe schedule of a channel: the ticks whose pictures are keyframes in all its renditions.

use crate::media::{FrameRate, Micros};

/// Shortest time between two keyframes that readers ask for: one bad destination must not hurt the
/// picture of all others.
const FORCED_KEY_INTERVAL: Micros = Micros::from_secs(1);

/// Which ticks are to be keyframes: those of a grid, so that a rendition that left one out is in
/// step again at the next, and further ones that are asked for.
#[derive(Debug)]
pub struct Keyframes {
    /// Ticks from one keyframe of the grid to the next.
    interval: u64,
    /// Every so many ticks all renditions encode the same picture.
    common: u64,
    /// Least ticks from one keyframe to the next that readers ask for.
    asked_interval: u64,
    /// Which interval the newest tick lies in.
    newest: Option<u64>,
    newest_asked: Option<u64>,
}

impl Keyframes {
    /// Every `interval` ticks of `rate`, at least 1, where all renditions encode every `common`th.
    #[must_use]
    pub fn new(rate: FrameRate, interval: u32, common: u32) -> Self {
        Self {
            interval: u64::from(interval.max(1)),
            common: u64::from(common.max(1)),
            asked_interval: rate.tick_at(FORCED_KEY_INTERVAL),
            newest: None,
            newest_asked: None,
        }
    }

    /// Whether the picture of `tick` is one: the first of an interval, the first after a stall
    /// (`is_cut`), or because readers have `asked`, which is looked at only when they may. To be
    /// called for each tick once.
    pub fn is_due(&mut self, tick: u64, is_cut: bool, asked: impl FnOnce() -> bool) -> bool {
        let may_ask = tick.is_multiple_of(self.common)
            && self.newest_asked.is_none_or(|last| tick >= last + self.asked_interval);
        let is_asked = may_ask && asked();
        if is_asked {
            self.newest_asked = Some(tick);
        }
        let interval = tick / self.interval;
        let is_first = self.newest != Some(interval);
        self.newest = Some(interval);
        is_first || is_cut || is_asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 30 frames a second, a keyframe every two seconds.
    fn keyframes(common: u32) -> Keyframes {
        Keyframes::new(FrameRate::FPS_30, 60, common)
    }

    const fn nobody() -> bool {
        false
    }

    #[test]
    fn keyframes_are_on_a_grid_also_where_ticks_are_left_out() {
        let mut keys = keyframes(1);
        let mut due = |ticks: &mut dyn Iterator<Item = u64>| -> Vec<u64> {
            ticks.filter(|tick| keys.is_due(*tick, false, nobody)).collect()
        };
        assert_eq!(due(&mut (7..=180)), [7, 60, 120, 180], "the first is one in any case");
        assert_eq!(due(&mut (187..=400).step_by(7)), [243, 306, 362]);
        assert_eq!(due(&mut (401..=540)), [420, 480, 540], "and they are on the grid again");
    }

    #[test]
    fn the_picture_after_a_stall_is_a_keyframe_and_the_grid_stays() {
        let mut keys = keyframes(1);
        keys.is_due(0, false, nobody);
        assert!(!keys.is_due(10, false, nobody));
        assert!(keys.is_due(33, true, nobody));
        assert!(!keys.is_due(59, false, nobody));
        assert!(keys.is_due(60, false, nobody));
    }

    #[test]
    fn readers_get_the_keyframe_they_ask_for_once_a_second_at_most() {
        let mut keys = keyframes(1);
        keys.is_due(0, false, nobody);
        assert!(keys.is_due(5, false, || true));
        assert!(!keys.is_due(6, false, || panic!("the request stays where it is")));
        assert!(keys.is_due(35, false, || true));
        assert!(keys.is_due(60, false, nobody));
    }

    #[test]
    fn what_is_asked_for_comes_at_a_tick_that_all_renditions_encode() {
        let mut keys = keyframes(6);
        keys.is_due(0, false, nobody);
        for tick in 7..12 {
            assert!(!keys.is_due(tick, false, || panic!("not here")), "{tick}");
        }
        assert!(keys.is_due(12, false, || true));
    }
}
