//! FFmpeg as pkg-config finds it: stops early, with the remedy, if the chosen feature is not for the
//! installed one, and completes what the binding asks of the linker.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use super::tools::{fail, output_of, pkg_config};

/// Feature by major version of libavcodec.
const FEATURES: [(u32, &str); 4] =
    [(59, "ffmpeg5"), (60, "ffmpeg6"), (61, "ffmpeg7"), (62, "ffmpeg8")];

const LIBRARIES: [&str; 7] =
    ["avcodec", "avdevice", "avfilter", "avformat", "avutil", "swresample", "swscale"];

/// Refuses the wrong feature, and tells the linker what the right one leaves out.
pub fn check_and_link() {
    let Some(version) = pkg_config(&["--modversion", "libavcodec"]) else {
        fail(
            "pkg-config knows no libavcodec: install FFmpeg's development packages and pkg-config",
        );
    };
    if let Some(folder) = pkg_config(&["--variable=pcfiledir", "libavcodec"]) {
        // Another FFmpeg in the same place is looked at again.
        println!("cargo:rerun-if-changed={folder}/libavcodec.pc");
    }
    let chosen = chosen_feature();
    let major = version.split('.').next().and_then(|text| text.parse::<u32>().ok());
    let Some((_, right)) = FEATURES.iter().find(|(known, _)| Some(*known) == major) else {
        fail(&format!("libavcodec {version} is not known; this release builds with 59 to 62"));
    };
    if *right != chosen {
        fail(&format!(
            "libavcodec {version} is installed, which needs the feature {right}, not {chosen}: use \
             `make`, or `--no-default-features --features {right},nvenc,vaapi,x264`, or in the \
             Cargo.toml of a program that embeds the library `default-features = false, features = \
             [\"{right}\", \"nvenc\", \"vaapi\", \"x264\"]`"
        ));
    }
    for library in LIBRARIES {
        // With FFMPEG_DLL_PATH, which the binding knows too, it links libavcodec alone.
        println!("cargo:rustc-link-lib=dylib={library}");
    }
    if chosen == "ffmpeg5" {
        stand_in_for_absent_libraries();
    }
}

fn chosen_feature() -> &'static str {
    let is_on =
        |feature: &str| env::var_os(format!("CARGO_FEATURE_{}", feature.to_uppercase())).is_some();
    let chosen: Vec<_> =
        FEATURES.iter().map(|(_, feature)| *feature).filter(|feature| is_on(feature)).collect();
    match chosen[..] {
        [one] => one,
        _ => {
            fail(&format!("choose exactly one of the features ffmpeg5 to ffmpeg8, not {chosen:?}"))
        }
    }
}

/// The binding for FFmpeg 5 asks pkg-config for what a static FFmpeg needs, and so names each
/// library behind the shared ones to the linker, most of which are there without their development
/// packages. Nothing refers to them: an empty archive answers for each that the linker would miss.
fn stand_in_for_absent_libraries() {
    let packages = LIBRARIES.map(|library| format!("lib{library}"));
    let arguments: Vec<_> =
        ["--static", "--libs"].into_iter().chain(packages.iter().map(String::as_str)).collect();
    let (Some(flags), Some(out)) = (pkg_config(&arguments), env::var_os("OUT_DIR")) else {
        fail(&format!("pkg-config does not know all of {packages:?}"));
    };
    let folders: Vec<_> = flags.split_whitespace().filter_map(|f| f.strip_prefix("-L")).collect();
    let names: BTreeSet<_> =
        flags.split_whitespace().filter_map(|flag| flag.strip_prefix("-l")).collect();
    let stand_ins = PathBuf::from(out).join("absent");
    // What was absent may have been installed since.
    fs::remove_dir_all(&stand_ins).ok();
    let written = fs::create_dir(&stand_ins).and_then(|()| {
        names
            .iter()
            .filter(|name| !is_found(name, &folders))
            .try_for_each(|name| fs::write(stand_ins.join(format!("lib{name}.a")), "!<arch>\n"))
    });
    if let Err(error) = written {
        fail(&format!("{}: {error}", stand_ins.display()));
    }
    println!("cargo:rustc-link-search=native={}", stand_ins.display());
}

/// Whether the linker finds the library of this name.
fn is_found(name: &str, folders: &[&str]) -> bool {
    [format!("lib{name}.so"), format!("lib{name}.a")].iter().any(|file| {
        folders.iter().any(|folder| Path::new(folder).join(file).exists())
            // The compiler answers with a path if it has the file, else with the bare name.
            || output_of("cc", &[&format!("-print-file-name={file}")])
                .is_some_and(|path| path.contains('/'))
    })
}
