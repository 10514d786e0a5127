//! Synthesised audio: a bed of slow chords, a tone, a beep on every second. All are functions of
//! the sample number, so that it does not matter how they are cut.

use std::f64::consts::TAU;

use crate::media::{CHANNELS, SAMPLE_RATE};

/// Height of the tone: -18 dBFS, the usual alignment level.
const TONE_AMPLITUDE: f64 = 0.125_9;

/// Height of the beep: -12 dBFS.
const BEEP_AMPLITUDE: f64 = 0.251_2;

/// Pitch of the beep, hertz.
const BEEP_HZ: f64 = 1_000.0;

/// Length of the beep, samples: 100 ms.
const BEEP_SAMPLES: u64 = SAMPLE_RATE as u64 / 10;

/// Highest pitch of a tone, hertz: what 48 kHz can carry.
const TONE_HZ_MAX: f32 = 20_000.0;

/// Writes a sine of `hz` (20 to 20 000), -18 dBFS, in both channels.
pub(super) fn tone(hz: f32, first_sample: u64, out: &mut [f32]) {
    let hz = f64::from(if hz.is_finite() { hz.clamp(20.0, TONE_HZ_MAX) } else { TONE_HZ_MAX });
    let mut wave = Phasor::new(hz, first_sample, 0.0);
    for pair in out.chunks_exact_mut(CHANNELS) {
        pair.fill(narrow(wave.next() * TONE_AMPLITUDE));
    }
}

/// Writes 1 kHz in the first 100 ms of every second of programme time, silence otherwise.
pub(super) fn beep(first_sample: u64, out: &mut [f32]) {
    let mut wave = Phasor::new(BEEP_HZ, first_sample, 0.0);
    for (n, pair) in (first_sample..).zip(out.chunks_exact_mut(CHANNELS)) {
        let value = wave.next();
        let on = n % u64::from(SAMPLE_RATE) < BEEP_SAMPLES;
        pair.fill(if on { narrow(value * BEEP_AMPLITUDE) } else { 0.0 });
    }
}

/// Pitches of the bed's chords, hertz: C, A minor, F and G with their soft upper notes.
const CHORDS: [[f64; VOICES]; 4] = [
    [130.81, 196.00, 261.63, 329.63],
    [110.00, 196.00, 261.63, 329.63],
    [87.31, 174.61, 261.63, 329.63],
    [98.00, 196.00, 246.94, 293.66],
];

const VOICES: usize = 4;

/// Height of each voice: the lower, the stronger. Together about -30 dBFS.
const VOICE_AMPLITUDES: [f64; VOICES] = [0.032, 0.024, 0.017, 0.011];

/// Seconds a chord lasts, half of each cross-fade included.
const CHORD_SECONDS: f64 = 10.0;

/// Seconds in which one chord fades into the next.
const FADE_SECONDS: f64 = 4.0;

/// Detune between left and right, hertz: a slow width.
const WIDTH_HZ: f64 = 0.31;

/// Samples over which the slow envelopes are taken as straight lines.
const BED_STEP: usize = 240;

/// Writes the bed: quiet, slowly changing chords.
pub(super) fn bed(first_sample: u64, out: &mut [f32]) {
    out.fill(0.0);
    for (first, part) in (first_sample..).step_by(BED_STEP).zip(out.chunks_mut(BED_STEP * CHANNELS))
    {
        let seconds = seconds(first);
        let chord = (seconds / CHORD_SECONDS).floor();
        let within = seconds - chord * CHORD_SECONDS;
        // The fade to the next chord fills the end of a chord's time.
        let fade = ((within - (CHORD_SECONDS - FADE_SECONDS)) / FADE_SECONDS).max(0.0);
        let speed = 1.0 / FADE_SECONDS / f64::from(SAMPLE_RATE);
        let speed = if fade > 0.0 { speed } else { 0.0 };
        add_chord(number(chord, 0), first, [1.0 - fade, -speed], part);
        if fade > 0.0 {
            add_chord(number(chord, 1), first, [fade, speed], part);
        }
    }
}

/// Which of the chords stands `ahead` of this place in the endless row.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
fn number(chord: f64, ahead: u64) -> usize {
    ((chord as u64 + ahead) % CHORDS.len() as u64) as usize
}

/// Adds one chord whose strength is `[at the first sample, change per sample]`.
fn add_chord(chord: usize, first: u64, strength: [f64; 2], out: &mut [f32]) {
    for (voice, (hz, amplitude)) in CHORDS[chord].iter().zip(VOICE_AMPLITUDES).enumerate() {
        let mut left = Phasor::new(*hz, first, 0.0);
        let mut right = Phasor::new(*hz + WIDTH_HZ, first, 0.25);
        // Each voice breathes at its own pace, between a half and all of its height.
        let pace = 0.05 + 0.023 * f64::from(u8::try_from(voice).unwrap_or(0));
        let swell = |n: u64| 0.75 + 0.25 * (TAU * pace * seconds(n)).sin();
        let samples = out.len() / CHANNELS;
        let begin = swell(first);
        let count = f64::from(u32::try_from(samples).unwrap_or(1).max(1));
        let slope = (swell(first + samples as u64) - begin) / count;
        let mut now = 0.0;
        for pair in out.chunks_exact_mut(CHANNELS) {
            // Square root: two chords half faded audio as loud as one.
            let height = amplitude * (begin + slope * now);
            let height = height * strength[1].mul_add(now, strength[0]).max(0.0).sqrt();
            pair[0] += narrow(left.next() * height);
            pair[1] += narrow(right.next() * height);
            now += 1.0;
        }
    }
}

/// A turning unit vector: a sine for four multiplications per sample.
#[derive(Clone, Copy, Debug)]
struct Phasor {
    sine: f64,
    cosine: f64,
    step_sine: f64,
    step_cosine: f64,
}

impl Phasor {
    /// The sine of `hz` as it stands at sample `first`, `turns` ahead.
    fn new(hz: f64, first: u64, turns: f64) -> Self {
        // Whole seconds and the rest apart, so that the phase is exact after days, too.
        let rate = u64::from(SAMPLE_RATE);
        let whole = (hz * whole_seconds(first / rate)).fract();
        let rest = (hz * seconds(first % rate)).fract();
        let phase = TAU * (whole + rest + turns);
        let step = TAU * hz / f64::from(SAMPLE_RATE);
        Self {
            sine: phase.sin(),
            cosine: phase.cos(),
            step_sine: step.sin(),
            step_cosine: step.cos(),
        }
    }

    fn next(&mut self) -> f64 {
        let now = self.sine;
        self.sine = now * self.step_cosine + self.cosine * self.step_sine;
        self.cosine = self.cosine * self.step_cosine - now * self.step_sine;
        now
    }
}

#[expect(clippy::cast_precision_loss, reason = "2^52 samples are 2900 years")]
fn seconds(samples: u64) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}

#[expect(clippy::cast_precision_loss, reason = "2^52 seconds")]
const fn whole_seconds(seconds: u64) -> f64 {
    seconds as f64
}

#[expect(clippy::cast_possible_truncation, reason = "audio is f32")]
const fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(make: impl Fn(u64, &mut [f32]), first: u64, samples: usize) -> Vec<f32> {
        let mut out = vec![9.0; samples * CHANNELS];
        make(first, &mut out);
        out
    }

    fn rms_db(samples: &[f32]) -> f64 {
        let sum: f64 = samples.iter().map(|v| f64::from(*v).powi(2)).sum();
        let count = f64::from(u32::try_from(samples.len()).unwrap());
        10.0 * (sum / count).log10()
    }

    #[test]
    fn the_beep_begins_and_ends_on_the_exact_sample() {
        for second in [0, 1, 3_600 * 24] {
            let first = second * 48_000;
            let out = render(beep, first, 48_000);
            let loud = |n: usize| {
                out[n * 2].abs() > 0.01 && out[n * 2].to_bits() == out[n * 2 + 1].to_bits()
            };
            // A sine of 48 samples is zero at multiples of 24.
            assert!(out[0].abs() < 1e-6 && loud(1) && loud(12) && loud(4_799), "second {second}");
            assert!(out[9_600..].iter().all(|value| value.to_bits() == 0), "second {second}");
        }
    }

    #[test]
    fn audio_is_the_same_whatever_the_block_size() {
        type Make = fn(u64, &mut [f32]);
        let tone: Make = |first, out| tone(440.0, first, out);
        for make in [tone, beep, bed] {
            let whole = render(make, 47_000, 4_800);
            let mut parts = Vec::new();
            let mut first = 47_000;
            for samples in [240, 480, 1_200, 2_880] {
                parts.extend(render(make, first, samples));
                first += samples as u64;
            }
            let close = whole.iter().zip(&parts).all(|(a, b)| (a - b).abs() < 1e-5);
            assert!(close);
        }
    }

    #[test]
    fn a_tone_has_its_pitch_and_level() {
        let out = render(|first, out| tone(440.0, first, out), 1 << 40, 48_000);
        let crossings = out.chunks(2).map(|pair| pair[0]).collect::<Vec<_>>();
        let rising = crossings.windows(2).filter(|w| w[0] < 0.0 && w[1] >= 0.0).count();
        assert!((439..=441).contains(&rising), "{rising}");
        assert!((rms_db(&out) + 21.0).abs() < 0.1);
    }

    #[test]
    fn a_tone_of_no_sane_pitch_is_still_bounded() {
        for hz in [f32::NAN, f32::INFINITY, -5.0, 1e9] {
            let out = render(|first, out| tone(hz, first, out), 5, 4_800);
            assert!(out.iter().all(|value| value.abs() < 0.13));
        }
    }

    #[test]
    fn the_bed_stays_quiet_through_every_chord_and_never_clicks() {
        let out = render(bed, 0, 48_000 * 45);
        for (second, part) in out.chunks(96_000).enumerate() {
            let level = rms_db(part);
            assert!((-36.0..-26.0).contains(&level), "second {second}: {level} dB");
        }
        let jump = out.chunks(2).zip(out.chunks(2).skip(1)).map(|(a, b)| (a[0] - b[0]).abs());
        assert!(jump.fold(0.0, f32::max) < 0.005);
    }
}
