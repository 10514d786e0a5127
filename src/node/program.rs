//! The node as a program: starts it, shows what runs where, answers HTTP, and ends it on a signal.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::plan::{ProcessAccess, Setup};
use super::running::Node;
use super::start::start;
use super::tls::watch as watch_tls;
use super::{front, late};
use crate::command::Ask;
use crate::config::{Config, Errors, MAIN_RENDITION, Publish};
use crate::control::auth::{Token, Tokens};
use crate::control::channels::build::Frames;
use crate::control::hooks::Hooks;
use crate::control::log::LogLevel;
use crate::control::{ControlHandle, banner, http, status};
use crate::runtime::pin;
use crate::stats::{Meter, Snapshot};
use crate::tls::Acceptor;

/// Time between two looks at the figures.
const METER_EVERY: Duration = Duration::from_secs(1);

/// A status line is shown every so many looks.
const STATUS_EVERY: u32 = 3;

/// Columns of a terminal that does not say.
const COLUMNS: usize = 100;

/// Exit code after a second signal, by the shells' convention for SIGINT.
const EXIT_KILLED: i32 = 130;

/// Exit code after a core was lost without which the node is to end: `EX_SOFTWARE` of sysexits.h.
/// A service manager that restarts on failure starts the node again.
const EXIT_CORE_LOST: u8 = 70;

/// How the node came to its configuration, and what it logs.
pub struct Origin {
    /// Reads the configuration again, as it was read for the start.
    pub load: Box<dyn Fn() -> Result<Config, Errors> + Send + Sync>,
    /// What is logged; the API and a changed configuration may change it.
    pub log: LogLevel,
    /// Whether the environment says what is logged, which stands above the configuration.
    pub is_log_given: bool,
}

/// Runs a node until SIGINT or SIGTERM. SIGHUP has the configuration read again, unless the node
/// has a terminal. The exit code is 0 after an orderly end.
#[must_use]
pub fn run(config: &Config, origin: Origin) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &format!("cannot start the control plane: {error}")),
    };
    runtime.block_on(async {
        let listeners = match listeners(config).await {
            Ok(listeners) => listeners,
            Err(error) => return fail(1, &error.to_string()),
        };
        let setup = Setup {
            frames: Frames::Composed,
            is_program: true,
            process: ProcessAccess { raise_limits: true, ffmpeg_log: true },
            hooks: Hooks::new(),
        };
        match start(config, setup) {
            Ok(node) => match http_entry(config, listeners) {
                Ok(http_entry) => serve(config, node, http_entry, origin).await,
                Err(text) => fail(1, &text),
            },
            Err(error) => fail(error.exit_code(), &error.to_string()),
        }
    })
}

/// The ports of the control plane.
struct Listeners {
    http: Option<TcpListener>,
    obs_websocket: Option<TcpListener>,
}

async fn listeners(config: &Config) -> Result<Listeners, http::BindError> {
    let (web, obs) = (&config.http, &config.obs_websocket);
    let open = async |is_wanted, port, addr| match is_wanted {
        true => http::bind(port, addr).await.map(Some),
        false => Ok(None),
    };
    let addr = SocketAddr::new(web.bind, web.port);
    Ok(Listeners {
        http: open(web.enabled, http::Port::Http, addr).await?,
        obs_websocket: open(obs.enabled, http::Port::ObsWebSocket, obs.address()).await?,
    })
}

/// Where HTTP comes in.
struct HttpEntry {
    listener: TcpListener,
    tokens: Tokens,
    tls: Option<Acceptor>,
    /// Where programs that control OBS come in, and what they control.
    obs_websocket: Option<(TcpListener, http::ObsAccess)>,
}

fn http_entry(config: &Config, listeners: Listeners) -> Result<Option<HttpEntry>, String> {
    let Listeners { http, obs_websocket } = listeners;
    let Some(listener) = http else { return Ok(None) };
    let tokens = front::tokens(config).map_err(|error| error.to_string())?;
    let tls = front::https(config).map_err(|error| error.to_string())?;
    let obs_websocket = match obs_websocket {
        Some(listener) => Some((listener, front::obs_access(config)?)),
        None => None,
    };
    Ok(Some(HttpEntry { listener, tokens, tls, obs_websocket }))
}

#[expect(clippy::print_stderr, reason = "this is what the terminal shows")]
fn fail(code: u8, text: &str) -> ExitCode {
    eprintln!("error: {text}");
    ExitCode::from(code)
}

async fn serve(
    config: &Config,
    mut node: Node,
    http_entry: Option<HttpEntry>,
    Origin { load, log, is_log_given }: Origin,
) -> ExitCode {
    pin(&node.plan().control);
    let local = tokio::task::LocalSet::new();
    let hangup = || signal(SignalKind::hangup());
    let (Ok(mut terminate), Ok(mut interrupt), Ok(hung_up)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), hangup())
    else {
        return fail(1, "cannot listen for signals");
    };
    let gone = terminal_gone(hung_up, std::io::stdout().is_terminal(), node.handle());
    let log = Arc::new(log);
    log_as_kept(&log, &node, is_log_given);
    show_banner(config, &node, http_entry.as_ref());
    warn_if_open(config, &node);
    let (stop_control, control_stopped) = tokio::sync::oneshot::channel::<()>();
    let https = http_entry.as_ref().and_then(|http_entry| http_entry.tls.clone());
    let controller = node.take_controller().map(|mut controller| {
        controller.reloads.load = Some(Arc::from(load));
        controller.rules.acceptors.extend(https);
        controller.reloads.log = (!is_log_given).then(|| Arc::clone(&log));
        local.spawn_local(controller.run(control_stopped))
    });
    let names = config.channels.iter().map(|channel| channel.name.as_str());
    let readiness = Arc::new(
        http::Readiness::new(names, node.keys().cloned())
            .with_cores(Arc::clone(&node.registry().cores)),
    );
    readiness.set_listening();
    let traces = late::traces(config, &node);
    let (stop_http, http_stopped) = watch::channel(());
    if let (Some(tls), Ok(hangup)) = (node.tls(), hangup()) {
        local.spawn_local(watch_tls(tls.watcher(), hangup));
    }
    if let Some(HttpEntry { listener, tokens, tls, obs_websocket }) = http_entry {
        if let (Some(tls), Ok(hangup)) = (&tls, hangup()) {
            local.spawn_local(watch_tls(tls.watcher(), hangup));
        }
        let with = (&readiness, Arc::clone(&traces));
        let (state, collector) = front::front(config, &node, (tokens, log, tls), with);
        let events = Arc::clone(node.events());
        local.spawn_local(front::collect(collector, node.subscribe(), move || events.pop()));
        local.spawn_local(serve_ports(state, listener, obs_websocket, http_stopped));
    }
    local.spawn_local(watch_figures(&node, &readiness));
    local.spawn_local(late::keep_traces(&node, traces));
    let core_lost = node.core_lost();
    let code = local
        .run_until(async {
            tokio::select! {
                _ = terminate.recv() => ExitCode::SUCCESS,
                _ = interrupt.recv() => ExitCode::SUCCESS,
                () = gone => ExitCode::SUCCESS,
                () = core_lost => ExitCode::from(EXIT_CORE_LOST),
            }
        })
        .await;
    readiness.set_stopping();
    drop(stop_http);
    tracing::info!("stopping; a second signal ends at once");
    local
        .run_until(async {
            tokio::select! {
                () = end(node, controller, stop_control) => code,
                _ = terminate.recv() => std::process::exit(EXIT_KILLED),
                _ = interrupt.recv() => std::process::exit(EXIT_KILLED),
            }
        })
        .await
}

/// Answers at the ports of the control plane until `stopped` changes or its sender is dropped.
async fn serve_ports(
    state: http::HttpState,
    listener: TcpListener,
    obs_websocket: Option<(TcpListener, http::ObsAccess)>,
    stopped: watch::Receiver<()>,
) {
    let stopping = || {
        let mut stopped = stopped.clone();
        async move { drop(stopped.changed().await) }
    };
    let obs = async {
        if let Some((listener, access)) = obs_websocket {
            http::serve_obs_websocket(listener, state.clone(), access, stopping()).await;
        }
    };
    tokio::join!(http::serve(listener, state.clone(), stopping()), obs);
}

/// The meter's looks; those that were missed are not made up for.
fn looks() -> Interval {
    let mut every = interval(METER_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    every
}

/// Measures, and shows what it finds.
fn watch_figures(
    node: &Node,
    readiness: &Arc<http::Readiness>,
) -> impl Future<Output = ()> + use<> {
    let mut meter = Meter::new(Arc::clone(node.registry()));
    let clock = node.clock();
    let ready = Arc::clone(readiness);
    async move {
        let mut every = looks();
        for look in 0_u32.. {
            every.tick().await;
            let snapshot = meter.tick(clock.now());
            ready.update(&snapshot);
            if look > 0 && look % STATUS_EVERY == 0 {
                show_status(&snapshot);
            }
        }
    }
}

/// SIGHUP: the end of a node whose terminal has been closed. To any other it says that its
/// configuration has changed, or its certificates, which who watches them hears as well.
async fn terminal_gone(mut hangup: Signal, has_terminal: bool, handle: ControlHandle) {
    while hangup.recv().await.is_some() && !has_terminal {
        tracing::info!("SIGHUP: the configuration and the certificates are read again");
        // The controller tells what came of it.
        drop(handle.ask_patiently(Ask::Reload { actor: Some("signal".to_owned()) }).await);
    }
}

/// The log level is among what the API may have changed before this start.
fn log_as_kept(log: &LogLevel, node: &Node, is_given: bool) {
    let wanted = node.in_use().node.log.clone();
    if is_given || wanted == log.now() {
        return;
    }
    if let Err(fault) = log.set(&wanted) {
        tracing::warn!("the log level that was kept cannot be used: {fault}");
    }
}

fn warn_if_open(config: &Config, node: &Node) {
    if config.rtmp.publish == Publish::Open {
        let who = match config.rtmp.bind.is_loopback() {
            true => "every program on this machine",
            false => "anybody who reaches this port",
        };
        tracing::warn!(
            "publish = \"open\": {who} may publish at {}, under any name, without a key; \
             say publish = \"key\" to end that",
            node.rtmp()
        );
    }
}

/// Ends the node, then its controller, which tells what is left.
async fn end(
    node: Node,
    controller: Option<tokio::task::JoinHandle<()>>,
    stop_control: tokio::sync::oneshot::Sender<()>,
) {
    // Whatever became of it, the controller has nothing left to hear.
    drop(tokio::task::spawn_blocking(move || node.stop()).await);
    drop(stop_control);
    if let Some(controller) = controller {
        drop(controller.await);
    }
}

#[expect(clippy::print_stdout, reason = "this is what the terminal shows")]
fn show_banner(config: &Config, node: &Node, http_entry: Option<&HttpEntry>) {
    let token = http_entry.and_then(|http_entry| http_entry.tokens.admin()).map(Token::expose);
    let rtmps = config.tls.rtmps_port.map(|port| SocketAddr::new(node.rtmp().ip(), port));
    let channels: Vec<_> = config
        .channels
        .iter()
        .flat_map(|channel| {
            channel.streams().map(|(rendition, stream)| match rendition {
                MAIN_RENDITION => (channel.name.clone(), stream.to_owned()),
                rendition => (format!("{}/{rendition}", channel.name), stream.to_owned()),
            })
        })
        .collect();
    let key = node.development_key();
    // Elsewhere the text may end in a journal that others read.
    let is_watched = std::io::stdout().is_terminal();
    let style = match is_watched {
        true => banner::Style::Terminal,
        false => banner::Style::Plain,
    };
    let shown = key.map(|key| (key.stream.clone(), key.key.expose().to_owned()));
    let text = banner::text(
        &banner::Banner {
            node: &config.node.name,
            version: env!("CARGO_PKG_VERSION"),
            rtmp: node.rtmp(),
            channels: &channels,
            development: shown.as_ref().map(|(stream, key)| banner::DevelopmentKey { stream, key }),
            rtmps,
            http: http_entry.and_then(|http_entry| http_entry.listener.local_addr().ok()),
            is_https: config.tls.https,
            obs_websocket: http_entry.and_then(|entry| {
                let (listener, _) = entry.obs_websocket.as_ref()?;
                listener.local_addr().ok()
            }),
            token: token.filter(|_| is_watched),
        },
        style,
    );
    print!("{text}");
    flush();
}

/// One line about the figures: in place on a terminal, a line of its own elsewhere.
#[expect(clippy::print_stdout, reason = "this is what the terminal shows")]
fn show_status(snapshot: &Snapshot) {
    let line = status::line(snapshot);
    if std::io::stdout().is_terminal() {
        print!("{}", status::in_place(&line, columns()));
    } else {
        println!("{line}");
    }
    flush();
}

/// A closed terminal is no reason to end a node.
fn flush() {
    drop(std::io::stdout().flush());
}

fn columns() -> usize {
    std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).unwrap_or(COLUMNS)
}
