//! Tests of the API over a real socket, with a node that answers as each test says.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_lite::StreamExt;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::*;
use crate::command::{
    Ask, ClientView, PublisherView, SceneView, ScenesView, StreamView, TrackPart,
};
use crate::config::{AssetsConfig, ClipsConfig};
use crate::control::asset_folder::AssetFolder;
use crate::control::auth::{Access, TokenPlace, Tokens};
use crate::control::clip_folder::ClipFolder;
use crate::control::http::{HttpRules, HttpState, NodeInfo, Port, Readiness, bind, serve};
use crate::control::keystore::{Keys, embedded};
use crate::control::log::LogLevel;
use crate::control::state::{Board, Snapshot, Stream};
use crate::control::stream_snapshots::StreamSnapshots;
use crate::control::time::Time;
use crate::control::traces::Traces;
use crate::control::{ControlHandle, control_channel};
use crate::media::Micros;
use crate::runtime::Clock;
use crate::stats::{Registry, RunState, ShardStats};
use crate::web::Cors;

/// An API without keys.
pub(in crate::control::http) fn api(handle: ControlHandle, tokens: Tokens) -> Api {
    let snapshots = Arc::new(StreamSnapshots::new(handle.clone(), Clock::start()));
    Api {
        handle,
        snapshots,
        board: Arc::new(Board::new(Snapshot::default())),
        keys: None,
        tokens,
        assets: Arc::new(AssetFolder::new(&AssetsConfig::default(), None)),
        clips: Arc::new(ClipFolder::new(&ClipsConfig::default(), None)),
        traces: Arc::new(Traces::new("test", None, Arc::default(), Clock::start())),
        log: Arc::new(LogLevel::new("info", |level| match level {
            "loud" => Err("there is no level loud".to_owned()),
            _ => Ok(()),
        })),
        time: Time::new(1_000, || Micros::from_secs(1)),
        publish_url: "rtmp://127.0.0.1:1935/live".to_owned(),
        flv_base: "http://127.0.0.1:1935".to_owned(),
    }
}

/// A server with a controller that knows a stream, a client and a scene.
struct Server {
    addr: SocketAddr,
    dir: tempfile::TempDir,
    board: Arc<Board>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<()>,
}

struct Answer {
    code: u16,
    head: String,
    body: Value,
}

fn stream() -> StreamView {
    StreamView {
        name: "live/a<b".to_owned(),
        source: "publisher",
        publisher: Some(PublisherView {
            id: "ABCDEFGH".to_owned(),
            address: "192.0.2.1:9".parse().unwrap(),
            agent: "obs/1".to_owned(),
            holder: None,
        }),
        since: Micros(0),
        viewers: 1,
        other_readers: [0, 1, 0, 0],
        bytes_in: 10,
        bytes_out: 20,
        bitrate_bps: 1e6,
        out_bps: 0.0,
        keyframe_interval: None,
        av_offset_ms: None,
        video: None,
        audio: None,
        tracks: [TrackPart::default(); 2],
    }
}

fn client() -> ClientView {
    ClientView {
        id: "IJKLMNOP".to_owned(),
        address: "192.0.2.2:9".parse().unwrap(),
        state: "player",
        protocol: "rtmp",
        stream: "live/a<b".to_owned(),
        since: Micros(0),
        bytes_in: 1,
        bytes_out: 2,
        dropped: 3,
        agent: "vlc".to_owned(),
        holder: None,
    }
}

fn controller(ask: &Ask) -> crate::command::Answer {
    use crate::command::Answer;
    match ask {
        Ask::Streams => Answer::Streams(vec![stream()]),
        Ask::Clients { .. } => Answer::Clients(vec![client()]),
        Ask::Kick { client, actor: Some(_) } if client == "IJKLMNOP" => Answer::Done,
        Ask::Kick { client, .. } => Answer::NotFound(format!("there is no client {client}")),
        Ask::Scenes { .. } => {
            let transition = json!({"type": "cut"});
            let names = vec!["a".to_owned()];
            Answer::Scenes(ScenesView { active: "a".to_owned(), names, transition })
        }
        Ask::Scene { scene, .. } => Answer::Scene(SceneView {
            name: scene.clone(),
            version: 7,
            document: json!({"background": "#000000"}),
        }),
        Ask::PutScene { version: Some(7) | None, .. } | Ask::PutTransition { .. } => Answer::Done,
        Ask::Activate { transition: Some(how), .. } if how["duration_ms"] == 200 => Answer::Done,
        Ask::Activate { transition: Some(_), .. } => {
            Answer::Invalid(vec!["transition.type: it is wrong".to_owned()])
        }
        Ask::PutScene { .. } => Answer::Conflict("it has changed".to_owned()),
        Ask::AddOutput { document, .. } if document.0["url"] == "x" => {
            Answer::Invalid(vec!["`url`: it is no address".to_owned()])
        }
        Ask::AddOutput { .. } => Answer::Named("cdn".to_owned()),
        Ask::LogChanged(_) | Ask::StartRecording { .. } | Ask::RemoveRecording { .. } => {
            Answer::Done
        }
        Ask::Config { secrets: false } => Answer::Config("[node]\n".to_owned().into()),
        Ask::AddPull { .. } => Answer::Named("in".to_owned()),
        Ask::AddPush { .. } => Answer::Named("up".to_owned()),
        Ask::StopPull { .. } | Ask::StartPush { .. } | Ask::RemovePull { .. } => Answer::Done,
        Ask::RemovePush { name } => Answer::NotFound(format!("there is no push {name}")),
        Ask::AddRecording { document } if document["name"] == "show" => {
            Answer::Named("show".to_owned())
        }
        Ask::AddRecording { .. } => Answer::Invalid(vec!["the recording needs `name`".to_owned()]),
        Ask::StopRecording { name } => Answer::NotFound(format!("there is no recording {name}")),
        _ => Answer::Unavailable("not now".to_owned()),
    }
}

impl Server {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [admin, reader] = ["api-token", "api-token-readonly"].map(|name| dir.path().join(name));
        let named = TokenPlace {
            name: "bot".to_owned(),
            access: Access::Operate,
            file: dir.path().join("bot-token"),
        };
        let tokens = Tokens::open(&admin, &reader, &[named]).unwrap();
        let (handle, mut questions) = control_channel();
        tokio::spawn(async move {
            while let Some((ask, reply)) = questions.recv().await {
                drop(reply.send(controller(&ask)));
            }
        });
        let store = embedded::open(dir.path()).unwrap();
        let keys = Keys::new(Arc::new(store), || 1_700_000_000);
        let api = Api { keys: Some(keys), ..api(handle, tokens) };
        let board = Arc::clone(&api.board);
        let state = HttpState {
            registry: Arc::new(Registry::new(
                vec![Arc::new(ShardStats::default())],
                vec![],
                vec![],
            )),
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
            api: Arc::new(api),
            cors: Cors::One("https://a.example".to_owned()),
        };
        let listener = bind(Port::Http, "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let served = tokio::spawn(serve(listener, state, async {
            drop(stopped.await);
        }));
        Self { addr, dir, board, stop: Some(stop), served }
    }

    fn token(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap().trim().to_owned()
    }

    async fn ask(&self, token: &str, request: &str, body: &str) -> Answer {
        let length = body.len();
        let text = format!(
            "{request} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {token}\
             \r\nOrigin: https://a.example\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let socket = TcpStream::connect(self.addr).await.unwrap();
        let mut sent = 0;
        while sent < text.len() {
            socket.writable().await.unwrap();
            sent += socket.try_write(&text.as_bytes()[sent..]).unwrap_or(0);
        }
        let text = crate::control::http::tests::read_to_end(&socket).await;
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Answer {
            code: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: serde_json::from_str(body).unwrap_or_else(|_| body.into()),
        }
    }

    /// As who may do everything.
    async fn admin(&self, request: &str, body: &str) -> Answer {
        self.ask(&self.token("api-token"), request, body).await
    }

    async fn follow(&self, token: &str, since: &str) -> Follow {
        use tokio_tungstenite::tungstenite::client::IntoClientRequest;
        let mut request = format!("ws://{}/ws{since}", self.addr).into_client_request().unwrap();
        let protocols = format!("stream-manager, bearer.{token}").parse().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", protocols);
        let socket = TcpStream::connect(self.addr).await.unwrap();
        tokio_tungstenite::client_async(request, socket).await.unwrap().0
    }
}

type Follow = tokio_tungstenite::WebSocketStream<TcpStream>;

async fn next(follow: &mut Follow) -> Value {
    let message = follow.next().await.unwrap().unwrap();
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

#[tokio::test]
async fn nobody_gets_in_without_a_token_and_readers_change_nothing() {
    let server = Server::start().await;
    for path in ["/api/v1/node", "/api/v1/keys", "/api/v1/config", "/ws"] {
        let answer = server.ask("wrong", &format!("GET {path}"), "").await;
        assert_eq!((answer.code, answer.body["code"].as_str()), (401, Some("unauthorized")));
        assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
        assert!(answer.head.contains("content-type: application/problem+json"));
    }
    let reader = server.token("api-token-readonly");
    let answer = server.ask(&reader, "GET /api/v1/node", "").await;
    assert_eq!((answer.code, &answer.body["can_write"]), (200, &json!(false)));
    let answer = server.ask(&reader, "POST /api/v1/keys", "{\"stream\": \"a\"}").await;
    assert_eq!((answer.code, answer.body["code"].as_str()), (403, Some("read_only")));
    let answer = server.admin("GET /api/v1/node", "").await;
    assert_eq!(answer.body["can_write"], true);
    assert!(answer.head.contains("access-control-allow-origin: https://a.example"));
    let document = server.ask("", "GET /api/v1/openapi.json", "").await;
    assert_eq!((document.code, &document.body["openapi"]), (200, &json!("3.1.0")));
}

#[tokio::test]
async fn a_wrong_token_and_no_token_are_told_apart_and_no_token_is_named() {
    let server = Server::start().await;
    let of = async |token: &str| {
        let answer = server.ask(token, "GET /api/v1/node", "").await;
        assert_eq!(answer.code, 401);
        answer.body["detail"].as_str().unwrap().to_owned()
    };
    let (none, wrong) = (of("").await, of("wrong").await);
    assert!(none.contains("no token was sent") && wrong.contains("none of this node's"));
    assert!(!wrong.contains("wrong") && !wrong.contains("bot"), "{wrong}");
}

#[tokio::test]
async fn a_query_parameter_that_a_path_does_not_know_is_refused() {
    let server = Server::start().await;
    let all = query::tests::all();
    assert!(all.len() > 40, "{}", all.len());
    for (path, method, known) in all {
        let path = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
        let path = path.collect::<Vec<_>>().join("/");
        let answer = server.admin(&format!("{method} {path}?nonsense=sec-ret"), "{}").await;
        let body = answer.body.to_string();
        assert_eq!(answer.code, 400, "{method} {path}: {body}");
        assert!(body.contains("`nonsense`") && !body.contains("sec-ret"), "{body}");
        let hint = answer.body["hint"].as_str().unwrap();
        assert!(known.iter().all(|name| hint.contains(name.as_str())), "{path}: {hint}");
        assert!(!known.is_empty() || hint.contains("takes none"), "{path}: {hint}");
    }
    assert_eq!(server.admin("GET /api/v1/events?limit=1&since=0", "").await.code, 200);
    assert_eq!(server.admin("HEAD /api/v1/events?limi=1", "").await.code, 400);
    assert_eq!(server.admin("GET /ws?snice=1", "").await.code, 400);
}

#[tokio::test]
async fn a_bitrate_is_taken_as_a_number_or_with_its_unit() {
    let server = Server::start().await;
    for (given, bits) in [("6000000", 6_000_000), ("\"6M\"", 6_000_000), ("\"300k\"", 300_000)] {
        let body = format!("{{\"stream\": \"a\", \"bitrate_bps\": {given}}}");
        let answer = server.admin("POST /api/v1/keys", &body).await;
        assert_eq!(answer.body["key"]["bitrate_bps"], bits, "{given}: {}", answer.body);
        let id = answer.body["key"]["id"].as_str().unwrap();
        let request = format!("PATCH /api/v1/keys/{id}");
        let body = format!("{{\"bitrate_bps\": {given}}}");
        let changed = server.admin(&request, &body).await;
        assert_eq!(changed.body["bitrate_bps"], bits, "{given}: {}", changed.body);
        let none = server.admin(&request, "{\"bitrate_bps\": null}").await;
        assert_eq!(none.body["bitrate_bps"], json!(null));
    }
    for wrong in ["\"6MB\"", "\"fast\"", "-1", "true"] {
        let body = format!("{{\"stream\": \"a\", \"bitrate_bps\": {wrong}}}");
        let answer = server.admin("POST /api/v1/keys", &body).await;
        let detail = answer.body["detail"].as_str().unwrap();
        assert_eq!(answer.code, 400);
        assert!(detail.contains("6M"), "{wrong}: {detail}");
    }
}

#[tokio::test]
async fn an_operator_runs_the_show_and_events_say_who_did_it() {
    let server = Server::start().await;
    let bot = server.token("bot-token");
    let node = server.ask(&bot, "GET /api/v1/node", "").await.body;
    assert_eq!((&node["can_write"], &node["role"]), (&json!(true), &json!("operator")));
    for request in ["POST /api/v1/keys", "PUT /api/v1/log-level"] {
        let answer = server.ask(&bot, request, "{\"stream\": \"a\"}").await;
        assert_eq!((answer.code, answer.body["code"].as_str()), (403, Some("forbidden")));
    }
    let output = "{\"name\": \"cdn\", \"url\": \"rtmp://h/app/key\"}";
    let answer = server.ask(&bot, "POST /api/v1/channels/demo/outputs", output).await;
    assert!(answer.code < 300, "{}", answer.body);
    let by_cli = "POST /api/v1/keys HTTP/1.1\r\nUser-Agent: stream-manager-cli\r\nX:";
    assert_eq!(server.admin(by_cli, "{\"stream\": \"a\"}").await.code, 201);
    let events = server.admin("GET /api/v1/events", "").await.body;
    let told = |at: usize| [&events[at]["kind"], &events[at]["actor"]];
    assert_eq!(told(0), [&json!("output_added"), &json!("token:bot")]);
    assert_eq!(told(1), [&json!("key_created"), &json!("cli:admin")]);
}

#[tokio::test]
async fn who_guesses_tokens_has_to_wait() {
    let server = Server::start().await;
    for _ in 0..10 {
        assert_eq!(server.ask("wrong", "GET /api/v1/node", "").await.code, 401);
    }
    assert_eq!(server.ask("wrong", "GET /api/v1/node", "").await.code, 429);
}

#[tokio::test]
async fn what_is_wrong_is_told_with_a_way_out() {
    let server = Server::start().await;
    for (request, body, code, word) in [
        ("GET /api/v1/nothing", "", 404, "not_found"),
        ("GET /api/v1", "", 404, "not_found"),
        ("GET /api/v1/", "", 404, "not_found"),
        ("GET /api/v2/node", "", 404, "not_found"),
        ("GET /api", "", 404, "not_found"),
        ("GET /api/v1/channels/", "", 404, "not_found"),
        ("DELETE /api/v1/keys/x/aliases", "", 404, "not_found"),
        ("PATCH /api/v1/node", "", 405, "method"),
        ("GET /api/v1/channels/x", "", 404, "not_found"),
        ("GET /api/v1/streams/live/x", "", 404, "not_found"),
        ("DELETE /api/v1/clients/x", "", 404, "not_found"),
        ("PUT /api/v1/log-level", "{\"level\": \"loud\"}", 400, "invalid"),
        ("PUT /api/v1/log-level", "{\"level\":", 400, "invalid"),
        ("POST /api/v1/keys", "{\"stream\": \"a\", \"wrong\": 1}", 400, "invalid"),
        ("POST /api/v1/keys", "{\"stream\": \"a\", \"type\": \"x\"}", 400, "invalid"),
        ("POST /api/v1/keys", "{\"stream\": \"a\", \"allowed_ips\": [\"x\"]}", 400, "invalid"),
        ("GET /api/v1/keys/0123456789abcdef", "", 404, "not_found"),
        ("GET /api/v1/events?since=x", "", 400, "invalid"),
        ("POST /api/v1/channels/demo/outputs", "{\"name\":\"a\",\"url\":\"x\"}", 400, "invalid"),
        ("GET /api/v1/recordings/x", "", 404, "not_found"),
        ("POST /api/v1/recordings", "{}", 400, "invalid"),
        ("POST /api/v1/recordings/x/stop", "", 404, "not_found"),
        ("POST /api/v1/channels/demo/scenes/a/activate", "", 503, "unavailable"),
        ("POST /api/v1/keys", &"x".repeat(300 << 10), 413, "too_large"),
    ] {
        let answer = server.admin(request, body).await;
        assert_eq!((answer.code, answer.body["code"].as_str()), (code, Some(word)), "{request}");
        let hint = answer.body["hint"].as_str().unwrap();
        assert!(!hint.is_empty(), "{request}");
    }
}

#[tokio::test]
async fn a_scene_can_be_read_changed_and_put_on_the_air() {
    let server = Server::start().await;
    let scene = "/api/v1/channels/demo/scenes/a";
    let answer = server.admin(&format!("GET {scene}"), "").await;
    assert!(answer.head.contains("etag: \"7\""), "{}", answer.head);
    let put = |tag: &'static str| {
        let request = format!("PUT {scene} HTTP/1.1\r\nIf-Match: {tag}\r\nX:");
        let body = answer.body.to_string();
        let server = &server;
        async move { server.admin(&request, &body).await.code }
    };
    assert_eq!((put("\"7\"").await, put("\"6\"").await, put("seven").await), (204, 409, 400));
    let activate = format!("POST {scene}/activate");
    assert_eq!(server.admin(&activate, "{\"fade_ms\": 200}").await.code, 204);
    let both = r#"{"fade_ms": 200, "transition": {"type": "fade", "duration_ms": 200}}"#;
    assert_eq!(server.admin(&activate, both).await.code, 400);
    assert_eq!(server.admin(&activate, r#"{"transition": {"type": "x"}}"#).await.code, 400);
    let events = server.admin("GET /api/v1/events", "").await.body;
    let kinds: Vec<_> = events.as_array().unwrap().iter().map(|event| &event["kind"]).collect();
    assert_eq!(kinds, ["scene_replaced", "scene_changed"]);
}

#[tokio::test]
async fn a_key_is_told_once_and_never_again() {
    let server = Server::start().await;
    let request = "{\"stream\": \"show\", \"alias\": \"studio\", \"viewers\": 5}";
    let made = server.admin("POST /api/v1/keys", request).await;
    assert_eq!(made.code, 201, "{}", made.body);
    let secret = made.body["secret"].as_str().unwrap().to_owned();
    assert_eq!(secret.len(), 64);
    let id = made.body["key"]["id"].as_str().unwrap().to_owned();
    let rotated = server.admin(&format!("POST /api/v1/keys/{id}/rotate"), "{\"grace_s\":0}").await;
    assert_eq!(rotated.body["key"]["aliases"], json!(["studio"]));
    let new = rotated.body["key"]["id"].as_str().unwrap();
    let alias = format!("/api/v1/keys/{new}/aliases/stage");
    assert_eq!(server.admin(&format!("PUT {alias}"), "").await.code, 204);
    assert_eq!(server.admin(&format!("DELETE {alias}"), "").await.code, 204);
    assert_eq!(server.admin(&format!("DELETE {alias}"), "").await.code, 404);
    let short = "{\"stream\": \"b\", \"key\": \"stream-key-123\"}";
    assert_eq!(server.admin("POST /api/v1/keys/import", short).await.code, 400);
    let import = "{\"stream\": \"b\", \"key\": \"stream-key-123\", \"weak\": true}";
    let imported = server.admin("POST /api/v1/keys/import", import).await;
    assert_eq!(imported.code, 201);
    assert!(imported.body["warning"].is_string());
    assert_eq!(server.admin("POST /api/v1/keys", import).await.code, 400);
    assert_eq!(server.admin(&format!("POST /api/v1/keys/{new}/revoke"), "").await.code, 204);
    let all = server.admin("GET /api/v1/keys", "").await.body;
    let revoked = |key: &&Value| key["revoked"] == true;
    assert_eq!(all.as_array().unwrap().iter().filter(revoked).count(), 2);
    assert_eq!(server.admin(&format!("DELETE /api/v1/keys/{new}"), "").await.code, 204);
    let everything = format!("{all}{}", server.admin("GET /api/v1/events", "").await.body);
    let second = rotated.body["secret"].as_str().unwrap();
    for secret in [&secret, second, "stream-key-123"] {
        assert!(!everything.contains(secret), "{everything}");
    }
}

#[tokio::test]
async fn who_follows_gets_the_state_then_changes_and_goes_on_where_it_was() {
    let server = Server::start().await;
    let token = server.token("api-token-readonly");
    let mut follow = server.follow(&token, "").await;
    let first = next(&mut follow).await;
    assert_eq!(
        (&first["type"], &first["state"]["node"]["can_write"]),
        (&json!("state"), &json!(false))
    );
    let mut state = Snapshot::default();
    state.streams.insert("live/a".to_owned(), Stream { viewers: 1, ..Stream::default() });
    server.board.update(state.clone()).await;
    let change = next(&mut follow).await;
    assert_eq!(
        (&change["path"], &change["value"]["viewers"]),
        (&json!("streams/live/a"), &json!(1))
    );
    drop(follow);
    state.streams.clear();
    server.board.update(state).await;
    let mut again = server.follow(&token, &format!("?since={}", change["seq"])).await;
    let change = next(&mut again).await;
    assert_eq!((&change["path"], &change["value"]), (&json!("streams/live/a"), &Value::Null));
}

#[tokio::test]
async fn who_follows_is_told_when_the_node_stops() {
    let mut server = Server::start().await;
    let mut follow = server.follow(&server.token("api-token"), "").await;
    next(&mut follow).await;
    server.stop.take().unwrap().send(()).unwrap();
    let message = follow.next().await.unwrap().unwrap();
    assert!(message.is_close(), "{message:?}");
    server.served.await.unwrap();
}

#[tokio::test]
async fn tools_for_other_servers_find_what_they_know() {
    let server = Server::start().await;
    let stat = server.ask("", "GET /stat", "").await;
    let text = stat.body.as_str().unwrap();
    assert!(stat.head.contains("content-type: text/xml"), "{}", stat.head);
    for part in [
        "<application>\n<name>live</name>\n<live>\n<stream>\n<name>a&lt;b</name>",
        "<bw_in>1000000</bw_in>",
        "<bw_video>0</bw_video>",
        "<video>\n<width>0</width>",
        "<audio>\n</audio>",
        "<nclients>1</nclients>",
        "<publishing/>",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let streams = server.ask("", "GET /api/streams", "").await.body;
    let shown = &streams["live"]["a<b"];
    assert_eq!(shown["publisher"]["clientId"], "ABCDEFGH");
    assert_eq!(shown["publisher"]["connectCreated"], "1970-01-01T00:00:01.000Z");
    assert_eq!(shown["subscribers"][0]["ip"], "192.0.2.2");
    let machine = server.ask("", "GET /api/server", "").await.body;
    assert!(
        machine["cpu"]["num"].as_u64() > Some(0) && machine["process"]["mem"].as_u64() > Some(0)
    );
}

#[tokio::test]
async fn recordings_are_shown_added_started_and_removed() {
    use crate::control::state::{Recording, Snapshot};
    let server = Server::start().await;
    let show = Recording {
        name: "show".to_owned(),
        state: RunState::Failed,
        error: Some("/mnt/a: No space left on device".to_owned()),
        ..Recording::default()
    };
    let recordings = [("show".to_owned(), show)].into();
    server.board.update(Snapshot { recordings, ..Snapshot::default() }).await;
    let list = server.admin("GET /api/v1/recordings", "").await;
    assert_eq!((list.code, &list.body[0]["state"]), (200, &json!("failed")));
    let one = server.admin("GET /api/v1/recordings/show", "").await;
    assert_eq!(one.body["error"], "/mnt/a: No space left on device");
    for (request, body, code) in [
        ("POST /api/v1/recordings", "{\"name\": \"show\"}", 201),
        ("POST /api/v1/recordings/show/start", "", 204),
        ("DELETE /api/v1/recordings/show", "", 204),
    ] {
        assert_eq!(server.admin(request, body).await.code, code, "{request}");
    }
    let told: Vec<_> = server.board.events(0, 9).await;
    let told: Vec<_> = told.iter().map(|it| (it.kind.as_str(), it.record.as_deref())).collect();
    assert_eq!(
        told,
        ["recording_added", "recording_started", "recording_removed"].map(|it| (it, Some("show")))
    );
}

#[tokio::test]
async fn pulls_and_pushes_are_shown_added_stopped_and_removed() {
    use crate::control::state::{Pull, Push, Snapshot};
    let server = Server::start().await;
    let (state, error) = (RunState::Failed, Some("h:1935: no connection".to_owned()));
    let name = || "in".to_owned();
    let pull = Pull { name: name(), state, error: error.clone(), ..Pull::default() };
    let push = Push { name: "up".to_owned(), state, error, ..Push::default() };
    let (pulls, pushes) = ([(name(), pull)].into(), [("up".to_owned(), push)].into());
    server.board.update(Snapshot { pulls, pushes, ..Snapshot::default() }).await;
    for path in ["pulls", "pushes"] {
        let list = server.admin(&format!("GET /api/v1/{path}"), "").await;
        assert_eq!((list.code, &list.body[0]["state"]), (200, &json!("failed")));
    }
    let one = server.admin("GET /api/v1/pulls/in", "").await;
    assert_eq!(one.body["error"], "h:1935: no connection");
    for (request, body, code) in [
        ("POST /api/v1/pulls", "{\"name\": \"in\"}", 201),
        ("POST /api/v1/pulls/in/stop", "", 204),
        ("DELETE /api/v1/pulls/in", "", 204),
        ("POST /api/v1/pushes", "{\"name\": \"up\"}", 201),
        ("POST /api/v1/pushes/up/start", "", 204),
        ("DELETE /api/v1/pushes/x", "", 404),
        ("GET /api/v1/pushes/x", "", 404),
    ] {
        assert_eq!(server.admin(request, body).await.code, code, "{request}");
    }
    let told: Vec<_> = server.board.events(0, 9).await;
    let told: Vec<_> = told.iter().map(|it| it.kind.as_str()).collect();
    let kinds = ["pull_added", "pull_stopped", "pull_removed", "push_added", "push_started"];
    assert_eq!(told, kinds);
}
