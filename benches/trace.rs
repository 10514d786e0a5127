//! Benchmark of what is always on: a stamp, a duration in a stage's histogram, a record of the flight
//! recorder, and probes that nobody is attached to.

use std::hint::black_box;
use std::sync::mpsc::channel;

use criterion::{Criterion, criterion_group, criterion_main};
use stream_manager::internals::{
    CORE_RECORDS, Clock, CounterFollower, Stage, StageBlock, TraceNames, WORKER_RECORDS,
    begin_recording, frame_encoded, gather, record_stage, socket_full, write_perfetto,
};
use stream_manager::media::{FrameId, Micros, Stamp};

fn always_on(criterion: &mut Criterion) {
    let (clock, mut follower) = (Clock::start(), CounterFollower::start());
    // Until the counter's rate is known, where it can be a clock.
    while clock.now() < Micros::from_millis(100) {
        clock.follow_counter(&mut follower);
    }
    criterion.bench_function("stamp", |bench| bench.iter(|| clock.stamp()));
    criterion.bench_function("kernel clock", |bench| bench.iter(|| clock.nanos()));
    let (block, took) = (StageBlock::of([Stage::Queue, Stage::Encode]), Micros(4_321));
    criterion.bench_function("observe", |bench| {
        bench.iter(|| block.observe(black_box(Stage::Encode), black_box(took)));
    });
    begin_recording(0, WORKER_RECORDS);
    let (frame, end) = (FrameId::new(1, 2), clock.stamp());
    criterion.bench_function("record", |bench| {
        bench.iter(|| record_stage(Stage::Encode, black_box(frame), black_box(end), took));
    });
    criterion.bench_function("stamp, observe and record", |bench| {
        bench.iter(|| {
            let end = clock.stamp();
            block.observe(Stage::Encode, took);
            record_stage(Stage::Encode, black_box(frame), end, took);
        });
    });
}

/// What a probe takes to which nothing is attached, next to the same loop without one.
fn probed(criterion: &mut Criterion) {
    let (frame, took) = (FrameId::new(1, 2), Micros(4_321));
    criterion.bench_function("no probe", |bench| {
        bench.iter(|| (black_box(frame), black_box(took)));
    });
    criterion.bench_function("probe", |bench| {
        bench.iter(|| {
            let (frame, took) = (black_box(frame), black_box(took));
            frame_encoded(frame, took);
            (frame, took)
        });
    });
    criterion.bench_function("probe with a semaphore", |bench| {
        bench.iter(|| {
            let (frame, took) = (black_box(frame), black_box(took));
            socket_full(7, || took);
            (frame, took)
        });
    });
}

/// Fills the ring of this thread, as ten seconds of forty streams do.
fn fill() {
    begin_recording(1, CORE_RECORDS);
    let stages = [Stage::Compose, Stage::Queue, Stage::Encode, Stage::Append, Stage::Send];
    for number in 0..CORE_RECORDS as u64 {
        let stage = stages[(number % 5) as usize];
        let (source, frame) = ((number / 5 % 40) as u16, number / 200);
        // Stages follow each other, and so do frames.
        let end = Stamp::of(Micros(frame * 33_333 + (1 + number % 5) * 3_333));
        record_stage(stage, FrameId::new(source, frame), end, Micros(3_333));
    }
}

/// A trace of all that the threads remember, of which one has a full ring.
fn written(criterion: &mut Criterion) {
    let (clock, names) = (Clock::start(), TraceNames::default());
    let (filled, is_filled) = channel();
    let (over, is_over) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            fill();
            filled.send(()).unwrap_or_default();
            // What a thread remembers goes with it.
            is_over.recv().unwrap_or_default();
        });
        is_filled.recv().unwrap_or_default();
        let take = || write_perfetto(&gather(Stamp::NONE, || clock.stamp()), &names);
        criterion.bench_function("gather and write", |bench| bench.iter(take));
        drop(over);
    });
}

criterion_group!(benches, always_on, probed, written);
criterion_main!(benches);
