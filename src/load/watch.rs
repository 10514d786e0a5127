//! Followers of a node's state: they read what their `WebSocket` brings and throw it away.

use std::cell::Cell;
use std::convert::Infallible;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;

use super::demux::FrameReader;
use super::report::Report;
use super::request::NONCE;
use super::{Common, Failure, cpu, share, up_to};
use crate::media::Micros;
use crate::runtime::{Clock, Worker};

/// Follow a node's state.
#[derive(clap::Args, Debug)]
pub struct Watch {
    /// `ws://HOST:PORT/ws`.
    #[arg(long)]
    url: String,
    /// File with the token that the node asks for.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How many followers.
    #[arg(long, default_value_t = 100, value_parser = up_to(10_000))]
    count: u32,
    /// How long, seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    #[command(flatten)]
    common: Common,
}

/// A node has this long to let a follower in.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Bytes of an answer's head at most.
const HEAD_MAX: usize = 8 << 10;

pub(super) fn run(watch: &Watch) -> Result<String, Failure> {
    let (address, request) = request(watch)?;
    let span = Micros::from_secs(watch.seconds);
    let places = watch.common.places();
    let cpu_now = || watch.common.pid.map_or(Ok(0.0), cpu::process_seconds);
    let (clock, before) = (Clock::start(), cpu_now()?);
    let mut workers = Vec::new();
    for (index, place) in places.iter().enumerate() {
        let count = share(watch.count as usize, index, places.len());
        let request = request.clone();
        workers.push(Worker::spawn("load-watch", place.clone(), 0, move || {
            follow_all(address, count, &request, span)
        })?);
    }
    let mut all = Tally::default();
    for worker in workers {
        let tally = worker.join().ok_or("a thread failed")??;
        all.messages += tally.messages;
        all.bytes += tally.bytes;
    }
    let (took, cpu) = (clock.now().secs_f64(), cpu_now()? - before);
    let count = f64::from(watch.count);
    let mut report = Report::default();
    report.number("followers", count, "", 0);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (messages, bytes) = (all.messages as f64 / count, all.bytes as f64 / count);
    report.number("messages of each", messages / took, "per second", 2);
    report.number("bytes of each", bytes / took, "per second", 0);
    if watch.common.pid.is_some() {
        report.number("server CPU", cpu / took * 100.0, "%", 1);
    }
    Ok(report.text(watch.common.json))
}

/// Where the node is, and what it is asked.
fn request(watch: &Watch) -> Result<(SocketAddr, String), Failure> {
    let bad = || format!("{}: write ws://HOST:PORT/ws", watch.url);
    let rest = watch.url.strip_prefix("ws://").ok_or_else(bad)?;
    let (host, path) = rest.split_once('/').ok_or_else(bad)?;
    let address = host.to_socket_addrs().map_err(|_| bad())?.next().ok_or_else(bad)?;
    let mut request = format!(
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {NONCE}\r\n"
    );
    if let Some(file) = &watch.token_file {
        let token = std::fs::read_to_string(file)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        request += &format!("Authorization: Bearer {}\r\n", token.trim());
    }
    Ok((address, request + "\r\n"))
}

/// What came.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    messages: u64,
    bytes: u64,
}

fn follow_all(
    address: SocketAddr,
    count: usize,
    request: &str,
    span: Micros,
) -> Result<Tally, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tally = Rc::new(Cell::new(Tally::default()));
    runtime.block_on(LocalSet::new().run_until(async {
        let mut followers = JoinSet::new();
        for _ in 0..count {
            let (socket, rest) = timeout(START_LIMIT, open(address, request)).await??;
            let tally = Rc::clone(&tally);
            followers.spawn_local(drain(socket, rest, tally));
        }
        match timeout(span.into(), followers.join_next()).await {
            Ok(Some(_)) => Err("the node has ended a follower".into()),
            Ok(None) | Err(_) => Ok(tally.get()),
        }
    }))
}

/// Opens a WebSocket; gives it with what came behind the answer's head.
async fn open(address: SocketAddr, request: &str) -> Result<(TcpStream, Vec<u8>), Failure> {
    let mut socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    socket.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    loop {
        if let Some(at) = head.windows(4).position(|part| part == b"\r\n\r\n") {
            if !head.starts_with(b"HTTP/1.1 101 ") {
                let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
                let line = String::from_utf8_lossy(line).into_owned();
                return Err(format!("the node does not let a follower in: {line}").into());
            }
            return Ok((socket, head.split_off(at + 4)));
        }
        if head.len() > HEAD_MAX || socket.read_buf(&mut head).await? == 0 {
            return Err("the node gives no answer".into());
        }
    }
}

/// Reads to the end.
async fn drain(mut socket: TcpStream, first: Vec<u8>, tally: Rc<Cell<Tally>>) {
    let mut frames = FrameReader::default();
    let mut block = vec![0; 64 << 10];
    let mut bytes = &first[..];
    loop {
        let mut now = tally.get();
        let counted = frames.take(bytes, |_, _, is_last| {
            now.messages += u64::from(is_last);
            Ok::<_, Infallible>(())
        });
        let Ok(()) = counted;
        now.bytes += bytes.len() as u64;
        tally.set(now);
        match socket.read(&mut block).await {
            Ok(0) | Err(_) => return,
            Ok(count) => bytes = &block[..count],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_shows_the_token_and_a_wrong_address_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let token_file = Some(dir.path().join("token"));
        std::fs::write(dir.path().join("token"), "abc\n").unwrap();
        let common = Common { cores: Vec::new(), json: false, pid: None };
        let url = "ws://127.0.0.1:8080/ws?since=1".to_owned();
        let mut watch = Watch { url, token_file, count: 1, seconds: 1, common };
        let (address, text) = request(&watch).unwrap();
        assert_eq!(address.to_string(), "127.0.0.1:8080");
        assert!(text.starts_with("GET /ws?since=1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"), "{text}");
        assert!(text.ends_with("Authorization: Bearer abc\r\n\r\n"), "{text}");
        watch.url = "http://127.0.0.1/ws".to_owned();
        assert!(request(&watch).unwrap_err().to_string().contains("ws://HOST"));
    }
}
