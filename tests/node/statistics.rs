//! Statistics in the shape of other servers, held against those servers themselves: nginx-rtmp's
//! `/stat` and Node-Media-Server's `/api`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use crate::amf::Amf;
use crate::config::{Config, HEIGHT, WIDTH};
use crate::nginx::Nginx;
use crate::node::{Node, get};
use crate::program::Program;
use crate::wait::{SOON, beside_others, free_port, wait_until};
use crate::wire::{DATA, Wire};

/// What is published to both servers: a name and the tracks.
const PUBLISHED: [(&str, &str); 3] =
    [("both", "video audio"), ("pictures", "video"), ("tone", "audio")];

/// Publishes some tracks in real time.
fn publish(tracks: &str, url: &str) -> Program {
    let picture = format!("-re -f lavfi -i testsrc2=s={WIDTH}x{HEIGHT}:r=30");
    let audio = "-re -f lavfi -i sine=f=440:r=48000";
    let x264 = "-c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g 30 -b:v 300k";
    let has = |track| tracks.contains(track);
    let inputs = [has("video").then_some(&*picture), has("audio").then_some(audio)];
    let mut arguments: Vec<_> =
        inputs.into_iter().flatten().flat_map(str::split_whitespace).collect();
    arguments.extend(x264.split_whitespace().filter(|_| has("video")));
    arguments.extend("-c:a aac -b:a 96k".split_whitespace().filter(|_| has("audio")));
    arguments.extend(["-f", "flv", url]);
    Program::start("ffmpeg", "-v error", &arguments)
}

/// Publishes nothing but metadata.
fn publish_metadata(port: u16, name: &str) -> Wire {
    let (mut wire, id) = Wire::stream(port);
    let [code, ..] = wire.publish(id, name);
    assert_eq!(code, "NetStream.Publish.Start");
    let mut body = Vec::new();
    for value in [
        Amf::text("@setDataFrame"),
        Amf::text("onMetaData"),
        Amf::object(&[("encoder", "by hand")]),
    ] {
        value.write(&mut body);
    }
    wire.send(DATA, id, 0, &body).unwrap();
    wire
}

/// Plays a stream and throws it away.
fn watch(url: &str) -> Program {
    Program::start("ffmpeg", "-v error", &["-i", url, "-c", "copy", "-f", "null", "-"])
}

/// The kind of an element's text, as typed readers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Text {
    Empty,
    Whole,
    Decimal,
    Words,
}

fn text_kind(text: &str) -> Text {
    match text {
        "" => Text::Empty,
        _ if text.parse::<i64>().is_ok() => Text::Whole,
        _ if text.parse::<f64>().is_ok() => Text::Decimal,
        _ => Text::Words,
    }
}

/// Elements of one stream by their path below `<stream>`.
type Elements = BTreeMap<String, BTreeSet<Text>>;

/// The elements of the page outside of streams, and of each stream by `application/name`.
fn elements(page: &str) -> (Elements, BTreeMap<String, Elements>) {
    let page = page.split_once("?>").expect("an XML declaration").1;
    let (mut path, mut outside) = (Vec::<&str>::new(), Elements::new());
    let (mut streams, mut app) = (BTreeMap::new(), String::new());
    let mut stream: Option<(String, Elements)> = None;
    for part in page.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap();
        let text = text.trim();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(path.pop(), Some(name), "elements are nested");
            if name == "stream" {
                let (name, elements) = stream.take().unwrap();
                streams.insert(name, elements);
            }
            continue;
        }
        let (name, is_flag) = tag.strip_suffix('/').map_or((tag, false), |name| (name, true));
        path.push(name);
        let depth = path.iter().position(|name| *name == "stream");
        if name == "stream" {
            stream = Some((String::new(), Elements::new()));
        }
        match (path.join("/").as_str(), &mut stream) {
            (_, Some((called, elements))) => {
                let below = path[depth.unwrap() + 1..].join("/");
                if below == "name" {
                    *called = format!("{app}/{text}");
                }
                elements.entry(below).or_default().insert(text_kind(text));
            }
            (at, None) => {
                if at == "rtmp/server/application/name" {
                    text.clone_into(&mut app);
                }
                outside.entry(at.to_owned()).or_default().insert(text_kind(text));
            }
        }
        if is_flag {
            path.pop();
        }
    }
    (outside, streams)
}

/// Everything that nginx writes is there, with text of the same kind.
fn assert_has_all(what: &str, ours: &Elements, theirs: &Elements) {
    for (path, kinds) in theirs {
        let found = ours.get(path);
        assert!(found.is_some(), "{what}: there is no <{path}>, which nginx writes");
        // nginx leaves <avsync> empty where it does not interleave.
        let empty = BTreeSet::from([Text::Empty]);
        let alike = found == Some(kinds) || kinds == &empty && path.ends_with("avsync");
        let sums = kinds.iter().chain(found.unwrap()).all(|it| *it != Text::Words);
        assert!(
            alike || sums && !kinds.contains(&Text::Empty),
            "{what} <{path}>: {found:?} {kinds:?}"
        );
    }
}

#[test]
fn the_statistics_page_has_every_element_that_nginx_rtmp_writes_of_the_same_publishers() {
    let _turn = beside_others();
    let (port, http) = (free_port(), free_port());
    let nginx = Nginx::start_with_statistics(port, http);
    let push = format!("rtmp://127.0.0.1:{port}/copy/pushed");
    let node = Node::start(&Config::new().publish_open().push("live/both", &push, ""));
    let mut programs = Vec::new();
    for (name, tracks) in PUBLISHED {
        for url in [nginx.url(name), node.url(&format!("live/{name}"))] {
            programs.push(publish(tracks, &url));
            programs.push(watch(&url));
        }
    }
    let _silent = [port, node.rtmp_port()].map(|port| publish_metadata(port, "nothing"));
    let page = |port, what: &str| {
        wait_until(SOON, what, || {
            let (status, page) = get(port, "/stat")?;
            assert_eq!(status, 200, "{page}");
            let (outside, streams) = elements(&page);
            let ready = PUBLISHED.iter().all(|(name, tracks)| {
                let shown = streams.get(&format!("live/{name}"));
                let has = |path: &str| shown.is_some_and(|it| it.contains_key(path));
                has("client/flashver")
                    && tracks.split(' ').all(|track| has(&format!("meta/{track}/codec")))
            });
            (ready && streams.contains_key("live/nothing")).then_some((outside, streams))
        })
    };
    let (theirs, their_streams) = page(http, "nginx shows all streams");
    let (ours, our_streams) = page(node.http_port(), "the node shows all streams");
    assert_has_all("page", &ours, &theirs);
    for (name, elements) in their_streams.iter().filter(|(name, _)| name.starts_with("live/")) {
        assert_has_all(name, &our_streams[name], elements);
    }
}

/// The page as NOALBS declares it: every field that is not an `Option` has to be there.
mod noalbs {
    use serde::Deserialize;

    #[derive(Deserialize)]
    pub(super) struct Stats {
        pub(super) server: Server,
    }

    #[derive(Deserialize)]
    pub(super) struct Server {
        pub(super) application: Vec<App>,
    }

    #[derive(Deserialize)]
    pub(super) struct App {
        pub(super) name: String,
        pub(super) live: Option<Live>,
    }

    #[derive(Deserialize)]
    pub(super) struct Live {
        pub(super) stream: Option<Vec<Stream>>,
    }

    #[derive(Deserialize)]
    pub(super) struct Stream {
        pub(super) name: String,
        pub(super) bw_video: u32,
        pub(super) meta: Option<Meta>,
        pub(super) active: Option<()>,
    }

    #[derive(Deserialize)]
    pub(super) struct Meta {
        pub(super) video: Video,
        pub(super) audio: Audio,
    }

    #[derive(Deserialize)]
    pub(super) struct Video {
        pub(super) width: Option<u32>,
        pub(super) codec: Option<String>,
        pub(super) level: Option<f64>,
    }

    #[derive(Deserialize)]
    pub(super) struct Audio {
        pub(super) codec: Option<String>,
        pub(super) profile: Option<String>,
        pub(super) sample_rate: Option<u32>,
    }
}

fn typed(node: &Node) -> Vec<noalbs::Stream> {
    let (_, page) = node.http("/stat");
    let stats: noalbs::Stats = quick_xml::de::from_str(&page)
        .unwrap_or_else(|error| panic!("a typed reader fails on the page: {error}\n{page}"));
    let apps = stats.server.application;
    assert!(apps.iter().any(|app| app.name == "live"), "{page}");
    apps.into_iter().filter_map(|app| app.live?.stream).flatten().collect()
}

#[test]
fn a_typed_reader_of_the_statistics_page_copes_with_missing_tracks_and_with_no_stream_at_all() {
    let _turn = beside_others();
    let node = Node::start(&Config::new().publish_open());
    assert!(typed(&node).is_empty());
    let _programs: Vec<_> = PUBLISHED
        .iter()
        .map(|(name, tracks)| publish(tracks, &node.url(&format!("live/{name}"))))
        .collect();
    let _silent = publish_metadata(node.rtmp_port(), "nothing");
    wait_until(SOON, "rates are measured and every track is known", || {
        let streams = typed(&node);
        let find = |name: &str| streams.iter().find(|stream| stream.name == name);
        let (both, pictures) = (find("both")?, find("pictures")?);
        let (tone, nothing) = (find("tone")?, find("nothing")?);
        assert!(tone.bw_video == 0 && nothing.bw_video == 0, "no video, no bandwidth of it");
        let ready = both.bw_video > 0
            && pictures.bw_video > 0
            && tone.meta.as_ref()?.audio.sample_rate == Some(48_000)
            && both.meta.as_ref()?.audio.profile.as_deref() == Some("LC");
        ready.then(|| {
            let meta = |stream: &noalbs::Stream| {
                let meta = stream.meta.as_ref().unwrap();
                (meta.video.codec.clone(), meta.audio.codec.clone())
            };
            let (h264, aac) = (Some("H264".to_owned()), Some("AAC".to_owned()));
            assert_eq!(meta(both), (h264.clone(), aac.clone()));
            assert_eq!(meta(pictures), (h264, None));
            assert_eq!(meta(tone), (None, aac));
            assert_eq!(meta(nothing), (None, None));
            assert_eq!(both.meta.as_ref().unwrap().video.width, u32::try_from(WIDTH).ok());
            assert!(both.meta.as_ref().unwrap().video.level > Some(0.0));
            assert!(streams.iter().all(|stream| stream.active.is_some()));
        })
    });
}

/// A running Node-Media-Server. Its packages are under `target/`.
struct NodeMediaServer {
    program: Program,
    rtmp: u16,
    http: u16,
}

impl NodeMediaServer {
    fn start() -> Self {
        let home = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/node-media-server");
        let package = home.join("node_modules/node-media-server");
        assert!(
            package.exists(),
            "there is no {}: tools/node_media_server.sh gets it",
            package.display()
        );
        let (rtmp, http) = (free_port(), free_port());
        let script = format!(
            "const Server = require('node-media-server'); new Server({{ logType: 1, \
             rtmp: {{ port: {rtmp}, chunk_size: 60000, gop_cache: true, ping: 30, \
             ping_timeout: 60 }}, http: {{ port: {http}, allow_origin: '*', \
             mediaroot: 'media', api: true }} }}).run();"
        );
        let mut command = Command::new("node");
        command.current_dir(home).args(["-e", &script]);
        let mut server = Self { program: Program::spawn("Node-Media-Server", command), rtmp, http };
        wait_until(SOON, "Node-Media-Server listens", || {
            assert!(server.program.runs(), "it has ended:\n{}", server.program.err());
            get(http, "/api/server").filter(|(status, _)| *status == 200)
        });
        server
    }
}

fn json(port: u16, path: &str) -> Value {
    let (status, body) = get(port, path).expect("an answer");
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}\n{body}"))
}

/// Every field that they have is here, with a value of the same type.
fn assert_same_fields(at: &str, ours: &Value, theirs: &Value) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (name, their) in theirs {
                let found = ours.get(name);
                assert!(found.is_some(), "{at}: there is no {name:?}");
                assert_same_fields(&format!("{at}.{name}"), found.unwrap(), their);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            assert_eq!(ours.len(), theirs.len(), "{at}");
            for (ours, theirs) in ours.iter().zip(theirs) {
                assert_same_fields(at, ours, theirs);
            }
        }
        (Value::Number(_), Value::Number(_))
        | (Value::String(_), Value::String(_))
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Null, Value::Null) => {}
        _ => panic!("{at}: {ours} is of another type than {theirs}"),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LiveStatus {
    is_live: bool,
    viewers: u64,
    duration: u64,
    bitrate: u64,
}

#[test]
fn the_streams_and_the_machine_have_every_field_that_node_media_server_shows() {
    let _turn = beside_others();
    let theirs = NodeMediaServer::start();
    let node = Node::start(&Config::new().publish_open());
    let their_url = |name: &str| format!("rtmp://127.0.0.1:{}/live/{name}", theirs.rtmp);
    let mut programs = Vec::new();
    for (name, tracks) in PUBLISHED {
        for url in [their_url(name), node.url(&format!("live/{name}"))] {
            programs.push(publish(tracks, &url));
        }
    }
    let ready = |port| {
        wait_until(SOON, "all streams and their codecs are shown", || {
            let streams = json(port, "/api/streams");
            let known = PUBLISHED.iter().all(|(name, tracks)| {
                let publisher = &streams["live"][name]["publisher"];
                let rate = json(port, &format!("/api/streams/live/{name}"))["bitrate"].as_u64();
                rate > Some(0) && tracks.split(' ').all(|track| publisher[track].is_object())
            });
            known.then_some(streams)
        })
    };
    let (shown, expected) = (ready(node.http_port()), ready(theirs.http));
    assert_same_fields("streams", &shown, &expected);

    programs.push(watch(&their_url("both")));
    programs.push(watch(&node.url("live/both")));
    for port in [node.http_port(), theirs.http] {
        wait_until(SOON, "the player is counted", || {
            (json(port, "/api/streams/live/both")["viewers"] == 1).then_some(())
        });
    }
    for path in
        ["/api/streams", "/api/streams/live/both", "/api/streams/live/nobody", "/api/server"]
    {
        let (mut ours, mut expected) = (json(node.http_port(), path), json(theirs.http, path));
        if path == "/api/server" {
            // A process in Rust has resident memory, and no heap of a JavaScript engine.
            let heap = expected["nodejs"]["mem"].as_object_mut().unwrap();
            heap.retain(|name, _| name == "rss");
            assert!(ours["cpu"]["load"].as_u64() <= Some(100), "{ours}");
            assert_eq!(ours["cpu"]["num"], expected["cpu"]["num"], "processors of the machine");
            assert_eq!(ours["mem"]["totle"], expected["mem"]["totle"]);
        }
        if path.ends_with("/both") {
            // What stands behind a name may be a key: it is not shown.
            ours["arguments"] = expected["arguments"].clone();
            let status: LiveStatus = serde_json::from_value(ours.clone()).unwrap();
            let LiveStatus { is_live, viewers, duration, bitrate } = status;
            assert!(is_live && viewers == 1 && duration > 0 && bitrate > 0, "{ours}");
        }
        assert_same_fields(path, &ours, &expected);
    }
}
