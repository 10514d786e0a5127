//! The thread that calls the driver. All of a session is on it, because any call may never return
//! once the GPU is gone: whoever waits gives up after a while and leaves the thread alone, with
//! everything that it touches.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use super::driver::Driver;
use super::open::{Opened, open};
use super::session::{Coded, Session, Submitted};
use super::status::{Failure, Stage};
use crate::encode::{Error, VideoPacket, VideoSpec};
use crate::ffi::nvenc::NV_ENC_ERR_ENCODER_BUSY;
use crate::frame::{FrozenFrame, PacketBuf, PacketPool};
use crate::media::h264;

/// Pause before a driver that is busy is asked again, which its interface calls "a few
/// milliseconds".
const BUSY_PAUSE: Duration = Duration::from_millis(2);

/// Times that a busy driver is asked again before it counts as failed: a tenth of a second.
const BUSY_TRIES_MAX: u32 = 50;

/// Slots beside those for pictures that wait for the next anchor: the anchor, and one more.
const SLOTS_SPARE: usize = 2;

/// H.264's access unit delimiter, which means nothing in packets.
const DELIMITER: u8 = 9;

/// What the thread is asked for.
pub(super) enum Job {
    /// The picture of tick `pts`.
    Picture { frame: FrozenFrame, pts: i64, force_key: bool },
    /// Another bitrate, bits per second.
    Rate(u32),
    /// What is held.
    Flush,
}

/// What it answers: any number of packets, then `Done`; once in the beginning `Opened` or `Done`.
pub(super) enum Reply {
    Opened(Opened),
    Packet(VideoPacket),
    Done(Result<(), Error>),
}

/// Replies that a job may give.
pub(super) fn replies_max(spec: &VideoSpec) -> usize {
    slots(spec) + 1
}

fn slots(spec: &VideoSpec) -> usize {
    usize::from(spec.b_frames) + SLOTS_SPARE
}

/// Opens a session and serves it until nobody asks any more. The session is gone before `replies`
/// is: who waits for the thread's end hears of it there.
pub(super) fn run(
    driver: &'static Driver,
    spec: &VideoSpec,
    pool: PacketPool,
    jobs: &Receiver<Job>,
    replies: &SyncSender<Reply>,
) {
    match open(driver, spec, slots(spec)) {
        Err(error) => drop(replies.send(Reply::Done(Err(error)))),
        Ok((session, opened)) => {
            if replies.send(Reply::Opened(opened)).is_ok() {
                Service::new(session, spec, pool).run(jobs, replies);
            }
        }
    }
}

struct Service {
    session: Session,
    pool: PacketPool,
    slots: usize,
    /// The slot of the next picture.
    next: usize,
    /// Slots whose pictures have not been taken, oldest first.
    waiting: VecDeque<usize>,
    /// Decode times of the pictures to come.
    times: VecDeque<i64>,
    /// Whether pictures may come in another order than they went in.
    reorders: bool,
}

impl Service {
    fn new(session: Session, spec: &VideoSpec, pool: PacketPool) -> Self {
        let slots = slots(spec);
        Self {
            session,
            pool,
            slots,
            next: 0,
            waiting: VecDeque::with_capacity(slots),
            times: VecDeque::with_capacity(slots + 1),
            reorders: spec.b_frames > 0,
        }
    }

    fn run(mut self, jobs: &Receiver<Job>, replies: &SyncSender<Reply>) {
        while let Ok(job) = jobs.recv() {
            let done = match job {
                Job::Picture { frame, pts, force_key } => {
                    self.picture(frame, pts, force_key, replies)
                }
                Job::Rate(bitrate_bps) => {
                    let changed = self.session.change_rate(bitrate_bps);
                    changed.map_err(|failure| failure.error(Stage::Changing))
                }
                Job::Flush => {
                    let finished = self.session.finish();
                    finished.and_then(|()| self.take_all(replies)).map_err(while_encoding)
                }
            };
            if replies.send(Reply::Done(done)).is_err() {
                return;
            }
        }
    }

    fn picture(
        &mut self,
        frame: FrozenFrame,
        pts: i64,
        force_key: bool,
        replies: &SyncSender<Reply>,
    ) -> Result<(), Error> {
        if self.waiting.len() == self.slots {
            return Err(Error::Device("the driver keeps more pictures than it should".to_owned()));
        }
        let slot = self.next;
        self.session.write(slot, &frame).map_err(while_encoding)?;
        drop(frame);
        let submitted = self.submit(slot, pts, force_key).map_err(while_encoding)?;
        self.next = (slot + 1) % self.slots;
        self.waiting.push_back(slot);
        self.note_time(pts);
        match submitted {
            Submitted::Ready => self.take_all(replies).map_err(while_encoding),
            Submitted::Pending | Submitted::Busy => Ok(()),
        }
    }

    /// Submits until the driver is not busy any more.
    fn submit(&mut self, slot: usize, pts: i64, force_key: bool) -> Result<Submitted, Failure> {
        for _ in 0..=BUSY_TRIES_MAX {
            match self.session.submit(slot, pts, force_key)? {
                Submitted::Busy => std::thread::park_timeout(BUSY_PAUSE),
                taken => return Ok(taken),
            }
        }
        Err(Failure { call: "EncodePicture", status: NV_ENC_ERR_ENCODER_BUSY })
    }

    /// Decode times rise by the pictures as they go in. Where they are reordered, each is that of
    /// the picture before: B-pictures are no references here, so none is decoded more than one
    /// place early.
    fn note_time(&mut self, pts: i64) {
        if self.reorders && self.times.is_empty() && self.waiting.len() == 1 {
            self.times.push_back(pts - 1);
        }
        self.times.push_back(pts);
    }

    fn take_all(&mut self, replies: &SyncSender<Reply>) -> Result<(), Failure> {
        while let Some(slot) = self.waiting.pop_front() {
            let (times, pool) = (&mut self.times, &self.pool);
            let packet = self.session.take(slot, |coded| {
                let dts = times.pop_front().unwrap_or(coded.pts);
                packet(pool, &coded, dts)
            })?;
            // Nobody waits any more: the session ends with the jobs.
            drop(replies.send(Reply::Packet(packet)));
        }
        Ok(())
    }
}

fn while_encoding(failure: Failure) -> Error {
    failure.error(Stage::Encoding)
}

fn packet(pool: &PacketPool, coded: &Coded<'_>, dts: i64) -> VideoPacket {
    VideoPacket { body: with_lengths(pool, coded.bytes), pts: coded.pts, dts, key: coded.key }
}

/// Annex B as units with lengths, in a packet of the pool. Parameter sets are in the header.
fn with_lengths(pool: &PacketPool, annex_b: &[u8]) -> PacketBuf {
    let is_kept = |unit: &&[u8]| {
        let kind = unit.first().map(|first| first & 0x1f);
        kind.is_some_and(|kind| ![h264::nal::SPS, h264::nal::PPS, DELIMITER].contains(&kind))
    };
    let units = || h264::annex_b_units(annex_b).filter(is_kept);
    let mut body = pool.take(units().map(|unit| unit.len() + 4).sum());
    for unit in units() {
        body.extend(&u32::try_from(unit.len()).unwrap_or(u32::MAX).to_be_bytes());
        body.extend(unit);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PacketPoolSpec;

    #[test]
    fn packets_hold_units_with_lengths_and_no_parameter_sets() {
        let pool = PacketPool::new(PacketPoolSpec::default()).unwrap();
        let units: [&[u8]; 6] =
            [&[9, 0xf0], &[0x67, 1, 2], &[0x68, 3], &[6, 5, 4], &[0x65, 7, 8, 9], &[12, 0xff]];
        let mut annex_b = Vec::new();
        for (n, unit) in units.iter().enumerate() {
            annex_b.extend_from_slice(if n % 2 == 0 { &[0, 0, 0, 1] } else { &[0, 0, 1] });
            annex_b.extend_from_slice(unit);
        }
        let body = with_lengths(&pool, &annex_b);
        assert_eq!(h264::units(&body).collect::<Vec<_>>(), units[3..]);
        assert_eq!(body.len(), 3 + 4 + 2 + 3 * 4);
    }
}
