//! Raw sockets: their options, and the send path, which is one `sendmsg` for everything that is
//! ready for a peer, from the memory it lies in.

use std::io::{self, IoSlice, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, RawFd};

use super::shard::BLOCKED_MAX;
use crate::media::Micros;

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
    tune_for(fd, BLOCKED_MAX)
}

/// The same for a peer that is gone when it has taken nothing for the time `blocked`.
pub(super) fn tune_for(fd: RawFd, blocked: Micros) -> io::Result<()> {
    // SAFETY: the descriptor belongs to the caller's socket and stays open during the call.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let socket = socket2::SockRef::from(&fd);
    socket.set_cloexec(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(NOTSENT_LOWAT_BYTES)?;
    socket.set_tcp_user_timeout(Some(blocked.into()))
}

/// Unsent bytes in the kernel above which a socket counts as full: 170 ms at 6 Mb/s.
const NOTSENT_LOWAT_BYTES: u32 = 128 << 10;

/// Bytes of sound and other small things that do not wake us while a publisher sends pictures: they
/// are read with the picture that follows, which is when they would go out.
const SOUND_BYTES: i32 = 512;

/// Lets the arrival of less than a picture pass unnoticed, or (with false) of nothing. The end of
/// the connection is always noticed.
pub(super) fn wait_for_pictures(fd: RawFd, wait: bool) {
    let bytes = if wait { SOUND_BYTES } else { 1 };
    let (value, len) = (&raw const bytes, libc::socklen_t::try_from(size_of::<i32>()).unwrap_or(4));
    // SAFETY: the descriptor belongs to the caller's socket, and the number outlives the call.
    // Where it fails, everything is noticed, which is only slower.
    unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT, value.cast(), len) };
}

/// Lets the kernel spread what is sent over time: at most `bps` bits per second.
pub(super) fn pace(fd: RawFd, bps: u64) {
    let bytes: libc::c_ulong = (bps / 8).max(1);
    let size = libc::socklen_t::try_from(size_of::<libc::c_ulong>()).unwrap_or(8);
    let (value, option) = (&raw const bytes, libc::SO_MAX_PACING_RATE);
    // SAFETY: the descriptor belongs to the caller's socket, and the number outlives the call.
    // Where it fails, the socket is sent to as fast as it takes.
    unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, value.cast(), size) };
}

/// What TCP says about a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct TcpFigures {
    /// Smoothed time to the peer and back.
    pub(super) rtt: Micros,
    /// Segments sent and not acknowledged.
    pub(super) unacked: u32,
    /// Bytes in the socket that have not been sent.
    pub(super) notsent_bytes: u32,
    /// Bytes that the peer's machine has acknowledged.
    pub(super) bytes_acked: u64,
}

impl TcpFigures {
    /// Whether anything waits for the peer's machine.
    pub(super) const fn has_unacknowledged(&self) -> bool {
        self.unacked > 0 || self.notsent_bytes > 0
    }
}

/// Says to the peer that nothing more will come. What it says can still be read.
pub(super) fn end_sending(fd: RawFd) {
    // SAFETY: the descriptor belongs to the caller's socket and stays open during the call.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    // Where it fails, the connection is gone.
    drop(socket2::SockRef::from(&fd).shutdown(std::net::Shutdown::Write));
}

/// Asks the kernel about a TCP connection; `None` if it does not say (Linux before 4.6).
pub(super) fn tcp_figures(fd: RawFd) -> Option<TcpFigures> {
    // `struct tcp_info` of linux/tcp.h, in words of 32 bits, as far as is read here.
    let mut words = [0_u32; 40];
    let mut length = libc::socklen_t::try_from(size_of_val(&words)).ok()?;
    // SAFETY: the kernel writes at most `length` bytes into `words`, which has as many, and says in
    // `length` how many they were.
    let done = unsafe {
        let to = words.as_mut_ptr().cast();
        libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, to, &raw mut length)
    };
    if done != 0 || length < 37 * 4 {
        return None;
    }
    let [low, high] = if cfg!(target_endian = "little") { [30, 31] } else { [31, 30] };
    Some(TcpFigures {
        rtt: Micros(words[17].into()),
        unacked: words[6],
        notsent_bytes: words[36],
        bytes_acked: u64::from(words[low]) | u64::from(words[high]) << 32,
    })
}

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

/// Reads what has come into `input`, without blocking, and says how many bytes that was; 0 at the
/// end.
///
/// # Errors
/// `WouldBlock` if nothing has come; anything else ends the connection.
pub(super) fn receive(fd: RawFd, input: &mut [u8]) -> io::Result<usize> {
    loop {
        // SAFETY: the kernel writes into `input` only. The descriptor belongs to the caller's
        // socket.
        let count =
            unsafe { libc::recv(fd, input.as_mut_ptr().cast(), input.len(), libc::MSG_DONTWAIT) };
        if let Ok(count) = usize::try_from(count) {
            return Ok(count);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Whether something has come that has not been read. An end, or an error, is nothing.
pub(super) fn has_unread(fd: RawFd) -> bool {
    let mut byte = [0_u8];
    let (to, flags) = (byte.as_mut_ptr().cast(), libc::MSG_PEEK | libc::MSG_DONTWAIT);
    // SAFETY: the kernel writes at most one byte, which `byte` has. The descriptor belongs to the
    // caller's socket.
    unsafe { libc::recv(fd, to, byte.len(), flags) > 0 }
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

/// The address as people write it: a socket on `::` gives IPv4 peers as `::ffff:192.0.2.1`.
pub(super) const fn plain(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_pace_is_what_the_kernel_knows_in_bytes_per_second() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        for (bps, bytes) in [(8_000_000, 1_000_000), (80_000_000_000, 10_000_000_000)] {
            pace(socket.as_raw_fd(), bps);
            let mut found: libc::c_ulong = 0;
            let mut size = libc::socklen_t::try_from(size_of_val(&found)).unwrap();
            let (value, option) = (&raw mut found, libc::SO_MAX_PACING_RATE);
            // SAFETY: the socket is open, and the number has the size that is given.
            let read = unsafe {
                let fd = socket.as_raw_fd();
                libc::getsockopt(fd, libc::SOL_SOCKET, option, value.cast(), &raw mut size)
            };
            assert_eq!((read, found), (0, bytes));
        }
    }

    #[test]
    fn tcp_tells_what_has_been_acknowledged_and_what_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        ours.set_nonblocking(true).unwrap();
        send(ours.as_raw_fd(), &[IoSlice::new(&[7; 1_000])]).unwrap();
        // A byte back says that all has arrived: it acknowledges what came before it.
        (&theirs).read_exact(&mut [0; 1_000]).unwrap();
        send(theirs.as_raw_fd(), &[IoSlice::new(b"x")]).unwrap();
        ours.set_nonblocking(false).unwrap();
        (&ours).read_exact(&mut [0]).unwrap();
        let figures = tcp_figures(ours.as_raw_fd()).unwrap();
        assert!(figures.bytes_acked >= 1_000 && !figures.has_unacknowledged(), "{figures:?}");
        let big = vec![0; 1 << 16];
        while send(ours.as_raw_fd(), &[IoSlice::new(&big)]).is_ok() {}
        let figures = tcp_figures(ours.as_raw_fd()).unwrap();
        assert!(figures.notsent_bytes > 0 && figures.has_unacknowledged(), "{figures:?}");
        let (unix, _other) = UnixStream::pair().unwrap();
        assert!(tcp_figures(unix.as_raw_fd()).is_none());
    }

    #[test]
    fn an_ipv4_peer_is_shown_as_one_whatever_the_socket_is_bound_to() {
        let shown = |text: &str| plain(text.parse().unwrap()).to_string();
        assert_eq!(shown("[::ffff:192.0.2.1]:5"), "192.0.2.1:5");
        assert_eq!(shown("[2001:db8::1]:5"), "[2001:db8::1]:5");
        assert_eq!(shown("192.0.2.1:5"), "192.0.2.1:5");
    }

    #[test]
    fn pieces_arrive_in_order_and_a_full_socket_says_so() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let pieces = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two")];
        assert_eq!(send(ours.as_raw_fd(), &pieces).unwrap(), 7);
        let mut got = [0; 8];
        assert_eq!(receive(theirs.as_raw_fd(), &mut got).unwrap(), 7);
        assert_eq!(&got[..7], b"one two");
        assert!(!has_unread(theirs.as_raw_fd()) && !has_unread(ours.as_raw_fd()));
        send(ours.as_raw_fd(), &[IoSlice::new(b"three")]).unwrap();
        assert!(has_unread(theirs.as_raw_fd()));
        assert_eq!(receive(theirs.as_raw_fd(), &mut got).unwrap(), 5, "nothing was taken");
        let none = receive(theirs.as_raw_fd(), &mut got).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
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
