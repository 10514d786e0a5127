//! Polyphase filter: how samples of a row or a column make more or fewer ones by bicubic
//! interpolation, wide enough that what is made smaller does not flicker.

use super::filter::GROUP;

/// Weights add up to this: parts of a sample.
pub(super) const ONE: i32 = 1 << ONE_BITS;

/// Bits of a weight behind the point.
pub(super) const ONE_BITS: u32 = 14;

/// Bits behind the point of what lies between the two passes.
pub(super) const BETWEEN_BITS: u32 = 6;

/// Samples that a vector takes at once from a row: a filter of more than four has a multiple.
pub(super) const STEP: usize = 8;

/// Sharpness of the cubic: that of libswscale, a little above the usual half.
const SHARPNESS: f64 = 0.6;

/// The weights of the samples that make each of other ones.
#[derive(Debug)]
pub struct Polyphase {
    /// Weights of each sample: 4, or a multiple of [`STEP`].
    taps: usize,
    /// Number of samples that come out.
    length: usize,
    /// The most that there is in `first`.
    last: usize,
    /// The first sample that makes each, for a whole number of groups.
    first: Box<[u32]>,
    /// Parts of [`ONE`], `taps` for each.
    weights: Box<[i16]>,
}

impl Polyphase {
    /// From `from` samples to `to`. Both cover the same length; what would lie beyond an end is as
    /// the last sample.
    #[must_use]
    pub fn bicubic(from: u32, to: u32) -> Self {
        let (from, to) = (from.max(1) as usize, to.max(1) as usize);
        let step = float(from) / float(to);
        // Fewer samples are made of all that they stand for.
        let reach = 2.0 * step.max(1.0);
        let needed = ceil(2.0 * reach);
        let taps = if needed <= 4 { 4 } else { needed.next_multiple_of(STEP) };
        let padded = to.next_multiple_of(GROUP);
        let (mut first, mut weights) = (Vec::with_capacity(padded), Vec::new());
        for n in (0..padded).map(|n| n.min(to - 1)) {
            let centre = (float(n) + 0.5) * step - 0.5;
            let begin = (centre - reach).floor() + 1.0;
            let exact: Vec<f64> = (0..needed)
                .map(|tap| cubic((begin + float(tap) - centre) / (reach / 2.0)))
                .collect();
            let place = clamped(begin, from.saturating_sub(taps));
            let mut row = vec![0; taps];
            for (tap, weight) in parts(&exact).into_iter().enumerate() {
                row[clamped(begin + float(tap), from - 1) - place] += weight;
            }
            first.push(u32::try_from(place).unwrap_or(u32::MAX));
            weights.extend(row.into_iter().map(|weight| i16::try_from(weight).unwrap_or(i16::MAX)));
        }
        let last = first.last().map_or(0, |first: &u32| *first as usize);
        Self { taps, length: to, last, first: first.into(), weights: weights.into() }
    }

    /// Samples that come out.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Weights of each sample: past the last sample there are as many more to be read, less one.
    #[must_use]
    pub const fn taps(&self) -> usize {
        self.taps
    }

    /// The first of the samples that make sample `n`, and their weights.
    #[must_use]
    pub fn of(&self, n: usize) -> (usize, &[i16]) {
        (self.first[n] as usize, &self.weights[n * self.taps..][..self.taps])
    }

    /// As [`Polyphase::of`], without what weighs nothing at both ends.
    #[must_use]
    pub fn trimmed(&self, n: usize) -> (usize, &[i16]) {
        let (first, weights) = self.of(n);
        let weighs = |weight: &i16| *weight != 0;
        let begin = weights.iter().position(weighs).unwrap_or(0);
        let end = weights.iter().rposition(weighs).map_or(weights.len(), |last| last + 1);
        (first + begin, &weights[begin..end])
    }

    /// The last sample that is the first of those that make one.
    pub(super) const fn last(&self) -> usize {
        self.last
    }

    pub(super) fn first(&self) -> &[u32] {
        &self.first
    }

    pub(super) fn weights(&self) -> &[i16] {
        &self.weights
    }
}

/// The cubic of Keys at a distance in samples.
fn cubic(distance: f64) -> f64 {
    let (x, a) = (distance.abs(), -SHARPNESS);
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

/// Weights in parts of [`ONE`] that add up. What rounding takes from one goes to the next.
#[expect(clippy::cast_possible_truncation, reason = "a part of all is at most some of ONE")]
fn parts(exact: &[f64]) -> Vec<i32> {
    let total: f64 = exact.iter().sum();
    let (mut covered, mut given) = (0.0, 0);
    let share = |weight: &f64| {
        covered += weight / total;
        let part = (covered * f64::from(ONE)).round() as i32 - given;
        given += part;
        part
    };
    exact.iter().map(share).collect()
}

/// The sample at a place, or the last one at that end.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn clamped(place: f64, last: usize) -> usize {
    (place.max(0.0) as usize).min(last)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn ceil(length: f64) -> usize {
    length.ceil() as usize
}

#[expect(clippy::cast_precision_loss, reason = "sides of pictures are small")]
const fn float(n: usize) -> f64 {
    n as f64
}
