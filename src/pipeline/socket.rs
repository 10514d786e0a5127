//! Raw sockets: their options, and the send path, which is one `sendmsg` for everything that is
//! ready for a peer, from the memory it lies in.

use std::io::{self, IoSlice, Write};
use std::net::TcpListener;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, RawFd};

use super::shard::BLOCKED_MAX;

/// Most pieces of memory in one call. More would save nothing at the sizes of messages.
pub(super) const PIECES_MAX: usize = 64;

/// Most bytes in one call, so that one peer cannot keep the core from the others.
pub(super) const BYTES_MAX: usize = 512 << 10;

/// Hands a listening socket to the executor of this core.
pub(super) fn adopt(listener: TcpListener) -> glommio::net::TcpListener {
    // SAFETY: `into_raw_fd` gives up the descriptor, so glommio's listener is its one owner.
    unsafe { glommio::net::TcpListener::from_raw_fd(listener.into_raw_fd()) }
}

/// Socket options for live media: nothing waits in the kernel that could wait, and be dropped, in
/// our log.
pub(super) fn tune(fd: RawFd) -> io::Result<()> {
    // SAFETY: the descriptor belongs to the caller's socket and stays open during the call.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let socket = socket2::SockRef::from(&fd);
    socket.set_cloexec(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(NOTSENT_LOWAT_BYTES)?;
    socket.set_tcp_user_timeout(Some(BLOCKED_MAX.into()))
}

/// Unsent bytes in the kernel above which a socket counts as full: 170 ms at 6 Mb/s.
const NOTSENT_LOWAT_BYTES: u32 = 128 << 10;

/// Sends `pieces` without blocking and says how many bytes the socket took.
///
/// # Errors
/// `WouldBlock` if the socket is full; anything else ends the connection.
pub(super) fn send(fd: RawFd, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    // SAFETY: `msghdr` is plain data, for which zero is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = pieces.as_ptr().cast_mut().cast();
    message.msg_iovlen = pieces.len();
    loop {
        // SAFETY: `IoSlice` has the layout of `iovec` by its documentation, the kernel only reads
        // through it, and the slices outlive the call. The descriptor belongs to the caller's
        // socket.
        let sent = unsafe {
            libc::sendmsg(fd, &raw const message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
        };
        if let Ok(sent) = usize::try_from(sent) {
            return Ok(sent);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// The socket of this descriptor, which the caller owns and keeps open, as a writer that does not
/// block.
pub(super) struct Raw(pub(super) RawFd);

impl Write for Raw {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        send(self.0, &[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        send(self.0, pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn pieces_arrive_in_order_and_a_full_socket_says_so() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let pieces = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two")];
        assert_eq!(send(ours.as_raw_fd(), &pieces).unwrap(), 7);
        let mut got = [0; 7];
        theirs.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"one two");
        let big = vec![0; 1 << 16];
        let full = loop {
            if let Err(error) = send(ours.as_raw_fd(), &[IoSlice::new(&big)]) {
                break error;
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        drop(theirs);
        assert!(send(ours.as_raw_fd(), &[IoSlice::new(b"x")]).is_err(), "no signal, an error");
    }
}
