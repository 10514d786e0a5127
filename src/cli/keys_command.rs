//! `stream-manager keys`: works on the key store, or asks the node that has it open.

mod api;
mod backup;

use std::io::{self, BufRead, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::cli::{ExportArgs, KeysArgs, KeysCommand};
use crate::config::{Config, KeyStoreKind};
use crate::control::keystore::redis::Redis;
use crate::control::keystore::{KeyEdit, KeyError, Keys, Made, NewKey, StoreError, embedded, show};
use crate::control::settings::keys::{keys_on, redis_spec};
use crate::keys::{Alias, StreamKey};
use crate::runtime::Clock;
use api::{Api, Asker};

/// Longest key that is read from standard input, bytes.
const INPUT_BYTES_MAX: u64 = 64 << 10;

/// Does what the arguments say and prints what came of it.
#[must_use]
pub fn keys_command(args: &KeysArgs, config: &Config) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(args, config)),
        Err(error) => Err(format!("cannot start: {error}")),
    };
    match done {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(text) => {
            complain(&text);
            ExitCode::FAILURE
        }
    }
}

/// Prints what a running node has in use.
#[must_use]
pub fn config_export(args: &ExportArgs, config: &Config) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let exported = match runtime {
        Ok(runtime) => runtime.block_on(async {
            let api = Api::of(config, args.api.as_deref(), Asker::Export)?;
            api.text("config/export").await
        }),
        Err(error) => Err(format!("cannot start: {error}")),
    };
    match exported {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(text) => {
            complain(&text);
            ExitCode::FAILURE
        }
    }
}

/// Who does it.
enum Way {
    /// We, on the store.
    Direct(Keys, String),
    /// The node that has the store open.
    Api(Api),
}

async fn run(args: &KeysArgs, config: &Config) -> Result<String, String> {
    let clock = Clock::start();
    let makes = matches!(args.command, KeysCommand::Create(_) | KeysCommand::Import { .. });
    let way = open(args, config, clock, makes)?;
    let now = clock.unix_secs();
    let json = |value: &Value| format!("{value:#}\n");
    let shown = |value: Value| match args.json {
        true => json(&value),
        false => show::details(&value, now),
    };
    let made = |value: Value| if args.json { json(&value) } else { show::once(&value) };
    Ok(match &args.command {
        KeysCommand::Create(new) => made(way.create(new.to_new_key()).await?),
        KeysCommand::Rotate { which, grace } => made(way.rotate(&which.key, *grace).await?),
        KeysCommand::List => {
            let mut all = way.list().await?;
            if let Way::Direct(..) = way {
                add_live(config, &mut all).await;
            }
            if args.json { json(&Value::from(all)) } else { show::table(&all, now) }
        }
        KeysCommand::Show(which) => shown(way.get(&which.key).await?),
        KeysCommand::Revoke(which) => shown(way.revoke(&which.key).await?),
        KeysCommand::Delete(which) => {
            way.delete(&which.key).await?;
            format!("The key {} is gone.\n", which.key)
        }
        KeysCommand::Alias { alias, key: Some(key), .. } => shown(way.set_alias(key, alias).await?),
        KeysCommand::Alias { alias, key: None, .. } => {
            way.remove_alias(alias).await?;
            format!("The alias {alias} is gone.\n")
        }
        KeysCommand::Edit { which, change } => {
            shown(way.edit(&which.key, &change.to_edit()).await?)
        }
        KeysCommand::Export { file } => backup::export(&way, file.as_deref()).await?,
        KeysCommand::Import { from: Some(file), replace, .. } => {
            let restored = backup::restore(&way, file, *replace).await?;
            match args.json {
                true => json(&serde_json::to_value(restored).unwrap_or_default()),
                false => format!("{restored}.\n"),
            }
        }
        KeysCommand::Import { stream, settings, weak, key, .. } => {
            let new = settings.for_stream(stream.as_deref().unwrap_or_default());
            let key = given(key.as_deref())?;
            if let Some(weakness) = key.weakness() {
                complain_softly(&format!("this key can be guessed: {weakness}"));
            }
            shown(way.import(&key, new, *weak).await?)
        }
    })
}

fn open(args: &KeysArgs, config: &Config, clock: Clock, makes: bool) -> Result<Way, String> {
    let server = server(config);
    if args.place.redis.as_ref().is_some_and(|url| url.contains('@')) {
        complain_softly(
            "others on this machine can see the password on the command line; put the URL into a \
             file and name it with --redis-url-file",
        );
    }
    if args.place.api.is_some() {
        return Ok(Way::Api(Api::of(config, args.place.api.as_deref(), Asker::Keys)?));
    }
    if config.keys.store == KeyStoreKind::Redis {
        let store = Redis::new(&redis_spec(&config.keys)).map_err(|error| error.to_string())?;
        return Ok(Way::Direct(keys_on(Arc::new(store), clock), server));
    }
    let file = config.node.data_dir().join(embedded::FILE_NAME);
    if !makes && !file.exists() {
        return Err(format!(
            "there is no key store {}; name the node's folder with --data-dir, or its file with \
             --config",
            file.display()
        ));
    }
    match embedded::open(config.node.data_dir()) {
        Ok(store) => Ok(Way::Direct(keys_on(Arc::new(store), clock), server)),
        Err(StoreError::InUse(_)) => Ok(Way::Api(Api::of(config, None, Asker::Keys)?)),
        Err(error) => Err(error.to_string()),
    }
}

impl Way {
    async fn create(&self, new: NewKey) -> Result<Value, String> {
        match self {
            Self::Direct(keys, server) => made(keys.create(new).await, server),
            Self::Api(api) => api.send("POST", "keys", Some(show::request(&new))).await,
        }
    }

    async fn rotate(&self, id: &str, grace_s: u64) -> Result<Value, String> {
        match self {
            Self::Direct(keys, server) => made(keys.rotate(id, Some(grace_s)).await, server),
            Self::Api(api) => {
                let id = api.id_of(id).await?;
                let body = json!({ "grace_s": grace_s });
                api.send("POST", &format!("keys/{id}/rotate"), Some(body)).await
            }
        }
    }

    async fn list(&self) -> Result<Vec<Value>, String> {
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

    async fn get(&self, id: &str) -> Result<Value, String> {
        match self {
            Self::Direct(keys, _) => seen(keys.get(id).await),
            Self::Api(api) => {
                let id = api.id_of(id).await?;
                api.send("GET", &format!("keys/{id}"), None).await
            }
        }
    }

    async fn edit(&self, id: &str, edit: &KeyEdit) -> Result<Value, String> {
        match self {
            Self::Direct(keys, _) => seen(keys.edit(id, edit).await),
            Self::Api(api) => {
                let id = api.id_of(id).await?;
                api.send("PATCH", &format!("keys/{id}"), Some(show::edit_request(edit))).await
            }
        }
    }

    async fn revoke(&self, id: &str) -> Result<Value, String> {
        match self {
            Self::Direct(keys, _) => seen(keys.revoke(id).await),
            Self::Api(api) => {
                let id = api.id_of(id).await?;
                api.send("POST", &format!("keys/{id}/revoke"), None).await?;
                api.send("GET", &format!("keys/{id}"), None).await
            }
        }
    }

    async fn delete(&self, id: &str) -> Result<(), String> {
        match self {
            Self::Direct(keys, _) => keys.delete(id).await.map_err(|error| error.to_string()),
            Self::Api(api) => {
                let id = api.id_of(id).await?;
                api.send("DELETE", &format!("keys/{id}"), None).await.map(drop)
            }
        }
    }

    async fn set_alias(&self, id: &str, alias: &str) -> Result<Value, String> {
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

    async fn remove_alias(&self, alias: &str) -> Result<(), String> {
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

    async fn import(&self, key: &StreamKey, new: NewKey, weak: bool) -> Result<Value, String> {
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

/// Several nodes share such a store: the one of the configuration says who is live on it, if it
/// runs here.
async fn add_live(config: &Config, keys: &mut [Value]) {
    let Ok(api) = Api::of(config, None, Asker::Keys) else { return };
    let Ok(theirs) = api.list().await else { return };
    for key in keys {
        if let Some(theirs) = theirs.iter().find(|it| it["id"] == key["id"]) {
            key["live"] = theirs["live"].clone();
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

fn seen(result: Result<crate::control::keystore::KeyView, KeyError>) -> Result<Value, String> {
    result.map(|view| show::to_json(&view)).map_err(|error| error.to_string())
}

/// Where encoders connect to, as far as the configuration knows.
fn server(config: &Config) -> String {
    format!("rtmp://{}", reachable(config.rtmp.bind, config.rtmp.port))
}

/// An address that this machine reaches a listener at.
fn reachable(bind: IpAddr, port: u16) -> SocketAddr {
    let host = match bind {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(host, port)
}

/// The key of an import: as it was given, or the first line of standard input.
fn given(key: Option<&str>) -> Result<StreamKey, String> {
    if let Some(key) = key.filter(|key| *key != "-") {
        complain_softly(
            "others on this machine can see a key on the command line; write it to standard input",
        );
        return Ok(StreamKey::imported(key));
    }
    if io::stdin().is_terminal() {
        complain_softly("type the key and press Enter");
    }
    let mut line = String::new();
    let mut input = io::Read::take(io::stdin().lock(), INPUT_BYTES_MAX);
    input.read_line(&mut line).map_err(|error| format!("the key cannot be read: {error}"))?;
    match line.trim() {
        "" => Err("no key was given; write it behind the options, or to standard input".to_owned()),
        key => Ok(StreamKey::imported(key)),
    }
}

fn print(text: &str) {
    let mut out = io::stdout();
    // A closed pipe is the reader's wish.
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

#[expect(clippy::print_stderr, reason = "this is what the terminal shows")]
fn complain(text: &str) {
    eprintln!("error: {text}");
}

#[expect(clippy::print_stderr, reason = "this is what the terminal shows")]
fn complain_softly(text: &str) {
    eprintln!("note: {text}");
}
