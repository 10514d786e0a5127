//! Figures of a channel's encoders: which one encodes, and how often one followed another.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// Kinds of changes that are counted; more than a table of three encoders has.
pub const FALLBACKS_MAX: usize = 12;

/// Changes of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// Name of the encoder before.
    pub from: &'static str,
    /// Name of the encoder since.
    pub to: &'static str,
    /// `failed` or `recovered`.
    pub reason: &'static str,
    /// How many.
    pub count: u64,
}

/// Written by the video encoder's thread, when it opens an encoder.
#[derive(Debug, Default)]
pub(super) struct FallbackStats {
    name: ArcSwap<&'static str>,
    counts: ArcSwap<[Option<Fallback>; FALLBACKS_MAX]>,
}

impl FallbackStats {
    pub(super) fn opened(&self, name: &'static str) {
        self.name.store(Arc::new(name));
    }

    pub(super) fn changed(&self, from: &'static str, to: &'static str, reason: &'static str) {
        let mut counts = **self.counts.load();
        let is_it = |one: &Fallback| (one.from, one.to, one.reason) == (from, to, reason);
        let place = counts.iter_mut().find(|one| one.as_ref().is_none_or(is_it));
        if let Some(place) = place {
            let count = place.map_or(0, |one| one.count) + 1;
            *place = Some(Fallback { from, to, reason, count });
        }
        self.counts.store(Arc::new(counts));
    }

    pub(super) fn name(&self) -> &'static str {
        **self.name.load()
    }

    pub(super) fn read(&self) -> [Option<Fallback>; FALLBACKS_MAX] {
        **self.counts.load()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted_by_both_encoders_and_the_reason() {
        let stats = FallbackStats::default();
        stats.opened("nvenc");
        for (from, to, reason) in [
            ("nvenc", "x264", "failed"),
            ("x264", "nvenc", "recovered"),
            ("nvenc", "x264", "failed"),
        ] {
            stats.changed(from, to, reason);
            stats.opened(to);
        }
        let counts: Vec<_> = stats.read().into_iter().flatten().collect();
        let back = Fallback { from: "x264", to: "nvenc", reason: "recovered", count: 1 };
        let away = Fallback { from: "nvenc", to: "x264", reason: "failed", count: 2 };
        assert_eq!((counts, stats.name()), (vec![away, back], "x264"));
    }
}
