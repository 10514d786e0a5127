//! Published streams as a scene's input decodes them, with libavcodec: whatever a publisher sends,
//! pictures have the size asked for, audio is made of numbers, counts are right, and the next
//! publisher is seen and heard as if nothing had been.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;
use stream_manager_fuzz::decode::{DecodeSink, Error, Live, LiveSpec};
use stream_manager_fuzz::frame::{BLOCK_SAMPLES, PictureEvent, AudioBlock};
use stream_manager_fuzz::media::{CHANNELS, Micros, Size};
use stream_manager_fuzz::stream::{Flags, Inspection, InBand};
use stream_manager_fuzz::{Tag, Tags, ffi};

/// A publisher that sends what it should; behind the first byte are its tags.
const GOOD: &[u8] = include_bytes!("../seeds/live_decoder/ffmpeg-baseline");

/// Tags of one input: enough to come from one state into any other.
const TAGS_MAX: usize = 64;

/// What came out of a decoder.
#[derive(Default)]
struct Seen {
    pictures: Vec<Vec<u8>>,
    samples: usize,
    blocks: u64,
    ended: usize,
}

impl DecodeSink for Seen {
    fn picture(&mut self, picture: PictureEvent) {
        match picture {
            PictureEvent::Picture { frame, .. } => {
                assert_eq!(frame.geometry().size(), size(), "the size asked for");
                self.pictures.push(frame.plane(0).to_vec());
            }
            PictureEvent::Ended => self.ended += 1,
            PictureEvent::Failed => unreachable!("a decoder does not say so itself"),
        }
    }

    fn audio(&mut self, block: &AudioBlock) {
        assert!((1..=BLOCK_SAMPLES).contains(&block.samples));
        let samples = &block.data[..block.samples * CHANNELS];
        assert!(samples.iter().all(|sample| sample.is_finite()), "a mixer would never recover");
        self.samples += block.samples;
        self.blocks += 1;
    }
}

fn size() -> Size {
    Size::new(64, 36).expect("a size")
}

fn decoder(threads: u32) -> Live {
    Live::new(LiveSpec { threads, ..LiveSpec::new(Box::new(|_| size())) })
}

/// A publisher sends these tags and leaves.
fn publish<'a>(live: &mut Live, tags: impl Iterator<Item = Tag<'a>>) -> Seen {
    let (mut seen, mut in_band) = (Seen::default(), InBand::default());
    let (mut time, mut now) = (1_000_u32, Micros::from_secs(50));
    let mut unsupported = 0;
    let mut decode = |kind, time, body: &[u8], now| {
        let at = live.arrived(kind, time, body, now);
        match live.decode(kind, at, body, &mut seen) {
            Ok(()) | Err(Error::Decoder(_)) => {}
            Err(Error::Unsupported { .. }) => unsupported += 1,
            Err(error) => panic!("{error}"),
        }
    };
    for Tag { kind, step_ms, body } in tags {
        time = time.wrapping_add_signed(step_ms);
        now = now + Micros::from_millis(step_ms.unsigned_abs().into());
        let Some(flags) = Flags::of(kind, body) else { continue };
        match in_band.inspect(kind, flags, body) {
            Inspection::Usual | Inspection::Missing => {}
            Inspection::Less => continue,
            Inspection::Header(header) => decode(kind, time, &header, now),
        }
        decode(kind, time, body, now);
    }
    assert!(unsupported <= 2, "told once for each kind");
    live.ended(&mut seen);
    assert_eq!(seen.ended, 1);
    seen
}

/// What is seen and heard of the good publisher by a new decoder.
fn good() -> &'static Seen {
    static SEEN: OnceLock<Seen> = OnceLock::new();
    SEEN.get_or_init(|| {
        // For as long as the process runs.
        std::mem::forget(ffi::av::LogRedirect::begin());
        let seen = publish(&mut decoder(1), Tags(&GOOD[1..]));
        assert!(seen.pictures.len() > 1 && seen.samples > BLOCK_SAMPLES, "a seed that shows some");
        seen
    })
}

fuzz_target!(|data: &[u8]| {
    let [threads, data @ ..] = data else { return };
    let good = good();
    let mut live = decoder(u32::from(threads & 1) + 1);
    let seen = publish(&mut live, Tags(data).take(TAGS_MAX));
    let counted = live.counters();
    assert_eq!(counted.pictures, seen.pictures.len() as u64);
    assert_eq!((counted.blocks, counted.pool_empty), (seen.blocks, 0));
    let next = publish(&mut live, Tags(&GOOD[1..]));
    assert!(next.pictures == good.pictures, "{} pictures", next.pictures.len());
    assert_eq!(next.samples, good.samples);
});
