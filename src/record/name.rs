//! Names of recordings: `NAME-YYYYmmdd-HHMMSS-N.flv`, in UTC.

/// Longest part of a file's name that comes from the recording's name, characters.
const NAME_CHARS_MAX: usize = 64;

/// The name of file `number` of recording `name`, begun at `unix_s`. What is not a letter of ASCII,
/// a digit, `-` or `_` becomes `_`, so that no name leads elsewhere or hides.
pub(super) fn file_name(name: &str, unix_s: u64, number: u32, extension: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' };
    let name: String = name.chars().take(NAME_CHARS_MAX).map(safe).collect();
    let name = name.trim_start_matches('-');
    let name = if name.is_empty() { "record" } else { name };
    let (year, month, day) = date(unix_s / 86_400);
    let (hour, minute, second) = (unix_s / 3_600 % 24, unix_s / 60 % 60, unix_s % 60);
    format!(
        "{name}-{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}-{number}.{extension}"
    )
}

/// Year, month and day of the Gregorian calendar, by days since 1970: eras of 400 years that begin
/// in March, so that the leap day is the last of its year.
const fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + if month <= 2 { 1 } else { 0 }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_when_the_file_began() {
        assert_eq!(file_name("show", 0, 1, "flv"), "show-19700101-000000-1.flv");
        assert_eq!(file_name("show", 951_782_400, 1, "mp4"), "show-20000229-000000-1.mp4");
        assert_eq!(file_name("a", 1_735_689_599, 12, "flv"), "a-20241231-235959-12.flv");
        assert_eq!(file_name("a", 4_107_542_400, 1, "flv"), "a-21000301-000000-1.flv");
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for (name, safe) in [
            ("../../etc/passwd", "______etc_passwd"),
            (".hidden", "_hidden"),
            ("-rf", "rf"),
            ("a\0b\nc d", "a_b_c_d"),
            ("größe", "gr__e"),
            ("", "record"),
        ] {
            assert_eq!(file_name(name, 0, 1, "flv"), format!("{safe}-19700101-000000-1.flv"));
        }
        assert!(file_name(&"x".repeat(1_000), 0, 1, "flv").len() < 100);
    }
}
