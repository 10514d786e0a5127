//! Audio resampler: decoded audio as blocks of 48 kHz stereo, by libswresample, cut and timed so
//! that each block begins where the one before it ends.

use std::ops::Range;
use std::ptr::NonNull;

use super::decoded::Decoded;
use super::error::Fault;
use crate::ffi::sys as ffi;
use crate::frame::{AudioBlock, BLOCK_SAMPLES};
use crate::media::{CHANNELS, Micros, SAMPLE_RATE};

/// How far audio may be from its time before it is put there at once, microseconds.
const JUMP_MIN: i64 = 40_000;

/// Within this nothing is corrected: the times of containers are rounded, microseconds.
const STEER_MIN: i64 = 3_000;

/// Most samples added or left out per second to follow a drifting source: 0.5 %, below what is
/// heard as a change of pitch.
const STEER_SAMPLES_MAX: i64 = SAMPLE_RATE as i64 / 200;

/// Longest silence put between two rounds of a file, microseconds; longer ones are a jump.
const SEAM_MAX: i64 = 1_000_000;

/// Most samples of one decoded frame. More is damage.
const FRAME_SAMPLES_MAX: i32 = 1 << 18;

/// Loudness of a single channel in each of two: as it is, where the library would take 3 dB off.
const MONO_VOLUME: f64 = std::f64::consts::SQRT_2;

/// Resamples and cuts one source's audio.
#[derive(Debug)]
pub(super) struct AudioResampler {
    swr: Option<Swr>,
    /// Whether small errors of time are corrected by resampling.
    steer: bool,
    /// Interleaved samples, those before `taken` already given out.
    samples: Vec<f32>,
    taken: usize,
    clock: SampleClock,
    /// From which value of `samples` on another clock is valid.
    jump: Option<(usize, SampleClock)>,
    block: Box<AudioBlock>,
}

/// Counts samples from an instant, so that times never add up rounding errors.
#[derive(Clone, Copy, Debug, Default)]
struct SampleClock {
    /// Microseconds on the node's clock; `None` before the first audio.
    start: Option<i64>,
    /// Samples since then.
    count: i64,
}

impl SampleClock {
    fn now(&self) -> Option<i64> {
        Some(self.start? + self.count * 1_000_000 / i64::from(SAMPLE_RATE))
    }
}

impl AudioResampler {
    pub(super) fn new(steer: bool) -> Self {
        let data = [0.0; BLOCK_SAMPLES * CHANNELS];
        Self {
            swr: None,
            steer,
            samples: Vec::new(),
            taken: 0,
            clock: SampleClock::default(),
            jump: None,
            block: Box::new(AudioBlock { at: Micros(0), samples: 0, data }),
        }
    }

    /// Takes in decoded audio whose first sample is due at `at`, and of that what is due within
    /// `window`. Everything must have been popped before.
    pub(super) fn push(
        &mut self,
        audio: &Decoded,
        at: i64,
        window: Range<i64>,
    ) -> Result<(), Fault> {
        self.samples.drain(..self.taken);
        self.taken = 0;
        let form = Form::of(audio);
        if self.swr.as_ref().is_none_or(|resampler| resampler.form != form) {
            // What the one of the old form holds comes before.
            if let Some(old) = &mut self.swr {
                old.drain(&mut self.samples)?;
            }
            self.swr = None;
            self.swr = Some(Swr::new(audio, form, self.steer)?);
        }
        let Some(resampler) = &mut self.swr else { return Ok(()) };
        // What comes out first is what the resampler still held.
        let at = at - resampler.held_micros();
        let early = window.start.saturating_sub(at).max(0);
        let at = at.saturating_add(early);
        let waiting = self.samples.len();
        match self.end() {
            Some(expected) if (at - expected).abs() <= JUMP_MIN => {
                if self.steer
                    && let Some(resampler) = &mut self.swr
                {
                    resampler.steer(at - expected)?;
                }
            }
            Some(_) | None => {
                let clock = SampleClock { start: Some(at), count: 0 };
                if waiting == 0 {
                    self.clock = clock;
                } else {
                    self.jump = Some((waiting, clock));
                }
            }
        }
        let Some(resampler) = &mut self.swr else { return Ok(()) };
        resampler.run(audio, &mut self.samples)?;
        let early = values(early).min(self.samples.len() - waiting);
        self.samples.drain(waiting..waiting + early);
        let late = self.end().map_or(0, |end| values(end.saturating_sub(window.end)));
        self.samples.truncate(waiting.max(self.samples.len().saturating_sub(late)));
        Ok(())
    }

    /// The next block: a full one, or what there is if a jump comes after it or `rest` is asked
    /// for.
    pub(super) fn pop(&mut self, rest: bool) -> Option<&AudioBlock> {
        let end = self.jump.map_or(self.samples.len(), |(at, _)| at);
        if end == self.taken
            && let Some((_, clock)) = self.jump.take()
        {
            self.clock = clock;
            return self.pop(rest);
        }
        let count = (end - self.taken).min(BLOCK_SAMPLES * CHANNELS);
        let short = count < BLOCK_SAMPLES * CHANNELS;
        if count == 0 || (short && !rest && self.jump.is_none()) {
            return None;
        }
        let at = self.clock.now().unwrap_or(0).max(0);
        self.block.at = Micros(u64::try_from(at).unwrap_or(0));
        self.block.samples = count / CHANNELS;
        self.block.data[..count].copy_from_slice(&self.samples[self.taken..][..count]);
        self.taken += count;
        self.clock.count += i64::try_from(count / CHANNELS).unwrap_or(0);
        Some(&self.block)
    }

    /// When the audio taken in so far ends; `None` before the first.
    pub(super) fn end(&self) -> Option<i64> {
        let (from, clock) = self.jump.unwrap_or((self.taken, self.clock));
        let waiting = i64::try_from((self.samples.len() - from) / CHANNELS).unwrap_or(0);
        SampleClock { count: clock.count + waiting, ..clock }.now()
    }

    /// Fills with silence up to `at`, where the next round of a file begins.
    pub(super) fn seam(&mut self, at: i64) {
        let Some(end) = self.end() else { return };
        let gap = at - end;
        if (1..=SEAM_MAX).contains(&gap) {
            let samples = usize::try_from(gap * i64::from(SAMPLE_RATE) / 1_000_000).unwrap_or(0);
            self.samples.resize(self.samples.len() + samples * CHANNELS, 0.0);
        }
    }

    /// Takes what the resampler still holds, up to `until`: no more will come. Everything must have
    /// been popped before, but for a block that is not full.
    pub(super) fn finish(&mut self, until: i64) -> Result<(), Fault> {
        self.samples.drain(..self.taken);
        self.taken = 0;
        let Some(mut resampler) = self.swr.take() else { return Ok(()) };
        let waiting = self.samples.len();
        resampler.drain(&mut self.samples)?;
        let late = self.end().map_or(0, |end| values(end.saturating_sub(until)));
        self.samples.truncate(waiting.max(self.samples.len().saturating_sub(late)));
        Ok(())
    }

    /// Forgets everything but the memory: the source has ended.
    pub(super) fn reset(&mut self) {
        self.swr = None;
        self.samples.clear();
        self.taken = 0;
        self.clock = SampleClock::default();
        self.jump = None;
    }
}

/// Values of both channels in so many microseconds; none in less than none.
fn values(micros: i64) -> usize {
    let samples = i128::from(micros.max(0)) * i128::from(SAMPLE_RATE) / 1_000_000;
    usize::try_from(samples).unwrap_or(usize::MAX / CHANNELS).saturating_mul(CHANNELS)
}

/// Everything about decoded audio that decides how it is resampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    format: i32,
    rate: i32,
    channels: i32,
    order: ffi::AVChannelOrder,
    mask: u64,
}

impl Form {
    fn of(audio: &Decoded) -> Self {
        let raw = audio.raw();
        let order = raw.ch_layout.order;
        // SAFETY: `mask` is the member in use for the native order; all members are plain numbers
        // or pointers of the same size, so that reading it is defined for any other order, too.
        let mask = unsafe { raw.ch_layout.u.mask };
        let native = order == ffi::AV_CHANNEL_ORDER_NATIVE;
        let mask = if native { mask } else { 0 };
        Self {
            format: raw.format,
            rate: raw.sample_rate,
            channels: raw.ch_layout.nb_channels,
            order,
            mask,
        }
    }
}

/// A resampler from one form to 48 kHz stereo.
#[derive(Debug)]
struct Swr {
    context: NonNull<ffi::SwrContext>,
    form: Form,
    steered: bool,
}

// SAFETY: a resampler may be used from any thread, one at a time, which `&mut self` ensures.
unsafe impl Send for Swr {}

impl Swr {
    fn new(audio: &Decoded, form: Form, steer: bool) -> Result<Self, Fault> {
        if form.channels <= 0 || form.rate <= 0 {
            return Err(Fault::INVALID);
        }
        // SAFETY: all-zero is the valid empty layout.
        let mut stereo: ffi::AVChannelLayout = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let mut source: ffi::AVChannelLayout = unsafe { std::mem::zeroed() };
        let mut context = std::ptr::null_mut();
        // SAFETY: layouts and the context pointer are ours; the frame's layout is only read. A
        // layout without an order gets the usual one for its count. The layouts are freed after
        // the call has copied them.
        let made = unsafe {
            ffi::av_channel_layout_default(&raw mut stereo, 2);
            if form.order == ffi::AV_CHANNEL_ORDER_UNSPEC {
                ffi::av_channel_layout_default(&raw mut source, form.channels);
            } else {
                ffi::av_channel_layout_copy(&raw mut source, &raw const audio.raw().ch_layout);
            }
            let made = ffi::swr_alloc_set_opts2(
                &raw mut context,
                &raw mut stereo,
                ffi::AV_SAMPLE_FMT_FLT,
                SAMPLE_RATE.cast_signed(),
                &raw mut source,
                form.format,
                form.rate,
                0,
                std::ptr::null_mut(),
            );
            ffi::av_channel_layout_uninit(&raw mut source);
            ffi::av_channel_layout_uninit(&raw mut stereo);
            made
        };
        let context = NonNull::new(context).ok_or_else(|| Fault(made.min(-1)))?;
        let resampler = Self { context, form, steered: false };
        Fault::check(made)?;
        let object = context.as_ptr().cast();
        // SAFETY: a resampler of ours that is not running yet; the names are the library's.
        Fault::check(unsafe {
            if steer {
                // Resample even from 48 kHz: only so can it be steered.
                let flag = i64::from(ffi::SWR_FLAG_RESAMPLE);
                ffi::av_opt_set_int(object, c"flags".as_ptr(), flag, 0);
            }
            if form.channels == 1 {
                ffi::av_opt_set_double(object, c"rematrix_volume".as_ptr(), MONO_VOLUME, 0);
            }
            ffi::swr_init(context.as_ptr())
        })?;
        Ok(resampler)
    }

    /// How much audio is inside, microseconds.
    fn held_micros(&self) -> i64 {
        // SAFETY: a running resampler.
        unsafe { ffi::swr_get_delay(self.context.as_ptr(), 1_000_000) }
    }

    /// Makes the coming second longer by `late` microseconds, within reason.
    fn steer(&mut self, late: i64) -> Result<(), Fault> {
        let wanted =
            if late.abs() < STEER_MIN { 0 } else { late * i64::from(SAMPLE_RATE) / 1_000_000 };
        if wanted == 0 && !self.steered {
            return Ok(());
        }
        self.steered = wanted != 0;
        let delta = wanted.clamp(-STEER_SAMPLES_MAX, STEER_SAMPLES_MAX);
        let delta = i32::try_from(delta).unwrap_or(0);
        let context = self.context.as_ptr();
        // SAFETY: a running resampler.
        let answer =
            unsafe { ffi::swr_set_compensation(context, delta, SAMPLE_RATE.cast_signed()) };
        Fault::check(answer).map(drop)
    }

    /// Appends what comes out for `audio`.
    fn run(&mut self, audio: &Decoded, out: &mut Vec<f32>) -> Result<(), Fault> {
        let raw = audio.raw();
        if raw.nb_samples <= 0 || raw.nb_samples > FRAME_SAMPLES_MAX {
            return Err(Fault::INVALID);
        }
        self.convert(Some(audio), out)
    }

    /// Appends what is inside. It is of no more use.
    fn drain(&mut self, out: &mut Vec<f32>) -> Result<(), Fault> {
        self.convert(None, out)
    }

    #[expect(clippy::needless_pass_by_ref_mut, reason = "the library changes what `self` owns")]
    fn convert(&mut self, audio: Option<&Decoded>, out: &mut Vec<f32>) -> Result<(), Fault> {
        let samples = audio.map_or(0, |audio| audio.raw().nb_samples);
        let context = self.context.as_ptr();
        // SAFETY: a running resampler.
        let most = Fault::check(unsafe { ffi::swr_get_out_samples(context, samples) })?;
        let room = usize::try_from(most).map_err(|_| Fault::INVALID)?;
        let before = out.len();
        out.resize(before + room * CHANNELS, 0.0);
        let mut target = out[before..].as_mut_ptr().cast::<u8>();
        let source = audio.map_or(std::ptr::null_mut(), |audio| audio.raw().extended_data);
        // SAFETY: the target has room for `most` stereo samples; the source pointers are those of
        // a decoded frame of the form this resampler was made for, with `nb_samples` each, or null,
        // which has it give what it holds.
        let made =
            unsafe { ffi::swr_convert(context, &raw mut target, most, source.cast(), samples) };
        let made = Fault::check(made).and_then(|n| usize::try_from(n).map_err(|_| Fault::INVALID));
        out.truncate(before + made.unwrap_or(0) * CHANNELS);
        made.map(drop)
    }
}

impl Drop for Swr {
    fn drop(&mut self) {
        let mut context = self.context.as_ptr();
        // SAFETY: owned; freed once.
        unsafe { ffi::swr_free(&raw mut context) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// So many samples of a 500 Hz sine at this rate, from this time of it on, microseconds.
    fn sine(rate: i32, from: i64, samples: i64) -> Decoded {
        let value = |n: i64| {
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let seconds = from as f64 / 1e6 + n as f64 / f64::from(rate);
            #[expect(clippy::cast_possible_truncation, reason = "samples are of that kind")]
            let value = ((TAU * 500.0 * seconds).sin() * 0.5) as f32;
            value
        };
        Decoded::mono(rate, &(0..samples).map(value).collect::<Vec<_>>())
    }

    #[test]
    fn another_sample_rate_leaves_neither_a_gap_nor_a_step() {
        for steer in [false, true] {
            for rates in [[44_100, 48_000], [48_000, 44_100], [32_000, 48_000], [22_050, 44_100]] {
                let (mut resampler, mut heard) = (AudioResampler::new(steer), Vec::new());
                let mut at = 0;
                for n in 0..20 {
                    let rate = rates[usize::from(n >= 10)];
                    let samples = i64::from(rate) / 50;
                    let audio = sine(rate, at, samples);
                    resampler.push(&audio, at, i64::MIN..i64::MAX).unwrap();
                    at += samples * 1_000_000 / i64::from(rate);
                    while let Some(block) = resampler.pop(n == 19) {
                        let pairs = block.data[..block.samples * CHANNELS].chunks(CHANNELS);
                        heard.extend(pairs.map(|pair| pair[0]));
                    }
                }
                assert!(heard.len().abs_diff(19_200) < 100, "{rates:?}: {}", heard.len());
                // A sine of 500 Hz moves by 0.033 from a sample to the next, and is near nothing
                // for less than a millisecond.
                let heard = &heard[200..heard.len() - 200];
                let step = heard.windows(2).map(|two| (two[0] - two[1]).abs()).fold(0.0, f32::max);
                assert!(step < 0.06, "{rates:?}: a step of {step}");
                let quiet = heard.split(|value| value.abs() > 0.2).map(<[f32]>::len).max();
                assert!(quiet < Some(48), "{rates:?}: {quiet:?} samples of silence");
            }
        }
    }
}
