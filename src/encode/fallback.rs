//! Fall-back in mid-stream: an encoder with others behind it. When it fails, the next one encodes
//! the very picture that it failed at; later it is tried again, and comes back at a keyframe.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread::Builder;

use super::backend::ZERO_LATENCY;
use super::select::{Candidate, candidates, select_at};
use super::{Error, VideoEncoder, VideoSink, VideoSpec};
use crate::frame::{FrozenFrame, PacketPool};
use crate::media::{Micros, Size};

/// Failures in a row after which the channel gives up: none of its encoders works.
const FAILURES_MAX: u32 = 5;

/// Time without a failure after which earlier ones are forgotten.
const STEADY: Micros = Micros::from_secs(60);

/// Time from a failure until the better encoder is tried again. A driver needs seconds to come back
/// from a reset of its GPU.
const RETRY_FIRST: Micros = Micros::from_secs(10);

/// The longest such time: it doubles with each failure that follows within [`STEADY`].
const RETRY_MAX: Micros = Micros::from_secs(640);

/// Why another encoder encodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeReason {
    /// The one before failed.
    Failed,
    /// A better one works again.
    Recovered,
}

impl ChangeReason {
    /// The value of the label in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Recovered => "recovered",
        }
    }
}

/// Another encoder encodes from the next picture on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderChange {
    /// Name of the one before.
    pub from: &'static str,
    /// Name of the one since.
    pub to: &'static str,
    /// Why.
    pub reason: ChangeReason,
    /// What the one before failed with; empty if it did not.
    pub text: String,
}

/// Takes what encoders make, one after the other.
pub trait EncoderSink: VideoSink {
    /// Another encoder was opened: its packets go with its header.
    fn changed(&mut self, change: &EncoderChange, encoder: &dyn VideoEncoder);
}

/// A picture, and how it is to be encoded.
#[derive(Debug)]
pub struct Picture {
    /// The picture.
    pub frame: FrozenFrame,
    /// Its tick.
    pub pts: i64,
    /// Whether it must be a keyframe.
    pub force_key: bool,
}

/// The encoder of a channel, and those behind it.
pub struct FallbackEncoder {
    spec: VideoSpec,
    packets: PacketPool,
    candidates: Vec<Candidate>,
    /// Place of the one that encodes among them.
    at: usize,
    encoder: Box<dyn VideoEncoder>,
    /// Whether it stands in for one that had no delay, and has none either.
    is_low_delay: bool,
    failures: u32,
    failed: Option<Micros>,
    retry: Retry,
}

impl FallbackEncoder {
    /// Opens the best encoder there is for `spec`. Call it on the thread that will encode.
    ///
    /// # Errors
    /// As [`super::open_video`].
    pub fn open(spec: &VideoSpec, packets: &PacketPool) -> Result<Self, Error> {
        Self::open_of(candidates(spec), spec, packets)
    }

    /// The same among these, best first.
    pub(super) fn open_of(
        candidates: Vec<Candidate>,
        spec: &VideoSpec,
        packets: &PacketPool,
    ) -> Result<Self, Error> {
        let (at, encoder) = select_at(&candidates, spec, packets)?;
        Ok(Self {
            spec: spec.clone(),
            packets: packets.clone(),
            candidates,
            at,
            encoder,
            is_low_delay: false,
            failures: 0,
            failed: None,
            retry: Retry::default(),
        })
    }

    /// The one that encodes.
    #[must_use]
    pub fn encoder(&self) -> &dyn VideoEncoder {
        &*self.encoder
    }

    /// The same, to be changed.
    pub fn encoder_mut(&mut self) -> &mut dyn VideoEncoder {
        &mut *self.encoder
    }

    /// Encodes a picture at `now`, by another encoder if it must be. Whether it was another one
    /// than the picture before: it is a keyframe then.
    ///
    /// # Errors
    /// [`Error::Device`] if encoders failed again and again; else as [`VideoEncoder::encode`].
    pub fn encode(
        &mut self,
        picture: &Picture,
        now: Micros,
        out: &mut dyn EncoderSink,
    ) -> Result<bool, Error> {
        let mut is_other = picture.force_key && self.come_back(now, out);
        loop {
            // One more reference, for the encoder after this one.
            let frame = picture.frame.share();
            match self.encoder.encode(frame, picture.pts, picture.force_key, out) {
                Ok(()) => return Ok(is_other),
                Err(Error::Device(text)) => self.fall_back(text, now, out)?,
                Err(error) => return Err(error),
            }
            is_other = true;
        }
    }

    /// Encodes pictures of this size from the next one on, which is a keyframe, by the best encoder
    /// that makes them; what the one before still holds is emitted.
    ///
    /// # Errors
    /// As [`super::open_video`]: it goes on as it was.
    pub fn resize(
        &mut self,
        size: Size,
        now: Micros,
        out: &mut dyn VideoSink,
    ) -> Result<(), Error> {
        let spec = VideoSpec { size, ..self.spec.clone() };
        // A better one that has failed is not tried before its time.
        let present = self.candidates.get(self.at..).unwrap_or_default();
        let wanted = if self.is_low_delay { low_delay(&spec) } else { spec.clone() };
        let (behind, encoder) = select_at(present, &wanted, &self.packets)?;
        if let Err(error) = self.encoder.flush(out) {
            tracing::warn!("the last pictures of {} are lost: {error}", self.name());
        }
        (self.spec, self.at, self.encoder) = (spec, self.at + behind, encoder);
        if behind > 0 {
            self.retry.failed(now);
        }
        Ok(())
    }

    /// Whether the one that encodes takes its time from the CPU.
    #[must_use]
    pub fn is_software(&self) -> bool {
        self.candidates.get(self.at).is_some_and(|candidate| candidate.check.is_none())
    }

    /// Emits what the encoder still holds.
    ///
    /// # Errors
    /// As [`VideoEncoder::flush`].
    pub fn flush(&mut self, out: &mut dyn VideoSink) -> Result<(), Error> {
        self.encoder.flush(out)
    }

    fn name(&self) -> &'static str {
        self.candidates.get(self.at).map_or("", |candidate| candidate.name)
    }

    /// The next encoder that opens, or the same one anew if there is none.
    fn fall_back(
        &mut self,
        text: String,
        now: Micros,
        out: &mut dyn EncoderSink,
    ) -> Result<(), Error> {
        let is_new = self.failed.is_none_or(|failed| now.since(failed) >= STEADY);
        self.failures = if is_new { 1 } else { self.failures + 1 };
        self.failed = Some(now);
        if self.failures > FAILURES_MAX {
            return Err(Error::Device(text));
        }
        let (from, failed) = (self.name(), self.at);
        let behind = self.candidates.get(failed + 1..).unwrap_or_default();
        let is_low_delay = self.is_low_delay || self.encoder.delay_frames() == 0;
        let wanted = if is_low_delay { low_delay(&self.spec) } else { self.spec.clone() };
        let opened = select_at(behind, &wanted, &self.packets)
            .map(|(at, encoder)| (failed + 1 + at, encoder))
            .or_else(|_| self.open_at(failed))?;
        (self.at, self.encoder) = opened;
        if self.at != failed {
            self.is_low_delay = is_low_delay;
            self.retry.failed(now);
        }
        let change = EncoderChange { from, to: self.name(), reason: ChangeReason::Failed, text };
        out.changed(&change, &*self.encoder);
        Ok(())
    }

    fn open_at(&self, at: usize) -> Result<(usize, Box<dyn VideoEncoder>), Error> {
        let one = self.candidates.get(at..=at).unwrap_or_default();
        select_at(one, &self.spec, &self.packets).map(|(_, encoder)| (at, encoder))
    }

    /// Whether a better encoder is back, and encodes from here on.
    fn come_back(&mut self, now: Micros, out: &mut dyn EncoderSink) -> bool {
        let better = self.candidates.get(..self.at).unwrap_or_default();
        if better.is_empty() || !self.retry.is_passed(better, now) {
            return false;
        }
        let Ok((at, encoder)) = select_at(better, &self.spec, &self.packets) else {
            self.retry.again(now);
            return false;
        };
        // What it holds belongs before the next picture.
        if let Err(error) = self.encoder.flush(out) {
            tracing::warn!("the last pictures of {} are lost: {error}", self.name());
        }
        let from = self.name();
        (self.at, self.encoder, self.is_low_delay) = (at, encoder, false);
        self.retry.recovered(now);
        let reason = ChangeReason::Recovered;
        let change = EncoderChange { from, to: self.name(), reason, text: String::new() };
        out.changed(&change, &*self.encoder);
        true
    }
}

/// The same without pictures that the encoder holds back: viewers of one that held none would wait
/// for them, with nothing to show. Only where nobody asked for another tuning.
fn low_delay(spec: &VideoSpec) -> VideoSpec {
    match spec.tune.as_str() {
        "" => VideoSpec { tune: ZERO_LATENCY.to_owned(), b_frames: 0, ..spec.clone() },
        _ => spec.clone(),
    }
}

/// When better encoders are tried again.
#[derive(Debug, Default)]
struct Retry {
    /// The pause before the next trial; zero while nothing has failed.
    pause: Micros,
    due: Option<Micros>,
    recovered: Option<Micros>,
    /// The check that runs beside the encoder, and says in the end whether it was passed.
    check: Option<Receiver<bool>>,
}

impl Retry {
    /// A better one than the present has failed.
    fn failed(&mut self, now: Micros) {
        let is_new = self.recovered.is_none_or(|recovered| now.since(recovered) >= STEADY);
        if is_new {
            self.pause = Micros(0);
        }
        self.again(now);
    }

    /// Later, and twice as much so as the last time.
    fn again(&mut self, now: Micros) {
        self.pause = Micros(self.pause.0 * 2).clamp(RETRY_FIRST, RETRY_MAX);
        self.due = Some(now + self.pause);
        self.check = None;
    }

    fn recovered(&mut self, now: Micros) {
        (self.due, self.check, self.recovered) = (None, None, Some(now));
    }

    /// Whether one of the better encoders may be opened now. What may take long or crash is tried
    /// out beside this thread first.
    fn is_passed(&mut self, better: &[Candidate], now: Micros) -> bool {
        if self.due.is_none_or(|due| now < due) {
            return false;
        }
        let Some(check) = &self.check else {
            self.check = begin_checks(better);
            return false;
        };
        match check.try_recv() {
            Ok(true) => true,
            Err(TryRecvError::Empty) => false,
            Ok(false) | Err(TryRecvError::Disconnected) => {
                self.again(now);
                false
            }
        }
    }
}

/// Starts the checks of all of them on a thread; `None` if there is no thread.
fn begin_checks(better: &[Candidate]) -> Option<Receiver<bool>> {
    let checks: Vec<_> = better.iter().map(|candidate| candidate.check).collect();
    let (tell, told) = sync_channel(1);
    let run = move || {
        let is_passed = checks.into_iter().any(|check| check.is_none_or(|check| check().is_ok()));
        // Whoever asked may have ended meanwhile.
        let _told = tell.try_send(is_passed);
    };
    Builder::new().name("encoder-check".to_owned()).spawn(run).ok().map(|_| told)
}

#[cfg(test)]
mod tests;
