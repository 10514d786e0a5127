//! Network input: a stream of another server, read by libavformat on one thread and decoded on
//! another, so that a server that hangs keeps nobody from what has come already.

use std::ffi::CStr;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::av::{Decoder, END, Packet, Setup};
use super::demux::{Demuxer, GiveUp, Units, Which, check_protocol};
use super::error::{Error, Fault};
use super::playout::{LiveSpec, Playout};
use super::{Counters, DecodeSink};
use crate::ffi::sys as ffi;
use crate::media::{InputUrl, Kind, Micros};

/// Largest packet that is decoded, bytes. A bigger one is left out.
const PACKET_BYTES_MAX: usize = 8 << 20;

/// Bytes of packets that may wait, all together. Beyond that the source is not read.
const BACKLOG_BYTES_MAX: usize = 32 << 20;

/// Most pixels of a picture: 4096 x 2304. A decoder keeps up to 17 of them.
const PIXELS_MAX: i64 = 4_096 * 2_304;

/// Time of audio, and of pictures, milliseconds, of which nothing could be decoded: the source has
/// another codec than before, which its format has not told. Pictures may have to wait for a
/// keyframe.
const BARREN_MAX: [i64; 2] = [5_000, 12_000];

/// Packets that this takes at least: a time may be wrong.
const BARREN_PACKETS_MIN: u32 = 50;

/// `AVERROR_EXIT`: whoever was asked gave it up.
const EXIT: i32 = -i32::from_le_bytes(*b"EXIT");

/// What a source may lead to, by its protocol. Never local files, pipes or texts: what a playlist
/// names comes from the network as well.
const WHITELISTS: [(&str, &CStr); 10] = [
    ("rtmp", c"rtmp,tcp"),
    ("rtmps", c"rtmps,tls,tcp"),
    ("srt", c"srt"),
    ("rtsp", c"rtsp,rtp,srtp,udp,tcp"),
    ("rtsps", c"rtsps,rtsp,rtp,srtp,udp,tls,tcp"),
    ("http", c"http,https,tls,tcp,crypto"),
    ("https", c"https,tls,tcp,crypto"),
    ("udp", c"udp"),
    ("rtp", c"rtp,udp"),
    ("tcp", c"tcp"),
];

/// Why there is nothing from a network input. The text holds nothing of its address.
#[derive(Debug)]
pub enum NetworkError {
    /// The FFmpeg libraries here cannot speak its protocol: use another, or other libraries.
    Protocol {
        /// The protocol.
        scheme: String,
        /// Those of the node that can be used instead.
        known: Vec<String>,
    },
    /// Its secret cannot be read.
    Secret(String),
    /// It cannot be opened, or has broken off: try again.
    Source(Fault),
    /// Nothing came for long, or it could not be opened in time: try again.
    Silent,
    /// There is nothing in it that can be shown or heard.
    Empty,
    /// It has ended: there may be more later.
    Ended,
    /// It goes on in another codec: open it anew.
    Changed,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol { scheme, known } => write!(
                f,
                "`url`: the FFmpeg libraries here cannot open {scheme}:// ; use one of {}",
                known.join(", ")
            ),
            Self::Secret(fault) => write!(f, "`secret_file`: {fault}"),
            Self::Source(fault) => write!(f, "`url`: {fault}"),
            Self::Silent => f.write_str("`url`: the server does not answer, or sends nothing"),
            Self::Empty => f.write_str("`url`: there is no picture or audio that can be decoded"),
            Self::Ended => f.write_str("the source has ended"),
            Self::Changed => f.write_str("the source goes on in another codec"),
        }
    }
}

impl std::error::Error for NetworkError {}

impl From<Fault> for NetworkError {
    fn from(fault: Fault) -> Self {
        match fault.0 {
            EXIT => Self::Silent,
            END => Self::Ended,
            _ => Self::Source(fault),
        }
    }
}

/// How many bytes of packets wait, of all connections of one input.
#[derive(Clone, Debug, Default)]
pub struct Backlog(Arc<AtomicUsize>);

impl Backlog {
    /// Whether there is room for another packet.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.0.load(Ordering::Relaxed) < BACKLOG_BYTES_MAX
    }
}

/// Part of a backlog, until it is dropped.
#[derive(Debug)]
struct Share {
    bytes: usize,
    backlog: Backlog,
}

impl Share {
    fn of(backlog: &Backlog, bytes: usize) -> Self {
        backlog.0.fetch_add(bytes, Ordering::Relaxed);
        Self { bytes, backlog: backlog.clone() }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.backlog.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A piece of a network input, still encoded.
#[derive(Debug)]
pub struct NetworkPacket {
    packet: Packet,
    kind: Kind,
    /// When it is decoded, milliseconds, if the source says so, and how much later it is shown.
    time: Option<i64>,
    composition: i64,
    _share: Share,
}

impl NetworkPacket {
    /// Video or audio.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it can be decoded without what was before it.
    #[must_use]
    pub const fn is_key(&self) -> bool {
        self.packet.is_key()
    }
}

/// The decoders of a source that has just been opened.
#[derive(Debug)]
pub struct NetworkStreams {
    video: Option<Decoder>,
    audio: Option<Decoder>,
    is_bursty: bool,
    about: String,
}

impl NetworkStreams {
    /// Codecs and sizes, such as `h264 1280x720, aac`.
    #[must_use]
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Whether it comes in pieces, or as fast as it is read.
    #[must_use]
    pub const fn is_bursty(&self) -> bool {
        self.is_bursty
    }
}

/// An open network input.
#[derive(Debug)]
pub struct NetworkSource {
    demuxer: Demuxer,
    tracks: [Option<Track>; 2],
    backlog: Backlog,
}

/// One stream of it.
#[derive(Clone, Copy, Debug)]
struct Track {
    index: usize,
    units: Units,
    codec: ffi::AVCodecID,
    kind: Kind,
}

impl NetworkSource {
    /// Opens an address with its secret, and decoders with so many threads for what is in it; waits
    /// until `give_up` says otherwise.
    ///
    /// # Errors
    /// What is wrong. After all but [`NetworkError::Protocol`] it may be tried again.
    pub fn open(
        url: &InputUrl,
        secret: &str,
        (threads, backlog): (u32, &Backlog),
        give_up: GiveUp,
    ) -> Result<(Self, NetworkStreams), NetworkError> {
        Self::check(url)?;
        let whitelist = WHITELISTS.iter().find(|(scheme, _)| *scheme == url.scheme());
        let (_, whitelist) = whitelist.ok_or(NetworkError::Empty)?;
        let demuxer = Demuxer::open_network(&url.expose_with(secret), whitelist, give_up)?;
        let mut tracks = [None, None];
        let mut decoders = [None, None];
        let mut about = Vec::new();
        for (slot, which, kind) in
            [(0, Which::Pictures, Kind::Video), (1, Which::Audio, Kind::Audio)]
        {
            let Some(index) = demuxer.best(which) else { continue };
            let setup = Setup {
                threads: if kind == Kind::Video { threads } else { 1 },
                slices_only: true,
                low_delay: false,
                pixels_max: PIXELS_MAX,
                keeps_alpha: false,
            };
            let decoder = demuxer.decoder(index, setup);
            let (Ok(decoder), Some(codec)) = (decoder, demuxer.codec(index)) else { continue };
            decoders[slot] = Some(decoder.takes_millis());
            tracks[slot] = Some(Track { index, units: demuxer.units(index), codec, kind });
            about.extend(demuxer.about(index));
        }
        let [video, audio] = decoders;
        if video.is_none() && audio.is_none() {
            return Err(NetworkError::Empty);
        }
        let (is_bursty, about) = (demuxer.is_bursty(), about.join(", "));
        let streams = NetworkStreams { video, audio, is_bursty, about };
        Ok((Self { demuxer, tracks, backlog: backlog.clone() }, streams))
    }

    /// Whether the FFmpeg libraries here speak the protocol of an address.
    ///
    /// # Errors
    /// [`NetworkError::Protocol`] if they do not.
    pub fn check(url: &InputUrl) -> Result<(), NetworkError> {
        check_protocol(url.scheme()).map_err(|names| {
            let is_known = |scheme: &&str| names.iter().any(|name| name == scheme);
            let known = InputUrl::SCHEMES.into_iter().filter(is_known).map(str::to_owned);
            NetworkError::Protocol { scheme: url.scheme().to_owned(), known: known.collect() }
        })
    }

    /// Waits for the next packet that is decoded; `None` if it came to something else.
    ///
    /// # Errors
    /// Why no more will come.
    pub fn read(&mut self) -> Result<Option<NetworkPacket>, NetworkError> {
        let packet = match self.demuxer.read() {
            Ok(Some(packet)) => packet,
            Ok(None) => return Err(NetworkError::Ended),
            Err(Fault(code)) if code == -libc::EAGAIN => return Ok(None),
            Err(fault) => return Err(fault.into()),
        };
        let mut tracks = self.tracks.iter().flatten();
        let Some(track) = tracks.find(|track| Some(track.index) == packet.stream()) else {
            return Ok(None);
        };
        if self.demuxer.codec(track.index) != Some(track.codec) {
            return Err(NetworkError::Changed);
        }
        if packet.bytes() > PACKET_BYTES_MAX {
            return Ok(None);
        }
        let millis = |time: i64| track.units.micros(time).div_euclid(1_000);
        let [shown, decoded] = packet.times().map(|time| time.map(millis));
        let composition = shown.zip(decoded).map_or(0, |(shown, decoded)| shown - decoded);
        let share = Share::of(&self.backlog, packet.bytes());
        let time = decoded.or(shown);
        Ok(Some(NetworkPacket { packet, kind: track.kind, time, composition, _share: share }))
    }
}

/// Decodes what a network input sends, each packet at its time.
///
/// Whatever comes is survived: what cannot be decoded is left out, and decoding goes on at the next
/// keyframe.
#[derive(Debug)]
pub struct NetworkDecoder {
    video: Option<Decoder>,
    audio: Option<Decoder>,
    playout: Playout,
    /// The newest time of each kind, for packets without one.
    newest: [i64; 2],
    barren: [Barren; 2],
}

/// Packets of one kind that have come to nothing, one after the other.
#[derive(Clone, Copy, Debug, Default)]
struct Barren {
    /// What had been made of those before.
    made: u64,
    /// Whether that was of the source that is open now.
    is_known: bool,
    packets: u32,
    /// Times of the first and of the last, milliseconds.
    since: i64,
    newest: i64,
}

impl Barren {
    /// A packet of this time has been decoded, and so much has been made in all.
    fn note(&mut self, time: i64, made: u64) {
        if made > self.made {
            *self = Self { made, is_known: true, ..Self::default() };
        } else if self.packets == 0 || time < self.since {
            (self.packets, self.since) = (1, time);
        } else {
            self.packets = self.packets.saturating_add(1);
        }
        self.newest = time;
    }
}

impl NetworkDecoder {
    /// A decoder that waits for a source.
    #[must_use]
    pub fn new(spec: LiveSpec) -> Self {
        let (newest, barren) = ([0; 2], [Barren::default(); 2]);
        Self { video: None, audio: None, playout: Playout::new(spec), newest, barren }
    }

    /// A source has been opened; what was before it has ended.
    pub fn opened(&mut self, streams: NetworkStreams) {
        let NetworkStreams { video, audio, .. } = streams;
        for is_video in [true, false] {
            if if is_video { video.is_some() } else { audio.is_some() } {
                self.playout.timeline.expect(is_video);
            }
        }
        (self.video, self.audio) = (video, audio);
        self.forget_barren();
    }

    fn forget_barren(&mut self) {
        for barren in &mut self.barren {
            *barren = Barren { made: barren.made, ..Barren::default() };
        }
    }

    /// Whether what comes can no longer be decoded, though it could be: the source is to be opened
    /// anew. Said once.
    #[must_use]
    pub fn take_barren(&mut self) -> bool {
        let is_barren = self.barren.iter().zip(BARREN_MAX).any(|(barren, max)| {
            let time = barren.newest.saturating_sub(barren.since);
            barren.is_known && barren.packets >= BARREN_PACKETS_MIN && time > max
        });
        if is_barren {
            self.forget_barren();
        }
        is_barren
    }

    /// Takes note of a packet that has come; the time for [`NetworkDecoder::decode`]. `is_late` if
    /// it was not read when it came, so that this says nothing about the source's clock.
    pub fn arrived(&mut self, packet: &NetworkPacket, at: Micros, is_late: bool) -> i64 {
        let is_video = packet.kind == Kind::Video;
        let newest = &mut self.newest[usize::from(is_video)];
        *newest = packet.time.unwrap_or(*newest);
        // As times of RTMP: without what is above 32 bits.
        let time_ms = u32::try_from(newest.rem_euclid(1 << 32)).unwrap_or(0);
        let timeline = &mut self.playout.timeline;
        if is_late { timeline.unwrap(time_ms) } else { timeline.arrived(time_ms, at, is_video) }
    }

    /// From when on a packet with this time is to be decoded.
    #[must_use]
    pub fn decode_at(&self, kind: Kind, time: i64) -> Micros {
        self.playout.decode_at(kind, time)
    }

    /// Decodes a packet with the time that [`NetworkDecoder::arrived`] gave.
    ///
    /// # Errors
    /// [`Error::Memory`] if there is none for pictures. The next packet may be handed in.
    pub fn decode(
        &mut self,
        packet: NetworkPacket,
        time: i64,
        out: &mut dyn DecodeSink,
    ) -> Result<(), Error> {
        let NetworkPacket { mut packet, kind, composition, .. } = packet;
        let key = packet.is_key();
        packet.set_times([time.saturating_add(composition), time]);
        let decoded = match (kind, &mut self.video, &mut self.audio) {
            (Kind::Video, Some(decoder), _) => self.playout.picture(decoder, Ok(packet), key, out),
            (Kind::Audio, _, Some(decoder)) => {
                self.playout.audio(decoder, Ok(packet), time, out);
                Ok(())
            }
            _ => Ok(()),
        };
        let Counters { pictures, pool_empty, blocks, .. } = self.playout.counters;
        let made = [blocks, pictures + pool_empty];
        let is_video = usize::from(kind == Kind::Video);
        self.barren[is_video].note(time, made[is_video]);
        decoded
    }

    /// The source has broken off, and all that came has been decoded.
    pub fn ended(&mut self, out: &mut dyn DecodeSink) {
        self.playout.ended(self.video.as_mut(), out);
        (self.video, self.audio) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_be_decoded_before_and_no_longer_can_be_is_barren() {
        let spec = || LiveSpec::new(Box::new(|size| size));
        let mut decoder = NetworkDecoder::new(spec());
        let mut play = |audio: &mut dyn FnMut(u64) -> u64| {
            (0..300).for_each(|n| decoder.barren[0].note(n * 20, audio(n.unsigned_abs())));
            decoder.take_barren()
        };
        assert!(!play(&mut |_| 0), "nothing could ever be decoded of it");
        assert!(!play(&mut |n| n + 1));
        assert!(play(&mut |_| 300));
        assert!(!play(&mut |_| 300), "that is said once");
        let mut decoder = NetworkDecoder::new(spec());
        decoder.barren[1].note(0, 1);
        (0..360).for_each(|n| decoder.barren[1].note(n * 33, 1));
        assert!(!decoder.take_barren(), "a keyframe may be that far away");
        (360..400).for_each(|n| decoder.barren[1].note(n * 33, 1));
        assert!(decoder.take_barren());
    }
}
