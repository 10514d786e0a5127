//! Names of functions, by their addresses.

use std::collections::HashMap;
use std::ffi::CStr;

/// Names that were looked up. Reads the program's symbols when it is asked first, which takes a
/// fraction of a second; their memory goes with the last look.
#[derive(Debug, Default)]
pub(crate) struct Symbols(HashMap<u64, Vec<String>>);

impl Symbols {
    /// The functions at an address of a stack, innermost first: one, and those that the compiler
    /// has put into each other where the program has debug information. `is_leaf` says that it is
    /// the instruction that came next, and not one that is returned to.
    pub(crate) fn at(&mut self, address: u64, is_leaf: bool) -> &[String] {
        // The call is before the address that it returns to.
        let address = if is_leaf { address + 1 } else { address };
        self.0.entry(address).or_insert_with(|| look_up(address))
    }

    /// The functions of a whole stack, innermost first.
    pub(crate) fn of(&mut self, frames: &[u64]) -> Vec<String> {
        let mut names = Vec::with_capacity(frames.len());
        for (at, address) in frames.iter().enumerate() {
            names.extend_from_slice(self.at(*address, at == 0));
        }
        names
    }
}

impl Drop for Symbols {
    fn drop(&mut self) {
        backtrace::clear_symbol_cache();
    }
}

fn look_up(address: u64) -> Vec<String> {
    let mut names = Vec::new();
    backtrace::resolve(address as *mut _, |symbol| {
        // Without the hash that keeps the names of two compilers apart.
        names.extend(symbol.name().map(|name| format!("{name:#}")));
    });
    if names.is_empty() {
        names.push(file_of(address));
    }
    names
}

/// The library whose code is at this address, for functions that have no name.
fn file_of(address: u64) -> String {
    // SAFETY: the struct is plain data that the call fills in; the name lives as long as the
    // library.
    let path = unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        let is_known = libc::dladdr(address as *const _, &raw mut info) != 0;
        let name = (is_known && !info.dli_fname.is_null()).then_some(info.dli_fname);
        name.map(|name| CStr::from_ptr(name).to_string_lossy().into_owned())
    };
    match path.as_deref().and_then(|path| path.rsplit('/').next()) {
        Some(file) => format!("[{file}]"),
        None => "[unknown]".to_owned(),
    }
}
