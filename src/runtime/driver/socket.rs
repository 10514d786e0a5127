//! TCP sockets of peers: their options, what the kernel says about them, and sends of many pieces.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::media::Micros;
use crate::shard::TcpInfo;

/// Unsent bytes in the kernel above which a socket counts as full: 170 ms at 6 Mb/s.
const NOTSENT_LOWAT_BYTES: u32 = 128 << 10;

/// The same of connections to other servers, which are few: 40 ms at 6 Mb/s. At a low bitrate much
/// more would come in gusts, too late for what must not be dropped.
const NOTSENT_LOWAT_BYTES_OUT: u32 = 32 << 10;

/// Options for live media: what could wait, and be dropped, in a stream's log does not wait in the
/// kernel. A peer that acknowledges nothing for `user_timeout` is gone. Nothing blocks.
pub(super) fn tune(stream: &TcpStream, user_timeout: Micros) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(NOTSENT_LOWAT_BYTES)?;
    socket.set_tcp_user_timeout(Some(user_timeout.into()))
}

/// Begins to connect. It stands, or has failed, when the socket is ready to be written to.
pub(super) fn connect(address: SocketAddr, user_timeout: Micros) -> io::Result<TcpStream> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    let stream = TcpStream::from(socket);
    tune(&stream, user_timeout)?;
    SockRef::from(&stream).set_tcp_notsent_lowat(NOTSENT_LOWAT_BYTES_OUT)?;
    match SockRef::from(&stream).connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(stream),
    }
}

/// Sends `pieces` in order by one call and says how many bytes the socket took.
///
/// # Errors
/// `WouldBlock` if the socket is full; anything else ends the connection.
pub(super) fn send(stream: &TcpStream, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        // A socket that the peer has closed is an error, and no signal.
        let sent = SockRef::from(stream).send_vectored_with_flags(pieces, libc::MSG_NOSIGNAL);
        match sent {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            sent => return sent,
        }
    }
}

/// Lets fewer bytes than these come without the socket becoming ready (`SO_RCVLOWAT`). The end of
/// the connection is always told.
pub(super) fn receive_low_water(stream: &TcpStream, bytes: u32) {
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
    // Where it fails, the socket becomes ready at each byte, which is only slower.
    drop(set_option(stream, libc::SO_RCVLOWAT, bytes));
}

/// Lets the kernel spread what is sent over time: at most `bps` bits per second.
pub(super) fn pace(stream: &TcpStream, bps: u64) {
    let bytes: libc::c_ulong = (bps / 8).max(1);
    // Where it fails, the socket is sent to as fast as it takes.
    drop(set_option(stream, libc::SO_MAX_PACING_RATE, bytes));
}

/// Sets an option whose value is a number of the kernel's size.
fn set_option<T: Copy>(stream: &TcpStream, option: i32, value: T) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
    let (fd, from) = (stream.as_raw_fd(), (&raw const value).cast());
    // SAFETY: the socket is borrowed and so stays open; the kernel reads `size` bytes of `value`,
    // which outlives the call.
    let done = unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, from, size) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Asks the kernel about the connection; `None` if it does not say (Linux before 4.6).
pub(super) fn tcp_info(stream: &TcpStream) -> Option<TcpInfo> {
    // `struct tcp_info` of linux/tcp.h, in words of 32 bits, as far as is read here.
    let mut words = [0_u32; 40];
    let mut length = libc::socklen_t::try_from(size_of_val(&words)).ok()?;
    // SAFETY: the socket is borrowed and so stays open; the kernel writes at most `length` bytes
    // into `words`, which has as many, and says in `length` how many they were.
    let done = unsafe {
        let to = words.as_mut_ptr().cast();
        libc::getsockopt(stream.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, to, &raw mut length)
    };
    if done != 0 || length < 37 * 4 {
        return None;
    }
    let [low, high] = if cfg!(target_endian = "little") { [30, 31] } else { [31, 30] };
    Some(TcpInfo {
        rtt: Micros(words[17].into()),
        unacked: words[6],
        notsent_bytes: words[36],
        bytes_acked: u64::from(words[low]) | u64::from(words[high]) << 32,
    })
}

/// The address as people write it: a socket on `::` gives IPv4 peers as `::ffff:192.0.2.1`.
pub(super) const fn plain(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (ours, listener.accept().unwrap().0)
    }

    fn number(stream: &TcpStream, option: i32) -> u64 {
        let (mut found, mut size) = (0_u64, 8);
        let to = (&raw mut found).cast();
        // SAFETY: the socket is open, and the number has the size that is given.
        let read = unsafe {
            libc::getsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, option, to, &raw mut size)
        };
        assert_eq!(read, 0);
        found
    }

    #[test]
    fn a_pace_is_what_the_kernel_knows_in_bytes_per_second() {
        let (socket, _other) = pair();
        for (bps, bytes) in [(8_000_000, 1_000_000), (80_000_000_000, 10_000_000_000)] {
            pace(&socket, bps);
            assert_eq!(number(&socket, libc::SO_MAX_PACING_RATE), bytes);
        }
        receive_low_water(&socket, 512);
        assert_eq!(number(&socket, libc::SO_RCVLOWAT), 512);
    }

    #[test]
    fn tcp_tells_what_has_been_acknowledged_and_what_waits() {
        let (ours, mut theirs) = pair();
        tune(&ours, Micros::from_secs(10)).unwrap();
        send(&ours, &[IoSlice::new(&[7; 1_000])]).unwrap();
        // A byte back says that all has arrived: it acknowledges what came before it.
        theirs.read_exact(&mut [0; 1_000]).unwrap();
        theirs.write_all(b"x").unwrap();
        ours.set_nonblocking(false).unwrap();
        (&ours).read_exact(&mut [0]).unwrap();
        ours.set_nonblocking(true).unwrap();
        let info = tcp_info(&ours).unwrap();
        assert!(info.bytes_acked >= 1_000 && !info.has_unacknowledged(), "{info:?}");
        let big = vec![0; 1 << 16];
        let full = loop {
            if let Err(error) = send(&ours, &[IoSlice::new(&big)]) {
                break error;
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        let info = tcp_info(&ours).unwrap();
        assert!(info.notsent_bytes > 0 && info.has_unacknowledged(), "{info:?}");
    }

    #[test]
    fn pieces_arrive_in_order_and_a_closed_socket_is_an_error() {
        let (ours, mut theirs) = pair();
        let pieces = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two")];
        assert_eq!(send(&ours, &pieces).unwrap(), 7);
        let mut got = [0; 7];
        theirs.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"one two");
        ours.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(send(&ours, &[IoSlice::new(b"x")]).is_err(), "no signal, an error");
    }

    #[test]
    fn an_ipv4_peer_is_shown_as_one_whatever_the_socket_is_bound_to() {
        let shown = |text: &str| plain(text.parse().unwrap()).to_string();
        assert_eq!(shown("[::ffff:192.0.2.1]:5"), "192.0.2.1:5");
        assert_eq!(shown("[2001:db8::1]:5"), "[2001:db8::1]:5");
        assert_eq!(shown("192.0.2.1:5"), "192.0.2.1:5");
    }
}
