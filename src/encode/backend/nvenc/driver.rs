//! NVIDIA's driver: its two libraries, opened at run time, the interface version that both sides
//! know, and one CUDA context per GPU and process.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;
use std::sync::OnceLock;

use super::budget::SessionBudget;
use super::status::Failure;
use crate::ffi::Library;
use crate::ffi::cuda::{CUcontext, CUdevice, CUresult, CudaFunctions};
use crate::ffi::nvenc::{
    NV_ENCODE_API_FUNCTION_LIST, NVENCSTATUS, SM_NVENC_API_MAJOR, SM_NVENC_API_MINOR,
    SM_NVENC_FUNCTION_LIST_VER,
};

/// The CUDA driver's library.
const CUDA_LIBRARY: &str = "libcuda.so.1";

/// NVENC's library.
const NVENC_LIBRARY: &str = "libnvidia-encode.so.1";

/// GPUs that are looked at; a machine has 16 at most.
const DEVICES_MAX: c_int = 64;

/// Longest name of a GPU, bytes.
const NAME_BYTES: usize = 128;

/// The driver, as far as it is there. It is never closed: see [`Library`].
pub(super) struct Driver {
    cuda: CudaFunctions,
    pub(super) api: NV_ENCODE_API_FUNCTION_LIST,
    /// The newest interface that the driver knows: major and minor number.
    pub(super) newest: (u32, u32),
    /// The newest CUDA that the driver knows: 12040 is 12.4.
    pub(super) cuda_version: c_int,
    pub(super) devices: Vec<Device>,
    pub(super) sessions: SessionBudget,
}

/// One GPU.
pub(super) struct Device {
    id: CUdevice,
    pub(super) name: String,
    /// Where it is on the bus: `0000:01:00.0`.
    pub(super) bus_id: String,
}

/// A hold of the one context that this process has on a GPU, current on the thread that has it.
/// With the last hold the context ends: one that is broken is not met again.
pub(super) struct Context {
    driver: &'static Driver,
    device: CUdevice,
    raw: CUcontext,
}

// SAFETY: function pointers of libraries that stay open; CUDA and NVENC may be called from any
// thread. The lists are read only, and their reserved pointers are null.
unsafe impl Send for Driver {}
// SAFETY: as above.
unsafe impl Sync for Driver {}

/// The functions of these names, each where the struct has it.
macro_rules! cuda_functions {
    ($library:expr, $($name:ident),* $(,)?) => {
        CudaFunctions {
            $($name: {
                let symbol = concat!(stringify!($name), "\0");
                let symbol = CStr::from_bytes_with_nul(symbol.as_bytes()).unwrap_or(c"");
                let address = $library.symbol(symbol)?;
                // SAFETY: the symbol of this name has this type, which is part of CUDA's stable
                // interface.
                Some(unsafe { std::mem::transmute::<*mut c_void, _>(address.as_ptr()) })
            },)*
        }
    };
}

/// Calls a function of a list, or says that the driver lacks it.
macro_rules! call {
    ($list:expr, $name:ident, $absent:expr $(, $argument:expr)* $(,)?) => {
        match $list.$name {
            // SAFETY: the arguments are as the interface asks for, as the caller says.
            Some(function) => unsafe { function($($argument),*) },
            None => $absent,
        }
    };
}
pub(super) use call;

impl Driver {
    /// The driver of this machine, opened by the first who asks.
    ///
    /// # Errors
    /// Why there is none that can be used.
    pub(super) fn of_machine() -> Result<&'static Self, String> {
        static DRIVER: OnceLock<Driver> = OnceLock::new();
        if let Some(driver) = DRIVER.get() {
            return Ok(driver);
        }
        let driver = Self::open(None)?;
        Ok(DRIVER.get_or_init(|| driver))
    }

    /// Opens the libraries where the system finds them, or in `folder` alone.
    ///
    /// # Errors
    /// As for [`Driver::of_machine`].
    pub(super) fn open(folder: Option<&Path>) -> Result<Self, String> {
        let not_there = |error| format!("there is no NVIDIA driver here: {error}");
        let library = Library::open(folder, CUDA_LIBRARY).map_err(not_there)?;
        let cuda = load_cuda(&library)
            .map_err(|error| format!("the NVIDIA driver is too old, update it: {error}"))?;
        let library = Library::open(folder, NVENC_LIBRARY).map_err(|error| {
            format!(
                "the driver's part for encoding is missing; install the package with \
                 {NVENC_LIBRARY} (Debian: libnvidia-encode1), or give the container the driver \
                 capability `video`: {error}"
            )
        })?;
        let (api, newest) = load_nvenc(&library)?;
        cuda_call(&cuda, "cuInit", call!(cuda, cuInit, CUDA_ERROR_UNKNOWN, 0))?;
        let mut cuda_version = 0;
        call!(cuda, cuDriverGetVersion, CUDA_ERROR_UNKNOWN, &raw mut cuda_version);
        let devices = devices(&cuda)?;
        let sessions = SessionBudget::default();
        Ok(Self { cuda, api, newest, cuda_version, devices, sessions })
    }

    /// Holds the context of this process on a GPU, and makes it current on this thread.
    ///
    /// # Errors
    /// CUDA's words, such as that no memory is left.
    pub(super) fn enter(&'static self, device: &Device) -> Result<Context, String> {
        let mut raw: CUcontext = std::ptr::null_mut();
        let (cuda, id) = (&self.cuda, device.id);
        let result = call!(cuda, cuDevicePrimaryCtxRetain, CUDA_ERROR_UNKNOWN, &raw mut raw, id);
        cuda_call(cuda, "cuDevicePrimaryCtxRetain", result)?;
        let result = call!(cuda, cuCtxPushCurrent_v2, CUDA_ERROR_UNKNOWN, raw);
        let pushed = cuda_call(cuda, "cuCtxPushCurrent", result);
        if pushed.is_err() {
            call!(cuda, cuDevicePrimaryCtxRelease_v2, CUDA_ERROR_UNKNOWN, id);
        }
        pushed.map(|()| Context { driver: self, device: id, raw })
    }
}

impl Context {
    /// What NVENC calls a device.
    pub(super) const fn device(&self) -> *mut c_void {
        self.raw.cast()
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let cuda = &self.driver.cuda;
        let mut popped: CUcontext = std::ptr::null_mut();
        call!(cuda, cuCtxPopCurrent_v2, CUDA_ERROR_UNKNOWN, &raw mut popped);
        call!(cuda, cuDevicePrimaryCtxRelease_v2, CUDA_ERROR_UNKNOWN, self.device);
    }
}

/// Stands for a function that is not there.
const CUDA_ERROR_UNKNOWN: CUresult = 999;

#[expect(clippy::missing_transmute_annotations, reason = "the members say their types")]
fn load_cuda(library: &Library) -> Result<CudaFunctions, String> {
    Ok(cuda_functions!(
        library,
        cuInit,
        cuDriverGetVersion,
        cuDeviceGetCount,
        cuDeviceGet,
        cuDeviceGetName,
        cuDeviceGetPCIBusId,
        cuDevicePrimaryCtxRetain,
        cuDevicePrimaryCtxRelease_v2,
        cuCtxPushCurrent_v2,
        cuCtxPopCurrent_v2,
        cuGetErrorString,
    ))
}

type GetMaxSupportedVersion = unsafe extern "C" fn(*mut u32) -> NVENCSTATUS;
type CreateInstance = unsafe extern "C" fn(*mut NV_ENCODE_API_FUNCTION_LIST) -> NVENCSTATUS;

/// NVENC's functions, and the newest interface that the driver knows.
fn load_nvenc(library: &Library) -> Result<(NV_ENCODE_API_FUNCTION_LIST, (u32, u32)), String> {
    let newest = library.symbol(c"NvEncodeAPIGetMaxSupportedVersion")?;
    let create = library.symbol(c"NvEncodeAPICreateInstance")?;
    // SAFETY: the two functions that the library exports have these types.
    let (newest, create) = unsafe {
        (
            std::mem::transmute::<*mut c_void, GetMaxSupportedVersion>(newest.as_ptr()),
            std::mem::transmute::<*mut c_void, CreateInstance>(create.as_ptr()),
        )
    };
    let mut version = 0;
    // SAFETY: writes one number.
    let status = unsafe { newest(&raw mut version) };
    let failed = |call, status| {
        Failure::check(call, status)
            .map_err(|failure| failure.error(super::status::Stage::Opening).to_string())
    };
    failed("NvEncodeAPIGetMaxSupportedVersion", status)?;
    let newest = (version >> 4, version & 0xf);
    if newest < (SM_NVENC_API_MAJOR, SM_NVENC_API_MINOR) {
        return Err(format!(
            "the driver knows NVENC up to {}.{}, and this program was built for \
             {SM_NVENC_API_MAJOR}.{SM_NVENC_API_MINOR}: update the driver",
            newest.0, newest.1
        ));
    }
    // SAFETY: a list of null pointers and zeros is what the function takes with its version.
    let mut api: NV_ENCODE_API_FUNCTION_LIST = unsafe { std::mem::zeroed() };
    api.version = SM_NVENC_FUNCTION_LIST_VER;
    // SAFETY: the list is of the version that it says.
    let status = unsafe { create(&raw mut api) };
    failed("NvEncodeAPICreateInstance", status)?;
    Ok((api, newest))
}

fn devices(cuda: &CudaFunctions) -> Result<Vec<Device>, String> {
    let mut count = 0;
    let result = call!(cuda, cuDeviceGetCount, CUDA_ERROR_UNKNOWN, &raw mut count);
    cuda_call(cuda, "cuDeviceGetCount", result)?;
    let mut devices = Vec::new();
    for ordinal in 0..count.min(DEVICES_MAX) {
        let mut id = 0;
        let result = call!(cuda, cuDeviceGet, CUDA_ERROR_UNKNOWN, &raw mut id, ordinal);
        cuda_call(cuda, "cuDeviceGet", result)?;
        let name = text(|to, room| call!(cuda, cuDeviceGetName, CUDA_ERROR_UNKNOWN, to, room, id));
        let bus_id =
            text(|to, room| call!(cuda, cuDeviceGetPCIBusId, CUDA_ERROR_UNKNOWN, to, room, id));
        devices.push(Device { id, name, bus_id });
    }
    if devices.is_empty() {
        return Err("the NVIDIA driver sees no GPU".to_owned());
    }
    Ok(devices)
}

/// A text that a function writes; empty if it fails.
fn text(write: impl FnOnce(*mut c_char, c_int) -> CUresult) -> String {
    let mut text: [c_char; NAME_BYTES] = [0; NAME_BYTES];
    let room = c_int::try_from(NAME_BYTES - 1).unwrap_or(0);
    if write(text.as_mut_ptr(), room) != 0 {
        return String::new();
    }
    // SAFETY: one byte more than the function may write is there, and is zero.
    unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned()
}

fn cuda_call(cuda: &CudaFunctions, call: &str, result: CUresult) -> Result<(), String> {
    if result == 0 {
        return Ok(());
    }
    let mut text: *const c_char = std::ptr::null();
    let told = call!(cuda, cuGetErrorString, CUDA_ERROR_UNKNOWN, result, &raw mut text);
    let text = if told == 0 && !text.is_null() {
        // SAFETY: the driver gives a C string that lives as long as it.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    } else {
        "no reason is given".to_owned()
    };
    Err(format!("the GPU cannot be used: {call}: {text} (CUDA error {result})"))
}
