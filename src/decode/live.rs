//! Live decoder: a published stream, message by message.

#[cfg(any(test, fuzzing))]
use super::Counters;
use super::DecodeSink;
use super::av::{Decoder, Packet, Setup};
use super::error::Error;
use super::playout::{LiveSpec, Playout};
use super::tag::{Codec, Payload};
use crate::ffi::sys as ffi;
use crate::flv::Format;
use crate::frame::{AudioBlock, FrozenFrame, PictureEvent};
use crate::media::{Kind, Micros};

/// The first picture of what a decoder gives.
struct FirstPicture(Option<FrozenFrame>);

impl DecodeSink for FirstPicture {
    fn picture(&mut self, picture: PictureEvent) {
        if let PictureEvent::Picture { frame, .. } = picture {
            self.0.get_or_insert(frame);
        }
    }

    fn audio(&mut self, _block: &AudioBlock) {}
}

/// Largest message that is decoded, bytes. A bigger one is counted as damage.
const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// Most pixels of a published picture: 4096 x 2304. A decoder keeps up to 17 of them.
const PIXELS_MAX: i64 = 4_096 * 2_304;

/// The H.264 profile without reordered pictures.
const PROFILE_BASELINE: u8 = 66;

/// Decodes the pictures and the audio of a published stream: H.264, HEVC, AV1, VP8 and VP9; AAC,
/// MP3, Opus, FLAC, AC-3 and E-AC-3.
///
/// Whatever a publisher sends is survived: what cannot be decoded is counted, and decoding goes on
/// at the next keyframe.
#[derive(Debug)]
pub struct Live {
    video: Track,
    audio: Track,
    playout: Playout,
    threads: u32,
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
        let threads = spec.threads;
        let playout = Playout::new(spec);
        Self { video: Track::default(), audio: Track::default(), playout, threads }
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
            Payload::Header(..) => self.playout.timeline.expect(is_video),
            Payload::Frame { .. } => {
                return Some(self.playout.timeline.arrived(time_ms, arrived, is_video));
            }
            Payload::Nothing | Payload::Other(_) => {}
        }
        None
    }

    /// From when on a message with this time is to be decoded: what is ahead of the other kind
    /// waits for it, encoded, because there is little room for what is decoded.
    #[must_use]
    pub fn decode_at(&self, kind: Kind, time: i64) -> Micros {
        self.playout.decode_at(kind, time)
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
            self.playout.counters.damaged += 1;
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

    /// The picture of a keyframe by itself: decodes these messages, its sequence header and it,
    /// each with its kind, time and body, and forgets them. `None` if no picture comes of them.
    ///
    /// # Errors
    /// As [`Live::decode`] for the first message that cannot be decoded.
    pub fn keyframe<'a>(
        &mut self,
        messages: impl IntoIterator<Item = (Kind, u32, &'a [u8])>,
    ) -> Result<Option<FrozenFrame>, Error> {
        let mut first = FirstPicture(None);
        let decoded = messages.into_iter().try_for_each(|(kind, time, body)| {
            let time = self.arrived(kind, time, body, Micros(0));
            self.decode(kind, time, body, &mut first)
        });
        self.ended(&mut first);
        decoded.map(|()| first.0)
    }

    /// The publisher has left: hands on what is left of its pictures and audio, then
    /// [`crate::frame::PictureEvent::Ended`]. Another publisher may follow.
    pub fn ended(&mut self, out: &mut dyn DecodeSink) {
        self.playout.ended(self.video.decoder.as_mut(), out);
        for track in [&mut self.video, &mut self.audio] {
            *track = Track::default();
        }
    }

    /// What was done since it was made.
    #[cfg(any(test, fuzzing))]
    #[must_use]
    pub const fn counters(&self) -> Counters {
        Counters { resyncs: self.playout.timeline.resyncs(), ..self.playout.counters }
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
        self.playout.drain(self.video.decoder.as_mut(), out);
        self.playout.await_key = true;
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
        self.playout.picture(decoder, Packet::copy_of(data, pts, dts), key, out)
    }

    fn audio(&mut self, data: &[u8], time: i64, out: &mut dyn DecodeSink) {
        let Some(decoder) = &mut self.audio.decoder else { return };
        self.playout.audio(decoder, Packet::copy_of(data, time, time), time, out);
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
