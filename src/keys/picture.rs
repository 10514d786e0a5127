//! Picture limits of a key, held against the size and frame rate that a publisher announces.

use super::info::KeyLimits;

/// What a stream says about its picture before it comes; `None` for what it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Announced {
    /// Pixels.
    pub width: Option<f64>,
    /// Pixels.
    pub height: Option<f64>,
    /// Frames per second.
    pub fps: Option<f64>,
}

/// How far above its limit a rate may be announced: clocks and divisions are not exact.
const FPS_TOLERANCE: f64 = 1.01;

impl KeyLimits {
    /// Whether there is any limit for the picture.
    #[must_use]
    pub const fn limit_picture(&self) -> bool {
        self.max_width.is_some() || self.max_height.is_some() || self.max_fps.is_some()
    }

    /// What the publisher's user is told if the picture is larger or faster than the key allows.
    #[must_use]
    pub fn exceeded_by(&self, picture: &Announced) -> Option<String> {
        let over = |announced: Option<f64>, max: Option<u32>, tolerance: f64| {
            let (announced, max) = (announced?, max?);
            (announced > f64::from(max) * tolerance).then_some((announced, max))
        };
        for (found, what) in [
            (over(picture.width, self.max_width, 1.0), "pixels wide"),
            (over(picture.height, self.max_height, 1.0), "pixels high"),
            (over(picture.fps, self.max_fps, FPS_TOLERANCE), "frames per second"),
        ] {
            if let Some((announced, max)) = found {
                return Some(format!(
                    "the stream has {announced} {what}, and its key allows {max}: set the encoder \
                     to less"
                ));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: KeyLimits = KeyLimits {
        bitrate_bps: None,
        viewers: None,
        max_width: Some(1_280),
        max_height: Some(720),
        max_fps: Some(30),
    };

    fn picture(width: f64, height: f64, fps: f64) -> Announced {
        Announced { width: Some(width), height: Some(height), fps: Some(fps) }
    }

    #[test]
    fn a_picture_at_its_limits_is_fine_and_one_beyond_any_is_told_which() {
        assert_eq!(LIMITS.exceeded_by(&picture(1_280.0, 720.0, 30.0)), None);
        assert_eq!(LIMITS.exceeded_by(&picture(1_280.0, 720.0, 30.02)), None, "a clock is");
        for (wide, high, fps, words) in [
            (1_920.0, 720.0, 30.0, ["1920 pixels wide", "allows 1280"]),
            (720.0, 1_280.0, 30.0, ["1280 pixels high", "allows 720"]),
            (1_280.0, 720.0, 59.94, ["59.94 frames per second", "allows 30"]),
        ] {
            let told = LIMITS.exceeded_by(&picture(wide, high, fps)).unwrap();
            assert!(words.iter().all(|word| told.contains(word)), "{told}");
        }
    }

    #[test]
    fn what_is_not_announced_or_not_limited_is_not_judged() {
        assert_eq!(LIMITS.exceeded_by(&Announced::default()), None);
        let any = KeyLimits::default();
        assert!(!any.limit_picture() && LIMITS.limit_picture());
        assert_eq!(any.exceeded_by(&picture(9e9, 9e9, 9e9)), None);
        let width = KeyLimits { max_width: Some(640), ..any };
        assert_eq!(width.exceeded_by(&picture(640.0, 9_000.0, 240.0)), None);
        assert!(width.limit_picture());
    }
}
