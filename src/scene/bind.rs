//! Binding of texts to data: a resolved scene gets the texts that are to be drawn now.

use super::model::{DataSource, HttpDocument, Layer, Scene, Source, TickerSpec};
use super::resolve::{Kind, Node, ResolvedScene};

impl Scene {
    /// The documents of servers that texts in it are bound to.
    #[must_use]
    pub fn http_documents(&self) -> Vec<&HttpDocument> {
        http_documents(&self.layers)
    }
}

fn http_documents(layers: &[Layer]) -> Vec<&HttpDocument> {
    let mut documents = Vec::new();
    for layer in layers {
        match (&layer.source, &layer.data) {
            (Source::Group(group), _) => documents.extend(http_documents(&group.layers)),
            (_, Some(DataSource::Http(document))) => documents.push(document),
            _ => {}
        }
    }
    documents
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
