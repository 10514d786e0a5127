//! The mixer: inputs with gains on one stereo bus.

use std::sync::Arc;

use super::input::Input;
use super::limiter::Limiter;
use super::meter::{Meter, Meters};
use super::ramp::{Ramp, from_db};
use super::synth;
use super::{INPUTS_MAX, InputSpec, Source};
use crate::frame::AudioBlock;
use crate::media::{CHANNELS, Micros, SAMPLE_RATE};
use crate::ring::Receiver;

/// Samples per channel worked on at once; longer calls are cut.
const CHUNK: usize = 1_024;

/// Samples in which a gain or mute change is carried out: 10 ms.
const GAIN_SAMPLES: u32 = SAMPLE_RATE / 100;

/// How much quieter the bed is while a live input plays, decibels.
const DUCK_DB: f32 = -8.0;

/// Samples in which the bed makes way: 300 ms.
const DUCK_SAMPLES: u32 = SAMPLE_RATE * 3 / 10;

/// Samples in which the bed comes back: 1.5 s.
const UNDUCK_SAMPLES: u32 = SAMPLE_RATE * 3 / 2;

/// Range of a gain, decibels.
const GAIN_DB: std::ops::RangeInclusive<f32> = -90.0..=24.0;

/// Mixes its inputs into one interleaved stereo bus that stays below full scale.
///
/// All memory is taken in [`Mixer::new`]; [`Mixer::mix`] neither allocates nor waits.
#[derive(Debug)]
pub struct Mixer {
    strips: Vec<Strip>,
    limiter: Limiter,
    bus_meter: Meter,
    meters: Arc<Meters>,
    scratch: Box<[f32; CHUNK * CHANNELS]>,
    live_heard: bool,
}

/// One input with its gain.
#[derive(Debug)]
struct Strip {
    name: String,
    maker: Maker,
    gain_db: f32,
    mute: bool,
    gain: Ramp,
    duck: Ramp,
    meter: Meter,
}

/// What makes the samples of a strip.
#[derive(Debug)]
enum Maker {
    Bed,
    Tone(f32),
    Beep,
    Ring { live: bool, input: Option<Input> },
}

impl Mixer {
    /// A mixer with these inputs (at most [`INPUTS_MAX`]; the rest is left out). Inputs that play a
    /// video or a stream are silent until [`Mixer::attach`] gives them a ring.
    #[must_use]
    pub fn new(specs: &[InputSpec]) -> Self {
        let strips: Vec<Strip> = specs.iter().take(INPUTS_MAX).map(Strip::new).collect();
        let meters = Arc::new(Meters::new(strips.len()));
        Self {
            strips,
            limiter: Limiter::new(),
            bus_meter: Meter::default(),
            meters,
            scratch: Box::new([0.0; CHUNK * CHANNELS]),
            live_heard: false,
        }
    }

    /// Gives the input called `name` the ring it plays, in place of any it had. `false`, and the
    /// ring is dropped, if there is no such input or it makes its own audio.
    pub fn attach(&mut self, name: &str, ring: Receiver<AudioBlock>) -> bool {
        match self.strip(name).map(|strip| &mut strip.maker) {
            Some(Maker::Ring { input, .. }) => {
                *input = Some(Input::new(ring));
                true
            }
            Some(Maker::Bed | Maker::Tone(_) | Maker::Beep) | None => false,
        }
    }

    /// Changes the gain of an input within 10 ms; decibels, -90 to +24. `false` if there is none of
    /// that name.
    pub fn set_gain(&mut self, name: &str, gain_db: f32) -> bool {
        self.strip(name).map(|strip| strip.change(gain_db, strip.mute)).is_some()
    }

    /// Silences an input or lets it be heard again within 10 ms. `false` if there is none of that
    /// name.
    pub fn set_mute(&mut self, name: &str, mute: bool) -> bool {
        self.strip(name).map(|strip| strip.change(strip.gain_db, mute)).is_some()
    }

    /// The meters, for readers on any thread. Inputs are in the order of the specs.
    #[must_use]
    pub fn meters(&self) -> Arc<Meters> {
        Arc::clone(&self.meters)
    }

    /// Writes the next `out.len() / 2` samples of the programme: `first_sample` is the number of
    /// the first one since the programme's start, `start_at` its time on the node's clock.
    pub fn mix(&mut self, first_sample: u64, start_at: Micros, out: &mut [f32]) {
        let mut done = 0;
        for part in out.chunks_mut(CHUNK * CHANNELS) {
            let after = Micros(done * 1_000_000 / u64::from(SAMPLE_RATE));
            self.mix_chunk(first_sample + done, start_at + after, part);
            done += (part.len() / CHANNELS) as u64;
        }
        for (index, strip) in self.strips.iter().enumerate() {
            self.meters.set_input(index, strip.meter.level());
        }
        self.meters.set_bus(self.bus_meter.level());
    }

    fn mix_chunk(&mut self, first_sample: u64, at: Micros, out: &mut [f32]) {
        out.fill(0.0);
        let own = &mut self.scratch[..out.len()];
        let mut live_heard = false;
        for strip in &mut self.strips {
            strip.duck_for(self.live_heard);
            let heard = strip.fill(first_sample, at, own);
            live_heard |= heard && strip.is_live() && strip.gain.target() > 0.0;
            strip.meter.feed(own);
            if heard {
                out.iter_mut().zip(own.iter()).for_each(|(bus, own)| *bus += own);
            }
        }
        self.live_heard = live_heard;
        self.limiter.apply(out);
        self.bus_meter.feed(out);
    }

    fn strip(&mut self, name: &str) -> Option<&mut Strip> {
        self.strips.iter_mut().find(|strip| strip.name == name)
    }
}

impl Strip {
    fn new(spec: &InputSpec) -> Self {
        let maker = match &spec.source {
            Source::Bed => Maker::Bed,
            Source::Tone(hz) => Maker::Tone(*hz),
            Source::Beep => Maker::Beep,
            Source::Video(_) => Maker::Ring { live: false, input: None },
            Source::Live(_) | Source::Network(_) => Maker::Ring { live: true, input: None },
        };
        Self {
            name: spec.name.clone(),
            maker,
            gain_db: spec.gain_db,
            mute: spec.mute,
            gain: Ramp::at(factor(spec.gain_db, spec.mute)),
            duck: Ramp::at(1.0),
            meter: Meter::default(),
        }
    }

    const fn is_live(&self) -> bool {
        matches!(self.maker, Maker::Ring { live: true, .. })
    }

    fn change(&mut self, gain_db: f32, mute: bool) {
        self.gain_db = gain_db;
        self.mute = mute;
        self.gain.go(factor(gain_db, mute), GAIN_SAMPLES);
    }

    fn duck_for(&mut self, live_heard: bool) {
        if !matches!(self.maker, Maker::Bed) {
            return;
        }
        if live_heard {
            self.duck.go(from_db(DUCK_DB), DUCK_SAMPLES);
        } else {
            self.duck.go(1.0, UNDUCK_SAMPLES);
        }
    }

    /// Writes the strip's samples with its gain; says whether it may be anything but silence.
    /// A muted ring is read all the same, so that it is in its place when it is heard again.
    fn fill(&mut self, first_sample: u64, at: Micros, out: &mut [f32]) -> bool {
        let audible = self.gain.target() > 0.0 || !self.gain.is_at_rest();
        let heard = match &mut self.maker {
            Maker::Ring { input: None, .. } => false,
            Maker::Ring { input: Some(input), .. } => input.fill(at, out),
            Maker::Bed | Maker::Tone(_) | Maker::Beep if !audible => false,
            Maker::Bed => {
                synth::bed(first_sample, out);
                true
            }
            Maker::Tone(hz) => {
                synth::tone(*hz, first_sample, out);
                true
            }
            Maker::Beep => {
                synth::beep(first_sample, out);
                true
            }
        };
        if !heard {
            out.fill(0.0);
        }
        self.gain.apply(out);
        self.duck.apply(out);
        heard
    }
}

/// The factor of a strip: 0 if it is muted or as low as a gain goes.
fn factor(gain_db: f32, mute: bool) -> f32 {
    if mute || gain_db.is_nan() || gain_db <= *GAIN_DB.start() {
        return 0.0;
    }
    from_db(gain_db.min(*GAIN_DB.end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::BLOCK_SAMPLES;
    use crate::ring::{Bell, Sender, channel};
    use std::path::PathBuf;

    const START: Micros = Micros::from_secs(10);

    fn spec(name: &str, source: Source, gain_db: f32) -> InputSpec {
        InputSpec { name: name.to_owned(), source, gain_db, mute: false }
    }

    fn video(name: &str, gain_db: f32) -> InputSpec {
        spec(name, Source::Video(PathBuf::from("x.mp4").into()), gain_db)
    }

    /// A ring with a second of a steady value from `START` on.
    fn steady(value: f32) -> (Sender<AudioBlock>, Receiver<AudioBlock>) {
        let (mut tx, rx) = channel(64, Bell::new());
        for n in 0..47_u64 {
            let at = START + Micros(n * BLOCK_SAMPLES as u64 * 1_000_000 / 48_000);
            let data = [value; BLOCK_SAMPLES * CHANNELS];
            tx.push(AudioBlock { at, samples: BLOCK_SAMPLES, data }).unwrap();
        }
        (tx, rx)
    }

    /// Mixes from `first` on, as a channel at 30 frames per second does.
    fn mix(mixer: &mut Mixer, first: u64, samples: u64) -> Vec<f32> {
        let mut out = Vec::new();
        while (out.len() / 2) as u64 != samples {
            let done = (out.len() / 2) as u64;
            let count = usize::try_from((samples - done).min(1_600)).unwrap();
            let mut part = vec![5.0; count * CHANNELS];
            let at = START + Micros((first + done) * 1_000_000 / 48_000);
            mixer.mix(first + done, at, &mut part);
            out.extend(part);
        }
        out
    }

    fn near(value: f32, expected: f32) -> bool {
        (value - expected).abs() < 1e-6
    }

    #[test]
    fn inputs_are_summed_with_their_gains() {
        let mut mixer = Mixer::new(&[video("a", 0.0), video("b", -6.0), video("c", 6.0)]);
        let rings = [steady(0.1), steady(0.2), steady(-0.05)];
        let mut senders = Vec::new();
        for (name, (tx, rx)) in ["a", "b", "c"].into_iter().zip(rings) {
            assert!(mixer.attach(name, rx));
            senders.push(tx);
        }
        let out = mix(&mut mixer, 0, 9_600);
        let expected = 0.1 + 0.2 * from_db(-6.0) - 0.05 * from_db(6.0);
        assert!(out[480..].iter().all(|value| near(*value, expected)), "{}", out[600]);
    }

    #[test]
    fn nothing_attached_is_exact_silence() {
        let live = spec("l", Source::Live("live/x".into()), 0.0);
        let mut mixer = Mixer::new(&[video("a", 0.0), live]);
        assert!(mix(&mut mixer, 0, 4_800).iter().all(|value| value.to_bits() == 0));
        assert_eq!(mixer.meters().bus().peak.to_bits(), 0);
    }

    #[test]
    fn mute_and_gain_changes_ramp_and_a_muted_input_keeps_its_place() {
        let mut mixer = Mixer::new(&[video("a", 0.0)]);
        let (_tx, rx) = steady(0.4);
        mixer.attach("a", rx);
        mix(&mut mixer, 0, 4_800);
        assert!(mixer.set_mute("a", true) && !mixer.set_mute("b", true));
        let out = mix(&mut mixer, 4_800, 4_800);
        assert!(out[0] > 0.39 && near(out[960], 0.0) && near(out[9_599], 0.0));
        assert!(out.chunks(2).zip(out.chunks(2).skip(1)).all(|(a, b)| a[0] - b[0] < 0.001));
        mixer.set_mute("a", false);
        mixer.set_gain("a", -20.0);
        let out = mix(&mut mixer, 9_600, 4_800);
        assert!(near(out[9_599], 0.04), "{}", out[9_599]);
    }

    #[test]
    fn a_loud_mix_stays_below_full_scale_and_the_meters_say_so() {
        let mut mixer = Mixer::new(&[video("a", 12.0), video("b", 0.0)]);
        let (_a, a) = steady(0.8);
        let (_b, b) = steady(0.9);
        mixer.attach("a", a);
        mixer.attach("b", b);
        let out = mix(&mut mixer, 0, 24_000);
        assert!(out.iter().all(|value| value.abs() < 0.9));
        let meters = mixer.meters();
        assert!(meters.bus().peak_db() < -0.9 && meters.bus().peak_db() > -3.0);
        assert!((meters.input(1).unwrap().peak - 0.9).abs() < 1e-6);
        assert!(meters.input(0).unwrap().peak > 3.0);
        assert!(meters.input(2).is_none());
    }

    #[test]
    fn the_beep_is_heard_on_the_second_of_programme_time() {
        let mut mixer = Mixer::new(&[spec("beep", Source::Beep, 0.0)]);
        let out = mix(&mut mixer, 47_000, 8_000);
        assert!(out[..2_000].iter().all(|value| value.to_bits() == 0));
        assert!(out[2 * 1_001] > 0.03, "one sample after the second: {}", out[2 * 1_001]);
        assert!(out[2 * (1_000 + 4_799)].abs() > 0.03);
        assert!(out[2 * (1_000 + 4_800)..].iter().all(|value| value.to_bits() == 0));
    }

    #[test]
    fn the_bed_makes_way_for_a_live_input_and_comes_back() {
        let live = spec("live", Source::Live("live/x".into()), 0.0);
        let mut mixer = Mixer::new(&[spec("bed", Source::Bed, 0.0), live]);
        let (tx, rx) = steady(0.0);
        mixer.attach("live", rx);
        let out = mix(&mut mixer, 0, 46_000);
        let mut alone = vec![0.0; 2 * 46_000];
        synth::bed(0, &mut alone);
        let ratio = |n: usize| {
            let sum =
                |samples: &[f32]| samples[2 * n..2 * n + 2_000].iter().map(|v| v * v).sum::<f32>();
            10.0 * (sum(&out) / sum(&alone)).log10()
        };
        assert!(ratio(0).abs() < 1.0 && (ratio(40_000) + 8.0).abs() < 0.1, "{}", ratio(40_000));
        drop(tx);
        mix(&mut mixer, 46_000, 96_000);
        let after = mix(&mut mixer, 142_000, 1_000);
        let mut alone = vec![0.0; 2_000];
        synth::bed(142_000, &mut alone);
        assert!(after.iter().zip(&alone).all(|(a, b)| (a - b).abs() < 1e-4));
    }

    #[test]
    fn a_ring_goes_only_to_an_input_that_plays_one() {
        let mut mixer = Mixer::new(&[spec("bed", Source::Bed, 0.0), video("v", 0.0)]);
        let (_tx, rx) = steady(0.0);
        assert!(!mixer.attach("bed", rx));
        let (_tx, rx) = steady(0.0);
        assert!(!mixer.attach("w", rx));
    }

    #[test]
    fn more_inputs_than_the_limit_are_left_out() {
        let specs = vec![video("v", 0.0); INPUTS_MAX + 3];
        assert_eq!(Mixer::new(&specs).strips.len(), INPUTS_MAX);
    }
}
