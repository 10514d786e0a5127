//! Redis connection settings: addresses, mode and credentials. Holds passwords, so its `Debug` form
//! shows none.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisResult,
    TlsCertificates,
};

use crate::control::keystore::StoreError;

/// How the Redis servers are arranged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RedisMode {
    /// One server.
    #[default]
    Standalone,
    /// Several, of which Sentinel says which one is the master.
    Sentinel,
    /// A Redis Cluster.
    Cluster,
}

/// How to reach Redis.
#[derive(Clone)]
pub struct RedisSpec {
    /// `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS: the server, the
    /// sentinels, or some nodes of the cluster.
    pub urls: Vec<String>,
    /// How they are arranged.
    pub mode: RedisMode,
    /// What the sentinels call the master.
    pub master: String,
    /// User of the servers, if no URL says one. With Sentinel: of the servers behind it.
    pub user: Option<String>,
    /// Password, likewise.
    pub password: Option<String>,
    /// Certificates that are trusted, as a PEM file; without it those of the system.
    pub ca_file: Option<PathBuf>,
    /// How long connecting, and each answer, may take.
    pub timeout: Duration,
}

impl RedisSpec {
    /// One server, all else by default.
    #[cfg(test)]
    #[must_use]
    pub fn standalone(url: &str) -> Self {
        Self {
            urls: vec![url.to_owned()],
            mode: RedisMode::Standalone,
            master: "mymaster".to_owned(),
            user: None,
            password: None,
            ca_file: None,
            timeout: Duration::from_secs(1),
        }
    }
}

impl fmt::Debug for RedisSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<_> = self.urls.iter().map(|url| masked(url)).collect();
        f.debug_struct("RedisSpec")
            .field("urls", &urls)
            .field("mode", &self.mode)
            .field("master", &self.master)
            .finish_non_exhaustive()
    }
}

/// The URL without user and password.
pub(super) fn masked(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}"),
        None => format!("{scheme}://{rest}"),
    }
}

/// A [`RedisSpec`] that has been read and found audio.
pub(super) struct Settings {
    /// In the order of the URLs. With Sentinel these are the sentinels.
    pub(super) nodes: Vec<ConnectionInfo>,
    pub(super) mode: RedisMode,
    pub(super) master: String,
    /// How to be let in by a server (not a sentinel).
    pub(super) login: RedisConnectionInfo,
    pub(super) certificates: Option<TlsCertificates>,
    pub(super) timeout: Duration,
    /// The URLs without their secrets.
    pub(super) shown: String,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.mode, self.shown)
    }
}

impl Settings {
    pub(super) fn read(spec: &RedisSpec) -> Result<Self, StoreError> {
        let wrong = |text: String| Err(StoreError::Settings(text));
        let mut nodes: Vec<ConnectionInfo> = Vec::new();
        for url in &spec.urls {
            let shown = masked(url);
            if !url.starts_with("redis://") && !url.starts_with("rediss://") {
                return wrong(format!("{shown} is not redis://HOST:PORT or rediss://HOST:PORT"));
            }
            match url.as_str().into_connection_info() {
                Ok(info) => nodes.push(info),
                Err(error) => return wrong(format!("{shown} is not a URL of Redis: {error}")),
            }
        }
        let Some(first) = nodes.first() else {
            return wrong("redis needs a URL: write redis_url = \"redis://HOST:PORT\"".to_owned());
        };
        let login = login(first, spec);
        let certificates = match &spec.ca_file {
            None => None,
            Some(path) => match std::fs::read(path) {
                Ok(pem) => Some(TlsCertificates { client_tls: None, root_cert: Some(pem) }),
                Err(error) => {
                    return wrong(format!("`ca_file` {} cannot be read: {error}", path.display()));
                }
            },
        };
        let shown: Vec<_> = spec.urls.iter().map(|url| masked(url)).collect();
        let settings = Self {
            mode: spec.mode,
            master: spec.master.clone(),
            login,
            certificates,
            timeout: spec.timeout,
            shown: shown.join(", "),
            nodes,
        };
        for node in &settings.nodes {
            if let Err(error) = settings.client(node.clone()) {
                return wrong(format!("Redis cannot be used like this: {error}"));
            }
        }
        Ok(settings)
    }

    /// The nodes as servers: with the login of servers.
    pub(super) fn servers(&self) -> impl Iterator<Item = ConnectionInfo> {
        self.nodes.iter().map(|node| node.clone().set_redis_settings(self.login.clone()))
    }

    /// The server at an address that a sentinel gave, reached in the way the sentinel is.
    pub(super) fn server_at(
        &self,
        sentinel: &ConnectionInfo,
        host: &str,
        port: u16,
    ) -> ConnectionInfo {
        let address = match sentinel.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
                host: host.to_owned(),
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host.to_owned(), port),
        };
        sentinel.clone().set_addr(address).set_redis_settings(self.login.clone())
    }

    /// A sentinel, by its number modulo how many there are. It has no databases.
    pub(super) fn sentinel(&self, number: usize) -> RedisResult<Client> {
        let sentinel = &self.nodes[number % self.nodes.len()];
        let login = sentinel.redis_settings().clone().set_db(0);
        self.client(sentinel.clone().set_redis_settings(login))
    }

    /// A client that has not connected yet.
    pub(super) fn client(&self, node: ConnectionInfo) -> RedisResult<Client> {
        match (&self.certificates, node.addr()) {
            (Some(certificates), ConnectionAddr::TcpTls { .. }) => {
                Client::build_with_tls(node, certificates.clone())
            }
            _ => Client::open(node),
        }
    }
}

/// What the servers are told at the beginning of a connection.
fn login(first: &ConnectionInfo, spec: &RedisSpec) -> RedisConnectionInfo {
    let url = first.redis_settings();
    let mut login = url.clone();
    let own = spec.mode == RedisMode::Sentinel || url.password().is_none();
    if let Some(password) = spec.password.as_ref().filter(|_| own) {
        login = login.set_password(password);
        if let Some(user) = &spec.user {
            login = login.set_username(user);
        }
    }
    login
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown_anywhere() {
        let mut spec = RedisSpec::standalone("redis://me:s3cret@example:6380/2");
        spec.password = Some("s3cret".to_owned());
        let settings = Settings::read(&spec).unwrap();
        for text in [format!("{spec:?}"), format!("{settings:?}")] {
            assert!(!text.contains("s3cret") && text.contains("example:6380"), "{text}");
        }
        for bad in ["http://me:s3cret@example", "redis://me:s3cret@", "redis://:s3cret@h/x"] {
            spec.urls = vec![bad.to_owned()];
            let text = Settings::read(&spec).unwrap_err().to_string();
            assert!(!text.contains("s3cret"), "{text}");
        }
    }

    #[test]
    fn what_cannot_work_is_said_at_the_start() {
        let mut spec = RedisSpec::standalone("rediss://example");
        spec.ca_file = Some("/nowhere/ca.pem".into());
        let text = Settings::read(&spec).unwrap_err().to_string();
        assert!(text.contains("/nowhere/ca.pem"), "{text}");
        spec.urls.clear();
        assert!(Settings::read(&spec).unwrap_err().to_string().contains("redis_url"));
    }
}
