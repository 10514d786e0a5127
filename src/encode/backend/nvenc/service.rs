//! Service of one session: pictures into its buffers, packets out of them, and their times.

use std::collections::VecDeque;

use super::codecs;
use super::session::{BUSY_PAUSE, BUSY_TRIES_MAX, Session, Submitted};
use super::status::{Failure, Stage};
use crate::encode::backend::watched::{self, Emit};
use crate::encode::{Error, VideoPacket, VideoSpec};
use crate::ffi::nvenc::NV_ENC_ERR_ENCODER_BUSY;
use crate::frame::{FrozenFrame, PacketPool};
use crate::media::VideoCodec;

/// Slots beside those for pictures that wait for the next anchor: the anchor, and one more.
const SLOTS_SPARE: usize = 2;

/// Buffers of a session: also the most packets that one picture may bring out.
pub(super) fn slots(spec: &VideoSpec) -> usize {
    usize::from(spec.b_frames) + SLOTS_SPARE
}

/// A session with the pictures that are inside.
pub(super) struct Service {
    session: Session,
    codec: VideoCodec,
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
    pub(super) fn new(session: Session, spec: &VideoSpec, pool: PacketPool) -> Self {
        let slots = slots(spec);
        Self {
            session,
            codec: spec.codec,
            pool,
            slots,
            next: 0,
            waiting: VecDeque::with_capacity(slots),
            times: VecDeque::with_capacity(slots + 1),
            reorders: spec.b_frames > 0,
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

    fn take_all(&mut self, emit: Emit<'_>) -> Result<(), Failure> {
        while let Some(slot) = self.waiting.pop_front() {
            let (times, pool, codec) = (&mut self.times, &self.pool, self.codec);
            let packet = self.session.take(slot, |coded| {
                let dts = times.pop_front().unwrap_or(coded.pts);
                let body = codecs::packet(codec, pool, coded.bytes);
                VideoPacket { body, pts: coded.pts, dts, key: coded.key }
            })?;
            emit(packet);
        }
        Ok(())
    }
}

impl watched::Session for Service {
    fn picture(
        &mut self,
        frame: FrozenFrame,
        pts: i64,
        force_key: bool,
        emit: Emit<'_>,
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
            Submitted::Ready => self.take_all(emit).map_err(while_encoding),
            Submitted::Pending | Submitted::Busy => Ok(()),
        }
    }

    fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<(), Error> {
        let changed = self.session.change_rate(bitrate_bps);
        changed.map_err(|failure| failure.error(Stage::Changing))
    }

    fn flush(&mut self, emit: Emit<'_>) -> Result<(), Error> {
        let finished = self.session.finish();
        finished.and_then(|()| self.take_all(emit)).map_err(while_encoding)
    }
}

fn while_encoding(failure: Failure) -> Error {
    failure.error(Stage::Encoding)
}
