//! Machine trouble: one that does not run the node for a while, and one that has other work.

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

/// Lets time pass.
fn pass(length: Duration) {
    let began = Instant::now();
    wait_until(length + SOON, "the time has passed", || (began.elapsed() >= length).then_some(()));
}
