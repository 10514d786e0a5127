//! Redis errors, translated to those of a key store.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::control::keystore::StoreError;

/// Whether another connection may do better.
pub(super) fn is_lost(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly, TryAgain};
    let elsewhere = matches!(
        error.kind(),
        ErrorKind::Server(ReadOnly | MasterDown | BusyLoading | ClusterDown | TryAgain)
    );
    elsewhere || error.is_io_error() || error.is_cluster_error() || error.is_unrecoverable_error()
}

/// In our words. Redis repeats no password.
pub(super) fn store_error(error: &RedisError) -> StoreError {
    use ServerErrorKind::NoPerm;
    let refused =
        matches!(
            error.kind(),
            ErrorKind::AuthenticationFailed
                | ErrorKind::Server(NoPerm)
                | ErrorKind::InvalidClientConfig
        ) || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM" | "WRONGTYPE"));
    let text = error.to_string();
    if refused { StoreError::Refused(text) } else { StoreError::Away(text) }
}
