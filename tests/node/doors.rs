//! HTTP admission of strangers: those who hold connections, guess tokens, speak for others, or lend
//! a web page to somebody's browser.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;

use socket2::{Domain, Socket, Type};

use crate::api::token;
use crate::config::Config;
use crate::node::Node;
use crate::wait::{SOON, beside_others, wait_until};
use crate::web::Answer;

/// Half a head, on so many connections that they would be served for longer than anybody waits.
const HALF_SENT: usize = 600;

/// The status of a request with these header lines.
fn ask(node: &Node, first: &str, lines: &[&str]) -> Answer {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let text = format!("{first} HTTP/1.1\r\nConnection: close\r\n{lines}\r\n");
    Answer::to_bytes(node.http_port(), text.as_bytes())
}

fn with_token(node: &Node, token: &str) -> u16 {
    let bearer = format!("Authorization: Bearer {token}");
    ask(node, "GET /api/v1/node", &["Host: node", &bearer]).status
}

#[test]
fn half_sent_heads_delay_neither_health_nor_who_shows_a_token() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let token = token(&node);
    // Somebody at another address is the slowest of all, and is heard out all the same.
    let mut slow = from("127.0.0.2", node.http_port());
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n").unwrap();
    let half: Vec<_> = (0..HALF_SENT)
        .map(|_| {
            let mut socket = TcpStream::connect(("127.0.0.1", node.http_port())).unwrap();
            // The node may have closed it already.
            drop(socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n"));
            socket
        })
        .collect();
    assert_eq!(node.http("/healthz").0, 200);
    assert_eq!(with_token(&node, &token), 200);
    // It would have no answer any more if the node had let the time for heads pass before.
    slow.write_all(b"Connection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
    drop(half);
}

/// A connection to this port of the node from another address of this machine.
fn from(address: &str, port: u16) -> TcpStream {
    let ip: IpAddr = address.parse().unwrap();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(ip, 0).into()).unwrap();
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket.into()
}

#[test]
fn wrong_tokens_never_lock_out_a_right_one() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let token = token(&node);
    wait_until(SOON, "who guesses has to wait", || {
        (with_token(&node, "a-guess-of-a-token") == 429).then_some(())
    });
    assert_eq!(with_token(&node, &token), 200);
}

#[test]
fn behind_a_trusted_proxy_a_client_is_who_the_proxy_names() {
    let _turn = beside_others();
    let trusting = Node::start(&Config::new().rtmp("trusted_proxies = [\"127.0.0.1\"]"));
    let strict = Node::start(&Config::new());
    let far = "X-Forwarded-For: 192.0.2.1";
    let metrics = |node: &Node, lines: &[&str]| ask(node, "GET /metrics", lines).status;
    assert_eq!(metrics(&trusting, &["Host: node"]), 200, "the proxy itself is here");
    assert_eq!(metrics(&trusting, &["Host: node", far]), 401);
    assert_eq!(metrics(&trusting, &["Host: node", "X-Forwarded-For: 127.0.0.1"]), 200);
    assert_eq!(metrics(&strict, &["Host: node", far]), 401, "a proxy here asks for somebody");
    let behind = |node: &Node, from: &str| {
        let header = format!("PROXY TCP4 {from} 127.0.0.1 50000 8080\r\n");
        let request = "GET /metrics HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n";
        Answer::to_bytes(node.http_port(), format!("{header}{request}").as_bytes()).status
    };
    assert_eq!([behind(&trusting, "192.0.2.1"), behind(&trusting, "127.0.0.1")], [401, 200]);
    assert_eq!(behind(&strict, "127.0.0.1"), 400, "somebody's word about an address");
}

#[test]
fn web_pages_from_elsewhere_learn_and_change_nothing_where_no_token_is_needed() {
    let _turn = beside_others();
    let guarded = Node::start(&Config::new());
    let config = Config::new();
    let text = config.text().replacen("[http]\n", "[http]\nauth = false\n", 1);
    let open = Node::start(&Config::of(&config, text));
    let own = format!("Host: 127.0.0.1:{}", open.http_port());
    let same = format!("Origin: http://127.0.0.1:{}", open.http_port());
    let evil = "Origin: https://evil.example";
    let rebound = "Host: rebound.example:8080";
    for path in ["/metrics", "/stat", "/status.json"] {
        let get = format!("GET {path}");
        assert_eq!(ask(&guarded, &get, &["Host: 127.0.0.1"]).status, 200, "{path}");
        assert_eq!(ask(&guarded, &get, &[rebound]).status, 403, "{path}");
        assert_eq!(ask(&guarded, &get, &["Host: 127.0.0.1", evil]).status, 403, "{path}");
    }
    let bearer = format!("Authorization: Bearer {}", token(&guarded));
    assert_eq!(ask(&guarded, "GET /metrics", &[rebound, &bearer]).status, 200, "with a token");
    let keys = "GET /api/v1/keys";
    assert_eq!(ask(&open, keys, &[&own, &same]).status, 200);
    assert_eq!(ask(&open, keys, &[&own, evil]).status, 403);
    assert_eq!(ask(&open, keys, &[rebound]).status, 403);
    let make = "POST /api/v1/keys";
    assert_eq!(ask(&open, make, &[&own, evil, "Content-Length: 0"]).status, 403);
}

#[test]
fn a_new_key_is_kept_by_no_cache_and_the_data_directory_is_its_owners_alone() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let body = "{\"stream\": \"live/made\"}";
    let request = format!(
        "POST /api/v1/keys HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        token(&node),
        body.len()
    );
    let made = Answer::to_bytes(node.http_port(), request.as_bytes());
    assert_eq!(made.status, 201);
    assert!(made.head.to_ascii_lowercase().contains("cache-control: no-store"), "{}", made.head);
    let mode = std::fs::metadata(node.file("data")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
