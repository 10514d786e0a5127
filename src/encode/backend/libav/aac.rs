//! libavcodec's own AAC-LC encoder. It has no buffers of ours (no DR1): its packets, about 350
//! bytes, are copied once into the pool.

use super::codec::Codec;
use crate::encode::{AudioEncoder, AudioPacket, AudioSink, AudioSpec, Error};
use crate::ffi::av::{self, sys};
use crate::frame::PacketPool;
use crate::media::aac::FRAME_SAMPLES;
use crate::media::{CHANNELS, SAMPLE_RATE};

/// Opens the encoder.
pub(in crate::encode) fn open(
    spec: &AudioSpec,
    pool: &PacketPool,
) -> Result<Box<dyn AudioEncoder>, Error> {
    let setup = |context: &mut sys::AVCodecContext| {
        context.bit_rate = spec.bitrate_bps.into();
        context.sample_rate = SAMPLE_RATE.cast_signed();
        context.sample_fmt = sys::AVSampleFormat_AV_SAMPLE_FMT_FLTP;
        context.time_base = sys::AVRational { num: 1, den: SAMPLE_RATE.cast_signed() };
        context.flags |= sys::AV_CODEC_FLAG_GLOBAL_HEADER.cast_signed();
        // SAFETY: writes the layout of a context that is ours.
        unsafe { sys::av_channel_layout_default(&raw mut context.ch_layout, 2) };
    };
    let mut codec = Codec::open(c"aac", pool, setup, &[])?;
    let frame = codec.frame_mut();
    frame.nb_samples = i32::try_from(FRAME_SAMPLES).unwrap_or(0);
    frame.format = sys::AVSampleFormat_AV_SAMPLE_FMT_FLTP;
    frame.sample_rate = SAMPLE_RATE.cast_signed();
    // SAFETY: the frame is ours; its size, format and layout are set.
    let code = unsafe {
        sys::av_channel_layout_default(&raw mut frame.ch_layout, 2);
        sys::av_frame_get_buffer(frame, 0)
    };
    if code < 0 {
        return Err(Error::Unavailable(av::error_text(code)));
    }
    Ok(Box::new(Aac { codec }))
}

struct Aac {
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
        let frame = self.codec.frame_mut();
        // SAFETY: the frame is ours; if the codec still refers to its planes it gets new ones.
        let code = unsafe { sys::av_frame_make_writable(frame) };
        if code < 0 {
            return Err(Error::Device(av::error_text(code)));
        }
        let count = (samples.len() / CHANNELS).min(FRAME_SAMPLES);
        frame.nb_samples = i32::try_from(count).unwrap_or(0);
        frame.pts = i64::try_from(first_sample).unwrap_or(i64::MAX);
        for channel in 0..CHANNELS {
            // SAFETY: planar float with `FRAME_SAMPLES` samples in each plane, from `open`.
            let plane = unsafe {
                std::slice::from_raw_parts_mut(frame.data[channel].cast::<f32>(), FRAME_SAMPLES)
            };
            for (out, pair) in plane.iter_mut().zip(samples.chunks_exact(CHANNELS)) {
                *out = pair[channel];
            }
        }
        self.codec.send(true)?;
        self.drain(sink)
    }

    fn flush(&mut self, sink: &mut dyn AudioSink) -> Result<(), Error> {
        self.codec.finish()?;
        self.drain(sink)
    }
}

impl Aac {
    fn drain(&mut self, sink: &mut dyn AudioSink) -> Result<(), Error> {
        while let Some(coded) = self.codec.receive()? {
            sink.packet(AudioPacket { body: coded.body, first_sample: coded.pts });
        }
        Ok(())
    }
}
