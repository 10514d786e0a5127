//! Substitute of a stream: the rendition that a reader is given who cannot take the codecs of the
//! stream that it asked for.

use std::sync::Arc;

use super::streams::Stream;
use crate::command::SentCodecs;
use crate::media::Kind;
use crate::rtmp::{Capabilities, flv};
use crate::stream::Message;

/// The headers of a stream's first tracks.
pub(super) type Codecs = (Option<flv::Video>, Option<flv::Audio>);

/// The stream that an output is to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// That is not known yet: the headers of its stream come in a moment.
    Unknown,
    /// Its stream.
    Original,
    /// This rendition of it.
    Rendition(Arc<str>),
    /// None: the destination does not take this format, and nothing stands in for it.
    Nothing(flv::Format),
}

/// The codecs of a stream, as far as they are known.
pub(super) fn codecs_of(stream: &Stream) -> Codecs {
    let sample = |kind| stream.log.sample_of(kind).map(Message::body);
    let video = sample(Kind::Video).and_then(flv::Video::parse);
    (video, sample(Kind::Audio).and_then(flv::Audio::parse))
}

/// What a destination is sent that has answered with these capabilities. `codecs` are those of its
/// stream, once all are known; `rendition` is what stands in for that, if it is made. Where it is,
/// silence counts as a no, as it does for players.
pub(super) fn choose(
    codecs: Option<Codecs>,
    rendition: Option<Arc<str>>,
    (capabilities, sent): (&Capabilities, SentCodecs),
) -> Choice {
    if sent == SentCodecs::All {
        return Choice::Original;
    }
    match (codecs, rendition) {
        (None, Some(_)) => Choice::Unknown,
        (None, None) => Choice::Original,
        (Some(codecs), Some(rendition)) => match names(capabilities, codecs) {
            true => Choice::Original,
            false => Choice::Rendition(rendition),
        },
        (Some((video, audio)), None) => {
            let video = video.filter(|video| !capabilities.takes_video(video));
            let audio = audio.filter(|audio| !capabilities.takes_audio(audio));
            let missing = video.map(|video| flv::Format::Video(video.format));
            let missing = missing.or_else(|| audio.map(|audio| flv::Format::Audio(audio.format)));
            missing.map_or(Choice::Original, Choice::Nothing)
        }
    }
}

/// Whether a destination can take the stream only if it knows Enhanced RTMP.
pub(super) fn is_enhanced(stream: &Stream) -> bool {
    !names(&Capabilities::default(), codecs_of(stream))
}

/// Whether a peer has said that it takes these, or every peer does.
fn names(capabilities: &Capabilities, (video, audio): Codecs) -> bool {
    video.is_none_or(|video| capabilities.names_video(&video))
        && audio.is_none_or(|audio| capabilities.names_audio(&audio))
}

#[cfg(test)]
mod tests {
    use super::*;

    const H264: &[u8] = &[0x17, 0, 0, 0, 0];
    const HEVC: &[u8] = b"\x90hvc1\x01";
    const AAC: &[u8] = &[0xaf, 0];
    const OPUS: &[u8] = b"\x90Opus\x01";

    /// What is chosen of a stream of these for a destination that lists these codecs, or none.
    fn chosen(codecs: Option<(&[u8], &[u8])>, has_rendition: bool, listed: &str) -> Choice {
        let parse = |(video, audio)| (flv::Video::parse(video), flv::Audio::parse(audio));
        let capabilities = match listed {
            "" => Capabilities::default(),
            listed => Capabilities::of_list(listed),
        };
        let rendition = has_rendition.then(|| Arc::from("live/b"));
        choose(codecs.map(parse), rendition, (&capabilities, SentCodecs::Auto))
    }

    #[test]
    fn a_rendition_stands_in_while_the_destination_does_not_announce_the_codecs() {
        let rendition = || Choice::Rendition(Arc::from("live/b"));
        assert_eq!(chosen(None, true, ""), Choice::Unknown, "its headers come in a moment");
        assert_eq!(chosen(Some((H264, AAC)), true, ""), Choice::Original);
        assert_eq!(chosen(Some((HEVC, AAC)), true, ""), rendition());
        assert_eq!(chosen(Some((H264, OPUS)), true, "hvc1"), rendition());
        assert_eq!(chosen(Some((HEVC, OPUS)), true, "hvc1"), rendition(), "half is not enough");
        assert_eq!(chosen(Some((HEVC, OPUS)), true, "hvc1,Opus"), Choice::Original);
        assert_eq!(chosen(Some((HEVC, OPUS)), true, "*"), Choice::Original);
    }

    #[test]
    fn without_one_only_a_destination_that_lists_others_is_sent_nothing() {
        let missing = |format| Choice::Nothing(format);
        assert_eq!(chosen(None, false, "av01"), Choice::Original);
        assert_eq!(chosen(Some((HEVC, OPUS)), false, ""), Choice::Original, "silence is no no");
        let hevc = flv::Format::Video(flv::VideoFormat::Hevc);
        assert_eq!(chosen(Some((HEVC, AAC)), false, "av01"), missing(hevc));
        let opus = flv::Format::Audio(flv::AudioFormat::Opus);
        assert_eq!(chosen(Some((H264, OPUS)), false, "fLaC"), missing(opus));
        let all = (&Capabilities::of_list("av01"), SentCodecs::All);
        let hevc = Some((flv::Video::parse(HEVC), None));
        assert_eq!(choose(hevc, Some(Arc::from("live/b")), all), Choice::Original);
    }
}
