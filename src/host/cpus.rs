//! CPUs: how fast and how soon they run the node's threads.

use super::kernel_tree::KernelTree;
use super::measure::{Measured, Spread};
use super::report::{Finding, micros, percent};

const CPUS: &str = "sys/devices/system/cpu";

const NOT_TOLD: &str = "this kernel does not say";

/// A state that takes longer to leave than this makes frames late, microseconds.
const IDLE_LATENCY_MAX: u64 = 20;

/// A thread that takes longer to wake another is worth not sleeping, nanoseconds.
const HAND_OVER_MAX: u64 = 50_000;

/// Lateness beside an encoder's work from which on the composer is late as well, nanoseconds.
const SHARED_WAKE_MAX: u64 = 2_000_000;

/// From this part of the time on somebody else takes CPUs away, thousandths.
const STEAL_MAX: u64 = 10;

/// From this part on one CPU has all the interrupts, hundredths; on machines of so many CPUs.
const INTERRUPTS_MAX: u64 = 80;
const INTERRUPTS_CPUS_MIN: usize = 4;

pub(super) fn governor(tree: &KernelTree, measured: &Measured) -> Finding {
    const NAME: &str = "frequency governor";
    let governors = tree
        .cpus()
        .into_iter()
        .filter_map(|cpu| tree.text(&format!("{CPUS}/cpu{cpu}/cpufreq/scaling_governor")));
    let mut governors: Vec<_> = governors.collect();
    governors.sort();
    governors.dedup();
    let finding = if governors.is_empty() {
        Finding::good(NAME, "none (the frequency is fixed, or the host's of a virtual machine)")
    } else if governors == ["performance"] {
        Finding::good(NAME, "performance")
    } else {
        Finding::look(
            NAME,
            governors.join(", "),
            "a CPU that has waited for a frame begins it slowly, and is fast when it is done",
            ["cpupower frequency-set --governor performance"],
        )
    };
    finding.with(
        measured.after_pause_percent.map(|percent| {
            format!("work takes {percent} % of its time right after a pause of 8 ms")
        }),
    )
}

pub(super) fn idle_states(tree: &KernelTree, measured: &Measured) -> Finding {
    const NAME: &str = "idle states";
    let folder = format!("{CPUS}/cpu0/cpuidle");
    let states = tree.names(&folder).into_iter().filter_map(|state| {
        let of = |file: &str| tree.text(&format!("{folder}/{state}/{file}"));
        let latency: u64 = of("latency")?.parse().ok()?;
        (of("disable")? == "0").then_some((latency, of("name").unwrap_or_default()))
    });
    let finding = match states.max() {
        None => Finding::good(NAME, "none that the kernel chooses"),
        Some((latency, name)) if latency <= IDLE_LATENCY_MAX => {
            Finding::good(NAME, format!("{name} at most, which takes {latency} us to leave"))
        }
        Some((latency, name)) => Finding::look(
            NAME,
            format!("as deep as {name}, which takes {latency} us to leave"),
            "each frame and each message that finds its CPU asleep is late by as much",
            [
                "cpupower idle-set --disable-by-latency 20",
                "intel_idle.max_cstate=1 processor.max_cstate=1    # on the kernel's command line",
            ],
        ),
    };
    finding.with(measured.wake.map(|wake| format!("a thread that slept wakes {}", late(wake))))
}

fn late(spread: Spread) -> String {
    let Spread { p50_ns, p99_ns, max_ns } = spread;
    let [p50, p99, max] = [p50_ns, p99_ns, max_ns].map(micros);
    format!("{p50} late (median; {p99} at 99 %, {max} at most)")
}

pub(super) fn hand_over(measured: &Measured) -> Finding {
    const NAME: &str = "hand-over";
    let Some(took) = measured.hand_over_ns.or(measured.switch_ns) else {
        return Finding::unknown(NAME, "not measured");
    };
    let finding = if took <= HAND_OVER_MAX {
        Finding::good(NAME, "threads that sleep are soon awake")
    } else {
        Finding::look(
            NAME,
            "threads that sleep take long to wake",
            "a frame is handed over three or four times on its way to viewers, each time to a \
             thread that may sleep",
            ["net_spin_us = 200    # in [cores], with CPUs of its own in `net`: it does not \
                 sleep then"],
        )
    };
    let ways = [(measured.hand_over_ns, "to another CPU"), (measured.switch_ns, "on the same CPU")];
    let ways = ways.into_iter().filter_map(|(took, way)| Some(format!("{} {way}", micros(took?))));
    finding.with(Some(ways.collect::<Vec<_>>().join(", ")))
}

pub(super) fn sharing(measured: &Measured) -> Finding {
    const NAME: &str = "sharing a CPU";
    let Some(wake) = measured.wake_beside_work else {
        return Finding::unknown(NAME, "not measured");
    };
    let finding = if wake.p99_ns <= SHARED_WAKE_MAX {
        Finding::good(NAME, "a thread that wakes gets its CPU from an encoder's soon")
    } else {
        Finding::look(
            NAME,
            "a thread that wakes waits for an encoder's on the same CPU",
            "the composer and shards are late where encoders may run on their CPUs",
            ["encode = [2, 3]    # in [cores]: CPUs that neither `net` nor `compose` has"],
        )
    };
    finding.with(Some(format!("beside a thread that works it wakes {}", late(wake))))
}

pub(super) fn siblings(tree: &KernelTree, measured: &Measured) -> Finding {
    const NAME: &str = "hyper-threads";
    let Some(&cpu) = tree.cpus().first() else { return Finding::unknown(NAME, NOT_TOLD) };
    let siblings = tree.siblings(cpu);
    let finding = if siblings.is_empty() {
        Finding::good(NAME, "each CPU is a core of its own")
    } else {
        let all: Vec<_> = [cpu].into_iter().chain(siblings).map(|it| it.to_string()).collect();
        Finding::look(
            NAME,
            format!("CPUs {} are one core", all.join(" and ")),
            "a shard or the composer whose core encodes as well is slowed down by it",
            [
                "lscpu --extended    # which CPUs are one core",
                "net = [0]    # in [cores]: leave the other CPU of its core to no other role",
            ],
        )
    };
    finding.with(
        measured
            .beside_sibling_percent
            .map(|percent| format!("work takes {percent} % of its time while the other one works")),
    )
}

pub(super) fn isolated(tree: &KernelTree, measured: &Measured) -> Finding {
    const NAME: &str = "isolated CPUs";
    let finding = match tree.text(&format!("{CPUS}/isolated")) {
        None => Finding::unknown(NAME, NOT_TOLD),
        Some(list) if list.is_empty() => Finding::look(
            NAME,
            "none",
            "whatever else runs takes CPUs from the composer and shards; worth it on machines of \
             eight CPUs and more, and with `[cores] net_spin_us`",
            ["isolcpus=managed_irq,domain,2-5 nohz_full=2-5 rcu_nocbs=2-5    # on the kernel's \
                 command line, with these CPUs in [cores]"],
        ),
        Some(list) => Finding::good(NAME, list),
    };
    finding.with(measured.taken.map(|taken| {
        let (part, longest) = (percent(taken.permille), micros(taken.longest_ns));
        format!("others take {part} of a CPU in {} pieces, {longest} at most", taken.times)
    }))
}

pub(super) fn interrupts(tree: &KernelTree, measured: &Measured) -> Finding {
    const NAME: &str = "interrupts";
    let counts = tree.interrupts();
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    let busiest = counts.iter().max_by_key(|(_, count)| *count);
    let Some((&(cpu, most), all @ 1..)) = busiest.zip(Some(all)) else {
        return Finding::unknown(NAME, NOT_TOLD);
    };
    let share = most * 100 / all;
    let is = format!("CPU {cpu} has had {share} % of those of devices");
    let finding = if counts.len() < INTERRUPTS_CPUS_MIN || share < INTERRUPTS_MAX {
        Finding::good(NAME, is)
    } else {
        Finding::look(
            NAME,
            is,
            "all packets go through one CPU, which is slow to run a shard, and a shard elsewhere \
             is woken from there",
            [
                "ethtool -L DEVICE combined N    # as many queues as `[cores] net` has CPUs",
                "systemctl stop irqbalance; echo CPU > /proc/irq/N/smp_affinity_list    # one of \
                 them each",
            ],
        )
    };
    let rates = measured.interrupts.iter().filter(|(_, rate)| *rate > 0);
    let rates: Vec<_> = rates.map(|(cpu, rate)| format!("{rate} a second on CPU {cpu}")).collect();
    finding.with((!rates.is_empty()).then(|| rates.join(", ")))
}

pub(super) fn steal(tree: &KernelTree, measured: &Measured) -> Finding {
    const NAME: &str = "steal time";
    let Some(stolen) = tree.stolen() else { return Finding::unknown(NAME, NOT_TOLD) };
    let so_far = (stolen.stolen * 1_000).checked_div(stolen.all).unwrap_or(0);
    let is = format!("{} of the time since the start", percent(so_far));
    let finding = if measured.steal_permille.unwrap_or(so_far).max(so_far) < STEAL_MAX {
        Finding::good(NAME, is)
    } else {
        Finding::look(
            NAME,
            is,
            "the hypervisor runs other machines on these CPUs: each time this one stands still, \
             for milliseconds",
            ["ask the provider for dedicated CPUs; no setting of this machine helps"],
        )
    };
    finding.with(measured.steal_permille.map(|now| format!("{} just now", percent(now))))
}

pub(super) fn quota(tree: &KernelTree) -> Finding {
    const NAME: &str = "CPU quota";
    let group = tree.text("proc/self/cgroup").and_then(|text| {
        text.lines().find_map(|line| line.strip_prefix("0::/").map(str::to_owned))
    });
    let folder = format!("sys/fs/cgroup/{}", group.unwrap_or_default());
    let max = tree.text(&format!("{}/cpu.max", folder.trim_end_matches('/')));
    let Some((quota, period)) = max.as_deref().and_then(|text| text.split_once(' ')) else {
        return Finding::good(NAME, "none");
    };
    let (Ok(quota), Ok(period)) = (quota.parse::<u64>(), period.parse::<u64>()) else {
        return Finding::good(NAME, "none");
    };
    let stat = tree.text(&format!("{}/cpu.stat", folder.trim_end_matches('/'))).unwrap_or_default();
    let throttled = stat.lines().find_map(|line| line.strip_prefix("nr_throttled "));
    Finding::look(
        NAME,
        format!(
            "{} ms of each {} ms, reached {} times so far",
            quota / 1_000,
            period / 1_000,
            throttled.unwrap_or("an unknown number of")
        ),
        "once it is used up, all threads stand still until the period ends",
        [
            "systemctl set-property stream-manager CPUQuota=    # for a service",
            "docker update --cpus 0 CONTAINER    # use --cpuset-cpus to share a machine",
        ],
    )
}

pub(super) fn load(tree: &KernelTree) -> Finding {
    const NAME: &str = "load";
    let text = tree.text("proc/loadavg");
    let Some(load) = text.as_deref().and_then(|text| text.split_whitespace().next()) else {
        return Finding::unknown(NAME, NOT_TOLD);
    };
    let cpus = tree.cpus().len().max(1);
    // In hundredths, as the kernel writes it.
    let hundredths = load.replace('.', "").parse::<usize>().unwrap_or(0);
    if hundredths < cpus * 100 / 2 {
        return Finding::good(NAME, format!("{load} on {cpus} CPUs"));
    }
    Finding::look(
        NAME,
        format!("{load} on {cpus} CPUs"),
        "what runs beside the node waits for the same CPUs; figures measured now are too high",
        ["top    # what it is"],
    )
}

pub(super) fn clock_source(tree: &KernelTree, measured: &Measured) -> Finding {
    const NAME: &str = "clock source";
    let path = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    let finding = match tree.text(path).as_deref() {
        None => Finding::unknown(NAME, NOT_TOLD),
        Some(is @ ("tsc" | "kvm-clock" | "arch_sys_counter")) => Finding::good(NAME, is),
        Some(is) => Finding::look(
            NAME,
            is,
            "reading the time is a call to the kernel, some thousand times a second",
            ["echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource"],
        ),
    };
    let figure = measured.clock_read_ps.map(|ps| format!("reading it takes {} ns", ps / 1_000));
    finding.with(figure)
}

pub(super) fn io_uring(tree: &KernelTree, measured: &Measured) -> Finding {
    const NAME: &str = "io_uring";
    const COST: &str = "the node takes the driver epoll: a shard then makes a call to the kernel \
                        for each viewer and message";
    let disabled = tree.number("proc/sys/kernel/io_uring_disabled").unwrap_or(0);
    match &measured.io_uring {
        Some(Err(why)) => {
            let is = why.lines().next().unwrap_or_default();
            Finding::look(
                NAME,
                is,
                COST,
                [
                    "sysctl -w kernel.io_uring_disabled=0",
                    "docker run --security-opt seccomp=PROFILE    # one that allows io_uring_*",
                ],
            )
        }
        None if disabled != 0 => {
            let is = format!("kernel.io_uring_disabled is {disabled}");
            Finding::look(NAME, is, COST, ["sysctl -w kernel.io_uring_disabled=0"])
        }
        Some(Ok(())) => Finding::good(NAME, "allowed"),
        None => Finding::good(NAME, "not forbidden"),
    }
}

pub(super) fn profiling(tree: &KernelTree) -> Finding {
    const NAME: &str = "profiling";
    match tree.text("proc/sys/kernel/perf_event_paranoid").and_then(|it| it.parse::<i64>().ok()) {
        None => Finding::unknown(NAME, "this kernel has no performance events"),
        Some(level @ ..=1) => Finding::good(NAME, format!("perf_event_paranoid is {level}")),
        Some(level) => Finding::look(
            NAME,
            format!("perf_event_paranoid is {level}"),
            "nothing while the node runs; but only root sees with perf what it does",
            ["sysctl -w kernel.perf_event_paranoid=1"],
        ),
    }
}
