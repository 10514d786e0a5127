//! Tests of the failover of a stream, on a clock of their own.

use super::*;
use crate::frame::{PacketBuf, PacketPoolSpec};
use crate::stream::Flags;

const AFTER: Micros = Micros::from_millis(800);
const BACK: Micros = Micros::from_millis(2_000);
const GRACE: Micros = Micros::from_secs(10);

fn at(ms: u64) -> Micros {
    Micros::from_millis(100_000 + ms)
}

/// A message that says who sent it.
fn message(who: u8, kind: Kind, time: u64, flags: Flags) -> Message {
    let body = PacketBuf::copy_of(&[who, 1, 2]);
    Message::new(kind, u32::try_from(time).unwrap(), flags, body, 60_000)
}

/// What went out.
struct Bench {
    failover: Failover,
    out: Vec<(Message, Micros)>,
    news: Vec<FailoverNews>,
    /// What the source adds to its times.
    base: u64,
    /// Whether the next picture of each is a keyframe: of the source, of the standby.
    is_first: [bool; 2],
}

impl Bench {
    fn new() -> Self {
        let packets = PacketPool::new(PacketPoolSpec::default()).unwrap();
        let rules = FailoverRules { after: AFTER, back_after: BACK, grace: GRACE };
        let mut failover = Failover::new(rules, packets);
        let mut out = Vec::new();
        for kind in [Kind::Video, Kind::Audio] {
            failover.standby(&message(b'b', kind, 0, Flags::HEADER), at(0), &mut out);
        }
        assert!(out.is_empty());
        Self { failover, out: Vec::new(), news: Vec::new(), base: 5_000, is_first: [true; 2] }
    }

    fn take(&mut self, now: Micros, out: Vec<Message>) {
        self.out.extend(out.into_iter().map(|message| (message, now)));
        self.news.extend(self.failover.take_news());
    }

    /// A source comes.
    fn connect(&mut self, ms: u64) {
        let mut out = Vec::new();
        for kind in [Kind::Video, Kind::Audio] {
            let header = message(b'a', kind, self.base + ms, Flags::HEADER);
            self.failover.source(&header, at(ms), &mut out);
        }
        self.is_first[0] = true;
        self.take(at(ms), out);
    }

    /// So much time passes, in which the source sends pictures at 25 a second, a keyframe each
    /// second, and audio; the standby sends what it is asked for.
    fn run(&mut self, ms: std::ops::Range<u64>, is_sending: bool) {
        for now in ms {
            let mut out = Vec::new();
            if is_sending && now % 40 == 0 {
                let is_key = std::mem::take(&mut self.is_first[0]) || now % 1_000 == 0;
                let flags = if is_key { Flags::KEY } else { Flags::default() };
                let picture = message(b'a', Kind::Video, self.base + now, flags);
                self.failover.source(&picture, at(now), &mut out);
            }
            if is_sending && now % 20 == 10 {
                let audio = message(b'a', Kind::Audio, self.base + now, Flags::default());
                self.failover.source(&audio, at(now), &mut out);
            }
            self.failover.tick(at(now), &mut out);
            if self.failover.wants_standby(at(now)) {
                if now % 40 == 20 {
                    let is_key = std::mem::take(&mut self.is_first[1]);
                    let flags = if is_key { Flags::KEY } else { Flags::default() };
                    let picture = message(b'b', Kind::Video, 700_000 + now, flags);
                    self.failover.standby(&picture, at(now), &mut out);
                    let audio = message(b'b', Kind::Audio, 700_000 + now, Flags::default());
                    self.failover.standby(&audio, at(now), &mut out);
                }
            } else {
                self.is_first[1] = true;
            }
            self.take(at(now), out);
        }
    }

    fn media(&self, kind: Kind) -> Vec<(u8, u32, Micros, bool)> {
        let all = self.out.iter().filter(|(it, _)| it.kind() == kind && !it.is_header());
        all.map(|(it, now)| (it.body()[0], it.time(), *now, it.is_key())).collect()
    }

    /// What must hold whatever happens: times rise, pictures of another sender begin at a keyframe
    /// behind headers of theirs, and no gap is longer than it may be.
    fn check(&self) {
        for kind in [Kind::Video, Kind::Audio] {
            let media = self.media(kind);
            for pair in media.windows(2) {
                let [before, next] = pair else { unreachable!() };
                assert!(next.1 > before.1, "{kind:?}: {before:?} {next:?}");
                if kind == Kind::Video && next.0 != before.0 {
                    assert!(next.3, "{next:?} begins in the middle");
                }
                let gap = next.2.since(before.2);
                assert!(gap <= AFTER + at(60).since(at(0)), "{kind:?}: {gap:?} after {before:?}");
            }
        }
        let mut headers = [0; 2];
        for (message, _) in &self.out {
            let who = message.body()[0];
            match (message.kind(), message.is_header()) {
                (Kind::Video, true) => headers[1] = who,
                (Kind::Audio, true) => headers[0] = who,
                (Kind::Video, false) => assert_eq!(headers[1], who),
                (Kind::Audio, false) => assert_eq!(headers[0], who),
                (Kind::Data, _) => {}
            }
        }
    }

    /// Who sent the pictures of this time.
    fn shown(&self, ms: std::ops::Range<u64>) -> Vec<u8> {
        let is_in = |it: &Micros| *it >= at(ms.start) && *it < at(ms.end);
        let media = self.media(Kind::Video);
        let mut shown: Vec<_> = media.iter().filter(|it| is_in(&it.2)).map(|it| it.0).collect();
        shown.dedup();
        shown
    }
}

#[test]
fn a_good_source_passes_as_it_is_and_wants_no_standby() {
    let mut bench = Bench::new();
    bench.connect(0);
    bench.run(0..5_000, true);
    bench.check();
    assert_eq!(bench.shown(0..5_000), [b'a']);
    let times: Vec<_> = bench.media(Kind::Video).iter().map(|it| it.1).take(3).collect();
    assert_eq!(times, [5_000, 5_040, 5_080], "at its own times");
    assert!(bench.news.is_empty() && !bench.failover.wants_standby(at(5_000)));
}

#[test]
fn a_source_that_is_lost_is_filled_in_for_and_comes_back_once_it_has_been_good() {
    let mut bench = Bench::new();
    bench.connect(0);
    bench.run(0..2_000, true);
    bench.failover.source_left(false, at(2_000));
    bench.run(2_000..10_000, false);
    assert_eq!(bench.failover.state(), FailoverState::Standby);
    bench.base = 0;
    bench.connect(10_000);
    bench.run(10_000..11_500, true);
    assert_eq!(bench.failover.state(), FailoverState::Returning);
    bench.run(11_500..14_000, true);
    bench.check();
    assert_eq!(bench.shown(2_900..12_000), [b'b'], "the source is not believed at once");
    assert_eq!(bench.shown(12_040..14_000), [b'a'], "from its first keyframe after two seconds");
    let [FailoverNews::Broken(Break::Lost), FailoverNews::Back(gap)] = bench.news[..] else {
        panic!("{:?}", bench.news);
    };
    assert!((9_100..9_300).contains(&gap.millis()), "{gap:?}");
    // By the clock the stream is where it would have been without the gap.
    let last = *bench.media(Kind::Video).last().unwrap();
    assert!((5_000 + 13_960_u32).abs_diff(last.1) <= 60, "{last:?}");
    // Audio and pictures have moved by the same step.
    let audio = *bench.media(Kind::Audio).last().unwrap();
    assert_eq!(i64::from(audio.1) - i64::from(last.1), 30, "{audio:?} {last:?}");
}

#[test]
fn one_that_sends_no_pictures_is_broken_whatever_its_connection_and_audio_do() {
    let mut bench = Bench::new();
    bench.connect(0);
    bench.run(0..1_000, true);
    for now in 1_000..3_000 {
        let mut out = Vec::new();
        if now % 20 == 0 {
            let audio = message(b'a', Kind::Audio, bench.base + now, Flags::default());
            bench.failover.source(&audio, at(now), &mut out);
        }
        bench.take(at(now), out);
        bench.run(now..now + 1, false);
    }
    bench.check();
    assert_eq!(bench.news, [FailoverNews::Broken(Break::NoPictures)]);
    assert_eq!(bench.shown(1_840..3_000), [b'b']);
}

#[test]
fn one_that_is_back_soon_is_not_filled_in_for() {
    let mut bench = Bench::new();
    bench.connect(0);
    bench.run(0..2_000, true);
    bench.failover.source_left(false, at(2_000));
    bench.run(2_000..2_700, false);
    // Another connection, whose times are others.
    bench.base = 600_300;
    bench.connect(2_700);
    bench.run(2_700..6_000, true);
    bench.check();
    assert_eq!(bench.shown(2_000..4_000), [b'a'], "{:?}", bench.news);
    assert!(bench.news.is_empty(), "{:?}", bench.news);
}

#[test]
fn one_that_comes_and_goes_is_not_shown_in_between() {
    let mut bench = Bench::new();
    bench.connect(0);
    bench.run(0..1_000, true);
    let mut now = 1_000;
    for _ in 0..5 {
        bench.run(now..now + 1_500, false);
        bench.run(now + 1_500..now + 3_000, true);
        now += 3_000;
    }
    bench.check();
    assert_eq!(bench.news, [FailoverNews::Broken(Break::Silent)], "one fault");
    bench.run(now..now + 3_000, true);
    bench.check();
    assert_eq!(bench.news.len(), 2, "{:?}", bench.news);
}

#[test]
fn a_wanted_end_ends_the_stream_after_the_grace_and_whatever_is_shown() {
    for is_broken in [false, true] {
        let mut bench = Bench::new();
        bench.connect(0);
        bench.run(0..1_000, true);
        let mut now = 1_000;
        if is_broken {
            bench.run(1_000..3_000, false);
            now = 3_000;
        }
        bench.news.clear();
        bench.failover.source_left(true, at(now));
        bench.run(now..now + 10_000, false);
        assert!(bench.shown(now + 1..now + 10_000).is_empty(), "no standby after an end");
        assert!(bench.news.is_empty());
        bench.run(now + 10_000..now + 10_001, false);
        assert_eq!(bench.news, [FailoverNews::Over { has_goodbye: true }]);
        // The next one begins at its own times.
        bench.base = 0;
        bench.connect(now + 11_000);
        bench.run(now + 11_000..now + 12_000, true);
        let first = bench.media(Kind::Video).iter().find(|it| it.2 >= at(now + 11_000)).copied();
        assert_eq!(u64::from(first.unwrap().1), now + 11_000);
    }
}

#[test]
fn without_a_standby_a_lost_source_is_waited_for_and_the_stream_ends_as_lost() {
    let mut bench = Bench::new();
    bench.failover.forget_standby();
    let mut out = Vec::new();
    for kind in [Kind::Video, Kind::Audio] {
        let header = message(b'a', kind, 0, Flags::HEADER);
        bench.failover.source(&header, at(0), &mut out);
    }
    let key = message(b'a', Kind::Video, 0, Flags::KEY);
    bench.failover.source(&key, at(0), &mut out);
    bench.failover.source_left(false, at(40));
    bench.failover.tick(at(10_039), &mut out);
    assert!(bench.failover.take_news().is_empty());
    bench.failover.tick(at(10_040), &mut out);
    assert_eq!(bench.failover.take_news(), [FailoverNews::Over { has_goodbye: false }]);
}

#[test]
fn a_stream_as_standby_begins_with_its_last_keyframe_within_the_gap() {
    let mut bench = Bench::new();
    bench.connect(0);
    bench.run(0..1_000, true);
    // It comes all the time, with a keyframe every two seconds.
    let mut out = Vec::new();
    for now in 0..1_900_u64 {
        if now % 40 == 0 {
            let flags = if now == 0 { Flags::KEY } else { Flags::default() };
            let picture = message(b'b', Kind::Video, 9_000 + now, flags);
            bench.failover.standby(&picture, at(now), &mut out);
        }
        bench.failover.tick(at(now), &mut out);
    }
    let times: Vec<_> = out.iter().filter(|it| !it.is_header()).map(Message::time).collect();
    assert!(times.len() >= 44, "{times:?}");
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    assert_eq!(times[0], 5_991, "right behind the newest audio of the source");
    let newest = u64::from(*times.last().unwrap());
    assert!((6_840..=6_900).contains(&newest), "and is at the clock at once: {newest}");
    assert_eq!(bench.failover.take_news(), [FailoverNews::Broken(Break::Silent)]);
}

#[test]
fn times_rise_over_the_wrap_of_their_clock() {
    let mut bench = Bench::new();
    bench.base = u64::from(u32::MAX) - 3_000;
    let mut out = Vec::new();
    let mut send = |bench: &mut Bench, now: u64, flags| {
        let time = (bench.base + now) & u64::from(u32::MAX);
        let picture = message(b'a', Kind::Video, time, flags);
        bench.failover.source(&picture, at(now), &mut out);
    };
    let header = message(b'a', Kind::Video, 0, Flags::HEADER);
    bench.failover.source(&header, at(0), &mut Vec::new());
    send(&mut bench, 0, Flags::KEY);
    send(&mut bench, 2_960, Flags::default());
    let mut gap = Vec::new();
    for now in [3_700, 3_740, 3_780] {
        let flags = if now == 3_700 { Flags::KEY } else { Flags::default() };
        bench.failover.standby(&message(b'b', Kind::Video, now, flags), at(now), &mut gap);
    }
    let times: Vec<_> = gap.iter().filter(|it| !it.is_header()).map(Message::time).collect();
    assert_eq!(times, [699, 739, 779], "{}", u32::MAX);
}
