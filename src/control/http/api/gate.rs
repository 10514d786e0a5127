//! Who may pass: tokens, and how often somebody may ask.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Mutex;

use super::ask::left;
use super::problem::Problem;
use crate::control::auth::Access;
use crate::control::http::Shared;
use crate::media::Micros;

/// Requests that an address may make at once.
const BURST: f64 = 200.0;

/// Requests a second that it may make for long.
const PER_SECOND: f64 = 50.0;

/// What a wrong token costs, in requests.
const WRONG_TOKEN_COST: f64 = 20.0;

/// Addresses that are remembered. Those that have asked for nothing lately make room.
const ADDRESSES_MAX: usize = 1_024;

/// The address of the peer, left by the server with each request.
#[derive(Clone, Copy, Debug)]
pub(in crate::control::http) struct Peer(pub(in crate::control::http) SocketAddr);

/// How often each address has asked lately.
#[derive(Debug, Default)]
pub(in crate::control::http) struct Turnstile(Mutex<HashMap<IpAddr, Bucket>>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Micros,
}

impl Bucket {
    const FULL: Self = Self { left: BURST, at: Micros(0) };

    fn filled(self, now: Micros) -> Self {
        let left = self.left + now.since(self.at).secs_f64() * PER_SECOND;
        Self { left: left.min(BURST), at: now }
    }
}

impl Turnstile {
    /// Takes `cost` from what `peer` may ask for; `false` if it has to wait.
    async fn take(&self, peer: IpAddr, cost: f64, now: Micros) -> bool {
        let mut buckets = self.0.lock().await;
        if buckets.len() >= ADDRESSES_MAX && !buckets.contains_key(&peer) {
            buckets.retain(|_, bucket| bucket.filled(now).left < BURST);
            if buckets.len() >= ADDRESSES_MAX {
                return false;
            }
        }
        let bucket = buckets.get(&peer).map_or(Bucket::FULL, |bucket| bucket.filled(now));
        let is_let_in = bucket.left >= 1.0;
        let left = if is_let_in { bucket.left - cost } else { bucket.left };
        buckets.insert(peer, Bucket { left, at: now });
        is_let_in
    }
}

/// What whoever shows `token` from `peer` may do.
///
/// # Errors
/// If it is none of ours, or the address asks too often.
pub(super) async fn access(
    shared: &Shared,
    peer: IpAddr,
    token: Option<&str>,
) -> Result<Access, Problem> {
    let access = shared.api.tokens.access(token);
    let cost = if access.is_some() { 1.0 } else { WRONG_TOKEN_COST };
    if !shared.turnstile.take(peer, cost, shared.api.time.now()).await {
        return Err(Problem::too_many("this address asks too often"));
    }
    access.ok_or_else(Problem::unauthorized)
}

/// Lets in who shows a token; only the first one changes anything.
pub(super) async fn with_token(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    let token = bearer(request.headers());
    let access = match access(&shared, peer_of(&request), token).await {
        Ok(access) => access,
        Err(problem) => return problem.into_response(),
    };
    if access == Access::Read && !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Problem::read_only().into_response();
    }
    request.extensions_mut().insert(access);
    next.run(request).await
}

/// Lets in who is on this machine, or shows a token: for tools that know no tokens.
pub(in crate::control::http) async fn with_token_or_from_here(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let peer = peer_of(&request);
    if !peer.to_canonical().is_loopback() {
        let token = bearer(request.headers());
        if let Err(problem) = access(&shared, peer, token).await {
            return problem.into_response();
        }
    }
    next.run(request).await
}

/// Without an address (a test's) it is nobody's.
pub(super) fn peer_of(request: &Request) -> IpAddr {
    let peer = left::<Peer>(request.extensions());
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Peer(address)| address.ip())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asks_too_often_waits_and_others_do_not() {
        let turnstile = Turnstile::default();
        let [a, b] = [1, 2].map(|n| IpAddr::from([192, 0, 2, n]));
        let mut now = Micros::from_secs(1);
        let mut passed = 0;
        while turnstile.take(a, 1.0, now).await {
            passed += 1;
        }
        assert_eq!(passed, 200);
        assert!(turnstile.take(b, 1.0, now).await);
        now = now + Micros::from_millis(20);
        assert!(turnstile.take(a, 1.0, now).await);
        assert!(!turnstile.take(a, 1.0, now).await);
    }

    #[tokio::test]
    async fn guessing_tokens_is_slow() {
        let turnstile = Turnstile::default();
        let mut tries = 0;
        while turnstile.take([192, 0, 2, 1].into(), WRONG_TOKEN_COST, Micros(0)).await {
            tries += 1;
        }
        assert_eq!(tries, 10);
    }

    #[tokio::test]
    async fn the_table_is_bounded_and_the_idle_make_room() {
        let turnstile = Turnstile::default();
        for n in 0..u32::try_from(ADDRESSES_MAX).unwrap() {
            assert!(turnstile.take(IpAddr::from(n.to_be_bytes()), 1.0, Micros(0)).await);
        }
        let late = IpAddr::from([255, 0, 0, 1]);
        assert!(!turnstile.take(late, 1.0, Micros(0)).await);
        assert!(turnstile.take(late, 1.0, Micros::from_secs(60)).await);
        assert_eq!(turnstile.0.lock().await.len(), 1);
    }
}
