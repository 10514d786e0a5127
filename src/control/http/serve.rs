//! The socket under the router: binding, and connections with limits in number, time and bytes.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::extract::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::api::{Peer, Stop};
use super::{HttpState, router};

/// Connections served at once. More wait in the kernel's queue until one ends.
const CONNECTIONS_MAX: usize = 128;

/// Time for a request's head, and for an idle connection to make its next request.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// Time after which a connection is closed when its request is answered. It also ends peers that
/// do not read their answer.
const CONNECTION_TIME: Duration = Duration::from_secs(120);

/// Time that answers under way get when the node stops or a connection's time is over.
const FINISH_TIME: Duration = Duration::from_secs(2);

/// Header lines of a request. More are answered with 431.
const HEADERS_MAX: usize = 64;

/// Bytes of a request's head. More are answered with 431.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Pause after a failed accept: out of descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why HTTP cannot listen.
#[derive(Debug)]
pub enum BindError {
    /// Another program has the port: stop it or choose another.
    InUse(SocketAddr),
    /// This user may not use the port: choose one from 1024 on.
    Denied(SocketAddr),
    /// This machine does not have the address: choose one it has.
    NoSuchAddress(SocketAddr),
    /// Anything else.
    Other(SocketAddr, io::Error),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::InUse(addr)
        | Self::Denied(addr)
        | Self::NoSuchAddress(addr)
        | Self::Other(addr, _)) = self;
        let (ip, port) = (addr.ip(), addr.port());
        write!(f, "cannot listen for HTTP on {addr}: ")?;
        match self {
            Self::InUse(_) => write!(
                f,
                "port {port} is in use by another program; stop it (ss -ltnp 'sport = :{port}' \
                 names it), or choose another port with [http] port"
            ),
            Self::Denied(_) => {
                f.write_str("ports below 1024 need a right; choose a higher one with [http] port")
            }
            Self::NoSuchAddress(_) => {
                write!(f, "this machine does not have the address {ip}; see [http] bind")
            }
            Self::Other(_, error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for BindError {}

/// Listens on `addr`.
///
/// # Errors
/// If that is not possible, with what to do about it.
pub async fn bind(addr: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(addr).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse(addr),
        io::ErrorKind::PermissionDenied => BindError::Denied(addr),
        io::ErrorKind::AddrNotAvailable => BindError::NoSuchAddress(addr),
        _ => BindError::Other(addr, error),
    })
}

/// Answers requests until `shutdown` completes, then gives answers under way a moment to finish.
pub async fn serve(listener: TcpListener, state: HttpState, shutdown: impl Future<Output = ()>) {
    let tls = state.tls.as_ref().map(|tls| TlsAcceptor::from(tls.config()));
    let router = router(state);
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            socket = accept(&listener), if connections.len() < CONNECTIONS_MAX => {
                let (socket, peer) = socket;
                let left = (Extension(Peer(peer)), Extension(Stop(stopped.clone())));
                let service = TowerToHyperService::new(router.clone().layer(left));
                let (tls, stopped) = (tls.clone(), stopped.clone());
                connections.spawn(async move {
                    match tls {
                        None => connection(socket, service, stopped).await,
                        Some(tls) => secure(tls, socket, service, stopped).await,
                    }
                });
            }
        }
    }
    drop((listener, stop));
    let finish = async { while connections.join_next().await.is_some() {} };
    if timeout(FINISH_TIME, finish).await.is_err() {
        tracing::debug!("HTTP connections were cut off at the end");
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
    service: TowerToHyperService<axum::Router>,
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
    service: TowerToHyperService<axum::Router>,
    mut stopped: watch::Receiver<()>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
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
