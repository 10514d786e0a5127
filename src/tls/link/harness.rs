//! Certificates for tests, made on the spot, and two ends of a connection in memory.

use std::fs;
use std::io::Write;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::Link;
use crate::tls::{Acceptor, CertificateFiles, Connector, Failure};

/// A private authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("A private authority")
    }

    /// One with a key of its own, whoever else has this name.
    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Writes a certificate for `name`, and its key, into `dir`.
    pub(crate) fn issue(&self, dir: &Path, name: &str) -> CertificateFiles {
        self.issue_until(dir, name, 2100)
    }

    /// The same, valid until the beginning of `year`.
    pub(crate) fn issue_until(&self, dir: &Path, name: &str, year: i32) -> CertificateFiles {
        fs::create_dir_all(dir).unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = CertificateFiles {
            certificate: dir.join("certificate.pem"),
            private_key: dir.join("key.pem"),
        };
        fs::write(&files.certificate, certificate.pem()).unwrap();
        fs::write(&files.private_key, key.serialize_pem()).unwrap();
        files
    }

    /// Trusts this authority, whose certificate it writes into `dir`.
    pub(crate) fn connector(&self, dir: &Path) -> Connector {
        fs::create_dir_all(dir).unwrap();
        let file = dir.join("authority.pem");
        fs::write(&file, &self.pem).unwrap();
        Connector::trusting(&file).unwrap()
    }
}

/// Client and server of a new connection.
pub(crate) fn pair() -> (Link, Link) {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let files = authority.issue(dir.path(), "node.example");
    let server = Acceptor::load(files, &[]).unwrap().link().unwrap();
    (authority.connector(dir.path()).link("node.example").unwrap(), server)
}

/// The same by this suite alone, of whose keys the server's may seal so many records. `None` if it
/// needs a certificate of another kind.
#[cfg(test)]
pub(crate) fn pair_by(
    suite: rustls::SupportedCipherSuite,
    records_max: Option<u64>,
) -> Option<(Link, Link)> {
    let is_usable = |suite: &'static rustls::Tls12CipherSuite| {
        let ecdsa = rustls::SignatureScheme::ECDSA_NISTP256_SHA256;
        suite.sign.contains(&ecdsa)
    };
    if let rustls::SupportedCipherSuite::Tls12(suite) = suite
        && !is_usable(suite)
    {
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let key = authority.issue(dir.path(), "node.example").load().unwrap();
    let mut provider = rustls::crypto::CryptoProvider::clone(&crate::tls::suites::provider());
    provider.cipher_suites = vec![crate::tls::suites::shared(suite, records_max)];
    let config = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[suite.version()])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(std::sync::Arc::new(rustls::sign::SingleCertAndKey::from(key)));
    let server = rustls::ServerConnection::new(config.into()).unwrap();
    let client = authority.connector(dir.path()).link("node.example").unwrap();
    Some((client, Link::new(server.into())))
}

/// Carries bytes both ways until neither end has more to say.
pub(crate) fn meet(client: &mut Link, server: &mut Link) -> Result<(), Failure> {
    while client.has_sealed() || server.has_sealed() {
        carry(client, server)?;
        carry(server, client)?;
    }
    Ok(())
}

fn carry(from: &mut Link, to: &mut Link) -> Result<(), Failure> {
    let mut wire = Vec::new();
    from.write_to(&mut wire as &mut dyn Write).unwrap();
    to.open(&mut &wire[..], &mut [0; 64]).map(|_| ())
}
