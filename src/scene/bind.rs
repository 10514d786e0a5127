//! Binding of texts to data: a resolved scene gets the texts that are to be drawn now.

use super::model::{DataSource, HttpDocument, Scene, Source, TickerSpec, single_layers};
use super::resolve::{Kind, Node, ResolvedScene};

impl Scene {
    /// The documents of servers that texts in it are bound to.
    #[must_use]
    pub fn http_documents(&self) -> Vec<&HttpDocument> {
        let documents = single_layers(&self.layers).into_iter().filter_map(|layer| {
            let Some(DataSource::Http(document)) = &layer.data else { return None };
            Some(document)
        });
        documents.collect()
    }
}

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
