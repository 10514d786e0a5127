//! Benchmark of libx264 called directly: CPU time per picture of our wrapper and of the plainest
//! possible use of `x264_encoder_encode` with the same parameters, threads and pictures; what each
//! speed of a running encoder costs; and what x264 saves when it is told which macroblocks of the
//! demo programme have not changed.
//!
//! `cargo bench --bench x264` prints tables. It fails if the wrapper allocates from Rust.

#![expect(clippy::print_stdout, reason = "the tables are what it is for")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot begin should say so and stop")]
#![expect(clippy::panic, reason = "as above")]

#[path = "x264/direct.rs"]
mod direct;
mod turns;

fn main() {
    direct::run();
}
