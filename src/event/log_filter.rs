//! Log settings: the format of lines, and the filter that chooses them, such as `info` or
//! `warn,stream_manager::rtmp=debug`.

/// How lines of the log are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// As text for people.
    Text,
    /// As one JSON object each.
    Json,
}

/// Longest filter that is taken, bytes.
const FILTER_BYTES_MAX: usize = 256;

/// The levels, from nothing to everything.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Checks a filter: parts separated by commas, each a level or `MODULE=LEVEL`. A lone word that is
/// no level is refused: taken for the name of a module, it would silence everything else.
///
/// # Errors
/// What is wrong, and what would do.
pub fn check_log_filter(filter: &str) -> Result<(), String> {
    if filter.len() > FILTER_BYTES_MAX {
        return Err(format!("a log filter has at most {FILTER_BYTES_MAX} characters"));
    }
    filter.split(',').map(str::trim).try_for_each(|part| match part.split_once('=') {
        Some((module, level)) => check_module(module).and_then(|()| check_level(level)),
        None => check_level(part),
    })
}

fn check_level(word: &str) -> Result<(), String> {
    if LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word)) {
        return Ok(());
    }
    let levels = LEVELS.join(", ");
    if word.contains("::") || word == env!("CARGO_CRATE_NAME") {
        return Err(format!("`{word}` is a module without a level: say `{word}=debug`"));
    }
    let near = LEVELS.iter().find(|level| is_near(level, word));
    let hint = near.map_or_else(String::new, |level| format!("; did you mean `{level}`?"));
    Err(format!("{} is not a level; the levels are {levels}{hint}", shown(word)))
}

/// What is no word at all may be something secret in the wrong place.
fn shown(word: &str) -> String {
    let is_word = word.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c));
    if is_word { format!("`{word}`") } else { "a part of it".to_owned() }
}

fn check_module(module: &str) -> Result<(), String> {
    let is_name = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if module.split("::").all(is_name) {
        return Ok(());
    }
    let shown = shown(module);
    Err(format!("{shown} is not a module; say for example `stream_manager::rtmp=debug`"))
}

/// Whether the words have the same letters but for order and one that is missing or too many.
fn is_near(level: &str, word: &str) -> bool {
    let counts = |text: &str| {
        let mut counts = [0_i32; 26];
        for letter in text.bytes().map(|byte| byte.to_ascii_lowercase()) {
            if let Some(count) = counts.get_mut(usize::from(letter.wrapping_sub(b'a'))) {
                *count += 1;
            }
        }
        counts
    };
    let apart = counts(level).iter().zip(counts(word)).map(|(a, b)| (a - b).abs()).sum::<i32>();
    apart <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_modules_with_levels_are_taken() {
        for filter in ["info", "WARN", "off", "warn,stream_manager::rtmp=debug", "info, hyper=warn"]
        {
            assert_eq!(check_log_filter(filter), Ok(()), "{filter}");
        }
    }

    #[test]
    fn what_would_silence_the_node_or_means_nothing_is_refused_with_what_would_do() {
        for (filter, told) in [
            ("inof", "did you mean `info`?"),
            ("warnn", "did you mean `warn`?"),
            ("loud", "the levels are off, error, warn, info, debug, trace"),
            ("", "is not a level"),
            ("info,,warn", "is not a level"),
            ("stream_manager", "say `stream_manager=debug`"),
            ("stream_manager::rtmp", "say `stream_manager::rtmp=debug`"),
            ("stream_manager=loud", "`loud` is not a level"),
            ("my module=info", "is not a module"),
            ("[span]=info", "is not a module"),
        ] {
            let error = check_log_filter(filter).unwrap_err();
            assert!(error.contains(told), "{filter}: {error}");
        }
        assert!(check_log_filter(&"x".repeat(300)).unwrap_err().contains("256"));
    }
}
