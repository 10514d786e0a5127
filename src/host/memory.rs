//! Memory, and limits of the process.

use super::kernel_tree::KernelTree;
use super::measure::Measured;
use super::report::Finding;

/// Open files below which many viewers are refused: each is one.
const FILES_MIN: u64 = 65_536;

/// Locked memory below which there is too little for the rings of `io_uring`, bytes: with some
/// for each shard.
const LOCKED_MIN: u64 = 8 << 20;

pub(super) fn huge_pages(tree: &KernelTree, measured: &Measured) -> Finding {
    const NAME: &str = "huge pages";
    let figure = measured.small_pages_ps.zip(measured.huge_pages_ps).map(|(small, huge)| {
        let (small, huge) = (small / 1_000, huge / 1_000);
        format!(
            "a look at 64 MiB in no order takes {small} ns with small pages and {huge} ns with \
                 huge ones"
        )
    });
    let finding = match tree.text("sys/kernel/mm/transparent_hugepage/enabled") {
        None => Finding::unknown(NAME, "this kernel has no transparent ones"),
        Some(text) if text.contains("[never]") => Finding::look(
            NAME,
            text,
            "pictures lie in 4 KiB pages: drawing and encoding wait for their translations",
            ["echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"],
        ),
        Some(text) => Finding::good(NAME, text),
    };
    finding.with(figure)
}

pub(super) fn numa(tree: &KernelTree) -> Finding {
    const NAME: &str = "NUMA";
    match tree.text("sys/devices/system/node/online") {
        None => Finding::unknown(NAME, "this kernel does not say"),
        Some(nodes) if nodes == "0" => Finding::good(NAME, "one node"),
        Some(nodes) => {
            let balancing = tree.number("proc/sys/kernel/numa_balancing");
            let moves =
                if balancing == Some(1) { ", and the kernel moves pages between them" } else { "" };
            Finding::look(
                NAME,
                format!("nodes {nodes}{moves}"),
                "a picture that is drawn on one node and encoded on another is read from farther \
                 away, 1.5 to 2 times as slowly on most machines",
                [
                    "numactl --cpunodebind=0 --membind=0 stream-manager run ...    # or [cores] \
                     of one node",
                    "sysctl -w kernel.numa_balancing=0",
                ],
            )
        }
    }
}

pub(super) fn swap(tree: &KernelTree) -> Finding {
    const NAME: &str = "swap";
    let Some(text) = tree.text("proc/swaps") else {
        return Finding::unknown(NAME, "this kernel does not say");
    };
    let places = text.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    let places: Vec<_> = places.collect();
    if places.is_empty() {
        return Finding::good(NAME, "none");
    }
    let swappiness = tree.number("proc/sys/vm/swappiness").unwrap_or(60);
    Finding::look(
        NAME,
        format!("{}, swappiness {swappiness}", places.join(", ")),
        "a page that comes back from a disk holds its thread up for 0.1 to 10 ms: a late frame",
        ["sysctl -w vm.swappiness=1", "systemctl edit stream-manager    # MemorySwapMax=0"],
    )
}

pub(super) fn locked(tree: &KernelTree) -> Finding {
    const NAME: &str = "locked memory";
    match hard_limit(tree, "Max locked memory") {
        None => Finding::unknown(NAME, "this kernel does not say"),
        Some(None) => Finding::good(NAME, "unlimited"),
        Some(Some(bytes)) if bytes >= LOCKED_MIN => {
            Finding::good(NAME, format!("{} KiB", bytes >> 10))
        }
        Some(Some(bytes)) => Finding::look(
            NAME,
            format!("{} KiB", bytes >> 10),
            "rings of io_uring count against it, those of other programs too: the node may have to \
             take the driver epoll",
            ["systemctl edit stream-manager    # LimitMEMLOCK=infinity", "ulimit -H -l unlimited"],
        ),
    }
}

pub(super) fn open_files(tree: &KernelTree) -> Finding {
    const NAME: &str = "open files";
    match hard_limit(tree, "Max open files") {
        None => Finding::unknown(NAME, "this kernel does not say"),
        Some(None) => Finding::good(NAME, "unlimited"),
        Some(Some(files)) if files >= FILES_MIN => Finding::good(NAME, files.to_string()),
        Some(Some(files)) => Finding::look(
            NAME,
            files.to_string(),
            "every viewer is one: those beyond it are not accepted",
            ["systemctl edit stream-manager    # LimitNOFILE=1048576", "ulimit -H -n 1048576"],
        ),
    }
}

/// The hard limit of this process, `Some(None)` if there is no limit.
fn hard_limit(tree: &KernelTree, name: &str) -> Option<Option<u64>> {
    let text = tree.text("proc/self/limits")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    match line.split_whitespace().nth(1)? {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    }
}
