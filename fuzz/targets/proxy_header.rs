//! PROXY headers: decided once and for all by as few bytes as can be, within the limit, and the
//! source that one names is read back from both versions.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, SocketAddr};
use stream_manager_fuzz::web::proxy::{PROXY_BYTES_MAX, Parsed, read};

/// A header of version 1.
fn v1(source: SocketAddr) -> Vec<u8> {
    let (family, ip, port) = (if source.is_ipv4() { 4 } else { 6 }, source.ip(), source.port());
    format!("PROXY TCP{family} {ip} {ip} {port} 1935\r\n").into_bytes()
}

/// A header of version 2.
fn v2(source: SocketAddr) -> Vec<u8> {
    let mut ip = match source.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let (family, length) = if ip.len() == 4 { (0x11, 12) } else { (0x21, 36) };
    ip.extend_from_within(..);
    let port = source.port().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n\x21", &[family, 0, length][..], &ip, &port, &[7, 0x8f]].concat()
}

fuzz_target!(|data: &[u8]| {
    let said = read(data);
    let most = data.len().min(PROXY_BYTES_MAX);
    match (0..=most).find(|count| read(&data[..*count]) != Parsed::Incomplete) {
        None => {
            assert_eq!(said, Parsed::Incomplete);
            assert!(data.len() < PROXY_BYTES_MAX, "a full buffer decides");
        }
        Some(count) => {
            for more in (count..=data.len()).step_by(1 + data.len() / 64) {
                assert_eq!(read(&data[..more]), said, "{count} bytes decided, {more} came");
            }
            if let Parsed::Source(_, used) = said {
                assert_eq!(used, count, "what follows the header is the peer's own");
            }
        }
    }
    let Parsed::Source(Some(source), _) = said else { return };
    assert_eq!(source.ip(), source.ip().to_canonical());
    for header in [v1(source), v2(source)] {
        assert_eq!(read(&header), Parsed::Source(Some(source), header.len()));
        assert_eq!(
            read(&[&header[..], b"\x03"].concat()),
            Parsed::Source(Some(source), header.len())
        );
    }
});
