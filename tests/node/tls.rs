//! TLS: publishing, playing, pushing and pulling over it, HTTPS, and certificates that are renewed.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

use crate::config::{Config, demo};
use crate::node::Node;
use crate::pairs::ffmpeg_publishes;
use crate::program::Program;
use crate::recording::Recording;
use crate::wait::{SOON, beside_others, free_port, wait_until};
use crate::wire::{Message, Wire};

/// Certificates for this machine in files of their own. Each is its own authority.
pub(crate) struct Certificate {
    dir: TempDir,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        issue(dir.path());
        Self { dir }
    }

    /// What trusts it.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// `[tls]` for a node that shows it.
    pub(crate) fn table(&self, port: u16, more: &str) -> String {
        let key = self.dir.path().join("key.pem");
        format!(
            "[tls]\ncertificate = {:?}\nkey = {key:?}\nrtmps_port = {port}\n{more}\n",
            self.file()
        )
    }
}

/// A peer that speaks TLS and trusts `certificate`, behind a proxy that says `proxy` first.
fn peer_behind(
    proxy: &str,
    certificate: &Certificate,
    port: u16,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate.file()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = Ipv4Addr::LOCALHOST.into();
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    // One that is kept out may be closed before it has said anything: its reading tells.
    drop(socket.write_all(proxy.as_bytes()));
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), socket)
}

fn issue(dir: &Path) {
    let names = ["127.0.0.1", "localhost"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
}

/// Whether a client that trusts what is in `trusted` accepts the server at `url`.
fn curl_accepts(trusted: &Path, url: &str) -> bool {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--output", "/dev/null", "--max-time", "10", "--cacert"]);
    curl.arg(trusted).arg(url).status().unwrap().success()
}

#[test]
fn ffmpeg_publishes_and_plays_by_tls() {
    let _turn = beside_others();
    let certificate = Certificate::new();
    let port = free_port();
    let node = Node::start(&Config::new().more(&certificate.table(port, "")));
    let secure = |path: &str| format!("rtmps://127.0.0.1:{port}/{path}");
    let _publisher = ffmpeg_publishes(&secure(&format!("live/studio?key={}", node.key())));
    node.wait_for_streams(1);
    let file = node.file("secure.flv");
    Recording::of(&secure("live/studio"), 3, file).assert_audio_and_picture(1.5);
    let flv = format!("https://127.0.0.1:{port}/live/studio.flv");
    Recording::of(&flv, 3, node.file("https.flv")).assert_audio_and_picture(1.5);
    let plain = node.url("live/studio");
    Recording::of(&plain, 3, node.file("plain.flv")).assert_audio_and_picture(1.5);
}

#[test]
fn gstreamer_plays_by_tls() {
    let _turn = beside_others();
    let certificate = Certificate::new();
    let port = free_port();
    let node = Node::start(&demo().more(&certificate.table(port, "")));
    let file = node.file("gst.flv");
    let line = format!(
        "-q rtmp2src location=rtmps://127.0.0.1:{port}/live/demo tls-validation-flags=0 ! \
         filesink location={}",
        file.display()
    );
    let mut player = Program::start("gst-launch-1.0", &line, &[]);
    wait_until(SOON, "there is something to be played", || {
        assert!(player.runs(), "the player has ended:\n{}", player.err());
        (fs::metadata(&file).ok()?.len() > 300_000).then_some(())
    });
    player.interrupted(SOON);
    Recording::at(file).assert_audio_and_picture(1.0);
}

#[test]
fn nodes_push_and_pull_by_tls_and_trust_nobody_they_do_not_know() {
    let _turn = beside_others();
    let (known, stranger) = (Certificate::new(), Certificate::new());
    let [port, other_port] = [free_port(), free_port()];
    let there = Node::start(&Config::new().more(&known.table(port, "")));
    let alien = Node::start(&Config::new().more(&stranger.table(other_port, "")));
    let url = |port: u16, path: &str| format!("rtmps://127.0.0.1:{port}/{path}");
    let here = demo()
        .output("known", &url(port, &format!("live/studio?key={}", there.key())))
        .output("alien", &url(other_port, &format!("live/studio?key={}", alien.key())))
        .more(&format!("[tls]\nca_file = {:?}\n", known.file()))
        .pull("live/back", &url(port, "live/studio"), "mode = \"always\"");
    let here = Node::start(&here);
    there.wait_for_streams(1);
    let back = here.url("live/back");
    wait_until(SOON, "the stream comes back", || {
        (here.metric("rtmp_active_streams", &[]) >= 2.0).then_some(())
    });
    Recording::of(&back, 3, here.file("back.flv")).assert_audio_and_picture(1.0);
    here.program().says("not trusted here");
    assert!(here.metric("output_connects_total", &["output=\"alien\""]) < 1.0);
}

#[test]
fn a_renewed_certificate_is_shown_to_who_comes_next_and_nobody_is_cut_off() {
    let _turn = beside_others();
    let certificate = Certificate::new();
    let port = free_port();
    let config = demo().more(&certificate.table(port, "https = true"));
    let node = Node::start_secure(&config);
    let old = certificate.dir.path().join("old.pem");
    fs::copy(certificate.file(), &old).unwrap();
    let places = [
        format!("https://127.0.0.1:{}/healthz", config.http),
        format!("https://127.0.0.1:{port}/nothing"),
    ];
    assert!(places.iter().all(|url| curl_accepts(&old, url)));
    let file = node.file("old.flv");
    let mut viewer = Recording::begin(&format!("rtmps://127.0.0.1:{port}/live/demo"), 60, &file);
    let has_grown = |than: u64| {
        wait_until(SOON, "the viewer gets more", || {
            let bytes = fs::metadata(&file).map_or(0, |about| about.len());
            (bytes > than).then_some(bytes)
        })
    };
    fs::write(certificate.file(), "half of a certificate").unwrap();
    node.program().says("the certificate in use stays");
    assert!(places.iter().all(|url| curl_accepts(&old, url)));
    let before = has_grown(0);
    issue(certificate.dir.path());
    wait_until(SOON, "the new certificate is shown", || {
        let new = certificate.file();
        places.iter().all(|url| curl_accepts(&new, url)).then_some(())
    });
    assert!(places.iter().all(|url| !curl_accepts(&old, url)));
    has_grown(before + 50_000);
    assert!(viewer.runs(), "{}", viewer.err());
}

#[test]
fn who_does_not_speak_tls_or_takes_too_long_is_closed_and_harms_nobody() {
    let _turn = beside_others();
    let certificate = Certificate::new();
    let port = free_port();
    let config =
        demo().rtmp("handshake_timeout = 2").more(&certificate.table(port, "https = true"));
    let node = Node::start_secure(&config);
    let mut viewer = Wire::play(node.rtmp_port(), "demo");
    let said = [&[3; 1_537][..], &[0x16; 4_000], &[0x16, 3, 1, 1, 0, 1], b"GET / HTTP/1.1\r\n\r\n"];
    for (port, bytes) in
        [port, config.http].into_iter().flat_map(|port| said.map(|said| (port, said)))
    {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        socket.write_all(bytes).unwrap();
        // An alert, or nothing; then the end. A reset is one, too.
        let mut answer = Vec::new();
        if let Err(error) = socket.read_to_end(&mut answer) {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{port}: never closed");
        }
        assert!(answer.len() < 100, "{answer:?}");
    }
    viewer.find("a picture", Message::is_picture);
}

#[test]
fn a_web_socket_by_tls_carries_a_stream() {
    let _turn = beside_others();
    let certificate = Certificate::new();
    let port = free_port();
    let _node = Node::start(&demo().more(&certificate.table(port, "")));
    let mut player = peer_behind("", &certificate, port);
    let request = "GET /live/demo.flv HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    player.write_all(request.as_bytes()).unwrap();
    let mut answer = vec![0; 300_000];
    player.read_exact(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    assert!(answer[..1_000].windows(5).any(|bytes| bytes == b"FLV\x01\x05"));
}

#[test]
fn behind_a_trusted_proxy_a_peer_by_tls_is_who_the_proxy_names() {
    let _turn = beside_others();
    let certificate = Certificate::new();
    let port = free_port();
    let config = demo()
        .rtmp("trusted_proxies = [\"127.0.0.1\"]")
        .more(&certificate.table(port, "[limits]\nconnections_per_ip_max = 1"));
    let _node = Node::start(&config);
    // Shakes hands by TLS, and then by RTMP.
    let taken = |proxy: &str| -> io::Result<_> {
        let mut peer = peer_behind(proxy, &certificate, port);
        peer.write_all(&[&[3][..], &[0; 1_536]].concat())?;
        peer.read_exact(&mut [0; 1_537])?;
        Ok(peer)
    };
    let from = |address: &str| taken(&format!("PROXY TCP4 {address} 127.0.0.1 50000 1936\r\n"));
    let _held = [from("192.0.2.1").unwrap(), from("192.0.2.2").unwrap()];
    assert!(from("192.0.2.1").is_err(), "the same address again");
    assert!(taken("PROXY TCP4 nobody\r\n").is_err(), "a broken header");
    let _held = taken("").expect("a proxy that says nothing is a peer itself");
}
