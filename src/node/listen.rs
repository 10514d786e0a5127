//! The RTMP listening sockets: one per shard, bound before anything else starts, so that a port in
//! use is said before a thread exists.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Peers that may wait to be accepted.
const BACKLOG: i32 = 4_096;

/// An address that cannot be listened on.
#[derive(Debug)]
pub struct ListenError {
    address: SocketAddr,
    cause: io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, cause } = self;
        write!(f, "cannot listen for RTMP on {address}: ")?;
        match cause.kind() {
            io::ErrorKind::AddrInUse => write!(
                f,
                "port {} is in use by another program; stop it, or choose another port with \
                 [rtmp] port or --rtmp-port",
                address.port()
            ),
            io::ErrorKind::PermissionDenied => {
                f.write_str("ports below 1024 need a right; choose a higher one with [rtmp] port")
            }
            io::ErrorKind::AddrNotAvailable => {
                f.write_str("this machine does not have that address; see [rtmp] bind")
            }
            _ => write!(f, "{cause}"),
        }
    }
}

impl std::error::Error for ListenError {}

/// Opens `shards` listening sockets on one address; the kernel spreads peers over them.
///
/// # Errors
/// If the address cannot be had, also when another program shares its port.
pub(crate) fn listen(
    bind: IpAddr,
    port: u16,
    shards: usize,
) -> Result<Vec<TcpListener>, ListenError> {
    let mut address = SocketAddr::new(bind, port);
    let fail = |address| move |cause| ListenError { address, cause };
    // Sockets that share a port would also share it with a second node: ask for it alone first.
    let alone = open(address, false).map_err(fail(address))?;
    if shards == 1 {
        return Ok(vec![alone]);
    }
    address = alone.local_addr().map_err(fail(address))?;
    drop(alone);
    (0..shards).map(|_| open(address, true).map_err(fail(address))).collect()
}

fn open(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_port_in_use_is_named_with_the_way_out() {
        let first = listen(LOOPBACK, 0, 2).unwrap();
        let port = first[0].local_addr().unwrap().port();
        assert_eq!(port, first[1].local_addr().unwrap().port());
        let error = listen(LOOPBACK, port, 2).unwrap_err().to_string();
        assert!(error.contains(&format!("port {port} is in use")), "{error}");
        assert!(error.contains("--rtmp-port"), "{error}");
    }
}
