//! Rule changes of a running shard: they come in over a ring and hold for whatever begins from then
//! on.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Deref;

use super::parts::ShardSpec;
use super::shard::Shard;
use crate::ring::Receiver;
use crate::tls::Connector;

/// Rules that may wait for a shard; the newest counts.
pub const SETTINGS_MAX: usize = 8;

/// How often the rules of a shard may change; then the last ones hold until a restart. Each change
/// keeps the former rules, less than a kilobyte, because a peer may be held to them.
pub const CHANGES_OF_RULES_MAX: u32 = 10_000;

/// Other rules for a shard.
#[derive(Debug)]
pub struct ShardSettings {
    /// What it is told. Its number, its node and who may publish stay.
    pub spec: ShardSpec,
    /// Whom to trust when it connects by TLS, or why it cannot.
    pub trust: Result<Connector, String>,
}

/// The rules that hold now.
pub(super) struct LiveSpec {
    now: Cell<&'static ShardSpec>,
    changes: Cell<u32>,
}

impl LiveSpec {
    pub(super) fn new(spec: ShardSpec) -> Self {
        Self { now: Cell::new(Box::leak(Box::new(spec))), changes: Cell::new(0) }
    }

    /// Lets others hold; false if they have changed too often.
    fn set(&self, spec: ShardSpec) -> bool {
        let changes = self.changes.get();
        if changes >= CHANGES_OF_RULES_MAX {
            return false;
        }
        self.changes.set(changes + 1);
        self.now.set(Box::leak(Box::new(spec)));
        true
    }
}

impl Deref for LiveSpec {
    type Target = ShardSpec;

    fn deref(&self) -> &ShardSpec {
        self.now.get()
    }
}

impl fmt::Debug for LiveSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.now.get().fmt(f)
    }
}

/// Where other rules come from.
pub(super) type SettingsRing = RefCell<Receiver<ShardSettings>>;

impl Shard {
    /// Takes other rules, if there are any.
    pub(super) fn take_settings(&self) {
        let mut newest = None;
        while let Some(settings) = self.settings.borrow_mut().pop() {
            newest = Some(settings);
        }
        let Some(ShardSettings { spec, trust }) = newest else { return };
        let (number, node) = (self.spec.number, self.spec.node);
        let spec = ShardSpec { number, node, publish: self.spec.publish, ..spec };
        self.keys.borrow_mut().set_spec(spec.keys.cache);
        drop(self.trust.replace(trust));
        if !self.spec.set(spec) {
            tracing::error!("the rules have changed too often: the last ones hold until a restart");
        }
    }
}
