//! Request head limits of the HTTP port: how many header lines, and how many bytes in all.

use hyper::server::conn::http1::Builder;

/// Header lines of a request. More are answered with 431.
const HEADERS_MAX: usize = 64;

/// Bytes of a request's head. More are answered with 431.
pub(super) const HEAD_BYTES_MAX: usize = 16 << 10;

/// Reads requests within these limits. There is no deadline yet: that takes a clock.
pub(super) fn reader() -> Builder {
    let mut reader = Builder::new();
    reader.max_headers(HEADERS_MAX).max_buf_size(HEAD_BYTES_MAX);
    reader
}
