//! TLS of the load tools: whom they trust, players' TLS without a socket, publishers' sockets.
//!
//! Players use the interface of rustls that decrypts where the socket's bytes were read to, because
//! thousands of them share a core; a publisher's bytes are few.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConnection, UnbufferedClientConnection};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme, StreamOwned};

use super::Failure;
use crate::tls::{self, Connector};

/// Whose certificates are accepted.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct TrustArgs {
    /// PEM file of the authorities (or single certificates) that servers by TLS are checked
    /// against, instead of the system's.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca_file: Option<PathBuf>,
    /// Accept every certificate. For measuring only: anybody could be the server.
    #[arg(long)]
    insecure: bool,
}

/// TLS to one server. Clones share the configuration.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl TrustArgs {
    #[cfg(test)]
    pub(super) const fn anybody() -> Self {
        Self { ca_file: None, insecure: true }
    }

    /// TLS to `host`, a name or an address without brackets.
    ///
    /// # Errors
    /// If the file cannot be used, or no certificate could be for that host.
    pub(super) fn to(&self, host: &str) -> Result<Trust, Failure> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| "the URL has a host that no certificate can name")?;
        let config = match &self.ca_file {
            Some(file) => Connector::trusting(file)?.config(),
            None if self.insecure => {
                let mut config = Connector::nobody()?.config();
                let provider = Arc::clone(config.crypto_provider());
                config.dangerous().set_certificate_verifier(Arc::new(Anybody(provider)));
                config
            }
            None => Connector::system()?.config(),
        };
        Ok(Trust { config: Arc::new(config), name })
    }
}

/// Accepts every certificate, but only from who holds its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A player's TLS.
pub(super) struct PlayerTls {
    connection: UnbufferedClientConnection,
    /// Plain bytes that wait to be sealed.
    plain: Vec<u8>,
}

impl PlayerTls {
    pub(super) fn new(trust: &Trust) -> Result<Self, Failure> {
        let (config, name) = (Arc::clone(&trust.config), trust.name.clone());
        let connection = UnbufferedClientConnection::new(config, name).map_err(told)?;
        Ok(Self { connection, plain: Vec::new() })
    }

    /// Seals these bytes as soon as that can be: with the next [`PlayerTls::take`].
    pub(super) fn send(&mut self, plain: &[u8]) {
        self.plain.extend_from_slice(plain);
    }

    /// Takes the records that are whole, opens them in place, and says how many bytes those were;
    /// the rest is to be given again with what follows it. What was sealed goes to `output`.
    ///
    /// # Errors
    /// If the server is not trusted, breaks the protocol, or says that it sends nothing more; or
    /// what `opened` says.
    pub(super) fn take(
        &mut self,
        records: &mut [u8],
        output: &mut Vec<u8>,
        mut opened: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<usize, Failure> {
        let mut used = 0;
        loop {
            let UnbufferedStatus { discard, state } =
                self.connection.process_tls_records(&mut records[used..]);
            let mut further = 0;
            match state.map_err(told)? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(told)?;
                        further += record.discard;
                        opened(record.payload)?;
                    }
                }
                ConnectionState::EncodeTlsData(mut data) => grow(output, |room| {
                    data.encode(room).map_err(|error| match error {
                        EncodeError::InsufficientSize(wanted) => Some(wanted.required_size),
                        EncodeError::AlreadyEncoded => None,
                    })
                })?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::WriteTraffic(mut traffic) if !self.plain.is_empty() => {
                    grow(output, |room| {
                        traffic.encrypt(&self.plain, room).map_err(|error| match error {
                            EncryptError::InsufficientSize(wanted) => Some(wanted.required_size),
                            EncryptError::EncryptExhausted => None,
                        })
                    })?;
                    self.plain.clear();
                }
                ConnectionState::PeerClosed | ConnectionState::Closed => {
                    return Err("the server ends the connection".into());
                }
                // It waits for bytes of the server.
                _ => return Ok(used + discard),
            }
            used += discard + further;
        }
    }
}

/// Has `seal` write behind `output`, in as much room as it asks for.
fn grow(
    output: &mut Vec<u8>,
    mut seal: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), Failure> {
    let from = output.len();
    loop {
        match seal(&mut output[from..]) {
            Ok(count) => {
                output.truncate(from + count);
                return Ok(());
            }
            Err(Some(wanted)) if from + wanted > output.len() => output.resize(from + wanted, 0),
            Err(_) => return Err("TLS: nothing more can be sealed".into()),
        }
    }
}

fn told(error: rustls::Error) -> Failure {
    tls::Failure::from(error).into()
}

/// A publisher's socket.
#[derive(Debug)]
pub(super) enum Socket {
    /// Without encryption.
    Plain(TcpStream),
    /// By TLS.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Socket {
    /// Connects; the first write shakes hands, if there is TLS.
    pub(super) fn connect(address: SocketAddr, trust: Option<&Trust>) -> Result<Self, Failure> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        let Some(trust) = trust else { return Ok(Self::Plain(socket)) };
        let (config, name) = (Arc::clone(&trust.config), trust.name.clone());
        let connection = ClientConnection::new(config, name).map_err(told)?;
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, socket))))
    }

    /// The socket below.
    pub(super) const fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Socket {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(to),
            Self::Tls(stream) => stream.read(to),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(from),
            Self::Tls(stream) => stream.write(from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::harness::Authority;
    use crate::tls::{Acceptor, Link};
    use std::io::IoSlice;

    /// A server's certificate, and what trusts it.
    fn server(dir: &std::path::Path) -> (Link, Authority) {
        let authority = Authority::new();
        let files = authority.issue(dir, "node.example");
        (Acceptor::load(files, &[]).unwrap().link().unwrap(), authority)
    }

    /// Shakes hands, sends `request`, and takes `answer` in pieces; gives what the player opened
    /// and what the server did.
    fn meet(trust: &Trust, link: &mut Link, answer: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Failure> {
        let mut player = PlayerTls::new(trust)?;
        player.send(b"request");
        let (mut output, mut opened, mut heard) = (Vec::new(), Vec::new(), Vec::new());
        let (mut kept, mut said) = (Vec::new(), answer);
        player.take(&mut [], &mut output, |_| Ok(()))?;
        while opened.len() < answer.len() {
            let mut plain = [0; 64];
            let mut input = &output[..];
            while let count @ 1.. = link.open(&mut input, &mut plain)? {
                heard.extend_from_slice(&plain[..count]);
            }
            output.clear();
            if !heard.is_empty() && !said.is_empty() && !link.has_sealed() {
                let count = link.seal(&[IoSlice::new(said)])?;
                said = &said[count..];
            }
            let mut wire = Vec::new();
            link.write_to(&mut wire as &mut dyn Write)?;
            for piece in wire.chunks(1_000) {
                kept.extend_from_slice(piece);
                let used = player.take(&mut kept, &mut output, |bytes| {
                    opened.extend_from_slice(bytes);
                    Ok(())
                })?;
                kept.drain(..used);
            }
        }
        Ok((opened, heard))
    }

    #[test]
    fn a_player_asks_after_the_handshake_and_opens_what_comes_in_whatever_pieces() {
        let dir = tempfile::tempdir().unwrap();
        let (mut link, authority) = server(dir.path());
        authority.connector(dir.path());
        let ca_file = Some(dir.path().join("authority.pem"));
        let trust = TrustArgs { ca_file, insecure: false }.to("node.example").unwrap();
        let answer: Vec<u8> = (0..150_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let (opened, heard) = meet(&trust, &mut link, &answer).unwrap();
        assert!(opened == answer, "some byte is wrong");
        assert_eq!(heard, b"request");
    }

    #[test]
    fn a_stranger_is_refused_unless_everybody_is_to_be_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let (mut link, _) = server(dir.path());
        Authority::named("Another authority").connector(dir.path());
        let ca_file = Some(dir.path().join("authority.pem"));
        let trust = TrustArgs { ca_file, insecure: false }.to("node.example").unwrap();
        let told = meet(&trust, &mut link, b"a").unwrap_err().to_string();
        assert!(told.contains("not trusted here"), "{told}");
        let (mut link, _) = server(dir.path());
        let trust = TrustArgs::anybody().to("any.example").unwrap();
        assert_eq!(meet(&trust, &mut link, b"a").unwrap().0, b"a");
    }
}
