//! Stack copies: what a thread was doing when a signal came, written down by the signal's handler.
//!
//! The handler calls `pwrite` of the thread's stack into a file in memory. That is the one call
//! that reads memory of unknown extent without a fault, that every sandbox allows, and that POSIX
//! allows in a handler; frames are followed later, in the copy, by a thread that may take its time.

use std::ffi::{c_int, c_void};
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, AtomicUsize, Ordering};

/// Bytes of a stack that are copied, from its innermost frame on. What lies further out is missing
/// at the root of its stack.
const STACK_BYTES: usize = 64 << 10;

/// Samples that wait to be read.
const SLOTS: usize = 64;

/// Frames of a stack that are followed.
pub(super) const FRAMES_MAX: usize = 128;

/// The signal that profilers use.
pub(super) const SIGNAL: c_int = libc::SIGPROF;

/// A slot that the handler may fill, one that it fills, and one that may be read.
const FREE: u8 = 0;
const BUSY: u8 = 1;
const FULL: u8 = 2;

/// What timers have asked for.
pub(super) static TIMED: Store = Store::new();

/// What [`StackSamples`] has asked for.
static ASKED: Store = Store::new();

/// Registers that a stack is followed from.
#[derive(Clone, Copy, Debug, Default)]
struct Registers {
    pc: u64,
    fp: u64,
    sp: u64,
}

/// A place for one sample.
struct Slot {
    state: AtomicU8,
    thread: AtomicI32,
    pc: AtomicU64,
    fp: AtomicU64,
    sp: AtomicU64,
    bytes: AtomicUsize,
}

impl Slot {
    const fn new() -> Self {
        Self {
            state: AtomicU8::new(FREE),
            thread: AtomicI32::new(0),
            pc: AtomicU64::new(0),
            fp: AtomicU64::new(0),
            sp: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
        }
    }
}

/// Samples between the threads that make them, in a signal handler, and one reader.
pub(super) struct Store {
    /// The file in memory that stacks are copied to, each slot's at its own place.
    file: OnceLock<OwnedFd>,
    slots: [Slot; SLOTS],
    next: AtomicUsize,
    missed: AtomicU64,
}

impl Store {
    const fn new() -> Self {
        Self {
            file: OnceLock::new(),
            slots: [const { Slot::new() }; SLOTS],
            next: AtomicUsize::new(0),
            missed: AtomicU64::new(0),
        }
    }

    /// Makes what the handler needs.
    ///
    /// # Errors
    /// If there is no file in memory to be had, or somebody else handles the signal.
    pub(super) fn open(&self) -> io::Result<()> {
        if self.file.get().is_none() {
            // SAFETY: the name is a string with an end.
            let fd = unsafe { libc::memfd_create(c"stacks".as_ptr(), libc::MFD_CLOEXEC) };
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: the descriptor was just opened and is nobody else's.
            let file = unsafe { OwnedFd::from_raw_fd(fd) };
            // Another thread may have been faster; one file is as good as the other.
            drop(self.file.set(file));
        }
        handle_signal()
    }

    /// Writes down the calling thread's stack. Runs in a signal handler: no memory is allocated,
    /// nothing is locked, `errno` is the caller's to restore.
    fn take(&self, registers: Registers) {
        let Some(file) = self.file.get() else { return };
        let at = self.next.fetch_add(1, Ordering::Relaxed) % SLOTS;
        let slot = &self.slots[at];
        let free = slot.state.compare_exchange(FREE, BUSY, Ordering::Acquire, Ordering::Relaxed);
        if free.is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let place = (at * STACK_BYTES) as libc::off_t;
        // SAFETY: the kernel reads as much of the stack as there is, and says how much that was.
        let (thread, copied) = unsafe {
            let stack = registers.sp as *const c_void;
            (libc::gettid(), libc::pwrite(file.as_raw_fd(), stack, STACK_BYTES, place))
        };
        slot.thread.store(thread, Ordering::Relaxed);
        slot.pc.store(registers.pc, Ordering::Relaxed);
        slot.fp.store(registers.fp, Ordering::Relaxed);
        slot.sp.store(registers.sp, Ordering::Relaxed);
        slot.bytes.store(usize::try_from(copied).unwrap_or(0), Ordering::Relaxed);
        slot.state.store(FULL, Ordering::Release);
    }

    /// Reads what was written down since the last call.
    pub(super) fn drain(&self, mut each: impl FnMut(Sample)) {
        let Some(file) = self.file.get() else { return };
        for (at, slot) in self.slots.iter().enumerate() {
            if slot.state.load(Ordering::Acquire) != FULL {
                continue;
            }
            let mut stack = vec![0; slot.bytes.load(Ordering::Relaxed)];
            let place = (at * STACK_BYTES) as libc::off_t;
            // SAFETY: the buffer has the length that is given.
            let read = unsafe {
                libc::pread(file.as_raw_fd(), stack.as_mut_ptr().cast(), stack.len(), place)
            };
            stack.truncate(usize::try_from(read).unwrap_or(0));
            let registers = Registers {
                pc: slot.pc.load(Ordering::Relaxed),
                fp: slot.fp.load(Ordering::Relaxed),
                sp: slot.sp.load(Ordering::Relaxed),
            };
            let thread = slot.thread.load(Ordering::Relaxed);
            slot.state.store(FREE, Ordering::Release);
            each(Sample { thread, registers, stack });
        }
    }

    /// Gives back the memory of the copies, and says how many samples found no free slot.
    pub(super) fn close(&self) -> u64 {
        self.drain(drop);
        if let Some(file) = self.file.get() {
            // SAFETY: no memory is involved. A handler that writes later makes the file longer.
            unsafe { libc::ftruncate(file.as_raw_fd(), 0) };
        }
        self.missed.swap(0, Ordering::Relaxed)
    }
}

/// Has the signal handled, unless that is done already.
///
/// # Errors
/// If somebody else handles it.
fn handle_signal() -> io::Result<()> {
    let ours = on_signal as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
    let ours = ours as libc::sighandler_t;
    // SAFETY: both structs are plain data; the handler has the signature that `SA_SIGINFO` wants.
    unsafe {
        let mut before: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(SIGNAL, std::ptr::null(), &raw mut before) != 0 {
            return Err(io::Error::last_os_error());
        }
        if before.sa_sigaction == ours {
            return Ok(());
        }
        if before.sa_sigaction != libc::SIG_DFL {
            return Err(io::Error::other("another profiler in this process handles SIGPROF"));
        }
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ours;
        // Calls that the signal interrupts go on, where the kernel can do that.
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
        match libc::sigaction(SIGNAL, &raw const action, std::ptr::null_mut()) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

extern "C" fn on_signal(_: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives both, as `SA_SIGINFO` asks for; `errno` is the thread's own.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        let is_timed = (*info).si_code == libc::SI_TIMER;
        let store = if is_timed { &TIMED } else { &ASKED };
        store.take(registers(&*context.cast()));
        *errno = before;
    }
}

#[cfg(target_arch = "x86_64")]
const fn registers(context: &libc::ucontext_t) -> Registers {
    let all = &context.uc_mcontext.gregs;
    Registers {
        pc: all[libc::REG_RIP as usize].cast_unsigned(),
        fp: all[libc::REG_RBP as usize].cast_unsigned(),
        sp: all[libc::REG_RSP as usize].cast_unsigned(),
    }
}

#[cfg(target_arch = "aarch64")]
const fn registers(context: &libc::ucontext_t) -> Registers {
    let all = &context.uc_mcontext;
    Registers { pc: all.pc, fp: all.regs[29], sp: all.sp }
}

/// What one thread was doing at one moment.
pub(super) struct Sample {
    /// The thread's number in the kernel.
    pub(super) thread: i32,
    registers: Registers,
    /// The memory from the stack pointer on.
    stack: Vec<u8>,
}

impl Sample {
    /// Addresses in the functions that were running, innermost first: of the instruction that came
    /// next, and of those that are returned to. `own` is where the functions of this program are,
    /// which keep frame pointers; what others call is missing if they do not.
    pub(super) fn frames(&self, own: &Range<u64>) -> Vec<u64> {
        let Registers { pc, mut fp, sp } = self.registers;
        let mut frames = vec![pc];
        // A leaf function of the C library has made no frame: its caller is on top of the stack.
        if !own.contains(&pc)
            && let Some(caller) = self.word(sp).filter(|caller| own.contains(caller))
            && self.word(fp.wrapping_add(8)) != Some(caller)
        {
            frames.push(caller);
        }
        while frames.len() < FRAMES_MAX {
            let (Some(outer), Some(caller)) = (self.word(fp), self.word(fp.wrapping_add(8))) else {
                break;
            };
            if caller == 0 {
                break;
            }
            frames.push(caller);
            // Frames lie further out, each beyond the one before, or this register is used for
            // something else there.
            if outer <= fp {
                break;
            }
            fp = outer;
        }
        frames
    }

    /// The eight bytes at this address, if it is in the copy.
    fn word(&self, address: u64) -> Option<u64> {
        let from = usize::try_from(address.checked_sub(self.registers.sp)?).ok()?;
        if !address.is_multiple_of(8) {
            return None;
        }
        let bytes = self.stack.get(from..)?.first_chunk::<8>()?;
        Some(u64::from_ne_bytes(*bytes))
    }
}

/// Where the program's own functions are.
pub(super) fn own_code() -> Range<u64> {
    unsafe extern "C" {
        static __executable_start: u8;
        static etext: u8;
    }
    // The linker defines both; only their addresses are taken.
    let (start, end) = (&raw const __executable_start, &raw const etext);
    start as u64..end as u64
}

/// Stacks of single threads, as they are asked for.
#[derive(Debug, Default)]
pub(crate) struct StackSamples(());

impl StackSamples {
    /// Asks thread `thread` of this process, by its number in the kernel, what it is doing. It
    /// answers as soon as it runs; one that waits in a call answers at once, and waits again where
    /// the kernel can have it do so.
    ///
    /// # Errors
    /// If the thread has ended, or somebody else handles the signal.
    pub(crate) fn ask(&self, thread: i32) -> io::Result<()> {
        ASKED.open()?;
        // SAFETY: no memory is involved.
        let sent = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL) };
        if sent == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The answers since the last call: each thread, and addresses in its functions, innermost
    /// first.
    pub(crate) fn answers(&self) -> Vec<(i32, Vec<u64>)> {
        let mut answers = Vec::new();
        ASKED.drain(|sample| answers.push((sample.thread, sample.frames(&own_code()))));
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(pc: u64, fp: u64, sp: u64, words: &[u64]) -> Sample {
        let stack = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        Sample { thread: 1, registers: Registers { pc, fp, sp }, stack }
    }

    const OWN: Range<u64> = 100..1_000;

    #[test]
    fn frames_are_followed_outwards_to_the_first_function_of_the_thread() {
        // At 0x1000: a frame at 0x1010 (outer 0x1030, back to 201), and one with nobody outside.
        let words = [7, 7, 0x1030, 201, 7, 7, 0, 202];
        assert_eq!(sample(200, 0x1010, 0x1000, &words).frames(&OWN), [200, 201, 202]);
        let words = [7, 7, 0x1030, 201, 7, 7, 0, 0];
        assert_eq!(sample(200, 0x1010, 0x1000, &words).frames(&OWN), [200, 201]);
    }

    #[test]
    fn a_frame_register_that_holds_something_else_ends_the_stack() {
        let words = [7, 7, 0x1030, 201];
        for fp in [0, 0x0fff_fff8, 0x1011, 0x1018, u64::MAX - 7] {
            let frames = sample(200, fp, 0x1000, &words).frames(&OWN);
            assert_eq!(frames, [200], "frame pointer {fp:x}");
        }
        // A frame that lies further in, or at the same place, would go round for ever.
        let words = [7, 7, 0x1010, 201];
        assert_eq!(sample(200, 0x1010, 0x1000, &words).frames(&OWN), [200, 201]);
        let words = [0x1000_u64.wrapping_sub(16); 64];
        assert_eq!(sample(200, 0x1010, 0x1000, &words).frames(&OWN).len(), 2);
    }

    #[test]
    fn a_stack_that_is_deeper_than_the_limit_is_cut_at_its_root() {
        let words: Vec<u64> = (0..2 * FRAMES_MAX as u64)
            .flat_map(|number| [0x1000 + (number + 1) * 16, 300 + number])
            .collect();
        let frames = sample(200, 0x1000, 0x1000, &words).frames(&OWN);
        assert_eq!(frames.len(), FRAMES_MAX);
        assert_eq!(frames[..3], [200, 300, 301]);
    }

    #[test]
    fn the_caller_of_a_leaf_function_of_a_library_is_on_top_of_the_stack() {
        let words = [201, 7, 0x1030, 202, 7, 7, 0, 0];
        assert_eq!(sample(5_000, 0x1010, 0x1000, &words).frames(&OWN), [5_000, 201, 202]);
        assert_eq!(sample(200, 0x1010, 0x1000, &words).frames(&OWN), [200, 202], "it is ours");
        let words = [9_000, 7, 0x1030, 202, 7, 7, 0, 0];
        assert_eq!(sample(5_000, 0x1010, 0x1000, &words).frames(&OWN), [5_000, 202]);
    }
}
