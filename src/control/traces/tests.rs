//! Tests of the folder of traces, and of what one is kept of.

use super::*;
use crate::media::{FrameId, Stamps};
use crate::stats::{LoopActivity, OpenLatency, ShardStats};

fn traces(dir: Option<&Path>) -> Traces {
    Traces::new("here", dir, Arc::default(), Clock::start())
}

#[test]
fn traces_are_kept_up_to_the_limits_and_read_under_their_names_alone() {
    let dir = tempfile::tempdir().unwrap();
    let traces = traces(Some(dir.path()));
    assert_eq!(traces.list().unwrap(), []);
    for unix_ms in 1_000..1_012 {
        let path = traces.keep(unix_ms).unwrap();
        let stamped = File::options().write(true).open(&path).unwrap();
        let made = std::time::UNIX_EPOCH + std::time::Duration::from_millis(unix_ms);
        stamped.set_modified(made).unwrap();
    }
    traces.keep(1_012).unwrap();
    let names: Vec<_> = traces.list().unwrap().into_iter().map(|file| file.name).collect();
    assert_eq!((names.len(), &*names[0]), (FILES_MAX, "trace-1003.pftrace"));
    let (_, about) = traces.open("trace-1011.pftrace").unwrap();
    assert!(about.len() > 20 && about.mode() & 0o777 == durable::FILE_MODE);
    fs::write(dir.path().join("secret.pftrace"), "x").unwrap();
    for name in ["../secret.pftrace", ".pftrace", "trace-1.pftrace", "trace-1011", ""] {
        assert!(matches!(traces.open(name), Err(TraceError::NotFound(_))), "{name}");
    }
    traces.make_room(FILES_MAX, 1).unwrap();
    assert_eq!(traces.list().unwrap().len(), 1, "the newest one stays");
}

#[test]
fn a_node_without_a_data_directory_makes_traces_and_keeps_none_and_one_is_made_at_a_time() {
    let traces = traces(None);
    assert!(!traces.are_kept() && matches!(traces.list(), Err(TraceError::Off)));
    assert!(matches!(traces.keep(1), Err(TraceError::Off)));
    assert!(!traces.make(Micros::from_secs(1)).unwrap().is_empty());
    let turn = traces.turn.try_acquire().unwrap();
    assert!(matches!(traces.make(Micros::from_secs(1)), Err(TraceError::Busy)));
    drop(turn);
    assert!(traces.make(Micros::from_secs(1)).is_ok());
}

/// A node with a stream whose frame rate nobody knows, and a loop.
fn node() -> (Registry, OpenLatency, Arc<LoopActivity>) {
    let shard = Arc::new(ShardStats::default());
    let open = shard.latencies().open(&"live/demo".into());
    let registry = Registry::new(vec![shard], Vec::new(), Vec::new());
    let activity = Arc::<LoopActivity>::default();
    registry.loops.put("shard-0", Micros::from_millis(10), Arc::clone(&activity));
    (registry, open, activity)
}

/// A frame has taken so long, its publisher for so much of it.
fn pass(open: &OpenLatency, at: Micros, took_ms: u64, read_ms: u64) {
    let due = at - Micros::from_millis(took_ms);
    let mut stamps = Stamps::due(FrameId::new(open.source(), 7), Stamp::of(due));
    stamps.set(Point::Encoded, Stamp::of(due + Micros::from_millis(read_ms)));
    stamps.set(Point::Appended, Stamp::of(at));
    open.passed(&stamps, at, Micros::from_millis(took_ms));
}

#[test]
fn a_frame_that_is_eight_ticks_late_is_traced_once_a_minute_and_not_at_the_start() {
    let (registry, open, _activity) = node();
    let (mut trigger, at) = (TraceTrigger::default(), Micros::from_secs);
    pass(&open, at(3), 900, 0);
    assert_eq!(trigger.look(&registry, at(4)), None, "it has just started");
    assert_eq!(trigger.look(&registry, at(20)), None, "that was seen before");
    pass(&open, at(21), 300, 0);
    pass(&open, at(21), 2_000, 1_900);
    assert_eq!(trigger.look(&registry, at(22)), None, "the publisher was slow");
    pass(&open, at(23), 330, 0);
    let told = "frame 7 of live/demo took 330 ms";
    assert_eq!(trigger.look(&registry, at(24)).as_deref(), Some(told));
    pass(&open, at(25), 3_000, 0);
    assert_eq!(trigger.look(&registry, at(26)), None, "one is there already");
    pass(&open, at(90), 3_000, 0);
    assert!(trigger.look(&registry, at(91)).is_some());
}

#[test]
fn a_loop_that_stalls_is_traced() {
    let (registry, _open, activity) = node();
    let mut trigger = TraceTrigger::default();
    let turns = activity.run_by(1);
    let turn = |from_ms, to_ms| {
        turns.begin(Micros::from_millis(from_ms));
        turns.end(Micros::from_millis(to_ms));
    };
    turn(20_000, 20_005);
    assert_eq!(trigger.look(&registry, Micros::from_secs(21)), None);
    turn(22_000, 22_040);
    assert!(trigger.look(&registry, Micros::from_secs(23)).unwrap().contains("stalled"));
    assert_eq!(trigger.look(&registry, Micros::from_secs(100)), None);
}
