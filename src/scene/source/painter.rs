//! Painter: a loaded source of any kind.

use image::RgbaImage;

use super::animation::Animation;
use super::clock::Clock;
use super::fill::{self, Fill};
use super::flash::Flash;
use super::frame_counter::FrameCounter;
use super::input::Input;
use super::loader::Loader;
use super::picture::Picture;
use super::spinner::Spinner;
use super::styled::styled;
use super::test_card::TestCard;
use super::ticker::Ticker;
use super::{gradient, pattern, picture, placeholder, text};
use crate::media::{Rect, caught};
use crate::scene::asset::Asset;
use crate::scene::canvas::{Canvas, Placed};
use crate::scene::damage::Damage;
use crate::scene::error::Error;
use crate::scene::model::{ClockSpec, Source, TextStyle};
use crate::scene::resolve::PlacedLayer;
use crate::scene::tick::Tick;

/// A loaded source.
#[derive(Debug)]
pub(in crate::scene) enum Painter {
    Fill(Fill),
    Still(Asset),
    Animation(Animation),
    Clock(Box<Clock>),
    Spinner(Spinner),
    Flash(Flash),
    TestCard(TestCard),
    FrameCounter(FrameCounter),
    Ticker(Box<Ticker>),
    Input(Input),
}

impl Painter {
    pub(in crate::scene) fn load(layer: &PlacedLayer, loader: &mut Loader) -> Result<Self, Error> {
        // What reads fonts and pictures is others' code, and what it reads may be anybody's.
        caught(|| Self::load_unguarded(layer, loader)).unwrap_or_else(|cause| {
            *loader = Loader::new(loader.canvas);
            Err(broken(layer, &cause))
        })
    }

    fn load_unguarded(layer: &PlacedLayer, loader: &mut Loader) -> Result<Self, Error> {
        Ok(match &layer.source {
            Source::Color(color) if layer.style.changes_picture() => {
                Self::Still(still(fill::image(layer.place, *color), layer, loader.canvas)?)
            }
            Source::Color(color) => match Fill::new(layer.place, *color) {
                Some(fill) => Self::Fill(fill),
                None => Self::Still(fill::still(layer.place, *color, loader.canvas)),
            },
            Source::Gradient(top, bottom) if layer.style.changes_picture() => {
                let image = gradient::image(layer.place, (*top, *bottom), layer.place);
                Self::Still(still(image, layer, loader.canvas)?)
            }
            Source::Gradient(top, bottom) => {
                Self::Still(gradient::load(layer.place, (*top, *bottom), loader.canvas))
            }
            Source::SmpteBars => {
                Self::Still(still(pattern::smpte_bars(layer.place), layer, loader.canvas)?)
            }
            Source::ZonePlate => {
                Self::Still(still(pattern::zone_plate(layer.place), layer, loader.canvas)?)
            }
            Source::FrameCounter => Self::FrameCounter(FrameCounter::new(layer.place)),
            Source::TestCard => Self::TestCard(TestCard::load(layer.place, loader.canvas)),
            Source::Image(path) => match picture::load(layer, path, loader.canvas)? {
                Picture::Still(asset) => Self::Still(asset),
                Picture::Animated(animation) => Self::Animation(animation),
            },
            Source::BuiltIn(name) => Self::Still(picture::built_in(layer, *name, loader.canvas)?),
            Source::Text { text, style, text_box } => {
                Self::Still(text::load(layer, text, (style, text_box), loader)?)
            }
            Source::Ticker(spec) => Self::Ticker(Box::new(Ticker::load(layer, spec, loader)?)),
            Source::Clock(spec) => Self::Clock(Box::new(Clock::load(layer, spec, loader)?)),
            Source::Spinner(color) => {
                Self::Spinner(Spinner::load(layer.place, *color, loader.canvas))
            }
            Source::Flash => Self::Flash(Flash::new(layer.place)),
            Source::Video { clip, at_end } => {
                let label = placeholder::labelled(layer, &clip.path, loader)?;
                Self::Input(Input::of_file(layer.place, loader.canvas, (label, *at_end)))
            }
            Source::Playlist { playlist, at_end } => {
                let label = placeholder::labelled(layer, playlist.place(), loader)?;
                Self::Input(Input::of_file(layer.place, loader.canvas, (label, *at_end)))
            }
            Source::Live { slate, style, .. } | Source::Network { slate, style, .. } => {
                let slate = text::slate(layer, slate, style, loader)?;
                Self::Input(Input::new(layer.place, loader.canvas, Some(slate)))
            }
            Source::Frames { slate, style, .. } => {
                let is_empty = slate.is_empty();
                let slate = (!is_empty).then(|| text::slate(layer, slate, style, loader));
                Self::Input(Input::of_program(layer.place, loader.canvas, slate.transpose()?))
            }
            Source::Group(_) | Source::Scene(_) => {
                let advice = "its layers are what can be loaded".to_owned();
                return Err(Error::Layer { layer: layer.name.clone(), advice });
            }
        })
    }

    /// The same as it was when it was loaded, which shares its pictures: nothing that has come in
    /// since is there.
    pub(in crate::scene) fn as_loaded(&self) -> Self {
        match self {
            Self::Fill(fill) => Self::Fill(fill.clone()),
            Self::Still(asset) => Self::Still(asset.clone()),
            Self::Animation(animation) => Self::Animation(animation.clone()),
            Self::Clock(clock) => Self::Clock(clock.clone()),
            Self::Spinner(spinner) => Self::Spinner(spinner.clone()),
            Self::Flash(flash) => Self::Flash(flash.clone()),
            Self::TestCard(card) => Self::TestCard(card.clone()),
            Self::FrameCounter(counter) => Self::FrameCounter(counter.clone()),
            Self::Ticker(ticker) => Self::Ticker(ticker.clone()),
            Self::Input(input) => Self::Input(input.as_loaded()),
        }
    }

    /// Moves to `tick` and adds what looks different now.
    pub(in crate::scene) fn update(&mut self, tick: &Tick, damage: &mut Damage) {
        match self {
            Self::Fill(_) | Self::Still(_) => {}
            Self::Animation(animation) => animation.update(tick, damage),
            Self::Clock(clock) => clock.update(tick, damage),
            Self::Spinner(spinner) => spinner.update(tick, damage),
            Self::Flash(flash) => flash.update(tick, damage),
            Self::TestCard(card) => card.update(tick, damage),
            Self::FrameCounter(counter) => counter.update(tick, damage),
            Self::Ticker(ticker) => ticker.update(tick, damage),
            Self::Input(input) => input.update(tick, damage),
        }
    }

    /// Draws what of it lies in `clip`, `opacity` of it.
    pub(in crate::scene) fn draw(&self, canvas: &mut Canvas<'_>, clip: Rect, opacity: u8) {
        match self {
            Self::Fill(fill) => fill.draw(canvas, clip, opacity),
            Self::Still(asset) => canvas.asset(asset, (0, 0), clip, opacity),
            Self::Animation(animation) => animation.draw(canvas, clip, opacity),
            Self::Clock(clock) => clock.draw(canvas, clip, opacity),
            Self::Spinner(spinner) => spinner.draw(canvas, clip, opacity),
            Self::Flash(flash) => flash.draw(canvas, clip, opacity),
            Self::TestCard(card) => card.draw(canvas, clip, opacity),
            Self::FrameCounter(counter) => counter.draw(canvas, clip, opacity),
            Self::Ticker(ticker) => ticker.draw(canvas, clip, opacity),
            Self::Input(input) => input.draw(canvas, clip, opacity),
        }
    }

    /// Where it may show anything now.
    pub(in crate::scene) fn bounds(&self) -> Rect {
        match self {
            Self::Fill(fill) => fill.rect(),
            Self::Still(asset) => asset.rect(),
            Self::Animation(animation) => animation.rect(),
            Self::Clock(clock) => clock.rect(),
            Self::Spinner(spinner) => spinner.rect(),
            Self::Flash(flash) => flash.rect(),
            Self::TestCard(card) => card.rect(),
            Self::FrameCounter(counter) => counter.rect(),
            Self::Ticker(ticker) => ticker.rect(),
            Self::Input(input) => input.bounds(),
        }
    }

    /// Where it hides everything below now; even edges.
    pub(in crate::scene) fn opaque(&self) -> Rect {
        match self {
            Self::Fill(fill) => fill.opaque(),
            Self::Still(asset) => asset.opaque_rect(),
            Self::Animation(animation) => animation.opaque(),
            Self::Clock(_) | Self::Spinner(_) | Self::Ticker(_) => Rect::default(),
            Self::Flash(flash) => flash.rect(),
            Self::TestCard(card) => card.rect(),
            Self::FrameCounter(counter) => counter.rect(),
            Self::Input(input) => input.opaque(),
        }
    }

    /// Bytes of the pictures that were made for it.
    pub(in crate::scene) fn cache_bytes(&self) -> usize {
        match self {
            Self::Fill(_) | Self::Flash(_) | Self::FrameCounter(_) => 0,
            Self::Still(asset) => asset.bytes(),
            Self::Animation(animation) => animation.assets().map(Asset::bytes).sum(),
            Self::Clock(clock) => clock.assets().map(Asset::bytes).sum(),
            Self::Spinner(spinner) => spinner.assets().map(Asset::bytes).sum(),
            Self::TestCard(card) => card.assets().map(Asset::bytes).sum(),
            Self::Ticker(ticker) => ticker.assets().map(Asset::bytes).sum(),
            Self::Input(input) => input.assets().map(Asset::bytes).sum(),
        }
    }

    /// The picture that it shows whole and alone, if it is one.
    pub(in crate::scene) fn whole_picture(&self) -> Option<Placed<'_>> {
        match self {
            Self::Input(input) => input.whole_picture(),
            _ => None,
        }
    }
}

/// A picture that fills its layer's box.
fn still(image: RgbaImage, layer: &PlacedLayer, canvas: Rect) -> Result<Asset, Error> {
    let at = (layer.place.x, layer.place.y);
    if layer.style.changes_picture() {
        return styled(image, at, layer, canvas);
    }
    Ok(Asset::new(&image, at, layer.place.intersect(canvas)))
}

/// The layer in the built-in font, if its own cannot be had, or a labelled box in place of its
/// picture.
pub(in crate::scene) fn stand_in(
    layer: &PlacedLayer,
    fault: &Error,
    loader: &mut Loader,
) -> Result<Painter, Error> {
    match fault {
        Error::File { path, .. } => Ok(Painter::Still(placeholder::labelled(layer, path, loader)?)),
        _ => Painter::load(&with_built_in_font(layer), loader),
    }
}

/// The fault of a layer whose file or font made its reader panic.
fn broken(layer: &PlacedLayer, cause: &str) -> Error {
    let (name, cause) = (layer.name.clone(), format!("it cannot be read: {cause}"));
    match &layer.source {
        Source::Image(path) => Error::File { layer: name, path: path.clone(), cause },
        source => {
            let style = source.text_style();
            let named = style
                .and_then(|style| style.font.as_ref().or_else(|| style.fallback_fonts.first()));
            match named {
                Some(font) => Error::Font { layer: name, font: font.clone(), cause },
                None => Error::Layer { layer: name, advice: cause },
            }
        }
    }
}

fn forget_fonts(style: &mut TextStyle) {
    style.font = None;
    style.fallback_fonts.clear();
}

fn with_built_in_font(layer: &PlacedLayer) -> PlacedLayer {
    let mut layer = layer.clone();
    match &mut layer.source {
        Source::Text { style, .. }
        | Source::Live { style, .. }
        | Source::Network { style, .. }
        | Source::Frames { style, .. }
        | Source::Clock(ClockSpec { style, .. }) => forget_fonts(style),
        Source::Ticker(spec) => forget_fonts(&mut spec.style),
        _ => {}
    }
    layer
}
