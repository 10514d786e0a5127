//! Joins of files that follow each other without a gap in picture and sound.

use super::track::{State, Track};
use super::{AUDIO, File, Follow, PICTURES, Phase, READS_PER_STEP};
use crate::media::Micros;

/// By how much pictures and audio of a file may differ at its beginning and at its end for that to
/// be rounding and padding, microseconds: what only one of them has there is left out at a join.
/// What differs by more is meant so, and is seen or heard.
const UNEVEN_MAX: i64 = 100_000;

/// What containers round to, microseconds: a frame that says that it is shorter by more is padded.
const ROUNDING: i64 = 1_000;

impl File {
    /// Once it has ended: when what follows it is due, on the node's clock.
    #[must_use]
    pub fn join(&self) -> Micros {
        super::micros(self.join)
    }

    /// What is decoded comes right after something else, which is over at this time on the node's
    /// clock: where its audio begins a little later than its pictures, those are seen for less
    /// long.
    pub fn start_joined(&mut self, at: Micros) {
        let lead = self.tracks[AUDIO].as_ref().filter(|track| track.state == State::Holding);
        let lead = lead.and_then(|track| track.time).map_or(0, |time| time - self.origin);
        let lead = if (1..=UNEVEN_MAX).contains(&lead) { lead } else { 0 };
        let joins = i64::try_from(at.0).unwrap_or(0);
        self.start_at(super::micros(joins.saturating_sub(lead)));
        self.not_before = joins;
    }

    /// Whether decoded audio waits until pictures have come so far: only then is it known whether
    /// the pictures end within it.
    pub(super) fn holds_back(&mut self, kind: usize) -> bool {
        let has_pictures =
            self.tracks[PICTURES].as_ref().is_some_and(|track| track.state != State::Done);
        if kind != AUDIO || self.follow != Follow::AnotherFile {
            return false;
        }
        self.look_behind_padding();
        if !has_pictures {
            return false;
        }
        let (base, origin) = (self.base, self.origin);
        let Some(track) = &mut self.tracks[AUDIO] else { return false };
        let Some(time) = track.time else { return false };
        let at = base.saturating_add(time.saturating_sub(origin));
        track.position = at.saturating_add(track.decoder.frame().audio_micros());
        true
    }

    /// Reads on if the decoded audio is padded, until it is known whether more follows.
    fn look_behind_padding(&mut self) {
        for _ in 0..READS_PER_STEP {
            let Some(track) = &self.tracks[AUDIO] else { return };
            let is_known = self.phase == Phase::Read || !track.queue.is_empty();
            if is_known || unpadded(track).is_none() {
                return;
            }
            self.read_one();
        }
    }

    /// Takes what the resampler still has of the audio, where another file follows.
    pub(super) fn finish_audio(&mut self) {
        if self.follow == Follow::AnotherFile {
            let until = self.audio_until();
            // What cannot be had is less than a millisecond.
            let _short = self.resampler.finish(until);
        }
    }

    /// Until when audio is heard, microseconds on the node's clock: of what is decoded now.
    pub(super) fn audio_until(&self) -> i64 {
        let until = self.clock_of(self.range.1);
        if self.follow != Follow::AnotherFile {
            return until;
        }
        let padded = self.tracks[AUDIO].as_ref().and_then(|track| self.without_padding(track));
        let pictures = self.pictures_end().filter(|end| {
            let packets_end = self.tracks[AUDIO].as_ref().map_or(0, |track| track.packets_end);
            let audio = self.clock_of(packets_end.saturating_sub(self.reader.start()));
            (0..=UNEVEN_MAX).contains(&(audio.saturating_sub(*end)))
        });
        until.min(padded.unwrap_or(i64::MAX)).min(pictures.unwrap_or(i64::MAX))
    }

    /// Where the last frame of audio ends that is longer than what was encoded: encoders fill it.
    fn without_padding(&self, track: &Track) -> Option<i64> {
        let is_last = self.phase == Phase::Read && track.queue.is_empty();
        let said = unpadded(track).filter(|_| is_last)?;
        Some(self.clock_of(track.time?).saturating_add(said))
    }

    /// When the pictures are over, if all of them have been handed on.
    fn pictures_end(&self) -> Option<i64> {
        let track = self.tracks[PICTURES].as_ref().filter(|track| track.state == State::Done)?;
        let end = self.clock_of(track.packets_end.saturating_sub(self.reader.start()));
        Some(track.position.max(end).min(self.clock_of(self.range.1)))
    }

    /// When what follows is due, if the pictures are over at one time and all is at another: with
    /// the end of the audio, if that lies a little before that of the pictures.
    pub(super) fn join_of(&self, pictures: i64, end: i64) -> i64 {
        let audio = self
            .resampler
            .end()
            .filter(|_| self.follow == Follow::AnotherFile && self.has_pictures());
        let is_near = |audio: &i64| (0..=UNEVEN_MAX).contains(&(pictures - audio));
        audio.filter(is_near).unwrap_or(end)
    }
}

/// How long the decoded frame of audio is by what its packet said, microseconds, if that is less
/// than there is in it.
fn unpadded(track: &Track) -> Option<i64> {
    let frame = track.decoder.frame();
    let said = track.units.micros(frame.duration()?);
    (said > 0 && said + ROUNDING < frame.audio_micros()).then_some(said)
}
