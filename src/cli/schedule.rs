//! `schedule check`: what a rundown comes to, before a channel shows it.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use jiff::civil::DateTime;

use crate::config::{ChannelConfig, Config, Errors, no_scene_faults, read_schedule};
use crate::runtime::Clock;
use crate::schedule::{DAY_MS, Forecast, Row, Rundown, Shown, When, Zone};

/// Looking at schedules.
#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// Read a schedule, say what is wrong with it, and print the next 24 hours.
    Check(ScheduleCheckArgs),
}

/// Which schedule, and from when on.
#[derive(Args, Clone, Debug)]
pub struct ScheduleCheckArgs {
    /// The schedule: the `file` of a `[channel.schedule]`.
    pub file: PathBuf,
    /// When the 24 hours begin, in the schedule's time zone, such as 2026-03-29 or
    /// 2026-03-29T18:00; by default now.
    #[arg(long, value_name = "TIME")]
    pub from: Option<DateTime>,
    /// Configuration file of the node that is to show it: scenes that it does not have are told.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The channel, where the configuration has several.
    #[arg(long, requires = "config", value_name = "NAME")]
    pub channel: Option<String>,
}

/// What `schedule check` prints about a good schedule.
///
/// # Errors
/// Everything that is wrong in the schedule or the configuration.
pub fn schedule_check(args: &ScheduleCheckArgs) -> Result<String, Errors> {
    let rundown = read_schedule(&args.file)?;
    let mut warnings = match &args.config {
        Some(file) => unknown_scenes(&rundown, &Config::load_as(file, true)?, args)?,
        None => Vec::new(),
    };
    let origin = args.file.display();
    let from = match args.from {
        Some(from) => rundown.zone.instant(from).ok_or_else(|| {
            let text = "`--from` is before 1970; name a later time";
            Errors::about(&origin.to_string(), text)
        })?,
        None => Clock::start().unix_millis(),
    };
    let rundown = Arc::new(rundown);
    let forecast = Forecast::of(&rundown, from, from + DAY_MS);
    let (count, zone) = (rundown.items.len(), &rundown.zone);
    let items = if count == 1 { "item" } else { "items" };
    let mut lines = vec![format!("{origin}: ok, {count} {items}, times of {}", zone.name())];
    lines.extend(forecast.rows.iter().map(|row| line(row, zone)));
    let odd = forecast.warnings.iter();
    warnings.extend(odd.map(|it| format!("{}: {it}", zone.words(it.at()))));
    lines.extend(warnings.into_iter().map(|text| format!("  warning  {text}")));
    lines.push(String::new());
    Ok(lines.join("\n"))
}

fn line(row: &Row, zone: &Zone) -> String {
    let length = row.ends.map(|ends| words(ends.saturating_sub(row.at)));
    let length = length.unwrap_or_else(|| "open".to_owned());
    let late = match row.at.saturating_sub(row.planned) {
        0..1_000 => String::new(),
        late => format!(", {} late", words(late)),
    };
    let what = match &row.shown {
        Shown::Item(item) => {
            // What was joined is not late.
            let is_timed = matches!(item.when, When::At { .. });
            let late = if is_timed { late } else { String::new() };
            format!("{} (scene {}{late})", item.name, item.scene)
        }
        Shown::Filler(Some(scene)) => format!("- filler (scene {scene})"),
        Shown::Filler(None) => "- nothing".to_owned(),
    };
    format!("  {}  {length:>9}  {what}", zone.words(row.at))
}

/// Milliseconds as `H:MM:SS`.
fn words(ms: u64) -> String {
    let seconds = ms / 1_000;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Scenes that the channel does not have.
fn unknown_scenes(
    rundown: &Rundown,
    config: &Config,
    args: &ScheduleCheckArgs,
) -> Result<Vec<String>, Errors> {
    let origin = args.config.as_deref().unwrap_or(&args.file).display().to_string();
    let is_its = |channel: &&ChannelConfig| {
        let schedule = channel.schedule.as_ref();
        schedule.is_some_and(|schedule| schedule.file == args.file)
    };
    let channel = match (&args.channel, &config.channels[..]) {
        (Some(name), channels) => channels.iter().find(|it| it.name == *name),
        (None, [only]) => Some(only),
        (None, channels) => channels.iter().find(is_its),
    };
    let Some(channel) = channel else {
        let names: Vec<_> = config.channels.iter().map(|it| it.name.as_str()).collect();
        let text = format!("name one of its channels with --channel: {}", names.join(", "));
        return Err(Errors::about(&origin, text));
    };
    Ok(no_scene_faults(rundown, channel.scenes.iter().map(|it| it.name.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, more: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let [file, config] = ["day.toml", "node.toml"].map(|name| dir.path().join(name));
        std::fs::write(&file, text).unwrap();
        std::fs::write(&config, more).unwrap();
        let args = ScheduleCheckArgs {
            file,
            from: Some("2026-03-29T00:00".parse().unwrap()),
            config: (!more.is_empty()).then_some(config),
            channel: None,
        };
        schedule_check(&args).unwrap_or_else(|errors| errors.to_string())
    }

    const DAY: &str = "time_zone = \"Europe/Berlin\"\n\
        [[item]]\nname = \"night\"\nscene = \"slate\"\nat = \"00:00\"\nduration = \"04:00:00\"\n\
        [[item]]\nname = \"news\"\nscene = \"studio\"\nat = \"04:30:00\"\nstart = \"soft\"\n\
        soft_limit = \"01:00:00\"\nduration = \"00:15:00\"\n";

    #[test]
    fn the_next_day_is_printed_in_local_times_with_what_is_odd() {
        let printed = check(DAY, "");
        for line in [
            "day.toml: ok, 2 items, times of Europe/Berlin\n",
            "  Sun 2026-03-29 00:00:00 CET   04:00:00  night (scene slate)\n",
            "  Sun 2026-03-29 05:00:00 CEST   00:15:00  news (scene studio, 00:30:00 late)\n",
            "  warning  Sun 2026-03-29 05:15:00 CEST: nothing is planned",
        ] {
            assert!(printed.contains(line), "{line}\n{printed}");
        }
        let node = "[[channel]]\nname = \"a\"\n[[channel.scene]]\nname = \"slate\"\n";
        let printed = check(DAY, node);
        assert!(printed.contains("warning  item \"news\": \"studio\" is no scene"), "{printed}");
        assert!(check("[[item]]\n", "").contains("needs `name`"));
        let several = format!("{node}[[channel]]\nname = \"b\"\n");
        assert!(check(DAY, &several).contains("with --channel: a, b"));
    }
}
