//! The records of keys and aliases in Redis.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use redis::{Cmd, RedisResult, cmd};
use tokio::sync::broadcast;

use super::failover::Failover;
use super::link::Link;
use super::spec::RedisMode;
use super::subscription::keep_up;
use super::watch::Watch;
use super::{ALIAS_PREFIX, CHANNEL, GONE_PREFIX, KEY_PREFIX, Redis};
use crate::control::keystore::{
    KEYS_MAX, KeyStore, Kind, Name, Notice, Precondition, Replacement, Reply, StoreError,
};
use crate::keys::{Alias, KeyHash};

/// Makes the changes: one program on the server, so that nothing comes between.
const SWAP: &str = include_str!("swap.lua");

/// Records looked through at once.
const PAGE: u32 = 500;

impl KeyStore for Redis {
    fn read(&self, name: Name) -> Reply<'_, Option<Vec<u8>>> {
        Box::pin(async move {
            let get = cmd("GET").arg(full_name(&name)).take();
            self.0
                .on_link(|mut link| {
                    let get = get.clone();
                    async move { link.ask(&get).await }
                })
                .await
        })
    }

    fn scan(&self, kind: Kind, prefix: String) -> Reply<'_, Vec<(Name, Vec<u8>)>> {
        Box::pin(async move {
            let pattern = match kind {
                Kind::Key => format!("{KEY_PREFIX}{prefix}*"),
                Kind::Alias => format!("{ALIAS_PREFIX}{prefix}*"),
            };
            let mut found = HashMap::new();
            let parts = self.0.on_link(|mut link| async move { link.parts().await }).await?;
            for part in parts {
                let mut at = 0_u64;
                loop {
                    let question = (part.clone(), scan_command(at, &pattern));
                    let page = self.0.on_link(|link| page(link, question.clone())).await?;
                    found.extend(page.1);
                    if found.len() as u64 > KEYS_MAX {
                        return Err(StoreError::TooManyKeys(KEYS_MAX));
                    }
                    at = page.0;
                    if at == 0 {
                        break;
                    }
                }
            }
            let named = found.into_iter().filter_map(|(name, value)| Some((parse(&name)?, value)));
            Ok(named.collect())
        })
    }

    fn swap(&self, changes: Vec<Replacement>, notices: Vec<KeyHash>) -> Reply<'_, bool> {
        Box::pin(async move {
            let mut swapped = true;
            // Records of a cluster are on different servers: one after the other, notices at last.
            let step = match self.0.settings.mode {
                RedisMode::Cluster => 1,
                RedisMode::Standalone | RedisMode::Sentinel => changes.len().max(1),
            };
            let steps = changes.chunks(step).len();
            for (number, step) in changes.chunks(step).enumerate() {
                let told = if number + 1 == steps { &notices[..] } else { &[] };
                let eval = swap_command(step, told);
                let done: u8 = self
                    .0
                    .on_link(|mut link| {
                        let eval = eval.clone();
                        async move { link.ask(&eval).await }
                    })
                    .await?;
                swapped = done == 1;
                if !swapped {
                    break;
                }
            }
            if swapped {
                for hash in notices {
                    // Our own listener need not wait for Redis to say it back.
                    drop(self.0.changes.send(Notice::Changed(hash)));
                }
            }
            Ok(swapped)
        })
    }

    fn trouble(&self) -> Option<&'static str> {
        self.0.health.trouble()
    }

    fn probe(&self) -> Reply<'_, ()> {
        Box::pin(async move {
            // Any record will do: whether it can be read is the question.
            self.read(Name::Gone(KeyHash::from_bytes([0; 32]))).await.map(drop)
        })
    }

    fn changes(&self) -> broadcast::Receiver<Notice> {
        let receiver = self.0.changes.subscribe();
        if !self.0.watched.swap(true, Ordering::Relaxed) {
            tokio::spawn(keep_up(Arc::clone(&self.0), Watch::default()));
            if self.0.settings.mode == RedisMode::Sentinel {
                tokio::spawn(keep_up(Arc::clone(&self.0), Failover::default()));
            }
        }
        receiver
    }
}

type Page = (u64, Vec<(String, Vec<u8>)>);

/// One page of one server's records: where the next begins, names and values.
async fn page(mut link: Link, (part, command): (Option<(String, u16)>, Cmd)) -> RedisResult<Page> {
    let (next, names): (u64, Vec<String>) = link.ask_part(part.as_ref(), command).await?;
    if names.is_empty() {
        return Ok((next, Vec::new()));
    }
    let values: Vec<Option<Vec<u8>>> = link.ask(cmd("MGET").arg(&names)).await?;
    let pairs = names.into_iter().zip(values);
    // What has expired meanwhile has no value.
    Ok((next, pairs.filter_map(|(name, value)| Some((name, value?))).collect()))
}

fn scan_command(at: u64, pattern: &str) -> Cmd {
    cmd("SCAN").arg(at).arg("MATCH").arg(pattern).arg("COUNT").arg(PAGE).take()
}

fn swap_command(changes: &[Replacement], notices: &[KeyHash]) -> Cmd {
    let mut eval = cmd("EVAL");
    eval.arg(SWAP).arg(changes.len());
    for change in changes {
        eval.arg(full_name(&change.name));
    }
    eval.arg(CHANNEL);
    for Replacement { was, becomes, expires_at, .. } in changes {
        match was {
            Precondition::Anything => eval.arg("any").arg(""),
            Precondition::Absent => eval.arg("absent").arg(""),
            Precondition::This(bytes) => eval.arg("this").arg(bytes),
            Precondition::Only(bytes) => eval.arg("only").arg(bytes),
        };
        match becomes {
            Some(bytes) => eval.arg("this").arg(bytes),
            None => eval.arg("gone").arg(""),
        };
        eval.arg(expires_at.unwrap_or(0));
    }
    for hash in notices {
        eval.arg(hash.to_string());
    }
    eval
}

fn full_name(name: &Name) -> String {
    match name {
        Name::Key(hash) => format!("{KEY_PREFIX}{hash}"),
        Name::Alias(alias) => format!("{ALIAS_PREFIX}{}", alias.expose()),
        Name::Gone(hash) => format!("{GONE_PREFIX}{hash}"),
    }
}

/// The name of a record of ours; `None` for what only begins like one.
fn parse(text: &str) -> Option<Name> {
    if let Some(hash) = text.strip_prefix(KEY_PREFIX) {
        return KeyHash::from_hex(hash).map(Name::Key);
    }
    Alias::new(text.strip_prefix(ALIAS_PREFIX)?).ok().map(Name::Alias)
}
