//! One line about how the node does, for the terminal it runs in.

use crate::stats::{ChannelSnapshot, OutputSnapshot, RunState, Snapshot};

/// What the node does now, in one line without a newline.
#[must_use]
pub fn line(snapshot: &Snapshot) -> String {
    let mut parts: Vec<String> = snapshot.channels.iter().map(channel).collect();
    let viewers = snapshot.node.viewers;
    let noun = if viewers == 1 { "viewer" } else { "viewers" };
    parts.push(format!("{viewers} {noun}, {} out", bitrate(snapshot.out_bps)));
    let frames: u64 = snapshot.channels.iter().map(|c| c.figures.dropped_total()).sum();
    parts.push(format!("{frames} dropped"));
    let [jumped, skipped, _] = snapshot.node.drops;
    if jumped + skipped > 0 {
        parts.push(format!("{} messages lost by slow viewers", jumped + skipped));
    }
    if !snapshot.outputs.is_empty() {
        let is_live = |o: &&OutputSnapshot| o.figures.line.state == RunState::Live;
        let live = snapshot.outputs.iter().filter(is_live).count();
        parts.push(format!("outputs {live}/{} live", snapshot.outputs.len()));
    }
    parts.push(format!("up {}", duration(snapshot.uptime_s)));
    parts.join(" | ")
}

/// `line` for a terminal of `columns`: it replaces what stands on the last line, and never wraps.
#[must_use]
pub fn in_place(line: &str, columns: usize) -> String {
    let room = columns.saturating_sub(1); // in the last column some terminals wrap
    let mut shown: String = line.chars().filter(|c| !c.is_control()).take(room + 1).collect();
    if shown.chars().count() > room {
        shown = shown.chars().take(room.saturating_sub(1)).collect();
        if room > 0 {
            shown.push('…');
        }
    }
    format!("\r{shown}{CLEAR_TO_END}")
}

const CLEAR_TO_END: &str = "\x1b[K";

fn channel(channel: &ChannelSnapshot) -> String {
    let figures = &channel.figures;
    format!("{} {:.1} fps {}", channel.name, figures.fps, bitrate(figures.bitrate_bps))
}

/// Bits per second as people say them.
fn bitrate(bps: f64) -> String {
    match bps {
        bps if bps >= 999_950_000.0 => format!("{:.2} Gb/s", bps / 1e9),
        bps if bps >= 999_500.0 => format!("{:.1} Mb/s", bps / 1e6),
        bps => format!("{:.0} kb/s", bps / 1e3),
    }
}

/// Seconds as `m:ss`, `h:mm:ss` or `2d 3:04:05`.
fn duration(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let all = seconds as u64;
    let (days, hours) = (all / 86_400, all / 3_600 % 24);
    let (minutes, seconds) = (all / 60 % 60, all % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{seconds:02}"),
        (0, _) => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => format!("{days}d {hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{ChannelFigures, LineFigures, OutputFigures};

    fn snapshot() -> Snapshot {
        let figures = ChannelFigures {
            fps: 59.98,
            bitrate_bps: 6_040_000.0,
            dropped: [2, 0, 1],
            ..ChannelFigures::default()
        };
        let channel = ChannelSnapshot { name: "demo".into(), figures, ..Default::default() };
        let mut snapshot = Snapshot { channels: vec![channel], ..Default::default() };
        snapshot.uptime_s = 3_725.9;
        snapshot.node.viewers = 3;
        snapshot.out_bps = 18_120_000.0;
        snapshot
    }

    #[test]
    fn the_line_says_what_matters() {
        let want = "demo 60.0 fps 6.0 Mb/s | 3 viewers, 18.1 Mb/s out | 3 dropped | up 1:02:05";
        assert_eq!(line(&snapshot()), want);
    }

    #[test]
    fn outputs_and_slow_viewers_are_told_when_there_are_any() {
        let mut snapshot = snapshot();
        snapshot.node.drops = [10, 2, 1];
        for state in [RunState::Live, RunState::Failed] {
            let line = LineFigures { state, ..Default::default() };
            let figures = OutputFigures { line, ..Default::default() };
            snapshot.outputs.push(OutputSnapshot { figures, ..Default::default() });
        }
        let line = line(&snapshot);
        assert!(line.contains("| 12 messages lost by slow viewers | outputs 1/2 live |"), "{line}");
    }

    #[test]
    fn a_node_without_channels_has_a_line_too() {
        assert_eq!(line(&Snapshot::default()), "0 viewers, 0 kb/s out | 0 dropped | up 0:00");
    }

    #[test]
    fn a_narrow_terminal_gets_a_shorter_line() {
        assert_eq!(in_place("0123456789", 11), "\r0123456789\x1b[K");
        assert_eq!(in_place("0123456789", 10), "\r01234567…\x1b[K");
        assert_eq!(in_place("0123456789", 0), "\r\x1b[K");
        assert_eq!(in_place("a\nb\x1b[2Jc", 80), "\rab[2Jc\x1b[K");
    }

    #[test]
    fn numbers_are_written_as_people_say_them() {
        let rates = [0.0, 999_400.0, 999_600.0, 8_000_000.0, 999_960_000.0].map(bitrate);
        assert_eq!(rates, ["0 kb/s", "999 kb/s", "1.0 Mb/s", "8.0 Mb/s", "1.00 Gb/s"]);
        assert_eq!([9.0, 600.0, 90_061.0].map(duration), ["0:09", "10:00", "1d 1:01:01"]);
    }
}
