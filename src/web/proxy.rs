//! The PROXY protocol, versions 1 and 2: a proxy says whose connection it passes on before the
//! first byte of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest header of any version, bytes.
pub const PROXY_BYTES_MAX: usize = V2_BYTES_MAX;

/// Longest header of version 1, with its line end.
const V1_BYTES_MAX: usize = 107;

/// Longest header of version 2 that is taken: addresses and some extras.
const V2_BYTES_MAX: usize = 16 + 1_024;

/// How a header of version 2 begins.
const V2_BEGIN: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// How a header of version 1 begins.
const V1_BEGIN: &[u8; 6] = b"PROXY ";

/// What a connection's first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Not enough yet to know.
    Incomplete,
    /// No proxy speaks.
    Absent,
    /// This many bytes are the proxy's; who connected to it, if it says so (a health check of its
    /// own does not).
    Source(Option<SocketAddr>, usize),
    /// It begins like a header, and is none.
    Invalid,
}

/// Reads a header from the first bytes of a connection.
#[must_use]
pub fn read(bytes: &[u8]) -> Parsed {
    let begins = |with: &[u8]| {
        let count = bytes.len().min(with.len());
        bytes[..count] == with[..count]
    };
    if begins(V2_BEGIN) {
        read_v2(bytes)
    } else if begins(V1_BEGIN) {
        read_v1(bytes)
    } else {
        Parsed::Absent
    }
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 50000 1935\r\n`
fn read_v1(bytes: &[u8]) -> Parsed {
    // No further than a header may reach, so that it is the same however the bytes come.
    let line = &bytes[..bytes.len().min(V1_BYTES_MAX)];
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < V1_BYTES_MAX { Parsed::Incomplete } else { Parsed::Invalid };
    };
    let Ok(line) = str::from_utf8(&bytes[..end]) else { return Parsed::Invalid };
    let used = end + 2;
    let mut words = line.split(' ').skip(1);
    let (family, source) = (words.next(), words.next());
    let port = words.nth(1).and_then(|port| port.parse().ok());
    let address: Option<IpAddr> = source.and_then(|source| source.parse().ok());
    match (family, address, port) {
        (Some("UNKNOWN"), ..) => Parsed::Source(None, used),
        (Some("TCP4" | "TCP6"), Some(address), Some(port)) => {
            Parsed::Source(Some(SocketAddr::new(address.to_canonical(), port)), used)
        }
        _ => Parsed::Invalid,
    }
}

fn read_v2(bytes: &[u8]) -> Parsed {
    let Some((head, rest)) = bytes.split_at_checked(16) else { return Parsed::Incomplete };
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    let used = 16 + length;
    if head[12] >> 4 != 2 || used > V2_BYTES_MAX {
        return Parsed::Invalid;
    }
    let Some(body) = rest.get(..length) else { return Parsed::Incomplete };
    match (head[12] & 15, head[13]) {
        (0, _) => Parsed::Source(None, used),
        (1, 0x11) => {
            let source = body.first_chunk::<4>().map(|ip| IpAddr::V4(Ipv4Addr::from(*ip)));
            in_v2(source, body.get(8..10), used)
        }
        (1, 0x21) => {
            let source = body.first_chunk::<16>().map(|ip| IpAddr::V6(Ipv6Addr::from(*ip)));
            in_v2(source, body.get(32..34), used)
        }
        (1, _) => Parsed::Source(None, used),
        _ => Parsed::Invalid,
    }
}

fn in_v2(address: Option<IpAddr>, port: Option<&[u8]>, used: usize) -> Parsed {
    match (address, port) {
        (Some(address), Some(&[high, low])) => {
            let port = u16::from_be_bytes([high, low]);
            Parsed::Source(Some(SocketAddr::new(address.to_canonical(), port)), used)
        }
        _ => Parsed::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str, used: usize) -> Parsed {
        Parsed::Source(Some(text.parse().unwrap()), used)
    }

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&V2_BEGIN[..], &[0x20 | command, family], &length, body].concat()
    }

    #[test]
    fn both_versions_name_the_source_in_both_families() {
        let line = b"PROXY TCP4 192.0.2.1 198.51.100.1 50000 1935\r\n\x03rest";
        assert_eq!(read(line), source("192.0.2.1:50000", line.len() - 5));
        let line = b"PROXY TCP6 2001:db8::1 ::1 50000 1935\r\n";
        assert_eq!(read(line), source("[2001:db8::1]:50000", line.len()));
        let four = v2(1, 0x11, &[192, 0, 2, 1, 198, 51, 100, 1, 0xc3, 0x50, 7, 0x8f, 9, 9]);
        assert_eq!(read(&four), source("192.0.2.1:50000", four.len()), "extras are left out");
        let mut body = [0; 36];
        (body[15], body[32], body[33]) = (1, 0xc3, 0x50);
        let six = v2(1, 0x21, &body);
        assert_eq!(read(&six), source("[::1]:50000", six.len()));
    }

    #[test]
    fn a_proxy_that_speaks_for_itself_names_nobody() {
        assert_eq!(read(b"PROXY UNKNOWN\r\n"), Parsed::Source(None, 15));
        let longest = [b"PROXY UNKNOWN ", &[b'x'; 91][..], b"\r\n"].concat();
        assert_eq!(read(&longest), Parsed::Source(None, V1_BYTES_MAX));
        let local = v2(0, 0, &[]);
        assert_eq!(read(&local), Parsed::Source(None, 16));
        let unix = v2(1, 0x31, &[0; 216]);
        assert_eq!(read(&unix), Parsed::Source(None, unix.len()));
    }

    #[test]
    fn every_beginning_of_a_header_waits_for_the_rest() {
        let line = b"PROXY TCP4 192.0.2.1 198.51.100.1 50000 1935\r\n".to_vec();
        let block = v2(1, 0x11, &[192, 0, 2, 1, 198, 51, 100, 1, 0xc3, 0x50, 7, 0x8f]);
        for header in [line, block] {
            for end in 0..header.len() {
                assert_eq!(read(&header[..end]), Parsed::Incomplete, "{end} bytes");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_the_peers_own() {
        for bytes in [&b"\x03\0\0\0\0"[..], b"GET / HTTP/1.1", b"\x16\x03\x01", b"PUT /"] {
            assert_eq!(read(bytes), Parsed::Absent);
        }
    }

    #[test]
    fn a_broken_header_is_an_error_and_takes_bounded_memory() {
        for line in [
            &b"PROXY TCP4 here there 1 2\r\n"[..],
            b"PROXY \r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 70000 1935\r\n",
            &[b"PROXY ", &[b'x'; 200][..]].concat(),
            &[b"PROXY UNKNOWN ", &[b'x'; 92][..], b"\r\n"].concat(),
            &v2(1, 0x11, &[1, 2, 3]),
            &v2(7, 0x11, &[0; 12]),
            &v2(1, 0x11, &[0; 2_000]),
        ] {
            assert_eq!(read(line), Parsed::Invalid, "{line:?}");
        }
    }
}
