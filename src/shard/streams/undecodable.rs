//! Undecodable tracks: codecs of a stream that a scene shows and no decoder here takes.

use serde::{Deserialize, Serialize};

use crate::decode;
use crate::media::Kind;
use crate::rtmp::flv::{Format, TagInfo};

/// Remembers the codec of the publisher that a scene's decoder leaves alone, until it is told.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Undecodable {
    found: Option<Format>,
    is_told: bool,
}

impl Undecodable {
    /// Looks at a message that a scene's decoder is given.
    pub(super) fn look(&mut self, kind: Kind, body: &[u8]) {
        if !self.is_told && self.found.is_none() && !decode::can_decode(kind, body) {
            self.found = TagInfo::of(kind, body).and_then(|info| info.format);
        }
    }

    /// The codec, once for each publisher, and what is to be sent instead.
    pub(super) fn take(&mut self) -> Option<String> {
        let format = self.found.take()?;
        self.is_told = true;
        let instead = match format {
            Format::Video(_) => "pictures in H.264, HEVC, AV1 or VP9",
            Format::Audio(_) => "audio in AAC or Opus",
        };
        Some(format!(
            "a scene shows or plays it and cannot decode its {format}; set the encoder to {instead}"
        ))
    }

    /// Another publisher may come.
    pub(super) fn reset(&mut self) {
        self.found = None;
        self.is_told = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_that_scenes_do_not_decode_is_told_once_for_each_publisher() {
        let mut undecodable = Undecodable::default();
        undecodable.look(Kind::Video, &[0x17, 1, 0, 0, 0, 9]);
        undecodable.look(Kind::Audio, &[0xaf, 1, 9]);
        undecodable.look(Kind::Data, b"x");
        undecodable.look(Kind::Video, &[]);
        assert_eq!(undecodable.take(), None);
        for _ in 0..2 {
            undecodable.look(Kind::Video, b"\x91vvc1\0\0\0x");
            let text = undecodable.take().unwrap();
            assert!(text.contains("VVC") && text.contains("H.264"), "{text}");
            undecodable.look(Kind::Video, b"\x91vvc1\0\0\0x");
            assert_eq!(undecodable.take(), None);
            undecodable.reset();
        }
        undecodable.look(Kind::Audio, &[0xb6, 9]);
        assert!(undecodable.take().unwrap().contains("Speex"));
    }
}
