//! The governor on fake clocks: a model of an encoder with its queue, and loads made by proptest.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::measured::RETRY_MIN;
use super::*;
use crate::media::FrameRate;

mod priorities;

/// As x264's from superfast to medium.
const SPEEDS: [Speed; 5] = [
    Speed { preset: "superfast", cost: 73 },
    Speed { preset: "veryfast", cost: 100 },
    Speed { preset: "faster", cost: 140 },
    Speed { preset: "fast", cost: 210 },
    Speed { preset: "medium", cost: 270 },
];

const TOP: usize = SPEEDS.len() - 1;

/// Frames that the model's ring holds.
const RING: usize = 30;

/// An encoder on a clock of its own.
struct Model {
    governor: Governor,
    rate: FrameRate,
    /// When the encoder is free again.
    free: Micros,
    tick: u64,
    queue: VecDeque<u64>,
    lost: u64,
    late: u64,
    changes: Vec<(Micros, Change)>,
    neighbours: Neighbours,
}

impl Model {
    fn new(fps: u32) -> Self {
        Self::keeping(fps, Keep::Resolution)
    }

    fn keeping(fps: u32, keep: Keep) -> Self {
        let rate = FrameRate::new(fps, 1).unwrap();
        let governor = Governor::new(rate, &SPEEDS, keep, Micros(0));
        let queue = VecDeque::new();
        let (free, changes) = (Micros(0), Vec::new());
        let neighbours = Neighbours::default();
        Self { governor, rate, free, tick: 0, queue, lost: 0, late: 0, changes, neighbours }
    }

    fn now(&self) -> Micros {
        self.free.max(self.rate.due(self.tick))
    }

    /// Runs for so long, while a picture takes `ms` at the cost of 100.
    fn run(&mut self, length: Micros, ms: f64) {
        let end = self.now() + length;
        while self.now() < end {
            self.step(ms);
        }
    }

    fn step(&mut self, ms: f64) {
        if self.queue.is_empty() {
            self.free = self.free.max(self.rate.due(self.tick));
            self.compose();
        }
        let Some(tick) = self.queue.pop_front() else { return };
        if !self.governor.admits(tick) {
            return;
        }
        let setting = self.governor.setting();
        assert!(setting.step <= TOP && (1..=DIVISOR_MAX).contains(&setting.divisor));
        let pixels = setting
            .size
            .checked_sub(1)
            .map_or(1.0, |at| f64::from(SIDES[at] * SIDES[at]) / 10_000.0);
        let took = ms * pixels * f64::from(SPEEDS[setting.step].cost) / 100.0 * 1e3;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        let took = Micros(took as u64);
        let now = self.free + took;
        self.free = now;
        self.compose();
        let budget = self.rate.due(2 * u64::from(setting.divisor));
        self.late += u64::from(now.since(self.rate.due(tick)) > budget);
        let waiting = self.queue.len();
        let neighbours = self.neighbours;
        let change = self.governor.picture(Sample { now, took, waiting, neighbours });
        self.changes.extend(change.map(|change| (now, change)));
    }

    /// All ticks that are due by now.
    fn compose(&mut self) {
        while self.rate.due(self.tick) <= self.free {
            match self.queue.len() < RING {
                _ if !self.governor.admits(self.tick) => {}
                true => self.queue.push_back(self.tick),
                false => self.lost += 1,
            }
            self.tick += 1;
        }
    }

    fn ups(&self) -> impl Iterator<Item = (Micros, Setting)> {
        let ups = self.changes.iter().filter(|(_, change)| change.reason == Reason::Headroom);
        ups.map(|(at, change)| (*at, change.to))
    }

    fn is_full(&self) -> bool {
        self.governor.setting() == Setting { step: TOP, ..Setting::SAFE }
    }
}

#[test]
fn it_begins_at_the_fastest_speed_and_climbs_to_the_best_within_three_seconds() {
    let mut model = Model::new(30);
    assert_eq!(model.governor.setting(), Setting { step: 0, divisor: 1, size: 0 });
    model.run(Micros::from_secs(3), 7.0);
    assert!(model.is_full(), "{:?}", model.changes);
    assert_eq!((model.changes.len(), model.lost, model.late), (TOP, 0, 0));
}

#[test]
fn it_stays_at_the_best_speed_that_there_is_time_for() {
    let mut model = Model::new(30);
    // Veryfast takes 17 of 33 ms, faster 24, fast 36.
    model.run(Micros::from_secs(60), 17.0);
    assert_eq!(model.governor.setting(), Setting { step: 1, divisor: 1, size: 0 });
    assert_eq!((model.lost, model.late), (0, 0));
    assert_eq!(model.changes.len(), 1, "it was never too slow: {:?}", model.changes);
}

#[test]
fn pictures_that_wait_make_it_faster_at_once_and_many_of_them_as_fast_as_it_can() {
    let slow = |waiting, n: u64| {
        let now = Micros::from_secs(4) + Micros(n * 50_000);
        Sample { now, took: Micros(50_000), waiting, neighbours: Neighbours::default() }
    };
    let top = || {
        let mut model = Model::new(30);
        model.run(Micros::from_secs(4), 7.0);
        assert!(model.is_full());
        model.governor
    };
    let mut governor = top();
    let steps: Vec<_> =
        (2..6).filter_map(|n| governor.picture(slow(n, n as u64))).map(|it| it.to.step).collect();
    assert_eq!(steps, [3, 2, 1, 0], "a speed with each picture");
    let change = top().picture(slow(QUEUE_ALARM, 1)).unwrap();
    assert_eq!((change.to.step, change.reason), (0, Reason::Queue));
}

#[test]
fn encode_times_near_the_tick_make_it_faster_before_anything_waits() {
    let mut model = Model::new(30);
    model.run(Micros::from_secs(5), 7.0);
    let before = model.changes.len();
    // Medium takes 31 of 33 ms from now on.
    model.run(Micros::from_secs(1), 11.5);
    let (_, first) = model.changes[before];
    assert_eq!((first.to.step, first.reason), (TOP - 1, Reason::EncodeTime));
    assert_eq!((model.lost, model.late), (0, 0));
}

#[test]
fn a_single_slow_picture_changes_nothing() {
    let mut model = Model::new(30);
    model.run(Micros::from_secs(5), 5.0);
    model.step(14.0);
    model.run(Micros::from_secs(5), 5.0);
    assert_eq!(model.changes.len(), TOP, "{:?}", model.changes);
}

#[test]
fn where_the_fastest_speed_is_not_enough_the_frame_rate_is_divided_until_it_is() {
    let mut model = Model::new(30);
    model.run(Micros::from_secs(4), 7.0);
    // Superfast takes 73 of 33 ms: a third of the rate is left, and 27 % of the time.
    model.run(Micros::from_secs(20), 100.0);
    assert_eq!(model.governor.setting(), Setting { step: 0, divisor: 3, size: 0 });
    model.late = 0;
    model.run(Micros::from_secs(10), 100.0);
    assert_eq!(model.late, 0, "it is in time at that rate");
    let slow = rungs(FrameRate::new(10, 1).unwrap(), Keep::Resolution);
    assert_eq!(slow.len(), 1, "ten frames a second are not made five");
}

#[test]
fn where_even_the_fastest_speed_is_far_too_slow_no_frame_is_lost_before_the_rate_is_divided() {
    let mut model = Model::new(30);
    model.run(Micros::from_secs(4), 7.0);
    // Superfast takes 80 of 33 ms: the ring of a second is full after less than two.
    model.run(Micros::from_secs(30), 110.0);
    assert_eq!((model.lost, model.governor.setting().divisor), (0, 3));
    // A queue that a hiccup has left gets shorter: nothing is divided for it.
    let mut model = Model::new(30);
    model.run(Micros::from_secs(4), 7.0);
    model.step(300.0);
    model.step(60.0);
    model.run(Micros::from_secs(10), 30.0);
    assert_eq!(model.governor.setting().step, 0);
    model.step(1_000.0);
    model.run(Micros::from_secs(10), 30.0);
    assert!(model.changes.iter().all(|(_, it)| it.to.divisor == 1), "{:?}", model.changes);
}

#[test]
fn the_full_rate_is_back_before_a_better_speed() {
    let mut model = Model::new(30);
    model.run(Micros::from_secs(20), 100.0);
    assert!(model.governor.setting().divisor > 1);
    let from = model.changes.len();
    model.run(Micros::from_secs(60), 7.0);
    assert!(model.is_full());
    let settings: Vec<_> = model.changes[from..].iter().map(|(_, it)| it.to).collect();
    let first_step = settings.iter().position(|it| it.step > 0).unwrap();
    assert!(settings[first_step - 1..].iter().all(|it| it.divisor == 1), "{settings:?}");
}

#[test]
fn what_fails_again_and_again_is_tried_ever_more_rarely() {
    let mut model = Model::new(30);
    // The model's costs mislead the governor: what is 26 % of the time becomes 91 %.
    for _ in 0..20_000 {
        let ms = if model.governor.setting().step == 0 { 12.0 } else { 30.5 };
        model.step(ms);
    }
    let tries: Vec<_> = model.ups().map(|(at, _)| at).collect();
    let waits: Vec<_> = tries.windows(2).map(|pair| (pair[1] - pair[0]).millis() / 1_000).collect();
    assert!(waits.is_sorted() && waits[0] >= 4, "{waits:?}");
    assert!((32..36).contains(waits.last().unwrap()), "{waits:?}");
    assert_eq!(model.lost, 0);
    model.run(Micros::from_secs(60), 7.0);
    assert!(model.is_full(), "the longest wait is not too long");
    // The best speed has held for long enough: trouble now is new trouble.
    let from = model.changes.len();
    model.step(60.0);
    model.step(60.0);
    model.run(Micros::from_secs(14), 7.0);
    assert!(model.changes.len() > from && model.is_full(), "{:?}", &model.changes[from..]);
}

#[test]
fn after_a_pause_what_was_measured_before_does_not_count() {
    let mut model = Model::new(30);
    model.run(Micros::from_secs(4), 7.0);
    for _ in 0..3 {
        model.step(12.0);
    }
    let now = model.now() + Micros::from_secs(5);
    let took = Micros::from_millis(32);
    let neighbours = Neighbours::default();
    assert_eq!(model.governor.picture(Sample { now, took, waiting: 0, neighbours }), None);
    assert_eq!(model.governor.usage.pictures, 1);
}

#[test]
fn one_speed_can_only_have_its_rate_divided() {
    let rate = FrameRate::new(30, 1).unwrap();
    for speeds in [&SPEEDS[..1], &[]] {
        let mut governor = Governor::new(rate, speeds, Keep::Resolution, Micros(0));
        let mut run = |from: u64, took: Micros, waiting: usize| {
            for n in from..from + 400 {
                let (now, neighbours) = (Micros(n * 60_000), Neighbours::default());
                let change = governor.picture(Sample { now, took, waiting, neighbours });
                assert!(change.is_none_or(|change| change.to.step == 0));
            }
            governor.setting().divisor
        };
        assert_eq!(run(1, Micros(60_000), 12), DIVISOR_MAX);
        assert_eq!(run(401, Micros(5_000), 0), 1);
    }
}

/// Loads of some seconds each: milliseconds that a picture takes at the cost of 100.
fn loads() -> impl Strategy<Value = Vec<(u64, f64)>> {
    prop::collection::vec((1..20_u64, 2.0..150.0_f64), 1..16)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn it_never_goes_up_faster_than_its_limits(
        fps in 24..=60_u32,
        keep in keeps(),
        loads in loads(),
    ) {
        let mut model = Model::keeping(fps, keep);
        for (seconds, ms) in loads {
            model.run(Micros::from_secs(seconds), ms);
        }
        let first_down = model.changes.iter().find(|(_, it)| it.reason != Reason::Headroom);
        let settled = first_down.map_or(Micros(u64::MAX), |(at, _)| *at);
        let mut last = Micros(0);
        for (at, change) in &model.changes {
            if change.reason == Reason::Headroom {
                let hold = if *at < settled { HOLD_AT_START } else { HOLD };
                prop_assert!(*at - last >= hold, "{:?}", model.changes);
                let (from, to) = (change.from, change.to);
                let is_one = to.step == from.step + 1
                    || to.divisor + 1 == from.divisor
                    || to.size + 1 == from.size;
                prop_assert!(is_one, "{change:?}");
            }
            last = *at;
        }
        // What has failed is not tried again at once.
        for pair in model.changes.windows(2) {
            let ((down_at, down), (up_at, up)) = (pair[0], pair[1]);
            if down.reason != Reason::Headroom && up.reason == Reason::Headroom {
                prop_assert!(up_at - down_at >= RETRY_MIN, "{pair:?}");
            }
        }
    }

    #[test]
    fn under_overload_it_is_at_the_fastest_speed_within_a_few_pictures(
        fps in 24..=60_u32,
        loads in loads(),
        factor in 1.5..10.0_f64,
    ) {
        let mut model = Model::new(fps);
        for (seconds, ms) in loads {
            model.run(Micros::from_secs(seconds), ms);
        }
        model.run(Micros::from_secs(60), 1.0);
        prop_assert!(model.is_full(), "{:?}", model.changes);
        // Even the fastest speed takes longer than a tick.
        let ms = 1e3 / f64::from(fps) / 0.73 * factor;
        (0..OVERLOAD_PICTURES as usize + SPEEDS.len()).for_each(|_| model.step(ms));
        prop_assert_eq!(model.governor.setting().step, 0);
    }

    #[test]
    fn everything_is_back_within_a_minute_after_the_load_has_gone(
        fps in 24..=60_u32,
        keep in keeps(),
        loads in loads(),
        room in 0.2..0.65_f64,
    ) {
        let mut model = Model::keeping(fps, keep);
        for (seconds, ms) in loads {
            model.run(Micros::from_secs(seconds), ms);
        }
        // The best speed takes this part of a tick.
        let ms = 1e3 / f64::from(fps) / 2.7 * room;
        model.run(Micros::from_secs(60), ms);
        prop_assert!(model.is_full(), "{:?}", model.changes);
    }

    #[test]
    fn an_encoder_that_is_fast_enough_at_its_fastest_loses_nothing(
        fps in 24..=60_u32,
        loads in prop::collection::vec((1..20_u64, 0.05..0.9_f64), 1..16),
    ) {
        let mut model = Model::new(fps);
        for (seconds, part) in loads {
            // The fastest speed takes this part of a tick.
            model.run(Micros::from_secs(seconds), 1e3 / f64::from(fps) / 0.73 * part);
        }
        prop_assert_eq!(model.lost, 0);
        prop_assert!(model.changes.iter().all(|(_, it)| it.to.divisor == 1));
    }
}

#[test]
fn where_the_frame_rate_is_kept_pictures_are_smaller_before_any_is_left_out() {
    let mut model = Model::keeping(30, Keep::Fps);
    model.run(Micros::from_secs(4), 7.0);
    // Superfast takes 73 of 33 ms: at half the sides 18.
    model.run(Micros::from_secs(20), 100.0);
    assert_eq!(model.governor.setting(), Setting { step: 0, divisor: 1, size: 2 });
    let downs = model.changes.iter().filter(|(_, it)| it.from.size != it.to.size);
    assert_eq!(downs.map(|(_, it)| it.to.size).collect::<Vec<_>>(), [1, 2]);
    model.late = 0;
    model.run(Micros::from_secs(10), 100.0);
    assert_eq!((model.late, model.lost), (0, 0), "it is in time at that size");
    // Superfast takes 45 of 33 ms at the smallest size.
    model.run(Micros::from_secs(20), 250.0);
    assert_eq!(model.governor.setting(), Setting { step: 0, divisor: 2, size: 2 });
    let from = model.changes.len();
    model.run(Micros::from_secs(60), 7.0);
    assert!(model.is_full());
    let ups: Vec<_> = model.changes[from..].iter().map(|(_, it)| it.to).take(3).collect();
    let up = |divisor, size| Setting { step: 0, divisor, size };
    assert_eq!(ups, [up(1, 2), up(1, 1), up(1, 0)], "back as it came, before a better speed");
}

#[test]
fn a_size_that_fails_again_and_again_is_tried_ever_more_rarely() {
    let mut model = Model::keeping(30, Keep::Fps);
    // What is half of the time at three quarters of the sides is more than all of it in full.
    for _ in 0..20_000 {
        let ms = if model.governor.setting().size == 0 { 60.0 } else { 25.0 };
        model.step(ms);
    }
    let tries: Vec<_> = model.ups().filter(|(_, to)| to.size == 0 && to.step == 0).collect();
    let waits: Vec<_> = tries.windows(2).map(|it| (it[1].0 - it[0].0).millis() / 1_000).collect();
    assert!(waits.is_sorted() && waits[0] >= 4, "{waits:?}");
    assert!(*waits.last().unwrap() >= 32, "{waits:?}");
    assert_eq!(model.lost, 0);
}

#[test]
fn what_follows_another_encoder_has_its_rate_and_its_size_and_what_cannot_be_scaled_is_left_out() {
    let rate = FrameRate::FPS_30;
    let before = Setting { step: 3, divisor: 1, size: 1 };
    let governor = || Governor::new(rate, &SPEEDS, Keep::Fps, Micros(0)).following(before);
    assert_eq!(governor().setting(), Setting { step: 0, ..before });
    let mut governor = governor();
    let change = governor.without_sizes(Micros(1)).unwrap();
    assert_eq!(change.to, Setting { step: 0, divisor: 2, size: 0 });
    assert_eq!(governor.setting(), change.to);
    assert_eq!(governor.without_sizes(Micros(2)), None);
}

fn keeps() -> impl Strategy<Value = Keep> {
    prop::sample::select(vec![Keep::Resolution, Keep::Fps])
}
