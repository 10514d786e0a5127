//! Latency over the API: how long frames and messages take, stage by stage.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::control::http::shared::Shared;
use crate::media::Micros;
use crate::stats::{
    LatencyReading, LogFigures, OriginFigures, PublisherFigures, Registry, Stage, StageFigures,
    WorstFrame, parts_of,
};

/// How long frames and messages take on their way through the node.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Latency {
    /// By stream.
    streams: Vec<StreamStages>,
    /// By the threads that counted: `compose`, `encode` for all encoders and scalers, `shard-0` and
    /// further.
    threads: Vec<ThreadStages>,
    /// The time of day here, by which frames of other machines are measured.
    clock: DayClock,
}

/// What the kernel says of the machine's time of day. Times between machines are worth nothing
/// unless those of both are synchronised.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DayClock {
    /// Whether something keeps it, such as NTP; `null` if the kernel does not say.
    synchronised: Option<bool>,
    /// How wrong it may be at most if it is kept, microseconds.
    error_max_us: Option<u64>,
}

/// What the origin stamps of a stream say that was published here or pulled.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Origin {
    /// The node that made its frames: 16 hexadecimal digits, others after each of its starts.
    node: String,
    /// Whether that node reads this machine's clock, so that it matters nothing who keeps it.
    same_machine: bool,
    /// Number of the newest frame with a stamp, at that node.
    frame: u64,
    /// When that frame was due there, microseconds since 1970 by that node's clock.
    due_us: u64,
    /// When it came, milliseconds since 1970.
    at: u64,
    /// How long it took, microseconds; below zero if the clocks are further apart than that.
    took_us: i64,
    /// Stamps that were ahead of the clock here, which the stage `origin` leaves out.
    ahead: u64,
}

/// The stages of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StreamStages {
    /// Public name; empty for streams beyond the first 64 of a shard, which are counted together.
    stream: String,
    /// In the order of the way.
    stages: Vec<StageLatency>,
    /// The frames of the last minute that took longest without the encoder's delay by design, the
    /// longest first.
    worst: Vec<Worst>,
    /// Where its frames come from; `null` if they bring no origin stamps, or are made here.
    origin: Option<Origin>,
    /// What its publisher says of its frames; `null` if it does not.
    publisher: Option<Publisher>,
}

/// The stages that a thread has counted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ThreadStages {
    /// Its name.
    thread: String,
    /// In the order of the way.
    stages: Vec<StageLatency>,
}

/// One stage, or a stretch of several.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StageLatency {
    /// Which: `tick`, `compose`, `scale`, `queue`, `lookahead`, `encode`, `read`, `append`, `hop`,
    /// `send`, `fan_out`; `blocked` for what viewers with full sockets wait for; `to_log`,
    /// `to_first_viewer` and `to_last_viewer` for all stages up to there; `origin` from where the
    /// frame was made to here, by the time of day; `publisher_capture`, `publisher_encode` and
    /// `publisher_uplink` before it was here, as its publisher says.
    stage: &'static str,
    /// Whether it is one part of the way.
    is_part: bool,
    /// Whether it is delay by the encoder's design, and no waiting.
    by_design: bool,
    /// The last ten seconds, to two more.
    seconds_10: Distribution,
    /// The last minute, to two seconds more.
    minute: Distribution,
    /// Since the node's start.
    total: Distribution,
}

/// What the publisher of a stream says of its frames, as OBS does with several tracks. Frames are
/// those since the stream began here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Publisher {
    /// When it said something last, milliseconds since 1970.
    at: u64,
    /// Frames that it has drawn.
    rendered: u64,
    /// Those that it drew too late.
    lagged: u64,
    /// Those that it dropped because of its network.
    dropped: u64,
    /// Those of all its tracks that it put out.
    output: u64,
    /// Those that its encoder was given.
    encoder_input: u64,
    /// Those that its encoder was too slow for.
    encoder_skipped: u64,
    /// Those that its encoder has made.
    encoder_output: u64,
    /// Keyframes that were ahead of the clock here, which the stage `publisher_uplink` leaves out.
    ahead: u64,
}

/// A distribution of durations, microseconds. Quantiles are at most a sixteenth too large.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Distribution {
    /// Durations counted.
    count: u64,
    /// Half of them are at most this.
    p50_us: u64,
    /// 99 in a hundred.
    p99_us: u64,
    /// 999 in a thousand.
    p999_us: u64,
    /// The longest.
    max_us: u64,
}

/// A frame that took long.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Worst {
    /// When it had passed its last stage, milliseconds since 1970.
    at: u64,
    /// Its number, modulo 2^24.
    frame: u64,
    /// All of its way without the encoder's delay by design, microseconds.
    took_us: u64,
    /// Its stages, in order.
    parts: Vec<Part>,
}

/// A frame's time in one stage.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Part {
    /// Which.
    stage: &'static str,
    /// Microseconds.
    us: u64,
}

impl From<&LogFigures> for Distribution {
    fn from(figures: &LogFigures) -> Self {
        let quantile = |q| figures.quantile(q).unwrap_or_default().0;
        Self {
            count: figures.count(),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            p999_us: quantile(0.999),
            max_us: figures.max().0,
        }
    }
}

/// The readings before ten seconds and before a minute.
struct Before([Option<Arc<LatencyReading>>; 2]);

impl Before {
    /// The stages of all of `now`, of which these readings have what `of` finds.
    fn stages<'a>(
        &'a self,
        now: &StageFigures,
        of: impl Fn(&'a LatencyReading) -> Option<&'a StageFigures>,
    ) -> Vec<StageLatency> {
        let since = self.0.each_ref().map(|reading| {
            let before = reading.as_deref().and_then(&of);
            before.map_or_else(|| now.clone(), |before| now.since(before))
        });
        let stages = now.each().map(|(stage, total)| StageLatency {
            stage: stage.label(),
            is_part: stage.is_part(),
            by_design: stage == Stage::Lookahead,
            seconds_10: since[0].of(stage).into(),
            minute: since[1].of(stage).into(),
            total: total.into(),
        });
        stages.collect()
    }
}

/// How long frames and messages take, for each stream and stage and each thread and stage: over the
/// last ten seconds, the last minute and since the start, and the frames that took longest.
#[utoipa::path(
    get, path = "/api/v1/latency", tag = "node", responses((status = 200, body = Latency))
)]
pub(super) async fn latency(State(shared): State<Arc<Shared>>) -> Json<Latency> {
    let (registry, time) = (&shared.state.registry, &shared.api.time);
    let (now, now_ms) = (time.now(), time.now_ms());
    let reading = registry.read_latency(now);
    let ages = [10, 60].map(Micros::from_secs);
    let before = Before(ages.map(|age| registry.latency_history.before(now, age)));
    let streams = reading.streams.iter().map(|(stream, figures)| StreamStages {
        stages: before.stages(figures, |reading| reading.streams.get(stream)),
        worst: registry.worst_frames(stream, now).iter().map(|it| worst(it, now, now_ms)).collect(),
        origin: registry.origin_of(stream).map(|it| origin(&it, registry, now, now_ms)),
        publisher: registry.publisher_of(stream).map(|it| publisher(&it, now, now_ms)),
        stream: stream.clone(),
    });
    let threads = reading.threads.iter().map(|(thread, figures)| ThreadStages {
        stages: before.stages(figures, |reading| reading.threads.get(thread)),
        thread: thread.clone(),
    });
    let state = registry.origin.state();
    let clock = DayClock {
        synchronised: state.map(|state| state.is_synchronised),
        error_max_us: state.map(|state| state.error_max.0),
    };
    Json(Latency { streams: streams.collect(), threads: threads.collect(), clock })
}

fn origin(figures: &OriginFigures, registry: &Registry, now: Micros, now_ms: u64) -> Origin {
    let OriginFigures { stamp, at, took_us, ahead } = *figures;
    Origin {
        node: stamp.node.to_string(),
        same_machine: stamp.node.shares_clock_with(registry.origin.node()),
        frame: stamp.frame,
        due_us: stamp.unix_us,
        at: now_ms.saturating_sub(now.since(at).millis()),
        took_us,
        ahead,
    }
}

fn publisher(figures: &PublisherFigures, now: Micros, now_ms: u64) -> Publisher {
    let PublisherFigures {
        at,
        rendered,
        lagged,
        dropped,
        output,
        encoder_input,
        encoder_skipped,
        encoder_output,
        ahead,
    } = *figures;
    let at = now_ms.saturating_sub(now.since(at).millis());
    Publisher {
        at,
        rendered,
        lagged,
        dropped,
        output,
        encoder_input,
        encoder_skipped,
        encoder_output,
        ahead,
    }
}

fn worst(frame: &WorstFrame, now: Micros, now_ms: u64) -> Worst {
    let parts = parts_of(&frame.stamps).map(|(stage, us)| Part { stage: stage.label(), us });
    Worst {
        at: now_ms.saturating_sub(now.since(frame.at).millis()),
        frame: frame.stamps.frame.number(),
        took_us: frame.took.0,
        parts: parts.collect(),
    }
}
