//! Area filter: how samples of a row or a column add up to fewer ones, each of them the mean of
//! what it covers.

/// Samples that are given at once by a vector kernel. Rows that it writes have room for as many.
pub const GROUP: usize = 16;

/// Most samples that make one: what a reduction by [`Filter::REDUCTION_MAX`] touches.
pub const TAPS_MAX: usize = 8;

/// Bytes that a shuffle reads and gives.
pub(super) const LANE: usize = 16;

/// The weights of the samples that make each of fewer ones.
#[derive(Debug)]
pub struct Filter {
    /// Weights of each sample: 4 or [`TAPS_MAX`].
    taps: usize,
    /// Number of samples that come out.
    length: usize,
    is_identity: bool,
    /// The first sample that makes each, for a whole number of groups.
    first: Box<[u32]>,
    /// In parts of 256, `taps` for each.
    weights: Box<[u8]>,
    /// Which of the [`LANE`] bytes from `first` of its first sample on a lane of weights is about.
    shuffle: Box<[u8]>,
}

impl Filter {
    /// By how much a side is reduced at most: more would take wider shuffles.
    pub const REDUCTION_MAX: u32 = 7;

    /// From `from` samples to `to`, which are at least `from / REDUCTION_MAX` and no more than
    /// `from`.
    #[must_use]
    pub fn area(from: u32, to: u32) -> Self {
        let (from, to) = (u64::from(from.max(1)), u64::from(to.max(1)));
        debug_assert!(to <= from && from <= to * u64::from(Self::REDUCTION_MAX));
        let touched = |n: u64| ((n + 1) * from).div_ceil(to) - n * from / to;
        let most = (0..to).map(touched).max().unwrap_or(1);
        let taps = if most <= 4 { 4 } else { TAPS_MAX };
        let length = usize::try_from(to).unwrap_or(0);
        let padded = length.next_multiple_of(GROUP);
        let (mut first, mut weights) = (Vec::new(), Vec::new());
        for n in (0..padded as u64).map(|n| n.min(to - 1)) {
            let begin = n * from / to;
            first.push(u32::try_from(begin).unwrap_or(u32::MAX));
            weights.extend_from_slice(&weights_of(from, to, n)[..taps]);
        }
        let mut shuffle = Vec::new();
        let per_lane = LANE / taps;
        for lane in first.chunks(per_lane) {
            for begin in lane {
                // Samples of a last, half-empty group are the last one again.
                let offset = (begin - lane[0]).min(cast(LANE - taps));
                shuffle.extend((0..cast(taps)).map(|tap| (offset + tap).to_le_bytes()[0]));
            }
        }
        let (first, weights, shuffle) = (first.into(), weights.into(), shuffle.into());
        Self { taps, length, is_identity: from == to, first, weights, shuffle }
    }

    /// Whether as many samples come out as go in: they are the same.
    #[must_use]
    pub const fn is_identity(&self) -> bool {
        self.is_identity
    }

    /// Samples that come out.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// The first of the samples that make sample `n`, and their weights; those that are no longer
    /// there have none.
    #[must_use]
    pub fn of(&self, n: usize) -> (usize, &[u8]) {
        (index(self.first[n]), &self.weights[n * self.taps..][..self.taps])
    }

    pub(super) const fn taps(&self) -> usize {
        self.taps
    }

    pub(super) fn first(&self) -> &[u32] {
        &self.first
    }

    pub(super) fn weights(&self) -> &[u8] {
        &self.weights
    }

    pub(super) fn shuffle(&self) -> &[u8] {
        &self.shuffle
    }
}

/// How much of each sample from `n * from / to` on lies in sample `n`, in parts of 256 that add up.
fn weights_of(from: u64, to: u64, n: u64) -> [u8; TAPS_MAX] {
    let (begin, end) = (n * from, (n + 1) * from);
    let mut shares = [0; TAPS_MAX];
    let (mut covered, mut given) = (0, 0);
    for (tap, share) in (begin / to..).zip(&mut shares) {
        covered += end.min((tap + 1) * to).saturating_sub(begin.max(tap * to));
        // What rounding takes from one goes to the next.
        *share = (covered * 256 + from / 2) / from - given;
        given += *share;
    }
    // A byte does not hold all of the weight. Who has it has a neighbour that is covered as well.
    if let Some(at) = shares.iter().position(|share| *share > 255) {
        shares[at] = 255;
        shares[if at > 0 { at - 1 } else { 1 }] += 1;
    }
    shares.map(|share| share.to_le_bytes()[0])
}

fn cast(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn index(n: u32) -> usize {
    n as usize
}
