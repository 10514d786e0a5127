//! `keys export` and `keys import --from`: the whole store as a file, and back.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::access::Access;
use super::api::Api;
use crate::control::keystore::{KeyBackup, Restored, from_lines, to_lines};

/// Largest file that is read, bytes: more than a store of keys has.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Keys that one request of the API holds.
const KEYS_PER_REQUEST: usize = 200;

/// Writes all keys to a new file, or gives them to be printed.
pub(super) async fn export(access: &Access, file: Option<&Path>) -> Result<String, String> {
    let text = match access {
        Access::Direct(keys, _) => {
            let backups = keys.export().await.map_err(|error| error.to_string())?;
            to_lines(&backups).map_err(|error| error.to_string())?
        }
        Access::Api(api) => api.text("keys/export").await?,
    };
    let Some(file) = file.filter(|file| *file != Path::new("-")) else { return Ok(text) };
    let count = text.lines().count().saturating_sub(1);
    write(file, &text).map_err(|error| {
        format!("{} cannot be written: {error}; name a file that is not there", file.display())
    })?;
    Ok(format!("{count} keys are in {}.\n", file.display()))
}

/// Takes in all keys of a file.
pub(super) async fn restore(
    access: &Access,
    file: &Path,
    replace: bool,
) -> Result<Restored, String> {
    let text = read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let backups = from_lines(&text).map_err(|fault| format!("{}: {fault}", file.display()))?;
    let mut all = Restored::default();
    match access {
        Access::Direct(keys, _) => {
            all = keys.restore(&backups, replace).await.map_err(|error| error.to_string())?;
        }
        Access::Api(api) => {
            for part in backups.chunks(KEYS_PER_REQUEST) {
                all = all.and(send(api, part, replace).await?);
            }
        }
    }
    Ok(all)
}

async fn send(api: &Api, part: &[KeyBackup], replace: bool) -> Result<Restored, String> {
    let text = to_lines(part).map_err(|error| error.to_string())?;
    let path = format!("keys/restore?replace={replace}");
    let answer = api.send_text("POST", &path, text).await?;
    serde_json::from_value(answer).map_err(|error| format!("the node's answer: {error}"))
}

/// For its owner alone: weak keys that were made elsewhere could be guessed from their hashes.
fn write(file: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = match file == Path::new("-") {
        true => io::stdin().lock().take(FILE_BYTES_MAX).read_to_string(&mut text)?,
        false => fs::File::open(file)?.take(FILE_BYTES_MAX).read_to_string(&mut text)?,
    };
    match read as u64 == FILE_BYTES_MAX {
        true => Err(io::Error::other("it is larger than any backup of stream keys")),
        false => Ok(text),
    }
}
