//! Node-wide settings that change while it runs: limits, rules of shards, hooks, certificates, the
//! development key.

pub(crate) mod keys;
pub(crate) mod limits;
pub(crate) mod shard;

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::command::Answer;
use crate::config::Config;
use crate::control::hooks::HookService;
use crate::control::http::HttpRules;
use crate::control::keystore::embedded::Embedded;
use crate::control::settings::keys::{development_key, trusted_proxies};
use crate::control::settings::limits::limit_spec;
use crate::control::settings::shard::shard_spec;
use crate::limits::NodeLimits;
use crate::ring::Sender;
use crate::runtime::Clock;
use crate::shard::ShardSettings;
use crate::stats::Registry;
use crate::tls::{Acceptor, Connector};

/// What the HTTP port is to go by.
pub(crate) fn http_rules(config: &Config) -> HttpRules {
    HttpRules { proxies: trusted_proxies(config), flv_cors: config.delivery.cors.clone() }
}

/// Whom to trust, or why nobody can be.
pub(crate) fn trust(config: &Config) -> Result<Connector, String> {
    let trust = match &config.tls.ca_file {
        Some(file) => Connector::trusting(file),
        None => Connector::system(),
    };
    trust.map_err(|error| error.to_string())
}

/// Where the rules of a node are changed.
pub(crate) struct Rules {
    /// What all shards ask.
    pub(crate) limits: Arc<NodeLimits>,
    /// To each shard.
    pub(crate) shards: Vec<Sender<ShardSettings>>,
    /// What meets peers by TLS: RTMPS and HTTPS, as far as they are there.
    pub(crate) acceptors: Vec<Acceptor>,
    /// What the HTTP port asks.
    pub(crate) http: Arc<ArcSwap<HttpRules>>,
    /// The store that has the node's own key.
    pub(crate) store: Option<Embedded>,
    /// The node's clock.
    pub(crate) clock: Clock,
}

impl Rules {
    /// Applies the tables of a configuration that hold for the whole node. What it begins with can
    /// fail and then changes nothing.
    pub(crate) fn apply(
        &mut self,
        tables: &[&str],
        config: &Config,
        hooks: &mut HookService,
        registry: &Registry,
    ) -> Answer {
        let has = |table: &str| tables.contains(&table);
        if has("[tls]")
            && let Some(files) = &config.tls.certificate
            && let Some(error) =
                self.acceptors.iter().find_map(|acceptor| acceptor.take_files(files).err())
        {
            return Answer::Invalid(vec![error.to_string()]);
        }
        if has("[[hook]]") || has("[tls]") {
            if let Err(error) = hooks.replace(config, self.clock) {
                return Answer::Invalid(vec![error.to_string()]);
            }
            registry.set_hooks(hooks.stats());
        }
        if has("[keys]") {
            self.keep_own_key(config);
        }
        registry.set_streams_max(config.metrics.streams_max);
        self.limits.set(&limit_spec(config));
        self.http.store(Arc::new(http_rules(config)));
        let trust = trust(config);
        for (number, shard) in self.shards.iter_mut().enumerate() {
            let spec = shard_spec(config, number, hooks.rules());
            if shard.push(ShardSettings { spec, trust: trust.clone() }).is_err() {
                return Answer::Unavailable(format!("shard {number} does not take its rules"));
            }
        }
        Answer::Done
    }

    /// The store may wait for the disk, and nobody waits for it.
    fn keep_own_key(&self, config: &Config) {
        let Some(store) = self.store.clone() else { return };
        let (config, clock) = (config.clone(), self.clock);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = development_key(&store, &config, clock) {
                tracing::error!("the development key: {error}");
            }
        });
    }
}
