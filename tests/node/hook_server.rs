//! The server behind webhooks and documents, by hand: it keeps what it is sent, and answers as it is
//! told.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::wait::{SOON, wait_until};

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    /// Path and query.
    pub(crate) path: String,
    /// Fields by their names in small letters.
    pub(crate) fields: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
    pub(crate) json: Value,
}

impl Post {
    pub(crate) fn event(&self) -> &str {
        self.text("event")
    }

    /// A text of the body; empty if there is none.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap_or_default()
    }
}

/// What it answers.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// This status with this body.
    Status(u16, String),
    /// The same with these fields before it.
    Full(u16, Vec<(&'static str, String)>, String),
    /// A redirection with this status, to this place.
    Redirect(u16, String),
    /// Nothing, for as long as the client waits.
    Hang,
}

/// Everything is well.
pub(crate) fn fine() -> Reply {
    Reply::Status(200, "0".to_owned())
}

type Posts = Arc<Mutex<Vec<Post>>>;

/// A running server.
pub(crate) struct HookServer {
    scheme: &'static str,
    port: u16,
    posts: Posts,
}

impl HookServer {
    /// Answers each request as `reply` says.
    pub(crate) fn start(reply: impl Fn(&Post) -> Reply + Send + Sync + 'static) -> Self {
        Self::serve("http", reply, |socket| socket)
    }

    /// The same over TLS.
    pub(crate) fn start_secure(
        config: Arc<rustls::ServerConfig>,
        reply: impl Fn(&Post) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::serve("https", reply, move |socket| {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            rustls::StreamOwned::new(session, socket)
        })
    }

    fn serve<S: Read + Write + 'static>(
        scheme: &'static str,
        reply: impl Fn(&Post) -> Reply + Send + Sync + 'static,
        secure: impl Fn(std::net::TcpStream) -> S + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let posts = Posts::default();
        let kept = Arc::clone(&posts);
        let (reply, secure) = (Arc::new(reply), Arc::new(secure));
        // They end with the process: there are few, and they only listen.
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let (kept, reply) = (Arc::clone(&kept), Arc::clone(&reply));
                let secure = Arc::clone(&secure);
                thread::spawn(move || {
                    let mut socket = BufReader::new(secure(socket));
                    while let Some(post) = read(&mut socket) {
                        let answer = reply(&post);
                        kept.lock().unwrap().push(post);
                        if !say(socket.get_mut(), &answer) {
                            return;
                        }
                    }
                });
            }
        });
        Self { scheme, port, posts }
    }

    /// The port that it listens at.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// A hook of the configuration that posts to it.
    pub(crate) fn table(&self, name: &str, events: &[&str], more: &str) -> String {
        let url = format!("{}://127.0.0.1:{}/{name}", self.scheme, self.port);
        table(name, &url, events, more)
    }

    /// What has come so far.
    pub(crate) fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap().clone()
    }

    /// The names of the events so far.
    pub(crate) fn events(&self) -> Vec<String> {
        self.posts().iter().map(|post| post.event().to_owned()).collect()
    }

    /// Waits for an event of this name.
    pub(crate) fn wait_for(&self, event: &str) -> Post {
        wait_until(SOON, &format!("the hook hears {event}"), || {
            self.posts().into_iter().find(|post| post.event() == event)
        })
    }
}

/// A hook of the configuration.
pub(crate) fn table(name: &str, url: &str, events: &[&str], more: &str) -> String {
    format!("\n[[hook]]\nname = \"{name}\"\nurl = \"{url}\"\nevents = {events:?}\n{more}\n")
}

fn read(socket: &mut impl BufRead) -> Option<Post> {
    let mut line = String::new();
    socket.read_line(&mut line).ok().filter(|count| *count > 0)?;
    assert!(line.starts_with("POST ") || line.starts_with("GET "), "{line}");
    let path = line.split(' ').nth(1)?.to_owned();
    let mut fields = HashMap::new();
    loop {
        let mut line = String::new();
        socket.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        fields.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = fields.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    socket.read_exact(&mut body).ok()?;
    let json = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    Some(Post { path, fields, body, json })
}

/// Whether the connection goes on.
fn say(socket: &mut impl Write, reply: &Reply) -> bool {
    let (status, fields, body) = match reply {
        Reply::Status(status, body) => (status, String::new(), body.as_str()),
        Reply::Full(status, fields, body) => {
            let fields = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
            (status, fields.collect(), body.as_str())
        }
        Reply::Redirect(status, to) => (status, format!("Location: {to}\r\n"), ""),
        Reply::Hang => loop {
            thread::park();
        },
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status} As told\r\n{fields}Content-Length: {length}\r\n\r\n");
    let said = socket.write_all(format!("{head}{body}").as_bytes());
    said.and_then(|()| socket.flush()).is_ok()
}
