//! The mixer: inputs with gains and filters on one stereo bus.

use std::sync::Arc;

use super::limiter::{LATENCY, Limiter};
use super::line::{MixerControl, MixerLine};
use super::meter::Meter;
use super::normalizer::Normalizer;
use super::strip::Strip;
use super::{BusSpec, INPUTS_MAX, InputSpec};
use crate::frame::AudioBlock;
use crate::media::{CHANNELS, Micros, SAMPLE_RATE};
use crate::ring::Receiver;
use crate::stats::AudioStats;

/// Samples per channel worked on at once; longer calls are cut.
const CHUNK: usize = 1_024;

/// Mixes its inputs into one interleaved stereo bus that stays below full scale.
///
/// All memory is taken when it is made, or by who changes it; [`Mixer::mix`] neither allocates nor
/// waits.
#[derive(Debug)]
pub struct Mixer {
    strips: Vec<Strip>,
    normalizer: Normalizer,
    limiter: Limiter,
    /// Whether the limiter holds what comes before the next sample.
    is_primed: bool,
    bus_meter: Meter,
    levels: Arc<AudioStats>,
    /// How often integrated loudness was reset.
    resets: u64,
    /// By which it is changed.
    line: MixerLine,
    scratch: Box<[[f32; CHUNK * CHANNELS]; 2]>,
    live_heard: bool,
    /// How loud each input was in the last chunk, before what ducking took away.
    peaks: [f32; INPUTS_MAX],
}

impl Mixer {
    /// A mixer with these inputs (at most [`INPUTS_MAX`]; the rest is left out) and this bus, which
    /// nobody changes. Inputs that play a video or a stream are silent until [`Mixer::attach`]
    /// gives them a ring.
    #[must_use]
    pub fn new(specs: &[InputSpec], bus: BusSpec) -> Self {
        Self::controlled(specs, bus).0
    }

    /// The same, and what changes it while it runs.
    #[must_use]
    pub fn controlled(specs: &[InputSpec], bus: BusSpec) -> (Self, MixerControl) {
        let specs = &specs[..specs.len().min(INPUTS_MAX)];
        let strips: Vec<Strip> = specs.iter().map(|spec| Strip::new(spec, specs)).collect();
        let (control, line) = MixerControl::new(specs.to_vec(), bus);
        let levels = Arc::new(AudioStats::new(specs.iter().map(|spec| spec.name.clone())));
        let mixer = Self {
            strips,
            normalizer: Normalizer::new(bus.normalize_lufs),
            limiter: Limiter::new(bus.ceiling_dbtp),
            is_primed: false,
            bus_meter: Meter::new(),
            levels,
            resets: 0,
            line,
            scratch: Box::new([[0.0; CHUNK * CHANNELS]; 2]),
            live_heard: false,
            peaks: [0.0; INPUTS_MAX],
        };
        (mixer, control)
    }

    /// Gives the input called `name` the ring it plays, in place of any it had. `false`, and the
    /// ring is dropped, if there is no such input or it makes its own audio.
    pub fn attach(&mut self, name: &str, ring: Receiver<AudioBlock>) -> bool {
        let strip = self.strips.iter_mut().find(|strip| strip.name() == name);
        strip.is_some_and(|strip| strip.attach(ring))
    }

    /// The levels, for readers on any thread. Inputs are in the order of the specs.
    #[must_use]
    pub fn levels(&self) -> Arc<AudioStats> {
        Arc::clone(&self.levels)
    }

    /// Writes the next `out.len() / 2` samples of the programme: `first_sample` is the number of
    /// the first one since the programme's start, `start_at` its time on the node's clock. Changes
    /// that have come in take effect from here on.
    pub fn mix(&mut self, first_sample: u64, start_at: Micros, out: &mut [f32]) {
        self.take_changes();
        if !self.is_primed {
            // The limiter is ahead of what comes out.
            self.is_primed = true;
            let mut before = [0.0; LATENCY * CHANNELS];
            self.mix_chunk(first_sample, start_at, &mut before);
        }
        let mut done = LATENCY as u64;
        for part in out.chunks_mut(CHUNK * CHANNELS) {
            let after = Micros(done * 1_000_000 / u64::from(SAMPLE_RATE));
            self.mix_chunk(first_sample + done, start_at + after, part);
            self.bus_meter.feed(part);
            done += (part.len() / CHANNELS) as u64;
        }
        for (place, strip) in self.strips.iter_mut().enumerate() {
            self.levels.set_source(place, &strip.levels());
            if let Some(chain) = strip.take_retired() {
                self.line.retire(chain);
            }
        }
        self.levels.set_bus(&self.bus_meter.levels());
    }

    /// Takes what control has sent, as far as strips have taken the changes before it.
    fn take_changes(&mut self) {
        let resets = self.levels.resets();
        if resets != std::mem::replace(&mut self.resets, resets) {
            self.strips.iter_mut().for_each(Strip::reset_integrated);
            self.bus_meter.reset_integrated();
        }
        while !self.strips.iter().any(Strip::is_exchanging) {
            let Some(mut change) = self.line.next() else { return };
            for (strip, change) in self.strips.iter_mut().zip(&mut change.strips) {
                strip.change(change);
            }
            self.normalizer.set_target(change.bus.normalize_lufs);
            self.limiter.set_ceiling(change.bus.ceiling_dbtp);
            self.line.give_back(change);
        }
    }

    fn mix_chunk(&mut self, first_sample: u64, at: Micros, out: &mut [f32]) {
        out.fill(0.0);
        let [own, spare] = &mut *self.scratch;
        let (own, spare) = (&mut own[..out.len()], &mut spare[..out.len()]);
        let mut live_heard = false;
        let before = self.peaks;
        for (strip, peak) in self.strips.iter_mut().zip(&mut self.peaks) {
            strip.duck_for(&before, self.live_heard);
            let heard = strip.fill(first_sample, at, own);
            live_heard |= heard && strip.is_live_and_on();
            *peak = strip.finish(own, spare);
            if heard || strip.goes_on() {
                out.iter_mut().zip(own.iter()).for_each(|(bus, own)| *bus += own);
            }
        }
        self.live_heard = live_heard;
        self.normalizer.apply(out);
        self.limiter.apply(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::line::Fade;
    use crate::audio::ramp::from_db;
    use crate::audio::{
        CompressorSpec, DuckingSpec, EqSpec, Filters, GateSpec, Mapping, Source, synth,
    };
    use crate::frame::BLOCK_SAMPLES;
    use crate::ring::{Bell, Sender, channel};
    use crate::stats::AudioLevels;
    use std::path::PathBuf;

    /// One with the usual bus, and control's end of its line.
    fn controlled(specs: &[InputSpec]) -> (Mixer, MixerControl) {
        Mixer::controlled(specs, BusSpec::default())
    }

    fn mixer_of(specs: &[InputSpec]) -> Mixer {
        controlled(specs).0
    }

    /// Changes one input, with its gain at once.
    fn change(control: &mut MixerControl, place: usize, change: impl FnOnce(&mut InputSpec)) {
        let mut specs = control.sources().to_vec();
        change(&mut specs[place]);
        control.change(specs, control.bus(), None).unwrap();
    }

    const START: Micros = Micros::from_secs(10);

    fn spec(name: &str, source: Source, gain_db: f32) -> InputSpec {
        InputSpec { gain_db, ..InputSpec::new(name, source) }
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
        let mut mixer = mixer_of(&[video("a", 0.0), video("b", -6.0), video("c", 6.0)]);
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
        let mut mixer = mixer_of(&[video("a", 0.0), live]);
        assert!(mix(&mut mixer, 0, 4_800).iter().all(|value| value.to_bits() == 0));
        assert_eq!(mixer.levels().bus(), AudioLevels::SILENCE);
    }

    /// The highest step from a sample to the next one of its channel.
    fn step(samples: &[f32]) -> f32 {
        let neighbours = samples.iter().zip(&samples[2..]);
        neighbours.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn mute_and_gain_changes_ramp_and_a_muted_input_keeps_its_place() {
        let (mut mixer, mut control) = controlled(&[video("a", 0.0)]);
        let (_tx, rx) = steady(0.4);
        mixer.attach("a", rx);
        mix(&mut mixer, 0, 4_800);
        change(&mut control, 0, |it| it.mute = true);
        let out = mix(&mut mixer, 4_800, 4_800);
        let late = 2 * (LATENCY + 480);
        assert!(out[0] > 0.39 && near(out[late], 0.0) && near(out[9_599], 0.0));
        assert!(step(&out) < 0.4 / 479.0, "{}", step(&out));
        change(&mut control, 0, |it| (it.mute, it.gain_db) = (false, -20.0));
        let out = mix(&mut mixer, 9_600, 4_800);
        assert!(near(out[9_599], 0.04), "{}", out[9_599]);
    }

    #[test]
    fn no_change_of_a_setting_makes_a_step_that_a_ramp_does_not_give() {
        let gate = GateSpec { open_db: -60.0, close_db: -70.0, ..GateSpec::default() };
        let eq = EqSpec { low_db: 12.0, high_db: -12.0, ..EqSpec::default() };
        let press = CompressorSpec { threshold_db: -30.0, ..CompressorSpec::default() };
        type Change = (&'static str, fn(&mut InputSpec, Filters));
        let changes: [Change; 9] = [
            ("gain", |it, _| it.gain_db = 6.0),
            ("pan", |it, _| it.pan = -1.0),
            ("mute", |it, _| it.mute = true),
            ("delay", |it, _| it.delay_ms = 100),
            ("mapping", |it, _| it.mapping = Mapping::Left),
            ("gate", |it, all| it.filters.gate = all.gate),
            ("eq", |it, all| it.filters.eq = all.eq),
            ("compressor", |it, all| it.filters.compressor = all.compressor),
            ("all", |it, all| (it.filters, it.delay_ms, it.pan) = (all, 20, 0.5)),
        ];
        for (what, make) in changes {
            let (mut mixer, mut control) =
                controlled(&[spec("a", Source::Tone(440.0), 0.0), video("b", 0.0)]);
            let before = mix(&mut mixer, 0, 48_000);
            // A sine's own steps, and of one that is louder or has another phase beside it.
            let height = before.iter().fold(0.0_f32, |height, value| height.max(value.abs()));
            let own = step(&before) * 4.0 + height * 2.0 / 480.0;
            let filters = || Filters {
                gate: Some(gate),
                eq: Some(eq),
                compressor: Some(press),
                ducking: Some(DuckingSpec::by("b".to_owned())),
            };
            let mut at = 48_000;
            for _ in 0..2 {
                change(&mut control, 0, |it| make(it, filters()));
                let out = mix(&mut mixer, at, 24_000);
                assert!(step(&out) < own, "{what}: {} of {own}", step(&out));
                at += 24_000;
                change(&mut control, 0, |it| *it = spec("a", Source::Tone(440.0), 0.0));
                let out = mix(&mut mixer, at, 24_000);
                assert!(step(&out) < own, "{what} back: {} of {own}", step(&out));
                at += 24_000;
            }
        }
    }

    #[test]
    fn a_fade_takes_its_time_and_solo_leaves_the_others_out() {
        let (mut mixer, mut control) = controlled(&[video("a", 0.0), video("b", 0.0)]);
        let ((_a, a), (_b, b)) = (steady(0.2), steady(0.1));
        mixer.attach("a", a);
        mixer.attach("b", b);
        mix(&mut mixer, 0, 4_800);
        let mut specs = control.sources().to_vec();
        specs[0].gain_db = -90.0;
        let fade = Fade { source: "a", time: Micros::from_millis(500) };
        control.change(specs, control.bus(), Some(fade)).unwrap();
        let out = mix(&mut mixer, 4_800, 30_000);
        let middle = out[2 * (12_000 + LATENCY)];
        assert!((middle - 0.2).abs() < 1e-3, "half of it, and all of b: {middle}");
        assert!(near(out[59_998], 0.1), "{}", out[59_998]);
        assert!(step(&out) < 0.2 / 23_000.0, "{}", step(&out));
        change(&mut control, 0, |it| (it.gain_db, it.solo) = (0.0, true));
        let out = mix(&mut mixer, 34_800, 4_800);
        assert!(near(out[9_598], 0.2), "{}", out[9_598]);
    }

    #[test]
    fn a_longer_delay_goes_on_with_what_is_held_and_what_is_replaced_comes_back() {
        let delayed = InputSpec { delay_ms: 100, ..spec("a", Source::Tone(100.0), 0.0) };
        let (mut mixer, mut control) = controlled(&[delayed]);
        mix(&mut mixer, 0, 24_000);
        change(&mut control, 0, |it| it.delay_ms = 200);
        let out = mix(&mut mixer, 24_000, 24_000);
        let is_silent = |part: &[f32]| part.iter().all(|value| value.abs() < 1e-6);
        // It is silent for as long as it is later, after the old one has gone.
        assert!(is_silent(&out[2 * 1_100..2 * 4_800]) && !is_silent(&out[2 * 4_900..]));
        let wanted = mix(&mut mixer_of(&[spec("a", Source::Tone(100.0), 0.0)]), 0, 48_000);
        let same = out[2 * 6_000..].iter().zip(&wanted[2 * (24_000 + 6_000 - 9_600)..]);
        assert!(same.into_iter().all(|(a, b)| (a - b).abs() < 1e-5));
        control.drop_retired();
    }

    #[test]
    fn the_bus_changes_its_ceiling_and_its_loudness_while_it_runs() {
        let (mut mixer, mut control) = controlled(&[spec("a", Source::Tone(1_000.0), 14.0)]);
        mix(&mut mixer, 0, 48_000);
        assert!(mixer.levels().bus().true_peak_db < -0.9);
        assert!(mixer.levels().bus().true_peak_db > -8.0);
        let bus = BusSpec { ceiling_dbtp: -9.0, normalize_lufs: None };
        control.change(control.sources().to_vec(), bus, None).unwrap();
        let out = mix(&mut mixer, 48_000, 96_000);
        assert!(step(&out) < 0.15 && out[90_000..].iter().all(|value| value.abs() < 0.356));
        let bus = BusSpec { ceiling_dbtp: -1.0, normalize_lufs: Some(-23) };
        control.change(control.sources().to_vec(), bus, None).unwrap();
        mix(&mut mixer, 144_000, 48_000 * 30);
        let levels = mixer.levels();
        assert!((levels.bus().short_term_lufs + 23.0).abs() < 0.2, "{:?}", levels.bus());
        levels.reset_integrated();
        mix(&mut mixer, 48_000 * 33, 48_000 * 5);
        assert!((levels.bus().integrated_lufs + 23.0).abs() < 0.2, "{:?}", levels.bus());
    }

    #[test]
    fn a_loud_mix_stays_below_full_scale_and_the_meters_say_so() {
        let mut mixer = mixer_of(&[video("a", 12.0), video("b", 0.0)]);
        let (_a, a) = steady(0.8);
        let (_b, b) = steady(0.9);
        mixer.attach("a", a);
        mixer.attach("b", b);
        let out = mix(&mut mixer, 0, 24_000);
        assert!(out.iter().all(|value| value.abs() < 0.9));
        let levels = mixer.levels();
        assert!(levels.bus().peak_db[0] < -0.9 && levels.bus().peak_db[1] > -3.0);
        assert!((levels.source(1).unwrap().peak_db[0] - 20.0 * 0.9_f32.log10()).abs() < 1e-3);
        assert!(levels.source(0).unwrap().peak_db[0] > 9.0);
        assert!(levels.source(2).is_none());
    }

    #[test]
    fn the_beep_is_heard_on_the_second_of_programme_time() {
        let mut mixer = mixer_of(&[spec("beep", Source::Beep, 0.0)]);
        let out = mix(&mut mixer, 47_000, 8_000);
        assert!(out[..2_000].iter().all(|value| value.to_bits() == 0));
        assert!(out[2 * 1_001] > 0.03, "one sample after the second: {}", out[2 * 1_001]);
        assert!(out[2 * (1_000 + 4_799)].abs() > 0.03);
        assert!(out[2 * (1_000 + 4_800)..].iter().all(|value| value.to_bits() == 0));
    }

    #[test]
    fn the_bed_makes_way_for_a_live_input_and_comes_back() {
        let live = spec("live", Source::Live("live/x".into()), 0.0);
        let mut mixer = mixer_of(&[spec("bed", Source::Bed, 0.0), live]);
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
        let mut mixer = mixer_of(&[spec("bed", Source::Bed, 0.0), video("v", 0.0)]);
        let (_tx, rx) = steady(0.0);
        assert!(!mixer.attach("bed", rx));
        let (_tx, rx) = steady(0.0);
        assert!(!mixer.attach("w", rx));
    }

    #[test]
    fn more_inputs_than_the_limit_are_left_out() {
        let specs = vec![video("v", 0.0); INPUTS_MAX + 3];
        assert_eq!(mixer_of(&specs).strips.len(), INPUTS_MAX);
    }

    /// What is heard after a while of inputs that all have a steady value.
    fn settled(specs: &[InputSpec], values: &[f32]) -> [f32; 2] {
        let mut mixer = mixer_of(specs);
        let mut senders = Vec::new();
        for (spec, value) in specs.iter().zip(values) {
            let (tx, rx) = steady(*value);
            assert!(mixer.attach(&spec.name, rx));
            senders.push(tx);
        }
        let out = mix(&mut mixer, 0, 40_000);
        [out[79_998], out[79_999]]
    }

    #[test]
    fn a_source_in_solo_is_heard_alone() {
        let solo = InputSpec { solo: true, ..video("b", 0.0) };
        let muted = InputSpec { mute: true, solo: true, ..video("c", 0.0) };
        let out = settled(&[video("a", 0.0), solo, muted], &[0.1, 0.2, 0.05]);
        assert!(near(out[0], 0.2), "{out:?}");
    }

    #[test]
    fn balance_turns_one_side_down_and_a_source_on_both_sides_keeps_its_power() {
        let at = |pan, mapping| settled(&[InputSpec { pan, mapping, ..video("a", 0.0) }], &[0.2]);
        assert!(near(at(1.0, Mapping::Stereo)[0], 0.0) && near(at(1.0, Mapping::Stereo)[1], 0.2));
        let half = at(-0.5, Mapping::Stereo);
        assert!(near(half[0], 0.2) && half[1] > 0.1 && half[1] < 0.12, "{half:?}");
        for pan in [-1.0, -0.3, 0.0, 0.7, 1.0] {
            let [left, right] = at(pan, Mapping::Mono);
            assert!((left.hypot(right) - 0.2 * 2.0_f32.sqrt()).abs() < 1e-5, "{pan}");
        }
    }

    #[test]
    fn channels_are_heard_where_the_mapping_says() {
        let both = |mapping: Mapping| {
            let (mut tx, rx) = channel(64, Bell::new());
            for n in 0..10_u64 {
                let at = START + Micros(n * BLOCK_SAMPLES as u64 * 1_000_000 / 48_000);
                let mut data = [0.1; BLOCK_SAMPLES * CHANNELS];
                data.chunks_mut(2).for_each(|pair| pair[1] = 0.3);
                tx.push(AudioBlock { at, samples: BLOCK_SAMPLES, data }).unwrap();
            }
            let mut mixer = mixer_of(&[InputSpec { mapping, ..video("a", 0.0) }]);
            mixer.attach("a", rx);
            let out = mix(&mut mixer, 0, 4_800);
            (out[9_598], out[9_599])
        };
        for (mapping, left, right) in [
            (Mapping::Stereo, 0.1, 0.3),
            (Mapping::Left, 0.1, 0.1),
            (Mapping::Right, 0.3, 0.3),
            (Mapping::Mono, 0.2, 0.2),
            (Mapping::Swapped, 0.3, 0.1),
        ] {
            let heard = both(mapping);
            assert!(near(heard.0, left) && near(heard.1, right), "{mapping:?}: {heard:?}");
        }
    }

    #[test]
    fn a_delay_is_exact_and_a_negative_one_holds_the_others_back() {
        let starts = |specs: &[InputSpec]| {
            let mut mixer = mixer_of(specs);
            let (_tx, rx) = steady(0.5);
            mixer.attach("a", rx);
            let out = mix(&mut mixer, 0, 40_000);
            out.iter().position(|value| value.abs() > 0.0).unwrap() / 2
        };
        let delayed = |name, delay_ms| InputSpec { delay_ms, ..video(name, 0.0) };
        assert_eq!(starts(&[delayed("a", 0)]), 0);
        assert_eq!(starts(&[delayed("a", 500)]), 24_000);
        assert_eq!(starts(&[delayed("a", 0), delayed("b", -500)]), 24_000);
        assert_eq!(starts(&[delayed("a", -500), delayed("b", 0)]), 0);
        assert_eq!(starts(&[delayed("a", 100), delayed("b", -500)]), 28_800);
    }

    #[test]
    fn filters_work_on_their_own_source_alone() {
        let gate = GateSpec { open_db: -10.0, close_db: -12.0, ..GateSpec::default() };
        let eq = EqSpec { low_db: 6.0, ..EqSpec::default() };
        let gated = Filters { gate: Some(gate), ..Filters::NONE };
        let lifted = Filters { eq: Some(eq), ..Filters::NONE };
        let specs = [
            InputSpec { filters: gated, ..video("a", 0.0) },
            InputSpec { filters: lifted, ..video("b", 0.0) },
            video("c", 0.0),
        ];
        let out = settled(&specs, &[0.2, 0.1, 0.05]);
        let expected = 0.1 * from_db(6.0) + 0.05;
        assert!((out[0] - expected).abs() < 1e-4, "{out:?}, expected {expected}");
    }

    #[test]
    fn a_source_makes_way_for_its_side_chain_and_comes_back() {
        let ducking = DuckingSpec { amount_db: 20.0, ..DuckingSpec::by("voice".to_owned()) };
        let filters = Filters { ducking: Some(ducking), ..Filters::NONE };
        let music = InputSpec { filters, ..video("music", 0.0) };
        let heard = |voice: f32| settled(&[music.clone(), video("voice", 0.0)], &[0.3, voice])[0];
        assert!((heard(0.1) - 0.13).abs() < 1e-4, "{}", heard(0.1));
        assert!((heard(0.005) - 0.305).abs() < 1e-4, "below the threshold: {}", heard(0.005));
        let (mut mixer, mut control) = controlled(&[music.clone(), video("voice", 0.0)]);
        let ((_music, music), (_voice, voice)) = (steady(0.3), steady(0.1));
        mixer.attach("music", music);
        mixer.attach("voice", voice);
        let down = mix(&mut mixer, 0, 20_000);
        assert!(down.chunks(2).zip(down.chunks(2).skip(1)).all(|(a, b)| a[0] - b[0] < 0.001));
        change(&mut control, 1, |it| it.mute = true);
        let back = mix(&mut mixer, 20_000, 20_000);
        assert!(back[39_998] > 0.06 && back[39_998] < 0.15, "on its way: {}", back[39_998]);
    }
}
