//! Every family of the page: names, labels and help.

use std::fmt;

use super::page::Page;
use crate::stats::{
    Attempt, ChannelFigures, DropReason, ENCODED_DROPPED, ErrorKind, Fallback, HistogramFigures,
    Limit, OtherReader, OutputFigures, PacketPoolFigures, RunState, ShardFigures, Snapshot,
    ViewerDrop,
};

/// Writes all that is told of the node.
pub(super) fn write(page: &mut Page<'_>, snapshot: &Snapshot, version: &str) -> fmt::Result {
    page.gauge("stream_manager_build_info", "The program that runs; always 1", |family| {
        family.sample(&[("version", version)], 1_u64)
    })?;
    packets(page, &snapshot.packets)?;
    connections(page, &snapshot.node)?;
    traffic(page, &snapshot.node)?;
    encoders(page, snapshot)?;
    latencies(page, snapshot)?;
    outputs(page, snapshot)
}

fn packets(page: &mut Page<'_>, pool: &PacketPoolFigures) -> fmt::Result {
    page.gauge("packet_pool_used_bytes", "Bytes of packet slots in use", |family| {
        family.sample(&[], pool.used_bytes)
    })?;
    let help = "Bytes of the packet pool's slabs: address space, of which used parts take memory";
    page.gauge("packet_pool_slab_bytes", help, |family| family.sample(&[], pool.slab_bytes))?;
    let help = "What the slabs may be at most: packet_bytes_max of [limits]";
    page.gauge("packet_pool_max_bytes", help, |family| family.sample(&[], pool.bytes_max))?;
    page.counter(
        "packet_pool_slabs_total",
        "Slabs added to and removed from the pool",
        |family| {
            family.sample(&[("change", "added")], pool.slabs_added)?;
            family.sample(&[("change", "removed")], pool.slabs_removed)
        },
    )?;
    let name = "packet_pool_heap_packets_total";
    page.counter(name, "Packets that found no room in the packet pool", |family| {
        family.sample(&[], pool.heap_packets)
    })
}

fn connections(page: &mut Page<'_>, node: &ShardFigures) -> fmt::Result {
    page.counter("rtmp_connections_total", "RTMP connections let in since start", |family| {
        family.sample(&[], node.accepted)
    })?;
    page.gauge("rtmp_connections", "RTMP connections now", |family| {
        family.sample(&[], node.connections)
    })?;
    page.gauge("rtmp_active_streams", "Live streams now", |family| {
        family.sample(&[], node.streams)
    })?;
    page.gauge("rtmp_viewers", "Connections that play now: the audience", |family| {
        family.sample(&[], node.viewers)
    })?;
    let help = "Readers of streams that are no audience, by what they are";
    page.gauge("rtmp_other_readers", help, |family| {
        family.each("kind", OtherReader::ALL.map(OtherReader::label), node.other_readers)
    })?;
    let name = "rtmp_connection_attempts_total";
    page.counter(name, "Attempts to connect, by how they ended", |family| {
        family.sample(&[("status", "accepted")], node.accepted)?;
        family.sample(&[("status", "refused")], node.refused)
    })?;
    let attempts = [
        ("rtmp_publish_attempts_total", "Attempts to publish, by how they ended", node.publish),
        ("rtmp_play_attempts_total", "Attempts to play, by how they ended", node.play),
    ];
    for (name, help, counts) in attempts {
        page.counter(name, help, |family| {
            family.each("status", Attempt::ALL.map(Attempt::label), counts)
        })?;
    }
    page.counter("rtmp_errors_total", "Connections that failed, by what went wrong", |family| {
        family.each("kind", ErrorKind::ALL.map(ErrorKind::label), node.errors)
    })?;
    page.counter("rtmp_limits_total", "Peers refused or closed, by the limit they met", |family| {
        family.each("limit", Limit::ALL.map(Limit::label), node.limits)
    })
}

fn traffic(page: &mut Page<'_>, node: &ShardFigures) -> fmt::Result {
    page.counter("rtmp_bandwidth_bytes", "Bytes from (in) and to (out) RTMP peers", |family| {
        family.sample(&[("direction", "in")], node.bytes_in)?;
        family.sample(&[("direction", "out")], node.bytes_out)
    })?;
    let name = "rtmp_egress_promised_bps";
    page.gauge(name, "Bits per second that viewers and outputs need", |family| {
        family.sample(&[], node.promised_bps)
    })?;
    let name = "rtmp_viewer_drops_total";
    page.counter(name, "Lost by lagging readers: messages (overrun: times)", |family| {
        family.each("reason", ViewerDrop::ALL.map(ViewerDrop::label), node.drops)
    })?;
    page.counter("rtmp_sends_total", "Calls to send to sockets", |family| {
        family.sample(&[], node.sends)
    })?;
    page.counter("rtmp_sends_blocked_total", "Times a socket was full", |family| {
        family.sample(&[], node.blocked)
    })?;
    let name = "control_reports_lost_total";
    page.counter(name, "Reports of shards that control was too slow to take", |family| {
        family.sample(&[], node.reports_lost)
    })
}

fn encoders(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    type Gauge = (&'static str, &'static str, fn(&ChannelFigures) -> f64);
    const GAUGES: [Gauge; 6] = [
        ("encoder_fps", "Encoded frames per second, mean of the last seconds", |c| c.fps),
        ("encoder_bitrate", "Encoded bits per second, video and audio", |c| c.bitrate_bps),
        ("encoder_target_bitrate", "Bits per second of video that are to be made", |c| {
            c.target_bps as f64
        }),
        ("encoder_speed_step", "Speed of the encoder above its fastest, by its presets", |c| {
            c.speed.step as f64
        }),
        ("encoder_fps_divisor", "One frame of so many is encoded", |c| c.speed.divisor as f64),
        ("encoder_frame_height", "Height of the encoded frames, pixels", |c| {
            c.speed.size.map_or(0.0, |size| f64::from(size.height()))
        }),
    ];
    type Counter = (&'static str, &'static str, fn(&ChannelFigures) -> u64);
    const COUNTERS: [Counter; 8] = [
        ("composer_frames_total", "Frames handed to the encoder", |c| c.composed),
        ("composer_dropped_audio_total", "Blocks of audio not taken", |c| c.audio_dropped),
        ("composer_stalls_total", "Times the composer was not run, for 0.5 s or longer", |c| {
            c.stalls
        }),
        ("encoder_frames_total", "Frames encoded", |c| c.frames),
        ("encoder_keyframes_total", "Keyframes among the frames encoded", |c| c.keyframes),
        (
            "encoder_late_frames_total",
            "Frames encoded over two intervals after they were due",
            |c| c.speed.late,
        ),
        ("encoder_audio_frames_total", "Audio frames encoded", |c| c.audio_frames),
        ("encoder_bytes_total", "Bytes encoded", |c| c.video_bytes + c.audio_bytes),
    ];
    for (name, help, read) in GAUGES {
        page.gauge(name, help, |family| {
            encodes(snapshot).try_for_each(|it| family.sample(it.labels(), read(it.figures)))
        })?;
    }
    for (name, help, read) in COUNTERS {
        page.counter(name, help, |family| {
            encodes(snapshot).try_for_each(|it| family.sample(it.labels(), read(it.figures)))
        })?;
    }
    encoder_changes(page, snapshot)?;
    page.gauge("encoder_queue_size", "Frames that wait for the encoder", |family| {
        encodes(snapshot).try_for_each(|it| family.sample(it.labels(), it.figures.queue))
    })?;
    page.counter("encoder_dropped_frames", "Frames nobody got to see, by reason", |family| {
        for encode in encodes(snapshot) {
            let figures = encode.figures;
            let counts = DropReason::ALL.map(DropReason::label).into_iter().zip(figures.dropped);
            for (reason, count) in counts.chain([(ENCODED_DROPPED, figures.encoded_dropped)]) {
                family.sample(&[encode.labels(), &[("reason", reason)]].concat(), count)?;
            }
        }
        Ok(())
    })
}

/// An encode of a channel. That of its first rendition has no label but the channel's name.
struct Encode<'a> {
    labels: [(&'static str, &'a str); 2],
    is_main: bool,
    figures: &'a ChannelFigures,
}

impl<'a> Encode<'a> {
    fn labels(&self) -> &[(&'static str, &'a str)] {
        &self.labels[..if self.is_main { 1 } else { 2 }]
    }
}

/// All encodes of all channels; a rendition that shows another's encode has none of its own.
fn encodes(snapshot: &Snapshot) -> impl Iterator<Item = Encode<'_>> {
    snapshot.channels.iter().flat_map(|channel| {
        let of = |rendition, figures| Encode {
            labels: [("channel", &channel.name[..]), ("rendition", rendition)],
            is_main: rendition.is_empty(),
            figures,
        };
        let own = channel.renditions.iter().filter(|rendition| rendition.shares.is_none());
        let further = own.map(move |rendition| of(&rendition.name[..], &rendition.figures));
        [of("", &channel.figures)].into_iter().chain(further)
    })
}

fn encoder_changes(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    let name = "encoder_speed_changes_total";
    page.counter(
        name,
        "Changes of the encoder's speed, frame rate or size, by direction",
        |family| {
            for encode in encodes(snapshot) {
                let speed = &encode.figures.speed;
                for (direction, count) in [("faster", speed.faster), ("slower", speed.slower)] {
                    family
                        .sample(&[encode.labels(), &[("direction", direction)]].concat(), count)?;
                }
            }
            Ok(())
        },
    )?;
    let name = "encoder_fallback_total";
    page.counter(name, "Changes to another encoder, because one failed or recovered", |family| {
        for encode in encodes(snapshot) {
            for Fallback { from, to, reason, count } in encode.figures.fallbacks.iter().flatten() {
                let change = [("from", *from), ("to", *to), ("reason", *reason)];
                family.sample(&[encode.labels(), &change].concat(), *count)?;
            }
        }
        Ok(())
    })
}

fn latencies(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    type Latency = (&'static str, &'static str, fn(&ChannelFigures) -> &HistogramFigures);
    const LATENCIES: [Latency; 2] = [
        ("encoder_encode_seconds", "Time in the video encoder per frame", |c| &c.encode),
        (
            "encoder_rtmp_latency",
            "Seconds from when a frame was due to its RTMP message being ready to send",
            |c| &c.latency,
        ),
    ];
    for (name, help, read) in LATENCIES {
        page.histogram(name, help, |family| {
            encodes(snapshot).try_for_each(|it| family.distribution(it.labels(), read(it.figures)))
        })?;
    }
    let name = "encoder_scale_seconds";
    let help = "Time to scale a frame for the rendition, or to draw it at its size";
    page.histogram(name, help, |family| {
        let further = encodes(snapshot).filter(|encode| !encode.is_main);
        further.into_iter().try_for_each(|it| family.distribution(it.labels(), &it.figures.scale))
    })
}

fn outputs(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    type Counter = (&'static str, &'static str, fn(&OutputFigures) -> u64);
    const COUNTERS: [Counter; 6] = [
        ("output_reconnects_total", "Times it was accepted again", |o| o.line.reconnects()),
        ("output_stalls_total", "Connections given up because nothing was taken", |o| o.stalls),
        ("output_connects_total", "Times a destination accepted the output", |o| o.line.connects),
        ("output_failures_total", "Tries and live connections that failed", |o| o.line.failures),
        ("output_bytes_total", "Bytes sent to the destination", |o| o.line.bytes),
        ("output_jumps_total", "Times the picture broke off because of lag", |o| o.jumps),
    ];
    page.gauge("output_state", "1 for the state an output is in, 0 for the others", |family| {
        for output in &snapshot.outputs {
            for state in RunState::ALL {
                let is = u64::from(output.figures.line.state == state);
                let labels: [(&str, &str); 3] = [
                    ("channel", &output.channel),
                    ("output", &output.name),
                    ("state", state.label()),
                ];
                family.sample(&labels, is)?;
            }
        }
        Ok(())
    })?;
    type Gauge = (&'static str, &'static str, fn(&OutputFigures) -> f64);
    const GAUGES: [Gauge; 2] = [
        ("output_lag_seconds", "How far the output is behind its stream", |o| o.lag_s),
        ("output_rtt_seconds", "Time to the destination and back, by TCP", |o| o.rtt_s),
    ];
    for (name, help, read) in GAUGES {
        page.gauge(name, help, |family| {
            snapshot.outputs.iter().try_for_each(|output| {
                let labels: [(&str, &str); 2] =
                    [("channel", &output.channel), ("output", &output.name)];
                family.sample(&labels, read(&output.figures))
            })
        })?;
    }
    page.counter(
        "output_drops_total",
        "Lost by the output: messages (overrun: times)",
        |family| {
            for output in &snapshot.outputs {
                let reasons = ViewerDrop::ALL.map(ViewerDrop::label);
                for (reason, count) in reasons.into_iter().zip(output.figures.drops) {
                    let labels: [(&str, &str); 3] = [
                        ("channel", &output.channel),
                        ("output", &output.name),
                        ("reason", reason),
                    ];
                    family.sample(&labels, count)?;
                }
            }
            Ok(())
        },
    )?;
    for (name, help, read) in COUNTERS {
        page.counter(name, help, |family| {
            snapshot.outputs.iter().try_for_each(|output| {
                let labels: [(&str, &str); 2] =
                    [("channel", &output.channel), ("output", &output.name)];
                family.sample(&labels, read(&output.figures))
            })
        })?;
    }
    Ok(())
}
