//! Watchdog around a driver: an encoder that lives on a thread of its own.
//!
//! Any call of a driver may never return once its GPU is gone. Whoever waits gives up after a while
//! and leaves the thread alone, with everything that it touches.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::geometry::check_geometry;
use crate::encode::{Error, Speed, VideoEncoder, VideoPacket, VideoSink, VideoSpec};
use crate::frame::{FrozenFrame, Geometry};

/// Longest time for a picture. An encoder takes 1 to 20 ms; after this the GPU counts as gone,
/// while the composer's queue still holds what came meanwhile. Fake drivers encode on the CPU,
/// which unit tests share: there only a call that hangs takes ten times as long.
const PICTURE_LIMIT: Duration = Duration::from_millis(if cfg!(test) { 4_000 } else { 400 });

/// Longest time to close a session.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Takes the packets of a session.
pub(super) type Emit<'a> = &'a mut dyn FnMut(VideoPacket);

/// An encoding session of a driver. It is made, used and dropped on one thread.
pub(super) trait Session {
    /// Encodes the picture of tick `pts`, and emits what is ready.
    ///
    /// # Errors
    /// As [`VideoEncoder::encode`].
    fn picture(
        &mut self,
        frame: FrozenFrame,
        pts: i64,
        force_key: bool,
        emit: Emit<'_>,
    ) -> Result<(), Error>;

    /// Changes the bitrate, bits per second.
    ///
    /// # Errors
    /// As [`VideoEncoder::set_bitrate`].
    fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<(), Error>;

    /// Emits what is held.
    ///
    /// # Errors
    /// As [`VideoEncoder::flush`].
    fn flush(&mut self, emit: Emit<'_>) -> Result<(), Error>;
}

/// What is known of a driver before it is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Name of the encoder, and of its thread.
    pub(super) name: &'static str,
    /// Longest time to open a session.
    pub(super) open_limit: Duration,
    /// What to do when it does not answer.
    pub(super) remedy: &'static str,
    /// Packets that one picture may bring out, at most.
    pub(super) packets_max: usize,
    /// Pictures that go in before the first comes out.
    pub(super) delay_frames: u32,
}

/// What an encoder must know of its session.
pub(super) struct Opened {
    /// The codec's configuration record.
    pub(super) header: Vec<u8>,
    /// Why the bitrate cannot be changed, if so.
    pub(super) fixed_rate: Option<&'static str>,
}

/// What the thread is asked for.
enum Job {
    Picture { frame: FrozenFrame, pts: i64, force_key: bool },
    Rate(u32),
    Flush,
}

/// What it answers: any number of packets, then `Done`; once in the beginning `Opened` or `Done`.
enum Reply {
    Opened(Opened),
    Packet(VideoPacket),
    Done(Result<(), Error>),
}

/// An encoder whose session is on a thread of its own.
pub(super) struct Watched {
    terms: Terms,
    /// Gone once the driver has failed.
    jobs: Option<SyncSender<Job>>,
    replies: Receiver<Reply>,
    thread: Option<JoinHandle<()>>,
    opened: Opened,
    geometry: Geometry,
}

impl Watched {
    /// Starts the thread, which opens the session.
    ///
    /// # Errors
    /// Those of `open`, or [`Error::Unavailable`] if it takes too long.
    pub(super) fn open<S: Session>(
        terms: Terms,
        spec: &VideoSpec,
        open: impl FnOnce() -> Result<(S, Opened), Error> + Send + 'static,
    ) -> Result<Self, Error> {
        let name = terms.name;
        let (jobs, to_do) = sync_channel(1);
        let (to_tell, replies) = sync_channel(terms.packets_max + 1);
        let thread = Builder::new()
            .name(name.to_owned())
            .spawn(move || run(open, &to_do, &to_tell))
            .map_err(|error| Error::Unavailable(format!("no thread for {name}: {error}")))?;
        let opened = match replies.recv_timeout(terms.open_limit) {
            Ok(Reply::Opened(opened)) => opened,
            Ok(Reply::Done(Err(error))) => return Err(error),
            Ok(Reply::Done(Ok(())) | Reply::Packet(_)) | Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::Unavailable(format!("the thread of {name} has ended")));
            }
            Err(RecvTimeoutError::Timeout) => {
                let limit = terms.open_limit.as_secs();
                let text = format!("the driver has opened no session within {limit} s");
                return Err(Error::Unavailable(text));
            }
        };
        let geometry = Geometry::new(spec.size, spec.format);
        Ok(Self { terms, jobs: Some(jobs), replies, thread: Some(thread), opened, geometry })
    }

    /// Has a job done, and hands over the packets that come of it.
    fn ask(&mut self, job: Job, sink: Option<&mut dyn VideoSink>) -> Result<(), Error> {
        let done = self.wait_for(job, sink);
        if matches!(done, Err(Error::Device(_))) {
            self.abandon();
        }
        done
    }

    fn wait_for(&self, job: Job, mut sink: Option<&mut dyn VideoSink>) -> Result<(), Error> {
        let name = self.terms.name;
        let gone = || Error::Device(format!("{name} has failed before"));
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.try_send(job).map_err(|_| gone())?;
        loop {
            match self.replies.recv_timeout(PICTURE_LIMIT) {
                Ok(Reply::Packet(packet)) => {
                    if let Some(sink) = &mut sink {
                        sink.packet(packet);
                    }
                }
                Ok(Reply::Done(done)) => return done,
                Ok(Reply::Opened(_)) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::Device(format!("the thread of {name} has ended")));
                }
                Err(RecvTimeoutError::Timeout) => {
                    let (limit, remedy) = (PICTURE_LIMIT.as_millis(), self.terms.remedy);
                    let text = format!("the driver has not answered within {limit} ms: {remedy}");
                    return Err(Error::Device(text));
                }
            }
        }
    }

    /// Leaves the thread alone: it ends once the driver lets it, and closes the session then.
    fn abandon(&mut self) {
        self.jobs = None;
        self.thread = None;
    }
}

impl VideoEncoder for Watched {
    fn name(&self) -> &'static str {
        self.terms.name
    }

    fn header(&self) -> &[u8] {
        &self.opened.header
    }

    fn delay_frames(&self) -> u32 {
        self.terms.delay_frames
    }

    fn encode(
        &mut self,
        frame: FrozenFrame,
        pts: i64,
        force_key: bool,
        sink: &mut dyn VideoSink,
    ) -> Result<(), Error> {
        check_geometry(&frame, &self.geometry)?;
        self.ask(Job::Picture { frame, pts, force_key }, Some(sink))
    }

    fn flush(&mut self, sink: &mut dyn VideoSink) -> Result<(), Error> {
        self.ask(Job::Flush, Some(sink))
    }

    fn forces_keyframes(&self) -> bool {
        true
    }

    fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<(), Error> {
        match self.opened.fixed_rate {
            Some(why) => Err(Error::Config(why.to_owned())),
            None => self.ask(Job::Rate(bitrate_bps), None),
        }
    }

    fn speeds(&self) -> &[Speed] {
        &[]
    }

    fn set_speed(&mut self, _step: usize) -> Result<(), Error> {
        let name = self.terms.name;
        Err(Error::Config(format!("{name} does not change its preset while it runs")))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.jobs = None;
        let Some(thread) = self.thread.take() else { return };
        loop {
            match self.replies.recv_timeout(CLOSE_LIMIT) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    tracing::warn!(
                        "the driver does not close an encoding session: it is left open"
                    );
                    return;
                }
            }
        }
        if thread.join().is_err() {
            tracing::warn!("the thread of {} has panicked", self.terms.name);
        }
    }
}

/// Opens a session and serves it until nobody asks any more. The session is gone before `replies`
/// is: who waits for the thread's end hears of it there.
fn run<S: Session>(
    open: impl FnOnce() -> Result<(S, Opened), Error>,
    jobs: &Receiver<Job>,
    replies: &SyncSender<Reply>,
) {
    match open() {
        Err(error) => drop(replies.send(Reply::Done(Err(error)))),
        Ok((session, opened)) => {
            if replies.send(Reply::Opened(opened)).is_ok() {
                serve(session, jobs, replies);
            }
        }
    }
}

fn serve(mut session: impl Session, jobs: &Receiver<Job>, replies: &SyncSender<Reply>) {
    // Where nobody waits any more, the session ends with the jobs.
    let emit = &mut |packet| drop(replies.send(Reply::Packet(packet)));
    while let Ok(job) = jobs.recv() {
        let done = match job {
            Job::Picture { frame, pts, force_key } => session.picture(frame, pts, force_key, emit),
            Job::Rate(bitrate_bps) => session.set_bitrate(bitrate_bps),
            Job::Flush => session.flush(emit),
        };
        if replies.send(Reply::Done(done)).is_err() {
            return;
        }
    }
}
