//! Preflight check of the machine, before any executor starts: each failure is named with its
//! remedy, because glommio would panic on its own thread instead.

use std::fmt;
use std::io;

/// Locked memory that glommio asks for at the least, even of root.
const MEMLOCK_BYTES_MIN: u64 = 512 << 10;

/// Open files below which a node is of no use: every viewer is one.
const NOFILE_MIN: u64 = 256;

/// What is missing, why, and what to do about it.
#[derive(Debug)]
pub struct Failure {
    what: &'static str,
    cause: String,
    remedy: &'static str,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  what to do: {}", self.what, self.cause, self.remedy)
    }
}

impl std::error::Error for Failure {}

/// Checks `io_uring`, locked memory, open files and CPUs; raises soft limits to their hard limits.
///
/// # Errors
/// The first thing that is missing. The process should end with exit code 78 (`EX_CONFIG`).
pub fn preflight() -> Result<(), Failure> {
    io_uring()?;
    memlock(raise(libc::RLIMIT_MEMLOCK))?;
    nofile(raise(libc::RLIMIT_NOFILE))?;
    if super::allowed_cpus().is_empty() {
        return Err(Failure {
            what: "CPU affinity",
            cause: "the process may run on no CPU that can be named".to_owned(),
            remedy: "check taskset, cpuset or AllowedCPUs= of the service",
        });
    }
    Ok(())
}

fn io_uring() -> Result<(), Failure> {
    // `struct io_uring_params` is 120 bytes; zero asks for the defaults.
    let mut params = [0_u64; 15];
    // SAFETY: the kernel writes at most the 120 bytes of `params`, which is 8-byte aligned.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 2, params.as_mut_ptr()) };
    if fd < 0 {
        return Err(io_uring_failure(&io::Error::last_os_error()));
    }
    if let Ok(fd) = i32::try_from(fd) {
        // SAFETY: the descriptor was opened above and is used by nobody else.
        unsafe { libc::close(fd) };
    }
    Ok(())
}

fn io_uring_failure(cause: &io::Error) -> Failure {
    let remedy = match cause.raw_os_error() {
        Some(libc::EPERM) => {
            "io_uring is blocked: in a container use a seccomp profile that allows io_uring_setup, \
             io_uring_enter and io_uring_register (Docker: --security-opt seccomp=unconfined); on \
             the host set `sysctl kernel.io_uring_disabled=0`"
        }
        Some(libc::ENOSYS) => "this kernel has no io_uring: use Linux 5.8 or newer",
        Some(libc::ENOMEM) => {
            "locked memory is exhausted: raise `ulimit -l` (systemd: LimitMEMLOCK=infinity)"
        }
        _ => "free resources (open files, memory) and start again",
    };
    Failure { what: "io_uring", cause: cause.to_string(), remedy }
}

fn memlock(limit: u64) -> Result<(), Failure> {
    if limit >= MEMLOCK_BYTES_MIN {
        return Ok(());
    }
    Err(Failure {
        what: "locked memory",
        cause: format!("the limit is {} KiB, and 512 KiB are needed", limit >> 10),
        remedy: "raise it: `ulimit -l unlimited`, or LimitMEMLOCK=infinity for a systemd service",
    })
}

fn nofile(limit: u64) -> Result<(), Failure> {
    if limit >= NOFILE_MIN {
        return Ok(());
    }
    Err(Failure {
        what: "open files",
        cause: format!("the limit is {limit}, and {NOFILE_MIN} are needed"),
        remedy: "raise it: `ulimit -n 65536`, or LimitNOFILE=65536 for a systemd service",
    })
}

/// Raises a soft limit to its hard limit and gives what it is then.
fn raise(resource: libc::__rlimit_resource_t) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls only touch `limit`.
    unsafe {
        if libc::getrlimit(resource, &raw mut limit) != 0 {
            return 0;
        }
        let wanted = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
        if libc::setrlimit(resource, &raw const wanted) == 0 {
            return wanted.rlim_cur;
        }
    }
    limit.rlim_cur
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_says_what_to_do() {
        for code in [libc::EPERM, libc::ENOSYS, libc::ENOMEM, libc::EMFILE] {
            let text = io_uring_failure(&io::Error::from_raw_os_error(code)).to_string();
            assert!(text.starts_with("io_uring: ") && text.contains("what to do: "), "{text}");
        }
        assert!(memlock(64 << 10).unwrap_err().to_string().contains("64 KiB"));
        assert!(memlock(512 << 10).is_ok());
        assert!(nofile(255).is_err() && nofile(256).is_ok());
    }
}
