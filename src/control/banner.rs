//! Start banner: which CPU does what, and how to watch and publish.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What the banner tells. No `Debug`: it may hold a key.
pub struct Banner<'a> {
    /// Name of the node.
    pub node: &'a str,
    /// Version of the program.
    pub version: &'a str,
    /// Where RTMP listens.
    pub rtmp: SocketAddr,
    /// Name and stream (such as `live/demo`) of each channel.
    pub channels: &'a [(String, String)],
    /// The development key, if there is one.
    pub development: Option<DevelopmentKey<'a>>,
    /// Where RTMPS listens, if it does.
    pub rtmps: Option<SocketAddr>,
    /// Where HTTP listens, if it does.
    pub http: Option<SocketAddr>,
    /// Whether that is by TLS.
    pub is_https: bool,
    /// Where programs that control OBS connect.
    pub obs_websocket: Option<SocketAddr>,
    /// The API's token, where a person reads this.
    pub token: Option<&'a str>,
}

/// A key to try things with. No `Debug`: it is a secret.
#[derive(Clone, Copy)]
pub struct DevelopmentKey<'a> {
    /// The stream it publishes, such as `live/dev`.
    pub stream: &'a str,
    /// The key, 64 hex digits.
    pub key: &'a str,
}

/// How text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For files, pipes and journals.
    Plain,
    /// With colours, for terminals.
    Terminal,
}

/// The banner's text, ending in a newline. With a development key it holds a secret: it is for the
/// person who starts the node, not for a log.
#[must_use]
pub fn text(banner: &Banner<'_>, style: Style) -> String {
    let mut rows = Vec::new();
    for (name, stream) in banner.channels {
        rows.push(Row::new("Watch", name, format!("{}/{stream}", rtmp_url(banner.rtmp))));
        let flv = format!("http://{}/{stream}.flv", reachable(banner.rtmp));
        rows.push(Row::new("Watch", "", flv));
        if let Some(rtmps) = banner.rtmps {
            let url = format!("rtmps://{}/{stream}", reachable(rtmps));
            rows.push(Row::new("Watch", "", url));
        }
    }
    if let Some(development) = banner.development {
        rows.extend(publish_rows(banner.rtmp, development));
    } else {
        let server = format!("{}/live", rtmp_url(banner.rtmp));
        rows.push(Row::new("Publish", "server", server));
    }
    if let Some(http) = banner.http {
        let scheme = if banner.is_https { "https" } else { "http" };
        let url = format!("{scheme}://{}", reachable(http));
        rows.push(match banner.token {
            Some(token) => Row::new("Web", "page", format!("{url}/#{token}")),
            None => Row::new("Web", "page", format!("{url}/"))
                .noted("its token is in the file api-token of the data directory"),
        });
        rows.push(Row::new("Web", "metrics", format!("{url}/metrics")));
        rows.push(Row::new("Web", "health", format!("{url}/healthz")).noted("and /readyz"));
        if let Some(obs) = banner.obs_websocket {
            rows.push(
                Row::new("Control", "obs", format!("ws://{}", reachable(obs)))
                    .noted("obs-websocket, for programs that control OBS"),
            );
        }
    }
    let title = style.paint(BOLD, &format!("stream-manager {}", banner.version));
    let mut text = format!("\n  {title}  {}\n\n", banner.node);
    write_rows(&mut text, &rows, style);
    text.push('\n');
    text
}

/// The URL at which somebody on this machine reaches RTMP that listens on `listen`.
#[must_use]
pub fn rtmp_url(listen: SocketAddr) -> String {
    format!("rtmp://{}", reachable(listen))
}

/// An address to connect to: one that means "all interfaces" becomes this machine's own.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// What a development key means where others reach the node.
const OPEN: &str = "and open to all who get hold of it: other machines reach this address";

/// How to end that.
const CLOSE: &str = "without it: development = false in [keys]";

fn publish_rows(listen: SocketAddr, development: DevelopmentKey<'_>) -> Vec<Row> {
    let DevelopmentKey { stream, key } = development;
    let url = rtmp_url(listen);
    let (app, name) = stream.split_once('/').unwrap_or(("live", stream));
    let publish = format!("{url}/{app}/{name}?key={key}");
    let mut rows = vec![
        Row::new("Publish", "server", format!("{url}/{app}")).noted("OBS: Stream, Custom"),
        Row::new("Publish", "key", format!("{name}?key={key}")),
        Row::note("Publish", "a development key, good for 24 hours"),
    ];
    if !listen.ip().is_loopback() {
        rows.extend([OPEN, CLOSE].map(|note| Row::note("Publish", note)));
    }
    rows.push(Row::new("Publish", "ffmpeg", FFMPEG_INPUT.to_owned()));
    rows.push(Row::new("Publish", "", format!("{FFMPEG_OUTPUT} \"{publish}\"")));
    rows
}

/// A moving picture and a tone, so that the line works as it is.
const FFMPEG_INPUT: &str =
    "ffmpeg -re -f lavfi -i testsrc2=s=1280x720:r=30 -f lavfi -i sine=f=440:r=48000 \\";
const FFMPEG_OUTPUT: &str =
    "  -c:v libx264 -preset veryfast -pix_fmt yuv420p -g 60 -c:a aac -f flv";

/// A line of the banner.
struct Row {
    section: &'static str,
    label: String,
    value: String,
    note: &'static str,
}

impl Row {
    fn new(section: &'static str, label: &str, value: String) -> Self {
        Self { section, label: label.to_owned(), value, note: "" }
    }

    fn note(section: &'static str, note: &'static str) -> Self {
        Self::new(section, "", String::new()).noted(note)
    }

    const fn noted(mut self, note: &'static str) -> Self {
        self.note = note;
        self
    }
}

/// Writes the rows in three columns; a section's name stands at its first row only.
fn write_rows(text: &mut String, rows: &[Row], style: Style) {
    let width = |column: fn(&Row) -> &str| {
        rows.iter().map(|row| column(row).chars().count()).max().unwrap_or(0)
    };
    let (sections, labels) = (width(|row| row.section), width(|row| &row.label));
    let mut previous = "";
    for row in rows {
        if !previous.is_empty() && previous != row.section {
            text.push('\n');
        }
        let section = if previous == row.section { "" } else { row.section };
        previous = row.section;
        let section = style.paint(BOLD, &format!("{section:sections$}"));
        let label = style.paint(DIM, &format!("{:labels$}", row.label));
        let note = style.paint(DIM, row.note);
        let space = if row.note.is_empty() || row.value.is_empty() { "" } else { "   " };
        let line = format!("  {section}  {label}  {}{space}{note}", row.value);
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const NORMAL: &str = "\x1b[0m";

impl Style {
    fn paint(self, colour: &str, text: &str) -> String {
        if self == Self::Plain || text.trim().is_empty() {
            return text.to_owned();
        }
        format!("{colour}{text}{NORMAL}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(development: Option<DevelopmentKey<'_>>, style: Style) -> String {
        shown_on("0.0.0.0:1935", development, style)
    }

    fn shown_on(listen: &str, development: Option<DevelopmentKey<'_>>, style: Style) -> String {
        let channels =
            [("demo".to_owned(), "live/demo".to_owned()), ("b".to_owned(), "live/b".to_owned())];
        let banner = Banner {
            node: "studio",
            version: "1.2.3",
            rtmp: listen.parse().unwrap(),
            channels: &channels,
            development,
            rtmps: None,
            http: Some("127.0.0.1:8080".parse().unwrap()),
            is_https: false,
            obs_websocket: None,
            token: None,
        };
        text(&banner, style)
    }

    const KEY: DevelopmentKey<'_> = DevelopmentKey { stream: "live/dev", key: "00ff" };

    #[test]
    fn everything_can_be_pasted() {
        let text = shown(Some(KEY), Style::Plain);
        for part in [
            "rtmp://127.0.0.1:1935/live/demo\n",
            "http://127.0.0.1:1935/live/demo.flv\n",
            "  rtmp://127.0.0.1:1935/live   OBS",
            "  dev?key=00ff\n",
            "-f flv \"rtmp://127.0.0.1:1935/live/dev?key=00ff\"\n",
            "24 hours",
            "http://127.0.0.1:8080/metrics\n",
        ] {
            assert!(text.contains(part), "no {part:?} in:\n{text}");
        }
        let (_, command) = text.split_once("ffmpeg -re").unwrap();
        assert!(command.lines().next().unwrap().ends_with(" \\"), "the line goes on: {command}");
    }

    #[test]
    fn a_development_key_that_others_can_use_is_told_with_the_way_out() {
        for listen in ["0.0.0.0:1935", "[::]:1935", "192.0.2.7:1935"] {
            let text = shown_on(listen, Some(KEY), Style::Plain);
            assert!(text.contains("open to all who") && text.contains("development = false"));
            assert!(!shown_on(listen, None, Style::Plain).contains("open to all who"));
        }
        for listen in ["127.0.0.1:1935", "[::1]:1935"] {
            assert!(!shown_on(listen, Some(KEY), Style::Plain).contains("open to all who"));
        }
    }

    #[test]
    fn values_are_aligned() {
        let text = shown(Some(KEY), Style::Plain);
        let column = |word: &str| {
            let line = text.lines().find(|line| line.contains(word)).unwrap();
            line.find(word).unwrap()
        };
        let columns = ["rtmp://127.0.0.1:1935/live/demo", "dev?key=", "http://"].map(column);
        assert!(columns.iter().all(|&c| c == columns[0]), "{columns:?} in:\n{text}");
        assert!(text.lines().all(|line| line == line.trim_end()), "{text:?}");
    }

    #[test]
    fn without_a_key_there_is_none_and_plain_text_has_no_escapes() {
        let text = shown(None, Style::Plain);
        assert!(!text.contains("key") && !text.contains('\x1b'), "{text}");
        assert!(text.contains("server") && text.contains("rtmp://127.0.0.1:1935/live\n"), "{text}");
    }

    #[test]
    fn a_terminal_gets_the_same_words() {
        let colourful = shown(Some(KEY), Style::Terminal);
        let stripped =
            [BOLD, DIM, NORMAL].iter().fold(colourful.clone(), |text, code| text.replace(code, ""));
        let trimmed: Vec<_> = stripped.lines().map(str::trim_end).collect();
        assert!(colourful.contains(BOLD));
        assert_eq!(trimmed.join("\n") + "\n", shown(Some(KEY), Style::Plain));
    }

    #[test]
    fn an_address_of_all_interfaces_is_shown_as_one_that_can_be_reached() {
        for (listen, shown) in [
            ("0.0.0.0:1935", "rtmp://127.0.0.1:1935"),
            ("[::]:1936", "rtmp://[::1]:1936"),
            ("192.0.2.7:1935", "rtmp://192.0.2.7:1935"),
        ] {
            assert_eq!(rtmp_url(listen.parse().unwrap()), shown);
        }
    }
}
