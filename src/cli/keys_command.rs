//! `stream-manager keys`: works on the key store, or asks the node that has it open.

mod access;
mod api;
mod backup;
mod terminal;

use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::Value;

use crate::cli::{ExportArgs, KeysArgs, KeysCommand};
use crate::config::{Config, KeyStoreKind};
use crate::control::keystore::redis::Redis;
use crate::control::keystore::{StoreError, embedded, show};
use crate::control::settings::keys::{keys_on, redis_spec};
use crate::keys::StreamKey;
use crate::runtime::Clock;
use access::Access;
use api::{Api, Asker, reachable};
use terminal::{complain, complain_softly, print};

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

async fn run(args: &KeysArgs, config: &Config) -> Result<String, String> {
    let clock = Clock::start();
    let makes = matches!(args.command, KeysCommand::Create(_) | KeysCommand::Import { .. });
    let access = open(args, config, clock, makes)?;
    let now = clock.unix_secs();
    let json = |value: &Value| format!("{value:#}\n");
    let shown = |value: Value| match args.json {
        true => json(&value),
        false => show::details(&value, now),
    };
    let made = |value: Value| if args.json { json(&value) } else { show::once(&value) };
    Ok(match &args.command {
        KeysCommand::Create(new) => made(access.create(new.to_new_key()).await?),
        KeysCommand::Rotate { which, grace } => made(access.rotate(&which.key, *grace).await?),
        KeysCommand::List => {
            let mut all = access.list().await?;
            if let Access::Direct(..) = access {
                add_live(config, &mut all).await;
            }
            if args.json { json(&Value::from(all)) } else { show::table(&all, now) }
        }
        KeysCommand::Show(which) => shown(access.get(&which.key).await?),
        KeysCommand::Revoke(which) => shown(access.revoke(&which.key).await?),
        KeysCommand::Delete(which) => {
            access.delete(&which.key).await?;
            format!("The key {} is gone.\n", which.key)
        }
        KeysCommand::Alias { alias, key: Some(key), .. } => {
            shown(access.set_alias(key, alias).await?)
        }
        KeysCommand::Alias { alias, key: None, .. } => {
            access.remove_alias(alias).await?;
            format!("The alias {alias} is gone.\n")
        }
        KeysCommand::Edit { which, change } => {
            shown(access.edit(&which.key, &change.to_edit()).await?)
        }
        KeysCommand::Export { file } => backup::export(&access, file.as_deref()).await?,
        KeysCommand::Import { from: Some(file), replace, .. } => {
            let restored = backup::restore(&access, file, *replace).await?;
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
            shown(access.import(&key, new, *weak).await?)
        }
    })
}

fn open(args: &KeysArgs, config: &Config, clock: Clock, makes: bool) -> Result<Access, String> {
    let server = server(config);
    if args.place.redis.as_ref().is_some_and(|url| url.contains('@')) {
        complain_softly(
            "others on this machine can see the password on the command line; put the URL into a \
             file and name it with --redis-url-file",
        );
    }
    if args.place.api.is_some() {
        return Ok(Access::Api(Api::of(config, args.place.api.as_deref(), Asker::Keys)?));
    }
    if config.keys.store == KeyStoreKind::Redis {
        let store = Redis::new(&redis_spec(&config.keys)).map_err(|error| error.to_string())?;
        return Ok(Access::Direct(keys_on(Arc::new(store), clock), server));
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
        Ok(store) => Ok(Access::Direct(keys_on(Arc::new(store), clock), server)),
        Err(StoreError::InUse(_)) => Ok(Access::Api(Api::of(config, None, Asker::Keys)?)),
        Err(error) => Err(error.to_string()),
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

/// Where encoders connect to, as far as the configuration knows.
fn server(config: &Config) -> String {
    format!("rtmp://{}", reachable(config.rtmp.bind, config.rtmp.port))
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
