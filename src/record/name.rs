//! Names of recordings: `NAME-YYYYmmdd-HHMMSS-N.flv`, in UTC.

use time::{Duration, OffsetDateTime};

/// Longest part of a file's name that comes from the recording's name, characters.
const NAME_CHARS_MAX: usize = 64;

/// The name of file `number` of recording `name`, begun at `unix_s`. What is not a letter of ASCII,
/// a digit, `-` or `_` becomes `_`, so that no name leads elsewhere or hides.
#[must_use]
pub fn file_name(name: &str, unix_s: u64, number: u32, extension: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' };
    let name: String = name.chars().take(NAME_CHARS_MAX).map(safe).collect();
    let name = name.trim_start_matches('-');
    let name = if name.is_empty() { "record" } else { name };
    let since = Duration::seconds(i64::try_from(unix_s).unwrap_or(i64::MAX));
    let at = OffsetDateTime::UNIX_EPOCH.saturating_add(since);
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let (hour, minute, second) = (at.hour(), at.minute(), at.second());
    format!(
        "{name}-{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}-{number}.{extension}"
    )
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
