//! Metrics of composition: what drawing the scenes of channels takes.

use std::fmt;

use super::page::Page;
use crate::stats::{LayerFigures, Snapshot};

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
    })
}

/// Those of all channels, with the channels' names.
fn layers(snapshot: &Snapshot) -> impl Iterator<Item = (&str, &LayerFigures)> {
    let channels = snapshot.channels.iter();
    channels.flat_map(|it| it.layers.iter().map(|layer| (&it.name[..], layer)))
}
