//! Waiting room of live inputs: what has come of them and is not to be decoded yet.

use std::collections::VecDeque;

use crate::decode::DecodeSink;
use crate::ffi::log_subject;
use crate::media::Micros;

/// Messages of one kind that may wait for the other kind: more than ten seconds. Beyond that the
/// oldest is decoded at once.
const WAITING_MAX: usize = 1_024;

/// Pictures that are to be decoded for longer than this are left out up to the newest keyframe that
/// waits: the decoder is too slow for them.
const LATE_MAX: Micros = Micros::from_secs(1);

/// What decodes messages, each at its time.
pub(super) trait Decodes {
    /// A message.
    type Item;

    /// From when on it is to be decoded; `None` for a header, which is decoded at once.
    fn decode_at(&self, item: &Self::Item) -> Option<Micros>;

    /// Whether a picture can be decoded without those before it.
    fn is_key(&self, item: &Self::Item) -> bool;

    /// Decodes it.
    fn decode(&mut self, item: Self::Item, out: &mut dyn DecodeSink);
}

/// Messages that have come and are not to be decoded yet.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    audio: VecDeque<T>,
    pictures: VecDeque<T>,
    /// Pictures that were left out.
    skipped: u64,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { audio: VecDeque::new(), pictures: VecDeque::new(), skipped: 0 }
    }
}

impl<T> Waiting<T> {
    pub(super) fn add(&mut self, is_video: bool, item: T) {
        match is_video {
            true => self.pictures.push_back(item),
            false => self.audio.push_back(item),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.audio.is_empty() && self.pictures.is_empty()
    }

    /// Whether nothing is to be added before something is decoded.
    pub(super) fn is_crowded(&self) -> bool {
        self.audio.len().max(self.pictures.len()) > WAITING_MAX
    }

    /// The newest message of the kind of which more waits.
    pub(super) fn newest(&self) -> Option<&T> {
        match self.pictures.len() >= self.audio.len() {
            true => self.pictures.back(),
            false => self.audio.back(),
        }
    }

    /// Pictures that were left out because the decoder is too slow, since the last call.
    pub(super) const fn take_skipped(&mut self) -> u64 {
        std::mem::replace(&mut self.skipped, 0)
    }

    /// Decodes the audio that is due at `now`, and one picture: it may take long, and what has come
    /// meanwhile is to be taken in before the next. Says when there will be more to do.
    pub(super) fn decode(
        &mut self,
        decoder: &mut impl Decodes<Item = T>,
        now: Micros,
        out: &mut dyn DecodeSink,
    ) -> Option<Micros> {
        while due(&self.audio, decoder, now).is_some_and(|at| at <= now)
            && let Some(item) = self.audio.pop_front()
        {
            decoder.decode(item, out);
        }
        if due(&self.pictures, decoder, now).is_some_and(|at| at <= now) {
            self.skip(decoder, now);
            if let Some(item) = self.pictures.pop_front() {
                decoder.decode(item, out);
            }
        }
        let next = [&self.audio, &self.pictures].map(|queue| due(queue, decoder, now));
        next.into_iter().flatten().min()
    }

    /// Leaves out the pictures before the newest keyframe, if they are too late.
    fn skip(&mut self, decoder: &impl Decodes<Item = T>, now: Micros) {
        let is_late = |item| decoder.decode_at(item).is_some_and(|at| now.since(at) > LATE_MAX);
        if !self.pictures.front().is_some_and(is_late) {
            return;
        }
        let late = self
            .pictures
            .iter()
            .take_while(|item| decoder.decode_at(item).is_none_or(|at| at <= now));
        let keys = late.enumerate().filter(|(_, item)| decoder.is_key(item));
        let Some((key, _)) = keys.last() else { return };
        let before = self.pictures.drain(..key);
        let (headers, skipped): (Vec<_>, Vec<_>) =
            before.partition(|item| decoder.decode_at(item).is_none());
        self.skipped += skipped.len() as u64;
        headers.into_iter().rev().for_each(|header| self.pictures.push_front(header));
    }
}

/// Times within [`SLOW_WINDOW`] that pictures are left out before a decoder is called too slow:
/// after a break of the network, too, some come too late.
const SLOW_SPELLS: u32 = 10;

/// A minute.
const SLOW_WINDOW: Micros = Micros::from_secs(60);

/// Log of a decoder that is too slow for its source, which is told once.
#[derive(Debug, Default)]
pub(super) struct SlowDecoder {
    since: Micros,
    spells: u32,
    is_told: bool,
}

impl SlowDecoder {
    /// So many pictures have been left out now.
    pub(super) fn note(&mut self, skipped: u64, now: Micros) {
        if self.is_slow(skipped, now) && !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(
                "{}: it cannot be decoded in time, so that pictures of it are left out; have it \
                 sent smaller or at a lower rate, or give decoders more cores",
                log_subject()
            );
        }
    }

    fn is_slow(&mut self, skipped: u64, now: Micros) -> bool {
        if skipped == 0 {
            return false;
        }
        if now.since(self.since) > SLOW_WINDOW {
            (self.since, self.spells) = (now, 0);
        }
        self.spells += 1;
        self.spells >= SLOW_SPELLS
    }
}

/// When the first message of a queue is to be decoded; `None` if there is none. After a jump back
/// of the source's clock what was before it seems due much later than what came after it, but is to
/// be decoded before that.
fn due<T>(queue: &VecDeque<T>, decoder: &impl Decodes<Item = T>, now: Micros) -> Option<Micros> {
    let at = |item| decoder.decode_at(item).unwrap_or(now);
    let (first, last) = (queue.front()?, queue.back()?);
    Some(if queue.len() > WAITING_MAX { now } else { at(first).min(at(last)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages are times in milliseconds; keyframes those of whole seconds, headers those below 0.
    #[derive(Default)]
    struct Bench {
        offset: i64,
        decoded: Vec<i64>,
    }

    impl Decodes for Bench {
        type Item = i64;

        fn decode_at(&self, item: &i64) -> Option<Micros> {
            let at = u64::try_from((item + self.offset).max(0)).unwrap();
            (*item >= 0).then(|| Micros::from_millis(at))
        }

        fn is_key(&self, item: &i64) -> bool {
            *item >= 0 && item % 1_000 == 0
        }

        fn decode(&mut self, item: i64, _: &mut dyn DecodeSink) {
            self.decoded.push(item);
        }
    }

    struct Nobody;

    impl DecodeSink for Nobody {
        fn picture(&mut self, _: crate::frame::PictureEvent) {}
        fn audio(&mut self, _: &crate::frame::AudioBlock) {}
    }

    fn waiting(audio: &[i64], pictures: &[i64]) -> Waiting<i64> {
        let mut waiting = Waiting::default();
        audio.iter().for_each(|item| waiting.add(false, *item));
        pictures.iter().for_each(|item| waiting.add(true, *item));
        waiting
    }

    fn step(waiting: &mut Waiting<i64>, bench: &mut Bench, ms: u64) -> Option<u64> {
        let next = waiting.decode(bench, Micros::from_millis(ms), &mut Nobody);
        next.map(|next| next.millis())
    }

    #[test]
    fn all_audio_that_is_due_is_decoded_before_each_picture() {
        let mut waiting = waiting(&[0, 20, 40, 900], &[0, 33, 66, 800]);
        let mut bench = Bench::default();
        assert_eq!(step(&mut waiting, &mut bench, 50), Some(33));
        assert_eq!(bench.decoded, [0, 20, 40, 0]);
        assert_eq!(step(&mut waiting, &mut bench, 50), Some(66));
        assert_eq!(step(&mut waiting, &mut bench, 60), Some(66));
        assert_eq!(bench.decoded, [0, 20, 40, 0, 33]);
    }

    #[test]
    fn pictures_that_are_too_late_are_left_out_up_to_the_newest_keyframe_but_no_header() {
        let mut pictures: Vec<_> = (0..125).map(|n| n * 40).collect();
        pictures.insert(10, -1);
        let mut waiting = waiting(&[], &pictures);
        let mut bench = Bench::default();
        step(&mut waiting, &mut bench, 1_000);
        assert_eq!((bench.decoded.clone(), waiting.take_skipped()), (vec![0], 0), "not so late");
        for _ in 0..3 {
            step(&mut waiting, &mut bench, 3_500);
        }
        assert_eq!(bench.decoded, [0, -1, 3_000, 3_040]);
        assert_eq!((waiting.take_skipped(), waiting.take_skipped()), (74, 0));
    }

    #[test]
    fn what_waits_from_before_a_jump_back_of_the_clock_keeps_nothing_waiting() {
        let mut waiting = waiting(&[7_020, 7_040], &[7_020, 7_040]);
        let mut bench = Bench::default();
        assert_eq!(step(&mut waiting, &mut bench, 7_000), Some(7_020));
        [true, false].iter().for_each(|is_video| waiting.add(*is_video, 1_000));
        for _ in 0..3 {
            step(&mut waiting, &mut bench, 7_000);
        }
        assert_eq!(bench.decoded, [7_020, 7_040, 1_000, 7_020, 7_040, 1_000]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn a_decoder_is_slow_once_pictures_were_left_out_again_and_again() {
        let mut slow = SlowDecoder::default();
        let told: Vec<_> = (0..30).map(|n| slow.is_slow(5, Micros::from_secs(n * 10))).collect();
        assert!(!told.contains(&true), "a break now and then");
        let told: Vec<_> = (0..10).map(|n| slow.is_slow(5, Micros::from_secs(400 + n))).collect();
        assert_eq!(told.iter().filter(|is_slow| **is_slow).count(), 1);
        assert!(!slow.is_slow(0, Micros::from_secs(410)));
    }

    #[test]
    fn of_too_many_the_oldest_are_decoded_before_their_time() {
        let later: Vec<_> = (0..=1_024).map(|n| 60_000 + n).collect();
        let mut waiting = waiting(&later, &[]);
        assert!(waiting.is_crowded());
        let mut bench = Bench::default();
        assert_eq!(step(&mut waiting, &mut bench, 0), Some(60_001));
        assert_eq!(bench.decoded, [60_000]);
        assert!(!waiting.is_crowded());
    }
}
