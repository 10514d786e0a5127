//! Layer sources. Each is loaded once, says at every tick what changed, and draws any part of
//! itself on demand. After loading none of them allocates.

mod animation;
mod avif;
mod clock;
mod fill;
mod flash;
mod frame_counter;
mod gradient;
mod input;
mod loader;
mod painter;
mod pattern;
mod picture;
mod placeholder;
mod spinner;
mod styled;
mod svg;
mod test_card;
mod text;
mod ticker;

pub(super) use input::{Input, InputState};
pub(super) use loader::Loader;
pub(super) use painter::{Painter, stand_in};
pub use picture::preview;
pub(super) use picture::read as read_image;
pub(super) use styled::covered;
