//! The files and fonts that a configuration names: whether they can be used.

use std::path::Path;

use super::sources::scene_videos;
use crate::config::{ChannelConfig, Config};
use crate::decode::{self, File, FileSpec};
use crate::media::Size;
use crate::scene::{PreparedScene, Scene};
use crate::sound;

/// What is wrong with the files and fonts of all channels, those of scenes that are not shown too.
#[must_use]
pub(crate) fn faults(config: &Config) -> Vec<String> {
    config.channels.iter().flat_map(of_channel).collect()
}

fn of_channel(channel: &ChannelConfig) -> Vec<String> {
    let mut texts = Vec::new();
    for named in &channel.scenes {
        let found = scene_faults(&named.scene, channel.size).into_iter();
        let (channel, scene) = (&channel.name, &named.name);
        texts.extend(found.map(|text| format!("channel {channel}, scene {scene}: {text}")));
    }
    for input in &channel.sound {
        if let sound::Source::Video(path) = &input.source
            && let Some(error) = video_fault(path)
        {
            texts.push(format!("channel {}: sound \"{}\": {error}", channel.name, input.name));
        }
    }
    texts
}

fn scene_faults(scene: &Scene, size: Size) -> Vec<String> {
    let mut texts = match PreparedScene::with_placeholders(scene, size) {
        Ok((_, faults)) => faults.iter().map(ToString::to_string).collect(),
        Err(error) => vec![error.to_string()],
    };
    texts.extend(video_faults(scene));
    texts
}

/// What is wrong with the video files of a scene.
pub(super) fn video_faults(scene: &Scene) -> Vec<String> {
    let videos = scene_videos(scene).filter_map(|(layer, path)| {
        video_fault(path).map(|error| format!("layer \"{layer}\": {error}"))
    });
    videos.collect()
}

fn video_fault(path: &Path) -> Option<decode::Error> {
    File::open(path, FileSpec::default()).err()
}
