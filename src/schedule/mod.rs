//! Schedule of a channel: which scene it is to show when, by the wall clock of a time zone. A state
//! machine without a clock of its own: whoever runs it says what time it is.

mod forecast;
mod machine;
mod rundown;
#[cfg(test)]
mod tests;
mod zone;

pub use forecast::{Forecast, Row, Shown};
pub use machine::{Airing, BreakIn, Change, Machine};
pub use rundown::{
    DAY_MS, DURATION_MAX_MS, DURATION_MIN_MS, Days, ITEMS_MAX, Item, Rundown, SOFT_LIMIT_MAX_MS,
    SOFT_LIMIT_MS, Start, Weekdays, When,
};
pub use zone::Zone;
