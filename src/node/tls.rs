//! TLS of a node: the sockets for it, the certificate behind them and its renewals, whom to trust.

use std::net::TcpListener;
use std::time::Duration;

use tokio::signal::unix::Signal;

use crate::config::Config;
use crate::control::settings::trust;
use crate::node::listen::listen;
use crate::node::start_error::StartError;
use crate::tls::{Acceptor, Connector, Look, Watcher};

/// How often the certificate's files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What shards are given.
pub(crate) struct Tls {
    /// One per shard, or none.
    listeners: Vec<TcpListener>,
    pub(crate) acceptor: Option<Acceptor>,
    /// Whom to trust, or why nobody can be.
    pub(crate) trust: Result<Connector, String>,
}

impl Tls {
    /// Listens if the configuration has a certificate and a port.
    pub(crate) fn open(config: &Config, shards: usize) -> Result<Self, StartError> {
        let trust = trust(config);
        let (Some(files), Some(port)) = (&config.tls.certificate, config.tls.rtmps_port) else {
            return Ok(Self { listeners: Vec::new(), acceptor: None, trust });
        };
        let acceptor = Acceptor::load(files.clone(), &[]).map_err(StartError::Tls)?;
        let listeners = listen(config.rtmp.bind, port, shards).map_err(StartError::Listen)?;
        Ok(Self { listeners, acceptor: Some(acceptor), trust })
    }

    /// A socket for the next shard.
    pub(crate) fn take(&mut self) -> Option<TcpListener> {
        self.listeners.pop()
    }
}

/// Looks at a certificate's files again and again, and when `hangup` asks for it.
pub(crate) async fn watch(mut watcher: Watcher, mut hangup: Signal) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    loop {
        let asked = tokio::select! {
            _ = every.tick() => false,
            _ = hangup.recv() => true,
        };
        match watcher.look(asked) {
            Look::Same => {}
            Look::Renewed => {
                let files = watcher.files();
                let file = files.certificate.display();
                tracing::info!("new connections get the certificate that is now in {file}");
            }
            Look::Unusable(error) => {
                tracing::error!("the certificate in use stays, because {error}");
            }
        }
    }
}
