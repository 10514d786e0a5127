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

/// Folders that still use such words, and how many different ones at most. Rows may only shrink or
/// go.
const STILL: &[(&str, usize)] = &[
    ("cli", 1),
    ("command", 4),
    ("control", 13),
    ("flv", 1),
    ("lib", 1),
    ("limits", 4),
    ("media", 1),
    ("node", 3),
    ("rtmp", 2),
    ("shard", 13),
    ("stream", 3),
    ("web", 2),
];

/// Every such word that no row of the allow list covers.
pub(crate) fn faults(files: &[(String, String)]) -> Vec<String> {
    faults_beyond(files, STILL)
}

fn faults_beyond(files: &[(String, String)], allowed: &[(&str, usize)]) -> Vec<String> {
    let mut found: BTreeMap<&str, BTreeMap<usize, BTreeSet<&str>>> = BTreeMap::new();
    for (folder, _) in allowed {
        found.entry(folder).or_default();
    }
    for (path, text) in files {
        let folder = path.split(['/', '.']).next().unwrap_or_default();
        for token in tokens(text) {
            if let Some(word) = WORDS.iter().position(|(word, _)| *word == token) {
                found.entry(folder).or_default().entry(word).or_default().insert(path);
            }
        }
    }
    let mut faults = Vec::new();
    for (folder, words) in found {
        let (count, row) = (words.len(), allowed.iter().find(|(name, _)| *name == folder));
        match row {
            Some(_) if count == 0 => {
                faults.push(format!("STILL: src/{folder} has no such word: remove its row"));
            }
            Some((_, most)) if count <= *most => {}
            row => {
                if let Some((_, most)) = row {
                    faults.push(format!("src/{folder}: {count} private words, at most {most}"));
                }
                faults.extend(words.iter().map(|(word, paths)| fault(WORDS[*word], paths)));
            }
        }
    }
    faults
}

fn fault((word, instead): (&str, &str), paths: &BTreeSet<&str>) -> String {
    let paths: Vec<_> = paths.iter().map(|path| format!("src/{path}")).collect();
    format!("{}: `{word}` is private slang: say {instead}", paths.join(", "))
}

#[test]
fn private_words_are_told_with_the_standard_ones() {
    let files = |text: &str| vec![("limits/guard.rs".to_owned(), text.to_owned())];
    let told =
        faults_beyond(&files("struct Seat(u8); // a Seat\nfn desk() -> &str { \"Desk\" }"), &[]);
    assert_eq!(told, ["src/limits/guard.rs: `Seat` is private slang: say `Permit`"]);
    assert!(faults_beyond(&files("Seat Seat"), &[("limits", 1)]).is_empty());
    assert!(faults_beyond(&files("Seat Words"), &[("limits", 1)])[0].contains("2 private words"));
    assert!(faults_beyond(&files("Permit"), &[("limits", 1)])[0].contains("remove its row"));
    assert!(faults_beyond(&files("Permit"), &[("web", 1)])[0].contains("remove its row"));
}
