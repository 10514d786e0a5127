//! Asset checks of the files and fonts that a configuration names, without waiting for
//! those that do not come.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use crate::audio;
use crate::config::{ChannelConfig, Config};
use crate::control::channels::scene_loader::SceneLoader;
use crate::control::channels::sources::scene_videos;
use crate::decode::{File, FileSpec, list};
use crate::media::Playlist;
use crate::runtime::{NICE_ENCODE, Worker};
use crate::scene::{self, PreparedScene, ResolvedScene};

/// How long one file, or those of one scene, are waited for: they may lie on a server that does not
/// answer. Beyond that they count as unusable.
const LOAD_MAX: Duration = Duration::from_secs(5);

/// A scene, and what of it cannot be shown yet.
pub(crate) type Prepared = (PreparedScene, Vec<scene::Error>);

/// Loads a scene with placeholders for what cannot be shown, or has not come in time, on a thread
/// that may use `cpus`.
///
/// # Errors
/// If there is no thread; within, if the scene cannot be shown at all.
pub(crate) fn prepare(
    scene: &ResolvedScene,
    cpus: &[usize],
    loader: &Arc<SceneLoader>,
) -> io::Result<Result<Prepared, scene::Error>> {
    let (own, loader) = (scene.clone(), Arc::clone(loader));
    let prepared = in_time(LOAD_MAX, cpus, move || loader.prepare(&own))?;
    Ok(prepared.unwrap_or_else(|| PreparedScene::without_files(scene, &late())))
}

/// What `look`, which opens files on a thread of its own, finds within `limit`. After that the
/// thread goes on alone, for as long as the file takes.
fn in_time<T: Send + 'static>(
    limit: Duration,
    cpus: &[usize],
    look: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Option<T>> {
    let (done, found) = mpsc::sync_channel(1);
    // Nobody listens any more if it took too long.
    let worker =
        Worker::spawn("assets", cpus.to_vec(), NICE_ENCODE, move || drop(done.send(look())))?;
    let found = found.recv_timeout(limit).ok();
    if found.is_some() {
        // It has nothing left to do.
        worker.join();
    }
    Ok(found)
}

fn late() -> String {
    format!("it has not been read within {} s", LOAD_MAX.as_secs())
}

/// What is wrong with the files and fonts of all channels, those of scenes that are not shown too.
#[must_use]
pub(crate) fn faults(config: &Config) -> Vec<String> {
    config.channels.iter().flat_map(of_channel).collect()
}

fn of_channel(channel: &ChannelConfig) -> Vec<String> {
    let mut texts = Vec::new();
    for named in &channel.scenes {
        let found = channel.resolved(&named.scene);
        let found = found.map_or_else(|error| vec![error.to_string()], |it| scene_faults(&it));
        let (channel, scene) = (&channel.name, &named.name);
        let told = found.into_iter();
        texts.extend(told.map(|text| format!("channel {channel}, scene {scene}: {text}")));
    }
    for input in &channel.audio_sources {
        let fault = match &input.source {
            audio::Source::Video(clip) => video_fault(&clip.path),
            audio::Source::Playlist(playlist) => playlist_fault(playlist),
            _ => None,
        };
        if let Some(error) = fault {
            texts.push(format!("channel {}: audio \"{}\": {error}", channel.name, input.name));
        }
    }
    texts
}

fn scene_faults(scene: &ResolvedScene) -> Vec<String> {
    let mut texts = match prepare(scene, &[], &Arc::default()) {
        Ok(Ok((_, faults))) => faults.iter().map(ToString::to_string).collect(),
        Ok(Err(error)) => vec![error.to_string()],
        Err(error) => vec![format!("no thread to look at its files: {error}")],
    };
    texts.extend(video_faults(scene));
    texts
}

/// What is wrong with the video files of a scene.
pub(crate) fn video_faults(scene: &ResolvedScene) -> Vec<String> {
    let videos = scene_videos(scene).into_iter().filter_map(|(layer, path)| {
        video_fault(path).map(|error| format!("layer \"{layer}\": {error}"))
    });
    let lists = scene.layers().into_iter().filter_map(|layer| {
        let scene::Source::Playlist { playlist, .. } = &layer.source else { return None };
        playlist_fault(playlist).map(|error| format!("layer \"{}\": {error}", layer.name))
    });
    videos.chain(lists).collect()
}

/// What is wrong with the folder or the file of a playlist. Items that cannot be played are skipped
/// when it is their turn.
fn playlist_fault(playlist: &Playlist) -> Option<String> {
    let own = playlist.clone();
    let look = move || list(&own).err().map(|error| error.to_string());
    match in_time(LOAD_MAX, &[], look) {
        Ok(Some(fault)) => fault,
        Ok(None) => Some(format!("cannot read {}: {}", playlist.place().display(), late())),
        Err(error) => Some(format!("no thread to look at a playlist: {error}")),
    }
}

/// What is wrong with a video file.
pub(crate) fn video_fault(path: &Path) -> Option<String> {
    let own = path.to_owned();
    let open = move || File::open(&own, FileSpec::default()).err().map(|error| error.to_string());
    match in_time(LOAD_MAX, &[], open) {
        Ok(Some(fault)) => fault,
        Ok(None) => Some(format!("cannot play {}: {}", path.display(), late())),
        Err(error) => Some(format!("no thread to look at {}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_at_a_file_that_does_not_come_is_not_kept_waiting() {
        assert_eq!(in_time(LOAD_MAX, &[], || 7).unwrap(), Some(7));
        let (answer, server) = mpsc::channel::<()>();
        let silent = in_time(Duration::ZERO, &[], move || server.recv().is_err()).unwrap();
        assert_eq!(silent, None);
        drop(answer);
    }
}
