//! Runs of the simulation, as many as the environment asks for.

use super::rng::Rng;

fn number_of(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Runs of this kind until so many steps have been taken, or what the environment asks for.
pub(super) fn runs(run: fn(u64) -> Result<u64, String>, most: u64) {
    if let Some(seed) = number_of("SIM_RUN") {
        let steps = run(seed).unwrap_or_else(|fault| panic!("{fault}"));
        return println!("{steps} steps");
    }
    let (most, base) = (number_of("SIM_STEPS").unwrap_or(most), number_of("SIM_SEED"));
    let base = base.unwrap_or(1);
    println!("SIM_SEED={base}");
    let mut seeds = Rng::new(base);
    let (mut steps, mut runs) = (0, 0);
    while steps < most {
        let seed = seeds.next();
        steps += run(seed).unwrap_or_else(|fault| panic!("{fault}"));
        runs += 1;
    }
    println!("{steps} steps in {runs} runs");
}
