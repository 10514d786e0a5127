//! Stream, recording and outputs: what OBS calls its stream are all outputs of the channel, and its
//! recording are all recordings of the channel's stream.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::context::{Context, Traffic};
use super::protocol::status;
use super::refusal::{Fields, Refusal};
use crate::control::http::api::{outputs, recordings};
use crate::control::metrics::process;
use crate::control::state::{Channel, Event, Output, Recording, Snapshot};
use crate::ffi::free_bytes;
use crate::stats::RunState;

type Answered = Result<Value, Refusal>;

/// What an output is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Switch {
    Start,
    Stop,
    Toggle,
}

impl Switch {
    /// Whether it is to run, if it may be told that.
    fn wanted(self, is_on: bool) -> Result<bool, Refusal> {
        match (self, is_on) {
            (Self::Start, true) => Err(Refusal::new(status::OUTPUT_RUNNING, "it runs already")),
            (Self::Stop, false) => Err(Refusal::new(status::OUTPUT_NOT_RUNNING, "it does not run")),
            (Self::Start | Self::Toggle, false) => Ok(true),
            (Self::Stop | Self::Toggle, true) => Ok(false),
        }
    }

    /// What is answered: whether it runs now, to who has left that open.
    fn answer(self, is_on: bool) -> Value {
        match self {
            Self::Toggle => json!({ "outputActive": is_on }),
            Self::Start | Self::Stop => Value::Null,
        }
    }
}

/// An output or a recording as it is now.
struct OutputState<'a> {
    name: &'a str,
    state: RunState,
    bytes: u64,
    dropped: u64,
    lag_ms: f64,
}

impl OutputState<'_> {
    fn is_on(&self) -> bool {
        self.state != RunState::Stopped
    }
}

impl<'a> From<&'a Output> for OutputState<'a> {
    fn from(it: &'a Output) -> Self {
        let (bytes, dropped, lag_ms) = (it.bytes, it.dropped, it.lag_ms);
        Self { name: &it.name, state: it.state, bytes, dropped, lag_ms }
    }
}

impl<'a> From<&'a Recording> for OutputState<'a> {
    fn from(it: &'a Recording) -> Self {
        let (bytes, dropped) = (it.bytes, it.dropped);
        Self { name: &it.name, state: it.state, bytes, dropped, lag_ms: 0.0 }
    }
}

pub(super) fn channel_of<'a>(
    context: &Context,
    snapshot: &'a Snapshot,
) -> Result<&'a Channel, Refusal> {
    let name = context.channel.as_ref();
    snapshot.channels.get(name).ok_or_else(|| Refusal::not_found("channel", name))
}

pub(super) fn outputs_of<'a>(
    context: &Context,
    snapshot: &'a Snapshot,
) -> impl Iterator<Item = &'a Output> {
    let channel = Arc::clone(&context.channel);
    snapshot.outputs.values().filter(move |output| *output.channel == *channel)
}

/// The recordings of the channel's stream.
pub(super) fn recordings_of<'a>(
    channel: &Channel,
    snapshot: &'a Snapshot,
) -> impl Iterator<Item = &'a Recording> {
    let stream = channel.stream.clone();
    snapshot.recordings.values().filter(move |recording| recording.stream == stream)
}

/// The file that is being written, with its folder.
pub(super) fn file_of(recording: &Recording) -> Option<String> {
    let file = std::path::Path::new(&recording.dir).join(recording.file.as_ref()?);
    Some(file.to_string_lossy().into_owned())
}

/// Whether any of them sends or writes.
pub(super) fn is_live(states: impl IntoIterator<Item = RunState>) -> bool {
    states.into_iter().any(|state| state == RunState::Live)
}

/// How several of them are as one.
async fn told(context: &Context, states: &[OutputState<'_>], frames: u64, began: &str) -> Value {
    let is_active = is_live(states.iter().map(|one| one.state));
    let is_lost =
        |one: &OutputState<'_>| matches!(one.state, RunState::Connecting | RunState::Failed);
    let sum = |of: fn(&OutputState<'_>) -> u64| states.iter().map(of).sum::<u64>();
    let lag = states.iter().map(|one| one.lag_ms).fold(0.0, f64::max);
    let ms = match is_active {
        true => since(context, states, began).await,
        false => 0,
    };
    json!({
        "outputActive": is_active,
        "outputReconnecting": states.iter().any(is_lost),
        "outputPaused": false,
        "outputTimecode": timecode(ms),
        "outputDuration": ms,
        // OBS has the part of its buffer that is full; a second is what a reader may lag.
        "outputCongestion": (lag / 1_000.0).clamp(0.0, 1.0),
        "outputBytes": sum(|one| one.bytes),
        "outputSkippedFrames": sum(|one| one.dropped),
        "outputTotalFrames": frames,
    })
}

/// For how long they have run, by the event that told of it; since the start if that is forgotten.
async fn since(context: &Context, states: &[OutputState<'_>], began: &str) -> u64 {
    let api = &context.shared.api;
    let is_one = |name: &Option<String>| {
        name.as_ref().is_some_and(|name| states.iter().any(|one| one.name == name))
    };
    let is_it =
        |event: &Event| event.kind == began && (is_one(&event.output) || is_one(&event.record));
    let event = api.board.wanted(0, is_it).await.0.pop();
    let started = api.board.snapshot().await.node.started_at;
    api.time.now_ms().saturating_sub(event.map_or(started, |event| event.at))
}

/// `HH:MM:SS.mmm`
fn timecode(ms: u64) -> String {
    let s = ms / 1_000;
    format!("{:02}:{:02}:{:02}.{:03}", s / 3_600, s / 60 % 60, s % 60, ms % 1_000)
}

pub(super) async fn stream_status(context: &Context) -> Answered {
    let snapshot = context.shared.api.board.snapshot().await;
    let frames = channel_of(context, &snapshot)?.frames;
    let states: Vec<_> = outputs_of(context, &snapshot).map(OutputState::from).collect();
    Ok(told(context, &states, frames, "output_connected").await)
}

pub(super) async fn record_status(context: &Context) -> Answered {
    let snapshot = context.shared.api.board.snapshot().await;
    let channel = channel_of(context, &snapshot)?;
    let states: Vec<_> = recordings_of(channel, &snapshot).map(OutputState::from).collect();
    Ok(told(context, &states, channel.frames, "record_started").await)
}

pub(super) async fn list(context: &Context) -> Answered {
    let snapshot = context.shared.api.board.snapshot().await;
    let channel = channel_of(context, &snapshot)?;
    let told = |one: OutputState<'_>, kind: &str| {
        json!({
            "outputName": one.name, "outputKind": kind,
            "outputWidth": channel.width, "outputHeight": channel.height,
            "outputActive": one.state == RunState::Live,
            "outputFlags": {
                "OBS_OUTPUT_AUDIO": true, "OBS_OUTPUT_VIDEO": true, "OBS_OUTPUT_ENCODED": true,
                "OBS_OUTPUT_MULTI_TRACK": false, "OBS_OUTPUT_SERVICE": kind == "rtmp_output",
            },
        })
    };
    let outputs = outputs_of(context, &snapshot).map(|it| told(it.into(), "rtmp_output"));
    let recorded = recordings_of(channel, &snapshot).map(|it| told(it.into(), "ffmpeg_muxer"));
    Ok(json!({ "outputs": outputs.chain(recorded).collect::<Vec<_>>() }))
}

/// The output or recording that a request names.
fn named<'a>(
    context: &Context,
    snapshot: &'a Snapshot,
    name: &str,
) -> Result<(OutputState<'a>, bool), Refusal> {
    let channel = channel_of(context, snapshot)?;
    if let Some(output) = outputs_of(context, snapshot).find(|output| output.name == name) {
        return Ok((output.into(), true));
    }
    let recording = recordings_of(channel, snapshot).find(|recording| recording.name == name);
    let recording = recording.ok_or_else(|| Refusal::not_found("output", name))?;
    Ok((recording.into(), false))
}

pub(super) async fn status(context: &Context, fields: Fields<'_>) -> Answered {
    let name = fields.text("outputName")?;
    let snapshot = context.shared.api.board.snapshot().await;
    let frames = channel_of(context, &snapshot)?.frames;
    let (one, is_output) = named(context, &snapshot, name)?;
    let began = if is_output { "output_connected" } else { "record_started" };
    Ok(told(context, &[one], frames, began).await)
}

pub(super) async fn switch(context: &Context, fields: Fields<'_>, to: Switch) -> Answered {
    let name = fields.text("outputName")?;
    let snapshot = context.shared.api.board.snapshot().await;
    let (one, is_output) = named(context, &snapshot, name)?;
    let is_wanted = to.wanted(one.is_on())?;
    match is_output {
        true => switch_output(context, name, is_wanted).await?,
        false => switch_recording(context, name, is_wanted).await?,
    }
    Ok(to.answer(is_wanted))
}

async fn switch_output(context: &Context, name: &str, is_wanted: bool) -> Result<(), Refusal> {
    let state = State(Arc::clone(&context.shared));
    let path = Path((context.channel.to_string(), name.to_owned()));
    match is_wanted {
        true => outputs::start(state, path).await?,
        false => outputs::stop(state, path).await?,
    };
    Ok(())
}

async fn switch_recording(context: &Context, name: &str, is_wanted: bool) -> Result<(), Refusal> {
    let (state, path) = (State(Arc::clone(&context.shared)), Path(name.to_owned()));
    match is_wanted {
        true => recordings::start(state, path).await?,
        false => recordings::stop(state, path).await?,
    };
    Ok(())
}

/// Whether some are to run, of which there may be none.
fn wanted_of(states: &[OutputState<'_>], to: Switch, none: &str) -> Result<bool, Refusal> {
    match states.is_empty() {
        true => Err(Refusal::new(status::INVALID_RESOURCE_STATE, none)),
        false => to.wanted(states.iter().any(OutputState::is_on)),
    }
}

pub(super) async fn switch_stream(context: &Context, to: Switch) -> Answered {
    let snapshot = context.shared.api.board.snapshot().await;
    let states: Vec<_> = outputs_of(context, &snapshot).map(OutputState::from).collect();
    let none = "the channel has no outputs; add a [[channel.output]], or one over the API";
    let is_wanted = wanted_of(&states, to, none)?;
    for one in states.iter().filter(|one| one.is_on() != is_wanted) {
        switch_output(context, one.name, is_wanted).await?;
    }
    Ok(to.answer(is_wanted))
}

pub(super) async fn switch_record(context: &Context, to: Switch) -> Answered {
    let snapshot = context.shared.api.board.snapshot().await;
    let channel = channel_of(context, &snapshot)?;
    let recorded: Vec<_> = recordings_of(channel, &snapshot).collect();
    let states: Vec<_> = recorded.iter().map(|it| OutputState::from(*it)).collect();
    let none = "nothing records the channel's stream; add a [[record]], or one over the API";
    let is_wanted = wanted_of(&states, to, none)?;
    for one in states.iter().filter(|one| one.is_on() != is_wanted) {
        switch_recording(context, one.name, is_wanted).await?;
    }
    let file = recorded.iter().find_map(|recording| file_of(recording));
    Ok(match to {
        Switch::Stop => json!({ "outputPath": file.unwrap_or_default() }),
        Switch::Start | Switch::Toggle => to.answer(is_wanted),
    })
}

pub(super) async fn record_directory(context: &Context) -> Answered {
    let snapshot = context.shared.api.board.snapshot().await;
    let channel = channel_of(context, &snapshot)?;
    let first = recordings_of(channel, &snapshot).next();
    Ok(json!({ "recordDirectory": first.map_or("", |it| it.dir.as_str()) }))
}

/// Where the stream goes: no key, which nobody is told.
pub(super) async fn stream_service(context: &Context) -> Answered {
    let snapshot = context.shared.api.board.snapshot().await;
    let first = outputs_of(context, &snapshot).next();
    let server = first.map_or("", |output| output.url.as_str());
    let settings = json!({ "server": server, "key": "", "use_auth": false });
    Ok(json!({ "streamServiceType": "rtmp_custom", "streamServiceSettings": settings }))
}

pub(super) async fn video_settings(context: &Context) -> Answered {
    let snapshot = context.shared.api.board.snapshot().await;
    let channel = channel_of(context, &snapshot)?;
    let (width, height) = (channel.width, channel.height);
    // 29.97 and the like are thousands by 1001.
    let denominator = if channel.fps_target.fract().abs() < 1e-6 { 1 } else { 1_001 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 240000")]
    let numerator = (channel.fps_target * f64::from(denominator)).round().max(0.0) as u32;
    Ok(json!({
        "fpsNumerator": numerator, "fpsDenominator": denominator,
        "baseWidth": width, "baseHeight": height, "outputWidth": width, "outputHeight": height,
    }))
}

pub(super) async fn stats(context: &Context, traffic: &mut Traffic) -> Answered {
    let snapshot = context.shared.api.board.snapshot().await;
    let channel = channel_of(context, &snapshot)?;
    let composition = snapshot.compositions.get(context.channel.as_ref());
    let skipped: u64 = channel.dropped.values().sum();
    let sent: u64 = outputs_of(context, &snapshot).map(|output| output.dropped).sum();
    let dir = recordings_of(channel, &snapshot).next().map_or("/", |it| it.dir.as_str());
    let free = free_bytes(std::path::Path::new(dir)).unwrap_or_default();
    const MIB: f64 = 1_048_576.0;
    Ok(json!({
        "cpuUsage": cpu_percent(context, traffic),
        "memoryUsage": process::memory().unwrap_or_default() as f64 / MIB,
        "availableDiskSpace": free as f64 / MIB,
        "activeFps": channel.fps,
        "averageFrameRenderTime": composition.map_or(0.0, |it| it.us_per_frame / 1_000.0),
        "renderSkippedFrames": skipped,
        "renderTotalFrames": channel.frames,
        "outputSkippedFrames": sent,
        "outputTotalFrames": channel.frames,
        "webSocketSessionIncomingMessages": traffic.incoming,
        "webSocketSessionOutgoingMessages": traffic.outgoing,
    }))
}

/// Processor time of all cores since it was asked for last, percent; 0 the first time.
fn cpu_percent(context: &Context, traffic: &mut Traffic) -> f64 {
    let now = context.shared.api.time.now();
    let used = process::cpu_seconds().unwrap_or_default();
    let before = traffic.cpu.replace((used, now));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    before.map_or(0.0, |(before, at)| {
        let seconds = now.since(at).secs_f64().max(1e-3);
        (used - before) / seconds / cores as f64 * 100.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_not_started_and_what_does_not_is_not_stopped() {
        assert_eq!(Switch::Start.wanted(false), Ok(true));
        assert_eq!(Switch::Stop.wanted(true), Ok(false));
        assert_eq!(Switch::Toggle.wanted(true), Ok(false));
        assert_eq!(Switch::Toggle.wanted(false), Ok(true));
        assert_eq!(Switch::Start.wanted(true).unwrap_err().code, 500);
        assert_eq!(Switch::Stop.wanted(false).unwrap_err().code, 501);
    }

    #[test]
    fn timecodes_go_on_after_a_day() {
        assert_eq!(timecode(0), "00:00:00.000");
        assert_eq!(timecode(90_061_002), "25:01:01.002");
    }
}
