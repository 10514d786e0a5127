//! The front of a node that runs as a program: who looks at its state, and what its HTTP side is
//! made of.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{Config, Role, TokenConfig};
use crate::control::asset_folder::AssetFolder;
use crate::control::auth::{
    self, Access, OBS_PASSWORD_FILE, READONLY_TOKEN_FILE, TOKEN_FILE, TokenError, TokenPlace,
    Tokens,
};
use crate::control::banner::rtmp_url;
use crate::control::clip_folder::ClipFolder;
use crate::control::hooks::Subscriber;
use crate::control::http::{Api, HttpState, NodeInfo, ObsAccess, Readiness};
use crate::control::log::LogLevel;
use crate::control::placement;
use crate::control::state::{Cores, Driver, NodeDescription, StateCollector, flv_base};
use crate::control::time::Time;
use crate::control::traces::Traces;
use crate::event::NodeEvent;
use crate::node::running::Node;
use crate::tls::{self, Acceptor};

/// Events that may wait for the collector.
const EVENTS_WAITING: usize = 256;

/// Reads the tokens, or makes them.
///
/// # Errors
/// If that is not possible.
pub(crate) fn tokens(config: &Config) -> Result<Tokens, TokenError> {
    let place = |name| config.node.data_dir().join(name);
    match config.http.auth {
        true => {
            let named: Vec<_> = config.http.tokens.iter().map(token_place).collect();
            Tokens::open(&place(TOKEN_FILE), &place(READONLY_TOKEN_FILE), &named)
        }
        false => Ok(Tokens::Off),
    }
}

fn token_place(config: &TokenConfig) -> TokenPlace {
    TokenPlace {
        name: config.name.clone(),
        access: match config.role {
            Role::Admin => Access::Write,
            Role::Operator => Access::Operate,
            Role::ReadOnly => Access::Read,
        },
        file: config.file.clone(),
    }
}

/// What programs that control OBS may control, with the password that they show.
///
/// # Errors
/// If there is no channel, or no password can be read or made.
pub(crate) fn obs_access(config: &Config) -> Result<ObsAccess, String> {
    let of = &config.obs_websocket;
    let first = config.channels.first().map(|channel| channel.name.clone());
    let channel = of.channel.clone().or(first);
    let channel = channel.ok_or("[obs_websocket] controls a channel, and there is none")?;
    let own = || config.node.data_dir().join(OBS_PASSWORD_FILE);
    let file = of.password_file.clone().unwrap_or_else(own);
    let password = auth::open(&file).map_err(|error| error.to_string())?;
    Ok(ObsAccess { channel, password })
}

/// What HTTP answers from, and who keeps the state.
pub(crate) fn front(
    config: &Config,
    node: &Node,
    (tokens, log, tls): (Tokens, Arc<LogLevel>, Option<Acceptor>),
    (readiness, traces): (&Arc<Readiness>, Arc<Traces>),
) -> (HttpState, StateCollector) {
    let clock = node.clock();
    let started = clock.unix_millis().saturating_sub(clock.now().millis());
    let time = Time::new(started, move || clock.now());
    let (registry, keys) = (Arc::clone(node.registry()), node.keys().cloned());
    let flv = flv_place(config, node);
    registry.set_streams_max(config.metrics.streams_max);
    let facts = facts(config, node, flv);
    let collector = StateCollector::new(node.handle(), registry, keys.clone(), time.clone(), facts);
    let api = Api {
        handle: node.handle(),
        board: collector.board(),
        keys,
        tokens,
        assets: Arc::new(AssetFolder::new(&config.assets, config.node.data_dir.as_deref())),
        clips: Arc::new(ClipFolder::new(&config.clips, config.node.data_dir.as_deref())),
        traces,
        snapshots: Arc::clone(node.snapshots()),
        log,
        time,
        publish_url: format!("{}/live", rtmp_url(node.rtmp())),
        flv_base: flv_base(flv),
    };
    let state = HttpState {
        registry: Arc::clone(node.registry()),
        readiness: Arc::clone(readiness),
        info: NodeInfo {
            name: config.node.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            rtmp: node.rtmp(),
            flv,
        },
        rules: Arc::clone(node.http_rules()),
        tls,
        api: Arc::new(api),
        cors: config.http.cors.clone(),
    };
    (state, collector)
}

/// Passes the node's events on to the collector, which looks at the node meanwhile; to the node's
/// end. `told` says when there are some; they are taken from the queue, in which viewers' events do
/// not push out others.
pub(crate) async fn collect(
    collector: StateCollector,
    mut told: Subscriber,
    take: impl Fn() -> Option<NodeEvent> + 'static,
) {
    let (events, heard) = tokio::sync::mpsc::channel(EVENTS_WAITING);
    let pass = async move {
        loop {
            while let Some(event) = take() {
                if events.send(event).await.is_err() {
                    return;
                }
            }
            if told.next().await.is_none() {
                return;
            }
        }
    };
    tokio::join!(collector.run(heard), pass);
}

/// Where pages of ours play streams: one that came by TLS may not load plainly.
fn flv_place(config: &Config, node: &Node) -> (SocketAddr, bool) {
    match config.tls.rtmps_port {
        Some(port) if config.tls.https => (SocketAddr::new(node.rtmp().ip(), port), true),
        _ => (node.rtmp(), false),
    }
}

/// What the HTTP side meets peers with by TLS, if it is to.
pub(crate) fn https(config: &Config) -> Result<Option<Acceptor>, tls::Error> {
    let files = config.tls.certificate.clone().filter(|_| config.tls.https);
    files.map(|files| Acceptor::load(files, &["http/1.1"])).transpose()
}

fn facts(config: &Config, node: &Node, flv: (SocketAddr, bool)) -> NodeDescription {
    let plan = node.plan().clone();
    NodeDescription {
        name: config.node.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        rtmp_port: node.rtmp().port(),
        flv_base: flv_base(flv),
        cores: Cores {
            control: plan.control,
            net: plan.net,
            compose: plan.compose,
            encode: plan.encode,
        },
        driver: Driver { kind: plan.driver.kind.to_string(), reason: plan.driver.reason },
        placement: placement::rule(),
    }
}
