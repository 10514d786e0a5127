//! Send ring: the same bytes to many sockets by one call to the kernel (`io_uring`).

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::{IoUring, opcode, squeue, types};

/// Most sends of one call.
pub(super) const SENDS_MAX: usize = 64;

/// Of every send: it neither waits nor raises a signal.
const FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// A ring whose requests are all over when a call returns.
pub(super) struct SendRing(IoUring);

impl SendRing {
    pub(super) fn new() -> io::Result<Self> {
        IoUring::new(u32::try_from(SENDS_MAX).unwrap_or(1)).map(Self)
    }

    /// Sends `pieces` to each of `sockets`, of which there are at most [`SENDS_MAX`], without
    /// waiting for room. Gives `take` the number of each and what `sendmsg` would have said.
    ///
    /// # Errors
    /// If the kernel takes no more requests. Those that `take` has not heard of have not been sent.
    pub(super) fn send<'a>(
        &mut self,
        sockets: impl Iterator<Item = (usize, BorrowedFd<'a>)>,
        pieces: &[IoSlice<'_>],
        mut take: impl FnMut(usize, io::Result<usize>),
    ) -> io::Result<()> {
        // SAFETY: `msghdr` is plain data, for which zero is valid.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = pieces.as_ptr().cast_mut().cast();
        message.msg_iovlen = pieces.len();
        let sends = sockets.map(|(number, socket)| {
            let fd = types::Fd(socket.as_raw_fd());
            let send = opcode::SendMsg::new(fd, (&raw const message).cast());
            send.flags(FLAGS.cast_unsigned()).build().user_data(number as u64)
        });
        // SAFETY: `IoSlice` has the layout of `iovec` by its documentation, and the kernel only
        // reads through it. The message, the pieces and the sockets are borrowed until this call
        // returns.
        unsafe { self.run(sends, &mut take) }
    }

    /// Sends to each of `sockets`, of which there are at most [`SENDS_MAX`], its own bytes.
    ///
    /// # Errors
    /// As [`SendRing::send`].
    pub(super) fn send_each<'a>(
        &mut self,
        sockets: impl Iterator<Item = (usize, BorrowedFd<'a>, &'a [u8])>,
        mut take: impl FnMut(usize, io::Result<usize>),
    ) -> io::Result<()> {
        let sends = sockets.map(|(number, socket, bytes)| {
            let fd = types::Fd(socket.as_raw_fd());
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let send = opcode::Send::new(fd, bytes.as_ptr(), length);
            send.flags(FLAGS).build().user_data(number as u64)
        });
        // SAFETY: the kernel reads at most as many bytes as there are; they and the sockets are
        // borrowed until this call returns.
        unsafe { self.run(sends, &mut take) }
    }

    /// Makes these requests, and gives `take` what became of each.
    ///
    /// # Safety
    /// They are sends with [`FLAGS`], and what they point at lives until this returns.
    unsafe fn run(
        &mut self,
        sends: impl Iterator<Item = squeue::Entry>,
        take: &mut dyn FnMut(usize, io::Result<usize>),
    ) -> io::Result<()> {
        let mut left = 0_usize;
        for send in sends {
            // SAFETY: what it points at lives until this returns, by the caller's promise, and no
            // request lives longer: one with MSG_DONTWAIT is never put off, so it is over when the
            // call that submits it returns.
            let pushed = unsafe { self.0.submission().push(&send) };
            pushed.map_err(io::Error::other)?;
            left += 1;
        }
        while left > 0 {
            let submitted = self.0.submit_and_wait(left);
            for done in self.0.completion() {
                left -= 1;
                let number = usize::try_from(done.user_data()).unwrap_or(usize::MAX);
                let sent = usize::try_from(done.result());
                take(number, sent.map_err(|_| io::Error::from_raw_os_error(-done.result())));
            }
            match submitted {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}
