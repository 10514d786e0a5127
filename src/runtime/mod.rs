//! Runtime: the plan of cores, preflight check, drivers, worker threads, and the one
//! clock. `glommio` is named here only.

mod clock;
mod counter;
mod driver;
#[cfg(test)]
pub(crate) mod fault;
mod machine;
mod pacer;
mod pinned;
mod plan;
mod preflight;
mod raised_limits;
mod scheduling;
mod stop;
mod worker;

pub use clock::Clock;
pub use counter::CounterFollower;
pub use driver::{CoreWatch, Driver, DriverKind, DriverParts};
pub use machine::machine_number;
pub use pacer::{Pacer, Slot};
pub use pinned::Pinned;
pub use plan::{Choice, CorePlan, PlanError, PlanRequest};
pub use preflight::{ChosenDriver, DriverChoice, Failure, check_io_uring, preflight};
pub use raised_limits::RaisedLimits;
pub use scheduling::{NICE_ENCODE, NICE_PINNED, allowed_cpus, pin, thread_id};
pub use stop::StopFlag;
pub use worker::{Exit, Worker};
