//! libopus by libavcodec: blocks of 20 ms, cut from the channel's own.

use std::ffi::c_int;

use super::audio;
use super::codec::Codec;
use crate::encode::{AudioEncoder, AudioPacket, AudioSink, AudioSpec, Error};
use crate::ffi::{av, sys};
use crate::frame::PacketPool;
use crate::media::{CHANNELS, SAMPLE_RATE};

/// Samples per channel of a packet: 20 ms.
const BLOCK: usize = SAMPLE_RATE as usize / 50;

/// Opens the encoder.
pub(in crate::encode) fn open(
    spec: &AudioSpec,
    pool: &PacketPool,
) -> Result<Box<dyn AudioEncoder>, Error> {
    Ok(Box::new(Opus::open(spec, pool)?))
}

/// An open encoder. What it is given is gathered in its frame until a block is full.
pub(super) struct Opus {
    codec: Codec,
    /// Samples per channel that wait in the frame.
    gathered: usize,
    /// Number of the sample after the last one.
    next_sample: u64,
}

impl AudioEncoder for Opus {
    fn header(&self) -> &[u8] {
        self.codec.extradata()
    }

    fn encode(
        &mut self,
        samples: &[f32],
        first_sample: u64,
        sink: &mut dyn AudioSink,
    ) -> Result<(), Error> {
        self.next_sample = first_sample;
        let mut rest = &samples[..samples.len() / CHANNELS * CHANNELS];
        while !rest.is_empty() {
            let count = (BLOCK - self.gathered).min(rest.len() / CHANNELS);
            let (now, later) = rest.split_at(count * CHANNELS);
            let from = self.gathered * CHANNELS;
            self.block()?[from..][..now.len()].copy_from_slice(now);
            self.gathered += count;
            self.next_sample += count as u64;
            rest = later;
            if self.gathered == BLOCK {
                self.send(sink)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, sink: &mut dyn AudioSink) -> Result<(), Error> {
        if self.gathered > 0 {
            let from = self.gathered * CHANNELS;
            self.block()?[from..].fill(0.0);
            self.next_sample += (BLOCK - self.gathered) as u64;
            self.gathered = BLOCK;
            self.send(sink)?;
        }
        self.codec.finish()?;
        self.drain(sink)
    }
}

impl Opus {
    pub(super) fn open(spec: &AudioSpec, pool: &PacketPool) -> Result<Self, Error> {
        let options = [(c"frame_duration", "20".to_owned()), (c"vbr", "constrained".to_owned())];
        let block = (sys::AV_SAMPLE_FMT_FLT, c_int::try_from(BLOCK).unwrap_or(0));
        let codec = audio::open((c"libopus", &options), spec, pool, block)?;
        Ok(Self { codec, gathered: 0, next_sample: 0 })
    }

    /// The block that is gathered: interleaved samples.
    fn block(&mut self) -> Result<&mut [f32], Error> {
        let frame = self.codec.frame_mut();
        // SAFETY: the frame is ours; if the codec still refers to its samples it gets new ones,
        // with what has been gathered.
        let code = unsafe { sys::av_frame_make_writable(frame) };
        if code < 0 {
            return Err(Error::Device(av::error_text(code)));
        }
        #[expect(clippy::cast_ptr_alignment, reason = "libavutil aligns samples for vectors")]
        let samples = frame.data[0].cast::<f32>();
        // SAFETY: interleaved floats, `BLOCK` for each channel, nobody else's (above).
        Ok(unsafe { std::slice::from_raw_parts_mut(samples, BLOCK * CHANNELS) })
    }

    /// Sends the full block.
    fn send(&mut self, sink: &mut dyn AudioSink) -> Result<(), Error> {
        let first = self.next_sample - BLOCK as u64;
        self.codec.frame_mut().pts = i64::try_from(first).unwrap_or(i64::MAX);
        self.gathered = 0;
        self.codec.send()?;
        self.drain(sink)
    }

    fn drain(&mut self, sink: &mut dyn AudioSink) -> Result<(), Error> {
        while let Some(coded) = self.codec.receive()? {
            // A decoder leaves out what the header calls pre-skip, so that the first packet, which
            // is numbered from before the audio, is part of it all the same.
            let first_sample = coded.pts.max(0);
            sink.packet(AudioPacket { body: coded.body, first_sample });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::backend::fixture::{decode, packets};
    use crate::media::AudioCodec;

    #[derive(Default)]
    struct Kept(Vec<(Vec<u8>, i64)>);

    impl AudioSink for Kept {
        fn packet(&mut self, packet: AudioPacket) {
            self.0.push((packet.body.to_vec(), packet.first_sample));
        }
    }

    /// A tone for the left ear alone, in the channel's blocks of 1024 samples.
    fn encoded(blocks: u64) -> (Opus, Kept) {
        let spec = AudioSpec { codec: AudioCodec::Opus, bitrate_bps: 96_000 };
        let mut opus = Opus::open(&spec, &packets()).unwrap();
        let mut kept = Kept::default();
        for block in 0..blocks {
            let sample = |n: u64| (n as f32 * 440.0 * std::f32::consts::TAU / 48_000.0).sin() * 0.5;
            let samples: Vec<f32> =
                (0..1_024).flat_map(|n| [sample(block * 1_024 + n), 0.0]).collect();
            opus.encode(&samples, block * 1_024, &mut kept).unwrap();
        }
        opus.flush(&mut kept).unwrap();
        (opus, kept)
    }

    #[test]
    fn blocks_of_any_length_become_packets_of_20_ms_in_their_order() {
        let (opus, kept) = encoded(94);
        assert!(opus.header().starts_with(b"OpusHead\x01\x02"));
        assert!(kept.0.len() as u64 >= 94 * 1_024 / 960, "{} packets", kept.0.len());
        assert_eq!(kept.0[0].1, 0);
        let steps: Vec<_> = kept.0.windows(2).map(|two| two[1].1 - two[0].1).collect();
        assert!(steps[1..].iter().all(|step| *step == 960), "{steps:?}");
    }

    #[test]
    fn each_ear_hears_its_own() {
        let (opus, kept) = encoded(94);
        let decoded = decode(sys::AV_CODEC_ID_OPUS, opus.header(), &kept.0);
        let power = |ear: usize| {
            let all = decoded.iter().skip(10).flat_map(|block| block.samples[ear].iter());
            let (sum, count) =
                all.fold((0.0, 0), |(sum, n), sample| (sum + sample * sample, n + 1));
            sum / count as f32
        };
        assert!((power(0) - 0.125).abs() < 0.03 && power(1) < 0.001, "{} {}", power(0), power(1));
    }

    #[test]
    fn the_rate_is_near_what_was_asked_for_and_nonsense_is_refused() {
        let (_, kept) = encoded(94);
        let bytes: usize = kept.0.iter().map(|(bytes, _)| bytes.len()).sum();
        assert!((48_000..=144_000).contains(&(bytes * 8 / 2)), "{bytes} bytes in 2 s");
        let spec = AudioSpec { codec: AudioCodec::Opus, bitrate_bps: 100 };
        assert!(Opus::open(&spec, &packets()).is_err());
    }
}
