//! Files of a playlist that are opened and decoded one after the other by whoever shows them.

use crate::decode::{Error, File, FileSpec, RunningOrder, list};
use crate::media::{Playlist, VideoClip};
use crate::pipeline::Following;

/// Opens the first file of a playlist that can be played, each as `spec` says, and gives what opens
/// those that follow. Without a seed the order is always the same.
///
/// # Errors
/// If none can be played: why the last one cannot.
pub(super) fn open_in_order(
    playlist: &Playlist,
    spec: impl Fn(&VideoClip) -> FileSpec + Send + 'static,
) -> Result<(File, Following), Error> {
    let listing = list(playlist)?;
    let seed = playlist.shuffle.then(|| playlist.seed.map_or(0, u64::from));
    let mut order = RunningOrder::new(listing.items, playlist.looped, seed);
    let mut open_next = move || {
        let mut failed = None;
        for _ in 0..order.entries().len() {
            let Some(entry) = order.take() else { break };
            order.begun();
            let clip = VideoClip::from(entry.item);
            match File::open(&clip.path, spec(&clip)) {
                Ok(file) => return Ok(Some(file)),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(None), Err)
    };
    match open_next()? {
        // One that cannot be played ends the list here: it has been tried in its turn.
        Some(file) => Ok((file, Box::new(move || open_next().ok().flatten()))),
        None => Err(Error::Playlist {
            path: playlist.place().to_owned(),
            cause: "none of its files can be played".to_owned(),
        }),
    }
}
