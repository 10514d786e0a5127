//! Scenes: prepared once, then composed into frames tick by tick, in planar YUV from the first byte
//! to the last.

#![deny(unsafe_code)]

mod asset;
mod canvas;
mod color;
mod compose;
mod damage;
pub mod demo;
mod error;
mod fonts;
pub mod kernel;
pub mod layout;
mod model;
mod prepare;
mod scale;
mod snapshot;
mod source;
mod tick;
mod transition;

pub use compose::{Composed, Composer, RETIRED_MAX};
pub use damage::Damage;
pub use error::Error;
pub use model::{
    Align, BuiltIn, Color, Direction, Fit, LAYERS_MAX, Layer, Scene, Source, TextStyle, TickerSpec,
};
pub use prepare::{InputKey, PreparedScene};
pub use scale::Scaler;
pub use snapshot::snapshot;
pub use tick::Tick;
pub use transition::{Change, Retired};
