//! Mixers of all channels as control knows them: their settings, and the way of changes to them.

use serde_json::{Map, Value};

use crate::audio::{BusSpec, FADE_MS, Fade, InputSpec, LineFull, MixerControl};
use crate::command::{Answer, Ask, MixView};
use crate::config::{
    Becomes, audio_bus_to_document, audio_to_document, patched_audio, patched_audio_bus,
};
use crate::control::handle::{Reply, say};
use crate::media::Micros;

/// The mixers of the channels that have audio.
#[derive(Debug, Default)]
pub(crate) struct Mixers {
    channels: Vec<(String, MixerControl)>,
    /// What was changed, for who keeps it.
    changes: Vec<Becomes>,
}

impl Mixers {
    /// Takes the mixer of a channel, in the place of what it had.
    pub(crate) fn put(&mut self, channel: &str, mixer: Option<MixerControl>) {
        self.remove(channel);
        self.channels.extend(mixer.map(|mixer| (channel.to_owned(), mixer)));
    }

    /// The channel of this name is gone.
    pub(crate) fn remove(&mut self, channel: &str) {
        self.channels.retain(|(name, _)| name != channel);
    }

    /// What was changed since the last call and is to be kept.
    pub(crate) fn take_changes(&mut self) -> Vec<Becomes> {
        std::mem::take(&mut self.changes)
    }

    /// Drops what mixers no longer need.
    pub(crate) fn tick(&mut self) {
        self.channels.iter_mut().for_each(|(_, mixer)| mixer.drop_retired());
    }

    /// Answers a question or a wish about audio. Gives back what is no such thing.
    pub(crate) fn ask(&mut self, ask: Ask, reply: Reply) -> Option<(Ask, Reply)> {
        let answer = match ask {
            Ask::Audio { channel } => match self.find(&channel) {
                Ok(mixer) => Answer::Audio(MixView {
                    sources: mixer.sources().iter().map(audio_to_document).collect(),
                    bus: audio_bus_to_document(mixer.bus()),
                }),
                Err(answer) => answer,
            },
            Ask::PatchAudio { channel, source: Some(source), patch, fade_ms } => {
                self.patch_source(&channel, &source, (&patch, fade_ms))
            }
            Ask::PatchAudio { channel, source: None, patch, .. } => {
                self.patch_bus(&channel, &patch)
            }
            other => return Some((other, reply)),
        };
        say(reply, answer);
        None
    }

    /// Gives a channel these settings, of which nothing is to be kept.
    pub(crate) fn set(&mut self, channel: &str, sources: Vec<InputSpec>, bus: BusSpec) -> Answer {
        match self.find(channel) {
            // What its file says of audio that is off is heard once it is on.
            Err(_) => Answer::Done,
            Ok(mixer) => match mixer.change(sources, bus, None) {
                Ok(()) => Answer::Done,
                Err(LineFull) => busy(channel),
            },
        }
    }

    fn patch_source(
        &mut self,
        channel: &str,
        source: &str,
        (patch, fade_ms): (&Map<String, Value>, u32),
    ) -> Answer {
        if !FADE_MS.contains(&fade_ms) {
            let text = format!("`fade_ms` {fade_ms} is more than {}", FADE_MS.end());
            return Answer::Invalid(vec![text]);
        }
        let mixer = match self.find(channel) {
            Ok(mixer) => mixer,
            Err(answer) => return answer,
        };
        let Some(place) = mixer.sources().iter().position(|it| it.name == *source) else {
            return Answer::NotFound(format!("channel {channel} has no audio source {source}"));
        };
        let sources = match patched_audio(mixer.sources(), place, patch) {
            Ok(sources) => sources,
            Err(faults) => return Answer::Invalid(faults),
        };
        let becomes = Becomes::AudioSource(channel.to_owned(), Box::new(sources[place].clone()));
        let fade = Fade { source, time: Micros::from_millis(fade_ms.into()) };
        match mixer.change(sources, mixer.bus(), Some(fade)) {
            Ok(()) => self.changes.push(becomes),
            Err(LineFull) => return busy(channel),
        }
        Answer::Done
    }

    fn patch_bus(&mut self, channel: &str, patch: &Map<String, Value>) -> Answer {
        let mixer = match self.find(channel) {
            Ok(mixer) => mixer,
            Err(answer) => return answer,
        };
        let bus = match patched_audio_bus(mixer.bus(), patch) {
            Ok(bus) => bus,
            Err(faults) => return Answer::Invalid(faults),
        };
        match mixer.change(mixer.sources().to_vec(), bus, None) {
            Ok(()) => self.changes.push(Becomes::AudioBus(channel.to_owned(), bus)),
            Err(LineFull) => return busy(channel),
        }
        Answer::Done
    }

    fn find(&mut self, channel: &str) -> Result<&mut MixerControl, Answer> {
        let found = self.channels.iter_mut().find(|(name, _)| name == channel);
        found
            .map(|(_, mixer)| mixer)
            .ok_or_else(|| Answer::NotFound(format!("there is no channel {channel} with audio")))
    }
}

fn busy(channel: &str) -> Answer {
    let text = format!("the mixer of channel {channel} has other changes to take; try again");
    Answer::Unavailable(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Mixer, Source};
    use serde_json::json;
    use tokio::sync::oneshot;

    fn mixers() -> (Mixers, Mixer) {
        let sources = [InputSpec::new("a", Source::Tone(440.0)), InputSpec::new("b", Source::Bed)];
        let (mixer, control) = Mixer::controlled(&sources, BusSpec::default());
        let mut mixers = Mixers::default();
        mixers.put("show", Some(control));
        (mixers, mixer)
    }

    fn ask(mixers: &mut Mixers, ask: Ask) -> Answer {
        let (reply, mut answered) = oneshot::channel();
        assert!(mixers.ask(ask, reply).is_none());
        answered.try_recv().unwrap()
    }

    fn patch(mixers: &mut Mixers, source: Option<&str>, patch: &Value, fade_ms: u32) -> Answer {
        let (channel, source) = ("show".to_owned(), source.map(str::to_owned));
        let patch = patch.as_object().unwrap().clone();
        ask(mixers, Ask::PatchAudio { channel, source, patch, fade_ms })
    }

    fn view(mixers: &mut Mixers) -> MixView {
        match ask(mixers, Ask::Audio { channel: "show".to_owned() }) {
            Answer::Audio(view) => view,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_change_reaches_the_mixer_is_shown_and_is_to_be_kept() {
        let (mut mixers, mut mixer) = mixers();
        let done = patch(&mut mixers, Some("a"), &json!({"mute": true}), 0);
        assert!(matches!(done, Answer::Done), "{done:?}");
        let done = patch(&mut mixers, None, &json!({"ceiling_dbtp": -3}), 0);
        assert!(matches!(done, Answer::Done), "{done:?}");
        let view = view(&mut mixers);
        assert_eq!(view.sources[0]["mute"], json!(true));
        assert_eq!(view.bus["ceiling_dbtp"], json!(-3.0));
        let kept = mixers.take_changes();
        assert!(matches!(&kept[0], Becomes::AudioSource(_, of) if of.mute && of.name == "a"));
        assert!(matches!(&kept[1], Becomes::AudioBus(..)) && kept.len() == 2);
        let mut out = vec![0.0; 9_600];
        mixer.mix(0, Micros(0), &mut out);
        let levels = mixer.levels();
        assert!(levels.source(0).unwrap().rms_db[0] < levels.source(1).unwrap().rms_db[0]);
        mixers.tick();
    }

    #[test]
    fn what_cannot_be_is_refused_and_changes_nothing() {
        let (mut mixers, _mixer) = mixers();
        let before = view(&mut mixers);
        let far = patch(&mut mixers, Some("a"), &json!({"gain_db": -6}), 60_001);
        assert!(matches!(&far, Answer::Invalid(texts) if texts[0].contains("`fade_ms`")));
        let wrong = patch(&mut mixers, Some("a"), &json!({"gain_db": 99}), 0);
        assert!(matches!(&wrong, Answer::Invalid(texts) if texts[0].contains("gain_db")));
        let nobody = patch(&mut mixers, Some("c"), &json!({}), 0);
        assert!(matches!(&nobody, Answer::NotFound(text) if text.contains("audio source c")));
        let gone = ask(&mut mixers, Ask::Audio { channel: "other".to_owned() });
        assert!(matches!(&gone, Answer::NotFound(_)));
        let after = view(&mut mixers);
        assert_eq!((before.sources, before.bus), (after.sources, after.bus));
        assert!(mixers.take_changes().is_empty());
    }

    #[test]
    fn a_mixer_that_does_not_run_takes_some_changes_and_refuses_the_rest() {
        let (mut mixers, mut mixer) = mixers();
        let louder =
            |mixers: &mut Mixers, n: i32| patch(mixers, Some("a"), &json!({ "gain_db": -n }), 0);
        let refused = (0..64).find(|n| matches!(louder(&mut mixers, *n), Answer::Unavailable(_)));
        assert_eq!(refused, Some(32));
        mixer.mix(0, Micros(0), &mut [0.0; 960]);
        assert!(matches!(louder(&mut mixers, 3), Answer::Done));
    }
}
