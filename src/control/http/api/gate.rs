//! API authorisation and rate limit: the token of a request, its role, and how often an address may
//! ask.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::actor;
use super::ask::left;
use super::problem::Problem;
use crate::control::auth::{Access, Caller};
use crate::control::http::lobby::Known;
use crate::control::http::origin;
use crate::control::http::shared::Shared;

/// What a wrong token costs, in requests.
const WRONG_TOKEN_COST: f64 = 20.0;

/// The address of the peer, left by the server with each request.
#[derive(Clone, Copy, Debug)]
pub(in crate::control::http) struct Peer(pub(in crate::control::http) SocketAddr);

/// What an operator may not change: who may publish, and the node itself.
const ADMINS_ONLY: [&str; 4] = ["/keys", "/log-level", "/config", "/reload"];

/// What nobody but an admin may look at: a list that keys could be guessed from, and the keys of
/// destinations.
const ADMINS_EYES_ONLY: [&str; 2] = ["/keys/export", "/config/export"];

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

/// What comes with a request that says who makes it.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
    token: Option<&'a str>,
}

impl<'a> Asker<'a> {
    /// Who makes `request` and shows `token`.
    pub(super) fn of(request: &'a Request, token: Option<&'a str>) -> Self {
        Self { headers: request.headers(), extensions: request.extensions(), token }
    }

    /// The address: nobody's without one (a test's).
    fn address(&self, shared: &Shared) -> IpAddr {
        let peer = left::<Peer>(self.extensions);
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Peer(address)| address.ip());
        origin::client(peer, self.headers, &shared.state.rules.load().proxies)
    }

    /// Whether it is on this machine, and not a proxy here that passes somebody's request on.
    fn is_here(&self, shared: &Shared) -> bool {
        let peer = left::<Peer>(self.extensions).map(|Peer(address)| address.ip());
        let rules = shared.state.rules.load();
        let is_trusted = |ip: IpAddr| rules.proxies.iter().any(|range| range.contains(ip));
        let is_unnamed = origin::is_forwarded(self.headers) && !peer.is_some_and(is_trusted);
        self.address(shared).is_loopback() && !is_unnamed
    }
}

/// Who asks. A right token is never kept waiting by wrong ones.
///
/// # Errors
/// If there is no token of ours, the address asks too often, or a web page from elsewhere asks
/// where no token is needed.
pub(super) async fn caller(shared: &Shared, asker: Asker<'_>) -> Result<Caller, Problem> {
    let caller = shared.api.tokens.caller(asker.token);
    let (limiter, cost) = match caller {
        Some(_) => (&shared.limiter, 1.0),
        None => (&shared.strangers, WRONG_TOKEN_COST),
    };
    if !limiter.take(asker.address(shared), cost, shared.api.time.now()).await {
        return Err(Problem::too_many("this address asks too often"));
    }
    let caller = caller.ok_or_else(|| Problem::unauthorized(asker.token.is_some()))?;
    match caller.token {
        None => without_token(shared, asker)?,
        Some(_) => left::<Known>(asker.extensions).iter().for_each(Known::is_shown),
    }
    Ok(caller)
}

/// Whether a request that needs no token may be answered.
fn without_token(shared: &Shared, asker: Asker<'_>) -> Result<(), Problem> {
    origin::check(asker.headers, &shared.state.cors).map_err(Problem::from_elsewhere)
}

/// Lets in who shows a token that may do this.
pub(super) async fn with_token(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    let token = bearer(request.headers());
    let caller = match caller(&shared, Asker::of(&request, token)).await {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let needed = needed(request.method(), request.uri().path());
    if caller.access < needed {
        return Problem::not_for(caller.access, needed).into_response();
    }
    let actor = actor::told(&caller, request.headers());
    request.extensions_mut().insert(caller.access);
    unstored(actor::scope(actor, next.run(request)).await)
}

/// Lets in who is on this machine, or shows a token: for tools that know no tokens.
pub(in crate::control::http) async fn with_token_or_from_here(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let asker = Asker::of(&request, bearer(request.headers()));
    let needs_none = asker.is_here(&shared) && shared.api.tokens.caller(asker.token).is_none();
    let may = match needs_none {
        true => without_token(&shared, asker),
        false => caller(&shared, asker).await.map(drop),
    };
    match may {
        Ok(()) => unstored(next.run(request).await),
        Err(problem) => problem.into_response(),
    }
}

/// What is behind a token, new stream keys among it, is kept by no cache on its way.
fn unstored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::http::rate_limiter::RateLimiter;
    use crate::media::Micros;

    #[test]
    fn an_operator_changes_the_show_and_neither_keys_nor_the_node() {
        for (method, path, least) in [
            (Method::GET, "/streams", Access::Read),
            (Method::HEAD, "/keys", Access::Read),
            (Method::GET, "/keys/export", Access::Write),
            (Method::GET, "/config", Access::Read),
            (Method::GET, "/config/export", Access::Write),
            (Method::POST, "/reload", Access::Write),
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

    #[tokio::test]
    async fn guessing_tokens_is_slow() {
        let limiter = RateLimiter::of_strangers();
        let mut tries = 0;
        while limiter.take([192, 0, 2, 1].into(), WRONG_TOKEN_COST, Micros(0)).await {
            tries += 1;
        }
        assert_eq!(tries, 10);
    }
}
