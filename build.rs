//! Build script: what is installed is looked at first, with the remedy where something is missing;
//! then the C interfaces of encoders are bound.

#[cfg(any(feature = "nvenc", feature = "x264"))]
#[path = "build/bindings.rs"]
mod bindings;
#[path = "build/ffmpeg.rs"]
mod ffmpeg;
#[path = "build/tools.rs"]
mod tools;

fn main() {
    for variable in ["PKG_CONFIG", "PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    ffmpeg::check_and_link();
    #[cfg(feature = "nvenc")]
    bindings::nvenc();
    #[cfg(feature = "x264")]
    bindings::x264();
}
