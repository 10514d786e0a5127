//! Schedule of a channel as control is asked for it and shows it. Times are milliseconds since
//! 1970.

/// What is asked of a schedule.
#[derive(Clone, Debug, PartialEq)]
pub enum ScheduleCommand {
    /// Nothing but how it stands.
    View,
    /// Read its file again.
    Reload,
    /// End the item that runs.
    Skip,
    /// Show a scene above it.
    Break {
        /// The scene.
        scene: String,
        /// How: the keys of `transition` in the configuration. Without it, as the scene says, or
        /// the channel.
        transition: Option<serde_json::Value>,
    },
    /// Show again what it says now.
    Return,
}

/// How a schedule stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleView {
    /// Its file.
    pub file: String,
    /// Name of its time zone.
    pub time_zone: String,
    /// The time of day.
    pub at: u64,
    /// The scene that is to be on the air; `None` for whatever is.
    pub scene: Option<String>,
    /// The item that runs, also below a break-in; `None` while nothing is planned.
    pub now: Option<ScheduledView>,
    /// Since when nothing is planned.
    pub filler_since: Option<u64>,
    /// The scene of a break-in, and since when it is on the air.
    pub break_in: Option<(String, u64)>,
    /// The next items of the week and day to come.
    pub next: Vec<ScheduledView>,
}

/// An item of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledView {
    /// Its name.
    pub item: String,
    /// Its scene.
    pub scene: String,
    /// `hard`, `soft`, or `follows` the item before it.
    pub start: &'static str,
    /// When it is to begin.
    pub planned_at: u64,
    /// When it begins, as far as that is known.
    pub at: u64,
    /// When it ends, if that is known.
    pub ends_at: Option<u64>,
}
