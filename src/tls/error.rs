//! TLS errors, in words that say what to do.

use std::fmt;

use rustls::{AlertDescription, CertificateError};

/// Why files cannot be used for TLS; the text names the file and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The certificate's file: name another, or mend it.
    Certificate(String),
    /// The private key's file, or that it is not the certificate's: name another, or mend it.
    PrivateKey(String),
    /// The certificates of authorities: name others, or install the system's.
    Authorities(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Certificate(text) | Self::PrivateKey(text) | Self::Authorities(text)) = self;
        f.write_str(text)
    }
}

impl std::error::Error for Error {}

/// Why a connection's TLS ended. The connection has to be closed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure(rustls::Error);

impl From<rustls::Error> for Failure {
    fn from(error: rustls::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TLS: ")?;
        match &self.0 {
            rustls::Error::InvalidMessage(_) => f.write_str("the peer does not speak TLS here"),
            rustls::Error::InvalidCertificate(error) => certificate(error, f),
            rustls::Error::AlertReceived(alert) => alerted(*alert, f),
            other => write!(f, "{other}"),
        }
    }
}

impl std::error::Error for Failure {}

fn certificate(error: &CertificateError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use CertificateError as E;
    f.write_str("the peer's certificate ")?;
    match error {
        E::UnknownIssuer => f.write_str(
            "is of an authority that is not trusted here; for a private one, name its \
             certificate with `ca_file`",
        ),
        // Also what an authority is told by that has the name of a trusted one, but another key.
        E::BadSignature => f.write_str(
            "has a signature that is not trusted here; if its authority is private, name that \
             one's present certificate with `ca_file`",
        ),
        E::Expired | E::ExpiredContext { .. } => f.write_str("has expired; it has to be renewed"),
        E::NotValidYet | E::NotValidYetContext { .. } => {
            f.write_str("is not valid yet; is this machine's clock right?")
        }
        E::NotValidForNameContext { expected, presented } => {
            write!(f, "is not for {}, but for {}", expected.to_str(), presented.join(", "))
        }
        E::NotValidForName => f.write_str("is for another name than the address has"),
        other => write!(f, "cannot be accepted: {other}"),
    }
}

fn alerted(alert: AlertDescription, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match alert {
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown => {
            f.write_str("the peer does not accept our certificate")
        }
        AlertDescription::DecryptError => f.write_str(
            "the peer does not accept our certificate, or a signature made with its key",
        ),
        AlertDescription::CertificateExpired => {
            f.write_str("the peer says that our certificate has expired; renew it")
        }
        other => write!(f, "the peer ended it: {other:?}"),
    }
}
