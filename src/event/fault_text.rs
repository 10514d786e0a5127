//! Text of faults in events.

use std::fmt;

use super::printable::Printable;
use crate::media::Micros;

/// That something failed, when it tries again, if it does by time, and why.
pub(super) struct Failed<'a>(pub(super) Option<Micros>, pub(super) &'a str);

impl fmt::Display for Failed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(retry_in, reason) = self;
        f.write_str("failed")?;
        if let Some(retry_in) = retry_in {
            write!(f, " and tries again in {:.1} s", retry_in.secs_f64())?;
        }
        write!(f, ": {}", Printable(reason))
    }
}

/// A thread whose loop took too long for a turn, for how long, and why.
pub(super) struct Late<'a>(pub(super) &'a str, pub(super) Micros, pub(super) &'a str);

impl fmt::Display for Late<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(core, length, reason) = self;
        write!(f, "{core} stalled for {} ms: {}", length.millis(), Printable(reason))
    }
}

/// A thread that has panicked, the text of that, and what is done about it.
pub(super) struct Lost<'a>(pub(super) &'a str, pub(super) &'a str, pub(super) &'a str);

impl fmt::Display for Lost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(core, reason, remedy) = self;
        write!(f, "{core} has panicked; {remedy}: {}", Printable(reason))
    }
}

/// A channel that was not run, and for how long.
pub(super) struct Stalled<'a>(pub(super) &'a str, pub(super) Micros);

impl fmt::Display for Stalled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(channel, length) = self;
        write!(
            f,
            "channel {channel} stalled for {:.1} s: the machine did not run the node (it was \
             paused, moved or overloaded); viewers see a jump",
            length.secs_f64()
        )
    }
}
