//! TLS records, sealed by the AEAD ciphers of TLS 1.2 and 1.3 behind what a buffer holds already.
//!
//! rustls allocates memory for each record. Here the records of many pieces of plain memory lie one
//! after the other in a buffer that is used again.

use std::fmt;
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicU64, Ordering};

use ring::aead::{self, Aad, LessSafeKey, UnboundKey};
use rustls::ContentType;
use rustls::ProtocolVersion::TLSv1_2;
use rustls::crypto::cipher::{Iv, NONCE_LEN, Nonce, make_tls12_aad, make_tls13_aad};

/// Plain bytes of one record, at most (RFC 8446, section 5.1).
pub(super) const PLAIN_BYTES_MAX: usize = 16 << 10;

/// Bytes that a record has beside the plain ones, at most: its header, a nonce of TLS 1.2 or the
/// content type of TLS 1.3, and the tag.
pub(super) const OVERHEAD_BYTES_MAX: usize = HEADER_BYTES + NONCE_BYTES + 16;

/// Content type, version and length (RFC 8446, section 5.1).
const HEADER_BYTES: usize = 5;

/// The nonce that records of AES-GCM begin with in TLS 1.2 (RFC 5288, section 3).
const NONCE_BYTES: usize = 8;

/// Sequence numbers that are left when a key is given up at the latest: they must not come again.
const SEQUENCES_LEFT: u64 = 1 << 16;

/// How a cipher is used in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// TLS 1.3: the content type is sealed too (RFC 8446, section 5.2).
    Tls13,
    /// TLS 1.2 with the nonce in the record: AES-GCM (RFC 5288).
    Tls12Explicit,
    /// TLS 1.2 with the nonce of the sequence number alone: ChaCha20-Poly1305 (RFC 7905).
    Tls12Implicit,
}

/// One key for one direction, and the sequence number of its next record.
pub(super) struct Sealer {
    key: LessSafeKey,
    iv: Iv,
    format: Format,
    /// A number is taken before it is used, so that no nonce comes twice.
    sequence: AtomicU64,
    /// The number that only the record may have that announces the next key.
    sequence_max: u64,
}

impl Sealer {
    /// `None` if the key is not one of that algorithm. The key seals at most `records_max` records.
    pub(super) fn new(
        algorithm: &'static aead::Algorithm,
        key: &[u8],
        iv: [u8; NONCE_LEN],
        format: Format,
        records_max: u64,
    ) -> Option<Self> {
        Some(Self {
            key: LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?),
            iv: Iv::new(iv),
            format,
            sequence: AtomicU64::new(0),
            sequence_max: records_max.min(u64::MAX - SEQUENCES_LEFT).saturating_sub(1),
        })
    }

    /// Whether the key has sealed as much as it may: another one has to follow.
    pub(super) fn is_exhausted(&self) -> bool {
        self.sequence.load(Ordering::Relaxed) >= self.sequence_max
    }

    /// Bytes of a record that has `plain` plain ones, without its header.
    pub(super) fn payload_bytes(&self, plain: usize) -> usize {
        let more = match self.format {
            Format::Tls13 => 1,
            Format::Tls12Explicit => NONCE_BYTES,
            Format::Tls12Implicit => 0,
        };
        plain + more + self.key.algorithm().tag_len()
    }

    /// Seals the next bytes of `plain` as one record, which is appended to `records`: at most
    /// `count`, and [`PLAIN_BYTES_MAX`].
    ///
    /// # Errors
    /// If no number is left for it. Nothing is appended then.
    pub(super) fn seal(
        &self,
        content: ContentType,
        plain: &mut Pieces<'_>,
        count: usize,
        records: &mut Vec<u8>,
    ) -> io::Result<()> {
        let count = count.min(PLAIN_BYTES_MAX);
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        if sequence >= u64::MAX - SEQUENCES_LEFT / 2 {
            return Err(io::Error::other("a key of TLS has no sequence number left"));
        }
        let nonce = Nonce::new(&self.iv, sequence).0;
        let start = records.len();
        let payload = self.payload_bytes(count);
        let header = match self.format {
            Format::Tls13 => make_tls13_aad(payload),
            _ => header(content, payload),
        };
        records.reserve(HEADER_BYTES + payload);
        records.extend_from_slice(&header);
        if self.format == Format::Tls12Explicit {
            records.extend_from_slice(&nonce[NONCE_LEN - NONCE_BYTES..]);
        }
        let from = records.len();
        plain.take(count, records);
        let sealed_aad;
        let aad: &[u8] = if self.format == Format::Tls13 {
            records.push(content.into());
            &header
        } else {
            sealed_aad = make_tls12_aad(sequence, content, TLSv1_2, count);
            &sealed_aad
        };
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        match self.key.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut records[from..]) {
            Ok(tag) => records.extend_from_slice(tag.as_ref()),
            Err(ring::error::Unspecified) => {
                records.truncate(start);
                return Err(io::Error::other("a record of TLS cannot be sealed"));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("format", &self.format).finish_non_exhaustive()
    }
}

fn header(content: ContentType, payload: usize) -> [u8; HEADER_BYTES] {
    let [major, minor] = u16::from(TLSv1_2).to_be_bytes();
    let [high, low] = u16::try_from(payload).unwrap_or(u16::MAX).to_be_bytes();
    [content.into(), major, minor, high, low]
}

/// Plain bytes that lie in several pieces of memory, read from the first to the last.
#[derive(Debug)]
pub(super) struct Pieces<'a> {
    rest: &'a [IoSlice<'a>],
    /// Bytes of the first piece that have been taken.
    taken: usize,
}

impl<'a> Pieces<'a> {
    pub(super) const fn new(pieces: &'a [IoSlice<'a>]) -> Self {
        Self { rest: pieces, taken: 0 }
    }

    /// Bytes that are left.
    pub(super) fn len(&self) -> usize {
        self.rest.iter().map(|piece| piece.len()).sum::<usize>() - self.taken
    }

    /// Those of the next `count` bytes that lie in one piece; none if there are none.
    pub(super) fn first(&mut self, count: usize) -> &'a [u8] {
        while let Some((piece, rest)) = self.rest.split_first() {
            if self.taken < piece.len() {
                let piece = &piece[self.taken..];
                return &piece[..count.min(piece.len())];
            }
            (self.rest, self.taken) = (rest, 0);
        }
        &[]
    }

    /// The next `count` bytes, which lie in one piece, have been used.
    pub(super) const fn skip(&mut self, count: usize) {
        self.taken += count;
    }

    /// Appends the next `count` bytes to `to`, as far as there are any.
    fn take(&mut self, mut count: usize, to: &mut Vec<u8>) {
        while count > 0 {
            let piece = self.first(count);
            if piece.is_empty() {
                return;
            }
            to.extend_from_slice(piece);
            count -= piece.len();
            self.skip(piece.len());
        }
    }
}
