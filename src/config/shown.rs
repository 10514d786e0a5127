//! Configuration in use as a text: what is written, on top of the defaults; for people without
//! secrets, for another node with them.

use toml::{Table, Value};

use super::Config;
use super::load::parse_as;
use crate::stats::url_without_secrets;

/// What stands for a secret.
const HIDDEN: &str = "***";

/// How the names of keys end whose values are secrets.
const SECRETS: [&str; 3] = ["password", "secret", "token"];

/// The same of URLs, which end in a stream key or hold a login.
const URLS: [&str; 2] = ["url", "urls"];

impl Config {
    /// The configuration in use as TOML: defaults, what was written, and above it what the command
    /// line said. Every secret in it is hidden.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut all = self.in_use();
        all.iter_mut().for_each(|(key, value)| hide(key, value));
        all.to_string()
    }

    /// The same with every secret as it is: a file for another start. Must not reach a log, a
    /// metric or an event.
    #[must_use]
    pub fn exported(&self) -> String {
        self.in_use().to_string()
    }

    /// Whether both describe the same node, however they are written.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Self { written: other.written.clone(), ..self.clone() } == *other
    }

    /// Whether it was read from a text, and still says what that says.
    #[must_use]
    pub(crate) fn is_as_written(&self) -> bool {
        let text = parse_as(self.written.expose(), "its text", true);
        self.has_text()
            && text.is_ok_and(|text| {
                text.channels == self.channels
                    && text.streams == self.streams
                    && text.transcodes == self.transcodes
                    && text.pulls == self.pulls
                    && text.pushes == self.pushes
                    && text.records == self.records
            })
    }

    /// Whether there is a text that it was read from.
    pub(crate) fn has_text(&self) -> bool {
        !self.written.expose().is_empty()
    }

    /// Lets it be one that was never a text.
    pub(crate) fn forget_text(&mut self) {
        self.written = super::Secret::default();
    }

    fn in_use(&self) -> Table {
        let mut all: Table = Self::default_text().parse().unwrap_or_default();
        let written: Table = self.written.expose().parse().unwrap_or_default();
        // Channels and the like are not added to the default ones, but stand in their place.
        all.retain(|_, value| value.is_table() || written.is_empty());
        for (key, value) in written {
            match (all.get_mut(&key), value) {
                (Some(Value::Table(old)), Value::Table(new)) => old.extend(new),
                (_, value) => drop(all.insert(key, value)),
            }
        }
        let mut set = |table: &str, key: &str, value: Value| {
            if let Some(Value::Table(table)) = all.get_mut(table) {
                table.insert(key.to_owned(), value);
            }
        };
        set("rtmp", "bind", self.rtmp.bind.to_string().into());
        set("rtmp", "port", i64::from(self.rtmp.port).into());
        set("http", "port", i64::from(self.http.port).into());
        if let Some(Value::Table(node)) = all.get_mut("node") {
            match &self.node.data_dir {
                Some(dir) => drop(node.insert("data_dir".into(), dir.display().to_string().into())),
                // Who starts it says where that is.
                None => drop(node.remove("data_dir")),
            }
        }
        all
    }
}

fn hide(key: &str, value: &mut Value) {
    let ends = |ends: &[&str]| ends.iter().any(|end| key.ends_with(end));
    match value {
        Value::Table(table) => table.iter_mut().for_each(|(key, value)| hide(key, value)),
        Value::Array(list) => list.iter_mut().for_each(|value| hide(key, value)),
        Value::String(text) if ends(&SECRETS) && !text.is_empty() => HIDDEN.clone_into(text),
        Value::String(text) if ends(&URLS) && !text.is_empty() => *text = url_without_secrets(text),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_stands_above_the_defaults_and_the_command_line_above_that() {
        let mut config = Config::parse("[rtmp]\nport = 1940\n[node]\nname = \"a\"\n", "a").unwrap();
        config.http.port = 9_000;
        let shown: Table = config.shown().parse().unwrap();
        assert_eq!(shown["rtmp"]["port"].as_integer(), Some(1_940));
        assert_eq!(shown["rtmp"]["chunk_size"].as_integer(), Some(60_000));
        assert_eq!(shown["http"]["port"].as_integer(), Some(9_000));
        assert!(!shown.contains_key("channel"));
        let default: Table = Config::default().shown().parse().unwrap();
        assert!(default["channel"].is_array());
    }

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let text = "[keys]\nredis_password = \"sec-ret\"\nredis_urls = [\"redis://u:sec-ret@h/0\"]\n\
                    [[push]]\nname = \"p\"\nstream = \"live/a\"\n\
                    url = \"rtmp://u:sec-ret@h/app/sec-ret?k=sec-ret\"\n";
        let shown = Config::parse(text, "a").unwrap().shown();
        assert!(!shown.contains("sec-ret"), "{shown}");
        assert!(shown.contains("rtmp://h/app/***"), "{shown}");
    }
}
