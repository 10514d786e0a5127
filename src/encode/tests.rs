//! Encoders against the real libavcodec: what goes in comes out of an independent decoder.

use super::*;
use crate::ffi::av::sys;
use crate::frame::{Frame, Geometry, HEADROOM, PacketPool, PacketPoolSpec, Pool};
use crate::media::{
    AudioCodec, CHANNELS, FrameRate, PixelFormat, SAMPLE_RATE, Size, VideoCodec, aac, h264,
};

fn spec() -> VideoSpec {
    VideoSpec {
        codec: VideoCodec::H264,
        size: Size::new(320, 192).unwrap(),
        rate: FrameRate::new(30, 1).unwrap(),
        format: PixelFormat::I420,
        bitrate_bps: 800_000,
        preset: "veryfast".to_owned(),
        tune: String::new(),
        profile: "high".to_owned(),
        gop_frames: 30,
        b_frames: 0,
        threads: 2,
    }
}

fn packets() -> PacketPool {
    PacketPool::new(PacketPoolSpec { slots: [64, 64, 64, 64, 4, 1] }).unwrap()
}

#[derive(Default)]
struct Collect(Vec<(Vec<u8>, i64, i64, bool)>);

impl VideoSink for Collect {
    fn packet(&mut self, mut packet: VideoPacket) {
        let VideoPacket { pts, dts, key, .. } = packet;
        let bytes = packet.body.to_vec();
        packet.body.prepend(&[0; HEADROOM]); // panics unless the headroom is whole
        self.0.push((bytes, pts, dts, key));
    }
}

#[derive(Default)]
struct Sounds(Vec<(Vec<u8>, i64)>);

impl AudioSink for Sounds {
    fn packet(&mut self, packet: AudioPacket) {
        self.0.push((packet.body.to_vec(), packet.first_sample));
    }
}

fn paint(frame: &mut Frame, luma: impl Fn(usize, usize) -> u8) {
    let [y, u, v] = frame.planes_mut();
    for (row, line) in y.data.chunks_mut(y.stride).enumerate() {
        for (column, pixel) in line.iter_mut().enumerate() {
            *pixel = luma(column, row);
        }
    }
    u.data.fill(90);
    v.data.fill(170);
}

/// Cheap noise that a codec cannot predict.
fn noise(seed: usize) -> u8 {
    let mixed = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 40) as u8
}

fn encode(spec: &VideoSpec, frames: usize, force: &[usize], noisy: bool) -> (Vec<u8>, Collect) {
    let pool = Pool::new(Geometry::new(spec.size, spec.format), 2).unwrap();
    let mut encoder = open_video(spec, &packets()).unwrap();
    let mut out = Collect::default();
    for n in 0..frames {
        let mut frame = pool.take().unwrap();
        if noisy {
            paint(&mut frame, |x, y| noise(n * 1_000_003 + y * 4_099 + x));
        } else {
            paint(&mut frame, |x, _| if x < 160 { 60 } else { 200 });
        }
        let forced = force.contains(&n);
        encoder.encode(frame.freeze(), n as i64, forced, &mut out).unwrap();
        assert_eq!(pool.in_use(), 0, "libx264 lets go of a picture before send returns");
    }
    encoder.flush(&mut out).unwrap();
    (encoder.header().to_vec(), out)
}

#[test]
fn keyframes_come_exactly_when_they_should() {
    let (_, out) = encode(&spec(), 95, &[40], false);
    let keys: Vec<_> = out.0.iter().filter(|packet| packet.3).map(|packet| packet.1).collect();
    assert_eq!(keys, [0, 30, 40, 70]);
    assert!(out.0.iter().enumerate().all(|(n, packet)| packet.1 == n as i64));
    for (bytes, .., key) in &out.0 {
        let types: Vec<_> = h264::units(bytes).map(|unit| unit[0] & 0x1f).collect();
        let covered: usize = h264::units(bytes).map(|unit| unit.len() + 4).sum();
        assert_eq!(covered, bytes.len(), "lengths, not start codes");
        assert_eq!(types.contains(&h264::nal::IDR), *key);
    }
}

#[test]
fn packets_are_decoded_by_others_with_size_colours_and_tags() {
    let (header, out) = encode(&spec(), 3, &[], false);
    // SAFETY: the usual order of libavcodec's calls; every pointer is checked or freshly made.
    unsafe {
        let codec = sys::avcodec_find_decoder(sys::AVCodecID_AV_CODEC_ID_H264);
        let context = sys::avcodec_alloc_context3(codec);
        let extra = sys::av_mallocz(header.len() + 64).cast::<u8>();
        std::ptr::copy_nonoverlapping(header.as_ptr(), extra, header.len());
        (*context).extradata = extra;
        (*context).extradata_size = header.len() as i32;
        (*context).thread_count = 1;
        assert_eq!(sys::avcodec_open2(context, codec, std::ptr::null_mut()), 0);
        let mut packet = sys::av_packet_alloc();
        let mut frame = sys::av_frame_alloc();
        sys::av_new_packet(packet, out.0[0].0.len() as i32);
        std::ptr::copy_nonoverlapping(out.0[0].0.as_ptr(), (*packet).data, out.0[0].0.len());
        assert_eq!(sys::avcodec_send_packet(context, packet), 0);
        assert_eq!(sys::avcodec_send_packet(context, std::ptr::null()), 0);
        assert_eq!(sys::avcodec_receive_frame(context, frame), 0);
        assert_eq!(((*frame).width, (*frame).height), (320, 192));
        assert_eq!((*frame).colorspace, sys::AVColorSpace_AVCOL_SPC_BT709);
        assert_eq!((*frame).color_range, sys::AVColorRange_AVCOL_RANGE_MPEG);
        let luma = |x: usize, y: usize| {
            i32::from(*(*frame).data[0].add(y * (*frame).linesize[0] as usize + x))
        };
        assert!((luma(80, 96) - 60).abs() <= 3 && (luma(240, 96) - 200).abs() <= 3);
        assert!((i32::from(*(*frame).data[1].add(10)) - 90).abs() <= 3);
        assert!((i32::from(*(*frame).data[2].add(10)) - 170).abs() <= 3);
        sys::av_frame_free(&raw mut frame);
        sys::av_packet_free(&raw mut packet);
        sys::avcodec_free_context(&mut { context });
    }
}

#[test]
fn the_rate_is_constant_whatever_the_picture_and_changes_when_told() {
    for noisy in [true, false] {
        let (_, out) = encode(&spec(), 90, &[], noisy);
        let bits: usize = out.0[30..].iter().map(|packet| packet.0.len() * 8).sum();
        let bps = bits / 2;
        assert!((700_000..=900_000).contains(&bps), "noisy {noisy}: {bps} b/s");
    }
    let spec = spec();
    let pool = Pool::new(Geometry::new(spec.size, spec.format), 2).unwrap();
    let mut encoder = open_video(&spec, &packets()).unwrap();
    let mut out = Collect::default();
    for n in 0..180_usize {
        if n == 60 {
            encoder.set_bitrate(1_600_000).unwrap();
        }
        let mut frame = pool.take().unwrap();
        paint(&mut frame, |x, y| noise(n * 1_000_003 + y * 4_099 + x));
        encoder.encode(frame.freeze(), n as i64, false, &mut out).unwrap();
    }
    encoder.flush(&mut out).unwrap();
    let bits: usize = out.0[120..].iter().map(|packet| packet.0.len() * 8).sum();
    assert!(bits / 2 > 1_200_000, "{} b/s after the change", bits / 2);
}

#[test]
fn with_b_pictures_decode_times_rise_and_come_first() {
    let (_, out) = encode(&VideoSpec { b_frames: 2, ..spec() }, 40, &[], true);
    assert_eq!(out.0.len(), 40);
    assert!(out.0.is_sorted_by(|a, b| a.2 < b.2));
    assert!(out.0.iter().all(|packet| packet.2 <= packet.1));
}

#[test]
fn a_packet_lies_in_the_pool_where_libavcodec_wrote_it() {
    struct Where<'a>(&'a PacketPool, usize);
    impl VideoSink for Where<'_> {
        fn packet(&mut self, packet: VideoPacket) {
            // A pool of one slot per class: the next packet of the class lies in the same place, so
            // had this one been copied there, the codec's own buffer would have been elsewhere.
            assert_eq!(packet.body.as_ptr().align_offset(64), 0);
            self.1 += 1;
        }
    }
    let pool = PacketPool::new(PacketPoolSpec { slots: [2, 2, 2, 2, 0, 0] }).unwrap();
    let frames = Pool::new(Geometry::new(spec().size, PixelFormat::I420), 2).unwrap();
    let mut encoder = open_video(&spec(), &pool).unwrap();
    let mut out = Where(&pool, 0);
    for n in 0..60 {
        let mut frame = frames.take().unwrap();
        paint(&mut frame, |x, y| noise(n * 77_003 + y * 4_099 + x));
        encoder.encode(frame.freeze(), n as i64, false, &mut out).unwrap();
    }
    encoder.flush(&mut out).unwrap();
    assert_eq!((out.1, out.0.heap_packets()), (60, 0));
}

#[test]
fn settings_that_do_not_exist_are_named_with_those_that_do() {
    let wrong = |change: fn(&mut VideoSpec)| {
        let mut spec = spec();
        change(&mut spec);
        open_video(&spec, &packets()).map(|_| ()).unwrap_err()
    };
    for (error, word) in [
        (wrong(|s| s.preset = "quick".to_owned()), "veryfast"),
        (wrong(|s| s.tune = "sport".to_owned()), "zerolatency"),
        (wrong(|s| s.profile = "best".to_owned()), "baseline"),
    ] {
        assert!(matches!(&error, Error::Config(text) if text.contains(word)), "{error}");
    }
}

#[test]
fn a_backend_that_is_not_there_is_passed_over_and_all_reasons_are_told() {
    fn absent(_: &VideoSpec, _: &PacketPool) -> Result<Box<dyn VideoEncoder>, Error> {
        Err(Error::Unavailable("no device".to_owned()))
    }
    fn double(_: &VideoSpec, pool: &PacketPool) -> Result<Box<dyn VideoEncoder>, Error> {
        Ok(Box::new(Probe::new(pool, &std::sync::Arc::default(), 30)))
    }
    let codecs = &[VideoCodec::H264];
    let absent = Candidate { name: "gpu", codecs, open: absent };
    let double = Candidate { name: "probe", codecs, open: double };
    assert_eq!(select(&[absent, double], &spec(), &packets()).unwrap().name(), "probe");
    let error = select(&[absent], &spec(), &packets()).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("gpu: no device") && error.contains("h264"), "{error}");
}

#[test]
fn the_probe_fails_when_it_is_told_to_and_flushes_what_it_held() {
    let log = std::sync::Arc::default();
    let mut probe = Probe::new(&packets(), &log, 2).failing_at(3);
    let pool = Pool::new(Geometry::new(spec().size, PixelFormat::I420), 4).unwrap();
    let mut out = Collect::default();
    for n in 0..3 {
        probe.encode(pool.take().unwrap().freeze(), n, n == 1, &mut out).unwrap();
    }
    let failed = probe.encode(pool.take().unwrap().freeze(), 3, false, &mut out);
    assert!(matches!(failed, Err(Error::Device(_))));
    probe.flush(&mut out).unwrap();
    let keys: Vec<_> = out.0.iter().map(|packet| packet.3).collect();
    assert_eq!(keys, [true, true, true]);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn sound_is_numbered_so_that_it_stays_with_the_picture() {
    let spec = AudioSpec { codec: AudioCodec::Aac, bitrate_bps: 128_000 };
    let mut encoder = open_audio(&spec, &packets()).unwrap();
    let config = aac::Config::parse(encoder.header()).unwrap();
    assert_eq!((config.object_type, config.rate, config.channels), (2, SAMPLE_RATE, 2));
    let mut out = Sounds::default();
    for block in 0..50_u64 {
        let samples: Vec<f32> = (0..1_024 * CHANNELS as u64)
            .map(|n| ((block * 1_024 + n / 2) as f32 * 0.13).sin() * 0.3)
            .collect();
        encoder.encode(&samples, block * 1_024, &mut out).unwrap();
    }
    encoder.flush(&mut out).unwrap();
    let firsts: Vec<_> = out.0.iter().map(|packet| packet.1).collect();
    assert_eq!(firsts[..3], [-1_024, 0, 1_024]);
    let bytes: usize = out.0.iter().map(|packet| packet.0.len()).sum();
    let bps = bytes as f64 * 8.0 * f64::from(SAMPLE_RATE) / (out.0.len() as f64 * 1_024.0);
    assert!((100_000.0..=160_000.0).contains(&bps), "{bps} b/s");
}
