//! Playlists of a channel: the two threads of each, and what is told of them.

use crate::control::channels::error::ChannelError;
use crate::control::channels::sources::{DecoderContext, Taker, file_spec};
use crate::decode::{File, FileSpec};
use crate::event::{NodeEvent, PlaylistEvent, PlaylistItemNews};
use crate::ffi::set_log_subject;
use crate::media::{Micros, Playlist, PlaylistItem, VideoClip};
use crate::pipeline::{PlaylistNews, open_items, play_list, playlist_ends};
use crate::ring::Bell;

impl DecoderContext {
    /// Starts playing a playlist for layers and audio sources.
    pub(super) fn playlist(
        &self,
        playlist: Playlist,
        (names, out, sizes): Taker,
        start: Micros,
    ) -> Result<(), ChannelError> {
        let layer = names.first().cloned().unwrap_or_default();
        let clock = self.clock;
        let (want_pictures, want_audio) = (out.has_pictures(), !out.audio.is_empty());
        let (remote, end, opener) = playlist_ends(&Bell::new());
        self.players.add_playlist(&self.channel, names, playlist.clone(), remote);
        let tell = self.playlist_reporter(layer.clone());
        let subject = format!("playlist {layer}");
        let name = subject.clone();
        self.spawn(Box::new(move || {
            set_log_subject(&name);
            open_items(opener, |item: &PlaylistItem| {
                let clip = VideoClip::from(item.clone());
                let spec = file_spec(&clip, &sizes, start);
                let spec = FileSpec { want_pictures, want_audio, is_followed: true, ..spec };
                File::open(&clip.path, spec)
            });
        }))?;
        self.spawn(Box::new(move || {
            set_log_subject(&subject);
            play_list((playlist, start), end, out, clock, tell);
        }))
    }

    /// Tells everybody what becomes of the playlist behind a layer or an audio source.
    fn playlist_reporter(&self, layer: String) -> impl FnMut(PlaylistNews) + Send + use<> {
        let mut of_file = self.file_reporter(layer.clone());
        let (channel, events) = (self.channel.clone(), self.events.clone());
        move |news| {
            let (file, what) = match news {
                PlaylistNews::File(news) => return of_file(news),
                PlaylistNews::ItemStarted { index, file } => {
                    (file, PlaylistItemNews::Started(index))
                }
                PlaylistNews::ItemSkipped { file, reason } => {
                    (file, PlaylistItemNews::Skipped(reason))
                }
            };
            let (channel, layer) = (channel.clone(), layer.clone());
            let event = PlaylistEvent { channel, layer, file, what };
            events.force_push(NodeEvent::Playlist(Box::new(event)));
        }
    }
}
