//! Metrics of composition: what drawing the scenes of channels takes.

use std::fmt;

use super::page::Page;
use crate::stats::{AssetCacheFigures, LayerFigures, Snapshot};

/// Writes what is told of it.
pub(super) fn write(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    let channels = &snapshot.channels;
    let help = "Time on the compose core per frame that was drawn";
    page.histogram("composer_draw_seconds", help, |family| {
        channels
            .iter()
            .try_for_each(|it| family.distribution(&[("channel", &it.name)], &it.figures.draw))
    })?;
    page.counter("composer_pixels_total", "Luma pixels drawn", |family| {
        channels
            .iter()
            .try_for_each(|it| family.sample(&[("channel", &it.name)], it.figures.pixels))
    })?;
    let help = "Time on the compose core for a layer of the scene on the air, since it was loaded";
    page.counter("composer_layer_seconds_total", help, |family| {
        layers(snapshot).try_for_each(|(channel, layer)| {
            let labels = [("channel", channel), ("layer", &layer.name[..])];
            family.sample(&labels, layer.nanos as f64 / 1e9)
        })
    })?;
    let help = "Bytes of pictures kept for a layer of the scene on the air";
    page.gauge("composer_layer_cache_bytes", help, |family| {
        layers(snapshot).try_for_each(|(channel, layer)| {
            let labels = [("channel", channel), ("layer", &layer.name[..])];
            family.sample(&labels, layer.cache_bytes)
        })
    })?;
    asset_cache(page, &snapshot.asset_cache)
}

fn asset_cache(page: &mut Page<'_>, cache: &AssetCacheFigures) -> fmt::Result {
    let help = "Bytes of loaded pictures that are kept for scenes which show them again";
    page.gauge("asset_cache_bytes", help, |family| family.sample(&[], cache.bytes as u64))?;
    page.gauge("asset_cache_max_bytes", "What these may be at most", |family| {
        family.sample(&[], cache.bytes_max as u64)
    })?;
    page.gauge("asset_cache_entries", "Sources of layers that are kept", |family| {
        family.sample(&[], cache.entries as u64)
    })?;
    let help = "Layers whose source was found in the cache, or was loaded";
    page.counter("asset_cache_lookups_total", help, |family| {
        family.sample(&[("result", "hit")], cache.hits)?;
        family.sample(&[("result", "miss")], cache.misses)
    })?;
    let help = "Sources of layers that had to leave the cache for others";
    page.counter("asset_cache_evictions_total", help, |family| family.sample(&[], cache.evictions))
}

/// Those of all channels, with the channels' names.
fn layers(snapshot: &Snapshot) -> impl Iterator<Item = (&str, &LayerFigures)> {
    let channels = snapshot.channels.iter();
    channels.flat_map(|it| it.layers.iter().map(|layer| (&it.name[..], layer)))
}
