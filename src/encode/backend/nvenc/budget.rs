//! Encoding sessions of a machine, of which consumer boards have a few: for a while after the
//! driver has refused one, it is not asked again.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ffi::uptime_seconds;

/// How long a refusal is believed, seconds. Other programs may end their sessions; asking for one
/// at each start of a channel would take the driver's time from those that encode.
const REFUSAL_SECONDS: u64 = 60;

/// What is known of the sessions that are left.
#[derive(Debug, Default)]
pub(super) struct SessionBudget {
    /// Until then there is none, seconds of uptime.
    none_until: AtomicU64,
}

impl SessionBudget {
    /// Whether the driver may be asked for a session.
    ///
    /// # Errors
    /// In how many seconds.
    pub(super) fn ask(&self) -> Result<(), String> {
        self.ask_at(uptime_seconds())
    }

    /// The driver has none.
    pub(super) fn note_refusal(&self) {
        self.note_refusal_at(uptime_seconds());
    }

    fn ask_at(&self, now: u64) -> Result<(), String> {
        match self.none_until.load(Ordering::Relaxed).checked_sub(now) {
            None | Some(0) => Ok(()),
            Some(left) => Err(format!(
                "no encoding session was left a moment ago; the driver is asked again in {left} s: \
                 end other encoders, or let fewer channels use NVENC"
            )),
        }
    }

    fn note_refusal_at(&self, now: u64) {
        self.none_until.store(now + REFUSAL_SECONDS, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_session_is_asked_for_again_after_a_minute() {
        let budget = SessionBudget::default();
        assert_eq!(budget.ask_at(5), Ok(()));
        budget.note_refusal_at(5);
        assert!(budget.ask_at(6).unwrap_err().contains("again in 59 s"));
        assert!(budget.ask_at(64).is_err());
        assert_eq!(budget.ask_at(65), Ok(()));
    }
}
