//! Number of the machine: the same for all programs that read its clock, another one after each of
//! its starts.

use std::fs;

/// Random text that the kernel makes when it starts. Containers have that of their host, whose
/// clock is theirs.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The machine's number, which says nothing about it; 0 if the kernel does not say.
#[must_use]
pub fn machine_number() -> u32 {
    fs::read_to_string(BOOT_ID).map_or(0, |text| number_of(text.trim()))
}

fn number_of(boot_id: &str) -> u32 {
    // FNV-1a, which every build of the program computes alike.
    let word = boot_id
        .bytes()
        .fold(0x811c_9dc5, |word: u32, byte| (word ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    word.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_the_same_each_time_and_another_for_another_machine() {
        assert_eq!(machine_number(), machine_number());
        let [a, b] = ["36a1b1d5-0001", "36a1b1d5-0002"].map(number_of);
        assert!(a != b && a != 0 && a == number_of("36a1b1d5-0001"));
    }
}
