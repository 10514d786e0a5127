//! Bitrate governor of a video encoder whose readers are outputs: congested links get a lower
//! bitrate before they lose pictures.
//!
//! Additive increase, multiplicative decrease (RFC 5681 has the idea): a pure function of time and
//! of what the outputs' connections show. The bitrate is that of the link that takes most, since it
//! serves all of them: a destination that alone is slow is left to its drop rule.

use crate::media::Micros;

/// How long what waits is on its way, from which on a link is congested, and up to which it is
/// clear.
const LAG_HIGH: Micros = Micros::from_millis(300);
const LAG_LOW: Micros = Micros::from_millis(150);

/// Part of what a congested link was measured to take that it is given until nothing waits, and
/// from then on.
const DRAINING_PART: f64 = 0.7;
const DELIVERED_PART: f64 = 0.9;

/// Most of one decrease, a part of the bitrate before it: one measurement may be wrong.
const DECREASE_MAX: f64 = 0.5;

/// Decrease where the link was not measured.
const DECREASE: f64 = 0.7;

/// Least time over which a link is measured.
const MEASURED_MIN: Micros = Micros::from_millis(600);

/// Time for what waits to become less at the lower bitrate, before it is lowered again; at once if
/// it has become older by so much.
const DRAIN: Micros = Micros::from_secs(2);
const GROWTH: Micros = Micros::from_millis(100);

/// Increase per second, a part of the highest bitrate; and of a bitrate that is near what the link
/// was measured to take last, between these parts of it.
const INCREASE: f64 = 0.05;
const INCREASE_NEAR: f64 = 0.01;
const NEAR: std::ops::Range<f64> = 0.85..1.15;

/// How long a link has to be clear before the bitrate rises: doubles from the one to the other
/// each time that a rise has led to congestion.
const CLEAR_MIN: Micros = Micros::from_secs(3);
const CLEAR_MAX: Micros = Micros::from_secs(48);

/// Time after a rise within which congestion is put down to it, and without congestion after which
/// the waits begin anew.
const PROVEN: Micros = Micros::from_secs(30);

/// One output's connection, as it is seen a few times a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkSample {
    /// Age of what is written into the socket next; 0 if nothing waits.
    pub lag: Micros,
    /// Bytes that wait in the socket.
    pub unsent_bytes: u64,
    /// Bytes that the other side's machine has acknowledged so far on this connection.
    pub acked_bytes: u64,
    /// How often pictures were left out because it lagged.
    pub jumps: u64,
}

/// Chooses the bitrate of a video encoder.
#[derive(Debug)]
pub struct BitrateGovernor {
    /// Bits per second.
    min_bps: f64,
    max_bps: f64,
    target_bps: f64,
    links: Vec<Link>,
    looked: Micros,
    /// What the link that takes most was measured to take last, bits per second of video.
    measured_bps: Option<f64>,
    /// Whether the bitrate is as low as it is so that what waits goes out.
    is_draining: bool,
    /// Since when the link that takes most has been clear.
    clear_since: Option<Micros>,
    /// When the bitrate was lowered since it rose, and how old was then what was sent next.
    decreased: Option<(Micros, Micros)>,
    increased: Option<Micros>,
    /// How long it has to be clear.
    clear_wait: Micros,
}

/// What is remembered of a link.
#[derive(Clone, Copy, Debug)]
struct Link {
    sample: LinkSample,
    /// How long what waits is on its way.
    lag: Micros,
    /// Since when something has always waited, and what had been acknowledged then. A link on which
    /// nothing waits shows what is encoded, and not what it can take.
    backlog: Option<(Micros, u64)>,
    /// Whether pictures were left out since the look before.
    has_jumped: bool,
}

impl BitrateGovernor {
    /// Between these bitrates of the video, at the highest.
    #[must_use]
    pub fn new((min_bps, max_bps): (u32, u32), now: Micros) -> Self {
        let max = f64::from(max_bps);
        Self {
            min_bps: f64::from(min_bps).min(max),
            max_bps: max,
            target_bps: max,
            links: Vec::new(),
            looked: now,
            measured_bps: None,
            is_draining: false,
            clear_since: None,
            decreased: None,
            increased: None,
            clear_wait: CLEAR_MIN,
        }
    }

    /// The bitrate, bits per second.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within two u32")]
    fn target_bps(&self) -> u32 {
        self.target_bps as u32
    }

    /// Whether the bitrate is below the highest.
    fn is_lowered(&self) -> bool {
        self.target_bps < self.max_bps
    }

    /// Looks at the connected outputs, always in the same order, and at `has_viewers`, whether
    /// anybody else reads the stream, who would pay for the outputs' links. `audio_bps` is what is
    /// sent beside the video. Returns the bitrate.
    pub fn look(
        &mut self,
        now: Micros,
        samples: &[LinkSample],
        audio_bps: f64,
        has_viewers: bool,
    ) -> u32 {
        let passed = now.since(self.looked);
        self.looked = now;
        self.observe(now, samples, self.target_bps + audio_bps);
        if samples.is_empty() || has_viewers {
            self.target_bps = self.max_bps;
            (self.clear_since, self.decreased, self.increased) = (None, None, None);
            self.clear_wait = CLEAR_MIN;
        } else if self.links.iter().all(Link::is_congested) {
            self.clear_since = None;
            self.congested(now, audio_bps);
        } else if self.links.iter().any(|link| link.lag <= LAG_LOW && !link.has_jumped) {
            self.clear(now, passed);
        }
        self.target_bps()
    }

    fn observe(&mut self, now: Micros, samples: &[LinkSample], bps: f64) {
        if self.links.len() != samples.len() {
            let link = |sample: &LinkSample| Link {
                sample: *sample,
                lag: Micros(0),
                backlog: None,
                has_jumped: false,
            };
            self.links = samples.iter().map(link).collect();
        }
        for (link, sample) in self.links.iter_mut().zip(samples) {
            link.observe(now, *sample, bps);
        }
    }

    fn congested(&mut self, now: Micros, audio_bps: f64) {
        let lag = self.links.iter().map(|link| link.lag).min().unwrap_or_default();
        let is_enough = self.decreased.is_some_and(|(at, before)| {
            let passed = now.since(at);
            let is_growing = passed >= MEASURED_MIN && lag > before + GROWTH;
            !is_growing && (passed < DRAIN || lag < before)
        });
        if is_enough {
            return;
        }
        let is_by_rise = self.increased.is_some_and(|at| now.since(at) < PROVEN);
        if is_by_rise {
            self.clear_wait = Micros((self.clear_wait.0 * 2).min(CLEAR_MAX.0));
        }
        let delivered = self.links.iter().filter_map(|link| link.delivered_bps(now));
        let measured = delivered.reduce(f64::max).map(|bps| bps - audio_bps);
        self.measured_bps = measured.or(self.measured_bps);
        self.is_draining = measured.is_some();
        let wanted = match measured {
            Some(bps) => bps * DRAINING_PART,
            None => self.target_bps * DECREASE,
        };
        // Where it is below that already, what waits only needs time.
        let least = (self.target_bps * DECREASE_MAX).max(self.min_bps);
        self.target_bps = self.target_bps.min(wanted.max(least));
        (self.decreased, self.increased) = (Some((now, lag)), None);
        for link in &mut self.links {
            link.backlog = Some((now, link.sample.acked_bytes));
        }
    }

    fn clear(&mut self, now: Micros, passed: Micros) {
        let since = *self.clear_since.get_or_insert(now);
        if std::mem::take(&mut self.is_draining) {
            let kept = self.measured_bps.map_or(0.0, |bps| bps * DELIVERED_PART);
            self.target_bps = self.target_bps.max(kept).min(self.max_bps);
        }
        if !self.is_lowered() {
            if self.increased.is_none_or(|at| now.since(at) >= PROVEN) {
                self.clear_wait = CLEAR_MIN;
            }
            return;
        }
        if now.since(since) >= self.clear_wait {
            let is_near = |bps: f64| NEAR.contains(&(self.target_bps / bps));
            let part =
                if self.measured_bps.is_some_and(is_near) { INCREASE_NEAR } else { INCREASE };
            let step = self.max_bps * part * passed.secs_f64();
            self.target_bps = (self.target_bps + step).min(self.max_bps);
            (self.decreased, self.increased) = (None, Some(now));
        }
    }
}

impl Link {
    fn observe(&mut self, now: Micros, sample: LinkSample, bps: f64) {
        #[expect(clippy::cast_precision_loss, reason = "a socket's buffer")]
        let in_socket_us = sample.unsent_bytes as f64 * 8e6 / bps.max(1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let in_socket = Micros(in_socket_us as u64);
        self.lag = sample.lag + in_socket;
        self.has_jumped = sample.jumps > self.sample.jumps;
        let is_same = sample.acked_bytes >= self.sample.acked_bytes;
        let begins = (now, sample.acked_bytes);
        self.backlog = match self.backlog {
            Some(backlog) if is_same && self.lag > LAG_LOW => Some(backlog),
            _ => (self.lag > LAG_LOW).then_some(begins),
        };
        self.sample = sample;
    }

    fn is_congested(&self) -> bool {
        self.lag >= LAG_HIGH || self.has_jumped
    }

    /// What it took while something waited, bits per second; `None` before that is known.
    fn delivered_bps(&self, now: Micros) -> Option<f64> {
        let (since, before) = self.backlog?;
        let passed = now.since(since);
        #[expect(clippy::cast_precision_loss, reason = "bytes of seconds")]
        let bits = (self.sample.acked_bytes - before) as f64 * 8.0;
        (passed >= MEASURED_MIN).then(|| bits / passed.secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const EVERY: Micros = Micros::from_millis(200);
    const MAX: u32 = 6_000_000;
    const MIN: u32 = 1_500_000;
    const AUDIO: u32 = 160_000;

    /// Age of what is sent next at which a link loses all that waits.
    const DROPPED: Micros = Micros::from_secs(1);

    /// Lines of some capacity behind one encoder, each with a queue and a drop rule.
    struct Bench {
        governor: BitrateGovernor,
        now: Micros,
        /// What waits for each link: when it was made, and bits.
        queues: Vec<VecDeque<(Micros, f64)>>,
        samples: Vec<LinkSample>,
        lag_max: Micros,
    }

    impl Bench {
        fn of(links: usize) -> Self {
            let now = Micros::from_secs(100);
            Self {
                governor: BitrateGovernor::new((MIN, MAX), now),
                now,
                queues: vec![VecDeque::new(); links],
                samples: vec![LinkSample::default(); links],
                lag_max: Micros(0),
            }
        }

        /// Runs for so many seconds with these capacities, bits per second.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        fn run(&mut self, seconds: u64, capacities: &[f64], has_viewers: bool) -> u32 {
            for _ in 0..seconds * 5 {
                self.now = self.now + EVERY;
                let made = f64::from(self.governor.target_bps() + AUDIO) * EVERY.secs_f64();
                for ((queue, sample), capacity) in
                    self.queues.iter_mut().zip(&mut self.samples).zip(capacities)
                {
                    queue.push_back((self.now, made));
                    let mut room = capacity * EVERY.secs_f64();
                    while let Some((_, bits)) = queue.front_mut().filter(|_| room > 0.0) {
                        let sent = bits.min(room);
                        (*bits, room) = (*bits - sent, room - sent);
                        sample.acked_bytes += (sent / 8.0) as u64;
                        if *bits <= 0.0 {
                            queue.pop_front();
                        }
                    }
                    sample.lag = queue.front().map_or(Micros(0), |(at, _)| self.now.since(*at));
                    if sample.lag > DROPPED {
                        queue.clear();
                        sample.jumps += 1;
                    }
                    self.lag_max = self.lag_max.max(sample.lag);
                }
                self.governor.look(self.now, &self.samples, AUDIO.into(), has_viewers);
            }
            self.governor.target_bps()
        }
    }

    fn within(bps: u32, least: u32, most: u32) {
        assert!((least..=most).contains(&bps), "{bps} is not within {least} and {most}");
    }

    #[test]
    fn a_link_that_takes_everything_keeps_the_bitrate() {
        let mut bench = Bench::of(1);
        assert_eq!(bench.run(60, &[8e6], false), MAX);
    }

    #[test]
    fn a_congested_link_is_given_what_it_takes_and_loses_no_picture() {
        let mut bench = Bench::of(1);
        bench.run(10, &[8e6], false);
        within(bench.run(4, &[4e6], false), 2_000_000, 3_840_000);
        assert_eq!(bench.samples[0].jumps, 0);
        bench.lag_max = Micros(0);
        bench.run(60, &[4e6], false);
        assert_eq!(bench.samples[0].jumps, 0, "lag up to {:?}", bench.lag_max);
        let before = bench.samples[0].acked_bytes;
        bench.run(60, &[4e6], false);
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let used = (bench.samples[0].acked_bytes - before) as f64 * 8.0 / 60.0 / 4e6;
        assert!(used > 0.8, "{used} of the link is used");
    }

    #[test]
    fn the_full_bitrate_is_back_once_the_link_takes_it() {
        let mut bench = Bench::of(1);
        bench.run(10, &[8e6], false);
        bench.run(30, &[3e6], false);
        assert_eq!(bench.run(80, &[8e6], false), MAX);
    }

    #[test]
    fn rises_that_fail_become_rarer() {
        let mut bench = Bench::of(1);
        let mut falls = Vec::new();
        bench.run(10, &[8e6], false);
        let mut before = MAX;
        for second in 0..240 {
            let now = bench.run(1, &[4e6], false);
            if now < before {
                falls.push(second);
            }
            before = now;
        }
        let late = falls.iter().filter(|second| **second >= 120).count();
        let early = falls.iter().filter(|second| (5..120).contains(*second)).count();
        assert!(late <= 3 && late < early, "{falls:?}");
    }

    #[test]
    fn it_never_goes_below_the_lowest_bitrate() {
        let mut bench = Bench::of(1);
        assert_eq!(bench.run(60, &[100e3], false), MIN);
    }

    #[test]
    fn a_viewer_has_the_full_bitrate_at_once() {
        let mut bench = Bench::of(1);
        bench.run(10, &[8e6], false);
        within(bench.run(20, &[3e6], false), MIN, 3_000_000);
        assert_eq!(bench.run(1, &[3e6], true), MAX);
    }

    #[test]
    fn one_slow_destination_of_two_lowers_nothing() {
        let mut bench = Bench::of(2);
        assert_eq!(bench.run(60, &[8e6, 2e6], false), MAX);
        assert!(bench.samples[1].jumps > 0, "its drop rule is in force");
    }

    #[test]
    fn of_two_congested_links_the_better_one_is_filled() {
        let mut bench = Bench::of(2);
        bench.run(10, &[8e6, 8e6], false);
        bench.run(60, &[4e6, 2e6], false);
        let before = bench.samples[0].acked_bytes;
        bench.run(60, &[4e6, 2e6], false);
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let used = (bench.samples[0].acked_bytes - before) as f64 * 8.0 / 60.0 / 4e6;
        assert!(used > 0.8, "{used} of the better link is used");
    }

    #[test]
    fn a_link_that_is_not_full_says_nothing_of_what_it_takes() {
        let mut link = Link {
            sample: LinkSample::default(),
            lag: Micros(0),
            backlog: None,
            has_jumped: false,
        };
        for n in 1..20 {
            let sample = LinkSample { acked_bytes: n * 10_000, ..LinkSample::default() };
            link.observe(Micros::from_millis(200 * n), sample, 1e6);
        }
        assert_eq!(link.delivered_bps(Micros::from_secs(4)), None);
    }
}
