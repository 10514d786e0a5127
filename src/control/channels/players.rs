//! Players of a node: the video files that its channels show and play now, and the way of commands
//! to their threads.

use std::sync::{Arc, PoisonError};

use crate::command::{Answer, PlaybackCommand, PlaybackState, PlaybackView};
use crate::media::VideoClip;
use crate::pipeline::PlaybackRemote;

/// The players, the newest last.
#[expect(clippy::disallowed_types, reason = "held for a moment, by control and by who loads")]
type Known = std::sync::Mutex<Vec<Player>>;

/// The players of a node. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Players(Arc<Known>);

struct Player {
    channel: String,
    /// The layer that shows the file, and the audio sources that play it.
    names: Vec<String>,
    clip: VideoClip,
    remote: PlaybackRemote,
}

impl Players {
    /// Takes one more player of a channel, which is known by these names until its thread ends.
    pub(crate) fn add(
        &self,
        channel: &str,
        names: Vec<String>,
        clip: VideoClip,
        remote: PlaybackRemote,
    ) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|player| !player.remote.is_closed());
        known.push(Player { channel: channel.to_owned(), names, clip, remote });
    }

    /// One more layer of a channel shows a clip that is played already.
    pub(crate) fn add_name(&self, channel: &str, clip: &VideoClip, layer: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it =
            |it: &&mut Player| it.channel == channel && it.clip == *clip && !it.remote.is_closed();
        for player in known.iter_mut().filter(is_it) {
            if player.names.iter().all(|name| name != layer) {
                player.names.push(layer.to_owned());
            }
        }
    }

    /// The players of a channel, each once, by the layer if there is one. Of several by one name,
    /// as there are while a scene changes, the newest.
    pub(crate) fn views(&self, channel: &str) -> Vec<PlaybackView> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut views: Vec<PlaybackView> = Vec::new();
        let newest_first = known.iter().rev();
        for player in newest_first.filter(|it| it.channel == channel && !it.remote.is_closed()) {
            let Some(layer) = player.names.first() else { continue };
            if views.iter().all(|view| view.layer != *layer) {
                let (state, position, duration) = player.remote.status();
                views.push(PlaybackView { layer: layer.clone(), state, position, duration });
            }
        }
        views.sort_by(|a, b| a.layer.cmp(&b.layer));
        views
    }

    /// Has every player of this name in a channel do something.
    pub(crate) fn command(&self, channel: &str, name: &str, command: PlaybackCommand) -> Answer {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |it: &&mut Player| {
            it.channel == channel && !it.remote.is_closed() && it.names.iter().any(|n| n == name)
        };
        let mut answer =
            Answer::NotFound(format!("channel {channel} plays no video file in {name}"));
        for player in known.iter_mut().filter(is_it) {
            if player.remote.status().0 == PlaybackState::Failed {
                return Answer::Conflict(format!("the file of {name} cannot be played now"));
            }
            if !player.remote.send(command) {
                return Answer::Unavailable(format!(
                    "{name} has other commands to obey; try again"
                ));
            }
            answer = Answer::Done;
        }
        answer
    }
}

impl std::fmt::Debug for Players {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Players").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::playback_ends;
    use crate::ring::Bell;

    #[test]
    fn a_player_is_commanded_by_its_layer_and_by_its_audio_source_until_it_ends() {
        let (players, names) = (Players::default(), ["clip", "sound"].map(str::to_owned));
        let (remote, end) = playback_ends(&Bell::new());
        players.add("demo", names.to_vec(), std::path::PathBuf::from("clip.mp4").into(), remote);
        let play = |name| players.command("demo", name, PlaybackCommand::Play);
        assert!(matches!(play("clip"), Answer::Done) && matches!(play("sound"), Answer::Done));
        assert!(matches!(play("other"), Answer::NotFound(text) if text.contains("other")));
        assert!(players.views("other").is_empty());
        let views = players.views("demo");
        assert_eq!((views.len(), views[0].layer.as_str()), (1, "clip"));
        assert_eq!((views[0].state, views[0].duration), (PlaybackState::Opening, None));
        (0..6).for_each(|_| assert!(matches!(play("clip"), Answer::Done)));
        assert!(matches!(play("clip"), Answer::Unavailable(_)), "a command waits for room");
        drop(end);
        assert!(matches!(play("clip"), Answer::NotFound(_)));
        assert!(players.views("demo").is_empty());
    }
}
