//! Screenshot of a scene, which need not be on the air: one picture, drawn beside the programme.

use std::io::Cursor;

use image::ImageFormat;

use crate::control::channels::scene_loader::SceneLoader;
use crate::control::channels::sources::Sources;
use crate::frame::{Geometry, Pool};
use crate::media::{Micros, PixelFormat, Size};
use crate::scene::kernel::Level;
use crate::scene::{Composed, Composer, ResolvedScene, Tick, snapshot};

/// How long the scene has been shown in the picture: what comes in at the begin is there.
const SHOWN_FOR: Micros = Micros::from_secs(1);

/// Steps in which videos are decoded up to there, so that their rings are never full.
const STEP: Micros = Micros::from_millis(40);

/// Frames that the picture takes: the one that is drawn, and one in hand.
const FRAMES: u32 = 2;

/// `scene` as a PNG, with clocks at this time of day, milliseconds since 1970-01-01 UTC. Streams
/// are not there: their slates are. What cannot be shown has a placeholder. Takes long where there
/// are fonts to be found or videos to be decoded.
///
/// # Errors
/// In words, if the scene cannot be drawn at all, or there is no memory.
pub(crate) fn screenshot(
    scene: &ResolvedScene,
    loader: &SceneLoader,
    unix_ms: u64,
) -> Result<Vec<u8>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let (mut prepared, _) = loader.prepare(scene).map_err(|error| text(&error))?;
    let mut sources = Sources::default();
    sources.want_pictures(scene.layers().into_iter(), &mut prepared);
    let (mut files, _) = sources.in_lockstep(Micros(0));
    let mut at = Micros(0);
    while at < SHOWN_FOR {
        at = at + STEP;
        for file in &mut files {
            // One that fails has told its layer.
            let _told = file.decode_to(at);
        }
        prepared.preroll(at, |_| false);
    }
    let geometry = Geometry::new(scene.size(), PixelFormat::I420);
    let pool = Pool::new(geometry, FRAMES).map_err(|error| text(&error))?;
    let mut composer = Composer::with_scene(prepared, Level::best());
    let tick = Tick { n: 0, at, programme: at, unix_ms };
    let (Composed::Fresh(frame) | Composed::Same(frame)) = composer.compose(&tick, &pool) else {
        return Err("there is no frame to draw into".to_owned());
    };
    let mut png = Cursor::new(Vec::new());
    snapshot(&frame).write_to(&mut png, ImageFormat::Png).map_err(|error| text(&error))?;
    Ok(png.into_inner())
}

/// The canvas' shape, this wide; `None` if it is too small then, or wider than the canvas.
pub(crate) fn scaled_to(canvas: Size, width: u32) -> Option<Size> {
    let height = (canvas.height() * width.min(canvas.width())).div_ceil(canvas.width());
    let size = Size::new(width & !1, (height + 1) & !1)?;
    (width <= canvas.width()).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screenshot_has_the_canvas_shape_and_even_sides() {
        let size = |w, h| Size::new(w, h).unwrap();
        let hd = size(1_920, 1_080);
        assert_eq!(scaled_to(hd, 480), Some(size(480, 270)));
        assert_eq!(scaled_to(hd, 321), Some(size(320, 182)));
        assert_eq!(scaled_to(hd, 1_920), Some(hd));
        assert_eq!((scaled_to(hd, 1_922), scaled_to(hd, 24)), (None, None));
        assert_eq!(scaled_to(hd, u32::MAX), None);
    }
}
