//! Scene errors. The caller keeps the scene it has.

use std::fmt;
use std::path::PathBuf;

use super::model::{DRAWN_LAYERS_MAX, LAYERS_MAX};

/// Why a scene cannot be shown, and what its author should do. The caller keeps the scene it has.
#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    /// More layers than [`LAYERS_MAX`].
    Layers(usize),
    /// Two layers share a name.
    Duplicate(String),
    /// More layers than [`DRAWN_LAYERS_MAX`], with those of groups, inner scenes and overlays.
    Drawn,
    /// A scene shows itself, by way of others.
    Circle {
        /// The layer that closes the circle.
        layer: String,
        /// The scenes from the outermost on.
        way: String,
    },
    /// A layer shows a scene that its channel does not have.
    NoScene {
        /// The layer's name.
        layer: String,
        /// The scene's.
        scene: String,
    },
    /// A layer asks for something that no layer can have.
    Layer {
        /// The layer's name.
        layer: String,
        /// What is wrong and what would be right.
        advice: String,
    },
    /// A file that a layer shows cannot be used.
    File {
        /// The layer's name.
        layer: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A document that a text is bound to cannot be fetched.
    Document {
        /// The layer's name.
        layer: String,
        /// Its address, without secrets.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A file of a transition cannot be used.
    Transition {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// There is no memory for what a transition needs.
    Memory(String),
    /// The letters of a layer cannot be drawn.
    Font {
        /// The layer's name.
        layer: String,
        /// The family or file asked for.
        font: String,
        /// What is wrong with it.
        cause: String,
    },
}

impl Error {
    /// The layer that it is about, if it is about one.
    #[must_use]
    pub fn layer(&self) -> Option<&str> {
        match self {
            Self::Layers(_) | Self::Drawn | Self::Transition { .. } | Self::Memory(_) => None,
            Self::Duplicate(layer)
            | Self::Circle { layer, .. }
            | Self::NoScene { layer, .. }
            | Self::Layer { layer, .. }
            | Self::File { layer, .. }
            | Self::Document { layer, .. }
            | Self::Font { layer, .. } => Some(layer),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layers(count) => {
                write!(f, "the scene has {count} layers; keep it to {LAYERS_MAX}")
            }
            Self::Drawn => write!(
                f,
                "the scene has more than {DRAWN_LAYERS_MAX} layers, with those of its groups, of \
                 the scenes inside it and of the overlays; take some out"
            ),
            Self::Circle { layer, way } => write!(
                f,
                "layer \"{layer}\": the scenes show each other in a circle: {way}; take one of \
                 these layers out"
            ),
            Self::NoScene { layer, scene } => write!(
                f,
                "layer \"{layer}\": the channel has no scene \"{scene}\"; add it first, or name \
                 another"
            ),
            Self::Duplicate(name) => {
                write!(f, "two layers are called \"{name}\"; give each its own name")
            }
            Self::Layer { layer, advice } => write!(f, "layer \"{layer}\": {advice}"),
            Self::File { layer, path, cause } => write!(
                f,
                "layer \"{layer}\": cannot show {}: {cause}; check the path and the file",
                path.display()
            ),
            Self::Document { layer, url, cause } => write!(
                f,
                "layer \"{layer}\": cannot fetch {url}: {cause}; check the address and the server"
            ),
            Self::Transition { path, cause } => write!(
                f,
                "`transition`: cannot use {}: {cause}; check the path and the file",
                path.display()
            ),
            Self::Memory(cause) => {
                write!(f, "there is no memory for the transition: {cause}; try a cut")
            }
            Self::Font { layer, font, cause } => write!(
                f,
                "layer \"{layer}\": no font \"{font}\": {cause}; install it (`fc-list` shows what \
                 is there), name a font file by its path, or leave `font` out for the one inside \
                 the program"
            ),
        }
    }
}

impl std::error::Error for Error {}
