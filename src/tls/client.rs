//! The client's side: whom to trust.

use std::path::Path;
use std::sync::Arc;

use rustls::client::{ClientConnection, Resumption};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use super::error::{Error, Failure};
use super::files::certificates;
use super::link::Link;
use super::suites::provider;

/// Connects to servers by TLS and checks their certificates. Clones share the authorities.
#[derive(Clone, Debug)]
pub struct Connector {
    config: Arc<ClientConfig>,
}

impl Connector {
    /// Trusts the system's authorities.
    ///
    /// # Errors
    /// If the system has none.
    pub fn system() -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            let text = "this system knows no certificate authorities; install ca-certificates, or \
                        name a `ca_file` in [tls]";
            return Err(Error::Authorities(text.to_owned()));
        }
        Self::of(roots)
    }

    /// Trusts the authorities (or single certificates) in a PEM file, and no others.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn trusting(ca_file: &Path) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca_file).map_err(Error::Authorities)? {
            roots.add(certificate).map_err(|error| {
                Error::Authorities(format!("a certificate in {ca_file:?} is unusable: {error}"))
            })?;
        }
        Self::of(roots)
    }

    /// Trusts nobody: for who connects without TLS.
    ///
    /// # Errors
    /// If this program cannot speak TLS at all.
    pub fn nobody() -> Result<Self, Error> {
        Self::of(RootCertStore::empty())
    }

    fn of(roots: RootCertStore) -> Result<Self, Error> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Authorities(error.to_string()))?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        // It would remember under a lock that all shards share.
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config) })
    }

    /// For a client that speaks TLS by itself, such as one of HTTP.
    #[must_use]
    pub fn config(&self) -> ClientConfig {
        ClientConfig::clone(&self.config)
    }

    /// The client's side of a new connection to `host`, a name or an address without brackets.
    ///
    /// # Errors
    /// If no certificate could be for that name.
    pub fn link(&self, host: &str) -> Result<Link, Failure> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            rustls::Error::General("the address has a host that no certificate can name".to_owned())
        })?;
        Ok(Link::new(ClientConnection::new(Arc::clone(&self.config), name)?.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Acceptor;
    use crate::tls::link::harness::{Authority, meet};

    #[test]
    fn a_certificate_that_cannot_be_accepted_is_told_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let ours = Authority::new();
        let acceptor = Acceptor::load(ours.issue(dir.path(), "node.example"), &[]).unwrap();
        let told = |connector: &Connector, host: &str| {
            let mut client = connector.link(host).unwrap();
            meet(&mut client, &mut acceptor.link().unwrap()).unwrap_err().to_string()
        };
        let trusting = ours.connector(dir.path());
        let stranger = Authority::named("Another authority");
        let stranger = stranger.connector(&dir.path().join("stranger"));
        let namesake = Authority::new().connector(&dir.path().join("namesake"));
        let named = told(&trusting, "other.example");
        assert!(named.contains("is not for other.example, but for"), "{named}");
        for connector in [stranger, namesake] {
            let told = told(&connector, "node.example");
            assert!(told.contains("not trusted here") && told.contains("`ca_file`"), "{told}");
        }
        let expired = Authority::new();
        let files = expired.issue_until(&dir.path().join("old"), "node.example", 2001);
        let acceptor = Acceptor::load(files, &[]).unwrap();
        let mut client = expired.connector(dir.path()).link("node.example").unwrap();
        let told = meet(&mut client, &mut acceptor.link().unwrap()).unwrap_err().to_string();
        assert!(told.contains("has expired"), "{told}");
    }

    #[test]
    fn a_peer_without_tls_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let mut client = Authority::new().connector(dir.path()).link("127.0.0.1").unwrap();
        let mut plain = [0; 64];
        let told = client.open(&mut &[3_u8; 1_537][..], &mut plain).unwrap_err().to_string();
        assert!(told.contains("does not speak TLS"), "{told}");
    }

    #[test]
    fn a_file_without_authorities_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, "").unwrap();
        let told = Connector::trusting(&file).unwrap_err().to_string();
        assert!(told.contains("holds no certificate"), "{told}");
    }
}
