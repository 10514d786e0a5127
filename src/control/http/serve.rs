//! The socket under the router: binding, and connections with limits in number, time and bytes.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::Extension;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::api::{ObsAccess, Peer, Stop, obs_routes};
use super::head;
use super::lobby::{Known, Lobby};
use super::router::router;
use super::rules::HttpRules;
use super::shared::{HttpState, Shared};
use crate::media::network_of;
use crate::web::proxy::{self, PROXY_BYTES_MAX, Parsed};

/// Pause before a proxy's header is looked at again that has come in part.
const HEADER_PAUSE: Duration = Duration::from_millis(5);

/// Time for a request's head, and for an idle connection to make its next request.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// Time after which a connection is closed when its request is answered. It also ends peers that
/// do not read their answer.
const CONNECTION_TIME: Duration = Duration::from_secs(120);

/// Time that answers under way get when the node stops or a connection's time is over.
const FINISH_TIME: Duration = Duration::from_secs(2);

/// Pause after a failed accept: out of descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A port of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// That of `[http]`.
    Http,
    /// That of `[obs_websocket]`.
    ObsWebSocket,
}

impl Port {
    /// What is spoken there, and its table in the configuration.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Http => ("HTTP", "[http]"),
            Self::ObsWebSocket => ("obs-websocket", "[obs_websocket]"),
        }
    }
}

/// Why a port cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    port: Port,
    addr: SocketAddr,
    cause: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, addr, cause } = self;
        let ((what, table), ip, number) = (port.words(), addr.ip(), addr.port());
        write!(f, "cannot listen for {what} on {addr}: ")?;
        match cause.kind() {
            io::ErrorKind::AddrInUse => write!(
                f,
                "port {number} is in use by another program; stop it (ss -ltnp 'sport = \
                 :{number}' names it), or choose another port with {table} port"
            ),
            io::ErrorKind::PermissionDenied => {
                write!(f, "ports below 1024 need a right; choose a higher one with {table} port")
            }
            io::ErrorKind::AddrNotAvailable => {
                write!(f, "this machine does not have the address {ip}; see {table} bind")
            }
            _ => write!(f, "{cause}"),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// Listens on `addr`.
///
/// # Errors
/// If that is not possible, with what to do about it.
pub async fn bind(port: Port, addr: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(addr).await.map_err(|cause| BindError { port, addr, cause })
}

/// Answers HTTP requests until `shutdown` completes, then gives answers under way a moment to
/// finish.
pub async fn serve(listener: TcpListener, state: HttpState, shutdown: impl Future<Output = ()>) {
    let tls = state.tls.as_ref().map(|tls| TlsAcceptor::from(tls.config()));
    let rules = Arc::clone(&state.rules);
    accept_all(listener, Entry { router: router(state), tls, rules }, shutdown).await;
}

/// The same for programs that control OBS.
pub async fn serve_obs_websocket(
    listener: TcpListener,
    state: HttpState,
    access: ObsAccess,
    shutdown: impl Future<Output = ()>,
) {
    let rules = Arc::clone(&state.rules);
    let router = obs_routes(Arc::new(Shared::new(state)), access);
    accept_all(listener, Entry { router, tls: None, rules }, shutdown).await;
}

/// What connections to a port meet.
struct Entry {
    router: Router,
    tls: Option<TlsAcceptor>,
    rules: Arc<ArcSwap<HttpRules>>,
}

async fn accept_all(
    listener: TcpListener,
    Entry { router, tls, rules }: Entry,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let lobby = Arc::new(Mutex::new(Lobby::default()));
    let mut shutdown = pin!(shutdown);
    'accepting: for number in 0_u64.. {
        while !lobby.lock().await.has_room() {
            // All have shown a token: one of them has to end.
            tokio::select! {
                () = &mut shutdown => break 'accepting,
                _ = connections.join_next() => {}
            }
        }
        let (socket, peer) = loop {
            tokio::select! {
                () = &mut shutdown => break 'accepting,
                Some(_) = connections.join_next() => {}
                accepted = accept(&listener) => break accepted,
            }
        };
        // A socket on `::` gives IPv4 peers as `::ffff:192.0.2.1`.
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let registration =
            Registration { lobby: Arc::clone(&lobby), known: Known::default(), number };
        let is_proxy = rules.load().proxies.iter().any(|range| range.contains(peer.ip()));
        let (router, tls, stopped) = (router.clone(), tls.clone(), stopped.clone());
        let guest = registration.clone();
        // Held until it is in: it may have ended before.
        let mut visitors = lobby.lock().await;
        let task = connections.spawn(async move {
            if let Some(peer) = guest.peer(&socket, peer, is_proxy).await {
                let left = (Extension(Peer(peer)), Extension(Stop(stopped.clone())));
                let router = router.layer(left).layer(Extension(guest.known.clone()));
                let service = TowerToHyperService::new(router);
                match tls {
                    None => connection(socket, service, stopped).await,
                    Some(tls) => secure(tls, socket, service, stopped).await,
                }
            }
            guest.lobby.lock().await.leave(guest.number);
        });
        let address = (!is_proxy).then(|| network_of(peer.ip()));
        let ended = visitors.enter(number, address, registration.known, task);
        ended.iter().for_each(AbortHandle::abort);
    }
    drop((listener, stop));
    let finish = async { while connections.join_next().await.is_some() {} };
    if timeout(FINISH_TIME, finish).await.is_err() {
        tracing::debug!("HTTP connections were cut off at the end");
    }
}

/// A connection's place among the others.
#[derive(Clone)]
struct Registration {
    lobby: Arc<Mutex<Lobby<AbortHandle>>>,
    known: Known,
    number: u64,
}

impl Registration {
    /// Who is behind the connection: whom a trusted proxy names before it, or the peer. Nothing if
    /// the proxy's header is broken or does not come.
    async fn peer(
        &self,
        socket: &TcpStream,
        peer: SocketAddr,
        is_proxy: bool,
    ) -> Option<SocketAddr> {
        if !is_proxy {
            return Some(peer);
        }
        let named = timeout(HEAD_TIME, proxied(socket)).await.ok()?.ok()?;
        if let Some(named) = named {
            let ended = self.lobby.lock().await.name(self.number, network_of(named.ip()));
            ended.iter().for_each(AbortHandle::abort);
        }
        Some(named.unwrap_or(peer))
    }
}

/// Reads a proxy's header, if there is one, and nothing behind it; gives whom it names.
async fn proxied(socket: &TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut bytes = [0; PROXY_BYTES_MAX];
    loop {
        let count = socket.peek(&mut bytes).await?;
        match proxy::read(&bytes[..count]) {
            Parsed::Absent => return Ok(None),
            Parsed::Invalid => return Err(io::ErrorKind::InvalidData.into()),
            Parsed::Incomplete if count == 0 => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Parsed::Incomplete => sleep(HEADER_PAUSE).await,
            Parsed::Source(source, used) => {
                let mut taken = 0;
                while taken < used {
                    socket.readable().await?;
                    match socket.try_read(&mut bytes[..used - taken]) {
                        Ok(count) => taken += count,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error),
                    }
                }
                return Ok(source);
            }
        }
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!("accepting an HTTP connection failed: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The same for a peer that speaks TLS first, within the time for a request's head.
async fn secure(
    tls: TlsAcceptor,
    socket: TcpStream,
    service: TowerToHyperService<Router>,
    stopped: watch::Receiver<()>,
) {
    match timeout(HEAD_TIME, tls.accept(socket)).await {
        Ok(Ok(socket)) => connection(socket, service, stopped).await,
        Ok(Err(error)) => tracing::debug!("an HTTPS connection did not come about: {error}"),
        Err(_) => tracing::debug!("an HTTPS connection took too long to come about"),
    }
}

async fn connection(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: TowerToHyperService<Router>,
    mut stopped: watch::Receiver<()>,
) {
    let connection = head::reader()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        result = &mut connection => return finished(result),
        _ = stopped.changed() => {}
        () = sleep(CONNECTION_TIME) => {}
    }
    connection.as_mut().graceful_shutdown();
    if let Ok(result) = timeout(FINISH_TIME, connection).await {
        finished(result);
    }
}

fn finished(result: hyper::Result<()>) {
    if let Err(error) = result {
        tracing::debug!("an HTTP connection ended: {error}");
    }
}
