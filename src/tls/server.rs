//! The server's side: one configuration for every connection, and a certificate behind it that can
//! be renewed while the node runs.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConnection};
use rustls::sign::CertifiedKey;

use super::error::{Error, Failure};
use super::files::{CertificateFiles, Stamps};
use super::link::Link;
use super::suites::provider;

/// Lets peers connect by TLS. Clones share the certificate and its renewals.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    identity: Arc<Identity>,
}

/// Looks whether the files have changed; whoever runs it decides when.
#[derive(Debug)]
pub struct Watcher {
    identity: Arc<Identity>,
    seen: Stamps,
}

/// What a look at the files has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// They are as they were.
    Same,
    /// New connections get another certificate from now on.
    Renewed,
    /// They have changed and cannot be used: the certificate in use stays.
    Unusable(Error),
}

/// The certificate in use, and where it came from.
struct Identity {
    files: ArcSwap<CertificateFiles>,
    current: ArcSwap<CertifiedKey>,
    /// Of the files, just before they were read for the first time.
    first: Stamps,
}

impl Acceptor {
    /// Reads the files. `protocols` are the names that ALPN agrees on; with none it is not spoken.
    ///
    /// # Errors
    /// If the files cannot be used.
    pub fn load(files: CertificateFiles, protocols: &[&str]) -> Result<Self, Error> {
        let first = files.stamps();
        let current = ArcSwap::from_pointee(files.load()?);
        let files = ArcSwap::from_pointee(files);
        let identity = Arc::new(Identity { files, current, first });
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Certificate(error.to_string()))?;
        let resolver = Arc::clone(&identity);
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        // Whoever seals for many chooses what seals fastest.
        config.ignore_client_order = true;
        // Connections are few and last long: resumption would save little, and cost a lock that
        // all shards share.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), identity })
    }

    /// The configuration, for whoever brings sockets of another runtime.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// The server's side of a new connection.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn link(&self) -> Result<Link, Failure> {
        Ok(Link::new(ServerConnection::new(self.config())?.into()))
    }

    /// Meets new connections with the certificate in these files from now on, and looks for its
    /// renewals there.
    ///
    /// # Errors
    /// If the files cannot be used; then all is as it was.
    pub fn take_files(&self, files: &CertificateFiles) -> Result<(), Error> {
        let pair = files.load()?;
        self.identity.files.store(Arc::new(files.clone()));
        self.identity.current.store(Arc::new(pair));
        Ok(())
    }

    /// What looks for renewed files.
    #[must_use]
    pub fn watcher(&self) -> Watcher {
        Watcher { identity: Arc::clone(&self.identity), seen: self.identity.first }
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Acceptor").field(&self.identity).finish()
    }
}

impl Watcher {
    /// The files that are watched.
    #[must_use]
    pub fn files(&self) -> Arc<CertificateFiles> {
        self.identity.files.load_full()
    }

    /// Reads the files again if they have changed since the last look, or if `asked` to.
    #[must_use]
    pub fn look(&mut self, asked: bool) -> Look {
        let stamps = self.identity.files.load().stamps();
        if stamps == self.seen && !asked {
            return Look::Same;
        }
        // What is being written while it is read changes once more and is read again.
        self.seen = stamps;
        match self.identity.files.load().load() {
            Ok(pair) if pair.cert == self.identity.current.load().cert => Look::Same,
            Ok(pair) => {
                self.identity.current.store(Arc::new(pair));
                Look::Renewed
            }
            Err(error) => Look::Unusable(error),
        }
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("files", &self.files.load()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::link::harness::{Authority, meet};
    use std::fs;

    #[test]
    fn renewed_files_serve_the_next_connection_and_bad_ones_change_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (Authority::new(), Authority::new());
        let files = old.issue(dir.path(), "node.example");
        let acceptor = Acceptor::load(files.clone(), &[]).unwrap();
        let mut watcher = acceptor.watcher();
        let accepted = |authority: &Authority| {
            let mut client = authority.connector(dir.path()).link("node.example").unwrap();
            meet(&mut client, &mut acceptor.link().unwrap()).is_ok()
        };
        assert_eq!(watcher.look(false), Look::Same);
        assert!(accepted(&old) && !accepted(&new));

        fs::write(&files.certificate, "broken").unwrap();
        assert!(matches!(watcher.look(false), Look::Unusable(Error::Certificate(_))));
        assert_eq!(watcher.look(false), Look::Same, "told once");
        assert!(accepted(&old) && !accepted(&new));

        new.issue(dir.path(), "node.example");
        assert_eq!(watcher.look(true), Look::Renewed);
        assert!(accepted(&new) && !accepted(&old));
        assert_eq!(watcher.look(true), Look::Same, "the same certificate");
    }

    #[test]
    fn other_files_serve_the_next_connection_and_bad_ones_change_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (Authority::new(), Authority::new());
        let acceptor = Acceptor::load(old.issue(dir.path(), "node.example"), &[]).unwrap();
        let accepted = |authority: &Authority| {
            let mut client = authority.connector(dir.path()).link("node.example").unwrap();
            meet(&mut client, &mut acceptor.link().unwrap()).is_ok()
        };
        let mut files = new.issue(&dir.path().join("other"), "node.example");
        acceptor.take_files(&files).unwrap();
        assert!(accepted(&new) && !accepted(&old));
        assert_eq!(*acceptor.watcher().files(), files);
        files.certificate = dir.path().join("missing.pem");
        acceptor.take_files(&files).unwrap_err();
        assert!(accepted(&new));
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let acceptor = Acceptor::load(Authority::new().issue(dir.path(), "a"), &[]).unwrap();
        let shown = format!("{acceptor:?}");
        assert!(shown.contains("private_key: ") && shown.len() < 400, "{shown}");
    }
}
