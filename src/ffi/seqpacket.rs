//! Unix sockets of type `SOCK_SEQPACKET`: messages whose bounds are kept, with descriptors in them;
//! and the seals of the memory that comes that way.

use std::fs;
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

/// Descriptors that are taken out of one message. The kernel closes further ones.
const DESCRIPTORS_MAX: usize = 4;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4;

/// Who may connect: the user that runs the node.
const MODE: u32 = 0o600;

/// A socket that has been received from, and what came.
#[derive(Debug)]
pub struct Received {
    /// Bytes of the message; 0 says that the peer has closed the connection.
    pub bytes: usize,
    /// Descriptors that came with it, in their order.
    pub descriptors: Vec<OwnedFd>,
    /// The message, or the list of its descriptors, was longer than there was room for.
    pub is_cut: bool,
}

/// A listener at a path, which is removed with it.
#[derive(Debug)]
pub struct SeqpacketListener {
    socket: Socket,
    path: PathBuf,
    /// Device and number of the file, by which it is told from one that another has put there.
    file: (u64, u64),
}

impl SeqpacketListener {
    /// Listens at `path`, with mode 0600. A socket that is left there and at which nobody listens
    /// is replaced.
    ///
    /// # Errors
    /// If the folder is missing or must not be written, or something else is there already.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let address = SockAddr::unix(path)?;
        let socket = open()?;
        if let Err(error) = socket.bind(&address) {
            if error.kind() != io::ErrorKind::AddrInUse || !is_abandoned(path, &address) {
                return Err(error);
            }
            fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        // Nobody can connect before the call of `listen`.
        fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
        let about = fs::symlink_metadata(path)?;
        socket.listen(BACKLOG)?;
        Ok(Self { socket, path: path.to_owned(), file: (about.dev(), about.ino()) })
    }

    /// The next connection, if one waits.
    ///
    /// # Errors
    /// Of the system.
    pub fn accept(&self) -> io::Result<Option<Seqpacket>> {
        match self.socket.accept() {
            Ok((socket, _)) => {
                socket.set_nonblocking(true)?;
                Ok(Some(Seqpacket(socket)))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Drop for SeqpacketListener {
    fn drop(&mut self) {
        let is_mine = |about: &fs::Metadata| (about.dev(), about.ino()) == self.file;
        if fs::symlink_metadata(&self.path).is_ok_and(|about| is_mine(&about)) {
            // What cannot be removed is replaced by whoever listens there next.
            drop(fs::remove_file(&self.path));
        }
    }
}

impl AsFd for SeqpacketListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn open() -> io::Result<Socket> {
    Socket::new(Domain::UNIX, Type::SEQPACKET.cloexec().nonblocking(), None)
}

/// Whether a socket is there at which nobody listens.
fn is_abandoned(path: &Path, address: &SockAddr) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|about| about.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && open().is_ok_and(|socket| socket.connect(address).is_err_and(refused))
}

/// A connection. No call waits.
#[derive(Debug)]
pub struct Seqpacket(Socket);

impl Seqpacket {
    /// The next message; `None` if none has come.
    ///
    /// # Errors
    /// If the connection is broken.
    pub fn receive(&self, into: &mut [u8]) -> io::Result<Option<Received>> {
        let mut part = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
        let mut control = [MaybeUninit::<u64>::uninit(); 8];
        // SAFETY: all-zero is a valid empty header.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        (header.msg_iov, header.msg_iovlen) = (&raw mut part, 1);
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = control_bytes();
        let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        // SAFETY: the header's parts are borrowed mutably and live through the call.
        let bytes = unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut header, flags) };
        let Ok(bytes) = usize::try_from(bytes) else {
            let error = io::Error::last_os_error();
            let waits =
                matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
            return if waits { Ok(None) } else { Err(error) };
        };
        // SAFETY: the call has filled the header in, and nobody else takes its descriptors.
        let descriptors = unsafe { descriptors_of(&header) };
        let is_cut = header.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0;
        Ok(Some(Received { bytes, descriptors, is_cut }))
    }

    /// Sends a message.
    ///
    /// # Errors
    /// If the connection is broken, or its peer does not read: [`io::ErrorKind::WouldBlock`].
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        self.0.send_with_flags(message, flags).map(drop)
    }
}

impl AsFd for Seqpacket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Bytes of the control data of a message with all descriptors that are taken.
fn control_bytes() -> usize {
    let bytes = u32::try_from(DESCRIPTORS_MAX * size_of::<RawFd>()).unwrap_or(0);
    // SAFETY: only computes.
    unsafe { libc::CMSG_SPACE(bytes) as usize }
}

/// # Safety
/// `header` was filled in by `recvmsg`, and its descriptors are nobody else's.
unsafe fn descriptors_of(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut found = Vec::new();
    // SAFETY: by the caller; null if there is none.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !next.is_null() {
        // SAFETY: not null, and inside the control data.
        let about = unsafe { next.read_unaligned() };
        if (about.cmsg_level, about.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: only computes.
            let head = unsafe { libc::CMSG_LEN(0) } as usize;
            let count = (about.cmsg_len.saturating_sub(head)) / size_of::<RawFd>();
            // SAFETY: as many descriptors follow the head as its length says.
            let data = unsafe { libc::CMSG_DATA(next) }.cast::<[u8; size_of::<RawFd>()]>();
            found.extend((0..count).map(|index| {
                // SAFETY: as above; the kernel has just opened it for us alone.
                unsafe { OwnedFd::from_raw_fd(RawFd::from_ne_bytes(data.add(index).read())) }
            }));
        }
        // SAFETY: the header that it came from.
        next = unsafe { libc::CMSG_NXTHDR(header, next) };
    }
    found
}

/// Waits until one of these can be read or is closed, or the time is over.
pub fn wait_readable(descriptors: &[BorrowedFd<'_>], limit: Duration) {
    let mut polled: Vec<_> = descriptors
        .iter()
        .map(|it| libc::pollfd { fd: it.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    let millis = i32::try_from(limit.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX);
    let count = libc::nfds_t::try_from(polled.len()).unwrap_or(0);
    // SAFETY: as many entries as are said. Whatever it answers, the callers look for themselves.
    unsafe { libc::poll(polled.as_mut_ptr(), count, millis) };
}

/// Whether memory that was received cannot be made smaller any more. False for what is no memory:
/// to read from a pipe, or a file of a slow server, could take for ever.
#[must_use]
pub fn is_sealed_against_shrinking(memory: BorrowedFd<'_>) -> bool {
    // SAFETY: an open descriptor and no argument.
    let seals = unsafe { libc::fcntl(memory.as_raw_fd(), libc::F_GET_SEALS) };
    seals >= 0 && seals & libc::F_SEAL_SHRINK != 0
}

/// The client's side, for tests.
#[cfg(test)]
pub(crate) mod client {
    use super::*;

    /// A connection to the listener at `path`.
    pub(crate) fn connect(path: &Path) -> io::Result<Seqpacket> {
        let socket = open()?;
        socket.connect(&SockAddr::unix(path)?)?;
        Ok(Seqpacket(socket))
    }

    /// Memory of so many bytes, sealed as `seals` says.
    pub(crate) fn memory(bytes: u64, seals: i32) -> fs::File {
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: the name ends with a zero; the descriptor is new.
        let file = unsafe { libc::memfd_create(c"test".as_ptr(), flags) };
        assert!(file >= 0);
        // SAFETY: as above.
        let file = unsafe { fs::File::from_raw_fd(file) };
        file.set_len(bytes).unwrap();
        // SAFETY: an open descriptor.
        assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) }, 0);
        file
    }

    impl Seqpacket {
        /// Sends a message with descriptors.
        pub(crate) fn send_with(&self, message: &[u8], descriptors: &[BorrowedFd<'_>]) {
            let mut part = libc::iovec {
                iov_base: message.as_ptr().cast_mut().cast(),
                iov_len: message.len(),
            };
            let mut control = [0_u64; 16];
            let bytes = u32::try_from(size_of_val(descriptors)).unwrap();
            // SAFETY: all-zero is a valid empty header, and there is room for the descriptors.
            unsafe {
                let mut header: libc::msghdr = mem::zeroed();
                (header.msg_iov, header.msg_iovlen) = (&raw mut part, 1);
                header.msg_control = control.as_mut_ptr().cast();
                header.msg_controllen = libc::CMSG_SPACE(bytes) as usize;
                let first = libc::CMSG_FIRSTHDR(&raw const header);
                (*first).cmsg_level = libc::SOL_SOCKET;
                (*first).cmsg_type = libc::SCM_RIGHTS;
                (*first).cmsg_len = libc::CMSG_LEN(bytes) as usize;
                let data = libc::CMSG_DATA(first).cast::<[u8; size_of::<RawFd>()]>();
                for (index, descriptor) in descriptors.iter().enumerate() {
                    data.add(index).write(descriptor.as_raw_fd().to_ne_bytes());
                }
                assert!(libc::sendmsg(self.0.as_raw_fd(), &raw const header, 0) >= 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::client::{connect, memory};
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn messages_keep_their_bounds_and_bring_descriptors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = SeqpacketListener::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(listener.accept().unwrap().is_none());
        let client = connect(&path).unwrap();
        wait_readable(&[listener.as_fd()], LONG);
        let server = listener.accept().unwrap().unwrap();
        let mut buffer = [0; 8];
        assert!(server.receive(&mut buffer).unwrap().is_none());
        client.send(b"one").unwrap();
        client.send_with(b"two", &[memory(1, 0).as_fd(), memory(1, 0).as_fd()]);
        client.send(b"much too long").unwrap();
        drop(client);
        wait_readable(&[server.as_fd()], LONG);
        let mut next = || server.receive(&mut buffer).unwrap().unwrap();
        let got = [next(), next(), next(), next()];
        let told = got.each_ref().map(|it| (it.bytes, it.descriptors.len(), it.is_cut));
        assert_eq!(told, [(3, 0, false), (3, 2, false), (8, 0, true), (0, 0, false)]);
    }

    #[test]
    fn a_socket_that_nobody_listens_at_is_replaced_and_one_in_use_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let abandoned = open().unwrap();
        abandoned.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        let listener = SeqpacketListener::bind(&path).unwrap();
        let second = SeqpacketListener::bind(&path).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert!(!path.exists(), "the path is given back");
        fs::write(&path, "precious").unwrap();
        assert!(SeqpacketListener::bind(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn only_memory_with_the_seal_is_sealed() {
        assert!(is_sealed_against_shrinking(memory(1, libc::F_SEAL_SHRINK).as_fd()));
        assert!(!is_sealed_against_shrinking(memory(1, libc::F_SEAL_GROW).as_fd()));
        let dir = tempfile::tempdir().unwrap();
        let file = fs::File::create(dir.path().join("f")).unwrap();
        assert!(!is_sealed_against_shrinking(file.as_fd()));
        let (reader, _writer) = io::pipe().unwrap();
        assert!(!is_sealed_against_shrinking(reader.as_fd()));
    }
}
