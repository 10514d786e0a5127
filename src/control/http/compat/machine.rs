//! The machine as Node.js's `os` module would describe it, from `/proc`.

use std::time::Duration;

use serde_json::{Value, json};

/// Time over which the processors' load is measured, as Node-Media-Server does.
const LOAD_SPAN: Duration = Duration::from_millis(100);

/// `os`, `cpu` and `mem`.
pub(super) async fn describe() -> [Value; 3] {
    let before = read("/proc/stat").and_then(|text| CpuTimes::parse(&text));
    tokio::time::sleep(LOAD_SPAN).await;
    let after = read("/proc/stat").and_then(|text| CpuTimes::parse(&text));
    let load = before.zip(after).map_or(0, |(before, after)| after.load_percent(before));
    let info = read("/proc/cpuinfo").unwrap_or_default();
    let memory = read("/proc/meminfo").unwrap_or_default();
    let cpus = info.lines().filter(|line| line.starts_with("processor")).count();
    [
        json!({
            "arch": arch(),
            "platform": std::env::consts::OS,
            "release": read("/proc/sys/kernel/osrelease").unwrap_or_default().trim_end(),
        }),
        json!({
            "num": cpus.max(1),
            "load": load,
            "model": field(&info, "model name").unwrap_or("unknown"),
            "speed": field(&info, "cpu MHz").and_then(first_number).unwrap_or(0),
        }),
        json!({ "totle": kib(&memory, "MemTotal"), "free": kib(&memory, "MemAvailable") }),
    ]
}

/// Node.js's name for the architecture.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Ticks of all processors together since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CpuTimes {
    idle: u64,
    total: u64,
}

impl CpuTimes {
    /// From the first line of `/proc/stat` (proc(5)): user, nice, system, idle, iowait, irq,
    /// softirq, steal; what guests use is part of user.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.lines().next()?.split_ascii_whitespace();
        if words.next()? != "cpu" {
            return None;
        }
        let ticks: Vec<u64> = words.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
        let idle = *ticks.get(3)? + ticks.get(4).copied().unwrap_or(0);
        Some(Self { idle, total: ticks.iter().sum() })
    }

    /// Share of the time since `before` in which processors worked, 0 to 100.
    fn load_percent(self, before: Self) -> u64 {
        let total = self.total.saturating_sub(before.total);
        let idle = self.idle.saturating_sub(before.idle).min(total);
        ((total - idle) * 100).checked_div(total).unwrap_or(0)
    }
}

/// The first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

fn first_number(text: &str) -> Option<u64> {
    text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Bytes of a line in KiB of `/proc/meminfo`.
fn kib(text: &str, name: &str) -> u64 {
    field(text, name).and_then(first_number).unwrap_or(0) * 1_024
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_what_processors_did_not_idle() {
        let before = CpuTimes::parse("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2\n").unwrap();
        assert_eq!(before, CpuTimes { idle: 850, total: 1_000 });
        let after = CpuTimes::parse("cpu  130 0 80 920 70 0 0 0 0 0\n").unwrap();
        assert_eq!(after.load_percent(before), 30);
        assert_eq!(before.load_percent(before), 0, "no time has passed");
        assert_eq!(CpuTimes::parse("intr 5"), None);
    }

    #[test]
    fn fields_of_proc_are_read_with_their_units() {
        let memory = "MemTotal:       24000 kB\nMemFree: 1 kB\nMemAvailable:   12000 kB\n";
        assert_eq!((kib(memory, "MemTotal"), kib(memory, "Nothing")), (24_576_000, 0));
        let info = "processor\t: 0\nmodel name\t: A CPU @ 2.50GHz\ncpu MHz\t\t: 2499.998\n";
        assert_eq!(field(info, "model name"), Some("A CPU @ 2.50GHz"));
        assert_eq!(field(info, "cpu MHz").and_then(first_number), Some(2_499));
    }
}
