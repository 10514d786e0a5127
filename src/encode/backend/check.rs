//! Check of hardware in a child process: a driver that crashes or hangs takes no stream with it.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::sync_channel;
use std::sync::{OnceLock, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use crate::ffi::uptime_seconds;

/// Longest time of a check: opening the first session on a cold GPU takes seconds.
const CHECK_LIMIT: Duration = Duration::from_secs(10);

/// How long the outcome of a check is believed, seconds: channels that start together ask once.
const BELIEVED_SECONDS: u64 = 60;

/// The program that checks, and its command for it, once it has said so.
static CHECKER: OnceLock<(PathBuf, &str)> = OnceLock::new();

/// Hardware is checked by this program: it is run with `command` and an encoder's name.
pub(in crate::encode) fn check_with(program: PathBuf, command: &'static str) {
    drop(CHECKER.set((program, command)));
}

/// Whether there is somebody to check.
pub(super) fn has_checker() -> bool {
    CHECKER.get().is_some()
}

/// When the last check was made, in seconds of uptime, and how it ended.
type Believed = Option<(u64, Result<String, String>)>;

/// The check of one encoder's hardware.
pub(super) struct Check {
    encoder: &'static str,
    #[expect(clippy::disallowed_types, reason = "held while encoders are opened, and not else")]
    believed: std::sync::Mutex<Believed>,
}

impl Check {
    pub(super) const fn of(encoder: &'static str) -> Self {
        #[expect(clippy::disallowed_types, reason = "as above")]
        let believed = std::sync::Mutex::new(None);
        Self { encoder, believed }
    }

    /// Whether the hardware here encodes, and what of it: asked at most once a minute.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) fn verdict(&self) -> Result<String, String> {
        let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        let now = uptime_seconds();
        if let Some((_, outcome)) = believed.as_ref().filter(|(at, _)| now < at + BELIEVED_SECONDS)
        {
            return outcome.clone();
        }
        let outcome = self.ask();
        *believed = Some((now, outcome.clone()));
        outcome
    }

    /// The same, asked now, and believed from now on.
    ///
    /// # Errors
    /// As for [`Check::verdict`].
    pub(super) fn now(&self) -> Result<String, String> {
        let outcome = self.ask();
        let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        *believed = Some((uptime_seconds(), outcome.clone()));
        outcome
    }

    fn ask(&self) -> Result<String, String> {
        let encoder = self.encoder;
        let Some((program, command)) = CHECKER.get() else {
            return Err(format!(
                "it is checked by the program stream-manager alone: another program that wants it \
                 says `encoder = \"{encoder}\"`"
            ));
        };
        run(Command::new(program).arg(command).arg(encoder))
    }
}

/// Runs a checker, and ends it when it takes too long.
fn run(command: &mut Command) -> Result<String, String> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let child = command.spawn().map_err(|error| format!("it cannot be checked: {error}"))?;
    let id = child.id().cast_signed();
    let (tell, told) = sync_channel(1);
    // Whoever waits for a process that the kernel does not let go of waits for good.
    let wait = move || drop(tell.try_send(Child::wait_with_output(child)));
    Builder::new()
        .name("hardware-check".to_owned())
        .spawn(wait)
        .map_err(|error| format!("it cannot be checked: {error}"))?;
    match told.recv_timeout(CHECK_LIMIT) {
        Ok(Ok(output)) => outcome(&output),
        Ok(Err(error)) => Err(format!("it cannot be checked: {error}")),
        Err(_) => {
            // SAFETY: plain values. The child has not been waited for, so the number is still its.
            unsafe { libc::kill(id, libc::SIGKILL) };
            let limit = CHECK_LIMIT.as_secs();
            Err(format!("its driver did not answer within {limit} s when it was checked"))
        }
    }
}

fn outcome(output: &Output) -> Result<String, String> {
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if let Some(signal) = output.status.signal() {
        return Err(format!("its driver crashed (signal {signal}) when it was checked"));
    }
    if output.status.success() { Ok(text) } else { Err(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<String, String> {
        run(Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn what_a_check_says_is_believed_and_why_it_fails_is_told() {
        assert_eq!(shell("echo a GPU"), Ok("a GPU".to_owned()));
        assert_eq!(shell("echo no GPU; exit 1"), Err("no GPU".to_owned()));
        assert!(shell("kill -SEGV $$").unwrap_err().contains("crashed (signal 11)"));
        let absent = run(&mut Command::new("/nowhere/stream-manager")).unwrap_err();
        assert!(absent.contains("cannot be checked"), "{absent}");
    }

    #[test]
    fn a_check_that_hangs_is_ended() {
        let error = shell("while :; do sleep 1; done").unwrap_err();
        assert!(error.contains("within 10 s"), "{error}");
    }
}
