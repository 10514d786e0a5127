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
use crate::control::auth::{Access, Caller};
use crate::control::http::{CLI_AGENT, Shared};
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

tokio::task_local! {
    /// Who asks for what the handler does, as events tell it.
    static ACTOR: String;
}

/// Who asks for what is being done.
pub(super) fn actor() -> Option<String> {
    ACTOR.try_with(Clone::clone).ok()
}

/// What an operator may not change: who may publish, and the node itself.
const ADMINS_ONLY: [&str; 4] = ["/keys", "/log-level", "/config", "/reload"];

/// What nobody but an admin may look at: a list that keys could be guessed from.
const ADMINS_EYES_ONLY: [&str; 1] = ["/keys/export"];

/// What a request to this path below `/api/v1` takes.
fn needed(method: &Method, path: &str) -> Access {
    let path = path.trim_start_matches("/api/v1");
    let below = |prefix: &&str| {
        path.strip_prefix(*prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let reads = matches!(*method, Method::GET | Method::HEAD);
    match reads {
        true if ADMINS_EYES_ONLY.iter().any(below) => Access::Write,
        true => Access::Read,
        false if ADMINS_ONLY.iter().any(below) => Access::Write,
        false => Access::Operate,
    }
}

/// Who asks, as events tell it: by which token, and whether by our own command line.
fn told(caller: &Caller, headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let is_ours = agent.is_some_and(|agent| agent.starts_with(CLI_AGENT));
    match &caller.token {
        Some(name) if is_ours => format!("cli:{name}"),
        Some(name) => format!("token:{name}"),
        None if is_ours => "cli".to_owned(),
        None => "anybody".to_owned(),
    }
}

/// Who shows `token` from `peer`.
///
/// # Errors
/// If it is none of ours, or the address asks too often.
pub(super) async fn caller(
    shared: &Shared,
    peer: IpAddr,
    token: Option<&str>,
) -> Result<Caller, Problem> {
    let caller = shared.api.tokens.caller(token);
    let cost = if caller.is_some() { 1.0 } else { WRONG_TOKEN_COST };
    if !shared.turnstile.take(peer, cost, shared.api.time.now()).await {
        return Err(Problem::too_many("this address asks too often"));
    }
    caller.ok_or_else(Problem::unauthorized)
}

/// Lets in who shows a token that may do this.
pub(super) async fn with_token(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    let token = bearer(request.headers());
    let caller = match caller(&shared, peer_of(&request), token).await {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let needed = needed(request.method(), request.uri().path());
    if caller.access < needed {
        return Problem::not_for(caller.access, needed).into_response();
    }
    let actor = told(&caller, request.headers());
    request.extensions_mut().insert(caller.access);
    ACTOR.scope(actor, next.run(request)).await
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
        if let Err(problem) = caller(&shared, peer, token).await {
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

    #[test]
    fn an_operator_changes_the_show_and_neither_keys_nor_the_node() {
        for (method, path, least) in [
            (Method::GET, "/streams", Access::Read),
            (Method::HEAD, "/keys", Access::Read),
            (Method::GET, "/keys/export", Access::Write),
            (Method::DELETE, "/clients/ABCDEFGH", Access::Operate),
            (Method::POST, "/channels/demo/outputs", Access::Operate),
            (Method::POST, "/keys", Access::Write),
            (Method::PATCH, "/api/v1/keys/0123456789abcdef", Access::Write),
            (Method::PUT, "/log-level", Access::Write),
            (Method::POST, "/keysmith", Access::Operate),
        ] {
            assert_eq!(needed(&method, path), least, "{method} {path}");
        }
    }

    #[test]
    fn who_asks_is_told_by_the_name_of_its_token_and_the_command_line_as_such() {
        let caller =
            |token: Option<&str>| Caller { access: Access::Write, token: token.map(Arc::from) };
        let mut headers = HeaderMap::new();
        assert_eq!(told(&caller(Some("bot")), &headers), "token:bot");
        assert_eq!(told(&caller(None), &headers), "anybody");
        headers.insert(header::USER_AGENT, CLI_AGENT.parse().unwrap());
        assert_eq!(told(&caller(Some("admin")), &headers), "cli:admin");
        assert_eq!(told(&caller(None), &headers), "cli");
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
