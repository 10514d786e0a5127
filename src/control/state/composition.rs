//! Composition of a channel: what drawing its pictures took in the last second, layer by layer.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use utoipa::ToSchema;

use super::figures::{Latency, named};
use crate::stats::{
    AssetCacheFigures, ChannelSnapshot, DropReason, HistogramFigures, LayerFigures,
};

/// What drawing a channel's pictures takes, as the last second was. Frames of native renditions,
/// which are drawn on cores of their own, are not part of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Composition {
    /// The scene on the air.
    pub scene: String,
    /// Frames drawn in the last second.
    pub frames: u64,
    /// Time on the compose core per frame, with what no layer accounts for; nothing if there was
    /// no frame.
    pub frame_ms: Option<Latency>,
    /// Mean time per frame, microseconds.
    pub us_per_frame: f64,
    /// Luma pixels drawn per frame, mean.
    pub pixels_per_frame: f64,
    /// Ticks that were not drawn or not taken since start, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Bytes of the pictures that are kept for the scene on the air: images, letters, surfaces of
    /// groups.
    pub cache_bytes: u64,
    /// What is kept for scenes of all channels.
    pub asset_cache: AssetCache,
    /// Its layers, those that took most first. While a transition goes on, those of the scene that
    /// comes.
    pub layers: Vec<LayerLoad>,
}

/// Loaded pictures of all channels, kept for scenes that show them again: the least used go when
/// there are too many.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct AssetCache {
    /// Sources of layers that are kept.
    pub entries: usize,
    /// Bytes of their pictures.
    pub bytes: usize,
    /// What these may be at most.
    pub bytes_max: usize,
    /// Layers since start that found their source here.
    pub hits: u64,
    /// Layers since start whose source was loaded.
    pub misses: u64,
    /// Sources since start that had to go for others.
    pub evictions: u64,
}

impl From<AssetCacheFigures> for AssetCache {
    fn from(figures: AssetCacheFigures) -> Self {
        let AssetCacheFigures { entries, bytes, bytes_max, hits, misses, evictions } = figures;
        Self { entries, bytes, bytes_max, hits, misses, evictions }
    }
}

/// What a layer takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct LayerLoad {
    /// Its name, with those of the groups and scenes that it is in; of a group that is drawn as
    /// one, the names of its layers, joined by `+`.
    pub name: String,
    /// Time on the compose core per frame, mean, microseconds. Decoding is not part of it.
    pub us_per_frame: f64,
    /// Luma pixels drawn per frame, mean.
    pub pixels_per_frame: f64,
    /// Bytes of pictures that are kept for it.
    pub cache_bytes: u64,
}

/// What all channels had counted at the last look.
#[derive(Debug, Default)]
pub(super) struct Collected(HashMap<String, Seen>);

#[derive(Debug, Default)]
struct Seen {
    draw: HistogramFigures,
    pixels: u64,
    layers: Vec<LayerFigures>,
}

impl Collected {
    /// What `channel`, which shows `scene`, took since the last call, and what `cache` holds.
    pub(super) fn look(
        &mut self,
        channel: &ChannelSnapshot,
        scene: &str,
        cache: AssetCacheFigures,
    ) -> Composition {
        let (figures, layers) = (&channel.figures, &channel.layers);
        let now = Seen { draw: figures.draw, pixels: figures.pixels, layers: layers.clone() };
        let seen = self.0.insert(channel.name.clone(), now).unwrap_or_default();
        let draw = figures.draw.since(&seen.draw);
        let frames = draw.count();
        let per_frame = |sum: f64| if frames == 0 { 0.0 } else { sum / frames as f64 };
        let load = |layer: &LayerFigures| {
            // Another scene's figures begin anew.
            let before = seen.layers.iter().find(|it| it.name == layer.name);
            let before = before.filter(|it| it.nanos <= layer.nanos).cloned().unwrap_or_default();
            LayerLoad {
                name: layer.name.clone(),
                us_per_frame: per_frame(layer.nanos.abs_diff(before.nanos) as f64 / 1e3),
                pixels_per_frame: per_frame(layer.pixels.saturating_sub(before.pixels) as f64),
                cache_bytes: layer.cache_bytes,
            }
        };
        let mut loads: Vec<_> = layers.iter().map(load).collect();
        loads.sort_by(|a, b| b.us_per_frame.total_cmp(&a.us_per_frame));
        Composition {
            scene: scene.to_owned(),
            frames,
            frame_ms: Latency::of(&draw),
            us_per_frame: per_frame(draw.sum_s() * 1e6),
            pixels_per_frame: per_frame(figures.pixels.saturating_sub(seen.pixels) as f64),
            skipped: named(DropReason::ALL.map(DropReason::label), figures.dropped),
            cache_bytes: layers.iter().map(|layer| layer.cache_bytes).sum(),
            asset_cache: cache.into(),
            layers: loads,
        }
    }

    /// Forgets channels that are not `known`.
    pub(super) fn retain(&mut self, known: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| known(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Micros;
    use crate::stats::ChannelStats;

    fn layer(name: &str, nanos: u64, pixels: u64) -> LayerFigures {
        LayerFigures { name: name.to_owned(), cache_bytes: 100, nanos, pixels }
    }

    fn snapshot(stats: &ChannelStats, layers: Vec<LayerFigures>) -> ChannelSnapshot {
        let (name, figures) = ("demo".to_owned(), stats.read());
        ChannelSnapshot { name, figures, layers, ..ChannelSnapshot::default() }
    }

    #[test]
    fn what_layers_take_is_told_per_frame_of_the_last_second_dearest_first() {
        let (stats, mut collected) = (ChannelStats::default(), Collected::default());
        stats.drawn(Micros(300), 5_000);
        let first = vec![layer("logo", 1_000, 50), layer("clock", 2_000, 10)];
        collected.look(&snapshot(&stats, first), "main", AssetCacheFigures::default());
        for _ in 0..4 {
            stats.drawn(Micros(200), 1_000);
        }
        stats.dropped(DropReason::PoolEmpty, 3);
        let next = vec![layer("logo", 9_000, 450), layer("clock", 42_000, 4_010)];
        let told =
            collected.look(&snapshot(&stats, next.clone()), "main", AssetCacheFigures::default());
        assert_eq!((told.frames, told.pixels_per_frame, told.cache_bytes), (4, 1_000.0, 200));
        assert!((told.us_per_frame - 200.0).abs() < 1e-6, "{}", told.us_per_frame);
        assert_eq!(told.skipped["pool_empty"], 3);
        let loads = told.layers.iter().map(|it| (&it.name[..], it.us_per_frame));
        assert_eq!(loads.collect::<Vec<_>>(), [("clock", 10.0), ("logo", 2.0)]);
        assert!((told.layers[0].pixels_per_frame - 1_000.0).abs() < 1e-6);

        let idle = collected.look(&snapshot(&stats, next), "main", AssetCacheFigures::default());
        assert_eq!((idle.frames, idle.frame_ms, idle.layers[0].us_per_frame), (0, None, 0.0));
    }

    #[test]
    fn layers_of_another_scene_begin_with_nothing() {
        let (stats, mut collected) = (ChannelStats::default(), Collected::default());
        collected.look(
            &snapshot(&stats, vec![layer("logo", 9_000, 450)]),
            "main",
            AssetCacheFigures::default(),
        );
        stats.drawn(Micros(200), 1_000);
        let told = collected.look(
            &snapshot(&stats, vec![layer("logo", 1_000, 45)]),
            "other",
            AssetCacheFigures::default(),
        );
        assert_eq!((&told.scene[..], told.layers[0].us_per_frame), ("other", 1.0));
    }
}
