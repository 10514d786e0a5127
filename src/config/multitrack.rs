//! `[[channel.multitrack]]`: several renditions of a channel as the tracks of one stream.

use std::collections::HashSet;

use super::fault::{Faults, quoted};
use super::field::name;
use super::rendition::{self, MAIN_RENDITION, Read, RenditionConfig};
use super::section::{Found, Section};

/// Fewest renditions that such a stream carries: one alone is a stream of its own.
const TRACKS_MIN: usize = 2;

/// A stream that carries several renditions of its channel, each as a track of Enhanced RTMP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultitrackConfig {
    /// Name, by which outputs choose it as they choose a rendition.
    pub name: String,
    /// Public stream name, `app/name`.
    pub stream: String,
    /// Names of the renditions; that of track 0, which players without multitrack show, is first.
    pub renditions: Vec<String>,
}

impl MultitrackConfig {
    /// Names of the renditions, track by track.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.renditions.iter().map(String::as_str)
    }
}

/// Those of a channel that has these renditions beside its first one, with the places of their
/// streams.
pub(super) fn read_all(
    tables: Vec<Section<'_>>,
    faults: &mut Faults<'_>,
    renditions: &[RenditionConfig],
    stream: Option<&str>,
) -> Read<MultitrackConfig> {
    let heading = ("a channel", "[[channel.multitrack]]");
    let taken = renditions.iter().map(|rendition| rendition.name.as_str());
    let known: Vec<_> = [MAIN_RENDITION].into_iter().chain(taken).collect();
    let read = |s: &mut Section<'_>, faults: &mut Faults<'_>| {
        if let Some(Found { value, span }) = s.parsed(faults, "name", name)
            && known.contains(&value.as_str())
        {
            let shown = quoted(&value);
            faults.add(&span, format!("a rendition has the name {shown} already; choose another"));
        }
        let renditions = read_tracks(s, faults, &known);
        MultitrackConfig { name: String::new(), stream: String::new(), renditions }
    };
    let named = |found, name, stream| MultitrackConfig { name, stream, ..found };
    rendition::each(tables, faults, (heading, stream), read, named)
}

/// The names of the renditions, of which there are `known`.
fn read_tracks(s: &mut Section<'_>, faults: &mut Faults<'_>, known: &[&str]) -> Vec<String> {
    let convert = |text: &str| match known.contains(&text) {
        true => Ok(text.to_owned()),
        false => {
            let names: Vec<_> = known.iter().map(|name| quoted(name)).collect();
            Err(format!("there is no rendition {}; there are {}", quoted(text), names.join(", ")))
        }
    };
    let listed = s.texts(faults, "renditions", convert);
    let all = || known.iter().map(|name| (*name).to_owned()).collect();
    let tracks: Vec<String> = listed.unwrap_or_else(all);
    let mut seen = HashSet::new();
    if let Some(twice) = tracks.iter().find(|name| !seen.insert(name.as_str())) {
        let text = format!("`renditions`: {} is listed twice", quoted(twice));
        faults.add(&s.place("renditions"), text);
    }
    if tracks.len() < TRACKS_MIN {
        let text = format!(
            "`renditions`: a stream of tracks carries {TRACKS_MIN} or more; list more, or use the \
             rendition's own stream"
        );
        faults.add(&s.place("renditions"), text);
    }
    tracks
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn read(more: &str) -> Result<Config, String> {
        let text = format!(
            "[[channel]]\nname = \"a\"\n[[channel.rendition]]\nname = \"low\"\nheight = 360\n\
             [[channel.rendition]]\nname = \"odd\"\nheight = 180\n[[channel.multitrack]]\n{more}"
        );
        Config::parse(&text, "x").map_err(|faults| faults.to_string())
    }

    #[test]
    fn a_stream_of_tracks_has_all_renditions_or_those_that_are_listed_in_that_order() {
        let config = read(
            "name = \"all\"\n[[channel.multitrack]]\nname = \"two\"\nstream = \"x/two\"\n\
             renditions = [\"low\", \"main\"]\n[[channel.output]]\nname = \"o\"\n\
             url = \"rtmp://h/a/k\"\nrendition = \"two\"\ntracks = \"all\"\n",
        );
        let channel = &config.unwrap().channels[0];
        let [all, two] = &channel.multitracks[..] else { panic!() };
        assert_eq!(
            (all.stream.as_str(), &all.renditions[..]),
            ("live/a_all", &["main".to_owned(), "low".to_owned(), "odd".to_owned()][..])
        );
        assert_eq!(
            (two.stream.as_str(), &two.renditions[..]),
            ("x/two", &["low".to_owned(), "main".to_owned()][..])
        );
        let output = &channel.outputs[0];
        assert_eq!(channel.stream_of(output.rendition.as_deref()), Some("x/two"));
        assert_eq!(output.rules.tracks, crate::command::SentTracks::All);
    }

    #[test]
    fn what_cannot_be_is_told_with_what_can() {
        for (more, said) in [
            ("", "needs `name`"),
            ("name = \"low\"", "a rendition has the name \"low\" already"),
            ("name = \"b\"\nrenditions = [\"low\"]", "carries 2 or more"),
            ("name = \"b\"\nrenditions = [\"low\", \"low\"]", "\"low\" is listed twice"),
            (
                "name = \"b\"\nrenditions = [\"low\", \"4k\"]",
                "there is no rendition \"4k\"; there are \"main\", \"low\", \"odd\"",
            ),
            (
                "name = \"b\"\nstream = \"live/a\"",
                "a channel with the stream \"live/a\" is already",
            ),
            ("name = \"b\"\nheight = 3", "unknown key `height`"),
        ] {
            let text = read(more).unwrap_err();
            assert!(text.contains(said), "{more}: {text}");
        }
    }

    #[test]
    fn a_platform_is_asked_about_every_track_that_its_output_sends() {
        let with = |rendition: &str| {
            read(&format!(
                "name = \"b\"\n[[channel.rendition]]\nname = \"big\"\nbitrate = \"9M\"\n\
                 [[channel.output]]\nname = \"o\"\nurl = \"rtmp://h/a/k\"\n\
                 preset = \"twitch\"\nrendition = \"{rendition}\"\n"
            ))
        };
        assert!(with("low").is_ok());
        let text = with("b").unwrap_err();
        assert_eq!(text.matches("up to 6000 kb/s").count(), 1, "{text}");
    }
}
