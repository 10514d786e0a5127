//! `[tls]`: the certificate that peers are met with, and whom to trust.

use std::fs;
use std::path::PathBuf;

use super::fault::Faults;
use super::section::Section;
use crate::tls::{CertificateFiles, Connector};

/// `[tls]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate; without one nothing listens for TLS.
    pub certificate: Option<CertificateFiles>,
    /// Port for RTMPS, and for HTTP-FLV over TLS; `None` for none.
    pub rtmps_port: Option<u16>,
    /// Whether the HTTP server speaks TLS.
    pub https: bool,
    /// Authorities that are trusted instead of the system's, for `rtmps://` addresses.
    pub ca_file: Option<PathBuf>,
}

/// [`TlsConfig::rtmps_port`] if nobody says otherwise.
const RTMPS_PORT: u16 = 1_936;

pub(super) fn read(mut s: Section<'_>, faults: &mut Faults<'_>) -> TlsConfig {
    let certificate = file(&mut s, faults, "certificate");
    let private_key = file(&mut s, faults, "key");
    let port = s.whole(faults, "rtmps_port", 0..=u16::MAX).unwrap_or(RTMPS_PORT);
    let https = s.flag(faults, "https", false);
    let ca_file = file(&mut s, faults, "ca_file");
    if let Some(ca_file) = &ca_file
        && let Err(error) = Connector::trusting(ca_file)
    {
        faults.add(&s.place("ca_file"), format!("`ca_file`: {error}"));
    }
    let files = match (certificate, private_key) {
        (Some(certificate), Some(private_key)) => {
            let files = CertificateFiles { certificate, private_key };
            if let Err(error) = files.check() {
                faults.add(&s.place("certificate"), error.to_string());
            }
            Some(files)
        }
        (None, None) => None,
        (Some(_), None) => {
            faults.add(&s.place("certificate"), "`certificate` needs its `key`".to_owned());
            None
        }
        (None, Some(_)) => {
            faults.add(&s.place("key"), "`key` needs its `certificate`".to_owned());
            None
        }
    };
    if https && files.is_none() {
        let text = "`https` needs a `certificate` and its `key`";
        faults.add(&s.place("https"), text.to_owned());
    }
    s.finish(faults);
    let rtmps_port = (port > 0 && files.is_some()).then_some(port);
    TlsConfig { certificate: files, rtmps_port, https, ca_file }
}

/// An empty name is none.
fn file(s: &mut Section<'_>, faults: &mut Faults<'_>, key: &'static str) -> Option<PathBuf> {
    let convert = |text: &str| match text {
        "" => Ok(None),
        _ if fs::metadata(text).is_ok_and(|about| about.is_file()) => Ok(Some(text.into())),
        _ => Err(format!("there is no file {text:?}; name a PEM file that can be read")),
    };
    s.parsed(faults, key, convert).and_then(|found| found.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_certificate_opens_the_port_and_is_checked_before_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| dir.path().join(name));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let table = |more: &str| format!("[tls]\ncertificate = {certificate:?}\n{more}");
        let good = Config::parse(&table(&format!("key = {key:?}\n")), "x").unwrap().tls;
        assert_eq!((good.rtmps_port, good.https), (Some(1_936), false));
        let wrong = |more: String| Config::parse(&table(&more), "x").unwrap_err().to_string();
        assert!(wrong(String::new()).contains("needs its `key`"));
        assert!(wrong(format!("key = {certificate:?}\n")).contains("x:2"));
        let none = Config::parse("[tls]\nhttps = true\n", "x").unwrap_err().to_string();
        assert!(none.contains("x:2") && none.contains("certificate"), "{none}");
        assert_eq!(Config::parse("[tls]\n", "x").unwrap().tls.rtmps_port, None);
    }
}
