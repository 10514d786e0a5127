//! ffmpeg as a viewer whose last picture, or last moment of audio, can be looked at at any time.

use crate::config::HEIGHT;
use crate::config::WIDTH;
use crate::program::Program;
use crate::recording::{PICTURE_BYTES, Picture};
use crate::wait::{SOON, wait_until};

/// Watches the picture of a stream.
pub(crate) struct Watcher(Program);

impl Watcher {
    pub(crate) fn of(url: &str) -> Self {
        let size = format!("scale={WIDTH}:{HEIGHT}");
        let last = ["-i", url, "-map", "0:v", "-vf", &size, "-pix_fmt", "yuv420p"];
        let last = [&last[..], &["-fps_mode", "passthrough", "-f", "rawvideo", "-"]].concat();
        Self(Program::start("ffmpeg", "-v error -fflags nobuffer", &last))
    }

    /// The newest picture.
    pub(crate) fn last(&self) -> Option<Picture> {
        let (_, block) = self.0.last_block(PICTURE_BYTES);
        (block.len() == PICTURE_BYTES).then(|| Picture::new(0.0, block))
    }

    /// Waits for a picture whose middle is near this luma and these chromas.
    pub(crate) fn wait_for(&mut self, what: &str, colour: [u8; 3]) {
        self.wait_until_at(what, (WIDTH / 2, HEIGHT / 2), |seen| is_near(seen, colour, 12));
    }

    /// Waits for a picture whose luma and chromas at a pixel are as wanted.
    pub(crate) fn wait_until_at(
        &mut self,
        what: &str,
        (x, y): (usize, usize),
        wanted: impl Fn([u8; 3]) -> bool,
    ) {
        self.wait_until(what, |picture| wanted(picture.at(x, y)));
    }

    /// Waits for a picture that is as wanted.
    pub(crate) fn wait_until(&mut self, what: &str, mut wanted: impl FnMut(&Picture) -> bool) {
        wait_until(SOON, what, || {
            assert!(self.0.runs(), "the viewer has ended:\n{}", self.0.err());
            self.last().filter(|picture| wanted(picture)).map(drop)
        });
    }
}

/// Listens to the audio of a stream.
pub(crate) struct Listener(Program);

impl Listener {
    pub(crate) fn of(url: &str) -> Self {
        let last = ["-i", url, "-map", "0:a", "-ac", "1", "-ar", "48000", "-f", "s16le", "-"];
        Self(Program::start("ffmpeg", "-v error -fflags nobuffer", &last))
    }

    /// The loudest sample of the last tenth of a second, 0 to 1; `None` before there is one.
    pub(crate) fn peak(&self) -> Option<f32> {
        let (_, block) = self.0.last_block(2 * 4_800);
        let samples = block.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
        samples.map(|sample| f32::from(sample).abs() / 32_768.0).reduce(f32::max)
    }
}

/// Whether two colours differ by at most `by` in each component.
pub(crate) fn is_near(a: [u8; 3], b: [u8; 3], by: u8) -> bool {
    a.iter().zip(b).all(|(&a, b)| a.abs_diff(b) <= by)
}
