//! Benchmark of what is always on: a stamp, a duration in a stage's histogram, and a record of the
//! flight recorder.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use stream_manager::internals::{
    Clock, CounterFollower, Stage, StageBlock, WORKER_RECORDS, begin_recording, record_stage,
};
use stream_manager::media::{FrameId, Micros};

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

criterion_group!(benches, always_on);
criterion_main!(benches);
