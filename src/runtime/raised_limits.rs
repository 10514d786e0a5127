//! Resource limits of the process: raised for nodes that ask for it, and given back.

use std::sync::PoisonError;

/// Soft limits that nodes need much of.
const RESOURCES: [libc::__rlimit_resource_t; 2] = [libc::RLIMIT_NOFILE, libc::RLIMIT_MEMLOCK];

/// Nodes of the process that hold the limits up, and the soft limits from before the first of them.
#[expect(clippy::disallowed_types, reason = "taken when a node starts and ends, by nobody else")]
static RAISED: std::sync::Mutex<Raised> =
    std::sync::Mutex::new(Raised { holders: 0, before: None });

struct Raised {
    holders: usize,
    before: Option<[libc::rlim_t; RESOURCES.len()]>,
}

/// The soft limits of open files and locked memory are as high as the hard ones. When the last of
/// these is dropped, they are again what they were before the first.
#[derive(Debug)]
pub struct RaisedLimits(());

impl RaisedLimits {
    /// Raises them. Best effort: what does not let itself be raised stays.
    #[must_use]
    pub fn raise() -> Self {
        let mut raised = RAISED.lock().unwrap_or_else(PoisonError::into_inner);
        raised.holders += 1;
        if raised.before.is_none() {
            raised.before = Some(RESOURCES.map(|resource| set_soft(resource, None)));
        }
        Self(())
    }
}

impl Drop for RaisedLimits {
    fn drop(&mut self) {
        let mut raised = RAISED.lock().unwrap_or_else(PoisonError::into_inner);
        raised.holders -= 1;
        if raised.holders == 0
            && let Some(before) = raised.before.take()
        {
            for (resource, soft) in RESOURCES.into_iter().zip(before) {
                set_soft(resource, Some(soft));
            }
        }
    }
}

/// Sets a soft limit, to the hard one if nothing is said; what it was.
fn set_soft(resource: libc::__rlimit_resource_t, soft: Option<libc::rlim_t>) -> libc::rlim_t {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls only touch `limit` and `wanted`.
    unsafe {
        if libc::getrlimit(resource, &raw mut limit) == 0 {
            let wanted = libc::rlimit { rlim_cur: soft.unwrap_or(limit.rlim_max), ..limit };
            libc::setrlimit(resource, &raw const wanted);
        }
    }
    limit.rlim_cur
}

/// The soft limit of a resource; 0 if it cannot be read.
pub(super) fn soft(resource: libc::__rlimit_resource_t) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call only touches `limit`.
    unsafe { libc::getrlimit(resource, &raw mut limit) };
    limit.rlim_cur
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_stay_up_while_one_node_needs_them_and_are_given_back_by_the_last() {
        let hard = soft(libc::RLIMIT_NOFILE);
        let low = hard.min(4_096) - 1;
        set_soft(libc::RLIMIT_NOFILE, Some(low));
        let (first, second) = (RaisedLimits::raise(), RaisedLimits::raise());
        assert!(soft(libc::RLIMIT_NOFILE) > low);
        drop(first);
        assert!(soft(libc::RLIMIT_NOFILE) > low, "the second needs it");
        drop(second);
        assert_eq!(soft(libc::RLIMIT_NOFILE), low);
        set_soft(libc::RLIMIT_NOFILE, Some(hard));
    }
}
