//! Scenes and layers of the channel as OBS has them: names, ids and kinds.

use serde_json::{Map, Value, json};

use super::context::Context;
use super::refusal::{Fields, Refusal};
use crate::command::{Answer, Ask, PreviewView, ScenesView};

/// A layer of a scene, or an overlay, which is above every scene.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layer {
    /// Its name, after those of its groups: `panel/title`.
    pub path: String,
    /// The scene that it is in; none of an overlay.
    pub scene: Option<String>,
    /// The keys of `[[channel.layer]]`.
    pub document: Map<String, Value>,
}

impl Layer {
    pub(super) fn kind(&self) -> &str {
        self.document.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn is_visible(&self) -> bool {
        self.document.get("visible").and_then(Value::as_bool).unwrap_or(true)
    }

    /// `sceneItemId`: made of its path, so that it stays when others come and go.
    pub(super) fn id(&self) -> u32 {
        let hash = blake3::hash(self.path.as_bytes());
        let [a, b, c, d, ..] = *hash.as_bytes();
        // OBS counts from one, and clients take a positive number of 32 bits with sign.
        (u32::from_le_bytes([a, b, c, d]) >> 1).max(1)
    }
}

/// `sceneUuid`, `inputUuid` and so on: made of the names, so that it is the same after a restart.
pub(super) fn uuid(channel: &str, kind: &str, name: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [channel, kind, name] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    // Version 8 and the variant of RFC 9562: made by whoever makes it.
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// The scenes as OBS lists them: the one at the top of its list has the highest index.
pub(super) fn scene_list(channel: &str, names: &[String]) -> Vec<Value> {
    let of = |name: &str| uuid(channel, "scene", name);
    let listed = names.iter().rev().enumerate();
    let listed = listed
        .map(|(at, name)| json!({ "sceneName": name, "sceneUuid": of(name), "sceneIndex": at }));
    listed.collect()
}

/// The layers of a document and of its groups, lowest first.
fn walk(layers: &[Value], scene: Option<&str>, above: &str, found: &mut Vec<Layer>) {
    for document in layers.iter().filter_map(Value::as_object) {
        let name = document.get("name").and_then(Value::as_str).unwrap_or_default();
        let path = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
        let (scene_name, document_of_it) = (scene.map(str::to_owned), document.clone());
        found.push(Layer { path: path.clone(), scene: scene_name, document: document_of_it });
        if let Some(inside) = document.get("layer").and_then(Value::as_array) {
            walk(inside, scene, &path, found);
        }
    }
}

impl Context {
    pub(super) async fn scenes(&self) -> Result<ScenesView, Refusal> {
        let channel = self.channel.to_string();
        match self.shared.api.handle.ask(Ask::Scenes { channel }).await {
            Answer::Scenes(view) => Ok(view),
            other => Err(other.into()),
        }
    }

    pub(super) async fn preview(&self) -> Result<Option<PreviewView>, Refusal> {
        let channel = self.channel.to_string();
        match self.shared.api.handle.ask(Ask::Preview { channel }).await {
            Answer::Preview(view) => Ok(view),
            other => Err(other.into()),
        }
    }

    /// The layers of a scene, lowest first, without the overlays.
    pub(super) async fn layers(&self, scene: &str) -> Result<Vec<Layer>, Refusal> {
        let (channel, name) = (self.channel.to_string(), scene.to_owned());
        let document = match self.shared.api.handle.ask(Ask::Scene { channel, scene: name }).await {
            Answer::Scene(view) => view.document,
            other => return Err(other.into()),
        };
        let mut found = Vec::new();
        walk(document["layer"].as_array().map_or(&[], Vec::as_slice), Some(scene), "", &mut found);
        Ok(found)
    }

    /// The overlays, lowest first.
    pub(super) async fn overlays(&self) -> Result<Vec<Layer>, Refusal> {
        let channel = self.channel.to_string();
        let document = match self.shared.api.handle.ask(Ask::Overlays { channel }).await {
            Answer::Overlays(view) => view.document,
            other => return Err(other.into()),
        };
        let mut found = Vec::new();
        walk(document["overlay"].as_array().map_or(&[], Vec::as_slice), None, "", &mut found);
        Ok(found)
    }

    /// What a scene shows, lowest first: its layers, and above them the overlays.
    pub(super) async fn items(&self, scene: &str) -> Result<Vec<Layer>, Refusal> {
        let mut items = self.layers(scene).await?;
        items.extend(self.overlays().await?);
        Ok(items)
    }

    /// Every layer of every scene, and the overlays.
    pub(super) async fn everything(&self) -> Result<Vec<Layer>, Refusal> {
        let mut all = Vec::new();
        for scene in self.scenes().await?.names {
            // One that was removed meanwhile has none.
            all.extend(self.layers(&scene).await.unwrap_or_default());
        }
        all.extend(self.overlays().await?);
        Ok(all)
    }

    /// The scene that a request names by `sceneName` or `sceneUuid`.
    pub(super) async fn scene_of(&self, fields: Fields<'_>) -> Result<String, Refusal> {
        let scenes = self.scenes().await?.names;
        if fields.get("sceneName").is_none() && fields.get("sceneUuid").is_some() {
            let wanted = fields.text("sceneUuid")?;
            let found =
                scenes.into_iter().find(|name| uuid(&self.channel, "scene", name) == wanted);
            return found.ok_or_else(|| Refusal::not_found("scene", wanted));
        }
        let name = fields.text("sceneName")?;
        let found = scenes.into_iter().find(|it| it == name);
        found.ok_or_else(|| Refusal::not_found("scene", name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_in_groups_have_paths_and_ids_that_stay() {
        let document = json!([
            {"name": "a", "type": "text"},
            {"name": "g", "type": "group", "visible": false, "layer": [{"name": "a"}]},
        ]);
        let mut found = Vec::new();
        walk(document.as_array().unwrap(), Some("s"), "", &mut found);
        let paths: Vec<_> = found.iter().map(|layer| layer.path.as_str()).collect();
        assert_eq!(paths, ["a", "g", "g/a"]);
        assert_eq!(found[0].kind(), "text");
        assert!(found[0].is_visible() && !found[1].is_visible());
        let mut alone = Vec::new();
        walk(&document.as_array().unwrap()[1..], Some("s"), "", &mut alone);
        assert_eq!(alone[1].id(), found[2].id());
        assert_ne!(found[0].id(), found[2].id());
    }

    #[test]
    fn uuids_are_of_the_names_and_of_the_kind() {
        let one = uuid("main", "scene", "a");
        assert_eq!(one, uuid("main", "scene", "a"));
        assert_ne!(one, uuid("main", "input", "a"));
        assert_ne!(uuid("m", "scene", "ab"), uuid("ms", "cene", "ab"));
        assert_eq!((one.len(), one.as_bytes()[14]), (36, b'8'), "{one}");
    }
}
