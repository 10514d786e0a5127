//! Outgoing connections of pulls and outputs: resolving, connecting, TLS, and the pause after a
//! failure.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_lite::FutureExt;
use glommio::net::TcpStream;
use glommio::timer::Timer;

use super::reader::Reader;
use super::shard::Shard;
use super::socket::tune;
use super::wire::{Received, Socket, all_of_it, flush, receive};
use crate::media::Micros;
use crate::rtmp::{Client, ClientEvent, ClientSpec, Goal, Query, Url};
use crate::stream::StreamLog;

/// Time for the TCP connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long the server may take to read our goodbye.
const GOODBYE: Micros = Micros::from_millis(700);

/// Wait before the first try after a connection was lost.
const BACKOFF_MIN: Micros = Micros::from_millis(500);

/// Longest wait between two tries.
const BACKOFF_MAX: Micros = Micros::from_secs(15);

/// A connection that lasted this long makes the next wait short again.
const STABLE: Micros = Micros::from_secs(10);

/// Times in a row that a server may send us elsewhere, or ask who we are, without our waiting in
/// between: a redirection, and a login in two steps.
const DETOURS_MAX: u32 = 3;

/// How a task comes to its server. Who wakes it need not know what it waits for.
#[derive(Default)]
pub(super) struct Dial {
    resolved: RefCell<Option<Result<SocketAddr, String>>>,
    waker: RefCell<Option<Waker>>,
    /// Where the server wants to be connected to next, and with which query.
    detour: RefCell<Option<(Url, Query)>>,
}

impl Dial {
    /// Control's answer to our question for an address.
    pub(super) fn resolved(&self, address: Result<SocketAddr, String>) {
        *self.resolved.borrow_mut() = Some(address);
        self.wake();
    }

    /// Lets a task that waits look again.
    pub(super) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Waits for `done`, which is looked at whenever somebody calls [`Self::wake`].
    pub(super) async fn until(&self, mut done: impl FnMut() -> bool) {
        poll_fn(|cx| {
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            if done() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Waits, but not beyond `over`.
    pub(super) async fn pause(&self, wait: Micros, over: impl FnMut() -> bool) {
        let timer = async {
            Timer::new(wait.into()).await;
        };
        timer.or(self.until(over)).await;
    }

    /// Where to connect to now, unless the server has sent us elsewhere, and the usual session
    /// there. Whoever calls it then asks control for the address.
    pub(super) fn next(&self, usual: &Url, goal: Goal) -> (Url, ClientSpec) {
        self.resolved.borrow_mut().take();
        let detour = self.detour.take();
        let (url, query) = detour.unwrap_or_else(|| (usual.clone(), Query::default()));
        let mut spec = ClientSpec::new(&url, goal);
        if !query.is_empty() {
            spec.query = query;
        }
        (url, spec)
    }

    /// Connects to `url` once control has said where that is; not beyond `over`.
    pub(super) async fn connect(
        &self,
        shard: &Shard,
        url: Url,
        spec: ClientSpec,
        over: impl Fn() -> bool,
    ) -> Result<(TcpStream, Line), End> {
        self.until(|| over() || self.resolved.borrow().is_some()).await;
        let address = match self.resolved.borrow_mut().take() {
            Some(address) => address.map_err(End::Failed)?,
            None => return Err(End::Left),
        };
        let connect = async { TcpStream::connect_timeout(address, CONNECT_LIMIT).await.ok() };
        let given_up = async {
            self.until(&over).await;
            None
        };
        let Some(socket) = connect.or(given_up).await else {
            let failed = End::Failed(format!("no connection to {address}"));
            return Err(if over() { End::Left } else { failed });
        };
        if let Err(error) = tune(socket.as_raw_fd()) {
            tracing::debug!("socket options of a connection to {address}: {error}");
        }
        let reader = shard.reader_to(&url, socket.as_raw_fd()).map_err(End::Failed)?;
        let session = Client::new(spec, shard.clock.now(), shard.random());
        Ok((socket, Line { url, session, reader: Rc::new(reader), closing: None }))
    }

    /// What the server says about the connection as a whole.
    ///
    /// # Errors
    /// The reason, if the connection is to end: it is refused or ended, or wanted elsewhere.
    pub(super) fn heed(&self, line: &Line, event: ClientEvent) -> Result<(), String> {
        let (reason, detour) = match event {
            ClientEvent::Started { .. } | ClientEvent::Message { .. } => return Ok(()),
            ClientEvent::Refused { code, description } => {
                (format!("refused: {code} {description}"), None)
            }
            ClientEvent::Ended { code, description } => {
                (format!("ended: {code} {description}"), None)
            }
            ClientEvent::Authenticate { query } => {
                ("asked who we are".to_owned(), Some((line.url.clone(), query)))
            }
            ClientEvent::Redirect { to } | ClientEvent::Reconnect { to } => {
                (format!("sent on to {to}"), Some((*to, Query::default())))
            }
        };
        if detour.is_some() {
            self.detour.replace(detour);
        }
        Err(reason)
    }
}

/// A connection in use.
pub(super) struct Line {
    url: Url,
    pub(super) session: Client,
    pub(super) reader: Rc<Reader>,
    /// Why it ends, and when at the latest.
    closing: Option<(End, Micros)>,
}

/// Why a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// We wanted no more of it.
    Left,
    Failed(String),
}

impl Line {
    /// Says goodbye; the connection ends when that is sent. The first reason counts.
    pub(super) fn close(&mut self, end: End, now: Micros) {
        if self.closing.is_none() {
            self.session.finish();
            self.closing = Some((end, now + GOODBYE));
            self.pass_on();
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

    /// Gives the reader what the session has to say.
    pub(super) fn pass_on(&mut self) {
        let output = self.session.output();
        let count = output.len();
        if count > 0 {
            let queued = self.reader.queue(output);
            self.session.consume_output(count);
            if let Err(error) = queued {
                self.break_off(error.to_string());
            }
        }
    }

    /// Sends what waits; says how many bytes went out.
    pub(super) fn send(
        &mut self,
        shard: &Shard,
        log: Option<&StreamLog>,
        ends: &mut Socket<'_, '_>,
        now: Micros,
    ) -> Result<u64, End> {
        self.pass_on();
        flush(&self.reader, log, &shard.spec().drop, ends, now)
            .map_err(|error| End::Failed(error.to_string()))
    }

    /// Whether it has ended: it was to, and the goodbye is sent, or too late.
    pub(super) fn ended(&mut self, now: Micros) -> Result<(), End> {
        let flushed = self.reader.is_flushed();
        match self.closing.take_if(|(_, deadline)| flushed || now >= *deadline) {
            Some((end, _)) => Err(end),
            None => Ok(()),
        }
    }

    /// Whether its task has something to do.
    pub(super) fn has_to_speak(&self) -> bool {
        !self.session.output().is_empty() || self.closing.is_some()
    }

    /// Takes leave of the server's TLS; gives the reason that came first.
    pub(super) fn finish(self, end: End) -> End {
        self.reader.farewell();
        self.closing.map_or(end, |(first, _)| first)
    }
}

/// Receives once, and gives `digest` what the server, which a reason calls `whom`, said.
pub(super) fn hear(
    shard: &Shard,
    reader: &Reader,
    ends: &mut Socket<'_, '_>,
    whom: &str,
    digest: impl FnMut(&[u8]) -> Result<(), String>,
) -> Poll<Result<(), End>> {
    let mut scratch = shard.scratch.borrow_mut();
    receive(reader, |input| ends.poll_read(input), &mut scratch, all_of_it, digest).map(|heard| {
        let reason = match heard {
            Received::Digested(result) => return result.map_err(End::Failed),
            Received::Closed => format!("{whom} closed"),
            Received::Broken(error) => error.to_string(),
            Received::Garbled(failure) => failure.to_string(),
        };
        Err(End::Failed(reason))
    })
}

/// Turns a connection round and round to its end.
pub(super) async fn drive(mut turn: impl FnMut(&mut Context<'_>) -> Poll<Result<(), End>>) -> End {
    loop {
        match poll_fn(&mut turn).await {
            Ok(()) => glommio::yield_if_needed().await,
            Err(end) => return end,
        }
    }
}

/// How long to wait before the next try: doubling, with jitter, and short again after a connection
/// that lasted.
#[derive(Debug)]
pub(super) struct Backoff {
    step: Micros,
    detours: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { step: BACKOFF_MIN, detours: 0 }
    }
}

impl Backoff {
    /// After a connection that failed and had lasted so long. Nothing, if the server has just sent
    /// us elsewhere; `random` spreads nodes that failed together.
    pub(super) fn after(&mut self, dial: &Dial, lasted: Micros, random: [u8; 8]) -> Option<Micros> {
        if lasted >= STABLE {
            *self = Self::default();
        }
        if dial.detour.borrow().is_some() && self.detours < DETOURS_MAX {
            self.detours += 1;
            return None;
        }
        dial.detour.take();
        self.detours = 0;
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
        let (mut backoff, dial) = (Backoff::default(), Dial::default());
        let mut wait = |lasted| backoff.after(&dial, lasted, [0; 8]).unwrap().millis();
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
        let (mut backoff, dial) = (Backoff::default(), Dial::default());
        let elsewhere = Url::parse("rtmp://127.0.0.1/live/other").unwrap();
        for round in 0..=DETOURS_MAX {
            dial.detour.replace(Some((elsewhere.clone(), Query::default())));
            let wait = backoff.after(&dial, AT_ONCE, [0; 8]);
            assert_eq!(wait, (round == DETOURS_MAX).then_some(BACKOFF_MIN));
        }
        let usual = Url::parse("rtmp://127.0.0.1/live/show").unwrap();
        let (next, _) = dial.next(&usual, Goal::Play);
        assert_eq!(next.to_string(), usual.to_string(), "then it begins where it began");
    }
}
