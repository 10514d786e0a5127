//! Rule changes of a running shard: they come in over a ring and hold for whatever begins from then
//! on.

use std::cell::RefCell;
use std::rc::Rc;

use super::parts::ShardSpec;
use super::shard::Shard;
use crate::ring::Receiver;
use crate::tls::Connector;

/// Rules that may wait for a shard; the newest counts.
pub const SETTINGS_MAX: usize = 8;

/// Other rules for a shard.
#[derive(Debug)]
pub struct ShardSettings {
    /// What it is told. Its number, its node and who may publish stay.
    pub spec: ShardSpec,
    /// Whom to trust when it connects by TLS, or why it cannot.
    pub trust: Result<Connector, String>,
}

/// Where other rules come from.
pub(super) type SettingsRing = RefCell<Receiver<ShardSettings>>;

impl Shard {
    /// The rules that hold now.
    pub(super) fn spec(&self) -> Rc<ShardSpec> {
        Rc::clone(&self.rules.borrow())
    }

    /// Takes other rules, if there are any.
    pub(super) fn take_settings(&self) {
        let mut newest = None;
        while let Some(settings) = self.settings.borrow_mut().pop() {
            newest = Some(settings);
        }
        let Some(ShardSettings { spec, trust }) = newest else { return };
        self.keys.borrow_mut().set_spec(spec.keys.cache);
        drop(self.trust.replace(trust));
        let now = self.spec();
        let spec = ShardSpec { number: now.number, node: now.node, publish: now.publish, ..spec };
        drop(self.rules.replace(Rc::new(spec)));
    }
}
