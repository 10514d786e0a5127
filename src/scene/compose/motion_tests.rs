//! Layers that are shown, hidden, animated and arranged anew: what is drawn of them at each tick.

use super::*;
use crate::media::{Micros, Rect};
use crate::scene::change::PreparedTransition;
use crate::scene::keyframes::{Animation, Keyframe};
use crate::scene::layer_motion::LayerMotion;
use crate::scene::layer_style::{BlendMode, LayerStyle, Shadow};
use crate::scene::model::{Arrangement, ArrangementKind, Color, Direction, Group, Layer, Source};
use crate::scene::position::Length;
use crate::scene::transition::{Easing, Transition, TransitionKind, WipeShape};

const WHITE: Color = Color { r: 255, g: 255, b: 255, a: 255 };
const BLACK: Color = Color { r: 0, g: 0, b: 0, a: 255 };

/// The box of a layer that is shown, and a pixel in its middle.
const PLACE: (i32, i32, i32, i32) = (21, 11, 64, 48);
const MIDDLE: (usize, usize) = (52, 34);

fn size() -> Size {
    Size::new(160, 96).unwrap()
}

fn ms(ms: u64) -> Micros {
    Micros::from_millis(ms)
}

fn layer(name: &str, source: Source, (x, y, w, h): (i32, i32, i32, i32)) -> Layer {
    Layer { place: Rect { x, y, w, h }.into(), ..Layer::new(name, source) }
}

fn prepared(layers: Vec<Layer>) -> PreparedScene {
    let scene = Scene { background: BLACK, layers, transition: None };
    PreparedScene::new(&ResolvedScene::alone(&scene, size()).unwrap()).unwrap()
}

fn wipe(shape: WipeShape) -> TransitionKind {
    TransitionKind::Wipe { shape, softness: 0.1 }
}

/// A composer with a pool, and the tick that comes next.
struct Bench {
    composer: Composer,
    pool: Pool,
    n: u64,
}

impl Bench {
    fn new(layers: Vec<Layer>) -> Self {
        let composer = Composer::with_scene(prepared(layers), Level::best());
        let pool = Pool::new(Geometry::new(size(), PixelFormat::I420), 4).unwrap();
        Self { composer, pool, n: 0 }
    }

    fn cut(&mut self, layers: Vec<Layer>) {
        self.composer.change(Change::cut(prepared(layers)));
    }

    /// The picture of the next tick, 20 ms after the last.
    fn tick(&mut self) -> FrozenFrame {
        let at = ms(20 * self.n);
        let tick = Tick { n: self.n, at, programme: at, unix_ms: 0 };
        self.n += 1;
        let composed = self.composer.compose(&tick, &self.pool);
        while self.composer.take_retired().is_some() {}
        match composed {
            Composed::Fresh(frame) | Composed::Same(frame) => frame,
            Composed::NoFrame => panic!("no frame"),
        }
    }

    /// The luma of a pixel at each of the next ticks.
    fn lumas(&mut self, ticks: usize, at: (usize, usize)) -> Vec<u8> {
        (0..ticks).map(|_| luma(&self.tick(), at)).collect()
    }
}

fn luma(frame: &FrozenFrame, (x, y): (usize, usize)) -> u8 {
    frame.plane(0)[y * frame.geometry().planes()[0].stride + x]
}

/// The first and the last pixel of a row that is lit, and one more.
fn lit(frame: &FrozenFrame, y: usize) -> (usize, usize) {
    let is_lit = |x: &usize| luma(frame, (*x, y)) > 100;
    let lit: Vec<_> = (0..160).filter(is_lit).collect();
    lit.first().zip(lit.last()).map_or((0, 0), |(first, last)| (*first, last + 1))
}

fn pixels(frame: &FrozenFrame) -> Vec<u8> {
    let planes = frame.geometry().planes().iter().enumerate();
    let rows = planes.flat_map(|(index, plane)| {
        frame.plane(index).chunks(plane.stride).map(|row| &row[..plane.width])
    });
    rows.flatten().copied().collect()
}

/// A white box that comes and goes like this within 200 ms.
fn boxed(kind: TransitionKind, visible: bool) -> Layer {
    let way = Transition { kind, ..Transition::fade(ms(200)) };
    let motion = LayerMotion { show: Some(way.clone()), hide: Some(way), animation: None };
    Layer { visible, motion, ..layer("box", Source::Color(WHITE), PLACE) }
}

fn arranged(count: usize, hidden: Option<usize>, animate: u64) -> Layer {
    let layers = (0..count).map(|n| {
        let fade = Some(Transition::fade(ms(100)));
        let motion = LayerMotion { show: fade.clone(), hide: fade, animation: None };
        let layer = Layer::new(&format!("child {n}"), Source::Color(WHITE));
        Layer { visible: hidden != Some(n), motion, ..layer }
    });
    let arrangement = Arrangement {
        kind: ArrangementKind::Row,
        gap: 0,
        animate: ms(animate),
        easing: Easing::Linear,
    };
    let group = Group { layers: layers.collect(), arrangement: Some(arrangement) };
    layer("row", Source::Group(group), (0, 0, 120, 40))
}

fn animated(keyframes: Vec<Keyframe>, is_loop: bool, of: Layer) -> Layer {
    let animation = Some(Animation { keyframes, is_loop });
    Layer { motion: LayerMotion { animation, ..of.motion.clone() }, ..of }
}

/// A box that moves, grows and fades without end.
fn busy() -> Layer {
    let keyframes = vec![
        Keyframe { at: ms(0), x: Some(Length::Pixels(-20)), ..Keyframe::default() },
        Keyframe { at: ms(100), w: Some(Length::Pixels(20)), ..Keyframe::default() },
        Keyframe { at: ms(200), alpha: Some(90), easing: Easing::EaseIn, ..Keyframe::default() },
        Keyframe { at: ms(300), x: Some(Length::Percent(80_000)), ..Keyframe::default() },
        Keyframe {
            at: ms(380),
            w: Some(Length::Percent(130_000)),
            alpha: Some(255),
            ..Keyframe::default()
        },
    ];
    let shadow = Some(Shadow { x: 3, y: 3, blur: 4, color: BLACK });
    let style = LayerStyle { shadow, ..LayerStyle::default() };
    animated(keyframes, true, Layer { style, ..layer("busy", Source::Color(WHITE), PLACE) })
}

#[test]
fn what_moves_is_drawn_piece_by_piece_as_it_is_drawn_whole() {
    let directions = [Direction::Left, Direction::Right, Direction::Up, Direction::Down];
    let mut ways: Vec<_> = directions.into_iter().map(TransitionKind::Slide).collect();
    ways.extend([TransitionKind::Fade, TransitionKind::Cut, wipe(WipeShape::Circle)]);
    for kind in ways {
        let scene = |visible: bool| {
            let inside = vec![
                layer("spinner", Source::Spinner(WHITE), (3, 3, 40, 30)),
                Layer { z: 1, ..layer("flash", Source::Flash, (50, 10, 9, 9)) },
            ];
            let group = Source::Group(Group { layers: inside, arrangement: None });
            let group =
                Layer { source: group, name: "group".to_owned(), ..boxed(kind.clone(), visible) };
            let style = LayerStyle { blend: BlendMode::Screen, ..LayerStyle::default() };
            vec![
                layer("card", Source::TestCard, (0, 0, 160, 96)),
                Layer { style, ..group },
                Layer { z: 2, ..busy() },
                Layer { z: 3, ..arranged(3, visible.then_some(1), 150) },
            ]
        };
        let (mut pieces, mut whole) = (Bench::new(scene(false)), Bench::new(scene(false)));
        for tick in 0..60 {
            if tick % 15 == 5 {
                let layers = scene(tick % 30 == 5);
                pieces.cut(layers.clone());
                whole.cut(layers);
            }
            whole.composer.redraw_all();
            let same = pixels(&pieces.tick()) == pixels(&whole.tick());
            assert!(same, "{kind:?} at {tick}");
        }
    }
}

#[test]
fn a_layer_is_shown_and_hidden_by_its_transitions_and_only_there_is_drawn() {
    for kind in [
        TransitionKind::Fade,
        TransitionKind::Slide(Direction::Left),
        TransitionKind::Push(Direction::Down),
        wipe(WipeShape::Linear(Direction::Right)),
    ] {
        // It may get its transitions with the change.
        let plain = Layer { motion: LayerMotion::default(), ..boxed(kind.clone(), false) };
        let mut bench = Bench::new(vec![plain]);
        assert_eq!(luma(&bench.tick(), MIDDLE), 16);
        for (visible, end) in [(true, 235), (false, 16)] {
            bench.cut(vec![boxed(kind.clone(), visible)]);
            bench.tick();
            let mut lumas = Vec::new();
            for _ in 0..10 {
                let area = 66 * 50;
                lumas.push(luma(&bench.tick(), MIDDLE));
                // The layer's own surface, and the canvas.
                assert!(bench.composer.drawn() <= 2 * area, "{}", bench.composer.drawn());
            }
            let begin = 251 - end;
            assert!(lumas[0].abs_diff(begin) < 30 && lumas[9] == end, "{kind:?}: {lumas:?}");
            assert!(lumas.is_sorted() || lumas.iter().rev().is_sorted(), "{lumas:?}");
            bench.tick();
            assert_eq!(bench.composer.drawn(), 0, "and then nothing changes");
        }
    }
}

#[test]
fn what_has_come_half_of_its_way_goes_back_from_there() {
    let mut bench = Bench::new(vec![boxed(TransitionKind::Fade, false)]);
    bench.tick();
    bench.cut(vec![boxed(TransitionKind::Fade, true)]);
    let shown = bench.lumas(6, MIDDLE);
    // Another layer changes meanwhile.
    let other = layer("other", Source::Color(WHITE), (100, 0, 20, 20));
    bench.cut(vec![boxed(TransitionKind::Fade, true), other]);
    let more = bench.lumas(1, MIDDLE);
    bench.cut(vec![boxed(TransitionKind::Fade, false)]);
    let hidden = bench.lumas(9, MIDDLE);
    assert!(shown.is_sorted() && shown[5] > 100 && shown[5] < 150, "{shown:?}");
    assert!(more[0] > shown[5] && more[0] < 180, "{more:?}");
    assert!(hidden[0].abs_diff(more[0]) < 4, "{more:?} {hidden:?}");
    assert!(hidden.iter().rev().is_sorted() && hidden[8] == 16, "{hidden:?}");
}

#[test]
fn during_a_transition_of_the_scene_its_layers_do_not_come_by_their_own() {
    let mut bench = Bench::new(vec![boxed(wipe(WipeShape::Clock), false)]);
    bench.tick();
    let transition = PreparedTransition::new(&Transition::fade(ms(100)), size(), None).unwrap();
    let next = prepared(vec![boxed(wipe(WipeShape::Clock), true)]);
    bench.composer.change(Change::new(next, transition));
    let edge = (23, 13);
    let lumas = bench.lumas(7, edge);
    assert!(lumas[1] > 30 && lumas[1] < 100 && lumas[6] == 235, "{lumas:?}");
}

#[test]
fn keyframes_move_and_scale_a_layer_from_when_it_comes() {
    let keyframes = vec![
        Keyframe { at: ms(0), x: Some(Length::Pixels(0)), ..Keyframe::default() },
        Keyframe {
            at: ms(100),
            x: Some(Length::Pixels(20)),
            w: Some(Length::Pixels(40)),
            ..Keyframe::default()
        },
        Keyframe { at: ms(200), w: Some(Length::Pixels(80)), ..Keyframe::default() },
    ];
    let of = |visible, name: &str| {
        let of = layer(name, Source::Color(WHITE), (0, 0, 40, 40));
        vec![animated(keyframes.clone(), false, Layer { visible, ..of })]
    };
    let mut bench = Bench::new(of(false, "a"));
    bench.tick();
    bench.tick();
    bench.cut(of(true, "a"));
    let seen: Vec<_> = (0..12).map(|_| lit(&bench.tick(), 20)).collect();
    assert_eq!((seen[0], seen[5], seen[10], seen[11]), ((0, 40), (20, 60), (20, 100), (20, 100)));
    let (from, to) = seen[2];
    assert!(from == 8 && to == 48, "{seen:?}");
    // A change of another layer lets it go on, and one of its keyframes begins them again.
    bench.cut([of(true, "a"), vec![layer("b", Source::Flash, (0, 80, 8, 8))]].concat());
    assert_eq!(lit(&bench.tick(), 20), (20, 100));
    bench.cut(of(true, "c"));
    assert_eq!(lit(&bench.tick(), 20), (0, 40));
}

#[test]
fn layers_of_a_layout_move_to_their_new_places_and_one_that_goes_fades_where_it_was() {
    let mut bench = Bench::new(vec![arranged(2, None, 200)]);
    let begin = bench.tick();
    assert_eq!((lit(&begin, 20), luma(&begin, (59, 20))), ((0, 120), 235));
    bench.cut(vec![arranged(2, Some(1), 200)]);
    let frames: Vec<_> = (0..11).map(|_| bench.tick()).map(|frame| lit(&frame, 20)).collect();
    // The second half fades within 100 ms, and the first child grows over it within 200.
    assert_eq!((frames[0], frames[10]), ((0, 120), (0, 120)));
    assert!((80..=100).contains(&frames[6].1), "{frames:?}");
    bench.cut(vec![arranged(2, None, 200)]);
    let frames: Vec<_> = (0..11).map(|_| bench.tick()).map(|frame| lit(&frame, 20)).collect();
    assert!(frames.iter().all(|(from, _)| *from == 0) && frames[10].1 == 120, "{frames:?}");
}

#[test]
fn a_layer_that_moves_may_be_larger_than_the_canvas_but_not_by_much() {
    let of = |w, h| {
        let wide = layer("wide", Source::Color(WHITE), (-20, 0, w, h));
        let keyframe = Keyframe { alpha: Some(128), ..Keyframe::default() };
        let scene = Scene {
            background: BLACK,
            layers: vec![animated(vec![keyframe], false, wide)],
            transition: None,
        };
        ResolvedScene::alone(&scene, size())
    };
    let prepared = PreparedScene::new(&of(600, 96).unwrap()).unwrap();
    let mut bench = Bench::new(Vec::new());
    bench.tick();
    bench.composer.change(Change::cut(prepared));
    let half = luma(&bench.tick(), MIDDLE);
    assert!((120..=130).contains(&half), "{half}");
    let refused = of(600, 200).unwrap_err().to_string();
    assert!(refused.contains("\"wide\"") && refused.contains("4 times"), "{refused}");
}

#[test]
fn what_moves_is_at_the_same_place_at_another_size() {
    let scene = |visible| {
        let layers = vec![boxed(TransitionKind::Slide(Direction::Left), visible), busy()];
        Scene { background: BLACK, layers, transition: None }
    };
    let onto = Size::new(320, 192).unwrap();
    let drawn = |visible, onto| {
        let resolved = ResolvedScene::onto(&scene(visible), (size(), onto), &[], &|_| None);
        PreparedScene::new(&resolved.unwrap()).unwrap()
    };
    let mut bench = Bench::new(scene(false).layers);
    let mut twice = Bench {
        composer: Composer::with_scene(drawn(false, onto), Level::best()),
        pool: Pool::new(Geometry::new(onto, PixelFormat::I420), 4).unwrap(),
        n: 0,
    };
    for tick in 0..30 {
        if tick == 5 {
            bench.cut(scene(true).layers);
            twice.composer.change(Change::cut(drawn(true, onto)));
        }
        let (once, twice) = (bench.tick(), twice.tick());
        let differs = |x: usize, y: usize| {
            let (a, b) = (luma(&once, (x, y)), luma(&twice, (2 * x, 2 * y)));
            usize::from(a.abs_diff(b) > 40)
        };
        let all = (0..96).flat_map(|y| (0..160).map(move |x| (x, y)));
        let others: usize = all.map(|(x, y)| differs(x, y)).sum();
        // Edges are up to two pixels apart, on boxes that are 48 high.
        assert!(others < 4 * 48 * 4, "{others} at {tick}");
    }
}
