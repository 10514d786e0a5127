//! Balance of the shards: how busy each is, and when one has so much more to do than another that
//! it is to give something away.

use crate::media::Micros;

/// Time that a busy share is measured over.
const MEASURE_EVERY: Micros = Micros::from_secs(1);

/// Busy share from which on a shard has too much to do. Below it nothing is moved, however uneven
/// the load: each move breaks a connection.
const BUSY_MIN: f64 = 0.80;

/// How much less busy the shard that takes over has to be.
const MARGIN_MIN: f64 = 0.25;

/// How long both have to hold.
const HELD_MIN: Micros = Micros::from_secs(10);

/// Time between two moves: the first has its effect before the second is thought of.
const PAUSE: Micros = Micros::from_secs(30);

/// The rule in words.
pub(crate) fn rule() -> String {
    format!(
        "an output, a push or a pull is moved, one at a time and {:.0} s apart, from a shard that \
         has been at least {:.0} % busy, and {:.0} points above the least busy one, for {:.0} s; \
         it connects anew. Channels and recordings stay",
        PAUSE.secs_f64(),
        BUSY_MIN * 100.0,
        MARGIN_MIN * 100.0,
        HELD_MIN.secs_f64(),
    )
}

/// Measures shards and compares them.
#[derive(Debug, Default)]
pub(crate) struct Balance {
    /// When it was measured last, and how long each shard had worked by then.
    read: Option<(Micros, Vec<Micros>)>,
    busy: Vec<f64>,
    /// The shard that has too much to do, and since when.
    strained: Option<(usize, Micros)>,
    /// When the next move may be.
    free_from: Micros,
}

impl Balance {
    /// Takes how long each shard has worked since its start. True about once a second, when
    /// [`Balance::busy`] is new.
    pub(crate) fn look(&mut self, worked: Vec<Micros>, now: Micros) -> bool {
        let (before, read) = match self.read.take() {
            Some((before, read)) if now.since(before) < MEASURE_EVERY => {
                self.read = Some((before, read));
                return false;
            }
            Some((before, read)) => (before, read),
            None => (now, worked.clone()),
        };
        let passed = now.since(before).secs_f64().max(f64::EPSILON);
        let share = |(after, before): (&Micros, &Micros)| {
            (after.since(*before).secs_f64() / passed).clamp(0.0, 1.0)
        };
        self.busy = worked.iter().zip(&read).map(share).collect();
        self.read = Some((now, worked));
        let strained = self.uneven().map(|(from, _)| from);
        self.strained = strained.map(|from| match self.strained {
            Some((known, since)) if known == from => (known, since),
            _ => (from, now),
        });
        true
    }

    /// The part of its time that each shard worked, 0 to 1, in about the last second.
    pub(crate) fn busy(&self) -> &[f64] {
        &self.busy
    }

    /// The shard that is to give something away, and the one that is to take it.
    pub(crate) fn due(&self, now: Micros) -> Option<(usize, usize)> {
        let (strained, since) = self.strained?;
        let is_due = now.since(since) >= HELD_MIN && now >= self.free_from;
        self.uneven().filter(|(from, _)| is_due && *from == strained)
    }

    /// Something was moved at `now`.
    pub(crate) fn moved(&mut self, now: Micros) {
        self.free_from = now + PAUSE;
        self.strained = None;
    }

    /// The busiest shard and the least busy one, if they differ by so much that it matters.
    fn uneven(&self) -> Option<(usize, usize)> {
        let shares = || self.busy.iter().copied().enumerate();
        let (from, most) = shares().max_by(|a, b| a.1.total_cmp(&b.1))?;
        // One that does nothing at all, not even look at its deadlines, has ended.
        let working = shares().filter(|(_, busy)| *busy > 0.0);
        let (to, least) = working.min_by(|a, b| a.1.total_cmp(&b.1))?;
        (most >= BUSY_MIN && most - least >= MARGIN_MIN).then_some((from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shards of these busy shares, percent, for so many seconds from `from` on; the seconds in
    /// which a move is due.
    fn due(
        balance: &mut Balance,
        worked: &mut [Micros],
        (from, seconds): (u64, u64),
        percent: &[u64],
    ) -> Vec<(u64, (usize, usize))> {
        let mut found = Vec::new();
        for second in from..from + seconds {
            let now = Micros::from_secs(second);
            for (worked, percent) in worked.iter_mut().zip(percent) {
                *worked = *worked + Micros::from_millis(percent * 10);
            }
            assert!(balance.look(worked.to_vec(), now));
            found.extend(balance.due(now).map(|due| (second, due)));
        }
        found
    }

    #[test]
    fn a_move_is_due_once_a_shard_was_far_busier_than_another_for_some_time() {
        for (percent, wanted) in [
            (vec![90, 20, 50], Some((0, 1))),
            (vec![20, 50, 85], Some((2, 0))),
            (vec![79, 1, 1], None),
            (vec![95, 80, 75], None),
            (vec![95, 0, 90], None),
            (vec![100], None),
        ] {
            let mut balance = Balance::default();
            let mut worked = vec![Micros(0); percent.len()];
            let found = due(&mut balance, &mut worked, (1, 20), &percent);
            // The first second is measured against nothing.
            assert_eq!(found.first().copied(), wanted.map(|it| (12, it)), "{percent:?}");
        }
    }

    #[test]
    fn a_quieter_second_begins_the_time_anew_and_so_does_a_move() {
        let mut balance = Balance::default();
        let mut worked = [Micros(0); 2];
        assert!(due(&mut balance, &mut worked, (1, 10), &[90, 10]).is_empty());
        assert!(due(&mut balance, &mut worked, (11, 1), &[70, 10]).is_empty());
        let found = due(&mut balance, &mut worked, (12, 11), &[90, 10]);
        assert_eq!(found, [(22, (0, 1))]);
        balance.moved(Micros::from_secs(22));
        let found = due(&mut balance, &mut worked, (23, 40), &[90, 10]);
        assert_eq!(found.first(), Some(&(52, (0, 1))), "after the pause");
    }

    #[test]
    fn shares_are_measured_over_a_second_and_never_beyond_all_of_it() {
        let mut balance = Balance::default();
        assert!(balance.look(vec![Micros(0)], Micros(0)));
        assert!(!balance.look(vec![Micros(5)], Micros::from_millis(999)));
        assert!(balance.look(vec![Micros::from_millis(600)], Micros::from_millis(1_200)));
        assert!((balance.busy()[0] - 0.5).abs() < 1e-9);
        assert!(balance.look(vec![Micros::from_secs(9)], Micros::from_millis(2_300)));
        assert!((balance.busy()[0] - 1.0).abs() < 1e-9);
    }
}
