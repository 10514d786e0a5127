//! Session faults in snapshots: whom to blame stays; the words are those of this program again.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::rtmp::Error;

/// What is said of a fault from before.
const BEFORE: &str = "it did so before this node took over";

#[derive(Deserialize, Serialize)]
enum Kind {
    NotRtmp,
    Protocol,
    Limit,
    Full,
    Late,
    Idle,
    Silent,
}

pub(super) fn serialize<S: Serializer>(
    fault: &Option<Error>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let kind = fault.map(|fault| match fault {
        Error::NotRtmp(_) => Kind::NotRtmp,
        Error::Protocol(_) => Kind::Protocol,
        Error::Limit(_) => Kind::Limit,
        Error::Full(_) => Kind::Full,
        Error::Late(_) => Kind::Late,
        Error::Idle => Kind::Idle,
        Error::Silent => Kind::Silent,
    });
    kind.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Error>, D::Error> {
    let kind = Option::<Kind>::deserialize(deserializer)?;
    Ok(kind.map(|kind| match kind {
        Kind::NotRtmp => Error::NotRtmp(BEFORE),
        Kind::Protocol => Error::Protocol(BEFORE),
        Kind::Limit => Error::Limit(BEFORE),
        Kind::Full => Error::Full(BEFORE),
        Kind::Late => Error::Late(BEFORE),
        Kind::Idle => Error::Idle,
        Kind::Silent => Error::Silent,
    }))
}
