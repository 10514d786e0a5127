//! Governors of several priorities on one CPU, on a clock of their own.

use super::*;
use crate::encode::{Priority, SharedCpu};

/// Encoders on one CPU: while another one is busy, a picture takes twice the time.
struct Machine {
    cpu: SharedCpu,
    encoders: Vec<(Priority, Model)>,
    /// Milliseconds that a picture takes at the cost of 100 while there is no other.
    ms: f64,
}

impl Machine {
    fn new(priorities: &[Priority], ms: f64) -> Self {
        let encoders = priorities.iter().map(|priority| (*priority, Model::new(30))).collect();
        Self { cpu: SharedCpu::default(), encoders, ms }
    }

    /// Part of the time that the encoders beside the one at `place` are busy, added up.
    fn busy_beside(&self, place: usize) -> f64 {
        let part = |model: &Model| {
            let Setting { step, divisor, .. } = model.governor.setting();
            self.ms * f64::from(SPEEDS[step].cost) / 100.0 / (1e3 / 30.0) / f64::from(divisor)
        };
        let others = self.encoders.iter().enumerate().filter(|(at, _)| *at != place);
        others.map(|(_, (_, model))| part(model).min(1.0)).sum()
    }

    fn run(&mut self, seconds: u64) {
        let now = |(_, model): &(Priority, Model)| model.now();
        let end = self.encoders.iter().map(now).min().unwrap() + Micros::from_secs(seconds);
        while self.encoders.iter().map(now).min().unwrap() < end {
            let place = (0..self.encoders.len()).min_by_key(|at| self.encoders[*at].1.now());
            let ms = self.ms * (1.0 + self.busy_beside(place.unwrap()));
            let (priority, model) = &mut self.encoders[place.unwrap()];
            model.neighbours = self.cpu.neighbours(*priority, model.now());
            model.step(ms);
            self.cpu.report(*priority, model.governor.need(), model.now());
        }
    }

    fn settings(&self) -> Vec<Setting> {
        self.encoders.iter().map(|(_, model)| model.governor.setting()).collect()
    }

    /// When the one at `place` was first taken less of from `since` on, and when more.
    fn turns(&self, place: usize, since: Micros) -> [Option<Micros>; 2] {
        let changes = &self.encoders[place].1.changes;
        let first = |is_up| {
            let found = changes
                .iter()
                .find(|(at, change)| *at >= since && (change.reason == Reason::Headroom) == is_up);
            found.map(|(at, _)| *at)
        };
        [first(false), first(true)]
    }
}

#[test]
fn where_there_is_time_for_all_each_comes_to_its_best_and_the_higher_priority_first() {
    let mut machine = Machine::new(&[Priority::Low, Priority::High], 5.0);
    machine.run(20);
    assert!(machine.encoders.iter().all(|(_, model)| model.is_full()), "{:?}", machine.settings());
    let [low, high] = [0, 1].map(|at| machine.encoders[at].1.ups().last().unwrap().0);
    assert!(high < low);
}

#[test]
fn the_lower_priority_is_taken_less_of_and_comes_back_last() {
    for priorities in [[Priority::Low, Priority::High], [Priority::Normal, Priority::High]] {
        let mut machine = Machine::new(&priorities, 5.0);
        machine.run(20);
        // Superfast takes two thirds of the CPU: there is room for one and a part of the other.
        let burn = machine.encoders[1].1.now();
        machine.ms = 30.0;
        machine.run(60);
        let [low, high] = machine.settings()[..] else { panic!() };
        assert!(low.divisor > high.divisor && high.divisor == 1, "{low:?} {high:?}");
        assert_eq!(machine.encoders[1].1.lost, 0);
        let fewer = |at: usize| {
            let changes = &machine.encoders[at].1.changes;
            changes.iter().any(|(_, change)| change.to.divisor > 1)
        };
        assert!(fewer(0) && !fewer(1), "the higher one has lost no picture");
        let gone = machine.encoders[1].1.now();
        machine.ms = 5.0;
        machine.run(90);
        assert!(machine.encoders.iter().all(|(_, it)| it.is_full()), "{:?}", machine.settings());
        let [[_, low_up], [_, high_up]] = [0, 1].map(|at| machine.turns(at, gone));
        let high_full = machine.encoders[1].1.ups().last().unwrap().0;
        assert!(high_up.unwrap() < low_up.unwrap() && high_full < low_up.unwrap());
        assert!(burn < gone);
    }
}

#[test]
fn the_higher_priority_gives_something_up_only_when_the_lower_has_nothing_left() {
    let mut machine = Machine::new(&[Priority::Low, Priority::High], 5.0);
    machine.run(20);
    // Superfast alone takes 1.75 of the CPU.
    machine.ms = 80.0;
    machine.run(60);
    let first = |at: usize, divisor: u32| {
        let changes = &machine.encoders[at].1.changes;
        changes.iter().find(|(_, change)| change.to.divisor >= divisor).map(|(at, _)| *at)
    };
    let (low, high) = (first(0, 2).unwrap(), first(1, 2).unwrap());
    assert!(low < high, "{low:?} {high:?}");
    let [low, high] = machine.settings()[..] else { panic!() };
    assert!(low.divisor >= high.divisor, "{low:?} {high:?}");
}

#[test]
fn one_that_has_ended_and_equals_hold_nobody_back() {
    let mut machine = Machine::new(&[Priority::Low, Priority::High], 30.0);
    machine.run(30);
    let low = machine.encoders.remove(0);
    assert!(low.1.governor.setting().divisor > 1);
    machine.encoders = vec![low];
    machine.ms = 5.0;
    machine.run(60);
    assert!(machine.encoders[0].1.is_full());
    let mut machine = Machine::new(&[Priority::Normal, Priority::Normal], 5.0);
    machine.run(10);
    assert!(machine.encoders.iter().all(|(_, model)| model.is_full()));
    assert!(
        machine
            .encoders
            .iter()
            .flat_map(|it| &it.1.changes)
            .all(|(_, change)| { change.reason != Reason::Priority })
    );
}
