//! Redis servers for the tests, each with a port and a folder of its own, ended with their test.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

use super::*;
use crate::control::keystore::redis::RedisSpec;

/// The password of all servers.
pub(super) const PASSWORD: &str = "s3cret-of-redis";

/// A running server.
pub(super) struct Server {
    child: Child,
    /// Goes with it.
    _dir: TempDir,
    pub(super) port: u16,
}

impl Server {
    /// Starts a server with these options beside the usual ones, and waits until it listens.
    pub(super) async fn start(options: &[&str]) -> Self {
        Self::start_on(free_port(), options).await
    }

    /// The same on a given port.
    pub(super) async fn start_on(port: u16, options: &[&str]) -> Self {
        let usual = format!("--port {port} --bind 127.0.0.1 --save  --appendonly no");
        // Two blanks hold an empty value between them: nothing is written to the disk.
        let usual: Vec<_> = usual.split(' ').collect();
        Self::launch(port, |dir| {
            let mut command = Command::new("redis-server");
            command.args(&usual).arg("--dir").arg(dir).args(options);
            command
        })
        .await
    }

    /// A server that wants a password.
    pub(super) async fn with_password() -> Self {
        Self::start(&["--requirepass", PASSWORD]).await
    }

    /// A server that speaks TLS only, with the given certificate options.
    pub(super) async fn start_with_tls(options: &[&str]) -> Self {
        let port = free_port();
        let tls = ["--requirepass", PASSWORD, "--tls-port", &port.to_string()].map(str::to_owned);
        let tls: Vec<_> = tls.iter().map(String::as_str).collect();
        Self::start_on(port, &[&tls[..], options].concat()).await
    }

    /// A sentinel that watches a master.
    pub(super) async fn sentinel(master: u16) -> Self {
        let port = free_port();
        Self::launch(port, |dir| {
            let file = dir.join("sentinel.conf");
            let text = format!(
                "port {port}\nbind 127.0.0.1\ndir {}\n\
                 sentinel monitor mymaster 127.0.0.1 {master} 1\n\
                 sentinel auth-pass mymaster {PASSWORD}\n\
                 sentinel down-after-milliseconds mymaster 500\n\
                 sentinel failover-timeout mymaster 3000\n",
                dir.display()
            );
            std::fs::write(&file, text).unwrap();
            let mut command = Command::new("redis-server");
            command.arg(file).arg("--sentinel");
            command
        })
        .await
    }

    async fn launch(port: u16, command: impl FnOnce(&Path) -> Command) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = command(dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("redis-server does not start ({error}): `make deps` installs it")
        });
        let server = Self { child, _dir: dir, port };
        wait_until("Redis listens", async || {
            TcpStream::connect(("127.0.0.1", port)).ok().map(drop)
        })
        .await;
        server
    }

    /// Its address with the password.
    pub(super) fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    /// Sends a signal by its name, such as `STOP`.
    pub(super) fn signal(&self, signal: &str) {
        let kill = format!("kill -s {signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// What redis-cli prints when it asks this.
    pub(super) fn cli(&self, question: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port.to_string(), "--no-auth-warning", "-a", PASSWORD]);
        let output = command.args(question).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Three masters that share the keys.
pub(super) async fn cluster() -> Vec<Server> {
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let bus = free_port().to_string();
        let login = ["--requirepass", PASSWORD, "--masterauth", PASSWORD];
        let cluster = ["--cluster-enabled", "yes", "--cluster-port", &bus];
        nodes.push(Server::start(&[&login[..], &cluster[..]].concat()).await);
    }
    let mut addresses: Vec<_> =
        nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    addresses.push("--cluster-yes".to_owned());
    let create: Vec<&str> =
        ["--cluster", "create"].into_iter().chain(addresses.iter().map(String::as_str)).collect();
    let said = nodes[0].cli(&create);
    assert!(said.contains("All 16384 slots covered"), "{said}");
    for node in &nodes {
        wait_until("the cluster is ready", async || {
            node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok").then_some(())
        })
        .await;
    }
    nodes
}

/// How the tests reach Redis: they do not wait long for one that is away.
pub(super) fn spec(urls: &[String]) -> RedisSpec {
    let mut spec = RedisSpec::standalone("");
    spec.urls = urls.to_vec();
    spec
}

/// A TCP port below those that the system gives to outgoing connections, and never the same twice:
/// two servers that both found it free would be taken for each other.
fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 5_000;
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    // Two runs of the tests on one machine begin at different places.
    let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap();
    for _ in 0..COUNT {
        let step = GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (start + step % COUNT) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free TCP port");
}
