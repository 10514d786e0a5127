//! Profile of the node's threads: what they were doing, as folded stacks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::ask::Asked;
use super::fresh::fresh;
use super::problem::Problem;
use crate::control::http::shared::Shared;
use crate::media::Micros;
use crate::profile::{ProfileError, Profiling};

/// Seconds of a profile at most.
const SECONDS_MAX: u32 = 60;

/// Samples in a second at most. The kernel looks at timers of CPU time 100 to 1000 times a second.
const HZ_MAX: u32 = 250;

/// What is asked for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ProfileQuery {
    /// How long, 1 to 60; 10 by default.
    #[param(minimum = 1, maximum = 60)]
    seconds: u32,
    /// Samples in each second that a thread runs for, 2 to 250; 99 by default, which does not beat
    /// with what is done 100 times a second.
    #[param(minimum = 2, maximum = 250)]
    hz: u32,
    /// How the answer is written.
    format: Format,
}

/// How a profile is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// Folded stacks: a line for each.
    #[default]
    Folded,
    /// The protocol buffers of pprof.
    Pprof,
}

impl Default for ProfileQuery {
    fn default() -> Self {
        Self { seconds: 10, hz: 99, format: Format::Folded }
    }
}

impl From<ProfileError> for Problem {
    fn from(error: ProfileError) -> Self {
        let hint = "perf/flame.sh takes one from outside";
        match &error {
            ProfileError::Busy => Self::too_many(&error.to_string()),
            ProfileError::System(_) => Self::conflict_with(&error.to_string(), hint),
        }
    }
}

/// Ends a profile that nobody waits for any more.
struct StopAtDrop(Arc<AtomicBool>);

impl Drop for StopAtDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Samples what all threads of the node do while they run, without privileges. The answer is of
/// folded stacks: a line for each with the thread's name and those of its functions, outermost
/// first, and how often it was seen. `inferno-flamegraph` and speedscope draw flame graphs of them.
/// With `format=pprof` it is what `go tool pprof` reads.
#[utoipa::path(
    get, path = "/api/v1/profile", tag = "node", params(ProfileQuery),
    responses(
        (status = 200, description = "Folded stacks, or a profile of pprof", content(
            (String = "text/plain"), (Vec<u8> = "application/octet-stream")
        )), (status = 400, body = Problem),
        (status = 409, body = Problem), (status = 429, body = Problem),
    )
)]
pub(super) async fn profile(
    State(shared): State<Arc<Shared>>,
    Asked(ProfileQuery { seconds, hz, format }): Asked<ProfileQuery>,
) -> Result<Response, Problem> {
    if !(1..=SECONDS_MAX).contains(&seconds) || !(2..=HZ_MAX).contains(&hz) {
        let detail = format!("a profile has `seconds` from 1 to {SECONDS_MAX}, `hz` from 2 to ");
        return Err(Problem::invalid(&format!("{detail}{HZ_MAX}"), "take several one by one"));
    }
    let profiling = Profiling::begin()?;
    let (span, time) = (Micros::from_secs(seconds.into()), shared.api.time.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let _stop = StopAtDrop(Arc::clone(&stop));
    let taken = spawn_blocking(move || {
        let profile = profiling.sample(span, hz, || time.now(), &stop)?;
        Ok::<_, ProfileError>(match format {
            Format::Folded => fresh("text/plain; charset=utf-8", profile.folded()),
            Format::Pprof => fresh("application/octet-stream", profile.pprof()),
        })
    });
    Ok(taken.await.map_err(|_| Problem::unavailable("the profile was not finished"))??)
}
