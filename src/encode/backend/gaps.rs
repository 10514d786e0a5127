//! Picture counter of an encoder, in which no gap is longer than its buffer can make up for.

use std::collections::VecDeque;

/// Maps ticks of the channel's grid to the numbers that the encoder is told, and back.
///
/// x264 fills the whole time between two pictures with filler, in one packet. Of a gap that is
/// longer than `longest` it is told that much; what comes out of it has the real times again.
#[derive(Debug)]
pub(super) struct Gaps {
    longest: i64,
    /// The newest tick and its number.
    newest: Option<(i64, i64)>,
    /// From which number on the tick is so much higher than the number, oldest first. One more
    /// comes with each long gap, and goes when the pictures from before it have come out.
    steps: VecDeque<(i64, i64)>,
}

impl Gaps {
    /// Numbers that rise by at most `longest` from one picture to the next.
    pub(super) fn new(longest: i64) -> Self {
        Self { longest: longest.max(1), newest: None, steps: VecDeque::new() }
    }

    /// Other gaps are too long from now on.
    pub(super) fn set_longest(&mut self, longest: i64) {
        self.longest = longest.max(1);
    }

    /// The number of the picture of `tick`, which is to be encoded next.
    pub(super) fn number(&mut self, tick: i64) -> i64 {
        let number = match self.newest {
            None => tick,
            Some((last, number)) => number + (tick - last).clamp(1, self.longest),
        };
        let ahead = self.steps.back().map_or(0, |(_, ahead)| *ahead);
        if tick - number != ahead {
            self.steps.push_back((number, tick - number));
        }
        self.newest = Some((tick, number));
        number
    }

    /// The ticks of a packet that came out with these numbers. Packets come in the order of `dts`.
    pub(super) fn ticks(&mut self, pts: i64, dts: i64) -> (i64, i64) {
        while self.steps.get(1).is_some_and(|(from, _)| *from <= dts) {
            self.steps.pop_front();
        }
        (self.tick(pts), self.tick(dts))
    }

    fn tick(&self, number: i64) -> i64 {
        let step = self.steps.iter().rev().find(|(from, _)| *from <= number);
        number + step.map_or(0, |(_, ahead)| *ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_gaps_are_told_and_of_long_ones_as_much_as_the_buffer_can_make_up_for() {
        let mut gaps = Gaps::new(5);
        let told: Vec<_> = [7, 8, 10, 15, 100, 101, 1_000].map(|tick| gaps.number(tick)).into();
        assert_eq!(told, [7, 8, 10, 15, 20, 21, 26]);
    }

    #[test]
    fn packets_get_the_ticks_of_their_pictures_back_also_out_of_order() {
        let mut gaps = Gaps::new(5);
        let ticks = [0, 1, 2, 90, 91, 500];
        let told = ticks.map(|tick| gaps.number(tick));
        // In decoding order, with decode times two pictures behind, as with B-pictures.
        let order = [0, 2, 1, 5, 3, 4];
        let mut decoded = Vec::new();
        for (place, index) in order.into_iter().enumerate() {
            let before = [-2, -1];
            let dts = before.get(place).copied().unwrap_or_else(|| told[place - 2]);
            let (pts, dts) = gaps.ticks(told[index], dts);
            assert_eq!(pts, ticks[index]);
            decoded.push(dts);
        }
        assert_eq!(decoded, [-2, -1, 0, 1, 2, 90]);
    }

    #[test]
    fn gaps_that_are_over_are_forgotten() {
        let mut gaps = Gaps::new(5);
        for n in 0..1_000 {
            let number = gaps.number(n * 100);
            assert_eq!(gaps.ticks(number, number), (n * 100, n * 100));
        }
        assert_eq!(gaps.steps.len(), 1);
    }
}
