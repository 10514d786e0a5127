//! A sentinel that says what a test tells it to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use arc_swap::ArcSwap;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

type Listeners = Arc<ArcSwap<Vec<UnboundedSender<String>>>>;

/// It knows one master, by whatever name.
pub(super) struct FakeSentinel {
    pub(super) port: u16,
    master: Arc<AtomicU16>,
    listeners: Listeners,
}

impl FakeSentinel {
    pub(super) async fn start(master: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (master, listeners) = (Arc::new(AtomicU16::new(master)), Listeners::default());
        let shared = (Arc::clone(&master), Arc::clone(&listeners));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, shared.clone()));
            }
        });
        Self { port, master, listeners }
    }

    /// Whether somebody listens to it.
    pub(super) fn is_heard(&self) -> bool {
        !self.listeners.load().is_empty()
    }

    /// From now on this is the master, for those who ask.
    pub(super) fn say(&self, master: u16) {
        self.master.store(master, Ordering::SeqCst);
    }

    /// The same, and those who listen are told.
    pub(super) fn switch(&self, master: u16) {
        let old = self.master.swap(master, Ordering::SeqCst);
        let text = format!("mymaster 127.0.0.1 {old} 127.0.0.1 {master}");
        for listener in self.listeners.load().iter() {
            drop(listener.send(array(&["message", "+switch-master", &text])));
        }
    }
}

async fn serve(socket: TcpStream, (master, listeners): (Arc<AtomicU16>, Listeners)) {
    let (input, mut output) = socket.into_split();
    let mut input = BufReader::new(input);
    let (say, mut said) = unbounded_channel::<String>();
    tokio::spawn(async move {
        while let Some(text) = said.recv().await {
            drop(output.write_all(text.as_bytes()).await);
        }
    });
    let mut listens = false;
    while let Some(words) = command(&mut input).await {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let answer = match words[0].to_uppercase().as_str() {
            "SENTINEL" => array(&["127.0.0.1", &master.load(Ordering::SeqCst).to_string()]),
            "SUBSCRIBE" => {
                listens = true;
                listeners.rcu(|all| all.iter().chain([&say]).cloned().collect::<Vec<_>>());
                format!("*3\r\n$9\r\nsubscribe\r\n{}:1\r\n", bulk(words[1]))
            }
            "PING" if listens => array(&["pong", ""]),
            _ => "+OK\r\n".to_owned(),
        };
        drop(say.send(answer));
    }
}

/// The words of the next command.
async fn command(input: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Vec<String>> {
    let count = number(input, '*').await?;
    let mut words = Vec::new();
    for _ in 0..count {
        let length = number(input, '$').await?;
        let mut bytes = vec![0; length + 2];
        input.read_exact(&mut bytes).await.ok()?;
        words.push(String::from_utf8(bytes[..length].to_vec()).ok()?);
    }
    Some(words)
}

async fn number(input: &mut (impl AsyncBufReadExt + Unpin), mark: char) -> Option<usize> {
    let mut line = String::new();
    input.read_line(&mut line).await.ok()?;
    line.trim().strip_prefix(mark)?.parse().ok()
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn array(words: &[&str]) -> String {
    let all: String = words.iter().map(|word| bulk(word)).collect();
    format!("*{}\r\n{all}", words.len())
}
