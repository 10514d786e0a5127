//! Private slang: identifiers that only this program uses for what the field has a term for.

use std::collections::{BTreeMap, BTreeSet};

use super::tokens::tokens;

/// An identifier that is not used, and what to say instead.
const WORDS: &[(&str, &str)] = &[
    ("Census", "`ViewerCounts`"),
    ("Cutter", "`Resampler` or `Splitter`"),
    ("Desk", "`CommandHandler`, or the service that it is"),
    ("Dial", "`Connector`"),
    ("Door", "`Lockout`, `Limiter` or `Listener`"),
    ("Entrance", "`Input`, or the queue that it is"),
    ("Facts", "`MediaInfo`, or what they describe"),
    ("Feed", "`Source`, `Sender` or `Receiver`"),
    ("Heard", "`Outcome`, or what it decides"),
    ("Held", "`Pending`, or what is held"),
    ("HookDesk", "`HookService`"),
    ("KeyDesk", "`KeyService`"),
    ("Line", "`Link` or `Connection`"),
    ("News", "`Change` or `Event`"),
    ("Patience", "`Timeout` or `Deadline`"),
    ("Place", "`Position` or `Slot`"),
    ("Preface", "`ProxyHeader`, or the header that it is"),
    ("Pulse", "`Wakeup` or `Heartbeat`"),
    ("Said", "`Response`, or what was decided"),
    ("Seat", "`Permit`"),
    ("Shop", "`ChannelBuilder`, or what it builds"),
    ("Survey", "`Snapshot`"),
    ("SurveyOrder", "`SnapshotRequest`"),
    ("Swap", "`Replacement`"),
    ("Talk", "`Session`"),
    ("Tap", "`Subscription`"),
    ("Teller", "`Reporter`"),
    ("Ticket", "`Permit` or `RequestId`"),
    ("Tongue", "`Protocol`"),
    ("Turnstile", "`RateLimiter`"),
    ("Walk", "`Position`"),
    ("Walker", "`Parser` or `Reader`"),
    ("Was", "`Previous`"),
    ("Wish", "`Request`"),
    ("Words", "the counters or texts that they are"),
    ("come_home", "`migrate`"),
    ("detour", "`redirect`"),
    ("heed", "`handle`"),
    ("hear", "`handle` or `inspect`"),
    ("homes", "`owners`"),
    ("idle_taps", "`idle_subscriptions`"),
    ("nudge", "`wake`"),
    ("shake", "`wake`"),
];

/// Every such word in `files`, pairs of a path below `src/` and its text.
pub(crate) fn faults(files: &[(String, String)]) -> Vec<String> {
    let mut found: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for (path, text) in files {
        for token in tokens(text) {
            if let Some(word) = WORDS.iter().position(|(word, _)| *word == token) {
                found.entry(word).or_default().insert(path);
            }
        }
    }
    found.iter().map(|(word, paths)| fault(WORDS[*word], paths)).collect()
}

fn fault((word, instead): (&str, &str), paths: &BTreeSet<&str>) -> String {
    let paths: Vec<_> = paths.iter().map(|path| format!("src/{path}")).collect();
    format!("{}: `{word}` is private slang: say {instead}", paths.join(", "))
}

#[test]
fn private_words_are_told_with_the_standard_ones() {
    let files = |text: &str| vec![("limits/guard.rs".to_owned(), text.to_owned())];
    let told = faults(&files("struct Seat(u8); // a Door\nfn desk() -> &str { \"Desk\" }"));
    assert_eq!(told, ["src/limits/guard.rs: `Seat` is private slang: say `Permit`"]);
    assert!(faults(&files("struct Permit(u8);")).is_empty());
}
