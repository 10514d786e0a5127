//! Figures of the process itself, from `/proc`. What cannot be read is left out.

use std::fmt;
use std::fs;

use super::page::Page;

/// Ticks per second of the times in `/proc/self/stat`: the kernel's interface fixes it at 100 on
/// every architecture this program is built for.
const TICKS_PER_S: f64 = 100.0;

/// Writes the families that Prometheus's own clients write under these names, and the uptime.
pub(super) fn write(page: &mut Page<'_>) -> fmt::Result {
    let stat = read("/proc/self/stat").as_deref().and_then(Stat::parse);
    let rss = read("/proc/self/status").as_deref().and_then(resident_bytes);
    let up_since_boot = read("/proc/uptime").as_deref().and_then(first_number);
    let boot = read("/proc/stat").as_deref().and_then(boot_time);
    if let Some(stat) = stat {
        let name = "process_cpu_seconds_total";
        page.counter(name, "Processor time used, user and system", |family| {
            family.sample(&[], stat.cpu_s)
        })?;
        page.gauge("process_threads", "Threads of the process", |family| {
            family.sample(&[], stat.threads)
        })?;
        if let Some(up) = up_since_boot {
            page.gauge("process_uptime_seconds", "Time since the process started", |family| {
                family.sample(&[], (up - stat.start_s).max(0.0))
            })?;
        }
        if let Some(boot) = boot {
            let name = "process_start_time_seconds";
            page.gauge(name, "When the process started, seconds since 1970", |family| {
                family.sample(&[], boot + stat.start_s)
            })?;
        }
    }
    if let Some(bytes) = rss {
        page.gauge("process_resident_memory_bytes", "Memory in RAM", |family| {
            family.sample(&[], bytes)
        })?;
    }
    Ok(())
}

/// Bytes of the process that are in RAM.
#[must_use]
pub fn memory() -> Option<u64> {
    read("/proc/self/status").as_deref().and_then(resident_bytes)
}

/// Processor time that the process has used, user and system, seconds.
#[must_use]
pub fn cpu_seconds() -> Option<f64> {
    read("/proc/self/stat").as_deref().and_then(Stat::parse).map(|stat| stat.cpu_s)
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// What is of use in `/proc/self/stat`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    cpu_s: f64,
    /// After boot.
    start_s: f64,
    threads: u64,
}

impl Stat {
    /// The name of the program comes second, in parentheses, and may hold anything: what counts
    /// begins after the last one.
    fn parse(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_s: (number(14)? + number(15)?) as f64 / TICKS_PER_S,
            threads: number(20)?,
            start_s: number(22)? as f64 / TICKS_PER_S,
        })
    }
}

/// The `VmRSS` line of `/proc/self/status`, bytes.
fn resident_bytes(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

/// The `btime` line of `/proc/stat`, seconds since 1970.
fn boot_time(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("btime ")).and_then(first_number)
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let text = "42 (a) b) (c) S 1 42 42 0 -1 4194560 500 0 0 0 250 50 0 0 20 0 9 0 12345 0 0\n";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(stat, Stat { cpu_s: 3.0, start_s: 123.45, threads: 9 });
    }

    #[test]
    fn files_that_end_early_are_not_read() {
        assert_eq!(Stat::parse("42 (name) S 1"), None);
        assert_eq!(Stat::parse(""), None);
        assert_eq!(resident_bytes("VmRSS:\t x kB"), None);
        assert_eq!(resident_bytes("VmSize: 1 kB"), None);
        assert_eq!(boot_time("cpu 1 2 3\n"), None);
    }

    #[test]
    fn memory_and_boot_time_are_found_among_other_lines() {
        assert_eq!(resident_bytes("VmHWM:\t 9 kB\nVmRSS:\t   2048 kB\n"), Some(2_097_152));
        assert_eq!(boot_time("cpu 1\nbtime 1700000000\nprocesses 5\n"), Some(1_700_000_000.0));
    }
}
