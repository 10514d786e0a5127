//! libx265 and SVT-AV1 by libavcodec: what they are told, and what they cannot do.
//!
//! Neither changes its bitrate or speed while it runs, as libavcodec does not pass it on. Neither
//! fills an easy picture up to the rate. SVT-AV1 encodes without reordering, and gives keyframes at
//! its own interval alone: its low-delay mode refuses to be asked for others.

use std::ffi::c_int;
use std::sync::PoisonError;

use super::codec::Codec;
use super::picture::{describe, fill_in, lend, set_rate};
use crate::encode::backend::geometry::check_geometry;
use crate::encode::backend::options::{bitrate, one_of};
use crate::encode::{Error, Speed, VideoEncoder, VideoPacket, VideoSink, VideoSpec};
use crate::ffi::sys;
use crate::frame::{FrozenFrame, Geometry, PacketPool};
use crate::media::{PixelFormat, VideoCodec, av1, h264, h265};

/// Presets of libx265, which are x264's, and the SVT-AV1 preset that stands for each.
const PRESETS: [(&str, u8); 10] = [
    ("ultrafast", 13),
    ("superfast", 12),
    ("veryfast", 11),
    ("faster", 10),
    ("fast", 9),
    ("medium", 8),
    ("slow", 7),
    ("slower", 6),
    ("veryslow", 5),
    ("placebo", 4),
];

/// Tunings of libx265.
const X265_TUNES: [&str; 6] = ["psnr", "ssim", "grain", "fastdecode", "animation", "zerolatency"];

/// A temporal delimiter, which RTMP leaves out: an OBU of type 2 with a length of 0.
const TEMPORAL_DELIMITER: [u8; 2] = [0x12, 0];

/// Held while SVT-AV1 is opened: it sets up what is the process's, and 2.3 has been seen to crash
/// where two threads did so at once.
#[expect(clippy::disallowed_types, reason = "taken when an encoder is opened, by nobody else")]
static OPENING: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// The bitrate that `spec` asks for, once all that it asks for is something that `library` knows.
fn check(library: &str, tunes: &[&str], spec: &VideoSpec) -> Result<c_int, Error> {
    let presets = PRESETS.map(|(name, _)| name);
    one_of(library, "preset", &spec.preset, &presets)?;
    one_of(library, "tune", &spec.tune, tunes)?;
    one_of(library, "profile", &spec.profile, &["main"])?;
    if spec.format != PixelFormat::I420 {
        return Err(Error::Config(format!("{library} takes pictures in the format I420 alone")));
    }
    bitrate(library, spec.bitrate_bps)
}

/// Opens libx265.
pub(in crate::encode) fn open_x265(
    spec: &VideoSpec,
    pool: &PacketPool,
) -> Result<Box<dyn VideoEncoder>, Error> {
    let rate = check("libx265", &X265_TUNES, spec)?;
    let parameters = format!(
        "annexb=0:scenecut=0:open-gop=0:frame-threads=1:pools={}:log-level=none",
        spec.threads.max(1)
    );
    let mut options = vec![
        (c"preset", spec.preset.clone()),
        (c"forced-idr", "1".to_owned()),
        (c"x265-params", parameters),
    ];
    if !spec.tune.is_empty() {
        options.push((c"tune", spec.tune.clone()));
    }
    let setup = |context: &mut sys::AVCodecContext| {
        fill_in(context, spec);
        set_rate(context, rate, spec.rate);
    };
    let codec = Codec::open(c"libx265", pool, setup, &options)?;
    Ok(Box::new(Software::new("libx265", codec, hevc_header, spec)?))
}

/// Opens SVT-AV1. The presets are x264's words for its numbers.
pub(in crate::encode) fn open_svt_av1(
    spec: &VideoSpec,
    pool: &PacketPool,
) -> Result<Box<dyn VideoEncoder>, Error> {
    let rate = check("SVT-AV1", &["zerolatency"], spec)?;
    if spec.b_frames > 0 {
        let text = "b_frames: SVT-AV1 encodes live without reordering; leave it at 0";
        return Err(Error::Config(text.to_owned()));
    }
    let number = PRESETS.iter().find(|(name, _)| *name == spec.preset).map_or(12, |(_, n)| *n);
    let options = [
        (c"preset", number.to_string()),
        // Low delay, constant bitrate, which libavcodec does not ask for by itself.
        (c"svtav1-params", format!("pred-struct=1:rc=2:lp={}", spec.threads.max(1))),
    ];
    let setup = |context: &mut sys::AVCodecContext| {
        fill_in(context, spec);
        // With a highest rate that is the mean one, it does not open.
        context.bit_rate = rate.into();
    };
    let one_at_a_time = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    let codec = Codec::open(c"libsvtav1", pool, setup, &options)?;
    drop(one_at_a_time);
    Ok(Box::new(Software::new("libsvtav1", codec, av1_header, spec)?))
}

/// An open encoder of either library.
pub(super) struct Software {
    name: &'static str,
    codec: Codec,
    header: Vec<u8>,
    is_av1: bool,
    /// What every picture must look like: libraries read by these numbers, whatever they are given.
    geometry: Geometry,
    /// Pictures that had gone in when the first came out, or so far.
    delay: u32,
    has_begun: bool,
    /// Whether it was given a picture.
    has_taken: bool,
}

impl VideoEncoder for Software {
    fn name(&self) -> &'static str {
        self.name
    }

    fn header(&self) -> &[u8] {
        &self.header
    }

    fn delay_frames(&self) -> u32 {
        self.delay
    }

    fn encode(
        &mut self,
        frame: FrozenFrame,
        pts: i64,
        force_key: bool,
        sink: &mut dyn VideoSink,
    ) -> Result<(), Error> {
        check_geometry(&frame, &self.geometry)?;
        lend(self.codec.frame_mut(), frame)?;
        let key = force_key && self.forces_keyframes();
        let av = self.codec.frame_mut();
        av.pts = pts;
        av.pict_type = if key { sys::AV_PICTURE_TYPE_I } else { sys::AV_PICTURE_TYPE_NONE };
        self.has_taken = true;
        self.codec.send_away()?;
        self.drain(sink)?;
        if !self.has_begun {
            self.delay += 1;
        }
        Ok(())
    }

    fn flush(&mut self, sink: &mut dyn VideoSink) -> Result<(), Error> {
        if !self.has_taken {
            return Ok(());
        }
        self.codec.finish()?;
        self.drain(sink)
    }

    fn forces_keyframes(&self) -> bool {
        !self.is_av1
    }

    fn set_bitrate(&mut self, _bitrate_bps: u32) -> Result<(), Error> {
        let name = self.name;
        Err(Error::Config(format!("libavcodec does not change the bitrate of a running {name}")))
    }

    fn speeds(&self) -> &[Speed] {
        &[]
    }

    fn set_speed(&mut self, _step: usize) -> Result<(), Error> {
        let name = self.name;
        Err(Error::Config(format!("libavcodec does not change the speed of a running {name}")))
    }
}

impl Software {
    fn new(
        name: &'static str,
        codec: Codec,
        header: fn(&[u8]) -> Option<Vec<u8>>,
        spec: &VideoSpec,
    ) -> Result<Self, Error> {
        let header = header(codec.extradata())
            .ok_or_else(|| Error::Unavailable(format!("{name} gave no parameter sets")))?;
        let is_av1 = spec.codec == VideoCodec::Av1;
        let geometry = Geometry::new(spec.size, spec.format);
        Ok(Self {
            name,
            codec,
            header,
            is_av1,
            geometry,
            delay: 0,
            has_begun: false,
            has_taken: false,
        })
    }

    /// SVT-AV1 1.4 waits for ever at its end if it was never given a picture: it gets a black one.
    fn take_one(&mut self) {
        if !self.is_av1 || self.has_taken {
            return;
        }
        let av = self.codec.frame_mut();
        describe(av, &self.geometry);
        // SAFETY: the frame is ours; its size and format are set.
        let code = unsafe { sys::av_frame_get_buffer(av, 0) };
        if code < 0 {
            return;
        }
        for (index, plane) in self.geometry.planes().iter().enumerate() {
            let bytes = av.linesize[index].unsigned_abs() as usize * plane.rows;
            // SAFETY: libavutil has just made planes of so many lines, each so many bytes long.
            unsafe { av.data[index].write_bytes(if index == 0 { 16 } else { 128 }, bytes) };
        }
        av.pts = 0;
        drop(self.codec.send_away());
    }

    fn drain(&mut self, sink: &mut dyn VideoSink) -> Result<(), Error> {
        while let Some(coded) = self.codec.receive()? {
            self.has_begun = true;
            let mut body = coded.body;
            if self.is_av1 && body.starts_with(&TEMPORAL_DELIMITER) {
                body.skip(TEMPORAL_DELIMITER.len());
            }
            sink.packet(VideoPacket { body, pts: coded.pts, dts: coded.dts, key: coded.key });
        }
        Ok(())
    }
}

impl Drop for Software {
    fn drop(&mut self) {
        self.take_one();
    }
}

/// The record out of libx265's parameter sets, which have lengths or start codes.
fn hevc_header(extradata: &[u8]) -> Option<Vec<u8>> {
    match extradata {
        [0, 0, 1, ..] | [0, 0, 0, 1, ..] => {
            let units: Vec<_> = h264::annex_b_units(extradata).collect();
            h265::config(&units.into_iter())
        }
        _ => h265::config(&h264::whole_units(extradata)),
    }
}

/// The record out of SVT-AV1's sequence header, unless libavcodec has made one itself.
fn av1_header(extradata: &[u8]) -> Option<Vec<u8>> {
    const MARKER_AND_VERSION: u8 = 0x81;
    match extradata {
        [MARKER_AND_VERSION, ..] => Some(extradata.to_vec()),
        _ => av1::config(extradata),
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "small numbers, and gradients that wrap")]
mod tests {
    use super::*;
    use crate::encode::backend::fixture::{Collect, encode, packets, paint, pictures_of, spec};

    fn spec_of(codec: VideoCodec) -> VideoSpec {
        VideoSpec { codec, profile: String::new(), ..spec() }
    }

    fn open(spec: &VideoSpec) -> Box<dyn VideoEncoder> {
        let pool = packets();
        match spec.codec {
            VideoCodec::Av1 => open_svt_av1(spec, &pool),
            _ => open_x265(spec, &pool),
        }
        .unwrap()
    }

    #[test]
    fn pictures_of_newer_codecs_are_decoded_with_their_size_colours_tags_and_times() {
        for (codec, id) in
            [(VideoCodec::Hevc, sys::AV_CODEC_ID_HEVC), (VideoCodec::Av1, sys::AV_CODEC_ID_AV1)]
        {
            let spec = spec_of(codec);
            let mut encoder = open(&spec);
            let out = encode(&mut *encoder, &spec, 20, |frame, n| {
                paint(frame, |x, _| if x < 160 { 60 } else { 150 });
                n == 0
            });
            assert_eq!(out.0.len(), 20, "{codec:?}");
            assert!(out.0.iter().all(|packet| packet.dts <= packet.pts));
            let decoded = pictures_of(id, &*encoder, &out);
            assert_eq!(decoded.len(), 20);
            for (n, picture) in decoded.iter().enumerate() {
                assert_eq!((picture.pts, picture.size), (n as i64, (320, 192)));
                assert_eq!(picture.tags, (sys::AVCOL_SPC_BT709, sys::AVCOL_RANGE_MPEG));
                let [left, right] = [20, 300].map(|x| i32::from(picture.planes[0][x]));
                assert!((left - 60).abs() < 8 && (right - 150).abs() < 8, "{left} {right}");
                assert!((i32::from(picture.planes[1][50]) - 90).abs() < 8);
            }
        }
    }

    #[test]
    fn an_encoder_that_was_never_given_a_picture_ends_as_others_do() {
        for codec in [VideoCodec::Hevc, VideoCodec::Av1] {
            drop(open(&spec_of(codec)));
            let mut encoder = open(&spec_of(codec));
            encoder.flush(&mut Collect::default()).unwrap();
        }
    }

    #[test]
    fn keyframes_come_at_the_interval_and_where_the_library_can_also_when_asked() {
        for (codec, keys) in
            [(VideoCodec::Hevc, &[0, 30, 40, 70][..]), (VideoCodec::Av1, &[0, 30, 60, 90])]
        {
            let spec = spec_of(codec);
            let mut encoder = open(&spec);
            let out = encode(&mut *encoder, &spec, 95, |frame, n| {
                paint(frame, |x, y| if n / 7 % 2 == 0 { x as u8 } else { y as u8 });
                n == 40
            });
            let came: Vec<_> =
                out.0.iter().filter(|packet| packet.key).map(|packet| packet.pts).collect();
            assert_eq!((came, encoder.forces_keyframes()), (keys.to_vec(), keys.contains(&40)));
        }
    }

    #[test]
    fn units_are_as_rtmp_carries_them() {
        let spec = spec_of(VideoCodec::Hevc);
        let mut encoder = open(&spec);
        let out = encode(&mut *encoder, &spec, 3, |_, _| false);
        for packet in &out.0 {
            assert!(h264::whole_units(&packet.bytes).count() > 0, "lengths and no start codes");
        }
        let spec = spec_of(VideoCodec::Av1);
        let mut encoder = open(&spec);
        let out = encode(&mut *encoder, &spec, 3, |_, _| false);
        for packet in &out.0 {
            assert!(!packet.bytes.is_empty() && !packet.bytes.starts_with(&TEMPORAL_DELIMITER));
        }
        assert!(av1::config(&out.0[0].bytes).is_some(), "a keyframe has its sequence header");
    }

    #[test]
    fn what_a_library_does_not_do_is_refused_with_what_it_does() {
        let refused = |change: fn(&mut VideoSpec), codec| {
            let mut spec = spec_of(codec);
            change(&mut spec);
            let opened = match codec {
                VideoCodec::Av1 => open_svt_av1(&spec, &packets()),
                _ => open_x265(&spec, &packets()),
            };
            let Err(Error::Config(text)) = opened else { panic!("it opened") };
            text
        };
        let film = |spec: &mut VideoSpec| "film".clone_into(&mut spec.tune);
        assert!(refused(film, VideoCodec::Hevc).contains("libx265 knows psnr, ssim, grain"));
        assert!(refused(film, VideoCodec::Av1).contains("SVT-AV1 knows zerolatency"));
        let high = |spec: &mut VideoSpec| "high".clone_into(&mut spec.profile);
        assert!(refused(high, VideoCodec::Hevc).contains("knows main"));
        assert!(refused(|spec| spec.b_frames = 2, VideoCodec::Av1).contains("leave it at 0"));
        assert!(refused(|spec| spec.format = PixelFormat::Nv12, VideoCodec::Hevc).contains("I420"));
        for codec in [VideoCodec::Hevc, VideoCodec::Av1] {
            let mut encoder = open(&spec_of(codec));
            assert!(matches!(encoder.set_bitrate(1_000_000), Err(Error::Config(_))));
            assert!(matches!(encoder.set_speed(0), Err(Error::Config(_))));
        }
    }
}
