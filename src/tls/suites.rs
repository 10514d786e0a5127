//! Cipher suites that let the records of a connection be sealed outside of rustls too.
//!
//! rustls does the handshake, opens what comes, and seals what it has to say itself: alerts, and
//! the word that another key follows. It asks the suite for what seals its records, and gets a
//! [`Sealer`] that the connection's [`Link`](super::Link) can share: both count one sequence.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use ring::aead::{self, AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305};
use rustls::crypto::cipher::{
    AeadKey, Iv, KeyBlockShape, MessageDecrypter, MessageEncrypter, NONCE_LEN,
    OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls12AeadAlgorithm,
    Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::crypto::{CryptoProvider, ring as theirs};
use rustls::{
    CipherSuite, CipherSuiteCommon, ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion,
    SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite,
};

use super::records::{Format, Pieces, Sealer};

/// What rustls has sealed while it was watched.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    /// Whether it has sealed anything at all.
    pub(super) any: bool,
    /// Who has sealed the last record, if that carries the connection's bytes: the key in use.
    pub(super) data_sealer: Option<Arc<Sealer>>,
}

thread_local! {
    static WATCHED: RefCell<Option<Sealed>> = const { RefCell::new(None) };
}

/// Lets rustls `work` on one connection, and says what it sealed meanwhile.
pub(super) fn watch<R>(work: impl FnOnce() -> R) -> (R, Sealed) {
    WATCHED.set(Some(Sealed::default()));
    let result = work();
    (result, WATCHED.take().unwrap_or_default())
}

/// The one set of algorithms that is used, whatever else is linked.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = theirs::default_provider();
        provider.cipher_suites.iter_mut().for_each(|suite| *suite = shared(*suite, None));
        provider.cipher_suites.sort_by_key(rank);
        Arc::new(provider)
    });
    Arc::clone(&PROVIDER)
}

/// Place of a suite among those that both ends know: TLS 1.3 first, and there what seals fastest.
/// AES with keys of 128 bits takes five sixths of the time of 256, and `ChaCha20` four times as
/// long.
fn rank(suite: &SupportedCipherSuite) -> (bool, u8) {
    let cost = match algorithm(*suite) {
        Some(algorithm) if *algorithm == AES_128_GCM => 0,
        Some(algorithm) if *algorithm == AES_256_GCM => 1,
        _ => 2,
    };
    (suite.tls13().is_none(), cost)
}

/// The algorithm of a suite, if it is known here.
fn algorithm(suite: SupportedCipherSuite) -> Option<&'static aead::Algorithm> {
    use CipherSuite as S;
    match suite.suite() {
        S::TLS13_AES_128_GCM_SHA256
        | S::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | S::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => Some(&AES_128_GCM),
        S::TLS13_AES_256_GCM_SHA384
        | S::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | S::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => Some(&AES_256_GCM),
        S::TLS13_CHACHA20_POLY1305_SHA256
        | S::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        | S::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => Some(&CHACHA20_POLY1305),
        _ => None,
    }
}

/// The same suite with our algorithm; one that is not known here stays as it is. A key seals at
/// most `records_max` records, or as many as the suite says.
pub(super) fn shared(
    suite: SupportedCipherSuite,
    records_max: Option<u64>,
) -> SupportedCipherSuite {
    let Some(algorithm) = algorithm(suite) else { return suite };
    let common = |common: &CipherSuiteCommon| CipherSuiteCommon {
        confidentiality_limit: records_max.unwrap_or(common.confidentiality_limit),
        ..*common
    };
    match suite {
        SupportedCipherSuite::Tls13(suite) => {
            let common = common(&suite.common);
            let records_max = common.confidentiality_limit;
            let aead = SharedTls13 { theirs: suite.aead_alg, algorithm, records_max };
            SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                common,
                hkdf_provider: suite.hkdf_provider,
                aead_alg: Box::leak(Box::new(aead)),
                quic: None,
            })))
        }
        SupportedCipherSuite::Tls12(suite) => {
            let common = common(&suite.common);
            let records_max = common.confidentiality_limit;
            let is_gcm = *algorithm != CHACHA20_POLY1305;
            let format = if is_gcm { Format::Tls12Explicit } else { Format::Tls12Implicit };
            let aead = SharedTls12 { theirs: suite.aead_alg, algorithm, format, records_max };
            SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
                common,
                prf_provider: suite.prf_provider,
                kx: suite.kx,
                sign: suite.sign,
                aead_alg: Box::leak(Box::new(aead)),
            })))
        }
    }
}

/// A cipher of TLS 1.3. What opens records is rustls' own.
struct SharedTls13 {
    theirs: &'static dyn Tls13AeadAlgorithm,
    algorithm: &'static aead::Algorithm,
    records_max: u64,
}

impl Tls13AeadAlgorithm for SharedTls13 {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        let nonce = iv.as_ref().try_into().ok();
        let sealer = nonce.and_then(|nonce| {
            let format = Format::Tls13;
            Sealer::new(self.algorithm, key.as_ref(), nonce, format, self.records_max)
        });
        match sealer {
            Some(sealer) => Box::new(SharedSealer(Arc::new(sealer))),
            None => self.theirs.encrypter(key, iv),
        }
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        self.theirs.decrypter(key, iv)
    }

    fn key_len(&self) -> usize {
        self.theirs.key_len()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.theirs.extract_keys(key, iv)
    }
}

/// A cipher of TLS 1.2. What opens records is rustls' own.
struct SharedTls12 {
    theirs: &'static dyn Tls12AeadAlgorithm,
    algorithm: &'static aead::Algorithm,
    format: Format,
    records_max: u64,
}

impl Tls12AeadAlgorithm for SharedTls12 {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        // The nonce of a record is this one with its number in it; AES-GCM begins to count at
        // `extra`.
        let mut nonce = [0; NONCE_LEN];
        let sealer = if iv.len() + extra.len() == NONCE_LEN {
            let (fixed, counted) = nonce.split_at_mut(iv.len());
            fixed.copy_from_slice(iv);
            counted.copy_from_slice(extra);
            Sealer::new(self.algorithm, key.as_ref(), nonce, self.format, self.records_max)
        } else {
            None
        };
        match sealer {
            Some(sealer) => Box::new(SharedSealer(Arc::new(sealer))),
            None => self.theirs.encrypter(key, iv, extra),
        }
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        self.theirs.decrypter(key, iv)
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        self.theirs.key_block_shape()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        extra: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.theirs.extract_keys(key, iv, extra)
    }
}

/// What seals records for rustls.
struct SharedSealer(Arc<Sealer>);

impl MessageEncrypter for SharedSealer {
    /// The number that rustls counts is not the record's: others have been sealed without it.
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        _number: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let is_data = message.typ == ContentType::ApplicationData;
        WATCHED.with_borrow_mut(|watched| {
            if let Some(sealed) = watched {
                sealed.any = true;
                sealed.data_sealer = is_data.then(|| Arc::clone(&self.0));
            }
        });
        let plain = message.payload.to_vec();
        let mut record = Vec::new();
        let pieces = [std::io::IoSlice::new(&plain)];
        self.0
            .seal(message.typ, &mut Pieces::new(&pieces), plain.len(), &mut record)
            .map_err(|_| Error::EncryptError)?;
        let [content, _, _, _, _, payload @ ..] = &record[..] else {
            return Err(Error::EncryptError);
        };
        let payload = PrefixedPayload::from(payload);
        Ok(OutboundOpaqueMessage::new((*content).into(), ProtocolVersion::TLSv1_2, payload))
    }

    fn encrypted_payload_len(&self, plain: usize) -> usize {
        self.0.payload_bytes(plain)
    }
}
