//! The node's figures as Prometheus reads them: text format 0.0.4, written with prometheus-client.
//!
//! The data plane's blocks are read when somebody asks; nothing is counted twice. Names and labels
//! are an interface: dashboards and alerts of operators depend on them.

mod audio;
mod composition;
mod fallbacks;
mod families;
mod hooks;
mod input_rules;
mod latency;
mod loops;
mod page;
pub mod process;
mod relay;
mod shards;
mod streams;
mod transcodes;

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};

use self::page::Page;
use crate::control::keystore::Keys;
use crate::stats::{CoreRole, Registry};

/// The content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes the metrics page.
#[derive(Debug)]
pub struct Metrics(prometheus_client::registry::Registry);

impl Metrics {
    /// The page for these figures of a program of this `version`, and for the store of its stream
    /// keys, if it has one.
    #[must_use]
    pub fn new(figures: Arc<Registry>, version: &str, keys: Option<Keys>) -> Self {
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register_collector(Box::new(Figures {
            figures,
            version: version.to_owned(),
            keys,
        }));
        Self(registry)
    }

    /// The page as it is now.
    ///
    /// # Errors
    /// None in practice: only if writing to a `String` failed.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut page = String::with_capacity(16 << 10);
        text::encode_registry(&mut page, &self.0)?;
        Ok(page)
    }
}

#[derive(Debug)]
struct Figures {
    figures: Arc<Registry>,
    version: String,
    keys: Option<Keys>,
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page::new(encoder);
        let snapshot = self.figures.snapshot();
        families::write(&mut page, &snapshot, &self.version)?;
        composition::write(&mut page, &snapshot)?;
        audio::write(&mut page, &snapshot)?;
        streams::write(&mut page, &snapshot.streams)?;
        relay::write(&mut page, &snapshot)?;
        transcodes::write(&mut page, &snapshot)?;
        fallbacks::write(&mut page, &snapshot)?;
        input_rules::write(&mut page, &snapshot)?;
        shards::write(&mut page, &snapshot.shards, &self.figures.placement)?;
        loops::write(&mut page, &self.figures.loops.read())?;
        latency::write(&mut page, &self.figures)?;
        hooks::write(&mut page, &snapshot)?;
        let help = "Threads that panicked, by what they did";
        page.counter("core_losses_total", help, |family| {
            family.each("role", CoreRole::ALL.map(CoreRole::label), self.figures.cores.losses())
        })?;
        if let Some(keys) = &self.keys {
            let help = "1 while stream keys can be checked and changed, 0 while their store fails";
            let works = u64::from(keys.trouble().is_none());
            page.gauge("key_store_up", help, |family| family.sample(&[], works))?;
        }
        process::write(&mut page)
    }
}

#[cfg(test)]
mod tests;
