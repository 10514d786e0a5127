//! Layer sources. Each is loaded once, says at every tick what changed, and draws any part of
//! itself on demand. After loading none of them allocates.

mod clock;
mod fill;
mod flash;
mod gradient;
mod input;
mod picture;
mod placeholder;
mod spinner;
mod test_card;
mod text;

use clock::Clock;
use fill::Fill;
use flash::Flash;
pub(super) use input::{Feed, Input};
pub(super) use placeholder::stand_in;
use spinner::Spinner;
use test_card::TestCard;

use super::asset::Asset;
use super::canvas::{Canvas, Placed};
use super::damage::Damage;
use super::error::Error;
use super::fonts::Fonts;
use super::model::{Layer, Source};
use super::tick::Tick;
use crate::media::Rect;

/// What loading needs besides the layer itself.
#[derive(Debug)]
pub(super) struct Loader {
    /// Found when the first letters are needed.
    fonts: Option<Fonts>,
    /// The canvas; nothing outside it is kept.
    canvas: Rect,
}

impl Loader {
    pub(super) const fn new(canvas: Rect) -> Self {
        Self { fonts: None, canvas }
    }

    fn fonts(&mut self) -> &mut Fonts {
        self.fonts.get_or_insert_with(Fonts::new)
    }
}

/// A loaded source.
#[derive(Debug)]
pub(super) enum Painter {
    Fill(Fill),
    Still(Asset),
    Clock(Clock),
    Spinner(Spinner),
    Flash(Flash),
    TestCard(TestCard),
    Input(Input),
}

impl Painter {
    pub(super) fn load(layer: &Layer, loader: &mut Loader) -> Result<Self, Error> {
        Ok(match &layer.source {
            Source::Color(color) => fill::load(layer.place, *color, loader.canvas),
            Source::Gradient(top, bottom) => {
                Self::Still(gradient::load(layer.place, (*top, *bottom), loader.canvas))
            }
            Source::TestCard => Self::TestCard(TestCard::load(layer.place, loader.canvas)),
            Source::Image(path) => Self::Still(picture::load(layer, path, loader.canvas)?),
            Source::BuiltIn(name) => Self::Still(picture::built_in(layer, *name, loader.canvas)?),
            Source::Text { text, style } => Self::Still(text::load(layer, text, style, loader)?),
            Source::Clock(style) => Self::Clock(Clock::load(layer, style, loader)?),
            Source::Spinner(color) => {
                Self::Spinner(Spinner::load(layer.place, *color, loader.canvas))
            }
            Source::Flash => Self::Flash(Flash::new(layer.place)),
            Source::Video(path) => {
                let label = placeholder::labelled(layer, path, loader)?;
                Self::Input(Input::of_file(layer.place, loader.canvas, label))
            }
            Source::Live { slate, style, .. } => {
                let slate = text::slate(layer, slate, style, loader)?;
                Self::Input(Input::new(layer.place, loader.canvas, Some(slate)))
            }
        })
    }

    /// Moves to `tick` and adds what looks different now.
    pub(super) fn update(&mut self, tick: &Tick, damage: &mut Damage) {
        match self {
            Self::Fill(_) | Self::Still(_) => {}
            Self::Clock(clock) => clock.update(tick, damage),
            Self::Spinner(spinner) => spinner.update(tick, damage),
            Self::Flash(flash) => flash.update(tick, damage),
            Self::TestCard(card) => card.update(tick, damage),
            Self::Input(input) => input.update(tick, damage),
        }
    }

    /// Draws what of it lies in `clip`, `opacity` of it.
    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, clip: Rect, opacity: u8) {
        match self {
            Self::Fill(fill) => fill.draw(canvas, clip, opacity),
            Self::Still(asset) => canvas.asset(asset, (0, 0), clip, opacity),
            Self::Clock(clock) => clock.draw(canvas, clip, opacity),
            Self::Spinner(spinner) => spinner.draw(canvas, clip, opacity),
            Self::Flash(flash) => flash.draw(canvas, clip, opacity),
            Self::TestCard(card) => card.draw(canvas, clip, opacity),
            Self::Input(input) => input.draw(canvas, clip, opacity),
        }
    }

    /// Where it may show anything now.
    pub(super) fn bounds(&self) -> Rect {
        match self {
            Self::Fill(fill) => fill.rect(),
            Self::Still(asset) => asset.rect(),
            Self::Clock(clock) => clock.rect(),
            Self::Spinner(spinner) => spinner.rect(),
            Self::Flash(flash) => flash.rect(),
            Self::TestCard(card) => card.rect(),
            Self::Input(input) => input.bounds(),
        }
    }

    /// Where it hides everything below now; even edges.
    pub(super) fn opaque(&self) -> Rect {
        match self {
            Self::Fill(fill) => fill.opaque(),
            Self::Still(asset) => asset.opaque_rect(),
            Self::Clock(_) | Self::Spinner(_) => Rect::default(),
            Self::Flash(flash) => flash.rect(),
            Self::TestCard(card) => card.rect(),
            Self::Input(input) => input.opaque(),
        }
    }

    /// The picture that it shows whole and alone, if it is one.
    pub(super) fn whole_picture(&self) -> Option<Placed<'_>> {
        match self {
            Self::Input(input) => input.whole_picture(),
            _ => None,
        }
    }
}
