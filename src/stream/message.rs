//! RTMP message as every viewer gets it: serialised once, sent from the same memory to all.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::frame::{Packet, PacketBuf, PacketPool};
use crate::media::Kind;
use crate::rtmp::chunk::{HeaderBytes, MessageHeader};
use crate::rtmp::flv::{Part, TagInfo};

/// Message stream id that all our viewers are given, so that the bytes are the same for each.
pub(super) const STREAM_ID: u32 = 1;

/// What a message means to a reader that must choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    key: bool,
    header: bool,
    /// Of a header: whether a decoder does without it.
    config: bool,
    /// The track that it is of.
    track: u8,
}

impl Flags {
    /// A picture that a decoder can start at.
    pub const KEY: Self = Self::key_of(0);
    /// A sequence header, or `onMetaData`: what a reader needs before anything else.
    pub const HEADER: Self = Self::header_of(0);

    /// What the body of an FLV tag means to readers; `None` if it is too short to be one. A message
    /// with several tracks stands for the one that all players show, if it is among them.
    #[must_use]
    pub fn of(kind: Kind, body: &[u8]) -> Option<Self> {
        let info = TagInfo::of(kind, body)?;
        let track = if info.main { 0 } else { info.track };
        Some(match info {
            TagInfo { header: true, .. } => Self::header_of(track),
            TagInfo { part: Part::Metadata, .. } => Self::config_of(track),
            TagInfo { key: true, .. } => Self::key_of(track),
            _ => Self::frame_of(track),
        })
    }

    /// A frame of a track; 0 is the one that players without multitrack show.
    #[must_use]
    pub const fn frame_of(track: u8) -> Self {
        Self { key: false, header: false, config: false, track }
    }

    /// A picture of a track that a decoder can start at.
    #[must_use]
    pub const fn key_of(track: u8) -> Self {
        Self { key: true, ..Self::frame_of(track) }
    }

    /// The sequence header of a track.
    #[must_use]
    pub const fn header_of(track: u8) -> Self {
        Self { header: true, ..Self::frame_of(track) }
    }

    /// What is said about a track beside its sequence header: colours and light, the layout of
    /// channels. Readers need it before its frames as well.
    #[must_use]
    pub const fn config_of(track: u8) -> Self {
        Self { config: true, ..Self::header_of(track) }
    }

    /// Whether a decoder can start at it.
    #[must_use]
    pub const fn is_key(self) -> bool {
        self.key
    }

    /// See [`Flags::config_of`].
    #[must_use]
    pub const fn is_config(self) -> bool {
        self.config
    }

    /// The track that it is of.
    #[must_use]
    pub const fn track(self) -> u8 {
        self.track
    }

    /// Whether it is a sequence header or metadata.
    #[must_use]
    pub const fn is_header(self) -> bool {
        self.header
    }
}

/// One audio, video or data message in wire form: a type-0 chunk header and the body in one pooled
/// packet, and the type-3 header that goes between the body's chunks.
///
/// The wire form is never stored; [`Message::pieces`] computes which bytes come next.
#[derive(Clone, Debug)]
pub struct Message {
    packet: Packet,
    kind: Kind,
    flags: Flags,
    time: u32,
    header_len: u8,
    chunk_size: u32,
    continuation: HeaderBytes,
}

impl Message {
    /// Puts the chunk header in front of `body`. `time` is in milliseconds modulo 2^32,
    /// `chunk_size` is what the peers were told, at least 1.
    #[must_use]
    pub fn new(kind: Kind, time: u32, flags: Flags, mut body: PacketBuf, chunk_size: u32) -> Self {
        let header = header(kind, time, body.len(), STREAM_ID);
        let first = header.first();
        body.prepend(&first);
        Self {
            packet: body.freeze(),
            kind,
            flags,
            time,
            header_len: u8::try_from(first.len()).unwrap_or(u8::MAX),
            chunk_size: chunk_size.max(1),
            continuation: header.continuation(),
        }
    }

    /// Audio, video or data.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Milliseconds modulo 2^32.
    #[must_use]
    pub const fn time(&self) -> u32 {
        self.time
    }

    /// Whether a decoder can start here.
    #[must_use]
    pub const fn is_key(&self) -> bool {
        self.flags.key
    }

    /// What it means to a reader that must choose.
    #[must_use]
    pub const fn flags(&self) -> Flags {
        self.flags
    }

    /// Whether it is a sequence header or metadata.
    #[must_use]
    pub const fn is_header(&self) -> bool {
        self.flags.header
    }

    /// Whether it is a header that a decoder does without, see [`Flags::config_of`].
    #[must_use]
    pub const fn is_config(&self) -> bool {
        self.flags.config
    }

    /// The track that it is of: 0 is that of players without multitrack, and of metadata.
    #[must_use]
    pub const fn track(&self) -> u8 {
        self.flags.track
    }

    /// Message type id, which is also that of an FLV tag.
    pub(super) const fn type_id(&self) -> u8 {
        ids(self.kind).1
    }

    /// The message without chunk headers.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.packet[usize::from(self.header_len)..]
    }

    /// Bytes of memory that its packet holds, whatever its length.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.packet.memory()
    }

    /// Bytes on the wire, all chunk headers included.
    #[must_use]
    pub fn wire_len(&self) -> usize {
        let chunks = self.body().len().div_ceil(self.chunk_size as usize).max(1);
        self.packet.len() + (chunks - 1) * self.continuation.len()
    }

    /// The first chunk's header for a peer that gave the stream another id than ours. It is as long
    /// as the one in the packet.
    #[must_use]
    pub fn header_for(&self, stream_id: u32) -> HeaderBytes {
        header(self.kind, self.time, self.body().len(), stream_id).first()
    }

    /// A copy of the message at another time: for headers, which are small and few.
    #[must_use]
    pub fn at(&self, time: u32) -> Self {
        let body = PacketBuf::copy_of(self.body());
        Self::new(self.kind, time, self.flags, body, self.chunk_size)
    }

    /// A copy of the message at another time, in memory of `packets`.
    #[must_use]
    pub fn at_time(&self, time: u32, packets: &PacketPool) -> Self {
        let mut body = packets.take(self.body().len());
        body.extend(self.body());
        Self::new(self.kind, time, self.flags, body, self.chunk_size)
    }

    /// Gives `take` the pieces of the wire form from byte `offset` on, until it answers `false`.
    /// With `first`, that header (of the same length) stands in for the packet's own. Says whether
    /// all were taken.
    pub fn pieces<'a>(
        &'a self,
        offset: usize,
        first: Option<&'a [u8]>,
        take: &mut impl FnMut(&'a [u8]) -> bool,
    ) -> bool {
        let (header_len, chunk_size) = (usize::from(self.header_len), self.chunk_size as usize);
        let body = self.body();
        let first_len = header_len + body.len().min(chunk_size);
        let mut skip = offset;
        if skip < first_len {
            if let Some(header) = first
                && skip < header_len
            {
                if !take(&header[skip..]) {
                    return false;
                }
                skip = header_len;
            }
            if skip < first_len && !take(&self.packet[skip..first_len]) {
                return false;
            }
            skip = 0;
        } else {
            skip -= first_len;
        }
        let unit = self.continuation.len() + chunk_size;
        let later = body.chunks(chunk_size).skip(1 + skip / unit);
        skip %= unit;
        for chunk in later {
            let header = &self.continuation[skip.min(self.continuation.len())..];
            let chunk = &chunk[skip.saturating_sub(self.continuation.len()).min(chunk.len())..];
            skip = 0;
            if !header.is_empty() && !take(header) || !chunk.is_empty() && !take(chunk) {
                return false;
            }
        }
        true
    }
}

/// A message in a snapshot. The headers between chunks follow from the rest.
#[derive(Deserialize)]
struct Saved {
    packet: Packet,
    kind: Kind,
    flags: Flags,
    time: u32,
    header_len: u8,
    chunk_size: u32,
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { packet, kind, flags, time, header_len, chunk_size, continuation: _ } = self;
        (packet, kind, flags, time, header_len, chunk_size).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved = Saved::deserialize(deserializer)?;
        let Saved { packet, kind, flags, time, header_len, chunk_size } = saved;
        let body_len = packet.len().checked_sub(header_len.into());
        let header = body_len.map(|body_len| header(kind, time, body_len, STREAM_ID));
        let header = header.filter(|header| packet.starts_with(&header.first()));
        match header {
            Some(header) if chunk_size > 0 && header.first().len() == usize::from(header_len) => {
                let continuation = header.continuation();
                Ok(Self { packet, kind, flags, time, header_len, chunk_size, continuation })
            }
            _ => Err(D::Error::custom("a message that does not begin with its header")),
        }
    }
}

fn header(kind: Kind, time: u32, body_len: usize, stream_id: u32) -> MessageHeader {
    let (chunk_stream, type_id) = ids(kind);
    let length = u32::try_from(body_len).unwrap_or(u32::MAX).min(0xff_ffff);
    MessageHeader { chunk_stream, time, length, type_id, stream_id }
}

/// Chunk stream and message type.
const fn ids(kind: Kind) -> (u8, u8) {
    match kind {
        Kind::Audio => (4, 8),
        Kind::Data => (5, 18),
        Kind::Video => (6, 9),
    }
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "test bodies are short"
)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The wire form written the plain way.
    pub(in crate::stream) fn reference(message: &Message, chunk_size: usize) -> Vec<u8> {
        let body = message.body();
        let header = header(message.kind(), message.time(), body.len(), STREAM_ID);
        let mut wire = header.first().to_vec();
        for (index, chunk) in body.chunks(chunk_size).enumerate() {
            if index > 0 {
                wire.extend_from_slice(&header.continuation());
            }
            wire.extend_from_slice(chunk);
        }
        wire
    }

    fn from(message: &Message, offset: usize) -> Vec<u8> {
        let mut wire = Vec::new();
        assert!(message.pieces(offset, None, &mut |piece| {
            assert!(!piece.is_empty());
            wire.extend_from_slice(piece);
            true
        }));
        wire
    }

    #[test]
    fn tracks_keyframes_headers_and_what_is_said_beside_them_are_told_apart() {
        for (kind, body, flags) in [
            (Kind::Video, &b"\x17\0\0\0\0\x01"[..], Flags::HEADER),
            (Kind::Video, b"\x17\x01\0\0\0\x01", Flags::KEY),
            (Kind::Video, b"\x27\x01\0\0\0\x01", Flags::default()),
            (Kind::Video, b"\x96\0av01\x03\x81", Flags::header_of(3)),
            (Kind::Video, b"\x96\x01av01\x03\x0a", Flags::key_of(3)),
            (Kind::Video, b"\xa6\x01av01\x03\x0a", Flags::frame_of(3)),
            (Kind::Video, b"\x94hvc1\x02\0\x09colorInfo", Flags::config_of(0)),
            (Kind::Audio, b"\x94Opus\x01\x02\0\0\0\x03", Flags::config_of(0)),
            (Kind::Audio, b"\x95\x04Opus\x02\x01\x02", Flags::config_of(2)),
            (Kind::Audio, b"\x95\x01Opus\x02\xfc", Flags::frame_of(2)),
            (Kind::Data, b"\x02\x00\x0aonMetaData\x05", Flags::HEADER),
            (Kind::Data, b"\x02\x00\x0aonTextData\x05", Flags::default()),
        ] {
            assert_eq!(Flags::of(kind, body), Some(flags), "{body:x?}");
        }
        assert_eq!(Flags::of(Kind::Video, b""), None);
    }

    proptest! {
        #[test]
        fn the_wire_form_from_any_byte_is_the_end_of_the_whole(
            len in 0_usize..700, chunk_size in 1_usize..300, late: bool, at in 0.0..1.0_f64,
        ) {
            let body: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let time = if late { 0xff_ffff + 5 } else { 77 };
            let body = PacketBuf::copy_of(&body);
            let message =
                Message::new(Kind::Video, time, Flags::default(), body, chunk_size as u32);
            let whole = reference(&message, chunk_size);
            prop_assert_eq!(message.wire_len(), whole.len());
            let offset = (whole.len() as f64 * at) as usize;
            prop_assert_eq!(&from(&message, offset)[..], &whole[offset..]);
        }
    }

    #[test]
    fn the_payload_is_sent_from_where_it_was_written() {
        let mut body = PacketBuf::on_heap(16);
        body.extend(b"encoded bytes");
        let at = body.as_ptr();
        let message = Message::new(Kind::Video, 0, Flags::KEY, body, 60_000);
        let mut pieces = Vec::new();
        message.pieces(0, None, &mut |piece| {
            pieces.push(piece);
            true
        });
        assert_eq!(pieces.len(), 1, "one piece: header and body lie together");
        assert_eq!(pieces[0][12..].as_ptr(), at);
    }

    #[test]
    fn another_stream_id_changes_only_the_header() {
        let body = PacketBuf::copy_of(&[9; 300]);
        let message = Message::new(Kind::Audio, 5, Flags::default(), body, 128);
        let header = message.header_for(7);
        let mut wire = Vec::new();
        message.pieces(0, Some(&header[..]), &mut |piece| {
            wire.extend_from_slice(piece);
            true
        });
        let mut expected = reference(&message, 128);
        expected[8] = 7;
        assert_eq!(wire, expected);
    }
}
