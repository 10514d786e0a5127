//! Test double: an encoder that holds one picture back like the awkward real ones, writes down what
//! it was asked, and fails when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::encode::{Error, Speed, VideoEncoder, VideoPacket, VideoSink};
use crate::frame::{FrozenFrame, PacketPool};

/// What probes were asked, counted over all that share it.
#[derive(Debug, Default)]
pub struct ProbeLog {
    /// Pictures given.
    pub frames: AtomicU64,
    /// Pictures that had to be keyframes.
    pub forced: AtomicU64,
    /// Packets emitted.
    pub packets: AtomicU64,
}

/// An encoder without a codec: each packet is an IDR unit with the tick in it.
#[derive(Debug)]
pub struct Probe {
    pool: PacketPool,
    log: Arc<ProbeLog>,
    held: Option<(FrozenFrame, i64, bool)>,
    /// Fails with [`Error::Device`] at this picture.
    fail_at: Option<u64>,
    gop_frames: u64,
    /// Whether it holds a picture back.
    delays: bool,
}

impl Probe {
    /// A probe with a keyframe every `gop_frames`.
    #[must_use]
    pub fn new(pool: &PacketPool, log: &Arc<ProbeLog>, gop_frames: u64) -> Self {
        let (pool, log) = (pool.clone(), Arc::clone(log));
        Self { pool, log, held: None, fail_at: None, gop_frames: gop_frames.max(1), delays: true }
    }

    /// The same, failing at picture number `frame`.
    #[must_use]
    pub const fn failing_at(mut self, frame: u64) -> Self {
        self.fail_at = Some(frame);
        self
    }

    /// The same, with each packet as soon as its picture is there.
    #[must_use]
    pub const fn without_delay(mut self) -> Self {
        self.delays = false;
        self
    }

    fn emit(&mut self, sink: &mut dyn VideoSink) {
        let Some((frame, pts, key)) = self.held.take() else { return };
        drop(frame);
        let mut body = self.pool.take(13);
        body.extend(&[0, 0, 0, 9, if key { 0x65 } else { 0x41 }]);
        body.extend(&pts.to_be_bytes());
        self.log.packets.fetch_add(1, Ordering::Relaxed);
        sink.packet(VideoPacket { body, pts, dts: pts, key });
    }
}

impl VideoEncoder for Probe {
    fn name(&self) -> &'static str {
        "probe"
    }

    fn header(&self) -> &[u8] {
        &[1, 66, 0, 10, 0xff, 0xe1, 0, 4, 0x67, 66, 0, 10, 1, 0, 1, 0x68]
    }

    fn delay_frames(&self) -> u32 {
        self.delays.into()
    }

    fn encode(
        &mut self,
        frame: FrozenFrame,
        pts: i64,
        force_key: bool,
        sink: &mut dyn VideoSink,
    ) -> Result<(), Error> {
        let number = self.log.frames.fetch_add(1, Ordering::Relaxed);
        if self.fail_at == Some(number) {
            return Err(Error::Device("the probe was told to fail".to_owned()));
        }
        if force_key {
            self.log.forced.fetch_add(1, Ordering::Relaxed);
        }
        self.emit(sink);
        self.held = Some((frame, pts, force_key || number.is_multiple_of(self.gop_frames)));
        if !self.delays {
            self.emit(sink);
        }
        Ok(())
    }

    fn flush(&mut self, sink: &mut dyn VideoSink) -> Result<(), Error> {
        self.emit(sink);
        Ok(())
    }

    fn forces_keyframes(&self) -> bool {
        true
    }

    fn set_bitrate(&mut self, _bitrate_bps: u32) -> Result<(), Error> {
        Err(Error::Config("the probe has no bitrate".to_owned()))
    }

    fn speeds(&self) -> &[Speed] {
        &[]
    }

    fn set_speed(&mut self, _step: usize) -> Result<(), Error> {
        Err(Error::Config("the probe has no speeds".to_owned()))
    }
}
