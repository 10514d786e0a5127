//! Players of a node: the video files and playlists that its channels show and play now, and the
//! way of commands to their threads.

use std::sync::{Arc, PoisonError};

use crate::command::{Answer, ItemCommand, PlaybackCommand, PlaybackState, PlaybackView};
use crate::media::{PLAYLIST_ITEMS_MAX, Playlist, VideoClip};
use crate::pipeline::{PlaybackRemote, PlaylistRemote};
use crate::scene::InputSource;

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
    plays: InputSource,
    remote: Remote,
}

/// The way to a player.
enum Remote {
    File(PlaybackRemote),
    Playlist(PlaylistRemote),
}

impl Remote {
    fn is_closed(&self) -> bool {
        match self {
            Self::File(remote) | Self::Playlist(PlaylistRemote { playback: remote, .. }) => {
                remote.is_closed()
            }
        }
    }

    /// How it goes, by this name.
    fn view(&self, layer: &str) -> PlaybackView {
        let (playback, playlist) = match self {
            Self::File(remote) => (remote, None),
            Self::Playlist(remote) => (&remote.playback, Some(remote.view())),
        };
        let (state, position, duration) = playback.status();
        PlaybackView { layer: layer.to_owned(), state, position, duration, playlist }
    }

    /// Has it do something; why it does not.
    fn command(&mut self, name: &str, command: PlaybackCommand) -> Result<(), Answer> {
        let state = self.view(name).state;
        let playback = match (self, &command) {
            (Self::File(_), PlaybackCommand::Items(_)) => {
                let text = format!("{name} plays one file: such actions are for a playlist");
                return Err(Answer::Conflict(text));
            }
            (Self::Playlist(remote), PlaybackCommand::Items(items)) => {
                check_place(items, remote.view().items.len()).map_err(Answer::Conflict)?;
                &mut remote.playback
            }
            (Self::File(_) | Self::Playlist(_), _) if state == PlaybackState::Failed => {
                return Err(Answer::Conflict(format!("what {name} plays cannot be played now")));
            }
            (Self::File(remote), _) => remote,
            (Self::Playlist(remote), _) => &mut remote.playback,
        };
        let is_sent = playback.send(command);
        let busy = || Answer::Unavailable(format!("{name} has other commands to obey; try again"));
        is_sent.then_some(()).ok_or_else(busy)
    }
}

/// Whether there is such a place among so many items; what is wrong with it.
fn check_place(command: &ItemCommand, count: usize) -> Result<(), String> {
    match command {
        ItemCommand::Insert { .. } if count >= PLAYLIST_ITEMS_MAX => {
            Err(format!("a playlist has at most {PLAYLIST_ITEMS_MAX} items; remove one first"))
        }
        ItemCommand::Insert { place: Some(place), .. } if *place > count => {
            Err(format!("there are {count} items: `index` is at most {count}"))
        }
        ItemCommand::Skip(place) | ItemCommand::Remove(place) if *place >= count => {
            Err(format!("there are {count} items: `index` counts them from 0"))
        }
        ItemCommand::Remove(_) if count == 1 => {
            Err("it is the only item: insert another one first".to_owned())
        }
        _ => Ok(()),
    }
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
        self.put(channel, names, InputSource::Video(clip), Remote::File(remote));
    }

    /// The same of a playlist.
    pub(crate) fn add_playlist(
        &self,
        channel: &str,
        names: Vec<String>,
        playlist: Playlist,
        remote: PlaylistRemote,
    ) {
        self.put(channel, names, InputSource::Playlist(playlist), Remote::Playlist(remote));
    }

    fn put(&self, channel: &str, names: Vec<String>, plays: InputSource, remote: Remote) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|player| !player.remote.is_closed());
        known.push(Player { channel: channel.to_owned(), names, plays, remote });
    }

    /// One more layer of a channel shows something; if it is played already, it is known by it.
    pub(crate) fn add_name(&self, channel: &str, plays: &InputSource, layer: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |it: &&mut Player| {
            it.channel == channel && it.plays == *plays && !it.remote.is_closed()
        };
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
                views.push(player.remote.view(layer));
            }
        }
        views.sort_by(|a, b| a.layer.cmp(&b.layer));
        views
    }

    /// Has every player of this name in a channel do something.
    pub(crate) fn command(&self, channel: &str, name: &str, command: &PlaybackCommand) -> Answer {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |it: &&mut Player| {
            it.channel == channel && !it.remote.is_closed() && it.names.iter().any(|n| n == name)
        };
        let mut answer =
            Answer::NotFound(format!("channel {channel} plays no video file in {name}"));
        for player in known.iter_mut().filter(is_it) {
            if let Err(refusal) = player.remote.command(name, command.clone()) {
                return refusal;
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
        let play = |name| players.command("demo", name, &PlaybackCommand::Play);
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
