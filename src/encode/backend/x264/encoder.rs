//! The encoder itself: an open libx264, what goes in and what comes out.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use super::ladder::Ladder;
use super::params::{self, Params};
use super::still::Still;
use crate::encode::backend::gaps::Gaps;
use crate::encode::backend::geometry::check_geometry;
use crate::encode::backend::options::{bitrate, check, header, longest_gap};
use crate::encode::{Error, Speed, VideoEncoder, VideoPacket, VideoSink, VideoSpec};
use crate::ffi::x264 as ffi;
use crate::frame::{FrozenFrame, Geometry, PacketPool};
use crate::media::FrameRate;

/// Opens libx264.
pub(in crate::encode) fn open(
    spec: &VideoSpec,
    pool: &PacketPool,
) -> Result<Box<dyn VideoEncoder>, Error> {
    Ok(Box::new(X264::open(spec, pool)?))
}

/// An open libx264, which is closed on drop.
pub(super) struct X264 {
    handle: NonNull<ffi::x264_t>,
    /// As x264 has them now, for the next change.
    params: Box<Params>,
    ladder: Ladder,
    /// The place in the ladder.
    step: usize,
    header: Vec<u8>,
    /// A unit that says what it was made with, which goes before the first picture.
    sei: Vec<u8>,
    /// What every picture must look like: x264 reads by these numbers, whatever it is handed.
    geometry: Geometry,
    /// What has not changed between two pictures; `None` if x264 is not told.
    still: Option<Still>,
    delay: u32,
    rate: FrameRate,
    gaps: Gaps,
    pool: PacketPool,
}

impl VideoEncoder for X264 {
    fn name(&self) -> &'static str {
        "x264"
    }

    fn header(&self) -> &[u8] {
        &self.header
    }

    fn delay_frames(&self) -> u32 {
        self.delay
    }

    fn encode(
        &mut self,
        frame: FrozenFrame,
        pts: i64,
        force_key: bool,
        sink: &mut dyn VideoSink,
    ) -> Result<(), Error> {
        check_geometry(&frame, &self.geometry)?;
        let mut picture = MaybeUninit::uninit();
        // SAFETY: fills in the struct.
        let mut picture: ffi::x264_picture_t = unsafe {
            ffi::x264_picture_init(picture.as_mut_ptr());
            picture.assume_init()
        };
        picture.i_pts = self.gaps.number(pts);
        let kind = if force_key { ffi::X264_TYPE_IDR } else { ffi::X264_TYPE_AUTO };
        picture.i_type = kind.cast_signed();
        picture.img.i_csp = params::csp(self.geometry.format());
        let planes = self.geometry.planes();
        picture.img.i_plane = c_int::try_from(planes.len()).unwrap_or(0);
        for (index, plane) in planes.iter().enumerate() {
            picture.img.plane[index] = frame.plane(index).as_ptr().cast_mut();
            picture.img.i_stride[index] = c_int::try_from(plane.stride).unwrap_or(c_int::MAX);
        }
        if let Some(still) = &mut self.still {
            picture.prop.mb_info = still.look(&frame).as_ptr().cast_mut();
        }
        // SAFETY: the planes are those of the frame, which lives until the call returns: their
        // sizes are those that x264 was opened for. It only reads them, and keeps a copy. What is
        // said of macroblocks it reads until the picture is encoded, which is one of those in hand.
        unsafe { self.advance(&raw mut picture, sink) }.map(drop)
    }

    fn flush(&mut self, sink: &mut dyn VideoSink) -> Result<(), Error> {
        // SAFETY: the encoder is open.
        while unsafe { ffi::x264_encoder_delayed_frames(self.handle.as_ptr()) } > 0 {
            // SAFETY: no picture says that none follows.
            unsafe { self.advance(std::ptr::null_mut(), sink) }?;
        }
        self.still.iter_mut().for_each(Still::end);
        Ok(())
    }

    fn forces_keyframes(&self) -> bool {
        true
    }

    fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<(), Error> {
        params::set_rate(&mut self.params, bitrate("libx264", bitrate_bps)?, self.rate);
        self.gaps.set_longest(longest_gap(bitrate_bps, self.rate));
        self.reconfigure()
    }

    fn speeds(&self) -> &[Speed] {
        self.ladder.speeds()
    }

    fn set_speed(&mut self, step: usize) -> Result<(), Error> {
        self.ladder.choose(step, &mut self.params)?;
        if step == self.step {
            return Ok(());
        }
        self.step = step;
        self.reconfigure()
    }
}

impl X264 {
    pub(super) fn open(spec: &VideoSpec, pool: &PacketPool) -> Result<Self, Error> {
        let mut params = params::of_spec(spec, check(spec)?)?;
        let ladder = Ladder::new(spec, &params)?;
        let is_told = spec.fastest_preset.is_some();
        params.analyse.b_mb_info = c_int::from(is_told);
        // SAFETY: the parameters are filled in, and copied.
        let handle = unsafe { ffi::x264_encoder_open(&raw mut *params) };
        let handle = NonNull::new(handle)
            .ok_or_else(|| Error::Config("libx264 does not open with these settings".to_owned()))?;
        // SAFETY: the encoder was just opened.
        let delay = unsafe { ffi::x264_encoder_maximum_delayed_frames(handle.as_ptr()) };
        let delay = delay.unsigned_abs();
        let geometry = Geometry::new(spec.size, spec.format);
        // Beside those that are delayed, each thread may work at one.
        let in_hand = delay as usize + usize::from(spec.threads.max(1)) + 1;
        let mut this = Self {
            handle,
            params,
            step: ladder.speeds().len().saturating_sub(1),
            ladder,
            header: Vec::new(),
            sei: Vec::new(),
            still: is_told.then(|| Still::new(&geometry, in_hand)),
            geometry,
            delay,
            rate: spec.rate,
            gaps: Gaps::new(longest_gap(spec.bitrate_bps, spec.rate)),
            pool: pool.clone(),
        };
        // x264 has put right what does not go together; it is changed from there.
        // SAFETY: the encoder is open, and writes all of the struct.
        unsafe { ffi::x264_encoder_parameters(this.handle.as_ptr(), &raw mut *this.params) };
        this.read_headers()?;
        Ok(this)
    }

    /// Parameter sets for the header, and what goes before the first picture.
    fn read_headers(&mut self) -> Result<(), Error> {
        let (mut nals, mut count) = (std::ptr::null_mut(), 0);
        // SAFETY: the encoder is open; both outputs are valid for writing.
        let bytes = unsafe {
            ffi::x264_encoder_headers(self.handle.as_ptr(), &raw mut nals, &raw mut count)
        };
        let none = || Error::Unavailable("libx264 gave no parameter sets".to_owned());
        if bytes <= 0 || nals.is_null() {
            return Err(none());
        }
        // SAFETY: x264 says that so many units are there, until the next call.
        let nals = unsafe { std::slice::from_raw_parts(nals, count.unsigned_abs() as usize) };
        let mut sets = Vec::new();
        for nal in nals {
            let length = nal.i_payload.unsigned_abs() as usize;
            // SAFETY: a unit's payload has that many bytes.
            let unit = unsafe { std::slice::from_raw_parts(nal.p_payload, length) };
            match nal.i_type.unsigned_abs() {
                ffi::NAL_SEI => self.sei.extend_from_slice(unit),
                _ => sets.extend_from_slice(unit),
            }
        }
        self.header = header(&sets).ok_or_else(none)?;
        Ok(())
    }

    /// Lets x264 take a picture, or know that none follows, and hands on what comes out.
    ///
    /// # Safety
    /// `picture` is null, or a picture whose planes are those that x264 was opened for and live
    /// until the call returns.
    unsafe fn advance(
        &mut self,
        picture: *mut ffi::x264_picture_t,
        sink: &mut dyn VideoSink,
    ) -> Result<(), Error> {
        let (mut nals, mut count) = (std::ptr::null_mut(), 0);
        // x264 leaves out what says nothing here.
        let mut coded = MaybeUninit::<ffi::x264_picture_t>::zeroed();
        // SAFETY: the encoder is open; the picture is as the caller promises; x264 writes the rest.
        let bytes = unsafe {
            ffi::x264_encoder_encode(
                self.handle.as_ptr(),
                &raw mut nals,
                &raw mut count,
                picture,
                coded.as_mut_ptr(),
            )
        };
        if bytes < 0 {
            return Err(Error::Device("libx264 cannot go on".to_owned()));
        }
        if bytes == 0 || nals.is_null() {
            return Ok(());
        }
        // SAFETY: the struct is made of numbers and nullable pointers, for which zeroes will do.
        // The payload of the first unit is followed by those of the others, `bytes` in all, until
        // the next call.
        let (coded, units) = unsafe {
            let length = bytes.unsigned_abs() as usize;
            (coded.assume_init(), std::slice::from_raw_parts((*nals).p_payload, length))
        };
        let mut body = self.pool.take(self.sei.len() + units.len());
        body.extend(&self.sei);
        body.extend(units);
        self.sei.clear();
        let (pts, dts) = self.gaps.ticks(coded.i_pts, coded.i_dts);
        sink.packet(VideoPacket { body, pts, dts, key: coded.b_keyframe != 0 });
        Ok(())
    }

    /// Hands the parameters over; they count from the next picture on.
    fn reconfigure(&mut self) -> Result<(), Error> {
        // SAFETY: the encoder is open; it copies what can be changed.
        let code =
            unsafe { ffi::x264_encoder_reconfig(self.handle.as_ptr(), &raw mut *self.params) };
        match code {
            0.. => Ok(()),
            _ => Err(Error::Device("libx264 does not take other parameters".to_owned())),
        }
    }
}

impl Drop for X264 {
    fn drop(&mut self) {
        // SAFETY: opened in `open`, closed here once.
        unsafe { ffi::x264_encoder_close(self.handle.as_ptr()) };
    }
}
