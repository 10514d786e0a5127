//! AAC-LC encoder of libavcodec. It does not write into our slots: its packets, about 350 bytes,
//! are copied once into the pool.

use std::ffi::c_int;

use super::audio;
use super::codec::Codec;
use crate::encode::{AudioEncoder, AudioPacket, AudioSink, AudioSpec, Error};
use crate::ffi::{av, sys};
use crate::frame::PacketPool;
use crate::media::CHANNELS;
use crate::media::aac::FRAME_SAMPLES;

/// Samples per channel of a full block, as libavcodec counts.
const BLOCK: c_int = 1_024;

const _: () = assert!(BLOCK.unsigned_abs() as usize == FRAME_SAMPLES);

/// Opens the encoder.
pub(in crate::encode) fn open(
    spec: &AudioSpec,
    pool: &PacketPool,
) -> Result<Box<dyn AudioEncoder>, Error> {
    Ok(Box::new(Aac::open(spec, pool)?))
}

/// An open encoder. libavcodec numbers a packet by the first sample that comes out of a decoder for
/// it: the first packet, which only warms the decoder up, begins 1024 samples before the audio.
pub(super) struct Aac {
    codec: Codec,
}

impl AudioEncoder for Aac {
    fn header(&self) -> &[u8] {
        self.codec.extradata()
    }

    fn encode(
        &mut self,
        samples: &[f32],
        first_sample: u64,
        sink: &mut dyn AudioSink,
    ) -> Result<(), Error> {
        let count = (samples.len() / CHANNELS).min(FRAME_SAMPLES);
        if count == 0 {
            return Ok(());
        }
        let frame = self.codec.frame_mut();
        // Planes that have to be made anew are made for a full block.
        frame.nb_samples = BLOCK;
        // SAFETY: the frame is ours; if the codec still refers to its planes it gets new ones.
        let code = unsafe { sys::av_frame_make_writable(frame) };
        if code < 0 {
            return Err(Error::Device(av::error_text(code)));
        }
        for channel in 0..CHANNELS {
            #[expect(clippy::cast_ptr_alignment, reason = "libavutil aligns planes for vectors")]
            let plane = frame.data[channel].cast::<f32>();
            // SAFETY: planar float with `FRAME_SAMPLES` samples in each plane, which nobody else
            // refers to (above).
            let plane = unsafe { std::slice::from_raw_parts_mut(plane, FRAME_SAMPLES) };
            for (out, pair) in plane.iter_mut().zip(samples.chunks_exact(CHANNELS)) {
                *out = pair[channel];
            }
        }
        frame.nb_samples = c_int::try_from(count).unwrap_or(0);
        frame.pts = i64::try_from(first_sample).unwrap_or(i64::MAX);
        self.codec.send()?;
        self.drain(sink)
    }

    fn flush(&mut self, sink: &mut dyn AudioSink) -> Result<(), Error> {
        self.codec.finish()?;
        self.drain(sink)
    }
}

impl Aac {
    pub(super) fn open(spec: &AudioSpec, pool: &PacketPool) -> Result<Self, Error> {
        let block = (sys::AV_SAMPLE_FMT_FLTP, BLOCK);
        Ok(Self { codec: audio::open((c"aac", &[]), spec, pool, block)? })
    }

    fn drain(&mut self, sink: &mut dyn AudioSink) -> Result<(), Error> {
        while let Some(coded) = self.codec.receive()? {
            sink.packet(AudioPacket { body: coded.body, first_sample: coded.pts });
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) const fn copied(&self) -> u64 {
        self.codec.copied()
    }
}
