//! FFmpeg's errors as text, and its log in ours.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::PoisonError;

use super::log::{LINE_BYTES_MAX, Lines, is_log_secret, with_subject};
use super::sys;

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

/// Nodes of the process that want FFmpeg's log, and its level from before the first of them.
#[expect(clippy::disallowed_types, reason = "taken when a node starts and ends, by nobody else")]
static REDIRECTS: std::sync::Mutex<(usize, c_int)> = std::sync::Mutex::new((0, 0));

/// While one of these is there, FFmpeg's warnings and errors go to `tracing`; afterwards they go
/// to standard error again, as FFmpeg does by itself, at the level that was set before. The
/// callback is the process's: a program that has set its own does not want this. What it
/// says on threads that open addresses is left out, as it may hold a key.
///
/// FFmpeg calls an error what is wrong with its input, which is trouble with one file or stream:
/// `WARN` here. Only what it calls fatal is `ERROR`; its warnings are `INFO`.
#[derive(Debug)]
pub struct LogRedirect(());

impl LogRedirect {
    /// From now on.
    #[must_use]
    pub fn begin() -> Self {
        let mut redirects = REDIRECTS.lock().unwrap_or_else(PoisonError::into_inner);
        redirects.0 += 1;
        if redirects.0 == 1 {
            // SAFETY: the callback fits the type FFmpeg expects and lives as long as the program.
            unsafe {
                redirects.1 = sys::av_log_get_level();
                sys::av_log_set_level(sys::AV_LOG_WARNING.cast_signed());
                sys::av_log_set_callback(Some(log));
            }
        }
        Self(())
    }
}

impl Drop for LogRedirect {
    fn drop(&mut self) {
        let mut redirects = REDIRECTS.lock().unwrap_or_else(PoisonError::into_inner);
        redirects.0 -= 1;
        if redirects.0 == 0 {
            // SAFETY: both take plain values; the callback is FFmpeg's own.
            unsafe {
                sys::av_log_set_callback(Some(sys::av_log_default_callback));
                sys::av_log_set_level(redirects.1);
            }
        }
    }
}

/// How C passes the arguments of a format on.
#[cfg(target_arch = "x86_64")]
type Arguments = *mut sys::__va_list_tag;
#[cfg(not(target_arch = "x86_64"))]
type Arguments = sys::va_list;

unsafe extern "C" fn log(
    source: *mut c_void,
    level: c_int,
    format: *const c_char,
    arguments: Arguments,
) {
    static LINES: Lines = Lines::new("FFmpeg");
    let level = level & 0xff; // above are colours
    if level > sys::AV_LOG_WARNING.cast_signed() || is_log_secret() || !LINES.has_room() {
        return;
    }
    let mut line: [c_char; LINE_BYTES_MAX] = [0; LINE_BYTES_MAX];
    let bytes = c_int::try_from(LINE_BYTES_MAX).unwrap_or(0);
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
            bytes,
            &raw mut prefix,
        );
        CStr::from_ptr(line.as_ptr()).to_string_lossy()
    };
    let text = without_addresses(text.trim_end());
    if text.is_empty() {
        return;
    }
    let text = with_subject(&text);
    if level <= sys::AV_LOG_FATAL.cast_signed() {
        tracing::error!(target: "ffmpeg", "{text}");
    } else if level <= sys::AV_LOG_ERROR.cast_signed() {
        tracing::warn!(target: "ffmpeg", "{text}");
    } else {
        tracing::info!(target: "ffmpeg", "{text}");
    }
}

/// FFmpeg names its contexts by their addresses, `[h264 @ 0x55d0c8]`, which say nothing and make
/// each line differ from the last.
fn without_addresses(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(" @ 0x") {
        out.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::set_log_subject;
    use std::cell::RefCell;
    use tracing::field::{Field, Visit};
    use tracing::{Event, Metadata, Subscriber, span};

    thread_local! {
        static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    /// Keeps this thread's lines.
    struct Keep;

    impl Subscriber for Keep {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "ffmpeg"
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, event: &Event<'_>) {
            struct Text;
            impl Visit for Text {
                fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
                    LINES.with_borrow_mut(|lines| lines.push(format!("{value:?}")));
                }
            }
            event.record(&mut Text);
        }
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn the_library_that_is_linked_is_the_one_whose_headers_were_bound() {
        // SAFETY: takes nothing, gives a number.
        assert_eq!(unsafe { sys::avcodec_version() } >> 16, sys::LIBAVCODEC_VERSION_MAJOR);
    }

    #[test]
    fn errors_are_told_in_words() {
        assert_eq!(error_text(-libc::ENOMEM), "Cannot allocate memory");
        assert!(error_text(sys::AVERROR_EOF).contains("End of file"));
    }

    #[test]
    fn warnings_reach_our_log_cut_to_a_line_and_chatter_does_not() {
        let _log = LogRedirect::begin();
        let long = [b"x".repeat(2_000), vec![0]].concat();
        tracing::subscriber::with_default(Keep, || {
            for (level, text) in [
                (sys::AV_LOG_INFO, c"chatter".as_ptr()),
                (sys::AV_LOG_WARNING, c"careful\n".as_ptr()),
                (sys::AV_LOG_ERROR, long.as_ptr().cast()),
            ] {
                let format = c"%s".as_ptr();
                // SAFETY: the format takes one C string.
                unsafe { sys::av_log(std::ptr::null_mut(), level.cast_signed(), format, text) };
            }
        });
        let lines = LINES.take();
        assert_eq!((lines.len(), lines[0].as_str()), (2, "careful"));
        assert_eq!(lines[1].len(), LINE_BYTES_MAX - 1);
    }

    #[test]
    fn a_line_names_what_its_thread_works_on_and_no_addresses() {
        let _log = LogRedirect::begin();
        tracing::subscriber::with_default(Keep, || {
            set_log_subject("intro.mp4");
            let level = sys::AV_LOG_ERROR.cast_signed();
            // SAFETY: the format takes nothing.
            unsafe { sys::av_log(std::ptr::null_mut(), level, c"bad block\n".as_ptr()) };
        });
        assert_eq!(LINES.take(), ["intro.mp4: bad block"]);
        let text = "[h264 @ 0x55d0c81f] [aac @ 0x1] no frame @ 12";
        assert_eq!(without_addresses(text), "[h264] [aac] no frame @ 12");
    }
}
