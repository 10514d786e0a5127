//! Machine trouble: one that does not run the node for a while, and one that has other work; and
//! what memory the node has of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::node::Node;
use crate::wait::{SOON, wait_until};

/// Busy threads for each CPU: the node gets a quarter of what it wants, or less.
const BUSY_PER_CPU: usize = 3;

/// Keeps the node from running for so long.
pub(crate) fn stall(node: &Node, length: Duration) {
    node.signal("STOP");
    pass(length);
    node.signal("CONT");
}

/// Keeps every CPU busy for so long.
pub(crate) fn keep_busy(length: Duration) {
    let threads = thread::available_parallelism().unwrap().get() * BUSY_PER_CPU;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        pass(length);
        over.store(true, Ordering::Relaxed);
    });
}

/// Memory of the node in use, MiB.
pub(crate) fn memory(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.program().id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
}

/// Lets time pass.
fn pass(length: Duration) {
    let began = Instant::now();
    wait_until(length + SOON, "the time has passed", || (began.elapsed() >= length).then_some(()));
}
