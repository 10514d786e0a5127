//! NVENC as an encoder of the trait: it hands pictures to the thread that calls the driver, and
//! waits for their packets no longer than a while.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::driver::Driver;
use super::open::Opened;
use super::thread::{Job, Reply, replies_max, run};
use crate::encode::{Error, Speed, VideoEncoder, VideoSink, VideoSpec};
use crate::frame::{FrozenFrame, Geometry, PacketPool};

/// Longest time for a picture. An encoder takes 1 to 20 ms; after this the GPU counts as gone,
/// while the composer's queue still holds what came meanwhile.
const PICTURE_LIMIT: Duration = Duration::from_millis(400);

/// Longest time to open a session: the first one of a process sets the GPU up, which takes up to a
/// second.
const OPEN_LIMIT: Duration = Duration::from_secs(5);

/// Longest time to close one.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The name in logs, metrics and configurations.
pub(in crate::encode) const NAME: &str = "nvenc";

/// An encoder on a GPU.
pub(super) struct Nvenc {
    /// Gone once the driver has failed.
    jobs: Option<SyncSender<Job>>,
    replies: Receiver<Reply>,
    thread: Option<JoinHandle<()>>,
    opened: Opened,
    geometry: Geometry,
    b_frames: u32,
}

impl Nvenc {
    pub(super) fn open(
        driver: &'static Driver,
        spec: &VideoSpec,
        pool: &PacketPool,
    ) -> Result<Self, Error> {
        let (jobs, to_do) = sync_channel(1);
        let (to_tell, replies) = sync_channel(replies_max(spec));
        let (task, packets) = (spec.clone(), pool.clone());
        let thread = Builder::new()
            .name("nvenc".to_owned())
            .spawn(move || run(driver, &task, packets, &to_do, &to_tell))
            .map_err(|error| Error::Unavailable(format!("no thread for NVENC: {error}")))?;
        let opened = match replies.recv_timeout(OPEN_LIMIT) {
            Ok(Reply::Opened(opened)) => opened,
            Ok(Reply::Done(Err(error))) => return Err(error),
            Ok(Reply::Done(Ok(())) | Reply::Packet(_)) | Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::Unavailable("NVENC's thread has ended".to_owned()));
            }
            Err(RecvTimeoutError::Timeout) => {
                let limit = OPEN_LIMIT.as_secs();
                let text = format!("the driver has opened no session within {limit} s");
                return Err(Error::Unavailable(text));
            }
        };
        Ok(Self {
            jobs: Some(jobs),
            replies,
            thread: Some(thread),
            opened,
            geometry: Geometry::new(spec.size, spec.format),
            b_frames: spec.b_frames.into(),
        })
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
        let gone = || Error::Device("NVENC has failed before".to_owned());
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
                    return Err(Error::Device("NVENC's thread has ended".to_owned()));
                }
                Err(RecvTimeoutError::Timeout) => {
                    let limit = PICTURE_LIMIT.as_millis();
                    let text = format!(
                        "the driver has not answered within {limit} ms: look for \"Xid\" in the \
                         kernel's log"
                    );
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

impl VideoEncoder for Nvenc {
    fn name(&self) -> &'static str {
        NAME
    }

    fn header(&self) -> &[u8] {
        &self.opened.header
    }

    fn delay_frames(&self) -> u32 {
        self.b_frames
    }

    fn encode(
        &mut self,
        frame: FrozenFrame,
        pts: i64,
        force_key: bool,
        sink: &mut dyn VideoSink,
    ) -> Result<(), Error> {
        if *frame.geometry() != self.geometry {
            let text = "the picture is not of the size and format that NVENC was opened for";
            return Err(Error::Config(text.to_owned()));
        }
        self.ask(Job::Picture { frame, pts, force_key }, Some(sink))
    }

    fn flush(&mut self, sink: &mut dyn VideoSink) -> Result<(), Error> {
        self.ask(Job::Flush, Some(sink))
    }

    fn forces_keyframes(&self) -> bool {
        true
    }

    fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<(), Error> {
        if !self.opened.can_change_rate {
            let text = "this GPU does not change the bitrate of a running encoder";
            return Err(Error::Config(text.to_owned()));
        }
        self.ask(Job::Rate(bitrate_bps), None)
    }

    fn speeds(&self) -> &[Speed] {
        &[]
    }

    fn set_speed(&mut self, _step: usize) -> Result<(), Error> {
        Err(Error::Config("NVENC does not change its preset while it runs".to_owned()))
    }
}

impl Drop for Nvenc {
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
            tracing::warn!("NVENC's thread has panicked");
        }
    }
}
