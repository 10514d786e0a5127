//! Stream ingest: messages of a source on their way into its stream are told apart, their times
//! repaired, and missing headers made.

use super::directory::Streams;
use super::stream::Stream;
use crate::event::NodeEvent;
use crate::frame::PacketBuf;
use crate::media::{Kind, Stamps};
use crate::rtmp::flv::TagInfo;
use crate::shard::context::Context;
use crate::shard::stream_id::StreamId;
use crate::stream::{Flags, Inspection, Message, SILENCE_FRAME, SILENCE_HEADER};

impl Streams {
    /// Takes a message of the source of stream `id`, with the time that it stamped it with. False
    /// if the stream feeds itself: the source is to be ended.
    #[must_use]
    pub(in crate::shard) fn ingest(
        &mut self,
        cx: &mut Context,
        id: StreamId,
        flags: Flags,
        (kind, time, body): (Kind, u32, PacketBuf),
    ) -> bool {
        let Some(stream) = self.table.get_mut(id) else { return true };
        // Of further tracks it counts that they come.
        let told = if flags.track() == 0 { flags } else { Flags::HEADER };
        stream.health.message(kind, time, told, cx.now);
        stream.note_origin(cx, kind, flags, &body);
        match stream.in_band.inspect(kind, flags, &body) {
            Inspection::Usual => {}
            Inspection::Less => return true,
            Inspection::Header(header) => {
                let made = (kind, time, PacketBuf::copy_of(&header));
                let _no_media = self.pass_in(cx, id, Flags::header_of(flags.track()), made);
            }
            Inspection::Missing => cx.report_node(missing(stream, kind, &body)),
        }
        self.pass_in(cx, id, flags, (kind, time, body))
    }

    fn pass_in(
        &mut self,
        cx: &Context,
        id: StreamId,
        flags: Flags,
        (kind, came, body): (Kind, u32, PacketBuf),
    ) -> bool {
        let Some(stream) = self.table.get_mut(id) else { return true };
        let time = match flags {
            flags if flags.is_header() => stream.repair.repair_header(kind, came),
            _ => stream.repair.repair(kind, came),
        };
        let is_media = kind != Kind::Data && !flags.is_header();
        if is_media && stream.loops.passes(came, time, &body) {
            return false;
        }
        if kind == Kind::Audio
            && let Some(silence) = &mut stream.silence
        {
            silence.stop();
        }
        let stamps = stream.delivery.published(stream.log.end(), body.began(), cx.stamp());
        let message = Message::new(kind, time, flags, body, cx.spec.chunk_size);
        self.publish(cx, id, message, (cx.now, stamps));
        if kind == Kind::Video && is_media {
            self.fill_audio(cx, id, time);
        }
        true
    }

    /// Gives a stream without audio silence up to the time of its newest picture.
    fn fill_audio(&mut self, cx: &Context, id: StreamId, newest: u32) {
        while let Some(stream) = self.table.get_mut(id)
            && let Some((time, is_first)) =
                stream.silence.as_mut().and_then(|silence| silence.next(newest))
        {
            stream.repair.reserve(Kind::Audio, time);
            let header = is_first.then_some((Flags::HEADER, SILENCE_HEADER));
            for (flags, bytes) in header.into_iter().chain([(Flags::default(), SILENCE_FRAME)]) {
                let mut body = cx.packets.take(bytes.len());
                body.extend(bytes);
                let message = Message::new(Kind::Audio, time, flags, body, cx.spec.chunk_size);
                self.publish(cx, id, message, (cx.now, Stamps::default()));
            }
        }
    }
}

/// That a track cannot be decoded.
fn missing(stream: &Stream, kind: Kind, body: &[u8]) -> NodeEvent {
    let codec = TagInfo::of(kind, body).and_then(|info| info.format);
    let codec = codec.map_or_else(|| "unknown codec".to_owned(), |codec| codec.to_string());
    NodeEvent::StreamWarning {
        stream: stream.name.to_string(),
        code: "sequence_header",
        text: format!(
            "its {codec} comes without a sequence header, and none can be made of its frames: \
             players and recordings cannot decode it; restart the encoder, or let it send its \
             headers before its frames"
        ),
    }
}
