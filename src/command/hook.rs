//! Hook questions: a shard asks hooks before it lets somebody connect, publish or play; and their
//! answer.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::Event;

/// A connection on its shard, and which of its questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookRequestId {
    /// Number of the connection on its shard.
    pub connection: u64,
    /// Differs from question to question of a connection: a late answer is not taken for that to
    /// another one.
    pub question: u32,
}

/// May a stage begin?
#[derive(Debug)]
pub struct HookQuestion {
    /// Stands in the answer.
    pub ticket: HookRequestId,
    /// The `pre` event of the stage. A publisher's key has been checked: the path is the stream.
    pub event: Event,
    /// What hooks may see of the query.
    pub params: Params,
}

/// The answer to a [`HookQuestion`]: `None` if it may.
pub type Refusal = Option<Refused>;

/// That a hook says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why not, for the peer's user.
    pub text: Arc<str>,
    /// Who says so: `hook:NAME` for a webhook, `program` for the program that embeds the node.
    pub by: Arc<str>,
}

/// Parameters of a query that the configuration lets hooks see. Viewers' tickets are among them, so
/// Debug does not show values.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Params(Vec<(Arc<str>, String)>);

impl Params {
    /// Those of `names` that `value` finds.
    pub fn of(names: &[Arc<str>], value: impl Fn(&str) -> Option<String>) -> Self {
        let found = names.iter().filter_map(|name| Some((Arc::clone(name), value(name)?)));
        Self(found.collect())
    }

    /// Names and values. Must not reach a log, a metric or an event.
    pub fn expose(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_str()))
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} parameters", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_parameters_are_kept_and_none_is_shown() {
        let names = [Arc::from("token"), Arc::from("user")];
        let query = [("token", "s3cret"), ("other", "x")];
        let params = Params::of(&names, |name| {
            query.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        });
        assert_eq!(params.expose().collect::<Vec<_>>(), [("token", "s3cret")]);
        assert!(!format!("{params:?}").contains("s3cret"));
    }
}
