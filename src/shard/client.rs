//! Client connections: RTMP clients of outputs and pulls, where they connect to, and the pause
//! after a failure.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::context::Context;
use super::io::PeerId;
use super::outbound::Outbound;
use super::shared::Shared;
use crate::media::Micros;
use crate::media::instants::Instants;
use crate::rtmp::{Client, ClientEvent, ClientSpec, Goal, Query, Url};
use crate::stats::RunState;
use crate::stream::StreamLog;
use crate::tls::Link;

/// How long the server may take to read our goodbye.
const GOODBYE: Micros = Micros::from_millis(700);

/// How long control may take to look up a name. It has deadlines of its own; without this one, an
/// answer that is lost would be waited for for ever.
pub(super) const RESOLVE_LIMIT: Micros = Micros::from_secs(30);

/// Wait before the first try after a connection was lost.
const BACKOFF_MIN: Micros = Micros::from_millis(500);

/// Longest wait between two tries.
const BACKOFF_MAX: Micros = Micros::from_secs(15);

/// A connection that lasted this long makes the next wait short again.
const STABLE: Micros = Micros::from_secs(10);

/// Times in a row that a server may send us elsewhere, or ask who we are, without our waiting in
/// between: a redirection, and a login in two steps.
const REDIRECTS_MAX: u32 = 3;

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum End {
    /// We wanted no more of it.
    Left,
    Failed(String),
}

impl Instants for (End, Micros) {
    fn each_instant(&mut self, each: &mut dyn FnMut(&mut Micros)) {
        each(&mut self.1);
    }
}

/// Where a server wants to be connected to next, and with which query.
pub(super) type Redirect = Option<(Url, Query)>;

/// An address, and the session that is to be held there.
pub(super) type Target = Box<(Url, ClientSpec)>;

/// How far an output or a pull has come, whose connection in use is a `T`.
#[derive(Serialize, Deserialize)]
pub(super) enum Phase<T> {
    /// There is no connection, and no reason for one.
    Idle,
    /// Waits after a failure.
    Paused(#[serde(with = "crate::media::instants")] Micros),
    /// Control looks up the server's name.
    Resolving(Target),
    /// The TCP connection is being made.
    Connecting(PeerId, Target),
    /// The server is spoken to.
    Up(Box<T>),
    /// It has ended for good.
    Finished,
}

impl<T> Phase<T> {
    /// Whether the name is being looked up since `began`, and is given up now.
    pub(super) fn is_unresolved(&self, began: Micros, now: Micros) -> bool {
        matches!(self, Self::Resolving(_)) && now.since(began) >= RESOLVE_LIMIT
    }

    /// The peer of its connection, with whether that is still being made, and of one in use what
    /// `peer_of` says.
    pub(super) fn peer(&self, peer_of: impl FnOnce(&T) -> PeerId) -> Option<(PeerId, bool)> {
        match self {
            Self::Connecting(peer, _) => Some((*peer, true)),
            Self::Up(connection) => Some((peer_of(connection), false)),
            Self::Idle | Self::Paused(_) | Self::Resolving(_) | Self::Finished => None,
        }
    }

    /// The host and the port that control looks up.
    pub(super) fn asked(&self) -> Option<(Arc<str>, u16)> {
        match self {
            Self::Resolving(target) => Some((target.0.host().into(), target.0.port())),
            _ => None,
        }
    }

    /// What its figures say that it does; `is_live` of a connection in use.
    pub(super) fn state(&self, is_live: impl FnOnce(&T) -> bool, is_leaving: bool) -> RunState {
        match self {
            Self::Finished => RunState::Stopped,
            Self::Idle if is_leaving => RunState::Stopped,
            Self::Idle => RunState::Idle,
            Self::Paused(_) => RunState::Failed,
            Self::Up(connection) if is_live(connection) => RunState::Live,
            Self::Resolving(_) | Self::Connecting(..) | Self::Up(_) => RunState::Connecting,
        }
    }

    /// The address is known, and the TCP connection is being made.
    pub(super) fn connecting(&mut self, peer: PeerId) {
        *self = match std::mem::replace(self, Self::Idle) {
            Self::Resolving(target) => Self::Connecting(peer, target),
            other => other,
        };
    }

    /// The TCP connection stands; the phase is idle until the server is spoken to.
    pub(super) fn take_connecting(&mut self) -> Option<(PeerId, Target)> {
        match std::mem::replace(self, Self::Idle) {
            Self::Connecting(peer, target) => Some((peer, target)),
            other => {
                *self = other;
                None
            }
        }
    }
}

/// What makes connections to other servers, again and again.
pub(super) trait Dialer: fmt::Display {
    /// Its connection, while there is one.
    fn client(&mut self) -> Option<&mut ClientConnection>;

    /// The connection is lost, or could not be made.
    fn lost(&mut self, shared: &mut Shared, reason: String);

    /// Whether it has ended for good.
    fn is_finished(&self) -> bool;
}

/// Where to connect to now: as usual, unless the server has sent us elsewhere; and the session
/// there.
pub(super) fn target(redirect: &mut Redirect, usual: &Url, goal: Goal) -> (Url, ClientSpec) {
    let (url, query) = redirect.take().unwrap_or_else(|| (usual.clone(), Query::default()));
    let mut spec = ClientSpec::new(&url, goal);
    if !query.is_empty() {
        spec.query = query;
    }
    (url, spec)
}

/// A connection to another server.
#[derive(Serialize, Deserialize)]
pub(super) struct ClientConnection {
    url: Url,
    pub(super) session: Client,
    pub(super) out: Outbound,
    /// Why it ends, and when at the latest.
    #[serde(with = "crate::media::instants")]
    closing: Option<(End, Micros)>,
}

impl ClientConnection {
    /// The TCP connection stands; encrypts it if the address says so.
    ///
    /// # Errors
    /// If it is to be secure and cannot be.
    pub(super) fn new(
        cx: &mut Context,
        peer: PeerId,
        (url, spec): (Url, ClientSpec),
    ) -> Result<Self, String> {
        let link = tls_to(cx, &url)?;
        let session = Client::new(spec, cx.now, cx.random());
        Ok(Self { url, session, out: Outbound::new(peer, link), closing: None })
    }

    /// It was read from a snapshot, as a reader of `log` if it reads. `false` if it contradicts
    /// itself or the log.
    #[must_use]
    pub(super) fn resume(&mut self, log: Option<&StreamLog>) -> bool {
        self.session.resume() && self.out.resume(log)
    }

    /// Says goodbye; the connection ends when that is sent. The first reason counts.
    pub(super) fn close(&mut self, end: End, now: Micros) {
        if self.closing.is_none() {
            self.session.finish();
            self.closing = Some((end, now + GOODBYE));
        }
    }

    /// Ends without a goodbye, which nobody would hear.
    pub(super) fn break_off(&mut self, reason: String) {
        let end = self.closing.take().map_or(End::Failed(reason), |(end, _)| end);
        self.closing = Some((end, Micros(0)));
    }

    pub(super) const fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Gives the sending half what the session has to say.
    pub(super) fn pass_on(&mut self) {
        let output = self.session.output();
        let count = output.len();
        if count > 0 {
            let queued = self.out.queue(output);
            self.session.consume_output(count);
            if let Err(error) = queued {
                self.break_off(error.to_string());
            }
        }
    }

    /// Why it has ended, if it has: it was to, and the goodbye is sent, or too late.
    pub(super) fn ended(&self, now: Micros) -> Option<End> {
        let (end, deadline) = self.closing.as_ref()?;
        (self.out.is_flushed() || now >= *deadline).then(|| end.clone())
    }

    /// The reason that came first.
    pub(super) fn first_reason(&self, end: End) -> End {
        self.closing.as_ref().map_or(end, |(first, _)| first.clone())
    }

    /// What the server says about the connection as a whole.
    ///
    /// # Errors
    /// The reason, if the connection is to end: it is refused or ended, or wanted elsewhere.
    pub(super) fn handle(&self, event: ClientEvent, redirect: &mut Redirect) -> Result<(), String> {
        let (reason, to) = match event {
            ClientEvent::Started { .. } | ClientEvent::Message { .. } => return Ok(()),
            ClientEvent::Refused { code, description } => {
                (format!("refused: {code} {description}"), None)
            }
            ClientEvent::Ended { code, description } => {
                (format!("ended: {code} {description}"), None)
            }
            ClientEvent::Authenticate { query } => {
                ("asked who we are".to_owned(), Some((self.url.clone(), query)))
            }
            ClientEvent::Redirect { to } | ClientEvent::Reconnect { to } => {
                (format!("sent on to {to}"), Some((*to, Query::default())))
            }
        };
        if to.is_some() {
            *redirect = to;
        }
        Err(reason)
    }
}

/// The encryption of a connection to `url`; `None` if it is not to be secure.
fn tls_to(cx: &Context, url: &Url) -> Result<Option<Box<Link>>, String> {
    if !url.is_secure() {
        return Ok(None);
    }
    let link = cx.trust.as_ref().map_err(Clone::clone)?.link(url.host());
    link.map(|link| Some(Box::new(link))).map_err(|failure| failure.to_string())
}

/// How long to wait before the next try: doubling, with jitter, and short again after a connection
/// that lasted.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Backoff {
    step: Micros,
    redirects: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { step: BACKOFF_MIN, redirects: 0 }
    }
}

impl Backoff {
    /// After a connection that failed and had lasted so long. Nothing, if the server has just sent
    /// us elsewhere; `random` spreads nodes that failed together.
    pub(super) fn after(
        &mut self,
        redirect: &mut Redirect,
        lasted: Micros,
        random: [u8; 8],
    ) -> Option<Micros> {
        if lasted >= STABLE {
            *self = Self::default();
        }
        if redirect.is_some() && self.redirects < REDIRECTS_MAX {
            self.redirects += 1;
            return None;
        }
        *redirect = None;
        self.redirects = 0;
        Some(self.wait(random))
    }

    fn wait(&mut self, random: [u8; 8]) -> Micros {
        let base = self.step;
        self.step = Micros((base.0 * 2).min(BACKOFF_MAX.0));
        // From three quarters of the step to the whole of it.
        let jitter = base.0 / 4 * u64::from(u16::from_le_bytes([random[0], random[1]])) / 65_536;
        Micros((base.0 - jitter).max(BACKOFF_MIN.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Micros = Micros(0);

    #[test]
    fn waits_double_up_to_the_limit_and_are_short_again_after_a_stable_connection() {
        let mut backoff = Backoff::default();
        let mut wait = |lasted| backoff.after(&mut None, lasted, [0; 8]).unwrap().millis();
        let waits: Vec<_> = (0..7).map(|_| wait(AT_ONCE)).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
        assert_eq!(wait(STABLE), BACKOFF_MIN.millis());
    }

    #[test]
    fn jitter_takes_at_most_a_quarter_and_never_goes_below_the_shortest() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.wait([0xff; 8]), BACKOFF_MIN);
        let wait = backoff.wait([0xff; 8]);
        assert!(wait > Micros::from_millis(749) && wait < Micros::from_millis(1_000), "{wait:?}");
    }

    #[test]
    fn a_server_that_sends_us_on_is_followed_at_once_but_not_for_ever() {
        let mut backoff = Backoff::default();
        let elsewhere = Url::parse("rtmp://127.0.0.1/live/other").unwrap();
        let mut redirect = None;
        for round in 0..=REDIRECTS_MAX {
            redirect = Some((elsewhere.clone(), Query::default()));
            let wait = backoff.after(&mut redirect, AT_ONCE, [0; 8]);
            assert_eq!(wait, (round == REDIRECTS_MAX).then_some(BACKOFF_MIN));
        }
        let usual = Url::parse("rtmp://127.0.0.1/live/show").unwrap();
        let (next, _) = target(&mut redirect, &usual, Goal::Play);
        assert_eq!(next.to_string(), usual.to_string(), "then it begins where it began");
    }
}
