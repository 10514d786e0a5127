//! Kernels that draw, scale and convert pictures, with their tests and nothing else of the program:
//! `tools/aarch64.sh` compiles them for 64-bit Arm.

#[allow(dead_code, unused_imports, reason = "as much as the kernels need")]
#[path = "../fuzz/src/scene.rs"]
mod scene;
