//! Benchmark of the encoder's cost above libavcodec: CPU time per picture of the wrapper, and of the
//! plainest possible use of libavcodec with the same settings, threads and pictures. Both are open at
//! once and take turns every few pictures, so that whatever else the machine does hits both.
//!
//! `cargo bench --bench encode` prints a table. It fails if the wrapper allocates from Rust.

#![expect(clippy::expect_used, reason = "a benchmark that cannot begin should say so and stop")]

use std::ffi::CString;
use std::ptr::{null, null_mut};

use stream_manager::internals::{FrozenFrame, VideoSpec, sys};

mod turns;

use turns::{Plain, at, compare, length, programme, spec};

fn main() {
    for tune in ["", "zerolatency"] {
        let spec = spec(tune);
        let pictures = programme(&spec);
        compare(&spec, &pictures, length(), || Libavcodec::open(&spec, &pictures));
    }
}

/// libavcodec's encoder as its documentation uses it, with buffers of its own on both sides.
struct Libavcodec {
    frames: Vec<*mut sys::AVFrame>,
    context: *mut sys::AVCodecContext,
    packet: *mut sys::AVPacket,
    bytes: u64,
}

impl Libavcodec {
    fn open(spec: &VideoSpec, pictures: &[FrozenFrame]) -> Self {
        let frames = pictures.iter().map(av_frame).collect();
        // SAFETY: allocates; freed in `end`.
        let packet = unsafe { sys::av_packet_alloc() };
        // SAFETY: freed in `end`.
        Self { frames, context: unsafe { open_plain(spec) }, packet, bytes: 0 }
    }

    fn drain(&mut self) {
        // SAFETY: the context is open and the packet allocated until `end`.
        unsafe {
            while sys::avcodec_receive_packet(self.context, self.packet) == 0 {
                self.bytes += u64::from((*self.packet).size.unsigned_abs());
                sys::av_packet_unref(self.packet);
            }
        }
    }
}

impl Plain for Libavcodec {
    fn encode(&mut self, n: i64) {
        let frame = self.frames[at(n)];
        // SAFETY: the frame is complete and ours; libx264 does not keep it.
        let code = unsafe {
            (*frame).pts = n;
            sys::avcodec_send_frame(self.context, frame)
        };
        assert_eq!(code, 0, "libx264 encodes");
        self.drain();
    }

    fn end(mut self) -> u64 {
        // SAFETY: a null frame ends the encoder.
        assert_eq!(unsafe { sys::avcodec_send_frame(self.context, null()) }, 0);
        self.drain();
        // SAFETY: all of it is ours and is not used again.
        unsafe {
            sys::avcodec_free_context(&raw mut self.context);
            sys::av_packet_free(&raw mut self.packet);
            self.frames.iter_mut().for_each(|frame| sys::av_frame_free(frame));
        }
        self.bytes
    }
}

/// # Safety
/// The context returned must be freed.
unsafe fn open_plain(spec: &VideoSpec) -> *mut sys::AVCodecContext {
    // SAFETY: a static name, then a context that is ours.
    unsafe {
        let codec = sys::avcodec_find_encoder_by_name(c"libx264".as_ptr());
        let context = sys::avcodec_alloc_context3(codec);
        let set = &mut *context;
        set.width = spec.size.width().cast_signed();
        set.height = spec.size.height().cast_signed();
        set.pix_fmt = sys::AV_PIX_FMT_YUV420P;
        set.time_base = sys::AVRational { num: 1, den: 60 };
        set.framerate = sys::AVRational { num: 60, den: 1 };
        set.bit_rate = spec.bitrate_bps.into();
        set.rc_max_rate = spec.bitrate_bps.into();
        set.rc_buffer_size = spec.bitrate_bps.cast_signed();
        set.gop_size = spec.gop_frames.cast_signed();
        set.keyint_min = spec.gop_frames.cast_signed();
        set.max_b_frames = spec.b_frames.into();
        set.thread_count = spec.threads.into();
        let zero_latency = spec.tune == "zerolatency";
        let threads = if zero_latency { sys::FF_THREAD_SLICE } else { sys::FF_THREAD_FRAME };
        set.thread_type = threads.cast_signed();
        set.flags |= sys::AV_CODEC_FLAG_GLOBAL_HEADER.cast_signed();
        for (key, value) in [
            (c"preset", spec.preset.as_str()),
            (c"profile", &spec.profile),
            (c"tune", &spec.tune),
            (c"x264-params", "scenecut=0:filler=1"),
        ] {
            let value = CString::new(value).expect("no zero byte in it");
            if !value.is_empty() {
                let code = sys::av_opt_set(set.priv_data, key.as_ptr(), value.as_ptr(), 0);
                assert_eq!(code, 0, "{key:?}");
            }
        }
        assert_eq!(sys::avcodec_open2(context, codec, null_mut()), 0);
        context
    }
}

/// A copy of the picture in a buffer of libavutil's.
fn av_frame(picture: &FrozenFrame) -> *mut sys::AVFrame {
    let geometry = picture.geometry();
    // SAFETY: a new frame, whose planes get at least as many rows and bytes per row as are written.
    unsafe {
        let frame = sys::av_frame_alloc();
        (*frame).format = sys::AV_PIX_FMT_YUV420P;
        (*frame).width = geometry.size().width().cast_signed();
        (*frame).height = geometry.size().height().cast_signed();
        assert_eq!(sys::av_frame_get_buffer(frame, 0), 0);
        for (index, plane) in geometry.planes().iter().enumerate() {
            let stride = usize::try_from((*frame).linesize[index]).expect("rows go down");
            for (row, line) in picture.plane(index).chunks(plane.stride).enumerate() {
                let to = (*frame).data[index].add(row * stride);
                to.copy_from_nonoverlapping(line.as_ptr(), plane.width);
            }
        }
        frame
    }
}
