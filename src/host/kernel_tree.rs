//! The files in which the kernel describes the machine, below a root folder.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// Bytes read of a file at most: `/proc/interrupts` of a machine with hundreds of CPUs is the
/// largest. The rest of a longer one is not looked at.
const BYTES_MAX: u64 = 4 << 20;

/// CPUs looked at, at most: a list that names more is cut there.
const CPUS_MAX: usize = 4_096;

/// `/proc` and `/sys` of a machine.
#[derive(Clone, Debug)]
pub struct KernelTree {
    root: PathBuf,
}

impl KernelTree {
    /// Below this folder; `/` is this machine.
    #[must_use]
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// What a file says, without blanks around it; `None` if it is not there, is not text, or may
    /// not be read.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let mut bytes = Vec::new();
        File::open(self.root.join(path)).ok()?.take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8(bytes).ok()?.trim().to_owned())
    }

    /// The number that a file holds.
    pub(super) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// The names in a folder, sorted; none if there is no such folder.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.join(path)).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.filter_map(|it| it.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// The CPUs that run.
    pub(super) fn cpus(&self) -> Vec<usize> {
        self.text("sys/devices/system/cpu/online").map(|list| cpu_list(&list)).unwrap_or_default()
    }

    /// The other CPUs of this one's core.
    pub(super) fn siblings(&self, cpu: usize) -> Vec<usize> {
        let path = format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        let all = self.text(&path).map(|list| cpu_list(&list)).unwrap_or_default();
        all.into_iter().filter(|&other| other != cpu).collect()
    }

    /// Time of all CPUs so far, and that of it which a hypervisor gave to others, in ticks
    /// (`/proc/stat`, proc(5)).
    pub(super) fn stolen(&self) -> Option<Stolen> {
        let text = self.text("proc/stat")?;
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<u64> = line.split_whitespace().map_while(|it| it.parse().ok()).collect();
        // Time of guests is part of that of users.
        let all = ticks.iter().take(8).sum();
        Some(Stolen { all, stolen: *ticks.get(7)? })
    }

    /// Interrupts of devices so far, by CPU (`/proc/interrupts`).
    pub(super) fn interrupts(&self) -> Vec<(usize, u64)> {
        let Some(text) = self.text("proc/interrupts") else { return Vec::new() };
        let mut lines = text.lines();
        let heads = lines.next().unwrap_or_default().split_whitespace();
        let cpus = heads.filter_map(|head| head.strip_prefix("CPU")?.parse().ok());
        let mut counts: Vec<(usize, u64)> = cpus.take(CPUS_MAX).map(|cpu| (cpu, 0)).collect();
        for line in lines {
            let mut words = line.split_whitespace();
            let name = words.next().unwrap_or_default().trim_end_matches(':');
            // The kernel's own have letters.
            if name.bytes().all(|byte| byte.is_ascii_digit()) {
                for (count, word) in counts.iter_mut().zip(words) {
                    count.1 += word.parse::<u64>().unwrap_or(0);
                }
            }
        }
        counts
    }
}

/// Ticks of all CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stolen {
    /// All.
    pub(super) all: u64,
    /// Those that a hypervisor gave to others.
    pub(super) stolen: u64,
}

impl Stolen {
    /// What was stolen of the time since an earlier look, in thousandths.
    pub(super) fn permille_since(self, before: Self) -> Option<u64> {
        let all = self.all.checked_sub(before.all)?;
        (self.stolen.saturating_sub(before.stolen) * 1_000).checked_div(all)
    }
}

/// The numbers of a list such as `0-3,8`.
fn cpu_list(text: &str) -> Vec<usize> {
    let ranges = text.split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<usize>().ok()?..=last.trim().parse::<usize>().ok()?)
    });
    ranges.flatten().take(CPUS_MAX).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A root folder with these files.
    pub(in crate::host) fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, KernelTree) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let file = dir.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let tree = KernelTree::below(dir.path());
        (dir, tree)
    }

    #[test]
    fn lists_of_cpus_are_read_and_cut_where_they_have_no_end() {
        assert_eq!(cpu_list("0-2,8"), [0, 1, 2, 8]);
        assert_eq!(cpu_list(""), Vec::<usize>::new());
        assert_eq!(cpu_list("x,4"), [4]);
        assert_eq!(cpu_list("0-99999999").len(), CPUS_MAX);
    }

    #[test]
    fn interrupts_of_devices_are_summed_by_cpu_and_those_of_the_kernel_left_out() {
        let text = "      CPU0   CPU2\n 24:  5  7  IO-APIC eth0\n 25: 1 0 x\nLOC: 900 900 timer\n";
        let (_dir, tree) = tree(&[("proc/interrupts", text)]);
        assert_eq!(tree.interrupts(), [(0, 6), (2, 7)]);
    }

    #[test]
    fn stolen_time_is_a_share_of_all_but_that_of_guests() {
        let (_dir, tree) = tree(&[("proc/stat", "cpu  100 0 100 700 0 0 0 100 50 50\ncpu0 1\n")]);
        let stolen = tree.stolen().unwrap();
        assert_eq!(stolen, Stolen { all: 1_000, stolen: 100 });
        assert_eq!(stolen.permille_since(Stolen { all: 500, stolen: 90 }), Some(20));
        assert_eq!(stolen.permille_since(stolen), None, "no time has passed");
    }

    #[test]
    fn what_is_not_there_is_told_as_such() {
        let (_dir, tree) = tree(&[]);
        assert_eq!((tree.text("proc/stat"), tree.stolen(), tree.cpus().len()), (None, None, 0));
        assert!(tree.names("sys").is_empty() && tree.interrupts().is_empty());
    }
}
