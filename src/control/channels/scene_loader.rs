//! Scene loader: what scenes of all channels are loaded with.

use serde_json::Value;

use crate::config::LimitsConfig;
use crate::control::channels::bound_text::BoundText;
use crate::scene::{self, AssetCache, PreparedScene, ResolvedScene};

/// What texts are bound to, and sources that are loaded already.
#[derive(Debug)]
pub(crate) struct SceneLoader {
    pub(crate) data: BoundText,
    pub(crate) assets: AssetCache,
}

impl SceneLoader {
    /// With a cache of at most so many bytes.
    pub(crate) fn new(cache_bytes: usize) -> Self {
        Self { data: BoundText::default(), assets: AssetCache::new(cache_bytes) }
    }

    /// With a cache as a node has by default, and these documents as if they had been pushed.
    pub(crate) fn with_documents(documents: impl IntoIterator<Item = (String, Value)>) -> Self {
        let loader = Self::default();
        for (name, document) in documents {
            if let Err(fault) = loader.data.push(&name, Some(document)) {
                tracing::warn!("document {name}: {fault}");
            }
        }
        loader
    }

    /// Loads a scene with the present values of its texts. What is wrong with their files is told
    /// beside what else is wrong.
    ///
    /// # Errors
    /// As [`PreparedScene::with_placeholders`].
    pub(crate) fn prepare(
        &self,
        scene: &ResolvedScene,
    ) -> Result<(PreparedScene, Vec<scene::Error>), scene::Error> {
        let Some((bound, mut faults)) = self.data.bound(scene) else {
            return PreparedScene::with_cache(scene, &self.assets);
        };
        let (prepared, more) = PreparedScene::with_cache(&bound, &self.assets)?;
        faults.extend(more);
        Ok((prepared, faults))
    }
}

impl Default for SceneLoader {
    /// With as many as a node has by default.
    fn default() -> Self {
        Self::new(LimitsConfig::default().asset_cache_bytes_max)
    }
}
