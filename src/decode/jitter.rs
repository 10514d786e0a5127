//! Jitter of a live input: how late its messages come again and again, so that they are waited for
//! that long, and no longer once they come evenly.

/// What comes within this time of a late message is late with it, microseconds: one spell.
const SPELL: i64 = 500_000;

/// For how long a spell counts, microseconds. A single one is an accident; from the second on it is
/// how the source comes.
const WINDOW: i64 = 30_000_000;

/// Most that is waited for, microseconds.
pub(super) const JITTER_MAX: i64 = 10_000_000;

/// Spells that are remembered.
const SPELLS: usize = 4;

/// The newest spells of lateness.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Jitter {
    spells: [Option<Spell>; SPELLS],
}

/// Messages that came late one after another.
#[derive(Clone, Copy, Debug)]
struct Spell {
    /// When the newest of them came.
    at: i64,
    /// The largest need of one: the offset of clocks with which it would just have been in time.
    need: i64,
}

impl Jitter {
    /// A message with this need came late at `now`.
    pub(super) fn late(&mut self, need: i64, now: i64) {
        if let Some(newest) = self.spells.iter_mut().flatten().max_by_key(|spell| spell.at)
            && now - newest.at <= SPELL
        {
            (newest.at, newest.need) = (now, newest.need.max(need));
            return;
        }
        let oldest = self.spells.iter_mut().min_by_key(|spell| spell.map(|spell| spell.at));
        if let Some(oldest) = oldest {
            *oldest = Some(Spell { at: now, need });
        }
    }

    /// The need that covers all spells but the worst, if there is more than one that counts.
    pub(super) fn need(&self, now: i64) -> Option<i64> {
        let counts = |spell: &&Spell| now - spell.at <= WINDOW;
        let needs = self.spells.iter().flatten().filter(counts).map(|spell| spell.need);
        let [mut most, mut second] = [None, None];
        for need in needs.map(Some) {
            (most, second) = if need > most { (need, most) } else { (most, second.max(need)) };
        }
        second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spell_is_an_accident_and_two_are_how_the_source_comes() {
        let mut jitter = Jitter::default();
        for at in [1_000_000, 1_200_000, 1_400_000] {
            jitter.late(at / 1_000, at);
        }
        assert_eq!(jitter.need(1_400_000), None);
        jitter.late(900, 5_000_000);
        assert_eq!(jitter.need(5_000_000), Some(900), "the second, of {jitter:?}");
        jitter.late(1_300, 9_000_000);
        assert_eq!(jitter.need(9_000_000), Some(1_300));
    }

    #[test]
    fn what_was_long_ago_counts_no_more() {
        let mut jitter = Jitter::default();
        jitter.late(700, 0);
        jitter.late(700, 10_000_000);
        assert_eq!(jitter.need(30_000_000), Some(700));
        assert_eq!(jitter.need(30_000_001), None);
    }

    #[test]
    fn it_keeps_a_few_spells_whatever_comes() {
        let mut jitter = Jitter::default();
        for n in 0..1_000 {
            jitter.late(n, n * 1_000_000);
        }
        assert_eq!(jitter.need(999_000_000), Some(998));
    }
}
