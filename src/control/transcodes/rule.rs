//! On-demand rule: when the renditions of a stream are made, by who wanted them last.

use crate::config::TranscodeConfig;
use crate::media::Micros;

/// Transcodes that run at once, at most: each has a decoder, and encoders for all its renditions.
/// Those beyond it wait until another one ends, and say so.
pub(super) const RUNNING_MAX: usize = 32;

/// How long one waits that has ended by itself: its thread has panicked.
const RESTART_WAIT: Micros = Micros::from_secs(5);

/// When a transcode runs.
#[derive(Debug, Default)]
pub(super) struct DemandRule {
    /// Not before this, after its thread has panicked.
    not_before: Micros,
}

impl DemandRule {
    /// Whether it is to run at `now`, where somebody `wanted` a rendition last then.
    pub(super) fn is_due(
        &self,
        config: &TranscodeConfig,
        wanted: Option<Micros>,
        now: Micros,
    ) -> bool {
        let is_wanted = wanted.is_some_and(|wanted| now.since(wanted) <= config.linger);
        config.enabled && now >= self.not_before && (!config.on_demand || is_wanted)
    }

    /// Its thread has ended, and nobody has told it to.
    pub(super) fn lost(&mut self, now: Micros) {
        self.not_before = now + RESTART_WAIT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn transcode(more: &str) -> TranscodeConfig {
        let text = format!("[[transcode]]\nstream = \"live/cam\"\nbridge = true\n{more}");
        Config::parse(&text, "x").unwrap().transcodes.remove(0)
    }

    const fn at(ms: u64) -> Micros {
        Micros::from_millis(ms)
    }

    #[test]
    fn it_runs_while_somebody_reads_and_some_seconds_longer() {
        let (rule, config) = (DemandRule::default(), transcode("linger = 3\n"));
        assert!(!rule.is_due(&config, None, at(9_000)), "nobody has ever wanted it");
        assert!(rule.is_due(&config, Some(at(9_000)), at(9_000)));
        assert!(rule.is_due(&config, Some(at(9_000)), at(12_000)));
        assert!(!rule.is_due(&config, Some(at(9_000)), at(12_001)));
        assert!(rule.is_due(&config, Some(at(12_150)), at(12_151)), "somebody has come back");
        assert!(rule.is_due(&config, Some(at(9_001)), at(9_000)), "a shard's clock is ahead");
    }

    #[test]
    fn it_always_runs_if_that_is_wanted_and_never_while_it_is_off() {
        let rule = DemandRule::default();
        assert!(rule.is_due(&transcode("on_demand = false\n"), None, at(0)));
        let off = transcode("on_demand = false\nenabled = false\n");
        assert!(!rule.is_due(&off, Some(at(5)), at(5)));
    }

    #[test]
    fn one_that_was_lost_begins_again_some_time_later() {
        let (mut rule, config) = (DemandRule::default(), transcode("on_demand = false\n"));
        rule.lost(at(1_000));
        assert!(!rule.is_due(&config, None, at(5_999)));
        assert!(rule.is_due(&config, None, at(6_000)));
    }
}
