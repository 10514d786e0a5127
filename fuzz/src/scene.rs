//! Scenes, as much of them as decoders scale pictures by.

#[path = "../../src/scene/color.rs"]
mod color;
#[path = "../../src/scene/kernel/mod.rs"]
pub mod kernel;
#[path = "../../src/scene/layer_style.rs"]
pub mod layer_style;
