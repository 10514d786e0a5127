//! Targets of the load tools: URLs of RTMP(S), HTTP(S)-FLV and WebSocket-FLV, and what a player
//! says first to each.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use hyper::Uri;

use super::tls::{Trust, TrustArgs};
use super::{Failure, request};
use crate::rtmp::Url;

/// Where a player's load goes.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct PlayTarget {
    /// `rtmp[s]://HOST[:PORT]/APP/NAME`, or FLV at `http[s]://HOST[:PORT]/PATH` or, in a WebSocket,
    /// at `ws[s]://HOST[:PORT]/PATH`.
    #[arg(long)]
    url: String,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Where a publisher's load goes.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct PublishTarget {
    /// `rtmp[s]://HOST[:PORT]/APP/NAME`; with several publishers `-2`, `-3`… follows the name.
    /// Publishing is by RTMP alone: servers take no FLV over HTTP or a WebSocket.
    #[arg(long)]
    url: String,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Where idle connections go.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct IdleTarget {
    /// `rtmp[s]://HOST[:PORT]/APP`.
    #[arg(long)]
    url: String,
    #[command(flatten)]
    trust: TrustArgs,
}

/// How players reach a stream. Clones share what they can.
#[derive(Clone, Debug)]
pub(super) struct PlayAccess {
    pub(super) address: SocketAddr,
    pub(super) trust: Option<Trust>,
    pub(super) protocol: Protocol,
    /// What a player sends, in one go.
    pub(super) request: Arc<[u8]>,
    /// The status of an RTMP server that has done what it was asked.
    pub(super) status: &'static [u8],
}

const PLAYS: &[u8] = b"NetStream.Play.Start";
const CONNECTED: &[u8] = b"NetConnection.Connect.Success";

/// How publishers reach a server.
#[derive(Clone, Debug)]
pub(super) struct PublishAccess {
    pub(super) address: SocketAddr,
    pub(super) trust: Option<Trust>,
}

/// In what a server answers a player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// RTMP chunks.
    Rtmp,
    /// FLV by HTTP or in a WebSocket, which the answer's head tells apart.
    Http,
}

impl PlayTarget {
    pub(super) fn access(&self) -> Result<PlayAccess, Failure> {
        let scheme = self.url.split_once("://").map_or("", |(scheme, _)| scheme);
        let (is_secure, is_socket) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (false, false),
            "https" => (true, false),
            "ws" => (false, true),
            "wss" => (true, true),
            _ => {
                let url = Url::parse(&self.url).map_err(|error| {
                    format!("{error}; players also take http[s]:// and ws[s]://")
                })?;
                return rtmp_player(&url, &self.trust, &request::play(&url), PLAYS);
            }
        };
        // The address itself may hold a key: it is not repeated.
        let uri = self.url.trim().parse::<Uri>().map_err(|error| format!("--url: {error}"))?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        Ok(PlayAccess {
            address: resolve(host, port)?,
            trust: is_secure.then(|| self.trust.to(host)).transpose()?,
            protocol: Protocol::Http,
            request: request::flv(&uri, is_socket).into(),
            status: PLAYS,
        })
    }
}

impl IdleTarget {
    pub(super) fn access(&self) -> Result<PlayAccess, Failure> {
        let url = Url::parse(&format!("{}/any", self.url))?;
        rtmp_player(&url, &self.trust, &request::connect(&url), CONNECTED)
    }
}

fn rtmp_player(
    url: &Url,
    trust: &TrustArgs,
    request: &[u8],
    status: &'static [u8],
) -> Result<PlayAccess, Failure> {
    let PublishAccess { address, trust } = rtmp_access(url, trust)?;
    Ok(PlayAccess { address, trust, protocol: Protocol::Rtmp, request: request.into(), status })
}

impl PublishTarget {
    pub(super) fn access(&self) -> Result<(PublishAccess, Url), Failure> {
        let url = publish_url(&self.url)?;
        Ok((rtmp_access(&url, &self.trust)?, url))
    }
}

/// Reads a publisher's URL.
pub(super) fn publish_url(text: &str) -> Result<Url, Failure> {
    const FLV: [&str; 4] = ["http://", "https://", "ws://", "wss://"];
    let lower = text.trim().to_ascii_lowercase();
    if FLV.iter().any(|scheme| lower.starts_with(scheme)) {
        let text = "servers take no FLV over HTTP or a WebSocket: publish by rtmp:// or rtmps://";
        return Err(text.into());
    }
    Ok(Url::parse(text)?)
}

pub(super) fn rtmp_access(url: &Url, trust: &TrustArgs) -> Result<PublishAccess, Failure> {
    let trust = url.is_secure().then(|| trust.to(url.host())).transpose()?;
    Ok(PublishAccess { address: resolve(url.host(), url.port())?, trust })
}

fn resolve(host: &str, port: u16) -> Result<SocketAddr, Failure> {
    let mut addresses = (host, port).to_socket_addrs()?;
    Ok(addresses.next().ok_or("the host of the URL has no address")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(url: &str) -> Result<PlayAccess, Failure> {
        let trust = TrustArgs::anybody();
        PlayTarget { url: url.to_owned(), trust }.access()
    }

    #[test]
    fn the_scheme_says_the_protocol_the_port_and_whether_there_is_tls() {
        let cases = [
            ("rtmp://127.0.0.1/live/a", Protocol::Rtmp, 1_935, false),
            ("rtmps://127.0.0.1/live/a", Protocol::Rtmp, 443, true),
            ("http://127.0.0.1/live/a.flv", Protocol::Http, 80, false),
            ("HTTPS://127.0.0.1:8443/live/a.flv", Protocol::Http, 8_443, true),
            ("ws://[::1]:81/live/a.flv?key=b", Protocol::Http, 81, false),
            ("wss://127.0.0.1/live/a.flv", Protocol::Http, 443, true),
        ];
        for (url, protocol, port, is_secure) in cases {
            let access = access(url).unwrap();
            let got = (access.protocol, access.address.port(), access.trust.is_some());
            assert_eq!(got, (protocol, port, is_secure), "{url}");
        }
        let told = access("file:///live/a").unwrap_err().to_string();
        assert!(told.contains("ws[s]://"), "{told}");
        assert!(access("http:///a").is_err());
    }

    #[test]
    fn a_publisher_over_http_is_told_how_to_publish() {
        for url in ["http://127.0.0.1/live/a.flv", "WSS://127.0.0.1/live/a.flv"] {
            let told = publish_url(url).unwrap_err().to_string();
            assert!(told.contains("publish by rtmp://"), "{told}");
        }
        assert!(publish_url("rtmps://127.0.0.1/live/a").is_ok());
    }
}
