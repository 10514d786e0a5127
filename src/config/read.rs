//! Document reader: one function for each table.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeTable;

use super::fault::{Errors, Faults};
use super::field::{bind, name, unique};
use super::node::{
    API_OPEN_TO_ALL, DeliveryConfig, HttpConfig, KeepState, NodeConfig, OPEN_TO_ALL, OnCoreLoss,
    Publish, RtmpConfig, StartAt,
};
use super::section::Section;
use super::{
    Config, assets, channel, clips, hook, keys, limits, metrics, obs_websocket, relay, stream, tls,
    token, transcode,
};
use crate::event::{LogFormat, check_log_filter};
use crate::media::Micros;
use crate::runtime::{Choice, DriverChoice, DriverKind, PlanRequest};
use crate::stream::{MERGE_MS_MAX, Merge};

/// Most channels of one node.
const CHANNELS_MAX: usize = 16;

/// Reads a text; what it does not say is as in `defaults`.
pub(super) fn document(text: &str, origin: &str, defaults: Config) -> Result<Config, Errors> {
    let (root, errors) = DeTable::parse_recoverable(text);
    told_once_per_line(text, errors).into_result(origin)?;

    let mut faults = Faults::new(text);
    let mut top = Section::new(root.get_ref(), "the file", 0..0);
    let node = match top.table(&mut faults, "node", "[node]") {
        Some(s) => read_node(s, &mut faults, defaults.node),
        None => defaults.node,
    };
    let rtmp = top.table(&mut faults, "rtmp", "[rtmp]");
    let mut trusted_proxies = Vec::new();
    let rtmp = rtmp.map_or(defaults.rtmp, |mut s| {
        trusted_proxies = keys::read_proxies(&mut s, &mut faults);
        read_rtmp(s, &mut faults, &defaults.rtmp)
    });
    let keys = top.table(&mut faults, "keys", "[keys]");
    let keys = keys.map_or(defaults.keys, |s| keys::read(s, &mut faults));
    let http = match top.table(&mut faults, "http", "[http]") {
        Some(s) => read_http(s, &mut faults, defaults.http),
        None => defaults.http,
    };
    tell_collision(root.get_ref(), &mut faults, &http, &rtmp);
    let tls = top.table(&mut faults, "tls", "[tls]");
    let tls = tls.map_or(defaults.tls, |s| tls::read(s, &mut faults));
    let cores = top.table(&mut faults, "cores", "[cores]");
    let cores = cores.map_or(defaults.cores, |s| read_cores(s, &mut faults));
    let limits = top.table(&mut faults, "limits", "[limits]");
    let limits = limits.map_or(defaults.limits, |s| limits::read(s, &mut faults));
    let metrics = top.table(&mut faults, "metrics", "[metrics]");
    let metrics = metrics.map_or(defaults.metrics, |s| metrics::read(s, &mut faults));
    let assets = top.table(&mut faults, "assets", "[assets]");
    let assets = assets.map_or(defaults.assets, |s| assets::read(s, &mut faults));
    let clips = top.table(&mut faults, "clips", "[clips]");
    let clips = clips.map_or(defaults.clips, |s| clips::read(s, &mut faults));
    let delivery = top.table(&mut faults, "delivery", "[delivery]");
    let delivery = read_delivery(delivery, &mut faults, defaults.delivery);
    let mut streams = HashMap::new();
    let channels = read_channels(&mut top, &mut faults, &mut streams);
    let obs_websocket = obs_websocket::read(&mut top, &mut faults, &http, &channels);
    let transcodes = transcode::read_all(&mut top, &mut faults, &mut streams);
    let protected = stream::read_all(&mut top, &mut faults, &mut streams, &channels);
    let relay::Relay { pulls, pushes, records } = relay::read(&mut top, &mut faults);
    let (hooks, journal) = hook::read_all(&mut top, &mut faults, defaults.journal);
    check_delays(&channels, &pushes, delivery.log_ms, &mut faults);
    top.finish(&mut faults);
    faults.into_result(origin)?;
    Ok(Config {
        node,
        rtmp,
        trusted_proxies,
        keys,
        http,
        obs_websocket,
        tls,
        cores,
        limits,
        metrics,
        assets,
        clips,
        delivery,
        channels,
        streams: protected,
        transcodes,
        pulls,
        pushes,
        records,
        hooks,
        journal,
        written: text.into(),
    })
}

/// That logs of so many milliseconds are long enough for what is sent later.
fn check_delays(
    channels: &[channel::ChannelConfig],
    pushes: &[relay::PushConfig],
    log_ms: u32,
    faults: &mut Faults<'_>,
) {
    let outputs = channels.iter().flat_map(|channel| &channel.outputs);
    let outputs = outputs.map(|output| (&output.name, output.rules));
    for (name, rules) in outputs.chain(pushes.iter().map(|push| (&push.name, push.rules))) {
        if let Some(text) = rules.delay_fault(log_ms) {
            faults.add(&(0..0), format!("{name}: {text}"));
        }
    }
}

/// What is no TOML. What follows a mistake in its line is mostly a consequence.
fn told_once_per_line(text: &str, errors: Vec<toml::de::Error>) -> Faults<'_> {
    let mut faults = Faults::new(text);
    let mut told = 0;
    for error in errors {
        let span = error.span().unwrap_or_default();
        let line = faults.line(span.start);
        if line != told {
            faults.add(&span, error.message().replace('\n', ", "));
        }
        told = line;
    }
    faults
}

/// `streams` are those that channels make.
fn read_channels(
    top: &mut Section<'_>,
    faults: &mut Faults<'_>,
    streams: &mut HashMap<String, usize>,
) -> Vec<channel::ChannelConfig> {
    let mut channels = Vec::new();
    let mut names = HashMap::new();
    for section in top.tables(faults, "channel", "[[channel]]") {
        if channels.len() == CHANNELS_MAX {
            faults.add(section.span(), format!("a node has at most {CHANNELS_MAX} channels"));
            break;
        }
        let Some(read) = channel::read(section, faults) else { continue };
        unique(faults, &mut names, "a channel with the name", &read.name);
        for stream in &read.streams {
            unique(faults, streams, "a channel with the stream", stream);
        }
        channels.push(read.channel);
    }
    channels
}

fn read_node(mut s: Section<'_>, faults: &mut Faults<'_>, default: NodeConfig) -> NodeConfig {
    let dir = |text: &str| match text {
        "" => Err("it is empty; write a folder such as \"./data\"".to_owned()),
        _ if text.contains('\0') => Err("a folder's name has no NUL".to_owned()),
        _ => Ok(PathBuf::from(text)),
    };
    let log = |text: &str| check_log_filter(text).map(|()| text.to_owned());
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let states = [("keep", KeepState::Keep), ("file-only", KeepState::FileOnly)];
    let losses = [("restart-core", OnCoreLoss::RestartCore), ("exit", OnCoreLoss::Exit)];
    let node = NodeConfig {
        name: s.parsed(faults, "name", name).map_or(default.name, |found| found.value),
        data_dir: s.parsed(faults, "data_dir", dir).map(|found| found.value).or(default.data_dir),
        log: s.parsed(faults, "log", log).map_or(default.log, |found| found.value),
        log_format: s.word(faults, "log_format", &formats).unwrap_or(default.log_format),
        state: s.word(faults, "state", &states).unwrap_or(default.state),
        on_core_loss: s.word(faults, "on_core_loss", &losses).unwrap_or(default.on_core_loss),
    };
    s.finish(faults);
    node
}

fn read_rtmp(mut s: Section<'_>, faults: &mut Faults<'_>, default: &RtmpConfig) -> RtmpConfig {
    let words = [("key", Publish::Key), ("open", Publish::Open)];
    let connections = s.whole(faults, "connections_max", 1..=1_000_000);
    let rtmp = RtmpConfig {
        bind: bind(&mut s, faults, default.bind),
        port: s.whole(faults, "port", 1..=u16::MAX).unwrap_or(default.port),
        chunk_size: s.whole(faults, "chunk_size", 128..=0xff_ffff).unwrap_or(default.chunk_size),
        gop_cache: s.flag(faults, "gop_cache", default.gop_cache),
        ping: seconds(s.whole(faults, "ping", 1..=86_400), default.ping),
        ping_timeout: seconds(s.whole(faults, "ping_timeout", 1..=86_400), default.ping_timeout),
        handshake_timeout: seconds(
            s.whole(faults, "handshake_timeout", 1..=86_400),
            default.handshake_timeout,
        ),
        grace: seconds(s.whole(faults, "grace", 0..=3_600), default.grace),
        publish: s.word(faults, "publish", &words).unwrap_or(default.publish),
        knowing: default.knowing,
        connections_max: connections.map_or(default.connections_max, |n: u32| n as usize),
    };
    if rtmp.is_open_to_all() {
        faults.add(&s.place("publish"), OPEN_TO_ALL);
    }
    if rtmp.ping_timeout <= rtmp.ping {
        let key = if s.any("ping_timeout").is_some() { "ping_timeout" } else { "ping" };
        let (ping, timeout) = (rtmp.ping.millis() / 1_000, rtmp.ping_timeout.millis() / 1_000);
        let text = format!("`ping_timeout` ({timeout}) must be more than `ping` ({ping})");
        faults.add(&s.place(key), text);
    }
    s.finish(faults);
    rtmp
}

fn seconds(number: Option<u32>, default: Micros) -> Micros {
    number.map_or(default, |number| Micros::from_secs(number.into()))
}

fn read_http(mut s: Section<'_>, faults: &mut Faults<'_>, default: HttpConfig) -> HttpConfig {
    let http = HttpConfig {
        enabled: s.flag(faults, "enabled", default.enabled),
        bind: bind(&mut s, faults, default.bind),
        port: s.whole(faults, "port", 1..=u16::MAX).unwrap_or(default.port),
        auth: s.flag(faults, "auth", default.auth),
        cors: s.parsed(faults, "cors", str::parse).map_or(default.cors, |found| found.value),
        tokens: token::read_all(&mut s, faults),
    };
    if http.is_open_to_all() {
        faults.add(&s.place("auth"), API_OPEN_TO_ALL.to_owned());
    }
    s.finish(faults);
    http
}

/// The same port twice: told at one of them, with the place of the other.
fn tell_collision(
    root: &DeTable<'_>,
    faults: &mut Faults<'_>,
    http: &HttpConfig,
    rtmp: &RtmpConfig,
) {
    if !http.collides_with(rtmp) {
        return;
    }
    let port = rtmp.port;
    let place = |table: &str| -> Option<Range<usize>> {
        root.get(table)?.get_ref().as_table()?.get("port").map(Spanned::span)
    };
    let (here, name, other, there) = match (place("http"), place("rtmp")) {
        (Some(http), rtmp) => (http, "[http]", "[rtmp]", rtmp),
        (None, Some(rtmp)) => (rtmp, "[rtmp]", "[http]", None),
        (None, None) => return,
    };
    let there = match there {
        Some(span) => format!("at line {}", faults.line(span.start)),
        None => "by default".to_owned(),
    };
    let text = format!("`port` {port} of {name} is also that of {other} {there}; change one");
    faults.add(&here, text);
}

fn read_cores(mut s: Section<'_>, faults: &mut Faults<'_>) -> PlanRequest {
    let spin: Option<u32> = s.whole(faults, "net_spin_us", 0..=1_000_000);
    let only = |kind: DriverKind| (kind.name(), DriverChoice::Only(kind));
    let drivers =
        [("auto", DriverChoice::Auto), only(DriverKind::Glommio), only(DriverKind::Epoll)];
    let driver = s.word(faults, "driver", &drivers);
    let mut choice = |key| s.cpus(faults, key).map_or(Choice::Auto, Choice::Cpus);
    let request = PlanRequest {
        control: choice("control"),
        net: choice("net"),
        net_spin: Duration::from_micros(spin.unwrap_or(0).into()),
        compose: choice("compose"),
        encode: choice("encode"),
        driver: driver.unwrap_or_default(),
    };
    s.finish(faults);
    request
}

fn read_delivery(
    table: Option<Section<'_>>,
    faults: &mut Faults<'_>,
    default: DeliveryConfig,
) -> DeliveryConfig {
    let Some(mut s) = table else { return default };
    let log_bytes = s.whole(faults, "log_bytes", 1 << 20..=1 << 30);
    let starts = [("keyframe", StartAt::Keyframe), ("live", StartAt::Live)];
    let delivery = DeliveryConfig {
        merge: merge(&mut s, faults).unwrap_or(default.merge),
        start: s.word(faults, "start", &starts).unwrap_or(default.start),
        cors: s.parsed(faults, "cors", str::parse).map_or(default.cors, |found| found.value),
        log_ms: s.whole(faults, "log_seconds", 1..=120).map_or(default.log_ms, |n: u32| n * 1_000),
        log_bytes: log_bytes.map_or(default.log_bytes, |n: u32| n as usize),
        lag_high_ms: s.whole(faults, "lag_high_ms", 100..=60_000).unwrap_or(default.lag_high_ms),
        lag_low_ms: s.whole(faults, "lag_low_ms", 0..=60_000).unwrap_or(default.lag_low_ms),
        viewer_pace_bps: s
            .bitrate(faults, "viewer_pace_bps", 0..=1_000_000_000_000)
            .unwrap_or(default.viewer_pace_bps),
        viewer_pace_percent: pace_percent(&mut s, faults).unwrap_or(default.viewer_pace_percent),
        fill_audio: s.texts(faults, "fill_audio", fill_audio).unwrap_or(default.fill_audio),
    };
    if delivery.lag_low_ms >= delivery.lag_high_ms {
        let key = if s.any("lag_low_ms").is_some() { "lag_low_ms" } else { "lag_high_ms" };
        let (low, high) = (delivery.lag_low_ms, delivery.lag_high_ms);
        let text = format!("`lag_low_ms` ({low}) must be less than `lag_high_ms` ({high})");
        faults.add(&s.place(key), text);
    }
    s.finish(faults);
    delivery
}

/// A stream, or all of an application, or all.
fn fill_audio(text: &str) -> Result<String, String> {
    let (app, name) = text.split_once('/').unwrap_or(("", text));
    let is_plain = |part: &str| !part.is_empty() && !part.contains('*');
    match (app, name) {
        ("", "*") => Ok(text.to_owned()),
        (app, "*") if is_plain(app) => Ok(text.to_owned()),
        (app, name) if is_plain(app) && is_plain(name) => Ok(text.to_owned()),
        _ => Err(format!("{text:?} is no \"app/name\", \"app/*\" or \"*\"")),
    }
}

/// Below the stream's rate a viewer could not keep up: such a pace is no choice.
fn pace_percent(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<u32> {
    const KEY: &str = "viewer_pace_percent";
    let percent = s.whole(faults, KEY, 0..=10_000)?;
    if (1..110).contains(&percent) {
        let text = format!(
            "`{KEY}` must be 0 (off) or 110 to 10000, not {percent}: a viewer needs \
                            more than its stream's rate to keep up"
        );
        faults.add(&s.place(KEY), text);
        return None;
    }
    Some(percent)
}

fn merge(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<Merge> {
    const KEY: &str = "merge";
    if s.any(KEY)?.get_ref().as_integer().is_some() {
        return s.whole(faults, KEY, 1..=MERGE_MS_MAX).map(Merge::Millis);
    }
    s.word(faults, KEY, &[("frame", Merge::Frame), ("off", Merge::Off)])
}
