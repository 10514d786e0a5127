//! The enhanced tag header that audio and video share (Enhanced RTMP v2, `ExVideoTagHeader` and
//! `ExAudioTagHeader`): `ModEx` prefixes, then a fourcc, then perhaps many tracks.

use std::ops::Deref;

use super::format::FourCc;

/// How the tracks of a multitrack body are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// One track, which fills the body.
    One,
    /// Several tracks of one codec, each with its length.
    Many,
    /// Several tracks, each with its codec and length.
    ManyCodecs,
}

/// One track's part of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Track<'a> {
    /// Track number; 0 is the one that players without multitrack show.
    pub id: u8,
    /// Its codec; zeros if it has no fourcc.
    pub four_cc: FourCc,
    /// Where `body` begins in the whole body.
    pub at: usize,
    /// What follows its header. In an enhanced body, coded frames of H.264, H.265 and H.266 begin
    /// with their composition time.
    pub body: &'a [u8],
}

/// The tracks of a body in their order, up to the first that does not fit.
#[derive(Clone, Debug)]
pub struct Tracks<'a> {
    whole: &'a [u8],
    at: usize,
    layout: Option<Layout>,
    four_cc: FourCc,
    over: bool,
}

/// A written enhanced header, at most 10 bytes.
#[derive(Clone, Copy, Debug)]
pub struct BodyHeader {
    bytes: [u8; 10],
    len: usize,
}

impl BodyHeader {
    /// The first byte, then the fourcc.
    pub(super) const fn new(first: u8, [a, b, c, d]: FourCc) -> Self {
        Self { bytes: [first, a, b, c, d, 0, 0, 0, 0, 0], len: 5 }
    }

    /// The first byte, which says that tracks follow, then that there is one of this packet type,
    /// the fourcc and the number of the track.
    pub(super) const fn of_track(first: u8, packet: u8, [a, b, c, d]: FourCc, track: u8) -> Self {
        // `AvMultitrackType.OneTrack` is 0.
        Self { bytes: [first, packet, a, b, c, d, track, 0, 0, 0], len: 7 }
    }

    /// The same with a composition time.
    pub(super) const fn with_composition_time(mut self, ms: i32) -> Self {
        let [_, a, b, c] = ms.to_be_bytes();
        let at = self.len;
        (self.bytes[at], self.bytes[at + 1], self.bytes[at + 2]) = (a, b, c);
        self.len = at + 3;
        self
    }
}

impl Deref for BodyHeader {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// What an enhanced header says before the tracks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) packet: u8,
    /// Nanoseconds to add to the message's time.
    pub(super) nanos: u32,
    pub(super) layout: Option<Layout>,
    /// Zeros if each track names its own.
    pub(super) four_cc: FourCc,
    /// Where the tracks begin.
    pub(super) at: usize,
}

/// Packet types that audio and video have in common.
pub(super) const SEQUENCE_START: u8 = 0;
pub(super) const CODED_FRAMES: u8 = 1;
pub(super) const SEQUENCE_END: u8 = 2;
const MOD_EX: u8 = 7;

/// The only `ModEx` type there is: a timestamp offset in nanoseconds.
const NANO_OFFSET: u8 = 0;

impl Head {
    /// Reads the header up to the tracks; `multitrack` is the packet type that announces them.
    /// `None` if the body is too short.
    pub(super) fn parse(body: &[u8], multitrack: u8) -> Option<Self> {
        let mut head = Self::prefixes(body)?;
        let mut fields = FieldReader { body, at: head.at };
        if head.packet == multitrack {
            let [kinds] = fields.take()?;
            head.packet = kinds & 0x0f;
            head.layout = Some(match kinds >> 4 {
                0 => Layout::One,
                1 => Layout::Many,
                2 => Layout::ManyCodecs,
                _ => return None,
            });
            // Multitrack within multitrack is forbidden, and would be a way to go round in circles.
            if head.packet == multitrack {
                return None;
            }
        }
        if head.layout != Some(Layout::ManyCodecs) {
            head.four_cc = fields.take()?;
        }
        head.at = fields.at;
        Some(head)
    }

    /// Reads as far as the packet type behind all `ModEx` prefixes.
    pub(super) fn prefixes(body: &[u8]) -> Option<Self> {
        let mut fields = FieldReader { body, at: 1 };
        let mut packet = body.first()? & 0x0f;
        let mut nanos = 0;
        while packet == MOD_EX {
            let [short] = fields.take()?;
            let mut size = usize::from(short) + 1;
            if size == 256 {
                size = usize::from(u16::from_be_bytes(fields.take()?)) + 1;
            }
            let data = fields.bytes(size)?;
            let [kinds] = fields.take()?;
            if kinds >> 4 == NANO_OFFSET
                && let Some([a, b, c]) = data.first_chunk()
            {
                nanos = u32::from_be_bytes([0, *a, *b, *c]);
            }
            packet = kinds & 0x0f;
        }
        Some(Self { packet, nanos, layout: None, four_cc: [0; 4], at: fields.at })
    }

    /// The tracks of the body that this is the header of.
    pub(super) fn tracks<'a>(&self, body: &'a [u8]) -> Tracks<'a> {
        Tracks { whole: body, at: self.at, layout: self.layout, four_cc: self.four_cc, over: false }
    }
}

impl<'a> Tracks<'a> {
    /// A body without tracks: all of it from `at` on is track 0.
    pub(super) const fn plain(body: &'a [u8], at: usize, four_cc: FourCc) -> Self {
        Self { whole: body, at, layout: None, four_cc, over: false }
    }
}

impl<'a> Iterator for Tracks<'a> {
    type Item = Track<'a>;

    fn next(&mut self) -> Option<Track<'a>> {
        if std::mem::replace(&mut self.over, true) {
            return None;
        }
        let mut fields = FieldReader { body: self.whole, at: self.at };
        let Some(layout) = self.layout else {
            let body = self.whole.get(self.at..)?;
            return Some(Track { id: 0, four_cc: self.four_cc, at: self.at, body });
        };
        let four_cc = match layout {
            Layout::ManyCodecs => fields.take()?,
            Layout::One | Layout::Many => self.four_cc,
        };
        let [id] = fields.take()?;
        if layout == Layout::One {
            let body = self.whole.get(fields.at..)?;
            return Some(Track { id, four_cc, at: fields.at, body });
        }
        let [a, b, c] = fields.take()?;
        let size = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let at = fields.at;
        let body = fields.bytes(size)?;
        self.at = fields.at;
        self.over = fields.at >= self.whole.len();
        Some(Track { id, four_cc, at, body })
    }
}

/// Takes fields off a body, one after the other.
struct FieldReader<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> FieldReader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = *self.body.get(self.at..)?.first_chunk()?;
        self.at += N;
        Some(bytes)
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let bytes = self.body.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }
}
