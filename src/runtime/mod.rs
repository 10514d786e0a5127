//! Runtime: the plan of cores, preflight check, drivers, executors, worker threads, and the one
//! clock. `glommio` is named here and in `pipeline/` only.

mod clock;
mod driver;
mod executor;
mod guard;
mod pacer;
mod plan;
mod preflight;
mod pulse;
mod worker;

pub use clock::Clock;
pub use driver::{Driver, DriverKind, DriverParts};
pub use executor::{Executor, Pinned};
pub use guard::guarded;
pub use pacer::{CATCH_UP, Pacer, Slot};
pub use plan::{Choice, CorePlan, PlanError, PlanRequest, allowed_cpus};
pub use preflight::{ChosenDriver, DriverChoice, Failure, preflight};
pub use pulse::Pulse;
pub use worker::{NICE_ENCODE, Worker, pin};
