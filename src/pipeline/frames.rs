//! Frame server: a thread that waits at a Unix socket for a program that draws, and hands its
//! pictures to the layers that show it.

use std::io;
use std::mem;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use super::decode::{DecodeOut, Retry};
use crate::decode::{
    CLIENT_MESSAGE_BYTES_MAX, DecodeSink, FRAMES_PER_SECOND_MAX, FrameClient, FrameView, Handled,
    Hello, Reply,
};
use crate::ffi::{Received, Seqpacket, SeqpacketListener, wait_readable};
use crate::frame::PictureEvent;
use crate::media::Micros;
use crate::runtime::Clock;

/// How often it is looked for layers that come and go.
const LOOK: Micros = Micros::from_millis(100);

/// How long a picture waits until it is tried again to find a free frame for it.
const FULL: Micros = Micros::from_millis(5);

/// How long a program may take to its hello. Then it is let go.
const HELLO_WAIT: Micros = Micros::from_secs(5);

/// After a program was let go, the next one is accepted so much later: one that comes again and
/// again costs little.
const ACCEPT_WAIT: Micros = Micros::from_secs(1);

/// How far ahead a picture may be sent. Further ones are shown then.
const AHEAD_MAX: Micros = Micros::from_millis(250);

/// Shortest time between two frames that are read.
const FRAME_INTERVAL: Micros = Micros(1_000_000 / FRAMES_PER_SECOND_MAX as u64);

/// What becomes of the program behind a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameChange {
    /// It has said hello.
    Connected(Hello),
    /// It has left or was let go, or cannot come.
    Lost(String),
}

/// A layer that shows the program's pictures.
pub struct FrameReader {
    view: FrameView,
    out: DecodeOut,
    tell: Box<dyn FnMut(FrameChange) + Send>,
}

impl FrameReader {
    /// Shows pictures as `view` says, to the rings of `out`; `tell` is called when the program
    /// comes and goes.
    #[must_use]
    pub fn new(
        view: FrameView,
        out: DecodeOut,
        tell: impl FnMut(FrameChange) + Send + 'static,
    ) -> Self {
        Self { view, out, tell: Box::new(tell) }
    }

    /// Says that no program will come, and why.
    pub fn refuse(mut self, reason: String) {
        self.ended(&FrameChange::Lost(reason));
    }

    fn ended(&mut self, change: &FrameChange) {
        self.view.forget();
        self.out.picture(PictureEvent::Ended);
        (self.tell)(change.clone());
    }
}

/// A connection with what is known of its program.
struct Session {
    socket: Seqpacket,
    client: FrameClient,
    since: Micros,
    /// From when on its next message is read.
    next: Micros,
}

/// What goes on at the socket.
enum State {
    /// Nobody listens; it is tried then.
    Closed { next: Micros },
    /// Who connects is accepted from then on.
    Open { listener: SeqpacketListener, next: Micros },
    /// One program is connected; others are refused.
    Connected { listener: SeqpacketListener, session: Box<Session> },
}

struct Server<'a> {
    path: &'a Path,
    clock: Clock,
    readers: Vec<FrameReader>,
    retry: Retry,
    /// Why nobody can connect.
    fault: Option<String>,
}

/// Serves a socket until `join`, which is asked every now and then for new readers and is given
/// those that are left, says that it is over.
pub fn serve_frames(
    path: &Path,
    clock: Clock,
    mut join: impl FnMut(&mut Vec<FrameReader>) -> bool,
) {
    let (readers, retry) = (Vec::new(), Retry::default());
    let mut server = Server { path, clock, readers, retry, fault: None };
    let mut state = State::Closed { next: Micros(0) };
    let mut look = Micros(0);
    loop {
        let now = clock.now();
        if now >= look {
            look = now + LOOK;
            if !server.renew_readers(&state, &mut join) {
                return;
            }
        }
        state = server.step(state, now);
        let wait = server.wait_for(&state).min(look.since(clock.now()));
        let wait = Duration::from(wait);
        match &state {
            State::Open { listener, next } if *next <= now => {
                wait_readable(&[listener.as_fd()], wait);
            }
            State::Connected { listener, session } if session.next <= clock.now() => {
                wait_readable(&[listener.as_fd(), session.socket.as_fd()], wait);
            }
            _ => std::thread::park_timeout(wait),
        }
    }
}

impl Server<'_> {
    /// Lets go of readers that nobody looks at any more, and takes new ones in.
    fn renew_readers(
        &mut self,
        state: &State,
        join: &mut impl FnMut(&mut Vec<FrameReader>) -> bool,
    ) -> bool {
        self.readers.retain(|reader| !reader.out.is_closed());
        let known = self.readers.len();
        if !join(&mut self.readers) {
            return false;
        }
        let client = match state {
            State::Connected { session, .. } => Some(&session.client),
            State::Closed { .. } | State::Open { .. } => None,
        };
        let hello = client.and_then(FrameClient::hello).copied().map(FrameChange::Connected);
        let change = hello.or_else(|| self.fault.clone().map(FrameChange::Lost));
        for reader in self.readers.iter_mut().skip(known) {
            if client.is_some_and(FrameClient::has_picture) {
                reader.view.renew(self.clock.now());
            }
            change.iter().for_each(|change| (reader.tell)(change.clone()));
        }
        true
    }

    fn step(&mut self, state: State, now: Micros) -> State {
        match state {
            State::Closed { next } if now >= next => self.open(now),
            State::Open { listener, next } if now >= next => self.accept(listener, now),
            State::Connected { listener, session } => self.go_on(listener, session, now),
            waiting => waiting,
        }
    }

    fn open(&mut self, now: Micros) -> State {
        match SeqpacketListener::bind(self.path) {
            Ok(listener) => {
                self.retry.reset();
                self.fault = None;
                State::Open { listener, next: now }
            }
            Err(error) => {
                let next = now + self.retry.wait();
                if self.fault.is_none() {
                    let fault =
                        format!("`socket`: cannot listen at {}: {error}", self.path.display());
                    self.tell_all(&FrameChange::Lost(fault.clone()));
                    self.fault = Some(fault);
                }
                State::Closed { next }
            }
        }
    }

    fn accept(&self, listener: SeqpacketListener, now: Micros) -> State {
        match listener.accept() {
            Ok(Some(socket)) => {
                let client = FrameClient::default();
                let session = Box::new(Session { socket, client, since: now, next: now });
                State::Connected { listener, session }
            }
            Ok(None) => State::Open { listener, next: now },
            // Such as too many open files.
            Err(error) => {
                tracing::debug!("frames at {}: {error}", self.path.display());
                State::Open { listener, next: now + ACCEPT_WAIT }
            }
        }
    }

    /// Refuses others, handles a message if one has come, and hands on what is owed.
    fn go_on(
        &mut self,
        listener: SeqpacketListener,
        mut session: Box<Session>,
        now: Micros,
    ) -> State {
        if let Ok(Some(second)) = listener.accept() {
            // Who does not read it sees the end of its connection.
            drop(send(&second, Reply::Refused("another program is connected")));
        }
        let handled = self.handle(&mut session, now);
        let shown = handled.and_then(|()| self.show(&session.client));
        let Err(reason) = shown else { return State::Connected { listener, session } };
        if !reason.is_empty() {
            // As above.
            drop(send(&session.socket, Reply::Refused(&reason)));
        }
        let reason = if reason.is_empty() { "the program has left".to_owned() } else { reason };
        self.end_all(&FrameChange::Lost(reason));
        State::Open { listener, next: now + ACCEPT_WAIT }
    }

    /// # Errors
    /// Why the connection ends; empty if the program has closed it.
    fn handle(&mut self, session: &mut Session, now: Micros) -> Result<(), String> {
        if session.next > now {
            return Ok(());
        }
        let mut buffer = [0; CLIENT_MESSAGE_BYTES_MAX];
        let received = session.socket.receive(&mut buffer);
        // Who is killed before it has read everything resets the connection.
        let gone = |error: io::Error| match error.kind() {
            io::ErrorKind::ConnectionReset => String::new(),
            _ => error.to_string(),
        };
        let Some(received) = received.map_err(gone)? else {
            let is_late = session.client.hello().is_none() && now.since(session.since) > HELLO_WAIT;
            return if is_late { Err("it has not said hello in time".to_owned()) } else { Ok(()) };
        };
        let Received { bytes, descriptors, is_cut } = received;
        if bytes == 0 {
            return Err(String::new());
        }
        if is_cut {
            return Err("a message is longer than any of the protocol".to_owned());
        }
        let handled = session.client.handle(&buffer[..bytes], descriptors);
        let reply = match handled.map_err(|fault| fault.to_string())? {
            Handled::Hello(hello) => {
                self.tell_all(&FrameChange::Connected(hello));
                Reply::Welcome
            }
            Handled::Frame { slot, time_us } => {
                let at = self.due(time_us, now);
                self.readers.iter_mut().for_each(|reader| reader.view.renew(at));
                session.next = session.next.max(now) + FRAME_INTERVAL;
                Reply::Free(slot)
            }
        };
        send(&session.socket, reply).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => "it does not read what it is told".to_owned(),
            _ => String::new(),
        })
    }

    /// When a picture is shown that its program wants to be shown then.
    fn due(&self, time_us: u64, now: Micros) -> Micros {
        let ahead = time_us.saturating_sub(self.clock.monotonic_micros());
        now + Micros(ahead).min(AHEAD_MAX)
    }

    /// Hands on the newest picture to those that have not got it.
    fn show(&mut self, client: &FrameClient) -> Result<(), String> {
        for reader in &mut self.readers {
            let is_shown = reader.view.show(client, &mut reader.out);
            is_shown.map_err(|error| error.to_string())?;
            if mem::take(&mut reader.out.handed) {
                reader.out.fed.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn tell_all(&mut self, change: &FrameChange) {
        self.readers.iter_mut().for_each(|reader| (reader.tell)(change.clone()));
    }

    fn end_all(&mut self, change: &FrameChange) {
        self.readers.iter_mut().for_each(|reader| reader.ended(change));
    }

    /// How long nothing is to be done if nothing comes.
    fn wait_for(&self, state: &State) -> Micros {
        let is_settled = self.readers.iter().all(|reader| reader.out.settle());
        let now = self.clock.now();
        match state {
            State::Closed { next } | State::Open { next, .. } if *next > now => next.since(now),
            State::Connected { session, .. } if session.next > now => session.next.since(now),
            _ if !is_settled || self.readers.iter().any(|reader| reader.view.is_owed()) => FULL,
            _ => LOOK,
        }
    }
}

fn send(socket: &Seqpacket, reply: Reply<'_>) -> io::Result<()> {
    let (bytes, length) = reply.bytes();
    socket.send(&bytes[..length])
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::decode::FrameViewSpec;
    use crate::decode::frames_testing::{frame, hello, paint, sealed};
    use crate::ffi::seqpacket_client::connect;
    use crate::media::Orientation;
    use crate::ring::{Bell, Receiver as Ring, channel};

    /// A served socket with one layer.
    struct Bench<'a> {
        path: &'a Path,
        told: mpsc::Receiver<FrameChange>,
        pictures: Ring<PictureEvent>,
    }

    impl Bench<'_> {
        fn connect(&self) -> Seqpacket {
            loop {
                if let Ok(socket) = connect(self.path) {
                    return socket;
                }
                std::thread::yield_now();
            }
        }

        /// A client that has said hello, and its memory.
        fn greeted(&self) -> (Seqpacket, std::fs::File) {
            let (client, memory) = (self.connect(), sealed(2 * 4_096));
            client.send_with(&hello([32, 32], 2, 2), &[memory.as_fd()]);
            assert_eq!(next(&client)[0], 0x81);
            assert!(matches!(self.told.recv().unwrap(), FrameChange::Connected(_)));
            (client, memory)
        }

        /// The next event of the layer: whether it is a picture.
        fn is_picture(&mut self) -> bool {
            loop {
                match self.pictures.pop() {
                    Some(PictureEvent::Picture { .. }) => return true,
                    Some(_) => return false,
                    None => std::thread::yield_now(),
                }
            }
        }

        fn lost(&self) -> String {
            match self.told.recv().unwrap() {
                FrameChange::Lost(reason) => reason,
                FrameChange::Connected(hello) => panic!("{hello}"),
            }
        }
    }

    /// The next message of the node, as bytes.
    fn next(client: &Seqpacket) -> Vec<u8> {
        let mut buffer = [0; 256];
        loop {
            wait_readable(&[client.as_fd()], Duration::from_secs(60));
            if let Some(received) = client.receive(&mut buffer).unwrap() {
                return buffer[..received.bytes].to_vec();
            }
        }
    }

    fn served(run: impl FnOnce(Bench<'_>)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let (tell, told) = mpsc::sync_channel(16);
        let (ring, pictures) = channel(16, Bell::new());
        let spec = FrameViewSpec {
            orientation: Orientation::UPRIGHT,
            scale: Box::new(|size| size),
            further: Vec::new(),
        };
        let (view, out) = (FrameView::new(spec), DecodeOut::new([ring], Vec::new()));
        let mut reader = Some(FrameReader::new(view, out, move |it| drop(tell.send(it))));
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                serve_frames(&path, Clock::start(), |readers| {
                    readers.extend(reader.take());
                    !is_over.load(Ordering::Relaxed)
                });
            });
            let done = crate::media::caught(|| run(Bench { path: &path, told, pictures }));
            is_over.store(true, Ordering::Relaxed);
            done.unwrap();
        });
        assert!(!path.exists(), "the socket is gone");
    }

    #[test]
    fn pictures_are_shown_and_slots_given_back_until_the_program_leaves_and_again_after_it() {
        served(|mut bench| {
            for _ in 0..2 {
                let (client, memory) = bench.greeted();
                paint(&memory, 4_096, [255; 4], 32 * 32);
                for slot in [1, 0] {
                    client.send(&frame(slot, &[])).unwrap();
                    assert_eq!(
                        next(&client),
                        [0x82, 0, 0, 0, u8::try_from(slot).unwrap(), 0, 0, 0]
                    );
                    assert!(bench.is_picture());
                }
                drop(client);
                assert_eq!(bench.lost(), "the program has left");
                assert!(!bench.is_picture(), "its slate is shown");
            }
        });
    }

    #[test]
    fn a_program_that_lies_is_told_why_it_is_let_go() {
        served(|mut bench| {
            let (client, _memory) = bench.greeted();
            client.send(&frame(7, &[])).unwrap();
            let refused = next(&client);
            assert_eq!((refused[0], refused.len()), (0x83, 256));
            assert!(String::from_utf8_lossy(&refused).contains("`slot` of a frame is 7"));
            assert!(next(&client).is_empty(), "the connection has ended");
            assert!(bench.lost().contains("`slot`"));
            assert!(!bench.is_picture());
            let late = bench.connect();
            late.send(&[9; CLIENT_MESSAGE_BYTES_MAX + 1]).unwrap();
            assert!(String::from_utf8_lossy(&next(&late)).contains("longer than any"));
        });
    }

    #[test]
    fn a_second_program_is_refused_while_one_is_connected() {
        served(|mut bench| {
            let (first, _memory) = bench.greeted();
            let second = bench.connect();
            assert!(String::from_utf8_lossy(&next(&second)).contains("another program"));
            first.send(&frame(0, &[])).unwrap();
            assert!(bench.is_picture(), "the first goes on");
        });
    }

    #[test]
    fn a_program_that_reads_nothing_is_let_go() {
        served(|mut bench| {
            let (client, _memory) = bench.greeted();
            // The node's answers fill the connection; what it does not take comes to an end too.
            let lost = loop {
                if let Ok(change) = bench.told.try_recv() {
                    break change;
                }
                drop(client.send(&frame(0, &[])));
                drop(bench.pictures.pop());
                std::thread::yield_now();
            };
            assert_eq!(lost, FrameChange::Lost("it does not read what it is told".to_owned()));
        });
    }
}
