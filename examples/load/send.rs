//! The least that serving viewers can cost: one thread that sends ready bytes to sockets by
//! `sendmsg`, at the times and in the sizes of a real stream. What a server needs beyond this is
//! its own.

use std::error::Error;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::cpu::cpu_seconds;

/// Sends messages of given sizes at given times to viewers that only read.
#[derive(clap::Args)]
pub(crate) struct Send {
    /// Times (milliseconds) and sizes (bytes), a pair per line, as `play --sizes` writes them.
    sizes: PathBuf,
    /// How many viewers.
    #[arg(long, default_value_t = 200)]
    viewers: usize,
}

/// The viewers of a sender, in a process of their own.
#[derive(clap::Args)]
pub(crate) struct Drain {
    port: u16,
    viewers: usize,
}

/// Replays, measures and reports.
pub(crate) fn run(send: &Send) -> Result<(), Box<dyn Error>> {
    let messages = read_sizes(&std::fs::read_to_string(&send.sizes)?)?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port().to_string();
    // In a process of its own, so that reading is not counted as sending.
    let mut readers = std::process::Command::new(std::env::current_exe()?)
        .args(["drain", &port, &send.viewers.to_string()])
        .spawn()?;
    let mut viewers = Vec::new();
    for _ in 0..send.viewers {
        let (viewer, _) = listener.accept()?;
        viewer.set_nonblocking(true)?;
        viewer.set_nodelay(true)?;
        viewers.push(Viewer { socket: viewer, owed: 0 });
    }
    let (began, cpu) = (Instant::now(), cpu_seconds(std::process::id())?);
    let (sends, bytes) = replay(&messages, &mut viewers)?;
    let (took, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds(std::process::id())? - cpu);
    drop(viewers);
    readers.wait()?;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let mbits = bytes as f64 * 8e-6;
    println!("viewers            {}", send.viewers);
    println!("delivered          {mbits:.1} Mbit in {took:.1} s, {:.1} Mbit/s", mbits / took);
    println!("calls to sendmsg   {sends}");
    println!("CPU                {cpu:.2} s, {:.1} % of a core", cpu / took * 100.0);
    println!("CPU per Mbit       {:.1} us", cpu / mbits * 1e6);
    Ok(())
}

/// A socket, and the bytes that it did not take when they were due.
struct Viewer {
    socket: TcpStream,
    owed: usize,
}

/// Sends every message to every viewer when it is due; gives the calls and the bytes it took.
fn replay(messages: &[(u64, usize)], viewers: &mut [Viewer]) -> io::Result<(u64, u64)> {
    let payload = vec![0x5a; messages.iter().map(|&(_, size)| size).max().unwrap_or(0) + HEADER];
    let first = messages.first().map_or(0, |&(time, _)| time);
    let began = Instant::now();
    let (mut sends, mut bytes) = (0, 0);
    for &(time, size) in messages {
        let due = Duration::from_millis(time.saturating_sub(first));
        thread::sleep(due.saturating_sub(began.elapsed()));
        for viewer in &mut *viewers {
            viewer.owed += HEADER + size;
            let mut left = viewer.owed;
            while left > 0 {
                // A server sends from headers and payload that lie apart: two slices.
                let rest = left.min(payload.len()).saturating_sub(HEADER);
                let slices =
                    [IoSlice::new(&payload[..left.min(HEADER)]), IoSlice::new(&payload[..rest])];
                sends += 1;
                match SockRef::from(&viewer.socket).send_vectored(&slices) {
                    Ok(count) => left -= count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            bytes += (viewer.owed - left) as u64;
            viewer.owed = left;
        }
    }
    Ok((sends, bytes))
}

/// Bytes of a chunk header with an absolute time.
const HEADER: usize = 12;

fn read_sizes(text: &str) -> Result<Vec<(u64, usize)>, Box<dyn Error>> {
    let pair = |line: &str| -> Option<(u64, usize)> {
        let (time, size) = line.split_once(' ')?;
        Some((time.parse().ok()?, size.parse().ok()?))
    };
    let mut messages = Vec::new();
    for line in text.lines() {
        messages.push(pair(line).ok_or_else(|| format!("not a time and a size: {line}"))?);
    }
    Ok(messages)
}

/// Reads from all sockets until they are closed.
pub(crate) fn drain(&Drain { port, viewers }: &Drain) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for _ in 0..viewers {
            let socket = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
            tasks.push(tokio::spawn(async move {
                let mut block = vec![0; 256 << 10];
                while socket.readable().await.is_ok() {
                    if matches!(socket.try_read(&mut block), Ok(0)) {
                        break;
                    }
                }
            }));
        }
        for task in tasks {
            // A reader that failed has read all it could.
            drop(task.await);
        }
        Ok(())
    })
}
