//! libx264 by libavcodec: constant bitrate, closed GOPs of a fixed length, BT.709 said in the
//! bitstream.

use super::codec::Codec;
use super::picture::{fill_in, lend, set_rate};
use crate::encode::backend::gaps::Gaps;
use crate::encode::backend::geometry::check_geometry;
use crate::encode::backend::options::{PRESETS, ZERO_LATENCY, bitrate, check, header, longest_gap};
use crate::encode::{Error, Speed, VideoEncoder, VideoPacket, VideoSink, VideoSpec};
use crate::ffi::sys;
use crate::frame::{FrozenFrame, Geometry, PacketPool};
use crate::media::{FrameRate, h264};

/// From this preset on x264 weighs all ways to place B-pictures, for which it looks further ahead.
const TRELLIS_PRESETS: [&str; 3] = ["slower", "veryslow", "placebo"];

/// Opens libx264.
pub(in crate::encode) fn open(
    spec: &VideoSpec,
    pool: &PacketPool,
) -> Result<Box<dyn VideoEncoder>, Error> {
    Ok(Box::new(X264::open(spec, pool)?))
}

/// Pictures that x264 takes before it gives the first packet, by the rules of its own set-up: it
/// looks ahead, shares pictures out to threads, and waits for the next one's time.
fn delay(spec: &VideoSpec) -> u32 {
    if spec.tune == ZERO_LATENCY {
        return 0;
    }
    let threads = u32::from(spec.threads.max(1));
    let baseline = spec.profile == "baseline";
    let b_frames = if baseline { 0 } else { u32::from(spec.b_frames) };
    let b_frames = b_frames.min(spec.gop_frames.saturating_sub(1));
    let trellis = TRELLIS_PRESETS.contains(&spec.preset.as_str());
    let placing = if trellis && b_frames > 0 { b_frames.max(3) * 4 } else { b_frames };
    let preset = PRESETS.iter().find(|(name, _)| *name == spec.preset);
    let second = spec.rate.num() / spec.rate.den();
    let ahead = preset.map_or(0, |(_, ahead)| *ahead).min(spec.gop_frames.max(second));
    let synchronising = if threads > 1 { b_frames + 1 } else { 0 };
    placing.max(ahead) + threads - 1 + synchronising + 1
}

pub(super) struct X264 {
    codec: Codec,
    header: Vec<u8>,
    /// What every picture must look like: x264 reads by these numbers, whatever it is handed.
    geometry: Geometry,
    delay: u32,
    rate: FrameRate,
    gaps: Gaps,
}

impl VideoEncoder for X264 {
    fn name(&self) -> &'static str {
        "libx264"
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
        let av = self.codec.frame_mut();
        av.pts = self.gaps.number(pts);
        av.pict_type = if force_key { sys::AV_PICTURE_TYPE_I } else { sys::AV_PICTURE_TYPE_NONE };
        self.codec.send_away()?;
        self.drain(sink)
    }

    fn flush(&mut self, sink: &mut dyn VideoSink) -> Result<(), Error> {
        self.codec.finish()?;
        self.drain(sink)
    }

    fn forces_keyframes(&self) -> bool {
        true
    }

    fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<(), Error> {
        let bitrate = bitrate("libx264", bitrate_bps)?;
        // libavcodec compares its context with x264's own numbers before each picture.
        set_rate(self.codec.context_mut(), bitrate, self.rate);
        self.gaps.set_longest(longest_gap(bitrate_bps, self.rate));
        Ok(())
    }

    fn speeds(&self) -> &[Speed] {
        &[]
    }

    fn set_speed(&mut self, _step: usize) -> Result<(), Error> {
        Err(Error::Config("libavcodec does not change the speed of a running libx264".to_owned()))
    }
}

impl X264 {
    pub(super) fn open(spec: &VideoSpec, pool: &PacketPool) -> Result<Self, Error> {
        let bitrate = check(spec)?;
        let mut options = vec![
            (c"preset", spec.preset.clone()),
            (c"forced-idr", "1".to_owned()),
            // Lengths instead of start codes, keyframes where we say and nowhere else, and filler
            // up to the constant rate.
            (c"x264-params", "annexb=0:scenecut=0:filler=1".to_owned()),
        ];
        for (key, value) in [(c"tune", &spec.tune), (c"profile", &spec.profile)] {
            if !value.is_empty() {
                options.push((key, value.clone()));
            }
        }
        let setup = |context: &mut sys::AVCodecContext| {
            fill_in(context, spec);
            // Threads share out pictures, which delays them, or slices of one, which does not.
            context.thread_type = if spec.tune == ZERO_LATENCY {
                sys::FF_THREAD_SLICE.cast_signed()
            } else {
                sys::FF_THREAD_FRAME.cast_signed()
            };
            set_rate(context, bitrate, spec.rate);
        };
        let codec = Codec::open(c"libx264", pool, setup, &options)?;
        let header = header(codec.extradata())
            .ok_or_else(|| Error::Unavailable("libx264 gave no parameter sets".to_owned()))?;
        let geometry = Geometry::new(spec.size, spec.format);
        let gaps = Gaps::new(longest_gap(spec.bitrate_bps, spec.rate));
        Ok(Self { codec, header, geometry, delay: delay(spec), rate: spec.rate, gaps })
    }

    fn drain(&mut self, sink: &mut dyn VideoSink) -> Result<(), Error> {
        while let Some(coded) = self.codec.receive()? {
            let mut body = coded.body;
            // A libx264 that does not know `annexb=0`.
            if body.starts_with(&[0, 0, 0, 1])
                && h264::annex_b_to_lengths(body.as_mut_slice()).is_err()
            {
                body = self.codec.copy(&with_lengths(&body));
            }
            let (pts, dts) = self.gaps.ticks(coded.pts, coded.dts);
            sink.packet(VideoPacket { body, pts, dts, key: coded.key });
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) const fn copied(&self) -> u64 {
        self.codec.copied()
    }
}

/// Annex B with short start codes, which have no room for lengths, as units with lengths.
fn with_lengths(annex_b: &[u8]) -> Vec<u8> {
    let mut lengths = Vec::with_capacity(annex_b.len() + 64);
    for unit in h264::annex_b_units(annex_b) {
        lengths.extend_from_slice(&u32::try_from(unit.len()).unwrap_or(u32::MAX).to_be_bytes());
        lengths.extend_from_slice(unit);
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: [u8; 5] = [0x67, 100, 0, 31, 7];
    const PPS: [u8; 3] = [0x68, 1, 2];

    #[test]
    fn short_start_codes_become_lengths() {
        let codes = [&[0, 0, 0, 1], &SPS[..], &[0, 0, 1], &PPS].concat();
        let lengths = [&[0, 0, 0, 5], &SPS[..], &[0, 0, 0, 3], &PPS].concat();
        assert_eq!(with_lengths(&codes), lengths);
    }
}
