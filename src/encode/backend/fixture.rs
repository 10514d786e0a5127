//! Fixture for the backends' tests: pictures, packets kept, and what a decoder makes of them.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_ptr_alignment,
    reason = "made-up pictures, sizes that fit, and planes that libavutil aligns"
)]

use crate::encode::{Keep, VideoEncoder, VideoPacket, VideoSink, VideoSpec};
use crate::ffi::sys;
use crate::frame::{Frame, Geometry, HEADROOM, PacketPool, PacketPoolSpec, Pool};
use crate::media::{FrameRate, PixelFormat, Size, VideoCodec};

pub(in crate::encode) fn spec() -> VideoSpec {
    VideoSpec {
        codec: VideoCodec::H264,
        encoder: None,
        device: None,
        size: Size::new(320, 192).unwrap(),
        rate: FrameRate::new(30, 1).unwrap(),
        format: PixelFormat::I420,
        bitrate_bps: 800_000,
        preset: "veryfast".to_owned(),
        fastest_preset: None,
        tune: String::new(),
        profile: "high".to_owned(),
        gop_frames: 30,
        b_frames: 0,
        threads: 2,
        keep: Keep::default(),
    }
}

pub(in crate::encode) fn packets() -> PacketPool {
    PacketPool::new(PacketPoolSpec::default()).unwrap()
}

pub(in crate::encode) fn frames(spec: &VideoSpec) -> Pool {
    Pool::new(Geometry::new(spec.size, spec.format), 2).unwrap()
}

/// One packet, copied out.
pub(in crate::encode) struct Kept {
    pub(in crate::encode) bytes: Vec<u8>,
    pub(in crate::encode) pts: i64,
    pub(in crate::encode) dts: i64,
    pub(in crate::encode) key: bool,
}

#[derive(Default)]
pub(in crate::encode) struct Collect(pub(in crate::encode) Vec<Kept>);

impl Collect {
    /// Bits per second from packet `from` on, at 30 pictures per second.
    pub(in crate::encode) fn bps(&self, from: usize) -> usize {
        let bits: usize = self.0[from..].iter().map(|packet| packet.bytes.len() * 8).sum();
        bits * 30 / (self.0.len() - from)
    }
}

impl VideoSink for Collect {
    fn packet(&mut self, mut packet: VideoPacket) {
        let VideoPacket { pts, dts, key, .. } = packet;
        let bytes = packet.body.to_vec();
        packet.body.prepend(&[0; HEADROOM]); // panics unless the headroom is whole
        self.0.push(Kept { bytes, pts, dts, key });
    }
}

/// Paints luma by place, and one colour.
pub(in crate::encode) fn paint(frame: &mut Frame, luma: impl Fn(usize, usize) -> u8) {
    let format = frame.geometry().format();
    let [y, u, v] = frame.planes_mut();
    for (row, line) in y.data.chunks_mut(y.stride).enumerate() {
        for (column, pixel) in line.iter_mut().enumerate() {
            *pixel = luma(column, row);
        }
    }
    match format {
        PixelFormat::I420 => {
            u.data.fill(90);
            v.data.fill(170);
        }
        PixelFormat::Nv12 => u.data.chunks_mut(2).for_each(|pair| pair.copy_from_slice(&[90, 170])),
    }
}

pub(in crate::encode) fn halves(frame: &mut Frame) {
    paint(frame, |x, _| if x < 160 { 60 } else { 200 });
}

/// Noise that no codec can predict.
pub(in crate::encode) fn noise(frame: &mut Frame, n: usize) {
    paint(frame, |x, y| {
        let seed = (n * 1_000_003 + y * 4_099 + x) as u64;
        (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8
    });
}

/// Encodes `count` pictures and checks after each that its slot is free again.
pub(in crate::encode) fn encode(
    encoder: &mut dyn VideoEncoder,
    spec: &VideoSpec,
    count: usize,
    draw: impl Fn(&mut Frame, usize) -> bool,
) -> Collect {
    encode_holding(0, encoder, spec, count, draw)
}

/// The same of an encoder that keeps so many pictures to compare the next one with.
pub(super) fn encode_holding(
    held: usize,
    encoder: &mut dyn VideoEncoder,
    spec: &VideoSpec,
    count: usize,
    draw: impl Fn(&mut Frame, usize) -> bool,
) -> Collect {
    let pool = frames(spec);
    let mut out = Collect::default();
    for n in 0..count {
        let mut frame = pool.take().unwrap();
        let force_key = draw(&mut frame, n);
        encoder.encode(frame.freeze(), n as i64, force_key, &mut out).unwrap();
        assert_eq!(pool.in_use(), held, "libx264 lets go of a picture before it returns");
    }
    encoder.flush(&mut out).unwrap();
    assert_eq!(pool.in_use(), 0);
    out
}

/// A decoded picture or block of audio: what the tests look at.
pub(in crate::encode) struct Decoded {
    pub(in crate::encode) pts: i64,
    pub(in crate::encode) size: (i32, i32),
    pub(in crate::encode) tags: (sys::AVColorSpace, sys::AVColorRange),
    pub(in crate::encode) planes: [Vec<u8>; 3],
    pub(in crate::encode) samples: [Vec<f32>; 2],
}

/// Everything that libavcodec's decoder makes of these packets.
pub(in crate::encode) fn decode(
    id: sys::AVCodecID,
    header: &[u8],
    packets: &[(Vec<u8>, i64)],
) -> Vec<Decoded> {
    let mut out = Vec::new();
    // SAFETY: the usual order of libavcodec's calls; everything is allocated before it is used, has
    // padding, and is freed at the end.
    unsafe {
        let codec = sys::avcodec_find_decoder(id);
        let mut context = sys::avcodec_alloc_context3(codec);
        let extra = sys::av_mallocz(header.len() + 64).cast::<u8>();
        extra.copy_from_nonoverlapping(header.as_ptr(), header.len());
        (*context).extradata = extra;
        (*context).extradata_size = header.len() as i32;
        (*context).thread_count = 1;
        assert_eq!(sys::avcodec_open2(context, codec, std::ptr::null_mut()), 0);
        let mut packet = sys::av_packet_alloc();
        let mut frame = sys::av_frame_alloc();
        for given in packets.iter().map(Some).chain([None]) {
            if let Some((bytes, pts)) = given {
                assert_eq!(sys::av_new_packet(packet, bytes.len() as i32), 0);
                (*packet).data.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                (*packet).pts = *pts;
                assert_eq!(sys::avcodec_send_packet(context, packet), 0);
                sys::av_packet_unref(packet);
            } else {
                assert_eq!(sys::avcodec_send_packet(context, std::ptr::null()), 0);
            }
            while sys::avcodec_receive_frame(context, frame) == 0 {
                out.push(look(&*frame));
            }
        }
        sys::av_frame_free(&raw mut frame);
        sys::av_packet_free(&raw mut packet);
        sys::avcodec_free_context(&raw mut context);
    }
    out
}

/// # Safety
/// `frame` must be a decoded one: planar 4:2:0, or planar float.
unsafe fn look(frame: &sys::AVFrame) -> Decoded {
    let plane = |index: usize| {
        let rows = if index == 0 { frame.height } else { frame.height / 2 } as usize;
        let bytes = rows * frame.linesize[index] as usize;
        // SAFETY: by the caller, the plane has that many bytes; none for audio, whose height is 0.
        unsafe { std::slice::from_raw_parts(frame.data[index], bytes) }.to_vec()
    };
    let samples = |channel: usize| {
        let count = frame.nb_samples as usize;
        // SAFETY: by the caller, each plane of audio has that many floats; none for pictures.
        unsafe { std::slice::from_raw_parts(frame.data[channel].cast::<f32>(), count) }.to_vec()
    };
    let picture = frame.width > 0;
    Decoded {
        pts: frame.pts,
        size: (frame.width, frame.height),
        tags: (frame.colorspace, frame.color_range),
        planes: [0, 1, 2].map(|index| if picture { plane(index) } else { Vec::new() }),
        samples: [0, 1].map(|index| if picture { Vec::new() } else { samples(index) }),
    }
}

pub(in crate::encode) fn pictures(encoder: &dyn VideoEncoder, out: &Collect) -> Vec<Decoded> {
    pictures_of(sys::AV_CODEC_ID_H264, encoder, out)
}

pub(in crate::encode) fn pictures_of(
    id: sys::AVCodecID,
    encoder: &dyn VideoEncoder,
    out: &Collect,
) -> Vec<Decoded> {
    let packets: Vec<_> = out.0.iter().map(|kept| (kept.bytes.clone(), kept.pts)).collect();
    decode(id, encoder.header(), &packets)
}
