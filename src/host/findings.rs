//! All that is looked at, in the order in which it is shown.

use super::kernel_tree::KernelTree;
use super::measure::Measured;
use super::report::Report;
use super::{cpus, memory, network};

/// What the files below `tree` say, each with its cost where `measured` knows it.
#[must_use]
pub fn findings(tree: &KernelTree, measured: Measured) -> Report {
    let findings = vec![
        cpus::governor(tree, &measured),
        cpus::idle_states(tree, &measured),
        cpus::hand_over(&measured),
        cpus::sharing(&measured),
        cpus::siblings(tree, &measured),
        cpus::isolated(tree, &measured),
        cpus::interrupts(tree, &measured),
        cpus::steal(tree, &measured),
        cpus::quota(tree),
        cpus::load(tree),
        cpus::clock_source(tree, &measured),
        memory::huge_pages(tree, &measured),
        memory::numa(tree),
        memory::swap(tree),
        memory::locked(tree),
        memory::open_files(tree),
        cpus::io_uring(tree, &measured),
        network::queue(tree),
        network::congestion(tree),
        network::idle_restart(tree),
        network::send_buffer(tree),
        network::backlog(tree),
        cpus::profiling(tree),
    ];
    Report { findings, measured }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::kernel_tree::tests::tree;
    use crate::host::measure::{Spread, Taken};
    use crate::host::report::{Finding, Verdict};

    const GOOD: &[(&str, &str)] = &[
        ("sys/devices/system/cpu/online", "0-3\n"),
        ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n"),
        ("sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "performance\n"),
        ("sys/devices/system/cpu/cpu0/cpuidle/state1/name", "C1\n"),
        ("sys/devices/system/cpu/cpu0/cpuidle/state1/latency", "2\n"),
        ("sys/devices/system/cpu/cpu0/cpuidle/state1/disable", "0\n"),
        ("sys/devices/system/cpu/cpu0/cpuidle/state2/name", "C6\n"),
        ("sys/devices/system/cpu/cpu0/cpuidle/state2/latency", "133\n"),
        ("sys/devices/system/cpu/cpu0/cpuidle/state2/disable", "1\n"),
        ("sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0\n"),
        ("sys/devices/system/cpu/isolated", "1-3\n"),
        ("proc/interrupts", " CPU0 CPU1 CPU2 CPU3\n 24: 9 8 9 8 eth0\n"),
        ("proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\n"),
        ("proc/loadavg", "0.20 0.1 0.1 1/200 999\n"),
        ("proc/self/cgroup", "0::/node.slice\n"),
        ("sys/fs/cgroup/node.slice/cpu.max", "max 100000\n"),
        ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
        ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
        ("sys/devices/system/node/online", "0\n"),
        ("proc/swaps", "Filename Type Size Used Priority\n"),
        ("proc/self/limits", LIMITS),
        ("proc/sys/kernel/io_uring_disabled", "0\n"),
        ("proc/sys/net/core/default_qdisc", "fq\n"),
        ("proc/sys/net/ipv4/tcp_congestion_control", "cubic\n"),
        ("proc/sys/net/ipv4/tcp_slow_start_after_idle", "0\n"),
        ("proc/sys/net/ipv4/tcp_wmem", "4096 65536 4194304\n"),
        ("proc/sys/net/core/somaxconn", "4096\n"),
        ("proc/sys/kernel/perf_event_paranoid", "1\n"),
    ];

    const LIMITS: &str = "Limit Soft Limit Hard Limit Units\n\
        Max open files            1024   1048576   files\n\
        Max locked memory         8388608   unlimited   bytes\n";

    /// The good machine with other words in some files.
    fn changed(files: &[(&str, &str)]) -> (tempfile::TempDir, KernelTree) {
        let mut all = GOOD.to_vec();
        all.extend(files);
        tree(&all)
    }

    fn of(tree: &KernelTree, measured: Measured, name: &str) -> Finding {
        let report = findings(tree, measured);
        report.findings.into_iter().find(|it| it.name == name).unwrap_or_else(|| panic!("{name}"))
    }

    #[test]
    fn a_machine_that_is_set_up_well_has_nothing_to_look_at() {
        let (_dir, tree) = tree(GOOD);
        let measured = Measured { io_uring: Some(Ok(())), ..Measured::default() };
        let report = findings(&tree, measured);
        for finding in &report.findings {
            let is_known = finding.verdict == Verdict::Good;
            let needs_figures = ["hand-over", "sharing a CPU"].contains(&finding.name);
            assert!(is_known || needs_figures, "{finding:?}");
            assert!(finding.commands.is_empty());
        }
        assert!(report.text().ends_with("nothing to do\n"), "{}", report.text());
    }

    #[test]
    fn each_thing_that_is_set_badly_is_named_with_its_cost_and_a_command() {
        let cpu = "sys/devices/system/cpu";
        let badly = [
            ("frequency governor", format!("{cpu}/cpu3/cpufreq/scaling_governor"), "powersave"),
            ("idle states", format!("{cpu}/cpu0/cpuidle/state2/disable"), "0"),
            ("hyper-threads", format!("{cpu}/cpu0/topology/thread_siblings_list"), "0,2"),
            ("isolated CPUs", format!("{cpu}/isolated"), ""),
            ("interrupts", "proc/interrupts".to_owned(), " CPU0 CPU1 CPU2 CPU3\n 9: 99 1 0 0 e\n"),
            ("steal time", "proc/stat".to_owned(), "cpu  100 0 100 700 0 0 0 100 0 0\n"),
            ("CPU quota", "sys/fs/cgroup/node.slice/cpu.max".to_owned(), "200000 100000"),
            ("load", "proc/loadavg".to_owned(), "3.90 0.1 0.1 1/2 9"),
            (
                "clock source",
                format!("{cpu}/../clocksource/clocksource0/current_clocksource"),
                "acpi_pm",
            ),
            (
                "huge pages",
                "sys/kernel/mm/transparent_hugepage/enabled".to_owned(),
                "always madvise [never]",
            ),
            ("NUMA", "sys/devices/system/node/online".to_owned(), "0-1"),
            (
                "swap",
                "proc/swaps".to_owned(),
                "Filename Type Size Used Priority\n/dev/sda2 partition 99 0 -2\n",
            ),
            (
                "locked memory",
                "proc/self/limits".to_owned(),
                "Max locked memory         65536   65536   bytes\n",
            ),
            (
                "open files",
                "proc/self/limits".to_owned(),
                "Max open files            1024   4096   files\n",
            ),
            ("io_uring", "proc/sys/kernel/io_uring_disabled".to_owned(), "2"),
            ("queueing discipline", "proc/sys/net/core/default_qdisc".to_owned(), "pfifo_fast"),
            ("congestion control", "proc/sys/net/ipv4/tcp_congestion_control".to_owned(), "reno"),
            (
                "slow start after idle",
                "proc/sys/net/ipv4/tcp_slow_start_after_idle".to_owned(),
                "1",
            ),
            ("send buffer", "proc/sys/net/ipv4/tcp_wmem".to_owned(), "4096 16384 1048576"),
            ("listen backlog", "proc/sys/net/core/somaxconn".to_owned(), "128"),
            ("profiling", "proc/sys/kernel/perf_event_paranoid".to_owned(), "4"),
        ];
        for (name, path, text) in &badly {
            let (_dir, tree) = changed(&[(path.as_str(), text)]);
            let finding = of(&tree, Measured::default(), name);
            assert_eq!(finding.verdict, Verdict::Look, "{finding:?}");
            assert!(!finding.cost.is_empty() && !finding.commands.is_empty(), "{finding:?}");
            assert_eq!(finding.measured, None, "{finding:?}");
        }
        assert_eq!(badly.len() + 2, findings(&tree(GOOD).1, Measured::default()).findings.len());
    }

    #[test]
    fn a_machine_that_tells_nothing_is_not_called_good_or_bad() {
        let (_dir, tree) = tree(&[]);
        let report = findings(&tree, Measured::default());
        let told = |finding: &&Finding| finding.verdict != Verdict::Unknown;
        let told: Vec<_> = report.findings.iter().filter(told).map(|it| it.name).collect();
        // A virtual machine has no governor, and an older kernel no switch for io_uring.
        assert_eq!(told, ["frequency governor", "idle states", "CPU quota", "io_uring"]);
        assert!(report.findings.iter().all(|it| it.verdict != Verdict::Look));
    }

    #[test]
    fn what_was_measured_stands_beside_what_it_is_about() {
        let (_dir, tree) = tree(GOOD);
        let spread = |p99_ns| Some(Spread { p50_ns: 54_000, p99_ns, max_ns: 2_100_000 });
        let measured = Measured {
            wake: spread(84_300),
            wake_beside_work: spread(3_000_000),
            taken: Some(Taken { permille: 12, times: 9, longest_ns: 450_000 }),
            hand_over_ns: Some(71_000),
            switch_ns: Some(3_200),
            steal_permille: Some(31),
            clock_read_ps: Some(25_300),
            small_pages_ps: Some(92_000),
            huge_pages_ps: Some(41_000),
            interrupts: vec![(0, 310), (1, 5)],
            ..Measured::default()
        };
        let figure = |name| of(&tree, measured.clone(), name).measured.unwrap();
        assert!(figure("idle states").contains("84.3 us"), "{}", figure("idle states"));
        assert!(figure("sharing a CPU").contains("3000.0 us"));
        assert!(figure("isolated CPUs").contains("1.2 %"));
        assert!(figure("hand-over").contains("71.0 us") && figure("hand-over").contains("3.2 us"));
        assert!(figure("steal time").contains("3.1 %"));
        assert!(figure("clock source").contains("25 ns"));
        let pages = figure("huge pages");
        assert!(pages.contains("92 ns") && pages.contains("41 ns"), "{pages}");
        assert!(figure("interrupts").contains("310"));
        assert_eq!(of(&tree, measured.clone(), "sharing a CPU").verdict, Verdict::Look);
        assert_eq!(of(&tree, measured.clone(), "hand-over").verdict, Verdict::Look);
        assert_eq!(of(&tree, measured, "steal time").verdict, Verdict::Look, "now, not before");
    }

    #[test]
    fn a_refused_ring_is_told_with_its_reason_whatever_the_kernel_says() {
        let (_dir, tree) = tree(GOOD);
        let refused = Err("io_uring: not permitted\n  what to do: x".to_owned());
        let measured = Measured { io_uring: Some(refused), ..Measured::default() };
        let finding = of(&tree, measured, "io_uring");
        assert_eq!(finding.verdict, Verdict::Look);
        assert!(finding.is.contains("not permitted"), "{finding:?}");
    }
}
