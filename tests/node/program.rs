//! Programs the scenarios run: their output is captured, and they end with their scenario.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::wait::{SOON, wait_until};

/// A running program.
pub(crate) struct Program {
    name: String,
    child: Child,
    out: Capture,
    err: Capture,
}

/// What a program that has ended leaves.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Program {
    /// Starts `name` with arguments separated by spaces, then `last` as they are.
    pub(crate) fn start(name: &str, arguments: &str, last: &[&str]) -> Self {
        let mut command = Command::new(name);
        command.args(arguments.split_whitespace()).args(last);
        Self::spawn(name, command)
    }

    pub(crate) fn spawn(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{name} does not start ({error}): `make deps` installs what the tests need")
        });
        let out = Capture::of(child.stdout.take().unwrap());
        let err = Capture::of(child.stderr.take().unwrap());
        Self { name: name.to_owned(), child, out, err }
    }

    /// What it has written to standard output so far, as text.
    pub(crate) fn out_text(&self) -> String {
        String::from_utf8_lossy(&self.out.bytes()).into_owned()
    }

    /// What it has written to standard error so far.
    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.err.bytes()).into_owned()
    }

    /// Waits until it has written these words to standard error, and gives all that it has: what it
    /// logs is here a little later.
    pub(crate) fn says(&self, words: &str) -> String {
        wait_until(SOON, words, || Some(self.err()).filter(|err| err.contains(words)))
    }

    /// Bytes written to standard output so far, and the last `count` of them from a multiple of
    /// `count` on.
    pub(crate) fn last_block(&self, count: usize) -> (usize, Vec<u8>) {
        let bytes = self.out.shared();
        let end = bytes.len() / count * count;
        (bytes.len(), bytes[end.saturating_sub(count)..end].to_vec())
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is running.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        // The child has not been reaped, so that the id is its own.
        let kill = format!("kill -s {signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self, limit: Duration) -> Ended {
        let what = format!("{} ends", self.name);
        let status = wait_until(limit, &what, || self.child.try_wait().unwrap());
        let out = self.out.whole();
        let err = String::from_utf8_lossy(&self.err.whole()).into_owned();
        Ended { status, out, err }
    }

    /// Asks it to end by Ctrl-C, and waits.
    pub(crate) fn interrupted(self, limit: Duration) -> Ended {
        self.signal("INT");
        self.ended(limit)
    }

    /// Waits for its end, which has to be a success.
    pub(crate) fn succeeds(self, limit: Duration) -> Vec<u8> {
        let name = self.name.clone();
        let Ended { status, out, err } = self.ended(limit);
        assert!(status.success(), "{name} failed ({status}):\n{err}");
        out
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.runs() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
        if thread::panicking() {
            let (out, err) = (last(&self.out_text()), last(&self.err()));
            println!("---- {} wrote at last:\n{out}\n---- and as errors:\n{err}", self.name);
        }
    }
}

/// Lines of a program's output that a failure shows.
const SHOWN: usize = 60;

fn last(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN)..].join("\n")
}

/// Reads a pipe to its end on a thread of its own.
struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Capture {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut block = [0; 16 << 10];
            while let Ok(count @ 1..) = pipe.read(&mut block) {
                kept.lock().unwrap().extend_from_slice(&block[..count]);
            }
        });
        Self { bytes, reader: Some(reader) }
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes(&self) -> Vec<u8> {
        self.shared().clone()
    }

    fn whole(&mut self) -> Vec<u8> {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        std::mem::take(&mut self.shared())
    }
}
