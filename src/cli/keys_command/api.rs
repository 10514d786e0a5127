//! A running node's API, as the command line uses it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::time::timeout;

use crate::config::Config;
use crate::control::http::CLI_AGENT;

/// File in the data directory that holds the token.
const TOKEN_FILE: &str = "api-token";

/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Largest answer, bytes: a list of very many keys.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Digits of a key's id.
const ID_DIGITS: usize = 16;

/// What the API is asked for: the words when it cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// Keys, because the node has their store open.
    Keys,
    /// The configuration in use.
    Export,
}

impl Asker {
    const fn begin(self) -> &'static str {
        match self {
            Self::Keys => "a node has the key store open, and its",
            Self::Export => "only a running node knows what it has in use: its",
        }
    }

    const fn end(self) -> &'static str {
        match self {
            Self::Keys => "or stop the node",
            Self::Export => "and start the node",
        }
    }
}

/// How to reach the API. Holds the token, so there is no `Debug`.
pub(super) struct Api {
    client: Client<HttpConnector, Full<Bytes>>,
    address: String,
    token: String,
    asker: Asker,
}

impl Api {
    /// The API of the node with this configuration.
    pub(super) fn of(config: &Config, address: Option<&str>, asker: Asker) -> Result<Self, String> {
        let (begin, end) = (asker.begin(), asker.end());
        if address.is_none() && !config.http.enabled {
            return Err(format!("{begin} [http] is off; turn [http] on, {end}"));
        }
        let file = config.node.data_dir().join(TOKEN_FILE);
        let token = fs::read_to_string(&file).map_err(|error| {
            format!(
                "{begin} API's token {} cannot be read: {error}; use the same user, {end}",
                file.display()
            )
        })?;
        let own = || reachable(config.http.bind, config.http.port).to_string();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            address: address.map_or_else(own, str::to_owned),
            token: token.trim().to_owned(),
            asker,
        })
    }

    /// All keys.
    pub(super) async fn list(&self) -> Result<Vec<Value>, String> {
        match self.send("GET", "keys", None).await? {
            Value::Array(keys) => Ok(keys),
            _ => Err("the node's answer is no list of keys; is it of another version?".to_owned()),
        }
    }

    /// The id of the key with this id or alias.
    pub(super) async fn id_of(&self, key: &str) -> Result<String, String> {
        let is_hex = key.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex && key.len() == ID_DIGITS {
            return Ok(key.to_ascii_lowercase());
        }
        let all = self.list().await?;
        let named = |one: &&Value| {
            one["aliases"].as_array().is_some_and(|names| names.iter().any(|name| name == key))
        };
        let found = all.iter().find(named).and_then(|one| one["id"].as_str());
        found
            .map(str::to_owned)
            .ok_or_else(|| "there is no such key; `keys list` shows all".to_owned())
    }

    /// Sends a request below `/api/v1/` and gives the answer; `null` for an empty one.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, String> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.send_text(method, path, body).await
    }

    /// The same with a body that is any text.
    pub(super) async fn send_text(
        &self,
        method: &str,
        path: &str,
        body: String,
    ) -> Result<Value, String> {
        let body = self.exchange(method, path, body).await?;
        Ok(serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// An answer that is any text.
    pub(super) async fn text(&self, path: &str) -> Result<String, String> {
        let body = self.exchange("GET", path, String::new()).await?;
        String::from_utf8(body.into()).map_err(|_| "the node's answer is no text".to_owned())
    }

    async fn exchange(&self, method: &str, path: &str, body: String) -> Result<Bytes, String> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}/api/v1/{path}", self.address))
            .header("Authorization", format!("Bearer {}", self.token))
            .header("Content-Type", "application/json")
            .header("User-Agent", CLI_AGENT)
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| format!("{} is no address: {error}", self.address))?;
        let work = async {
            let answer = self.client.request(request).await.map_err(|error| error.to_string())?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
            let body = body.collect().await.map_err(|error| error.to_string())?;
            Ok((status, body.to_bytes()))
        };
        let failed = |error: String| {
            format!(
                "{} API at {} does not answer ({error}); say where it is with --api HOST:PORT, {}",
                self.asker.begin(),
                self.address,
                self.asker.end()
            )
        };
        let answer = timeout(ANSWER_LIMIT, work).await;
        let (status, body) = answer.map_err(|_| failed("no answer".to_owned()))?.map_err(failed)?;
        if status.is_success() {
            return Ok(body);
        }
        let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Err(problem(status.as_u16(), &value))
    }
}

/// An address that this machine reaches a listener at.
pub(super) fn reachable(bind: IpAddr, port: u16) -> SocketAddr {
    let host = match bind {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(host, port)
}

/// What a refusal says, with the hint.
fn problem(status: u16, value: &Value) -> String {
    let texts = ["detail", "hint"].iter().filter_map(|name| value[*name].as_str());
    let texts: Vec<_> = texts.filter(|text| !text.is_empty()).collect();
    match (texts.is_empty(), value["title"].as_str()) {
        (false, _) => texts.join("; "),
        (true, Some(title)) => title.to_owned(),
        (true, None) => format!("the node refuses this with status {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A node that answers one request, and what it was asked.
    async fn ask(status: &str, answer: &str) -> (Result<Value, String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(TOKEN_FILE), "t0ken\n").unwrap();
        let mut config = Config::empty();
        config.node.data_dir = Some(dir.path().to_owned());
        config.http.port = listener.local_addr().unwrap().port();
        let api = Api::of(&config, None, Asker::Keys).unwrap();
        let text = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
            answer.len()
        );
        let node = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"}") {
                assert!(socket.read_buf(&mut asked).await.unwrap() > 0, "{asked:?}");
            }
            socket.write_all(text.as_bytes()).await.unwrap();
            String::from_utf8(asked).unwrap()
        };
        let body = Some(json!({ "stream": "live/a" }));
        tokio::join!(api.send("POST", "keys", body), node)
    }

    #[tokio::test]
    async fn a_request_carries_token_and_body_and_gives_the_answer() {
        let (answer, asked) = ask("201 Created", r#"{"secret":"abc"}"#).await;
        assert_eq!(answer.unwrap()["secret"], "abc");
        assert!(asked.starts_with("POST /api/v1/keys HTTP/1.1"), "{asked}");
        assert!(asked.to_lowercase().contains("authorization: bearer t0ken"), "{asked}");
        assert!(asked.ends_with(r#"{"stream":"live/a"}"#), "{asked}");
    }

    #[tokio::test]
    async fn a_refusal_says_why_and_what_to_do() {
        let body = r#"{"title":"Bad","detail":"no such stream","hint":"choose another"}"#;
        let (answer, _) = ask("422 Unprocessable Content", body).await;
        assert_eq!(answer.unwrap_err(), "no such stream; choose another");
        let (answer, _) = ask("500 Internal Server Error", "").await;
        assert!(answer.unwrap_err().contains("500"));
    }

    #[test]
    fn without_a_token_the_way_out_is_told() {
        let mut config = Config::empty();
        config.node.data_dir = Some("/nowhere".into());
        let export = Api::of(&config, None, Asker::Export).err().unwrap();
        assert!(export.contains("/nowhere/api-token") && export.contains("start the node"));
        let error = Api::of(&config, None, Asker::Keys).err().unwrap();
        assert!(error.contains("/nowhere/api-token") && error.contains("stop the node"), "{error}");
    }
}
