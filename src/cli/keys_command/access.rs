//! Key store access: on the store itself, or through the node that has it open.

use serde_json::{Value, json};

use super::api::Api;
use super::terminal::complain_softly;
use crate::control::keystore::{KeyEdit, KeyError, KeyView, Keys, Made, NewKey, show};
use crate::keys::{Alias, StreamKey};

/// Who works on the keys.
pub(super) enum Access {
    /// We, on the store.
    Direct(Keys, String),
    /// The node that has the store open.
    Api(Api),
}

impl Access {
    /// Makes a key.
    pub(super) async fn create(&self, new: NewKey) -> Result<Value, String> {
        match self {
            Self::Direct(keys, server) => made(keys.create(new).await, server),
            Self::Api(api) => api.send("POST", "keys", Some(show::request(&new))).await,
        }
    }

    /// Makes a new key in the place of one that stays good for `grace_s` seconds.
    pub(super) async fn rotate(&self, id: &str, grace_s: u64) -> Result<Value, String> {
        match self {
            Self::Direct(keys, server) => made(keys.rotate(id, Some(grace_s)).await, server),
            Self::Api(api) => {
                let id = api.id_of(id).await?;
                let body = json!({ "grace_s": grace_s });
                api.send("POST", &format!("keys/{id}/rotate"), Some(body)).await
            }
        }
    }

    /// All keys.
    pub(super) async fn list(&self) -> Result<Vec<Value>, String> {
        match self {
            Self::Direct(keys, _) => {
                let listed = keys.list_with_faults().await;
                let (all, faults) = listed.map_err(|error| error.to_string())?;
                faults.iter().for_each(|fault| complain_softly(&fault.to_string()));
                Ok(all.iter().map(show::to_json).collect())
            }
            Self::Api(api) => api.list().await,
        }
    }

    /// One key.
    pub(super) async fn get(&self, id: &str) -> Result<Value, String> {
        match self {
            Self::Direct(keys, _) => seen(keys.get(id).await),
            Self::Api(api) => {
                let id = api.id_of(id).await?;
                api.send("GET", &format!("keys/{id}"), None).await
            }
        }
    }

    /// Changes what is known about a key.
    pub(super) async fn edit(&self, id: &str, edit: &KeyEdit) -> Result<Value, String> {
        match self {
            Self::Direct(keys, _) => seen(keys.edit(id, edit).await),
            Self::Api(api) => {
                let id = api.id_of(id).await?;
                api.send("PATCH", &format!("keys/{id}"), Some(show::edit_request(edit))).await
            }
        }
    }

    /// Takes a key back.
    pub(super) async fn revoke(&self, id: &str) -> Result<Value, String> {
        match self {
            Self::Direct(keys, _) => seen(keys.revoke(id).await),
            Self::Api(api) => {
                let id = api.id_of(id).await?;
                api.send("POST", &format!("keys/{id}/revoke"), None).await?;
                api.send("GET", &format!("keys/{id}"), None).await
            }
        }
    }

    /// Forgets a key.
    pub(super) async fn delete(&self, id: &str) -> Result<(), String> {
        match self {
            Self::Direct(keys, _) => keys.delete(id).await.map_err(|error| error.to_string()),
            Self::Api(api) => {
                let id = api.id_of(id).await?;
                api.send("DELETE", &format!("keys/{id}"), None).await.map(drop)
            }
        }
    }

    /// Lets a name stand for a key.
    pub(super) async fn set_alias(&self, id: &str, alias: &str) -> Result<Value, String> {
        match self {
            Self::Direct(keys, _) => seen(keys.set_alias(id, alias).await),
            Self::Api(api) => {
                let alias = Alias::new(alias).map_err(|error| error.to_string())?;
                let id = api.id_of(id).await?;
                let path = format!("keys/{id}/aliases/{}", alias.expose());
                api.send("PUT", &path, None).await?;
                api.send("GET", &format!("keys/{id}"), None).await
            }
        }
    }

    /// Forgets a name of a key.
    pub(super) async fn remove_alias(&self, alias: &str) -> Result<(), String> {
        match self {
            Self::Direct(keys, _) => {
                keys.remove_alias(alias).await.map_err(|error| error.to_string())
            }
            Self::Api(api) => {
                let id = api.id_of(alias).await?;
                api.send("DELETE", &format!("keys/{id}/aliases/{alias}"), None).await.map(drop)
            }
        }
    }

    /// Takes in a key that was made elsewhere; a short one if `weak`.
    pub(super) async fn import(
        &self,
        key: &StreamKey,
        new: NewKey,
        weak: bool,
    ) -> Result<Value, String> {
        match self {
            Self::Direct(keys, _) => seen(keys.import(key, new, weak).await.map(|(view, _)| view)),
            Self::Api(api) => {
                let mut body = show::request(&new);
                body["key"] = key.expose().into();
                body["weak"] = weak.into();
                let answer = api.send("POST", "keys/import", Some(body)).await?;
                Ok(answer.get("key").cloned().unwrap_or(answer))
            }
        }
    }
}

fn made(result: Result<Made, KeyError>, server: &str) -> Result<Value, String> {
    let made = result.map_err(|error| error.to_string())?;
    let app = made.view.info.stream.split('/').next().unwrap_or_default();
    let secret = made.key.expose();
    Ok(json!({
        "key": show::to_json(&made.view),
        "secret": secret,
        "server": format!("{server}/{app}"),
        "stream_key": secret,
    }))
}

fn seen(result: Result<KeyView, KeyError>) -> Result<Value, String> {
    result.map(|view| show::to_json(&view)).map_err(|error| error.to_string())
}
