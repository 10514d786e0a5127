//! Rust declarations for the C interfaces of encoders, made by bindgen from the headers in `ffi`.

use std::env;
use std::path::PathBuf;

#[cfg(feature = "x264")]
use bindgen::callbacks::ParseCallbacks;
use bindgen::{Builder, RustEdition, RustTarget};

use super::tools::{fail, pkg_config};

/// The Rust that `Cargo.toml` asks for.
const RUST_MINOR: u64 = 91;

/// NVENC and the CUDA driver. Both libraries belong to the driver of a GPU and are opened at run
/// time: nothing is linked but the GUIDs of the header.
#[cfg(feature = "nvenc")]
pub fn nvenc() {
    let flags = installed("ffnvcodec", "libffmpeg-nvenc-dev", "nvenc");
    let mut guids = cc::Build::new();
    guids.file("ffi/nvenc.c").warnings(true).extra_warnings(true);
    for flag in &flags {
        guids.flag(flag);
    }
    // The header's older constants that nobody names.
    guids.flag_if_supported("-Wno-unused-const-variable").compile("sm_nvenc");
    println!("cargo:rerun-if-changed=ffi/nvenc.c");
    let nvenc = binding("nvenc", &flags)
        .allowlist_type("NV_ENCODE_API_FUNCTION_LIST|NVENCSTATUS|NV_ENC_CAPS|NV_ENC_PIC_FLAGS")
        .allowlist_type("NV_ENC_BUFFER_FORMAT|NV_ENC_PARAMS_RC_MODE|NV_ENC_TUNING_INFO")
        .allowlist_var("(SM_NVENC|sm_nvenc)_.*");
    let generated = write(nvenc, "nvenc");
    // AV1 is there where the header has it.
    println!("cargo:rustc-check-cfg=cfg(nvenc_av1)");
    if generated.contains("sm_nvenc_codec_av1") {
        println!("cargo:rustc-cfg=nvenc_av1");
    }
    write(binding("cuda", &[]).allowlist_type("CudaFunctions"), "cuda");
}

/// libx264, which is linked: its functions carry the number of their release in C only.
#[cfg(feature = "x264")]
pub fn x264() {
    let flags = installed("x264", "libx264-dev", "x264");
    println!("cargo:rustc-link-lib=dylib=x264");
    let x264 = binding("x264", &flags)
        .allowlist_type("x264_.*|nal_.*")
        .allowlist_function("x264_.*|vsnprintf")
        .allowlist_var("(X264|SM_X264)_.*")
        .parse_callbacks(Box::new(WithoutRelease));
    write(x264, "x264");
}

/// Compiler flags of a package that pkg-config must know.
fn installed(name: &str, package: &str, feature: &str) -> Vec<String> {
    let Some(flags) = pkg_config(&["--cflags", name]) else {
        fail(&format!(
            "pkg-config knows no {name}: install {package} (Debian's name), or build without it: \
             `--no-default-features` and the other features, without {feature}"
        ));
    };
    if let Some(folder) = pkg_config(&["--variable=pcfiledir", name]) {
        println!("cargo:rerun-if-changed={folder}/{name}.pc");
    }
    flags.split_whitespace().map(str::to_owned).collect()
}

/// A binding of `ffi/NAME.h`, as all of them are made.
fn binding(name: &str, flags: &[String]) -> Builder {
    let header = format!("ffi/{name}.h");
    println!("cargo:rerun-if-changed={header}");
    let Ok(target) = RustTarget::stable(RUST_MINOR, 0) else {
        fail(&format!("bindgen does not know Rust 1.{RUST_MINOR}"));
    };
    Builder::default()
        .header(header)
        .clang_args(flags)
        .rust_target(target)
        .rust_edition(RustEdition::Edition2024)
        .prepend_enum_name(false)
        .derive_default(false)
        .generate_comments(false)
        // What is relied on is asserted where it is relied on.
        .layout_tests(false)
        .formatter(bindgen::Formatter::Prettyplease)
}

/// Writes a binding to where the crate includes it; what was written.
fn write(binding: Builder, name: &str) -> String {
    let generated = match binding.generate() {
        Ok(generated) => generated,
        Err(error) => fail(&format!("bindgen cannot read ffi/{name}.h: {error}")),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join(format!("{name}.rs"));
    if let Err(error) = generated.write_to_file(&out) {
        fail(&format!("{}: {error}", out.display()));
    }
    generated.to_string()
}

/// Gives `x264_encoder_open_164` the name that C programs call it by.
#[cfg(feature = "x264")]
#[derive(Debug)]
struct WithoutRelease;

#[cfg(feature = "x264")]
impl ParseCallbacks for WithoutRelease {
    fn item_name(&self, name: &str) -> Option<String> {
        let (name, release) = name.rsplit_once('_')?;
        let is_release = !release.is_empty() && release.bytes().all(|byte| byte.is_ascii_digit());
        (name == "x264_encoder_open" && is_release).then(|| name.to_owned())
    }
}
