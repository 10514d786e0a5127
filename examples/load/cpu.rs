//! What a process has cost.

use std::io;

/// CPU time of all threads of a process, seconds.
pub(crate) fn cpu_seconds(pid: u32) -> io::Result<f64> {
    let mut nanos = 0.0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // "nanoseconds on a CPU, nanoseconds waiting for one, slices"; gone if the thread is.
        let Ok(stat) = std::fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        nanos += stat.split(' ').next().and_then(|run| run.parse::<f64>().ok()).unwrap_or(0.0);
    }
    Ok(nanos * 1e-9)
}
