//! Listen addresses and cores of a node.

use std::net::{SocketAddr, TcpListener};

use super::listen::listen;
use super::secure::Secure;
use super::start_error::StartError;
use crate::config::Config;
use crate::runtime::{CorePlan, allowed_cpus, preflight};

/// Where so many shards listen, plainly and by TLS.
pub(super) fn open_doors(
    config: &Config,
    shards: usize,
) -> Result<(Vec<TcpListener>, SocketAddr, Secure), StartError> {
    let listeners =
        listen(config.rtmp.bind, config.rtmp.port, shards).map_err(StartError::Listen)?;
    let rtmp = listeners[0].local_addr().map_err(StartError::Thread)?;
    Ok((listeners, rtmp, Secure::open(config, shards)?))
}

/// What runs where, once nothing speaks against starting at all.
pub(super) fn checked_plan(config: &Config) -> Result<CorePlan, StartError> {
    if config.rtmp.is_open_to_all() {
        return Err(StartError::OpenToAll);
    }
    let driver = preflight(config.cores.driver).map_err(StartError::Machine)?;
    tracing::info!("shard driver {driver}");
    config.relays_to_itself().iter().for_each(|text| tracing::warn!("{text}"));
    let plan = CorePlan::new(&config.cores, &allowed_cpus(), driver).map_err(StartError::Cores)?;
    let crowded = plan.spun_away();
    if !crowded.is_empty() {
        tracing::warn!(
            "[cores] net_spin_us: shards spin on the CPUs {crowded:?}, which other roles of this \
             node use too; give those CPUs to net alone"
        );
    }
    Ok(plan)
}
