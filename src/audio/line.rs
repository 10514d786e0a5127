//! Mixer line: the rings by which control changes a mixer, and by which what it no longer needs
//! comes back, to be dropped where that may take time.

use super::chain::Chain;
use super::strip::StripChange;
use super::{BusSpec, INPUTS_MAX, InputSpec};
use crate::media::Micros;
use crate::ring::{Bell, Receiver, Sender, channel};

/// Changes that may wait for the mixer. Further ones are refused: it takes some with each block, so
/// that many wait only where it does not run.
const CHANGES_MAX: usize = 32;

/// What may wait to be dropped. While there is no room for all that a change can lead to, the mixer
/// leaves the next one in its ring.
const RETIRED_MAX: usize = CHANGES_MAX + INPUTS_MAX + 1;

/// Other settings of all strips and of the bus.
#[derive(Debug)]
pub(super) struct MixChange {
    pub(super) strips: Vec<StripChange>,
    pub(super) bus: BusSpec,
}

/// What the mixer no longer needs.
#[derive(Debug)]
#[expect(dead_code, reason = "sent back to be dropped")]
enum Retired {
    Change(MixChange),
    Chain(Box<Chain>),
}

/// The mixer's ends.
#[derive(Debug)]
pub(super) struct MixerLine {
    changes: Receiver<MixChange>,
    retired: Sender<Retired>,
}

impl MixerLine {
    /// The next change, if there is room for what it leads to.
    pub(super) fn next(&mut self) -> Option<MixChange> {
        let room = self.retired.capacity() - self.retired.len();
        if room > INPUTS_MAX { self.changes.pop() } else { None }
    }

    /// Takes a change that was made.
    pub(super) fn give_back(&mut self, change: MixChange) {
        self.send(Retired::Change(change));
    }

    /// Takes a chain that is heard no more.
    pub(super) fn retire(&mut self, chain: Box<Chain>) {
        self.send(Retired::Chain(chain));
    }

    fn send(&mut self, retired: Retired) {
        if self.retired.push(retired).is_err() {
            debug_assert!(false, "there is room for what a change leads to");
        }
    }
}

/// How the gain of one input changes.
#[derive(Clone, Copy, Debug)]
pub struct Fade<'a> {
    /// The input.
    pub source: &'a str,
    /// How long it takes.
    pub time: Micros,
}

/// The mixer does not take its changes: it has many to take already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineFull;

/// Changes a mixer while it runs on another thread.
#[derive(Debug)]
pub struct MixerControl {
    changes: Sender<MixChange>,
    retired: Receiver<Retired>,
    sources: Vec<InputSpec>,
    bus: BusSpec,
}

impl MixerControl {
    /// Of a mixer with these inputs and this bus.
    pub(super) fn new(sources: Vec<InputSpec>, bus: BusSpec) -> (Self, MixerLine) {
        // The mixer looks with each block; nobody needs to be woken.
        let (changes, to_come) = channel(CHANGES_MAX, Bell::new());
        let (back, retired) = channel(RETIRED_MAX, Bell::new());
        let line = MixerLine { changes: to_come, retired: back };
        (Self { changes, retired, sources, bus }, line)
    }

    /// Its inputs as they are, or will be once the mixer has taken its changes.
    #[must_use]
    pub fn sources(&self) -> &[InputSpec] {
        &self.sources
    }

    /// The same of its bus.
    #[must_use]
    pub const fn bus(&self) -> BusSpec {
        self.bus
    }

    /// Changes the settings of all inputs, which stay the same ones in the same order, and of the
    /// bus, from the mixer's next block on: without a click, within 20 ms, but for the gain that
    /// `fade` says. Takes memory.
    ///
    /// # Errors
    /// If the mixer does not take its changes; then all is as it was.
    pub fn change(
        &mut self,
        sources: Vec<InputSpec>,
        bus: BusSpec,
        fade: Option<Fade<'_>>,
    ) -> Result<(), LineFull> {
        self.drop_retired();
        debug_assert_eq!(sources.len(), self.sources.len(), "inputs do not come and go");
        let places = 0..sources.len().min(self.sources.len());
        let fade_ms = |place: usize| {
            let own = fade.filter(|fade| fade.source == sources[place].name);
            own.map_or(0, |fade| u32::try_from(fade.time.millis()).unwrap_or(u32::MAX))
        };
        let strip = |place| StripChange::new(place, &self.sources, &sources, fade_ms(place));
        let change = MixChange { strips: places.map(strip).collect(), bus };
        self.changes.push(change).map_err(|_| LineFull)?;
        (self.sources, self.bus) = (sources, bus);
        Ok(())
    }

    /// Drops what the mixer no longer needs.
    pub fn drop_retired(&mut self) {
        while self.retired.pop().is_some() {}
    }
}
