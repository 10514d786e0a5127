//! `/ws`: the state, then every change of it and every event, each with a number. Who was away
//! asks for what came after the last number it has; who asks for audio levels gets those alone.

use std::sync::Arc;
use std::time::Duration;

use axum::RequestExt;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::SinkExt;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::ask::{Asked, left};
use super::audio;
use super::followers::FOLLOWERS_MAX;
use super::gate;
use super::problem::Problem;
use crate::control::auth::Access;
use crate::control::http::shared::Shared;
use crate::control::state::Catchup;

/// The subprotocol.
const PROTOCOL: &str = "stream-manager";

/// What a token follows among the subprotocols: a browser can send it nowhere else.
const BEARER: &str = "bearer.";

/// Longest time that a follower may take to read what it is sent.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// How often audio levels are sent to who asked for them.
const LEVELS_EVERY: Duration = Duration::from_millis(100);

/// Bytes of a message from a follower, which has nothing to say.
const HEARD_BYTES_MAX: usize = 1_024;

/// Bytes that wait for a follower in the program, at most.
const WAITING_BYTES_MAX: usize = 32 << 20;

/// Ends when the server does.
#[derive(Clone, Debug)]
pub(in crate::control::http) struct Stop(pub(in crate::control::http) watch::Receiver<()>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct From {
    since: Option<u64>,
    /// The channel whose audio levels are sent, and nothing else.
    levels: Option<String>,
}

/// Opens the socket for who shows a token.
pub(super) async fn follow(State(shared): State<Arc<Shared>>, mut request: Request) -> Response {
    match open(&shared, &mut request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn open(shared: &Arc<Shared>, request: &mut Request) -> Result<Response, Problem> {
    let token = token(request.headers());
    let access = gate::caller(shared, gate::Asker::of(request, token.as_deref())).await?.access;
    let Asked(From { since, levels }) = request.extract_parts().await?;
    if let Some(channel) = &levels
        && audio::levels_message(shared, channel).is_none()
    {
        return Err(Problem::not_found(&format!("there is no channel {channel} with audio")));
    }
    let stop = left::<Stop>(request.extensions());
    let upgrade = request.extract_parts::<WebSocketUpgrade>().await.map_err(|_| {
        let hint = "open it as a WebSocket (RFC 6455)";
        Problem::invalid("this path speaks WebSocket only", hint)
    })?;
    let place = shared.followers.enter().ok_or_else(|| {
        Problem::too_many(&format!("there are {FOLLOWERS_MAX} followers already"))
    })?;
    let shared = Arc::clone(shared);
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .max_message_size(HEARD_BYTES_MAX)
        .max_write_buffer_size(WAITING_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let follower = Follower { socket, shared, access, levels, _place: place };
        follower.run(since, stop).await;
    }))
}

/// The token among the subprotocols, or where it is elsewhere.
fn token(headers: &HeaderMap) -> Option<String> {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let offered = offered.filter_map(|value| value.to_str().ok()).flat_map(|all| all.split(','));
    let among = offered.map(str::trim).find_map(|one| one.strip_prefix(BEARER));
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let plain = value.and_then(|value| value.strip_prefix("Bearer "));
    among.or(plain).map(str::to_owned)
}

struct Follower {
    socket: WebSocket,
    shared: Arc<Shared>,
    access: Access,
    /// The channel whose audio levels it asked for.
    levels: Option<String>,
    _place: OwnedSemaphorePermit,
}

/// Why a follower is left.
enum Left {
    /// It is gone.
    Gone,
    /// It does not read fast enough.
    Slow,
    /// The node stops.
    Stopping,
}

impl Follower {
    async fn run(mut self, since: Option<u64>, stop: Option<Stop>) {
        let left = match self.levels.take() {
            Some(channel) => self.tell_levels(&channel, stop).await,
            None => self.tell(since, stop).await,
        };
        let (code, reason) = match left {
            Left::Gone => return,
            Left::Slow => (close_code::POLICY, "too slow"),
            Left::Stopping => (close_code::AWAY, "the node stops"),
        };
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        // Whether it hears that is its own affair.
        drop(timeout(READ_LIMIT, self.socket.send(Message::Close(Some(frame)))).await);
    }

    async fn tell(&mut self, since: Option<u64>, stop: Option<Stop>) -> Left {
        let board = Arc::clone(&self.shared.api.board);
        let mut news = board.news();
        let mut at = match board.resume(since, self.access).await {
            Catchup::State(text, at) => match self.say(vec![text]).await {
                Ok(()) => at,
                Err(left) => return left,
            },
            Catchup::Changes(..) | Catchup::Missed => since.unwrap_or_default(),
        };
        let mut stopping = std::pin::pin!(stopped(stop));
        loop {
            loop {
                match board.after(at, self.access).await {
                    Catchup::Changes(texts, last) if !texts.is_empty() => {
                        if let Err(left) = self.say(texts).await {
                            return left;
                        }
                        at = last;
                    }
                    Catchup::Changes(..) => break,
                    Catchup::State(..) | Catchup::Missed => return Left::Slow,
                }
            }
            tokio::select! {
                changed = news.changed() => if changed.is_err() { return Left::Stopping },
                heard = self.socket.recv() => if is_over(heard.as_ref()) { return Left::Gone },
                () = &mut stopping => return Left::Stopping,
            }
        }
    }

    /// Sends the levels of a channel, unless it is gone for now, and nothing else.
    async fn tell_levels(&mut self, channel: &str, stop: Option<Stop>) -> Left {
        let mut stopping = std::pin::pin!(stopped(stop));
        let mut ticks = interval(LEVELS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    let message = audio::levels_message(&self.shared, channel);
                    let texts = message.map(Utf8Bytes::from).into_iter().collect();
                    if let Err(left) = self.say(texts).await {
                        return left;
                    }
                }
                heard = self.socket.recv() => if is_over(heard.as_ref()) { return Left::Gone },
                () = &mut stopping => return Left::Stopping,
            }
        }
    }

    async fn say(&mut self, texts: Vec<Utf8Bytes>) -> Result<(), Left> {
        let socket = &mut self.socket;
        let sent = timeout(READ_LIMIT, async {
            for text in texts {
                socket.feed(Message::Text(text)).await?;
            }
            // What changed together leaves together: a call for each would be the main cost.
            socket.flush().await
        });
        match sent.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Left::Gone),
            Err(_) => Err(Left::Slow),
        }
    }
}

/// Comes to its end when the server does.
async fn stopped(stop: Option<Stop>) {
    match stop {
        Some(Stop(mut stop)) => drop(stop.changed().await),
        None => std::future::pending().await,
    }
}

/// Whether what was heard of a follower is its end.
const fn is_over(heard: Option<&Result<Message, axum::Error>>) -> bool {
    matches!(heard, Some(Ok(Message::Close(_)) | Err(_)) | None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_where_a_browser_or_a_program_can_send_it() {
        let token_in = |name: header::HeaderName, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            token(&headers)
        };
        let protocol = header::SEC_WEBSOCKET_PROTOCOL;
        assert_eq!(
            token_in(protocol.clone(), "stream-manager, bearer.abc").as_deref(),
            Some("abc")
        );
        assert_eq!(token_in(protocol, "stream-manager"), None);
        assert_eq!(token_in(header::AUTHORIZATION, "Bearer abc").as_deref(), Some("abc"));
    }
}
