//! Stream keys. A key itself is told once, when it is made.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::ask::Body;
use super::context::Api;
use super::problem::Problem;
use crate::command::{Answer, Ask};
use crate::control::http::shared::Shared;
use crate::control::keystore::{KeyEdit, Keys, Lifetime, Made, NewKey};
use crate::control::state::{Event, Key, KeyUse, key_uses};
use crate::keys::{AddressRange, KeyLimits, KeyType, StreamKey, Takeover};
use crate::media::parse_bitrate;

/// All keys, oldest first.
#[utoipa::path(
    get, path = "/api/v1/keys", tag = "keys",
    responses((status = 200, body = [Key]), (status = 503, body = Problem))
)]
pub(super) async fn keys(State(shared): State<Arc<Shared>>) -> Result<Json<Vec<Key>>, Problem> {
    let views = store(&shared.api)?.list().await?;
    let mut uses = uses(&shared.api).await;
    let keys = views.iter().map(|view| {
        let key = Key::from(view);
        let live = uses.as_mut().map(|uses| uses.remove(&key.id).unwrap_or_default());
        Key { live, ..key }
    });
    Ok(Json(keys.collect()))
}

/// One key.
#[utoipa::path(
    get, path = "/api/v1/keys/{id}", tag = "keys", params(("id" = String, Path)),
    responses((status = 200, body = Key), (status = 404, body = Problem))
)]
pub(super) async fn key(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Key>, Problem> {
    let key = Key::from(&store(&shared.api)?.get(&id).await?);
    let uses = uses(&shared.api).await;
    let live = uses.map(|mut uses| uses.remove(&key.id).unwrap_or_default());
    Ok(Json(Key { live, ..key }))
}

/// Who publishes with which key; nothing if the shards do not answer.
async fn uses(api: &Api) -> Option<BTreeMap<String, Vec<KeyUse>>> {
    match api.handle.ask(Ask::Streams).await {
        Answer::Streams(streams) => Some(key_uses(&streams, &api.time)),
        _ => None,
    }
}

/// Changes of a key. What is left out stays as it is.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct KeyChange {
    /// Whose it is.
    owner: Option<String>,
    /// A note for people.
    label: Option<String>,
    /// For how long it is good from now on, seconds; 0 for without end.
    expires_in_s: Option<u64>,
    /// Addresses and networks it may be used from; empty for anywhere.
    allowed_ips: Option<Vec<String>>,
    /// Whether a second publisher takes the first one's place.
    takeover: Option<bool>,
    /// Most bits per second of a publisher, a number or a text such as `"6M"`; `null` for any.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<Bitrate>)]
    bitrate_bps: Option<Option<Bitrate>>,
    /// Most viewers of its stream; `null` for any.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    viewers: Option<Option<u32>>,
    /// Most pixels from left to right that its stream may announce; `null` for any.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    max_width: Option<Option<u32>>,
    /// Most pixels from top to bottom that its stream may announce; `null` for any.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    max_height: Option<Option<u32>>,
    /// Most frames per second that its stream may announce; `null` for any.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    max_fps: Option<Option<u32>>,
}

/// Bits per second: a number, or a text with a unit such as `"6M"`.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "BitrateForm")]
#[schema(value_type = BitrateForm)]
struct Bitrate(u64);

/// The forms of a bitrate.
#[derive(Deserialize, ToSchema)]
#[serde(untagged, expecting = "a bitrate is a number of bits per second or a text such as 6M")]
enum BitrateForm {
    /// Bits per second.
    Bits(u64),
    /// With a unit, such as `6M`, `6000k` or `6 Mb/s`.
    Text(String),
}

impl TryFrom<BitrateForm> for Bitrate {
    type Error = String;

    fn try_from(form: BitrateForm) -> Result<Self, String> {
        match form {
            BitrateForm::Bits(bits) => Ok(Self(bits)),
            BitrateForm::Text(text) => {
                parse_bitrate(&text).map(Self).map_err(|fault| format!("`bitrate_bps`: {fault}"))
            }
        }
    }
}

/// A key that stands there with `null` is another thing than one that is left out.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    source: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(source).map(Some)
}

impl KeyChange {
    fn edit(self) -> Result<KeyEdit, Problem> {
        Ok(KeyEdit {
            owner: self.owner,
            label: self.label,
            lifetime: self.expires_in_s.map(|seconds| match seconds {
                0 => Lifetime::Endless,
                seconds => Lifetime::Seconds(seconds),
            }),
            allowed_ips: self.allowed_ips.as_deref().map(addresses).transpose()?,
            takeover: self.takeover.map(|it| if it { Takeover::Take } else { Takeover::Refuse }),
            bitrate_bps: self.bitrate_bps.map(|most| most.map(|Bitrate(bps)| bps)),
            viewers: self.viewers,
            max_width: self.max_width,
            max_height: self.max_height,
            max_fps: self.max_fps,
        })
    }
}

/// Changes a key. Who publishes with it goes on by the new rules within a second.
#[utoipa::path(
    patch, path = "/api/v1/keys/{id}", tag = "keys", params(("id" = String, Path)),
    request_body = KeyChange,
    responses(
        (status = 200, body = Key), (status = 400, body = Problem), (status = 404, body = Problem),
    )
)]
pub(super) async fn change(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Body(wanted): Body<KeyChange>,
) -> Result<Json<Key>, Problem> {
    let key = Key::from(&store(&shared.api)?.edit(&id, &wanted.edit()?).await?);
    note(&shared.api, "key_changed", format!("a key for {} was changed", key.stream), &key).await;
    Ok(Json(key))
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRequest {
    /// Public name it publishes under, `app/name`; `live/` is put before a name alone.
    stream: String,
    /// `regular` (30 days), `alias` (without end) or `development` (24 hours).
    #[serde(default, rename = "type")]
    key_type: Option<String>,
    /// Whose it is.
    #[serde(default)]
    owner: Option<String>,
    /// A note for people.
    #[serde(default)]
    label: Option<String>,
    /// For how long it is good, seconds; 0 for without end; nothing for what its type says.
    #[serde(default)]
    expires_in_s: Option<u64>,
    /// Addresses and networks it may be used from; empty for anywhere.
    #[serde(default)]
    allowed_ips: Vec<String>,
    /// A name that stands for it.
    #[serde(default)]
    alias: Option<String>,
    /// Most bits per second of a publisher, as a number or as a text such as `"6M"`.
    #[serde(default)]
    #[schema(value_type = Option<Bitrate>)]
    bitrate_bps: Option<Bitrate>,
    /// Most viewers of its stream.
    #[serde(default)]
    viewers: Option<u32>,
    /// Most pixels from left to right that its stream may announce.
    #[serde(default)]
    max_width: Option<u32>,
    /// Most pixels from top to bottom that its stream may announce.
    #[serde(default)]
    max_height: Option<u32>,
    /// Most frames per second that its stream may announce.
    #[serde(default)]
    max_fps: Option<u32>,
    /// Whether a second publisher takes the first one's place.
    #[serde(default)]
    takeover: bool,
    /// The key itself, if it was made elsewhere: for `/keys/import` alone.
    #[serde(default)]
    key: Option<String>,
    /// Whether a key that was made elsewhere may have fewer than 16 characters.
    #[serde(default)]
    weak: bool,
}

/// A new key: the one time that it can be seen.
#[derive(Serialize, ToSchema)]
pub(super) struct NewKeyAnswer {
    /// What is known about it.
    key: Key,
    /// The key.
    secret: String,
    /// Where publishers connect to.
    server: String,
    /// What they give as stream key: the same as `secret`.
    stream_key: String,
}

impl NewKeyAnswer {
    fn new(api: &Api, made: &Made) -> Self {
        let secret = made.key.expose().to_owned();
        let (server, stream_key) = (api.publish_url.clone(), secret.clone());
        Self { key: Key::from(&made.view), secret, server, stream_key }
    }
}

/// Makes a key.
#[utoipa::path(
    post, path = "/api/v1/keys", tag = "keys", request_body = KeyRequest,
    responses(
        (status = 201, body = NewKeyAnswer), (status = 400, body = Problem),
        (status = 409, body = Problem), (status = 503, body = Problem),
    )
)]
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Body(wanted): Body<KeyRequest>,
) -> Result<(StatusCode, Json<NewKeyAnswer>), Problem> {
    if wanted.key.is_some() {
        let detail = "a new key is made by the node";
        return Err(Problem::invalid(detail, "send a key that you have to /api/v1/keys/import"));
    }
    let made = store(&shared.api)?.create(wanted.new_key()?).await?;
    let key = Key::from(&made.view);
    note(&shared.api, "key_created", format!("a key for {} was made", key.stream), &key).await;
    Ok((StatusCode::CREATED, Json(NewKeyAnswer::new(&shared.api, &made))))
}

/// A key that was taken in.
#[derive(Serialize, ToSchema)]
pub(super) struct ImportAnswer {
    /// What is known about it.
    key: Key,
    /// Why it is weak, if it is.
    warning: Option<&'static str>,
}

/// Takes in a key that was made elsewhere.
#[utoipa::path(
    post, path = "/api/v1/keys/import", tag = "keys", request_body = KeyRequest,
    responses(
        (status = 201, body = ImportAnswer), (status = 400, body = Problem),
        (status = 409, body = Problem), (status = 503, body = Problem),
    )
)]
pub(super) async fn import(
    State(shared): State<Arc<Shared>>,
    Body(wanted): Body<KeyRequest>,
) -> Result<(StatusCode, Json<ImportAnswer>), Problem> {
    let Some(key) = wanted.key.as_deref().map(StreamKey::imported) else {
        let hint = "send it as `key`, or let the node make one with /api/v1/keys";
        return Err(Problem::invalid("there is no key in it", hint));
    };
    let (view, warning) = store(&shared.api)?.import(&key, wanted.new_key()?, wanted.weak).await?;
    let key = Key::from(&view);
    note(&shared.api, "key_created", format!("a key for {} was taken in", key.stream), &key).await;
    Ok((StatusCode::CREATED, Json(ImportAnswer { key, warning })))
}

/// Takes a key back: who publishes with it is ended within a second.
#[utoipa::path(
    post, path = "/api/v1/keys/{id}/revoke", tag = "keys", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn revoke(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let key = Key::from(&store(&shared.api)?.revoke(&id).await?);
    note(&shared.api, "key_revoked", format!("a key for {} was revoked", key.stream), &key).await;
    Ok(StatusCode::NO_CONTENT)
}

/// How a key is rotated.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rotation {
    /// For how long the old one stays good, seconds; 0 revokes it, nothing means an hour.
    grace_s: Option<u64>,
}

/// Makes a new key in the place of an old one, with the same stream, rights and aliases.
#[utoipa::path(
    post, path = "/api/v1/keys/{id}/rotate", tag = "keys", params(("id" = String, Path)),
    request_body = Rotation,
    responses(
        (status = 201, body = NewKeyAnswer), (status = 400, body = Problem),
        (status = 404, body = Problem),
    )
)]
pub(super) async fn rotate(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Body(Rotation { grace_s }): Body<Rotation>,
) -> Result<(StatusCode, Json<NewKeyAnswer>), Problem> {
    let made = store(&shared.api)?.rotate(&id, grace_s).await?;
    let key = Key::from(&made.view);
    note(&shared.api, "key_rotated", format!("a key for {} was rotated", key.stream), &key).await;
    Ok((StatusCode::CREATED, Json(NewKeyAnswer::new(&shared.api, &made))))
}

/// Forgets a key and its aliases.
#[utoipa::path(
    delete, path = "/api/v1/keys/{id}", tag = "keys", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let keys = store(&shared.api)?;
    let key = Key::from(&keys.get(&id).await?);
    keys.delete(&id).await?;
    note(&shared.api, "key_deleted", format!("a key for {} was deleted", key.stream), &key).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a name stand for a key; it may have stood for another one.
#[utoipa::path(
    put, path = "/api/v1/keys/{id}/aliases/{alias}", tag = "keys",
    params(("id" = String, Path), ("alias" = String, Path)),
    responses((status = 204), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub(super) async fn set_alias(
    State(shared): State<Arc<Shared>>,
    Path((id, alias)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let key = Key::from(&store(&shared.api)?.set_alias(&id, &alias).await?);
    let text = format!("a key for {} has another alias", key.stream);
    note(&shared.api, "key_changed", text, &key).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets an alias of a key; the key stays.
#[utoipa::path(
    delete, path = "/api/v1/keys/{id}/aliases/{alias}", tag = "keys",
    params(("id" = String, Path), ("alias" = String, Path)),
    responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn remove_alias(
    State(shared): State<Arc<Shared>>,
    Path((id, alias)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let keys = store(&shared.api)?;
    let key = Key::from(&keys.get(&id).await?);
    if !key.aliases.contains(&alias) {
        return Err(Problem::not_found(&format!("the key {} has no alias {alias}", key.id)));
    }
    keys.remove_alias(&alias).await?;
    let text = format!("a key for {} has lost an alias", key.stream);
    note(&shared.api, "key_changed", text, &key).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn store(api: &Api) -> Result<&Keys, Problem> {
    let none = || {
        Problem::conflict("this node has no stream keys: it lets anybody publish ([rtmp] publish)")
    };
    api.keys.as_ref().ok_or_else(none)
}

async fn note(api: &Api, kind: &'static str, text: String, key: &Key) {
    let stream = Some(key.stream.clone());
    api.note(kind, text, |event| Event { stream, ..event }).await;
}

fn addresses(texts: &[String]) -> Result<Vec<AddressRange>, Problem> {
    let hint = "write addresses and networks such as 192.0.2.7 or 2001:db8::/32";
    let parse =
        |text: &String| text.parse().map_err(|_| Problem::invalid("an address is none", hint));
    texts.iter().map(parse).collect()
}

impl KeyRequest {
    fn new_key(&self) -> Result<NewKey, Problem> {
        let invalid = |detail: &str, hint: &str| Problem::invalid(detail, hint);
        let key_type = match self.key_type.as_deref() {
            None | Some("regular") => KeyType::Regular,
            Some("alias") => KeyType::Alias,
            Some("development") => KeyType::Development,
            Some(_) => {
                let hint = "write regular, alias or development";
                return Err(invalid("there is no such type of key", hint));
            }
        };
        let allowed_ips = addresses(&self.allowed_ips)?;
        Ok(NewKey {
            key_type,
            owner: self.owner.clone().unwrap_or_default(),
            label: self.label.clone().unwrap_or_default(),
            lifetime: match self.expires_in_s {
                None => Lifetime::OfType,
                Some(0) => Lifetime::Endless,
                Some(seconds) => Lifetime::Seconds(seconds),
            },
            allowed_ips,
            alias: self.alias.clone(),
            limits: KeyLimits {
                bitrate_bps: self.bitrate_bps.map(|Bitrate(bps)| bps),
                viewers: self.viewers,
                max_width: self.max_width,
                max_height: self.max_height,
                max_fps: self.max_fps,
            },
            takeover: if self.takeover { Takeover::Take } else { Takeover::default() },
            ..NewKey::for_stream(&self.stream)
        })
    }
}
