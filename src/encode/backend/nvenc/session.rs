//! One encoding session of the driver with its buffers. It is used by one thread alone.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::time::Duration;

use super::driver::{Context, Driver, call};
use super::settings::{self, Choice};
use super::status::Failure;
use crate::encode::VideoSpec;
use crate::ffi::nvenc::{
    GUID, NV_ENC_CAPS, NV_ENC_CAPS_PARAM, NV_ENC_CONFIG, NV_ENC_CREATE_BITSTREAM_BUFFER,
    NV_ENC_CREATE_INPUT_BUFFER, NV_ENC_DEVICE_TYPE_CUDA, NV_ENC_ERR_ENCODER_BUSY,
    NV_ENC_ERR_LOCK_BUSY, NV_ENC_ERR_NEED_MORE_INPUT, NV_ENC_ERR_UNIMPLEMENTED,
    NV_ENC_LOCK_BITSTREAM, NV_ENC_LOCK_INPUT_BUFFER, NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS,
    NV_ENC_PIC_FLAG_EOS, NV_ENC_PIC_FLAG_FORCEIDR, NV_ENC_PIC_PARAMS, NV_ENC_PIC_STRUCT_FRAME,
    NV_ENC_PIC_TYPE_IDR, NV_ENC_PRESET_CONFIG, NV_ENC_RECONFIGURE_PARAMS,
    NV_ENC_SEQUENCE_PARAM_PAYLOAD, NVENCSTATUS, SM_NVENC_API_VERSION, SM_NVENC_CAPS_VER,
    SM_NVENC_CONFIG_VER, SM_NVENC_CREATE_BITSTREAM_VER, SM_NVENC_CREATE_INPUT_VER,
    SM_NVENC_LOCK_BITSTREAM_VER, SM_NVENC_LOCK_INPUT_VER, SM_NVENC_OPEN_SESSION_VER,
    SM_NVENC_PICTURE_VER, SM_NVENC_PRESET_CONFIG_VER, SM_NVENC_RECONFIGURE_VER,
    SM_NVENC_SEQUENCE_VER,
};
use crate::frame::FrozenFrame;

/// Most bytes of a sequence header (`NV_MAX_SEQ_HDR_LEN`).
const HEADER_BYTES_MAX: usize = 512;

/// Pause before a driver that is busy is asked again, which its interface calls "a few
/// milliseconds".
pub(super) const BUSY_PAUSE: Duration = Duration::from_millis(2);

/// Times that a busy driver is asked again before it counts as failed: a tenth of a second.
pub(super) const BUSY_TRIES_MAX: u32 = 50;

/// Codecs that a list may name; drivers have three.
const CODECS_MAX: usize = 16;

/// A session; dropping it says the end of stream and gives everything back, in the driver's order.
pub(super) struct Session {
    driver: &'static Driver,
    encoder: NonNull<c_void>,
    config: Box<NV_ENC_CONFIG>,
    task: Option<(VideoSpec, Choice)>,
    slots: Vec<Slot>,
    has_encoded: bool,
    /// Goes last, and keeps the session on this thread.
    _context: Context,
}

/// A picture's way in and its way out; the input is not touched until the output was unlocked.
struct Slot {
    input: *mut c_void,
    output: *mut c_void,
}

/// An encoded picture in the driver's memory.
pub(super) struct Coded<'a> {
    /// Annex B, or OBUs.
    pub(super) bytes: &'a [u8],
    pub(super) pts: i64,
    pub(super) key: bool,
}

/// What an absent function answers.
const ABSENT: NVENCSTATUS = NV_ENC_ERR_UNIMPLEMENTED;

/// A struct of the interface with its version word, and nothing else said.
macro_rules! zeroed {
    ($type:ty, $version:expr) => {{
        // SAFETY: numbers and pointers, for which zeros and null are what the driver expects.
        let mut params: $type = unsafe { std::mem::zeroed() };
        params.version = $version;
        params
    }};
}

impl Session {
    /// Opens a session on the GPU that `context` is of.
    pub(super) fn open(driver: &'static Driver, context: Context) -> Result<Self, Failure> {
        let mut params = zeroed!(NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS, SM_NVENC_OPEN_SESSION_VER);
        params.deviceType = NV_ENC_DEVICE_TYPE_CUDA;
        params.device = context.device();
        params.apiVersion = SM_NVENC_API_VERSION;
        let mut encoder = std::ptr::null_mut();
        let status =
            call!(driver.api, nvEncOpenEncodeSessionEx, ABSENT, &raw mut params, &raw mut encoder);
        Failure::check("OpenEncodeSessionEx", status)?;
        let encoder =
            NonNull::new(encoder).ok_or(Failure { call: "OpenEncodeSessionEx", status: ABSENT })?;
        let config = Box::new(zeroed!(NV_ENC_CONFIG, SM_NVENC_CONFIG_VER));
        Ok(Self {
            driver,
            encoder,
            config,
            task: None,
            slots: Vec::new(),
            has_encoded: false,
            _context: context,
        })
    }

    fn raw(&self) -> *mut c_void {
        self.encoder.as_ptr()
    }

    /// Whether the GPU makes a codec.
    pub(super) fn makes(&self, codec: &GUID) -> Result<bool, Failure> {
        // SAFETY: numbers.
        let mut known: [GUID; CODECS_MAX] = unsafe { std::mem::zeroed() };
        let (mut count, room) = (0, u32::try_from(CODECS_MAX).unwrap_or(0));
        let (api, list) = (&self.driver.api, known.as_mut_ptr());
        let status =
            call!(api, nvEncGetEncodeGUIDs, ABSENT, self.raw(), list, room, &raw mut count);
        Failure::check("GetEncodeGUIDs", status)?;
        let parts = |guid: &GUID| (guid.Data1, guid.Data2, guid.Data3, guid.Data4);
        Ok(known[..CODECS_MAX.min(count as usize)].iter().any(|one| parts(one) == parts(codec)))
    }

    /// One of the GPU's abilities with a codec; 0 if it does not say.
    pub(super) fn ability(&self, codec: GUID, ability: NV_ENC_CAPS) -> i32 {
        let mut params = zeroed!(NV_ENC_CAPS_PARAM, SM_NVENC_CAPS_VER);
        params.capsToQuery = ability;
        let (api, mut value) = (&self.driver.api, 0);
        let answer = (&raw mut params, &raw mut value);
        let status = call!(api, nvEncGetEncodeCaps, ABSENT, self.raw(), codec, answer.0, answer.1);
        if Failure::check("GetEncodeCaps", status).is_ok() { value } else { 0 }
    }

    /// Sets the session up for a task, with as many buffers as pictures may be inside.
    pub(super) fn start(
        &mut self,
        spec: &VideoSpec,
        choice: Choice,
        slots: usize,
    ) -> Result<(), Failure> {
        let mut preset = zeroed!(NV_ENC_PRESET_CONFIG, SM_NVENC_PRESET_CONFIG_VER);
        preset.presetCfg.version = SM_NVENC_CONFIG_VER;
        let (codec, guid) = (choice.codec, choice.preset_guid());
        let (api, tuning, to) = (&self.driver.api, choice.tuning, &raw mut preset);
        let status =
            call!(api, nvEncGetEncodePresetConfigEx, ABSENT, self.raw(), codec, guid, tuning, to);
        Failure::check("GetEncodePresetConfigEx", status)?;
        *self.config = preset.presetCfg;
        self.config.version = SM_NVENC_CONFIG_VER;
        settings::fill_in(&mut self.config, spec, &choice);
        let mut params = settings::initialize_params(spec, &choice, &mut self.config);
        let status = call!(api, nvEncInitializeEncoder, ABSENT, self.raw(), &raw mut params);
        Failure::check("InitializeEncoder", status)?;
        self.task = Some((spec.clone(), choice));
        (0..slots).try_for_each(|_| self.add_slot(spec, choice))
    }

    fn add_slot(&mut self, spec: &VideoSpec, choice: Choice) -> Result<(), Failure> {
        let api = &self.driver.api;
        let mut input = zeroed!(NV_ENC_CREATE_INPUT_BUFFER, SM_NVENC_CREATE_INPUT_VER);
        (input.width, input.height) = (spec.size.width(), spec.size.height());
        input.bufferFmt = choice.format;
        let status = call!(api, nvEncCreateInputBuffer, ABSENT, self.raw(), &raw mut input);
        Failure::check("CreateInputBuffer", status)?;
        // Known from here on, so that it is given back if there is no output for it.
        self.slots.push(Slot { input: input.inputBuffer, output: std::ptr::null_mut() });
        let mut output = zeroed!(NV_ENC_CREATE_BITSTREAM_BUFFER, SM_NVENC_CREATE_BITSTREAM_VER);
        let status = call!(api, nvEncCreateBitstreamBuffer, ABSENT, self.raw(), &raw mut output);
        Failure::check("CreateBitstreamBuffer", status)?;
        if let Some(slot) = self.slots.last_mut() {
            slot.output = output.bitstreamBuffer;
        }
        Ok(())
    }

    /// Parameter sets in Annex B, or AV1's sequence header.
    pub(super) fn headers(&self) -> Result<Vec<u8>, Failure> {
        let mut bytes = vec![0; HEADER_BYTES_MAX];
        let mut size = 0;
        let mut params = zeroed!(NV_ENC_SEQUENCE_PARAM_PAYLOAD, SM_NVENC_SEQUENCE_VER);
        params.inBufferSize = u32::try_from(bytes.len()).unwrap_or(0);
        params.spsppsBuffer = bytes.as_mut_ptr().cast();
        params.outSPSPPSPayloadSize = &raw mut size;
        let api = &self.driver.api;
        let status = call!(api, nvEncGetSequenceParams, ABSENT, self.raw(), &raw mut params);
        Failure::check("GetSequenceParams", status)?;
        bytes.truncate(size as usize);
        Ok(bytes)
    }

    /// Writes a picture into the input of a slot: the one copy that is made of it.
    pub(super) fn write(&self, slot: usize, frame: &FrozenFrame) -> Result<(), Failure> {
        let api = &self.driver.api;
        let mut lock = zeroed!(NV_ENC_LOCK_INPUT_BUFFER, SM_NVENC_LOCK_INPUT_VER);
        lock.inputBuffer = self.slots[slot].input;
        let status = call!(api, nvEncLockInputBuffer, ABSENT, self.raw(), &raw mut lock);
        Failure::check("LockInputBuffer", status)?;
        // SAFETY: the driver gives the memory of a whole picture of the size and format that the
        // buffer was created for, with rows `pitch` apart, until it is unlocked.
        unsafe { copy(frame, lock.bufferDataPtr.cast(), lock.pitch as usize) };
        let status = call!(api, nvEncUnlockInputBuffer, ABSENT, self.raw(), lock.inputBuffer);
        Failure::check("UnlockInputBuffer", status)
    }

    /// Starts to encode what the slot holds. Whether outputs can be taken now: those of all slots
    /// that were submitted, in that order.
    ///
    /// The driver may be busy, which is no failure: it is to be asked again ([`Submitted::Busy`]).
    pub(super) fn submit(
        &mut self,
        slot: usize,
        pts: i64,
        force_key: bool,
    ) -> Result<Submitted, Failure> {
        let Some((spec, choice)) = &self.task else {
            return Err(Failure { call: "EncodePicture", status: ABSENT });
        };
        let mut params = zeroed!(NV_ENC_PIC_PARAMS, SM_NVENC_PICTURE_VER);
        (params.inputWidth, params.inputHeight) = (spec.size.width(), spec.size.height());
        params.inputPitch = params.inputWidth;
        params.inputBuffer = self.slots[slot].input;
        params.outputBitstream = self.slots[slot].output;
        params.bufferFmt = choice.format;
        params.pictureStruct = NV_ENC_PIC_STRUCT_FRAME;
        params.inputTimeStamp = pts.cast_unsigned();
        params.encodePicFlags = if force_key { NV_ENC_PIC_FLAG_FORCEIDR } else { 0 };
        let api = &self.driver.api;
        match call!(api, nvEncEncodePicture, ABSENT, self.raw(), &raw mut params) {
            NV_ENC_ERR_NEED_MORE_INPUT => {
                self.has_encoded = true;
                Ok(Submitted::Pending)
            }
            NV_ENC_ERR_ENCODER_BUSY => Ok(Submitted::Busy),
            status => {
                Failure::check("EncodePicture", status)?;
                self.has_encoded = true;
                Ok(Submitted::Ready)
            }
        }
    }

    /// Waits for the picture of a slot, and hands it to `take` while it is locked.
    pub(super) fn take<T>(
        &self,
        slot: usize,
        take: impl FnOnce(Coded<'_>) -> T,
    ) -> Result<T, Failure> {
        let api = &self.driver.api;
        let mut lock = zeroed!(NV_ENC_LOCK_BITSTREAM, SM_NVENC_LOCK_BITSTREAM_VER);
        lock.outputBitstream = self.slots[slot].output;
        let mut tries = 0;
        // A driver that does not wait although it is asked to is asked again.
        let status = loop {
            let status = call!(api, nvEncLockBitstream, ABSENT, self.raw(), &raw mut lock);
            if status != NV_ENC_ERR_LOCK_BUSY || tries == BUSY_TRIES_MAX {
                break status;
            }
            tries += 1;
            std::thread::park_timeout(BUSY_PAUSE);
        };
        Failure::check("LockBitstream", status)?;
        let size = lock.bitstreamSizeInBytes as usize;
        let bytes = if lock.bitstreamBufferPtr.is_null() {
            &[][..]
        } else {
            // SAFETY: the driver gives that many bytes there until they are unlocked below.
            unsafe { std::slice::from_raw_parts(lock.bitstreamBufferPtr.cast::<u8>(), size) }
        };
        let key = lock.pictureType == NV_ENC_PIC_TYPE_IDR;
        let taken = take(Coded { bytes, pts: lock.outputTimeStamp.cast_signed(), key });
        let status = call!(api, nvEncUnlockBitstream, ABSENT, self.raw(), lock.outputBitstream);
        Failure::check("UnlockBitstream", status)?;
        Ok(taken)
    }

    /// Changes the bitrate from the next picture on, which becomes no keyframe by it.
    pub(super) fn change_rate(&mut self, bitrate_bps: u32) -> Result<(), Failure> {
        let Some((spec, choice)) = &self.task else {
            return Err(Failure { call: "ReconfigureEncoder", status: ABSENT });
        };
        settings::set_rate(&mut self.config, spec, bitrate_bps);
        let mut params = zeroed!(NV_ENC_RECONFIGURE_PARAMS, SM_NVENC_RECONFIGURE_VER);
        // All of it: what is left out goes back to the preset's.
        params.reInitEncodeParams = settings::initialize_params(spec, choice, &mut self.config);
        params.set_resetEncoder(0);
        params.set_forceIDR(0);
        let api = &self.driver.api;
        let status = call!(api, nvEncReconfigureEncoder, ABSENT, self.raw(), &raw mut params);
        Failure::check("ReconfigureEncoder", status)
    }

    /// Says that no picture follows: all that were submitted can be taken.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        if !std::mem::take(&mut self.has_encoded) {
            return Ok(());
        }
        let mut params = zeroed!(NV_ENC_PIC_PARAMS, SM_NVENC_PICTURE_VER);
        params.encodePicFlags = NV_ENC_PIC_FLAG_EOS;
        let api = &self.driver.api;
        let status = call!(api, nvEncEncodePicture, ABSENT, self.raw(), &raw mut params);
        Failure::check("EncodePicture (end)", status)
    }
}

/// What became of a picture that was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Submitted {
    /// It and all before it can be taken.
    Ready,
    /// The driver keeps it until another comes.
    Pending,
    /// The driver did not take it.
    Busy,
}

impl Drop for Session {
    fn drop(&mut self) {
        // What fails here fails because the device is gone, and then nothing is left to give back.
        let _finished = self.finish();
        let api = &self.driver.api;
        for slot in &self.slots {
            call!(api, nvEncDestroyInputBuffer, ABSENT, self.raw(), slot.input);
            if !slot.output.is_null() {
                call!(api, nvEncDestroyBitstreamBuffer, ABSENT, self.raw(), slot.output);
            }
        }
        call!(api, nvEncDestroyEncoder, ABSENT, self.raw());
    }
}

/// Copies the planes of a picture, one behind the other, as the driver lays them out: rows of luma,
/// and of NV12's chroma, `pitch` bytes apart, those of I420's chroma half of that.
///
/// # Safety
/// `to` must have room for a picture of the frame's size and format with that pitch, which must be
/// at least its width.
unsafe fn copy(frame: &FrozenFrame, to: *mut u8, pitch: usize) {
    let geometry = frame.geometry();
    let mut at = to;
    for (index, plane) in geometry.planes().iter().enumerate() {
        let is_half = index > 0 && geometry.planes().len() == 3;
        let pitch = if is_half { pitch / 2 } else { pitch };
        for row in frame.plane(index).chunks_exact(plane.stride).take(plane.rows) {
            // SAFETY: by the caller, `rows` rows of this plane lie `pitch` apart from `at` on, each
            // with room for `width` bytes; a frame's row has as many, and is elsewhere.
            unsafe {
                std::ptr::copy_nonoverlapping(row.as_ptr(), at, plane.width);
                at = at.add(pitch);
            }
        }
    }
}
