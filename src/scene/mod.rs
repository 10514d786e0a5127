//! Scenes: prepared once, then composed into frames tick by tick, in planar YUV from the first byte
//! to the last.

#![deny(unsafe_code)]

mod asset;
mod asset_cache;
mod bind;
mod canvas;
mod change;
mod color;
mod compose;
mod damage;
pub mod demo;
mod direction;
mod error;
mod fallback;
mod file_stamp;
mod fonts;
mod inner_scenes;
mod input_key;
pub mod kernel;
mod keyframes;
mod layer_motion;
mod layer_style;
mod layers;
pub mod layout;
mod mixing;
mod model;
mod motion;
mod needed_file;
mod position;
mod prepare;
mod resample;
mod resolve;
mod reuse;
mod scale;
mod scaled_source;
mod snapshot;
mod source;
mod stinger;
mod surface;
mod tick;
pub mod time_format;
mod transition;
mod wipe_mask;

pub use asset_cache::AssetCache;
pub use change::{Change, PreparedTransition, Retired};
pub use compose::{Composed, Composer, RETIRED_MAX};
pub use damage::Damage;
pub use error::Error;
pub use file_stamp::FileStamp;
pub use fonts::check_font;
pub use input_key::{InputKey, InputSource};
pub use keyframes::{Animation, KEYFRAME_AT_MAX, KEYFRAMES_MAX, Keyframe};
pub use layer_motion::LayerMotion;
pub use layer_style::{BlendMode, Border, ChromaKey, Flip, LayerStyle, Shadow};
pub use model::{
    Align, Arrangement, ArrangementKind, AtEnd, BuiltIn, ClockSpec, Color, DataSource, Direction,
    FALLBACK_FONTS_MAX, Fit, Group, HttpDocument, LAYERS_MAX, Layer, Outline, Overflow, Scene,
    Source, TextBox, TextStyle, TickerSpec, VerticalAlign, Warm, single_layers,
};
pub use position::{Anchor, Length, Position};
pub use prepare::PreparedScene;
pub use resolve::{PlacedLayer, ResolvedScene};
pub use scale::Scaler;
pub use snapshot::snapshot;
pub use source::preview;
pub use tick::Tick;
pub use transition::{Easing, Transition, TransitionKind, WipeShape};
