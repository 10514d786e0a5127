//! Tests of the HTTP server over a real socket.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;

use super::*;
use crate::control::auth::Tokens;
use crate::control::control_channel;
use crate::media::Micros;
use crate::stats::{ChannelEntry, Meter, OutputEntry, Registry, ShardStats};
use crate::web::Cors;

struct Answer {
    code: u16,
    head: String,
    body: String,
}

fn state() -> HttpState {
    let channel = ChannelEntry {
        name: "demo".into(),
        stream: "live/demo".into(),
        facts: Arc::default(),
        stats: Arc::default(),
        renditions: Vec::new(),
        audio: None,
    };
    let url = "rtmp://a.example/app/secret";
    let output = OutputEntry::new("demo", "one", url, Arc::default());
    let shards = vec![Arc::new(ShardStats::default())];
    HttpState {
        registry: Arc::new(Registry::new(shards, vec![channel], vec![output])),
        readiness: Arc::new(Readiness::new(["demo"], None)),
        info: NodeInfo {
            name: "studio".into(),
            version: "1.2.3".into(),
            rtmp: "0.0.0.0:1935".parse().unwrap(),
            flv: ("0.0.0.0:1935".parse().unwrap(), false),
        },
        rules: Arc::new(ArcSwap::from_pointee(HttpRules {
            proxies: [].into(),
            flv_cors: Cors::SameHost,
        })),
        tls: None,
        api: Arc::new(api::tests::api(control_channel().0, Tokens::Off)),
        cors: Cors::Nobody,
    }
}

/// Serves `state` while each of `requests` is made on a connection of its own.
async fn answers(state: HttpState, requests: &[&str]) -> Vec<Answer> {
    let listener = bind(Port::Http, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, state, async {
        stopped.await.unwrap();
    }));
    let mut answers = Vec::new();
    for request in requests {
        answers.push(exchange(addr, request).await);
    }
    stop.send(()).unwrap();
    server.await.unwrap();
    answers
}

async fn exchange(addr: SocketAddr, request: &str) -> Answer {
    let socket = TcpStream::connect(addr).await.unwrap();
    socket.writable().await.unwrap();
    assert_eq!(socket.try_write(request.as_bytes()).unwrap(), request.len());
    let text = read_to_end(&socket).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { code, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

pub(super) async fn read_to_end(socket: &TcpStream) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4_096]);
    loop {
        socket.readable().await.unwrap();
        match socket.try_read(&mut buffer) {
            Ok(0) => return String::from_utf8(bytes).unwrap(),
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn request(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

async fn get_one(state: HttpState, path: &str) -> Answer {
    answers(state, &[&request("GET", path)]).await.remove(0)
}

#[tokio::test]
async fn health_is_ok_as_long_as_the_process_answers() {
    let answer = get_one(state(), "/healthz").await;
    assert_eq!((answer.code, answer.body.trim()), (200, "ok"));
}

#[tokio::test]
async fn readiness_says_what_is_missing_until_nothing_is() {
    let state = state();
    let answer = get_one(state.clone(), "/readyz").await;
    assert_eq!(answer.code, 503);
    let missing: Vec<String> = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(missing, ["RTMP does not listen yet", "channel demo produces no frames"]);

    let mut meter = Meter::new(Arc::clone(&state.registry));
    meter.tick(Micros(0));
    state.registry.channels()[0].stats.encoded(1, true);
    state.readiness.update(&meter.tick(Micros::from_secs(1)));
    state.readiness.set_listening();
    let answer = get_one(state, "/readyz").await;
    assert_eq!((answer.code, answer.body.as_str()), (200, "[]"));
}

#[tokio::test]
async fn metrics_have_the_type_that_prometheus_expects() {
    let answer = get_one(state(), "/metrics").await;
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    assert!(answer.body.contains("encoder_fps{channel=\"demo\"}"), "{}", answer.body);
}

#[tokio::test]
async fn the_status_holds_play_urls_and_no_secret() {
    let state = state();
    state.registry.channels()[0].stats.rtmp_seconds(Micros::from_millis(9));
    let answer = get_one(state, "/status.json").await;
    let status: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(status["node"]["name"], "studio");
    assert_eq!(status["node"]["ready"], false);
    let channel = &status["channels"][0];
    assert_eq!(channel["play_url"], "rtmp://127.0.0.1:1935/live/demo");
    assert_eq!(channel["latency_ms"]["p99"], 10.0);
    assert_eq!(channel["encode_ms"], serde_json::Value::Null);
    assert_eq!(channel["dropped_by"]["late"], 0);
    assert_eq!(status["outputs"][0]["destination"], "rtmp://a.example/app/***");
    assert!(!answer.body.contains("secret"), "{}", answer.body);
}

#[tokio::test]
async fn the_dashboard_is_served_and_may_load_nothing_from_elsewhere() {
    let requests = ["/", "/assets/app.js", "/assets/app.css"].map(|path| request("GET", path));
    let answers = answers(state(), &requests.each_ref().map(String::as_str)).await;
    for (answer, kind) in answers.iter().zip(["text/html", "text/javascript", "text/css"]) {
        assert_eq!(answer.code, 200);
        assert!(answer.head.contains(&format!("content-type: {kind}")), "{}", answer.head);
        let policy = "content-security-policy: default-src 'self'; connect-src 'self' ws://a ";
        assert!(answer.head.contains(policy), "{}", answer.head);
    }
    assert!(answers[0].body.contains("/assets/app.js"), "{}", answers[0].body);
}

#[tokio::test]
async fn only_reading_is_possible() {
    let requests = [
        request("HEAD", "/metrics"),
        request("POST", "/metrics"),
        request("DELETE", "/"),
        request("GET", "/other"),
    ];
    let answers = answers(state(), &requests.each_ref().map(String::as_str)).await;
    assert_eq!(answers.iter().map(|a| a.code).collect::<Vec<_>>(), [200, 405, 405, 404]);
    assert!(answers[0].body.is_empty(), "HEAD has no body");
    assert!(answers[1].head.contains("allow: get,head"), "{}", answers[1].head);
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let many = "X: y\r\n".repeat(65);
    let long = format!("X: {}\r\n", "y".repeat(17 << 10));
    let requests =
        [many, long].map(|headers| format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
    let answers = answers(state(), &requests.each_ref().map(String::as_str)).await;
    assert_eq!(answers.iter().map(|a| a.code).collect::<Vec<_>>(), [431, 431]);
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let listener = bind(Port::Http, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, state(), async {
        stopped.await.unwrap();
    }));
    let idle = TcpStream::connect(addr).await.unwrap();
    exchange(addr, &request("GET", "/healthz")).await; // the idle one was accepted before it
    stop.send(()).unwrap();
    server.await.unwrap();
    assert_eq!(read_to_end(&idle).await, "");
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let first = bind(Port::Http, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let addr = first.local_addr().unwrap();
    let error = bind(Port::Http, addr).await.unwrap_err().to_string();
    assert!(error.contains(&format!("port {} is in use", addr.port())), "{error}");
    assert!(error.ends_with("choose another port with [http] port"), "{error}");
    let foreign = bind(Port::Http, "192.0.2.1:8080".parse().unwrap()).await.unwrap_err();
    assert!(foreign.to_string().ends_with("see [http] bind"), "{foreign}");
    let obs = bind(Port::ObsWebSocket, addr).await.unwrap_err().to_string();
    assert!(obs.ends_with("choose another port with [obs_websocket] port"), "{obs}");
}
