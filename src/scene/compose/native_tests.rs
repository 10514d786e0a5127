//! Scenes drawn at another size than their canvas'.

use super::*;
use crate::media::{Micros, Rect};
use crate::scene::model::{
    Align, Color, Direction, Fit, Layer, Source, TextBox, TextStyle, TickerSpec,
};
use crate::scene::position::Position;
use crate::scene::scale::Scaler;

fn size(width: u32, height: u32) -> Size {
    Size::new(width, height).unwrap()
}

fn white() -> Color {
    Color { r: 255, g: 255, b: 255, a: 255 }
}

fn style(size: f32) -> TextStyle {
    TextStyle {
        font: None,
        fallback_fonts: Vec::new(),
        size,
        weight: 400,
        color: white(),
        align: Align::Left,
    }
}

fn layer(name: &str, place: [i32; 4], source: Source) -> Layer {
    let [x, y, w, h] = place;
    Layer { place: Position::from(Rect { x, y, w, h }), ..Layer::new(name, source) }
}

fn scene(layers: Vec<Layer>) -> Scene {
    let background = Color { r: 0, g: 0, b: 0, a: 255 };
    Scene { background, layers, transition: None }
}

/// A composer of what `scene` on a canvas of one size is at another, and its pool.
fn drawn_at(scene: &Scene, canvas: Size, onto: Size) -> (Composer, Pool) {
    let resolved = ResolvedScene::onto(scene, (canvas, onto), &[], &|_| None).unwrap();
    let composer = Composer::with_scene(PreparedScene::new(&resolved).unwrap(), Level::best());
    (composer, Pool::new(Geometry::new(onto, PixelFormat::I420), 6).unwrap())
}

fn tick(n: u64) -> Tick {
    let at = Micros::from_millis(n * 20);
    Tick { n, at, programme: at, unix_ms: 1_700_000_000_000 + n * 20 }
}

fn frame((composer, pool): &mut (Composer, Pool), n: u64) -> FrozenFrame {
    match composer.compose(&tick(n), pool) {
        Composed::Fresh(frame) | Composed::Same(frame) => frame,
        Composed::NoFrame => panic!("no frame"),
    }
}

fn luma(frame: &FrozenFrame) -> Vec<Vec<u8>> {
    let plane = frame.geometry().planes()[0];
    let rows = frame.plane(0).chunks(plane.stride).take(plane.rows);
    rows.map(|row| row[..plane.width].to_vec()).collect()
}

/// How much neighbours differ, squared: edges that are spread over several pixels count less.
fn sharpness(luma: &[Vec<u8>]) -> f64 {
    let differ = |row: &Vec<u8>| -> f64 {
        row.windows(2).map(|pair| f64::from(pair[0].abs_diff(pair[1])).powi(2)).sum()
    };
    luma.iter().map(differ).sum()
}

/// Peak signal-to-noise ratio of two planes, decibels.
fn psnr(a: &[Vec<u8>], b: &[Vec<u8>]) -> f64 {
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    let squares = pairs.map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
    let mean = squares.sum::<f64>() / a.iter().map(Vec::len).sum::<usize>() as f64;
    10.0 * (255.0 * 255.0 / mean.max(1e-9)).log10()
}

#[test]
fn a_text_is_sharper_than_that_of_the_scaled_canvas_and_all_is_at_its_place() {
    let (canvas, onto) = (size(960, 540), size(640, 360));
    let text = |text: &str| Source::Text {
        text: text.to_owned(),
        style: style(30.0),
        text_box: TextBox::default(),
    };
    let scene = scene(vec![
        layer("box", [99, 51, 301, 201], Source::Color(white())),
        layer("ramp", [450, 60, 400, 200], Source::Gradient(white(), scene(vec![]).background)),
        layer("one", [60, 300, 840, 60], text("The quick brown fox jumps over the dog")),
        layer("two", [60, 380, 840, 60], text("0123456789 ilIL1| mnwW .,:;")),
    ]);
    let native = luma(&frame(&mut drawn_at(&scene, canvas, onto), 0));
    let full = frame(&mut drawn_at(&scene, canvas, canvas), 0);
    let pool = Pool::new(Geometry::new(onto, PixelFormat::I420), 2).unwrap();
    let mut scaler = Scaler::new(canvas, onto, Level::best());
    scaler.change(&Damage::whole(canvas));
    let scaled = luma(&scaler.scale(&full, &pool).unwrap());
    let words = |luma: &[Vec<u8>]| luma[195..300].to_vec();
    let (own, shrunk) = (sharpness(&words(&native)), sharpness(&words(&scaled)));
    assert!(own > 1.2 * shrunk, "{own:.0} {shrunk:.0}");
    let above = |luma: &[Vec<u8>]| luma[..195].to_vec();
    let alike = psnr(&above(&native), &above(&scaled));
    assert!(alike > 30.0, "boxes and ramps lie where they do when they are scaled: {alike:.1} dB");
    let alike = psnr(&words(&native), &words(&scaled));
    assert!(alike > 15.0, "and so do letters: {alike:.1} dB");
}

#[test]
fn a_canvas_of_another_shape_lies_in_the_middle_of_black() {
    let scene = Scene { background: white(), layers: Vec::new(), transition: None };
    let upright = luma(&frame(&mut drawn_at(&scene, size(640, 360), size(180, 320)), 0));
    let rows: Vec<_> = upright.iter().map(|row| (row[0], row[179])).collect();
    let bright = rows.iter().filter(|row| **row == (235, 235)).count();
    let dark = rows.iter().filter(|row| **row == (16, 16)).count();
    assert_eq!(bright + dark, 320);
    assert!((100..=104).contains(&bright), "{bright}");
    assert_eq!((rows[100], rows[160], rows[219]), ((16, 16), (235, 235), (16, 16)));
    let nearly = luma(&frame(&mut drawn_at(&scene, size(1_920, 1_080), size(852, 480)), 0));
    assert!(nearly.iter().flatten().all(|luma| *luma == 235), "half a pixel is no bar");
}

#[test]
fn what_changes_is_drawn_as_if_all_of_it_were() {
    let ticker = TickerSpec {
        text: "News of today".to_owned(),
        style: style(24.0),
        direction: Direction::Left,
        speed: 120,
        gap: None,
    };
    let scene = scene(vec![
        layer("card", [0, 0, 320, 180], Source::TestCard),
        layer("clock", [330, 11, 301, 61], Source::Clock(style(36.0).into())),
        layer("news", [0, 301, 640, 49], Source::Ticker(ticker)),
        layer("spinner", [400, 150, 101, 101], Source::Spinner(white())),
    ]);
    for onto in [size(426, 240), size(270, 480)] {
        let mut changed = drawn_at(&scene, size(640, 360), onto);
        let mut whole = drawn_at(&scene, size(640, 360), onto);
        for n in 0..80 {
            whole.0.redraw_all();
            let (changed, whole) = (frame(&mut changed, n), frame(&mut whole, n));
            for plane in 0..3 {
                let all = changed.geometry().planes()[plane];
                let rows = |frame: &FrozenFrame| {
                    let rows = frame.plane(plane).chunks(all.stride).take(all.rows);
                    rows.map(|row| row[..all.width].to_vec()).collect::<Vec<_>>()
                };
                assert!(rows(&changed) == rows(&whole), "{onto} tick {n} plane {plane}");
            }
        }
        assert!(changed.0.drawn() < whole.0.drawn(), "and less is drawn");
    }
}

#[test]
fn what_is_not_scaled_for_its_box_is_scaled_with_the_canvas() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("white.png");
    image::RgbaImage::from_pixel(60, 60, image::Rgba([255; 4])).save(&path).unwrap();
    let picture = layer("logo", [100, 100, 200, 200], Source::Image(path));
    let scene = scene(vec![Layer { fit: Fit::None, ..picture }]);
    let native = luma(&frame(&mut drawn_at(&scene, size(640, 360), size(320, 180)), 0));
    let bright = native.iter().flatten().filter(|luma| **luma > 200).count();
    assert_eq!(bright, 30 * 30);
    assert_eq!((native[100][100], native[84][84]), (235, 16));
}
