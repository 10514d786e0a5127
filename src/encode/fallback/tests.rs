//! Fall-back with test doubles: what viewers get while encoders fail and come back.

use std::cell::RefCell;
use std::sync::Arc;

use super::*;
use crate::encode::backend::fixture::{frames, packets, spec};
use crate::encode::backend::probe::Probe;
use crate::encode::{VideoPacket, encoder_names_of};
use crate::frame::Pool;
use crate::media::VideoCodec;

thread_local! {
    /// Pictures that the next encoders of this thread encode before they fail; the last one's are
    /// those of all after it. Nothing: the hardware is not there.
    static HARDWARE: RefCell<Vec<Option<u64>>> = const { RefCell::new(Vec::new()) };
}

fn hardware(_: &VideoSpec, pool: &PacketPool) -> Result<Box<dyn VideoEncoder>, Error> {
    let pictures = HARDWARE.with_borrow_mut(|list| {
        if list.len() > 1 { list.remove(0) } else { list.first().copied().flatten() }
    });
    let pictures = pictures.ok_or_else(|| Error::Unavailable("no device".to_owned()))?;
    let probe = Probe::new(pool, &Arc::default(), 1_000).without_delay();
    Ok(Box::new(probe.failing_at(pictures)))
}

thread_local! {
    /// The tuning and the B-frames that the software encoder was opened with last.
    static SOFTWARE: RefCell<(String, u8)> = const { RefCell::new((String::new(), 0)) };
}

fn software(spec: &VideoSpec, pool: &PacketPool) -> Result<Box<dyn VideoEncoder>, Error> {
    SOFTWARE.set((spec.tune.clone(), spec.b_frames));
    Ok(Box::new(Probe::new(pool, &Arc::default(), 1_000).without_delay()))
}

fn hardware_with_delay(_: &VideoSpec, pool: &PacketPool) -> Result<Box<dyn VideoEncoder>, Error> {
    Ok(Box::new(Probe::new(pool, &Arc::default(), 1_000).failing_at(5)))
}

fn broken(_: &VideoSpec, pool: &PacketPool) -> Result<Box<dyn VideoEncoder>, Error> {
    Ok(Box::new(Probe::new(pool, &Arc::default(), 1_000).without_delay().failing_at(0)))
}

fn candidate(name: &'static str, open: crate::encode::select::Open) -> Candidate {
    let codecs: &[VideoCodec] = &[VideoCodec::H264];
    Candidate { name, codecs, is_for_speeds: false, check: None, open }
}

/// What comes out: pictures, and between them the changes.
#[derive(Debug, PartialEq, Eq)]
enum Out {
    Picture(i64, bool),
    Changed(&'static str, &'static str, ChangeReason),
}

#[derive(Default)]
struct Viewer(Vec<Out>);

impl VideoSink for Viewer {
    fn packet(&mut self, packet: VideoPacket) {
        self.0.push(Out::Picture(packet.pts, packet.key));
    }
}

impl EncoderSink for Viewer {
    fn changed(&mut self, change: &EncoderChange, _: &dyn VideoEncoder) {
        self.0.push(Out::Changed(change.from, change.to, change.reason));
    }
}

impl Viewer {
    fn ticks(&self) -> Vec<i64> {
        let tick = |out: &Out| match out {
            Out::Picture(tick, _) => Some(*tick),
            Out::Changed(..) => None,
        };
        self.0.iter().filter_map(tick).collect()
    }

    fn changes(&self) -> usize {
        self.0.iter().filter(|out| matches!(out, Out::Changed(..))).count()
    }
}

struct Channel {
    encoder: FallbackEncoder,
    pool: Pool,
    viewer: Viewer,
    next: i64,
}

/// Seconds of a picture at 30 per second.
fn at(tick: i64) -> Micros {
    Micros(tick.unsigned_abs() * 1_000_000 / 30)
}

impl Channel {
    fn of(candidates: &[Candidate]) -> Result<Self, Error> {
        Self::with(candidates, &spec())
    }

    fn with(candidates: &[Candidate], spec: &VideoSpec) -> Result<Self, Error> {
        let packets = packets();
        let encoder = FallbackEncoder::open_of(candidates.to_vec(), spec, &packets)?;
        Ok(Self { encoder, pool: frames(spec), viewer: Viewer::default(), next: 0 })
    }

    /// The next picture, a keyframe every two seconds.
    fn picture(&mut self) -> Result<bool, Error> {
        let pts = self.next;
        self.next += 1;
        let frame = self.pool.take().unwrap().freeze();
        let picture = Picture { frame, pts, force_key: pts % 60 == 0 };
        self.encoder.encode(&picture, at(pts), &mut self.viewer)
    }

    /// Pictures until another encoder encodes; the number of the first that it got.
    fn until_change(&mut self) -> i64 {
        let before = self.viewer.changes();
        while self.viewer.changes() == before {
            self.picture().unwrap();
            // Checks run on threads of their own, and this channel is faster than any.
            std::thread::yield_now();
        }
        self.next - 1
    }
}

#[test]
fn the_picture_at_which_an_encoder_fails_is_encoded_by_the_next() {
    HARDWARE.set(vec![Some(5), None]);
    let mut channel =
        Channel::of(&[candidate("gpu", hardware), candidate("cpu", software)]).unwrap();
    for number in 0..10 {
        assert_eq!(channel.picture(), Ok(number == 5));
    }
    assert_eq!(channel.viewer.ticks(), (0..10).collect::<Vec<_>>(), "no picture is missing");
    let change = Out::Changed("gpu", "cpu", ChangeReason::Failed);
    assert_eq!(channel.viewer.0[5..7], [change, Out::Picture(5, true)], "and it is a keyframe");
    assert_eq!(channel.viewer.changes(), 1);
    assert_eq!(channel.pool.in_use(), 0, "its references were given back");
}

#[test]
fn who_stands_in_for_an_encoder_without_delay_has_none_unless_it_is_tuned() {
    let cpu = || candidate("cpu", software);
    let opened = |first: Candidate, tune: &str| {
        HARDWARE.set(vec![Some(5), None]);
        let spec = VideoSpec { tune: tune.to_owned(), b_frames: 2, ..spec() };
        Channel::with(&[first, cpu()], &spec).unwrap().until_change();
        SOFTWARE.take()
    };
    let gpu = || candidate("gpu", hardware);
    assert_eq!(opened(gpu(), ""), (ZERO_LATENCY.to_owned(), 0));
    assert_eq!(opened(gpu(), "film"), ("film".to_owned(), 2));
    assert_eq!(opened(candidate("gpu", hardware_with_delay), ""), (String::new(), 2));
}

#[test]
fn a_better_encoder_comes_back_at_a_keyframe_and_no_picture_is_missing() {
    HARDWARE.set(vec![Some(5), Some(u64::MAX)]);
    let mut channel =
        Channel::of(&[candidate("gpu", hardware), candidate("cpu", software)]).unwrap();
    assert_eq!(channel.until_change(), 5);
    let back = channel.until_change();
    assert!(back >= 5 + 300, "not before ten seconds have passed: at picture {back}");
    assert_eq!(back % 60, 0, "at a keyframe that was due anyway");
    let change = Out::Changed("cpu", "gpu", ChangeReason::Recovered);
    assert_eq!(channel.viewer.0[channel.viewer.0.len() - 2..], [change, Out::Picture(back, true)]);
    assert_eq!(channel.viewer.ticks(), (0..=back).collect::<Vec<_>>());
}

#[test]
fn an_encoder_that_fails_soon_after_it_came_back_is_tried_more_and_more_rarely() {
    HARDWARE.set(vec![Some(5), Some(30), Some(30), Some(30)]);
    let mut channel =
        Channel::of(&[candidate("gpu", hardware), candidate("cpu", software)]).unwrap();
    let mut pauses = Vec::new();
    for _ in 0..3 {
        let failed = channel.until_change();
        pauses.push(channel.until_change() - failed);
    }
    // How much longer depends on when the machine runs the checks.
    let are_long = pauses.iter().zip([300, 600, 1_200]).all(|(pause, least)| *pause >= least);
    assert!(are_long, "{pauses:?}");
}

#[test]
fn an_encoder_alone_is_opened_anew_until_it_has_failed_too_often() {
    HARDWARE.set(vec![Some(5), Some(5), Some(u64::MAX)]);
    let mut channel = Channel::of(&[candidate("gpu", hardware)]).unwrap();
    for _ in 0..20 {
        channel.picture().unwrap();
    }
    assert_eq!(channel.viewer.ticks(), (0..20).collect::<Vec<_>>());
    assert_eq!(channel.viewer.changes(), 2);
    let mut channel = Channel::of(&[candidate("cpu", broken)]).unwrap();
    assert!(matches!(channel.picture(), Err(Error::Device(_))));
    assert_eq!(channel.viewer.changes(), 5);
}

#[test]
fn hardware_whose_check_fails_is_not_opened() {
    HARDWARE.set(vec![Some(5), Some(u64::MAX)]);
    let gpu = Candidate { check: Some(|| Err("gone".to_owned())), ..candidate("gpu", hardware) };
    let mut channel = Channel::of(&[gpu, candidate("cpu", software)]).unwrap();
    for _ in 0..3_000 {
        channel.picture().unwrap();
    }
    assert_eq!(channel.viewer.changes(), 1, "it went, and did not come back");
}

#[test]
fn hardware_that_does_not_take_the_settings_is_passed_over_unless_it_is_named() {
    fn picky(_: &VideoSpec, _: &PacketPool) -> Result<Box<dyn VideoEncoder>, Error> {
        Err(Error::Config("not that size".to_owned()))
    }
    let gpu = Candidate { check: Some(|| Ok(String::new())), ..candidate("gpu", picky) };
    let all = [gpu, candidate("cpu", software)];
    assert!(select_at(&all, &spec(), &packets()).is_ok_and(|(at, _)| at == 1));
    let named = VideoSpec { encoder: Some("gpu"), ..spec() };
    assert!(matches!(select_at(&all, &named, &packets()), Err(Error::Config(_))));
}

#[test]
fn an_encoder_that_is_named_has_no_other_behind_it() {
    for name in encoder_names_of(spec().codec) {
        let named = VideoSpec { encoder: Some(name), ..spec() };
        let names: Vec<_> = candidates(&named).iter().map(|candidate| candidate.name).collect();
        assert_eq!(names, [name]);
    }
}
