//! State of a stream with a fallback.

/// Which of the two goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailoverState {
    /// None: there is no source.
    #[default]
    Idle,
    /// The source, as it comes.
    Source,
    /// The fallback.
    Standby,
    /// The fallback, while the source is good again, but has not been for long enough.
    Returning,
}

impl FailoverState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Idle, Self::Source, Self::Standby, Self::Returning];

    /// The word for it in the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Source => "source",
            Self::Standby => "fallback",
            Self::Returning => "returning",
        }
    }
}
