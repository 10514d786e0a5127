//! CPU time of processes and threads.

use std::io;

/// CPU time of all threads of a process, dead ones included, seconds.
///
/// # Errors
/// If there is no such process.
pub(crate) fn process_seconds(pid: u32) -> io::Result<f64> {
    // How Linux numbers the CPU clocks of processes: clock_getcpuclockid(3).
    let clock = (!i64::from(pid)) << 3 | 2;
    read(libc::clockid_t::try_from(clock).map_err(io::Error::other)?)
}

/// CPU time of the calling thread, seconds.
pub(super) fn thread_seconds() -> f64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or(0.0)
}

/// Memory of a process that is in RAM, KiB.
///
/// # Errors
/// If there is no such process.
pub(super) fn resident_kib(pid: u32) -> io::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::other("the system does not say"))
}

fn read(clock: libc::clockid_t) -> io::Result<f64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the timespec outlives the call, which writes nothing else.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    Ok(time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_time_and_memory_can_be_read() {
        assert!(thread_seconds() >= 0.0);
        assert!(process_seconds(std::process::id()).unwrap() > 0.0);
        assert!(resident_kib(std::process::id()).unwrap() > 100.0);
        assert!(process_seconds(0x3fff_fff0).is_err());
    }
}
