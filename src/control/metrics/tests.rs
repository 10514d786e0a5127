//! Tests of the metrics page.

use super::*;
use crate::media::Micros;
use crate::stats::{
    Attempt, ChannelEntry, DropReason, Limit, Meter, OutputEntry, OutputStats, RenditionEntry,
    ShardStats, StreamFigures, StreamSnapshot,
};

fn registry() -> Arc<Registry> {
    let channel = ChannelEntry {
        name: "de\"mo\n".into(),
        stream: "live/demo".into(),
        facts: Arc::default(),
        stats: Arc::default(),
        renditions: Vec::new(),
        audio: None,
    };
    let url = "rtmp://me:secret@a.example/app/secret?key=secret";
    let output = OutputEntry::new("demo", "one", url, Arc::new(OutputStats::default()));
    let shards = vec![Arc::new(ShardStats::default()), Arc::default()];
    Arc::new(Registry::new(shards, vec![channel], vec![output]))
}

fn page(registry: &Arc<Registry>) -> String {
    Metrics::new(Arc::clone(registry), "1.2.3", None).text().unwrap()
}

/// The type that the page says a family has, and the lines of its samples.
fn family<'a>(page: &'a str, name: &str) -> (&'a str, Vec<&'a str>) {
    let head = format!("# TYPE {name} ");
    let (_, after) = page.split_once(&head).unwrap_or_else(|| panic!("no {name} in:\n{page}"));
    let mut lines = after.lines();
    (lines.next().unwrap(), lines.take_while(|line| !line.starts_with('#')).collect())
}

#[test]
fn every_promised_name_is_there_with_its_type() {
    let page = page(&registry());
    for (name, kind) in [
        ("rtmp_connections_total", "counter"),
        ("rtmp_active_streams", "gauge"),
        ("rtmp_viewers", "gauge"),
        ("rtmp_other_readers", "gauge"),
        ("rtmp_bandwidth_bytes", "counter"),
        ("rtmp_errors_total", "counter"),
        ("rtmp_limits_total", "counter"),
        ("rtmp_connection_attempts_total", "counter"),
        ("rtmp_publish_attempts_total", "counter"),
        ("rtmp_play_attempts_total", "counter"),
        ("encoder_fps", "gauge"),
        ("encoder_bitrate", "gauge"),
        ("encoder_queue_size", "gauge"),
        ("encoder_dropped_frames", "counter"),
        ("encoder_rtmp_latency", "histogram"),
        ("process_cpu_seconds_total", "counter"),
        ("process_resident_memory_bytes", "gauge"),
        ("process_uptime_seconds", "gauge"),
    ] {
        let (found, samples) = family(&page, name);
        assert_eq!(found, kind, "{name}");
        assert!(!samples.is_empty(), "{name} has no sample");
        for sample in samples {
            let rest = sample.strip_prefix(name).unwrap_or_else(|| panic!("{sample}"));
            let plain = rest.starts_with([' ', '{']);
            let parts = ["_sum{", "_count{", "_bucket{"];
            let part = kind == "histogram" && parts.iter().any(|part| rest.starts_with(part));
            assert!(plain != (kind == "histogram") && (plain || part), "{sample}");
        }
    }
}

#[test]
fn a_stream_has_its_series_and_those_left_out_are_counted() {
    let registry = registry();
    let stream = StreamFigures {
        name: "live/a\"b".to_owned(),
        live: true,
        in_bps: 5e6,
        viewers: 3,
        keyframe_interval_s: Some(2.0),
        last_error: Some(("no_keyframe", 1.7e9)),
        ..StreamFigures::default()
    };
    registry.set_streams(StreamSnapshot { streams: vec![stream], left_out: 4 });
    let page = page(&registry);
    for (name, sample) in [
        ("stream_live", "stream_live{stream=\"live/a\\\"b\"} 1"),
        ("stream_viewers", "stream_viewers{stream=\"live/a\\\"b\"} 3"),
        ("stream_in_bps", "stream_in_bps{stream=\"live/a\\\"b\"} 5000000.0"),
        (
            "stream_keyframe_interval_seconds",
            "stream_keyframe_interval_seconds{stream=\"live/a\\\"b\"} 2.0",
        ),
        (
            "stream_last_error_timestamp_seconds",
            "stream_last_error_timestamp_seconds{stream=\"live/a\\\"b\",code=\"no_keyframe\"} \
             1700000000.0",
        ),
        ("stream_series_left_out", "stream_series_left_out 4"),
    ] {
        assert_eq!(family(&page, name), ("gauge", vec![sample]));
    }
    assert!(family(&page, "stream_av_offset_seconds").1.is_empty(), "it is not known");
}

#[test]
fn every_line_is_a_comment_or_a_sample_and_no_family_comes_twice() {
    let page = page(&registry());
    let mut families = std::collections::BTreeSet::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(families.insert(rest.split(' ').next().unwrap()), "{line} comes twice");
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            assert!(rest.split_once(' ').is_some_and(|(_, help)| !help.is_empty()), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let name = name.split('{').next().unwrap();
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
        }
    }
    assert!(page.ends_with('\n'));
}

#[test]
fn counts_of_all_shards_are_one_sum() {
    let registry = registry();
    registry.shards[0].bytes_in(3);
    registry.shards[1].bytes_in(u64::MAX / 4);
    registry.shards[1].publish_attempt(Attempt::Denied);
    registry.shards[0].error_timeout();
    registry.shards[0].connection_accepted();
    registry.shards[0].connection_refused(Limit::ConnectRate);
    registry.shards[0].promise(1e6);
    registry.shards[1].promise(2e6);
    let page = page(&registry);
    for line in [
        "rtmp_bandwidth_bytes{direction=\"in\"} 4611686018427387906",
        "rtmp_publish_attempts_total{status=\"denied\"} 1",
        "rtmp_publish_attempts_total{status=\"ok\"} 0",
        "rtmp_errors_total{kind=\"timeout\"} 1",
        "rtmp_connections_total 1",
        "rtmp_connection_attempts_total{status=\"accepted\"} 1",
        "rtmp_connection_attempts_total{status=\"refused\"} 1",
        "rtmp_limits_total{limit=\"connect_rate\"} 1",
        "rtmp_limits_total{limit=\"egress\"} 0",
        "rtmp_egress_promised_bps 3000000",
        "stream_manager_build_info{version=\"1.2.3\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "no {line} in:\n{page}");
    }
}

#[test]
fn a_further_rendition_has_a_label_more_and_one_without_an_encode_no_series() {
    let rendition = |name: &str, shares: Option<&str>| RenditionEntry {
        name: name.into(),
        stream: format!("live/demo_{name}"),
        shares: shares.map(str::to_owned),
        ..RenditionEntry::default()
    };
    let channel = ChannelEntry {
        name: "demo".into(),
        stream: "live/demo".into(),
        facts: Arc::default(),
        stats: Arc::default(),
        renditions: vec![rendition("low", None), rendition("copy", Some("main"))],
        audio: None,
    };
    channel.stats.encoded(10, true);
    let low = &channel.renditions[0].stats;
    (0..3).for_each(|_| low.encoded(10, false));
    low.scale_seconds(Micros::from_millis(2));
    low.dropped(DropReason::QueueFull, 4);
    let page = page(&Arc::new(Registry::new(Vec::new(), vec![channel], Vec::new())));
    let samples = |name| family(&page, name).1;
    assert_eq!(
        samples("encoder_frames_total"),
        [
            "encoder_frames_total{channel=\"demo\"} 1",
            "encoder_frames_total{channel=\"demo\",rendition=\"low\"} 3",
        ]
    );
    let labels = "channel=\"demo\",rendition=\"low\"";
    let scaled = samples("encoder_scale_seconds");
    assert!(scaled.contains(&&*format!("encoder_scale_seconds_count{{{labels}}} 1")));
    let dropped = format!("encoder_dropped_frames{{{labels},reason=\"queue_full\"}} 4");
    assert!(samples("encoder_dropped_frames").contains(&&*dropped));
    assert!(!page.contains("copy") && !page.contains("scale_seconds_count{channel=\"demo\"}"));
}

#[test]
fn a_channel_is_a_label_and_its_name_is_escaped() {
    let registry = registry();
    let stats = &registry.channels()[0].stats;
    let mut meter = Meter::new(Arc::clone(&registry));
    meter.tick(Micros(0));
    stats.dropped(DropReason::Late, 7);
    stats.encoded_dropped();
    stats.rtmp_seconds(Micros::from_millis(9));
    stats.rtmp_seconds(Micros::from_secs(11));
    (0..60).for_each(|_| stats.encoded(1_000, false));
    meter.tick(Micros::from_secs(2));
    let page = page(&registry);
    let channel = "channel=\"de\\\"mo\\n\"";
    for line in [
        format!("encoder_dropped_frames{{{channel},reason=\"late\"}} 7"),
        format!("encoder_dropped_frames{{{channel},reason=\"shard_full\"}} 1"),
        format!("encoder_fps{{{channel}}} 30.0"),
        format!("encoder_bitrate{{{channel}}} 240000.0"),
        format!("encoder_rtmp_latency_count{{{channel}}} 2"),
        format!("encoder_rtmp_latency_sum{{{channel}}} 11.009"),
        format!("encoder_rtmp_latency_bucket{{le=\"0.01\",{channel}}} 1"),
        format!("encoder_rtmp_latency_bucket{{le=\"0.0068\",{channel}}} 0"),
        format!("encoder_rtmp_latency_bucket{{le=\"+Inf\",{channel}}} 2"),
    ] {
        assert!(page.lines().any(|found| found == line), "no {line} in:\n{page}");
    }
}

#[test]
fn outputs_show_their_state_and_no_secret() {
    let registry = registry();
    let page = page(&registry);
    let stopped = "output_state{channel=\"demo\",output=\"one\",state=\"stopped\"} 1";
    assert!(page.lines().any(|line| line == stopped), "{page}");
    assert!(page.contains("state=\"live\"} 0"), "{page}");
    assert!(!page.contains("secret"), "{page}");
}
