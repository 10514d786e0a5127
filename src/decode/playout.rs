//! Playout of live inputs: what their decoders give, at its time on the node's clock. Streams of
//! this node and inputs from the network share it.

use super::av::{Decoder, Packet, Received};
use super::convert::{Converter, convert_further};
use super::error::{Error, Fault};
use super::resampler::AudioResampler;
use super::timeline::Timeline;
use super::{Counters, DecodeSink, QUEUE_PICTURES, Queue, Scale};
use crate::frame::PictureEvent;
use crate::media::{Kind, Micros, Orientation, PixelFormat};

/// How long after its arrival a picture is shown, unless the spec says otherwise.
const LATENCY: Micros = Micros::from_millis(200);

/// Of live audio all is heard.
const ALWAYS: std::ops::Range<i64> = i64::MIN..i64::MAX;

/// How to show a live input.
pub struct LiveSpec {
    /// Size of its pictures on the canvas.
    pub scale: Scale,
    /// Further sizes that they are made at, each for a reader of its own that nobody waits for.
    pub further: Vec<Scale>,
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
    /// How its pictures are turned and mirrored.
    pub orientation: Orientation,
}

impl LiveSpec {
    /// 200 ms of latency, one thread, for an I420 canvas.
    #[must_use]
    pub fn new(scale: Scale) -> Self {
        Self {
            scale,
            further: Vec::new(),
            format: PixelFormat::I420,
            latency: LATENCY,
            threads: 1,
            queue: Box::new(|_| QUEUE_PICTURES),
            orientation: Orientation::UPRIGHT,
        }
    }
}

/// Pictures and audio of one live input on their way from its decoders to whoever shows them.
#[derive(Debug)]
pub(super) struct Playout {
    pictures: Converter,
    further: Vec<Converter>,
    resampler: AudioResampler,
    pub(super) timeline: Timeline,
    /// No picture is decoded before a keyframe.
    pub(super) await_key: bool,
    pub(super) counters: Counters,
}

impl Playout {
    pub(super) fn new(spec: LiveSpec) -> Self {
        let pictures =
            Converter::new(spec.scale, spec.format, spec.queue).oriented(spec.orientation);
        Self {
            further: pictures.each(spec.further, QUEUE_PICTURES),
            pictures,
            resampler: AudioResampler::new(true),
            timeline: Timeline::new(spec.latency),
            await_key: true,
            counters: Counters::default(),
        }
    }

    /// From when on what has this time, milliseconds, is to be decoded: what is ahead of the other
    /// kind waits for it, encoded, because there is little room for what is decoded.
    pub(super) fn decode_at(&self, kind: Kind, time: i64) -> Micros {
        let at = self.timeline.decode_at(time, kind == Kind::Video);
        Micros(u64::try_from(at).unwrap_or(0))
    }

    /// Decodes a coded picture. After damage, or at the beginning, a keyframe has to come first.
    pub(super) fn picture(
        &mut self,
        decoder: &mut Decoder,
        packet: Result<Packet, Fault>,
        key: bool,
        out: &mut dyn DecodeSink,
    ) -> Result<(), Error> {
        if self.await_key && !key {
            return Ok(());
        }
        self.await_key = false;
        if packet.and_then(|mut packet| decoder.send(Some(&mut packet))).is_err() {
            self.damaged(decoder);
            return Ok(());
        }
        self.receive_pictures(decoder, out)
    }

    fn receive_pictures(
        &mut self,
        decoder: &mut Decoder,
        out: &mut dyn DecodeSink,
    ) -> Result<(), Error> {
        loop {
            match decoder.receive() {
                Ok(Received::Frame) => {}
                Ok(Received::Hungry | Received::End) => return Ok(()),
                Err(_damage) => {
                    self.damaged(decoder);
                    return Ok(());
                }
            }
            let Some(time) = decoder.frame().time() else { continue };
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
            convert_further(&mut self.further, (decoder, at), out);
        }
    }

    fn damaged(&mut self, decoder: &mut Decoder) {
        self.counters.damaged += 1;
        self.await_key = true;
        decoder.flush();
    }

    /// Hands on the pictures that a decoder still holds.
    pub(super) fn drain(&mut self, decoder: Option<&mut Decoder>, out: &mut dyn DecodeSink) {
        let Some(decoder) = decoder else { return };
        if decoder.send(None).is_ok() && self.receive_pictures(decoder, out).is_err() {
            self.counters.damaged += 1;
        }
    }

    /// Decodes coded audio of this time, milliseconds.
    pub(super) fn audio(
        &mut self,
        decoder: &mut Decoder,
        packet: Result<Packet, Fault>,
        time: i64,
        out: &mut dyn DecodeSink,
    ) {
        let mut result = packet.and_then(|mut packet| decoder.send(Some(&mut packet)));
        while result.is_ok() {
            match decoder.receive() {
                Ok(Received::Frame) => {
                    let audio = decoder.frame();
                    let at = self.timeline.at(audio.time().unwrap_or(time));
                    result = self.resampler.push(audio, at, ALWAYS);
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

    /// The source has left: hands on what is left of its pictures and audio, then
    /// [`PictureEvent::Ended`]. Another may follow.
    pub(super) fn ended(&mut self, decoder: Option<&mut Decoder>, out: &mut dyn DecodeSink) {
        self.drain(decoder, out);
        while let Some(block) = self.resampler.pop(true) {
            out.audio(block);
            self.counters.blocks += 1;
        }
        self.resampler.reset();
        self.timeline.reset();
        self.await_key = true;
        out.picture(PictureEvent::Ended);
    }
}

impl std::fmt::Debug for LiveSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LiveSpec(latency {:?}, {} threads)", self.latency, self.threads)
    }
}
