//! Steps of a change in words, without any secret.

use std::fmt;

use super::{Named, Part, Step};

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemoveChannel(name) => write!(f, "channel {name} ended"),
            Self::AddChannel(channel) => write!(f, "channel {} began", channel.name),
            Self::ReplaceChannel(channel) => write!(f, "channel {} was replaced", channel.name),
            Self::Output(channel, part) => {
                tell(part, f, "output")?;
                write!(f, " of channel {channel}")
            }
            Self::Push(part) => tell(part, f, "push"),
            Self::Pull(part) => tell(part, f, "pull"),
            Self::Record(part) => tell(part, f, "recording"),
            Self::Transcode(part) => tell(part, f, "transcode"),
            Self::PutScene(channel, scene) => {
                write!(f, "scene {} of channel {channel} was replaced", scene.name)
            }
            Self::ShowScene(channel, scene) => write!(f, "channel {channel} shows scene {scene}"),
            Self::PutOverlays(channel, _) => write!(f, "overlays of channel {channel} replaced"),
            Self::PutTransition(channel, _) => {
                write!(f, "transition of channel {channel} replaced")
            }
            Self::PutAudio(channel, ..) => write!(f, "audio of channel {channel} changed"),
            Self::PutSchedule(channel, Some(_)) => {
                write!(f, "schedule of channel {channel} changed")
            }
            Self::PutSchedule(channel, None) => write!(f, "schedule of channel {channel} ended"),
            Self::RemoveScene(channel, scene) => {
                write!(f, "scene {scene} of channel {channel} was removed")
            }
            Self::Log(filter) => write!(f, "the log level is {filter}"),
            Self::Rules(tables) => write!(f, "{} changed", tables.join(", ")),
        }
    }
}

fn tell<T: Named>(part: &Part<T>, f: &mut fmt::Formatter<'_>, kind: &str) -> fmt::Result {
    match part {
        Part::Gone(name) => write!(f, "removed {kind} {name}"),
        Part::New(part) => write!(f, "added {kind} {}", part.name()),
        Part::Switched(name, true) => write!(f, "started {kind} {name}"),
        Part::Switched(name, false) => write!(f, "stopped {kind} {name}"),
    }
}
