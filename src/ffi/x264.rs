//! libx264's interface, as the installed header declares it, and its log in ours.

use std::ffi::{CStr, c_char, c_int, c_void};

pub use bound::*;

use super::log::{LINE_BYTES_MAX, Lines, with_subject};

super::bound!("/x264.rs");

/// How C passes the arguments of a format on.
#[cfg(target_arch = "x86_64")]
type Arguments = *mut __va_list_tag;
#[cfg(not(target_arch = "x86_64"))]
type Arguments = va_list;

/// Writes what an encoder says into our log: its errors as warnings, since they are trouble with
/// one channel, its warnings as information, and nothing else.
///
/// # Safety
/// For libx264, which calls it with a format and its arguments.
pub unsafe extern "C" fn log(
    _private: *mut c_void,
    level: c_int,
    format: *const c_char,
    arguments: Arguments,
) {
    static LINES: Lines = Lines::new("libx264");
    if level > X264_LOG_WARNING.cast_signed() || !LINES.has_room() {
        return;
    }
    let mut line: [c_char; LINE_BYTES_MAX] = [0; LINE_BYTES_MAX];
    // SAFETY: libx264 hands its own arguments through; the line is as long as we say and is ended
    // with a zero even if it is cut.
    let text = unsafe {
        vsnprintf(line.as_mut_ptr(), LINE_BYTES_MAX as _, format, arguments);
        CStr::from_ptr(line.as_ptr()).to_string_lossy()
    };
    let text = with_subject(text.trim_end());
    if level <= X264_LOG_ERROR.cast_signed() {
        tracing::warn!(target: "x264", "{text}");
    } else {
        tracing::info!(target: "x264", "{text}");
    }
}
