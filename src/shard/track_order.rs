//! Track order: the messages of several encoders, each a video track of one stream, by their times;
//! one that is late does not hold the others.

use crate::command::Encoded;
use crate::media::Kind;
use crate::ring::Receiver;
use crate::stream::Message;

/// Messages of a track that may wait for another one's of the same time, about a second. The other
/// is late then: it is waited for again once it is there at the time of the newest.
const WAITING_MAX: usize = 32;

/// What is known of the tracks of one stream.
#[derive(Debug)]
pub(super) struct TrackOrder {
    tracks: Vec<Track>,
    /// Newest time of all, milliseconds modulo 2^32.
    newest: Option<u32>,
}

/// What has come of a track.
#[derive(Clone, Copy, Debug, Default)]
struct Track {
    newest: Option<u32>,
    /// From the message before to the newest, milliseconds.
    step: u32,
    is_late: bool,
}

impl Track {
    /// Whether it may still have a message that comes before this time.
    fn may_precede(&self, time: u32) -> bool {
        let next = self.newest.map(|newest| newest.wrapping_add(self.step));
        // Times are rounded to milliseconds.
        next.is_none_or(|next| next.wrapping_sub(time).cast_signed() <= 1)
    }

    /// Whether this message waits for the track, whose ring this is.
    fn is_awaited(&self, ring: &Receiver<Encoded>, message: &Message) -> bool {
        let is_away = ring.is_empty() && !ring.is_closed() && !self.is_late;
        is_away && self.may_precede(message.time())
    }
}

impl TrackOrder {
    /// Of so many tracks.
    pub(super) fn new(tracks: usize) -> Self {
        Self { tracks: vec![Track::default(); tracks], newest: None }
    }

    /// The track whose message comes next: the one of the least time, unless one of which nothing
    /// is there yet may have an earlier one. Headers and data wait for nobody.
    pub(super) fn next<'a>(&self, rings: impl Rings<'a>) -> Option<usize> {
        let heads = rings.clone().enumerate();
        let heads = heads.filter_map(|(at, ring)| Some((at, ring, &ring.peek()?.message)));
        let since = |message: &Message| match self.newest {
            Some(newest) if is_ordered(message) => {
                message.time().wrapping_sub(newest).cast_signed()
            }
            _ => i32::MIN,
        };
        let (at, ring, first) = heads.min_by_key(|(at, _, message)| (since(message), *at))?;
        let waits = || rings.zip(&self.tracks).any(|(ring, track)| track.is_awaited(ring, first));
        let goes = !is_ordered(first) || ring.len() > WAITING_MAX || !waits();
        goes.then_some(at)
    }

    /// This message of a track was the next one; `rings` hold what is left.
    pub(super) fn taken<'a>(&mut self, track: usize, message: &Message, rings: impl Rings<'a>) {
        if !is_ordered(message) {
            return;
        }
        let time = message.time();
        let is_behind = |newest: u32| time.wrapping_sub(newest).cast_signed() < 0;
        let is_late = self.newest.is_some_and(is_behind);
        if !is_late {
            self.newest = Some(time);
        }
        for ((at, own), ring) in self.tracks.iter_mut().enumerate().zip(rings) {
            if at == track {
                let step = own.newest.map_or(0, |newest| time.wrapping_sub(newest));
                *own = Track { newest: Some(time), step, is_late };
            } else {
                own.is_late |= own.is_awaited(ring, message);
            }
        }
    }
}

/// Whether it has a place among the pictures of all tracks.
fn is_ordered(message: &Message) -> bool {
    !message.is_header() && message.kind() != Kind::Data
}

/// The rings of a stream's tracks, track 0 first.
pub(super) trait Rings<'a>: Iterator<Item = &'a Receiver<Encoded>> + Clone {}

impl<'a, T: Iterator<Item = &'a Receiver<Encoded>> + Clone> Rings<'a> for T {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PacketBuf;
    use crate::ring::{Bell, Sender, channel};
    use crate::stream::Flags;

    /// Two tracks and what comes out of them.
    struct Bench {
        order: TrackOrder,
        senders: Vec<Option<Sender<Encoded>>>,
        rings: Vec<Receiver<Encoded>>,
    }

    impl Bench {
        fn new() -> Self {
            let rings = [(); 2].map(|()| channel(2 * WAITING_MAX, Bell::new()));
            let (senders, rings) = rings.into_iter().map(|(to, from)| (Some(to), from)).unzip();
            Self { order: TrackOrder::new(2), senders, rings }
        }

        fn push(&mut self, track: usize, flags: Flags, time: u32) {
            self.push_of(Kind::Video, track, flags, time);
        }

        fn push_of(&mut self, kind: Kind, track: usize, flags: Flags, time: u32) {
            let body = PacketBuf::copy_of(&[0]);
            let message = Message::new(kind, time, flags, body, 4_096);
            let sender = self.senders[track].as_mut().unwrap();
            let (due, stamps) = Default::default();
            sender.push(Encoded { message, due, stamps }).unwrap();
        }

        fn pictures(&mut self, track: usize, times: impl IntoIterator<Item = u32>) {
            times.into_iter().for_each(|time| self.push(track, Flags::default(), time));
        }

        /// Tracks and times of all that need not wait.
        fn out(&mut self) -> Vec<(usize, u32)> {
            let mut out = Vec::new();
            while let Some(track) = self.order.next(self.rings.iter()) {
                let message = self.rings[track].pop().unwrap().message;
                self.order.taken(track, &message, self.rings.iter());
                out.push((track, message.time()));
            }
            out
        }
    }

    #[test]
    fn pictures_of_one_time_come_track_by_track_and_none_before_an_earlier_one() {
        let mut bench = Bench::new();
        for track in [1, 0] {
            bench.push(track, Flags::HEADER, 0);
        }
        assert_eq!(bench.out(), [(0, 0), (1, 0)], "headers wait for nobody");
        bench.pictures(1, [0, 33]);
        assert_eq!(bench.out(), [], "track 0 is not there yet");
        bench.pictures(0, [0, 33, 67]);
        assert_eq!(bench.out(), [(0, 0), (1, 0), (0, 33), (1, 33)], "67 waits for track 1");
        bench.pictures(1, [67]);
        assert_eq!(bench.out(), [(0, 67), (1, 67)]);
    }

    #[test]
    fn data_goes_before_its_picture_and_is_no_step_of_its_track() {
        let mut bench = Bench::new();
        bench.pictures(0, [0, 33]);
        bench.pictures(1, [0, 33]);
        bench.out();
        bench.push_of(Kind::Data, 0, Flags::default(), 67);
        assert_eq!(bench.out(), [(0, 67)], "it waits for nobody");
        bench.pictures(0, [67]);
        bench.pictures(1, [67]);
        assert_eq!(bench.out(), [(0, 67), (1, 67)]);
        bench.pictures(1, [99]);
        assert_eq!(bench.out(), [(1, 99)], "track 0 has its next at 100");
    }

    #[test]
    fn a_track_of_half_the_rate_is_waited_for_every_second_time() {
        let mut bench = Bench::new();
        bench.pictures(0, [0, 33, 67]);
        bench.pictures(1, [0, 67]);
        bench.out();
        bench.pictures(0, [100]);
        assert_eq!(bench.out(), [(0, 100)], "the other one has its next at 134");
        bench.pictures(0, [133]);
        assert_eq!(bench.out(), []);
        bench.pictures(1, [133]);
        assert_eq!(bench.out(), [(0, 133), (1, 133)]);
    }

    #[test]
    fn a_track_that_is_late_is_waited_for_once_and_one_that_has_ended_never() {
        let mut bench = Bench::new();
        bench.pictures(0, [0, 33]);
        bench.pictures(1, [0, 33]);
        bench.out();
        let many = u32::try_from(WAITING_MAX).unwrap();
        let times: Vec<_> = (2..2 + many).map(|tick| tick * 33).collect();
        bench.pictures(0, times);
        assert_eq!(bench.out(), []);
        bench.pictures(0, [(2 + many) * 33]);
        assert_eq!(bench.out().len(), WAITING_MAX + 1, "all of them");
        bench.pictures(0, [(3 + many) * 33]);
        assert_eq!(bench.out().len(), 1, "it is not waited for again");
        bench.pictures(1, (2..=4 + many).map(|tick| tick * 33));
        assert_eq!(bench.out().len(), WAITING_MAX + 2, "it has caught up, and is ahead by one");
        bench.pictures(0, [(4 + many) * 33, (5 + many) * 33]);
        let last = (4 + many) * 33;
        assert_eq!(bench.out(), [(0, last), (1, last)], "and it is waited for as before");
        bench.senders[1] = None;
        assert_eq!(bench.out(), [(0, (5 + many) * 33)]);
    }

    #[test]
    fn times_may_wrap() {
        let mut bench = Bench::new();
        for track in [0, 1] {
            bench.pictures(track, [u32::MAX - 20, 12, 45]);
        }
        let times: Vec<_> = bench.out().into_iter().map(|(_, time)| time).collect();
        assert_eq!(times, [u32::MAX - 20, u32::MAX - 20, 12, 12, 45, 45]);
    }
}
