//! Parameters of libx264 for a task: the same that libavcodec makes of the same settings.

use std::ffi::{CStr, CString, c_int};
use std::mem::MaybeUninit;

use crate::encode::backend::options::{ZERO_LATENCY, buffer_bits};
use crate::encode::{Error, VideoSpec};
use crate::ffi::x264 as ffi;
use crate::media::{FrameRate, PixelFormat};

/// BT.709 in the words of H.264, table E-3 to E-5.
const BT709: c_int = 1;

/// x264's parameters.
pub(super) type Params = ffi::x264_param_t;

/// What `preset` and `tune` stand for; an empty `tune` stands for none.
pub(super) fn of_preset(preset: &str, tune: &str) -> Result<Box<Params>, Error> {
    let c_string = |text: &str| {
        CString::new(text).map_err(|_| Error::Config("a setting contains a zero byte".to_owned()))
    };
    let (name, tuning) = (c_string(preset)?, c_string(tune)?);
    let tuning = if tune.is_empty() { std::ptr::null() } else { tuning.as_ptr() };
    let mut params = Box::new(MaybeUninit::<Params>::zeroed());
    // SAFETY: the function fills in all of the struct; both names are C strings or null.
    let code =
        unsafe { ffi::x264_param_default_preset(params.as_mut_ptr(), name.as_ptr(), tuning) };
    if code < 0 {
        let text = format!("libx264 does not know preset = \"{preset}\" with tune = \"{tune}\"");
        return Err(Error::Config(text));
    }
    // SAFETY: filled in by the call; the struct is made of numbers and nullable pointers.
    Ok(unsafe { params.assume_init() })
}

/// The parameters for `spec`, whose words have been checked.
pub(super) fn of_spec(spec: &VideoSpec, bitrate: c_int) -> Result<Box<Params>, Error> {
    let mut params = of_preset(&spec.preset, &spec.tune)?;
    params.pf_log = Some(ffi::log);
    params.i_log_level = ffi::X264_LOG_WARNING.cast_signed();
    params.i_csp = csp(spec.format);
    params.i_width = spec.size.width().cast_signed();
    params.i_height = spec.size.height().cast_signed();
    params.vui.i_sar_width = 1;
    params.vui.i_sar_height = 1;
    params.vui.b_fullrange = 0;
    params.vui.i_colmatrix = BT709;
    params.vui.i_colorprim = BT709;
    params.vui.i_transfer = BT709;
    params.vui.i_chroma_loc = 0; // left
    params.i_fps_num = spec.rate.num();
    params.i_fps_den = spec.rate.den();
    params.i_timebase_num = spec.rate.den();
    params.i_timebase_den = spec.rate.num();
    params.rc.i_rc_method = ffi::X264_RC_ABR.cast_signed();
    set_rate(&mut params, bitrate, spec.rate);
    params.rc.b_filler = 1;
    let gop = spec.gop_frames.cast_signed();
    params.i_keyint_max = gop;
    params.i_keyint_min = gop;
    params.i_scenecut_threshold = 0;
    params.b_open_gop = 0;
    params.i_bframe = spec.b_frames.into();
    params.i_threads = spec.threads.max(1).into();
    // Threads share out pictures, which delays them, or slices of one picture, which does not.
    params.b_sliced_threads = c_int::from(spec.tune == ZERO_LATENCY);
    params.i_slice_count = 0;
    params.b_repeat_headers = 0;
    params.b_annexb = 0;
    let profile: Option<&CStr> = match spec.profile.as_str() {
        "baseline" => Some(c"baseline"),
        "main" => Some(c"main"),
        "high" => Some(c"high"),
        _ => None,
    };
    if let Some(profile) = profile {
        // SAFETY: the parameters are filled in; the name is a C string.
        let code = unsafe { ffi::x264_param_apply_profile(&raw mut *params, profile.as_ptr()) };
        if code < 0 {
            let text = format!("profile = \"{}\": libx264 refuses it here", spec.profile);
            return Err(Error::Config(text));
        }
    }
    Ok(params)
}

/// A constant rate: average = highest, and the buffer that goes with it.
pub(super) fn set_rate(params: &mut Params, bps: c_int, rate: FrameRate) {
    params.rc.i_bitrate = bps / 1_000;
    params.rc.i_vbv_max_bitrate = bps / 1_000;
    params.rc.i_vbv_buffer_size = buffer_bits(bps.unsigned_abs(), rate).cast_signed() / 1_000;
}

/// x264's name for a format.
pub(super) const fn csp(format: PixelFormat) -> c_int {
    match format {
        PixelFormat::I420 => ffi::X264_CSP_I420.cast_signed(),
        PixelFormat::Nv12 => ffi::X264_CSP_NV12.cast_signed(),
    }
}
