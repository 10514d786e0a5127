//! Network inputs: for each a thread that reads another server's stream, and one that decodes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::decode::{DecodeOut, Retry};
use super::waiting::{Decodes, SlowDecoder, Waiting};
use crate::decode::{
    Backlog, DecodeSink, GiveUp, NetworkDecoder, NetworkError, NetworkPacket, NetworkSource,
    NetworkStreams,
};
use crate::media::{Kind, Micros};
use crate::ring::{Bell, Receiver, Sender};
use crate::runtime::Clock;

/// Packets that may wait between the two threads.
pub const NETWORK_QUEUE: usize = 256;

/// How long a server may take until there is something to decode.
const OPEN_TIME: Micros = Micros::from_secs(10);

/// How long nothing may come of a source that sends as it is made. Its picture stands meanwhile.
const SILENCE_MAX: Micros = Micros::from_secs(5);

/// The same where whole pieces come at once, of which each may be this long.
const BURSTY_SILENCE_MAX: Micros = Micros::from_secs(30);

/// Time between tries to reach a server: it doubles from the first to the longest.
const RETRY_FIRST: Micros = Micros::from_millis(500);
const RETRY_MAX: Micros = Micros::from_secs(8);

/// What has lasted so long was well: the next try after it comes soon again.
const STEADY: Micros = Micros::from_secs(10);

/// How far ahead of its time anything is taken from a source that can be read faster than it is
/// shown. What is further ahead stays with its server.
const AHEAD_MAX: Micros = Micros::from_secs(8);

/// How long either thread sleeps when there is nothing to do or no room.
const FULL: Duration = Duration::from_millis(5);
const IDLE: Duration = Duration::from_millis(500);

/// How often whoever waits to try again looks whether that is still wanted.
const LOOK: Duration = Duration::from_millis(100);

/// What the reading thread tells the decoding one.
#[derive(Debug)]
pub enum NetworkEvent {
    /// A source is open; what comes is for these decoders.
    Opened(NetworkStreams),
    /// A packet, and when it came.
    Packet(NetworkPacket, Micros),
    /// The source has broken off.
    Ended,
}

/// What becomes of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkChange {
    /// It is open: codecs and sizes.
    Connected(String),
    /// It cannot be opened, or has broken off; told once until it is open again.
    Lost(String),
}

/// Until when the reading thread may wait for its server, and whether anybody waits for it.
#[derive(Debug, Default)]
pub struct ReadLimit {
    is_over: AtomicBool,
    /// Whether the source is to be opened anew.
    is_stale: AtomicBool,
    until: AtomicU64,
}

impl ReadLimit {
    fn allow(&self, until: Micros) {
        self.until.store(until.0, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// What libavformat asks while it waits.
    fn give_up(self: &Arc<Self>, clock: Clock) -> GiveUp {
        let limit = Arc::clone(self);
        Box::new(move || limit.is_over() || clock.now().0 >= limit.until.load(Ordering::Relaxed))
    }
}

/// Ends the reading thread when the decoding one ends, however it does.
struct EndsReader(Arc<ReadLimit>);

impl Drop for EndsReader {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// Reads a source, again and again when it cannot be opened or breaks off, until nobody decodes it.
/// `open` is called on this thread.
pub fn read_network(
    mut open: impl FnMut(GiveUp) -> Result<(NetworkSource, NetworkStreams), NetworkError>,
    mut to: Sender<NetworkEvent>,
    (limit, backlog, clock): (&Arc<ReadLimit>, &Backlog, Clock),
    mut tell: impl FnMut(NetworkChange),
) {
    let (bell, mut retry) = (Bell::new(), Retry::from(RETRY_FIRST));
    let mut is_lost = false;
    while !limit.is_over() {
        let began = clock.now();
        limit.allow(began + OPEN_TIME);
        let error = match open(limit.give_up(clock)) {
            Ok((source, streams)) => {
                tell(NetworkChange::Connected(streams.about().to_owned()));
                is_lost = false;
                let error = read_on(source, streams, &mut to, (limit, backlog, clock));
                hand_on(&mut to, NetworkEvent::Ended, limit);
                error
            }
            Err(error) => error,
        };
        if limit.is_over() {
            return;
        }
        if !std::mem::replace(&mut is_lost, true) {
            tell(NetworkChange::Lost(error.to_string()));
        }
        if clock.now().since(began) > STEADY {
            retry.reset();
        }
        let mut left = Duration::from(retry.wait().min(RETRY_MAX));
        while !left.is_zero() && !limit.is_over() {
            let slice = left.min(LOOK);
            bell.park(slice, || false);
            left -= slice;
        }
    }
}

/// Reads an open source to its end.
fn read_on(
    mut source: NetworkSource,
    streams: NetworkStreams,
    to: &mut Sender<NetworkEvent>,
    (limit, backlog, clock): (&Arc<ReadLimit>, &Backlog, Clock),
) -> NetworkError {
    let silence = if streams.is_bursty() { BURSTY_SILENCE_MAX } else { SILENCE_MAX };
    limit.is_stale.store(false, Ordering::Relaxed);
    hand_on(to, NetworkEvent::Opened(streams), limit);
    let bell = Bell::new();
    let mut heard = clock.now();
    while !limit.is_over() {
        if !backlog.has_room() {
            bell.park(FULL, || false);
            heard = clock.now();
            continue;
        }
        limit.allow(heard + silence);
        match source.read() {
            Ok(Some(packet)) => {
                let event = NetworkEvent::Packet(packet, clock.now());
                hand_on(to, event, limit);
                heard = clock.now();
                if limit.is_stale.swap(false, Ordering::Relaxed) {
                    return NetworkError::Changed;
                }
            }
            Ok(None) if clock.now() >= heard + silence => break,
            Ok(None) => {}
            Err(error) => return error,
        }
    }
    NetworkError::Silent
}

/// Waits for room in the ring.
fn hand_on(to: &mut Sender<NetworkEvent>, mut event: NetworkEvent, limit: &ReadLimit) {
    let bell = Bell::new();
    while let Err(back) = to.push(event) {
        if limit.is_over() || to.is_closed() {
            return;
        }
        event = back;
        bell.park(FULL, || false);
    }
}

/// A packet that waits for its time.
type Timed = (NetworkPacket, i64);

impl Decodes for NetworkDecoder {
    type Item = Timed;

    fn decode_at(&self, (packet, time): &Timed) -> Option<Micros> {
        Some(self.decode_at(packet.kind(), *time))
    }

    fn is_key(&self, (packet, _): &Timed) -> bool {
        packet.is_key()
    }

    fn decode(&mut self, (packet, time): Timed, out: &mut dyn DecodeSink) {
        if let Err(error) = self.decode(packet, time, out) {
            tracing::debug!("network input: {error}");
        }
    }
}

/// Decodes a source until its readers are gone; then ends the thread that reads it.
pub fn decode_network(
    mut decoder: NetworkDecoder,
    mut events: Receiver<NetworkEvent>,
    (limit, bell): (Arc<ReadLimit>, &Arc<Bell>),
    mut out: DecodeOut,
    clock: Clock,
) {
    let limit = EndsReader(limit);
    let (mut waiting, mut slow) = (Waiting::default(), SlowDecoder::default());
    // Whether the source has broken off, of which something still waits.
    let mut is_leaving = false;
    // Whether packets have been left in the ring, so that they come later than they could.
    let mut is_late = false;
    while !out.is_closed() {
        let now = clock.now();
        let is_full = waiting.newest().is_some_and(|newest: &Timed| {
            decoder.decode_at(newest.0.kind(), newest.1) > now + AHEAD_MAX
        }) || waiting.is_crowded();
        is_late |= is_full;
        match if is_leaving || is_full { None } else { events.pop() } {
            Some(NetworkEvent::Opened(streams)) => decoder.opened(streams),
            Some(NetworkEvent::Packet(packet, came)) => {
                let time = decoder.arrived(&packet, came, is_late);
                let is_video = packet.kind() == Kind::Video;
                let is_taken = if is_video { !out.is_unseen() } else { !out.is_unheard() };
                if is_taken && is_video {
                    out.fed.store(true, Ordering::Relaxed);
                }
                if is_taken {
                    waiting.add(is_video, (packet, time));
                }
            }
            Some(NetworkEvent::Ended) => is_leaving = true,
            None if events.is_finished() => return,
            None => {
                is_late &= is_full || is_leaving;
                let next = waiting.decode(&mut decoder, now, &mut out);
                slow.note(waiting.take_skipped(), now);
                if decoder.take_barren() {
                    limit.0.is_stale.store(true, Ordering::Relaxed);
                }
                if is_leaving && waiting.is_empty() {
                    decoder.ended(&mut out);
                    is_leaving = false;
                    continue;
                }
                let idle = if !out.settle() || is_full { FULL } else { IDLE };
                let wait = next.map_or(idle, |next| Duration::from(next.since(now)).min(idle));
                bell.park(wait, || {
                    !is_leaving && !is_full && !events.is_empty() || events.is_finished()
                });
            }
        }
    }
}
