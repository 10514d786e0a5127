//! The made-up stream of the load tools: sizes and times like those of a real 30 fps programme, a
//! time stamp in each message, and nothing a decoder could use.

use crate::media::{Kind, Micros};

/// What the stream is like.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Programme {
    /// Video bits per second.
    #[arg(long, default_value_t = 2_500_000, value_name = "BPS",
          value_parser = clap::value_parser!(u64).range(50_000..=200_000_000))]
    bitrate: u64,
    /// Pictures per second.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=240))]
    fps: u64,
    /// Audio bits per second; 0 for no audio.
    #[arg(long, default_value_t = 128_000, value_name = "BPS",
          value_parser = clap::value_parser!(u64).range(0..=512_000))]
    audio_bitrate: u64,
    /// Seconds from one keyframe to the next.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=20))]
    keyframe_seconds: u64,
}

/// One message and when it is due, from the stream's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) due: Micros,
    pub(super) kind: Kind,
    pub(super) key: bool,
    /// Length of the body.
    pub(super) bytes: usize,
}

/// The messages of a programme, in order.
#[derive(Debug)]
pub(super) struct Schedule {
    programme: Programme,
    pictures: u64,
    audio_frames: u64,
}

/// Samples per second and per AAC frame.
const SAMPLE_RATE: u64 = 44_100;
const SAMPLES: u64 = 1_024;

/// A keyframe is about this many times as large as another picture.
const KEY_WEIGHT: u64 = 6;

/// Before a time stamp: says that one follows.
const MAGIC: [u8; 4] = *b"SMTS";

/// Bytes of a stamp: the magic, a number, and microseconds of the time of day.
const STAMP: usize = 16;

/// Where the stamp is in a body of each kind: behind the codec's header.
const VIDEO_HEADER: usize = 5;
const AUDIO_HEADER: usize = 2;

/// Bytes of a body that are enough to find the stamp in.
pub(super) const PEEK: usize = VIDEO_HEADER + STAMP;

impl Programme {
    pub(super) fn schedule(&self) -> Schedule {
        Schedule { programme: self.clone(), pictures: 0, audio_frames: 0 }
    }

    fn picture(&self, number: u64) -> Unit {
        let group = self.fps * self.keyframe_seconds;
        let share = self.bitrate * self.keyframe_seconds / 8 / (group + KEY_WEIGHT - 1);
        let key = number.is_multiple_of(group);
        let bytes = if key { share * KEY_WEIGHT } else { share };
        Unit {
            due: Micros(number * 1_000_000 / self.fps),
            kind: Kind::Video,
            key,
            bytes: size(bytes),
        }
    }

    fn audio(&self, number: u64) -> Unit {
        let bytes = self.audio_bitrate * SAMPLES / SAMPLE_RATE / 8;
        let due = Micros(number * SAMPLES * 1_000_000 / SAMPLE_RATE);
        Unit { due, kind: Kind::Audio, key: false, bytes: size(bytes) }
    }
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX).max(PEEK)
}

impl Iterator for Schedule {
    type Item = Unit;

    fn next(&mut self) -> Option<Unit> {
        let picture = self.programme.picture(self.pictures);
        let audio = self.programme.audio(self.audio_frames);
        if self.programme.audio_bitrate > 0 && audio.due < picture.due {
            self.audio_frames += 1;
            return Some(audio);
        }
        self.pictures += 1;
        Some(picture)
    }
}

/// Writes the body of a message into `body`: number `number` of its stream, due at `due_us`
/// microseconds of the time of day.
pub(super) fn write(body: &mut Vec<u8>, unit: &Unit, number: u32, due_us: u64) {
    body.clear();
    match unit.kind {
        Kind::Video => body.extend([if unit.key { 0x17 } else { 0x27 }, 1, 0, 0, 0]),
        Kind::Audio | Kind::Data => body.extend([0xaf, 1]),
    }
    body.extend(MAGIC);
    body.extend(number.to_be_bytes());
    body.extend(due_us.to_be_bytes());
    body.resize(unit.bytes, 0x5a);
}

/// Number and time of a stamped body, of which the first [`PEEK`] bytes are given.
pub(super) fn read(kind: Kind, start: &[u8]) -> Option<(u32, u64)> {
    let at = match kind {
        Kind::Video => VIDEO_HEADER,
        Kind::Audio | Kind::Data => AUDIO_HEADER,
    };
    let (magic, rest) = start.get(at..)?.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let (time, _) = rest.split_first_chunk()?;
    (*magic == MAGIC).then(|| (u32::from_be_bytes(*number), u64::from_be_bytes(*time)))
}

/// Decoder configurations: H.264 High 1920x1080, AAC-LC 44.1 kHz stereo.
pub(super) const HEADERS: [(Kind, &[u8]); 2] = [
    (
        Kind::Video,
        &[
            0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x28, 0xff, 0xe1, 0, 0x1b, 0x67, 0x64, 0, 0x28, 0xac,
            0x2c, 0xa4, 7, 0x80, 0x22, 0x7e, 0x5c, 4, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0f, 3, 0xc6,
            0x0c, 0x44, 0x80, 1, 0, 4, 0x68, 0xee, 0x3c, 0xb0,
        ],
    ),
    (Kind::Audio, &[0xaf, 0, 0x12, 0x10]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> Programme {
        Programme { bitrate: 2_500_000, fps: 30, audio_bitrate: 128_000, keyframe_seconds: 2 }
    }

    #[test]
    fn ten_seconds_have_the_rates_that_were_asked_for() {
        let units: Vec<_> =
            usual().schedule().take_while(|unit| unit.due < Micros::from_secs(10)).collect();
        let of = |kind| units.iter().filter(move |unit| unit.kind == kind);
        assert_eq!(of(Kind::Video).count(), 300);
        assert_eq!(of(Kind::Video).filter(|unit| unit.key).count(), 5);
        assert_eq!(of(Kind::Audio).count(), 431);
        let bits = of(Kind::Video).map(|unit| unit.bytes * 8).sum::<usize>();
        assert!((24_900_000..=25_100_000).contains(&bits), "{bits}");
        assert!(units.windows(2).all(|two| two[0].due <= two[1].due));
    }

    #[test]
    fn a_stamp_is_found_again_and_nothing_else_is_taken_for_one() {
        let mut body = Vec::new();
        for unit in usual().schedule().take(5) {
            write(&mut body, &unit, 7, 1_234_567_890_123);
            assert_eq!(body.len(), unit.bytes);
            assert_eq!(read(unit.kind, &body[..PEEK]), Some((7, 1_234_567_890_123)));
            body[VIDEO_HEADER] ^= 1;
            body[AUDIO_HEADER] ^= 1;
            assert_eq!(read(unit.kind, &body[..PEEK]), None);
        }
        assert_eq!(read(Kind::Video, &[]), None);
    }

    #[test]
    fn the_headers_are_what_a_server_takes_for_headers() {
        for (kind, body) in HEADERS {
            let is_header = match kind {
                Kind::Video => crate::rtmp::flv::Video::parse(body).unwrap().is_sequence_header(),
                _ => crate::rtmp::flv::Audio::parse(body).unwrap().is_sequence_header(),
            };
            assert!(is_header);
        }
    }
}
