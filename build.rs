//! Links the FFmpeg libraries that the binding does not link itself, and stops early, with the
//! remedy, if the chosen feature is not for the FFmpeg that is installed.

use std::process::Command;

/// Libraries beside libavcodec, which the binding links.
const LIBRARIES: [&str; 6] =
    ["avformat", "avutil", "swscale", "swresample", "avfilter", "avdevice"];

/// Major version of libavcodec by feature.
const MAJORS: [(u32, &str); 4] =
    [(59, "ffmpeg5"), (60, "ffmpeg6"), (61, "ffmpeg7"), (62, "ffmpeg8")];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG");
    // Another FFmpeg in the same place is looked at again.
    println!("cargo:rerun-if-env-changed=FFMPEG_DLL_PATH");
    if let Ok(library) = std::env::var("FFMPEG_DLL_PATH") {
        println!("cargo:rerun-if-changed={library}");
    }
    for library in LIBRARIES {
        println!("cargo:rustc-link-lib=dylib={library}");
    }
    let chosen: Vec<_> = MAJORS
        .iter()
        .map(|(_, feature)| *feature)
        .filter(|feature| {
            std::env::var_os(format!("CARGO_FEATURE_{}", feature.to_uppercase())).is_some()
        })
        .collect();
    let [chosen] = chosen[..] else {
        fail(&format!("choose exactly one of the features ffmpeg5 to ffmpeg8, not {chosen:?}"));
    };
    let Some(version) = installed() else { return };
    let major = version.split('.').next().and_then(|text| text.parse::<u32>().ok());
    let Some((_, right)) = MAJORS.iter().find(|(known, _)| Some(*known) == major) else {
        fail(&format!("libavcodec {version} is not known; this release builds with 59 to 62"));
    };
    if *right != chosen {
        fail(&format!(
            "libavcodec {version} is installed, which needs the feature {right}, not {chosen}: use \
             `make`, or add `--no-default-features --features {right}`"
        ));
    }
}

/// The installed version of libavcodec, if pkg-config is there and knows.
fn installed() -> Option<String> {
    let program = std::env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into());
    let output = Command::new(program).args(["--modversion", "libavcodec"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn fail(text: &str) -> ! {
    println!("cargo:warning={text}");
    std::process::exit(1);
}
