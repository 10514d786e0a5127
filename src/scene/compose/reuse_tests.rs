//! Scenes that follow another after an edit: only what is different is drawn, and nothing shows it.

use proptest::prelude::*;

use super::*;
use crate::media::{Micros, Rect};
use crate::ring::{Bell, channel};
use crate::scene::asset_cache::AssetCache;
use crate::scene::layer_style::{BlendMode, LayerStyle};
use crate::scene::model::{
    Align, Color, Direction, Group, Layer, Source, TextBox, TextStyle, TickerSpec,
};

const WHITE: Color = Color { r: 255, g: 255, b: 255, a: 255 };
const BLACK: Color = Color { r: 0, g: 0, b: 0, a: 255 };

/// Boxes of layers; the last is the canvas.
const PLACES: [Rect; 4] = [
    Rect { x: 10, y: 8, w: 80, h: 40 },
    Rect { x: 31, y: 21, w: 91, h: 55 },
    Rect { x: 90, y: 50, w: 64, h: 40 },
    Rect { x: 0, y: 0, w: 160, h: 96 },
];

fn size() -> Size {
    Size::new(160, 96).unwrap()
}

fn pool() -> Pool {
    Pool::new(Geometry::new(size(), PixelFormat::I420), 8).unwrap()
}

fn style() -> TextStyle {
    let (size, weight) = (20.0, 600);
    TextStyle {
        font: None,
        fallback_fonts: Vec::new(),
        size,
        weight,
        color: WHITE,
        align: Align::Center,
    }
}

fn text(text: &str) -> Source {
    Source::Text { text: text.to_owned(), style: style(), text_box: TextBox::default() }
}

fn live() -> Source {
    let (stream, slate) = ("live/cam".to_owned(), "away".to_owned());
    Source::Live { stream, slate, style: style() }
}

fn layer(name: &str, source: Source, place: Rect) -> Layer {
    Layer { place: place.into(), ..Layer::new(name, source) }
}

fn scene(background: Color, layers: Vec<Layer>, cache: &AssetCache) -> PreparedScene {
    let scene = Scene { background, layers, transition: None };
    let scene = ResolvedScene::alone(&scene, size()).unwrap();
    PreparedScene::with_cache(&scene, cache).unwrap().0
}

fn tick(ms: u64) -> Tick {
    let at = Micros::from_millis(ms);
    Tick { n: ms / 20, at, programme: at, unix_ms: 1_700_000_000_000 + ms }
}

/// The frame of a tick, and how many pixels were drawn for it.
fn draw(composer: &mut Composer, ms: u64, pool: &Pool) -> (Vec<Vec<u8>>, u64) {
    let composed = composer.compose(&tick(ms), pool);
    while composer.take_retired().is_some() {}
    let (Composed::Fresh(frame) | Composed::Same(frame)) = composed else { panic!("no frame") };
    let planes = frame.geometry().planes().len();
    ((0..planes).map(|plane| frame.plane(plane).to_vec()).collect(), composer.drawn())
}

fn area(rect: Rect) -> u64 {
    u64::try_from(crate::scene::damage::area(rect)).unwrap()
}

#[test]
fn an_edit_draws_the_layer_that_it_changes_and_no_other() {
    let (cache, pool) = (AssetCache::new(1 << 20), pool());
    let made = |words: &str, alpha| {
        let title = layer("title", text(words), PLACES[2]);
        let bar = Layer { alpha, ..layer("bar", Source::Color(WHITE), PLACES[0]) };
        let card = layer("card", Source::TestCard, PLACES[3]);
        scene(BLACK, vec![card, bar, title], &cache)
    };
    let mut composer = Composer::with_scene(made("one", 255), Level::best());
    assert_eq!(draw(&mut composer, 0, &pool).1, area(PLACES[3]));
    let (_, quiet) = draw(&mut composer, 0, &pool);
    composer.change(Change::cut(made("two", 255)));
    let (_, drawn) = draw(&mut composer, 0, &pool);
    assert!(drawn > 0 && drawn <= area(PLACES[2]) + quiet, "{drawn} after {quiet}");
    composer.change(Change::cut(made("two", 128)));
    let (_, drawn) = draw(&mut composer, 0, &pool);
    assert!(drawn > 0 && drawn <= area(PLACES[0]) + quiet, "{drawn}");
    composer.change(Change::cut(made("two", 128)));
    assert_eq!(draw(&mut composer, 0, &pool).1, quiet, "nothing is different");
}

#[test]
fn a_picture_that_came_in_stays_over_an_edit_of_another_layer() {
    let (cache, pool) = (AssetCache::new(1 << 20), pool());
    let made = |words: &str| {
        let cam = layer("cam", live(), PLACES[1]);
        scene(BLACK, vec![cam, layer("title", text(words), PLACES[2])], &cache)
    };
    let mut composer = Composer::with_scene(made("one"), Level::best());
    let (mut sender, pictures) = channel(4, Bell::new());
    composer.input("cam", pictures).unwrap();
    let geometry = Geometry::new(Size::new(92, 56).unwrap(), PixelFormat::I420);
    let mut grey = Pool::new(geometry, 2).unwrap().take().unwrap();
    grey.planes_mut().into_iter().for_each(|plane| plane.data.fill(99));
    sender.push(PictureEvent::Picture { frame: grey.freeze(), at: Micros(0) }).unwrap();
    draw(&mut composer, 0, &pool);
    draw(&mut composer, 2_000, &pool);
    composer.change(Change::cut(made("two")));
    let (planes, drawn) = draw(&mut composer, 2_020, &pool);
    let (x, y) = (40, 30);
    let stride = pool.geometry().planes()[0].stride;
    assert_eq!(planes[0][y * stride + x], 99, "it is there");
    assert!(drawn <= area(PLACES[2]), "and was not drawn again: {drawn}");
}

/// A layer of any kind that has a state, or is drawn by way of a surface, or looks like nothing
/// else.
fn any_layer() -> impl Strategy<Value = (u8, usize, u8, u8)> {
    (0_u8..8, 0..PLACES.len(), 0_u8..3, 0_u8..3)
}

fn made(at: usize, (kind, place, alpha, look): (u8, usize, u8, u8)) -> Layer {
    let words = ["one", "two", "three"][usize::from(look)];
    let color = Color { r: look * 100, g: 40, b: 200, a: 255 - look * 80 };
    let group = |layers| Source::Group(Group { layers, arrangement: None });
    let inner = layer("in", text(words), Rect { x: 2, y: 2, w: 50, h: 30 });
    let source = match kind {
        0 => text(words),
        1 => Source::Color(color),
        2 => Source::Gradient(color, BLACK),
        3 => Source::Spinner(color),
        4 => {
            let (text, style) = (words.to_owned(), style());
            let (direction, speed, gap) = (Direction::Left, 60 + u32::from(look), None);
            Source::Ticker(TickerSpec { text, style, direction, speed, gap })
        }
        5 => Source::FrameCounter,
        _ => group(vec![inner]),
    };
    let name = format!("{at}");
    let plain = layer(&name, source, PLACES[place]);
    let blend = if kind == 7 { BlendMode::Add } else { BlendMode::Over };
    let style = LayerStyle { blend, ..LayerStyle::default() };
    Layer { alpha: [255, 128, 0][usize::from(alpha)], style, ..plain }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn after_any_edits_the_canvas_is_as_if_the_scene_had_been_there_from_the_start(
        layers in proptest::collection::vec(any_layer(), 1..6),
        edits in proptest::collection::vec((0_usize..6, any_layer(), any::<bool>()), 1..6),
    ) {
        let (cache, pool) = (AssetCache::new(1 << 20), pool());
        let mut layers = layers;
        let made = |layers: &[_]| {
            let layers = layers.iter().enumerate().map(|(at, layer)| made(at, *layer));
            scene(BLACK, layers.collect(), &cache)
        };
        let mut composer = Composer::with_scene(made(&layers), Level::best());
        draw(&mut composer, 0, &pool);
        for (n, (at, new, is_more)) in edits.into_iter().enumerate() {
            match layers.get_mut(at) {
                Some(layer) if !is_more => *layer = new,
                _ => layers.push(new),
            }
            composer.change(Change::cut(made(&layers)));
            let ms = 20 + 40 * n as u64;
            for ms in [ms, ms + 20] {
                let (seen, _) = draw(&mut composer, ms, &pool);
                let mut other = Composer::with_scene(made(&layers), Level::best());
                // What moves by steps begins where it would be.
                let (expected, _) = draw(&mut other, ms, &pool);
                prop_assert!(seen == expected, "at {ms} ms");
            }
        }
    }
}
