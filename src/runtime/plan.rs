//! Core plan: the CPUs of each role.

use std::fmt;
use std::time::Duration;

use super::{ChosenDriver, DriverChoice};

/// What the configuration says about one role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Worked out from the machine.
    #[default]
    Auto,
    /// These CPUs, by the kernel's numbers.
    Cpus(Vec<usize>),
}

/// What the configuration says about cores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanRequest {
    /// CPUs of the control plane.
    pub control: Choice,
    /// CPUs of the shards, one each.
    pub net: Choice,
    /// How long a shard looks for work before it sleeps.
    pub net_spin: Duration,
    /// CPU of the composers (the first is used).
    pub compose: Choice,
    /// CPUs that encoder and decoder threads float over.
    pub encode: Choice,
    /// What runs the shards.
    pub driver: DriverChoice,
}

/// Which CPUs each role uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorePlan {
    /// CPUs of the control plane.
    pub control: Vec<usize>,
    /// One shard on each.
    pub net: Vec<usize>,
    /// How long a shard looks for work before it sleeps.
    pub net_spin: Duration,
    /// The composers' CPU.
    pub compose: usize,
    /// CPUs of encoder and decoder threads.
    pub encode: Vec<usize>,
    /// What runs the shards, and why.
    pub driver: ChosenDriver,
}

/// A plan that this machine cannot follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    role: &'static str,
    cpus: Vec<usize>,
    allowed: Vec<usize>,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, cpus, allowed } = self;
        write!(f, "[cores] {role} = {cpus:?}: this process may use the CPUs {allowed:?}; ")?;
        f.write_str("choose among them, or say \"auto\"")
    }
}

impl std::error::Error for PlanError {}

impl CorePlan {
    /// Most shards that `auto` starts: beyond it the mesh costs more than it gives.
    pub const SHARDS_AUTO_MAX: usize = 8;

    /// Works out the plan for a process that may use `allowed`, in the kernel's order, and whose
    /// machine can run `driver`.
    ///
    /// With one or two CPUs the shard and compose share the first and encoders float over all;
    /// from four on compose has a CPU of its own, and a quarter of the CPUs serve.
    ///
    /// # Errors
    /// If the request names a CPU that is not allowed, or none at all.
    pub fn new(
        request: &PlanRequest,
        allowed: &[usize],
        driver: ChosenDriver,
    ) -> Result<Self, PlanError> {
        let shards = (allowed.len() / 4).clamp(1, Self::SHARDS_AUTO_MAX);
        let at =
            |index: usize| allowed.get(index).or_else(|| allowed.first()).copied().unwrap_or(0);
        let roomy = allowed.len() >= 4;
        let first_free = if roomy { shards + 1 } else { 0 };
        let pick = |role, choice: &Choice, auto: Vec<usize>| match choice {
            Choice::Auto => Ok(auto),
            Choice::Cpus(cpus) if !cpus.is_empty() && cpus.iter().all(|c| allowed.contains(c)) => {
                Ok(cpus.clone())
            }
            Choice::Cpus(cpus) => {
                Err(PlanError { role, cpus: cpus.clone(), allowed: allowed.to_vec() })
            }
        };
        let compose = vec![at(if roomy { shards } else { 0 })];
        let rest = allowed.get(first_free..).unwrap_or_default().to_vec();
        Ok(Self {
            control: pick("control", &request.control, vec![at(allowed.len().max(1) - 1)])?,
            net: pick("net", &request.net, (0..shards).map(at).collect())?,
            net_spin: request.net_spin,
            compose: pick("compose", &request.compose, compose)?[0],
            encode: pick("encode", &request.encode, rest)?,
            driver,
        })
    }

    /// CPUs of shards that spin although other roles of this node want them too.
    #[must_use]
    pub fn spun_away(&self) -> Vec<usize> {
        let wanted = |cpu: &usize| {
            *cpu == self.compose || self.control.contains(cpu) || self.encode.contains(cpu)
        };
        let net = if self.net_spin.is_zero() { &[] } else { self.net.as_slice() };
        net.iter().copied().filter(wanted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::DriverKind;

    fn driver() -> ChosenDriver {
        ChosenDriver { kind: DriverKind::Epoll, reason: String::new() }
    }

    fn auto(cpus: &[usize]) -> CorePlan {
        CorePlan::new(&PlanRequest::default(), cpus, driver()).unwrap()
    }

    #[test]
    fn two_cores_share_the_first_for_time_and_both_for_encoding() {
        let plan = auto(&[0, 1]);
        assert_eq!((plan.net, plan.compose), (vec![0], 0));
        assert_eq!((plan.encode, plan.control), (vec![0, 1], vec![1]));
    }

    #[test]
    fn one_core_does_everything() {
        let plan = auto(&[5]);
        let all = vec![5];
        assert_eq!((&plan.control, &plan.net, plan.compose), (&all, &all, 5));
        assert_eq!(plan.encode, all);
    }

    #[test]
    fn a_big_machine_gives_each_role_its_own() {
        let plan = auto(&(0..16).collect::<Vec<_>>());
        assert_eq!((plan.net, plan.compose), (vec![0, 1, 2, 3], 4));
        assert_eq!(plan.encode, (5..16).collect::<Vec<_>>());
    }

    #[test]
    fn a_shard_that_spins_is_told_from_one_that_takes_the_core_of_others() {
        let cpus: Vec<_> = (0..16).collect();
        let spin = PlanRequest { net_spin: Duration::from_millis(1), ..PlanRequest::default() };
        assert!(CorePlan::new(&spin, &cpus, driver()).unwrap().spun_away().is_empty());
        let shared = PlanRequest { encode: Choice::Cpus(vec![2, 3, 8]), ..spin };
        assert_eq!(CorePlan::new(&shared, &cpus, driver()).unwrap().spun_away(), [2, 3]);
        let asleep = PlanRequest { net_spin: Duration::ZERO, ..shared };
        assert!(CorePlan::new(&asleep, &cpus, driver()).unwrap().spun_away().is_empty());
    }

    #[test]
    fn a_cpu_that_is_not_ours_is_refused_by_name() {
        let request = PlanRequest { net: Choice::Cpus(vec![7]), ..PlanRequest::default() };
        let error = CorePlan::new(&request, &[0, 1], driver()).unwrap_err().to_string();
        assert!(error.contains("net = [7]") && error.contains("[0, 1]"), "{error}");
    }
}
