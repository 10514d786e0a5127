//! Composing: what was asked for is drawn, and only what changed is drawn again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::media::Micros;
use crate::media::Rect;
use crate::ring::{Bell, Sender, channel};
use crate::scene::canvas::Canvas;
use crate::scene::change::PreparedTransition;
use crate::scene::color::bytes;
use crate::scene::error::Error;
use crate::scene::layer_style::{BlendMode, Border, ChromaKey, Flip, LayerStyle, Shadow};
use crate::scene::layers::{Content, Layers};
use crate::scene::model::{
    Align, Arrangement, ArrangementKind, BuiltIn, Color, Direction, Group, Layer, Scene, Source,
    TextBox, TextStyle, TickerSpec,
};
use crate::scene::resolve::ResolvedScene;
use crate::scene::surface::Surface;
use crate::scene::transition::{Easing, Transition, TransitionKind, WipeShape};
use crate::stats::Timer;

const W: u32 = 160;
const H: u32 = 96;

fn size(w: u32, h: u32) -> Size {
    Size::new(w, h).unwrap()
}

fn pool(w: u32, h: u32, slots: u32) -> Pool {
    Pool::new(Geometry::new(size(w, h), PixelFormat::I420), slots).unwrap()
}

fn color(r: u8, g: u8, b: u8, a: u8) -> Color {
    Color { r, g, b, a }
}

fn style() -> TextStyle {
    let color = color(250, 240, 230, 255);
    TextStyle {
        font: None,
        fallback_fonts: Vec::new(),
        size: 20.0,
        weight: 600,
        color,
        align: Align::Center,
    }
}

fn layer(name: &str, source: Source, place: (i32, i32, i32, i32)) -> Layer {
    let (x, y, w, h) = place;
    Layer { place: Rect { x, y, w, h }.into(), ..Layer::new(name, source) }
}

fn live(name: &str, place: (i32, i32, i32, i32)) -> Layer {
    let (stream, slate) = ("live/cam".to_owned(), "away".to_owned());
    layer(name, Source::Live { stream, slate, style: style() }, place)
}

fn scene(layers: Vec<Layer>) -> Scene {
    Scene { background: color(10, 20, 30, 255), layers, transition: None }
}

fn composer(layers: Vec<Layer>) -> Composer {
    Composer::with_scene(prepared(layers), Level::best())
}

fn tick(ms: u64) -> Tick {
    let at = Micros::from_millis(ms);
    Tick { n: ms / 20, at, programme: at, unix_ms: 1_700_000_000_000 + ms }
}

/// A picture whose every byte differs from its neighbours.
fn picture(pool: &Pool, seed: usize) -> FrozenFrame {
    let mut frame = pool.take().unwrap();
    for plane in frame.planes_mut() {
        for (i, byte) in plane.data.iter_mut().enumerate() {
            *byte = 16 + ((i * 31 + i / 97 + seed * 57) % 200).to_le_bytes()[0];
        }
    }
    frame.freeze()
}

fn at(frame: &FrozenFrame, x: usize, y: usize) -> [u8; 3] {
    let planes = frame.geometry().planes();
    [
        frame.plane(0)[y * planes[0].stride + x],
        frame.plane(1)[y / 2 * planes[1].stride + x / 2],
        frame.plane(2)[y / 2 * planes[2].stride + x / 2],
    ]
}

fn fresh(composed: Composed) -> FrozenFrame {
    match composed {
        Composed::Fresh(frame) => frame,
        other => panic!("not fresh: {other:?}"),
    }
}

/// The pixels of all planes, without what lies between their rows.
fn pixels(frame: &FrozenFrame) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, plane) in frame.geometry().planes().iter().enumerate() {
        for row in frame.plane(index).chunks_exact(plane.stride) {
            out.extend_from_slice(&row[..plane.width]);
        }
    }
    out
}

/// What the scene looks like now, drawn whole, from the bottom up, by the definitions.
fn plain(composer: &Composer, pool: &Pool) -> FrozenFrame {
    plain_of(&composer.scene, pool)
}

fn plain_of(scene: &PreparedScene, pool: &Pool) -> FrozenFrame {
    let mut frame = pool.take().unwrap();
    let (rect, mut scratch) = (scene.size.rect(), vec![0; W as usize]);
    let mut canvas = Canvas::on_frame(&mut frame, Kernels::at(Level::Scalar), &mut scratch);
    canvas.fill(rect, scene.background, 255);
    plain_layers(&scene.layers, &mut canvas);
    frame.freeze()
}

fn plain_layers(layers: &Layers, canvas: &mut Canvas<'_>) {
    for layer in &layers.0 {
        match &layer.content {
            Content::Painter(painter) => painter.draw(canvas, layer.clip, layer.alpha),
            Content::Group(group) => {
                let mut surface = Surface::new(layer.clip);
                let mut scratch = vec![0; W as usize];
                let scalar = Kernels::at(Level::Scalar);
                let mut inner = Canvas::on_surface(&mut surface, scalar, &mut scratch);
                plain_layers(&group.layers, &mut inner);
                group.finish(&mut inner, Rect { x: 0, y: 0, ..layer.clip });
                let corner = (layer.clip.x, layer.clip.y);
                canvas.surface((&surface, group.effects.blend), corner, layer.clip, layer.alpha);
            }
        }
    }
}

/// Any layer but a live one.
fn any_layer() -> impl Strategy<Value = Layer> {
    let any_color = (any::<[u8; 3]>(), prop_oneof![Just(255), any::<u8>()])
        .prop_map(|([r, g, b], a)| color(r, g, b, a));
    let source = (0..8, any_color.clone(), any_color).prop_map(|(kind, a, b)| match kind {
        0 => Source::Color(a),
        1 => Source::Gradient(a, b),
        2 => Source::TestCard,
        3 => Source::BuiltIn(BuiltIn::Logo),
        4 => Source::Clock(TextStyle { color: a, ..style() }.into()),
        5 => Source::Spinner(a),
        6 => Source::Ticker(TickerSpec {
            text: "One moment".to_owned(),
            style: TextStyle { color: a, ..style() },
            direction: [Direction::Left, Direction::Right, Direction::Up, Direction::Down]
                [usize::from(b.r % 4)],
            speed: 1 + u32::from(b.g) * 8,
            gap: (b.b > 99).then_some(u32::from(b.b)),
        }),
        _ => Source::Flash,
    });
    let place = (-40..140, -30..90, 1..180, 1..110);
    let alpha = prop_oneof![3 => Just(255), 1 => any::<u8>()];
    (source, place, -2..3, alpha).prop_map(|(source, place, z, alpha)| Layer {
        z,
        alpha,
        ..layer("", source, place)
    })
}

/// The layer with a style that goes with what it shows.
fn with_look(layer: Layer) -> impl Strategy<Value = Layer> {
    let border = Border { width: 3, color: color(240, 200, 20, 200) };
    let shadow = Shadow { x: -3, y: 5, blur: 4, color: color(0, 0, 0, 180) };
    let key = ChromaKey { color: BLUE, similarity: 0.3, smoothness: 0.2, spill: 0.2 };
    (0..4_usize, 0..3_600_u16, 0..30_u32, any::<[bool; 4]>()).prop_map(
        move |(blend, rotation, corner_radius, [turned, bordered, shaded, keyed])| {
            let still = layer.source.is_still();
            let is = |wanted: bool| wanted && still;
            let style = LayerStyle {
                blend: BlendMode::WORDS[blend].1,
                rotation: if is(turned) { rotation } else { 0 },
                flip: if is(turned) { Flip::Horizontal } else { Flip::None },
                corner_radius: corner_radius.saturating_sub(15),
                border: is(bordered).then_some(border),
                shadow: is(shaded).then_some(shadow),
                chroma_key: (keyed && layer.source.is_input()).then_some(key),
            };
            Layer { style, ..layer.clone() }
        },
    )
}

/// Layers that are drawn as one, with the live input of their own that some have.
fn any_group() -> impl Strategy<Value = Layer> {
    let place = (-40..140, -30..90, 1..180, 1..110);
    let alpha = prop_oneof![1 => Just(255), 2 => any::<u8>()];
    let inside = prop_oneof![any_layer(), any_layer().prop_flat_map(with_look)];
    let layers = prop::collection::vec(inside, 0..4);
    (layers, place, -2..3, alpha).prop_map(|(mut layers, place, z, alpha)| {
        number(&mut layers);
        Layer { z, alpha, ..layer("", Source::Group(Group { layers, arrangement: None }), place) }
    })
}

fn number(layers: &mut [Layer]) {
    for (i, layer) in layers.iter_mut().enumerate() {
        layer.name = format!("{i}");
    }
}

/// What happens before a tick: a picture of a size, an end, or nothing; and how long frames are
/// held.
#[derive(Clone, Copy, Debug)]
struct Step {
    event: u8,
    ms: u64,
    held: usize,
}

fn any_step() -> impl Strategy<Value = Step> {
    (0..8_u8, 1..180_u64, 0..4_usize).prop_map(|(event, ms, held)| Step { event, ms, held })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 192,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn redrawing_what_changed_gives_the_same_as_drawing_everything(
        mut layers in prop::collection::vec(
            prop_oneof![
                3 => any_layer(),
                2 => any_layer().prop_flat_map(with_look),
                1 => any_group().prop_flat_map(with_look),
            ],
            0..6,
        ),
        group in prop::option::of(any_group().prop_flat_map(with_look)),
        cam in with_look(live("cam", (0, 0, 9, 9))),
        (place, z, alpha) in (
            (-20..100, -20..60, 20..170, 20..100),
            -2..3,
            prop_oneof![Just(255_u8), Just(120)],
        ),
        steps in prop::collection::vec(any_step(), 1..30),
    ) {
        let style = cam.style;
        let cam = Layer { z, alpha, style, ..live("cam", place) };
        let mut input = "cam".to_owned();
        number(&mut layers);
        match group {
            Some(mut group) => {
                let Source::Group(inside) = &mut group.source else { unreachable!() };
                inside.layers.push(cam);
                input = "group/cam".to_owned();
                layers.push(Layer { name: "group".to_owned(), ..group });
            }
            None => layers.push(cam),
        }
        let mut composer = composer(layers);
        let (mut sender, receiver) = channel(16, Arc::clone(&Bell::new()));
        composer.input(&input, receiver).unwrap();
        let (frames, reference) = (pool(W, H, 4), pool(W, H, 1));
        let sources = [pool(64, 48, 20), pool(W, H, 20)];
        let (mut held, mut now) = (std::collections::VecDeque::new(), 0);
        for (n, step) in steps.iter().enumerate() {
            now += step.ms;
            match step.event {
                kind @ 0..=3 => {
                    let frame = picture(&sources[usize::from(kind & 1)], n);
                    let at = Micros::from_millis(now + u64::from(kind / 2) * 60);
                    drop(sender.push(PictureEvent::Picture { frame, at }));
                }
                4 => drop(sender.push(PictureEvent::Ended)),
                _ => {}
            }
            while held.len() > step.held {
                held.pop_front();
            }
            match composer.compose(&tick(now), &frames) {
                Composed::Fresh(frame) | Composed::Same(frame) => {
                    let expected = pixels(&plain(&composer, &reference));
                    prop_assert!(pixels(&frame) == expected, "step {}: {:?}", n, step);
                    held.push_back(frame);
                }
                Composed::NoFrame => prop_assert!(frames.in_use() == 4),
            }
        }
    }
}

#[test]
fn a_scene_that_stands_still_is_drawn_once() {
    let mut composer = composer(vec![layer("a", Source::TestCard, (0, 0, 50, 50))]);
    let pool = pool(W, H, 3);
    let first = fresh(composer.compose(&Tick::default(), &pool));
    assert_eq!(composer.drawn(), u64::from(W * H));
    match composer.compose(&Tick { n: 1, ..Tick::default() }, &pool) {
        Composed::Same(frame) => assert_eq!(frame.plane(0).as_ptr(), first.plane(0).as_ptr()),
        other => panic!("{other:?}"),
    }
    assert_eq!((composer.drawn(), pool.in_use()), (0, 1));
}

#[test]
fn what_each_layer_costs_is_counted_those_in_groups_too() {
    let blended = LayerStyle { blend: BlendMode::Add, ..LayerStyle::default() };
    let clock = layer("clock", Source::Clock(style().into()), (4, 4, 150, 20));
    let clock = Layer { style: blended, ..clock };
    let mut scene = prepared(vec![layer("card", Source::SmpteBars, (0, 32, 64, 64)), clock]);
    let now = AtomicU64::new(0);
    let timer = Timer::new(move || now.fetch_add(5, Ordering::Relaxed));
    let costs = scene.measure(&timer, &[]);
    let mut composer = Composer::with_scene(scene, Level::best());
    let pool = pool(W, H, 3);
    let read = || costs.iter().map(|cost| cost.read()).collect::<Vec<_>>();
    drop(composer.compose(&tick(0), &pool));
    let first = read();
    assert_eq!(first.iter().map(|it| &it.name[..]).collect::<Vec<_>>(), ["card", "clock"]);
    assert!(first.iter().all(|it| it.nanos > 0 && it.pixels > 0), "{first:?}");
    assert!(first.iter().all(|it| it.cache_bytes > 60 * 20 * 3 / 2), "{first:?}");
    for ms in [20, 40, 60] {
        drop(composer.compose(&tick(ms), &pool));
    }
    let before = read();
    drop(composer.compose(&tick(80), &pool));
    let next = read();
    assert_eq!(next[0].pixels, first[0].pixels, "the bars stand still");
    let clock = next[1].pixels - before[1].pixels;
    assert!(clock > 0 && clock < first[1].pixels, "its last figures are drawn: {next:?}");

    let card = layer("card", Source::SmpteBars, (0, 0, 96, 64));
    let mut scene = prepared(vec![card, layer("new", Source::TestCard, (96, 0, 64, 64))]);
    let after: Vec<_> = scene.measure(&timer, &costs).iter().map(|cost| cost.read()).collect();
    assert_eq!((&after[0].name[..], after[0].nanos), ("card", next[0].nanos), "it goes on");
    assert_ne!(after[0].cache_bytes, next[0].cache_bytes, "with pictures of its own");
    assert_eq!((&after[1].name[..], after[1].nanos), ("new", 0));
}

#[test]
fn a_clock_redraws_little_more_than_its_last_figures() {
    let clock = Source::Clock(style().into());
    let mut composer = composer(vec![layer("clock", clock, (4, 4, 150, 20))]);
    let pool = pool(W, H, 3);
    for ms in [0, 20, 40, 60] {
        drop(composer.compose(&tick(ms), &pool));
    }
    drop(composer.compose(&tick(80), &pool));
    assert!(composer.drawn() > 0 && composer.drawn() < 16 * 22 * 4, "{}", composer.drawn());
}

#[test]
fn a_frame_in_use_is_never_drawn_into() {
    let mut composer =
        composer(vec![layer("spin", Source::Spinner(color(9, 9, 9, 255)), (0, 0, 64, 64))]);
    let pool = pool(W, H, 2);
    let first = fresh(composer.compose(&tick(0), &pool));
    let before = pixels(&first);
    let second = fresh(composer.compose(&tick(400), &pool));
    assert!(matches!(composer.compose(&tick(800), &pool), Composed::NoFrame));
    assert_eq!(pixels(&first), before);
    drop(first);
    let third = fresh(composer.compose(&tick(800), &pool));
    assert!(pixels(&third) != before, "the change of the dropped tick is not lost");
    drop(second);
}

#[test]
fn the_frame_before_is_drawn_into_again_when_nobody_looks_at_it() {
    let spinner = || layer("spin", Source::Spinner(color(9, 9, 9, 255)), (0, 0, 64, 64));
    let (mut once, mut whole) = (composer(vec![spinner()]), composer(vec![spinner()]));
    let (pool, reference) = (pool(W, H, 1), pool(W, H, 1));
    for at in [0, 400, 800, 1_200] {
        whole.redraw_all();
        let wanted = pixels(&fresh(whole.compose(&tick(at), &reference)));
        assert_eq!(pixels(&fresh(once.compose(&tick(at), &pool))), wanted);
    }
    assert!(once.drawn() < u64::from(W) * u64::from(H) / 2, "{}", once.drawn());
}

#[test]
fn the_higher_layer_covers_and_among_equals_the_later() {
    let (red, green, blue) = (color(255, 0, 0, 255), color(0, 255, 0, 255), color(0, 0, 255, 255));
    let mut composer = composer(vec![
        Layer { z: 1, ..layer("red", Source::Color(red), (0, 0, 32, 32)) },
        layer("green", Source::Color(green), (0, 0, 64, 64)),
        layer("blue", Source::Color(blue), (48, 0, 48, 64)),
    ]);
    let frame = fresh(composer.compose(&tick(0), &pool(W, H, 1)));
    assert_eq!(at(&frame, 10, 10), bytes(red));
    assert_eq!(at(&frame, 40, 10), bytes(green));
    assert_eq!(at(&frame, 50, 10), bytes(blue));
    assert_eq!(at(&frame, 120, 80), bytes(color(10, 20, 30, 255)));
}

#[test]
fn translucent_layers_are_within_one_of_exact_arithmetic() {
    let (over, under) = (color(200, 40, 90, 77), color(10, 20, 30, 255));
    let grey = color(191, 191, 191, 255);
    // A fill, an asset with alpha (for its odd edge), and an opaque asset.
    for (source, seen, x) in [
        (Source::Color(over), over, 0),
        (Source::Color(over), over, 1),
        (Source::TestCard, grey, 0),
    ] {
        for alpha in [255, 128, 9] {
            let layer = Layer { alpha, ..layer("half", source.clone(), (x, 0, 160, 64)) };
            let frame = fresh(composer(vec![layer]).compose(&tick(0), &pool(W, H, 1)));
            let a = f64::from(seen.a) / 255.0 * f64::from(alpha) / 255.0;
            for ((got, s), d) in at(&frame, 8, 20).into_iter().zip(bytes(seen)).zip(bytes(under)) {
                let exact = f64::from(s) * a + f64::from(d) * (1.0 - a);
                assert!((f64::from(got) - exact).abs() <= 1.0, "{source:?} {alpha} {got} {exact}");
            }
        }
    }
}

#[test]
fn a_live_picture_arrives_byte_for_byte_where_its_layer_is() {
    let mut composer = composer(vec![live("cam", (20, 10, 64, 48))]);
    let (mut sender, receiver) = channel(4, Bell::new());
    composer.input("cam", receiver).unwrap();
    let (frames, source) = (pool(W, H, 3), pool(64, 48, 1));
    let shown = picture(&source, 1);
    let event = PictureEvent::Picture { frame: shown.share(), at: Micros(0) };
    sender.push(event).unwrap();
    drop(composer.compose(&tick(0), &frames));
    let frame = fresh(composer.compose(&tick(300), &frames));
    for (x, y) in (0..64).flat_map(|x| (0..48).map(move |y| (x, y))) {
        assert_eq!(at(&frame, 20 + x, 10 + y), at(&shown, x, y), "{x} {y}");
    }
    assert_eq!(at(&frame, 18, 10), bytes(color(10, 20, 30, 255)));
}

#[test]
fn half_way_through_its_fade_a_picture_is_mixed_with_its_slate() {
    let mut composer = composer(vec![live("cam", (0, 0, 64, 48))]);
    let (frames, source) = (pool(W, H, 3), pool(64, 48, 1));
    let slate = fresh(composer.compose(&tick(0), &frames));
    let (mut sender, receiver) = channel(4, Bell::new());
    composer.input("cam", receiver).unwrap();
    let shown = picture(&source, 1);
    sender.push(PictureEvent::Picture { frame: shown.share(), at: Micros(0) }).unwrap();
    drop(composer.compose(&tick(1_000), &frames));
    let frame = fresh(composer.compose(&tick(1_100), &frames));
    for (x, y) in (0..64).flat_map(|x| (0..48).map(move |y| (x, y))) {
        let pair = at(&shown, x, y).into_iter().zip(at(&slate, x, y));
        for ((a, b), got) in pair.zip(at(&frame, x, y)) {
            let exact = (f64::from(a) * 127.0 + f64::from(b) * 128.0) / 255.0;
            assert!((f64::from(got) - exact).abs() <= 0.5, "{got} {exact}");
        }
    }
}

fn sender_of(composer: &mut Composer, layer: &str) -> Sender<PictureEvent> {
    let (sender, receiver) = channel(4, Bell::new());
    composer.input(layer, receiver).unwrap();
    sender
}

#[test]
fn a_picture_that_covers_the_canvas_is_handed_on_as_it_is() {
    let (w, h) = (W.cast_signed(), H.cast_signed());
    let mut composer = composer(vec![
        layer("below", Source::TestCard, (0, 0, 64, 64)),
        live("cam", (0, 0, w, h)),
        Layer { alpha: 0, ..layer("unseen", Source::TestCard, (0, 0, 64, 64)) },
    ]);
    let mut sender = sender_of(&mut composer, "cam");
    let (frames, source) = (pool(W, H, 3), pool(W, H, 2));
    let shown = picture(&source, 1);
    sender.push(PictureEvent::Picture { frame: shown.share(), at: Micros(0) }).unwrap();
    drop(composer.compose(&tick(0), &frames));
    let frame = fresh(composer.compose(&tick(300), &frames));
    assert_eq!(frame.plane(0).as_ptr(), shown.plane(0).as_ptr());
    assert_eq!(composer.drawn(), 0);
    let next = picture(&source, 2);
    sender
        .push(PictureEvent::Picture { frame: next.share(), at: Micros::from_millis(320) })
        .unwrap();
    let frame = fresh(composer.compose(&tick(320), &frames));
    assert_eq!(frame.plane(0).as_ptr(), next.plane(0).as_ptr());
}

#[test]
fn another_scene_keeps_the_pictures_of_the_same_stream() {
    let mut composer = composer(vec![live("cam", (0, 0, 64, 48))]);
    let mut sender = sender_of(&mut composer, "cam");
    let (frames, source) = (pool(W, H, 4), pool(64, 48, 2));
    let shown = picture(&source, 1);
    sender.push(PictureEvent::Picture { frame: shown.share(), at: Micros(0) }).unwrap();
    drop(composer.compose(&tick(0), &frames));
    drop(composer.compose(&tick(300), &frames));
    let moved = vec![live("cam", (96, 48, 64, 48)), live("other", (0, 0, 32, 32))];
    composer.change(Change::cut(prepared(moved)));
    assert!(composer.take_retired().is_some());
    let frame = fresh(composer.compose(&tick(320), &frames));
    assert_eq!(at(&frame, 100, 50), at(&shown, 4, 2));
    let next = picture(&source, 2);
    let at_ms = Micros::from_millis(340);
    sender.push(PictureEvent::Picture { frame: next.share(), at: at_ms }).unwrap();
    let frame = fresh(composer.compose(&tick(340), &frames));
    assert_eq!(at(&frame, 100, 50), at(&next, 4, 2));
}

#[test]
fn pictures_for_a_layer_that_takes_none_are_given_back() {
    let mut composer = composer(vec![layer("card", Source::TestCard, (0, 0, 64, 48))]);
    for name in ["card", "nobody"] {
        assert!(composer.input(name, channel(1, Bell::new()).1).is_err());
    }
}

#[test]
fn a_scene_that_cannot_be_shown_says_which_layer_and_why() {
    let prepare = |layers| {
        let prepared = resolved(layers).and_then(|scene| PreparedScene::new(&scene));
        prepared.unwrap_err().to_string()
    };
    let card = || layer("card", Source::TestCard, (0, 0, 64, 48));
    assert!(prepare(vec![card(), card()]).contains("two layers are called \"card\""));
    assert!(prepare(vec![card(); 65]).contains("65 layers"));
    let wide = layer("wide", Source::TestCard, (0, 0, 9_000, 48));
    assert!(prepare(vec![wide]).contains("\"wide\""));
    let missing = layer("photo", Source::Image("/no/such.png".into()), (0, 0, 64, 48));
    let error = prepare(vec![missing]);
    assert!(error.contains("\"photo\"") && error.contains("/no/such.png"), "{error}");
    let text = Source::Text {
        text: "x".to_owned(),
        style: TextStyle { font: Some("No Such Font".to_owned()), ..style() },
        text_box: TextBox::default(),
    };
    let error = prepare(vec![layer("words", text, (0, 0, 64, 48))]);
    assert!(error.contains("\"words\"") && error.contains("No Such Font"), "{error}");
}

fn prepared(layers: Vec<Layer>) -> PreparedScene {
    PreparedScene::new(&resolved(layers).unwrap()).unwrap()
}

fn resolved(layers: Vec<Layer>) -> Result<ResolvedScene, Error> {
    ResolvedScene::alone(&scene(layers), size(W, H))
}

fn one_color(color: Color) -> Vec<Layer> {
    vec![layer("all", Source::Color(color), (0, 0, W.cast_signed(), H.cast_signed()))]
}

const RED: Color = Color { r: 255, g: 0, b: 0, a: 255 };
const BLUE: Color = Color { r: 0, g: 0, b: 255, a: 255 };

fn by(transition: &Transition, layers: Vec<Layer>) -> Change {
    let transition = PreparedTransition::new(transition, size(W, H), None).unwrap();
    Change::new(prepared(layers), transition)
}

fn fade_to(layers: Vec<Layer>, ms: u64) -> Change {
    by(&Transition::fade(Micros::from_millis(ms)), layers)
}

#[test]
fn a_cut_shows_all_of_the_other_scene_at_one_tick_and_then_stands_still() {
    let mut composer = composer(one_color(RED));
    let pool = pool(W, H, 3);
    let before = fresh(composer.compose(&tick(0), &pool));
    composer.change(Change::cut(prepared(one_color(BLUE))));
    let after = fresh(composer.compose(&tick(20), &pool));
    for (x, y) in [(0, 0), (80, 48), (159, 95)] {
        assert_eq!((at(&before, x, y), at(&after, x, y)), (bytes(RED), bytes(BLUE)));
    }
    assert!(composer.take_retired().is_some());
    assert!(composer.take_retired().is_none());
    assert!(matches!(composer.compose(&tick(40), &pool), Composed::Same(_)));
}

#[test]
fn a_fade_goes_from_one_scene_to_the_other_in_its_time() {
    let mut composer = composer(one_color(RED));
    let pool = pool(W, H, 3);
    drop(composer.compose(&tick(0), &pool));
    composer.change(fade_to(one_color(BLUE), 400));
    let mut cb = Vec::new();
    for ms in (20..=420).step_by(20) {
        assert!(composer.take_retired().is_none());
        let frame = fresh(composer.compose(&tick(ms), &pool));
        assert_eq!(at(&frame, 0, 0), at(&frame, 159, 95));
        cb.push(at(&frame, 80, 48)[1]);
    }
    let ends = (bytes(RED)[1], bytes(BLUE)[1]);
    assert_eq!((cb[0], cb[20]), ends, "{cb:?}");
    assert_eq!(cb[10].abs_diff(ends.0).abs_diff(cb[10].abs_diff(ends.1)), 0, "{cb:?}");
    assert!(cb.is_sorted() && cb.windows(2).all(|pair| pair[1] - pair[0] < 12), "{cb:?}");
    assert!(composer.take_retired().is_some());
    assert!(matches!(composer.compose(&tick(440), &pool), Composed::Same(_)));
}

/// A scene that is another one at each tick, so far to the right.
fn moving(x: i32) -> Vec<Layer> {
    let clock = Source::Clock(style().into());
    let spinner = Source::Spinner(color(90, 200, 40, 255));
    vec![layer("clock", clock, (4 + x, 4, 150, 20)), layer("spin", spinner, (x, 30, 60, 60))]
}

#[test]
fn a_fade_between_moving_scenes_mixes_what_each_would_show() {
    let mut composer = composer(moving(0));
    let (frames, reference) = (pool(W, H, 2), pool(W, H, 3));
    drop(composer.compose(&tick(0), &frames));
    composer.change(fade_to(moving(70), 500));
    let mut held = Vec::new();
    for ms in (20..500).step_by(20) {
        let composed = composer.compose(&tick(ms), &frames);
        if ms % 100 == 60 {
            assert!(matches!(composed, Composed::NoFrame));
            held.clear();
            continue;
        }
        let frame = fresh(composed);
        let fading = composer.running.as_ref().unwrap();
        let old = pixels(&plain_of(&fading.from, &reference));
        let new = pixels(&plain_of(&composer.scene, &reference));
        let mut expected = vec![0; new.len()];
        let weight = u8::try_from((ms - 20) * 255 / 500).unwrap();
        (Kernels::at(Level::Scalar).fade)(&mut expected, &new, &old, weight);
        assert!(pixels(&frame) == expected, "{ms} ms");
        if ms % 100 < 60 && ms % 100 > 0 {
            held.push(frame); // at 60 ms all of the pool is in use
        }
    }
}

#[test]
fn a_picture_that_both_scenes_show_moves_in_both_during_the_fade() {
    let mut composer = composer(vec![live("cam", (0, 0, 64, 48))]);
    let mut sender = sender_of(&mut composer, "cam");
    let (frames, source) = (pool(W, H, 4), pool(64, 48, 3));
    let mut show = |seed, ms| {
        let (frame, at) = (picture(&source, seed), Micros::from_millis(ms));
        sender.push(PictureEvent::Picture { frame: frame.share(), at }).unwrap();
        frame
    };
    drop(show(1, 0));
    drop(composer.compose(&tick(0), &frames));
    drop(composer.compose(&tick(300), &frames));
    composer.change(fade_to(vec![live("cam", (96, 48, 64, 48))], 1_000));
    drop(composer.compose(&tick(320), &frames));
    let next = show(2, 820);
    let frame = fresh(composer.compose(&tick(820), &frames));
    let ground = bytes(color(10, 20, 30, 255));
    for ((got, shown), under) in at(&frame, 4, 2).into_iter().zip(at(&next, 4, 2)).zip(ground) {
        let exact = (f64::from(under) * 127.0 + f64::from(shown) * 128.0) / 255.0;
        assert!((f64::from(got) - exact).abs() <= 1.0, "{got} {exact}");
    }
    for ((got, shown), under) in at(&frame, 100, 50).into_iter().zip(at(&next, 4, 2)).zip(ground) {
        let exact = (f64::from(under) * 128.0 + f64::from(shown) * 127.0) / 255.0;
        assert!((f64::from(got) - exact).abs() <= 1.0, "{got} {exact}");
    }
}

#[test]
fn a_change_during_a_fade_ends_the_fade_and_retires_both_scenes() {
    let mut composer = composer(one_color(RED));
    let pool = pool(W, H, 3);
    drop(composer.compose(&tick(0), &pool));
    composer.change(fade_to(one_color(BLUE), 400));
    drop(composer.compose(&tick(20), &pool));
    composer.change(Change::cut(prepared(one_color(color(1, 2, 3, 255)))));
    let frame = fresh(composer.compose(&tick(40), &pool));
    assert_eq!(at(&frame, 80, 48), bytes(color(1, 2, 3, 255)));
    assert!(composer.take_retired().is_some() && composer.take_retired().is_some());
    assert!(composer.take_retired().is_none());
}

fn transition(kind: TransitionKind) -> Transition {
    Transition { kind, duration: Micros::from_millis(400), easing: Easing::Linear }
}

fn wipe(shape: WipeShape, softness: f32) -> Transition {
    transition(TransitionKind::Wipe { shape, softness })
}

/// Half-way from red to blue by a transition.
fn half_way(transition: &Transition) -> FrozenFrame {
    let mut composer = composer(one_color(RED));
    let pool = pool(W, H, 3);
    drop(composer.compose(&tick(0), &pool));
    composer.change(by(transition, one_color(BLUE)));
    drop(composer.compose(&tick(20), &pool));
    fresh(composer.compose(&tick(220), &pool))
}

#[test]
fn a_scene_that_slides_or_wipes_in_is_seen_where_its_direction_says() {
    let sides = [(4, 48), (155, 48), (80, 4), (80, 91)];
    for (direction, blue) in
        [(Direction::Right, 0), (Direction::Left, 1), (Direction::Down, 2), (Direction::Up, 3)]
    {
        let red = [1, 0, 3, 2][blue];
        for transition in [
            transition(TransitionKind::Slide(direction)),
            transition(TransitionKind::Push(direction)),
            wipe(WipeShape::Linear(direction), 0.1),
        ] {
            let frame = half_way(&transition);
            let at = |side: usize| at(&frame, sides[side].0, sides[side].1);
            assert_eq!((at(blue), at(red)), (bytes(BLUE), bytes(RED)), "{transition:?}");
        }
    }
}

#[test]
fn what_is_pushed_out_moves_and_what_is_slid_over_stays() {
    let card = || vec![layer("card", Source::TestCard, (0, 0, 160, 96))];
    let seen = |kind: TransitionKind| {
        let mut composer = composer(card());
        let pool = pool(W, H, 3);
        let before = fresh(composer.compose(&tick(0), &pool));
        composer.change(by(&transition(kind), one_color(BLUE)));
        drop(composer.compose(&tick(20), &pool));
        let after = fresh(composer.compose(&tick(120), &pool));
        assert_eq!(at(&after, 150, 4), bytes(BLUE));
        let row = |frame: &FrozenFrame, from: usize| frame.plane(0)[from..from + 60].to_vec();
        (row(&before, 0), row(&before, 40), row(&after, 0))
    };
    let (start, moved, after) = seen(TransitionKind::Slide(Direction::Left));
    assert!(after == start && after != moved);
    let (start, moved, after) = seen(TransitionKind::Push(Direction::Left));
    assert!(after == moved && after != start);
}

#[test]
fn a_fade_through_a_colour_is_that_colour_in_the_middle() {
    let green = color(0, 200, 0, 255);
    let frame = half_way(&transition(TransitionKind::FadeColor(green)));
    assert_eq!([at(&frame, 0, 0), at(&frame, 159, 95)], [bytes(green); 2]);
}

#[test]
fn round_wipes_begin_where_their_names_say() {
    let clock = half_way(&wipe(WipeShape::Clock, 0.0));
    assert_eq!([at(&clock, 120, 40), at(&clock, 120, 60)], [bytes(BLUE); 2]);
    assert_eq!([at(&clock, 40, 40), at(&clock, 40, 60)], [bytes(RED); 2]);
    let circle = half_way(&wipe(WipeShape::Circle, 0.0));
    assert_eq!((at(&circle, 80, 48), at(&circle, 2, 2)), (bytes(BLUE), bytes(RED)));
}

#[test]
fn a_stinger_covers_both_scenes_and_changes_them_at_its_cut() {
    let mut composer = composer(one_color(RED));
    let (frames, source) = (pool(W, H, 3), pool(W, 2 * H, 2));
    drop(composer.compose(&tick(0), &frames));
    let (mut sender, receiver) = channel(4, Bell::new());
    let mut picture = source.take().unwrap();
    for plane in picture.planes_mut() {
        // White on the left, with the alpha of the right at 0.
        let white = if plane.width == 160 { 235 } else { 128 };
        for (y, row) in plane.data.chunks_mut(plane.stride).enumerate() {
            row.fill(0);
            row[..plane.width / 2].fill(if y < plane.rows / 2 { white } else { 255 });
        }
    }
    let frame = picture.freeze();
    sender.push(PictureEvent::Picture { frame, at: Micros(0) }).unwrap();
    sender.push(PictureEvent::Ended).unwrap();
    let cut = Micros::from_millis(60);
    let kind = TransitionKind::Stinger { path: "x.mov".into(), cut };
    let stinger = PreparedTransition::new(&transition(kind), size(W, H), Some(receiver)).unwrap();
    composer.change(Change::new(prepared(one_color(BLUE)), stinger));
    let seen = [20, 60, 80].map(|ms| {
        let frame = fresh(composer.compose(&tick(ms), &frames));
        (at(&frame, 4, 48), at(&frame, 155, 48))
    });
    let white = bytes(color(255, 255, 255, 255));
    assert_eq!(seen, [(white, bytes(RED)), (white, bytes(RED)), (bytes(BLUE), bytes(BLUE))]);
    assert!(composer.take_retired().is_some());
}

fn any_transition() -> impl Strategy<Value = Transition> {
    let directions = [Direction::Left, Direction::Right, Direction::Up, Direction::Down];
    let direction = || prop::sample::select(directions.to_vec());
    let soft = || prop_oneof![Just(0.0_f32), 0.0_f32..=1.0];
    let wipe = |shape, softness| TransitionKind::Wipe { shape, softness };
    let kind = prop_oneof![
        Just(TransitionKind::Fade),
        any::<[u8; 3]>().prop_map(|[r, g, b]| TransitionKind::FadeColor(color(r, g, b, 255))),
        direction().prop_map(TransitionKind::Slide),
        direction().prop_map(TransitionKind::Push),
        (direction(), soft()).prop_map(move |(to, soft)| wipe(WipeShape::Linear(to), soft)),
        soft().prop_map(move |soft| wipe(WipeShape::Clock, soft)),
        soft().prop_map(move |soft| wipe(WipeShape::Circle, soft)),
    ];
    let easing = prop::sample::select(Easing::WORDS.map(|(_, easing)| easing).to_vec());
    (kind, 1_u64..900, easing).prop_map(|(kind, ms, easing)| {
        let duration = Micros::from_millis(ms);
        Transition { kind, duration, easing }
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn between_any_scenes_a_transition_looks_as_if_all_were_drawn_anew_each_time(
        mut from in prop::collection::vec(prop_oneof![any_layer(), any_group()], 0..5),
        mut to in prop::collection::vec(prop_oneof![any_layer(), any_group()], 0..5),
        transition in any_transition(),
        steps in prop::collection::vec((1..180_u64, 0..3_usize), 1..12),
    ) {
        number(&mut from);
        number(&mut to);
        let run = |level, is_anew: bool| {
            let mut composer = Composer::with_scene(prepared(from.clone()), level);
            let frames = pool(W, H, 4);
            drop(composer.compose(&tick(0), &frames));
            composer.change(by(&transition, to.clone()));
            let (mut held, mut seen, mut now) = (Vec::new(), Vec::new(), 0);
            for (ms, holds) in &steps {
                now += ms;
                if is_anew {
                    composer.redraw_all();
                }
                let (Composed::Fresh(frame) | Composed::Same(frame)) =
                    composer.compose(&tick(now), &frames)
                else {
                    panic!("no frame")
                };
                seen.push(pixels(&frame));
                held.push(frame);
                held.drain(..held.len().saturating_sub(*holds));
            }
            seen
        };
        prop_assert!(run(Level::best(), false) == run(Level::Scalar, true));
    }
}

#[test]
fn during_every_transition_each_level_draws_the_same_and_all_that_changes() {
    let mut all = vec![transition(TransitionKind::FadeColor(color(1, 2, 3, 255)))];
    for direction in [Direction::Left, Direction::Right, Direction::Up, Direction::Down] {
        all.push(transition(TransitionKind::Slide(direction)));
        all.push(transition(TransitionKind::Push(direction)));
        all.push(wipe(WipeShape::Linear(direction), 0.2));
    }
    all.push(Transition { easing: Easing::EaseInOut, ..wipe(WipeShape::Clock, 0.0) });
    all.push(Transition { easing: Easing::EaseOut, ..wipe(WipeShape::Circle, 0.05) });
    for transition in all {
        let run = |level, redraw: bool| {
            let mut composer = Composer::with_scene(prepared(moving(0)), level);
            let frames = pool(W, H, 4);
            drop(composer.compose(&tick(0), &frames));
            composer.change(by(&transition, moving(70)));
            // Frames of several ages take turns.
            let mut held = Vec::new();
            let ticks = (20..=460).step_by(20).map(|ms| {
                if redraw {
                    composer.redraw_all();
                }
                let frame = match composer.compose(&tick(ms), &frames) {
                    Composed::Fresh(frame) | Composed::Same(frame) => frame,
                    Composed::NoFrame => panic!("no frame"),
                };
                held.push(frame.share());
                held.drain(..held.len().saturating_sub(2));
                pixels(&frame)
            });
            ticks.collect::<Vec<_>>()
        };
        let whole = run(Level::Scalar, true);
        assert!(run(Level::best(), false) == whole, "{transition:?}");
        assert!(run(Level::Scalar, false) == whole, "{transition:?}");
    }
}

#[test]
fn a_scene_that_has_taken_pictures_before_it_is_shown_begins_with_them() {
    let mut composer = composer(one_color(RED));
    let (frames, source) = (pool(W, H, 3), pool(64, 48, 2));
    drop(composer.compose(&tick(0), &frames));
    let mut next = prepared(vec![live("cam", (0, 0, 64, 48))]);
    let (mut sender, receiver) = channel(4, Bell::new());
    next.attach("cam", receiver).unwrap();
    assert!(!next.preroll(Micros(0), |_| true), "nothing has come");
    let shown = picture(&source, 1);
    let first = PictureEvent::Picture { frame: shown.share(), at: Micros::from_millis(5) };
    sender.push(first).unwrap();
    assert!(!next.preroll(Micros(0), |_| true), "nothing is due");
    assert!(!next.preroll(Micros::from_millis(10), |_| true), "nothing is there for later");
    assert!(next.preroll(Micros::from_millis(10), |name| name != "cam"), "nobody waits for it");
    let later = PictureEvent::Picture { frame: picture(&source, 2), at: Micros::from_millis(90) };
    sender.push(later).unwrap();
    assert!(next.preroll(Micros::from_millis(20), |_| true));
    composer.change(Change::cut(next));
    let frame = fresh(composer.compose(&tick(40), &frames));
    assert_eq!(at(&frame, 4, 2), at(&shown, 4, 2));
}

fn group(name: &str, place: (i32, i32, i32, i32), layers: Vec<Layer>) -> Layer {
    layer(name, Source::Group(Group { layers, arrangement: None }), place)
}

fn shown(layers: Vec<Layer>) -> FrozenFrame {
    fresh(composer(layers).compose(&tick(0), &pool(W, H, 1)))
}

#[test]
fn a_group_places_its_layers_in_its_box_and_cuts_them_off_there() {
    let red = layer("red", Source::Color(RED), (-10, 20, 200, 20));
    let frame = shown(vec![group("panel", (40, 10, 60, 60), vec![red])]);
    let ground = bytes(color(10, 20, 30, 255));
    assert_eq!([at(&frame, 40, 30), at(&frame, 98, 48)], [bytes(RED); 2]);
    for (x, y) in [(38, 30), (100, 30), (60, 28), (60, 50)] {
        assert_eq!(at(&frame, x, y), ground, "{x} {y}");
    }
}

#[test]
fn a_group_fades_as_one_so_that_what_is_hidden_in_it_stays_hidden() {
    let inside = vec![
        layer("under", Source::Color(BLUE), (0, 0, 60, 60)),
        layer("over", Source::Color(RED), (0, 0, 60, 60)),
    ];
    let frame = shown(vec![Layer { alpha: 128, ..group("panel", (40, 10, 60, 60), inside) }]);
    let ground = bytes(color(10, 20, 30, 255));
    for ((got, red), under) in at(&frame, 60, 30).into_iter().zip(bytes(RED)).zip(ground) {
        let exact = (f64::from(red) * 128.0 + f64::from(under) * 127.0) / 255.0;
        assert!((f64::from(got) - exact).abs() <= 1.0, "{got} {exact}");
    }
}

#[test]
fn what_is_not_visible_is_not_drawn_and_a_group_hides_its_layers() {
    let red = || layer("red", Source::Color(RED), (0, 0, 60, 60));
    let hidden = Layer { visible: false, ..group("panel", (40, 10, 60, 60), vec![red()]) };
    let frame = shown(vec![hidden, Layer { visible: false, ..red() }]);
    let ground = bytes(color(10, 20, 30, 255));
    assert_eq!([at(&frame, 60, 30), at(&frame, 4, 4)], [ground; 2]);
}

/// Resolves with two further scenes, `small` and `loop`, and these overlays.
fn with_others(layers: Vec<Layer>, overlays: &[Layer]) -> Result<ResolvedScene, Error> {
    let red = layer("red", Source::Color(RED), (0, 0, 80, 96));
    let small = Scene { background: BLUE, layers: vec![red], transition: None };
    let inner = layer("again", Source::Scene("loop".to_owned()), (0, 0, 80, 48));
    let circle = scene(vec![inner]);
    let find = |name: &str| match name {
        "small" => Some(&small),
        "loop" => Some(&circle),
        _ => None,
    };
    ResolvedScene::new(&scene(layers), size(W, H), overlays, &find)
}

fn inset(name: &str, place: (i32, i32, i32, i32)) -> Layer {
    layer("inset", Source::Scene(name.to_owned()), place)
}

#[test]
fn a_scene_inside_another_is_scaled_to_its_box_with_its_background() {
    let resolved = with_others(vec![inset("small", (40, 20, 80, 48))], &[]).unwrap();
    let prepared = PreparedScene::new(&resolved).unwrap();
    let mut composer = Composer::with_scene(prepared, Level::best());
    let frame = fresh(composer.compose(&tick(0), &pool(W, H, 1)));
    let ground = bytes(color(10, 20, 30, 255));
    assert_eq!([at(&frame, 40, 20), at(&frame, 78, 66)], [bytes(RED); 2]);
    assert_eq!([at(&frame, 80, 20), at(&frame, 118, 66)], [bytes(BLUE); 2]);
    assert_eq!([at(&frame, 38, 40), at(&frame, 120, 40), at(&frame, 80, 68)], [ground; 3]);
}

#[test]
fn overlays_are_above_the_scene_and_may_show_scenes_too() {
    let green = color(0, 255, 0, 255);
    let high = Layer { z: 9, ..layer("all", Source::Color(green), (0, 0, 160, 96)) };
    let resolved = with_others(vec![high], &[inset("small", (40, 20, 80, 48))]).unwrap();
    let names: Vec<_> = resolved.layers().iter().map(|it| it.name.clone()).collect();
    assert_eq!(names, ["all", "overlay/inset/", "overlay/inset/red"]);
    let prepared = PreparedScene::new(&resolved).unwrap();
    let mut composer = Composer::with_scene(prepared, Level::best());
    let frame = fresh(composer.compose(&tick(0), &pool(W, H, 1)));
    assert_eq!((at(&frame, 40, 20), at(&frame, 4, 4)), (bytes(RED), bytes(green)));
}

#[test]
fn overlays_stay_where_they_are_while_scenes_move_below_them() {
    let red = inset("small", (40, 20, 80, 48));
    let scene_with =
        |layers| PreparedScene::new(&with_others(layers, std::slice::from_ref(&red)).unwrap());
    let mut composer = Composer::with_scene(scene_with(Vec::new()).unwrap(), Level::best());
    let pool = pool(W, H, 3);
    let before = fresh(composer.compose(&tick(0), &pool));
    for kind in [TransitionKind::Push(Direction::Left), TransitionKind::FadeColor(RED)] {
        let moves = PreparedTransition::new(&transition(kind), size(W, H), None).unwrap();
        let next = layer("all", Source::Color(BLUE), (0, 0, 160, 96));
        composer.change(Change::new(scene_with(vec![next]).unwrap(), moves));
        for ms in [20, 200, 240, 600] {
            let frame = fresh(composer.compose(&tick(ms), &pool));
            for (x, y) in [(40, 20), (78, 66), (80, 20), (118, 66)] {
                assert_eq!(at(&frame, x, y), at(&before, x, y), "{ms}");
            }
        }
        while composer.take_retired().is_some() {}
    }
}

#[test]
fn scenes_in_a_circle_and_scenes_that_are_not_there_are_refused_with_the_way() {
    let told = |name| with_others(vec![inset(name, (0, 0, 80, 48))], &[]).unwrap_err();
    let circle = told("loop").to_string();
    assert!(circle.contains("\"inset/again\"") && circle.contains("loop > loop"), "{circle}");
    let missing = told("other").to_string();
    assert!(missing.contains("\"inset\"") && missing.contains("no scene \"other\""), "{missing}");
    let deep = (0..9).fold(layer("in", Source::TestCard, (0, 0, 9, 9)), |inside, _| {
        group("g", (0, 0, 90, 90), vec![inside])
    });
    assert!(resolved(vec![deep]).unwrap_err().to_string().contains("8 deep"));
    let many =
        |n: i32| (0..60).map(move |i| layer(&format!("{n} {i}"), Source::Flash, (i, n, 9, 9)));
    let groups = (0..5).map(|n| group(&format!("g{n}"), (0, 0, 90, 90), many(n).collect()));
    assert!(resolved(groups.collect()).unwrap_err().to_string().contains("256 layers"));
}

#[test]
fn an_arrangement_places_what_is_visible_of_a_group() {
    let red =
        |name: &str, visible| Layer { visible, ..layer(name, Source::Color(RED), (0, 0, 9, 9)) };
    let layers = vec![red("a", true), red("b", false), red("c", true)];
    let arrangement = Some(Arrangement {
        kind: ArrangementKind::Row,
        gap: 10,
        animate: Micros(0),
        easing: Easing::Linear,
    });
    let source = Source::Group(Group { layers, arrangement });
    let frame = shown(vec![layer("row", source, (0, 0, 160, 96))]);
    let ground = bytes(color(10, 20, 30, 255));
    let seen: Vec<_> = (0..80).filter(|x| at(&frame, 2 * x, 48) == bytes(RED)).collect();
    assert_eq!((seen[0], seen.len(), seen[seen.len() - 1]), (5, 64, 74), "{seen:?}");
    assert_eq!(at(&frame, 80, 48), ground);
}

#[test]
fn a_layer_of_a_group_mixes_with_the_group_alone() {
    let multiply = LayerStyle { blend: BlendMode::Multiply, ..LayerStyle::default() };
    let red = Layer { style: multiply, ..layer("red", Source::Color(RED), (0, 0, 60, 60)) };
    let below = layer("below", Source::Color(BLUE), (0, 0, 160, 96));
    let alone = shown(vec![below.clone(), group("g", (0, 0, 60, 60), vec![red.clone()])]);
    assert_eq!(at(&alone, 20, 20), bytes(RED));
    let mixed = shown(vec![below, red]);
    let black = bytes(color(0, 0, 0, 255));
    let apart = at(&mixed, 20, 20).into_iter().zip(black).map(|(a, b)| a.abs_diff(b)).max();
    assert!(apart <= Some(2), "{:?}", at(&mixed, 20, 20));
}
