//! Live decoder: a published stream, message by message.

use super::av::{Decoder, Packet, Received, Setup};
use super::convert::Converter;
use super::error::Error;
use super::resampler::AudioResampler;
use super::tag::{Codec, Payload};
use super::timeline::Timeline;
use super::{Counters, DecodeSink, QUEUE_PICTURES, Queue, Scale};
use crate::ffi::sys as ffi;
use crate::flv::Format;
use crate::frame::PictureEvent;
use crate::media::{Kind, Micros, PixelFormat};

/// How long after its arrival a picture is shown, unless the spec says otherwise.
const LATENCY: Micros = Micros::from_millis(200);

/// Largest message that is decoded, bytes. A bigger one is counted as damage.
const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// Most pixels of a published picture: 4096 x 2304. A decoder keeps up to 17 of them.
const PIXELS_MAX: i64 = 4_096 * 2_304;

/// The H.264 profile without reordered pictures.
const PROFILE_BASELINE: u8 = 66;

/// How to show a published stream.
pub struct LiveSpec {
    /// Size of its pictures on the canvas.
    pub scale: Scale,
    /// Format of the canvas.
    pub format: PixelFormat,
    /// Time from the arrival of something to its showing; hides the jitter of the network and the
    /// time that decoding takes.
    pub latency: Micros,
    /// Threads its decoder may use, at least 1.
    pub threads: u32,
    /// Pictures that may wait for their reader, by the size that they are made at: no less than the
    /// latency holds.
    pub queue: Queue,
}

impl LiveSpec {
    /// 200 ms of latency, one thread, for an I420 canvas.
    #[must_use]
    pub fn new(scale: Scale) -> Self {
        Self {
            scale,
            format: PixelFormat::I420,
            latency: LATENCY,
            threads: 1,
            queue: Box::new(|_| QUEUE_PICTURES),
        }
    }
}

/// Decodes the pictures and the audio of a published stream: H.264, HEVC, AV1, VP8 and VP9; AAC,
/// MP3, Opus, FLAC, AC-3 and E-AC-3.
///
/// Whatever a publisher sends is survived: what cannot be decoded is counted, and decoding goes on
/// at the next keyframe.
#[derive(Debug)]
pub struct Live {
    video: Track,
    audio: Track,
    pictures: Converter,
    resampler: AudioResampler,
    timeline: Timeline,
    threads: u32,
    /// No picture is decoded before a keyframe.
    await_key: bool,
    counters: Counters,
}

/// The decoder of one kind with the header it was opened with.
#[derive(Debug, Default)]
struct Track {
    decoder: Option<Decoder>,
    codec: Option<Codec>,
    header: Vec<u8>,
    /// The publisher's other codec was reported.
    reported: bool,
}

impl Live {
    /// A decoder that waits for the stream's headers.
    #[must_use]
    pub fn new(spec: LiveSpec) -> Self {
        Self {
            video: Track::default(),
            audio: Track::default(),
            pictures: Converter::new(spec.scale, spec.format, spec.queue),
            resampler: AudioResampler::new(true),
            timeline: Timeline::new(spec.latency),
            threads: spec.threads,
            await_key: true,
            counters: Counters::default(),
        }
    }

    /// Takes note of a message that has arrived: the body of an FLV tag with its own header bytes,
    /// and the time it carries. Gives its time for [`Live::decode`]; headers have none.
    pub fn arrived(
        &mut self,
        kind: Kind,
        time_ms: u32,
        body: &[u8],
        arrived: Micros,
    ) -> Option<i64> {
        let is_video = kind == Kind::Video;
        match Payload::of(kind, body) {
            Payload::Header(..) => self.timeline.expect(is_video),
            Payload::Frame { .. } => {
                return Some(self.timeline.arrived(time_ms, arrived, is_video));
            }
            Payload::Nothing | Payload::Other(_) => {}
        }
        None
    }

    /// From when on a message with this time is to be decoded: what is ahead of the other kind
    /// waits for it, encoded, because there is little room for what is decoded.
    #[must_use]
    pub fn decode_at(&self, kind: Kind, time: i64) -> Micros {
        let at = self.timeline.decode_at(time, kind == Kind::Video);
        Micros(u64::try_from(at).unwrap_or(0))
    }

    /// Decodes one message, with the time that [`Live::arrived`] gave. Messages of each kind come
    /// in their order. Hands on what is finished.
    ///
    /// # Errors
    /// [`Error::Unsupported`] once for each kind that uses another codec, [`Error::Decoder`] for a
    /// header that makes no sense, [`Error::Memory`] if there is none for pictures. After any of
    /// them the next message may be handed in.
    pub fn decode(
        &mut self,
        kind: Kind,
        time: Option<i64>,
        body: &[u8],
        out: &mut dyn DecodeSink,
    ) -> Result<(), Error> {
        let time = time.unwrap_or(0);
        if body.len() > MESSAGE_BYTES_MAX {
            self.counters.damaged += 1;
            return Ok(());
        }
        let is_video = kind == Kind::Video;
        match Payload::of(kind, body) {
            Payload::Header(codec, header) if is_video => self.video_header(codec, header, out),
            Payload::Header(codec, header) => self.audio_header(codec, header),
            Payload::Frame { codec, key, composition_ms, data } if is_video => {
                if key && self.video.lacks_decoder(codec) {
                    self.video_header(codec, &[], out)?;
                }
                let pts = time.saturating_add(i64::from(composition_ms));
                self.picture(key, data, [pts, time], out)
            }
            Payload::Frame { codec, data, .. } => {
                if self.audio.lacks_decoder(codec) {
                    self.audio_header(codec, &[])?;
                }
                self.audio(data, time, out);
                Ok(())
            }
            Payload::Nothing => Ok(()),
            Payload::Other(format) if is_video => {
                self.video.report(format, "H.264, HEVC, AV1 or VP9")
            }
            Payload::Other(format) => self.audio.report(format, "AAC or Opus"),
        }
    }

    /// The publisher has left: hands on what is left of its pictures and audio, then
    /// [`PictureEvent::Ended`]. Another publisher may follow.
    pub fn ended(&mut self, out: &mut dyn DecodeSink) {
        self.drain_video(out);
        while let Some(block) = self.resampler.pop(true) {
            out.audio(block);
            self.counters.blocks += 1;
        }
        self.resampler.reset();
        self.timeline.reset();
        self.await_key = true;
        for track in [&mut self.video, &mut self.audio] {
            *track = Track::default();
        }
        out.picture(PictureEvent::Ended);
    }

    /// What was done since it was made.
    #[cfg(any(test, fuzzing))]
    #[must_use]
    pub const fn counters(&self) -> Counters {
        Counters { resyncs: self.timeline.resyncs(), ..self.counters }
    }

    fn video_header(
        &mut self,
        codec: Codec,
        header: &[u8],
        out: &mut dyn DecodeSink,
    ) -> Result<(), Error> {
        if self.video.has(codec, header) {
            return Ok(()); // some publishers repeat it every second
        }
        self.drain_video(out);
        self.await_key = true;
        let setup = Setup {
            threads: self.threads,
            slices_only: true,
            low_delay: codec.id == ffi::AV_CODEC_ID_H264
                && header.get(1) == Some(&PROFILE_BASELINE),
            pixels_max: PIXELS_MAX,
            keeps_alpha: false,
        };
        self.video.open(codec, header, setup)
    }

    fn audio_header(&mut self, codec: Codec, header: &[u8]) -> Result<(), Error> {
        if self.audio.has(codec, header) {
            return Ok(());
        }
        let setup = Setup {
            threads: 1,
            slices_only: true,
            low_delay: false,
            pixels_max: PIXELS_MAX,
            keeps_alpha: false,
        };
        self.audio.open(codec, header, setup)
    }

    fn picture(
        &mut self,
        key: bool,
        data: &[u8],
        [pts, dts]: [i64; 2],
        out: &mut dyn DecodeSink,
    ) -> Result<(), Error> {
        let Some(decoder) = &mut self.video.decoder else { return Ok(()) };
        if self.await_key && !key {
            return Ok(());
        }
        self.await_key = false;
        let sent = Packet::copy_of(data, pts, dts).and_then(|mut p| decoder.send(Some(&mut p)));
        if sent.is_err() {
            self.damaged_video();
            return Ok(());
        }
        self.receive_pictures(out)
    }

    fn receive_pictures(&mut self, out: &mut dyn DecodeSink) -> Result<(), Error> {
        loop {
            let Some(decoder) = &mut self.video.decoder else { return Ok(()) };
            match decoder.receive() {
                Ok(Received::Frame) => {}
                Ok(Received::Hungry | Received::End) => return Ok(()),
                Err(_damage) => {
                    self.damaged_video();
                    return Ok(());
                }
            }
            let picture = decoder.frame();
            let Some(time) = picture.time() else { continue };
            let at = Micros(u64::try_from(self.timeline.at(time)).unwrap_or(0));
            match self.pictures.convert(decoder) {
                Ok(Some(frame)) => {
                    self.counters.pictures += 1;
                    out.picture(PictureEvent::Picture { frame, at });
                }
                Ok(None) => self.counters.pool_empty += 1,
                Err(Error::Decoder(_damage)) => self.counters.damaged += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn damaged_video(&mut self) {
        self.counters.damaged += 1;
        self.await_key = true;
        if let Some(decoder) = &mut self.video.decoder {
            decoder.flush();
        }
    }

    /// Hands on the pictures the decoder still holds.
    fn drain_video(&mut self, out: &mut dyn DecodeSink) {
        let Some(decoder) = &mut self.video.decoder else { return };
        if decoder.send(None).is_ok() && self.receive_pictures(out).is_err() {
            self.counters.damaged += 1;
        }
    }

    fn audio(&mut self, data: &[u8], time: i64, out: &mut dyn DecodeSink) {
        let Some(decoder) = &mut self.audio.decoder else { return };
        let mut result =
            Packet::copy_of(data, time, time).and_then(|mut p| decoder.send(Some(&mut p)));
        while result.is_ok() {
            match decoder.receive() {
                Ok(Received::Frame) => {
                    let audio = decoder.frame();
                    let at = self.timeline.at(audio.time().unwrap_or(time));
                    result = self.resampler.push(audio, at);
                    while let Some(block) = self.resampler.pop(false) {
                        out.audio(block);
                        self.counters.blocks += 1;
                    }
                }
                Ok(Received::Hungry | Received::End) => return,
                Err(damage) => result = Err(damage),
            }
        }
        self.counters.damaged += 1;
        decoder.flush();
    }
}

impl Track {
    fn has(&self, codec: Codec, header: &[u8]) -> bool {
        self.decoder.is_some() && self.codec == Some(codec) && self.header == header
    }

    /// Whether its frames can be decoded without a header, and no decoder has been tried for them.
    fn lacks_decoder(&self, codec: Codec) -> bool {
        !codec.needs_header && self.codec != Some(codec)
    }

    fn open(&mut self, codec: Codec, header: &[u8], setup: Setup) -> Result<(), Error> {
        self.decoder = None;
        self.codec = Some(codec);
        self.decoder = Some(Decoder::open(codec.id, header, setup).map_err(Error::Decoder)?);
        self.header.clear();
        self.header.extend_from_slice(header);
        Ok(())
    }

    fn report(&mut self, codec: Format, instead: &'static str) -> Result<(), Error> {
        if std::mem::replace(&mut self.reported, true) {
            return Ok(());
        }
        Err(Error::Unsupported { codec: codec.to_string(), instead })
    }
}

impl std::fmt::Debug for LiveSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LiveSpec(latency {:?}, {} threads)", self.latency, self.threads)
    }
}
