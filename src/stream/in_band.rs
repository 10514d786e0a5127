//! In-band sequence headers: what a source leaves out is made from its first frames where that is
//! possible.

use serde::{Deserialize, Serialize};

use crate::media::Kind;
use crate::rtmp::flv::{self, Made};

use super::message::Flags;

/// Tracks that are looked after. Those beyond are taken as they come.
const TRACKS_MAX: usize = 64;

/// Keyframes, or frames of audio, without a header after which it is taken for one that does not
/// come: two seconds or more.
const MISSES_MAX: u32 = 100;
const KEY_MISSES_MAX: u32 = 2;

/// What a message means for the headers of its track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inspection {
    /// Nothing.
    Usual,
    /// This header goes before it.
    Header(Vec<u8>),
    /// It is a header that says less than the one that was made: readers do without it.
    Less,
    /// The track has no header, and none can be made. Once for each track.
    Missing,
}

/// The tracks of one source.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct InBand(Vec<(Kind, u8, State)>);

#[derive(Debug, Serialize, Deserialize)]
enum State {
    /// The source has sent it, or there is none for this codec.
    Settled,
    /// Made from the newest keyframe.
    Made(Vec<u8>),
    /// None so far, in so many frames.
    Awaited(u32),
}

impl InBand {
    /// Takes a message of a source. `body` is that of an FLV tag.
    pub fn inspect(&mut self, kind: Kind, flags: Flags, body: &[u8]) -> Inspection {
        // A track begins with a keyframe or a frame of audio.
        let begins = flags.is_key() || kind == Kind::Audio;
        if kind == Kind::Data || flags.is_config() || !(begins || flags.is_header()) {
            return Inspection::Usual;
        }
        let known = self.0.iter().position(|at| (at.0, at.1) == (kind, flags.track()));
        let index = known.unwrap_or(self.0.len());
        if known.is_none() {
            if self.0.len() == TRACKS_MAX {
                return Inspection::Usual;
            }
            self.0.push((kind, flags.track(), State::Awaited(0)));
        }
        let state = &mut self.0[index].2;
        if flags.is_header() { header(state, kind, body) } else { frame(state, kind, body) }
    }
}

fn header(state: &mut State, kind: Kind, body: &[u8]) -> Inspection {
    if flv::is_complete(kind, body) {
        *state = State::Settled;
        return Inspection::Usual;
    }
    if matches!(state, State::Made(_)) { Inspection::Less } else { Inspection::Usual }
}

fn frame(state: &mut State, kind: Kind, body: &[u8]) -> Inspection {
    // Audio says the same in each frame.
    if matches!(state, State::Settled) || kind == Kind::Audio && matches!(state, State::Made(_)) {
        return Inspection::Usual;
    }
    if !matches!(flv::TagInfo::of(kind, body), Some(info) if info.part == flv::Part::Frame) {
        return Inspection::Usual;
    }
    match (flv::made(kind, body), &mut *state) {
        (Made::NotNeeded, _) => *state = State::Settled,
        (Made::Header(header), State::Made(known)) if header == *known => {}
        (Made::Header(header), _) => {
            *state = State::Made(header.clone());
            return Inspection::Header(header);
        }
        (Made::Missing, State::Awaited(misses)) => {
            *misses += 1;
            let most = if kind == Kind::Audio { MISSES_MAX } else { KEY_MISSES_MAX };
            if *misses == most {
                *state = State::Settled;
                return Inspection::Missing;
            }
        }
        (Made::Missing, _) => {}
    }
    Inspection::Usual
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A keyframe with parameter sets of this level.
    fn key(level: u8) -> Vec<u8> {
        let sps = [0, 0, 0, 6, 0x67, 0x42, 0xc0, level, 0xda, 0x0a];
        [&b"\x17\x01\0\0\0"[..], &sps, b"\0\0\0\x04\x68\xce\x0f\xc8\0\0\0\x02\x65\x88"].concat()
    }

    const BARE_KEY: &[u8] = b"\x17\x01\0\0\0\0\0\0\x02\x65\x88";
    const EMPTY: &[u8] = b"\x17\0\0\0\0\x01\x42\xc0\x0b\xff\xe0\0";
    const HEADER: &[u8] = b"\x17\0\0\0\0\x01\x42\xc0\x0b\xff\xe1\0\x01\x67\x01\0\x01\x68";

    #[test]
    fn a_header_goes_before_the_first_keyframe_and_before_each_that_says_something_else() {
        let mut tracks = InBand::default();
        assert_eq!(tracks.inspect(Kind::Video, Flags::HEADER, EMPTY), Inspection::Usual);
        let first = tracks.inspect(Kind::Video, Flags::KEY, &key(11));
        let Inspection::Header(header) = first else { panic!("{first:?}") };
        assert_eq!(header[..9], *b"\x17\0\0\0\0\x01\x42\xc0\x0b");
        assert_eq!(
            tracks.inspect(Kind::Video, Flags::default(), b"\x27\x01\0\0\0"),
            Inspection::Usual
        );
        assert_eq!(tracks.inspect(Kind::Video, Flags::KEY, &key(11)), Inspection::Usual);
        assert_eq!(tracks.inspect(Kind::Video, Flags::KEY, BARE_KEY), Inspection::Usual);
        assert_eq!(tracks.inspect(Kind::Video, Flags::HEADER, EMPTY), Inspection::Less);
        assert!(matches!(tracks.inspect(Kind::Video, Flags::KEY, &key(12)), Inspection::Header(_)));
        let opus = b"\x91Opus\xfc\x01";
        assert!(matches!(
            tracks.inspect(Kind::Audio, Flags::default(), opus),
            Inspection::Header(_)
        ));
        assert_eq!(tracks.inspect(Kind::Audio, Flags::default(), opus), Inspection::Usual);
        let second = b"\x95\x01Opus\x01\xfc\x01";
        let inspection = tracks.inspect(Kind::Audio, Flags::frame_of(1), second);
        assert!(
            matches!(inspection, Inspection::Header(header) if header[..7] == *b"\x95\0Opus\x01")
        );
    }

    #[test]
    fn who_sends_headers_gets_none_made() {
        let mut tracks = InBand::default();
        assert_eq!(tracks.inspect(Kind::Video, Flags::HEADER, HEADER), Inspection::Usual);
        for _ in 0..5 {
            assert_eq!(tracks.inspect(Kind::Video, Flags::KEY, &key(11)), Inspection::Usual);
            assert_eq!(tracks.inspect(Kind::Video, Flags::KEY, BARE_KEY), Inspection::Usual);
        }
    }

    #[test]
    fn what_is_missing_is_told_once_and_not_before_it_may_have_come() {
        let mut tracks = InBand::default();
        let inspection: Vec<_> =
            (0..5).map(|_| tracks.inspect(Kind::Video, Flags::KEY, BARE_KEY)).collect();
        assert_eq!(
            inspection.iter().filter(|inspection| **inspection == Inspection::Missing).count(),
            1
        );
        assert_eq!(inspection[0], Inspection::Usual);
        let aac = |tracks: &mut InBand| {
            let frames =
                (0..200).map(|_| tracks.inspect(Kind::Audio, Flags::default(), b"\xaf\x01\x21"));
            frames.filter(|inspection| *inspection == Inspection::Missing).count()
        };
        assert_eq!(aac(&mut tracks), 1);
        let mut tracks = InBand::default();
        tracks.inspect(Kind::Audio, Flags::default(), b"\xaf\x01\x21");
        tracks.inspect(Kind::Audio, Flags::HEADER, b"\xaf\0\x11\x90");
        assert_eq!(aac(&mut tracks), 0);
    }
}
