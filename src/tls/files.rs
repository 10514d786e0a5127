//! A certificate and its private key, in PEM files.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::error::Error;
use super::suites::provider;

/// Largest PEM file, bytes. A larger one is something else: it is refused unread.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where a certificate and its private key lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM: the certificate, then those of the authorities between it and a trusted one.
    pub certificate: PathBuf,
    /// PEM: the certificate's private key, without a password.
    pub private_key: PathBuf,
}

impl CertificateFiles {
    /// Whether a server can use them.
    ///
    /// # Errors
    /// With the file that is missing, unreadable, not PEM, or not of the same pair.
    pub fn check(&self) -> Result<(), Error> {
        self.load().map(|_| ())
    }

    /// Reads both.
    pub(super) fn load(&self) -> Result<CertifiedKey, Error> {
        let chain = certificates(&self.certificate).map_err(Error::Certificate)?;
        let key = private_key(&self.private_key).map_err(Error::PrivateKey)?;
        CertifiedKey::from_der(chain, key, &provider()).map_err(|error| self.unusable(&error))
    }

    fn unusable(&self, error: &rustls::Error) -> Error {
        let (certificate, key) = (shown(&self.certificate), shown(&self.private_key));
        match error {
            rustls::Error::InconsistentKeys(_) => Error::PrivateKey(format!(
                "{key} is not the key of the certificate in {certificate}; name the two files that \
                 were made together"
            )),
            rustls::Error::InvalidCertificate(error) => {
                Error::Certificate(format!("the certificate in {certificate} is unusable: {error}"))
            }
            _ => Error::PrivateKey(format!(
                "the key in {key} is of a kind that is not supported; make an ECDSA (P-256, \
                 P-384), Ed25519 or RSA (2048 bits or more) key"
            )),
        }
    }

    /// What shows that a file was replaced or written.
    pub(super) fn stamps(&self) -> Stamps {
        [stamp(&self.certificate), stamp(&self.private_key)]
    }
}

/// Time of change and size of both files; nothing for one that is not there.
pub(super) type Stamps = [Option<(SystemTime, u64)>; 2];

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let about = fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

/// All certificates of a PEM file, at least one; or what is wrong.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| not_pem(path, &error))?;
    if found.is_empty() {
        return Err(format!(
            "{} holds no certificate; name a PEM file with -----BEGIN CERTIFICATE----- in it",
            shown(path)
        ));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = read(path)?;
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) if contains(&text, b"ENCRYPTED PRIVATE KEY") => Err(format!(
            "the key in {} has a password; write it without one (openssl pkey -in OLD -out NEW)",
            shown(path)
        )),
        Err(pem::Error::NoItemsFound) => Err(format!(
            "{} holds no private key; name a PEM file with -----BEGIN PRIVATE KEY----- in it",
            shown(path)
        )),
        Err(error) => Err(not_pem(path, &error)),
    }
}

/// What is in the file stays out of the message: it may be half a key.
fn not_pem(path: &Path, error: &pem::Error) -> String {
    let what = match error {
        pem::Error::MissingSectionEnd { .. } => "an -----END line is missing",
        pem::Error::Base64Decode(_) => "what stands between its lines is not base64",
        _ => "its lines are not PEM",
    };
    format!("{} is damaged: {what}; copy it again", shown(path))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error| format!("{}: {error}; name a file that can be read", shown(path));
    let about = fs::metadata(path).map_err(unreadable)?;
    // Only a plain file is opened: to open a pipe would wait for whoever writes into it.
    if !about.is_file() || about.len() > FILE_BYTES_MAX {
        return Err(format!("{} is not a PEM file; name one", shown(path)));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

fn shown(path: &Path) -> String {
    format!("{path:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::link::harness::Authority;

    #[test]
    fn what_is_wrong_with_the_files_is_told_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let good = Authority::new().issue(dir.path(), "node.example");
        assert_eq!(good.check(), Ok(()));
        let other = Authority::new().issue(&dir.path().join("other"), "node.example");
        let put = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let key = fs::read_to_string(&good.private_key).unwrap();
        let half = put("half.pem", &key[..key.len() / 2]);
        let empty = put("empty.pem", "nothing\n");
        let damaged =
            put("damaged.pem", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n");
        let locked = put(
            "locked.pem",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        );
        let certificate =
            |path: &Path| CertificateFiles { certificate: path.into(), ..good.clone() };
        let private_key =
            |path: &Path| CertificateFiles { private_key: path.into(), ..good.clone() };
        let missing = dir.path().join("missing.pem");
        for (files, of_the_key, words) in [
            (certificate(&missing), false, "No such file"),
            (certificate(dir.path()), false, "not a PEM file"),
            (certificate(&empty), false, "no certificate"),
            (certificate(&damaged), false, "not base64"),
            (certificate(&good.private_key), false, "no certificate"),
            (private_key(&missing), true, "No such file"),
            (private_key(&good.certificate), true, "no private key"),
            (private_key(&half), true, "-----END line is missing"),
            (private_key(&locked), true, "has a password"),
            (private_key(&other.private_key), true, "is not the key of the certificate in"),
        ] {
            let error = files.check().unwrap_err();
            assert_eq!(matches!(error, Error::PrivateKey(_)), of_the_key, "{error}");
            assert!(error.to_string().contains(words), "no {words:?} in {error}");
            assert!(error.to_string().contains(".pem\"") || words.contains("not a"), "{error}");
        }
        let told = private_key(&half).check().unwrap_err().to_string();
        let secret = key.lines().nth(1).unwrap();
        assert!(!told.contains(&secret[..16]), "{told}");
    }
}
