//! Displays of libva, which is opened at run time: a machine may not have it.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::ptr::NonNull;

use super::Library;

/// libva itself, the very one that libavutil calls.
const LIBRARY: &str = "libva.so.2";

/// Its part for render nodes.
const DRM_LIBRARY: &str = "libva-drm.so.2";

/// `VA_STATUS_SUCCESS`.
const SUCCESS: c_int = 0;

/// Profiles, as `va.h` numbers them: H.264 high, main and constrained baseline.
pub const H264_PROFILES: [c_int; 3] = [7, 6, 13];

/// H.265 main.
pub const HEVC_PROFILES: [c_int; 1] = [17];

/// `VAEntrypointEncSlice`: the encoder proper.
pub const ENCODE: c_int = 6;

/// `VAEntrypointEncSliceLP`: the encoder that takes less power and does less.
pub const ENCODE_LOW_POWER: c_int = 8;

/// Public part of libavutil's VAAPI device (`AVVAAPIDeviceContext`), which the binding leaves out.
#[repr(C)]
#[derive(Debug)]
pub struct VaapiDeviceContext {
    /// The `VADisplay`.
    pub display: *mut c_void,
    /// What libavutil has found out about the driver.
    pub driver_quirks: c_uint,
}

/// Declares the functions of libva that are called, and how they are found.
macro_rules! functions {
    ($($name:ident: $symbol:literal $type:ty,)*) => {
        /// libva's functions. It is never closed: see [`Library`].
        #[derive(Debug)]
        pub struct Libva {
            get_display: unsafe extern "C" fn(c_int) -> *mut c_void,
            $($name: $type,)*
        }

        impl Libva {
            fn load(library: &Library, drm: &Library) -> Result<Self, String> {
                let get_display = drm.symbol(c"vaGetDisplayDRM")?;
                // SAFETY: the symbols of these names have these types, which are part of libva's
                // stable interface.
                unsafe {
                    Ok(Self {
                        get_display: std::mem::transmute::<
                            *mut c_void,
                            unsafe extern "C" fn(c_int) -> *mut c_void,
                        >(get_display.as_ptr()),
                        $($name: std::mem::transmute::<*mut c_void, $type>(
                            library.symbol($symbol)?.as_ptr(),
                        ),)*
                    })
                }
            }
        }
    };
}

functions! {
    initialize: c"vaInitialize"
        unsafe extern "C" fn(*mut c_void, *mut c_int, *mut c_int) -> c_int,
    terminate: c"vaTerminate" unsafe extern "C" fn(*mut c_void) -> c_int,
    error_text: c"vaErrorStr" unsafe extern "C" fn(c_int) -> *const c_char,
    vendor: c"vaQueryVendorString" unsafe extern "C" fn(*mut c_void) -> *const c_char,
    max_entrypoints: c"vaMaxNumEntrypoints" unsafe extern "C" fn(*mut c_void) -> c_int,
    query_entrypoints: c"vaQueryConfigEntrypoints"
        unsafe extern "C" fn(*mut c_void, c_int, *mut c_int, *mut c_int) -> c_int,
    set_error_callback: c"vaSetErrorCallback"
        unsafe extern "C" fn(*mut c_void, *const c_void, *mut c_void) -> *mut c_void,
    set_info_callback: c"vaSetInfoCallback"
        unsafe extern "C" fn(*mut c_void, *const c_void, *mut c_void) -> *mut c_void,
}

impl Libva {
    /// Opens libva, with the part for render nodes from where the system finds it, or from `folder`
    /// alone.
    ///
    /// # Errors
    /// What is missing.
    pub fn open(folder: Option<&Path>) -> Result<Self, String> {
        let missing = |error| format!("libva is not there (Debian: libva-drm2): {error}");
        let library = Library::open(None, LIBRARY).map_err(missing)?;
        let drm = Library::open(folder, DRM_LIBRARY).map_err(missing)?;
        Self::load(&library, &drm).map_err(|error| format!("libva is too old: {error}"))
    }

    fn text(&self, status: c_int) -> String {
        // SAFETY: takes any number, and gives a text that lives as long as the library.
        text(unsafe { (self.error_text)(status) })
    }
}

/// An initialised display of a render node: its driver is loaded.
#[derive(Debug)]
pub struct Display {
    raw: NonNull<c_void>,
    libva: &'static Libva,
    /// The display uses its descriptor.
    _node: File,
}

// SAFETY: a display may be used from any thread; libva and its drivers lock what they share.
unsafe impl Send for Display {}

impl Display {
    /// Opens the render node and loads its driver, which may end the process.
    ///
    /// # Errors
    /// Why there is none, and what to do.
    pub fn open(libva: &'static Libva, node: &Path) -> Result<Self, String> {
        let opened = File::options().read(true).write(true).open(node);
        let file = opened.map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => {
                format!("{error}: the user of this process needs the group `render`")
            }
            _ => error.to_string(),
        })?;
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&file);
        // SAFETY: the descriptor is open, and stays so as long as the display.
        let raw = unsafe { (libva.get_display)(descriptor) };
        let raw = NonNull::new(raw).ok_or("libva takes it for no render node")?;
        let this = Self { raw, libva, _node: file };
        let (mut major, mut minor) = (0, 0);
        let none = std::ptr::null_mut();
        // SAFETY: the display is new; without callbacks libva writes nothing to standard error.
        let status = unsafe {
            (libva.set_error_callback)(this.raw(), std::ptr::null(), none);
            (libva.set_info_callback)(this.raw(), std::ptr::null(), none);
            (libva.initialize)(this.raw(), &raw mut major, &raw mut minor)
        };
        if status != SUCCESS {
            let why = libva.text(status);
            return Err(format!("its VA driver does not load: {why}; is it installed?"));
        }
        Ok(this)
    }

    /// The `VADisplay`.
    #[must_use]
    pub const fn raw(&self) -> *mut c_void {
        self.raw.as_ptr()
    }

    /// What the driver calls itself.
    #[must_use]
    pub fn vendor(&self) -> String {
        // SAFETY: the display is initialised; the driver's text lives as long as it.
        text(unsafe { (self.libva.vendor)(self.raw()) })
    }

    /// Whether the driver does this with a profile.
    #[must_use]
    pub fn has(&self, profile: c_int, entrypoint: c_int) -> bool {
        // SAFETY: the display is initialised.
        let room = unsafe { (self.libva.max_entrypoints)(self.raw()) }.max(0).unsigned_abs();
        let (mut list, mut count) = (vec![0; room as usize], 0);
        // SAFETY: the list has as much room as the driver wants.
        let status = unsafe {
            let (list, count) = (list.as_mut_ptr(), &raw mut count);
            (self.libva.query_entrypoints)(self.raw(), profile, list, count)
        };
        list.truncate(count.max(0).unsigned_abs() as usize);
        status == SUCCESS && list.contains(&entrypoint)
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        // SAFETY: ours, and not used any more.
        unsafe { (self.libva.terminate)(self.raw()) };
    }
}

fn text(text: *const c_char) -> String {
    if text.is_null() {
        return "no reason is given".to_owned();
    }
    // SAFETY: libva's texts are C strings that live as long as it.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_libva_that_is_not_there_is_named_with_its_package() {
        let error = Libva::open(Some(Path::new("/nowhere"))).unwrap_err();
        assert!(error.contains("libva-drm2") && error.contains("/nowhere/libva-drm.so.2"));
    }
}
