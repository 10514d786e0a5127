//! FFmpeg: the binding of whichever major is linked, its errors as text, its log in ours.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Once;

#[cfg(not(feature = "ffmpeg5"))]
pub use rsmpeg::ffi as sys;
#[cfg(feature = "ffmpeg5")]
pub use rsmpeg5::ffi as sys;

/// Longest line that FFmpeg may write into our log, bytes.
const LINE_BYTES_MAX: usize = 512;

/// FFmpeg's words for an error code.
#[must_use]
pub fn error_text(code: c_int) -> String {
    let mut text: [c_char; 128] = [0; 128];
    // SAFETY: the buffer is as long as we say, and the function always ends it with a zero.
    unsafe {
        sys::av_strerror(code, text.as_mut_ptr(), text.len());
        CStr::from_ptr(text.as_ptr()).to_string_lossy().into_owned()
    }
}

/// Sends FFmpeg's warnings and errors to `tracing` from now on; call as often as you like.
pub fn init_log() {
    static ONCE: Once = Once::new();
    // SAFETY: the callback fits the type FFmpeg expects and lives as long as the program.
    ONCE.call_once(|| unsafe {
        sys::av_log_set_level(sys::AV_LOG_WARNING.cast_signed());
        sys::av_log_set_callback(Some(log));
    });
}

unsafe extern "C" fn log(
    source: *mut c_void,
    level: c_int,
    format: *const c_char,
    arguments: *mut sys::__va_list_tag,
) {
    if level > sys::AV_LOG_WARNING.cast_signed() {
        return;
    }
    let mut line: [c_char; LINE_BYTES_MAX] = [0; LINE_BYTES_MAX];
    let mut prefix: c_int = 1;
    // SAFETY: FFmpeg hands its own arguments through; the line is as long as we say and is ended
    // with a zero even if it is cut.
    let text = unsafe {
        sys::av_log_format_line2(
            source,
            level,
            format,
            arguments,
            line.as_mut_ptr(),
            LINE_BYTES_MAX as c_int,
            &raw mut prefix,
        );
        CStr::from_ptr(line.as_ptr()).to_string_lossy()
    };
    let text = text.trim_end();
    if level <= sys::AV_LOG_ERROR.cast_signed() {
        tracing::error!(target: "ffmpeg", "{text}");
    } else {
        tracing::warn!(target: "ffmpeg", "{text}");
    }
}
