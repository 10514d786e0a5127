//! Demo scene: shows at a glance that the node composes, keeps time and takes pictures.

use super::model::{Align, BuiltIn, Color, Layer, Scene, Source, TextBox, TextStyle};
use crate::media::{Rect, Size};

/// The public name of the stream that the demo scene shows.
pub const STREAM: &str = "live/studio";

/// Name of the layer that shows [`STREAM`].
pub const INPUT: &str = "studio";

/// The canvas that the numbers below are for. Others are scaled, and centred if their shape
/// differs.
const WIDTH: i32 = 1_920;
const HEIGHT: i32 = 1_080;

const WHITE: Color = Color { r: 244, g: 246, b: 252, a: 255 };
const MUTED: Color = Color { r: 142, g: 154, b: 184, a: 255 };
const ACCENT: Color = Color { r: 86, g: 180, b: 244, a: 255 };
const EDGE: Color = Color { r: 48, g: 56, b: 84, a: 255 };
const TOP: Color = Color { r: 24, g: 29, b: 52, a: 255 };
const BOTTOM: Color = Color { r: 8, g: 10, b: 20, a: 255 };

/// The demo's scenes with their names; the first is the one to begin with.
#[must_use]
pub fn scenes(size: Size) -> [(&'static str, Scene); 3] {
    [("main", scene(size)), ("starting", starting(size)), ("live", full(size))]
}

/// What is shown before the programme begins, and in its breaks.
fn starting(size: Size) -> Scene {
    let page = Page::new(size);
    let centred = |name: &str, place, text: &str, look| {
        let style = page.style(look, Align::Center);
        let source = Source::Text { text: text.to_owned(), style, text_box: TextBox::default() };
        page.at(place, page.layer(name, source))
    };
    let clock = Source::Clock(page.style((64, 600, WHITE), Align::Center).into());
    let layers = vec![
        Layer {
            place: size.rect().into(),
            ..page.layer("background", Source::Gradient(TOP, BOTTOM))
        },
        page.at((850, 150, 220, 220), page.layer("logo", Source::BuiltIn(BuiltIn::Logo))),
        centred("title", (160, 430, 1_600, 130), "Starting soon", (108, 700, WHITE)),
        centred("note", (160, 570, 1_600, 60), "We are almost there", (40, 400, MUTED)),
        page.at((910, 690, 100, 100), page.layer("spinner", Source::Spinner(ACCENT))),
        centred("clock label", (160, 880, 1_600, 36), "Time (UTC)", (28, 600, ACCENT)),
        page.at((160, 918, 1_600, 68), page.layer("clock", clock)),
    ];
    Scene { background: BOTTOM, layers, transition: None }
}

/// The live picture alone, with a small sign in a corner.
fn full(size: Size) -> Scene {
    let page = Page::new(size);
    let live = Source::Live {
        stream: STREAM.to_owned(),
        slate: "Waiting for a publisher".to_owned(),
        style: page.style((72, 600, WHITE), Align::Center),
    };
    let logo = page.at((1_768, 56, 96, 96), page.layer("logo", Source::BuiltIn(BuiltIn::Logo)));
    let layers = vec![
        Layer { place: size.rect().into(), ..page.layer(INPUT, live) },
        Layer { alpha: 200, ..logo },
    ];
    Scene { background: BOTTOM, layers, transition: None }
}

/// The demo scene for a canvas of `size`.
#[must_use]
pub fn scene(size: Size) -> Scene {
    let page = Page::new(size);
    let mut layers = vec![
        Layer {
            place: size.rect().into(),
            ..page.layer("background", Source::Gradient(TOP, BOTTOM))
        },
        page.at((72, 56, 84, 84), page.layer("logo", Source::BuiltIn(BuiltIn::Logo))),
        page.text("title", (184, 46, 1_000, 64), "Stream Manager", (54, 700, WHITE)),
        page.text(
            "subtitle",
            (186, 106, 1_000, 40),
            "Composed, encoded and served by one program",
            (30, 400, MUTED),
        ),
    ];
    layers.extend(page.input((72, 188, 1_344, 756)));
    layers.extend(page.column(size));
    layers.push(page.text(
        "caption",
        (72, 980, 1_344, 40),
        "Publish to live/studio with your stream key, and your picture appears above.",
        (30, 400, MUTED),
    ));
    Scene { background: BOTTOM, layers, transition: None }
}

/// The numbers of the design, on this canvas.
struct Page {
    /// Design pixels per canvas pixel, as a fraction.
    num: i64,
    den: i64,
    left: i32,
    top: i32,
}

impl Page {
    fn new(size: Size) -> Self {
        let canvas = size.rect();
        let by_width = i64::from(canvas.w) * i64::from(HEIGHT);
        let by_height = i64::from(canvas.h) * i64::from(WIDTH);
        let (num, den) = if by_width < by_height { (canvas.w, WIDTH) } else { (canvas.h, HEIGHT) };
        let (num, den) = (i64::from(num), i64::from(den));
        let mut page = Self { num, den, left: 0, top: 0 };
        page.left = (canvas.w - page.px(WIDTH)) / 2;
        page.top = (canvas.h - page.px(HEIGHT)) / 2;
        page
    }

    fn px(&self, v: i32) -> i32 {
        let scaled = (i64::from(v) * self.num * 2 + self.den).div_euclid(self.den * 2);
        i32::try_from(scaled).unwrap_or(v)
    }

    /// A box of the design on the canvas, with even edges.
    fn place(&self, (x, y, w, h): (i32, i32, i32, i32)) -> Rect {
        let (left, top) = (self.left + self.px(x), self.top + self.px(y));
        let (right, bottom) = (self.left + self.px(x + w), self.top + self.px(y + h));
        let near = |v: i32| (v + 1) & !1;
        let (x, y) = (near(left), near(top));
        Rect { x, y, w: (near(right) - x).max(2), h: (near(bottom) - y).max(2) }
    }

    #[expect(clippy::unused_self, reason = "reads as the other makers of layers do")]
    fn layer(&self, name: &str, source: Source) -> Layer {
        Layer::new(name, source)
    }

    fn at(&self, place: (i32, i32, i32, i32), layer: Layer) -> Layer {
        Layer { place: self.place(place).into(), ..layer }
    }

    fn style(&self, (size, weight, color): (i32, u16, Color), align: Align) -> TextStyle {
        #[expect(clippy::cast_precision_loss, reason = "sizes of letters are small")]
        let size = (i64::from(size) * self.num) as f32 / self.den as f32;
        TextStyle {
            font: None,
            fallback_fonts: Vec::new(),
            size: size.max(8.0),
            weight,
            color,
            align,
        }
    }

    fn text(
        &self,
        name: &str,
        place: (i32, i32, i32, i32),
        text: &str,
        look: (i32, u16, Color),
    ) -> Layer {
        let style = self.style(look, Align::Left);
        let source = Source::Text { text: text.to_owned(), style, text_box: TextBox::default() };
        self.at(place, self.layer(name, source))
    }

    /// The big box for the live picture, with a thin edge.
    fn input(&self, (x, y, w, h): (i32, i32, i32, i32)) -> [Layer; 2] {
        let inside = self.place((x, y, w, h));
        let edge = Rect { x: inside.x - 2, y: inside.y - 2, w: inside.w + 4, h: inside.h + 4 };
        let live = Source::Live {
            stream: STREAM.to_owned(),
            slate: "Waiting for a publisher".to_owned(),
            style: self.style((52, 600, WHITE), Align::Center),
        };
        [
            Layer { place: edge.into(), ..self.layer("edge", Source::Color(EDGE)) },
            Layer { place: inside.into(), ..self.layer(INPUT, live) },
        ]
    }

    /// The column on the right: time, canvas, and something that moves.
    fn column(&self, size: Size) -> Vec<Layer> {
        let clock = Source::Clock(self.style((64, 600, WHITE), Align::Left).into());
        let label = (28, 600, ACCENT);
        let line =
            |name: &str, y| self.at((1_476, y, 372, 2), self.layer(name, Source::Color(EDGE)));
        vec![
            self.text("clock label", (1_476, 184, 372, 36), "Time (UTC)", label),
            self.at((1_476, 222, 372, 68), self.layer("clock", clock)),
            line("line 1", 316),
            self.text("canvas label", (1_476, 344, 372, 36), "Canvas", label),
            self.text(
                "canvas",
                (1_476, 382, 372, 56),
                &format!("{} × {}", size.width(), size.height()),
                (48, 600, WHITE),
            ),
            line("line 2", 464),
            self.text("stream label", (1_476, 492, 372, 36), "Stream", label),
            self.text("stream", (1_476, 530, 372, 56), STREAM, (48, 600, WHITE)),
            self.at((1_476, 848, 96, 96), self.layer("spinner", Source::Spinner(ACCENT))),
            self.text("spinner label", (1_600, 856, 248, 44), "On air", (38, 600, WHITE)),
            self.text("spinner note", (1_600, 900, 280, 36), "one turn in 2 s", (28, 400, MUTED)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{PreparedScene, ResolvedScene};

    #[test]
    fn it_can_be_prepared_at_any_size_and_stays_on_the_canvas() {
        for (w, h) in [(1920, 1080), (1280, 720), (640, 360), (320, 180), (1080, 1920), (16, 16)] {
            let size = Size::new(w, h).unwrap();
            for (name, scene) in scenes(size) {
                let resolved = ResolvedScene::alone(&scene, size).unwrap();
                PreparedScene::new(&resolved).unwrap();
                if w >= 320 {
                    let inside =
                        scene.layers.iter().all(|l| size.rect().contains(l.place.on(size)));
                    assert!(inside, "{name} at {size}");
                }
            }
        }
    }
}
