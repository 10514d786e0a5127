//! Queue watermarks: a slow reader's queue takes all for a while, then as much as the reader does,
//! evenly spread.

/// Items that may wait in a queue whose reader does not keep up: the next one, for no pause.
const KEPT: usize = 1;

/// Admits items to a queue. An uneven reader finds them all, as far as the queue holds them. A
/// reader that stays behind is given one when it has taken one, so that what is left out is spread
/// evenly and what is read is fresh.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    capacity: usize,
    /// How often more than [`KEPT`] waited, less the times that nothing did.
    pressure: usize,
    /// At this pressure the reader is behind, until there is none.
    pressure_max: usize,
    is_behind: bool,
    /// Items refused since the last one that was admitted.
    refused: usize,
}

impl Gate {
    /// For a queue of `capacity`, whose reader may be behind for as many items as fill two thirds.
    #[must_use]
    pub fn for_capacity(capacity: usize) -> Self {
        let pressure_max = (capacity * 2 / 3).max(1);
        Self { capacity, pressure: 0, pressure_max, is_behind: false, refused: 0 }
    }

    /// Whether one more may enter a queue that now holds `length`.
    pub fn admits(&mut self, length: usize) -> bool {
        self.pressure = match length {
            0 => self.pressure.saturating_sub(1),
            1..=KEPT => self.pressure,
            _ => (self.pressure + 1).min(self.pressure_max),
        };
        self.is_behind = match self.pressure {
            0 => false,
            pressure => self.is_behind || pressure == self.pressure_max,
        };
        // What waits already is thinned out to its end.
        let thinned = self.is_behind && length > KEPT && self.refused < 2 * length;
        let admits = length < self.capacity && !thinned;
        self.refused = if admits { 0 } else { self.refused + 1 };
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs so many ticks against a reader that takes an item every `slowness` ticks, from tick
    /// `away` on; gives the ticks admitted and the longest queue in the last half.
    fn run(gate: &mut Gate, ticks: usize, slowness: f64, away: usize) -> (Vec<usize>, usize) {
        let (mut queue, mut longest, mut admitted, mut busy) = (0_usize, 0, Vec::new(), 0.0);
        for tick in 0..ticks {
            if tick >= away {
                busy -= 1.0;
                while busy <= 0.0 && queue > 0 {
                    queue -= 1;
                    busy += slowness;
                }
                busy = f64::max(busy, 0.0);
            }
            if gate.admits(queue) {
                queue += 1;
                admitted.push(tick);
            }
            if tick > ticks / 2 {
                longest = longest.max(queue);
            }
        }
        (admitted, longest)
    }

    fn widest(admitted: &[usize]) -> usize {
        admitted.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
    }

    #[test]
    fn a_reader_that_keeps_up_gets_all_also_after_it_was_away_for_a_moment() {
        for away in [0, 4, 8] {
            let (admitted, longest) = run(&mut Gate::for_capacity(30), 600, 0.5, away);
            assert_eq!((admitted.len(), longest), (600, 1), "away for {away}");
        }
    }

    #[test]
    fn a_reader_that_stays_behind_gets_what_it_takes_evenly_and_fresh() {
        for slowness in [1.1, 1.5, 2.0, 3.0, 5.0, 10.0] {
            let (admitted, longest) = run(&mut Gate::for_capacity(30), 3_000, slowness, 0);
            assert!(longest <= 5, "{longest} wait at {slowness}");
            let taken = 3_000.0 / slowness;
            assert!(admitted.len() as f64 >= taken * 0.97, "{} at {slowness}", admitted.len());
            // Also in the beginning, when what already waits is worked off.
            let late: Vec<_> = admitted.iter().copied().filter(|tick| *tick > 300).collect();
            assert!(widest(&late) as f64 <= slowness.ceil() + 1.0, "{slowness}: {late:?}");
            assert!(widest(&admitted) <= 40, "{slowness}: {admitted:?}");
        }
    }

    #[test]
    fn when_the_reader_keeps_up_again_it_gets_all_again() {
        let mut gate = Gate::for_capacity(30);
        run(&mut gate, 300, 3.0, 0);
        let (admitted, _) = run(&mut gate, 300, 0.5, 0);
        assert!(admitted.len() >= 298, "{}", admitted.len());
    }

    #[test]
    fn a_full_queue_admits_nothing_and_one_of_a_single_place_works() {
        let mut gate = Gate::for_capacity(1);
        assert!(gate.admits(0) && !gate.admits(1) && gate.admits(0));
        let mut gate = Gate::for_capacity(4);
        assert!((0..100).all(|_| !gate.admits(4)));
    }
}
