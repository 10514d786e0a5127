//! The document's tables, one function each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;

use toml::de::DeTable;

use super::fault::{Errors, Faults};
use super::section::{Found, Section};
use super::{Config, DeliveryConfig, HttpConfig, NodeConfig, Publish, RtmpConfig, channel};
use crate::media::Micros;
use crate::runtime::{Choice, PlanRequest};

/// Most channels of one node.
const CHANNELS_MAX: usize = 16;

pub(super) fn document(text: &str, origin: &str) -> Result<Config, Errors> {
    let mut faults = Faults::new(text);
    let root = match DeTable::parse(text) {
        Ok(root) => root,
        Err(error) => {
            let span = error.span().unwrap_or_default();
            faults.add(&span, error.message().replace('\n', ", "));
            faults.into_result(origin)?;
            return Ok(Config::empty());
        }
    };
    let defaults = Config::empty();
    let mut top = Section::new(root.get_ref(), "the file", 0..0);
    let node = top.table(&mut faults, "node", "[node]");
    let node = node.map_or(defaults.node.clone(), |s| read_node(s, &mut faults, defaults.node));
    let rtmp = top.table(&mut faults, "rtmp", "[rtmp]");
    let rtmp = rtmp.map_or(defaults.rtmp, |s| read_rtmp(s, &mut faults, defaults.rtmp));
    let http = top.table(&mut faults, "http", "[http]");
    let http = http.map_or(defaults.http, |s| read_http(s, &mut faults, defaults.http, &rtmp));
    let cores = top.table(&mut faults, "cores", "[cores]");
    let cores = cores.map_or(defaults.cores, |s| read_cores(s, &mut faults));
    let delivery = top.table(&mut faults, "delivery", "[delivery]");
    let delivery =
        delivery.map_or(defaults.delivery, |s| read_delivery(s, &mut faults, defaults.delivery));
    let mut channels = Vec::new();
    let (mut names, mut streams) = (HashMap::new(), HashMap::new());
    for section in top.tables(&mut faults, "channel", "[[channel]]") {
        let span = section.span().clone();
        if channels.len() == CHANNELS_MAX {
            faults.add(&span, format!("a node has at most {CHANNELS_MAX} channels"));
            break;
        }
        let Some(channel) = channel::read(section, &mut faults) else { continue };
        unique(&mut faults, &mut names, "a channel with the name", &channel.name, span.start);
        unique(&mut faults, &mut streams, "a channel with the stream", &channel.stream, span.start);
        channels.push(channel);
    }
    top.finish(&mut faults);
    faults.into_result(origin)?;
    Ok(Config { node, rtmp, http, cores, delivery, channels })
}

/// Names that must differ: tells the second one where the first is.
pub(super) fn unique(
    faults: &mut Faults<'_>,
    seen: &mut HashMap<String, usize>,
    what: &str,
    name: &str,
    at: usize,
) {
    if let Some(first) = seen.insert(name.to_owned(), at) {
        let (line, _) = faults.place(first);
        faults.add(&(at..at), format!("{what} \"{name}\" is already at line {line}"));
    }
}

fn read_node(mut s: Section<'_>, faults: &mut Faults<'_>, default: NodeConfig) -> NodeConfig {
    let node = NodeConfig {
        name: s.text(faults, "name").map_or(default.name, |found| found.value.to_owned()),
        data_dir: s.text(faults, "data_dir").map_or(default.data_dir, |f| PathBuf::from(f.value)),
        log: s
            .parsed(faults, "log", |text| {
                let valid = text.parse::<tracing_subscriber::EnvFilter>();
                valid.map(|_| text.to_owned()).map_err(|error| {
                    format!("{error}; write error, warn, info, debug or a filter of these")
                })
            })
            .unwrap_or(default.log),
    };
    s.finish(faults);
    node
}

fn seconds(
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    key: &'static str,
    default: Micros,
) -> Micros {
    s.whole(faults, key, 1..=86_400).map_or(default, |n: u32| Micros::from_secs(n.into()))
}

fn address(s: &mut Section<'_>, faults: &mut Faults<'_>, default: IpAddr) -> IpAddr {
    let parse = |text: &str| {
        text.parse().map_err(|_| format!("\"{text}\" is not an IP address such as \"0.0.0.0\""))
    };
    s.parsed(faults, "bind", parse).unwrap_or(default)
}

fn read_rtmp(mut s: Section<'_>, faults: &mut Faults<'_>, default: RtmpConfig) -> RtmpConfig {
    let words = [("key", Publish::Key), ("open", Publish::Open)];
    let span = s.span().clone();
    let rtmp = RtmpConfig {
        bind: address(&mut s, faults, default.bind),
        port: s.whole(faults, "port", 1..=u16::MAX).unwrap_or(default.port),
        chunk_size: s.whole(faults, "chunk_size", 128..=0xff_ffff).unwrap_or(default.chunk_size),
        gop_cache: s.flag(faults, "gop_cache", default.gop_cache),
        ping: seconds(&mut s, faults, "ping", default.ping),
        ping_timeout: seconds(&mut s, faults, "ping_timeout", default.ping_timeout),
        handshake_timeout: seconds(&mut s, faults, "handshake_timeout", default.handshake_timeout),
        grace: s
            .whole(faults, "grace", 0..=3_600)
            .map_or(default.grace, |n: u32| Micros::from_secs(n.into())),
        publish: s.word(faults, "publish", &words).unwrap_or(default.publish),
        connections_max: s
            .whole(faults, "connections_max", 1..=1_000_000)
            .map_or(default.connections_max, |n: u32| n as usize),
    };
    if rtmp.publish == Publish::Open && !rtmp.bind.is_loopback() {
        faults.add(
            &span,
            "`publish = \"open\"` lets anybody publish: it needs a loopback `bind`, such as \
             \"127.0.0.1\"",
        );
    }
    if rtmp.ping_timeout <= rtmp.ping {
        faults.add(&span, "`ping_timeout` must be more than `ping`");
    }
    s.finish(faults);
    rtmp
}

fn read_http(
    mut s: Section<'_>,
    faults: &mut Faults<'_>,
    default: HttpConfig,
    rtmp: &RtmpConfig,
) -> HttpConfig {
    let span = s.span().clone();
    let http = HttpConfig {
        enabled: s.flag(faults, "enabled", default.enabled),
        bind: address(&mut s, faults, default.bind),
        port: s.whole(faults, "port", 1..=u16::MAX).unwrap_or(default.port),
    };
    if http.enabled && http.port == rtmp.port {
        faults.add(&span, format!("`port` {} is also the port of [rtmp]", http.port));
    }
    s.finish(faults);
    http
}

fn read_cores(mut s: Section<'_>, faults: &mut Faults<'_>) -> PlanRequest {
    let mut choice = |key| s.cpus(faults, key).map_or(Choice::Auto, Choice::Cpus);
    let request = PlanRequest {
        control: choice("control"),
        net: choice("net"),
        compose: choice("compose"),
        encode: choice("encode"),
    };
    s.finish(faults);
    request
}

fn read_delivery(
    mut s: Section<'_>,
    faults: &mut Faults<'_>,
    default: DeliveryConfig,
) -> DeliveryConfig {
    let span = s.span().clone();
    let delivery = DeliveryConfig {
        log_ms: s.whole(faults, "log_seconds", 1..=120).map_or(default.log_ms, |n: u32| n * 1_000),
        log_bytes: s
            .whole(faults, "log_bytes", 1 << 20..=1 << 30)
            .map_or(default.log_bytes, |n: u32| n as usize),
        lag_high_ms: s.whole(faults, "lag_high_ms", 100..=60_000).unwrap_or(default.lag_high_ms),
        lag_low_ms: s.whole(faults, "lag_low_ms", 0..=60_000).unwrap_or(default.lag_low_ms),
    };
    if delivery.lag_low_ms >= delivery.lag_high_ms {
        faults.add(&span, "`lag_low_ms` must be less than `lag_high_ms`");
    }
    s.finish(faults);
    delivery
}

/// A public stream name: `app/name`, at most 256 bytes, of letters, digits, `-`, `_`, `.` and `/`.
pub(super) fn stream_name(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let parts: Vec<_> = text.split('/').collect();
    let shaped = parts.len() >= 2 && parts.iter().all(|part| !part.is_empty() && *part != "..");
    if shaped && text.len() <= 256 && text.chars().all(good) && !text.contains("..") {
        return Ok(text.to_owned());
    }
    Err(format!(
        "\"{text}\" is not a stream name such as \"live/show\": letters, digits, - _ . and /"
    ))
}

/// A file that must be there.
pub(super) fn file(found: &Found<&str>, faults: &mut Faults<'_>) -> Option<PathBuf> {
    let path = PathBuf::from(found.value);
    match std::fs::metadata(&path) {
        Ok(meta) if meta.is_file() => Some(path),
        Ok(_) => {
            faults.add(&found.span, format!("{} is not a file", path.display()));
            None
        }
        Err(error) => {
            let text = format!("{}: {error}; name a file that exists", path.display());
            faults.add(&found.span, text);
            None
        }
    }
}
