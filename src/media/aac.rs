//! AAC facts: the `AudioSpecificConfig` of ISO/IEC 14496-3 section 1.6.2.1.

/// Samples per channel in one AAC-LC frame.
pub const FRAME_SAMPLES: usize = 1_024;

/// Sampling frequencies by index (ISO/IEC 14496-3 table 1.18).
const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// What a decoder must know before the first frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Audio object type: 2 is AAC-LC.
    pub object_type: u8,
    /// Samples per second.
    pub rate: u32,
    /// Channel configuration: 1 mono, 2 stereo.
    pub channels: u8,
}

impl Config {
    /// Reads an `AudioSpecificConfig`. `None` if it is short or escapes to forms we do not read.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        let rate = *RATES.get(usize::from((first & 7) << 1 | second >> 7))?;
        let object_type = first >> 3;
        (object_type != 31).then_some(Self { object_type, rate, channels: second >> 3 & 15 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_usual_configs_and_refuses_short_ones() {
        let stereo48 = Config { object_type: 2, rate: 48_000, channels: 2 };
        assert_eq!(Config::parse(&[0x11, 0x90]), Some(stereo48));
        assert_eq!(Config::parse(&[0x12, 0x10]).map(|c| c.rate), Some(44_100));
        assert_eq!(Config::parse(&[0x12]), None);
        assert_eq!(Config::parse(&[]), None);
        assert_eq!(Config::parse(&[0xff, 0xff]), None);
    }
}
