//! Broadcast performance metrics that OBS puts into keyframes of multitrack streams: when a frame
//! passed the points of its way through OBS, and what was left out since the keyframe before.

use jiff::Timestamp;

use super::user_data::Uuid;

/// Messages with the times of a frame, with the counters of the session, and with those of the
/// track's encoder.
const TIMES: Uuid = [
    0x0a, 0xec, 0xff, 0xe7, 0x52, 0x72, 0x4e, 0x2f, 0xa6, 0x2f, 0xd1, 0x9c, 0xd6, 0x1a, 0x93, 0xb5,
];
const SESSION: Uuid = [
    0xca, 0x60, 0xe7, 0x1c, 0x6a, 0x8b, 0x43, 0x88, 0xa3, 0x77, 0x15, 0x1d, 0xf7, 0xbf, 0x8a, 0xc2,
];
const ENCODER: Uuid = [
    0xf1, 0xfb, 0xc1, 0xd5, 0x10, 0x1e, 0x4f, 0xb5, 0xa6, 0x1e, 0xb8, 0xce, 0x3c, 0x07, 0xb8, 0xc0,
];

/// Forms of a time: a text of RFC 3339 that a zero byte ends, milliseconds since 1970, and
/// nanoseconds since another time, which is not said.
const TEXT: u8 = 1;
const MILLISECONDS: u8 = 2;
const DELTA: u8 = 3;

/// Longest text of a time that is read, bytes. A message with a longer one is read up to it.
const TEXT_BYTES_MAX: usize = 64;

/// What the messages of one keyframe say. Times are microseconds since 1970, by the clock of the
/// machine that OBS runs on; frames are those since the keyframe before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublisherMetrics {
    /// When the frame was composed.
    pub composed_us: Option<u64>,
    /// When the encoder was asked for it.
    pub requested_us: Option<u64>,
    /// When the encoder had it done.
    pub encoded_us: Option<u64>,
    /// When it was put in order with audio and other tracks, to be sent.
    pub interleaved_us: Option<u64>,
    /// Frames of the whole session.
    pub session: Option<SessionFrames>,
    /// Frames of the track's encoder.
    pub encoder: Option<EncoderFrames>,
}

/// Frames of a publisher's session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionFrames {
    /// Drawn.
    pub rendered: u32,
    /// Drawn too late.
    pub lagged: u32,
    /// Dropped because of the network.
    pub dropped: u32,
    /// Put out, of all tracks.
    pub output: u32,
}

/// Frames of an encoder of a publisher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncoderFrames {
    /// Handed to it.
    pub input: u32,
    /// Left out because it was too slow.
    pub skipped: u32,
    /// Encoded.
    pub output: u32,
}

impl PublisherMetrics {
    /// Takes user data of a keyframe. That of others is passed over; what is broken counts up to
    /// there.
    pub fn take(&mut self, uuid: &Uuid, message: &[u8]) {
        let mut rest = message;
        match *uuid {
            TIMES => drop(each_time(&mut rest, |event, unix_us| match event {
                1 => self.composed_us = Some(unix_us),
                2 => self.requested_us = Some(unix_us),
                3 => self.encoded_us = Some(unix_us),
                4 => self.interleaved_us = Some(unix_us),
                _ => {}
            })),
            SESSION => {
                let mut it = SessionFrames::default();
                let read = each_counter(&mut rest, |tag, frames| match tag {
                    1 => it.rendered = frames,
                    2 => it.lagged = frames,
                    3 => it.dropped = frames,
                    4 => it.output = frames,
                    _ => {}
                });
                self.session = read.map(|()| it).or(self.session);
            }
            ENCODER => {
                let mut it = EncoderFrames::default();
                let read = each_counter(&mut rest, |tag, frames| match tag {
                    1 => it.input = frames,
                    2 => it.skipped = frames,
                    3 => it.output = frames,
                    _ => {}
                });
                self.encoder = read.map(|()| it).or(self.encoder);
            }
            _ => {}
        }
    }

    /// Whether there was anything.
    #[must_use]
    pub fn is_some(&self) -> bool {
        *self != Self::default()
    }
}

/// Takes the times off a message: how many less one in the lower half of a byte, then the form, the
/// event and the time of each. `None` if it is broken.
fn each_time(rest: &mut &[u8], mut found: impl FnMut(u8, u64)) -> Option<()> {
    let [count] = array(rest)?;
    for _ in 0..=count & 0xf {
        let [form, event] = array(rest)?;
        let unix_us = match form {
            TEXT => text_us(rest)?,
            MILLISECONDS => Some(u64::from_be_bytes(array(rest)?).saturating_mul(1_000)),
            DELTA => {
                array::<8>(rest)?;
                None
            }
            _ => return None,
        };
        if let Some(unix_us) = unix_us.filter(|unix_us| *unix_us <= super::origin::UNIX_US_MAX) {
            found(event, unix_us);
        }
    }
    Some(())
}

/// A time as text; `None` inside if it is none.
fn text_us(rest: &mut &[u8]) -> Option<Option<u64>> {
    let end = rest.iter().take(TEXT_BYTES_MAX).position(|byte| *byte == 0)?;
    let (text, after) = rest.split_at(end);
    *rest = &after[1..];
    let time = std::str::from_utf8(text).ok().and_then(|text| text.parse::<Timestamp>().ok());
    Some(time.and_then(|time| u64::try_from(time.as_microsecond()).ok()))
}

/// Takes the counters off a message, which follow its times: how many less one, then the tag and
/// the number of each.
fn each_counter(rest: &mut &[u8], mut found: impl FnMut(u8, u32)) -> Option<()> {
    each_time(rest, |_, _| {})?;
    let [count] = array(rest)?;
    for _ in 0..=count & 0xf {
        let [tag] = array(rest)?;
        found(tag, u32::from_be_bytes(array(rest)?));
    }
    Some(())
}

fn array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The times of a frame as OBS writes them.
    fn times() -> Vec<u8> {
        let mut bytes = vec![3];
        for (event, second) in [(1, "03.591"), (2, "03.600"), (3, "03.612"), (4, "03.650")] {
            bytes.extend([TEXT, event]);
            bytes.extend(format!("2024-05-31T12:26:{second}Z\0").into_bytes());
        }
        bytes
    }

    fn counters(of: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0, TEXT, 4];
        bytes.extend(b"2024-05-31T12:26:03.650Z\0");
        bytes.push(u8::try_from(of.len() - 1).unwrap());
        for (tag, frames) in (1..).zip(of) {
            bytes.push(tag);
            bytes.extend(frames.to_be_bytes());
        }
        bytes
    }

    const COMPOSED_US: u64 = 1_717_158_363_591_000;

    #[test]
    fn what_obs_writes_is_read() {
        let mut metrics = PublisherMetrics::default();
        metrics.take(&[9; 16], &times());
        assert!(!metrics.is_some(), "another's user data");
        metrics.take(&TIMES, &times());
        metrics.take(&SESSION, &counters(&[120, 3, 2, 115]));
        metrics.take(&ENCODER, &counters(&[118, 1, 117]));
        let after = |ms: u64| Some(COMPOSED_US + ms * 1_000);
        let wanted = PublisherMetrics {
            composed_us: after(0),
            requested_us: after(9),
            encoded_us: after(21),
            interleaved_us: after(59),
            session: Some(SessionFrames { rendered: 120, lagged: 3, dropped: 2, output: 115 }),
            encoder: Some(EncoderFrames { input: 118, skipped: 1, output: 117 }),
        };
        assert_eq!(metrics, wanted);
    }

    #[test]
    fn times_have_other_forms_and_what_is_no_time_is_passed_over() {
        let mut bytes = vec![3, MILLISECONDS, 1];
        bytes.extend((COMPOSED_US / 1_000).to_be_bytes());
        bytes.extend([DELTA, 2]);
        bytes.extend([1; 8]);
        bytes.extend([TEXT, 3]);
        bytes.extend(b"yesterday\0");
        bytes.extend([MILLISECONDS, 4]);
        bytes.extend([0xff; 8]);
        let mut metrics = PublisherMetrics::default();
        metrics.take(&TIMES, &bytes);
        let wanted = PublisherMetrics { composed_us: Some(COMPOSED_US), ..Default::default() };
        assert_eq!(metrics, wanted);
        let mut long = vec![0, TEXT, 1];
        long.extend([b'1'; TEXT_BYTES_MAX]);
        long.push(0);
        metrics.take(&TIMES, &long);
        assert_eq!(metrics, wanted);
    }

    proptest! {
        #[test]
        fn cut_and_broken_messages_do_no_harm(at in 0_usize..120, byte: u8, end in 0_usize..120) {
            for (uuid, mut bytes) in
                [(TIMES, times()), (SESSION, counters(&[1; 4])), (ENCODER, counters(&[1; 3]))]
            {
                if let Some(broken) = bytes.get_mut(at) {
                    *broken = byte;
                }
                bytes.truncate(end);
                PublisherMetrics::default().take(&uuid, &bytes);
            }
        }
    }
}
