//! Preflight check of the machine, before anything starts: which driver it can run, and what is
//! missing for any, with its remedy. (glommio would panic on its own thread instead.)

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::raised_limits::soft;
use super::scheduling::allowed_cpus;
use super::{DriverKind, Worker};

/// Locked memory that glommio asks for at the least, even of root.
const MEMLOCK_BYTES_MIN: u64 = 512 << 10;

/// Open files below which a node is of no use: every viewer is one.
const NOFILE_MIN: u64 = 256;

/// `IORING_REGISTER_PROBE` of `linux/io_uring.h`: which operations there are, since Linux 5.6.
const REGISTER_PROBE: u32 = 8;

/// What the configuration says about drivers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// glommio where the machine can run it, else epoll.
    #[default]
    Auto,
    /// This one, or no start.
    Only(DriverKind),
}

/// The driver that runs the shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenDriver {
    /// Which it is.
    pub kind: DriverKind,
    /// Why it is that one, for people.
    pub reason: String,
}

impl fmt::Display for ChosenDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.reason)
    }
}

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

/// Checks open files, CPUs, and what the wanted driver needs. Which driver it will be.
///
/// # Errors
/// The first thing that is missing. The process should end with exit code 78 (`EX_CONFIG`).
pub fn preflight(wanted: DriverChoice) -> Result<ChosenDriver, Failure> {
    nofile(soft(libc::RLIMIT_NOFILE))?;
    if allowed_cpus().is_empty() {
        return Err(Failure {
            what: "CPU affinity",
            cause: "the process may run on no CPU that can be named".to_owned(),
            remedy: "check taskset, cpuset or AllowedCPUs= of the service",
        });
    }
    choose(wanted, check_io_uring)
}

/// Whether the machine can run glommio: `io_uring` and the memory that its rings lock.
///
/// # Errors
/// What is missing.
pub fn check_io_uring() -> Result<(), Failure> {
    // On a thread of its own: the end of a ring interrupts calls of the thread that has made it.
    let tried = Worker::spawn("preflight", Vec::new(), 0, io_uring);
    let ring = tried.and_then(|worker| {
        worker.join().unwrap_or_else(|| Err(io::Error::other("the check of it has failed")))
    });
    ring.map_err(|error| io_uring_failure(&error))?;
    memlock(soft(libc::RLIMIT_MEMLOCK))
}

fn choose(
    wanted: DriverChoice,
    glommio: impl FnOnce() -> Result<(), Failure>,
) -> Result<ChosenDriver, Failure> {
    let configured = || "it is configured".to_owned();
    let (kind, reason) = match wanted {
        DriverChoice::Only(DriverKind::Epoll) => (DriverKind::Epoll, configured()),
        DriverChoice::Only(DriverKind::Glommio) => {
            glommio()?;
            (DriverKind::Glommio, configured())
        }
        DriverChoice::Auto => match glommio() {
            Ok(()) => (DriverKind::Glommio, "io_uring and locked memory are there".to_owned()),
            Err(Failure { what, cause, .. }) => {
                (DriverKind::Epoll, format!("glommio cannot run here: {what}: {cause}"))
            }
        },
    };
    Ok(ChosenDriver { kind, reason })
}

/// Sets up a ring, asks it for its operations and enters it: a sandbox may forbid any of these.
fn io_uring() -> io::Result<()> {
    // `struct io_uring_params` is 120 bytes; zero asks for the defaults.
    let mut params = [0_u64; 15];
    // SAFETY: the kernel writes at most the 120 bytes of `params`, which is 8-byte aligned.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 2, params.as_mut_ptr()) };
    let ring = i32::try_from(checked(ring)?).map_err(io::Error::other)?;
    // SAFETY: the descriptor is new, so this is its one owner.
    let ring = unsafe { OwnedFd::from_raw_fd(ring) };
    // `struct io_uring_probe`: 16 bytes, and 8 for each operation.
    let mut probe = [0_u64; 2 + 64];
    let (fd, to) = (ring.as_raw_fd(), probe.as_mut_ptr());
    // SAFETY: the kernel writes at most 16 bytes and 8 for each of 64 operations: all of `probe`.
    checked(unsafe { libc::syscall(libc::SYS_io_uring_register, fd, REGISTER_PROBE, to, 64) })?;
    let nothing = std::ptr::null::<u64>();
    // SAFETY: nothing is submitted or waited for, and there is no signal mask.
    checked(unsafe { libc::syscall(libc::SYS_io_uring_enter, fd, 0, 0, 0, nothing, 0) })?;
    Ok(())
}

fn checked(result: i64) -> io::Result<i64> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn io_uring_failure(cause: &io::Error) -> Failure {
    let remedy = match cause.raw_os_error() {
        Some(libc::EPERM) => {
            "io_uring is blocked: say `[cores] driver = \"epoll\"`; or, in a container, use a \
             seccomp profile that allows io_uring_setup, io_uring_enter and io_uring_register \
             (Docker: --security-opt seccomp=unconfined), and on the host set \
             `sysctl kernel.io_uring_disabled=0`"
        }
        Some(libc::ENOSYS | libc::EINVAL) => {
            "this kernel has no io_uring that glommio can use: say `[cores] driver = \"epoll\"`, \
             or use Linux 5.8 or newer"
        }
        Some(libc::ENOMEM) => {
            "locked memory is exhausted: raise `ulimit -l` (systemd: LimitMEMLOCK=infinity), or \
             say `[cores] driver = \"epoll\"`"
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
        remedy: "raise it: `ulimit -l unlimited`, or LimitMEMLOCK=infinity for a systemd service; \
                 or say `[cores] driver = \"epoll\"`",
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

    #[test]
    fn what_glommio_lacks_ends_the_start_only_if_nothing_else_will_do() {
        let refused = || Err(io_uring_failure(&io::Error::from_raw_os_error(libc::EPERM)));
        let kind = |wanted| choose(wanted, refused).map(|chosen| chosen.kind);
        assert_eq!(kind(DriverChoice::Auto).unwrap(), DriverKind::Epoll);
        assert_eq!(kind(DriverChoice::Only(DriverKind::Epoll)).unwrap(), DriverKind::Epoll);
        let text = kind(DriverChoice::Only(DriverKind::Glommio)).unwrap_err().to_string();
        assert!(text.contains("driver = \"epoll\""), "{text}");
        let reason = choose(DriverChoice::Auto, refused).unwrap().to_string();
        assert!(reason.starts_with("epoll: glommio cannot run here: io_uring: "), "{reason}");
        assert_eq!(choose(DriverChoice::Auto, || Ok(())).unwrap().kind, DriverKind::Glommio);
    }
}
