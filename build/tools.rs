//! Programs that a build script asks, and how it refuses.

use std::process::Command;

/// What pkg-config says.
pub fn pkg_config(arguments: &[&str]) -> Option<String> {
    output_of(&std::env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".to_owned()), arguments)
}

/// What the program says, if it can be run and succeeds.
pub fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Ends the build with one sentence that says what to do.
pub fn fail(text: &str) -> ! {
    println!("cargo:warning={text}");
    std::process::exit(1);
}
