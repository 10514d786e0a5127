//! Benchmark of the mixer: one second of sixteen sources with gate, equalizer and compressor, with
//! the levels of all, and the same without filters.

#![expect(clippy::expect_used, reason = "a bench without its inputs is of no use")]
#![expect(clippy::disallowed_methods, reason = "only a part of each round is measured")]
#![expect(clippy::cast_possible_truncation, reason = "small numbers")]

use std::f32::consts::TAU;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use stream_manager::internals::{
    AudioBlock, AudioInput, Bell, BusSpec, CompressorSpec, EqSpec, Filters, GateSpec, InputSpec,
    Mixer, Sender, channel,
};
use stream_manager::media::Micros;

const SOURCES: usize = 16;
const RATE: u64 = 48_000;
const BLOCK: usize = 1_024;

/// Samples of a frame at 30 frames per second, which a channel mixes at once.
const FRAME: u64 = RATE / 30;

fn filters() -> Filters {
    let eq = EqSpec { low_db: 3.0, mid_db: -2.0, high_db: 4.0 };
    let compressor = CompressorSpec { threshold_db: -30.0, ..CompressorSpec::default() };
    Filters {
        gate: Some(GateSpec { open_db: -50.0, close_db: -56.0, ..GateSpec::default() }),
        eq: Some(eq),
        compressor: Some(compressor),
        ducking: None,
    }
}

/// A mixer with its sources' rings.
fn mixer(filters: &Filters) -> (Mixer, Vec<Sender<AudioBlock>>) {
    let name = |n: usize| format!("source {n}");
    let source = |n| {
        let file = AudioInput::Video(PathBuf::from("none.mp4").into());
        InputSpec { filters: filters.clone(), ..InputSpec::new(&name(n), file) }
    };
    let specs: Vec<_> = (0..SOURCES).map(source).collect();
    let mut mixer = Mixer::new(&specs, BusSpec::default());
    let rings = (0..SOURCES).map(|n| {
        let (sender, receiver) = channel(64, Bell::new());
        assert!(mixer.attach(&name(n), receiver), "it plays a ring");
        sender
    });
    let rings = rings.collect();
    (mixer, rings)
}

/// Block `n` of a source: a tone with some noise.
fn block(source: usize, n: u64) -> AudioBlock {
    let first = n * BLOCK as u64;
    let mut data = [0.0; BLOCK * 2];
    let mut noise = (source as u32 + 1).wrapping_mul(2_654_435_761).wrapping_add(n as u32);
    for (n, pair) in data.chunks_exact_mut(2).enumerate() {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let at = (first + n as u64) as f32 / RATE as f32;
        let tone = (at * TAU * (200.0 + 50.0 * source as f32)).sin() * 0.05;
        pair.fill(tone + (noise >> 16) as f32 * 1e-7);
    }
    AudioBlock { at: Micros(first * 1_000_000 / RATE), samples: BLOCK, data }
}

fn second(c: &mut Criterion) {
    let mut group = c.benchmark_group("a second of 16 sources");
    for (name, filters) in
        [("gate, EQ, compressor", filters()), ("without filters", Filters::default())]
    {
        let (mut mixer, mut rings) = mixer(&filters);
        let (mut blocks, mut samples) = (0, 0);
        let mut out = vec![0.0; FRAME as usize * 2];
        group.bench_function(name, |b| {
            b.iter_custom(|seconds| {
                let mut took = Duration::ZERO;
                for _ in 0..seconds * 30 {
                    // What decoders do is not part of it.
                    while blocks * (BLOCK as u64) < samples + 2 * FRAME {
                        for (source, ring) in rings.iter_mut().enumerate() {
                            ring.push(block(source, blocks)).expect("there is room");
                        }
                        blocks += 1;
                    }
                    let began = Instant::now();
                    mixer.mix(samples, Micros(samples * 1_000_000 / RATE), &mut out);
                    took += began.elapsed();
                    black_box(&out);
                    samples += FRAME;
                }
                took
            });
        });
    }
    group.finish();
}

criterion_group!(benches, second);
criterion_main!(benches);
