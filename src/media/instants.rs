//! Instants in snapshots: a point of time is written as its distance from the moment of the
//! snapshot, so that it means the same on the clock of whoever reads it. Durations are written as
//! they are.

use std::cell::Cell;
use std::collections::VecDeque;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Micros;

/// Farthest from the moment of a snapshot that an instant is told apart, microseconds: 36000 years.
const DISTANCE_MAX: i64 = 1 << 60;

thread_local! {
    static MOMENT: Cell<Micros> = const { Cell::new(Micros(0)) };
}

/// Gives the moment of before back, also after a panic.
struct Before(Micros);

impl Drop for Before {
    fn drop(&mut self) {
        MOMENT.set(self.0);
    }
}

/// Runs `work`, in which instants are written, or read, as distances from `now`.
pub fn relative_to<R>(now: Micros, work: impl FnOnce() -> R) -> R {
    let _before = Before(MOMENT.replace(now));
    work()
}

/// Values that hold instants, and no durations.
pub trait Instants: Clone {
    /// Calls `each` for all of them.
    fn each_instant(&mut self, each: &mut dyn FnMut(&mut Micros));
}

impl Instants for Micros {
    fn each_instant(&mut self, each: &mut dyn FnMut(&mut Micros)) {
        each(self);
    }
}

impl<T: Instants> Instants for Option<T> {
    fn each_instant(&mut self, each: &mut dyn FnMut(&mut Micros)) {
        self.iter_mut().for_each(|value| value.each_instant(each));
    }
}

impl<T: Instants> Instants for Vec<T> {
    fn each_instant(&mut self, each: &mut dyn FnMut(&mut Micros)) {
        self.iter_mut().for_each(|value| value.each_instant(each));
    }
}

impl<T: Instants> Instants for VecDeque<T> {
    fn each_instant(&mut self, each: &mut dyn FnMut(&mut Micros)) {
        self.iter_mut().for_each(|value| value.each_instant(each));
    }
}

impl<T: Clone> Instants for (Micros, T) {
    fn each_instant(&mut self, each: &mut dyn FnMut(&mut Micros)) {
        each(&mut self.0);
    }
}

impl<T: Clone, U: Clone> Instants for (Micros, T, U) {
    fn each_instant(&mut self, each: &mut dyn FnMut(&mut Micros)) {
        each(&mut self.0);
    }
}

impl Instants for (u64, Micros) {
    fn each_instant(&mut self, each: &mut dyn FnMut(&mut Micros)) {
        each(&mut self.1);
    }
}

impl Instants for (String, Micros) {
    fn each_instant(&mut self, each: &mut dyn FnMut(&mut Micros)) {
        each(&mut self.1);
    }
}

/// For `#[serde(with)]`.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<T: Instants + Serialize, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut value = value.clone();
    let moment = MOMENT.get();
    value.each_instant(&mut |at| *at = distance(*at, moment));
    value.serialize(serializer)
}

/// For `#[serde(with)]`.
///
/// # Errors
/// Those of the deserializer.
pub fn deserialize<'de, T: Instants + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let mut value = T::deserialize(deserializer)?;
    let moment = MOMENT.get();
    value.each_instant(&mut |at| *at = instant(*at, moment));
    Ok(value)
}

/// Never was, and never will be: these are no points of time, and stay what they are.
const fn is_none(at: Micros) -> bool {
    matches!(at, Micros(0 | u64::MAX))
}

/// The distance of an instant as one number, never that of [`is_none`]: near ones are small.
fn distance(at: Micros, moment: Micros) -> Micros {
    if is_none(at) {
        return at;
    }
    let [at, moment] = [at, moment].map(|it| i64::try_from(it.0).unwrap_or(i64::MAX));
    let distance = at.saturating_sub(moment).clamp(-DISTANCE_MAX, DISTANCE_MAX);
    let twice = distance.unsigned_abs() * 2;
    Micros(if distance < 0 { twice } else { twice + 1 })
}

/// The instant at that distance. It is later than 0, whatever the clock.
fn instant(distance: Micros, moment: Micros) -> Micros {
    if is_none(distance) {
        return distance;
    }
    let length = (distance.0 / 2).min(DISTANCE_MAX.unsigned_abs());
    let at = match distance.0 % 2 {
        0 => moment.0.saturating_sub(length),
        _ => moment.0.saturating_add(length),
    };
    Micros(at.clamp(1, u64::MAX - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn moved(at: Micros, from: Micros, to: Micros) -> Micros {
        instant(distance(at, from), to)
    }

    #[test]
    fn an_instant_is_as_far_from_the_moment_on_another_clock() {
        let (old, new) = (Micros::from_secs(100), Micros::from_secs(7_000));
        for (at, then) in [(90, 6_990), (100, 7_000), (160, 7_060)] {
            assert_eq!(moved(Micros::from_secs(at), old, new), Micros::from_secs(then));
        }
        assert_eq!(moved(Micros(5), old, Micros(9)), Micros(1), "before the clock began");
    }

    #[test]
    fn what_stands_for_never_stays() {
        for never in [Micros(0), Micros(u64::MAX)] {
            assert_eq!(moved(never, Micros::from_secs(1), Micros::from_secs(500)), never);
        }
    }

    proptest! {
        #[test]
        fn on_the_same_clock_nothing_changes(
            at in 0..1_u64 << 59, moment in 0..1_u64 << 59, odd in any::<u64>(),
        ) {
            prop_assert_eq!(moved(Micros(at), Micros(moment), Micros(moment)), Micros(at));
            let _any_number_is_read = instant(Micros(odd), Micros(moment));
        }
    }
}
