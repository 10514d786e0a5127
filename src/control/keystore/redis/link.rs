//! A connection to Redis, whichever way the servers are arranged.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, RedisError,
    RedisResult, TlsMode, Value, cmd, from_redis_value,
};
use tokio::time::timeout;

use super::spec::{RedisMode, Settings};

/// Pages of a cluster's nodes are asked for from each of at most so many masters.
const MASTERS_MAX: usize = 1_000;

/// An open connection; clones share it.
#[derive(Clone)]
pub(super) enum Link {
    /// To a server.
    One(MultiplexedConnection),
    /// To what a sentinel said is the master.
    Master(MultiplexedConnection),
    /// To a cluster.
    Cluster(ClusterConnection),
}

impl Link {
    /// Connects, within a few times the timeout.
    pub(super) async fn open(settings: &Settings, next: &AtomicUsize) -> RedisResult<Self> {
        match settings.mode {
            RedisMode::Standalone | RedisMode::Sentinel => {
                let client = server(settings, next).await?;
                let config = config(settings.timeout);
                let link = client.get_multiplexed_async_connection_with_config(&config).await?;
                let is_master = settings.mode == RedisMode::Sentinel;
                Ok(if is_master { Self::Master(link) } else { Self::One(link) })
            }
            RedisMode::Cluster => Ok(Self::Cluster(cluster(settings).await?)),
        }
    }

    /// Asks one thing; a cluster's node is chosen by the key.
    pub(super) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::One(link) => command.query_async(link).await,
            Self::Master(link) => {
                // One that has become a replica still answers, with what was.
                let mut both = redis::pipe();
                both.cmd("ROLE").add_command(command.clone());
                let (role, answer): (Vec<Value>, T) = both.query_async(link).await?;
                is_master(role)?.then_some(answer).ok_or_else(replaced)
            }
            Self::Cluster(link) => command.query_async(link).await,
        }
    }

    /// The servers that each hold a part of the keys: `None` for the only one.
    pub(super) async fn parts(&mut self) -> RedisResult<Vec<Option<(String, u16)>>> {
        let Self::Cluster(link) = self else { return Ok(vec![None]) };
        let slots: Vec<Vec<Value>> = cmd("CLUSTER").arg("SLOTS").query_async(link).await?;
        let mut masters: Vec<Option<(String, u16)>> = Vec::new();
        for range in slots {
            // First slot, last slot, the master, its replicas.
            let Some(Value::Array(node)) = range.into_iter().nth(2) else { continue };
            let mut node = node.into_iter();
            let (Some(host), Some(port)) = (node.next(), node.next()) else { continue };
            let master = Some((from_redis_value(host)?, from_redis_value(port)?));
            if !masters.contains(&master) && masters.len() < MASTERS_MAX {
                masters.push(master);
            }
        }
        Ok(masters)
    }

    /// Asks one thing of one of the [`Link::parts`].
    pub(super) async fn ask_part<T: FromRedisValue>(
        &mut self,
        part: Option<&(String, u16)>,
        command: Cmd,
    ) -> RedisResult<T> {
        match (self, part) {
            (Self::Cluster(link), Some((host, port))) => {
                let node = SingleNodeRoutingInfo::ByAddress { host: host.clone(), port: *port };
                let value = link.route_command(command, RoutingInfo::SingleNode(node)).await?;
                Ok(from_redis_value(value)?)
            }
            (link, _) => link.ask(&command).await,
        }
    }
}

/// A server to listen to: the only one, the master, or any node of the cluster.
pub(super) async fn server(settings: &Settings, next: &AtomicUsize) -> RedisResult<Client> {
    match settings.mode {
        RedisMode::Sentinel => master(settings, next).await,
        RedisMode::Standalone | RedisMode::Cluster => {
            let count = settings.nodes.len().max(1);
            // A node that did not work is not asked again at once.
            let turn = next.fetch_add(1, Ordering::Relaxed) % count;
            let node = settings.servers().nth(turn);
            settings.client(node.ok_or((ErrorKind::InvalidClientConfig, "no node"))?)
        }
    }
}

/// The master, as the first sentinel says that answers. Each gets its share of the time; the one
/// that was asked last when time ran out is not the first to be asked the next time.
async fn master(settings: &Settings, next: &AtomicUsize) -> RedisResult<Client> {
    let mut last = RedisError::from((ErrorKind::EmptySentinelList, "no sentinel"));
    for _ in 0..settings.nodes.len() {
        let turn = next.load(Ordering::Relaxed) % settings.nodes.len();
        match timeout(settings.timeout, master_by(settings, turn)).await {
            Ok(Ok(client)) => return Ok(client),
            Ok(Err(error)) => last = error,
            Err(_) => last = RedisError::from((ErrorKind::Io, "a sentinel does not answer")),
        }
        next.fetch_add(1, Ordering::Relaxed);
    }
    Err(last)
}

async fn master_by(settings: &Settings, turn: usize) -> RedisResult<Client> {
    let sentinel = &settings.nodes[turn];
    let client = settings.sentinel(turn)?;
    let config = config(settings.timeout);
    let mut link = client.get_multiplexed_async_connection_with_config(&config).await?;
    let mut question = cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(&settings.master);
    let found: Option<(String, u16)> = question.query_async(&mut link).await?;
    let Some((host, port)) = found else {
        let text = "the sentinels know no master of this name";
        return Err((ErrorKind::MasterNameNotFoundBySentinel, text).into());
    };
    let client = settings.client(settings.server_at(sentinel, &host, port))?;
    // During a fail-over a sentinel may still name the old one.
    let mut link = client.get_multiplexed_async_connection_with_config(&config).await?;
    let role: Vec<Value> = cmd("ROLE").query_async(&mut link).await?;
    if is_master(role)? { Ok(client) } else { Err(replaced()) }
}

/// What a server says of its role.
fn is_master(role: Vec<Value>) -> RedisResult<bool> {
    let role: String = role.into_iter().next().map_or(Ok(String::new()), from_redis_value)?;
    Ok(role == "master")
}

fn replaced() -> RedisError {
    (ErrorKind::Io, "the master is being replaced").into()
}

async fn cluster(settings: &Settings) -> RedisResult<ClusterConnection> {
    let tls = settings.nodes.iter().any(|n| matches!(n.addr(), ConnectionAddr::TcpTls { .. }));
    let nodes: Vec<_> = settings.servers().collect();
    let mut builder = ClusterClient::builder(nodes)
        .connection_timeout(settings.timeout)
        .response_timeout(settings.timeout)
        .retries(2);
    if tls {
        builder = builder.tls(TlsMode::Secure);
    }
    if let Some(certificates) = &settings.certificates {
        builder = builder.certs(certificates.clone());
    }
    builder.build()?.get_async_connection().await
}

fn config(limit: Duration) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(limit))
        .set_response_timeout(Some(limit))
}
