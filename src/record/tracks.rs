//! Tracks of a recorded stream with their codecs and headers, as its messages tell them.

use std::fmt;

use crate::media::Kind;
use crate::rtmp::flv::{Audio, AudioFormat, Part, Video, VideoFormat};

/// Tracks, and other headers of tracks, that are kept at most. Further ones are not repeated at the
/// beginning of a file.
pub(super) const TRACKS_MAX: usize = 48;

/// What codec a track has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Video(VideoFormat),
    Audio(AudioFormat),
}

impl Codec {
    /// Whether it has a place in an MP4 once its header has come.
    pub(super) const fn needs_header_in_mp4(self) -> bool {
        matches!(
            self,
            Self::Video(VideoFormat::Avc | VideoFormat::Hevc | VideoFormat::Av1)
                | Self::Audio(AudioFormat::Aac | AudioFormat::Opus)
        )
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Video(format) => format.fmt(f),
            Self::Audio(format) => format.fmt(f),
        }
    }
}

/// A track, or something that is told about one beside its frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Track {
    pub(super) kind: Kind,
    /// 0 is the one that all players show.
    pub(super) id: u8,
    pub(super) codec: Codec,
    /// The part of the message that a decoder must have first; not every codec has one.
    pub(super) header: Option<Vec<u8>>,
    /// The message that it came in.
    message: Option<Vec<u8>>,
    /// [`Part::SequenceHeader`], or what else the message is.
    part: Part,
}

/// All tracks of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tracks {
    metadata: Option<Vec<u8>>,
    all: Vec<Track>,
}

/// How something stands to what is known already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrackMatch {
    /// It is the same.
    Known,
    /// There was nothing in its place.
    New,
    /// There was something else in its place.
    Other,
}

impl Track {
    /// What the header of a track says; `None` if it cannot be read.
    pub(super) fn of_header(kind: Kind, id: u8, body: &[u8]) -> Option<Self> {
        let (codec, part, _) = codec_of(kind, body)?;
        let part = if part == Part::TransportHeader { Part::SequenceHeader } else { part };
        let header = (part == Part::SequenceHeader).then(|| header_of(kind, id, body));
        let message = Some(body.to_vec());
        Some(Self { kind, id, codec, header: header.flatten(), message, part })
    }

    /// What a frame says about its track; `None` if it is no frame.
    pub(super) fn of_frame(kind: Kind, body: &[u8]) -> Option<Self> {
        let (codec, part, id) = codec_of(kind, body)?;
        let part_of_track = Part::SequenceHeader;
        let track = Self { kind, id, codec, header: None, message: None, part: part_of_track };
        (part == Part::Frame).then_some(track)
    }

    /// Whether it is a track, and not something that is told about one.
    pub(super) fn is_playable(&self) -> bool {
        self.part == Part::SequenceHeader
    }

    fn is_in_place_of(&self, other: &Self) -> bool {
        (self.kind, self.id, self.part) == (other.kind, other.id, other.part)
    }
}

impl Tracks {
    /// Takes a publisher's metadata.
    pub(super) fn set_metadata(&mut self, body: &[u8]) {
        self.metadata = Some(body.to_vec());
    }

    /// What the publisher said about itself last.
    pub(super) fn metadata(&self) -> Option<&[u8]> {
        self.metadata.as_deref()
    }

    /// Takes what a header says. Beyond [`TRACKS_MAX`] it is not kept.
    pub(super) fn set(&mut self, track: Track) {
        match self.all.iter().position(|known| known.is_in_place_of(&track)) {
            Some(at) => self.all[at] = track,
            None if self.all.len() < TRACKS_MAX => self.all.push(track),
            None => {}
        }
    }

    /// Takes what a frame says about its track, if that is news.
    pub(super) fn see(&mut self, frame: &Track) {
        if self.compare_frame(frame) != TrackMatch::Known {
            self.set(frame.clone());
        }
    }

    /// How a header stands to those that are known.
    pub(super) fn compare(&self, track: &Track) -> TrackMatch {
        match self.all.iter().find(|known| known.is_in_place_of(track)) {
            Some(known) if known == track => TrackMatch::Known,
            // Frames have come before their header.
            Some(known) if known.message.is_none() && known.codec == track.codec => TrackMatch::New,
            Some(_) => TrackMatch::Other,
            None => TrackMatch::New,
        }
    }

    /// How a frame stands to them: its codec alone counts.
    pub(super) fn compare_frame(&self, frame: &Track) -> TrackMatch {
        match self.all.iter().find(|known| known.is_in_place_of(frame)) {
            Some(known) if known.codec == frame.codec => TrackMatch::Known,
            Some(_) => TrackMatch::Other,
            None => TrackMatch::New,
        }
    }

    /// Whether there is such a track that all players show.
    pub(super) fn has(&self, kind: Kind) -> bool {
        self.playable().any(|track| track.kind == kind && track.id == 0)
    }

    /// The tracks: those that all players show first, pictures before audio.
    pub(super) fn playable(&self) -> impl Iterator<Item = &Track> {
        let main = [Kind::Video, Kind::Audio];
        let tracks = || self.all.iter().filter(|track| track.is_playable());
        let main = main.map(|kind| tracks().find(move |it| it.id == 0 && it.kind == kind));
        main.into_iter().flatten().chain(tracks().filter(|track| track.id != 0))
    }

    /// The messages that a reader of the stream needs first: of audio before those of pictures.
    pub(super) fn messages(&self) -> impl Iterator<Item = (Kind, &[u8])> {
        let of = |kind: Kind, main: bool| {
            let ours = move |track: &&Track| track.kind == kind && (track.id == 0) == main;
            let ours = self.all.iter().filter(ours);
            ours.filter_map(move |track| Some((kind, track.message.as_deref()?)))
        };
        let main = of(Kind::Audio, true).chain(of(Kind::Video, true));
        main.chain(of(Kind::Audio, false)).chain(of(Kind::Video, false))
    }

    /// Whether a publisher with these tracks can go on in a file with those of `file`: it has the
    /// same, as far as their headers tell.
    pub(super) fn fit(&self, file: &Self) -> bool {
        let same = |track: &Track| match &track.message {
            Some(_) => file.compare(track) == TrackMatch::Known,
            None => file.compare_frame(track) == TrackMatch::Known,
        };
        let told = file.playable().filter(|track| track.message.is_some());
        let mut missing = told.filter(|track| self.compare(track) == TrackMatch::New);
        self.playable().all(same) && missing.next().is_none()
    }
}

/// Codec and kind of a body, and its first track.
fn codec_of(kind: Kind, body: &[u8]) -> Option<(Codec, Part, u8)> {
    let (codec, part, track) = match kind {
        Kind::Video => {
            let video = Video::parse(body)?;
            (Codec::Video(video.format), video.part, video.track)
        }
        Kind::Audio => {
            let audio = Audio::parse(body)?;
            (Codec::Audio(audio.format), audio.part, audio.track)
        }
        Kind::Data => return None,
    };
    Some((codec, part, track.unwrap_or(0)))
}

/// What track `id` of a message with headers is told.
fn header_of(kind: Kind, id: u8, body: &[u8]) -> Option<Vec<u8>> {
    let mut tracks = match kind {
        Kind::Video => Video::parse(body)?.tracks(body),
        Kind::Audio => Audio::parse(body)?.tracks(body),
        Kind::Data => return None,
    };
    tracks.find(|track| track.id == id).map(|track| track.body.to_vec())
}
