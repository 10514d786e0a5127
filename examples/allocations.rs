//! A node that counts what its threads allocate: `allocations CONFIG [SECONDS] [EVERY]` runs the
//! node of a configuration file, and prints a line every so many seconds: memory of the process,
//! allocations of the shards, their messages, and what the packet pool holds. `perf/memory.sh`
//! publishes to it.
#![expect(clippy::print_stdout, reason = "a measuring tool")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use stream_manager::LiveNode;
use stream_manager::config::Config;

/// Threads that are told apart; further ones count with the last.
const THREADS: usize = 256;

/// A counter of its own for each thread, in the order of their first allocations.
static COUNTS: [(AtomicI32, AtomicU64); THREADS] =
    [const { (AtomicI32::new(0), AtomicU64::new(0)) }; THREADS];
static BEGUN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
}

struct Counting;

impl Counting {
    fn count() {
        let number = NUMBER.get();
        if number == usize::MAX {
            let number = BEGUN.fetch_add(1, Ordering::Relaxed).min(THREADS - 1);
            NUMBER.set(number);
            // SAFETY: it reads a number.
            COUNTS[number].0.store(unsafe { libc::gettid() }, Ordering::Relaxed);
        }
        COUNTS[NUMBER.get()].1.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: hands every call to the system's allocator unchanged; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // SAFETY: the caller's promise about the layout is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise about the block is passed on.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count();
        // SAFETY: the caller's promise about the block is passed on.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of all shards so far.
fn of_shards() -> u64 {
    let begun = BEGUN.load(Ordering::Relaxed).min(THREADS);
    let is_shard = |thread: i32| {
        std::fs::read_to_string(format!("/proc/self/task/{thread}/comm"))
            .is_ok_and(|name| name.starts_with("shard"))
    };
    COUNTS[..begun]
        .iter()
        .filter(|(thread, _)| is_shard(thread.load(Ordering::Relaxed)))
        .map(|(_, count)| count.load(Ordering::Relaxed))
        .sum()
}

/// Resident memory of the process, MiB.
fn resident_mib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4 / 1_024
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let file = arguments.first().ok_or("allocations CONFIG [SECONDS] [EVERY]")?;
    let number = |index: usize| arguments.get(index).and_then(|text| text.parse::<u64>().ok());
    let (seconds, every) = (number(1).unwrap_or(600), number(2).unwrap_or(10));
    let node = LiveNode::start(&Config::load(Path::new(file))?)?;
    let running = node.node().ok_or("the node has ended")?;
    println!("seconds  RSS MiB  shard allocations  MiB in  pool used MiB  slabs MiB  heap packets");
    let (mut counted, mut bytes) = (of_shards(), 0);
    for at in (every..=seconds).step_by(usize::try_from(every)?) {
        #[expect(clippy::disallowed_methods, reason = "a thread of a measuring tool")]
        std::thread::sleep(Duration::from_secs(every));
        let (now, snapshot) = (of_shards(), running.registry().snapshot());
        println!(
            "{at:7}  {:7}  {:17}  {:6}  {:13}  {:9}  {:12}",
            resident_mib(),
            now - counted,
            (snapshot.node.bytes_in - bytes) >> 20,
            snapshot.packets.used_bytes >> 20,
            snapshot.packets.slab_bytes >> 20,
            snapshot.packets.heap_packets,
        );
        (counted, bytes) = (now, snapshot.node.bytes_in);
    }
    Ok(())
}
