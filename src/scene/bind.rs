//! Binding of texts to data: a resolved scene gets the texts that are to be drawn now.

use super::model::{DataSource, Source, TickerSpec};
use super::resolve::{Kind, Node, ResolvedScene};

impl ResolvedScene {
    /// Gives every layer that is bound to data what `text` makes of its name, what it is bound to
    /// and its template.
    pub fn bind(&mut self, text: &mut dyn FnMut(&str, &DataSource, &str) -> String) {
        bind(&mut self.layers, text);
    }
}

fn bind(nodes: &mut [Node], text: &mut dyn FnMut(&str, &DataSource, &str) -> String) {
    for node in nodes {
        let layer = match &mut node.kind {
            Kind::Group(nodes, _) => {
                bind(nodes, text);
                continue;
            }
            Kind::Layer(layer) => layer,
        };
        if let Some(data) = &layer.data
            && let Source::Text { text: template, .. }
            | Source::Ticker(TickerSpec { text: template, .. }) = &mut layer.source
        {
            *template = text(&layer.name, data, template);
        }
    }
}
