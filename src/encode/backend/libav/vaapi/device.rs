//! GPU as libavutil's device: a display of libva that is counted, and goes with the last reference.

use std::path::{Path, PathBuf};

use super::node::Node;
use crate::ffi::va::{
    Display, ENCODE, ENCODE_LOW_POWER, H264_PROFILES, HEVC_PROFILES, Libva, VaapiDeviceContext,
};
use crate::ffi::{Buffer, av, sys};
use crate::media::VideoCodec;

/// A reference to an open device.
pub(super) struct Device {
    raw: Buffer,
    node: PathBuf,
    vendor: String,
    h264: Option<Power>,
    hevc: Option<Power>,
}

/// The encoder of a device. libavcodec takes the one that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Power {
    Full,
    /// There is only the one that takes less power.
    Low,
}

// SAFETY: libavutil counts references atomically, and a display may be used from any thread.
unsafe impl Send for Device {}

impl Device {
    /// Opens a render node. A driver may end the process meanwhile.
    ///
    /// # Errors
    /// Why it cannot be used, and what to do.
    pub(super) fn open(libva: &'static Libva, node: &Node) -> Result<Self, String> {
        let display = Display::open(libva, &node.path)?;
        let power = |profiles: &[i32]| {
            let has = |entrypoint| profiles.iter().any(|one| display.has(*one, entrypoint));
            if has(ENCODE) {
                Some(Power::Full)
            } else {
                has(ENCODE_LOW_POWER).then_some(Power::Low)
            }
        };
        let (h264, hevc) = (power(&H264_PROFILES), power(&HEVC_PROFILES));
        let vendor = display.vendor();
        let raw = adopt(display)?;
        Ok(Self { raw, node: node.path.clone(), vendor, h264, hevc })
    }

    /// One more reference.
    ///
    /// # Errors
    /// If memory is out.
    pub(super) fn share(&self) -> Result<Self, String> {
        let raw = self.raw.share().ok_or("out of memory")?;
        let (node, vendor) = (self.node.clone(), self.vendor.clone());
        Ok(Self { raw, node, vendor, ..*self })
    }

    pub(super) const fn raw(&self) -> *mut sys::AVBufferRef {
        self.raw.as_ptr()
    }

    pub(super) fn node(&self) -> &Path {
        &self.node
    }

    /// What the driver calls itself.
    pub(super) fn vendor(&self) -> &str {
        &self.vendor
    }

    /// What it makes this codec with, if it does.
    pub(super) const fn power(&self, codec: VideoCodec) -> Option<Power> {
        match codec {
            VideoCodec::H264 => self.h264,
            VideoCodec::Hevc => self.hevc,
            VideoCodec::Av1 => None,
        }
    }
}

/// A device of libavutil that owns the display.
#[expect(clippy::cast_ptr_alignment, reason = "libavutil aligns what it allocates")]
fn adopt(display: Display) -> Result<Buffer, String> {
    // SAFETY: null, or a device that is not initialised and ours alone.
    let buffer = unsafe { Buffer::adopt(sys::av_hwdevice_ctx_alloc(sys::AV_HWDEVICE_TYPE_VAAPI)) };
    let buffer =
        buffer.ok_or("the FFmpeg on this machine has no VAAPI; install a build with it")?;
    // SAFETY: the buffer holds a device of this kind; the display goes with its last reference.
    let code = unsafe {
        let device = &mut *buffer.data().cast::<sys::AVHWDeviceContext>();
        (*device.hwctx.cast::<VaapiDeviceContext>()).display = display.raw();
        device.user_opaque = Box::into_raw(Box::new(display)).cast();
        device.free = Some(free_display);
        sys::av_hwdevice_ctx_init(buffer.as_ptr())
    };
    if code < 0 {
        return Err(format!("libavutil does not take the driver: {}", av::error_text(code)));
    }
    Ok(buffer)
}

/// The last reference to the device is gone.
unsafe extern "C" fn free_display(device: *mut sys::AVHWDeviceContext) {
    // SAFETY: `user_opaque` is the box that `adopt` made; libavutil calls this once.
    drop(unsafe { Box::from_raw((*device).user_opaque.cast::<Display>()) });
}
