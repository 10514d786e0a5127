//! Shared libraries that are opened at run time, because a machine may not have them.

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::ptr::NonNull;

/// An open library. It stays open until the process ends: the driver of a GPU starts threads of its
/// own, which would run into memory that is gone.
#[derive(Debug)]
pub struct Library(NonNull<c_void>);

impl Library {
    /// Opens the library of this name, where the system finds it or in `folder` alone.
    ///
    /// # Errors
    /// The loader's words.
    pub fn open(folder: Option<&Path>, name: &str) -> Result<Self, String> {
        let path = folder.map_or_else(|| name.into(), |folder| folder.join(name));
        let path = path.to_string_lossy().into_owned();
        let path = CString::new(path).map_err(|_| "its path has a zero byte".to_owned())?;
        // SAFETY: the path is a C string. Constructors of the library run, which whoever installed
        // it answers for.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        NonNull::new(handle).map(Self).ok_or_else(loader_error)
    }

    /// The address of a function of the library.
    ///
    /// # Errors
    /// The loader's words if there is none of that name.
    pub fn symbol(&self, name: &CStr) -> Result<NonNull<c_void>, String> {
        // SAFETY: the handle is open, and the name is a C string.
        let address = unsafe { libc::dlsym(self.0.as_ptr(), name.as_ptr()) };
        NonNull::new(address).ok_or_else(loader_error)
    }
}

/// What the loader said about its last failure on this thread.
fn loader_error() -> String {
    // SAFETY: takes nothing.
    let text: *const c_char = unsafe { libc::dlerror() };
    if text.is_null() {
        return "the loader gives no reason".to_owned();
    }
    // SAFETY: the loader's text is a C string that is valid until the next call on this thread.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_there_gives_its_functions() {
        let library = Library::open(None, "libc.so.6").unwrap();
        assert!(library.symbol(c"getpid").is_ok());
        assert!(library.symbol(c"no_such_function").unwrap_err().contains("no_such_function"));
    }

    #[test]
    fn a_library_that_is_not_there_is_named() {
        let folder = Path::new("/nowhere");
        let error = Library::open(Some(folder), "libno.so.1").unwrap_err();
        assert!(error.contains("/nowhere/libno.so.1"), "{error}");
    }
}
